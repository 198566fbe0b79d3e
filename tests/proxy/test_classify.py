from __future__ import annotations

import pytest

from protocol.framing import frame
from protocol.packets import build_ok
from proxy import statement as flags
from proxy.classify import NOTHING, StatementCache, classify
from proxy.found_rows import MOST_FOUND_ROWS, found_rows_command, has_null_condition, matched_rows
from proxy.kept import LIMITS, TRACKING
from proxy.lexer import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, ODD_BYTES
from proxy.statement import (
    ALL_NAMES,
    FIXED_NAME,
    HIDES_FOUND_ROWS,
    KEPT_FOUND_ROWS,
    ONE_ON_MYSQL,
    UNKNOWN_FOUND_ROWS,
    UNKNOWN_ON_MARIADB,
    WANTS_FOUND_ROWS,
    Question,
    Statement,
)
from proxy.tables import is_certain, leaves_unseen
from tests.fakes.responses import AUTOCOMMIT, response


def pins(statement: Statement) -> list[tuple[str, bytes]]:
    return [(reason.value, name) for reason, name in zip(statement.pins, statement.pin_names, strict=True)]


def lifts(statement: Statement) -> list[tuple[str, bytes]]:
    return [(reason.value, name) for reason, name in zip(statement.lifts, statement.lift_names, strict=True)]


# Ordinary statements


@pytest.mark.parametrize(
    "text",
    [
        "SELECT c FROM sbtest1 WHERE id=5",
        "select 'a' from t limit 5",
        "SELECT * FROM (SELECT 1 LIMIT 5, 6) x",
        "WITH x AS (SELECT 1 FROM t) SELECT * FROM x",
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a=1 LIMIT 1",
        "DELETE FROM t",
        "EXPLAIN SELECT 1 FROM t",
        "TRUNCATE t",
        "HELP 'x'",
        "SELECT @a, @@version FROM t",
        "SELECT next, nextval FROM t",
        "SELECT 1 FROM t -- GET_LOCK()",
    ],
)
def test_ordinary_statements_are_plain(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.is_plain
    assert not statement.is_special
    assert pins(statement) == []


def test_ordinary_statements_share_their_record() -> None:
    assert classify(b"SELECT a FROM t", 0) is classify(b"select b from u limit 5", 0)
    assert classify(b"SELECT 1", 0) is classify(b"SELECT 2", 0)
    assert classify(b"SELECT a FROM t LIMIT 5, 1", 0) is classify(b"SELECT b FROM u LIMIT 5, 9", 0)


@pytest.mark.parametrize("text", ["", "  ", "-- a", "/* a */", ";", "'a'", "/*! */"])
def test_text_without_a_statement_is_nothing(text: str) -> None:
    assert classify(text.encode(), 0) is NOTHING


@pytest.mark.parametrize(
    "text", ["FOO bar", "IF 1 THEN", "BINLOG 'x'", "SELECT 1; FOO", "/*!99999 ' */ -- '"]
)
def test_what_is_not_understood_pins(text: str) -> None:
    assert ("unknown-statement", b"") in pins(classify(text.encode(), 0))


def test_strings_that_do_not_end_do_no_harm() -> None:
    assert classify(b"SELECT 'a", 0).flags == flags.IS_SELECT | flags.USES_NO_TABLE


@pytest.mark.parametrize(
    ("text", "uses_no_table"),
    [
        ("SELECT 1", True),
        ("SELECT 1 FROM t", False),
        ("SELECT 1 LIMIT 1", True),
        ("SELECT 1 LIMIT 1 UNION SELECT 1 FROM t", False),
        ("EXPLAIN SELECT 1", True),
        ("EXPLAIN SELECT 1 FROM t", False),
        ("SELECT 1; SELECT 1 FROM t", False),
        ("SELECT 1; INSERT INTO t VALUES (1)", False),
        ("DO 1; SET a=1", True),
    ],
)
def test_whether_a_table_is_used(text: str, uses_no_table: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & flags.USES_NO_TABLE) is uses_no_table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM t", flags.USES_TABLE),
        ("SELECT a FROM dual", flags.USES_NO_TABLE),
        ("SELECT a FROM", flags.USES_TABLE),
        ("SELECT a FROM -- c\n t", flags.USES_TABLE),
        ("SELECT EXTRACT(DAY FROM a), t.from, ) FROM DUAL", flags.USES_NO_TABLE),
        ("SELECT SUBSTRING((SELECT a FROM t) FROM 2)", flags.USES_TABLE),
        ("SELECT NEXTVAL(s)", flags.USES_TABLE),
        ("SELECT LASTVAL(s)", 0),
        ("INSERT INTO t (previous) VALUES (1)", flags.USES_TABLE),
        ("EXPLAIN UPDATE t SET a=1", flags.USES_TABLE),
        ("EXPLAIN FORMAT=JSON SELECT 1", 0),
        ("ANALYZE SELECT 1", flags.USES_NO_TABLE),
        ("ANALYZE TABLE t", flags.USES_TABLE),
        ("EXPLAIN SELECT a FROM t WHERE b=@a", flags.USES_TABLE),
        ("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a=1", flags.USES_TABLE),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", flags.USES_NO_TABLE),
        ("DROP TRIGGER x", flags.USES_NO_TABLE),
        ("CREATE ALGORITHM=MERGE VIEW v AS SELECT 1", 0),
        ("FLUSH TABLES t", flags.USES_TABLE),
        ("FLUSH LOCAL TABLES t", flags.USES_TABLE),
        ("FLUSH TABLES", flags.USES_NO_TABLE),
        ("FLUSH TABLES WITH READ LOCK", flags.USES_NO_TABLE),
        ("FLUSH STATUS", flags.USES_NO_TABLE),
        ("GRANT SELECT ON t TO u", 0),
        ("PREPARE s FROM 'SELECT a FROM t'", flags.USES_TABLE),
        ("PREPARE s FROM @text", 0),
        ("/*! SELECT a FROM t */", 0),
        ("DO 1; SELECT a FROM t", flags.USES_TABLE),
        ("DO 1; DO 2", flags.USES_NO_TABLE),
    ],
)
def test_whether_a_table_is_named(text: str, expected: int) -> None:
    assert classify(text.encode(), 0).flags & (flags.USES_TABLE | flags.USES_NO_TABLE) == expected


@pytest.mark.parametrize(
    ("text", "unseen", "certain"),
    [
        ("SELECT a FROM t", False, True),
        ("DO 1", False, True),
        ("SHOW WARNINGS", False, True),
        ("GRANT SELECT ON t TO u", False, False),
        ("CALL p()", True, False),
        ("EXECUTE p", True, False),
        ("DO 1; SELECT a FROM t", True, True),
    ],
)
def test_whether_it_is_certain_what_becomes_of_warnings(text: str, unseen: bool, certain: bool) -> None:
    statement = classify(text.encode(), 0)
    assert (leaves_unseen(statement), is_certain(statement)) == (unseen, certain)


# FOUND_ROWS()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM t", 0),
        ("SELECT a FROM t LIMIT 5", 0),
        ("SELECT a FROM t LIMIT 5 FOR UPDATE", 0),
        ("SELECT a FROM t LIMIT 5;", 0),
        ("SELECT a FROM t LIMIT 5 , 10", 5),
        ("SELECT a FROM t LIMIT 10 OFFSET 5", 5),
        ("SELECT a FROM t LIMIT 10 offset 5 FOR UPDATE", 5),
        ("SELECT a FROM t LIMIT ?", 0),
        ("SELECT a FROM t LIMIT ? FOR UPDATE", 0),
        ("SELECT a FROM t LIMIT ? OFFSET 5", 5),
        ("SELECT a FROM t LIMIT ? OFFSET ?", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT ?, 5", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT 5, ?", 5),
        ("SELECT a FROM t LIMIT ? /* a */, 6", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT @a", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT 5 /* a */, 6", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT 5 OFFSET ?", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT 5 OFFSET5", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT 5 OFFSET 99999999999999999999", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT 99999999999999999999, 1", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t LIMIT", UNKNOWN_FOUND_ROWS),
        ("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 5", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t PROCEDURE ANALYSE()", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t ORDER BY a FETCH FIRST ROW ONLY", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t OFFSET 5 ROWS", UNKNOWN_FOUND_ROWS),
        ("SET STATEMENT sort_buffer_size=100000 FOR SELECT a FROM t", 0),
        ("SELECT SUM(a) OVER (ORDER BY a ROWS 2 PRECEDING) FROM t", 0),
        ("SELECT a FROM t WHERE (a, b) = ROW(1, 2)", 0),
        ("SELECT a FROM t UNION SELECT b FROM u LIMIT 5", UNKNOWN_FOUND_ROWS),
        ("SELECT a FROM t UNION SELECT b FROM u", 0),
        ("SELECT a FROM t LIMIT 1 LIMIT 2", UNKNOWN_FOUND_ROWS),
        ("SELECT (SELECT 1 LIMIT 1), @a FROM t LIMIT 3, 4", 3),
        ("SELECT (SELECT 1 LIMIT 1), @a FROM t", 0),
        ("SELECT 1; SELECT 2", UNKNOWN_FOUND_ROWS),
        ("EXECUTE s", UNKNOWN_FOUND_ROWS),
    ],
)
def test_what_found_rows_will_be(text: str, expected: int) -> None:
    assert classify(text.encode(), 0).found_rows == expected


def test_only_so_many_offsets_are_remembered() -> None:
    statements = [classify(b"SELECT a FROM t LIMIT %d, 1" % i, 0) for i in range(1, 5000)]

    assert [statement.found_rows for statement in statements] == list(range(1, 5000))


# Questions


@pytest.mark.parametrize(
    ("text", "question", "title"),
    [
        ("SELECT LAST_INSERT_ID()", Question.LAST_INSERT_ID, "LAST_INSERT_ID()"),
        ("select  last_insert_id( ) ;", Question.LAST_INSERT_ID, "last_insert_id( )"),
        ("SELECT LAST_INSERT_ID/*x*/() /*y*/", Question.LAST_INSERT_ID, "LAST_INSERT_ID/*x*/()"),
        ("SELECT LAST_INSERT_ID() AS id", Question.LAST_INSERT_ID, "id"),
        ("SELECT ROW_COUNT() n", Question.ROW_COUNT, "n"),
        ("SELECT FOUND_ROWS() AS `from`", Question.FOUND_ROWS, "from"),
        ("SELECT FOUND_ROWS() 'a b'", Question.FOUND_ROWS, "a b"),
        ("SELECT CONNECTION_ID()", Question.CONNECTION_ID, "CONNECTION_ID()"),
        ("SELECT @@warning_count", Question.WARNING_COUNT, "@@warning_count"),
        ("SELECT @@SESSION.error_count e", Question.ERROR_COUNT, "e"),
    ],
)
def test_bare_questions(text: str, question: int, title: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.question == question
    assert statement.title == title.encode()
    assert statement.is_special


@pytest.mark.parametrize(
    "text",
    [
        "SELECT LAST_INSERT_ID(5)",
        "SELECT LAST_INSERT_ID() + 1",
        "SELECT LAST_INSERT_ID(), 1",
        "SELECT ROW_COUNT() FROM t",
        "SELECT ROW_COUNT() LIMIT 1",
        "SELECT ROW_COUNT() limit",
        "SELECT ROW_COUNT() AS",
        "SELECT ROW_COUNT() 5",
        "SELECT ROW_COUNT",
        "SELECT ROW_COUNT(",
        "SELECT @@version",
        "SELECT @@identity",
        "SELECT 1, CONNECTION_ID()",
        "SELECT LAST_INSERT_ID() AS " + "x" * 300,
        "SELECT ROW_COUNT(); SELECT 1",
        ";SELECT ROW_COUNT()",
        "; SHOW WARNINGS",
        "/* ; */;SHOW WARNINGS",
        "/*! SELECT ROW_COUNT() */",
        "INSERT INTO t VALUES (LAST_INSERT_ID())",
    ],
)
def test_what_is_more_than_a_question(text: str) -> None:
    assert classify(text.encode(), 0).question == Question.NONE


# Reading and setting residue elsewhere


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INSERT INTO t VALUES (LAST_INSERT_ID(), 1)", flags.READS_INSERT_ID),
        ("SELECT @@identity FROM t", flags.READS_INSERT_ID | flags.IS_SELECT),
        ("SELECT @@session.last_insert_id FROM t", flags.READS_INSERT_ID | flags.IS_SELECT),
        (
            "UPDATE t SET a=LAST_INSERT_ID(a + 1)",
            flags.READS_INSERT_ID | flags.SETS_INSERT_ID | flags.UPDATES,
        ),
        ("SELECT 1 + ROW_COUNT() FROM t", flags.READS_ROW_COUNT | flags.IS_SELECT),
        ("SELECT 1 + FOUND_ROWS() FROM t", flags.READS_FOUND_ROWS | flags.IS_SELECT),
        ("SELECT @@error_count + 1 FROM t", flags.READS_DIAGNOSTICS | flags.IS_SELECT),
        ("SELECT 1 + CONNECTION_ID() FROM t", flags.READS_CONNECTION_ID | flags.IS_SELECT),
        ("SELECT @@pseudo_thread_id FROM t", flags.READS_CONNECTION_ID | flags.IS_SELECT),
    ],
)
def test_reading_residue(text: str, expected: int) -> None:
    assert classify(text.encode(), 0).flags == expected | flags.USES_TABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a, ROW_COUNT( ), b FROM t", [(Question.ROW_COUNT, "ROW_COUNT( )")]),
        ("SELECT f(ROW_COUNT()) FROM t", [(Question.ROW_COUNT, "ROW_COUNT()")]),
        ("INSERT INTO t VALUES (FOUND_ROWS())", [(Question.FOUND_ROWS, "FOUND_ROWS()")]),
        (
            "SELECT FOUND_ROWS(),@@warning_count;",
            [(Question.FOUND_ROWS, "FOUND_ROWS()"), (Question.WARNING_COUNT, "@@warning_count")],
        ),
        ("SELECT row_count FROM t", []),
        ("SELECT ROW_COUNT(); SELECT 1", [(Question.ROW_COUNT, "ROW_COUNT()")]),
        ("SELECT 1; SELECT ROW_COUNT()", []),
        (";SELECT ROW_COUNT(); BEGIN", []),
        ("/* ; */ SELECT ROW_COUNT(), 1", [(Question.ROW_COUNT, "ROW_COUNT()")]),
        ("SELECT ROW_COUNT() FROM t; SELECT FOUND_ROWS() FROM t", [(Question.ROW_COUNT, "ROW_COUNT()")]),
    ],
)
def test_places_of_counts(text: str, expected: list[tuple[int, str]]) -> None:
    places = classify(text.encode(), 0).places

    assert [(question, text[begin:end]) for question, begin, end in places] == expected


# FOUND_ROWS()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INSERT INTO t VALUES (1)", 0),
        ("INSERT INTO t SELECT 1", UNKNOWN_FOUND_ROWS),
        ("REPLACE INTO t SELECT * FROM u", UNKNOWN_FOUND_ROWS),
        ("UPDATE t SET a = 1", 0),
        ("UPDATE LOW_PRIORITY `s`.`t` AS x SET a = (SELECT 1)", UNKNOWN_FOUND_ROWS),
        ("UPDATE t x SET a = 1", 0),
        ("UPDATE t SET a = 1 WHERE 1 = 0", KEPT_FOUND_ROWS),
        ("UPDATE t, u SET t.a = 1", UNKNOWN_FOUND_ROWS),
        ("UPDATE t JOIN u SET t.a = 1", UNKNOWN_FOUND_ROWS),
        ("DELETE FROM t", 0),
        ("DELETE QUICK FROM t WHERE a IN (SELECT 1)", UNKNOWN_FOUND_ROWS),
        ("UPDATE t SET a = (SELECT 1)", UNKNOWN_FOUND_ROWS),
        ("WITH x AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM x)", UNKNOWN_FOUND_ROWS),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1 LIMIT 2", UNKNOWN_FOUND_ROWS),
        ("WITH x AS (SELECT 1) SELECT 1 FROM x FOR UPDATE", 0),
        ("DELETE t FROM t JOIN u", UNKNOWN_FOUND_ROWS),
        ("DELETE FROM t USING t JOIN u", UNKNOWN_FOUND_ROWS),
        ("DO 1", ONE_ON_MYSQL),
        ("DO (SELECT 1)", UNKNOWN_FOUND_ROWS),
        ("SET sql_notes = 1", 0),
        ("SET sql_notes = (SELECT 1)", UNKNOWN_ON_MARIADB),
        ("SET STATEMENT sql_notes=0 FOR SELECT 1 LIMIT 2, 1", 2),
        ("CREATE TABLE t (a INT)", 0),
        ("CREATE OR REPLACE TABLE t SELECT 1", UNKNOWN_ON_MARIADB),
        ("CREATE VIEW v AS SELECT 1", 0),
        ("EXPLAIN SELECT 1", 0),
        ("EXPLAIN ANALYZE SELECT 1", UNKNOWN_FOUND_ROWS),
        ("ANALYZE SELECT 1", UNKNOWN_FOUND_ROWS),
        ("ANALYZE TABLE t", 0),
        ("EXPLAIN ANALYZE SELECT LAST_INSERT_ID()", UNKNOWN_FOUND_ROWS),
        ("CHECK TABLE t", 0),
        ("SHOW CREATE TABLE t", 0),
        ("SHOW WHATEVER", UNKNOWN_FOUND_ROWS),
    ],
)
def test_what_found_rows_is_after_statements_that_are_no_select(text: str, expected: int) -> None:
    assert classify(text.encode(), 0).found_rows == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE t (a INT)", 0),
        ("CREATE TABLE t (a INT) AS SELECT 1", HIDES_FOUND_ROWS),
        ("CREATE TABLE t TABLE `u`.v", HIDES_FOUND_ROWS),
        ("CREATE TEMPORARY TABLE t VALUES ROW(1)", HIDES_FOUND_ROWS),
        ("CREATE VIEW v AS SELECT 1", 0),
        ("SET @a = 1", 0),
        ("SET @a = (SELECT 1)", HIDES_FOUND_ROWS),
        ("SET @a = (SELECT 1); COMMIT", HIDES_FOUND_ROWS),
        ("INSERT INTO t VALUES (1)", 0),
        ("INSERT INTO t SELECT 1", 0),
        ("INSERT INTO t SELECT MAX(a) FROM u", WANTS_FOUND_ROWS),
        ("INSERT INTO t VALUES ((SELECT 1))", WANTS_FOUND_ROWS),
        ("REPLACE INTO t SET a = (SELECT 1)", WANTS_FOUND_ROWS),
        ("UPDATE t SET a = (SELECT 1)", WANTS_FOUND_ROWS),
        ("DELETE FROM t WHERE a = (SELECT 1)", WANTS_FOUND_ROWS),
        ("WITH x AS (SELECT 1) DELETE FROM t", WANTS_FOUND_ROWS),
        ("DO (SELECT 1)", WANTS_FOUND_ROWS),
        ("UPDATE t SET a = 1", 0),
        ("UPDATE t SET a = 1 WHERE `t`.`id` = 5;", 0),
        ("UPDATE t SET a = 1 WHERE (id=?) AND b IN ('x', 2) AND c > 0 LIMIT 1", 0),
        ("UPDATE t SET a = 1 WHERE 1 = 0", 0),
        ("UPDATE t, u SET a = 1 WHERE t.id BETWEEN 5 AND 3", 0),
        ("UPDATE t SET a = 1 WHERE id = 5 AND t.ID = 6", WANTS_FOUND_ROWS),
        ("UPDATE t SET a = 1 WHERE id BETWEEN 5 AND 3", WANTS_FOUND_ROWS),
        ("UPDATE t SET a = 1 WHERE id < 0", WANTS_FOUND_ROWS),
        ("UPDATE t SET a = b WHERE id = 99999999999", WANTS_FOUND_ROWS),
        ("UPDATE t SET a = @a WHERE id IS NULL", WANTS_FOUND_ROWS),
    ],
)
def test_what_may_show_in_found_rows_unexpectedly(text: str, expected: int) -> None:
    statement = classify(text.encode(), 0)
    assert statement.flags & (HIDES_FOUND_ROWS | WANTS_FOUND_ROWS) == expected
    assert statement.finds_residue is (expected != 0)


def test_several_statements_one_of_which_hides_what_it_counts_are_asked_about() -> None:
    assert classify(b"CREATE TABLE t SELECT 1; INSERT INTO t VALUES (2)", 0).found_rows == UNKNOWN_FOUND_ROWS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DESCRIBE t", True),
        ("EXPLAIN t", True),
        ("DESC t a", True),
        ("DESCRIBE SELECT 1", False),
        ("EXPLAIN UPDATE t SET a = 1", False),
        ("ANALYZE TABLE t", False),
        ("SHOW FULL TABLES", True),
        ("SHOW SESSION VARIABLES", True),
        ("SHOW COUNT(*) WARNINGS", True),
        ("SHOW CREATE TABLE t", False),
        ("SHOW GRANTS", False),
        ("SHOW FUNCTION CODE f", False),
        ("INSERT INTO t VALUES (1)", False),
    ],
)
def test_what_is_a_select_inside(text: str, expected: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & flags.IS_SELECT) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Rows matched: 30  Changed: 2  Warnings: 1", 30),
        ("Datensätze gefunden: 30  Geändert: 2  Warnungen: 1", 30),
        ("Rows matched: 0  Changed: 0  Warnings: 0", 0),
        ("", 2),
    ],
)
def test_the_first_number_of_the_message_says_how_many_rows_an_update_found(
    message: str, expected: int
) -> None:
    packet = build_ok(status=AUTOCOMMIT, affected_rows=2, message=message.encode())
    assert matched_rows(response([packet])) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DO 1", True),
        ("DO (SELECT COUNT(*) FROM t)", False),
        ("SET sql_notes = (SELECT a FROM t)", False),
        ("SHOW CREATE PROCEDURE p", True),
        ("SHOW CREATE TABLE t", False),
        ("HELP 'x'", True),
        ("DESCRIBE SELECT 1", True),
        ("DESCRIBE t", False),
    ],
)
def test_what_uses_no_table(text: str, expected: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & flags.USES_NO_TABLE) == expected


# Locks


@pytest.mark.parametrize(
    ("text", "pinned", "lifted"),
    [
        ("SELECT GET_LOCK('A', 10)", [b"=A"], []),
        ("SELECT GET_LOCK('\u00e4', 10)", [FIXED_NAME + b"?"], []),
        ("SELECT RELEASE_LOCK('\u00e4')", [], []),
        ("DO GET_LOCK('a', 10)", [b"=a"], []),
        ("SELECT GET_LOCK('a', 10) AS x", [b"=a"], []),
        ("SELECT GET_LOCK(@a, 10)", [FIXED_NAME + b"?"], []),
        ("SELECT GET_LOCK(concat('a', 'b'), 10)", [FIXED_NAME + b"?"], []),
        ("SELECT GET_LOCK('a' 'b', 10)", [FIXED_NAME + b"?"], []),
        ("SELECT GET_LOCK('a', 10) FROM t", [FIXED_NAME + b"?"], []),
        ("SELECT GET_LOCK('a', 10", [FIXED_NAME + b"?"], []),
        ("SELECT 1, GET_LOCK('a', 10)", [FIXED_NAME + b"?"], []),
        ("SELECT 'GET_LOCK', GET_LOCK", [FIXED_NAME + b"?"], []),
        ("SELECT GET_LOCK", [FIXED_NAME + b"?"], []),
        ("SELECT GET_LOCK('" + "a" * 300 + "', 10)", [FIXED_NAME + b"?"], []),
        ("INSERT INTO t VALUES (GET_LOCK('a', 1))", [FIXED_NAME + b"?"], []),
        ("SELECT service_get_write_locks('a', 'b', 10)", [FIXED_NAME], []),
        ("SELECT RELEASE_LOCK('A')", [], [b"=A"]),
        ("SELECT RELEASE_LOCK('*')", [], [b"=*"]),
        ("DO RELEASE_LOCK('a')", [], [b"=a"]),
        ("SELECT RELEASE_LOCK('a') FROM t", [], []),
        ("SELECT RELEASE_LOCK(@a)", [], []),
        ("SELECT RELEASE_ALL_LOCKS()", [], [ALL_NAMES]),
        ("SELECT RELEASE_ALL_LOCKS() FROM t", [], []),
    ],
)
def test_user_locks(text: str, pinned: list[bytes], lifted: list[bytes]) -> None:
    statement = classify(text.encode(), 0)

    assert pins(statement) == [("user-lock", name) for name in pinned]
    assert lifts(statement) == [("user-lock", name) for name in lifted]


@pytest.mark.parametrize(
    ("text", "pinned"), [("NEXTVAL(s)", True), ("NEXT VALUE FOR s", True), ("next", False)]
)
def test_sequences_leave_a_value(text: str, pinned: bool) -> None:
    statement = classify(b"SELECT " + text.encode() + b" FROM t", 0)

    assert pins(statement) == ([("sequence-value", b"")] if pinned else [])


# User variables


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT @a", ""),
        ("SELECT @a := 1", "a"),
        ("SELECT a INTO @a FROM t", "a"),
        ("SELECT a FROM t INTO @a, @b", "a b"),
        ("SELECT @a INTO OUTFILE 'x' FROM t", "a"),
        ("INSERT INTO t VALUES (@a)", "a"),
        ("UPDATE t SET a=@a, b=1", "a"),
        ("UPDATE t SET a=(@a := @A + 1)", "a"),
        ("CREATE TABLE t SELECT @a := 1", "a"),
        ("SHOW CREATE USER 'a'@'b'", ""),
        ("SELECT 1; SET @a=1; SELECT @b", "a"),
        ("SELECT @", ""),
        ("INSERT INTO t VALUES (@)", ""),
        ("PREPARE s FROM 'SELECT @a := ?'", "a"),
        ("PREPARE s FROM @a", "a"),
        ("EXECUTE s USING @a, @b", "a b"),
        ("EXECUTE IMMEDIATE 'SET @a=1'", "a"),
        ("CREATE PROCEDURE p() SET @a=1", ""),
        ("/*!80000 SET @a=1 */", "a"),
    ],
)
def test_user_variables_that_a_statement_may_assign(text: str, names: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.user_variables == tuple(names.encode().split())
    assert "user-variable" not in [reason for reason, _ in pins(statement)]


@pytest.mark.parametrize(
    "text",
    ["SET @ä=1", "SELECT 1 INTO @`a\\b`", "SELECT @'a ' := 1", "SET @" + "x" * 65 + "=1", "SET @`a``b`=1"],
)
def test_user_variables_with_unusual_names_pin(text: str) -> None:
    assert ("user-variable", b"") in pins(classify(text.encode(), 0))


def test_a_statement_that_only_reads_a_user_variable_says_so() -> None:
    assert classify(b"SELECT @a", 0).flags & flags.NAMES_USER_VARIABLES
    assert not classify(b"SELECT @@a", 0).flags & flags.NAMES_USER_VARIABLES


# Several statements, comments that are executed, hints


def test_all_statements_of_a_text_count() -> None:
    statement = classify(b"SET a=1; SELECT GET_LOCK('a', 1); DROP TABLE t;", 0)

    assert statement.flags & flags.MULTI
    assert statement.variables == (b"a",)
    assert pins(statement) == [("user-lock", b"=a")]
    assert lifts(statement) == [("temporary-table", b"t")]


def test_a_kill_among_others_is_left_to_the_server() -> None:
    assert classify(b"SELECT 1; KILL 5", 0).kill is None


def test_changed_lexing_in_the_middle_of_a_text_pins() -> None:
    assert ("unknown-statement", b"") in pins(classify(b"SET sql_mode='ANSI'; SELECT 1", 0))


@pytest.mark.parametrize("text", ["/*!99999 UNLOCK TABLES */", "/*M! DROP TABLE t */"])
def test_what_may_not_be_executed_lifts_nothing(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.flags & flags.IS_CONDITIONAL
    assert lifts(statement) == []


def test_variables_set_by_a_hint_are_noted() -> None:
    statement = classify(b"SELECT /*+ SET_VAR(sort_buffer_size=16M) */ a FROM t", 0)

    assert statement.flags & flags.SETS_FOR_ITSELF
    assert not statement.flags & flags.MAY_CALL


@pytest.mark.parametrize(
    ("text", "suspected"),
    [
        ("SELECT /*+ SET_VAR(a=1) */ f(b) FROM t", True),
        ("SELECT @a := count(*) FROM t", False),
        ("SELECT @a := f()", True),
        ("CREATE TEMPORARY TABLE t (a INT, KEY k (a))", False),
        ("CREATE TEMPORARY TABLE t (a INT) SELECT 1", False),
        ("CREATE TEMPORARY TABLE t (a INT) SELECT f()", True),
        ("CALL p(@a)", False),
        ("SELECT f()", True),
        ("SELECT count(*), coalesce (a, 1), `upper`(b) FROM t WHERE a IN (1) AND (b) = (c)", False),
        ("SELECT (1) AND f(1)", True),
        ("SELECT 1 AS x, f(1)", True),
        ("SELECT f (1)", True),
        ("SELECT f/* */(1)", True),
        ("SELECT `f`(1)", True),
        ("SELECT 'f' (1)", False),
        ("SELECT 2f(1)", True),
        ("SELECT shop.f(1)", True),
        ("SELECT shop . f(1)", True),
        ("SELECT shop.`f`(1)", True),
        ("SELECT shop.count(1)", True),
        ("SELECT shop.`count`(1)", True),
        ("SELECT @f (1), a * (1), b - (1), b / (1)", False),
        ("INSERT INTO t (a, b) VALUES (1, 2)", False),
        ("INSERT INTO `t` (a, b) VALUES (1, 2)", False),
        ("INSERT INTO `shop`.`t` (a, b) VALUES (1, 2)", False),
        ("INSERT INTO shop.t (a, b) VALUES (1, 2)", False),
        ("INSERT INTO shop.t (a, b) VALUES (f(1), 2)", True),
        ("INSERT INTO t SELECT f(1)", True),
        ("INSERT t (a) VALUES (1)", False),
        ("INSERT IGNORE shop.t (a) VALUES (1) AS new (b) ON DUPLICATE KEY UPDATE a=VALUES(a)", False),
        ("REPLACE LOW_PRIORITY t(a) VALUES (1)", False),
        ("UPDATE t SET a = f(1)", True),
        ("DELETE FROM t WHERE f(a)", True),
        ("DO f()", True),
        ("SET @a = f()", True),
        ("SET a = 1, b = concat('x')", False),
        ("SHOW TABLES WHERE f(1)", True),
        ("WITH a (x) AS (SELECT 1), b (y) AS (SELECT 2) SELECT * FROM a, b", False),
        ("WITH a (x) AS (SELECT f(1)) SELECT * FROM a", True),
        ("SELECT * FROM (SELECT 1) d (a)", False),
        ("SELECT 1 + -- as\n f(1)", True),
        ("SELECT 1 + # as\n f(1)", True),
        ("SELECT CAST(a AS DECIMAL(10, 2)), CAST(a AS DATETIME(3)) FROM t", False),
        ("LOAD DATA INFILE 'x' INTO TABLE t (a, b)", False),
        ("LOAD DATA INFILE 'x' INTO TABLE t FIELDS TERMINATED BY ',' LINES TERMINATED BY ';' (a, b)", False),
        ("LOAD DATA INFILE 'x' INTO TABLE t (a, @b) SET c = f(@b)", True),
        ("CREATE TABLE t (a INT REFERENCES u (a), KEY k (a))", False),
        ("CREATE TABLE t VALUES ROW(f(1))", True),
        ("CREATE INDEX i ON t (a)", False),
        ("ALTER TABLE t ADD KEY k (a)", False),
        ("GRANT SELECT (a) ON t TO u", False),
        ("EXPLAIN ANALYZE SELECT f()", True),
        ("SET STATEMENT a=f() FOR SELECT 1", True),
        ("SET STATEMENT a=1 FOR SELECT f()", True),
        ("SELECT a.f FROM t WHERE b.c (1)", True),
    ],
)
def test_what_explains_a_change_must_not_hide_another(text: str, suspected: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & flags.MAY_CALL) is suspected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT to_char(a) FROM t", flags.MAY_CALL_ON_MYSQL),
        ("SELECT `to_char`(a) FROM t", flags.MAY_CALL_ON_MYSQL),
        ("SELECT bin_to_uuid(a) FROM t", flags.MAY_CALL_ON_MARIADB),
        ("SELECT `bin_to_uuid`(a) FROM t", flags.MAY_CALL_ON_MARIADB),
        ("SELECT count(a) FROM t", 0),
    ],
)
def test_the_function_of_one_server_may_be_stored_on_the_other(text: str, expected: int) -> None:
    functions = flags.MAY_CALL | flags.MAY_CALL_ON_MARIADB | flags.MAY_CALL_ON_MYSQL

    assert classify(text.encode(), 0).flags & functions == expected


@pytest.mark.parametrize(
    ("text", "lexing"),
    [
        ("SELECT `get_lock`('a', 1)", 0),
        ("SELECT `GET_LOCK` ('a', 1)", 0),
        ("SELECT \"get_lock\"('a', 1)", 1),
    ],
)
def test_functions_may_be_quoted(text: str, lexing: int) -> None:
    assert pins(classify(text.encode(), lexing)) == [("user-lock", b"=a")]


def test_quoted_names_that_are_no_functions_mean_nothing() -> None:
    assert classify(b"SELECT `get_lock`, `limit`(1), \"get_lock\" ('a') FROM t", 0).pins == ()


def test_quoted_functions_that_are_released_lift() -> None:
    assert lifts(classify(b"SELECT `release_lock`('a')", 0)) == [("user-lock", b"=a")]


def test_a_quoted_function_reads_residue() -> None:
    assert classify(b"SELECT `last_insert_id`()", 0).reads_insert_id
    assert classify(b"SELECT `last_insert_id`(5)", 0).flags & flags.SETS_INSERT_ID


@pytest.mark.parametrize("word", ["EXPLAIN", "DESC", "DESCRIBE"])
def test_what_explain_analyze_runs_counts(word: str) -> None:
    assert pins(classify(word.encode() + b" ANALYZE SELECT GET_LOCK('a', 1)", 0)) != []


def test_explain_into_assigns() -> None:
    text = b"EXPLAIN FORMAT=JSON INTO @a SELECT 1 FROM t"

    assert classify(text, 0).user_variables == (b"a",)


def test_an_explain_that_reads_a_count_uses_no_table() -> None:
    assert classify(b"EXPLAIN SELECT FOUND_ROWS()", 0).flags & flags.USES_NO_TABLE


@pytest.mark.parametrize("word", ["INSERT", "REPLACE"])
def test_rows_of_an_insert_come_with_an_insert_id(word: str) -> None:
    statement = classify(word.encode() + b" INTO t (a) VALUES (1) RETURNING id", 0)

    assert statement.flags & flags.SETS_INSERT_ID
    assert statement.reads_insert_id


def test_rows_of_a_delete_come_without_an_insert_id() -> None:
    assert not classify(b"DELETE FROM t RETURNING id", 0).flags & flags.SETS_INSERT_ID


def test_values_of_set_statement_may_assign_user_variables() -> None:
    statement = classify(b"SET STATEMENT sort_buffer_size=(@a:=262144) FOR SELECT 1", 0)

    assert statement.user_variables == (b"a",)


# Routines


@pytest.mark.parametrize(
    "text",
    [
        "CREATE PROCEDURE p() SELECT GET_LOCK('a', 1)",
        "CREATE PROCEDURE p() BEGIN SET a=1; SELECT GET_LOCK('a', 1); END",
        "CREATE PROCEDURE p() BEGIN IF (a) THEN SET a=1; ELSE SET b=2; END IF; END",
        "CREATE PROCEDURE p() BEGIN SELECT IF(a, 1, 2), CASE WHEN a THEN IF(a, 1, 2) ELSE 3 END; SET x=1; END",
        "CREATE PROCEDURE p() BEGIN x: LOOP SET a=1; LEAVE x; END LOOP; END",
        "CREATE PROCEDURE p() BEGIN WHILE a DO SET a=REPEAT('a', 5); END WHILE; CASE a WHEN 1 THEN SET b=1; END CASE; END",
        "CREATE PROCEDURE p() BEGIN REPEAT SET a=1; UNTIL b END REPEAT; BEGIN SET c=1; END; END",
        "CREATE OR REPLACE DEFINER='a'@'b' SQL SECURITY INVOKER FUNCTION f() RETURNS INT RETURN 1",
        "CREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a=1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
    ],
)
def test_bodies_of_routines_are_not_executed(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert pins(statement) == []
    assert statement.variables == ()
    assert ("user-lock", b"=a") in pins(classify(text.encode() + b"; SELECT GET_LOCK('a', 1)", 0))


def test_a_body_that_does_not_end_pins() -> None:
    assert pins(classify(b"CREATE PROCEDURE p() BEGIN SET a=1;", 0)) == [("unknown-statement", b"")]


def test_an_end_too_many_is_the_servers_business() -> None:
    assert pins(classify(b"CREATE PROCEDURE p() END; SELECT GET_LOCK('a', 1)", 0)) == [("user-lock", b"=a")]


@pytest.mark.parametrize(
    "text",
    ["CREATE TABLE t (`procedure` INT)", "CREATE; PROCEDURE", "CREATE " + "a " * 50 + "PROCEDURE", "CREATE"],
)
def test_other_definitions_are_no_routines(text: str) -> None:
    assert not classify(text.encode(), 0).variables


# Prepared text


def test_prepared_text_is_classified_when_it_is_a_literal() -> None:
    ((name, inner),) = classify(rb"PREPARE S FROM 'SELECT GET_LOCK(\'a\', 1)'", 0).prepares

    assert name == b"s"
    assert inner is not None
    assert pins(inner) == [("user-lock", b"=a")]


@pytest.mark.parametrize("text", ["PREPARE s FROM @a", "PREPARE s FROM 'a' 'b'"])
def test_other_prepared_text_is_not_known(text: str) -> None:
    statement = classify(text.encode(), 0)
    assert statement.prepares == ((b"s", None),)
    assert pins(statement) == [("prepared-text", b"s"), ("unknown-statement", b"")]


def test_preparing_what_assigns_an_unmovable_user_variable_makes_it() -> None:
    statement = classify("PREPARE s FROM 'SET @`\N{SNOWMAN}` = ?'".encode(), 0)
    assert pins(statement) == [("prepared-text", b"s"), ("unknown-statement", b"")]


def test_executed_names() -> None:
    statement = classify(b"EXECUTE `S` USING @a", 0)

    assert statement.executes == (b"s",)
    assert statement.reads_insert_id


def test_literals_executed_at_once() -> None:
    inner = classify(b"EXECUTE IMMEDIATE 'SET a=?' USING 5", 0).inner

    assert inner is not None
    assert inner.variables == (b"a",)


@pytest.mark.parametrize("text", ["EXECUTE IMMEDIATE @a", "EXECUTE IMMEDIATE 'a' 'b'"])
def test_other_text_executed_at_once_pins(text: str) -> None:
    assert pins(classify(text.encode(), 0)) == [("unknown-statement", b"")]


# MariaDB's SET STATEMENT


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("SELECT a FROM t FOR UPDATE NOWAIT", True),
        ("select a from t lock in share mode wait 5", True),
        ("ALTER TABLE t NOWAIT ADD COLUMN b INT", True),
        ("SELECT wait FROM t WHERE wait = 5", False),
        ("SELECT a FROM t FOR UPDATE SKIP LOCKED", False),
        ("SELECT t.nowait FROM t", False),
    ],
)
def test_waits_for_locks_are_set_for_one_statement(text: str, sets: bool) -> None:
    names = (b"innodb_lock_wait_timeout", b"lock_wait_timeout")
    assert classify(text.encode(), 0).temporary == (names if sets else ())


def test_values_for_one_statement_are_temporary() -> None:
    statement = classify(b"SET STATEMENT max_statement_time=1, tx_isolation='x' FOR SET a=1", 0)

    assert statement.temporary == (b"max_statement_time", b"transaction_isolation")
    assert statement.variables == ()
    assert statement.inner is not None
    assert statement.inner.variables == (b"a",)


def test_set_statement_without_a_statement_pins() -> None:
    assert pins(classify(b"SET STATEMENT a=1", 0)) == [("unknown-statement", b"")]


def test_set_statement_among_others_pins() -> None:
    assert ("unknown-statement", b"") in pins(classify(b"SET STATEMENT a=1 FOR SELECT 1; SELECT 2", 0))


# sql_mode


def test_lexing_follows_sql_mode() -> None:
    text = rb'SELECT "\" , GET_LOCK(1, 1) , "'

    assert pins(classify(text, 0)) == []
    assert pins(classify(text, ANSI_QUOTES)) != []
    assert pins(classify(text, NO_BACKSLASH_ESCAPES)) != []


# The cache


def test_cached_statements_are_the_same_object() -> None:
    cache = StatementCache(1 << 16)
    wire = frame(b"\x03SET a=1")

    assert cache.lookup(wire, 0) is cache.lookup(wire, 0)
    assert cache.lookup(wire, 0).variables == (b"a",)
    assert len(cache) == 1


def test_cached_statements_depend_on_sql_mode() -> None:
    cache = StatementCache(1 << 16)
    wire = frame(b"\x03" + rb"SELECT '\', GET_LOCK(1, 1), '")

    assert not cache.lookup(wire, 0).pins
    assert cache.lookup(wire, NO_BACKSLASH_ESCAPES).pins


def test_the_cache_is_bounded() -> None:
    cache = StatementCache(4096)
    for i in range(1000):
        cache.lookup(frame(b"\x03SET a=%d" % i), 0)

    assert 4 <= len(cache) <= 20


def test_what_is_used_survives() -> None:
    cache = StatementCache(4096)
    used = frame(b"\x03SET used=1")
    statement = cache.lookup(used, 0)
    for i in range(1000):
        cache.lookup(frame(b"\x03SET a=%d" % i), 0)
        assert cache.lookup(used, 0) is statement


def test_long_texts_are_not_kept() -> None:
    cache = StatementCache(1 << 20)

    assert cache.lookup(frame(b"\x03SET a='" + b"x" * 5000 + b"'"), 0).variables == (b"a",)
    assert len(cache) == 0


def test_split_commands_are_read_whole() -> None:
    text = b"SELECT '" + b"x" * (1 << 24) + b"', GET_LOCK('a', 1)"

    assert StatementCache(1 << 20).lookup(frame(b"\x03" + text), 0).pins


@pytest.mark.parametrize(
    "text", [b"EXECUTE =", b"PREPARE = FROM 1", b"DEALLOCATE PREPARE =", b"EXECUTE", b"SET NAMES ="]
)
def test_a_name_that_is_missing_is_the_servers_business(text: bytes) -> None:
    assert not classify(text, 0).is_plain


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT * FROM performance_schema.session_variables",
        b"SELECT * FROM variables_by_thread",
        b"SELECT * FROM information_schema.SYSTEM_VARIABLES",
        b"SHOW VARIABLES",
    ],
)
def test_tables_that_show_variables_may_show_those_of_the_client(text: bytes) -> None:
    assert classify(text, 0).kept == LIMITS | TRACKING
    assert classify(text, 0).needs_prepare


def test_of_several_statements_the_trackers_have_to_see_all() -> None:
    assert classify(b"SHOW VARIABLES; SELECT 1", 0).kept == LIMITS
    assert classify(b"SELECT * FROM information_schema.tables", 0).kept == 0


@pytest.mark.parametrize(
    "text", [b"SELECT '\xbf\\', RELEASE_LOCK('a'), '", b"KILL 5 /* \xbf` */", b"UNLOCK TABLES -- \xbf@"]
)
def test_text_is_not_believed_where_a_second_byte_looks_like_something_else(text: bytes) -> None:
    statement = classify(text, ODD_BYTES)
    assert pins(statement) == [("unknown-statement", b"")]
    assert (statement.lifts, statement.kill, statement.question) == ((), None, 0)
    assert statement.flags & flags.MULTI


@pytest.mark.parametrize(
    ("text", "is_of_table"),
    [
        (b" insert INTO t VALUES ('\xa4`')", True),
        (b"REPLACE t VALUES ('\xa4`')", True),
        (b"SELECT '\xa4`'", False),
        (b"inserted '\xa4`'", False),
    ],
)
def test_but_that_it_begins_with_a_change_of_rows(text: bytes, is_of_table: bool) -> None:
    statement = classify(text, ODD_BYTES)
    assert pins(statement) == [("unknown-statement", b"")]
    assert bool(statement.flags & flags.USES_TABLE) == is_of_table


def test_other_text_in_such_a_character_set_is_read_as_ever() -> None:
    assert classify("SELECT RELEASE_LOCK('a') -- ü".encode(), ODD_BYTES).lifts != ()


@pytest.mark.parametrize(
    ("text", "found_rows"),
    [
        ("VALUES (1), (2) LIMIT 1", KEPT_FOUND_ROWS),
        ("(VALUES (1))", KEPT_FOUND_ROWS),
        ("WITH a AS (SELECT 1) VALUES (1)", KEPT_FOUND_ROWS),
        ("VALUES ((SELECT 1))", UNKNOWN_ON_MARIADB),
        ("VALUES (1) UNION VALUES (2)", 0),
        ("VALUES (1) ORDER BY 1", 0),
        ("VALUES ROW(1)", 0),
        ("WITH a AS (SELECT 1) SELECT (1) FROM (VALUES (1)) b", 0),
        ("WITH a AS (SELECT 1), b AS (TABLE a) VALUES (1) EXCEPT TABLE b", 0),
    ],
)
def test_plain_values_count_no_rows_on_mariadb(text: str, found_rows: int) -> None:
    statement = classify(text.encode(), 0)
    assert statement.found_rows == found_rows
    assert bool(statement.flags & WANTS_FOUND_ROWS) is (found_rows == UNKNOWN_ON_MARIADB)


@pytest.mark.parametrize(
    ("found_rows", "is_mariadb", "command"),
    [
        (0, False, "SELECT 1 FROM (SELECT 1) AS t LIMIT 0"),
        (2, False, "SELECT 1 FROM (SELECT 1 UNION ALL SELECT 1) AS t LIMIT 2"),
        (0, True, "SELECT 1 LIMIT 0"),
        (2, True, "SELECT 1 UNION ALL SELECT 1 LIMIT 2"),
    ],
)
def test_what_leaves_so_many_found_rows(found_rows: int, is_mariadb: bool, command: str) -> None:
    assert found_rows_command(found_rows, is_mariadb) == b"\x03" + command.encode()


@pytest.mark.parametrize("is_mariadb", [False, True])
def test_many_found_rows_are_skipped_by_an_offset(is_mariadb: bool) -> None:
    command = found_rows_command(MOST_FOUND_ROWS, is_mariadb)
    assert command.endswith(b" LIMIT %d,1" % (MOST_FOUND_ROWS - 1)) and len(command) < 2000


@pytest.mark.parametrize(
    ("text", "nulls", "expected"),
    [
        ("UPDATE t SET a = ? WHERE id = ?", b"\0", False),
        ("UPDATE t SET a = ? WHERE id = ?", b"\1", False),
        ("UPDATE t SET a = ? WHERE id = ?", b"\2", True),
        ("UPDATE t SET a = ?, b = ?", b"\3", False),
        ("UPDATE t SET a = '?' WHERE b = '??' AND id = ?", b"\1", True),
    ],
)
def test_a_null_in_the_condition_rules_out_an_update(text: str, nulls: bytes, expected: bool) -> None:
    assert (
        has_null_condition(text.encode(), nulls, text.replace("'?'", "").replace("'??'", "").count("?"))
        == expected
    )


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN NOT ATOMIC SELECT 1; END",
        "IF 1 THEN SELECT 1; END IF",
        "again: LOOP LEAVE again; END LOOP",
        "FOR i IN 1..2 DO SELECT i; END FOR",
        "SET STATEMENT sql_select_limit=1 FOR SELECT 1 UNION SELECT 2",
    ],
)
def test_what_is_not_understood_but_may_run_does_what_a_routine_may(text: str) -> None:
    statement = classify(text.encode(), 0)
    assert statement.flags & flags.CALLS
    assert statement.found_rows in (UNKNOWN_FOUND_ROWS, UNKNOWN_ON_MARIADB)
    assert "unknown-statement" in [reason.value for reason in statement.pins]


def test_an_xa_transaction_begins_with_what_its_statements_may_ask_for() -> None:
    statement = classify(b"XA START 'a'", 0)
    assert statement.reads_insert_id
    assert statement.flags & flags.WANTS_FOUND_ROWS
    assert not classify(b"XA END 'a'", 0).finds_residue


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("EXECUTE p USING LAST_INSERT_ID(66)", True),
        ("EXECUTE IMMEDIATE 'SELECT ?' USING LAST_INSERT_ID()", True),
        ("SET STATEMENT sort_buffer_size=300000+LAST_INSERT_ID(77) FOR SELECT 1", True),
        ("EXECUTE p USING @a", False),
    ],
)
def test_an_insert_id_around_what_is_executed_may_be_set(text: str, sets: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & flags.SETS_INSERT_ID) is sets
