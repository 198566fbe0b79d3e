"""What sessions asked the pools for, in few bytes: `python -m bench whatif` replays it with pools of other sizes. Pure.

Whole sessions are sampled, never single leases: a session asks again when its last lease is over, so that what is left out must be all that
it asks. The sample is a part of all connection ids, chosen by a hash; when the recording is full, half of that part goes, and with it all that
was recorded of it. So a recording covers all of its time, whatever its sample comes to in the end. What it has of a session is in its
order: how long after the last lease it asked, how long it waited, how long it had the lease, for which server and kind of backend (numbers, not
names), and how that ended. No statement, no user, no address.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import Final

from protocol.wire import lenenc_int
from proxy.pool_states import Ticket

FORMAT: Final = "fanin-recording"
VERSION: Final = 1
LIMIT: Final = 1 << 20
"""Bytes of memory, about."""
OVERHEAD: Final = 200
"""Bytes that a session takes besides what is recorded of it."""
FEWEST: Final = 32
"""Sessions that a sample must keep: rather than have fewer, a recording that is full ends."""
MOST_OPENS: Final = 1000
"""Connections to one server whose opening is recorded by its duration; the others are only counted."""

# How a lease ended, or what became of who waited for one
FREE: Final = 0  # given back for anybody
PARKED: Final = 1  # given back with a claim on it
DISCARDED: Final = 2  # given back by closing it
HELD: Final = 3  # it had not ended when the recording did
REFUSED: Final = 4  # no lease: an error
LEFT: Final = 5  # no lease: the client did not wait any longer
WAITING: Final = 6  # none so far
OUTCOME_BITS: Final = 3

_ALL: Final = 1 << 32
_GOLDEN: Final = 2654435761
_ID_MASK: Final = 0xFFFFFFF


def position(session: int) -> int:
    """Where a session stands in the order by which samples are taken, below 2**32: ids that follow each other are evenly spread."""
    return ((session + 1) & _ID_MASK) * _GOLDEN % _ALL


def position_limit(sample: float) -> int:
    """Where this part of all sessions ends in that order."""
    return max(1, int(sample * _ALL))


class SessionRecord:
    """One session: what was recorded, and when its last lease ended (microseconds)."""

    __slots__ = ("content", "last")

    def __init__(self) -> None:
        self.content: bytearray = bytearray()
        self.last: int = 0


class EndpointRecord:
    """All leases of one server's backends, also those that are not in the sample."""

    __slots__ = ("busy", "leases", "number", "opened", "opens", "refused")

    def __init__(self, number: int) -> None:
        self.number: int = number
        self.leases: int = 0
        # seconds that they lasted
        self.busy: float = 0.0
        # who asked, and got none
        self.refused: int = 0
        # connections that were opened, and how many microseconds the first of them took
        self.opened: int = 0
        self.opens: list[int] = []


class Recording:
    """From `now` on. Who takes it calls `note` for what is not over at the end, and `as_bytes`."""

    __slots__ = ("_endpoints", "_keys", "_limit", "_sessions", "_threshold", "_used", "began_at", "ended_at")

    def __init__(self, now: float, sample: float, limit: int = LIMIT) -> None:
        """``sample``: the part of all sessions, above 0 and up to 1."""
        self.began_at: float = now
        # when it was full; None: it is not
        self.ended_at: float | None = None
        self._limit: int = limit
        self._threshold: int = position_limit(sample)
        self._sessions: dict[int, SessionRecord] = {}
        self._endpoints: dict[str, EndpointRecord] = {}
        # server and pool key -> a number
        self._keys: dict[tuple[int, Hashable], int] = {}
        self._used: int = 0

    @property
    def sample(self) -> float:
        """The part of all sessions that is recorded now."""
        return self._threshold / _ALL

    def note(
        self,
        session: int,
        endpoint: str,
        ticket: Ticket,
        granted: float,
        now: float,
        outcome: int,
    ) -> None:
        """A lease, or the wait for one, is over. ``granted``: `now` without a lease."""
        if self.ended_at is not None:
            return
        granted = max(granted, self.began_at)
        record = self._endpoint(endpoint)
        if outcome <= HELD:
            record.leases += 1
            record.busy += now - granted
        elif outcome != WAITING:
            record.refused += 1
        if position(session) < self._threshold:
            self._write(session, (record.number, ticket.key), ticket.enqueued_at, granted, now, outcome)
            if self._used > self._limit:
                self._thin(now)

    def opened(self, endpoint: str, seconds: float) -> None:
        """A connection was opened."""
        record = self._endpoint(endpoint)
        record.opened += 1
        if record.opened <= MOST_OPENS:
            record.opens.append(int(seconds * 1e6))

    def as_bytes(self, now: float, facts: Mapping[str, Mapping[str, object]], about: str) -> bytes:
        """A line of JSON, then for each session the length of what follows and, in the order of its leases, four numbers each: microseconds from
        the end of the last to the question, from there to the lease, and to its end; and the number of its key, above OUTCOME_BITS of
        outcome. All as int<lenenc>. ``facts``: what there is to say of each endpoint; ``about``: of the process."""
        contents = [bytes(session.content) for session in self._sessions.values()]
        return encoded(self.header(now, facts, about), contents)

    def header(self, now: float, facts: Mapping[str, Mapping[str, object]], about: str) -> dict[str, object]:
        """That line."""
        ended_at = now if self.ended_at is None else self.ended_at
        for name in facts:
            self._endpoint(name)
        return {
            "format": FORMAT,
            "version": VERSION,
            "about": about,
            "seconds": round(ended_at - self.began_at, 6),
            "is_full": self.ended_at is not None,
            "sample": self.sample,
            "sessions": len(self._sessions),
            "endpoints": [_totals(each, name, facts) for name, each in self._endpoints.items()],
            "keys": [number for number, _ in self._keys],
        }

    def key_names(self) -> list[str]:
        """The keys in the order of their numbers, as other processes of the same proxy would name them."""
        return [repr(key) for _, key in self._keys]

    def sessions(self) -> list[tuple[int, bytes]]:
        """`position` of each, and what was recorded of it."""
        return [(position(number), bytes(session.content)) for number, session in self._sessions.items()]

    def _endpoint(self, name: str) -> EndpointRecord:
        record = self._endpoints.get(name)
        if record is None:
            record = self._endpoints[name] = EndpointRecord(len(self._endpoints))
        return record

    def _write(
        self,
        session: int,
        place: tuple[int, Hashable],
        asked: float,
        granted: float,
        now: float,
        outcome: int,
    ) -> None:
        key = self._keys.setdefault(place, len(self._keys))
        record = self._sessions.get(session)
        if record is None:
            record = self._sessions[session] = SessionRecord()
            self._used += OVERHEAD
        begun = self._microseconds(granted)
        wanted = self._microseconds(asked)
        if wanted < record.last or wanted > begun:
            # it was another lease that the session waited for
            wanted = begun
        ended = self._microseconds(now)
        content = (
            lenenc_int(max(0, wanted - record.last))
            + lenenc_int(begun - wanted)
            + lenenc_int(max(0, ended - begun))
            + lenenc_int(key << OUTCOME_BITS | outcome)
        )
        record.last = ended
        record.content += content
        self._used += len(content)

    def _microseconds(self, at: float) -> int:
        return int((at - self.began_at) * 1e6)

    def _thin(self, now: float) -> None:
        """Half of the sample goes."""
        if len(self._sessions) < 2 * FEWEST:
            self.ended_at = now
            return
        self._threshold //= 2
        for session in list(self._sessions):
            if position(session) >= self._threshold:
                self._used -= OVERHEAD + len(self._sessions.pop(session).content)


def encoded(header: Mapping[str, object], contents: Iterable[bytes]) -> bytes:
    """As `Recording.as_bytes`."""
    parts = [json.dumps(header).encode(), b"\n"]
    for content in contents:
        parts.append(lenenc_int(len(content)))
        parts.append(content)
    return b"".join(parts)


def _totals(
    record: EndpointRecord, name: str, facts: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    return {
        "name": name,
        **facts.get(name, {}),
        "leases": record.leases,
        "busy": round(record.busy, 6),
        "refused": record.refused,
        "opened": record.opened,
        "opens": record.opens,
    }
