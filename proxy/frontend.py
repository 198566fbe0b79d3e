"""One client in the command phase: reads its commands, starts them, relays the answers. The pools are `Lessee`'s part.

Commands that come while one runs wait in `reader`, in order (pipelining), and reading stops when there are many. No task, future or
timer belongs to a client or a query: everything happens in callbacks.

References: MySQL documentation, "Command Phase", "Connection Lifecycle".
"""

from __future__ import annotations

from typing import Any, Final

from protocol.errors import ProtocolError
from protocol.framing import MAX_PAYLOAD, CommandReader, FileReader, answer_id, frame, payload_of
from protocol.response import DEFAULT_TRACK_FILTER, TrackFilter
from proxy import (
    beginning,
    binary,
    bouncing,
    idling,
    late_begin,
    long_data,
    losses,
    overwriting,
    own_commands,
    placing,
    replaying,
    several,
    special,
    telling,
    tidying,
    withholding,
)
from proxy.backend import Backend
from proxy.binary import AGAIN, COM_STMT_SEND_LONG_DATA, EXECUTING, HELD_BACK, STATEMENT_COMMANDS
from proxy.blame import BEGINS_SESSION, DECLINABLE, note_residue
from proxy.classify import NOTHING, Statement
from proxy.conditions import probe_command
from proxy.identity import Identity
from proxy.kept import NOTHING_KEPT
from proxy.lessee import Lessee
from proxy.pins import PinReason
from proxy.pool_states import NEVER
from proxy.prepared import Prepared, SessionStatements
from proxy.reasons import CloseReason
from proxy.replies import Failure, ok, refused_by_server, shutting_down, unknown_command
from proxy.session import HOLD, PARK, PROBE, SessionState
from proxy.shared import SESSION_POOLING, STATEMENT_POOLING, Shared
from proxy.states import (
    AWAITING_CAPTURE,
    AWAITING_KILL,
    CHANGING,
    CLOSED,
    HOLDING,
    PLACING,
    PROBING,
    READY,
    RELAYING,
    UNSTARTED,
    WAITING,
)
from proxy.tenants import IN_TRANSACTION

COM_QUIT: Final = 0x01
COM_QUERY: Final = 0x03
COM_PING: Final = 0x0E
FORWARDED: Final = frozenset({0x02, 0x04, 0x07, 0x08, 0x09, 0x0A, 0x0D})
"""INIT_DB, FIELD_LIST, REFRESH, SHUTDOWN, STATISTICS, PROCESS_INFO, DEBUG: passed on to whatever backend is leased."""

TOO_LARGE: Final = 1153
SESSION_TRACK: Final = 1 << 23
DEPRECATE_EOF: Final = 1 << 24
BACKLOG_LIMIT: Final = 65536
"""Bytes of pipelined commands that are read ahead while one runs; a client that sends more is left in the kernel's buffers."""
PAUSED_BY_BACKLOG: Final = 1
PAUSED_BY_SERVER: Final = 2
PAUSED_BY_CLIENT: Final = 4


class Frontend(Lessee):
    """One client after its login; an asyncio protocol. `attach` it to the transport that the login has left."""

    __slots__ = (
        "capabilities",
        "client_deprecate_eof",
        "cursors",
        "due_tick",
        "file",
        "greeting_nonce",
        "held_answer",
        "idle_since",
        "is_draining_reader",
        "is_relayed",
        "is_repeated",
        "is_secure",
        "is_write_paused",
        "login",
        "peer",
        "program",
        "read_pauses",
        "reader",
        "statements",
        "track",
        "transport",
    )

    def __init__(
        self,
        shared: Shared,
        identity: Identity,
        session: SessionState,
        connection_id: int,
        *,
        capabilities: int,
        is_reader_listener: bool,
        is_secure: bool,
        greeting_nonce: bytes,
        peer: str,
        program: str,
    ) -> None:
        super().__init__(shared, identity, session, connection_id, is_reader_listener)
        # what the client and we agreed on at its login
        self.capabilities: int = capabilities
        self.client_deprecate_eof: bool = capabilities & DEPRECATE_EOF != 0
        self.track: TrackFilter | None = DEFAULT_TRACK_FILTER if capabilities & SESSION_TRACK else None
        # a Unix socket or TLS: a clear password may come over it
        self.is_secure: bool = is_secure
        # some clients answer it again in COM_CHANGE_USER
        self.greeting_nonce: bytes = greeting_nonce
        # for logs, errors and /state: address of the client, program_name of its connect attributes (or application)
        self.peer: str = peer
        self.program: str = program
        self.transport: Any = None
        # when its last command began or ended, by the tick, and its bucket in `Shared.idle`
        self.idle_since: float = shared.now
        self.due_tick: int = 0
        # commands that are not complete or not started; None when there are none
        self.reader: CommandReader | None = None
        self.is_draining_reader: bool = False
        # something of the answer has gone to the client
        self.is_relayed: bool = False
        # follows a LOAD DATA LOCAL file while the client sends it
        self.file: FileReader | None = None
        # the client does not take what we write; why we do not read (PAUSED_BY_..)
        self.is_write_paused: bool = False
        self.read_pauses: int = 0
        # binary prepared statements, and those with an open cursor
        self.statements: SessionStatements | None = None
        self.cursors: dict[Prepared, None] = {}
        # pieces of an answer that the client must not see as it is, and whether its command has been repeated for that
        self.held_answer: list[bytes] = []
        self.is_repeated: bool = False
        # the re-authentication that COM_CHANGE_USER started (proxy.login.ChangeUser)
        self.login: Any = None

    def attach(self, transport: Any) -> None:
        """Begin: from now on the transport's callbacks come here."""
        self.transport = transport
        self.shared.frontends[self.connection_id] = self
        transport.set_protocol(self)
        idling.watch(self)
        if self.shared.pool_mode == SESSION_POOLING:
            self.session.pin(PinReason.SESSION_MODE)
        beginning.start(self)

    # Callbacks of the client's transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, chunk: bytes) -> None:
        self.shared.counters.bytes_in += len(chunk)
        state = self.state
        if state <= HOLDING and self.reader is None:
            size = len(chunk)
            if (
                size > 4
                and chunk[3] == 0
                and (chunk[0] | chunk[1] << 8 | chunk[2] << 16) + 4 == size < 0xFFFFFF
                and size - 4 <= self.shared.max_packet
            ):
                self.start(chunk)
                return
        elif state == RELAYING and self.backend is not None and self.backend.tracker.is_infile:
            special.relay_file(self, chunk)
            return
        elif state == CHANGING:
            self.login.data_received(chunk)
            return
        elif state == CLOSED:
            return
        self._read(chunk)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.close(CloseReason.CLIENT_LEFT)

    def pause_writing(self) -> None:
        """It does not take its answers: neither are more fetched nor more commands begun, as on a server that blocks."""
        self.is_write_paused = True
        self._pause_reading(PAUSED_BY_CLIENT)
        if self.backend is not None and self.state == RELAYING:
            self.backend.pause_reading()

    def resume_writing(self) -> None:
        self.is_write_paused = False
        if self.state == CLOSED:
            # the last of what was written has left
            return
        self._resume_reading(PAUSED_BY_CLIENT)
        if self.backend is not None:
            self.backend.resume_reading()
        if self.state <= HOLDING:
            self.start_waiting_commands()

    # Reading commands

    def _read(self, chunk: bytes) -> None:
        reader = self.reader
        if reader is None:
            reader = self.reader = CommandReader(self.shared.max_packet)
        try:
            reader.feed(chunk)
        except ProtocolError as error:
            self.bad_input(error)
            return
        if self.state <= HOLDING:
            self.start_waiting_commands()
        elif reader.buffered > BACKLOG_LIMIT:
            self._pause_reading(PAUSED_BY_BACKLOG)

    def start_waiting_commands(self) -> None:
        """Start what waits, as long as nothing runs."""
        if self.is_draining_reader:
            return
        self.is_draining_reader = True
        placement = self.placement
        while self.state <= HOLDING and not self.is_write_paused:
            if placement is not None and placement.after:
                self.wire = placement.after.pop(0)
                self.start(self.wire)
                continue
            if self.reader is None:
                break
            try:
                wire = self.reader.next_command()
            except ProtocolError as error:
                self.bad_input(error)
                break
            if wire is None:
                if not self.reader.has_partial:
                    self.reader = None
                self._resume_reading(PAUSED_BY_BACKLOG)
                break
            self.start(wire)
        self.is_draining_reader = False

    def bad_input(self, error: ProtocolError) -> None:
        """What the client sent is no packet, or not its turn: an error, one log line, and the end."""
        self.shared.log.warning("bad packet", peer=self.peer, user=self.user_name(), reason=str(error))
        code = getattr(error, "code", 0) or 1156
        sequence_id = 1
        if self.file is not None:
            sequence_id = self.file.sequence_id & 0xFF
        elif code == TOO_LARGE and self.reader is not None:
            # it follows the packets that announced too much
            sequence_id = answer_id(self.reader.take_raw())
        if self.state != RELAYING or not self.is_relayed or self.file is not None:
            self.send(Failure(code, str(error)).wire(sequence_id))
        self.close(CloseReason.PROTOCOL_ERROR)

    def _pause_reading(self, why: int) -> None:
        if not self.read_pauses:
            self.transport.pause_reading()
        self.read_pauses |= why

    def _resume_reading(self, why: int) -> None:
        if self.read_pauses & why:
            self.read_pauses &= ~why
            if not self.read_pauses:
                self.transport.resume_reading()

    # Starting commands

    def start(self, wire: bytes) -> None:
        """Begin a command of the client, in wire form."""
        if len(wire) == 4:  # an empty packet is no command: MySQL answers so, too
            self.send(unknown_command().wire(1))
            return
        command = wire[4]
        if self.parked is not None and command != COM_QUIT and self.is_being_captured():
            # what is known of the command before must not change until that is over
            self.wire = wire
            self.command = UNSTARTED
            self.state = AWAITING_CAPTURE
            return
        placement = self.placement
        if placement is not None and placement.begin and late_begin.comes_first(placement, wire):
            wire = placement.begin
            self.command = command = wire[4]
            if not replaying.may_begin(self, placement):
                return
        self.command = command
        self.idle_since = self.shared.now
        self.tries = 0
        self.is_relayed = False
        if command == COM_QUERY:
            self.shared.counters.queries += 1
            statement = self.shared.statements.lookup(wire, self.session.lexing)
            self.statement = statement
            if placement is not None and placing.leaves(self, placement, wire):
                return
            if self.session.lost and self.refuse_lost(statement):
                return
            if statement.is_special and self.start_special(wire, statement):
                return
            self.execute(wire)
            return
        self.statement = NOTHING
        if command == COM_PING:
            if self.backend is None:
                telling.send(self, ok(self.session.status, warnings=self.session.pinged()))
            else:
                self.execute(wire)
        elif command == COM_QUIT:
            self.close(CloseReason.CLIENT_QUIT)
        elif command in STATEMENT_COMMANDS:
            binary.start_statement_command(self, wire)
        elif command in FORWARDED:
            self.execute(wire)
        else:
            special.start_rare(self, wire)

    def start_special(self, wire: bytes, statement: Statement) -> bool:
        """KILL, questions about residue and the like: True when the statement needs nothing more."""
        if self.command == COM_QUERY:
            if wire[3]:
                return several.go_on(self, wire, statement)
            if statement.only_begins and self.shared.pool_mode != STATEMENT_POOLING:
                return False
        return special.start_special(self, wire, statement)

    def refuse_lost(self, statement: Statement) -> bool:
        """A question about what was lost with a backend: True when the session has ended for it."""
        return special.refuse_lost(self, statement)

    def run_command(self, backend: Backend) -> None:
        wire = self.wire
        if self.command != COM_QUERY:
            if self.command in special.OF_SESSION:
                special.run_of_session(self, backend)
                return
            if self.command in EXECUTING and self.executing is not None:
                wire = binary.run_on_backend(self, backend, self.executing)
                if not wire:
                    return
        self.state = RELAYING
        if self.statement.has_news:
            withholding.begin(self)
        session, track = self.session, self.track
        if session.placed:
            wire, track = tidying.rewritten(self, wire), tidying.track_of(self)
        if track is not None:
            track = telling.track_of(self, backend, track)
        if wire[3]:  # the client has got the beginning of the answer (`several`)
            wire = frame(payload_of(wire))
        backend.start_relay(self, wire, self.command, self.client_deprecate_eof, track, session.status)
        if len(wire) > MAX_PAYLOAD or self.wire[3]:
            backend.tracker.count_on(answer_id(wire), answer_id(self.wire))
        if self.placement is not None and self.placement.after:
            backend.tracker.drops_last = True
        if self.is_write_paused:
            backend.pause_reading()
        if backend.tracker.is_complete:
            # COM_STMT_CLOSE and SEND_LONG_DATA have no answer
            self.answered()

    # What the backend tells its owner

    def relay(self, chunk: bytes) -> None:
        if self.placement is not None:
            chunk = bouncing.shown(self, self.placement, chunk)
            if not chunk:
                return
        if self.command != COM_QUERY and self.command in HELD_BACK and binary.holds_back(self, chunk):
            return
        self.is_relayed = True
        self.shared.counters.bytes_out += len(chunk)
        self.transport.write(chunk)
        if self.reader is not None and self.backend is not None and self.backend.tracker.is_infile:
            # the file was sent unasked, or the client did not wait for our request
            early = self.reader.take_raw()
            self.reader = None
            self._resume_reading(PAUSED_BY_BACKLOG)
            if early:
                special.relay_file(self, early)

    def answered(self) -> None:
        backend = self.backend
        assert backend is not None
        session, tracker = self.session, backend.tracker
        placement = self.placement
        if placement is not None and placing.answered(self, placement, backend):
            return
        if self.command in STATEMENT_COMMANDS:
            verdict = binary.answered(self, backend)
            if verdict == AGAIN:
                return
        elif self.command == COM_QUERY:
            if backend.vector is None and tracker.is_error:
                overwriting.failed(self, backend)
                return
            verdict = session.completed(self.statement, tracker)
        else:
            verdict = session.completed_command(self.command, payload_of(self.wire), tracker)
        if tracker.is_error and self.shared.has_trackers:
            telling.failed(self)
        if backend.vector is not session.vector:
            verdict = self.vector_changed(backend, verdict)
        backend.variables = session.variables
        if self.statement.has_aftermath or (self.statement.may_release and session.completes_with_release()):
            special.aftermath(self, tracker)
            if self.state == CLOSED:
                return
        if placement is not None and placement.first and late_begin.goes_on(self, placement, backend):
            return
        self.settle(verdict)

    def ran(self, is_failed: bool) -> None:
        own_commands.ran(self, is_failed)

    def told_unasked(self, chunk: bytes) -> None:
        losses.told_unasked(self, chunk)

    def is_shut_down(self, backend: Backend) -> bool:
        """The server says that it is going down, in place of an answer: True when that is all the same as if it had gone."""
        return losses.shut_down(self, backend)

    def backend_lost(self, cause: str) -> None:
        losses.backend_lost(self, cause)

    def backend_write_paused(self, is_paused: bool) -> None:
        if is_paused:
            self._pause_reading(PAUSED_BY_SERVER)
        else:
            self._resume_reading(PAUSED_BY_SERVER)

    # After an answer

    def settle(self, verdict: int) -> None:
        """Carry out the predicate's verdict on the lease."""
        backend = self.backend
        assert backend is not None
        if verdict == PROBE:
            # `wire` stays: what the probe finds is of that command
            self.state = PROBING
            backend.run(self, [probe_command(self.session.vector.multi_statements)])
            return
        session = self.session
        if session.residue & DECLINABLE or self.residue_text:
            note_residue(self, self.state == PROBING)
        leaves_traces = bool(session.placed) or session.kept is not NOTHING_KEPT
        if leaves_traces and not (backend.kills and verdict != HOLD) and tidying.starts(self, backend):
            return
        self.idle_since = self.shared.now
        if verdict == HOLD and (session.pinned or self.counted_pins):
            self.count_pins()
        self.wire = b""
        if verdict == HOLD:
            backend.hold()
            self.state = HOLDING
        elif backend.kills:
            # the KILL could meet its next user's statement
            self.state = AWAITING_KILL
            backend.hold()
            return
        else:
            self.give_back(backend, verdict == PARK)
        is_waiting = self.placement is not None and bool(self.placement.after)
        if self.shared.is_draining and self.is_idle() and not is_waiting:
            self.close(CloseReason.DRAINED)
        elif is_waiting or self.reader is not None:
            self.start_waiting_commands()

    def restore_refused(self, backend: Backend) -> None:
        """The server refused to restore: its own error is the answer, as if the statement had met it."""
        self.failed_to_prepare(refused_by_server(backend.tracker))

    # Ending

    def close(self, reason: CloseReason) -> None:
        """End the session: the lease is given back clean or closed, the client's connection is closed."""
        if self.state == CLOSED:
            return
        state = self.state
        self.state = CLOSED
        self.reader = None
        shared = self.shared
        shared.frontends.pop(self.connection_id, None)
        shared.idle.forget(self)
        shared.counters.count_close("frontend", reason.value)
        shared.counters.frontends_open -= 1
        if state == WAITING:
            self.leave_queue()
        elif state == PLACING:
            placing.stop_waiting(self)
        if self.backend is not None:
            self.abandon(self.backend, state)
        self.unpark()
        if self.login is not None:
            self.login.abandon()
        if self.transport is not None:
            shared.clients_lingering.close(self.transport, shared.now)

    def drain(self) -> None:
        """The process ends: close now if nothing is under way, else when it is over."""
        if self.is_idle():
            self.send(shutting_down().wire(0))
            self.close(CloseReason.DRAINED)
        elif self.state == CHANGING:
            self.login.drain()

    def is_idle(self) -> bool:
        """Whether no statement and no transaction would be cut off. A pin alone is nothing that an end could be waited for."""
        if self.state == READY:
            # a transaction that has still to begin is one to its client
            return self.placement is None or not self.placement.begin
        return self.state == HOLDING and self.condition() != IN_TRANSACTION

    def forget_statements(self) -> None:
        """The session's prepared statements and cursors are no more."""
        if self.statements is not None:
            self.statements.forget()
        self.executing, self.cursors = None, {}

    def reconsider_lease(self) -> None:
        """Something that held the lease has ended without an answer from the server."""
        backend = self.backend
        if self.state == HOLDING and backend is not None:
            self.settle(self.session.verdict())

    # What the lessee asks for

    def send_failure(self, failure: Failure) -> None:
        placement = self.placement
        past = None if placement is None else placement.past
        if placement is not None and past is not None and past.failed(placement.begin == b""):
            self.close(CloseReason.BACKEND_LOST)
        elif self.command == COM_STMT_SEND_LONG_DATA:
            long_data.keep_failure(self, failure)
        elif self.command == BEGINS_SESSION:
            beginning.refuse(self, failure)
        else:
            wire = late_begin.refused_command(self)
            long_data.use_up(self, wire)
            self.send(failure.wire(answer_id(wire) if wire else 1))

    def restart_command(self) -> None:
        if self.command == UNSTARTED:
            self.start(self.wire)
        elif self.session.lost and self.refuse_lost(self.statement):
            return
        elif not (self.statement.is_special and self.start_special(self.wire, self.statement)):
            self.execute(self.wire)

    def lease_ended(self) -> None:
        self.file = None
        self.held_answer = []
        self._resume_reading(PAUSED_BY_SERVER)

    # Small things

    def run_text(self, text: bytes, sent: int = 0) -> None:
        """Run a text in the client's name, in place of what it sent. ``sent``: packets of the answer that the client has got."""
        self.start(frame(b"\x03" + text, sent))

    def go_on(self, rest: bytes) -> None:
        """Take bytes that were read before they were due."""
        if rest:
            self._read(rest)
        else:
            self.start_waiting_commands()

    def user_name(self) -> str:
        """For logs and /state."""
        return self.identity.credential.user.decode("utf-8", "replace")

    def answered_at(self) -> float:
        return self.idle_since if self.state == HOLDING else NEVER

    def who(self) -> str:
        application = f"application {self.program}, " if self.program else ""
        return f"{application}user {self.user_name()} from {self.peer}"

    def send(self, wire: bytes) -> None:
        """Send the client an answer of our own."""
        self.shared.counters.bytes_out += len(wire)
        self.transport.write(wire)
