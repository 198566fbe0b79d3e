"""What is proved to be a read."""

from __future__ import annotations

import pytest

from proxy import reads
from proxy.classify import classify
from proxy.functions import MARIADB, MYSQL
from proxy.lexer import ANSI_QUOTES, ODD_BYTES
from proxy.reads import PROOF_NAMES, is_local_schema, proof_of


def proof(text: str, is_mariadb: bool = False, lexing: int = 0) -> str:
    written = text.encode()
    return PROOF_NAMES[proof_of(written, lexing, classify(written, lexing), is_mariadb)]


@pytest.mark.parametrize("is_mariadb", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "select * from t where id = 5",
        "SELECT * FROM t WHERE id IN (SELECT id FROM u) ORDER BY a LIMIT 5, 10;",
        "(SELECT a FROM t) UNION ALL (SELECT a FROM u) LIMIT 3",
        "((SELECT 1))",
        "TABLE t",
        "VALUES ROW(1, 2), ROW(3, 4)",
        "WITH c AS (SELECT 1) SELECT * FROM c",
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT n FROM c",
        "WITH a AS (SELECT 1), b AS (SELECT REPLACE('a', 'b', 'c')) SELECT * FROM a, b",
        "SELECT COUNT(*), MAX(a), NOW(), CONCAT(a, 'x'), COALESCE(b, 0), JSON_EXTRACT(j, '$.a') FROM t GROUP BY c",
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t",
        "SELECT REPLACE(a, 'x', 'y'), INSERT(a, 1, 1, 'b') FROM t",
        "SELECT SUBSTRING(a FROM 1 FOR 2) FROM t USE INDEX FOR JOIN (i)",
        "SELECT a AS `update`, 'FOR UPDATE', `into` FROM t -- FOR UPDATE\n",
        "SELECT /* INTO OUTFILE */ a FROM t # FOR SHARE",
        "SELECT /*+ MAX_EXECUTION_TIME(1000) */ a FROM t",
        "SELECT SQL_NO_CACHE HIGH_PRIORITY DISTINCT a FROM t STRAIGHT_JOIN u USING (id)",
        "SELECT * FROM app.t AS x, `app`.`u` WHERE x.id = ? AND u.name LIKE 'a%'",
        "SELECT USER(), CURRENT_USER, DATABASE(), VERSION()",
        "SELECT SLEEP(0), RAND(), UUID()",
        "SELECT 'sys', \"mysql\"",
    ],
)
def test_reads(text: str, is_mariadb: bool) -> None:
    assert proof(text, is_mariadb) == "proved"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no-query"),
        ("INSERT INTO t VALUES (1)", "no-query"),
        ("UPDATE t SET a = 1", "no-query"),
        ("CALL p()", "no-query"),
        ("DO RELEASE_LOCK('a')", "no-query"),
        ("HANDLER t OPEN", "no-query"),
        ("SET @a = 1", "no-query"),
        ("BEGIN", "no-query"),
        ("WITH c AS (SELECT 1) UPDATE t SET a = 1", "no-query"),
        ("WITH c AS (SELECT 1) DELETE FROM t", "no-query"),
        ("WITH c AS (SELECT 1) (SELECT * FROM c)", "no-query"),
        ("SHOW TABLES", "shows"),
        ("EXPLAIN SELECT 1", "shows"),
        ("EXPLAIN ANALYZE SELECT 1", "shows"),
        ("DESC t", "shows"),
        ("SELECT 1; SELECT 2", "several-statements"),
        ("SELECT 1; DROP TABLE t", "several-statements"),
        ("SELECT /*! SQL_CALC_FOUND_ROWS */ * FROM t", "conditional-comment"),
        ("SELECT 1 /*!80000 FOR UPDATE */", "conditional-comment"),
        ("SELECT 1 /*M! INTO @x */", "conditional-comment"),
        ("SELECT * FROM t FOR UPDATE", "locking-read"),
        ("SELECT * FROM t FOR\nSHARE", "locking-read"),
        ("SELECT * FROM (SELECT * FROM t FOR UPDATE) x", "locking-read"),
        ("SELECT * FROM t LOCK IN SHARE MODE", "locking-read"),
        ("SELECT * FROM t FOR /* hm */ UPDATE SKIP LOCKED", "locking-read"),
        ("SELECT * FROM t FOR UPDATE NOWAIT", "not-understood"),
        ("SELECT * INTO OUTFILE '/tmp/x' FROM t", "into"),
        ("SELECT * FROM t INTO OUTFILE S3 's3://x'", "into"),
        ("TABLE t INTO DUMPFILE 'x'", "into"),
        ("SELECT a INTO v FROM t", "into"),
        ("SELECT * FROM t PROCEDURE ANALYSE()", "routine"),
        ("SELECT a INTO @v FROM t", "assignment"),
        ("SELECT @a := 1", "assignment"),
        ("SELECT @a", "user-variable"),
        ("SELECT * FROM t WHERE id = @a", "user-variable"),
        ("SELECT @@hostname", "system-variable"),
        ("SELECT @@session.sql_mode, a FROM t", "system-variable"),
        ("SELECT * FROM information_schema.tables", "local-schema"),
        ("SELECT * FROM `Performance_Schema` . threads", "local-schema"),
        ("SELECT * FROM mysql.user", "local-schema"),
        ("SELECT * FROM t JOIN `sys`.version", "local-schema"),
        ("SELECT FOUND_ROWS()", "residue"),
        ("SELECT found_rows FROM t", "residue"),
        ("SELECT LAST_INSERT_ID()", "residue"),
        ("SELECT LAST_INSERT_ID(5)", "residue"),
        ("SELECT ROW_COUNT() FROM t", "residue"),
        ("SELECT CONNECTION_ID()", "residue"),
        ("SELECT @@warning_count", "residue"),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM t", "residue"),
        ("SELECT GET_LOCK('a', 1)", "user-lock"),
        ("SELECT RELEASE_LOCK('a')", "user-lock"),
        ("SELECT RELEASE_ALL_LOCKS()", "user-lock"),
        ("SELECT IS_FREE_LOCK('a')", "user-lock"),
        ("SELECT is_used_lock ('a') FROM t", "user-lock"),
        ("SELECT LOAD_FILE('/etc/passwd')", "server-function"),
        ("SELECT UUID_SHORT()", "server-function"),
        ("SELECT MASTER_POS_WAIT('a', 1)", "server-function"),
        ("SELECT f(1)", "routine"),
        ("SELECT app.f(1)", "routine"),
        ("SELECT `load_file`('a')", "server-function"),
        ("SELECT `Get_Lock`('a', 1)", "user-lock"),
        ("SELECT lambda_sync('arn', '{}')", "routine"),
        ("SELECT /*+ SET_VAR(sort_buffer_size = 16M) */ 1", "not-understood"),
        ("SELECT 'abc", "not-understood"),
        ("SELECT `abc", "not-understood"),
        ('SELECT "abc', "not-understood"),
    ],
)
@pytest.mark.parametrize("is_mariadb", [False, True])
def test_what_is_not_proved_and_why(text: str, why: str, is_mariadb: bool) -> None:
    assert proof(text, is_mariadb) == why


@pytest.mark.parametrize(
    ("text", "on_mysql", "on_mariadb"),
    [
        ("SELECT NEXTVAL(s)", "sequence", "sequence"),
        ("SELECT LASTVAL(s)", "routine", "sequence"),
        ("SELECT SETVAL(s, 5)", "routine", "sequence"),
        ("SELECT NEXT VALUE FOR s", "sequence", "sequence"),
        ("SELECT PREVIOUS VALUE FOR s", "sequence", "sequence"),
        ("SELECT ANY_VALUE(a), REGEXP_LIKE(a, 'b') FROM t", "proved", "routine"),
        ("SELECT MD5(a), JSON_DETAILED(b) FROM t", "routine", "proved"),
        ("SELECT WAIT_FOR_EXECUTED_GTID_SET('a', 1)", "server-function", "routine"),
        ("SELECT MASTER_GTID_WAIT('0-1-1', 1)", "routine", "server-function"),
        ("SELECT PS_CURRENT_THREAD_ID()", "server-function", "routine"),
        ("SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (a INT PATH '$')) j", "proved", "routine"),
    ],
)
def test_functions_of_one_kind_of_server(text: str, on_mysql: str, on_mariadb: str) -> None:
    assert (proof(text), proof(text, is_mariadb=True)) == (on_mysql, on_mariadb)


def test_with_ansi_quotes_a_name_may_be_in_double_quotes() -> None:
    assert proof('SELECT * FROM "mysql".user', lexing=ANSI_QUOTES) == "local-schema"
    assert proof('SELECT * FROM "t"', lexing=ANSI_QUOTES) == "proved"


def test_in_character_sets_that_the_lexer_does_not_know_only_ascii_is_proved() -> None:
    assert proof("SELECT 'a'", lexing=ODD_BYTES) == "proved"
    assert proof("SELECT 'ä'", lexing=ODD_BYTES) == "not-understood"


def test_schemas_that_each_server_has_its_own_of() -> None:
    assert is_local_schema(b"Information_Schema") and is_local_schema(b"sys")
    assert not is_local_schema(b"app") and not is_local_schema(b"")


def test_each_reason_has_a_name() -> None:
    numbers = {value for name, value in vars(reads).items() if name.isupper() and isinstance(value, int)}
    assert numbers >= set(range(len(PROOF_NAMES)))


def test_the_lists_of_safe_functions_name_functions_of_that_server() -> None:
    assert reads._SAFE_ON_MARIADB <= MARIADB
    assert reads._SAFE_ON_MYSQL <= MYSQL
