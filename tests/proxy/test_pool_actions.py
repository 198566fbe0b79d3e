"""Actions and snapshots in words: what logs and failing tests show."""

from __future__ import annotations

import pytest

from proxy.pool_actions import (
    OF_USER,
    RESET,
    AcquireTimeout,
    Action,
    Limit,
    OpenFailed,
    PoolClosed,
    PoolDraining,
    PoolMoved,
    PoolSnapshot,
    Shed,
    capture_member,
    close_member,
    open_member,
    wake_ticket,
)
from proxy.pool_states import Member, Ticket
from proxy.reasons import CloseReason


def member() -> Member:
    made = Member()
    made.key = "app"
    made.claim = "session"
    return made


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (open_member(member(), "payload"), "<open <Member opening 'app'>>"),
        (Action(RESET, member()), "<reset <Member opening 'app'>>"),
        (capture_member(member()), "<capture <Member opening 'app'>>"),
        (close_member(member(), CloseReason.MAX_AGE), "<close <Member opening 'app'> max-age>"),
    ],
)
def test_an_action_shows_what_it_is_about(action: Action, words: str) -> None:
    assert repr(action) == words


def test_a_wake_shows_its_ticket() -> None:
    assert repr(wake_ticket(Ticket("app"))) == "<wake <Ticket done 'app'>>"


def test_an_action_carries_what_the_shell_needs() -> None:
    assert open_member(member(), "payload").payload == "payload"
    assert capture_member(member()).claim == "session"
    assert close_member(member(), CloseReason.LOST).reason is CloseReason.LOST


def test_a_snapshot_says_how_many_are_where() -> None:
    snapshot = PoolSnapshot("open", 9, 1, 2, 3, 4, 5, 6, "no route")
    assert repr(snapshot) == "open, bound 9: 1 opening, 2 idle, 3 parked, 4 leased, 5 resetting, 6 waiting"
    assert AcquireTimeout(5.0, snapshot).cause == "no route"
    limit = Limit(OF_USER, "app", 3)
    assert AcquireTimeout(5.0, snapshot, limit).limit is limit
    assert (limit.kind, limit.name, limit.most, limit.configured) == (OF_USER, "app", 3, 3)
    assert Limit(OF_USER, "app", 3, 8).configured == 8


def test_the_other_errors_say_no_more_than_their_name() -> None:
    assert OpenFailed("no route").error == "no route"
    assert not isinstance(PoolDraining(), PoolClosed)
    assert not PoolMoved().goes_on and PoolMoved(True).goes_on


def test_who_was_shed_knows_why() -> None:
    shed = Shed(0.6, True)
    assert (shed.waited, shed.is_batch) == (0.6, True)


def test_nothing_is_held_back_while_something_is_under_way() -> None:
    def is_held_back(opening: int = 0, leased: int = 0, resetting: int = 0) -> bool:
        return PoolSnapshot("open", 2, opening, 0, 0, leased, resetting, 1, None).is_held_back()

    assert is_held_back() and is_held_back(leased=1)
    assert not (is_held_back(opening=1) or is_held_back(resetting=1) or is_held_back(leased=2))
