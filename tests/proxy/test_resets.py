"""COM_RESET_CONNECTION: with a lease and without."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from tests.fakes.client import FakeClient
from tests.fakes.responses import changed
from tests.fakes.scenes import in_transaction
from tests.fakes.server import ServerEnd
from tests.fakes.wire import RESET, error, ok, query, rows
from tests.fakes.world import World

SELECT = query("SELECT 1")
LIMITED = query("SELECT a FROM t LIMIT 5,2")


def test_a_reset_without_a_lease_is_answered_at_once(world: World) -> None:
    client = world.client()
    client.sends(RESET)
    client.gets(ok())
    assert world.server.ends == []


READ_COMMITTED = "aurora_read_replica_read_committed"


@pytest.mark.parametrize(("is_set_up", "default"), [(False, "DEFAULT"), (True, "'ON'")])
def test_what_one_session_has_set_of_auroras_the_next_finds_as_the_setup_leaves_it(
    world: World, is_set_up: bool, default: str
) -> None:
    if is_set_up:
        world.facts.set_up = [(READ_COMMITTED.encode(), b"ON")]
    client, other = world.client(), world.client()
    setting = query(f"SET SESSION {READ_COMMITTED} = OFF")
    told = ok(changes=changed((READ_COMMITTED, "OFF")))
    client.sends(setting)
    server = world.server.last
    server.gets(setting)
    server.answers(told)
    client.gets(ok())
    restore = query(f"SET SESSION {READ_COMMITTED}={default}")
    other.sends(SELECT)
    server.gets(restore)
    server.answers(ok())
    server.gets(SELECT)
    server.answers(rows(b"1"))
    other.got()
    # so does the same session when it is as new
    client.sends(SELECT)
    server.gets(query(f"SET SESSION {READ_COMMITTED}='OFF'"))
    server.answers(told)
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.got()
    client.sends(RESET)
    client.gets(ok())
    client.sends(SELECT)
    server.gets(restore)


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
    server.gets(query("SELECT FOUND_ROWS() LIMIT 1"))
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


FORGETS = query("SET SESSION collation_database=@@GLOBAL.collation_database")
OF_SCHEMA = query("SELECT @@character_set_database")


def after_reset(world: World) -> tuple[FakeClient, ServerEnd]:
    """A client in a schema, whose character set its reset has forgotten, and a backend that has forgotten it, too."""
    client = world.client(schema=b"shop")
    client.sends(RESET)
    client.gets(ok())
    client.sends(OF_SCHEMA)
    server = world.backend()
    server.gets(FORGETS)
    server.answers(ok())
    server.gets(OF_SCHEMA)
    server.answers(rows(b"utf8mb4"))
    client.got()
    return client, server


def test_a_session_finds_the_servers_character_set_for_its_schemas_after_a_reset(world: World) -> None:
    client, server = after_reset(world)
    client.sends(OF_SCHEMA)
    server.gets(OF_SCHEMA)
    server.answers(rows(b"utf8mb4"))
    other = world.client(schema=b"shop")
    other.sends(OF_SCHEMA)
    # INIT_DB brings the schema's back
    server.gets(frame(b"\x02shop"))


@pytest.mark.parametrize("name", ["", "shop "])
def test_an_altered_schema_has_its_character_set_again_and_so_have_all_backends(
    world: World, name: str
) -> None:
    client, server = after_reset(world)
    client.sends(query(f"ALTER DATABASE {name}CHARACTER SET latin1"))
    server.answers(ok())
    client.gets(ok())
    assert server.is_closed
    client.sends(OF_SCHEMA)
    new = world.backend()
    assert new is not server
    new.gets(OF_SCHEMA)


def test_a_schema_that_is_not_the_sessions_may_be_altered(world: World) -> None:
    client, server = after_reset(world)
    client.sends(query("ALTER DATABASE other CHARACTER SET latin1"))
    server.answers(ok())
    client.gets(ok())
    client.sends(OF_SCHEMA)
    world.backend().gets(FORGETS)


def test_a_reset_that_the_server_refuses_is_its_error(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(RESET)
    server.answers(error(1047))
    client.gets_error(1047)
    assert (server.is_closed, client.is_closed) == (True, True)
