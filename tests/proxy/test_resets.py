"""COM_RESET_CONNECTION: with a lease and without."""

from __future__ import annotations

from protocol.framing import frame
from tests.fakes.scenes import in_transaction
from tests.fakes.wire import RESET, error, ok, query
from tests.fakes.world import World

SELECT = query("SELECT 1")


def test_a_reset_without_a_lease_is_answered_at_once(world: World) -> None:
    client = world.client()
    client.sends(RESET)
    client.gets(ok())
    assert world.server.ends == []


def test_a_reset_with_a_lease_resets_the_backend_and_releases_it(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(RESET)
    server.gets(RESET)
    server.answers(ok())
    server.gets(frame(b"\x03" + world.setup))
    client.gets_nothing()
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"


def test_a_command_may_come_while_another_session_is_killed_or_probed(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(RESET)
    client.sends(SELECT)
    server.got()
    server.answers(ok())
    server.answers(ok())
    client.gets(ok())
    server.gets(frame(b"\x03" + world.setup), SELECT)


def test_a_reset_that_the_server_refuses_is_its_error(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(RESET)
    server.answers(error(1047))
    client.gets_error(1047)
    assert (server.is_closed, client.is_closed) == (True, True)
