"""What a course of a real fleet says: a row for each thing that is wanted of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

from bench.fleet.model import usable
from bench.fleet.scenarios import jain
from bench.realfleet.crowd import LONG, TOO_MANY
from bench.realfleet.plan import SETTLING, Phase, Plan, fair
from bench.realfleet.watch import Look, Shares, Statements

MOST: Final = 0.95
"""Of what is usable."""
FOLLOWS: Final = 0.8
"""Part of its fair share, of all backends that there are, that a sidecar has to have when it has followed: connections are whole."""
SECONDS: Final = 2.0
"""Over which shares are averaged."""


@dataclass(frozen=True, slots=True)
class Played:
    """A phase that is over. `strangers`: that were there when shares had to have settled. Latencies in microseconds."""

    phase: Phase
    began: float
    ended: float
    answers: int
    p50: int
    p99: int
    # when it ended
    starved: int


@dataclass(frozen=True)
class Course:
    """Everything that was seen."""

    plan: Plan
    played: Sequence[Played]
    looks: Sequence[Look]
    shares: Sequence[Shares]
    statements: Sequence[Statements]
    # when the load ended
    ended: float
    # Max_used_connections of the server: no look can miss it
    peak: int
    errors: Mapping[str, int]
    # what strangers were told
    refused: Sequence[str]
    # clients that never got an answer
    unserved: int
    # clients' connections that ended with their sidecars
    cut_off: int


@dataclass(frozen=True, slots=True)
class Row:
    """`is_met`: None where nothing was wanted."""

    what: str
    bar: str
    figure: str
    is_met: bool | None


def rows_of(course: Course) -> list[Row]:
    """As the table has them."""
    return [
        _connections(course),
        _refusals(course),
        _errors(course),
        _served(course),
        *[_share(course, played) for played in course.played if played.phase.busy],
        _use(course),
        _monitors(course),
        _idle(course),
    ]


def _connections(course: Course) -> Row:
    room = usable(course.plan.limit)
    seen = max(look.connected for look in course.looks)
    most = max(seen, course.peak)
    figure = f"{most} of {room:.1f} = {most / room:.1%} (looks: {seen})"
    return Row("most connections of the server", f"<= {MOST:.0%} of usable", figure, most <= MOST * room)


def _refusals(course: Course) -> Row:
    told = sum(course.errors.get(label, 0) for label in TOO_MANY) + len(course.refused)
    counted = course.looks[-1].refused - course.looks[0].refused
    figure = f"{told}; counted by the server: {counted}"
    return Row("errors 1040 that any client saw", "0", figure, not told)


def _errors(course: Course) -> Row:
    others = {label: count for label, count in course.errors.items() if label not in TOO_MANY}
    figure = ", ".join(f"{count} x {label}" for label, count in sorted(others.items())) or "0"
    return Row(
        "other errors", "0", f"{figure}; {course.cut_off} connections ended with their sidecars", not others
    )


def _served(course: Course) -> Row:
    clients = course.plan.sidecars * course.plan.clients
    starved = max(played.starved for played in course.played)
    figure = f"{clients - course.unserved:,} of {clients:,}; at the end of a phase {starved} without connection, or waiting for {LONG:g} s"
    return Row("clients that are served", "all", figure, not course.unserved and not starved)


def shares_at(course: Course, at: float) -> list[float]:
    """Backends of each sidecar on average around that time."""
    near = [each.backends for each in course.shares if abs(each.at - at) <= SECONDS / 2]
    if not near:
        near = [min(course.shares, key=lambda each: abs(each.at - at)).backends]
    return [mean(column) for column in zip(*near, strict=True)]


def _share(course: Course, played: Played) -> Row:
    at = min(played.began + SETTLING, played.ended)
    has = shares_at(course, at)
    fairly = fair(course.plan.wanted(played.phase), sum(has))
    lives = [number for number in played.phase.busy if number not in played.phase.kills or at < _kill(played)]
    busy = lives or list(played.phase.busy)
    parts = [has[number] / fairly[number] for number in busy]
    figure = (
        f"{min(parts):.0%} of {fairly[busy[0]]:.1f} the least, {mean(parts):.0%} on average, "
        f"Jain {jain([has[number] for number in busy]):.3f}"
    )
    what = f"fair share after {SETTLING:g} s: {played.phase.name}"
    return Row(what, f">= {FOLLOWS:.0%} each", figure, min(parts) >= FOLLOWS)


def _use(course: Course) -> Row:
    """While all clients together want more than there is."""
    full = [each for each in course.played if sum(course.plan.wanted(each.phase)) > usable(course.plan.limit)]
    seen = [look.connected for each in full for look in course.looks if each.began <= look.at < each.ended]
    figure = f"{mean(seen) / usable(course.plan.limit):.1%} of usable on average" if seen else "never"
    return Row("connections while more are wanted than there are", "", figure, None)


def _kill(played: Played) -> float:
    return played.began + played.phase.kill_at


def rates(statements: Sequence[Statements]) -> list[float]:
    """Statements a second of each connection that only looks, while it was there."""
    found: dict[int, list[tuple[float, int]]] = {}
    for each in statements:
        for line, count in each.counts.items():
            found.setdefault(line, []).append((each.at, count))
    return [
        (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])
        for points in found.values()
        if len(points) > 1
    ]


def _monitors(course: Course) -> Row:
    found = rates(course.statements)
    what, bar = "statements/s of each sidecar's looks", "<= 0.5"
    if not found:
        return Row(what, bar, "nobody looks", False)
    return Row(what, bar, f"{mean(found):.2f} on average, {max(found):.2f} the most", mean(found) <= 0.5)


def _idle(course: Course) -> Row:
    wanted = 2 * course.plan.idle_timeout
    empty = [each.at for each in course.shares if each.at >= course.ended and not any(each.backends)]
    what, bar = "backends gone after the load's end", f"within {wanted:g} s"
    if not empty:
        return Row(what, bar, f"{sum(course.shares[-1].backends)} are left", False)
    took = empty[0] - course.ended
    return Row(
        what, bar, f"{took:.0f} s; {course.looks[-1].connected} connections are left", took <= wanted + 1.0
    )
