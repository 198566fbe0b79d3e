"""Clients that hold a backend and wait for another."""

from __future__ import annotations

import pytest

from tests.fakes.client import FakeClient
from tests.fakes.scenes import in_transaction
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SIZE = 16
SELECT = query("SELECT 1")


def threads(world: World, count: int = SIZE - 1, pid: bytes = b"7") -> list[tuple[FakeClient, ServerEnd]]:
    """Clients of one process, each in a transaction that has had its answer."""
    clients = [world.client(attributes={b"_pid": pid}) for _ in range(count)]
    return [(client, in_transaction(world, client)) for client in clients]


def asked(world: World, pid: bytes = b"7") -> FakeClient:
    client = world.client(attributes={b"_pid": pid})
    client.sends(SELECT)
    return client


@pytest.mark.parametrize("others", [0, 3])
def test_a_process_that_waits_for_itself_goes_on(make_world: MakeWorld, others: int) -> None:
    world = make_world(pool_size=SIZE)
    held = threads(world)
    world.tick(1.0)
    # of other processes, who can wait
    waiting = [asked(world, b"8") for _ in range(others)]
    nested = [asked(world) for _ in held]
    assert world.pool() == f"15 leased, {15 + others} waiting"
    world.tick(0.2)
    assert world.pool() == f"15 leased, {15 + others} waiting"
    world.tick(0.1)
    assert world.pool() == f"16 leased, {14 + others} waiting"
    spare = world.backend()
    spare.gets(SELECT)
    world.tick(1.0)
    assert len(world.server.ends) == SIZE, "never more than that"
    spare.answers(rows(b"1"))
    assert nested[0].got() and not any(client.got() for client in waiting)
    # what was kept for that is no more for anybody
    assert (world.pool(), spare.is_closed) == (f"15 leased, {14 + others} waiting", True)
    # the thread ends its transaction, and who has waited for longest goes on
    client, server = held[0]
    client.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    server.gets(SELECT)


def test_no_reserve_for_who_only_waits(make_world: MakeWorld) -> None:
    world = make_world(pool_size=SIZE)
    threads(world)
    asked(world, b"8")
    world.tick(1.0)
    world.tick(1.0)
    assert world.pool() == "15 leased, 1 waiting"


def test_nor_while_something_runs(make_world: MakeWorld) -> None:
    world = make_world(pool_size=SIZE)
    held = threads(world)
    asked(world)
    held[0][0].sends(query("DO 0"))
    world.tick(1.0)
    assert world.pool() == "15 leased, 1 waiting"
    held[0][1].got()
    held[0][1].answers(ok(IN_TRANS))
    world.tick(0.1)
    assert world.pool() == "15 leased, 1 waiting", "it may go on"
    world.tick(0.3)
    assert world.pool() == "16 leased"


def test_nor_while_a_backend_is_being_killed(make_world: MakeWorld) -> None:
    world = make_world(pool_size=SIZE)
    held = threads(world)
    asked(world)
    held[0][0].sends(SELECT)
    world.server.is_silent = True
    held[0][0].leaves()
    world.tick(1.0)
    assert world.pool() == "15 leased, 1 waiting"
    world.tick(6.0)


def test_nor_in_a_small_pool_or_without_one(make_world: MakeWorld) -> None:
    for size, reserve in ((15, 1), (16, 0)):
        world = make_world(pool_size=size, pool={"reserve": reserve})
        threads(world, size)
        asked(world)
        world.tick(1.0)
        assert world.pool() == f"{size} leased, 1 waiting"


def test_who_asked_after_the_last_answer_comes_first(make_world: MakeWorld) -> None:
    world = make_world(pool_size=SIZE)
    threads(world, SIZE - 2)
    [late] = threads(world, 1)
    world.tick(1.0)
    # threads that begin, before the others have got stuck
    for _ in range(2):
        asked(world)
    world.tick(0.2)
    late[0].sends(query("DO 0"))
    late[1].got()
    late[1].answers(ok(IN_TRANS))
    nested = asked(world)
    world.tick(0.5)
    assert world.pool() == "16 leased, 2 waiting"
    world.backend().got()
    world.backend().answers(rows(b"1"))
    assert nested.got()
