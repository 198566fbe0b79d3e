from __future__ import annotations

import pytest

from proxy.explain import (
    ADMINISTRATIVE,
    READ,
    SESSION,
    TRANSACTION,
    UNKNOWN,
    WRITE,
    Explanation,
    as_text,
    explain,
    lexing_of,
    unknown_modes,
)
from proxy.lexer import ANSI_QUOTES, NO_BACKSLASH_ESCAPES
from proxy.pins import MEANINGS, PinReason


def one(text: str, lexing: int = 0, is_mariadb: bool = False) -> Explanation:
    (found,) = explain(text.encode(), lexing, is_mariadb)
    return found


def pins(text: str, lexing: int = 0, is_mariadb: bool = False) -> dict[str, list[str]]:
    """The names by the reason."""
    return {pin.reason: pin.names for pin in one(text, lexing, is_mariadb).pins}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1", READ),
        ("WITH x AS (SELECT 1) SELECT * FROM x", READ),
        ("WITH x AS (SELECT 1) DELETE FROM t", WRITE),
        ("SELECT * FROM t FOR UPDATE", WRITE),
        ("SELECT * FROM t LOCK IN SHARE MODE", WRITE),
        ("SELECT * FROM t INTO OUTFILE 'x'", WRITE),
        ("(SELECT 1)", READ),
        ("SHOW TABLES", READ),
        ("EXPLAIN DELETE FROM t", READ),
        ("EXPLAIN ANALYZE DELETE FROM t", WRITE),
        ("EXPLAIN ANALYZE SELECT 1", READ),
        ("INSERT INTO t VALUES (1)", WRITE),
        ("CREATE TABLE t (a INT)", WRITE),
        ("CREATE USER u", ADMINISTRATIVE),
        ("BEGIN", TRANSACTION),
        ("START TRANSACTION READ ONLY", TRANSACTION),
        ("START REPLICA", ADMINISTRATIVE),
        ("SET TRANSACTION READ ONLY", TRANSACTION),
        ("SET SESSION TRANSACTION READ ONLY", TRANSACTION),
        ("SET NAMES utf8mb4", SESSION),
        ("USE shop", SESSION),
        ("KILL 5", ADMINISTRATIVE),
        ("FROBNICATE", UNKNOWN),
    ],
)
def test_statements_have_a_class(text: str, kind: str) -> None:
    assert one(text).kind == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", {}),
        ("SELECT GET_LOCK('secret', 1)", {"user-lock": []}),
        ("CREATE TEMPORARY TABLE shop.t (a INT)", {"temporary-table": ["shop.t"]}),
        ("CREATE TEMPORARY TABLE `a\x1bb` (a INT)", {"temporary-table": ["a\N{REPLACEMENT CHARACTER}b"]}),
        ("HANDLER t OPEN AS h", {"handler": ["h"]}),
        ("PREPARE p FROM 'SELECT 1'", {"prepared-text": ["p"]}),
        ("CALL p()", {"routine": []}),
        ("SELECT own(1)", {"routine": []}),
        ("EXECUTE IMMEDIATE 'CREATE TEMPORARY TABLE t (a INT)'", {"temporary-table": ["t"]}),
        ("SET profiling = 1, profiling = 0, time_zone = '+00:00'", {"unsafe-variable": ["profiling"]}),
        ("SET timestamp = DEFAULT", {}),
        (
            "SET default_master_connection = 5, time_zone = 5",
            {"unsafe-variable": ["default_master_connection"]},
        ),
        ("SET NAMES 'GBK'", {"unsafe-charset": ["gbk"]}),
        ("SET NAMES utf8mb4, @@time_zone = 'gbk'", {"unsafe-charset": ["gbk"]}),
        ("SET time_zone = 'gbk'", {}),
        ("SET CHARACTER SET latin1", {}),
        ("SET wait_timeout = 5, session_track_schema = 0", {}),
        ("SET session_track_gtids = OFF", {}),
        ("SET session_track_gtids = OWN_GTID", {"unsafe-variable": ["session_track_gtids"]}),
        (
            "SET @@session.session_track_system_variables = '*'",
            {"unsafe-variable": ["session_track_system_variables"]},
        ),
        ("ALTER TABLE t RENAME TO u", {"temporary-table": []}),
        ("FROBNICATE 5", {"unknown-statement": []}),
    ],
)
def test_pins_are_told_with_names_but_no_literals(text: str, expected: dict[str, list[str]]) -> None:
    assert pins(text) == expected


def test_more_user_variables_than_are_moved_pin() -> None:
    assignments = [f"@v{n} = {n}" for n in range(65)]
    assert pins("SET " + ", ".join(assignments)) == {"user-variable": []}
    assert pins("SET " + ", ".join(assignments[1:])) == {}
    assert pins("SET " + ", ".join([*assignments[1:], "@v1 = 5"])) == {}


def test_servers_differ() -> None:
    assert pins("SET @@sql_safe_updates = 1, @@session.sql_mode = ''") == {}
    assert pins("SET @@sql_safe_updates = 1, @@session.sql_mode = ''", is_mariadb=True) == {}
    assert pins("SET session_track_system_variables = '*'", is_mariadb=True) == {}
    assert pins("SELECT UUID_TO_BIN('x')") == {}
    assert pins("SELECT UUID_TO_BIN('x')", is_mariadb=True) == {"routine": []}
    assert pins("SELECT NATURAL_SORT_KEY('x')") == {"routine": []}
    assert pins("SELECT NATURAL_SORT_KEY('x')", is_mariadb=True) == {}


def test_a_pin_says_what_it_means_what_lifts_it_and_what_to_do() -> None:
    (pin,) = one("CREATE TEMPORARY TABLE t (a INT)").pins
    assert (pin.description, pin.cleared_by, pin.advice) == MEANINGS[PinReason.TEMPORARY_TABLE]


def test_the_mode_decides_how_text_is_read() -> None:
    assert unknown_modes("") == unknown_modes(" ansi_quotes ,TRADITIONAL,ORACLE,") == []
    assert unknown_modes("ANSI_QUOTE,ANSI, nonsense") == ["ANSI_QUOTE", "nonsense"]
    assert lexing_of("") == lexing_of("TRADITIONAL, STRICT_ALL_TABLES") == 0
    assert lexing_of("traditional,ansi_quotes") == lexing_of("ANSI") == ANSI_QUOTES
    assert lexing_of("NO_BACKSLASH_ESCAPES, ANSI") == ANSI_QUOTES | NO_BACKSLASH_ESCAPES
    text = r"SELECT 'a\', GET_LOCK(1, 1) -- '"
    assert pins(text) == {}
    assert pins(text, NO_BACKSLASH_ESCAPES) == {"user-lock": []}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("START TRANSACTION READ ONLY", "read-only"),
        ("COMMIT", "ends the transaction"),
        ("USE shop", "default schema"),
        ("SELECT LAST_INSERT_ID()", "restored first"),
        ("SELECT LAST_INSERT_ID(5)", "sets LAST_INSERT_ID()"),
        ("SELECT ROW_COUNT()", "answered without a backend"),
        ("SET time_zone = '+00:00', sql_mode = ''", "restored on the next backend: time_zone, sql_mode"),
        ("SET STATEMENT max_statement_time = 5 FOR SELECT 1", "sets for itself only: max_statement_time"),
        ("SELECT @a, @`b`", "user variables: @a, @`b`"),
        ("PREPARE p FROM 'CREATE TEMPORARY TABLE t (a INT)'", "prepares p: a statement that pins when it is executed: temporary-table"),
        ("PREPARE p FROM 'SELECT 1'", "a statement that does not pin when it is executed"),
        ("PREPARE p FROM @text", "prepares p: text that is not known from here"),
        ("EXECUTE p", "runs what was prepared as p"),
        ("KILL 5", "ends another session"),
        ("/* fanin: raeder */ SELECT 1", "is no hint"),
        ("SELECT /* fanin: reader, max_lag=abc */ 1", "is no hint"),
        ("SAVEPOINT s", "autocommit=0"),
        ("RENAME TABLE t TO u", "only a session that has temporary tables"),
        ("SIGNAL SQLSTATE '45000'", "what it raises pins"),
        ("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 5", "leaves FOUND_ROWS() on the backend"),
        (
            "SET @a = (SELECT 1)",
            "pins on MySQL until the next query: FOUND_ROWS() may show what it counts later",
        ),
        ("INSERT INTO t VALUES (1)", "leaves LAST_INSERT_ID()"),
        ("SELECT /*!40001 SQL_NO_CACHE */ 1; SELECT 2", "has /*! .. */"),
    ],
)  # fmt: skip
def test_effects_are_told(text: str, expected: str) -> None:
    assert any(expected in effect for effect in one(text).effects), one(text).effects


def test_hints_that_are_known_are_no_effect() -> None:
    assert not any("hint" in effect for effect in one("/* fanin: reader, max_lag=5 */ SELECT 1").effects)


def test_what_is_not_restored_is_not_told_to_be() -> None:
    assert one("SET profiling = 1").effects == []


@pytest.mark.parametrize("text", ["SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 5", "SELECT FOUND_ROWS()"])
def test_advice_is_given_where_nothing_pins(text: str) -> None:
    (advice,) = one(text).advice
    assert "SELECT COUNT(*)" in advice


def test_lifts_are_told_once() -> None:
    assert one("DROP TABLE a, b").lifts == ["temporary-table"]
    assert one("UNLOCK TABLES").lifts == ["table-lock", "global-read-lock"]


@pytest.mark.parametrize(
    ("text", "digests"),
    [
        ("", []),
        ("-- nothing", []),
        ("SELECT 1; ; SET @a = 5;", ["SELECT ?", "SET @a = ?"]),
        ("SELECT 1; CREATE PROCEDURE p() BEGIN SELECT 1; END; SELECT 2", ["SELECT ?", "CREATE PROCEDURE p() BEGIN SELECT ?; END; SELECT ?"]),
        ("CREATE TABLE procedure_x (a INT); SELECT 2", ["CREATE TABLE procedure_x(a INT)", "SELECT ?"]),
        ("CREATE VIEW v AS SELECT 1 AS `function`; SELECT 2", ["CREATE VIEW v AS SELECT ? AS `function`", "SELECT ?"]),
        ("CREATE USER u; DROP PROCEDURE p", ["CREATE USER u", "DROP PROCEDURE p"]),
        ("BEGIN NOT ATOMIC SELECT 1; END; SELECT 2", ["BEGIN NOT ATOMIC SELECT ?; END; SELECT ?"]),
        ("/*!40001 SELECT 1 */; SELECT 2", ["SELECT ?; SELECT ?"]),
        ("SELECT 1; SELECT 'x", ["SELECT ?; SELECT ..."]),
    ],
)  # fmt: skip
def test_statements_are_explained_one_by_one(text: str, digests: list[str]) -> None:
    assert [each.digest for each in explain(text.encode())] == digests


def test_the_text_is_for_people() -> None:
    lock = MEANINGS[PinReason.HANDLER]
    assert as_text(explain(b"HANDLER t OPEN; SELECT FOUND_ROWS(); UNLOCK INSTANCE")).splitlines() == [
        "statement: HANDLER t OPEN",
        "class: session",
        "route: the writer: not proved to be a read (no-query)",
        f"pinned: handler (t): {lock.description}",
        f"  until: {lock.lifted_by}",
        f"  advice: {lock.advice}",
        "",
        "statement: SELECT FOUND_ROWS()",
        "class: read",
        "route: the writer: not proved to be a read (residue)",
        "effect: asks for FOUND_ROWS(): known, or on the parked backend",
        "effect: answered without a backend when the answer is known",
        "pinned: no",
        "advice: ask SELECT COUNT(*) in place of FOUND_ROWS(), which MySQL has deprecated",
        "",
        "statement: UNLOCK INSTANCE",
        "class: session",
        "route: the writer: not proved to be a read (no-query)",
        "pinned: no",
        "lifts: instance-lock",
    ]
    assert as_text([]) == "no statement\n"


def test_unknown_statements_say_so() -> None:
    assert "pinned: unknown-statement" in as_text(explain(b"FROBNICATE 5"))


def test_json_has_the_same() -> None:
    found = one("CREATE TEMPORARY TABLE t (a INT DEFAULT 5)").as_json()
    assert (found["class"], found["digest"]) == (WRITE, "CREATE TEMPORARY TABLE t(a INT DEFAULT ?)")
    meaning = MEANINGS[PinReason.TEMPORARY_TABLE]
    assert found["pins"] == [
        {
            "reason": "temporary-table",
            "names": ["t"],
            "description": meaning.description,
            "cleared_by": meaning.lifted_by,
            "advice": meaning.advice,
        }
    ]


def test_kept_variables_and_those_that_are_asked_for_are_told() -> None:
    (explained,) = explain(b"SET CHARSET latin1, wait_timeout = 5")
    assert "kept for the client, and never left on a backend: wait_timeout" in explained.effects
    assert "the server is asked for what it does not report: collation_connection" in explained.effects
