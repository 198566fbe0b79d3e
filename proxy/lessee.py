"""A session's dealings with the pools: the lease, the place in the queue, the soft claim on what it parked.

What state a session is in is in `states`. There is at most one lease, and it ends by `give_back`, `discard` or `abandon` and in no other way.
"""

from __future__ import annotations

from typing import Final

from proxy import bouncing, catching_up, demotion, reader_listener, unseen, verifying
from proxy.backend import Backend
from proxy.blame import count_pins
from proxy.classify import NOTHING, Statement
from proxy.clearing import mark_commands
from proxy.conditions import INSERT_ID, SOILED
from proxy.endpoint import Endpoint
from proxy.identity import IGNORE_SPACE, Identity, PoolKey
from proxy.jobs import reset_commands
from proxy.keeping import commands_before_ours, lease_lost, ours_may_run, place, reads_kept, warnings_read
from proxy.lease_ticket import LeaseTicket
from proxy.lexer import ODD_BYTES
from proxy.overwriting import overwrites as overwrites_state
from proxy.pin_records import SessionPins
from proxy.pins import PinReason
from proxy.placement import Placement
from proxy.placing import place as placed
from proxy.placing import stop_waiting
from proxy.pool_actions import PoolMoved
from proxy.pool_states import RESETTING as RESETTING_MEMBER
from proxy.prepared import Prepared
from proxy.reasons import CloseReason
from proxy.recording import DISCARDED, FREE, LEFT, PARKED, REFUSED, Recording
from proxy.replies import Failure, not_movable, refused_by_server
from proxy.session import PARK, RELEASE, SessionState
from proxy.shared import Shared
from proxy.statement import SETS_AUTOCOMMIT
from proxy.states import (
    AWAITING_CAPTURE,
    CAPTURING,
    CLEANING,
    CLOSED,
    HOLDING,
    KILLING,
    KILLING_HELD,
    PLACING,
    PREPARING,
    READY,
    RELAYING,
    SURVEYING,
    UNSTARTED,
    WAITING,
)
from proxy.stranding import note_pins, strand
from proxy.tenants import IN_TRANSACTION, PINNED, RUNNING, Holder
from proxy.variables import CAPTURED, KEEPS_VARIABLES, KEEPS_WARNINGS, overwrites, restore_command
from proxy.vector import restore_commands

IN_TRANS: Final = 1


class Lessee(Holder):
    """One session as the pools see it. The frontend is a subclass: it knows the client."""

    __slots__ = (
        "backend",
        "command",
        "connection_id",
        "counted_pins",
        "counts_time",
        "endpoint",
        "executing",
        "identity",
        "is_reader_listener",
        "parked",
        "parked_endpoint",
        "pins",
        "placement",
        "residue_text",
        "session",
        "shared",
        "state",
        "statement",
        "ticket",
        "tries",
        "wire",
    )

    def __init__(
        self,
        shared: Shared,
        identity: Identity,
        session: SessionState,
        connection_id: int,
        is_reader_listener: bool,
    ) -> None:
        self.shared: Shared = shared
        self.connection_id: int = connection_id
        self.identity: Identity = identity
        self.session: SessionState = session
        # it leases from readers
        self.is_reader_listener: bool = is_reader_listener
        self.state: int = READY
        # the lease and where it is from; only both or neither
        self.backend: Backend | None = None
        self.endpoint: Endpoint | None = None
        # where residue of this session is: a soft claim
        self.parked: Backend | None = None
        self.parked_endpoint: Endpoint | None = None
        # made at the first need, and used again
        self.ticket: LeaseTicket | None = None
        # the command that waits or runs, in wire form, and what its text says
        self.wire: bytes = b""
        self.command: int = 0
        self.statement: Statement = NOTHING
        # the binary prepared statement that is being executed
        self.executing: Prepared | None = None
        # bits of the pins that are recorded, whether their time is charged, and their records; of this lease
        self.counted_pins: int = 0
        self.counts_time: bool = False
        self.pins: SessionPins | None = None
        # the text that has left what may have to stay on its backend (`blame`)
        self.residue_text: bytes = b""
        # where its commands run, and what it has seen; None where there is nothing to choose
        self.placement: Placement | None = None
        # backends that were lost before the command could be sent
        self.tries: int = 0

    # What the frontend does

    def run_command(self, backend: Backend) -> None:
        """The backend has the session's state: send it `wire`."""
        raise NotImplementedError

    def send_failure(self, failure: Failure) -> None:
        """The client's answer is an error of ours."""
        raise NotImplementedError

    def send(self, wire: bytes) -> None:
        """The client's answer is one of ours."""
        raise NotImplementedError

    def start_waiting_commands(self) -> None:
        """A command is over."""
        raise NotImplementedError

    def restart_command(self) -> None:
        """Deal with `wire` anew: what the session knows has changed."""
        raise NotImplementedError

    def refuse_lost(self, statement: Statement) -> bool:
        """A question about what was lost with a backend: True when the session has ended for it."""
        raise NotImplementedError

    def lease_ended(self) -> None:
        """The backend is gone: what depended on it is void."""
        raise NotImplementedError

    def close(self, reason: CloseReason) -> None:
        """The session is over."""
        raise NotImplementedError

    # Getting a backend

    def execute(self, wire: bytes) -> None:
        """Run a command on the lease, or on a backend that is asked for now."""
        self.wire = wire
        backend = self.backend
        if backend is None:
            self.acquire()
            return
        session = self.session
        placing = self.shared.placing
        if self.is_reader_listener and placing is not None and reader_listener.refuses(self, placing):
            return
        if session.pinned:
            if self.shared.cluster is not None and demotion.is_stranded(self, self.shared.cluster):
                demotion.end_stranded(self)
                return
            placement = self.placement
            if placing is not None and placement is not None and bouncing.may_write_there(self, placement):
                strand(self, placing, placement)
                return
            self.count_pinned_command()
        is_odd = session.lexing & ODD_BYTES
        if self.statement.needs_prepare or is_odd or (session.insert_id and unseen.reads(self)):
            # its insert id may still have to be restored, or kept variables have to be put there
            self.prepare(backend)
        else:
            self.run_command(backend)

    def acquire(self) -> None:
        """Get a backend for `wire`: now, or later through the ticket."""
        identity, session = self.identity, self.session
        ticket = self.ticket
        if ticket is None:
            ticket = self.ticket = LeaseTicket(self, identity)
        ticket.key = identity.key_for(session.vector.schema)
        ticket.likeness = identity.vector = session.vector
        endpoint = self.parked_endpoint
        placing = self.shared.placing
        if placing is not None:
            endpoint = placed(self, placing)
            if endpoint is None:
                return
        elif endpoint is None:
            endpoint = self.shared.choose(self.is_reader_listener)
        if endpoint.quotas:
            ticket.quota = endpoint.quotas.get(session.vector.schema or b"")
        if endpoint is self.parked_endpoint and self._claim(ticket):
            return
        self.endpoint = endpoint
        backend = endpoint.acquire(ticket)
        if backend is not None:
            self._granted(backend)
        elif ticket.error is not None:
            self._refused(ticket)
        else:
            self.state = WAITING

    def _claim(self, ticket: LeaseTicket) -> bool:
        """Take the parked backend back; False when the pool has to be asked for one."""
        backend, endpoint = self.parked, self.parked_endpoint
        assert backend is not None and endpoint is not None
        if not endpoint.claim(self, backend, ticket):
            if self.is_being_captured():
                # it is being captured: nothing of ours may run before that is known
                self.state = AWAITING_CAPTURE
                return True
            # the pool is paused: it will grant the parked one, or another after a capture
            return False
        self.endpoint = endpoint
        self._begin_lease(backend)
        self.shared.counters.leases += 1
        self.prepare(backend)
        return True

    def woken(self, ticket: LeaseTicket) -> None:
        """The pool has decided about our ticket."""
        if self.state != WAITING:
            return
        if isinstance(ticket.error, PoolMoved):
            self.endpoint, self.state = None, READY
            self.run_elsewhere()
            return
        self.shared.counters.observe_wait(self.shared.loop.time() - ticket.enqueued_at)
        member = ticket.member
        if isinstance(member, Backend):
            self._granted(member)
        else:
            self.shared.counters.acquire_failures += 1
            self._refused(ticket)
            self.start_waiting_commands()

    def run_elsewhere(self) -> None:
        """The backend was lost before the command ran. Another can run it, unless only that one knew what it asks for."""
        if not (self.session.lost and self.refuse_lost(self.statement)):
            self.acquire()
            self.start_waiting_commands()

    def stop_waiting(self, failure: Failure) -> None:
        """Leave the queue: the command is answered with this error."""
        self.leave_queue()
        self.state = READY
        self.send_failure(failure)
        self.start_waiting_commands()

    def leave_queue(self) -> None:
        """The client does not wait any longer."""
        ticket, endpoint = self.ticket, self.endpoint
        assert ticket is not None and endpoint is not None
        self._end_lease(LEFT)
        endpoint.cancel(ticket)

    def _refused(self, ticket: LeaseTicket) -> None:
        endpoint = self.endpoint
        assert endpoint is not None
        self._end_lease(REFUSED)
        self.state = READY
        failure = endpoint.failure_of(ticket)
        if self.placement is None or not bouncing.tries_another(self, self.placement, failure):
            self.send_failure(failure)

    def _granted(self, backend: Backend) -> None:
        self._begin_lease(backend)
        self.shared.counters.leases += 1
        if not backend.is_doubtful or not verifying.asks(self, backend):
            self.prepare(backend)

    def _begin_lease(self, backend: Backend) -> None:
        self.backend = backend
        backend.take(self)
        if backend is self.parked:
            self.parked = None
            self.parked_endpoint = None

    def prepare(self, backend: Backend) -> None:
        """Bring the backend to the session's state: nothing to do in the steady state."""
        session, placement = self.session, self.placement
        if placement is not None and placement.awaited is not None and catching_up.asks(self, placement):
            return
        if (
            backend.vector is session.vector
            and backend.variables is session.variables
            and not self.statement.needs_prepare
            and not session.insert_id
            and not session.lexing & ODD_BYTES
        ):
            self.run_command(backend)
            return
        variables = session.variables
        if backend.variables is not variables and not overwrites(variables, backend.variables):
            self._clean(backend)
            return
        if session.insert_id and unseen.asks_first(self, backend):
            return
        if self.statement.flags & SETS_AUTOCOMMIT and overwrites_state(self, backend):
            self.run_command(backend)
            return
        reads = reads_kept(session, self.statement)
        if reads and self.captures_first(backend):
            return
        commands: list[bytes] | None = []
        if backend.vector is not session.vector:
            assert backend.vector is not None
            commands = restore_commands(backend.vector, session.vector)
        if commands is None:
            self.failed_to_prepare(not_movable("its state cannot be restored by statements"))
            return
        if variables is not None and backend.variables is not variables:
            commands.append(restore_command(variables))
        if self.statement.finds_residue or session.lexing & ODD_BYTES:
            commands.extend(session.restore_residue(self.statement))
        if not self.statement.reads_insert_id and session.insert_id and unseen.reads(self):
            commands.append(unseen.restore(session))
        commands.extend(mark_commands(session, self.statement))
        if reads:
            commands.append(place(session, reads))
        if not commands:
            self.run_command(backend)
            return
        self.state = PREPARING
        self.shared.counters.restores += 1
        backend.run(self, commands)

    def was_prepared(self, backend: Backend) -> None:
        """The backend has the session's state."""
        backend.vector = self.session.vector
        backend.variables = self.session.variables
        self.run_command(backend)

    def survey(self, backend: Backend, commands: list[bytes]) -> None:
        """Ask these on the lease (`unseen`)."""
        self.state = SURVEYING
        backend.run(self, commands, keeps_answers=True)

    def _clean(self, backend: Backend) -> None:
        """The backend has user variables of another session. No statement makes them as if they had never been."""
        endpoint, key = self.endpoint, backend.key
        assert endpoint is not None and isinstance(key, PoolKey)
        if key.capabilities & IGNORE_SPACE:
            # a reset would end that
            self.backend = self.endpoint = None
            self.state = READY
            endpoint.discard(backend, CloseReason.DIRTY)
            self.acquire()
            self.start_waiting_commands()
            return
        self.state = CLEANING
        self.shared.counters.resets += 1
        backend.run(self, reset_commands(backend))

    def was_cleaned(self, backend: Backend, is_failed: bool) -> None:
        """The backend has answered."""
        endpoint = self.endpoint
        assert endpoint is not None
        if is_failed:
            self.failed_to_prepare(refused_by_server(backend.tracker))
            return
        endpoint.note_reset(backend)
        self.prepare(backend)

    def captures_first(self, backend: Backend) -> bool:
        """Commands of ours are to run before the client's: what they would destroy is read first. False when that is nothing."""
        commands = commands_before_ours(self.session)
        if commands:
            self.state = CAPTURING
            backend.run(self, commands, keeps_answers=True)
            return True
        ours_may_run(self.session, [])
        return False

    def captured_here(self, backend: Backend, is_failed: bool) -> None:
        """The answers have come."""
        answers, backend.answers = backend.answers or [], None
        if is_failed:
            self.failed_to_prepare(not_movable("what its last statement left behind could not be read"))
            return
        if self.command == UNSTARTED:
            warnings_read(self.session, answers[0])
            backend.hold()
            self.state = HOLDING
            self.restart_command()
            self.start_waiting_commands()
        else:
            ours_may_run(self.session, answers)
            self.prepare(backend)

    def failed_to_prepare(self, failure: Failure) -> None:
        """The session cannot be continued on the backend: the client gets the error, and the backend is closed. So is the connection of
        a session that held something on it."""
        was_held = self.is_held()
        self.discard(CloseReason.RESTORE_FAILED)
        self.send_failure(failure)
        if was_held:
            self.close(CloseReason.BACKEND_LOST)
        else:
            self.start_waiting_commands()

    # Ending the lease

    def vector_changed(self, backend: Backend, verdict: int) -> int:
        """The command has set something, as ORMs do before and after a transaction: what the next one needs is on this backend and on
        hardly another. So the session parks it instead of giving it up, without residue: whoever needs it has it for nothing. Not while
        the pool may grow: it would rather open another than take a parked one."""
        backend.vector = self.session.vector
        endpoint = self.endpoint
        return PARK if verdict == RELEASE and endpoint is not None and endpoint.is_full() else verdict

    def give_back(self, backend: Backend, is_parked: bool) -> None:
        """End the lease with the backend in order; `is_parked`: with residue of ours on it."""
        endpoint = self.endpoint
        assert endpoint is not None
        key = self.identity.key_for(self.session.vector.schema)
        self._end_lease(PARKED if is_parked else FREE)
        self.state = READY
        if is_parked:
            self.parked = backend
            self.parked_endpoint = endpoint
            endpoint.park(backend, key, self)
        else:
            endpoint.release(backend, key)

    def discard(self, reason: CloseReason) -> None:
        """End the lease by closing the backend."""
        backend, endpoint = self.backend, self.endpoint
        self._end_lease(DISCARDED)
        self.session.residue_lost()
        lease_lost(self.session)
        self.lease_ended()
        if self.state != CLOSED:
            self.state = READY
        if backend is not None and endpoint is not None:
            endpoint.discard(backend, reason)

    def abandon(self, backend: Backend, state: int) -> None:
        """The client is gone while we lease: what runs is killed, what is held is reset."""
        endpoint = self.endpoint
        assert endpoint is not None
        self._end_lease(FREE if state == HOLDING else DISCARDED)
        if state == HOLDING and not self.session.needs_close and not backend.kills:
            endpoint.release_dirty(backend, self.identity.key_for(self.session.vector.schema))
        elif state == RELAYING:
            endpoint.kill_and_discard(backend, self.identity)
        else:
            endpoint.discard(backend, CloseReason.DIRTY)

    def _end_lease(self, outcome: int) -> None:
        """The lease is over, or the wait for one."""
        recording = self.shared.counters.recording
        if recording is not None:
            self.record(recording, outcome)
        self.backend = None
        self.endpoint = None
        if self.pins is not None:
            self.end_pins()

    def record(self, recording: Recording, outcome: int) -> None:
        """What became of the lease, or of the wait for one. Nothing without either."""
        backend, endpoint, ticket = self.backend, self.endpoint, self.ticket
        if endpoint is not None and ticket is not None:
            now = self.shared.loop.time()
            granted = now if backend is None else backend.leased_since
            recording.note(self.connection_id, endpoint.name, ticket, granted, now, outcome)

    def count_pins(self, by_residue: bool = False) -> None:
        """After an answer: the session is pinned, or was. ``by_residue``: for what an earlier command has left."""
        before = self.counted_pins
        count_pins(self, by_residue)
        if self.placement is not None and not by_residue:
            note_pins(self, self.placement, before)

    def end_pins(self) -> None:
        """The lease is over, and what was pinned to it."""
        if self.pins is not None:
            self.pins.end(self.shared.loop.time())
            self.pins = None
        self.counted_pins = 0

    def count_pinned_command(self) -> None:
        """A command runs on a lease that was kept for a pin; within a transaction it would have been kept anyway."""
        if not self.session.status & IN_TRANS:
            self.shared.counters.pinned_commands += 1

    def is_being_captured(self) -> bool:
        """Whether residue of the session is being read for it."""
        return self.parked is not None and self.parked.state == RESETTING_MEMBER

    def is_held(self) -> bool:
        """Whether the session has something on its backend that no other has: a transaction or a pin."""
        return self.session.is_held()

    # Residue (Holder)

    def condition(self) -> str:
        if self.session.status & IN_TRANS:
            return IN_TRANSACTION
        if self.session.pinned:
            return PINNED
        return RUNNING

    def process(self) -> str:
        return self.identity.process

    def pin_words(self) -> list[str]:
        return [reason.value for reason in self.session.pin_reasons()]

    def capture_commands(self) -> list[bytes]:
        return self.session.capture_commands(self.shared.max_captured)

    def may_be_refused(self) -> bool:
        return self.session.is_asking_names()

    def captured(self, backend: Backend, answers: list[bytes]) -> int:
        if self.parked is not backend:
            return CAPTURED
        session = self.session
        result = session.captured_residue(answers, self.shared.max_captured)
        if result == CAPTURED:
            backend.variables = session.variables
            self.parked = None
            self.parked_endpoint = None
            self.residue_text = b""
            self._capture_ended()
        elif result == KEEPS_WARNINGS:
            session.pin(PinReason.DIAGNOSTICS)
        elif result == KEEPS_VARIABLES:
            backend.variables = session.variables
            session.pin(PinReason.USER_VARIABLE)
        return result

    def keeping_ticket(self) -> LeaseTicket:
        assert self.ticket is not None
        return self.ticket

    def keeps(self, backend: Backend) -> None:
        state = self.state
        self.endpoint = self.parked_endpoint
        self._begin_lease(backend)
        self.shared.counters.leases += 1
        backend.hold()
        self.state = KILLING_HELD if state == KILLING else HOLDING
        self.count_pins(by_residue=True)
        if state == PLACING:
            stop_waiting(self)
        if state == AWAITING_CAPTURE or state == PLACING:
            self.restart_command()
            self.start_waiting_commands()

    def capture_failed(self, backend: Backend) -> None:
        if self.parked is not backend:
            return
        self.parked = None
        self.parked_endpoint = None
        self.session.residue_lost()
        self._capture_ended()

    def _capture_ended(self) -> None:
        if self.state == AWAITING_CAPTURE:
            self.state = READY
            self.restart_command()
            self.start_waiting_commands()

    def unpark(self) -> None:
        """The session no longer cares for its residue."""
        backend, endpoint = self.parked, self.parked_endpoint
        if backend is not None and endpoint is not None:
            self.parked = None
            self.parked_endpoint = None
            endpoint.unpark(backend, self, self.session.residue & (INSERT_ID | SOILED) != 0)
