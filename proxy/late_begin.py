"""BEGIN, answered before a server has heard of it (`routing.late_begin`): functions on a session.

Nothing is in a transaction before its first statement, so it may begin with that. Until then the session has no lease, and where the transaction
runs is decided by what the first statement's text says (`hints`). A failover in between is not noticed.

The client's next command waits in `Placement.first` while BEGIN itself runs as if it had just been sent; its answer is kept back. When it cannot be run, the error
is the answer to that command, and the transaction has still to begin: whatever comes then must not run outside of it.

Not delayed: WITH CONSISTENT SNAPSHOT, what says READ ONLY or READ WRITE or has a causal key, several statements in one text, and sessions with autocommit off, with a pin, with
something that must be restored or asked of a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import answer_id
from proxy import endings, replaying
from proxy.hints import ANY, hints_of
from proxy.kept import NOTHING_KEPT
from proxy.placement import Placement, TextRecord
from proxy.replies import ok
from proxy.routing import BEGINS_AS_SESSION, READ_WRITE_TRANSACTION, TextFacts
from proxy.states import HOLDING, READY, UNSTARTED

if TYPE_CHECKING:
    from proxy.backend import Backend
    from proxy.frontend import Frontend
    from proxy.lessee import Lessee

COM_QUERY: Final = 0x03
_ENDING: Final = (0x01, 0x11, 0x1F)
"""COM_QUIT, COM_CHANGE_USER, COM_RESET_CONNECTION: the transaction need not begin."""
_UNANSWERED: Final = (0x18, 0x19)
"""COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE: nothing of transactions, and there is no answer in which an error could be told."""
_IN_TRANS: Final = 1
_TEXT_AT: Final = 5


def may_wait(lessee: Lessee, placement: Placement) -> bool:
    """Whether the command that is being placed is a BEGIN that need not run yet."""
    facts, session = placement.record.facts, lessee.session
    if placement.first or placement.reason != READ_WRITE_TRANSACTION or lessee.command != COM_QUERY:
        return False
    hints = facts.hints
    if not facts.can_wait or facts.begins != BEGINS_AS_SESSION or hints.side != ANY or hints.causal:
        return False
    return not (session.residue or session.lost or session.placed or session.kept is not NOTHING_KEPT)


def answer(lessee: Lessee, placement: Placement) -> None:
    """The client is told that it has begun."""
    placement.begin = lessee.wire
    lessee.state = READY
    lessee.send(ok(lessee.session.status | _IN_TRANS, answer_id(lessee.wire)))


def comes_first(placement: Placement, wire: bytes) -> bool:
    """A command comes in a transaction that has not begun: whether that has to be done before. `Placement.first` has it then."""
    if placement.first or wire[4] in _UNANSWERED:
        return False
    if wire[4] in _ENDING or (placement.past is not None and placement.past.at and _only_ends(wire)):
        placement.begin = b""
        if placement.past is not None:
            placement.past.forget()
        return False
    placement.first = wire
    return True


def _only_ends(wire: bytes) -> bool:
    """Whether the client has done with its read-only transaction."""
    return wire[4] == COM_QUERY and endings.only_ends(wire[_TEXT_AT:])


def record_of_first(placement: Placement, record: TextRecord) -> TextRecord:
    """What a BEGIN is placed by: its own record, with the hints of the statement that it was waiting for."""
    first = placement.first
    if first[4] != COM_QUERY or first[:3] == b"\xff\xff\xff":
        return record
    facts = TextFacts(record.facts.proof, hints_of(first[_TEXT_AT:]), record.facts.begins)
    return TextRecord(record.text, facts, record.writes, record.reads)


def goes_on(frontend: Frontend, placement: Placement, backend: Backend) -> bool:
    """BEGIN was answered. True: now runs what the client has sent, or what it has read before; False: it is the client's answer that it could not
    begin."""
    first, past = placement.first, placement.past
    if past is not None and past.at:
        placement.begin = b""
        if replaying.goes_on(frontend, past, backend):
            return True
    placement.first = b""
    if backend.tracker.is_error:
        return False
    placement.begin = b""
    backend.hold()
    frontend.state = HOLDING
    frontend.wire, frontend.command = first, UNSTARTED
    frontend.restart_command()
    # it may have been answered at once
    frontend.start_waiting_commands()
    return True


def refused_command(frontend: Frontend) -> bytes:
    """What the client has sent last, in wire form, to which an error of ours is the answer. b"": there was nothing."""
    placement, wire = frontend.placement, frontend.wire
    if placement is not None and placement.first:
        wire = placement.first
        placement.first = b""
    elif placement is not None and placement.after:
        # what was to end a transaction before it is lost
        wire = placement.after[0] if placement.is_cut else placement.after[-1]
        placement.after.clear()
    return wire
