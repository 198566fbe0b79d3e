"""Transactions of clients that do nothing (`pool.idle_transaction_timeout`): they hold backends, and locks on the server, and keep old versions of rows.

The client gets error 4031 with the reason, unasked, as it would for `wait_timeout`, and its connection is closed. The transaction is rolled back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.backend import Backend
from proxy.frontend import Frontend
from proxy.reasons import CloseReason
from proxy.replies import idle_in_transaction
from proxy.states import HOLDING
from proxy.tenants import IN_TRANSACTION

if TYPE_CHECKING:
    from proxy.shared import Shared


def end_all(shared: Shared, limit: float, now: float) -> None:
    """The tick: end those that have been idle for ``limit`` seconds."""
    for endpoint in shared.endpoints():
        for member in endpoint.core.leased_members():
            if member.leased_since + limit > now:
                # the others are younger
                break
            owner = member.owner if isinstance(member, Backend) else None
            if isinstance(owner, Frontend) and _is_over(owner, limit, now):
                _end(owner, now)


def _is_over(frontend: Frontend, limit: float, now: float) -> bool:
    is_idle = frontend.state == HOLDING and frontend.condition() == IN_TRANSACTION
    return is_idle and frontend.idle_since + limit <= now


def _end(frontend: Frontend, now: float) -> None:
    seconds = now - frontend.idle_since
    frontend.shared.log.warning(
        "idle in a transaction",
        user=frontend.user_name(),
        peer=frontend.peer,
        program=frontend.program,
        idle_seconds=round(seconds, 1),
    )
    frontend.send(idle_in_transaction(seconds).wire(0))
    frontend.close(CloseReason.IDLE_TRANSACTION)
