"""Hints of the client on where a statement is to run, and how long it waits for that: comments like ``/* fanin: reader, max_lag=500 */``.

They count at the beginning of the text and right after its first word (some tools put their own comment first, some drivers let one only add
behind the verb). Several may be in one comment, with commas or spaces between; of two that contradict each other the last counts.
What is not known is ignored and counted, so that a hint of a later version does no harm. ``--`` and ``#`` comments and executable ones
(``/*! */``) are never hints. The MySQL command-line client removes comments unless started with ``--comments``.
"""

from __future__ import annotations

from typing import Final

ANY: Final = 0
TO_WRITER: Final = 1
TO_READER: Final = 2

LONGEST_KEY: Final = 128
"""Of a causal key; a longer one is not known."""
MOST_LAG: Final = 86_400_000
"""Milliseconds."""

PREFIX: Final = b"fanin:"
"""What makes a comment a hint, in lower case."""
_SPACE: Final = b" \t\r\n\x0b\x0c"
_FAR: Final = 512
"""Hints are looked for in so much of a text."""


class Hints:
    """What a text asks for. Never changed once made."""

    __slots__ = ("acquire_timeout", "causal", "max_lag", "side", "unknown")

    def __init__(
        self,
        side: int = ANY,
        max_lag: float = -1.0,
        causal: bytes = b"",
        unknown: int = 0,
        acquire_timeout: float = -1.0,
    ) -> None:
        # TO_WRITER, TO_READER or ANY
        self.side: int = side
        # seconds; negative: none
        self.max_lag: float = max_lag
        # the key of a fence that sessions share
        self.causal: bytes = causal
        # how many were not known
        self.unknown: int = unknown
        # seconds that the statement waits for a backend; negative: as long as others
        self.acquire_timeout: float = acquire_timeout


NO_HINTS: Final = Hints()


def hints_of(text: bytes) -> Hints:
    """The hints in a text; NO_HINTS, the same object, when there are none."""
    if PREFIX not in text[:_FAR].lower():
        return NO_HINTS
    found = _Reading()
    pos = found.comments(text, 0)
    end = pos
    while end < len(text) and (text[end : end + 1].isalpha() or text[end : end + 1] == b"("):
        end += 1
    found.comments(text, end)
    return found.hints()


class _Reading:
    """Hints that are being collected."""

    __slots__ = ("acquire_timeout", "causal", "is_hinted", "max_lag", "side", "unknown")

    def __init__(self) -> None:
        self.side: int = ANY
        self.max_lag: float = -1.0
        self.causal: bytes = b""
        self.unknown: int = 0
        self.acquire_timeout: float = -1.0
        self.is_hinted: bool = False

    def hints(self) -> Hints:
        if not self.is_hinted:
            return NO_HINTS
        return Hints(self.side, self.max_lag, self.causal, self.unknown, self.acquire_timeout)

    def comments(self, text: bytes, pos: int) -> int:
        """Read all comments that stand at ``pos``; where the text goes on after them."""
        while True:
            while pos < len(text) and text[pos] in _SPACE:
                pos += 1
            if text[pos : pos + 2] != b"/*":
                return pos
            end = text.find(b"*/", pos + 2)
            if end < 0:
                return pos
            self._comment(text[pos + 2 : end].strip(_SPACE))
            pos = end + 2

    def _comment(self, comment: bytes) -> None:
        if comment[: len(PREFIX)].lower() != PREFIX:
            return
        self.is_hinted = True
        for word in comment[len(PREFIX) :].replace(b",", b" ").split():
            self._word(word)

    def _word(self, word: bytes) -> None:
        name, _, value = word.partition(b"=")
        name = name.lower()
        if name == b"writer" and name == word.lower():
            self.side = TO_WRITER
        elif name == b"reader" and name == word.lower():
            self.side = TO_READER
        elif name == b"max_lag" and value.isdigit() and int(value) <= MOST_LAG:
            self.max_lag = int(value) / 1000
        elif name == b"acquire_timeout" and value.isdigit() and int(value) <= MOST_LAG:
            self.acquire_timeout = int(value) / 1000
        elif name == b"causal" and 0 < len(value) <= LONGEST_KEY:
            self.causal = value
        else:
            self.unknown += 1
