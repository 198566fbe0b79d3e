from __future__ import annotations

import pytest
from librt.strings import BytesWriter

from protocol.errors import RemoteProtocolError
from protocol.framing import frame
from protocol.scan import is_empty_at, length_at, renumber, walk, walk_shifting

MANY = 1 << 62


def rows(*payloads: bytes, first: int = 0) -> bytes:
    return b"".join([frame(payload, first + number) for number, payload in enumerate(payloads)])


def test_ordinary_packets_are_walked_over() -> None:
    chunk = rows(*[b"\x03abc"] * 300, first=250)
    assert walk(chunk, 0, 250, MANY, len(chunk)) == (len(chunk), 300)


def test_a_walk_begins_at_a_header_and_ends_with_the_number() -> None:
    chunk = b"??" + rows(b"a", b"b", b"c", first=7)
    assert walk(chunk, 2, 7, 2, len(chunk)) == (12, 2)
    assert walk(chunk, 2, 7, 0, len(chunk)) == (2, 0)


def test_a_walk_ends_before_packets_of_another_kind() -> None:
    for special in (b"\xfe", b"\xff", b"", b"x" * 0xFFFFFF):
        chunk = rows(b"a", special)
        assert walk(chunk, 0, 0, MANY, len(chunk)) == (5, 1)


@pytest.mark.parametrize("size", range(5, 12))
def test_a_cut_packet_counts_once_its_first_byte_is_there(size: int) -> None:
    chunk = rows(b"a", b"bc")[:size]
    assert walk(chunk, 0, 0, MANY, size) == ((11, 2) if size > 9 else (5, 1))


def test_packets_that_begin_behind_the_end_are_left() -> None:
    chunk = rows(b"abcdefgh", b"b", b"c")
    assert walk(chunk, 0, 0, MANY, 10) == (12, 1)


def test_a_wrong_sequence_id_is_refused() -> None:
    chunk = rows(b"a", b"b")[:-2] + b"\x05c"
    with pytest.raises(RemoteProtocolError, match="sequence id 5 instead of 1"):
        walk(chunk, 0, 0, MANY, len(chunk))


def copy(chunk: bytes) -> BytesWriter:
    out = BytesWriter()
    out.write(chunk)
    return out


@pytest.mark.parametrize("shift", [1, 6, 255])
def test_sequence_ids_are_shifted(shift: int) -> None:
    chunk = b"tail" + rows(*[b"row"] * 10, first=250)
    out = copy(b"before" + chunk)
    renumber(chunk, 4, len(chunk), shift, out, 6)
    expected = rows(*[b"row"] * 10, first=250 + shift)
    assert out.getvalue() == b"beforetail" + expected


def test_nothing_behind_the_end_is_shifted() -> None:
    chunk = rows(b"a", b"b")
    out = copy(chunk)
    renumber(chunk, 0, 5, 1, out, 0)
    assert out.getvalue() == rows(b"a", first=1) + rows(b"b", first=1)


@pytest.mark.parametrize("shift", [1, 6, 255])
def test_a_walk_shifts_in_the_same_pass(shift: int) -> None:
    chunk = b"tail" + rows(*[b"row"] * 300, first=250)
    out = copy(b"before" + chunk)
    assert walk_shifting(chunk, 4, 250, MANY, len(chunk), shift, out, 6) == walk(
        chunk, 4, 250, MANY, len(chunk)
    )
    assert out.getvalue() == b"beforetail" + rows(*[b"row"] * 300, first=250 + shift)


@pytest.mark.parametrize("special", [b"\xfe", b"\xff", b"", b"x" * 0xFFFFFF])
def test_a_shifting_walk_ends_where_another_would(special: bytes) -> None:
    chunk = rows(b"a", special, b"b")
    out = copy(chunk)
    assert walk_shifting(chunk, 0, 0, MANY, len(chunk), 1, out, 0) == (5, 1)
    assert out.getvalue() == rows(b"a", first=1) + chunk[5:]


@pytest.mark.parametrize("size", range(5, 12))
def test_a_shifting_walk_ends_with_the_chunk(size: int) -> None:
    chunk = rows(b"a", b"bc")[:size]
    out = copy(chunk)
    assert walk_shifting(chunk, 0, 0, MANY, size, 1, out, 0) == walk(chunk, 0, 0, MANY, size)
    assert out.getvalue() == (
        rows(b"a", b"bc", first=1)[:size] if size > 9 else rows(b"a", first=1) + chunk[5:]
    )


def test_a_shifting_walk_ends_with_the_number() -> None:
    chunk = rows(b"a", b"b", b"c")
    out = copy(chunk)
    assert walk_shifting(chunk, 0, 0, 2, len(chunk), 1, out, 0) == (10, 2)
    assert out.getvalue() == rows(b"a", b"b", first=1) + chunk[10:]


def test_a_shifting_walk_refuses_a_wrong_sequence_id() -> None:
    chunk = rows(b"a", b"b")[:-2] + b"\x05c"
    with pytest.raises(RemoteProtocolError, match="sequence id 5 instead of 1"):
        walk_shifting(chunk, 0, 0, MANY, len(chunk), 1, copy(chunk), 0)


@pytest.mark.parametrize("length", [0, 1, 0x80, 0x1234, 0xFFFFFF])
def test_a_header_tells_the_length(length: int) -> None:
    header = length.to_bytes(3, "little") + b"\xff"
    assert length_at(b"ab" + header, 2) == length
    assert is_empty_at(b"ab" + header, 2) is (length == 0)
    assert not is_empty_at(b"ab" + header[:3], 2)


@pytest.mark.parametrize("payload", [b"\xfd\xff\xff\xff\xff", b"\xfb", b"\x80\xff", b"\0\0\0\x80"])
@pytest.mark.parametrize("behind", [b"", b"\x01\0", b"\xff" * 8])
def test_what_comes_behind_the_first_byte_does_not_matter(payload: bytes, behind: bytes) -> None:
    chunk = rows(payload, first=255)
    assert walk(chunk + behind, 0, 255, MANY, len(chunk)) == (len(chunk), 1)
