"""`python -m bench compare`: Fanin and its peers in turns, on one server, under the same load, in one run.

Absolute times drift on a shared machine, so every proxy is measured in every round, in an order that rotates, and what
counts is the ratio to HAProxy's CPU per query within the round.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from bench.client import Target, control, raise_file_limit
from bench.fanin_process import FaninProcess, ProxyProcess
from bench.haproxy_process import HaproxyProcess, find_haproxy
from bench.load import Group
from bench.meters import ProcessMeter, ServerWatch, machine
from bench.options import names_of
from bench.report import Peer, comparison_table, console, print_remarks, write_json
from bench.servers import KINDS
from bench.trial import Outcome, Trial
from bench.workload import Step, Workload
from bench.workloads import NAMES, workload_of

PROXIES = ("fanin", "haproxy", "direct")
SPARE_CONNECTIONS = 50  # of the server: monitors, and this program's own


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--workload", choices=[name for name in NAMES if name != "idle"], default="point")
    parser.add_argument("--clients", type=int, default=200, metavar="N")
    parser.add_argument("--active", type=int, default=50, metavar="M", help="of these busy at a time")
    parser.add_argument("--pool-size", type=int, default=50, metavar="P")
    parser.add_argument("--rounds", type=int, default=5, metavar="R")
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="of each proxy in each round")
    parser.add_argument("--kind", choices=sorted(KINDS), default="mariadb", help="of server")
    parser.add_argument("--proxies", default=",".join(PROXIES), help="of " + ", ".join(PROXIES))
    parser.add_argument("--json", type=Path, metavar="FILE")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to the server: through a proxy, or directly."""

    name: str
    port: int
    proxy: ProxyProcess | None


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 if there was any error."""
    names = names_of("proxies", options.proxies, PROXIES)
    out = console()
    if "haproxy" in names and find_haproxy() is None:
        out.print(
            "HAProxy is not installed (Debian: apt-get install haproxy), so there is no floor to compare with"
        )
        names.remove("haproxy")
    raise_file_limit()
    most = options.clients + SPARE_CONNECTIONS
    with (
        KINDS[options.kind](max_connections=most) as server,
        contestants(names, f"{server.host}:{server.port}", options) as field,
    ):
        peers = uvloop.run(compete(field, Target(server.host, server.port), options, out))
        log = [line for contestant in field if contestant.proxy for line in contestant.proxy.last_words()]
    title = (
        f"{options.workload} on {options.kind}: {options.clients} clients, {options.active} busy, pool of"
        f" {options.pool_size}; medians of {options.rounds} rounds of {options.seconds:g} s"
    )
    out.print(f"\n[bold]{title}[/]")
    out.print(comparison_table(peers))
    outcomes = [outcome for peer in peers for outcome in peer.rounds]
    print_remarks(out, outcomes, log)
    shares = ", ".join(f"{peer.name} {peer.median('load_share') or 0:.0%}" for peer in peers)
    out.print(f"the load's own share of a core: {shares} ({machine()['cores']} cores for everything)")
    if options.json:
        write_json(options.json, title, outcomes, summary=[summary(peer, peers) for peer in peers])
    return 1 if any(outcome.errors for outcome in outcomes) else 0


@contextmanager
def contestants(names: list[str], upstream: str, options: Namespace) -> Iterator[list[Contestant]]:
    """All proxies in front of the server at the same time: one that is not its turn does nothing."""
    with ExitStack() as stack:
        field = []
        for name in names:
            if name == "fanin":
                fanin = FaninProcess(upstream, pool_size=options.pool_size, max_clients=options.clients + 10)
                stack.enter_context(fanin)
                field.append(Contestant(name, fanin.port, fanin))
            elif name == "haproxy":
                haproxy = stack.enter_context(HaproxyProcess(upstream, max_clients=options.clients))
                field.append(Contestant(name, haproxy.port, haproxy))
            else:
                field.append(Contestant(name, int(upstream.rpartition(":")[2]), None))
        yield field


async def compete(field: list[Contestant], server: Target, options: Namespace, out: Console) -> list[Peer]:
    """All rounds. The order rotates, so that nobody always follows the same neighbour."""
    workload = workload_of(options.workload)
    rounds: dict[str, list[Outcome]] = {contestant.name: [] for contestant in field}
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(control(server))
        for statement in workload.schema(options.clients):
            await ask.run(Step(statement))
        for number in range(options.rounds):
            turn = number % len(field)
            for contestant in field[turn:] + field[:turn]:
                target = Target(server.host, contestant.port)
                outcome = await one_trial(contestant, target, workload, ServerWatch([ask]), options)
                rounds[contestant.name].append(outcome)
                out.print(round_line(number + 1, options.rounds, outcome))
    return [Peer(contestant.name, tuple(rounds[contestant.name])) for contestant in field]


async def one_trial(
    contestant: Contestant, target: Target, workload: Workload, watch: ServerWatch, options: Namespace
) -> Outcome:
    group = Group(target, workload, options.clients, options.active)
    proxy = ProcessMeter(contestant.proxy.pid) if contestant.proxy is not None else None
    return await Trial(contestant.name, [group], watch, seconds=options.seconds, proxy=proxy).run()


def round_line(number: int, rounds: int, outcome: Outcome) -> str:
    cpu = f"{outcome.total_us:6.1f} us CPU/query" if outcome.total_us is not None else " " * 19
    errors = f", {outcome.error_count} errors" if outcome.errors else ""
    rate = f"{outcome.queries_per_second:9,.0f} queries/s"
    return f"round {number}/{rounds}  {outcome.name:8} {rate}  {cpu}  p99 {outcome.p99:.1f} ms{errors}"


def summary(peer: Peer, peers: list[Peer]) -> dict[str, object]:
    """What the table shows of one peer, for programs."""
    base = next((each for each in peers if each.name == "haproxy"), None)
    figures = ("queries_per_second", "p50", "p95", "p99", "total_us", "user_us", "system_us", "load_share")
    ratios = peer.ratios(base) if base is not None else []
    user_ratios = peer.ratios(base, "user_us") if base is not None else []
    return {
        "name": peer.name,
        **{figure: peer.median(figure) for figure in figures},
        "total_us_rounds": peer.values("total_us"),
        "ratio_to_haproxy_rounds": ratios,
        "user_ratio_to_haproxy_rounds": user_ratios,
    }
