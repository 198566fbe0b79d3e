"""Where do 20 reads for each 3 writes go, and why? `python -m tests.faults.mixing mysql|mariadb aurora|replication [SECONDS]`.

The mixture of a fleet that asks 20,000 SELECTs and 3,000 writes a second, as fast as this machine does it: reads by themselves, after the session's own
write, in transactions that are READ ONLY and in those that are not, FOR UPDATE, and about the session; writes by themselves and in transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from random import Random
from typing import Any, Final

import aiomysql

from bench.servers import HOST, PASSWORD, SCHEMA, USER
from tests.faults.consistency import SESSIONS, counting

READ: Final = "SELECT n, place.name FROM counters, place WHERE id = {row}"
WRITE: Final = "UPDATE counters SET n = n + 1 WHERE id = {row}"

ROUND: Final[tuple[tuple[str, ...], ...]] = (
    *[(READ,)] * 12,
    (WRITE, READ),
    ("START TRANSACTION READ ONLY", READ, READ, "COMMIT"),
    ("BEGIN", READ, "SELECT n FROM counters WHERE id = {row} FOR UPDATE", WRITE, "COMMIT"),
    ("BEGIN", READ, WRITE, "COMMIT"),
    ("SELECT @@session.autocommit",),
    ("SELECT CONNECTION_ID()",),
)
"""20 SELECTs and 3 writes, in the order in which they are drawn."""


async def work(number: int, port: int, until: float, tally: Counter[str]) -> None:
    """One client: rounds in an order of its own, until it is over."""
    random = Random(number)
    client = await aiomysql.connect(
        host=HOST, port=port, user=USER, password=PASSWORD, db=SCHEMA, autocommit=True
    )
    with contextlib.closing(client):
        cursor = await client.cursor()
        while time.monotonic() < until:
            for texts in random.sample(ROUND, len(ROUND)):
                row = random.randrange(SESSIONS)
                for text in texts:
                    await _run(cursor, text.format(row=row), tally)


async def _run(cursor: Any, text: str, tally: Counter[str]) -> None:
    await cursor.execute(text)
    rows = await cursor.fetchall()
    tally[text.split(maxsplit=1)[0]] += 1
    if text.startswith("SELECT n, place.name"):
        tally[f"reads on {rows[0][1]}"] += 1


async def play(port: int, seconds: float) -> Counter[str]:
    """All clients for so long."""
    tally: Counter[str] = Counter()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(SESSIONS):
            group.create_task(work(number, port, until, tally))
    return tally


def main(kind: str, way: str, seconds: str = "30") -> None:
    with counting(kind, way) as (_, fanin):
        tally = asyncio.run(play(fanin.port, float(seconds)))
        routes = fanin.state()["routes"]
    rate = {what: tally[what] / float(seconds) for what in ("SELECT", "UPDATE")}
    print(f"{kind}, {way}: {rate['SELECT']:.0f} SELECTs and {rate['UPDATE']:.0f} writes a second")
    for where, count in sorted(tally.items()):
        if where.startswith("reads on"):
            print(f"{where:24} {count:8}")
    total = sum(sum(counts.values()) for counts in routes.values())
    for role, counts in routes.items():
        for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"{role:8} {reason:32} {count:8} {100 * count / total:5.1f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
