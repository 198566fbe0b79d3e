"""Read-only transactions on a reader: how they begin, and begin anew where that is lost."""

from __future__ import annotations

from protocol.constants import ServerStatus
from tests.fakes.client import FakeClient
from tests.fakes.cluster import Lab
from tests.fakes.placing import place_among, reader_end
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, ok, query
from tests.fakes.world import World

IN_READ_ONLY = IN_TRANS | int(ServerStatus.IN_TRANS_READONLY)
BEGIN = query("START TRANSACTION READ ONLY")
READ = query("SELECT a FROM t")
OTHER = query("SELECT b FROM t")


def watched(world: World) -> World:
    """With servers that are watched, and commands placed among them."""
    Lab(world).stable()
    place_among(world)
    return world


def begun(world: World, client: FakeClient, wire: bytes = BEGIN, status: int = IN_READ_ONLY) -> ServerEnd:
    client.sends(wire)
    server = reader_end(world)
    server.gets(wire)
    server.answers(ok(status))
    client.gets(ok(status))
    return server


def reads(client: FakeClient, server: ServerEnd, wire: bytes, answer: bytes) -> None:
    """On the lease that it has."""
    client.sends(wire)
    server.gets(wire)
    server.answers(answer)
    client.gets(answer)


def begins_anew(world: World) -> ServerEnd:
    """On a new connection, unseen."""
    server = reader_end(world)
    server.gets(BEGIN)
    server.answers(ok(IN_READ_ONLY))
    return server
