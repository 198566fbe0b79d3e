"""Triggers, and functions by way of views, of the session's schema and of another, on servers with and without a binary log: what they
leave behind does not come to another session, and theirs stays theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from bench.servers import MariaDB, MySQL, Server
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, rows, run, value
from tests.integration.wire import TRACKING, WireClient

WITHOUT_BINLOG = {
    MariaDB: ["--skip-log-bin", "--skip-log-slave-updates"],
    MySQL: ["--skip-log-bin", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"],
}
OBJECTS = (
    "CREATE TABLE {}.assigning (a INT PRIMARY KEY)",
    "CREATE TRIGGER {0}.t1 BEFORE INSERT ON {0}.assigning FOR EACH ROW SET @leak = NEW.a",
    "CREATE TABLE {}.refusing (a INT)",
    "CREATE TRIGGER {0}.t3 BEFORE INSERT ON {0}.refusing FOR EACH ROW BEGIN SET @leak = NEW.a; SIGNAL SQLSTATE '45000'; END",
    "CREATE TABLE {}.creating (a INT)",
    "CREATE TRIGGER {0}.t2 BEFORE INSERT ON {0}.creating FOR EACH ROW CREATE TEMPORARY TABLE IF NOT EXISTS app.scratch (a INT)",
    "CREATE FUNCTION {}.assigns() RETURNS INT BEGIN SET @leak = 5; RETURN 5; END",
    "CREATE VIEW {0}.asking AS SELECT {0}.assigns() AS a",
    "CREATE TABLE {}.plain (a INT)",
    "CREATE VIEW {0}.reading AS SELECT a FROM {0}.plain",
)


def make_objects(server: Server) -> None:
    server.sql("CREATE DATABASE other")
    with server.connect() as root:
        run(root, "SET GLOBAL log_bin_trust_function_creators = 1")
        for schema in ("app", "other"):
            for text in OBJECTS:
                run(root, text.format(schema))


@pytest.fixture(scope="module", params=[MariaDB, MySQL], ids=["mariadb", "mysql"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module", params=["binlog", "no-binlog"])
def server(request: pytest.FixtureRequest, kind: Any) -> Iterator[Server]:
    if kind.why_missing():
        pytest.skip(kind.why_missing())
    with kind(extra_args=WITHOUT_BINLOG[kind] if request.param == "no-binlog" else []) as server:
        make_objects(server)
        yield server


def fresh(fanin: MakeFanin, server: Server) -> Fanin:
    for schema in ("app", "other"):
        server.sql(f"TRUNCATE {schema}.assigning")
    return fanin(server, pool_size=1)


def assert_leak_is_the_owners(proxy: Fanin, owner: Any, other: Any) -> None:
    if not proxy.is_holding(owner):
        assert value(other, "SELECT @leak") is None
    assert value(owner, "SELECT @leak") == 5


LEAVING = [
    "INSERT INTO {}.assigning VALUES (5)",
    "SELECT * FROM {}.asking",
    "INSERT INTO {0}.plain SELECT a FROM {0}.asking",
]


@pytest.mark.parametrize("schema", ["app", "other"])
@pytest.mark.parametrize("text", LEAVING)
def test_user_variables_of_programs_stay_in_their_session(
    fanin: MakeFanin, server: Server, connect: Connect, text: str, schema: str
) -> None:
    proxy = fresh(fanin, server)
    owner, other = connect(proxy), connect(proxy)
    run(owner, text.format(schema))
    assert_leak_is_the_owners(proxy, owner, other)


@pytest.mark.parametrize("schema", ["app", "other"])
@pytest.mark.parametrize(
    "text", ["INSERT INTO {}.assigning VALUES (5)", "INSERT INTO {}.refusing VALUES (5)"]
)
def test_user_variables_of_statements_that_fail_stay_in_their_session(
    fanin: MakeFanin, server: Server, connect: Connect, text: str, schema: str
) -> None:
    proxy = fresh(fanin, server)
    server.sql(f"INSERT INTO {schema}.assigning VALUES (5)")
    owner, other = connect(proxy), connect(proxy)
    with pytest.raises(pymysql.Error):
        run(owner, text.format(schema))
    assert_leak_is_the_owners(proxy, owner, other)


@pytest.mark.parametrize("schema", ["app", "other"])
def test_user_variables_stay_when_the_statement_has_settings_of_its_own(
    fanin: MakeFanin, server: Server, connect: Connect, schema: str
) -> None:
    if not isinstance(server, MariaDB):
        pytest.skip("MySQL has no SET STATEMENT")
    proxy = fresh(fanin, server)
    owner, other = connect(proxy), connect(proxy)
    run(owner, f"SET STATEMENT lock_wait_timeout = 5 FOR INSERT INTO {schema}.assigning VALUES (5)")
    assert_leak_is_the_owners(proxy, owner, other)


@pytest.mark.parametrize("schema", ["app", "other"])
def test_temporary_tables_of_triggers_stay_in_their_session(
    fanin: MakeFanin, server: Server, connect: Connect, schema: str
) -> None:
    proxy = fresh(fanin, server)
    owner = connect(proxy)
    run(owner, f"INSERT INTO {schema}.creating VALUES (5)")
    assert proxy.is_holding(owner)
    assert rows(owner, "SELECT * FROM scratch") == []


def test_reading_what_is_of_another_schema_is_shared(
    fanin: MakeFanin, server: Server, connect: Connect
) -> None:
    proxy = fresh(fanin, server)
    client, other = connect(proxy), connect(proxy)
    run(client, "SET @mine = 7")
    for _ in range(2):
        for text in ("SELECT * FROM other.reading", "SELECT COUNT(*) > 0 FROM information_schema.columns"):
            run(client, text)
            assert proxy.pins(client) == []
            assert value(other, "SELECT @mine") is None
            assert value(client, "SELECT @mine") == 7


def test_asking_for_the_names_of_user_variables_leaves_nothing_to_be_reported(
    fanin: MakeFanin, server: Server, connect: Connect
) -> None:
    proxy = fresh(fanin, server)
    client, other = connect(proxy), connect(proxy)
    for _ in range(2):
        run(client, "SELECT * FROM other.reading")
        run(other, "INSERT INTO app.plain VALUES (1)")
        assert [proxy.pins(each) for each in (client, other)] == [[], []]


@pytest.mark.parametrize("leaves", [b"\3SELECT nope FROM other.reading", b"\x16SELECT * FROM other.reading"])
def test_nobody_is_told_the_schema_that_an_error_or_a_preparation_of_another_could_not_tell(
    fanin: MakeFanin, server: Server, leaves: bytes
) -> None:
    proxy = fresh(fanin, server)
    with WireClient(proxy.port) as other, WireClient(proxy.port, capabilities=TRACKING) as tracking:
        tracking.query("SELECT 1")
        other.command(leaves)
        told = tracking.ok("INSERT INTO app.plain VALUES (1)")
        assert told.changes is None or told.changes.schema is None
