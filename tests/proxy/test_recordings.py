"""One recording of several workers'."""

from __future__ import annotations

import json
from typing import Any

from proxy.pool_states import Ticket
from proxy.recording import FREE, PARKED, Recording, position
from proxy.recordings import parts, whole
from tests.proxy.test_recording import read

START = 1000.0


def recorded(sample: float, *leases: tuple[int, str, str, int]) -> dict[str, Any]:
    """One worker's part: leases by session, endpoint, key and outcome."""
    recording = Recording(START, sample)
    for number, (session, endpoint, key, outcome) in enumerate(leases):
        ticket = Ticket(key)
        ticket.enqueued_at = START + number
        recording.note(session, endpoint, ticket, START + number + 0.25, START + number + 0.5, outcome)
        recording.opened(endpoint, 0.001)
    facts = {"writer": {"role": "writer", "size": 3, "open": 1, "max_age": 60.0}}
    told: dict[str, Any] = json.loads(json.dumps(parts(recording, START + 10 + sample, facts, "fanin")))
    return told


def test_one_workers_part_is_its_recording() -> None:
    recording = Recording(START, 1.0)
    ticket = Ticket("app")
    ticket.enqueued_at = START + 1
    recording.note(5, "writer", ticket, START + 2, START + 3, FREE)
    facts = {"writer": {"size": 3}}
    told = parts(recording, START + 10, facts, "fanin")
    assert whole([told], 40) == recording.as_bytes(START + 10, facts, "fanin")


def test_keys_and_servers_that_are_the_same_are_one() -> None:
    one = recorded(1.0, (1, "writer", "app", FREE), (1, "reader", "app", PARKED))
    other = recorded(
        1.0, (2, "reader", "app", FREE), (2, "writer", "etl", FREE), (2, "writer", "app", PARKED)
    )
    header, sessions = read(whole([one, other], 5))
    names = [endpoint["name"] for endpoint in header["endpoints"]]
    assert names == ["writer", "reader"]
    assert [names[number] for number in header["keys"]] == ["writer", "reader", "writer"]
    assert [[(key, outcome) for *_, key, outcome in session] for session in sessions] == [
        [(0, FREE), (1, PARKED)],
        [(1, FREE), (2, FREE), (0, PARKED)],
    ]
    assert [[held for _, _, held, _, _ in session] for session in sessions] == [[250000] * 2, [250000] * 3]
    writer = header["endpoints"][0]
    assert (writer["leases"], writer["opened"], len(writer["opens"])) == (3, 3, 3)
    # of six that the workers could have at one time or another there may be five
    assert (writer["size"], writer["open"], writer["max_age"]) == (5, 2, 60.0)


def test_the_smallest_sample_is_that_of_the_whole() -> None:
    sessions = list(range(200))
    half = recorded(0.5, *[(session, "writer", "app", FREE) for session in sessions[:100]])
    full = recorded(1.0, *[(session, "writer", "app", FREE) for session in sessions[100:]])
    header, found = read(whole([full, half], 40))
    expected = sum(position(session) < 1 << 31 for session in sessions)
    assert (header["sample"], header["sessions"], len(found)) == (0.5, expected, expected)
    assert 80 < expected < 120
    assert (header["seconds"], header["is_full"]) == (11.0, False)
