"""The statements that the Aurora emulator changes, and the far more that it leaves alone."""

from __future__ import annotations

import pytest

from proxy import monitor_queries
from tests.fakes.aurora.texts import CONSISTENCY, NAMES, READ_COMMITTED, Face, killed, rewritten

ROWS = "SELECT 'db-1' AS SERVER_ID"
CTE = f"WITH replica_host_status AS ({ROWS}) "


@pytest.fixture
def face() -> Face:
    return Face("db-1", "3.08.0", "performance_schema", ROWS)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT '@@aurora_server_id', \"aurora_version()\", `aurora_version` FROM t /* @@aurora_server_id */",
        "SELECT v FROM app.replica_host_status",
        "INSERT INTO t VALUES ('it''s aurora\\'s @@aurora_version')",
        "UPDATE uptime SET v = 1 -- replica_host_status",
        "SHOW VARIABLES LIKE 'read_only'",
        "SHOW GLOBAL STATUS LIKE 'Uptime'",
        "SELECT * FROM performance_schema.global_status",
        "SET @aurora = 1",
        "SET aurora_replica_read_consistency = 'SOMETIMES'",
        "CREATE TABLE copy AS SELECT * FROM information_schema.replica_host_status",
    ],
)
def test_what_is_not_auroras_stays_as_it_is(text: str, face: Face) -> None:
    assert rewritten(text, face) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT @@aurora_server_id", "SELECT 'db-1' AS `@@aurora_server_id`"),
        ("select @@GLOBAL.aurora_version;", "select '3.08.0' AS `@@GLOBAL.aurora_version`;"),
        (
            "SELECT @@innodb_read_only, @@aurora_server_id, 1 FROM dual",
            "SELECT @@global.read_only AS `@@innodb_read_only`, 'db-1' AS `@@aurora_server_id`, 1 FROM dual",
        ),
        ("SELECT @@global.innodb_read_only AS r", "SELECT @@global.read_only AS r"),
        ("SELECT IF(@@innodb_read_only, 1, 0)", "SELECT IF(@@global.read_only, 1, 0)"),
        ("SELECT CONCAT(1, @@aurora_version, 2)", "SELECT CONCAT(1, '3.08.0', 2)"),
        ("SELECT AURORA_VERSION() , 1", "SELECT '3.08.0' AS `AURORA_VERSION()` , 1"),
        (
            "SELECT @@aurora_replica_read_consistency, @@session.aurora_read_replica_read_committed",
            "SELECT '' AS `@@aurora_replica_read_consistency`, 0 AS `@@session.aurora_read_replica_read_committed`",
        ),
    ],
)
def test_variables_become_values_with_their_names(text: str, wanted: str, face: Face) -> None:
    assert rewritten(text, face) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "SELECT * FROM information_schema.replica_host_status",
            f"{CTE}SELECT * FROM replica_host_status",
        ),
        (
            "SELECT r.SERVER_ID FROM `INFORMATION_SCHEMA`.`REPLICA_HOST_STATUS` AS r",
            f"{CTE}SELECT r.SERVER_ID FROM replica_host_status AS r",
        ),
        (
            "SELECT 1 FROM REPLICA_HOST_STATUS WHERE SERVER_ID=@@aurora_server_id",
            f"{CTE}SELECT 1 FROM replica_host_status WHERE SERVER_ID='db-1'",
        ),
        (
            "WITH a AS (SELECT * FROM information_schema.replica_host_status) SELECT * FROM a",
            f"{CTE[:-1]}, a AS (SELECT * FROM replica_host_status) SELECT * FROM a",
        ),
        (
            "/* health */ (SELECT 1 FROM information_schema.replica_host_status) LIMIT 1",
            f"{CTE}/* health */ (SELECT 1 FROM replica_host_status) LIMIT 1",
        ),
    ],
)
def test_status_table_becomes_a_common_table_expression(text: str, wanted: str, face: Face) -> None:
    assert rewritten(text, face) == wanted


def test_session_variables_are_remembered(face: Face) -> None:
    assert rewritten("SET SESSION aurora_replica_read_consistency = 'session'", face) == "DO 0"
    assert face.settings == {CONSISTENCY: "SESSION", READ_COMMITTED: "0"}
    both = "SET @a = 'x, y', @@session.aurora_read_replica_read_committed = ON, autocommit = 0"
    assert rewritten(both, face) == "SET @a = 'x, y', autocommit = 0"
    assert face.settings == {CONSISTENCY: "SESSION", READ_COMMITTED: "1"}
    assert rewritten("SELECT @@aurora_replica_read_consistency AS c", face) == "SELECT 'SESSION' AS c"
    assert (
        rewritten("SET aurora_replica_read_consistency = DEFAULT, sql_mode = ''", face) == "SET sql_mode = ''"
    )
    assert face.settings[CONSISTENCY] == ""


def test_show_variables_gives_auroras_with_the_servers_own(face: Face) -> None:
    text = rewritten("SHOW GLOBAL VARIABLES LIKE 'aurora_version'", face)
    assert text.startswith(
        "SELECT * FROM (SELECT 'aurora_version' AS Variable_name, '3.08.0' AS Value UNION ALL"
    )
    assert text.endswith("AS shown WHERE Variable_name LIKE 'aurora_version'")
    text = rewritten("SHOW VARIABLES WHERE Variable_name IN ('innodb_read_only', 'port')", face)
    assert "FROM performance_schema.session_variables" in text
    assert text.endswith("AS shown WHERE Variable_name IN ('innodb_read_only', 'port')")


def test_uptime_of_our_own_is_shown_in_every_place(face: Face) -> None:
    face.uptime = 7
    shown = rewritten("SHOW GLOBAL STATUS LIKE 'Uptime'", face)
    assert "IF(VARIABLE_NAME = 'Uptime', '7', VARIABLE_VALUE)" in shown
    selected = rewritten("SELECT VARIABLE_VALUE FROM performance_schema.global_status", face)
    assert selected.startswith("WITH global_status AS (")
    assert selected.endswith("SELECT VARIABLE_VALUE FROM global_status")


def test_status_counters_are_where_mysql_has_them_whatever_the_server_is() -> None:
    face = Face("db-1", "3.08.0", "information_schema", ROWS)
    text = rewritten(monitor_queries.AURORA_SELF, face)
    assert "FROM information_schema.session_status)" in text
    assert "performance_schema" not in text


@pytest.mark.parametrize("text", ["SHOW VARIABLES", "show session  variables ;", "SHOW LOCAL VARIABLES"])
def test_all_variables_have_auroras_among_them(text: str, face: Face) -> None:
    assert rewritten(text, face) == f"SELECT * FROM ({face.shown_variables()}) AS shown"


def test_statements_that_need_not_be_looked_at_are_told_by_their_bytes() -> None:
    for text in (b"SELECT 1", b"INSERT INTO t VALUES ('Auror')", b"SHOW VARIABLES LIKE 'port'"):
        assert NAMES.search(text) is None
    for text in (b"\x03select @@Aurora_version", b"Kill 7", b"SHOW STATUS LIKE 'UPTIME'", b"SHOW VARIABLES"):
        assert NAMES.search(text)


def test_kill_goes_to_the_present_connection() -> None:
    ids = {7: 70, 8: 8}
    assert killed("KILL 7", ids) == "KILL 70"
    assert killed("kill query 7 ;", ids) == "kill query 70 ;"
    assert killed("KILL HARD CONNECTION 7", ids) == "KILL HARD CONNECTION 70"
    for text in ("KILL 8", "KILL 9", "SELECT 7", "KILL QUERY ID 7"):
        assert killed(text, ids) == text
