"""How long a statement may wait for a backend, where it says so itself. Pure.

`pool.acquire_timeout` holds for all. Who limits how long a statement may run does not want to wait for longer than that until it begins; and a hint,
``/* fanin: acquire_timeout=200 */`` (milliseconds), says it for the wait alone. Asked only of those who have to wait.

References: MySQL, "Statement Execution Time Optimizer Hints", max_execution_time (milliseconds, SELECT only, 0 for none); MariaDB, max_statement_time (seconds).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.hints import hints_of
from proxy.pool_states import NEVER

LOOKED_AT: Final = 4096
"""Bytes at a text's beginning in which its SELECT and hints are looked for: they are on the event loop."""
_SPACES: Final = re.compile(rb"\s*")
_SELECT: Final = re.compile(rb"\(*\s*(?:/\*!\d*\s*)?select\b", re.IGNORECASE)
_HINT: Final = re.compile(
    rb"\s*/\*\+(?:(?!\*/).)*?\bmax_execution_time\s*\(\s*(\d{1,10})\s*\)", re.IGNORECASE | re.DOTALL
)


def patience(text: bytes, variables: Mapping[bytes, bytes]) -> float:
    """Seconds; infinity if neither the text nor the session's variables say anything."""
    hints = hints_of(text)
    limit = hints.acquire_timeout if hints.acquire_timeout >= 0.0 else NEVER
    head = text[:LOOKED_AT]
    select = _SELECT.match(head, _beginning(head))
    if select is not None:
        hint = _HINT.match(head, select.end())
        milliseconds = hint[1] if hint is not None else variables.get(b"max_execution_time", b"")
        limit = min(limit, _limit(milliseconds) / 1000.0)
    return min(limit, _limit(variables.get(b"max_statement_time", b"")))


def _beginning(text: bytes) -> int:
    """Where it begins behind spaces and comments; comments that servers execute, or read as hints, are none."""
    at = _after_spaces(text, 0)
    while text.startswith(b"/*", at) and text[at + 2 : at + 3] not in (b"!", b"+"):
        end = text.find(b"*/", at + 2)
        if end < 0:
            return len(text)
        at = _after_spaces(text, end + 2)
    return at


def _after_spaces(text: bytes, at: int) -> int:
    found = _SPACES.match(text, at)
    assert found is not None, "it matches nothing, too"
    return found.end()


def _limit(number: bytes) -> float:
    """A number as servers report it; 0 is no limit."""
    try:
        return float(number) or NEVER
    except ValueError:
        return NEVER
