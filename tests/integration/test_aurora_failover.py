"""Fanin in front of the Aurora emulator, told nothing but the cluster's name: failover as clients see it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.fakes.aurora.cluster import Aurora
from tests.fakes.aurora.named_fanin import NamedFanin
from tests.integration.running import Fanin, eventually, run, value
from tests.integration.test_failover import DEADLOCK, LOST, Work, goes_on, topology

pytestmark = pytest.mark.timeout(240)

PARAMS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("mariadb", "mysql")]
TOPOLOGY = {"kind": "aurora", "interval": "200ms", "panic_interval": "50ms"}


@pytest.fixture(params=PARAMS)
def aurora(request: pytest.FixtureRequest) -> Iterator[Aurora]:
    with Aurora(request.param) as started:
        yield started


@pytest.fixture
def fanin(aurora: Aurora) -> Iterator[Fanin]:
    with NamedFanin(aurora, pool={"size": 4}, topology=TOPOLOGY) as started:
        yield started


def roles(fanin: Fanin) -> dict[str, str]:
    found: list[dict[str, Any]] = topology(fanin).get("members", [])
    return {member["server_id"]: member["role"] for member in found if not member["is_seed"]}


def wanted(aurora: Aurora) -> dict[str, str]:
    return {
        name: "writer" if instance is aurora.writer else "reader"
        for name, instance in aurora.instances.items()
    }


def test_failover_is_a_pause_and_dns_is_not_believed(aurora: Aurora, fanin: Fanin) -> None:
    client = fanin.connect()
    run(client, "CREATE TABLE t (id BIGINT PRIMARY KEY)", "SET @x = 7, time_zone = '+03:00'")
    eventually(lambda: roles(fanin) == wanted(aurora))
    plain = [Work(fanin, number) for number in range(3)]
    transactions = [Work(fanin, number, in_transactions=True) for number in range(3, 5)]
    works = [*plain, *transactions]
    for to in ("db-2", "db-1", "db-3"):
        goes_on(works)
        aurora.failover(to, gap=0.5, stale=1.0, dns=2.0)
        eventually(lambda: roles(fanin) == wanted(aurora))
    for work in works:
        work.stop()
    assert [work.errors for work in plain] == [[], [], []]
    assert {error for work in transactions for error in work.errors} <= {DEADLOCK, LOST}
    assert value(client, "SELECT CONCAT_WS(' ', @x, @@time_zone)") == "7 +03:00"
    # when DNS moves at last, that is a reason to look, if nothing else was
    eventually(lambda: "name leads elsewhere" in fanin.log.read_text())
    with client.cursor() as cursor:
        cursor.execute("SELECT id FROM t")
        found = {row[0] for row in cursor.fetchall()}
    written = {key for work in works for key in work.written}
    assert written <= found and found - written <= {key for work in works for key in work.unclear}
    client.close()


def test_instances_come_and_go(aurora: Aurora, fanin: Fanin) -> None:
    client = fanin.connect()
    eventually(lambda: roles(fanin) == wanted(aurora))
    added = aurora.add_instance()
    eventually(lambda: roles(fanin).get(added) == "reader")
    assert fanin.endpoint(added)["role"] == "reader"
    aurora.remove_instance(added, lingers=False)
    eventually(lambda: added not in roles(fanin))
    assert added not in [each["name"] for each in fanin.state()["endpoints"]]
    assert value(client, "SELECT 1") == 1
    client.close()


@pytest.mark.parametrize("aurora", [PARAMS[1]], indirect=True)
def test_sessions_that_have_left_something_on_a_reader_come_to_a_new_one(aurora: Aurora) -> None:
    """Within the lifetimes of its backends, however often they read in between; what they have left comes with them."""
    with NamedFanin(
        aurora, pool={"size": 8, "max_age": "2s"}, topology=TOPOLOGY, routing={"warm_up": 0.0}
    ) as fanin:
        clients = [fanin.connect() for _ in range(6)]
        eventually(lambda: roles(fanin) == wanted(aurora))
        readers = {each.name for each in aurora.readers}
        for number, client in enumerate(clients):
            run(client, f"SET @x = {number}")
            eventually(partial(is_read_on, client, readers, number))
        added = aurora.add_instance()
        for number, client in enumerate(clients):
            eventually(partial(is_read_on, client, {added}, number))
            client.close()


def is_read_on(client: Any, names: set[str], left: int) -> bool:
    """Whether a read-only transaction was on one of these; what the session has left is there."""
    run(client, "START TRANSACTION READ ONLY")
    name, found = value(client, "SELECT CONCAT_WS(' ', @@aurora_server_id, @x)").split()
    run(client, "COMMIT")
    assert int(found) == left
    return name in names


@pytest.mark.parametrize("aurora", [PARAMS[1]], indirect=True)
def test_read_committed_is_that_on_readers_too(aurora: Aurora, fanin: Fanin) -> None:
    client = fanin.connect()
    eventually(lambda: roles(fanin) == wanted(aurora))
    readers = {each.name for each in aurora.readers}
    question = "SELECT CONCAT_WS(' ', @@aurora_server_id, @@aurora_read_replica_read_committed)"

    def asked_reader() -> bool:
        run(client, "START TRANSACTION READ ONLY")
        name, setting = value(client, question).split()
        run(client, "COMMIT")
        assert setting == "1"
        return name in readers

    eventually(asked_reader)
    client.close()
