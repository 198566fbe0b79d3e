"""`python -m bench real-fleet`: processes of Fanin before one MySQL that has few connections."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import Final

import uvloop
from rich.console import Console

from bench.client import Target, control, raise_file_limit
from bench.fanin_process import ProxyError
from bench.meters import ServerWatch
from bench.options import add_files
from bench.realfleet.crowd import Crowd
from bench.realfleet.plan import Phase, Plan
from bench.realfleet.report import draw, print_course, write_json
from bench.realfleet.stage import Sidecar, Strangers, numbers_of, server_of, sidecars_of, targets_of
from bench.realfleet.verdict import Course, Played, rows_of
from bench.realfleet.watch import Look, Watch
from bench.report import console
from bench.servers import KINDS, Server

AFTER: Final = 5.0
"""Seconds that are watched longer than backends may stay."""


def add_arguments(parser: ArgumentParser) -> None:
    plan = Plan()
    parser.add_argument("--sidecars", type=int, default=plan.sidecars, metavar="N")
    parser.add_argument("--clients", type=int, default=plan.clients, metavar="N", help="of each sidecar")
    parser.add_argument(
        "--max-connections", type=int, default=plan.limit, metavar="N", help="of the server (default 151)"
    )
    parser.add_argument(
        "--strangers", type=int, default=plan.strangers, metavar="N", help="connections that are not Fanin's"
    )
    parser.add_argument(
        "--pace", type=float, default=1.0, metavar="X", help="phases last so many times as long"
    )
    parser.add_argument("--kind", choices=sorted(KINDS), default="mysql")
    parser.add_argument("--seed", type=int, default=1)
    add_files(parser, "real-fleet", "json", "png")


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 when something that is wanted was not so."""
    plan = _plan(options)
    clients = plan.sidecars * plan.clients
    most = raise_file_limit()
    if clients > most:
        raise ValueError(f"{clients} clients need more files than one process may open: {most} at most")
    out = console()
    with server_of(plan, options.kind) as server:
        out.print(f"{plan.sidecars} Fanins start", style="dim")
        with sidecars_of(plan, server) as sidecars:
            course = uvloop.run(Play(plan, server, sidecars, out, options.seed).run())
    rows = rows_of(course)
    print_course(out, course, rows)
    draw(options.png, course)
    write_json(options.json, course, rows)
    out.print(f"Written: {options.json} {options.png}", style="dim")
    return int(any(row.is_met is False for row in rows))


def _plan(options: Namespace) -> Plan:
    wanted = (options.sidecars, options.clients, options.max_connections, options.pace)
    if min(wanted) <= 0 or options.strangers < 0:
        raise ValueError("expected numbers of at least 1")
    return replace(
        Plan(),
        sidecars=options.sidecars,
        clients=options.clients,
        limit=options.max_connections,
        strangers=options.strangers,
        pace=options.pace,
    )


class Play:
    """One course from the first client to the last backend."""

    def __init__(self, plan: Plan, server: Server, sidecars: list[Sidecar], out: Console, seed: int) -> None:
        self._plan = plan
        self._server = server
        self._sidecars = sidecars
        self._out = out
        self._seed = seed
        self._played: list[Played] = []

    async def run(self) -> Course:
        """All phases. Raises ClientError when the server cannot be asked."""
        plan, server = self._plan, self._server
        self._strangers = Strangers(Target(server.host, server.port), plan.strangers)
        # who is let in although the server is full
        async with control(Target(server.host, server.port, "root", "", server.schema)) as ask:
            watch = self._watch = Watch(
                ask, lambda: numbers_of(self._sidecars), plan.sidecars, lambda: self._strangers.count
            )
            counters = ServerWatch([ask])
            await counters.forget_peak()
            self._crowd = Crowd(targets_of(self._sidecars, server), plan.clients, plan.service, self._seed)
            watching = asyncio.get_running_loop().create_task(watch.run(self._show))
            try:
                await self._all_phases()
                self._crowd.stop()
                ended = watch.now()
                watch.phase = "over"
                await asyncio.sleep(2 * plan.idle_timeout + AFTER)
            finally:
                self._crowd.close()
                self._strangers.leave()
                watch.is_over = True
                await watching
            return self._course(ended, (await counters.peak())[0] + 1)

    async def _all_phases(self) -> None:
        self._watch.phase = "logins"
        await self._crowd.connect(list(range(self._plan.sidecars)))
        for phase in self._plan.phases():
            await self._play(phase)

    async def _play(self, phase: Phase) -> None:
        crowd, watch = self._crowd, self._watch
        watch.phase = phase.name
        began, answers = watch.now(), crowd.answers
        crowd.begin()
        for sidecar in range(self._plan.sidecars):
            crowd.ask_after(sidecar, self._plan.pause(phase, sidecar))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(phase.seconds))
            for sidecar in phase.kills:
                tasks.create_task(self._kill(sidecar, phase.kill_at))
            if phase.strangers is not None:
                tasks.create_task(self._visit(*phase.strangers))
        ended = watch.now()
        percentile = crowd.latencies.percentile
        self._played.append(
            Played(
                phase,
                began,
                ended,
                crowd.answers - answers,
                percentile(50),
                percentile(99),
                crowd.starved(),
            )
        )

    async def _kill(self, sidecar: int, at: float) -> None:
        await asyncio.sleep(at)
        self._crowd.gone.add(sidecar)
        await asyncio.to_thread(self._sidecars[sidecar].crash)
        await asyncio.sleep(self._plan.gone)
        try:
            await asyncio.to_thread(self._sidecars[sidecar].start)
        except ProxyError as error:
            # it stays away
            self._crowd.count("no start", str(error))
            return
        await self._crowd.revive(sidecar)

    async def _visit(self, at: float, until: float) -> None:
        await asyncio.sleep(at)
        await self._strangers.come()
        await asyncio.sleep(until - at)
        self._strangers.leave()

    def _show(self, look: Look) -> None:
        if round(look.at) % 5 == 0:
            crowd = self._crowd
            self._out.print(
                f"{look.at:4.0f} s  {look.phase}: {look.connected} connections, {look.strangers} of strangers; "
                f"{crowd.answers:,} answers, {sum(crowd.errors.values())} errors",
                style="dim",
            )

    def _course(self, ended: float, peak: int) -> Course:
        watch, crowd = self._watch, self._crowd
        for label, count in crowd.errors.items():
            self._out.print(f"{count} x {label}: {crowd.examples[label]}", style="red")
        return Course(
            plan=self._plan,
            played=self._played,
            looks=watch.looks,
            shares=watch.shares,
            statements=watch.statements,
            ended=ended,
            peak=peak,
            errors=dict(crowd.errors),
            refused=self._strangers.refused,
            unserved=crowd.unserved(),
            cut_off=crowd.cut_off,
        )
