"""Tasks that somebody keeps, names and listens to: the only place where one is made.

The event loop holds tasks weakly (Python documentation, `asyncio.create_task`: "Save a reference to the result of this
function, to avoid a task disappearing mid-execution"), and an exception in a task that nobody awaits is told when the
task is collected, or never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from proxy.logs import get_logger

T = TypeVar("T")

_running: Final[set[asyncio.Task[Any]]] = set()
_log = get_logger("tasks")


def spawn(coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run a coroutine beside the caller. It is kept until it ends; a failure is logged under its name.

    The caller may await or cancel the task, and need not.
    """
    task = asyncio.create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def running() -> frozenset[asyncio.Task[Any]]:
    """The tasks that have not ended."""
    return frozenset(_running)


async def cancel_all() -> None:
    """Cancel every task that was spawned in this event loop and wait until all have ended (shutdown, tests)."""
    loop = asyncio.get_running_loop()
    while mine := [
        task for task in _running if task.get_loop() is loop and task is not asyncio.current_task()
    ]:
        for task in mine:
            task.cancel()
        await asyncio.wait(mine)
        # Their callbacks run in the next turn of the loop.
        await asyncio.sleep(0)


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.error("task failed", task=task.get_name(), exc_info=error)
