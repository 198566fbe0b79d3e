"""Paranoid mode: nobody finds a backend as he left it, and everybody finds his own state."""

from __future__ import annotations

import pytest

from protocol.packets import Column, SessionChanges, text_resultset
from proxy.backend import Backend
from proxy.paranoid import (
    ERROR,
    SETS_VARIABLES,
    STRANGE_SCHEMA,
    STRANGERS,
    TRACES,
    USER_VARIABLES,
    WARNING,
)
from proxy.vector import Vector, is_restorable
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, error, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SELECT = query("SELECT 1 FROM t")
INSERT = query("INSERT INTO t (v) VALUES (1)")
LEVEL = b"\x03SET SESSION TRANSACTION ISOLATION LEVEL "


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(pool={"paranoid": True})


def selected(world: World, client: FakeClient) -> ServerEnd:
    client.sends(SELECT)
    server = world.backend()
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.gets(rows(b"1", deprecate_eof=False))
    return server


def dirtied(server: ServerEnd, level_variable: bytes = b"transaction_isolation") -> list[bytes]:
    """The server carries out what the stranger wants; the commands."""
    commands: list[bytes] = []
    while len(got := server.got()) == 1:
        commands += got
        if got[0].startswith(LEVEL):
            level = got[0].removeprefix(LEVEL).replace(b" ", b"-")
            server.answers(ok(changes=SessionChanges(variables=[(level_variable, level)])))
        elif got == [ERROR]:
            server.answers(error(1054))
            return commands
        elif got == [WARNING]:
            server.answers(rows(b"0", b"2", b"3"))
            return commands
        else:
            server.answers(ok())
    raise AssertionError(got)


def vector_of(world: World) -> Vector:
    (member,) = world.writer.core.members()
    assert isinstance(member, Backend) and member.vector is not None
    return member.vector


def test_a_released_backend_is_dirtied_before_anybody_gets_it(world: World) -> None:
    client = world.client(schema=b"shop")
    server = selected(world, client)
    assert world.pool() == "1 resetting"
    commands = dirtied(server)
    assert commands[0] == b"\x02" + STRANGE_SCHEMA
    assert set(TRACES) < set(commands)
    assert world.pool() == "1 idle"


def test_the_session_is_restored_on_it(world: World) -> None:
    client = world.client(schema=b"shop")
    before = world.frontend(client).session.vector
    server = selected(world, client)
    dirtied(server)
    assert vector_of(world) is not before
    client.sends(SELECT)
    assert server.got() == [b"\x02shop"]
    server.answers(ok())
    restored = server.got()
    server.answers(ok())
    while restored[0] != b"\x03SELECT 1 FROM t":
        restored = server.got()
        server.answers(ok())
    assert world.counters.restores == 1
    assert vector_of(world) is before


def test_what_the_server_reports_is_part_of_the_vector(world: World) -> None:
    server = selected(world, world.client(schema=b"shop"))
    dirtied(server, b"tx_isolation")
    vector = vector_of(world)
    assert vector.schema == STRANGE_SCHEMA
    assert vector.variables[b"tx_isolation"] == b"SERIALIZABLE"
    for name, value in STRANGERS[1]:
        assert vector.variables[name] == value or name.startswith(b"c")


def test_a_session_without_a_schema_stays_without(world: World) -> None:
    server = selected(world, world.client(schema=None))
    commands = dirtied(server)
    assert not [command for command in commands if command[:1] == b"\x02"]
    assert vector_of(world).schema is None


def test_residue_is_captured_first(world: World) -> None:
    client = world.client(schema=b"shop")
    client.sends(INSERT)
    server = world.backend()
    server.gets(INSERT)
    server.answers(ok(insert_id=7))
    client.gets(ok(insert_id=7))
    (asked,) = server.got()
    columns = asked.count(b",") + 1
    assert b"LAST_INSERT_ID()" in asked
    server.answers(
        text_resultset([Column(b"a")] * columns, [[b"7"] * columns], status=AUTOCOMMIT, deprecate_eof=True)
    )
    dirtied(server)
    assert world.pool() == "1 idle"


def test_a_command_that_comes_meanwhile_waits(world: World) -> None:
    client = world.client(schema=b"shop")
    server = selected(world, client)
    client.sends(SELECT)
    dirtied(server)
    assert world.pool() == "1 leased"


def test_strangers_take_turns(world: World) -> None:
    client = world.client(schema=b"shop")
    seen = []
    for _ in range(2):
        client.sends(SELECT)
        server = world.backend()
        while server.got() != [b"\x03SELECT 1 FROM t"]:
            server.answers(ok())
        server.answers(rows(b"1"))
        seen.append(dirtied(server)[-1])
    assert seen == [WARNING, ERROR]


def test_every_fourth_leaves_user_variables(world: World) -> None:
    client = world.client(schema=b"shop")
    seen = []
    for _ in range(4):
        client.sends(SELECT)
        server = world.backend()
        while server.got() != [b"\x03SELECT 1 FROM t"]:
            server.answers(ok())
        server.answers(rows(b"1"))
        seen.append(SETS_VARIABLES in dirtied(server))
    assert seen == [False, False, False, True]
    (member,) = world.writer.core.members()
    assert isinstance(member, Backend) and member.variables is not None
    assert member.variables.names == USER_VARIABLES


def test_what_is_held_is_left_alone(world: World) -> None:
    client = world.client(schema=b"shop")
    client.sends(query("BEGIN"))
    server = world.backend()
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    server.gets_nothing()
    assert world.pool() == "1 leased"


@pytest.mark.parametrize("answered", [0, 1, 4])
def test_a_backend_that_refuses_is_closed(world: World, answered: int) -> None:
    server = selected(world, world.client(schema=b"shop"))
    for _ in range(answered):
        server.got()
        server.answers(ok())
    assert server.got()[0] not in (ERROR, WARNING)
    server.answers(error(1193))
    assert (server.is_closed, world.pool()) == (True, "")


def test_a_backend_that_dies_meanwhile_is_gone(world: World) -> None:
    server = selected(world, world.client(schema=b"shop"))
    server.breaks()
    assert world.pool() == ""


def test_a_backend_that_does_not_answer_is_given_up(world: World) -> None:
    selected(world, world.client(schema=b"shop"))
    assert world.pool() == "1 resetting"
    world.tick(world.settings.pool.connect_timeout + 0.1)
    assert world.pool() == ""


def test_nothing_is_stolen_while_the_pool_is_paused(world: World) -> None:
    client = world.client(schema=b"shop")
    client.sends(SELECT)
    server = world.backend()
    server.gets(SELECT)
    world.writer.core.pause(world.loop.now)
    server.answers(rows(b"1"))
    assert world.pool() == "1 parked"
    server.gets_nothing()


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_strangers_have_can_be_restored(stranger: list[tuple[bytes, bytes]]) -> None:
    assert all(is_restorable(name, value) for name, value in stranger)
