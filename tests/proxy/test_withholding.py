"""The OK of what all workers have to hear of waits until they have."""

from __future__ import annotations

import asyncio

import pytest

from proxy import withholding
from proxy.credentials import Credential
from proxy.replies import Failure
from proxy.statement import CHANGES_ACCOUNT, SETS_GLOBAL
from proxy.withholding import HELD_LIMIT, PATIENCE
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, PING, error, execute, ok, prepare, prepared, query
from tests.fakes.world import World

MORE = AUTOCOMMIT | 8  # results exist
SET_PASSWORD = query("SET PASSWORD FOR 'app'@'%' = 'new'")
SET_GLOBAL = query("SET GLOBAL group_concat_max_len = 2000")


class Others:
    """They have heard when a test says so."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.have_heard: list[asyncio.Event] = []

    async def kill(self, connection_id: int, credential: Credential, is_query: bool) -> Failure | None:
        raise NotImplementedError

    def tell(self, news: int) -> None:
        self.told.append(news)

    async def heard(self) -> None:
        self.have_heard.append(asyncio.Event())
        await self.have_heard[-1].wait()


@pytest.fixture
def others(world: World) -> Others:
    """This is the first of two workers."""
    found = Others()
    world.shared.workers, world.shared.colleagues = 2, found
    return found


def runs(world: World, client: FakeClient, statement: bytes) -> ServerEnd:
    client.sends(statement)
    server = world.backend()
    server.gets(statement)
    return server


@pytest.mark.parametrize(("statement", "news"), [(SET_PASSWORD, CHANGES_ACCOUNT), (SET_GLOBAL, SETS_GLOBAL)])
def test_the_ok_comes_when_the_others_have_heard(
    world: World, others: Others, statement: bytes, news: int
) -> None:
    client = world.client()
    transport = world.frontend(client).transport
    runs(world, client, statement).answers(ok())
    assert others.told == [news]
    client.gets_nothing()
    world.loop.call(others.have_heard[0].set)
    client.gets(ok())
    assert world.frontend(client).transport is transport


def test_who_does_not_answer_is_not_waited_for(world: World, others: Others) -> None:
    client = world.client()
    runs(world, client, SET_PASSWORD).answers(ok())
    world.loop.advance(PATIENCE / 2)
    client.gets_nothing()
    world.loop.advance(PATIENCE / 2)
    client.gets(ok())


def test_nothing_else_waits(world: World, others: Others) -> None:
    client, other = world.client(), world.client()
    runs(world, client, SET_PASSWORD).answers(ok())
    other.sends(PING)
    other.gets(ok())
    # its backend is free for others
    assert world.frontend(client).backend is None


def test_pipelined_answers_keep_their_order(world: World, others: Others) -> None:
    client = world.client()
    runs(world, client, SET_PASSWORD).answers(ok())
    client.sends(PING)
    runs(world, client, SET_PASSWORD).answers(ok())
    world.loop.call(others.have_heard[0].set)
    client.gets_nothing()
    world.loop.call(others.have_heard[1].set)
    client.gets(ok(), ok(), ok())


def test_an_error_is_answered_at_once(world: World, others: Others) -> None:
    client = world.client()
    transport = world.frontend(client).transport
    runs(world, client, SET_PASSWORD).answers(error(1133))
    client.gets(error(1133))
    assert others.told == [] and world.frontend(client).transport is transport


def test_an_error_does_not_overtake(world: World, others: Others) -> None:
    client = world.client()
    runs(world, client, SET_PASSWORD).answers(ok())
    runs(world, client, SET_PASSWORD).answers(error(1133))
    client.gets_nothing()
    world.loop.call(others.have_heard[0].set)
    client.gets(ok(), error(1133))


def test_an_answer_of_ours_is_given_at_once(world: World, others: Others) -> None:
    client = world.client()
    runs(world, client, SET_PASSWORD).breaks()
    client.gets_error(2013)


def test_so_it_is_with_prepared_statements(world: World, others: Others) -> None:
    client = world.client()
    text = SET_PASSWORD[5:].decode()
    runs(world, client, prepare(text)).answers(prepared(1))
    client.got()
    client.sends(execute(1))
    server = world.backend()
    server.got()
    server.answers(ok())
    client.gets_nothing()
    world.loop.call(others.have_heard[0].set)
    client.gets(ok())


def test_an_answer_that_makes_a_pause_goes_on(world: World, others: Others) -> None:
    client = world.client()
    server = runs(world, client, SET_PASSWORD)
    world.loop.call(world.frontend(client).relay, ok(MORE))
    client.gets_nothing()
    world.loop.advance(PATIENCE)
    client.gets(ok(MORE))
    server.answers(ok())
    client.gets_nothing()
    world.loop.call(others.have_heard[0].set)
    client.gets(ok())


def test_of_much_only_the_end_is_kept_back(world: World, others: Others) -> None:
    client = world.client()
    frontend = world.frontend(client)
    runs(world, client, SET_PASSWORD)
    frontend.relay(b"a" * HELD_LIMIT)
    frontend.relay(b"b")
    world.loop.settle()
    assert client.got() == b"a" * HELD_LIMIT
    client.leaves()


def test_the_end_of_the_session_is_the_end_of_waiting(world: World, others: Others) -> None:
    client = world.client()
    runs(world, client, SET_PASSWORD).answers(ok())
    client.leaves()
    assert not world.shared.frontends
    world.loop.call(others.have_heard[0].set)


def test_a_client_that_does_not_take_its_answers_is_not_read(world: World, others: Others) -> None:
    client = world.client()
    frontend = world.frontend(client)
    runs(world, client, SET_PASSWORD).answers(ok())
    frontend.pause_writing()
    frontend.resume_writing()
    assert frontend.transport.get_extra_info("socket") is None
    world.loop.call(others.have_heard[0].set)
    client.gets(ok())


def test_without_others_there_is_nothing_in_the_way(world: World) -> None:
    client = world.client()
    transport = world.frontend(client).transport
    server = runs(world, client, SET_PASSWORD)
    assert world.frontend(client).transport is transport
    server.answers(ok())
    client.gets(ok())
    runs(world, client, SET_PASSWORD).answers(error(1133))
    client.gets(error(1133))


def test_what_was_not_kept_back_is_told_all_the_same(world: World, others: Others) -> None:
    client = world.client()
    withholding.tell(world.frontend(client), others, CHANGES_ACCOUNT)
    assert (others.told, others.have_heard) == ([CHANGES_ACCOUNT], [])
