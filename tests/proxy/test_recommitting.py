"""A reader refuses to end a read-only transaction: the client sees it end all the same."""

from __future__ import annotations

import pytest

from tests.fakes.client import FakeClient
from tests.fakes.reading import IN_READ_ONLY, begun, watched
from tests.fakes.scenes import client_of
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, error, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

BEGIN = query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
REFUSED = error(
    1290, "The MariaDB server is running with the --read-only option so it cannot execute this statement"
)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """With servers that are watched."""
    made = watched(make_world(readers=1))
    made.shared.facts.meet(b"10.11.0-MariaDB")
    return made


def saved(world: World, client: FakeClient) -> ServerEnd:
    """In such a transaction a savepoint was set."""
    begun(world, client, BEGIN)
    return begun(world, client, query("SAVEPOINT a"))


def refused(world: World, client: FakeClient, text: str) -> ServerEnd:
    server = saved(world, client)
    client.sends(query(text))
    server.gets(query(text))
    server.answers(REFUSED)
    client.gets_nothing()
    return server


def test_it_is_told_so_once(world: World) -> None:
    client = client_of(world)
    server = refused(world, client, "COMMIT")
    server.gets(query("ROLLBACK"))
    server.answers(REFUSED)
    client.gets_error(1792)


@pytest.mark.parametrize("text", ["COMMIT", "commit work", "/* done */ COMMIT AND NO CHAIN NO RELEASE"])
def test_a_refused_commit_is_a_rollback(world: World, text: str) -> None:
    client = client_of(world)
    server = refused(world, client, text)
    server.gets(query("ROLLBACK"))
    server.answers(ok())
    client.gets(ok())


def test_the_next_transaction_of_the_chain_is_as_read_only(world: World) -> None:
    client = client_of(world)
    server = refused(world, client, "COMMIT AND CHAIN")
    server.gets(query("START TRANSACTION READ ONLY"))
    server.answers(ok(IN_READ_ONLY))
    client.gets(ok(IN_READ_ONLY))
    client.sends(query("SELECT a FROM t"))
    server.gets(query("SELECT a FROM t"))


def test_a_session_that_ends_with_it_ends(world: World) -> None:
    client = client_of(world)
    refused(world, client, "COMMIT RELEASE").gets(query("ROLLBACK RELEASE"))


def test_a_refused_rollback_is_told(world: World) -> None:
    client = client_of(world)
    server = refused(world, client, "COMMIT")
    server.gets(query("ROLLBACK"))
    server.answers(error(1053, "Server shutdown in progress"))
    client.gets_error(1053)


def test_what_comes_after_our_own_commit_runs_once(world: World) -> None:
    client = client_of(world)
    server = saved(world, client)
    client.sends(query("BEGIN"))
    [commit] = server.got()
    assert commit.startswith(b"\x03COMMIT")
    server.answers(REFUSED)
    server.gets(query("ROLLBACK"))
    server.answers(ok())
    client.gets_nothing()
    world.server.last.gets(query("BEGIN"))
    world.server.last.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def test_other_refusals_are_the_clients(world: World) -> None:
    client = client_of(world)
    server = saved(world, client)
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(error(1105, "no"))
    client.gets_error(1105)
