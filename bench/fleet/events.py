"""What happens when: a heap of calls, and the time. Seconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any


class Events:
    """A simulation's clock. `random` is the only source of chance, so that a seed is a course of events."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def after(self, seconds: float, call: Callable[[Any], None], subject: Any = None) -> None:
        """Have it called with `subject`, behind what is due at the same time."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, call, subject))

    def run(self, until: float) -> None:
        """All that is due up to that time."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, call, subject = heapq.heappop(heap)
            call(subject)
        self.now = until

    def about(self, mean: float) -> float:
        """Seconds until something that happens by chance."""
        return self.random.expovariate(1.0 / mean)
