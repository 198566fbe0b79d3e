"""Commands that a reader did not run, and that another server runs instead, unseen by the client: functions on a `Lessee`.

A reader that refuses a write (the writer runs it, and the text is remembered), as long as the client has seen nothing of an answer; one that is lost in the
middle of a read (`replaying`); one that cannot be reached, or takes no more connections; and one that does not know the session's account or schema, or not yet: it uses both because the writer
knows them, and sees nothing older than that.

Limits: a pin that a statement has set on a reader keeps the session there. When it then writes, its connection is closed: to be told for ever that
the server is read-only would be worse. What sets a pin on a reader is remembered, too, and the writer runs it the next time (`stranding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import demotion, leaving, recommitting, replaying
from proxy.backend import Backend
from proxy.keeping import lease_lost
from proxy.pins import BITS, PinReason
from proxy.placement import Placement
from proxy.reasons import CloseReason
from proxy.replies import BY_HINT, Failure, is_of_server, read_only_transaction, refused_by_server
from proxy.routing import BEGINS_NOTHING, HINT_READER, UNASKED
from proxy.statement import CALLS, COMMITS_ITSELF, MULTI
from proxy.states import READY, RELAYING
from proxy.stranding import strand

if TYPE_CHECKING:
    from proxy.frontend import Frontend
    from proxy.lessee import Lessee
    from proxy.placing import Placing

MOST_TRIES: Final = 3
"""Servers tried for one command."""
SHUTDOWN: Final = 1053
_IN_TRANS: Final = 1
_IN_TRANS_READONLY: Final = 0x2000
_READ_ONLY_TRANSACTION: Final = 1792
_DISABLED_ENGINE: Final = 3161
_DIAGNOSTICS_BIT: Final = BITS[PinReason.DIAGNOSTICS]
_NEXT_TRANSACTION_BIT: Final = BITS[PinReason.NEXT_TRANSACTION]
_ERROR_SIZE: Final = 13
"""Of an ERR packet in wire form, but for its message."""


def shown(frontend: Frontend, placement: Placement, chunk: bytes) -> bytes:
    """What the client is shown of this piece of an answer: nothing, when another server will give one."""
    backend = frontend.backend
    if backend is None:
        return chunk
    tracker = backend.tracker
    if not tracker.is_error:
        if (
            tracker.is_complete
            and placement.past is None
            and not placement.first
            and placement.side.is_autocommit
        ):
            return chunk
        return replaying.shown(frontend, placement, tracker, chunk)
    if tracker.error_code == SHUTDOWN and frontend.is_shut_down(backend):
        return b""
    if placement.past is not None and placement.past.again is not None:
        return replaying.shown(frontend, placement, tracker, chunk)
    if frontend.is_relayed or chunk[4:5] != b"\xff":
        # of several statements the first have run
        return _reworded(frontend, placement, backend, chunk)
    if placement.reader is None:
        return chunk if demotion.fate(frontend, backend) == demotion.TOLD else b""
    if recommitting.is_refused(frontend, placement, backend) or is_refused(frontend, placement, backend):
        return b""
    return _reworded(frontend, placement, backend, chunk)


def _reworded(frontend: Frontend, placement: Placement, backend: Backend, chunk: bytes) -> bytes:
    """A reader's error at the end of this piece, that it takes no writes, as it is told in a transaction: of the two refusals MariaDB says
    that one, where on the writer it would be that the transaction is read-only."""
    tracker = backend.tracker
    if placement.reader is None or placement.side.is_reader or not demotion.says_read_only(tracker):
        return chunk
    start = len(chunk) - len(tracker.error_message) - _ERROR_SIZE
    session = frontend.session
    is_next = not session.status & _IN_TRANS and _next_is_read_only(frontend, placement)
    if tracker.status & _IN_TRANS_READONLY or is_next:
        failure = read_only_transaction(frontend.shared.facts.is_mariadb)
    elif tracker.status & _IN_TRANS and placement.reason == HINT_READER:
        failure = refused_by_server(tracker)
        failure.message += BY_HINT
    else:
        return chunk
    return chunk[:start] + failure.wire(chunk[start + 3])


def may_write_there(lessee: Lessee, placement: Placement) -> bool:
    """Whether a command of a session that is pinned to a reader could write there, unrefused: a procedure runs as its definer, who may be one for
    whom `read_only` does not count, and some statements are only written to the binary log."""
    session, placing = lessee.session, lessee.shared.placing
    if placing is None or placement.reader is None or placement.side.is_reader:
        return False
    flags = leaving.flags_of(session, lessee.statement)
    if flags & COMMITS_ITSELF:
        return True
    if session.status & _IN_TRANS and not _is_stuck(lessee, placement):
        return False
    if _next_is_read_only(lessee, placement):
        return False
    return flags & CALLS != 0


def _is_stuck(lessee: Lessee, placement: Placement) -> bool:
    """Whether a transaction that may write is on a reader because an earlier one, which was read-only, or a read has pinned the session there."""
    session = lessee.session
    may_write = session.status & _IN_TRANS_READONLY == 0 and placement.reason in UNASKED
    return may_write and session.pinned & ~demotion.OF_TRANSACTION != 0


def is_refused(lessee: Lessee, placement: Placement, backend: Backend) -> bool:
    """Whether the answer, of which the client has seen nothing, says that a reader does not write."""
    tracker = backend.tracker
    if placement.reader is None or placement.side.is_reader or not tracker.is_error:
        return False
    if tracker.error_code == _READ_ONLY_TRANSACTION:
        if placement.side.is_read_only():
            return False
    elif tracker.error_code != _DISABLED_ENGINE and not demotion.says_read_only(tracker):
        return False
    session = lessee.session
    if session.status & _IN_TRANS:
        # the client's own, or it has asked for a reader by a hint
        return _is_stuck(lessee, placement)
    return not _next_is_read_only(lessee, placement)


def _next_is_read_only(lessee: Lessee, placement: Placement) -> bool:
    """Whether the session's next transaction is, by itself or by a SET TRANSACTION. Where none was sent, autocommit was switched on in one that is."""
    session, placing = lessee.session, lessee.shared.placing
    if not session.pinned & _NEXT_TRANSACTION_BIT:
        if session.vector is not placement.vector and placing is not None:
            placement.see(session.vector, lessee.identity.credential.user, placing.rules.names)
        return placement.side.is_read_only()
    return not placement.sets or any([b"only" in text.lower() for text in placement.sets])


def run_on_writer(frontend: Frontend, placing: Placing, placement: Placement, backend: Backend) -> None:
    """A reader has refused the command before it did anything: the writer runs it."""
    endpoint, session = frontend.endpoint, frontend.session
    assert endpoint is not None
    placing.remember(placement.record)
    if session.pinned & ~_DIAGNOSTICS_BIT:
        strand(frontend, placing, placement)
        return
    placing.bounces += 1
    session.lift(PinReason.DIAGNOSTICS)
    frontend.end_pins()
    session.residue_lost()
    lease_lost(session)
    key = frontend.identity.key_for(session.vector.schema)
    frontend.backend = frontend.endpoint = None
    frontend.state = READY
    placement.is_bounced = True
    if backend.kills:
        endpoint.discard(backend, CloseReason.KILLED)
    else:
        endpoint.release_dirty(backend, key)
    frontend.acquire()
    frontend.start_waiting_commands()


def runs_again(frontend: Frontend, state: int, was_held: bool) -> bool:
    """A server was lost in the middle of a read, or of what begins a transaction: whether another server, or the next writer, may run it."""
    placement = frontend.placement
    return (
        placement is not None
        and state == RELAYING
        and not was_held
        and frontend.tries < MOST_TRIES
        and (placement.first != b"" or placement.record.is_read() or _only_begins(frontend, placement))
        and _starts_over(frontend, placement)
    )


def _starts_over(frontend: Frontend, placement: Placement) -> bool:
    """Whether the client can be given the answer that another server makes, of which it may have a part."""
    past = placement.past
    return (past is not None and past.starts_over()) or not frontend.is_relayed


def _only_begins(frontend: Frontend, placement: Placement) -> bool:
    return placement.record.facts.begins != BEGINS_NOTHING and not frontend.statement.flags & MULTI


def tries_another(lessee: Lessee, placement: Placement, failure: Failure) -> bool:
    """No backend could be had from the reader: whether another server is asked."""
    reader, ticket = placement.reader, lessee.ticket
    if failure.is_refusal:
        if not knows_less(lessee, placement):
            return False
    elif reader is None or ticket is None or not is_of_server(ticket.error) or lessee.tries >= MOST_TRIES:
        return False
    else:
        lessee.tries += 1
        # it gets nothing until it is seen again
        reader.gate.lost()
    lessee.state = READY
    lessee.acquire()
    return True


def knows_less(lessee: Lessee, placement: Placement) -> bool:
    """A server refuses the session's account or schema: whether it is a reader, and another server is to be asked."""
    placing = lessee.shared.placing
    if placing is None or placement.reader is None or lessee.tries >= MOST_TRIES:
        return False
    lessee.tries += 1
    placement.view.read_on_writer(placing.clock())
    placement.is_bounced = not placement.side.is_reader
    return True


def begin_anew(lessee: Lessee, backend: Backend) -> None:
    """The backend, without anything of the session's, has refused to be prepared and goes back as it was, but for the error: another is asked for."""
    endpoint, vector = lessee.endpoint, backend.vector
    assert endpoint is not None and vector is not None
    lease_lost(lessee.session)
    lessee.backend = lessee.endpoint = None
    lessee.state = READY
    endpoint.release_dirty(backend, lessee.identity.key_for(vector.schema))
    lessee.acquire()
    lessee.start_waiting_commands()
