"""How many connections a server lets each user have, as far as it has refused some for that (1203, 1226). Pure: `now` is a time of
`time.monotonic()`.

No look shows it, so it is found out: at the first refusal the user keeps to half of what it has, for it may be that other processes want theirs, too;
after a random while it has back what it had, one by one, and then tries one more after RAISES seconds, then two, and so on. A refusal of those only confirms what
is known. A user with none at all tries again within BACKOFF seconds.

References: MySQL Reference Manual, "Setting Account Resource Limits", "Server System Variables" (max_user_connections).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proxy.budget import BACKOFF, KEPT, MOST_BACKOFF, longest_pause
from proxy.pool_limits import NOTHING

RAISES: Final = 60.0
"""Seconds after which it is tried whether a user may have more connections than the last time."""


class UserLimit:
    """Of one user."""

    __slots__ = (
        "_is_refused",
        "_raises_at",
        "_random",
        "_refusals",
        "_step",
        "_waits_until",
        "ceiling",
        "most",
    )

    def __init__(self, random: Callable[[], float]) -> None:
        # connections that it may have now, and the most that the server has let it have
        self.most: int = 0
        self.ceiling: int = 0
        self._random: Callable[[], float] = random
        # it was refused, but what it has is not clear yet
        self._is_refused: bool = False
        # how many more were tried last
        self._step: int = 0
        self._refusals: int = 0
        self._waits_until: float = 0.0
        self._raises_at: float = 0.0

    def refused(self, now: float, own: int, opening: int) -> None:
        """The server has refused one, while ``own`` are open and so many more are being opened."""
        self._is_refused = True
        self.seen(now, own, opening)

    def seen(self, now: float, own: int, opening: int) -> None:
        """So many are open, and being opened."""
        if self.ceiling:
            self.ceiling = max(self.ceiling, own)
        if self._is_refused and opening:
            # the server lets in some of those that have come at the same time, and nobody knows which are the last
            self.most = own + opening
        elif self._is_refused:
            self._is_refused = False
            self._step = 0
            self._raises_at = now + RAISES
            self._conclude(now, own)

    def passed(self, now: float, own: int, opening: int) -> None:
        """The coarse tick."""
        self.seen(now, own, opening)
        if self._is_refused or self._is_waiting(now):
            return
        if self.most < self.ceiling:
            self.most = max(1, self.most + 1)
        elif not 0.0 < self._raises_at - now <= RAISES:
            if own >= self.most:
                self._step = 2 * self._step or 1
            self.most = self.ceiling + self._step
            self._raises_at = now + RAISES

    def _conclude(self, now: float, own: int) -> None:
        if own >= self.ceiling > 0:
            self.most = own
            self._refusals = 0
            return
        self.ceiling = max(1, own)
        if not own:
            self.most = NOTHING
            self._waits_until = now + BACKOFF * self._random()
            return
        self.most = max(1, int(own * KEPT))
        self._waits_until = now + longest_pause(self._refusals) * self._random()
        self._refusals += 1

    def _is_waiting(self, now: float) -> bool:
        # more than ever was agreed: the clock has been set back
        return 0.0 < self._waits_until - now <= MOST_BACKOFF


class UserLimits:
    """Of all users, for one endpoint. ``size``: connections that anybody may have at most; ``random`` gives [0, 1)."""

    __slots__ = ("_limits", "_random", "_size")

    def __init__(self, size: int, random: Callable[[], float]) -> None:
        self._size: int = size
        self._random: Callable[[], float] = random
        self._limits: dict[bytes, UserLimit] = {}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def refused(self, user: bytes, now: float, own: int, opening: int) -> int:
        """The server has refused one, while ``own`` are open and so many more are being opened. How many the user may have from now on."""
        limit = self._limits.setdefault(user, UserLimit(self._random))
        limit.refused(now, own, opening)
        return limit.most

    def passed(self, now: float, counts: Callable[[bytes], tuple[int, int]]) -> Mapping[bytes, int]:
        """The coarse tick: for each user how many it may have from now on; 0: the server has not said no up to ``size``, and is forgotten. ``counts``
        tells what is open of a user's, and what is being opened."""
        found: dict[bytes, int] = {}
        for user, limit in list(self._limits.items()):
            limit.passed(now, *counts(user))
            found[user] = limit.most if limit.most < self._size else 0
            if not found[user]:
                del self._limits[user]
        return found
