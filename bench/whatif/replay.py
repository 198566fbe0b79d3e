"""Sessions of a recording on one pool that is of another size.

Each session asks again when its last lease is over and it has paused for as long as it did: who waits longer asks for less. How long leases last is
as recorded, whatever the size; a server that is slower with more connections would make them longer.

A sample stands for all: each session is played as often as the seconds that all leases took are more than those of the sample, its copies a little
earlier or later, so that they do not ask all at the same moment. Only a little: when the server or the machine stands still for a tenth of a second, all
sessions wait, and so do all copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from bench.fleet.events import Events
from bench.fleet.model import CONNECT
from bench.fleet.ticking import Ticking
from bench.histogram import Histogram
from bench.whatif.recorded import Lease, Pool, Recorded, Session
from proxy.pool import PoolCore
from proxy.pool_actions import CAPTURE, OPEN, WAKE, Action
from proxy.pool_states import NEVER, Member, Ticket
from proxy.reasons import CloseReason
from proxy.recording import DISCARDED, LEFT, PARKED

SHIFT: Final = 10.0
"""How much earlier or later at most: so many times as long as leases last on average, and MOST_SHIFT seconds."""
MOST_SHIFT: Final = 0.25
CAPTURING: Final = 0.0005
"""Seconds that it takes to read what a session has left on a backend."""
SAMPLE: Final = 0.1
"""Seconds between two looks at the number of connections."""


@dataclass(frozen=True)
class Traffic:
    """What all sessions asked of one pool."""

    pool: Pool
    seconds: float
    sessions: tuple[Session, ...]
    # how long leases lasted, for those who got none
    held: tuple[float, ...]

    @property
    def busy(self) -> float:
        """Backends that were leased at a time, on average."""
        return self.pool.busy / self.seconds


def traffic_of(recorded: Recorded, pool: Pool, seed: int) -> Traffic:
    """Of all sessions, whatever part of them the sample was."""
    sessions = recorded.sessions_of(pool)
    granted = [lease.held for session in sessions for lease in session if lease.is_granted]
    times = max(1.0, pool.busy / sum(granted)) if sum(granted) else 1.0
    random = Random(seed)
    shift = min(MOST_SHIFT, SHIFT * sum(granted) / len(granted)) if granted else 0.0
    played: list[Session] = []
    for session in sessions:
        played.append(session)
        copies = int(times - 1.0 + random.random() * (times > 1.0 + 1e-3))
        played += [_shifted(session, random.uniform(-shift, shift)) for _ in range(copies)]
    return Traffic(pool, recorded.seconds, tuple(played), tuple(granted) or (CONNECT,))


def _shifted(session: Session, seconds: float) -> Session:
    first = session[0]
    moved = Lease(max(0.0, first.gap + seconds), first.wait, first.held, first.key, first.outcome)
    return (moved, *session[1:])


@dataclass(frozen=True)
class Result:
    """What one setting leads to. Waits in microseconds; connections on average and at most."""

    size: int
    idle_timeout: float
    asked: int
    served: int
    timeouts: int
    wait_p50: int
    wait_p99: int
    wait_most: int
    connections: float
    peak: int
    opened: int


def replay(traffic: Traffic, size: int, idle_timeout: float | None = None, seed: int = 1) -> Result:
    """The recorded time once more, with this setting."""
    return _Replay(
        traffic, size, traffic.pool.idle_timeout if idle_timeout is None else idle_timeout, seed
    ).run()


class _Player(Ticket):
    """A session: its own place in the queue, and owner of what it has parked."""

    __slots__ = ("asked_at", "at", "mine", "session")

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.at = 0
        self.asked_at = 0.0
        self.mine: Member | None = None

    @property
    def lease(self) -> Lease:
        """The one that it asks for, or has."""
        return self.session[self.at]


class _Replay(Ticking):
    def __init__(self, traffic: Traffic, size: int, idle_timeout: float, seed: int) -> None:
        super().__init__(Events(seed))
        self.traffic = traffic
        pool = traffic.pool
        self.core = PoolCore(
            new_member=self._new_member,
            random=self.events.random.random,
            max_size=size,
            acquire_timeout=pool.acquire_timeout,
            idle_timeout=idle_timeout,
            max_age=pool.max_age,
            max_opening=pool.max_opening,
            connects_per_second=pool.connects_per_second,
        )
        self.waits = Histogram()
        self.asked = self.timeouts = self.opened = self.peak = 0
        self.connections: list[int] = []

    def run(self) -> Result:
        """What is asked within the time of the recording counts, also if it is answered later."""
        traffic, events = self.traffic, self.events
        self._warm(min(self.core.max_size, traffic.pool.open))
        for session in traffic.sessions:
            events.after(session[0].gap, self._ask, _Player(session))
        events.after(0.0, self._tick)
        events.after(0.0, self._look)
        events.run(traffic.seconds + traffic.pool.acquire_timeout)
        waits = self.waits
        return Result(
            size=self.core.max_size,
            idle_timeout=self.core.idle_timeout,
            asked=self.asked,
            served=waits.total,
            timeouts=self.timeouts,
            wait_p50=waits.percentile(50),
            wait_p99=waits.percentile(99),
            wait_most=waits.maximum,
            connections=sum(self.connections) / len(self.connections),
            peak=self.peak,
            opened=self.opened,
        )

    def _warm(self, count: int) -> None:
        """Connections that were open when the recording began, for the sessions that come first: opened before, one after the other."""
        first = sorted(self.traffic.sessions, key=_beginning)[:count]
        step = 1.0 / (self.traffic.pool.connects_per_second or 1000.0)
        tickets = [Ticket(session[0].key) for session in first]
        for number, ticket in enumerate(tickets):
            now = (number - len(tickets)) * step
            for action in self.core.acquire(ticket, now):
                if action.member is not None:
                    self.core.opened(action.member, now)
        for ticket in tickets:
            assert ticket.member is not None, "nothing hinders that it is opened"
            self.core.release(ticket.member, 0.0)
        self.peak = self.core.size

    # Sessions

    def _ask(self, player: _Player) -> None:
        now = self.events.now
        lease, mine, player.mine = player.lease, player.mine, None
        player.asked_at = now
        self.asked += now <= self.traffic.seconds
        if mine is not None and self.core.claim(player, mine, player, now):
            self._granted(player)
            return
        player.key = lease.key
        player.deadline = now + lease.wait if lease.outcome == LEFT else NEVER
        actions = self.core.acquire(player, now)
        if player.member is not None:
            self._granted(player)
        elif player.error is not None:
            self._refused(player)
        self._perform(actions)

    def _granted(self, player: _Player) -> None:
        lease = player.lease
        if player.asked_at <= self.traffic.seconds:
            self.waits.record(round((self.events.now - player.asked_at) * 1e6))
        held = lease.held if lease.is_granted else self.events.random.choice(self.traffic.held)
        self.events.after(held, self._ended, player)

    def _refused(self, player: _Player) -> None:
        self.timeouts += player.asked_at <= self.traffic.seconds and player.lease.outcome != LEFT
        self._go_on(player)

    def _ended(self, player: _Player) -> None:
        now, member, outcome = self.events.now, player.member, player.lease.outcome
        assert member is not None
        if outcome == DISCARDED:
            actions = self.core.discard(member, now, CloseReason.LOST)
        elif outcome == PARKED:
            player.mine = member
            actions = self.core.release(member, now, parked_by=player)
        else:
            actions = self.core.release(member, now)
        # a discarded lease is over, too
        player.is_done, player.member = True, None
        self._go_on(player)
        self._perform(actions)

    def _go_on(self, player: _Player) -> None:
        player.at += 1
        if player.at < len(player.session):
            self.events.after(player.lease.gap, self._ask, player)

    # What the pool asks for

    def _perform(self, actions: Sequence[Action]) -> None:
        super()._perform(actions)
        self.peak = max(self.peak, self.core.size)

    def _carry_out(self, action: Action) -> None:
        member, ticket = action.member, action.ticket
        if action.kind == OPEN:
            self.opened += 1
            self.events.after(self._opening_time(), self._opened, member)
        elif action.kind == CAPTURE:
            self.events.after(CAPTURING, self._captured, member)
        elif action.kind == WAKE and isinstance(ticket, _Player):
            if ticket.member is not None:
                self._granted(ticket)
            else:
                self._refused(ticket)

    def _opening_time(self) -> float:
        opens = self.traffic.pool.opens
        return self.events.random.choice(opens) if opens else CONNECT

    def _opened(self, member: Member) -> None:
        self._perform(self.core.opened(member, self.events.now))

    def _captured(self, member: Member) -> None:
        self._perform(self.core.captured(member, self.events.now))

    def _look(self, _: object) -> None:
        if self.events.now <= self.traffic.seconds:
            self.connections.append(self.core.size)
            self.events.after(SAMPLE, self._look)


def _beginning(session: Session) -> float:
    return session[0].gap
