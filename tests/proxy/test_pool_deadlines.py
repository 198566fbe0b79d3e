"""Until when tickets wait."""

from __future__ import annotations

from itertools import count

import pytest

from proxy.pool_deadlines import Deadlines
from proxy.pool_states import NEVER, Ticket

ORDER = count(1)


def expected(deadlines: Deadlines, *times: float) -> list[Ticket]:
    """Tickets that wait until then."""
    tickets: list[Ticket] = []
    for time in times:
        ticket = Ticket("app")
        ticket.order = next(ORDER)
        deadlines.expect(ticket, time)
        tickets.append(ticket)
    return tickets


@pytest.mark.parametrize(
    "times",
    [(1.0, 2.0, 3.0), (3.0, 2.0, 1.0), (2.0, 1.0, 3.0), (2.0, 3.0, 1.0), (1.0, 3.0, 2.0), (3.0, 1.0, 2.0)],
)
def test_they_expire_in_the_order_of_their_deadlines(times: tuple[float, ...]) -> None:
    deadlines = Deadlines()
    tickets = dict(zip(times, expected(deadlines, *times), strict=True))
    for time in (1.0, 2.0, 3.0):
        assert deadlines.next() == time
        assert deadlines.expired(time - 0.1) is None
        assert deadlines.expired(9.0) is tickets[time]
        deadlines.forget(tickets[time])
    assert deadlines.next() == NEVER and deadlines.expired(9.0) is None


@pytest.mark.parametrize("leaves", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_any_of_them_may_leave(leaves: tuple[int, ...]) -> None:
    deadlines = Deadlines()
    tickets = dict(enumerate(expected(deadlines, 1.0, 1.0, 2.0)))
    for leaver in leaves:
        deadlines.forget(tickets.pop(leaver))
        assert deadlines.next() == min((ticket.until for ticket in tickets.values()), default=NEVER)


def test_one_may_be_moved_forward() -> None:
    deadlines = Deadlines()
    first, second, third = expected(deadlines, 5.0, 6.0, 7.0)
    deadlines.hasten(second, 1.0)
    deadlines.hasten(second, 9.0)
    assert (deadlines.next(), deadlines.expired(1.0)) == (1.0, second)
    deadlines.hasten(second, 0.5)
    assert deadlines.next() == 0.5
    deadlines.forget(second)
    assert deadlines.expired(9.0) is first
    deadlines.forget(first)
    assert deadlines.expired(9.0) is third


def test_one_that_waits_again_has_its_new_deadline_only() -> None:
    deadlines = Deadlines()
    expected(deadlines, 9.0)
    (ticket,) = expected(deadlines, 2.0)
    deadlines.forget(ticket)
    ticket.order = next(ORDER)
    deadlines.expect(ticket, 2.5)
    assert deadlines.next() == 2.5


def test_one_that_waits_elsewhere_now_has_none_here() -> None:
    """With the same number, because both count their arrivals from 1, and the same deadline."""
    left, found = Deadlines(), Deadlines()
    stays, ticket = expected(left, 9.0, 2.0)
    left.forget(ticket)
    found.expect(ticket, 2.0)
    assert (left.next(), left.expired(9.0)) == (9.0, stays)
    assert found.expired(9.0) is ticket


def test_those_of_tickets_that_left_do_not_pile_up() -> None:
    deadlines = Deadlines()
    expected(deadlines, 10.0)
    for _ in range(1000):
        (ticket,) = expected(deadlines, 9.0)
        deadlines.forget(ticket)
    assert len(deadlines._heap) <= 2 + 64
    assert deadlines.next() == 10.0


def test_neither_do_those_of_one_who_loses_patience_again_and_again() -> None:
    deadlines = Deadlines()
    tickets = expected(deadlines, *[5000.0] * 100)
    for number in range(1000):
        for ticket in tickets:
            deadlines.hasten(ticket, 4000.0 - number)
            deadlines.hasten(ticket, 4500.0)
    assert len(deadlines._heap) <= 2 * 100 + 64
    assert deadlines.next() == 3001.0
    deadlines.hasten(tickets[7], 1.0)
    assert deadlines.expired(2.0) is tickets[7]


def test_who_has_come_since() -> None:
    deadlines = Deadlines()
    first, second, early, third = expected(deadlines, 5.0, 6.0, 4.0, 7.0)
    assert set(deadlines.entered_after(first.order)) == {second, early, third}
    assert set(deadlines.entered_after(early.order)) == {third}
    deadlines.hasten(third, 1.0)
    deadlines.forget(second)
    assert set(deadlines.entered_after(0)) == {first, early, third}
    deadlines.forget(third)
    assert deadlines.entered_after(early.order) == []
