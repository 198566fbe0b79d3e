"""The clients of all sidecars, in one process: each asks, checks its answer, pauses, and asks again. Callbacks only.

Who loses its connection because its sidecar was killed comes back when that is there again (`Crowd.revive`). Every other error counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from time import perf_counter_ns
from typing import Final

from bench.client import ClientError, Connection, Target, opened
from bench.histogram import Histogram
from bench.load import OPENING_AT_ONCE
from bench.response import Response
from bench.workload import Step

LONG: Final = 5.0
"""Seconds without an answer that are too many."""
TOO_MANY: Final = ("1040", "1203", "login 1040", "login 1203")
"""What is counted when the server has no connection left for somebody."""


class Caller:
    """One client, over all of its connections. ``served``: answers so far."""

    __slots__ = ("asked_at", "crowd", "line", "number", "served", "sidecar", "step", "timer")

    def __init__(self, crowd: Crowd, sidecar: int, number: int, service: float) -> None:
        self.crowd = crowd
        self.sidecar = sidecar
        self.number = number
        self.step = Step(f"SELECT SLEEP({service:g}), {number}", rows=[(b"0", b"%d" % number)], repeats=True)
        self.line: Line | None = None
        # while it pauses
        self.timer: asyncio.TimerHandle | None = None
        self.asked_at = 0
        self.served = 0

    def pause(self) -> None:
        """Ask after a while."""
        crowd = self.crowd
        mean = crowd.pauses[self.sidecar]
        self.timer = crowd.loop.call_later(crowd.random.expovariate(1.0 / mean), self._ask)

    def pause_anew(self) -> None:
        """The pauses have become others: the present one, too."""
        if self.timer is not None:
            self.timer.cancel()
            self.pause()

    def rest(self) -> None:
        """It does not ask any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _ask(self) -> None:
        self.timer = None
        assert self.line is not None, "who has lost its connection does not pause"
        self.asked_at = perf_counter_ns()
        self.line.ask(self.step)


class Line(Connection):
    """One connection of a caller."""

    __slots__ = ("caller",)

    def __init__(self, target: Target, caller: Caller) -> None:
        super().__init__(target)
        self.caller = caller

    def answered(self, response: Response | None) -> None:
        caller = self.caller
        crowd = caller.crowd
        wrong = None if response is None else caller.step.wrong(response)
        if wrong is None:
            caller.served += 1
            crowd.answers += 1
            crowd.latencies.record((perf_counter_ns() - caller.asked_at) // 1000)
            if response is not None:
                caller.step.known = self.chunk
        else:
            assert response is not None
            crowd.count(str(response.error_code or "wrong answer"), wrong)
        if not crowd.is_over:
            caller.pause()

    def broke(self, label: str, message: str) -> None:
        caller = self.caller
        caller.line = None
        caller.rest()
        caller.crowd.lost(caller.sidecar, label, message)


class Crowd:
    """All clients. `targets`: where those of each sidecar connect to."""

    def __init__(self, targets: list[Target], clients: int, service: float, seed: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.random = Random(seed)
        self.targets = targets
        self.callers = [
            [Caller(self, sidecar, sidecar * clients + number, service) for number in range(clients)]
            for sidecar in range(len(targets))
        ]
        # mean pauses, by sidecar
        self.pauses = [1.0] * len(targets)
        # sidecars that are killed now: their connections may break
        self.gone: set[int] = set()
        self.is_over = False
        self.answers = 0
        self.latencies = Histogram()
        self.errors: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        # connections that ended with their sidecars
        self.cut_off = 0

    async def connect(self, sidecars: list[int]) -> None:
        """The clients of these log in, a few at a time, and begin to ask."""
        waiting = [caller for sidecar in sidecars for caller in self.callers[sidecar] if caller.line is None]
        self.random.shuffle(waiting)

        async def connect_some() -> None:
            while waiting:
                await self._connect(waiting.pop())

        async with asyncio.TaskGroup() as group:
            for _ in range(min(OPENING_AT_ONCE, len(waiting))):
                group.create_task(connect_some())

    async def _connect(self, caller: Caller) -> None:
        line = Line(self.targets[caller.sidecar], caller)
        try:
            await opened(line)
        except ClientError as error:
            line.close()
            self.lost(caller.sidecar, error.label, str(error))
            return
        caller.line = line
        if not self.is_over:
            caller.pause()

    def ask_after(self, sidecar: int, pause: float) -> None:
        """From now on this is the mean pause of its clients."""
        self.pauses[sidecar] = pause
        for caller in self.callers[sidecar]:
            caller.pause_anew()

    async def revive(self, sidecar: int) -> None:
        """It is there again."""
        self.gone.discard(sidecar)
        await self.connect([sidecar])

    def begin(self) -> None:
        """Count anew how long answers take."""
        self.latencies.clear()

    def everybody(self) -> list[Caller]:
        """All callers, by sidecar."""
        return [caller for callers in self.callers for caller in callers]

    def unserved(self) -> int:
        """Clients that have had no answer at all so far."""
        return sum(not caller.served for caller in self.everybody())

    def starved(self) -> int:
        """Clients that have no connection now, or have been waiting for an answer for LONG."""
        before = perf_counter_ns() - LONG * 1e9
        lines = [(caller.line, caller.asked_at) for caller in self.everybody()]
        return sum(line is None or (line.is_asking and asked_at < before) for line, asked_at in lines)

    def stop(self) -> None:
        """Nobody asks any more; connections stay."""
        self.is_over = True
        for caller in self.everybody():
            caller.rest()

    def close(self) -> None:
        """Everybody leaves."""
        self.stop()
        for caller in self.everybody():
            if caller.line is not None:
                caller.line.close()

    def lost(self, sidecar: int, label: str, message: str) -> None:
        """A connection has ended, or could not be had."""
        if sidecar in self.gone:
            self.cut_off += 1
        else:
            self.count(label, message)

    def count(self, label: str, message: str) -> None:
        """An error."""
        self.errors[label] += 1
        self.examples.setdefault(label, message)
