"""How many backends are likely to be needed soon. Pure: minutes are counted by the caller, from the beginning of some week.

What was needed at once in the last five minutes, and at this time of the week before: the peak of each minute is remembered, in five numbers and in a
profile of one for each minute of a week (20 KB). A profile rises to a peak at once and falls by a quarter each week, so that one Monday of rest is not
taken for the rule, nor one Black Friday.

It says which of the idle backends to keep a little longer than `pool.idle_timeout` (`proxy.pool`); nothing is opened for it.
"""

from __future__ import annotations

from array import array
from typing import Final

WEEK: Final = 10_080
RECENT: Final = 5
AHEAD: Final = 5
"""Minutes of the past and of the profile that count."""
_MOST: Final = 65_535


class Demand:
    """Of one endpoint."""

    __slots__ = ("_minute", "_peaks", "_profile")

    def __init__(self) -> None:
        # the minute that runs, and the peaks of the last ones, this one last
        self._minute: int = -1
        self._peaks: list[int] = [0]
        self._profile: array[int] = array("H", bytes(2 * WEEK))

    def seen(self, used: int, minute: int) -> None:
        """So many are used at a time in this minute."""
        if minute != self._minute:
            self._begin(minute)
        if used > self._peaks[-1]:
            self._peaks[-1] = used

    def needed(self) -> int:
        """As many as may be used at once in the next minutes."""
        ahead = [self._profile[(self._minute + number) % WEEK] for number in range(AHEAD)]
        return max(*self._peaks, *ahead)

    def _begin(self, minute: int) -> None:
        """A minute is over. Others may have passed unseen, or the clock was set back."""
        if self._minute >= 0:
            at = self._minute % WEEK
            peak, before = self._peaks[-1], self._profile[at]
            self._profile[at] = min(_MOST, max(peak, (3 * before + peak) // 4))
            passed = minute - self._minute
            self._peaks += [0] * (passed if 0 < passed < RECENT else 1 if passed < 0 else RECENT)
            del self._peaks[:-RECENT]
        self._minute = minute
