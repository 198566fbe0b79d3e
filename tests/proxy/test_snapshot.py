from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.endpoint import Endpoint
from proxy.listeners import Listener
from proxy.login import Doorway
from proxy.snapshot import LONGEST_LIST, Snapshot
from tests.fakes.cluster import Lab
from tests.fakes.wire import IN_TRANS, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld


class Closable:
    """As much of a listener as a snapshot looks at."""

    def __init__(self, name: str, is_reader: bool = False) -> None:
        self.name = name
        self.doorway = Doorway(is_reader, False, None, False)
        self.is_closed = False


def reasons(session: Any) -> list[str]:
    return [pin["reason"] for pin in session["pins"]]


def snapshot_of(world: World, *listeners: Any) -> Snapshot:
    found: list[Listener] = list(listeners)
    return Snapshot(world.shared, found)


def test_a_ready_process_has_no_obstacles(world: World) -> None:
    world.writer.is_answering = True
    assert snapshot_of(world, Closable("a")).obstacles() == []


def test_every_obstacle_is_named(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    snapshot = snapshot_of(world, Closable("a"), Closable("b", is_reader=True))
    world.writer.last_failure = "refused"
    world.shared.readers[1].is_answering = True
    assert snapshot.obstacles() == ["no writer answers (writer: refused)"]
    world.shared.readers[1].is_answering = False
    world.writer.is_answering = True
    assert snapshot.obstacles() == ["no reader answers (reader-1: not tried yet; reader-2: not tried yet)"]
    world.shared.is_draining = True
    snapshot._listeners[0].is_closed = True
    assert snapshot.obstacles()[:2] == ["draining", "listener a is closed"]


def test_the_writer_does_without_readers(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    world.writer.is_answering = True
    assert snapshot_of(world, Closable("a")).obstacles() == []


def test_pools_are_told_by_their_counts(world: World) -> None:
    holder, waiter = world.client(), world.client()
    holder.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    waiter.sends(query("SELECT 1"))
    world.loop.advance(2)
    (pool,) = snapshot_of(world).endpoint_snapshots()
    expected = {
        "name": "writer",
        "role": "writer",
        "size": 1,
        "opening": 0,
        "idle": 0,
        "parked": 0,
        "leased": 1,
        "resetting": 0,
        "waiting": 1,
        "oldest_wait": 2.0,
        "in_transaction": 1,
        "is_up": True,
        "last_failure": "",
        "bound": 1,
        "budget": {},
    }
    assert {name: pool[name] for name in expected} == expected


def test_a_pool_tells_what_its_users_and_databases_have(make_world: MakeWorld) -> None:
    tables = {
        "users": [{"name": "other", "max_backends": 1}],
        "databases": [{"name": "shop", "max_backends": 2}],
    }
    world = make_world(pool_size=16, tables=tables)
    for schema in (None, b"shop"):
        client = world.client(schema=schema)
        client.sends(query("BEGIN"))
        world.backend().answers(ok(IN_TRANS))
    for _ in range(2):
        world.client(user=b"other", password=b"other").sends(query("BEGIN"))
    (pool,) = snapshot_of(world).endpoint_snapshots()
    assert pool["users"] == [
        {"name": "other", "backends": 1, "used": 1, "waiting": 1, "limit": 1},
        {"name": "app", "backends": 2, "used": 2, "waiting": 0, "limit": None},
    ]
    assert pool["databases"] == [{"name": "shop", "leased": 1, "limit": 2}]
    assert (pool["reserve"], pool["expected"], pool["shed"], pool["spared"]) == (1, 0, 0, 0)
    assert pool["opens_in"] == 0.0


def test_a_bound_is_told_with_its_reason(world: World) -> None:
    class Budgets:
        def report(self, endpoint: Endpoint) -> dict[str, object]:
            return {"why": f"{endpoint.name} is full"}

    world.shared.budgets = Budgets()  # type: ignore[assignment]
    (pool,) = snapshot_of(world).endpoint_snapshots()
    assert pool["budget"] == {"why": "writer is full"}


def test_sessions_that_hold_or_wait_are_listed_with_what_they_do(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    holder, pinned, waiter, _idle = world.client(), world.client(), world.client(), world.client()
    holder.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    pinned.sends(query("SELECT GET_LOCK('x', 1)"))
    world.backend().answers(rows(b"1"))
    waiter.sends(query("SELECT 1"))
    snapshot = snapshot_of(world, Closable("a"))
    state: Any = json.loads(json.dumps(snapshot.state()))
    assert state["frontends"] == {"open": 4, "in_login": 0, "limit": 100, "with_lease_or_waiting": 3}
    assert state["pinned"] == snapshot.pinned_sessions() == {"user-lock": 1}
    assert [
        (each["id"], each["state"], each["condition"], reasons(each), each["server_connection"])
        for each in state["sessions"]
    ] == [
        (holder.connection_id, "holding", "in transaction", [], 1),
        (pinned.connection_id, "holding", "pinned", ["user-lock"], 2),
        (waiter.connection_id, "waiting", "", [], None),
    ]
    first = state["sessions"][0]
    assert (first["user"], first["peer"], first["program"]) == ("app", "192.0.2.1:40000", "test")
    (pin,) = state["sessions"][1]["pins"]
    assert (pin["digest"], pin["endpoint"], pin["server_connection"], pin["age"]) == (
        "SELECT GET_LOCK(?, ?)",
        "writer",
        2,
        0.0,
    )
    assert state["listeners"] == ["a"]
    assert snapshot.counters is world.counters


def test_the_list_of_sessions_has_an_end(make_world: MakeWorld) -> None:
    world = make_world()
    for _ in range(LONGEST_LIST + 5):
        world.client().sends(query("BEGIN"))
    state: Any = snapshot_of(world).state()
    assert len(state["sessions"]) == LONGEST_LIST
    assert state["frontends"]["with_lease_or_waiting"] == LONGEST_LIST + 5


def test_pins_are_told_with_what_they_cost(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client = world.client()
    began = world.loop.time()
    client.sends(query("SELECT GET_LOCK('x', 1)"))
    world.backend().answers(rows(b"1"))
    world.loop.advance(10)
    snapshot = snapshot_of(world)
    assert snapshot.pinned_seconds() == {"user-lock": 10.0}
    found: Any = snapshot.pin_report()
    share = 10 / (began + 10 - world.shared.pins.started) / 2
    assert found["endpoints"][0]["pool_size"] == 2
    assert found["endpoints"][0]["share"] == pytest.approx(share, abs=1e-6)
    assert [(pin["digest"], pin["live"]) for pin in found["pins"]] == [("SELECT GET_LOCK(?, ?)", 1)]


def test_what_the_topology_says_is_told(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    world.writer.is_answering = world.shared.readers[0].is_answering = True
    snapshot = snapshot_of(world)
    assert (snapshot.state()["topology"], snapshot.state()["routes"]) == ({"kind": "static"}, {})
    lab = Lab(world).stable()
    assert snapshot.topology() == lab.cluster.state() and snapshot.obstacles() == []
    assert lab.cluster.placing is not None and snapshot.routes() == lab.cluster.placing.routes()
    lab.look("writer")
    assert snapshot.obstacles() == ["no server is the writer now; see /state"]


def test_a_recording_is_of_this_process(world: World) -> None:
    taking = world.loop.create_task(snapshot_of(world).record(1.0, 1.0))
    world.loop.advance(1)
    assert taking.result().startswith(b'{"format": "fanin-recording"')
