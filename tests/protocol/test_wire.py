from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol import wire
from protocol.errors import LocalProtocolError, RemoteProtocolError

LENENC = [
    (0, "00"),
    (0xFA, "fa"),
    (0xFB, "fcfb00"),
    (0xFFFF, "fcffff"),
    (0x10000, "fd000001"),
    (0xFFFFFF, "fdffffff"),
    (0x1000000, "fe0000000100000000"),
    (0xFFFFFFFFFFFFFFFF, "feffffffffffffffff"),
]


@pytest.mark.parametrize(("value", "written"), LENENC)
def test_length_encoded_integers_both_ways(value: int, written: str) -> None:
    encoded = bytes.fromhex(written)
    assert wire.lenenc_int(value) == encoded
    assert wire.read_lenenc_int(b"??" + encoded + b"??", 2) == (value, 2 + len(encoded))


@pytest.mark.parametrize("encoded", ["", "fb", "ff", "fc01", "fd0102", "fe01020304050607"])
def test_what_is_no_length_encoded_integer_is_refused(encoded: str) -> None:
    with pytest.raises(RemoteProtocolError):
        wire.read_lenenc_int(bytes.fromhex(encoded), 0)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_what_does_not_fit_is_our_mistake(value: int) -> None:
    with pytest.raises(LocalProtocolError):
        wire.lenenc_int(value)


READERS: list[tuple[Callable[[bytes, int], tuple[int, int]], Callable[[int], bytes] | None, int]] = [
    (wire.read_uint8, None, 1),
    (wire.read_uint16, wire.uint16, 2),
    (wire.read_uint24, None, 3),
    (wire.read_uint32, wire.uint32, 4),
    (wire.read_uint64, None, 8),
]


@pytest.mark.parametrize(("read", "write", "size"), READERS)
def test_fixed_integers_both_ways(
    read: Callable[[bytes, int], tuple[int, int]], write: Callable[[int], bytes] | None, size: int
) -> None:
    encoded = bytes(range(0xF1, 0xF1 + size))
    value = int.from_bytes(encoded, "little")
    assert read(b"?" + encoded, 1) == (value, 1 + size)
    if write is not None:
        assert write(value) == encoded
    for pos in (-1, 2, 1 + size):
        with pytest.raises(RemoteProtocolError):
            read(b"?" + encoded, pos)


def test_length_encoded_strings_both_ways() -> None:
    for value in (b"", b"abc", b"x" * 300):
        encoded = wire.lenenc_bytes(value)
        assert wire.read_lenenc_bytes(encoded + b"?", 0) == (value, len(encoded))


@pytest.mark.parametrize(
    "encoded", [b"", b"\x03ab", b"\xfe" + b"\xff" * 8 + b"ab", b"\xfe" + b"\0" * 7 + b"\x80"]
)
def test_a_length_is_not_believed(encoded: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        wire.read_lenenc_bytes(encoded, 0)


@pytest.mark.parametrize(("pos", "length"), [(-1, 1), (0, -1), (4, 0), (2, 2)])
def test_fixed_strings_end_within_the_buffer(pos: int, length: int) -> None:
    assert wire.read_bytes(b"abc", 1, 2) == (b"bc", 3)
    assert wire.read_bytes(b"abc", 3, 0) == (b"", 3)
    with pytest.raises(RemoteProtocolError):
        wire.read_bytes(b"abc", pos, length)


def test_strings_with_a_nul_both_ways() -> None:
    assert wire.nul_bytes(b"ab") == b"ab\0"
    assert wire.read_nul_bytes(b"?ab\0c", 1) == (b"ab", 4)
    assert wire.read_nul_bytes(b"\0", 0) == (b"", 1)


@pytest.mark.parametrize(("buf", "pos"), [(b"ab", 0), (b"ab\0", 3), (b"ab\0", -1), (b"ab\0", 4)])
def test_a_string_without_its_nul_is_refused(buf: bytes, pos: int) -> None:
    with pytest.raises(RemoteProtocolError):
        wire.read_nul_bytes(buf, pos)


def test_a_nul_within_a_string_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        wire.nul_bytes(b"a\0b")
