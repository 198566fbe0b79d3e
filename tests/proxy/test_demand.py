"""How many backends are likely to be needed soon."""

from __future__ import annotations

import sys

from proxy.demand import RECENT, WEEK, Demand


def test_the_peak_of_the_last_five_minutes_counts() -> None:
    demand = Demand()
    assert demand.needed() == 0
    for used in (3, 12, 5):
        demand.seen(used, 100)
    assert demand.needed() == 12
    for minute in range(101, 100 + RECENT):
        demand.seen(2, minute)
        assert demand.needed() == 12
    demand.seen(2, 100 + RECENT)
    assert demand.needed() == 2


def test_minutes_in_which_nobody_looked_have_passed_too() -> None:
    demand = Demand()
    demand.seen(12, 100)
    demand.seen(1, 103)
    assert demand.needed() == 12
    demand.seen(1, 200)
    assert demand.needed() == 1


def test_a_clock_that_was_set_back_forgets_nothing_of_late() -> None:
    demand = Demand()
    demand.seen(12, 100)
    demand.seen(1, 50)
    assert demand.needed() == 12


def test_what_a_minute_of_the_week_needs_is_known_a_week_later() -> None:
    demand = Demand()
    demand.seen(40, 1000)
    demand.seen(1, 1001)
    demand.seen(1, 1000 + WEEK - 5)
    assert demand.needed() == 1
    demand.seen(1, 1000 + WEEK - 4)
    assert demand.needed() == 40
    # this week there was none of it: a quarter less is expected in the next
    demand.seen(1, 1000 + WEEK)
    demand.seen(1, 1001 + WEEK)
    demand.seen(1, 1000 + 2 * WEEK)
    assert demand.needed() == 30
    demand.seen(100_000, 1000 + 2 * WEEK)
    demand.seen(1, 1001 + 2 * WEEK)
    demand.seen(1, 1000 + 3 * WEEK)
    assert demand.needed() == 65_535


def test_it_is_small() -> None:
    demand = Demand()
    for minute in range(0, 3 * WEEK, 7):
        demand.seen(minute % 50, minute)
    assert sys.getsizeof(demand._profile) + sys.getsizeof(demand._peaks) < 24_000
