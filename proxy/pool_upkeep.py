"""What the pool core does as time passes."""

from __future__ import annotations

from proxy.pool_actions import (
    OF_DATABASE,
    OF_SERVER,
    OF_USER,
    AcquireTimeout,
    Action,
    Limit,
    PoolSnapshot,
    Shed,
)
from proxy.pool_questions import Questions
from proxy.pool_settle import HOLDS, POOL_OPEN
from proxy.pool_shedding import late_tickets
from proxy.pool_states import IDLE, NEVER, KeyPool, Ticket
from proxy.reasons import CloseReason


class Upkeep(Questions):
    """The tick of `PoolCore`."""

    __slots__ = ()

    def tick(self, now: float) -> list[Action]:
        """Let time pass: expire tickets, close and capture what has been free for too long, keep min_idle, open what back-off
        held up. To be called at every `next_deadline`, and about once a second besides."""
        self._expire(now)
        if self.shed_target < NEVER and self._state == POOL_OPEN:
            self._shed(now)
        self._retire(now)
        if self._waiters.count:
            self._settle(now)
        if self._state == POOL_OPEN:
            self._capture_old(now)
            if self.min_idle:
                self._top_up(now)
        return self._taken()

    def next_deadline(self, now: float) -> float:
        """When somebody who waits needs the next `tick` (`now` if at once); infinity when nobody waits. What is idle, parked or
        kept for min_idle needs only the coarse tick."""
        at = self._waiters.deadlines.next()
        if self._waiters.count > 0 and self._state == POOL_OPEN:
            at = min(at, self._yields_at)
            opens_at = self._opens_at()
            if self._settled_at < opens_at:
                at = min(at, opens_at)
        return max(now, at)

    def _expire(self, now: float) -> None:
        snapshot: PoolSnapshot | None = None
        while (ticket := self._waiters.deadlines.expired(now)) is not None:
            if snapshot is None:
                snapshot = self.snapshot()
            self._refuse(
                ticket,
                AcquireTimeout(now - ticket.enqueued_at, snapshot, _limit_of(ticket), self._error_of(ticket)),
            )

    def _error_of(self, ticket: Ticket) -> object:
        """Why there are no connections of its user."""
        tenant = self._members.tenant(ticket.key)
        return None if tenant is None else tenant.refusals.error

    def _shed(self, now: float) -> None:
        for ticket in late_tickets(self._members, now, self.shed_target, self.shed_interval):
            self.shed_count += 1
            self._refuse(ticket, Shed(now - ticket.enqueued_at, ticket.is_batch))

    def _retire(self, now: float) -> None:
        """Close idle members that are too old, and those that nobody needed for long, the coldest first."""
        member = self._members.idle.oldest
        while member is not None:
            newer = member.newer
            pool = member.pool
            if self._is_too_old(member, now):
                self._close(member, CloseReason.MAX_AGE)
            elif self._is_superfluous(pool, now - member.idle_since):
                self._close(member, CloseReason.IDLE_TIMEOUT)
            member = newer

    def _is_superfluous(self, pool: KeyPool, idle: float) -> bool:
        """Whether a member that has been idle for so long goes."""
        if idle >= self.longest_idle:
            return True
        if idle < self.idle_timeout or pool.counts[IDLE] <= (self.min_idle if pool.is_proven else 0):
            return False
        return self._members.size > self.wanted or idle >= HOLDS * self.idle_timeout

    def _capture_old(self, now: float) -> None:
        """Residue does not keep a member alive: parked for long, it is captured, and then as idle as any other."""
        member = self._members.parked.oldest
        while member is not None:
            newer = member.newer
            idle = now - member.idle_since
            pool = member.pool
            is_old = idle >= min(self.idle_timeout, self.longest_idle) or self._is_too_old(member, now)
            if is_old or pool.tenant.is_to_shrink():
                self._capture(member, pool)
            member = newer

    def _top_up(self, now: float) -> None:
        """Open what min_idle asks for, below the bound and after all who wait."""
        for pool in list(self._members.pools.values()):
            if now - pool.used_at >= self.max_age:
                # nobody uses this key any more
                pool.disprove(pool.credential)
                self._members.prune(pool)
            while (
                pool.is_proven
                and pool.counts[IDLE] + pool.coming < self.min_idle + pool.count
                and not self._is_full()
                and not pool.tenant.is_full()
                and self._may_open(now)
            ):
                self._open(pool, pool, pool.payload, pool.credential, now)


def _limit_of(ticket: Ticket) -> Limit | None:
    """The limit that one who waits has to wait for; None when others could have a member either."""
    line, queue, quota = ticket.line, ticket.queue, ticket.quota
    assert line is not None and queue is not None, "it waits"
    if quota is not None and not quota.has_room():
        return Limit(OF_DATABASE, quota.name, quota.most, quota.configured)
    user = line.tenant or queue.tenant
    if user.most == 0 or user.opened() < user.most:
        return None
    if user.most == user.given:
        return Limit(OF_USER, user.name, max(0, user.most), user.configured)
    return Limit(OF_SERVER, user.name, max(0, user.most))
