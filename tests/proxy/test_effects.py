from __future__ import annotations

import pytest

from proxy.effects import (
    Effects,
    asks_for,
    at,
    dotted,
    end_of_expression,
    is_assignment,
    next_verb,
    tokens_of,
    words_of,
)
from proxy.lexer import NO_BACKSLASH_ESCAPES, Token, tokenize
from proxy.pins import PinReason
from proxy.statement import CALLS, NOTHING, Question


def tokens(text: bytes) -> list[Token]:
    return tokenize(text, 0, len(text), 0, False)


def effects(text: bytes = b"", lexing: int = 0, is_conditional: bool = False) -> Effects:
    return Effects(text, lexing, is_conditional)


def test_beyond_the_end_there_are_empty_tokens() -> None:
    assert at(tokens(b"a"), 5).word == b""


def test_names_may_have_several_parts() -> None:
    assert dotted(effects(), tokens(b"a . `b.c` x"), 0) == (b"a.b.c", 3)
    assert dotted(effects(), tokens(b"a."), 0) == (b"a", 2)
    assert dotted(effects(), tokens(b"'a'"), 0) == (b"", 0)


def test_expressions_end_at_a_comma_outside_of_parentheses() -> None:
    assert end_of_expression(tokens(b"f(a, b), c"), 0) == 6
    assert end_of_expression(tokens(b"a + b"), 0) == 3
    assert end_of_expression(tokens(b") , c"), 0) == 1


def test_both_signs_of_assignment() -> None:
    assert [is_assignment(token) for token in tokens(b"= := == a")] == [True, True, True, True, False]


def test_plain_words_strings_and_names() -> None:
    found = effects()

    assert [found.plain(token) for token in tokens(rb"'a\nb' `c` d 5")] == [b"a\nb", b"c", b"d", b"5"]
    assert effects(lexing=NO_BACKSLASH_ESCAPES).plain(tokens(rb"'a\nb'")[0]) == rb"a\nb"


def test_tokens_of_one_statement_have_no_semicolons_at_the_end() -> None:
    found = effects(b"a; b c ; ; d")

    assert [token.text for token in tokens_of(found, 3, 10)] == [b"b", b"c"]


def test_words_are_empty_where_there_is_something_else() -> None:
    assert words_of(tokens(b"A 'b' c")) == [b"a", b"", b"c"]


def test_a_statement_has_what_was_found() -> None:
    found = effects()
    found.pin(PinReason.XA)
    found.lift(PinReason.HANDLER, b"t")
    found.unknown()

    statement = found.statement()

    assert statement.pins == (PinReason.XA, PinReason.UNKNOWN_STATEMENT)
    assert statement.pin_names == (b"", b"")
    assert (statement.lifts, statement.lift_names) == ((PinReason.HANDLER,), (b"t",))


def test_what_may_not_be_executed_lifts_nothing_and_answers_nothing() -> None:
    found = effects(is_conditional=True)
    found.pin(PinReason.XA)
    found.lift(PinReason.HANDLER, b"t")
    found.question = Question.ROW_COUNT

    statement = found.statement()

    assert statement.pins == (PinReason.XA,)
    assert statement.lifts == ()
    assert statement.lift_names == ()
    assert statement.question == NOTHING.question


def test_the_verb_of_a_statement_stands_outside_of_parentheses() -> None:
    found = tokens(b"a AS (SELECT 1), b AS (VALUES (2)) UPDATE t SET c = (SELECT 3)")
    assert found[next_verb(found, 0)].word == b"update"
    found = tokens(b"a AS (SELECT 1) (SELECT 2)")
    assert next_verb(found, 0) == len(found)


def test_what_runs_something_unknown_may_do_what_a_routine_may() -> None:
    found = effects()
    found.unknown_run()
    statement = found.statement()
    assert statement.pins == (PinReason.UNKNOWN_STATEMENT,)
    assert statement.flags & CALLS


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        (b"commit and chain", True),
        (b"commit and no chain", False),
        (b"commit no release", False),
        (b"commit", False),
    ],
)
def test_a_word_at_the_end_of_a_transaction_may_be_denied(text: bytes, is_so: bool) -> None:
    assert asks_for(text.split(), b"chain") == is_so
