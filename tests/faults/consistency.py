"""Does everybody see what they have written, and never less than before? `python -m tests.faults.consistency mysql|mariadb aurora|replication [SECONDS]`.

Many sessions through Fanin, each with a row of its own in which it counts: one command in ten writes, and the next one reads it back; others read
their own row or somebody else's. Readers are behind by up to 0.8 s, differently each second; LAG says by how much instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import aiomysql

from bench.cluster import Cluster
from bench.servers import HOST, PASSWORD, SCHEMA, USER
from tests.fakes.aurora.cluster import Aurora
from tests.fakes.aurora.named_fanin import NamedFanin
from tests.integration.running import Fanin, eventually, value

SESSIONS: Final = 200
SHARE_OF_WRITES: Final = 0.1
PAUSE: Final = 0.2
"""Seconds between two commands of a session, at the most."""
LONGEST_LAG: Final = 0.8
STALE: Final = "stale reads of what was written"
BACKWARDS: Final = "reads that showed less than before"


class Session:
    """One client and what it knows."""

    def __init__(self, number: int, tally: Counter[str]) -> None:
        self.number = number
        self.tally = tally
        self.random = Random(number)
        self.written = 0
        self.seen: dict[int, int] = {}

    async def work(self, port: int, is_over: asyncio.Event) -> None:
        """Write and read until it is over."""
        client = await aiomysql.connect(
            host=HOST, port=port, user=USER, password=PASSWORD, db=SCHEMA, autocommit=True
        )
        with contextlib.closing(client):
            cursor = await client.cursor()
            while not is_over.is_set():
                await self._step(cursor)
                await asyncio.sleep(self.random.random() * PAUSE)

    async def _step(self, cursor: Any) -> None:
        row = self.number
        if self.random.random() < SHARE_OF_WRITES:
            self.written += 1
            await cursor.execute(f"UPDATE counters SET n = {self.written} WHERE id = {row}")
            self.tally["writes"] += 1
        elif self.random.random() < 0.5:
            row = self.random.randrange(SESSIONS)
        await cursor.execute(f"SELECT n, place.name FROM counters, place WHERE id = {row}")
        found, where = await cursor.fetchone()
        self.tally[f"reads on {where}"] += 1
        self.tally[STALE] += row == self.number and found != self.written
        self.tally[BACKWARDS] += found < self.seen.get(row, 0)
        self.seen[row] = found


def prepare(aurora: Aurora) -> None:
    """A table of counters, and one in which each server has its own name."""
    writer = aurora.writer.server
    writer.sql("CREATE TABLE app.counters (id INT PRIMARY KEY, n BIGINT)")
    writer.sql("INSERT INTO app.counters VALUES " + ",".join(f"({each}, 0)" for each in range(SESSIONS)))
    aurora.catch_up()
    for name, instance in aurora.instances.items():
        is_closed = aurora.kind == "mysql" and instance is not aurora.writer
        with contextlib.closing(instance.server.connect()) as root, root.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            if is_closed:
                cursor.execute("SET GLOBAL super_read_only = 0")
            cursor.execute("CREATE TABLE app.place (name VARCHAR(20))")
            cursor.execute(f"INSERT INTO app.place VALUES ('{name}')")
            root.commit()
            if is_closed:
                cursor.execute("SET GLOBAL super_read_only = 1")


def proxy(aurora: Aurora, way: str) -> Fanin:
    """In front of the emulator, or of the servers behind it, which replicate with GTIDs."""
    settings: dict[str, Any] = {"pool": {"size": 20}, "routing": {"autocommit_reads": "reader"}}
    if way == "aurora":
        return NamedFanin(aurora, topology={"kind": "aurora"}, **settings)
    upstream = [
        {
            "host": HOST,
            "port": each.server.port,
            "name": name,
            "role": "writer" if each is aurora.writer else "reader",
        }
        for name, each in aurora.instances.items()
    ]
    return Fanin(upstream=upstream, topology={"monitor_user": "root"}, **settings)


def upstream_of(cluster: Cluster) -> list[dict[str, Any]]:
    """Servers that replicate, as Fanin is told of them."""
    return [
        {"host": HOST, "port": each.port, "role": "writer" if each is cluster.writer else "reader"}
        for each in cluster.servers
    ]


def has_readers(fanin: Fanin, count: int) -> bool:
    members = fanin.state()["topology"].get("members", ())
    return sum(bool(each.get("is_eligible")) for each in members) == count


async def play(aurora: Aurora, port: int, seconds: float, lag: float | None) -> Counter[str]:
    """All sessions for so long."""
    tally: Counter[str] = Counter({STALE: 0, BACKWARDS: 0})
    is_over = asyncio.Event()
    random = Random(1)
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(SESSIONS):
            group.create_task(Session(number, tally).work(port, is_over))
        while time.monotonic() < until:
            for reader in aurora.readers:
                delay = random.random() * LONGEST_LAG if lag is None else lag
                await asyncio.to_thread(aurora.set_lag, reader.name, delay / 2, delay / 2)
            await asyncio.sleep(1.0)
        is_over.set()
    return tally


@contextlib.contextmanager
def counting(kind: str, way: str) -> Iterator[tuple[Aurora, Fanin]]:
    """Servers with counters, and Fanin in front of them, which reads from each of them."""
    with Aurora(kind, interval=0.1) as aurora:
        prepare(aurora)
        with proxy(aurora, way) as fanin:
            with contextlib.closing(fanin.connect()) as client:
                value(client, "SELECT 1")
            eventually(lambda: has_readers(fanin, len(aurora.readers)))
            yield aurora, fanin


def main(kind: str, way: str, seconds: str = "300", lag: str = "") -> int:
    """How many reads were wrong: none, with luck."""
    with counting(kind, way) as (aurora, fanin):
        tally = asyncio.run(play(aurora, fanin.port, float(seconds), float(lag) if lag else None))
        routes = fanin.state()["routes"]
        writer = aurora.writer.name
    reads = sum(count for what, count in tally.items() if what.startswith("reads on"))
    on_readers = reads - tally[f"reads on {writer}"]
    print(json.dumps({"tally": dict(sorted(tally.items())), "routes": routes}, indent=1))
    print(f"{kind}, {way}: {reads} reads, {100 * on_readers / reads:.1f} % of them on readers")
    return tally[STALE] + tally[BACKWARDS]


if __name__ == "__main__":
    sys.exit(min(1, main(*sys.argv[1:])))
