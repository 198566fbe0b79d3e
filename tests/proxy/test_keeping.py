from __future__ import annotations

import pytest

from protocol.session_track import SchemaDebt, SessionChanges
from proxy.classify import classify
from proxy.clearing import MARK, mark_commands
from proxy.conditions import DIAGNOSTICS, FOUND_ROWS, INSERT_ID, ROW_COUNT, probe_command
from proxy.keeping import (
    TELL,
    answered,
    bits_to_have,
    commands_before_ours,
    is_only_told,
    is_untidy,
    lease_lost,
    ours_may_run,
    place,
    reads_kept,
    tidied,
    tidy_commands,
    told,
    warnings_read,
)
from proxy.kept import ASKING, LIMITS, TELLING, TRACKING
from proxy.session import HOLD, PARK, RELEASE, SessionState
from proxy.vector import CHARSET_VARIABLES, Vector
from tests.fakes.responses import AUTOCOMMIT, IN_TRANS, changed, err, ok, response, rows, wire

DEFAULT = 28800
SETUP = b"SET trackers"
FRESH = Vector.fresh(b"shop", dict.fromkeys(CHARSET_VARIABLES, b"utf8mb4"))


def run(session: SessionState, text: str, result: list[bytes] | None = None) -> int:
    return session.completed(classify(text.encode(), session.lexing), response(result or ok()))


def reads(session: SessionState, text: str) -> int:
    return reads_kept(session, classify(text.encode(), 0))


@pytest.fixture
def session() -> SessionState:
    return SessionState(FRESH, AUTOCOMMIT, b"")


@pytest.fixture
def maria() -> SessionState:
    return SessionState(FRESH, AUTOCOMMIT, b"", is_mariadb=True)


def set_limit(session: SessionState, value: str) -> int:
    return run(session, f"SET wait_timeout={value}", ok(changes=changed(("wait_timeout", value))))


# Limits


def test_a_limit_is_kept_and_pins_nothing(session: SessionState) -> None:
    assert set_limit(session, "9") == RELEASE
    assert session.kept == {b"wait_timeout": b"9"}
    assert session.idle_limit == 9
    assert session.vector is FRESH
    assert is_untidy(session, DEFAULT)
    assert tidy_commands(session, SETUP, DEFAULT) == [
        b"\x03SET SESSION wait_timeout=DEFAULT,SESSION interactive_timeout=DEFAULT"
    ]
    tidied(session, DEFAULT)
    assert not is_untidy(session, DEFAULT)


def test_statements_that_may_read_the_limit_get_it(session: SessionState) -> None:
    assert reads(session, "SELECT @@wait_timeout") == 0
    set_limit(session, "9")
    assert reads(session, "SELECT @@wait_timeout") == 0, "it is there"
    tidied(session, DEFAULT)
    assert reads(session, "SELECT @@wait_timeout") == LIMITS
    assert place(session, LIMITS) == b"\x03SET SESSION wait_timeout=9"
    assert session.placed == LIMITS


def test_texts_within_texts_may_read_it(session: SessionState, maria: SessionState) -> None:
    set_limit(session, "9")
    tidied(session, DEFAULT)
    run(session, "PREPARE p FROM 'SELECT @@wait_timeout'")

    assert reads(session, "EXECUTE p") == LIMITS
    assert reads(session, "EXECUTE unknown") == 0
    set_limit(maria, "9")
    tidied(maria, DEFAULT)
    assert reads(maria, "EXECUTE IMMEDIATE 'SELECT @@wait_timeout'") == LIMITS


def test_a_held_backend_keeps_the_limit(session: SessionState) -> None:
    run(session, "BEGIN", ok(status=AUTOCOMMIT | IN_TRANS))
    run(
        session,
        "SET wait_timeout=9",
        ok(status=AUTOCOMMIT | IN_TRANS, changes=changed(("wait_timeout", "9"))),
    )

    assert not is_untidy(session, DEFAULT)
    run(session, "COMMIT")
    assert is_untidy(session, DEFAULT)


def test_a_held_backend_gets_a_longer_limit_than_the_servers(session: SessionState) -> None:
    set_limit(session, "99999")
    tidied(session, DEFAULT)
    assert bits_to_have(session, DEFAULT) == 0
    run(session, "BEGIN", ok(status=AUTOCOMMIT | IN_TRANS))

    assert is_untidy(session, DEFAULT)
    assert tidy_commands(session, SETUP, DEFAULT) == [b"\x03SET SESSION wait_timeout=99999"]
    tidied(session, DEFAULT)
    assert session.placed == LIMITS


def test_a_held_backend_needs_no_shorter_limit(session: SessionState) -> None:
    set_limit(session, "9")
    tidied(session, DEFAULT)
    run(session, "BEGIN", ok(status=AUTOCOMMIT | IN_TRANS))

    assert not is_untidy(session, DEFAULT)


# Tracking


def test_tracking_is_asked_for_and_put_back(session: SessionState) -> None:
    assert reads(session, "SET session_track_schema=0") == TRACKING
    place(session, TRACKING)
    assert run(session, "SET session_track_schema=0") == HOLD
    question = b"\x03SHOW SESSION VARIABLES WHERE Variable_name IN ('session_track_schema')"
    assert tidy_commands(session, SETUP, DEFAULT) == [question]
    answered(session, [[b"session_track_schema", b"OFF"]])
    assert session.verdict() == RELEASE
    assert tidy_commands(session, SETUP, DEFAULT) == [b"\x03" + SETUP]
    tidied(session, DEFAULT)
    assert (session.placed, session.kept) == (0, {b"session_track_schema": b"OFF"})


def test_what_only_one_backend_can_report_pins_until_it_is_over(session: SessionState) -> None:
    report = changed(("session_track_system_variables", "*"))
    assert run(session, "SET session_track_system_variables='*'", ok(changes=report)) == HOLD
    assert session.kept[b"session_track_system_variables"] == b"*"
    tidied(session, DEFAULT)
    statement_id = SessionChanges(variables=[(b"statement_id", b"7")])
    assert run(session, "SELECT 1", ok(changes=statement_id)) == HOLD
    report = changed(("session_track_system_variables", "sql_mode"))
    assert run(session, "SET session_track_system_variables='sql_mode'", ok(changes=report)) == RELEASE


def test_a_reset_forgets_all(session: SessionState) -> None:
    set_limit(session, "9")
    session.was_reset((b"utf8mb4",) * 4, AUTOCOMMIT)

    assert (session.kept, session.placed) == ({}, 0)


# What was not reported


def test_a_value_that_was_not_reported_is_asked_for(maria: SessionState) -> None:
    assert run(maria, "SET @@sql_mode='ANSI_QUOTES', @@time_zone='+01:00'") == HOLD
    assert maria.questions == (b"sql_mode", b"time_zone")
    answered(maria, [[b"sql_mode", b"ANSI_QUOTES"], [b"time_zone", b"+01:00"]])

    assert maria.verdict() == RELEASE
    assert maria.vector.variables[b"sql_mode"] == b"ANSI_QUOTES"
    assert maria.lexing == 1
    assert not is_untidy(maria, DEFAULT)


def test_an_answer_of_null_is_one(maria: SessionState) -> None:
    run(maria, "SET @@character_set_results=NULL")
    answered(maria, [[b"character_set_results", None]])

    assert maria.vector.variables[b"character_set_results"] == b""


def test_a_question_that_is_refused_leaves_the_pin_and_is_not_asked_again(maria: SessionState) -> None:
    run(maria, "SET @@time_zone='+01:00'")
    answered(maria, [])

    assert maria.verdict() == HOLD
    assert not is_untidy(maria, DEFAULT)


def test_a_question_is_asked_once(maria: SessionState) -> None:
    run(maria, "SET @@time_zone='+01:00', @@time_zone='+02:00'")
    assert maria.questions == (b"time_zone",)


def test_names_that_no_server_knows_are_not_asked_for(maria: SessionState) -> None:
    assert run(maria, "SET `odd name`=1") == HOLD
    assert (maria.questions, maria.placed & ASKING) == ((), 0)


def test_variables_with_two_names_are_asked_for_by_both(maria: SessionState) -> None:
    run(maria, "SET @@session.tx_isolation='READ-COMMITTED'")
    assert maria.questions == (b"transaction_isolation", b"tx_isolation")
    answered(maria, [[b"tx_isolation", b"READ-COMMITTED"]])
    assert maria.verdict() == RELEASE


def test_the_collation_of_a_character_set_is_asked_for(session: SessionState) -> None:
    report = changed(
        ("character_set_client", "latin1"),
        ("character_set_results", "latin1"),
        ("character_set_connection", "utf8mb4"),
    )
    assert run(session, "SET CHARACTER SET latin1", ok(changes=report)) == HOLD
    assert session.questions == (b"collation_connection",)
    answered(session, [[b"collation_connection", b"utf8mb4_bin"]])
    assert session.verdict() == RELEASE
    assert session.vector.variables[b"collation_connection"] == b"utf8mb4_bin"
    assert session.vector.variables[b"character_set_client"] == b"latin1"


def test_an_insert_id_that_was_not_reported_is_residue(maria: SessionState) -> None:
    assert run(maria, "SET @@last_insert_id=5") == PARK


def test_what_may_have_been_assigned_before_an_error_is_asked_for(maria: SessionState) -> None:
    run(maria, "SET @@time_zone='+01:00', @@sql_mode='wrong'", err(1999))
    assert maria.questions == (b"time_zone", b"sql_mode")


def test_warnings_and_found_rows_are_read_before_commands_of_ours(session: SessionState) -> None:
    run(session, "INSERT INTO t VALUES (1)", ok(1, insert_id=7))
    run(session, "SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"]))
    assert commands_before_ours(session) == [b"\x03SELECT FOUND_ROWS() LIMIT 1"]
    run(session, "SELECT 1/0", rows([b"1"], warnings=1))
    session.residue |= FOUND_ROWS
    assert commands_before_ours(session) == [b"\x03SHOW WARNINGS", b"\x03SELECT FOUND_ROWS() LIMIT 1"]
    ours_may_run(session, [wire(rows([b"Error", b"1365", b"no"])), wire(rows([b"5"]))])

    assert session.captured is not None
    assert (session.captured.warning_count, session.found_rows) == (1, 5)
    assert (session.residue, session.native) == (INSERT_ID, 0)
    assert commands_before_ours(session) == []


def test_only_what_the_backend_alone_knows_is_read(session: SessionState) -> None:
    run(session, "SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"]))
    ours_may_run(session, [wire(rows([b"5"]))])
    assert (session.found_rows, session.captured, session.residue) == (5, None, 0)

    run(session, "UPDATE t SET a=1", ok(2, warnings=1))
    assert commands_before_ours(session) == [b"\x03SHOW WARNINGS"]
    ours_may_run(session, [wire(rows([b"Warning", b"1265", b"cut"]))])
    assert session.captured is not None
    assert (session.found_rows, session.captured.warning_count, session.residue) == (2, 1, 0)


def test_with_the_lease_goes_what_was_placed(session: SessionState) -> None:
    set_limit(session, "9")
    lease_lost(session)

    assert (session.placed, session.kept) == (0, {b"wait_timeout": b"9"})


def test_what_a_mark_has_become_is_read_before_anything_else(maria: SessionState) -> None:
    warning = rows([b"Warning", b"1365", b"Division by 0"])
    run(maria, "DO 1/0", ok(warnings=1))
    maria.captured_residue([wire(warning), wire(ok())])
    assert mark_commands(maria, classify(b"CALL p()", 0)) == [MARK]
    run(maria, "CALL p()")
    assert is_untidy(maria, DEFAULT)
    assert commands_before_ours(maria)[0] == b"\x03SHOW WARNINGS"
    ours_may_run(maria, [wire(rows()), wire(rows([b"0"]))])
    assert not is_untidy(maria, DEFAULT)
    assert maria.captured is None


@pytest.mark.parametrize(
    ("changes", "tracks_schema", "is_due"),
    [
        (SessionChanges([(b"sql_warnings", b"OFF")], b"shop"), True, True),
        (SessionChanges([(b"sql_warnings", b"OFF")], b"shop"), False, False),
        (SessionChanges([(b"sql_warnings", b"OFF")]), True, False),
        (None, True, False),
    ],
)
def test_what_the_server_has_yet_to_tell_is_asked_for(
    maria: SessionState, changes: SessionChanges | None, tracks_schema: bool, is_due: bool
) -> None:
    maria.debt = SchemaDebt()
    maria.placed |= TELLING
    assert is_untidy(maria, DEFAULT)
    assert tidy_commands(maria, SETUP, DEFAULT) == [TELL]
    told(maria, changes, tracks_schema)
    assert maria.debt.is_due == is_due
    assert not is_untidy(maria, DEFAULT)


def test_on_mysql_that_leaves_what_is_on_the_lease(session: SessionState, maria: SessionState) -> None:
    session.placed = maria.placed = TELLING
    assert is_only_told(session) and not is_only_told(maria)
    assert tidy_commands(session, SETUP, DEFAULT) == [probe_command(session.vector.multi_statements)]
    session.placed |= TRACKING
    assert not is_only_told(session)


def test_a_session_that_was_reset_meanwhile_is_owed_nothing(maria: SessionState) -> None:
    maria.placed |= TELLING
    told(maria, SessionChanges(schema=b"shop"), True)
    assert not is_untidy(maria, DEFAULT)


def test_mysql_is_asked_by_what_leaves_all_but_the_number_of_rows(session: SessionState) -> None:
    session.placed |= TELLING
    session.native |= ROW_COUNT | FOUND_ROWS
    assert is_only_told(session)
    assert tidy_commands(session, SETUP, DEFAULT) == [b"\x1b\x01\0"]
    told(session, SessionChanges(schema=b"shop"), True)
    assert session.native == FOUND_ROWS
    assert not is_untidy(session, DEFAULT)


def test_warnings_are_read_by_themselves(session: SessionState) -> None:
    run(session, "INSERT INTO t VALUES (1)", ok(insert_id=5, warnings=1))
    left = session.residue & ~DIAGNOSTICS
    warnings_read(session, wire(rows([b"Warning", b"1365", b"Division by 0"])))
    assert session.residue == left
    assert not session.native & (DIAGNOSTICS | ROW_COUNT)
    assert session.captured is not None
