"""Paths of queries through the proxy, without sockets: the guard of their instructions runs each a thousand times.

`python -m tests.bench.query_path COUNT` plays all of them as often. When it runs in callgrind, that counts meanwhile, and dumps what it has counted under the name of
each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from protocol.packets import Column, text_resultset
from tests.fakes.scenes import prepared_by
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, NEW_CLIENT, OLD_CLIENT, execute, ok, query, rows
from tests.fakes.world import World

WARM_UP: Final = 50
CROWD: Final = 10
BODY: Final = b"x" * 100
TEXT: Final = "SELECT id, owner, body FROM rows_point WHERE id = 1234"
COLUMNS: Final = [Column(name) for name in (b"id", b"owner", b"body")]
PARAMETER: Final = b"\0\x01\x08\0" + (1234).to_bytes(8, "little")


def answer(count: int) -> bytes:
    """So many rows, as a backend sends them."""
    return text_resultset(COLUMNS, [[b"1234", b"1234", BODY]] * count, status=AUTOCOMMIT, deprecate_eof=True)


class Sink:
    """The transport of a client or of a backend: what is written is gone."""

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes = 0

    def write(self, wire: bytes) -> None:
        self.writes += 1


class QueuePath:
    """More sessions than the one backend: each query waits until all the others' have been answered."""

    def __init__(self) -> None:
        self.world = World(pool={"reserve": 0})
        clients = [self.world.client(capabilities=OLD_CLIENT) for _ in range(CROWD)]
        clients[0].sends(query("SELECT 1"))
        server = self.world.backend()
        server.answers(rows(b"1"))
        self.clients: Any = [self.world.frontend(client) for client in clients]
        self.backend: Any = server.transport.get_protocol()
        self.asked = self.backend.transport = Sink()
        self.answered = Sink()
        for client in self.clients:
            client.transport = self.answered
            client.data_received(query(TEXT))

    def play(self, count: int) -> None:
        """So many queries."""
        clients, backend, command, response = self.clients, self.backend, query(TEXT), answer(1)
        for number in range(count):
            backend.data_received(response)
            clients[number % CROWD].data_received(command)


class QueryPath:
    """A session and its backend, and what they say in turns."""

    def __init__(self, name: str) -> None:
        """`name`: one of TURNS, or PREPARED."""
        self.world = World()
        client = self.world.client(capabilities=NEW_CLIENT if name == PREPARED else OLD_CLIENT)
        if name == PREPARED:
            server = prepared_by(self.world, client, "SELECT ?", num_params=1)
            self.turns: Sequence[tuple[bytes, bytes]] = [(execute(1, params=PARAMETER), rows(b"1"))]
        else:
            client.sends(query("SELECT 1"))
            server = self.world.backend()
            server.answers(rows(b"1"))
            self.turns = TURNS[name]
        self.client: Any = self.world.frontend(client)
        self.backend: Any = server.transport.get_protocol()
        self.client.transport, self.backend.transport = self.asked, self.answered = Sink(), Sink()

    def play(self, count: int) -> None:
        """All turns, so many times."""
        client, backend, turns = self.client, self.backend, self.turns
        for _ in range(count):
            for command, response in turns:
                client.data_received(command)
                backend.data_received(response)


TURNS: Final[dict[str, Sequence[tuple[bytes, bytes]]]] = {
    "point": [(query(TEXT), answer(1))],
    "rows100": [(query(TEXT), answer(100))],
    "transaction": [
        (query("BEGIN"), ok(IN_TRANS)),
        (query("UPDATE customers SET visits = visits + 1 WHERE id = 7"), ok(IN_TRANS)),
        (query("COMMIT"), ok()),
    ],
}
PREPARED: Final = "prepared"
QUEUE: Final = "queue"
NAMES: Final = (*TURNS, PREPARED, QUEUE)


def tell_callgrind(*command: str) -> None:
    """One of its monitor commands. Harmless where it does not run."""
    prefix = [f"--vgdb-prefix={where}"] if (where := os.environ.get("VGDB_PREFIX")) else []
    subprocess.run(["vgdb", *prefix, f"--pid={os.getpid()}", *command], capture_output=True, check=False)


def main(arguments: Sequence[str]) -> int:
    (count,) = arguments
    for name in NAMES:
        path = QueuePath() if name == QUEUE else QueryPath(name)
        path.play(WARM_UP)
        tell_callgrind("instrumentation", "on")
        path.play(int(count))
        tell_callgrind("instrumentation", "off")
        tell_callgrind("dump", name)
        print(name, path.answered.writes, path.asked.writes, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
