"""What a client has got from a server, in case that is lost: how much, and its checksum. Pure.

Of answers the bytes are not kept. Another server that is asked the same gives the same up to there, or it does not.
"""

from __future__ import annotations

import zlib
from typing import Final

from proxy.prepared import Prepared

MOST_READS: Final = 32
MOST_COMMAND_BYTES: Final = 16384
MOST_ANSWER_BYTES: Final = 16 << 20
"""Of the commands of one transaction that are remembered. One with more is not made again."""


class Copy:
    """An answer, or the beginning of one, as it would be sent to the client."""

    __slots__ = ("checksum", "size")

    def __init__(self) -> None:
        self.size: int = 0
        self.checksum: int = 0

    def add(self, piece: bytes) -> None:
        """It goes on."""
        self.size += len(piece)
        self.checksum = zlib.crc32(piece, self.checksum)

    def is_like(self, other: Copy) -> bool:
        """Whether it is the same."""
        return self.size == other.size and self.checksum == other.checksum


class PastRead:
    """A command of a read-only transaction, in wire form, and its answer; None: of BEGIN, which every server answers alike."""

    __slots__ = ("answer", "prepared", "wire")

    def __init__(self, wire: bytes, prepared: Prepared | None, answer: Copy | None) -> None:
        self.wire: bytes = wire
        # what it executes
        self.prepared: Prepared | None = prepared
        self.answer: Copy | None = answer


class Past:
    """Of one session: what it has got of the answer to the command that runs, and the transaction before it."""

    __slots__ = ("again", "answer_bytes", "at", "command_bytes", "got", "reads")

    def __init__(self) -> None:
        self.got: Copy = Copy()
        # what has come of an answer that is being made once more
        self.again: Copy | None = None
        # from the command on that has begun the transaction; none: it cannot be made again
        self.reads: list[PastRead] = []
        self.command_bytes: int = 0
        self.answer_bytes: int = 0
        # how many of them have been begun once more; 0: none has to be
        self.at: int = 0

    def answered(self) -> None:
        """The command that ran is over."""
        if self.got.size:
            self.got = Copy()

    def forget(self) -> None:
        """What was read before will not be made again."""
        self.reads = []
        self.at = 0
        self.again = None

    def failed(self, has_begun: bool) -> bool:
        """The command that ran is not answered by a server: whether the client has got a part of an answer, and cannot be told anything else.
        ``has_begun``: there is no transaction that has still to begin; else it begins once more with the next command."""
        is_cut_off = self.got.size != 0
        self.answered()
        if has_begun or not self.at:
            self.forget()
        else:
            self.again = Copy()
        return is_cut_off

    def starts_over(self) -> bool:
        """The server is lost that made the present answer: whether it can be made once more."""
        if self.again is None and not self.got.size:
            return False
        self.again = Copy()
        return True

    def begins(self, read: PastRead) -> None:
        """A transaction has begun with this."""
        self.reads = []
        self.at = self.command_bytes = self.answer_bytes = 0
        self.goes_on(read)

    def goes_on(self, read: PastRead) -> None:
        """That was read in it next."""
        self.reads.append(read)
        self.command_bytes += len(read.wire)
        if read.answer is not None:
            self.answer_bytes += read.answer.size
        if (
            len(self.reads) > MOST_READS
            or self.command_bytes > MOST_COMMAND_BYTES
            or self.answer_bytes > MOST_ANSWER_BYTES
        ):
            self.forget()

    def has_only_begun(self) -> bool:
        """Whether nothing was read since BEGIN."""
        return len(self.reads) == 1 and self.reads[0].answer is None

    def begin_again(self) -> bytes:
        """Another server is to be asked the same: the first command, in wire form."""
        self.at = 1
        self.again = Copy()
        return self.reads[0].wire

    def is_as_before(self) -> bool:
        """Whether the answer that has come once more is the same."""
        answer = self.reads[self.at - 1].answer
        return answer is None or (self.again is not None and answer.is_like(self.again))

    def next_read(self) -> PastRead | None:
        """What is to be read once more now. None: nothing but what the client has got of the present answer."""
        if self.at < len(self.reads):
            self.again = Copy()
            self.at += 1
            return self.reads[self.at - 1]
        self.forget()
        self.starts_over()
        return None

    def is_skipping(self) -> bool:
        """Whether the client has got more of the present answer than has come once more."""
        return self.again is not None

    def skipped(self, chunk: bytes) -> bytes | None:
        """A piece of the present answer, which is being made once more: what of it the client has not got. None: it has got something else."""
        got, again = self.got, self.again
        assert again is not None
        left = got.size - again.size
        again.add(chunk[:left])
        if again.size < got.size:
            return b""
        if not again.is_like(got):
            return None
        self.again = None
        rest = chunk[left:]
        got.add(rest)
        return rest
