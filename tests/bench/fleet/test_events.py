"""A simulation's clock."""

from __future__ import annotations

from bench.fleet.events import Events


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
