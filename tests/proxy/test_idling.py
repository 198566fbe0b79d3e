"""wait_timeout at the client's socket."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import build_err
from proxy import idling
from proxy.connector import Facts
from proxy.session import SessionState
from proxy.vector import Vector
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, OLD_CLIENT, PING, RESET, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

MARIADB = b"5.5.5-10.11.6-MariaDB"
INACTIVE = "disconnected by the server because of inactivity"


@pytest.fixture
def limited(world: World) -> World:
    """Clients may be idle for ten seconds."""
    world.facts.wait_timeout = world.facts.interactive_timeout = 10
    world.tick()
    return world


def pass_time(world: World, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        world.tick(0.1)


def test_a_client_is_told_when_its_time_is_up(limited: World) -> None:
    client = limited.client()
    pass_time(limited, 9.9)
    assert not client.is_closed
    pass_time(limited, 0.4)
    client.gets_error(4031, INACTIVE, sequence_id=0)
    assert client.is_closed
    assert limited.counters.frontend_closes["wait-timeout"] == 1


def test_old_servers_say_nothing(limited: World) -> None:
    limited.facts.meet(b"8.0.23-log")
    client = limited.client()
    pass_time(limited, 10.3)
    client.gets_nothing()
    assert client.is_closed


def test_a_version_of_another_kind_is_taken_for_a_new_one(limited: World) -> None:
    limited.facts.meet(b"aurora")
    client = limited.client()
    pass_time(limited, 10.3)
    client.gets_error(4031, INACTIVE, sequence_id=0)


def test_every_command_begins_the_time_anew(limited: World) -> None:
    client = limited.client()
    for _ in range(3):
        pass_time(limited, 9)
        client.sends(PING)
        client.gets(ok())
    pass_time(limited, 9.9)
    assert not client.is_closed
    pass_time(limited, 0.4)
    assert client.is_closed


def test_no_client_is_idle_while_its_command_runs(limited: World) -> None:
    client = limited.client()
    client.sends(query("SELECT SLEEP(25)"))
    server = limited.backend()
    pass_time(limited, 25)
    server.gets(query("SELECT SLEEP(25)"))
    server.answers(ok())
    client.gets(ok())
    pass_time(limited, 9.9)
    assert not client.is_closed
    pass_time(limited, 10.3)
    assert client.is_closed


def test_a_transaction_is_undone(limited: World) -> None:
    client = limited.client()
    client.sends(query("BEGIN"))
    server = limited.backend()
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    server.got()
    pass_time(limited, 10.3)
    client.gets_error(4031, INACTIVE, sequence_id=0)
    assert server.got() == [b"\x1f"]
    server.answers(ok())
    server.answers(ok())


def test_what_the_server_says_of_a_held_session_is_passed_on(limited: World) -> None:
    client = limited.client()
    client.sends(query("BEGIN"))
    server = limited.backend()
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    told = frame(build_err(4031, b"HY000", b"inactivity"))
    server.answers(told)
    client.gets(told)
    assert client.is_closed


def test_other_words_of_the_server_are_not(limited: World) -> None:
    client = limited.client()
    client.sends(query("BEGIN"))
    server = limited.backend()
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    server.answers(ok())
    client.gets_nothing()
    assert client.is_closed


def test_a_backend_that_is_lost_ends_a_held_session_on_mariadb_too(make_world: MakeWorld) -> None:
    world = make_world(knows_server=False)
    world.server.version = MARIADB
    world.learn_server()
    client = world.client()
    client.sends(query("BEGIN"))
    server = world.backend()
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    server.breaks()
    client.gets_nothing()
    assert client.is_closed


def test_without_a_limit_nobody_is_watched(world: World) -> None:
    client = world.client()
    pass_time(world, 3)
    assert world.shared.idle.count == 0
    assert not client.is_closed


def test_a_reset_brings_the_servers_limit_back(limited: World) -> None:
    client = limited.client()
    limited.frontend(client).session.idle_limit = 99
    client.sends(RESET)
    client.gets(ok())
    pass_time(limited, 10.3)
    client.gets_error(4031, INACTIVE, sequence_id=0)


def test_an_interactive_client_has_a_limit_of_its_own(limited: World) -> None:
    limited.facts.interactive_timeout = 20
    client = limited.client(capabilities=OLD_CLIENT | Capability.INTERACTIVE)
    assert limited.frontend(client).session.kept == {b"wait_timeout": b"20"}
    pass_time(limited, 19)
    assert not client.is_closed
    pass_time(limited, 1.5)
    assert client.is_closed


@pytest.mark.parametrize(
    ("version", "is_reset", "limit"), [(MARIADB, False, 20), (MARIADB, True, 10), (b"8.0.36", True, 20)]
)
def test_mariadb_forgets_at_a_reset_that_a_client_is_interactive(
    version: bytes, is_reset: bool, limit: int
) -> None:
    facts = Facts(wait_timeout=10, interactive_timeout=20)
    facts.meet(version)
    session = SessionState(Vector.fresh(None, {}), AUTOCOMMIT, b"")
    idling.begin(session, facts, Capability.INTERACTIVE, is_reset)
    assert session.idle_limit == limit


class Transport:
    def __init__(self, connected: socket.socket) -> None:
        self.connected = connected

    def get_extra_info(self, name: str) -> Any:
        return self.connected


def test_mariadb_resets_the_connection(limited: World) -> None:
    limited.facts.meet(MARIADB)
    client = limited.client()
    frontend = limited.frontend(client)
    real, there, here = frontend.transport, *socket.socketpair()
    with there, here, socket.socket() as tcp:
        frontend.transport = Transport(here)
        idling.reset_at_close(frontend)
        frontend.transport = Transport(tcp)
        idling.reset_at_close(frontend)
        linger = [each.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) for each in (here, tcp)]
        assert linger == [bytes(8), b"\1\0\0\0\0\0\0\0"]
    frontend.transport = real
    pass_time(limited, 10.3)
    client.gets_nothing()
    assert client.is_closed
