"""information_schema.replica_host_status: its rows, and the lag in them, computed from real positions.

A reader is said to lag at least as much as it does: what the writer had committed when we last *asked* for a position that the reader
now has, is what the reader has for certain. So an idle cluster shows as lag the age of the last sample, some 10-20 ms as on Aurora.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

MASTER: Final = "MASTER_SESSION_ID"
MOST_POSITIONS: Final = 20_000

Position = Mapping[str, int]
"""What a server has: the last number of each source of transactions."""


def position_of(text: str) -> Position:
    """A position as a server tells it: MySQL's `uuid:1-5:7` (what comes behind a gap does not count), MariaDB's `0-1-15`."""
    found: dict[str, int] = {}
    for part in "".join(text.split()).split(","):
        source, colon, intervals = part.partition(":")
        if colon:
            found[source] = int(intervals.partition(":")[0].rpartition("-")[2])
        elif part:
            domain, _, number = part.split("-")
            found[domain] = max(int(number), found.get(domain, 0))
    return found


def has(position: Position, other: Position) -> bool:
    """Whether a server at a position has everything that one at the other has."""
    return all(position.get(source, 0) >= number for source, number in other.items())


@dataclass(slots=True)
class Seen:
    """A position of the writer: first and last time that we were about to ask and were told so."""

    position: Position
    first: float
    last: float


class History:
    """Where the writer was when."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=MOST_POSITIONS)

    def note(self, position: Position, asked_at: float) -> None:
        """The writer's answer to a question that was asked then."""
        if self._seen and self._seen[-1].position == position:
            self._seen[-1].last = asked_at
        else:
            self._seen.append(Seen(position, asked_at, asked_at))

    def lag(self, position: Position, asked_at: float) -> float:
        """Seconds that a reader at this position is behind, at most; it was asked then."""
        for seen in reversed(self._seen):
            if has(position, seen.position):
                return max(0.0, asked_at - seen.last)
        return asked_at - self._seen[0].first if self._seen else 0.0


@dataclass(frozen=True, slots=True)
class StatusRow:
    """What the table says of one instance."""

    server_id: str
    session_id: str
    updated: datetime
    lag: float  # seconds
    cpu: float = 5.0

    def select(self) -> str:
        """A SELECT of this one row."""
        columns = {
            "SERVER_ID": f"CAST('{self.server_id}' AS CHAR(100))",
            "SESSION_ID": f"CAST('{self.session_id}' AS CHAR(100))",
            "CPU": f"CAST({self.cpu} AS DOUBLE)",
            "LAST_UPDATE_TIMESTAMP": f"CAST('{self.updated:%Y-%m-%d %H:%M:%S.%f}' AS DATETIME(6))",
            "REPLICA_LAG_IN_MILLISECONDS": f"CAST({self.lag * 1000:.3f} AS DOUBLE)",
            "IS_CURRENT": "1",
        }
        return "SELECT " + ", ".join(f"{value} AS {name}" for name, value in columns.items())


def select_of(rows: Iterable[StatusRow]) -> str:
    """A SELECT of these rows, or of none."""
    selects = [row.select() for row in rows]
    if not selects:
        return StatusRow("", "", datetime(2000, 1, 1), 0.0).select() + " FROM DUAL WHERE 1 = 0"
    return " UNION ALL ".join(selects)


class Board:
    """The table, as each instance shows it."""

    def __init__(self) -> None:
        self.rows: dict[str, StatusRow] = {}
        # what an instance shows instead, while its copy is stale
        self._stale: dict[str, dict[str, StatusRow]] = {}
        # after a failover: the last row that the old writer wrote as such, which hides its present one
        self.former: StatusRow | None = None
        # rows that are not written any more: the instance is gone, dead or silent
        self.silent: set[str] = set()
        # scripted: seconds of lag, and CPU
        self.lags: dict[str, float] = {}
        self.cpus: dict[str, float] = {}
        self._sessions: dict[str, str] = {}

    def write(self, server_id: str, *, is_writer: bool, lag: float, updated: datetime) -> None:
        """An instance reports, unless it is silent."""
        if server_id in self.silent:
            return
        session = self._sessions.setdefault(server_id, str(uuid.uuid4()))
        self.rows[server_id] = StatusRow(
            server_id,
            MASTER if is_writer else session,
            updated,
            0.0 if is_writer else self.lags.get(server_id, lag),
            self.cpus.get(server_id, 5.0),
        )

    def shown_by(self, server_id: str) -> list[StatusRow]:
        """The rows that an instance gives."""
        shown = dict(self._stale.get(server_id, self.rows))
        if self.former is not None:
            shown[self.former.server_id] = self.former
        return list(shown.values())

    def hold(self, server_id: str) -> None:
        """This instance goes on showing what there is now."""
        self._stale[server_id] = dict(self.rows)

    def release(self, server_id: str) -> None:
        """It shows what is true again."""
        self._stale.pop(server_id, None)

    def forget(self, server_id: str) -> None:
        """Its row is removed."""
        self.rows.pop(server_id, None)
