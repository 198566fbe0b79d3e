"""Who holds connections to a server, for people: `GET /fleet` as JSON and as a text. Pure.

Fanins are told by their connect attributes (`attributes`), everybody else by user, host and program. What a server does not show to the account that
looks is not guessed: a note says how much that is, and what would show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from proxy.attributes import APPLICATION, FANIN_ID, MONITOR, VERSION
from proxy.monitor_queries import MOST_HOLDERS
from proxy.occupancy import UNKNOWN, Occupancy

UNTOLD: Final = (
    "which of these connections are Fanins' is not shown: the server's performance_schema is off, or the account that looks may not read it; "
    "all are listed by user and host"
)
CUT: Final = f"there are more groups of connections than the first {MOST_HOLDERS}, which have most of them"


@dataclass(frozen=True, slots=True)
class Holder:
    """Connections that have all of this in common; None: not told."""

    fanin_id: str | None
    version: str | None
    application: str | None
    purpose: str | None
    program: str | None
    user: str | None
    host: str | None
    connections: int
    busy: int


@dataclass(frozen=True, slots=True)
class Holders:
    """What a server said. ``refused``: its words about what the account may not ask."""

    holders: tuple[Holder, ...]
    is_cut: bool
    occupancy: Occupancy
    refused: tuple[str, ...]


def parse_holders(rows: Sequence[Sequence[str | None]]) -> tuple[Holder, ...]:
    """The answer to one of `monitor_queries.holders`."""
    found: list[Holder] = []
    for fanin_id, version, application, purpose, program, user, host, connections, busy in rows:
        numbers = int(connections or 0), int(busy or 0)
        found.append(Holder(fanin_id, version, application, purpose, program, user, host, *numbers))
    return tuple(found)


def report(name: str, role: str, seen: Holders, announced: Mapping[str, str], own: int) -> dict[str, Any]:
    """Of one server. ``announced``: attributes of this process's connections; ``own``: how many its pool has."""
    shown = sum(holder.connections for holder in seen.holders)
    connected = seen.occupancy.connected
    sidecars = _sidecars(seen.holders, announced[FANIN_ID])
    is_told = any(each["is_this"] for each in sidecars)
    if not is_told:
        sidecars.append(_this(announced, own))
    notes = [] if is_told else [UNTOLD]
    if shown < connected:
        notes.append(_hidden(connected - shown, connected, seen.refused))
    if seen.is_cut:
        notes.append(CUT)
    return {
        "name": name,
        "role": role,
        "max_connections": None if seen.occupancy.limit == UNKNOWN else seen.occupancy.limit,
        "connected": None if connected == UNKNOWN else connected,
        "shown": shown,
        "notes": notes,
        "sidecars": sidecars,
        "others": _others(seen.holders),
    }


def unseen(name: str, role: str, announced: Mapping[str, str], own: int, trouble: str) -> dict[str, Any]:
    """Of a server that could not be asked."""
    return {
        "name": name,
        "role": role,
        "max_connections": None,
        "connected": None,
        "shown": 0,
        "notes": [f"the server could not be asked: {trouble}"],
        "sidecars": [_this(announced, own)],
        "others": [],
    }


def _hidden(count: int, connected: int, refused: Sequence[str]) -> str:
    because = "".join(f" ({text})" for text in refused[:1])
    return (
        f"{count} of {connected} connections are not shown to the account that looks{because}: "
        "GRANT PROCESS ON *.*, and SELECT ON performance_schema.*, would show them"
    )


def _this(announced: Mapping[str, str], own: int) -> dict[str, Any]:
    """What this process knows of itself."""
    return {
        "fanin_id": announced[FANIN_ID],
        "application": announced.get(APPLICATION, ""),
        "version": announced.get(VERSION, ""),
        "hosts": [],
        "users": [],
        "backends": own,
        "busy": None,
        "monitors": None,
        "is_this": True,
    }


def _sidecars(holders: Iterable[Holder], own_id: str) -> list[dict[str, Any]]:
    """Those that most connections are of first."""
    groups: dict[str, list[Holder]] = {}
    for holder in holders:
        if holder.fanin_id is not None:
            groups.setdefault(holder.fanin_id, []).append(holder)
    found = [_sidecar(fanin_id, group, own_id) for fanin_id, group in groups.items()]
    return sorted(found, key=lambda each: (-each["backends"], each["application"], each["fanin_id"]))


def _sidecar(fanin_id: str, group: list[Holder], own_id: str) -> dict[str, Any]:
    backends = [holder for holder in group if holder.purpose != MONITOR]
    return {
        "fanin_id": fanin_id,
        "application": group[0].application or "",
        "version": group[0].version or "",
        "hosts": sorted({holder.host or "" for holder in group}),
        "users": sorted({holder.user or "" for holder in group}),
        "backends": sum(holder.connections for holder in backends),
        "busy": sum(holder.busy for holder in backends),
        "monitors": sum(holder.connections for holder in group if holder.purpose == MONITOR),
        "is_this": fanin_id == own_id,
    }


def _others(holders: Iterable[Holder]) -> list[dict[str, Any]]:
    return [
        {
            "user": holder.user or "",
            "host": holder.host or "",
            "program": holder.program or "",
            "connections": holder.connections,
            "busy": holder.busy,
        }
        for holder in holders
        if holder.fanin_id is None
    ]


def as_text(found: Mapping[str, Any]) -> str:
    """The reports of all servers, as tables."""
    lines: list[str] = []
    for each in found["endpoints"]:
        connected, limit = _number(each["connected"]), _number(each["max_connections"])
        lines += [
            f"{each['name']} ({each['role']}): {connected} of {limit} connections, asked {each['age']:.0f} s ago"
        ]
        lines += [f"  note: {note}" for note in each["notes"]]
        lines += [
            "",
            f"  {'backends':>8} {'busy':>5} {'monitors':>8}  {'application':<24} {'version':<10} {'host':<20} fanin_id",
        ]
        lines += [_sidecar_line(sidecar) for sidecar in each["sidecars"]]
        if each["others"]:
            lines += ["", f"  {'others':>8} {'busy':>5}  {'user':<20} {'host':<24} program"]
            lines += [
                f"  {other['connections']:>8} {other['busy']:>5}  {other['user']:<20} {other['host']:<24} {other['program']}".rstrip()
                for other in each["others"]
            ]
        lines.append("")
    return "\n".join(lines)


def _sidecar_line(each: Mapping[str, Any]) -> str:
    numbers = f"{each['backends']:>8} {_number(each['busy']):>5} {_number(each['monitors']):>8}"
    this = " (this one)" if each["is_this"] else ""
    hosts = ",".join(each["hosts"])
    return (
        f"  {numbers}  {each['application']:<24} {each['version']:<10} {hosts:<20} {each['fanin_id']}{this}"
    )


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)
