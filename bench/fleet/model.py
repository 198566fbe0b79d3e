"""The server, the sidecars, and the clients of their applications.

A client thinks, asks, waits for a connection if there is none, is served, and thinks again. Times are exponential, but for what a network takes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from bench.fleet.events import Events
from bench.histogram import Histogram
from proxy.budget import HEADROOM
from proxy.pool import PoolCore
from proxy.pool_actions import CLOSE, OPEN, WAKE, Action
from proxy.pool_states import CLOSED, NEVER, Member, Ticket

CONNECT: Final = 0.004
"""Seconds that TCP and the login take when the server is not slow."""
KEY: Final = "app"


def usable(limit: int) -> float:
    """What of a server's limit a fleet may use."""
    return limit * (1.0 - HEADROOM)


class SimServer:
    """Counts connections, and refuses those beyond its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # of the fleet's pools, of their monitors, and of others
        self.pooled = 0
        self.monitors = 0
        self.foreign = 0
        # how much longer everything takes
        self.slowness = 1.0
        self.refused = 0
        self.opened = 0
        # the most that were connected; whoever reads it may set it anew
        self.peak = 0

    @property
    def connected(self) -> int:
        """As it counts them itself."""
        return self.pooled + self.monitors + self.foreign

    def accepts(self) -> bool:
        """One more of a pool's; False: 1040."""
        if self.connected >= self.limit:
            self.refused += 1
            return False
        self.pooled += 1
        self.opened += 1
        self.peak = max(self.peak, self.connected)
        return True


class Load:
    """What clients do: seconds between an answer and the next question, and for which a connection is needed."""

    def __init__(self, think: float, service: tuple[tuple[float, float], ...]) -> None:
        self.think = think
        # parts of the questions, and how long they take
        self.service = service
        # how many times more often clients ask now
        self.factor = 1.0

    def service_time(self, events: Events) -> float:
        """Of one question."""
        number = events.random.random()
        for part, seconds in self.service:
            number -= part
            if number < 0.0:
                return events.about(seconds)
        return events.about(self.service[-1][1])


class SimMember(Member):
    """A connection. `is_open`: the server counts it."""

    __slots__ = ("is_open",)

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False


class SimClient(Ticket):
    """One thread of an application, which is its own place in the queue."""

    __slots__ = ("asked_at", "sidecar")

    def __init__(self, sidecar: Sidecar) -> None:
        super().__init__(KEY)
        self.sidecar = sidecar
        self.asked_at = 0.0


class Tally:
    """What became of questions."""

    def __init__(self) -> None:
        self.waits = Histogram()
        self.errors = 0


Refused = Callable[["Sidecar"], None]


class Sidecar:
    """One process with its pool and its clients. A crash forgets all of it, connections included."""

    def __init__(
        self, events: Events, server: SimServer, load: Load, tally: Tally, clients: int, size: int
    ) -> None:
        self.events = events
        self.server = server
        self.load = load
        self.tally = tally
        self.size = size
        # told of each refusal
        self.refused: Refused = _nobody
        self.is_up = True
        # how many times more often than others its clients ask
        self.demand = 1.0
        # seconds for which its connections have served
        self.busy = 0.0
        self.core = self._new_core()
        self.clients = [SimClient(self) for _ in range(clients)]
        self._tick_at = NEVER
        for client in self.clients:
            events.after(events.about(load.think), self._ask, client)
        events.after(events.random.random(), self._tick)

    def _new_core(self) -> PoolCore:
        return PoolCore(new_member=_new_member, random=self.events.random.random, max_size=self.size)

    def resize(self, bound: int) -> None:
        """Another bound from now on."""
        self._perform(self.core.resize(max(1, bound), self.events.now))

    def stop(self) -> None:
        """It crashes, or is replaced: its connections end, and clients get errors."""
        self.is_up = False
        for member in self.core.members():
            self._closed(member)
        core, self.core = self.core, self._new_core()
        core.close(self.events.now)

    def start(self) -> None:
        """It is there again."""
        self.is_up = True

    # Clients

    def _think(self, client: SimClient) -> None:
        load = self.load
        self.events.after(self.events.about(load.think / (load.factor * self.demand)), self._ask, client)

    def _ask(self, client: SimClient) -> None:
        if not self.is_up:
            self.tally.errors += 1
            self.events.after(0.5, self._ask, client)
            return
        now = self.events.now
        client.asked_at = now
        actions = self.core.acquire(client, now)
        if client.member is not None:
            self._serve(client)
        elif client.error is not None:
            self._failed(client)
        if actions:
            self._perform(actions)
        elif self.core.waiting_count:
            self._tick_in_time()

    def _serve(self, client: SimClient) -> None:
        now = self.events.now
        self.tally.waits.record(int((now - client.asked_at) * 1e6))
        seconds = self.load.service_time(self.events) * self.server.slowness
        self.busy += seconds
        self.events.after(seconds, self._served, (client, client.member))

    def _served(self, served: tuple[SimClient, Member]) -> None:
        client, member = served
        if member.state == CLOSED or client.member is not member:
            # its sidecar has crashed
            self.tally.errors += 1
            client.is_done, client.member = True, None
        else:
            self._perform(self.core.release(member, self.events.now))
        self._think(client)

    def _failed(self, client: SimClient) -> None:
        self.tally.errors += 1
        self._think(client)

    # What the pool asks for

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            kind, member = action.kind, action.member
            if kind == OPEN and isinstance(member, SimMember):
                self._open(member)
            elif kind == CLOSE and member is not None:
                self._closed(member)
            elif kind == WAKE and isinstance(action.ticket, SimClient):
                client = action.ticket
                if client.member is not None:
                    self._serve(client)
                else:
                    self._failed(client)
        if self.core.waiting_count:
            self._tick_in_time()

    def _open(self, member: SimMember) -> None:
        member.is_open = self.server.accepts()
        seconds = CONNECT * self.server.slowness * (0.5 + self.events.random.random())
        self.events.after(seconds, self._opened, member)

    def _opened(self, member: SimMember) -> None:
        if member.state == CLOSED:
            return
        now = self.events.now
        if member.is_open:
            self._perform(self.core.opened(member, now))
            return
        self._perform(self.core.open_failed(member, now, "1040", is_limit=True))
        self.refused(self)

    def _closed(self, member: Member) -> None:
        if isinstance(member, SimMember) and member.is_open:
            member.is_open = False
            self.server.pooled -= 1

    # Time

    def _tick(self, _: object) -> None:
        self._perform(self.core.tick(self.events.now))
        self.events.after(1.0, self._tick)

    def _tick_in_time(self) -> None:
        at = self.core.next_deadline(self.events.now)
        if at < self._tick_at:
            self._tick_at = at
            self.events.after(max(0.0, at - self.events.now), self._due)

    def _due(self, _: object) -> None:
        self._tick_at = NEVER
        self._perform(self.core.tick(self.events.now))


def _nobody(sidecar: Sidecar) -> None:
    del sidecar


def _new_member(key: Hashable, payload: object) -> Member:
    del key, payload
    return SimMember()
