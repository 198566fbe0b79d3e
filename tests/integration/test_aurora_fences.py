"""Read your writes on the Aurora emulator: readers really lag, and only their rows in the writer's table tell how far."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from random import Random
from time import monotonic
from typing import Any

import pytest

from bench.servers import PASSWORD, USER
from proxy.fences import SessionView
from proxy.monitor import Account, Monitor, Place, Way
from proxy.observation import Observation
from proxy.readers import ReaderTable
from proxy.topology import TopologyCore
from proxy.topology_actions import Action, ActionKind, ClusterKind, ServerRole
from tests.fakes.aurora.cluster import Aurora

pytestmark = pytest.mark.timeout(120)

SESSIONS = 4
STEPS = 240


@pytest.fixture(
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("mariadb", "mysql")]
)
def aurora(request: pytest.FixtureRequest) -> Iterator[Aurora]:
    with Aurora(request.param) as started:
        started.writer.server.sql("CREATE TABLE app.counters (id INT PRIMARY KEY, n INT NOT NULL)")
        started.writer.server.sql(
            f"INSERT INTO app.counters VALUES {', '.join(f'({i}, 0)' for i in range(SESSIONS))}"
        )
        started.catch_up()
        yield started


class Watched:
    """Topology core and table of readers, fed by the monitor."""

    def __init__(self, aurora: Aurora) -> None:
        self.core = TopologyCore(ClusterKind.AURORA, interval=0.2, panic_interval=0.05)
        self.table = ReaderTable(max_lag=5.0, interval=0.2)
        self.places = {name: Place(each.host, each.port) for name, each in aurora.instances.items()}
        for name in self.places:
            self.core.add(name)
            self.table.add(name)
        self.monitor = Monitor(
            self.core,
            Way(timeout=5.0),
            account=lambda: Account(USER, PASSWORD),
            carry_out=self.carry_out,
            observe=self.observe,
            lag_interval=0.05,
        )
        self.looked = asyncio.Event()

    def carry_out(self, action: Action) -> None:
        if action.kind is ActionKind.SET_ROLE:
            self.table.set_role(action.name, action.role is ServerRole.READER, action.epoch, monotonic())
        elif action.kind is ActionKind.RAISE_EPOCH:
            self.table.raise_epoch(action.name, action.epoch)

    def observe(self, name: str, observation: Observation) -> None:
        writer = self.core.writer
        is_writer = writer is not None and writer.name == name and observation.is_writer
        self.table.observed(name, observation, is_writer)
        self.looked.set()

    async def until_known(self) -> None:
        async with asyncio.timeout(30):
            while not all(
                reader.gate.is_eligible(monotonic())
                for reader in self.table.readers.values()
                if reader.has_role
            ) or not any(reader.has_role for reader in self.table.readers.values()):
                self.looked.clear()
                await self.looked.wait()


class Session:
    """Writes its own counter and reads it, where it may."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.view = SessionView()
        self.written = 0


async def test_nobody_misses_a_write_or_goes_back(aurora: Aurora) -> None:
    random = Random(2)
    watched = Watched(aurora)
    for reader, lag in zip(aurora.readers, (0.05, 0.2), strict=True):
        aurora.set_lag(reader.name, lag, lag)
    watched.monitor.start(watched.places.items())
    sessions = [Session(number) for number in range(SESSIONS)]
    on_readers = on_writer = stale = 0
    with contextlib.ExitStack() as exits:
        clients: dict[str, Any] = {
            name: exits.enter_context(contextlib.closing(each.server.connect()))
            for name, each in aurora.instances.items()
        }

        def run(name: str, statement: str) -> Any:
            with clients[name].cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()

        writer = aurora.writer.name
        try:
            await watched.until_known()
            watched.monitor.hurry(True)
            for _ in range(STEPS):
                session = random.choice(sessions)
                where = f"app.counters WHERE id = {session.number}"
                if random.random() < 0.1:
                    session.written += 1
                    statement = f"UPDATE app.counters SET n = {session.written} WHERE id = {session.number}"
                    await asyncio.to_thread(run, writer, statement)
                    session.view.wrote(monotonic())
                    (shown,) = await asyncio.to_thread(run, aurora.readers[1].name, f"SELECT n FROM {where}")
                    stale += shown != session.written
                chosen = watched.table.choose(session.view, monotonic(), random.random)
                name = writer if chosen is None else chosen.name
                (shown,) = await asyncio.to_thread(run, name, f"SELECT n FROM {where}")
                assert shown == session.written, f"{name} shows {shown} after {session.written}"
                if chosen is None:
                    session.view.read_on_writer(monotonic())
                    on_writer += 1
                else:
                    session.view.read_on(name, watched.table.readers[name].epoch, monotonic())
                    on_readers += 1
                await asyncio.sleep(random.random() * 0.04)
        finally:
            await watched.monitor.stop()
    print(f"{on_readers} reads on readers, {on_writer} on the writer, {stale} times a reader was stale")
    # there was something to be kept from, and readers were of use all the same
    assert stale > 0 and on_readers > 0 and on_writer > 0
