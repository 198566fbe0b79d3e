"""One result of a gigabyte to one client: how fast it comes through, and what the proxy holds of it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Final

from bench.client import ClientError, Connection, Target, opened
from bench.load import Group, Load
from bench.workload import Idle, Step, inserts

TABLE: Final = "bulk"
LINES: Final = 1000
"""Rows of the table, which is joined with itself: a row of one side is a thousand rows, 1 MB, of the result."""
WIDTH: Final = 1000
ROW: Final = 4 + 3 + WIDTH
"""Bytes of a packet: its header, the length of its only value, the value."""
AROUND: Final = 200
"""More bytes than those of a column's definition and the two EOF packets."""
EOF: Final = 9
TRANSFER_TIMEOUT: Final = 120.0


class Drain(Connection):
    """Counts the bytes of a result. No row of ours has in it what its end looks like."""

    __slots__ = ("_ended", "_least", "_tail", "count")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.count = 0
        self._least = 0
        self._tail = b""
        self._ended: asyncio.Future[None] | None = None

    async def drain(self, step: Step, least: int) -> None:
        """Ask, and wait for the end of a result of at least so many bytes. Raises ClientError."""
        self.count, self._least = 0, least
        self._ended = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(step.wire)
        try:
            async with asyncio.timeout(TRANSFER_TIMEOUT):
                await self._ended
        except TimeoutError:
            raise ClientError("no answer", f"{self.count:,} bytes in {TRANSFER_TIMEOUT:.0f} s") from None
        finally:
            self._ended = None
        if self.count > least + AROUND:
            raise ClientError("wrong answer", f"{self.count:,} bytes instead of {least:,} and a few")

    def data_received(self, chunk: bytes) -> None:
        if self._ended is None:
            super().data_received(chunk)
            return
        if not self.count and chunk[4:5] == b"\xff":
            self.broke("refused", repr(chunk[7:200]))
        self.count += len(chunk)
        self._tail = (self._tail + chunk[-EOF:])[-EOF:]
        if self.count >= self._least and self._tail[:3] == b"\x05\x00\x00" and self._tail[4] == 0xFE:
            self._ended.set_result(None)

    def broke(self, label: str, message: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(ClientError(label, message))


class Bulk(Load):
    """One client that asks for ``megabytes`` of rows of 1,000 bytes, once. Each of them counts as a query, so that what is told per query is told per megabyte.
    Its figure is ``mb_per_second``."""

    def __init__(self, target: Target, megabytes: int) -> None:
        super().__init__([Group(target, Idle(), 1, 1)])
        self._target = target
        self._megabytes = megabytes
        self._drain: Drain | None = None

    @property
    def connected(self) -> int:
        return int(self._drain is not None)

    async def open(self, progress: object = None) -> None:
        """Connect, and fetch a little: a connection to the server is there afterwards."""
        try:
            self._drain = await opened(Drain(self._target))
            await self._drain.drain(question(1), LINES * ROW)
        except ClientError as error:
            self.count_error(error.label, str(error))

    def start(self) -> None:
        """There is nothing before the window."""

    async def window(self, seconds: float) -> None:
        if self._drain is None:
            return
        began = perf_counter()
        try:
            await self._drain.drain(question(self._megabytes), self._megabytes * LINES * ROW)
        except ClientError as error:
            self.count_error(error.label, str(error))
            return
        took = perf_counter() - began
        self.queries += self._megabytes
        self.histogram.record(int(took * 1e6))
        self.figures["mb_per_second"] = self._drain.count / took / 1e6

    def close(self) -> None:
        super().close()
        if self._drain is not None:
            self._drain.close()


def schema() -> Iterator[str]:
    """The table."""
    yield f"DROP TABLE IF EXISTS {TABLE}"
    yield f"CREATE TABLE {TABLE} (id INT PRIMARY KEY)"
    yield from inserts(f"INSERT INTO {TABLE} VALUES", (f"({number})" for number in range(LINES)))


def question(megabytes: int) -> Step:
    """At most 1,000 of them."""
    return Step(f"SELECT REPEAT('x', {WIDTH}) FROM {TABLE} AS a JOIN {TABLE} AS b WHERE a.id < {megabytes}")
