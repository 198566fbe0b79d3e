"""sysbench as a load: a program that others know, with transactions of its own."""

from __future__ import annotations

import re
import shutil
from typing import Final

from bench.client import ClientError, Target
from bench.load import Group, Load
from bench.programs import ran
from bench.workload import Idle

SCRIPTS: Final = ("oltp_point_select", "oltp_read_only", "oltp_read_write")
TABLES: Final = 4
LINES: Final = 10_000
"""Of each table."""
LONGER: Final = 60.0
"""Seconds that a run may take beyond its time."""


def find_sysbench() -> str | None:
    """The program, None where it is not installed."""
    return shutil.which("sysbench")


class Named(Idle):
    """Stands for what sysbench does."""

    def __init__(self, name: str) -> None:
        self.name = name


class Sysbench(Load):
    """A run of sysbench with as many threads. Queries are counted as it does; a latency is an event's, which for `oltp_read_write` is a transaction."""

    connects_first = False

    def __init__(self, target: Target, script: str, threads: int, *, prepared: bool = False) -> None:
        super().__init__([Group(target, Named(f"sysbench {script}"), threads, threads)])
        self._target = target
        self._script = script
        self._threads = threads
        self._prepared = prepared

    @property
    def connected(self) -> int:
        return self._threads

    async def prepare(self) -> None:
        """Make the tables anew. Raises ClientError."""
        await self._run("cleanup")
        await self._run("prepare")

    async def open(self, progress: object = None) -> None:
        """It connects by itself."""

    def start(self) -> None:
        """There is nothing before the window."""

    async def window(self, seconds: float) -> None:
        options = [f"--threads={self._threads}", f"--time={max(1, round(seconds))}", "--histogram=on"]
        options.append(f"--db-ps-mode={'auto' if self._prepared else 'disable'}")
        try:
            self._take(await self._run("run", *options, seconds=seconds))
        except ClientError as error:
            self.count_error(error.label, str(error))

    def _take(self, printed: str) -> None:
        self.queries += number_of(r"queries: +(\d+)", printed)
        # what it calls ignored errors are deadlocks between its own transactions, which are the server's answers
        if count := number_of(r"reconnects: +(\d+)", printed):
            self.count_error("reconnects", f"{count} of them")
        for value, count in re.findall(r"^ +([\d.]+) \|[* ]+ (\d+)$", printed, re.MULTILINE):
            self.histogram.record_many(int(float(value) * 1000), int(count))

    async def _run(self, command: str, *options: str, seconds: float = 0.0) -> str:
        program = find_sysbench()
        assert program is not None, "no sysbench here"
        target = self._target
        where = [f"--mysql-host={target.host}", f"--mysql-port={target.port}", "--db-driver=mysql"]
        where += [f"--mysql-user={target.user}", f"--mysql-password={target.password}"]
        where.append(f"--mysql-db={target.database}")
        tables = [f"--tables={TABLES}", f"--table-size={LINES}"]
        arguments = [self._script, *where, *tables, *options, command]
        try:
            status, printed = await ran([program, *arguments], seconds + LONGER)
        except TimeoutError:
            raise ClientError("no answer", f"sysbench {command} took more than {LONGER:.0f} s") from None
        if status:
            raise ClientError("sysbench", f"status {status}: {printed.strip()[-300:]}")
        return printed


def number_of(pattern: str, text: str) -> int:
    """What the first group matches, 0 where nothing does."""
    found = re.search(pattern, text)
    return int(found[1]) if found else 0
