"""Whom to refuse when the queue itself is the delay.

A queue takes up bursts. One that is never short any more delays everybody by its length and serves nobody sooner for it: clients give up and ask again,
and what is served has been given up. Whether it stands shows in the shortest wait of some time (CoDel): if that has been `target` for `interval`, those who
have waited that long are refused, so that the others wait no longer than that; batch first, and interactive ones when it stands for as long again
although. It ends when the oldest has waited for half of `target` only.

Each user's queue is looked at for itself: one who has his part waits for nobody else. Logins are not refused.

References: Nichols, Jacobson, "Controlling Queue Delay" (2012); Maurer, "Fail at Scale" (2015), where the target is a time limit as it is here.
"""

from __future__ import annotations

from proxy.pool_members import Members
from proxy.pool_states import NEVER, Tenant, Ticket


def late_tickets(members: Members, now: float, target: float, interval: float) -> list[Ticket]:
    """Who is refused now. To be asked at every tick."""
    found: list[Ticket] = []
    for tenant in list(members.tenants.values()):
        stands_for = now - _late_since(tenant, now, target)
        if stands_for >= interval:
            spares_interactive = stands_for < 2.0 * interval
            for pool in tenant.pools:
                for line in pool.lines:
                    if line.is_batch or not spares_interactive:
                        found += [
                            ticket
                            for ticket in line.tickets(line.count)
                            if now - ticket.enqueued_at >= target
                        ]
    return found


def forget_late(members: Members) -> None:
    """The pool was paused: what has been waited in that time says nothing of the queues."""
    for tenant in members.tenants.values():
        tenant.late_since = NEVER


def _late_since(tenant: Tenant, now: float, target: float) -> float:
    """Since when the wait has been too long; infinity when it is not."""
    oldest = min(
        [line.first.enqueued_at for pool in tenant.pools for line in pool.lines if line.first is not None],
        default=now,
    )
    waited = now - oldest
    if waited < target / 2.0:
        tenant.late_since = NEVER
    elif waited >= target and tenant.late_since == NEVER:
        tenant.late_since = now
    return tenant.late_since
