"""`python -m bench compare`: Fanin and its peers in turns, on one server, under the same load, in one run.

Absolute times drift on a shared machine, so every proxy is measured in every round, in an order that rotates, and what
counts is the ratio to HAProxy's CPU per query within the round. `--suite` plays all rows of what Fanin has to show, and judges them.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.client import raise_file_limit
from bench.contestants import DIRECT, FANIN, HAPROXY, PROXIES, why_missing
from bench.options import RESULTS, names_of
from bench.plays import PLAYS
from bench.report import console
from bench.servers import KINDS
from bench.suite.report import print_row, print_verdicts, write
from bench.suite.rows import Row, rows, simple
from bench.suite.stage import Length, Played, Servers, most_connections, played

USUAL: Final = (FANIN, HAPROXY, DIRECT)
LONG, SHORT = Length(5, 5.0), Length(2, 1.5)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--workload", choices=PLAYS, default="point")
    parser.add_argument("--clients", type=int, default=200, metavar="N")
    parser.add_argument("--active", type=int, default=50, metavar="M", help="of these busy at a time")
    parser.add_argument("--pool-size", type=int, default=50, metavar="P")
    parser.add_argument("--rounds", type=int, metavar="R", help="(5; with --short 2)")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="of each proxy in each round (5; with --short 1.5)"
    )
    parser.add_argument("--kind", choices=sorted(KINDS), default="mariadb", help="of server")
    parser.add_argument(
        "--proxies",
        help=f"of {', '.join(PROXIES)} (default {','.join(USUAL)}; with --suite all that are found)",
    )
    parser.add_argument("--suite", action="store_true", help="all rows of what Fanin has to show")
    parser.add_argument("--short", action="store_true", help="with --suite: some rows, in about five minutes")
    parser.add_argument(
        "--rows", metavar="NAMES", help=f"with --suite: of {', '.join(row.key for row in rows())}"
    )
    parser.add_argument("--check", action="store_true", help="1 when a bar is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="with --suite bench-results/compare.json")
    parser.add_argument("--html", type=Path, metavar="FILE", help="with --suite bench-results/compare.html")


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 if there was any error, or with --check when a bar is missed."""
    out = console()
    chosen = chosen_rows(options)
    names = contestants(options, out)
    raise_file_limit()
    done = play_all(chosen, names, options, out)
    verdicts = [verdict for each in done for verdict in each.verdicts]
    if verdicts:
        print_verdicts(out, verdicts)
    if files := write(done, command_of(options), *files_of(options)):
        out.print(f"written: {' '.join(map(str, files))}", style="dim")
    is_wrong = any(each.failure or any(outcome.errors for outcome in each.outcomes) for each in done)
    is_wrong = is_wrong or not any(each.peers for each in done)
    return int(is_wrong or (options.check and any(verdict.is_met is False for verdict in verdicts)))


def play_all(chosen: Sequence[Row], names: Sequence[str], options: Namespace, out: Console) -> list[Played]:
    """Row by row, each printed when it is over."""
    usual = SHORT if options.suite and options.short else LONG
    length = Length(options.rounds or usual.rounds, options.seconds or usual.seconds)
    done = []
    with ExitStack() as stack:
        servers = Servers(stack, most_connections(chosen, names, options.kind))
        for row in chosen:
            done.append(played(row, names, row.kind or options.kind, servers.of, length, out.print))
            print_row(out, done[-1])
    return done


def chosen_rows(options: Namespace) -> list[Row]:
    """Of the suite those that are wanted, without it the one that the options say. Raises ValueError."""
    if not options.suite:
        return [
            simple(
                options.workload,
                options.workload,
                options.clients,
                options.active,
                options.pool_size,
                bars=(),
                proxies=PROXIES,
                kind=options.kind,
            )
        ]
    there = {row.key: row for row in rows()}
    if options.rows:
        return [there[name] for name in names_of("rows", options.rows, there)]
    return [row for row in there.values() if row.is_short or not options.short]


def contestants(options: Namespace, out: Console) -> list[str]:
    """Those that are wanted and can be had; which of the named cannot is said. Raises ValueError."""
    usual = ",".join(PROXIES if options.suite else USUAL)
    names = names_of("proxies", options.proxies or usual, PROXIES)
    for name in list(names):
        if reason := why_missing(name):
            out.print(reason, markup=False)
            names.remove(name)
    return names


def files_of(options: Namespace) -> tuple[Path | None, Path | None]:
    """JSON and HTML."""
    if not options.suite:
        return options.json, options.html
    return options.json or RESULTS / "compare.json", options.html or RESULTS / "compare.html"


def command_of(options: Namespace) -> str:
    """How to do it again."""
    flags = [f"--{name.replace('_', '-')}" for name in ("suite", "short") if getattr(options, name)]
    names = ("workload", "clients", "active", "pool_size") if not options.suite else ("rows",)
    given = [
        f"--{name.replace('_', '-')} {value}"
        for name in (*names, "kind", "proxies", "seconds")
        if (value := getattr(options, name)) is not None
    ]
    return " ".join(["python -m bench compare", *flags, *given])
