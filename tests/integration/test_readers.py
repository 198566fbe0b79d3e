"""A cluster: the writer behind one listener, its readers behind another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pymysql
import pytest

from bench.cluster import Cluster
from bench.servers import HOST
from tests.integration.running import Fanin, eventually, run, value


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("mariadb") as started:
        started.writer.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
        started.writer.sql("INSERT INTO app.t (v) VALUES (1), (2)")
        started.catch_up()
        yield started


@pytest.fixture
def upstream(cluster: Cluster) -> list[dict[str, object]]:
    roles = ["writer", *("reader" for _ in cluster.readers)]
    return [
        {"host": HOST, "port": server.port, "role": role, "name": f"{role}-{server.port}"}
        for server, role in zip(cluster.servers, roles, strict=True)
    ]


@pytest.mark.mariadb
def test_readers_take_turns_behind_their_own_listener(
    cluster: Cluster, upstream: list[dict[str, object]]
) -> None:
    with Fanin(upstream=upstream, has_readers=True, topology={"kind": "static"}, pool={"size": 2}) as fanin:
        writer, reader = fanin.connect(), fanin.connect(port=fanin.reader_port)
        assert {value(writer, "SELECT @@port") for _ in range(4)} == {cluster.writer.port}
        seen = Counter(value(reader, "SELECT @@port") for _ in range(20))
        assert seen == {server.port: 10 for server in cluster.readers}
        run(writer, "INSERT INTO t (v) VALUES (3)")
        with pytest.raises(pymysql.err.MySQLError, match="read-only"):
            run(reader, "INSERT INTO t (v) VALUES (4)")
        cluster.catch_up()
        assert value(reader, "SELECT COUNT(*) FROM t") == 3
        # a transaction stays where it began
        run(reader, "START TRANSACTION READ ONLY")
        assert len({value(reader, "SELECT @@port") for _ in range(4)}) == 1
        run(reader, "COMMIT")
        writer.close()
        reader.close()


@pytest.mark.mariadb
def test_state_follows_a_session_from_reader_to_reader(upstream: list[dict[str, object]]) -> None:
    with Fanin(upstream=upstream, has_readers=True, topology={"kind": "static"}, pool={"size": 1}) as fanin:
        reader = fanin.connect(port=fanin.reader_port)
        run(reader, "SET time_zone = '+04:00', sql_mode = 'ANSI_QUOTES'", "USE information_schema")
        for _ in range(4):
            assert value(reader, "SELECT CONCAT_WS(' ', @@time_zone, @@sql_mode, DATABASE())") == (
                "+04:00 ANSI_QUOTES information_schema"
            )
        reader.close()


@pytest.mark.mariadb
def test_reader_with_the_fewest_leases_is_chosen(upstream: list[dict[str, object]]) -> None:
    with Fanin(upstream=upstream, has_readers=True, topology={"kind": "static"}, pool={"size": 4}) as fanin:
        clients = [fanin.connect(port=fanin.reader_port) for _ in range(4)]
        for client in clients:
            run(client, "BEGIN", "SELECT 1")
        leased = [each["leased"] for each in fanin.state()["endpoints"]]
        assert leased == [0, 2, 2]
        for client in clients:
            client.close()
        eventually(lambda: sum(each["leased"] for each in fanin.state()["endpoints"]) == 0)
