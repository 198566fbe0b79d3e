"""Reports of "something changed": what accounts for them, and what is made of the rest."""

from __future__ import annotations

import pytest

from protocol.session_track import SessionChanges
from proxy.classify import classify
from proxy.conditions import USER_VARIABLES
from proxy.session import HOLD, PARK, RELEASE, SessionState
from proxy.vector import CHARSET_VARIABLES, Vector
from tests.fakes.responses import AUTOCOMMIT, changed, err, ok, response, rows

FRESH = Vector.fresh(b"shop", {name: b"utf8mb4" for name in CHARSET_VARIABLES})
ENTERED = changed(schema="shop")


def session(*, is_mariadb: bool = True, schema: bytes | None = b"shop") -> SessionState:
    return SessionState(FRESH.with_schema(schema), AUTOCOMMIT, b"", is_mariadb)


def run(
    told: SessionState, text: str, changes: SessionChanges | None = None, *row: list[bytes | None]
) -> int:
    result = rows(*row, changes=changes) if row else ok(changes=changes)
    return told.completed(classify(text.encode(), 0), response(result))


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO other.t VALUES (1)",
        "UPDATE other.t SET a = 1",
        "EXPLAIN SELECT * FROM other.v",
        "SELECT * FROM other.v; INSERT INTO other.t VALUES (1)",
        "EXECUTE IMMEDIATE 'INSERT INTO other.t VALUES (1)'",
        "EXECUTE unknown",
        "EXECUTE IMMEDIATE 'SELECT f()'",
        "SELECT f()",
    ],
)
@pytest.mark.parametrize("is_mariadb", [True, False])
def test_what_may_have_run_a_trigger_of_another_schema_pins(text: str, is_mariadb: bool) -> None:
    told = session(is_mariadb=is_mariadb)
    assert run(told, text, ENTERED) == HOLD
    assert "opaque-state-change" in [reason.value for reason in told.pin_reasons()]


@pytest.mark.parametrize("text", ["SELECT * FROM other.v", "EXECUTE IMMEDIATE 'SELECT * FROM other.v'"])
def test_mysql_says_so_only_when_a_program_has_run(text: str) -> None:
    assert run(session(is_mariadb=False), text, ENTERED, [b"1"]) == HOLD


@pytest.mark.parametrize(
    "changes", [changed(), changed(schema="else"), changed(("sql_notes", "OFF"), schema="shop")]
)
def test_any_other_report_after_a_query_pins(changes: SessionChanges) -> None:
    assert run(session(), "SELECT * FROM other.v", changes, [b"1"]) == HOLD


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (b"shop", "SELECT * FROM other.v"),
        (None, "SELECT * FROM other.v"),
        (b"shop", "SHOW FULL COLUMNS FROM other.v"),
        (b"shop", "EXECUTE IMMEDIATE 'SELECT * FROM other.v'"),
    ],
)
def test_after_a_query_there_may_be_user_variables_of_any_name_on_mariadb(
    schema: bytes | None, text: str
) -> None:
    told = session(schema=schema)
    assert run(told, text, changed(schema=(schema or b"").decode()), [b"1"]) == PARK
    assert told.pinned == 0 and told.residue & USER_VARIABLES
    assert told.variables is not None and told.variables.has_others


def test_several_texts_are_as_bad_as_the_worst_that_accounts_for_it() -> None:
    told = session()
    for name, text in (
        ("a", "SET @a = 1"),
        ("b", "SELECT * FROM other.v"),
        ("c", "INSERT INTO t VALUES (1)"),
    ):
        run(told, f"PREPARE {name} FROM '{text}'", changed())
    run(told, "EXECUTE a; EXECUTE c", changed())
    assert told.variables is None or not told.variables.has_others
    run(told, "EXECUTE a; EXECUTE b; EXECUTE a", ENTERED)
    assert told.variables is not None and told.variables.has_others
    assert "opaque-state-change" not in [reason.value for reason in told.pin_reasons()]
    run(told, "EXECUTE c", changed())
    assert "opaque-state-change" in [reason.value for reason in told.pin_reasons()]


def test_a_session_whose_user_variables_pin_it_already_keeps_them() -> None:
    told = session()
    run(told, "SELECT @\u00e4 := 1", None, [b"1"])
    run(told, "SELECT * FROM other.v", ENTERED, [b"1"])
    assert told.variables is None


def test_what_is_assigned_later_does_not_make_them_known() -> None:
    told = session()
    run(told, "SELECT * FROM other.v", ENTERED, [b"1"])
    run(told, "SET @a = 1", changed())
    assert told.variables is not None
    assert told.variables.has_others and told.variables.names == (b"a",)


def test_a_plain_query_without_a_report_leaves_none() -> None:
    assert run(session(), "SELECT * FROM other.v", None, [b"1"]) == RELEASE


# What hides the report


def other_variables(told: SessionState) -> bool:
    return told.variables is not None and told.variables.has_others


@pytest.mark.parametrize(
    ("text", "code", "is_mariadb", "doubted"),
    [
        ("INSERT INTO t VALUES (1)", 1062, True, True),
        ("SELECT * FROM v", 1644, True, True),
        ("(SELECT a FROM v)", 1644, True, True),
        ("EXECUTE IMMEDIATE 'INSERT INTO t VALUES (1)'", 1062, True, True),
        ("INSERT INTO t VALUES (1)", 1146, True, False),
        ("INSERT INTO t VALUES (1)", 1062, False, False),
        ("SIGNAL SQLSTATE '45000'", 1644, True, False),
        ("SELECT 1", 1317, True, False),
    ],
)
def test_mariadb_does_not_say_what_a_failed_statement_has_done(
    text: str, code: int, is_mariadb: bool, doubted: bool
) -> None:
    told = session(is_mariadb=is_mariadb)
    told.completed(classify(text.encode(), 0), response(err(code)))
    assert other_variables(told) is doubted


def test_the_schema_of_a_trigger_shows_all_the_same() -> None:
    text = "SET STATEMENT sql_notes=0 FOR INSERT INTO other.t VALUES (1)"
    assert run(session(), text, changed(("sql_notes", "OFF"), schema="shop")) == HOLD


@pytest.mark.parametrize(
    ("text", "doubted"),
    [
        ("SET STATEMENT sql_notes=0 FOR INSERT INTO t VALUES (1)", True),
        ("SET STATEMENT sql_notes=0 FOR SELECT * FROM v", True),
        ("SET STATEMENT sql_notes=0 FOR SELECT 1", False),
    ],
)
def test_settings_for_one_statement_hide_what_it_has_done(text: str, doubted: bool) -> None:
    told = session()
    assert run(told, text, changed(("sql_notes", "OFF"))) == (PARK if doubted else RELEASE)
    assert other_variables(told) is doubted
