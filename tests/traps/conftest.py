"""Fixtures of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.servers import Server
from tests.integration.fixtures import MakeFanin, connect, fanin, one, root, roots, shared_fanins, table
from tests.integration.running import Fanin, run
from tests.traps.relay import Relay, Routed
from tests.traps.trap import CONTENT, Thief, Trap

__all__ = [
    "connect",
    "fanin",
    "one",
    "root",
    "roots",
    "routed",
    "routes",
    "shared_fanins",
    "table",
    "thieves",
    "trap",
]


@pytest.fixture(scope="module")
def thieves(shared_fanins: object) -> Iterator[dict[int, Thief]]:
    """One in front of each server, by its port. For one module: others may end the connection on which it has left something."""
    made: dict[int, Thief] = {}
    yield made
    for thief in made.values():
        thief.client.close()


@pytest.fixture(scope="session")
def prepared() -> set[int]:
    """Ports of servers that have the tables of these tests."""
    return set()


@pytest.fixture
def trap(server: Server, one: Fanin, root: Any, thieves: dict[int, Thief], prepared: set[int]) -> Trap:
    """A pool of one in front of either server, and its thief."""
    if server.port not in prepared:
        run(root, *CONTENT)
        prepared.add(server.port)
    thief = thieves.get(one.port)
    if thief is not None and not thief.is_fit:
        thief.client.close()
        thief = None
    if thief is None:
        thief = thieves[one.port] = Thief(one)
    return Trap(server, one, root, thief)


@pytest.fixture(scope="session")
def routes() -> Iterator[dict[int, list[Relay]]]:
    """The ways to each server, by its port."""
    made: dict[int, list[Relay]] = {}
    yield made
    for relays in made.values():
        for relay in relays:
            relay.stop()


@pytest.fixture
def routed(server: Server, fanin: MakeFanin, routes: dict[int, list[Relay]]) -> Routed:
    """The same server as writer and as two readers, which have seen nothing of other tests."""
    if server.port not in routes:
        routes[server.port] = [Relay(server.port).start() for _ in range(3)]
    relays = routes[server.port]
    for relay in relays:
        relay.forget()
    roles = (("writer", "writer"), ("reader-1", "reader"), ("reader-2", "reader"))
    upstream = [relay.upstream(*role) for relay, role in zip(relays, roles, strict=True)]
    plain = {"mode": "disabled"}
    return Routed(
        fanin(server, upstream=upstream, has_readers=True, server_tls=plain, topology={"kind": "static"}),
        relays,
    )
