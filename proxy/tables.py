"""Whether a statement uses a table, by its text: only then does MariaDB clear the warnings of the statement before. Pure.

That is decided after parsing, by the tables that the text names, derived tables, views and sequences among them, and those that SHOW
reads inside; not by what stored routines use (tests/integration/test_warnings.py asks the server). What is neither here nor there has
neither of the two flags, and is found out when it has run (`clearing`).
"""

from __future__ import annotations

from typing import Final

from proxy.effects import at, is_symbol
from proxy.lexer import Token
from proxy.statement import (
    CALLS,
    KEEPS_DIAGNOSTICS,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MULTI,
    USES_NO_TABLE,
    USES_TABLE,
    Statement,
)

_TAKING_FROM: Final = frozenset([b"extract", b"trim", b"substring", b"substr", b"mid"])
"""Functions that may have a FROM between their arguments."""

_OF_TABLES: Final = frozenset(b"table tables temporary view index unique fulltext spatial sequence".split())
_OF_OTHERS: Final = frozenset(b"procedure function package event database schema user role server".split())
_TRIGGER: Final = b"trigger"
_WRITING: Final = frozenset([b"insert", b"replace", b"update", b"delete"])


def of_query(tokens: list[Token]) -> int:
    """USES_TABLE or USES_NO_TABLE for a statement that is a query, or may have queries in it and uses no table otherwise."""
    takes_from: list[bool] = []
    for i in range(len(tokens)):
        token = tokens[i]
        if is_symbol(token, b"("):
            takes_from.append(i > 0 and tokens[i - 1].word in _TAKING_FROM)
        elif is_symbol(token, b")"):
            if takes_from:
                takes_from.pop()
        elif (
            token.word == b"from"
            and not (i > 0 and is_symbol(tokens[i - 1], b"."))
            and not (takes_from and takes_from[-1])
            and at(tokens, i + 1).word != b"dual"
        ):
            return USES_TABLE
    return USES_NO_TABLE


def of_explained(second: bytes, of_text: int) -> int:
    """The flags of an EXPLAIN or ANALYZE of a statement. ``second``: the word after it; ``of_text``: what `of_query` says of it."""
    if second in _WRITING:
        return USES_TABLE
    return of_text if second == b"select" or of_text == USES_TABLE else 0


def of_created(kind: bytes) -> int:
    """The flags of a CREATE of this kind of thing."""
    return USES_TABLE if kind == _TRIGGER else of_altered(kind)


def of_altered(kind: bytes) -> int:
    """Those of an ALTER, DROP or RENAME."""
    if kind in _OF_TABLES:
        return USES_TABLE
    return USES_NO_TABLE if kind in _OF_OTHERS or kind == _TRIGGER else 0


def of_flush(tokens: list[Token]) -> int:
    """The flags of a FLUSH. It may name tables."""
    i = 2 if at(tokens, 1).word in (b"local", b"no_write_to_binlog") else 1
    if at(tokens, i).word not in (b"table", b"tables"):
        return USES_NO_TABLE
    following = at(tokens, i + 1)
    return USES_NO_TABLE if not following.text or following.word == b"with" else USES_TABLE


# What is known by it

_SEVERAL: Final = CALLS | MAY_CALL | MAY_CALL_ON_MARIADB | MULTI


def leaves_unseen(statement: Statement) -> bool:
    """Whether it may be more than one statement, so that only the backend knows what is there after it."""
    return bool(statement.flags & _SEVERAL or statement.executes)


def is_certain(statement: Statement) -> bool:
    """Whether the text says that warnings of before are gone when it has raised none itself, or that they are kept."""
    flags = statement.flags
    if flags & KEEPS_DIAGNOSTICS:
        return True
    if leaves_unseen(statement):
        return flags & USES_TABLE != 0
    return flags & (USES_TABLE | USES_NO_TABLE) != 0
