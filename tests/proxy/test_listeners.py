"""Real sockets: accepting, limits, and TLS from the first byte on, on the loops of asyncio and of uvloop."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from config.sections import ClientTls
from config.values import Address
from protocol.auth import CACHING_SHA2_PASSWORD, sha2_scramble
from protocol.constants import Capability
from protocol.framing import frame
from protocol.handshake import HandshakeResponse41, HandshakeV10, SSLRequest
from protocol.packets import parse_err
from proxy import tasks, tls
from proxy.listeners import PAUSE, Listener, ListenError
from proxy.login import Doorway
from proxy.reasons import CloseReason
from proxy.shared import Shared
from tests.fakes.loop import StepLoop
from tests.fakes.wire import OLD_CLIENT, PING, ok
from tests.fakes.world import Log, learn, make_shared

ANYWHERE = Address("127.0.0.1", 0)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TLS_CLIENT = OLD_CLIENT | int(Capability.SSL)


class Peer:
    """A client with a blocking socket."""

    def __init__(self, address: Any) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.raw = socket.socket(family, socket.SOCK_STREAM)
        self.raw.settimeout(10)
        self.raw.connect(address)
        self.tls: ssl.SSLObject | None = None
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def read(self, count: int) -> bytes:
        """So many bytes."""
        got = b""
        while len(got) < count:
            if self.tls is None:
                chunk = self.raw.recv(count - len(got))
                if not chunk:
                    raise EOFError
            else:
                try:
                    chunk = self.tls.read(count - len(got))
                except ssl.SSLWantReadError:
                    self.fill()
                    continue
            got += chunk
        return got

    def fill(self) -> None:
        chunk = self.raw.recv(65536)
        if not chunk:
            raise EOFError
        self.incoming.write(chunk)

    def packet(self) -> bytes:
        """The payload of the next packet."""
        header = self.read(4)
        return self.read(int.from_bytes(header[:3], "little"))

    def write(self, wire: bytes) -> None:
        if self.tls is None:
            self.raw.sendall(wire)
        else:
            self.tls.write(wire)
            self.raw.sendall(self.outgoing.read())

    def hello(self) -> bytes:
        """Begin TLS: its first bytes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def finish_handshake(self) -> None:
        assert self.tls is not None
        while True:
            self.fill()
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            finally:
                if self.outgoing.pending:
                    self.raw.sendall(self.outgoing.read())
            return

    def is_at_end(self) -> bool:
        """The other side has closed the connection; what came before is dropped."""
        try:
            while self.raw.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        self.raw.close()


def response(greeting: HandshakeV10, capabilities: int, sequence_id: int) -> bytes:
    scramble = sha2_scramble(b"secret", greeting.nonce)
    return frame(
        HandshakeResponse41(
            capabilities, 1 << 24, 45, b"app", scramble, None, CACHING_SHA2_PASSWORD, {}
        ).build(),
        sequence_id,
    )


def serve(
    loop_name: str,
    dialogue: Callable[[Any], None],
    doorway: Doorway | None = None,
    address: Address = ANYWHERE,
) -> Shared:
    """Run a dialogue of a blocking client, in a thread, with a listener in a loop of this kind; what was shared."""

    async def run() -> Shared:
        shared = make_shared(asyncio.get_running_loop(), Log())
        learn(shared)
        listener = Listener(shared, address, doorway or Doorway(False, False, None, False))
        listener.start()
        try:
            await asyncio.to_thread(dialogue, listener.socket.getsockname())
        finally:
            listener.close()
            await tasks.cancel_all()
        return shared

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        return runner.run(run())


def with_tls(*, requires_tls: bool = False) -> Doorway:
    return Doorway(False, False, tls.client_side(ClientTls()), requires_tls)


every_loop = pytest.mark.parametrize("loop_name", LOOPS)


@every_loop
def test_a_client_logs_in_over_tcp(loop_name: str) -> None:
    def dialogue(address: Any) -> None:
        peer = Peer(address)
        greeting = HandshakeV10.parse(peer.packet())
        # all in one segment: the login and what follows it
        peer.write(response(greeting, OLD_CLIENT, 1) + PING + PING)
        assert peer.packet() == b"\x01\x03"
        for _ in range(3):
            assert peer.packet()[0] == 0
        peer.close()

    shared = serve(loop_name, dialogue)
    assert shared.counters.frontends_total == 1


@every_loop
@pytest.mark.parametrize("cut", ["same segment", "cut in the hello", "a segment each", "byte by byte"])
def test_no_byte_is_lost_when_the_tls_hello_comes_with_the_request_for_tls(loop_name: str, cut: str) -> None:
    def dialogue(address: Any) -> None:
        peer = Peer(address)
        peer.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = HandshakeV10.parse(peer.packet())
        assert greeting.capabilities & Capability.SSL
        request = frame(SSLRequest(TLS_CLIENT, 1 << 24, 45).build(), 1)
        wire = request + peer.hello()
        cuts = {
            "same segment": [len(wire)],
            "cut in the hello": [len(request) + 3, len(wire)],
            "a segment each": [len(request), len(wire)],
            "byte by byte": list(range(1, len(wire) + 1)),
        }[cut]
        begin = 0
        for end in cuts:
            peer.raw.sendall(wire[begin:end])
            begin = end
        peer.finish_handshake()
        peer.write(response(greeting, TLS_CLIENT, 2) + PING)
        assert peer.packet() == b"\x01\x03"
        assert peer.packet()[0] == 0
        assert peer.packet()[0] == 0
        peer.close()

    shared = serve(loop_name, dialogue, with_tls(requires_tls=True))
    assert shared.counters.login_failures == {}


@every_loop
def test_a_failed_tls_handshake_ends_the_connection(loop_name: str) -> None:
    def dialogue(address: Any) -> None:
        peer = Peer(address)
        peer.packet()
        peer.write(frame(SSLRequest(TLS_CLIENT, 1 << 24, 45).build(), 1) + b"this is no TLS\r\n\r\n")
        assert peer.is_at_end()
        peer.close()

    shared = serve(loop_name, dialogue, with_tls())
    assert shared.counters.frontend_closes == {"login-failed": 1}
    assert shared.counters.frontends_open == 0


@every_loop
def test_a_client_that_leaves_during_the_tls_handshake_is_forgotten(loop_name: str) -> None:
    def dialogue(address: Any) -> None:
        peer = Peer(address)
        peer.packet()
        peer.write(frame(SSLRequest(TLS_CLIENT, 1 << 24, 45).build(), 1))
        peer.close()
        other = Peer(address)
        other.packet()
        other.write(b"GET / HTTP/1.1\r\n\r\n")
        assert parse_err(other.packet()).code == 1156
        assert other.is_at_end()
        other.close()

    shared = serve(loop_name, dialogue, with_tls())
    assert sum(shared.counters.frontend_closes.values()) + len(shared.logins) == 2


@every_loop
def test_a_client_logs_in_over_a_unix_socket(loop_name: str, tmp_path: Path) -> None:
    path = tmp_path / "fanin.sock"

    def dialogue(address: Any) -> None:
        peer = Peer(str(path))
        greeting = HandshakeV10.parse(peer.packet())
        peer.write(response(greeting, OLD_CLIENT, 1))
        assert (peer.packet(), peer.packet()[0]) == (b"\x01\x03", 0)
        peer.close()

    serve(loop_name, dialogue, Doorway(False, True, None, False), Address(path=str(path)))
    assert not path.exists()


# In steps


class House:
    """A listener on a loop that runs in steps."""

    def __init__(self, max_clients: int = 100) -> None:
        self.loop = StepLoop()
        self.log = Log()
        self.shared = make_shared(self.loop, self.log)
        self.shared.max_clients = max_clients
        learn(self.shared)
        self.listener = Listener(self.shared, ANYWHERE, Doorway(False, False, None, False))
        self.address = self.listener.socket.getsockname()
        self.peers: list[Peer] = []

    def peer(self) -> Peer:
        self.peers.append(Peer(self.address))
        self.turns()
        return self.peers[-1]

    def turns(self) -> None:
        for _ in range(20):
            self.loop.step()

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.turns()
        self.listener.close()
        assert self.shared.logins == {}
        assert self.shared.counters.frontends_open == 0
        self.loop.run_until_complete(tasks.cancel_all())
        self.loop.close()


@pytest.fixture
def house() -> Any:
    made = House()
    yield made
    made.close()


def test_nobody_is_taken_before_the_start(house: House) -> None:
    house.peer()
    assert house.shared.counters.frontends_total == 0
    house.listener.start()
    house.turns()
    assert house.shared.counters.frontends_total == 1


def test_over_max_clients_there_is_1040_for_the_newcomer_and_nothing_for_the_others(house: House) -> None:
    house.shared.max_clients = 2
    house.listener.start()
    first, second, third = house.peer(), house.peer(), house.peer()
    error = parse_err(third.packet())
    assert (error.code, error.sqlstate, error.message) == (1040, b"", b"Too many connections")
    assert third.is_at_end()
    for peer in (first, second):
        HandshakeV10.parse(peer.packet())
    counters = house.shared.counters
    assert (counters.frontends_total, counters.frontends_open, counters.frontends_refused) == (2, 2, 1)
    assert counters.frontend_closes == {CloseReason.TOO_MANY_CLIENTS.value: 1}
    # there is room again
    first.close()
    house.turns()
    HandshakeV10.parse(house.peer().packet())


class FullSocket:
    """A listening socket in a process that has no descriptor free."""

    def __init__(self, real: socket.socket, error: int) -> None:
        self.real = real
        self.error = error
        self.is_full = True
        self.accepts = 0

    def fileno(self) -> int:
        return self.real.fileno()

    def accept(self) -> Any:
        self.accepts += 1
        if self.is_full:
            raise OSError(self.error, "no")
        return self.real.accept()

    def close(self) -> None:
        self.real.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_accepting_pauses_while_no_descriptor_is_free_and_goes_on_afterwards(
    house: House, error: int
) -> None:
    full = FullSocket(house.listener.socket, error)
    house.listener.socket = full  # type: ignore[assignment]
    house.listener.start()
    peer = house.peer()
    # no spin: one try, then silence
    assert (full.accepts, house.listener.is_paused) == (1, True)
    house.loop.advance(PAUSE)
    house.turns()
    assert full.accepts == 2
    full.is_full = False
    house.loop.advance(PAUSE)
    house.turns()
    HandshakeV10.parse(peer.packet())
    assert house.log.warnings() == ["no file descriptor is free; accepting pauses"] * 2


def test_another_failure_to_accept_is_logged_and_accepting_goes_on(house: House) -> None:
    full = FullSocket(house.listener.socket, errno.EPERM)
    house.listener.socket = full  # type: ignore[assignment]
    house.listener.start()
    house.peers.append(Peer(house.address))
    house.loop.step()
    house.loop.step()
    full.is_full = False
    house.turns()
    HandshakeV10.parse(house.peers[0].packet())
    assert "accept failed" in house.log.warnings()


def test_a_listener_may_be_closed_while_it_pauses(house: House) -> None:
    house.listener.socket = FullSocket(house.listener.socket, errno.EMFILE)  # type: ignore[assignment]
    house.listener.start()
    house.peer()
    house.listener.close()
    house.listener.close()
    house.loop.advance(1)
    assert house.listener.is_closed


def test_a_login_that_never_comes_is_ended_and_makes_room(house: House) -> None:
    house.listener.start()
    peer = house.peer()
    (login,) = house.shared.logins
    house.loop.call(login.expire)
    house.turns()
    peer.packet()
    assert peer.is_at_end()


def test_a_whole_dialogue_in_steps(house: House) -> None:
    house.listener.start()
    peer = house.peer()
    peer.write(response(HandshakeV10.parse(peer.packet()), OLD_CLIENT, 1))
    house.turns()
    peer.packet()
    peer.packet()
    peer.write(PING)
    house.turns()
    assert frame(peer.packet(), 1) == ok()


# Addresses


def test_the_names_of_listeners(tmp_path: Path) -> None:
    loop = StepLoop()
    shared = make_shared(loop, Log())
    doorway = Doorway(False, False, None, False)
    made = [Listener(shared, address, doorway) for address in (ANYWHERE, Address(path=str(tmp_path / "s")))]
    port = made[0].socket.getsockname()[1]
    assert [each.name for each in made] == [f"127.0.0.1:{port}", f"unix:{tmp_path / 's'}"]
    for each in made:
        each.is_paused = True
        each.close()
    loop.close()


def refused(address: Address) -> str:
    loop = StepLoop()
    try:
        with pytest.raises(ListenError) as error:
            Listener(make_shared(loop, Log()), address, Doorway(False, False, None, False))
    finally:
        loop.close()
    return str(error.value)


def test_an_address_in_use_is_refused(house: House) -> None:
    port = house.address[1]
    assert refused(Address("127.0.0.1", port)) == f"cannot listen on 127.0.0.1:{port}: Address already in use"


def test_a_name_that_nobody_knows_is_refused() -> None:
    assert refused(Address("no-such-host.invalid", 1)).startswith("cannot listen on no-such-host.invalid:1: ")


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    assert (
        refused(Address(path=str(path))) == f"cannot listen on unix:{path}: the file exists and is no socket"
    )
    assert path.read_text() == "precious"


def test_a_socket_that_is_served_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert refused(Address(path=str(path))).endswith("another process serves it")
    # a dead one is replaced
    loop = StepLoop()
    listener = Listener(make_shared(loop, Log()), Address(path=str(path)), Doorway(False, True, None, False))
    assert path.stat().st_mode & 0o777 == 0o777
    listener.is_paused = True
    listener.close()
    loop.close()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(Address(path=str(tmp_path / "none" / "s")))
