"""What came of simulations: a table, a picture, and one page with both."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.fleet.model import usable
from bench.fleet.scenarios import Course, Profile
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
SETTLED: Final = 30.0
"""Seconds for which shares may be unequal after the beginning."""


def cells(course: Course) -> list[str]:
    """A row of the table. Shares: Jain's index at the end."""
    last = course.samples[-1]
    return [
        course.policy,
        f"{course.peak:.1%}",
        number(course.refused),
        number(course.errors),
        number(course.wait_p50 / 1000, 1),
        number(course.wait_p99 / 1000, 1),
        number(course.wait_most / 1000, 1),
        number(last.opened / last.at, 1),
        f"{last.share:.3f}",
    ]


def table(scenario: str, courses: Sequence[Course]) -> Table:
    """One scenario, a row for each way to run a fleet."""
    made = Table(box=SIMPLE_HEAD, title=scenario, title_justify="left", pad_edge=False)
    for head in HEADS:
        made.add_column(head, justify="left" if head == "fleet" else "right", no_wrap=True)
    for course in courses:
        made.add_row(*cells(course), style="red" if course.refused else None)
    return made


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
    """A PNG: connections over time against the server's limit, a field for each scenario."""
    import matplotlib  # slow to import, and not needed for the rest

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = by_scenario(courses)
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure, fields = pyplot.subplots(rows, columns, figsize=(6 * columns, 4 * rows), squeeze=False)
    for axes, (scenario, each) in zip(fields.flat, groups.items(), strict=False):
        for course in each:
            times = [sample.at for sample in course.samples]
            axes.plot(times, [sample.connected for sample in course.samples], label=course.policy)
        axes.axhline(profile.limit, color="black", linewidth=1)
        axes.axhline(usable(profile.limit), color="black", linewidth=1, linestyle=":")
        axes.set_title(scenario)
        axes.set_xlabel("seconds")
        axes.set_ylabel("connections")
        axes.grid(alpha=0.3)
    for axes in list(fields.flat)[len(groups) :]:
        axes.axis("off")
    fields.flat[0].legend()
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, dpi=100)
    pyplot.close(figure)
    return content.getvalue()


def page(courses: Sequence[Course], profile: Profile, png: bytes) -> str:
    """HTML that needs no other file."""
    parts = [
        "<!doctype html><meta charset='utf-8'><title>A fleet of sidecars</title>",
        "<style>body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
        "td:first-child,th:first-child{text-align:left}.red{color:#b00}img{max-width:100%}</style>",
        f"<h1>{profile.sidecars} sidecars, {profile.clients} clients each, max_connections = {number(profile.limit)}</h1>",
        f"<img src='data:image/png;base64,{base64.b64encode(png).decode()}'>",
    ]
    for scenario, each in by_scenario(courses).items():
        parts.append(f"<h2>{html.escape(scenario)}</h2><table><tr>")
        parts += [f"<th>{html.escape(head)}</th>" for head in HEADS]
        for course in each:
            parts.append(f"<tr class='{'red' if course.refused else ''}'>")
            parts += [f"<td>{html.escape(cell)}</td>" for cell in cells(course)]
        parts.append("</table>")
    return "\n".join(parts) + "\n"


def write_json(path: Path, courses: Sequence[Course], profile: Profile, seed: int) -> None:
    """Everything, sample by sample."""
    content = {"profile": asdict(profile), "seed": seed, "courses": [asdict(each) for each in courses]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n")
