"""Who may open how many connections: Fanin's budget, what others do, and what one who knew everything would."""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

from bench.fleet.direct import Direct
from bench.fleet.events import NEVER, Events
from bench.fleet.model import Sidecar, SimServer, usable
from proxy.budget import Budget

INTERVAL: Final = 2.0
"""Seconds between two looks of one sidecar, give or take a half."""
ANSWER: Final = 0.005
"""Seconds until a look is answered, on average, when the server is not slow: what it says is so old."""
LOST: Final = 0.02
"""The part of looks that are not answered."""
BAR: Final = 0.95
"""Of what is usable, what a fleet may make use of at most."""


class Policy(Protocol):
    """What a fleet does. Made for each simulation."""

    name: str
    # what its application servers are
    sidecar: type[Sidecar]

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        """The fleet is there."""

    def restarted(self, sidecar: Sidecar) -> None:
        """This one has lost its memory."""


class Budgets:
    """Each sidecar has a budget, and looks at the server now and then."""

    name = "fanin"
    sidecar = Sidecar

    def __init__(self, most: int, *, knows_fleet: bool = True) -> None:
        self._most = most
        self._knows_fleet = knows_fleet
        self._budgets: dict[Sidecar, Budget] = {}

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        self._events, self._server = events, server
        self._size = len(sidecars) if self._knows_fleet else 0
        for each in sidecars:
            each.watch()
            each.refused = self._refused
        for each in sidecars:
            self.restarted(each)
            events.after(INTERVAL * events.random.random(), self._look_later, each)

    def restarted(self, sidecar: Sidecar) -> None:
        budget = self._budgets[sidecar] = Budget(
            most=self._most, now=self._events.now, random=self._events.random.random, fleet=self._size
        )
        sidecar.core.acquire_timeout = NEVER
        sidecar.resize(budget.bound)
        self._look(sidecar)

    def _look(self, sidecar: Sidecar) -> None:
        """What the server says now is heard later."""
        server, events = self._server, self._events
        budget = self._budgets[sidecar]
        round_trip = events.about(ANSWER * server.slowness)
        events.after(
            round_trip, partial(self._heard, budget, server.connected, server.limit, round_trip), sidecar
        )

    def _heard(self, budget: Budget, connected: int, limit: int, round_trip: float, sidecar: Sidecar) -> None:
        # else it has crashed meanwhile
        if sidecar.is_up and self._budgets[sidecar] is budget:
            core = sidecar.core
            needed = core.leased_count + core.waiting_count
            bound = budget.looked(self._events.now, connected, limit, core.size, needed, round_trip)
            sidecar.resize(bound)

    def _look_later(self, sidecar: Sidecar) -> None:
        if not sidecar.is_up or self._events.random.random() < LOST:
            sidecar.resize(self._budgets[sidecar].passed(self._events.now, sidecar.core.size))
        else:
            self._look(sidecar)
        self._events.after(INTERVAL * (0.5 + self._events.random.random()), self._look_later, sidecar)

    def _refused(self, sidecar: Sidecar) -> None:
        sidecar.resize(self._budgets[sidecar].refused(self._events.now, sidecar.core.size))


class Fixed:
    """A number for each: an equal part of what is usable (a static split), or more than that (the defaults of others)."""

    sidecar = Sidecar

    def __init__(
        self, name: str, bound: int, idle_timeout: float = 60.0, acquire_timeout: float = NEVER
    ) -> None:
        self.name = name
        self._bound = max(1, bound)
        self._idle_timeout = idle_timeout
        self._acquire_timeout = acquire_timeout

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        for each in sidecars:
            self.restarted(each)

    def restarted(self, sidecar: Sidecar) -> None:
        sidecar.core.idle_timeout = self._idle_timeout
        sidecar.core.acquire_timeout = self._acquire_timeout
        sidecar.resize(self._bound)


class Unproxied:
    """Applications that connect themselves."""

    name = "direct"
    sidecar: type[Sidecar] = Direct

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        """Nobody decides anything."""

    def restarted(self, sidecar: Sidecar) -> None:
        """Nothing was known."""


class Ideal:
    """One who sees everything at every moment: whoever needs a connection may open one while the server has room for it. He is held to the same bar,
    and does not know either when the others come who are expected: for them he keeps room."""

    name = "ideal"
    sidecar = Sidecar
    EVERY: Final = 0.02

    def __init__(self, expected: int = 0) -> None:
        self._expected = expected

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        self._events, self._server, self._sidecars = events, server, sidecars
        # what was divided when nobody waited
        self._divided = -1
        for each in sidecars:
            each.watch()
            self.restarted(each)
        events.after(0.0, self._look)

    def restarted(self, sidecar: Sidecar) -> None:
        self._divided = -1
        sidecar.core.acquire_timeout = NEVER
        sidecar.resize(1)

    def _look(self, _: object) -> None:
        server = self._server
        left = int(BAR * usable(server.limit)) - server.monitors - max(server.foreign, self._expected)
        if left != self._divided or any(each.core.waiting_count for each in self._sidecars):
            self._divide(left)
            self._divided = left
        self._events.after(self.EVERY, self._look)

    def _divide(self, left: int) -> None:
        """By need: what is leased, and who waits; where that is too much, alike."""
        wanted = sorted(
            (each.core.leased_count + each.core.waiting_count, at) for at, each in enumerate(self._sidecars)
        )
        spare = max(0, left - sum(number for number, _ in wanted)) // max(1, len(wanted))
        bounds: list[tuple[Sidecar, int]] = []
        for served, (number, at) in enumerate(wanted):
            share = max(1, min(number + spare, left // (len(wanted) - served)))
            bounds.append((self._sidecars[at], share))
            left -= share
        _resize(bounds)


def _resize(bounds: list[tuple[Sidecar, int]]) -> None:
    """Those first that give something up. What they cannot close yet the others must not have yet."""
    for each, bound in bounds:
        if bound < each.core.max_size:
            each.resize(bound)
    held = sum(max(0, each.core.size - bound) for each, bound in bounds)
    for each, bound in bounds:
        grows = max(0, bound - max(each.core.size, each.core.max_size))
        kept = min(held, grows)
        held -= kept
        if grows > kept:
            each.resize(bound - kept)
