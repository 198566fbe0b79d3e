"""Which of the eligible readers: power of two choices, slow start of new ones, and a limit for what falls back on the writer.

Of two that are drawn at random the one with fewer leases for its weight is taken; where that does not tell, the nearer one by the round trip that
the monitor measures (usually the one in the same zone), then the one with the idler processor. Two draws are enough to keep the load even, and
unlike the least loaded of all they do not send everybody to one that is new (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
As long as one has backends left nobody is sent to queue at another: then the draw is among those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

COLDEST: Final = 0.1
"""Of its weight: what a new reader starts with."""
LOAD_STEP: Final = 0.1
"""Loads that differ by less than this share are the same."""
ROUND_TRIP_STEP: Final = 0.2
"""So are round trips, and those that differ by less than:"""
SHORTEST_STEP: Final = 0.0001
CPU_STEP: Final = 10.0
"""Per cent."""


class Contender:
    """One reader in the balance. The shell keeps `leases`, `size`, `round_trip` and `cpu` as they are."""

    __slots__ = ("cpu", "joined_at", "leases", "name", "round_trip", "size", "warm_up", "weight")

    def __init__(self, name: str, weight: float = 1.0, warm_up: float = 0.0) -> None:
        self.name: str = name
        # its share, in relation to the others'; 0: none
        self.weight: float = weight
        # seconds in which a reader that has joined gets its full share
        self.warm_up: float = warm_up
        self.joined_at: float = -float("inf")
        # in use now, or waited for; and how many it may have, 0: not known
        self.leases: int = 0
        self.size: int = 0
        # seconds; negative: not known
        self.round_trip: float = -1.0
        # per cent; negative: not known
        self.cpu: float = -1.0

    def counted(self, leases: int, size: int) -> None:
        """So many are in use or waited for, of so many."""
        self.leases = leases
        self.size = size

    def has_room(self) -> bool:
        """Whether nobody would have to wait for others there."""
        return self.size <= 0 or self.leases < self.size

    def joined(self, now: float) -> None:
        """It is new, or was away: its caches are cold."""
        self.joined_at = now

    def warmth(self, now: float) -> float:
        """How much of its weight it has: from COLDEST to 1."""
        passed = now - self.joined_at
        if passed >= self.warm_up:
            return 1.0
        return COLDEST + (1.0 - COLDEST) * max(0.0, passed) / self.warm_up

    def load(self, now: float) -> float:
        """Leases for its weight, with the one that it would get."""
        return (self.leases + 1) / (self.weight * self.warmth(now))


def choose(contenders: list[Contender], now: float, random: Callable[[], float]) -> Contender | None:
    """One of these, all of them eligible; None when there is none. ``random`` is in [0, 1)."""
    count = len(contenders)
    if count == 0:
        return None
    first = int(random() * count)
    one = contenders[first]
    if count == 1:
        return one if one.weight > 0 else None
    other = contenders[(first + 1 + int(random() * (count - 1))) % count]
    if one.weight <= 0 or other.weight <= 0:
        return _of_weighted(contenders, now, random)
    best = other if _is_better(other, one, now) else one
    return best if best.has_room() else _with_room(contenders, best, now, random)


def _with_room(
    contenders: list[Contender], full: Contender, now: float, random: Callable[[], float]
) -> Contender:
    """Those that were drawn are full."""
    roomy = [contender for contender in contenders if contender.weight > 0 and contender.has_room()]
    return choose(roomy, now, random) or full


def _of_weighted(contenders: list[Contender], now: float, random: Callable[[], float]) -> Contender | None:
    """Some have no weight, and one of them was drawn."""
    weighted = [contender for contender in contenders if contender.weight > 0]
    return choose(weighted, now, random)


def _is_better(one: Contender, other: Contender, now: float) -> bool:
    has_room = one.has_room()
    if has_room != other.has_room():
        return has_room
    if has_room:
        mine, theirs = one.load(now), other.load(now)
    else:
        # what counts for those who wait is how many backends become free
        mine, theirs = one.leases / one.size, other.leases / other.size
    if abs(mine - theirs) > LOAD_STEP * max(mine, theirs):
        return mine < theirs
    mine, theirs = one.round_trip, other.round_trip
    if mine >= 0 and theirs >= 0:
        difference = abs(mine - theirs)
        if difference > SHORTEST_STEP and difference > ROUND_TRIP_STEP * max(mine, theirs):
            return mine < theirs
    mine, theirs = one.cpu, other.cpu
    if mine >= 0 and theirs >= 0 and abs(mine - theirs) >= CPU_STEP:
        return mine < theirs
    return False


class TokenBucket:
    """So many a second on the average, and so many at once: what may fall back on the writer, so that reads do not drown writes."""

    __slots__ = ("_filled_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        # tokens a second; 0: no limit
        self.rate: float = rate
        self.burst: float = max(1.0, burst)
        self._tokens: float = self.burst
        self._filled_at: float = -float("inf")

    def take(self, now: float) -> bool:
        """One, if there is one."""
        if self.rate <= 0:
            return True
        self._fill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is one."""
        if self.rate <= 0:
            return 0.0
        self._fill(now)
        return max(0.0, 1.0 - self._tokens) / self.rate

    def _fill(self, now: float) -> None:
        if now > self._filled_at:
            self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.rate)
            self._filled_at = now
