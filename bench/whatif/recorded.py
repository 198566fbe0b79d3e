"""Reads what `proxy.recording` has written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from bench.histogram import Histogram
from protocol.errors import RemoteProtocolError
from protocol.wire import read_lenenc_bytes, read_lenenc_int
from proxy.recording import FORMAT, HELD, OUTCOME_BITS, VERSION

SLACK: Final = 60.0
"""Seconds for which a URL may take longer than the recording."""
LONGEST: Final = 600.0


@dataclass(frozen=True, slots=True)
class Lease:
    """What a session asked for. Seconds since its last lease, of the wait and of the lease; the number of the key; `outcome` as in
    `proxy.recording`."""

    gap: float
    wait: float
    held: float
    key: int
    outcome: int

    @property
    def is_granted(self) -> bool:
        """Whether there was a lease."""
        return self.outcome <= HELD


@dataclass(frozen=True)
class Pool:
    """One server's pool when the recording began, and what of all sessions, sampled or not, it had to do. Durations in seconds."""

    name: str
    size: int
    open: int
    acquire_timeout: float
    idle_timeout: float
    max_age: float
    max_opening: int
    connects_per_second: float
    leases: int
    busy: float
    refused: int
    opened: int
    opens: tuple[float, ...]


Session = tuple[Lease, ...]


@dataclass(frozen=True)
class Recorded:
    """One recording."""

    about: str
    seconds: float
    sample: float
    is_full: bool
    pools: tuple[Pool, ...]
    # number of a key -> that of its pool
    keys: tuple[int, ...]
    sessions: tuple[Session, ...]

    def sessions_of(self, pool: Pool) -> list[Session]:
        """What is left of them when a session's leases of other servers are part of its pauses."""
        number = self.pools.index(pool)
        found = [self._only(session, number) for session in self.sessions]
        return [session for session in found if session]

    def waits_of(self, pool: Pool) -> Histogram:
        """How long sessions of the sample waited for their leases, in microseconds."""
        waits = Histogram()
        for session in self.sessions_of(pool):
            for lease in session:
                if lease.is_granted:
                    waits.record(round(lease.wait * 1e6))
        return waits

    def _only(self, session: Session, number: int) -> Session:
        kept: list[Lease] = []
        elsewhere = 0.0
        for lease in session:
            if self.keys[lease.key] == number:
                kept.append(replace(lease, gap=elsewhere + lease.gap))
                elsewhere = 0.0
            else:
                elsewhere += lease.gap + lease.wait + lease.held
        return tuple(kept)


def load(source: str) -> Recorded:
    """From a file, or from the page of a Fanin that records now. Raises ValueError with what is wrong."""
    try:
        if source.startswith(("http://", "https://")):
            with urlopen(source, timeout=LONGEST + SLACK) as answer:
                content: bytes = answer.read()
        else:
            content = Path(source).read_bytes()
    except (OSError, URLError) as error:
        raise ValueError(f"cannot read {source}: {error}") from error
    try:
        return parse(content)
    except (ValueError, KeyError, TypeError, IndexError, RemoteProtocolError) as error:
        raise ValueError(f"{source} is no recording of Fanin's, or cut off ({error})") from error


def parse(content: bytes) -> Recorded:
    """Raises ValueError, KeyError, TypeError, IndexError or RemoteProtocolError for anything else."""
    line, _, rest = content.partition(b"\n")
    header = json.loads(line)
    if (header["format"], header["version"]) != (FORMAT, VERSION):
        raise ValueError(f"version {header['version']} of {header['format']}")
    sessions: list[Session] = []
    at = 0
    while at < len(rest):
        leases, at = read_lenenc_bytes(rest, at)
        sessions.append(_session(leases))
    if len(sessions) != header["sessions"]:
        raise ValueError(f"{len(sessions)} of {header['sessions']} sessions")
    return Recorded(
        about=header["about"],
        seconds=header["seconds"],
        sample=header["sample"],
        is_full=header["is_full"],
        pools=tuple([_pool(each) for each in header["endpoints"]]),
        keys=tuple(header["keys"]),
        sessions=tuple(sessions),
    )


def _session(content: bytes) -> Session:
    leases: list[Lease] = []
    at = 0
    while at < len(content):
        gap, at = read_lenenc_int(content, at)
        wait, at = read_lenenc_int(content, at)
        held, at = read_lenenc_int(content, at)
        what, at = read_lenenc_int(content, at)
        key, outcome = what >> OUTCOME_BITS, what & (1 << OUTCOME_BITS) - 1
        leases.append(Lease(gap / 1e6, wait / 1e6, held / 1e6, key, outcome))
    return tuple(leases)


def _pool(each: dict[str, Any]) -> Pool:
    return Pool(
        name=each["name"],
        size=each["size"],
        open=each["open"],
        acquire_timeout=each["acquire_timeout"],
        idle_timeout=each["idle_timeout"],
        max_age=each["max_age"],
        max_opening=each["max_opening"],
        connects_per_second=each["connects_per_second"],
        leases=each["leases"],
        busy=each["busy"],
        refused=each["refused"],
        opened=each["opened"],
        opens=tuple([microseconds / 1e6 for microseconds in each["opens"]]),
    )
