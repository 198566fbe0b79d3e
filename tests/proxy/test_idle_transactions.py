"""Transactions of clients that do nothing."""

from __future__ import annotations

import pytest

from protocol.commands import reset_connection
from protocol.framing import frame
from proxy.idle_transactions import end_all
from proxy.pins import PinReason
from tests.fakes.scenes import client_of, in_transaction
from tests.fakes.wire import IN_TRANS, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

LIMIT = 10.0


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(pool_size=3)


def passes(world: World, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        world.tick(0.1)
        world.loop.call(end_all, world.shared, LIMIT, world.shared.now)


def test_an_idle_transaction_ends_in_time(world: World) -> None:
    client = client_of(world)
    server = in_transaction(world, client)
    passes(world, 9.8)
    client.gets_nothing()
    passes(world, 0.4)
    client.gets_error(4031, "idle in a transaction for 10 s", sequence_id=0)
    assert client.is_closed
    assert world.counters.frontend_closes == {"idle-transaction": 1}
    # what rolls it back
    server.gets(frame(reset_connection()))


def test_who_does_something_is_not_idle(world: World) -> None:
    client = client_of(world)
    server = in_transaction(world, client)
    for _ in range(3):
        passes(world, 6.0)
        client.sends(query("DO 1"))
        server.answers(ok(IN_TRANS))
        client.gets(ok(IN_TRANS))


def test_nor_is_who_waits_for_an_answer(world: World) -> None:
    client = client_of(world)
    in_transaction(world, client)
    client.sends(query("SELECT SLEEP(60)"))
    passes(world, 30.0)
    assert not client.is_closed


def test_a_pin_is_no_transaction(world: World) -> None:
    client = client_of(world)
    server = in_transaction(world, client)
    world.frontend(client).session.pin(PinReason.USER_LOCK)
    client.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    client.gets(ok())
    passes(world, 30.0)
    assert not client.is_closed


def test_only_those_that_are_old_enough_are_looked_at(world: World) -> None:
    old, young = client_of(world), client_of(world)
    in_transaction(world, old)
    passes(world, 6.0)
    young.sends(query("BEGIN"))
    (server,) = [end for end in world.server.ends if end.got() == [b"\x03BEGIN"]]
    server.answers(ok(IN_TRANS))
    young.gets(ok(IN_TRANS))
    passes(world, 6.0)
    assert (old.is_closed, young.is_closed) == (True, False)
    passes(world, 6.0)
    assert young.is_closed
