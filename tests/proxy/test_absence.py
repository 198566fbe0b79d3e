"""For how long a server has been dead."""

from __future__ import annotations

import pytest

from proxy.absence import Absence
from proxy.topology_actions import DEAD, Cause

DYING = (Cause.REFUSED, Cause.LOST)


def test_who_is_dead_for_long_enough_is_told_once() -> None:
    absence = Absence()
    assert [absence.is_over(Cause.LOST, now, 2.0) for now in (5.0, 6.0, 7.0, 8.0)] == [
        False,
        False,
        True,
        False,
    ]
    absence.ends()
    assert [absence.is_over(Cause.REFUSED, now, 2.0) for now in (9.0, 11.0)] == [False, True]


@pytest.mark.parametrize("cause", sorted(set(Cause) - DEAD, key=str))
def test_any_sign_of_life_begins_it_anew(cause: Cause) -> None:
    absence = Absence()
    assert not absence.is_over(DYING[0], 5.0, 2.0)
    assert not absence.is_over(cause, 9.0, 2.0)
    assert not absence.is_over(DYING[1], 10.0, 2.0)
    assert absence.is_over(DYING[0], 12.0, 2.0)
