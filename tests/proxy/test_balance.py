"""Which of the eligible readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from proxy.balance import COLDEST, LOAD_STEP, Contender, TokenBucket, choose


def reader(
    name: str,
    leases: int = 0,
    *,
    weight: float = 1.0,
    round_trip: float = -1.0,
    cpu: float = -1.0,
    size: int = 0,
) -> Contender:
    made = Contender(name, weight)
    made.counted(leases, size)
    made.round_trip, made.cpu = round_trip, cpu
    return made


def draws(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


def chosen(*contenders: Contender) -> str:
    """Whoever of two is drawn first, the same one has to win."""
    names = {
        found.name
        for first in (0.0, 0.99)
        if (found := choose(list(contenders), 0.0, draws(first, 0.0))) is not None
    }
    (name,) = names
    return name


def test_of_none_there_is_none_and_of_one_it_is_that() -> None:
    assert choose([], 0.0, draws()) is None
    only = reader("r")
    assert choose([only], 0.0, draws(0.5)) is only


def test_the_one_with_fewer_leases() -> None:
    assert chosen(reader("busy", 5), reader("idle", 2)) == "idle"


def test_leases_are_counted_for_the_weight() -> None:
    assert chosen(reader("large", 5, weight=4.0), reader("small", 2)) == "large"


def test_one_with_room_before_one_that_is_full_whatever_their_weights() -> None:
    assert chosen(reader("full", 2, size=2, weight=9.0), reader("room", 3, size=4)) == "room"
    assert chosen(reader("full", 2, size=2), reader("waited for", 9, size=2)) == "full"


def test_of_two_that_are_full_the_one_that_has_more_to_lease() -> None:
    assert chosen(reader("small", 4, size=2, weight=9.0), reader("large", 8, size=8)) == "large"


def test_when_both_that_are_drawn_are_full_it_is_one_that_is_not() -> None:
    full = [reader("a", 4, size=4), reader("b", 4, size=4)]
    room, off = reader("room", 3, size=4), reader("off", size=4, weight=0.0)
    assert choose([*full, room], 0.0, draws(0.0, 0.0, 0.0)) is room
    assert choose([*full, room, off], 0.0, draws(0.0, 0.0, 0.0)) is room
    assert choose(full, 0.0, draws(0.0, 0.0)) is full[0]


def test_among_equals_the_nearer_one() -> None:
    assert chosen(reader("far", round_trip=0.001), reader("near", round_trip=0.0003)) == "near"
    assert chosen(reader("far", cpu=0.0), reader("near", round_trip=0.0003, cpu=80.0)) == "far"


@pytest.mark.parametrize(("one", "other"), [(0.00030, 0.00035), (0.0100, 0.0110)])
def test_round_trips_that_hardly_differ_do_not_decide(one: float, other: float) -> None:
    a, b = reader("a", round_trip=one), reader("b", round_trip=other)
    assert choose([a, b], 0.0, draws(0.0, 0.0)) is a and choose([a, b], 0.0, draws(0.99, 0.0)) is b


def test_then_the_one_with_the_idler_processor() -> None:
    assert chosen(reader("hot", cpu=70.0), reader("cool", cpu=20.0)) == "cool"
    a, b = reader("a", cpu=20.0), reader("b", cpu=25.0)
    assert choose([a, b], 0.0, draws(0.0, 0.0)) is a and choose([a, b], 0.0, draws(0.99, 0.0)) is b


def test_loads_that_hardly_differ_do_not_decide() -> None:
    assert chosen(reader("far", 100, round_trip=0.001), reader("near", 105, round_trip=0.0003)) == "near"


def test_without_weight_a_reader_gets_nothing() -> None:
    off, on = reader("off", weight=0.0), reader("on", 50)
    assert choose([off], 0.0, draws(0.0)) is None
    assert choose([off, on], 0.0, draws(0.0, 0.0, 0.0)) is on
    assert choose([off, reader("off", weight=0.0)], 0.0, draws(0.0, 0.0)) is None


def test_two_different_ones_are_drawn_and_all_of_them() -> None:
    contenders = [reader(str(i)) for i in range(5)]
    random = Random(7)
    found = Counter(one.name for _ in range(2000) if (one := choose(contenders, 0.0, random.random)))
    assert set(found) == {"0", "1", "2", "3", "4"}
    assert max(found.values()) < 2 * min(found.values())


def test_leases_stay_even() -> None:
    contenders = [reader(str(i), weight=1.0 + (i == 0)) for i in range(4)]
    random = Random(7)
    for _ in range(1000):
        one = choose(contenders, 0.0, random.random)
        assert one is not None
        one.leases += 1
    loads = [contender.load(0.0) for contender in contenders]
    # two that differ by less than a step are the same, and so are those and a third
    assert max(loads) - min(loads) <= 2 * LOAD_STEP * max(loads)


def test_a_new_reader_is_warmed() -> None:
    new = Contender("new", warm_up=10.0)
    assert new.warmth(0.0) == 1.0
    new.joined(100.0)
    assert [round(new.warmth(now), 6) for now in (99.0, 100.0, 105.0, 110.0, 500.0)] == [
        COLDEST,
        COLDEST,
        0.55,
        1.0,
        1.0,
    ]
    new.leases = 1
    assert new.load(100.0) == pytest.approx(20.0) and new.load(110.0) == 2.0


def test_without_warming_it_has_its_share_at_once() -> None:
    new = Contender("new")
    new.joined(100.0)
    assert new.warmth(100.0) == 1.0


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait(0.0) == 0.5
    assert not bucket.take(0.4) and bucket.take(0.5) and not bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait(101.0) == 0.0


def test_a_clock_that_stands_still_fills_nothing() -> None:
    bucket = TokenBucket(2.0, 1.0)
    assert bucket.take(5.0) and not bucket.take(4.0)


def test_a_bucket_without_a_rate_is_no_limit() -> None:
    bucket = TokenBucket(0.0, 0.0)
    assert all(bucket.take(0.0) for _ in range(100)) and bucket.wait(0.0) == 0.0
