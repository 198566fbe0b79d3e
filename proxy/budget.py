"""How many connections this process may have to one server, so that a fleet of processes that know nothing of each other stays below the server's
limit. Pure: `now` is a time of `time.monotonic()`.

Each process looks at the server every two seconds or so: how many connections are open there, whoever has them, and how many may be. A look sets the
bound of the process's pool until the next one.

Theory
======
*Usable* is what the server allows, less a headroom for administrators and surprises; U is the part of it that is in use. N processes share it.

The level. How many connections a process may have is a function of U and N alone, so that all who look at the same server find the same:

    U up to FULL        FULL * usable / N, times e to the STEEP * (FULL - U)
    from there on       the same, less and less, down to nothing where U is PRESSES

When all want more than they get, U settles where N levels are as much as is in use; when half of the fleet is idle, the other half's level is higher.
Nobody need remember anything for that to be fair, and nothing swings: who is above the level gives up a part of the difference with each look.
(Additive increase and multiplicative decrease, by which shares become equal too, either take minutes for it or open and close a tenth of all
connections with every look.) At STEEP 8 the level doubles with every 9 percent of usable that are free, and a process that is alone with its
demand is not held up by it.

The share. Many look at the same U before the first of them opens anything, and some look again before others have used what they were given. So what
a look allows to be opened is a part of the room that is left, up to FILLS: all parts together are 1 / CAUTION of it. Who is far below the level gets
more than who is near it: the part is in proportion to what it lacks, and what all together lack is known, N * level less what is in use.
Most of them want nothing, and one that does would be slow alone. Hence: who has grown since his last look, and sees that the server's total has grown by not much
more, divides by the number of those who grow, which is what that ratio says. Only while there is much room.

What follows: the room is filled in steps that become smaller, and not beyond FILLS but by what was allowed twice. Foreign connections that appear count
as U does. Above PRESSES everybody gives up half, down to the floor; a refusal of the server's has the same effect at once, and nothing grows for a while.

What cannot be seen is not guessed: without looks nothing grows, and after BLIND seconds the bound is this process's part of an equal division, or
on its slow way up to that.

References: MySQL Reference Manual, "Server System Variables" (max_connections), "Server Status Variables" (Threads_connected), "Too many connections".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

FULL: Final = 0.85
FILLS: Final = 0.88
PRESSES: Final = 0.92
STEEP: Final = 8.0
MOVES: Final = 0.2
"""The part of what a process has above the level that it gives up with each look."""
KEPT: Final = 0.5
"""The part of its connections that it keeps under pressure, and after a refusal."""
CAUTION: Final = 3.0
MUCH_ROOM: Final = 0.7
"""U below which who grows alone may grow faster."""
HEADROOM: Final = 0.1
"""The part of the server's limit that is left alone, unless told otherwise."""
BLIND: Final = 15.0
"""Seconds without a look, after which what was seen says nothing any more."""
REGAINS: Final = 30.0
"""Seconds without a look in which the bound gets back one of the connections that it is below that part."""
LEAST_FLEET: Final = 10
"""Processes that are assumed where nothing says how many there are."""
BACKOFF: Final = 1.0
MOST_BACKOFF: Final = 30.0
"""Seconds for which nothing grows after the server has refused a connection: the longest first wait, doubled with each refusal."""


class Budget:
    """For one server."""

    __slots__ = (
        "_connected",
        "_looked_at",
        "_own",
        "_random",
        "_refusals",
        "_regains_at",
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
        headroom: float = HEADROOM,
        floor: int = 1,
        fleet: int = 0,
    ) -> None:
        """``most``: connections, whatever the server allows. ``headroom``: the part of the server's limit that is left alone. ``floor``: connections
        that are allowed in any case. ``fleet``: processes that share the server; 0: not known. ``random`` gives [0, 1)."""
        if not 1 <= floor <= most or not 0.0 <= headroom < 1.0:
            raise ValueError("expected 1 <= floor <= most, and a headroom from 0 to below 1")
        self.most: int = most
        self.headroom: float = headroom
        self.floor: int = floor
        self.fleet: int = fleet
        # connections that this process may have now
        self.bound: int = floor
        # what the server allows; 0: not known
        self.limit: int = 0
        self._random: Callable[[], float] = random
        # the last look: when, what was open there, or -1, and what of that was ours
        self._looked_at: float = now
        self._connected: int = -1
        self._own: int = 0
        # refusals without growth between them, and until when nothing grows for that
        self._refusals: int = 0
        self._waits_until: float = now
        # when a process that cannot look gets the next connection back
        self._regains_at: float = now

    @property
    def usable(self) -> float:
        """Connections that all together may have."""
        return self.limit * (1.0 - self.headroom)

    def looked(self, now: float, connected: int, limit: int, own: int) -> int:
        """The server has ``connected`` connections, of which ``own`` are of this process's pool, and allows ``limit``, at least 1. The bound from
        now on."""
        self.limit = limit
        wanted = self._wanted(now, connected, own)
        self._looked_at = now
        self._regains_at = now + REGAINS
        self._connected = connected
        self._own = own
        return self._set(wanted)

    def refused(self, now: float, own: int) -> int:
        """The server has refused a connection because it has too many (1040, 1203). The bound from now on."""
        pause = min(MOST_BACKOFF, BACKOFF * 2.0 ** min(self._refusals, 5))
        self._refusals += 1
        self._waits_until = now + pause * self._random()
        self._regains_at = now + REGAINS
        return self._set(int(own * KEPT))

    def passed(self, now: float, own: int) -> int:
        """Time has passed without a look. The bound from now on."""
        del own
        return self.bound if now - self._looked_at < BLIND else self._divided(now)

    def unable(self, now: float, limit: int) -> int:
        """It turns out that nobody can look at all, where the server allows ``limit`` connections unless it has said otherwise before. The bound
        from now on: this process's part of an equal division at once, unless refusals have cost some of it."""
        self.limit = self.limit or limit
        if not self._refusals:
            self._regains_at = now
            self.bound = int(self._part_of_all())
        return self._divided(now)

    def is_waiting(self, now: float) -> bool:
        """Whether nothing grows because of a refusal."""
        # more than ever was agreed: the clock has been set back
        return 0.0 < self._waits_until - now <= MOST_BACKOFF

    def _divided(self, now: float) -> int:
        """Towards an equal division: down at once, and up one by one, because nobody sees what is free."""
        self._connected = -1
        share = int(self._part_of_all())
        if share > self.bound:
            if now < self._regains_at:
                return self.bound
            self._regains_at = now + REGAINS
            share = self.bound + 1
        return self._set(share)

    def _part_of_all(self) -> float:
        return self.usable / self._processes(0)

    def level(self, connected: int) -> float:
        """How many connections anybody may have when so many are in use."""
        usable = self.usable
        used = connected / usable
        share = FULL * usable / self._processes(connected)
        if used <= FULL:
            return share * math.exp(STEEP * (FULL - used))
        return share * max(0.0, (PRESSES - used) / (PRESSES - FULL))

    def _set(self, wanted: int) -> int:
        self.bound = max(self.floor, min(self.most, wanted))
        return self.bound

    def _wanted(self, now: float, connected: int, own: int) -> int:
        if connected > PRESSES * self.usable:
            return self._rounded(own * KEPT)
        level = self.level(connected)
        if own > level:
            return self._rounded(own - MOVES * (own - level))
        room = FILLS * self.usable - connected
        if self.is_waiting(now) or room <= 0.0:
            return own
        self._refusals = 0
        return min(
            self._rounded(level), own + self._rounded(room / CAUTION * self._part(connected, own, level))
        )

    def _part(self, connected: int, own: int, level: float) -> float:
        """Of the room that is given away, what this process may take."""
        lacks = level - own
        others = self._processes(connected) * level - connected
        part = lacks / max(lacks, others)
        grown, grown_in_all = own - self._own, connected - self._connected
        if self._connected < 0 or grown <= 0 or connected > MUCH_ROOM * self.usable:
            return part
        return max(part, min(1.0, grown / max(1, grown_in_all)))

    def _processes(self, connected: int) -> int:
        """In the fleet. Where that is not known, each connection may be another's."""
        return self.fleet or max(LEAST_FLEET, connected)

    def _rounded(self, number: float) -> int:
        """At random, so that parts of a connection add up to whole ones."""
        whole = int(number)
        return whole + (self._random() < number - whole)
