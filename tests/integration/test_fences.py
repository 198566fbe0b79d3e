"""Read your writes on real servers that replicate with GTIDs: where the fences let a session read, its write is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from random import Random
from time import monotonic
from typing import Any

import pytest

from bench.cluster import Cluster
from bench.servers import KINDS
from proxy.fences import SessionView
from proxy.monitor import Account, Monitor, Place, Way
from proxy.observation import Observation
from proxy.readers import ReaderTable
from proxy.topology import TopologyCore, TopologyState
from proxy.topology_actions import Action, ActionKind, ClusterKind, ServerRole

pytestmark = pytest.mark.timeout(120)

ROUNDS = 40


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param, readers=2) as started:
        started.writer.sql("CREATE TABLE app.counters (id INT PRIMARY KEY, n INT NOT NULL)")
        started.writer.sql("INSERT INTO app.counters VALUES (1, 0)")
        started.catch_up()
        yield started


class Pair:
    """The topology core and the table of readers, fed by the monitor."""

    def __init__(self, cluster: Cluster) -> None:
        self.core = TopologyCore(ClusterKind.REPLICATION, interval=0.05, panic_interval=0.02)
        # replicas without a heartbeat know their lag in whole seconds; here the fences are what matters
        self.table = ReaderTable(max_lag=10.0, interval=0.05)
        self.places = {}
        for name, server in zip(("w", "r1", "r2"), cluster.servers, strict=True):
            self.places[name] = Place(server.host, server.port)
            self.core.add(name)
            self.table.add(name)
        self.monitor = Monitor(
            self.core,
            Way(timeout=5.0),
            account=lambda: Account("root", ""),
            carry_out=self.carry_out,
            observe=self.observe,
        )
        self.looked = asyncio.Event()

    def carry_out(self, action: Action) -> None:
        now = monotonic()
        if action.kind is ActionKind.SET_ROLE:
            self.table.set_role(action.name, action.role is ServerRole.READER, action.epoch, now)
        elif action.kind is ActionKind.RAISE_EPOCH:
            self.table.raise_epoch(action.name, action.epoch)

    def observe(self, name: str, observation: Observation) -> None:
        writer = self.core.writer
        is_writer = writer is not None and writer.name == name and observation.is_writer
        self.table.observed(name, observation, is_writer)
        self.looked.set()

    async def next_look(self) -> None:
        self.looked.clear()
        async with asyncio.timeout(30):
            await self.looked.wait()


async def test_where_a_session_may_read_its_write_is_there(cluster: Cluster) -> None:
    random = Random(1)
    pair = Pair(cluster)
    pair.monitor.start(pair.places.items())
    with contextlib.ExitStack() as exits:
        clients: dict[str, Any] = {
            name: exits.enter_context(contextlib.closing(server.connect()))
            for name, server in zip(("w", "r1", "r2"), cluster.servers, strict=True)
        }

        def run(name: str, statement: str) -> Any:
            with clients[name].cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()

        holder = exits.enter_context(contextlib.closing(cluster.readers[0].connect()))

        def hold(statement: str) -> None:
            with holder.cursor() as cursor:
                cursor.execute(statement)

        try:
            while pair.core.state is not TopologyState.STABLE:
                await pair.next_look()
            view, refused, stale = SessionView(), 0, 0
            for number in range(1, ROUNDS + 1):
                if number % 8 == 1:
                    # one of the readers is kept from applying, and says for a while that it is not behind
                    await asyncio.to_thread(hold, "LOCK TABLES app.counters READ")
                await asyncio.to_thread(run, "w", f"UPDATE app.counters SET n = {number}")
                view.wrote(monotonic())
                stale += await asyncio.to_thread(run, "r1", "SELECT n FROM app.counters") != (number,)
                while (chosen := pair.table.choose(view, monotonic(), random.random)) is None:
                    refused += 1
                    await pair.next_look()
                (seen,) = await asyncio.to_thread(run, chosen.name, "SELECT n FROM app.counters")
                view.read_on(chosen.name, pair.table.readers[chosen.name].epoch, monotonic())
                assert seen == number, f"{chosen.name} shows {seen} after {number} was written"
                if number % 8 == 5:
                    await asyncio.to_thread(hold, "UNLOCK TABLES")
            # there was something to be kept from
            assert refused > 0 and stale >= ROUNDS // 8
        finally:
            await pair.monitor.stop()
