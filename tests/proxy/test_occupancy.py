"""What servers say of how full they are, and how far they are believed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from proxy.occupancy import (
    COUNT_COST,
    COUNT_INTERVAL,
    EAGER,
    LOCKS,
    NO_COUNT,
    OF_ACCOUNT,
    OF_ALL,
    RECOVERS,
    SLOTS,
    TOO_MUCH,
    UNKNOWN,
    Count,
    Counting,
    Occupancy,
    fleet_of,
    parse_occupancy,
)


def test_three_numbers() -> None:
    assert parse_occupancy(("151", "7", "2")) == Occupancy(limit=151, connected=7, refusals=2)


@pytest.mark.parametrize("cell", [None, "", "-5", "many", "1e3", "٣", "9" * 30])
def test_what_is_no_number_is_not_known(cell: str | None) -> None:
    assert parse_occupancy((cell, cell, cell)) == Occupancy(UNKNOWN, UNKNOWN, UNKNOWN)


def test_a_count() -> None:
    found = parse_occupancy(("151", "7", "2", "2", "3", "5", "6"), source=0)
    assert found.count == Count(processes=2, own=3, sessions=5, visible=6, is_all=True, is_complete=True)
    assert (found.fleet(), found.trouble) == (2, "")
    own = parse_occupancy(("151", "7", "2", "2", "3", "5", "6"), OF_ACCOUNT).count
    assert own is not None and not own.is_all


def test_without_one_the_fleet_is_not_known() -> None:
    found = parse_occupancy(("151", "7", "2"))
    assert (found.count, found.fleet(), found.trouble) == (None, 0, "")


@pytest.mark.parametrize(
    ("locks", "fleet"), [(("3", "1"), 4), (("0", "1"), 1), (("3", "0"), 0), (("3", None), 0)]
)
def test_locks_that_are_taken_are_processes(locks: tuple[str | None, ...], fleet: int) -> None:
    assert parse_occupancy(("151", "7", "2", *locks, "0", "0"), LOCKS).fleet() == fleet


# What is believed


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Occupancy(151, 7, 0), ""),
        (Occupancy(151, 152, 0), ""),
        (Occupancy(0, 7, 0), "max_connections is 0"),
        (Occupancy(UNKNOWN, 7, 0), "max_connections is not told"),
        (Occupancy(151, 0, 0), "Threads_connected is 0"),
        (Occupancy(151, UNKNOWN, 0), "Threads_connected is not told"),
        (Occupancy(151, 4, 0), "Threads_connected is 4, and this process alone has 5 connections"),
    ],
)
def test_only_what_can_be_true(seen: Occupancy, why: str) -> None:
    assert seen.lie(5) == why


def test_who_is_of_no_process_is_a_stranger() -> None:
    count = Count(2, 1, 3, 4, is_all=True, is_complete=True)
    assert Occupancy(151, 100, 0, count).foreign() == 97
    assert Occupancy(151, UNKNOWN, 0, count).foreign() == 0


def test_unless_not_all_are_seen() -> None:
    assert SEEN.foreign() == Occupancy(151, 100, 0).foreign() == 0


def test_all_that_are_seen_are_the_fleet() -> None:
    assert fleet_of(Count(20, 3, 60, 90, is_all=True), 200) == 20


def test_those_of_other_accounts_are_taken_to_be_like_ours() -> None:
    # each of 20 has 3 connections; 30 are of programs of our account, 60 are of others'
    assert fleet_of(Count(20, 3, 60, 90, is_all=False), 150) == 40
    assert fleet_of(Count(20, 3, 60, 90, is_all=False), 91) == 21
    assert fleet_of(Count(20, 3, 60, 90, is_all=False), 90) == 20
    # some have left since
    assert fleet_of(Count(20, 3, 60, 90, is_all=False), 80) == 20


@pytest.mark.parametrize(
    "count",
    [(0, 1, 1, 1), (2, 0, 2, 2), (3, 1, 2, 2), (1, 1, 3, 2), (2, 3, 2, 2), (-1, 1, 1, 1), (1, -1, 1, 1)],
)
def test_what_cannot_be_is_no_count(count: tuple[int, int, int, int]) -> None:
    assert fleet_of(Count(*count, is_all=True), 10) == 0


# When


SEEN = Occupancy(151, 100, 0, Count(2, 1, 3, 4, is_all=True))
NOTHING = replace(SEEN, count=Count(2, 0, 3, 4, is_all=True))


def counting(is_wanted: bool = True) -> Counting:
    luck = itertools.cycle([0.5, 0.25])
    return Counting(is_wanted, lambda: next(luck))


def test_the_first_look_counts_and_then_fewer_and_fewer() -> None:
    each = counting()
    assert each.source(-5.0) == OF_ALL
    for part in (EAGER, 2 * EAGER, 4 * EAGER):
        assert each.counted(0.0, SEEN)
        due = part * (COUNT_INTERVAL + COUNT_COST * 100)
        assert (each.source(due - 0.01), each.source(due)) == (None, OF_ALL)
    for _ in range(10):
        each.counted(0.0, SEEN)
    due = COUNT_INTERVAL + COUNT_COST * 100
    assert (each.source(due - 0.01), each.source(due)) == (None, OF_ALL)


def test_of_a_server_that_does_not_tell_its_number_too() -> None:
    each = counting()
    assert each.counted(0.0, replace(SEEN, connected=UNKNOWN))
    assert each.source(COUNT_INTERVAL) == OF_ALL


def test_what_is_refused_or_says_nothing_is_not_asked_again() -> None:
    each = counting()
    each.refused()
    assert (each.source(0.0), each.trouble()) == (OF_ACCOUNT, "")
    assert not each.counted(0.0, NOTHING)
    assert (each.source(0.0), each.trouble()) == (LOCKS, "")
    each.refused()
    assert (each.source(0.0), each.trouble()) == (None, NO_COUNT)


def test_another_connection_is_asked_anew() -> None:
    each = counting()
    assert each.source(0.0) == OF_ALL
    each.refused()
    assert each.source(0.0) == OF_ACCOUNT and each.counted(0.0, SEEN)
    each.connected(0.1)
    assert each.source(0.1) == OF_ALL


def test_but_not_for_a_while_when_the_last_two_have_ended_over_a_count() -> None:
    each = counting()
    assert each.source(0.0) == OF_ALL
    each.connected(1.0)
    assert (each.source(1.0), each.trouble()) == (None, "")
    again = 1.0 + COUNT_INTERVAL
    assert each.source(again) == OF_ALL
    for now in (again + 1.0, again + 2.0):
        each.connected(now)
        assert (each.source(now + COUNT_INTERVAL), each.trouble()) == (None, TOO_MUCH)
    assert each.source(again + RECOVERS) is None
    assert (each.source(again + 1.0 + RECOVERS), each.trouble()) == (OF_ALL, "")


def test_one_that_has_ended_and_another_that_has_not_are_nothing() -> None:
    each = counting()
    for now in (0.0, 100.0, 200.0):
        each.connected(now)
        assert each.source(now) == OF_ALL
        each.connected(now + 1.0)
        later = now + 1.0 + COUNT_INTERVAL
        assert each.source(later) == OF_ALL and each.counted(later, SEEN)


def test_a_clock_that_is_set_back_ends_the_pause() -> None:
    each = counting()
    for now in (1000.0, 1100.0):
        each.source(now)
        each.connected(now)
    assert (each.source(1200.0), each.trouble()) == (None, TOO_MUCH)
    assert (each.source(10.0), each.trouble()) == (None, "")
    assert each.source(1100.0 + COUNT_INTERVAL) == OF_ALL


def test_a_lock_that_is_not_to_be_had_is_followed_by_another() -> None:
    each = counting()
    each.refused()
    each.refused()
    assert (each.slot, each.is_held) == (SLOTS // 2, False)
    assert each.counted(0.0, NOTHING)
    assert (each.slot, each.is_held) == (SLOTS // 4, False)
    assert each.counted(0.0, SEEN)
    assert (each.slot, each.is_held) == (SLOTS // 4, True)


def test_a_lock_is_lost_with_its_connection() -> None:
    each = counting()
    for _ in range(2):
        assert each.source(0.0) is not None
        each.refused()
    assert each.source(0.0) == LOCKS and each.counted(0.0, SEEN) and each.is_held
    each.connected(1.0)
    assert not each.is_held


def test_nothing_is_counted_where_the_fleet_is_configured() -> None:
    each = counting(False)
    for _ in range(2):
        assert (each.source(0.0), each.trouble()) == (None, "")
        each.connected(0.0)
