"""What a session begins with: the server's init_connect, before the first command of the client."""

from __future__ import annotations

from protocol.constants import Capability
from protocol.framing import frame
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, OLD_CLIENT, PING, RESET, error, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

FIRST = "DO 0"
SELECT = query("SELECT 1")


def begins(world: World, text: str = FIRST) -> tuple[FakeClient, ServerEnd]:
    """A client of a server with this init_connect, and the backend that runs it."""
    world.server.init_connect = text.encode()
    world.shared.forget_baseline()
    client = world.client()
    return client, world.backend()


def test_it_runs_before_the_first_command(world: World) -> None:
    client, server = begins(world)
    client.sends(SELECT)
    client.sends(PING)
    # what the login has left was undone
    assert RESET[4:] in server.questions
    server.gets(query(FIRST))
    server.answers(ok())
    server.gets(SELECT)
    server.answers(ok())
    client.gets(ok(), ok())
    client.sends(RESET)
    client.gets(ok())
    server.gets_nothing()
    assert world.log.warnings() == ["server has init_connect: it is run again for each client"]


def test_nothing_runs_for_users_for_whom_the_server_runs_nothing(world: World) -> None:
    world.server.exempt.add(b"app")
    client, server = begins(world)
    server.gets_nothing()
    client.sends(SELECT)
    server.gets(SELECT)
    server.answers(ok())
    client.gets(ok())
    # that is known now, without a backend
    world.client()
    server.gets_nothing()
    assert world.pool() == "1 idle"


def test_what_it_leaves_holds_the_backend(world: World) -> None:
    client, server = begins(world, "START TRANSACTION")
    server.gets(query("START TRANSACTION"))
    server.answers(ok(IN_TRANS))
    assert world.pool() == "1 leased"
    client.leaves()
    assert world.pool() == "1 resetting"
    server.got()
    server.answers(ok())
    server.answers(ok())


def test_several_statements_need_an_option_that_the_client_has_not(world: World) -> None:
    client, server = begins(world, "DO 1; DO 2")
    client.sends(SELECT)
    server.gets(frame(b"\x1b\x00\x00"))
    server.answers(ok())
    server.gets(query("DO 1; DO 2"))
    server.answers(ok(AUTOCOMMIT | 8), ok(sequence_id=2))
    server.gets(frame(b"\x1b\x01\x00"))
    server.answers(ok())
    server.gets(SELECT)
    server.answers(ok())
    client.gets(ok())


def test_or_that_it_has(world: World) -> None:
    world.server.init_connect = b"DO 1; DO 2"
    world.shared.forget_baseline()
    client = world.connects()
    client.logs_in(capabilities=OLD_CLIENT | int(Capability.MULTI_STATEMENTS))
    server = world.backend()
    server.gets(query("DO 1; DO 2"))
    server.answers(ok(AUTOCOMMIT | 8), ok(sequence_id=2))
    server.gets_nothing()
    assert world.pool() == "1 parked"


def test_a_failure_is_the_answer_to_the_first_command(world: World) -> None:
    client, server = begins(world)
    server.answers(error(1193, "Unknown system variable"))
    client.gets_error(1184)
    assert client.is_closed and world.pool() == ""


def test_a_backend_that_is_lost_meanwhile_ends_the_session(world: World) -> None:
    client, server = begins(world)
    server.breaks()
    client.gets_error(2013)
    assert client.is_closed and world.pool() == ""


def test_a_session_that_gets_no_backend_ends(make_world: MakeWorld) -> None:
    world = make_world(pool_size=1)
    holder = world.client()
    holder.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    world.writer.init_connect = FIRST.encode()
    world.writer.initialised[b"app"] = True
    world.facts.initialised_charsets.update(world.facts.charsets)
    client = world.client()
    assert world.pool() == "1 leased, 1 waiting"
    world.tick(5.1)
    client.gets_error(1040)
    assert client.is_closed


def test_character_sets_are_those_of_users_like_this_one(world: World) -> None:
    world.writer.init_connect = FIRST.encode()
    world.writer.initialised.update({b"app": True, b"other": False})
    own = (b"latin1", b"latin1", b"latin1", b"latin1_swedish_ci")
    world.facts.initialised_charsets[45] = own
    assert world.shared.charsets_at_login(b"app", 45) == own
    assert world.shared.charsets_at_login(b"other", 45) == world.facts.charsets[45]
    world.shared.forget_baseline()
    assert world.shared.charsets_at_login(b"app", 45) is None
