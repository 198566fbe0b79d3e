"""What is recorded of leases, and what it costs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from protocol.speed import COMPILED
from protocol.wire import read_lenenc_int
from proxy import recording as module
from proxy.pool_states import Ticket
from proxy.recording import (
    DISCARDED,
    FEWEST,
    FREE,
    HELD,
    LEFT,
    MOST_OPENS,
    OUTCOME_BITS,
    OVERHEAD,
    PARKED,
    REFUSED,
    WAITING,
    Recording,
    position,
)
from tests.fakes.scenes import begin, in_transaction
from tests.fakes.wire import ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

START = 1000.0
Lease = tuple[int, int, int, int, int]
"""Microseconds since the last lease, of the wait and of the lease, the key, the outcome."""


def read(content: bytes) -> tuple[Any, list[list[Lease]]]:
    """The header, and the leases of each session."""
    line, _, rest = content.partition(b"\n")
    sessions: list[list[Lease]] = []
    at = 0
    while at < len(rest):
        length, at = read_lenenc_int(rest, at)
        end = at + length
        leases: list[Lease] = []
        while at < end:
            numbers = []
            for _ in range(4):
                value, at = read_lenenc_int(rest, at)
                numbers.append(value)
            gap, wait, held, what = numbers
            leases.append((gap, wait, held, what >> OUTCOME_BITS, what & (1 << OUTCOME_BITS) - 1))
        sessions.append(leases)
    return json.loads(line), sessions


class Book:
    """A recording, and a ticket for each session."""

    def __init__(self, sample: float = 1.0, limit: int = module.LIMIT) -> None:
        self.recording = Recording(START, sample, limit)
        self.tickets: dict[int, Ticket] = {}

    def lease(
        self,
        session: int,
        asked: float,
        granted: float,
        ended: float,
        outcome: int = FREE,
        *,
        endpoint: str = "writer",
        key: str = "app",
    ) -> None:
        """Seconds since the start."""
        ticket = self.tickets.setdefault(session, Ticket())
        ticket.key = key
        if asked < granted:
            ticket.enqueued_at = START + asked
        self.recording.note(session, endpoint, ticket, START + granted, START + ended, outcome)

    def read(self, at: float = 60.0) -> tuple[Any, list[list[Lease]]]:
        return read(self.recording.as_bytes(START + at, {"writer": {"size": 40}}, "fanin 1"))


# What is recorded


def test_a_session_is_its_leases_in_their_order() -> None:
    book = Book()
    book.lease(1, asked=1.0, granted=1.25, ended=1.5)
    book.lease(2, asked=1.0, granted=1.0, ended=2.0, outcome=PARKED, key="other")
    book.lease(1, asked=3.5, granted=3.5, ended=4.0, outcome=DISCARDED, endpoint="reader")
    header, sessions = book.read()
    assert sessions == [
        [(1_000_000, 250_000, 250_000, 0, FREE), (2_000_000, 0, 500_000, 2, DISCARDED)],
        [(1_000_000, 0, 1_000_000, 1, PARKED)],
    ]
    assert header["keys"] == [0, 0, 1]
    assert header == {
        "format": "fanin-recording",
        "version": 1,
        "about": "fanin 1",
        "seconds": 60.0,
        "is_full": False,
        "sample": 1.0,
        "sessions": 2,
        "endpoints": [
            {
                "name": "writer",
                "size": 40,
                "leases": 2,
                "busy": 1.25,
                "refused": 0,
                "opened": 0,
                "opens": [],
            },
            {"name": "reader", "leases": 1, "busy": 0.5, "refused": 0, "opened": 0, "opens": []},
        ],
        "keys": [0, 0, 1],
    }


def test_what_began_before_the_recording_begins_with_it() -> None:
    book = Book()
    book.lease(1, asked=-3.0, granted=-2.0, ended=1.0)
    header, sessions = book.read()
    assert sessions == [[(0, 0, 1_000_000, 0, FREE)]]
    assert header["endpoints"][0]["busy"] == 1.0


def test_a_wait_counts_for_the_lease_that_it_was_for() -> None:
    book = Book()
    book.lease(1, asked=1.0, granted=2.0, ended=3.0)
    # no wait: the ticket still has the time of the last one
    book.lease(1, asked=4.0, granted=4.0, ended=5.0)
    assert book.read()[1] == [
        [(1_000_000, 1_000_000, 1_000_000, 0, FREE), (1_000_000, 0, 1_000_000, 0, FREE)]
    ]


def test_who_gets_none_is_recorded_too() -> None:
    book = Book()
    book.lease(1, asked=0.0, granted=5.0, ended=5.0, outcome=REFUSED)
    book.lease(2, asked=1.0, granted=2.0, ended=2.0, outcome=LEFT)
    book.lease(3, asked=59.0, granted=60.0, ended=60.0, outcome=WAITING)
    book.lease(4, asked=50.0, granted=50.0, ended=60.0, outcome=HELD)
    header, sessions = book.read()
    assert [leases[0][1:] for leases in sessions] == [
        (5_000_000, 0, 0, REFUSED),
        (1_000_000, 0, 0, LEFT),
        (1_000_000, 0, 0, WAITING),
        (0, 10_000_000, 0, HELD),
    ]
    (writer,) = header["endpoints"]
    assert (writer["leases"], writer["refused"], writer["busy"]) == (1, 2, 10.0)


def test_openings_are_recorded_by_their_duration_as_long_as_there_are_few() -> None:
    book = Book()
    for _ in range(MOST_OPENS + 1):
        book.recording.opened("writer", 0.002)
    (writer,) = book.read()[0]["endpoints"]
    assert (writer["opened"], len(writer["opens"]), writer["opens"][0]) == (MOST_OPENS + 1, MOST_OPENS, 2000)


# Samples


def test_a_sample_is_of_whole_sessions_and_totals_are_of_all() -> None:
    book = Book(sample=0.1)
    for session in range(1000):
        for number in range(3):
            book.lease(session, asked=number, granted=number, ended=number + 0.5)
    header, sessions = book.read()
    assert 95 <= len(sessions) <= 105 and header["sample"] == pytest.approx(0.1)
    assert all(len(leases) == 3 for leases in sessions)
    assert header["endpoints"][0]["leases"] == 3000 and header["endpoints"][0]["busy"] == 1500.0


def test_ids_that_follow_each_other_are_evenly_spread() -> None:
    for first in (0x80000000, 0x8FFFFFF0):
        spread = Counter(position(first + number) >> 28 for number in range(1600))
        assert len(spread) == 16 and max(spread.values()) - min(spread.values()) <= 4


def test_a_recording_that_is_full_halves_its_sample_and_covers_all_of_its_time() -> None:
    book = Book(limit=100 * (OVERHEAD + 500))
    for number in range(50):
        for session in range(500):
            book.lease(session, asked=number, granted=number, ended=number + 0.5)
    header, sessions = book.read()
    assert header["sample"] < 1 and header["sample"] * 500 == pytest.approx(len(sessions), abs=3)
    assert not header["is_full"] and FEWEST <= len(sessions) < 500
    assert all(len(leases) == 50 for leases in sessions)
    assert header["endpoints"][0]["leases"] == 25_000
    assert len(book.recording.as_bytes(START, {}, "")) < 100 * (OVERHEAD + 500) + 1000


def test_rather_than_have_too_few_sessions_it_ends() -> None:
    book = Book(limit=2000)
    for number in range(1000):
        book.lease(number % 3, asked=number, granted=number, ended=number + 0.5)
    header, sessions = book.read(at=1000.0)
    assert header["is_full"] and header["seconds"] < 1000
    assert len(sessions) == 3 and header["sample"] == 1
    recorded = sum(len(leases) for leases in sessions)
    assert header["endpoints"][0]["leases"] == recorded < 1000


# What the sessions of a process have recorded


def recorded(world: World) -> list[list[Lease]]:
    recording = world.counters.recording
    assert recording is not None
    return read(recording.as_bytes(world.loop.time(), {}, ""))[1]


def start(world: World) -> None:
    world.counters.recording = Recording(world.loop.time(), 1.0)


def test_each_lease_of_a_session_is_noted_with_its_wait(world: World) -> None:
    start(world)
    first, second = world.client(), world.client()
    world.loop.advance(1)
    server = in_transaction(world, first)
    world.loop.advance(1)
    second.sends(query("SELECT 1"))
    world.loop.advance(1)
    first.sends(query("COMMIT"))
    server.answers(ok())
    world.loop.advance(1)
    server.answers(rows(b"1"))
    assert recorded(world) == [
        [(1_000_000, 0, 2_000_000, 0, FREE)],
        [(2_000_000, 1_000_000, 1_000_000, 0, FREE)],
    ]


def test_a_lease_that_parks_its_backend_and_one_that_is_lost_are_told(world: World) -> None:
    start(world)
    client = world.client()
    client.sends(query("INSERT INTO t VALUES (NULL)"))
    server = world.backend()
    server.answers(ok(insert_id=7))
    client.got()
    server.got()
    begin(client, server)
    server.breaks()
    ((parked, lost),) = recorded(world)
    assert (parked[-1], lost[-1]) == (PARKED, DISCARDED)


def test_who_waits_in_vain_is_told_from_who_leaves(world: World) -> None:
    start(world)
    holder, patient, hasty = world.client(), world.client(), world.client()
    in_transaction(world, holder)
    patient.sends(query("SELECT 1"))
    hasty.sends(query("SELECT 2"))
    world.loop.advance(1)
    hasty.leaves()
    world.tick(4)
    holder.leaves()
    assert {leases[0][-1]: leases[0][1] for leases in recorded(world)} == {
        LEFT: 1_000_000,
        REFUSED: 5_000_000,
        FREE: 0,
    }


def test_opening_is_timed(make_world: MakeWorld) -> None:
    world = make_world()
    start(world)
    world.client().sends(query("SELECT 1"))
    world.backend().answers(rows(b"1"))
    recording = world.counters.recording
    assert recording is not None
    header, _ = read(recording.as_bytes(world.loop.time(), {}, ""))
    assert (header["endpoints"][0]["opened"], header["endpoints"][0]["opens"]) == (1, [0])


# What it costs, by counts

counted = pytest.mark.skipif(COMPILED, reason="calls of compiled functions are not seen")


class Calls:
    """Functions of ours that are called while a client has a query answered, how often."""

    def __init__(self, world: World) -> None:
        client = world.client()
        client.sends(query("SELECT 1"))
        server = world.backend()
        server.answers(rows(b"1"))
        self.names: Counter[str] = Counter()
        timers = len(world.loop._scheduled)  # type: ignore[attr-defined]
        sys.setprofile(self._called)
        try:
            client.sends(query("SELECT 1"))
            server.answers(rows(b"1"))
        finally:
            sys.setprofile(None)
        self.new_timers = len(world.loop._scheduled) - timers  # type: ignore[attr-defined]

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename == module.__file__:
            self.names[code.co_name] += 1


@counted
def test_without_a_recording_nothing_of_it_runs(world: World) -> None:
    calls = Calls(world)
    assert not calls.names and calls.new_timers == 0


@counted
def test_a_recording_costs_a_call_for_each_lease_and_no_timer(world: World) -> None:
    start(world)
    calls = Calls(world)
    assert calls.names["note"] == 1 and calls.new_timers == 0
    assert sum(calls.names.values()) <= 8


@counted
def test_who_is_not_in_the_sample_costs_less(world: World) -> None:
    world.counters.recording = Recording(world.loop.time(), 1e-9)
    assert set(Calls(world).names) <= {"note", "_endpoint", "position"}


def test_other_processes_may_know_keys_and_sessions() -> None:
    book = Book()
    book.lease(7, 1.0, 1.5, 2.0, key="app")
    book.lease(8, 1.0, 1.5, 2.0, key="etl")
    assert book.recording.key_names() == ["'app'", "'etl'"]
    found = book.recording.sessions()
    assert [place for place, _ in found] == [position(7), position(8)]
    assert all(content for _, content in found)
