"""What happens to a fleet, and what is measured of it."""

from __future__ import annotations

from dataclasses import replace

from bench.fleet.policies import Budgets, Ideal
from bench.fleet.scenarios import MINTED, SAMPLE, SCENARIOS, Sample, World

SMALL = replace(MINTED, sidecars=10, limit=400, clients=10, size=10)
(PEACE,) = [each for each in SCENARIOS if each.name == "peace"]
(FOREIGN,) = [each for each in SCENARIOS if each.name == "others come"]


def test_a_seed_is_a_course_of_events() -> None:
    one, other, third = [PEACE.play(SMALL, Budgets(10), seed, lambda sample: None) for seed in (1, 1, 2)]
    assert one == other != third


def test_samples_are_shown_as_they_come() -> None:
    samples: list[Sample] = []
    course = PEACE.play(SMALL, Ideal(), 1, samples.append)
    assert list(course.samples) == samples
    assert [samples[0].at, samples[-1].at] == [SAMPLE, PEACE.seconds]
    assert course.queries > 1000 and course.errors == course.refused == 0
    assert samples[-1].share > 0.9


def test_what_happens_happens_to_the_server() -> None:
    foreign = [sample.foreign for sample in FOREIGN.play(SMALL, Ideal(), 1, lambda sample: None).samples]
    assert foreign[0] == 0 and foreign[-1] == max(foreign) == 400 // 3


def test_expected_others_come_and_go() -> None:
    profile = replace(SMALL, foreign=10)
    assert {sample.foreign for sample in PEACE.play(profile, Ideal(10), 1, lambda sample: None).samples} == {
        0,
        10,
    }


def test_every_change_is_followed_by_time_to_be_judged_or_another() -> None:
    for each in SCENARIOS:
        assert list(each.changes) == sorted(each.changes)
        assert each.slow is not None or each.seconds > max(each.changes, default=0.0) + 30.0


def test_who_is_restarted_comes_back() -> None:
    world = World(SMALL, Budgets(10), 1)
    world.events.run(1.0)
    world.restart(world.sidecars[0], 2.0)
    assert not world.sidecars[0].is_up
    world.events.run(4.0)
    assert world.sidecars[0].is_up
