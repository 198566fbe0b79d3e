"""The links between members and between tickets."""

from __future__ import annotations

from itertools import permutations

from proxy.pool_limits import NOTHING, Quota
from proxy.pool_states import MOST_LOOKS, KeyPool, Member, MemberList, Queue, Tenant, Ticket, serve


def test_members_can_leave_their_list_in_any_order() -> None:
    for order in permutations(range(3)):
        members, listed = [Member() for _ in range(3)], MemberList()
        for member in members:
            listed.append(member)
        left = list(members)
        for index in order:
            listed.remove(members[index])
            left.remove(members[index])
            assert listed.members() == left and listed.count == len(left)
            assert listed.oldest is (left[0] if left else None)
            assert listed.newest is (left[-1] if left else None)
        assert all(member.older is None and member.newer is None for member in members)


def test_tickets_can_leave_their_queue_in_any_order() -> None:
    for order in permutations(range(3)):
        tickets, queue = [Ticket() for _ in range(3)], Queue()
        for ticket in tickets:
            queue.append(ticket)
        left = list(tickets)
        for index in order:
            assert tickets[index].queue is queue
            queue.remove(tickets[index])
            left.remove(tickets[index])
            assert queue.tickets() == left and queue.count == len(left)
            assert queue.first is (left[0] if left else None) and len(queue.lines) == bool(left)
        assert all(ticket.queue is None and ticket.line is None for ticket in tickets)
        assert all(ticket.ahead is None and ticket.behind is None for ticket in tickets)


def test_members_can_leave_the_stack_in_any_order() -> None:
    for order in permutations(range(3)):
        members, pool = [Member() for _ in range(3)], KeyPool("app", 0.0)
        for member in members:
            pool.push(member)
        left = list(members)
        for index in order:
            pool.pull(members[index])
            left.remove(members[index])
            found, top = [], pool.top
            while top is not None:
                found.append(top)
                top = top.below
            assert found == left[::-1]
        assert all(member.above is None and member.below is None for member in members)


def test_the_newest_member_that_is_like_is_the_best_of_the_newest_few() -> None:
    pool, likeness = KeyPool("app", 0.0), object()
    assert pool.best(likeness) is None
    alike = [Member(), Member()]
    for member in alike:
        member.likeness = likeness
        pool.push(member)
    for _ in range(MOST_LOOKS - 1):
        pool.push(Member())
        assert pool.best(likeness) is alike[1]
    pool.push(Member())
    assert pool.best(likeness) is pool.top


def test_the_newest_member_is_the_best_when_none_is_like() -> None:
    pool = KeyPool("app", 0.0)
    for _ in range(2):
        pool.push(Member())
    assert pool.best(object()) is pool.top


def test_a_queue_is_short_when_more_wait_than_come() -> None:
    queue, member = Queue(), Member()
    assert not queue.is_short
    queue.append(Ticket())
    assert queue.is_short
    serve(member, queue)
    assert not queue.is_short


def test_a_member_serves_one_queue_at_a_time() -> None:
    one, other, member = Queue(), Queue(), Member()
    serve(member, one)
    serve(member, other)
    assert (one.coming, other.coming) == (0, 1)
    serve(member, None)
    assert (one.coming, other.coming) == (0, 0)


def test_a_pool_remembers_the_last_good_login_until_it_is_refused() -> None:
    pool = KeyPool("app", 0.0)
    pool.prove("payload", "credential")
    pool.disprove("another")
    assert pool.is_proven and pool.payload == "payload"
    pool.disprove("credential")
    assert not pool.is_proven and pool.payload is None


def test_members_and_tickets_say_in_what_state_they_are() -> None:
    ticket, queue = Ticket("app"), Queue()
    assert repr(Member()) == "<Member opening None>"
    assert repr(ticket) == "<Ticket done 'app'>"
    queue.append(ticket)
    assert repr(ticket) == "<Ticket waiting 'app'>"
    queue.remove(ticket)
    ticket.member = Member()
    assert repr(ticket) == "<Ticket leased 'app'>"


def test_a_member_that_must_not_be_used_again_is_of_age() -> None:
    member = Member()
    member.expire(5.0)
    assert (member.ages_at, member.expires_at) == (5.0, 5.0)
    member.ages_at = 1.0
    member.expire(6.0)
    assert (member.ages_at, member.expires_at) == (1.0, 6.0)


def test_what_a_user_has_is_what_is_not_free_of_all_his_keys() -> None:
    user = Tenant("app")
    first, second = KeyPool("a", 0.0, user), KeyPool("b", 0.0, user)
    first.size, first.counts = 6, [1, 2, 1, 1, 1]
    second.size, second.counts = 1, [0, 0, 0, 1, 0]
    assert first.used() == second.used() == user.used() == 4
    assert user.used_at(1) == 4
    second.counts = [0, 1, 0, 0, 0]
    assert user.used_at(1) == 4 and user.used_at(2) == user.used() == 3, "counted once in a turn"
    second.counts = [0, 0, 0, 1, 0]
    first.append(Ticket())
    assert (user.size(), user.waiting()) == (7, 1)
    waiting = Queue(user)
    serve(Member(), waiting)
    assert waiting.used() == 1 and waiting.tenant is user


# Lines


def queued(queue: Queue, order: int, *, is_batch: bool = False, quota: Quota | None = None) -> Ticket:
    ticket = Ticket()
    ticket.order, ticket.is_batch, ticket.quota = order, is_batch, quota
    queue.append(ticket)
    return ticket


def test_the_interactive_class_comes_first_but_for_every_tenth_turn() -> None:
    queue = Queue()
    batch = [queued(queue, order, is_batch=True) for order in range(3)]
    interactive = [queued(queue, order) for order in range(3, 40)]
    turns = []
    while queue.count > 20:
        ticket = queue.first
        assert ticket is not None
        queue.served(ticket)
        queue.remove(ticket)
        turns.append(ticket)
    assert turns[9] is batch[0] and turns[19] is batch[1]
    assert [ticket for ticket in turns if ticket not in batch] == interactive[:18]


def test_alone_the_batch_class_has_all_turns() -> None:
    queue = Queue()
    tickets = [queued(queue, order, is_batch=True) for order in range(3)]
    for ticket in tickets:
        assert queue.first is ticket
        queue.served(ticket)
        queue.remove(ticket)
    assert queue.first is None and not queue.is_short
    queue.served(queued(queue, 4))
    assert queue.passed == 0


def test_whose_quota_is_used_up_lets_others_pass() -> None:
    queue, quota = Queue(), Quota("shop", 2)
    limited = [queued(queue, order, quota=quota) for order in range(3)]
    free = queued(queue, 3)
    assert queue.tickets() == [*limited, free] == sorted(queue.tickets(), key=lambda ticket: ticket.order)
    assert queue.turns() == [*limited[:2], free]
    quota.leased = 2
    assert queue.first is free and queue.turns() == [free] and queue.is_short
    serve(Member(), queue)
    assert not queue.is_short
    queue.remove(free)
    assert queue.first is None
    quota.leased = 3
    assert queue.lines[0].room() == 0


def test_who_may_have_no_more_members_waits_for_one_of_his_own() -> None:
    user = Tenant("app", 2)
    pool = KeyPool("a", 0.0, user)
    pool.size, pool.counts = 2, [0, 1, 0, 1, 0]
    assert user.is_full() and not user.is_stuck()
    fresh = Queue()
    ticket = Ticket()
    fresh.append(ticket, user)
    assert fresh.first is ticket
    pool.counts = [0, 0, 0, 2, 0]
    assert user.is_stuck() and fresh.first is None and not fresh.is_short
    pool.size, pool.counts = 1, [0, 0, 0, 1, 0]
    assert not user.is_full() and not user.is_stuck()
    assert not Tenant("other").is_full() and not Tenant("other").is_stuck()


def test_what_comes_for_one_queue_uses_up_the_quota_of_another() -> None:
    one, other, quota = Queue(), Queue(), Quota("shop", 2)
    plain, mine = queued(one, 0), queued(one, 1, quota=quota)
    theirs = [queued(other, order, quota=quota) for order in (2, 3)]
    coming = [Member(), Member()]
    serve(coming[0], one)
    assert quota.promised == 0 and other.turns() == theirs, "it is for the first, perhaps"
    serve(coming[1], one)
    assert quota.promised == 1 and other.turns() == theirs[:1] and other.is_short
    assert one.turns() == [plain, mine] and not one.is_short
    serve(Member(), other)
    assert quota.promised == 2 and not other.is_short
    one.remove(plain)
    assert quota.promised == 2, "each has one coming, and one comes for nobody"
    one.remove(mine)
    assert quota.promised == 1 and other.is_short
    assert quota.has_room()
    quota.leased = 2
    assert not quota.has_room() and not other.is_short


def test_a_user_has_something_free() -> None:
    user = Tenant("app")
    pool = KeyPool("a", 0.0, user)
    assert not user.has_free()
    for state in (1, 2):
        pool.counts[state] = 1
        assert user.has_free()
        pool.counts[state] = 0


def test_who_has_more_than_he_may() -> None:
    user = Tenant("app", 2)
    pool = KeyPool("a", 0.0, user)
    for size, is_full, is_over in ((1, False, False), (2, True, False), (3, True, True)):
        pool.size, pool.counts = size, [1, 0, 0, size - 1, 0]
        assert (user.is_full(), user.is_over(), user.opened()) == (is_full, is_over, size - 1)


def test_of_what_a_user_has_too_many_those_go_that_are_being_captured() -> None:
    user = Tenant("app", 2)
    pool = KeyPool("a", 0.0, user)
    for resetting, is_to_shrink in ((0, True), (1, False), (2, False)):
        pool.size, pool.counts = 3, [0, 0, 3 - resetting, 0, resetting]
        assert user.is_to_shrink() == is_to_shrink
    pool.size = 2
    assert not user.is_to_shrink()


def test_a_user_is_barred_when_refusals_last_and_no_attempt_is_due() -> None:
    tenant = Tenant("app", NOTHING)
    assert not tenant.is_barred(100.0, 5.0)
    tenant.refusals.failed(100.0, "too many")
    assert [tenant.is_barred(now, 5.0) for now in (104.0, 106.0)] == [False, True]
    tenant.most = 1
    assert not tenant.is_barred(106.0, 5.0)
    # which is under way
    pool = KeyPool("app", 0.0, tenant)
    pool.size = 1
    assert tenant.is_barred(106.0, 5.0)
