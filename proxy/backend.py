"""One connection to a server: the shell around its ResponseTracker.

A backend is always in one of six modes, and what its socket delivers means something else in each:

    OPENING   connecting, logging in, setting up: chunks go to an `Inbox` that a coroutine reads (slow path)
    IDLE      nobody uses it: any byte, and the end of the stream, mean that it must be discarded
    RELAY     a client's command runs: chunks go through the tracker to the client
    OURS      commands of our own run one after the other: the answers go to the owner, not to a client
    DYING     its query is being killed: whatever comes is dropped
    CLOSED    given up

Who uses it at the moment is its `owner` (`Owner`): a frontend, or a job of the endpoint (reset, capture). The pool's state of it
(idle, leased, ...) is the pool core's business (`Member`), never changed here.

No task, future or timer exists for a backend once it is open. Backpressure: the owner pauses and resumes `transport`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from mypy_extensions import mypyc_attr

from protocol.errors import RemoteProtocolError
from protocol.framing import MAX_PAYLOAD, answer_id, frame
from protocol.response import ResponseTracker, TrackFilter
from proxy.credentials import Credential
from proxy.pool import Member
from proxy.prepared import BackendStatements
from proxy.variables import UserVariables
from proxy.vector import Vector

OPENING: Final = 0
IDLE: Final = 1
RELAY: Final = 2
OURS: Final = 3
CLOSED: Final = 4
DYING: Final = 5

COM_QUERY: Final = 0x03
INTERRUPTED: Final = 1317
MOST_REPEATS: Final = 8
_COM_INIT_DB: Final = 0x02
_COUNTS: Final = b"FOUND_ROWS()"
_QUESTIONS: Final = (b"\x03SELECT ", b"\x03SHOW ")


@mypyc_attr(allow_interpreted_subclasses=True)
class Owner:
    """Who uses a backend. Every call comes from the backend's own callbacks; none may raise."""

    __slots__ = ()

    def relay(self, chunk: bytes) -> None:
        """A piece of the answer, as the client must see it."""

    def told_unasked(self, chunk: bytes) -> None:
        """The server sends something although no command runs. `backend_lost` follows."""

    def answered(self) -> None:
        """The answer to the relayed command is complete; the tracker has its end."""

    def ran(self, is_failed: bool) -> None:
        """Our own commands have run; `is_failed`: the last one that ran was refused (the tracker has the error)."""

    def backend_lost(self, cause: str) -> None:
        """The connection is gone, or what came was not the protocol. The owner discards it."""

    def backend_write_paused(self, is_paused: bool) -> None:
        """The server reads slower than we write."""


class Inbox:
    """What an opening backend received, for the coroutine that opens it."""

    __slots__ = ("_chunks", "_closed", "_waiter")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._closed: str | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, chunk: bytes) -> None:
        """A chunk came."""
        self._chunks.append(chunk)
        self._wake()

    def close(self, cause: str) -> None:
        """Nothing comes any more."""
        self._closed = cause
        self._wake()

    async def get(self) -> bytes:
        """The next bytes. Raises ConnectionError when the connection is gone."""
        while not self._chunks:
            if self._closed is not None:
                raise ConnectionError(self._closed)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        return chunk

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


@mypyc_attr(allow_interpreted_subclasses=True)
class LossListener:
    """Who must hear that a backend has come, or that one which nobody uses is gone (the endpoint)."""

    __slots__ = ()

    def logged_in(self, backend: Backend, credential: Credential) -> None:
        """The server has let it in with this, and given it its `server_id`; it is not set up yet."""

    def idle_backend_lost(self, backend: Backend, cause: str) -> None:
        """Bytes or the end of the stream came while it was idle or parked."""


class Backend(Member):
    """A connection to a server; an asyncio protocol. See the module docstring for its modes."""

    __slots__ = (
        "_closed_waiter",
        "_is_gone",
        "answers",
        "collation",
        "globals",
        "inbox",
        "init_connect",
        "is_doubtful",
        "is_initialised",
        "is_mariadb",
        "is_reading_paused",
        "kills",
        "listener",
        "mode",
        "owes_gtids",
        "owner",
        "peer",
        "queue",
        "repeats",
        "running",
        "server_id",
        "setup",
        "statements",
        "tracker",
        "transport",
        "variables",
        "vector",
    )

    def __init__(self, listener: LossListener, peer: str) -> None:
        super().__init__()
        self.listener: LossListener = listener
        # "host:port" or the socket's path, for messages
        self.peer: str = peer
        self.mode: int = OPENING
        self.transport: Any = None
        self.inbox: Inbox | None = Inbox()
        self.owner: Owner | None = None
        # set by the connector when the capabilities are agreed
        self.tracker: ResponseTracker = ResponseTracker(deprecate_eof=True, session_track=True)
        # collation id that it logged in with: decides the character sets after a reset
        self.collation: int = 0
        # the statement that sets the trackers; a reset switches them off
        self.setup: bytes = b""
        # values of global variables that its session began with; while it opens those of the login before
        self.globals: bytes = b""
        # the server's init_connect when it logged in, and whether that was run for its user
        self.init_connect: bytes = b""
        self.is_initialised: bool = False
        # which kind of server it is, once it is open
        self.is_mariadb: bool = False
        # the server's own connection id (KILL)
        self.server_id: int = 0
        # the state that the session on the server really has
        self.vector: Vector | None = None
        # the user variables that it has: None when it is certain that there are none
        self.variables: UserVariables | None = None
        # KILLs for what it runs that are on their way to the server
        self.kills: int = 0
        # commands of our own that are still to be sent, in OURS
        self.queue: list[bytes] = []
        # the one that was sent, and how often it may be sent again
        self.running: bytes = b""
        self.repeats: int = 0
        # their answers in wire form (ending as DEPRECATE_EOF says, without trackers), when somebody asked to keep them
        self.answers: list[bytes] | None = None
        self.is_reading_paused: bool = False
        # it is of before its server became the writer (`verifying`)
        self.is_doubtful: bool = False
        # an error was its last answer, which tells no transactions: the next one may tell some of before
        self.owes_gtids: bool = False
        # the transport has ended, and who waits for that
        self._is_gone: bool = False
        self._closed_waiter: asyncio.Future[None] | None = None
        # binary prepared statements that exist on this connection
        self.statements: BackendStatements = BackendStatements()

    # Using it

    def start_relay(
        self,
        owner: Owner,
        wire: bytes,
        command: int,
        client_deprecate_eof: bool,
        track: TrackFilter | None,
        status: int,
    ) -> None:
        """Send a client's command, in wire form; the answer goes to `owner.relay`, then `owner.answered`."""
        self.owner = owner
        self.mode = RELAY
        self.tracker.begin(command, client_deprecate_eof, track, status)
        self.transport.write(wire)

    def run(
        self, owner: Owner, payloads: list[bytes], keeps_answers: bool = False, repeats: bool = True
    ) -> None:
        """Run commands of our own in order; the first refusal ends them. `owner.ran` follows. ``repeats``: a question that a KILL QUERY from
        elsewhere hits, which was meant for a statement of the client's, is asked again on MySQL."""
        self.repeats = MOST_REPEATS if repeats and not self.is_mariadb else 0
        self.owner = owner
        self.mode = OURS
        self.queue = payloads
        self.answers = [b""] if keeps_answers else None
        # the answers are for us, whatever the client does
        self.resume_reading()
        self._send_ours()

    def take(self, owner: Owner) -> None:
        """The next commands are this owner's."""
        self.owner = owner
        self.tracker.debt = None

    def hold(self) -> None:
        """The owner keeps it without a command running: what comes now is unasked."""
        self.mode = IDLE

    def rest(self) -> None:
        """Nobody uses it now."""
        self.owner = None
        self.likeness = self.vector
        self.mode = IDLE
        if self.is_reading_paused:
            self.resume_reading()

    def pause_reading(self) -> None:
        """The client does not read: leave the rest of the answer in the server."""
        if not self.is_reading_paused and self.mode != CLOSED:
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        if self.is_reading_paused and self.mode != CLOSED:
            self.is_reading_paused = False
            self.transport.resume_reading()

    def close(self, is_polite: bool) -> None:
        """Close the connection, with COM_QUIT where nothing is under way."""
        if self.mode == CLOSED:
            return
        self.mode = CLOSED
        self.owner = None
        if self.transport is None:
            return
        if is_polite:
            self.transport.write(b"\x01\x00\x00\x00\x01")
            self.transport.close()
        else:
            self.transport.abort()

    def leave(self) -> None:
        """Close the connection when the server has: it may have another one then. Whoever calls this sees to it that it `is_gone` some time."""
        self.mode = CLOSED
        self.owner = None
        self.transport.write(b"\x01\x00\x00\x00\x01")

    def is_gone(self) -> bool:
        """Whether the connection has ended, as seen from here."""
        return self.transport is None or self._is_gone

    async def wait_until_gone(self, limit: float) -> None:
        """Wait until the connection has ended, which `close` has begun; after `limit` seconds it is broken off."""
        if self.transport is None or self._is_gone:
            return
        self._closed_waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(limit):
                await self._closed_waiter
        except TimeoutError:
            self.transport.abort()

    def start_over(self) -> None:
        """While it opens: drop this connection for another one, of which nothing was used yet."""
        self.transport.set_protocol(asyncio.Protocol())
        self.transport.abort()
        self.transport = None
        self.inbox = Inbox()

    def give_up(self, cause: str) -> None:
        """The server takes too long: as if the connection were lost."""
        self._lost(cause)

    # Callbacks of the transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.mode == CLOSED:
            transport.abort()

    def data_received(self, chunk: bytes) -> None:
        mode = self.mode
        if mode == RELAY or mode == OURS:
            try:
                out = self.tracker.feed(chunk)
            except RemoteProtocolError as error:
                self._lost(f"unexpected bytes from {self.peer}: {error}")
                return
            owner = self.owner
            if mode == RELAY:
                if owner is not None:
                    if out:
                        owner.relay(out)
                    if self.tracker.is_complete and self.owner is owner:
                        owner.answered()
            else:
                self._received_ours(out)
        elif mode == OPENING:
            if self.inbox is not None:
                self.inbox.put(chunk)
        elif mode == IDLE:
            if self.owner is not None:
                self.owner.told_unasked(chunk)
            self._lost(f"{self.peer} sent something unasked")

    def eof_received(self) -> bool:
        self._lost(f"{self.peer} closed the connection")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(
            f"{self.peer} closed the connection"
            if error is None
            else f"lost the connection to {self.peer}: {error}"
        )
        self._is_gone = True
        if self._closed_waiter is not None and not self._closed_waiter.done():
            self._closed_waiter.set_result(None)

    def pause_writing(self) -> None:
        if self.owner is not None:
            self.owner.backend_write_paused(True)

    def resume_writing(self) -> None:
        if self.owner is not None:
            self.owner.backend_write_paused(False)

    # Inside

    def _send_ours(self) -> None:
        self.running = self.queue.pop(0)
        self._send_running()

    def _send_running(self) -> None:
        payload = self.running
        # what comes back is for us, so nothing needs translating: we read OK packets and trackers
        self.tracker.begin(payload[0], True, None, 0)
        wire = frame(payload)
        if len(wire) > MAX_PAYLOAD:
            self.tracker.count_on(answer_id(wire), answer_id(wire))
        self.transport.write(wire)

    def _received_ours(self, out: bytes) -> None:
        if self.answers is not None:
            self.answers[-1] += out
        if not self.tracker.is_complete:
            return
        if self.tracker.is_error and self._was_interrupted():
            self.repeats -= 1
            if self.answers is not None:
                self.answers[-1] = b""
            self._send_running()
            return
        changes, debt = self.tracker.changes, self.tracker.debt
        if changes is not None and debt is not None and self.running[0] != _COM_INIT_DB:
            debt.asked(changes)
        if self.queue and not self.tracker.is_error:
            if self.answers is not None:
                self.answers.append(b"")
            self._send_ours()
            return
        owner = self.owner
        if owner is not None:
            owner.ran(self.tracker.is_error)

    def _was_interrupted(self) -> bool:
        """Whether a question was interrupted that can be asked again. One for counts has changed nothing before it gives its row (MySQL 9.7,
        tried a hundred times). MariaDB's SHOW WARNINGS shows that error, and others."""
        tracker = self.tracker
        if tracker.error_code != INTERRUPTED or not self.repeats:
            return False
        if tracker.rows and _COUNTS in self.running:
            return False
        return self.running.startswith(_QUESTIONS)

    def _lost(self, cause: str) -> None:
        mode, owner = self.mode, self.owner
        if mode == CLOSED:
            return
        self.mode = CLOSED
        if self.transport is not None:
            self.transport.abort()
        if mode == OPENING:
            if self.inbox is not None:
                self.inbox.close(cause)
        elif owner is not None:
            self.owner = None
            owner.backend_lost(cause)
        else:
            self.listener.idle_backend_lost(self, cause)
