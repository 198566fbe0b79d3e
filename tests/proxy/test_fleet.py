"""Servers are asked who holds connections when somebody wants to know. Real servers: tests/integration/test_fleet.py."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy import monitor_queries as queries
from proxy.fleet import KEPT, Fleet
from proxy.looking import NO_ACCOUNT
from proxy.monitor import Account, Watch
from tests.proxy.test_budgets import Scene, scene_of
from tests.proxy.test_monitor import NOT_ALLOWED, Server, rows, serving

THREADS, OWN, PLAIN = queries.holders(is_mariadb=False)
ROW = ("5f", "1.0", "shop", None, "fanin", "app", "10.0.0.1", "3", "1")


class View:
    """What a scene's process shows, with a clock that tests move."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.time = 100.0
        self.fleet = Fleet(scene.shared, lambda: self.time)

    async def endpoint(self) -> Any:
        found: Any = await self.fleet.report()
        (endpoint,) = found["endpoints"]
        return endpoint

    def asked(self, text: str = THREADS) -> int:
        return self.scene.server.asked.count(text)


def shows(scene: Scene, *found: tuple[str | None, ...], text: str = THREADS) -> None:
    scene.server.answers[text] = rows(tuple("abcdefghi"), *found)


@pytest.fixture
def logged_in() -> Account:
    return Account("app", "secret")


async def view_of(scene: Scene) -> View:
    scene.shared.writers.append(scene.endpoint)
    scene.shared.cluster = None
    scene.logs_in()
    return View(scene)


async def test_a_server_is_asked_over_the_connection_that_looks_at_it() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        shows(scene, ROW)
        await scene.until(lambda: scene.report().get("connected"))
        found = await view.endpoint()
        assert (found["connected"], found["shown"], found["age"]) == (5, 3, 0.0)
        assert found["sidecars"][0]["backends"] == 3 and found["sidecars"][0]["is_this"]
        assert scene.server.connections == 1


async def test_it_is_asked_again_when_the_answer_is_old() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        shows(scene, ROW)
        await asyncio.gather(view.endpoint(), view.endpoint())
        view.time += KEPT - 0.5
        assert (await view.endpoint())["age"] == KEPT - 0.5
        assert view.asked() == 1
        view.time += 0.5
        assert (await view.endpoint())["age"] == 0.0
        assert view.asked() == 2


async def test_who_does_not_wait_for_the_answer_leaves_it_to_the_others() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        shows(scene, ROW)
        hasty = asyncio.ensure_future(view.endpoint())  # noqa: TID251
        patient = asyncio.ensure_future(view.endpoint())  # noqa: TID251
        await scene.until(view.asked)
        hasty.cancel()
        assert (await patient)["shown"] == 3
        assert view.asked() == 1


async def test_what_may_not_be_asked_is_replaced_by_what_may() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        scene.server.answers[THREADS] = NOT_ALLOWED
        # a performance_schema that is off shows nothing
        shows(scene, text=OWN)
        shows(scene, (None,) * 5 + ("app", "10.0.0.1", "2", "1"), text=PLAIN)
        found = await view.endpoint()
        assert found["shown"] == 2 and found["others"][0]["connections"] == 2
        assert "(SELECT command denied)" in found["notes"][1]
        assert [view.asked(text) for text in (THREADS, OWN, PLAIN)] == [1, 1, 1]


async def test_too_many_groups_are_cut() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        scene.says(connected=queries.MOST_HOLDERS)
        groups = [(None,) * 5 + ("app", f"10.0.0.{number}", "1", "0") for number in range(1001)]
        shows(scene, *groups)
        found = await view.endpoint()
        assert (found["shown"], len(found["others"])) == (1000, 1000)
        assert "more groups" in found["notes"][-1]


async def test_nothing_can_be_shown_where_nobody_may_ask() -> None:
    async with scene_of() as scene:
        view = View(scene)
        scene.shared.writers.append(scene.endpoint)
        scene.shared.cluster = None
        assert NO_ACCOUNT in (await view.endpoint())["notes"][0]
        # and that is not kept
        scene.logs_in()
        shows(scene, ROW)
        assert (await view.endpoint())["shown"] == 3


async def test_nothing_can_be_shown_of_a_server_that_nobody_looks_at() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        scene.shared.budgets = None
        assert "see budget.enabled" in (await view.endpoint())["notes"][0]


async def test_a_failure_is_told_and_not_repeated_at_once() -> None:
    async with scene_of() as scene:
        view = await view_of(scene)
        for _ in range(2):
            assert "could not be asked: lost:" in (await view.endpoint())["notes"][0]
        assert 1 <= view.asked() <= 2


class Cluster:
    """A monitor that watches everything."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def watches(self, endpoint: object) -> bool:
        return True

    def watch_of(self, endpoint: object) -> Watch:
        return self.watch

    def account(self) -> Account:
        return Account("watch", "secret")


async def test_the_monitor_asks_where_it_watches(logged_in: Account) -> None:
    async with scene_of() as scene, serving(Server("10.11.5-MariaDB")) as server:
        view = await view_of(scene)
        text = queries.holders(is_mariadb=True)[0]
        server.answers[text] = rows(tuple("abcdefghi"), ROW)
        server.answers[queries.MARIADB_OCCUPANCY] = rows(tuple("abc"), ("151", "3", "0"))
        watch = Watch("w", server.place, scene.budgets._way)
        scene.shared.cluster = Cluster(watch)  # type: ignore[assignment]
        assert (await view.endpoint())["shown"] == 3
        assert server.asked == [text, queries.MARIADB_OCCUPANCY]
        watch.close()
