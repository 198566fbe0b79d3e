"""How far a reader may be behind."""

from __future__ import annotations

import pytest

from proxy.lag import LagGate


def gate(max_lag: float = 1.0, interval: float = 1.0) -> LagGate:
    return LagGate(max_lag, interval)


def test_without_a_measurement_it_is_out() -> None:
    fresh = gate()
    assert not fresh.is_eligible(0.0)
    assert not fresh.is_within(3600.0, 0.0)
    assert fresh.why(0.0) == "its lag is not known"


def test_near_enough_is_in_until_the_next_measurement_is_overdue_by_the_rest() -> None:
    reader = gate()
    reader.sampled(0.25, 10.0)
    assert reader.is_eligible(10.0) and reader.is_eligible(11.75) and not reader.is_eligible(11.76)
    assert reader.why(10.5) == "0.250 s behind, measured 0.500 s ago"
    assert reader.why(12.0) == "0.250 s behind, measured 2.000 s ago: too old to be sure of 1 s"


def test_it_goes_out_above_the_limit_and_comes_back_below_four_fifths() -> None:
    reader = gate()
    seen = []
    for second, lag in enumerate([0.9, 0.8, 0.95, 1.0, 1.01, 0.95, 0.81, 0.8, 1.0]):
        reader.sampled(lag, float(second))
        seen.append(reader.is_eligible(float(second)))
    assert seen == [False, True, True, True, False, False, False, True, True]


def test_why_it_is_out() -> None:
    reader = gate()
    reader.sampled(1.5, 0.0)
    assert reader.why(0.0) == "1.500 s behind, measured 0.000 s ago: more than 1 s"
    reader.sampled(0.9, 1.0)
    assert (
        reader.why(1.0)
        == "0.900 s behind, measured 0.000 s ago: it was further behind, and comes back within 0.8 s"
    )


def test_one_that_was_overdue_has_to_come_back() -> None:
    reader = gate()
    reader.sampled(0.1, 0.0)
    reader.sampled(0.9, 5.0)
    assert not reader.is_eligible(5.0)


def test_an_unknown_lag_is_out() -> None:
    reader = gate()
    reader.sampled(0.1, 0.0, 0.0, 7)
    reader.sampled(None, 1.0, 0.0, 7)
    assert not reader.is_eligible(1.0)
    reader.sampled(0.1, 2.0, 0.0, 7)
    assert reader.is_eligible(2.0)


def test_a_reader_that_is_another_now_starts_anew() -> None:
    reader = gate()
    reader.sampled(0.1, 0.0, 0.0, 7)
    reader.lost()
    assert not reader.is_eligible(0.0)
    reader.sampled(0.1, 0.5, 0.0, 7)
    assert reader.is_eligible(0.5)


def test_a_measurement_that_is_shown_again_grows_older() -> None:
    reader = gate()
    for second in range(4):
        reader.sampled(0.02, float(second), float(second), 7)
    assert reader.measured_at == 0.0
    assert reader.is_eligible(1.98) and not reader.is_eligible(1.99)


def test_measurements_that_are_always_old_when_seen_are_not_overdue() -> None:
    reader = gate()
    for second in range(8):
        reader.sampled(0.02, float(second), 0.9, second + 1)
        assert reader.is_eligible(second + 0.999)


@pytest.mark.parametrize("age", [0.2, 60.0])
def test_what_is_usual_is_no_more_than_an_interval_and_is_forgotten(age: float) -> None:
    reader = gate()
    reader.sampled(0.02, 0.0, age, 1)
    assert reader.usual_age == min(age, 1.0)
    for second in range(1, 60):
        reader.sampled(0.02, float(second), 0.0, second + 1)
    assert reader.usual_age < 0.01


def test_a_limit_of_a_statement_counts_the_whole_age() -> None:
    reader = gate()
    reader.sampled(0.1, 10.0, 0.2)
    assert reader.is_within(0.5, 10.2) and not reader.is_within(0.5, 10.21)
    assert reader.is_within(0.1, 9.0)
