"""What came of the rows: tables, JSON, and one page with a picture of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import pages
from bench.contestants import HAPROXY
from bench.meters import machine
from bench.report import (
    NONE,
    Peer,
    comparison_table,
    further_table,
    number,
    print_remarks,
    ranged,
    size,
)
from bench.suite.bars import Verdict
from bench.suite.stage import Played

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADS: Final = (
    "",
    "queries/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "CPU us/query",
    "user",
    "system",
    "x HAProxy",
    "user x",
    "switches/query",
    "logins/s",
    "memory",
    "connections",
    "errors",
    "load",
)
FIGURES: Final = (
    "queries_per_second",
    "p50",
    "p95",
    "p99",
    "total_us",
    "user_us",
    "system_us",
    "switches",
    "logins_per_second",
    "peak_memory",
    "growth",
    "proxy_memory_per_client",
    "load_share",
)


def print_row(out: Console, played: Played) -> None:
    """Its tables, verdicts and remarks."""
    out.print(f"\n[bold]{played.row.key}[/]: {played.row.title}")
    if played.failure:
        out.print(f"not measured: {played.failure}", style="red", markup=False)
    if played.peers:
        out.print(comparison_table(played.peers))
        out.print(further_table(played.peers))
        for line in figure_lines(played.peers):
            out.print(line)
        print_remarks(out, played.outcomes, played.log)
        shares = ", ".join(f"{peer.name} {peer.median('load_share') or 0:.0%}" for peer in played.peers)
        out.print(f"the load's own share of a core: {shares}")
    for remark in played.remarks:
        out.print(remark, style="dim", markup=False)


def figure_lines(peers: Sequence[Peer]) -> list[str]:
    """What only this row's load has to tell, a line for each contestant."""
    lines = []
    for peer in peers:
        names = dict.fromkeys(name for outcome in peer.rounds for name in outcome.figures)
        told = [f"{name.replace('_', ' ')} {ranged(peer.values(name), 1)}" for name in names]
        if told:
            lines.append(f"{peer.name}: {', '.join(told)}")
    return lines


def print_verdicts(out: Console, verdicts: Sequence[Verdict]) -> None:
    """A line for each bar."""
    table = Table(box=SIMPLE_HEAD, title="bars", title_justify="left", pad_edge=False)
    for head in ("row", "what", "bar", "median, or worst (range)", ""):
        table.add_column(head)
    for each in verdicts:
        style = {True: None, False: "red", None: "dim"}[each.is_met]
        table.add_row(each.row, each.what, each.bar, each.figure, each.word, style=style)
    out.print(table)


def summary(peer: Peer, peers: Sequence[Peer]) -> dict[str, object]:
    """What the tables show of one peer, for programs."""
    base = next((each for each in peers if each.name == HAPROXY), None)
    return {
        "name": peer.name,
        **{figure: peer.median(figure) for figure in FIGURES},
        "total_us_rounds": peer.values("total_us"),
        "ratio_to_haproxy_rounds": peer.ratios(base) if base else [],
        "user_ratio_to_haproxy_rounds": peer.ratios(base, "user_us") if base else [],
    }


def content(all_played: Sequence[Played], command: str) -> dict[str, object]:
    """Everything, for programs."""
    return {
        "command": command,
        "machine": machine(),
        "rows": [
            {
                "key": played.row.key,
                "title": played.row.title,
                "failure": played.failure,
                "remarks": played.remarks,
                "verdicts": [asdict(verdict) for verdict in played.verdicts],
                "summary": [summary(peer, played.peers) for peer in played.peers],
                "outcomes": [asdict(outcome) for outcome in played.outcomes],
            }
            for played in all_played
        ],
    }


def picture(all_played: Sequence[Played]) -> bytes:
    """A PNG with a line for each row: CPU per query, queries per second, latencies."""
    measured = [played for played in all_played if played.peers]
    figure, fields = pages.fields(max(1, len(measured)), 3, (15, 2.6 * max(1, len(measured))))
    for line, played in zip(fields, measured, strict=False):
        draw_cpu(line[0], played.peers, played.row.key)
        draw_rounds(line[1], played.peers)
        draw_latencies(line[2], played.peers)
    return pages.png(figure, 80)


def draw_cpu(axes: Axes, peers: Sequence[Peer], key: str) -> None:
    """User and system time on each other, and a dot for the total of each round."""
    names = [peer.name for peer in peers]
    user = [peer.median("user_us") or 0.0 for peer in peers]
    system = [peer.median("system_us") or 0.0 for peer in peers]
    axes.barh(names, user, color="tab:blue", label="user")
    axes.barh(names, system, left=user, color="tab:orange", label="system")
    draw_dots(axes, peers, "total_us")
    axes.set_title(f"{key}: CPU of the proxy, us per query", fontsize=9)
    axes.legend(fontsize=7)


def draw_rounds(axes: Axes, peers: Sequence[Peer]) -> None:
    """Queries per second, the median and each round."""
    axes.barh(
        [peer.name for peer in peers],
        [peer.median("queries_per_second") or 0.0 for peer in peers],
        color="tab:green",
    )
    draw_dots(axes, peers, "queries_per_second")
    axes.set_title("queries/s", fontsize=9)


def draw_dots(axes: Axes, peers: Sequence[Peer], figure: str) -> None:
    for peer in peers:
        found = peer.values(figure)
        axes.plot(found, [peer.name] * len(found), ".", color="black", markersize=3)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")


def draw_latencies(axes: Axes, peers: Sequence[Peer]) -> None:
    """p50, p95 and p99, medians of the rounds."""
    for figure, colour in (("p50", "tab:green"), ("p95", "tab:orange"), ("p99", "tab:red")):
        found = [peer.median(figure) or 0.0 for peer in peers]
        axes.plot(found, [peer.name for peer in peers], "o", color=colour, label=figure)
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(left=0)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    axes.set_title("latency, ms", fontsize=9)


def page(all_played: Sequence[Played], command: str) -> str:
    """HTML that needs no other file."""
    facts = ", ".join(f"{name}: {value}" for name, value in machine().items())
    verdicts = [verdict for played in all_played for verdict in played.verdicts]
    parts = [f"<p>{escape(command)}; {escape(facts)}</p>", "<h2>Bars</h2>", verdict_table(verdicts)]
    for played in all_played:
        parts += row_parts(played)
    return pages.page(
        "Fanin and its peers", "Fanin and its peers", picture(all_played), parts, pages.NAMES_FIRST
    )


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Part of the page."""
    styles = {True: "", False: "red", None: "dim"}
    lines = [
        ((each.row, each.what, each.bar, each.figure, each.word), styles[each.is_met]) for each in verdicts
    ]
    return pages.table(("row", "what", "bar", "median, or worst (range)", ""), lines)


def row_parts(played: Played) -> list[str]:
    """Part of the page."""
    parts = [f"<h2>{escape(played.row.key)}</h2><p>{escape(played.row.title)}</p>"]
    if played.failure:
        parts.append(f"<p class='red'>not measured: {escape(played.failure)}</p>")
    if played.peers:
        base = next((peer for peer in played.peers if peer.name == HAPROXY), None)
        cells = [(peer_cells(peer, base), "bold" if peer.name == "fanin" else "") for peer in played.peers]
        parts.append(pages.table(HEADS, cells))
    parts += [f"<p>{escape(line)}</p>" for line in figure_lines(played.peers)]
    parts += [f"<p class='dim'>{escape(remark)}</p>" for remark in played.remarks]
    return parts


def peer_cells(peer: Peer, base: Peer | None) -> list[str]:
    """A line of the page's table of a row."""
    other = base if peer is not base else None
    return [
        peer.name,
        number(peer.median("queries_per_second")),
        number(peer.median("p50"), 2),
        number(peer.median("p95"), 2),
        number(peer.median("p99"), 2),
        ranged(peer.values("total_us"), 1),
        number(peer.median("user_us"), 1),
        number(peer.median("system_us"), 1),
        ranged(peer.ratios(other), 2) if other else NONE,
        ranged(peer.ratios(other, "user_us"), 2) if other else NONE,
        number(peer.median("switches"), 2),
        number(peer.median("logins_per_second")),
        size(peer.median("peak_memory")),
        number(max(sum(outcome.peak) for outcome in peer.rounds)),
        number(sum(outcome.error_count for outcome in peer.rounds)),
        f"{peer.median('load_share') or 0:.0%}",
    ]


def write(all_played: Sequence[Played], command: str, json: Path | None, html: Path | None) -> list[Path]:
    """The files that are wanted."""
    if json:
        pages.write_json(json, content(all_played, command), indent=1)
    if html:
        pages.write(html, page(all_played, command).encode())
    return [path for path in (json, html) if path]
