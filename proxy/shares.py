"""What one worker may have of each bound: tells the parent what it could use, and gives back what it is asked for (`slots`). A shell.

Bounds are of connections to one endpoint (`pool.size`), and there of one user's, and of leases in one database (`max_backends`). A connection is given back when
it is gone: closed, and where that is up to us, closed by the server, too. As a server counts it for a moment longer, it has SETTLES seconds for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from config.settings import Settings
from proxy.backend import Backend
from proxy.endpoint import Endpoint
from proxy.endpoint_rules import EndpointRules
from proxy.identity import user_of
from proxy.pool_limits import NOTHING, Quota
from proxy.pool_settle import MOST_RESERVED
from proxy.shared import Shared
from proxy.slots import Holding, division

SEPARATOR: Final = "\t"
USER: Final = "user"
DATABASE: Final = "database"
LASTING: Final = 10
"""A demand counts for so many ticks: a lull of a moment must not cost connections."""
SETTLES: Final = 0.05
LOOKS: Final = 0.01
"""Seconds between two looks whether connections are gone that were asked for."""
PATIENCE: Final = 1.0
"""Seconds that a server may take to close a connection after COM_QUIT."""

Tell = Callable[[str, object], None]
"""A message to the parent: its kind, and what JSON knows."""


def name_of(endpoint: str, kind: str = "", name: str = "") -> str:
    """Of a bound, the same in all workers."""
    return SEPARATOR.join((endpoint, kind, name)) if kind else endpoint


def bound_of(settings: Settings, name: str) -> tuple[int, int]:
    """Its size, and what each worker has of that in any case."""
    _, kind, limited = (*name.split(SEPARATOR, 2), "", "")[:3]
    rules = EndpointRules(settings)
    if kind == USER:
        return rules.user_limits[limited.encode()], OfUser.floor
    if kind == DATABASE:
        return rules.database_limits[limited.encode()], OfDatabase.floor
    return rules.max_size, Size.floor


def bounds_of(rules: EndpointRules, endpoint: str, user: str) -> list[str]:
    """For which ones a connection of this user counts; nobody knows in which database it is leased, so that it is in all."""
    names = [name_of(endpoint)]
    if user.encode("utf-8", "surrogateescape") in rules.user_limits:
        names.append(name_of(endpoint, USER, user))
    return names + [name_of(endpoint, DATABASE, each.decode()) for each in rules.database_limits]


class Bound:
    """One bound of one endpoint."""

    # what each worker has, unless connections of the dead have it (`slots`)
    floor = 0

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint: Final = endpoint

    def wanted(self, held: int) -> int:
        """What it could use now."""
        raise NotImplementedError

    def living(self, leaving: list[Backend]) -> int:
        """What counts for the bound. ``leaving``: backends of the endpoint that may be there yet although they were closed."""
        raise NotImplementedError

    def apply(self, most: int) -> None:
        """So much there may be."""
        raise NotImplementedError


class Size(Bound):
    """Of an endpoint's connections."""

    floor = 1

    def __init__(self, endpoint: Endpoint, shared: Shared) -> None:
        super().__init__(endpoint)
        self._shared: Final = shared

    def wanted(self, held: int) -> int:
        core = self.endpoint.core
        wanted = core.leased_count + core.resetting_count + core.waiting_count
        if core.waiting_count:
            # for them the reserve is not there
            wanted += core.max_size - core.bound
        # where the server has no room for what is held, more would not help
        return min(wanted, held) if core.max_size < held else wanted

    def living(self, leaving: list[Backend]) -> int:
        return self.endpoint.core.size + len(leaving)

    def apply(self, most: int) -> None:
        if self._shared.budgets is None:
            self.endpoint.resize(most)
        else:
            self._shared.budgets.allow(self.endpoint, most)


class OfUser(Bound):
    """Of one user's connections there."""

    def __init__(self, endpoint: Endpoint, user: bytes) -> None:
        super().__init__(endpoint)
        self._user: Final = user

    def wanted(self, held: int) -> int:
        core = self.endpoint.core
        used = sum(each.used() for each in core.users() if each.name == self._user)
        if not core.waiting_count:
            return used
        return used + sum(user_of(ticket.key) == self._user for ticket in core.waiters())

    def living(self, leaving: list[Backend]) -> int:
        left = sum(user_of(backend.key) == self._user for backend in leaving)
        return sum(self.endpoint.core.counts_of(self._user)) + left

    def apply(self, most: int) -> None:
        self.endpoint.give(self._user, most or NOTHING)


class OfDatabase(Bound):
    """Of leases in one database."""

    def __init__(self, endpoint: Endpoint, quota: Quota) -> None:
        super().__init__(endpoint)
        self._quota: Final = quota

    def wanted(self, held: int) -> int:
        core = self.endpoint.core
        waiting = sum(ticket.quota is self._quota for ticket in core.waiters()) if core.waiting_count else 0
        return self._quota.leased + waiting

    def living(self, leaving: list[Backend]) -> int:
        return self._quota.leased

    def apply(self, most: int) -> None:
        self._quota.most = most
        # somebody may go on
        self.endpoint.resize(self.endpoint.core.max_size)


class Share:
    """What this worker holds of one bound, with the endpoint that it is of, if it is known here yet; and those of the same name before it, of which something may be left."""

    def __init__(self, held: int) -> None:
        self.holding: Final = Holding(held)
        self._told = -1
        # ticks since then
        self._waits = 0
        self._bounds: Final[list[Bound]] = []
        self._demands: Final[deque[int]] = deque(maxlen=LASTING)

    def adopt(self, bound: Bound) -> None:
        """The endpoint from now on."""
        self._bounds.append(bound)

    def demand(self) -> int:
        """What it could use, of the last ticks the most."""
        if not self._bounds:
            return 0
        self._demands.append(self._bounds[-1].wanted(self.holding.bound))
        return max(self._demands)

    def is_news(self, demand: int) -> bool:
        """Whether the parent is to be told; it takes that for done. Who has nothing says so again and again, for it is turn by turn then."""
        self._waits += 1
        is_starving = demand > 0 and not self.holding.bound and self._waits >= LASTING
        if demand == self._told and not is_starving:
            return False
        self._told, self._waits = demand, 0
        return True

    def living(self) -> int:
        """What counts for the bound."""
        return sum(bound.living(bound.endpoint.leaving or []) for bound in self._bounds)

    def apply(self) -> None:
        """Keep to what is held."""
        if not self._bounds:
            return
        *former, bound = self._bounds
        left = 0
        for each in former:
            living = each.living(each.endpoint.leaving or [])
            left += living
            if not living:
                self._bounds.remove(each)
        bound.apply(max(0, self.holding.bound - left))

    @property
    def has_former(self) -> bool:
        """Whether there is something left of endpoints before."""
        return len(self._bounds) > 1


class Shares:
    """Of one worker, all bounds."""

    def __init__(self, shared: Shared, settings: Settings, begun: Mapping[str, int], tell: Tell) -> None:
        """``begun``: what it begins with of those bounds that the parent knows."""
        self._shared: Final = shared
        self._settings: Final = settings
        self._rules: Final = EndpointRules(settings)
        self._begun: Final = dict(begun)
        self._tell: Final = tell
        self._shares: Final[dict[str, Share]] = {}
        self._endpoints: list[Endpoint] = []
        # when backends were first seen to be closed, and gone
        self._closed_at: Final[dict[Backend, float]] = {}
        self._gone_at: Final[dict[Backend, float]] = {}
        self._is_looking = False

    def adopt(self, endpoint: Endpoint) -> None:
        """From now on its pool has what this worker holds."""
        endpoint.leaving = []
        # of the whole pool it is one in MOST_RESERVED at most, of which this worker has its part (`parting`)
        endpoint.core.reserve_share = max(2, -(-MOST_RESERVED // self._shared.workers))
        self._endpoints.append(endpoint)
        name = endpoint.name
        self._add(name_of(name), Size(endpoint, self._shared))
        for user in self._rules.user_limits:
            self._add(name_of(name, USER, user.decode()), OfUser(endpoint, user))
        for database, quota in endpoint.quotas.items():
            self._add(name_of(name, DATABASE, database.decode()), OfDatabase(endpoint, quota))

    def _add(self, name: str, bound: Bound) -> None:
        share = self._of(name)
        share.adopt(bound)
        share.apply()

    def _of(self, name: str) -> Share:
        share = self._shares.get(name)
        if share is None:
            held = self._begun.get(name)
            if held is None:
                size, _ = bound_of(self._settings, name)
                held = division(size, self._shared.workers, self._shared.worker)
            share = self._shares[name] = Share(held)
        return share

    def moved(self, moves: Mapping[str, int]) -> None:
        """The parent has given some, or asks for some (below 0): also of an endpoint that another worker has found before this one."""
        for name, count in moves.items():
            share = self._of(name)
            share.holding.moved(count)
            share.apply()
        self._give()

    def demands(self) -> dict[str, int]:
        """For the coarse tick: what it could use, as far as that is another than the parent knows."""
        self._forget_gone()
        found: dict[str, int] = {}
        for name, share in self._shares.items():
            if share.has_former:
                share.apply()
            demand = share.demand()
            if share.is_news(demand):
                found[name] = demand
        return found

    def _give(self) -> None:
        """Give back what can be, and look again soon whether the rest can."""
        self._forget_gone()
        given: dict[str, int] = {}
        for name, share in self._shares.items():
            if share.holding.is_giving and (count := share.holding.given(share.living())):
                given[name] = count
        if given:
            self._tell("gave", given)
        if not self._is_looking and any(share.holding.is_giving for share in self._shares.values()):
            self._is_looking = True
            self._shared.loop.call_later(LOOKS, self._look_again)

    def _look_again(self) -> None:
        self._is_looking = False
        self._give()

    def _forget_gone(self) -> None:
        """Of backends that were closed, those that even the server has forgotten. One that does not go is broken off."""
        now = self._shared.loop.time()
        for endpoint in self._endpoints:
            left = [backend for backend in endpoint.leaving or [] if self._may_be_there(backend, now)]
            endpoint.leaving = left
        used = self._shared.endpoints()
        self._endpoints = [each for each in self._endpoints if each in used or each.core.size or each.leaving]

    def _may_be_there(self, backend: Backend, now: float) -> bool:
        if backend.is_gone():
            since = self._gone_at.setdefault(backend, now)
            if now - since < SETTLES:
                return True
            self._closed_at.pop(backend, None)
            del self._gone_at[backend]
            return False
        if now - self._closed_at.setdefault(backend, now) > PATIENCE:
            backend.transport.abort()
        return True
