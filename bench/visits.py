"""Clients that do not stay: each connects, logs in, plays one turn and leaves."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from bench.client import ClientError, Connection
from bench.load import Group, Load
from bench.workload import Idle


class Visits(Load):
    """As many visitors at a time as the group has active clients. What is counted, as a query, is a visit: from the connect to the last answer; that of an
    idle workload is over with its login."""

    connects_first = False

    def __init__(self, group: Group, *, seed: int = 1) -> None:
        super().__init__([group], seed=seed)
        self._group = group
        self._visitors: asyncio.Future[list[None]] | None = None

    @property
    def connected(self) -> int:
        return self._group.active

    async def open(self, progress: object = None) -> None:
        """Nobody is there before the start."""

    def start(self) -> None:
        visitors = [self._come_and_go(number) for number in range(self._group.active)]
        self._visitors = asyncio.gather(*visitors)

    async def stop(self) -> None:
        """Each visit comes to its end."""
        self.is_stopping = True
        if self._visitors is not None:
            await self._visitors

    def close(self) -> None:
        super().close()
        if self._visitors is not None:
            self._visitors.cancel()

    async def _come_and_go(self, number: int) -> None:
        while not self.is_stopping:
            began = perf_counter_ns()
            try:
                await self._visit(number)
            except ClientError as error:
                self.count_error(error.label, str(error))
            else:
                self.histogram.record((perf_counter_ns() - began) // 1000)
                self.queries += 1
            self.turns += 1

    async def _visit(self, number: int) -> None:
        connection = await Connection.open(self._group.target)
        try:
            if not isinstance(self._group.workload, Idle):
                for step in self._group.workload.turn(number, self.random):
                    await connection.run(step)
        finally:
            connection.close()
