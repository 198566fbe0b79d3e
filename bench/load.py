"""A closed loop of many clients of which a few are active at a time.

Each of the ``active`` slots of a group plays the next turn of the client that has rested longest, statement by
statement, and then moves on: which clients are active keeps changing, as in web applications.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter_ns
from typing import ClassVar

from bench.client import ClientError, Connection, Target, opened
from bench.histogram import Histogram
from bench.response import Response
from bench.workload import Step, Turn, Workload

OPENING_AT_ONCE = 32
STOP_TIMEOUT = 30.0
ROLLBACK = Step("ROLLBACK")


@dataclass(frozen=True, slots=True)
class Group:
    """``clients`` clients of one target with one workload, ``active`` of them at a time; think: mean of the seconds between turns."""

    target: Target
    workload: Workload
    clients: int
    active: int
    think: float = 0.0


class Client(Connection):
    """One client of a load. Between turns it holds nothing but its connection."""

    __slots__ = ("is_recovering", "number", "sent_at", "slots", "step", "turn")

    def __init__(self, target: Target, number: int, slots: Slots) -> None:
        super().__init__(target)
        self.number = number
        self.slots = slots
        self.turn: Turn | None = None
        self.step = ROLLBACK
        self.sent_at = 0
        self.is_recovering = False  # the answer to a ROLLBACK after a failure is awaited

    def play(self, turn: Turn) -> None:
        """Begin a turn."""
        self.turn = turn
        self._go_on(None)

    def answered(self, response: Response | None) -> None:
        load = self.slots.load
        load.histogram.record((perf_counter_ns() - self.sent_at) // 1000)
        load.queries += 1
        if response is not None:
            step = self.step
            wrong = step.wrong(response)
            if wrong is not None or self.is_recovering:
                self._recover(response, wrong)
                return
            if step.repeats:
                step.known = self.chunk
        self._go_on(response)

    def broke(self, label: str, message: str) -> None:
        load = self.slots.load
        load.count_error(label, message)
        turn, self.turn = self.turn, None
        self.slots.lost(self, was_playing=turn is not None)

    def _go_on(self, response: Response | None) -> None:
        turn = self.turn
        assert turn is not None
        try:
            step = turn.send(response)  # None begins the generator as well
        except StopIteration:
            self.turn = None
            self.slots.turn_ended(self)
            return
        self.step = step
        self.sent_at = perf_counter_ns()
        self.ask(step)

    def _recover(self, response: Response, wrong: str | None) -> None:
        """A failed statement ends the turn; a ROLLBACK makes the client fit for the next one."""
        if wrong is not None:
            self.slots.load.count_error(str(response.error_code or "wrong answer"), wrong)
        self.is_recovering = not self.is_recovering and self.transport is not None
        if self.is_recovering:
            self.step = ROLLBACK
            self.sent_at = perf_counter_ns()
            self.ask(ROLLBACK)
        else:
            self.turn = None
            self.slots.turn_ended(self)


class Slots:
    """The active part of one group: who rests, in which order, and how many play."""

    __slots__ = ("clients", "group", "load", "playing", "resting")

    def __init__(self, load: Load, group: Group) -> None:
        self.load = load
        self.group = group
        self.clients: list[Client] = []
        self.resting: deque[Client] = deque()
        self.playing = 0  # slots that play or think

    def start(self) -> None:
        self.resting.extend(self.clients)
        for _ in range(min(self.group.active, len(self.clients))):
            self.playing += 1
            self._think(0.0)

    def turn_ended(self, client: Client) -> None:
        self.load.turns += 1
        self.resting.append(client)
        self._after_turn()

    def lost(self, client: Client, *, was_playing: bool) -> None:
        if was_playing:
            self._after_turn()
        elif client in self.resting:
            self.resting.remove(client)

    def _after_turn(self) -> None:
        self._think(0.5)

    def _think(self, least: float) -> None:
        """Let the next client play after a pause of ``least`` to ``least`` + 1 times `think`: users do not come in step."""
        if self.group.think > 0 and not self.load.is_stopping:
            pause = self.group.think * (least + self.load.random.random())
            asyncio.get_running_loop().call_later(pause, self._next)
        else:
            self._next()

    def _next(self) -> None:
        if self.load.is_stopping or not self.resting:
            self.playing -= 1
            self.load.slot_ended()
            return
        client = self.resting.popleft()
        client.play(self.group.workload.turn(client.number, self.load.random))


class Load:
    """All groups together, their counters and their clock-free life: open, start, stop, close."""

    connects_first: ClassVar[bool] = True  # whether `open` is when clients log in

    def __init__(self, groups: Sequence[Group], *, seed: int = 1) -> None:
        self.slots = [Slots(self, group) for group in groups]
        self.random = Random(seed)
        self.histogram = Histogram()
        self.queries = 0
        self.turns = 0
        self.errors: Counter[str] = Counter()
        self.examples: dict[str, str] = {}  # the first message of each kind of error
        self.figures: dict[str, float] = {}  # what a load of another kind has to tell besides
        self.is_stopping = False
        self._ended = asyncio.Event()

    @property
    def groups(self) -> list[Group]:
        """Who is in it."""
        return [slots.group for slots in self.slots]

    @property
    def connected(self) -> int:
        """Clients that have a connection now."""
        return sum(client.transport is not None for slots in self.slots for client in slots.clients)

    async def open(self, progress: Callable[[int], None] | None = None) -> None:
        """Connect all clients, a few at a time, and send their greetings. Failures are counted as errors."""
        waiting = [(slots, number) for slots in self.slots for number in range(slots.group.clients)]
        waiting.reverse()
        done = 0

        async def connect_some() -> None:
            nonlocal done
            while waiting:
                slots, number = waiting.pop()
                await self._open_one(slots, number)
                done += 1
                if progress is not None:
                    progress(done)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(OPENING_AT_ONCE, len(waiting))):
                group.create_task(connect_some())

    def start(self) -> None:
        """Let the active clients play until `stop`."""
        for slots in self.slots:
            slots.start()

    async def window(self, seconds: float) -> None:
        """What is measured. A load of another kind may take as long as it needs."""
        await asyncio.sleep(seconds)

    def begin_window(self) -> None:
        """Forget latencies and counts so far; errors stay."""
        self.histogram.clear()
        self.queries = self.turns = 0

    async def stop(self) -> None:
        """Let each turn come to its end. Turns that do not are errors called ``no answer``."""
        self.is_stopping = True
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                while any(slots.playing for slots in self.slots):
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            for slots in self.slots:
                for client in slots.clients:
                    if client.is_asking and client.turn is not None:
                        self.count_error("no answer", f"no answer to {client.step.sql!r}")

    def close(self) -> None:
        """Close all connections; clients that still think will not wake up to play."""
        self.is_stopping = True
        for slots in self.slots:
            for client in slots.clients:
                client.close()

    def slot_ended(self) -> None:
        self._ended.set()

    def count_error(self, label: str, message: str) -> None:
        self.errors[label] += 1
        self.examples.setdefault(label, message)

    async def _open_one(self, slots: Slots, number: int) -> None:
        client = Client(slots.group.target, number, slots)
        try:
            await opened(client)
            for step in slots.group.workload.greeting(number):
                await client.run(step)
        except ClientError as exc:
            self.count_error(exc.label, str(exc))
            client.close()
        else:
            slots.clients.append(client)
