"""COM_STMT_SEND_LONG_DATA, as dialogues."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from proxy.prepared import KEPT_LONG_DATA
from tests.fakes import scenes
from tests.fakes.client import FakeClient
from tests.fakes.cluster import Lab
from tests.fakes.scenes import begin, client_of
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    IN_TRANS,
    PROBE,
    close_statement,
    cursor,
    error,
    execute,
    fetch,
    fetched,
    init_db,
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

TEXT = "INSERT INTO t VALUES (?)"
STRING = b"\xfd\x00"
MUCH = b"x" * KEPT_LONG_DATA
EXECUTION = b"\0\x01" + STRING
MARIADB = b"5.5.5-10.11.6-MariaDB"


def prepared_by(world: World, client: FakeClient, *, real_id: int = 41, own_id: int = 1) -> ServerEnd:
    return scenes.prepared_by(world, client, TEXT, real_id=real_id, num_params=1, own_id=own_id)


def sends_it_again(client: FakeClient, server: ServerEnd, real_id: int) -> None:
    """After an error, as a client does: only this is what it means."""
    client.sends(long_data(1, 0, b"new"), execute(1, params=EXECUTION))
    server.gets(long_data(real_id, 0, b"new"), execute(real_id, params=EXECUTION))


def test_an_execution_that_has_to_wait_in_vain_uses_it_up(world: World) -> None:
    client, holder, other = client_of(world), client_of(world), client_of(world)
    server = prepared_by(world, client)
    begin(holder, server)
    client.sends(long_data(1, 0, b"abc"), execute(1, params=EXECUTION))
    other.sends(query(f"KILL QUERY {client.connection_id}"))
    client.gets_error(1317)
    holder.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    sends_it_again(client, server, 41)


def test_so_does_one_whose_transaction_is_lost_with_its_server(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    Lab(world).stable()
    client = client_of(world)
    server = prepared_by(world, client)
    begin(client, server)
    client.sends(long_data(1, 0, b"abc"), execute(1, params=EXECUTION))
    server.breaks()
    client.gets_error(1213)
    client.sends(long_data(1, 0, b"new"), execute(1, params=EXECUTION))
    server = world.backend()
    server.gets(prepare(TEXT))
    server.answers(prepared(7, num_params=1))
    server.gets(long_data(7, 0, b"new"), execute(7, params=EXECUTION))


def test_so_does_one_that_cannot_be_prepared_where_it_would_run(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world, b"shop"), client_of(world, b"test")
    first = prepared_by(world, client)
    client.sends(init_db("test"))
    first.got()
    first.answers(ok())
    client.got()
    begin(holder, first)
    client.sends(long_data(1, 0, b"abc"), execute(1, params=EXECUTION))
    for wanted, answer in (
        (init_db("shop"), ok()),
        (prepare(TEXT), error(1146)),
        (init_db("test"), ok()),
    ):
        world.backend().gets(wanted)
        world.backend().answers(answer)
    client.gets_error(1146)
    world.backend().got()
    begin(client, world.backend())
    client.sends(long_data(1, 0, b"new"), execute(1, params=EXECUTION))
    for wanted, answer in (
        (init_db("shop"), ok(IN_TRANS)),
        (prepare(TEXT), prepared(7, num_params=1)),
        (init_db("test"), ok(IN_TRANS)),
    ):
        world.backend().gets(wanted)
        world.backend().answers(answer)
    world.backend().gets(long_data(7, 0, b"new"), execute(7, params=EXECUTION))


def streaming(world: World, client: FakeClient) -> ServerEnd:
    """The client has sent more than is kept: it is on the backend."""
    server = prepared_by(world, client)
    client.sends(long_data(1, 0, b"abc"), long_data(1, 0, MUCH))
    server.gets(long_data(41, 0, b"abc"), long_data(41, 0, MUCH))
    assert world.pool() == "1 leased"
    return server


def test_long_data_is_kept_and_sent_before_the_execution(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(long_data(1, 0, b"abc"), long_data(1, 0, b"def"))
    assert world.pool() == "1 idle"
    server.gets_nothing()
    client.sends(execute(1, params=EXECUTION))
    server.gets(long_data(41, 0, b"abc"), long_data(41, 0, b"def"), execute(41, params=EXECUTION))
    server.answers(ok())
    client.gets(ok())
    client.sends(execute(1, params=params(b"x")))
    server.gets(execute(41, params=params(b"x")))


def test_a_reset_of_a_statement_drops_its_long_data(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(long_data(1, 0, b"abc"), reset_statement(1))
    client.gets(ok())
    client.sends(execute(1, params=params(b"x", types=STRING)))
    server.gets(execute(41, params=params(b"x", types=STRING)))


def test_a_parameter_that_does_not_exist_fails_executions_until_a_reset(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(long_data(1, 1, b"abc"), long_data(1, 0, b"abc"))
    for _ in range(2):
        client.sends(execute(1, params=EXECUTION))
        client.gets_error(1210, "mysql_stmt_precheck")
    server.gets_nothing()
    client.sends(reset_statement(1), execute(1, params=params(b"x", types=STRING)))
    server.gets(execute(41, params=params(b"x", types=STRING)))


@pytest.mark.parametrize("command", [b"\x18\1\0\0\0\0", b"\x19\1\0", b"\x1a\1", b"\x1c\1\0\0\0\1\0\0"])
def test_mysql_calls_any_short_command_malformed(command: bytes, world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(frame(command))
    client.gets_error(1835, "packet.")
    server.gets_nothing()


def test_mariadb_drops_what_is_cut_off(world: World) -> None:
    world.facts.meet(MARIADB)
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(frame(b"\x18\1\0\0\0\0"))
    client.gets()
    server.gets_nothing()


def test_no_other_statement_of_the_text_gets_long_data_that_was_refused(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(long_data(1, 0, b"abc"), execute(1, params=b"\0"))
    server.gets(long_data(41, 0, b"abc"), execute(41, params=b"\0"))
    server.answers(error(1835))
    server.gets(PROBE)
    server.answers(ok())
    client.got()
    prepared_by(world, client, real_id=42, own_id=2)
    client.sends(execute(2, params=params(b"x", types=STRING)))
    server.gets(close_statement(41), execute(42, params=params(b"x", types=STRING)))
    server.answers(ok())
    # the one it was sent to has it still
    client.sends(execute(1, params=EXECUTION))
    server.gets(long_data(42, 0, b"abc"), execute(42, params=EXECUTION))


def test_long_data_is_used_up_by_an_execution_that_fails_for_another_reason(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(long_data(1, 0, b"abc"), execute(1, params=EXECUTION))
    server.got()
    server.answers(error(1062))
    server.gets(PROBE)
    server.answers(ok())
    client.sends(execute(1, params=params(b"x", types=STRING)))
    server.gets(execute(41, params=params(b"x", types=STRING)))


# More than is kept


def test_much_long_data_goes_to_the_server_at_once_until_the_execution(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    client.sends(long_data(1, 0, b"def"))
    server.gets(long_data(41, 0, b"def"))
    client.sends(execute(1, params=EXECUTION))
    server.gets(execute(41, params=EXECUTION))
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"
    client.sends(execute(1, params=params(b"x")))
    server.gets(prepare(TEXT))
    server.answers(prepared(42, num_params=1))
    server.gets(close_statement(41), execute(42, params=params(b"x", types=STRING)))


def test_other_statements_run_while_long_data_is_on_its_way(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    prepared_by(world, client, real_id=42, own_id=2)
    client.sends(query("SELECT 1"))
    server.gets(query("SELECT 1"))
    server.answers(rows(b"1"))
    client.sends(execute(2, params=params(b"x", types=STRING)))
    server.gets(execute(42, params=params(b"x", types=STRING)))
    server.answers(ok())
    assert world.pool() == "1 leased"


@pytest.mark.parametrize("command", [reset_statement(1), close_statement(1)])
def test_a_reset_and_a_close_end_what_holds_the_lease(command: bytes, world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    client.sends(command)
    server.gets(close_statement(41))
    client.gets(*([ok()] if command == reset_statement(1) else []))
    assert world.pool() == "1 idle"


def test_what_the_server_refuses_for_its_long_data_stays_there(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    for _ in range(2):
        client.sends(execute(1, params=EXECUTION))
        server.gets(execute(41, params=EXECUTION))
        server.answers(error(1105))
        client.gets(error(1105))
        assert world.pool() == "1 leased"


def test_a_cursor_keeps_the_statement_that_had_the_long_data(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    client.sends(execute(1, params=EXECUTION, flags=1))
    server.gets(execute(41, params=EXECUTION, flags=1))
    server.answers(cursor())
    client.got()
    client.sends(fetch(1, 1))
    server.gets(fetch(41, 1))
    server.answers(fetched(b"1", status=0x82))
    assert world.pool() == "1 parked"


def test_types_do_not_matter_to_a_statement_that_is_on_the_server(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    client.sends(execute(1, params=b"\0\x01\x08\x00"))
    server.gets(execute(41, params=b"\0\x01\x08\x00"))


def test_a_backend_that_does_not_know_the_statement_prepares_it_first(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client)
    holder.sends(query("BEGIN"))
    first.got()
    first.answers(ok(3))
    client.sends(long_data(1, 0, MUCH), execute(1, params=EXECUTION))
    second = world.backend()
    assert second is not first
    second.gets(prepare(TEXT))
    second.answers(prepared(7, num_params=1))
    second.gets(long_data(7, 0, MUCH), execute(7, params=EXECUTION))
    second.answers(ok())
    client.gets(ok())


def test_long_data_for_which_there_is_no_backend_fails_the_execution(world: World) -> None:
    client, holder = client_of(world), client_of(world)
    server = prepared_by(world, client)
    holder.sends(query("BEGIN"))
    server.got()
    server.answers(ok(3))
    client.sends(long_data(1, 0, MUCH))
    world.tick(6)
    client.gets()
    client.sends(long_data(1, 0, MUCH), execute(1, params=EXECUTION))
    client.gets_error(1040, "no server connection became free")
    holder.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    # it can be tried again
    client.sends(long_data(1, 0, b"abc"), execute(1, params=EXECUTION))
    server.gets(long_data(41, 0, b"abc"), execute(41, params=EXECUTION))


def test_a_client_that_leaves_between_pieces_costs_a_reset(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    client.leaves()
    assert [payload[:1] for payload in server.got()] == [b"\x1f"]
    server.answers(ok())
    server.got()
    server.answers(ok())
    assert world.pool() == "1 idle"


def test_a_backend_that_is_lost_with_long_data_ends_the_session(world: World) -> None:
    client = client_of(world)
    server = streaming(world, client)
    server.closes()
    assert client.is_closed
