from __future__ import annotations

from typing import Any

import pytest

from protocol.framing import frame, payload_of
from protocol.packets import Column, build_eof, build_err, build_ok, parse_ok
from protocol.wire import lenenc_bytes
from proxy.answers import counting
from proxy.classify import classify
from proxy.clearing import FORGETS, MARK, WIDE_MARK, mark_commands, soil, try_failed, wants_mark
from proxy.conditions import (
    ADDING,
    COUNTING_ANEW,
    DIAGNOSTICS,
    FOUND_ROWS,
    INSERT_ID,
    ROW_COUNT,
    SOILED,
    USER_VARIABLES,
    probe_command,
)
from proxy.diagnostics import Captured
from proxy.found_rows import MOST_FOUND_ROWS, MOST_WITHOUT_TABLE, found_rows_command
from proxy.keeping import commands_before_ours, is_untidy, ours_may_run
from proxy.lexer import ODD_BYTES
from proxy.pins import PinReason
from proxy.residue import (
    BIT_OF,
    ResidueKeeper,
    capture_commands,
    insert_id_command,
)
from proxy.results import packets, text_rows
from proxy.session import SessionState
from proxy.statement import Question
from proxy.variables import (
    CAPTURED,
    CAPTURING,
    KEEPS_VARIABLES,
    KEEPS_WARNINGS,
    NAMES_COMMAND,
    assigned,
    with_others,
)
from proxy.vector import RESULTS_COLLATION, SELECT_LIMIT, Vector
from tests.fakes.responses import AUTOCOMMIT, MORE_RESULTS, err, ok, response, rows, wire

VECTOR = Vector.fresh(b"shop", {b"character_set_results": b"utf8mb4"})
CONNECTION = 0x80000001
CURSOR_EXISTS = 0x0040
WARNING = [b"Warning", b"1365", b"Division by 0"]
ERROR = [b"Error", b"1054", b"Unknown column"]
MARKED_ROW = [b"Warning", b"1642", b"fanin: as before"]
COUNTS = rows([b"1", b"0", b"0"])


class Story:
    """A session told in statements and what the server said to them."""

    def __init__(self, *, is_mariadb: bool = False, vector: Vector = VECTOR) -> None:
        self.keeper = ResidueKeeper(vector, AUTOCOMMIT, is_mariadb)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keeper, name)

    def run(self, text: str, *results: list[bytes]) -> None:
        self.keeper.see_residue(classify(text.encode(), 0), response(*results))

    def ask(self, text: str, *, deprecate_eof: bool = True, is_execution: bool = False) -> bytes | None:
        return self.keeper.answer(
            classify(text.encode(), 0),
            is_execution,
            CONNECTION,
            deprecate_eof,
            self.is_mariadb,
        )

    def value(self, text: str) -> bytes | None:
        """The one value of an answer; None when the backend has to be asked."""
        answer = self.ask(text)
        return None if answer is None else text_rows(answer)[0][0]

    def rewrite(self, text: str) -> str:
        return payload_of(self.keeper.rewritten(classify(text.encode(), 0), frame(b"\x03" + text.encode())))[
            1:
        ].decode()

    def lose_backend(self, *answers: list[bytes]) -> list[bytes]:
        """The pool takes the backend away; what is read off it before."""
        asked: list[bytes] = []
        result = CAPTURING
        while result == CAPTURING:
            commands = self.keeper.capture_commands()
            given = answers[len(asked) : len(asked) + len(commands)]
            result = self.keeper.captured_residue([wire(answer) for answer in given])
            asked += commands
        assert result == CAPTURED
        return asked


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def maria() -> Story:
    return Story(is_mariadb=True)


# Counts


def test_a_new_session_has_nothing(story: Story) -> None:
    assert story.value("SELECT LAST_INSERT_ID()") == b"0"
    assert story.value("SELECT @@warning_count") == b"0"


def test_row_count_is_known_from_the_response(story: Story) -> None:
    story.run("UPDATE t SET a=1", ok(5))
    assert story.residue == 0
    story.moved()

    assert story.value("SELECT ROW_COUNT()") == b"5"
    assert story.value("SELECT ROW_COUNT()") == b"-1"


def test_ping_tells_of_the_warnings_of_the_statement_before_on_mysql() -> None:
    for is_mariadb in (False, True):
        story = Story(is_mariadb=is_mariadb)
        assert story.pinged() == 0
        story.run("DO 1/0", ok(warnings=2))
        assert story.pinged() == (0 if is_mariadb else 2)
        story.captured_residue([wire(rows(WARNING, WARNING))])
        assert story.pinged() == (0 if is_mariadb else 2)
        story.run("SELECT a FROM t", rows([b"1"]))
        assert story.pinged() == 0


def test_answers_without_a_statement_count_what_is_known_where_the_backend_does_not_know_it() -> None:
    for is_mariadb in (False, True):
        story = Story(is_mariadb=is_mariadb)
        assert story.repeated_count() == (-1 if is_mariadb else 0)
        story.run("DO 1/0", ok(warnings=2))
        assert story.repeated_count() == -1
        story.lose_backend(rows(WARNING, WARNING))
        assert story.repeated_count() == (-1 if is_mariadb else 2)


@pytest.mark.parametrize("status", [0, 0x4002])
@pytest.mark.parametrize("header", [0x00, 0xFE])
def test_the_warnings_of_an_answer_are_counted_anew(header: int, status: int) -> None:
    answer = frame(build_ok(affected_rows=1, insert_id=300, status=status, warnings=7, header=header), 1)
    expected = build_ok(affected_rows=1, insert_id=300, status=status, warnings=259, header=header)
    assert counting(answer, 259) == frame(expected, 1)
    assert counting(frame(build_eof(status, 7), 1), 2) == frame(build_eof(status, 2), 1)


def test_an_error_counts_no_warnings() -> None:
    answer = frame(build_err(1049, b"42000", b"Unknown database"), 1)
    assert counting(answer, 3) == answer


def test_a_reset_of_a_statement_without_the_backend_has_none_to_count(story: Story) -> None:
    story.run("SELEC", err(1064))
    story.statement_was_reset()
    assert story.repeated_count() == 0
    story.run("DO 1/0", ok(warnings=2))
    assert story.repeated_count() == -1


def test_an_error_of_ours_that_began_no_statement_is_added_on_mysql(story: Story, maria: Story) -> None:
    for each in (story, maria):
        each.run("DO 1/0", ok(warnings=2))
        each.lose_backend(rows(WARNING, WARNING))
        each.refused(1047, "Unknown command", ADDING.flags)
    assert story.value("SELECT @@warning_count") == b"3"
    assert story.value("SELECT @@error_count") == b"0"
    assert maria.value("SELECT @@warning_count") == b"1"


def test_a_statement_about_the_warnings_has_none_of_its_own_to_count(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=2))
    story.run("SHOW WARNINGS", rows(WARNING, WARNING))
    assert story.pinged() == 0
    story.lose_backend(rows(WARNING, WARNING))
    assert story.repeated_count() == 0
    story.refused(1047, "Unknown command", ADDING.flags)
    assert story.repeated_count() == 1
    story.ask("SELECT FOUND_ROWS()")
    assert story.repeated_count() == 1
    story.ask("SHOW WARNINGS")
    assert story.repeated_count() == 0


def test_an_error_of_ours_about_a_statement_replaces_what_was_there(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=2))
    story.lose_backend(rows(WARNING, WARNING))
    story.refused(1094, "Unknown thread id: 1")
    assert story.value("SHOW COUNT(*) WARNINGS") == b"1"


def test_row_count_after_rows_errors_calls_and_pings(story: Story) -> None:
    story.run("SELECT 1", rows([b"1"]))
    assert story.row_count == -1
    story.run("UPDATE t SET a=1", err(1146))
    assert story.row_count == -1
    story.run("CALL p()", rows([b"1"], status=AUTOCOMMIT | MORE_RESULTS), ok(3))
    assert story.row_count == 3
    story.run("SELECT 1; UPDATE t SET a=1", rows([b"1"], status=AUTOCOMMIT | MORE_RESULTS), ok(4))
    assert story.row_count == 4
    story.run("UPDATE t SET a=1; SELECT 1", ok(4, status=AUTOCOMMIT | MORE_RESULTS), rows([b"1"]))
    assert story.row_count == -1
    story.pinged()
    assert story.value("SELECT ROW_COUNT()") == b"0"


def test_found_rows_is_known_from_the_rows(story: Story) -> None:
    story.run("SELECT a FROM t", rows([b"1"], [b"2"]))
    assert story.found_rows == 2
    story.run("SELECT a FROM t LIMIT 5, 2", rows([b"1"], [b"2"]))
    assert story.found_rows == 7
    story.run("SELECT a FROM t INTO @a", ok(1))
    assert story.found_rows == 1
    story.run("INSERT INTO t VALUES (1)", ok(1))
    assert story.found_rows == 1
    assert story.residue == 0


def test_found_rows_is_kept_by_show_warnings(story: Story) -> None:
    story.run("SELECT a FROM t", rows([b"1"], [b"2"]))
    story.run("SHOW WARNINGS", rows([b"a"]))

    assert story.found_rows == 2


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"])),
        ("SELECT a FROM t LIMIT 5, 1", rows()),
        ("SELECT a FROM t LIMIT ?, 1", rows([b"1"])),
    ],
)
def test_found_rows_that_only_the_backend_knows(story: Story, text: str, result: list[bytes]) -> None:
    story.run(text, result)

    assert story.residue == FOUND_ROWS
    assert story.value("SELECT FOUND_ROWS()") is None
    assert story.lose_backend(rows([b"42", b"0", b"0"])) == [
        b"\x03SELECT FOUND_ROWS(), LAST_INSERT_ID(), LAST_INSERT_ID(0) LIMIT 1"
    ]
    assert story.residue == 0
    assert story.value("SELECT FOUND_ROWS()") == b"42"


def test_an_answer_of_our_own_leaves_counts_too(story: Story) -> None:
    story.run("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"], [b"2"]))
    story.ask("SELECT CONNECTION_ID()")

    assert story.residue == 0
    assert story.value("SELECT FOUND_ROWS()") == b"1"
    assert story.value("SELECT ROW_COUNT()") == b"-1"


# The insert id


def test_an_insert_id_is_only_on_the_backend(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=7))

    assert story.residue == INSERT_ID
    assert story.value("SELECT LAST_INSERT_ID()") is None
    story.lose_backend(rows([b"0", b"7", b"0"]))
    assert story.value("SELECT LAST_INSERT_ID()") == b"7"


def test_the_insert_id_of_another_session_is_not_taken_for_ours(story: Story) -> None:
    story.keeper.insert_id = 4
    story.run("INSERT INTO t VALUES (501)", ok(1, insert_id=501))
    # the one that the backend came with: an explicit value is none
    story.lose_backend(rows([b"0", b"0", b"0"]))

    assert story.insert_id == 4


def test_a_restored_insert_id_is_ours_whatever_it_is(story: Story) -> None:
    update = "UPDATE t SET a=LAST_INSERT_ID(a + 1)"
    assert story.restore_residue(classify(update.encode(), 0)) == [b"\x03SET last_insert_id=0"]
    story.run(update, ok(1, insert_id=9))
    story.lose_backend(rows([b"0", b"8", b"0"]))

    assert story.insert_id == 8


def test_the_insert_id_is_restored_where_it_is_read(story: Story) -> None:
    story.keeper.insert_id = 7
    reading = classify(b"INSERT INTO u VALUES (LAST_INSERT_ID())", 0)

    assert story.restore_residue(classify(b"SELECT 1", 0)) == []
    assert story.restore_residue(reading) == [b"\x03SET last_insert_id=7"]
    assert story.restore_residue(reading) == []
    assert story.residue == INSERT_ID


def test_inserts_since_are_told_from_what_was_there(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=100))
    (command,) = story.restore_residue(classify(b"SELECT LAST_INSERT_ID() + 1", 0))

    assert command == b"\x03SET last_insert_id=CAST(IF(LAST_INSERT_ID()=0,0,LAST_INSERT_ID()) AS UNSIGNED)"


@pytest.mark.parametrize("text", ["CALL p()", "EXECUTE s", "SELECT LAST_INSERT_ID(5)"])
def test_what_may_set_the_insert_id_leaves_it_on_the_backend(story: Story, text: str) -> None:
    story.run(text, ok())

    assert story.residue & INSERT_ID


def test_commands_for_the_insert_id() -> None:
    assert insert_id_command(5, may_be_newer=False) == b"\x03SET last_insert_id=5"
    assert insert_id_command(5, may_be_newer=True) == (
        b"\x03SET last_insert_id=CAST(IF(LAST_INSERT_ID()=0,5,LAST_INSERT_ID()) AS UNSIGNED)"
    )


def test_an_insert_that_fails_may_have_an_insert_id(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1), (1)", err(1062))
    assert story.residue & INSERT_ID
    story.lose_backend(rows([b"Error", b"1062", b"no"]), rows([b"0", b"9", b"0"]))
    assert story.insert_id == 9
    story.run("SELECT nosuch", err(1054))
    assert not story.residue & INSERT_ID


# Warnings and errors


def test_warnings_are_only_on_the_backend_until_they_are_captured(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1/0)", ok(1, warnings=1))

    assert story.residue == DIAGNOSTICS
    assert story.ask("SHOW WARNINGS") is None
    assert story.lose_backend(rows(WARNING)) == [b"\x03SHOW WARNINGS"]
    answer = story.ask("SHOW WARNINGS")
    assert answer is not None
    assert text_rows(answer) == [WARNING]
    assert story.value("SHOW COUNT(*) WARNINGS") == b"1"
    assert story.value("SHOW COUNT(*) ERRORS") == b"0"
    assert story.value("SELECT @@warning_count") == b"1"
    assert story.value("SELECT @@warning_count") == b"0"


def test_errors_are_captured_together_with_all_the_rest(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=7))
    story.run("SELECT nosuch", err(1054))

    # an ERR does not say how many warnings there are
    assert story.lose_backend(rows(WARNING, ERROR), rows([b"0", b"7", b"0"])) == [
        b"\x03SHOW WARNINGS LIMIT 5958",
        *capture_commands(INSERT_ID),
    ]
    answer = story.ask("SHOW ERRORS")
    assert answer is not None
    assert text_rows(answer) == [ERROR]
    assert story.value("SELECT @@error_count") == b"1"


def test_more_warnings_than_are_shown_are_counted(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1/0)", ok(1, warnings=99))
    story.lose_backend(rows(WARNING, WARNING))

    assert story.value("SHOW COUNT(*) WARNINGS") == b"99"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SHOW WARNINGS LIMIT 1", [b"1"]),
        ("SHOW WARNINGS LIMIT 1, 5", [b"2", b"3"]),
        ("SHOW WARNINGS LIMIT 1 OFFSET 2", [b"3"]),
    ],
)
def test_limits_are_applied(story: Story, text: str, expected: list[bytes]) -> None:
    story.run("DO 1/0", ok(warnings=3))
    story.lose_backend(rows(*[[b"Warning", number, b""] for number in (b"1", b"2", b"3")]))

    answer = story.ask(text)

    assert answer is not None
    assert [row[1] for row in text_rows(answer)] == expected


def test_the_next_statement_clears_warnings_on_mysql(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.run("DO 1", ok())
    assert story.residue == 0
    story.run("DO 1/0", ok(warnings=1))
    story.lose_backend(rows(WARNING))
    story.run("SELECT 1", rows([b"1"]))

    assert story.captured is None


def test_only_a_statement_with_a_table_clears_warnings_on_mariadb(maria: Story) -> None:
    maria.run("DO 1/0", ok(warnings=1))
    maria.run("SELECT 1", rows([b"1"]))
    assert maria.residue == DIAGNOSTICS | SOILED
    maria.lose_backend(rows(WARNING))
    maria.run("SET a=1", ok())
    assert maria.value("SELECT @@warning_count") == b"1"
    maria.run("SELECT 1 FROM t", rows([b"1"]))

    assert maria.captured is None


def test_what_a_statement_without_a_table_has_left_is_cleared_before_another_session_comes(
    maria: Story,
) -> None:
    maria.run("DO 1/0", ok(warnings=1))
    assert maria.capture_commands() == [b"\x03SHOW WARNINGS", FORGETS]
    maria.keeper.refused(1243, "Unknown")
    assert (maria.residue, maria.capture_commands()) == (SOILED, [FORGETS])
    maria.run("SELECT 1 FROM t", rows([b"1"]))
    assert (maria.residue, maria.captured) == (0, None)


def test_that_a_backend_was_soiled_is_nothing_to_lose(maria: Story) -> None:
    maria.run("SELECT 1 FROM t", rows([b"1"]))
    soil(maria.keeper)
    assert maria.residue == SOILED
    maria.residue_lost()
    assert maria.lost == 0


def test_only_mariadb_keeps_what_soils(story: Story) -> None:
    soil(story.keeper)
    assert story.residue == 0


@pytest.mark.parametrize("text", ["CALL p()", "SELECT f()", "DO 1; DO 2", "EXECUTE unknown"])
def test_only_the_backend_knows_what_several_statements_have_left(text: str, maria: Story) -> None:
    maria.run(text, ok())
    assert maria.residue & (DIAGNOSTICS | SOILED) == DIAGNOSTICS | SOILED
    assert maria.value("SELECT @@warning_count") is None
    maria.lose_backend(rows(WARNING), COUNTS)
    assert maria.value("SELECT @@warning_count") == b"1"


def test_there_may_be_nothing_after_several_statements(maria: Story) -> None:
    maria.run("SELECT a", err(1054))
    maria.run("CALL p()", ok())
    maria.lose_backend(rows(), COUNTS)
    assert (maria.captured, maria.value("SELECT @@error_count")) == (None, b"0")


def test_an_error_is_kept_by_several_statements(maria: Story) -> None:
    maria.run("SELECT a", err(1054))
    maria.run("CALL p()", ok())
    maria.lose_backend(rows(ERROR), COUNTS)
    assert (maria.captured.error_code, maria.value("SELECT @@error_count")) == (1054, b"1")


def test_several_statements_of_which_one_uses_a_table_replace_what_was_captured(maria: Story) -> None:
    maria.run("DO 1/0", ok(warnings=1))
    maria.lose_backend(rows(WARNING))
    maria.run("CALL p()", ok())
    assert maria.captured is not None
    maria.run("DO 1; SELECT 1 FROM t", rows([b"1"]))
    assert maria.captured is None and maria.native & DIAGNOSTICS


def test_what_several_statements_have_left_is_not_known_when_it_was_lost_before(maria: Story) -> None:
    maria.run("DO 1/0", ok(warnings=1))
    maria.residue_lost()
    maria.run("CALL p()", ok())
    assert maria.reads_lost(classify(b"SHOW WARNINGS", 0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CALL p()", True),
        ("GRANT SELECT ON t TO u", True),
        ("EXECUTE unknown", True),
        ("DO 1; DO 2", True),
        ("DO 1; SHOW WARNINGS", False),
        ("DO 1; SELECT 1 FROM t", False),
        ("SHOW WARNINGS; SHOW ERRORS", False),
        ("SELECT 1 FROM t", False),
        ("DO 1", False),
        ("GET DIAGNOSTICS @n = NUMBER", False),
    ],
)
def test_a_mark_comes_before_what_may_keep_captured_warnings(text: str, expected: bool, maria: Story) -> None:
    statement = classify(text.encode(), 0)
    assert not wants_mark(maria.keeper, statement)
    maria.run("DO 1/0", ok(warnings=1))
    assert not wants_mark(maria.keeper, statement)
    maria.lose_backend(rows(WARNING))
    assert wants_mark(maria.keeper, statement) is expected
    if expected:
        assert statement.needs_prepare


def test_the_error_of_a_try_that_is_repeated_is_shown_to_nobody(maria: Story, story: Story) -> None:
    maria.run("SELECT 1 FROM t", rows([b"1"]))
    assert maria.ask("SHOW WARNINGS") is None
    for each in (maria, story):
        try_failed(each.keeper)
    assert maria.ask("SHOW WARNINGS") is not None
    assert (maria.residue, maria.capture_commands()) == (SOILED, [FORGETS])
    assert story.residue == 0


def test_a_mark_leaves_the_row_count_where_it_cannot_be_written_into_the_text() -> None:
    session = SessionState(VECTOR, AUTOCOMMIT, b"", is_mariadb=True)
    session.completed(classify(b"DO 1/0", 0), response(ok(warnings=1)))
    session.captured_residue([wire(rows(WARNING)), wire(ok())])
    session.lexing = ODD_BYTES
    asking = classify(b"SELECT '\x94\\', ROW_COUNT()", ODD_BYTES)
    assert mark_commands(session, asking) == [MARK]
    session.completed(classify(b"SELECT GET_LOCK('a', 0)", 0), response(rows([b"1"])))
    assert session.captured is not None
    assert mark_commands(session, asking) == [MARK, probe_command(False)]


def marked_session() -> SessionState:
    """Its warning was captured, and a routine is to run after a mark."""
    session = SessionState(VECTOR, AUTOCOMMIT, b"", is_mariadb=True)
    session.completed(classify(b"DO 1/0", 0), response(ok(warnings=1)))
    session.captured_residue([wire(rows(WARNING)), wire(ok())])
    assert mark_commands(session, classify(b"DO 1", 0)) == []
    assert mark_commands(session, classify(b"CALL p()", 0)) == [MARK]
    return session


@pytest.mark.parametrize(
    ("left", "count", "expected"),
    [
        ([MARKED_ROW], b"1", b"Division"),
        ([], b"1", b"Division"),
        ([], b"0", None),
        ([ERROR], b"1", b"Unknown column"),
    ],
)
def test_what_a_mark_becomes_tells_what_captured_warnings_would_have(
    left: list[list[bytes]], count: bytes, expected: bytes | None
) -> None:
    session = marked_session()
    session.completed(classify(b"CALL p()", 0), response(ok()))
    assert is_untidy(session, 0)
    assert commands_before_ours(session)[0] == b"\x03SHOW WARNINGS"
    ours_may_run(session, [wire(rows(*left)), wire(rows([b"1"])), wire(rows([count]))])
    assert not is_untidy(session, 0)
    captured = session.captured
    assert (captured and expected in captured.rows[0]) if expected else captured is None
    assert session.residue & (SOILED | DIAGNOSTICS) == SOILED


def test_a_mark_is_over_when_something_else_was_raised() -> None:
    session = marked_session()
    session.completed(classify(b"CALL p()", 0), response(ok(warnings=1)))
    assert not is_untidy(session, 0)
    assert (session.captured, session.residue & DIAGNOSTICS) == (None, DIAGNOSTICS)


def test_statements_about_warnings_leave_them(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.run("SHOW WARNINGS", rows(WARNING))

    assert story.residue == DIAGNOSTICS


def test_an_answer_clears_warnings_unless_it_is_about_them(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.lose_backend(rows(WARNING))
    story.ask("SHOW WARNINGS")
    assert story.captured is not None
    story.ask("SELECT CONNECTION_ID()")

    assert story.captured is None


def test_an_answer_leaves_warnings_alone_on_mariadb(maria: Story) -> None:
    maria.run("DO 1/0", ok(warnings=1))
    maria.ask("SELECT CONNECTION_ID()")

    assert maria.residue == DIAGNOSTICS | SOILED


def test_an_error_in_the_servers_place_is_shown(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1)", ok())
    story.refused(1243, "Unknown")
    assert story.value("SELECT ROW_COUNT()") == b"-1"
    story.refused(1243, "Unknown")
    shown = text_rows(story.ask("SHOW WARNINGS") or b"")
    assert shown == [[b"Error", b"1243", b"Unknown"]]


def test_found_rows_leaves_a_warning_of_its_own_on_mysql(story: Story) -> None:
    assert story.value("SELECT FOUND_ROWS()") == b"0"
    answer = story.ask("SHOW WARNINGS")

    assert answer is not None
    assert text_rows(answer)[0][1] == b"1287"


def test_found_rows_does_not_warn_when_it_was_prepared_before(story: Story) -> None:
    executed = story.ask("SELECT FOUND_ROWS()", is_execution=True)
    shown = story.ask("SHOW WARNINGS")

    assert executed is not None
    assert shown is not None
    assert packets(executed)[-1][5:7] == b"\0\0"
    assert text_rows(shown) == []


@pytest.mark.parametrize(
    ("statement", "result", "question"),
    [
        ("INSERT INTO t VALUES ()", ok(insert_id=7), "SELECT LAST_INSERT_ID()"),
        ("INSERT INTO t VALUES ()", ok(insert_id=7), "INSERT INTO u VALUES (LAST_INSERT_ID())"),
        ("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"]), "SELECT FOUND_ROWS()"),
        ("DO 1/0", ok(warnings=1), "SHOW WARNINGS"),
        ("DO 1/0", ok(warnings=1), "GET DIAGNOSTICS @a = NUMBER"),
    ],
)
def test_what_was_lost_cannot_be_read(
    story: Story, statement: str, result: list[bytes], question: str
) -> None:
    story.run(statement, result)
    assert not story.reads_lost(classify(question.encode(), 0))
    story.residue_lost()

    assert story.reads_lost(classify(question.encode(), 0))
    assert not story.reads_lost(classify(b"SELECT a FROM t", 0))
    story.residue_lost()
    assert story.reads_lost(classify(question.encode(), 0))


def test_an_answer_replaces_what_was_lost(story: Story) -> None:
    story.run("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"]))
    story.run("INSERT INTO t VALUES ()", ok(insert_id=7, warnings=1))
    story.residue_lost()
    assert story.value("SELECT ROW_COUNT()") is not None

    assert not story.reads_lost(classify(b"SELECT FOUND_ROWS()", 0))
    assert not story.reads_lost(classify(b"SHOW WARNINGS", 0))
    assert story.reads_lost(classify(b"SELECT LAST_INSERT_ID()", 0))


def test_what_was_on_a_lost_backend_is_gone(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.residue_lost()

    assert story.residue == story.native == 0
    assert story.value("SELECT @@warning_count") == b"0"


# Who answers


def test_the_backend_answers_as_long_as_it_is_ours(story: Story) -> None:
    story.run("SELECT a FROM t", rows([b"1"]))

    assert story.native == ROW_COUNT | FOUND_ROWS | DIAGNOSTICS
    for text in ("SELECT ROW_COUNT()", "SELECT FOUND_ROWS()", "SHOW WARNINGS", "SELECT @@error_count"):
        assert story.ask(text) is None


def test_only_the_proxy_knows_the_connection_id(story: Story) -> None:
    story.run("SELECT a FROM t", rows([b"1"]))

    assert story.value("SELECT CONNECTION_ID()") == b"%d" % CONNECTION


def test_no_question_no_answer(story: Story) -> None:
    assert story.ask("SELECT 1") is None


def test_every_question_is_about_something() -> None:
    assert set(BIT_OF) == set(Question) - {Question.NONE}


# The form of answers: as MySQL 9.7 and MariaDB 10.11 send them


def column(answer: bytes | None, i: int = 0) -> bytes:
    assert answer is not None
    return packets(answer)[1 + i]


LONGLONG, LONG, VAR_STRING = 8, 3, 253


@pytest.mark.parametrize(
    ("text", "name", "flags"),
    [
        ("SELECT LAST_INSERT_ID( )", b"LAST_INSERT_ID( )", 0xA1),
        ("SELECT ROW_COUNT() n", b"n", 0x81),
        ("SELECT FOUND_ROWS()", b"FOUND_ROWS()", 0x81),
        ("SELECT CONNECTION_ID()", b"CONNECTION_ID()", 0xA1),
        ("SELECT @@Warning_Count", b"@@Warning_Count", 0xA0),
        ("SHOW COUNT(*) ERRORS", b"@@session.error_count", 0xA0),
    ],
)
def test_numbers_have_the_columns_of_the_server(story: Story, text: str, name: bytes, flags: int) -> None:
    expected = Column(name, LONGLONG, length=21, collation=63, flags=flags)

    assert column(story.ask(text)) == expected.build()


def test_the_connection_id_is_shorter_on_mariadb(maria: Story) -> None:
    expected = Column(b"CONNECTION_ID()", LONG, length=10, collation=63, flags=0xA1)

    assert column(maria.ask("SELECT CONNECTION_ID()")) == expected.build()


@pytest.mark.parametrize(
    ("is_mariadb", "charset", "collation", "width", "expected"),
    [
        (False, b"utf8mb4", b"", 4, 255),
        (True, b"utf8mb4", b"", 4, 45),
        (False, b"utf8mb4", b"utf8mb4_bin", 4, 46),
        (False, b"utf8mb4", b"utf8mb4_klingon_ci", 4, 255),
        (False, b"latin1", b"", 1, 8),
        (True, b"", b"", 3, 33),
    ],
)
def test_warnings_have_the_columns_of_the_server(
    is_mariadb: bool, charset: bytes, collation: bytes, width: int, expected: int
) -> None:
    variables = {b"character_set_results": charset, RESULTS_COLLATION: collation}
    story = Story(is_mariadb=is_mariadb, vector=Vector(b"shop", variables, False))
    decimals = 39 if is_mariadb else 31

    answer = story.ask("SHOW WARNINGS")

    assert (
        column(answer, 0)
        == Column(
            b"Level", VAR_STRING, length=7 * width, collation=expected, flags=1, decimals=decimals
        ).build()
    )
    assert (
        column(answer, 1)
        == Column(b"Code", LONG, length=4 if is_mariadb else 5, collation=63, flags=0xA1).build()
    )
    assert (
        column(answer, 2)
        == Column(
            b"Message", VAR_STRING, length=512 * width, collation=expected, flags=1, decimals=decimals
        ).build()
    )


def test_answers_end_as_the_client_expects(story: Story) -> None:
    new = story.ask("SELECT ROW_COUNT()")
    old = story.ask("SELECT ROW_COUNT()", deprecate_eof=False)

    assert new is not None and old is not None
    assert [payload[:1] for payload in packets(new)] == [b"\x01", b"\x03", b"\x01", b"\xfe"]
    assert packets(new)[-1] == b"\xfe\x00\x00\x02\x00\x00\x00"
    assert packets(old)[2] == packets(old)[-1] == b"\xfe\x00\x00\x02\x00"
    assert [old[3], old[-6]] == [1, 5]


def test_a_payload_of_a_captured_row_goes_out_unchanged(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.lose_backend(rows(WARNING))

    answer = story.ask("SHOW WARNINGS")

    assert answer is not None
    assert packets(answer)[4] == b"".join([lenenc_bytes(value) for value in WARNING])


# Counts written into statements


def test_counts_are_written_in_where_the_backend_does_not_have_them(story: Story) -> None:
    story.keeper.row_count = -1
    story.keeper.found_rows = 5

    assert story.rewrite("SELECT ROW_COUNT(), a, FOUND_ROWS( ) + 1, @@warning_count FROM t") == (
        "SELECT COALESCE(-1,ROW_COUNT()) AS `ROW_COUNT()`, a, COALESCE(5,FOUND_ROWS( )) + 1 "
        "AS `FOUND_ROWS( ) + 1`, @@warning_count FROM t"
    )
    assert story.rewrite("SELECT @@`error_count`, 1") == ("SELECT NULLIF(0|0,-1) AS `@@``error_count```, 1")


def test_a_count_is_written_in_where_restoring_the_insert_id_would_spoil_it(story: Story) -> None:
    story.run("UPDATE t SET a=1", ok(3))
    assert story.rewrite("SELECT ROW_COUNT(), 1") == "SELECT ROW_COUNT(), 1"
    assert story.rewrite("SELECT ROW_COUNT(), LAST_INSERT_ID()") == (
        "SELECT COALESCE(3,ROW_COUNT()) AS `ROW_COUNT()`, LAST_INSERT_ID()"
    )


def test_of_several_statements_the_first_asks_about_the_one_before(story: Story) -> None:
    story.keeper.row_count = 3
    assert story.rewrite("SELECT ROW_COUNT() AS n; SELECT ROW_COUNT()") == (
        "SELECT COALESCE(3,ROW_COUNT()) AS n; SELECT ROW_COUNT()"
    )


def test_other_statements_stay_the_same_object(story: Story) -> None:
    wired = frame(b"\x03SELECT 1")
    assert story.rewritten(classify(b"SELECT 1", 0), wired) is wired
    story.run("UPDATE t SET a=1", ok(1))
    wired = frame(b"\x03SELECT ROW_COUNT(), 1")

    assert story.rewritten(classify(b"SELECT ROW_COUNT(), 1", 0), wired) is wired


# GET DIAGNOSTICS


def get(story: Story, text: str) -> str | None:
    """The statement that is run for it."""
    wired = frame(b"\x03" + text.encode())
    written = story.get_diagnostics(classify(text.encode(), 0), wired)
    return None if written is None else payload_of(written)[1:].decode() if written else ""


NUMBER = "GET DIAGNOSTICS @n=NUMBER"


def stolen(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    assert get(story, NUMBER) == NUMBER
    story.lose_backend(rows(WARNING))


def test_diagnostics_that_were_captured_are_written_in(story: Story) -> None:
    stolen(story)
    assert get(story, NUMBER) == "SET @n=CAST(1 AS UNSIGNED)"
    story.run(NUMBER, ok())
    assert get(story, NUMBER + ";") == "SET @n=CAST(1 AS UNSIGNED);"
    assert story.row_count == 0
    assert not story.native & ROW_COUNT


def test_a_new_backend_has_the_diagnostics_of_others(story: Story) -> None:
    assert get(story, NUMBER) == "SET @n=CAST(0 AS UNSIGNED)"


def test_what_the_server_has_to_say_of_a_get_is_left_to_it(story: Story) -> None:
    stolen(story)
    for text in ("GET DIAGNOSTICS a=NUMBER", "GET STACKED DIAGNOSTICS CONDITION @c @n=MYSQL_ERRNO"):
        assert get(story, text) == text
    assert get(story, "GET DIAGNOSTICS CONDITION @c @n=MYSQL_ERRNO") is None


def test_several_statements_of_which_the_first_gets_diagnostics(story: Story) -> None:
    stolen(story)
    assert get(story, NUMBER + "; SELECT @n") == "SET @n=CAST(1 AS UNSIGNED); SELECT @n"
    assert get(story, NUMBER + "; SHOW WARNINGS") is None
    assert get(story, "DO 1; " + NUMBER) == "DO 1; " + NUMBER


def test_a_condition_that_is_not_there_is_a_warning(story: Story) -> None:
    stolen(story)
    assert get(story, "GET DIAGNOSTICS CONDITION 2 @n=MYSQL_ERRNO") == ""
    assert packets(story.invalid_condition()) == [build_ok(status=AUTOCOMMIT, warnings=1)]
    assert story.captured.warning_count == 2
    assert get(story, "GET DIAGNOSTICS CONDITION 2 @n=MYSQL_ERRNO") == "SET @n=CAST(1758 AS UNSIGNED)"


def test_a_get_on_the_backend_that_has_them_leaves_them(story: Story) -> None:
    story.run("UPDATE t SET a=1", ok(5, warnings=2))
    story.run("GET DIAGNOSTICS CONDITION 9 @n=MYSQL_ERRNO", ok(warnings=1))
    assert (story.row_count, story._warning_count) == (5, 3)
    story.run("GET STACKED DIAGNOSTICS @n=NUMBER", err(3004))
    assert (story.row_count, story._warning_count, story.error_code) == (-1, 3, 0)
    story.run("GET DIAGNOSTICS a=NUMBER", err(1327))
    assert story.error_code == 1327


def test_a_get_finds_the_row_count_of_a_ping(story: Story) -> None:
    statement = classify(b"GET DIAGNOSTICS @r=ROW_COUNT", 0)
    story.run("UPDATE t SET a=1", ok(5, warnings=2))
    assert story.restore_residue(statement) == []
    story.pinged()
    assert story.restore_residue(statement) == [b"\x0e"]
    assert story.restore_residue(statement) == []
    story.keeper.native &= ~ROW_COUNT
    story.keeper.row_count = -1
    assert story.restore_residue(statement) == [b"\x1b\x01\x00"]


def test_commands_that_probe() -> None:
    assert (probe_command(True), probe_command(False)) == (b"\x1b\x00\x00", b"\x1b\x01\x00")


def test_what_keeps_the_diagnostics(story: Story, maria: Story) -> None:
    show, no_table = classify(b"SHOW WARNINGS", 0), classify(b"DO 1", 0)
    getting = classify(NUMBER.encode(), 0)
    fine, failed = response(ok()), response(err(1327))
    assert story.keeps_diagnostics(show, fine)
    assert not story.keeps_diagnostics(no_table, fine)
    assert maria.keeps_diagnostics(no_table, fine)
    assert not maria.keeps_diagnostics(no_table, response(ok(warnings=1)))
    assert story.keeps_diagnostics(getting, fine)
    assert story.keeps_diagnostics(getting, response(err(3004)))
    assert not story.keeps_diagnostics(getting, failed)


# FOUND_ROWS() after other statements


def matched(affected_rows: int, message: bytes) -> list[bytes]:
    return [build_ok(status=AUTOCOMMIT, affected_rows=affected_rows, message=message)]


def test_an_update_finds_what_it_matched_on_mysql(story: Story, maria: Story) -> None:
    for each, expected in ((story, 3), (maria, 0)):
        each.run("UPDATE t SET a=1", matched(1, b"Rows matched: 3  Changed: 1  Warnings: 0"))
        assert each.found_rows == expected
    story.run("UPDATE t SET a=1", ok(2))
    assert story.found_rows == 2


def test_an_update_without_a_match_leaves_it_to_the_backend(story: Story) -> None:
    story.run("UPDATE t SET a=1", matched(0, b"Rows matched: 0  Changed: 0  Warnings: 0"))
    assert (story.found_rows, story.residue) == (0, 0)
    # the backend may have kept what another session left there
    assert story.rewrite("SELECT FOUND_ROWS() + 1 AS a") == "SELECT COALESCE(0,FOUND_ROWS()) + 1 AS a"
    story.run("SELECT a FROM t", rows([b"1"]))
    story.run("UPDATE t SET a=1", matched(0, b"Rows matched: 0  Changed: 0  Warnings: 0"))
    assert story.residue == FOUND_ROWS


@pytest.mark.parametrize(
    "condition", ["WHERE 1=0", "where (0 <> 0);", "WHERE FALSE", "LIMIT 0", "WHERE NULL"]
)
def test_an_update_that_can_match_nothing_leaves_found_rows(condition: str, story: Story) -> None:
    nothing = matched(0, b"Rows matched: 0  Changed: 0  Warnings: 0")
    found_three(story)
    story.run(f"UPDATE t SET a=1 {condition}", nothing)
    assert story.value("SELECT FOUND_ROWS()") == b"3"
    story.run(f"UPDATE t SET a=1 -- {condition}", matched(2, b"Rows matched: 2  Changed: 0  Warnings: 0"))
    assert story.found_rows == 2


@pytest.mark.parametrize(
    "condition", ["WHERE 1=1", "WHERE 0=0", "WHERE a=0", "WHERE b <> 0", "LIMIT 10", "", "WHERE 0 OR b"]
)
def test_an_update_that_may_match_something_counts(condition: str, story: Story) -> None:
    found_three(story)
    story.run(f"UPDATE t SET a=1 {condition}", matched(0, b"Rows matched: 0  Changed: 0  Warnings: 0"))
    assert story.value("SELECT FOUND_ROWS()") == b"0"


def test_what_leaves_found_rows_on_one_server_only(story: Story, maria: Story) -> None:
    for each in (story, maria):
        each.run("SELECT a FROM t", rows([b"1"], [b"2"]))
        each.run("SET sql_notes=(SELECT 1)", ok())
    assert (story.residue, maria.residue) == (0, FOUND_ROWS)
    for each in (story, maria):
        each.run("SELECT a FROM t", rows([b"1"], [b"2"]))
        each.run("DO 1", ok())
    assert (story.found_rows, maria.found_rows) == (1, 2)


def test_select_into_without_a_table_counts_nothing_on_mariadb(story: Story, maria: Story) -> None:
    for each in (story, maria):
        each.run("SELECT 1 INTO @a", ok(1))
    assert (story.found_rows, maria.found_rows) == (1, 0)


def test_a_call_may_leave_found_rows(story: Story) -> None:
    story.run("CALL p()", ok())
    assert not story.residue & FOUND_ROWS
    story.run("CALL p()", rows([b"1"], status=AUTOCOMMIT | MORE_RESULTS), ok())
    assert story.residue & FOUND_ROWS


# Counts that are about to be overwritten


def test_what_restoring_the_insert_id_overwrites_is_written_in(story: Story) -> None:
    story.run("UPDATE t SET a=1", ok(3, warnings=2))
    assert story.rewrite("SELECT LAST_INSERT_ID(), ROW_COUNT(), @@warning_count, @@error_count") == (
        "SELECT LAST_INSERT_ID(), COALESCE(3,ROW_COUNT()) AS `ROW_COUNT()`, NULLIF(2|0,-1) AS `@@warning_count`, "
        "NULLIF(0|0,-1) AS `@@error_count`"
    )


def test_texts_are_told_in_the_character_set_of_the_results() -> None:
    story = Story(is_mariadb=True)
    stolen(story)
    story.keeper.captured = Captured([b"\x05Error\x041054\x02\xc3\xa4"], 1)
    story.keeper.vector = Vector.fresh(b"shop", {b"character_set_results": b"latin1"})
    answer = story.ask("SHOW WARNINGS")
    assert answer is not None
    assert text_rows(answer) == [[b"Error", b"1054", b"\xe4"]]


def test_warnings_may_be_read_off_the_sessions_own_lease(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.warnings_captured(wire(rows(WARNING)))
    assert story.captured.warning_count == 1


# User variables and what is too much

DOUBLE, LONGLONG = 5, 8


def assign(story: Story) -> None:
    """@a may have been assigned."""
    story.keeper.variables = assigned(story.variables, (b"a",))
    story.keeper.residue |= USER_VARIABLES


def variable(kind: int, value: bytes) -> bytes:
    """The answer to the question for @a."""
    columns = [Column(b"@a", kind, collation=63), Column(b"c"), Column(b"h")]
    return wire(rows([value, b"binary", None], columns=columns))


def test_user_variables_are_captured_last_and_all_else_is_known_then(story: Story) -> None:
    assign(story)
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5, warnings=1))
    warnings, counts, variables = story.capture_commands()
    assert (warnings[:5], counts[:7], variables[:10]) == (b"\x03SHOW", b"\x03SELECT", b"\x03SELECT @`a`"[:10])

    answers = [wire(rows(WARNING)), wire(rows([b"0", b"5", b"0"])), variable(LONGLONG, b"7")]
    assert story.captured_residue(answers) == CAPTURED
    assert (story.residue, story.insert_id, story.captured.warning_count) == (0, 5, 1)
    assert story.variables.values == {b"a": b"@`a`=7"}
    assert story.capture_commands() == []


def test_the_signs_of_zeros_are_asked_for_before_the_backend_is_free(maria: Story) -> None:
    assign(maria)
    assert maria.captured_residue([variable(DOUBLE, b"0")]) == CAPTURING
    assert maria.capture_commands() == [b"\x03SELECT ATAN2(@`a`,-1)<0 LIMIT 1"]
    assert maria.captured_residue([wire(rows([b"1"]))]) == CAPTURED
    assert (maria.residue, maria.variables.values) == (0, {b"a": b"@`a`=-0e0"})


@pytest.mark.parametrize(("names", "result"), [([], CAPTURED), ([b"61"], CAPTURING)])
def test_user_variables_of_unknown_names_are_asked_for_when_nothing_else_is_left(
    maria: Story, names: list[bytes], result: int
) -> None:
    maria.run("SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 1", rows([b"1"]))
    maria.keeper.variables = with_others(None)
    maria.keeper.residue |= USER_VARIABLES

    assert not maria.is_asking_names()
    assert [b"FOUND_ROWS()" in command for command in maria.capture_commands()] == [True]
    assert maria.captured_residue([wire(rows([b"5", b"0", b"0"]))]) == CAPTURING
    assert maria.is_asking_names() and maria.keeper.found_rows == 5
    assert maria.capture_commands() == [NAMES_COMMAND]
    assert maria.captured_residue([wire(rows(*[[name] for name in names]))]) == result
    assert [b"@`a`" in command for command in maria.capture_commands()] == [True] * len(names)


def test_the_backend_is_kept_when_the_names_are_refused(maria: Story) -> None:
    maria.keeper.variables = with_others(None)
    maria.keeper.residue = USER_VARIABLES

    assert maria.capture_commands() == [NAMES_COMMAND]
    assert maria.captured_residue([]) == KEEPS_VARIABLES


def test_lost_user_variables_of_unknown_names_are_missed_by_what_names_one(maria: Story) -> None:
    maria.keeper.variables = with_others(None)
    maria.keeper.residue = USER_VARIABLES
    maria.residue_lost()

    assert maria.variables is None
    assert not maria.reads_lost(classify(b"INSERT INTO t VALUES (1)", 0))
    assert maria.reads_lost(classify(b"SELECT @a", 0))
    maria.run("SET @a = 1", ok())
    maria.keeper.variables = assigned(with_others(None), (b"a",))
    maria.keeper.residue = USER_VARIABLES
    maria.residue_lost()
    assert maria.reads_lost(classify(b"INSERT INTO t VALUES (1)", 0))


def test_user_variables_that_are_too_large_stay_and_all_else_is_known(story: Story) -> None:
    assign(story)
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5))
    answers = [wire(rows([b"0", b"5", b"0"])), variable(LONGLONG, b"7")]
    assert story.captured_residue(answers, 3) == KEEPS_VARIABLES
    assert (story.residue, story.insert_id) == (USER_VARIABLES, 5)


def test_warnings_that_are_too_large_stay_with_all_else(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5, warnings=1))
    assert story.capture_commands(100)[0].startswith(b"\x03SHOW WARNINGS LIMIT ")
    large = [b"Warning", b"1365", b"x" * 200]
    assert story.captured_residue([wire(rows(large))], 100) == KEEPS_WARNINGS
    assert (story.residue, story.captured) == (DIAGNOSTICS | INSERT_ID, None)


def test_warnings_that_might_have_been_too_large_are_captured_before_all_else(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5, warnings=1))
    assert story.captured_residue([wire(rows(WARNING))], 100) == CAPTURING
    assert (story.residue, story.captured.warning_count) == (INSERT_ID, 1)
    story.run("DO 1/0", ok(warnings=1))
    story.keeper.residue = DIAGNOSTICS
    assert story.captured_residue([wire(rows(WARNING))], 100) == CAPTURED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", False),
        ("SELECT @a", True),
        ("SELECT a FROM t", True),
        ("CALL p()", True),
        ("BEGIN", True),
    ],
)
def test_lost_user_variables_are_missed_by_what_may_read_them(
    story: Story, text: str, expected: bool
) -> None:
    assign(story)
    story.residue_lost()

    assert (story.variables, story.lost & USER_VARIABLES) == (None, USER_VARIABLES)
    assert story.reads_lost(classify(text.encode(), 0)) is expected


def test_user_variables_that_were_captured_are_not_lost_with_a_backend(story: Story) -> None:
    assign(story)
    story.captured_residue([variable(LONGLONG, b"7")])
    story.residue_lost()

    assert story.variables.values == {b"a": b"@`a`=7"}
    assert not story.reads_lost(classify(b"SELECT @a", 0))


# Commands that begin no statement


def command(story: Story, number: int, *answers: list[bytes]) -> None:
    story.see_diagnostics(story.see_command(number), response(*answers))


def shown(story: Story) -> list[bytes]:
    answer = story.ask("SHOW WARNINGS")
    assert answer is not None
    return [row[1] or b"" for row in text_rows(answer)]


def test_what_fails_without_a_statement_comes_on_top_on_mysql(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.lose_backend(rows(WARNING))
    command(story, 0x02, err(1049))
    assert story.repeated_count() == 2
    command(story, 0x1C, err(1421))
    assert story.value("SELECT @@error_count") == b"2"


def test_a_cursors_own_error_is_all_that_is_counted(story: Story) -> None:
    for _ in range(2):
        story.refused(1421, "no open cursor", COUNTING_ANEW.flags)
        assert story.repeated_count() == 1
    assert shown(story) == [b"1421", b"1421"]
    story.refused(1047, "Unknown command", ADDING.flags)
    story.statement_was_reset()
    assert (story.repeated_count(), story.row_count) == (0, 0)


def test_mysql_warns_of_a_deprecated_command_and_does_not_count_it(story: Story, maria: Story) -> None:
    for each in (story, maria):
        command(each, 0x04, rows())
    assert story.repeated_count() == 0
    assert shown(story) == [b"1287"]
    assert maria.captured is None
    command(story, 0x04, err(1146))
    assert story.repeated_count() == 1
    assert shown(story) == [b"1287", b"1287", b"1146"]


def test_what_comes_on_top_on_the_backend_is_there(story: Story) -> None:
    story.run("DO 1", ok())
    command(story, 0x04, rows())
    assert story.residue & DIAGNOSTICS
    assert story.captured is None
    story.run("DO 1/0", ok(warnings=2))
    assert story.has_unread_diagnostics()
    command(story, 0x02, err(1049))
    story.lose_backend(rows(WARNING, WARNING))
    assert story.value("SELECT @@warning_count") == b"3"
    # how many an error left is not known before it is asked for
    story.run("SELEC", err(1064))
    command(story, 0x02, err(1049))
    story.lose_backend(rows(WARNING, WARNING))
    assert story.repeated_count() == 2
    story.run("SELEC", err(1064))
    command(story, 0x0D, rows())
    assert story.pinged() == 1
    story.lose_backend(rows(ERROR))
    story.refused(1047, "Unknown command", ADDING.flags)
    assert story.repeated_count() == 2


def test_no_more_is_shown_than_the_session_wants(story: Story) -> None:
    story.keeper.vector = story.vector.with_variables([(b"max_error_count", b"1")])
    command(story, 0x02, err(1049))
    command(story, 0x02, err(1044))
    assert shown(story) == [b"1049"]
    assert story.value("SELECT @@warning_count") == b"2"


def test_what_comes_on_top_leaves_the_rest(story: Story, maria: Story) -> None:
    for each in (story, maria):
        each.run("DO 1/0", ok(warnings=1))
    failure = response(err(1049))
    assert story.keeps_diagnostics(ADDING, failure)
    assert not maria.keeps_diagnostics(ADDING, failure)


# Prepared text on MySQL

ASKING = "PREPARE p FROM 'SELECT FOUND_ROWS() + 1'"
THREE = b"\x03SELECT 1 FROM (SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1) AS t LIMIT 3"


def restored(story: Story, text: str) -> list[bytes]:
    commands: list[bytes] = story.restore_residue(classify(text.encode(), 0))
    return commands


def prepares(story: Story, text: str) -> None:
    story.run(text, ok())
    story.keeper._texts.update(dict(classify(text.encode(), 0).prepares))


def found_three(story: Story) -> None:
    story.run("SELECT a FROM t", rows([b"1"], [b"2"], [b"3"]))
    story.moved()


def test_prepared_text_finds_the_found_rows_of_before(story: Story, maria: Story) -> None:
    for each in (story, maria):
        found_three(each)
    assert restored(story, ASKING) == [b"\x03SET last_insert_id=0", THREE]
    assert restored(story, ASKING) == []
    assert restored(maria, ASKING) == [b"\x03SET last_insert_id=0"]
    assert found_rows_command(0) == b"\x03SELECT 1 FROM (SELECT 1) AS t LIMIT 0"
    assert found_rows_command(300).endswith(b" LIMIT 299,1")


THREE_WITHOUT_TABLE = b"\x03SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 1 LIMIT 3"


@pytest.mark.parametrize(
    "text",
    [
        "SET @a = (SELECT 1)",
        "DO (SELECT 1)",
        "CREATE TABLE IF NOT EXISTS t SELECT 1",
        "UPDATE t SET a = (SELECT MAX(b) FROM u)",
        "DELETE FROM t WHERE a = (SELECT 1)",
        "INSERT INTO t VALUES ((SELECT 1))",
        "SET @a = (SELECT 1); SET @b = 1",
        "CALL p()",
    ],
)
def test_a_subquery_on_mariadb_finds_the_found_rows_that_it_may_leave(text: str, maria: Story) -> None:
    found_three(maria)
    assert restored(maria, text).count(THREE_WITHOUT_TABLE) == 1
    maria.run(text, ok())
    assert maria.residue & FOUND_ROWS
    maria.run("SELECT a FROM t", rows([b"1"]))
    assert THREE_WITHOUT_TABLE not in restored(maria, text)


@pytest.mark.parametrize("text", ["SET @a = 1", "UPDATE t SET a = 1", "INSERT INTO t SELECT a FROM u"])
def test_others_on_mariadb_are_given_none(text: str, maria: Story) -> None:
    found_three(maria)
    assert THREE_WITHOUT_TABLE not in restored(maria, text)


def test_warnings_on_the_backend_outlive_the_found_rows_that_it_is_given_on_mariadb(maria: Story) -> None:
    assert found_rows_command(0, is_mariadb=True) == b"\x03SELECT 1 LIMIT 0"
    many = found_rows_command(MOST_WITHOUT_TABLE + 1)
    assert found_rows_command(MOST_WITHOUT_TABLE + 1, is_mariadb=True) == many
    found_three(maria)
    maria.run("SELECT 1/0 INTO @a", ok(warnings=1))
    maria.keeper.native &= ~FOUND_ROWS
    maria.keeper.found_rows = 3
    assert maria.rewrite("SET @a = (SELECT @@warning_count)") == "SET @a = (SELECT @@warning_count)"
    assert THREE_WITHOUT_TABLE in restored(maria, "SET @a = (SELECT 1)")
    assert maria.residue & DIAGNOSTICS
    maria.keeper.native &= ~FOUND_ROWS
    maria.keeper.found_rows = MOST_WITHOUT_TABLE + 1
    assert many not in restored(maria, "SET @a = (SELECT 1)")
    maria.moved()
    assert many in restored(maria, "SET @a = (SELECT 1)")


@pytest.mark.parametrize(
    "text", ["PREPARE p FROM 'SELECT 1'", "PREPARE p FROM 'SELECT FOUND_ROWS()'; SET @a=1"]
)
def test_text_that_cannot_ask_is_given_no_found_rows(story: Story, text: str) -> None:
    found_three(story)
    assert THREE not in restored(story, text)


def test_more_found_rows_than_are_restored_stay_away(story: Story) -> None:
    story.run(f"SELECT a FROM t LIMIT {MOST_FOUND_ROWS}, 1", rows([b"1"]))
    story.moved()
    assert len(restored(story, ASKING)) == 1


def test_an_execution_finds_the_counts_that_an_answer_of_ours_has_left(story: Story) -> None:
    found_three(story)
    restored(story, ASKING)
    prepares(story, ASKING)
    story.ask("SELECT CONNECTION_ID()")
    *_, found_rows, row_count = restored(story, "EXECUTE p")
    assert (found_rows, row_count) == (b"\x03SELECT 1 FROM (SELECT 1) AS t LIMIT 1", probe_command(False))
    story.keeper.native = INSERT_ID
    story.keeper.row_count = 5
    assert restored(story, "EXECUTE p") == [found_rows]


def test_an_update_that_is_executed_by_a_name_finds_the_found_rows_of_before(story: Story) -> None:
    prepares(story, "PREPARE p FROM 'UPDATE t SET a=1 WHERE id=?'")
    found_three(story)
    assert THREE in restored(story, "EXECUTE p USING @nothing")


def test_prepared_text_that_leaves_found_rows_alone_is_known_to(story: Story) -> None:
    prepares(story, "PREPARE p FROM 'INSERT IGNORE INTO t VALUES (1)'")
    story.run("EXECUTE p", ok())
    assert not story.residue & FOUND_ROWS
    story.run("EXECUTE unknown", ok())
    assert story.residue & FOUND_ROWS


def test_the_last_of_several_results_has_the_row_count(story: Story) -> None:
    story.run("SELECT 1; COMMIT", rows([b"1"], status=MORE_RESULTS), ok())
    assert story.row_count == 0
    story.run("UPDATE t SET a=1; SELECT 1", ok(3, status=MORE_RESULTS), rows([b"1"]))
    assert story.row_count == -1


@pytest.mark.parametrize(
    ("text", "code", "is_unknown"),
    [
        ("SELECT 18446744073709551615 + 1", 1690, True),
        ("INSERT INTO t SELECT 1", 1062, True),
        ("CREATE TABLE t AS SELECT 18446744073709551615 + 1", 1690, True),
        ("SELECT nope", 1054, False),
        ("INSERT INTO t VALUES (1)", 1062, False),
    ],
)
def test_a_query_that_fails_at_a_row_leaves_a_count_on_mariadb(
    text: str, code: int, is_unknown: bool, story: Story, maria: Story
) -> None:
    for each in (story, maria):
        each.run("SELECT 1", rows([b"1"]))
        each.keeper.moved()
        each.run(text, err(code))
    assert story.value("SELECT FOUND_ROWS()") == b"1"
    assert maria.value("SELECT FOUND_ROWS()") == (None if is_unknown else b"1")


@pytest.mark.parametrize("text", ["INSERT INTO t VALUES (1); SELECT 1", "SELECT 1; DO 1", "DO 1; SELECT 1"])
def test_several_statements_find_found_rows_in_case_that_one_fails(
    text: str, story: Story, maria: Story
) -> None:
    for each, three in ((story, THREE), (maria, THREE_WITHOUT_TABLE)):
        found_three(each)
        assert three in restored(each, text)
        each.refused(1062, "no")
        each.run(text, err(1062))
        assert each.value("SELECT FOUND_ROWS()") is None
        found_three(each)
        assert three not in restored(each, "SET @a=1; INSERT INTO t VALUES (1)")


def test_several_statements_may_ask_for_warnings_that_restoring_clears(story: Story, maria: Story) -> None:
    asking, other = (classify(text, 0) for text in (b"SHOW WARNINGS; SELECT 1", b"SELECT 1; SELECT 2"))
    for each in (story, maria):
        assert not each.spoils_diagnostics(asking)
        each.run("SELECT 1/0 FROM t", rows([None], warnings=1))
    assert story.spoils_diagnostics(asking)
    assert not story.spoils_diagnostics(other)
    assert not maria.spoils_diagnostics(asking)
    story.keeper.native |= INSERT_ID
    assert not story.spoils_diagnostics(asking)


def test_the_last_of_several_statements_may_show_the_warnings_of_another(story: Story) -> None:
    story.run("SELECT 1/0; SHOW WARNINGS", rows([None], status=MORE_RESULTS, warnings=1), rows(WARNING))
    assert story.residue & DIAGNOSTICS
    story.lose_backend(rows(WARNING), rows([b"1", b"0", b"0"]))
    assert (story.repeated_count(), shown(story)) == (0, [b"1365"])


def test_the_sqlstate_of_the_first_error_is_kept(story: Story) -> None:
    story.run("CALL p()", err(1644, b"45000"))
    command(story, 0x02, err(1049))
    assert (story.error_code, story.error_sqlstate) == (1644, b"45000")


def test_no_warning_about_a_text_is_counted_where_none_are_kept(story: Story) -> None:
    story.keeper.vector = story.vector.with_variables([(b"max_error_count", b"0")])
    answer = story.ask("SELECT FOUND_ROWS()")
    assert answer is not None
    assert parse_ok(packets(answer)[-1], False).warnings == 0
    assert story.value("SELECT @@warning_count") == b"0"


def test_a_cursor_has_found_rows_that_were_not_sent(story: Story) -> None:
    opened = [b"\x01", Column(b"a").build(), build_ok(status=AUTOCOMMIT | CURSOR_EXISTS, header=0xFE)]
    story.keeper.see_residue(classify(b"SELECT a FROM t", 0), response(opened, command=0x17))
    assert story.residue & FOUND_ROWS


@pytest.mark.parametrize(
    ("text", "on_mysql", "on_mariadb"),
    [
        ("INSERT INTO t VALUES (6); UPDATE t SET a=1", False, True),
        ("DO 1; SET @a=1", False, True),
        ("DELETE FROM t WHERE a IN (SELECT 1); COMMIT", False, False),
        ("SET @b=1; SET @a=1", True, True),
        ("SHOW WARNINGS; SET @a=1", True, True),
        ("SET @b=(SELECT 1); SET @a=1", False, False),
        ("DO 1; SELECT 1", False, False),
        ("DO 1; CALL p()", False, False),
        ("INSERT INTO t SELECT 1; DO 1", False, False),
    ],
)
def test_several_statements_that_count_nothing_leave_found_rows(
    text: str, on_mysql: bool, on_mariadb: bool, story: Story, maria: Story
) -> None:
    for each in (story, maria):
        each.run("SELECT a FROM t", rows([b"1"], [b"2"]))
        each.keeper.moved()
        each.run(text, ok(status=MORE_RESULTS), ok())
    assert story.value("SELECT FOUND_ROWS()") == (b"2" if on_mysql else None)
    assert maria.value("SELECT FOUND_ROWS()") == (b"2" if on_mariadb else None)


def test_what_was_counted_before_another_statement_of_the_text_failed_is_on_the_backend(
    story: Story, maria: Story
) -> None:
    for each in (story, maria):
        each.run("SELECT 1; nope", rows([b"1"], status=MORE_RESULTS), err(1064))
        assert each.residue & FOUND_ROWS
        found_three(each)
        each.run("nope; SELECT 1", err(1064))
        assert each.value("SELECT FOUND_ROWS()") == b"3"


def test_with_a_limit_of_the_session_only_the_backend_knows_found_rows(story: Story, maria: Story) -> None:
    for each in (story, maria):
        each.keeper.vector = VECTOR.with_variables([(SELECT_LIMIT, b"1")])
        each.run("SELECT 1 UNION SELECT 2", rows([b"1"]))
        assert each.value("SELECT FOUND_ROWS()") is None


def test_with_a_limit_of_none_there_is_no_row_that_could_tell(story: Story) -> None:
    story.run("INSERT INTO t VALUES ()", ok(insert_id=7))
    story.lose_backend(rows([b"3", b"7", b"0"]))
    story.keeper.vector = VECTOR.with_variables([(SELECT_LIMIT, b"0")])
    answer = story.ask("SELECT LAST_INSERT_ID()")
    assert answer is not None and text_rows(answer) == []
    assert story.found_rows == 0
    story.keeper.vector = VECTOR
    assert story.value("SELECT LAST_INSERT_ID()") == b"7"


def test_a_routine_finds_the_found_rows_of_before_on_mysql(story: Story, maria: Story) -> None:
    for each in (story, maria):
        found_three(each)
    assert restored(story, "CALL p()") == [b"\x03SET last_insert_id=0", THREE, probe_command(False)]
    assert restored(story, "CALL p()") == []
    assert THREE not in restored(maria, "CALL p()")
    found_three(story)
    prepares(story, "PREPARE p FROM 'CALL p()'")
    story.moved()
    assert THREE in restored(story, "EXECUTE p")
    story.moved()
    assert THREE in restored(story, "PREPARE q FROM 'SET @a=1'; EXECUTE q")


def test_counts_that_are_restored_for_a_routine_are_written_in(story: Story) -> None:
    found_three(story)
    story.run("UPDATE t SET a=1 WHERE b=1; SET @a=1", ok(status=MORE_RESULTS), ok())
    story.keeper.native = INSERT_ID | ROW_COUNT | DIAGNOSTICS
    story.keeper.residue = DIAGNOSTICS
    assert story.rewrite("SELECT ROW_COUNT() AS a; CALL p()") == (
        "SELECT COALESCE(0,ROW_COUNT()) AS a; CALL p()"
    )
    assert story.spoils_diagnostics(classify(b"SHOW WARNINGS; CALL p()", 0))


def test_a_get_finds_a_row_count_that_is_only_known_here(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1)", ok(1, insert_id=7))
    story.statement_was_reset()
    assert restored(story, "GET DIAGNOSTICS @r = ROW_COUNT") == [b"\x0e"]
    assert restored(story, "GET DIAGNOSTICS @r = ROW_COUNT") == []


def test_a_text_that_is_not_believed_finds_the_row_count(story: Story) -> None:
    story.run("SELECT 1", rows([b"1"]))
    story.moved()
    story.keeper.lexing = ODD_BYTES
    asking = classify(b"SELECT '\x81`', ROW_COUNT()", ODD_BYTES)
    one = b"\x03SELECT 1 FROM (SELECT 1) AS t LIMIT 1"
    # a query leaves -1
    assert story.restore_residue(asking) == [b"\x03SET last_insert_id=0", one]
    story.run("SET @a = 1", ok())
    assert story.restore_residue(asking) == []
    # commands of ours have run on the lease since
    story.keeper.native &= INSERT_ID
    assert story.restore_residue(asking) == [one, b"\x0e"]


# What MySQL has counted, and shows later

HIDES = "CREATE TABLE x AS SELECT a FROM t"


def test_what_hides_its_count_finds_the_sessions_and_keeps_the_backend(story: Story, maria: Story) -> None:
    for each in (story, maria):
        found_three(each)
    assert restored(story, HIDES)[-1] == THREE
    assert THREE not in restored(maria, HIDES)
    for each in (story, maria):
        each.run(HIDES, ok(7))
    assert (story.pin_reasons(), maria.pin_reasons()) == ([PinReason.FOUND_ROWS], [])
    assert (story.found_rows, story.residue & FOUND_ROWS) == (3, 0)
    story.run("INSERT INTO t VALUES (1)", ok(1))
    assert story.residue & FOUND_ROWS
    story.run(HIDES, ok(7))
    story.run("SHOW WARNINGS", rows())
    assert story.pin_reasons() == [PinReason.FOUND_ROWS]
    story.run("SELECT a FROM t", rows([b"1"]))
    assert (story.pin_reasons(), story.found_rows, story.residue & FOUND_ROWS) == ([], 1, 0)


def test_restoring_the_insert_id_leaves_what_is_hidden(story: Story) -> None:
    restored(story, HIDES)
    story.run(HIDES, ok(7))
    restored(story, "SELECT f()")
    story.refused(1305, "no")
    story.run("INSERT INTO t VALUES (1)", ok(1))
    assert story.residue & FOUND_ROWS


def test_an_answer_of_ours_is_a_query_that_counts(story: Story) -> None:
    restored(story, HIDES)
    story.run(HIDES, ok(7))
    assert story.value("SELECT CONNECTION_ID()") is not None
    assert story.pin_reasons() == []
    assert story.found_rows == 1


def test_what_was_not_restored_is_not_asked_for(story: Story) -> None:
    story.run(f"SELECT a FROM t LIMIT {MOST_FOUND_ROWS}, 1", rows([b"1"]))
    story.moved()
    restored(story, HIDES)
    story.run(HIDES, ok(7))
    story.run("INSERT INTO t VALUES (1)", ok(1))
    assert not story.residue & FOUND_ROWS


def test_what_may_count_nothing_finds_the_sessions(story: Story) -> None:
    found_three(story)
    assert restored(story, "INSERT INTO t VALUES ((SELECT 5))")[-1] == THREE
    story.moved()
    prepares(story, "PREPARE p FROM 'UPDATE t SET a = (SELECT 1)'")
    assert THREE in restored(story, "EXECUTE p")


def test_an_update_that_the_optimizer_may_rule_out_finds_the_sessions(story: Story) -> None:
    doubtful = "UPDATE t SET a=1 WHERE id BETWEEN 5 AND 3"
    assert restored(story, doubtful) == []
    found_three(story)
    assert restored(story, doubtful) == [THREE]
    story.run(doubtful, matched(0, b"Rows matched: 0  Changed: 0  Warnings: 0"))
    assert story.residue == FOUND_ROWS


# Text that may not be understood


def odd(story: Story, text: bytes) -> list[bytes]:
    """What is restored for it in a session whose text may not be understood."""
    story.keeper.lexing = ODD_BYTES
    commands: list[bytes] = story.restore_residue(classify(text, ODD_BYTES))
    return commands


def test_what_text_that_is_not_understood_may_ask_for_is_restored_early(story: Story, maria: Story) -> None:
    for each, three in ((story, THREE), (maria, THREE_WITHOUT_TABLE)):
        found_three(each)
        assert odd(each, b"UPDATE t SET a=1") == [b"\x03SET last_insert_id=0", three]
        each.run("UPDATE t SET a=1", ok(5))
        assert odd(each, b"SELECT ROW_COUNT(), '\xd5\\'") == []


def test_what_asks_for_warnings_does_not_lose_them_for_that(story: Story) -> None:
    found_three(story)
    story.run("SELECT a FROM t", rows([b"1"], [b"2"], warnings=1))
    assert odd(story, b"SHOW WARNINGS") == []


@pytest.mark.parametrize(
    ("text", "found_rows"),
    [
        ("VALUES (1),(2)", 3),
        ("(VALUES (1),(2)) LIMIT 1", 3),
        ("WITH a AS (SELECT 1) VALUES (1),(2)", 3),
        ("VALUES ROW(1),ROW(2)", 2),
        ("VALUES (1),(2) ORDER BY 1", 2),
        ("(VALUES (1)) UNION (VALUES (2))", 2),
        ("WITH a AS (SELECT 1) SELECT VALUES(b) FROM (VALUES (1),(2)) c", 2),
    ],
)
def test_plain_values_leave_found_rows_on_mariadb(text: str, found_rows: int, maria: Story) -> None:
    found_three(maria)
    maria.run(text, rows([b"1"], [b"2"]))
    assert (maria.found_rows, maria.residue & FOUND_ROWS) == (found_rows, 0)


def test_values_with_a_subquery_may_leave_found_rows(maria: Story) -> None:
    found_three(maria)
    assert THREE_WITHOUT_TABLE in restored(maria, "VALUES ((SELECT 1))")
    maria.run("VALUES ((SELECT 1))", rows([b"1"]))
    assert maria.residue & FOUND_ROWS


def test_fetching_leaves_what_was_answered_meanwhile(story: Story) -> None:
    story.run("INSERT INTO t VALUES ()", ok(insert_id=7))
    story.lose_backend(rows([b"3", b"7", b"0"]))
    story.keeper.see_residue(
        classify(b"SELECT a FROM t", 0), response(rows([b"1"], status=AUTOCOMMIT | CURSOR_EXISTS))
    )
    assert story.value("SELECT LAST_INSERT_ID()") == b"7"
    story.keeper.see_residue(COUNTING_ANEW, response(rows([b"1"], status=AUTOCOMMIT | CURSOR_EXISTS)))
    assert story.value("SELECT FOUND_ROWS()") == b"1"


def test_where_strings_are_in_utf16_the_mark_is_no_signal() -> None:
    session = SessionState(VECTOR, AUTOCOMMIT, b"", is_mariadb=True)
    session.vector = session.vector.with_variables(
        [(b"character_set_connection", b"utf16"), (b"collation_connection", b"utf16_bin")]
    )
    session.completed(classify(b"DO 1/0", 0), response(ok(warnings=1)))
    session.captured_residue([wire(rows(WARNING)), wire(ok())])
    assert mark_commands(session, classify(b"CALL p()", 0)) == [WIDE_MARK]


@pytest.mark.parametrize(
    "text",
    ["EXECUTE IMMEDIATE 'SELECT ?' USING LAST_INSERT_ID()", "SET STATEMENT a=LAST_INSERT_ID(5) FOR SELECT 1"],
)
def test_an_insert_id_that_is_asked_for_around_an_executed_text_is_restored_and_may_be_new(text: str) -> None:
    session = SessionState(VECTOR, AUTOCOMMIT, b"", is_mariadb=True)
    session.completed(classify(b"INSERT INTO t VALUES (1)", 0), response(ok(insert_id=7)))
    session.captured_residue([wire(rows([b"0", b"7", b"0"])), wire(ok())])
    statement = classify(text.encode(), 0)
    assert session.restore_residue(statement) == [b"\x03SET last_insert_id=7"]
    session.completed(statement, response(rows([b"7"])))
    assert session.residue & INSERT_ID
