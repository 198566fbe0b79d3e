"""What may stand anywhere in a statement, applied: variables, functions that read residue or take locks, LIMIT. For `classify`."""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from proxy import lexer
from proxy.effects import Effects, at, is_symbol, tokens_of
from proxy.functions import MARIADB, MYSQL
from proxy.lexer import LIMIT, MARK_SIZE, NAME, STRING, SYSTEM, WORD, Token
from proxy.pins import PinReason
from proxy.statement import (
    ALL_NAMES,
    FIXED_NAME,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MAY_CALL_ON_MYSQL,
    MULTI,
    NAMES_USER_VARIABLES,
    READS_CONNECTION_ID,
    READS_DIAGNOSTICS,
    READS_FOUND_ROWS,
    READS_INSERT_ID,
    READS_ROW_COUNT,
    SETS_FOR_ITSELF,
    SETS_INSERT_ID,
    UNKNOWN_FOUND_ROWS,
    USES_NO_TABLE,
    USES_TABLE,
    Question,
)
from proxy.variables import name_of

QUERIES: Final = frozenset([b"select", b"with", b"table", b"values"])
"""First words of statements that leave a FOUND_ROWS() of their own. (MariaDB has no TABLE.)"""

_READERS: Final = QUERIES | {b"show", b"explain", b"describe", b"desc"}
_MOST_DIGITS: Final = 18
_AFTER_LIMIT: Final = b");ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EMPTY_CALL: Final = re.compile(rb"\s*\(\s*\)")
_CALL: Final = re.compile(rb"\s*\(")
_NUMBER: Final = re.compile(rb"\s+[0-9]")
_LOCK_TIMEOUTS: Final = (b"innodb_lock_wait_timeout", b"lock_wait_timeout")
_VALUE_FOR: Final = re.compile(rb"\s+value\s+for\b", re.IGNORECASE)
_COUNTS: Final[dict[bytes, int]] = {
    b"warning_count": Question.WARNING_COUNT,
    b"error_count": Question.ERROR_COUNT,
}
_FUNCTIONS: Final[dict[bytes, int]] = {
    b"last_insert_id": Question.LAST_INSERT_ID,
    b"row_count": Question.ROW_COUNT,
    b"found_rows": Question.FOUND_ROWS,
    b"connection_id": Question.CONNECTION_ID,
}
_NO_ALIASES: Final = frozenset(
    [
        b"from",
        b"limit",
        b"union",
        b"where",
        b"order",
        b"group",
        b"into",
        b"for",
        b"having",
        b"procedure",
        b"lock",
    ]
)
_LONGEST_QUESTION: Final = 256


_OTHER_LIMIT: Final = re.compile(rb"\bfetch\b|\boffset\b[^()]*\brows?\b", re.IGNORECASE)


class Marks:
    """Applies the marks of one statement to the effects of its text."""

    __slots__ = ("begin", "effects", "end", "is_first", "marks", "word")

    def __init__(
        self, effects: Effects, word: bytes, begin: int, end: int, marks: list[int], is_first: bool = True
    ) -> None:
        self.effects: Effects = effects
        self.word: bytes = word
        self.begin: int = begin
        self.end: int = end
        self.marks: list[int] = marks
        # the counts that the later statements of a text read are those of its earlier ones
        self.is_first: bool = is_first

    def apply(self) -> None:
        """All of them."""
        effects, marks, text = self.effects, self.marks, self.effects.text
        codes = marks[0::MARK_SIZE]
        if lexer.USER_VARIABLE in codes:
            self._user_variables(codes)
        for i in range(0, len(marks), MARK_SIZE):
            code, end = marks[i], marks[i + 2]
            if code == lexer.LAST_INSERT_ID:
                is_read = _EMPTY_CALL.match(text, end) is not None
                effects.flags |= READS_INSERT_ID if is_read else READS_INSERT_ID | SETS_INSERT_ID
            elif code == lexer.FOUND_ROWS:
                effects.flags |= READS_FOUND_ROWS
                self._place(i, Question.FOUND_ROWS)
            elif code == lexer.ROW_COUNT:
                effects.flags |= READS_ROW_COUNT
                self._place(i, Question.ROW_COUNT)
            elif code == lexer.CONNECTION_ID:
                effects.flags |= READS_CONNECTION_ID
            elif code == lexer.SYSTEM_VARIABLE:
                self._system_variable(i)
            elif code in (lexer.GET_LOCK, lexer.RELEASE_LOCK, lexer.RELEASE_ALL_LOCKS, lexer.SERVICE_LOCK):
                self._lock(code)
            elif code == lexer.HINT:
                effects.flags |= SETS_FOR_ITSELF
            elif code == lexer.SEQUENCE and (_VALUE_FOR if end - marks[i + 1] == 4 else _CALL).match(
                text, end
            ):
                effects.pin(PinReason.SEQUENCE_VALUE)
                effects.flags = effects.flags & ~USES_NO_TABLE | USES_TABLE
            elif code == lexer.READS_SEQUENCE:
                effects.flags &= ~USES_NO_TABLE
            elif code == lexer.FUNCTION:
                self._function(i)
            elif code == lexer.LOCK_WAIT and (end - marks[i + 1] == 6 or _NUMBER.match(text, end)):
                # MariaDB reports the timeouts as it sets them for the statement, and not that they are as before after it
                effects.temporary.extend(_LOCK_TIMEOUTS)
            elif code == lexer.RETURNING and self.word in (b"insert", b"replace"):
                # the OK at the end of a result set has no insert id
                effects.flags |= READS_INSERT_ID | SETS_INSERT_ID
        if self.word in QUERIES:
            self._found_rows(codes)
        if (
            self.word == b"select"
            and self.end - self.begin <= _LONGEST_QUESTION
            and not effects.flags & MULTI
        ):
            self._question()

    def _user_variables(self, codes: list[int]) -> None:
        """Queries only read, unless they say otherwise. All else may assign: servers do so even when INSERT reads what never was."""
        effects = self.effects
        effects.flags |= NAMES_USER_VARIABLES
        if self.word in _READERS and lexer.ASSIGNMENT not in codes and lexer.INTO not in codes:
            return
        is_escaping = not effects.lexing & lexer.NO_BACKSLASH_ESCAPES
        for i in range(len(codes)):
            if codes[i] == lexer.USER_VARIABLE:
                begin, end = self.marks[i * MARK_SIZE + 1], self.marks[i * MARK_SIZE + 2]
                name = name_of(effects.text[begin:end], is_escaping)
                if name is None:
                    effects.pin(PinReason.USER_VARIABLE)
                elif name:
                    effects.user_variables.append(name)

    def _system_variable(self, i: int) -> None:
        effects = self.effects
        name = effects.text[self.marks[i + 1] : self.marks[i + 2]].lower().replace(b"`", b"")
        name = name[2:].removeprefix(b"session.").removeprefix(b"local.")
        if name in _COUNTS:
            effects.flags |= READS_DIAGNOSTICS
            self._place(i, _COUNTS[name])
        elif name in (b"identity", b"last_insert_id"):
            effects.flags |= READS_INSERT_ID
        elif name == b"pseudo_thread_id":
            effects.flags |= READS_CONNECTION_ID

    def _function(self, i: int) -> None:
        """A name before a parenthesis: a stored function's, unless what stands around it says otherwise."""
        effects, text, begin = self.effects, self.effects.text, self.marks[i + 1]
        if self.word in _WITHOUT_FUNCTIONS or _is_no_function(text, self.begin, begin, self.marks[i + 2]):
            return
        if self.word == b"create" and _SELECT.search(text, self.begin, begin) is None:
            # a definition: types, keys and the servers' own functions
            return
        name = text[begin : self.marks[i + 2]].lower()
        if name in MARIADB:
            effects.flags |= MAY_CALL_ON_MYSQL
        elif name in MYSQL:
            effects.flags |= MAY_CALL_ON_MARIADB
        elif name[:1] not in b'`"' or name[1:-1] not in MARIADB | MYSQL:
            effects.flags |= MAY_CALL
        else:
            effects.flags |= MAY_CALL_ON_MYSQL if name[1:-1] in MARIADB else MAY_CALL_ON_MARIADB

    def _place(self, i: int, question: int) -> None:
        """Note where a count is read, so that its value can be written there."""
        text = self.effects.text
        begin, end = self.marks[i + 1], self.marks[i + 2]
        if self.marks[i] != lexer.SYSTEM_VARIABLE:
            call = _EMPTY_CALL.match(text, end)
            if call is None:
                return
            end = call.end()
        if not self.effects.flags & MULTI or self.is_first:
            self.effects.places.append((question, begin, end))

    def _lock(self, code: int) -> None:
        effects = self.effects
        name = self._bare_lock()
        if code == lexer.SERVICE_LOCK:
            effects.pin(PinReason.USER_LOCK, FIXED_NAME)
        elif code == lexer.GET_LOCK:
            effects.pin(PinReason.USER_LOCK, b"=" + name if name else FIXED_NAME + b"?")
        elif code == lexer.RELEASE_ALL_LOCKS:
            if name is not None:
                effects.lift(PinReason.USER_LOCK, ALL_NAMES)
        elif name:
            effects.lift(PinReason.USER_LOCK, b"=" + name)

    def _bare_lock(self) -> bytes | None:
        """The literal name in ``SELECT|DO function('name' ..) [[AS] alias]`` and nothing else; b"" without one; None if it is more."""
        tokens = self._tokens()
        if tokens is None or self.word not in (b"select", b"do") or at(tokens, 1).kind not in (WORD, NAME):
            return None
        if not is_symbol(at(tokens, 2), b"("):
            return None
        i = 3
        while i < len(tokens) and not is_symbol(tokens[i], b")"):
            if is_symbol(tokens[i], b"("):
                return None
            i += 1
        if i >= len(tokens) or not self._is_end(tokens, i + 1):
            return None
        if at(tokens, 3).kind == STRING and (i == 4 or is_symbol(tokens[4], b",")):
            # as it is written: MariaDB tells 'a' from 'A'. What other bytes than ASCII are depends on the character set.
            lock = self.effects.plain(tokens[3])
            return lock if lock.isascii() else b""
        return b""

    def _tokens(self) -> list[Token] | None:
        if self.end - self.begin > _LONGEST_QUESTION:
            return None
        return tokens_of(self.effects, self.begin, self.end)

    def _is_end(self, tokens: list[Token], i: int) -> bool:
        """Is there nothing from ``i`` on but an alias?"""
        has_as = at(tokens, i).word == b"as"
        if has_as:
            i += 1
        alias = at(tokens, i)
        if i == len(tokens):
            return not has_as
        if i + 1 != len(tokens) or alias.kind not in (WORD, NAME, STRING):
            return False
        return has_as or alias.word not in _NO_ALIASES

    def _found_rows(self, codes: list[int]) -> None:
        """What FOUND_ROWS() will be: rows sent plus the offset of the one LIMIT outside of parentheses."""
        effects, marks = self.effects, self.marks
        limits = [i for i, code in enumerate(codes) if code == LIMIT]
        if (
            lexer.CALC_FOUND_ROWS in codes
            or (limits and lexer.UNION in codes)
            or (lexer.ROWS in codes and _OTHER_LIMIT.search(effects.text, self.begin, self.end) is not None)
        ):
            effects.found_rows = UNKNOWN_FOUND_ROWS
            return
        outer = [i for i in limits if marks[i * MARK_SIZE + 3] == 0]
        if len(outer) > 1:
            effects.found_rows = UNKNOWN_FOUND_ROWS
        elif outer:
            effects.found_rows = int(offset_of(effects.text, marks[outer[0] * MARK_SIZE + 2]))

    def _question(self) -> None:
        tokens = tokens_of(self.effects, self.begin, self.end)
        first = at(tokens, 1)
        question, size = 0, 1
        if first.kind == SYSTEM:
            name = first.text[2:].lower().removeprefix(b"session.").removeprefix(b"local.")
            question = _COUNTS.get(name, 0)
        elif first.kind == WORD and is_symbol(at(tokens, 2), b"(") and is_symbol(at(tokens, 3), b")"):
            question, size = _FUNCTIONS.get(first.word, 0), 3
        if not question or not self._is_end(tokens, size + 1):
            return
        self.effects.question = question
        alias = tokens[-1] if len(tokens) > size + 1 else None
        if alias is not None:
            self.effects.title = self.effects.plain(alias)
        else:
            self.effects.title = self.effects.text[first.start : tokens[size].end]


# Names before a parenthesis

_WITHOUT_FUNCTIONS: Final = frozenset(
    [
        b"call",
        b"alter",
        b"grant",
        b"revoke",
        b"optimize",
        b"check",
        b"checksum",
        b"repair",
        b"cache",
        b"truncate",
    ]
)
_NAME: Final = rb"""(?:`[^`]*`|"[^"]*"|[\w$\x80-\xff]+)"""
_SCHEMA: Final = re.compile(_NAME + rb"\s*\Z")
_TABLE: Final = re.compile(rb"\s*" + _NAME + rb"\s*\Z")
_BEFORE_NAME: Final = re.compile(
    rb"(?:\)|\b(?:into|as|table|insert|replace|ignore|low_priority|high_priority|delayed|set))\s*\Z",
    re.IGNORECASE,
)
_COLUMNS_OF_QUERY: Final = re.compile(rb"\s*\([^()]*\)\s*as\s*\(", re.IGNORECASE)
_SELECT: Final = re.compile(rb"\b(?:select|values\s+row)\b", re.IGNORECASE)


def is_table(text: bytes, begin: int, end: int) -> bool:
    """Whether ``text[begin:end]``, from INTO to the last part of the name before a parenthesis, has nothing but the name's schema."""
    between = text[begin:end]
    return between.isspace() if text[end] != 46 else _TABLE.match(between) is not None


def _is_no_function(text: bytes, begin: int, name: int, end: int) -> bool:
    """Whether the name from ``name`` to ``end`` is that of a table, type or query, whose columns or size the parenthesis has."""
    if _COLUMNS_OF_QUERY.match(text, end) is not None:
        return True
    before = text[max(begin, name - 128) : name]
    if text[name] == 46:
        schema = _SCHEMA.search(before)
        before = before[: schema.start()] if schema is not None else b""
    found = _BEFORE_NAME.search(before)
    if found is None:
        return False
    # the word may stand in a comment
    word = max(begin, name - 128) + found.start()
    line = text[text.rfind(b"\n", begin, word) + 1 : word]
    return b"--" not in line and b"#" not in line


# LIMIT


def offset_of(text: bytes, after: i64) -> i64:
    """The offset of the LIMIT whose word ends at ``after``; UNKNOWN_FOUND_ROWS when it is no literal. The number of rows may be a
    parameter: without an offset FOUND_ROWS() is what was sent, whatever the LIMIT."""
    begin = _skip_space(text, after)
    end = _skip_digits(text, begin)
    size: i64 = len(text)
    is_parameter = end == begin and begin < size and text[begin] == 63
    if is_parameter:
        end = begin + 1
    elif end == begin or end - begin > _MOST_DIGITS:
        return UNKNOWN_FOUND_ROWS
    pos = _skip_space(text, end)
    if pos < size and text[pos] == 44:  # LIMIT offset, rows
        return UNKNOWN_FOUND_ROWS if is_parameter else int(text[begin:end])
    if text[pos : pos + 6].lower() != b"offset":
        # another clause or the end may follow; anything else is an expression
        return 0 if pos == size or text[pos] in _AFTER_LIMIT else UNKNOWN_FOUND_ROWS
    begin = _skip_space(text, pos + 6)
    end = _skip_digits(text, begin)
    if begin == pos + 6 or end == begin or end - begin > _MOST_DIGITS:
        return UNKNOWN_FOUND_ROWS
    return int(text[begin:end])


def _skip_space(text: bytes, pos: i64) -> i64:
    size: i64 = len(text)
    while pos < size and text[pos] <= 32:
        pos += 1
    return pos


def _skip_digits(text: bytes, pos: i64) -> i64:
    size: i64 = len(text)
    while pos < size and 48 <= text[pos] <= 57:
        pos += 1
    return pos
