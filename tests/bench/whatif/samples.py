"""Recordings that were never taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.whatif.recorded import Recorded, parse
from proxy.pool_states import Ticket
from proxy.recording import FREE, Recording

START = 1000.0
FACTS: dict[str, object] = {
    "role": "writer",
    "size": 10,
    "open": 2,
    "min_idle": 0,
    "acquire_timeout": 5.0,
    "idle_timeout": 60.0,
    "max_age": 3600.0,
    "max_opening": 8,
    "connects_per_second": 50.0,
}
Asked = tuple[int, float, float, float, int]
"""Session, when it asked, got, and gave back its backend (seconds), and how that ended."""


def content_of(leases: Sequence[Asked], *, seconds: float = 10.0, sample: float = 1.0, **facts: Any) -> bytes:
    """A recording of one server, in the order of its leases' ends."""
    recording = Recording(START, sample)
    tickets: dict[int, Ticket] = {}
    for session, asked, granted, ended, outcome in leases:
        ticket = tickets.setdefault(session, Ticket("key"))
        if asked < granted:
            ticket.enqueued_at = START + asked
        recording.note(session, "writer", ticket, START + granted, START + ended, outcome)
    return recording.as_bytes(START + seconds, {"writer": {**FACTS, **facts}}, "fanin 1")


def recorded(leases: Sequence[Asked], **facts: Any) -> Recorded:
    """As read."""
    return parse(content_of(leases, **facts))


def steady(sessions: int, *, held: float = 0.45, pause: float = 0.55, seconds: float = 10.0) -> list[Asked]:
    """Each session has a backend for `held` of every `held` + `pause` seconds, all at other times."""
    period = held + pause
    found: list[Asked] = []
    for session in range(sessions):
        at = period * session / sessions
        while at + held < seconds:
            found.append((session, at, at, at + held, FREE))
            at += period
    return sorted(found, key=lambda lease: lease[3])
