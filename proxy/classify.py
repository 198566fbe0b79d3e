"""What a statement's text says about the session: the third instrument (see ``session.py`` for the other two).

:func:`classify` reads a COM_QUERY's whole text once. Ordinary statements share ready-made :class:`Statement` objects, so nothing is
allocated for them; :class:`StatementCache` remembers the rest. Pessimistic: text that is not understood pins
(``unknown-statement``) and never raises; the server says what is wrong with it.

What it cannot see: inside stored routines, triggers and prepared text that is not a literal. The trackers do. And there is one thing
that neither sees: a stored routine that says ``SET @@x = ..`` (without SESSION) on MariaDB, which reports nothing of that form.
"""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from protocol.framing import payload_of
from proxy import lexer
from proxy.effects import Effects, at, is_symbol, uses_unknown_function, words_of
from proxy.grammar import GRAMMARS, PLAIN, ROUTINES, assignments
from proxy.lexer import (
    HEAD_SIZE,
    INTO,
    LIMIT,
    MARK_SIZE,
    NAME,
    STRING,
    SYSTEM,
    UNION,
    WORD,
    Survey,
    Token,
    survey,
    tokenize,
)
from proxy.pins import PinReason
from proxy.statement import (
    ALL_NAMES,
    CALLS,
    FIXED_NAME,
    IS_CONDITIONAL,
    IS_SELECT,
    KEEPS_DIAGNOSTICS,
    MAY_CALL,
    MULTI,
    NOTHING,
    READS_CONNECTION_ID,
    READS_DIAGNOSTICS,
    READS_FOUND_ROWS,
    READS_INSERT_ID,
    READS_ROW_COUNT,
    SETS_FOR_ITSELF,
    SETS_INSERT_ID,
    UNKNOWN_FOUND_ROWS,
    USES_NO_TABLE,
    Question,
    Statement,
)

__all__ = ["NOTHING", "Question", "Statement", "StatementCache", "classify"]

_QUERIES: Final = frozenset([b"select", b"with", b"table", b"values"])  # MariaDB has no TABLE
_SELECT: Final = Statement(IS_SELECT)
_SELECT_WITHOUT_TABLE: Final = Statement(IS_SELECT | USES_NO_TABLE)
_EXPLAIN: Final = Statement()
_EXPLAIN_WITHOUT_TABLE: Final = Statement(USES_NO_TABLE)
_ORDINARY: Final[dict[bytes, Statement]] = {
    **{word: Statement(flags) for word, flags in PLAIN.items()},
    **dict.fromkeys(_QUERIES, _SELECT),
    **{word: NOTHING for word, flags in PLAIN.items() if not flags},
    b"explain": _EXPLAIN,
}
_OFFSETS: Final[dict[int, Statement]] = {}
_MOST_OFFSETS: Final = 4096
_MOST_DIGITS: Final = 18
_AFTER_LIMIT: Final = b");ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def classify(text: bytes, lexing: int) -> Statement:
    """What ``text`` does to a session. ``lexing`` has the bits of the session's sql_mode that change how text is read."""
    found = survey(text, lexing)
    heads = found.heads
    if len(heads) == HEAD_SIZE and not found.is_conditional and not found.is_broken:
        ordinary = _ORDINARY.get(text[heads[0] : heads[1]].lower())
        if ordinary is not None:
            marks = found.marks
            if ordinary is _EXPLAIN:
                return _EXPLAIN if found.has_from else _EXPLAIN_WITHOUT_TABLE
            if ordinary is _SELECT:
                if not marks:
                    return _SELECT if found.has_from else _SELECT_WITHOUT_TABLE
                if found.has_from and len(marks) == MARK_SIZE and marks[0] == LIMIT:
                    return _limited(text, marks[2], marks[3])
            elif _is_harmless(marks):
                return ordinary
    elif not heads and not found.is_ambiguous:
        return NOTHING
    return _compose(text, lexing, found)


def _limited(text: bytes, after: int, depth: int) -> Statement:
    """A SELECT of which only its one LIMIT is remarkable."""
    offset = int(_offset(text, after)) if depth == 0 else 0
    if offset == 0:
        return _SELECT
    statement = _OFFSETS.get(offset)
    if statement is None:
        statement = Statement(IS_SELECT, found_rows=offset)
        if len(_OFFSETS) < _MOST_OFFSETS:
            _OFFSETS[offset] = statement
    return statement


def _offset(text: bytes, after: i64) -> i64:
    """The offset of the LIMIT whose word ends at ``after``; UNKNOWN_FOUND_ROWS when it is no literal."""
    begin = _skip_space(text, after)
    end = _skip_digits(text, begin)
    if end == begin or end - begin > _MOST_DIGITS:
        return UNKNOWN_FOUND_ROWS
    pos = _skip_space(text, end)
    size: i64 = len(text)
    if pos < size and text[pos] == 44:  # LIMIT offset, rows
        return int(text[begin:end])
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


def _is_harmless(marks: list[int]) -> bool:
    """Whether none of the marks of a statement that is no query means anything there."""
    for i in range(0, len(marks), MARK_SIZE):
        code = marks[i]
        if code != INTO and code != LIMIT and code != UNION:
            return False
    return True


# The general case

# Flags that hold for a text only if they hold for each of its statements.
_OF_ALL: Final = USES_NO_TABLE | KEEPS_DIAGNOSTICS


def _compose(text: bytes, lexing: int, found: Survey) -> Statement:
    """All statements of a text in one record."""
    effects = Effects(text, lexing, found.is_conditional)
    heads, marks = found.heads, found.marks
    if found.is_ambiguous:
        effects.unknown()
    if found.is_conditional:
        effects.flags |= IS_CONDITIONAL
    count = len(heads) // HEAD_SIZE
    if count > 1:
        effects.flags |= MULTI
    kept = _OF_ALL
    i = 0
    while i < count:
        begin, head_end, first_mark = heads[i * HEAD_SIZE : i * HEAD_SIZE + HEAD_SIZE]
        i += 1
        word = text[begin:head_end].lower()
        end = _end_of_routine(effects, begin) if word == b"create" else 0
        if end:
            # a routine's body is not executed: go on with the first statement after it
            while i < count and heads[i * HEAD_SIZE] < end:
                i += 1
            continue
        end = heads[i * HEAD_SIZE] if i < count else len(text)
        last_mark = heads[i * HEAD_SIZE + 2] if i < count else len(marks)
        before = effects.flags
        effects.flags &= ~_OF_ALL
        _one(effects, word, begin, end, marks[first_mark:last_mark], found.has_from)
        kept &= effects.flags
        effects.flags |= before & _OF_ALL
    if count > 1:
        effects.flags &= ~_OF_ALL | kept
        if effects.temporary or b"sql_mode" in effects.variables:
            # whose values were reported when, and how the rest was read, is beyond us
            effects.unknown()
        # only what the last one says would count, and it may not be reached
        effects.question = 0
        effects.kill = None
        effects.places.clear()
        effects.found_rows = UNKNOWN_FOUND_ROWS
    return effects.statement()


def _one(effects: Effects, word: bytes, begin: int, end: int, marks: list[int], has_from: bool) -> None:
    """One statement of the text."""
    is_query = word in _QUERIES
    if is_query:
        effects.flags |= IS_SELECT if has_from else IS_SELECT | USES_NO_TABLE
    flags = PLAIN.get(word)
    if flags is not None:
        effects.flags |= flags
    elif not is_query:
        tokens = _tokens_of(effects, begin, end)
        recursive = _RECURSIVE.get(word)
        grammar = GRAMMARS.get(word)
        if word == b"set" and at(tokens, 1).word == b"statement":
            _set_statement(effects, tokens)
        elif recursive is not None:
            recursive(effects, tokens)
        elif grammar is not None:
            grammar(effects, tokens)
        else:
            effects.unknown()
    if marks:
        _Marks(effects, word, begin, end, marks).apply()
    if effects.pins or effects.temporary or effects.flags & SETS_FOR_ITSELF:
        _suspect(effects, begin, end)


def _suspect(effects: Effects, begin: int, end: int) -> None:
    """What explains a change of state must not hide what a stored function did beside it."""
    if effects.flags & (CALLS | MAY_CALL):
        return
    tokens = _tokens_of(effects, begin, min(end, begin + _LONGEST_SUSPECT))
    words = words_of(tokens)
    if words[:1] == [b"create"]:
        # a table's definition is full of parentheses: functions are used in its SELECT only
        tokens = tokens[words.index(b"select") :] if b"select" in words else []
    if end - begin > _LONGEST_SUSPECT or uses_unknown_function(tokens):
        effects.flags |= MAY_CALL


def _tokens_of(effects: Effects, begin: int, end: int) -> list[Token]:
    """The tokens of one statement."""
    tokens = tokenize(effects.text, begin, end, effects.lexing, effects.is_conditional)
    while tokens and is_symbol(tokens[-1], b";"):
        tokens.pop()
    return tokens


def _end_of_routine(effects: Effects, begin: int) -> int:
    """Where the CREATE of a stored routine at ``begin`` ends, 0 if it is another CREATE.

    The body is one statement; BEGIN, CASE, IF, LOOP, WHILE and REPEAT nest and END closes them. When they do not balance, the rest of the
    text is taken for the body and pins.
    """
    tokens = tokenize(effects.text, begin, len(effects.text), effects.lexing, effects.is_conditional)
    i = 0
    while i < len(tokens) and i < 40 and tokens[i].word not in ROUTINES:
        if tokens[i].word in (b"table", b"view", b"select", b"index") or is_symbol(tokens[i], b";"):
            return 0
        i += 1
    if at(tokens, i).word not in ROUTINES:
        return 0
    open_blocks: list[bool] = []  # is it a CASE expression?
    starts = False  # may a statement begin here?
    previous = b""
    while i < len(tokens):
        token = tokens[i]
        word = token.word
        if is_symbol(token, b";"):
            if not open_blocks:
                return token.end
            starts = True
        elif word == b"end":
            if open_blocks:
                open_blocks.pop()
            if at(tokens, i + 1).word in _BLOCKS:
                i += 1
            starts = False
        elif word == b"case":
            open_blocks.append(not starts)
            starts = False
        elif word in _BLOCKS and (starts or word == b"begin") and previous != b".":
            open_blocks.append(False)
            starts = word in (b"begin", b"loop", b"repeat")
        else:
            in_expression = bool(open_blocks) and open_blocks[-1]
            starts = (word in (b"then", b"else", b"do") and not in_expression) or is_symbol(token, b":")
        previous = token.text
        i += 1
    if open_blocks:
        effects.unknown()
    return len(effects.text)


_BLOCKS: Final = frozenset([b"begin", b"case", b"if", b"loop", b"while", b"repeat", b"for"])


# Statements that contain others


def _inner(text: bytes, lexing: int) -> Statement:
    return classify(text, lexing)


def _set_statement(effects: Effects, tokens: list[Token]) -> None:
    """MariaDB: SET STATEMENT a=1, b=2 FOR statement: the values hold while the statement runs."""
    scratch = Effects(effects.text, effects.lexing, False)
    words = words_of(tokens)
    if b"for" not in words:
        effects.unknown()
        return
    border = words.index(b"for")
    assignments(scratch, tokens[:border], 2)
    effects.temporary.extend(scratch.variables)
    effects.inner = _inner(effects.text[tokens[border].end : tokens[-1].end], effects.lexing)
    effects.flags |= effects.inner.flags


def _prepare(effects: Effects, tokens: list[Token]) -> None:
    name = effects.plain(at(tokens, 1)).lower()
    source = at(tokens, 3)
    effects.flags |= USES_NO_TABLE
    effects.pin(PinReason.PREPARED_TEXT, name)
    is_literal = source.kind == STRING and len(tokens) == 4
    effects.prepares.append((name, _inner(effects.plain(source), effects.lexing) if is_literal else None))


def _execute(effects: Effects, tokens: list[Token]) -> None:
    name = at(tokens, 1)
    effects.flags |= READS_INSERT_ID
    effects.found_rows = UNKNOWN_FOUND_ROWS
    if name.word != b"immediate":
        effects.executes.append(effects.plain(name).lower())
        return
    source = at(tokens, 2)
    if source.kind == STRING and (len(tokens) == 3 or tokens[3].word == b"using"):
        effects.inner = _inner(effects.plain(source), effects.lexing)
        effects.flags |= effects.inner.flags
    else:
        effects.flags |= CALLS
        effects.unknown()


_RECURSIVE: Final = {b"prepare": _prepare, b"execute": _execute}


# Marks: what may stand anywhere in a statement

_EMPTY_CALL: Final = re.compile(rb"\s*\(\s*\)")
_CALL: Final = re.compile(rb"\s*\(")
_VALUE_FOR: Final = re.compile(rb"\s+value\s+for\b", re.IGNORECASE)
_SPACE: Final = re.compile(rb"(?:\s|/\*.*?\*/)*", re.DOTALL)
_BEFORE_ITEM: Final = re.compile(rb"(?:,|\bselect|\bSELECT|\bSelect)\s*\Z")
_AFTER_ITEM: Final = re.compile(rb"\s*(?:,|;|\Z|from\b)", re.IGNORECASE)
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
_LONGEST_SUSPECT: Final = 1 << 16


class _Marks:
    """Applies the marks of one statement to the effects of its text."""

    __slots__ = ("begin", "effects", "end", "marks", "word")

    def __init__(self, effects: Effects, word: bytes, begin: int, end: int, marks: list[int]) -> None:
        self.effects: Effects = effects
        self.word: bytes = word
        self.begin: int = begin
        self.end: int = end
        self.marks: list[int] = marks

    def apply(self) -> None:
        """All of them."""
        effects, marks, text = self.effects, self.marks, self.effects.text
        codes = marks[0::MARK_SIZE]
        if self.word not in (b"set", b"call", b"load"):
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
        if self.word in _QUERIES:
            self._found_rows(codes)
        if (
            self.word == b"select"
            and self.end - self.begin <= _LONGEST_QUESTION
            and not effects.flags & MULTI
        ):
            self._question()

    def _user_variables(self, codes: list[int]) -> None:
        """Reading @x is harmless: a backend that has user variables is never shared. Assigning pins."""
        if lexer.USER_VARIABLE not in codes:
            return
        if lexer.ASSIGNMENT in codes:
            self.effects.pin(PinReason.USER_VARIABLE)
            return
        if self.word in (b"insert", b"replace") or lexer.INTO not in codes:
            return
        first, last = codes.index(lexer.INTO), len(codes) - 1 - codes[::-1].index(lexer.USER_VARIABLE)
        if first < last:
            self.effects.pin(PinReason.USER_VARIABLE)

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

    def _place(self, i: int, question: int) -> None:
        """Note where a count is read, so that its value can be written there."""
        text = self.effects.text
        begin, end, depth = self.marks[i + 1], self.marks[i + 2], self.marks[i + 3]
        if self.marks[i] != lexer.SYSTEM_VARIABLE:
            call = _EMPTY_CALL.match(text, end)
            if call is None:
                return
            end = call.end()
        is_item = (
            depth == 0
            and self.word == b"select"
            and _BEFORE_ITEM.search(text, max(self.begin, begin - 64), begin) is not None
            and _AFTER_ITEM.match(text, end) is not None
        )
        self.effects.places.append((question, begin, end, is_item))

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
        if tokens is None or self.word not in (b"select", b"do") or at(tokens, 1).kind != WORD:
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
            return self.effects.plain(tokens[3]).lower()
        return b""

    def _tokens(self) -> list[Token] | None:
        if self.end - self.begin > _LONGEST_QUESTION:
            return None
        return _tokens_of(self.effects, self.begin, self.end)

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
        if lexer.CALC_FOUND_ROWS in codes or (limits and lexer.UNION in codes):
            effects.found_rows = UNKNOWN_FOUND_ROWS
            return
        outer = [i for i in limits if marks[i * MARK_SIZE + 3] == 0]
        if len(outer) > 1:
            effects.found_rows = UNKNOWN_FOUND_ROWS
        elif outer:
            effects.found_rows = int(_offset(effects.text, marks[outer[0] * MARK_SIZE + 2]))

    def _question(self) -> None:
        tokens = _tokens_of(self.effects, self.begin, self.end)
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


# The cache

_LONGEST_KEPT: Final = 4096
_ENTRY_OVERHEAD: Final = 200


class StatementCache:
    """Remembers what texts mean. Bounded by bytes: when it is full, the older half of its generation is forgotten.

    Two generations: what is looked up in the old one moves to the young one; when the young one is full it becomes the old one.
    """

    __slots__ = ("_left", "_old", "_size", "_young")

    def __init__(self, max_bytes: int) -> None:
        self._size: int = max_bytes // 2
        self._left: int = self._size
        self._young: list[dict[bytes, Statement]] = [{} for _ in range(4)]
        self._old: list[dict[bytes, Statement]] = [{} for _ in range(4)]

    def lookup(self, wire: bytes, lexing: int) -> Statement:
        """The statement of a COM_QUERY, given as the wire form of one unsplit command (or of a split one: then its text is joined)."""
        statement = self._young[lexing].get(wire)
        if statement is not None:
            return statement
        if len(wire) > _LONGEST_KEPT:
            return classify(_text_of(wire), lexing)
        statement = self._old[lexing].get(wire)
        if statement is None:
            statement = classify(wire[5:], lexing)
        self._keep(wire, lexing, statement)
        return statement

    def _keep(self, wire: bytes, lexing: int, statement: Statement) -> None:
        cost = len(wire) + _ENTRY_OVERHEAD
        if self._left < cost:
            self._old = self._young
            self._young = [{} for _ in range(4)]
            self._left = self._size
        self._left -= cost
        self._young[lexing][wire] = statement

    def __len__(self) -> int:
        return sum([len(texts) for texts in self._young]) + sum([len(texts) for texts in self._old])


def _text_of(wire: bytes) -> bytes:
    """The text of a COM_QUERY, its split packets joined."""
    if wire[:3] != b"\xff\xff\xff":
        return wire[5:]
    return payload_of(wire)[1:]
