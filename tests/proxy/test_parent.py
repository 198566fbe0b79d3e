"""The parent of several workers, and what they are made of. With real processes: tests/integration/test_workers.py."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from config.settings import Settings
from proxy import parent as module
from proxy.control import ChannelClosed
from proxy.handing import Gate
from proxy.parent import LONGEST_SILENCE, LOOKS, SILENCE, Parent
from proxy.parting import part_of
from proxy.recorder import RecordingError
from proxy.replies import Failure
from proxy.shared import FIRST_CONNECTION_ID
from proxy.slots import Move
from proxy.snapshot import Snapshot
from proxy.whole import Post, Whole
from proxy.worker import Start, as_json, failure_of, snapshot_of, start_of
from tests.fakes.loop import StepLoop
from tests.fakes.world import Log, World


def settings(**table: Any) -> Settings:
    return Settings.model_validate({"upstream": "db:3306", "workers": 3, **table})


# What a worker is made of


def test_what_bounds_a_process_is_divided() -> None:
    whole = settings(
        pool={"size": 10, "min_idle": 2, "max_opening": 2, "connects_per_second": 60},
        limits={"max_clients": 100, "statement_cache": 3000},
        budget={"fleet": 5},
    )
    parts = [part_of(whole, worker, 3) for worker in range(3)]
    # who accepts counts all
    assert {part.limits.max_clients for part in parts} == {100}
    assert [part.pool.min_idle for part in parts] == [1, 1, 0]
    assert [part.pool.max_opening for part in parts] == [1, 1, 1]
    assert {part.pool.connects_per_second for part in parts} == {20.0}
    assert {part.limits.statement_cache for part in parts} == {1000}
    # to the servers each is a Fanin, and what it may have is the parent's to say
    assert {(part.budget.fleet, part.pool.size, part.worker_count) for part in parts} == {(15, 10, 1)}
    assert part_of(settings(pool={"connects_per_second": 0}), 0, 3).pool.connects_per_second == 0


@pytest.mark.parametrize(
    ("size", "reserve", "parts"),
    [(15, 1, [0, 0, 0]), (20, 1, [1, 0, 0]), (99, 5, [2, 2, 1]), (40, 5, [1, 1, 0])],
)
def test_a_reserve_is_of_all_workers(size: int, reserve: int, parts: list[int]) -> None:
    whole = settings(pool={"size": size, "reserve": reserve})
    assert [part_of(whole, worker, 3).pool.reserve for worker in range(3)] == parts


def test_a_start_survives_its_way() -> None:
    table = {"users": [{"name": "app", "password": "secret"}]}
    start = Start(settings(**table), 1, 3, ["127.0.0.1:6033"], {"db:3306": 2}, 5, b"key", b"certificate")
    frame = start.as_json()
    assert start_of(json.loads(json.dumps(frame))) == start
    password = start.settings.users[0].password
    assert password is not None and password.get_secret_value() == "secret"


@pytest.mark.parametrize("failure", [None, Failure(1094, "Unknown thread id: 5"), Failure(1, "a", "42000")])
def test_what_came_of_a_kill_survives_its_way(failure: Failure | None) -> None:
    found = failure_of(json.loads(json.dumps(as_json(failure))))
    assert as_json(found) == as_json(failure)


def test_a_snapshot_is_what_json_knows(world: World) -> None:
    found = snapshot_of(Snapshot(world.shared, []))
    assert json.loads(json.dumps(found)).keys() == found.keys()


def test_a_worker_imports_what_this_process_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/a:/b")
    first, *rest = module._environment()["PYTHONPATH"].split(os.pathsep)
    assert os.path.exists(os.path.join(first, "proxy", "worker.py"))
    assert rest == ["/a", "/b"]
    monkeypatch.delenv("PYTHONPATH")
    assert module._environment()["PYTHONPATH"] == first


def test_a_worker_ignores_signals_before_it_imports_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []

    class FakeWorker:
        def __getattr__(self, name: str) -> object:
            events.append(name)
            return lambda control, clients: control + clients

    monkeypatch.setattr(signal, "signal", lambda number, handler: events.append((number, handler)))
    monkeypatch.setitem(sys.modules, "proxy.worker", FakeWorker())
    monkeypatch.setattr(sys, "argv", ["", "3", "4"])
    with pytest.raises(SystemExit, match="7"):
        runpy.run_module("proxy.working", run_name="__main__")
    ignored = [(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)]
    assert (events[:2], events[-1]) == (ignored, "main")


def test_a_second_signal_leaves_no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[object] = []
    office = Office()
    parent = office.parent
    monkeypatch.setattr(os, "_exit", ends.append)

    class Door:
        def close(self) -> None:
            ends.append("addresses")

        def remove_socket(self) -> None:
            ends.append("pages")

    parent._signalled()
    parent._signalled()
    parent._gate = parent._page_server = Door()  # type: ignore[assignment]
    parent._signalled()
    assert ends == [1, "addresses", "pages", 1]
    assert all(process.is_killed for process in office.processes)


# What workers say


class Speaking:
    """A channel that notes what is told, and answers as a test says."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.told: list[tuple[str, Any]] = []
        self.answers = answers

    def tell(self, kind: str, value: object) -> None:
        self.told.append((kind, value))

    async def ask(self, kind: str, value: object = None) -> Any:
        self.told.append((kind, value))
        if self.answers is None:
            raise ChannelClosed
        return self.answers[kind]


class Way:
    def __init__(self) -> None:
        self.open = self.taken = self.handed = 0

    @property
    def clients(self) -> int:
        return self.open


class Doors:
    """Notes which ways are open."""

    def __init__(self) -> None:
        self.ways: list[Any] = []
        self.acceptors: list[Any] = []
        self.refused = 0

    def open_way(self, way: Any) -> None:
        self.ways.append(way)

    def close(self) -> None:
        """No addresses."""

    def shut_way(self, way: Any) -> None:
        if way in self.ways:
            self.ways.remove(way)

    close_way = shut_way


class Process:
    pid = 4711

    def __init__(self) -> None:
        self.is_killed = False

    def kill(self) -> None:
        self.is_killed = True
        raise ProcessLookupError


class Office:
    """A parent whose workers are what a test says."""

    def __init__(self, count: int = 2, **table: Any) -> None:
        self.log = Log()
        self.parent = Parent(settings(workers=count, **table), self.log)  # type: ignore[arg-type]
        self.gate = Doors()
        self.parent._gate = self.gate  # type: ignore[assignment]
        self.channels = [Speaking() for _ in range(count)]
        self.processes = [Process() for _ in range(count)]
        for worker in range(count):
            self.employ(worker)

    def employ(self, worker: int) -> Post:
        post = self.parent.posts[worker]
        post.employ(self.processes[worker], self.channels[worker], Way())  # type: ignore[arg-type]
        post.is_ready = True
        self.gate.open_way(post.way)
        return post

    def hears(self, worker: int, kind: str, value: object) -> None:
        self.parent._heard(self.parent.posts[worker], kind, value)


def test_slots_move_to_who_needs_them() -> None:
    office = Office(pool={"size": 4})
    office.hears(0, "load", {"clients": 5, "taken": 6, "demands": {"db:3306": 3}})
    way = office.parent.posts[0].way
    assert way is not None and (way.open, way.taken) == (5, 6)
    assert office.channels[1].told == [("moves", {"db:3306": -1})]
    office.hears(1, "gave", {"db:3306": 1})
    assert office.channels[0].told == [("moves", {"db:3306": 1})]


def test_who_gives_what_it_was_not_asked_for_is_ended() -> None:
    office = Office(pool={"size": 4})
    office.hears(1, "gave", {"db:3306": 1})
    assert [process.is_killed for process in office.processes] == [False, True]
    assert [(event, facts["worker"]) for _, event, facts in office.log.lines] == [("a worker is ended", 2)]


def test_news_are_for_the_others() -> None:
    office = Office(3)
    office.hears(1, "news", 8)
    assert [channel.told for channel in office.channels] == [[("news", 8)], [], [("news", 8)]]


async def test_a_kill_goes_to_the_worker_whose_client_it_is() -> None:
    office = Office(3)
    office.channels[2].answers = {"kill": "its answer"}
    value = {"id": FIRST_CONNECTION_ID + 5, "user": "", "is_query": False}
    assert await office.parent._asked(office.parent.posts[0], "kill", value) == "its answer"
    assert office.channels[2].told == [("kill", value)]
    office.parent.posts[2].dismiss()
    answer: Any = await office.parent._asked(office.parent.posts[0], "kill", value)
    assert failure_of(answer) is not None


async def test_all_others_have_heard_when_each_says_so() -> None:
    office = Office(4)
    office.parent.posts[0].is_ready = False
    for channel in office.channels[2:]:
        channel.answers = {"heard": None}
    # the last ends over it
    office.channels[3].answers = None
    assert await office.parent._asked(office.parent.posts[1], "heard", None) is None
    assert [channel.told for channel in office.channels] == [[], [], [("heard", None)], [("heard", None)]]


async def test_clients_are_counted_by_asking_all_that_are_ready() -> None:
    office = Office(3)
    office.parent.posts[2].is_ready = False
    office.channels[0].answers = {"count": None}
    # the other ends over it
    await office.parent._recount()
    assert [channel.told for channel in office.channels] == [[("count", None)], [("count", None)], []]
    office.hears(0, "clients", {"clients": 3, "taken": 4})
    way = office.parent.posts[0].way
    assert way is not None and (way.open, way.taken) == (3, 4)


async def test_a_worker_that_hangs_is_counted_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTING", 0.01)
    office = Office(1)

    async def never(kind: str, value: object = None) -> object:
        return await asyncio.Event().wait()

    office.channels[0].ask = never  # type: ignore[method-assign]
    await office.parent._recount()


def test_who_was_refused_is_counted() -> None:
    office = Office()
    whole = Whole(office.parent)
    assert whole.counters.frontends_refused == 0
    loop = StepLoop()
    gate = office.parent._gate = Gate(loop, office.log, 1, office.parent._recount)
    gate.refused = 2
    assert (whole.counters.frontends_refused, whole.counters.frontend_closes) == (2, {"too-many-clients": 2})
    loop.close()


def test_moves_for_nobody_are_lost() -> None:
    office = Office()
    office.parent.posts[0].dismiss()
    office.parent._carry_out([("db", Move(0, 1))])
    assert office.channels[0].told == []


# Who has died

SECRET = [None, "c2VjcmV0", None]


def opened(server_id: int, user: str = "app", endpoint: str = "db") -> list[Any]:
    return [endpoint, server_id, user, 40000, 500.0]


def dies(office: Office, worker: int) -> None:
    """Its process has been reaped, and its channel read to the end."""
    post = office.parent.posts[worker]
    if post.way is not None:
        office.gate.close_way(post.way)
    post.dismiss()
    office.parent._left(post)


def left(office: Office) -> list[Any]:
    """Orphans by worker, as people see them."""
    return [each["orphans"] for each in Whole(office.parent)._workers()]


def test_what_the_dead_leave_holds_its_slots_until_another_has_ended_it() -> None:
    office = Office(pool={"size": 8})
    office.hears(0, "credential", ["app", SECRET])
    for server_id in (7, 8, 9):
        office.hears(0, "opened", opened(server_id))
    office.hears(0, "closed", [["db", 9]])
    office.hears(1, "load", {"clients": 1, "taken": 1, "demands": {"db": 8}})
    del office.channels[1].told[:]
    dies(office, 0)
    told = {"connections": [tuple(opened(7)), tuple(opened(8))], "credentials": {"app": SECRET}}
    # of four two were no connections, and one is for who takes its place
    assert office.channels[1].told == [("moves", {"db": 1}), ("orphans", told)]
    assert left(office) == [2, 0]
    office.hears(1, "reaped", [["db", 7]])
    office.hears(1, "reaped", [["db", 7]])
    assert (office.channels[1].told[2:], left(office)) == ([("moves", {"db": 1})], [1, 0])
    office.hears(1, "reaped", [["db", 8]])
    assert (office.channels[1].told[3:], left(office)) == ([("moves", {"db": 1})], [0, 0])
    assert [event for _, event, _ in office.log.lines] == ["nothing is left of dead workers at servers"]
    assert "c2VjcmV0" not in repr(vars(office.parent)) + json.dumps(Whole(office.parent).state())


def test_they_count_for_what_their_user_and_all_databases_may_have() -> None:
    users = [{"name": "app", "password": "secret", "max_backends": 4}]
    office = Office(pool={"size": 8}, users=users, databases=[{"name": "shop", "max_backends": 2}])
    for user in ("app", "other"):
        office.hears(0, "credential", [user, SECRET])
    office.hears(0, "opened", opened(7))
    office.hears(0, "opened", opened(8, "other"))
    dies(office, 0)
    slots = office.parent.ledger.slots
    names = ("db", "db\tuser\tapp", "db\tdatabase\tshop")
    assert [slots[name].orphaned for name in names] == [2, 1, 1]
    office.hears(1, "reaped", [["db", 7]])
    assert [slots[name].orphaned for name in names] == [1, 0, 1]
    office.hears(1, "reaped", [["db", 8]])
    assert [slots[name].orphaned for name in names] == [0, 0, 0]


def test_who_is_ready_first_ends_them_where_nobody_is() -> None:
    office = Office()
    office.hears(0, "credential", ["app", SECRET])
    office.hears(0, "opened", opened(7))
    office.hears(1, "credential", ["app", SECRET])
    office.hears(1, "opened", opened(8))
    dies(office, 0)
    dies(office, 1)
    post = office.employ(0)
    post.is_ready = False
    del office.channels[0].told[:]
    office.hears(0, "ready", {"fanin_id": "f"})
    ((kind, told),) = office.channels[0].told
    assert (kind, len(told["connections"])) == ("orphans", 2)


def test_another_takes_over_from_who_dies_over_it_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(4)
    office.hears(0, "credential", ["app", SECRET])
    office.hears(0, "opened", opened(7))
    dies(office, 0)
    assert [bool(channel.told) for channel in office.channels] == [False, True, False, False]
    dies(office, 1)
    assert [bool(channel.told) for channel in office.channels] == [False, True, True, False]
    watch = Watch(office, monkeypatch)
    watch.passes(SILENCE + LOOKS, 3)
    ((kind, told),) = office.channels[3].told
    assert (kind, told["connections"]) == ("orphans", [tuple(opened(7))])


def test_an_id_that_somebody_has_now_is_no_orphans_any_more() -> None:
    office = Office()
    for worker in range(2):
        office.hears(worker, "credential", ["app", SECRET])
    office.hears(0, "opened", opened(7))
    dies(office, 0)
    assert left(office) == [1, 0]
    office.hears(1, "opened", opened(7))
    assert left(office) == [0, 0]


def test_what_was_left_is_left_once() -> None:
    office = Office()
    office.hears(0, "credential", ["app", SECRET])
    office.hears(0, "opened", opened(7))
    dies(office, 0)
    office.hears(1, "reaped", [["db", 7]])
    # the next process could not be started
    office.parent._left(office.parent.posts[0])
    assert left(office) == [0, 0]


# Who hangs


class Watch:
    """The parent's looks at who is silent; `says`: it does."""

    def __init__(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        self.office = office
        self.now = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        office.parent._look(self.now)

    def passes(self, seconds: float, *speaking: int) -> None:
        """The numbers are of workers that say something meanwhile."""
        until = self.now + seconds
        while self.now < until:
            self.now += LOOKS
            for worker in speaking:
                self.office.hears(worker, "load", {"clients": 1, "taken": 1, "demands": {}})
            self.office.parent._look(self.now)

    def open(self) -> list[int]:
        ways = [post.way for post in self.office.parent.posts]
        return [ways.index(way) for way in self.office.gate.ways]


def test_who_is_silent_gets_no_clients_until_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    watch = Watch(office, monkeypatch)
    watch.passes(SILENCE, 0)
    assert watch.open() == [0, 1]
    watch.passes(LOOKS, 0)
    assert watch.open() == [0]
    assert [each["is_ready"] for each in Whole(office.parent)._workers()] == [True, False]
    watch.passes(LOOKS, 0, 1)
    assert watch.open() == [0, 1]
    words = ["a worker does not answer, and gets no more clients", "a worker answers again"]
    assert [(event, facts["worker"]) for _, event, facts in office.log.lines] == [(each, 2) for each in words]


def test_who_is_silent_for_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    watch = Watch(office, monkeypatch)
    watch.passes(LONGEST_SILENCE, 0)
    assert not office.processes[1].is_killed
    watch.passes(LOOKS, 0)
    assert [process.is_killed for process in office.processes] == [False, True]
    assert office.log.lines[-1][1:] == ("a worker hangs, and is killed", {"worker": 2, "seconds": 30})
    # the next one has all the time
    post = office.parent.posts[1]
    post.dismiss()
    watch.passes(LOOKS, 0)
    assert not post.is_silent


def test_where_the_parent_itself_was_stopped_nobody_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    watch = Watch(office, monkeypatch)
    watch.now += 2 * LONGEST_SILENCE
    office.parent._look(watch.now)
    assert (watch.open(), office.log.lines) == ([0, 1], [])


async def test_who_does_not_get_ready_ends_the_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    # it has not even imported what it needs
    monkeypatch.setattr(module, "LONGEST_START", 0.01)
    office = Office()
    post = office.parent.posts[1]
    post.dismiss()
    await office.parent._keep(post)
    events = [event for _, event, _ in office.log.lines]
    assert events == ["a worker does not get ready, and is killed", "a worker could not start"]
    assert (office.parent.status, office.parent.stopping.is_set()) == (1, True)


async def test_who_is_ready_in_time_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    first, second = office.parent.posts
    office.parent._judge_start(first, first.process)  # type: ignore[arg-type]
    second.is_ready = False
    # that was the process before
    office.parent._judge_start(second, first.process)  # type: ignore[arg-type]
    assert not any(process.is_killed for process in office.processes)


async def test_a_silent_worker_is_not_asked(world: World) -> None:
    office = Office()
    whole = Whole(office.parent)
    world.writer.is_answering = True
    for channel in office.channels:
        channel.answers = {"snapshot": told(world, queries=5), "fleet": {"endpoints": []}}
    await whole.refresh()
    post = office.parent.posts[1]
    post.is_silent = True
    del office.channels[1].told[:]
    await whole.refresh()
    await whole.fleet()
    with pytest.raises(TimeoutError):
        await post.ask("snapshot")
    assert (office.channels[1].told, whole.counters.queries, whole.workers()) == ([], 10, (1, 0))
    assert whole.obstacles() == []
    office.parent.posts[0].is_silent = True
    assert whole.obstacles() == ["no worker is ready"]


async def test_a_kill_of_a_silent_workers_client_is_refused() -> None:
    office = Office()
    office.parent.posts[1].is_silent = True
    value = {"id": FIRST_CONNECTION_ID + 1, "user": "", "is_query": False}
    answer: Any = await office.parent._asked(office.parent.posts[0], "kill", value)
    failure = failure_of(answer)
    assert failure is not None and (failure.code, "does not answer" in failure.message) == (1105, True)


# The pages


def told(world: World, **counts: int) -> Any:
    found = snapshot_of(Snapshot(world.shared, []))
    found["counters"] = {**found["counters"], **counts}  # type: ignore[dict-item]
    return json.loads(json.dumps(found, default=str))


async def test_the_pages_are_made_of_what_workers_tell(world: World) -> None:
    office = Office()
    whole = Whole(office.parent)
    assert whole.obstacles() == ["no worker is ready"]
    assert whole.state().keys() == {*Snapshot(world.shared, []).state(), "workers"}
    assert whole.pin_report()["pins"] == []
    world.writer.is_answering = True
    world.writer.core.shed_count = 2
    for channel in office.channels:
        channel.answers = {"snapshot": told(world, queries=5, frontends_open=1)}
    await whole.refresh()
    assert (whole.counters.queries, whole.counters.frontends_open) == (10, 2)
    assert (whole.obstacles(), whole.pinned_sessions(), whole.pinned_seconds()) == ([], {}, {})
    assert (whole.topology(), whole.routes()) == ({"kind": "static"}, {})
    (endpoint,) = whole.endpoint_snapshots()
    assert (endpoint["size"], endpoint["bound"]) == (1, 2)
    assert (whole.workers(), whole.processes()) == ((2, 0), [("parent", 0), ("1", 4711), ("2", 4711)])
    # one dies: what it has counted stays
    office.parent.posts[0].dismiss()
    office.parent.posts[0].dismiss()
    assert (whole.counters.queries, whole.counters.frontends_open) == (10, 1)
    assert (whole.workers(), whole.processes()) == ((1, 0), [("parent", 0), ("2", 4711)])
    assert [each["shed"] for each in whole.endpoint_snapshots()] == [4]
    office.employ(0)
    await whole.refresh()
    assert (whole.counters.queries, whole.workers()) == (15, (2, 1))
    office.parent.stopping.set()
    assert whole.obstacles() == ["draining"]


async def test_no_slot_of_a_limit_is_missing_because_it_moves(world: World) -> None:
    office = Office(users=[{"name": "app", "password": "secret", "max_backends": 1}])
    whole = Whole(office.parent)
    shown = told(world)
    shown["endpoints"][0]["users"] = [{"name": "app", "backends": 0, "used": 0, "waiting": 0, "limit": 0}]
    shown["state"]["endpoints"] = shown["endpoints"]
    for channel in office.channels:
        channel.answers = {"snapshot": shown}
    await whole.refresh()
    office.hears(1, "load", {"clients": 1, "taken": 1, "demands": {"writer\tuser\tapp": 1}})
    state: Any = whole.state()
    shown = [whole.endpoint_snapshots(), state["endpoints"]]
    assert [[user["limit"] for user in endpoint["users"]] for (endpoint,) in shown] == [[1], [1]]


async def test_who_does_not_answer_in_time_is_shown_as_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.whole.PATIENCE", 0.01)
    office = Office(1)
    whole = Whole(office.parent)

    async def never(kind: str, value: object = None) -> object:
        return await asyncio.Event().wait()

    office.parent.posts[0].told = told(world, queries=7)
    office.channels[0].ask = never  # type: ignore[method-assign]
    await whole.refresh()
    assert whole.counters.queries == 7


async def test_a_fleet_and_a_recording_are_asked_of_all() -> None:
    office = Office(2)
    whole = Whole(office.parent)
    with pytest.raises(RecordingError, match="no worker is ready"):
        await whole.record(1.0, 1.0)
    office.channels[0].answers = {"fleet": {"endpoints": []}, "record": {"error": "a recording is under way"}}
    assert await whole.fleet() == {"endpoints": []}
    with pytest.raises(RecordingError, match="a recording is under way"):
        await whole.record(2.0, 0.5)
    assert office.channels[1].told[-1] == ("record", {"seconds": 2.0, "sample": 0.5})
    header = {"sample": 1.0, "seconds": 2.0, "is_full": False, "endpoints": [], "keys": []}
    office.channels[0].answers = {"record": {"header": header, "keys": [], "sessions": []}}
    assert json.loads(await whole.record(2.0, 1.0))["seconds"] == 2.0
