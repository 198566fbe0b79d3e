"""What happens to a fleet, and what is measured of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bench.fleet.events import Events
from bench.fleet.model import Load, Sidecar, SimServer, Tally, usable
from bench.fleet.policies import Policy

SAMPLE: Final = 0.25
"""Seconds between two samples."""
WINDOW: Final = 5.0
"""Seconds over which shares are compared."""


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


MINTED: Final = Profile(300, 60, 16000, 60, 18000 / 23000, ((20 / 23, 0.002), (3 / 23, 0.005)))
"""Minted on Cyber Monday 2019: 300 application servers, 18,000 connections, 20,000 SELECT/s and 3,000 DML/s."""


@dataclass
class World:
    """A simulation that is under way."""

    profile: Profile
    policy: Policy
    seed: int
    events: Events = field(init=False)
    server: SimServer = field(init=False)
    load: Load = field(init=False)
    tally: Tally = field(init=False)
    sidecars: list[Sidecar] = field(init=False)

    def __post_init__(self) -> None:
        profile = self.profile
        self.events = Events(self.seed)
        self.server = SimServer(profile.limit)
        self.load = Load(profile.think, profile.service)
        self.tally = Tally()
        self.sidecars = [
            Sidecar(self.events, self.server, self.load, self.tally, profile.clients, profile.size)
            for _ in range(profile.sidecars)
        ]
        self.policy.begin(self.events, self.server, self.sidecars)

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


@dataclass(frozen=True)
class Sample:
    """One moment. `share`: how alike sidecars with the same demand were served in the last WINDOW (Jain's index)."""

    at: float
    connected: int
    foreign: int
    opened: int
    refused: int
    share: float


@dataclass(frozen=True)
class Course:
    """What came of it. Waits in microseconds."""

    scenario: str
    policy: str
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
    """A name, how long it takes, and what is done to the world."""

    name: str
    seconds: float
    begin: Callable[[World], None]

    def play(
        self, profile: Profile, policy: Policy, seed: int, on_sample: Callable[[Sample], None]
    ) -> Course:
        """From an idle server on."""
        world = World(profile, policy, seed)
        self.begin(world)
        samples: list[Sample] = []
        shares = _Shares(world)
        peak = 0
        for number in range(1, round(self.seconds / SAMPLE) + 1):
            world.events.run(number * SAMPLE)
            server = world.server
            peak = max(peak, server.peak)
            server.peak = server.connected
            sample = Sample(
                world.events.now,
                server.connected,
                server.foreign,
                server.opened,
                server.refused,
                shares.now(),
            )
            samples.append(sample)
            on_sample(sample)
        waits = world.tally.waits
        return Course(
            self.name,
            policy.name,
            tuple(samples),
            waits.total,
            world.tally.errors,
            world.server.refused,
            peak / usable(profile.limit),
            waits.percentile(50),
            waits.percentile(99),
            waits.maximum,
        )


class _Shares:
    """Of what was served in the last WINDOW."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._past: list[list[float]] = []

    def now(self) -> float:
        busy = [each.busy for each in self._world.sidecars]
        self._past.append(busy)
        if len(self._past) <= WINDOW / SAMPLE:
            return 1.0
        before = self._past.pop(0)
        most = max(each.demand for each in self._world.sidecars)
        served = [
            after - earlier
            for after, earlier, each in zip(busy, before, self._world.sidecars, strict=True)
            if each.demand == most and each.is_up
        ]
        return jain(served)


def jain(shares: Sequence[float]) -> float:
    """How alike these are: Jain's index, 1 when they are the same, and when there are none."""
    squares = sum(each * each for each in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


# The scenarios


def _peace(world: World) -> None:
    del world


def _ramp(world: World) -> None:
    """Ten times the load within ten seconds, and back."""
    for second in range(10):
        world.at(10.0 + second, partial(_set_load, world, float(second + 1)))
    world.at(40.0, partial(_set_load, world, 1.0))


def _set_load(world: World, factor: float) -> None:
    world.load.factor = factor


def _crash(world: World) -> None:
    """A tenth of the fleet at once, gone for five seconds."""
    _set_load(world, 5.0)

    def crash() -> None:
        for each in world.sidecars[::10]:
            world.restart(each, 5.0)

    world.at(20.0, crash)


def _deploy(world: World) -> None:
    """All of them within twenty seconds, each gone for two."""
    _set_load(world, 5.0)
    for number, each in enumerate(world.sidecars):
        world.at(15.0 + 20.0 * number / len(world.sidecars), partial(world.restart, each, 2.0))


def _slow(world: World) -> None:
    """The server takes twenty times as long for everything, for thirty seconds."""
    _set_load(world, 3.0)
    world.at(15.0, partial(_set_slowness, world, 20.0))
    world.at(45.0, partial(_set_slowness, world, 1.0))


def _set_slowness(world: World, slowness: float) -> None:
    world.server.slowness = slowness


def _crowd(world: World) -> None:
    """Everybody wants all at once: the server takes a second for each question."""
    world.at(10.0, partial(_set_slowness, world, 400.0))


def _foreign(world: World) -> None:
    """The same, and others come and take a third of the server."""
    _crowd(world)
    for second in range(10):
        world.at(30.0 + second, partial(_set_foreign, world, world.server.limit * (second + 1) // 30))
    world.at(60.0, partial(_set_foreign, world, 0))


def _set_foreign(world: World, count: int) -> None:
    world.server.foreign = count


def _half(world: World) -> None:
    """Half of the fleet wants all it can get, the others come half a minute later."""
    _crowd(world)
    for each in world.sidecars[::2]:
        each.demand = 0.01

    def wake() -> None:
        for each in world.sidecars:
            each.demand = 1.0

    world.at(40.0, wake)


SCENARIOS: Final = (
    Scenario("peace", 30.0, _peace),
    Scenario("ten-fold load", 60.0, _ramp),
    Scenario("a tenth crashes", 40.0, _crash),
    Scenario("all are deployed", 50.0, _deploy),
    Scenario("slow server", 70.0, _slow),
    Scenario("everybody wants all", 60.0, _crowd),
    Scenario("half, then all", 80.0, _half),
    Scenario("others come", 80.0, _foreign),
)
