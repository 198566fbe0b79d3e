"""The lexer under all kinds of text: it never fails, and what is hidden in quotes and comments changes nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy import statement as flags
from proxy.classify import classify
from proxy.lexer import HEAD_SIZE, MARK_SIZE, NO_BACKSLASH_ESCAPES, survey, tokenize, unquoted
from proxy.statement import Statement

LEXINGS = st.integers(0, 3)
_PIECES = """SELECT INSERT SET BEGIN COMMIT CREATE PROCEDURE TEMPORARY TABLE t DROP GET_LOCK RELEASE_LOCK ( ) , ; = := @a @@b @'c' ' " ` \\ --
    # /* */ /*! /*+ /*M! SET_VAR 5 1.5 . LIMIT OFFSET INTO FROM NAMES COLLATE DEFAULT SESSION GLOBAL TRANSACTION PREPARE s EXECUTE IMMEDIATE
    STATEMENT FOR CALL KILL SHOW WARNINGS COUNT * ROW_COUNT END IF CASE LOOP XA HANDLER OPEN LOCK UNLOCK FLUSH LAST_INSERT_ID AS x"""
PIECES = st.sampled_from(_PIECES.split())
TEXTS = st.one_of(
    st.binary(max_size=200),
    st.lists(PIECES, max_size=30).map(lambda pieces: " ".join(pieces).encode()),
    st.lists(PIECES, max_size=30).map(lambda pieces: "".join(pieces).encode()),
)
WITHOUT_QUOTES = st.binary(max_size=100).map(
    lambda text: bytes(byte for byte in text if byte not in b"'\"`\\")
)


def summary(statement: Statement) -> tuple[object, ...]:
    return (statement.flags, statement.pins, statement.pin_names, statement.lifts, statement.variables)


@given(TEXTS, LEXINGS)
def test_no_text_fails(text: bytes, lexing: int) -> None:
    statement = classify(text, lexing)

    assert len(statement.pins) == len(statement.pin_names)
    assert len(statement.lifts) == len(statement.lift_names)


@given(TEXTS, LEXINGS)
def test_marks_lie_within_the_text_in_order(text: bytes, lexing: int) -> None:
    found = survey(text, lexing)
    starts = found.marks[1::MARK_SIZE]
    ends = found.marks[2::MARK_SIZE]

    assert all(0 <= start <= end <= len(text) for start, end in zip(starts, ends, strict=True))
    assert starts == sorted(starts)
    assert found.heads[0::HEAD_SIZE] == sorted(found.heads[0::HEAD_SIZE])


@given(TEXTS, LEXINGS, st.booleans())
def test_tokens_lie_within_the_text_in_order(text: bytes, lexing: int, is_conditional: bool) -> None:
    position = 0
    for token in tokenize(text, 0, len(text), lexing, is_conditional):
        assert position <= token.start < token.end <= len(text)
        assert text[token.start : token.end] == token.text
        position = token.end


@given(WITHOUT_QUOTES, st.sampled_from(["'", '"', "`"]), LEXINGS)
def test_what_stands_in_quotes_means_nothing(hidden: bytes, quote: str, lexing: int) -> None:
    mark = quote.encode()
    text = b"SELECT %s, a FROM t"

    statement = classify(text % (mark + hidden + mark), lexing)

    assert statement is classify(text % (mark * 2), lexing)
    assert statement.is_plain


@given(st.binary(max_size=100), LEXINGS)
def test_what_stands_in_comments_means_nothing(hidden: bytes, lexing: int) -> None:
    hidden = hidden.replace(b"*/", b"").replace(b"!", b"").replace(b"+", b"")

    assert classify(b"SELECT /* " + hidden + b" */ a FROM t", lexing).is_plain
    assert classify(b"SELECT a FROM t -- " + hidden.replace(b"\n", b""), lexing).is_plain
    assert classify(b"SELECT a FROM t # " + hidden.replace(b"\n", b""), lexing).is_plain


@given(
    st.lists(
        st.sampled_from(["SET a=1", "SELECT GET_LOCK('x', 1)", "UPDATE t SET b=1", "KILL 5", "XA START 'a'"]),
        min_size=2,
    )
)
def test_statements_add_up(statements: list[str]) -> None:
    whole = classify(";".join(statements).encode(), 0)
    parts = [classify(statement.encode(), 0) for statement in statements]

    assert whole.flags & flags.MULTI
    assert whole.pins == tuple(reason for part in parts for reason in part.pins)
    assert whole.variables == tuple(name for part in parts for name in part.variables)


@given(st.binary(max_size=60).filter(lambda text: b"\0" not in text))
def test_strings_come_back_as_they_were_written(value: bytes) -> None:
    escaped = value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    doubled = value.replace(b"'", b"''")

    assert unquoted(b"'" + escaped + b"'", True) == value
    assert unquoted(b"'" + doubled + b"'", False) == value
    assert [token.text for token in tokenize(b"'" + escaped + b"'", 0, len(escaped) + 2, 0, False)] == [
        b"'" + escaped + b"'"
    ]
    assert len(tokenize(b"'" + doubled + b"'", 0, len(doubled) + 2, NO_BACKSLASH_ESCAPES, False)) == 1


@given(TEXTS, LEXINGS)
def test_spaces_around_change_nothing(text: bytes, lexing: int) -> None:
    if not survey(text, lexing).is_broken:
        assert summary(classify(b" \n" + text, lexing)) == summary(classify(text, lexing))
