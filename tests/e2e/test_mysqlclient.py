"""mysqlclient (the client library in C), unmodified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bench.servers import HOST, PASSWORD, SCHEMA, USER
from tests.integration.running import Fanin

MySQLdb = pytest.importorskip(
    "MySQLdb", reason="mysqlclient is not installed: tools/setup builds it where libmariadb-dev is there"
)

Open = Callable[..., Any]


@pytest.fixture
def opened(one: Fanin) -> Iterator[Open]:
    """`opened(**arguments)`: a connection."""
    with ExitStack() as exits:

        def make(**arguments: Any) -> Any:
            client = MySQLdb.connect(
                host=HOST, port=one.port, user=USER, password=PASSWORD, database=SCHEMA, **arguments
            )
            exits.callback(client.close)
            return client

        yield make


def answer(client: Any, statement: str, *arguments: object) -> Any:
    cursor = client.cursor()
    cursor.execute(statement, arguments or None)
    found = cursor.fetchall()
    cursor.close()
    return found


def test_ordinary_use_is_shared(opened: Open, one: Fanin, table: str) -> None:
    before = one.metric("fanin_pins_total")
    clients = [opened(charset="utf8mb4") for _ in range(4)]
    for turn in range(5):
        for number, client in enumerate(clients):
            cursor = client.cursor()
            assert (
                cursor.execute(f"INSERT INTO {table} (v, s) VALUES (%s, %s)", (turn * 10 + number, "ü")) == 1
            )
            mine = cursor.lastrowid
            assert answer(client, f"SELECT v, s FROM {table} WHERE id = LAST_INSERT_ID()") == (
                (turn * 10 + number, "ü"),
            )
            assert answer(client, "SELECT LAST_INSERT_ID()") == ((mine,),)
            cursor.close()
            client.commit() if turn % 2 else client.rollback()
            client.ping()
    assert answer(clients[0], f"SELECT COUNT(*) FROM {table}") == ((8,),)
    clients[0].rollback()
    assert one.metric("fanin_pins_total") == before


def test_many_at_once_and_several_results(opened: Open, table: str) -> None:
    client = opened()
    cursor = client.cursor()
    cursor.executemany(f"INSERT INTO {table} (v, s) VALUES (%s, %s)", [(n, str(n)) for n in range(1000)])
    client.commit()
    cursor.execute(f"SELECT COUNT(*) FROM {table}; SELECT MAX(v) FROM {table}")
    assert cursor.fetchall() == ((1000,),)
    assert cursor.nextset() == 1
    assert cursor.fetchall() == ((999,),)
    cursor.close()


def test_warnings_and_info_are_those_of_the_statement(opened: Open, table: str) -> None:
    client, other = opened(autocommit=True), opened(autocommit=True)
    answer(client, f"INSERT INTO {table} (v) VALUES (1)")
    cursor = client.cursor()
    cursor.execute(f"INSERT IGNORE INTO {table} (v) VALUES (1), (2)")
    assert "Duplicates: 1  Warnings: 1" in client.info()
    assert client.warning_count() == 1
    answer(other, "SELECT 1")
    assert len(answer(client, "SHOW WARNINGS")) == 1
    cursor.close()


def test_local_file_is_loaded_when_asked_for(opened: Open, table: str, tmp_path: Any) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("1,a\n2,b\n")
    client = opened(local_infile=1)
    statement = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} FIELDS TERMINATED BY ',' (v, s)"
    assert client.cursor().execute(statement) == 2
    client.commit()
    assert answer(client, f"SELECT v, s FROM {table} ORDER BY v") == ((1, "a"), (2, "b"))


def test_unbuffered_result_is_read_row_by_row(opened: Open) -> None:
    import MySQLdb.cursors

    client, other = opened(), opened()
    cursor = client.cursor(MySQLdb.cursors.SSCursor)
    cursor.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchall() == ((2,), (3,))
    cursor.close()
    assert answer(other, "SELECT 1") == ((1,),)
