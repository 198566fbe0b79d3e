"""Logins take turns, so that thousands in one go do not hold up everybody else.

A look of the event loop may find a thousand of them, each of which costs some fifty times what a query costs: who is in already would wait for all of them. So a
number of them is dealt with in each look, in the order of arrival; from the others nothing more is read until then. A shell: it belongs to the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

AT_ONCE: Final = 8
"""Logins of one look: a millisecond or two."""


class Turn:
    """Who waits for one."""

    def has_turn(self) -> None:
        """It is its turn."""


class Turns:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._waiting: Final[deque[Turn]] = deque()
        # turns taken since the last look
        self._taken = 0

    def take(self, turn: Turn) -> bool:
        """Whether it may go on now. False: `has_turn` tells when."""
        if self._taken == 0:
            self._loop.call_soon(self._look)
        if self._taken < AT_ONCE:
            self._taken += 1
            return True
        self._waiting.append(turn)
        return False

    def _look(self) -> None:
        """Once in each look, as long as there are any."""
        self._taken = 0
        waiting = self._waiting
        if waiting:
            self._loop.call_soon(self._look)
        while waiting and self._taken < AT_ONCE:
            self._taken += 1
            waiting.popleft().has_turn()
