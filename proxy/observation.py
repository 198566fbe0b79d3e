"""What one look at one server said, as values, and the parsers of the answers to `monitor_queries`.

Rows are texts as the server sent them (None for NULL). What is not understood raises :class:`NotUnderstood` and names the query: a
server that answers otherwise than documented is no basis for a decision.

An observation is dated by our own monotonic clock: everything in it was so between ``asked_at`` and ``taken_at``. Of the server's clock
only differences are used, and only between values of one look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.occupancy import Occupancy

Row = Sequence[str | None]

MASTER_SESSION_ID: Final = "MASTER_SESSION_ID"
"""In SESSION_ID of replica_host_status: this is the writer."""
NEWEST_LAG_ROW: Final = 180.0
"""Seconds after which a row of replica_host_status is no longer an instance of the cluster but one that was."""

UPTIME_SLACK: Final = 2.0
"""Seconds by which an uptime may fall behind our clock before the server counts as restarted: it is in whole seconds."""

_OFF: Final = frozenset(["0", "OFF"])
_OCCUPANCY: Final = 3
_WITH_COUNT: Final = 7
"""Columns."""


class NotUnderstood(Exception):
    """The answer is not what this query has. The text says which query."""


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """One row of replica_host_status."""

    server_id: str
    is_master: bool  # it has MASTER_SESSION_ID; so may a former writer's row
    lag: float | None  # seconds; None: not known. Of a writer it means nothing
    updated: int  # LAST_UPDATE_TIMESTAMP in microseconds of the server's clock: the same row has the same value at every look
    age: float  # seconds that had passed since then; not below 0
    cpu: float | None  # per cent

    @property
    def is_fresh(self) -> bool:
        """Whether it may be believed to be there. The writer's own row need not be renewed."""
        return self.is_master or self.age <= NEWEST_LAG_ROW


@dataclass(frozen=True, slots=True)
class ReplicationStatus:
    """How a server replicates from one source."""

    source_id: str  # its server_id as the replica has learned it; "0" before the first connection
    source_host: str
    source_port: int
    is_running: bool  # both threads run: it gets and applies what the source writes
    is_following: bool  # at least one of them is meant to: also while the source cannot be reached
    lag: float | None  # seconds, as whole numbers; None when it is not replicating
    error: str  # why it does not run, in the server's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look at one server said."""

    server_id: str  # aurora_server_id or server_id
    is_writer: bool  # it says itself that it may be written
    clock: int  # its clock, microseconds since 1970
    taken_at: float  # when its answer was here
    round_trip: float  # seconds that it took
    uptime: int | None = None  # seconds since it was started
    position: str = ""  # GTIDs of all that it has, as its kind of server writes them; "" without
    is_mariadb: bool = False  # which way that is written
    rows: tuple[ReplicaRow, ...] | None = None  # None: not asked
    replication: tuple[ReplicationStatus, ...] | None = (
        None  # None: not asked, or not allowed to ask; empty: it follows nobody
    )
    heartbeat: float | None = None  # seconds of lag by a heartbeat, where one is configured
    remarks: tuple[str, ...] = ()  # what it could not be asked, and why
    occupancy: Occupancy | None = None

    @property
    def asked_at(self) -> float:
        """Nothing in it is older than this."""
        return self.taken_at - self.round_trip

    @property
    def lag(self) -> float | None:
        """How far it is behind by its own account: the heartbeat, or else the slowest of what it replicates. None: not known."""
        if self.heartbeat is not None:
            return self.heartbeat
        lags = [status.lag for status in self.replication or ()]
        known = [lag for lag in lags if lag is not None]
        return max(known) if known and len(known) == len(lags) else None

    def row_of(self, server_id: str) -> ReplicaRow | None:
        """Its newest row of an instance, if there is one that is fresh."""
        rows = [row for row in self.rows or () if row.server_id == server_id and row.is_fresh]
        return max(rows, key=_updated, default=None)

    def master(self) -> ReplicaRow | None:
        """The writer by its table: of two, the one that was updated last; the other is the former."""
        return max((row for row in self.rows or () if row.is_master), key=_updated, default=None)


def has_restarted(before: Observation, after: Observation) -> bool:
    """Whether the uptime has not grown as our clock has: also after a restart so early that it is not smaller."""
    if before.uptime is None or after.uptime is None:
        return False
    passed = after.asked_at - before.taken_at
    return after.uptime < before.uptime or after.uptime - before.uptime < passed - UPTIME_SLACK


@dataclass(frozen=True, slots=True)
class Self:
    """The answer to one of the `*_SELF` queries."""

    server_id: str
    is_writer: bool
    clock: int
    uptime: int | None
    position: str = ""
    # max_connections and so on, as `occupancy` parses them
    occupancy: tuple[str | None, ...] = ()


def is_aurora(rows: Sequence[Row]) -> bool:
    """The answer to `IS_AURORA`."""
    return len(rows) > 0


def parse_aurora_self(rows: Sequence[Row]) -> Self:
    """The answer to `AURORA_SELF`."""
    (server_id, read_only, clock, uptime), occupancy = _with_occupancy(rows, 4, "@@aurora_server_id")
    return Self(
        _text(server_id, "@@aurora_server_id"),
        _is_off(read_only),
        _int(clock, "clock"),
        _uptime(uptime),
        occupancy=occupancy,
    )


def parse_self(rows: Sequence[Row]) -> Self:
    """The answer to `MYSQL_SELF` or `MARIADB_SELF`."""
    found, occupancy = _with_occupancy(rows, 6, "@@server_id")
    server_id, read_only, innodb_read_only, clock, uptime, position = found
    return Self(
        _text(server_id, "@@server_id"),
        _is_off(read_only) and _is_off(innodb_read_only),
        _int(clock, "clock"),
        _uptime(uptime),
        "".join((position or "").split()),
        occupancy,
    )


def parse_occupancy_alone(rows: Sequence[Row]) -> tuple[str | None, ...]:
    """The answer to `MYSQL_OCCUPANCY` or `MARIADB_OCCUPANCY`, for `occupancy.parse_occupancy`."""
    return _with_occupancy(rows, 0, "max_connections")[1]


def parse_table(rows: Sequence[Row]) -> tuple[ReplicaRow, ...]:
    """The answer to `AURORA_TABLE`."""
    return tuple(_replica_row(row) for row in rows)


def _replica_row(row: Row) -> ReplicaRow:
    what = "replica_host_status"
    server_id, session_id, lag, age, cpu, clock = _columns(row, 6, what)
    passed = _int(age, what)
    known_lag = None if lag is None else _float(lag, what) / 1000
    return ReplicaRow(
        server_id=_text(server_id, what),
        is_master=session_id == MASTER_SESSION_ID,
        # a clock that was set back since the row was written: how old it is cannot be told
        lag=None if known_lag is None or known_lag < 0 or passed < -1_000_000 else known_lag,
        updated=_int(clock, what) - passed,
        age=max(0, passed) / 1e6,
        cpu=None if cpu is None else _float(cpu, what),
    )


# Names of columns: MySQL from 8.0.22, MariaDB and MySQL before.
_SOURCE_ID: Final = ("Source_Server_Id", "Master_Server_Id")
_HOST: Final = ("Source_Host", "Master_Host")
_PORT: Final = ("Source_Port", "Master_Port")
_IO: Final = ("Replica_IO_Running", "Slave_IO_Running")
_SQL: Final = ("Replica_SQL_Running", "Slave_SQL_Running")
_BEHIND: Final = ("Seconds_Behind_Source", "Seconds_Behind_Master")


def parse_replication(columns: Sequence[str], rows: Sequence[Row]) -> tuple[ReplicationStatus, ...]:
    """The answer to one of the `*_REPLICATION` queries. A source whose replication was never started counts, as one not followed."""
    return tuple(_status(dict(zip(columns, row, strict=True))) for row in rows)


def _status(row: dict[str, str | None]) -> ReplicationStatus:
    receiving, applying = _either(row, _IO), _either(row, _SQL)
    behind = _either(row, _BEHIND)
    is_running = receiving == "Yes" and applying == "Yes"
    error = row.get("Last_IO_Error") or row.get("Last_SQL_Error") or ""
    return ReplicationStatus(
        source_id=_either(row, _SOURCE_ID) or "0",
        source_host=_either(row, _HOST) or "",
        source_port=_int(_either(row, _PORT), "replication status"),
        is_running=is_running,
        # the receiver says "Connecting", or on MariaDB "Preparing", while it cannot reach the source
        is_following=receiving != "No" or applying != "No",
        lag=_float(behind, "replication status") if behind is not None and is_running else None,
        error=error,
    )


def parse_heartbeat(rows: Sequence[Row]) -> float | None:
    """The answer to the configured query: the lag in seconds, or NULL. Below 0, by clocks that differ, is 0."""
    (lag,) = _only(rows, 1, "the heartbeat query")
    return None if lag is None else max(0.0, _float(lag, "the heartbeat query"))


# Parts


def _updated(row: ReplicaRow) -> int:
    return row.updated


def _only(rows: Sequence[Row], size: int, what: str) -> Row:
    return _columns(_one(rows, what), size, what)


def _one(rows: Sequence[Row], what: str) -> Row:
    if len(rows) != 1:
        raise NotUnderstood(f"{what}: {len(rows)} rows instead of one")
    return rows[0]


def _with_occupancy(rows: Sequence[Row], size: int, what: str) -> tuple[Row, tuple[str | None, ...]]:
    """The only row: so many columns, and those of the occupancy, with or without a count."""
    row = _one(rows, what)
    if len(row) - size not in (_OCCUPANCY, _WITH_COUNT):
        raise NotUnderstood(
            f"{what}: {len(row)} columns instead of {size + _OCCUPANCY} or {size + _WITH_COUNT}"
        )
    return row[:size], tuple(row[size:])


def _columns(row: Row, size: int, what: str) -> Row:
    if len(row) != size:
        raise NotUnderstood(f"{what}: {len(row)} columns instead of {size}")
    return row


def _either(row: dict[str, str | None], names: tuple[str, str]) -> str | None:
    for name in names:
        if name in row:
            return row[name]
    raise NotUnderstood(f"replication status: no column {names[0]}")


def _text(value: str | None, what: str) -> str:
    if not value:
        raise NotUnderstood(f"{what}: no value")
    return value


def _is_off(value: str | None) -> bool:
    return value in _OFF


def _uptime(value: str | None) -> int | None:
    return None if value is None else _int(value, "Uptime")


def _int(value: str | None, what: str) -> int:
    try:
        return int(value or "")
    except ValueError:
        raise NotUnderstood(f"{what}: {value!r} is no whole number") from None


def _float(value: str, what: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise NotUnderstood(f"{what}: {value!r} is no number") from None
    if not -1e300 < number < 1e300:
        raise NotUnderstood(f"{what}: {value!r} is no number")
    return number
