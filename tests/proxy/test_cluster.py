"""What becomes of pools, of those who wait and of what they have parked when the servers say who is what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from config.cluster import Topology
from config.sections import Role, Upstream
from config.settings import Settings
from protocol.auth import Verifier
from protocol.packets import build_err
from proxy import monitor_queries as queries
from proxy.cluster import Cluster
from proxy.credentials import Credential
from proxy.endpoint import LOSSES, Endpoint
from proxy.looking import NO_ACCOUNT
from proxy.monitor import PATIENT, Account, LookFailed
from proxy.observation import ReplicaRow, ReplicationStatus
from proxy.occupancy import Occupancy
from proxy.reasons import CloseReason
from proxy.tasks import spawn
from proxy.topology_actions import Cause, ClusterKind, Signal
from tests.fakes.cluster import FOLLOWS, NOBODY, Lab
from tests.fakes.placing import reader_end
from tests.fakes.reading import IN_READ_ONLY
from tests.fakes.scenes import in_transaction, prepared_by
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, error, execute, ok, query
from tests.fakes.wire import rows as result
from tests.fakes.world import Log, make_shared
from tests.proxy.conftest import MakeWorld
from tests.proxy.test_monitor import Server, rows, serving

SELECT = query("SELECT 1")
SLOW = (ReplicationStatus("writer", "writer", 3306, True, True, 7.0, ""),)


def test_all_is_as_configured_until_the_servers_were_heard(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=2))
    assert lab.cluster.state() == {"kind": "not known yet", "reason": ""}
    lab.begins()
    assert (lab.roles(), lab.cluster.is_paused) == ("writer | reader-1 reader-2 | ", False)
    assert {lab.shared.choose(True).name for _ in range(2)} == {"reader-1", "reader-2"}
    lab.look("reader-1")
    assert (lab.roles(), lab.cluster.is_paused) == ("writer | reader-1 reader-2 | ", False)


def test_what_the_servers_confirm_costs_no_backend(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world)
    client = world.client()
    client.sends(SELECT)
    world.backend().answers(ok())
    lab.stable()
    assert (lab.roles(), world.pool()) == ("writer | reader-1 | ", "1 idle")
    assert world.shared.choose(True).name == "reader-1"


def test_configured_roles_that_are_wrong_are_put_right(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1)).begins()
    lab.look("writer")
    assert lab.cluster.is_paused
    lab.look("reader-1", is_writer=True)
    assert (lab.roles(), lab.cluster.is_paused) == ("reader-1 | writer | ", False)
    assert (lab.world.writer.role, lab.shared.writers[0].role) == ("reader", "writer")


def test_servers_that_cannot_be_asked_are_used_as_configured(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1)).begins()
    for name in ("writer", "reader-1"):
        lab.fails(name, Cause.DENIED)
    lab.world.tick(5)
    lab.fails("writer", Cause.DENIED)
    state: Any = lab.cluster.state()
    assert state["problem"].startswith(
        "no server says that it is the writer: writer (denied), reader-1 (denied)"
    )
    assert (lab.roles(), lab.cluster.is_paused) == ("writer | reader-1 | ", False)
    assert state["members"][0]["trouble"] == "denied: "


def test_a_server_that_is_configured_twice_says_why_it_is_not_used(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=2)).stable()
    lab.look("reader-2", is_writer=True, server_id="writer")
    state: Any = lab.cluster.state()
    found = [(each["role"], each["trouble"]) for each in state["members"]]
    expected = "is the same server as writer, so it is not used: configure it once"
    assert found == [("writer", ""), ("reader", ""), ("none", expected)]


def test_what_a_server_may_not_be_asked_is_told_and_logged_once(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(make_world(readers=1)).stable()
    remark = "its lag is not known: you need REPLICATION CLIENT"
    for _ in range(2):
        lab.look("reader-1", replication=None, remarks=(remark,))
    state: Any = lab.cluster.state()
    assert [each["trouble"] for each in state["members"]] == ["", remark]
    assert capsys.readouterr().out.count(remark) == 1
    lab.look("reader-1")
    state = lab.cluster.state()
    assert state["members"][1]["trouble"] == ""


def test_a_reader_that_does_not_lead_to_the_writer_gets_nothing(
    make_world: MakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(make_world(readers=2)).stable()
    lab.look("writer", is_writer=False, replication=NOBODY)
    lab.look("reader-1", is_writer=True)
    for _ in range(2):
        lab.look("reader-2")
    state: Any = lab.cluster.state()
    found = {each["name"]: each for each in state["members"]}
    assert (state["writer"], found["reader-2"]["role"]) == ("reader-1", "reader")
    assert found["reader-2"]["why"] == "it is not seen to replicate from the writer"
    assert not found["reader-2"]["is_eligible"]
    lab.look("reader-2", replication=(replace(FOLLOWS[0], source_id="reader-1"),))
    state = lab.cluster.state()
    assert state["members"][2]["is_eligible"]
    logged = capsys.readouterr().out
    assert (
        logged.count("is not seen to replicate") == 2
        and logged.count("replicates from the writer again") == 1
    )


@pytest.mark.parametrize("is_writer", [True, False])
def test_without_one_writer_clients_wait(make_world: MakeWorld, is_writer: bool) -> None:
    lab = Lab(make_world(readers=1)).begins()
    lab.look("writer", is_writer=is_writer, replication=NOBODY)
    lab.look("reader-1", is_writer=is_writer, replication=NOBODY)
    state: Any = lab.cluster.state()
    assert lab.cluster.is_paused and state["state"] == "unknown" and "writer" in state["problem"]
    lab.look("writer", is_writer=True)
    lab.look("reader-1")
    assert (lab.roles(), lab.cluster.is_paused) == ("writer | reader-1 | ", False)


def test_clients_wait_while_there_is_no_writer_and_run_on_the_next(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    idle, client, late = world.client(), world.client(), world.client()
    for each in (idle, client):
        each.sends(SELECT)
        world.backend().got()
        world.backend().answers(ok())
        each.got()
    old = world.backend()
    lab.look("writer")
    assert lab.cluster.is_paused
    client.sends(SELECT)
    late.sends(SELECT)
    # longer than acquire_timeout
    world.tick(20)
    client.gets_nothing()
    assert world.pool() == "1 idle, 2 waiting"
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    assert (lab.roles(), lab.cluster.is_paused) == ("reader-1 | writer | ", False)
    world.tick(0.1)
    assert old.is_closed and world.pool() == ""
    for end, each in zip(world.reader_servers[0].ends, (client, late), strict=True):
        end.gets(SELECT)
        end.answers(ok())
        each.gets(ok())
    idle.gets_nothing()


def test_nobody_waits_for_the_answer_of_a_writer_that_is_replaced_because_it_vanished(
    make_world: MakeWorld,
) -> None:
    world = make_world(readers=1, pool_size=3)
    lab = Lab(world).stable()
    client, reading, holder = world.client(), world.client(), world.client()
    in_transaction(world, holder)
    client.sends(query("INSERT INTO t VALUES (1)"))
    reading.sends(query("SELECT a FROM t"))
    lab.fails("writer", Cause.TIMEOUT)
    lab.world.tick(1)
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    assert lab.roles() == "reader-1 |  | writer"
    client.gets_error(2013, "another server has become the writer in place of writer")
    assert not holder.is_closed and not reading.is_closed
    holder.sends(query("INSERT INTO t VALUES (2)"))
    holder.gets_error(1213)
    world.reader_servers[0].last.gets(query("SELECT a FROM t"))
    assert world.pool() == ""


def test_waiting_for_a_writer_ends_after_the_hold(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    lab.look("writer")
    client = world.client()
    client.sends(SELECT)
    world.tick(29.9)
    client.gets_nothing()
    world.tick(0.2)
    client.gets_error(2003, "no server was the writer for 30.1 s")


def test_who_waits_for_a_backend_when_the_writer_is_lost_waits_for_the_hold_too(
    make_world: MakeWorld,
) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    holder, client = world.client(), world.client()
    holder.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    client.sends(SELECT)
    world.tick(4)
    lab.look("writer")
    world.tick(4)
    client.gets_nothing()
    # a false alarm: who waited gets the backend
    lab.look("writer", is_writer=True)
    assert not lab.cluster.is_paused
    holder.sends(query("COMMIT"))
    world.backend().got()
    world.backend().answers(ok())
    world.backend().gets(SELECT)


def test_a_login_waits_for_the_next_writer_as_well(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    lab.look("writer")
    client = world.connects()
    client.logs_in(user=b"other", password=b"other")
    assert client.connected is None
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    world.loop.settle()
    assert client.connected is not None
    assert len(world.reader_servers[0].ends) == 1 and world.server.ends == []


def test_a_reader_that_is_dead_has_no_role(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    lab = Lab(world).stable()
    lab.fails("reader-1")
    assert (lab.roles(), lab.shared.others[0].role) == ("writer | reader-2 | reader-1", "none")
    assert world.shared.choose(True).name == "reader-2"
    lab.fails("reader-2")
    assert world.shared.choose(True).name == "writer"
    lab.look("reader-1")
    assert lab.roles() == "writer | reader-1 | reader-2"


def test_who_waits_for_a_server_that_does_not_answer_is_told_so(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world)
    assert lab.cluster.trouble_of(world.writer) == ""
    lab.stable()
    in_transaction(world, world.client())
    client = world.client()
    for cause, text in (
        (Cause.LIMIT, "Shorten transactions"),
        (Cause.TIMEOUT, "writer does not answer (timeout: )"),
    ):
        client.sends(query("INSERT INTO t VALUES (1)"))
        lab.fails("writer", cause)
        world.tick(5.1)
        client.gets_error(1040, text)


def test_nobody_waits_for_the_answer_of_a_reader_that_has_vanished(make_world: MakeWorld) -> None:
    world = make_world(readers=2, pool_size=5)
    lab = Lab(world).stable()
    assert lab.cluster.placing is not None
    lab.cluster.placing.rules.autocommit_reads = True
    lab.look("reader-2", replication=SLOW)
    reading, holder, fresh, parking = [world.client(capabilities=NEW_CLIENT) for _ in range(4)]
    begin, read = query("START TRANSACTION READ ONLY"), query("SELECT a FROM t")
    servers = []
    for client in (holder, fresh):
        client.sends(begin)
        servers.append(reader_end(world))
        servers[-1].answers(ok(IN_READ_ONLY))
    holder.sends(read)
    servers[0].answers(result(b"1", status=IN_READ_ONLY))
    fresh.sends(read)
    parking.sends(read)
    reader_end(world).answers(ok(warnings=1))
    for client in (holder, fresh, parking):
        client.got()
    reading.sends(read)
    lab.fails("reader-1", Cause.LOST)
    # what it has left there is read, before it goes on elsewhere
    parking.sends(read)
    world.tick(1.9)
    lab.fails("reader-1", Cause.LOST)
    for client in (reading, holder, fresh, parking):
        client.gets_nothing()
    world.tick(0.2)
    for name in ("writer", "reader-2"):
        lab.look(name, is_writer=name == "writer")
    lab.fails("reader-1", Cause.LOST)
    assert {end.is_closed for end in world.reader_servers[0].ends} == {True}
    found = world.reader_servers[1].ends + world.server.ends
    assert len(found) == 3
    for end in found:
        if end.got() == [b"\x03START TRANSACTION READ ONLY"]:
            end.answers(ok(IN_READ_ONLY))
            end.got()
        end.answers(result(b"2"))
    for client in (reading, fresh, parking):
        client.gets(result(b"2"))
    holder.sends(read)
    (anew,) = [end for end in found if end.got() == [b"\x03START TRANSACTION READ ONLY"]]
    anew.answers(ok(IN_READ_ONLY))
    # what it read before is another moment's
    anew.answers(result(b"2", status=IN_READ_ONLY))
    holder.gets_error(1213)


def test_a_reader_that_is_too_far_behind_gets_nothing(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    lab = Lab(world).stable()
    lab.look("reader-1", replication=SLOW)
    assert {world.shared.choose(True).name for _ in range(9)} == {"reader-2"}
    state: Any = lab.cluster.state()
    found = {each["name"]: each.get("is_eligible") for each in state["members"]}
    assert found == {"writer": None, "reader-1": False, "reader-2": True}
    assert state["members"][1]["why"].endswith("more than 1 s") and state["members"][1]["lag"] == 7.0


def test_a_server_that_began_anew_has_nothing_prepared(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    client = world.client()
    client.sends(SELECT)
    world.backend().answers(ok())
    world.tick(1)
    lab.look("writer", is_writer=True, uptime=0)
    assert (world.writer.epoch, world.pool()) == (1, "")


def test_statements_that_are_gone_raise_the_epoch_once(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    client = world.client()
    server = prepared_by(world, client)
    client.sends(execute(1))
    server.got()
    server.answers(error(1243, "Unknown prepared statement handler (41) given to mysqld_stmt_execute"))
    assert monitor.signals == [("writer", Signal.STATEMENTS_GONE)]
    assert (world.writer.epoch, server.is_closed) == (1, True)
    core = lab.cluster.core
    assert core is not None and core.members["writer"].epoch == 2


def test_instances_come_and_go(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world, ClusterKind.AURORA, host_template="?.abc.example").begins()
    rows = [ReplicaRow(name, name == "writer", 0.02, 1, 0.1, None) for name in ("writer", "reader-1", "db-3")]
    lab.look("writer", is_writer=True, rows=tuple(rows))
    lab.look("reader-1")
    assert (lab.made, lab.roles()) == (["db-3.abc.example:3306"], "writer | reader-1 | db-3")
    lab.look("db-3")
    assert lab.roles() == "writer | db-3 reader-1 | "
    added = lab.cluster.endpoints["db-3"]
    lab.fails("db-3")
    lab.look("writer", is_writer=True, rows=tuple(rows[:2]))
    assert (lab.roles(), added.core.state) == ("writer | reader-1 | ", "draining")


def test_who_cannot_be_found_is_not_added(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1), ClusterKind.AURORA, host_template="?.abc.example").begins()
    rows = (ReplicaRow("no name", False, 0.02, 1, 0.1, None), ReplicaRow("writer", True, None, 1, 0.1, None))
    lab.look("writer", is_writer=True, rows=rows)
    assert lab.made == []


def test_several_lost_backends_are_a_sign(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=4)
    lab = Lab(world).stable()
    clients = [world.client() for _ in range(4)]
    for client in clients:
        client.sends(SELECT)
    for end in world.server.ends[1:]:
        end.answers(ok())
    # nobody listens yet
    world.server.ends[1].closes()
    monitor = lab.monitored()
    world.tick(1.1)
    # in use, idle, idle
    for end in (world.server.ends[0], *world.server.ends[2:]):
        assert monitor.signals == []
        end.closes()
    assert (monitor.signals, LOSSES) == ([("writer", Signal.LOST_BACKENDS)], 3)
    assert world.counters.backend_closes[CloseReason.LOST.value] == 4
    world.loop.run_until_complete(lab.cluster.stop())
    assert monitor.signals == []


def test_what_happened_in_a_switch_is_told(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1)).stable()
    lab.look("writer")
    lab.world.tick(2)
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    state: Any = lab.cluster.state()
    assert (state["state"], state["epoch"], state["writer"], state["is_paused"]) == (
        "stable",
        2,
        "reader-1",
        False,
    )
    told = [(each["ago"], each["event"], each["server"]) for each in state["switches"][-1]]
    assert told == [
        (2.0, "writer-lost", "writer"),
        (2.0, "problem", ""),
        (0.0, "switched", "reader-1"),
    ]


def test_the_looks_borrow_the_first_credentials(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1))
    assert lab.cluster.account() == Account("app", "secret")
    assert Lab(lab.world, borrow_credentials=False).cluster.account() is None
    own = Lab(lab.world, monitor_user="watch").cluster
    assert own.account() == Account("watch", "")


# Budgets


class Budgets:
    """Hears what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def saw(self, endpoint: Endpoint, seen: Occupancy, round_trip: float) -> None:
        self.told.append((endpoint.name, seen.connected))

    def failed(self, endpoint: Endpoint, failure: LookFailed) -> None:
        self.told.append((endpoint.name, failure.cause))

    def leave(self, endpoint: Endpoint) -> None:
        self.told.append((endpoint.name, "left"))


def test_looks_tell_the_budgets_how_full_servers_are(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1)).stable()
    lab.look("writer", occupancy=Occupancy(151, 7, 0))
    budgets = Budgets()
    lab.shared.budgets = budgets  # type: ignore[assignment]
    lab.look("writer", occupancy=Occupancy(151, 7, 0))
    lab.look("reader-1", occupancy=Occupancy(151, 8, 0))
    lab.look("writer")
    for name in ("writer", "nobody's"):
        lab.cluster.failed(name, LookFailed(Cause.DENIED, "no"))
    assert budgets.told == [("writer", 7), ("reader-1", 8), ("writer", Cause.DENIED)]
    lab.shared.budgets = None
    lab.cluster.failed("writer", LookFailed(Cause.DENIED, "no"))


def test_who_watches_an_endpoint_is_known(make_world: MakeWorld) -> None:
    lab = Lab(make_world(readers=1)).begins()
    assert not lab.cluster.watches(lab.world.writer)
    monitor: Any = lab.monitored()
    monitor.watches = {"reader-1": None}
    assert not lab.cluster.watches(lab.world.writer)
    assert lab.cluster.watches(lab.cluster.endpoints["reader-1"])
    lab.cluster.endpoints["reader-1"] = lab.world.writer
    assert not lab.cluster.watches(lab.shared.readers[0])


# On sockets


class Told(Cluster):
    """A cluster that says when something has changed."""

    changed: asyncio.Event

    def arrange(self) -> None:
        super().arrange()
        self.changed.set()

    def _say_trouble(self, text: str) -> None:
        super()._say_trouble(text)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


def watching(*servers: Server, **topology: Any) -> Told:
    """A cluster of these, the first of which is the configured writer."""
    upstream = [
        Upstream(
            host=server.place.host,
            port=server.place.port,
            name=f"{number}",
            role=Role.READER if number else Role.WRITER,
        )
        for number, server in enumerate(servers)
    ]
    topology = {"interval": 0.05, "panic_interval": 0.01, **topology}
    settings = Settings(upstream=tuple(upstream), topology=Topology(**topology))
    shared = make_shared(asyncio.get_running_loop(), Log())
    made = Told(settings, shared, lambda upstream: pytest.fail("there is none to be added"))
    made.changed = asyncio.Event()
    return made


async def test_the_kind_is_what_the_first_says_who_answers() -> None:
    silent, server = Server(), Server()
    async with serving(silent):
        pass
    async with serving(server):
        server.says()
        server.answers[queries.IS_AURORA] = rows(("Variable_name", "Value"))
        cluster = watching(silent, server)
        await cluster.run()
        core = cluster.core
        assert core is not None and core.kind is ClusterKind.REPLICATION
        assert cluster.trouble == ""
        cluster.hurry(True)
        await cluster.until(lambda: cluster.is_known)
        assert core.writer is not None and core.writer.name == "1"
        await cluster.stop()


async def test_what_keeps_the_kind_from_being_known_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Server(), Server()
    for each in silent:
        async with serving(each):
            pass
    cluster = watching(*silent)
    for _ in range(2):
        assert await cluster.find_kind() is None
    assert cluster.trouble.startswith("0: ") and "; 1: " in cluster.trouble
    assert capsys.readouterr().out.count("kind of cluster not known yet") == 1


async def test_nobody_looks_before_somebody_has_logged_in() -> None:
    server = Server()
    async with serving(server):
        server.says()
        cluster = watching(server, kind="replication")
        app = cluster._shared.credentials.find(b"app")
        assert app is not None
        app.password = None
        beginning = spawn(cluster.run(), name="cluster")
        await cluster.until(lambda: cluster.trouble == NO_ACCOUNT)
        cluster.hurry(True)
        await cluster.stop()
        assert not beginning.done() and server.connections == 0
        cluster._shared.credentials.learn(Credential(b"b", b"secret", Verifier.of_password(b"secret")))
        await beginning
        await cluster.until(lambda: cluster.is_known)
        await cluster.stop()


async def test_a_monitor_that_is_turned_away_says_so_and_asks_less_often() -> None:
    server = Server()
    async with serving(server):
        server.refusal = build_err(1045, b"28000", b"Access denied")
        cluster = watching(server, monitor_user="watch")
        assert await cluster.find_kind() is None
        assert (cluster.delay, "Access denied" in cluster.trouble) == (PATIENT, True)
        server.refusal = None
        server.answers[queries.IS_AURORA] = rows(("Variable_name", "Value"), ("aurora_version", "3.08"))
        assert await cluster.find_kind() is ClusterKind.AURORA
