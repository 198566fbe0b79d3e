"""Kinds of commands for a Fanin with readers: what runs there, what stands around that, and what follows it on the writer."""

from __future__ import annotations

from typing import Final

from tests.integration.steps import Close, Command, Execute, Fetch, Prepare, Value
from tests.twin.draft import LEVELS, Draft, kind

READS: Final = (
    "SELECT id, v, s FROM twin.t ORDER BY id",
    "SELECT COUNT(*), MAX(id) FROM twin.t",
    "SELECT * FROM twin.u ORDER BY id",
    "SELECT * FROM twin.w ORDER BY id",
    "SELECT * FROM twin.old ORDER BY id",
    "SELECT * FROM twin.noted ORDER BY id",
    "SELECT * FROM twin.both_rows ORDER BY 1, 2",
    "SELECT * FROM twin2.t ORDER BY id",
    "SELECT a.id, b.v FROM twin.t a LEFT JOIN twin.w b ON a.v = b.v ORDER BY 1, 2",
    "SELECT id FROM twin.t WHERE id IN (SELECT id FROM twin.w) ORDER BY id LIMIT 2",
    "SELECT s FROM twin.t WHERE id = 2",
    "SELECT id FROM twin.t WHERE 1 = 0",
    "SELECT v / 0 AS broken, s + 0 AS n FROM twin.t ORDER BY id",
    "SELECT CAST('12abc' AS SIGNED) AS n, COUNT(*) FROM twin.w",
    "SELECT never_there FROM twin.t",
    "SELECT * FROM twin.never_there",
    "SELECT SQL_CALC_FOUND_ROWS id FROM twin.t ORDER BY id LIMIT 1",
    "WITH x AS (SELECT id FROM twin.t) SELECT COUNT(*) FROM x",
    "SELECT j FROM twin.docs ORDER BY id",
    "SELECT GROUP_CONCAT(s ORDER BY id) FROM twin.t",
    "SHOW TABLES FROM twin",
    "SHOW CREATE VIEW twin.both_rows",
    "SHOW COLUMNS FROM twin.t",
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'twin' ORDER BY 1",
    "SELECT 1",
    "SELECT @@autocommit, DATABASE()",
    "SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()",
    "SELECT @a",
    "EXPLAIN SELECT id FROM twin.t WHERE id = 1",
    "DESCRIBE twin.w",
)
QUESTIONS: Final = (
    "SHOW WARNINGS",
    "SHOW ERRORS",
    "SELECT FOUND_ROWS()",
    "SELECT ROW_COUNT()",
    "SELECT LAST_INSERT_ID()",
    "SELECT @@warning_count, @@error_count",
    "SHOW COUNT(*) WARNINGS",
    "GET DIAGNOSTICS @n = NUMBER, @r = ROW_COUNT",
)
WRITES: Final = (
    "INSERT INTO twin.w (v) VALUES (3)",
    "INSERT INTO twin.t (v) VALUES (321) ON DUPLICATE KEY UPDATE v = v + 1",
    "UPDATE twin.t SET s = 'written' WHERE id = 2",
    "DELETE FROM twin.t WHERE id = 3",
    "REPLACE INTO twin.t (id, v) VALUES (1, 11)",
    "INSERT IGNORE INTO twin.t (v) VALUES (10), (654)",
    "UPDATE twin.t SET s = s",
    "UPDATE twin.w SET v = v + 1",
    "DELETE FROM twin.never_there",
    "INSERT INTO twin.w (v) SELECT id FROM twin.t",
)
DEFINITIONS: Final = (
    "CREATE TABLE twin.implied (id INT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS twin.t (id INT)",
    "CREATE TABLE twin.t (id INT)",
    "DROP TABLE IF EXISTS twin.implied",
    "DROP TABLE twin.never_there",
    "ALTER TABLE twin.w COMMENT 'changed'",
    "ALTER TABLE twin.never_there ADD COLUMN z INT",
    "TRUNCATE TABLE twin.w",
    "CREATE OR REPLACE VIEW twin.seen AS SELECT 1 AS one",
    "DROP VIEW IF EXISTS twin.seen",
    "CREATE INDEX iv ON twin.w (v)",
    "RENAME TABLE twin.w TO twin.w2, twin.w2 TO twin.w",
    "ANALYZE TABLE twin.w",
    "OPTIMIZE TABLE twin.old",
    "FLUSH TABLES twin.old",
    "FLUSH PRIVILEGES",
    "LOCK TABLES twin.t READ",
    "UNLOCK TABLES",
    "CREATE DATABASE IF NOT EXISTS twin3",
    "DROP DATABASE IF EXISTS twin3",
    "CREATE PROCEDURE twin.fleeting() SELECT 1",
    "DROP PROCEDURE IF EXISTS twin.fleeting",
    "GRANT SELECT ON twin.* TO twin_other@'%'",
)


def _read_only(d: Draft) -> str:
    """The session's variable."""
    return "transaction_read_only" if d.server == "mysql" else "tx_read_only"


def _begun(d: Draft) -> None:
    d.in_transaction = True
    d.savepoints.clear()


@kind(30, is_for_readers=True)
def begin_read_only(d: Draft) -> None:
    d.query(
        d.one(
            (
                "START TRANSACTION READ ONLY",
                "START TRANSACTION READ ONLY",
                "start transaction read only",
                "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                "/* first */ START TRANSACTION /* second */ READ ONLY -- third",
            )
        )
    )
    _begun(d)


@kind(20, is_for_readers=True)
def end_read_only(d: Draft) -> None:
    text = d.one(
        (
            "COMMIT",
            "COMMIT",
            "ROLLBACK",
            "COMMIT AND CHAIN",
            "ROLLBACK AND CHAIN",
            "COMMIT AND NO CHAIN",
            "BEGIN",
            "START TRANSACTION",
            "START TRANSACTION READ WRITE",
            "START TRANSACTION READ ONLY",
            "SET autocommit = 1",
        )
    )
    d.query(text)
    if "CHAIN" in text or "BEGIN" in text or "START" in text:
        _begun(d)
    else:
        d.committed()


@kind(8, is_for_readers=True)
def read_only_session(d: Draft) -> None:
    """For this session, or for its next transaction, in all ways."""
    name = _read_only(d)
    texts = [
        "SET SESSION TRANSACTION READ ONLY",
        "SET SESSION TRANSACTION READ ONLY",
        "SET SESSION TRANSACTION READ WRITE",
        "SET SESSION TRANSACTION READ WRITE",
        "SET TRANSACTION READ ONLY",
        "SET TRANSACTION READ WRITE",
        f"SET SESSION TRANSACTION ISOLATION LEVEL {d.one(LEVELS)}, READ ONLY",
        f"SET TRANSACTION READ ONLY, ISOLATION LEVEL {d.one(LEVELS)}",
    ]
    if d.server != "both":
        texts += [f"SET SESSION {name} = {d.one('0101')}", f"SET @@session.{name} = {d.one(('ON', 'OFF'))}"]
        texts += [f"SET @@{name} = {d.one('01')}", f"SET {name} = DEFAULT"]
    d.query(d.one(texts))
    if d.server != "both" and d.chance(0.3):
        d.query(f"SELECT @@{name}, @@session.{name}")


@kind(4, is_for_readers=True)
def driver_read_only(d: Draft) -> None:
    """What drivers send for setReadOnly, a transaction, and back."""
    d.query("SET SESSION TRANSACTION READ ONLY")
    d.query(
        d.one(("BEGIN", "START TRANSACTION", "SET autocommit = 0", "START TRANSACTION READ WRITE", "DO 0"))
    )
    for text in d.some((*READS, *WRITES[:2]), 3):
        d.query(text)
    d.query(d.one(("COMMIT", "ROLLBACK", "SET autocommit = 1")))
    d.query("SET SESSION TRANSACTION READ WRITE")
    d.query("SET autocommit = 1")
    d.query(d.one(WRITES))
    d.committed()


@kind(20, is_for_readers=True)
def reads(d: Draft) -> None:
    """Questions afterwards are about what ran there."""
    d.query(d.one(READS))
    if d.chance(0.4):
        d.query(d.one(QUESTIONS))


@kind(10, is_for_readers=True)
def hinted_reads(d: Draft) -> None:
    hint = d.one(("/* fanin: reader */", "/* fanin: writer */", "/* fanin: max_lag=60000 */"))
    text = d.one(READS)
    verb, _, rest = text.partition(" ")
    d.query(d.one((f"{hint} {text}", f"{verb} {hint} {rest}")))
    if d.chance(0.4):
        d.query(d.one(QUESTIONS))


@kind(12, is_for_readers=True)
def write_and_read(d: Draft) -> None:
    """A session sees its own writes, wherever it reads."""
    for _ in range(d.random.randint(1, 2)):
        d.query(d.one(WRITES))
        if d.chance(0.4):
            d.query("START TRANSACTION READ ONLY")
            d.query(d.one(READS))
            d.query(d.one(("COMMIT", "ROLLBACK")))
            d.committed()
        else:
            d.query(d.one(READS))
        if d.chance(0.5):
            d.query(d.one(QUESTIONS))


@kind(12, is_for_readers=True)
def write_in_read_only(d: Draft) -> None:
    d.query("START TRANSACTION READ ONLY")
    d.query(d.one(READS))
    d.query(d.one(WRITES))
    if d.chance(0.5):
        d.query(d.one((*QUESTIONS, *READS)))
    d.query(d.one(("COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "BEGIN")))
    d.query(d.one(WRITES))
    d.query(d.one(("ROLLBACK", "COMMIT")))
    d.committed()


@kind(12, is_for_readers=True)
def definition_in_read_only(d: Draft) -> None:
    d.query("START TRANSACTION READ ONLY")
    if d.chance(0.6):
        d.query(d.one(READS))
    d.query(d.one(DEFINITIONS))
    for text in d.some((*READS, *QUESTIONS, "COMMIT", "ROLLBACK", *WRITES[:3])):
        d.query(text)
    d.query("UNLOCK TABLES")
    d.query("COMMIT")
    d.query("DROP TABLE IF EXISTS twin.implied")
    d.query("DROP PROCEDURE IF EXISTS twin.fleeting")
    d.committed()


@kind(8, is_for_readers=True)
def routine_in_read_only(d: Draft) -> None:
    """Which pins, so that nothing is written until the transaction has ended; see reader_exceptions."""
    d.query("START TRANSACTION READ ONLY")
    for _ in range(d.random.randint(1, 2)):
        d.query(
            d.one(
                (
                    "CALL twin.two_results()",
                    "CALL twin.counts(1, @found, @total)",
                    "CALL twin.sets_variable()",
                    "CALL twin.inserts(4321)",
                    "CALL twin.fails()",
                    "CALL twin.warns()",
                    "CALL twin.signals()",
                    "CALL twin.keeps(4)",
                    "CALL twin.prepares()",
                    "CALL twin.makes_and_drops()",
                    "CALL twin.never_there()",
                    "SELECT twin.counter()",
                    "SELECT id, twin.note_of() FROM twin.t ORDER BY id",
                    "SELECT twin.last_id()",
                    "DO twin.counter()",
                )
            )
        )
        if d.chance(0.4):
            d.query(d.one((*QUESTIONS, "SELECT @found, @total, @set_inside, @kept, @counted")))
    d.query(d.one(("COMMIT", "ROLLBACK")))
    d.query(d.one(READS))
    d.committed()


@kind(8, is_for_readers=True)
def several_in_read_only(d: Draft) -> None:
    if not d.is_multi:
        d.is_multi = True
        d.add(Command(b"\x1b\x00\x00"))
    texts = [
        d.one(READS),
        d.one(READS),
        d.one(QUESTIONS),
        d.one(WRITES),
        "START TRANSACTION READ ONLY",
        "COMMIT",
        "ROLLBACK",
        "SET @a = 4",
        "BEGIN",
        "SET SESSION TRANSACTION READ ONLY",
        "SET TRANSACTION READ ONLY",
        "SET SESSION TRANSACTION READ WRITE",
        "COMMIT AND CHAIN",
        "SAVEPOINT a",
    ]
    chosen = d.some(texts, 4)
    if d.chance(0.5):
        chosen = ["START TRANSACTION READ ONLY", *chosen]
    if d.chance(0.3):
        chosen.append("COMMIT")
    d.query("; ".join(chosen))


@kind(6, is_for_readers=True)
def savepoints_in_read_only(d: Draft) -> None:
    d.query("START TRANSACTION READ ONLY")
    for text in d.some(
        (
            "SAVEPOINT a",
            "SAVEPOINT b",
            "ROLLBACK TO a",
            "RELEASE SAVEPOINT a",
            "ROLLBACK TO SAVEPOINT never_there",
            d.one(READS),
            d.one(WRITES),
            "COMMIT AND CHAIN",
        ),
        6,
    ):
        d.query(text)
    d.query(d.one(("COMMIT", "ROLLBACK")))
    d.query("ROLLBACK TO a")
    d.committed()


@kind(8, is_for_readers=True)
def prepared_in_read_only(d: Draft) -> None:
    """Prepared before or in it, executed in it and after it."""
    choices: tuple[tuple[str, tuple[Value, ...]], ...] = (
        ("SELECT id, s FROM twin.t WHERE id >= ? ORDER BY id", (1,)),
        ("SELECT COUNT(*) FROM twin.w", ()),
        ("SELECT ? AS x, @@autocommit", (5,)),
        ("INSERT INTO twin.w (v) VALUES (?)", (9,)),
        ("UPDATE twin.t SET s = ? WHERE id = 1", ("bound",)),
        ("START TRANSACTION READ ONLY", ()),
        ("COMMIT", ()),
        ("SHOW WARNINGS", ()),
        ("SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()", ()),
        ("CALL twin.two_results()", ()),
        ("SELECT 1 / ?", (0,)),
        ("TRUNCATE TABLE twin.w", ()),
        ("SET @a = ?", (3,)),
    )
    text, given = d.one(choices)
    steps = [Prepare("ro", text), Execute("ro", given), Execute("ro", given)]
    d.add(steps[0])
    if d.chance(0.3):
        d.add(steps[1])
    d.query(
        d.one(
            ("START TRANSACTION READ ONLY", "SET TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ ONLY")
        )
    )
    if d.chance(0.4):
        d.query(d.one(READS))
    if d.chance(0.3):
        d.add(Prepare("ro", text))
    d.add(steps[1])
    d.query(d.one((*READS, *QUESTIONS)))
    d.query(d.one(("COMMIT", "ROLLBACK", "COMMIT AND CHAIN")))
    d.add(steps[2])
    d.query("SET SESSION TRANSACTION READ WRITE")
    d.query("ROLLBACK")
    d.add(d.one((Close("ro"), Execute("ro", given))))
    d.committed()


@kind(6, is_for_readers=True)
def text_prepared_in_read_only(d: Draft) -> None:
    text = d.one(
        (*READS, *WRITES, "COMMIT", "START TRANSACTION READ ONLY", "CREATE TABLE twin.implied (id INT)")
    )
    begin = "START TRANSACTION READ ONLY"
    texts = [begin, "PREPARE ro FROM '" + text.replace("'", "''") + "'"]
    for each in texts if d.chance(0.5) else reversed(texts):
        d.query(each)
    d.query("EXECUTE ro")
    d.query(d.one((*QUESTIONS, *READS)))
    d.query(d.one(("COMMIT", "ROLLBACK")))
    if d.chance(0.5):
        d.query("EXECUTE ro")
    d.query("DEALLOCATE PREPARE ro")
    d.query("DROP TABLE IF EXISTS twin.implied")
    d.committed()


@kind(6, is_for_readers=True)
def cursor_in_read_only(d: Draft) -> None:
    d.add(Prepare("rc", d.one(("SELECT id, s FROM twin.t ORDER BY id", "SELECT * FROM twin.u ORDER BY id"))))
    begins = d.chance(0.7)
    if begins:
        d.query("START TRANSACTION READ ONLY")
    d.add(Execute("rc", (), True))
    for _ in range(d.random.randint(1, 3)):
        d.add(Fetch("rc", 1))
        if d.chance(0.3):
            d.query(d.one(READS))
    if begins:
        d.query(d.one(("COMMIT", "ROLLBACK", "COMMIT AND CHAIN")))
    d.add(Fetch("rc", 5))
    d.add(Close("rc"))
    d.query("ROLLBACK")
    d.committed()


@kind(6, is_for_readers=True)
def temporary_in_read_only(d: Draft) -> None:
    """Made on the writer before it, or refused in it."""
    made = "CREATE TEMPORARY TABLE twin.passing (id INT PRIMARY KEY, v INT)"
    if d.chance(0.5):
        d.query(made)
    d.query("START TRANSACTION READ ONLY")
    for text in d.some(
        (
            made,
            "INSERT INTO twin.passing VALUES (1, 1)",
            "SELECT * FROM twin.passing",
            "DROP TEMPORARY TABLE twin.passing",
            "CREATE TEMPORARY TABLE twin.passing SELECT id FROM twin.t",
            d.one(READS),
            "SHOW WARNINGS",
        ),
        4,
    ):
        d.query(text)
    d.query(d.one(("COMMIT", "ROLLBACK")))
    d.query(d.one(("SELECT * FROM twin.passing", "SHOW WARNINGS", "SELECT 1")))
    d.query("DROP TEMPORARY TABLE IF EXISTS twin.passing")
    d.committed()


@kind(5, is_for_readers=True)
def locks_in_read_only(d: Draft) -> None:
    d.query("START TRANSACTION READ ONLY")
    for text in d.some(
        (
            "SELECT id FROM twin.t WHERE id = 1 FOR UPDATE",
            "SELECT id FROM twin.t WHERE id = 2 LOCK IN SHARE MODE",
            "SELECT GET_LOCK('read only', 0)",
            "SELECT RELEASE_LOCK('read only')",
            "SELECT RELEASE_ALL_LOCKS()",
            "HANDLER twin.t OPEN",
            "HANDLER twin.t READ FIRST",
            "HANDLER twin.t CLOSE",
            d.one(READS),
        ),
        4,
    ):
        d.query(text)
    d.query("HANDLER twin.t CLOSE")
    d.query("SELECT RELEASE_ALL_LOCKS()")
    d.query(d.one(("COMMIT", "ROLLBACK")))
    d.committed()


@kind(6, is_for_readers=True)
def state_in_read_only(d: Draft) -> None:
    """What a session sets in it is there afterwards, and the other way round."""
    d.query(d.one(("SET @a = 1", "USE twin2", "SET time_zone = '+03:00'", "SELECT 1/0", WRITES[0])))
    d.query("START TRANSACTION READ ONLY")
    d.query(
        d.one(
            (
                "SELECT @a, DATABASE(), @@time_zone, LAST_INSERT_ID()",
                "SET @a = 2",
                "SELECT 5 INTO @a",
                "SELECT LAST_INSERT_ID(77)",
                "SET time_zone = '-01:00'",
                "USE twin2",
                "SET autocommit = 0",
                "SHOW WARNINGS",
                "SET NAMES latin1",
                "SET sql_mode = ''",
                "SELECT SQL_CALC_FOUND_ROWS id FROM twin.t LIMIT 1",
            )
        )
    )
    d.query(d.one((*READS, *QUESTIONS)))
    d.query(d.one(("COMMIT", "ROLLBACK", "SET autocommit = 1")))
    d.query("SELECT @a, DATABASE(), @@time_zone, @@sql_mode, @@autocommit, LAST_INSERT_ID()")
    d.query("USE twin")
    d.query("SET autocommit = 1")
    d.has_schema = True
    d.committed()
