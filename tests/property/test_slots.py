"""However workers come, go, ask and give: all their connections together, those of the dead included, are never more than the bound."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.slots import Holding, Move, Slots, division

WORKERS = st.integers(0, 3)
COUNTS = st.integers(1, 6)


class Fleet(RuleBasedStateMachine):
    """Workers whose messages arrive late, in their order; None: the process is dead, and reaped."""

    @initialize(workers=st.integers(1, 4), extra=st.integers(0, 12), floor=st.integers(0, 1))
    def start(self, workers: int, extra: int, floor: int) -> None:
        self.size = workers * floor + extra
        self.slots = Slots(self.size, workers, floor)
        self.floor = floor
        self.workers: list[Holding | None] = [
            Holding(division(self.size, workers, each)) for each in range(workers)
        ]
        self.connections = [0] * workers
        # connections of the dead, and whether there have been any
        self.orphans = 0
        self.was_orphaned = False
        # on their way, by worker
        self.moves: list[list[int]] = [[] for _ in range(workers)]
        self.gifts: list[list[int]] = [[] for _ in range(workers)]

    def one(self, worker: int) -> tuple[int, Holding | None]:
        worker %= len(self.workers)
        return worker, self.workers[worker]

    def carry_out(self, moves: list[Move]) -> None:
        for move in moves:
            assert self.workers[move.worker] is not None and move.count
            self.moves[move.worker].append(move.count)

    @rule(worker=WORKERS, demand=st.integers(0, 30))
    def demands(self, worker: int, demand: int) -> None:
        worker, holding = self.one(worker)
        if holding is not None:
            self.carry_out(self.slots.told(worker, demand))

    @rule(worker=WORKERS)
    def hears(self, worker: int) -> None:
        worker, holding = self.one(worker)
        if holding is not None and self.moves[worker]:
            holding.moved(self.moves[worker].pop(0))

    @rule(worker=WORKERS, count=COUNTS)
    def opens(self, worker: int, count: int) -> None:
        worker, holding = self.one(worker)
        if holding is not None:
            self.connections[worker] += max(0, min(count, holding.bound - self.connections[worker]))

    @rule(worker=WORKERS, count=COUNTS)
    def closes(self, worker: int, count: int) -> None:
        worker, holding = self.one(worker)
        self.connections[worker] = max(0, self.connections[worker] - count)
        if holding is not None and (given := holding.given(self.connections[worker])):
            self.gifts[worker].append(given)

    @rule(worker=WORKERS)
    def gives(self, worker: int) -> None:
        worker, _ = self.one(worker)
        if self.gifts[worker]:
            self.carry_out(self.slots.gave(worker, self.gifts[worker].pop(0)))

    @rule(worker=WORKERS, leaves=st.integers(0, 6))
    def dies(self, worker: int, leaves: int) -> None:
        worker, holding = self.one(worker)
        if holding is not None:
            self.workers[worker] = None
            leaves = min(leaves, self.connections[worker])
            self.orphans += leaves
            self.was_orphaned |= leaves > 0
            self.connections[worker] = 0
            self.moves[worker].clear()
            self.gifts[worker].clear()
            self.carry_out(self.slots.left(worker, leaves))

    @rule(count=COUNTS)
    def orphans_end(self, count: int) -> None:
        self.orphans = max(0, self.orphans - count)
        self.carry_out(self.slots.remain(self.orphans))

    @rule(worker=WORKERS)
    def is_replaced(self, worker: int) -> None:
        worker, holding = self.one(worker)
        if holding is None:
            self.workers[worker] = Holding(self.slots.joined(worker))

    @precondition(lambda self: all(self.workers) and not self.orphans)
    @rule()
    def comes_to_rest(self) -> None:
        """When all is heard and closed that was asked for, who lacks something has it, as far as there is enough for all."""
        for _ in range(20):
            for worker in range(len(self.workers)):
                while self.moves[worker]:
                    self.hears(worker)
                self.closes(worker, self.size)
                while self.gifts[worker]:
                    self.gives(worker)
        assert not any(self.moves) and not any(self.gifts)
        if any(held < demand for held, demand in zip(self.slots.held, self.slots.demands, strict=True)):
            assert not self.slots.free
        wants = [max(self.floor, demand) for demand in self.slots.demands]
        if sum(wants) <= self.size:
            assert all(held >= want for held, want in zip(self.slots.held, wants, strict=True))

    @invariant()
    def keeps_the_bound(self) -> None:
        if not hasattr(self, "slots"):
            return
        slots = self.slots
        assert sum(slots.held) + slots.free + slots.orphaned == self.size
        assert slots.free + slots.orphaned >= self.floor * slots.present.count(False)
        assert sum(self.connections) + self.orphans <= self.size
        for worker, holding in enumerate(self.workers):
            if holding is not None:
                assert self.connections[worker] <= slots.held[worker]
                if not self.was_orphaned:
                    assert slots.held[worker] - slots.asked[worker] >= self.floor
                    assert holding.bound >= self.floor


Fleet.TestCase.settings = settings(stateful_step_count=40)
TestFleet = Fleet.TestCase
