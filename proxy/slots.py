"""Bounds that several workers share: who may have how much of each, and how that moves to whom needs it. Pure.

A bound is so many *slots*; a worker may have no more connections than it holds slots. The parent keeps one `Slots` for each bound, a worker one
`Holding`. What is held, what is free and what orphans have always add up to the bound, so that it is not exceeded for a moment: a slot that was asked back is held
until the worker says that the connection is gone, and of what a dead worker held that is free which none of its connections has that the server has yet (`orphans`).

How the slots should be divided follows from the *demand* that workers tell: connections in use, and clients that wait for one. While there is enough for
all, who lacks something gets it from what is free, and then from whom has most that he does not use; nothing else moves. Where there is not enough, each has a
part in proportion to his demand, as if all clients waited in one queue, but for BAND: what hardly differs stays where it is, for each move costs a connection.

A bound may be smaller than the number of workers, where they need not all have something: then those who have nothing take turns, and get one slot each time that they say again
what they want.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

BAND: Final = 0.75
"""By so many slots, and by"""
BAND_SHARE: Final = 0.1
"""this part of them, a worker must have less than its due where there is not enough for all, to get some of another's."""


@dataclass(frozen=True, slots=True)
class Move:
    """For one worker. ``count`` above 0: it may have so many more; below: it is asked to give back so many."""

    worker: int
    count: int


def division(size: int, workers: int, worker: int) -> int:
    """What a worker begins with."""
    return size // workers + (worker < size % workers)


class SlotsError(Exception):
    """A worker says what cannot be."""


class Slots:
    """One bound, as the parent sees it. Afterwards each call's moves must be told to the workers, in their order."""

    __slots__ = ("_floor", "_size", "_starving", "asked", "demands", "free", "held", "orphaned", "present")

    def __init__(self, size: int, workers: int, floor: int) -> None:
        """``floor``: what each worker has in any case, but for what orphans have."""
        if size < workers * floor:
            raise ValueError("expected a size of at least the floor of each worker")
        self._size: Final = size
        self._floor: Final = floor
        self.free = 0
        # what connections of the dead have
        self.orphaned = 0
        # by worker: what it may have, how much of that it was asked to give back and has not, how much it could use, whether there is such a process
        self.held = [division(size, workers, worker) for worker in range(workers)]
        self.asked = [0] * workers
        self.demands = [0] * workers
        self.present = [True] * workers
        # those who have nothing and want something, in the order in which it came to that
        self._starving: list[int] = []

    def told(self, worker: int, demand: int) -> list[Move]:
        """A worker could use so many now."""
        self.demands[worker] = demand
        moves = self._settled()
        if worker in self._starving and not any(self.asked):
            moves += self._asks_for_starving()
        return moves

    def gave(self, worker: int, count: int) -> list[Move]:
        """A worker has given back so many of those that it was asked for. Raises SlotsError if it was not asked for so many."""
        if not 0 < count <= self.asked[worker]:
            raise SlotsError(f"worker {worker} gives {count}, and was asked for {self.asked[worker]}")
        self.asked[worker] -= count
        self.held[worker] -= count
        self.free += count
        return self._settled()

    def left(self, worker: int, orphans: int = 0) -> list[Move]:
        """A worker is dead, and so are its connections but for so many at most."""
        orphaned = min(orphans, self.held[worker])
        self.orphaned += orphaned
        self.free += self.held[worker] - orphaned
        self.held[worker] = self.asked[worker] = self.demands[worker] = 0
        self.present[worker] = False
        return self._settled()

    def remain(self, orphans: int) -> list[Move]:
        """Of the connections of all the dead there are so many yet at most."""
        ended = max(0, self.orphaned - orphans)
        self.orphaned -= ended
        self.free += ended
        return self._settled() if ended else []

    def joined(self, worker: int) -> int:
        """A new process takes its place: what that begins with."""
        self.present[worker] = True
        self.held[worker] = min(max(0, self._spendable()), division(self._size, len(self.held), worker))
        self.free -= self.held[worker]
        return self.held[worker]

    def limit(self, shown: int) -> int:
        """Of all workers, which may have so many as they say: with what is on its way from one to another."""
        return min(self._size, shown + self.free + self.orphaned + sum(self.asked))

    # Parts

    def _spendable(self) -> int:
        """What is free and not for those who are about to come."""
        return self.free - self._floor * self.present.count(False)

    def _remains(self, worker: int) -> int:
        """What it has when it has given back what it was asked for."""
        return self.held[worker] - self.asked[worker]

    def _settled(self) -> list[Move]:
        workers = [worker for worker, is_there in enumerate(self.present) if is_there]
        dues = self._dues(workers)
        self._note_starving(workers)
        lacks = [(self._lack(worker, dues[worker]), worker) for worker in workers]
        granted = dict.fromkeys(workers, 0)
        missing = -sum(self.asked)
        for lack, worker in sorted(lacks, key=lambda each: (self._turn(each[1]), -each[0], each[1])):
            count = max(0, min(lack, self._spendable()))
            self._grant(worker, count, granted)
            missing += lack - count
        while self._spendable() > 0 and (short := self._shortest(workers, dues)) is not None:
            self._grant(short, 1, granted)
        moves = [Move(worker, count) for worker, count in granted.items() if count]
        return moves + self._asks(workers, dues, missing)

    def _grant(self, worker: int, count: int, granted: dict[int, int]) -> None:
        self.free -= count
        self.held[worker] += count
        granted[worker] += count

    def _shortest(self, workers: Sequence[int], dues: Mapping[int, float]) -> int | None:
        """Who could use one more, of those the one that lacks most: what is free costs nobody a connection."""
        short = [worker for worker in workers if self.demands[worker] > self._remains(worker)]
        return max(short, key=lambda worker: (dues[worker] - self._remains(worker), -worker), default=None)

    def _note_starving(self, workers: Sequence[int]) -> None:
        starving = [worker for worker in workers if not self._remains(worker) and self.demands[worker]]
        self._starving = [worker for worker in self._starving if worker in starving]
        self._starving += [worker for worker in starving if worker not in self._starving]

    def _turn(self, worker: int) -> int:
        return self._starving.index(worker) if worker in self._starving else len(self._starving)

    def _asks_for_starving(self) -> list[Move]:
        """One slot of whoever has most."""
        worker = max(range(len(self.held)), key=lambda worker: (self._remains(worker), -worker))
        if not self._remains(worker):
            return []
        self.asked[worker] += 1
        return [Move(worker, -1)]

    def _dues(self, workers: Sequence[int]) -> dict[int, float]:
        """What each should have: what it could use, or less where there is not enough for that."""
        wants = {worker: float(max(self._floor, self.demands[worker])) for worker in workers}
        left = float(self._size - self.orphaned - self._floor * self.present.count(False))
        wanted = sum(wants.values())
        if wanted <= left:
            return wants
        dues: dict[int, float] = {}
        # those first whose part would be less than the floor: what they have more the others have less
        for worker, want in sorted(wants.items(), key=lambda each: each[1]):
            dues[worker] = max(float(self._floor), left * want / wanted)
            left -= dues[worker]
            wanted -= want
        return dues

    def _lack(self, worker: int, due: float) -> int:
        lack = due - self._remains(worker)
        if due >= self.demands[worker]:
            return max(0, int(lack))
        if worker in self._starving:
            return max(1, int(lack))
        if lack < max(BAND, BAND_SHARE * self._remains(worker)):
            return 0
        return int(lack + 1.0 - BAND)

    def _asks(self, workers: Sequence[int], dues: dict[int, float], missing: int) -> list[Move]:
        """Ask those for what is missing who have most that is not due to them."""
        moves: list[Move] = []
        spares = [(int(self._remains(worker) - dues[worker] + 1.0 - BAND), worker) for worker in workers]
        for spare, worker in sorted(spares, key=lambda each: (-each[0], each[1])):
            # the last one is taken only from who does not use it, or by turns
            kept = max(self._floor, 1 if self.demands[worker] else 0)
            count = min(missing, spare, self._remains(worker) - kept)
            if count > 0:
                missing -= count
                self.asked[worker] += count
                moves.append(Move(worker, -count))
        return moves


class Ledger:
    """All bounds of one proxy, by name, as the parent sees them: each from when a worker first speaks of it. Moves come with the name."""

    __slots__ = ("_absent", "_bounds", "_workers", "slots")

    def __init__(self, workers: int, bounds: Callable[[str], tuple[int, int]]) -> None:
        """``bounds``: size and floor of a name."""
        self._workers: Final = workers
        self._bounds: Final = bounds
        self._absent: set[int] = set()
        self.slots: dict[str, Slots] = {}

    def told(self, worker: int, demands: Mapping[str, int]) -> list[tuple[str, Move]]:
        """What a worker could use now."""
        return self._named({name: self._of(name).told(worker, demand) for name, demand in demands.items()})

    def gave(self, worker: int, counts: Mapping[str, int]) -> list[tuple[str, Move]]:
        """What a worker has given back. Raises SlotsError."""
        return self._named({name: self._of(name).gave(worker, count) for name, count in counts.items()})

    def left(self, worker: int, orphans: Mapping[str, int]) -> list[tuple[str, Move]]:
        """A worker is dead. ``orphans``: connections of its that there may be yet, by the bounds that they count for."""
        for name in orphans:
            self._of(name)
        self._absent.add(worker)
        return self._named(
            {name: slots.left(worker, orphans.get(name, 0)) for name, slots in self.slots.items()}
        )

    def remain(self, orphans: Mapping[str, int]) -> list[tuple[str, Move]]:
        """The same of all the dead, now."""
        return self._named({name: slots.remain(orphans.get(name, 0)) for name, slots in self.slots.items()})

    def joined(self, worker: int) -> dict[str, int]:
        """A new process takes its place: what that begins with, of the names that are known. Of others it has its `division`."""
        self._absent.discard(worker)
        return {name: slots.joined(worker) for name, slots in self.slots.items()}

    def _of(self, name: str) -> Slots:
        slots = self.slots.get(name)
        if slots is None:
            size, floor = self._bounds(name)
            slots = self.slots[name] = Slots(size, self._workers, floor)
            for worker in self._absent:
                slots.left(worker)
        return slots

    def _named(self, moves: Mapping[str, list[Move]]) -> list[tuple[str, Move]]:
        return [(name, move) for name, found in moves.items() for move in found]


class Holding:
    """One bound, as a worker sees it."""

    __slots__ = ("_giving", "_held")

    def __init__(self, held: int) -> None:
        self._held = held
        self._giving = 0

    @property
    def bound(self) -> int:
        """So many connections there may be."""
        return self._held - self._giving

    @property
    def is_giving(self) -> bool:
        """Whether some that were asked back are held yet."""
        return self._giving > 0

    def moved(self, count: int) -> None:
        """What a `Move` for this worker says."""
        if count > 0:
            self._held += count
        else:
            self._giving -= count

    def given(self, living: int) -> int:
        """So many connections exist, those included that are being opened and closed. How many slots are given back now: the parent is to be told."""
        given = min(self._giving, self._held - living)
        if given <= 0:
            return 0
        self._held -= given
        self._giving -= given
        return given
