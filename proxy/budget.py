"""How many connections this process may have to one server, so that a fleet of processes that know nothing of each other stays below the server's
limit. Pure: `now` is a time of `time.monotonic()`.

Each process looks at the server every two seconds or so, at random times: how many connections are open there, whoever has them, and how many may be.
A look sets the bound of the process's pool until the next one.

Theory
======
*Usable* is what the server allows, less a headroom for administrators and surprises. N processes share it, and *full* is what they make use of: FULL
of usable, less what others may open at once on a small server (SURPRISE).

The level. How many connections a process may have is a function of what is connected and of N alone, so that all who look at the same server find the
same: full / N when the server is full, and more or less by the power of e for what is free of usable, or too much. STEEP is how steep: where half
of the fleet wants nothing the others' level doubles for little more than one percent of usable. Few processes are many percent each, and must not be
so nervous (PATIENCE, NERVE, JOLT). When all want more than they get, they settle where N levels are as much as is in use. Nobody need remember anything for
that to be fair, and nothing swings: who is above the level gives up a part of the difference with each look, MOVES, and one of many all of it.
A fleet of MANY looks ahead, too: when the server will be full by the next look, if it goes on like this, the level is that of a full one.
(Additive increase and multiplicative decrease, by which shares become equal too, either take minutes for it or open and close a tenth of all
connections with every look.)

Promises. What a look allows need not be opened at once, and until it is nobody else can see it. So all looks that see the same room, up to FILLS,
promise no more than a part of it all together, and each its part of that, in proportion to what it lacks. The part is large (MOST_PROMISED) where
there is much room, so that a rush that nobody could foresee finds most of what it needs; and small (PROMISED) where there is little, so that it goes
to who needs it. Where hardly anything was opened by a fleet of MANY since the last look (RESTS) none of them does, and the part is as large however
little room there is; of few one may, for whom the rest is kept. Who has opened what it was promised gets more of what is *free*: what is left if all
open what they were promised when this process looked last.

Need. Most processes want little, and what is promised to them cannot be given to the few that want much. But what is given to clients that wait now
is opened at once, so that everybody sees it: of what is free, such a process may take as much as if it were one of few. How few? Of as many as look
while one look, and the opening of what it allows, is under way; one in IN_NEED of the fleet at least. Among few, where each connection counts, also as many as
seem to be in need: of all that was promised at its last look, this part was opened since, and about this part of the fleet grows.

One of few that has half of its share or less waits for others to give something up, and looks sooner: it takes one of what they leave before they take it back.
(Of many it would not help: what all together were promised by one look is not free at the next.)

Limits. All that holds if the answer to a look is used at once, if what is idle is kept for longer than until the next look, and if not more than
about a tenth of the fleet looks in the same moment: looks are at random times.

What follows: the room is filled in steps that become smaller. Foreign connections that appear count as others do. When the server is nearly full what
is idle is given up (CALM, SPARES); above PRESSES everybody gives up half, down to the floor. A refusal of the server's has the same effect at once, and
nothing grows for a while.

Where nobody says how many processes there are, the level is one for fleets of any size, from all that is usable down to one connection, within
SPAN and LAST of usable: then few processes use somewhat less of the server, and become equal more slowly. Every process has a connection of its
monitor's, so that there are no more of them than connections that are not this one's.

What cannot be seen is not guessed: without looks nothing grows, and after BLIND seconds the bound is this process's part of an equal division, or
on its slow way up to that.

References: MySQL Reference Manual, "Server System Variables" (max_connections), "Server Status Variables" (Threads_connected), "Too many connections".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

FULL: Final = 0.932
"""The part of usable at which the server is full: the larger, the closer it comes to what it must not exceed when others appear."""
FILLS: Final = 0.946
"""The part up to which somebody may grow."""
PRESSES: Final = 0.975
SURPRISE: Final = 10.07
"""Connections that others may open between two looks."""
SMALL: Final = 0.0742
"""The part of usable that is kept for them at most."""
STEEP: Final = 60.0
PATIENCE: Final = 0.35
"""How steep at most below what is full, for each pair of processes: else few of them stay unequal, because the first connection that one gives up makes the
level rise to what it has."""
NERVE: Final = 4.5
"""How steep at most above what is full, for each process."""
JOLT: Final = 7.5
"""So many connections beyond what is full make the level fall by e at most: who looks first must not give up all that is too much."""
MOVES: Final = 0.4
"""The part of what a process has above the level that one of few gives up with each look; one of many gives up all of it."""
MANY: Final = 100
FEW: Final = 20
"""Processes of which each can hardly be felt, and of which each connection is."""
CALM: Final = 0.02
"""How far below what is full the server is, of usable, while everybody may keep what is idle."""
SPARES: Final = 0.2
"""The part of what is idle that a process gives up with each look when the server is not so far from full."""
KEPT: Final = 0.5
"""The part of its connections that it keeps under pressure, and after a refusal."""
PROMISED: Final = 0.2
MOST_PROMISED: Final = 0.95
"""The part of the room that is promised where there is hardly any, and where all is room."""
RESTS: Final = 0.005
"""The part of usable by which a server may have grown since the last look where nobody seems to need more."""
HANDFUL: Final = 10.0
"""Of fewer processes less is promised, so that more is left for who is in need."""
IN_NEED: Final = 50.0
"""Who is in need takes a part of what is free as if the fleet were smaller by this factor, or alone."""
STARVED: Final = 0.75
"""Who has no more than this part of its share takes one, where there is room for it and nobody else seems to need that, whatever was promised."""
DESPERATE: Final = 0.5
"""One of few who may have no more than this part of its share, and needs more, looks sooner: it waits for others to give something up."""
ALONE: Final = 0.5
"""The part of the room that is promised at most where nobody knows how many share the server, and the part of what is free that one may take."""
SPAN: Final = 0.1
LAST: Final = 0.02
"""Parts of usable below and above what is full, between which the level falls from all to one where nobody knows how many there are."""
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
MOST_EXPONENT: Final = 50.0


def longest_pause(refusals: int) -> float:
    """Seconds for which nothing grows at most, after so many refusals and one more."""
    return min(MOST_BACKOFF, BACKOFF * 2.0 ** min(refusals, 5))


class Budget:
    """For one server."""

    __slots__ = (
        "_connected",
        "_is_at_rest",
        "_looked_at",
        "_promised",
        "_random",
        "_refusals",
        "_regains_at",
        "_round_trip",
        "_waits_until",
        "bound",
        "fleet",
        "floor",
        "foreign",
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
        # connections that are known to be nobody's of the fleet
        self.foreign: int = 0
        # connections that this process may have now
        self.bound: int = floor
        # what the server allows; 0: not known
        self.limit: int = 0
        self._random: Callable[[], float] = random
        # the last look: when, what was open there, or -1, whether that was no more than at the look before, and what was promised to all together
        self._looked_at: float = now
        self._connected: int = -1
        self._is_at_rest: bool = False
        self._promised: float = 0.0
        # seconds that its answer was under way
        self._round_trip: float = 0.0
        # refusals without growth between them, and until when nothing grows for that
        self._refusals: int = 0
        self._waits_until: float = now
        # when a process that cannot look gets the next connection back
        self._regains_at: float = now

    @property
    def usable(self) -> float:
        """Connections that all together may have."""
        return self.limit * (1.0 - self.headroom)

    @property
    def full(self) -> float:
        """Connections at which every process has an equal share."""
        return FULL * self.usable - self._surprise()

    @property
    def room(self) -> float:
        """Connections up to which anybody may grow."""
        return FILLS * self.usable - self._surprise()

    def looked(
        self,
        now: float,
        connected: int,
        limit: int,
        own: int,
        needed: int | None = None,
        round_trip: float = 0.0,
    ) -> int:
        """The server has ``connected`` connections, of which ``own`` are of this process's pool, and allows ``limit``. ``needed``: how many this process
        could use now, leases and clients that wait for one; None: all that it has. ``round_trip``: seconds that the answer was under way. The bound
        from now on."""
        self._round_trip = round_trip
        self.limit = max(1, limit)
        # a server that says less than it must
        connected = max(connected, own)
        if not 0.0 <= now - self._looked_at < BLIND:
            self._connected = -1
        self._is_at_rest = self._connected >= 0 and connected - self._connected <= RESTS * self.usable
        wanted = self._wanted(now, connected, own, own if needed is None else needed)
        self._looked_at = now
        self._regains_at = now + REGAINS
        self._connected = connected
        self._promised = self._promise(max(0.0, self.room - connected))
        return self._set(wanted)

    def is_desperate(self, needed: int) -> bool:
        """Whether it should look again soon. (Of many who did nobody would be served sooner.)"""
        held_back = needed > self.bound < self.most and self.bound <= DESPERATE * self.level(self.full)
        return held_back and 0 < self.fleet < MANY

    def refused(self, now: float, own: int) -> int:
        """The server has refused a connection because it has too many (1040). The bound from now on."""
        self._waits_until = now + longest_pause(self._refusals) * self._random()
        self._refusals += 1
        self._regains_at = now + REGAINS
        return self._set(min(self.bound, int(own * KEPT)))

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

    def allow(self, most: int) -> None:
        """``most`` is another from now on, and may be below the floor. What it stopped goes on at once: another worker of this proxy has given up as many
        connections."""
        self.bound = most if self.bound >= self.most else max(self.floor, self.bound)
        self.most = most
        self._set(self.bound)

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
        return self.usable / (self.fleet or LEAST_FLEET)

    def level(self, connected: float) -> float:
        """How many connections anybody may have when so many are in use."""
        if self.fleet:
            # each has a monitor's connection besides
            share, at = max(0.0, (self.full - self.foreign) / self.fleet - 1.0), self.full
        else:
            share, at = 1.0, self.full + LAST * self.usable
        return share * math.exp(min(MOST_EXPONENT, self._steepness(connected) * (at - connected)))

    def _steepness(self, connected: float) -> float:
        """By which power of e the level falls with each connection."""
        if self.fleet:
            if connected <= self.full:
                return min(STEEP, PATIENCE * self.fleet * self.fleet) / self.usable
            return min(min(STEEP, NERVE * self.fleet) / self.usable, 1.0 / JOLT)
        return math.log(max(math.e, self.usable)) / ((SPAN + LAST) * self.usable)

    def _surprise(self) -> float:
        return min(SURPRISE, SMALL * self.usable)

    def _set(self, wanted: int) -> int:
        self.bound = min(self.most, max(self.floor, wanted))
        return self.bound

    def _wanted(self, now: float, connected: int, own: int, needed: int) -> int:
        if connected > PRESSES * self.usable:
            return self._rounded(own * KEPT)
        level = self.level(self._ahead(connected))
        surplus = self._surplus(connected, own, needed, level)
        if surplus > 0.0:
            return self._rounded(own - surplus)
        lacks = min(int(level), self.most) - own
        if lacks <= 0 or connected >= self.room or self.is_waiting(now):
            return own
        self._refusals = 0
        return own + self._rounded(min(lacks, self._grant(connected, own, needed - own, level)))

    def _ahead(self, connected: int) -> float:
        """What will be connected at the next look, if it goes on like this: but a server that is not full counts as full at most."""
        if self._connected < 0:
            return connected
        soon = connected + self._manifold() * (connected - self._connected)
        return max(float(connected), min(self.full, soon))

    def _manifold(self) -> float:
        """From 0 for few processes to 1 for many."""
        return max(0.0, min(1.0, (self.fleet - FEW) / (MANY - FEW)))

    def _surplus(self, connected: int, own: int, needed: int, level: float) -> float:
        """What is given up now. Where few may share the server, no more than moves the level by as much."""
        surplus = (MOVES + (1.0 - MOVES) * self._manifold()) * (own - math.ceil(level))
        if not self.fleet:
            surplus /= max(1.0, MOVES * level * self._steepness(connected))
        if connected > self.full - CALM * self.usable:
            surplus = max(surplus, SPARES * (own - max(needed, self.floor)))
        return surplus

    def _grant(self, connected: int, own: int, waiting: int, level: float) -> float:
        """What may be opened until the next look."""
        room = self.room - connected
        promised = self._promise(room)
        part = self._part(connected, own, min(level, float(self.most)))
        promise = part * promised
        if self._connected < 0:
            free = room - promised
        else:
            free = max(0.0, self.room - max(float(connected), self._connected + self._promised))
            # what it has opened of the last promise does not come again while the others' are open
            promise = min(promise, max(0, self.bound - own) + part * free)
        if waiting > 0 and room >= 1.0 and self._is_starved(own) and connected <= self._connected:
            promise = max(1.0, promise)
        return max(promise, min(float(waiting), free * self._need(connected, own, level)))

    def _is_starved(self, own: int) -> bool:
        """Whether it has much less than all would have on a full server."""
        return own <= STARVED * self.level(self.full)

    def _promise(self, room: float) -> float:
        """What is promised to all together when there is so much room."""
        most = min(MOST_PROMISED, max(ALONE, self.fleet / (self.fleet + HANDFUL)))
        part = PROMISED + (most - PROMISED) * math.sqrt(room / self.room)
        if self._is_at_rest:
            part += (most - part) * self._manifold()
        return room * part

    def _part(self, connected: int, own: int, level: float) -> float:
        """Of what all together are promised, this process's."""
        fleet = self.fleet
        if not fleet:
            return 1.0 / max(LEAST_FLEET, connected - own)
        lacks = level - own
        others = fleet * level - max(0, connected - self.foreign - fleet)
        return max(0.0, lacks) / max(1.0, lacks, others, 0.5 * fleet * level)

    def _need(self, connected: int, own: int, level: float) -> float:
        """Of what is free, the part for a process whose clients wait."""
        fleet = self.fleet
        if not fleet:
            return min(ALONE, max(own, level) / max(1, connected))
        grown = 0 if self._connected < 0 else connected - self._connected
        growing = fleet * max(0.0, min(1.0, grown / max(float(fleet), self._promised)))
        # each looks every two seconds, and opens a connection in about the time of a look; if there is another it may look in the same moment
        looking = max(fleet / IN_NEED, fleet * self._round_trip, min(1.0, fleet - 1.0))
        return 1.0 / (1.0 + max(looking, growing * (1.0 - self._manifold())))

    def _rounded(self, number: float) -> int:
        """At random, so that parts of a connection add up to whole ones."""
        whole = int(number)
        return whole + (self._random() < number - whole)
