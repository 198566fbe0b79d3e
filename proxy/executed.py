"""Texts that execute another text: what it means, and how it is run with what is known written in. Pure.

On MariaDB PREPARE and EXECUTE of a text leave what that leaves, and it finds what the statement before has left. So EXECUTE of a known text
is looked at as if that had been sent; on MySQL so is what it leaves of FOUND_ROWS(). What is written into it runs as EXECUTE IMMEDIATE, which has the same parameters.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.framing import frame, payload_of
from proxy.lexer import NO_BACKSLASH_ESCAPES, tokenize
from proxy.statement import GETS_DIAGNOSTICS, MULTI, PREPARES_ONE, Statement

_UNKNOWN: Final = 1243
_SYNTAX_ERRORS: Final = frozenset([1064, 1149])
_INTERRUPTED: Final = frozenset([1053, 1317, 1969, 3024])
_NEAR: Final = re.compile(rb" near '(.*)' at line [0-9]+\Z", re.DOTALL)
# What an error at the name of a statement or after it begins with, and at most that; NULL is what @x stands for
_OF_PREPARE: Final = re.compile(rb"['\"`@]|.*\bfrom\b\s*['\"@]", re.DOTALL | re.IGNORECASE)


def executed(statement: Statement, texts: dict[bytes, Statement | None]) -> Statement:
    """The one statement that this one executes; itself, when there is none or it is not known."""
    if statement.inner is not None and not statement.flags & MULTI:
        return statement.inner
    if len(statement.executes) == 1 and not statement.flags & MULTI:
        return texts.get(statement.executes[0]) or statement
    return statement


def freed_names(statement: Statement, code: int, message: bytes) -> tuple[bytes, ...]:
    """The names that a statement which failed has left without a text. PREPARE frees its name before it looks at the text; unless it is
    not understood itself: then the error is at the name or after it."""
    if statement.flags & MULTI:
        return ()
    if code == _UNKNOWN:
        names = statement.executes + statement.lift_names
        return tuple([name for name in names if b"(" + name + b")" in message.lower()])
    if code in _SYNTAX_ERRORS:
        near = _NEAR.search(message)
        if not statement.flags & PREPARES_ONE or near is None or _OF_PREPARE.match(near.group(1)):
            return ()
    return () if code in _INTERRUPTED else tuple([name for name, _ in statement.prepares])


def asks(statement: Statement, inner: Statement) -> bool:
    """Whether the text asks for residue by what it executes, and no other way."""
    return inner is not statement and inner.text != b"" and not statement.flags & MULTI


def with_text(wire: bytes, statement: Statement, inner: Statement, written: bytes, lexing: int) -> bytes:
    """The COM_QUERY that executes ``written`` in place of the inner statement's text."""
    if inner.flags & GETS_DIAGNOSTICS:
        return frame(b"\x03" + written)
    text = payload_of(wire)[1:]
    if statement.temporary:
        # SET STATEMENT .. FOR
        return frame(b"\x03" + text[: text.rindex(inner.text)] + b" " + written)
    quoted = written.replace(b"'", b"''")
    if not lexing & NO_BACKSLASH_ESCAPES:
        quoted = quoted.replace(b"\\", b"\\\\")
    begins = [token.start for token in tokenize(text, 0, len(text), lexing, False) if token.word == b"using"]
    using = b" " + text[begins[0] :] if begins else b""
    return frame(b"\x03EXECUTE IMMEDIATE '" + quoted + b"'" + using)
