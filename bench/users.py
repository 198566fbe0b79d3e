"""A user with a few busy clients beside one with hundreds, on one small pool: what do the few wait?

Each query takes a known time on the server, so what an answer takes beyond that is waiting, for a backend nearly all of it. The few are measured alone first
and then beside the others.
"""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from time import perf_counter
from typing import Final

from bench.client import Connection, Target
from bench.fanin_process import FaninProcess
from bench.histogram import Histogram
from bench.servers import HOST, PASSWORD, MariaDB, MySQL, Server
from bench.workload import Step

FEW, MANY = "few", "many"
WARM_UP: Final = 2.0
BAR: Final = 3.0
"""So many times as long as alone the few may wait at most (p99)."""
LEAST: Final = 1_000
"""Microseconds that are no wait: what a busy machine takes to run two processes in turn."""


def add_arguments(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--few", type=int, default=5, metavar="N", help="clients of the one user (5)")
    parser.add_argument("--many", type=int, default=500, metavar="N", help="clients of the other (500)")
    parser.add_argument("--pool-size", type=int, default=20, metavar="N", help="backends (20)")
    parser.add_argument("--query", type=float, default=0.05, metavar="SECONDS", help="of each query (0.05)")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S", help="of each measurement (8)")


def run(options: Namespace) -> int:
    """Measure, and print; 1 when the few have to wait for too long."""
    server: Server = MySQL() if MySQL.why_missing() is None else MariaDB()
    with ExitStack() as exits:
        exits.enter_context(server)
        for user in (FEW, MANY):
            server.sql(f"CREATE USER {user} IDENTIFIED BY '{PASSWORD}'")
            server.sql(f"GRANT ALL ON *.* TO {user}")
        fanin = exits.enter_context(
            FaninProcess(f"{HOST}:{server.port}", pool_size=options.pool_size, max_clients=2000)
        )
        alone, *_ = asyncio.run(measured(fanin.port, {FEW: options.few}, options))
        few, many = asyncio.run(measured(fanin.port, {FEW: options.few, MANY: options.many}, options))
    print(table(("few, alone", alone), ("few, beside many", few), ("many", many)))
    return 0 if few.percentile(99) <= BAR * max(LEAST, alone.percentile(99)) else 1


async def measured(port: int, clients: dict[str, int], options: Namespace) -> list[Histogram]:
    """Waits of each user's clients, in microseconds."""
    waits = {user: Histogram() for user in clients}
    async with asyncio.timeout(options.seconds + 60.0):
        opened = [
            (user, await Connection.open(Target(HOST, port, user, PASSWORD)))
            for user, count in clients.items()
            for _ in range(count)
        ]
        begin = perf_counter() + WARM_UP
        end = begin + options.seconds
        await asyncio.gather(
            *[_busy(connection, waits[user], options.query, begin, end) for user, connection in opened]
        )
    return [waits[user] for user in clients]


async def _busy(connection: Connection, waits: Histogram, query: float, begin: float, end: float) -> None:
    step = Step(f"SELECT SLEEP({query})")
    while (asked := perf_counter()) < end:
        await connection.run(step)
        if asked >= begin:
            waits.record(max(0, int((perf_counter() - asked - query) * 1e6)))
    connection.close()


def table(*rows: tuple[str, Histogram]) -> str:
    """Waits in milliseconds."""
    lines = [f"{'wait, ms':<20}{'p50':>10}{'p99':>10}{'queries':>10}"]
    lines += [
        f"{name:<20}{_milliseconds(waits, 50):>10}{_milliseconds(waits, 99):>10}{waits.total:>10}"
        for name, waits in rows
    ]
    return "\n".join(lines)


def _milliseconds(waits: Histogram, percent: float) -> str:
    return f"{waits.percentile(percent) / 1000:.1f}"
