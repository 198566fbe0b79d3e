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
    assert max(foreign) == 400 // 3 and foreign[-1] == 0


def test_who_is_restarted_comes_back() -> None:
    world = World(SMALL, Budgets(10), 1)
    world.events.run(1.0)
    world.restart(world.sidecars[0], 2.0)
    assert not world.sidecars[0].is_up
    world.events.run(4.0)
    assert world.sidecars[0].is_up
