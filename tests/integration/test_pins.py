"""Two clients on a pool of one: what cannot be moved pins, /state says why, and what ends the pin lets the other client in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from bench.servers import Server
from proxy.explain import explain
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.wire import WireClient


@dataclass(frozen=True)
class Pinning:
    """Statements ({t} is a table) that pin for these reasons; `ends` lift the pin."""

    name: str
    begins: tuple[str, ...]
    reasons: frozenset[str]
    ends: tuple[str, ...] = ()
    only: str = ""
    prepares: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.name


def pinning(
    name: str,
    *begins: str,
    reason: str,
    ends: tuple[str, ...] = (),
    only: str = "",
    prepares: tuple[str, ...] = (),
) -> Pinning:
    return Pinning(name, begins, frozenset(reason.split()), ends, only, prepares)


PINNINGS: Final = (
    pinning("user variable with an unusual name", "SET @`x\u00e4` = 5", reason="user-variable"),
    pinning(
        "more than 64 user variables",
        "SET " + ", ".join(f"@v{n} = {n}" for n in range(65)),
        reason="user-variable",
    ),
    pinning("out parameter", "CALL app.gives(@out)", reason="routine"),
    pinning(
        "temporary table",
        "CREATE TEMPORARY TABLE app.temporary_one (id INT)",
        reason="temporary-table",
        ends=("DROP TEMPORARY TABLE app.temporary_one",),
    ),
    pinning(
        "two temporary tables",
        "CREATE TEMPORARY TABLE app.temporary_one (id INT)",
        "CREATE TEMPORARY TABLE app.temporary_two (id INT)",
        "DROP TEMPORARY TABLE app.temporary_one",
        reason="temporary-table",
        ends=("DROP TEMPORARY TABLE app.temporary_two",),
    ),
    pinning("LOCK TABLES", "LOCK TABLES {t} WRITE", reason="table-lock", ends=("UNLOCK TABLES",)),
    pinning(
        "FLUSH TABLES WITH READ LOCK",
        "FLUSH TABLES WITH READ LOCK",
        reason="global-read-lock",
        ends=("UNLOCK TABLES",),
    ),
    pinning(
        "FLUSH of one table", "FLUSH TABLES {t} WITH READ LOCK", reason="table-lock", ends=("UNLOCK TABLES",)
    ),
    pinning(
        "LOCK INSTANCE",
        "LOCK INSTANCE FOR BACKUP",
        reason="instance-lock",
        ends=("UNLOCK INSTANCE",),
        only="mysql",
    ),
    pinning(
        "BACKUP STAGE",
        "BACKUP STAGE START",
        reason="instance-lock",
        ends=("BACKUP STAGE END",),
        only="mariadb",
    ),
    pinning(
        "GET_LOCK", "SELECT GET_LOCK('pins', 1)", reason="user-lock", ends=("SELECT RELEASE_LOCK('pins')",)
    ),
    pinning(
        "GET_LOCK twice",
        "SELECT GET_LOCK('pins', 1)",
        "DO GET_LOCK('pins', 1)",
        "SELECT RELEASE_LOCK('pins')",
        reason="user-lock",
        ends=("SELECT RELEASE_LOCK('pins')",),
    ),
    pinning(
        "several locks",
        "SELECT GET_LOCK('pins', 1), GET_LOCK('other', 1)",
        reason="user-lock",
        ends=("SELECT RELEASE_ALL_LOCKS()",),
    ),
    pinning("HANDLER", "HANDLER {t} OPEN AS h", reason="handler", ends=("HANDLER h CLOSE",)),
    pinning("PREPARE", "PREPARE p FROM 'SELECT 1'", reason="prepared-text", ends=("DEALLOCATE PREPARE p",)),
    pinning(
        "SAVEPOINT without a transaction",
        "SET autocommit = 0",
        "SAVEPOINT s",
        reason="savepoint",
        ends=("ROLLBACK",),
    ),
    pinning("XA", "XA START 'pins'", "XA END 'pins'", reason="xa", ends=("XA ROLLBACK 'pins'",)),
    pinning(
        "XA PREPARE",
        "XA START 'pins'",
        "INSERT INTO {t} (v) VALUES (1)",
        "XA END 'pins'",
        "XA PREPARE 'pins'",
        reason="xa",
        ends=("XA ROLLBACK 'pins'",),
    ),
    pinning("SET ROLE", "SET ROLE pin_role", reason="role"),
    pinning(
        "SET TRANSACTION",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        reason="next-transaction",
        ends=("BEGIN", "COMMIT"),
    ),
    pinning("unsafe variable", "SET profiling = 1", reason="unsafe-variable"),
    pinning(
        "another unsafe variable",
        "SET timestamp = 1000000000",
        reason="unsafe-variable",
        ends=("SET timestamp = DEFAULT",),
    ),
    pinning(
        "tracking of GTIDs",
        "SET session_track_gtids = OWN_GTID",
        reason="unsafe-variable",
        ends=("SET session_track_gtids = OFF",),
        only="mysql",
    ),
    pinning(
        "tracking of all variables",
        "SET session_track_system_variables = '*'",
        reason="unsafe-variable",
        ends=("SET session_track_system_variables = DEFAULT",),
        only="mysql",
    ),
    pinning(
        "character set with odd bytes", "SET NAMES gbk", reason="unsafe-charset", ends=("SET NAMES utf8mb4",)
    ),
    pinning("routine that sets a variable", "CALL app.sets_zone()", reason="opaque-state-change routine"),
    pinning("routine that sets a user variable", "CALL app.sets()", reason="opaque-state-change routine"),
    pinning(
        "function that sets a user variable", "SELECT app.counts()", reason="opaque-state-change routine"
    ),
    pinning("NEXTVAL", "SELECT NEXTVAL(app.numbers)", reason="sequence-value", only="mariadb"),
)

ROUTINES: Final = (
    "DROP PROCEDURE IF EXISTS app.sets",
    "DROP PROCEDURE IF EXISTS app.gives",
    "DROP FUNCTION IF EXISTS app.counts",
    "CREATE PROCEDURE app.sets() SET @inside = 1",
    "CREATE PROCEDURE app.sets_zone() SET SESSION time_zone = '-02:00'",
    "CREATE PROCEDURE app.gives(OUT given INT) SET given = 1",
    "CREATE FUNCTION app.counts() RETURNS INT NO SQL BEGIN SET @counted = 1; RETURN 1; END",
    "DROP ROLE IF EXISTS pin_role",
    "CREATE ROLE pin_role",
    "GRANT pin_role TO 'app'@'%'",
)


_prepared: set[int] = set()


@pytest.fixture(autouse=True)
def routines(server: Server, root: Any) -> None:
    if server.port not in _prepared:
        _prepared.add(server.port)
        run(root, *ROUTINES)
        if server.kind == "mariadb":
            run(root, "CREATE OR REPLACE SEQUENCE app.numbers")


@pytest.mark.parametrize("pinning", PINNINGS, ids=str)
def test_pinned_session_keeps_the_others_out_until_it_is_free(
    pinning: Pinning, server: Server, one: Fanin, table: str
) -> None:
    if pinning.only not in ("", server.kind):
        pytest.skip("not a statement of this server")
    with WireClient(one.port) as client, WireClient(one.port) as other:
        for statement in pinning.begins:
            assert client.query(statement.format(t=table))[0][0] != 0xFF, statement
        assert set(one.pins(client.thread_id)) == pinning.reasons
        assert one.metric("fanin_pinned", reason=next(iter(pinning.reasons))) == 1
        assert one.metric("fanin_pins_total", reason=next(iter(pinning.reasons))) >= 1
        other.send_query("SELECT 1")
        eventually(lambda: one.endpoint()["waiting"] == 1)
        for statement in pinning.ends:
            assert client.query(statement)[0][0] != 0xFF, statement
        if pinning.reasons == {"role"}:
            # no reset undoes it
            client.close()
        elif not pinning.ends:
            assert client.command(b"\x1f")[0][0] == 0
        assert other.response(0x03)[0] == b"\x01"
        assert one.pins(client.thread_id) == []
        assert one.endpoint()["leased"] == 0


@pytest.mark.parametrize("is_mariadb", [False, True], ids=["mysql", "mariadb"])
@pytest.mark.parametrize("pinning", PINNINGS, ids=str)
def test_the_explanation_of_a_statement_says_what_the_text_tells_of_its_pins(
    pinning: Pinning, is_mariadb: bool
) -> None:
    if pinning.only not in ("", "mariadb" if is_mariadb else "mysql"):
        pytest.skip("not a statement of this server")
    explained = {
        pin.reason
        for statement in pinning.begins
        for each in explain(statement.format(t="app.t").encode(), is_mariadb=is_mariadb)
        for pin in each.pins
    }
    # only a server can tell what a routine does
    assert explained == pinning.reasons - {"opaque-state-change"}


@pytest.mark.parametrize("pinning", PINNINGS, ids=str)
def test_nothing_is_left_when_a_pinned_client_goes(
    pinning: Pinning, server: Server, one: Fanin, table: str, root: Any
) -> None:
    if pinning.only not in ("", server.kind):
        pytest.skip("not a statement of this server")
    with WireClient(one.port) as client, WireClient(one.port) as other:
        for statement in pinning.begins:
            assert client.query(statement.format(t=table))[0][0] != 0xFF, statement
        client.close()
        left = (
            "SELECT @x, @y, @z, @out, @inside, @counted, @@autocommit, @@profiling, @@wait_timeout > 100, @@timestamp > 1000000001,"
            " IS_FREE_LOCK('pins'), @@sql_safe_updates, CURRENT_ROLE()"
        )
        with WireClient(server.port) as direct:
            assert other.query(left) == direct.query(left)
        assert other.query("SELECT * FROM app.temporary_one")[0][:3] == b"\xff\x7a\x04"  # 1146
        assert other.ok(f"INSERT INTO {table} (v) VALUES (99)").affected_rows == 1
        assert other.query("EXECUTE p")[0][0] == 0xFF
        if pinning.name == "XA PREPARE":
            # a prepared branch outlives its session
            assert len(rows(root, "XA RECOVER")) == 1
            run(root, "XA ROLLBACK 'pins'")
        other.quit()


def test_pinned_state_is_there_for_the_next_statement(one: Fanin, connect: Connect, table: str) -> None:
    client = connect(one)
    run(
        client,
        "SET @x = 5",
        "SELECT GET_LOCK('pins', 1)",
        "CREATE TEMPORARY TABLE app.temporary_one AS SELECT 1 AS id",
    )
    assert value(client, "SELECT @x") == 5
    assert rows(client, "SELECT * FROM app.temporary_one") == [(1,)]
    assert set(one.pins(client)) == {"user-lock", "temporary-table"}


def test_two_reasons_are_lifted_one_by_one(one: Fanin, connect: Connect, table: str) -> None:
    client = connect(one)
    run(client, "SELECT GET_LOCK('pins', 1)", f"HANDLER {table} OPEN AS h")
    assert set(one.pins(client)) == {"user-lock", "handler"}
    run(client, "HANDLER h CLOSE")
    assert set(one.pins(client)) == {"user-lock"}
    run(client, "SELECT RELEASE_LOCK('pins')")
    assert one.pins(client) == []


def test_waiting_too_long_says_who_has_the_pool(server: Server, fanin: MakeFanin, connect: Connect) -> None:
    impatient = fanin(server, pool_size=1, pool={"acquire_timeout": 0.3})
    holder, other = connect(impatient), connect(impatient)
    run(holder, "SET @x = 1", "SELECT GET_LOCK('pins', 1)")
    with pytest.raises(
        Exception,
        match=r"pool of primary has 1 of 1 leased: 0 in transaction, 1 pinned \(1 user-lock\), 0 running.*oldest",
    ) as caught:
        run(other, "SELECT 1")
    assert caught.value.args[0] == 1040
    run(holder, "BEGIN")
    with pytest.raises(Exception, match="1 in transaction, 0 pinned"):
        run(other, "SELECT 1")
    assert value(holder, "SELECT @x") == 1
    holder.close()
    assert value(other, "SELECT 1") == 1
