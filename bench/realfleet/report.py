"""What came of a real fleet: a table, a picture, JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import pages
from bench.fleet.model import usable
from bench.meters import machine
from bench.realfleet.verdict import MOST, Course, Row
from bench.report import milliseconds, number


def print_course(out: Console, course: Course, rows: list[Row]) -> None:
    """Two tables: the phases, and what was wanted of all."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in ("phase", "answers/s", "p50", "p99", "connections at most"):
        table.add_column(head, justify="left" if head == "phase" else "right")
    for played in course.played:
        looks = [look.connected for look in course.looks if played.began <= look.at < played.ended]
        table.add_row(
            played.phase.name,
            number(played.answers / (played.ended - played.began)),
            milliseconds(played.p50 / 1000),
            milliseconds(played.p99 / 1000),
            number(max(looks, default=0)),
        )
    out.print(table)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in ("what", "bar", "measured"):
        table.add_column(head)
    for row in rows:
        table.add_row(row.what, row.bar, row.figure, style="red" if row.is_met is False else None)
    out.print(table)


def draw(path: Path, course: Course) -> None:
    """A PNG: all connections against the limit, and those of each sidecar."""
    limit = course.plan.limit
    figure, ((above,), (below,)) = pages.fields(2, 1, (11, 8), sharex=True)
    above.plot([look.at for look in course.looks], [look.connected for look in course.looks], linewidth=1)
    above.plot([look.at for look in course.looks], [look.strangers for look in course.looks], linewidth=1)
    for at, style in ((limit, "-"), (usable(limit), "--"), (MOST * usable(limit), ":")):
        above.axhline(at, color="black", linewidth=1, linestyle=style)
    above.set_ylabel("connections of the server, and strangers'")
    times = [each.at for each in course.shares]
    for sidecar in range(course.plan.sidecars):
        below.plot(times, [each.backends[sidecar] for each in course.shares], linewidth=1)
    below.set_ylabel("backends of each sidecar")
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        for played in course.played:
            axes.axvline(played.began, color="grey", linewidth=0.5)
    for played in course.played:
        above.text(played.began, limit * 1.02, played.phase.name[:18], fontsize=7)
    pages.write(path, pages.png(figure, 100))


def write_json(path: Path, course: Course, rows: list[Row]) -> None:
    """Everything, look by look."""
    content = {"machine": machine(), "rows": [asdict(row) for row in rows], **asdict(course)}
    pages.write_json(path, content)
