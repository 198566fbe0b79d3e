"""Clients before a pool core, in simulated time: what they waited, and what it cost in connections."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from proxy.pool import Member, PoolCore, Ticket
from proxy.pool_actions import CLOSE, OPEN, WAKE, Action

CONNECT = 0.004
TICK = 0.1


class Crowd:
    """Clients of one kind: each thinks, asks, waits, is served, and thinks again. Times in seconds, exponential."""

    def __init__(self, clients: int, *, service: float = 0.01, think: float = 0.0, **ticket: Any) -> None:
        self.service = service
        self.think = think
        self.waits: list[float] = []
        self.refused: list[object] = []
        self.tickets = [_Client(self) for _ in range(clients)]
        for client in self.tickets:
            for name, value in ticket.items():
                setattr(client, name, value)

    def percentile(self, part: float) -> float:
        """Of the waits."""
        return sorted(self.waits)[int(part * (len(self.waits) - 1))]


class _Client(Ticket):
    __slots__ = ("asked_at", "crowd")

    def __init__(self, crowd: Crowd) -> None:
        super().__init__("app")
        self.crowd = crowd
        self.asked_at = 0.0


class PoolLoad:
    """`run` it for some seconds; what was before `counts_from` is not counted."""

    def __init__(self, *crowds: Crowd, seed: int = 1, counts_from: float = 0.0, **options: Any) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.counts_from = counts_from
        self.opened = self.leases = 0
        self.closes: dict[str, int] = {}
        self.most = 0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self.core = PoolCore(
            new_member=_new_member, random=self.random.random, **{"tenant_of": _itself, **options}
        )
        for crowd in crowds:
            for client in crowd.tickets:
                self._after(self._about(crowd.think or 0.01), self._ask, client)
        self._after(TICK, self._tick)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, call, arguments = heappop(self._events)
            call(*arguments)
        self.now = until

    def after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        """Do this then."""
        self._after(seconds, call, *arguments)

    def _after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        heappush(self._events, (self.now + seconds, next(self._order), call, arguments))

    def _about(self, seconds: float) -> float:
        return self.random.expovariate(1.0 / seconds) if seconds else 0.0

    def _ask(self, client: _Client) -> None:
        client.asked_at = self.now
        actions = self.core.acquire(client, self.now)
        if client.member is not None:
            self._serve(client)
        elif client.error is not None:
            self._refused(client)
        self._perform(actions)

    def _serve(self, client: _Client) -> None:
        if self.now >= self.counts_from:
            self.leases += 1
            client.crowd.waits.append(self.now - client.asked_at)
        self._after(self._about(client.crowd.service), self._served, client, client.member)

    def _served(self, client: _Client, member: Member) -> None:
        self._perform(self.core.release(member, self.now))
        # the answer goes to the client, and its next question comes
        self._after(0.0002 + self._about(client.crowd.think), self._ask, client)

    def _refused(self, client: _Client) -> None:
        if self.now >= self.counts_from:
            client.crowd.refused.append(client.error)
        self._after(0.01 + self._about(client.crowd.think), self._ask, client)

    def _perform(self, actions: list[Action]) -> None:
        self.most = max(self.most, self.core.size)
        for action in actions:
            if action.kind == OPEN:
                self.opened += self.now >= self.counts_from
                self._after(CONNECT * (0.5 + self.random.random()), self._opened, action.member)
            elif action.kind == CLOSE and action.reason is not None and self.now >= self.counts_from:
                self.closes[action.reason.value] = self.closes.get(action.reason.value, 0) + 1
            elif action.kind == WAKE and isinstance(action.ticket, _Client):
                if action.ticket.member is not None:
                    self._serve(action.ticket)
                else:
                    self._refused(action.ticket)

    def _opened(self, member: Member) -> None:
        self._perform(self.core.opened(member, self.now))

    def _tick(self) -> None:
        self._perform(self.core.tick(self.now))
        self._after(TICK, self._tick)


def _new_member(key: Hashable, payload: object) -> Member:
    return Member()


def _itself(key: Hashable) -> Hashable:
    return key
