"""Monitor and topology core on the Aurora emulator: found from one name, followed through all that Aurora does to its clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from bench.servers import PASSWORD, USER
from proxy.monitor import Account, Monitor, Place, Way
from proxy.observation import Observation
from proxy.topology import TopologyCore, TopologyState
from proxy.topology_actions import Action, ActionKind, ClusterKind, ServerRole
from tests.fakes.aurora.cluster import FOREVER, Aurora, Drops
from tests.fakes.toxics import ToxicProxy

pytestmark = pytest.mark.timeout(120)

SEED = "cluster"
PATIENCE = 30.0


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("mariadb", "mysql")],
)
def running(request: pytest.FixtureRequest) -> Iterator[Aurora]:
    with Aurora(request.param) as started:
        yield started


@pytest.fixture
def aurora(running: Aurora) -> Iterator[Aurora]:
    yield running
    running.settle()
    for name, instance in running.instances.items():
        if not instance.is_up:
            running.revive(name)
        running.set_lag(name, 0)
        running.set_uptime(name, None)
    running.catch_up()


class Seen:
    """Monitor and core, and what they have said. The cluster's name is a proxy: what it leads to is its target."""

    def __init__(self, aurora: Aurora, name: ToxicProxy) -> None:
        self.aurora = aurora
        self.name = name
        self.actions: list[Action] = []
        self.observations: dict[str, Observation] = {}
        self.core = TopologyCore(
            ClusterKind.AURORA, interval=0.2, panic_interval=0.05, patience=1.0, discovers=True
        )
        self.changed = asyncio.Event()
        self.core.add(SEED, address=(name.host, name.port), is_seed=True)
        self.monitor = Monitor(
            self.core,
            Way(timeout=2.0),
            account=lambda: Account(USER, PASSWORD),
            carry_out=self._carry_out,
            observe=self._observe,
            place_of=self._place_of,
        )

    def _place_of(self, server_id: str) -> Place | None:
        instance = self.aurora.instances.get(server_id)
        return None if instance is None else Place(instance.host, instance.port)

    def _carry_out(self, action: Action) -> None:
        self.actions.append(action)
        self.changed.set()

    def _observe(self, name: str, observation: Observation) -> None:
        self.observations[name] = observation
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def is_stable(self, writer: str) -> bool:
        found = self.core.writer
        return self.core.state is TopologyState.STABLE and found is not None and found.server_id == writer

    def roles(self) -> dict[str, ServerRole]:
        return {each.server_id: each.role for each in self.core.members.values() if not each.is_seed}

    def is_complete(self) -> bool:
        """Whether every instance has the role that it has."""
        wanted = {
            name: ServerRole.WRITER if instance is self.aurora.writer else ServerRole.READER
            for name, instance in self.aurora.instances.items()
        }
        return self.roles() == wanted and self.is_stable(self.aurora.writer.name)

    def epoch(self, server_id: str) -> int:
        return next(each.epoch for each in self.core.members.values() if each.server_id == server_id)

    def writers(self) -> int:
        """How many have been believed to be the writer, one after the other."""
        return self.core.epoch


@asynccontextmanager
async def watching(aurora: Aurora) -> AsyncIterator[Seen]:
    """From the moment when all is known."""
    async with ToxicProxy(aurora.writer.host, aurora.port) as name:
        seen = Seen(aurora, name)
        seen.monitor.start([(SEED, Place(name.host, name.port))])
        try:
            await seen.until(seen.is_complete)
            yield seen
        finally:
            await seen.monitor.stop()


async def test_all_instances_are_found_from_the_name_of_the_cluster(aurora: Aurora) -> None:
    async with watching(aurora) as seen:
        assert seen.writers() == 1
        reader = aurora.readers[0].name
        await asyncio.to_thread(aurora.report_lag, reader, 0.75)

        def told() -> bool:
            row = seen.observations[aurora.writer.name].row_of(reader)
            return row is not None and row.lag == 0.75

        await seen.until(told)
        await asyncio.to_thread(aurora.report_lag, reader, None)


async def test_name_of_a_reader_is_as_good_a_beginning(aurora: Aurora) -> None:
    async with ToxicProxy(aurora.readers[0].host, aurora.port) as name:
        seen = Seen(aurora, name)
        seen.monitor.start([(SEED, Place(name.host, name.port))])
        await seen.until(seen.is_complete)
        await seen.monitor.stop()


@pytest.mark.parametrize("drops", list(Drops))
async def test_failover_is_followed_past_stale_tables_and_a_late_name(aurora: Aurora, drops: Drops) -> None:
    async with watching(aurora) as seen:
        old, new = aurora.writer, aurora.readers[0]
        await asyncio.to_thread(aurora.failover, new.name, gap=0.3, stale=FOREVER, dns=FOREVER, drops=drops)
        await seen.until(lambda: seen.is_stable(new.name))
        assert seen.writers() == 2
        assert seen.roles()[old.name] is not ServerRole.WRITER
        # the stale copies and the name still speak for the old one; nothing comes of it
        looks = len(seen.actions)
        for _ in range(3):
            observed = dict(seen.observations)
            await seen.until(lambda observed=observed: seen.observations[new.name] is not observed[new.name])  # type: ignore[misc]
        assert not [each for each in seen.actions[looks:] if each.kind is ActionKind.PAUSE]
        await asyncio.to_thread(aurora.settle)
        seen.name.target = (new.host, new.port)
        seen.name.cut()
        await seen.until(seen.is_complete)
        assert seen.writers() == 2
        paused = [each.kind for each in seen.actions if each.kind in (ActionKind.PAUSE, ActionKind.RESUME)]
        assert paused[-1] is ActionKind.RESUME and not seen.core.paused


async def test_writer_that_dies_is_replaced(aurora: Aurora) -> None:
    async with watching(aurora) as seen:
        old, new = aurora.writer, aurora.readers[0]
        await asyncio.to_thread(aurora.crash, old.name)
        await seen.until(lambda: seen.core.paused == {ServerRole.WRITER})
        await asyncio.to_thread(aurora.failover, new.name)
        seen.name.target = (new.host, new.port)
        await seen.until(lambda: seen.is_stable(new.name))
        await asyncio.to_thread(aurora.revive, old.name)
        await seen.until(seen.is_complete)
        assert seen.writers() == 2


async def test_restart_that_keeps_connections_raises_the_epoch(aurora: Aurora) -> None:
    name = aurora.readers[0].name
    aurora.set_uptime(name, 5000)
    async with watching(aurora) as seen:
        await seen.until(lambda: name in seen.observations)
        before = seen.epoch(name)
        await asyncio.to_thread(aurora.restart, name)
        await seen.until(lambda: seen.epoch(name) > before)


async def test_instances_come_and_go(aurora: Aurora) -> None:
    async with watching(aurora) as seen:
        name = await asyncio.to_thread(aurora.add_instance)
        await seen.until(seen.is_complete)
        assert name in seen.roles()
        await asyncio.to_thread(aurora.remove_instance, name, lingers=False)
        await seen.until(lambda: name not in seen.roles())
        assert seen.is_stable(aurora.writer.name)
