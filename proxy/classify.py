"""What a statement's text says about the session: the third instrument (see ``session.py`` for the other two).

:func:`classify` reads a COM_QUERY's whole text once. Ordinary statements share ready-made :class:`Statement` objects, so nothing is
allocated for them; :class:`StatementCache` remembers the rest. Pessimistic: text that is not understood pins
(``unknown-statement``) and never raises; the server says what is wrong with it.

What it cannot see: inside stored routines, triggers, views and prepared text that is not a literal. So CALL and functions that are not
the servers' own (`functions`) are noted; of triggers and views nothing is known.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.framing import payload_of
from proxy.effects import Effects, at, is_symbol, tokens_of, words_of
from proxy.found_rows import (
    DESCRIBES,
    EXPLAINING,
    EXPLAINS,
    MAINTAINS,
    WATCHED,
    after_values,
    changes_rows,
    explained,
    flags_after,
    found_rows_after,
    is_values,
    may_rule_out_all,
    second_word,
)
from proxy.grammar import GRAMMARS, PLAIN, ROUTINES, assignments
from proxy.kept import LIMITS, may_read
from proxy.lexer import (
    FUNCTION,
    HEAD_SIZE,
    INTO,
    LAST_INSERT_ID,
    LIMIT,
    MARK_SIZE,
    ODD_BYTES,
    STRING,
    UNION,
    VARIABLE,
    Survey,
    Token,
    survey,
    tokenize,
)
from proxy.marks import QUERIES, Marks, is_table, offset_of
from proxy.pins import PinReason
from proxy.statement import (
    CALLS,
    COMMITS_ITSELF,
    HIDES_FOUND_ROWS,
    IS_CONDITIONAL,
    IS_SELECT,
    KEEPS_DIAGNOSTICS,
    KEPT_FOUND_ROWS,
    MAINTAINING,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MAY_CALL_ON_MYSQL,
    MULTI,
    NOTHING,
    ONE_ON_MYSQL,
    ORDINARY,
    PREPARES_ONE,
    READS_FOUND_ROWS,
    READS_INSERT_ID,
    REDEFINES,
    SETS,
    SETS_INSERT_ID,
    TRUNCATING,
    UNKNOWN_FOUND_ROWS,
    UNKNOWN_ON_MARIADB,
    UNKNOWN_ON_MYSQL,
    UPDATES,
    USES_NO_TABLE,
    USES_TABLE,
    WANTS_FOUND_ROWS,
    Question,
    Statement,
)
from proxy.tables import of_created, of_explained, of_query
from proxy.vector import SELECT_LIMIT

__all__ = ["NOTHING", "Question", "Statement", "StatementCache", "classify"]

_SELECT: Final = Statement(IS_SELECT | USES_TABLE)
_SELECT_WITHOUT_TABLE: Final = Statement(IS_SELECT | USES_NO_TABLE)
_EXPLAIN: Final = Statement()
_DESCRIBE: Final = Statement(IS_SELECT | USES_TABLE)
_EXPLANATIONS: Final[dict[int, Statement]] = {
    flags: Statement(flags) for flags in (USES_TABLE, USES_NO_TABLE, 0)
}
_RUN_EXPLANATIONS: Final[dict[int, Statement]] = {
    flags: Statement(flags, found_rows=UNKNOWN_FOUND_ROWS) for flags in (USES_TABLE, USES_NO_TABLE, 0)
}
_OF_TABLE: Final = {each.flags: each for each in (ORDINARY, TRUNCATING, MAINTAINING)}
_ORDINARY: Final[dict[bytes, Statement]] = {
    **{word: Statement(flags) for word, flags in PLAIN.items()},
    **dict.fromkeys(QUERIES, _SELECT),
    **{word: _OF_TABLE[flags] for word, flags in PLAIN.items() if flags in _OF_TABLE},
    **dict.fromkeys(EXPLAINING, _EXPLAIN),
}
_DOUBTFUL_UPDATE: Final = Statement(PLAIN[b"update"] | WANTS_FOUND_ROWS)
_OFFSETS: Final[dict[int, Statement]] = {}
_MOST_OFFSETS: Final = 4096


# A character whose second byte the lexer takes for a variable's, an escape, a quote; by itself, the first is harmless in any character set.
_ODD: Final = re.compile(rb"[\x80-\xff][@\\`]")
# So where strings, names and statements begin and end is not known: it may have done anything, and lifts and answers nothing.
_NOT_BELIEVED: Final = Statement(
    MULTI | MAY_CALL | READS_INSERT_ID | SETS_INSERT_ID | SETS,
    pins=(PinReason.UNKNOWN_STATEMENT,),
    pin_names=(b"",),
    found_rows=UNKNOWN_FOUND_ROWS,
)
# But what it begins with is.
_BEGINS_WITH_TABLE: Final = re.compile(rb"\s*(?:insert|replace|update|delete)\b", re.IGNORECASE)
_NOT_BELIEVED_OF_TABLE: Final = Statement(
    _NOT_BELIEVED.flags | USES_TABLE,
    pins=_NOT_BELIEVED.pins,
    pin_names=_NOT_BELIEVED.pin_names,
    found_rows=UNKNOWN_FOUND_ROWS,
)


def classify(text: bytes, lexing: int) -> Statement:
    """What ``text`` does to a session. ``lexing`` has the bits of the session's sql_mode that change how text is read."""
    if lexing & ODD_BYTES and _ODD.search(text) is not None:
        return _NOT_BELIEVED if _BEGINS_WITH_TABLE.match(text) is None else _NOT_BELIEVED_OF_TABLE
    found = survey(text, lexing)
    heads = found.heads
    if len(heads) == HEAD_SIZE and not found.is_conditional and not found.is_broken:
        word = text[heads[0] : heads[1]].lower()
        ordinary = _ORDINARY.get(word)
        if ordinary is not None:
            marks = found.marks
            if ordinary is _EXPLAIN and _is_harmless(text, marks):
                return _explanation(word, text, heads[1], _tables(text, lexing, found))
            if ordinary is _SELECT:
                if is_values(word, text, heads[0]) or (word == b"with" and changes_rows(text, heads[0])):
                    return _compose(text, lexing, found)
                if not marks:
                    return _SELECT if _tables(text, lexing, found) == USES_TABLE else _SELECT_WITHOUT_TABLE
                if found.has_table and len(marks) == MARK_SIZE and marks[0] == LIMIT:
                    return _limited(text, marks[2], marks[3])
            elif (
                ordinary is not _EXPLAIN
                and _is_harmless(text, marks)
                and (word not in WATCHED or not found_rows_after(word, text, heads[0], found.has_select))
            ):
                doubtful = word == b"update" and may_rule_out_all(text, heads[0])
                return _DOUBTFUL_UPDATE if doubtful else ordinary
    elif not heads and not found.is_ambiguous:
        return NOTHING
    return _compose(text, lexing, found)


def _tables(text: bytes, lexing: int, found: Survey) -> int:
    """USES_TABLE or USES_NO_TABLE, for a text that is one query."""
    if found.has_table:
        return USES_TABLE
    if not found.has_from:
        return USES_NO_TABLE
    return of_query(tokenize(text, found.heads[0], len(text), lexing, False))


def _explanation(word: bytes, text: bytes, end: int, tables: int) -> Statement:
    """``tables``: what `of_query` says of it."""
    kind = explained(word, text, end)
    if kind == DESCRIBES:
        return _DESCRIBE
    if kind == MAINTAINS:
        return MAINTAINING
    flags = of_explained(second_word(text, end), tables)
    return _EXPLANATIONS[flags] if kind == EXPLAINS else _RUN_EXPLANATIONS[flags]


def _limited(text: bytes, after: int, depth: int) -> Statement:
    """A SELECT of which only its one LIMIT is remarkable."""
    offset = int(offset_of(text, after)) if depth == 0 else 0
    if offset == 0:
        return _SELECT
    statement = _OFFSETS.get(offset)
    if statement is None:
        statement = Statement(IS_SELECT | USES_TABLE, found_rows=offset)
        if len(_OFFSETS) < _MOST_OFFSETS:
            _OFFSETS[offset] = statement
    return statement


def _is_harmless(text: bytes, marks: list[int]) -> bool:
    """Whether none of the marks of a statement that is no query means anything there."""
    for i in range(0, len(marks), MARK_SIZE):
        code = marks[i]
        if code == FUNCTION:
            if i == 0 or marks[i - MARK_SIZE] != INTO or not is_table(text, marks[i - 2], marks[i + 1]):
                return False
        elif code != INTO and code != LIMIT and code != UNION:
            return False
    return True


# The general case

# First words of statements that use no table, or explain, unless a query in them does.
_WITH_QUERIES: Final = EXPLAINING | {b"do", b"set"}

# Flags that hold for a text only if they hold for each of its statements.
_OF_ALL: Final = USES_NO_TABLE | KEEPS_DIAGNOSTICS


# Of statements that may leave a FOUND_ROWS() of their own.
_COUNTING: Final = IS_SELECT | CALLS | MAY_CALL | MAY_CALL_ON_MARIADB | MAY_CALL_ON_MYSQL | UPDATES
_COUNTING_ON_MARIADB: Final = IS_SELECT | CALLS | MAY_CALL | MAY_CALL_ON_MARIADB
_KEPT: Final = (0, KEPT_FOUND_ROWS)
_KEPT_ON_MARIADB: Final = (ONE_ON_MYSQL, UNKNOWN_ON_MYSQL)

_REDEFINING: Final = frozenset([b"create", b"alter", b"drop", b"rename"])
_DEFINITIONS: Final = re.compile(rb"\b(?:view|trigger|function|procedure|package|rename)\b", re.IGNORECASE)
_LONGEST_HEAD: Final = 512


def _compose(text: bytes, lexing: int, found: Survey) -> Statement:
    """All statements of a text in one record."""
    effects = Effects(text, lexing, found.is_conditional)
    heads, marks = found.heads, found.marks
    if found.is_ambiguous:
        effects.unknown()
    if found.is_conditional:
        effects.flags |= IS_CONDITIONAL
    count = len(heads) // HEAD_SIZE
    effects.kept = may_read(text)
    if count > 1:
        effects.flags |= MULTI
        # the trackers may be needed for another of the statements
        effects.kept &= LIMITS
    kept = _OF_ALL
    is_kept = is_kept_on_mariadb = True
    i = 0
    while i < count:
        begin, head_end, first_mark = heads[i * HEAD_SIZE : i * HEAD_SIZE + HEAD_SIZE]
        i += 1
        word = text[begin:head_end].lower()
        if word in _REDEFINING and _DEFINITIONS.search(text, begin, begin + _LONGEST_HEAD) is not None:
            effects.flags |= REDEFINES
        end = _end_of_routine(effects, begin) if word == b"create" else 0
        if end:
            # a routine's body is not executed: go on with the first statement after it
            while i < count and heads[i * HEAD_SIZE] < end:
                i += 1
            kept &= ~KEEPS_DIAGNOSTICS
            continue
        end = heads[i * HEAD_SIZE] if i < count else len(text)
        last_mark = heads[i * HEAD_SIZE + 2] if i < count else len(marks)
        before = effects.flags
        effects.flags &= ~(_OF_ALL | _COUNTING)
        effects.found_rows = 0
        _one(effects, word, begin, head_end, end, marks[first_mark:last_mark], found, i == 1)
        kept &= effects.flags
        rows = effects.found_rows
        if effects.flags & _COUNTING or (rows not in _KEPT and rows != UNKNOWN_ON_MARIADB):
            is_kept = False
        if effects.flags & _COUNTING_ON_MARIADB or (rows not in _KEPT and rows not in _KEPT_ON_MARIADB):
            is_kept_on_mariadb = False
        effects.flags |= before & (_OF_ALL | _COUNTING)
    if found.is_conditional:
        # which parts are executed is not known
        effects.flags &= ~(USES_TABLE | USES_NO_TABLE)
    if (effects.question or effects.places) and _begins_empty(text, heads[0], lexing):
        # servers refuse an empty statement before another, and show what was sent
        effects.question = 0
        effects.places.clear()
    if count > 1:
        effects.flags &= ~_OF_ALL | kept
        if effects.temporary or b"sql_mode" in effects.variables:
            # whose values were reported when, and how the rest was read, is beyond us
            effects.unknown()
        # only what the last one says would count, and it may not be reached
        effects.question = 0
        effects.kill = None
        is_kept = is_kept and not effects.flags & HIDES_FOUND_ROWS
        effects.found_rows = _kept_by_all(is_kept, is_kept_on_mariadb)
    return effects.statement()


def _kept_by_all(on_mysql: bool, on_mariadb: bool) -> int:
    """`Statement.found_rows` of several statements."""
    if on_mysql:
        return KEPT_FOUND_ROWS if on_mariadb else UNKNOWN_ON_MARIADB
    return UNKNOWN_ON_MYSQL if on_mariadb else UNKNOWN_FOUND_ROWS


def _begins_empty(text: bytes, end: int, lexing: int) -> bool:
    """Whether a semicolon, and no comment with one, stands in front of the first statement's head."""
    return b";" in text[:end] and any(
        [is_symbol(token, b";") for token in tokenize(text, 0, end, lexing, False)]
    )


def _one(
    effects: Effects,
    word: bytes,
    begin: int,
    head_end: int,
    end: int,
    marks: list[int],
    found: Survey,
    is_first: bool,
) -> None:
    """One statement of the text."""
    is_query = word in QUERIES
    tables = USES_NO_TABLE
    if found.has_from and (is_query or word in _WITH_QUERIES):
        tables = of_query(tokens_of(effects, begin, end))
    if is_query:
        effects.flags |= IS_SELECT | tables
    flags = PLAIN.get(word)
    if flags is not None:
        effects.flags |= flags
        if word in EXPLAINING:
            explanation = _explanation(word, effects.text, head_end, tables)
            effects.flags |= explanation.flags
            effects.found_rows = explanation.found_rows
    elif not is_query:
        tokens = tokens_of(effects, begin, end)
        recursive = _RECURSIVE.get(word)
        grammar = GRAMMARS.get(word)
        if word == b"set" and at(tokens, 1).word == b"statement":
            _set_statement(effects, tokens)
        elif recursive is not None:
            recursive(effects, tokens)
        elif grammar is not None:
            grammar(effects, tokens)
        else:
            if word in _BLOCKS or is_symbol(at(tokens, 1), b":"):
                # outside of routines, as on MariaDB
                effects.unknown_run()
            else:
                effects.unknown()
    if word == b"set" and effects.inner is not None:
        effects.found_rows = effects.inner.found_rows
    elif word in WATCHED:
        rows = effects.found_rows = found_rows_after(word, effects.text, begin, found.has_select)
        effects.flags |= flags_after(word, effects.text, begin, found.has_select, rows)
        if tables == USES_TABLE:
            effects.flags = effects.flags & ~USES_NO_TABLE | USES_TABLE
    if marks:
        Marks(effects, word, begin, end, marks, is_first).apply()
        if (word == b"execute" or effects.temporary) and LAST_INSERT_ID in marks[0::MARK_SIZE]:
            # behind USING, or where SET STATEMENT sets something: it is not in the text that is executed
            effects.flags |= SETS_INSERT_ID
    if word == b"with" and changes_rows(effects.text[:end], begin):
        effects.found_rows = UNKNOWN_FOUND_ROWS
        effects.flags |= WANTS_FOUND_ROWS
    elif is_query and is_values(word, effects.text[:end], begin):
        effects.found_rows = after_values(tokens_of(effects, begin, end), effects.found_rows)
        if effects.found_rows == UNKNOWN_ON_MARIADB:
            effects.flags |= WANTS_FOUND_ROWS


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
    effects.flags |= of_created(tokens[i].word) | COMMITS_ITSELF
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
    effects.pins.extend(scratch.pins)
    effects.pin_names.extend(scratch.pin_names)
    inner = _inner(effects.text[tokens[border].end : tokens[-1].end], effects.lexing)
    effects.flags |= inner.flags
    if SELECT_LIMIT in scratch.variables:
        # which rows count then is beyond us
        effects.unknown_run()
    else:
        effects.inner = inner


def _prepare(effects: Effects, tokens: list[Token]) -> None:
    name = effects.plain(at(tokens, 1)).lower()
    source = at(tokens, 3)
    effects.pin(PinReason.PREPARED_TEXT, name)
    is_literal = source.kind == STRING and len(tokens) == 4
    if is_literal or (source.kind == VARIABLE and len(tokens) == 4):
        effects.flags |= PREPARES_ONE
    inner = _inner(effects.plain(source), effects.lexing) if is_literal else None
    effects.prepares.append((name, inner))
    if inner is None or inner.flags & READS_FOUND_ROWS:
        # on MySQL the backend has to have it by then
        effects.flags |= READS_INSERT_ID
    if inner is not None:
        # preparing it looks for its tables
        effects.flags |= inner.flags & (USES_TABLE | USES_NO_TABLE)
        # it keeps the session on its backend, so that they need not be named by each EXECUTE
        effects.user_variables.extend(inner.user_variables)
    if inner is None or PinReason.USER_VARIABLE in inner.pins:
        # it makes the variables that it assigns
        effects.unknown()


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
        effects.user_variables.extend(effects.inner.user_variables)
    else:
        effects.unknown_run()


_RECURSIVE: Final = {b"prepare": _prepare, b"execute": _execute}


# The cache

_LONGEST_KEPT: Final = 4096
_LEXINGS: Final = 8
_ENTRY_OVERHEAD: Final = 200


class StatementCache:
    """Remembers what texts mean. Bounded by bytes: when it is full, the older half of its generation is forgotten.

    Two generations: what is looked up in the old one moves to the young one; when the young one is full it becomes the old one.
    """

    __slots__ = ("_left", "_old", "_size", "_young")

    def __init__(self, max_bytes: int) -> None:
        self._size: int = max_bytes // 2
        self._left: int = self._size
        self._young: list[dict[bytes, Statement]] = [{} for _ in range(_LEXINGS)]
        self._old: list[dict[bytes, Statement]] = [{} for _ in range(_LEXINGS)]

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
            self._young = [{} for _ in range(_LEXINGS)]
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
