"""A MySQL server in memory. It logs clients in by the real protocol; what it answers afterwards is the test's part of the dialogue."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from protocol.auth import Verifier
from protocol.commands import reset_connection
from protocol.framing import CommandReader, PacketReader, frame, payload_of
from protocol.packets import Column, build_err, text_resultset
from protocol.server import (
    OFFERED_CAPABILITIES,
    LoginRequested,
    PasswordReceived,
    Rejected,
    ServerLogin,
    TlsRequested,
    Verified,
)
from proxy.connector import INIT_CONNECT, MEASURE, QUESTIONS
from proxy.rsa import KeyPair
from tests.fakes.loop import StepLoop
from tests.fakes.transport import MemoryTransport, Peer
from tests.fakes.wire import AUTOCOMMIT, QUIT, ok, packets

KEY_PAIR = KeyPair()
CHARSETS = (b"utf8mb4", b"utf8mb4", b"utf8mb4", b"utf8mb4_0900_ai_ci")
MEASURED = (*CHARSETS, b"STRICT_TRANS_TABLES", b"67108864", b"16382", b"28800", b"28800")


class ServerEnd(Peer):
    """One connection, from the server's side."""

    def __init__(self, server: FakeServer, server_id: int) -> None:
        self.server = server
        self.server_id = server_id
        # of the proxy's end
        self.port = 40000 + server_id
        self.transport: MemoryTransport
        self.login: LoginRequested | None = None
        self.is_tls = False
        # what was asked while the connection was set up
        self.questions: list[bytes] = []
        # the connection phase and our own questions are over
        self.is_set_up = False
        # it closes the connection at COM_QUIT, as servers do
        self.hangs_up = True
        # the proxy has closed it; without COM_QUIT
        self.is_closed = False
        self.is_aborted = False
        self.answers_itself: Callable[[bytes], bytes | None] | None = server.answers_itself
        self._machine = server.new_login(server_id)
        self._phase = PacketReader(1 << 24, 1)
        self._is_in = False
        self._commands = CommandReader(1 << 30)
        self._unread: list[bytes] = []
        self._raw = b""
        # everything that comes is a file, or the like
        self.takes_raw = False

    # The dialogue

    def gets(self, *commands: bytes) -> None:
        """Exactly these commands have come since the last look, in wire form."""
        got, self._unread = self._unread, []
        assert [packets(each) for each in got] == [packets(each) for each in commands]

    def gets_nothing(self) -> None:
        self.gets()
        assert self._raw == b""

    def gets_raw(self, wire: bytes) -> None:
        """Exactly these bytes, while `takes_raw`."""
        got, self._raw = self._raw, b""
        assert packets(got) == packets(wire)

    def got(self) -> list[bytes]:
        """The payloads of the commands since the last look."""
        got, self._unread = self._unread, []
        return [payload_of(wire) for wire in got]

    def answers(self, *wires: bytes) -> None:
        """Send, as one segment."""
        self.server.loop.call(self.transport.deliver, b"".join(wires))

    def closes(self) -> None:
        """The connection ends in order (restart of the server, wait_timeout)."""
        self.server.loop.call(self.transport.deliver_end)

    def breaks(self) -> None:
        """Connection reset by peer."""
        self.server.loop.call(self.transport.break_off, ConnectionResetError("Connection reset by peer"))

    def stops_reading(self) -> None:
        self.transport.stop_taking()

    def reads_again(self) -> None:
        self.server.loop.call(self.transport.take_again)

    # Peer

    def received(self, chunk: bytes) -> None:
        if self.takes_raw:
            self._raw += chunk
        elif self._is_in:
            self._commands.feed(chunk)
            while (wire := self._commands.next_command()) is not None:
                self._command(wire)
        elif not self.server.is_silent:
            self._phase.feed(chunk)
            while (payload := self._phase.next_payload()) is not None:
                self._login(self._machine.receive(payload, self._phase.sequence_id))
                self._phase.sequence_id = self._machine.sequence_id

    def ended(self, is_aborted: bool) -> None:
        self.is_closed = True
        self.is_aborted = is_aborted

    # Inside

    def greet(self) -> None:
        server = self.server
        if server.refusal is not None:
            self._send(frame(server.refusal))
        elif not server.is_silent:
            self._send(self._machine.greeting())

    def _send(self, wire: bytes) -> None:
        self.server.loop.call_soon(self.transport.deliver, wire)

    def _login(self, event: object) -> None:
        machine = self._machine
        if isinstance(event, TlsRequested):
            self.server.starting_tls.append(self)
            return
        if isinstance(event, LoginRequested):
            self.login = event
            password = self.server.passwords.get(event.user)
            verifier = None if password is None else Verifier.of_password(password)
            self._login(machine.verify(verifier, is_configured=True))
            return
        output = machine.take_output()
        if isinstance(event, (Rejected, PasswordReceived)):
            assert self.login is not None
            code, text = self._judge(event)
            if code:
                self._send(output + machine.reject(code, None, text))
                return
        if isinstance(event, (Verified, PasswordReceived)):
            code, text = self._judge_schema()
            if code:
                self._send(output + machine.reject(code, None, text))
                return
            output += machine.accept(AUTOCOMMIT)
            self._is_in = True
        if output:
            self._send(output)

    def _judge(self, event: Rejected | PasswordReceived) -> tuple[int, bytes]:
        assert self.login is not None
        is_right = isinstance(event, PasswordReceived) and event.password == self.server.passwords.get(
            self.login.user
        )
        return (0, b"") if is_right else (1045, b"Access denied for user '%b'" % self.login.user)

    def _judge_schema(self) -> tuple[int, bytes]:
        assert self.login is not None
        schema = self.login.database
        if schema is None or schema in self.server.schemas:
            return 0, b""
        return 1049, b"Unknown database '%b'" % schema

    def _command(self, wire: bytes) -> None:
        payload = payload_of(wire)
        if not self.is_set_up and not self.server.is_mute:
            self._set_up(payload)
            return
        if wire == QUIT and self.hangs_up:
            self.server.loop.call_soon(self.transport.deliver_end)
        answer = self.answers_itself(payload) if self.answers_itself is not None else None
        if answer is None:
            self._unread.append(wire)
        elif answer:
            self._send(answer)

    def _set_up(self, payload: bytes) -> None:
        """Our own questions on a new connection, until the trackers are set."""
        self.questions.append(payload)
        if payload[1:] == MEASURE:
            columns = [Column(b"%d" % number) for number in range(len(MEASURED))]
            values: list[bytes | None] = list(MEASURED)
            self._send(text_resultset(columns, [values], status=AUTOCOMMIT, deprecate_eof=True))
        elif payload[1:].startswith(INIT_CONNECT):
            self._rows([self.server.init_connect, self.server.globals])
        elif payload[1:] == QUESTIONS:
            assert self.login is not None
            self._rows([b"Questions", b"2" if self.login.user in self.server.exempt else b"3"])
        elif payload == reset_connection():
            self._send(ok())
        elif payload[1:5] == b"SET ":
            self.is_set_up = True
            self._send(ok())
        else:
            names: list[list[bytes | None]] = [[name] for name in self.server.variables]
            self._send(text_resultset([Column(b"x")], names, status=AUTOCOMMIT, deprecate_eof=True))

    def _rows(self, row: list[bytes | None]) -> None:
        columns = [Column(b"%d" % number) for number in range(len(row))]
        self._send(text_resultset(columns, [row], status=AUTOCOMMIT, deprecate_eof=True))


class FakeServer:
    """One upstream. Attributes decide what happens to connections that are made from now on."""

    def __init__(self, loop: StepLoop, host: str, port: int) -> None:
        self.loop = loop
        self.host = host
        self.port = port
        self.version = b"8.0.36"
        self.passwords: dict[bytes, bytes] = {b"app": b"secret", b"other": b"other"}
        self.schemas = {b"shop", b"test"}
        self.variables = [b"autocommit", b"sql_mode", b"time_zone"]
        self.capabilities = int(OFFERED_CAPABILITIES)
        # and the users for whom it is not run
        self.init_connect = b""
        # the global variables that sessions begin with
        self.globals: bytes | None = b"as they are"
        self.exempt: set[bytes] = set()
        # an ERR payload instead of a greeting
        self.refusal: bytes | None = None
        # connections are refused by the kernel
        self.is_down = False
        # connections are made, and then nothing is ever said; or the login works, and then nothing is said
        self.is_silent = False
        self.is_mute = False
        self.offers_tls = False
        self.tls_error: Exception | None = None
        self.answers_itself: Callable[[bytes], bytes | None] | None = None
        self.ends: list[ServerEnd] = []
        # connections that wait for TLS
        self.starting_tls: list[ServerEnd] = []
        loop.hosts[host, port] = self

    def new_login(self, server_id: int) -> ServerLogin:
        return ServerLogin(
            connection_id=server_id,
            server_version=self.version,
            charset=255,
            status=AUTOCOMMIT,
            capabilities=self.capabilities,
            nonce=b"n" * 20,
            is_secure=False,
            offers_tls=self.offers_tls,
            requires_tls=False,
            public_key_pem=KEY_PAIR.public_key_pem(),
            decrypt=KEY_PAIR.decrypt,
        )

    # Host

    async def connect(self, protocol: Any) -> MemoryTransport:
        if self.is_down:
            raise ConnectionRefusedError("Connection refused")
        end = ServerEnd(self, len(self.ends) + 1)
        end.transport = MemoryTransport(self.loop, protocol, end, self, ("127.0.0.1", end.port))
        self.ends.append(end)
        protocol.connection_made(end.transport)
        self.loop.call_soon(end.greet)
        return end.transport

    async def start_tls(self, transport: MemoryTransport) -> MemoryTransport | None:
        if self.tls_error is not None:
            raise self.tls_error
        end = transport.peer
        assert isinstance(end, ServerEnd)
        while end not in self.starting_tls:  # noqa: ASYNC110 (its request is still on its way)
            await asyncio.sleep(0)
        end.is_tls = True
        end._machine.tls_started()
        return transport

    # What tests ask

    @property
    def open_ends(self) -> list[ServerEnd]:
        """Connections that the proxy keeps open."""
        return [end for end in self.ends if not end.is_closed]

    @property
    def last(self) -> ServerEnd:
        """The newest connection."""
        return self.ends[-1]


TLS_ERROR = ssl.SSLError(1, "certificate verify failed")
REFUSED_FULL = build_err(1040, b"", b"Too many connections", before_handshake=True)
