"""What becomes of reads in a reader's queue when it may not have them any more, or when another one has backends left."""

from __future__ import annotations

from typing import Any

from protocol.framing import frame
from protocol.packets import build_err
from proxy.login import Doorway
from proxy.placing import Placing
from proxy.placing_rules import TO_FAIL, TO_WAIT
from proxy.queueing import LONG
from tests.fakes.client import FakeClient
from tests.fakes.placing import READER_1, place_among, reader_end, readers_have, readers_show
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld
from tests.proxy.test_catching_up import SOURCE, writes
from tests.proxy.test_placing import (
    BEGIN_READ,
    COMMIT,
    READ,
    client_of,
    listener_client,
    on_reader,
    on_writer,
    routes,
    runs,
    state,
)

ANSWER = rows(b"1")
KILL_QUERY = b"\x03KILL QUERY %d"


def crowd(make_world: MakeWorld, size: int = 1, **rules: Any) -> tuple[World, Placing, list[FakeClient]]:
    """Two readers, of which only the first may have reads: transactions have all its backends."""
    world = make_world(readers=2, pool_size=size)
    placing = place_among(world, **{"acquire_timeout": 5.0, **rules})
    readers_show(world, 0.0, reader_2=None)
    holders = [client_of(world) for _ in range(size)]
    for holder in holders:
        on_reader(world, holder, BEGIN_READ, ok(IN_TRANS))
    return world, placing, holders


def queues(world: World) -> list[int]:
    """Who waits at each reader, by name: the list is turned with each choice."""
    found = {endpoint.name: endpoint.core.waiting_count for endpoint in world.shared.readers}
    return [found[name] for name in sorted(found)]


# The reader may not have it any more


def test_who_waits_for_a_reader_that_is_lost_runs_on_another_at_once(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world, size=2)
    waiting = [client_of(world) for _ in range(2)]
    for client in waiting:
        client.sends(READ)
    assert queues(world) == [2, 0]
    readers_show(world, None, reader_2=0.0)
    assert queues(world) == [0, 0]
    for end, client in zip(world.reader_servers[1].ends, waiting, strict=True):
        runs(client, READ, end, ANSWER)
    assert routes(world)["events"] == {"left-queue": 2}


def test_a_reader_that_is_not_heard_of_any_more_is_left_by_the_tick(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world)
    client = client_of(world)
    client.sends(READ)
    world.tick(1.9)
    client.gets_nothing()
    world.tick(0.3)
    runs(client, READ, world.server.last, ANSWER)
    assert routes(world)["without_reader"] == {"too-far-behind": 1}


def test_who_has_a_hint_leaves_when_the_reader_is_too_far_behind_for_that(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world)
    hinted, other = client_of(world), client_of(world)
    wire = query("/* fanin: max_lag=100 */ SELECT a FROM t")
    hinted.sends(wire)
    other.sends(READ)
    readers_show(world, 0.5, reader_2=None)
    runs(hinted, wire, world.server.last, ANSWER)
    assert queues(world) == [1, 0]


def holder_of_second(world: World) -> FakeClient:
    """A transaction has the second reader's only backend, and only that reader may have reads."""
    readers_show(world, None, reader_2=0.0)
    holder = client_of(world)
    on_reader(world, holder, BEGIN_READ, ok(IN_TRANS), number=2)
    return holder


def test_who_moves_stands_behind_those_who_are_there(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world)
    holder = holder_of_second(world)
    late, early = client_of(world), client_of(world)
    readers_show(world, 0.0, reader_2=None)
    early.sends(READ)
    readers_show(world, 0.0)
    world.tick(LONG / 2)
    assert queues(world) == [1, 0]
    late.sends(query("/* second */ SELECT a FROM t"))
    assert queues(world) == [1, 1]
    readers_show(world, None, reader_2=0.0)
    assert queues(world) == [0, 2]
    on_reader(world, holder, COMMIT, ok(), number=2)
    server = reader_end(world, 2)
    runs(late, query("/* second */ SELECT a FROM t"), server, ANSWER)
    runs(early, READ, server, ANSWER)


def test_its_deadline_is_that_of_the_first_queue(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world)
    holder_of_second(world)
    readers_show(world, 0.0, reader_2=None)
    client = client_of(world)
    client.sends(READ)
    world.loop.advance(3)
    readers_show(world, None, reader_2=0.0)
    assert queues(world) == [0, 1]
    world.loop.advance(1.9)
    readers_show(world, None, reader_2=0.0)
    world.tick()
    client.gets_nothing()
    world.tick(0.2)
    client.gets_error(1040, "no server connection became free within 5.1 s: pool of reader-2")
    # the next command has all its time
    client.sends(READ)
    world.tick(1)
    readers_show(world, None, reader_2=0.0)
    client.gets_nothing()


def test_the_limit_of_what_falls_back_on_the_writer_holds_for_them_and_so_does_their_time(
    make_world: MakeWorld,
) -> None:
    world, placing, _ = crowd(make_world, fallback_rate=0.01)
    one, other = client_of(world), client_of(world)
    one.sends(READ)
    other.sends(READ)
    world.loop.advance(3)
    readers_show(world, None)
    runs(one, READ, world.server.last, ANSWER)
    assert state(world, other) == "placing"
    world.tick(1.9)
    other.gets_nothing()
    world.tick(0.2)
    other.gets_error(1040, "no reader for this read")
    assert placing.waiting == {}
    # nothing of that is left for the next one
    other.sends(READ)
    world.tick(4.9)
    other.gets_nothing()
    world.tick(0.2)
    other.gets_error(1040, "no reader for this read")


def test_a_kill_ends_the_wait_of_who_has_moved(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world, fallback=TO_WAIT, fallback_wait=2.0)
    client = client_of(world)
    client.sends(READ)
    world.loop.advance(4)
    readers_show(world, None)
    assert state(world, client) == "placing"
    on_writer(world, killer := client_of(world), query("DO 1"), ok())
    killer.sends(frame(KILL_QUERY % client.connection_id))
    killer.gets(ok())
    client.gets_error(1317)
    ticket = world.frontend(client).ticket
    assert ticket is not None and ticket.error is None


def test_they_are_refused_where_there_is_no_fallback(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world, fallback=TO_FAIL)
    client = client_of(world)
    client.sends(READ)
    readers_show(world, None)
    client.gets_error(1040, "no reader for this read")
    assert queues(world) == [0, 0]


# The reader is full


def test_who_has_waited_long_takes_a_backend_that_another_reader_has_left(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world)
    first, second = client_of(world), client_of(world)
    first.sends(READ)
    second.sends(READ)
    readers_show(world, 0.0)
    assert queues(world) == [2, 0]
    world.tick(LONG)
    assert queues(world) == [1, 0]
    server = reader_end(world, 2)
    server.gets(READ)
    world.tick(LONG)
    assert queues(world) == [1, 0]
    server.answers(ANSWER)
    first.gets(ANSWER)
    world.tick()
    runs(second, READ, server, ANSWER)


def test_so_does_who_waits_for_a_reader_that_takes_no_more_connections(make_world: MakeWorld) -> None:
    world = make_world(readers=2, pool_size=5)
    place_among(world)
    readers_show(world, 0.0, reader_2=None)
    holder, client = client_of(world), client_of(world)
    on_reader(world, holder, BEGIN_READ, ok(IN_TRANS))
    full = build_err(1040, b"08004", b"Too many connections", before_handshake=True)
    world.reader_servers[0].refusal = full
    client.sends(READ)
    readers_show(world, 0.0)
    assert queues(world) == [1, 0]
    world.tick(LONG)
    runs(client, READ, reader_end(world, 2), ANSWER)


def test_nobody_goes_to_the_writer_because_readers_are_full(make_world: MakeWorld) -> None:
    world, placing, (holder,) = crowd(make_world)
    client = client_of(world)
    client.sends(READ)
    world.tick(1)
    readers_show(world, 0.0, reader_2=None)
    world.tick(1)
    assert queues(world) == [1, 0]
    placing.table.writer.name, placing.table.writer.weight = world.writer.name, 1.0
    world.tick()
    runs(client, READ, world.server.last, ANSWER)
    on_reader(world, holder, COMMIT, ok())


def test_who_waits_for_a_backend_that_is_being_opened_stays(make_world: MakeWorld) -> None:
    world = make_world(readers=2, pool_size=2)
    place_among(world)
    world.reader_servers[0].is_silent = True
    client = client_of(world)
    client.sends(READ)
    world.tick(4 * LONG)
    assert queues(world) == [1, 0]


# What is not to be moved


def test_what_is_no_read_stays_with_any_reader_of_the_reader_listener(make_world: MakeWorld) -> None:
    world, _, _ = crowd(make_world)
    client = listener_client(world)
    wire = query("SET NAMES utf8mb4")
    client.sends(wire)
    readers_show(world, None)
    world.tick()
    assert queues(world) == [1, 0]
    readers_show(world, None, reader_2=0.0)
    runs(client, wire, reader_end(world, 2), ok())


def test_a_read_that_is_to_wait_for_what_was_written_stays_where_that_comes(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    placing = place_among(world)
    world.tick(1)
    readers_have(world, f"{SOURCE}:1-5", f"{SOURCE}:1-5")
    world.tick(0.1)
    world.reader_servers[0].is_silent = True
    client = client_of(world)
    writes(world, client)
    client.sends(READ)
    world.tick(LONG)
    assert queues(world) == [1]
    placing.table.readers[READER_1].gate.lost()
    world.tick()
    runs(client, READ, world.server.last, ANSWER)


def test_who_was_sent_there_before_it_was_known_who_is_what_stays(make_world: MakeWorld) -> None:
    world = make_world(readers=2, pool_size=1)
    world.reader_servers[0].is_silent = True
    client = listener_client(world)
    client.sends(READ)
    where = queues(world)
    place_among(world)
    readers_show(world, None)
    world.tick(LONG)
    assert queues(world) == where and sum(where) == 1


def test_who_waits_for_the_writer_stays_there(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=1)
    place_among(world)
    on_writer(world, client_of(world), query("BEGIN"), ok(IN_TRANS))
    client = client_of(world)
    client.sends(query("INSERT INTO t VALUES (1)"))
    world.tick(2 * LONG)
    readers_show(world, 0.0)
    assert state(world, client) == "waiting"


# Logins


def test_a_login_that_waits_for_a_reader_is_sent_to_another_one(make_world: MakeWorld) -> None:
    world, _, holders = crowd(make_world)
    holders.append(holder_of_second(world))
    readers_show(world, 0.0)
    client = world.connects(Doorway(True, False, None, False))
    client.logs_in(user=b"other", password=b"other", capabilities=NEW_CLIENT)
    where = queues(world).index(1)
    readers_show(world, 0.0)
    on_reader(world, holders[1 - where], COMMIT, ok(), number=2 - where)
    world.tick(2 * LONG)
    assert queues(world)[where] == 1
    lags = [0.0, 0.0]
    lags[where] = 9.0
    readers_show(world, lags[0], reader_2=lags[1])
    world.loop.settle()
    assert client.connected is not None
