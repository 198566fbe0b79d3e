"""What leaves a reader although it was placed there, because it may write: functions on a `Frontend`.

A transaction on a reader ends with DDL and the like, which commit on their own account, and where the next may write with a BEGIN. Such a command
waits (`Placement.after`) until the reader was told COMMIT, unseen, and is then placed anew. Before it has run there: not every server refuses all
of it to everybody, and what it runs is in a binary log of its own. So nonsense ends the transaction, too.
Of several statements in one text, what comes after the one that ends the transaction is placed anew (`endings`), and its answer counts on.

SET TRANSACTION READ ONLY is about the next transaction, and that is what comes next, whatever it is. What is no read, and does not only begin a
transaction, runs on the writer, after the same SETs (`Placement.sets`): the transaction that was to be is begun on the reader and ended, both
unseen, so that nothing is left of it there.

A transaction in which nothing was read yet begins anew where its first text has a causal key of which the reader does not show all: the BEGIN is placed
by that key then. A text that comes later cannot be moved, and reads what the transaction shows.

Our own commands' answers go to nobody (`ResponseTracker.drops_last`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import MAX_PAYLOAD, frame, payload_of
from proxy import demotion, endings, telling
from proxy.backend import Backend
from proxy.grammar import CHARACTERISTICS
from proxy.hints import hints_of
from proxy.pins import BITS, PinReason
from proxy.placement import Placement
from proxy.replies import several_end
from proxy.routing import BEGINS_WRITE
from proxy.shared import STATEMENT_POOLING
from proxy.statement import BEGINS, COMMITS_ITSELF, ENDS, MULTI, Statement

if TYPE_CHECKING:
    from proxy.frontend import Frontend
    from proxy.placing import Placing
    from proxy.session import SessionState

COM_QUERY: Final = 0x03
COMMIT: Final = frame(b"\x03" + endings.COMMIT)
SET_READ_ONLY: Final = frame(b"\x03SET TRANSACTION READ ONLY")
MOST_SETS: Final = 4
"""SETs for the next transaction that are remembered; with the next one the session moves to the writer."""
LONGEST_SET: Final = 512
_IN_TRANS: Final = 1
_IN_TRANS_READONLY: Final = 0x2000
_NEXT_TRANSACTION_BIT: Final = BITS[PinReason.NEXT_TRANSACTION]
_DIAGNOSTICS_BIT: Final = BITS[PinReason.DIAGNOSTICS]
_MAY_END: Final = BEGINS | ENDS | COMMITS_ITSELF


def flags_of(session: SessionState, statement: Statement) -> int:
    """The flags of a statement, and of the texts that it executes."""
    flags = statement.flags
    for name in statement.executes:
        text = session.text_of(name)
        if text is not None:
            flags |= text.flags
    return flags


def waits(frontend: Frontend, placement: Placement, wire: bytes) -> bool:
    """A command comes on a lease of a reader's: whether it waits because commands of ours have to run first, or was refused."""
    if placement.after or placement.side.is_reader:
        return False
    session, statement = frontend.session, frontend.statement
    if not session.status & _IN_TRANS:
        return _moves(frontend, placement, wire)
    if wire is placement.last_left:
        # once for each command, whatever the reader has said
        return False
    if statement.flags & MULTI and frontend.command == COM_QUERY:
        return _waits_for_some(frontend, placement, wire)
    flags = flags_of(session, statement)
    if not may_leave(session) or not endings.commits(flags, _may_begin(frontend)):
        return False
    _run_first(frontend, placement, wire, endings.COMMIT, wire)
    return True


def may_leave(session: SessionState) -> bool:
    """Whether the session has no more on its reader than a transaction."""
    return session.status & _IN_TRANS != 0 and not session.pinned & ~demotion.OF_TRANSACTION


def _may_begin(frontend: Frontend) -> bool:
    """Whether a BEGIN in the session's transaction begins one that may write. MySQL's next one is as read-only as this one."""
    return frontend.shared.facts.is_mariadb or not frontend.session.status & _IN_TRANS_READONLY


def _run_first(frontend: Frontend, placement: Placement, wire: bytes, front: bytes, after: bytes) -> None:
    """Run a text of ours, or one with a statement of ours behind it, before ``after``. ``wire``: the client's command."""
    placement.after.append(after)
    placement.last_left = after
    placement.is_ending = front.endswith(endings.COMMIT)
    frontend.run_text(front, wire[3])


def begins_anew(frontend: Frontend, placing: Placing, placement: Placement, wire: bytes) -> bool:
    """Whether a command that comes on a lease of a reader's waits until its transaction has begun elsewhere, for its causal key."""
    key, begin, reader = placement.record.facts.hints.causal, placement.begun_with(), placement.reader
    if not key or not begin or reader is None or placement.after or frontend.command != COM_QUERY:
        return False
    text = payload_of(begin)[1:]
    if frontend.session.pinned or hints_of(text).causal:
        return False
    fence, now = placing.fences.fence(key), placing.clock()
    if placing.table.may_have(reader.name, placement.view, now, fence=fence):
        return False
    placement.after.extend([frame(b"\x03/* fanin: causal=%b */ %b" % (key, text)), wire])
    frontend.run_text(endings.COMMIT)
    return True


# Several statements


def _cut(frontend: Frontend, wire: bytes) -> endings.Cut:
    return endings.cut(payload_of(wire)[1:], frontend.session.lexing, _may_begin(frontend))


def _waits_for_some(frontend: Frontend, placement: Placement, wire: bytes) -> bool:
    session, statement = frontend.session, frontend.statement
    is_switching = b"autocommit" in statement.variables
    if not (statement.flags & _MAY_END or is_switching) or not session.vector.multi_statements:
        return False
    if session.completes_with_release():
        return False
    found = endings.UNCLEAR if len(wire) > MAX_PAYLOAD else _cut(frontend, wire)
    if found is endings.UNCLEAR:
        frontend.send_failure(several_end())
        return True
    if found.commits and not may_leave(session):
        return False
    if found.front:
        placement.is_cut = True
        _run_first(frontend, placement, wire, found.front, frame(b"\x03" + found.rest))
        return True
    if not found.rest:
        return False
    _run_first(frontend, placement, wire, endings.COMMIT, wire)
    return True


def answered(frontend: Frontend, placement: Placement, backend: Backend) -> None:
    """A command of ours was answered, or the part of a text in front of one, while others wait for it."""
    tracker = backend.tracker
    if tracker.is_error:
        # that is the client's answer
        placement.after.clear()
    elif placement.is_cut:
        sent = tracker.client_sequence_id - 1
        placement.after[0] = placement.last_left = frame(payload_of(placement.after[0]), sent & 0xFF)
    if placement.is_ending and not tracker.is_error:
        telling.transaction_ended(frontend)
    placement.is_cut = placement.is_ending = False


# SET TRANSACTION


def note_set(frontend: Frontend, placement: Placement) -> None:
    """A statement has run on a reader: if it was about the next transaction, it may have to be said elsewhere, too."""
    statement, session, sets = frontend.statement, frontend.session, placement.sets
    if session.status & _IN_TRANS or not _is_about_transactions(statement):
        return
    if not session.pinned & _NEXT_TRANSACTION_BIT:
        if PinReason.NEXT_TRANSACTION not in statement.pins:
            return
        sets.clear()
    elif not sets:
        sets.append(SET_READ_ONLY)
    sets.append(frame(b"\x03" + placement.record.text))


def _is_about_transactions(statement: Statement) -> bool:
    """Whether it may set what the next transaction is: MariaDB takes what is said of the session's for the next one, too, whatever was said of that."""
    if PinReason.NEXT_TRANSACTION in statement.pins:
        return True
    return any([name in CHARACTERISTICS for name in statement.variables])


def _moves(frontend: Frontend, placement: Placement, wire: bytes) -> bool:
    session = frontend.session
    of_next = session.pinned & ~_DIAGNOSTICS_BIT == _NEXT_TRANSACTION_BIT
    if not of_next or frontend.shared.pool_mode == STATEMENT_POOLING or _stays(frontend, placement):
        return False
    # there are none when autocommit was switched on in a transaction: the next one is as that was
    placement.after.extend([COMMIT, *(placement.sets or [SET_READ_ONLY]), wire])
    placement.sets.clear()
    frontend.run_text(b"BEGIN")
    return True


def _stays(frontend: Frontend, placement: Placement) -> bool:
    """Whether it does on a reader what it does on the writer after a SET TRANSACTION READ ONLY."""
    statement, record = frontend.statement, placement.record
    if _is_about_transactions(statement) and not statement.flags & MULTI:
        is_kept = len(placement.sets) < MOST_SETS and len(record.text) <= LONGEST_SET
        # in the form SET @@.. it may undo READ ONLY, and its value may be a parameter, or change
        return is_kept and b"write" not in record.text.lower() and b"@" not in record.text
    return not record.writes and record.facts.begins != BEGINS_WRITE
