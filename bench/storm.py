"""Thousands of clients that log in at once while others work: a load, and the process of its own that they come from.

They come from another process because what they cost would else delay the others' answers before these are counted. `python -m bench.storm HOST PORT COUNT`
waits for a line, logs in as many clients and prints what it saw as JSON. They stay until its input ends: what their leaving costs is another matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from time import perf_counter, perf_counter_ns
from typing import Final

import uvloop

from bench.client import ClientError, Connection, Target, raise_file_limit
from bench.histogram import Histogram
from bench.load import Group, Load
from bench.programs import begun, ended, kill, replied

READY: Final = "ready\n"
START_TIMEOUT: Final = 30.0
STORM_TIMEOUT: Final = 120.0


class Storm(Load):
    """The groups' clients at work, and ``count`` others who log in at once in the window, which is as long as that takes. Figures: ``storm_served``,
    ``storm_missing``, ``storm_seconds``, ``storm_p99`` (of a login, ms)."""

    def __init__(self, groups: Sequence[Group], target: Target, count: int) -> None:
        super().__init__(groups)
        self._target = target
        self._count = count
        self._process: Process | None = None

    async def open(self, progress: object = None) -> None:
        await super().open()
        command = [sys.executable, "-m", "bench.storm", self._target.host, str(self._target.port)]
        self._process = await begun([*command, str(self._count)])
        assert await replied(self._process, START_TIMEOUT) == READY

    async def window(self, seconds: float) -> None:
        assert self._process is not None
        try:
            printed = await replied(self._process, STORM_TIMEOUT, b"go\n")
        except TimeoutError:
            self.count_error("no answer", f"the storm was not over in {STORM_TIMEOUT:.0f} s")
            return
        seen = json.loads(printed)
        self.figures |= {f"storm_{name}": value for name, value in seen.items() if name != "errors"}
        self.figures["storm_missing"] = self._count - seen["served"]
        for label, count in seen["errors"].items():
            self.errors[f"storm: {label}"] += count

    async def stop(self) -> None:
        await super().stop()
        if self._process is not None:
            with contextlib.suppress(TimeoutError):  # then it has been killed
                await ended(self._process, START_TIMEOUT)

    def close(self) -> None:
        super().close()
        kill(self._process)


async def storm(target: Target, count: int, connections: list[Connection]) -> dict[str, object]:
    """Log in so many clients at once."""
    latencies, errors = Histogram(), Counter[str]()

    async def log_in() -> None:
        began = perf_counter_ns()
        try:
            connections.append(await Connection.open(target))
        except ClientError as error:
            errors[error.label] += 1
        else:
            latencies.record((perf_counter_ns() - began) // 1000)

    began = perf_counter()
    await asyncio.gather(*[log_in() for _ in range(count)])
    took = perf_counter() - began
    served = len(connections)
    return {"served": served, "seconds": took, "p99": latencies.percentile(99) / 1000, "errors": errors}


def main(arguments: Sequence[str]) -> int:
    """The process. Without the line it was not wanted."""
    host, port, count = arguments
    raise_file_limit()
    print(READY, end="", flush=True)
    if not sys.stdin.readline():
        return 1
    uvloop.run(serve(Target(host, int(port)), int(count)))
    return 0


async def serve(target: Target, count: int) -> None:
    """The storm, and what came of it; its clients leave when nobody can say anything any more."""
    connections: list[Connection] = []
    print(json.dumps(await storm(target, count, connections)), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for connection in connections:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
