"""What came of a replay: a table, a picture, and one page with both."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import pages
from bench.histogram import Histogram
from bench.report import number
from bench.whatif.recorded import Recorded
from bench.whatif.replay import Result
from bench.whatif.search import Answer, is_enough

FOREIGN: Final = 2.0
FOREIGN_LEAST: Final = 5000
"""Measured waits that are so many times as long as replayed ones, and longer than so many microseconds, are not the pool's."""
HEADS: Final = (
    "size",
    "idle s",
    "wait p50 ms",
    "p99 ms",
    "longest ms",
    "errors",
    "open",
    "most",
    "opened",
    "served",
)


def cells(result: Result) -> list[str]:
    """A row of the table."""
    return [
        number(result.size),
        number(result.idle_timeout),
        number(result.wait_p50 / 1000, 1),
        number(result.wait_p99 / 1000, 1),
        number(result.wait_most / 1000, 1),
        number(result.timeouts),
        number(result.connections, 1),
        number(result.peak),
        number(result.opened),
        number(result.served),
    ]


def rows(found: Answer) -> list[tuple[list[str], str]]:
    """All rows with their style: bold what is recommended, red what is not enough."""
    made = [(cells(result), _style(found, result)) for result in found.results]
    idle = [(cells(result), "dim") for result in found.idle if result not in found.results]
    return made + idle


def _style(found: Answer, result: Result) -> str:
    if result == found.recommended:
        return "bold"
    return "" if is_enough(result, found.wait) else "red"


def measured(recorded: Recorded, found: Answer) -> str:
    """What the recording itself says, to be compared with the row of the recorded size."""
    pool = found.traffic.pool
    waits: Histogram = recorded.waits_of(pool)
    return (
        f"{pool.name}: {number(pool.leases)} leases in {recorded.seconds:.0f} s, {recorded.sample:.1%} of the sessions recorded, room for {pool.size} connections, "
        f"{found.traffic.busy:.1f} in use on average, {number(pool.refused)} errors; "
        f"waits as measured: p50 {waits.percentile(50) / 1000:.1f} ms, p99 {waits.percentile(99) / 1000:.1f} ms, longest {waits.maximum / 1000:.1f} ms"
    )


def remark(recorded: Recorded, found: Answer) -> str:
    """What a reader must know: waits that were none of the pool's doing. "" when there were none."""
    pool = found.traffic.pool
    waited = recorded.waits_of(pool).percentile(99)
    # the recorded size is tried first, always
    (same,) = [result.wait_p99 for result in found.results if result.size == pool.size]
    if waited <= max(FOREIGN * same, FOREIGN_LEAST):
        return ""
    return (
        f"The replay with {pool.size} connections has waits of {same / 1000:.1f} ms (p99) and not {waited / 1000:.1f} ms: the rest is no wait "
        "for the pool, but for a process or machine that had no time; no size helps against that"
    )


def print_answer(out: Console, recorded: Recorded, found: Answer) -> None:
    out.print(f"\n{measured(recorded, found)}")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for row, style in rows(found):
        table.add_row(*row, style=style or None)
    out.print(table)
    out.print(found.reason, style="bold")
    if text := remark(recorded, found):
        out.print(text, style="yellow")


def picture(answers: Sequence[Answer]) -> bytes:
    """A PNG: waits and connections by pool size, a field for each server."""
    figure, fields = pages.fields(1, len(answers), (7 * len(answers), 4.5))
    for axes, found in zip(fields.flat, answers, strict=True):
        sizes = [result.size for result in found.results]
        axes.plot(sizes, [result.wait_p99 / 1000 for result in found.results], "o-", label="wait p99, ms")
        axes.plot(sizes, [result.wait_p50 / 1000 for result in found.results], "o-", label="wait p50, ms")
        axes.plot(sizes, [result.connections for result in found.results], "s--", label="connections")
        axes.axhline(found.wait * 1000, color="black", linewidth=1, linestyle=":")
        if found.recommended is not None:
            axes.axvline(found.recommended.size, color="black", linewidth=1)
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(bottom=0)
        axes.set_title(found.traffic.pool.name)
        axes.set_xlabel("pool.size")
        axes.grid(alpha=0.3)
        axes.legend()
    return pages.png(figure, 100)


def page(recorded: Recorded, answers: Sequence[Answer], png: bytes) -> str:
    """HTML that needs no other file."""
    parts: list[str] = []
    for found in answers:
        parts.append(f"<h2>{html.escape(found.traffic.pool.name)}</h2>")
        parts.append(f"<p>{html.escape(measured(recorded, found))}</p>")
        parts.append(
            f"<p><b>{html.escape(found.reason)}</b></p><p>{html.escape(remark(recorded, found))}</p>"
        )
        parts.append(pages.table(HEADS, rows(found)))
    heading = f"{recorded.about}: what other pool sizes would have done"
    return pages.page("Other pool sizes", heading, png, parts)


def write_json(path: Path, recorded: Recorded, answers: Sequence[Answer], seed: int) -> None:
    """Everything but the sessions."""
    content = {
        "about": recorded.about,
        "seconds": recorded.seconds,
        "sample": recorded.sample,
        "sessions": len(recorded.sessions),
        "seed": seed,
        "pools": [_as_json(recorded, found) for found in answers],
    }
    pages.write_json(path, content, indent=1)


def _as_json(recorded: Recorded, found: Answer) -> dict[str, object]:
    waits = recorded.waits_of(found.traffic.pool)
    return {
        "pool": asdict(found.traffic.pool),
        "busy": found.traffic.busy,
        "measured": {
            "wait_p50": waits.percentile(50),
            "wait_p99": waits.percentile(99),
            "wait_most": waits.maximum,
            "leases": waits.total,
        },
        "wanted_wait": found.wait,
        "results": [asdict(result) for result in found.results],
        "idle_timeouts": [asdict(result) for result in found.idle],
        "enough": None if found.enough is None else found.enough.size,
        "recommended": None if found.recommended is None else found.recommended.size,
        "reason": found.reason,
        "remark": remark(recorded, found),
    }
