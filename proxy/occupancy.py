"""How full a server is by its own word, and how many processes of the fleet share it: what it answers, and how far that is believed. Pure.

A *count* is the part of a look that tells the fleet's size: it walks over the attributes of all connections, so that it is asked only now and
then (`Counting`). Without the privilege for all of them a server shows those of the account's own connections; the others are then taken to be of
processes like ours (`fleet_of`): right when all have one account, and when several accounts are used alike, and careful where they are no Fanin's at all.

References: MySQL Reference Manual, "Server Status Variables" (Threads_connected, Connection_errors_xxx), "The session_connect_attrs Table",
"The session_account_connect_attrs Table".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = -1
SOURCES: Final = ("session_connect_attrs", "session_account_connect_attrs")
"""Tables of performance_schema that can be counted in, the better first. What a look may not ask is asked in the next one."""
COUNT_INTERVAL: Final = 20.0
COUNT_COST: Final = 0.1
"""Seconds between two counts: so many, and so many for each connection of the server, so that all counts of a fleet together cost little."""
EAGER: Final = 0.02
"""The part of that after which the second count follows the first, for all may have begun at the same time; then twice as much each time."""

NO_ATTRIBUTES: Final = "it has no attributes of connections: performance_schema is off"
NOT_SEEN: Final = "it does not show our own connection"
NOT_ALLOWED: Final = "the account may not read performance_schema"


@dataclass(frozen=True, slots=True)
class Count:
    """Connections that tell who they are."""

    processes: int  # different values of fanin_id
    own: int  # connections with ours
    sessions: int  # connections that have one
    visible: int  # connections with any attributes
    is_all: bool  # those of all accounts were looked at


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What a server said. Numbers that it did not say, or that are none, are UNKNOWN."""

    limit: int  # max_connections
    connected: int  # Threads_connected
    refusals: int  # Connection_errors_max_connections, since the server was started
    count: Count | None = None  # None: not asked this time
    trouble: str = ""  # why it could not be asked

    def lie(self, least: int) -> str:
        """Why it cannot be believed, in words, or "". ``least``: connections that are known to be open."""
        if self.limit < 1:
            return f"max_connections is {_said(self.limit)}"
        if self.connected < 1:
            return f"Threads_connected is {_said(self.connected)}"
        if self.connected < least:
            return f"Threads_connected is {self.connected}, and this process alone has {least} connections"
        return ""

    def fleet(self) -> int:
        """Processes that share the server, as far as was counted; 0: not known."""
        return 0 if self.count is None else fleet_of(self.count, self.connected)


def _said(number: int) -> str:
    return "not told" if number == UNKNOWN else str(number)


def fleet_of(count: Count, connected: int) -> int:
    """Processes among so many connections; 0 when the count does not make sense."""
    if not 1 <= count.processes <= count.sessions <= count.visible or not 1 <= count.own <= count.sessions:
        return 0
    if count.is_all:
        return count.processes
    hidden = max(0, connected - count.visible)
    return math.ceil(count.processes * (1.0 + hidden / count.sessions))


def parse_occupancy(cells: Sequence[str | None], source: int | None = None, trouble: str = "") -> Occupancy:
    """The columns that `monitor_queries` has for it: three, and four of a count in this one of SOURCES."""
    limit, connected, refusals = (_number(cell) for cell in cells[:3])
    if source is None:
        return Occupancy(limit, connected, refusals, trouble=trouble)
    # sums over nothing are NULL
    processes, own, sessions, visible = (_number(cell or "0") for cell in cells[3:])
    count = Count(processes, own, sessions, visible, is_all=source == 0)
    return Occupancy(limit, connected, refusals, count, _blindness(count))


def _blindness(count: Count) -> str:
    if count.visible < 1:
        return NO_ATTRIBUTES
    return "" if count.own >= 1 else NOT_SEEN


def _number(cell: str | None) -> int:
    digits = (cell or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else UNKNOWN


class Counting:
    """When the next look has a count in it, on one connection, and in which table."""

    __slots__ = ("_due_at", "_eagerness", "_source")

    def __init__(self, is_wanted: bool) -> None:
        self._source: int = 0 if is_wanted else len(SOURCES)
        self._due_at: float = -math.inf
        self._eagerness: float = EAGER

    def source(self, now: float) -> int | None:
        """Of SOURCES the one to count in now; None for a look without a count."""
        return self._source if now >= self._due_at and self._source < len(SOURCES) else None

    def refused(self) -> str:
        """The server has not taken the statement because of it. What is not known now for good, in words, or ""."""
        self._source += 1
        return NOT_ALLOWED if self._source >= len(SOURCES) else ""

    def counted(self, now: float, connected: int) -> None:
        """The answer is here."""
        self._due_at = now + self._eagerness * (COUNT_INTERVAL + COUNT_COST * max(0, connected))
        self._eagerness = min(1.0, 2.0 * self._eagerness)
