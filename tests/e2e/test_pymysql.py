"""PyMySQL, unmodified."""

from __future__ import annotations

import datetime
import decimal

import pymysql
import pymysql.cursors
import pytest

from bench.servers import Server
from tests.integration.fixtures import Connect
from tests.integration.running import Fanin, rows, run, value


def test_types_come_back_as_they_went(one: Fanin, connect: Connect, server: Server, table: str) -> None:
    name = f"{table}_types"
    server.sql(
        f"CREATE TABLE {name} (i BIGINT, d DECIMAL(10,3), f DOUBLE, s VARCHAR(50), b BLOB, t DATETIME(6), j JSON, n INT)"
        " CHARACTER SET utf8mb4"
    )
    given = (
        -(2**62),
        decimal.Decimal("12.345"),
        1.5,
        "ünï 🦊",
        bytes(range(256)),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 456),
        '{"a": [1, 2]}',
        None,
    )
    client = connect(one)
    with client.cursor() as cursor:
        cursor.execute(f"INSERT INTO {name} VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", given)
    assert rows(client, f"SELECT * FROM {name}") == [given]


def test_many_rows_by_an_unbuffered_cursor(one: Fanin, connect: Connect, table: str) -> None:
    client, other = connect(one), connect(one)
    with client.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} (v) VALUES (%s)", [(n,) for n in range(5000)])
    with client.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(f"SELECT v FROM {table} ORDER BY v")
        assert [row[0] for row in cursor] == list(range(5000))
    assert value(other, f"SELECT COUNT(*) FROM {table}") == 5000


def test_ordinary_use_is_shared(one: Fanin, connect: Connect, table: str) -> None:
    before = one.metric("fanin_pins_total")
    clients = [connect(one, autocommit=False) for _ in range(4)]
    for turn in range(5):
        for number, client in enumerate(clients):
            with client.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute(f"INSERT INTO {table} (v, s) VALUES (%s, %s)", (turn * 10 + number, "x"))
                mine = cursor.lastrowid
                cursor.execute(f"SELECT v FROM {table} WHERE id = %s", (mine,))
                assert cursor.fetchone() == {"v": turn * 10 + number}
                cursor.execute("SELECT LAST_INSERT_ID() AS id")
                assert cursor.fetchone() == {"id": mine}
            client.commit() if turn % 2 else client.rollback()
            client.ping(reconnect=False) if turn % 3 else client.select_db("app")
    assert value(clients[0], f"SELECT COUNT(*) FROM {table}") == 8
    clients[0].rollback()
    assert one.metric("fanin_pins_total") == before
    assert one.endpoint()["leased"] == 0


def test_errors_have_their_classes(one: Fanin, connect: Connect, table: str) -> None:
    client = connect(one)
    run(client, f"INSERT INTO {table} (v) VALUES (1)")
    for statement, error in (
        (f"INSERT INTO {table} (v) VALUES (1)", pymysql.err.IntegrityError),
        ("SELECT * FROM app.missing", pymysql.err.ProgrammingError),
        ("SELEKT", pymysql.err.ProgrammingError),
        (f"INSERT INTO {table} (s) VALUES (REPEAT('x', 200))", pymysql.err.DataError),
    ):
        with pytest.raises(error):
            run(client, statement)
    assert value(client, "SELECT 1") == 1


def test_autocommit_is_told_by_the_status_flags(one: Fanin, connect: Connect) -> None:
    client, other = connect(one, autocommit=False), connect(one)
    for _ in range(2):
        run(other, "SELECT 1")
        assert other.get_autocommit()
        assert not client.get_autocommit()
        client.ping(reconnect=False)
        assert not client.get_autocommit()
    client.autocommit(True)
    run(client, "SELECT 1")
    assert client.get_autocommit()
