"""What FOUND_ROWS() is after statements that are no SELECT, by their text. Pure.

Measured on both servers: most leave it as it was. DO makes it 1 on MySQL; an UPDATE of one table, what it matched, on MySQL, unless no row
could meet its condition; an INSERT .. SELECT, an UPDATE or DELETE of several tables or with a subquery, and what EXPLAIN ANALYZE runs,
something that only the backend knows; DESCRIBE of a table is a SELECT inside. A subquery in SET, DO, VALUES, or CREATE TABLE counts on MariaDB,
unless it is a constant; a plain VALUES does not.

MySQL has two numbers: what was counted last, and what FOUND_ROWS() shows, which becomes that at the end of each SELECT, INSERT, UPDATE, DELETE,
DO, CALL and EXPLAIN. So what a subquery in SET or CREATE TABLE counts shows there after the next INSERT, and what a statement did not count after
all is what the backend has counted last, for whomever.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.response import ResponseTracker
from proxy.effects import at, is_symbol, next_verb
from proxy.lexer import Token
from proxy.statement import (
    HIDES_FOUND_ROWS,
    KEPT_FOUND_ROWS,
    ONE_ON_MYSQL,
    UNKNOWN_FOUND_ROWS,
    UNKNOWN_ON_MARIADB,
    WANTS_FOUND_ROWS,
)

MOST_FOUND_ROWS: Final = 65536
MOST_WITHOUT_TABLE: Final = 256
_SENT_ROWS: Final = 8
EXPLAINS: Final = 0
DESCRIBES: Final = 1  # a table, as SHOW COLUMNS does
RUNS: Final = 2  # the statement is executed to be explained
MAINTAINS: Final = 3  # ANALYZE TABLE

EXPLAINING: Final = frozenset([b"explain", b"describe", b"desc", b"analyze"])
"""First words for `explained`."""
WATCHED: Final = frozenset([b"insert", b"replace", b"update", b"delete", b"do", b"set", b"create"])
"""First words for `found_rows_after`."""

_NAME: Final = rb"""(?:`[^`]*`|"[^"]*"|[\w$\x80-\xff]+)"""
_TABLE: Final = _NAME + rb"(?:\s*\.\s*" + _NAME + rb")?"
_ONE_UPDATED: Final = re.compile(
    rb"update\s+(?:low_priority\s+|ignore\s+)*"
    + _TABLE
    + rb"(?:\s+(?:as\s+)?(?!set\b)"
    + _NAME
    + rb")?\s+set\b",
    re.IGNORECASE,
)
# At the end of a text: what no row can be. Whether it is a comment does not matter, as then the rows that are found tell.
_RULES_OUT: Final = re.compile(
    rb"\b(?:where\s*\(?\s*(?:0\s*=\s*1|1\s*=\s*0|([01])\s*(?:!=|<>)\s*\1|0|false|null)\s*\)?|limit\s+0)\s*;?\s*\Z",
    re.IGNORECASE,
)
# What an UPDATE may say of its rows, each column once, that no optimizer rules out: unless no value of the column's type can be so.
_COLUMN: Final = _NAME + rb"(?:\s*\.\s*" + _NAME + rb"){0,2}"
_VALUE: Final = rb"(?:\?|[0-9]{1,9}|'[^'\\]*'|true|false)"
_TERM: Final = (
    rb"(?:\(\s*)?(" + _COLUMN + rb")\s*(?:(?:=|!=|<>|>|>=|<=)\s*" + _VALUE + rb"|<\s*(?:\?|[1-9][0-9]{0,8})"
    rb"|(?<=[\s`\"])in\s*\(\s*" + _VALUE + rb"(?:\s*,\s*" + _VALUE + rb")*\s*\))(?:\s*\))?"
)
_TERMS: Final = re.compile(_TERM, re.IGNORECASE)
_SIMPLE: Final = re.compile(
    rb"where\b\s*("
    + _TERM
    + rb"(?:\s*\band\b\s*"
    + _TERM
    + rb")*)(?:\s*\blimit\s+[1-9][0-9]*)?\s*(?:;\s*)?\Z",
    re.IGNORECASE,
)
_VALUES: Final = re.compile(rb"\b(?:values?|set)\b", re.IGNORECASE)
# One row of nothing is not counted on MariaDB.
_AGGREGATE: Final = re.compile(
    rb"\b(?:max|min|sum|avg|count|group_concat|std\w*|var\w*|bit_\w+|json_\w+agg)\s*\(", re.IGNORECASE
)
_COUNTED_VALUES: Final = frozenset([b"union", b"except", b"intersect", b"order"])
_ONE_DELETED: Final = re.compile(rb"delete\s+(?:low_priority\s+|quick\s+|ignore\s+)*from\b", re.IGNORECASE)
_CHANGED_WITH: Final = re.compile(rb"\)\s*(?:update|delete)\b", re.IGNORECASE)
_VALUES_WITH: Final = re.compile(rb"\)\s*values\b", re.IGNORECASE)
_USING: Final = re.compile(rb"\busing\b", re.IGNORECASE)
_NEW_TABLE: Final = re.compile(rb"create\s+(?:or\s+replace\s+)?(?:temporary\s+)?table\b", re.IGNORECASE)
# CREATE TABLE .. TABLE name, CREATE TABLE .. VALUES ROW(..)
_FROM_TABLE: Final = re.compile(rb"\btable\s+" + _TABLE + rb"\s*;?\s*\Z|\bvalues\s+row\s*\(", re.IGNORECASE)
_SECOND: Final = re.compile(rb"\s*(\w*)")
_FIRST_NUMBER: Final = re.compile(rb"[0-9]+")
_MAINTAINED: Final = frozenset([b"table", b"tables", b"local", b"no_write_to_binlog"])
_EXPLAINED: Final = frozenset(
    b"select insert update delete replace with table format extended partitions for into values analyze".split()
)


def found_rows_after(word: bytes, text: bytes, begin: int, has_select: bool) -> int:
    """`Statement.found_rows` of the statement at ``begin``, whose first word is ``word``; 0 when it says nothing of it."""
    if word == b"do":
        return UNKNOWN_FOUND_ROWS if has_select else ONE_ON_MYSQL
    if word == b"update":
        if has_select or _ONE_UPDATED.match(text, begin) is None:
            return UNKNOWN_FOUND_ROWS
        return KEPT_FOUND_ROWS if _RULES_OUT.search(text, begin) is not None else 0
    if word == b"delete":
        is_one = _ONE_DELETED.match(text, begin) is not None and _USING.search(text, begin) is None
        return 0 if is_one and not has_select else UNKNOWN_FOUND_ROWS
    if word == b"create":
        return UNKNOWN_ON_MARIADB if _fills_table(text, begin, has_select) else 0
    if not has_select:
        return 0
    return UNKNOWN_ON_MARIADB if word == b"set" else UNKNOWN_FOUND_ROWS


def _fills_table(text: bytes, begin: int, has_select: bool) -> bool:
    """Whether a CREATE is one of a table with rows."""
    table = _NEW_TABLE.match(text, begin)
    return table is not None and (has_select or _FROM_TABLE.search(text, table.end()) is not None)


def flags_after(word: bytes, text: bytes, begin: int, has_select: bool, found_rows: int) -> int:
    """HIDES_FOUND_ROWS or WANTS_FOUND_ROWS, where a statement of WATCHED does that. ``found_rows``: what `found_rows_after` says of it."""
    if found_rows == UNKNOWN_ON_MARIADB:
        return HIDES_FOUND_ROWS
    if not has_select:
        may_rule_out = word == b"update" and found_rows == 0 and may_rule_out_all(text, begin)
        return WANTS_FOUND_ROWS if may_rule_out else 0
    if word == b"create":
        return 0
    is_of_rows = word in (b"insert", b"replace") and _VALUES.search(text, begin) is None
    return 0 if is_of_rows and _AGGREGATE.search(text, begin) is None else WANTS_FOUND_ROWS


def may_rule_out_all(text: bytes, begin: int) -> bool:
    """Whether no row may meet the condition of the UPDATE at ``begin``, whatever rows there are."""
    folded = text.lower()
    where = folded.rfind(b"where", begin)
    if where < 0:
        return False
    simple = _SIMPLE.match(text, where)
    if simple is None:
        return True
    if folded.find(b"and", where) < 0:
        return False
    columns = [column.rpartition(b".")[2].strip(b" `").lower() for column in _TERMS.findall(simple.group(1))]
    return len(set(columns)) < len(columns)


def has_null_condition(text: bytes, nulls: bytes, num_params: int) -> bool:
    """Whether a parameter of the condition of this UPDATE, which ends with it, is NULL: no row meets that. ``nulls``: the bitmap of parameters."""
    if not nulls.strip(b"\0"):
        return False
    where = text.lower().rfind(b"where")
    first = num_params - text.count(b"?", where) if where >= 0 else num_params
    return any(
        [nulls[at // 8] >> (at % 8) & 1 for at in range(max(first, 0), min(num_params, 8 * len(nulls)))]
    )


def after_values(tokens: list[Token], found_rows: int) -> int:
    """`Statement.found_rows` of a query that has VALUES for a verb: ``found_rows``, but MariaDB counts nothing for a VALUES (..) that is not
    sorted and no part of a UNION or the like."""
    begin = next_verb(tokens, 0)
    if at(tokens, begin).word != b"values" or not is_symbol(at(tokens, begin + 1), b"("):
        # MySQL has VALUES ROW(..)
        return found_rows
    words = {token.word for token in tokens[begin + 1 :]}
    if words & _COUNTED_VALUES:
        return found_rows
    return UNKNOWN_ON_MARIADB if b"select" in words else KEPT_FOUND_ROWS


def is_values(word: bytes, text: bytes, begin: int) -> bool:
    """Whether the query that begins there with this word has VALUES for a verb, with or without WITH in front."""
    return word == b"values" or (word == b"with" and _VALUES_WITH.search(text, begin) is not None)


def changes_rows(text: bytes, begin: int) -> bool:
    """Whether the WITH that begins there is about an UPDATE or DELETE."""
    return _CHANGED_WITH.search(text, begin) is not None


def second_word(text: bytes, end: int) -> bytes:
    """The word after the first, in lower case; b"" when there is something else."""
    found = _SECOND.match(text, end)
    return found.group(1).lower() if found is not None else b""


def explained(word: bytes, text: bytes, end: int) -> int:
    """What a statement of EXPLAINING does; its first word ends at ``end``."""
    second = second_word(text, end)
    if word == b"analyze":
        return MAINTAINS if second in _MAINTAINED else RUNS
    if second == b"analyze":
        return RUNS
    return EXPLAINS if not second or second in _EXPLAINED else DESCRIBES


def matched_rows(response: ResponseTracker) -> int:
    """How many rows an UPDATE found, by the message in its OK: "Rows matched: 3  Changed: 1  Warnings: 0" in any language."""
    found = _FIRST_NUMBER.search(response.message)
    return response.affected_rows if found is None else int(found.group())


def found_rows_command(found_rows: int, is_mariadb: bool = False) -> bytes:
    """The payload that leaves this FOUND_ROWS(); for no more than MOST_FOUND_ROWS. On MariaDB it leaves the warnings, too, for no more than
    MOST_WITHOUT_TABLE: there, in a UNION, rows that an offset skips do not count."""
    is_without_table = is_mariadb and found_rows <= MOST_WITHOUT_TABLE
    if is_without_table or found_rows <= _SENT_ROWS:
        rows = b" UNION ALL ".join([b"SELECT 1"] * (found_rows or 1))
        source = rows if is_without_table else b"SELECT 1 FROM (%s) AS t" % rows
        return b"\x03%s LIMIT %d" % (source, found_rows)
    # rows that an offset skips count, too
    source = b"(" + b" UNION ALL ".join([b"SELECT 1"] * 16) + b") AS "
    sources = b",".join([source + name for name in (b"a", b"b", b"c", b"d")])
    return b"\x03SELECT 1 FROM %s LIMIT %d,1" % (sources, found_rows - 1)
