"""Answers of a server that is lost, made once more by another: functions on a `Frontend`.

What the client has got of them is remembered (`past_reads`):

- of a read outside of transactions, when its answer comes in several pieces;
- of each read in a read-only transaction on a reader.

When the server is lost, another is asked the same: in a transaction for all that was read in it, behind its BEGIN, before the client's command. Where every
answer is the same as far as the client has it, what the client sees has come from this other server as a whole, and goes on there.

Where one is not, another moment would show: the transaction is over (1213). In the middle of an answer nothing can be said: the connection ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.demotion import OF_TRANSACTION, forget_transaction
from proxy.past_reads import Past, PastRead
from proxy.placement import Placement
from proxy.prepared import FLAGS_AT, WANTS_CURSOR, sent_types, shown_id
from proxy.reads import PROVED
from proxy.reasons import CloseReason
from proxy.replies import deadlock, lost
from proxy.routing import BEGINS_NOTHING
from proxy.states import HOLDING, UNSTARTED

if TYPE_CHECKING:
    from protocol.response import ResponseTracker
    from proxy.backend import Backend
    from proxy.frontend import Frontend

COM_QUERY: Final = 0x03
COM_STMT_EXECUTE: Final = 0x17
_WITHOUT_EFFECT: Final = (0x0E, 0x16, 0x19)
"""COM_PING, COM_STMT_PREPARE, COM_STMT_CLOSE: nothing of them has to be made again."""
_IN_TRANS_READONLY: Final = 0x2000
_ANOTHER_MOMENT: Final = "another server shows another moment"


def shown(frontend: Frontend, placement: Placement, tracker: ResponseTracker, chunk: bytes) -> bytes:
    """What the client is shown of this piece of an answer, which may be one that is made once more; else it is no error."""
    past = placement.past
    if placement.first:
        # the answer to a BEGIN that was delayed, or to what is made once more in front of the client's command
        if past is not None and past.again is not None and past.at:
            past.again.add(chunk)
        return b""
    if past is None or not (past.got.size or past.reads):
        if not _is_remembered(frontend, placement, tracker):
            return chunk
        if past is None:
            past = placement.past = Past()
    elif frontend.command != COM_QUERY and frontend.command != COM_STMT_EXECUTE:
        return chunk
    if not past.is_skipping():
        past.got.add(chunk)
        return chunk
    rest = past.skipped(chunk)
    if rest is None or (tracker.is_complete and past.is_skipping()):
        frontend.close(CloseReason.BACKEND_LOST)
        return b""
    return rest


def _is_remembered(frontend: Frontend, placement: Placement, tracker: ResponseTracker) -> bool:
    """Whether this is a read's answer which the server might not live to finish, or which begins a read-only transaction without a BEGIN."""
    if placement.wire is not frontend.wire or placement.record.facts.proof != PROVED:
        return False
    if frontend.command != COM_QUERY and frontend.command != COM_STMT_EXECUTE:
        return False
    return not tracker.is_complete or (placement.reader is not None and not placement.side.is_autocommit)


# Read-only transactions


def note(frontend: Frontend, placement: Placement, tracker: ResponseTracker, is_held: bool) -> None:
    """A command of the client's was answered. ``is_held``: on the lease that the session had."""
    if placement.first or placement.begin or frontend.command in _WITHOUT_EFFECT:
        return
    past = placement.past
    if not _is_read_only(placement, tracker):
        if past is not None:
            past.forget()
    elif _has_begun(frontend, placement) and not is_held:
        if past is None:
            past = placement.past = Past()
        past.begins(PastRead(frontend.wire, None, None))
    elif past is not None:
        _note_read(frontend, placement, past, is_held)
    if past is not None:
        past.answered()


def _is_read_only(placement: Placement, tracker: ResponseTracker) -> bool:
    return placement.reader is not None and tracker.status & _IN_TRANS_READONLY != 0 and not tracker.is_error


def _has_begun(frontend: Frontend, placement: Placement) -> bool:
    facts = placement.record.facts
    return facts.begins != BEGINS_NOTHING and facts.can_wait and frontend.command == COM_QUERY


def _note_read(frontend: Frontend, placement: Placement, past: Past, is_held: bool) -> None:
    if placement.record.facts.proof != PROVED or not past.got.size or not _can_be_repeated(frontend):
        past.forget()
        return
    prepared = frontend.executing if frontend.command == COM_STMT_EXECUTE else None
    read = PastRead(frontend.wire, prepared, past.got)
    if not is_held:
        past.begins(read)
    elif past.reads:
        past.goes_on(read)


def _can_be_repeated(frontend: Frontend) -> bool:
    """Whether all that the command says is in its wire form."""
    if frontend.command == COM_QUERY:
        return not frontend.statement.is_special and not frontend.wire[3]
    prepared = frontend.executing
    if frontend.command != COM_STMT_EXECUTE or prepared is None or prepared.long_data is not None:
        return False
    num_params = prepared.own.num_params
    has_types = num_params == 0 or sent_types(frontend.wire, num_params) != b""
    return has_types and not frontend.wire[FLAGS_AT] & WANTS_CURSOR


def goes_on(frontend: Frontend, past: Past, backend: Backend) -> bool:
    """What was made once more in front of the client's command is answered. False: nothing has to be any more."""
    if backend.tracker.is_error or not past.is_as_before():
        _give_up(frontend)
        return True
    read = past.next_read()
    if read is None:
        return False
    backend.hold()
    frontend.state = HOLDING
    frontend.wire, frontend.command = read.wire, UNSTARTED
    frontend.restart_command()
    return True


def may_begin(frontend: Frontend, placement: Placement) -> bool:
    """A transaction is about to begin, in front of a command: whether it can, if it is for the second time. False: it is over, and the client
    knows."""
    past = placement.past
    if past is None or not past.at or all([_is_as_it_was(frontend, read) for read in past.reads]):
        return True
    _give_up(frontend)
    return False


def is_given_up(frontend: Frontend) -> bool:
    """A server does not prepare what is to be executed: whether that was to be made once more. The transaction is over then."""
    placement = frontend.placement
    if placement is None or not placement.first or placement.past is None or not placement.past.at:
        return False
    _give_up(frontend)
    return True


def _is_as_it_was(frontend: Frontend, read: PastRead) -> bool:
    """Whether the statement is still what it was, if the client has prepared it, and the next execution would find it as the client left it."""
    prepared = read.prepared
    if prepared is None:
        return True
    statements = frontend.statements
    if statements is None or prepared.long_data is not None:
        return False
    if statements.find(shown_id(read.wire), frontend.shared.facts.is_mariadb) is not prepared:
        return False
    return sent_types(read.wire, prepared.own.num_params) == prepared.types


def _give_up(frontend: Frontend) -> None:
    """The transaction cannot be what it was."""
    cluster, placement = frontend.shared.cluster, frontend.placement
    is_all = not frontend.session.pinned & ~OF_TRANSACTION
    assert placement is not None
    placement.begin = b""
    frontend.discard(CloseReason.LOST)
    forget_transaction(frontend)
    if is_all and cluster is not None and cluster.tells_deadlock:
        frontend.send_failure(deadlock())
        frontend.start_waiting_commands()
        return
    frontend.send_failure(lost(_ANOTHER_MOMENT, was_held=True))
    frontend.close(CloseReason.BACKEND_LOST)
