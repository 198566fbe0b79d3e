"""A pool core in simulated time: it is ticked now and then, and in time for whoever waits."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from bench.fleet.events import NEVER, Events
from proxy.pool import PoolCore
from proxy.pool_actions import Action
from proxy.pool_states import Member

TICK: Final = 1.0
"""Seconds between two ticks for which nobody waits."""


class Ticking:
    """Has a pool core. Subclasses set `core`, call `_tick` once when ticks are to begin, give `_perform` what each call of the core returns, and say in
    `_carry_out` how that is done. `member`: what its connections are."""

    member: type[Member] = Member
    core: PoolCore

    def __init__(self, events: Events) -> None:
        self.events = events
        self._tick_at = NEVER

    def _carry_out(self, action: Action) -> None:
        raise NotImplementedError

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._carry_out(action)
        if self.core.waiting_count:
            self._tick_in_time()

    def _tick(self, _: object) -> None:
        self._perform(self.core.tick(self.events.now))
        self.events.after(TICK, self._tick)

    def _tick_in_time(self) -> None:
        at = self.core.next_deadline(self.events.now)
        if at < self._tick_at:
            self._tick_at = at
            self.events.after(at - self.events.now, self._due)

    def _due(self, _: object) -> None:
        self._tick_at = NEVER
        self._perform(self.core.tick(self.events.now))

    def _new_member(self, key: Hashable, payload: object) -> Member:
        del key, payload
        return self.member()
