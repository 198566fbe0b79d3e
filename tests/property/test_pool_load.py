"""Pools under load, in simulated time: what clients wait, and what it costs in connections."""

from __future__ import annotations

import pytest

from tests.fakes.pool_load import CONNECT, Crowd, PoolLoad

SEEDS = (1, 2, 3)


def ran(
    *crowds: Crowd, seed: int = 1, counts_from: float = 1.0, seconds: float = 6.0, **options: object
) -> PoolLoad:
    load = PoolLoad(*crowds, seed=seed, counts_from=counts_from, max_size=20, **options)
    load.run(seconds)
    assert load.most <= 20
    return load


@pytest.mark.parametrize("seed", SEEDS)
def test_a_user_with_few_busy_clients_waits_no_longer_beside_one_with_hundreds(seed: int) -> None:
    alone, few, many = Crowd(5, key="few"), Crowd(5, key="few"), Crowd(500, key="many")
    ran(alone, seed=seed)
    load = ran(few, many, seed=seed)
    assert few.percentile(0.99) <= 3.0 * alone.percentile(0.99) == 0.0
    assert len(few.waits) > 0.95 * len(alone.waits)
    # the others have all the rest, and nothing is opened for it
    assert len(many.waits) > 2.8 * len(few.waits) and many.percentile(0.5) > 0.2
    assert load.opened <= 0.01 * load.leases


@pytest.mark.parametrize("think", [0.05, 0.2, 1.0])
def test_clients_that_think_wait_for_a_connection_at_most_and_seldom_cost_one(think: float) -> None:
    few, many = Crowd(5, key="few", think=think), Crowd(500, key="many")
    load = ran(few, many)
    assert few.percentile(0.99) < 2.5 * CONNECT and many.percentile(0.5) > 0.2
    assert load.opened <= 0.01 * load.leases


def test_users_who_want_the_same_get_the_same() -> None:
    crowds = [Crowd(clients, key=str(clients)) for clients in (50, 100, 200, 400)]
    load = ran(*crowds)
    shares = sorted(len(crowd.waits) for crowd in crowds)
    assert shares[0] > 0.9 * shares[-1]
    assert load.opened <= 0.01 * load.leases


def test_more_users_than_members_all_have_their_turn() -> None:
    crowds = [Crowd(20, key=str(number)) for number in range(25)]
    load = ran(*crowds)
    shares = sorted(len(crowd.waits) for crowd in crowds)
    assert shares[0] > 0.6 * shares[-1]
    assert not any(crowd.refused for crowd in crowds)
    assert load.opened <= 50 * 5 + 50


@pytest.mark.parametrize("seed", SEEDS)
def test_within_a_user_waits_are_alike(seed: int) -> None:
    crowd = Crowd(100, key="app")
    ran(crowd, seed=seed)
    assert crowd.percentile(0.99) < 2.0 * crowd.percentile(0.5)


def test_one_who_comes_late_gets_his_part_at_once() -> None:
    early, late = Crowd(100, key="early"), Crowd(100, key="late")
    load = PoolLoad(early, counts_from=0.0, max_size=20)
    load.run(2.0)
    for client in late.tickets:
        load.after(0.0, load._ask, client)
    load.run(2.2)
    kept = [sum(member.key == key for member in load.core.members()) for key in ("early", "late")]
    assert kept == [10, 10]


@pytest.mark.parametrize("think", [0.0, 0.001, 0.02])
@pytest.mark.parametrize("seed", SEEDS)
def test_whose_clients_come_back_at_once_gives_up_what_is_more_than_his_part(think: float, seed: int) -> None:
    """They have a member each, so that none of them waits, and none of their members is free for long."""
    early, late = Crowd(19, key="early", think=think), Crowd(60, key="late")
    load = PoolLoad(early, seed=seed, counts_from=2.0, max_size=20)
    load.run(1.0)
    for client in late.tickets:
        load.after(0.0, load._ask, client)
    load.run(6.0)
    kept = [sum(member.key == key for member in load.core.members()) for key in ("early", "late")]
    assert kept == [10, 10]
    assert late.percentile(0.99) < 0.15 and load.opened <= 0.01 * load.leases


@pytest.mark.parametrize("clients", [18, 40])
@pytest.mark.parametrize("think", [0.2, 0.5])
def test_who_now_and_then_needs_more_hardly_costs_connections(clients: int, think: float) -> None:
    few, many = Crowd(10, key="few", think=think), Crowd(clients, key="many", service=0.05)
    load = ran(few, many, seconds=20.0)
    assert few.percentile(0.99) < 2.5 * CONNECT
    assert load.opened <= 0.01 * load.leases


def test_a_load_that_does_not_change_opens_nothing() -> None:
    crowds = [Crowd(40, key="app", think=0.02), Crowd(10, key="other", think=0.1)]
    load = ran(*crowds, seconds=20.0)
    assert load.opened <= 0.01 * load.leases


def test_when_too_many_ask_some_are_refused_and_the_others_wait_no_longer_than_meant() -> None:
    queues, sheds = Crowd(400, key="app", service=0.1), Crowd(400, key="app", service=0.1)
    ran(queues, counts_from=5.0, seconds=20.0)
    load = ran(sheds, counts_from=5.0, seconds=20.0, shed_target=0.2)
    assert queues.percentile(0.5) > 1.5 and sheds.percentile(0.99) < 0.35
    assert load.core.shed_count >= len(sheds.refused) > 0 and not queues.refused
    # nothing is lost for it
    assert len(sheds.waits) > 0.95 * len(queues.waits)
