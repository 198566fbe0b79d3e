"""What the shell may say to the pool core, and what it is answered. (Who gets what: test_pool_settle.py.)"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from proxy.pool import NO_ACTIONS, Member, PoolCore, PoolStateError, Ticket
from proxy.pool_actions import (
    OF_DATABASE,
    OF_SERVER,
    OF_USER,
    AcquireTimeout,
    OpenFailed,
    PoolClosed,
    PoolDraining,
)
from proxy.pool_limits import NOTHING, Quota
from proxy.pool_states import NEVER
from tests.fakes.pool import Play

# A lease, from opening to reuse


def test_a_member_is_opened_leased_released_and_leased_again() -> None:
    play = Play()
    assert play.acquire("alice") == ["open m1 with payload of alice"]
    assert play.states() == {"m1": "opening"} and play.waiting() == 1
    assert play.opened("m1") == ["alice gets m1"]
    assert play.states() == {"m1": "leased"} and play.waiting() == 0
    assert play.release("m1") == []
    assert play.states() == {"m1": "idle"}
    assert play.acquire("bob") == []
    assert play.lease_of("bob") == "m1" and play.lease_of("alice") is None


def test_a_grant_within_acquire_is_not_woken() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1")
    ticket = Ticket("app")
    assert play.core.acquire(ticket, 1.0) is NO_ACTIONS
    assert ticket.member is play.members["m1"] and not ticket.is_done
    assert ticket.member.ticket is ticket and ticket.member.leased_since == 1.0


def test_a_fresh_member_is_granted_to_the_ticket_it_was_opened_for() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1")
    assert play.acquire("bob", fresh=True) == ["open m2 with payload of bob"]
    assert play.opened("m2") == ["bob gets m2"]


def test_a_ticket_can_be_used_again_when_it_is_done() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1")
    play.acquire("alice")
    assert play.lease_of("alice") == "m1"


@pytest.mark.parametrize("owner", [None, "alice"])
def test_a_ticket_in_use_cannot_be_used_again(owner: str | None) -> None:
    play = Play()
    play.leased("alice")
    with pytest.raises(PoolStateError, match="waits or holds a lease"):
        if owner is None:
            play.acquire("alice")
        else:
            play.claim("alice", "m1", owner)
    assert play.lease_of("alice") == "m1"


def test_acquire_and_release_allocate_nothing() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob")
    play.release("m1")
    ticket, member, core = Ticket("app"), play.members["m1"], play.core

    def cycles(count: int) -> int:
        before = sys.getallocatedblocks()
        for _ in range(count):
            core.acquire(ticket, 1.0)
            core.release(member, 1.0)
        return sys.getallocatedblocks() - before

    cycles(100)
    assert min(cycles(1000) for _ in range(5)) <= 2  # blocks, and the loop's own


def test_a_second_release_is_an_error_and_changes_nothing() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1")
    with pytest.raises(PoolStateError, match="expected a member that is leased, got <Member idle 'app'>"):
        play.release("m1")
    assert play.states() == {"m1": "idle"}


@pytest.mark.parametrize("report", ["opened", "open_failed", "was_reset", "captured"])
def test_a_report_that_does_not_fit_the_state_is_an_error(report: str) -> None:
    play = Play()
    play.leased("alice")
    with pytest.raises(PoolStateError):
        getattr(play, report)("m1")
    assert play.states() == {"m1": "leased"}


@pytest.mark.parametrize(
    "report",
    ["opened", "open_failed", "release", "unpark", "steal", "was_reset", "captured", "discard", "lost"],
)
def test_a_report_that_crossed_a_close_is_ignored(report: str) -> None:
    play = Play()
    play.leased("alice")
    play.discard("m1")
    assert getattr(play, report)("m1") == []
    assert play.states() == {}


def test_a_refusal_that_crossed_a_close_is_ignored() -> None:
    play = Play()
    play.leased("alice")
    play.discard("m1")
    assert play.declined("m1", "bob") == []
    assert play.states() == {} and play.lease_of("bob") is None


# Cancelling


def test_cancelling_a_done_ticket_does_nothing() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1")
    assert play.cancel("alice") == []
    assert play.states() == {"m1": "idle"}


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    play.acquire("carol")
    assert play.cancel("bob") == []
    assert play.waiting() == 1
    assert play.release("m1") == ["carol gets m1"]


def test_a_cancelled_grant_goes_to_the_next_waiter() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    play.acquire("carol")
    assert play.release("m1") == ["bob gets m1"]
    assert play.cancel("bob") == ["carol gets m1"]
    assert play.cancel("carol") == []
    assert play.states() == {"m1": "idle"}


def test_a_member_whose_waiter_has_left_becomes_idle() -> None:
    play = Play()
    play.acquire("alice")
    play.cancel("alice")
    assert play.opened("m1") == []
    assert play.states() == {"m1": "idle"}


def test_a_cancelled_claim_leaves_the_residue_where_it_is() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.claim("alice", "m1", "session")
    assert play.cancel("alice") == []
    assert play.states() == {"m1": "parked"}
    assert play.claim("alice", "m1", "session")


# Parking


def test_the_owner_takes_its_parked_member_back_for_nothing() -> None:
    play = Play()
    play.leased("alice")
    assert play.release("m1", parked_by="session") == []
    assert play.states() == {"m1": "parked"}
    assert play.claim("alice", "m1", "session")
    assert play.states() == {"m1": "leased"} and play.lease_of("alice") == "m1"
    play.release("m1")
    assert play.members["m1"].claim is None


def test_nobody_else_can_claim_it() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert not play.claim("mallory", "m1", "another session")
    assert not play.claim("mallory", "m1", "session") or play.lease_of("mallory") == "m1"


def test_a_member_that_is_being_captured_cannot_be_claimed() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.acquire("bob") == ["capture m1 of session"]
    assert not play.claim("alice", "m1", "session")
    assert play.captured("m1") == ["bob gets m1"]
    assert not play.claim("alice", "m1", "session")
    assert play.members["m1"].claim is None


def test_a_member_that_cannot_be_captured_is_its_owners_again() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1", parked_by="session")
    play.acquire("bob")
    assert play.declined("m1", "alice") == []
    assert play.states() == {"m1": "leased"}
    assert play.lease_of("alice") == "m1"
    assert play.members["m1"].claim == "session"
    assert play.release("m1") == ["bob gets m1"]


def test_who_waits_for_a_member_that_cannot_be_captured_gets_another() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    play.leased("carol")
    play.release("m1", parked_by="alice's session")
    play.release("m2", parked_by="carol's session")
    assert play.acquire("bob") == ["capture m1 of alice's session"]
    assert play.declined("m1", "alice") == ["capture m2 of carol's session"]
    assert play.captured("m2") == ["bob gets m2"]


def test_a_capture_is_declined_also_while_paused() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1", parked_by="session")
    play.acquire("bob")
    play.pause()
    assert play.declined("m1", "alice") == []
    assert play.lease_of("alice") == "m1"


def test_only_a_capture_can_be_declined_and_with_a_ticket_that_is_free() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    play.leased("carol")
    play.release("m1", needs_reset=True)
    with pytest.raises(PoolStateError, match="declined a Reset"):
        play.declined("m1", "alice")
    with pytest.raises(PoolStateError, match="waits or holds"):
        play.declined("m1", "carol")
    with pytest.raises(PoolStateError, match="expected a member that is resetting"):
        play.declined("m2", "alice")
    assert play.states() == {"m1": "resetting", "m2": "leased"}


def test_a_member_that_waiters_could_use_is_captured_instead_of_parked() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    assert play.release("m1", parked_by="session") == ["capture m1 of session"]
    assert play.states() == {"m1": "resetting"}
    assert play.captured("m1") == ["bob gets m1"]


def test_unparked_it_is_anybodys() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.unpark("m1", owner="another session") == []
    assert play.states() == {"m1": "parked"}
    assert play.unpark("m1", owner="session") == []
    assert play.states() == {"m1": "idle"}
    assert play.unpark("m1") == []


def test_a_parked_member_can_be_stolen_although_nobody_needs_it() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.steal("m1") == ["capture m1 of session"]
    assert play.steal("m1") == []
    assert play.captured("m1") == []
    assert play.states() == {"m1": "idle"}
    assert play.steal("m1") == []


def test_a_member_is_stolen_only_from_the_owner_that_was_meant() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.steal("m1", successor="heir", owner="another") == []
    assert play.states() == {"m1": "parked"}
    assert play.steal("m1", successor="heir", owner="session") == ["capture m1 of heir"]


def test_nothing_is_stolen_while_paused() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    play.pause()
    assert play.steal("m1") == []
    assert play.states() == {"m1": "parked"}


def test_unparked_it_may_need_a_reset() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    assert play.unpark("m1", needs_reset=True) == ["reset m1"]
    assert play.was_reset("m1") == []
    assert play.states() == {"m1": "idle"}


# Resetting and closing


def test_a_member_that_needs_a_reset_is_nobodys_before() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    assert play.release("m1", needs_reset=True) == ["reset m1"]
    assert play.acquire("bob") == []
    assert play.states() == {"m1": "resetting"}
    assert play.was_reset("m1") == ["bob gets m1"]


def test_residue_and_reset_exclude_each_other() -> None:
    play = Play()
    play.leased("alice")
    with pytest.raises(PoolStateError, match="destroy the residue"):
        play.release("m1", parked_by="session", needs_reset=True)
    assert play.states() == {"m1": "leased"}


def test_a_discarded_member_is_replaced_for_those_who_wait() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    assert play.discard("m1") == ["close m1: dirty", "open m2 with payload of bob"]
    assert play.lease_of("alice") is None and play.tickets["alice"].is_done


def test_a_failed_reset_is_replaced_too() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.release("m1", needs_reset=True)
    play.acquire("bob")
    assert play.discard("m1") == ["close m1: dirty", "open m2 with payload of bob"]


def test_a_lost_idle_member_is_closed() -> None:
    play = Play()
    play.leased("alice", "bob")
    play.release("m1")
    play.release("m2")
    assert play.lost("m1") == ["close m1: lost"]
    assert play.acquire("carol") == [] and play.lease_of("carol") == "m2"


def test_a_member_lost_while_opening_is_a_failure_to_open() -> None:
    play = Play()
    play.acquire("alice")
    assert play.lost("m1") == ["close m1: lost"]
    assert play.core.next_deadline(0.0) == 0.025
    assert play.tick(0.025) == ["open m2 with payload of alice"]


def test_another_key_is_another_pool() -> None:
    play = Play()
    play.leased("alice", key="app")
    assert play.release("m1", key="app with schema") == []
    assert play.members["m1"].key == "app with schema"
    assert play.acquire("bob", "app") == ["open m2 with payload of bob"]
    assert play.acquire("carol", "app with schema") == []
    assert play.lease_of("carol") == "m1"


def test_the_same_key_is_no_change() -> None:
    play = Play()
    play.leased("alice", key="app")
    pool = play.members["m1"].pool
    play.release("m1", key="".join(["a", "pp"]))
    assert play.members["m1"].pool is pool


# Time


def test_a_ticket_expires_at_its_own_deadline_or_the_pools() -> None:
    play = Play(max_size=1, acquire_timeout=5.0)
    play.leased("alice")
    play.now = 1.0
    play.acquire("bob", deadline=3.0)
    play.acquire("carol", deadline=60.0)
    assert play.core.next_deadline(1.0) == 3.0
    assert play.tick(2.9) == []
    assert play.tick(3.0) == ["bob waited 2 s"]
    assert play.core.next_deadline(3.0) == 6.0
    assert play.tick(6.5) == ["carol waited 5.5 s"]
    assert play.core.next_deadline(6.5) == NEVER
    assert play.release("m1") == [] and play.states() == {"m1": "idle"}


def test_a_deadline_in_the_past_is_due_now() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob", deadline=3.0)
    assert play.core.next_deadline(4.0) == 4.0


def test_the_timeout_tells_who_had_the_pool() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    play.now = 1.0
    play.leased("bob")
    play.acquire("carol")
    play.acquire("dave")
    assert play.tick(6.0) == ["carol waited 5 s", "dave waited 5 s"]
    error = play.tickets["carol"].error
    assert isinstance(error, AcquireTimeout)
    assert (
        repr(error.snapshot) == "open, bound 2: 0 opening, 0 idle, 0 parked, 2 leased, 0 resetting, 2 waiting"
    )
    assert error.cause is None


def test_what_nobody_needed_for_idle_timeout_is_closed_from_the_cold_end() -> None:
    play = Play(max_size=3, idle_timeout=60.0)
    play.leased("alice", "bob", "carol")
    play.release("m1")
    play.now = 10.0
    play.release("m2")
    assert play.tick(59.0) == []
    assert play.tick(60.0) == ["close m1: idle-timeout"]
    assert play.tick(80.0) == ["close m2: idle-timeout"]
    assert play.states() == {"m3": "leased"}


def test_what_may_be_needed_soon_is_kept_a_little_longer() -> None:
    play = Play(max_size=3)
    play.leased("alice", "bob", "carol")
    for member in ("m1", "m2", "m3"):
        play.release(member)
    play.core.wanted = 2
    assert play.tick(60.0) == ["close m1: idle-timeout"]
    assert play.tick(104.9) == []
    assert play.tick(105.0) == ["close m2: idle-timeout", "close m3: idle-timeout"]


def test_nothing_is_idle_for_longer_than_the_server_bears() -> None:
    play = Play(max_size=3, min_idle=1)
    play.core.longest_idle = 6.0
    play.leased("alice", "bob")
    play.release("m1", parked_by="alice")
    play.release("m2")
    assert play.tick(5.9) == []
    assert play.tick(6.0) == ["close m2: idle-timeout", "capture m1 of alice"]
    assert play.captured("m1") == []
    assert play.tick(6.1) == ["close m1: idle-timeout", "open m3 with payload of bob"]


def test_what_was_captured_for_its_age_is_not_idle_for_as_long_again() -> None:
    play = Play()
    play.leased("alice", "bob")
    play.release("m1", parked_by="alice")
    play.now = 50.0
    play.release("m2", parked_by="bob")
    assert play.tick(60.0) == ["capture m1 of alice"]
    assert play.captured("m1") == []
    assert play.tick(60.1) == ["close m1: idle-timeout"]
    # one that was in use a moment ago is
    play.acquire("carol")
    assert play.states() == {"m2": "parked", "m3": "opening"}


def test_what_was_parked_for_idle_timeout_is_captured_and_then_idle() -> None:
    play = Play(idle_timeout=60.0)
    play.leased("alice", "bob")
    play.release("m1", parked_by="alice")
    play.now = 10.0
    play.release("m2", parked_by="bob")
    assert play.tick(60.0) == ["capture m1 of alice"]
    assert play.captured("m1") == []
    assert play.states() == {"m1": "idle", "m2": "parked"}
    assert play.tick(120.0) == ["close m1: idle-timeout", "capture m2 of bob"]


def test_an_old_member_is_closed_when_it_is_free() -> None:
    play = Play(max_size=4, max_age=100.0, idle_timeout=NEVER)
    play.leased("alice", "bob", "carol", "dave")
    play.release("m4")
    assert play.tick(99.0) == []
    assert play.tick(100.0) == ["close m4: max-age"]
    play.now = 110.0
    assert play.release("m1") == ["close m1: max-age"]
    play.now = 120.0
    assert play.release("m2", needs_reset=True) == ["close m2: max-age"]
    play.now = 130.0
    assert play.release("m3", parked_by="carol") == ["capture m3 of carol"]
    assert play.captured("m3") == ["close m3: max-age"]


def test_members_of_one_age_are_replaced_one_by_one() -> None:
    play = Play(max_size=4, max_age=100.0, idle_timeout=NEVER)
    play.leased("alice", "bob", "carol", "dave")
    for member in ("m1", "m2", "m3"):
        play.release(member)
    # four in ten seconds
    assert play.tick(100.0) == ["close m1: max-age"]
    assert play.tick(102.4) == []
    # it was free, and is leased on
    play.acquire("alice")
    assert play.lease_of("alice") == "m3" and play.release("m3") == []
    assert play.release("m4") == []
    assert play.tick(102.5) == ["close m2: max-age"]
    assert play.states() == {"m3": "idle", "m4": "idle"}


def test_members_are_retired_at_half_the_pace_at_which_they_may_be_opened() -> None:
    play = Play(max_size=40, max_age=100.0, idle_timeout=NEVER, connects_per_second=1.0)
    for number in range(1, 41):
        play.now = float(number)
        play.leased(f"client {number}")
    for number in range(1, 41):
        play.release(f"m{number}")
    closed = [second for second in range(150, 170) if play.tick(float(second))]
    assert closed == list(range(150, 170, 2))


def test_what_must_not_be_used_again_goes_at_once() -> None:
    play = Play(max_size=3, idle_timeout=NEVER)
    play.leased("alice", "bob")
    play.release("m1")
    play.acquire("carol", fresh=True)
    play.now = 1.0
    for member in play.members.values():
        member.expire(1.0)
    assert play.tick(1.0) == ["close m1: max-age"]
    assert play.release("m2") == ["close m2: max-age"]
    assert play.opened("m3") == ["carol gets m3"]
    assert play.release("m3") == []


def test_a_deploy_an_hour_ago_is_no_stampede_now() -> None:
    # 300 processes with 40 members each, all opened within the same ten seconds
    closed: Counter[int] = Counter()
    for process in range(300):
        core = Random(process)
        play = Play(max_size=40, max_opening=40, age_jitter=0.2, random=core.random, idle_timeout=NEVER)
        play.now = 10.0 * core.random()
        play.leased(*[f"client {number}" for number in range(40)])
        for name, member in play.members.items():
            closed[int(member.ages_at)] += 1
            play.release(name)
    assert closed.total() == 12000
    # the mean is 12000 / 720 s = 17; at once it would be thousands
    assert max(closed.values()) < 40


# How many are opened


def test_so_many_are_opened_in_a_second() -> None:
    play = Play(max_size=6, connects_per_second=2.0)
    play.acquire("alice")
    play.acquire("bob")
    assert play.acquire("carol") == [] and play.acquire("dave") == []
    assert play.core.next_deadline(0.0) == 0.5
    assert play.tick(0.5) == ["open m3 with payload of carol"]
    assert play.tick(0.9) == []
    play.opened("m1"), play.opened("m2")
    play.discard("m1")
    # what has been lost is not opened any faster
    assert play.discard("m2") == ["close m2: dirty"]
    assert play.tick(1.0) == ["open m4 with payload of dave"]


def test_a_pool_of_the_default_size_fills_at_once() -> None:
    play = Play(max_size=40, max_opening=40)
    play.leased(*[f"client {number}" for number in range(40)])
    assert play.now == 0.0 and play.core.leased_count == 40


def test_an_old_parked_member_is_captured_before_it_is_closed() -> None:
    play = Play(max_age=100.0, idle_timeout=NEVER)
    play.leased("alice")
    play.release("m1", parked_by="alice")
    assert play.tick(100.0) == ["capture m1 of alice"]
    assert play.captured("m1") == ["close m1: max-age"]


def test_jitter_shortens_the_age() -> None:
    play = Play(max_age=100.0, age_jitter=0.2, random=0.5)
    play.leased("alice")
    assert play.members["m1"].ages_at == 90.0


# min_idle


def test_min_idle_is_kept_and_replenished_with_the_last_good_login() -> None:
    play = Play(max_size=3, min_idle=1, idle_timeout=60.0)
    play.leased("alice")
    assert play.tick(1.0) == ["open m2 with payload of alice"]
    assert play.tick(2.0) == []
    assert play.opened("m2") == []
    play.release("m1")
    assert play.tick(62.0) == ["close m2: idle-timeout"]
    assert play.tick(500.0) == []
    assert play.states() == {"m1": "idle"}


def test_min_idle_does_not_go_beyond_the_bound() -> None:
    play = Play(max_size=1, min_idle=1)
    play.leased("alice")
    assert play.tick(1.0) == []


def test_min_idle_ends_for_a_key_that_nobody_uses() -> None:
    play = Play(min_idle=1, max_age=100.0, idle_timeout=NEVER)
    play.leased("alice")
    play.release("m1")
    assert play.tick(99.0) == []
    assert play.tick(100.0) == ["close m1: max-age"]
    assert play.tick(101.0) == []
    assert play.states() == {}


def test_min_idle_does_not_insist_on_a_credential_that_was_refused() -> None:
    play = Play(min_idle=1)
    play.acquire("alice", credential="old password")
    play.opened("m1")
    assert play.tick(1.0) == ["open m2 with payload of alice"]
    assert play.open_failed("m2", 1045, is_credential=True) == []
    assert play.tick(2.0) == []


# Failing to open


def test_a_failure_is_retried_after_the_back_off_and_the_waiter_waits_on() -> None:
    play = Play()
    play.acquire("alice")
    assert play.open_failed("m1", "no route") == []
    assert play.waiting() == 1 and play.states() == {}
    assert play.core.next_deadline(0.0) == 0.025
    assert play.tick(0.02) == []
    assert play.tick(0.025) == ["open m2 with payload of alice"]
    assert play.opened("m2") == ["alice gets m2"]


def test_as_long_as_none_can_be_opened_there_is_room_for_those_that_there_are() -> None:
    play = Play(max_size=5)
    play.leased("alice")
    assert play.core.capacity == 5
    play.acquire("bob")
    assert play.core.capacity == 5
    play.open_failed("m2", "full")
    assert play.core.capacity == 1
    assert play.tick(0.025) == ["open m3 with payload of bob"]
    assert play.core.capacity == 1
    play.opened("m3")
    assert play.core.capacity == 5


def test_the_timeout_carries_the_cause() -> None:
    play = Play()
    play.acquire("alice")
    play.open_failed("m1", "no route")
    assert play.tick(5.0) == ["alice waited 5 s: no route"]


def test_a_refused_credential_refuses_those_who_bring_it_and_nobody_else() -> None:
    play = Play(max_size=5, max_opening=1)
    play.acquire("alice", credential="wrong")
    play.acquire("bob", credential="right")
    play.acquire("carol", credential="wrong")
    play.acquire("dave", "other", credential="wrong")
    assert play.open_failed("m1", 1045, is_credential=True) == [
        "alice is refused: 1045",
        "carol is refused: 1045",
        "open m2 with payload of bob",
    ]
    assert play.waiting() == 2


def failing_for(seconds: float, play: Play) -> None:
    """From 0 on nothing could be opened; the last attempt failed just now."""
    play.acquire("first", deadline=seconds / 2)
    play.open_failed("m1", "no route")
    play.tick(seconds / 2)
    play.now = seconds
    play.acquire("attempt")
    play.open_failed(f"m{len(play.members)}", "no route")


def test_an_endpoint_that_has_been_failing_for_long_refuses_at_once() -> None:
    play = Play(acquire_timeout=5.0)
    failing_for(6.0, play)
    assert play.acquire("alice") == []
    error = play.tickets["alice"].error
    assert isinstance(error, OpenFailed) and error.error == "no route"
    assert play.tickets["alice"].is_done


def test_it_still_makes_one_attempt_per_interval() -> None:
    play = Play(acquire_timeout=5.0)
    failing_for(6.0, play)
    play.cancel("attempt")
    play.now = 8.0
    assert play.acquire("alice") == ["open m3 with payload of alice"]
    play.acquire("bob")
    assert isinstance(play.tickets["bob"].error, OpenFailed), "while the attempt is under way"
    assert play.opened("m3") == ["alice gets m3"]
    assert play.acquire("bob") == ["open m4 with payload of bob"]


def test_it_refuses_nobody_whom_a_release_could_serve() -> None:
    play = Play(acquire_timeout=5.0)
    play.leased("holder", key="app")
    play.acquire("first", "other", deadline=1.0)
    play.open_failed("m2", "no route")
    play.tick(1.0)
    play.now = 6.0
    play.acquire("attempt", "other")
    play.open_failed("m3", "no route")
    assert play.acquire("alice", "other") == []
    assert isinstance(play.tickets["alice"].error, OpenFailed)
    play.acquire("bob", "app", fresh=True)
    assert isinstance(play.tickets["bob"].error, OpenFailed), "a release is no use to it"
    play.acquire("carol", "app")
    assert play.tickets["carol"].error is None
    assert play.release("m1") == ["carol gets m1"]


def test_a_full_server_with_connections_of_ours_refuses_nobody() -> None:
    play = Play(acquire_timeout=5.0)
    play.leased("holder")
    play.acquire("first", "other", deadline=1.0)
    play.open_failed("m2", 1040, is_limit=True)
    play.tick(1.0)
    play.now = 6.0
    play.acquire("attempt", "other")
    play.open_failed("m3", 1040, is_limit=True)
    play.acquire("alice", "other")
    assert play.tickets["alice"].error is None and play.waiting() == 2


def test_a_full_server_with_none_of_ours_is_failing() -> None:
    play = Play(acquire_timeout=5.0)
    play.acquire("first", deadline=1.0)
    play.open_failed("m1", 1040, is_limit=True)
    play.tick(1.0)
    play.now = 6.0
    play.acquire("attempt")
    play.open_failed(f"m{len(play.members)}", 1040, is_limit=True)
    play.acquire("alice")
    assert isinstance(play.tickets["alice"].error, OpenFailed)


def test_whom_the_server_allows_none_holds_up_and_refuses_nobody_else() -> None:
    play = Play(acquire_timeout=5.0, tenant_of=str)
    play.acquire("hers", "alice")
    assert play.open_failed("m1", 1226, is_limit=True, most=NOTHING) == []
    play.acquire("her next", "alice", fresh=True)
    assert play.acquire("his", "bob") == ["open m2 with payload of his"]
    assert play.opened("m2") == ["his gets m2"]
    assert play.release("m2") == [] and play.core.size == 1
    assert play.limit("alice", 1) == ["open m3 with payload of hers"]
    assert play.opened("m3") == ["hers gets m3"]
    assert play.waiting() == 1


# Pausing, draining, closing


def test_paused_it_queues_and_resumed_it_serves() -> None:
    play = Play()
    play.leased("alice", "bob")
    play.release("m1")
    assert play.pause() == []
    assert play.core.state == "paused"
    assert play.acquire("carol") == []
    assert play.acquire("dave") == []
    assert play.release("m2") == []
    assert play.states() == {"m1": "idle", "m2": "idle"}
    assert play.core.next_deadline(0.0) == 5.0
    assert play.resume() == ["carol gets m2", "dave gets m1"]
    assert play.resume() == []


def test_paused_tickets_expire_and_nothing_is_opened() -> None:
    play = Play(min_idle=1, idle_timeout=3.0)
    play.leased("alice")
    play.release("m1", parked_by="session")
    play.pause()
    play.acquire("bob", "other")
    assert play.tick(5.0) == ["bob waited 5 s"]
    assert play.states() == {"m1": "parked"}


def test_paused_nobody_is_refused_although_nothing_can_be_opened() -> None:
    play = Play()
    failing_for(6.0, play)
    play.pause()
    play.acquire("alice")
    assert play.tickets["alice"].error is None and play.waiting() == 2


def test_who_waits_can_be_sent_away_in_the_order_of_arrival_and_come_back() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob", "other")
    play.acquire("carol")
    play.acquire("dave", "other")
    assert play.send_away() == [f"{name} is refused: PoolMoved" for name in ("bob", "carol", "dave")]
    assert play.waiting() == 0 and play.send_away() == []
    assert play.acquire("carol") == []
    assert play.release("m1") == ["carol gets m1"]


def test_who_is_moved_waits_on_at_the_end_of_the_queue_and_no_longer_than_in_one() -> None:
    play = Play(max_size=1, acquire_timeout=5.0)
    play.leased("alice")
    play.acquire("bob")
    play.acquire("carol", "other")
    play.now = 4.0
    assert play.move("bob") == ["bob is refused: PoolMoved"]
    assert play.move("bob") == [] and play.move("alice") == []
    assert play.acquire("bob") == []
    assert [ticket.key for ticket in play.core.waiters()] == ["other", "app"]
    assert sorted(play.tick(5.0)) == [
        "bob waited 5 s",
        "carol waited 5 s",
    ]
    # that was its end
    assert play.acquire("bob") == [] and play.core.next_deadline(5.0) == 10.0


def test_a_grant_ends_the_time_of_who_was_moved() -> None:
    play = Play(max_size=1, acquire_timeout=5.0)
    play.leased("alice")
    play.acquire("bob")
    play.now = 3.0
    assert play.send_away(goes_on=True) == ["bob is refused: PoolMoved"]
    play.release("m1")
    assert play.acquire("bob") == [] and play.lease_of("bob") == "m1"
    play.now = 4.0
    play.release("m1")
    play.acquire("alice")
    play.acquire("bob")
    assert play.core.next_deadline(4.0) == 9.0


def test_who_asks_anew_because_the_pool_is_paused_has_all_its_time_again() -> None:
    play = Play(max_size=1, acquire_timeout=5.0)
    play.leased("alice")
    play.acquire("bob")
    play.now = 3.0
    play.move("bob")
    play.acquire("bob")
    assert play.core.next_deadline(3.0) == 5.0
    play.send_away()
    play.acquire("bob")
    assert play.core.next_deadline(3.0) == 8.0


def test_a_member_with_residue_is_parked_while_paused_whoever_waits() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.pause()
    play.acquire("bob")
    assert play.release("m1", parked_by="session") == []
    assert play.resume() == ["capture m1 of session"]


def test_a_claim_during_a_pause_is_honoured_when_it_resumes() -> None:
    play = Play()
    play.leased("alice", "bob")
    play.release("m1", parked_by="alice's session")
    play.release("m2")
    play.pause()
    assert not play.claim("alice", "m1", "alice's session")
    assert play.acquire("alice") == []
    assert play.resume() == ["alice gets m1"]
    assert play.states() == {"m1": "leased", "m2": "idle"}


def test_a_claim_during_a_pause_is_honoured_by_an_acquire_after_it() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    play.pause()
    assert not play.claim("alice", "m1", "session")
    play.resume()
    assert play.acquire("alice") == []
    assert play.lease_of("alice") == "m1"


def test_a_claim_during_a_pause_lapses_with_the_member() -> None:
    play = Play()
    play.leased("alice")
    play.release("m1", parked_by="session")
    play.pause()
    play.claim("alice", "m1", "session")
    play.acquire("alice")
    play.lost("m1")
    assert play.resume() == ["open m2 with payload of alice"]


def test_a_fresh_member_opened_during_a_pause_is_not_granted() -> None:
    play = Play()
    assert play.acquire("alice", fresh=True) == ["open m1 with payload of alice"]
    play.pause()
    assert play.opened("m1") == []
    assert play.states() == {"m1": "idle"} and play.waiting() == 1
    assert play.resume() == ["open m2 with payload of alice"]


def test_draining_refuses_waiters_and_closes_what_is_not_leased() -> None:
    play = Play(max_size=5)
    play.leased("alice", "bob", "carol", "dave")
    play.release("m2")
    play.release("m3", parked_by="carol")
    play.release("m4", needs_reset=True)
    assert play.acquire("erin", "other") == ["open m5 with payload of erin"]
    assert play.drain() == [
        "erin is refused: PoolDraining",
        "close m5: drained",
        "close m2: drained",
        "close m3: drained",
        "close m4: drained",
    ]
    assert play.drain() == []
    assert play.core.state == "draining" and play.core.size == 1
    assert play.acquire("frank") == []
    assert isinstance(play.tickets["frank"].error, PoolDraining)
    assert play.release("m1", parked_by="alice") == ["close m1: drained"]
    assert play.core.size == 0


def test_a_drain_is_final() -> None:
    play = Play()
    play.leased("alice")
    play.drain()
    assert play.pause() == [] and play.resume() == []
    assert play.core.state == "draining"
    assert play.tick(1000.0) == []


def test_closing_closes_leases_too() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    assert play.close() == ["bob is refused: PoolClosed", "close m1: shutdown"]
    assert play.core.state == "closed" and play.lease_of("alice") is None
    assert play.release("m1") == []
    play.acquire("carol")
    assert isinstance(play.tickets["carol"].error, PoolClosed)
    assert play.drain() == [] and play.core.state == "closed"


# Questions


def test_it_counts_its_members_and_waiters() -> None:
    play = Play(max_size=5)
    play.leased("a", "b", "c", "d")
    play.release("m1")
    play.release("m2", parked_by="b")
    play.release("m3", needs_reset=True)
    play.acquire("e", "other")
    core = play.core
    assert (core.opening_count, core.idle_count, core.parked_count) == (1, 1, 1)
    assert (core.leased_count, core.resetting_count, core.waiting_count, core.size) == (1, 1, 1, 5)
    assert core.leased_members() == [play.members["m4"]]
    assert core.oldest_waiter() is play.tickets["e"]
    assert repr(core) == (
        "<PoolCore open, bound 5: 1 opening, 1 idle, 1 parked, 1 leased, 1 resetting, 1 waiting>"
    )


def test_members_may_be_of_a_subclass() -> None:
    class Backend(Member):
        """As the shell has it."""

    made: list[Backend] = []

    def new_member(key: object, payload: object) -> Member:
        made.append(Backend())
        return made[-1]

    random: Callable[[], float] = lambda: 0.5  # noqa: E731
    core = PoolCore(new_member=new_member, random=random, max_size=1)
    core.acquire(Ticket("app"), 0.0)
    core.opened(made[0], 0.0)
    assert core.leased_members() == [*made] and repr(made[0]) == "<Backend leased 'app'>"


# Another bound


def test_a_higher_bound_lets_who_waits_in() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    assert play.acquire("bob") == []
    assert play.resize(2) == ["open m2 with payload of bob"]


def test_a_lower_bound_closes_what_is_free_the_coldest_first() -> None:
    play = Play(max_size=4)
    play.leased("alice", "bob", "carol", "dave")
    for member in ("m2", "m1", "m3"):
        play.release(member)
    assert play.resize(2) == ["close m2: over-bound", "close m1: over-bound"]
    assert play.states() == {"m3": "idle", "m4": "leased"}


def test_what_is_leased_stays_until_its_lease_ends() -> None:
    play = Play(max_size=2)
    play.leased("alice", "bob")
    assert play.resize(1) == []
    assert play.release("m1") == ["close m1: over-bound"]


def test_a_bound_may_be_nothing_for_a_while() -> None:
    play = Play(max_size=2)
    play.leased("alice")
    assert play.resize(0) == []
    assert play.release("m1") == ["close m1: over-bound"]
    assert play.acquire("bob") == []
    assert play.tick(0.1) == []
    assert play.resize(1) == ["open m2 with payload of bob"]


def test_a_bound_is_not_below_nothing() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Play().resize(-1)


def test_the_pool_tells_how_many_it_opens_a_second() -> None:
    assert Play(connects_per_second=4.0).core.connects_per_second == 4.0


def test_a_lease_counts_for_its_quota_until_it_ends() -> None:
    play, quota = Play(), Quota("shop", 1)
    play.acquire("a", quota=quota)
    play.opened("m1")
    assert quota.leased == 1
    play.acquire("b", quota=quota)
    assert play.waiting() == 1
    assert play.release("m1") == ["b gets m1"]
    play.cancel("b")
    assert quota.leased == 0


# Limits that change


def test_logins_that_wait_when_their_user_is_limited_hold_up_nobody() -> None:
    play = Play(max_size=4, tenant_of=str, max_opening=1)
    play.acquire("one", "a", fresh=True)
    play.acquire("two", "a", fresh=True)
    play.acquire("another", "c", fresh=True)
    play.acquire("other", "b")
    assert play.limit("a", 1) == []
    assert play.opened("m1") == ["one gets m1", "open m2 with payload of another"]
    assert play.opened("m2") == ["another gets m2", "open m3 with payload of other"]
    assert play.opened("m3") == ["other gets m3"] and play.waiting() == 1
    play.acquire("three", "a", fresh=True)
    assert play.limit("a", 2) == ["open m4 with payload of two"]
    assert play.limit("a", 0) == [] and play.limit("b", 1) == []
    assert play.opened("m4") == ["two gets m4"]


def test_who_is_over_his_limit_closes_what_is_free() -> None:
    play = Play(max_size=4, tenant_of=str)
    play.leased("one", "two", "three", key="a")
    play.leased("other", key="b")
    for member in ("m4", "m1", "m2"):
        play.release(member)
    assert play.limit("a", 2) == ["close m1: over-bound"]
    assert play.states() == {"m2": "idle", "m3": "leased", "m4": "idle"}


def test_what_is_parked_of_who_is_over_his_limit_is_captured_after_a_pause() -> None:
    play = Play(max_size=5, tenant_of=str)
    play.leased("one", key="a")
    play.release("m1", parked_by="session")
    play.pause()
    assert play.limit("a", NOTHING) == []
    play.resume()
    assert play.tick(0.0) == ["capture m1 of session"]


def test_who_waits_for_a_part_of_a_limit_hears_of_all_of_it() -> None:
    play, quota = Play(max_size=8, tenant_of=str, tenant_limits={"a": 3}), Quota("shop", 5)
    play.core.give("a", 1, 0.0)
    quota.most = 0
    play.leased("one", key="a")
    play.acquire("at user", "a")
    play.acquire("at database", "b", quota=quota)
    play.tick(5.0)
    limits = [timeout(play, name).limit for name in ("at user", "at database")]
    assert [limit and (limit.most, limit.configured) for limit in limits] == [(1, 3), (0, 5)]


def test_who_waits_for_his_own_limit_hears_so() -> None:
    play, quota = Play(max_size=8, tenant_of=str, tenant_limits={"a": 1}), Quota("shop", 1)
    play.leased("one", key="a")
    play.acquire("two", "b", quota=quota)
    play.opened("m2")
    play.acquire("at user", "a"), play.acquire("fresh", "a", fresh=True)
    play.acquire("at database", "c", quota=quota)
    play.limit("b", 1)
    play.acquire("at server", "b")
    play.acquire("slow", "d")
    assert len(play.tick(5.0)) == 5
    limits = {name: timeout(play, name).limit for name, ticket in play.tickets.items() if ticket.error}
    assert {name: limit and (limit.kind, limit.name, limit.most) for name, limit in limits.items()} == {
        "at user": (OF_USER, "a", 1),
        "fresh": (OF_USER, "a", 1),
        "at database": (OF_DATABASE, "shop", 1),
        "at server": (OF_SERVER, "b", 1),
        "slow": None,
    }


def test_who_waits_for_openings_does_not_wait_for_a_limit() -> None:
    play = Play(max_size=8, tenant_of=str, tenant_limits={"a": 1})
    play.acquire("one", "a"), play.acquire("two", "a")
    play.tick(5.0)
    assert timeout(play, "two").limit is None


def timeout(play: Play, name: str) -> AcquireTimeout:
    error = play.tickets[name].error
    assert isinstance(error, AcquireTimeout)
    return error


# The reserve


def reserved() -> Play:
    """Two members, of which one is kept."""
    play = Play(max_size=2, reserve=1, reserve_share=2)
    play.leased("alice")
    return play


def test_the_reserve_is_for_whom_it_is_given_to_and_closed_afterwards() -> None:
    play = reserved()
    assert play.core.bound == 1 and play.core.stalls_since() == NEVER
    play.now = 1.0
    assert play.acquire("bob") == [] and play.acquire("carol") == []
    assert play.core.stalls_since() == 1.0
    assert play.spare("carol") == ["open m2 with payload of carol"]
    assert play.spare("carol") == [] and play.spare("bob") == [], "one, and there is no more"
    assert play.opened("m2") == ["carol gets m2"]
    play.now = 2.0
    assert play.release("m2") == ["close m2: over-bound"]
    assert play.release("m1") == ["bob gets m1"]
    play.acquire("carol")
    assert play.core.stalls_since() == 2.0
    play.pause()
    assert play.spare("carol") == [] and play.core.stalls_since() == NEVER


def test_the_reserve_is_not_for_who_does_not_wait_or_may_have_no_more() -> None:
    play = Play(max_size=3, reserve=1, reserve_share=2, tenant_of=str, tenant_limits={"app": 1})
    play.leased("alice")
    play.leased("other", key="other")
    play.acquire("bob")
    assert play.spare("alice") == [] and play.spare("bob") == []
    play.acquire("fresh", "other", fresh=True)
    assert play.spare("fresh") == []
    quota = Quota("shop", 0)
    play.acquire("carol", "third", quota=quota)
    assert play.spare("carol") == []
    # though others of the key might have one
    play.acquire("dave", "third")
    assert play.spare("carol") == [] and play.spare("dave") == ["open m3 with payload of dave"]


def test_the_reserve_is_not_used_while_a_member_is_free_or_coming() -> None:
    play = Play(max_size=3, reserve=1, reserve_share=2)
    play.leased("alice", "bob", key="other")
    play.release("m1"), play.release("m2")
    assert play.acquire("carol") == ["close m1: evicted", "open m3 for m1 with payload of carol"]
    assert play.spare("carol") == [] and play.states() == {"m2": "idle", "m3": "opening"}


def test_the_reserve_is_not_for_whose_quota_is_used_up_meanwhile() -> None:
    play, quota = Play(max_size=3, reserve=1, reserve_share=2), Quota("shop", 1)
    play.leased("alice", "carol", key="other")
    play.acquire("bob", quota=quota)
    assert play.spare("bob") == ["open m3 with payload of bob"]
    assert play.release("m1") == ["close m1: over-bound"] and play.release("m2") == []
    play.acquire("carol", "other", quota=quota)
    assert play.lease_of("carol") == "m2"
    assert play.opened("m3") == [] and play.waiting() == 1
    assert play.release("m2") == ["bob gets m3"]


def test_whichever_is_free_first_is_closed_for_the_reserve() -> None:
    play = reserved()
    play.acquire("bob")
    play.spare("bob")
    assert play.release("m1") == ["close m1: over-bound"]
    assert play.opened("m2") == ["bob gets m2"]
    assert play.release("m2") == []


def test_the_reserve_follows_the_bound() -> None:
    play = Play(max_size=32, reserve=4)
    assert play.core.bound == 30
    play.resize(15)
    assert play.core.bound == 15
    play.resize(100)
    assert play.core.bound == 96


def test_a_ticket_can_lose_patience() -> None:
    play = Play(max_size=1, acquire_timeout=5.0)
    play.leased("alice")
    play.acquire("bob")
    play.core.hasten(play.tickets["bob"], 1.0)
    play.core.hasten(play.tickets["alice"], 0.5)
    assert play.core.next_deadline(0.0) == 1.0
    assert play.tick(1.0) == ["bob waited 1 s"]
    play.acquire("bob")
    assert play.tick(5.9) == [] and play.tick(6.0) == ["bob waited 5 s"]


def test_who_waits_is_new_once() -> None:
    play = Play(max_size=1)
    play.leased("alice")
    play.acquire("bob")
    play.acquire("carol")
    assert set(play.core.newcomers()) == {play.tickets["bob"], play.tickets["carol"]}
    assert play.core.newcomers() == []
    play.acquire("dave")
    assert play.core.newcomers() == [play.tickets["dave"]]


def test_a_queue_that_stands_is_cut() -> None:
    play = Play(max_size=1, shed_target=0.5, shed_interval=1.0)
    play.leased("alice")
    play.acquire("batch", batch=True)
    play.acquire("bob")
    assert play.tick(0.5) == []
    assert play.tick(1.5) == ["batch is refused: Shed"]
    assert play.tick(2.5) == ["bob is refused: Shed"]
    assert play.core.shed_count == 2


def test_what_one_waits_in_a_pause_cuts_no_queue() -> None:
    play = Play(max_size=1, shed_target=0.5, shed_interval=1.0, tenant_of=str, acquire_timeout=60.0)
    play.leased("alice")
    play.acquire("bob"), play.acquire("other", "other")
    assert play.tick(0.5) == []
    play.pause()
    assert play.tick(9.0) == [] and play.resume() == []
    assert play.tick(9.1) == [], "it is long only since now"
    assert play.tick(10.0) == []
    play.pause(), play.resume()
    assert play.tick(10.5) == [] and play.tick(12.4) == []
    assert play.tick(12.5) == ["bob is refused: Shed", "other is refused: Shed"]


def test_it_tells_what_users_have_and_when_it_may_open() -> None:
    play = Play(max_size=1, tenant_of=str, connects_per_second=1.0)
    play.leased("alice", key="app")
    play.acquire("bob", "app")
    [user] = play.core.users()
    assert (user.name, user.size(), user.used(), user.waiting()) == ("app", 1, 1, 1)
    assert play.core.opens_at() == 1.0


def test_a_user_whom_the_server_allows_nothing_is_refused_at_once_after_a_while() -> None:
    play = Play(max_size=4, tenant_of=str)
    play.leased("other", key="b")

    def cause_of(name: str) -> object:
        error = play.tickets[name].error
        return error.error if isinstance(error, OpenFailed) else error

    play.acquire("one", "a")
    assert play.open_failed("m2", "too many of a", most=NOTHING) == []
    play.now = 5.0
    assert play.tick(5.0) == ["one waited 5 s: too many of a"]
    play.now = 6.0
    play.acquire("two", "a")
    assert cause_of("two") == "too many of a"
    # an attempt is due: the next one makes it, and whoever waits with it is refused with it
    play.limit("a", 1)
    assert play.acquire("three", "a") == ["open m3 with payload of three"]
    play.acquire("four", "a")
    assert cause_of("four") == "too many of a"
    # nobody else is held up
    assert play.acquire("second", "b") == ["open m4 with payload of second"]
    play.open_failed("m3", "still too many", most=NOTHING)
    assert (cause_of("three"), cause_of("second")) == ("still too many", None)
    play.limit("a", 1)
    play.acquire("five", "a")
    assert play.opened("m5") == ["five gets m5"]
    play.acquire("six", "a")
    assert cause_of("six") is None
    play.limit("a", 2)
    play.acquire("seven", "a")
    # it has one
    assert play.open_failed("m6", "no more", most=1) == []
    play.now = 20.0
    play.acquire("eight", "a")
    assert cause_of("eight") is None


def test_what_a_user_has_is_counted() -> None:
    play = Play(max_size=4, tenant_of=str)
    play.leased("one", key="a")
    play.acquire("two", "a")
    play.acquire("other", "b")
    assert [play.core.counts_of(user) for user in ("a", "b", "nobody")] == [(1, 1), (0, 1), (0, 0)]


def test_what_a_user_is_given_may_change() -> None:
    play = Play(max_size=4, tenant_limits={"bob": 1}, tenant_of=lambda key: key)
    assert play.acquire("one", "bob") == ["open m1 with payload of one"]
    assert play.acquire("two", "bob") == []
    assert play.opened("m1") == ["one gets m1"]
    assert play.give("bob", 2) == ["open m2 with payload of two"]
    assert play.opened("m2") == ["two gets m2"]
    assert play.give("bob", NOTHING) == []
    assert play.release("m1") == ["close m1: over-bound"]
    assert play.release("m2") == ["close m2: over-bound"]
    assert play.acquire("three", "bob") == []
    assert play.give("bob", 1) == ["open m3 with payload of three"]
