"""How often something may be done: a token bucket.

The bucket is kept as the time at which it will be full again ("virtual scheduling", ITU-T I.371, generic cell rate algorithm): one number, no refill.
"""

from __future__ import annotations

from proxy.pool_states import NEVER


class Rate:
    """At most ``burst`` at once, and ``per_second`` of them a second from then on; 0: no limit."""

    __slots__ = ("_full_at", "_room", "interval")

    def __init__(self, per_second: float, burst: float) -> None:
        # seconds in which one token comes back
        self.interval: float = 1.0 / per_second if per_second > 0.0 else 0.0
        # how far in the future the bucket may be full again while there is still a token
        self._room: float = max(0.0, burst - 1.0) * self.interval
        self._full_at: float = -NEVER

    @property
    def per_second(self) -> float:
        """As it was made with."""
        return 1.0 / self.interval if self.interval else 0.0

    @property
    def next_at(self) -> float:
        """When the next one may be done; in the past if it may be now."""
        return self._full_at - self._room

    def take(self, now: float) -> None:
        """One is done."""
        # never emptier than empty, whatever the clock has done
        self._full_at = min(max(self._full_at, now), now + self._room) + self.interval
