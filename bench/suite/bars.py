"""What must be shown, and whether it was. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.contestants import DIRECT, FANIN, HAPROXY, PROXYSQL
from bench.report import Peer, figure_of, number

Peers = Mapping[str, Peer]

MB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of what must be shown. `measure`: a value for each round, none where a contestant was missing. The median counts, or with `is_worst` the worst
    of all rounds."""

    what: str
    limit: float
    measure: Callable[[Peers], Sequence[float]]
    is_least: bool = False
    is_worst: bool = False
    unit: str = ""
    digits: int = 2
    only_with: str = ""  # a contestant who need not be there

    def verdict(self, row: str, peers: Peers) -> Verdict:
        """Of one row's figures."""
        values = self.measure(peers)
        sign = ">=" if self.is_least else "<="
        bar = f"{sign} {number(self.limit, self.digits)}{self.unit}"
        if not values:
            return Verdict(row, self.what, bar, "not measured", None)
        value = self._value(values)
        met = value >= self.limit if self.is_least else value <= self.limit
        return Verdict(row, self.what, bar, self._figure(value, values), met)

    def _value(self, values: Sequence[float]) -> float:
        if self.is_worst:
            return min(values) if self.is_least else max(values)
        return median(values)

    def _figure(self, value: float, values: Sequence[float]) -> str:
        low, high = number(min(values), self.digits), number(max(values), self.digits)
        return f"{number(value, self.digits)}{self.unit} ({low} to {high})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_met`: None where it could not be measured."""

    row: str
    what: str
    bar: str
    figure: str
    is_met: bool | None

    @property
    def word(self) -> str:
        """What is printed."""
        return {True: "met", False: "MISSED", None: "-"}[self.is_met]


def ratio(mine: str, theirs: str, figure: str) -> Callable[[Peers], Sequence[float]]:
    """One's figure as a multiple of another's, round by round."""

    def measure(peers: Peers) -> Sequence[float]:
        if mine not in peers or theirs not in peers:
            return []
        return peers[mine].ratios(peers[theirs], figure)

    return measure


def values(name: str, figure: str, divisor: float = 1.0) -> Callable[[Peers], Sequence[float]]:
    """A contestant's figure, in units of the divisor."""

    def measure(peers: Peers) -> Sequence[float]:
        return [value / divisor for value in peers[name].values(figure)] if name in peers else []

    return measure


def errors(name: str) -> Callable[[Peers], Sequence[float]]:
    """Errors, and clients that could not connect."""

    def measure(peers: Peers) -> Sequence[float]:
        if name not in peers:
            return []
        return [float(each.error_count + each.clients - each.connected) for each in peers[name].rounds]

    return measure


def added(figure: str) -> Callable[[Peers], Sequence[float]]:
    """What Fanin adds to the bare server's figure, as a multiple of what HAProxy adds."""

    def measure(peers: Peers) -> Sequence[float]:
        if not {FANIN, HAPROXY, DIRECT} <= set(peers):
            return []
        rounds = zip(*(peers[name].rounds for name in (FANIN, HAPROXY, DIRECT)), strict=True)
        found = [[figure_of(outcome, figure) or 0.0 for outcome in each] for each in rounds]
        return [(fanin - direct) / (haproxy - direct) for fanin, haproxy, direct in found if haproxy > direct]

    return measure


def new_connections(name: str) -> Callable[[Peers], Sequence[float]]:
    """Of the server at the peak, without those that were there before."""

    def measure(peers: Peers) -> Sequence[float]:
        if name not in peers:
            return []
        return [float(sum(each.peak) - sum(each.before)) for each in peers[name].rounds]

    return measure


def cpu(total: float, user: float | None = None) -> tuple[Bar, ...]:
    """CPU per query against HAProxy's, and against ProxySQL's where that plays."""
    bars = [Bar("CPU per query, x HAProxy's", total, ratio(FANIN, HAPROXY, "total_us"))]
    if user is not None:
        bars.append(Bar("user CPU per query, x HAProxy's", user, ratio(FANIN, HAPROXY, "user_us")))
    return (*bars, AGAINST_PROXYSQL)


AGAINST_PROXYSQL: Final = Bar(
    "CPU per query, x ProxySQL's", 0.75, ratio(FANIN, PROXYSQL, "total_us"), only_with=PROXYSQL
)
