"""BEGIN, answered before a server has heard of it."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from tests.fakes.client import FakeClient
from tests.fakes.cluster import Lab
from tests.fakes.scenes import client_of, prepared_by
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, close_statement, error, execute, ok, query, reset_statement
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

BEGIN = query("BEGIN")
INSERT = query("INSERT INTO t VALUES (1)")
RESET = frame(b"\x1f")
READ = query("/* fanin: reader */ SELECT a FROM t")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(readers=1)
    lab = Lab(made).stable()
    assert lab.cluster.placing is not None
    lab.cluster.placing.rules.late_begin = True
    return made


def begun(world: World, text: str = "BEGIN") -> FakeClient:
    """A client that was told so, and nobody else was."""
    client = world.client()
    client.sends(query(text))
    client.gets(ok(IN_TRANS))
    assert [end.got() for end in world.server.ends] == [[] for _ in world.server.ends]
    return client


def begins(server: ServerEnd, text: str = "BEGIN") -> None:
    server.gets(query(text))
    server.answers(ok(IN_TRANS))


@pytest.mark.parametrize("text", ["BEGIN", "start transaction"])
def test_it_runs_before_the_first_statement(world: World, text: str) -> None:
    client = begun(world, text)
    client.sends(INSERT)
    server = world.backend()
    begins(server, text)
    client.gets_nothing()
    server.gets(INSERT)
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"


def test_commands_that_come_together_keep_their_order(world: World) -> None:
    client = world.client()
    client.sends(BEGIN + INSERT + query("COMMIT"))
    client.gets(ok(IN_TRANS))
    server = world.backend()
    begins(server)
    for wire, status in ((INSERT, IN_TRANS), (query("COMMIT"), 2)):
        server.gets(wire)
        server.answers(ok(status))
        client.gets(ok(status))


def test_also_behind_one_that_needs_no_server(world: World) -> None:
    client = client_of(world)
    prepared_by(world, client, "INSERT INTO t VALUES (1)")
    client.sends(BEGIN + reset_statement(1) + INSERT)
    server = world.backend()
    begins(server)
    client.gets(ok(IN_TRANS), ok(IN_TRANS))
    server.gets(INSERT)


def test_its_hint_sends_all_of_it_to_a_reader(world: World) -> None:
    client = begun(world)
    client.sends(READ)
    server = world.reader_servers[0].last
    begins(server)
    server.gets(READ)
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))


def test_prepared_statements_have_no_hint(world: World) -> None:
    client = world.client()
    server = prepared_by(world, client, "INSERT INTO t VALUES (1)", real_id=7)
    client.sends(BEGIN)
    client.gets(ok(IN_TRANS))
    client.sends(execute(1))
    begins(server)
    server.gets(execute(7))


@pytest.mark.parametrize(
    "text",
    [
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "START TRANSACTION READ WRITE",
        "/* fanin: writer */ BEGIN",
        "/* fanin: causal=k */ BEGIN",
        "SELECT 1",
    ],
)
def test_others_are_not_answered_here(world: World, text: str) -> None:
    client = world.client()
    client.sends(query(text))
    world.backend().gets(query(text))
    client.gets_nothing()


def test_nor_while_something_is_to_be_asked_of_a_backend(world: World) -> None:
    client = world.client()
    client.sends(INSERT)
    world.backend().got()
    world.backend().answers(ok(insert_id=5))
    client.got()
    client.sends(BEGIN)
    world.backend().gets(BEGIN)


def test_nor_unless_configured(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    Lab(world).stable()
    client = world.client()
    client.sends(BEGIN)
    world.backend().gets(BEGIN)


def test_when_it_cannot_be_run_the_next_command_begins_it(world: World) -> None:
    client = begun(world)
    client.sends(INSERT)
    server = world.backend()
    server.gets(BEGIN)
    server.answers(error(1040, "Too many connections"))
    client.gets_error(1040)
    client.sends(INSERT)
    server.got()
    world.server.last.answers(ok())
    server = world.server.last
    begins(server)
    server.gets(INSERT)


def test_it_is_run_again_when_its_connection_breaks(world: World) -> None:
    client = begun(world)
    client.sends(INSERT)
    world.backend().closes()
    client.gets_nothing()
    server = world.server.last
    begins(server)
    server.gets(INSERT)


def test_an_error_for_want_of_a_backend_leaves_it_to_be_begun(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=1)
    lab = Lab(world).stable()
    assert lab.cluster.placing is not None
    lab.cluster.placing.rules.late_begin = True
    other = world.client()
    other.sends(INSERT)
    server = world.backend()
    server.gets(INSERT)
    client = begun(world)
    client.sends(INSERT)
    world.tick(60)
    client.gets_error(1040)
    server.answers(ok())
    client.sends(INSERT)
    begins(server)


@pytest.mark.parametrize("ending", [RESET, frame(b"\x01")])
def test_it_never_begins_when_the_session_ends_first(world: World, ending: bytes) -> None:
    client = begun(world)
    client.sends(ending)
    client.got()
    if ending == RESET:
        client.sends(INSERT)
        world.backend().gets(INSERT)


def test_what_has_no_answer_does_not_begin_it(world: World) -> None:
    client = begun(world)
    client.sends(close_statement(9))
    client.gets_nothing()
    client.sends(INSERT)
    begins(world.backend())
