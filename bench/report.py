"""What trials measured, for people (tables, a picture) and for programs (JSON). Fits 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import pages
from bench.meters import machine
from bench.trial import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 100
BUSY = 0.95  # of one core: from here on the load itself may be the bottleneck
LARGE = 1000.0  # what is as large as that has no decimal places where there is little room
NONE = "-"


def console() -> Console:
    """Standard output: colours on a terminal, never wider than WIDTH."""
    plain = Console()
    return Console(width=min(plain.width, WIDTH) if plain.is_terminal else WIDTH, highlight=False)


# ------------------------------------------------------------------------------------------------------- numbers


def number(value: float | None, digits: int = 0) -> str:
    """1234.5 -> "1,234" (or "1,234.5" with digits); None -> "-"."""
    return NONE if value is None else f"{value:,.{digits}f}"


def brief(value: float | None, digits: int) -> str:
    """The same, where there is little room for large ones."""
    return number(value, digits if value is None or abs(value) < LARGE else 0)


def milliseconds(value: float) -> str:
    return f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def size(value: float | None) -> str:
    """Bytes as "1.4 KB" or "12.3 MB" (of 1024)."""
    if value is None:
        return NONE
    return f"{value / 1024:,.1f} KB" if abs(value) < 1 << 20 else f"{value / (1 << 20):,.1f} MB"


def counts(values: Sequence[int]) -> str:
    """Connections of one server, or of several with their sum: "13 + 13 + 13 = 39"."""
    if len(values) == 1:
        return number(values[0])
    return f"{' + '.join(number(value) for value in values)} = {number(sum(values))}"


def cpu(outcome: Outcome) -> str:
    """CPU per query, split."""
    if outcome.user_us is None or outcome.system_us is None:
        return NONE
    return f"{outcome.user_us:.1f} user + {outcome.system_us:.1f} system"


# -------------------------------------------------------------------------------------------------------- tables


def outcome_table(outcomes: Sequence[Outcome], title: str = "") -> Table:
    """A column for each outcome, a row for each figure."""
    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    table.add_column("")
    for outcome in outcomes:
        table.add_column(outcome.name, justify="right", style="bold" if outcome is outcomes[0] else "")
    for label, cells in outcome_rows(outcomes):
        style = "red" if label == "errors" and any(outcome.errors for outcome in outcomes) else None
        table.add_row(label, *cells, style=style)
    return table


def outcome_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, list[str]]]:
    """The figures of the table; rows that nobody has a figure for are left out."""
    peak = "peak" if all(outcome.peak_is_exact for outcome in outcomes) else "peak (sampled)"
    rows: list[tuple[str, list[str]]] = [
        ("clients connected", [number(outcome.connected) for outcome in outcomes]),
        ("  of these busy at a time", [number(outcome.active) for outcome in outcomes]),
        ("server connections, before", [counts(outcome.before) for outcome in outcomes]),
        (f"server connections, {peak}", [counts(outcome.peak) for outcome in outcomes]),
        ("server connections, after", [counts(outcome.after) for outcome in outcomes]),
        ("logins/s", [number(outcome.logins_per_second) for outcome in outcomes]),
    ]
    if any(outcome.queries for outcome in outcomes):
        rows += [
            ("queries/s", [number(outcome.queries_per_second) for outcome in outcomes]),
            ("latency p50", [milliseconds(outcome.p50) for outcome in outcomes]),
            ("latency p95", [milliseconds(outcome.p95) for outcome in outcomes]),
            ("latency p99", [milliseconds(outcome.p99) for outcome in outcomes]),
        ]
    rows += [
        ("commands pinned outside transactions", [percent(outcome.pinned_share) for outcome in outcomes]),
        ("restores, of leases", [percent(outcome.restore_share) for outcome in outcomes]),
        ("captures, of leases", [percent(outcome.capture_share) for outcome in outcomes]),
        ("errors", [number(outcome.error_count) for outcome in outcomes]),
        ("CPU us per query, proxy", [cpu(outcome) for outcome in outcomes]),
        ("CPU, proxy", [share(outcome.cpu_share) for outcome in outcomes]),
        ("context switches per query, proxy", [number(outcome.switches, 2) for outcome in outcomes]),
        ("memory per client, proxy", [size(outcome.proxy_memory_per_client) for outcome in outcomes]),
        ("memory per client, servers", [size(outcome.server_memory_per_client) for outcome in outcomes]),
    ]
    return [(label, cells) for label, cells in rows if any(cell != NONE for cell in cells)]


def percent(value: float | None) -> str:
    """0.0123 -> "1.23 %"."""
    return NONE if value is None else f"{value:.2%}".replace("%", " %")


def share(value: float | None) -> str:
    """Part of one core."""
    return NONE if value is None else f"{value:.1%} of a core"


@dataclass(frozen=True, slots=True)
class Peer:
    """All rounds of one proxy in a comparison, with medians."""

    name: str
    rounds: tuple[Outcome, ...]

    def median(self, figure: str) -> float | None:
        """The median of an attribute of Outcome over the rounds."""
        values = self.values(figure)
        return median(values) if values else None

    def values(self, figure: str) -> list[float]:
        return [value for outcome in self.rounds if (value := figure_of(outcome, figure)) is not None]

    def ratios(self, other: Peer, figure: str = "total_us") -> list[float]:
        """The figure as a multiple of another peer's, round by round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        values = [(figure_of(mine, figure), figure_of(theirs, figure)) for mine, theirs in pairs]
        return [mine / theirs for mine, theirs in values if mine is not None and theirs]


def figure_of(outcome: Outcome, figure: str) -> float | None:
    """An attribute, or one of the figures that only some loads have."""
    value = outcome.figures[figure] if figure in outcome.figures else getattr(outcome, figure, None)
    return None if value is None else float(value)


def comparison_table(peers: Sequence[Peer], floor: str = "haproxy") -> Table:
    """A row for each peer: medians over the rounds (and ranges), with ratios to the floor within each round."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True, min_width=max(len(peer.name) for peer in peers))
    heads = (
        "queries/s",
        "p99 ms",
        "CPU us/query",
        "user",
        "sys",
        "x HAProxy",
        "user x",
        "err",
    )
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    base = next((peer for peer in peers if peer.name == floor), None)
    for peer in peers:
        other = base if peer is not base else None
        table.add_row(
            peer.name,
            number(peer.median("queries_per_second")),
            brief(peer.median("p99"), 2),
            ranged(peer.values("total_us"), 1),
            brief(peer.median("user_us"), 1),
            brief(peer.median("system_us"), 1),
            ranged(peer.ratios(other), 2) if other is not None else NONE,
            number(median(ratios), 2) if other and (ratios := peer.ratios(other, "user_us")) else NONE,
            number(sum(outcome.error_count for outcome in peer.rounds)),
        )
    return table


def further_table(peers: Sequence[Peer]) -> Table:
    """What the comparison has no room for: a row for each peer, medians over the rounds. Context switches are the proxy's, per query; memory is the most that it
    had, and what a client took as it came; the last column is the server's connections at the peak."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True, min_width=max(len(peer.name) for peer in peers))
    columns: dict[str, Callable[[Peer], str]] = {
        "p50 ms": lambda peer: brief(peer.median("p50"), 2),
        "p95 ms": lambda peer: brief(peer.median("p95"), 2),
        "slowest": lambda peer: brief(peer.median("slowest"), 1),
        "logins/s": lambda peer: number(peer.median("logins_per_second")),
        "switches": lambda peer: number(peer.median("switches"), 2),
        "memory": lambda peer: size(peer.median("peak_memory")),
        "a client": lambda peer: size(peer.median("proxy_memory_per_client")),
        "server": lambda peer: number(max(sum(outcome.peak) for outcome in peer.rounds)),
    }
    for head in columns:
        table.add_column(head, justify="right", no_wrap=True)
    for peer in peers:
        table.add_row(peer.name, *[cell(peer) for cell in columns.values()])
    return table


def ranged(values: Sequence[float], digits: int) -> str:
    """The median of some values and their range: "18.0 (17.1-19.0)"."""
    if not values:
        return NONE
    digits = digits if max(values) < LARGE else 0
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def remarks(outcomes: Sequence[Outcome]) -> list[Text]:
    """What a reader of the table must know: the first message of each error, and a load that was too slow itself."""
    lines = []
    for outcome in outcomes:
        for label, count in sorted(outcome.errors.items()):
            lines.append(
                Text(f"{outcome.name}: {count} x {label}: {outcome.examples.get(label, '')}", style="red")
            )
        if outcome.connected < outcome.clients:
            lines.append(
                Text(
                    f"{outcome.name}: {outcome.clients - outcome.connected} clients could not connect",
                    style="red",
                )
            )
    busiest = max(outcome.load_share for outcome in outcomes)
    if busiest > BUSY:
        lines.append(
            Text(f"the load itself used {busiest:.0%} of a core: it may be the bottleneck", style="yellow")
        )
    return lines


def print_remarks(out: Console, outcomes: Sequence[Outcome], log: Sequence[str] = ()) -> None:
    """Print the remarks, and behind errors the end of the proxy's log."""
    for line in remarks(outcomes):
        out.print(line)
    if any(outcome.errors for outcome in outcomes):
        for text in log:
            out.print(Text(f"log: {text}", style="dim"))


# ------------------------------------------------------------------------------------------------ JSON and picture


def write_json(path: Path, command: str, outcomes: Sequence[Outcome], **more: Any) -> None:
    """Everything that was measured, and where."""
    content = {
        "command": command,
        "machine": machine(),
        **more,
        "outcomes": [asdict(each) for each in outcomes],
    }
    pages.write_json(path, content, indent=1)


def draw(path: Path, outcomes: Sequence[Outcome], title: str) -> None:
    """A PNG: clients against server connections, and queries/s, over the time of each trial."""
    size = (1 + 6.5 * len(outcomes), 6.5)
    figure, rows = pages.fields(2, len(outcomes), size, sharex="col", sharey="row")
    for outcome, above, below in zip(outcomes, rows[0], rows[1], strict=True):
        draw_connections(above, outcome)
        draw_rate(below, outcome)
    rows[1][0].set_ylim(
        0, 1.1 * max(1.0, *(sample.rate for outcome in outcomes for sample in outcome.samples))
    )
    figure.suptitle(title)
    pages.write(path, pages.png(figure, 110))


def draw_connections(axes: Axes, outcome: Outcome) -> None:
    """Clients and server connections over time, on a logarithmic scale, each with its highest number."""
    times = [sample.at for sample in outcome.samples]
    clients = [sample.clients for sample in outcome.samples]
    servers = [sum(sample.server_connections) for sample in outcome.samples]
    axes.set_title(outcome.name)
    axes.set_yscale("symlog")
    axes.set_ylim(0, outcome.clients * 4)
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.plot(
        times, clients, color="tab:blue", linewidth=4, alpha=0.5, label=f"clients: {number(max(clients))}"
    )
    axes.plot(times, servers, color="tab:red", label=f"server connections: {number(max(servers))}")
    axes.set_ylabel("connections")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower center")


def draw_rate(axes: Axes, outcome: Outcome) -> None:
    """Queries per second over time, with the latencies above."""
    samples = [sample for sample in outcome.samples if sample.phase != "stopping"]
    axes.plot([sample.at for sample in samples], [sample.rate for sample in samples], color="tab:green")
    axes.set_title(
        f"p50 {outcome.p50:.1f} ms, p99 {outcome.p99:.1f} ms, {number(outcome.error_count)} errors",
        fontsize=10,
    )
    axes.set_ylabel("queries/s")
    axes.set_xlabel("seconds")
    axes.grid(alpha=0.3)
