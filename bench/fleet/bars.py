"""What a fleet must show, and whether it did: each course of Fanin's next to the ideal's of the same seed, or to the best of the ideal's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.fleet.model import CONNECT
from bench.fleet.policies import BAR, Budgets, Ideal
from bench.fleet.scenarios import SCENARIOS, Course, Sample, Scenario

ALIKE: Final = 0.95
ALIKE_WITHIN: Final = 30.0
WAITS: Final = 1.2
NOTHING: Final = 1e6 * CONNECT
"""Microseconds: waits that are no longer than the opening of a connection are not compared."""
RECOVERS_WITHIN: Final = 10.0
RUNS_AWAY: Final = 1.2
"""Times as many connections as the ideal has."""


@dataclass(frozen=True)
class Bar:
    """One line of what must be shown. `measure`: of Fanin's course and the ideal's; None: this scenario says nothing about it."""

    what: str
    at_most: float
    measure: Callable[[Scenario, Course, Course], float | None]


@dataclass(frozen=True)
class Verdict:
    """The worst of all seeds."""

    scenario: str
    what: str
    at_most: float
    worst: float
    seed: int

    @property
    def is_met(self) -> bool:
        return self.worst <= self.at_most


def _peak(scenario: Scenario, ours: Course, best: Course) -> float:
    return round(ours.peak, 4)


def _refused(scenario: Scenario, ours: Course, best: Course) -> float:
    return float(ours.refused)


def _unlike(scenario: Scenario, ours: Course, best: Course) -> float:
    """How much is missing from equal shares, at the worst moment that is not soon after a change."""
    return round(1.0 - min((each.share for each in _settled(scenario, ours.samples)), default=1.0), 4)


def _settled(scenario: Scenario, samples: Sequence[Sample]) -> Iterable[Sample]:
    changes = (0.0, *scenario.changes)
    for each in samples:
        if each.at - max(change for change in changes if change <= each.at) >= ALIKE_WITHIN:
            yield each


def _waits(scenario: Scenario, ours: Course, best: Course) -> float:
    return round(max(NOTHING, ours.wait_p99) / max(NOTHING, best.wait_p99), 3)


def _recovery(scenario: Scenario, ours: Course, best: Course) -> float | None:
    """Seconds from the end of the slowness until waits are what they were before."""
    if scenario.slow is None:
        return None
    begin, end = scenario.slow
    before = max(each.wait for each in ours.samples if begin / 2 <= each.at < begin)
    late = [each.at for each in ours.samples if each.at > end and each.wait > max(NOTHING, before)]
    return max(late, default=end) - end


def _run_away(scenario: Scenario, ours: Course, best: Course) -> float | None:
    if scenario.slow is None:
        return None
    return round(ours.peak / best.peak, 3)


BARS: Final = (
    Bar("peak, of usable", BAR, _peak),
    Bar("refused", 0.0, _refused),
    Bar(f"unlike after {ALIKE_WITHIN:.0f} s", round(1.0 - ALIKE, 4), _unlike),
    Bar("p99 wait, of the ideal's", WAITS, _waits),
    Bar("recovery, s", RECOVERS_WITHIN, _recovery),
    Bar("peak, of the ideal's", RUNS_AWAY, _run_away),
)


def verdicts(courses: Sequence[Course], scenarios: Sequence[Scenario] = SCENARIOS) -> list[Verdict]:
    """A line for each scenario and bar, for scenarios of which there are courses of Fanin's and of the ideal's."""
    found: list[Verdict] = []
    for scenario in scenarios:
        ours, ideals = [
            [each for each in courses if (each.scenario, each.policy) == (scenario.name, name)]
            for name in (Budgets.name, Ideal.name)
        ]
        if not ideals:
            continue
        best = {each.seed: each for each in ideals}
        fastest = min(ideals, key=_p99)
        for bar in BARS:
            measured = [
                (value, each.seed)
                for each in ours
                if (value := bar.measure(scenario, each, best.get(each.seed, fastest))) is not None
            ]
            if measured:
                worst, seed = max(measured)
                found.append(Verdict(scenario.name, bar.what, bar.at_most, worst, seed))
    return found


def _p99(course: Course) -> int:
    return course.wait_p99
