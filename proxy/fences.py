"""Read your writes, and never less than was read before: what a session must see, and what a reader is known to have.

Theory of operation
===================

Everything is measured by our own monotonic clock, so that no server's clock, and no step of one, can make a stale reader look fresh.

- A *fence* is when the answer to a commit was here: the commit was before it.
- A *watermark* is the time of which it is known that everything committed before it has been applied by a reader. It never falls, unless
  the reader is another one. It comes from
  * Aurora's table: the row was so old when the question left, and the reader that far behind (`of_row`): the difference is computed by the server, and
    of the question's way only the beginning counts. AWS does not specify the column as a guarantee, so this is as good as the column is.
  * GTIDs: a reader that has all of what the writer had when it was asked has what was committed before the question left (`WriterPositions`). Exact.
- A reader is *safe* for a session when its watermark is not before the session's fence, nor before what the session has read last.

A time that is given for an answer must have been read after it: `time.monotonic()`, not the loop's time, which is that of the beginning of its turn.

- Where the session's own transactions are known by their GTIDs, a reader can be asked to wait for them (`SessionView.awaited`). What a session had read
  before its last commit was committed before that, and comes before it in the writer's order; so a reader that commits in that order, and has the
  last, shows what was read, too. Not what was read since, nor when the server may have told a GTID late (`wrote`).

The second half is why a session that goes on reading stays with its reader: where it has read at some moment, it may have seen everything up to that
moment, however far the reader's watermark was known to be. Only the same reader cannot go back behind that; another one can until its watermark has
passed that moment. The same holds after it has read on the writer: so one that reads there more often than readers catch up never comes back, unless
once it waits for that (`readers.READ_AHEAD`).
"""

from __future__ import annotations

from typing import Final

from proxy.gtids import Gtids, parse_gtids

NOTHING_APPLIED: Final = -float("inf")
NEVER: Final = -float("inf")
MARGIN: Final = 0.001
"""Seconds that are taken off what a table says: its times are rounded, and those of several servers' clocks differ by about as much."""
MOST_POSITIONS: Final = 32
MOST_GTIDS: Final = 64
"""Intervals of a session's own transactions; of more only the time counts."""
MOST_SHARED_GTIDS: Final = 16
"""The same of those that sessions share by one key."""


def of_row(asked_at: float, age: float, lag: float | None) -> float:
    """The watermark by a row of replica_host_status that was ``age`` old when it was asked for."""
    return NOTHING_APPLIED if lag is None else asked_at - age - lag - MARGIN


class Watermark:
    """What one reader is known to have."""

    __slots__ = ("at", "epoch", "position")

    def __init__(self) -> None:
        # everything committed before has been applied
        self.at: float = NOTHING_APPLIED
        # of the reader: what is known of an older one does not count
        self.epoch: int = 0
        # its GTIDs, where it has some
        self.position: Gtids | None = None

    def raise_to(self, at: float, epoch: int = 0, position: Gtids | None = None) -> None:
        """Something more is known."""
        if epoch != self.epoch:
            self.at = NOTHING_APPLIED
            self.position = None
            self.epoch = epoch
        if at > self.at:
            self.at = at
        if position is not None:
            self.position = position

    def covers(self, at: float, gtids: Gtids | None = None) -> bool:
        """Whether it has what was committed before ``at``, or else these transactions."""
        return self.at >= at or self.has(gtids)

    def has(self, gtids: Gtids | None) -> bool:
        """Whether it is known to have these transactions."""
        return gtids is not None and self.position is not None and self.position.contains(gtids)

    def caught_up(self, gtids: Gtids, epoch: int) -> None:
        """It has said that it has these, too."""
        if epoch == self.epoch:
            self.position = gtids if self.position is None else self.position.union(gtids)


class WriterPositions:
    """Where the writer was, and when it was asked: makes watermarks of readers' positions."""

    __slots__ = ("_asked_at", "_positions", "_texts")

    def __init__(self) -> None:
        # oldest first
        self._asked_at: list[float] = []
        self._texts: list[str] = []
        self._positions: list[Gtids] = []

    def observed(self, text: str, asked_at: float, is_mariadb: bool) -> None:
        """The writer was there. Without GTIDs nothing can be said: an empty position is part of any."""
        if not text:
            self.clear()
            return
        if self._texts and self._texts[-1] == text:
            self._asked_at[-1] = asked_at
            return
        try:
            position = parse_gtids(text, is_mariadb)
        except ValueError:
            self.clear()
            return
        self._asked_at.append(asked_at)
        self._texts.append(text)
        self._positions.append(position)
        if len(self._texts) > MOST_POSITIONS:
            del self._asked_at[0], self._texts[0], self._positions[0]

    def clear(self) -> None:
        """There is another writer, or none."""
        self._asked_at.clear()
        self._texts.clear()
        self._positions.clear()

    def has_one_order(self) -> bool:
        """Whether all that the writer commits is applied in one order. On MariaDB only within a domain."""
        if not self._positions:
            return False
        last = self._positions[-1]
        return not last.is_mariadb or len(last.parts) == 1

    def watermark(self, position: Gtids) -> float:
        """For a reader that is there."""
        for i in range(len(self._positions) - 1, -1, -1):
            if position.contains(self._positions[i]):
                return self._asked_at[i]
        return NOTHING_APPLIED


class SessionView:
    """What one session has written and read: where may its next read go?"""

    __slots__ = ("_is_after_reads", "_reader", "_reader_epoch", "gtids", "read_at", "written_at")

    def __init__(self) -> None:
        # when its last commit of a write was answered
        self.written_at: float = NEVER
        # the transactions since, where the server tells them
        self.gtids: Gtids | None = None
        # the last of them is known to have been committed after all that was read before
        self._is_after_reads: bool = False
        # when its last read was answered, and by whom: None for the writer
        self.read_at: float = NEVER
        self._reader: str | None = None
        self._reader_epoch: int = 0

    def wrote(self, at: float, gtids: Gtids | None = None, is_late: bool = False) -> None:
        """A write of it was committed. ``gtids``: that transaction's, where the server told it. ``is_late``: they may be of an earlier one."""
        self._is_after_reads = not is_late
        if not gtids or (self.gtids is None and self.written_at != NEVER):
            # of one transaction at least they are not known
            self.gtids = None
        else:
            self.gtids = gtids if self.gtids is None else self.gtids.union(gtids)
            if len(self.gtids) > MOST_GTIDS:
                self.gtids = None
        self.written_at = at

    def passed(self, at: float) -> None:
        """Every reader is past this time."""
        if self.written_at <= at:
            self.written_at = NEVER
            self.gtids = None
        if self.read_at <= at:
            self.read_at = NEVER

    def read_on_writer(self, at: float) -> None:
        """It has seen the writer's present."""
        self.read_at = at
        self._reader = None

    def read_on(self, reader: str, epoch: int, at: float) -> None:
        """It has seen whatever that reader had at ``at`` at the latest."""
        self.read_at = at
        self._reader = reader
        self._reader_epoch = epoch

    def home(self) -> str | None:
        """The reader where it has read last; None after a read on the writer, or before any."""
        return self._reader

    def is_fenced(self) -> bool:
        """Whether it has written something that not every reader is known to have."""
        return self.written_at != NEVER

    def is_safe(self, reader: str, epoch: int, watermark: Watermark, is_ordered: bool = False) -> bool:
        """Whether that reader shows all that the session has written, and nothing older than it has read. ``is_ordered``: it commits in the writer's
        order."""
        if watermark.epoch != epoch:
            return False
        if not watermark.covers(self.written_at, self.gtids):
            return False
        if self._reader == reader and self._reader_epoch == epoch:
            return True
        if watermark.covers(self.read_at):
            return True
        return is_ordered and self._is_read_before() and watermark.has(self.gtids)

    def awaited(self, reader: str, epoch: int, has_one_order: bool) -> Gtids | None:
        """The transactions with which that reader is safe, if it commits in the writer's order. None: that cannot be said by transactions.
        ``has_one_order``: there is one order of all that the writer commits."""
        if self._reader == reader and self._reader_epoch == epoch:
            return self.gtids
        if self.read_at == NEVER or (has_one_order and self._is_read_before()):
            return self.gtids
        return None

    def _is_read_before(self) -> bool:
        """Whether the session has read nothing since its last write, which came after all that it had seen in the writer's order."""
        return self._is_after_reads and self.gtids is not None and self.read_at <= self.written_at

    def has_written(self, reader: str, epoch: int, watermark: Watermark) -> bool:
        """Whether the reader shows all that the session has written: the first half of `is_safe`."""
        return watermark.epoch == epoch and watermark.covers(self.written_at, self.gtids)


class Fence:
    """What a reader must have for a read with some key. Never changed once made."""

    __slots__ = ("at", "gtids")

    def __init__(self, at: float, gtids: Gtids | None = None) -> None:
        # when the last commit was answered
        self.at: float = at
        # or else these transactions, which are all of them; None: not known
        self.gtids: Gtids | None = gtids


NO_FENCE: Final = Fence(NEVER)


class KeyedFences:
    """Fences that several sessions share by a key, so that what one has written another one sees. Bounded: when there are too many the oldest
    is forgotten, and from then on every key counts as fenced at its time."""

    __slots__ = ("_fences", "_floor", "_most")

    def __init__(self, most: int) -> None:
        # oldest first
        self._fences: dict[bytes, Fence] = {}
        # of those that are forgotten; never after one that is not
        self._floor: Fence = NO_FENCE
        self._most: int = most

    def __len__(self) -> int:
        return len(self._fences)

    def wrote(self, key: bytes, at: float, gtids: Gtids | None = None) -> None:
        """A write under this key was committed. ``gtids``: that transaction's, where the server told it."""
        # what is forgotten may have been of this key
        former = self._fences.pop(key, self._floor)
        self._fences[key] = Fence(at, _of_both(former, gtids))
        if len(self._fences) > self._most:
            oldest = next(iter(self._fences))
            self._floor = Fence(self._fences.pop(oldest).at)

    def fence(self, key: bytes) -> Fence:
        """What a reader must have passed, or have, for this key."""
        return self._fences.get(key, self._floor)

    def passed(self, at: float) -> None:
        """Every reader is past this time: what is older is no fence any more."""
        if self._floor.at <= at:
            self._floor = NO_FENCE
        while self._fences:
            oldest = next(iter(self._fences))
            if self._fences[oldest].at > at:
                return
            del self._fences[oldest]


def _of_both(former: Fence, gtids: Gtids | None) -> Gtids | None:
    if not gtids or (former.gtids is None and former.at != NEVER):
        # of one transaction at least they are not known
        return None
    both = gtids if former.gtids is None else former.gtids.union(gtids)
    return both if len(both) <= MOST_SHARED_GTIDS else None


class ClockEstimate:
    """A server's clock against ours, as NTP does it: it was read somewhere between question and answer, so the shortest of the last round trips
    knows best. Only for times that leave this process; decisions here need no server's clock."""

    __slots__ = ("_best_error", "_drift", "_offset", "_sampled_at")

    def __init__(self, drift: float = 0.0002) -> None:
        # seconds by which two clocks may part in a second
        self._drift: float = drift
        self._offset: float = 0.0
        self._best_error: float = float("inf")
        self._sampled_at: float = 0.0

    def sampled(self, clock: float, asked_at: float, taken_at: float) -> bool:
        """The server's clock (seconds) was read in between. False: it has been set since the last time."""
        error = (taken_at - asked_at) / 2
        offset = clock - (asked_at + taken_at) / 2
        known = self.error(taken_at)
        is_steady = abs(offset - self._offset) <= error + known
        if not is_steady or error <= known:
            self._offset, self._best_error, self._sampled_at = offset, error, taken_at
        return is_steady

    def error(self, now: float) -> float:
        """By how much the estimate may be wrong; infinite before the first sample."""
        return self._best_error + max(0.0, now - self._sampled_at) * self._drift

    def latest(self, at: float) -> float:
        """What the server's clock showed at that time of ours, at the latest."""
        return at + self._offset + self.error(at)
