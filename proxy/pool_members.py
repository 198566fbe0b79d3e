"""All members of one endpoint: the list of each state, the pool of each key, and the one function that moves a member."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from proxy.pool_states import (
    CLOSED,
    IDLE,
    LEASED,
    MOST_LOOKS,
    OPENING,
    PARKED,
    RESETTING,
    STATE_NAMES,
    KeyPool,
    Member,
    MemberList,
    PoolStateError,
    Tenant,
    serve,
)

# Legal transitions: a bit per new state, by old state. The table in proxy.pool says who makes them and when. (Of a fixed length compiled code would
# box it anew each time.)
_LEGAL: Final[tuple[int, ...]] = (
    1 << IDLE | 1 << LEASED | 1 << CLOSED,  # OPENING
    1 << LEASED | 1 << CLOSED,  # IDLE
    1 << LEASED | 1 << IDLE | 1 << RESETTING | 1 << CLOSED,  # PARKED
    1 << IDLE | 1 << PARKED | 1 << RESETTING | 1 << CLOSED,  # LEASED
    1 << IDLE | 1 << LEASED | 1 << CLOSED,  # RESETTING
    0,  # CLOSED
)


class Members:
    """Counts are the lengths of lists, so that they cannot disagree with the states."""

    __slots__ = (
        "_keeps_proven",
        "_tenant_of",
        "idle",
        "leased",
        "lists",
        "opening",
        "parked",
        "pools",
        "resetting",
        "size",
        "tenants",
    )

    def __init__(
        self,
        keeps_proven: bool,
        tenant_of: Callable[[Hashable], Hashable] | None = None,
        limits: dict[Hashable, int] | None = None,
    ) -> None:
        """``tenant_of``: whose a key is; None: they are all of one user. ``limits``: how many members users may have."""
        self._tenant_of: Callable[[Hashable], Hashable] | None = tenant_of
        # a key that has logged in once is remembered although nothing is left of it (for min_idle)
        self._keeps_proven: bool = keeps_proven
        self.opening: MemberList = MemberList()
        self.idle: MemberList = MemberList()
        self.parked: MemberList = MemberList()
        self.leased: MemberList = MemberList()
        self.resetting: MemberList = MemberList()
        # the same, by state
        self.lists: list[MemberList] = [self.opening, self.idle, self.parked, self.leased, self.resetting]
        # members in all of them
        self.size: int = 0
        # the keys that have members, waiters, or a login to remember
        self.pools: dict[Hashable, KeyPool] = {}
        # the users who have any of them, or a limit
        self.tenants: dict[Hashable, Tenant] = {}
        for name, most in (limits or {}).items():
            self.tenants[name] = Tenant(name, most)

    def pool_of(self, key: Hashable, now: float) -> KeyPool:
        """The pool of a key, made if need be."""
        pool = self.pools.get(key)
        if pool is None:
            tenant = self.tenant(key)
            if tenant is None:
                name = self.name_of(key)
                tenant = self.tenants[name] = Tenant(name)
            pool = self.pools[key] = KeyPool(key, now, tenant)
        return pool

    def tenant(self, key: Hashable) -> Tenant | None:
        """Whose a key is; None: of one who has no members, nor a limit."""
        return self.tenants.get(self.name_of(key))

    def limit(self, name: Hashable, most: int) -> Tenant:
        """So many may this user have, and no more than it was given; 0: what it was given."""
        tenant = self.tenants.get(name)
        if tenant is None:
            tenant = self.tenants[name] = Tenant(name)
        tenant.most = min(most or tenant.given, tenant.given or most)
        self._forget(tenant)
        return tenant

    def give(self, name: Hashable, most: int) -> None:
        """So many is this user given."""
        tenant = self.tenants.get(name)
        if tenant is None:
            tenant = self.tenants[name] = Tenant(name)
        tenant.given = most

    def name_of(self, key: Hashable) -> Hashable:
        """Whose a key is."""
        return None if self._tenant_of is None else self._tenant_of(key)

    def prune(self, pool: KeyPool) -> None:
        """Forget a key of which nothing is left."""
        if pool.size or pool.count or (self._keeps_proven and pool.is_proven):
            return
        if self.pools.pop(pool.key, None) is not None:
            tenant = pool.tenant
            tenant.pools.remove(pool)
            self._forget(tenant)

    def _forget(self, tenant: Tenant) -> None:
        if not tenant.pools and not tenant.most:
            del self.tenants[tenant.name]

    def add(self, member: Member, pool: KeyPool) -> None:
        """A new member begins in OPENING."""
        member.key = pool.key
        member.pool = pool
        pool.size += 1
        pool.counts[OPENING] += 1
        self.size += 1
        self.opening.append(member)

    def move(self, member: Member, state: int) -> None:
        """Change a member's state: the only place that does. Raises PoolStateError if that is illegal; nothing changed then."""
        old = member.state
        if not (_LEGAL[old] >> state) & 1:
            raise PoolStateError(f"a member cannot go from {STATE_NAMES[old]} to {STATE_NAMES[state]}")
        pool = member.pool
        # written out, because compiled code adds in place to what a list holds by Python's general means
        counts = pool.counts
        self.lists[old].remove(member)
        counts[old] = counts[old] - 1
        if old == IDLE:
            pool.pull(member)
        elif member.serves is not None:
            serve(member, None)
        member.state = state
        if state == CLOSED:
            self.size -= 1
            pool.size -= 1
            self.prune(pool)
            return
        self.lists[state].append(member)
        counts[state] = counts[state] + 1
        if state == IDLE:
            pool.push(member)

    def rekey(self, member: Member, key: Hashable, now: float) -> None:
        """The session has changed what cannot be changed back (a schema was chosen where there was none)."""
        old = member.pool
        new = self.pool_of(key, now)
        state = member.state
        old.size -= 1
        old.counts[state] -= 1
        new.size += 1
        new.counts[state] += 1
        member.key = key
        member.pool = new
        self.prune(old)

    def best_parked(self, pool: KeyPool, likeness: object) -> Member | None:
        """The member of one key to capture for a ticket: of those that have been parked for longest the first of this likeness, else the
        first."""
        oldest: Member | None = None
        member = self.parked.oldest
        looks = 0
        while member is not None and (oldest is None or looks < MOST_LOOKS):
            if member.pool is pool:
                if member.likeness is likeness:
                    return member
                if oldest is None:
                    oldest = member
            looks += 1
            member = member.newer
        return oldest

    def all(self) -> list[Member]:
        """A copy, by state."""
        found: list[Member] = []
        for members in self.lists:
            found += members.members()
        return found
