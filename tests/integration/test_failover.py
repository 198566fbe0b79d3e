"""Failover as clients see it: real servers that replicate, and switch while clients work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest

from bench.cluster import Cluster
from bench.servers import HOST, KINDS, Server
from tests.integration.running import Fanin, eventually, run, value
from tests.integration.test_monitor import REPLICA, promote

pytestmark = pytest.mark.timeout(180)

KINDS_HERE = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
both = pytest.mark.parametrize("kind", KINDS_HERE)
DEADLOCK = 1213
LOST = 2013
TOPOLOGY: dict[str, object] = {"interval": "200ms", "panic_interval": "50ms", "monitor_user": "root"}


@contextmanager
def switching(kind: str, readers: int = 1, **settings: Any) -> Iterator[tuple[Cluster, Fanin]]:
    """A writer w and its readers r, r2, .., with a table, behind Fanin, which knows who is what."""
    with Cluster(kind, readers=readers) as cluster:
        cluster.writer.sql("CREATE TABLE app.t (id BIGINT PRIMARY KEY)")
        cluster.catch_up()
        upstream = [
            {"host": HOST, "port": cluster.writer.port, "name": "w"},
            *[
                {
                    "host": HOST,
                    "port": each.port,
                    "name": f"r{number}" if number > 1 else "r",
                    "role": "reader",
                }
                for number, each in enumerate(cluster.readers, 1)
            ],
        ]
        settings = {"pool": {"size": 4}, "topology": TOPOLOGY, **settings}
        with Fanin(upstream=upstream, has_readers=True, **settings) as fanin:
            yield cluster, fanin


def topology(fanin: Fanin) -> dict[str, Any]:
    found: dict[str, Any] = fanin.state()["topology"]
    return found


def is_writer(fanin: Fanin, name: str) -> bool:
    found = topology(fanin)
    return found.get("state") == "stable" and found["writer"] == name


def demote(server: Server) -> None:
    server.sql("SET GLOBAL read_only = 1")
    if server.kind == "mysql":
        server.sql("SET GLOBAL super_read_only = 1")


class Work:
    """A client that writes one unique key after the other until it is stopped."""

    def __init__(self, fanin: Fanin, number: int, *, in_transactions: bool = False) -> None:
        self.written: list[int] = []
        self.unclear: list[int] = []
        self.errors: list[int] = []
        self.slowest = 0.0
        self._fanin = fanin
        self._next = number * 1_000_000
        self.in_transactions = in_transactions
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        client = self._fanin.connect()
        while not self._stopped.wait(0.005):
            self._next += 1
            began = time.monotonic()
            try:
                self._write(client)
            except pymysql.err.MySQLError as error:
                self.errors.append(error.args[0])
                if error.args[0] != DEADLOCK:
                    self.unclear.append(self._next)
                    client.close()
                    client = self._fanin.connect()
            else:
                self.written.append(self._next)
            self.slowest = max(self.slowest, time.monotonic() - began)
        client.close()

    def _write(self, client: Any) -> None:
        text = f"INSERT INTO t VALUES ({self._next})"
        run(client, *(["BEGIN", text, "COMMIT"] if self.in_transactions else [text]))

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


def goes_on(works: list[Work]) -> None:
    """Wait until each has written some more."""
    counts = [len(work.written) for work in works]
    eventually(lambda: all(len(work.written) > count + 3 for work, count in zip(works, counts, strict=True)))


def keys(server: Server) -> set[int]:
    return {row[0] for row in server.sql("SELECT id FROM app.t")}


@both
def test_a_planned_switch_is_a_pause(kind: str) -> None:
    with switching(kind) as (cluster, fanin):
        new_writer = cluster.readers[0]
        idle = [fanin.connect() for _ in range(5)]
        for number, client in enumerate(idle):
            run(client, f"SET @x = {number}, time_zone = '+03:00'")
        eventually(lambda: is_writer(fanin, "w"))
        plain = [Work(fanin, number) for number in range(3)]
        transactions = [Work(fanin, number, in_transactions=True) for number in range(3, 5)]
        eventually(lambda: all(work.written for work in plain + transactions))
        demote(cluster.writer)
        eventually(lambda: topology(fanin)["is_paused"])
        assert topology(fanin)["switches"][-1][0]["event"] != "switched"
        cluster.catch_up()
        promote(new_writer)
        eventually(lambda: is_writer(fanin, "r"))
        goes_on(plain + transactions)
        for work in plain + transactions:
            work.stop()
        assert [work.errors for work in plain] == [[], [], []]
        assert {error for work in transactions for error in work.errors} <= {DEADLOCK}
        written = [key for work in plain + transactions for key in work.written]
        assert keys(new_writer) == set(written)
        for number, client in enumerate(idle):
            found = value(client, "SELECT CONCAT_WS(' ', @x, @@time_zone, @@port)")
            assert found == f"{number} +03:00 {new_writer.port}"
            client.close()
        assert [event["event"] for event in topology(fanin)["switches"][-1]][-1] == "switched"


def member(fanin: Fanin, name: str) -> dict[str, Any]:
    (found,) = [each for each in topology(fanin)["members"] if each["name"] == name]
    return dict(found)


def read_only(client: Any, text: str) -> object:
    """In a transaction that is."""
    run(client, "START TRANSACTION READ ONLY")
    found = value(client, text)
    run(client, "COMMIT")
    return found


@both
def test_a_replica_that_still_follows_the_former_writer_shows_nothing_old(kind: str) -> None:
    with switching(kind, 2, routing={"autocommit_reads": "reader"}) as (cluster, fanin):
        new_writer, left = cluster.readers
        eventually(lambda: is_writer(fanin, "w"))
        demote(cluster.writer)
        cluster.catch_up()
        promote(new_writer)
        eventually(lambda: is_writer(fanin, "r"))
        eventually(lambda: "is not seen to replicate from the writer" in member(fanin, "r2")["why"])
        client, other = fanin.connect(), fanin.connect()
        run(client, "INSERT INTO t VALUES (1)")
        assert value(other, "SELECT COUNT(*) FROM t") == 1
        assert read_only(other, "SELECT COUNT(*) FROM t") == 1
        word = REPLICA[kind]
        left.sql(f"STOP {word}")
        left.sql(cluster.replication.follow.format(port=new_writer.port))
        left.sql(f"START {word}")
        eventually(lambda: member(fanin, "r2")["is_eligible"])
        eventually(lambda: read_only(other, "SELECT @@port") == left.port)
        client.close()
        other.close()


@both
def test_a_killed_writer_costs_those_who_used_it_and_nobody_else(kind: str) -> None:
    with switching(kind) as (cluster, fanin):
        new_writer = cluster.readers[0]
        idle = [fanin.connect() for _ in range(5)]
        for client in idle:
            run(client, "SET time_zone = '+03:00'")
        eventually(lambda: is_writer(fanin, "w"))
        waiting = fanin.connect()
        run(waiting, "BEGIN", "INSERT INTO t VALUES (-1)")
        works = [Work(fanin, number, in_transactions=number > 1) for number in range(4)]
        eventually(lambda: all(work.written for work in works))
        cluster.writer.halt(by_force=True)
        eventually(lambda: topology(fanin)["is_paused"])
        promote(new_writer)
        eventually(lambda: is_writer(fanin, "r"))
        goes_on(works)
        for work in works:
            work.stop()
        assert {error for work in works for error in work.errors} <= {DEADLOCK, LOST}
        # each was in the middle of one at most
        assert [len(work.errors) <= 1 for work in works] == [True] * 4
        with pytest.raises(pymysql.err.OperationalError) as caught:
            run(waiting, "INSERT INTO t VALUES (-2)")
        assert caught.value.args[0] == DEADLOCK
        run(waiting, "BEGIN", "INSERT INTO t VALUES (-1)", "COMMIT")
        waiting.close()
        for client in idle:
            found = value(client, "SELECT CONCAT_WS(' ', @@time_zone, @@port)")
            assert found == f"+03:00 {new_writer.port}"
            client.close()


@both
def test_who_is_what_is_learned_with_borrowed_credentials(kind: str) -> None:
    borrowing = {"interval": "200ms", "panic_interval": "50ms"}
    with switching(kind, topology=borrowing) as (cluster, fanin):
        assert topology(fanin)["kind"] == "not known yet"
        client = fanin.connect()
        assert value(client, "SELECT @@port") == cluster.writer.port
        eventually(lambda: is_writer(fanin, "w"))
        roles = {member["name"]: member["role"] for member in topology(fanin)["members"]}
        assert roles == {"w": "writer", "r": "reader"}
        client.close()
        fanin.terminate()
        assert fanin.exit_status() == 0


@pytest.mark.mariadb
def test_static_roles_are_as_configured_and_nobody_looks() -> None:
    with switching("mariadb", topology={"kind": "static"}) as (cluster, fanin):
        client, reader = fanin.connect(), fanin.connect(port=fanin.reader_port)
        demote(cluster.writer)
        with pytest.raises(pymysql.err.MySQLError, match="read-only"):
            run(client, "INSERT INTO t VALUES (1)")
        assert value(reader, "SELECT @@port") == cluster.readers[0].port
        assert topology(fanin) == {"kind": "static"}
        text = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root'"
        assert cluster.writer.value(text) == 1
        client.close()
        reader.close()


@pytest.mark.mariadb
def test_a_wrong_password_of_the_monitor_leaves_roles_as_configured() -> None:
    wrong = {**TOPOLOGY, "monitor_user": "nobody", "monitor_password": "wrong"}
    with switching("mariadb", topology=wrong) as (cluster, fanin):
        eventually(lambda: "Access denied" in topology(fanin).get("reason", ""))
        client, reader = fanin.connect(), fanin.connect(port=fanin.reader_port)
        assert value(client, "SELECT @@port") == cluster.writer.port
        assert value(reader, "SELECT @@port") == cluster.readers[0].port
        client.close()
        reader.close()
