"""How long a statement may wait for a backend, where it says so itself. Pure.

`pool.acquire_timeout` holds for all. Who limits how long a statement may run does not want to wait for longer than that until it begins; and a hint,
``/* fanin: acquire_timeout=200 */`` (milliseconds), says it for the wait alone. Asked only of those who still wait at the coarse tick.

References: MySQL, "Statement Execution Time Optimizer Hints": "permitted only for SELECT statements", "must appear after the first SELECT" (of which
common table expressions have none), "If this option is absent or N is 0, the statement timeout established by the max_execution_time system variable applies"
(milliseconds; to TABLE and VALUES, too). MariaDB, max_statement_time (seconds, for all statements), "SET STATEMENT".
"""

from __future__ import annotations

import re
from typing import Final

from proxy.effects import VERBS, is_assignment, is_symbol
from proxy.hints import PREFIX, hints_of
from proxy.lexer import NAME, NO_BACKSLASH_ESCAPES, NUMBER, Token, end_of_quoted, tokenize
from proxy.marks import QUERIES
from proxy.pool_states import NEVER

_STATEMENT_TIME: Final = b"max_statement_time"
_EXECUTION_TIME: Final = b"max_execution_time"
LOOKED_AT: Final = 4096
"""Bytes at a text's beginning in which its SELECT and hints are looked for: they are on the event loop."""
MOST_TOKENS: Final = 64
"""Of SET STATEMENT, as far as its FOR."""
_BLANKS: Final = re.compile(rb"[\s(]*")
_COMMENT: Final = re.compile(rb"/\*(?!M?!)|#|--(?=[\x00-\x20\x7f]|\Z)")
_ENDS: Final = {b"/*": b"*/", b"#": b"\n", b"--": b"\n"}
_STEP: Final = re.compile(rb"""[A-Za-z0-9_$\x80-\xff]+|['"`()#]|/\*|--(?=[\x00-\x20\x7f]|\Z)""")
"""Between these is nothing of interest."""
_VERB: Final = re.compile(rb"(?:/\*M?!\d*\s*)?([a-z]+)\b", re.IGNORECASE)
_HINT: Final = re.compile(
    rb"\s*/\*\+(?:(?!\*/).)*?\bmax_execution_time\s*\(\s*(\d{1,10})\s*\)", re.IGNORECASE | re.DOTALL
)


def patience(text: bytes, variables: dict[bytes, bytes], lexing: int = 0, sets: bool = True) -> float:
    """Seconds; infinity if neither the text nor the session's variables say anything. ``text``: no more than LOOKED_AT of it is looked at. ``lexing``:
    as `lexer.lexing_of` has it. ``sets``: it may be SET STATEMENT .. FOR."""
    head = text[:LOOKED_AT]
    # nearly always there is nothing
    if not _may_say(head, sets) and _STATEMENT_TIME not in variables and _EXECUTION_TIME not in variables:
        return NEVER
    hints = hints_of(head)
    limit = hints.acquire_timeout if hints.acquire_timeout >= 0.0 else NEVER
    verb, end = _verb(head, 0, lexing)
    if verb in QUERIES:
        hint = _HINT.match(head, end) if verb == b"select" else None
        milliseconds = NEVER if hint is None else _limit(hint[1])
        if milliseconds == NEVER:
            milliseconds = _limit(variables.get(_EXECUTION_TIME, b""))
        limit = min(limit, milliseconds / 1000.0)
    seconds = _limit(variables.get(_STATEMENT_TIME, b""))
    if verb == b"set":
        seconds = _set_for_it(tokenize(head, end, len(head), lexing, False, MOST_TOKENS), seconds)
    return min(limit, seconds)


def _may_say(text: bytes, sets: bool) -> bool:
    if not sets and b"/*" not in text:
        return False
    text = text.lower()
    return PREFIX in text or _STATEMENT_TIME in text or _EXECUTION_TIME in text


def _verb(text: bytes, begin: int, lexing: int) -> tuple[bytes, int]:
    """What a text does, in lower case, and where that word ends; nothing if that is not seen."""
    verb, end = _first_word(text, begin)
    return (verb, end) if verb != b"with" else _verb_after_tables(text, end, lexing)


def _first_word(text: bytes, begin: int) -> tuple[bytes, int]:
    found = _VERB.match(text, _beginning(text, begin))
    return (b"", 0) if found is None else (found[1].lower(), found.end())


def _verb_after_tables(text: bytes, begin: int, lexing: int) -> tuple[bytes, int]:
    """The same for what follows common table expressions. (Tokens of `lexer` would be looked for anew behind each quote that does not end.)"""
    depth, at, step = 0, begin, b""
    while (found := _STEP.search(text, at)) is not None:
        last, step = step, found[0]
        at = found.end()
        if step == b"(":
            if depth == 0 and last == b")":
                verb, end = _first_word(text, at)
                # tables of its own are not looked behind: a text could have them in one another as often as it likes
                return (verb, end) if verb != b"with" else (b"", 0)
            depth += 1
        elif step == b")":
            depth -= 1
        elif step in (b"'", b'"', b"`"):
            at = end_of_quoted(text, at, step[0], step != b"`" and not lexing & NO_BACKSLASH_ESCAPES)
            if at == 0:
                break
        elif step in _ENDS:
            at = _after_comment(text, found.start(), step)
        elif depth == 0 and step.lower() in VERBS:
            return step.lower(), at
    return b"", 0


def _set_for_it(tokens: list[Token], seconds: float) -> float:
    """What SET STATEMENT has set max_statement_time to, for what follows; ``seconds`` if it has not. Infinity if that would have to be computed."""
    if not tokens or tokens[0].word != b"statement":
        return seconds
    for i in range(1, len(tokens) - 3):
        if tokens[i].word == b"for":
            break
        follows = i == 1 or is_symbol(tokens[i - 1], b",")
        if follows and _name(tokens[i]) == _STATEMENT_TIME and is_assignment(tokens[i + 1]):
            is_number = tokens[i + 2].kind == NUMBER and tokens[i + 3].text.lower() in (b",", b"for")
            seconds = _limit(tokens[i + 2].text) if is_number else NEVER
    return seconds


def _name(token: Token) -> bytes:
    return token.text.strip(b"`").lower() if token.kind == NAME else token.word


def _beginning(text: bytes, at: int) -> int:
    """Where it goes on behind spaces, parentheses and comments; comments that servers execute are none."""
    while True:
        blanks = _BLANKS.match(text, at)
        assert blanks is not None, "it matches nothing, too"
        at = blanks.end()
        comment = _COMMENT.match(text, at)
        if comment is None:
            return at
        at = _after_comment(text, at, comment[0])


def _after_comment(text: bytes, begin: int, opening: bytes) -> int:
    end = _ENDS[opening]
    at = text.find(end, begin + len(opening))
    return len(text) if at < 0 else at + len(end)


def _limit(number: bytes) -> float:
    """A number as servers report it; 0 is no limit."""
    try:
        return float(number) or NEVER
    except ValueError:
        return NEVER
