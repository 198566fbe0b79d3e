from __future__ import annotations

import pytest

from protocol.wire import lenenc_bytes
from proxy.classify import classify
from proxy.diagnostics import (
    EMPTY,
    Captured,
    assignments,
    deprecated,
    deprecated_found_rows,
    is_signalled,
    parse_get,
    raised,
    recoded,
)
from proxy.lexer import tokenize
from proxy.sqlstates import sqlstate_of
from tests.fakes.responses import err, ok, response


def row(level: str, code: int, text: str, charset: str = "utf-8") -> bytes:
    return b"".join([lenenc_bytes(each) for each in (level.encode(), b"%d" % code, text.encode(charset))])


DUPLICATE = row("Warning", 1062, "Duplicate")
UNKNOWN = row("Error", 1054, "Unknown")


def written(
    text: str, captured: Captured = EMPTY, row_count: int = 0, *, is_mariadb: bool = False
) -> str | None:
    """The SET statement for a GET DIAGNOSTICS that is understood; None for a condition that is not there."""
    asked = parse_get(tokenize(text.encode(), 0, len(text.encode()), 0, False), is_mariadb)
    assert asked is not None
    made = assignments(asked, captured, row_count, is_mariadb)
    return None if made is None else made.decode()


def string(text: str) -> str:
    return f"CONCAT(LEFT(VERSION(),0),_utf8mb4 X'{text.encode().hex()}')"


def test_what_is_asked_about_the_statement() -> None:
    captured = Captured([DUPLICATE, UNKNOWN], 2)
    assert written("GET DIAGNOSTICS @n = NUMBER, @`a b` = row_count", captured, -1) == (
        "SET @n=CAST(2 AS UNSIGNED),@`a b`=-1"
    )
    assert written("get current diagnostics @n=NUMBER") == "SET @n=CAST(0 AS UNSIGNED)"


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("MYSQL_ERRNO", "CAST(1062 AS UNSIGNED)"),
        ("MESSAGE_TEXT", string("Duplicate")),
        ("RETURNED_SQLSTATE", string("23000")),
        ("CLASS_ORIGIN", string("ISO 9075")),
        ("SUBCLASS_ORIGIN", string("ISO 9075")),
        ("TABLE_NAME", string("")),
    ],
)
def test_what_is_asked_about_a_condition(item: str, value: str) -> None:
    assert written(f"GET DIAGNOSTICS CONDITION 1 @a = {item}", Captured([DUPLICATE], 1)) == f"SET @a={value}"


def test_origins_are_those_of_the_server() -> None:
    captured = Captured([row("Error", 1397, "XAER_NOTA")], 1)
    text = "GET DIAGNOSTICS CONDITION 1 @a = CLASS_ORIGIN"
    assert written(text, captured) == f"SET @a={string('MySQL')}"
    assert written(text, captured, is_mariadb=True) == f"SET @a={string('')}"


def test_mariadb_knows_the_number_of_the_row() -> None:
    text = b"GET DIAGNOSTICS CONDITION 1 @a = ROW_NUMBER"
    assert parse_get(tokenize(text, 0, len(text), 0, False), False) is None
    assert written(text.decode(), Captured([DUPLICATE], 1), is_mariadb=True) == "SET @a=CAST(0 AS UNSIGNED)"


def test_an_error_has_the_sqlstate_that_it_came_with() -> None:
    captured = Captured([row("Warning", 9000, "first"), row("Error", 9000, "second")], 2, b"", 9000, b"45999")
    text = "GET DIAGNOSTICS CONDITION {} @a = RETURNED_SQLSTATE"
    assert written(text.format(1), captured) == f"SET @a={string('HY000')}"
    assert written(text.format(2), captured) == f"SET @a={string('45999')}"


def test_a_condition_that_is_not_there_is_one_more() -> None:
    captured = Captured([UNKNOWN], 1, b"latin1", 1054, b"42S22")
    assert written("GET DIAGNOSTICS CONDITION 0 @a = MYSQL_ERRNO", captured) is None
    assert written("GET DIAGNOSTICS CONDITION 2 @a = MYSQL_ERRNO", captured) is None
    more = captured.with_invalid_condition()
    assert (more.warning_count, more.error_count, more.charset) == (2, 2, b"latin1")
    assert written("GET DIAGNOSTICS CONDITION 2 @a = MYSQL_ERRNO", more) == "SET @a=CAST(1758 AS UNSIGNED)"


@pytest.mark.parametrize(
    "text",
    [
        "GET STACKED DIAGNOSTICS @a = NUMBER",
        "GET DIAGNOSTICS",
        "GET DIAGNOSTICS CONDITION",
        "GET DIAGNOSTICS CONDITION @n @a = MYSQL_ERRNO",
        "GET DIAGNOSTICS CONDITION 1.5 @a = MYSQL_ERRNO",
        "GET DIAGNOSTICS CONDITION 1 @a = NUMBER",
        "GET DIAGNOSTICS @a = MYSQL_ERRNO",
        "GET DIAGNOSTICS a = NUMBER",
        "GET DIAGNOSTICS @a := NUMBER",
        "GET DIAGNOSTICS @a = NUMBER,",
        "GET DIAGNOSTICS @a = NUMBER @b = NUMBER",
    ],
)
def test_what_is_left_to_the_server(text: str) -> None:
    assert parse_get(tokenize(text.encode(), 0, len(text), 0, False), False) is None


def test_characters_beyond_the_bmp_are_question_marks() -> None:
    captured = Captured([row("Error", 1054, "ä😀")], 1)
    assert written("GET DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT", captured) == f"SET @a={string('ä?')}"


def test_counts_of_errors() -> None:
    assert Captured([DUPLICATE, UNKNOWN], 5).warning_count == 5
    assert Captured([DUPLICATE, UNKNOWN], 5).error_count == 1
    # max_error_count = 0: counted, not kept
    assert Captured([], 1, b"", 1054, b"42S22").error_count == 1
    assert raised(1317, b"70100", b"no").error_count == 1
    assert deprecated_found_rows().error_count == 0


@pytest.mark.parametrize(
    ("text", "actual", "wanted", "expected", "is_mariadb"),
    [
        ("ä".encode(), b"utf8mb4", b"latin1", b"\xe4", False),
        (b"\xe4", b"latin1", b"utf8mb4", "ä".encode(), False),
        ("äж".encode(), b"utf8mb4", b"latin1", b"\xe4?", False),
        ("äж".encode(), b"utf8mb4", b"latin1", b"\xe4\\0436", True),
        (b"\xe4\\0436", b"latin1", b"utf8mb4", "äж".encode(), True),
        (b"\\0436", b"latin1", b"utf8mb4", b"\\0436", False),
        (b"\\0436", b"utf8mb4", b"latin1", b"\\0436", True),
        ("ä".encode(), b"utf8mb4", b"utf8mb3", "ä".encode(), False),
        ("ä".encode(), b"utf8mb4", b"utf8mb4", "ä".encode(), False),
        ("ä".encode(), b"utf8mb4", b"swe7", "ä".encode(), False),
        ("ä".encode(), b"swe7", b"latin1", "ä".encode(), False),
    ],
)
def test_texts_in_other_character_sets(
    text: bytes, actual: bytes, wanted: bytes, expected: bytes, is_mariadb: bool
) -> None:
    head = lenenc_bytes(b"Error") + lenenc_bytes(b"1146")
    assert recoded(head + lenenc_bytes(text), actual, wanted, is_mariadb) == head + lenenc_bytes(expected)


def test_sqlstates_of_both_servers() -> None:
    assert (sqlstate_of(1062, True), sqlstate_of(1062, False)) == (b"23000", b"23000")
    assert (sqlstate_of(1133, True), sqlstate_of(1133, False)) == (b"28000", b"42000")
    assert sqlstate_of(65535, True) == sqlstate_of(65535, False) == b"HY000"


def test_what_came_on_top_is_in_the_character_set_of_the_rest() -> None:
    older = Captured([row("Warning", 1365, "für", "latin-1")], 1, b"latin1", 1054, b"42S22")
    error = raised(1047, b"08S01", "für".encode()).after(older, 10)
    assert error.rows == [*older.rows, row("Error", 1047, "für", "latin-1")]
    assert (error.warning_count, error.error_count) == (2, 1)
    assert (error.error_code, error.sqlstate) == (1054, b"42S22")
    first = raised(1047, b"08S01", b"x").after(Captured([], 0), 10)
    assert (first.error_code, first.sqlstate) == (1047, b"08S01")
    warning = deprecated(b"COM_FIELD_LIST", b"SHOW COLUMNS FROM statement").after(older, 1)
    assert warning.rows == older.rows
    assert (warning.warning_count, warning.error_code, warning.sqlstate) == (2, 1054, b"42S22")


@pytest.mark.parametrize(
    ("text", "result", "expected"),
    [
        ("SIGNAL SQLSTATE '01000'", ok(warnings=1), True),
        ("SIGNAL SQLSTATE '45000'", err(1062), True),
        ("DO 1/0", ok(warnings=1), False),
        ("INSERT INTO t VALUES (1)", err(1644, b"45000"), True),
        ("INSERT INTO t VALUES (1)", err(1062, b"45000"), True),
        ("INSERT INTO t VALUES (1)", err(1062), False),
    ],
)
def test_what_signal_has_raised(text: str, result: list[bytes], expected: bool) -> None:
    assert is_signalled(classify(text.encode(), 0), response(result), False) == expected
