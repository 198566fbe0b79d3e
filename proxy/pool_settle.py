"""The inside of the pool core: what it consists of, the steps of members and tickets, and how they are brought together.

The theory stands in `proxy.pool`; the numbers in `_settle` refer to it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from proxy.pool_actions import RESET, Action, capture_member, close_member, open_member, wake_ticket
from proxy.pool_backoff import Backoff
from proxy.pool_members import Members
from proxy.pool_rate import Rate
from proxy.pool_states import (
    CLOSED,
    IDLE,
    LEASED,
    NEVER,
    OPENING,
    PARKED,
    RESETTING,
    KeyPool,
    Member,
    MemberList,
    Queue,
    Tenant,
    Ticket,
    serve,
)
from proxy.pool_waiters import Waiters, comes_first, weight
from proxy.reasons import CloseReason

# States of the pool; from DRAINING on it takes nothing new
POOL_OPEN: Final = 0
POOL_PAUSED: Final = 1
POOL_DRAINING: Final = 2
POOL_CLOSED: Final = 3

POOL_STATE_NAMES: Final = ("open", "paused", "draining", "closed")

KEEPS: Final = 15.0
"""So many times switch_delay a user keeps a member of his part that is free while others wait: one who now and then needs it pays for a connection at each."""
HOLDS: Final = 1.75
"""So many times idle_timeout a member that may be needed is idle before it is closed: less than two, after which nothing is to be left of a load."""
SPREAD: Final = 10.0
"""Seconds in which all members of a pool may be replaced for their age."""

NO_ACTIONS: Final[list[Action]] = []
"""What a call returns that has nothing to do: always this one list, so that it costs nothing. Never change it."""


MOST_RESERVED: Final = 16
"""The reserve is at most one in so many members, unless told otherwise."""


class Settling:
    """Everything of `PoolCore` but the calls of the shell."""

    __slots__ = (
        "_actions",
        "_backoff",
        "_granted_at",
        "_members",
        "_new_member",
        "_random",
        "_rate",
        "_retires_at",
        "_settled_at",
        "_state",
        "_waiters",
        "_yields_at",
        "acquire_timeout",
        "age_jitter",
        "bound",
        "idle_timeout",
        "longest_idle",
        "max_age",
        "max_opening",
        "max_size",
        "min_idle",
        "reserve",
        "reserve_share",
        "shed_count",
        "shed_interval",
        "shed_target",
        "spared_count",
        "switch_delay",
        "wanted",
    )

    def __init__(
        self,
        *,
        new_member: Callable[[Hashable, object], Member],
        random: Callable[[], float],
        max_size: int,
        min_idle: int = 0,
        acquire_timeout: float = 5.0,
        idle_timeout: float = 60.0,
        max_age: float = 3600.0,
        age_jitter: float = 0.2,
        max_opening: int = 8,
        backoff_base: float = 0.05,
        backoff_cap: float = 1.0,
        connects_per_second: float = 50.0,
        switch_delay: float = 0.02,
        tenant_of: Callable[[Hashable], Hashable] | None = None,
        tenant_limits: dict[Hashable, int] | None = None,
        reserve: int = 0,
        reserve_share: int = MOST_RESERVED,
        shed_target: float = NEVER,
        shed_interval: float = 1.0,
    ) -> None:
        """`new_member(key, payload)` makes the object for a connection about to be opened; `random` gives [0, 1); `tenant_of(key)` the user to
        whom a key belongs (None: they are all of one), and `tenant_limits` how many members some of them may have."""
        if max_size < 1 or max_opening < 1:
            raise ValueError("expected max_size and max_opening of at least 1")
        # members of all keys and states; of these the last few are for `spare` only, so that otherwise there are `bound`
        self.max_size: int = max_size
        self.reserve: int = reserve
        # the reserve is at most one in so many
        self.reserve_share: int = reserve_share
        self.bound: int = self._bound_of(max_size)
        # idle members kept for each key that was leased within max_age
        self.min_idle: int = min_idle
        # longest wait of a ticket
        self.acquire_timeout: float = acquire_timeout
        # idle for so long: closed; parked for so long: captured
        self.idle_timeout: float = idle_timeout
        # members that are likely to be needed soon: so many may be idle for longer than that, by HOLDS
        self.wanted: int = 0
        # idle for so long: closed in any case, before the server does that
        self.longest_idle: float = NEVER
        # a member of this age, less a random share of up to age_jitter, is closed when it is free
        self.max_age: float = max_age
        self.age_jitter: float = age_jitter
        # openings at a time
        self.max_opening: int = max_opening
        # about what opening costs, in seconds: how much longer another key's waiter has to have waited before a member is closed for it
        self.switch_delay: float = switch_delay

        # waits of this length, when there are no shorter ones for so long, have those who wait longer refused; and how many were
        self.shed_target: float = shed_target
        self.shed_interval: float = shed_interval
        self.shed_count: int = 0
        # members opened of the reserve
        self.spared_count: int = 0

        self._new_member: Callable[[Hashable, object], Member] = new_member
        self._random: Callable[[], float] = random
        self._state: int = POOL_OPEN
        self._members: Members = Members(min_idle > 0, tenant_of, tenant_limits)
        self._waiters: Waiters = Waiters()
        self._rate: Rate = Rate(connects_per_second, connects_per_second)
        # when the next member may be closed for its age
        self._retires_at: float = -NEVER
        self._backoff: Backoff = Backoff(backoff_base, backoff_cap, random)
        # decided in the present call and not yet returned
        self._actions: list[Action] = []
        # when `_settle` last ran
        self._settled_at: float = -NEVER
        # when somebody who waited last got one
        self._granted_at: float = -NEVER
        # when a member that is free may be taken from its user, for somebody who waited then
        self._yields_at: float = NEVER

    def _bound_of(self, max_size: int) -> int:
        """Members that there may be without the reserve."""
        return max_size - min(self.reserve, max_size // self.reserve_share)

    # Steps of a member

    def _open(self, queue: Queue, pool: KeyPool, payload: object, credential: object, now: float) -> Action:
        member = self._new_member(pool.key, payload)
        member.payload = payload
        member.credential = credential
        self._members.add(member, pool)
        self._rate.take(now)
        serve(member, queue)
        action = open_member(member, payload)
        self._actions.append(action)
        return action

    def _lease(self, member: Member, ticket: Ticket, now: float) -> None:
        self._members.move(member, LEASED)
        member.leased_since = now
        member.ticket = ticket
        member.pool.used_at = now
        if ticket.quota is not None:
            ticket.quota.leased += 1
        ticket.member = member
        ticket.error = None
        ticket.is_done = False

    def _end_lease(self, ticket: Ticket) -> None:
        ticket.member = None
        ticket.is_done = True
        if ticket.quota is not None:
            ticket.quota.leased -= 1

    def _rest(self, member: Member, now: float, since: float = NEVER) -> None:
        """A member without residue becomes idle, if it may live on. ``since``: when it was used last, if not now."""
        if not self._is_over(member, now):
            member.idle_since = now if now < since else since
            self._members.move(member, IDLE)

    def _is_over(self, member: Member, now: float) -> bool:
        """Whether a member that is free is one too many, or too old: then it is closed."""
        if self._members.size > self.bound or member.pool.tenant.is_over():
            self._close(member, CloseReason.OVER_BOUND)
        elif now >= member.ages_at and self._is_too_old(member, now):
            self._close(member, CloseReason.MAX_AGE)
        else:
            return False
        return True

    def _is_too_old(self, member: Member, now: float) -> bool:
        """Whether a member has reached its age, and it is its turn to go: then it does. All of one age would leave an empty pool behind."""
        if now < member.ages_at:
            return False
        if now < member.expires_at:
            if now < self._retires_at:
                return False
            member.expires_at = now
            self._retires_at = now + max(SPREAD / self._members.size, 2.0 * self._rate.interval)
        return True

    def _reset(self, member: Member, now: float) -> None:
        if not self._is_over(member, now):
            self._members.move(member, RESETTING)
            serve(member, member.pool)
            self._actions.append(Action(RESET, member))

    def _park(self, member: Member, now: float) -> None:
        """A member with residue is parked, or captured if it may not live on or a waiter of its key could use it at once."""
        pool = member.pool
        member.idle_since = now
        is_waited_for = pool.count > pool.counts[RESETTING] and pool.first is not None
        is_wanted = is_waited_for or self._members.size > self.bound or pool.tenant.is_to_shrink()
        if self._state == POOL_OPEN and (is_wanted or self._is_too_old(member, now)):
            self._capture(member, pool)
        else:
            self._members.move(member, PARKED)

    def _shrink(self) -> None:
        """The bound is lower than it was: what is free and above it goes, the coldest first. What is leased or being captured goes when it is free."""
        members = self._members
        while members.size > self.bound and (idle := members.idle.oldest) is not None:
            self._close(idle, CloseReason.OVER_BOUND)
        excess = members.size - self.bound - members.resetting.count
        while excess > 0 and self._state == POOL_OPEN and (parked := members.parked.oldest) is not None:
            self._capture(parked, parked.pool)
            excess -= 1

    def _shrink_user(self, user: Tenant) -> None:
        """The same where a user may have fewer than before."""
        member = self._members.idle.oldest
        while member is not None and user.is_over():
            newer = member.newer
            if member.pool.tenant is user:
                self._close(member, CloseReason.OVER_BOUND)
            member = newer
        member = self._members.parked.oldest
        while member is not None and self._state == POOL_OPEN and user.is_to_shrink():
            newer = member.newer
            if member.pool.tenant is user:
                self._capture(member, member.pool)
            member = newer

    def _capture(self, member: Member, queue: Queue) -> None:
        self._members.move(member, RESETTING)
        serve(member, queue)
        self._actions.append(capture_member(member))

    def _close(self, member: Member, reason: CloseReason) -> None:
        self._drop(member)
        self._actions.append(close_member(member, reason))

    def _drop(self, member: Member) -> None:
        """Out of all lists, and away from its ticket."""
        ticket = member.ticket
        if ticket is not None:
            member.ticket = None
            if member.state == OPENING:
                ticket.opening = None
            else:
                self._end_lease(ticket)
        self._members.move(member, CLOSED)

    # Steps of a ticket

    def _leave(self, ticket: Ticket) -> None:
        queue = ticket.queue
        self._waiters.leave(ticket)
        if isinstance(queue, KeyPool):
            self._members.prune(queue)

    def _grant(self, member: Member, ticket: Ticket, now: float) -> None:
        queue = ticket.queue
        assert queue is not None, "who is granted a member later has waited"
        queue.served(ticket)
        self._granted_at = now
        self._leave(ticket)
        self._lease(member, ticket, now)
        self._actions.append(wake_ticket(ticket))

    def _refuse(self, ticket: Ticket, error: object) -> None:
        self._leave(ticket)
        ticket.error = error
        self._actions.append(wake_ticket(ticket))

    def _refuse_all(self, error: object) -> None:
        for ticket in self._waiters.all():
            self._refuse(ticket, error)

    # Settling

    def _settled(self, now: float) -> list[Action]:
        """How every call ends that may have changed what can be granted."""
        if self._members.size > self.bound:
            self._shrink()
        if self._waiters.count:
            self._settle(now)
        return self._taken()

    def _taken(self) -> list[Action]:
        if not self._actions:
            return NO_ACTIONS
        actions = self._actions
        self._actions = []
        return actions

    def _settle(self, now: float) -> None:
        """The numbers are those of the theory above."""
        self._settled_at = now
        self._yields_at = NEVER
        if self._state != POOL_OPEN:
            return
        members = self._members
        # 1.
        if members.idle.count:
            self._grant_all_idle(now)
        # 2.
        if not self._supply(now, False):
            self._supply(now, True)
        # 3.
        if members.parked.count:
            for queue in self._waiters.queues:
                while isinstance(queue, KeyPool) and queue.counts[PARKED] and queue.is_short:
                    self._capture_own(queue)

    def _supply(self, now: float, owning: bool) -> bool:
        """Get members for queues that are short, as far as may be; False when there is none for the neediest. ``owning``: as in `neediest`."""
        members = self._members
        while self._may_open(now) and (
            members.size < self.bound or members.idle.count or members.parked.count
        ):
            needy = self._waiters.neediest(now, owning)
            if needy is None:
                break
            if not self._add_member(needy, now):
                return False
        return True

    def _grant_all_idle(self, now: float) -> None:
        idle = self._members.idle
        member = idle.oldest
        if idle.count == 1 and member is not None:
            # under load, nearly always: the one that was just given back, for which not all queues have to be looked at
            if member.pool.count:
                self._grant_idle(member.pool, now)
            return
        for queue in list(self._waiters.queues):
            if isinstance(queue, KeyPool) and queue.top is not None:
                self._grant_idle(queue, now)

    def _grant_idle(self, pool: KeyPool, now: float) -> None:
        while True:
            ticket = pool.first
            if ticket is None:
                return
            member = pool.best(ticket.likeness)
            if member is None:
                return
            starved = self._starved(pool, ticket, now)
            if starved is None or not self._add_member(starved, now, member):
                self._grant(member, ticket, now)

    def _starved(self, pool: KeyPool, ticket: Ticket, now: float) -> Queue | None:
        """The queue for which a member is closed although this ticket could have it: of a user who has less than its own; or whose oldest waiter is
        so much older, if it is of the same user or neither has anything."""
        is_full = self._is_full()
        if len(self._waiters.queues) == 1 or not self._may_open(now):
            return None
        if not is_full and not pool.tenant.is_full():
            return None
        needy = self._waiters.neediest(now)
        if needy is None or needy is pool:
            return None
        first = needy.first
        assert first is not None and first.line is not None, "a short queue has somebody to serve"
        if not is_full and pool.tenant is not (first.line.tenant or needy.tenant):
            # there is room for others, but not for this user
            return None
        if needy.tenant is not pool.tenant:
            theirs = needy.used() * weight(first.is_batch)
            ours = pool.used() * weight(ticket.is_batch)
            if theirs or ours:
                return needy if theirs < ours else None
        return needy if comes_first(first, ticket, now, self.switch_delay) else None

    def _is_full(self) -> bool:
        return self._members.size >= self.bound

    def _may_open(self, now: float) -> bool:
        """Room is another matter. While openings fail there is one at a time."""
        limit = 1 if self._backoff.is_failing else self.max_opening
        return self._state == POOL_OPEN and self._members.opening.count < limit and now >= self._opens_at()

    def _opens_at(self) -> float:
        """When the next member may be opened, as far as that is a matter of time."""
        return max(self._backoff.retry_at, self._rate.next_at)

    def _add_member(self, queue: Queue, now: float, replaced: Member | None = None) -> bool:
        """Get another member for a queue that is short, while one may be opened; False if there is no room for it at present. ``replaced``: the idle
        member that makes room, unless one of a user's own has to, because of a limit."""
        members = self._members
        ticket = self._waiters.uncovered(queue)
        tenant = members.tenant(ticket.key)
        if self._is_full() or (tenant is not None and tenant.is_full()):
            if isinstance(queue, KeyPool) and queue.counts[PARKED]:
                self._capture_own(queue)
                return True
            if replaced is None or (
                replaced.pool.tenant is not tenant and tenant is not None and tenant.is_full()
            ):
                replaced = self._yielding(members.idle, queue, ticket, tenant, now)
            if replaced is None:
                parked = self._yielding(members.parked, queue, ticket, tenant, now)
                if parked is not None:
                    self._capture(parked, queue)
                return parked is not None
            self._close(replaced, CloseReason.EVICTED)
        pool = members.pool_of(ticket.key, now)
        action = self._open(queue, pool, ticket.payload, ticket.credential, now)
        action.replaces = replaced
        if ticket.wants_fresh and action.member is not None:
            action.member.ticket = ticket
            ticket.opening = action.member
        return True

    def _yielding(
        self, members: MemberList, queue: Queue, ticket: Ticket, tenant: Tenant | None, now: float
    ) -> Member | None:
        """Of members that are free the one for longest so, of those that a queue may have, for a ticket of ``tenant``. Another user keeps its own
        for a moment, for the next command of a client that is busy, unless this one has nothing at all, or less even with that. Who may have no
        more gives up its own."""
        is_own_only = tenant is not None and tenant.is_full()
        ours = queue.used() * weight(ticket.is_batch)
        member = members.oldest
        while member is not None:
            owner = member.pool.tenant
            if owner is tenant:
                break
            if not is_own_only:
                yields_at = member.idle_since + KEEPS * self.switch_delay
                if now >= yields_at or not ours or ours < owner.used() * weight(owner.is_batch):
                    break
                self._yields_at = min(self._yields_at, yields_at)
            member = member.newer
        return member

    def _capture_own(self, pool: KeyPool) -> None:
        member = self._members.best_parked(pool, self._waiters.uncovered(pool).likeness)
        assert member is not None, "pool.counts has a parked member"
        self._capture(member, pool)
