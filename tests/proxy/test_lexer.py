from __future__ import annotations

import pytest

from proxy import lexer
from proxy.lexer import (
    ANSI_QUOTES,
    ASSIGNMENT,
    FUNCTION,
    GET_LOCK,
    HINT,
    INTO,
    LIMIT,
    NAME,
    NO_BACKSLASH_ESCAPES,
    NUMBER,
    STRING,
    SYMBOL,
    SYSTEM,
    SYSTEM_VARIABLE,
    USER_VARIABLE,
    VARIABLE,
    WORD,
    end_of_quoted,
    lexing_after,
    lexing_of,
    survey,
    tokenize,
    unquoted,
)


def heads(text: bytes, lexing: int = 0) -> list[bytes]:
    found = survey(text, lexing).heads
    return [text[found[i] : found[i + 1]] for i in range(0, len(found), lexer.HEAD_SIZE)]


def marks(text: bytes, lexing: int = 0) -> list[tuple[int, bytes]]:
    found = survey(text, lexing).marks
    return [(found[i], text[found[i + 1] : found[i + 2]]) for i in range(0, len(found), lexer.MARK_SIZE)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SELECT count(1), `count`(1)", []),
        (b"SELECT `Get_Lock`('a',1)", [(GET_LOCK, b"`Get_Lock`")]),
        (b"SELECT own(1), `own`(1)", [(FUNCTION, b"own"), (FUNCTION, b"`own`")]),
        (b"SELECT db.count(1), .count(1)", [(FUNCTION, b".count"), (FUNCTION, b".count")]),
        (b"SELECT db . own (1)", [(FUNCTION, b". own")]),
        (b"SELECT db.`get_lock`(1)", [(FUNCTION, b".`get_lock`")]),
    ],
)
def test_calls_of_functions_that_are_not_the_servers_own(
    text: bytes, expected: list[tuple[int, bytes]]
) -> None:
    assert marks(text) == expected


# Where statements begin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"  ;; ", []),
        (b"SELECT 1", [b"SELECT"]),
        (b"\n(select 1) union (select 2)", [b"select"]),
        (b"/* a */ -- b\n# c\nDO 1", [b"DO"]),
        (b"a;b;", [b"a", b"b"]),
        (b"a ';' b; c", [b"a", b"c"]),
        (b"/*!40101 SET x */; b", [b"SET", b"b"]),
        (b"12 select", [b"select"]),
        (b"--", []),
        (b"--a", [b"a"]),
        (b"a --", [b"a"]),
        (b"a -- b; c", [b"a"]),
        (b"a #b; c", [b"a"]),
        (b"a -- b\n; c", [b"a", b"c"]),
        (b"\xc3\xa4 b", [b"\xc3\xa4"]),
    ],
)
def test_first_words_of_all_statements_are_found(text: bytes, expected: list[bytes]) -> None:
    assert heads(text) == expected


# Marks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SELECT Get_Lock('a', 1)", [(GET_LOCK, b"Get_Lock")]),
        (b"SELECT 'get_lock(' LIMIT 1", [(LIMIT, b"LIMIT")]),
        (b"SELECT `limit`, t.limit, a.`b`.limit FROM t", []),
        (b"SELECT 1.limit 5", [(LIMIT, b"limit")]),
        (b"SELECT 1x.limit", [(LIMIT, b"limit")]),
        (b"SELECT 15", []),
        (b"SELECT a.", []),
        (b"SELECT a:b, a:", []),
        (b"SELECT @a := 1", [(USER_VARIABLE, b"@a"), (ASSIGNMENT, b":=")]),
        (b"SELECT @'a b', @`c`, @\"d\" , @", [(USER_VARIABLE, b"@'a b'"), (USER_VARIABLE, b"@`c`"), (USER_VARIABLE, b'@"d"'), (USER_VARIABLE, b"@")]),
        (b"SELECT @'a''b'", [(USER_VARIABLE, b"@'a''b'")]),
        (b"SELECT @a.b$c", [(USER_VARIABLE, b"@a.b$c")]),
        (b"SELECT @@x, @@session.x", [(SYSTEM_VARIABLE, b"@@x"), (SYSTEM_VARIABLE, b"@@session.x")]),
        (b"SELECT @@`x`", [(SYSTEM_VARIABLE, b"@@`x`")]),
        (b"SELECT 1 INTO @a", [(INTO, b"INTO"), (USER_VARIABLE, b"@a")]),
        (b"SELECT 6/2-1", []),
        (b"SELECT 1 /", []),
        (b"SELECT * /", []),
        (b"SELECT */*c*/ FROM t LIMIT 1", [(LIMIT, b"LIMIT")]),
        (b"SELECT /*+ MAX_EXECUTION_TIME(5) */ 1", []),
        (b"SELECT /*+ Set_Var(a=1) */ 1", [(HINT, b"+ Set_Var(a=1) ")]),
        (b"SELECT a_very_long_word_that_is_longer_than_any_of_ours FROM t", []),
        (b"SELECT limi, limiu, limitx FROM t", []),
    ],
)  # fmt: skip
def test_what_matters_is_marked(text: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert marks(text) == expected


def test_a_word_is_no_other_of_its_first_letter_and_length() -> None:
    found = survey(b"SELECT fron, selecx", 0)
    assert (found.marks, found.has_from) == ([], False)


def test_depth_of_parentheses_is_noted() -> None:
    found = survey(b"SELECT (SELECT 1 LIMIT 1) LIMIT 2", 0).marks

    assert [found[3], found[7]] == [1, 0]


def test_depth_starts_again_with_each_statement() -> None:
    assert survey(b"SELECT (((; SELECT 1 LIMIT 2", 0).marks[3] == 0


def test_only_a_from_that_is_not_within_parentheses_nor_of_dual_means_a_table() -> None:
    for text, has_table in [
        (b"SELECT a FROM t", True),
        (b"SELECT 1 FROM dual", False),
        (b"DO (SELECT a FROM t)", False),
    ]:
        found = survey(text, 0)
        assert (found.has_from, found.has_table) == (True, has_table)


def test_from_is_seen_without_a_mark() -> None:
    found = survey(b"SELECT 1 FROM t", 0)

    assert found.has_from
    assert found.marks == []


# Quotes


@pytest.mark.parametrize(
    ("text", "lexing", "is_seen"),
    [
        (rb"SELECT '\' get_lock(' , 1", 0, False),
        (rb"SELECT '\' get_lock(' , 1", NO_BACKSLASH_ESCAPES, True),
        (rb'SELECT "\" get_lock(" , 1', 0, False),
        (rb'SELECT "\" get_lock(" , 1', NO_BACKSLASH_ESCAPES, True),
        (rb'SELECT "\" get_lock(" , 1', ANSI_QUOTES, True),
        (rb"SELECT `\` get_lock(`, 1", 0, True),
        (b"SELECT 'it''s get_lock('", 0, False),
    ],
)
def test_escapes_depend_on_sql_mode(text: bytes, lexing: int, is_seen: bool) -> None:
    found = survey(text, lexing)

    assert (GET_LOCK in found.marks[0 :: lexer.MARK_SIZE]) is is_seen


@pytest.mark.parametrize(
    "filling", [b"x" * 5000, b"x" * 100 + rb"\\" * 3 + b"x" * 100, b"x" * 80 + rb"\'" + b"x" * 90]
)
@pytest.mark.parametrize("lexing", [0, NO_BACKSLASH_ESCAPES])
@pytest.mark.parametrize("quote", [b"'", b'"', b"`"])
def test_long_strings_are_jumped_over(filling: bytes, lexing: int, quote: bytes) -> None:
    if b"'" in filling and (lexing or quote != b"'"):
        filling = filling.replace(b"'", b"")
    assert marks(b"SELECT " + quote + filling + quote + b" LIMIT 1", lexing) == [(LIMIT, b"LIMIT")]


@pytest.mark.parametrize(
    "text",
    [b"SELECT 'a", b'SELECT "a', b"SELECT `a", b"SELECT '" + b"a" * 100, b"SELECT @'a", b"SELECT /* a", b"SELECT 'a\\", b"SELECT /*! a", b"SELECT '" + b"a" * 100 + b"\\'"],
)  # fmt: skip
def test_what_does_not_end_is_noticed(text: bytes) -> None:
    assert survey(text, 0).is_broken


# Comments that are executed


@pytest.mark.parametrize(
    "text", [b"/*!40101 SET x=1 */", b"/*! SET x=1 */", b"/*M! SET x=1 */", b"/*M!100100 SET x=1 */"]
)
def test_executable_comments_are_read(text: bytes) -> None:
    found = survey(text, 0)

    assert heads(text) == [b"SET"]
    assert found.is_conditional
    assert not found.is_ambiguous


@pytest.mark.parametrize(
    "text",
    [
        b"/*!99999 ' */ SELECT 1 -- '",  # skipped or a string
        b"/*! a /* b */ c */",
        b"/*!999999\\- a /* b */ c */",
        b"/*! a /*! b */ c */",
        b"/*! a ' */ ' */",
    ],
)
def test_comments_that_change_how_the_rest_is_read_are_ambiguous(text: bytes) -> None:
    assert survey(text, 0).is_ambiguous


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 /*M",
        b"SELECT 1 /*Mx*/",
        b"SELECT 1 /*",
        b"SELECT 1 /*!999999\\- enable the sandbox mode */",
        b"SELECT 1 /*M!999999\\-",
    ],
)
def test_other_comments_are_not(text: bytes) -> None:
    assert not survey(text, 0).is_conditional
    assert [token.text for token in tokenize(text, 0, len(text), 0, False)][:2] == [b"SELECT", b"1"]


# Tokens


def kinds(text: bytes, lexing: int = 0, is_conditional: bool = False) -> list[tuple[int, bytes]]:
    return [(token.kind, token.text) for token in tokenize(text, 0, len(text), lexing, is_conditional)]


def test_tokens_of_all_kinds() -> None:
    text = b"SET @a:=1.5e-3, @@x.y = 'it''s' + `n``m` -- end"

    assert kinds(text) == [
        (WORD, b"SET"),
        (VARIABLE, b"@a"),
        (SYMBOL, b":="),
        (NUMBER, b"1.5e-3"),
        (SYMBOL, b","),
        (SYSTEM, b"@@x.y"),
        (SYMBOL, b"="),
        (STRING, b"'it''s'"),
        (SYMBOL, b"+"),
        (NAME, b"`n``m`"),
    ]


def test_tokens_depend_on_sql_mode() -> None:
    assert kinds(b'"a"') == [(STRING, b'"a"')]
    assert kinds(b'"a"', ANSI_QUOTES) == [(NAME, b'"a"')]
    assert kinds(rb"'\''") == [(STRING, rb"'\''")]
    assert kinds(rb"'\'", NO_BACKSLASH_ESCAPES) == [(STRING, rb"'\'")]


def test_executable_comments_are_transparent() -> None:
    assert kinds(b"/*!40101 SET */ x", is_conditional=True) == [(WORD, b"SET"), (WORD, b"x")]


def test_words_are_lowered_once() -> None:
    assert [token.word for token in tokenize(b"SeT `X` 1a", 0, 10, 0, False)] == [b"set", b"", b"1a"]


def test_only_so_many_tokens_are_read() -> None:
    assert len(tokenize(b"a b c d", 0, 7, 0, False, 2)) == 2


def test_tokens_of_a_part() -> None:
    assert [token.text for token in tokenize(b"a; b c; d", 2, 6, 0, False)] == [b"b", b"c"]


@pytest.mark.parametrize("opening", [b"'", b'"', b"`", b"/*", b"@'", b"@@`", b"/*!999999\\- "])
def test_what_does_not_end_is_the_last_token(opening: bytes) -> None:
    begin, last = b"SET @a = 'b', c = ", b"*" if opening[:1] == b"/" else opening[-1:]
    behind = b" d 'e' `f` \"g\" ".replace(last, b"")
    tokens = kinds(begin + opening + behind)
    assert tokens[:7] == kinds(begin)
    assert tokens[7:-1] in ([], [(VARIABLE, b"@")], [(SYSTEM, b"@@")], [(SYMBOL, b"/")])
    assert tokens[-1] == (SYMBOL, last)


@pytest.mark.parametrize(
    "text",
    [
        b"a / b",
        b"a /*! b */ c",
        b"/*M!100000 a */",
        b"'a' /* 'b */ `c`",
        b"1 * / 2",
        b"/*! 1 */* 2",
        b"/*! 1 */ /* ' */ * 2",
    ],
)
@pytest.mark.parametrize("is_conditional", [False, True])
def test_what_ends_or_opens_nothing_is_not(text: bytes, is_conditional: bool) -> None:
    assert kinds(text + b" last", 0, is_conditional)[-1] == (WORD, b"last")


@pytest.mark.parametrize(
    "text",
    [
        b"SET @a = '" + rb"\' x " * 100_000,
        b"SET " + b"a` " * 100_001,
        b"SET " + b"/* " * 100_000,
        b"SET " + b"'\\" * 100_000,
        b"SELECT " + b"/*!" * 300_000,
        b"SELECT " + b"/*!" * 300_000 + b"*/",
        b"SELECT " + b"/*!999999\\- " * 100_000 + b"*/",
    ],
    ids=lambda text: text[:16].decode(),
)
def test_a_text_is_read_once_however_it_is_quoted(text: bytes) -> None:
    """It would take minutes otherwise."""
    survey(text, 0)
    tokenize(text, 0, len(text), 0, False)
    tokenize(text, 0, len(text), 0, True)


@pytest.mark.parametrize("end", [b"'", b"", b"\\'", b"''"])
def test_a_long_string_ends_at_its_quote(end: bytes) -> None:
    """It is looked for once, behind many escapes."""
    body = (b"x" * 90 + rb"\n") * 30 + (b"y" * 90 + rb"\'") * 30 + (b"z" * 90 + rb"\n") * 30
    text = b"'" + body + end
    expected = len(text) if end in (b"'", b"''") else 0
    assert end_of_quoted(text, 1, ord("'"), True) == (expected - 1 if end == b"''" else expected)
    assert end_of_quoted(text, 1, ord("'"), False) == text.find(b"'", 1) + 1


@pytest.mark.parametrize("text", [b"/* a", b"/*!*/ a", b"/*M! */ a", b"*/* a", b"/**/ a"])
def test_a_text_may_begin_with_a_comment(text: bytes) -> None:
    """Cut off, or executed."""
    for is_conditional in (False, True):
        assert all([token.text in text for token in tokenize(text, 0, len(text), 0, is_conditional)])


@pytest.mark.parametrize(
    "text",
    [
        b"SET @a = 1 /*!99999 ' */, GLOBAL b = 2",
        b"SET @a = 2 /*!50000 + 1 */*/*'*/3, GLOBAL b = 2",
        b'SET @a = 2 /*M!50000 `" */, GLOBAL b = 2',
    ],
)
def test_behind_a_comment_that_may_be_skipped_it_goes_on(text: bytes) -> None:
    assert (WORD, b"GLOBAL") in kinds(text, 0, True)


# Unquoting


@pytest.mark.parametrize(
    ("written", "is_escaping", "expected"),
    [
        (b"'a'", True, b"a"),
        (b"'it''s'", True, b"it's"),
        (b'"a""b"', True, b'a"b'),
        (b"`a``b`", True, b"a`b"),
        (rb"`a\nb`", True, rb"a\nb"),
        (rb"'a\nb\'c\\\Z'", True, b"a\nb'c\\\x1a"),
        (rb"'a\n''b'", True, b"a\n'b"),
        (rb"'a\nb'", False, rb"a\nb"),
    ],
)
def test_strings_stand_for_what_they_stand_for(written: bytes, is_escaping: bool, expected: bytes) -> None:
    assert unquoted(written, is_escaping) == expected


@pytest.mark.parametrize("written", [b"=", b"", b"'"])
def test_what_is_not_quoted_stands_for_nothing(written: bytes) -> None:
    assert unquoted(written, True) == unquoted(written, False) == b""


def test_what_of_the_sql_mode_changes_how_text_is_read() -> None:
    assert lexing_of(b"STRICT_ALL_TABLES") == 0
    assert lexing_of(b"ansi_quotes,no_backslash_escapes") == ANSI_QUOTES | NO_BACKSLASH_ESCAPES
    assert lexing_after(ANSI_QUOTES, [(b"time_zone", b"SYSTEM")]) == ANSI_QUOTES
    assert lexing_after(ANSI_QUOTES, [(b"sql_mode", b""), (b"sql_notes", b"ON")]) == 0
