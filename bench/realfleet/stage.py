"""The processes: one MySQL, the sidecars before it, and strangers' connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.client import ClientError, Connection, Target
from bench.fanin_process import FaninProcess
from bench.realfleet.plan import Plan
from bench.servers import KINDS, Server

STARTING_AT_ONCE: Final = 4


class Sidecar(FaninProcess):
    """A Fanin with the settings of the plan."""

    name = "sidecar"

    def __init__(self, server: Server, plan: Plan, number: int) -> None:
        super().__init__(f"{server.host}:{server.port}", pool_size=plan.pool_size)
        self._plan = plan
        self._number = number

    def command(self, folder: Path) -> list[str]:
        config = folder / "sidecar.toml"
        config.write_text(
            f'application = "shop-{self._number}"\n\n[pool]\nidle_timeout = {self._plan.idle_timeout:g}\nacquire_timeout = 20\n'
        )
        return [*super().command(folder), "--config", str(config)]

    @property
    def process_id(self) -> int | None:
        """None while it is gone."""
        return None if self._process is None else self._process.pid


def numbers_of(sidecars: Sequence[Sidecar]) -> dict[int, int]:
    """Process ids -> numbers of the sidecars."""
    found = {sidecar.process_id: number for number, sidecar in enumerate(sidecars)}
    return {process: number for process, number in found.items() if process is not None}


@contextmanager
def server_of(plan: Plan, kind: str) -> Iterator[Server]:
    """The server, with its few connections."""
    with KINDS[kind](max_connections=plan.limit) as server:
        yield server


@contextmanager
def sidecars_of(plan: Plan, server: Server) -> Iterator[list[Sidecar]]:
    """All of them, started some at a time and ended together."""
    sidecars = [Sidecar(server, plan, number) for number in range(plan.sidecars)]
    with ThreadPoolExecutor(STARTING_AT_ONCE) as threads:
        try:
            list(threads.map(Sidecar.start, sidecars))
            yield sidecars
        finally:
            list(threads.map(Sidecar.stop, sidecars))


class Strangers:
    """Connections to the server that are nobody's of the fleet."""

    def __init__(self, target: Target, count: int) -> None:
        self._target = target
        self._count = count
        self._lines: list[Connection] = []
        self.refused: list[str] = []

    async def come(self) -> None:
        """One after the other; who is refused stays away."""
        for _ in range(self._count):
            try:
                self._lines.append(await Connection.open(self._target))
            except ClientError as error:
                self.refused.append(error.label)
            await asyncio.sleep(0.05)

    def leave(self) -> None:
        """All of them."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    @property
    def count(self) -> int:
        """Those that are there."""
        return len(self._lines)


def targets_of(sidecars: Sequence[Sidecar], server: Server) -> list[Target]:
    """Where the clients of each connect to."""
    return [Target(server.host, sidecar.port) for sidecar in sidecars]
