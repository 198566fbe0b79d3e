"""`python -m bench demo`: 2,000 clients of a shop on 40 connections of a three-node cluster, then without Fanin."""

from __future__ import annotations

import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager

import uvloop
from rich.console import Console
from rich.text import Text

from bench.client import Target, control, raise_file_limit
from bench.cluster import Cluster
from bench.display import Display
from bench.fanin_process import DEFAULT_PORT, FaninProcess, port_or_free
from bench.load import Group
from bench.meters import ProcessMeter, ServerWatch
from bench.options import add_files
from bench.report import console, draw, outcome_table, print_remarks, write_json
from bench.servers import HOST, KINDS
from bench.trial import Outcome, Trial
from bench.workload import Catalogue, Shop, Step, Workload

SHOP = "shop"  # the database
SPARE_CONNECTIONS = 60  # of each server: replication, monitors, and this program's own
NAMES = {"mariadb": "MariaDB", "mysql": "MySQL"}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--kind", choices=sorted(KINDS), default="mariadb", help="of servers (default mariadb)"
    )
    parser.add_argument("--clients", type=int, default=2000, metavar="N", help="connections (default 2000)")
    parser.add_argument(
        "--active", type=int, default=200, metavar="M", help="of these busy at a time (default 200)"
    )
    parser.add_argument(
        "--pool-size", type=int, default=40, metavar="P", help="Fanin's, all servers together (default 40)"
    )
    parser.add_argument(
        "--seconds", type=float, default=15, metavar="S", help="of each of the two parts (default 15)"
    )
    parser.add_argument(
        "--think", type=float, default=0.1, metavar="T", help="seconds between two pages of a busy client"
    )
    parser.add_argument(
        "--keep", action="store_true", help="stay up until Ctrl-C; KEEP=1 in the environment does it too"
    )
    add_files(parser, "demo", "json", "png")


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 if any client saw an error through Fanin."""
    most = raise_file_limit()
    if options.clients > most:
        raise ValueError(
            f"{options.clients} clients need more files than one process may open: {most} at most"
        )
    keep = options.keep or os.environ.get("KEEP", "") not in ("", "0")
    out = console()
    out.print(
        f"[bold]Fanin[/]: {options.clients:,} connections of a shop's application on"
        f" {options.pool_size} connections of a {NAMES[options.kind]} cluster\n"
    )
    with ExitStack() as stack:
        cluster = Cluster(options.kind, max_connections=options.clients + SPARE_CONNECTIONS)
        with step(out, f"start {NAMES[options.kind]}: a writer and two readers with GTID replication"):
            stack.enter_context(cluster)
        stage = Stage(out, options, cluster)
        with step(out, f"fill the shop: {Shop.PRODUCTS} products, {options.clients // 3:,} customers"):
            stage.fill()
        fanin = fanin_for(cluster, options)
        with step(out, f"start Fanin: a pool of {pool_per_server(options)} for each of the three servers"):
            stack.enter_context(fanin)
        through = stage.play_through(fanin)
        log = fanin.last_words()
        fanin.stop()  # its pools would count as connections of the second part
        direct = stage.play_direct()
        show(out, options, through, direct, log)
        if keep:
            stack.enter_context(fanin)
            stay(out, fanin)
        else:
            out.print("By hand: [bold]make demo KEEP=1[/] leaves everything running and says how to connect.")
    return 1 if through.errors else 0


@contextmanager
def step(out: Console, text: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    started = time.perf_counter()
    if out.is_terminal:
        with out.status(text):
            yield
    else:
        yield
    out.print(f"  {text:76} {time.perf_counter() - started:5.1f} s", highlight=False)


def database(port: int) -> Target:
    """The shop behind a port of this machine."""
    return Target(HOST, port, database=SHOP)


def pool_per_server(options: Namespace) -> int:
    """Each server has a pool of its own: their sum is what was asked for, or a little less."""
    return max(int(options.pool_size) // 3, 1)


def fanin_for(cluster: Cluster, options: Namespace) -> FaninProcess:
    """Fanin in front of the cluster: one port for the writer, one for the readers."""
    return FaninProcess(
        address(cluster.writer.port),
        readers=[address(reader.port) for reader in cluster.readers],
        pool_size=pool_per_server(options),
        max_clients=options.clients + 100,
        port=port_or_free(DEFAULT_PORT),
        reader_port=port_or_free(DEFAULT_PORT + 1),
    )


def address(port: int) -> str:
    return f"{HOST}:{port}"


def most_direct(cluster: Cluster, clients: int) -> int:
    """How many direct connections the servers take: a third of them go to each."""
    limit = min(int(server.value("SELECT @@max_connections")) for server in cluster.servers)
    return min(clients, 3 * (limit - SPARE_CONNECTIONS))


def groups(
    shop: Workload, catalogue: Workload, writer: Target, readers: Sequence[Target], options: Namespace
) -> list[Group]:
    """A third of the clients shop, on the writer; the others look at products, on the two readers."""
    shoppers, active = options.clients // 3, options.active // 3
    result = [Group(writer, shop, shoppers, active, options.think)]
    visitors = split(options.clients - shoppers, len(readers))
    for reader, clients, busy in zip(
        readers, visitors, split(options.active - active, len(readers)), strict=True
    ):
        result.append(Group(reader, catalogue, clients, busy, options.think))
    return result


def split(total: int, parts: int) -> list[int]:
    """A number in parts that differ by at most one."""
    return [total // parts + (part < total % parts) for part in range(parts)]


class Stage:
    """The cluster with the shop's tables, where both parts are played by the same clients' scripts."""

    def __init__(self, out: Console, options: Namespace, cluster: Cluster) -> None:
        self._out = out
        self._options = options
        self._cluster = cluster
        self._shop = Shop()
        self._catalogue = Catalogue()

    def fill(self) -> None:
        """Make the tables on the writer, and wait until the readers have them."""
        self._cluster.writer.sql(f"CREATE DATABASE {SHOP}")
        uvloop.run(self._make_tables())
        self._cluster.catch_up()

    def play_through(self, fanin: FaninProcess) -> Outcome:
        """The first part."""
        writer, reader = (database(port) for port in fanin.ports)
        return self._play("through Fanin", writer, [reader], self._options.clients, ProcessMeter(fanin.pid))

    def play_direct(self) -> Outcome:
        """The second part, with as many of the clients as the servers take."""
        cluster = self._cluster
        readers = [database(reader.port) for reader in cluster.readers]
        clients = most_direct(cluster, self._options.clients)
        return self._play("direct", database(cluster.writer.port), readers, clients, None)

    def _play(
        self, name: str, writer: Target, readers: Sequence[Target], clients: int, proxy: ProcessMeter | None
    ) -> Outcome:
        options = Namespace(**{**vars(self._options), "clients": clients})
        parts = groups(self._shop, self._catalogue, writer, readers, options)
        with Display(self._out, name, clients=clients, seconds=options.seconds) as display:
            return uvloop.run(self._trial(name, parts, proxy, display))

    async def _trial(
        self, name: str, parts: Sequence[Group], proxy: ProcessMeter | None, display: Display
    ) -> Outcome:
        servers = self._cluster.servers
        async with AsyncExitStack() as stack:
            asking = [
                await stack.enter_async_context(control(Target(HOST, server.port))) for server in servers
            ]
            return await Trial(
                name,
                parts,
                ServerWatch(asking),
                seconds=self._options.seconds,
                proxy=proxy,
                servers=ProcessMeter(*(server.pid for server in servers)),
                on_sample=display.show,
            ).run()

    async def _make_tables(self) -> None:
        async with control(database(self._cluster.writer.port)) as ask:
            for statement in self._shop.schema(self._options.clients):
                await ask.run(Step(statement))


def show(out: Console, options: Namespace, through: Outcome, direct: Outcome, log: Sequence[str]) -> None:
    """The table, what is behind it, and the files."""
    out.print(outcome_table([through, direct]))
    if direct.clients < options.clients:
        out.print(
            f"direct: the servers take no more than {direct.clients:,} of the {options.clients:,} clients",
            style="yellow",
        )
    print_remarks(out, [through, direct], log)
    replication = sum(through.before)
    out.print(
        f"Server connections: writer + reader + reader, as the servers count them; {replication} are replication.\n"
        "A third of the clients browse and order on the writer: single statements, BEGIN ... COMMIT, and a\n"
        "quarter of them with autocommit off. The others look at products on the readers. Every answer was\n"
        f"compared with what that client must see. Busy clients pause {options.think * 1000:.0f} ms between two pages.",
        style="dim",
    )
    write_json(options.json, "demo", [through, direct], kind=options.kind, pool_size=options.pool_size)
    draw(options.png, [through, direct], f"A shop on a {NAMES[options.kind]} cluster")
    out.print(f"Written: {options.json} {options.png}\n", style="dim")


def stay(out: Console, fanin: FaninProcess) -> None:
    """Keep everything running until Ctrl-C."""
    for role, port in (("writer", fanin.port), ("readers", fanin.ports[1])):
        target = database(port)
        out.print(f"  {role:8} [bold]{target.command}[/]")
        out.print(f"  {'':8} {target.dsn}")
    out.print(Text("\nEverything stays up until Ctrl-C.", style="green"))
    try:
        signal.pause()
    except KeyboardInterrupt:
        out.print("\nStopping.")
