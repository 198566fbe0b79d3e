from __future__ import annotations

import pytest

from proxy import statement as flags
from proxy.classify import classify
from proxy.grammar import GRAMMARS, PLAIN, canonical
from proxy.pins import PinReason
from proxy.statement import (
    FIXED_NAME,
    KEPT_FOUND_ROWS,
    OWN_ID,
    UNKNOWN_FOUND_ROWS,
    Question,
    Statement,
)

UNKNOWN = [("unknown-statement", b"")]
CHARSETS = (b"character_set_client", b"character_set_connection", b"character_set_results")


def pins(statement: Statement) -> list[tuple[str, bytes]]:
    return [(reason.value, name) for reason, name in zip(statement.pins, statement.pin_names, strict=True)]


def lifts(statement: Statement) -> list[tuple[str, bytes]]:
    return [(reason.value, name) for reason, name in zip(statement.lifts, statement.lift_names, strict=True)]


def test_no_first_word_is_in_both_tables() -> None:
    assert not set(GRAMMARS) & set(PLAIN)


def test_old_names_of_variables_are_the_new_ones() -> None:
    assert canonical(b"TX_Isolation") == b"transaction_isolation"
    assert canonical(b"identity") == b"last_insert_id"
    assert canonical(b"wsrep_OSU_method") == b"wsrep_osu_method"


# SET


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("SET autocommit=0", ["autocommit"]),
        ("SET a=1, b := 2", ["a", "b"]),
        ("SET SESSION a=1, b=2", ["a", "b"]),
        ("SET LOCAL a=1", ["a"]),
        ("SET @@a=1, @@session.b=2, @@local.c=3, @@SESSION.`D`=4", ["a", "b", "c", "d"]),
        ("SET `a`=(SELECT 1, 2), b=f(1, 2)", ["a", "b"]),
        ("SET hot.cache_size=1", ["hot.cache_size"]),
        ("SET GLOBAL a=1, b=2, SESSION c=3, d=4", ["c", "d"]),
        ("SET PERSIST a=1, @@session.b=2, @@global.c=3, @@persist_only.d=4", ["b"]),
        ("SET session=1, global=2", ["session", "global"]),
        ("SET identity=5", ["last_insert_id"]),
        ("SET SESSION tx_isolation='SERIALIZABLE'", ["transaction_isolation"]),
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", ["transaction_isolation"]),
        ("SET SESSION TRANSACTION READ ONLY", ["transaction_read_only"]),
        (
            "SET LOCAL TRANSACTION READ WRITE, ISOLATION LEVEL SERIALIZABLE",
            ["transaction_isolation", "transaction_read_only"],
        ),
        ("SET role=1, password=2", ["role"]),
        ("SET transaction=1", ["transaction"]),
        ("SET names=1, charset=2", ["names", "charset"]),
        ("SET @@hot.cache=1", ["hot.cache"]),
        ("SET @@session=1", ["session"]),
    ],
)
def test_session_variables_that_set_assigns(text: str, variables: list[str]) -> None:
    statement = classify(text.encode(), 0)

    assert statement.variables == tuple(name.encode() for name in variables)
    assert statement.flags & flags.SETS


@pytest.mark.parametrize("text", ["SET GLOBAL a=1", "SET @@persist.a=1", "SET GLOBAL TRANSACTION READ ONLY"])
def test_global_variables_are_no_business_of_the_session(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.flags & flags.SETS_GLOBAL
    assert statement.has_aftermath
    assert statement.variables == ()
    assert pins(statement) == []


@pytest.mark.parametrize(
    "text",
    ["SET @a=1", "SET @'A' := 1, c=2", "SET c=1, @a=2", "SET @a=1, @a=@A+1"],
)
def test_assigned_user_variables_are_named_and_do_not_pin(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.user_variables == (b"a",)
    assert statement.flags & flags.SETS_USER_VARIABLES
    assert not statement.is_plain
    assert pins(statement) == []


def test_a_user_variable_that_a_value_assigns_is_named() -> None:
    assert classify(b"SET c=(@a := 1)", 0).user_variables == (b"a",)


@pytest.mark.parametrize(
    ("text", "collation"),
    [
        ("SET NAMES utf8mb4", b""),
        ("SET NAMES 'utf8mb4' COLLATE 'utf8mb4_BIN'", b"utf8mb4_bin"),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit=1", b"utf8mb4_bin"),
        ("SET NAMES utf8mb4 COLLATE DEFAULT", b""),
        ("SET NAMES DEFAULT", b""),
    ],
)
def test_set_names_has_a_collation_that_no_server_reports(text: str, collation: bytes) -> None:
    statement = classify(text.encode(), 0)

    assert statement.collation == collation
    assert statement.variables[:3] == CHARSETS


@pytest.mark.parametrize("text", ["SET CHARACTER SET latin1", "SET CHARSET 'latin1'", "SET char set default"])
def test_collation_after_set_character_set_stays_unconfirmed(text: str) -> None:
    assert classify(text.encode(), 0).variables == (*CHARSETS, b"collation_connection")


@pytest.mark.parametrize("text", ["character_set_results=NULL", "@@collation_connection=latin1_bin"])
def test_collation_stays_unconfirmed_when_set_names_is_mixed_with_others(text: str) -> None:
    assert b"collation_connection" in classify(b"SET NAMES utf8mb4, " + text.encode(), 0).variables


@pytest.mark.parametrize(
    "text",
    [
        "SET TRANSACTION READ ONLY",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "SET @@transaction_isolation='SERIALIZABLE'",
        "SET @@tx_read_only=1",
    ],
)
def test_characteristics_of_the_next_transaction_pin(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert pins(statement) == [("next-transaction", b"")]
    assert statement.variables == ()


@pytest.mark.parametrize(
    "text",
    [
        "RENAME TABLE a TO b",
        "RENAME TABLES a TO b",
        "ALTER TABLE a RENAME TO b",
        "ALTER TABLE a RENAME b",
        "ALTER IGNORE TABLE a ADD c INT, RENAME AS b",
    ],
)
def test_temporary_tables_may_have_other_names_after_a_renaming(text: str) -> None:
    assert pins(classify(text.encode(), 0)) == [("temporary-table", flags.RENAMED)]


@pytest.mark.parametrize("what", ["COLUMN", "INDEX", "KEY"])
def test_parts_of_a_table_may_be_renamed(what: str) -> None:
    assert classify(b"ALTER TABLE a RENAME %s b TO c" % what.encode(), 0).pins == ()


def test_setting_sql_auto_is_null_wants_the_insert_id_in_place() -> None:
    assert classify(b"SET sql_auto_is_null=1", 0).reads_insert_id


def test_default_is_noted() -> None:
    assert classify(b"SET timestamp=DEFAULT, a=1", 0).defaults == (b"timestamp",)


@pytest.mark.parametrize(("value", "expected"), [("concat(@@sql_mode, 'x')", False), ("f()", True)])
def test_stored_functions_in_values_are_suspected(value: str, expected: bool) -> None:
    assert bool(classify(b"SET a=" + value.encode(), 0).flags & flags.MAY_CALL) is expected


@pytest.mark.parametrize(
    "text",
    [
        "SET PASSWORD = 'x'",
        "SET PASSWORD FOR 'a'@'b' = 'x'",
        "SET DEFAULT ROLE r TO u",
        "SET a=1, password='x'",
    ],
)
def test_accounts_changed_by_set(text: str) -> None:
    assert classify(text.encode(), 0).flags & flags.CHANGES_ACCOUNT


@pytest.mark.parametrize(
    ("text", "reason"), [("SET ROLE NONE", "role"), ("SET RESOURCE GROUP g", "resource-group")]
)
def test_what_nothing_reports_pins(text: str, reason: str) -> None:
    assert pins(classify(text.encode(), 0)) == [(reason, b"")]


@pytest.mark.parametrize(
    "text",
    [
        "SET 5",
        "SET a",
        "SET a=",
        "SET a=,",
        "SET NAMES",
        "SET NAMES 5=6",
        "SET NAMES utf8 COLLATE",
        "SET @a",
        "SET @@a",
        "SET SESSION",
        "SET SESSION AUTHORIZATION x",
    ],
)
def test_what_is_no_set_pins(text: str) -> None:
    assert ("unknown-statement", b"") in pins(classify(text.encode(), 0))


def test_an_empty_set_does_nothing() -> None:
    assert pins(classify(b"SET", 0)) == []


# Transactions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BEGIN", flags.BEGINS),
        ("begin work;", flags.BEGINS),
        ("START TRANSACTION", flags.BEGINS),
        ("START TRANSACTION READ ONLY", flags.BEGINS | flags.BEGINS_READ_ONLY),
        (
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE",
            flags.BEGINS | flags.CONSISTENT_SNAPSHOT | flags.COMMITS_ITSELF,
        ),
    ],
)
def test_beginnings(text: str, expected: int) -> None:
    statement = classify(text.encode(), 0)

    assert statement.flags == expected | flags.USES_NO_TABLE
    assert lifts(statement) == [("table-lock", b"")]


def test_starting_something_else_is_no_transaction() -> None:
    assert not classify(b"START REPLICA", 0).begins


@pytest.mark.parametrize("text", ["BEGIN NOT ATOMIC SELECT 1; END", "BEGIN x"])
def test_compound_statements_pin(text: str) -> None:
    assert UNKNOWN[0] in pins(classify(text.encode(), 0))


@pytest.mark.parametrize(
    ("text", "releases"),
    [
        ("COMMIT", False),
        ("COMMIT WORK", False),
        ("COMMIT AND CHAIN", False),
        ("COMMIT AND NO CHAIN NO RELEASE", False),
        ("COMMIT RELEASE", True),
        ("ROLLBACK WORK AND NO CHAIN RELEASE", True),
    ],
)
def test_ends(text: str, releases: bool) -> None:
    statement = classify(text.encode(), 0)

    assert statement.flags & flags.ENDS
    assert bool(statement.flags & flags.RELEASES) is releases
    assert lifts(statement) == [("savepoint", b"")]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("COMMIT", True),
        ("ROLLBACK AND CHAIN", True),
        ("COMMIT NO RELEASE", False),
        ("COMMIT RELEASE", False),
        ("ROLLBACK TO a", False),
    ],
)
def test_ends_that_leave_the_connection_to_completion_type(text: str, may: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & flags.MAY_RELEASE) is may


@pytest.mark.parametrize("text", ["ROLLBACK TO a", "ROLLBACK WORK TO SAVEPOINT a", "RELEASE SAVEPOINT a"])
def test_savepoints_end_nothing(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert not statement.flags & flags.ENDS
    assert lifts(statement) == []


def test_savepoints_pin() -> None:
    assert pins(classify(b"SAVEPOINT a", 0)) == [("savepoint", b"")]


@pytest.mark.parametrize(
    ("text", "pinned", "lifted"),
    [
        ("XA START 'a'", ["xa"], []),
        ("XA BEGIN 'a'", ["xa"], []),
        ("XA END 'a'", [], []),
        ("XA PREPARE 'a'", [], []),
        ("XA RECOVER", [], []),
        ("XA COMMIT 'a' ONE PHASE", [], ["xa"]),
        ("XA ROLLBACK 'a'", [], ["xa"]),
        ("XA DANCE", ["unknown-statement"], []),
    ],
)
def test_xa_transactions_pin_from_start_to_end(text: str, pinned: list[str], lifted: list[str]) -> None:
    statement = classify(text.encode(), 0)

    assert [reason.value for reason in statement.pins] == pinned
    assert [reason.value for reason in statement.lifts] == lifted


# Locks and handles


@pytest.mark.parametrize(
    ("text", "pinned", "lifted"),
    [
        ("LOCK TABLES t READ", [("table-lock", b"")], []),
        ("LOCK INSTANCE FOR BACKUP", [("instance-lock", b"")], []),
        ("UNLOCK TABLES", [], [("table-lock", b""), ("global-read-lock", b"")]),
        ("UNLOCK INSTANCE", [], [("instance-lock", b"")]),
        ("FLUSH TABLES WITH READ LOCK", [("global-read-lock", b"")], []),
        ("FLUSH LOCAL TABLES WITH READ LOCK", [("global-read-lock", b"")], []),
        ("FLUSH TABLES a, b WITH READ LOCK", [("table-lock", b"")], []),
        ("FLUSH TABLES a FOR EXPORT", [("table-lock", b"")], []),
        ("FLUSH TABLES", [], []),
        ("BACKUP STAGE START", [("instance-lock", b"")], []),
        ("BACKUP STAGE END", [], [("instance-lock", b"")]),
        ("BACKUP LOCK t", [("instance-lock", b"")], []),
        ("BACKUP UNLOCK", [], [("instance-lock", b"")]),
        ("HANDLER a.t OPEN", [("handler", b"t")], []),
        ("HANDLER t OPEN AS x", [("handler", b"x")], []),
        ("HANDLER t OPEN `x`", [("handler", b"x")], []),
        ("HANDLER t READ FIRST", [], []),
        ("HANDLER t CLOSE", [], [("handler", b"t")]),
        ("HANDLER t", UNKNOWN, []),
        ("DEALLOCATE PREPARE S", [], [("prepared-text", b"s")]),
        ("DROP PREPARE s", [], [("prepared-text", b"s")]),
    ],
)
def test_locks_and_handles(
    text: str, pinned: list[tuple[str, bytes]], lifted: list[tuple[str, bytes]]
) -> None:
    statement = classify(text.encode(), 0)

    assert pins(statement) == pinned
    assert lifts(statement) == lifted


def test_flush_privileges_changes_accounts() -> None:
    assert classify(b"FLUSH PRIVILEGES", 0).flags & flags.CHANGES_ACCOUNT


# Definitions


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CREATE TEMPORARY TABLE t (a INT)", b"t"),
        ("CREATE OR REPLACE TEMPORARY TABLE t (a INT)", b"t"),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS `a`.`T` SELECT 1", b"a.T"),
        ("CREATE TEMPORARY TABLE", FIXED_NAME),
    ],
)
def test_temporary_tables_pin_by_name(text: str, name: bytes) -> None:
    assert pins(classify(text.encode(), 0)) == [("temporary-table", name)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("DROP TABLE t", [b"t"]),
        ("DROP TEMPORARY TABLE IF EXISTS a.t, `u`", [b"a.t", b"u"]),
        ("DROP TABLES t, u CASCADE", [b"t", b"u"]),
        ("DROP TEMPORARY SEQUENCE s", [b"s"]),
        ("DROP TABLE 5", [FIXED_NAME]),
    ],
)
def test_dropped_tables_lift_by_name(text: str, names: list[bytes]) -> None:
    statement = classify(text.encode(), 0)

    assert statement.lift_names == tuple(names)
    assert set(statement.lifts) == {PinReason.TEMPORARY_TABLE}


COMMITS = flags.COMMITS_ITSELF


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE n (a INT)", COMMITS),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", COMMITS),
        ("CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END", COMMITS),
        ("CREATE TEMPORARY TABLE n (a INT)", 0),
        ("DROP TABLE n", COMMITS),
        ("DROP TEMPORARY TABLE n", 0),
        ("DROP PREPARE p", 0),
        ("ALTER TABLE t ADD b INT", COMMITS),
        ("RENAME TABLE t TO u", COMMITS),
        ("TRUNCATE t", COMMITS),
        ("GRANT SELECT ON app.* TO a", COMMITS),
        ("REVOKE SELECT ON app.* FROM a", COMMITS),
        ("SET PASSWORD = 'a'", COMMITS),
        ("LOCK TABLES t READ", COMMITS),
        ("INSTALL PLUGIN p SONAME 'p.so'", COMMITS),
        ("LOCK INSTANCE FOR BACKUP", 0),
        ("START TRANSACTION READ WRITE", COMMITS),
        ("START TRANSACTION READ ONLY", 0),
        ("FLUSH TABLES", COMMITS),
        ("ANALYZE TABLE t", COMMITS),
        ("ANALYZE SELECT 1", 0),
        ("OPTIMIZE TABLE t", COMMITS),
        ("/* x */ REPAIR TABLE t", COMMITS),
        ("SELECT 1; FLUSH TABLES; DROP TABLE n", COMMITS),
        ("EXECUTE IMMEDIATE 'FLUSH TABLES'", COMMITS),
        ("SET STATEMENT max_statement_time = 1 FOR CREATE TABLE n (a INT)", COMMITS),
        ("INSERT INTO t VALUES (1)", 0),
    ],
)
def test_what_commits_on_its_own_account(text: str, expected: int) -> None:
    assert classify(text.encode(), 0).flags & COMMITS == expected


def test_dropped_and_altered_schemas_are_noted() -> None:
    assert classify(b"DROP DATABASE IF EXISTS x", 0).flags & flags.DROPS_SCHEMA
    assert classify(b"ALTER SCHEMA x COLLATE latin1_bin", 0).flags & flags.ALTERS_SCHEMA
    assert classify(b"DROP VIEW v", 0).flags == flags.USES_TABLE | flags.REDEFINES | flags.COMMITS_ITSELF


@pytest.mark.parametrize(
    "text",
    [
        "CREATE USER 'a'@'b'",
        "ALTER USER 'a'@'b' IDENTIFIED BY 'x'",
        "RENAME USER a TO b",
        "DROP ROLE r",
        "GRANT SELECT ON *.* TO 'a'@'b'",
        "REVOKE SELECT ON *.* FROM a@b",
    ],
)
def test_account_statements_change_accounts_and_do_not_pin(text: str) -> None:
    statement = classify(text.encode(), 0)

    assert statement.flags & flags.CHANGES_ACCOUNT
    assert pins(statement) == []


@pytest.mark.parametrize(
    "text", ["CREATE TABLE t (a INT)", "ALTER TABLE t ADD b INT", "ALTER VIEW v AS SELECT 1"]
)
def test_other_definitions_are_ordinary(text: str) -> None:
    assert classify(text.encode(), 0).is_plain


# Others


def test_use_is_noted() -> None:
    assert classify(b"USE x", 0).flags & flags.USES


@pytest.mark.parametrize(
    ("text", "kill"),
    [
        ("KILL 5", (False, 5)),
        ("KILL CONNECTION 5", (False, 5)),
        ("KILL QUERY 5;", (True, 5)),
        ("KILL HARD QUERY 5", (True, 5)),
        ("KILL SOFT 5", (False, 5)),
        ("KILL CONNECTION_ID()", (False, OWN_ID)),
        ("KILL QUERY CONNECTION_ID()", (True, OWN_ID)),
        ("KILL 0", (False, 0)),
        ("KILL QUERY ID 5", None),
        ("KILL USER bob", None),
        ("KILL 5 + 1", None),
        ("KILL 1.5", None),
        ("CALL mysql.rds_kill(5)", (False, 5)),
        ("CALL MYSQL.rds_kill_query(5)", (True, 5)),
        ("CALL mysql.rds_kill(@x)", None),
        ("CALL other.rds_kill(5)", None),
        ("CALL mysql.rds_other(5)", None),
    ],
)
def test_kill(text: str, kill: tuple[bool, int] | None) -> None:
    statement = classify(text.encode(), 0)

    assert statement.kill == kill
    assert statement.is_special is (kill is not None)


def test_calls_may_read_the_insert_id_and_set_arguments() -> None:
    assert classify(b"CALL p(1)", 0).flags == flags.CALLS | flags.READS_INSERT_ID | flags.USES_NO_TABLE
    assert classify(b"CALL p(1, @a)", 0).user_variables == (b"a",)


def test_loads() -> None:
    assert classify(b"LOAD DATA LOCAL INFILE 'a' INTO TABLE t", 0).flags & flags.LOCAL_INFILE
    assert not classify(b"LOAD DATA INFILE 'a' INTO TABLE local", 0).flags & flags.LOCAL_INFILE
    # no server tells in its answer which ids were made
    assert classify(b"LOAD DATA INFILE 'a' INTO TABLE t", 0).flags & flags.SETS_INSERT_ID
    assert classify(b"LOAD DATA INFILE 'a' INTO TABLE t (b, @c)", 0).user_variables == (b"c",)


def test_get_diagnostics_sets_user_variables() -> None:
    statement = classify(b"GET DIAGNOSTICS @a = NUMBER", 0)

    assert statement.flags & flags.GETS_DIAGNOSTICS
    assert statement.flags & flags.SETS_USER_VARIABLES
    assert statement.user_variables == (b"a",)
    assert pins(statement) == []


@pytest.mark.parametrize(
    ("text", "question", "limit"),
    [
        ("SHOW WARNINGS", Question.SHOW_WARNINGS, None),
        ("SHOW ERRORS;", Question.SHOW_ERRORS, None),
        ("SHOW WARNINGS LIMIT 5", Question.SHOW_WARNINGS, (0, 5)),
        ("SHOW ERRORS LIMIT 2, 5", Question.SHOW_ERRORS, (2, 5)),
        ("SHOW WARNINGS LIMIT 5 OFFSET 2", Question.SHOW_WARNINGS, (2, 5)),
        ("SHOW WARNINGS LIMIT ?", Question.NONE, None),
        ("SHOW WARNINGS LIMIT 1, ?", Question.NONE, None),
        ("SHOW WARNINGS LIMIT 1, 2, 3", Question.NONE, None),
        ("SHOW WARNINGS x", Question.NONE, None),
        ("SHOW COUNT(*) WARNINGS", Question.COUNT_WARNINGS, None),
        ("SHOW COUNT(*) ERRORS", Question.COUNT_ERRORS, None),
        ("SHOW COUNT(*) ERRORS x", Question.NONE, None),
    ],
)
def test_show_diagnostics(text: str, question: int, limit: tuple[int, int] | None) -> None:
    statement = classify(text.encode(), 0)

    assert statement.question == question
    assert statement.limit == limit
    assert statement.flags & flags.READS_DIAGNOSTICS
    assert statement.flags & flags.KEEPS_DIAGNOSTICS


def test_show_warnings_keeps_the_count_of_rows() -> None:
    assert classify(b"SHOW WARNINGS", 0).found_rows == KEPT_FOUND_ROWS
    assert classify(b"SHOW COUNT(*) WARNINGS", 0).found_rows == 0


@pytest.mark.parametrize("text", ["SHOW TABLES", "SHOW GRANTS", "SHOW CREATE TABLE t"])
def test_other_shows_are_ordinary(text: str) -> None:
    assert classify(text.encode(), 0).is_plain


@pytest.mark.parametrize(
    ("text", "has_rows", "has_no_table"),
    [
        ("SHOW TABLES", True, False),
        ("SHOW FULL TABLES", True, False),
        ("SHOW SESSION STATUS", True, False),
        ("SHOW GRANTS", False, True),
        ("SHOW FULL PROCESSLIST", False, True),
        ("SHOW CREATE TABLE t", False, False),
        ("SHOW CREATE USER u", False, True),
        ("SHOW FUNCTION STATUS", True, False),
    ],
)
def test_shows_are_a_select_inside_or_use_no_table(text: str, has_rows: bool, has_no_table: bool) -> None:
    statement = classify(text.encode(), 0)

    assert bool(statement.flags & flags.IS_SELECT) is has_rows
    assert bool(statement.flags & flags.USES_NO_TABLE) is has_no_table
    assert statement.found_rows != UNKNOWN_FOUND_ROWS


@pytest.mark.parametrize("text", ["SHOW WHATEVER", "SHOW FUNCTION CODE f", "SHOW"])
def test_found_rows_after_a_show_that_is_not_known_is_not_known(text: str) -> None:
    assert classify(text.encode(), 0).found_rows == UNKNOWN_FOUND_ROWS


@pytest.mark.parametrize("text", ["SHUTDOWN", "RESTART"])
def test_ends_of_servers(text: str) -> None:
    assert classify(text.encode(), 0).flags == flags.SHUTS_DOWN
