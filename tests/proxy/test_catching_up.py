"""Reads that wait on a reader for what their session has written."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from protocol.session_track import SessionChanges
from proxy import catching_up
from proxy.fences import NO_FENCE
from proxy.gtids import parse_gtids
from proxy.placing import CAUSAL_ATTRIBUTE, Placing, begin
from proxy.readers import RESPITE
from proxy.states import STATE_NAMES
from tests.fakes.client import FakeClient
from tests.fakes.placing import place_among, reader_end, readers_have
from tests.fakes.responses import changed
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, error, ok, prepare, prepared, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SOURCE = "97734610-e62a-11f1-8c87-02fc00000001"
READ = query("SELECT a FROM t")
WRITE = query("INSERT INTO t VALUES (1)")
ANSWER = rows(b"1")
WAIT = frame(
    b"\x03SELECT IF(@@GLOBAL.replica_preserve_commit_order OR @@GLOBAL.replica_parallel_workers<2,"
    b"WAIT_FOR_EXECUTED_GTID_SET(_latin1'97734610-e62a-11f1-8c87-02fc00000001:6',0.100),2) LIMIT 1"
)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A writer and one reader, both at the fifth transaction."""
    made = make_world(readers=1, pool_size=2)
    place_among(made)
    made.tick(1)
    readers_have(made, f"{SOURCE}:1-5", f"{SOURCE}:1-5")
    made.tick(0.1)
    return made


def placing_of(world: World) -> Placing:
    assert world.shared.placing is not None
    return world.shared.placing


def told(gtids: str) -> bytes:
    return ok(changes=SessionChanges(gtids=gtids.encode()))


def client_of(world: World) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT)


def state(world: World, client: FakeClient) -> str:
    return STATE_NAMES[world.frontend(client).state]


def writes(world: World, client: FakeClient, answer: bytes | None = None, wire: bytes = WRITE) -> None:
    """The writer says that this was its sixth transaction."""
    client.sends(wire)
    server = world.server.last
    server.gets(wire)
    server.answers(told(f"{SOURCE}:6") if answer is None else answer)
    if server.got():
        # whether the transaction goes on, after an error
        server.answers(ok())
    client.got()


def waits(world: World, client: FakeClient, wire: bytes = READ) -> None:
    """The reader is asked to wait."""
    client.sends(wire)
    reader_end(world).gets(WAIT)
    assert state(world, client) == "catching-up"
    client.gets_nothing()


def on_writer(world: World, client: FakeClient, wire: bytes = READ) -> None:
    world.server.last.gets(wire)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)


def on_reader(world: World, client: FakeClient, wire: bytes = READ) -> None:
    reader_end(world).gets(wire)
    reader_end(world).answers(ANSWER)
    client.gets(ANSWER)


def test_a_read_waits_on_its_reader_until_that_has_what_was_written(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(rows(b"0"))
    on_reader(world, client)
    # it is known now
    client.sends(READ)
    on_reader(world, client)
    found = placing_of(world).routes()
    assert found["reader"] == {"proved-read": 2} and found["events"] == {"reader-caught-up": 1}


KEYED = query("/* fanin: causal=k */ SELECT a FROM t")
WRITE_KEYED = query("/* fanin: causal=k */ INSERT INTO t VALUES (1)")


def test_who_shares_a_key_with_the_writer_waits_for_its_transaction(world: World) -> None:
    client, other = client_of(world), client_of(world)
    writes(world, client, wire=WRITE_KEYED)
    waits(world, other, KEYED)
    reader_end(world).answers(rows(b"0"))
    on_reader(world, other, KEYED)
    # and whoever comes then finds it there
    third = client_of(world)
    third.sends(KEYED)
    on_reader(world, third, KEYED)
    found = placing_of(world).routes()
    assert found["reader"] == {"proved-read": 2} and found["events"] == {"reader-caught-up": 1}


def test_of_a_write_whose_transaction_was_not_told_nobody_waits_for_a_key(world: World) -> None:
    client, other = client_of(world), client_of(world)
    writes(world, client, wire=WRITE_KEYED, answer=ok())
    other.sends(KEYED)
    on_writer(world, other, KEYED)


def test_nobody_waits_for_what_the_monitor_has_seen(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    world.tick(0.1)
    readers_have(world, f"{SOURCE}:1-6", f"{SOURCE}:1-6")
    client.sends(READ)
    on_reader(world, client)
    assert placing_of(world).routes()["events"] == {}


def test_what_a_session_has_waited_for_another_finds_there(world: World) -> None:
    client, other = client_of(world), client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(rows(b"0"))
    on_reader(world, client)
    writes(world, other)
    other.sends(READ)
    on_reader(world, other)


def test_when_it_waits_in_vain_the_writer_runs_it(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(rows(b"1"))
    on_writer(world, client)
    reader_end(world).gets_nothing()
    # not again for a while, and the backend is as good as before
    client.sends(READ)
    on_writer(world, client)
    assert placing_of(world).routes()["events"] == {"reader-late": 1}
    assert world.shared.readers[0].core.leased_count == 0
    world.tick(RESPITE)
    readers_have(world, f"{SOURCE}:1-5", f"{SOURCE}:1-5")
    world.tick(0.1)
    writes(world, client)
    waits(world, client)


@pytest.mark.parametrize("answer", [rows(b"2"), error(1193, "Unknown system variable")])
def test_a_reader_that_cannot_say_is_not_asked_again(world: World, answer: bytes) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(answer)
    on_writer(world, client)
    world.tick(RESPITE)
    readers_have(world, f"{SOURCE}:1-5", f"{SOURCE}:1-5")
    world.tick(0.1)
    writes(world, client)
    client.sends(READ)
    on_writer(world, client)


def test_a_question_that_is_interrupted_may_be_asked_again(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(error(3024))
    on_writer(world, client)
    assert placing_of(world).table.readers[world.shared.readers[0].name].can_wait


@pytest.mark.parametrize("is_under_way", [True, False])
def test_who_kills_the_question_means_the_command(world: World, is_under_way: bool) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    backend = world.frontend(client).backend
    assert backend is not None
    backend.kills = int(is_under_way)
    answer = error(1317, "Query execution was interrupted")
    reader_end(world).answers(answer)
    client.gets(answer)
    assert world.frontend(client).backend is None and state(world, client) == "ready"
    assert reader_end(world).is_closed == is_under_way
    # the next one is asked to wait for again
    world.tick(RESPITE)
    client.sends(READ)
    world.server.last.gets_nothing()


def test_where_the_session_has_parked_something_it_does_not_wait(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(rows(b"0"))
    reader_end(world).gets(READ)
    reader_end(world).answers(ok(warnings=1))
    frontend = world.frontend(client)
    assert frontend.parked_endpoint is world.shared.readers[0] and frontend.session.residue
    placement, placing = frontend.placement, placing_of(world)
    assert placement is not None
    placement.view.wrote(world.loop.time(), parse_gtids(f"{SOURCE}:8", False))
    assert catching_up.chosen(frontend, placing, placement, world.loop.time(), NO_FENCE) is None


def test_what_was_to_be_waited_for_elsewhere_is_forgotten(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    placement = world.frontend(client).placement
    assert placement is not None
    placement.awaited = parse_gtids(f"{SOURCE}:8", False)
    assert not catching_up.asks(world.frontend(client), placement)
    assert placement.awaited is None


def test_no_row_is_no_answer(world: World) -> None:
    """sql_select_limit = 0, which the session before has left."""
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(rows())
    on_writer(world, client)


def test_a_reader_that_dies_meanwhile_costs_nothing(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    reader_end(world).closes()
    # another connection to it is asked
    reader_end(world).gets(WAIT)
    reader_end(world).answers(rows(b"0"))
    on_reader(world, client)


def test_a_client_that_leaves_meanwhile_costs_the_backend(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    waits(world, client)
    client.leaves()
    assert reader_end(world).is_closed


def test_a_read_only_transaction_waits_before_it_begins(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    start = query("START TRANSACTION READ ONLY")
    waits(world, client, start)
    reader_end(world).answers(rows(b"0"))
    reader_end(world).gets(start)
    reader_end(world).answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    client.sends(READ)
    reader_end(world).gets(READ)


def test_the_sessions_state_is_restored_after_the_wait(world: World) -> None:
    client = client_of(world)
    client.sends(query("SET time_zone='+01:00'"))
    world.server.last.got()
    world.server.last.answers(ok(changes=changed(("time_zone", "+01:00"))))
    client.got()
    writes(world, client)
    waits(world, client)
    reader_end(world).answers(rows(b"0"))
    (restoring,) = reader_end(world).got()
    assert b"time_zone" in restoring


@pytest.mark.parametrize("answer", [ok(), error(1062)])
def test_a_write_whose_transaction_is_not_told_is_not_waited_for(world: World, answer: bytes) -> None:
    client = client_of(world)
    writes(world, client, answer)
    client.sends(READ)
    on_writer(world, client)


def test_after_an_error_it_is_not_certain_which_transaction_is_told(world: World) -> None:
    client = client_of(world)
    writes(world, client, error(1146), query("/* fanin: writer */ SELECT a FROM t"))
    writes(world, client)
    client.sends(READ)
    on_writer(world, client)
    world.tick(0.01)
    writes(world, client, told(f"{SOURCE}:7"))
    client.sends(READ)
    (asked,) = reader_end(world).got()
    assert f"{SOURCE}:6-7".encode() in asked


def test_what_was_read_on_the_writer_since_is_not_waited_for(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    world.tick(0.01)
    client.sends(query("SELECT a FROM t FOR UPDATE"))
    on_writer(world, client, query("SELECT a FROM t FOR UPDATE"))
    client.sends(READ)
    on_writer(world, client)


def test_where_it_is_configured_nobody_waits(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, gtid_wait=0.0)
    world.tick(1)
    readers_have(world, f"{SOURCE}:1-5", f"{SOURCE}:1-5")
    world.tick(0.1)
    client = client_of(world)
    writes(world, client)
    client.sends(READ)
    on_writer(world, client)


def test_those_who_wait_have_half_of_a_readers_backends(world: World) -> None:
    client, other = client_of(world), client_of(world)
    writes(world, client)
    waits(world, client)
    writes(world, other, told(f"{SOURCE}:7"))
    other.sends(READ)
    on_writer(world, other)


def test_a_preparation_does_not_wait(world: World) -> None:
    client = client_of(world)
    writes(world, client)
    wire = prepare("SELECT a FROM t")
    client.sends(wire)
    world.server.last.gets(wire)
    world.server.last.answers(prepared(1))


def test_of_two_that_share_a_key_the_second_finds_what_the_first_has_waited_for(world: World) -> None:
    client, other = client_of(world), client_of(world)
    for each in (client, other):
        begin(world.frontend(each), {CAUSAL_ATTRIBUTE: b"user:7"})
    writes(world, client)
    world.tick(0.01)
    waits(world, client)
    reader_end(world).answers(rows(b"0"))
    on_reader(world, client)
    other.sends(READ)
    on_reader(world, other)
