"""How many connections one process of a fleet may have. (What many of them make of it together: tests/property/test_budget.py.)"""

from __future__ import annotations

import pytest

from proxy.budget import (
    BLIND,
    CAUTION,
    FILLS,
    FULL,
    LEAST_FLEET,
    MOST_BACKOFF,
    MOVES,
    PRESSES,
    REGAINS,
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
    return Budget(most=500, now=0.0, random=luck, fleet=10)


def test_before_the_first_look_there_is_the_floor(budget: Budget) -> None:
    assert budget.bound == budget.floor == 1


@pytest.mark.parametrize(
    ("most", "floor", "headroom"), [(0, 1, 0.1), (1, 2, 0.1), (4, 0, 0.1), (4, 1, 1.0), (4, 1, -0.1)]
)
def test_what_makes_no_sense_is_refused(most: int, floor: int, headroom: float) -> None:
    with pytest.raises(ValueError, match="expected 1 <= floor <= most"):
        Budget(most=most, now=0.0, random=Luck(), floor=floor, headroom=headroom)


def test_the_level_is_an_equal_share_where_the_server_is_full(budget: Budget) -> None:
    budget.looked(1.0, 0, LIMIT, 0)
    assert budget.level(round(FULL * 900)) == pytest.approx(FULL * 90)
    assert budget.level(round(PRESSES * 900)) == pytest.approx(0.0)
    assert budget.level(2 * LIMIT) == 0.0


def test_it_doubles_with_every_nine_percent_that_are_free(budget: Budget) -> None:
    budget.looked(1.0, 0, LIMIT, 0)
    assert budget.level(300) == pytest.approx(2 * budget.level(378), rel=0.01)


def test_a_look_gives_away_a_part_of_the_room(budget: Budget) -> None:
    level = Budget(most=500, now=0.0, random=Luck(), fleet=10)
    level.looked(0.0, 400, LIMIT, 0)
    part = (level.level(400) - 20) / (10 * level.level(400) - 400)
    assert budget.looked(1.0, 400, LIMIT, 20) == round(20 + (FILLS * 900 - 400) / CAUTION * part)


def test_all_parts_together_are_no_more_than_that(luck: Luck) -> None:
    luck.next = 1.0
    for own in (0, 7, 30):
        grown = 0
        for _ in range(10):
            each = Budget(most=500, now=0.0, random=luck, fleet=10)
            grown += each.looked(1.0, 10 * own, LIMIT, own) - own
        # rounded down
        assert grown <= (FILLS * 900 - 10 * own) / CAUTION


def test_who_has_less_gets_more(budget: Budget, luck: Luck) -> None:
    rich = Budget(most=500, now=0.0, random=luck, fleet=10)
    assert budget.looked(1.0, 500, LIMIT, 10) - 10 > rich.looked(1.0, 500, LIMIT, 100) - 100 > 0


def test_who_grows_alone_grows_faster(budget: Budget, luck: Luck) -> None:
    other = Budget(most=500, now=0.0, random=luck, fleet=10)
    for each in (budget, other):
        each.looked(1.0, 100, LIMIT, 10)
    alone, among_others = budget.looked(3.0, 110, LIMIT, 20), other.looked(3.0, 200, LIMIT, 20)
    assert alone == 20 + int((FILLS * 900 - 110) / CAUTION)
    assert among_others < 20 + int((FILLS * 900 - 200) / CAUTION / 4)


def test_not_where_the_others_have_grown_less_than_nothing(budget: Budget, luck: Luck) -> None:
    luck.next = 1.0
    budget.looked(1.0, 300, LIMIT, 10)
    # one share at most
    assert budget.looked(3.0, 100, LIMIT, 20) <= 20 + (FILLS * 900 - 100) / CAUTION


def test_nor_where_there_is_little_room(budget: Budget, luck: Luck) -> None:
    other = Budget(most=500, now=0.0, random=luck, fleet=10)
    budget.looked(1.0, 690, LIMIT, 10)
    assert budget.looked(3.0, 700, LIMIT, 20) == other.looked(3.0, 700, LIMIT, 20)


def test_parts_of_a_connection_add_up(luck: Luck) -> None:
    bounds = []
    for number in range(10):
        luck.next = number / 10
        each = Budget(most=500, now=0.0, random=luck, fleet=300)
        bounds.append(each.looked(1.0, 600, LIMIT, 1))
    assert set(bounds) == {1, 2}


def test_who_is_above_the_level_gives_up_a_part_of_the_difference(budget: Budget, luck: Luck) -> None:
    luck.next = 1.0
    bound = budget.looked(1.0, 765, LIMIT, 200)
    assert bound == int(200 - MOVES * (200 - FULL * 90))


def test_below_it_nothing_grows_where_there_is_no_room(budget: Budget) -> None:
    assert budget.looked(1.0, 800, LIMIT, 30) == 30


def test_above_it_all_everybody_gives_up_half_but_for_the_floor(budget: Budget) -> None:
    assert budget.looked(1.0, 850, LIMIT, 60) == 30
    assert budget.looked(2.0, 5000, LIMIT, 1) == 1


def test_no_more_than_the_most(luck: Luck) -> None:
    small = Budget(most=40, now=0.0, random=luck, fleet=1)
    assert small.looked(1.0, 1, LIMIT, 0) == 40


# Refusals


def test_a_refusal_halves_and_holds_for_a_while(budget: Budget, luck: Luck) -> None:
    budget.looked(1.0, 100, LIMIT, 30)
    assert budget.refused(2.0, 40) == 20
    assert budget.looked(2.4, 100, LIMIT, 20) == 20
    assert budget.looked(2.6, 100, LIMIT, 20) > 20


def test_for_longer_with_each_refusal(budget: Budget, luck: Luck) -> None:
    luck.next = 1.0
    for _ in range(10):
        budget.refused(10.0, 40)
    assert budget.looked(10.0 + MOST_BACKOFF - 0.1, 100, LIMIT, 20) == 20
    assert budget.looked(10.0 + MOST_BACKOFF, 100, LIMIT, 20) > 20
    # it begins anew when something could grow
    budget.refused(50.0, 40)
    assert budget.looked(51.0, 100, LIMIT, 20) > 20


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
    budget.looked(3.0, 120, LIMIT, 60)
    assert budget.bound > 90
    assert budget.passed(3.0 + BLIND, 60) == 90
    # what was open before is not compared with what is open now
    assert budget.looked(30.0, 120, LIMIT, 70) < 70 + (FILLS * 900 - 120) / CAUTION / 2


def test_which_is_the_floor_when_nothing_was_ever_seen(budget: Budget) -> None:
    assert budget.passed(BLIND, 0) == 1


def test_it_lets_nobody_have_more_than_before_but_one_by_one(budget: Budget) -> None:
    budget.looked(1.0, 800, LIMIT, 20)
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


# The fleet


def test_who_does_not_know_the_fleet_takes_each_connection_for_anothers(luck: Luck) -> None:
    unknown = Budget(most=500, now=0.0, random=luck)
    unknown.looked(1.0, 2, LIMIT, 1)
    assert unknown.level(2) == pytest.approx(level_of(luck, LEAST_FLEET, 2))
    assert unknown.level(400) == pytest.approx(level_of(luck, 400, 400))


def level_of(luck: Luck, fleet: int, connected: int) -> float:
    each = Budget(most=500, now=0.0, random=luck, fleet=fleet)
    each.looked(1.0, connected, LIMIT, 0)
    return each.level(connected)
