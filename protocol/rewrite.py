"""Rewriting a stream of packets in passing: inserting, replacing and removing some, and renumbering what follows.

The owner walks over a chunk and says what is to change where, from the front to the back; all between is copied in
stretches, and sequence ids are shifted there as long as packets were inserted or removed before. While nothing
changes nothing is copied: the chunk itself comes out again.

The output is a BytesWriter, into which compiled code puts single bytes for 2 ns; a bytearray takes 30. There is one for all
streams, because none needs it for longer than a chunk: its memory is warm, and nobody asks for new.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, write_i32_le
from mypy_extensions import i32, i64, u8

from protocol.scan import renumber

_OUT: Final = BytesWriter()


class Rewriter:
    """One stream, begun anew for each response by reset(). For each chunk: enter(), changes, leave()."""

    __slots__ = ("_changes_something", "_flushed", "_header", "shift")

    def __init__(self) -> None:
        # What the ids of packets that come now have more in the output than in the input, mod 256.
        self.shift: i64 = 0
        # In this chunk something was inserted, replaced or removed: _OUT has the output for the chunk up to _flushed.
        self._changes_something: bool = False
        self._flushed: i64 = 0
        # First header at or behind _flushed.
        self._header: i64 = 0

    def reset(self) -> None:
        """A new response begins, whose ids are right."""
        self.shift = 0

    def enter(self, first_header: i64) -> None:
        """A chunk begins; bytes in front of its first header belong to a packet that began earlier."""
        self._changes_something = False
        self._flushed = 0
        self._header = first_header

    def insert_eof(self, chunk: bytes, pos: i64, sequence_id: i64, status: i64) -> None:
        """Puts an EOF without warnings in front of the packet at pos, whose id (in the input) is given whether or not it is there yet."""
        self._flush(chunk, pos)
        self._eof(sequence_id, 0, status)
        self.shift = (self.shift + 1) & 0xFF

    def replace(self, chunk: bytes, pos: i64, end: i64, payload: bytes) -> None:
        """Gives the packet from pos to end another payload, which must be shorter than 0xFFFFFF bytes."""
        self._flush(chunk, pos)
        self._head(len(payload), chunk[pos + 3])
        _OUT.write(payload)
        self._flushed = end
        self._header = end

    def replace_by_eof(self, chunk: bytes, pos: i64, end: i64, warnings: i64, status: i64) -> None:
        """Puts an EOF in the place of the packet from pos to end."""
        self._flush(chunk, pos)
        self._eof(chunk[pos + 3], warnings, status)
        self._flushed = end
        self._header = end

    def remove(self, chunk: bytes, pos: i64, end: i64) -> None:
        """Leaves out the packet from pos to end."""
        self._flush(chunk, pos)
        self.shift = (self.shift - 1) & 0xFF
        self._flushed = end
        self._header = end

    def leave(self, chunk: bytes, end: i64) -> bytes:
        """The output for the chunk up to end, which is its own end or a header that is held back."""
        if self._changes_something or (self.shift != 0 and self._header < end):
            self._flush(chunk, end)
            return _OUT.getvalue()
        return chunk if end == len(chunk) else chunk[:end]

    def _flush(self, chunk: bytes, end: i64) -> None:
        """Brings the output up to end."""
        out = _OUT
        if not self._changes_something:
            self._changes_something = True
            out.truncate(0)
        start = self._flushed
        if start == end:
            return
        offset: i64 = len(out) - start
        if start == 0 and 2 * end > len(chunk):
            # nearly all of it: without a slice, which is one more copy
            out.write(chunk)
            out.truncate(offset + end)
        else:
            out.write(chunk[start:end])
        if self.shift != 0:
            renumber(chunk, self._header, end, self.shift, out, offset)
        self._flushed = end
        self._header = end

    def _head(self, length: i64, sequence_id: i64) -> None:
        """A header; the id is that of the input."""
        out = _OUT
        write_i32_le(out, i32(length))
        out[len(out) - 1] = u8(sequence_id + self.shift & 0xFF)

    def _eof(self, sequence_id: i64, warnings: i64, status: i64) -> None:
        self._head(5, sequence_id)
        out = _OUT
        out.append(0xFE)
        out.append(u8(warnings & 0xFF))
        out.append(u8(warnings >> 8))
        out.append(u8(status & 0xFF))
        out.append(u8(status >> 8))
