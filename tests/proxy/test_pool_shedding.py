"""Whom to refuse when the queue itself is the delay."""

from __future__ import annotations

from typing import Any

from proxy.pool_members import Members
from proxy.pool_shedding import forget_late, late_tickets
from proxy.pool_states import NEVER, Ticket
from proxy.pool_waiters import Waiters


class Queueing:
    """Target half a second, interval one second."""

    def __init__(self) -> None:
        self.waiters = Waiters()
        self.members = Members(keeps_proven=False, tenant_of=str)

    def waits(self, since: float, key: str = "app", **attributes: Any) -> Ticket:
        ticket = Ticket(key)
        for name, value in attributes.items():
            setattr(ticket, name, value)
        self.waiters.enter(ticket, self.members.pool_of(key, since), since, NEVER)
        return ticket

    def refused(self, now: float) -> list[Ticket]:
        found = late_tickets(self.members, now, 0.5, 1.0)
        for ticket in found:
            self.waiters.leave(ticket)
        return found


def test_a_burst_is_borne() -> None:
    queueing = Queueing()
    ticket = queueing.waits(0.0)
    assert queueing.refused(0.4) == [] and queueing.refused(0.6) == []
    queueing.waits(1.3)
    queueing.waiters.leave(ticket)
    # the one who is first now has come just now
    assert queueing.refused(1.5) == []
    assert queueing.refused(1.9) == [] and queueing.refused(2.8) == []


def test_a_queue_that_stands_loses_its_batch_and_then_whoever_is_late() -> None:
    queueing = Queueing()
    batch, late = queueing.waits(0.0, is_batch=True), queueing.waits(0.1)
    young_batch = queueing.waits(1.3, is_batch=True)
    assert queueing.refused(0.5) == [] and queueing.refused(1.4) == []
    assert queueing.refused(1.5) == [batch]
    assert queueing.refused(1.8) == [young_batch]
    young = queueing.waits(2.3)
    assert queueing.refused(2.4) == []
    assert queueing.refused(2.5) == [late]
    # it still stands, though nobody has waited for long now
    assert queueing.refused(2.6) == []
    assert queueing.refused(2.8) == [young]
    assert queueing.refused(2.9) == []


def test_it_ends_when_those_who_wait_have_just_come() -> None:
    queueing = Queueing()
    queueing.waits(0.0)
    queueing.refused(0.5)
    assert len(queueing.refused(2.5)) == 1
    queueing.waits(2.5)
    assert queueing.refused(2.6) == []
    assert queueing.refused(3.1) == [], "a burst again"


def test_one_users_queue_is_not_anothers_and_logins_are_spared() -> None:
    queueing = Queueing()
    late, other = queueing.waits(0.0), queueing.waits(2.4, "other")
    fresh = Ticket("other")
    fresh.wants_fresh = True
    queueing.waiters.enter(fresh, queueing.waiters.fresh, 0.0, NEVER)
    queueing.refused(0.5)
    assert queueing.refused(3.0) == [late]
    assert queueing.refused(3.0) == [] and other.queue is not None


def test_after_a_pause_a_queue_has_stood_for_no_time() -> None:
    queueing = Queueing()
    late = queueing.waits(0.0)
    assert queueing.refused(0.5) == []
    forget_late(queueing.members)
    assert queueing.refused(3.0) == [] and queueing.refused(4.9) == []
    assert queueing.refused(5.0) == [late]
