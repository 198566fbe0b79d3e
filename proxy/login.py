"""The connection phase of one client, from the greeting to the OK, and COM_CHANGE_USER, which repeats a part of it.

At login the bytes are read exactly as announced: first a header, then its payload (asyncio's BufferedProtocol). So a TLS hello that
came in the same segment as the SSLRequest stays in the socket until TLS reads it, and nothing that follows the login is read too
early. What may be slow (TLS, asking a server) is a task of its own; a login on the fast path has none.

References: MySQL documentation, "Connection Phase", "COM_CHANGE_USER".
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any, Final

from protocol.auth import nonce_of
from protocol.constants import Capability, ErrorCode
from protocol.errors import ProtocolError, RemoteProtocolError
from protocol.framing import PacketReader
from protocol.server import OFFERED_CAPABILITIES, LoginRequested, ServerLogin
from protocol.session_track import SessionChanges
from proxy import placing, tidying
from proxy.admission import Admission, Door
from proxy.frontend import Frontend
from proxy.identity import IGNORE_SPACE, Identity
from proxy.pins import PinReason
from proxy.reasons import CloseReason
from proxy.replies import Failure, shutting_down, unreachable
from proxy.session import SessionState
from proxy.shared import SESSION_POOLING, Shared
from proxy.states import CHANGING, READY
from proxy.tasks import spawn
from proxy.turns import Turn

HEADER_SIZE: Final = 4
LOGIN_LIMIT: Final = 1 << 20
"""Bytes of one packet before login. MySQL itself takes max_allowed_packet, which is a lot to give to strangers."""
NONCE_SIZE: Final = 20


class Doorway:
    """How clients come in at one listener."""

    __slots__ = ("is_reader", "is_secure", "requires_tls", "tls_context")

    def __init__(
        self, is_reader: bool, is_secure: bool, tls_context: ssl.SSLContext | None, requires_tls: bool
    ) -> None:
        # sessions of this listener lease from readers
        self.is_reader: bool = is_reader
        # a Unix socket: a clear password may be sent over it
        self.is_secure: bool = is_secure
        self.tls_context: ssl.SSLContext | None = tls_context
        self.requires_tls: bool = requires_tls


def is_loopback(host: str) -> bool:
    """Whether a client is on this machine: a password that it sends in clear, unasked, is seen by nobody else."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


class Login(asyncio.BufferedProtocol, Door, Turn):
    """A client that is not in yet."""

    def __init__(self, shared: Shared, doorway: Doorway, peer: str, host: str) -> None:
        self.shared = shared
        self.doorway = doorway
        self.peer = peer
        self.host = host
        self.deadline = 0.0
        self.connection_id = 0
        self.nonce = b""
        self.transport: Any = None
        self.admission: Admission | None = None
        self.is_over = False
        self.is_tls = False
        self._header = bytearray(HEADER_SIZE)
        # what is being filled: the header, then the payload it announces
        self._buffer = self._header
        self._filled = 0
        self._is_payload = False
        self._sequence_id = 1

    # Callbacks of the transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.shared.logins[self] = None
        self.deadline = self.shared.loop.time() + self.shared.login_timeout
        if self.shared.facts.server_version:
            self._greet()
        else:
            spawn(self._greet_when_known(), name="wait for a server")

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        self._filled += count
        if self._filled < len(self._buffer) or self.is_over:
            return
        if self._is_payload and not self.shared.turns.take(self):
            # nothing may overtake it
            self.transport.pause_reading()
            return
        self._go_on()

    def has_turn(self) -> None:
        if not self.is_over and not self.transport.is_closing():
            self.transport.resume_reading()
            self._go_on()

    def _go_on(self) -> None:
        try:
            self._filled_up()
        except ProtocolError as error:
            self.shared.log.warning("bad packet before login", peer=self.peer, reason=str(error))
            self.shared.counters.count_login_failure("protocol")
            code = getattr(error, "code", 0) or int(ErrorCode.HANDSHAKE_ERROR)
            # the header of what was bad is still there
            self.send(Failure(code, str(error)).wire(self._header[3] + 1))
            self.end(CloseReason.PROTOCOL_ERROR)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.end(CloseReason.CLIENT_LEFT)

    def pause_writing(self) -> None:
        """Nothing large is written here."""

    def resume_writing(self) -> None:
        """Nothing large is written here."""

    # Door

    def send(self, wire: bytes) -> None:
        if self.transport is not None:
            self.transport.write(wire)

    def start_tls(self) -> None:
        # before the task runs the event loop would read the client's hello as our next header
        self.transport.pause_reading()
        spawn(self._start_tls(), name="TLS with a client")

    def admitted(self, login: LoginRequested, identity: Identity, session: SessionState) -> None:
        admission, shared = self.admission, self.shared
        assert admission is not None
        if shared.is_draining:
            self.end(CloseReason.DRAINED)
            return
        self._leave()
        frontend = Frontend(
            shared,
            identity,
            session,
            self.connection_id,
            capabilities=login.capabilities,
            is_reader_listener=self.doorway.is_reader,
            is_secure=self.doorway.is_secure or self.is_tls,
            greeting_nonce=self.nonce,
            peer=self.peer,
            program=_program(login.attributes),
        )
        placing.begin(frontend, login.attributes)
        self.send(_welcome(admission, session, login.capabilities))
        frontend.attach(self.transport)

    def turned_away(self, failure: Failure) -> None:
        admission = self.admission
        if self.is_over:
            # it left while the answer was held back
            return
        if admission is not None:
            self.send(
                admission.machine.reject(failure.code, failure.sqlstate.encode(), failure.message.encode())
            )
        self.end(CloseReason.LOGIN_FAILED)

    # Inside

    def expire(self) -> None:
        """The login took longer than `limits.login_timeout`."""
        self.shared.counters.count_login_failure("timeout")
        self.end(CloseReason.LOGIN_TIMEOUT)

    def end(self, reason: CloseReason) -> None:
        """Close the connection; the client never came in."""
        if self.is_over:
            return
        self._leave()
        self.shared.counters.count_close("frontend", reason.value)
        self.shared.counters.frontends_open -= 1
        if self.admission is not None:
            self.admission.abandon()
        if self.transport is not None:
            self.shared.logins_lingering.close(self.transport, self.shared.now)

    def _leave(self) -> None:
        self.is_over = True
        self.shared.logins.pop(self, None)

    def _greet(self) -> None:
        shared, doorway, facts = self.shared, self.doorway, self.shared.facts
        self.connection_id = shared.new_connection_id()
        self.nonce = nonce_of(os.urandom(NONCE_SIZE))
        machine = ServerLogin(
            connection_id=self.connection_id,
            server_version=facts.server_version,
            charset=facts.charset,
            status=facts.status,
            capabilities=int(OFFERED_CAPABILITIES),
            nonce=self.nonce,
            is_secure=doorway.is_secure,
            offers_tls=doorway.tls_context is not None,
            requires_tls=doorway.requires_tls,
            public_key_pem=shared.key_pair.public_key_pem(),
            decrypt=shared.key_pair.decrypt,
            limit=LOGIN_LIMIT,
            takes_clear_password=is_loopback(self.host),
        )
        self.admission = Admission(shared, self, machine, doorway.is_reader, self.host)
        self.send(machine.greeting())

    async def _greet_when_known(self) -> None:
        await self.shared.wait_for_facts()
        if self.is_over:
            return
        if self.shared.facts.server_version:
            self._greet()
            return
        endpoint = self.shared.endpoints()[0]
        failure = unreachable(endpoint.name, endpoint.last_failure)
        self.send(failure.wire_before_greeting())
        self.end(CloseReason.LOGIN_FAILED)

    def _filled_up(self) -> None:
        if not self._is_payload:
            length = int.from_bytes(self._header[:3], "little")
            if self._header[3] != self._sequence_id & 0xFF:
                raise RemoteProtocolError("packets out of order", int(ErrorCode.NET_PACKETS_OUT_OF_ORDER))
            if length > LOGIN_LIMIT:
                raise RemoteProtocolError(
                    f"packet of {length} bytes before login", int(ErrorCode.NET_PACKET_TOO_LARGE)
                )
            self._filled = 0
            if length:
                self._is_payload = True
                self._buffer = bytearray(length)
                return
            payload = b""
        else:
            payload = bytes(self._buffer)
        self._is_payload = False
        self._buffer = self._header
        self._filled = 0
        self._receive(payload)

    def _receive(self, payload: bytes) -> None:
        admission = self.admission
        if admission is None:
            raise RemoteProtocolError("a packet before the greeting", int(ErrorCode.HANDSHAKE_ERROR))
        admission.receive(payload, (self._sequence_id + 1) & 0xFF)
        self._sequence_id = admission.machine.sequence_id

    async def _start_tls(self) -> None:
        context, loop = self.doorway.tls_context, self.shared.loop
        assert context is not None and self.admission is not None
        try:
            transport = await loop.start_tls(
                self.transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self.shared.login_timeout,
            )
        except (ssl.SSLError, OSError) as error:
            self.shared.log.info("TLS with a client failed", peer=self.peer, reason=str(error))
            self.end(CloseReason.LOGIN_FAILED)
            return
        if transport is None or self.is_over:
            self.end(CloseReason.LOGIN_FAILED)
            return
        self.transport = transport
        self.is_tls = True
        self.admission.machine.tls_started()


def _program(attributes: dict[bytes, bytes]) -> str:
    """What the client calls itself. Shown to others: without what could break a line."""
    name = attributes.get(b"program_name") or attributes.get(b"application", b"")
    return "".join([char for char in name.decode("utf-8", "replace")[:64] if char.isprintable()])


def _welcome(admission: Admission, session: SessionState, capabilities: int) -> bytes:
    """The OK, which tells a client that tracks which schema it has got."""
    schema = session.vector.schema
    is_told = schema is not None and capabilities & Capability.SESSION_TRACK
    return admission.machine.accept(
        session.status, changes=SessionChanges(schema=schema) if is_told else None
    )


class ChangeUser(Door):
    """COM_CHANGE_USER on a connection that is in: the old session is over, and so is the connection if the new login fails."""

    def __init__(self, frontend: Frontend) -> None:
        self.frontend = frontend
        self.admission: Admission | None = None
        self.reader = PacketReader(LOGIN_LIMIT, 1)
        self.timer: asyncio.TimerHandle | None = None

    def start(self, payload: bytes) -> None:
        """Read the command and ask the client for its password."""
        frontend = self.frontend
        host = frontend.peer.rpartition(":")[0] or "localhost"
        capabilities = frontend.capabilities
        if frontend.shared.facts.is_mariadb:
            # the new session has the server's sql_mode
            capabilities &= ~IGNORE_SPACE
        try:
            machine = ServerLogin.for_change_user(
                payload,
                capabilities=capabilities,
                nonce=nonce_of(os.urandom(NONCE_SIZE)),
                is_secure=frontend.is_secure,
                public_key_pem=frontend.shared.key_pair.public_key_pem(),
                decrypt=frontend.shared.key_pair.decrypt,
                takes_clear_password=is_loopback(host),
                greeting_nonce=frontend.greeting_nonce,
            )
        except ProtocolError as error:
            frontend.bad_input(error)
            return
        self.admission = Admission(frontend.shared, self, machine, frontend.is_reader_listener, host)
        assert machine.request is not None
        shared = frontend.shared
        self.timer = shared.loop.call_later(shared.login_timeout, self.expire)
        self.admission.requested(machine.request)
        self.reader.sequence_id = machine.sequence_id

    def data_received(self, chunk: bytes) -> None:
        """Bytes of the client's answers."""
        admission = self.admission
        if admission is None or self.frontend.state != CHANGING:
            return
        try:
            self.reader.feed(chunk)
            payload = self.reader.next_payload()
            if payload is not None:
                admission.receive(payload, self.reader.sequence_id)
                self.reader.sequence_id = admission.machine.sequence_id
        except ProtocolError as error:
            self.frontend.bad_input(error)

    def abandon(self) -> None:
        """The client is gone."""
        self._leave()
        if self.admission is not None:
            self.admission.abandon()

    def expire(self) -> None:
        """The change took longer than `limits.login_timeout`."""
        self.frontend.shared.counters.count_login_failure("timeout")
        self.frontend.close(CloseReason.LOGIN_TIMEOUT)

    def drain(self) -> None:
        """The process ends."""
        failure = shutting_down()
        if self.admission is not None:
            self.send(
                self.admission.machine.reject(
                    failure.code, failure.sqlstate.encode(), failure.message.encode()
                )
            )
        self.frontend.close(CloseReason.DRAINED)

    def _leave(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def send(self, wire: bytes) -> None:
        self.frontend.send(wire)

    def start_tls(self) -> None:
        self.frontend.bad_input(
            RemoteProtocolError("TLS in the command phase", int(ErrorCode.HANDSHAKE_ERROR))
        )

    def admitted(self, login: LoginRequested, identity: Identity, session: SessionState) -> None:
        frontend, admission = self.frontend, self.admission
        if frontend.state != CHANGING or admission is None:
            return
        self._leave()
        _changed_user(frontend, identity, session)
        self.send(_welcome(admission, session, frontend.capabilities))
        frontend.go_on(self.reader.rest())

    def turned_away(self, failure: Failure) -> None:
        if self.frontend.state != CHANGING or self.admission is None:
            return
        self.send(
            self.admission.machine.reject(failure.code, failure.sqlstate.encode(), failure.message.encode())
        )
        self.frontend.close(CloseReason.LOGIN_FAILED)


def _changed_user(frontend: Frontend, identity: Identity, session: SessionState) -> None:
    """A new session on the old connection."""
    # the servers leave these
    session.found_rows = frontend.session.found_rows
    session.vector = session.vector.with_multi_statements(frontend.session.vector.multi_statements)
    frontend.identity = identity
    frontend.session = session
    frontend.forget_statements()
    frontend.ticket = None
    frontend.login = None
    if frontend.shared.pool_mode == SESSION_POOLING:
        session.pin(PinReason.SESSION_MODE)
    frontend.state = READY
    tidying.know(frontend)
