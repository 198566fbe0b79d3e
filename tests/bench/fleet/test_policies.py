"""Who may open how many connections, and what comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.fleet.policies import Budgets, Fixed, Ideal, Policy
from bench.fleet.scenarios import MINTED, SCENARIOS, Course, Scenario

SMALL = replace(MINTED, sidecars=20, limit=400, clients=40, size=40)


def played(name: str, policy: Policy) -> Course:
    (scenario,) = [each for each in SCENARIOS if each.name == name]
    return scenario.play(SMALL, policy, 1, lambda sample: None)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_fleet_stays_below_the_limit(scenario: Scenario) -> None:
    course = played(scenario.name, Budgets(40))
    assert course.refused == 0
    assert course.peak <= 0.95


def test_fixed_numbers_do_not() -> None:
    course = played("everybody wants all", Fixed("as large as it can be", 40))
    assert course.refused > 0
    assert course.peak > 1.0


def test_nor_does_it_serve_much_less_than_one_who_knew_all() -> None:
    """Who fills all that may be used, and that at once; a fleet stays at 85 percent of it."""
    ours, best = [played("everybody wants all", policy) for policy in (Budgets(40), Ideal())]
    assert ours.queries >= 0.85 * best.queries
    assert ours.samples[-1].share >= 0.9
