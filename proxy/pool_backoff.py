"""When the next attempt to open a connection may begin, and whether there is still hope."""

from __future__ import annotations

from collections.abc import Callable

from proxy.pool_states import NEVER


class Backoff:
    """Exponential back-off with full jitter: after each failure at most `base`, doubled up to `cap`, times a random share.

    The random share is what keeps the sidecars of a fleet from coming back all at once.
    """

    __slots__ = ("_base", "_cap", "_delay", "_random", "error", "failing_since", "retry_at")

    def __init__(self, base: float, cap: float, random: Callable[[], float]) -> None:
        self._base: float = base
        self._cap: float = cap
        self._random: Callable[[], float] = random
        # what the present interval is a random share of; 0 when the last attempt succeeded
        self._delay: float = 0.0
        # no attempt before this time
        self.retry_at: float = -NEVER
        # of the last attempt, None when it succeeded
        self.error: object = None
        # since when nothing can be had of the endpoint; NEVER when it answers
        self.failing_since: float = NEVER

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed: then there is one at a time."""
        return self._delay > 0.0

    def succeeded(self) -> None:
        """The endpoint works."""
        self._delay = 0.0
        self.retry_at = -NEVER
        self.error = None
        self.failing_since = NEVER

    def failed(self, now: float, error: object, is_answer: bool) -> None:
        """An attempt failed. `is_answer`: the endpoint works, only not for this attempt."""
        self.error = error
        if is_answer:
            self.failing_since = NEVER
        elif self.failing_since == NEVER:
            self.failing_since = now
        # attempts that began before the first failure fail with it: they do not prolong the interval
        if not self.is_failing or now >= self.retry_at:
            self._delay = min(self._cap, self._delay * 2.0 if self.is_failing else self._base)
            self.retry_at = now + self._delay * self._random()
