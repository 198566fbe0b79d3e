"""Readers and writers of the basic types: int<n>, int<lenenc>, string<nul>, string<lenenc>.

A reader takes a buffer and a position and returns the value and the position after it ("Protocol Basics: Data
Types"). Whatever lies outside of the buffer raises RemoteProtocolError: a length is never believed.
"""

from __future__ import annotations

from mypy_extensions import i64

from protocol.errors import LocalProtocolError, RemoteProtocolError


def malformed(what: str) -> RemoteProtocolError:
    """The error for a payload that ends too early or contradicts itself."""
    return RemoteProtocolError(f"malformed packet: {what}")


def read_uint8(buf: bytes, pos: i64) -> tuple[int, int]:
    """int<1> at pos."""
    if pos < 0 or pos >= len(buf):
        raise malformed("an int<1> is cut off")
    return buf[pos], pos + 1


def read_uint16(buf: bytes, pos: i64) -> tuple[int, int]:
    """int<2> at pos, little endian like all integers of the protocol."""
    if pos < 0 or pos + 2 > len(buf):
        raise malformed("an int<2> is cut off")
    return buf[pos] | buf[pos + 1] << 8, pos + 2


def read_uint24(buf: bytes, pos: i64) -> tuple[int, int]:
    """int<3> at pos."""
    if pos < 0 or pos + 3 > len(buf):
        raise malformed("an int<3> is cut off")
    return buf[pos] | buf[pos + 1] << 8 | buf[pos + 2] << 16, pos + 3


def read_uint32(buf: bytes, pos: i64) -> tuple[int, int]:
    """int<4> at pos."""
    if pos < 0 or pos + 4 > len(buf):
        raise malformed("an int<4> is cut off")
    return buf[pos] | buf[pos + 1] << 8 | buf[pos + 2] << 16 | buf[pos + 3] << 24, pos + 4


def read_uint64(buf: bytes, pos: i64) -> tuple[int, int]:
    """int<8> at pos."""
    if pos < 0 or pos + 8 > len(buf):
        raise malformed("an int<8> is cut off")
    return int.from_bytes(buf[pos : pos + 8], "little"), pos + 8


def read_lenenc_int(buf: bytes, pos: i64) -> tuple[int, int]:
    """int<lenenc> at pos. 0xFB (NULL in a row) and 0xFF (never a length) raise like a cut integer."""
    if pos < 0 or pos >= len(buf):
        raise malformed("an int<lenenc> is cut off")
    first = buf[pos]
    if first < 0xFB:
        return first, pos + 1
    if first == 0xFC:
        return read_uint16(buf, pos + 1)
    if first == 0xFD:
        return read_uint24(buf, pos + 1)
    if first == 0xFE:
        return read_uint64(buf, pos + 1)
    raise malformed(f"0x{first:02X} does not begin an int<lenenc>")


def read_bytes(buf: bytes, pos: int, length: int) -> tuple[bytes, int]:
    """string<fix>: exactly length bytes at pos."""
    # Plain ints: a length of 2**63 or more is the peer's mistake and must not overflow an i64 when compiled.
    if pos < 0 or length < 0 or length > len(buf) - pos:
        raise malformed(f"a string of {length} bytes is cut off")
    end = pos + length
    return buf[pos:end], end


def read_lenenc_bytes(buf: bytes, pos: i64) -> tuple[bytes, int]:
    """string<lenenc> at pos."""
    length, start = read_lenenc_int(buf, pos)
    return read_bytes(buf, start, length)


def read_nul_bytes(buf: bytes, pos: i64) -> tuple[bytes, int]:
    """string<NUL> at pos, without its NUL; the position is the one after the NUL."""
    end = buf.find(b"\0", pos) if 0 <= pos <= len(buf) else -1
    if end < 0:
        raise malformed("a string<NUL> has no end")
    return buf[pos:end], end + 1


def uint16(value: int) -> bytes:
    """int<2>."""
    return value.to_bytes(2, "little")


def uint32(value: int) -> bytes:
    """int<4>."""
    return value.to_bytes(4, "little")


def lenenc_int(value: int) -> bytes:
    """int<lenenc> in its shortest form. Raises LocalProtocolError for what does not fit into 64 bits."""
    if value < 0 or value >> 64:
        raise LocalProtocolError(f"{value} does not fit into an int<lenenc>")
    if value < 0xFB:
        return value.to_bytes(1, "little")
    if value <= 0xFFFF:
        return b"\xfc" + value.to_bytes(2, "little")
    if value <= 0xFFFFFF:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def lenenc_bytes(value: bytes) -> bytes:
    """string<lenenc>."""
    return lenenc_int(len(value)) + value


def nul_bytes(value: bytes) -> bytes:
    """string<NUL>. Raises LocalProtocolError when value holds a NUL, which would cut it short."""
    if b"\0" in value:
        raise LocalProtocolError("a string<NUL> cannot hold a NUL")
    return value + b"\0"
