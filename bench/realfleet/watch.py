"""Looks at the server with a connection of its own, which is one of those that count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from bench.client import Connection

EVERY: Final = 0.1
"""Seconds between two looks at the number of connections."""
WHOSE_EVERY: Final = 10
"""Of these, for one at whose they are; and of those, for one at what the ones that only look have sent."""

CONNECTED: Final = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Connection_errors_max_connections')"
)
WHOSE: Final = (
    "SELECT p.ATTR_VALUE, COUNT(*), SUM(m.ATTR_VALUE IS NOT NULL)"
    " FROM performance_schema.session_connect_attrs f"
    " JOIN performance_schema.session_connect_attrs p ON p.PROCESSLIST_ID = f.PROCESSLIST_ID AND p.ATTR_NAME = '_pid'"
    " LEFT JOIN performance_schema.session_connect_attrs m ON m.PROCESSLIST_ID = f.PROCESSLIST_ID AND m.ATTR_NAME = 'purpose'"
    " WHERE f.ATTR_NAME = 'fanin_id' GROUP BY p.ATTR_VALUE"
)
"""Process id, connections, and those of them that only look."""
LOOKS: Final = (
    "SELECT m.PROCESSLIST_ID, SUM(e.COUNT_STAR)"
    " FROM performance_schema.session_connect_attrs m"
    " JOIN performance_schema.threads t ON t.PROCESSLIST_ID = m.PROCESSLIST_ID"
    " JOIN performance_schema.events_statements_summary_by_thread_by_event_name e ON e.THREAD_ID = t.THREAD_ID"
    " WHERE m.ATTR_NAME = 'purpose' AND m.ATTR_VALUE = 'monitor' GROUP BY m.PROCESSLIST_ID"
)
"""Connections that only look, and their statements so far."""


@dataclass(frozen=True, slots=True)
class Look:
    """A moment. Seconds since the beginning; ``strangers`` and ``killed``: as far as we know ourselves."""

    at: float
    phase: str
    connected: int
    refused: int
    strangers: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Whose connections there are: by sidecar, backends and those that only look."""

    at: float
    backends: tuple[int, ...]
    monitors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statements:
    """How many statements each connection that only looks has sent so far, by the server's number for it."""

    at: float
    counts: Mapping[int, int]


@dataclass
class Watch:
    """`run` until `is_over`: a question that is under way is answered first, so that others can be asked on the same connection afterwards."""

    ask: Connection
    # process id -> sidecar
    numbers: Callable[[], Mapping[int, int]]
    sidecars: int
    strangers: Callable[[], int]
    phase: str = ""
    looks: list[Look] = field(default_factory=list)
    shares: list[Shares] = field(default_factory=list)
    statements: list[Statements] = field(default_factory=list)
    is_over: bool = False
    began: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    async def run(self, shown: Callable[[Look], None]) -> None:
        """Look again and again."""
        for number in count():
            if self.is_over:
                return
            began = self.now()
            await self._look()
            if number % WHOSE_EVERY == 0:
                self.shares.append(await self._whose())
                shown(self.looks[-1])
            if number % WHOSE_EVERY**2 == 0:
                self.statements.append(await self._statements())
            await asyncio.sleep(max(0.0, began + EVERY - self.now()))

    async def _look(self) -> None:
        values = {name: int(value or 0) for name, value in await self.ask.rows(CONNECTED)}
        self.looks.append(
            Look(
                self.now(),
                self.phase,
                values[b"Threads_connected"],
                values[b"Connection_errors_max_connections"],
                self.strangers(),
            )
        )

    async def _whose(self) -> Shares:
        numbers = self.numbers()
        backends, monitors = [0] * self.sidecars, [0] * self.sidecars
        for process, number_of, looking in await self.ask.rows(WHOSE):
            number = numbers.get(int(process or 0))
            if number is not None:
                monitors[number] = int(looking or 0)
                backends[number] = int(number_of or 0) - monitors[number]
        return Shares(self.now(), tuple(backends), tuple(monitors))

    async def _statements(self) -> Statements:
        rows = await self.ask.rows(LOOKS)
        return Statements(self.now(), {int(line or 0): int(sent or 0) for line, sent in rows})
