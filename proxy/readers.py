"""The readers, with what is known of each, and the choice among them for one read.

Observations come in, and each goes where it belongs: Aurora's lags are in the table of the verified writer, other servers speak for themselves. A reader may
have a read when it is near enough (`lag`), shows what the session must see (`fences`), and has a weight; among those `balance` chooses. When there
is none, `choose` says so and :attr:`ReaderTable.refusal` why; what becomes of the read then is the shell's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.balance import Contender, choose
from proxy.fences import (
    NEVER,
    NO_FENCE,
    NOTHING_APPLIED,
    Fence,
    SessionView,
    Watermark,
    WriterPositions,
    of_row,
)
from proxy.gtids import Gtids, parse_gtids
from proxy.lag import LagGate
from proxy.observation import Observation

# Consistencies
EVENTUAL: Final = 0  # whatever is near enough
SESSION: Final = 1  # and shows what the session has written and read
BOUNDED: Final = 2  # and is certainly not older than max_lag

# Why there was no reader
NOT_REFUSED: Final = 0
NO_READERS: Final = 1  # none has the role
TOO_FAR_BEHIND: Final = 2  # none is near enough
NOT_SAFE: Final = 3  # none shows yet what the session has written
READ_AHEAD: Final = 4  # one shows that, but the session has read something newer: short of writes, to wait for the next look is enough
REFUSAL_NAMES: Final = ("not-refused", "no-readers", "too-far-behind", "not-safe", "read-ahead")

RESPITE: Final = 1.0
"""Seconds for which nobody waits on a reader that has let somebody wait in vain."""
ROUND_TRIP_SHARE: Final = 0.2
"""How much a new round trip counts against those before."""


class Reader:
    """One server that may have the role."""

    __slots__ = (
        "can_wait",
        "contender",
        "epoch",
        "gate",
        "has_role",
        "is_astray",
        "is_ordered",
        "name",
        "server_id",
        "waits_from",
        "watermark",
    )

    def __init__(self, name: str, gate: LagGate, contender: Contender) -> None:
        self.name: str = name
        self.server_id: str = ""
        self.has_role: bool = False
        self.epoch: int = 0
        self.gate: LagGate = gate
        self.watermark: Watermark = Watermark()
        self.contender: Contender = contender
        # it knows how to wait for GTIDs, and when that may be asked of it again
        self.can_wait: bool = True
        self.waits_from: float = NEVER
        # it replicates, but not from the writer
        self.is_astray: bool = False
        # it has said that it commits in the writer's order
        self.is_ordered: bool = False

    def caught_up(self, gtids: Gtids, epoch: int) -> None:
        """It has waited for these, and has them now."""
        if epoch == self.epoch:
            self.watermark.caught_up(gtids, epoch)
            self.is_ordered = True

    def can_wait_at(self, now: float) -> bool:
        """Whether it may be asked to wait. It has GTIDs, which Aurora's readers have not."""
        return self.can_wait and self.watermark.position is not None and now >= self.waits_from

    def is_late(self, now: float, can_wait: bool) -> None:
        """It has let somebody wait in vain. ``can_wait``: not because it does not know how to."""
        self.can_wait = self.can_wait and can_wait
        self.waits_from = now + RESPITE

    def why(self, now: float) -> str:
        """Whether it gets reads by itself, and why, for people."""
        if not self.has_role:
            return "it is no reader now"
        if self.contender.weight <= 0:
            return "its weight is 0"
        if self.is_astray:
            return "it is not seen to replicate from the writer"
        return self.gate.why(now)


class ReaderTable:
    """All of them. The shell keeps the counts of each contender."""

    __slots__ = (
        "_contenders",
        "_interval",
        "_max_lag",
        "_passed",
        "_positions",
        "_warm_up",
        "_writer_clock",
        "consistency",
        "readers",
        "refusal",
        "refusals",
        "writer",
    )

    def __init__(
        self,
        *,
        max_lag: float,
        interval: float,
        warm_up: float = 0.0,
        consistency: int = SESSION,
        writer_weight: float = 0.0,
    ) -> None:
        self.readers: dict[str, Reader] = {}
        self.consistency: int = consistency
        # of the last choice that found none, and how often it was that
        self.refusal: int = NOT_REFUSED
        self.refusals: list[int] = [0] * len(REFUSAL_NAMES)
        # in the balance itself when it has a weight
        self.writer: Contender = Contender("", writer_weight)
        self._max_lag: float = max_lag
        self._interval: float = interval
        self._warm_up: float = warm_up
        self._positions: WriterPositions = WriterPositions()
        # the most by which the writer's clock may be before ours, in seconds; not known: NEVER
        self._writer_clock: float = NEVER
        # what `passed` has said last: of fences before nobody knows any more
        self._passed: float = NEVER
        # of the choice that is being made
        self._contenders: list[Contender] = []

    # What the topology says

    def add(self, name: str, weight: float = 1.0) -> None:
        """A server of the cluster. Harmless when it is known."""
        if name not in self.readers:
            gate = LagGate(self._max_lag, self._interval)
            self.readers[name] = Reader(name, gate, Contender(name, weight, self._warm_up))

    def remove(self, name: str) -> None:
        """It is none any more."""
        self.readers.pop(name, None)

    def set_role(self, name: str, is_reader: bool, epoch: int, now: float) -> None:
        """It has become a reader, or ceased to be one."""
        reader = self.readers.get(name)
        if reader is None:
            return
        if is_reader and not reader.has_role:
            reader.contender.joined(now)
        reader.has_role = is_reader
        self.raise_epoch(name, epoch)

    def raise_epoch(self, name: str, epoch: int) -> None:
        """It was restarted, or is another one: what was known of it does not count."""
        reader = self.readers.get(name)
        if reader is not None and reader.epoch != epoch:
            reader.epoch = epoch
            reader.can_wait, reader.waits_from, reader.is_ordered = True, NEVER, False
            reader.gate.lost()
            reader.watermark.raise_to(NOTHING_APPLIED, epoch)

    def writer_changed(self) -> None:
        """Another server is the writer, or none: what is known of the former's commits does not count for it."""
        self._positions.clear()
        self._writer_clock = NEVER

    # What servers say

    def observed(self, name: str, seen: Observation, is_writer: bool, detour: float | None = 0.0) -> None:
        """A server was looked at. ``is_writer``: it is the one that the topology believes, and said again that it is. ``detour``: seconds by which
        what it replicates from is behind the writer; None: it does not get what the writer writes."""
        if is_writer:
            self._writer_observed(seen)
        reader = self.readers.get(name)
        if reader is None:
            return
        reader.server_id = seen.server_id
        contender = reader.contender
        if contender.round_trip < 0:
            contender.round_trip = seen.round_trip
        else:
            contender.round_trip += (seen.round_trip - contender.round_trip) * ROUND_TRIP_SHARE
        if seen.replication is not None or seen.heartbeat is not None:
            self._replica_observed(reader, seen, detour)

    def _writer_observed(self, seen: Observation) -> None:
        self._positions.observed(seen.position, seen.asked_at, seen.is_mariadb)
        self._writer_clock = seen.clock / 1e6 - seen.asked_at
        if seen.rows is None:
            return
        for reader in self.readers.values():
            if not reader.has_role:
                continue
            row = seen.row_of(reader.server_id)
            if row is None:
                reader.gate.sampled(None, seen.asked_at)
                continue
            reader.gate.sampled(row.lag, seen.asked_at, row.age, row.updated)
            reader.watermark.raise_to(of_row(seen.asked_at, row.age, row.lag), reader.epoch)
            reader.contender.cpu = -1.0 if row.cpu is None else row.cpu

    def _replica_observed(self, reader: Reader, seen: Observation, detour: float | None) -> None:
        lag = seen.lag
        if seen.heartbeat is None:
            reader.is_astray = seen.replication is not None and detour is None
            lag = None if lag is None or detour is None else lag + detour
        reader.gate.sampled(lag, seen.asked_at)
        if lag is None:
            # it may be that somebody changes how it replicates
            reader.is_ordered = False
        if seen.heartbeat is not None and self._writer_clock != NEVER:
            # by the writer's clock it was written, by the reader's it was read: how far apart may these be?
            apart = seen.clock / 1e6 - seen.taken_at - self._writer_clock
            reader.watermark.raise_to(of_row(seen.asked_at, 0.0, seen.heartbeat - apart), reader.epoch)
        if seen.position:
            try:
                position = parse_gtids(seen.position, seen.is_mariadb)
            except ValueError:
                return
            reader.watermark.raise_to(self._positions.watermark(position), reader.epoch, position)

    def passed(self) -> float:
        """Every reader is known to be past this time; for fences that need not be kept longer. One that joins later, or was restarted, has to be, too."""
        marks = [reader.watermark.at for reader in self.readers.values() if reader.has_role]
        passed = min(marks) if marks else NOTHING_APPLIED
        self._passed = max(self._passed, passed)
        return passed

    # The choice

    def choose(
        self,
        view: SessionView | None,
        now: float,
        random: Callable[[], float],
        max_lag: float = -1.0,
        fence: Fence = NO_FENCE,
        with_writer: bool = True,
    ) -> Contender | None:
        """The reader, or the writer where it has a weight, for one read of a session; None when there is none. ``max_lag``: by a hint, negative
        without. ``fence``: by a key. ``with_writer``: whether that may have it."""
        found = self._contenders = []
        refusal = NO_READERS
        for reader in self.readers.values():
            if not reader.has_role or reader.contender.weight <= 0:
                continue
            if not self._is_near(reader, now, max_lag):
                refusal = max(refusal, TOO_FAR_BEHIND)
            elif not self._is_safe(reader, view, fence):
                refusal = max(refusal, self._why_not_safe(reader, view, fence))
            else:
                found.append(reader.contender)
        if with_writer and self.writer.weight > 0:
            found.append(self.writer)
        chosen = choose(found, now, random)
        if chosen is None:
            self.refusal = refusal
            self.refusals[refusal] += 1
        return chosen

    def choose_to_wait(
        self,
        view: SessionView,
        now: float,
        random: Callable[[], float],
        max_lag: float = -1.0,
        fence: Fence = NO_FENCE,
    ) -> Reader | None:
        """After `choose` has found none: the reader that is only to be waited for (`awaited`). As `choose` otherwise."""
        found = self._contenders = []
        if self.consistency != SESSION:
            return None
        for reader in self.readers.values():
            if not reader.has_role or reader.contender.weight <= 0:
                continue
            if not reader.can_wait_at(now) or not self._is_near(reader, now, max_lag):
                continue
            if self.awaited(reader, view, fence) is not None:
                found.append(reader.contender)
        chosen = choose(found, now, random)
        return None if chosen is None else self.readers.get(chosen.name)

    def awaited(self, reader: Reader, view: SessionView, fence: Fence = NO_FENCE) -> Gtids | None:
        """What the reader must have for this session to read there; None when that cannot be said by GTIDs."""
        if reader.watermark.epoch != reader.epoch or reader.watermark.at < self._passed:
            return None
        own: Gtids | None = None
        if not self._is_safe(reader, view, NO_FENCE):
            own = view.awaited(reader.name, reader.epoch, self._positions.has_one_order())
            if own is None:
                return None
        if reader.watermark.covers(fence.at, fence.gtids):
            return own
        if fence.gtids is None:
            return None
        return fence.gtids if own is None else own.union(fence.gtids)

    def may_have(
        self, name: str, view: SessionView | None, now: float, max_lag: float = -1.0, fence: Fence = NO_FENCE
    ) -> bool:
        """Whether this one could be the choice."""
        reader = self.readers.get(name)
        if reader is None or not reader.has_role or reader.contender.weight <= 0:
            return False
        return self._is_near(reader, now, max_lag) and self._is_safe(reader, view, fence)

    def has_room_beside(
        self, name: str, view: SessionView | None, now: float, max_lag: float = -1.0, fence: Fence = NO_FENCE
    ) -> bool:
        """Whether another than this one could be the choice, and has backends left."""
        if self.writer.weight > 0 and self.writer.has_room():
            return True
        for other in self.readers.values():
            is_other = other.name != name and other.contender.has_room()
            if is_other and self.may_have(other.name, view, now, max_lag, fence):
                return True
        return False

    def is_near(self, reader: Reader, now: float, max_lag: float = -1.0) -> bool:
        """Whether it may have reads of sessions for which it is safe."""
        return reader.has_role and reader.contender.weight > 0 and self._is_near(reader, now, max_lag)

    def _is_near(self, reader: Reader, now: float, max_lag: float) -> bool:
        gate = reader.gate
        if max_lag >= 0:
            return gate.is_within(max_lag, now)
        if self.consistency == BOUNDED:
            return gate.is_within(gate.max_lag, now)
        return gate.is_eligible(now)

    def _is_safe(self, reader: Reader, view: SessionView | None, fence: Fence) -> bool:
        if fence.at != NEVER and not reader.watermark.covers(fence.at, fence.gtids):
            return False
        if self.consistency != SESSION or view is None:
            return True
        if reader.watermark.at < self._passed:
            return False
        is_ordered = reader.is_ordered and self._positions.has_one_order()
        return view.is_safe(reader.name, reader.epoch, reader.watermark, is_ordered)

    def _why_not_safe(self, reader: Reader, view: SessionView | None, fence: Fence) -> int:
        watermark = reader.watermark
        if view is None or watermark.at < self._passed or not watermark.covers(fence.at, fence.gtids):
            return NOT_SAFE
        return READ_AHEAD if view.has_written(reader.name, reader.epoch, reader.watermark) else NOT_SAFE
