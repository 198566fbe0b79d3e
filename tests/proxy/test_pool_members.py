"""Members in their lists and pools."""

from __future__ import annotations

import pytest

from proxy.pool_members import Members
from proxy.pool_states import (
    CLOSED,
    IDLE,
    LEASED,
    OPENING,
    PARKED,
    RESETTING,
    STATE_NAMES,
    Member,
    PoolStateError,
    Queue,
    serve,
)

WAYS = {
    OPENING: {IDLE, LEASED, CLOSED},
    IDLE: {LEASED, CLOSED},
    PARKED: {LEASED, IDLE, RESETTING, CLOSED},
    LEASED: {IDLE, PARKED, RESETTING, CLOSED},
    RESETTING: {IDLE, LEASED, CLOSED},
    CLOSED: set(),
}
ROUTES = {
    OPENING: [],
    IDLE: [IDLE],
    PARKED: [LEASED, PARKED],
    LEASED: [LEASED],
    RESETTING: [LEASED, RESETTING],
    CLOSED: [CLOSED],
}


def added(members: Members, key: str = "app") -> Member:
    member = Member()
    members.add(member, members.pool_of(key, 0.0))
    return member


def test_a_user_is_known_as_long_as_a_key_is() -> None:
    members = Members(keeps_proven=False, tenant_of=lambda key: str(key)[0])
    first, second, third = added(members, "a1"), added(members, "a2"), added(members, "b1")
    assert set(members.tenants) == {"a", "b"}
    assert first.pool.tenant is second.pool.tenant is not third.pool.tenant
    tenant = first.pool.tenant
    assert tenant.used() == 2
    members.move(first, IDLE)
    assert tenant.used() == 1
    for member in (first, second):
        members.move(member, CLOSED)
    assert set(members.tenants) == {"b"} and not tenant.pools
    # nothing is left of it to forget
    members.prune(first.pool)


def test_a_limit_that_is_found_out_is_no_more_than_the_one_that_was_given() -> None:
    members = Members(keeps_proven=False, tenant_of=lambda key: str(key), limits={"a": 3})
    assert [members.limit("a", most).most for most in (5, 2, 0)] == [3, 2, 3]
    assert [members.limit("b", most).most for most in (5, 0)] == [5, 0]
    # of whom nothing is known is forgotten
    assert set(members.tenants) == {"a"}
    member = added(members, "b")
    assert members.limit("b", 1) is member.pool.tenant
    assert not member.pool.tenant.is_over() and (member.pool.tenant.opened(), member.pool.tenant.size()) == (
        0,
        1,
    )
    added(members, "b")
    assert member.pool.tenant.is_over()


def test_a_user_with_a_limit_is_known_for_ever() -> None:
    members = Members(keeps_proven=False, tenant_of=lambda key: str(key)[0], limits={"a": 2})
    member = added(members, "a1")
    tenant = members.tenant("a2")
    assert tenant is not None and tenant is member.pool.tenant
    assert tenant.most == 2
    members.move(member, IDLE)
    members.move(member, CLOSED)
    assert members.tenant("a1") is tenant and members.tenant("b1") is None


@pytest.mark.parametrize("state", range(6))
@pytest.mark.parametrize("old", range(6))
def test_a_member_goes_the_legal_ways_only(old: int, state: int) -> None:
    members = Members(keeps_proven=True)
    member = added(members)
    for step in ROUTES[old]:
        members.move(member, step)
    if state in WAYS[old]:
        members.move(member, state)
        assert member.state == state
    else:
        with pytest.raises(PoolStateError, match=f"from {STATE_NAMES[old]} to {STATE_NAMES[state]}"):
            members.move(member, state)
        assert member.state == old
    assert members.all() == [] if member.state == CLOSED else [member]
    assert members.size == len(members.all()) == member.pool.size
    assert member.pool.counts == [members.lists[state].count for state in range(5)]


def test_a_list_is_in_the_order_of_entry() -> None:
    members = Members(keeps_proven=False)
    first, second, third = added(members), added(members), added(members)
    for member in (second, third, first):
        members.move(member, LEASED)
    assert members.leased.members() == [second, third, first]
    members.move(third, IDLE)
    assert members.leased.members() == [second, first]
    assert members.all() == [third, second, first]


def test_the_newest_idle_member_of_a_key_is_on_top() -> None:
    members = Members(keeps_proven=False)
    first, second, other, third = (added(members, key) for key in ("app", "app", "other", "app"))
    pool = first.pool
    for member in (first, second, other, third):
        members.move(member, IDLE)
    assert pool.top is third and other.pool.top is other
    members.move(second, CLOSED)
    assert pool.top is third
    members.move(third, LEASED)
    assert pool.top is first
    members.move(first, LEASED)
    assert pool.top is None


def test_what_served_a_queue_no_longer_does_when_it_moves() -> None:
    members = Members(keeps_proven=False)
    member, queue = added(members), Queue()
    serve(member, queue)
    assert queue.coming == 1
    members.move(member, IDLE)
    assert queue.coming == 0 and member.serves is None


def test_a_rekeyed_member_counts_with_its_new_key() -> None:
    members = Members(keeps_proven=False)
    member = added(members, "app")
    members.move(member, LEASED)
    members.rekey(member, "app with schema", 1.0)
    assert list(members.pools) == ["app with schema"]
    assert member.key == "app with schema" and member.pool.counts[LEASED] == 1 and member.pool.size == 1


def test_the_oldest_parked_of_a_key_is_found_among_others() -> None:
    members = Members(keeps_proven=False)
    other, mine, newer = (added(members, key) for key in ("other", "app", "app"))
    for member in (other, mine, newer):
        members.move(member, LEASED)
        members.move(member, PARKED)
    assert members.best_parked(mine.pool, None) is mine
    assert members.best_parked(members.pool_of("third", 0.0), None) is None


def test_the_oldest_parked_is_found_when_none_is_alike() -> None:
    members = Members(keeps_proven=False)
    oldest, newer, alike = added(members), added(members), added(members)
    for member, likeness in ((oldest, "on"), (newer, "on"), (alike, "off")):
        members.move(member, LEASED)
        members.move(member, PARKED)
        member.likeness = likeness
    assert members.best_parked(oldest.pool, "other") is oldest
    assert members.best_parked(oldest.pool, "off") is alike


@pytest.mark.parametrize("keeps_proven", [False, True])
def test_a_key_is_forgotten_with_its_last_member(keeps_proven: bool) -> None:
    members = Members(keeps_proven)
    member = added(members)
    member.pool.prove("payload", "credential")
    members.move(member, CLOSED)
    assert list(members.pools) == (["app"] if keeps_proven else [])
    member.pool.disprove("another credential")
    members.prune(member.pool)
    assert list(members.pools) == (["app"] if keeps_proven else [])
    member.pool.disprove("credential")
    members.prune(member.pool)
    assert list(members.pools) == []


def test_what_a_user_is_given_may_change() -> None:
    members = Members(keeps_proven=False, tenant_of=lambda key: str(key)[0], limits={"a": 3})
    members.give("a", 5)
    assert members.limit("a", 0).most == 5
    members.give("b", 2)
    assert members.limit("b", 0).most == 2
    # what the server lets it have is another thing
    assert members.limit("a", 4).most == 4
