"""mysql-connector-python, in Python and in C, unmodified: TLS whenever it is offered, prepared cursors, COM_RESET_CONNECTION of its pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import mysql.connector
import mysql.connector.pooling
import pytest

from bench.servers import HOST, PASSWORD, SCHEMA, USER, Server
from tests.integration.running import Fanin

Open = Callable[..., Any]


@pytest.fixture(params=[True, False], ids=["python", "c"])
def is_pure(request: pytest.FixtureRequest) -> bool:
    if not request.param and not mysql.connector.HAVE_CEXT:
        pytest.skip("mysql-connector-python has no C extension here")
    return bool(request.param)


@pytest.fixture
def opened(one: Fanin, is_pure: bool, server: Server) -> Iterator[Open]:
    """`opened(**arguments)`: a connection."""
    with ExitStack() as exits:

        def make(**arguments: Any) -> Any:
            client = mysql.connector.connect(**address(one, is_pure, server), **arguments)
            exits.callback(client.close)
            return client

        yield make


def address(fanin: Fanin, is_pure: bool, server: Server) -> dict[str, Any]:
    found = {
        "host": HOST,
        "port": fanin.port,
        "user": USER,
        "password": PASSWORD,
        "database": SCHEMA,
        "use_pure": is_pure,
    }
    if server.kind == "mariadb":
        # the collation that it sets by default is not known there
        found["collation"] = "utf8mb4_general_ci"
    return found


def answer(client: Any, statement: str, arguments: tuple[object, ...] = ()) -> Any:
    with client.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchall()


def test_statements_and_transactions(opened: Open, one: Fanin, table: str) -> None:
    client, other = opened(), opened(autocommit=True)
    with client.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (v, s) VALUES (%s, %s)", (1, "ü"))
        mine = cursor.lastrowid
    client.commit()
    assert answer(other, f"SELECT v, s FROM {table} WHERE id = %s", (mine,)) == [(1, "ü")]
    assert answer(client, "SELECT LAST_INSERT_ID()") == [(mine,)]
    client.rollback()
    with pytest.raises(mysql.connector.errors.IntegrityError):
        answer(other, f"INSERT INTO {table} (v) VALUES (1)")
    assert client.is_connected()
    client.ping()


def test_prepared_cursor_runs_on_whatever_backend(opened: Open, table: str) -> None:
    client, other = opened(autocommit=True), opened(autocommit=True)
    with client.cursor(prepared=True) as cursor:
        for number in range(5):
            cursor.execute(f"INSERT INTO {table} (v, s) VALUES (%s, %s)", (number, f"text {number}"))
            answer(other, "SELECT 1")
    with client.cursor(prepared=True) as cursor:
        for number in range(5):
            cursor.execute(f"SELECT s FROM {table} WHERE v = %s", (number,))
            assert cursor.fetchall() == [(f"text {number}",)]
            answer(other, "SELECT 1")


@pytest.mark.filterwarnings("ignore:Call to deprecated function stored_results")
def test_procedure_with_several_results(opened: Open, server: Server, table: str) -> None:
    name = table.replace("app.", "c")
    server.sql(
        f"CREATE PROCEDURE app.{name}(IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1; SET b = a * 2; END"
    )
    client = opened(autocommit=True)
    with client.cursor() as cursor:
        assert cursor.callproc(name, (5, 0))[1] == 10
        assert [result.fetchall() for result in cursor.stored_results()] == [[(5,)], [(6,)]]


def test_reset_and_change_of_user(opened: Open, server: Server) -> None:
    client = opened()
    with client.cursor() as cursor:
        cursor.execute("SET @a = 1")
        cursor.execute("SET time_zone = '+03:00'")
    client.reset_session()
    assert answer(client, "SELECT @a, @@time_zone") == [(None, "SYSTEM")]
    client.cmd_change_user(USER, PASSWORD, "information_schema")
    assert answer(client, "SELECT DATABASE()") == [("information_schema",)]


def test_its_own_pool_on_top(one: Fanin, is_pure: bool, server: Server, table: str) -> None:
    pool = mysql.connector.pooling.MySQLConnectionPool(
        pool_name=f"pool{one.port}{is_pure}",
        pool_size=5,
        pool_reset_session=True,
        **address(one, is_pure, server),
    )
    for number in range(20):
        client = pool.get_connection()
        with client.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} (v) VALUES (%s)", (number,))
        client.commit()
        client.close()
    client = pool.get_connection()
    assert answer(client, f"SELECT COUNT(*) FROM {table}") == [(20,)]
    client.close()
    pool._remove_connections()
