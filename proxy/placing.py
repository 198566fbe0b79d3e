"""Which server a command runs on: joins `routing` (which side?) and `readers` (which of them?) to the data path. Functions on a `Lessee`.

`Shared.placing` is None where there is nothing to choose: the data path then asks for that one attribute and does nothing else of this.

A command is placed when its session asks for a backend, in `place`. A session that holds its lease goes on there. For a read:

    a reader that is near enough and safe for the session (`ReaderTable.choose`)
    else one that will be when it has some transactions (`catching_up`)
    else by `routing.fallback`: the writer, as far as `fallback_rate` goes; or it waits (PLACING) for the next look at the readers; or an error

What the session has parked stays where it is as long as that is where its next command goes. Otherwise it is captured first, as when somebody else
needs that backend.

What another server runs in the end is `bouncing`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from protocol.framing import payload_of
from proxy import (
    bouncing,
    catching_up,
    demotion,
    endings,
    late_begin,
    leaving,
    moving,
    queueing,
    recommitting,
    replaying,
)
from proxy.backend import Backend
from proxy.balance import Contender, TokenBucket
from proxy.blame import BEGINS_SESSION
from proxy.endpoint import Endpoint
from proxy.fences import NEVER, KeyedFences
from proxy.hints import LONGEST_KEY
from proxy.lexer import lexing_of
from proxy.placement import NO_RECORD, Placement, TextRecord, Texts, is_autocommit, is_fenced
from proxy.placing_rules import TO_FAIL, TO_WAIT, PlacingRules
from proxy.pool_states import RESETTING as RESETTING_MEMBER
from proxy.prepared import FLAGS_AT, WANTS_CURSOR
from proxy.readers import NOT_SAFE, READ_AHEAD, REFUSAL_NAMES, SESSION, ReaderTable
from proxy.replies import Failure, deadlock, no_reader
from proxy.routing import (
    BEGINS_NOTHING,
    BOUNCED,
    IN_HELD_SESSION,
    IN_READ_ONLY,
    NOT_PROVED,
    PROVED_READ,
    READER,
    READER_LISTENER,
    REASON_NAMES,
    SIDES,
    route,
)
from proxy.states import AWAITING_CAPTURE, PLACING, READY
from proxy.stranding import StrandedAccounts

if TYPE_CHECKING:
    from proxy.frontend import Frontend
    from proxy.lessee import Lessee

CAUSAL_ATTRIBUTE: Final = b"fanin_causal"
"""Connect attribute: as the hint `causal`, for all of a session."""
TEXT_AT: Final = 5
"""Where the text is in a COM_QUERY or COM_STMT_PREPARE in wire form."""
_SPLIT: Final = b"\xff\xff\xff"
COM_QUERY: Final = 0x03
COM_STMT_PREPARE: Final = 0x16
COM_STMT_EXECUTE: Final = 0x17
MOST_BOUNCED: Final = 1000
"""Texts, without their literals, that are remembered."""
MOST_TEXT_BYTES: Final = 8 << 20
"""Of what is known of texts."""
PATIENCE: Final = 0.1
MOST_PATIENCE: Final = 10.0
"""Seconds for which a session reads on the writer before it waits for readers to catch up with what it has read there; longer where that takes them
longer (`Placing.patience`)."""
READ_AHEAD_WAIT: Final = 0.5
ASKING: Final = 0.05
"""Seconds between two extra looks at the readers, for those who wait."""


class Placing:
    """What the process knows for placing. Whoever keeps the topology keeps `table` and `endpoints`, and calls `look` when there is news."""

    __slots__ = (
        "ask",
        "asked_at",
        "bounced",
        "bounces",
        "bucket",
        "caught_up",
        "clock",
        "endpoints",
        "fallbacks",
        "fences",
        "hurry",
        "is_hurried",
        "learned",
        "missed",
        "moved",
        "patience",
        "random",
        "refused",
        "rules",
        "stranded",
        "stuck",
        "table",
        "texts",
        "to_readers",
        "to_writer",
        "unfenced_at",
        "waiting",
        "waits",
    )

    def __init__(self, table: ReaderTable, rules: PlacingRules) -> None:
        self.table: ReaderTable = table
        self.rules: PlacingRules = rules
        # every server that may be a reader, by its name in the table
        self.endpoints: dict[str, Endpoint] = {}
        self.texts: Texts = Texts(MOST_TEXT_BYTES)
        self.fences: KeyedFences = KeyedFences(rules.causal_keys)
        rate = rules.fallback_rate
        self.bucket: TokenBucket = TokenBucket(rate, rate)
        # of what a reader has refused, the oldest first
        self.bounced: dict[str, None] = {}
        self.stranded: StrandedAccounts = StrandedAccounts()
        # commands that wait for a reader, the oldest first
        self.waiting: dict[Lessee, None] = {}
        # the last write that some session must see
        self.unfenced_at: float = NEVER
        # tells the monitor to look at the readers more often, or no longer
        self.hurry: Callable[[bool], None] = _nobody
        self.is_hurried: bool = False
        # has it look at all of them now; when that was last
        self.ask: Callable[[], None] = _nothing
        self.asked_at: float = NEVER
        # seconds; see PATIENCE
        self.patience: float = PATIENCE
        self.clock: Callable[[], float] = time.monotonic
        self.random: Callable[[], float] = random.random
        # commands by routing's reasons, and where they went; reads that no reader could have, by `readers.REFUSAL_NAMES`
        self.to_writer: list[int] = [0] * len(REASON_NAMES)
        self.to_readers: list[int] = [0] * len(REASON_NAMES)
        self.fallbacks: list[int] = [0] * len(REFUSAL_NAMES)
        # of those: how many waited, and were answered with an error
        self.waits: int = 0
        self.refused: int = 0
        # commands that a reader refused and the writer ran; sessions that were closed because they were pinned to a reader and wrote
        self.bounces: int = 0
        self.stuck: int = 0
        # accounts of those
        self.learned: int = 0
        # reads for which a reader waited until it had what the session has written, and those for which it waited in vain
        self.caught_up: int = 0
        self.missed: int = 0
        # how often one was sent away from a reader's queue (`queueing`)
        self.moved: int = 0

    def wrote(self, now: float, placement: Placement) -> None:
        """A session has committed a write that it must see from now on, and so must who uses its keys."""
        self.unfenced_at = now
        for key in placement.keys:
            self.fences.wrote(key, now, placement.told)
        placement.fenced()
        if not self.is_hurried and self.table.consistency == SESSION:
            self._hurry()

    def wait(self, lessee: Lessee) -> None:
        """It goes on when there is news of the readers."""
        self.waiting[lessee] = None
        lessee.state = PLACING
        if not self.is_hurried:
            self._hurry()
        now = self.clock()
        if now - self.asked_at >= ASKING:
            self.asked_at = now
            self.ask()

    def _hurry(self) -> None:
        self.is_hurried = True
        self.hurry(True)

    def look(self) -> None:
        """There may be news of the readers, or time has passed: those who wait are placed anew."""
        if self.is_hurried:
            passed = self.table.passed()
            self.fences.passed(passed)
            if passed >= self.unfenced_at and not self.waiting:
                self.is_hurried = False
                self.hurry(False)
        for lessee in list(self.waiting):
            if lessee in self.waiting and lessee.state == PLACING:
                del self.waiting[lessee]
                lessee.state = READY
                lessee.acquire()
                lessee.start_waiting_commands()
        queueing.look(self)

    def is_bounced(self, record: TextRecord) -> bool:
        """Whether a reader has refused this text, or one like it."""
        return bool(self.bounced) and bool(record.text) and record.digest() in self.bounced

    def remember(self, record: TextRecord) -> None:
        """It is not for readers."""
        if record.text:
            if len(self.bounced) >= MOST_BOUNCED:
                del self.bounced[next(iter(self.bounced))]
            self.bounced[record.digest()] = None

    def routes(self) -> dict[str, dict[str, int]]:
        """Where commands went, and why; for people and metrics."""
        return {
            "writer": _named(REASON_NAMES, self.to_writer),
            "reader": _named(REASON_NAMES, self.to_readers),
            "without_reader": _named(REFUSAL_NAMES, self.fallbacks),
            "events": _named(_EVENTS, self._events()),
        }

    def _events(self) -> list[int]:
        return [
            self.waits,
            self.refused,
            self.bounces,
            self.stuck,
            self.learned,
            self.caught_up,
            self.missed,
            self.moved,
        ]


_EVENTS: Final = (
    "waited-for-reader",
    "refused",
    "bounced",
    "pinned-to-reader",
    "stranded-accounts",
    "reader-caught-up",
    "reader-late",
    "left-queue",
)


def _nobody(is_hurried: bool) -> None:
    """Nobody looks at the readers."""
    del is_hurried


def _nothing() -> None:
    """The same."""


def _named(names: tuple[str, ...], counts: list[int]) -> dict[str, int]:
    return {name: count for name, count in zip(names, counts, strict=True) if count}


# Placing a command


def begin(lessee: Lessee, attributes: Mapping[bytes, bytes]) -> None:
    """A client has logged in with these connect attributes."""
    key = attributes.get(CAUSAL_ATTRIBUTE, b"")
    if lessee.shared.placing is not None and 0 < len(key) <= LONGEST_KEY:
        lessee.placement = Placement(lessee.is_reader_listener, key)


def place(lessee: Lessee, placing: Placing) -> Endpoint | None:
    """The endpoint for the command of a session without a lease. None: that has been dealt with, it waits or was refused."""
    placement = lessee.placement
    if placement is None:
        placement = lessee.placement = Placement(lessee.is_reader_listener)
    placement.record = record_of_command(lessee, placing)
    placement.wire = lessee.wire
    placement.awaited = None
    if placement.owes_deadlock:
        placement.owes_deadlock = False
        if not gives_up(placement, placement.record.text):
            lessee.state = READY
            lessee.send_failure(deadlock())
            return None
    if placement.first:
        placement.record = late_begin.record_of_first(placement, placement.record)
    endpoint = _chosen(lessee, placing, placement)
    if endpoint is None:
        return None
    if placing.rules.late_begin and late_begin.may_wait(lessee, placement):
        late_begin.answer(lessee, placement)
        return None
    placement.until = 0.0
    if lessee.parked_endpoint not in (None, endpoint) and not _leaves_parked(lessee):
        return None
    counts = placing.to_writer if placement.reader is None else placing.to_readers
    # (as in Members.move)
    counts[placement.reason] = counts[placement.reason] + 1
    return endpoint


def gives_up(placement: Placement, text: bytes) -> bool:
    """Whether the client ends its transaction with nothing lost: it need not hear that it was over."""
    return endings.rolls_back(text) or (placement.has_read_only and endings.only_commits(text))


def _chosen(lessee: Lessee, placing: Placing, placement: Placement) -> Endpoint | None:
    session, record, side = lessee.session, placement.record, placement.side
    if session.vector is not placement.vector:
        placement.see(session.vector, lessee.identity.credential.user, placing.rules.names)
    side.is_autocommit = is_autocommit(session.status)
    side.is_stranded = placing.stranded.has(lessee.identity.credential.user, session.vector.schema)
    rules = placing.rules
    if placement.is_bounced or placement.after:
        # what a reader refuses, or what is said on the writer once more that was said on a reader (`leaving`)
        placement.is_bounced = False
        reason = BOUNCED
    else:
        reason = route(side, record.facts, rules.autocommit_reads, placing.is_bounced(record))
        if reason == PROVED_READ and _opens_cursor(lessee):
            reason = NOT_PROVED
    placement.reason = reason
    if session.pinned and reason != READER_LISTENER:
        # it will keep the lease that it gets, and may write
        placement.reason = IN_HELD_SESSION
    elif SIDES[reason] == READER and (rules.read_only_transactions or reason not in IN_READ_ONLY):
        return _reader(lessee, placing, placement)
    return _writer(lessee, placement)


def _opens_cursor(lessee: Lessee) -> bool:
    """Whether the command would keep its session where it runs, and so what comes after it, which may write."""
    is_execution = lessee.command == COM_STMT_EXECUTE and lessee.executing is not None
    return is_execution and lessee.wire[FLAGS_AT] & WANTS_CURSOR != 0


def _writer(lessee: Lessee, placement: Placement) -> Endpoint:
    placement.leads_to(None)
    return lessee.shared.choose(False)


def _reader(lessee: Lessee, placing: Placing, placement: Placement) -> Endpoint | None:
    table, view = placing.table, placement.view
    placement.schema = lessee.session.vector.schema
    now = placing.clock()
    if is_fenced(view):
        view.passed(table.passed())
    queueing.count(placing, lessee.shared)
    hints = placement.record.facts.hints
    fence = queueing.fence_of(placing, placement)
    moving_to = moving.chosen(lessee, placing, placement, now, fence)
    if moving_to is not None or lessee.state == PLACING:
        return None if moving_to is None else _endpoint_of(lessee, placing, placement, moving_to.contender)
    parked = lessee.parked_endpoint
    if parked is not None and table.may_have(parked.name, view, now, hints.max_lag, fence):
        # nothing has to be captured
        placement.leads_to(table.readers[parked.name])
        return parked
    contender = table.choose(view, now, placing.random, hints.max_lag, fence, _may_fall_back(placement))
    if contender is None:
        waiting = catching_up.chosen(lessee, placing, placement, now, fence)
        return waiting or _without_reader(lessee, placing, placement, now)
    if placement.ahead_since:
        placement.ahead_since = 0.0
        if placement.until:
            placing.patience = max(PATIENCE, placing.patience / 2)
    return _endpoint_of(lessee, placing, placement, contender)


def _endpoint_of(lessee: Lessee, placing: Placing, placement: Placement, contender: Contender) -> Endpoint:
    endpoint = placing.endpoints.get(contender.name)
    reader = placing.table.readers.get(contender.name)
    if endpoint is None or reader is None or contender is placing.table.writer:
        # the writer, by its weight
        return _writer(lessee, placement)
    placement.leads_to(reader)
    return endpoint


def _without_reader(lessee: Lessee, placing: Placing, placement: Placement, now: float) -> Endpoint | None:
    rules, refusal = placing.rules, placing.table.refusal
    if not placement.until:
        placing.fallbacks[refusal] += 1
    if not _is_known(lessee):
        # as is configured
        placement.leads_to(None)
        return lessee.shared.choose(placement.side.is_reader)
    if not _may_fall_back(placement):
        return _any_reader(lessee, placing, placement)
    if rules.fallback == TO_FAIL:
        _refuse(lessee, placing, placement)
        return None
    is_new = not placement.until
    if is_new:
        placement.until = now + _patience(placing, placement, refusal, now)
    elif now >= placement.until and refusal == READ_AHEAD:
        placing.patience = min(MOST_PATIENCE, placing.patience * 2)
    if now >= placement.until:
        # without other servers there is nothing that the writer could be drowned by
        if len(placing.endpoints) <= 1 or placing.bucket.take(now):
            return _writer(lessee, placement)
        if queueing.is_over(lessee, placing, placement, now):
            _refuse(lessee, placing, placement)
            return None
    placing.waits += is_new
    placing.wait(lessee)
    return None


def _may_fall_back(placement: Placement) -> bool:
    """Whether it may run on the writer. Through the reader listener only what cannot write there, nor later in what it begins (`reader_listener`)."""
    record = placement.record
    begins = record.facts.begins != BEGINS_NOTHING and not record.writes
    return not placement.side.is_reader or record.is_read() or begins


def _is_known(lessee: Lessee) -> bool:
    """Whether the servers have said who is what."""
    cluster = lessee.shared.cluster
    return cluster is None or cluster.is_known


def _patience(placing: Placing, placement: Placement, refusal: int, now: float) -> float:
    """Seconds for which a read waits for a reader before it may go to the writer."""
    if placing.rules.fallback == TO_WAIT:
        return placing.rules.fallback_wait
    if refusal != READ_AHEAD and refusal != NOT_SAFE:
        placement.ahead_since = 0.0
    elif not placement.ahead_since:
        placement.ahead_since = now
    elif refusal == READ_AHEAD and now - placement.ahead_since >= placing.patience:
        placement.ahead_since = now
        return READ_AHEAD_WAIT
    return 0.0


def _any_reader(lessee: Lessee, placing: Placing, placement: Placement) -> Endpoint | None:
    """On the reader listener: what may not fall back shows nothing that could be stale, unless it begins a transaction."""
    best: Endpoint | None = None
    if placement.record.facts.begins != BEGINS_NOTHING:
        _refuse(lessee, placing, placement)
        return None
    for name, endpoint in placing.endpoints.items():
        reader = placing.table.readers.get(name)
        if reader is not None and reader.has_role and (best is None or endpoint.demand() < best.demand()):
            best = endpoint
            placement.leads_to(reader)
    if best is None:
        _refuse(lessee, placing, placement)
    return best


def _refuse(lessee: Lessee, placing: Placing, placement: Placement) -> None:
    placing.refused += 1
    placement.until = 0.0
    queueing.forget(lessee)
    lessee.state = READY
    lessee.send_failure(no_reader(_why(placing), _may_fall_back(placement)))


def _why(placing: Placing) -> str:
    now = placing.clock()
    readers = [reader for reader in placing.table.readers.values() if reader.has_role]
    causes = [f"{reader.name}: {reader.why(now)}" for reader in readers]
    refusal = REFUSAL_NAMES[placing.table.refusal]
    return f"{refusal} ({'; '.join(causes)})" if causes else refusal


def _leaves_parked(lessee: Lessee) -> bool:
    """The next command runs elsewhere than what the session has parked. False: that is being captured first, and then the command begins
    anew."""
    backend, endpoint, session = lessee.parked, lessee.parked_endpoint, lessee.session
    assert backend is not None and endpoint is not None
    if not session.residue:
        lessee.unpark()
        return True
    lessee.state = AWAITING_CAPTURE
    endpoint.capture(backend, lessee)
    if lessee.state != AWAITING_CAPTURE or backend.state == RESETTING_MEMBER:
        return False
    # its pool is paused
    lessee.state = READY
    lessee.unpark()
    session.residue_lost()
    return True


def record_of_command(lessee: Lessee, placing: Placing) -> TextRecord:
    """What is known of the text of the command that waits or runs."""
    command, session, wire = lessee.command, lessee.session, lessee.wire
    is_mariadb = lessee.shared.facts.is_mariadb
    if command == COM_QUERY:
        if wire[:3] == _SPLIT:
            return placing.texts.find(payload_of(wire), 1, session.lexing, lessee.statement, is_mariadb)
        return placing.texts.find(wire, TEXT_AT, session.lexing, lessee.statement, is_mariadb)
    if command == COM_STMT_EXECUTE and lessee.executing is not None:
        own = lessee.executing.own
        sql_mode = own.vector.variables.get(b"sql_mode")
        lexing = session.lexing if sql_mode is None else lexing_of(sql_mode)
        return placing.texts.find(own.text, 0, lexing, own.statement, is_mariadb)
    if command == COM_STMT_PREPARE and wire[:3] != _SPLIT:
        as_query = wire[:4] + b"\x03" + wire[TEXT_AT:]
        statement = lessee.shared.statements.lookup(as_query, session.lexing)
        return placing.texts.find(as_query, TEXT_AT, session.lexing, statement, is_mariadb)
    return NO_RECORD


# After an answer


def answered(frontend: Frontend, placement: Placement, backend: Backend) -> bool:
    """A command of the client's was answered; the session has not been told yet. True when it runs elsewhere instead."""
    placing = frontend.shared.placing
    if placing is None or frontend.command == BEGINS_SESSION:
        return False
    is_held = placement.wire is not frontend.wire
    placement.wire = b""
    if is_held:
        # on the lease that the session had
        placement.record = record_of_command(frontend, placing)
    if backend.tracker.is_error and recommitting.is_refused(frontend, placement, backend):
        recommitting.end(frontend)
        return True
    if placement.after:
        leaving.answered(frontend, placement, backend)
    if not frontend.is_relayed and bouncing.is_refused(frontend, placement, backend):
        bouncing.run_on_writer(frontend, placing, placement, backend)
        return True
    if placement.reader is None and backend.tracker.is_error and demotion.answered(frontend, backend):
        return True
    if is_held:
        counts = placing.to_writer if placement.reader is None else placing.to_readers
        counts[IN_HELD_SESSION] += 1
    replaying.note(frontend, placement, backend.tracker, is_held)
    if frontend.command != COM_STMT_PREPARE:
        _note_answer(frontend, placing, placement, backend)
    return False


def _note_answer(frontend: Frontend, placing: Placing, placement: Placement, backend: Backend) -> None:
    # the answer is here, so the time must be read now
    now = placing.clock()
    before = frontend.session.status
    statement = frontend.statement
    is_set = statement.pins != () or statement.variables != ()
    if placement.reader is not None and is_set and not backend.tracker.is_error:
        leaving.note_set(frontend, placement)
    is_late, backend.owes_gtids = backend.owes_gtids, backend.tracker.is_error
    if placement.answered(statement, backend.tracker, before, now, is_late):
        placing.wrote(now, placement)


def leaves(frontend: Frontend, placement: Placement, wire: bytes) -> bool:
    """Whether a command that comes on a lease of a reader's has to wait for commands of ours (`leaving.waits`)."""
    placing = frontend.shared.placing
    if placement.reader is None or frontend.backend is None or placing is None:
        return False
    frontend.wire = wire
    placement.record = record_of_command(frontend, placing)
    return leaving.begins_anew(frontend, placing, placement, wire) or leaving.waits(frontend, placement, wire)


def note_loss(lessee: Lessee, placement: Placement) -> None:
    """The backend was lost while a command ran."""
    placing = lessee.shared.placing
    if placing is not None:
        now = placing.clock()
        placement.record = record_of_command(lessee, placing)
        if placement.lost(now):
            placing.wrote(now, placement)


def interrupt(frontend: Frontend, failure: Failure) -> None:
    """A session that waits for a reader gets this error."""
    stop_waiting(frontend)
    frontend.state = READY
    frontend.send_failure(failure)
    frontend.start_waiting_commands()


def stop_waiting(lessee: Lessee) -> None:
    """The session no longer waits for a reader."""
    placing, placement = lessee.shared.placing, lessee.placement
    if placing is not None:
        placing.waiting.pop(lessee, None)
        queueing.forget(lessee)
    if placement is not None:
        placement.until = 0.0
