from __future__ import annotations

import pytest

from protocol.framing import frame, payload_of
from proxy.classify import classify
from proxy.executed import asks, executed, freed_names, with_text
from proxy.lexer import NO_BACKSLASH_ESCAPES
from proxy.statement import Statement

SHOWS = classify(b"SHOW WARNINGS", 0)
PLAIN = classify(b"SELECT 1", 0)
TEXTS: dict[bytes, Statement | None] = {b"p": SHOWS, b"plain": PLAIN, b"unknown": None}


@pytest.mark.parametrize(
    ("text", "question", "is_asked"),
    [
        ("EXECUTE p", SHOWS.question, True),
        ("EXECUTE plain", 0, False),
        ("EXECUTE unknown", 0, False),
        ("EXECUTE missing", 0, False),
        ("EXECUTE IMMEDIATE 'SHOW WARNINGS'", SHOWS.question, True),
        ("SET STATEMENT max_statement_time=1 FOR SHOW WARNINGS", SHOWS.question, True),
        ("EXECUTE IMMEDIATE 'SHOW WARNINGS'; SELECT 1", 0, False),
        ("EXECUTE p; SELECT 1", 0, False),
        ("SHOW WARNINGS", SHOWS.question, False),
    ],
)
def test_what_is_executed_is_the_question(text: str, question: int, is_asked: bool) -> None:
    statement = classify(text.encode(), 0)
    inner = executed(statement, TEXTS)
    assert (inner.question, asks(statement, inner)) == (question, is_asked)


def written(text: str, by: str, lexing: int = 0) -> str:
    statement = classify(text.encode(), lexing)
    inner = executed(statement, {b"p": classify(b"SELECT FOUND_ROWS(), ?", lexing)})
    wire = with_text(frame(b"\x03" + text.encode()), statement, inner, by.encode(), lexing)
    return payload_of(wire)[1:].decode()


def test_what_is_written_anew_is_executed_with_the_same_parameters() -> None:
    anew = "EXECUTE IMMEDIATE 'SELECT ''it'', ?' USING @a, 'b'"
    assert written("EXECUTE p USING @a, 'b'", "SELECT 'it', ?") == anew


def test_backslashes_in_what_is_written_anew_stay_what_they_are() -> None:
    assert written("EXECUTE p", r"SELECT '\n'") == r"EXECUTE IMMEDIATE 'SELECT ''\\n'''"
    assert written("EXECUTE p", r"SELECT '\n'", NO_BACKSLASH_ESCAPES) == r"EXECUTE IMMEDIATE 'SELECT ''\n'''"


def test_what_a_statement_is_set_for_is_written_anew_behind_it() -> None:
    text = "SET STATEMENT max_statement_time=1 FOR SELECT FOUND_ROWS()"
    assert written(text, "SELECT 3") == "SET STATEMENT max_statement_time=1 FOR SELECT 3"


def test_get_diagnostics_is_not_prepared_again() -> None:
    assert written("EXECUTE IMMEDIATE 'GET DIAGNOSTICS @n = NUMBER'", "SET @n=1") == "SET @n=1"


@pytest.mark.parametrize(
    ("text", "code", "message", "names"),
    [
        ("PREPARE s FROM 'bad'", 1064, "You have an error near 'bad' at line 1", (b"s",)),
        ("PREPARE s FROM 'SELECT 1 FROM'", 1064, "You have an error near '' at line 1", (b"s",)),
        ("PREPARE s FROM @x", 1064, "You have an error near 'NULL' at line 1", (b"s",)),
        ("PREPARE s FROM 'SELECT * FROM nowhere'", 1146, "Table 'app.nowhere' doesn't exist", (b"s",)),
        # the PREPARE itself is wrong, or nobody knows
        ("PREPARE s FROM 'SELECT 1' x", 1064, "You have an error near 'x' at line 1", ()),
        ("PREPARE select FROM 'x'", 1064, "You have an error near 'select FROM 'x'' at line 1", ()),
        ("PREPARE s FROM 'from ''x'", 1064, "You have an error near 'from 'x' at line 1", ()),
        ("PREPARE s FROM 'bad'", 1064, "Erreur de syntaxe", ()),
        ("PREPARE s FROM 'bad'", 1317, "Query execution was interrupted", ()),
        ("PREPARE s FROM 'bad'; SELECT 1", 1064, "You have an error near 'bad' at line 1", ()),
        # what was never prepared, or is no longer
        ("EXECUTE S", 1243, "Unknown prepared statement handler (S) given to EXECUTE", (b"s",)),
        ("DEALLOCATE PREPARE s", 1243, "Unknown prepared statement handler (s) given to DEALLOCATE", (b"s",)),
        ("EXECUTE s", 1243, "Unknown prepared statement handler (t) given to EXECUTE", ()),
        ("SELECT 1 FROM", 1064, "You have an error near '' at line 1", ()),
    ],
)
def test_names_that_a_failure_has_freed(text: str, code: int, message: str, names: tuple[bytes, ...]) -> None:
    assert freed_names(classify(text.encode(), 0), code, message.encode()) == names
