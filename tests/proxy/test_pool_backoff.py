"""The times of attempts to open."""

from __future__ import annotations

from proxy.pool_backoff import Backoff
from proxy.pool_states import NEVER


def test_the_interval_doubles_up_to_the_cap() -> None:
    backoff = Backoff(0.05, 1.0, lambda: 1.0)
    now, intervals = 0.0, []
    for _ in range(7):
        backoff.failed(now, "no route", False)
        intervals.append(round(backoff.retry_at - now, 6))
        now = backoff.retry_at
    assert intervals == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_jitter_is_full() -> None:
    backoff = Backoff(0.05, 1.0, lambda: 0.0)
    backoff.failed(7.0, "no route", False)
    assert backoff.retry_at == 7.0 and backoff.is_failing


def test_attempts_that_fail_together_count_once() -> None:
    backoff = Backoff(0.05, 1.0, lambda: 1.0)
    for error in ("one", "two", "three"):
        backoff.failed(0.0, error, False)
    assert backoff.retry_at == 0.05 and backoff.error == "three"


def test_it_knows_since_when_nothing_answers() -> None:
    backoff = Backoff(0.05, 1.0, lambda: 1.0)
    assert backoff.failing_since == NEVER and not backoff.is_failing
    backoff.failed(3.0, "no route", False)
    backoff.failed(4.0, "no route", False)
    assert backoff.failing_since == 3.0
    backoff.failed(5.0, "full", True)
    assert backoff.failing_since == NEVER and backoff.is_failing


def test_success_forgets_everything() -> None:
    backoff = Backoff(0.05, 1.0, lambda: 1.0)
    backoff.failed(3.0, "no route", False)
    backoff.succeeded()
    assert (backoff.failing_since, backoff.retry_at, backoff.error) == (NEVER, -NEVER, None)
    assert not backoff.is_failing
