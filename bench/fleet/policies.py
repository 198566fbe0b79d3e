"""Who may open how many connections: Fanin's budget, what others do, and what one who knew everything would."""

from __future__ import annotations

from typing import Final, Protocol

from bench.fleet.events import Events
from bench.fleet.model import Sidecar, SimServer, usable
from proxy.budget import Budget

INTERVAL: Final = 2.0
"""Seconds between two looks of one sidecar, give or take a half."""


class Policy(Protocol):
    """What a fleet does. Made for each simulation."""

    name: str

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        """The fleet is there."""

    def restarted(self, sidecar: Sidecar) -> None:
        """This one has lost its memory."""


class Budgets:
    """Each sidecar has a budget, and looks at the server now and then."""

    name = "fanin"

    def __init__(self, most: int, *, knows_fleet: bool = True) -> None:
        self._most = most
        self._knows_fleet = knows_fleet
        self._budgets: dict[Sidecar, Budget] = {}

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        self._events, self._server = events, server
        self._size = len(sidecars) if self._knows_fleet else 0
        server.monitors = len(sidecars)
        for each in sidecars:
            self.restarted(each)
            each.refused = self._refused
            self._look_later(each)

    def restarted(self, sidecar: Sidecar) -> None:
        budget = self._budgets[sidecar] = Budget(
            most=self._most, now=self._events.now, random=self._events.random.random, fleet=self._size
        )
        sidecar.resize(budget.bound)
        # before it serves anybody
        self._look(sidecar)

    def _look(self, sidecar: Sidecar) -> None:
        server, now = self._server, self._events.now
        if sidecar.is_up:
            bound = self._budgets[sidecar].looked(now, server.connected, server.limit, sidecar.core.size)
            sidecar.resize(bound)

    def _look_later(self, sidecar: Sidecar) -> None:
        self._look(sidecar)
        self._events.after(INTERVAL * (0.5 + self._events.random.random()), self._look_later, sidecar)

    def _refused(self, sidecar: Sidecar) -> None:
        sidecar.resize(self._budgets[sidecar].refused(self._events.now, sidecar.core.size))


class Fixed:
    """A number for each: an equal part of what is usable (a static split), or more than that (the defaults of others)."""

    def __init__(self, name: str, bound: int, idle_timeout: float = 60.0, max_age: float = 3600.0) -> None:
        self.name = name
        self._bound = bound
        self._idle_timeout = idle_timeout
        self._max_age = max_age

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        for each in sidecars:
            self.restarted(each)

    def restarted(self, sidecar: Sidecar) -> None:
        sidecar.core.idle_timeout = self._idle_timeout
        sidecar.core.max_age = self._max_age
        sidecar.resize(self._bound)


class Ideal:
    """One who sees everything at every moment: whoever needs a connection may open one while the server has room for it."""

    name = "ideal"
    EVERY: Final = 0.01

    def begin(self, events: Events, server: SimServer, sidecars: list[Sidecar]) -> None:
        self._events, self._server, self._sidecars = events, server, sidecars
        events.after(0.0, self._divide)

    def restarted(self, sidecar: Sidecar) -> None:
        sidecar.resize(1)

    def _divide(self, _: object) -> None:
        """By need: what is leased, and who waits; where that is too much, alike."""
        server = self._server
        left = int(usable(server.limit)) - server.foreign - server.monitors
        wanted = sorted(
            ((each.core.leased_count + each.core.waiting_count, at) for at, each in enumerate(self._sidecars))
        )
        spare = max(0, left - sum(number for number, _ in wanted)) // max(1, len(wanted))
        for served, (number, at) in enumerate(wanted):
            share = min(number + spare, left // (len(wanted) - served))
            self._sidecars[at].resize(max(1, share))
            left -= share
        self._events.after(self.EVERY, self._divide)
