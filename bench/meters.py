"""What processes and servers say about themselves: CPU and memory from /proc, connections from the server's status,
leases from Fanin's metrics."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.request import urlopen

from bench.client import ClientError, Connection

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
PAGE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time in seconds."""

    user: float
    system: float

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user - earlier.user, self.system - earlier.system)

    @property
    def total(self) -> float:
        return self.user + self.system


class ProcessMeter:
    """CPU, memory and context switches of processes and all their children. What has ended counts as nothing, but for switches."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        # of each thread that was seen
        self._switches: dict[Path, int] = {}

    def cpu(self) -> Cpu:
        """CPU time used so far, in steps of a clock tick (10 ms)."""
        stats = [stat_of(pid) for pid in self._tree()]
        return Cpu(
            sum(int(stat[11]) for stat in stats if stat) / TICKS,
            sum(int(stat[12]) for stat in stats if stat) / TICKS,
        )

    def memory(self) -> int:
        """Resident memory in bytes."""
        stats = [stat_of(pid) for pid in self._tree()]
        return sum(int(stat[21]) for stat in stats if stat) * PAGE

    def switches(self) -> int:
        """Context switches of all their threads so far, those that a thread asked for by waiting and the others. Threads that have ended count with what they
        had when they were seen last, so that it never falls."""
        for pid in self._tree():
            for task in PROC.glob(f"{pid}/task/*/status"):
                count = field_of(task, "voluntary_ctxt_switches")
                count += field_of(task, "nonvoluntary_ctxt_switches")
                self._switches[task] = max(count, self._switches.get(task, 0))
        return sum(self._switches.values())

    def forget_peak(self) -> None:
        """Let `peak_memory` begin at what is resident now. Where that is not allowed it began with the process."""
        for pid in self._tree():
            with contextlib.suppress(OSError):
                (PROC / str(pid) / "clear_refs").write_text("5")

    def peak_memory(self) -> int:
        """The most bytes that each process had resident at once since `forget_peak`: no sample can miss it."""
        return sum(field_of(PROC / str(pid) / "status", "VmHWM") for pid in self._tree()) * 1024

    def _tree(self) -> list[int]:
        """The processes and their descendants."""
        found, waiting = list[int](), list(self._pids)
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for children in PROC.glob(f"{pid}/task/*/children"):
                with contextlib.suppress(OSError):
                    waiting.extend(map(int, children.read_text().split()))
        return found


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the command's name: [0] is the state, [11] utime, [12] stime, [21] rss."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def field_of(path: Path, name: str) -> int:
    """A number of /proc/PID/status, 0 where there is none."""
    wanted = f"{name}:"
    return next((int(line.split()[1]) for line in read_lines(path) if line.startswith(wanted)), 0)


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a Fanin has counted about its leases, since its start or over a window."""

    commands: int  # queries and executions of prepared statements
    pinned_commands: int  # of all commands: those that ran outside a transaction on a backend kept by a pin
    leases: int
    restores: int
    captures: int
    pins: int

    def __sub__(self, earlier: Sharing) -> Sharing:
        return Sharing(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(earlier), strict=True)))


class FaninPages:
    """The metrics page of a Fanin."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}/metrics"

    async def sharing(self) -> Sharing:
        """The counts now. Raises ClientError."""
        try:
            page = await asyncio.to_thread(self._page)
        except OSError as error:
            raise ClientError("metrics", f"cannot read {self.url}: {error}") from error
        names = ("queries", "pinned_commands", "leases", "restores", "captures", "pins")
        return Sharing(*(total(page, f"fanin_{name}_total") for name in names))

    def _page(self) -> str:
        with urlopen(self.url, timeout=PAGE_TIMEOUT) as answer:
            return cast(bytes, answer.read()).decode()


def total(page: str, name: str) -> int:
    """The sum of a metric's samples on a page in Prometheus' text format."""
    lines = (line.rpartition(" ") for line in page.splitlines())
    return sum(int(float(value)) for sample, _, value in lines if sample.partition("{")[0] == name)


class ServerWatch:
    """The connections of some servers, by their own counters, without the ones that ask."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    @property
    def servers(self) -> int:
        return len(self._connections)

    async def connected(self) -> tuple[int, ...]:
        """``Threads_connected`` of each server now. Raises ClientError."""
        return tuple([await status(connection, "Threads_connected") - 1 for connection in self._connections])

    async def forget_peak(self) -> bool:
        """Make each server count its peak anew; whether that was allowed."""
        try:
            for connection in self._connections:
                await connection.rows("FLUSH LOCAL STATUS")
        except ClientError:
            return False
        return True

    async def peak(self) -> tuple[int, ...]:
        """``Max_used_connections`` of each server since `forget_peak`: no sample can miss it. Raises ClientError."""
        return tuple(
            [await status(connection, "Max_used_connections") - 1 for connection in self._connections]
        )


async def status(connection: Connection, name: str) -> int:
    """A number from SHOW GLOBAL STATUS. Raises ClientError."""
    ((_, value),) = await connection.rows(f"SHOW GLOBAL STATUS LIKE '{name}'")
    return int(value or 0)


def machine() -> dict[str, str | int]:
    """Where and when a measurement was taken."""
    model = next((line for line in read_lines(PROC / "cpuinfo") if line.startswith("model name")), "")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model.partition(":")[2].strip() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def read_lines(path: Path) -> list[str]:
    """The lines of a file, none if it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
