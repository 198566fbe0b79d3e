"""Who gets which member, and what is opened, captured or closed for whom."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

import pytest

from protocol.speed import COMPILED
from proxy.pool_limits import NOTHING, Quota
from proxy.pool_states import MOST_LOOKS, NEVER
from tests.fakes.pool import Play


@pytest.mark.parametrize("wrong", [{"max_size": 0}, {"max_opening": 0}])
def test_a_pool_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Play(**wrong)


# 1. Idle members and waiters of one key


def test_waiters_are_served_in_the_order_of_arrival() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    for name in ("bob", "carol", "dave"):
        play.acquire(name)
    assert play.release("m1") == ["bob gets m1"]
    assert play.release("m1") == ["carol gets m1"]
    assert play.release("m1") == ["dave gets m1"]


def test_the_member_that_became_idle_last_is_leased_first() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob", "carol")
    for member in ("m2", "m3", "m1"):
        play.release(member)
    play.acquire("dave")
    play.acquire("erin")
    assert (play.lease_of("dave"), play.lease_of("erin")) == ("m1", "m3")


def test_a_newcomer_does_not_overtake() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    assert play.release("m1") == ["bob gets m1"]
    assert play.acquire("carol") == []
    assert play.lease_of("carol") is None


# 2. Members for queues that are short


def test_one_member_is_opened_for_each_waiter_but_no_more() -> None:
    play = Play(max_size=5)
    assert play.acquire("alice") == ["open m1 with payload of alice"]
    assert play.acquire("bob") == ["open m2 with payload of bob"]
    play.cancel("alice")
    assert play.acquire("carol") == []
    assert play.opened("m1") == ["bob gets m1"]
    assert play.opened("m2") == ["carol gets m2"]


def test_the_bound_holds_whatever_the_key() -> None:
    play = Play(max_size=2)
    assert play.acquire("alice", "app") == ["open m1 with payload of alice"]
    assert play.acquire("bob", "other") == ["open m2 with payload of bob"]
    assert play.acquire("carol", "third") == []


def test_so_many_are_opened_at_a_time() -> None:
    play = Play(max_size=5, max_opening=2)
    play.acquire("alice")
    play.acquire("bob")
    assert play.acquire("carol") == []
    assert play.opened("m1") == ["alice gets m1", "open m3 with payload of carol"]


def test_while_openings_fail_there_is_one_at_a_time() -> None:
    play = Play(max_size=5)
    for name in ("alice", "bob", "carol"):
        play.acquire(name)
    for member in ("m1", "m2", "m3"):
        assert play.open_failed(member) == []
    assert play.tick(1.0) == ["open m4 with payload of alice"]
    assert play.opened("m4") == [
        "alice gets m4",
        "open m5 with payload of bob",
        "open m6 with payload of carol",
    ]


def test_each_is_opened_with_the_payload_of_a_waiter_for_whom_none_is_coming() -> None:
    play = Play(max_size=3, max_opening=3)
    play.acquire("alice", credential="a")
    play.acquire("bob", credential="b")
    assert [play.members[name].credential for name in ("m1", "m2")] == ["a", "b"]


def test_at_the_bound_the_members_own_key_is_captured_rather_than_another_closed() -> None:
    play = Play(max_size=2)
    play.leased("alice", key="app")
    play.leased("bob", key="other")
    play.release("m2")
    play.release("m1", parked_by="session")
    assert play.acquire("carol", "app") == ["capture m1 of session"]
    assert play.captured("m1") == ["carol gets m1"]
    assert play.states() == {"m1": "leased", "m2": "idle"}


def test_below_the_bound_residue_is_left_alone() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.acquire("bob") == ["open m2 with payload of bob"]
    assert play.states() == {"m1": "parked", "m2": "opening"}


def test_at_the_bound_the_longest_idle_of_another_key_makes_room() -> None:
    play = Play(max_size=3)
    play.leased("a", key="app")
    play.leased("b", key="other")
    play.leased("c", key="app")
    for member in ("m3", "m2", "m1"):
        play.release(member)
    assert play.acquire("dave", "third") == ["close m3: evicted", "open m4 for m3 with payload of dave"]


def test_with_nothing_idle_the_longest_parked_is_captured_to_make_room() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    play.release("m2", parked_by="bob")
    play.release("m1", parked_by="alice")
    assert play.acquire("carol", "other") == ["capture m2 of bob"]
    assert play.captured("m2") == ["close m2: evicted", "open m3 for m2 with payload of carol"]
    assert play.states() == {"m1": "parked", "m3": "opening"}


def test_the_oldest_of_ones_own_key_is_captured() -> None:
    play = Play(max_size=3)
    play.leased("alice", key="other")
    play.leased("bob", "carol", key="app")
    for member in ("m1", "m2", "m3"):
        play.release(member, parked_by="session")
    assert play.acquire("dave", "app") == ["capture m2 of session"]
    assert play.acquire("erin", "app") == ["capture m3 of session"]
    assert play.acquire("frank", "app") == ["capture m1 of session"]


def test_a_member_parked_at_the_bound_is_captured_for_a_waiter_of_another_key() -> None:
    play = Play(max_size=1)
    play.leased("alice", key="app")
    play.acquire("bob", "other")
    assert play.release("m1", parked_by="session") == ["capture m1 of session"]
    assert play.captured("m1") == ["close m1: evicted", "open m2 for m1 with payload of bob"]


def test_a_member_is_captured_for_each_waiter_but_no_more() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    play.acquire("carol")
    assert play.release("m1", parked_by="alice") == ["capture m1 of alice"]
    assert play.release("m2", parked_by="bob") == []
    assert play.states() == {"m1": "resetting", "m2": "parked"}


def test_with_nothing_to_be_had_one_waits() -> None:
    play = Play(max_size=1)
    play.leased("alice", key="app")
    assert play.acquire("bob", "other") == []
    assert play.release("m1") == ["close m1: evicted", "open m2 for m1 with payload of bob"]


# Likeness: what state a member is in


def test_of_the_idle_members_the_newest_of_the_right_likeness_is_leased() -> None:
    play = Play(max_size=4)
    play.leased("alice", "bob", "carol", "dave")
    for member, likeness in (("m1", "on"), ("m2", "on"), ("m3", "off"), ("m4", "off")):
        play.release(member, likeness=likeness)
    play.acquire("alice", likeness="on")
    play.acquire("bob", likeness="off")
    play.acquire("carol", likeness="off")
    assert [play.lease_of(name) for name in ("alice", "bob", "carol")] == ["m2", "m4", "m3"]


def test_without_one_of_the_right_likeness_the_newest_idle_member_is_leased() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    play.release("m1", likeness="on")
    play.release("m2", likeness="on")
    play.acquire("carol", likeness="off")
    assert play.lease_of("carol") == "m2"


def test_only_the_newest_few_idle_members_are_looked_at() -> None:
    play = Play(max_size=MOST_LOOKS + 1)
    names = [f"client {number}" for number in range(MOST_LOOKS + 1)]
    play.leased(*names)
    play.release("m1", likeness="on")
    for number in range(2, MOST_LOOKS + 2):
        play.release(f"m{number}", likeness="off")
    play.acquire("alice", likeness="on")
    play.acquire("bob", likeness="on")
    assert (play.lease_of("alice"), play.lease_of("bob")) == (f"m{MOST_LOOKS + 1}", "m1")


def test_of_those_parked_longest_one_of_the_right_likeness_is_captured() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob", "carol")
    for member, likeness in (("m1", "off"), ("m2", "on"), ("m3", "on")):
        play.release(member, parked_by="session", likeness=likeness)
    assert play.acquire("dave", likeness="on") == ["capture m2 of session"]
    assert play.acquire("erin", likeness="none") == ["capture m1 of session"]


def test_only_the_few_parked_longest_are_looked_at() -> None:
    play = Play(max_size=MOST_LOOKS + 1)
    play.leased(*[f"client {number}" for number in range(MOST_LOOKS + 1)])
    for number in range(1, MOST_LOOKS + 2):
        is_last = number == MOST_LOOKS + 1
        play.release(f"m{number}", parked_by="session", likeness="on" if is_last else "off")
    assert play.acquire("alice", likeness="on") == ["capture m1 of session"]
    assert play.acquire("bob", likeness="on") == [f"capture m{MOST_LOOKS + 1} of session"]


# 3. What may not be opened can be captured


def test_in_a_back_off_the_members_with_residue_are_used() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob")
    play.acquire("carol")
    play.open_failed("m3", "no route")
    assert play.release("m1", parked_by="alice") == ["capture m1 of alice"]
    assert play.release("m2", parked_by="bob") == []
    assert play.acquire("dave") == ["capture m2 of bob"]
    assert play.captured("m1") == ["carol gets m1"]


def test_in_a_back_off_nothing_is_closed_for_another_key() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    play.acquire("bob", "other")
    play.open_failed("m2", "no route")
    assert play.release("m1", parked_by="session") == []
    assert play.tick(0.02) == []
    assert play.states() == {"m1": "parked"}


# Between keys


def test_who_waits_with_another_key_is_served_in_time() -> None:
    play = Play(max_size=1, switch_delay=0.02)
    play.leased("alice", key="app")
    play.acquire("other", "other")
    play.now = 0.02
    play.acquire("bob", "app")
    play.now = 0.021
    play.acquire("carol", "app")
    assert play.release("m1") == ["bob gets m1"], "not so much older that a connection is closed for it"
    assert play.release("m1") == ["close m1: evicted", "open m2 for m1 with payload of other"]


def test_a_switch_serves_the_one_that_waits_for_longest() -> None:
    play = Play(max_size=1, switch_delay=0.0)
    play.leased("alice", key="app")
    play.acquire("second", "second")
    play.now = 1.0
    play.acquire("third", "third")
    play.now = 2.0
    play.acquire("bob", "app")
    assert play.release("m1") == ["close m1: evicted", "open m2 for m1 with payload of second"]
    assert play.opened("m2") == ["second gets m2"]
    assert play.release("m2") == ["close m2: evicted", "open m3 for m2 with payload of third"]


def test_a_switch_needs_a_queue_that_is_short() -> None:
    play = Play(max_size=2, switch_delay=0.0)
    play.leased("alice", key="app")
    play.acquire("other", "other")
    play.now = 1.0
    play.acquire("bob", "app")
    assert play.release("m1") == ["bob gets m1"]


def test_small_queues_do_not_starve_beside_a_big_one() -> None:
    play = Play(max_size=4, switch_delay=0.02)
    play.leased("m1", "m2", "m3", "m4", key="big")
    for number in range(40):
        play.acquire(f"big {number}", "big")
    play.now = 0.001
    play.acquire("small", "small")
    waited = next(turn for turn in range(200) if turn_of_the_big_queue(play, turn))
    assert waited <= 40 + 0.02 / 0.001 + 4, "those before it, the switch delay, and the leases of the moment"


def turn_of_the_big_queue(play: Play, turn: int) -> bool:
    """A millisecond passes, a lease of the big queue ends, and one more joins it. Whether `small` is being served."""
    play.now += 0.001
    leased = [name for name, state in play.states().items() if state == "leased"]
    said = play.release(leased[0])
    play.acquire(f"late {turn}", "big")
    return any("payload of small" in line for line in said)


# Between users


def test_a_member_goes_to_the_user_who_has_less() -> None:
    play = Play(max_size=3, tenant_of=str)
    play.leased("a", "b", "c", key="big")
    play.acquire("d", "big")
    play.acquire("small", "small")
    assert play.release("m1") == ["close m1: evicted", "open m4 for m1 with payload of small"]
    play.acquire("small 2", "small")
    # two and one: with another the small one would have more
    assert play.release("m2") == ["d gets m2"]
    play.acquire("e", "big")
    assert play.release("m3") == ["e gets m3"]


def test_of_users_with_nothing_the_one_who_waits_for_longer_is_served() -> None:
    play = Play(max_size=1, tenant_of=str)
    play.leased("a", key="one")
    play.acquire("b", "one")
    play.acquire("c", "other")
    assert play.release("m1") == ["b gets m1"]
    play.now = 0.03
    play.acquire("a", "one")
    assert play.release("m1") == ["close m1: evicted", "open m2 for m1 with payload of c"]


def test_what_another_user_has_just_let_go_stays_his_for_a_moment() -> None:
    play = Play(max_size=3, tenant_of=str)
    play.leased("a", "b", key="big")
    play.leased("small", key="small")
    assert play.release("m3") == []
    assert play.acquire("c", "big") == []
    assert play.core.next_deadline(0.0) == 0.3
    play.acquire("small", "small")
    assert play.lease_of("small") == "m3" and play.release("m3") == []
    assert play.tick(0.29) == []
    assert play.tick(0.3) == ["close m3: evicted", "open m4 for m3 with payload of c"]


def test_what_is_more_than_his_part_goes_at_once() -> None:
    play = Play(max_size=5, tenant_of=str)
    play.leased("a", "b", "c", "d", key="big")
    play.leased("small", key="small")
    play.acquire("small 2", "small"), play.acquire("small 3", "small")
    assert play.release("m1") == ["close m1: evicted", "open m6 for m1 with payload of small 2"]
    play.opened("m6")
    assert play.release("m2") == [], "each has two that he uses, and the fifth stays where it is"


@pytest.mark.parametrize(("is_batch", "left"), [(False, 6), (True, 2)])
def test_his_part_is_by_the_class_of_those_who_waited_last(is_batch: bool, left: int) -> None:
    play = Play(max_size=11, tenant_of=str)
    for number in range(1, 11):
        play.acquire(f"big {number}", "big", batch=is_batch)
        play.opened(f"m{number}")
    play.leased("small 0", key="small")
    for number in range(1, 10):
        play.acquire(f"small {number}", "small")
    for number in range(1, 11):
        opened = any(word.startswith("open") for word in play.release(f"m{number}"))
        play.acquire(f"big {number}", "big", batch=is_batch)
        if opened:
            play.opened(f"m{len(play.members)}")
    assert len(leased(play, "big")) == left


def test_what_one_user_cannot_have_does_not_hold_up_another_who_can() -> None:
    play = Play(max_size=3, tenant_of=lambda key: key[:1])
    play.leased("b", key="b")
    play.leased("one", "two", key="a1")
    assert play.acquire("late b", "b") == []
    assert play.release("m2") == [], "a keeps it for a moment: each uses one"
    assert play.acquire("three", "a2") == ["close m2: evicted", "open m4 for m2 with payload of three"]


def test_so_does_what_he_has_parked() -> None:
    play = Play(max_size=2, tenant_of=str)
    play.leased("a", key="big")
    play.leased("small", key="small")
    play.release("m2", parked_by="small")
    assert play.acquire("b", "big") == []
    assert play.tick(0.3) == ["capture m2 of small"]


def test_who_has_nothing_gets_what_there_is_at_once() -> None:
    play = Play(max_size=2, tenant_of=str)
    play.leased("a", "b", key="big")
    play.release("m2")
    assert play.acquire("small", "small") == ["close m2: evicted", "open m3 for m2 with payload of small"]


# Classes


def test_batch_gives_way_to_those_who_came_later() -> None:
    play = Play(max_size=1)
    play.leased("a")
    play.acquire("batch", batch=True)
    play.acquire("interactive")
    assert play.release("m1") == ["interactive gets m1"]
    assert play.release("m1") == ["batch gets m1"]


def test_a_batch_of_another_user_has_one_member_in_ten() -> None:
    play = Play(max_size=20, tenant_of=str, switch_delay=0.0, connects_per_second=0.0, max_opening=20)
    play.leased(*[f"b{number}" for number in range(20)], key="batch")
    for number in range(40):
        play.acquire(f"late b{number}", "batch", batch=True)
        play.acquire(f"i{number}", "app")
    while replaced := [line for name in leased(play, "batch") for line in play.release(name)]:
        opened = [line.split()[1] for line in replaced if line.startswith("open")]
        for member in opened:
            play.opened(member)
        if not opened:
            break
    assert (len(leased(play, "app")), len(leased(play, "batch"))) == (18, 2)


def leased(play: Play, key: str) -> list[str]:
    """Members of a key that are leased."""
    return [
        name for name, state in play.states().items() if state == "leased" and play.members[name].key == key
    ]


# Limits


def test_who_is_over_his_limit_has_captured_what_is_parked_and_no_more_than_that() -> None:
    play = Play(max_size=5, tenant_of=str)
    play.leased("other", key="b")
    play.leased("one", "two", "three", key="a")
    for member in ("m1", "m2", "m3"):
        play.release(member, parked_by=f"session of {member}")
    assert play.limit("a", 2) == ["capture m2 of session of m2"]
    assert play.limit("a", NOTHING) == ["capture m3 of session of m3"]
    assert play.captured("m2") == ["close m2: over-bound"]
    # what is parked later, too
    assert play.release("m4", parked_by="session of m4") == ["capture m4 of session of m4"]
    assert play.captured("m3") == ["close m3: over-bound"]
    assert play.states() == {"m1": "parked", "m4": "resetting"}


def test_a_quota_is_for_leases_whatever_their_keys() -> None:
    play, quota = Play(max_size=4), Quota("shop", 1)
    assert play.acquire("a", "app", quota=quota) == ["open m1 with payload of a"]
    play.opened("m1")
    assert play.acquire("b", "other", quota=quota) == [] and play.acquire("c", "app", quota=quota) == []
    # others are not held up
    assert play.acquire("d", "app") == ["open m2 with payload of d"]
    play.opened("m2")
    play.release("m2")
    assert play.states() == {"m1": "leased", "m2": "idle"} and play.waiting() == 2
    # one of those who wait may go on, whichever key comes first
    assert play.release("m1") == ["c gets m1"]
    assert quota.leased == 1
    assert play.discard("m1") == ["close m1: dirty", "open m3 with payload of b"]
    # it may be another's turn when it comes
    play.acquire("a", "app", quota=quota)
    assert play.lease_of("a") == "m2"
    assert play.opened("m3") == [] and play.waiting() == 1
    assert play.release("m2") == ["b gets m3"]
    play.release("m3")
    assert quota.leased == 0


def test_residue_is_taken_back_whatever_the_quota_says() -> None:
    play, quota = Play(), Quota("shop", 1)
    play.acquire("a", quota=quota)
    play.opened("m1")
    play.release("m1", parked_by="a")
    play.acquire("b", quota=quota)
    play.opened("m2")
    assert play.claim("a", "m1", "a") and quota.leased == 2
    # nothing is captured for somebody who may not have it
    play.acquire("c", quota=quota)
    assert play.release("m1", parked_by="a") == []


def limited(max_size: int, **options: int) -> Play:
    """Users a and b, of whom a may have two members, and has."""
    play = Play(max_size=max_size, tenant_of=lambda key: key[:1], tenant_limits={"a": 2}, **options)
    play.leased("one", "two", key="a1")
    return play


def test_a_user_has_no_more_members_than_allowed_but_others_have() -> None:
    play = limited(4)
    assert play.acquire("three", "a2") == [] and play.acquire("four", "a1") == []
    assert play.acquire("fresh", "a1", fresh=True) == []
    assert play.acquire("other", "b") == ["open m3 with payload of other"]
    assert play.acquire("fresh other", "b", fresh=True) == ["open m4 with payload of fresh other"]
    assert play.core.size == 4


def test_at_his_limit_one_of_his_own_makes_room_for_another_key() -> None:
    play = limited(4)
    play.acquire("three", "a2")
    play.acquire("four", "a1")
    assert play.release("m1") == ["four gets m1"]
    play.now = 1.0
    play.acquire("five", "a1")
    assert play.release("m1") == ["close m1: evicted", "open m3 for m1 with payload of three"]
    assert play.opened("m3") == ["three gets m3"]
    assert play.release("m3", parked_by="three") == ["capture m3 of three"]
    assert play.captured("m3") == ["close m3: evicted", "open m4 for m3 with payload of five"]


def test_who_may_have_fewer_than_he_has_gives_up_what_is_free_and_the_rest_when_it_is() -> None:
    play = limited(4)
    play.leased("other", key="b")
    play.release("m3"), play.release("m1")
    assert play.limit("b", 1) == [] and play.limit("a", 1) == ["close m1: over-bound"]
    play.acquire("five", "a1")
    assert play.release("m2") == ["five gets m2"]
    assert (
        play.limit("a", 0) == []
        and play.core.counts_of("a") == (1, 0)
        and play.core.counts_of("nobody") == (0, 0)
    )


def test_at_his_limit_his_own_logins_are_served_in_time() -> None:
    play = limited(4)
    play.acquire("fresh", "a1", fresh=True)
    play.now = 1.0
    play.acquire("three", "a1")
    assert play.release("m1") == ["close m1: evicted", "open m3 for m1 with payload of fresh"]


def test_at_his_limit_nothing_of_his_is_closed_for_others_while_there_is_room() -> None:
    play = limited(4, connects_per_second=2)
    play.acquire("other", "b")
    play.acquire("three", "a1")
    play.now = 0.5
    assert play.release("m1") == ["three gets m1", "open m3 with payload of other"]


def test_at_his_limit_nothing_of_others_makes_room_for_him() -> None:
    play = limited(3)
    play.leased("other", key="b")
    play.release("m3")
    play.acquire("three", "a2")
    play.now = 1.0
    assert play.release("m1") == ["close m1: evicted", "open m4 for m1 with payload of three"]


def test_what_min_idle_asks_for_stays_within_the_limit() -> None:
    play = limited(4, min_idle=2)
    assert play.tick(1.0) == []
    play.release("m1"), play.release("m2")
    play.leased("other", key="b")
    assert play.tick(1.0) == ["open m4 with payload of other"]


def test_a_user_at_his_limit_has_what_he_parked_with_the_key_captured() -> None:
    play = Play(max_size=4, tenant_of=str, tenant_limits={"app": 1})
    play.leased("a")
    play.release("m1", parked_by="a")
    assert play.acquire("b") == ["capture m1 of a"]
    assert play.captured("m1") == ["b gets m1"]


def test_at_his_limit_nothing_of_others_is_closed_for_him_either() -> None:
    play = Play(max_size=3, tenant_of=lambda key: key[:1], tenant_limits={"a": 1}, connects_per_second=3.0)
    play.leased("one", key="a1")
    play.leased("other", "another", key="b")
    play.release("m1")
    play.acquire("two", "a2")
    play.acquire("late", "b")
    play.now = 0.5
    assert play.release("m2") == [
        "close m1: evicted",
        "open m4 for m1 with payload of two",
        "late gets m2",
    ]


def test_room_of_a_quota_is_for_one_queue() -> None:
    play, quota = Play(max_size=8), Quota("shop", 2)
    assert play.acquire("a", "app", quota=quota) == ["open m1 with payload of a"]
    assert play.acquire("b", "other", quota=quota) == ["open m2 with payload of b"]
    assert play.acquire("c", "third", quota=quota) == [], "what is coming uses it up"
    assert play.acquire("d", "third") == ["open m3 with payload of d"]
    assert play.cancel("a") == ["open m4 with payload of d"], "m1 is nobody's now, so that c has m3"
    for member in ("m1", "m2", "m3", "m4"):
        play.opened(member)
    assert play.waiting() == 0 and quota.leased == 2 and quota.promised == 0


def test_room_of_a_quota_is_shared_by_its_classes() -> None:
    play, quota = Play(max_size=8), Quota("shop", 1)
    play.acquire("a", quota=quota)
    assert play.acquire("b", quota=quota, batch=True) == []
    assert play.opened("m1") == ["a gets m1"]
    assert play.release("m1") == ["b gets m1"]


# Fresh members


def test_a_fresh_ticket_is_not_served_by_an_idle_member() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1")
    assert play.acquire("bob", fresh=True) == ["open m2 with payload of bob"]
    assert play.opened("m2") == ["bob gets m2"]
    assert play.states() == {"m1": "idle", "m2": "leased"}


def test_nobody_else_takes_the_member_opened_for_it() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    play.acquire("bob")
    play.open_failed("m2")
    play.cancel("bob")
    play.now = 1.0
    assert play.acquire("login", fresh=True) == ["open m3 with payload of login"]
    play.acquire("carol")
    assert play.opened("m3") == ["login gets m3"]
    assert play.release("m3") == ["carol gets m3"]


def test_each_fresh_ticket_has_an_opening_of_its_own() -> None:
    play = Play(max_size=3)
    assert play.acquire("alice", fresh=True) == ["open m1 with payload of alice"]
    assert play.acquire("bob", fresh=True) == ["open m2 with payload of bob"]
    assert play.opened("m2") == ["bob gets m2"]
    assert play.opened("m1") == ["alice gets m1"]


def test_at_the_bound_an_idle_member_of_its_own_key_makes_room_for_it() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1")
    assert play.acquire("bob", fresh=True) == ["close m1: evicted", "open m2 for m1 with payload of bob"]


def test_at_the_bound_a_parked_member_makes_room_for_it() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.acquire("bob", fresh=True) == ["capture m1 of session"]
    assert play.captured("m1") == ["close m1: evicted", "open m2 for m1 with payload of bob"]


def test_when_it_leaves_its_member_is_for_whoever_waits() -> None:
    play = Play(max_size=1)
    play.acquire("login", fresh=True)
    play.acquire("alice")
    play.cancel("login")
    assert play.opened("m1") == ["alice gets m1"]


def test_then_the_next_has_nothing_any_more_and_others_keep_nothing_from_it() -> None:
    play = Play(max_size=3, tenant_of=str)
    play.leased("one", "two", key="app")
    play.acquire("login", "other", fresh=True)
    play.release("m2")
    assert play.acquire("next", "other", fresh=True) == [], "m2 is kept for a moment"
    assert play.cancel("login") == ["close m2: evicted", "open m4 for m2 with payload of next"]


def test_when_its_opening_fails_it_waits_for_the_next() -> None:
    play = Play()
    play.acquire("login", fresh=True)
    play.open_failed("m1", "no route")
    assert play.waiting() == 1
    assert play.tick(1.0) == ["open m2 with payload of login"]
    assert play.opened("m2") == ["login gets m2"]


def test_when_its_password_is_wrong_it_is_refused() -> None:
    play = Play()
    play.acquire("login", fresh=True, credential="wrong")
    play.acquire("alice", credential="right")
    assert play.open_failed("m1", 1045, is_credential=True) == ["login is refused: 1045"]
    assert play.opened("m2") == ["alice gets m2"]


# What a change of key leaves behind


def test_who_waited_for_a_member_that_changed_its_key_gets_another() -> None:
    play = Play(max_size=1)
    play.leased("alice", key="app")
    play.acquire("bob", "app")
    assert play.release("m1", key="app with schema") == [
        "close m1: evicted",
        "open m2 for m1 with payload of bob",
    ]


def test_a_member_that_changed_its_key_goes_to_who_waits_with_the_new_one() -> None:
    play = Play(max_size=1)
    play.leased("alice", key="app")
    play.acquire("bob", "app with schema")
    assert play.release("m1", key="app with schema") == ["bob gets m1"]


# Members that leave


def test_a_lease_that_ends_by_closing_leaves_its_ticket_done() -> None:
    play = Play()
    play.leased("alice")
    assert play.discard("m1") == ["close m1: dirty"]
    assert play.tickets["alice"].is_done and play.lease_of("alice") is None


def test_too_old_to_be_idle_reset_or_parked() -> None:
    play = Play(max_size=4, max_age=10.0, idle_timeout=NEVER)
    play.leased("alice", "bob", "carol", "dave")
    play.now = 10.0
    assert play.release("m1") == ["close m1: max-age"]
    play.now = 20.0
    assert play.release("m2", needs_reset=True) == ["close m2: max-age"]
    play.now = 30.0
    assert play.release("m3", parked_by="session") == ["capture m3 of session"]
    play.now = 40.0
    play.pause()
    assert play.release("m4", parked_by="session") == []
    assert play.states() == {"m3": "resetting", "m4": "parked"}


def test_young_enough_to_be_reset() -> None:
    play = Play()
    play.leased("alice")
    assert play.release("m1", needs_reset=True) == ["reset m1"]
    assert play.was_reset("m1") == []
    assert play.states() == {"m1": "idle"}


def test_paused_nothing_is_settled() -> None:
    play = Play()
    play.pause()
    assert play.acquire("alice") == [] and play.acquire("bob", fresh=True) == []
    assert play.resume() == ["open m1 with payload of alice", "open m2 with payload of bob"]


def test_all_who_wait_are_refused_at_the_end() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    play.acquire("carol", fresh=True)
    assert play.drain() == ["bob is refused: PoolDraining", "carol is refused: PoolDraining"]


# A lower bound


def test_leases_end_before_their_members() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob", "carol")
    assert play.resize(1) == []
    assert play.acquire("dave") == []
    assert play.release("m1") == ["close m1: over-bound"]
    assert play.release("m2", needs_reset=True) == ["close m2: over-bound"]
    assert play.release("m3") == ["dave gets m3"]


def test_residue_is_captured_before_its_member_goes() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob", "carol")
    play.release("m1", parked_by="alice")
    assert play.resize(1) == ["capture m1 of alice"]
    assert play.release("m2", parked_by="bob") == ["capture m2 of bob"]
    assert play.captured("m1") == ["close m1: over-bound"]
    assert play.captured("m2") == ["close m2: over-bound"]
    assert play.states() == {"m3": "leased"}


def test_what_is_parked_in_a_pause_is_captured_after_it() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    play.release("m1", parked_by="alice")
    play.pause()
    assert play.resize(1) == []
    assert play.resume() == ["capture m1 of alice"]


def test_when_one_cannot_be_captured_the_next_one_is() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    play.release("m1", parked_by="alice")
    play.release("m2", parked_by="bob")
    assert play.resize(1) == ["capture m1 of alice"]
    assert play.declined("m1", "alice") == ["capture m2 of bob"]
    assert play.captured("m2") == ["close m2: over-bound"]


def test_who_waits_for_another_key_gets_what_is_left_of_the_bound() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    play.acquire("dave", "other")
    play.resize(1)
    assert play.release("m1") == ["close m1: over-bound"]
    assert play.release("m2") == ["close m2: evicted", "open m3 for m2 with payload of dave"]


def test_what_is_free_goes_at_once() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob", "carol")
    play.release("m1")
    play.release("m2")
    assert play.resize(2) == ["close m1: over-bound"]


# Age


def test_who_is_old_beside_others_as_old_waits_its_turn_and_is_leased_meanwhile() -> None:
    play = Play(max_size=4, max_age=10.0, idle_timeout=NEVER)
    play.leased("alice", "bob")
    play.now = 10.0
    assert play.release("m1") == ["close m1: max-age"]
    assert play.release("m2") == []
    play.acquire("carol")
    assert play.lease_of("carol") == "m2"
    play.members["m2"].expire(10.0)
    assert play.release("m2") == ["close m2: max-age"]


# What a release costs, by counts


def calls_of_release(play: Play, member: str) -> Counter[str]:
    """Functions that are called meanwhile, how often."""
    names: Counter[str] = Counter()

    def called(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            names[frame.f_code.co_name] += 1

    core, released = play.core, play.members[member]
    sys.setprofile(called)
    try:
        core.release(released, play.now)
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.skipif(COMPILED, reason="calls of compiled functions are not seen")
@pytest.mark.parametrize(("users", "keys"), [(100, 1), (1, 100), (10, 10)])
def test_among_many_queues_each_is_looked_at_once_and_each_user_counted_once(users: int, keys: int) -> None:
    play = Play(max_size=2, tenant_of=lambda key: key.partition(".")[0])
    play.leased("a", "b", key="u0.k0")
    for number in range(users * keys):
        name = f"u{number % users}.k{number // users}"
        play.acquire(name, name)
    calls = calls_of_release(play, "m1")
    assert calls["neediest"] == 1 and calls["is_short"] == users * keys
    assert calls["used"] <= users + 4
    assert calls.total() < 8 * users * keys + 60
