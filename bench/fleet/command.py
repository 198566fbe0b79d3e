"""`python -m bench fleet`: a fleet of sidecars before one server, simulated, next to what else could be done."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bench.fleet.bars import verdicts
from bench.fleet.model import usable
from bench.fleet.policies import Budgets, Fixed, Ideal, Policy, Unproxied
from bench.fleet.report import page, picture, print_tables, print_verdicts, write_json
from bench.fleet.scenarios import MINTED, SCENARIOS, Course, Profile, Sample, Scenario
from bench.options import add_files, names_of, unknown, words
from bench.pages import write
from bench.report import console, number

PROFILES: Final = {"minted": MINTED}
CHECKED: Final = "fanin,ideal"
FOREVER: Final = float("inf")
PROXYSQL_DEFAULT: Final = 1000
"""`max_connections` of a server in mysql_servers, which each of its processes has for itself."""


def ways(profile: Profile, *, knows_fleet: bool = True) -> dict[str, Callable[[], Policy]]:
    """What may be compared, by name."""
    part = int(usable(profile.limit)) // profile.sidecars
    return {
        "fanin": lambda: Budgets(profile.size, knows_fleet=knows_fleet),
        "ideal": lambda: Ideal(profile.foreign),
        "split": lambda: Fixed("split", part),
        "proxysql": lambda: Fixed("proxysql", PROXYSQL_DEFAULT, FOREVER, 10.0),
        "direct": Unproxied,
    }


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--profile", choices=sorted(PROFILES), default="minted")
    parser.add_argument("--sidecars", type=int, metavar="N")
    parser.add_argument("--clients", type=int, metavar="N", help="of each sidecar")
    parser.add_argument("--max-connections", type=int, metavar="N", help="of the server")
    parser.add_argument("--foreign", type=int, metavar="N", help="others' connections that appear and leave")
    parser.add_argument(
        "--fleet", choices=("known", "unknown"), default="known", help="whether Fanin knows its size"
    )
    parser.add_argument("--pool-size", type=int, metavar="N", help="most connections of one sidecar")
    parser.add_argument(
        "--ways", default="fanin,ideal,split,proxysql,direct", help="what to compare, of these"
    )
    parser.add_argument("--scenarios", help="some of them, by the beginnings of their names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="courses of each, with other seeds")
    parser.add_argument(
        "--ideal-seeds",
        type=int,
        metavar="N",
        help="fewer courses of the ideal: others are compared with its best",
    )
    parser.add_argument(
        "--check", action="store_true", help="Fanin and the ideal only; 1 when a bar is missed"
    )
    add_files(parser, "fleet", "json", "png", "html")


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 when the server has refused one of Fanin's connections, or with --check when a bar is missed."""
    profile = _profile(options)
    names = CHECKED if options.check else options.ways
    chosen = _chosen_ways(names, profile, options.fleet == "known")
    scenarios = _chosen_scenarios(options.scenarios)
    out = console()
    courses = _play(options, profile, chosen, scenarios, out)
    print_tables(out, courses)
    _write(options, courses, profile)
    out.print(f"Written: {options.json} {options.png} {options.html}", style="dim")
    judged = verdicts(courses, scenarios)
    print_verdicts(out, judged)
    is_refused = any(course.refused for course in courses if course.policy == Budgets.name)
    return int(is_refused or (options.check and not all(each.is_met for each in judged)))


def _play(
    options: Namespace,
    profile: Profile,
    chosen: dict[str, Callable[[], Policy]],
    scenarios: list[Scenario],
    out: Console,
) -> list[Course]:
    courses: list[Course] = []
    seeds = {name: options.seeds for name in chosen}
    if options.ideal_seeds and Ideal.name in seeds:
        seeds[Ideal.name] = min(options.seeds, options.ideal_seeds)
    total = len(scenarios) * sum(seeds.values())
    with Progress(TextColumn("{task.description}"), BarColumn(), console=out, transient=True) as progress:
        shown = _Shown(progress, total)
        for scenario in scenarios:
            for name, make in chosen.items():
                for seed in range(options.seed, options.seed + seeds[name]):
                    show = shown.begins(scenario, name, seed)
                    courses.append(scenario.play(profile, make(), seed, show))
                    shown.ends(courses[-1])
    return courses


def _write(options: Namespace, courses: list[Course], profile: Profile) -> None:
    png = picture(courses, profile)
    write(options.png, png)
    write(options.html, page(courses, profile, png).encode())
    write_json(options.json, courses, profile, options.seed)


class _Shown:
    """What is being played, on the screen; elsewhere a line for each course."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=float(total))
        self._played = 0
        self._began = 0.0
        self._name = ""

    def begins(self, scenario: Scenario, name: str, seed: int) -> Callable[[Sample], None]:
        """What its samples are shown by."""
        self._began = time.monotonic()
        self._name = f"{scenario.name}, {name}, seed {seed}"

        def show(sample: Sample) -> None:
            self._progress.update(
                self._task,
                completed=self._played + sample.at / scenario.seconds,
                description=f"{scenario.name}, {name}: {number(sample.connected)} connections",
            )

        return show

    def ends(self, course: Course) -> None:
        """It is played."""
        self._played += 1
        if not self._progress.console.is_terminal:
            took = f"{time.monotonic() - self._began:.0f} s"
            self._progress.console.print(
                f"{self._name}: peak {course.peak:.1%}, p99 {course.wait_p99 / 1000:.1f} ms ({took})"
            )


def _profile(options: Namespace) -> Profile:
    profile = PROFILES[options.profile]
    changes = {
        "sidecars": options.sidecars,
        "clients": options.clients,
        "limit": options.max_connections,
        "size": options.pool_size,
        "foreign": options.foreign,
    }
    wanted = {name: value for name, value in changes.items() if value is not None}
    if any(value < (name != "foreign") for name, value in wanted.items()):
        raise ValueError("expected numbers of at least 1")
    return replace(profile, **wanted)


def _chosen_ways(names: str, profile: Profile, knows_fleet: bool) -> dict[str, Callable[[], Policy]]:
    known = ways(profile, knows_fleet=knows_fleet)
    return {name: known[name] for name in names_of("ways", names, known)}


def _chosen_scenarios(names: str | None) -> list[Scenario]:
    if names is None:
        return list(SCENARIOS)
    wanted = words(names)
    found = [each for each in SCENARIOS if any(each.name.startswith(name) for name in wanted)]
    if not found:
        raise unknown("scenarios", wanted, [each.name for each in SCENARIOS])
    return found
