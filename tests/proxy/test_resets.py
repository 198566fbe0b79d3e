"""COM_RESET_CONNECTION: with a lease and without."""

from __future__ import annotations

from protocol.framing import frame
from tests.fakes.scenes import in_transaction
from tests.fakes.wire import RESET, error, ok, query, rows
from tests.fakes.world import World

SELECT = query("SELECT 1")
LIMITED = query("SELECT a FROM t LIMIT 5,2")


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


def test_found_rows_that_only_the_backend_has_are_read_before_a_reset(world: World) -> None:
    client, other = world.client(), world.client()
    client.sends(LIMITED)
    server = world.backend()
    server.gets(LIMITED)
    # it may have been fewer than the offset
    server.answers(rows())
    client.sends(RESET)
    server.gets(query("SELECT FOUND_ROWS()"))
    server.answers(rows(b"3"))
    server.gets(RESET)
    server.answers(ok())
    server.answers(ok())
    other.sends(SELECT)
    server.answers(rows(b"1"))
    client.got()
    client.sends(query("SELECT FOUND_ROWS()"))
    assert b"\x013" in client.got()


def test_found_rows_that_were_lost_before_a_reset_hold_nothing_up(world: World) -> None:
    client = world.client()
    client.sends(LIMITED)
    server = world.backend()
    server.answers(rows())
    client.got()
    client.sends(RESET)
    server.closes()
    other = world.backend()
    assert other is not server
    other.gets(RESET)
    other.answers(ok())
    other.answers(ok())
    client.gets(ok())


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
