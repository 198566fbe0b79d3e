"""Commands that a reader did not run, and that another server runs instead, unseen by the client: functions on a `Lessee`.

A reader that refuses a write (the writer runs it, and the text is remembered), one that is lost in the middle of a read, and one that cannot be
reached. Only as long as the client has seen nothing of an answer.

Limits: a pin that a statement has set on a reader keeps the session there. When it then writes, its connection is closed: to be told for ever that
the server is read-only would be worse. What sets a pin on a reader is remembered, too, and the writer runs it the next time (`stranding`).

A read-only transaction on a reader ends with DDL and the like, which commit on their own account, and on MariaDB with a BEGIN, after which the session
may write. Such a command waits (`Placement.after`) until the reader was told COMMIT, unseen, and is then placed anew. What a reader refuses
(`_REFUSED`) only then, for it may be nonsense, which ends no transaction; what it does not (`_NOT_REFUSED`: it would be in its own binary log) before
it runs there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import frame
from proxy import demotion, recommitting
from proxy.backend import Backend
from proxy.effects import words_of
from proxy.keeping import lease_lost
from proxy.lexer import tokenize
from proxy.pins import BITS, PinReason
from proxy.placement import Placement, TextRecord
from proxy.reasons import CloseReason
from proxy.replies import Failure, read_only_transaction
from proxy.routing import BEGINS_NOTHING, BEGINS_READ, UNASKED
from proxy.statement import CALLS, MULTI
from proxy.states import READY, RELAYING
from proxy.stranding import strand

if TYPE_CHECKING:
    from proxy.frontend import Frontend
    from proxy.lessee import Lessee
    from proxy.placing import Placing

MOST_TRIES: Final = 3
"""Servers tried for one command."""
UNREACHABLE: Final = 2003
_IN_TRANS: Final = 1
_IN_TRANS_READONLY: Final = 0x2000
_OPTION_PREVENTS: Final = 1290
_READ_ONLY_MODE: Final = 1836
_READ_ONLY_TRANSACTION: Final = 1792
_DISABLED_ENGINE: Final = 3161
_COM_QUERY: Final = 0x03
_COM_STMT_EXECUTE: Final = 0x17
_READ_ONLY_OPTIONS: Final = (b"read-only", b"read_only")
_DIAGNOSTICS_BIT: Final = BITS[PinReason.DIAGNOSTICS]
_NEXT_TRANSACTION_BIT: Final = BITS[PinReason.NEXT_TRANSACTION]
COMMIT: Final = frame(b"\x03COMMIT AND NO CHAIN NO RELEASE")
_REFUSED: Final = frozenset(
    [b"alter", b"create", b"drop", b"grant", b"lock", b"rename", b"revoke", b"start", b"truncate"]
)
_NOT_REFUSED: Final = frozenset([b"analyze", b"flush", b"optimize", b"repair"])
_MOST_TOKENS: Final = 8


def holds_back(frontend: Frontend, placement: Placement, chunk: bytes) -> bool:
    """Whether the client must not see this piece of an answer, because another server will give one."""
    backend = frontend.backend
    if placement.first and backend is not None and not backend.tracker.is_error:
        # the answer to a late BEGIN
        return True
    if placement.after and backend is not None and not backend.tracker.is_error:
        # the answer to our COMMIT
        return True
    if frontend.is_relayed or backend is None or not backend.tracker.is_error:
        return False
    if chunk[4:5] != b"\xff":
        # of several statements the first have run
        return False
    if placement.reader is None:
        return demotion.fate(frontend, backend) != demotion.TOLD
    if recommitting.is_refused(frontend, placement, backend):
        return True
    if _is_of_read_only_transaction(frontend, backend):
        if not is_ended(frontend, placement, backend):
            is_mariadb = frontend.shared.facts.is_mariadb
            frontend.send(read_only_transaction(is_mariadb).wire(chunk[3]))
        return True
    return is_refused(frontend, placement, backend)


def _is_of_read_only_transaction(frontend: Frontend, backend: Backend) -> bool:
    """Whether a write was refused because the server is read-only, in a transaction that is so, too: of the two MariaDB says the former, and on the
    writer it would be the latter."""
    return frontend.session.status & _IN_TRANS_READONLY != 0 and demotion.says_read_only(backend.tracker)


def leaves(frontend: Frontend, placement: Placement, record: TextRecord) -> bool:
    """A command comes on a lease of a reader's: whether it ends the transaction there, and must not run there either. It waits then."""
    if not _may_leave(frontend, placement) or frontend.statement.flags & MULTI:
        return False
    begins = record.facts.begins
    if begins != BEGINS_NOTHING:
        # MySQL's next transaction is as read-only as this one
        is_over = frontend.shared.facts.is_mariadb and begins != BEGINS_READ
    else:
        is_over = _begins_with(record, frontend.session.lexing, _NOT_REFUSED)
    if is_over:
        placement.after = frontend.wire
    return is_over


def is_ended(frontend: Frontend, placement: Placement, backend: Backend) -> bool:
    """Whether what a reader has refused would have ended the read-only transaction there."""
    if not _may_leave(frontend, placement) or not demotion.says_read_only(backend.tracker):
        return False
    if frontend.statement.flags & MULTI or frontend.command != _COM_QUERY:
        return False
    return _begins_with(placement.record, frontend.session.lexing, _REFUSED)


def _may_leave(frontend: Frontend, placement: Placement) -> bool:
    session = frontend.session
    return (
        placement.reader is not None
        and not placement.side.is_reader
        and session.status & _IN_TRANS_READONLY != 0
        and not session.pinned & ~demotion.OF_TRANSACTION
        and not placement.after
    )


def _begins_with(record: TextRecord, lexing: int, verbs: frozenset[bytes]) -> bool:
    words = words_of(tokenize(record.text, 0, len(record.text), lexing, True, _MOST_TOKENS))
    return bool(words) and words[0] in verbs and b"temporary" not in words[:4]


def may_write_there(lessee: Lessee, placement: Placement) -> bool:
    """Whether a command of a session that is pinned to a reader could write there, unrefused: a procedure runs as its definer, who may be one for
    whom `read_only` does not count, and some statements are only written to the binary log."""
    session, placing = lessee.session, lessee.shared.placing
    if placing is None or placement.reader is None or placement.side.is_reader:
        return False
    if session.status & _IN_TRANS and not _is_stuck(lessee, placement):
        return False
    if session.vector is not placement.vector:
        placement.see(session.vector, lessee.identity.credential.user, placing.rules.names)
    if placement.side.is_read_only() or session.pinned & _NEXT_TRANSACTION_BIT:
        return False
    statement = lessee.statement
    if lessee.command == _COM_STMT_EXECUTE and lessee.executing is not None:
        statement = lessee.executing.own.statement
    if lessee.command == _COM_QUERY and _begins_with(placement.record, session.lexing, _NOT_REFUSED):
        return True
    return statement.flags & CALLS != 0


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
    code = tracker.error_code
    if code == _OPTION_PREVENTS:
        message = tracker.error_message
        if not any([option in message for option in _READ_ONLY_OPTIONS]):
            return False
    elif code == _READ_ONLY_TRANSACTION:
        if placement.side.is_read_only():
            return False
    elif code != _READ_ONLY_MODE and code != _DISABLED_ENGINE:
        return False
    session = lessee.session
    if session.status & _IN_TRANS:
        # the client's own, or it has asked for a reader by a hint
        return _is_stuck(lessee, placement)
    return not session.pinned & _NEXT_TRANSACTION_BIT


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
    """A server was lost in the middle of a read, or of what begins a transaction, and the client has seen nothing of an answer: whether another
    server, or the next writer, may run it."""
    placement = frontend.placement
    return (
        placement is not None
        and state == RELAYING
        and not was_held
        and not frontend.is_relayed
        and frontend.tries < MOST_TRIES
        and (placement.first != b"" or placement.record.is_read() or _only_begins(frontend, placement))
    )


def _only_begins(frontend: Frontend, placement: Placement) -> bool:
    return placement.record.facts.begins != BEGINS_NOTHING and not frontend.statement.flags & MULTI


def tries_another(lessee: Lessee, placement: Placement, failure: Failure) -> bool:
    """No backend could be had from the reader: whether another server is asked."""
    reader = placement.reader
    if reader is None or failure.code != UNREACHABLE or lessee.tries >= MOST_TRIES:
        return False
    lessee.tries += 1
    # it gets nothing until it is seen again
    reader.gate.lost()
    lessee.state = READY
    lessee.acquire()
    return True
