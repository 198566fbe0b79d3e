"""What one endpoint may have of its server now, and why: the budget together with what it is told of the server, and the words for people. Pure:
`now` is a time of `time.monotonic()`.

Whoever looks at the server says what was `saw`, or that the look has `failed`; the endpoint says when it was `refused`, and the coarse tick that time
has `passed`. Afterwards `bound` is how many connections there may be, and `take_lines` what should be logged.

A server is believed what can be true. One that is not, or cannot be looked at, is treated alike: what was seen before holds for BLIND seconds; where
nothing ever was, and asking again would not help, there is an equal share of the usual limit at once. The next look that is believed ends all that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from proxy.budget import BLIND, LEAST_FLEET, PRESSES, Budget
from proxy.occupancy import Occupancy

TOO_MANY: Final = 1040
"""The server has no connection left."""
USUAL_LIMIT: Final = 151
"""max_connections that is assumed where it cannot be read: MySQL's default, and less than any instance of Aurora allows by default."""
PROMPT: Final = 0.2
"""Seconds that a look may take for its number to be compared with ours: that is as old as the last tick but one."""
MOST_OWED: Final = 30.0
"""Seconds that are made up for."""
QUIET: Final = 30.0
"""Seconds between two lines of the log about the same."""


class Why(StrEnum):
    """What the bound is due to."""

    START = "start"
    SIZE = "pool.size"
    GROWING = "growing"
    LEVEL = "level"
    ROOM = "room"
    PRESSED = "pressed"
    REFUSED = "refused"
    BLIND = "blind"


WORDS: Final = {
    Why.START: "nobody has looked at the server yet",
    Why.SIZE: "pool.size",
    Why.GROWING: "the server's room is filled in steps",
    Why.LEVEL: "the server is shared",
    Why.ROOM: "server nearly full",
    Why.PRESSED: "server nearly full",
    Why.REFUSED: "server has refused connections",
    Why.BLIND: "server cannot be looked at",
}
_EVENTS: Final = {
    Why.PRESSED: "server is nearly full: connections are given up",
    Why.REFUSED: "server has refused a connection: fewer are used",
    Why.BLIND: "server cannot be looked at: its connections are divided equally, see [budget]",
}
_BETTER: Final = "connections follow the room on the server again"
_NO_FLEET: Final = (
    "how many Fanins share the server is not known, so that connections grow slowly: see budget.fleet"
)


@dataclass(frozen=True, slots=True)
class CapRules:
    """``size``: connections, whatever the server allows. ``fleet`` and ``limit``: 0 to find out. ``limit``: else no more than that is believed."""

    size: int
    headroom: float
    fleet: int = 0
    limit: int = 0
    interval: float = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """One for the log."""

    level: str
    event: str
    reason: str
    bound: int


class Cap:
    """For one endpoint."""

    __slots__ = (
        "_budget",
        "_due_at",
        "_failing_since",
        "_is_hopeless",
        "_is_told",
        "_jitter",
        "_lines",
        "_no_count",
        "_owed",
        "_owns",
        "_random",
        "_rules",
        "_told",
        "fleet",
        "looks",
        "refusals",
        "seen",
        "seen_at",
        "trouble",
        "why",
    )

    def __init__(self, rules: CapRules, now: float, random: Callable[[], float]) -> None:
        self._rules = rules
        self._budget = Budget(
            most=rules.size, headroom=rules.headroom, fleet=rules.fleet, now=now, random=random
        )
        self._random = random
        self.why = Why.START
        # the last look that was believed, and when it was; how many there were
        self.seen: Occupancy | None = None
        self.seen_at = now
        self.looks = 0
        # connections that the server has refused us, those at about the same time once
        self.refusals = 0
        # why it cannot be looked at, in words; "" when it can
        self.trouble = ""
        # processes that share the server, as far as was counted or is configured; 0: not known
        self.fleet = rules.fleet
        # why that is not known
        self._no_count = ""
        self._failing_since = math.inf
        self._is_hopeless = False
        self._due_at = -math.inf
        self._jitter = 0.0
        # seconds by which looks have been early, and others will be late
        self._owed = 0.0
        # open connections of ours at the last two ticks
        self._owns = (0, 0)
        # when a line was told last, by its event; and whether one was that something is wrong
        self._told: dict[str, float] = {}
        self._is_told = False
        self._lines: list[Line] = []

    @property
    def bound(self) -> int:
        """Connections that there may be now."""
        return self._budget.bound

    def allow(self, most: int) -> None:
        """So many connections may there be from now on, whatever the server allows: other workers have the rest of the size."""
        self._budget.allow(most)

    def delay(self, now: float) -> float:
        """Seconds until the next look should be taken."""
        left = self._due_at - now
        # more than ever was agreed: the clock has been set back
        return left if 0.0 < left <= 2.0 * self._rules.interval else 0.0

    def saw(
        self, seen: Occupancy, now: float, own: int, round_trip: float, needed: int | None = None
    ) -> None:
        """A look. Nothing when it is too early for one. ``own``: connections of ours that are open; ``needed``: how many could be used now."""
        if self.delay(now) > 0.0:
            if self._is_counted(seen) and not seen.lie(0):
                self._count(seen)
            return
        self._next_look(now)
        limit = self._rules.limit
        if limit and not 1 <= seen.limit <= limit:
            seen = replace(seen, limit=limit)
        lie = seen.lie(min(own, *self._owns) if round_trip < PROMPT else 0)
        if lie:
            self._fail(now, f"what it says is not believed: {lie}", is_hopeless=True)
            return
        self._believe(seen, now, own, needed, round_trip)

    def failed(self, now: float, trouble: str, is_hopeless: bool) -> None:
        """A look has failed. ``is_hopeless``: asking again soon does not help."""
        self._next_look(now)
        self._fail(now, trouble, is_hopeless)

    def refused(self, now: float, own: int, code: int = TOO_MANY) -> None:
        """The server has refused a connection because it has too many. ``own``: connections of ours that are left, those included that are being
        opened."""
        if self._budget.is_waiting(now):
            # it was opened at the same time as the one that was refused before
            return
        self.refusals += 1
        self._budget.refused(now, own)
        self._turn(Why.REFUSED, now, str(code))

    def passed(self, now: float, own: int) -> None:
        """The coarse tick."""
        self._owns = (self._owns[1], own)
        if self.looks:
            self._budget.passed(now, own)
            if now - self.seen_at >= BLIND:
                self._turn(Why.BLIND, now, self.trouble or "no look has come to its end")
        elif self._is_hopeless or now - self._failing_since >= BLIND:
            self._budget.unable(now, self._rules.limit or USUAL_LIMIT)
            self._turn(Why.BLIND, now, self.trouble)

    def take_lines(self) -> list[Line]:
        """What should be logged, once."""
        lines, self._lines = self._lines, []
        return lines

    def in_words(self) -> str:
        """Why there are no more connections, where `pool.size` would allow them; else ""."""
        if self.bound >= self._budget.most:
            return ""
        return f"{WORDS[self.why]}: bound {self.bound} of {self._budget.most}"

    def report(self, now: float) -> dict[str, object]:
        """For /state and /metrics."""
        seen = self.seen
        return {
            "bound": self.bound,
            "why": self.why.value,
            "connected": None if seen is None else seen.connected,
            "limit": None if seen is None else seen.limit,
            "fleet": self.fleet or None,
            "looked_ago": None if seen is None else round(now - self.seen_at, 3),
            "looks": self.looks,
            "refusals": self.refusals,
            "server_refusals": None if seen is None else seen.refusals,
            "trouble": self.trouble or self._no_count,
        }

    # Parts

    def _next_look(self, now: float) -> None:
        # within a half of the interval, early or late; what one is late the next is early, so that in the long run there is one in each interval
        jitter = 0.5 * self._rules.interval * self._random()
        self._due_at = now + self._rules.interval + jitter - self._jitter
        self._jitter = jitter

    def _hurry(self, now: float) -> None:
        """The next look comes at half the time: those later make up for it, so that in the long run there are no more."""
        early = 0.5 * (self._due_at - now)
        self._due_at -= early
        self._owed = min(MOST_OWED, self._owed + early)

    def _make_up(self) -> None:
        late = min(self._owed, 0.5 * self._rules.interval)
        self._due_at += late
        self._owed -= late

    def _believe(self, seen: Occupancy, now: float, own: int, needed: int | None, round_trip: float) -> None:
        self.looks += 1
        self.seen, self.seen_at = seen, now
        self.trouble, self._is_hopeless, self._failing_since = "", False, math.inf
        budget = self._budget
        is_counted = self._is_counted(seen)
        if is_counted:
            self._count(seen)
        if is_counted or seen.trouble:
            self._no_count = seen.trouble
        budget.looked(now, seen.connected, seen.limit, own, needed, round_trip)
        if budget.is_desperate(own if needed is None else needed):
            self._hurry(now)
        else:
            self._make_up()
        if self._no_count:
            self._tell("warning", _NO_FLEET, now, self._no_count, again=math.inf)
        self._turn(self._reason(seen.connected, now), now, f"{seen.connected} of {seen.limit} in use")

    def _is_counted(self, seen: Occupancy) -> bool:
        return seen.count is not None and not self._rules.fleet

    def _count(self, seen: Occupancy) -> None:
        """Those who begin at the same time as we do are not all there yet, nor are all back when the server has been restarted: the larger of
        two counts, and the first one twice."""
        fleet = seen.fleet()
        before = self.fleet or max(LEAST_FLEET, 2 * fleet)
        self._budget.fleet = max(before, fleet) if fleet else 0
        self._budget.foreign = seen.foreign()
        self.fleet = fleet

    def _reason(self, connected: int, now: float) -> Why:
        budget = self._budget
        if connected > PRESSES * budget.usable:
            return Why.PRESSED
        if self.bound >= budget.most:
            return Why.SIZE
        if budget.is_waiting(now):
            return Why.REFUSED
        if connected >= budget.room:
            return Why.ROOM
        return Why.LEVEL if budget.bound >= int(budget.level(connected)) else Why.GROWING

    def _fail(self, now: float, trouble: str, is_hopeless: bool) -> None:
        self.trouble = trouble
        self._failing_since = min(self._failing_since, now)
        self._is_hopeless = is_hopeless
        self.passed(now, self._owns[1])

    def _turn(self, why: Why, now: float, reason: str) -> None:
        if why is self.why:
            return
        self.why = why
        if why in _EVENTS:
            self._is_told = self._tell("warning", _EVENTS[why], now, reason, again=QUIET) or self._is_told
        elif self._is_told:
            self._is_told = False
            self._tell("info", _BETTER, now, reason, again=0.0)

    def _tell(self, level: str, event: str, now: float, reason: str, again: float) -> bool:
        if now - self._told.get(event, -math.inf) < again and event in self._told:
            return False
        self._told[event] = now
        self._lines.append(Line(level, event, reason, self.bound))
        return True
