"""Clients of the reader listener that read on the writer, as no reader is near enough, and what they must not do there."""

from __future__ import annotations

import pytest

from proxy.login import Doorway
from tests.fakes.client import FakeClient
from tests.fakes.placing import place_among, readers_show
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, execute, ok, prepare, prepared, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

READ = query("SELECT a FROM t")
WRITE = query("INSERT INTO t VALUES (1)")
IN_READ = IN_TRANS | 0x2000


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One reader, and it is not known how far that is behind."""
    made = make_world(readers=1, pool_size=2)
    place_among(made)
    readers_show(made, None)
    return made


def client_of(world: World) -> FakeClient:
    client = world.connects(Doorway(True, False, None, False))
    client.logs_in(capabilities=NEW_CLIENT)
    return client


def runs(world: World, client: FakeClient, wire: bytes, answer: bytes) -> ServerEnd:
    """The writer runs it."""
    client.sends(wire)
    server = world.server.last
    server.gets(wire)
    server.answers(answer)
    client.gets(answer)
    return server


def is_refused(world: World, client: FakeClient, wire: bytes, code: int = 1290) -> None:
    """No server hears of it."""
    client.sends(wire)
    client.gets_error(code)
    world.server.last.gets_nothing()


def test_a_read_without_autocommit_opens_a_transaction_in_which_nothing_is_written(world: World) -> None:
    client = client_of(world)
    runs(world, client, READ, rows(b"1", status=IN_TRANS))
    is_refused(world, client, WRITE)
    runs(world, client, READ, rows(b"1", status=IN_TRANS))
    runs(world, client, query("COMMIT"), ok(0))


def test_a_transaction_begins_on_the_writer_and_writes_nothing(world: World) -> None:
    client = client_of(world)
    runs(world, client, query("BEGIN"), ok(IN_TRANS))
    for text in (
        "INSERT INTO t VALUES (1)",
        "CREATE TABLE u (a INT)",
        "SELECT a FROM t FOR UPDATE",
        "SELECT f(1)",
        "CALL p()",
        "COMMIT; INSERT INTO t VALUES (1)",
        "/*!99999 COMMIT; */ INSERT INTO t VALUES (1)",
        "EXECUTE p",
        "SET GLOBAL max_connections = 1",
    ):
        is_refused(world, client, query(text))
    runs(world, client, READ, rows(b"1", status=IN_TRANS))
    for text in ("SET @a = 1", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE SAVEPOINT a", "SHOW TABLES"):
        runs(world, client, query(text), ok(IN_TRANS))
    runs(world, client, query("COMMIT"), ok())


def test_nor_does_one_that_is_read_only_though_the_server_would_end_it_for_some(world: World) -> None:
    client = client_of(world)
    runs(world, client, query("START TRANSACTION READ ONLY"), ok(IN_READ))
    runs(world, client, query("SELECT a FROM t FOR UPDATE"), rows(b"1", status=IN_READ))
    for text in ("CREATE TABLE u (a INT)", "INSERT INTO t VALUES (1)", "CALL p()"):
        is_refused(world, client, query(text), 1792)
    # this one is not read-only
    runs(world, client, query("BEGIN"), ok(IN_TRANS))
    is_refused(world, client, WRITE)


def test_prepared_statements_write_nothing_either(world: World) -> None:
    client = client_of(world)
    runs(world, client, query("BEGIN"), ok(IN_TRANS))
    client.sends(prepare("INSERT INTO t VALUES (1)"))
    server = world.server.last
    server.gets(prepare("INSERT INTO t VALUES (1)"))
    server.answers(prepared(9))
    client.gets(prepared(1))
    is_refused(world, client, execute(1))
    client.sends(prepare("SELECT a FROM t"))
    server.gets(prepare("SELECT a FROM t"))
    server.answers(prepared(10))
    client.gets(prepared(2))
    client.sends(execute(2))
    server.gets(execute(10))
    server.answers(rows(b"1", status=IN_TRANS))
    client.gets(rows(b"1", status=IN_TRANS))


def test_on_a_reader_the_server_itself_refuses(world: World) -> None:
    readers_show(world, 0.0)
    client = client_of(world)
    client.sends(query("BEGIN"))
    server = world.reader_servers[0].last
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    client.sends(WRITE)
    server.gets(WRITE)


def test_a_reader_that_has_become_the_writer_does_not(world: World) -> None:
    readers_show(world, 0.0)
    client = client_of(world)
    client.sends(query("BEGIN"))
    server = world.reader_servers[0].last
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    world.shared.writers = [world.shared.readers[0]]
    client.sends(WRITE)
    client.gets_error(1290, "reader listener")
    server.gets_nothing()


def test_what_may_write_is_no_read_that_the_writer_could_have_a_share_of(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    placing.table.writer.name = world.writer.name
    placing.table.writer.weight = 1.0
    runs(world, client_of(world), READ, rows(b"1"))
    client = client_of(world)
    client.sends(WRITE)
    world.reader_servers[0].last.gets(WRITE)


def test_several_statements_that_begin_a_transaction_wait_for_no_reader(world: World) -> None:
    client = client_of(world)
    client.sends(query("BEGIN; INSERT INTO t VALUES (1)"))
    client.gets_error(1040, "no reader for this statement, which may write")
    assert world.server.ends == []
