"""The monitor on real servers that replicate, switch and die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from bench.cluster import Cluster
from bench.servers import HOST, KINDS, PASSWORD, USER, Server, free_port
from config.sections import ServerTls
from proxy import tls
from proxy.monitor import Account, LookFailed, Monitor, Place, Watch, Way
from proxy.observation import Observation
from proxy.topology import TopologyCore, TopologyState
from proxy.topology_actions import Action, ActionKind, Cause, ClusterKind, Event, ServerRole, Signal

pytestmark = pytest.mark.timeout(120)

KINDS_HERE = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
both = pytest.mark.parametrize("kind", KINDS_HERE)
REPLICA = {"mariadb": "SLAVE", "mysql": "REPLICA"}
ROOT = Account("root", "")


class Shell:
    """What a shell would do, written down."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.observations: dict[str, Observation] = {}
        self.changed = asyncio.Event()

    def carry_out(self, action: Action) -> None:
        self.actions.append(action)
        self.changed.set()

    def observe(self, name: str, observation: Observation) -> None:
        self.observations[name] = observation
        self.changed.set()

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def events(self) -> list[Event]:
        return [action.event for action in self.actions if action.event is not None]

    def kinds(self) -> list[ActionKind]:
        return [action.kind for action in self.actions]


@asynccontextmanager
async def monitoring(
    servers: dict[str, Server], account: Account = ROOT, **options: Any
) -> AsyncIterator[tuple[Monitor, TopologyCore, Shell]]:
    """Monitor, core and shell for these servers."""
    core = TopologyCore(ClusterKind.REPLICATION, interval=0.2, panic_interval=0.05)
    places = [(name, Place(server.host, server.port)) for name, server in servers.items()]
    for name, place in places:
        core.add(name, address=(place.host, place.port))
    shell = Shell()
    monitor = Monitor(
        core,
        Way(timeout=2.0, **options),
        account=lambda: account,
        carry_out=shell.carry_out,
        observe=shell.observe,
    )
    monitor.start(places)
    try:
        yield monitor, core, shell
    finally:
        await monitor.stop()


def named(cluster: Cluster) -> dict[str, Server]:
    return {"w": cluster.writer, "r1": cluster.readers[0]}


@pytest.fixture(scope="module", params=KINDS_HERE)
def pair(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A writer and its reader, of tests that leave them as they are."""
    with Cluster(request.param, readers=1) as cluster:
        yield cluster


def promote(server: Server) -> None:
    word = REPLICA[server.kind]
    server.sql(f"STOP {word}")
    server.sql(f"RESET {word} ALL")
    if server.kind == "mysql":
        server.sql("SET GLOBAL super_read_only = 0")
    server.sql("SET GLOBAL read_only = 0")


def is_stable(core: TopologyCore, writer: str) -> bool:
    return core.state is TopologyState.STABLE and core.writer is not None and core.writer.name == writer


@both
async def test_roles_are_learned_and_a_planned_switch_is_followed(kind: str) -> None:
    with Cluster(kind, readers=1) as cluster:
        async with monitoring(named(cluster)) as (monitor, core, shell):
            await shell.until(lambda: is_stable(core, "w"))
            await shell.until(lambda: set(shell.observations) == {"w", "r1"})
            assert {name: member.role for name, member in core.members.items()} == {
                "w": ServerRole.WRITER,
                "r1": ServerRole.READER,
            }
            assert shell.observations["w"].replication == ()
            # MySQL says 1 for a moment after it has applied everything
            await shell.until(lambda: shell.observations["r1"].lag == 0.0)
            await asyncio.to_thread(cluster.writer.sql, "CREATE TABLE app.t (id INT PRIMARY KEY)")
            await shell.until(
                lambda: shell.observations["r1"].position == shell.observations["w"].position != ""
            )

            await asyncio.to_thread(cluster.writer.sql, "SET GLOBAL read_only = 1")
            await shell.until(lambda: core.state is TopologyState.SWITCHING)
            assert core.paused == {ServerRole.WRITER}
            await asyncio.to_thread(promote, cluster.readers[0])
            await shell.until(lambda: is_stable(core, "r1"))
            assert core.members["w"].role is ServerRole.READER and not core.paused and core.epoch == 2
            # one connection each, kept
            assert [watch.connects for watch in monitor.watches.values()] == [1, 1]


@both
async def test_a_writer_that_is_killed_is_replaced_and_comes_back(kind: str) -> None:
    with Cluster(kind, readers=1) as cluster:
        async with monitoring(named(cluster)) as (_, core, shell):
            await shell.until(lambda: is_stable(core, "w"))
            await asyncio.to_thread(cluster.writer.halt, by_force=True)
            await shell.until(lambda: core.paused == {ServerRole.WRITER})
            assert core.members["w"].cause is Cause.REFUSED
            await asyncio.to_thread(promote, cluster.readers[0])
            await shell.until(lambda: is_stable(core, "r1"))
            assert [moment.event for moment in core.timelines.finished[-1]][-1] is Event.SWITCHED
            # the old one comes back, and says that it may be written
            await asyncio.to_thread(cluster.writer.start)
            await shell.until(lambda: bool(core.problem))
            assert core.problem == "w may be written beside r1: not used until read-only"
            assert is_stable(core, "r1") and core.members["w"].role is ServerRole.NONE
            assert Event.RESTARTED in shell.events() or core.members["w"].epoch > 1


async def test_a_session_that_is_told_read_only_makes_the_writer_be_asked_at_once(pair: Cluster) -> None:
    async with monitoring(named(pair)) as (monitor, core, shell):
        await shell.until(lambda: is_stable(core, "w"))
        monitor.suspected("w", Signal.READ_ONLY_ERROR)
        assert core.paused
        await shell.until(lambda: Event.CONFIRMED in shell.events())
        assert not core.paused and is_stable(core, "w")


async def test_an_account_that_may_not_ask_for_replication_still_finds_the_writer(pair: Cluster) -> None:
    await asyncio.to_thread(pair.writer.sql, "CREATE USER plain@'%' IDENTIFIED BY 'secret'")
    await asyncio.to_thread(pair.catch_up)
    servers = named(pair)
    async with monitoring(servers, Account("plain", "secret")) as (_, core, shell):
        await shell.until(lambda: is_stable(core, "w") and "r1" in shell.observations)
        reader = shell.observations["r1"]
        assert reader.replication is None and reader.lag is None
        assert "its lag is not known: Access denied" in reader.remarks[0]


async def test_a_heartbeat_knows_more_than_whole_seconds(pair: Cluster) -> None:
    servers = named(pair)
    async with monitoring(servers, heartbeat="SELECT 0.125") as (monitor, core, shell):
        await shell.until(lambda: is_stable(core, "w") and "r1" in shell.observations)
        assert shell.observations["r1"].lag == 0.125 and shell.observations["w"].heartbeat is None
        watch = monitor.watches["r1"]
        await shell.until(lambda: watch.looks >= 8)
        # two statements a look and no more: replication is asked for at every other one
        assert watch.statements <= 2.5 * watch.looks + 2


# Bad input


async def look(
    server: Server | None, account: Account = ROOT, place: Place | None = None, **options: Any
) -> Any:
    where = place or Place(server.host, server.port)  # type: ignore[union-attr]
    watch = Watch("x", where, Way(timeout=2.0, **options))
    try:
        return await watch.look(ClusterKind.REPLICATION, account)
    finally:
        watch.close()


async def test_an_account_of_its_own_with_a_password(server: Server) -> None:
    assert (await look(server, Account(USER, PASSWORD))).is_writer
    assert (await look(server, Account(USER, PASSWORD), Place(socket=server.socket))).is_writer


async def test_a_wrong_password_is_told_as_the_server_does(server: Server) -> None:
    with pytest.raises(LookFailed, match="1045 Access denied for user 'app'") as caught:
        await look(server, Account(USER, "wrong"))
    assert caught.value.cause is Cause.DENIED


async def test_aurora_is_told_from_other_servers(server: Server) -> None:
    watch = Watch("x", Place(HOST, server.port), Way(timeout=2.0))
    assert await watch.find_kind(ROOT) is ClusterKind.REPLICATION
    watch.close()


async def test_asking_a_server_that_is_no_aurora_for_auroras_variables(server: Server) -> None:
    watch = Watch("x", Place(HOST, server.port), Way(timeout=2.0))
    with pytest.raises(LookFailed, match="aurora_server_id") as caught:
        await watch.look(ClusterKind.AURORA, ROOT)
    assert caught.value.cause is Cause.NOT_UNDERSTOOD


async def test_nobody_listens_there() -> None:
    with pytest.raises(LookFailed) as caught:
        await look(None, place=Place(HOST, free_port()))
    assert caught.value.cause is Cause.REFUSED


@pytest.mark.parametrize("mode", ["disabled", "preferred", "required"])
def test_the_way_to_a_server_is_that_of_backends_on_the_loop_that_fanin_uses(
    mysql: Server, mode: str
) -> None:
    settings = ServerTls.model_validate({"mode": mode})
    way = Way(5.0, tls.server_side(settings), tls.demand_on_servers(settings) == "required")

    async def ask() -> list[Any]:
        watch = Watch("x", Place(HOST, mysql.port), way)
        await watch.look(ClusterKind.REPLICATION, Account(USER, PASSWORD))
        _, rows = await watch._ask("SHOW STATUS LIKE 'Ssl_cipher'")
        watch.close()
        await asyncio.sleep(0)
        return rows

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ((_, cipher),) = runner.run(ask())
    assert bool(cipher) is (mode != "disabled")
