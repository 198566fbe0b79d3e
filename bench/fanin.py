"""`python -m bench fanin`: one load against Fanin, or against any target, and what it cost."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

import uvloop
from rich.console import Console

from bench.client import ClientError, Target, control, raise_file_limit
from bench.display import Display
from bench.fanin_process import FaninProcess
from bench.load import Group
from bench.meters import FaninPages, ProcessMeter, ServerWatch
from bench.options import add_files
from bench.report import console, draw, outcome_table, print_remarks, write_json
from bench.servers import KINDS
from bench.trial import Outcome, Trial
from bench.workload import Step
from bench.workloads import NAMES, workload_of

PREFIX = "fanin_bench_"  # of tables in a database that is not ours


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, default=2000, metavar="N", help="connections (default 2000)")
    parser.add_argument(
        "--active", type=int, default=200, metavar="M", help="of these busy at a time (default 200)"
    )
    parser.add_argument("--pool-size", type=int, default=40, metavar="P", help="Fanin's pool (default 40)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S")
    parser.add_argument(
        "--think", type=float, default=0, metavar="T", help="seconds between the turns of a busy client"
    )
    parser.add_argument("--workload", choices=NAMES, default="shop")
    parser.add_argument(
        "--statements", type=int, default=0, metavar="K", help="prepared by each client of the workload idle"
    )
    parser.add_argument(
        "--kind", choices=sorted(KINDS), default="mariadb", help="of the server that is started"
    )
    parser.add_argument(
        "--dsn", help="connect here, mysql://user:pw@host:port/db, instead of starting a server and Fanin"
    )
    parser.add_argument(
        "--server-dsn", metavar="DSN", help="with --dsn of a proxy: where to count server connections"
    )
    parser.add_argument("--pid", type=int, help="with --dsn: process whose CPU and memory to measure")
    parser.add_argument("--pages", metavar="HOST:PORT", help="with --dsn of a Fanin: where its /metrics are")
    add_files(parser, "fanin", "json", "png")


@dataclass(frozen=True, slots=True)
class Place:
    """Where clients connect to, where server connections are counted, which process is watched, whose metrics are read."""

    name: str
    target: Target
    server: Target
    proxy_pid: int | None
    server_pid: int | None
    prefix: str
    pages: str | None


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 if there was any error."""
    most = raise_file_limit()
    if options.clients > most:
        raise ValueError(
            f"{options.clients} clients need more files than one process may open: {most} at most"
        )
    out = console()
    with ExitStack() as stack:
        place, proxy = (given_place(options), None) if options.dsn else own_place(options, stack)
        outcome = uvloop.run(measure(place, options, out))
        log = proxy.last_words() if proxy is not None else []
    title = f"{outcome.workload} on {place.name}: {outcome.clients:,} clients, {outcome.active:,} busy"
    out.print(f"\n[bold]{title}[/]")
    out.print(outcome_table([outcome]))
    print_remarks(out, [outcome], log)
    write_json(options.json, title, [outcome], pool_size=None if options.dsn else options.pool_size)
    draw(options.png, [outcome], title)
    out.print(f"written: {options.json} {options.png}", style="dim")
    return 1 if outcome.errors else 0


def given_place(options: Namespace) -> Place:
    """A target that runs already."""
    target = Target.of_dsn(options.dsn)
    server = Target.of_dsn(options.server_dsn) if options.server_dsn else target
    return Place(target.address, target, server, options.pid, None, PREFIX, options.pages)


def own_place(options: Namespace, stack: ExitStack) -> tuple[Place, FaninProcess]:
    """A server and Fanin of our own."""
    server = stack.enter_context(KINDS[options.kind]())
    fanin = stack.enter_context(
        FaninProcess(
            f"{server.host}:{server.port}",
            pool_size=options.pool_size,
            max_clients=options.clients + 10,
            has_pages=True,
        )
    )
    direct = Target(server.host, server.port)
    name = f"{options.kind} through Fanin with a pool of {options.pool_size}"
    return Place(name, Target(server.host, fanin.port), direct, fanin.pid, server.pid, "", fanin.pages), fanin


async def measure(place: Place, options: Namespace, out: Console) -> Outcome:
    """One trial, with its tables made before it and, in a database that is not ours, dropped after it."""
    workload = workload_of(options.workload, place.prefix, options.statements)
    active = 0 if workload.name == "idle" else options.active
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(control(place.server))
        for statement in workload.schema(options.clients):
            await ask.run(Step(statement))
        try:
            with Display(out, options.workload, clients=options.clients, seconds=options.seconds) as display:
                return await Trial(
                    "Fanin" if place.proxy_pid and not options.dsn else place.target.address,
                    [Group(place.target, workload, options.clients, active, options.think)],
                    ServerWatch([ask]),
                    seconds=options.seconds,
                    proxy=ProcessMeter(place.proxy_pid) if place.proxy_pid else None,
                    servers=ProcessMeter(place.server_pid) if place.server_pid else None,
                    pages=FaninPages(place.pages) if place.pages else None,
                    on_sample=display.show,
                ).run()
        finally:
            if place.prefix:
                await drop(ask.target, workload.tables())


async def drop(target: Target, tables: list[str]) -> None:
    """Remove the tables, on a connection of its own: the other one may be in the middle of something."""
    async with control(target) as ask:
        for table in tables:
            try:
                await ask.rows(f"DROP TABLE IF EXISTS {table}")
            except ClientError as error:
                raise ClientError(error.label, f"table {table} stays: {error}") from error
