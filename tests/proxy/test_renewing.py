"""A reader is lost in a read-only transaction: nobody need know who has seen nothing of it. (What else becomes of transactions: `test_losses`.)"""

from __future__ import annotations

import pytest

from protocol.framing import frame
from tests.fakes.client import FakeClient
from tests.fakes.placing import reader_end
from tests.fakes.reading import IN_READ_ONLY, OTHER, READ, begins_anew, begun, reads, watched
from tests.fakes.scenes import client_of
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, error, execute, ok, prepare, prepared, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

PREPARE = prepare("SELECT a FROM t")
COMMIT = query("COMMIT")
ROLLBACK = query("ROLLBACK")
ANSWER = rows(b"1", status=IN_READ_ONLY)
HALF = len(ANSWER) - 12  # within its row
GOING_DOWN = error(1053, "Server shutdown in progress")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """With servers that are watched."""
    return watched(make_world(readers=1))


def has_read(world: World, client: FakeClient) -> ServerEnd:
    server = begun(world, client)
    reads(client, server, READ, ANSWER)
    return server


def test_what_has_read_nothing_begins_anew_with_the_next_command(world: World) -> None:
    client = client_of(world)
    begun(world, client).closes()
    client.gets_nothing()
    client.sends(READ)
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    client.gets(ANSWER)


def test_a_shutdown_is_no_matter_either(world: World) -> None:
    client = client_of(world)
    begun(world, client).answers(error(1053, "Server shutdown in progress", sequence_id=0))
    client.gets_nothing()
    client.sends(READ)
    begins_anew(world).gets(READ)


def test_the_first_read_runs_once_more(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(READ)
    server.gets(READ)
    server.closes()
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    client.gets(ANSWER)


def prepares(server: ServerEnd, number: int) -> None:
    server.gets(PREPARE)
    server.answers(prepared(number))


def test_also_a_prepared_one(world: World) -> None:
    client = client_of(world)
    client.sends(PREPARE)
    server = reader_end(world)
    prepares(server, 41)
    client.got()
    assert begun(world, client) is server
    client.sends(execute(1))
    server.gets(execute(41))
    server.closes()
    server = begins_anew(world)
    prepares(server, 7)
    server.gets(execute(7))


def test_and_its_preparation(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(PREPARE)
    server.gets(PREPARE)
    server.closes()
    server = begins_anew(world)
    prepares(server, 7)
    client.gets(prepared(1))


def test_a_drain_waits_for_what_has_still_to_begin_anew(world: World) -> None:
    client = client_of(world)
    has_read(world, client).closes()
    world.loop.call(world.frontend(client).drain)
    client.gets_nothing()
    client.sends(OTHER)
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    server.gets(OTHER)
    server.answers(ANSWER)
    client.gets(ANSWER)


def test_but_not_for_ever(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(READ)
    server.gets(READ)
    server.closes()
    server = begins_anew(world)
    server.gets(READ)
    server.closes()
    client.gets_error(1213)


@pytest.mark.parametrize("text", ["SHOW TABLES", "SELECT @a"])
def test_half_an_answer_to_what_is_no_proved_read_cannot_be_taken_back(world: World, text: str) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(query(text))
    server.gets(query(text))
    server.answers(ANSWER[:HALF])
    server.closes()
    assert client.is_closed


@pytest.mark.parametrize("text", ["SELECT a FROM t FOR SHARE", "SELECT a FROM t FOR UPDATE"])
def test_what_is_no_read_does_not_run_twice(world: World, text: str) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(query(text))
    server.gets(query(text))
    server.closes()
    client.gets_error(1213)


def test_what_has_read_reads_it_once_more_first(world: World) -> None:
    client = client_of(world)
    has_read(world, client).closes()
    client.gets_nothing()
    client.sends(OTHER)
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    client.gets_nothing()
    server.gets(OTHER)
    server.answers(ANSWER)
    client.gets(ANSWER)


def test_who_would_see_another_moment_begins_again(world: World) -> None:
    client = client_of(world)
    has_read(world, client).closes()
    client.sends(OTHER)
    server = begins_anew(world)
    server.gets(READ)
    server.answers(rows(b"2", status=IN_READ_ONLY))
    client.gets_error(1213)
    assert server.is_closed


def test_so_would_who_wanted_this_moment(world: World) -> None:
    client = client_of(world)
    wire = query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    begun(world, client, wire).closes()
    client.sends(READ)
    client.gets_error(1213)


def test_a_transaction_that_may_write_is_another_matter(world: World) -> None:
    client = client_of(world)
    wire = query("/* fanin: reader */ BEGIN")
    begun(world, client, wire, IN_TRANS).closes()
    client.sends(READ)
    client.gets_error(1213)


def committed(world: World, client: FakeClient) -> None:
    """By a server that knows of no transaction."""
    server = world.server.last
    server.gets(COMMIT)
    server.answers(ok())
    client.gets(ok())


def test_its_end_needs_no_transaction(world: World) -> None:
    client = client_of(world)
    has_read(world, client).closes()
    client.gets_nothing()
    client.sends(COMMIT)
    committed(world, client)


def test_nor_when_it_was_under_way(world: World) -> None:
    client = client_of(world)
    server = has_read(world, client)
    client.sends(COMMIT)
    server.gets(COMMIT)
    server.closes()
    committed(world, client)


@pytest.mark.parametrize("text", ["COMMIT AND CHAIN", "COMMIT RELEASE"])
def test_unless_more_than_its_end_is_wanted(world: World, text: str) -> None:
    client = client_of(world)
    has_read(world, client).closes()
    client.sends(query(text))
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    server.gets(query(text))


def test_nothing_is_begun_to_be_rolled_back(world: World) -> None:
    client = client_of(world)
    begun(world, client).closes()
    client.sends(ROLLBACK)
    server = world.server.last
    server.gets(ROLLBACK)
    server.answers(ok())
    client.gets(ok())
    client.sends(READ)
    reader_end(world).gets(READ)


def test_but_to_go_back_to_a_savepoint_it_is(world: World) -> None:
    client = client_of(world)
    begun(world, client).closes()
    client.sends(query("ROLLBACK TO a"))
    begins_anew(world).gets(query("ROLLBACK TO a"))


def test_another_user_needs_no_transaction(world: World) -> None:
    client = client_of(world)
    has_read(world, client).closes()
    client.sends(frame(b"\x1f"))
    client.gets(ok())
    client.sends(OTHER)
    reader_end(world).gets(OTHER)


# It says that it goes down


def test_a_read_that_meets_the_shutdown_runs_elsewhere(world: World) -> None:
    client = client_of(world)
    server = has_read(world, client)
    client.sends(OTHER)
    server.gets(OTHER)
    server.answers(GOING_DOWN)
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    client.gets_nothing()
    server.gets(OTHER)


def test_also_behind_a_part_of_its_answer(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(READ)
    server.answers(ANSWER[:HALF])
    client.gets(ANSWER[:HALF])
    server.answers(error(1053, sequence_id=3))
    server = begins_anew(world)
    server.gets(READ)
    server.answers(ANSWER)
    assert client.got() == ANSWER[HALF:]


def test_also_outside_of_transactions(world: World) -> None:
    client = client_of(world)
    client.sends(READ)
    reader_end(world).answers(GOING_DOWN)
    server = reader_end(world)
    server.gets(READ)
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))


def test_also_the_end_of_a_transaction(world: World) -> None:
    client = client_of(world)
    server = has_read(world, client)
    client.sends(COMMIT)
    server.gets(COMMIT)
    server.answers(GOING_DOWN)
    committed(world, client)


def test_but_not_what_is_no_read(world: World) -> None:
    client = client_of(world)
    server = has_read(world, client)
    client.sends(query("SELECT a FROM t FOR SHARE"))
    server.answers(GOING_DOWN)
    client.gets(GOING_DOWN)


def test_a_writer_that_goes_down_is_looked_at(world: World) -> None:
    client = client_of(world)
    wire = query("/* fanin: writer */ SELECT a FROM t")
    client.sends(wire)
    world.backend().gets(wire)
    world.backend().answers(GOING_DOWN)
    world.backend().gets(wire)
