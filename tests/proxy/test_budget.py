"""How many connections one process of a fleet may have. (What many of them make of it together: tests/property/test_budget.py.)"""

from __future__ import annotations

import pytest

from proxy.budget import (
    BLIND,
    FEW,
    KEPT,
    LEAST_FLEET,
    MANY,
    MOST_BACKOFF,
    MOVES,
    PRESSES,
    REGAINS,
    SPARES,
    Budget,
)

LIMIT = 1000
"""With the headroom of a tenth, 900 are usable."""


class Luck:
    """Random numbers that are what the test says."""

    def __init__(self) -> None:
        self.next = 0.5

    def __call__(self) -> float:
        return self.next


@pytest.fixture
def luck() -> Luck:
    return Luck()


@pytest.fixture
def budget(luck: Luck) -> Budget:
    return of_fleet(10, luck)


def of_fleet(fleet: int, luck: Luck) -> Budget:
    """Which knows the limit."""
    made = Budget(most=500, now=0.0, random=luck, fleet=fleet)
    made.limit = LIMIT
    return made


def test_before_the_first_look_there_is_the_floor(budget: Budget) -> None:
    assert budget.bound == budget.floor == 1


@pytest.mark.parametrize(
    ("most", "floor", "headroom"), [(0, 1, 0.1), (1, 2, 0.1), (4, 0, 0.1), (4, 1, 1.0), (4, 1, -0.1)]
)
def test_what_makes_no_sense_is_refused(most: int, floor: int, headroom: float) -> None:
    with pytest.raises(ValueError, match="expected 1 <= floor <= most"):
        Budget(most=most, now=0.0, random=Luck(), floor=floor, headroom=headroom)


# The level


def test_the_level_is_an_equal_share_where_the_server_is_full(budget: Budget) -> None:
    full = round(budget.full)
    # with the connections of ten monitors
    assert 10 * (budget.level(full) + 1) == pytest.approx(budget.full, rel=0.02)
    assert budget.level(full - 50) > 2 * budget.level(full)
    assert budget.level(full + 50) < budget.level(full) / 2
    assert budget.level(2 * LIMIT) < 0.1


def test_a_small_server_keeps_a_larger_part_for_surprises(luck: Luck) -> None:
    large, small = of_fleet(20, luck), of_fleet(20, luck)
    large.limit, small.limit = 16000, 151
    for each in (large, small):
        assert each.full < each.room < 0.95 * each.usable
    assert large.full > 0.92 * large.usable
    # ten others may appear there at once
    assert small.room + 10 < 0.95 * small.usable


def test_a_fleet_that_is_larger_than_the_server_has_a_level_of_nothing(luck: Luck) -> None:
    assert of_fleet(2000, luck).level(900) == 0.0


def test_who_is_above_the_level_gives_up_a_part_of_the_difference(budget: Budget, luck: Luck) -> None:
    luck.next = 1.0
    full = round(budget.full)
    level = budget.level(full)
    assert budget.looked(1.0, full, LIMIT, 200) == int(200 - MOVES * (200 - (int(level) + 1)))


def test_but_not_for_a_part_of_a_connection(budget: Budget, luck: Luck) -> None:
    luck.next = 0.0
    full = round(budget.full)
    level = int(budget.level(full))
    assert budget.looked(1.0, full, LIMIT, level + 1) == level + 1
    assert budget.looked(2.0, full, LIMIT, level) == level


def test_what_is_idle_is_given_up_where_the_server_is_nearly_full(budget: Budget) -> None:
    assert budget.looked(1.0, 700, LIMIT, 50, needed=10) >= 50
    full = round(budget.full)
    assert budget.looked(2.0, full, LIMIT, 50, needed=10) == 50 - SPARES * 40
    assert budget.looked(3.0, full, LIMIT, 6, needed=0) == 6 - SPARES * 5
    assert budget.looked(4.0, full, LIMIT, 50) == 50


def test_few_processes_have_a_gentler_level(luck: Luck) -> None:
    def steepness(each: Budget) -> float:
        return each.level(700) / each.level(800)

    assert steepness(of_fleet(2, luck)) < steepness(of_fleet(10, luck)) < steepness(of_fleet(50, luck))


# Promises


def test_all_parts_together_are_no_more_than_the_room(luck: Luck) -> None:
    luck.next = 1.0
    for own in (0, 7, 30):
        grown = 0
        for _ in range(10):
            each = of_fleet(10, luck)
            grown += each.looked(1.0, 10 * own + 10, LIMIT, own) - own
        assert grown <= each.room - 10 * own - 10


def test_who_has_less_is_promised_more(luck: Luck) -> None:
    poor, rich = of_fleet(10, luck), of_fleet(10, luck)
    full = round(poor.full) - 80
    assert poor.looked(1.0, full, LIMIT, 10) - 10 > rich.looked(1.0, full, LIMIT, 300) - 300 > 0


def test_a_promise_is_kept_but_not_added_to(budget: Budget) -> None:
    promised = budget.looked(1.0, 100, LIMIT, 5)
    assert budget.looked(3.0, 100, LIMIT, 5) == pytest.approx(promised, abs=1)


@pytest.mark.parametrize(("fleet", "is_more"), [(MANY, True), (FEW, False)])
def test_many_are_promised_more_where_hardly_anything_was_opened(
    luck: Luck, fleet: int, is_more: bool
) -> None:
    def promised(before: int, more: int) -> int:
        each = Budget(most=5000, now=0.0, random=luck, fleet=fleet)
        each.looked(1.0, before, 100 * LIMIT, 1)
        return each.looked(3.0, before + more, 100 * LIMIT, 1) - 1

    rests, grows = promised(70_000, 400), promised(69_900, 500)
    assert rests > 1.5 * grows if is_more else rests == grows


def test_who_has_used_it_gets_of_what_the_others_leave(budget: Budget) -> None:
    promised = budget.looked(1.0, 100, LIMIT, 5) - 5
    again = budget.looked(3.0, 100 + promised, LIMIT, 5 + promised) - 5 - promised
    assert 0 < again < promised


def test_who_is_in_need_gets_more_of_that_but_not_more_than_it_needs(luck: Luck) -> None:
    grown = []
    for waiting in (0, 50, 1000):
        each = of_fleet(10, luck)
        own = each.looked(1.0, 100, LIMIT, 5)
        grown.append(each.looked(3.0, 95 + own, LIMIT, own, needed=own + waiting) - own)
    assert grown[0] < 50 == grown[1] < grown[2]


def test_and_less_where_many_have_grown_of_few(luck: Luck) -> None:
    def grows(total: int) -> int:
        each = of_fleet(20, luck)
        own = each.looked(1.0, 100, LIMIT, 1)
        before = each.room - total
        return round(1000 * (each.looked(3.0, total, LIMIT, own, needed=own + 900) - own) / before)

    assert grows(600) < grows(140)


def test_and_less_where_looks_take_long(luck: Luck) -> None:
    def grows(round_trip: float) -> int:
        each = of_fleet(100, luck)
        own = each.looked(1.0, 100, LIMIT, 1)
        return each.looked(3.0, 140, LIMIT, own, needed=own + 900, round_trip=round_trip) - own

    # at 0.02 s two look in that time, of a hundred that look every two seconds
    assert grows(0.0) == grows(0.02) > 2 * grows(0.1) > 8 * grows(1.0)


def test_who_is_starved_takes_one_where_nobody_else_seems_to_need_it(luck: Luck) -> None:
    luck.next = 0.999

    def grows(own: int, before: int, now: int, needed: int = 90) -> int:
        each = of_fleet(20, luck)
        each.limit = 151
        each.looked(1.0, before, 151, own, needed)
        return each.looked(3.0, now, 151, own, needed) - own

    assert grows(2, 117, 117) == grows(2, 118, 117) == 1
    # it has not so few, others come, nobody waits, or the server is full
    assert [grows(4, 117, 117), grows(2, 116, 117), grows(2, 117, 117, 2), grows(2, 118, 118)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("fleet", "connected", "needed", "most", "is_desperate"),
    [
        (20, 830, 30, 500, True),  # its share is 41
        (20, 830, 20, 500, False),  # it may have that
        (20, 830, 30, 20, False),  # it will never have more
        (30, 830, 30, 500, False),  # 20 are most of its share
        (MANY, 830, 30, 500, False),
        (0, 830, 30, 500, False),
    ],
)
def test_who_has_much_less_than_its_share_and_needs_it_should_look_soon(
    luck: Luck, fleet: int, connected: int, needed: int, most: int, is_desperate: bool
) -> None:
    budget = Budget(most=most, now=0.0, random=luck, fleet=fleet)
    budget.looked(1.0, connected, LIMIT, 20, needed)
    budget.bound = 20
    assert budget.is_desperate(needed) is is_desperate


def test_many_look_ahead(luck: Luck) -> None:
    def bound(fleet: int, before: int) -> int:
        each = of_fleet(fleet, luck)
        each.looked(1.0, before, LIMIT, 20)
        return each.looked(3.0, 800, LIMIT, 20)

    # with 900 all would be full, of which each has nine
    assert bound(100, 600) < 10 < bound(100, 790)
    # of few each connection counts, and they wait until it is full
    assert bound(20, 600) == bound(20, 790)


def test_below_the_level_nothing_grows_where_there_is_no_room(budget: Budget) -> None:
    assert budget.looked(1.0, int(budget.room) + 1, LIMIT, 30, needed=100) == 30


def test_parts_of_a_connection_add_up(luck: Luck) -> None:
    bounds = []
    for number in range(10):
        luck.next = number / 10
        bounds.append(of_fleet(300, luck).looked(1.0, 700, LIMIT, 1))
    assert set(bounds) == {1, 2}


def test_above_it_all_everybody_gives_up_half_but_for_the_floor(budget: Budget) -> None:
    assert budget.looked(1.0, int(PRESSES * 900) + 1, LIMIT, 60) == 60 * KEPT
    assert budget.looked(2.0, 5000, LIMIT, 1) == 1


def test_no_more_than_the_most(luck: Luck) -> None:
    small = Budget(most=40, now=0.0, random=luck, fleet=1)
    assert small.looked(1.0, 1, LIMIT, 0) == 40


def test_a_limit_that_is_lowered_below_what_is_open_is_kept(budget: Budget) -> None:
    budget.looked(1.0, 500, LIMIT, 50)
    assert budget.looked(3.0, 500, 100, 50) == 25
    assert budget.looked(5.0, 300, 0, 25) == 12


def test_a_server_that_says_less_than_is_ours_is_not_believed(budget: Budget) -> None:
    assert budget.looked(1.0, 0, LIMIT, 880) == 440


# Refusals


def test_a_refusal_halves_and_holds_for_a_while(budget: Budget, luck: Luck) -> None:
    budget.looked(1.0, 100, LIMIT, 30)
    assert budget.refused(2.0, 40) == 20
    assert budget.looked(2.4, 100, LIMIT, 20, needed=40) == 20
    assert budget.looked(2.6, 100, LIMIT, 20, needed=40) > 20


def test_a_refusal_never_allows_more(budget: Budget) -> None:
    bound = budget.looked(1.0, 880, LIMIT, 4)
    assert bound < 20 and budget.refused(2.0, 40) == bound


def test_for_longer_with_each_refusal(budget: Budget, luck: Luck) -> None:
    luck.next = 1.0
    for _ in range(10):
        budget.refused(10.0, 40)
    assert budget.looked(10.0 + MOST_BACKOFF - 0.1, 100, LIMIT, 20) == 20
    assert budget.looked(10.0 + MOST_BACKOFF, 100, LIMIT, 20, needed=40) > 20
    # it begins anew when something could grow
    budget.refused(50.0, 40)
    assert budget.looked(51.0, 100, LIMIT, 20, needed=40) > 20


def test_a_clock_that_is_set_back_does_not_prolong_that(budget: Budget) -> None:
    budget.looked(1000.0, 100, LIMIT, 30)
    budget.refused(1000.0, 40)
    assert budget.looked(5.0, 100, LIMIT, 20) > 20


# Without looks


def test_a_look_holds_for_a_while(budget: Budget) -> None:
    bound = budget.looked(1.0, 100, LIMIT, 30)
    assert budget.passed(1.0 + BLIND - 0.1, 30) == bound


def test_then_there_is_an_equal_share(budget: Budget) -> None:
    budget.looked(1.0, 100, LIMIT, 30)
    own = budget.looked(3.0, 120, LIMIT, 60, needed=200)
    assert own > 90
    assert budget.passed(3.0 + BLIND, own) == 90


def test_what_was_promised_so_long_ago_is_no_promise_any_more(luck: Luck) -> None:
    late, new = of_fleet(10, luck), of_fleet(10, luck)
    late.looked(1.0, 100, LIMIT, 5)
    later = 1.0 + BLIND
    assert late.looked(later, 300, LIMIT, 70) == new.looked(later, 300, LIMIT, 70)


def test_which_is_the_floor_when_nothing_was_ever_seen(budget: Budget) -> None:
    budget.limit = 0
    assert budget.passed(BLIND, 0) == 1


def test_it_lets_nobody_have_more_than_before_but_one_by_one(budget: Budget) -> None:
    budget.looked(1.0, 840, LIMIT, 20)
    assert budget.passed(1.0 + BLIND, 20) == 20
    assert budget.passed(1.0 + REGAINS - 0.1, 20) == 20
    assert budget.passed(1.0 + REGAINS, 20) == 21
    assert budget.passed(1.0 + REGAINS + 1.0, 21) == 21
    for number in range(2, 100):
        budget.passed(1.0 + number * REGAINS, 20)
    assert budget.bound == 90


def test_who_cannot_look_at_all_has_its_share_at_once(luck: Luck) -> None:
    for fleet, share in ((0, 90), (30, 30), (10_000, 1)):
        each = Budget(most=500, now=0.0, random=luck, fleet=fleet)
        assert each.unable(1.0, LIMIT) == share
        assert each.passed(1.0 + BLIND, 3) == share


def test_of_what_the_server_had_said_if_it_had(budget: Budget) -> None:
    budget.looked(1.0, 800, LIMIT, 20)
    assert budget.unable(2.0, 10) == 90


def test_what_a_refusal_has_cost_comes_back_one_by_one(luck: Luck) -> None:
    blind = Budget(most=500, now=0.0, random=luck, fleet=10)
    assert blind.unable(1.0, LIMIT) == 90
    assert blind.refused(2.0, 60) == 30
    assert blind.is_waiting(2.4) and not blind.is_waiting(2.6)
    assert blind.unable(20.0, LIMIT) == 30
    assert blind.unable(2.0 + REGAINS, LIMIT) == 31
    assert blind.passed(2.0 + 2 * REGAINS, 31) == 32


# Strangers


def test_an_equal_share_is_one_of_what_strangers_leave(budget: Budget) -> None:
    before = budget.level(600)
    budget.foreign = 400
    assert 10 * (budget.level(round(budget.full)) + 1) == pytest.approx(budget.full - 400, rel=0.03)
    assert budget.level(600) < before


def test_who_has_most_beside_strangers_gives_up_what_others_lack(luck: Luck) -> None:
    first, second = (Budget(most=200, now=0.0, random=luck, fleet=2) for _ in range(2))
    own = [17, 1]
    for each in (first, second):
        each.foreign = 100
    for look in range(1, 200):
        for at, each in enumerate((first, second)):
            own[at] = min(200, each.looked(float(look), 102 + sum(own), 151, own[at], needed=200))
    assert abs(own[0] - own[1]) <= 2 and sum(own) >= 10


# A fleet of unknown size


def test_there_the_level_falls_from_all_to_one(luck: Luck) -> None:
    unknown = of_fleet(0, luck)
    full = round(unknown.full)
    assert unknown.level(full - 90) == pytest.approx(900, rel=0.1)
    assert unknown.level(full + 18) == pytest.approx(1, rel=0.1)


def test_few_are_promised_no_more_than_as_if_they_were_many(luck: Luck) -> None:
    luck.next = 0.0
    unknown = of_fleet(0, luck)
    assert 1 < unknown.looked(1.0, 1, LIMIT, 0) <= unknown.room / LEAST_FLEET
    many = of_fleet(0, luck)
    # each of these connections may be the monitor of another
    assert many.looked(1.0, 200, LIMIT, 1) <= 1 + many.room / 199


def test_who_is_in_need_gets_half_of_what_is_free(luck: Luck) -> None:
    unknown = of_fleet(0, luck)
    assert 100 < unknown.looked(1.0, 1, LIMIT, 0, needed=500) < 300


def test_who_is_above_the_level_goes_down_slowly_there(luck: Luck) -> None:
    luck.next = 1.0
    unknown = of_fleet(0, luck)
    full = round(unknown.full)
    # a move of the difference would be to fewer than 200
    assert 210 < unknown.looked(1.0, full - 45, LIMIT, 300) < 300


def test_what_may_be_had_at_most_may_change(budget: Budget, luck: Luck) -> None:
    most = budget.most
    budget.allow(most // 2)
    # there was nothing to lose, and nothing is gained
    assert (budget.most, budget.bound) == (most // 2, budget.floor)
    budget.bound = most // 2
    budget.allow(most // 2 + 3)
    assert budget.bound == most // 2 + 3
    budget.allow(5)
    assert budget.bound == 5
    budget.bound = 3
    budget.allow(4)
    assert (budget.bound, budget.most) == (3, 4)
    # even nothing, for a while
    budget.allow(0)
    assert budget.bound == 0
    assert budget.looked(1.0, 0, LIMIT, 0, 9) == 0
    budget.allow(4)
    assert budget.bound == 4
