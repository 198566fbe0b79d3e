"""What a worker tells of its connections."""

from __future__ import annotations

from typing import Any

from proxy.credentials import Credential
from proxy.orphans import Connection, told_of
from proxy.registering import Register
from tests.fakes.wire import IN_TRANS, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

OTHER: dict[str, Any] = {"user": b"other", "password": b"other"}


def registered(world: World) -> tuple[Register, list[tuple[str, Any]]]:
    told: list[tuple[str, Any]] = []
    register = Register(lambda kind, value: told.append((kind, value)), world.loop.time)
    world.writer.register = register
    return register, told


def test_a_connection_is_told_before_anything_runs_on_it(world: World) -> None:
    _, told = registered(world)
    known: list[int] = []
    world.server.answers_itself = lambda payload: known.append(len(told))
    world.client().sends(query("SELECT 1"))
    assert known == [2]
    server = world.backend()
    assert told == [
        ("credential", ["app", told_of(credential(world, b"app"))]),
        ("opened", Connection("writer", server.server_id, "app", server.port, world.loop.time())),
    ]
    assert server.port


def credential(world: World, user: bytes) -> Credential:
    found = world.shared.credentials.find(user)
    assert found is not None
    return found


def test_it_is_told_when_it_has_ended(world: World) -> None:
    register, told = registered(world)
    client = world.client()
    client.sends(query("SELECT 1"))
    server = world.backend()
    server.answers(ok())
    register.look()
    assert [kind for kind, _ in told] == ["credential", "opened"]
    server.closes()
    register.look()
    register.look()
    assert told[2:] == [("closed", [("writer", server.server_id)])]


def test_one_that_does_not_get_further_than_its_login_is_told_too(world: World) -> None:
    register, told = registered(world)
    world.server.is_mute = True
    client = world.client()
    client.sends(query("SELECT 1"))
    world.backend().closes()
    register.look()
    assert [kind for kind, _ in told[:3]] == ["credential", "opened", "closed"]


def test_a_users_password_is_told_once_until_it_is_another(make_world: MakeWorld) -> None:
    world = make_world(pool_size=4)
    _, told = registered(world)
    for login in ({}, {}, OTHER, OTHER):
        world.client(**login).sends(query("BEGIN"))
        world.backend().answers(ok(IN_TRANS))
    kinds = [(kind, value[0]) for kind, value in told if kind == "credential"]
    assert kinds == [("credential", "app"), ("credential", "other")]
    assert sum(kind == "opened" for kind, _ in told) == 4
