"""Who looks at how full servers are, when, and what pools make of it. Real servers: tests/integration/test_budget.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from config.budget import Budget as BudgetSettings
from config.cluster import Topology
from config.sections import Pool, ServerTls, ServerTlsMode, Upstream
from config.settings import Settings
from protocol.auth import Verifier
from protocol.packets import build_err
from proxy import monitor_queries as queries
from proxy.budgets import Budgets
from proxy.connector import Target
from proxy.counters import Counters
from proxy.credentials import Credential, Credentials
from proxy.endpoint import Endpoint
from proxy.endpoint_rules import EndpointRules
from proxy.looking import NO_ACCOUNT, account_of, borrowed, place_of, way_of
from proxy.monitor import Account, LookFailed, Place
from proxy.occupancy import Occupancy
from proxy.topology_actions import Cause
from tests.fakes.world import Log, make_shared
from tests.proxy.test_monitor import Server, rows, serving

COUNTED = queries.with_count(queries.MYSQL_OCCUPANCY, "session_connect_attrs", "5f")


class Watching:
    """A cluster whose monitor watches some endpoints."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def watches(self, endpoint: Endpoint) -> bool:
        return endpoint.name in self.names


class Scene:
    """One process in front of one server, without its pool's connections."""

    def __init__(self, server: Server, **settings: Any) -> None:
        self.server = server
        topology = settings.pop("topology", {})
        users = settings.pop("users", [])
        budget = {"interval": 0.1, **settings}
        self.settings = Settings(
            upstream=(Upstream(host=server.place.host, port=server.place.port, name="w"),),
            budget=BudgetSettings(**budget),
            topology=Topology(timeout=5.0, **topology),
            server_tls=ServerTls(mode=ServerTlsMode.DISABLED),
            pool=Pool(size=40),
        )
        self.shared = make_shared(asyncio.get_running_loop(), Log())
        self.shared.announced = {"fanin_id": "5f"}
        self.shared.credentials = Credentials(users, True)
        self.budgets = Budgets(self.settings, self.shared)
        self.shared.budgets = self.budgets
        self.watching = Watching()
        self.shared.cluster = self.watching  # type: ignore[assignment]
        self.endpoint = self.made()
        self.budgets.adopt(self.endpoint, server.place)

    def made(self) -> Endpoint:
        place = self.server.place
        return Endpoint(
            Target("w", place.host, place.port, None, "disabled", None, 5.0),
            "writer",
            EndpointRules(self.settings),
            self.shared.facts,
            self.shared.credentials,
            Counters(),
            {},
            self.shared.facts_known,
            self.shared.loop,
        )

    def says(self, connected: int = 5, limit: int = 2000) -> Scene:
        numbers = (str(limit), str(connected), "0")
        self.server.answers[queries.MYSQL_OCCUPANCY] = rows(tuple("abc"), numbers)
        self.server.answers[COUNTED] = rows(tuple("abcdefg"), (*numbers, "1", "1", "1", "1"))
        return self

    def logs_in(self, password: bytes | None = b"secret") -> None:
        self.endpoint.initialised[b"app"] = False
        self.shared.credentials.learn(Credential(b"app", password, Verifier.of_password(b"secret")))

    def saw(self, seen: Occupancy) -> bool:
        self.budgets.saw(self.endpoint, seen, 0.0)
        return True

    @property
    def bound(self) -> int:
        return self.endpoint.core.max_size

    def report(self) -> dict[str, Any]:
        return dict(self.budgets.report(self.endpoint))

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def scene_of(server: Server | None = None, **settings: Any) -> AsyncIterator[Scene]:
    async with serving(server or Server()) as started:
        scene = Scene(started, **settings)
        scene.says()
        yield scene
        await scene.budgets.stop()


# Who looks, and when


async def test_whoever_logs_in_first_is_who_looks() -> None:
    async with scene_of() as scene:
        await asyncio.sleep(0)
        assert (scene.bound, scene.server.connections, scene.report()["why"]) == (1, 0, "start")
        scene.logs_in()
        await scene.until(lambda: scene.report()["looks"])
        assert (scene.bound, scene.report()["why"], scene.report()["fleet"]) == (40, "pool.size", 1)
        assert b"purpose" in scene.server.login and b"monitor" in scene.server.login


async def test_one_connection_is_kept_and_a_look_is_one_statement() -> None:
    async with scene_of() as scene:
        scene.logs_in()
        await scene.until(lambda: scene.report()["looks"] >= 4)
        assert scene.server.connections == 1
        assert scene.server.asked[:2] == [COUNTED, queries.MYSQL_OCCUPANCY]
        assert len(scene.server.asked) - scene.report()["looks"] in (0, 1)


async def test_a_configured_account_looks_at_once() -> None:
    async with scene_of(topology={"monitor_user": "watch"}) as scene:
        await scene.until(lambda: scene.report()["looks"])
        assert b"watch" in scene.server.login


async def test_logins_do_not_make_it_look_more_often() -> None:
    async with scene_of() as scene:
        scene.server.refusal = build_err(1045, b"28000", b"no")
        scene.logs_in()
        await scene.until(lambda: scene.report()["trouble"])
        for _ in range(5):
            scene.logs_in()
            await asyncio.sleep(0.01)
        assert scene.server.connections == 1
        scene.server.refusal = None
        scene.shared.credentials.forget_all()
        scene.shared.credentials.learn(Credential(b"other", b"x", Verifier.of_password(b"x")))
        await scene.until(lambda: scene.report()["looks"])


async def test_whose_account_may_have_no_more_keeps_no_connection_for_looks() -> None:
    async with scene_of(interval=5.0) as scene:
        scene.logs_in()
        await scene.until(lambda: scene.report()["looks"])
        asked = len(scene.server.asked)
        scene.budgets.refused_user(scene.endpoint, b"other")
        assert scene.server.open_connections() == 1
        scene.budgets.refused_user(scene.endpoint, b"app")
        await scene.until(lambda: scene.server.open_connections() == 0)
        assert scene.server.asked[asked] == queries.MYSQL_OCCUPANCY
        scene.budgets.refused_user(scene.endpoint, b"app")
        assert scene.report()["fleet"] == 1
        # another account may have some
        scene.shared.credentials.forget_all()
        scene.shared.credentials.learn(Credential(b"other", b"x", Verifier.of_password(b"x")))
        looker = scene.budgets._lookers[scene.endpoint]
        looker.wake.set()
        await scene.until(lambda: scene.server.open_connections() == 1 and not looker.gives_way)


async def test_where_the_monitor_looks_nobody_else_does() -> None:
    async with scene_of() as scene:
        scene.logs_in()
        await scene.until(lambda: scene.report()["looks"])
        scene.watching.names.add("w")
        open_connections = scene.server.open_connections
        await scene.until(lambda: open_connections() == 0)
        looks = scene.report()["looks"]
        await scene.until(lambda: scene.saw(Occupancy(1000, 900, 0)) and scene.report()["looks"] > looks)
        assert scene.report()["connected"] == 900


# What comes of it


async def test_a_pool_follows_the_room_on_the_server() -> None:
    async with scene_of() as scene:
        scene.logs_in()
        await scene.until(lambda: scene.bound == 40)
        scene.says(connected=1900)
        await scene.until(lambda: scene.bound == 1)
        assert scene.budgets.in_words(scene.endpoint) == "server nearly full: bound 1 of 40"
        assert scene.endpoint.holders().endswith("; server nearly full: bound 1 of 40")
        scene.says(connected=10)
        await scene.until(lambda: scene.bound == 40)
        assert not scene.endpoint.holders().endswith("of 40")


async def test_who_may_not_look_has_a_share_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    async with scene_of() as scene:
        scene.server.refusal = build_err(1045, b"28000", b"no")
        scene.logs_in()
        await scene.until(lambda: scene.bound == 13)
        assert scene.report()["trouble"] == "denied: 1045 no"
        assert "server cannot be looked at" in capsys.readouterr().out


async def test_another_looks_where_the_first_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.budgets.PATIENT", 0.01)
    async with scene_of() as scene:
        scene.says().logs_in()
        await scene.until(lambda: scene.report()["looks"])
        scene.server.denied.add(b"app")
        scene.budgets._lookers[scene.endpoint].watch.close()
        await scene.until(lambda: "denied" in scene.report()["trouble"])
        scene.shared.credentials.learn(Credential(b"b", b"secret", Verifier.of_password(b"secret")))
        await scene.until(lambda: not scene.report()["trouble"])
        assert borrowed(scene.shared.credentials) == Account("b", "secret")


async def test_so_has_who_gave_no_password_that_could_be_used() -> None:
    async with scene_of() as scene:
        scene.logs_in(password=None)
        await scene.until(lambda: scene.bound == 13)
        assert scene.report()["trouble"] == NO_ACCOUNT


async def test_a_look_that_is_refused_for_want_of_room_is_a_refusal() -> None:
    async with scene_of() as scene:
        scene.server.refusal = build_err(1040, b"08004", b"Too many connections")
        scene.logs_in()
        await scene.until(lambda: scene.report()["refusals"])
        assert (scene.bound, scene.report()["why"]) == (1, "refused")
        scene.server.refusal = None
        await scene.until(lambda: scene.bound == 40)


async def test_a_refusal_that_the_pool_meets_halves_its_bound() -> None:
    async with scene_of() as scene:
        scene.logs_in()
        await scene.until(lambda: scene.bound == 40)
        scene.watching.names.add("w")
        scene.budgets.refused(scene.endpoint, 1040)
        assert (scene.bound, scene.report()["why"]) == (1, "refused")


@pytest.mark.parametrize(("connected", "limit"), [(0, 1000), (-7, 1000), (5, 0)])
async def test_a_server_that_lies_is_as_one_that_cannot_be_looked_at(connected: int, limit: int) -> None:
    async with scene_of() as scene:
        scene.says(connected, limit)
        scene.logs_in()
        await scene.until(lambda: scene.bound == 13)
        assert "not believed" in scene.report()["trouble"]
        await scene.until(lambda: scene.server.connections > 1)
        scene.says()
        await scene.until(lambda: scene.bound > 13)
        assert not scene.report()["trouble"]


async def test_one_that_goes_away_and_comes_back() -> None:
    server = Server()
    async with scene_of(server) as scene:
        scene.logs_in()
        await scene.until(lambda: scene.report()["looks"] >= 2)
        answers = dict(server.answers)
        server.answers.clear()
        await scene.until(lambda: scene.report()["trouble"])
        assert scene.bound == 40
        server.answers.update(answers)
        await scene.until(lambda: not scene.report()["trouble"])


async def test_time_passes_with_the_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene_of() as scene:
        scene.logs_in()
        await scene.until(lambda: scene.bound == 40)
        scene.watching.names.add("w")
        now = scene.budgets._now
        monkeypatch.setattr(scene.budgets, "_now", lambda: now() + 100.0)
        scene.budgets.tick()
        assert scene.report()["why"] == "blind"


async def test_an_endpoint_that_is_gone_is_left_alone() -> None:
    async with scene_of() as scene:
        scene.logs_in()
        await scene.until(lambda: scene.report()["looks"])
        scene.budgets.leave(scene.endpoint)
        await scene.until(lambda: scene.server.open_connections() == 0)
        scene.budgets.leave(scene.endpoint)
        scene.budgets.saw(scene.endpoint, Occupancy(1000, 1, 0), 0.0)
        scene.budgets.failed(scene.endpoint, LookFailed(Cause.LOST, "gone"))
        scene.budgets.refused(scene.endpoint, 1040)
        scene.budgets.refused_user(scene.endpoint, b"app")
        assert (scene.report(), scene.budgets.in_words(scene.endpoint), scene.bound) == ({}, "", 40)


async def test_a_process_without_endpoints_ends_as_well() -> None:
    async with scene_of() as scene:
        await scene.budgets.stop()
        await scene.budgets.stop()


# With what


def test_the_account_is_configured_or_borrowed() -> None:
    credentials = Credentials([], True)
    assert borrowed(credentials) is None
    credentials.learn(Credential(b"a", None, Verifier.of_password(b"x")))
    assert borrowed(credentials) is None
    credentials.learn(Credential(b"b", b"secret", Verifier.of_password(b"secret")))
    assert account_of(Topology(), credentials) == Account("b", "secret")
    assert account_of(Topology(borrow_credentials=False), credentials) is None
    configured = Topology(monitor_user="watch", monitor_password="w")  # type: ignore[arg-type]
    assert account_of(configured, credentials) == Account("watch", "w")
    assert account_of(Topology(monitor_user="watch"), credentials) == Account("watch", "")


def test_the_place_is_the_servers() -> None:
    assert place_of(Upstream(socket="/run/m.sock")) == Place("localhost", 3306, "/run/m.sock")
    assert place_of(Upstream(host="db", port=7)) == Place("db", 7)


def test_the_way_is_that_of_the_settings() -> None:
    settings = Settings(upstream=(Upstream(host="db"),), server_tls=ServerTls(mode=ServerTlsMode.REQUIRED))
    way = way_of(settings, {"fanin_id": "5f"})
    assert (way.requires_tls, way.counts_fleet, way.announced) == (True, True, {"fanin_id": "5f"})
    assert way.tls is not None
    for budget in (BudgetSettings(fleet=3), BudgetSettings(enabled=False)):
        plain = Settings(
            upstream=(Upstream(host="db"),), server_tls=ServerTls(mode=ServerTlsMode.DISABLED), budget=budget
        )
        way = way_of(plain, {})
        assert (way.requires_tls, way.counts_fleet, way.tls) == (False, False, None)
