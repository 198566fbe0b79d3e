"""Looks at the real servers' positions all the time, and writes replica_host_status."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Final

from bench.client import ClientError, Connection, Target
from bench.servers import HOST, SCHEMA, Server
from tests.fakes.aurora.instance import Instance
from tests.fakes.aurora.replication import APPLIED, COMMITTED
from tests.fakes.aurora.status import Board, History, Position, position_of

TICK: Final = 0.02
"""Seconds between two looks at the writer's position: how exactly lag is known."""


class Sampler:
    """One connection to each server, opened again when it is lost. Runs in the emulator's loop."""

    def __init__(self, board: Board, instances: Callable[[], list[Instance]], interval: float) -> None:
        self._board = board
        self._instances = instances
        # seconds between two reports of each instance
        self._interval = interval
        self.writer: Instance | None = None
        self.history = History()
        self._connections: dict[Server, Connection] = {}
        # one question at a time: reports are also asked for from outside of `run`
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Until it is cancelled."""
        next_report = 0.0
        while True:
            await self._note()
            if monotonic() >= next_report:
                next_report = monotonic() + self._interval
                await self.report()
            await asyncio.sleep(TICK)

    async def _note(self) -> None:
        writer = self.writer
        if writer is not None and writer.is_up:
            asked_at = monotonic()
            position = await self._ask(writer.server, COMMITTED[writer.server.kind])
            if position is not None and writer is self.writer:
                self.history.note(position, asked_at)

    async def report(self) -> None:
        """Every instance that is up reports now."""
        for instance in self._instances():
            if instance.is_up:
                await self._report(instance)

    async def _report(self, instance: Instance) -> None:
        # not the loop's time: that is of the beginning of its turn, so that the lag would be too small
        updated, asked_at = datetime.now(), monotonic()
        position = await self._ask(instance.server, APPLIED[instance.server.kind])
        if position is not None:
            self._board.write(
                instance.name,
                is_writer=instance is self.writer,
                lag=self.history.lag(position, asked_at),
                updated=updated,
            )

    async def _ask(self, server: Server, question: str) -> Position | None:
        async with self._lock:
            return await self._answer(server, question)

    async def _answer(self, server: Server, question: str) -> Position | None:
        try:
            if server not in self._connections:
                self._connections[server] = await Connection.open(
                    Target(HOST, server.port, "root", "", SCHEMA)
                )
            ((answer,),) = await self._connections[server].rows(question)
            return position_of((answer or b"").decode())
        except (ClientError, AssertionError):
            self.forget(server)
            return None

    def forget(self, server: Server) -> None:
        """Close the connection to a server."""
        with contextlib.suppress(KeyError):
            self._connections.pop(server).close()

    def close(self) -> None:
        """Close all connections."""
        for server in list(self._connections):
            self.forget(server)
