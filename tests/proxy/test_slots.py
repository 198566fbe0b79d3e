"""Bounds that several workers share: moves, and that what is held and free is the bound."""

from __future__ import annotations

import pytest

from proxy.slots import Holding, Ledger, Move, Slots, SlotsError, division


def test_a_bound_is_divided_equally() -> None:
    assert [division(10, 4, worker) for worker in range(4)] == [3, 3, 2, 2]
    assert Slots(10, 4, 1).held == [3, 3, 2, 2]


def test_each_worker_has_its_floor() -> None:
    with pytest.raises(ValueError, match="the floor of each worker"):
        Slots(3, 4, 1)
    assert Slots(3, 4, 0).held == [1, 1, 1, 0]


def test_who_has_enough_is_let_be() -> None:
    slots = Slots(10, 2, 1)
    assert slots.told(0, 5) == []
    assert slots.told(1, 0) == []


def test_who_lacks_some_gets_what_another_does_not_use() -> None:
    slots = Slots(10, 2, 1)
    slots.told(1, 2)
    assert slots.told(0, 7) == [Move(1, -2)]
    assert slots.held == [5, 5]
    assert slots.gave(1, 1) == [Move(0, 1)]
    assert slots.gave(1, 1) == [Move(0, 1)]
    assert slots.held == [7, 3]


def test_what_is_on_its_way_belongs_to_the_limit() -> None:
    slots = Slots(4, 2, 0)
    slots.told(0, 4)
    # two are asked for: the second worker counts none of them any more
    assert (slots.limit(2), slots.limit(3)) == (4, 4)
    slots.gave(1, 2)
    slots.left(1)
    assert slots.limit(4) == 4
    # the server lets this user have fewer
    assert slots.limit(2) == 2


def test_the_floor_is_never_asked_for() -> None:
    slots = Slots(4, 2, 1)
    assert slots.told(0, 100) == [Move(1, -1)]
    assert slots.gave(1, 1) == [Move(0, 1)]
    assert slots.told(0, 200) == []


def test_what_was_asked_for_is_not_asked_for_again() -> None:
    slots = Slots(10, 2, 1)
    assert slots.told(0, 7) == [Move(1, -2)]
    assert slots.told(0, 7) == []
    assert slots.told(0, 8) == [Move(1, -1)]


def test_who_has_most_to_spare_is_asked_first() -> None:
    slots = Slots(30, 3, 1)
    slots.told(1, 8)
    slots.told(2, 3)
    assert slots.told(0, 18) == [Move(2, -7), Move(1, -1)]


def test_where_there_is_not_enough_each_has_its_part() -> None:
    slots = Slots(20, 2, 1)
    assert slots.told(0, 90) == [Move(1, -9)]
    assert slots.told(1, 10) == []
    # by now it has clients, too, and a part of its own
    assert slots.gave(1, 9) == [Move(0, 8), Move(1, 1)]
    assert slots.held == [18, 2]
    assert slots.told(0, 10) == [Move(0, -8)]
    assert slots.gave(0, 8) == [Move(1, 8)]


def test_what_hardly_differs_is_let_be() -> None:
    slots = Slots(4, 2, 1)
    slots.demands = [10, 10]
    assert slots.told(1, 13) == []
    many = Slots(100, 2, 1)
    many.demands = [1000, 1000]
    assert many.told(1, 1180) == []
    assert many.told(1, 1300) == [Move(0, -6)]


def test_the_dead_leave_what_they_had_but_for_their_successors_floor() -> None:
    slots = Slots(10, 2, 1)
    slots.told(1, 20)
    assert slots.left(0) == [Move(1, 4)]
    assert (slots.held, slots.free) == ([0, 9], 1)
    assert slots.joined(0) == 1
    assert slots.free == 0


def test_a_successor_has_as_much_as_is_free_and_no_more_than_its_part() -> None:
    slots = Slots(10, 2, 1)
    slots.left(0)
    slots.left(1)
    assert slots.joined(1) == 5
    assert slots.joined(0) == 5
    slots.left(0)
    slots.told(1, 7)
    assert slots.joined(0) == 3


def test_what_the_dead_were_asked_for_is_free() -> None:
    slots = Slots(10, 2, 1)
    assert slots.told(0, 7) == [Move(1, -2)]
    assert slots.left(1) == [Move(0, 2)]
    with pytest.raises(SlotsError):
        slots.gave(1, 1)


def test_what_connections_of_the_dead_have_is_nobodys_until_they_end() -> None:
    slots = Slots(10, 2, 1)
    slots.told(1, 20)
    # of five two have ended with it, and one is for who takes its place
    assert slots.left(0, 3) == [Move(1, 1)]
    assert (slots.held, slots.free, slots.orphaned) == ([0, 6], 1, 3)
    assert slots.joined(0) == 1
    assert slots.remain(3) == []
    assert slots.remain(1) == [Move(1, 2)]
    assert slots.remain(0) == [Move(1, 1)]
    assert (slots.held, slots.free, slots.orphaned) == ([1, 9], 0, 0)


def test_the_dead_leave_no_more_than_they_held() -> None:
    slots = Slots(4, 2, 1)
    slots.left(0, 9)
    assert (slots.free, slots.orphaned) == (0, 2)
    slots.remain(9)
    assert (slots.free, slots.orphaned) == (0, 2)


def test_not_even_the_floor_is_there_before_they_end() -> None:
    slots = Slots(2, 2, 1)
    slots.told(1, 1)
    slots.left(0, 1)
    assert slots.joined(0) == 0
    # the one that is left is had by turns
    assert slots.told(0, 1) == [Move(1, -1)]
    assert slots.gave(1, 1) == [Move(0, 1)]
    assert slots.told(1, 1) == [Move(0, -1)]
    assert slots.remain(0) == [Move(1, 1)]
    assert slots.gave(0, 1) == [Move(0, 1)]
    assert (slots.held, slots.asked) == ([1, 1], [0, 0])


def test_who_comes_while_all_is_orphaned_begins_with_nothing() -> None:
    slots = Slots(4, 2, 1)
    slots.left(0, 2)
    slots.left(1, 2)
    assert (slots.joined(0), slots.joined(1), slots.orphaned) == (0, 0, 4)
    assert slots.told(0, 9) == []
    assert slots.remain(3) == [Move(0, 1)]
    assert slots.remain(0) == [Move(0, 2), Move(1, 1)]


def test_nothing_is_free_while_somebody_could_use_it() -> None:
    slots = Slots(4, 2, 1)
    slots.left(0, 2)
    assert slots.joined(0) == 0
    slots.told(0, 3)
    slots.told(1, 4)
    assert slots.gave(1, 1) == [Move(0, 1)]
    # neither lacks a whole one
    assert slots.remain(1) == [Move(1, 1)]
    assert slots.remain(0) == [Move(0, 1)]
    assert (slots.held, slots.free) == ([2, 2], 0)


def test_what_orphans_have_belongs_to_the_limit() -> None:
    slots = Slots(4, 2, 0)
    slots.left(0, 2)
    assert slots.limit(2) == 4


def test_nobody_gives_what_it_was_not_asked_for() -> None:
    slots = Slots(10, 2, 1)
    slots.told(0, 7)
    for count in (0, -1, 3):
        with pytest.raises(SlotsError, match="was asked for 2"):
            slots.gave(1, count)


def test_without_a_floor_a_worker_may_have_nothing() -> None:
    slots = Slots(1, 2, 0)
    assert slots.held == [1, 0]
    assert slots.told(1, 1) == [Move(0, -1)]
    assert slots.gave(0, 1) == [Move(1, 1)]
    assert slots.told(0, 0) == []


def test_those_who_have_nothing_take_turns() -> None:
    slots = Slots(1, 3, 0)
    assert slots.told(0, 9) == []
    assert slots.told(1, 1) == [Move(0, -1)]
    # it is on its way already, to who has wanted it for longer
    assert slots.told(2, 5) == []
    assert slots.gave(0, 1) == [Move(1, 1)]
    assert slots.told(2, 5) == [Move(1, -1)]
    assert slots.gave(1, 1) == [Move(0, 1)]
    assert slots.told(2, 5) == [Move(0, -1)]
    assert slots.gave(0, 1) == [Move(2, 1)]
    assert slots.told(2, 5) == []


def test_the_last_one_is_taken_by_turns_only() -> None:
    slots = Slots(3, 2, 0)
    slots.told(0, 1)
    assert slots.told(1, 90) == [Move(0, -1)]
    assert slots.gave(0, 1) == [Move(1, 1)]
    assert slots.told(1, 900) == []


def test_of_nothing_nobody_is_asked() -> None:
    slots = Slots(1, 2, 0)
    assert slots.told(1, 1) == [Move(0, -1)]
    assert slots.left(0) == [Move(1, 1)]
    slots.left(1)
    assert slots.joined(0) == 1
    none = Slots(0, 2, 0)
    assert none.told(0, 1) == []


def test_a_holding_gives_back_only_what_no_connection_has() -> None:
    holding = Holding(5)
    assert (holding.bound, holding.is_giving, holding.given(5)) == (5, False, 0)
    holding.moved(-3)
    assert (holding.bound, holding.is_giving) == (2, True)
    assert holding.given(5) == 0
    assert holding.given(4) == 1
    assert holding.given(0) == 2
    assert (holding.bound, holding.is_giving, holding.given(0)) == (2, False, 0)
    holding.moved(4)
    assert holding.bound == 6


def test_a_ledger_has_what_workers_speak_of() -> None:
    ledger = Ledger(2, lambda name: (10, 1) if name == "db" else (1, 0))
    assert ledger.told(1, {"db": 2, "user": 1}) == [("user", Move(0, -1))]
    assert ledger.told(0, {"db": 7}) == [("db", Move(1, -2))]
    assert ledger.gave(1, {"db": 2}) == [("db", Move(0, 2))]
    assert ledger.gave(0, {"user": 1}) == [("user", Move(1, 1))]
    assert ledger.left(0, {}) == []
    # not known when it died
    ledger.told(1, {"other": 0})
    assert ledger.slots["other"].free == 1
    assert ledger.joined(0) == {"db": 5, "user": 0, "other": 1}


def test_a_ledger_knows_what_orphans_count_for() -> None:
    ledger = Ledger(2, lambda name: (10, 1) if name == "db" else (2, 0))
    assert ledger.left(0, {"db": 3, "user": 5}) == []
    assert [(each.free, each.orphaned) for each in ledger.slots.values()] == [(2, 3), (0, 1)]
    ledger.told(1, {"db": 7, "user": 2})
    assert ledger.remain({"db": 2, "user": 1}) == [("db", Move(1, 1))]
    # it has all that it wants
    assert ledger.remain({}) == [("user", Move(1, 1))]
