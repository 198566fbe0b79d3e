"""What a statement leaves behind for the next one to ask for: read off the backend before that goes to somebody else."""

from __future__ import annotations

from protocol.constants import Capability
from tests.integration.running import rows, run, value
from tests.integration.steps import Execute, Prepare
from tests.traps.trap import COUNT, INSERT, Trap

FOUND_ROWS = Capability.FOUND_ROWS
MULTI = Capability.MULTI_STATEMENTS
IGNORED = "INSERT IGNORE INTO t (v) VALUES (10), (20)"


def test_last_insert_id(trap: Trap) -> None:
    asked = "SELECT LAST_INSERT_ID()"
    for statement in (
        INSERT,
        "INSERT INTO t (v) VALUES (1), (2), (3)",
        "INSERT INTO t (id, v) VALUES (500, 1)",
        "INSERT INTO t (v) VALUES (10) ON DUPLICATE KEY UPDATE s = 'again'",
        "REPLACE INTO t (id, v) VALUES (1, 11)",
        "UPDATE t SET v = LAST_INSERT_ID(v + 1) WHERE id = 1",
        "SELECT LAST_INSERT_ID(77)",
        "INSERT INTO t (v) VALUES (10)",
        "DO LAST_INSERT_ID(18446744073709551615)",
    ):
        kept = trap.play(
            INSERT.replace("100", "101"), statement, asked, asked, "SELECT @@last_insert_id", "DO 1", asked
        )
        assert kept == [""] * 7, statement
    kept = trap.play(
        INSERT,
        "INSERT INTO other.t (w) VALUES (LAST_INSERT_ID())",
        "SELECT w FROM other.t",
        "TRUNCATE other.t",
    )
    assert kept == [""] * 4
    kept = trap.play(
        INSERT, Prepare("p", "SELECT v FROM t WHERE id = LAST_INSERT_ID()"), Execute("p"), Execute("p")
    )
    assert kept == [""] * 4
    # views and triggers ask for it without a word, and what leads to them
    definitions = (
        "CREATE FUNCTION newest() RETURNS INT READS SQL DATA RETURN LAST_INSERT_ID() * 2",
        "CREATE VIEW asking AS SELECT LAST_INSERT_ID() AS i",
        "CREATE VIEW asking_view AS SELECT i + 1 AS j FROM asking",
        "CREATE VIEW `calling view` AS SELECT newest() AS n",
        "CREATE TRIGGER other.asks BEFORE INSERT ON other.t FOR EACH ROW SET NEW.w = LAST_INSERT_ID()",
    )
    dropped = (
        "DROP VIEW asking, asking_view, `calling view`",
        "DROP TRIGGER other.asks",
        "DROP FUNCTION newest",
    )
    run(trap.root, "SET GLOBAL log_bin_trust_function_creators = 1")
    with trap.through() as client:
        for statement in definitions:
            client.ok(statement)
    try:
        for step in (
            "SELECT * FROM asking",
            "SELECT a.j FROM t JOIN asking_view AS a LIMIT 1",
            "SELECT * FROM `calling view`",
            "INSERT INTO other.t (id, w) VALUES (900, 1)",
            Prepare("p", "SELECT * FROM traps.asking"),
        ):
            trap.play(INSERT, step, Execute("p") if isinstance(step, Prepare) else COUNT, asked)
        trap.play(INSERT, "BEGIN", "INSERT INTO other.t (id) VALUES (900)", "SELECT w FROM other.t", "COMMIT")
    finally:
        with trap.through() as client:
            for statement in dropped:
                client.ok(statement)
    # `id IS NULL` asks for it without a word
    kept = trap.play(
        "SET sql_auto_is_null = 1",
        INSERT,
        "SELECT v FROM t WHERE id IS NULL",
        "SET sql_auto_is_null = 0",
        asked,
    )
    assert kept == ["unsafe-variable"] * 3 + ["", ""]


def test_row_count(trap: Trap) -> None:
    asked = "SELECT ROW_COUNT()"
    for statement in (
        "UPDATE t SET s = 'y' WHERE id < 3",
        COUNT,
        "DELETE FROM missing",
        "DELETE FROM t",
        "DO 1",
        "SET sql_mode = ''",
    ):
        assert trap.play(statement, asked, asked, "SELECT ROW_COUNT() AS n")[1:] == [""] * 3, statement
        assert trap.play(statement, "INSERT INTO t (v) VALUES (ROW_COUNT() + 200)", "SELECT v FROM t")[
            1:
        ] == ["", ""]
    unchanged = "UPDATE t SET v = 10 WHERE id = 1"
    assert trap.play(unchanged, asked) == trap.play(unchanged, asked, capabilities=FOUND_ROWS) == ["", ""]
    assert trap.play(INSERT, b"\x0e", asked) == [""] * 3


def test_found_rows(trap: Trap) -> None:
    asked = "SELECT FOUND_ROWS()"
    for statement in (
        "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1",
        "SELECT * FROM t LIMIT 2",
        "SELECT * FROM t LIMIT 1, 1",
        "SELECT * FROM t WHERE id < 0",
        "SELECT v FROM t UNION ALL SELECT 1 LIMIT 2",
        INSERT,
        "SHOW TABLES",
    ):
        assert trap.play(COUNT, statement, asked, asked, "SELECT FOUND_ROWS() AS n")[1:] == [""] * 4, (
            statement
        )


def test_warnings(trap: Trap) -> None:
    asked = (
        "SHOW WARNINGS",
        "SHOW WARNINGS LIMIT 1, 1",
        "SHOW ERRORS",
        "SHOW COUNT(*) WARNINGS",
        "SHOW COUNT(*) ERRORS",
    )
    for statement in (
        IGNORED,
        "SELECT * FROM missing",
        "DROP TABLE IF EXISTS missing",
        INSERT,
        "SELECT 1/0",
        "SELECT @@warning_count",
    ):
        kept = trap.play(IGNORED, statement, *asked, "SELECT @@warning_count, @@error_count", "SHOW WARNINGS")
        assert kept == [""] * 9, statement
    assert trap.play("INSERT INTO t (v) VALUES (10)", b"\x0e", "SELECT @@error_count") == [""] * 3
    # reading the diagnostics by GET DIAGNOSTICS keeps nothing; what SIGNAL raised keeps the backend until it is cleared
    reading = "GET DIAGNOSTICS @n = NUMBER"
    assert trap.play(reading, IGNORED, reading, "SELECT @n", COUNT) == [""] * 5
    kept = trap.play("SIGNAL SQLSTATE '01000'", COUNT)
    assert ["diagnostics" in each for each in kept] == [True, False]


def test_status_and_profiles(trap: Trap) -> None:
    # counters are the backend's, not the session's: what is told is true of the backend
    with trap.through() as client:
        before = int(client.value("SHOW SESSION STATUS LIKE 'Com_insert'") is not None)
        assert before
        assert trap.kept(client) == ""
    kept = trap.play(
        "SET profiling = 1", "DO 1", "SELECT @@profiling", "SHOW CREATE TABLE t", "SET profiling = 0"
    )
    assert kept[:4] == ["unsafe-variable"] * 4


def test_statements_of_our_own(trap: Trap) -> None:
    """The restore and the questions that capture run between any two of these, and none of it can be seen."""
    captures = trap.fanin.metric("fanin_captures_total")
    restores = trap.fanin.metric("fanin_restores_total")
    kept = trap.play(
        "SET NAMES latin1, time_zone = '+03:00', sql_mode = ''",
        IGNORED,
        "SELECT ROW_COUNT()",
        IGNORED,
        "SHOW WARNINGS",
        INSERT,
        "SELECT LAST_INSERT_ID()",
        "SELECT SQL_CALC_FOUND_ROWS v FROM t LIMIT 1",
        "SELECT FOUND_ROWS()",
        "SELECT * FROM missing",
        "SHOW ERRORS",
    )
    assert kept == [""] * 11
    assert trap.fanin.metric("fanin_captures_total") > captures
    assert trap.fanin.metric("fanin_restores_total") > restores


def test_connection_id(trap: Trap) -> None:
    with trap.through() as client, trap.through() as other:
        shown = str(client.thread_id).encode()
        assert client.thread_id >= 0x80000000
        assert client.thread_id != other.thread_id
        for asked in (
            "SELECT CONNECTION_ID()",
            "SELECT connection_id() AS me",
            "select /* ? */ CONNECTION_ID();",
        ):
            assert client.value(asked) == shown
            trap.thief.turn()
        # inside of a larger statement it is the server's, the same for all on a pool of one
        backend = client.value("SELECT 0 + CONNECTION_ID()")
        assert backend == other.value("SELECT 0 + CONNECTION_ID()") != shown
        assert int(backend or 0) in [row[0] for row in rows(trap.root, "SHOW PROCESSLIST")]
    assert value(trap.root, "SELECT CONNECTION_ID()") < 0x80000000
