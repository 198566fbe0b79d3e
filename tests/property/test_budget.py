"""Many processes with a budget each, which look at one server at random times and know nothing of each other.

Demand is a number of connections that each wants; it opens them as soon as it may, and closes what it does not want.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from bench.fleet.model import usable
from bench.fleet.scenarios import jain
from proxy.budget import Budget

STEP: Final = 0.1
INTERVAL: Final = 2.0
Demand = Callable[[int, float], int]
Others = Callable[[float], int]


def nobody(now: float) -> int:
    """Connections that are not the fleet's."""
    del now
    return 0


class Fleet:
    """With one connection of each process's monitor."""

    def __init__(self, size: int, limit: int, most: int, seed: int, *, knows: bool = True) -> None:
        self.random = Random(seed)
        self.limit = limit
        self.budgets = [
            Budget(most=most, now=0.0, random=self.random.random, fleet=size if knows else 0)
            for _ in range(size)
        ]
        self.own = [0] * size
        self.looks = [self.random.random() * INTERVAL for _ in range(size)]
        self.now = 0.0
        # the most of what was usable that was ever used, and connections that the server refused
        self.peak = 0.0
        self.refused = 0
        self.opened = 0

    def run(self, until: float, demand: Demand, others: Others = nobody) -> None:
        while self.now < until:
            connected = sum(self.own) + len(self.own) + others(self.now)
            for each in self.random.sample(range(len(self.own)), len(self.own)):
                connected += self._turn(each, demand(each, self.now), connected)
            self.peak = max(self.peak, connected / usable(self.limit))
            self.now += STEP

    def _turn(self, each: int, wanted: int, connected: int) -> int:
        """How many connections more there are then."""
        budget, before = self.budgets[each], self.own[each]
        if self.now >= self.looks[each]:
            budget.looked(self.now, connected, self.limit, before, wanted)
            self.looks[each] = self.now + INTERVAL * (0.5 + self.random.random())
        after = min(budget.bound, wanted)
        if after > before and connected + after - before > self.limit:
            after = before + max(0, self.limit - connected)
            self.refused += 1
            budget.refused(self.now, after)
        self.own[each] = after
        self.opened += max(0, after - before)
        return after - before


SEEDS = pytest.mark.parametrize("seed", range(4))


@SEEDS
def test_a_whole_fleet_that_wants_all_at_once_shares_alike(seed: int) -> None:
    fleet = Fleet(300, 16000, 100, seed)
    fleet.run(10.0, lambda each, now: 1)
    fleet.run(40.0, lambda each, now: 100)
    assert (fleet.peak <= 0.95, fleet.refused) == (True, 0)
    assert sum(fleet.own) >= 0.8 * 14400
    assert jain(fleet.own) >= 0.95


@SEEDS
def test_who_comes_later_has_the_same_in_half_a_minute(seed: int) -> None:
    fleet = Fleet(300, 16000, 100, seed)
    fleet.run(30.0, lambda each, now: 100 if each % 2 else 1)
    assert sum(fleet.own) >= 0.7 * 14400
    fleet.run(60.0, lambda each, now: 100)
    assert (fleet.peak <= 0.95, fleet.refused) == (True, 0)
    assert jain(fleet.own) >= 0.95


@SEEDS
def test_when_nothing_changes_hardly_anything_is_opened(seed: int) -> None:
    fleet = Fleet(300, 16000, 100, seed)
    fleet.run(60.0, lambda each, now: 100)
    before = fleet.opened
    fleet.run(80.0, lambda each, now: 100)
    assert (fleet.opened - before) / 20.0 <= 0.02 * sum(fleet.own)


@SEEDS
def test_one_that_is_alone_with_its_demand_has_what_it_wants_in_ten_seconds(seed: int) -> None:
    fleet = Fleet(20, 151, 40, seed)
    fleet.run(5.0, lambda each, now: 1)
    fleet.run(15.0, lambda each, now: 1 if each else 40)
    assert fleet.own[0] == 40
    assert (fleet.peak <= 0.95, fleet.refused) == (True, 0)


@SEEDS
def test_a_small_server_is_not_overrun_by_demand_that_moves_about(seed: int) -> None:
    fleet = Fleet(20, 151, 40, seed)
    fleet.run(
        80.0,
        lambda each, now: 40 if int(now / 10) % 4 == each % 4 else 0,
        lambda now: 10 * (int(now / 7) % 2),
    )
    assert (fleet.peak <= 0.95, fleet.refused) == (True, 0)


@SEEDS
def test_what_others_take_is_made_room_for(seed: int) -> None:
    fleet = Fleet(20, 151, 40, seed)
    fleet.run(30.0, lambda each, now: 40)
    assert sum(fleet.own) >= 85
    fleet.run(60.0, lambda each, now: 40, lambda now: 60)
    assert sum(fleet.own) + 20 + 60 <= 0.95 * 136
    assert min(fleet.own) >= 1


@SEEDS
def test_a_fleet_that_does_not_know_its_size_is_slow_and_safe(seed: int) -> None:
    fleet = Fleet(300, 16000, 100, seed, knows=False)
    fleet.run(60.0, lambda each, now: 100)
    assert (fleet.peak <= 0.95, fleet.refused) == (True, 0)
    assert sum(fleet.own) >= 0.1 * 14400
