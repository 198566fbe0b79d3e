"""Sessions that read all the time come to a reader that has joined."""

from __future__ import annotations

import pytest

from proxy.moving import LONGEST_WAIT
from proxy.placing import Placing
from proxy.states import STATE_NAMES
from tests.fakes.client import FakeClient
from tests.fakes.placing import READER_1, READER_2, place_among, readers_show
from tests.fakes.wire import NEW_CLIENT, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

READ = query("SELECT a FROM t")
ANSWER = rows(b"1")
LIFETIME = 20.0
LAG = 0.3
"""More than the time between two reads."""


def answers(payload: bytes) -> bytes | None:
    return ANSWER


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Two readers, of which the second has not joined yet."""
    made = make_world(readers=2, pool_size=8)
    placing = place_among(made, lifetime=LIFETIME)
    for server in (made.server, *made.reader_servers):
        server.answers_itself = answers
    joins(made, False)
    placing.random = lambda: 0.0
    return made


def placing_of(world: World) -> Placing:
    assert world.shared.placing is not None
    return world.shared.placing


def joins(world: World, has_role: bool = True) -> None:
    placing_of(world).table.set_role(READER_2, has_role, 0, world.loop.time())


def reads(world: World, client: FakeClient) -> str | None:
    """Where; None: it waits."""
    client.sends(READ)
    return found(world, client)


def found(world: World, client: FakeClient) -> str | None:
    placement = world.frontend(client).placement
    got = client.got()
    if not got:
        assert STATE_NAMES[world.frontend(client).state] == "placing"
        return None
    assert got == ANSWER and placement is not None
    return "writer" if placement.reader is None else placement.reader.name


def passes(world: World, client: FakeClient, seconds: float) -> set[str | None]:
    """It reads every 0.1 s, and readers are looked at every second. Up to a read that waits."""
    seen: set[str | None] = set()
    for number in range(round(seconds * 10)):
        world.tick(0.1)
        if number % 10 == 0:
            readers_show(world, LAG)
        seen.add(reads(world, client))
        if None in seen:
            break
    return seen


def prefers(world: World, name: str) -> None:
    """The balance does, as it is nearer."""
    for contender in [reader.contender for reader in placing_of(world).table.readers.values()]:
        contender.round_trip = 0.001 if contender.name == name else 0.01


def test_a_session_that_never_pauses_moves_once_in_a_lifetime(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    assert reads(world, client) == READER_1
    joins(world)
    prefers(world, READER_2)
    # no other reader is known to have what it read a moment ago
    assert passes(world, client, LIFETIME - 1) == {READER_1}
    assert passes(world, client, 2) == {READER_1, None}
    world.tick(LAG + 0.1)
    readers_show(world, LAG)
    assert found(world, client) == READER_2
    # and stays
    assert passes(world, client, LIFETIME - 1) == {READER_2}
    # where the balance finds nothing better it stays without waiting
    assert passes(world, client, 3 * LIFETIME) == {READER_2}


def test_a_read_does_not_wait_long_for_that(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    assert reads(world, client) == READER_1
    joins(world)
    prefers(world, READER_2)
    assert None in passes(world, client, LIFETIME + 1)
    world.tick(LONGEST_WAIT / 2)
    readers_show(world, 0.0, reader_2=0.9)
    assert found(world, client) is None
    world.tick(LONGEST_WAIT / 2)
    readers_show(world, 0.0, reader_2=0.9)
    assert found(world, client) == READER_1
    assert passes(world, client, LIFETIME - 1) == {READER_1}


def test_who_reads_on_the_writer_has_nothing_to_leave(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    writes = query("/* fanin: writer */ SELECT a FROM t")
    for _ in range(3):
        client.sends(writes)
        assert found(world, client) == "writer"
        world.tick(LIFETIME)
    joins(world)
    readers_show(world, 0.0)
    assert reads(world, client) == READER_1


def test_who_leaves_while_it_waits_is_forgotten(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    assert reads(world, client) == READER_1
    joins(world)
    prefers(world, READER_2)
    assert None in passes(world, client, LIFETIME + 1)
    client.leaves()
    assert placing_of(world).waiting == {}
