"""Two clients on a pool of one: what a statement leaves for the next one is still there when another has used the backend."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from bench.servers import Server
from tests.integration.fixtures import Connect
from tests.integration.running import Fanin, rows, run, value


@pytest.fixture
def pair(one: Fanin, connect: Connect, table: str) -> tuple[Any, Any, str]:
    """Two clients and a table with a few rows."""
    first, second = connect(one), connect(one)
    run(first, f"INSERT INTO {table} (v, s) VALUES (10, 'a'), (20, 'b'), (30, 'c')")
    return first, second, table


def steal(client: Any) -> None:
    """Use the backend and leave other residue on it."""
    rows(client, "SELECT 'stolen', 2 UNION SELECT 'x', 3 UNION SELECT 'y', 1/0")


def test_insert_id_stays_with_its_session(pair: tuple[Any, Any, str]) -> None:
    first, second, table = pair
    run(first, f"INSERT INTO {table} (v) VALUES (100)")
    run(second, f"INSERT INTO {table} (v) VALUES (200)")
    mine, theirs = value(first, "SELECT LAST_INSERT_ID()"), value(second, "SELECT LAST_INSERT_ID()")
    assert value(first, f"SELECT v FROM {table} WHERE id = %s", mine) == 100
    assert value(second, f"SELECT v FROM {table} WHERE id = %s", theirs) == 200
    assert value(first, "SELECT LAST_INSERT_ID()") == mine
    assert value(second, "SELECT LAST_INSERT_ID()") == theirs


def test_insert_id_is_restored_for_a_statement_that_uses_it(pair: tuple[Any, Any, str]) -> None:
    first, second, table = pair
    run(first, f"INSERT INTO {table} (v) VALUES (100)")
    mine = first.insert_id()
    run(second, f"INSERT INTO {table} (v) VALUES (200)")
    run(first, f"UPDATE {table} SET s = 'mine' WHERE id = LAST_INSERT_ID()")
    assert rows(first, f"SELECT id, v FROM {table} WHERE s = 'mine'") == [(mine, 100)]


def test_new_session_has_no_insert_id(pair: tuple[Any, Any, str], one: Fanin, connect: Connect) -> None:
    first, _, table = pair
    run(first, f"INSERT INTO {table} (v) VALUES (100)")
    assert value(connect(one), "SELECT LAST_INSERT_ID()") == 0


def test_row_count_survives_a_theft(pair: tuple[Any, Any, str]) -> None:
    first, second, table = pair
    run(first, f"UPDATE {table} SET s = 'x' WHERE v < 30")
    steal(second)
    assert value(first, "SELECT ROW_COUNT()") == 2
    steal(second)
    assert value(first, "SELECT ROW_COUNT()") == -1


@pytest.mark.parametrize(
    ("select", "found"),
    [
        ("SELECT * FROM {t}", 3),
        ("SELECT * FROM {t} LIMIT 2", 2),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM {t} LIMIT 1", 3),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM {t} LIMIT 1, 1", 3),
        ("SELECT * FROM {t} LIMIT 1, 5", 3),
    ],
)
def test_found_rows_survive_a_theft(select: str, found: int, pair: tuple[Any, Any, str], one: Fanin) -> None:
    first, second, table = pair
    rows(first, select.format(t=table))
    # MySQL warns of SQL_CALC_FOUND_ROWS, and a count cannot be captured together with warnings
    if one.pins(first) != ["found-rows"]:
        steal(second)
    assert value(first, "SELECT FOUND_ROWS()") == found


def test_warnings_survive_a_theft(pair: tuple[Any, Any, str]) -> None:
    first, second, table = pair
    run(first, f"INSERT IGNORE INTO {table} (v) VALUES (10), (20), (40)")
    steal(second)
    assert [row[1] for row in rows(first, "SHOW WARNINGS")] == [1062, 1062]
    steal(second)
    assert [row[1] for row in rows(first, "SHOW WARNINGS")] == [1062, 1062]
    assert value(first, "SELECT @@warning_count") == 2
    assert rows(second, "SHOW WARNINGS")[0][1] == 1365


def test_errors_survive_a_theft(pair: tuple[Any, Any, str]) -> None:
    first, second, table = pair
    with pytest.raises(Exception, match="1062"):
        run(first, f"INSERT INTO {table} (v) VALUES (10)")
    steal(second)
    assert [row[:2] for row in rows(first, "SHOW ERRORS")] == [("Error", 1062)]
    assert rows(first, "SHOW COUNT(*) ERRORS") == [(1,)]


def test_parked_backend_is_reused_by_its_session_without_a_capture(
    server: Server, pair: tuple[Any, Any, str], one: Fanin
) -> None:
    first, _, table = pair
    captures = one.metric("fanin_captures_total")
    run(first, f"INSERT INTO {table} (v) VALUES (100)")
    assert one.endpoint()["parked"] == 1
    assert value(first, f"SELECT v FROM {table} WHERE id = LAST_INSERT_ID()") == 100
    assert one.metric("fanin_captures_total") == captures


def test_connection_id_is_that_of_the_greeting(pair: tuple[Any, Any, str]) -> None:
    first, second, _ = pair
    assert value(first, "SELECT CONNECTION_ID()") == first.thread_id()
    assert value(second, "SELECT CONNECTION_ID()") == second.thread_id()


def test_diagnostics_survive_a_theft(pair: tuple[Any, Any, str]) -> None:
    first, second, _ = pair
    run(first, "DROP TABLE IF EXISTS never_there")
    steal(second)
    run(first, "GET DIAGNOSTICS @n = NUMBER")
    assert value(first, "SELECT @n") == 1


def test_a_condition_whose_number_is_in_a_variable_is_refused_and_never_wrong(
    pair: tuple[Any, Any, str],
) -> None:
    first, second, _ = pair
    run(first, "DROP TABLE IF EXISTS never_there")
    steal(second)
    with pytest.raises(pymysql.err.MySQLError) as caught:
        run(first, "GET DIAGNOSTICS CONDITION @c @n = MYSQL_ERRNO")
    assert caught.value.args[0] == 1105


@pytest.mark.parametrize(
    "asking",
    [
        "PREPARE p FROM 'SHOW WARNINGS'|EXECUTE p",
        "EXECUTE IMMEDIATE 'SHOW WARNINGS'",
        "CALL {t}_p()|SHOW WARNINGS",
    ],
)
def test_on_mariadb_nobody_is_shown_the_warnings_of_others(
    asking: str, pair: tuple[Any, Any, str], server: Server
) -> None:
    if server.kind != "mariadb":
        pytest.skip("MySQL forgets warnings when it prepares or calls")
    first, second, table = pair
    run(first, f"CREATE OR REPLACE PROCEDURE {table}_p() SET @a = 1")
    steal(second)
    *before, asks = asking.format(t=table).split("|")
    run(first, *before)
    assert list(rows(first, asks)) == []


def test_on_mariadb_prepared_text_finds_what_its_session_has_left(
    pair: tuple[Any, Any, str], server: Server
) -> None:
    if server.kind != "mariadb":
        pytest.skip("MySQL forgets warnings when it prepares")
    first, second, _ = pair
    rows(first, "SELECT 1/0 UNION SELECT 2")
    steal(second)
    run(first, "PREPARE p FROM 'SHOW WARNINGS'", "PREPARE q FROM 'SELECT FOUND_ROWS(), ?, @@warning_count'")
    assert rows(first, "EXECUTE q USING 'x'") == [(2, "x", 1)]
    assert [code for _, code, _ in rows(first, "EXECUTE p")] == [1365]
