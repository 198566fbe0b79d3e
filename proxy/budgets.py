"""The budgets of all endpoints: gets them looked at, and brings their pools to what `cap` says.

Where the monitor watches a server its looks tell how full it is (`Cluster.observe`). Where nobody does (one server, static roles), a *looker* keeps
a connection of its own and sends one statement for each look. It begins with the first login whose name and password may be borrowed, and at once
where an account for that is configured: until then a pool has the floor of one connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from config.budget import Budget as BudgetSettings
from config.settings import Settings
from proxy.cap import TOO_MANY, Cap, CapRules
from proxy.endpoint import Endpoint
from proxy.logs import get_logger
from proxy.looking import NO_ACCOUNT, account_of, way_of
from proxy.monitor import PATIENT, Account, LookFailed, Place, Watch
from proxy.occupancy import Counting, Occupancy
from proxy.shared import Shared
from proxy.tasks import spawn
from proxy.topology_actions import Cause

if TYPE_CHECKING:
    from proxy.monitor import Way


def rules_of(settings: BudgetSettings, size: int) -> CapRules:
    """For a pool of this size."""
    return CapRules(size, settings.headroom, settings.fleet, settings.max_connections, settings.interval)


class Looker:
    """One endpoint, its cap, and who looks at it while the monitor does not."""

    def __init__(self, endpoint: Endpoint, cap: Cap, watch: Watch) -> None:
        self.endpoint: Final = endpoint
        self.cap: Final = cap
        self.watch: Final = watch
        self.wake: Final = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        # who has looked, or tried to, last
        self.account: Account | None = None
        # that account has been refused connections because it has too many: none is kept between looks
        self.gives_way = False


class Budgets:
    """Of one process."""

    def __init__(self, settings: Settings, shared: Shared, now: Callable[[], float] = monotonic) -> None:
        self._settings: Final = settings
        self._shared: Final = shared
        self._now: Final = now
        self._way: Final[Way] = way_of(settings, shared.announced)
        self._lookers: Final[dict[Endpoint, Looker]] = {}
        self._log: Final = get_logger("budget")
        shared.credentials.heard = self.wake

    # From start to end

    def adopt(self, endpoint: Endpoint, place: Place) -> None:
        """From now on its pool has what the server has room for."""
        rules = rules_of(self._settings.budget, endpoint.size)
        cap = Cap(rules, self._now(), random.random)
        looker = self._lookers[endpoint] = Looker(endpoint, cap, Watch(endpoint.name, place, self._way))
        endpoint.budget = self
        self._apply(looker)
        looker.task = spawn(self._look_on(looker), name=f"budget of {endpoint.name}")

    def allow(self, endpoint: Endpoint, most: int) -> None:
        """Of its size it may have so many, and the other workers the rest."""
        looker = self._lookers.get(endpoint)
        if looker is not None:
            looker.cap.allow(most)
            self._apply(looker)

    async def stop(self) -> None:
        """End all looks and connections."""
        tasks = [looker.task for looker in self._lookers.values() if looker.task is not None]
        self._lookers.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def tick(self) -> None:
        """Let time pass."""
        now = self._now()
        for looker in list(self._lookers.values()):
            looker.cap.passed(now, looker.endpoint.open_count())
            self._apply(looker)

    def leave(self, endpoint: Endpoint) -> None:
        """It is not used any more."""
        looker = self._lookers.pop(endpoint, None)
        if looker is not None and looker.task is not None:
            looker.task.cancel()

    # Looks

    def wake(self) -> None:
        """Somebody has logged in: where nobody could look, it may be possible now."""
        account = self.account()
        for looker in self._lookers.values():
            if not looker.cap.looks and (account is None or account != looker.account):
                looker.wake.set()

    def account(self) -> Account | None:
        """Who looks; None as long as nobody is known."""
        return account_of(self._settings.topology, self._shared.credentials)

    async def _look_on(self, looker: Looker) -> None:
        try:
            while True:
                looker.wake.clear()
                delay = await self._look(looker)
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await looker.wake.wait()
        finally:
            looker.watch.close()

    async def _look(self, looker: Looker) -> float:
        """One look, where there is need for it; the seconds until the next."""
        endpoint, cap = looker.endpoint, looker.cap
        cluster = self._shared.cluster
        if cluster is not None and cluster.watches(endpoint):
            looker.watch.close()
            return PATIENT
        account = self.account()
        if account != looker.account:
            looker.account = account
            looker.gives_way = False
            looker.watch.counting = Counting(self._way.counts_fleet, random.random)
        if account is None:
            if endpoint.initialised:
                self._failed(looker, NO_ACCOUNT, is_hopeless=True)
            return PATIENT
        asked_at = self._now()
        try:
            seen = await looker.watch.look_at_occupancy(account)
        except LookFailed as failure:
            self.failed(endpoint, failure)
            if failure.cause is Cause.DENIED and account == self.account():
                # its password may be another by now; the next attempt is by somebody else
                self._shared.credentials.put_last(account.user.encode())
            return max(PATIENT if failure.is_hopeless else 0.0, cap.delay(self._now()))
        self.saw(endpoint, seen, self._now() - asked_at)
        if cap.trouble or looker.gives_way:
            # with trouble it may be another server than the one that the name leads to now
            looker.watch.close()
        return cap.delay(self._now())

    def saw(self, endpoint: Endpoint, seen: Occupancy, round_trip: float) -> None:
        """A server was looked at, by whomever."""
        looker = self._lookers.get(endpoint)
        if looker is not None:
            core = endpoint.core
            needed = core.leased_count + core.waiting_count
            looker.cap.saw(seen, self._now(), core.size, round_trip, needed)
            self._apply(looker)

    def failed(self, endpoint: Endpoint, failure: LookFailed) -> None:
        """It could not be looked at, by whomever."""
        looker = self._lookers.get(endpoint)
        if looker is None:
            return
        if failure.code == TOO_MANY:
            self.refused(endpoint, failure.code)
        self._failed(looker, f"{failure.cause.value}: {failure}", failure.is_hopeless)

    def _failed(self, looker: Looker, trouble: str, is_hopeless: bool) -> None:
        looker.cap.failed(self._now(), trouble, is_hopeless)
        self._apply(looker)

    # What endpoints say, and what people ask

    def refused(self, endpoint: Endpoint, code: int) -> None:
        """The server has refused a connection because it has too many."""
        looker = self._lookers.get(endpoint)
        if looker is not None:
            looker.cap.refused(self._now(), endpoint.core.size, code)
            self._apply(looker)

    def refused_user(self, endpoint: Endpoint, user: bytes) -> None:
        """The server has refused this user a connection because it has too many. The one that looks may be the last that it may have: of a whole fleet
        they may be all."""
        looker = self._lookers.get(endpoint)
        account = None if looker is None else looker.account
        if looker is None or account is None or account.user.encode() != user or looker.gives_way:
            return
        looker.gives_way = True
        # only those who are there all the time are counted
        looker.watch.counting = Counting(False, random.random)
        looker.wake.set()

    def watch_of(self, endpoint: Endpoint) -> Watch | None:
        """What looks at it while the monitor does not."""
        looker = self._lookers.get(endpoint)
        return None if looker is None else looker.watch

    def in_words(self, endpoint: Endpoint) -> str:
        """Why its pool has fewer connections than `pool.size`; "" if it has not."""
        looker = self._lookers.get(endpoint)
        return "" if looker is None else looker.cap.in_words()

    def report(self, endpoint: Endpoint) -> Mapping[str, object]:
        """For /state and /metrics."""
        looker = self._lookers.get(endpoint)
        return {} if looker is None else looker.cap.report(self._now())

    def _apply(self, looker: Looker) -> None:
        endpoint, cap = looker.endpoint, looker.cap
        if cap.bound != endpoint.core.max_size:
            endpoint.resize(cap.bound)
        for line in cap.take_lines():
            say = self._log.warning if line.level == "warning" else self._log.info
            say(line.event, endpoint=endpoint.name, reason=line.reason, bound=line.bound)
