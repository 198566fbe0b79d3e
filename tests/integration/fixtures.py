"""Fixtures of the tests on real servers: Fanin's processes, clients that are closed in the end, tables of one test.

Tables stay until the server goes, so that nothing waits for a lock that a failed test has left.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.servers import Server
from tests.integration.running import Fanin, Shared, run

Connect = Callable[..., Any]
MakeFanin = Callable[..., Fanin]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_fanins() -> Iterator[Shared]:
    """The processes that tests have in common."""
    shared = Shared()
    yield shared
    shared.close()


@pytest.fixture
def fanin(shared_fanins: Shared) -> Iterator[MakeFanin]:
    """`fanin(server, pool_size=1, **settings)`: a process that other tests use, too. Do not end it, leave no client behind.

    What it logs while a test uses it is shown when the test fails.
    """
    seen: dict[Fanin, int] = {}

    def make(server: Server, pool_size: int = 1, **settings: Any) -> Fanin:
        pool = {"size": pool_size, **settings.pop("pool", {})}
        made = shared_fanins.fanin(server, pool=pool, **settings)
        seen.setdefault(made, made.log.stat().st_size)
        return made

    yield make
    for used, position in seen.items():
        print(used.log.read_bytes()[position:].decode())


@pytest.fixture
def one(fanin: MakeFanin, server: Server) -> Fanin:
    """In front of either server, with a pool of one: any two clients share the backend."""
    return fanin(server, pool_size=1)


@pytest.fixture
def two(fanin: MakeFanin, server: Server) -> Fanin:
    """In front of either server, with a pool of two."""
    return fanin(server, pool_size=2)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """`connect(fanin or server, **arguments)`: a PyMySQL client that is closed when the test ends."""
    with contextlib.ExitStack() as exits:

        def make(target: Fanin | Server, **arguments: Any) -> Any:
            client = target.connect(**arguments)
            exits.callback(close_quietly, client)
            return client

        yield make


@pytest.fixture(scope="session")
def roots() -> Iterator[dict[int, Any]]:
    """The connections of `root`, by the server's port."""
    opened: dict[int, Any] = {}
    yield opened
    for client in opened.values():
        close_quietly(client)


@pytest.fixture
def root(server: Server, roots: dict[int, Any]) -> Any:
    """A direct connection as root that tests share, for making and removing things."""
    if server.port not in roots:
        roots[server.port] = server.connect()
    return roots[server.port]


@pytest.fixture
def table(root: Any) -> str:
    """A new table (id, v, s) of one test, empty."""
    name = f"app.t{next(_numbers)}"
    run(root, f"CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE, s VARCHAR(100))")
    return name


def close_quietly(client: Any) -> None:
    """Close a PyMySQL client, also one that is closed."""
    if client.open:
        client.close()
