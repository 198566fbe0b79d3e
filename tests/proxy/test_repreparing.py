"""Statements that a server has lost, or has no room for, as dialogues."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from proxy.clearing import FORGETS
from tests.fakes import scenes
from tests.fakes.client import FakeClient
from tests.fakes.scenes import TEXT, begin, client_of
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    IN_TRANS,
    PING,
    PROBE,
    close_statement,
    cursor,
    error,
    execute,
    fetch,
    ok,
    params,
    prepare,
    prepared,
    query,
    rows,
)
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

MARIADB = b"5.5.5-10.11.6-MariaDB"
STRING = b"\xfd\x00"
EXECUTION = params(b"a", types=STRING)
FULL = error(1461, "Can't create more than max_prepared_stmt_count statements (current value: 3)", "42000")


def prepared_by(
    world: World, client: FakeClient, text: str = TEXT, *, real_id: int = 41, own_id: int = 1
) -> ServerEnd:
    return scenes.prepared_by(world, client, text, real_id=real_id, num_params=1, own_id=own_id)


def unknown(real_id: int) -> bytes:
    return error(1243, f"Unknown prepared statement handler ({real_id}) given to mysql_stmt_precheck")


# 1243


def test_a_statement_that_the_server_has_lost_runs_on_a_new_connection(world: World) -> None:
    client = client_of(world)
    first = prepared_by(world, client)
    client.sends(execute(1, params=EXECUTION))
    first.gets(execute(41, params=EXECUTION))
    first.answers(unknown(41))
    client.gets()
    assert first.is_closed
    second = world.backend()
    second.gets(prepare(TEXT))
    second.answers(prepared(1, num_params=1))
    second.gets(execute(1, params=EXECUTION))
    second.answers(rows(b"a"))
    client.gets(rows(b"a"))
    assert world.pool() == "1 idle"
    assert world.writer.epoch == 1
    assert "server lost prepared statements" in world.log.warnings()


def test_no_other_backend_of_before_is_used_again(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    clients = [client_of(world) for _ in range(3)]
    first = prepared_by(world, clients[0])
    begin(clients[0], first)
    second = prepared_by(world, clients[1])
    begin(clients[1], second)
    third = prepared_by(world, clients[2])
    clients[1].sends(query("COMMIT"))
    second.got()
    second.answers(ok())
    clients[2].sends(execute(1, params=EXECUTION))
    taken, idle = (second, third) if second.got() else (third, second)
    taken.answers(unknown(41))
    assert (taken.is_closed, idle.is_closed, first.is_closed) == (True, True, False)
    # what the one that is leased had prepared is no more either, and its ids may mean something else by now
    clients[0].sends(execute(1, params=EXECUTION))
    first.gets(prepare(TEXT))
    first.answers(prepared(1, num_params=1))
    first.gets(execute(1, params=EXECUTION))
    first.answers(rows(b"a", status=IN_TRANS))
    # it is known already
    assert world.writer.epoch == 1
    clients[0].sends(query("COMMIT"))
    first.got()
    first.answers(ok())
    assert first.is_closed


def test_a_statement_is_run_again_once(world: World) -> None:
    client = client_of(world)
    first = prepared_by(world, client)
    client.sends(execute(1, params=EXECUTION))
    first.answers(unknown(41))
    second = world.backend()
    second.got()
    second.answers(prepared(1, num_params=1))
    second.answers(unknown(1))
    client.gets(unknown(1))
    assert world.writer.epoch == 2


def test_a_session_that_has_lost_its_transaction_is_told(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    begin(client, server)
    client.sends(execute(1, params=EXECUTION))
    server.got()
    server.answers(unknown(41))
    client.gets(unknown(41))
    assert world.writer.epoch == 1
    server.gets(PROBE)
    server.answers(ok())
    # it is closed when the error has been read off it
    assert world.pool() == "1 resetting"


def test_a_cursor_that_is_lost_is_the_servers_error(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(execute(1, params=EXECUTION, flags=1))
    server.got()
    server.answers(cursor())
    client.got()
    client.sends(fetch(1, 1))
    server.got()
    server.answers(unknown(41))
    client.gets(unknown(41))
    assert world.writer.epoch == 1


def test_an_unknown_name_in_a_routine_is_nothing_of_ours(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, "CALL p(?)")
    client.sends(execute(1, params=EXECUTION))
    server.got()
    refusal = error(1243, "Unknown prepared statement handler (x) given to EXECUTE")
    server.answers(refusal)
    client.gets(refusal)
    assert world.writer.epoch == 0


def test_an_answer_that_has_begun_cannot_be_taken_back(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(execute(1, params=EXECUTION))
    server.got()
    answer = rows(b"a")
    server.answers(answer[:-11])
    assert client.got() != b""
    server.answers(frame(unknown(41)[4:], 4))
    assert client.got()[4:] == unknown(41)[4:]


def test_a_server_that_is_gone_is_the_answer(world: World) -> None:
    client = client_of(world)
    first = prepared_by(world, client)
    world.server.is_down = True
    client.sends(execute(1, params=EXECUTION))
    first.answers(unknown(41))
    world.tick(6)
    client.gets_error(2003, "Connection refused")


# 1615


@pytest.mark.parametrize("is_held", [False, True])
def test_a_statement_that_needs_to_be_prepared_again_is(is_held: bool, world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    if is_held:
        begin(client, server)
    client.sends(execute(1, params=EXECUTION))
    server.got()
    server.answers(error(1615))
    client.gets()
    server.gets(prepare(TEXT))
    server.answers(prepared(42, num_params=1))
    server.gets(close_statement(41), execute(42, params=EXECUTION))
    status = IN_TRANS if is_held else 2
    server.answers(rows(b"a", status=status))
    client.gets(rows(b"a", status=status))


def test_on_mariadb_the_error_of_the_first_try_is_cleared_before_another_session_comes(world: World) -> None:
    world.facts.meet(MARIADB)
    text = "DO ?"
    client, other = client_of(world), client_of(world)
    server = prepared_by(world, client, text)
    client.sends(execute(1, params=EXECUTION))
    server.gets(execute(41, params=EXECUTION))
    server.answers(error(1615))
    server.gets(prepare(text))
    server.answers(prepared(42, num_params=1))
    server.gets(close_statement(41), execute(42, params=EXECUTION))
    server.answers(ok())
    client.gets(ok())
    other.sends(query("DO 1"))
    server.gets(frame(FORGETS))


def test_what_cannot_be_prepared_again_is_the_servers_error(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(execute(1, params=EXECUTION))
    server.got()
    server.answers(error(1615))
    server.gets(prepare(TEXT))
    server.answers(error(1146))
    client.gets_error(1146)


def test_a_call_may_have_done_something_and_does_not_run_again(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, "CALL p(?)")
    client.sends(execute(1, params=EXECUTION))
    server.got()
    server.answers(error(1615))
    client.gets(error(1615))


# 1461


def test_a_full_server_gets_room_from_the_backend_that_prepares(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, "SELECT 1", real_id=41)
    prepared_by(world, client, "SELECT 2", real_id=42, own_id=2)
    client.sends(prepare(TEXT))
    server.gets(prepare(TEXT))
    server.answers(FULL)
    server.gets(close_statement(41), PING)
    server.answers(ok())
    server.gets(prepare(TEXT))
    server.answers(prepared(43, num_params=1))
    client.gets(prepared(3, num_params=1))
    client.sends(execute(1, params=EXECUTION))
    server.gets(prepare("SELECT 1"))


def test_a_full_server_gets_room_from_idle_backends(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    clients = [client_of(world) for _ in range(3)]
    first = prepared_by(world, clients[0], real_id=41)
    begin(clients[0], first)
    second = prepared_by(world, clients[1], real_id=42)
    begin(clients[1], second)
    clients[2].sends(prepare("SELECT 1"))
    third = world.backend()
    third.got()
    clients[0].sends(query("COMMIT"))
    first.got()
    first.answers(ok())
    third.answers(FULL)
    # not from the one that is leased
    second.gets_nothing()
    first.gets(close_statement(41))
    third.gets(PING)
    third.answers(ok())
    third.gets(prepare("SELECT 1"))
    third.answers(prepared(43))
    clients[2].gets(prepared(1))


def test_a_full_server_without_anything_of_ours_is_the_answer(world: World) -> None:
    client = client_of(world)
    client.sends(prepare(TEXT))
    server = world.backend()
    server.got()
    server.answers(FULL)
    client.gets(FULL)


def test_room_is_made_once(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, "SELECT 1")
    client.sends(prepare(TEXT))
    server.answers(FULL)
    server.got()
    server.answers(ok())
    server.answers(FULL)
    client.gets(FULL)


def test_a_full_server_gets_room_for_what_another_backend_had(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client, real_id=41)
    begin(holder, first)
    client.sends(prepare("SELECT 1"))
    second = world.backend()
    second.got()
    second.answers(prepared(7))
    client.got()
    client.sends(execute(1, params=EXECUTION))
    second.gets(prepare(TEXT))
    second.answers(FULL)
    second.gets(close_statement(7), PING)
    second.answers(ok())
    second.gets(prepare(TEXT))
    second.answers(prepared(8, num_params=1))
    second.gets(execute(8, params=EXECUTION))
    second.answers(rows(b"a"))
    client.gets(rows(b"a"))


def test_what_still_finds_no_room_is_the_servers_error(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client, real_id=41)
    begin(holder, first)
    client.sends(prepare("SELECT 1"))
    second = world.backend()
    second.got()
    second.answers(prepared(7))
    client.got()
    client.sends(execute(1, params=EXECUTION))
    second.answers(FULL)
    second.got()
    second.answers(ok())
    second.answers(FULL)
    client.gets_error(1461)
    assert not second.is_closed
