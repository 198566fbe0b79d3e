"""For how long a server has been dead, by all that is seen of it. Pure.

One that has vanished, with its host or behind a network that drops packets, does not end the connections that sessions have to it. One that is slow, or full,
answers somebody, if not the monitor: that is no sign. So what counts is that for a while every attempt finds nobody, or nothing of an answer at all.
"""

from __future__ import annotations

from typing import Final

from proxy.topology_actions import DEAD, Cause

_NEVER: Final = float("inf")


class Absence:
    """Of one server."""

    __slots__ = ("_is_told", "_since")

    def __init__(self) -> None:
        # when the first of the attempts failed that have all failed since; _NEVER: the last did not
        self._since: float = _NEVER
        self._is_told: bool = False

    def ends(self) -> None:
        """It has answered, or somebody has in its place."""
        self._since, self._is_told = _NEVER, False

    def is_over(self, cause: Cause, now: float, patience: float) -> bool:
        """An attempt to look at it has failed: whether it has been dead for that long. Says so once."""
        if cause not in DEAD:
            self.ends()
            return False
        self._since = min(self._since, now)
        was_told, self._is_told = self._is_told, now - self._since >= patience
        return self._is_told and not was_told
