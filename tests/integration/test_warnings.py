"""MariaDB: which statements keep the warnings of the one before, and that nobody ever sees another session's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.servers import Server
from protocol.constants import Capability
from proxy.classify import classify
from proxy.statement import USES_TABLE
from proxy.tables import is_certain
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import run
from tests.integration.wire import PLAIN, WireClient, text_rows

KEEPS, CLEARS = "keeps", "clears"
MAY_KEEP, MAY_CLEAR = "keeps, which the text does not say", "clears, which the text does not say"

MADE = (
    "CREATE OR REPLACE DATABASE told",
    "CREATE TABLE told.t (a INT PRIMARY KEY, b VARCHAR(20))",
    "INSERT INTO told.t VALUES (1, 'x'), (2, 'y')",
    "CREATE SEQUENCE told.s",
    "CREATE VIEW told.v AS SELECT 1 AS one",
    "CREATE PROCEDURE told.uses_none() SET @x = 1",
    "CREATE PROCEDURE told.uses_one() SELECT COUNT(*) FROM told.t",
    "CREATE EVENT told.made ON SCHEDULE AT '2030-01-01' DO SET @a = 1",
    "CREATE FUNCTION told.none() RETURNS INT NO SQL RETURN 1",
    "CREATE FUNCTION told.writes() RETURNS INT DETERMINISTIC BEGIN DELETE FROM told.t WHERE a = 99; RETURN 1; END",
)

STORIES: dict[str, list[tuple[str, str]]] = {
    "queries": [
        ("SELECT 1", KEEPS),
        ("SELECT 1 FROM DUAL", KEEPS),
        ("SELECT 1 FROM /* c */ DUAL", KEEPS),
        ("SELECT (SELECT 1)", KEEPS),
        (
            "SELECT EXTRACT(DAY FROM '2020-01-01'), TRIM(BOTH 'x' FROM 'xa'), SUBSTRING('abc' FROM (SELECT 2))",
            KEEPS,
        ),
        ("SELECT 1 UNION SELECT 2 FROM DUAL", KEEPS),
        ("VALUES (1), (2)", KEEPS),
        ("WITH x AS (SELECT 1) SELECT 1", KEEPS),
        ("SELECT a FROM t", CLEARS),
        ("SELECT a FROM t LIMIT 1", CLEARS),
        ("SELECT a FROM t LIMIT 1, 1", CLEARS),
        ("SELECT (SELECT MAX(a) FROM t)", CLEARS),
        ("SELECT EXTRACT(DAY FROM (SELECT MAX(a) FROM t))", CLEARS),
        ("SELECT 1 FROM (SELECT 1) AS d", CLEARS),
        ("SELECT one FROM v", CLEARS),
        ("SELECT 1 UNION SELECT a FROM t", CLEARS),
        ("(SELECT 1) UNION (SELECT a FROM t)", CLEARS),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", CLEARS),
        ("WITH x AS (SELECT a FROM t) SELECT 1", CLEARS),
        ("SELECT 1 FROM information_schema.SCHEMATA LIMIT 1", CLEARS),
        ("SELECT NEXTVAL(s)", CLEARS),
        ("SELECT NEXT VALUE FOR s", CLEARS),
        ("SELECT LASTVAL(s)", MAY_CLEAR),
        ("SELECT PREVIOUS VALUE FOR s", MAY_CLEAR),
        ("SELECT SETVAL(s, 100)", MAY_CLEAR),
        ("DO NEXTVAL(s)", CLEARS),
        ("DO 1", KEEPS),
        ("DO (SELECT MAX(a) FROM t)", CLEARS),
        ("DO EXTRACT(DAY FROM '2020-01-01')", KEEPS),
        ("SET @a = 1", KEEPS),
        ("SET NAMES utf8mb4", KEEPS),
        ("SET @a = (SELECT MAX(a) FROM t)", CLEARS),
        ("SET STATEMENT max_statement_time = 100 FOR SELECT 1", KEEPS),
        ("SET STATEMENT max_statement_time = 100 FOR SELECT a FROM t", CLEARS),
        ("SELECT a INTO @a FROM t LIMIT 1", CLEARS),
        ("SELECT 1 INTO @a", KEEPS),
        ("EXPLAIN SELECT 1", KEEPS),
        ("EXPLAIN SELECT 1 FROM DUAL", KEEPS),
        ("EXPLAIN FORMAT=JSON SELECT 1", MAY_KEEP),
        ("EXPLAIN SELECT a FROM t", CLEARS),
        ("EXPLAIN UPDATE t SET b = 'q' WHERE a = 99", CLEARS),
        ("DESCRIBE t", CLEARS),
        ("ANALYZE SELECT 1", KEEPS),
        ("ANALYZE SELECT a FROM t", CLEARS),
        ("ANALYZE FORMAT=JSON SELECT 1", MAY_KEEP),
        ("HELP 'select'", KEEPS),
    ],
    "writes": [
        ("INSERT INTO t VALUES (10, 'a')", CLEARS),
        ("INSERT INTO t SELECT 11, 'b'", CLEARS),
        ("REPLACE INTO t VALUES (10, 'a')", CLEARS),
        ("UPDATE t SET b = 'q' WHERE a = 99", CLEARS),
        ("DELETE FROM t WHERE a = 99", CLEARS),
        ("DELETE t FROM t JOIN t AS u ON t.a = u.a WHERE t.a = 10", CLEARS),
        ("INSERT INTO t VALUES (12, 's') RETURNING a", CLEARS),
        ("TRUNCATE TABLE t", CLEARS),
        ("ANALYZE TABLE t", CLEARS),
        ("OPTIMIZE TABLE t", CLEARS),
        ("CHECK TABLE t", CLEARS),
        ("CHECKSUM TABLE t", CLEARS),
        ("REPAIR TABLE t", CLEARS),
    ],
    "transactions and locks": [
        ("BEGIN", KEEPS),
        ("SAVEPOINT a", KEEPS),
        ("ROLLBACK TO a", KEEPS),
        ("COMMIT", KEEPS),
        ("START TRANSACTION", KEEPS),
        ("ROLLBACK", KEEPS),
        ("XA START 'told'", KEEPS),
        ("XA END 'told'", KEEPS),
        ("XA ROLLBACK 'told'", KEEPS),
        ("LOCK TABLES t READ", CLEARS),
        ("UNLOCK TABLES", KEEPS),
        ("FLUSH TABLES", KEEPS),
        ("FLUSH TABLES t", CLEARS),
        ("FLUSH LOCAL TABLE t", CLEARS),
        ("FLUSH TABLES t WITH READ LOCK", CLEARS),
        ("UNLOCK TABLES", KEEPS),
        ("FLUSH STATUS", KEEPS),
        ("HANDLER t OPEN", CLEARS),
        ("HANDLER t READ FIRST", CLEARS),
        ("HANDLER t CLOSE", CLEARS),
        ("SELECT GET_LOCK('told', 0)", KEEPS),
        ("DO RELEASE_LOCK('told')", KEEPS),
        ("BACKUP LOCK t", MAY_CLEAR),
        ("BACKUP UNLOCK", MAY_KEEP),
    ],
    "definitions of tables": [
        ("CREATE TABLE n1 (a INT)", CLEARS),
        ("CREATE TABLE n2 LIKE t", CLEARS),
        ("CREATE TABLE n3 AS SELECT 1 AS a", CLEARS),
        ("CREATE OR REPLACE TABLE n3 AS SELECT 1 AS a", CLEARS),
        ("CREATE TEMPORARY TABLE tt (a INT)", CLEARS),
        ("DROP TEMPORARY TABLE tt", CLEARS),
        ("ALTER TABLE n1 ADD COLUMN b INT", CLEARS),
        ("CREATE INDEX i ON n1 (a)", CLEARS),
        ("CREATE UNIQUE INDEX j ON n1 (b)", CLEARS),
        ("DROP INDEX i ON n1", CLEARS),
        ("RENAME TABLE n1 TO n4", CLEARS),
        ("DROP TABLE n4, n2, n3", CLEARS),
        ("CREATE VIEW v2 AS SELECT 1", CLEARS),
        ("CREATE ALGORITHM=MERGE VIEW v3 AS SELECT a FROM t", MAY_CLEAR),
        ("ALTER VIEW v2 AS SELECT 2", CLEARS),
        ("DROP VIEW v2, v3", CLEARS),
        ("CREATE SEQUENCE s2", CLEARS),
        ("ALTER SEQUENCE s2 RESTART 5", CLEARS),
        ("DROP SEQUENCE s2", CLEARS),
        ("CREATE TRIGGER made BEFORE INSERT ON t FOR EACH ROW SET @a = 1", CLEARS),
        ("SHOW CREATE TRIGGER made", KEEPS),
        ("DROP TRIGGER made", KEEPS),
    ],
    "definitions of others": [
        ("CREATE PROCEDURE made() SET @a = 1", KEEPS),
        ("CREATE OR REPLACE PROCEDURE made() SELECT * FROM t", KEEPS),
        ("CREATE OR REPLACE PROCEDURE made() BEGIN SET @a = 1; SELECT * FROM t; END", MAY_KEEP),
        ("ALTER PROCEDURE made COMMENT 'x'", KEEPS),
        ("SHOW CREATE PROCEDURE made", KEEPS),
        ("DROP PROCEDURE made", KEEPS),
        ("CREATE FUNCTION made() RETURNS INT NO SQL RETURN 1", KEEPS),
        ("ALTER FUNCTION made COMMENT 'x'", KEEPS),
        ("DROP FUNCTION made", KEEPS),
        ("ALTER EVENT made COMMENT 'x'", KEEPS),
        ("SHOW CREATE EVENT made", KEEPS),
        ("DROP EVENT made", KEEPS),
        ("CREATE DATABASE told2", KEEPS),
        ("ALTER DATABASE told2 CHARACTER SET latin1", KEEPS),
        ("USE told2", KEEPS),
        ("USE told", KEEPS),
        ("DROP DATABASE told2", KEEPS),
        ("RESET QUERY CACHE", KEEPS),
        ("PURGE BINARY LOGS BEFORE '2000-01-01'", KEEPS),
    ],
    "accounts": [
        ("CREATE USER told1", KEEPS),
        ("ALTER USER told1 IDENTIFIED BY 'x'", KEEPS),
        ("RENAME USER told1 TO told2", KEEPS),
        ("SET PASSWORD FOR told2 = PASSWORD('y')", KEEPS),
        ("GRANT SELECT ON *.* TO told2", MAY_KEEP),
        ("GRANT SELECT ON told.* TO told2", MAY_KEEP),
        ("GRANT SELECT ON told.t TO told2", MAY_CLEAR),
        ("GRANT EXECUTE ON PROCEDURE told.uses_none TO told2", MAY_CLEAR),
        ("REVOKE EXECUTE ON PROCEDURE told.uses_none FROM told2", MAY_CLEAR),
        ("REVOKE ALL PRIVILEGES, GRANT OPTION FROM told2", MAY_KEEP),
        ("SHOW GRANTS FOR told2", KEEPS),
        ("CREATE ROLE told3", KEEPS),
        ("GRANT told3 TO told2", MAY_KEEP),
        ("DROP ROLE told3", KEEPS),
        ("DROP USER told2", KEEPS),
    ],
    "shows": [
        ("SHOW TABLES", CLEARS),
        ("SHOW DATABASES", CLEARS),
        ("SHOW COLUMNS FROM t", CLEARS),
        ("SHOW CREATE TABLE t", CLEARS),
        ("SHOW CREATE VIEW v", CLEARS),
        ("SHOW VARIABLES LIKE 'sql_mode'", CLEARS),
        ("SHOW STATUS LIKE 'x'", CLEARS),
        ("SHOW ENGINES", CLEARS),
        ("SHOW USER_STATISTICS", MAY_CLEAR),
        ("SHOW PROFILES", KEEPS),
        ("SHOW PROCESSLIST", KEEPS),
        ("SHOW GRANTS", KEEPS),
        ("SHOW BINARY LOGS", KEEPS),
        ("SHOW COUNT(*) WARNINGS", KEEPS),
        ("SHOW ERRORS", KEEPS),
        ("SELECT @@warning_count", KEEPS),
        ("GET DIAGNOSTICS @n = NUMBER", KEEPS),
    ],
    "prepared text": [
        ("PREPARE q FROM 'SELECT 1'", KEEPS),
        ("EXECUTE q", MAY_KEEP),
        ("PREPARE q FROM 'SELECT a FROM t'", CLEARS),
        ("EXECUTE q", MAY_CLEAR),
        ("DEALLOCATE PREPARE q", KEEPS),
        ("EXECUTE IMMEDIATE 'SELECT 1'", KEEPS),
        ("EXECUTE IMMEDIATE 'SELECT a FROM t'", CLEARS),
        ("EXECUTE IMMEDIATE CONCAT('SELECT', ' 1')", MAY_KEEP),
        ("EXECUTE IMMEDIATE CONCAT('SELECT a', ' FROM t')", MAY_CLEAR),
    ],
    "routines": [
        ("CALL uses_none()", MAY_KEEP),
        ("CALL uses_one()", MAY_CLEAR),
        # a connection that has not used it yet reads its definition
        ("SELECT none()", MAY_CLEAR),
        ("SELECT none()", MAY_KEEP),
        ("DO writes()", MAY_CLEAR),
        ("BEGIN NOT ATOMIC SET @a = 1; END", MAY_KEEP),
        ("BEGIN NOT ATOMIC SELECT COUNT(*) FROM t; END", MAY_CLEAR),
    ],
    "several": [
        ("DO 1; SET @a = 1", MAY_KEEP),
        ("DO 1; SELECT a FROM t; DO 1", CLEARS),
        ("/*! SELECT a FROM t */", MAY_CLEAR),
        ("/*!999999 SELECT a FROM t; */ DO 1", MAY_KEEP),
    ],
}

WARNS = "SELECT CAST('warned' AS SIGNED)"
MULTI = PLAIN | Capability.MULTI_STATEMENTS
stories = pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))


@pytest.fixture
def told(mariadb: Server, connect: Connect) -> Server:
    """The server, with what the statements need."""
    root = connect(mariadb, user="root", password="")
    run(root, "SET GLOBAL log_bin_trust_function_creators = 1", *MADE)
    return mariadb


@pytest.fixture
def clients() -> Iterator[list[WireClient]]:
    opened: list[WireClient] = []
    yield opened
    for client in opened:
        client.close()


def warnings(client: WireClient) -> list[str]:
    return [str(row[2] and row[2].decode()) for row in text_rows(client.query("SHOW WARNINGS"), False)]


def run_well(client: WireClient, text: str) -> None:
    answer = client.query(text)
    assert answer[-1][:1] != b"\xff", (text, answer[-1])


@stories
def test_the_server_keeps_and_clears(story: list[tuple[str, str]], told: Server, clients: list[Any]) -> None:
    client = WireClient(told.port, capabilities=MULTI, database="told")
    clients.append(client)
    found = []
    for text, _ in story:
        run_well(client, WARNS)
        run_well(client, text)
        statement = classify(text.encode(), 0)
        is_kept = any("warned" in warning for warning in warnings(client))
        found.append((text, is_kept, is_certain(statement), bool(statement.flags & USES_TABLE)))
    assert found == [
        (text, fate in (KEEPS, MAY_KEEP), fate in (KEEPS, CLEARS), fate == CLEARS) for text, fate in story
    ]


@stories
def test_what_was_captured_is_kept_and_cleared_likewise(
    story: list[tuple[str, str]], told: Server, fanin: MakeFanin, clients: list[Any]
) -> None:
    """Between any two commands the backend is somebody else's, unless it is held."""
    paranoid = fanin(told, pool_size=2, pool={"paranoid": True})
    client = WireClient(paranoid.port, capabilities=MULTI, database="told")
    clients.append(client)
    found = []
    for text, _ in story:
        run_well(client, WARNS)
        run_well(client, text)
        found.append((text, any("warned" in warning for warning in warnings(client))))
    assert found == [(text, fate in (KEEPS, MAY_KEEP)) for text, fate in story]


@stories
def test_nobody_sees_what_another_session_has_left(
    story: list[tuple[str, str]], told: Server, fanin: MakeFanin, clients: list[Any]
) -> None:
    one = fanin(told, pool_size=1)
    client, witness = [WireClient(one.port, capabilities=MULTI, database="told") for _ in range(2)]
    clients += [client, witness]
    seen, looks = [], 0
    for text, _ in story:
        run_well(client, WARNS)
        run_well(client, text)
        if not one.is_holding(client.thread_id):
            # several statements see what the backend has
            rows = witness.query("SHOW WARNINGS; DO 1")
            seen += [(text, row) for row in rows if b"warned" in row or b"fanin" in row]
            looks += 1
    assert seen == []
    assert looks or story is STORIES["routines"]
