"""The smallest pool that is enough, and what is recommended."""

from __future__ import annotations

from bench.whatif.replay import Result, Traffic, traffic_of
from bench.whatif.search import Answer, answer, is_enough
from proxy.recording import FREE
from tests.bench.whatif.samples import Asked, recorded, steady


def traffic(leases: list[Asked], **facts: object) -> Traffic:
    found = recorded(leases, **facts)
    return traffic_of(found, found.pools[0], 1)


def found_for(leases: list[Asked], wait: float = 0.005, **facts: object) -> Answer:
    return answer(traffic(leases, **facts), wait=wait)


def test_the_smallest_size_that_is_enough_is_found_and_gets_slack() -> None:
    # twenty sessions, nine of which have a backend at any time
    found = found_for(steady(20), open=20)
    assert found.enough is not None and found.recommended is not None
    assert found.enough.size == 9 and found.recommended.size == 11
    assert found.reason.startswith(
        "pool.size = 11: with 9 connections 99 % of the leases are waited for no longer"
    )
    assert "20% more are slack; on average 8." in found.reason and found.reason.endswith(
        "of the 10 that there might be"
    )
    by_size = {result.size: result for result in found.results}
    assert not is_enough(by_size[8], 0.005) and is_enough(by_size[9], 0.005)
    assert {3, 5, 8, 10, 15, 20} <= set(by_size)


def test_it_may_be_larger_than_the_recorded_one() -> None:
    found = found_for(steady(20), size=2, open=2)
    assert found.enough is not None
    assert found.enough.size >= 9


def test_longer_waits_need_fewer() -> None:
    found = found_for(steady(20), wait=0.5, open=20)
    assert found.enough is not None and found.enough.size < 9


def test_where_no_size_is_enough_that_is_said() -> None:
    # whatever the size: each is opened first
    leases = [(session, 1.0, 1.0, 2.0, FREE) for session in range(8)]
    found = found_for(leases, wait=0.0001, size=4, open=0)
    assert found.enough is found.recommended is None
    assert found.reason.startswith("No pool.size up to 8 is enough for waits of at most 0.1 ms")
    assert {result.size for result in found.idle} == {4}


def test_what_is_shown_may_be_chosen() -> None:
    told: list[Result] = []
    found = answer(traffic(steady(4)), wait=0.005, sizes=(3, 7), idle_timeouts=(2.0,), tried=told.append)
    assert {3, 7} <= {result.size for result in found.results}
    assert [result.idle_timeout for result in found.idle] == [2.0, 60.0]
    assert len(told) == len(found.results) + len(found.idle)
    assert len({result.size for result in found.results}) == len(found.results)


def test_idle_timeouts_are_tried_that_can_show_within_the_recording() -> None:
    assert [result.idle_timeout for result in found_for(steady(4)).idle] == [5.0, 60.0]
