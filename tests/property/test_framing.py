"""Framing under any cutting of the stream."""

from __future__ import annotations

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.framing import CommandReader, FileReader, PacketReader, frame, payload_of

payloads = st.lists(st.binary(max_size=40), max_size=12)
cuts = st.lists(st.integers(1, 30), min_size=1, max_size=20)


def cut(wire: bytes, sizes: list[int]) -> list[bytes]:
    """The wire in pieces of these sizes, over and over."""
    pieces = []
    pos = number = 0
    while pos < len(wire):
        size = sizes[number % len(sizes)]
        pieces.append(wire[pos : pos + size])
        pos += size
        number += 1
    return pieces


def packets(sent: list[bytes], first: int) -> bytes:
    return b"".join([frame(payload, first + number) for number, payload in enumerate(sent)])


@given(payloads, st.integers(0, 255), cuts)
def test_payloads_come_out_as_they_went_in(sent: list[bytes], first: int, sizes: list[int]) -> None:
    reader = PacketReader(limit=40, sequence_id=first)
    got = []
    for piece in cut(packets(sent, first), sizes):
        reader.feed(piece)
        while (payload := reader.next_payload()) is not None:
            got.append(payload)
    assert got == sent
    assert reader.buffered == 0
    assert reader.sequence_id == (first + len(sent)) & 0xFF


@given(payloads, cuts, st.binary(max_size=3))
def test_commands_come_out_as_they_went_in(sent: list[bytes], sizes: list[int], tail: bytes) -> None:
    reader = CommandReader(limit=40)
    got = []
    fed = returned = 0
    for piece in cut(b"".join([frame(payload) for payload in sent]) + tail, sizes):
        reader.feed(piece)
        fed += len(piece)
        while (command := reader.next_command()) is not None:
            got.append(payload_of(command))
            returned += len(command)
        assert reader.buffered == fed - returned
    assert got == sent
    assert reader.take_raw() == tail


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    st.integers(0, 255),
    st.integers(0, 255),
    cuts,
    st.binary(max_size=9),
)
def test_files_are_followed_to_their_end_and_no_further(
    parts: list[bytes], first: int, server_first: int, sizes: list[int], behind: bytes
) -> None:
    reader = FileReader(first, server_first)
    pieces = cut(packets([*parts, b""], first) + behind, sizes)
    sent = b""
    while not reader.is_complete:
        sent += reader.feed(pieces.pop(0))
    assert sent == packets([*parts, b""], server_first)
    assert reader.rest + b"".join(pieces) == behind
    assert reader.server_sequence_id == (server_first + len(parts) + 1) & 0xFF


@given(st.binary(max_size=200), cuts)
def test_garbage_is_refused_or_waited_for(garbage: bytes, sizes: list[int]) -> None:
    packet_reader, command_reader, file_reader = PacketReader(50), CommandReader(50), FileReader(0, 9)
    for piece in cut(garbage, sizes):
        try:
            packet_reader.feed(piece)
            while packet_reader.next_payload() is not None:
                pass
            command_reader.feed(piece)
            while command_reader.next_command() is not None:
                pass
            if not file_reader.is_complete:
                file_reader.feed(piece)
        except RemoteProtocolError as error:
            assert error.code in (1153, 1156)
            break
        assert packet_reader.buffered <= 54 and command_reader.buffered <= 54


@hypothesis.settings(max_examples=8)
@given(st.integers(-2, 2), st.sampled_from([1, 2]))
def test_payloads_around_the_split(more: int, times: int) -> None:
    payload = b"p" * (times * 0xFFFFFF + more)
    wire = frame(payload)
    assert payload_of(wire) == payload
    reader = CommandReader(limit=1 << 26)
    reader.feed(wire[:-1])
    assert reader.next_command() is None
    reader.feed(wire[-1:])
    assert reader.next_command() == wire
