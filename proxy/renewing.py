"""A reader is lost in a read-only transaction: functions on a `Frontend`.

Such a transaction writes nothing: it may begin elsewhere, once, and the client need not know. Its BEGIN runs again in front of the client's command, as one
that was delayed does (`late_begin`), and then what it has read (`replaying`). When that cannot be, or shows something else, the client is told 1213
(`losses`), unless all it wants is to end the transaction. That it has ended is true.

Where a session holds more than its transaction (a pin), nothing of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import placing
from proxy.demotion import OF_TRANSACTION, forget_transaction
from proxy.endings import only_commits
from proxy.past_reads import Past
from proxy.placement import Placement
from proxy.reads import PROVED
from proxy.reasons import CloseReason
from proxy.states import BEFORE_COMMAND, BETWEEN_COMMANDS, RELAYING

if TYPE_CHECKING:
    from proxy.frontend import Frontend

_IN_TRANS_READONLY: Final = 0x2000


def begins_anew(frontend: Frontend, state: int) -> bool:
    """The connection is gone that the session held: whether nothing of it is missed."""
    placement = frontend.placement
    if placement is None or not is_for_reads(frontend, placement):
        return False
    if state == RELAYING and not frontend.is_relayed and _only_commits(frontend):
        _forget(frontend)
        frontend.run_elsewhere()
        return True
    past = placement.past
    if past is None or past.at or not past.reads:
        return False
    if not (state in BETWEEN_COMMANDS or _runs_again(frontend, past, state)):
        return False
    wire = frontend.wire
    _forget(frontend)
    placement.begin = past.begin_again()
    if state not in BETWEEN_COMMANDS:
        frontend.start(wire)
    frontend.start_waiting_commands()
    return True


def is_for_reads(frontend: Frontend, placement: Placement) -> bool:
    """Whether all that the session holds is a read-only transaction on a reader."""
    session = frontend.session
    is_read_only = session.status & _IN_TRANS_READONLY != 0
    return placement.reader is not None and is_read_only and not session.pinned & ~OF_TRANSACTION


def _only_commits(frontend: Frontend) -> bool:
    knows = frontend.shared.placing
    return knows is not None and only_commits(placing.record_of_command(frontend, knows).text)


def _runs_again(frontend: Frontend, past: Past, state: int) -> bool:
    """Whether the command may run once more."""
    knows = frontend.shared.placing
    if (
        knows is None
        or (frontend.is_relayed and not past.got.size)
        or placing.record_of_command(frontend, knows).facts.proof != PROVED
    ):
        return False
    return state == RELAYING or state in BEFORE_COMMAND


def _forget(frontend: Frontend) -> None:
    frontend.discard(CloseReason.LOST)
    forget_transaction(frontend)
