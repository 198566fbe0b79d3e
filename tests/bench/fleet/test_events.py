"""A simulation's clock."""

from __future__ import annotations

import pytest

from bench.fleet.events import Events, Stream


def test_what_is_due_happens_in_order() -> None:
    events = Events(1)
    happened: list[tuple[float, int]] = []
    for seconds in (2.0, 1.0, 1.0, 3.0):
        events.after(seconds, happened.append, (seconds, len(happened)))
    events.run(2.5)
    assert [seconds for seconds, _ in happened] == [1.0, 1.0, 2.0]
    assert events.now == 2.5


def test_chance_has_a_mean() -> None:
    events = Events(1)
    assert 0.9 < sum(events.about(1.0) for _ in range(10_000)) / 10_000 < 1.1


class Clockwork(Stream):
    """Once in a second."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self.at = 0.5
        self.happened: list[float] = []
        self.events = events

    def happen(self) -> None:
        self.happened.append(self.events.now)
        self.at += 1.0


def test_a_stream_happens_between_the_calls() -> None:
    events = Events(1)
    stream = events.stream = Clockwork(events)
    seen: list[int] = []
    events.after(2.0, lambda _: seen.append(len(stream.happened)))
    events.run(3.0)
    assert (seen, stream.happened) == ([2], [0.5, 1.5, 2.5])


def test_nothing_happens_by_itself() -> None:
    with pytest.raises(NotImplementedError):
        Stream().happen()
