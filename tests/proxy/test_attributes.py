"""What connections are called."""

from __future__ import annotations

from proxy.attributes import LONGEST, attributes, encoded, of_monitor

ANNOUNCED = attributes("5f3a", "1.2.3", "shop", 17)


def test_a_backend_says_whose_it_is() -> None:
    assert ANNOUNCED == {
        "program_name": "fanin",
        "fanin_id": "5f3a",
        "version": "1.2.3",
        "application": "shop",
        "_pid": "17",
    }


def test_a_connection_that_only_looks_says_so() -> None:
    assert of_monitor(ANNOUNCED) == {**ANNOUNCED, "purpose": "monitor"}
    assert "purpose" not in ANNOUNCED


def test_they_leave_room_for_each_other() -> None:
    long = attributes("f" * 16, "1.2.3", "é" * 300, 4_000_000)
    assert len(long["application"].encode()) == LONGEST
    # a byte for each length
    assert sum(len(name) + len(value) + 2 for name, value in encoded(of_monitor(long)).items()) < 400


def test_on_the_wire_they_are_bytes() -> None:
    assert encoded({"application": "Läden\udcff"}) == {b"application": "Läden?".encode()}
