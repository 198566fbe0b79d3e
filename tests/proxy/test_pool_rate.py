"""How often something may be done."""

from __future__ import annotations

from proxy.pool_rate import Rate


def done(rate: Rate, now: float) -> int:
    """How many may be done at one moment."""
    count = 0
    while rate.next_at <= now and count < 1000:
        rate.take(now)
        count += 1
    return count


def test_a_burst_and_then_so_many_a_second() -> None:
    rate = Rate(2.0, 3.0)
    assert done(rate, 10.0) == 3
    assert rate.next_at == 10.5
    assert [done(rate, 10.5 + number / 4) for number in range(4)] == [1, 0, 1, 0]


def test_what_is_not_used_comes_back_up_to_the_burst() -> None:
    rate = Rate(2.0, 3.0)
    done(rate, 10.0)
    assert done(rate, 11.0) == 2
    assert done(rate, 1000.0) == 3


def test_a_burst_of_less_than_one_is_one() -> None:
    rate = Rate(0.5, 0.5)
    assert [done(rate, float(second)) for second in range(5)] == [1, 0, 1, 0, 1]


def test_none_is_no_limit() -> None:
    rate = Rate(0.0, 1.0)
    assert done(rate, 10.0) == 1000


def test_a_clock_that_went_back_holds_nothing_up_for_long() -> None:
    rate = Rate(1.0, 2.0)
    done(rate, 1000.0)
    rate.take(3.0)
    assert rate.next_at == 4.0


def test_it_tells_how_many_there_may_be() -> None:
    assert (Rate(50.0, 50.0).per_second, Rate(0.0, 1.0).per_second) == (50.0, 0.0)
