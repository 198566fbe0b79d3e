from __future__ import annotations

import asyncio
import gc
import io
import json
import weakref
from collections.abc import Iterator

import pytest

from proxy import logs
from proxy.tasks import cancel_all, running, spawn


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.configure(format="json", stream=stream)
    yield stream
    logs.restore_defaults()


async def fail() -> None:
    raise ValueError("it broke")


async def test_a_task_gives_its_result_and_is_let_go(log: io.StringIO) -> None:
    async def answer() -> int:
        return 42

    task = spawn(answer(), name="answer")
    assert (task.get_name(), task in running()) == ("answer", True)
    assert await task == 42
    await cancel_all()
    assert running() == frozenset()
    assert log.getvalue() == ""


async def test_a_task_is_kept_while_nobody_else_holds_it() -> None:
    events: list[weakref.ref[asyncio.Event]] = []

    async def wait() -> None:
        # Only this task holds the event, and only the event's waiter holds the task.
        event = asyncio.Event()
        events.append(weakref.ref(event))
        await event.wait()

    spawn(wait(), name="wait")
    await asyncio.sleep(0)
    gc.collect()
    assert events[0]() is not None
    await cancel_all()


async def test_a_failure_is_logged_under_the_name_of_the_task(log: io.StringIO) -> None:
    task = spawn(fail(), name="open writer")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    line = json.loads(log.getvalue())
    assert (line["event"], line["task"], line["level"], line["room"]) == (
        "task failed",
        "open writer",
        "error",
        "tasks",
    )
    assert "ValueError: it broke" in line["exception"]


async def test_a_cancelled_task_is_no_failure(log: io.StringIO) -> None:
    task = spawn(asyncio.Event().wait(), name="forever")
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert (running(), log.getvalue()) == (frozenset(), "")


async def test_all_tasks_are_cancelled_those_too_that_are_spawned_meanwhile() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            spawn(asyncio.Event().wait(), name="late")

    spawn(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    await cancel_all()
    assert running() == frozenset()


async def test_a_task_that_cancels_all_goes_on() -> None:
    task = spawn(cancel_all(), name="shutdown")
    other = spawn(asyncio.Event().wait(), name="forever")
    await task
    assert other.cancelled()
