from __future__ import annotations

import pytest

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import (
    MAX_PAYLOAD,
    CommandReader,
    FileReader,
    PacketReader,
    answer_id,
    frame,
    payload_of,
)

FULL = b"x" * MAX_PAYLOAD
EXACT = [
    (b"", "00000000"),
    (b"\x0e", "010000000e"),
    (b"\x03SELECT 1", "090000000353454c4543542031"),
]


def pieces(wire: bytes, size: int) -> list[bytes]:
    return [wire[pos : pos + size] for pos in range(0, len(wire), size)]


# ------------------------------------------------------------------------------------------------- frame, payload_of


@pytest.mark.parametrize(("payload", "wire"), EXACT)
def test_packets_both_ways(payload: bytes, wire: str) -> None:
    assert frame(payload).hex() == wire
    assert payload_of(bytes.fromhex(wire)) == payload


def test_sequence_ids_are_taken_modulo_256() -> None:
    assert frame(b"a", 255) == b"\x01\0\0\xffa"
    assert frame(b"a", 256) == b"\x01\0\0\x00a"


@pytest.mark.parametrize("more", [0, 1, MAX_PAYLOAD])
def test_long_payloads_are_split_and_joined(more: int) -> None:
    payload = FULL + b"y" * more
    wire = frame(payload, 255)
    count = len(payload) // MAX_PAYLOAD + 1
    assert len(wire) == len(payload) + 4 * count
    assert wire[:4] == b"\xff\xff\xff\xff"
    second = 4 + MAX_PAYLOAD
    assert wire[second : second + 4] == min(more, MAX_PAYLOAD).to_bytes(3, "little") + b"\0"
    assert payload_of(wire) == payload


@pytest.mark.parametrize(
    "wire", [b"", b"\x01\0\0", b"\x02\0\0\0a", b"\x01\0\0\0ab", frame(FULL)[:-2], frame(FULL) + b"?"]
)
def test_payload_of_takes_exactly_one_command(wire: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        payload_of(wire)


# ------------------------------------------------------------------------------------------------------- PacketReader


@pytest.mark.parametrize(
    ("size", "expected"), [(5, 1), (MAX_PAYLOAD - 1, 1), (MAX_PAYLOAD, 2), (2 * MAX_PAYLOAD, 3)]
)
def test_the_answer_counts_on_from_the_command(size: int, expected: int) -> None:
    assert answer_id(frame(bytes(size))) == expected
    assert answer_id(frame(b"\x19") + frame(bytes(size))) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_payloads_come_out_however_they_came_in(size: int) -> None:
    reader = PacketReader(limit=100, sequence_id=2)
    sent = [b"one", b"", b"three"]
    wire = b"".join(frame(payload, 2 + number) for number, payload in enumerate(sent))
    got = []
    for piece in pieces(wire, size):
        reader.feed(piece)
        while (payload := reader.next_payload()) is not None:
            got.append(payload)
    assert got == sent
    assert (reader.sequence_id, reader.buffered, reader.rest()) == (5, 0, b"")


def test_the_id_of_our_answer_is_the_next_one() -> None:
    reader = PacketReader(limit=100, sequence_id=255)
    reader.feed(frame(b"a", 255))
    assert reader.next_payload() == b"a"
    assert reader.sequence_id == 0


@pytest.mark.parametrize("more", [0, 5])
def test_split_payloads_are_joined(more: int) -> None:
    payload = FULL + b"y" * more
    wire = frame(payload) + frame(b"next", 2)
    reader = PacketReader(limit=1 << 25)
    for piece in pieces(wire, 1 << 20):
        reader.feed(piece)
    assert reader.next_payload() == payload
    assert reader.next_payload() == b"next"
    assert reader.next_payload() is None


def test_a_split_payload_counts_as_buffered() -> None:
    reader = PacketReader(limit=1 << 25)
    reader.feed(frame(FULL + b"tail")[:-2])
    assert reader.next_payload() is None
    assert reader.buffered == MAX_PAYLOAD + 4 + 2


def test_a_header_alone_is_enough_to_refuse_a_packet() -> None:
    reader = PacketReader(limit=1000)
    reader.feed(b"\xe9\x03\0\0")
    with pytest.raises(RemoteProtocolError) as raised:
        reader.next_payload()
    assert raised.value.code == 1153

    reader = PacketReader(limit=1000)
    reader.feed(b"\xe9\x03\0\0")
    reader.limit = 1001
    assert reader.next_payload() is None


def test_the_limit_holds_for_a_split_payload_as_a_whole() -> None:
    reader = PacketReader(limit=MAX_PAYLOAD + 3)
    reader.feed(frame(FULL + b"four"))
    with pytest.raises(RemoteProtocolError, match="16777219 bytes or more"):
        reader.next_payload()


def test_a_packet_out_of_order_is_refused() -> None:
    reader = PacketReader(limit=1000)
    reader.feed(frame(b"a", 1))
    with pytest.raises(RemoteProtocolError, match="sequence id 1 instead of 0") as raised:
        reader.next_payload()
    assert raised.value.code == 1156


def test_the_rest_is_handed_over_at_the_switch_to_tls() -> None:
    reader = PacketReader(limit=1000)
    reader.feed(frame(b"SSLRequest") + b"\x16\x03\x01 hello")
    assert reader.next_payload() == b"SSLRequest"
    assert reader.buffered == 9
    assert reader.rest() == b"\x16\x03\x01 hello"
    assert reader.buffered == 0


# ------------------------------------------------------------------------------------------------------ CommandReader


def commands_of(reader: CommandReader) -> list[bytes]:
    found = []
    while (command := reader.next_command()) is not None:
        found.append(command)
    return found


def test_one_command_in_one_chunk_is_not_copied() -> None:
    reader = CommandReader(limit=100)
    wire = frame(b"\x03SELECT 1")
    reader.feed(wire)
    assert reader.next_command() is wire
    assert reader.next_command() is None
    assert not reader.has_partial
    reader.feed(wire)
    assert reader.next_command() is wire


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 14, 100])
def test_commands_come_out_however_they_came_in(size: int) -> None:
    sent = [frame(b"\x03one"), frame(b""), frame(b"\x0e"), frame(b"\x03" + b"long" * 20)]
    reader = CommandReader(limit=100)
    got = []
    for piece in pieces(b"".join(sent), size):
        reader.feed(piece)
        got += commands_of(reader)
    assert got == sent
    assert reader.buffered == 0


def test_pipelined_commands_are_counted_until_they_are_asked_for() -> None:
    reader = CommandReader(limit=100)
    reader.feed(frame(b"one") + frame(b"two"))
    assert reader.next_command() == frame(b"one")
    assert reader.has_partial and reader.buffered == 7
    reader.feed(frame(b"three"))
    reader.feed(frame(b"four")[:5])
    assert commands_of(reader) == [frame(b"two"), frame(b"three")]
    assert reader.buffered == 5
    reader.feed(frame(b"four")[5:])
    assert commands_of(reader) == [frame(b"four")]


def test_nothing_comes_of_nothing() -> None:
    reader = CommandReader(limit=100)
    assert reader.next_command() is None
    reader.feed(b"")
    assert reader.next_command() is None
    assert not reader.has_partial


@pytest.mark.parametrize("more", [0, 7])
@pytest.mark.parametrize("size", [MAX_PAYLOAD + 4, MAX_PAYLOAD + 6, 1 << 20, 1 << 26])
def test_split_commands_stay_in_one_piece(more: int, size: int) -> None:
    wire = frame(FULL + b"y" * more)
    reader = CommandReader(limit=1 << 25)
    got = []
    for piece in pieces(wire + frame(b"\x0e"), size):
        reader.feed(piece)
        got += commands_of(reader)
    assert got == [wire, frame(b"\x0e")]


def test_a_command_begins_with_the_id_zero() -> None:
    reader = CommandReader(limit=100)
    reader.feed(frame(b"\x0e", 1))
    with pytest.raises(RemoteProtocolError) as raised:
        reader.next_command()
    assert raised.value.code == 1156


def test_the_parts_of_a_split_command_count_on() -> None:
    reader = CommandReader(limit=1 << 25)
    reader.feed(frame(FULL)[:-1] + b"\x02")
    with pytest.raises(RemoteProtocolError, match="sequence id 2 instead of 1"):
        reader.next_command()


@pytest.mark.parametrize(("limit", "wire"), [(100, b"\x65\0\0\0"), (MAX_PAYLOAD, frame(FULL + b"y"))])
def test_a_command_over_the_limit_is_refused_by_its_header(limit: int, wire: bytes) -> None:
    reader = CommandReader(limit)
    reader.feed(wire)
    with pytest.raises(RemoteProtocolError) as raised:
        reader.next_command()
    assert raised.value.code == 1153


def test_the_limit_can_be_raised_after_login() -> None:
    reader = CommandReader(limit=10)
    reader.limit = 100
    reader.feed(frame(b"x" * 100))
    assert reader.next_command() == frame(b"x" * 100)


@pytest.mark.parametrize("is_asked", [False, True])
def test_what_is_no_command_is_taken_raw(is_asked: bool) -> None:
    reader = CommandReader(limit=100)
    reader.feed(frame(b"\x03LOAD") + b"\x05\0\0")
    assert reader.next_command() == frame(b"\x03LOAD")
    if is_asked:
        assert reader.next_command() is None
    assert reader.take_raw() == b"\x05\0\0"
    assert reader.buffered == 0 and reader.take_raw() == b""
    reader.feed(frame(b"\x0e"))
    assert reader.next_command() == frame(b"\x0e")


# --------------------------------------------------------------------------------------------------------- FileReader


def a_file(*parts: bytes, first: int) -> bytes:
    wire = b""
    for part in (*parts, b""):
        wire += frame(part, first)
        first += len(part) // MAX_PAYLOAD + 1
    return wire


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize("server_first", [3, 2, 250])
def test_a_file_is_followed_to_its_end(size: int, server_first: int) -> None:
    parts = [b"lines\n" * 3] * 10
    reader = FileReader(3, server_first)
    got = b"".join([reader.feed(piece) for piece in pieces(a_file(*parts, first=3), size)])
    assert got == a_file(*parts, first=server_first)
    assert reader.is_complete and reader.rest == b""
    assert reader.server_sequence_id == (server_first + 11) & 0xFF
    assert reader.sequence_id == 14


def test_a_file_with_the_right_ids_is_not_copied() -> None:
    reader = FileReader(2, 2)
    wire = a_file(b"content", first=2)
    assert reader.feed(wire) is wire


def test_content_without_a_header_is_not_copied() -> None:
    reader = FileReader(2, 7)
    reader.feed(frame(b"content", 2)[:6])
    chunk = b"nten"
    assert reader.feed(chunk) is chunk


def test_no_file_is_an_empty_packet() -> None:
    reader = FileReader(2, 2)
    assert reader.feed(b"\0\0\0\x02") == b"\0\0\0\x02"
    assert reader.is_complete


def test_the_command_behind_a_file_is_kept() -> None:
    reader = FileReader(2, 9)
    assert reader.feed(a_file(b"content", first=2) + frame(b"\x0e")) == a_file(b"content", first=9)
    assert reader.rest == frame(b"\x0e")
    with pytest.raises(LocalProtocolError, match="ended"):
        reader.feed(b"more")


def test_the_empty_follower_of_a_full_packet_does_not_end_a_file() -> None:
    reader = FileReader(2, 2)
    wire = frame(FULL, 2)
    assert reader.feed(wire) is wire
    assert not reader.is_complete
    reader.feed(a_file(first=4))
    assert reader.is_complete


def test_a_file_out_of_order_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        FileReader(2, 2).feed(frame(b"content", 0))
    assert raised.value.code == 1156
