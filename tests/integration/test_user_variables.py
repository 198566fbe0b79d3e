"""User variables of several sessions on one backend: each has its own, triggers included, and nobody else's ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.servers import MariaDB, Server
from protocol.constants import Capability
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.wire import PLAIN, WireClient

NEVER = "SELECT @a, HEX(@a), COLLATION(@a), COERCIBILITY(@a)"


@pytest.fixture
def audited(table: str, root: Any) -> Iterator[str]:
    """A table whose trigger writes @app_user into its column s."""
    run(root, f"CREATE TRIGGER {table}_trigger BEFORE INSERT ON {table} FOR EACH ROW SET NEW.s = @app_user")
    yield table
    run(root, f"DROP TRIGGER {table}_trigger")


def test_a_trigger_reads_the_variable_of_its_own_session(one: Fanin, connect: Connect, audited: str) -> None:
    ann, bob, nobody = connect(one), connect(one), connect(one)
    run(ann, "SET @app_user = 'ann'")
    run(bob, "SET @app_user = 'bob'")
    for _ in range(3):
        for client in (ann, bob):
            run(client, f"INSERT INTO {audited} () VALUES ()")
    assert [one.pins(client) for client in (ann, bob)] == [[], []]
    # servers assign NULL where INSERT meets a variable that never was, and say that something has changed
    run(nobody, f"INSERT INTO {audited} () VALUES ()")
    assert one.pins(nobody) == ["opaque-state-change"]
    assert rows(nobody, f"SELECT s FROM {audited} ORDER BY id") == [("ann",), ("bob",)] * 3 + [(None,)]


def test_a_session_that_never_assigned_never_sees_anothers(
    one: Fanin, server: Server, connect: Connect
) -> None:
    with WireClient(server.port) as direct, WireClient(one.port) as watcher:
        wanted = direct.query(NEVER)
        for assigned in ("5", "'text'", "1.5", "NULL", "x'00ff'"):
            client = connect(one)
            run(client, f"SET @a = {assigned}")
            assert watcher.query(NEVER) == wanted
            client.close()
            assert watcher.query(NEVER) == wanted


def test_a_session_that_leaves_or_resets_leaves_nothing(one: Fanin, server: Server) -> None:
    with WireClient(server.port) as direct, WireClient(one.port) as client, WireClient(one.port) as other:
        wanted = direct.query(NEVER)
        client.ok("SET @a = 5")
        assert other.query(NEVER) == wanted
        assert client.value("SELECT @a") == b"5"
        client.command(b"\x1f")
        assert other.query(NEVER) == wanted
        direct.command(b"\x1f")
        assert client.query(NEVER) == direct.query(NEVER)
        client.ok("SET @a = 5")
        client.quit()
        assert other.query(NEVER) == wanted


def test_the_server_lists_no_variables_of_another_session(
    one: Fanin, server: Server, connect: Connect
) -> None:
    if isinstance(server, MariaDB):
        listed = "SELECT COUNT(*) FROM information_schema.user_variables"
    else:
        listed = "SELECT COUNT(*) FROM performance_schema.user_variables_by_thread JOIN performance_schema.threads USING (thread_id) WHERE processlist_id = @@pseudo_thread_id"
    client, other = connect(one), connect(one)
    run(client, "SET @a = 1, @b = 'x'")
    assert value(other, listed) == 0
    assert value(client, listed) == 2
    assert value(other, listed) == 0


def test_values_that_are_too_large_keep_their_backend(
    server: Server, fanin: MakeFanin, connect: Connect
) -> None:
    two = fanin(server, pool_size=2, pool={"max_captured": "4K"})
    large, small, third = connect(two), connect(two), connect(two)
    run(large, "SET @a = REPEAT('x', 5000)")
    run(small, "SET @a = 'small'")
    for _ in range(3):
        assert value(third, "SELECT @a") is None
        assert value(small, "SELECT @a") == "small"
    assert two.pins(large) == ["user-variable"]
    assert value(large, "SELECT LENGTH(@a)") == 5000
    assert two.pins(small) == []


def test_warnings_that_are_too_large_keep_their_backend(
    server: Server, fanin: MakeFanin, connect: Connect, table: str
) -> None:
    one = fanin(server, pool_size=1, pool={"max_captured": "1K", "acquire_timeout": 0.3})
    warned, other = connect(one), connect(one)
    run(warned, f"INSERT IGNORE INTO {table} (s) VALUES " + ", ".join([f"('{'x' * 101}')"] * 40))
    with pytest.raises(Exception, match="1 pinned"):
        run(other, "SELECT 1")
    assert one.pins(warned) == ["diagnostics"]
    assert len(rows(warned, "SHOW WARNINGS")) == 40
    assert one.pins(warned) == []
    run(warned, f"SELECT * FROM {table}")
    assert value(other, "SELECT 1") == 1


def test_a_spatial_value_keeps_its_backend_on_mariadb(
    fanin: MakeFanin, server: Server, connect: Connect, table: str, root: Any
) -> None:
    run(root, f"CREATE TABLE {table}_points AS SELECT POINT(1, 2) AS p")
    two = fanin(server, pool_size=2)
    spatial, other, third = connect(two), connect(two), connect(two)
    run(spatial, f"SELECT p INTO @p FROM {table}_points")
    run(other, "SET @a = 1")
    for _ in range(3):
        assert value(third, "SELECT 1") == 1
        assert value(other, "SELECT @a") == 1
    assert two.pins(spatial) == (["user-variable"] if isinstance(server, MariaDB) else [])
    assert value(spatial, f"SELECT @p = p FROM {table}_points") == 1


def test_ignore_space_goes_together_with_user_variables(one: Fanin, server: Server) -> None:
    spaced = PLAIN | Capability.IGNORE_SPACE
    with (
        WireClient(one.port, capabilities=spaced) as first,
        WireClient(one.port, capabilities=spaced) as second,
    ):
        first.ok("SET @a = 1")
        second.ok("SET @b = 2")
        for _ in range(2):
            assert first.value("SELECT CONCAT_WS(' ', @a, @b, MAX (1))") == b"1 1"
            assert second.value("SELECT CONCAT_WS(' ', @a, @b, MAX (1))") == b"2 1"


def test_variables_that_are_lost_end_the_session(one: Fanin, server: Server, root: Any) -> None:
    with WireClient(one.port) as client:
        client.ok("SET @a = 1")
        thread = int(client.value("SELECT @@pseudo_thread_id") or 0)
        run(root, f"KILL {thread}")
        eventually(lambda: one.endpoint()["parked"] == 0)
        assert client.query("SELECT @a")[0][:3] == b"\xff\xdd\x07"  # 2013


def test_sessions_that_all_assign_the_same_variable_do_without_resets(one: Fanin, connect: Connect) -> None:
    clients = [connect(one) for _ in range(3)]
    for number, client in enumerate(clients):
        run(client, f"SET @app_user = 'user{number}'")
    for client in clients:
        value(client, "SELECT 1")
    before = one.metric("fanin_resets_total")
    for _ in range(5):
        for number, client in enumerate(clients):
            assert value(client, "SELECT @app_user") == f"user{number}"
    assert one.metric("fanin_resets_total") == before
