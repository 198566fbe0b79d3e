"""What happens when, and what would be fair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.realfleet.plan import COLD, HOT, SETTLING, Plan, fair


def test_who_wants_little_gets_it_and_the_others_share_the_rest() -> None:
    assert fair([1.0, 50.0, 2.0, 50.0], 23.0) == [1.0, 10.0, 2.0, 10.0]
    assert fair([1.0, 2.0], 23.0) == [1.0, 2.0]
    assert fair([], 23.0) == []


def test_what_is_wanted_is_as_many_as_are_used_at_a_time() -> None:
    plan = Plan()
    all_of_them = next(phase for phase in plan.phases() if len(phase.busy) == plan.sidecars)
    # 60 clients, each of which asks for half of its time: 30, and two standard deviations
    assert plan.wanted(all_of_them) == [pytest.approx(40.95, abs=0.01)] * 20
    assert plan.pause(all_of_them, 0) == HOT
    quiet = plan.phases()[0]
    assert plan.pause(quiet, 0) == COLD and sum(plan.wanted(quiet)) < 80


def test_when_nobody_is_busy_there_is_room_and_later_there_is_not() -> None:
    plan = Plan()
    room = 0.9 * plan.limit - plan.sidecars - 1
    wanted = [sum(plan.wanted(phase)) for phase in plan.phases()]
    assert wanted[0] < room and all(each > room for each in wanted[1:5])
    assert wanted[5] == wanted[0]


@pytest.mark.parametrize("sidecars", [1, 2, 3, 7, 20])
def test_every_phase_is_of_sidecars_that_there_are(sidecars: int) -> None:
    for phase in Plan(sidecars=sidecars).phases():
        assert all(0 <= number < sidecars for number in (*phase.busy, *phase.kills))
        assert phase.seconds > SETTLING
        if phase.kills:
            assert SETTLING < phase.kill_at < phase.seconds


def test_everything_may_be_slower() -> None:
    for plain, slow in zip(Plan().phases(), replace(Plan(), pace=2.0).phases(), strict=True):
        assert (slow.seconds, slow.kill_at) == (2 * plain.seconds, 2 * plain.kill_at)
        assert slow.strangers == (
            None if plain.strangers is None else (2 * plain.strangers[0], 2 * plain.strangers[1])
        )
