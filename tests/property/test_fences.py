"""Sessions that write and read where the fences let them, against readers that really lag: nobody misses his own write, nobody goes back."""

from __future__ import annotations

import random

import hypothesis.strategies as st
from hypothesis import given

from proxy.fences import NEVER, SessionView, Watermark, WriterPositions, of_row
from proxy.gtids import parse_gtids

SOURCE = "97734610-e62a-11f1-8c87-02fc00000001"


class Reader:
    """Has applied everything up to a time, which never falls; what is known of that is late and rounded down."""

    def __init__(self) -> None:
        self.applied_until = 0.0
        self.watermark = Watermark()


@given(seed=st.integers(0, 10_000), with_gtids=st.booleans(), lag=st.floats(0.0, 2.0))
def test_nothing_written_is_missed_and_nothing_read_is_taken_back(
    seed: int, with_gtids: bool, lag: float
) -> None:
    chance = random.Random(seed)
    now, commits = 10.0, [0.0]  # times of commits; the value of the row is how many there were
    readers = {name: Reader() for name in ("r1", "r2")}
    positions = WriterPositions()
    sessions = [(SessionView(), {"seen": 0, "written": 0}) for _ in range(3)]

    def value(until: float) -> int:
        return sum(1 for commit in commits if commit <= until)

    for _ in range(200):
        now += chance.random() * 0.1
        session, known = chance.choice(sessions)
        action = chance.random()
        if action < 0.15:  # a write, answered a little after it was committed
            commits.append(now)
            known["written"] = known["seen"] = len(commits)
            now += 0.005
            session.wrote(now, parse_gtids(f"{SOURCE}:{len(commits)}", False) if with_gtids else None)
        elif action < 0.25:
            known["seen"] = value(now)
            session.read_on_writer(now + 0.005)
            now += 0.005
        elif action < 0.6:  # a reader applies something; the monitor looks at it, and at the writer
            reader = chance.choice(list(readers.values()))
            reader.applied_until = max(reader.applied_until, now - chance.random() * lag)
            if with_gtids:
                positions.observed(f"{SOURCE}:1-{len(commits)}", now, False)
                position = parse_gtids(f"{SOURCE}:1-{value(reader.applied_until)}", False)
                reader.watermark.raise_to(positions.watermark(position), 0, position)
            else:
                age = chance.random() * 0.3
                reader.watermark.raise_to(of_row(now + age, age, now - reader.applied_until))
                now += age
        else:
            for name, reader in readers.items():
                awaited = session.awaited(name, 0, True) if chance.random() < 0.5 else None
                if awaited is not None and not session.is_safe(name, 0, reader.watermark, True):
                    # it applies in order, and says that it has come so far
                    last = max(high for _, high in awaited.parts[SOURCE])
                    reader.applied_until = max(reader.applied_until, commits[last - 1])
                    reader.watermark.caught_up(awaited, 0)
                    assert session.is_safe(name, 0, reader.watermark, True)
                if session.is_safe(name, 0, reader.watermark, True):
                    # between the choice and the answer it may have gone on
                    reader.applied_until = max(reader.applied_until, now - chance.random() * lag)
                    read = value(reader.applied_until)
                    assert read >= known["written"] and read >= known["seen"]
                    known["seen"] = read
                    now += 0.005
                    session.read_on(name, 0, now)
                    break
        lowest = min(reader.watermark.at for reader in readers.values())
        session.passed(lowest)
        assert session.written_at == NEVER or session.written_at > lowest
