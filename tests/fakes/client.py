"""A MySQL client in memory: it logs in by the real protocol, then says what the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol.client import ClientLogin, Connected, Refused
from protocol.packets import ErrPacket, parse_err
from proxy import rsa
from tests.fakes.transport import MemoryTransport, Peer
from tests.fakes.wire import OLD_CLIENT, packets

if TYPE_CHECKING:
    from tests.fakes.world import World


class FakeClient(Peer):
    """One client, at its own end of the connection."""

    def __init__(self, world: World, protocol: Any) -> None:
        self.world = world
        self.transport = MemoryTransport(world.loop, protocol, self)
        # the proxy has closed the connection
        self.is_closed = False
        # after the login: the connection id that it was told, and what was agreed
        self.connected: Connected | None = None
        self.refused: Refused | None = None
        self._login: ClientLogin | None = None
        self._got = bytearray()

    # The login

    def logs_in(
        self,
        user: bytes = b"app",
        password: bytes = b"secret",
        schema: bytes | None = None,
        capabilities: int = OLD_CLIENT,
        collation: int = 45,
        attributes: dict[bytes, bytes] | None = None,
    ) -> None:
        """Exchange what there is to exchange until it is in, or refused, or waits."""
        self.begin_login(user, password, schema, capabilities, collation, attributes)
        self.world.loop.settle()

    def begin_login(
        self,
        user: bytes = b"app",
        password: bytes = b"secret",
        schema: bytes | None = None,
        capabilities: int = OLD_CLIENT,
        collation: int = 45,
        attributes: dict[bytes, bytes] | None = None,
    ) -> None:
        """The same, without letting the loop run."""
        self._login = ClientLogin(
            user=user,
            password=password,
            native_stage1=None,
            database=schema,
            collation=collation,
            capabilities=capabilities,
            attributes={b"program_name": b"test"} if attributes is None else attributes,
            tls="disabled",
            is_secure=False,
            encrypt=rsa.encrypt,
        )
        got, self._got = bytes(self._got), bytearray()
        self.world.loop.call_soon(self.received, got)

    @property
    def connection_id(self) -> int:
        assert self.connected is not None
        return self.connected.connection_id

    # The dialogue

    def sends(self, *wires: bytes) -> None:
        """Send, as one segment."""
        self.world.loop.call(self.transport.deliver, b"".join(wires))

    def gets(self, *wires: bytes) -> None:
        """Exactly this has come since the last look."""
        got, self._got = bytes(self._got), bytearray()
        assert packets(got) == packets(b"".join(wires))

    def gets_nothing(self) -> None:
        self.gets()

    def got(self) -> bytes:
        """What has come since the last look."""
        got, self._got = bytes(self._got), bytearray()
        return got

    def gets_error(self, code: int, text: str = "", sequence_id: int = 1) -> ErrPacket:
        """One ERR packet with this code, and `text` in its text."""
        got = packets(self.got())
        assert [number for number, _ in got] == [sequence_id], got
        error = parse_err(got[0][1])
        assert (error.code, text in error.message.decode()) == (code, True), error.message
        return error

    def leaves(self) -> None:
        """Close the connection without COM_QUIT."""
        self.world.loop.call(self.transport.deliver_end)

    def breaks(self) -> None:
        """Connection reset by peer."""
        self.world.loop.call(self.transport.break_off, ConnectionResetError("Connection reset by peer"))

    def stops_reading(self) -> None:
        self.transport.stop_taking()

    def reads_again(self) -> None:
        self.world.loop.call(self.transport.take_again)

    # Peer

    def received(self, chunk: bytes) -> None:
        login = self._login
        if login is None or self.connected is not None or self.refused is not None:
            self._got += chunk
            return
        event = login.receive(chunk)
        if isinstance(event, Connected):
            self.connected = event
        elif isinstance(event, Refused):
            self.refused = event
        output = login.take_output()
        if output:
            self.transport.deliver(output)

    def ended(self, is_aborted: bool) -> None:
        self.is_closed = True
