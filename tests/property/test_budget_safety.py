"""Whatever a fleet wants, and in whatever order it looks, it does not exceed what is usable: within the limits that `proxy.budget` names.

A tenth of a fleet at most, and at least one, looks within a STEP: they all see the same number of connections, however many the others open. Looks are
from half an INTERVAL to one and a half apart, as chance or the opponent will have it. Nothing is closed between two looks but what is above the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budget import Budget

STEP = 0.05
INTERVAL = 2.0


class Opponent:
    """A fleet whose demand somebody chooses who wants it to fail."""

    def __init__(self, size: int, limit: int, most: int, random: Random) -> None:
        self.random = random
        self.limit = limit
        self.now = 0.0
        self.own = [0] * size
        self.wants = [0] * size
        self.budgets = [
            Budget(most=most, now=0.0, random=random.random, fleet=size, floor=1) for _ in range(size)
        ]
        self.looks = [INTERVAL * random.random() for _ in range(size)]

    @property
    def connected(self) -> int:
        """With one connection of each process's monitor."""
        return sum(self.own) + len(self.own)

    def step(self) -> None:
        """Those who look now see the same, and then all open what they may."""
        seen = self.connected
        due = [at for at in range(len(self.own)) if self.now >= self.looks[at]]
        for at in due[: max(1, len(self.own) // 10)]:
            # what is idle is kept for longer than until the next look
            self.own[at] = min(self.own[at], self.wants[at])
            self.budgets[at].looked(self.now, seen, self.limit, self.own[at], self.wants[at])
            self.looks[at] = self.now + INTERVAL * (0.5 + self.random.random())
        for at, budget in enumerate(self.budgets):
            self.own[at] = min(budget.bound, max(self.own[at], self.wants[at]))
        self.now += STEP


@given(
    size=st.integers(1, 40),
    connections=st.integers(4, 60),
    waves=st.lists(
        st.tuples(st.integers(1, 60), st.lists(st.sampled_from((0, 1, 3, 1000)), min_size=1, max_size=5)),
        min_size=1,
        max_size=6,
    ),
    random=st.randoms(use_true_random=False),
)
def test_no_demand_makes_a_fleet_exceed_what_is_usable(
    size: int, connections: int, waves: list[tuple[int, list[int]]], random: Random
) -> None:
    limit = max(40, size * connections)
    fleet = Opponent(size, limit, most=max(60, connections), random=random)
    for steps, groups in waves:
        fleet.wants = [groups[at % len(groups)] for at in range(size)]
        for _ in range(steps):
            fleet.step()
            assert fleet.connected <= 0.9 * limit


Look = tuple[float, int, int, int, int | None]
looks = st.tuples(
    st.floats(-100.0, 100.0),
    st.integers(0, 20_000),
    st.integers(-1, 20_000),
    st.integers(0, 20_000),
    st.none() | st.integers(0, 20_000),
)


@given(
    fleet=st.integers(0, 500),
    most=st.integers(1, 1000),
    headroom=st.sampled_from((0.0, 0.1, 0.9)),
    events=st.lists(st.sampled_from(("looked", "refused", "passed", "unable")) | looks, max_size=30),
    random=st.randoms(use_true_random=False),
)
def test_nothing_that_is_said_of_a_server_makes_it_fail(
    fleet: int, most: int, headroom: float, events: list[str | Look], random: Random
) -> None:
    """Clocks that jump, limits that are lowered below what is open, or absurd, less connected than is ours."""
    budget = Budget(most=most, now=0.0, random=random.random, fleet=fleet, headroom=headroom)
    now, own = 0.0, 1
    others: dict[str, Callable[[], int]] = {
        "looked": lambda: budget.looked(now, own, 100, own),
        "refused": lambda: budget.refused(now, own),
        "passed": lambda: budget.passed(now, own),
        "unable": lambda: budget.unable(now, 151),
    }
    for event in events:
        if isinstance(event, str):
            bound = others[event]()
        else:
            jump, connected, limit, own, needed = event
            now += jump
            before = budget.bound
            bound = budget.looked(now, connected, limit, own, needed)
            if max(connected, own) > 0.9 * max(1, limit) * (1.0 - headroom) * 1.1:
                assert bound <= max(own, budget.floor) or before == bound
        assert bound == budget.bound
        assert budget.floor <= bound <= most


@pytest.mark.parametrize("fleet", [0, 1])
@pytest.mark.parametrize("seed", range(20))
def test_who_is_alone_has_forty_within_two_looks(fleet: int, seed: int) -> None:
    budget = Budget(most=40, now=0.0, random=Random(seed).random, fleet=fleet)
    own = budget.bound
    for look in (1.0, 3.0):
        own = budget.looked(look, own + 1, 151, own, needed=60)
    assert own == 40
