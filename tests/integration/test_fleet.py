"""`GET /fleet`, with real servers and several Fanins."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.request import urlopen

import pymysql
import pytest

from bench.fanin_process import FaninProcess
from bench.servers import KINDS, Server
from tests.integration.running import eventually

SCHEMA_ON = {"mysql": {}, "mariadb": {"performance-schema": "ON"}}
SCHEMA_OFF = {"mysql": {"performance-schema": "OFF"}, "mariadb": {}}


class Scene:
    """A server with two Fanins, the first of which is asked."""

    def __init__(self, kind: str, options: dict[str, Any], stack: ExitStack) -> None:
        self.server: Server = stack.enter_context(KINDS[kind](options=options))
        self.server.sql("CREATE USER small IDENTIFIED BY 'small'")
        self.server.sql("GRANT SELECT ON app.* TO small")
        address = f"{self.server.host}:{self.server.port}"
        self.fanins = [
            stack.enter_context(FaninProcess(address, pool_size=3, has_pages=True)) for _ in range(2)
        ]
        self.stack = stack

    def client(self, number: int, user: str) -> None:
        """One of this Fanin's, that has a backend."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.fanins[number].port, user=user, password=user, database="app"
        )
        self.stack.enter_context(contextlib.closing(connection))
        connection.cursor().execute("BEGIN")

    def stranger(self) -> None:
        self.stack.enter_context(contextlib.closing(self.server.connect(user="app", password="app")))

    def found(self) -> Any:
        with urlopen(f"http://{self.fanins[0].pages}/fleet", timeout=10) as page:
            (endpoint,) = json.load(page)["endpoints"]
        return endpoint

    def text(self) -> str:
        with urlopen(f"http://{self.fanins[0].pages}/fleet?format=text", timeout=10) as page:
            content: bytes = page.read()
        return content.decode()


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)])
def kind(request: pytest.FixtureRequest) -> str:
    if reason := KINDS[request.param].why_missing():
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_every_sidecar_is_shown_and_everybody_else(kind: str, stack: ExitStack) -> None:
    scene = Scene(kind, SCHEMA_ON[kind], stack)
    scene.client(0, "app")
    scene.client(1, "app")
    scene.client(1, "small")
    scene.stranger()

    def all_are_there() -> bool:
        found = scene.found()
        backends = sorted(each["backends"] for each in found["sidecars"])
        return backends == [1, 2] and all(each["monitors"] == 1 for each in found["sidecars"])

    eventually(all_are_there, "both Fanins")
    found = scene.found()
    (this,) = [each for each in found["sidecars"] if each["is_this"]]
    assert (this["backends"], this["hosts"], this["users"]) == (1, ["127.0.0.1"], ["app"])
    (other,) = [each for each in found["sidecars"] if not each["is_this"]]
    assert other["users"] == ["app", "small"] and other["version"] == this["version"] != ""
    assert [(each["user"], each["host"], each["connections"]) for each in found["others"]] == [
        ("app", "127.0.0.1", 1)
    ]
    assert (found["shown"], found["connected"], found["notes"]) == (6, 6, [])
    assert "(this one)" in scene.text()


def test_without_performance_schema_users_and_hosts_are_known(kind: str, stack: ExitStack) -> None:
    scene = Scene(kind, SCHEMA_OFF[kind], stack)
    scene.client(0, "app")
    scene.client(1, "small")
    eventually(lambda: scene.found()["shown"] == 4, "both Fanins")
    found = scene.found()
    assert "performance_schema is off" in found["notes"][0] and len(found["notes"]) == 1
    (this,) = found["sidecars"]
    assert this["backends"] == 1 and this["is_this"]
    assert {(each["user"], each["connections"]) for each in found["others"]} == {("app", 2), ("small", 2)}


@pytest.mark.parametrize("has_schema", [True, False])
def test_without_privileges_only_the_own_accounts_are_known(
    kind: str, stack: ExitStack, has_schema: bool
) -> None:
    scene = Scene(kind, (SCHEMA_ON if has_schema else SCHEMA_OFF)[kind], stack)
    scene.client(0, "small")
    scene.client(1, "small")
    scene.stranger()
    eventually(lambda: scene.found()["shown"] == 4, "both Fanins")
    found = scene.found()
    assert found["notes"][-1].startswith("1 of 5 connections are not shown to the account that looks")
    assert found["notes"][-1].endswith("would show them")
    if has_schema:
        assert sorted(each["backends"] for each in found["sidecars"]) == [1, 1]
    else:
        assert [(each["user"], each["connections"]) for each in found["others"]] == [("small", 4)]
