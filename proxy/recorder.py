"""Takes a recording of the leases of this process (`recording`) for as long as somebody waits for it. A shell: it has the clock."""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.recording import HELD, WAITING, Recording
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
    counters, loop = shared.counters, shared.loop
    if counters.recording is not None:
        raise RecordingError("a recording is under way")
    recording = counters.recording = Recording(loop.time(), sample)
    until = recording.began_at + seconds
    facts = _facts(shared)
    try:
        await _over(shared, recording, until)
        _note_unfinished(shared, recording)
        return recording.as_bytes(loop.time(), facts, f"fanin {fanin_version()}")
    finally:
        counters.recording = None


async def _over(shared: Shared, recording: Recording, until: float) -> None:
    """Wait for its end: neither that it is full nor that the process drains wakes anybody."""
    loop = shared.loop
    while (left := until - loop.time()) > 0 and recording.ended_at is None and not shared.is_draining:  # noqa: ASYNC110
        await asyncio.sleep(min(left, LOOK))


def _facts(shared: Shared) -> dict[str, dict[str, object]]:
    """What pools may do, and how many connections they have."""
    return {
        endpoint.name: {
            "role": endpoint.role,
            "size": endpoint.core.max_size,
            "open": endpoint.core.size - endpoint.core.opening_count,
            "min_idle": endpoint.core.min_idle,
            "acquire_timeout": endpoint.core.acquire_timeout,
            "idle_timeout": endpoint.core.idle_timeout,
            "max_age": endpoint.core.max_age,
            "max_opening": endpoint.core.max_opening,
            "connects_per_second": endpoint.core.connects_per_second,
        }
        for endpoint in shared.endpoints()
    }


def _note_unfinished(shared: Shared, recording: Recording) -> None:
    for frontend in shared.frontends.values():
        if frontend.backend is not None:
            frontend.record(recording, HELD)
        elif frontend.state == WAITING_SESSION:
            frontend.record(recording, WAITING)
