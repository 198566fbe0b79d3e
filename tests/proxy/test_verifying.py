"""Backends that a new writer has from before: who gets one asks first where it leads to."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from protocol.packets import Column, text_resultset
from proxy import verifying
from proxy.topology_actions import ClusterKind, Signal
from tests.fakes.client import FakeClient
from tests.fakes.cluster import NOBODY, Lab
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, NEW_CLIENT, error, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

READ = query("/* fanin: reader */ SELECT a FROM t")
WRITE = query("INSERT INTO t VALUES (1)")
QUESTION = frame(verifying.REPLICATION)


def says(server_id: bytes, innodb_read_only: bytes, read_only: bytes) -> bytes:
    values: list[bytes | None] = [server_id, innodb_read_only, read_only]
    return text_resultset([Column(b"a")] * 3, [values], status=AUTOCOMMIT, deprecate_eof=True)


def client_of(world: World) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT)


def with_reader(world: World, count: int = 1) -> list[ServerEnd]:
    """So many backends of the reader are free."""
    clients = [client_of(world) for _ in range(count)]
    for client in clients:
        client.sends(READ)
    ends = world.reader_servers[0].ends[-count:]
    for end in ends:
        end.gets(READ)
        end.answers(rows(b"1"))
    return ends


def switched(lab: Lab) -> None:
    lab.look("writer")
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    assert lab.roles() == "reader-1 | writer | "


def test_what_the_next_writer_has_free_is_used_when_it_says_that_it_is_the_one(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    (end,) = with_reader(world)
    switched(lab)
    client = client_of(world)
    for asked in (True, False):
        client.sends(WRITE)
        if asked:
            end.gets(QUESTION)
            client.gets_nothing()
            end.answers(says(b"reader-1", b"0", b"0"))
        # from then on it is like any other
        end.gets(WRITE)
        end.answers(ok())
        client.gets(ok())
    assert len(world.reader_servers[0].ends) == 1


@pytest.mark.parametrize(
    "answer", [says(b"other", b"0", b"0"), error(1317, "Query execution was interrupted"), rows()]
)
def test_one_that_leads_elsewhere_is_closed_and_another_used(make_world: MakeWorld, answer: bytes) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    (end,) = with_reader(world)
    switched(lab)
    client = client_of(world)
    client.sends(WRITE)
    while end.got() == [verifying.REPLICATION]:
        # MySQL is asked again after a KILL
        end.answers(answer)
    assert end.is_closed and monitor.signals == []
    fresh = world.reader_servers[0].last
    assert fresh is not end
    fresh.gets(WRITE)
    fresh.answers(ok())
    client.gets(ok())


def test_one_that_takes_no_writes_is_a_sign(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    (end,) = with_reader(world)
    switched(lab)
    client = client_of(world)
    client.sends(WRITE)
    end.gets(QUESTION)
    end.answers(says(b"reader-1", b"0", b"1"))
    assert end.is_closed and monitor.signals == [("reader-1", Signal.READ_ONLY_ERROR)]
    # it waits for what the servers say of that
    client.gets_nothing()
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    world.reader_servers[0].last.gets(WRITE)


def test_one_that_is_lost_meanwhile_is_no_loss(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    (end,) = with_reader(world)
    switched(lab)
    client = client_of(world)
    client.sends(WRITE)
    end.gets(QUESTION)
    end.closes()
    world.reader_servers[0].last.gets(WRITE)


def test_what_is_in_use_when_it_becomes_the_writer_is_closed_when_it_is_free(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    client = client_of(world)
    client.sends(READ)
    end = world.reader_servers[0].last
    switched(lab)
    assert not end.is_closed
    end.answers(rows(b"1"))
    client.gets(rows(b"1"))
    assert end.is_closed


def test_aurora_is_asked_in_its_own_words(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    (end,) = with_reader(world)
    core = lab.cluster.core
    assert core is not None
    switched(lab)
    core.kind = ClusterKind.AURORA  # type: ignore[misc]
    client = client_of(world)
    client.sends(WRITE)
    end.gets(frame(verifying.AURORA))


def test_without_anybody_who_knows_there_is_nothing_to_ask(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=2)
    lab = Lab(world).stable()
    (end,) = with_reader(world)
    switched(lab)
    lab.cluster.core = None
    client = client_of(world)
    client.sends(WRITE)
    end.gets(WRITE)
