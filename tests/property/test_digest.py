"""Digests: nothing that the client put into a statement remains, whatever its sql_mode and character set are."""

from __future__ import annotations

import random
import re
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from proxy.digest import CUT, LONGEST, digest
from proxy.lexer import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, STRING, tokenize

MARK = "Secret"
"""In every string; the templates below have neither it nor a digit."""
SOUP = [
    b"'", b'"', b"`", b"\\", b"--", b"-- ", b"#", b"/*", b"/*!", b"/*M!", b"/*+", b"*/", b"\n", b" ", b";", b"(", b")", b",", b".", b"..",
    b"=", b":=", b"<", b">", b"-", b"+", b"@", b"@@", b"?", b"$", b"$$", b":", b"*", b"/", b"e", b"x", b"N", b"_u", b"in", b"IN", b"word",
    b"password", b"identified", b"for", b"null", b"a", b"9", b"0x4", b".5", b"1.5e3", b"\xc3\xa9", b"\xff", b"\x83", b"\x7f", b"\0", b"{",
]  # fmt: skip
TEMPLATES = (
    "SELECT GET_LOCK({}, {})",
    "SET @x := {}, @y = -{}",
    "SELECT @n := @n + {} FROM t WHERE a IN ({}, {},{}) AND b = {}",
    "CREATE TEMPORARY TABLE `a b` (v INT DEFAULT {}) SELECT {} AS v",
    "INSERT INTO t VALUES ({}, {}), (- {}, NULL)",
    "CALL p({}, @out)",
    "PREPARE p FROM {}",
    "CREATE USER {}@{} IDENTIFIED BY {}",
    "SET PASSWORD FOR {}@{} = {}",
    "CHANGE MASTER TO MASTER_HOST={}, MASTER_PASSWORD={}, MASTER_LOG_POS={}",
    "SELECT /* don't */ {} -- don't\n, {} # don't {}",
    "SELECT /*!40001 {}, */ {} LIKE {}",
    "SELECT a, {}{} FROM t {}",
    "SELECT {",
    "LOAD DATA LOCAL INFILE {} INTO TABLE t FIELDS TERMINATED BY {} (@a) SET b = {}",
)


@st.composite
def strings(draw: st.DrawFn, lexing: int) -> bytes:
    """A string literal as the server reads it under this sql_mode, with MARK in it."""
    quote = draw(st.sampled_from(["'"] if lexing & ANSI_QUOTES else ["'", '"']))
    inner = ""
    parts = st.sampled_from(["a", " ", quote * 2, "\\\\", "--", "/*", "*/", "é", ";", "`", MARK, "漢"])
    for part in [*draw(st.lists(parts, max_size=6)), MARK, *draw(st.lists(parts, max_size=3))]:
        inner += part
        if not lexing & NO_BACKSLASH_ESCAPES and draw(st.integers(0, 5)) == 0:
            inner += "\\" + quote
    prefix = draw(st.sampled_from(["", "", "N", "_binary", "_ascii "])) if quote == "'" else ""
    return (prefix + quote + inner + quote).encode()


NUMBERS = st.sampled_from(
    [b"4711", b"-4711", b"4711.5", b".4711", b".4711e5", b"4711e-5", b"0x4711", b"x'4711'", b"0b0111", b"b'01'", b"4711."]
)  # fmt: skip


@st.composite
def statements(draw: st.DrawFn) -> bytes:
    lexing = draw(st.sampled_from([0, ANSI_QUOTES, NO_BACKSLASH_ESCAPES, ANSI_QUOTES | NO_BACKSLASH_ESCAPES]))
    template = draw(st.sampled_from(TEMPLATES)).replace("40001", "").encode()
    out = b""
    for i, part in enumerate(template.split(b"{}")):
        if i:
            out += draw(st.one_of(strings(lexing), NUMBERS))
        out += part
    return out


@given(statements())
def test_no_literal_remains(text: bytes) -> None:
    found = digest(text)
    assert MARK not in found
    assert re.search(r"[0-9]", found) is None
    assert len(found) <= LONGEST


@given(statements(), st.integers(0, 200))
def test_no_literal_remains_of_a_text_that_ends_anywhere(text: bytes, end: int) -> None:
    found = digest(text[:end])
    assert MARK not in found
    assert re.search(r"[0-9]", found) is None


@given(st.lists(st.sampled_from([*SOUP, b"Secret"]), max_size=25).map(b"".join), st.integers(0, 3))
def test_what_is_in_no_name_under_the_true_sql_mode_is_not_in_the_digest(text: bytes, lexing: int) -> None:
    tokens = tokenize(text, 0, len(text), lexing, is_conditional=b"/*!" in text or b"/*M!" in text)
    names = takewhile(lambda token: token.text not in (b"'", b'"', b"`"), tokens)
    if not any(b"Secret" in token.text for token in names if token.kind != STRING):
        assert MARK not in digest(text)


@given(
    st.one_of(
        statements(), st.lists(st.sampled_from(SOUP), max_size=40).map(b"".join), st.binary(max_size=60)
    )
)
def test_the_digest_of_a_digest_is_itself(text: bytes) -> None:
    found = digest(text)
    assert digest(found.encode()) == found
    assert found.isprintable()


@given(
    st.lists(st.sampled_from([b"a", b"\xb0\x5c", b"\x83\x60", b"\xe4\xbd", b"''", b"x"]), max_size=8),
    st.booleans(),
)
def test_no_literal_remains_when_the_second_byte_of_a_character_looks_like_a_quote(
    parts: list[bytes], in_utf8: bool
) -> None:
    inner = b"".join(parts)
    text = b"SELECT '" + inner + b"', 'Secret', `\x83\x60`, 'Secret'"
    assert MARK not in digest(text, is_unsafe_charset=not in_utf8)
    assert MARK not in digest(text)


@given(statements())
def test_white_space_does_not_matter_where_there_is_some(text: bytes) -> None:
    if b"--" in text or b"#" in text or b"\\" in text or b"'" in text or b'"' in text or b"`" in text:
        return
    assert digest(text.replace(b" ", b" \n\t ")) == digest(text)


def test_lists_of_any_length_are_one() -> None:
    numbers = random.Random(1)
    for size in (1, 2, 50):
        values = ", ".join(str(numbers.randint(-99, 99)) for _ in range(size))
        assert digest(f"SELECT a FROM t WHERE a IN ({values})".encode()) == "SELECT a FROM t WHERE a IN (?)"
        rows = ", ".join(f"({numbers.random()}, 'x', NOW())" for _ in range(size))
        assert digest(f"INSERT INTO t VALUES {rows}".encode()) == "INSERT INTO t VALUES (?, ?, NOW())"


def test_what_is_cut_is_told() -> None:
    found = digest(b"SELECT " + b"column_of_a_table, " * 40 + b"x")
    assert found.endswith(f", {CUT}")
    assert LONGEST - 30 < len(found) <= LONGEST
