"""What each of several workers gets of the settings. Pure.

What bounds a resource of Fanin's is divided: memory, connections that are opened at a time. So is the reserve: of a small pool one worker has it. Bounds of connections are not, because they are shared while it
runs (`slots`): a worker's `pool.size` and `max_backends` are the whole. Nor are clients, who are counted where they come in (`handing`). To the fleet each worker is a Fanin of its own.
"""

from __future__ import annotations

from config.settings import Settings
from proxy.pool_settle import MOST_RESERVED
from proxy.slots import division


def part_of(settings: Settings, worker: int, workers: int) -> Settings:
    """One worker's."""
    pool, limits, budget = settings.pool, settings.limits, settings.budget
    return settings.model_copy(
        update={
            "workers": 1,
            "pool": pool.model_copy(
                update={
                    "reserve": division(min(pool.reserve, pool.size // MOST_RESERVED), workers, worker),
                    "min_idle": division(pool.min_idle, workers, worker),
                    "max_opening": max(1, division(pool.max_opening, workers, worker)),
                    "connects_per_second": pool.connects_per_second / workers,
                }
            ),
            "limits": limits.model_copy(update={"statement_cache": limits.statement_cache // workers}),
            "budget": budget.model_copy(update={"fleet": budget.fleet * workers}),
        }
    )
