"""Where several statements in one text end a transaction: what of the text may still run where that is, and what comes after it; and what has run of one that
failed. Pure.

The front part runs there with a statement of ours behind it, whose OK the client does not get: so the server itself says that more follows.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.classify import classify
from proxy.effects import asks_for, is_symbol, words_of
from proxy.lexer import HEAD_SIZE, survey, tokenize
from proxy.pins import PinReason
from proxy.statement import (
    BEGINS,
    BEGINS_READ_ONLY,
    COMMITS_ITSELF,
    ENDS,
    MULTI,
    RELEASES,
    SETS_AUTOCOMMIT,
    Statement,
)

COMMIT: Final = b"COMMIT AND NO CHAIN NO RELEASE"


_TO_SAVEPOINT: Final = re.compile(rb"\bto\b", re.IGNORECASE)
_END: Final = re.compile(
    rb"\s*(commit|rollback)(\s+work)?(\s+and\s+no\s+chain)?(\s+no\s+release)?\s*;?\s*", re.IGNORECASE
)
_LONGEST_END: Final = 64


class Cut:
    """What runs where the transaction is, and what follows, which need not run there. Both are texts; the front may be empty."""

    __slots__ = ("commits", "front", "rest")

    def __init__(self, front: bytes, rest: bytes, commits: bool = False) -> None:
        self.front: bytes = front
        self.rest: bytes = rest
        # the rest begins with what ends the transaction on its own account
        self.commits: bool = commits


UNCUT: Final = Cut(b"", b"")
"""Nothing ends the transaction, or nothing comes after that."""
UNCLEAR: Final = Cut(b"", b"")
"""Where which statement ends is not known."""


def rolls_back(text: bytes) -> bool:
    """Whether a text gives up its transaction."""
    return text[:8].lower() == b"rollback" and not _TO_SAVEPOINT.search(text)


def only_commits(text: bytes) -> bool:
    """Whether a text does nothing but commit a transaction, which is of no consequence where nothing was written."""
    return only_ends(text) and text.lstrip()[:1].lower() == b"c"


def only_ends(text: bytes) -> bool:
    """Whether it does that, or rolls it back, and nothing else."""
    return len(text) <= _LONGEST_END and _END.fullmatch(text) is not None


def commits(flags: int, may_begin: bool) -> bool:
    """Whether a statement with these flags ends the transaction on its own account, and need not run where that is. ``may_begin``: a BEGIN
    begins one that may write."""
    if flags & BEGINS and not flags & COMMITS_ITSELF:
        return may_begin and not flags & BEGINS_READ_ONLY
    return flags & COMMITS_ITSELF != 0


def cut(text: bytes, lexing: int, may_begin: bool) -> Cut:
    """Cut a text of several statements at the first that ends the transaction."""
    found = survey(text, lexing)
    if found.is_conditional or found.is_broken or found.is_ambiguous:
        return UNCLEAR
    starts = [*found.heads[0::HEAD_SIZE], len(text)]
    for i in range(len(starts) - 1):
        begin, end = starts[i], starts[i + 1]
        statement = classify(text[begin:end], lexing)
        if commits(statement.flags, may_begin):
            return _cut(text, lexing, starts[i - 1], begin, COMMIT) if i else Cut(b"", text, True)
        if statement.flags & MULTI or PinReason.UNKNOWN_STATEMENT in statement.pins:
            return UNCLEAR
        if statement.flags & RELEASES:
            return UNCUT
        if i + 2 < len(starts) and _ends(text[begin:end], lexing, statement):
            return _cut(text, lexing, begin, end, b"")
    return UNCUT


def flags_of_first(text: bytes, count: int, lexing: int) -> int:
    """What so many results of a text of several statements can come from: the flags of as many statements, or of all where they cannot be told apart."""
    found = survey(text, lexing)
    starts = found.heads[0::HEAD_SIZE]
    is_clear = not (found.is_conditional or found.is_broken or found.is_ambiguous)
    return classify(text[: starts[count]] if is_clear and count < len(starts) else text, lexing).flags


def _ends(text: bytes, lexing: int, statement: Statement) -> bool:
    if not statement.flags & ENDS:
        return statement.flags & SETS_AUTOCOMMIT != 0
    return not asks_for(words_of(tokenize(text, 0, len(text), lexing, False)), b"chain")


def _cut(text: bytes, lexing: int, begin: int, end: int, behind: bytes) -> Cut:
    """Cut behind the statement that begins there; the next one begins at ``end``. What ends a transaction is run twice: the second time it is
    nothing, or begins and ends another that is like the first."""
    borders = [token.start for token in tokenize(text, begin, end, lexing, False) if is_symbol(token, b";")]
    # another statement follows
    border = borders[0]
    front = b"%s; %s" % (text[:border], behind or text[begin:border])
    return Cut(front, text[border + 1 :], behind != b"")
