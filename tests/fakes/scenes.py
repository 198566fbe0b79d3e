"""What tests of sessions begin with: a client that has come to some point, and the backend on which it got there."""

from __future__ import annotations

from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, ok, prepare, prepared, query
from tests.fakes.world import World

TEXT = "SELECT ?"
"""What `prepared_by` prepares unless told otherwise."""


def client_of(world: World, schema: bytes | None = None) -> FakeClient:
    """A client that asks for all that we offer."""
    return world.client(capabilities=NEW_CLIENT, schema=schema)


def begin(client: FakeClient, server: ServerEnd) -> None:
    """The client holds this backend from now on."""
    client.sends(query("BEGIN"))
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def in_transaction(world: World, client: FakeClient) -> ServerEnd:
    """The client has begun a transaction; its backend."""
    client.sends(query("BEGIN"))
    server = world.backend()
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    return server


def prepared_by(
    world: World,
    client: FakeClient,
    text: str = TEXT,
    *,
    real_id: int = 41,
    num_params: int = 0,
    own_id: int = 1,
) -> ServerEnd:
    """The client has prepared a statement; the backend, which knows it by another id."""
    client.sends(prepare(text))
    (server,) = [end for end in world.server.ends if end.got() == [b"\x16" + text.encode()]]
    server.answers(prepared(real_id, num_params=num_params))
    client.gets(prepared(own_id, num_params=num_params))
    return server
