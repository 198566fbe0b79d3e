"""What came of simulations: a table, a picture, and one page with both."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import pages
from bench.fleet.bars import Verdict
from bench.fleet.model import usable
from bench.fleet.scenarios import SAMPLE, Course, Profile, Sample
from bench.report import number

HEADS: Final = (
    "fleet",
    "peak, of usable",
    "refused",
    "errors",
    "wait p50 ms",
    "p99 ms",
    "longest ms",
    "opened/s",
    "shares",
)


def _connected(samples: Sequence[Sample]) -> list[float]:
    return [sample.connected for sample in samples]


def _waits(samples: Sequence[Sample]) -> list[float]:
    return [sample.wait / 1000 for sample in samples]


def _shares(samples: Sequence[Sample]) -> list[float]:
    return [sample.share for sample in samples]


def _opened(samples: Sequence[Sample]) -> list[float]:
    before = [0, *[sample.opened for sample in samples]]
    return [(sample.opened - earlier) / SAMPLE for sample, earlier in zip(samples, before, strict=False)]


DRAWN: Final[dict[str, Callable[[Sequence[Sample]], list[float]]]] = {
    "connections": _connected,
    "waits, ms": _waits,
    "how alike shares are": _shares,
    "connects/s": _opened,
}


def by_way(courses: Sequence[Course]) -> dict[str, list[Course]]:
    """Those of each way, in the order in which they were played."""
    found: dict[str, list[Course]] = {}
    for course in courses:
        found.setdefault(course.policy, []).append(course)
    return found


def worst(courses: Sequence[Course]) -> list[str]:
    """A row of the table for courses with different seeds: each figure the worst of all. Shares: Jain's index at the end."""
    rate = max(each.samples[-1].opened / each.samples[-1].at for each in courses)
    return [
        courses[0].policy,
        f"{max(each.peak for each in courses):.1%}",
        number(max(each.refused for each in courses)),
        number(max(each.errors for each in courses)),
        number(max(each.wait_p50 for each in courses) / 1000, 1),
        number(max(each.wait_p99 for each in courses) / 1000, 1),
        number(max(each.wait_most for each in courses) / 1000, 1),
        number(rate, 1),
        f"{min(each.samples[-1].share for each in courses):.3f}",
    ]


def table(scenario: str, courses: Sequence[Course]) -> Table:
    """One scenario, a row for each way to run a fleet."""
    made = Table(box=SIMPLE_HEAD, title=scenario, title_justify="left", pad_edge=False)
    for head in HEADS:
        made.add_column(head, justify="left" if head == "fleet" else "right", no_wrap=True)
    for each in by_way(courses).values():
        made.add_row(*worst(each), style=_style(each))
    return made


def _style(same: Sequence[Course]) -> str | None:
    """Of a row about these courses."""
    return "red" if any(course.refused for course in same) else None


def print_verdicts(out: Console, judged: Sequence[Verdict]) -> None:
    """A line for each scenario and bar: the worst of all seeds."""
    if not judged:
        return
    made = Table(box=SIMPLE_HEAD, title="bars", title_justify="left", pad_edge=False)
    for head in ("scenario", "what", "at most", "worst", "seed", ""):
        made.add_column(
            head, justify="right" if head in ("at most", "worst", "seed") else "left", no_wrap=True
        )
    for each in judged:
        figures = (f"{each.at_most:g}", f"{each.worst:g}", str(each.seed), "met" if each.is_met else "MISSED")
        made.add_row(each.scenario, each.what, *figures, style=None if each.is_met else "red")
    out.print(made)


def by_scenario(courses: Sequence[Course]) -> dict[str, list[Course]]:
    """In the order in which they were played."""
    found: dict[str, list[Course]] = {}
    for course in courses:
        found.setdefault(course.scenario, []).append(course)
    return found


def print_tables(out: Console, courses: Sequence[Course]) -> None:
    for scenario, each in by_scenario(courses).items():
        out.print(table(scenario, each))


def picture(courses: Sequence[Course], profile: Profile) -> bytes:
    """A PNG: for each scenario connections over time against the server's limit, the longest of average waits, shares, and connections opened; the first
    seed of each way."""
    groups = by_scenario(courses)
    size = (5 * len(DRAWN), 3 * len(groups))
    figure, fields = pages.fields(len(groups), len(DRAWN), size)
    for row, (scenario, each) in zip(fields, groups.items(), strict=True):
        for axes, (what, values) in zip(row, DRAWN.items(), strict=True):
            for same in by_way(each).values():
                samples = same[0].samples
                axes.plot(
                    [sample.at for sample in samples], values(samples), label=same[0].policy, linewidth=1
                )
            axes.set_title(f"{scenario}: {what}", fontsize=9)
            axes.grid(alpha=0.3)
        row[0].axhline(profile.limit, color="black", linewidth=1)
        row[0].axhline(usable(profile.limit), color="black", linewidth=1, linestyle=":")
        row[1].set_yscale("symlog", linthresh=1.0)
        row[2].set_ylim(0.0, 1.05)
    fields[0][0].legend(fontsize=8)
    return pages.png(figure, 80)


def page(courses: Sequence[Course], profile: Profile, png: bytes) -> str:
    """HTML that needs no other file."""
    parts: list[str] = []
    for scenario, each in by_scenario(courses).items():
        rows = [(worst(same), _style(same) or "") for same in by_way(each).values()]
        parts += [f"<h2>{html.escape(scenario)}</h2>", pages.table(HEADS, rows)]
    heading = f"{profile.sidecars} sidecars, {profile.clients} clients each, max_connections = {number(profile.limit)}"
    return pages.page("A fleet of sidecars", heading, png, parts, pages.NAMES_FIRST)


def write_json(path: Path, courses: Sequence[Course], profile: Profile, seed: int) -> None:
    """Everything, sample by sample."""
    content = {"profile": asdict(profile), "seed": seed, "courses": [asdict(each) for each in courses]}
    pages.write_json(path, content)
