"""Which sizes are tried, and which is enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.whatif.replay import Result, Traffic, replay

SLACK: Final = 0.2
"""What is recommended is so much more than what was just enough."""
MOST: Final = 16000
"""The largest `pool.size`."""
PARTS: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Sizes that are shown, of the recorded one."""
IDLE_TIMEOUTS: Final = (5.0, 15.0, 60.0, 300.0)

Replay = Callable[[int], Result]


@dataclass(frozen=True)
class Answer:
    """What came of trying. `enough`: the smallest size that is; None when none is. `recommended`: with slack."""

    traffic: Traffic
    wait: float
    results: tuple[Result, ...]
    # the recommended size (or else the recorded one) with other values of idle_timeout
    idle: tuple[Result, ...]
    enough: Result | None
    recommended: Result | None

    @property
    def reason(self) -> str:
        """The recommendation in one sentence."""
        traffic, enough, advised = self.traffic, self.enough, self.recommended
        limit = f"{self.wait * 1000:g} ms"
        if enough is None or advised is None:
            return (
                f"No pool.size up to {self.results[-1].size} is enough for waits of at most {limit} (p99) without errors: it is not the pool "
                "that these sessions wait for, but opening connections or one another"
            )
        return (
            f"pool.size = {advised.size}: with {enough.size} connections {99} % of the leases are waited for no longer than "
            f"{enough.wait_p99 / 1000:.1f} ms (wanted: {limit}) and nobody gets an error, and {SLACK:.0%} more are slack; "
            f"on average {traffic.busy:.1f} were in use of the {traffic.pool.size} that there might be"
        )


def answer(
    traffic: Traffic,
    *,
    wait: float,
    sizes: tuple[int, ...] | None = None,
    idle_timeouts: tuple[float, ...] | None = None,
    seed: int = 1,
    tried: Callable[[Result], None] = lambda result: None,
) -> Answer:
    """The smallest size with which the 99th percentile of the waits is at most `wait` (seconds) and nobody gets an error; and what others lead to:
    `sizes`, or some around the recorded one."""
    known: dict[int, Result] = {}

    def result_of(size: int) -> Result:
        if size not in known:
            known[size] = replay(traffic, size, seed=seed)
            tried(known[size])
        return known[size]

    recorded = traffic.pool.size
    shown = sizes or tuple([max(1, math.ceil(recorded * part)) for part in PARTS])
    enough = _smallest(result_of, wait, recorded, len(traffic.sessions))
    size = recorded if enough is None else min(MOST, math.ceil(enough.size * (1.0 + SLACK)))
    recommended = None if enough is None else result_of(size)
    for each in shown:
        result_of(each)
    timeouts = idle_timeouts or tuple([each for each in IDLE_TIMEOUTS if each < traffic.seconds])
    idle = [replay(traffic, size, each, seed) for each in sorted({*timeouts, traffic.pool.idle_timeout})]
    for result in idle:
        tried(result)
    return Answer(
        traffic, wait, tuple([known[each] for each in sorted(known)]), tuple(idle), enough, recommended
    )


def is_enough(result: Result, wait: float) -> bool:
    """Whether waits are short and nobody gets an error."""
    return not result.timeouts and result.wait_p99 <= wait * 1e6


def _smallest(result_of: Replay, wait: float, first: int, sessions: int) -> Result | None:
    """Doubles until it is enough, then halves the interval. With a connection for each session more do not help."""
    too_few, size = 0, max(1, first)
    while not is_enough(result_of(size), wait):
        if size >= min(sessions, MOST):
            return None
        too_few, size = size, min(2 * size, max(sessions, 1), MOST)
    while size - too_few > 1:
        middle = (too_few + size) // 2
        if is_enough(result_of(middle), wait):
            size = middle
        else:
            too_few = middle
    return result_of(size)
