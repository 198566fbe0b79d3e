"""A session's lease is lost: what becomes of the command that ran there, and of the session. A function on a `Frontend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import bouncing, idling, placing
from proxy.reasons import CloseReason
from proxy.replies import lost
from proxy.states import (
    BEGINNING,
    CAPTURING,
    CLEANING,
    HOLDING,
    PREPARING,
    PREPARING_STATEMENT,
    RELAYING,
    RESETTING,
    SURVEYING,
)

if TYPE_CHECKING:
    from proxy.frontend import Frontend

_BEFORE_COMMAND: Final = frozenset({CAPTURING, CLEANING, PREPARING, PREPARING_STATEMENT, SURVEYING})
_UNANSWERED: Final = frozenset(
    {BEGINNING, CAPTURING, CLEANING, PREPARING, PREPARING_STATEMENT, RELAYING, RESETTING, SURVEYING}
)
OPEN_TRIES: Final = 3
"""Backends tried for one command when each turns out to be dead before the command was sent."""


def backend_lost(frontend: Frontend, cause: str) -> None:
    """The connection is gone, or what came was not the protocol."""
    state = frontend.state
    was_held = frontend.is_held()
    frontend.discard(CloseReason.LOST)
    if (state in _BEFORE_COMMAND and not was_held and frontend.tries < OPEN_TRIES) or bouncing.runs_again(
        frontend, state, was_held
    ):
        # the command itself was not sent, or is a read: another backend can run it
        frontend.tries += 1
        frontend.run_elsewhere()
        return
    if frontend.placement is not None and state == RELAYING:
        placing.note_loss(frontend, frontend.placement)
    if state in _UNANSWERED and not frontend.is_relayed:
        frontend.send_failure(lost(cause, was_held))
    if was_held or (state == RELAYING and frontend.is_relayed):
        # what the session had on that connection is gone, or half an answer was sent: as a direct connection would
        if state == HOLDING and frontend.shared.facts.is_mariadb:
            idling.reset_at_close(frontend)
        frontend.close(CloseReason.BACKEND_LOST)
        return
    frontend.start_waiting_commands()
