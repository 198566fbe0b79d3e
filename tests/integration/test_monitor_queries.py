"""The monitor's queries, asked of real servers that replicate."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from bench.cluster import Cluster
from bench.servers import KINDS, Server
from proxy import monitor_queries as queries
from proxy.observation import (
    ReplicationStatus,
    Self,
    is_aurora,
    parse_replication,
    parse_self,
    parse_table,
)
from tests.integration.running import eventually, rows
from tests.integration.running import run as run_here

SELF = {"mariadb": queries.MARIADB_SELF, "mysql": queries.MYSQL_SELF}
REPLICATION = {"mariadb": queries.MARIADB_REPLICATION, "mysql": queries.MYSQL_REPLICATION}
WORDS = {"mariadb": "SLAVE", "mysql": "REPLICA"}


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param, readers=1) as started:
        yield started


def ask(server: Server, text: str, **arguments: Any) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Columns and rows, as texts."""
    with (
        contextlib.closing(server.connect(conv={}, **arguments)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(text)
        return [column[0] for column in cursor.description], list(cursor.fetchall())


def self_of(server: Server) -> Self:
    return parse_self(ask(server, SELF[server.kind])[1])


def replication_of(server: Server) -> tuple[ReplicationStatus, ...]:
    return parse_replication(*ask(server, REPLICATION[server.kind]))


def run(server: Server, verb: str, thread: str = "") -> None:
    server.sql(f"{verb} {WORDS[server.kind]} {thread}")


def test_writer_and_reader_say_who_they_are(cluster: Cluster) -> None:
    writer, reader = self_of(cluster.writer), self_of(cluster.readers[0])
    assert (writer.server_id, writer.is_writer) == ("1", True)
    assert (reader.server_id, reader.is_writer) == ("2", False)
    assert writer.uptime is not None and reader.uptime is not None


def test_the_clock_is_utc_whatever_the_time_zone(cluster: Cluster) -> None:
    rows = ask(cluster.writer, SELF[cluster.kind], init_command="SET time_zone = '+09:00'")[1]
    assert abs(parse_self(rows).clock / 1e6 - time.time()) < 60


def test_positions_are_those_of_the_last_commit(cluster: Cluster) -> None:
    cluster.writer.sql("CREATE TABLE IF NOT EXISTS app.positions (id INT PRIMARY KEY)")
    cluster.catch_up()
    position = self_of(cluster.writer).position
    assert position and self_of(cluster.readers[0]).position == position


def test_the_reader_follows_the_writer_and_the_writer_nobody(cluster: Cluster) -> None:
    (status,) = replication_of(cluster.readers[0])
    address = (status.source_id, status.source_host, status.source_port)
    assert address == ("1", cluster.writer.host, cluster.writer.port)
    assert (status.is_running, status.is_following) == (True, True)
    # MySQL says 1 for a moment after it has applied everything
    eventually(lambda: replication_of(cluster.readers[0])[0].lag == 0.0, "the reader has no lag")
    assert replication_of(cluster.writer) == ()


@pytest.mark.parametrize("thread", ["IO_THREAD", "SQL_THREAD"])
def test_a_stopped_thread_makes_the_lag_unknown(cluster: Cluster, thread: str) -> None:
    reader = cluster.readers[0]
    run(reader, "STOP", thread)
    try:
        (status,) = replication_of(reader)
        assert (status.is_running, status.is_following, status.lag) == (False, True, None)
        run(reader, "STOP")
        (status,) = replication_of(reader)
        assert (status.is_running, status.is_following) == (False, False)
    finally:
        run(reader, "START")
        cluster.catch_up()


def test_an_account_without_privileges_may_ask_all_but_replication(cluster: Cluster) -> None:
    cluster.writer.sql(
        "CREATE OR REPLACE USER plain@'%'" if cluster.kind == "mariadb" else "CREATE USER plain@'%'"
    )
    rows = ask(cluster.writer, SELF[cluster.kind], user="plain")[1]
    assert parse_self(rows).server_id == "1"
    assert not is_aurora(ask(cluster.writer, queries.IS_AURORA, user="plain")[1])
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        ask(cluster.writer, REPLICATION[cluster.kind], user="plain")


def test_auroras_table_as_a_real_server_evaluates_the_query(cluster: Cluster) -> None:
    with (
        contextlib.closing(cluster.writer.connect(conv={}, database="app")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "CREATE TEMPORARY TABLE replica_host_status (SERVER_ID VARCHAR(100), SESSION_ID VARCHAR(100),"
            " REPLICA_LAG_IN_MILLISECONDS DOUBLE, LAST_UPDATE_TIMESTAMP DATETIME(6), CPU DOUBLE)"
        )
        cursor.execute(
            "INSERT INTO replica_host_status VALUES ('db-1', 'MASTER_SESSION_ID', 0, NOW(6), 3.5),"
            " ('db-2', 'abc', 21.5, NOW(6) - INTERVAL 2 SECOND, NULL)"
        )
        text = queries.AURORA_TABLE.replace("information_schema.", "app.")
        cursor.execute(text)
        first = parse_table(cursor.fetchall())
        cursor.execute(text)
        second = parse_table(cursor.fetchall())
    assert [(row.server_id, row.is_master, row.lag, row.cpu) for row in first] == [
        ("db-1", True, 0.0, 3.5),
        ("db-2", False, 0.0215, None),
    ]
    assert 2.0 <= first[1].age < 60
    # the same row has the same time of update at each look, so that one sees that it was not renewed
    assert [row.updated for row in first] == [row.updated for row in second]


def test_how_full_it_is_a_server_tells_each_session(cluster: Cluster) -> None:
    server = cluster.writer
    text = queries.MARIADB_OCCUPANCY if server.kind == "mariadb" else queries.MYSQL_OCCUPANCY
    names = ("Threads_connected", "Connection_errors_max_connections")
    with contextlib.closing(server.connect()) as root, contextlib.ExitStack() as exits:
        ((_, _, before),) = rows(root, text)
        run_here(root, "SET GLOBAL max_connections = 10")
        exits.callback(run_here, root, "SET GLOBAL max_connections = 2000")
        with pytest.raises(pymysql.err.OperationalError, match="Too many connections"):
            while True:
                exits.callback(server.connect(user="app", password="app").close)
        ((limit, connected, refusals),) = rows(root, text)
        assert (limit, int(refusals)) == (10, int(before) + 1)
        shown = dict(rows(root, f"SHOW GLOBAL STATUS WHERE Variable_name IN {names}"))
        assert shown == dict(zip(names, (connected, refusals), strict=True))
