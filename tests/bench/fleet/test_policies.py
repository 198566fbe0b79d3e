"""Who may open how many connections, and what comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.fleet.bars import BARS, verdicts
from bench.fleet.policies import BAR, Budgets, Fixed, Ideal, Policy, Unproxied
from bench.fleet.scenarios import MINTED, SCENARIOS, Course, Profile, Scenario

SMALL = replace(MINTED, sidecars=16, limit=320, clients=20, size=40)
SMALLER = replace(SMALL, sidecars=10, limit=200)
BY_NAME = {each.name: each for each in SCENARIOS}
WAITS = "p99 wait, of the ideal's"


def played(scenario: Scenario, policy: Policy, profile: Profile = SMALL) -> Course:
    return scenario.play(profile, policy, 1, lambda sample: None)


def judged(name: str, profile: Profile) -> tuple[set[str], float]:
    """The bars that are missed, and how much of what the ideal does is done."""
    scenario = BY_NAME[name]
    ours, best = played(scenario, Budgets(40), profile), played(scenario, Ideal(), profile)
    found = verdicts([ours, best], [scenario])
    assert len(found) >= len(BARS) - 2
    return {each.what for each in found if not each.is_met}, ours.queries / best.queries


# What is cheap to simulate; all of it, with many seeds: `python -m bench fleet --seeds 20 --check`
@pytest.mark.parametrize("name", ["peace", "a tenth crashes"])
def test_a_fleet_keeps_to_the_bars(name: str) -> None:
    missed, _ = judged(name, SMALLER)
    assert missed == set()


@pytest.mark.parametrize("name", ["everybody wants all", "others come"])
def test_so_does_one_that_wants_all_but_for_waits(name: str) -> None:
    """So few processes and connections of a server that is full are shared out more slowly than one who saw all could."""
    missed, done = judged(name, SMALL)
    assert missed <= {WAITS}
    assert done >= 0.9


def test_one_that_does_not_know_its_size_is_safe() -> None:
    course = played(BY_NAME["everybody wants all"], Budgets(40, knows_fleet=False), SMALLER)
    assert (course.refused, course.peak <= BAR) == (0, True)


def test_fixed_numbers_are_not() -> None:
    many = replace(SMALL, clients=40)
    # everybody has wanted all for some seconds by then
    short = replace(BY_NAME["everybody wants all"], seconds=15.0)
    course = played(short, Fixed("as large as it can be", 40), many)
    assert course.refused > 0
    assert course.peak > 1.0


def test_nor_are_applications_that_connect_themselves() -> None:
    short = replace(BY_NAME["peace"], seconds=3.0)
    course = short.play(replace(SMALL, limit=100), Unproxied(), 1, lambda sample: None)
    assert course.refused > 0 and course.errors > 0


def test_the_ideal_is_held_to_the_bar_and_keeps_room_for_others() -> None:
    profile = replace(SMALL, sidecars=5, limit=100, foreign=10)
    course = BY_NAME["half, then all"].play(profile, Ideal(10), 1, lambda sample: None)
    assert 0.9 < course.peak <= BAR
    fleet = {sample.connected - sample.foreign for sample in course.samples if sample.at > 40.0}
    assert max(fleet) == int(BAR * 90) - 10
