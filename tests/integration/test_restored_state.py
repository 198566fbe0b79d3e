"""Two clients on a pool of one: the state of each follows it, and neither keeps the backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest

from bench.servers import Server
from protocol.constants import Capability
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, rows, run, value
from tests.integration.wire import PLAIN, TRACKING, WireClient

CHARSETS: Final = "SELECT @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection"


@dataclass(frozen=True)
class Kept:
    """Something a session sets, and how it shows."""

    name: str
    sets: tuple[str, ...]
    shows: str
    only: str = ""

    def __str__(self) -> str:
        return self.name


KEPT: Final = (
    Kept("schema", ("USE information_schema",), "SELECT DATABASE()"),
    Kept("SET NAMES", ("SET NAMES latin1",), CHARSETS),
    Kept("SET NAMES COLLATE", ("SET NAMES utf8mb4 COLLATE utf8mb4_bin",), CHARSETS),
    Kept("character_set_results NULL", ("SET character_set_results = NULL",), CHARSETS),
    Kept("character_set_client alone", ("SET character_set_client = latin1",), CHARSETS),
    Kept("collation_connection", ("SET collation_connection = latin1_german1_ci",), CHARSETS),
    Kept("sql_mode", ("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",), "SELECT @@sql_mode"),
    Kept("empty sql_mode", ("SET sql_mode = ''",), "SELECT @@sql_mode"),
    Kept("time_zone", ("SET time_zone = '+05:30'",), "SELECT @@time_zone, FROM_UNIXTIME(0)"),
    Kept(
        "isolation",
        ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",),
        "SELECT @@transaction_isolation",
        "mysql",
    ),
    Kept(
        "isolation of MariaDB",
        ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",),
        "SELECT @@tx_isolation",
        "mariadb",
    ),
    Kept("read only", ("SET SESSION TRANSACTION READ ONLY",), "SELECT @@transaction_read_only", "mysql"),
    Kept("autocommit", ("SET autocommit = 0",), "SELECT @@autocommit"),
    Kept(
        "foreign_key_checks",
        ("SET foreign_key_checks = 0, unique_checks = 0",),
        "SELECT @@foreign_key_checks, @@unique_checks",
    ),
    Kept("group_concat_max_len", ("SET group_concat_max_len = 6",), "SELECT @@group_concat_max_len"),
    Kept("lc_time_names", ("SET lc_time_names = 'de_DE'",), "SELECT MONTHNAME('2020-05-01')"),
    Kept("lock wait timeout", ("SET innodb_lock_wait_timeout = 7",), "SELECT @@innodb_lock_wait_timeout"),
    Kept("optimizer_switch", ("SET optimizer_switch = 'index_merge=off'",), "SELECT @@optimizer_switch"),
    Kept("sql_select_limit", ("SET sql_select_limit = 2",), "SELECT @@sql_select_limit"),
    Kept("sql_safe_updates", ("SET sql_safe_updates = 1",), "SELECT @@sql_safe_updates", "mysql"),
    Kept("max_execution_time", ("SET max_execution_time = 9999",), "SELECT @@max_execution_time", "mysql"),
    Kept("max_statement_time", ("SET max_statement_time = 99",), "SELECT @@max_statement_time", "mariadb"),
    Kept(
        "two of them, one after the other",
        ("SET sql_mode = 'PIPES_AS_CONCAT'", "SET time_zone = '+01:00', sql_mode = 'ANSI_QUOTES'"),
        "SELECT @@sql_mode, @@time_zone",
    ),
)


def shows(client: Any, kept: Kept) -> list[tuple[Any, ...]]:
    """How it shows now; a transaction that begins with it ends."""
    found = rows(client, kept.shows)
    client.rollback()
    return found


@pytest.mark.parametrize("kept", KEPT, ids=str)
def test_state_follows_its_session_and_no_other(
    kept: Kept, server: Server, one: Fanin, connect: Connect
) -> None:
    if kept.only not in ("", server.kind):
        pytest.skip("not a variable of this server")
    plain = shows(connect(server, user="app", password="app", database="app"), kept)
    direct = connect(server, user="app", password="app", database="app")
    run(direct, *kept.sets)
    changed = shows(direct, kept)
    assert changed != plain

    setter, other = connect(one), connect(one)
    run(setter, *kept.sets)
    assert shows(other, kept) == plain
    assert shows(setter, kept) == changed
    assert shows(other, kept) == plain
    assert shows(setter, kept) == changed
    assert one.pins(setter) == []


def test_text_is_read_with_the_escapes_of_its_session(one: Fanin, connect: Connect) -> None:
    # status bit NO_BACKSLASH_ESCAPES decides how drivers quote: a wrong one is an injection
    setter, other = connect(one), connect(one)
    run(setter, "SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    for _ in range(2):
        assert value(other, "SELECT %s", "a\\b'c") == "a\\b'c"
        assert not other.server_status & 0x0200
        assert value(setter, "SELECT %s", "a\\b'c") == "a\\b'c"
        assert setter.server_status & 0x0200
        setter.ping()
        assert setter.server_status & 0x0200


@pytest.mark.parametrize("collation", [1, 8, 33, 41, 45, 46, 63, 83, 192, 224, 255])
def test_character_sets_of_a_handshake_are_those_of_a_direct_connection(
    collation: int, server: Server, one: Fanin
) -> None:
    seen = []
    for port in (server.port, one.port):
        with WireClient(one.port) as other, WireClient(port, collation=collation) as client:
            other.ok("SET NAMES latin1 COLLATE latin1_bin")
            seen.append(client.query(CHARSETS))
            if not one.is_holding(client.thread_id):
                other.ok("DO 1")
            seen.append(client.query("SELECT 'a' = 'A', COLLATION('a'), @@collation_connection"))
    direct, through = seen[:2], seen[2:]
    assert through == direct


def test_client_without_a_schema_has_none(one: Fanin, connect: Connect) -> None:
    homeless, other = connect(one, database=None), connect(one)
    for _ in range(2):
        assert value(other, "SELECT DATABASE()") == "app"
        assert value(homeless, "SELECT DATABASE()") is None
    run(homeless, "USE app")
    assert value(other, "SELECT DATABASE()") == "app"
    assert value(homeless, "SELECT DATABASE()") == "app"
    assert value(connect(one, database=None), "SELECT DATABASE()") is None


def test_multi_statements_are_for_those_who_asked(one: Fanin) -> None:
    with (
        WireClient(one.port, capabilities=PLAIN | Capability.MULTI_STATEMENTS) as asked,
        WireClient(one.port) as other,
    ):
        for _ in range(2):
            assert len(asked.query("SELECT 1; SELECT 2")) == 2 * len(asked.query("SELECT 1"))
            assert other.query("SELECT 1; SELECT 2")[0][:3] == b"\xff\x28\x04"  # 1064


def test_found_rows_count_as_each_client_asked(
    server: Server, table: str, fanin: Any, connect: Connect
) -> None:
    two = fanin(server, pool_size=2)
    run(connect(two), f"INSERT INTO {table} (v) VALUES (1), (2)")
    found = connect(two, client_flag=int(Capability.FOUND_ROWS))
    changed = connect(two)
    for _ in range(2):
        with found.cursor() as cursor:
            assert cursor.execute(f"UPDATE {table} SET v = v") == 2
        with changed.cursor() as cursor:
            assert cursor.execute(f"UPDATE {table} SET v = v") == 0


def test_ignore_space_is_the_sql_mode_of_its_client_only(one: Fanin, connect: Connect) -> None:
    spaced = connect(one, client_flag=int(Capability.IGNORE_SPACE))
    plain = connect(one)
    for _ in range(2):
        assert "IGNORE_SPACE" in value(spaced, "SELECT @@sql_mode")
        assert "IGNORE_SPACE" not in value(plain, "SELECT @@sql_mode")


def test_dropped_schema_is_dropped_for_others_who_were_in_it(
    server: Server, one: Fanin, connect: Connect
) -> None:
    server.sql("CREATE DATABASE IF NOT EXISTS short_lived")
    dweller, other = connect(one, database="short_lived"), connect(one)
    assert value(dweller, "SELECT DATABASE()") == "short_lived"
    run(dweller, "DROP DATABASE short_lived")
    assert value(dweller, "SELECT DATABASE()") is None
    run(dweller, "USE app")
    assert value(other, "SELECT DATABASE()") == "app"


def test_reset_takes_a_session_back_to_the_start(one: Fanin, connect: Connect) -> None:
    with WireClient(one.port) as client:
        other = connect(one)
        client.ok("SET sql_mode = 'ANSI_QUOTES', time_zone = '+02:00'")
        run(other, "DO 1")
        assert client.command(b"\x1f")[0][0] == 0
        assert client.value("SELECT @@sql_mode") == str(value(other, "SELECT @@sql_mode")).encode()
        assert client.value("SELECT @@time_zone") == b"SYSTEM"
        assert client.value("SELECT DATABASE()") == b"app"


def test_users_do_not_share_backends(server: Server, one: Fanin, connect: Connect) -> None:
    server.sql("CREATE USER IF NOT EXISTS 'second'@'%' IDENTIFIED BY 'pw'")
    server.sql("GRANT ALL ON app.* TO 'second'@'%'")
    first, second = connect(one), connect(one, user="second", password="pw")
    for _ in range(2):
        assert value(first, "SELECT CURRENT_USER()") == "app@%"
        assert value(second, "SELECT CURRENT_USER()") == "second@%"


@pytest.mark.parametrize("capabilities", [PLAIN, TRACKING])
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("target", [0, 1])
def test_a_switch_of_autocommit_says_the_same_without_a_restore(
    server: Server, one: Fanin, before: int, target: int, capabilities: Capability
) -> None:
    program = (f"SET autocommit={target}", "SELECT ROW_COUNT(), @@autocommit", "SHOW WARNINGS", "SELECT 1")
    with WireClient(server.port, database="app", capabilities=capabilities) as direct:
        direct.ok(f"SET autocommit={before}")
        expected = [direct.query(text) for text in program]
    arguments: dict[str, Any] = {"database": "app", "capabilities": capabilities}
    with WireClient(one.port, **arguments) as client, WireClient(one.port, **arguments) as rival:
        client.ok(f"SET autocommit={before}")
        rival.ok(f"SET autocommit={1 - before}")
        restores = one.metric("fanin_restores_total")
        answers = [client.query(program[0])]
        assert one.metric("fanin_restores_total") == restores
        answers += [client.query(text) for text in program[1:]]
        assert answers == expected


def test_a_global_variable_that_is_changed_past_fanin_is_noticed_with_the_next_backend(
    server: Server, fanin: MakeFanin, root: Any
) -> None:
    asked = "SELECT @@max_sort_length"
    pool = fanin(server, pool_size=2)
    before = value(root, "SELECT @@global.max_sort_length")
    arguments: dict[str, Any] = {"database": "app"}
    with WireClient(pool.port, **arguments) as early:
        assert early.value(asked) == str(before).encode()
        run(root, f"SET GLOBAL max_sort_length = {before + 8}")
        try:
            with WireClient(pool.port, **arguments) as late:
                assert late.value(asked) == str(before).encode()
                # a session without a schema needs another backend
                with WireClient(pool.port, database=None) as other:
                    assert other.value(asked) == str(before + 8).encode()
                assert late.value(asked) == early.value(asked) == str(before + 8).encode()
        finally:
            run(root, f"SET GLOBAL max_sort_length = {before}")
