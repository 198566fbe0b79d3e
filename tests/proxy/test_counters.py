from __future__ import annotations

import pytest

from proxy.counters import WAIT_BOUNDS, Counters


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.001, 0), (0.0011, 1), (0.3, 8), (10.0, len(WAIT_BOUNDS) - 1), (10.1, len(WAIT_BOUNDS))],
)
def test_a_wait_falls_into_the_first_bucket_that_is_not_below_it(seconds: float, bucket: int) -> None:
    counters = Counters()
    counters.observe_wait(seconds)
    expected = [0] * (len(WAIT_BOUNDS) + 1)
    expected[bucket] = 1
    assert (counters.wait_buckets, counters.waits, counters.wait_seconds) == (expected, 1, seconds)


def test_buckets_are_the_same_whatever_came_before() -> None:
    waits = [0.3, 0.0, 20.0, 0.001, 0.0011, 7.0, 0.04, 0.0]
    counters = Counters()
    expected = [0] * (len(WAIT_BOUNDS) + 1)
    for seconds in waits:
        counters.observe_wait(seconds)
        expected[sum(bound < seconds for bound in WAIT_BOUNDS)] += 1
    assert counters.wait_buckets == expected


def test_waits_add_up() -> None:
    counters = Counters()
    for _ in range(3):
        counters.observe_wait(0.5)
    assert (counters.waits, counters.wait_seconds, sum(counters.wait_buckets)) == (3, 1.5, 3)


def test_reasons_are_counted_apart() -> None:
    counters = Counters()
    for reason in ("temporary-table", "temporary-table", "get-lock"):
        counters.count_pin(reason)
    counters.count_login_failure("wrong-password")
    counters.count_close("frontend", "client-quit")
    counters.count_close("backend", "max-age")
    assert counters.pins == {"temporary-table": 2, "get-lock": 1}
    assert counters.login_failures == {"wrong-password": 1}
    assert counters.frontend_closes == {"client-quit": 1}
    assert counters.backend_closes == {"max-age": 1}


def test_two_processes_worth_of_counters_share_nothing() -> None:
    one, other = Counters(), Counters()
    one.count_pin("get-lock")
    one.observe_wait(1.0)
    assert (other.pins, sum(other.wait_buckets)) == ({}, 0)
