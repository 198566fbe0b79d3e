"""Tickets in their queues, and their deadlines."""

from __future__ import annotations

import pytest

from proxy.pool_states import NEVER, KeyPool, Member, Queue, Tenant, Ticket, serve
from proxy.pool_waiters import Waiters, comes_first


def entered(waiters: Waiters, queue: Queue, deadline: float = NEVER, credential: object = None) -> Ticket:
    ticket = Ticket(queue.key if isinstance(queue, KeyPool) else "app", credential=credential)
    ticket.wants_fresh = queue is waiters.fresh
    waiters.enter(ticket, queue, 0.0, deadline)
    return ticket


def test_the_neediest_queue_is_the_short_one_with_the_oldest_waiter() -> None:
    waiters, app, other = Waiters(), KeyPool("app", 0.0), KeyPool("other", 0.0)
    assert waiters.neediest(0.0) is None
    entered(waiters, app)
    entered(waiters, other)
    entered(waiters, other)
    assert waiters.neediest(0.0) is app
    serve(Member(), app)
    assert waiters.neediest(0.0) is other
    serve(Member(), other)
    assert waiters.neediest(0.0) is other
    serve(Member(), other)
    assert waiters.neediest(0.0) is None


def test_the_user_who_has_least_comes_first() -> None:
    waiters, app, other = Waiters(), KeyPool("app", 0.0), KeyPool("other", 0.0)
    app.size = 1
    entered(waiters, app)
    entered(waiters, other)
    entered(waiters, waiters.fresh)
    assert waiters.neediest(0.0) is other
    serve(Member(), other)
    assert waiters.neediest(0.0) is waiters.fresh
    serve(Member(), waiters.fresh)
    assert waiters.neediest(0.0) is app


def test_the_oldest_waiter_is_found_over_all_queues() -> None:
    waiters, app, other = Waiters(), KeyPool("app", 0.0), KeyPool("other", 0.0)
    assert waiters.oldest() is None
    first, second = entered(waiters, app), entered(waiters, other)
    third = entered(waiters, app)
    assert waiters.oldest() is first
    assert waiters.all() == [first, third, second]
    waiters.leave(first)
    assert waiters.oldest() is second


def test_who_waits_is_new_once() -> None:
    waiters, app = Waiters(), KeyPool("app", 0.0)
    first, second, early = entered(waiters, app), entered(waiters, app), entered(waiters, app, 5.0)
    waiters.leave(first)
    assert set(waiters.newcomers()) == {second, early}
    assert waiters.newcomers() == []
    third = entered(waiters, waiters.fresh)
    assert waiters.newcomers() == [third]


def test_the_uncovered_waiter_comes_after_those_for_whom_a_member_is_on_its_way() -> None:
    waiters, app = Waiters(), KeyPool("app", 0.0)
    first, second = entered(waiters, app), entered(waiters, app)
    assert waiters.uncovered(app) is first
    serve(Member(), app)
    assert waiters.uncovered(app) is second


def test_of_those_who_want_a_fresh_member_it_is_the_first_without_an_opening() -> None:
    waiters = Waiters()
    first, second = entered(waiters, waiters.fresh), entered(waiters, waiters.fresh)
    assert waiters.uncovered(waiters.fresh) is first
    first.opening = Member()
    assert waiters.uncovered(waiters.fresh) is second


def test_the_opening_of_a_fresh_ticket_that_leaves_is_its_keys() -> None:
    waiters, app, member = Waiters(), KeyPool("app", 0.0), Member()
    member.pool = app
    ticket = entered(waiters, waiters.fresh)
    serve(member, waiters.fresh)
    ticket.opening, member.ticket = member, ticket
    waiters.leave(ticket)
    assert (waiters.fresh.coming, app.coming) == (0, 1)
    assert ticket.opening is None and member.ticket is None


def test_a_credential_is_compared_by_identity_and_within_its_key() -> None:
    waiters, app, other = Waiters(), KeyPool("app", 0.0), KeyPool("other", 0.0)
    wrong, equal = ["secret"], ["secret"]
    mine = entered(waiters, app, credential=wrong)
    fresh = entered(waiters, waiters.fresh, credential=wrong)
    entered(waiters, app, credential=equal)
    entered(waiters, other, credential=wrong)
    assert waiters.with_credential(app, wrong) == [mine, fresh]
    assert waiters.with_credential(KeyPool("third", 0.0), wrong) == []


def test_a_ticket_that_does_not_wait_cannot_leave() -> None:
    with pytest.raises(AssertionError, match="a ticket that waits"):
        Waiters().leave(Ticket())


def test_between_users_a_batch_counts_for_nine() -> None:
    waiters, app, batch = Waiters(), KeyPool("app", 0.0), KeyPool("batch", 0.0)
    waiting = Ticket("batch")
    waiting.is_batch = True
    waiters.enter(waiting, batch, 0.0, NEVER)
    entered(waiters, app)
    app.size, batch.size = 8, 1
    assert waiters.neediest(0.0) is app
    app.size = 10
    assert waiters.neediest(0.0) is batch


def test_without_anything_the_batch_waits_nine_times_as_long() -> None:
    old, young, batch = Ticket(), Ticket(), Ticket()
    old.order, young.order, batch.order, batch.is_batch = 1, 3, 2, True
    old.enqueued_at, young.enqueued_at, batch.enqueued_at = 0.0, 10.0, 1.0
    assert comes_first(old, young, 10.0) and not comes_first(young, old, 10.0)
    assert comes_first(old, young, 10.0, 9.0) and not comes_first(old, young, 10.0, 10.0)
    assert comes_first(old, batch, 10.0) and not comes_first(batch, old, 10.0)
    assert comes_first(batch, young, 10.5) and not comes_first(batch, young, 12.0)
    assert not comes_first(batch, young, 10.5, 1.0)


def test_who_may_have_no_more_is_passed_over() -> None:
    waiters, user = Waiters(), Tenant("app", 1)
    app, other = KeyPool("app", 0.0, user), KeyPool("other", 0.0)
    app.size, app.counts = 1, [0, 0, 0, 1, 0]
    entered(waiters, app)
    entered(waiters, other)
    assert waiters.neediest(0.0) is other
    fresh = Ticket("app")
    waiters.enter(fresh, waiters.fresh, 0.0, NEVER, user)
    last = entered(waiters, waiters.fresh)
    assert waiters.uncovered(waiters.fresh) is last


def test_the_uncovered_waiter_of_several_lines() -> None:
    waiters, app = Waiters(), KeyPool("app", 0.0)
    batch = Ticket("app")
    batch.is_batch = True
    waiters.enter(batch, app, 0.0, NEVER)
    first = entered(waiters, app)
    assert waiters.uncovered(app) is first
    serve(Member(), app)
    assert waiters.uncovered(app) is batch
    assert waiters.oldest() is batch and waiters.all() == [batch, first]
