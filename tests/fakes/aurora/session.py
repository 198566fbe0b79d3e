"""One client's connection to an instance: its login, its commands one after the other, and a new engine under it.

Answers go to the client as they come; the tracker only looks where they end. While the backend is exchanged (`renew`) commands wait.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from protocol.client import Connected, Refused
from protocol.constants import Capability, Command, ServerStatus
from protocol.errors import RemoteProtocolError
from protocol.framing import MAX_PAYLOAD, CommandReader, FileReader, answer_id, frame, payload_of
from protocol.packets import build_err, build_ok
from protocol.response import ResponseTracker
from protocol.wire import read_uint32, uint32
from proxy.tasks import spawn
from tests.fakes.aurora.backend import Backend, Unreachable
from tests.fakes.aurora.carrying import carry_over
from tests.fakes.aurora.login import Greeter, Known
from tests.fakes.aurora.texts import NAMES, killed, rewritten
from tests.fakes.toxics import RESETTING

if TYPE_CHECKING:
    from tests.fakes.aurora.instance import Instance

LIMIT: Final = 1 << 30
# Commands that the server does not answer.
SILENT: Final = frozenset({Command.COM_STMT_CLOSE, Command.COM_STMT_SEND_LONG_DATA, Command.COM_QUIT})
# After these the connection is a stream of something else.
STREAMS: Final = frozenset({Command.COM_BINLOG_DUMP, Command.COM_BINLOG_DUMP_GTID, Command.COM_TABLE_DUMP})
TEXTS: Final = frozenset({Command.COM_QUERY, Command.COM_STMT_PREPARE})


REFUSED: Final = b"\xff" + (1290).to_bytes(2, "little")
REFUSALS: Final = {
    1836: b"Running in read-only mode",
    3161: b"Storage engine InnoDB is disabled (Table creation is disallowed).",
}
"""Other errors that Aurora's readers answer to writes, depending on what they try."""


class Session(asyncio.Protocol):
    """The client's side; owns its backend."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.face = instance.face()
        self.known: Known | None = None
        self.connection_id = 0
        # a command came before the answer to the one before it, where that is not stood: nothing is answered any more
        self.is_stuck = False
        self._transport: asyncio.Transport
        self._backend: Backend | None = None
        self._tracker = ResponseTracker(deprecate_eof=False, session_track=False)
        self._reader = CommandReader(LIMIT)
        self._queue: deque[bytes] = deque()
        self._greeter: Greeter | None = None
        self._file: FileReader | None = None
        # commands have to wait: nobody is logged in, or the backend is being exchanged
        self._is_waiting = True
        self._is_stream = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_resting(self) -> bool:
        """Whether nothing is under way: no login, no command, no transaction."""
        is_idle = self._tracker.is_complete and not self._is_waiting and self._greeter is None
        return is_idle and not self.is_in_transaction

    @property
    def is_in_transaction(self) -> bool:
        return bool(self._tracker.status & ServerStatus.IN_TRANS)

    def end(self, *, is_reset: bool = False) -> None:
        """Close the client's connection, or reset it."""
        if is_reset and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESETTING
            )
        self._transport.abort()

    # --- login

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = spawn(self._guarded(work), name=f"session of {self.instance.name}")

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Unreachable as refusal:
            self._transport.write(refusal.greeting)
            self._transport.close()

    async def _greet(self) -> None:
        self._backend = await Backend.open(self.instance.server.port)
        self.connection_id = self._backend.greeting.connection_id
        self._greeter = Greeter.of_connection(self._backend.greeting)
        self._transport.write(self._greeter.output())

    def _identify(self, greeter: Greeter, chunk: bytes) -> None:
        try:
            known = greeter.receive(chunk)
        except RemoteProtocolError as error:
            self._transport.write(greeter.login.reject(error.code, None, str(error).encode()))
            self._transport.close()
            return
        self._transport.write(greeter.output())
        if isinstance(known, Known):
            self._greeter = None
            self._is_waiting = True
            self._start(self._enter(greeter, known))
        elif known is not None:
            self._transport.write(greeter.login.reject(known.code, None, known.message))
            self._transport.close()

    async def _enter(self, greeter: Greeter, known: Known) -> None:
        """Log in to the real server, whose answer the client gets."""
        backend = self._backend
        if self.known is not None or backend is None:
            backend = await Backend.open(self.instance.server.port)
        outcome = await backend.log_in(known.request, known.password)
        if isinstance(outcome, Refused):
            self._transport.write(greeter.login.reject(outcome.code, outcome.sqlstate, outcome.message))
            self._transport.close()
            return
        self.known = known
        self.face = self.instance.face()
        self._adopt(backend, outcome)
        has_track = bool(outcome.capabilities & Capability.SESSION_TRACK)
        changes = outcome.changes if has_track else None
        ok = build_ok(status=outcome.status, warnings=outcome.warnings, changes=changes)
        self._transport.write(frame(ok, greeter.login.sequence_id))
        self._reader.feed(greeter.rest())
        self._resume()

    def _adopt(self, backend: Backend, connected: Connected) -> None:
        old, self._backend = self._backend, backend
        if old is not None and old is not backend:
            old.close()
        self._tracker = backend.tracker()
        self._tracker.status = connected.status
        self.instance.ids[self.connection_id] = connected.connection_id
        backend.owner = self
        if backend.is_lost:
            self.backend_lost()

    def _resume(self) -> None:
        self._is_waiting = False
        self._take_commands()

    # --- commands

    def _take_commands(self) -> None:
        while (wire := self._reader.next_command()) is not None:
            is_early = bool(self._queue) or self._is_waiting or not self._tracker.is_complete
            self.is_stuck |= is_early and self.instance.stalls_pipelining
            if not self.is_stuck:
                self._queue.append(wire)
        self._advance()

    def _advance(self) -> None:
        while self._queue and self._tracker.is_complete and not self._is_waiting and self._greeter is None:
            self._run(self._queue.popleft())

    def _run(self, wire: bytes) -> None:
        backend = self._backend
        assert backend is not None
        command = wire[4] if len(wire) > 4 else Command.COM_SLEEP
        if command == Command.COM_CHANGE_USER:
            self._greeter = Greeter.of_change(payload_of(wire), backend.capabilities)
            self._identify(self._greeter, b"")
            return
        wire = self._changed(wire, command)
        self._is_stream = command in STREAMS
        if command not in SILENT and not self._is_stream:
            backend.begin(self._tracker, command)
            self._tracker.count_on(answer_id(wire), answer_id(wire))
        backend.write(wire)

    def _changed(self, wire: bytes, command: int) -> bytes:
        """What the real server is sent instead of a command."""
        if command in TEXTS and len(wire) < MAX_PAYLOAD and NAMES.search(wire):
            text = wire[5:].decode("latin-1")
            self.face = self.instance.face(self.face.settings)
            new = killed(rewritten(text, self.face), self.instance.ids)
            return wire if new == text else frame(wire[4:5] + new.encode("latin-1"))
        if command == Command.COM_PROCESS_KILL:
            asked = read_uint32(payload_of(wire), 1)[0]
            return frame(wire[4:5] + uint32(self.instance.ids.get(asked, asked)))
        if command == Command.COM_RESET_CONNECTION:
            self.face = self.instance.face()
        return wire

    # --- the backend

    async def renew(self) -> None:
        """The engine under the connection is another, and all is lost that it held in memory for it: prepared statements, the last
        insert id, user variables, temporary tables. Session variables and the schema stay. A client that is not resting is cut off."""
        if not self.is_resting or self.known is None or self._backend is None:
            self.end()
            return
        self._is_waiting = True
        try:
            fresh = await Backend.open(self.instance.server.port)
            outcome = await fresh.log_in(self.known.request, self.known.password)
            if isinstance(outcome, Refused):
                raise Unreachable(b"")
            await carry_over(self._backend, fresh)
        except Unreachable:
            self.end()
            return
        self._adopt(fresh, outcome)
        self._resume()

    def came(self, chunk: bytes) -> None:
        self._transport.write(refused(chunk, self.instance.refusal))
        if self._tracker.is_complete:
            # unasked for: a last word before the connection ends, or a stream
            return
        self._tracker.feed(chunk)
        if self._tracker.is_infile:
            self._file = FileReader(self._tracker.client_sequence_id, self._tracker.sequence_id)
        self._advance()

    def backend_lost(self) -> None:
        self._transport.close()

    def _send_file(self, file: FileReader, chunk: bytes) -> None:
        assert self._backend is not None
        self._backend.write(file.feed(chunk))
        if file.is_complete:
            self._tracker.infile_sent(file.server_sequence_id)
            self._file = None
            self._reader.feed(file.rest)
            self._take_commands()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.instance.sessions.add(self)
        self._start(self._greet())

    def data_received(self, chunk: bytes) -> None:
        if self._is_stream:
            assert self._backend is not None
            self._backend.write(chunk)
        elif self._greeter is not None:
            self._identify(self._greeter, chunk)
        elif self._file is not None:
            self._send_file(self._file, chunk)
        else:
            self._reader.feed(chunk)
            try:
                self._take_commands()
            except RemoteProtocolError:
                self._transport.abort()

    def pause_writing(self) -> None:
        if self._backend is not None:
            self._backend.stop_reading(True)

    def resume_writing(self) -> None:
        if self._backend is not None:
            self._backend.stop_reading(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.instance.sessions.discard(self)
        self.instance.ids.pop(self.connection_id, None)
        if self._task is not None:
            self._task.cancel()
        if self._backend is not None:
            self._backend.close()


def refused(chunk: bytes, code: int) -> bytes:
    """An answer of the real server, where 1290 becomes the error with another code."""
    if code not in REFUSALS or chunk[4:7] != REFUSED:
        return chunk
    return frame(build_err(code, b"HY000", REFUSALS[code]), chunk[3])
