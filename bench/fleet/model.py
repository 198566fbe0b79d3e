"""The server, the sidecars, and the clients of their applications.

A client thinks, asks, waits for a connection if there is none, is served, and thinks again. Times are exponential, but for what a network takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.fleet.events import NEVER, Events, Stream
from bench.fleet.ticking import Ticking
from bench.histogram import Histogram
from proxy.budget import HEADROOM
from proxy.pool import PoolCore
from proxy.pool_actions import CLOSE, OPEN, WAKE, Action
from proxy.pool_states import CLOSED, Member, Ticket

CONNECT: Final = 0.004
"""Seconds that TCP and the login take when the server is not slow."""
RETRY: Final = 0.5
"""Seconds after which a client asks again whose sidecar is not there."""
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
        # refused connections of the fleet
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

    def occupy(self, foreign: int) -> None:
        """Others have so many connections from now on, or what there is room for."""
        self.foreign = min(foreign, self.limit - self.pooled - self.monitors)
        self.peak = max(self.peak, self.connected)


class Load:
    """What clients do: seconds between an answer and the next question, and for which a connection is needed."""

    def __init__(self, think: float, service: tuple[tuple[float, float], ...]) -> None:
        self.think = think
        # parts of the questions, and how long they take
        self.service = service
        # how many times more often clients ask now, and how many times as long each question takes
        self.factor = 1.0
        self.weight = 1.0

    def service_time(self, events: Events) -> float:
        """Of one question."""
        number = events.random.random()
        for part, seconds in self.service:
            number -= part
            if number < 0.0:
                return events.about(seconds * self.weight)
        return events.about(self.service[-1][1] * self.weight)


class SimMember(Member):
    """A connection. `is_open`: the server counts it."""

    __slots__ = ("is_open",)

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False


class SimClient(Ticket):
    """One thread of an application, which is its own place in the queue."""

    __slots__ = ("asked_at", "served_by", "sidecar")

    def __init__(self, sidecar: Sidecar) -> None:
        super().__init__(KEY)
        self.sidecar = sidecar
        self.asked_at = 0.0
        # the connection that serves it
        self.served_by: Member | None = None


class Thinking(Stream):
    """All clients that think. Nobody has thought for so long that he is any nearer to his next question: so the next one to ask is anybody of them,
    and one time does for all, which comes the sooner the more they are."""

    def __init__(self, events: Events, load: Load) -> None:
        super().__init__()
        self._events = events
        self._load = load
        self._clients: list[SimClient] = []
        # questions per second, since when, and how many are to be asked on average before the next is
        self._rate = 0.0
        self._since = 0.0
        self._left = events.about(1.0)
        events.stream = self

    @property
    def count(self) -> int:
        """Clients that think."""
        return len(self._clients)

    def add(self, client: SimClient) -> None:
        """It has its answer."""
        self._clients.append(client)
        self.changed()

    def happen(self) -> None:
        """Somebody asks."""
        events, clients = self._events, self._clients
        at = int(events.random.random() * len(clients))
        client = clients[at]
        self._left = events.about(1.0)
        self._since = events.now
        if client.sidecar.demand == 1.0 or events.random.random() < client.sidecar.demand:
            clients[at] = clients[-1]
            clients.pop()
            client.sidecar.ask(client)
        self.changed()

    def changed(self) -> None:
        """Who thinks, or how long they think."""
        now = self._events.now
        self._left -= self._rate * (now - self._since)
        self._since = now
        self._rate = len(self._clients) * self._load.factor / self._load.think
        self.at = now + max(0.0, self._left) / self._rate if self._rate else NEVER


class Tally:
    """What became of questions."""

    def __init__(self) -> None:
        # of those that waited
        self.waits = Histogram()
        self.at_once = 0
        # microseconds of all of them
        self.waited = 0
        self.errors = 0

    @property
    def served(self) -> int:
        """Questions that got a connection."""
        return self.at_once + self.waits.total

    def record(self, seconds: float) -> None:
        """One has got its connection."""
        if seconds <= 0.0:
            self.at_once += 1
            return
        microseconds = int(seconds * 1e6)
        self.waited += microseconds
        self.waits.record(microseconds)

    def all_waits(self) -> Histogram:
        """Of those, too, that were served at once."""
        made = Histogram()
        made.add(self.waits)
        made.counts[0] += self.at_once
        made.total += self.at_once
        return made


class Simulation:
    """What all sidecars have in common: time, the server, what their clients want, and what becomes of that."""

    def __init__(self, seed: int, limit: int, think: float, service: tuple[tuple[float, float], ...]) -> None:
        self.events = Events(seed)
        self.server = SimServer(limit)
        self.load = Load(think, service)
        self.tally = Tally()
        self.thinking = Thinking(self.events, self.load)


Refused = Callable[["Sidecar"], None]


class Sidecar(Ticking):
    """One process with its pool and its clients. A crash forgets all of it, connections included."""

    member = SimMember

    def __init__(self, simulation: Simulation, clients: int, size: int) -> None:
        super().__init__(simulation.events)
        self.server = simulation.server
        self.load = simulation.load
        self.tally = simulation.tally
        self.thinking = simulation.thinking
        self.size = size
        # told of each refusal
        self.refused: Refused = _nobody
        self.is_up = True
        # connections of its own besides the pool's
        self.monitors = 0
        # the part of others' questions that its clients ask, above 0
        self.demand = 1.0
        # ends of leases less their beginnings
        self._leased = 0.0
        self.core = self._new_core()
        self.clients = [SimClient(self) for _ in range(clients)]
        for client in self.clients:
            self.thinking.add(client)
        self.events.after(self.events.random.random(), self._tick)

    def _new_core(self) -> PoolCore:
        return PoolCore(new_member=self._new_member, random=self.events.random.random, max_size=self.size)

    @property
    def waiting(self) -> int:
        """Clients that have asked and are not served."""
        return self.core.waiting_count

    @property
    def leased_seconds(self) -> float:
        """For which connections have served its clients, all together."""
        return self._leased + self.core.leased_count * self.events.now

    def watch(self) -> None:
        """Have a monitor, with a connection of its own."""
        self.monitors = 1
        self.server.monitors += 1

    def resize(self, bound: int) -> None:
        """Another bound from now on."""
        self._perform(self.core.resize(max(1, bound), self.events.now))

    def stop(self) -> None:
        """It crashes, or is replaced: its connections end, and clients get errors."""
        self.is_up = False
        self.server.monitors -= self.monitors
        self._leased += self.core.leased_count * self.events.now
        for member in self.core.members():
            self._closed(member)
        core, self.core = self.core, self._new_core()
        for action in core.close(self.events.now):
            if action.kind == WAKE and isinstance(action.ticket, SimClient):
                self._failed(action.ticket)

    def start(self) -> None:
        """It is there again."""
        self.is_up = True
        self.server.monitors += self.monitors

    # Clients

    def ask(self, client: SimClient) -> None:
        """A client has a question."""
        if not self.is_up:
            self.tally.errors += 1
            self.events.after(RETRY, self.ask, client)
            return
        now = self.events.now
        client.asked_at = now
        actions = self.core.acquire(client, now)
        if client.member is not None:
            self._serve(client)
        elif client.error is not None and client.is_done:
            self._failed(client)
        if actions:
            self._perform(actions)
        elif self.core.waiting_count:
            self._tick_in_time()

    def _serve(self, client: SimClient) -> None:
        now = self.events.now
        self.tally.record(now - client.asked_at)
        client.served_by = client.member
        self._leased -= now
        self.events.after(self.load.service_time(self.events) * self.server.slowness, self._served, client)

    def _served(self, client: SimClient) -> None:
        member = client.served_by
        client.served_by = None
        if member is None or member.state == CLOSED or client.member is not member:
            # its sidecar has crashed
            self._failed(client)
            return
        self._leased += self.events.now
        self._perform(self.core.release(member, self.events.now))
        self.thinking.add(client)

    def _failed(self, client: SimClient) -> None:
        self.tally.errors += 1
        client.error = None
        self.thinking.add(client)

    # What the pool asks for

    def _carry_out(self, action: Action) -> None:
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

    def _open(self, member: SimMember) -> None:
        member.is_open = self.server.accepts()
        self.events.after(connect_time(self.events, self.server), self._opened, member)

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


def connect_time(events: Events, server: SimServer) -> float:
    """Until a connection is there, or refused."""
    return CONNECT * server.slowness * (0.5 + events.random.random())


def _nobody(sidecar: Sidecar) -> None:
    del sidecar
