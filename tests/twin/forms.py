"""Kinds of commands: rarer forms of what other modules have: temporary tables, JSON, locks and handlers, prepared statements."""

from __future__ import annotations

from tests.integration.steps import Close, Execute, Fetch, LongData, Prepare, ResetStatement
from tests.twin.draft import Draft, kind

# Temporary tables


@kind(6)
def temporary_forms(d: Draft) -> None:
    """Made and dropped in all ways, in front of tables and beside them."""
    forms = [
        "CREATE TEMPORARY TABLE IF NOT EXISTS twin.x1 (id INT)",
        "CREATE TEMPORARY TABLE twin.x1 SELECT * FROM twin.t",
        "CREATE TEMPORARY TABLE twin.x1 (extra INT DEFAULT 3) AS SELECT id FROM twin.t WHERE id < 3",
        "CREATE TEMPORARY TABLE twin.x1 LIKE twin.u",
        "CREATE TEMPORARY TABLE twin.x1 (id INT) AS SELECT 1 AS id UNION SELECT 2",
        "CREATE TEMPORARY TABLE twin.w (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
        "/*!50000 CREATE TEMPORARY TABLE twin.x1 (id INT) */",
        "CREATE /* odd */ TEMPORARY\n TABLE twin.x1 (id INT) ENGINE=InnoDB",
        "CREATE TEMPORARY TABLE twin.x1 (id INT PRIMARY KEY) SELECT 1 AS id UNION ALL SELECT 1",
        "CREATE TEMPORARY TABLE twin2.x1 (id INT)",
    ]
    if d.server == "mariadb":
        forms += [
            "CREATE OR REPLACE TEMPORARY TABLE twin.x1 (id INT)",
            "CREATE OR REPLACE TEMPORARY TABLE twin.x1 AS SELECT 5 AS id",
        ]
    for text in d.some(forms, 3):
        d.query(text)
    between = (
        "SELECT * FROM twin.x1",
        "INSERT INTO twin.w (v) VALUES (4)",
        "SELECT * FROM twin.w",
        "ALTER TABLE twin.x1 ADD COLUMN z INT",
        "TRUNCATE TABLE twin.x1",
        "SHOW CREATE TABLE twin.x1",
        "BEGIN",
        "ROLLBACK",
        "SELECT LAST_INSERT_ID(), ROW_COUNT()",
        "RENAME TABLE twin.x1 TO twin.x2",
        "ALTER TABLE twin.x1 RENAME TO twin.x2",
        "SHOW WARNINGS",
        "CREATE TABLE twin.x1 (real_one INT)",
    )
    for text in d.some(between, 4):
        d.query(text)
    ends = (
        "DROP TEMPORARY TABLE twin.x1",
        "DROP TABLE twin.x1",
        "DROP TEMPORARY TABLE IF EXISTS twin.x1, twin.w, twin2.x1, twin.x2",
        "DROP TABLE IF EXISTS twin.x1, twin.never_there",
        "DROP TEMPORARY TABLE twin.never_there",
        "DROP TEMPORARY TABLE twin.t",
    )
    for text in d.some(ends, 3):
        d.query(text)
    d.query("DROP TEMPORARY TABLE IF EXISTS twin.w, twin2.x1, twin.x2, twin.x1")
    d.query("DROP TABLE IF EXISTS twin.x1")
    d.committed()


@kind(5)
def temporary_in_routine(d: Draft) -> None:
    for text in d.some(
        (
            "CALL twin.makes_and_drops()",
            "CALL twin.makes_table()",
            "CALL twin.drops_made()",
            "SELECT * FROM twin.made",
            "CREATE TEMPORARY TABLE twin.made (v INT)",
            "DROP TEMPORARY TABLE IF EXISTS twin.made",
            "CALL twin.prepares()",
            "EXECUTE inside",
        ),
        5,
    ):
        d.query(text)
    d.query("DROP TEMPORARY TABLE IF EXISTS twin.made")
    d.query("DEALLOCATE PREPARE inside")


# JSON


@kind(6)
def json_column(d: Draft) -> None:
    d.query(
        d.one(
            (
                'INSERT INTO twin.docs (j) VALUES (\'{"k": [1, 2, {"z": null}]}\')',
                "INSERT INTO twin.docs (j) VALUES (JSON_ARRAY(1.5, 'x', NULL, TRUE))",
                "INSERT INTO twin.docs (j) VALUES ('{broken')",
                "UPDATE twin.docs SET j = JSON_SET(j, '$.k', 'grün') WHERE id = 1",
                "SELECT id, j, JSON_EXTRACT(j, '$.k') FROM twin.docs ORDER BY id",
                "SELECT JSON_KEYS(j), JSON_TYPE(j), JSON_LENGTH(j) FROM twin.docs ORDER BY id",
                "SELECT JSON_OBJECTAGG(id, j) FROM twin.docs",
                "SELECT j INTO @a FROM twin.docs WHERE id = 1",
                "SET @a = (SELECT j FROM twin.docs WHERE id = 2)",
                "INSERT IGNORE INTO twin.docs (j) VALUES (NULL), ('[]')",
            )
        )
    )
    d.variables.append("@a")
    d.query(d.one(("SELECT * FROM twin.docs ORDER BY id", "SELECT @a, CHARSET(@a), COLLATION(@a)")))


@kind(6)
def json_variable(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SET @j = JSON_OBJECT('k', 1, 'l', JSON_ARRAY(1, 'x', 2.50, NULL))",
                "SET @j = JSON_ARRAY()",
                "SET @j = CAST('7' AS JSON)" if d.server == "mysql" else "SET @j = JSON_QUOTE('7')",
                "SET @j = JSON_MERGE_PRESERVE('[1]', '{\"a\": 2}')",
                "SET @j = JSON_EXTRACT('{\"a\": \"é\"}', '$.a')",
                "SET @j = JSON_UNQUOTE(JSON_EXTRACT('{\"a\": \"é\"}', '$.a'))",
                "SELECT JSON_OBJECT('k', id) INTO @j FROM twin.t WHERE id = 1",
                "SELECT @j := JSON_ARRAY(1, 2)",
            )
        )
        if d.encoding == "utf8mb4"
        else "SET @j = JSON_OBJECT('k', 1)"
    )
    for text in d.some(
        (
            "SELECT @j, CHARSET(@j), COLLATION(@j), COERCIBILITY(@j)",
            "SELECT JSON_TYPE(@j), JSON_VALID(@j), JSON_LENGTH(@j)",
            "SELECT JSON_OBJECT('in', @j), JSON_ARRAY(@j, 1)",
            "SELECT @j = '[1, 2]', CONCAT(@j, '')",
            "INSERT INTO twin.docs (j) VALUES (@j)",
            "SET @k = @j",
            "SELECT JSON_EXTRACT(@k, '$[0]'), @k",
            "CREATE TEMPORARY TABLE twin.typed AS SELECT @j AS x",
        ),
        4,
    ):
        d.query(text)
    d.query("DROP TEMPORARY TABLE IF EXISTS twin.typed")
    d.variables.append("@j")


# Locks and handlers


@kind(4)
def handlers(d: Draft) -> None:
    """Two of them, one of a temporary table; a definition or a reset closes them."""
    d.query("CREATE TEMPORARY TABLE IF NOT EXISTS twin.held AS SELECT id FROM twin.t")
    d.query("HANDLER twin.t OPEN AS first")
    d.query(
        d.one(("HANDLER twin.held OPEN", "HANDLER twin.w OPEN AS second", "HANDLER twin.t OPEN AS first"))
    )
    for text in d.some(
        (
            "HANDLER first READ FIRST",
            "HANDLER first READ NEXT LIMIT 2",
            "HANDLER first READ `v` >= (20) WHERE id < 9 LIMIT 5",
            "HANDLER held READ NEXT",
            "HANDLER second READ FIRST",
            "INSERT INTO twin.w (v) VALUES (5)",
            "FLUSH TABLES twin.t",
            "SELECT FOUND_ROWS(), ROW_COUNT()",
            "BEGIN",
            "COMMIT",
            "HANDLER held CLOSE",
        ),
        5,
    ):
        d.query(text)
    d.query(d.one(("DROP TEMPORARY TABLE twin.held", "HANDLER first CLOSE", "SELECT 1")))
    d.query("HANDLER first READ FIRST")
    d.query("HANDLER first CLOSE")
    d.query("HANDLER second CLOSE")
    d.query("DROP TEMPORARY TABLE IF EXISTS twin.held")


@kind(4)
def flush_locks(d: Draft) -> None:
    forms = [
        "FLUSH TABLES twin.t WITH READ LOCK",
        "FLUSH TABLES twin.t FOR EXPORT",
        "FLUSH LOCAL TABLES twin.old",
    ]
    forms.append("LOCK INSTANCE FOR BACKUP" if d.server == "mysql" else "LOCK TABLE twin.t READ LOCAL")
    d.query(d.one(forms))
    d.query(d.one(("SELECT COUNT(*) FROM twin.t", "INSERT INTO twin.t (v) VALUES (66)", "BEGIN", "SELECT 1")))
    d.query(d.one(("UNLOCK TABLES", "UNLOCK TABLES", "START TRANSACTION", "COMMIT")))
    d.query("UNLOCK TABLES")
    if d.server == "mysql":
        d.query("UNLOCK INSTANCE")
    d.committed()


@kind(5)
def locking_read(d: Draft) -> None:
    share = "FOR SHARE" if d.server == "mysql" else "LOCK IN SHARE MODE"
    d.query(
        "SELECT id FROM twin.t WHERE id = 1 "
        + d.one(("FOR UPDATE NOWAIT", "FOR UPDATE SKIP LOCKED", "LOCK IN SHARE MODE", share, "FOR UPDATE"))
    )


@kind(4)
def auto_is_null(d: Draft) -> None:
    d.query("SET sql_auto_is_null = 1")
    d.query(f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(100, 9999)})")
    d.query(f"SELECT id FROM {d.qualified('t')} WHERE id IS NULL")
    d.query(f"SELECT id FROM {d.qualified('t')} WHERE id IS NULL")
    d.query("SET sql_auto_is_null = 0")


@kind(4)
def odd_reads(d: Draft) -> None:
    """Reads that write, writes that look like reads."""
    d.query(
        d.one(
            (
                "WITH x AS (SELECT 2 AS id) DELETE FROM twin.t WHERE id IN (SELECT id FROM x)"
                if d.server == "mysql"
                else "WITH x AS (SELECT 1) SELECT * FROM x",
                "EXPLAIN DELETE FROM twin.t",
                "EXPLAIN INSERT INTO twin.w (v) VALUES (1)",
                "(SELECT id FROM twin.t) UNION ALL (SELECT v FROM twin.w) ORDER BY 1",
                "VALUES ROW(1, 2), ROW(3, 4)" if d.server == "mysql" else "VALUES (1, 2), (3, 4)",
                "/*M! SET @a = 8 */",
                "/*M!100100 SELECT @a := 9 */",
                "SELECT id FROM twin.t PROCEDURE ANALYSE()",
                "SELECT 1 INTO OUTFILE '/no/such/folder'",
                "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'twin'",
                "DO twin.counter(), @a := 3",
                "HELP 'nothing'",
                "SHOW ENGINES LIKE 'x'",
            )
        )
    )


# Prepared statements


@kind(5)
def out_parameters(d: Draft) -> None:
    """By text and in binary, where they come as one more result."""
    if d.chance(0.5):
        d.query("SET @b = 'in'")
        d.query("CALL twin.gives(@a, @b, @c)")
        d.query("SELECT @a, @b, @c")
        return
    d.add(
        Prepare(
            "out",
            d.one(("CALL twin.gives(?, ?, ?)", "CALL twin.gives(@a, ?, @c)", "CALL twin.counts(?, ?, ?)")),
        )
    )
    count = str(d.lines[-1].step).count("?")
    for _ in range(d.random.randint(1, 2)):
        d.add(Execute("out", tuple(d.one((1, "in", None)) for _ in range(count))))
    d.query("SELECT @a, @c")
    d.add(Close("out"))


@kind(5)
def changed_definition(d: Draft) -> None:
    """The table changes between two executions."""
    d.query("CREATE TABLE twin.changing (id INT PRIMARY KEY, a INT)")
    d.add(Prepare("ch", d.one(("SELECT * FROM twin.changing", "INSERT INTO twin.changing VALUES (?, ?)"))))
    values = (1, 2) if "INSERT" in str(d.lines[-1].step) else ()
    d.add(Execute("ch", values))
    d.query(
        d.one(
            (
                "ALTER TABLE twin.changing ADD COLUMN z VARCHAR(5) DEFAULT 'z'",
                "ALTER TABLE twin.changing MODIFY a VARCHAR(9)",
                "ALTER TABLE twin.changing RENAME COLUMN a TO b",
                "DROP TABLE twin.changing",
                "TRUNCATE TABLE twin.changing",
            )
        )
    )
    d.add(Execute("ch", values))
    d.add(Close("ch"))
    d.query("DROP TABLE IF EXISTS twin.changing")
    d.committed()


@kind(4)
def reset_halfway(d: Draft) -> None:
    """COM_STMT_RESET with long data sent, with a cursor open, and of what is gone."""
    d.add(Prepare("half", "SELECT id, s, LENGTH(?) AS n FROM twin.t ORDER BY id"))
    d.add(LongData("half", 0, b"y" * d.one((0, 3, 70000))))
    d.add(ResetStatement("half"))
    # see exceptions.NOT_GENERATED
    has_cursor = d.chance(0.7)
    d.add(Execute("half", (d.one((1, "z", None)),), has_cursor))
    d.add(d.one((Fetch("half", 1), Fetch("half", 50), Execute("half", (1,), has_cursor))))
    d.add(ResetStatement("half"))
    d.add(d.one((Fetch("half", 1), Execute("half", (3,), True))))
    d.add(Close("half"))
    d.add(d.one((ResetStatement("half"), Fetch("half", 1), Execute("half", (1,)))))


@kind(4)
def two_cursors(d: Draft) -> None:
    for name in ("c1", "c2"):
        d.add(Prepare(name, "SELECT id, s FROM twin.t ORDER BY id"))
        d.add(Execute(name, (), True))
    for _ in range(d.random.randint(1, 5)):
        d.add(Fetch(d.one(("c1", "c2")), d.random.randint(1, 3)))
        if d.chance(0.3):
            d.query(
                d.one(
                    (
                        "SELECT 1",
                        "COMMIT",
                        "BEGIN",
                        f"INSERT INTO twin.w (v) VALUES ({d.number()})",
                        "ROLLBACK",
                    )
                )
            )
    d.add(Close("c1"))
    d.add(d.one((Fetch("c2", 100), Close("c2"), ResetStatement("c2"))))
    d.committed()


@kind(3, server="mariadb")
def last_prepared(d: Draft) -> None:
    """MariaDB's id -1: the statement that was prepared last."""
    d.add(Prepare("l", d.one(("SELECT ?, 'last'", "INSERT INTO twin.w (v) VALUES (?)", "SELEC ?"))))
    d.add(Execute("last", (5,)))
    if d.chance(0.5):
        d.add(Close("l"))
        d.add(Execute("last", (6,)))
