"""Who holds connections to this process's servers: asks them on demand, over the connection that looks at them anyway, and not more often than
every KEPT seconds, however many people want to know. A shell: `fleet_report` makes what they are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

from proxy.endpoint import Endpoint
from proxy.fleet_report import report, unseen
from proxy.looking import NO_ACCOUNT
from proxy.monitor import Account, LookFailed, Watch
from proxy.shared import Shared
from proxy.tasks import spawn

KEPT: Final = 3.0
"""Seconds for which an answer is good enough."""
NOBODY_LOOKS: Final = "Fanin does not look at it; see budget.enabled"


class Fleet:
    """One process's view of all who share its servers."""

    def __init__(self, shared: Shared, now: Callable[[], float] = monotonic) -> None:
        self._shared: Final = shared
        self._now: Final = now
        # by the endpoint's name: when it was asked, and what came of it
        self._known: Final[dict[str, tuple[float, dict[str, Any]]]] = {}
        # those that nobody could ask then
        self._unasked: Final[set[str]] = set()
        self._asking: asyncio.Task[None] | None = None

    async def report(self) -> Mapping[str, object]:
        """All servers, asked now or a moment ago."""
        endpoints = self._shared.endpoints()
        if any(self._is_old(endpoint) for endpoint in endpoints):
            if self._asking is None or self._asking.done():
                self._asking = spawn(self._ask_all(endpoints), name="fleet")
            # who does not wait any longer must not end a look that others share
            await asyncio.shield(self._asking)
        now = self._now()
        known = [self._known[endpoint.name] for endpoint in endpoints if endpoint.name in self._known]
        return {"endpoints": [{**found, "age": round(now - at, 3)} for at, found in known]}

    def _is_old(self, endpoint: Endpoint) -> bool:
        known = self._known.get(endpoint.name)
        return known is None or endpoint.name in self._unasked or self._now() - known[0] >= KEPT

    async def _ask_all(self, endpoints: list[Endpoint]) -> None:
        async with asyncio.TaskGroup() as group:
            for endpoint in endpoints:
                group.create_task(self._ask(endpoint))

    async def _ask(self, endpoint: Endpoint) -> None:
        found = await self._seen(endpoint)
        self._known[endpoint.name] = (self._now(), found)

    async def _seen(self, endpoint: Endpoint) -> dict[str, Any]:
        announced, own = self._shared.announced, endpoint.open_count()
        watch, account = self._eyes_on(endpoint)
        trouble = NOBODY_LOOKS if watch is None else NO_ACCOUNT
        self._unasked.add(endpoint.name)
        if watch is not None and account is not None:
            self._unasked.discard(endpoint.name)
            try:
                seen = await watch.look_at_holders(account)
                return report(endpoint.name, endpoint.role, seen, announced, own)
            except LookFailed as failure:
                trouble = f"{failure.cause.value}: {failure}"
        return unseen(endpoint.name, endpoint.role, announced, own, trouble)

    def _eyes_on(self, endpoint: Endpoint) -> tuple[Watch | None, Account | None]:
        cluster, budgets = self._shared.cluster, self._shared.budgets
        if cluster is not None and (watch := cluster.watch_of(endpoint)) is not None:
            return watch, cluster.account()
        return (None, None) if budgets is None else (budgets.watch_of(endpoint), budgets.account())
