"""`python -m bench fleet`: a fleet of sidecars before one server, simulated, next to what else could be done."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn

from bench.fleet.model import usable
from bench.fleet.policies import Budgets, Fixed, Ideal, Policy
from bench.fleet.report import page, picture, print_tables, write_json
from bench.fleet.scenarios import MINTED, SCENARIOS, Course, Profile, Sample, Scenario
from bench.report import console, number

PROFILES: Final = {"minted": MINTED}
RESULTS: Final = Path("bench-results")
FOREVER: Final = float("inf")
PROXYSQL_DEFAULT: Final = 1000
"""`max_connections` of a server in mysql_servers, which each of its processes has for itself."""


def ways(profile: Profile) -> dict[str, Callable[[], Policy]]:
    """What may be compared, by name."""
    part = int(usable(profile.limit)) // profile.sidecars
    return {
        "fanin": lambda: Budgets(profile.size),
        "ideal": Ideal,
        "split": lambda: Fixed("split", part),
        "proxysql": lambda: Fixed("proxysql", PROXYSQL_DEFAULT, idle_timeout=FOREVER),
        "direct": lambda: Fixed("direct", profile.clients, idle_timeout=FOREVER, max_age=120.0),
    }


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--profile", choices=sorted(PROFILES), default="minted")
    parser.add_argument("--sidecars", type=int, metavar="N")
    parser.add_argument("--clients", type=int, metavar="N", help="of each sidecar")
    parser.add_argument("--max-connections", type=int, metavar="N", help="of the server")
    parser.add_argument("--pool-size", type=int, metavar="N", help="most connections of one sidecar")
    parser.add_argument(
        "--ways", default="fanin,ideal,split,proxysql,direct", help="what to compare, of these"
    )
    parser.add_argument("--scenarios", help="some of them, by the beginnings of their names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="courses of each, with other seeds")
    for kind in ("json", "png", "html"):
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE", default=RESULTS / f"fleet.{kind}")


def run(options: Namespace) -> int:
    """The subcommand. Returns the exit status: 1 when the server has refused one of Fanin's connections."""
    profile = _profile(options)
    chosen = _chosen_ways(options.ways, profile)
    scenarios = _chosen_scenarios(options.scenarios)
    out = console()
    courses: list[Course] = []
    total = len(scenarios) * len(chosen) * options.seeds
    with Progress(TextColumn("{task.description}"), BarColumn(), console=out, transient=True) as progress:
        shown = _Shown(progress, total)
        for scenario in scenarios:
            for name, make in chosen.items():
                for seed in range(options.seed, options.seed + options.seeds):
                    show = shown.begins(scenario, name, seed)
                    courses.append(scenario.play(profile, make(), seed, show))
                    shown.ends()
    print_tables(out, courses)
    png = picture(courses, profile)
    for path, content in ((options.png, png), (options.html, page(courses, profile, png).encode())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    write_json(options.json, courses, profile, options.seed)
    out.print(f"Written: {options.json} {options.png} {options.html}", style="dim")
    return int(any(course.refused for course in courses if course.policy == Budgets.name))


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

    def ends(self) -> None:
        self._played += 1
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"{self._name}: {time.monotonic() - self._began:.0f} s")


def _profile(options: Namespace) -> Profile:
    profile = PROFILES[options.profile]
    changes = {
        "sidecars": options.sidecars,
        "clients": options.clients,
        "limit": options.max_connections,
        "size": options.pool_size,
    }
    wanted = {name: value for name, value in changes.items() if value is not None}
    if any(value < 1 for value in wanted.values()):
        raise ValueError("expected numbers of at least 1")
    return replace(profile, **wanted)


def _chosen_ways(names: str, profile: Profile) -> dict[str, Callable[[], Policy]]:
    known = ways(profile)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"unknown ways {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: known[name] for name in wanted}


def _chosen_scenarios(names: str | None) -> list[Scenario]:
    if names is None:
        return list(SCENARIOS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    found = [each for each in SCENARIOS if any(each.name.startswith(name) for name in wanted)]
    if not found:
        raise ValueError(f"unknown scenarios {names}; there are {', '.join(each.name for each in SCENARIOS)}")
    return found
