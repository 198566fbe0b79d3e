"""What happens to a fleet, and what is measured of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.fleet.model import Sidecar, Simulation, usable
from bench.fleet.policies import Policy

SAMPLE: Final = 0.25
"""Seconds between two samples."""
WINDOW: Final = 5.0
"""Seconds over which shares are compared."""


VISIT: Final = 20.0
"""Seconds for which expected others stay, and stay away, at most."""


@dataclass(frozen=True)
class Profile:
    """A fleet: how many sidecars, clients of each, what these ask, and what the server allows."""

    sidecars: int
    clients: int
    limit: int
    # most connections of one sidecar
    size: int
    # seconds between an answer and the next question
    think: float
    # parts of the questions, and the seconds that they take
    service: tuple[tuple[float, float], ...]
    # connections of others that appear and leave all the time, all at once
    foreign: int = 0


MINTED: Final = Profile(300, 60, 16000, 60, 18000 / 23000, ((20 / 23, 0.002), (3 / 23, 0.005)))
"""Minted on Cyber Monday 2019: 300 application servers, 18,000 connections, 20,000 SELECT/s and 3,000 DML/s."""


class World(Simulation):
    """One that is under way: a fleet, and what happens to it."""

    def __init__(self, profile: Profile, policy: Policy, seed: int) -> None:
        super().__init__(seed, profile.limit, profile.think, profile.service)
        self.profile = profile
        self.policy = policy
        # connections of others: of those that come and go, and of a scenario's
        self.visitors = 0
        self.intruders = 0
        # there are only these
        self.has_intruders = False
        self.sidecars = [policy.sidecar(self, profile.clients, profile.size) for _ in range(profile.sidecars)]
        policy.begin(self.events, self.server, self.sidecars)
        if profile.foreign:
            self.events.after(0.0, lambda _: self.visit(profile.foreign))

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have it called at that time."""
        self.events.after(when - self.events.now, lambda _: call())

    def restart(self, sidecar: Sidecar, seconds: float) -> None:
        """It is gone for so long."""
        sidecar.stop()
        self.at(self.events.now + seconds, partial(self._start, sidecar))

    def _start(self, sidecar: Sidecar) -> None:
        sidecar.start()
        self.policy.restarted(sidecar)

    def ask(self, factor: float, weight: float = 1.0) -> None:
        """So many times more often, and what takes so many times longer."""
        self.load.factor, self.load.weight = factor, weight
        self.thinking.changed()

    def visit(self, count: int) -> None:
        """Others are there, and gone again after some time, and so on."""
        self.visitors = 0 if self.has_intruders else count
        self.occupy()
        there = self.profile.foreign - count
        stay = VISIT * (0.5 + 0.5 * self.events.random.random())
        self.events.after(stay, lambda _: self.visit(there))

    def intrude(self, count: int) -> None:
        """So many connections of others besides."""
        self.intruders = count
        self.occupy()

    def occupy(self) -> None:
        """All others' connections."""
        self.server.occupy(self.visitors + self.intruders)


@dataclass(frozen=True)
class Sample:
    """One moment. `share`: how alike sidecars with the same demand were served in the last WINDOW (Jain's index); `wait`: what those waited on average
    who were served since the last sample, in microseconds."""

    at: float
    connected: int
    foreign: int
    opened: int
    refused: int
    share: float
    waiting: int
    wait: float


@dataclass(frozen=True)
class Course:
    """What came of it. Waits in microseconds."""

    scenario: str
    policy: str
    seed: int
    samples: tuple[Sample, ...]
    queries: int
    errors: int
    refused: int
    peak: float
    wait_p50: int
    wait_p99: int
    wait_most: int


@dataclass(frozen=True)
class Scenario:
    """A name, how long it takes, and what is done to the world. `changes`: when demand, or what there is of connections, changes for the last time in a
    while."""

    name: str
    seconds: float
    begin: Callable[[World], None]
    changes: tuple[float, ...] = ()
    # from when until when the server is slow
    slow: tuple[float, float] | None = None

    def play(
        self, profile: Profile, policy: Policy, seed: int, on_sample: Callable[[Sample], None]
    ) -> Course:
        """From an idle server on."""
        world = World(profile, policy, seed)
        self.begin(world)
        probe = _Probe(world)
        for number in range(1, round(self.seconds / SAMPLE) + 1):
            world.events.run(number * SAMPLE)
            on_sample(probe.sample())
        waits = world.tally.all_waits()
        return Course(
            self.name,
            policy.name,
            seed,
            tuple(probe.samples),
            waits.total,
            world.tally.errors,
            world.server.refused,
            probe.peak / usable(profile.limit),
            waits.percentile(50),
            waits.percentile(99),
            waits.maximum,
        )


class _Probe:
    """What is seen of a world."""

    def __init__(self, world: World) -> None:
        self.samples: list[Sample] = []
        self.peak = 0
        self._world = world
        self._past: list[list[float]] = []
        self._served = 0
        self._waited = 0

    def sample(self) -> Sample:
        """Once for every SAMPLE."""
        server = self._world.server
        self.peak = max(self.peak, server.peak)
        server.peak = server.connected
        made = Sample(
            round(self._world.events.now, 3),
            server.connected,
            server.foreign,
            server.opened,
            server.refused,
            round(self._share(), 4),
            sum(each.waiting for each in self._world.sidecars),
            round(self._wait(), 1),
        )
        self.samples.append(made)
        return made

    def _wait(self) -> float:
        tally = self._world.tally
        served, waited = tally.served - self._served, tally.waited - self._waited
        self._served, self._waited = tally.served, tally.waited
        return waited / max(1, served)

    def _share(self) -> float:
        """Of what was served in the last WINDOW."""
        sidecars = self._world.sidecars
        served = [each.leased_seconds for each in sidecars]
        self._past.append(served)
        if len(self._past) <= WINDOW / SAMPLE:
            return 1.0
        before = self._past.pop(0)
        most = max(each.demand for each in sidecars)
        return jain(
            [
                after - earlier
                for after, earlier, each in zip(served, before, sidecars, strict=True)
                if each.demand == most and each.is_up
            ]
        )


def jain(shares: Sequence[float]) -> float:
    """How alike these are: Jain's index, 1 when they are the same, and when there are none."""
    squares = sum(each * each for each in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


# The scenarios

BUSY: Final = 2.0
"""How many times more often than in peace clients ask while something happens."""
RUSH: Final = 10.0
HEAVY: Final = 400.0
"""How many times longer questions take where everybody wants all there is: about a second."""


def _peace(world: World) -> None:
    del world


def _ramp(world: World) -> None:
    """Ten times the load within ten seconds, and back."""
    for second in range(10):
        world.at(5.0 + second, partial(world.ask, 1.0 + 0.9 * (second + 1)))
    world.at(20.0, partial(world.ask, 1.0))


def _crash(world: World) -> None:
    """A tenth of the fleet at once, gone for five seconds."""
    world.ask(BUSY)
    world.at(5.0, partial(_crash_tenth, world))


def _crash_tenth(world: World) -> None:
    for each in world.sidecars[::10]:
        world.restart(each, 5.0)


def _deploy(world: World) -> None:
    """All of them within twenty seconds, each gone for two."""
    world.ask(BUSY)
    for number, each in enumerate(world.sidecars):
        world.at(5.0 + 20.0 * number / len(world.sidecars), partial(world.restart, each, 2.0))


def _slow(world: World) -> None:
    """The server takes twenty times as long for everything, for thirty seconds."""
    world.ask(BUSY)
    world.at(8.0, partial(_set_slowness, world, 20.0))
    world.at(38.0, partial(_set_slowness, world, 1.0))


def _set_slowness(world: World, slowness: float) -> None:
    world.server.slowness = slowness


def _crowd(world: World) -> None:
    """Everybody wants all at once: every question takes a second, and is followed by the next. Then a tenth of the fleet crashes."""
    _rush(world)
    world.at(37.0, partial(_crash_tenth, world))


def _rush(world: World) -> None:
    world.at(5.0, partial(world.ask, RUSH, HEAVY))


def _half(world: World) -> None:
    """Half of the fleet wants all it can get, the others come twenty seconds later."""
    _rush(world)
    for each in world.sidecars[1::2]:
        each.demand = 0.001

    def wake() -> None:
        for each in world.sidecars:
            each.demand = 1.0

    world.at(25.0, wake)


def _foreign(world: World) -> None:
    """Everybody wants all, and others come and take a third of the server within ten seconds, one by one."""
    _rush(world)
    world.has_intruders = True
    third = world.server.limit // 3
    for number in range(third):
        world.at(20.0 + 10.0 * number / third, partial(world.intrude, number + 1))


SCENARIOS: Final = (
    Scenario("peace", 35.0, _peace),
    Scenario("ten-fold load", 52.0, _ramp, (15.0, 20.0)),
    Scenario("a tenth crashes", 42.0, _crash, (10.0,)),
    Scenario("all are deployed", 59.0, _deploy, (27.0,)),
    Scenario("slow server", 55.0, _slow, (8.0, 38.0), (8.0, 38.0)),
    Scenario("everybody wants all", 74.0, _crowd, (5.0, 42.0)),
    Scenario("half, then all", 60.0, _half, (5.0, 25.0)),
    Scenario("others come", 62.0, _foreign, (5.0, 30.0)),
)
