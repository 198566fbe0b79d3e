"""Writes counts that are known into a statement that asks for them, so that its answer is what it would be anyway. Pure.

``COALESCE(5,ROW_COUNT())`` has the type of ROW_COUNT(). The title of a column is its expression as written, from its first token to
its last one, comments between them included, cut to 255 characters (measured on both servers); so every item of a select list in
which something is written, and that has no alias, gets its own text for an alias.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.lexer import NAME, NUMBER, STRING, SYMBOL, SYSTEM, VARIABLE, WORD, Token, tokenize
from proxy.statement import IS_CONDITIONAL, Statement

Edit = tuple[int, int, bytes]
"""Where (begin, end) something else is to stand, and what."""

_LONGEST_TITLE: Final = 255
_MODIFIERS: Final = frozenset(
    b"all distinct distinctrow high_priority straight_join sql_small_result sql_big_result sql_buffer_result sql_no_cache sql_cache"
    b" sql_calc_found_rows".split()
)
_AFTER_ITEMS: Final = frozenset(
    b"from into where group having order limit union except intersect window for procedure lock on fetch offset".split()
)
# Words after which an operand must follow: what stands behind them is no alias.
_OPERATORS: Final = frozenset(
    b"div mod and or xor not like rlike regexp in is between binary collate interval then else when case sounds of escape any some"
    b" distinct all using member exists at".split()
)
_OPERANDS: Final = frozenset([b"null", b"true", b"false", b"end", b"default"])
_BEFORE_STRINGS: Final = frozenset([b"n", b"x", b"b", b"date", b"time", b"timestamp"])
_UNITS: Final = frozenset(
    b"microsecond second minute hour day week month quarter year second_microsecond minute_microsecond minute_second"
    b" hour_microsecond hour_second hour_minute day_microsecond day_second day_minute day_hour year_month".split()
)
_MARKERS: Final = re.compile(rb"/\*M?!\d*|\*/")
_BEYOND_BMP: Final = re.compile(rb"[\xf0-\xf7][\x80-\xbf]{3}")


def rewritten(text: bytes, statement: Statement, lexing: int, written: list[Edit]) -> bytes:
    """The text with the edits made, and titles kept."""
    is_conditional = bool(statement.flags & IS_CONDITIONAL)
    tokens = tokenize(text, 0, len(text), lexing, is_conditional)
    edits = list(written)
    for first, last in _items(tokens):
        begin, end = tokens[first].start, tokens[last].end
        if not any([begin <= edit[0] < end for edit in written]) or _has_alias(tokens, first, last):
            continue
        edits.append(
            (end, end, b" AS `" + _title(text[begin:end], is_conditional).replace(b"`", b"``") + b"`")
        )
    for begin, end, replacement in sorted(edits, reverse=True):
        text = text[:begin] + replacement + text[end:]
    return text


def _title(written: bytes, is_conditional: bool) -> bytes:
    if is_conditional:
        written = _MARKERS.sub(b"", written)
    written = _BEYOND_BMP.sub(b"?", written)
    if len(written) <= _LONGEST_TITLE:
        return written
    try:
        return written.decode()[:_LONGEST_TITLE].rstrip().encode()
    except UnicodeDecodeError:
        return written[:_LONGEST_TITLE].rstrip()


def _items(tokens: list[Token]) -> list[tuple[int, int]]:
    """First and last token of every item of every select list, those of RETURNING included."""
    items: list[tuple[int, int]] = []
    # for each open parenthesis: where the item begins whose list this is; -1: it is no list
    begins = [-1]
    for i, token in enumerate(tokens):
        begin = begins[-1]
        if token.kind == SYMBOL and token.text == b"(":
            begins.append(-1)
        elif token.kind == SYMBOL and token.text in (b")", b";"):
            _close(items, begin, i)
            begins.pop()
            if token.text == b";" or not begins:
                begins = [-1]
        elif token.word in (b"select", b"returning"):
            _close(items, begin, i)
            begins[-1] = i + 1
        elif begin == i and token.word in _MODIFIERS:
            begins[-1] = i + 1
        elif begin >= 0 and token.kind == SYMBOL and token.text == b",":
            _close(items, begin, i)
            begins[-1] = i + 1
        elif begin >= 0 and token.word in _AFTER_ITEMS:
            _close(items, begin, i)
            begins[-1] = -1
    _close(items, begins[-1], len(tokens))
    return items


def _close(items: list[tuple[int, int]], begin: int, end: int) -> None:
    if 0 <= begin < end:
        items.append((begin, end - 1))


def _has_alias(tokens: list[Token], first: int, last: int) -> bool:
    """Whether the item from token ``first`` to ``last`` ends in an alias, with AS or without."""
    if first == last:
        return False
    token, before = tokens[last], tokens[last - 1]
    if before.word == b"as":
        return True
    if not _ends_operand(before):
        return False
    if token.kind == WORD:
        is_unit = token.word in _UNITS and b"interval" in [each.word for each in tokens[first:last]]
        return token.word not in _OPERANDS and not is_unit
    if token.kind == STRING:
        return before.kind != STRING and before.word[:1] != b"_" and before.word not in _BEFORE_STRINGS
    return token.kind == NAME


def _ends_operand(token: Token) -> bool:
    if token.kind == SYMBOL:
        return token.text == b")"
    if token.kind == WORD:
        return token.word not in _OPERATORS
    return token.kind in (NUMBER, STRING, NAME, VARIABLE, SYSTEM)
