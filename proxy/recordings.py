"""One recording of those that several workers have taken at the same time (`recording`). Pure.

A worker tells `parts`: the header, the names of its keys, by which those of all workers are known to be the same, and its sessions with their positions: the sample of the
whole is the smallest of the workers'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from protocol.wire import lenenc_int, read_lenenc_int
from proxy.recording import MOST_OPENS, OUTCOME_BITS, Recording, encoded, position_limit

_SUMMED: Final = (
    "size",
    "open",
    "min_idle",
    "max_opening",
    "connects_per_second",
    "leases",
    "busy",
    "refused",
    "opened",
)
"""Numbers of an endpoint that add up."""


def parts(
    recording: Recording, now: float, facts: Mapping[str, Mapping[str, object]], about: str
) -> dict[str, Any]:
    """What one worker tells; JSON knows all of it."""
    return {
        "header": recording.header(now, facts, about),
        "keys": recording.key_names(),
        "sessions": [(place, content.hex()) for place, content in recording.sessions()],
    }


def whole(found: Sequence[Mapping[str, Any]], most: int) -> bytes:
    """Of all workers' parts, at least one, what `Recording.as_bytes` gives for one process. ``most``: connections to each server; as what each worker could have may
    have been the other's before, it does not add up."""
    headers = [each["header"] for each in found]
    sample = min(header["sample"] for header in headers)
    endpoints: dict[str, dict[str, Any]] = {}
    keys: dict[tuple[str, str], int] = {}
    contents: list[bytes] = []
    for each in found:
        names = [_add(endpoints, endpoint) for endpoint in each["header"]["endpoints"]]
        own = [(names[number], key) for number, key in zip(each["header"]["keys"], each["keys"], strict=True)]
        numbers = [keys.setdefault(key, len(keys)) for key in own]
        for place, content in each["sessions"]:
            if place < position_limit(sample):
                contents.append(_renumbered(bytes.fromhex(content), numbers))
    for endpoint in endpoints.values():
        if "size" in endpoint:
            endpoint["size"] = min(endpoint["size"], most)
    order = list(endpoints)
    return encoded(
        {
            **headers[0],
            "seconds": max(header["seconds"] for header in headers),
            "is_full": any(header["is_full"] for header in headers),
            "sample": sample,
            "sessions": len(contents),
            "endpoints": list(endpoints.values()),
            "keys": [order.index(name) for name, _ in keys],
        },
        contents,
    )


def _add(endpoints: dict[str, dict[str, Any]], told: Mapping[str, Any]) -> str:
    """What one worker tells of an endpoint; its name."""
    name: str = told["name"]
    known = endpoints.get(name)
    if known is None:
        endpoints[name] = dict(told)
        return name
    for key in _SUMMED:
        if key in told:
            known[key] = known.get(key, 0) + told[key]
    known["opens"] = (known["opens"] + told["opens"])[:MOST_OPENS]
    return name


def _renumbered(content: bytes, numbers: Sequence[int]) -> bytes:
    """A session's leases with other numbers for its keys."""
    written: list[bytes] = []
    at = 0
    while at < len(content):
        begin = at
        for _ in range(3):
            _, at = read_lenenc_int(content, at)
        end = at
        what, at = read_lenenc_int(content, at)
        outcome = what & (1 << OUTCOME_BITS) - 1
        written.append(
            content[begin:end] + lenenc_int(numbers[what >> OUTCOME_BITS] << OUTCOME_BITS | outcome)
        )
    return b"".join(written)
