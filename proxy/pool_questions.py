"""What the pool core can be asked."""

from __future__ import annotations

from collections.abc import Hashable

from proxy.pool_actions import PoolSnapshot
from proxy.pool_settle import POOL_OPEN, POOL_STATE_NAMES, Settling
from proxy.pool_states import NEVER, Member, Tenant, Ticket


class Questions(Settling):
    """The counts and the lists of `PoolCore`."""

    __slots__ = ()

    @property
    def state(self) -> str:
        """ "open", "paused", "draining" or "closed"."""
        return POOL_STATE_NAMES[self._state]

    @property
    def size(self) -> int:
        """Members in all states."""
        return self._members.size

    @property
    def capacity(self) -> int:
        """Members that there may be; as long as none can be opened, those that there are."""
        return self.size - self.opening_count if self._backoff.is_failing else self.bound

    @property
    def connects_per_second(self) -> float:
        """Connections that are opened within a second, at most; 0: no limit."""
        return self._rate.per_second

    @property
    def opening_count(self) -> int:
        """Members OPENING; and so on."""
        return self._members.opening.count

    @property
    def idle_count(self) -> int:
        return self._members.idle.count

    @property
    def parked_count(self) -> int:
        return self._members.parked.count

    @property
    def leased_count(self) -> int:
        return self._members.leased.count

    @property
    def resetting_count(self) -> int:
        return self._members.resetting.count

    @property
    def waiting_count(self) -> int:
        """Tickets that wait."""
        return self._waiters.count

    def leased_members(self) -> list[Member]:
        """A copy, the oldest lease first."""
        return self._members.leased.members()

    def members(self) -> list[Member]:
        """A copy, by state."""
        return self._members.all()

    def waiters(self) -> list[Ticket]:
        """A copy, in the order in which they came."""
        return sorted(self._waiters.all(), key=_arrival)

    def oldest_waiter(self) -> Ticket | None:
        """Who has been waiting for longest."""
        return self._waiters.oldest()

    def users(self) -> list[Tenant]:
        """Those who have members or wait, or have a limit."""
        return list(self._members.tenants.values())

    def counts_of(self, tenant: Hashable) -> tuple[int, int]:
        """Members of this user that are connected, and that are being opened."""
        user = self._members.tenants.get(tenant)
        if user is None:
            return 0, 0
        opened = user.opened()
        return opened, user.size() - opened

    def opens_at(self) -> float:
        """When the next member may be opened, as far as that is a matter of time: of the back-off, or of how many were."""
        return self._opens_at()

    def stalls_since(self) -> float:
        """Since when all members there may be are leased, somebody waits and nobody who did has got any; infinity if that is not so."""
        oldest = self._waiters.oldest()
        if oldest is None or self._state != POOL_OPEN or self._members.leased.count < self.bound:
            return NEVER
        return max(self._granted_at, oldest.enqueued_at)

    def snapshot(self) -> PoolSnapshot:
        """The counts of this moment."""
        members = self._members
        return PoolSnapshot(
            self.state,
            self.bound,
            members.opening.count,
            members.idle.count,
            members.parked.count,
            members.leased.count,
            members.resetting.count,
            self._waiters.count,
            self._backoff.error,
        )


def _arrival(ticket: Ticket) -> int:
    return ticket.order
