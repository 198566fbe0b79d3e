"""Binary prepared statements of sessions that share backends, as dialogues."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import Column, text_resultset
from protocol.session_track import SessionChanges
from protocol.wire import lenenc_bytes
from proxy.pins import PinReason
from proxy.prepared import KEPT_LONG_DATA, LAST_PREPARED, binary_answer
from proxy.repreparing import statement_limit
from proxy.shared import STATEMENT_POOLING
from tests.fakes.client import FakeClient
from tests.fakes.scenes import TEXT, begin, client_of, prepared_by
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    AUTOCOMMIT,
    IN_TRANS,
    LAST_ROW_SENT,
    NEW_CLIENT,
    OLD_CLIENT,
    PING,
    PROBE,
    RESET,
    close_statement,
    cursor,
    error,
    execute,
    fetch,
    fetched,
    init_db,
    long_data,
    ok,
    packets,
    params,
    prepare,
    prepared,
    query,
    reset_statement,
    rows,
)
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

STRING = b"\xfd\x00"
NUMBER = b"\x08\x00"
READ_ONLY_CURSOR = 1
WARNING_COLUMNS = [Column(b"Level"), Column(b"Code"), Column(b"Message")]
WARNING: list[bytes | None] = [b"Warning", b"1365", b"Division by 0"]
MARIADB = b"5.5.5-10.11.6-MariaDB"


def test_a_statement_has_an_id_of_the_session_and_another_on_the_server(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    assert world.pool() == "1 idle"
    client.sends(execute(1))
    server.gets(execute(41))
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))
    assert world.pool() == "1 idle"


def big(number: int) -> bytes:
    """A binary row of one BIGINT."""
    return b"\0\0" + (number & (1 << 64) - 1).to_bytes(8, "little")


@pytest.mark.parametrize("capabilities", [NEW_CLIENT, OLD_CLIENT])
def test_a_question_whose_backend_has_gone_is_answered_in_binary(world: World, capabilities: int) -> None:
    client, other = world.client(capabilities=capabilities), client_of(world)
    client.sends(prepare("SELECT FOUND_ROWS()"), query("SELECT 1 FROM t"))
    server = world.backend()
    server.answers(prepared(41))
    server.answers(rows(b"1", b"2", b"3"))
    other.sends(query("SELECT 4"))
    server.answers(rows(b"4"))
    server.got()
    client.got()
    client.sends(execute(1))
    server.gets_nothing()
    got = packets(client.got())
    has_eof = capabilities == OLD_CLIENT
    assert [number for number, _ in got] == list(range(1, 5 + has_eof))
    assert got[2 + has_eof][1] == big(3)


def test_a_prepared_connection_id_is_that_of_the_session(world: World) -> None:
    client = client_of(world)
    prepared_by(world, client, "SELECT CONNECTION_ID()")
    client.sends(execute(1))
    assert packets(client.got())[2][1] == big(client.connection_id)


def test_prepared_warnings_are_answered_in_binary() -> None:
    row = b"".join(lenenc_bytes(value) for value in (b"Warning", b"1292", b"Truncated"))
    columns = [Column(b"Level"), Column(b"Code", 3), Column(b"Message")]
    text = text_resultset(columns, [[b"Warning", b"1292", b"Truncated"]], status=2, deprecate_eof=True)
    assert packets(text)[4][1] == row
    got = packets(binary_answer(text, True))
    assert got[4] == (5, b"\0\0" + b"\x07Warning" + (1292).to_bytes(4, "little") + b"\x09Truncated")


def test_a_count_within_a_statement_is_written_into_its_text(world: World) -> None:
    client, other = client_of(world), client_of(world)
    text = "SELECT FOUND_ROWS() + ?"
    server = prepared_by(world, client, text, num_params=1)
    client.sends(query("SELECT 1 FROM t"))
    server.answers(rows(b"1", b"2", b"3"))
    other.sends(query("SELECT 4"))
    server.answers(rows(b"4"))
    server.got()
    client.got()
    command = execute(1, params=params(b"1", types=STRING))
    client.sends(command)
    server.gets(prepare("SELECT COALESCE(3,FOUND_ROWS()) + ? AS `FOUND_ROWS() + ?`"))
    server.answers(prepared(42, num_params=1))
    server.gets(execute(42, params=params(b"1", types=STRING)))
    server.answers(rows(b"4"))
    client.gets(rows(b"4"))
    # the types are remembered for the next one, whose text has another count
    client.sends(execute(1, params=params(b"1")))
    server.gets(prepare("SELECT COALESCE(1,FOUND_ROWS()) + ? AS `FOUND_ROWS() + ?`"))
    server.answers(prepared(43, num_params=1))
    server.gets(execute(43, params=params(b"1", types=STRING)))


def test_a_row_count_survives_the_preparation_of_its_question(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client, "SELECT ROW_COUNT()")
    begin(holder, first)
    begin_second(world, client)
    second = world.backend()
    client.sends(query("UPDATE t SET a = 1"))
    second.got()
    second.answers(ok(IN_TRANS))
    client.got()
    client.sends(execute(1))
    second.gets_nothing()
    assert packets(client.got())[2][1] == big(0)


def test_a_prepared_kill_is_one_of_our_ids(world: World) -> None:
    client, other = client_of(world), client_of(world)
    prepared_by(world, client, f"KILL {other.connection_id}")
    client.sends(execute(1))
    client.gets(ok())
    assert other.is_closed


def test_statement_pooling_refuses_a_prepared_transaction(make_world: MakeWorld) -> None:
    world = make_world(pool_mode=STATEMENT_POOLING)
    client = client_of(world)
    prepared_by(world, client, "START TRANSACTION")
    client.sends(execute(1))
    client.gets_error(1235, "pool.mode is statement")


def test_an_old_client_gets_the_answer_to_its_preparation_with_eof_packets(world: World) -> None:
    client = world.client()
    client.sends(prepare(TEXT))
    for byte in prepared(41, num_params=1, num_columns=2):
        world.backend().answers(bytes([byte]))
    client.gets(prepared(1, num_params=1, num_columns=2, deprecate_eof=False))


def test_a_preparation_that_is_refused_makes_no_statement(world: World) -> None:
    client = client_of(world)
    client.sends(prepare("SELEKT"))
    server = world.backend()
    server.answers(error(1064))
    client.gets(error(1064))
    server.got()
    server.answers(ok())
    client.sends(execute(1))
    client.gets_error(1243, "Unknown prepared statement handler (1) given to mysql_stmt_precheck")


def test_sessions_do_not_see_the_statements_of_others(world: World) -> None:
    client, other = client_of(world), client_of(world)
    prepared_by(world, client)
    for command in (execute(1), reset_statement(1), fetch(1, 1)):
        other.sends(command)
        other.gets_error(1243)
    other.sends(close_statement(1), long_data(1, 0, b"x"))
    other.gets_nothing()


def test_another_backend_prepares_the_statement_first(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client)
    begin(holder, first)
    client.sends(execute(1))
    second = world.backend()
    second.gets(prepare(TEXT))
    second.answers(prepared(7))
    second.gets(execute(7))
    second.answers(rows(b"1"))
    client.gets(rows(b"1"))
    # which it need not do again
    client.sends(execute(1))
    second.gets(execute(7))
    second.answers(rows(b"1"))


def test_a_statement_is_prepared_in_the_state_in_which_its_session_prepared_it(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world, b"shop"), client_of(world, b"shop")
    first = prepared_by(world, client)
    client.sends(init_db("test"))
    first.gets(init_db("test"))
    first.answers(ok())
    client.gets(ok())
    holder.sends(query("BEGIN"))
    first.gets(init_db("shop"))
    first.answers(ok())
    first.got()
    first.answers(ok(IN_TRANS))
    client.sends(execute(1))
    second = world.backend()
    assert second.login is not None and second.login.database == b"test"
    second.gets(init_db("shop"))
    second.answers(ok())
    second.gets(prepare(TEXT))
    second.answers(prepared(7))
    second.gets(init_db("test"))
    second.answers(ok())
    second.gets(execute(7))
    second.answers(rows(b"1"))
    client.gets(rows(b"1"))


def test_preparing_a_statement_in_a_transaction_does_not_end_it(make_world: MakeWorld) -> None:
    """SET autocommit=1, as it was when the client prepared the statement, would commit."""
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client)
    begin(holder, first)
    client.sends(query("SET autocommit=0, sql_mode='ANSI'"))
    second = world.backend()
    second.got()
    changed = SessionChanges(variables=[(b"autocommit", b"OFF"), (b"sql_mode", b"ANSI")])
    second.answers(ok(0, changes=changed))
    client.sends(query("INSERT INTO t VALUES (1)"))
    second.got()
    second.answers(ok(IN_TRANS & ~AUTOCOMMIT))
    client.got()
    client.sends(execute(1))
    second.gets(query("SET SESSION sql_mode=DEFAULT"))
    second.answers(ok(IN_TRANS & ~AUTOCOMMIT))
    second.gets(prepare(TEXT))
    second.answers(prepared(7))
    second.gets(query("SET SESSION sql_mode='ANSI'"))
    second.answers(ok(IN_TRANS & ~AUTOCOMMIT))
    second.gets(execute(7))


def test_a_statement_that_was_prepared_without_a_schema_is_prepared_in_any(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client)
    begin(holder, first)
    client.sends(init_db("shop"))
    second = world.backend()
    second.got()
    second.answers(ok())
    client.gets(ok())
    client.sends(execute(1))
    second.gets(prepare(TEXT))
    second.answers(prepared(7))
    second.gets(execute(7))


def test_a_preparation_that_another_backend_refuses_is_the_answer(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client)
    begin(holder, first)
    begin_second(world, client)
    second = world.backend()
    client.sends(execute(1), PING)
    second.gets(prepare(TEXT))
    second.answers(error(1146))
    # the transaction goes on
    second.gets(PROBE)
    second.answers(ok(IN_TRANS))
    second.gets(PING)
    second.answers(ok(IN_TRANS))
    client.gets(error(1146), ok(IN_TRANS))
    assert world.pool() == "2 leased"


def begin_second(world: World, client: FakeClient) -> None:
    client.sends(query("BEGIN"))
    world.backend().gets(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def moved_after_preparing(world: World, client: FakeClient) -> None:
    """The client has prepared its statement in its schema and chosen another; the backend that knows the statement is somebody's."""
    holder = client_of(world, b"test")
    first = prepared_by(world, client)
    client.sends(init_db("test"))
    first.got()
    first.answers(ok())
    client.got()
    begin(holder, first)


def refused_in_another_state(
    world: World, is_held: bool, capabilities: int = NEW_CLIENT
) -> tuple[FakeClient, ServerEnd]:
    """A client that has prepared a statement in a schema, and executes it in another on a backend which does not take it there."""
    client = world.client(capabilities=capabilities, schema=b"shop")
    moved_after_preparing(world, client)
    if is_held:
        begin_second(world, client)
    client.sends(execute(1), query("SHOW WARNINGS"))
    second = world.backend()
    assert second.got()[-1:] == [init_db("shop")[4:]]
    second.answers(ok(IN_TRANS if is_held else AUTOCOMMIT))
    second.gets(prepare(TEXT))
    second.answers(error(1146))
    return client, second


@pytest.mark.parametrize("status", [AUTOCOMMIT, IN_TRANS])
def test_a_preparation_that_is_refused_in_another_state_is_undone(make_world: MakeWorld, status: int) -> None:
    world = make_world(pool_size=2)
    client, second = refused_in_another_state(world, is_held=status == IN_TRANS)
    second.gets(init_db("test"))
    client.gets()
    second.answers(ok(status))
    answers = [payload for _, payload in packets(client.got())]
    assert answers[0] == error(1146)[4:]
    assert any([payload.startswith(b"\x05Error\x041146") for payload in answers])
    assert (second.is_closed, client.is_closed) == (False, False)
    assert world.pool() == ("2 leased" if status == IN_TRANS else "1 idle, 1 leased")


def test_a_backend_lost_on_the_way_back_from_there_is_replaced(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    _, second = refused_in_another_state(world, is_held=False)
    second.gets(init_db("test"))
    second.breaks()
    third = world.backend()
    third.gets(init_db("shop"))
    third.answers(ok())
    third.gets(prepare(TEXT))
    third.answers(prepared(5))
    third.gets(init_db("test"))
    third.answers(ok())
    third.gets(execute(5))


def test_long_data_that_finds_no_statement_there_has_no_answer(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world, b"shop"), client_of(world, b"test")
    first = prepared_by(world, client, num_params=1)
    client.sends(init_db("test"))
    first.got()
    first.answers(ok())
    client.got()
    begin(holder, first)
    client.sends(long_data(1, 0, b"x" * (KEPT_LONG_DATA + 1)))
    second = world.backend()
    second.gets(init_db("shop"))
    second.answers(ok())
    second.gets(prepare(TEXT))
    second.answers(error(1146))
    second.gets(init_db("test"))
    second.answers(ok())
    client.gets_nothing()
    client.sends(execute(1, params=b"\0\1\xfd\0"))
    client.gets_error(1146)


def test_the_way_back_from_where_it_was_refused_is_told_as_on_mysql(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    tracking = (NEW_CLIENT | int(Capability.SESSION_TRACK)) & ~int(Capability.DEPRECATE_EOF)
    client, second = refused_in_another_state(world, is_held=True, capabilities=tracking)
    second.gets(init_db("test"))
    second.answers(ok(IN_TRANS))
    client.got()
    client.sends(PING)
    second.gets(PING)
    second.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS, changes=SessionChanges(schema=b"test")))


def test_a_preparation_that_cannot_be_undone_costs_the_backend(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, second = refused_in_another_state(world, is_held=True)
    second.gets(init_db("test"))
    second.answers(error(1049))
    client.gets_error(1049)
    assert (second.is_closed, client.is_closed, world.pool()) == (True, True, "1 leased")


def test_a_state_that_is_refused_for_a_preparation_costs_the_backend(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client)
    begin(holder, first)
    begin_second(world, client)
    second = world.backend()
    client.sends(query("SET sql_mode=''"))
    second.got()
    second.answers(ok(IN_TRANS, changes=SessionChanges([(b"sql_mode", b"")])))
    client.got()
    client.sends(execute(1))
    second.got()
    second.answers(error(1231))
    client.gets_error(1231)
    assert (second.is_closed, client.is_closed) == (True, True)


def test_a_statement_whose_schema_was_dropped_costs_no_backend(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client = client_of(world, b"shop")
    moved_after_preparing(world, client)
    client.sends(execute(1))
    second = world.backend()
    second.gets(init_db("shop"))
    second.answers(error(1049))
    second.gets(PROBE)
    second.answers(ok())
    client.gets(error(1049))
    assert (second.is_closed, world.pool()) == (False, "1 parked, 1 leased")


def test_a_backend_lost_while_it_prepares_is_replaced(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    begin(holder, prepared_by(world, client))
    client.sends(execute(1))
    world.backend().gets(prepare(TEXT))
    world.backend().breaks()
    third = world.backend()
    third.gets(prepare(TEXT))
    third.answers(prepared(3))
    third.gets(execute(3))


def test_a_client_that_leaves_while_a_backend_prepares_for_it_costs_the_backend(
    make_world: MakeWorld,
) -> None:
    world = make_world(pool_size=2)
    client, holder = client_of(world), client_of(world)
    begin(holder, prepared_by(world, client))
    client.sends(execute(1))
    client.leaves()
    assert (world.backend().is_aborted, world.pool()) == (True, "1 leased")


# Parameters


def test_types_are_sent_again_where_the_server_has_seen_others(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    world.facts.meet(MARIADB)
    client, holder = client_of(world), client_of(world)
    first = prepared_by(world, client, num_params=1)
    client.sends(execute(1, params=params(b"a", types=STRING)))
    first.gets(execute(41, params=params(b"a", types=STRING)))
    first.answers(ok())
    client.sends(execute(1, params=params(b"b")))
    first.gets(execute(41, params=params(b"b")))
    first.answers(ok())
    client.got()
    begin(holder, first)
    client.sends(execute(1, params=params(b"c")))
    second = world.backend()
    second.got()
    second.answers(prepared(7, num_params=1))
    second.gets(execute(7, params=params(b"c", types=STRING)))
    second.answers(ok())
    client.sends(execute(1, params=params(b"d")))
    second.gets(execute(7, params=params(b"d")))
    second.answers(ok())
    # new types are for this backend only, until the other one is used again
    client.sends(execute(1, params=params(b"12345678", types=NUMBER)))
    second.gets(execute(7, params=params(b"12345678", types=NUMBER)))
    second.answers(ok())
    client.got()
    holder.sends(query("COMMIT"))
    first.got()
    first.answers(ok())
    client.sends(execute(1, params=params(b"12345678")))
    first.gets(execute(41, params=params(b"12345678", types=NUMBER)))


@pytest.mark.parametrize("wire", [frame(b"\x17\x01\0\0\0\0"), execute(1)])
def test_an_execution_that_is_cut_off_is_malformed(world: World, wire: bytes) -> None:
    client = client_of(world)
    server = prepared_by(world, client, num_params=1)
    client.sends(wire)
    client.gets_error(1835)
    server.gets_nothing()


def test_an_execution_without_parameters_is_left_to_mariadb(world: World) -> None:
    world.facts.meet(b"10.11.6-MariaDB")
    client = client_of(world)
    server = prepared_by(world, client, num_params=1)
    client.sends(execute(1))
    server.gets(execute(41))


# Cursors


def open_cursor(world: World, client: FakeClient) -> ServerEnd:
    server = prepared_by(world, client)
    client.sends(execute(1, flags=READ_ONLY_CURSOR))
    server.gets(execute(41, flags=READ_ONLY_CURSOR))
    server.answers(cursor())
    client.gets(cursor())
    assert world.pool() == "1 leased"
    return server


def test_an_open_cursor_holds_the_backend_until_its_last_row(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    for status, pool in ((0x42, "1 leased"), (LAST_ROW_SENT, "1 parked")):
        client.sends(fetch(1, 2))
        server.gets(fetch(41, 2))
        server.answers(fetched(b"a", b"b", status=status))
        client.gets(fetched(b"a", b"b", status=status))
        assert world.pool() == pool
    client.sends(fetch(1, 2))
    client.gets_error(1421, "The statement (1) has no open cursor")


def test_a_reset_of_the_statement_closes_its_cursor(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    client.sends(reset_statement(1))
    server.gets(reset_statement(41))
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 parked"


def test_closing_the_statement_closes_its_cursor(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    client.sends(close_statement(1))
    server.gets(close_statement(41))
    client.gets_nothing()
    assert world.pool() == "1 parked"


def test_another_execution_without_a_cursor_closes_the_cursor(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    client.sends(execute(1))
    # MySQL cannot execute that one without a cursor any more
    server.gets(prepare(TEXT))
    server.answers(prepared(42))
    server.gets(close_statement(41), execute(42))
    server.answers(rows(b"1"))
    client.got()
    assert world.pool() == "1 idle"


def test_an_execution_that_opens_no_cursor_holds_nothing(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, "DO 1")
    client.sends(execute(1, flags=READ_ONLY_CURSOR))
    server.gets(execute(41, flags=READ_ONLY_CURSOR))
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"
    client.sends(execute(1, flags=READ_ONLY_CURSOR))
    server.gets(execute(41, flags=READ_ONLY_CURSOR))


def test_cursors_of_one_text_are_statements_of_their_own(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    prepared_by(world, client, real_id=42, own_id=2)
    client.sends(execute(2, flags=READ_ONLY_CURSOR))
    server.gets(execute(42, flags=READ_ONLY_CURSOR))
    server.answers(cursor())
    client.gets(cursor())
    client.sends(fetch(1, 1), fetch(2, 1))
    server.gets(fetch(41, 1))
    server.answers(fetched(b"1", status=LAST_ROW_SENT))
    server.gets(fetch(42, 1))
    server.answers(fetched(b"1", status=LAST_ROW_SENT))
    assert world.pool() == "1 parked"


def test_sessions_that_prepared_the_same_text_share_its_statement(world: World) -> None:
    client, other = client_of(world), client_of(world)
    for number in (1, 2, 3):
        server = prepared_by(world, client, real_id=40 + number, own_id=number)
    prepared_by(world, other, real_id=44)
    for each, statement_id in ((client, 1), (client, 2), (other, 1), (client, 3)):
        each.sends(execute(statement_id))
        assert server.got()[-1] == execute(44)[4:]
        server.answers(rows(b"1"))
    assert len(world.shared.sources) == 1


def test_sessions_that_only_prepare_leave_no_more_than_a_few_statements(world: World) -> None:
    client = client_of(world)
    for number in range(1, 10):
        client.sends(prepare(TEXT))
        server = world.backend()
        server.answers(prepared(40 + number))
    assert server.got()[-8:] == [close_statement(40 + number)[4:] for number in range(1, 9)]


def test_mysql_does_not_take_a_string_for_the_number_of_another_session(world: World) -> None:
    client, other = client_of(world), client_of(world)
    server = prepared_by(world, client, num_params=1)
    client.sends(execute(1, params=params(b"12345678", types=NUMBER)))
    server.gets(execute(41, params=params(b"12345678", types=NUMBER)))
    server.answers(rows(b"1"))
    prepared_by(world, other, num_params=1, real_id=42)
    other.sends(execute(1, params=params(b"abc", types=STRING)))
    server.gets(execute(42, params=params(b"abc", types=STRING)))
    server.answers(rows(b"1"))
    client.sends(execute(1, params=params(b"12345678")))
    server.gets(execute(41, params=params(b"12345678")))


def test_numbers_are_executed_on_one_statement_for_all(make_world: MakeWorld) -> None:
    world = make_world(pool_size=1)
    client, other = client_of(world), client_of(world)
    server = prepared_by(world, client, num_params=1)
    for each in (client, other):
        if each is other:
            prepared_by(world, other, num_params=1, real_id=42)
        each.sends(execute(1, params=params(b"12345678", types=NUMBER)))
        got = server.got()
        server.answers(rows(b"1"))
    assert got == [close_statement(42)[4:], execute(41, params=params(b"12345678", types=NUMBER))[4:]]


def test_a_cursor_of_another_statement_holds_on(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    prepared_by(world, client, "SELECT 2", real_id=42, own_id=2)
    client.sends(execute(2))
    server.gets(execute(42))
    server.answers(rows(b"1"))
    assert world.pool() == "1 leased"
    client.sends(close_statement(2))
    server.gets_nothing()
    assert world.pool() == "1 leased"


def test_a_reset_of_the_session_forgets_statements_and_cursors(world: World) -> None:
    client = client_of(world)
    server = open_cursor(world, client)
    client.sends(RESET)
    server.gets(query("SELECT FOUND_ROWS() LIMIT 1"))
    server.answers(rows(b"0"))
    server.got()
    server.answers(ok())
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"
    client.sends(execute(1))
    client.gets_error(1243)


def test_a_statement_after_a_reset_has_an_id_that_none_before_had(world: World) -> None:
    client = client_of(world)
    prepared_by(world, client)
    client.sends(RESET)
    client.gets(ok())
    prepared_by(world, client, "SELECT 2", real_id=42, own_id=2)
    client.sends(execute(1))
    client.gets_error(1243)


# Errors of ours


def test_an_error_of_ours_hides_no_warnings_that_only_the_held_backend_has(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    begin(client, server)
    client.sends(query("DO 1/0"))
    server.gets(query("DO 1/0"))
    server.answers(ok(IN_TRANS, warnings=1))
    client.gets(ok(IN_TRANS, warnings=1))
    client.sends(execute(7), query("SELECT @@warning_count"))
    server.gets(query("SHOW WARNINGS"))
    server.answers(text_resultset(WARNING_COLUMNS, [WARNING], status=IN_TRANS, deprecate_eof=True))
    answers = [payload for _, payload in packets(client.got())]
    assert answers[0][:3] == b"\xff" + (1243).to_bytes(2, "little")
    assert b"\x012" in answers
    server.gets_nothing()


def test_reading_the_warnings_leaves_rows_that_are_counted_and_not_shown(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(query("CREATE TEMPORARY TABLE x AS SELECT a FROM t"))
    # what is counted now is put there first
    server.got()
    server.answers(rows())
    server.gets(query("CREATE TEMPORARY TABLE x AS SELECT a FROM t"))
    server.answers(ok())
    client.gets(ok())
    client.sends(query("DROP TEMPORARY TABLE IF EXISTS x, y"))
    server.gets(query("DROP TEMPORARY TABLE IF EXISTS x, y"))
    server.answers(ok(warnings=1))
    client.gets(ok(warnings=1))
    client.sends(execute(7))
    server.gets(query("SHOW WARNINGS"))
    server.answers(text_resultset(WARNING_COLUMNS, [WARNING], status=AUTOCOMMIT, deprecate_eof=True))
    client.gets_error(1243)
    client.sends(query("INSERT INTO t VALUES (1)"))
    server.gets(query("INSERT INTO t VALUES (1)"))
    server.answers(ok())
    client.gets(ok())
    client.sends(query("SELECT FOUND_ROWS()"))
    server.gets(query("SELECT FOUND_ROWS()"))


def test_an_error_of_ours_waits_for_no_backend_that_is_lost(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client)
    begin(client, server)
    client.sends(query("DO 1/0"))
    server.answers(ok(IN_TRANS, warnings=1))
    client.gets(ok(IN_TRANS, warnings=1))
    client.sends(execute(7))
    server.closes()
    client.gets_error(2013)


# Closing


def test_a_closed_statement_is_unknown_and_stays_on_the_backend_for_others(world: World) -> None:
    client, other = client_of(world), client_of(world)
    server = prepared_by(world, client)
    client.sends(close_statement(1), execute(1))
    client.gets_error(1243)
    server.gets_nothing()
    prepared_by(world, other, real_id=42)
    other.sends(execute(1))
    server.gets(close_statement(41), execute(42))


def test_a_backend_keeps_so_many_statements_and_closes_the_oldest(make_world: MakeWorld) -> None:
    world = make_world(pool={"max_prepared": 20})
    client = client_of(world)
    for number in range(1, 22):
        server = prepared_by(world, client, f"SELECT {number}", real_id=1000 + number, own_id=number)
    client.sends(execute(2))
    server.gets(close_statement(1001), execute(1002))
    server.answers(ok())
    client.got()
    # the first one is prepared anew
    client.sends(execute(1))
    server.gets(prepare("SELECT 1"))
    server.answers(prepared(2000))
    server.gets(close_statement(1003), execute(2000))


def test_a_backend_keeps_its_share_of_what_the_server_has_room_for(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2, pool={"max_prepared": 20})
    assert statement_limit(world.writer) == 20
    world.facts.max_prepared = 16
    assert statement_limit(world.writer) == 4
    world.facts.max_prepared = 0
    assert statement_limit(world.writer) == 1


def test_a_session_has_no_more_statements_than_the_server_has_room_for(world: World) -> None:
    world.facts.max_prepared = 1
    client = client_of(world)
    server = prepared_by(world, client)
    client.sends(prepare(TEXT))
    client.gets_error(1461, "max_prepared_stmt_count")
    server.gets_nothing()


# MariaDB


def test_the_id_minus_one_is_the_statement_prepared_last(world: World) -> None:
    world.facts.meet(MARIADB)
    client = client_of(world)
    prepared_by(world, client, "SELECT 1", real_id=41)
    client.sends(prepare("SELECT 2"), execute(LAST_PREPARED))
    server = world.backend()
    server.gets(prepare("SELECT 2"))
    server.answers(prepared(42))
    server.gets(execute(42))
    server.answers(rows(b"1"))
    client.gets(prepared(2), rows(b"1"))


@pytest.mark.parametrize("command", [execute(LAST_PREPARED), fetch(LAST_PREPARED, 1)])
def test_the_id_minus_one_is_unknown_before_anything_was_prepared(world: World, command: bytes) -> None:
    client = client_of(world)
    client.sends(command)
    client.gets_error(1243)


@pytest.mark.parametrize(("is_mariadb", "text"), [(True, "SET @a = ?"), (False, "SET @a = ?")])
def test_preparing_makes_the_user_variables_that_the_text_assigns(
    is_mariadb: bool, text: str, world: World
) -> None:
    if is_mariadb:
        world.facts.meet(MARIADB)
    client, other = client_of(world), client_of(world)
    num_params = text.count("?")
    client.sends(prepare(text))
    server = world.backend()
    server.gets(prepare(text))
    server.answers(prepared(41, num_params=num_params))
    client.gets(prepared(1, num_params=num_params))
    other.sends(query("DO 1"))
    assert b"COLLATION(@`a`)" in server.got()[0]


@pytest.mark.parametrize(("types", "is_kept"), [(b"\xfd\0", True), (b"\x08\0", False)])
def test_text_that_is_assigned_as_a_parameter_keeps_its_backend_on_mariadb(
    types: bytes, is_kept: bool, world: World
) -> None:
    # a NULL is of the collation that the parameter had before
    world.facts.meet(MARIADB)
    client = client_of(world)
    client.sends(prepare("SET @a = ?"))
    server = world.backend()
    server.answers(prepared(41, num_params=1))
    client.sends(execute(1, params=params(b"12345678", types=types)))
    server.answers(ok())
    assert (PinReason.USER_VARIABLE in world.frontend(client).session.pin_reasons()) == is_kept


def test_a_preparation_that_fails_half_way_may_have_made_them(world: World) -> None:
    client = client_of(world)
    client.sends(prepare("SELECT @a := 1, nope FROM t"))
    server = world.backend()
    server.answers(error(1054))
    server.answers(ok())
    variables = world.frontend(client).session.variables
    assert variables is not None and variables.names == (b"a",)
    assert world.pool() == "1 parked"


def test_preparing_a_text_that_assigns_an_unmovable_user_variable_pins(world: World) -> None:
    client = client_of(world)
    client.sends(prepare("SET @`\N{SNOWMAN}` = ?"))
    world.backend().answers(prepared(41, num_params=1))
    assert world.frontend(client).session.pin_reasons() == [PinReason.USER_VARIABLE]


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("SELECT @n", [PinReason.USER_VARIABLE]),
        ("SELECT @n := @n + 1, @@sql_mode", [PinReason.USER_VARIABLE]),
        ("SELECT @@sql_mode, 'a@b'", []),
        ("SET @a = ?, @b = @@sql_mode", []),
    ],
)
def test_a_statement_that_reads_user_variables_stays_where_it_was_prepared(
    text: str, pins: list[PinReason], world: World
) -> None:
    client = client_of(world)
    client.sends(prepare(text))
    world.backend().answers(prepared(41))
    assert world.frontend(client).session.pin_reasons() == pins


def test_a_text_that_reads_user_variables_is_another_statement_each_time(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, "SELECT @n")
    client.sends(prepare("SELECT @n"))
    server.gets(prepare("SELECT @n"))
    server.answers(prepared(42))
    client.gets(prepared(2))
    client.sends(execute(1))
    server.gets(execute(41))
    server.answers(rows(b"1"))
    client.sends(close_statement(1))
    server.gets(close_statement(41))
    client.sends(execute(2))
    server.gets(execute(42))


@pytest.mark.parametrize("is_mariadb", [True, False])
def test_one_that_could_not_be_prepared_or_is_mariadbs_does_not(is_mariadb: bool, world: World) -> None:
    if is_mariadb:
        world.facts.meet(MARIADB)
    client = client_of(world)
    client.sends(prepare("SELECT @n"))
    world.backend().answers(prepared(41) if is_mariadb else error(1054))
    assert world.frontend(client).session.pin_reasons() == []


@pytest.mark.parametrize(
    ("text", "nulls", "is_counted"),
    [
        ("UPDATE t SET a=? WHERE id=?", 2, False),
        ("UPDATE t SET a=? WHERE id=?", 1, True),
        ("UPDATE t SET a=? WHERE id=?", 0, True),
        ("UPDATE t SET a=?, b=?", 2, True),
    ],
)
def test_an_update_that_a_null_rules_out_leaves_found_rows_as_they_were(
    world: World, text: str, nulls: int, is_counted: bool
) -> None:
    client, other = client_of(world), client_of(world)
    client.sends(query("SELECT a FROM t"))
    world.backend().answers(rows(b"1", b"2"))
    client.got()
    other.sends(query("SELECT 1"))
    world.backend().answers(rows(b"1"))
    world.backend().got()
    server = prepared_by(world, client, text, num_params=2)
    client.sends(execute(1, params=bytes([nulls]) + b"\1" + 2 * STRING))
    if not is_counted:
        server.gets(query("SELECT 1 FROM (SELECT 1 UNION ALL SELECT 1) AS t LIMIT 2"))
        server.answers(rows(b"1", b"1"))
    server.gets(execute(41, params=bytes([nulls]) + b"\1" + 2 * STRING))


CUT_OFF = b"\0\1" + NUMBER + b"\5"


def test_types_that_the_server_has_not_taken_are_not_remembered(world: World) -> None:
    client = client_of(world)
    server = prepared_by(world, client, num_params=1)
    number = (5).to_bytes(8, "little")
    client.sends(execute(1, params=b"\0\1" + NUMBER + number))
    server.got()
    server.answers(rows(b"5"))
    client.got()
    client.sends(execute(1, params=b"\0\1" + STRING))
    server.gets(execute(41, params=b"\0\1" + STRING))
    server.answers(error(1835))
    client.gets_error(1835)
    server.gets(PROBE)
    server.answers(ok())
    client.sends(execute(1, params=b"\0\0" + number))
    server.gets(execute(41, params=b"\0\1" + NUMBER + number))


@pytest.mark.parametrize(
    ("code", "text", "known"),
    [
        (1835, "Malformed communication packet.", 2),
        (1210, "Incorrect arguments to mysqld_stmt_execute", 2),
        (1210, "Incorrect arguments to regexp_like", 0),
    ],
)
def test_an_execution_that_has_not_begun_leaves_older_errors(
    world: World, code: int, text: str, known: int
) -> None:
    client = client_of(world)
    server = prepared_by(world, client, num_params=1)
    client.sends(execute(9))
    client.gets_error(1243)
    client.sends(execute(1, params=CUT_OFF))
    server.answers(error(code, text))
    server.answers(ok(warnings=1))
    client.gets_error(code)
    captured = world.frontend(client).session.captured
    # what has begun has cleared them, and left its own on the backend
    assert (0 if captured is None else captured.warning_count) == known
