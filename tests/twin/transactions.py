"""Kinds of commands: transactions in all forms, and what ends them."""

from __future__ import annotations

from tests.integration.steps import Close, Execute, Prepare
from tests.twin.draft import LEVELS, Draft, kind


def _begun(d: Draft) -> None:
    d.in_transaction = True
    d.savepoints.clear()


@kind(14)
def begin(d: Draft) -> None:
    d.query(
        d.one(
            (
                "BEGIN",
                "START TRANSACTION",
                "BEGIN WORK",
                "START TRANSACTION READ ONLY",
                "START TRANSACTION READ WRITE",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT",
            )
        )
    )
    _begun(d)


@kind(14)
def end(d: Draft) -> None:
    d.query(
        d.one(("COMMIT", "ROLLBACK", "COMMIT WORK", "ROLLBACK", "COMMIT AND NO CHAIN", "COMMIT NO RELEASE"))
    )
    d.committed()


@kind(4)
def chain(d: Draft) -> None:
    d.query(d.one(("COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "COMMIT WORK AND CHAIN NO RELEASE")))
    _begun(d)


@kind(1)
def release(d: Draft) -> None:
    d.query(d.one(("COMMIT RELEASE", "ROLLBACK RELEASE", "COMMIT AND NO CHAIN RELEASE")))
    d.is_over = True


@kind(10)
def autocommit(d: Draft) -> None:
    d.query(
        f"SET {d.one(('', 'SESSION ', '@@', '@@session.'))}autocommit = {d.one(('0', '1', 'OFF', 'ON', '0', 'DEFAULT'))}"
    )
    d.committed()


@kind(8)
def savepoint(d: Draft) -> None:
    name = d.one(("a", "b", "`sp 1`"))
    d.query(f"SAVEPOINT {name}")
    d.savepoints.append(name)


@kind(8)
def to_savepoint(d: Draft) -> None:
    name = d.one(d.savepoints or ["a"])
    d.query(d.one((f"ROLLBACK TO {name}", f"ROLLBACK WORK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}")))


@kind(8)
def isolation(d: Draft) -> None:
    level = d.one(LEVELS)
    variable = "transaction_isolation" if d.server == "mysql" else "tx_isolation"
    d.query(
        d.one(
            (
                f"SET TRANSACTION ISOLATION LEVEL {level}",
                "SET TRANSACTION READ ONLY",
                f"SET TRANSACTION ISOLATION LEVEL {level}, READ WRITE",
                f"SET SESSION TRANSACTION ISOLATION LEVEL {level}",
                "SET SESSION TRANSACTION READ ONLY",
                "SET SESSION TRANSACTION READ WRITE",
                f"SET @@{variable} = '{level.replace(' ', '-')}'"
                if d.server != "both"
                else "SET TRANSACTION READ WRITE",
                f"SET SESSION {variable} = '{level.replace(' ', '-')}'"
                if d.server != "both"
                else "SET TRANSACTION READ ONLY",
            )
        )
    )
    if d.server != "both":
        d.query(
            f"SELECT @@{variable}, @@session.{'transaction_read_only' if d.server == 'mysql' else 'tx_read_only'}"
        )


@kind(4)
def completion(d: Draft) -> None:
    d.query(f"SET {d.one(('', 'SESSION '))}completion_type = {d.one(('0', '1', 'CHAIN', 'NO_CHAIN'))}")
    if d.chance(0.5):
        d.query("BEGIN")
        d.query("COMMIT")
        d.query("SET completion_type = 0")


@kind(2)
def completion_releases(d: Draft) -> None:
    """The connection ends with the transaction."""
    d.query(f"SET {d.one(('', '@@session.'))}completion_type = {d.one(('2', 'RELEASE'))}")
    if d.chance(0.5):
        d.query(d.one(("COMMIT AND NO CHAIN NO RELEASE", "ROLLBACK AND CHAIN", "SELECT 1")))
    d.query("BEGIN")
    d.query(f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(7000, 7999)})")
    d.query(d.one(("COMMIT", "ROLLBACK", "COMMIT NO RELEASE")))
    d.query("SELECT @@completion_type")
    d.is_over = True


@kind(5)
def savepoint_first(d: Draft) -> None:
    """Under autocommit = 0 nothing tells that it is there."""
    d.query("SET autocommit = 0")
    d.query("SAVEPOINT early")
    d.query(
        d.one(
            (
                f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(8000, 8999)})",
                "SELECT 1",
                "SELECT * FROM t",
                "SET @a = 1",
                "ROLLBACK",
            )
        )
    )
    d.query(d.one(("ROLLBACK TO early", "RELEASE SAVEPOINT early", "SAVEPOINT early", "COMMIT")))
    d.query("ROLLBACK TO SAVEPOINT early")
    if d.chance(0.7):
        d.query(d.one(("COMMIT", "ROLLBACK", "SET autocommit = 1")))
    d.in_transaction = True


@kind(6)
def prepared_before(d: Draft) -> None:
    """A statement that was prepared outside of the transaction in which it is executed, maybe on another backend."""
    text, given = d.one(
        (
            ("SELECT COUNT(*) FROM twin.t WHERE id >= ?", (1,)),
            ("INSERT INTO twin.w (v) VALUES (?)", (d.number(),)),
            ("UPDATE twin.t SET v = ?", (d.number(),)),
            ("SELECT LAST_INSERT_ID(), ROW_COUNT()", ()),
            ("COMMIT", ()),
            ("SET autocommit = 1", ()),
        )
    )
    d.query("SET autocommit = 1")
    is_text = d.chance(0.2)
    if is_text:
        d.query(f"PREPARE early FROM '{text}'")
    else:
        d.add(Prepare("early", text))
        if d.chance(0.5):
            d.add(Execute("early", given))
    d.query(d.one(("SET autocommit = 0", "SET @@session.autocommit = OFF", "BEGIN")))
    if d.chance(0.3):
        d.query("SAVEPOINT a")
    d.query(f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(5000, 5999)})")
    if is_text:
        d.query(f"SET @early = {d.number()}")
        d.query("EXECUTE early" + " USING @early" * len(given))
    else:
        d.add(Execute("early", given))
        if d.chance(0.5):
            d.add(d.one((Execute("early", given), Close("early"), Prepare("late", text))))
    d.query(d.one(("ROLLBACK", "ROLLBACK", "COMMIT", "ROLLBACK AND CHAIN")))
    d.query("SELECT COUNT(*) FROM twin.t")
    if not is_text and d.chance(0.3):
        d.add(Execute("early", given))
    d.query(d.one(("SET autocommit = 1", "ROLLBACK", "SET autocommit = DEFAULT")))
    d.committed()


@kind(4)
def one_transaction_level(d: Draft) -> None:
    """SET TRANSACTION is about the next one only, and refused inside of one."""
    d.query(f"SET TRANSACTION ISOLATION LEVEL {d.one(LEVELS)}, READ {d.one(('ONLY', 'WRITE'))}")
    for text in d.some(
        (
            "SELECT COUNT(*) FROM twin.t",
            "BEGIN",
            "INSERT INTO twin.w (v) VALUES (6)",
            "SET TRANSACTION READ ONLY",
            "COMMIT AND CHAIN",
            "COMMIT",
            "DO 1",
            "SET autocommit = 1",
            "INSERT INTO twin.w (v) VALUES (8)",
        ),
        6,
    ):
        d.query(text)
    d.query("ROLLBACK")
    d.committed()


@kind(4)
def read_only_transaction(d: Draft) -> None:
    d.query("START TRANSACTION READ ONLY" + d.one(("", ", WITH CONSISTENT SNAPSHOT")))
    d.query(
        d.one(
            (
                "UPDATE twin.t SET s = 'r'",
                "CREATE TEMPORARY TABLE twin.passing (id INT)",
                "SELECT id FROM twin.t WHERE id = 1 FOR UPDATE",
                "CALL twin.inserts(55)",
                "CREATE TABLE twin.implied (id INT)",
            )
        )
    )
    d.query("SELECT COUNT(*) FROM twin.t")
    d.query(d.one(("COMMIT", "ROLLBACK", "COMMIT AND CHAIN")))
    d.query("DROP TABLE IF EXISTS twin.passing, twin.implied")
    d.query("ROLLBACK")
    d.committed()


@kind(4)
def xa_life(d: Draft) -> None:
    """Two branches, one after the other, and what is refused between."""
    if d.in_transaction:
        d.query("ROLLBACK")
    d.committed()
    first, second = ("'a'", "'b', 'part'")
    d.query(f"XA {d.one(('START', 'BEGIN'))} {first}")
    d.query(
        d.one(
            (
                f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(3000, 4000)})",
                "SELECT COUNT(*) FROM twin.t",
                "SELECT never_there FROM twin.t",
            )
        )
    )
    for text in d.some(
        (
            "BEGIN",
            "XA COMMIT 'a'",
            "SELECT LAST_INSERT_ID()",
            "CREATE TABLE twin.implied (id INT)",
            "SAVEPOINT a",
            f"XA START {second}",
            "SET @a = 6",
            "SET autocommit = 1",
        )
    ):
        d.query(text)
    d.query(f"XA END {first}")
    d.query(d.one(("SELECT 1", "XA RECOVER", "XA COMMIT 'a'", f"XA ROLLBACK {second}")))
    d.query(d.one((f"XA PREPARE {first}", f"XA PREPARE {first}", f"XA COMMIT {first} ONE PHASE", "ROLLBACK")))
    if d.chance(0.5):
        d.query(d.one(("SELECT COUNT(*) FROM twin.t", "XA RECOVER", "SELECT LAST_INSERT_ID()", "BEGIN")))
    if d.chance(0.1):
        d.is_over = True
        return
    d.query(f"XA {d.one(('COMMIT', 'ROLLBACK'))} {first}")
    d.query(f"XA ROLLBACK {first}")
    if d.chance(0.5):
        d.query(f"XA START {second}")
        d.query(f"XA END {second}")
        d.query(f"XA COMMIT {second} ONE PHASE")


@kind(4)
def xa(d: Draft) -> None:
    if d.in_transaction:
        d.query("ROLLBACK")
    d.committed()
    name = f"'x{d.random.randint(1, 9)}'"
    d.query(f"XA START {name}")
    d.query(f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(3000, 4000)})")
    if d.chance(0.2):
        d.query("COMMIT")
    d.query(f"XA END {name}")
    how = d.one(("ROLLBACK", "COMMIT", "PREPARE"))
    if how == "COMMIT":
        d.query(f"XA COMMIT {name} ONE PHASE")
    elif how == "ROLLBACK":
        d.query(f"XA ROLLBACK {name}")
    else:
        d.query(f"XA PREPARE {name}")
        d.query(f"XA {d.one(('COMMIT', 'ROLLBACK'))} {name}")


@kind(4)
def implicit_commit(d: Draft) -> None:
    d.query("BEGIN")
    d.query(f"INSERT INTO {d.qualified('w')} (v) VALUES (1)")
    d.query(
        d.one(
            (
                "CREATE TABLE twin.implied (id INT)",
                "TRUNCATE TABLE twin.old",
                "LOCK TABLES twin.w READ",
                "FLUSH TABLES twin.old",
                "ANALYZE TABLE twin.w",
                "OPTIMIZE TABLE twin.old",
                "FLUSH PRIVILEGES",
                "CREATE OR REPLACE VIEW twin.seen AS SELECT 1",
                "ALTER TABLE twin.w COMMENT 'changed'",
                "SET autocommit = 1",
                "BEGIN",
                "DROP TEMPORARY TABLE IF EXISTS twin.never_there",
            )
        )
    )
    d.query("ROLLBACK")
    d.query("UNLOCK TABLES")
    d.query(f"SELECT * FROM {d.qualified('w')}")
    d.query("DROP TABLE IF EXISTS twin.implied")
    d.committed()
