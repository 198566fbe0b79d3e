"""What must be shown, and whether it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.fleet.bars import BARS, verdicts
from bench.fleet.scenarios import SCENARIOS, Course, Sample, Scenario

(SLOW,) = [each for each in SCENARIOS if each.slow is not None]
PEACE = SCENARIOS[0]


def course(scenario: Scenario, policy: str = "fanin", seed: int = 1, **changes: object) -> Course:
    samples = tuple(
        Sample(float(at), 100, 0, 100, 0, 0.99, 0, 10.0) for at in range(1, int(scenario.seconds) + 1)
    )
    made = Course(scenario.name, policy, seed, samples, 1000, 0, 0, 0.9, 0, 10_000, 20_000)
    return replace(made, **changes)  # type: ignore[arg-type]


def missed(*courses: Course) -> list[tuple[str, float, int]]:
    judged = verdicts(courses)
    return [(each.what, each.worst, each.seed) for each in judged if not each.is_met]


def test_a_line_for_each_bar() -> None:
    judged = verdicts([course(SLOW), course(SLOW, "ideal")])
    assert [each.what for each in judged] == [bar.what for bar in BARS]
    assert all(each.is_met for each in judged)
    assert len(verdicts([course(PEACE), course(PEACE, "ideal")])) == len(BARS) - 2


def test_nothing_is_said_where_nobody_was_compared() -> None:
    assert verdicts([course(PEACE), course(SLOW, "ideal")]) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"peak": 0.951}, "peak, of usable"),
        ({"refused": 1}, "refused"),
        ({"wait_p99": 12_100}, "p99 wait, of the ideal's"),
    ],
)
def test_the_worst_seed_counts(changes: dict[str, object], what: str) -> None:
    fine = [course(PEACE, name, seed) for name in ("fanin", "ideal") for seed in (1, 2, 3)]
    ((found, worst, seed),) = missed(*fine[1:], course(PEACE, "fanin", 1, **changes))
    assert (found, seed) == (what, 1) and worst > 0.9


def test_who_has_no_ideal_is_compared_with_the_fastest() -> None:
    ideals = [course(PEACE, "ideal", 1), course(PEACE, "ideal", 2, wait_p99=8_000)]
    assert missed(course(PEACE), *ideals) == []
    assert missed(course(PEACE, seed=3), *ideals) == [("p99 wait, of the ideal's", 1.25, 3)]


def test_waits_that_are_nothing_are_not_compared() -> None:
    assert missed(course(PEACE, wait_p99=3_999), course(PEACE, "ideal", wait_p99=0)) == []


def with_sample(scenario: Scenario, at: int, **changes: float) -> Course:
    made = course(scenario)
    samples = list(made.samples)
    samples[at - 1] = replace(samples[at - 1], **changes)  # type: ignore[arg-type]
    return replace(made, samples=tuple(samples))


def test_shares_are_alike_half_a_minute_after_a_change() -> None:
    (ramp,) = [each for each in SCENARIOS if each.changes == (15.0, 20.0)]
    best = course(ramp, "ideal")
    assert missed(with_sample(ramp, 18, share=0.5), best) == []
    assert missed(with_sample(ramp, 49, share=0.5), best) == []
    assert missed(with_sample(ramp, 51, share=0.5), best) == [("unlike after 30 s", 0.5, 1)]


def test_waits_are_what_they_were_ten_seconds_after_the_slowness() -> None:
    assert SLOW.slow is not None
    end = int(SLOW.slow[1])
    best = course(SLOW, "ideal")
    assert missed(with_sample(SLOW, end + 9, wait=1e6), best) == []
    assert missed(with_sample(SLOW, end + 12, wait=1e6), best) == [("recovery, s", 12.0, 1)]
    assert missed(course(SLOW, peak=0.9), course(SLOW, "ideal", peak=0.7))[0][0] == "peak, of the ideal's"
