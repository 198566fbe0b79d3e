"""Limits in the pool core that are none of the pool's own: of databases, and of users on the server."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

NOTHING: Final = -1
"""The limit of a user who may have no member for the moment."""
NOT_YET: Final = float("inf")


class Quota:
    """How many leases sessions of one kind may have at a time, whatever their keys: those of one database."""

    __slots__ = ("configured", "leased", "most", "name", "promised")

    def __init__(self, name: Hashable, most: int) -> None:
        self.name: Hashable = name
        # and by the settings, of which another worker may have a part
        self.most: int = most
        self.configured: int = most
        # tickets with this quota that have a member; more than `most` when sessions took back what they had parked
        self.leased: int = 0
        # tickets with this quota that wait, and for whom one is coming
        self.promised: int = 0

    def has_room(self) -> bool:
        """Whether another ticket may have a member."""
        return self.leased < self.most


class Refusals:
    """Those of a server that lets one user have no connection at all."""

    __slots__ = ("_since", "error")

    def __init__(self) -> None:
        self._since: float = NOT_YET
        # what it said last; None: it lets the user in, as far as is known
        self.error: object = None

    def failed(self, now: float, error: object) -> None:
        """Another."""
        self._since = min(self._since, now)
        self.error = error

    def succeeded(self) -> None:
        """There is a connection."""
        self._since = NOT_YET
        self.error = None

    def last_for(self, now: float) -> float:
        """Seconds since the first; below 0 when there are none."""
        return now - self._since
