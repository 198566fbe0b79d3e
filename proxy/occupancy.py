"""How full a server is by its own word, and how many processes of the fleet share it: what it answers, and how far that is believed. Pure.

A *count* is the part of a look that tells the fleet's size. It walks over the attributes of all connections, so that it is asked only now and then
(`Counting`). There are three sources, the better first; what an account may not ask, or what says nothing, is not asked again on that connection:

- the connect attributes of all connections, for which a privilege is needed;
- those of the account's own connections. The others are then taken to be of processes like ours (`fleet_of`): right when all have one account, and when
  several accounts are used alike, and careful where they are no Fanin's at all;
- where performance_schema is off (MariaDB's default): user-level locks. Each process that comes to this takes one of so many, at random, on the connection
  by which it looks, and counts how many are taken. Nobody needs a privilege for that, and the server frees them when the connection ends.

References: MySQL Reference Manual, "Server Status Variables" (Threads_connected, Connection_errors_xxx), "The session_connect_attrs Table",
"The session_account_connect_attrs Table", "Locking Functions".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = -1
OF_ALL: Final = 0
OF_ACCOUNT: Final = 1
LOCKS: Final = 2
SOURCES: Final = 3
"""What is counted in, and how many of these there are."""
UNWANTED: Final = 4
RECOVERING: Final = 5
"""In place of one: nothing is to be counted, or not for a while."""
TABLES: Final = ("session_connect_attrs", "session_account_connect_attrs")
"""Of performance_schema, by source."""
SLOTS: Final = 900
"""Locks that there are: some more than a fleet has processes, and no more than a recursive query may have rows on any server by default."""
COUNT_INTERVAL: Final = 20.0
COUNT_COST: Final = 0.1
"""Seconds between two counts: so many, and so many for each connection of the server, so that all counts of a fleet together cost little."""
EAGER: Final = 0.02
"""The part of that after which the second count follows the first, for all may have begun at the same time; then twice as much each time."""

LOSSES: Final = 2
RECOVERS: Final = 600.0
"""So many connections one after the other that have not survived a count, and the seconds without counts that follow: looks are for more than that."""

TOO_MUCH: Final = "connections by which it was counted have ended over that"
NO_COUNT: Final = (
    "it shows this account no attributes of connections (performance_schema), and has no locks to count"
)


@dataclass(frozen=True, slots=True)
class Count:
    """Connections that tell who they are."""

    processes: int  # different values of fanin_id
    own: int  # connections with ours
    sessions: int  # connections that have one
    visible: int  # connections with any attributes
    is_all: bool  # those of all accounts were looked at
    is_complete: bool = False  # and all connections of each process, not only the one by which it looks


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

    def foreign(self) -> int:
        """Connections that are no process's of the fleet, as far as was counted."""
        count = self.count
        return 0 if count is None or not count.is_complete else max(0, self.connected - count.sessions)

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


def parse_occupancy(cells: Sequence[str | None], source: int | None = None) -> Occupancy:
    """The columns that `monitor_queries` has for it: three, and four of a count in this source."""
    limit, connected, refusals = (_number(cell) for cell in cells[:3])
    if source is None:
        return Occupancy(limit, connected, refusals)
    # sums over nothing are NULL
    processes, own, sessions, visible = (_number(cell or "0") for cell in cells[3:])
    count = Count(
        processes, own, sessions, visible, is_all=source != OF_ACCOUNT, is_complete=source == OF_ALL
    )
    if source == LOCKS and own == 1:
        # the others', and ours
        locks = processes + 1
        count = Count(locks, 1, locks, locks, is_all=True)
    return Occupancy(limit, connected, refusals, count)


def _number(cell: str | None) -> int:
    digits = (cell or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else UNKNOWN


class Counting:
    """When the next look at one server has a count in it, and in which source."""

    __slots__ = (
        "_due_at",
        "_eagerness",
        "_losses",
        "_random",
        "_recovers_at",
        "_source",
        "is_held",
        "is_under_way",
        "slot",
    )

    def __init__(self, is_wanted: bool, random: Callable[[], float]) -> None:
        self._source: int = OF_ALL if is_wanted else UNWANTED
        # connections that have ended while they counted, one after the other, and when counts are tried again after that
        self._losses: int = 0
        self._recovers_at: float = -math.inf
        self._due_at: float = -math.inf
        self._eagerness: float = EAGER
        self._random: Callable[[], float] = random
        # of LOCKS the one that is ours, or that we try to take
        self.slot: int = int(SLOTS * random())
        self.is_held: bool = False
        # a statement with a count in it was begun and has no answer yet
        self.is_under_way: bool = False

    def connected(self, now: float) -> None:
        """There is another connection, where all may be asked anew. But if the last one has ended while it counted, that is not for its first look; if
        another does, not for a long while: one may have had other reasons."""
        self._due_at = -math.inf
        if self.is_under_way:
            self._losses += 1
            self._due_at = now + COUNT_INTERVAL
        if self._losses >= LOSSES:
            self._losses = 0
            self._recovers_at = now + RECOVERS
            self._source = RECOVERING
        elif self._source <= SOURCES:
            self._source = OF_ALL
        self._eagerness = EAGER
        self.is_held = self.is_under_way = False

    def source(self, now: float) -> int | None:
        """What to count in now; None for a look without a count."""
        if self._source == RECOVERING and not 0.0 < self._recovers_at - now <= RECOVERS:
            self._source = OF_ALL
        self.is_under_way = now >= self._due_at and self._source < SOURCES
        return self._source if self.is_under_way else None

    def refused(self) -> None:
        """The server has not taken the statement because of it."""
        self._source += 1

    def counted(self, now: float, seen: Occupancy) -> bool:
        """The answer is here. False when it says nothing: the next source should be asked."""
        assert seen.count is not None
        self.is_under_way = False
        self._losses = 0
        if self._source == LOCKS:
            self.is_held = seen.count.own == 1
            if not self.is_held:
                self.slot = int(SLOTS * self._random())
        elif seen.count.own < 1:
            self._source += 1
            return False
        self._due_at = now + self._eagerness * (COUNT_INTERVAL + COUNT_COST * max(0, seen.connected))
        self._eagerness = min(1.0, 2.0 * self._eagerness)
        return True

    def trouble(self) -> str:
        """Why nothing can be counted, in words, or ""."""
        return {SOURCES: NO_COUNT, RECOVERING: TOO_MUCH}.get(self._source, "")
