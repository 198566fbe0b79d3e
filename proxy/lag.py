"""How far a reader is behind, and whether that is near enough: a value with an age, and hysteresis.

A lag that was measured a while ago may have grown since by as much as that while. Counted is the age beyond what is usual between two
measurements: the interval of the looks, and where a server measures for itself, now and then, how old its measurements usually are
when they are seen. A reader whose measurements stop is therefore out after ``max_lag`` and one such interval.

    out --(lag <= 0.8 * max_lag)--> in --(lag + overdue age > max_lag)--> out

A reader at the border does not come and go. Unknown lag is out. Nothing of this concerns a writer.
"""

from __future__ import annotations

from typing import Final

RETURN: Final = 0.8
"""Of ``max_lag``: within that a reader that was out comes back."""
FORGETTING: Final = 0.9
"""How much of the usual age is left with each measurement that was seen younger."""
UNKNOWN_LAG: Final = float("inf")


class LagGate:
    """Whether one reader is near enough."""

    __slots__ = ("_is_in", "_updated", "interval", "lag", "max_lag", "measured_at", "usual_age")

    def __init__(self, max_lag: float, interval: float) -> None:
        self.max_lag: float = max_lag
        # seconds between two looks
        self.interval: float = interval
        # seconds, by the last measurement; UNKNOWN_LAG
        self.lag: float = UNKNOWN_LAG
        # when it was measured, by our clock: not later
        self.measured_at: float = 0.0
        # how old measurements are when they are new to us
        self.usual_age: float = 0.0
        self._updated: int = 0
        self._is_in: bool = False

    def sampled(self, lag: float | None, asked_at: float, age: float = 0.0, updated: int = 0) -> None:
        """A look at ``asked_at`` showed a measurement that was then ``age`` old. ``updated`` tells measurements apart (0: it is a new one):
        one that is shown again only grows older."""
        is_known = lag is not None and self.lag != UNKNOWN_LAG
        if updated and updated == self._updated and is_known:
            return
        measured_at = asked_at - age
        # as long as there is nothing newer the old one decides: did it put the reader out?
        was_in = self.is_eligible(asked_at)
        self._updated = updated
        self.measured_at = measured_at
        if lag is None:
            self.lag = UNKNOWN_LAG
        else:
            self.lag = lag
            self.usual_age = max(min(age, self.interval), self.usual_age * FORGETTING)
        limit = self.max_lag if was_in else self.max_lag * RETURN
        self._is_in = self.lag + self._overdue(asked_at) <= limit

    def lost(self) -> None:
        """Nothing is known of the reader any more: it was restarted, or is another one."""
        self.lag = UNKNOWN_LAG
        self._updated = 0
        self._is_in = False

    def is_eligible(self, now: float) -> bool:
        """Whether reads may go there by its lag."""
        return self._is_in and self.lag + self._overdue(now) <= self.max_lag

    def is_within(self, limit: float, now: float) -> bool:
        """Whether it is certainly no further behind than this: the whole age counts."""
        return self.lag + max(0.0, now - self.measured_at) <= limit

    def _overdue(self, now: float) -> float:
        return max(0.0, now - self.measured_at - self.interval - self.usual_age)

    def why(self, now: float) -> str:
        """The reason of `is_eligible`, for people."""
        if self.lag == UNKNOWN_LAG:
            return "its lag is not known"
        age = max(0.0, now - self.measured_at)
        measured = f"{self.lag:.3f} s behind, measured {age:.3f} s ago"
        if self.is_eligible(now):
            return measured
        if self.lag > self.max_lag:
            return f"{measured}: more than {self.max_lag:g} s"
        if self.lag + self._overdue(now) > self.max_lag:
            return f"{measured}: too old to be sure of {self.max_lag:g} s"
        return f"{measured}: it was further behind, and comes back within {self.max_lag * RETURN:g} s"
