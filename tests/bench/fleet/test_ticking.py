"""A pool core in simulated time."""

from __future__ import annotations

import pytest

from bench.fleet.events import Events
from bench.fleet.ticking import TICK, Ticking
from proxy.pool import PoolCore
from proxy.pool_actions import CLOSE, OPEN, WAKE, Action
from proxy.pool_states import Member, Ticket


class Connection(Member):
    """One that is told from others."""


class Pool(Ticking):
    """Its connections are opened when it is told so; `done` has what was carried out, and when."""

    member = Connection

    def __init__(self, idle_timeout: float = 60.0) -> None:
        super().__init__(Events(1))
        self.core = PoolCore(
            new_member=self._new_member,
            random=self.events.random.random,
            max_size=1,
            idle_timeout=idle_timeout,
        )
        self.done: list[tuple[float, int]] = []
        self.opening: list[Member] = []

    def asks(self, deadline: float = float("inf")) -> Ticket:
        """Somebody wants a connection."""
        ticket = Ticket("app")
        ticket.deadline = deadline
        self._perform(self.core.acquire(ticket, self.events.now))
        return ticket

    def opens(self) -> None:
        """What has to be opened is."""
        self._perform(self.core.opened(self.opening.pop(), self.events.now))

    def begins(self) -> None:
        """Tick from now on."""
        self._tick(None)

    def _carry_out(self, action: Action) -> None:
        self.done.append((self.events.now, action.kind))
        if action.kind == OPEN and action.member is not None:
            self.opening.append(action.member)


def test_what_the_core_asks_for_is_carried_out_with_members_of_the_kind() -> None:
    pool = Pool()
    ticket = pool.asks()
    pool.opens()
    assert isinstance(ticket.member, Connection)
    assert pool.done == [(0.0, OPEN), (0.0, WAKE)]


def test_who_waits_is_told_when_he_is_due_and_not_at_the_next_tick() -> None:
    pool = Pool()
    pool.begins()
    late, early = pool.asks(deadline=0.75), pool.asks(deadline=0.25)
    pool.events.run(0.9)
    assert [at for at, kind in pool.done if kind == WAKE] == [0.25, 0.75]
    assert late.error is not None and early.error is not None


def test_for_nobody_who_waits_it_is_ticked_once_in_a_while() -> None:
    pool = Pool(idle_timeout=2.5 * TICK)
    pool.begins()
    ticket = pool.asks()
    pool.opens()
    assert ticket.member is not None
    pool.core.release(ticket.member, pool.events.now)
    pool.events.run(5.0)
    assert [at for at, kind in pool.done if kind == CLOSE] == [3.0 * TICK]


def test_how_things_are_done_is_for_others_to_say() -> None:
    class Idle(Ticking):
        core = PoolCore(new_member=lambda key, payload: Member(), random=lambda: 0.0, max_size=1)

        def asks(self) -> None:
            self._perform(self.core.acquire(Ticket("app"), 0.0))

    with pytest.raises(NotImplementedError):
        Idle(Events(1)).asks()
