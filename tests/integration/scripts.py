"""The conversations that must look the same on a direct connection and through Fanin.

They start with the tables and routines of CONTENT, in the schema `compared`. What differs on purpose is left out: connection ids,
times, the server's counters.
"""

from __future__ import annotations

from typing import Final

from protocol.constants import Capability
from tests.integration.steps import (
    Close,
    Execute,
    ExecuteLong,
    Fetch,
    LongData,
    Prepare,
    ResetStatement,
    script,
)
from tests.integration.variable_scripts import VARIABLE_SCRIPTS

CONTENT: Final = (
    "DROP DATABASE IF EXISTS compared",
    "DROP DATABASE IF EXISTS other",
    "CREATE DATABASE compared CHARACTER SET utf8mb4",
    "CREATE DATABASE other CHARACTER SET latin1",
    "CREATE TABLE compared.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE, s VARCHAR(20))",
    "CREATE TABLE compared.parent (id INT PRIMARY KEY)",
    "CREATE TABLE compared.child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id))",
    "CREATE TABLE compared.old (id INT PRIMARY KEY, v INT) ENGINE=MyISAM",
    "CREATE TABLE other.t (id INT AUTO_INCREMENT PRIMARY KEY, w INT)",
    "CREATE TABLE compared.audited (id INT AUTO_INCREMENT PRIMARY KEY, v INT, s VARCHAR(20))",
    "CREATE TABLE compared.counted (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
    "CREATE TRIGGER compared.audit BEFORE INSERT ON compared.audited FOR EACH ROW SET NEW.s = @app_user",
    "CREATE TRIGGER compared.count BEFORE INSERT ON compared.counted FOR EACH ROW SET @seen = NEW.v",
    "CREATE TRIGGER compared.log AFTER INSERT ON compared.counted FOR EACH ROW INSERT INTO compared.audited (v) VALUES (@app_user)",
    "CREATE PROCEDURE compared.two_results() BEGIN SELECT 1 AS a; SELECT 2 AS b, 3 AS c; END",
    "CREATE PROCEDURE compared.counts(IN low INT, OUT found INT, INOUT total INT)"
    " BEGIN SELECT COUNT(*) INTO found FROM compared.t WHERE v >= low; SET total = total + found; END",
    "CREATE PROCEDURE compared.sets_variable() SET @set_inside = 42",
    "CREATE PROCEDURE compared.sets_mode() SET SESSION sql_mode = 'ANSI_QUOTES'",
    "CREATE PROCEDURE compared.makes_table() CREATE TEMPORARY TABLE compared.made (id INT)",
    "CREATE PROCEDURE compared.inserts(IN value INT) INSERT INTO compared.t (v) VALUES (value)",
    "CREATE PROCEDURE compared.fails() BEGIN SELECT 1; SELECT * FROM compared.missing; END",
    "CREATE FUNCTION compared.counter() RETURNS INT NO SQL BEGIN SET @counted = COALESCE(@counted, 0) + 1;"
    " RETURN @counted; END",
)
CLEAN: Final = (
    "TRUNCATE compared.t",
    "DELETE FROM compared.child",
    "DELETE FROM compared.parent",
    "DELETE FROM compared.old",
    "TRUNCATE other.t",
    "TRUNCATE compared.audited",
    "TRUNCATE compared.counted",
    "INSERT INTO compared.t (id, v, s) VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, NULL)",
    "DROP TABLE IF EXISTS compared.made",
)

INSERT: Final = "INSERT INTO t (v, s) VALUES (100, 'x')"
FOUND_ROWS: Final = Capability.FOUND_ROWS
MULTI: Final = Capability.MULTI_STATEMENTS

WARN: Final = "INSERT IGNORE INTO t (v) VALUES (10), (20)"
ITEMS: Final = (
    "GET DIAGNOSTICS CONDITION 1 @a=RETURNED_SQLSTATE, @b=MYSQL_ERRNO, @c=MESSAGE_TEXT, @d=CLASS_ORIGIN, @e=SUBCLASS_ORIGIN,"
    " @f=SCHEMA_NAME, @g=TABLE_NAME, @h=COLUMN_NAME, @i=CURSOR_NAME, @j=CATALOG_NAME, @k=CONSTRAINT_NAME,"
    " @l=CONSTRAINT_SCHEMA, @m=CONSTRAINT_CATALOG"
)
ALL_ITEMS: Final = "SELECT @a, @b, @c, @d, @e, @f, @g, @h, @i, @j, @k, @l, @m, @n, @r"
FAILING: Final = (
    "SELECT 1/0",
    "DROP TABLE IF EXISTS nothing",
    "SELECT * FROM missing",
    "SELEC",
    "INSERT INTO t (v) VALUES (10)",
    "SELECT (SELECT id FROM t)",
    "SELECT CAST('a' AS SIGNED)",
    "USE nothing",
    "SET nothing = 1",
    "KILL 999999999",
    "CALL nothing()",
    "XA COMMIT 'nothing'",
    "INSERT INTO child VALUES (5, 5)",
    "CREATE TABLE t (id INT)",
    "SELECT `m\u00df\u0436`",
    "SELECT EXP(1000)",
)
AFTER: Final = (
    "DO 1",
    "UPDATE t SET s = s",
    "UPDATE t JOIN parent SET t.s = 'q'",
    "DELETE FROM t WHERE id = 1",
    "DELETE t FROM t",
    "INSERT INTO t (v) SELECT v + 1000 FROM t",
    "SHOW TABLES",
    "SHOW CREATE TABLE t",
    "SHOW GRANTS",
    "DESCRIBE t",
    "EXPLAIN SELECT * FROM t",
    "ANALYZE TABLE t",
    "CHECK TABLE t",
    "HELP 'contents'",
    "SELECT * FROM t LIMIT 5, 5",
    "SELECT 1 UNION SELECT 2 LIMIT 1",
    "SELECT id FROM t GROUP BY id LIMIT 1",
    "SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1",
    "SELECT * FROM missing",
    "SHOW COUNT(*) WARNINGS",
    "DROP TABLE IF EXISTS nothing",
)
COUNTING: Final = (
    "SELECT  ROW_COUNT()  +  1 , 2",
    "SELECT ROW_COUNT() /* c */ + 1",
    "SELECT CASE WHEN ROW_COUNT()=1 THEN 2 END",
    "SELECT * FROM (SELECT ROW_COUNT()+1) x",
    "SELECT (SELECT ROW_COUNT()+1)",
    "SELECT ROW_COUNT()+1 UNION SELECT 3",
    "WITH x AS (SELECT ROW_COUNT()+1) SELECT * FROM x",
    "SELECT ROW_COUNT()+1, FOUND_ROWS()*2 FROM t",
    "SELECT id FROM t WHERE id > FOUND_ROWS() ORDER BY ROW_COUNT()",
    "INSERT INTO t (v) SELECT ROW_COUNT()+500",
    "SET @x = ROW_COUNT(), @y = @@warning_count",
    "DO ROW_COUNT()",
    "SELECT ROW_COUNT() DIV 2, ROW_COUNT() n, ROW_COUNT() AS m, -ROW_COUNT() IS NULL",
    "SELECT NOW() > '2000-01-01' + INTERVAL ROW_COUNT() DAY",
    "SELECT ROW_COUNT(), COUNT(*) FROM t GROUP BY ROW_COUNT()",
    "SELECT @@warning_count+1, @@error_count",
    "CALL inserts(ROW_COUNT()+40)",
    "SELECT LAST_INSERT_ID(), ROW_COUNT()",
    "SELECT ROW_COUNT(); SELECT ROW_COUNT()",
)
RESIDUE: Final = (
    *[
        script(
            f"diagnostics after {text}",
            text,
            ITEMS,
            "SHOW WARNINGS",
            "GET DIAGNOSTICS @n=NUMBER, @r=ROW_COUNT",
            ALL_ITEMS,
        )
        for text in FAILING
    ],
    *[
        step
        for text in AFTER
        for step in (
            script(f"found rows after {text}", "SELECT id FROM t LIMIT 2", text, "SELECT FOUND_ROWS()"),
            script(f"row count after {text}", "UPDATE t SET s = 'r'", text, "SELECT ROW_COUNT()"),
            script(
                f"warnings after {text}",
                "SELECT id FROM t LIMIT 2",
                WARN,
                text,
                "SELECT FOUND_ROWS(), ROW_COUNT(), LAST_INSERT_ID(), @@warning_count, @@error_count",
                "SHOW WARNINGS",
            ),
        )
    ],
    *[
        step
        for text in COUNTING
        for step in (
            script(
                f"delete, {text}",
                "SELECT id FROM t LIMIT 2",
                "DELETE FROM t WHERE id = 3",
                text,
                "SELECT v FROM t",
                capabilities=MULTI,
            ),
            script(
                f"warnings, {text}",
                "SELECT id FROM t LIMIT 2",
                WARN,
                text,
                "SELECT @x, @y",
                "SHOW WARNINGS",
                capabilities=MULTI,
            ),
        )
    ],
    *[
        script(
            f"count prepared, {text}",
            "SELECT id FROM t LIMIT 2",
            Prepare("p", text),
            "DELETE FROM t WHERE id = 3",
            Execute("p"),
            Execute("p"),
        )
        for text in COUNTING
        if ";" not in text and "@@" not in text
    ],
    # --- diagnostics
    script(
        "diagnostics of a condition that is not there",
        WARN,
        "GET DIAGNOSTICS CONDITION 3 @a=MYSQL_ERRNO",
        "SHOW WARNINGS",
        "GET DIAGNOSTICS CONDITION 3 @a=MYSQL_ERRNO, @b=RETURNED_SQLSTATE",
        "SHOW COUNT(*) ERRORS",
        "SELECT @a, @b",
    ),
    script("diagnostics of nothing", "GET DIAGNOSTICS @n=NUMBER, @r=ROW_COUNT", "SELECT @n, @r"),
    script(
        "diagnostics keep the row count",
        "UPDATE t SET s = 'z'",
        "GET DIAGNOSTICS @r=ROW_COUNT",
        "SELECT ROW_COUNT(), @r",
    ),
    script("diagnostics into nothing", WARN, "GET DIAGNOSTICS a=NUMBER", "SHOW WARNINGS"),
    script(
        "diagnostics of a handler",
        WARN,
        "GET STACKED DIAGNOSTICS @a=NUMBER",
        "SHOW WARNINGS",
        "SELECT ROW_COUNT()",
    ),
    script(
        "diagnostics into odd names",
        WARN,
        "get diagnostics condition 1 @`a b`=message_text, @'x\\'y'=MYSQL_ERRNO",
        "SELECT @`a b`, @`x'y`",
    ),
    script("diagnostics, then more", WARN, "GET DIAGNOSTICS @n=NUMBER; SELECT @n", capabilities=MULTI),
    script(
        "types of diagnostics",
        WARN,
        "GET DIAGNOSTICS @n=NUMBER, @r=ROW_COUNT",
        "GET DIAGNOSTICS CONDITION 1 @a=MESSAGE_TEXT, @b=MYSQL_ERRNO, @c=SCHEMA_NAME",
        "CREATE TEMPORARY TABLE made SELECT @n, @r, @a, @b, @c",
        "SHOW CREATE TABLE made",
        "SELECT COLLATION(@a), COERCIBILITY(@a), COLLATION(@c)",
    ),
    script(
        "diagnostics after a ping", WARN, b"\x0e", "GET DIAGNOSTICS @n=NUMBER, @r=ROW_COUNT", "SELECT @n, @r"
    ),
    script(
        "diagnostics in a transaction",
        "BEGIN",
        "SELECT * FROM missing",
        "SELECT ROW_COUNT()+0",
        "SELECT * FROM missing",
        "GET DIAGNOSTICS @r=ROW_COUNT, @n=NUMBER",
        "SELECT @r, @n",
        "COMMIT",
    ),
    script(
        "diagnostics of a signal",
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='no', TABLE_NAME='tt', MYSQL_ERRNO=5000",
        ITEMS,
        ALL_ITEMS,
    ),
    script(
        "diagnostics of a signalled warning",
        "SIGNAL SQLSTATE '01234' SET TABLE_NAME='tt'",
        "SHOW WARNINGS",
        ITEMS,
        ALL_ITEMS,
    ),
    script(
        "diagnostics of a trigger",
        "CREATE TRIGGER signals BEFORE INSERT ON t FOR EACH ROW SIGNAL SQLSTATE '45001' SET TABLE_NAME='tt'",
        INSERT,
        ITEMS,
        ALL_ITEMS,
        "DROP TRIGGER signals",
    ),
    script(
        "prepared diagnostics",
        Prepare("p", "GET DIAGNOSTICS CONDITION 1 @a=MESSAGE_TEXT"),
        WARN,
        Execute("p"),
        "SELECT @a",
        Execute("p"),
        only="mariadb",
    ),
    script(
        "prepared diagnostics of nothing",
        Prepare("p", "GET DIAGNOSTICS CONDITION 5 @a=MESSAGE_TEXT"),
        WARN,
        Execute("p"),
        "SHOW WARNINGS",
        only="mariadb",
    ),
    # --- warnings
    script(
        "limits of warnings",
        WARN,
        "SHOW WARNINGS LIMIT 1",
        "SHOW WARNINGS LIMIT 1,1",
        "SHOW WARNINGS LIMIT 1 OFFSET 1",
        "SHOW WARNINGS LIMIT 0",
        "SHOW ERRORS LIMIT 1",
    ),
    script(
        "more warnings than are kept",
        "SET max_error_count = 2",
        "SELECT 'a'+1, 'b'+1, 'c'+1",
        "SHOW COUNT(*) WARNINGS",
        "SHOW WARNINGS",
        "GET DIAGNOSTICS @n=NUMBER",
        "SELECT @n",
    ),
    script(
        "no warnings are kept",
        "SET max_error_count = 0",
        "SELECT * FROM missing",
        "SHOW COUNT(*) ERRORS",
        "SHOW WARNINGS",
    ),
    script(
        "no notes",
        "SET sql_notes = 0",
        "DROP TABLE IF EXISTS nothing",
        "SHOW WARNINGS",
        "SHOW COUNT(*) WARNINGS",
    ),
    *[
        step
        for charset in ("latin1", "utf8mb3", "koi8r", "ascii", "latin2", "cp1251")
        for step in (
            script(
                f"warnings in {charset}",
                f"SET character_set_results = {charset}",
                "SELECT `m\u00df\u0436`",
                "SHOW WARNINGS",
            ),
            script(
                f"warnings later in {charset}",
                "SELECT `m\u00df\u0436`",
                f"SET character_set_results = {charset}",
                "SHOW WARNINGS",
            ),
        )
    ],
    # --- insert ids
    script(
        "insert id of a failed insert",
        INSERT,
        "INSERT INTO t (v) VALUES (61), (10)",
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "insert id of a select", INSERT, "INSERT INTO t (v) SELECT v + 1000 FROM t", "SELECT LAST_INSERT_ID()"
    ),
    script("insert id of nothing", INSERT, "INSERT IGNORE INTO t (v) VALUES (10)", "SELECT LAST_INSERT_ID()"),
    script(
        "insert id given and not",
        INSERT,
        "INSERT INTO t (id, v) VALUES (701, 2), (NULL, 3)",
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "insert id given, another's",
        INSERT,
        "INSERT INTO t (id, v) VALUES (1000001, 1), (1000002, 2)",
        "SELECT LAST_INSERT_ID()",
    ),
    script("insert id of a replace", INSERT, "REPLACE INTO t (v) VALUES (20)", "SELECT LAST_INSERT_ID()"),
    script("insert id of a procedure", INSERT, "CALL inserts(5)", "SELECT LAST_INSERT_ID()"),
    script(
        "insert id returned",
        INSERT,
        "INSERT INTO t (v) VALUES (5), (6) RETURNING id",
        "SELECT LAST_INSERT_ID()",
        only="mariadb",
    ),
    script(
        "insert id by its variables", INSERT, "SELECT @@identity", "SELECT @@last_insert_id, @@identity + 1"
    ),
    script(
        "insert id of a row that is null",
        "SET sql_auto_is_null = 1",
        INSERT,
        "SELECT v FROM t WHERE id IS NULL",
    ),
    script(
        "insert id without a row",
        INSERT,
        "UPDATE t SET v = LAST_INSERT_ID(55) WHERE id = 999",
        "SELECT LAST_INSERT_ID()",
    ),
    script("insert id of zero", INSERT, "SELECT LAST_INSERT_ID(0)", "SELECT LAST_INSERT_ID()"),
    script(
        "greatest insert id",
        "SELECT LAST_INSERT_ID(18446744073709551615)",
        "SELECT LAST_INSERT_ID()",
        "SELECT LAST_INSERT_ID() > 5",
    ),
    script(
        "insert id in a prepared statement",
        INSERT,
        Prepare("p", "SELECT LAST_INSERT_ID(), ROW_COUNT()"),
        Execute("p"),
        Execute("p"),
    ),
    # --- counts after commands
    # not its FOUND_ROWS(): on MariaDB a new session has that of whatever the server's thread did before
    script("counts of a new session", "SELECT ROW_COUNT()", "SELECT ROW_COUNT()"),
    script("counts after a ping", WARN, "SELECT id FROM t", b"\x0e", "SELECT FOUND_ROWS(), ROW_COUNT()"),
    script("counts after a schema", "SELECT id FROM t", b"\x02compared", "SELECT FOUND_ROWS(), ROW_COUNT()"),
    script("counts after a reset", "SELECT id FROM t", b"\x1f", "SELECT FOUND_ROWS(), ROW_COUNT()"),
    script(
        "warnings of found rows",
        "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1",
        "SHOW WARNINGS",
        "SELECT FOUND_ROWS()",
        "SHOW WARNINGS",
        "SELECT FOUND_ROWS()",
    ),
    script("kill of its own query", "KILL QUERY CONNECTION_ID()", "SHOW WARNINGS", "SELECT ROW_COUNT()"),
)

SCRIPTS: Final = (
    *RESIDUE,
    # --- rows and errors
    script("select of constants", "SELECT 1, 'a', NULL, 1.5, CAST('2020-01-02' AS DATE)"),
    script("select of a table", "SELECT * FROM t ORDER BY id", "SELECT COUNT(*) FROM t"),
    script("empty result", "SELECT * FROM t WHERE id < 0", "SELECT FOUND_ROWS()"),
    script("syntax error", "SELEC 1", "SELECT 1"),
    script("empty statement", "", ";", "-- nothing", "/* nothing */", "SELECT 1"),
    script("unknown table and column", "SELECT * FROM missing", "SELECT missing FROM t", "SHOW ERRORS"),
    script("error amid rows", "SELECT (SELECT v FROM t) FROM t", "SHOW WARNINGS", "SELECT 1"),
    script("division by zero", "SELECT 1/0", "SHOW WARNINGS", "SHOW COUNT(*) WARNINGS"),
    script("many columns", "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(300))),
    script("union and with", "WITH x AS (SELECT 1 AS a UNION ALL SELECT 2) SELECT * FROM x ORDER BY a"),
    script("describe", "DESCRIBE t", "SHOW COLUMNS FROM t", "SHOW TABLES", "SHOW CREATE TABLE t"),
    script("values of 300 and 70000 bytes", "SELECT REPEAT('a', 300)", "SELECT REPEAT('b', 70000)"),
    # --- writes and what they leave
    script("insert id", INSERT, "SELECT LAST_INSERT_ID()", "SELECT LAST_INSERT_ID()"),
    script("insert id of several rows", "INSERT INTO t (v) VALUES (1), (2), (3)", "SELECT LAST_INSERT_ID()"),
    script("insert id given", "INSERT INTO t (id, v) VALUES (500, 1)", "SELECT LAST_INSERT_ID()"),
    script(
        "insert id of an expression", "SELECT LAST_INSERT_ID(77)", "SELECT LAST_INSERT_ID(), @@last_insert_id"
    ),
    script(
        "insert id as a counter",
        "UPDATE t SET v = LAST_INSERT_ID(v + 1) WHERE id = 1",
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "insert id inside a statement",
        INSERT,
        "INSERT INTO other.t (w) VALUES (LAST_INSERT_ID())",
        "SELECT w FROM other.t",
    ),
    script("insert id set by hand", "SET last_insert_id = 9", "SELECT LAST_INSERT_ID()", "SELECT @@identity"),
    script(
        "insert id of the next row",
        "SET insert_id = 900",
        INSERT,
        "SELECT id FROM t WHERE v = 100",
        "SELECT LAST_INSERT_ID()",
    ),
    script("insert id after an error", INSERT, INSERT, "SELECT LAST_INSERT_ID()", "SHOW ERRORS"),
    script(
        "insert id after duplicate",
        "INSERT INTO t (v) VALUES (10) ON DUPLICATE KEY UPDATE s = 'again'",
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "row count of writes", "UPDATE t SET s = 'y' WHERE id < 3", "SELECT ROW_COUNT()", "SELECT ROW_COUNT()"
    ),
    script("row count of a select", "SELECT * FROM t", "SELECT ROW_COUNT()"),
    script("row count of delete", "DELETE FROM t WHERE id = 3", "SELECT ROW_COUNT() AS deleted"),
    script("row count after an error", "DELETE FROM missing", "SELECT ROW_COUNT()"),
    script(
        "row count inside a statement",
        "DELETE FROM t WHERE id = 3",
        "SELECT ROW_COUNT() + 1 AS n",
        "INSERT INTO t (v) VALUES (ROW_COUNT())",
    ),
    script(
        "row count inside an expression without a name",
        "DELETE FROM t WHERE id = 3",
        "SELECT ROW_COUNT() + 1",
    ),
    script("found rows", "SELECT * FROM t", "SELECT FOUND_ROWS()", "SELECT FOUND_ROWS()"),
    script("calculated found rows", "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", "SELECT FOUND_ROWS()"),
    script("found rows with limit", "SELECT * FROM t LIMIT 2", "SELECT FOUND_ROWS() AS n"),
    script("unchanged rows", "UPDATE t SET v = 10 WHERE id = 1", "SELECT ROW_COUNT()"),
    script(
        "unchanged rows as found",
        "UPDATE t SET v = 10 WHERE id = 1",
        "SELECT ROW_COUNT()",
        capabilities=FOUND_ROWS,
    ),
    script("replace", "REPLACE INTO t (id, v) VALUES (1, 11)", "SELECT ROW_COUNT(), LAST_INSERT_ID()"),
    script(
        "warnings of an insert",
        "INSERT IGNORE INTO t (v, s) VALUES (10, 'a')",
        "SHOW WARNINGS",
        "SHOW WARNINGS LIMIT 1",
    ),
    script(
        "warning count",
        "INSERT IGNORE INTO t (v, s) VALUES (10, 'a')",
        "SELECT @@warning_count",
        "SELECT @@warning_count",
    ),
    script("warnings after a select", "INSERT IGNORE INTO t (v) VALUES (10)", "SELECT 1", "SHOW WARNINGS"),
    script(
        "warnings after a table select",
        "INSERT IGNORE INTO t (v) VALUES (10)",
        "SELECT * FROM t",
        "SHOW WARNINGS",
    ),
    script(
        "warnings of drop if exists",
        "DROP TABLE IF EXISTS missing",
        "SHOW WARNINGS",
        "SHOW COUNT(*) WARNINGS",
    ),
    script("error count", "SELECT * FROM missing", "SELECT @@error_count", "SHOW COUNT(*) ERRORS"),
    script(
        "warnings and errors",
        "INSERT INTO t (v) VALUES (10)",
        "SHOW WARNINGS",
        "SHOW ERRORS",
        "SHOW WARNINGS",
    ),
    script(
        "diagnostics",
        "DROP TABLE IF EXISTS missing",
        "GET DIAGNOSTICS @n = NUMBER",
        "SELECT @n",
    ),
    script(
        "diagnostics of an error",
        "SELECT * FROM missing",
        "GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT",
        "SELECT @m",
    ),
    script(
        "diagnostics of a session that reads them",
        "GET DIAGNOSTICS @n = NUMBER",
        "DROP TABLE IF EXISTS missing",
        "GET DIAGNOSTICS @n = NUMBER",
        "SELECT @n",
    ),
    script(
        "truncated value",
        "SET sql_mode = ''",
        "INSERT INTO t (s) VALUES ('a long long long long value')",
        "SHOW WARNINGS",
    ),
    # --- transactions
    script("commit", "BEGIN", INSERT, "SELECT COUNT(*) FROM t", "COMMIT", "SELECT COUNT(*) FROM t"),
    script("rollback", "START TRANSACTION", INSERT, "ROLLBACK", "SELECT COUNT(*) FROM t"),
    script("read only", "START TRANSACTION READ ONLY", "SELECT COUNT(*) FROM t", INSERT, "COMMIT"),
    script("snapshot", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT COUNT(*) FROM t", "COMMIT"),
    script(
        "error in a transaction",
        "BEGIN",
        INSERT,
        INSERT,
        "SELECT COUNT(*) FROM t",
        "ROLLBACK",
        "SELECT COUNT(*) FROM t",
    ),
    script(
        "savepoints",
        "BEGIN",
        INSERT,
        "SAVEPOINT a",
        "DELETE FROM t",
        "ROLLBACK TO a",
        "SELECT COUNT(*) FROM t",
        "COMMIT",
    ),
    script("implicit commit", "BEGIN", INSERT, "ANALYZE TABLE parent", "ROLLBACK", "SELECT COUNT(*) FROM t"),
    script("begin in a transaction", "BEGIN", INSERT, "BEGIN", "ROLLBACK", "SELECT COUNT(*) FROM t"),
    script(
        "chain", "BEGIN", INSERT, "COMMIT AND CHAIN", "DELETE FROM t", "ROLLBACK", "SELECT COUNT(*) FROM t"
    ),
    script(
        "autocommit off",
        "SET autocommit = 0",
        INSERT,
        "COMMIT",
        "DELETE FROM t",
        "ROLLBACK",
        "SELECT COUNT(*) FROM t",
    ),
    script(
        "autocommit on again",
        "SET autocommit = 0",
        INSERT,
        "SET autocommit = 1",
        "ROLLBACK",
        "SELECT COUNT(*) FROM t",
    ),
    script(
        "savepoint without transaction",
        "SET autocommit = 0",
        "SAVEPOINT a",
        INSERT,
        "ROLLBACK TO a",
        "SELECT COUNT(*) FROM t",
        "COMMIT",
    ),
    script(
        "next transaction",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "BEGIN",
        INSERT,
        "COMMIT",
        "BEGIN",
        "SELECT * FROM t",
        "COMMIT",
    ),
    script(
        "next transaction read only", "SET TRANSACTION READ ONLY", INSERT, INSERT, "SELECT COUNT(*) FROM t"
    ),
    script(
        "session isolation",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SELECT @@tx_isolation",
        only="mariadb",
    ),
    script(
        "session isolation of MySQL",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SELECT @@transaction_isolation",
        only="mysql",
    ),
    script(
        "session read only",
        "SET SESSION TRANSACTION READ ONLY",
        INSERT,
        "SET SESSION TRANSACTION READ WRITE",
        INSERT,
    ),
    script(
        "xa",
        "XA START 'a'",
        INSERT,
        "XA END 'a'",
        "XA PREPARE 'a'",
        "XA ROLLBACK 'a'",
        "SELECT COUNT(*) FROM t",
    ),
    script(
        "xa in one phase",
        "XA START 'a'",
        INSERT,
        "XA END 'a'",
        "XA COMMIT 'a' ONE PHASE",
        "SELECT COUNT(*) FROM t",
    ),
    # --- session state
    script(
        "schema", "USE other", "SELECT DATABASE()", "SELECT * FROM t", b"\x02compared", "SELECT DATABASE()"
    ),
    script("unknown schema", "USE missing", b"\x02missing", "SELECT DATABASE()"),
    script(
        "no schema", "SELECT DATABASE()", "SELECT * FROM t", "SELECT COUNT(*) FROM compared.t", database=None
    ),
    script("schema after none", "USE other", "SELECT DATABASE()", "SELECT COUNT(*) FROM t", database=None),
    script(
        "names", "SET NAMES latin1", "SELECT 'ä', HEX('ä'), @@character_set_client, @@collation_connection"
    ),
    script(
        "names with collation", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SELECT 'a' = 'A', COLLATION('a')"
    ),
    script("character set", "SET CHARACTER SET latin1", "SELECT @@character_set_connection, COLLATION('a')"),
    script(
        "results without conversion",
        "SET character_set_results = NULL",
        "SELECT @@character_set_results",
        "SELECT s FROM t",
    ),
    script(
        "connection collation",
        "SET collation_connection = latin1_german1_ci",
        "SELECT COLLATION('a')",
        "SELECT @@character_set_connection",
    ),
    script(
        "sql mode", "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", 'SELECT "id" FROM "t"', "SELECT '\\'"
    ),
    script(
        "sql mode by default",
        "SET sql_mode = ''",
        "SELECT @@sql_mode",
        "SET sql_mode = DEFAULT",
        "SELECT @@sql_mode",
    ),
    script("pipes", "SET sql_mode = 'PIPES_AS_CONCAT'", "SELECT 'a' || 'b'"),
    script("time zone", "SET time_zone = '+03:00'", "SELECT @@time_zone, FROM_UNIXTIME(0)"),
    script(
        "several variables",
        "SET group_concat_max_len = 5, sort_buffer_size = 65536",
        "SELECT GROUP_CONCAT(v) FROM t",
        "SHOW WARNINGS",
    ),
    script(
        "a wrong one among several",
        "SET group_concat_max_len = 5, missing = 1",
        "SELECT @@group_concat_max_len",
    ),
    script("wrong value", "SET sql_mode = 'NONSENSE'", "SELECT @@sql_mode"),
    script(
        "value of an expression",
        "SET group_concat_max_len = (SELECT MAX(v) FROM t)",
        "SELECT @@group_concat_max_len",
    ),
    script(
        "foreign keys",
        "INSERT INTO child VALUES (1, 9)",
        "SET foreign_key_checks = 0",
        "INSERT INTO child VALUES (1, 9)",
        "SELECT * FROM child",
    ),
    script("locale", "SET lc_time_names = 'de_DE'", "SELECT DATE_FORMAT('2020-05-01', '%M')"),
    script(
        "auto increment",
        "SET auto_increment_increment = 10, auto_increment_offset = 5",
        INSERT,
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "select limit",
        "SET sql_select_limit = 1",
        "SELECT * FROM t",
        "SET sql_select_limit = DEFAULT",
        "SELECT * FROM t",
    ),
    script("safe updates", "SET sql_safe_updates = 1", "DELETE FROM t", "SELECT COUNT(*) FROM t"),
    script("division precision", "SET div_precision_increment = 8", "SELECT 1/3"),
    script(
        "timestamp",
        "SET timestamp = 1000000000",
        "SELECT UNIX_TIMESTAMP()",
        "SET timestamp = DEFAULT",
        "SELECT @@timestamp > 1000000001",
    ),
    script("random seeds", "SET rand_seed1 = 5, rand_seed2 = 7", "SELECT RAND()"),
    script(
        "isolation of one statement",
        "SET @@transaction_isolation = 'READ-COMMITTED'",
        "SELECT COUNT(*) FROM t",
        only="mysql",
    ),
    script(
        "statement with its own variable",
        "SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT \"v\" FROM t",
        "SELECT @@sql_mode",
        only="mariadb",
    ),
    script(
        "hint with a variable",
        "SELECT /*+ SET_VAR(sql_mode = 'ANSI_QUOTES') */ @@sql_mode",
        "SELECT @@sql_mode",
        only="mysql",
    ),
    script("user variables", "SET @a = 5, @b = 'x'", "SELECT @a, @b, @c", "SELECT @a := @a + 1", "SELECT @a"),
    script("user variable by into", "SELECT v, s FROM t WHERE id = 1 INTO @v, @s", "SELECT @v, @s"),
    script(
        "temporary table",
        "CREATE TEMPORARY TABLE temp (id INT)",
        "INSERT INTO temp VALUES (1)",
        "SELECT * FROM temp",
        "DROP TEMPORARY TABLE temp",
    ),
    script(
        "temporary table that hides one",
        "CREATE TEMPORARY TABLE t (x INT)",
        "SELECT * FROM t",
        "DROP TABLE t",
        "SELECT COUNT(*) FROM t",
    ),
    script(
        "table locks",
        "LOCK TABLES t WRITE",
        INSERT,
        "SELECT * FROM parent",
        "UNLOCK TABLES",
        "SELECT * FROM parent",
    ),
    script(
        "user lock",
        "SELECT GET_LOCK('compared', 1)",
        "SELECT IS_FREE_LOCK('compared')",
        "SELECT RELEASE_LOCK('compared')",
    ),
    script(
        "handler",
        "HANDLER t OPEN",
        "HANDLER t READ FIRST",
        "HANDLER t READ NEXT",
        "HANDLER t CLOSE",
        "HANDLER t READ NEXT",
    ),
    script(
        "text prepare",
        "PREPARE p FROM 'SELECT ? + 1'",
        "SET @x = 4",
        "EXECUTE p USING @x",
        "DEALLOCATE PREPARE p",
        "EXECUTE p",
    ),
    script(
        "reset",
        "SET NAMES latin1, sql_mode = ''",
        "SET @a = 1",
        b"\x1f",
        "SELECT @a, @@character_set_client, @@sql_mode",
    ),
    # --- several results
    script("multi-statements", "SELECT 1; SELECT 2", "SELECT 3", capabilities=MULTI),
    script("multi-statements refused", "SELECT 1; SELECT 2", "SELECT 3"),
    script("multi-statements switched", b"\x1b\0\0", "SELECT 1; SELECT 2", b"\x1b\1\0", "SELECT 1; SELECT 2"),
    script(
        "multi-statements with state",
        "SET @a = 1; USE other; SELECT DATABASE(), @a",
        "SELECT DATABASE()",
        capabilities=MULTI,
    ),
    script(
        "multi-statements with a transaction",
        f"BEGIN; {INSERT}",
        "ROLLBACK; SELECT COUNT(*) FROM t",
        capabilities=MULTI,
    ),
    script(
        "multi-statements with an error",
        f"{INSERT}; SELECT * FROM missing; SELECT 2",
        "SELECT LAST_INSERT_ID()",
        capabilities=MULTI,
    ),
    script(
        "multi-statements with ids",
        f"{INSERT}; SELECT LAST_INSERT_ID(); SELECT ROW_COUNT()",
        capabilities=MULTI,
    ),
    script("two results", "CALL two_results()", "SELECT ROW_COUNT()"),
    script("out parameters", "SET @total = 1", "CALL counts(20, @found, @total)", "SELECT @found, @total"),
    script("routine that sets a variable", "CALL sets_variable()", "SELECT @set_inside"),
    script("routine that sets the mode", "CALL sets_mode()", 'SELECT "v" FROM t', "SELECT @@sql_mode"),
    script(
        "routine that makes a table", "CALL makes_table()", "SELECT * FROM made", "DROP TEMPORARY TABLE made"
    ),
    script("routine that inserts", "CALL inserts(123)", "SELECT LAST_INSERT_ID(), ROW_COUNT()"),
    script("routine that fails", "CALL fails()", "SHOW ERRORS", "SELECT 1"),
    script("function that sets a variable", "SELECT counter()", "SELECT counter()", "SELECT @counted"),
    # --- commands
    script("ping", b"\x0e", INSERT, b"\x0e", "SELECT ROW_COUNT()", "SELECT LAST_INSERT_ID()"),
    script("ping in a transaction", "BEGIN", b"\x0e", "COMMIT", b"\x0e"),
    script("ping after an error", "BEGIN", "SELECT * FROM missing", b"\x0e", "ROLLBACK"),
    script("field list", b"\x04t\0"),
    script("field list of a missing table", b"\x04missing\0"),
    script("unknown command", b"\x99", "SELECT 1"),
    script(
        "no backslash escapes in every answer",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
        b"\x0e",
        "SELECT 1",
        "DO 1",
        b"\x0e",
    ),
    # --- binary prepared statements
    script(
        "prepared select",
        Prepare("p", "SELECT v, s FROM t WHERE id = ?"),
        Execute("p", (1,)),
        Execute("p", (3,)),
        Close("p"),
    ),
    script(
        "prepared insert",
        Prepare("p", "INSERT INTO t (v, s) VALUES (?, ?)"),
        Execute("p", (7, "x")),
        Execute("p", (8, None)),
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "prepared with old types",
        Prepare("p", "SELECT ?"),
        Execute("p", (5,)),
        Execute("p", (6,), binds=False),
        Execute("p", ("a",)),
        Execute("p", ("b",), binds=False),
    ),
    script(
        "prepared in another schema",
        Prepare("p", "SELECT COUNT(*) FROM t"),
        "USE other",
        Execute("p"),
        "SELECT DATABASE()",
        Execute("p"),
    ),
    script(
        "prepared with an error",
        Prepare("p", "SELECT * FROM missing"),
        Prepare("q", "SELECT 1"),
        Execute("q"),
    ),
    script(
        "prepared duplicate",
        Prepare("p", "INSERT INTO t (v) VALUES (?)"),
        Execute("p", (10,)),
        "SHOW WARNINGS",
        Execute("p", (11,)),
    ),
    script(
        "prepared in a transaction",
        "BEGIN",
        Prepare("p", "DELETE FROM t WHERE id = ?"),
        Execute("p", (1,)),
        "ROLLBACK",
        Execute("p", (2,)),
        "SELECT id FROM t",
    ),
    script(
        "prepared that sets", Prepare("p", "SET sql_mode = 'ANSI_QUOTES'"), Execute("p"), 'SELECT "v" FROM t'
    ),
    script("prepared that sets a user variable", Prepare("p", "SET @a = ?"), Execute("p", (4,)), "SELECT @a"),
    script("prepared call", Prepare("p", "CALL two_results()"), Execute("p")),
    script(
        "prepared call with out",
        Prepare("p", "CALL counts(?, ?, ?)"),
        Execute("p", (20, 0, 5)),
        only="mariadb",
    ),
    # without it MySQL announces the rest of the answer in the EOF before the rows only
    script(
        "prepared call with out, newer client",
        Prepare("p", "CALL counts(?, ?, ?)"),
        Execute("p", (20, 0, 5)),
        capabilities=Capability.DEPRECATE_EOF,
    ),
    script(
        "cursor",
        Prepare("p", "SELECT id FROM t ORDER BY id"),
        Execute("p", has_cursor=True),
        Fetch("p", 2),
        "SELECT 1",
        Fetch("p", 2),
        "SELECT 2",
    ),
    script(
        "cursor that is reset",
        Prepare("p", "SELECT id FROM t ORDER BY id"),
        Execute("p", has_cursor=True),
        Fetch("p", 1),
        ResetStatement("p"),
        "SELECT 1",
    ),
    script(
        "cursor over nothing",
        Prepare("p", "SELECT id FROM t WHERE id < 0"),
        Execute("p", has_cursor=True),
        Fetch("p", 1),
    ),
    script("long parameter", Prepare("p", "SELECT ?, LENGTH(?)"), Execute("p", ("a" * 70000, "b"))),
    script(
        "long data",
        Prepare("p", "SELECT CONCAT(?)"),
        LongData("p", 0, b"ab"),
        LongData("p", 0, b"cd"),
        ExecuteLong("p"),
        Execute("p", ("e",)),
    ),
    script(
        "long data that is reset",
        Prepare("p", "SELECT CONCAT(?)"),
        LongData("p", 0, b"ab"),
        ResetStatement("p"),
        Execute("p", ("e",)),
    ),
    script(
        "statement after a reset", Prepare("p", "SELECT 1"), b"\x1f", Prepare("p", "SELECT 2"), Execute("p")
    ),
    # --- client character sets
    script(
        "latin1 client", "SELECT @@character_set_client, @@collation_connection", "SELECT 'x'", collation=8
    ),
    script("binary client", "SELECT @@character_set_client", "SELECT s FROM t WHERE id = 1", collation=63),
    # --- user variables
    *VARIABLE_SCRIPTS,
)
