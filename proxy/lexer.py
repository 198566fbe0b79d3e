"""The lexer: one pass over a statement's text that finds what matters to a session and skips the rest.

:func:`survey` is the hot half: it walks the text once, skips strings, quoted names, comments and ordinary words, and notes where
statements begin and where one of :data:`WORDS`, a variable, or an assignment stands. :func:`tokenize` is the slow half: the
tokens of one statement, for the few kinds whose grammar decides (SET, CREATE, PREPARE, ...).

Rules (MySQL Reference Manual, "Comments", "String Literals", "Schema Object Names", "User-Defined Variables"):

- ``-- `` needs white space or a control character or the end after it; ``#`` does not. Both end at a newline.
- ``/*! .. */``, ``/*!80000 .. */`` and MariaDB's ``/*M! .. */`` are executed, or not, depending on the server's version: the text
  within is surveyed as if executed and :attr:`Survey.is_conditional` is set. When skipping it would end elsewhere than
  executing it, :attr:`Survey.is_ambiguous` is set. All other comments are skipped; hints that set variables are marked.
- A backslash escapes within strings unless NO_BACKSLASH_ESCAPES; never within quoted names. ``"`` quotes a string unless ANSI_QUOTES.
- Every byte from 0x80 up belongs to a word. That is wrong for client character sets whose second byte can be ASCII (gbk, big5,
  sjis, cp932, gb18030): their sessions are pinned (``unsafe-charset``), and where the difference may matter text is not believed (`classify`).
"""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from proxy.functions import COMMON

ANSI_QUOTES: Final = 1
NO_BACKSLASH_ESCAPES: Final = 2
ODD_BYTES: Final = 4  # the client's character set has characters whose second byte looks like something else

SANDBOX: Final = b"!999999\\"
"""What a comment begins with that dumps of MariaDB have for their client: no server is of that version."""

# Codes of marks.
USER_VARIABLE: Final = 1  # @x
SYSTEM_VARIABLE: Final = 2  # @@x, @@session.x
ASSIGNMENT: Final = 3  # :=
LIMIT: Final = 4
INTO: Final = 5
CALC_FOUND_ROWS: Final = 6  # or what else counts rows in its own way
GET_LOCK: Final = 7
RELEASE_LOCK: Final = 8
RELEASE_ALL_LOCKS: Final = 9
SERVICE_LOCK: Final = 10
LAST_INSERT_ID: Final = 11
FOUND_ROWS: Final = 12
ROW_COUNT: Final = 13
CONNECTION_ID: Final = 14
SEQUENCE: Final = 15  # NEXTVAL, NEXT (VALUE FOR): leave a value for LASTVAL, PREVIOUS (VALUE FOR)
UNION: Final = 16
HINT: Final = 17  # /*+ .. SET_VAR(..) .. */
FROM: Final = 18  # no mark of its own: Survey.has_from
FUNCTION: Final = (
    19  # a name before a parenthesis that may be a stored function's; with a dot before it, it is qualified
)
RETURNING: Final = 20
LOCK_WAIT: Final = 21  # NOWAIT, WAIT
VARIABLES: Final = 22  # tables that show session variables, and where they are
SELECT: Final = 23  # no mark of its own: Survey.has_select
READS_SEQUENCE: Final = 24  # LASTVAL, SETVAL, PREVIOUS (VALUE FOR)
ROWS: Final = 25  # FETCH FIRST n ROWS, OFFSET n ROWS: MariaDB's other LIMIT

WORDS: Final[dict[bytes, int]] = {
    b"limit": LIMIT,
    b"into": INTO,
    b"from": FROM,
    b"select": SELECT,
    b"sql_calc_found_rows": CALC_FOUND_ROWS,
    b"procedure": CALC_FOUND_ROWS,  # ANALYSE(): its rows count where there is no table
    b"get_lock": GET_LOCK,
    b"release_lock": RELEASE_LOCK,
    b"release_all_locks": RELEASE_ALL_LOCKS,
    b"service_get_read_locks": SERVICE_LOCK,
    b"service_get_write_locks": SERVICE_LOCK,
    b"version_tokens_lock_shared": SERVICE_LOCK,
    b"version_tokens_lock_exclusive": SERVICE_LOCK,
    b"last_insert_id": LAST_INSERT_ID,
    b"found_rows": FOUND_ROWS,
    b"row_count": ROW_COUNT,
    b"connection_id": CONNECTION_ID,
    b"nextval": SEQUENCE,
    b"next": SEQUENCE,
    b"lastval": READS_SEQUENCE,
    b"setval": READS_SEQUENCE,
    b"previous": READS_SEQUENCE,
    b"union": UNION,
    b"except": UNION,
    b"intersect": UNION,
    b"returning": RETURNING,
    b"information_schema": VARIABLES,
    b"performance_schema": VARIABLES,
    b"session_variables": VARIABLES,
    b"system_variables": VARIABLES,
    b"variables_by_thread": VARIABLES,
    b"nowait": LOCK_WAIT,
    b"wait": LOCK_WAIT,
    b"fetch": ROWS,
    b"row": ROWS,
    b"rows": ROWS,
}

# Classes of bytes.
_ORDINARY: Final = 0
_LETTER: Final = 1
_DIGIT: Final = 2
_QUOTE: Final = 3
_DOUBLE_QUOTE: Final = 4
_BACKTICK: Final = 5
_HASH: Final = 6
_DASH: Final = 7
_SLASH: Final = 8
_AT: Final = 9
_SEMICOLON: Final = 10
_COLON: Final = 11
_STAR: Final = 12
_OPEN: Final = 13
_CLOSE: Final = 14
_DOT: Final = 15


def _classes() -> bytes:
    table = bytearray(256)
    for byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$":
        table[byte] = _LETTER
    for byte in range(0x80, 0x100):
        table[byte] = _LETTER
    for byte in b"0123456789":
        table[byte] = _DIGIT
    for byte, kind in zip(b"'\"`#-/@;:*().", range(_QUOTE, _DOT + 1), strict=True):
        table[byte] = kind
    return bytes(table)


def _interest() -> bytes:
    """For each first byte and length (below 32): may a word like that be one of WORDS?"""
    table = bytearray(256 * 32)
    for word in WORDS:
        table[word[0] * 32 + len(word)] = 1
        table[(word[0] - 32) * 32 + len(word)] = 1
    return bytes(table)


_CLASSES: Final = _classes()
_INTEREST: Final = _interest()

MARK_SIZE: Final = 4
HEAD_SIZE: Final = 3


class Survey:
    """What :func:`survey` found."""

    __slots__ = (
        "has_from",
        "has_select",
        "has_table",
        "heads",
        "is_ambiguous",
        "is_broken",
        "is_conditional",
        "marks",
    )

    def __init__(self) -> None:
        self.heads: list[
            int
        ] = []  # three a statement: start and end of its first word, index of its first mark in marks
        self.marks: list[int] = []  # four a mark: code, start, end, depth of parentheses
        self.has_from = False  # the word FROM stands somewhere
        self.has_table = False  # and not in parentheses, nor before DUAL: a table's name follows
        self.has_select = False  # and SELECT, not as the first word of a statement
        self.is_broken = False  # a string, quoted name or comment does not end
        self.is_conditional = False  # there is a /*! or /*M! comment
        self.is_ambiguous = False  # whether such a comment is executed changes how the rest is read


def end_of_quoted(text: bytes, begin: i64, quote: i64, is_escaping: bool) -> i64:
    """The offset after the closing quote of what begins (after its opening quote) at ``begin``; 0 when there is none."""
    size: i64 = len(text)
    pos: i64 = begin
    near: i64 = begin + 64
    # the first quote from there on, once it was looked for: it may be far behind many escapes
    stop: i64 = -1
    while pos < size:
        byte: i64 = text[pos]
        if byte == quote:
            return pos + 1
        if byte == 92 and is_escaping:
            pos += 2
            continue
        pos += 1
        if pos >= near:
            # a long one: jump
            if stop < pos:
                stop = text.find(b"'" if quote == 39 else b'"' if quote == 34 else b"`", pos)
                if stop < 0:
                    return 0
            if not is_escaping:
                return stop + 1
            escape: i64 = text.find(b"\\", pos, stop)
            if escape < 0:
                return stop + 1
            pos = escape
            near = pos + 64
    return 0


def survey(text: bytes, lexing: int) -> Survey:
    """Walk ``text`` once. ``lexing`` has the bits of the session's sql_mode that change how text is read."""
    found = Survey()
    marks = found.marks
    classes: bytes = _CLASSES
    interest: bytes = _INTEREST
    is_ansi = (lexing & ANSI_QUOTES) != 0
    is_escaping = (lexing & NO_BACKSLASH_ESCAPES) == 0
    size: i64 = len(text)
    pos: i64 = 0
    depth: i64 = 0
    close: i64 = -1  # where the comment ends that was looked at last; -1 with is_broken: it does not
    conditional_end: i64 = -1  # where the executable comment that is open ends if it is skipped
    # the word, quoted name or dot (with the word after it) that was last, for the parenthesis after it; -1: something else was
    word: i64 = -1
    word_end: i64 = -1
    wants_head = True
    while pos < size:
        byte: i64 = text[pos]
        kind: i64 = classes[byte]
        if kind == _ORDINARY:
            pos += 1
            if byte > 32:
                word = -1
        elif kind == _LETTER:
            begin: i64 = pos
            pos += 1
            while pos < size:
                following: i64 = classes[text[pos]]
                if following != _LETTER and following != _DIGIT:
                    break
                pos += 1
            if wants_head:
                wants_head = False
                found.heads.append(begin)
                found.heads.append(pos)
                found.heads.append(len(marks))
                word = -1
                continue
            if word < 0 or word_end != word + 1 or text[word] != 46:
                word = begin
            word_end = pos
            if word == begin and pos - begin < 32 and interest[byte * 32 + pos - begin] != 0:
                code = WORDS.get(text[begin:pos].lower(), 0)
                if code == FROM:
                    found.has_from = True
                    if depth == 0 and not _is_dual(text, pos):
                        found.has_table = True
                elif code == SELECT:
                    found.has_select = True
                elif code != 0:
                    _mark(marks, code, begin, pos, depth)
        elif kind == _DIGIT:
            word = pos
            pos += 1
            while pos < size:
                following = classes[text[pos]]
                if following != _LETTER and following != _DIGIT:
                    break
                pos += 1
            if pos < size and text[pos] == 46:  # the dot of 1.5: so that in "1.limit" the word counts
                pos += 1
            word_end = pos
        elif kind in (_QUOTE, _DOUBLE_QUOTE, _BACKTICK):
            escapes = is_escaping and (kind == _QUOTE or (kind == _DOUBLE_QUOTE and not is_ansi))
            begin = pos
            pos = end_of_quoted(text, pos + 1, byte, escapes)
            if pos == 0:
                found.is_broken = True
                break
            if kind == _QUOTE or (kind == _DOUBLE_QUOTE and not is_ansi):
                word = -1
            else:
                if word < 0 or word_end != word + 1 or text[word] != 46:
                    word = begin
                word_end = pos
        elif kind == _OPEN:
            if word >= 0:
                _call(marks, text, word, word_end, depth)
                word = -1
            depth += 1
            pos += 1
        elif kind == _CLOSE:
            depth -= 1
            pos += 1
            word = -1
        elif kind == _DOT:
            # what follows a dot is a name, whatever it looks like
            word = pos
            pos += 1
            while pos < size:
                following = classes[text[pos]]
                if following != _LETTER and following != _DIGIT:
                    break
                pos += 1
            word_end = pos
        elif kind == _AT:
            word = -1
            begin = pos
            pos = _end_of_variable(text, pos)
            if pos == 0:
                found.is_broken = True
                break
            if begin + 1 < size and text[begin + 1] == 64:
                _mark(marks, SYSTEM_VARIABLE, begin, pos, depth)
            else:
                _mark(marks, USER_VARIABLE, begin, pos, depth)
        elif kind == _SEMICOLON:
            wants_head = True
            word = -1
            depth = 0
            pos += 1
        elif kind == _COLON:
            word = -1
            pos += 1
            if pos < size and text[pos] == 61:
                pos += 1
                _mark(marks, ASSIGNMENT, pos - 2, pos, depth)
        elif kind == _DASH:
            pos += 1
            if (
                pos < size
                and text[pos] == 45
                and (pos + 1 == size or text[pos + 1] <= 32 or text[pos + 1] == 127)
            ):
                pos = text.find(b"\n", pos)
                if pos < 0:
                    break
            else:
                word = -1
        elif kind == _HASH:
            pos = text.find(b"\n", pos)
            if pos < 0:
                break
        elif kind == _SLASH:
            pos += 1
            if pos < size and text[pos] == 42:
                pos += 1
                if pos < size and text[pos] == 77 and pos + 1 < size and text[pos + 1] == 33:
                    pos += 1
                if close < pos and not found.is_broken:
                    close = text.find(b"*/", pos)
                    found.is_broken = close < 0
                if (
                    pos < size
                    and text[pos] == 33
                    and (
                        not text.startswith(SANDBOX, pos)
                        or text.find(b"/*", pos, close if close > pos else pos) >= 0
                    )
                ):
                    found.is_conditional = True
                    if conditional_end >= 0:
                        found.is_ambiguous = True
                    conditional_end = close
                    pos += 1
                    while pos < size and classes[text[pos]] == _DIGIT:
                        pos += 1
                elif close < 0:
                    break
                else:
                    if text[pos] == 43 and b"set_var" in text[pos:close].lower():
                        _mark(marks, HINT, pos, close, depth)
                    pos = close + 2
            else:
                word = -1
        else:  # _STAR
            pos += 1
            if conditional_end >= 0 and pos < size and text[pos] == 47:
                if conditional_end != pos - 1:
                    found.is_ambiguous = True
                conditional_end = -1
                pos += 1
            else:
                word = -1
    if conditional_end >= 0:
        found.is_ambiguous = True
    return found


def _is_dual(text: bytes, after: i64) -> bool:
    """Whether the word after the FROM that ends at ``after`` is, or may be, DUAL."""
    size: i64 = len(text)
    pos: i64 = after
    while pos < size and text[pos] <= 32:
        pos += 1
    return pos == size or text[pos] in (35, 45, 47) or text[pos : pos + 4].lower() == b"dual"


def _call(marks: list[int], text: bytes, begin: i64, end: i64, depth: i64) -> None:
    """A name at ``begin``, quoted or not, is followed by a parenthesis."""
    first: i64 = text[begin]
    if first == 96 or first == 34:
        name = text[begin + 1 : end - 1].lower()
        code = WORDS.get(name, 0)
        if GET_LOCK <= code <= SEQUENCE:
            _mark(marks, code, begin, end, depth)
    else:
        name = text[begin:end].lower()
    if name not in COMMON:
        _mark(marks, FUNCTION, begin, end, depth)


def _mark(marks: list[int], code: i64, begin: i64, end: i64, depth: i64) -> None:
    marks.append(code)
    marks.append(begin)
    marks.append(end)
    marks.append(depth)


def _end_of_variable(text: bytes, begin: i64) -> i64:
    """The offset after the variable whose first ``@`` is at ``begin``; 0 when a quoted name does not end."""
    classes: bytes = _CLASSES
    size: i64 = len(text)
    pos: i64 = begin + 1
    if pos < size and text[pos] == 64:
        pos += 1
    while pos < size:
        byte: i64 = text[pos]
        kind: i64 = classes[byte]
        if kind in (_LETTER, _DIGIT, _DOT):
            pos += 1
        elif kind in (_BACKTICK, _QUOTE, _DOUBLE_QUOTE):
            # A backslash does not escape in @'x': "User variable names ... can contain other characters if quoted" is all that the
            # manual says; servers read it like a string or name of that quote.
            pos = end_of_quoted(text, pos + 1, byte, kind != _BACKTICK)
            if pos == 0 or pos == size or text[pos] != byte:
                return pos
        else:
            break
    return pos


# Kinds of tokens.
NUMBER: Final = 1
WORD: Final = 2
STRING: Final = 3
NAME: Final = 4  # a quoted name
VARIABLE: Final = 5  # @x, quotes and @ included
SYSTEM: Final = 6  # @@x.y
SYMBOL: Final = 7


MOST_OPEN: Final = 16
"""Openings without an end that are passed over in a text with executable comments."""


class Token:
    """One token of a statement."""

    __slots__ = ("end", "kind", "start", "text", "word")

    def __init__(self, kind: int, text: bytes, start: int, end: int) -> None:
        self.kind = kind
        self.text = text  # as written
        self.start = start
        self.end = end
        self.word = text.lower() if kind == WORD else b""  # lower case, when it is an unquoted word


_SKIP: Final = (
    rb"""[\x00-\x20]+ | \#[^\n]* | --(?=[\x00-\x20\x7f]|\Z)[^\n]* | /\*(?!M?!(?!999999\\))(?s:.*?)\*/"""
)
_QUOTES: Final = (b"'", b'"', b"`")
_COMMENT: Final = re.compile(rb"/\*(?!M?!(?!999999\\))")
_BACKTICKS: Final = rb"`(?:[^`]++|``)*+`"
_ESCAPED: Final = rb"'(?:[^'\\]++|''|\\(?s:.))*+'"
_ESCAPED_DOUBLE: Final = rb'"(?:[^"\\]++|""|\\(?s:.))*+"'
_PLAIN: Final = rb"'(?:[^']++|'')*+'"
_PLAIN_DOUBLE: Final = rb'"(?:[^"]++|"")*+"'
_WORD: Final = rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*+"


def _pattern(lexing: int, is_conditional: bool) -> re.Pattern[bytes]:
    single = _PLAIN if lexing & NO_BACKSLASH_ESCAPES else _ESCAPED
    double = _PLAIN_DOUBLE if lexing & (NO_BACKSLASH_ESCAPES | ANSI_QUOTES) else _ESCAPED_DOUBLE
    string, name = single + b"|" + double, _BACKTICKS
    if lexing & ANSI_QUOTES:
        string, name = single, _BACKTICKS + b"|" + double
    skip = _SKIP + rb"| /\*M?!\d* | \*/" if is_conditional else _SKIP
    parts = [
        rb"(?:" + skip + rb")",
        rb"([0-9]++(?:\.[0-9]*+)?(?:[eE][-+]?[0-9]++)?(?![A-Za-z0-9_$\x80-\xff]) | \.[0-9]++)",
        rb"([A-Za-z0-9_$\x80-\xff]++)",
        rb"(" + string + rb")",
        rb"(" + name + rb")",
        rb"(@(?!@)(?:[A-Za-z0-9_$.\x80-\xff]++|" + string + rb"|" + name + rb")?)",
        # (Python 3.11.2 loses its place in a possessive group within another)
        rb"(@@(?:[A-Za-z0-9_$.\x80-\xff]++|" + _BACKTICKS + rb")*)",
        rb"(:=|(?s:.))",
    ]
    return re.compile(b"|".join(parts), re.VERBOSE)


_PATTERNS: Final = [_pattern(lexing, conditional) for conditional in (False, True) for lexing in range(4)]


def tokenize(
    text: bytes, start: int, end: int, lexing: int, is_conditional: bool, limit: int = 1 << 30
) -> list[Token]:
    """The first ``limit`` tokens of ``text[start:end]``. Never fails: what does not fit is a symbol of one byte. What opens a string, a quoted name or a
    comment that does not end is the last: servers refuse the statement. With executable comments, which they may skip, it goes on behind MOST_OPEN."""
    pattern = _PATTERNS[(lexing & 3) + (4 if is_conditional else 0)]
    tokens: list[Token] = []
    slash = -1  # behind the last that is a symbol
    left = MOST_OPEN if is_conditional else 0
    for match in pattern.finditer(text, start, end):
        kind = match.lastindex
        if kind is not None:
            token = Token(kind, match.group(), match.start(), match.end())
            tokens.append(token)
            if len(tokens) >= limit:
                break
            if kind == SYMBOL and _is_open(text, end, token, slash):
                if left == 0:
                    break
                left -= 1
            if token.text == b"/":
                slash = token.end
    return tokens


def _is_open(text: bytes, end: int, symbol: Token, slash: int) -> bool:
    """Whether a symbol, or the slash before it and it, would open something: it does not end then. The slash of "*/*" may have ended something."""
    if symbol.text in _QUOTES:
        return True
    if symbol.start != slash or symbol.text != b"*" or (slash > 1 and text[slash - 2] == 42):
        return False
    return _COMMENT.match(text, slash - 1, end) is not None


_ESCAPES: Final[dict[bytes, bytes]] = {
    b"0": b"\0",
    b"b": b"\b",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"Z": b"\x1a",
}
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)


def _unescape(match: re.Match[bytes]) -> bytes:
    escaped = match.group(1)
    return _ESCAPES.get(escaped, escaped)


def unquoted(written: bytes, is_escaping: bool) -> bytes:
    """The string or name that a quoted token stands for."""
    quote = written[:1]
    # compiled code fails at a slice that ends before it begins, and a name may be missing where one has to be
    inner = written[1:-1] if len(written) > 1 else b""
    if is_escaping and b"\\" in inner and quote != b"`":
        return b"".join(
            part if i % 2 else _ESCAPE.sub(_unescape, part)
            for i, part in enumerate(_split_doubled(inner, quote))
        )
    return inner.replace(quote + quote, quote)


def _split_doubled(inner: bytes, quote: bytes) -> list[bytes]:
    """``inner`` cut at its doubled quotes, which stand (as one) at the odd places."""
    parts: list[bytes] = []
    begin = 0
    pos = 0
    while pos < len(inner):
        byte = inner[pos : pos + 1]
        if byte == b"\\":
            pos += 2
        elif byte == quote:
            parts.append(inner[begin:pos])
            parts.append(quote)
            pos += 2
            begin = pos
        else:
            pos += 1
    parts.append(inner[begin:])
    return parts


def lexing_of(sql_mode: bytes) -> int:
    """The bits of a session's sql_mode that change how text is read."""
    modes = sql_mode.upper().split(b",")
    lexing = ANSI_QUOTES if b"ANSI_QUOTES" in modes else 0
    return lexing | NO_BACKSLASH_ESCAPES if b"NO_BACKSLASH_ESCAPES" in modes else lexing


def lexing_after(lexing: int, reported: list[tuple[bytes, bytes]]) -> int:
    """They, after the server has reported these variables."""
    for name, value in reported:
        if name == b"sql_mode":
            lexing = lexing_of(value)
    return lexing
