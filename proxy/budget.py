"""How many connections this process may have to one server, so that a fleet of processes that know nothing of each other stays below the server's limit. Pure.

Each process looks at the server every two seconds or so: how many connections are open there, whoever has them, and how many may be. A look sets the
bound of the process's pool until the next one (`Budget.bound`).

Theory
======
Usable is what the server allows less a headroom for administrators; U is how much of that is in use.

    U up to GROWS_TO      the bound is what we have and a share of the free room (up to FILLS_TO)
    above, to PRESSES     everybody gives up a part of what he has
    above PRESSES         everybody gives up half; nobody falls below the floor

The share. Many look at the same number before the first of them opens anything, and some look again before others have used what they were given. Had
each of N processes a share of 1/N of the room, then within the time between two looks they could fill it about one and a half times. So it is 1/(CAUTION * N)
of it. Most of them need nothing, and one that does would be slow alone: so who has grown since his last look, and sees that the server's total has grown
by not much more, takes the number of those who grow, which is what that ratio says, in place of N. All who do not grow together have one share, too.

What follows: the room is filled in steps that become smaller, and never beyond it. What is wanted beyond it is bounded by giving up: by the same part for
all, while what comes free is shared alike. That makes the shares of those who want the same equal (additive increase, multiplicative decrease: Chiu and
Jain, 1989), at a U between GROWS_TO and FILLS_TO.

What cannot be seen is not guessed: without looks nothing grows, and after BLIND seconds the bound is this process's part of an equal division.

References: MySQL Reference Manual, "Server System Variables" (max_connections), "Server Status Variables" (Threads_connected), "Too many connections".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

GROWS_TO: Final = 0.85
FILLS_TO: Final = 0.88
PRESSES: Final = 0.92
CAUTION: Final = 3.0
KEPT: Final = 0.85
"""The part of its connections that a process keeps when there are too many."""
KEPT_UNDER_PRESSURE: Final = 0.5
BLIND: Final = 15.0
"""Seconds without a look, after which what was seen says nothing any more."""
LEAST_FLEET: Final = 10
"""Processes that are assumed where nothing says how many there are."""
BACKOFF: Final = 1.0
MOST_BACKOFF: Final = 30.0
"""Seconds for which nothing grows after the server has refused a connection: the longest first wait, doubled with each refusal."""


class Budget:
    """For one server. Times are seconds of any monotonic clock."""

    __slots__ = (
        "_connected",
        "_looked_at",
        "_own",
        "_random",
        "_refusals",
        "_waits_until",
        "bound",
        "fleet",
        "floor",
        "headroom",
        "limit",
        "most",
    )

    def __init__(
        self,
        *,
        most: int,
        now: float,
        random: Callable[[], float],
        headroom: float = 0.1,
        floor: int = 1,
        fleet: int = 0,
    ) -> None:
        """``most``: connections, whatever the server allows. ``headroom``: the part of the server's limit that is left alone. ``floor``: connections
        that are allowed in any case. ``fleet``: processes that share the server; 0: not known. ``random`` gives [0, 1)."""
        if not 1 <= floor <= most or not 0.0 <= headroom < 1.0:
            raise ValueError("expected 1 <= floor <= most, and a headroom below 1")
        self.most: int = most
        self.headroom: float = headroom
        self.floor: int = floor
        self.fleet: int = fleet
        # connections that this process may have now
        self.bound: int = floor
        # what the server allows; 0: not known
        self.limit: int = 0
        self._random: Callable[[], float] = random
        # the last look: when, what was open there, and what of that was ours
        self._looked_at: float = now
        self._connected: int = -1
        self._own: int = 0
        # refusals without a look between them, and until when nothing grows for that
        self._refusals: int = 0
        self._waits_until: float = now

    @property
    def usable(self) -> float:
        """Connections that all together may have."""
        return self.limit * (1.0 - self.headroom)

    def looked(self, now: float, connected: int, limit: int, own: int) -> int:
        """The server has ``connected`` connections, of which ``own`` are of this process's pool, and allows ``limit``. The bound from now on."""
        self.limit = limit
        wanted = self._wanted(now, connected, own)
        self._looked_at = now
        self._connected = connected
        self._own = own
        return self._set(wanted)

    def refused(self, now: float, own: int) -> int:
        """The server has refused a connection because it has too many (1040, 1203). The bound from now on."""
        pause = min(MOST_BACKOFF, BACKOFF * 2.0**self._refusals)
        self._refusals += 1
        self._waits_until = now + pause * self._random()
        return self._set(own * KEPT_UNDER_PRESSURE)

    def passed(self, now: float, own: int) -> int:
        """Time has passed without a look. The bound from now on."""
        if now - self._looked_at < BLIND:
            return self.bound
        self._connected = -1
        share = self.usable / self._processes(0) if self.limit else 0.0
        return self._set(min(share, max(own, self.floor)))

    def _set(self, wanted: float) -> int:
        self.bound = max(self.floor, min(self.most, int(wanted)))
        return self.bound

    def _wanted(self, now: float, connected: int, own: int) -> float:
        usable = self.usable
        if connected > PRESSES * usable:
            return self._rounded(own * KEPT_UNDER_PRESSURE)
        if connected > GROWS_TO * usable:
            return self._rounded(own * KEPT)
        if now < self._waits_until:
            return own
        self._refusals = 0
        room = FILLS_TO * usable - connected
        return own + self._rounded(room / (CAUTION * self._growers(connected, own)))

    def _growers(self, connected: int, own: int) -> float:
        """How many share the room."""
        processes = self._processes(connected)
        grown = own - self._own
        if grown <= 0 or self._connected < 0:
            return processes
        return max(1.0, min(processes, (connected - self._connected) / grown))

    def _processes(self, connected: int) -> float:
        """In the fleet. Where that is not known, each connection may be another's."""
        return float(self.fleet or max(LEAST_FLEET, connected))

    def _rounded(self, number: float) -> int:
        """At random, so that parts of a connection add up to whole ones."""
        whole = int(number)
        return whole + (self._random() < number - whole)
