"""What a server lets a user have, found out by its refusals."""

from __future__ import annotations

import pytest

from proxy.pool_limits import NOTHING
from proxy.user_limits import RAISES, UserLimits

APP = b"app"


class Scene:
    """One user, who opens what it may."""

    def __init__(self, size: int = 20, own: int = 8) -> None:
        self.limits = UserLimits(size, lambda: 0.5)
        self.now = 100.0
        self.own = own
        self.opening = 0

    def refused(self, own: int = 8, opening: int = 0) -> int:
        return self.limits.refused(APP, self.now, own, opening)

    def passes(self, seconds: float = 1.0) -> int:
        self.now += seconds
        found = self.limits.passed(self.now, lambda user: (self.own if user == APP else 0, self.opening))
        self.own = max(0, found[APP]) or self.own
        return found[APP]


def test_the_first_refusal_halves_and_what_there_was_comes_back_one_by_one() -> None:
    scene = Scene()
    assert not scene.limits and scene.limits.passed(1.0, lambda user: (0, 0)) == {}
    assert scene.refused() == 4 and scene.limits
    scene.own = 4
    assert [scene.passes(0.3), scene.passes(0.3)] == [4, 5]
    assert [scene.passes() for _ in range(4)] == [6, 7, 8, 8]


def test_nothing_is_concluded_while_others_are_under_way() -> None:
    scene = Scene()
    assert [scene.refused(1, 7), scene.refused(1, 6), scene.refused(5, 1)] == [8, 7, 6]
    assert scene.refused(5, 0) == 2
    scene.own = 2
    assert [scene.passes() for _ in range(4)] == [3, 4, 5, 5]


def test_what_came_about_last_counts() -> None:
    scene = Scene()
    assert scene.refused(1, 3) == 4
    scene.own, scene.opening = 2, 2
    assert scene.passes() == 4
    scene.own, scene.opening = 4, 0
    assert scene.passes() == 2
    scene.own = 6
    assert [scene.passes() for _ in range(4)] == [3, 4, 5, 6]


def test_now_and_then_one_more_is_tried_and_a_refusal_of_that_costs_nothing() -> None:
    scene = Scene()
    scene.refused()
    scene.own = 4
    for _ in range(59):
        assert scene.passes() <= 8
    assert scene.passes() == 9
    assert scene.refused(8) == 8
    scene.own = 8
    assert [scene.passes(), scene.passes(RAISES)] == [8, 9]
    # there are fewer now: others have come
    assert scene.refused(6) == 3


def test_who_does_not_use_what_it_may_have_is_not_given_more() -> None:
    scene = Scene()
    scene.refused()
    for _ in range(10):
        scene.passes()
    scene.own = 3
    assert [scene.limits.passed(scene.now + RAISES * n, lambda user: (3, 0))[APP] for n in (1, 2, 3)] == [
        8,
        8,
        8,
    ]


def test_each_refusal_that_halves_makes_the_pause_longer() -> None:
    scene = Scene()
    scene.refused(8)
    scene.now += 1.0
    scene.refused(4)
    scene.own = 2
    assert [scene.passes(0.9), scene.passes(0.2)] == [2, 3]


def test_one_there_is_in_any_case() -> None:
    scene = Scene(own=0)
    assert scene.refused(0) == NOTHING
    assert [scene.passes(0.4), scene.passes(0.2)] == [NOTHING, 1]
    # and again as soon
    assert scene.refused(0) == NOTHING
    assert [scene.passes(0.4), scene.passes(0.2)] == [NOTHING, 1]


def test_what_the_server_does_not_mind_is_forgotten() -> None:
    scene = Scene(size=20)
    scene.refused()
    scene.own = 4
    assert [scene.passes(RAISES) for _ in range(8)] == [5, 6, 7, 8, 9, 11, 15, 0]
    assert not scene.limits


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_costs_no_more_than_one_attempt(jump: float) -> None:
    scene = Scene()
    scene.refused()
    scene.own = 4
    assert scene.passes(jump) == 5
    assert [scene.passes() for _ in range(5)] == [6, 7, 8, 9, 9]
