"""Locks, temporary tables and handles: they are a connection's own, so they keep it until they are gone."""

from __future__ import annotations

import pytest

from tests.integration.running import rows, run
from tests.integration.steps import Execute, Fetch, Prepare, ResetStatement
from tests.traps.trap import COUNT, INSERT, Trap

LOCK = "user-lock"
TABLE = "temporary-table"


def test_user_locks(trap: Trap) -> None:
    get, release = "SELECT GET_LOCK('traps', 0)", "SELECT RELEASE_LOCK('traps')"
    assert trap.play(get, "SELECT IS_FREE_LOCK('traps')", release, COUNT) == [LOCK, LOCK, "", ""]
    # as often as it was taken
    kept = trap.play(get, "DO GET_LOCK('traps', 0)", release, "SELECT IS_FREE_LOCK('traps')", release, COUNT)
    assert kept == [LOCK] * 4 + ["", ""]
    # another name on MariaDB, the same one on MySQL
    kept = trap.play(
        get, "SELECT GET_LOCK('TRAPS', 0)", release, release, "SELECT RELEASE_LOCK('TRAPS')", COUNT
    )
    assert kept == [LOCK] * 4 + ["", ""]
    # of another name, of none, or in a place where it may not run
    kept = trap.play(
        get,
        "SELECT RELEASE_LOCK('other')",
        "SELECT RELEASE_LOCK(NULL)",
        "SELECT RELEASE_LOCK('traps') FROM t WHERE id < 0",
        "SELECT IF(0, RELEASE_LOCK('traps'), 1)",
        "SELECT 'RELEASE_LOCK(''traps'')'",
        "SELECT IS_FREE_LOCK('traps')",
        release,
        COUNT,
    )
    assert kept == [LOCK] * 7 + ["", ""]
    kept = trap.play(get, "SELECT GET_LOCK('other', 0)", release, "SELECT RELEASE_ALL_LOCKS()", COUNT)
    assert kept == [LOCK] * 3 + ["", ""]
    kept = trap.play("SELECT GET_LOCK(CONCAT('tr', 'aps'), 0)", release, "SELECT RELEASE_ALL_LOCKS()", COUNT)
    assert kept == [LOCK] * 2 + ["", ""]
    # one that somebody else has: nothing was taken, and nothing is released
    run(trap.root, "DO GET_LOCK('traps', 0)")
    assert trap.play(get, release, COUNT)[1:] == ["", ""]
    kept = trap.play(
        "SELECT GET_LOCK('mine', 0)", release, "SELECT IS_FREE_LOCK('mine')", "DO RELEASE_LOCK('mine')"
    )
    assert kept == [LOCK] * 3 + [""]
    run(trap.root, "DO RELEASE_LOCK('traps')")
    # a client that goes takes its locks along
    with trap.through() as client:
        assert client.value(get) == b"1"
    trap.thief.turn()
    assert rows(trap.root, "SELECT IS_FREE_LOCK('traps')") == [(1,)]


def test_table_locks(trap: Trap) -> None:
    lock = "table-lock"
    kept = trap.play(
        "LOCK TABLES t WRITE, child READ",
        INSERT,
        "SELECT * FROM parent",
        "UNLOCK TABLES",
        "SELECT * FROM parent",
    )
    assert kept == [lock] * 3 + ["", ""]
    assert trap.play("LOCK TABLES t READ", "START TRANSACTION", COUNT, "COMMIT") == [
        lock,
        *["transaction"] * 2,
        "",
    ]
    assert trap.play("FLUSH TABLES WITH READ LOCK", COUNT, "UNLOCK TABLES", INSERT) == [
        *["global-read-lock"] * 2,
        "",
        "",
    ]
    assert trap.play("FLUSH TABLES t WITH READ LOCK", COUNT, "UNLOCK TABLES", INSERT) == [lock, lock, "", ""]
    assert trap.play("FLUSH TABLES t FOR EXPORT", COUNT, "UNLOCK TABLES", INSERT) == [lock, lock, "", ""]
    begin, end = (
        ("BACKUP STAGE START", "BACKUP STAGE END")
        if trap.is_mariadb
        else ("LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE")
    )
    assert trap.play(begin, COUNT, end, COUNT) == [*["instance-lock"] * 2, "", ""]


def test_locking_service(trap: Trap) -> None:
    call = "SELECT service_get_read_locks('n', 'a', 1)"
    # stand-ins for those of the plugin, which is not to be had everywhere
    run(
        trap.root,
        "DROP FUNCTION IF EXISTS traps.service_get_read_locks",
        "CREATE FUNCTION traps.service_get_read_locks(a CHAR(9), b CHAR(9), c INT) RETURNS INT DETERMINISTIC RETURN 1",
    )
    try:
        kept = trap.play(call, "SELECT RELEASE_ALL_LOCKS()", b"\x1f", COUNT)
    finally:
        run(trap.root, "DROP FUNCTION traps.service_get_read_locks")
    assert all(LOCK in each for each in kept[:2])
    assert kept[2:] == ["", ""]


def test_temporary_tables(trap: Trap) -> None:
    for create in (
        "CREATE TEMPORARY TABLE u (id INT)",
        "CREATE TEMPORARY TABLE IF NOT EXISTS u SELECT 1 AS id",
        "CREATE TEMPORARY TABLE u AS SELECT id FROM t",
        "CREATE TEMPORARY TABLE u LIKE t",
        "CREATE /*!50000 TEMPORARY */ TABLE u (id INT)",
    ):
        assert trap.play(create, "SELECT * FROM u", "DROP TABLE u", "SELECT * FROM u")[1:] == [
            TABLE,
            "",
            "",
        ] or ("/*!" in create), create
    # it hides one of the schema from its own session only
    kept = trap.play("CREATE TEMPORARY TABLE t (x INT)", "SELECT * FROM t", "DROP TEMPORARY TABLE t", COUNT)
    assert kept == [TABLE, TABLE, "", ""]
    # by name, with or without the schema
    kept = trap.play(
        "CREATE TEMPORARY TABLE u (id INT)",
        "CREATE TEMPORARY TABLE other.u (id INT)",
        "DROP TEMPORARY TABLE traps.u",
        "SELECT * FROM other.u",
        "USE other",
        "DROP TABLE IF EXISTS u, missing",
        "SELECT * FROM u",
    )
    assert kept == [TABLE] * 5 + ["", ""]
    # under another name it is still there
    kept = trap.play(
        "CREATE TEMPORARY TABLE u (id INT)",
        "ALTER TABLE u RENAME TO w",
        "SELECT * FROM w",
        b"\x1f",
        "SELECT * FROM w",
    )
    assert kept == [TABLE] * 3 + ["", ""]
    # what fails makes none
    assert trap.play("CREATE TEMPORARY TABLE u (id NONSENSE)", "CREATE TEMPORARY TABLE u LIKE missing") == [
        "",
        "",
    ]


def test_handler(trap: Trap) -> None:
    kept = trap.play(
        "HANDLER t OPEN",
        "HANDLER t READ FIRST",
        "HANDLER t READ NEXT",
        "HANDLER t CLOSE",
        "HANDLER t READ NEXT",
    )
    assert kept == ["handler"] * 3 + ["", ""]
    kept = trap.play(
        "HANDLER t OPEN AS a",
        "HANDLER traps.t OPEN b",
        "HANDLER a CLOSE",
        "HANDLER b READ FIRST",
        "HANDLER b CLOSE",
    )
    assert kept == ["handler"] * 4 + [""]


def test_text_prepare(trap: Trap) -> None:
    name = "prepared-text"
    kept = trap.play(
        "PREPARE p FROM 'SELECT 1 + ?'",
        "PREPARE q FROM 'DO 1'",
        "DEALLOCATE PREPARE p",
        "EXECUTE q",
        "DROP PREPARE q",
        "EXECUTE q",
    )
    assert kept == [name] * 4 + ["", ""]
    # what it executes counts as if it had been sent
    kept = trap.play(
        "PREPARE p FROM 'SET time_zone = ''+02:00'''",
        "EXECUTE p",
        "DEALLOCATE PREPARE p",
        "SELECT @@time_zone",
    )
    assert kept == [name, name, "", ""]
    kept = trap.play(
        "PREPARE p FROM 'CREATE TEMPORARY TABLE u (id INT)'",
        "EXECUTE p",
        "DEALLOCATE PREPARE p",
        "DROP TABLE u",
    )
    assert kept == [name, f"{TABLE}+{name}", TABLE, ""]
    # prepared again, in vain: the old one is gone; unless the PREPARE is wrong, and not its text
    for wrong in ("'nonsense'", "@never", "'SELECT * FROM nothing'", "'SELECT 1 FROM'"):
        kept = trap.play("PREPARE p FROM 'DO 1'", f"PREPARE p FROM {wrong}", "EXECUTE p")
        assert kept == [name, "", ""]
    kept = trap.play("PREPARE p FROM 'DO 1'", "PREPARE p FROM 'DO 2' x", "EXECUTE p", "DEALLOCATE PREPARE p")
    assert kept == [name, name, name, ""]


def test_cursors(trap: Trap) -> None:
    select = Prepare("p", "SELECT id FROM t ORDER BY id")
    kept = trap.play(
        select, Execute("p", has_cursor=True), Fetch("p", 2), "SELECT 1", Fetch("p", 2), "SELECT 2"
    )
    assert kept == ["", "cursor", "cursor", "cursor", "", ""]
    kept = trap.play(select, Execute("p", has_cursor=True), Fetch("p", 1), ResetStatement("p"), "SELECT 1")
    assert kept == ["", "cursor", "cursor", "", ""]


@pytest.mark.parametrize(
    "clause", ["FOR UPDATE", "LOCK IN SHARE MODE", "FOR UPDATE NOWAIT", "FOR UPDATE SKIP LOCKED"]
)
def test_locking_reads(clause: str, trap: Trap) -> None:
    # locks are the transaction's: outside of one they end with the statement
    assert trap.play(f"SELECT * FROM t {clause}", COUNT) == ["", ""]
    kept = trap.play("BEGIN", f"SELECT * FROM t {clause}", "COMMIT", "SELECT @@innodb_lock_wait_timeout")
    assert kept == ["transaction", "transaction", "", ""]


ROUTINES = (
    "DROP PROCEDURE IF EXISTS traps.sets",
    "DROP PROCEDURE IF EXISTS traps.sets_zone",
    "DROP PROCEDURE IF EXISTS traps.makes",
    "DROP PROCEDURE IF EXISTS traps.locks",
    "DROP FUNCTION IF EXISTS traps.counter",
    "CREATE PROCEDURE traps.sets() SELECT 42 INTO @inside",
    "CREATE PROCEDURE traps.sets_zone() SET SESSION time_zone = '-02:00'",
    "CREATE PROCEDURE traps.makes() CREATE TEMPORARY TABLE traps.made AS SELECT 1 AS id",
    "CREATE PROCEDURE traps.locks() DO GET_LOCK('traps', 0)",
    "CREATE FUNCTION traps.counter() RETURNS INT NO SQL BEGIN SET @n = COALESCE(@n, 0) + 1; RETURN @n; END",
)


def test_side_effects_in_routines(trap: Trap) -> None:
    run(trap.root, *ROUTINES)
    for program in (
        ("CALL sets()", "SELECT @inside"),
        ("CALL sets_zone()", "SELECT @@time_zone"),
        ("CALL makes()", "SELECT * FROM made", "DROP TEMPORARY TABLE made"),
        ("CALL locks()", "SELECT IS_FREE_LOCK('traps')"),
        ("SELECT counter()", "SELECT counter()", "SELECT @n"),
        ("DO traps . counter ()", "SELECT @n"),
        ("SELECT `counter`() FROM t", "SELECT @n"),
        (Prepare("p", "CALL sets()"), Execute("p"), "SELECT @inside"),
    ):
        kept = trap.play(*program, b"\x1f", COUNT)
        assert "routine" in kept[-3], program
        assert kept[-2:] == ["", ""]
    with trap.through() as client:
        client.query("CALL locks()")
    trap.thief.turn()
    assert rows(trap.root, "SELECT IS_FREE_LOCK('traps')") == [(1,)]
