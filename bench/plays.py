"""What contestants are asked to do: each play makes its tables, and a load for each turn of a contestant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from bench import bulk
from bench.bulk import Bulk
from bench.client import Connection, Target
from bench.load import Group, Load
from bench.storm import Storm
from bench.sysbench import SCRIPTS, Sysbench, find_sysbench
from bench.visits import Visits
from bench.workload import Idle, Rows, Step, Workload
from bench.workloads import NAMES, workload_of

LOGINS, CHURN, SYSBENCH = "logins", "churn", "sysbench-"
PLAYS: Final = (
    *[name for name in NAMES if name != "idle"],
    CHURN,
    LOGINS,
    *[SYSBENCH + script for script in SCRIPTS],
)


class Play(Protocol):
    """`clients` are connected at most, `busy` of them at a time."""

    @property
    def clients(self) -> int: ...

    @property
    def busy(self) -> int: ...

    @property
    def most(self) -> int:
        """Connections that a proxy may see at once: one that a client has closed may be seen for a little longer."""

    def why_not(self) -> str | None:
        """Why it cannot be played on this machine."""

    async def prepare(self, server: Connection) -> None:
        """Make its tables anew. Raises ClientError."""

    def load(self, target: Target) -> Load:
        """For one turn of one contestant."""


@dataclass(frozen=True, eq=False)
class Closed:
    """A closed loop: `busy` of the clients at a time, and `idle` others that only are there."""

    workload: Workload
    clients: int
    busy: int
    idle: int = 0

    @property
    def most(self) -> int:
        return self.clients + self.idle

    def why_not(self) -> str | None:
        return None

    async def prepare(self, server: Connection) -> None:
        await run_all(server, self.workload.schema(self.clients))

    def load(self, target: Target) -> Load:
        groups = [Group(target, self.workload, self.clients, self.busy)]
        if self.idle:
            groups.append(Group(target, Idle(), self.idle, 0))
        return Load(groups)


@dataclass(frozen=True, eq=False)
class Visiting:
    """Visitors, so many at a time."""

    workload: Workload
    busy: int

    @property
    def clients(self) -> int:
        return self.busy

    @property
    def most(self) -> int:
        return 10 * self.busy

    def why_not(self) -> str | None:
        return None

    async def prepare(self, server: Connection) -> None:
        await run_all(server, self.workload.schema(self.busy))

    def load(self, target: Target) -> Load:
        return Visits(Group(target, self.workload, self.busy, self.busy))


@dataclass(frozen=True, eq=False)
class Storming:
    """So many `logins` in one go, while others work."""

    workload: Workload
    working: int
    busy: int
    logins: int

    @property
    def clients(self) -> int:
        return self.working + self.logins

    @property
    def most(self) -> int:
        return self.clients

    def why_not(self) -> str | None:
        return None

    async def prepare(self, server: Connection) -> None:
        await run_all(server, self.workload.schema(self.working))

    def load(self, target: Target) -> Load:
        return Storm([Group(target, self.workload, self.working, self.busy)], target, self.logins)


@dataclass(frozen=True, eq=False)
class Big:
    """One result for one client."""

    megabytes: int
    clients: int = 1
    busy: int = 1

    @property
    def most(self) -> int:
        return self.clients

    def why_not(self) -> str | None:
        return None

    async def prepare(self, server: Connection) -> None:
        await run_all(server, bulk.schema())

    def load(self, target: Target) -> Load:
        return Bulk(target, self.megabytes)


@dataclass(frozen=True, eq=False)
class Sysbenching:
    """sysbench with so many threads."""

    script: str
    busy: int
    prepared: bool = False

    @property
    def clients(self) -> int:
        return self.busy

    @property
    def most(self) -> int:
        return self.clients

    def why_not(self) -> str | None:
        return (
            None
            if find_sysbench()
            else "sysbench is not installed (make setup as root installs it on Debian)"
        )

    async def prepare(self, server: Connection) -> None:
        await Sysbench(server.target, self.script, self.busy).prepare()

    def load(self, target: Target) -> Load:
        return Sysbench(target, self.script, self.busy, prepared=self.prepared)


def play_of(name: str, clients: int, busy: int) -> Play:
    """The play called `name`, one of PLAYS. Those without clients at rest only have the busy ones."""
    if name == LOGINS:
        return Visiting(Idle(), busy)
    if name == CHURN:
        return Visiting(Rows(name, per_query=1, per_turn=1, owners=200), busy)
    if name.startswith(SYSBENCH):
        return Sysbenching(name.removeprefix(SYSBENCH), busy)
    return Closed(workload_of(name), clients, busy)


async def run_all(server: Connection, statements: Iterator[str]) -> None:
    """Raises ClientError."""
    for statement in statements:
        await server.run(Step(statement))
