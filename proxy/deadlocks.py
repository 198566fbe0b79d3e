"""Deadlocks of clients with themselves: processes that hold a backend, wait for a second one, and so have all there are.

A thread that opens a transaction and, before its end, asks for another connection of its own pool is served as long as there is one. When as many of
them as there are backends do so at once, none goes on before `acquire_timeout`, and then all of them get errors.

That it is so shows: all backends are leased, to sessions whose clients have had their answers and send nothing, and nobody who waits has got any for STALL.
(With a slow server something runs.) Of those who wait the reserve is for one whose process holds a lease. Which of its threads does cannot be seen; but
threads that wait ask for nothing, so that the last to ask were those that had got answers: who asked since the last answer comes first, then who came last.
"""

from __future__ import annotations

from typing import Final

from proxy.backend import Backend
from proxy.pool import PoolCore, Ticket
from proxy.tenants import Holder, Waiter

STALL: Final = 0.25
"""Seconds in which nobody who waits has got a backend."""
EXACTLY: Final = 0.1
"""Seconds by which times of answers are early."""


def deadlocked(core: PoolCore, now: float) -> list[Ticket]:
    """Of those who wait for this pool, for whom the reserve is, who needs it most first. Empty when it is no deadlock."""
    if core.bound == core.max_size or now < core.stalls_since() + STALL:
        return []
    processes: set[str] = set()
    answered = 0.0
    for member in core.leased_members():
        owner = member.owner if isinstance(member, Backend) else None
        at = owner.answered_at() if isinstance(owner, Holder) else now
        if not isinstance(owner, Holder) or at > now - STALL:
            return []
        processes.add(owner.process())
        answered = max(answered, at)
    waiters = [
        ticket for ticket in core.waiters() if isinstance(ticket, Waiter) and ticket.process() in processes
    ]
    since = [ticket for ticket in waiters if ticket.enqueued_at >= answered + EXACTLY]
    about = [ticket for ticket in waiters if answered <= ticket.enqueued_at < answered + EXACTLY]
    before = [ticket for ticket in waiters if ticket.enqueued_at < answered]
    return [*about, *since, *reversed(before)]
