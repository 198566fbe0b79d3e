"""A replay does what the pool would have done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.whatif.recorded import Recorded, parse
from bench.whatif.replay import Result, Traffic, replay, traffic_of
from proxy.recording import DISCARDED, FREE, HELD, LEFT, PARKED, REFUSED, Recording
from tests.bench.whatif.samples import FACTS, Asked, recorded, steady
from tests.fakes.wire import IN_TRANS, ok, query, rows
from tests.fakes.world import World


def traffic(found: Recorded) -> Traffic:
    return traffic_of(found, found.pools[0], 1)


def replayed(leases: list[Asked], size: int, **facts: object) -> Result:
    return replay(traffic(recorded(leases, **facts)), size)


def test_with_a_connection_for_each_nobody_waits_but_for_its_opening() -> None:
    result = replayed(steady(8), 8, open=8)
    assert (result.wait_most, result.timeouts, result.opened, result.peak) == (0, 0, 0, 8)
    assert result.served == result.asked == len(steady(8))


def test_connections_that_were_not_there_are_opened() -> None:
    leases = steady(8)
    result = replayed(leases, 8, open=0)
    assert result.opened > 0 and result.wait_most > 0
    assert 0 < result.connections <= result.peak <= 8


def test_with_fewer_connections_sessions_wait_and_ask_later() -> None:
    # eight sessions, each busy for less than half of its time, need four
    enough, too_few = replayed(steady(8), 4, open=4), replayed(steady(8), 2, open=2)
    assert enough.wait_p99 == 0
    assert too_few.wait_p50 > 0 and too_few.served < enough.served
    assert too_few.peak == 2 and too_few.timeouts == 0


def test_who_waits_for_too_long_gets_an_error_and_goes_on() -> None:
    leases = [(session, 0.0, 0.0, 3.0, FREE) for session in range(4)]
    result = replayed(leases, 1, open=1, acquire_timeout=1.0)
    assert (result.asked, result.served, result.timeouts) == (4, 1, 3)


def test_who_got_none_is_given_what_others_had() -> None:
    leases: list[Asked] = [(1, 0.0, 0.0, 2.0, FREE), (2, 0.0, 5.0, 5.0, REFUSED), (2, 6.0, 6.0, 7.0, FREE)]
    result = replayed(leases, 2, open=2)
    assert (result.asked, result.served, result.timeouts, result.wait_most) == (3, 3, 0, 0)


def test_who_left_leaves_again() -> None:
    leases: list[Asked] = [(1, 0.0, 0.0, 9.0, HELD), (2, 1.0, 2.0, 2.0, LEFT)]
    assert replayed(leases, 1, open=1).served == 1
    result = replayed(leases, 2, open=2)
    assert (result.served, result.timeouts) == (2, 0)


def test_what_a_session_has_parked_is_its_own_until_somebody_needs_it() -> None:
    alone: list[Asked] = [(1, 0.0, 0.0, 1.0, PARKED), (1, 2.0, 2.0, 3.0, FREE)]
    assert replayed(alone, 1, open=1).wait_most == 0
    needed: list[Asked] = [(1, 0.0, 0.0, 1.0, PARKED), (2, 1.0, 1.5, 1.6, FREE), (1, 2.0, 2.0, 3.0, FREE)]
    result = replayed(needed, 1, open=1)
    # the capture takes half a millisecond
    assert result.served == 3 and 0 < result.wait_most < 2000


def test_what_is_closed_is_opened_anew() -> None:
    leases = [(1, float(at), float(at), at + 0.5, DISCARDED) for at in range(5)]
    assert replayed(leases, 1, open=1).opened == 4


def test_opening_takes_as_long_as_it_did() -> None:
    recording = Recording(0.0, 1.0)
    for _ in range(3):
        recording.opened("writer", 0.125)
    content = recording.as_bytes(10.0, {"writer": FACTS}, "")
    found = recorded([(1, 0.0, 0.0, 1.0, FREE)], open=0)
    opens = parse(content).pools[0].opens
    pool = found.pools[0]
    slow = Traffic(type(pool)(**{**pool.__dict__, "opens": opens}), 10.0, tuple(found.sessions), (1.0,))
    assert replay(slow, 1).wait_most == 125_000


def test_a_shorter_idle_timeout_keeps_fewer_connections() -> None:
    burst = [(session, 0.0, 0.0, 0.5, FREE) for session in range(8)]
    found = traffic(recorded([*burst, (0, 1.0, 1.0, 59.0, FREE)], seconds=60.0, open=8))
    long, short = replay(found, 8), replay(found, 8, idle_timeout=5.0)
    assert long.connections > 7 and short.connections < 2


# Samples


def test_a_sample_is_played_as_often_as_it_stands_for_sessions() -> None:
    leases = steady(400, seconds=10.0)
    whole, part = recorded(leases), recorded(leases, sample=0.25)
    assert len(part.sessions) == pytest.approx(100, abs=2)
    scaled = traffic(part)
    assert len(scaled.sessions) == pytest.approx(400, rel=0.05)
    assert len(traffic(whole).sessions) == 400
    # both find out what the pool has to do
    for size in (150, 200, 260):
        true, guessed = replay(traffic(whole), size), replay(scaled, size)
        assert guessed.served == pytest.approx(true.served, rel=0.1)


def test_nothing_recorded_is_nothing_played() -> None:
    found = recorded([])
    assert traffic(found).sessions == ()


# Against the real thing


@pytest.fixture
def world() -> Iterator[World]:
    """A pool of one, in front of one server."""
    made = World()
    yield made
    made.close()


def test_a_replay_with_the_same_size_waits_as_the_sessions_did(world: World) -> None:
    """Sessions of the product itself, with a clock that tests move: what they waited is what the replay says, to the microsecond."""
    clients = [world.client() for _ in range(4)]
    clients[0].sends(query("SELECT 0"))
    server = world.backend()
    server.answers(rows(b"0"))
    world.counters.recording = recording = Recording(world.loop.time(), 1.0)
    for turn in range(5):
        for client in clients[turn % 2 :]:
            client.sends(query("BEGIN"))
            world.loop.advance(0.010)
        for client in clients[turn % 2 :]:
            server.answers(ok(IN_TRANS))
            world.loop.advance(0.020 + 0.001 * turn)
            client.sends(query("COMMIT"))
            server.answers(ok())
        world.loop.advance(0.050)
    facts = {"writer": {**FACTS, "size": 1, "open": 1}}
    found = parse(recording.as_bytes(world.loop.time(), facts, ""))
    measured = found.waits_of(found.pools[0])
    result = replay(traffic(found), 1)
    assert result.served == measured.total == 18
    assert measured.maximum > 50_000
    assert result.wait_most == pytest.approx(measured.maximum, abs=5)
    assert result.wait_p50 == pytest.approx(measured.percentile(50), rel=0.02)
    assert replay(traffic(found), 4).wait_p99 < measured.percentile(50)
