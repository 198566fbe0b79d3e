"""A running trial on the screen: a live panel on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.report import counts, number
from bench.trial import WARM_UP, Sample

PLAIN_EVERY = 3.0  # seconds between plain lines
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40


class Display:
    """Shows the samples of one trial. Give ``show`` to the trial as ``on_sample``, inside the ``with`` block."""

    def __init__(self, out: Console, title: str, *, clients: int, seconds: float) -> None:
        self._out = out
        self._title = title
        self._clients = clients
        self._seconds = seconds + WARM_UP
        self._live = Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else None
        self._rates: list[float] = []
        self._running_since: float | None = None
        self._said_at = 0.0
        self._said_phase = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, sample: Sample) -> None:
        """Take in one sample; the goodbyes at the end are not worth a look."""
        if sample.phase == "stopping":
            return
        if sample.phase == "running":
            if self._running_since is None:
                self._running_since = sample.at
            self._rates.append(sample.rate)
        if self._live is not None:
            self._live.update(self._panel(sample), refresh=True)
        elif sample.phase != self._said_phase or sample.at - self._said_at >= PLAIN_EVERY:
            self._said_phase, self._said_at = sample.phase, sample.at
            self._out.print(plain_line(self._title, sample))

    def _panel(self, sample: Sample) -> Table:
        is_running = self._running_since is not None
        done = sample.at - self._running_since if self._running_since is not None else sample.clients
        total = self._seconds if is_running else self._clients
        table = Table.grid(padding=(0, 2))
        table.add_column(width=20)
        table.add_column()
        bar = ProgressBar(total=total, completed=min(done, total), width=SPARK_WIDTH)
        table.add_row(Text(self._title, style="bold"), bar)
        table.add_row("clients", f"{number(sample.clients)} of {number(self._clients)}")
        table.add_row("server connections", Text(counts(sample.server_connections), style="bold green"))
        table.add_row("queries/s", f"{sparkline(self._rates)} {number(sample.rate)}" if is_running else "-")
        table.add_row("errors", Text(number(sample.errors), style="red" if sample.errors else ""))
        return table


def plain_line(title: str, sample: Sample) -> str:
    """One sample on one line."""
    return (
        f"  {title} {sample.at:4.1f} s: {number(sample.clients)} clients on {number(sum(sample.server_connections))}"
        f" server connections, {number(sample.rate)} queries/s, {number(sample.errors)} errors"
    )


def sparkline(values: list[float]) -> str:
    """The last values as little bars, the highest of them at full height."""
    shown = values[-SPARK_WIDTH:]
    highest = max(shown, default=0)
    if highest <= 0:
        return ""
    return "".join(SPARKS[min(int(value / highest * len(SPARKS)), len(SPARKS) - 1)] for value in shown)
