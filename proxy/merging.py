"""What the pages show of several workers together, made of what each has told (`worker.snapshot_of`). Pure.

What is counted is added up, and what was counted by workers that have died stays. Of what a worker says of the servers that one is taken which has looked last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from proxy.counters import Counters
from proxy.pin_report import cost

Told = Mapping[str, Any]

_NOTHING: Final = Counters()
COUNTED: Final = tuple(
    name
    for name in dir(_NOTHING)
    if not name.startswith("_") and isinstance(getattr(_NOTHING, name), int | float | list | dict)
)
"""What `Counters` has. (A compiled class has no `__slots__` to be asked.)"""
_NOW: Final = frozenset({"frontends_open"})
"""Of these, what is true of living workers only."""
_SUMMED: Final = (
    "bound",
    "reserve",
    "expected",
    "opening",
    "idle",
    "parked",
    "leased",
    "resetting",
    "waiting",
    "in_transaction",
)
"""Numbers of an endpoint that add up."""
_COUNTED: Final = ("shed", "spared")
_LOOKS: Final = ("looks", "refusals")
"""Of an endpoint and its budget, what is counted, so that what the dead have counted stays."""
_FRONTENDS: Final = ("open", "in_login", "with_lease_or_waiting")
_NO_STATE: Final[Told] = {"server_version": "", "frontends": {"limit": 0}, "topology": {}}
"""/state while no worker is ready, where it does not follow from the rest."""

Fallen = Mapping[str, Mapping[str, float]]
"""What dead workers have counted of endpoints, by name."""


def counts(counters: Counters) -> dict[str, object]:
    """What one worker has counted."""
    return {name: getattr(counters, name) for name in COUNTED}


def add_counters(total: Counters, told: Mapping[str, Any], *, is_dead: bool = False) -> None:
    """Add what one worker has counted."""
    for name in COUNTED:
        if is_dead and name in _NOW:
            continue
        value, before = told[name], getattr(total, name)
        if isinstance(value, dict):
            for reason, count in value.items():
                before[reason] = before.get(reason, 0) + count
        elif isinstance(value, list):
            before[:] = [one + other for one, other in zip(before, value, strict=True)]
        else:
            setattr(total, name, before + value)


def sums(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """By reason."""
    total: dict[str, float] = {}
    for counts in found:
        for reason, count in counts.items():
            total[reason] = total.get(reason, 0) + count
    return total


def routes(found: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """By role and reason."""
    total: dict[str, dict[str, int]] = {}
    for by_role in found:
        for role, counts in by_role.items():
            reasons = total.setdefault(role, {})
            for reason, count in counts.items():
                reasons[reason] = reasons.get(reason, 0) + count
    return total


def fallen(before: Fallen, told: Sequence[Told]) -> dict[str, Mapping[str, float]]:
    """With the endpoints of one more that has died."""
    found = dict(before)
    for each in told:
        counts = {key: each[key] for key in _COUNTED} | {key: each["budget"].get(key, 0) for key in _LOOKS}
        found[each["name"]] = sums([found.get(each["name"], {}), counts])
    return found


def endpoints(found: Iterable[Sequence[Told]], dead: Iterable[Fallen] = ()) -> list[dict[str, Any]]:
    """Those of the same name are one."""
    lost = list(dead)
    by_name: dict[str, list[Told]] = {}
    for told in found:
        for each in told:
            by_name.setdefault(each["name"], []).append(each)
    return [_endpoint(each, sums(one.get(name, {}) for one in lost)) for name, each in by_name.items()]


def _endpoint(told: Sequence[Told], lost: Mapping[str, float]) -> dict[str, Any]:
    """``lost``: what the dead have counted of it."""
    first = told[0]
    answering = [each for each in told if each["is_up"]]
    return {
        **first,
        **{key: sum(each[key] for each in told) for key in _SUMMED},
        **{key: sum(each[key] for each in told) + lost.get(key, 0) for key in _COUNTED},
        "opens_in": min(each["opens_in"] for each in told),
        "oldest_wait": max(each["oldest_wait"] for each in told),
        "users": _limited((each["users"] for each in told), ("backends", "used", "waiting")),
        "databases": _limited((each["databases"] for each in told), ("leased",)),
        "is_up": bool(answering),
        "last_failure": (answering or [first])[0]["last_failure"],
        "budget": _budget([each["budget"] for each in told if each["budget"]], lost),
    }


def _limited(found: Iterable[Sequence[Told]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Users or databases with their numbers. What each worker may have adds up to the limit of all."""
    total: dict[str, dict[str, Any]] = {}
    for told in found:
        for each in told:
            before = total.get(each["name"])
            if before is None:
                total[each["name"]] = dict(each)
                continue
            for key in keys:
                before[key] += each[key]
            limits = [limit for limit in (before["limit"], each["limit"]) if limit is not None]
            before["limit"] = sum(limits) if limits else None
    return list(total.values())


def _budget(told: Sequence[Told], lost: Mapping[str, float]) -> dict[str, Any]:
    """The last look, and how many there were."""
    if not told:
        return {}
    last = min(told, key=lambda each: (each["looked_ago"] is None, each["looked_ago"]))
    return {
        **last,
        "bound": sum(each["bound"] for each in told),
        **{key: sum(each[key] for each in told) + lost.get(key, 0) for key in _LOOKS},
    }


def obstacles(found: Sequence[Sequence[str]]) -> list[str]:
    """Why no traffic should be sent here: not as long as one worker is ready."""
    if not found:
        return ["no worker is ready"]
    return [] if not all(found) else list(dict.fromkeys(reason for reasons in found for reason in reasons))


def state(found: Sequence[tuple[int, Told]], longest: int, dead: Sequence[Fallen] = ()) -> dict[str, Any]:
    """/state, but for what the parent knows. ``found``: by worker, from 1; ``longest``: so many sessions are listed."""
    states = [told["state"] for _, told in found]
    first = states[0] if states else _NO_STATE
    sessions = [
        {**session, "worker": worker} for worker, told in found for session in told["state"]["sessions"]
    ]
    return {
        **first,
        "is_draining": any(each["is_draining"] for each in states),
        "frontends": {
            **{key: sum(each["frontends"][key] for each in states) for key in _FRONTENDS},
            "limit": first["frontends"]["limit"],
        },
        "pinned": sums(each["pinned"] for each in states),
        "routes": routes(each["routes"] for each in states),
        "stranded_accounts": sorted({name for each in states for name in each["stranded_accounts"]}),
        "endpoints": endpoints((each["endpoints"] for each in states), dead),
        "sessions": sorted(sessions, key=lambda session: session["id"])[:longest],
    }


def pins(found: Sequence[Told]) -> dict[str, Any]:
    """/pins: what was pinned by the same statement for the same reason is one."""
    uptime = max((told["uptime"] for told in found), default=0.0)
    sizes = {each["name"]: each["pool_size"] for told in found for each in told["endpoints"]}
    seconds = _pinned(told["endpoints"] for told in found)
    rows: dict[tuple[object, str], list[Told]] = {}
    for told in found:
        for row in told["pins"]:
            rows.setdefault((row["reason"], row["digest"]), []).append(row)
    merged = [_pin(same, sizes, uptime) for same in rows.values()]
    return {
        "uptime": uptime,
        "endpoints": [
            {"name": name, "pool_size": size, **cost(seconds[name], size, uptime)}
            for name, size in sizes.items()
        ],
        "pins": sorted(merged, key=lambda row: (-row["pinned_seconds"], row["last_seen_ago"], row["digest"])),
    }


def _pin(same: Sequence[Told], sizes: Mapping[str, int], uptime: float) -> dict[str, Any]:
    seconds = _pinned(row["endpoints"] for row in same)
    size = sum(sizes.get(name, 0) for name in seconds)
    return {
        **same[0],
        "count": sum(row["count"] for row in same),
        "live": sum(row["live"] for row in same),
        **cost(sum(row["pinned_seconds"] for row in same), size, uptime),
        "endpoints": [
            {"name": name, **cost(each, sizes.get(name, 0), uptime)} for name, each in seconds.items()
        ],
        "last_seen_ago": min(row["last_seen_ago"] for row in same),
    }


def _pinned(found: Iterable[Sequence[Told]]) -> dict[str, float]:
    """Seconds by endpoint."""
    return sums({each["name"]: each["pinned_seconds"] for each in told} for told in found)


def fleet(found: Sequence[Told]) -> dict[str, Any]:
    """/fleet: each worker is a Fanin to the servers; all of them are this one."""
    by_name: dict[str, dict[str, Any]] = {}
    for told in found:
        for each in told["endpoints"]:
            seen = by_name.get(each["name"])
            if seen is None:
                seen = by_name[each["name"]] = {**each, "sidecars": [dict(one) for one in each["sidecars"]]}
            else:
                _add_own(seen["sidecars"], [one for one in each["sidecars"] if one["is_this"]])
    return {"endpoints": list(by_name.values())}


def _add_own(sidecars: list[dict[str, Any]], own: Sequence[Told]) -> None:
    """Those that the worker which was asked first does not know for ours."""
    for one in own:
        for sidecar in sidecars:
            if sidecar["fanin_id"] == one["fanin_id"]:
                sidecar["is_this"] = True
                break
        else:
            sidecars.append(dict(one))
