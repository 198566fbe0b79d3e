"""Takes a recording of the leases of this process (`recording`) for as long as somebody waits for it. A shell: it has the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from proxy.endpoint import Endpoint
from proxy.recording import HELD, WAITING, Recording
from proxy.recordings import parts
from proxy.shared import Shared
from proxy.states import WAITING as WAITING_SESSION
from proxy.version import fanin_version

LONGEST: Final = 600.0
"""Seconds that a recording may take."""
LOOK: Final = 0.5
"""Seconds between two looks whether it is full, or the process ends."""


class RecordingError(Exception):
    """There is a recording already."""


async def record(shared: Shared, seconds: float, sample: float) -> bytes:
    """What happens within the next `seconds`, or until the recording is full or the process drains, of this part of the sessions. Cancelled, it
    ends. Raises RecordingError."""
    return await _recorded(shared, seconds, sample, Recording.as_bytes)


async def record_parts(shared: Shared, seconds: float, sample: float) -> dict[str, Any]:
    """The same, to be made one with those of other workers (`recordings`)."""
    return await _recorded(shared, seconds, sample, parts)


Written = TypeVar("Written")


async def _recorded(
    shared: Shared,
    seconds: float,
    sample: float,
    write: Callable[[Recording, float, dict[str, dict[str, Any]], str], Written],
) -> Written:
    counters, loop = shared.counters, shared.loop
    if counters.recording is not None:
        raise RecordingError("a recording is under way")
    recording = counters.recording = Recording(loop.time(), sample)
    until = recording.began_at + seconds
    facts = _facts(shared)
    try:
        await _over(shared, recording, until)
        _note_sizes(shared, facts)
        _note_unfinished(shared, recording)
        return write(recording, loop.time(), facts, f"fanin {fanin_version()}")
    finally:
        counters.recording = None


async def _over(shared: Shared, recording: Recording, until: float) -> None:
    """Wait for its end: neither that it is full nor that the process drains wakes anybody."""
    loop = shared.loop
    while (left := until - loop.time()) > 0 and recording.ended_at is None and not shared.is_draining:  # noqa: ASYNC110
        await asyncio.sleep(min(left, LOOK))


def _facts(shared: Shared) -> dict[str, dict[str, Any]]:
    """What pools may do, and how many connections they have. ``size`` is what there is room for on the server, where that is less than
    `pool.size`."""
    return {endpoint.name: _facts_of(endpoint) for endpoint in shared.endpoints()}


def _facts_of(endpoint: Endpoint) -> dict[str, Any]:
    core = endpoint.core
    return {
        "role": endpoint.role,
        "size": core.max_size,
        "open": core.size - core.opening_count,
        "min_idle": core.min_idle,
        "acquire_timeout": core.acquire_timeout,
        "idle_timeout": core.idle_timeout,
        "max_age": core.max_age,
        "max_opening": core.max_opening,
        "connects_per_second": core.connects_per_second,
    }


def _note_sizes(shared: Shared, facts: dict[str, dict[str, Any]]) -> None:
    """There may be more room now than there was: what pools could grow to is what matters."""
    for endpoint in shared.endpoints():
        known = facts.setdefault(endpoint.name, _facts_of(endpoint))
        known["size"] = max(known["size"], endpoint.core.max_size)


def _note_unfinished(shared: Shared, recording: Recording) -> None:
    for frontend in shared.frontends.values():
        if frontend.backend is not None:
            frontend.record(recording, HELD)
        elif frontend.state == WAITING_SESSION:
            frontend.record(recording, WAITING)
