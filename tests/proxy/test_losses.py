"""What becomes of a transaction when its server connection breaks. (Other losses: `test_lessee`.)"""

from __future__ import annotations

import pytest

from config.cluster import InTransaction
from protocol.framing import frame
from proxy.topology_actions import Signal
from tests.fakes.client import FakeClient
from tests.fakes.cluster import Lab
from tests.fakes.scenes import client_of, in_transaction, prepared_by
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, PROBE, error, execute, ok, prepare, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

PING = frame(b"\x0e")
RESET = frame(b"\x1f")
SHUTDOWN = error(1053, "Server shutdown in progress", sequence_id=0)
INSERT = query("INSERT INTO t VALUES (1)")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """With servers that are watched."""
    made = make_world(readers=1)
    Lab(made).stable()
    return made


def begins_again(world: World, client: FakeClient) -> None:
    """The client is served, and without a transaction."""
    client.sends(query("BEGIN"))
    server = world.server.last
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def running(world: World, client: FakeClient, wire: bytes) -> ServerEnd:
    """The client has a transaction in which this runs."""
    server = in_transaction(world, client)
    client.sends(wire)
    while server.got() != [wire[4:]]:
        # it is prepared
        server.answers(ok(IN_TRANS))
    return server


@pytest.mark.parametrize(
    "wire",
    [
        INSERT,
        query("/* why */ update t SET a = 1"),
        query("SELECT a FROM t"),
        query("SELECT f(a) FROM t"),
        PING,
        prepare("COMMIT"),
    ],
)
def test_a_transaction_that_was_not_committed_may_begin_again(world: World, wire: bytes) -> None:
    client = world.client()
    running(world, client, wire).closes()
    client.gets_error(1213, "try restarting transaction")
    begins_again(world, client)


@pytest.mark.parametrize(
    "text",
    [
        "COMMIT",
        "CALL p()",
        "CREATE TABLE u (a INT)",
        "SELECT 1; COMMIT",
        "INSERT INTO t VALUES (1); SELECT 1",
    ],
)
def test_of_one_that_may_have_been_nobody_knows(world: World, text: str) -> None:
    client = world.client()
    running(world, client, query(text)).closes()
    client.gets_error(2013, "may or may not have been executed")
    assert client.is_closed


@pytest.mark.parametrize(("text", "code"), [("INSERT INTO t VALUES (1)", 1213), ("COMMIT", 2013)])
def test_so_it_is_with_prepared_statements(world: World, text: str, code: int) -> None:
    client = world.client()
    server = prepared_by(world, client, text)
    in_transaction(world, client)
    client.sends(execute(1))
    server.got()
    server.closes()
    client.gets_error(code)


def test_other_commands_may_have_done_something(world: World) -> None:
    client = world.client()
    running(world, client, frame(b"\x02app")).closes()
    client.gets_error(2013)


def test_half_an_answer_ends_the_connection(world: World) -> None:
    client = world.client()
    server = running(world, client, query("SELECT a FROM t"))
    server.answers(frame(b"\x01", 1))
    server.closes()
    assert client.is_closed


@pytest.mark.parametrize("wire", [INSERT, query("COMMIT"), query("ROLLBACK TO SAVEPOINT a"), execute(1)])
def test_while_no_command_runs_the_next_one_is_told(world: World, wire: bytes) -> None:
    client = world.client()
    prepared_by(world, client, "INSERT INTO t VALUES (1)")
    in_transaction(world, client).closes()
    client.gets_nothing()
    client.sends(wire)
    client.gets_error(1213)
    begins_again(world, client)


@pytest.mark.parametrize("text", ["ROLLBACK", "rollback and no chain"])
def test_unless_it_gives_the_transaction_up(world: World, text: str) -> None:
    client = world.client()
    in_transaction(world, client).closes()
    client.sends(query(text))
    server = world.server.last
    server.gets(query(text))
    server.answers(ok())
    client.gets(ok())
    begins_again(world, client)


def test_or_the_session(world: World) -> None:
    client = world.client()
    in_transaction(world, client).closes()
    client.sends(RESET)
    client.got()
    begins_again(world, client)


def test_a_server_that_says_why_it_closes_is_not_quoted(world: World) -> None:
    client = world.client()
    in_transaction(world, client).answers(SHUTDOWN)
    client.gets_nothing()
    client.sends(INSERT)
    client.gets_error(1213)


def test_nor_is_it_when_it_says_so_to_a_command_of_ours(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    monitor = Lab(world).stable().monitored()
    client = client_of(world)
    prepared_by(world, client, "INSERT INTO t VALUES (1)").closes()
    server = in_transaction(world, client)
    client.sends(execute(1))
    server.gets(prepare("INSERT INTO t VALUES (1)"))
    server.answers(error(1053, "Server shutdown in progress"))
    client.gets_error(1213)
    assert monitor.signals == [("writer", Signal.SHUTDOWN)]


def test_so_it_is_while_nothing_but_our_own_probe_runs(world: World) -> None:
    client = world.client()
    server = running(world, client, INSERT)
    duplicate = error(1062, "Duplicate")
    server.answers(duplicate)
    client.gets(duplicate)
    assert server.got() == [PROBE[4:]]
    server.breaks()
    client.gets_nothing()
    client.sends(INSERT)
    client.gets_error(1213)
    begins_again(world, client)


def test_unless_it_has_closed_this_one_connection(world: World) -> None:
    client = world.client()
    killed = error(1927, "Connection was killed", sequence_id=0)
    in_transaction(world, client).answers(killed)
    client.gets(killed)
    assert client.is_closed


def test_what_else_the_session_had_there_is_lost_with_it(world: World) -> None:
    client = world.client()
    client.sends(query("SELECT GET_LOCK('a', 1)"))
    world.backend().got()
    world.backend().answers(ok())
    client.got()
    in_transaction(world, client).closes()
    assert client.is_closed


def test_without_watched_servers_the_connection_is_lost_as_a_direct_one(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    client = world.client()
    running(world, client, INSERT).closes()
    client.gets_error(2013)
    assert client.is_closed


def test_or_where_that_is_preferred(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    Lab(world, in_transaction=InTransaction.LOST).stable()
    client = world.client()
    in_transaction(world, client).closes()
    assert client.is_closed
