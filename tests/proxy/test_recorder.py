"""A recording is taken for as long as somebody waits for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy import recorder
from proxy.recorder import RecordingError, record
from proxy.recording import HELD, OUTCOME_BITS, WAITING
from proxy.tasks import spawn
from tests.fakes.scenes import in_transaction
from tests.fakes.wire import query
from tests.fakes.world import World


class Taken:
    """A recording that is being taken."""

    def __init__(self, world: World, seconds: float = 10.0, sample: float = 1.0) -> None:
        self.world = world
        self.error: BaseException | None = None
        self.content = b""
        world.loop.call(self._begin, seconds, sample)

    def _begin(self, seconds: float, sample: float) -> None:
        self.task = spawn(self._run(seconds, sample), name="recording")

    async def _run(self, seconds: float, sample: float) -> None:
        try:
            self.content = await record(self.world.shared, seconds, sample)
        except (RecordingError, asyncio.CancelledError) as error:
            self.error = error

    @property
    def header(self) -> Any:
        return json.loads(self.content.partition(b"\n")[0])


def test_a_recording_lasts_as_long_as_it_was_asked_for(world: World) -> None:
    taken = Taken(world)
    world.writer.core.resize(3, world.loop.time())
    world.loop.advance(9.9)
    assert world.counters.recording is not None and not taken.content
    world.loop.advance(0.1)
    assert world.counters.recording is None
    assert taken.header["seconds"] == 10.0 and taken.header["about"].startswith("fanin ")
    assert taken.header["endpoints"] == [
        {
            "name": "writer",
            "role": "writer",
            "size": 3,
            "open": 0,
            "min_idle": 0,
            "acquire_timeout": 5.0,
            "idle_timeout": 1e6,
            "max_age": 3600.0,
            "max_opening": 8,
            "connects_per_second": 50.0,
            "leases": 0,
            "busy": 0.0,
            "refused": 0,
            "opened": 0,
            "opens": [],
        }
    ]


def test_what_is_not_over_at_the_end_is_in_it(world: World) -> None:
    holder, waiter = world.client(), world.client()
    world.client()
    in_transaction(world, holder)
    taken = Taken(world, seconds=2.0)
    waiter.sends(query("SELECT 1"))
    world.loop.advance(2)
    assert taken.header["sessions"] == 2 and taken.header["endpoints"][0]["busy"] == 2.0
    outcomes = {HELD, WAITING}
    # the last byte of each session is its last outcome
    content = taken.content.partition(b"\n")[2]
    assert {content[content[0]] & (1 << OUTCOME_BITS) - 1, content[-1] & (1 << OUTCOME_BITS) - 1} == outcomes


def test_there_is_one_at_a_time(world: World) -> None:
    first, second = Taken(world), Taken(world)
    assert isinstance(second.error, RecordingError)
    world.loop.advance(10)
    assert first.content


def test_it_ends_when_nobody_waits_for_it(world: World) -> None:
    taken = Taken(world)
    world.loop.call(taken.task.cancel)
    assert isinstance(taken.error, asyncio.CancelledError)
    assert world.counters.recording is None


@pytest.mark.parametrize("is_full", [True, False])
def test_it_ends_early_when_it_is_full_and_when_the_process_drains(world: World, is_full: bool) -> None:
    taken = Taken(world)
    recording = world.counters.recording
    assert recording is not None
    if is_full:
        recording.ended_at = world.loop.time()
    else:
        world.shared.is_draining = True
    world.loop.advance(recorder.LOOK)
    assert taken.content and taken.header["is_full"] is is_full
