"""What pins cost, for people: `GET /pins` as JSON and as a text. Pure.

By Little's law the mean number of backends that are pinned at the same time is the seconds that they were pinned, divided by the time
in which that happened: that many more the pool needs. Their share is that number divided by the pool's size. `pin_records` says which
seconds count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.pin_records import PinBook, PinRow, SessionPins
from proxy.pins import MEANINGS


def live_pins(pins: SessionPins | None, now: float) -> list[dict[str, object]]:
    """The pins of one session."""
    if pins is None:
        return []
    return [
        {
            "reason": pin.reason.value,
            "digest": pin.digest,
            "age": round(now - pin.began, 3),
            "endpoint": pins.endpoint,
            "server_connection": pins.server_connection,
            "cleared_by": MEANINGS[pin.reason].lifted_by,
            "advice": pin.advice,
        }
        for pin in pins.pins
    ]


def report(book: PinBook, pool_sizes: Mapping[str, int], now: float) -> dict[str, Any]:
    """All pins since the start, those that cost most first. `pool_sizes`: of each endpoint."""
    uptime = max(now - book.started, 1e-9)
    rows = sorted(book.rows(), key=lambda row: (-row.seconds(now), -row.last_seen, row.digest))
    return {
        "uptime": round(uptime, 3),
        "endpoints": [
            {
                "name": name,
                "pool_size": size,
                **cost(book.endpoints[name].seconds(now) if name in book.endpoints else 0.0, size, uptime),
            }
            for name, size in pool_sizes.items()
        ],
        "pins": [_row(row, pool_sizes, uptime, now) for row in rows],
    }


def _row(row: PinRow, pool_sizes: Mapping[str, int], uptime: float, now: float) -> dict[str, Any]:
    meaning = MEANINGS[row.reason] if row.reason is not None else None
    size = sum(pool_sizes.get(name, 0) for name in row.clocks)
    return {
        "reason": row.reason.value if row.reason is not None else None,
        "digest": row.digest,
        "count": row.count,
        "live": row.live,
        **cost(row.seconds(now), size, uptime),
        "endpoints": [
            {"name": name, **cost(clock.seconds(now), pool_sizes.get(name, 0), uptime)}
            for name, clock in row.clocks.items()
        ],
        "last_seen_ago": 0.0 if row.live else round(now - row.last_seen, 3),
        "cleared_by": meaning.lifted_by if meaning is not None else "",
        "advice": row.advice,
    }


def cost(seconds: float, pool_size: int, uptime: float) -> dict[str, float]:
    """What it comes to that so many seconds were pinned."""
    backends = seconds / uptime
    return {
        "pinned_seconds": round(seconds, 3),
        "share": round(backends / pool_size, 6) if pool_size else 0.0,
        "backends": round(backends, 4),
    }


_HEAD = f"{'pinned s':>10} {'share':>7} {'backends':>8} {'live':>5} {'count':>7} {'last seen':>12}  "
_INDENT = " " * 12


def as_text(found: Mapping[str, Any]) -> str:
    """A report as a table."""
    lines = [f"since the start, {_ago(found['uptime'])} ago", "", f"{_HEAD[:27]}{'pool':>6}  endpoint"]
    lines += [f"{_figures(each)}{each['pool_size']:>6}  {each['name']}" for each in found["endpoints"]]
    if not found["pins"]:
        return "\n".join([*lines, "", "no session was pinned", ""])
    lines += ["", f"{_HEAD}reason"]
    for each in found["pins"]:
        last_seen = "now" if each["live"] else _ago(each["last_seen_ago"]) + " ago"
        reason = each["reason"] or "several"
        lines.append(f"{_figures(each)} {each['live']:>5} {each['count']:>7} {last_seen:>12}  {reason}")
        lines.append(_INDENT + (each["digest"] or "(no statement: from the start of the session)"))
        lines += [
            f"{_INDENT}{title:<12}{each[key]}"
            for title, key in (("cleared by", "cleared_by"), ("advice", "advice"))
            if each[key]
        ]
    return "\n".join([*lines, ""])


def _figures(cost: Mapping[str, Any]) -> str:
    return f"{cost['pinned_seconds']:>10.1f} {cost['share']:>7.2%} {cost['backends']:>8.2f}"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
