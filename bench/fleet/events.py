"""What happens when: a heap of calls, a stream of what happens by itself, and the time. Seconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import log
from random import Random
from typing import Any, Final

NEVER: Final = float("inf")


class Stream:
    """Something that happens again and again."""

    def __init__(self) -> None:
        # when it happens next; it may change that whenever something else happens
        self.at = NEVER

    def happen(self) -> None:
        """It is that time. Sets `at` anew."""
        raise NotImplementedError


class Events:
    """A simulation's clock. `random` is the only source of chance, so that a seed is a course of events."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.stream = Stream()
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def after(self, seconds: float, call: Callable[[Any], None], subject: Any = None) -> None:
        """Have it called with `subject`, behind what is due at the same time."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, call, subject))

    def run(self, until: float) -> None:
        """All that is due up to that time."""
        heap, stream = self._heap, self.stream
        while True:
            at = heap[0][0] if heap else NEVER
            if stream.at < at:
                if stream.at > until:
                    break
                self.now = stream.at
                stream.happen()
            elif at > until:
                break
            else:
                self.now, _, call, subject = heapq.heappop(heap)
                call(subject)
        self.now = until

    def about(self, mean: float) -> float:
        """Seconds until something that happens by chance."""
        return -mean * log(1.0 - self.random.random())
