"""Rewriting a stream of packets in passing: inserting, replacing and removing some, and renumbering what follows.

The owner walks over a chunk and says what is to change where, from the front to the back; all between is copied in
stretches, and sequence ids are shifted there as long as packets were inserted or removed before. Rows and definitions are
walked over with walk(), which shifts their ids in the same pass: so they are copied before it is known where they end. While
nothing changes nothing is copied: the chunk itself comes out again.

The output is a BytesWriter, into which compiled code puts single bytes for 2 ns; a bytearray takes 30. There is one for all
streams, because none needs it for longer than a chunk: its memory is warm, and nobody asks for new.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, write_i32_le
from mypy_extensions import i32, i64, u8

from protocol.scan import renumber, walk, walk_shifting

_OUT: Final = BytesWriter()
# A chunk may have thousands of results. Once something was copied in vain, because a change came before its end, walks copy so much
# at first, and twice as much each time.
_CAREFUL: Final = 512
_CARELESS: Final = 1 << 62
# In an EOF: header, 0xFE and warnings come before the status.
_STATUS_OFFSET: Final = 7


class Rewriter:
    """One stream, begun anew for each response by reset(). For each chunk: enter(), changes, leave()."""

    __slots__ = ("_ahead", "_border", "_changes_something", "_copied", "_header", "shift")

    def __init__(self) -> None:
        # What the ids of packets that come now have more in the output than in the input, mod 256.
        self.shift: i64 = 0
        # In this chunk something was inserted, replaced or removed: _OUT has the output for the chunk up to _copied.
        self._changes_something: bool = False
        self._copied: i64 = 0
        # How much a walk copies at first.
        self._ahead: i64 = _CARELESS
        # First header whose id has not been shifted yet; it may lie in front of _copied.
        self._header: i64 = 0
        # Where _OUT has the status of the EOF inserted last.
        self._border: i64 = 0

    def reset(self) -> None:
        """A new response begins, whose ids are right."""
        self.shift = 0

    def enter(self, first_header: i64) -> None:
        """A chunk begins; bytes in front of its first header belong to a packet that began earlier."""
        self._changes_something = False
        self._copied = 0
        self._ahead = _CARELESS
        self._header = first_header

    def walk(self, chunk: bytes, pos: i64, sequence_id: i64, most: i64, end: i64) -> tuple[i64, i64]:
        """scan.walk(); the ids of the packets walked over are right in the output then."""
        if self.shift == 0 or pos + 5 > end or chunk[pos + 4] >= 0xFE:
            # (nor need anything be copied where no packet is walked over)
            return walk(chunk, pos, sequence_id, most, end)
        total: i64 = 0
        ahead = self._ahead
        while True:
            stop = end if ahead > end - pos else pos + ahead
            self._copy(chunk, stop)
            if self._header < pos:
                self._shift_up_to(chunk, pos)
            pos, count = walk_shifting(
                chunk, pos, sequence_id, most - total, stop, self.shift, _OUT, len(_OUT) - self._copied
            )
            self._header = pos
            total += count
            if stop == end or pos + 5 <= stop or total == most:
                return pos, total
            sequence_id = (sequence_id + count) & 0xFF
            ahead *= 2

    def insert_eof(self, chunk: bytes, pos: i64, sequence_id: i64, status: i64) -> None:
        """Puts an EOF without warnings in front of the packet at pos, whose id (in the input) is given whether or not it is there yet."""
        self._flush(chunk, pos)
        self._border = len(_OUT) + _STATUS_OFFSET
        self._eof(sequence_id, 0, status)
        self.shift = (self.shift + 1) & 0xFF

    def correct_eof(self, status: i64) -> None:
        """Gives the EOF that was inserted last, in this chunk, another status."""
        _OUT[self._border] = u8(status & 0xFF)
        _OUT[self._border + 1] = u8(status >> 8)

    def take_eof_back(self, pos: i64) -> None:
        """The EOF that was inserted last, in front of the packet at pos, was not; nor was anything behind it walked over."""
        _OUT.truncate(self._border - _STATUS_OFFSET)
        self.shift = (self.shift - 1) & 0xFF
        self._copied = pos
        self._header = pos

    def replace(self, chunk: bytes, pos: i64, end: i64, payload: bytes) -> None:
        """Gives the packet from pos to end another payload, which must be shorter than 0xFFFFFF bytes."""
        self._flush(chunk, pos)
        self._head(len(payload), chunk[pos + 3])
        _OUT.write(payload)
        self._copied = end
        self._header = end

    def replace_by_eof(self, chunk: bytes, pos: i64, end: i64, warnings: i64, status: i64) -> None:
        """Puts an EOF in the place of the packet from pos to end."""
        self._flush(chunk, pos)
        self._eof(chunk[pos + 3], warnings, status)
        self._copied = end
        self._header = end

    def remove(self, chunk: bytes, pos: i64, end: i64) -> None:
        """Leaves out the packet from pos to end."""
        self._flush(chunk, pos)
        self.shift = (self.shift - 1) & 0xFF
        self._copied = end
        self._header = end

    def leave(self, chunk: bytes, end: i64) -> bytes:
        """The output for the chunk up to end, which is its own end or a header that is held back."""
        if self._changes_something or (self.shift != 0 and self._header < end):
            self._flush(chunk, end)
            return _OUT.getvalue()
        return chunk if end == len(chunk) else chunk[:end]

    def _flush(self, chunk: bytes, end: i64) -> None:
        """Brings the output up to end, and no further."""
        if self._copied < end or not self._changes_something:
            self._copy(chunk, end)
        if self._copied > end:
            _OUT.truncate(len(_OUT) - (self._copied - end))
            self._copied = end
            self._ahead = _CAREFUL
        if self._header < end:
            self._shift_up_to(chunk, end)
            self._header = end

    def _copy(self, chunk: bytes, end: i64) -> None:
        """The output has a copy of the chunk up to end, or further."""
        out = _OUT
        if not self._changes_something:
            self._changes_something = True
            out.truncate(0)
        start = self._copied
        if start >= end:
            return
        if start == 0 and 2 * end > len(chunk):
            # nearly all of it: without a slice, which is one more copy
            out.write(chunk)
            self._copied = len(chunk)
        else:
            out.write(chunk[start:end])
            self._copied = end

    def _shift_up_to(self, chunk: bytes, end: i64) -> None:
        """Shifts the ids of those packets in front of end that were not walked over."""
        if self.shift != 0:
            renumber(chunk, self._header, end, self.shift, _OUT, len(_OUT) - self._copied)

    def _head(self, length: i64, sequence_id: i64) -> None:
        """A header; the id is that of the input."""
        out = _OUT
        write_i32_le(out, i32(length))
        out[len(out) - 1] = u8(sequence_id + self.shift & 0xFF)

    def _eof(self, sequence_id: i64, warnings: i64, status: i64) -> None:
        out = _OUT
        self._head(5, sequence_id)
        write_i32_le(out, i32(0xFE | warnings << 8))
        out[len(out) - 1] = u8(status & 0xFF)
        out.append(u8(status >> 8))
