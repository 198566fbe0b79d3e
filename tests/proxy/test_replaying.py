"""Answers of a reader that is lost are made once more by another: as if it had given them from the beginning, or not at all."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from proxy.bouncing import MOST_TRIES
from tests.fakes import reading
from tests.fakes.client import FakeClient
from tests.fakes.placing import place_among, reader_end
from tests.fakes.reading import BEGIN, IN_READ_ONLY, OTHER, READ, begins_anew, begun, watched
from tests.fakes.responses import changed
from tests.fakes.scenes import client_of
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    AUTOCOMMIT,
    close_statement,
    error,
    execute,
    long_data,
    ok,
    params,
    prepare,
    prepared,
    query,
    reset_statement,
    rows,
)
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

VALUES = [bytes([digit]) * 20 for digit in b"0123456789"]
ANSWER = rows(*VALUES)
PART = 150
ROW = len(rows(*VALUES[:6])) - len(frame(b"\xfe\0\0\2\0\0\0"))
"""Where the sixth row ends."""
IN_IT = rows(*VALUES, status=IN_READ_ONLY)
INT = b"\xfd\x00"
LONGLONG = b"\x08\x00"
TEXT = "SELECT a FROM t WHERE id = ?"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """With servers that are watched."""
    return watched(make_world(readers=1))


def has_a_part(world: World, client: FakeClient, wire: bytes = READ, answer: bytes = ANSWER) -> None:
    """The reader has died in the middle of an answer."""
    client.sends(wire)
    server = reader_end(world)
    server.gets(wire)
    server.answers(answer[:PART])
    client.gets(answer[:PART])
    server.breaks()
    client.gets_nothing()


# Outside of transactions


@pytest.mark.parametrize("size", [1, 5, PART - 1, PART, PART + 1, len(ANSWER)])
def test_an_answer_goes_on_where_it_has_stopped(world: World, size: int) -> None:
    client = client_of(world)
    has_a_part(world, client)
    server = reader_end(world)
    server.gets(READ)
    for start in range(0, len(ANSWER), size):
        server.answers(ANSWER[start : start + size])
    assert client.got() == ANSWER[PART:]
    client.sends(OTHER)
    server.gets(OTHER)
    server.answers(ANSWER)
    client.gets(ANSWER)


def test_also_on_the_next_writer(make_world: MakeWorld) -> None:
    world = watched(make_world())
    client = client_of(world)
    client.sends(READ)
    world.backend().gets(READ)
    world.backend().answers(ANSWER[:PART])
    client.gets(ANSWER[:PART])
    world.backend().breaks()
    world.backend().gets(READ)
    world.backend().answers(ANSWER)
    assert client.got() == ANSWER[PART:]


def test_also_twice(world: World) -> None:
    client = client_of(world)
    has_a_part(world, client)
    server = reader_end(world)
    server.gets(READ)
    server.answers(ANSWER[: PART + 30])
    assert client.got() == ANSWER[PART : PART + 30]
    server.breaks()
    server = reader_end(world)
    server.answers(ANSWER[: PART - 1])
    server.breaks()
    server = reader_end(world)
    server.answers(ANSWER)
    assert client.got() == ANSWER[PART + 30 :]


@pytest.mark.parametrize("answer", [rows(*VALUES[:-1], b"X"), rows(*reversed(VALUES)), rows(b"0")])
def test_what_the_client_has_must_be_in_it(world: World, answer: bytes) -> None:
    client = client_of(world)
    client.sends(READ)
    server = reader_end(world)
    server.answers(ANSWER[:-12])
    server.breaks()
    client.got()
    server = reader_end(world)
    server.gets(READ)
    server.answers(answer)
    client.gets_nothing()
    assert client.is_closed


def test_another_answer_ends_the_connection_before_it_is_complete(world: World) -> None:
    client = client_of(world)
    has_a_part(world, client)
    server = reader_end(world)
    server.answers(rows(*reversed(VALUES))[: PART + 10])
    assert client.is_closed


def test_an_error_in_place_of_the_answer_ends_the_connection(world: World) -> None:
    client = client_of(world)
    has_a_part(world, client)
    reader_end(world).answers(error(1146))
    client.gets_nothing()
    assert client.is_closed


def test_an_error_behind_what_the_client_has_is_the_clients(world: World) -> None:
    client = client_of(world)
    has_a_part(world, client)
    refusal = error(3024, sequence_id=ANSWER[ROW + 3])
    reader_end(world).answers(ANSWER[:ROW] + refusal)
    assert client.got() == ANSWER[PART:ROW] + refusal
    assert not client.is_closed


def test_when_no_server_is_left_the_connection_ends(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world)
    client = client_of(world)
    has_a_part(world, client)
    for _ in range(MOST_TRIES):
        assert not client.is_closed
        reader_end(world).breaks()
    client.gets_nothing()
    assert client.is_closed


def test_what_waits_behind_it_runs_after_it(world: World) -> None:
    client = client_of(world)
    client.sends(READ, OTHER)
    server = reader_end(world)
    server.answers(ANSWER[:PART])
    server.breaks()
    server = reader_end(world)
    server.gets(READ)
    server.answers(ANSWER)
    client.gets(ANSWER)
    server.gets(OTHER)


@pytest.mark.parametrize("text", ["SHOW TABLES", "SELECT a FROM t FOR UPDATE", "SELECT @a := a FROM t"])
def test_half_of_another_answer_cannot_be_taken_back(world: World, text: str) -> None:
    client = client_of(world)
    client.sends(query(text))
    (server,) = [end for end in world.server.ends if end.got() == [b"\x03" + text.encode()]]
    server.answers(ANSWER[:PART])
    client.gets(ANSWER[:PART])
    server.breaks()
    assert client.is_closed


# In read-only transactions


def reads(client: FakeClient, server: ServerEnd, wire: bytes = READ, answer: bytes = IN_IT) -> None:
    reading.reads(client, server, wire, answer)


def read_again(server: ServerEnd, wire: bytes = READ, answer: bytes = IN_IT) -> None:
    server.gets(wire)
    server.answers(answer)


def test_all_is_read_once_more_in_order(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    reads(client, server, OTHER)
    reads(client, server)
    client.sends(OTHER)
    server.gets(OTHER)
    server.breaks()
    server = begins_anew(world)
    for wire in (READ, OTHER, READ):
        read_again(server, wire)
    client.gets_nothing()
    reads_on = rows(b"new", status=IN_READ_ONLY)
    server.gets(OTHER)
    server.answers(reads_on)
    client.gets(reads_on)
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    client.gets(ok())


def test_the_next_transaction_begins_with_nothing_behind_it(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    client.gets(ok())
    assert begun(world, client) is server
    server.breaks()
    client.sends(OTHER)
    begins_anew(world).gets(OTHER)


def test_it_is_not_read_a_third_time(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    server.breaks()
    client.sends(OTHER)
    server = begins_anew(world)
    read_again(server)
    server.gets(OTHER)
    server.breaks()
    client.gets_error(1213)


def test_nor_when_it_is_lost_while_it_is_read_once_more(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    server.breaks()
    client.sends(OTHER)
    server = begins_anew(world)
    server.gets(READ)
    server.answers(IN_IT[:PART])
    server.breaks()
    client.gets_error(1213)
    server = begun(world, client)
    reads(client, server)


def test_a_read_that_is_refused_once_more_ends_it(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    server.breaks()
    client.sends(OTHER)
    read_again(begins_anew(world), READ, error(1146))
    client.gets_error(1213)
    client.sends(OTHER)
    reader_end(world).gets(OTHER)


def test_so_does_a_transaction_that_cannot_begin(world: World) -> None:
    client = client_of(world)
    begun(world, client).breaks()
    client.sends(OTHER)
    server = reader_end(world)
    server.gets(BEGIN)
    server.answers(error(1205))
    client.gets_error(1213)


def test_without_a_cluster_nobody_is_told_to_begin_again(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world)
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    server.breaks()
    client.sends(OTHER)
    read_again(begins_anew(world), READ, rows(b"X", status=IN_READ_ONLY))
    client.gets_error(2013)
    assert client.is_closed


def test_a_part_of_an_answer_goes_on_behind_what_was_read(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    has_a_part(world, client, OTHER, IN_IT)
    server = begins_anew(world)
    read_again(server)
    client.gets_nothing()
    server.gets(OTHER)
    server.answers(IN_IT[: PART - 3])
    client.gets_nothing()
    server.answers(IN_IT[PART - 3 :])
    assert client.got() == IN_IT[PART:]


@pytest.mark.parametrize("is_first_other", [False, True])
def test_or_the_connection_ends(world: World, is_first_other: bool) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    has_a_part(world, client, OTHER, IN_IT)
    server = begins_anew(world)
    changed = rows(*reversed(VALUES), status=IN_READ_ONLY)
    if is_first_other:
        read_again(server, READ, changed)
    else:
        read_again(server)
        read_again(server, OTHER, changed)
    client.gets_nothing()
    assert client.is_closed


@pytest.mark.parametrize("text", ["SHOW TABLES", "SELECT @a", "SELECT a FROM t FOR UPDATE"])
def test_who_has_done_more_than_read_begins_again(world: World, text: str) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    reads(client, server, query(text))
    server.breaks()
    client.sends(READ)
    client.gets_error(1213)


def test_who_is_interrupted_before_it_begins_anew_has_it_still_to_come(world: World) -> None:
    client, other, third = client_of(world), client_of(world), client_of(world)
    server = begun(world, client)
    reads(client, server)
    other.sends(READ)
    server.breaks()
    server = reader_end(world)
    server.gets(READ)
    client.sends(OTHER)
    third.sends(query(f"KILL QUERY {client.connection_id}"))
    client.gets_error(1317)
    server.answers(ANSWER)
    other.gets(ANSWER)
    client.sends(OTHER)
    server.gets(BEGIN)
    server.answers(ok(IN_READ_ONLY))
    read_again(server)
    client.gets_nothing()
    read_again(server, OTHER)
    client.gets(IN_IT)


@pytest.mark.parametrize("is_same", [True, False])
def test_long_data_may_go_to_a_server_before_it_begins_anew(world: World, is_same: bool) -> None:
    client = client_of(world)
    client.sends(prepare(TEXT))
    reader_end(world).gets(prepare(TEXT))
    reader_end(world).answers(prepared(41, num_params=1))
    client.gets(prepared(1, num_params=1))
    server = begun(world, client)
    reads(client, server)
    server.breaks()
    client.sends(long_data(1, 0, b"x" * 70000))
    server = world.backend()
    server.gets(prepare(TEXT))
    server.answers(prepared(7, num_params=1))
    server.got()
    client.sends(OTHER)
    server.gets(BEGIN)
    server.answers(ok(IN_READ_ONLY))
    read_again(server, READ, IN_IT if is_same else rows(b"X", status=IN_READ_ONLY))
    if is_same:
        read_again(server, OTHER)
        client.gets(IN_IT)
    else:
        # 1213 would mean that the long data is still there
        client.gets_error(2013)
        assert client.is_closed


def test_what_changes_nothing_may_come_between(world: World) -> None:
    client = client_of(world)
    server = begun(world, client)
    reads(client, server)
    reads(client, server, frame(b"\x0e"), ok(IN_READ_ONLY))
    server.breaks()
    client.sends(OTHER)
    server = begins_anew(world)
    read_again(server)
    server.gets(OTHER)


def sets(world: World, client: FakeClient, text: str, status: int, name: str, value: str) -> None:
    client.sends(query(text))
    server = world.backend()
    server.gets(query(text))
    server.answers(ok(status, changes=changed((name, value))))
    client.got()


def test_a_session_without_autocommit_begins_with_its_first_read(world: World) -> None:
    client = client_of(world)
    sets(world, client, "SET SESSION TRANSACTION READ ONLY", AUTOCOMMIT, "transaction_read_only", "ON")
    sets(world, client, "SET autocommit = 0", 0, "autocommit", "OFF")
    client.sends(READ)
    restored(world)
    server = reader_end(world)
    read_again(server)
    client.gets(IN_IT)
    reads(client, server, OTHER)
    server.breaks()
    client.sends(OTHER)
    restored(world)
    server = reader_end(world)
    read_again(server)
    client.gets_nothing()
    read_again(server, OTHER)
    client.gets_nothing()
    read_again(server, OTHER)
    client.gets(IN_IT)


def restored(world: World) -> None:
    """The reader has the session's state."""
    server = reader_end(world)
    (got,) = server.got()
    assert got.startswith(b"\x03SET ")
    server.answers(ok(0))


# Prepared statements


def has_read_by_id(world: World, client: FakeClient, wire: bytes, sent: bytes) -> ServerEnd:
    """In its transaction, a statement that it has prepared with one parameter."""
    client.sends(prepare(TEXT))
    server = reader_end(world)
    server.gets(prepare(TEXT))
    server.answers(prepared(41, num_params=1))
    client.gets(prepared(1, num_params=1))
    assert begun(world, client) is server
    client.sends(wire)
    server.gets(sent)
    server.answers(IN_IT)
    client.gets(IN_IT)
    return server


def is_over_when_it_is_lost(client: FakeClient, server: ServerEnd) -> None:
    """What it has just asked cannot be asked again."""
    server.answers(IN_IT)
    client.gets(IN_IT)
    server.breaks()
    client.sends(OTHER)
    client.gets_error(1213)


def test_prepared_reads_are_executed_once_more(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound)).breaks()
    client.sends(OTHER)
    server = begins_anew(world)
    server.gets(prepare(TEXT))
    server.answers(prepared(7, num_params=1))
    read_again(server, execute(7, params=bound))
    server.gets(OTHER)


def has_begun_by_id(world: World, client: FakeClient) -> ServerEnd:
    """Without autocommit, by a statement that it has prepared."""
    sets(world, client, "SET SESSION TRANSACTION READ ONLY", AUTOCOMMIT, "transaction_read_only", "ON")
    sets(world, client, "SET autocommit = 0", 0, "autocommit", "OFF")
    client.sends(prepare("SELECT a FROM t"))
    restored(world)
    server = reader_end(world)
    server.gets(prepare("SELECT a FROM t"))
    server.answers(prepared(41))
    client.got()
    client.sends(execute(1))
    read_again(server, execute(41))
    client.gets(IN_IT)
    return server


def test_also_when_it_was_the_first_of_a_session_without_autocommit(world: World) -> None:
    client = client_of(world)
    server = has_begun_by_id(world, client)
    server.breaks()
    client.sends(OTHER)
    restored(world)
    server = reader_end(world)
    server.gets(prepare("SELECT a FROM t"))
    server.answers(prepared(7))
    read_again(server, execute(7))
    client.gets_nothing()
    read_again(server, OTHER)
    client.gets(IN_IT)


def test_what_waits_behind_a_command_that_needs_no_server_runs_after_it(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound)).breaks()
    client.sends(reset_statement(1), OTHER)
    server = begins_anew(world)
    server.gets(prepare(TEXT))
    server.answers(prepared(7, num_params=1))
    read_again(server, execute(7, params=bound))
    client.gets(ok(IN_READ_ONLY))
    server.gets(OTHER)


def test_not_one_that_was_closed_since(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    server = has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound))
    client.sends(close_statement(1))
    server.breaks()
    client.sends(OTHER)
    client.gets_error(1213)


def test_nor_when_it_has_begun_the_transaction(world: World) -> None:
    client = client_of(world)
    has_begun_by_id(world, client)
    client.sends(close_statement(1))
    reader_end(world).breaks()
    client.sends(OTHER)
    client.gets_error(1213)
    client.sends(OTHER)
    restored(world)
    server = reader_end(world)
    server.gets(OTHER)
    server.answers(IN_IT)
    client.gets(IN_IT)


def test_nor_when_its_next_execution_is_under_way(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    server = has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound))
    client.sends(long_data(1, 0, b"other"))
    server.breaks()
    client.sends(execute(1, params=b"\0\1" + INT))
    client.gets_error(1213)


def test_nor_when_it_has_other_types_since(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    server = has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound))
    client.sends(execute(1, params=b"\0\1" + LONGLONG + b"12345678"))
    server.gets(prepare(TEXT))
    server.answers(prepared(42, num_params=1))
    server.got()
    is_over_when_it_is_lost(client, server)
    # these are the types that the client means
    client.sends(execute(1, params=b"\0\0" + b"12345678"))
    server = reader_end(world)
    server.gets(prepare(TEXT))
    server.answers(prepared(7, num_params=1))
    server.gets(execute(7, params=b"\0\1" + LONGLONG + b"12345678"))


def test_nor_one_that_cannot_be_prepared_there(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound)).breaks()
    client.sends(OTHER)
    server = begins_anew(world)
    server.gets(prepare(TEXT))
    server.answers(error(1146))
    client.gets_error(1213)
    client.sends(OTHER)
    reader_end(world).gets(OTHER)


def test_what_is_not_made_again_is_told_as_it_is(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    client.sends(prepare(TEXT))
    server = reader_end(world)
    server.gets(prepare(TEXT))
    server.answers(prepared(41, num_params=1))
    client.gets(prepared(1, num_params=1))
    begun(world, client).breaks()
    client.sends(execute(1, params=bound))
    server = begins_anew(world)
    server.gets(prepare(TEXT))
    server.answers(error(1146))
    client.gets_error(1146)


def test_nor_when_it_has_begun_the_transaction_there(world: World) -> None:
    client = client_of(world)
    has_begun_by_id(world, client).breaks()
    client.sends(OTHER)
    restored(world)
    server = reader_end(world)
    server.gets(prepare("SELECT a FROM t"))
    server.answers(error(1146))
    client.gets_error(1213)


def test_nor_one_whose_command_does_not_say_all(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    server = has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound))
    client.sends(execute(1, params=params(b"5")))
    server.got()
    is_over_when_it_is_lost(client, server)


def test_nor_one_that_wants_a_cursor(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    server = has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound))
    client.sends(execute(1, params=bound, flags=1))
    server.gets(prepare(TEXT))
    server.answers(prepared(42, num_params=1))
    server.gets(execute(42, params=bound, flags=1))
    is_over_when_it_is_lost(client, server)


def test_nor_one_with_long_data(world: World) -> None:
    client = client_of(world)
    bound = params(b"5", types=INT)
    server = has_read_by_id(world, client, execute(1, params=bound), execute(41, params=bound))
    client.sends(long_data(1, 0, b"5"), execute(1, params=b"\0\1" + INT))
    server.got()
    is_over_when_it_is_lost(client, server)
