"""The pool core: who gets which backend of one endpoint, and when backends are opened, reset, captured and closed.

`PoolCore` decides and the shell acts: every call takes `now` (seconds, any monotonic clock) and returns actions
(`proxy.pool_actions`) that the shell must carry out in their order. It never blocks, reads no clock and does no I/O; the core
is consistent whenever a call returns, so the shell may call it again while it works through the list.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Final

from proxy.pool_actions import (
    RESET,
    AcquireTimeout,
    Action,
    OpenFailed,
    PoolClosed,
    PoolDraining,
    PoolSnapshot,
    capture_member,
    close_member,
    open_member,
    wake_ticket,
)
from proxy.pool_states import (
    CLOSED,
    IDLE,
    LEASED,
    NEVER,
    OPENING,
    PARKED,
    RESETTING,
    STATE_NAMES,
    KeyPool,
    Member,
    MemberList,
    PoolStateError,
    Queue,
    Ticket,
)
from proxy.reasons import CloseReason

__all__ = ["NO_ACTIONS", "Member", "PoolCore", "PoolStateError", "Ticket"]

# Theory
# ======
# One core has the backends (members) of one endpoint. `max_size` bounds all of them together; each has a key, and the
# members of one key are interchangeable: they are a KeyPool with its own queue. Keys exist while a member or a waiter has them.
#
# Members. A state is the list a member is in, `_move` is the one function that changes it, and these are all the ways:
#
#     (new) ----> OPENING     settle or tick: somebody waits, or min_idle
#     OPENING --> IDLE        opened
#             --> LEASED      opened, for the ticket that wanted a fresh member
#     IDLE -----> LEASED      acquire, or settle for a waiter
#     LEASED ---> IDLE        release, cancel
#             --> PARKED      release with parked_by: the residue of that owner is on it
#             --> RESETTING   release with needs_reset (Reset), or with parked_by while somebody waits (Capture)
#     PARKED ---> LEASED      claim: its owner takes it back, nothing was sent
#             --> IDLE        unpark: nobody will ask for the residue
#             --> RESETTING   steal (Capture), unpark with needs_reset (Reset)
#     RESETTING > IDLE        was_reset, captured
#     any ------> CLOSED      open_failed, discard, lost; or decided here: too old, idle for too long, evicted, drained
#
# Tickets. Done -> waiting (in exactly one queue) -> granted -> done, or waiting -> done with an error. A grant happens inside
# the core, so that cancelling gives it back: there is no moment at which a member belongs to nobody. A ticket that was granted
# or refused while it waited is woken, once; what is decided inside `acquire` is not.
#
# The pool: OPEN <-> PAUSED; both -> DRAINING; all -> CLOSED. Paused, everything goes on but nothing is granted, opened or
# captured. Draining, a member is leased or closed.
#
# Settle. Whatever a call did, it ends in `_settle` when somebody waits. In this order:
#   1. Idle members go to the waiters of their key, newest member to oldest waiter.
#   2. Queues that are short (more waiters than members coming for them) get another member, the queue with the oldest first
#      waiter first, while something may be opened:
#      a. below the bound: open one;
#      b. own key parked: capture the one parked longest (one round trip, where d. costs a connection);
#      c. idle, of any key: close the one idle longest and open in its place;
#      d. parked, of any key: capture the one parked longest; once it is idle, c. applies.
#   3. What may not be opened now (back-off, max_opening) can still be captured: b. for every short queue.
#
# What wins on conflict:
#   - Among waiters of one key: the order of arrival, always. Only a ticket that wants a fresh member is served apart, from a
#     queue of its own, by an opening that no one else can take (unless the ticket leaves: then it is anybody's of that key).
#   - Among keys: a released member goes to its own key's oldest waiter, unless another queue's has been waiting for longer by
#     more than switch_delay: then the member is closed for it. Strictly first come, first served (switch_delay 0) would close and
#     open a connection at nearly every release when two keys queue; no order at all would starve the one without members.
#   - Waiters before idleness, residue and age: a parked member is captured as soon as its absence would make somebody wait.
#   - Residue before age and bound: a parked member is captured before it is closed. Only drain and close drop residue.
#   - The newest idle member is leased first, so that the oldest become superfluous and time out.
#   - A report about a member that the core has closed is ignored: it crossed the Close. Any other report that does not fit the
#     state raises PoolStateError and changes nothing.
#
# Failure to open. A refused credential refuses the waiters who have that very credential, at once; the endpoint did answer, so it
# is no failure of the endpoint. Other failures start a back-off (exponential, full jitter) in which nothing is opened, and
# then one attempt per interval until one succeeds. Waiters wait on; what is leased may be released to them. When that has
# gone on for acquire_timeout, new tickets are refused while an attempt is under way or not yet due, if no living member of
# their key could be released to them; the first ticket after the interval is let in: it is the next attempt.
#
# Keep in sync: `_LEGAL` with the table above; `Queue.coming` with `Member.serves` (only `_serve` and `_move` change them);
# KeyPool.counts and .size with the lists (`_move`, `_open`, `_rekey`).

# legal transitions: a bit per new state, by old state
_LEGAL: Final = (
    1 << IDLE | 1 << LEASED | 1 << CLOSED,  # OPENING
    1 << LEASED | 1 << CLOSED,  # IDLE
    1 << LEASED | 1 << IDLE | 1 << RESETTING | 1 << CLOSED,  # PARKED
    1 << IDLE | 1 << PARKED | 1 << RESETTING | 1 << CLOSED,  # LEASED
    1 << IDLE | 1 << CLOSED,  # RESETTING
    0,  # CLOSED
)

# states of the pool; from DRAINING on it takes nothing new
POOL_OPEN: Final = 0
POOL_PAUSED: Final = 1
POOL_DRAINING: Final = 2
POOL_CLOSED: Final = 3

POOL_STATE_NAMES: Final = ("open", "paused", "draining", "closed")

NO_ACTIONS: Final[list[Action]] = []
"""What a call returns that has nothing to do: always this one list, so that it costs nothing. Never change it."""


class PoolCore:
    """The backends of one endpoint. Times in seconds; infinity switches a timeout off."""

    __slots__ = (
        "_actions",
        "_deadlines",
        "_delay",
        "_error",
        "_failing_since",
        "_fresh",
        "_lists",
        "_new_member",
        "_order",
        "_pools",
        "_queues",
        "_random",
        "_retry_at",
        "_settled_at",
        "_size",
        "_state",
        "_waiting",
        "acquire_timeout",
        "age_jitter",
        "backoff_base",
        "backoff_cap",
        "idle_timeout",
        "max_age",
        "max_opening",
        "max_size",
        "min_idle",
        "switch_delay",
    )

    def __init__(
        self,
        *,
        new_member: Callable[[Hashable, object], Member],
        random: Callable[[], float],
        max_size: int,
        min_idle: int = 0,
        acquire_timeout: float = 5.0,
        idle_timeout: float = 60.0,
        max_age: float = 3600.0,
        age_jitter: float = 0.2,
        max_opening: int = 8,
        backoff_base: float = 0.05,
        backoff_cap: float = 1.0,
        switch_delay: float = 0.02,
    ) -> None:
        """`new_member(key, payload)` makes the object for a connection about to be opened; `random` gives [0, 1)."""
        if max_size < 1 or max_opening < 1:
            raise ValueError("expected max_size and max_opening of at least 1")
        # members of all keys and states
        self.max_size: int = max_size
        # idle members kept for each key that has been used within max_age
        self.min_idle: int = min_idle
        # longest wait of a ticket
        self.acquire_timeout: float = acquire_timeout
        # idle for so long: closed; parked for so long: captured
        self.idle_timeout: float = idle_timeout
        # a member of this age, shortened by a random share of up to age_jitter, is closed when it is free
        self.max_age: float = max_age
        self.age_jitter: float = age_jitter
        # openings at a time
        self.max_opening: int = max_opening
        # back-off after a failed opening: at most base, doubled at each failure up to cap
        self.backoff_base: float = backoff_base
        self.backoff_cap: float = backoff_cap
        # how much longer another key's waiter has to have waited before a member is closed for it: about what an opening costs
        self.switch_delay: float = switch_delay

        self._new_member: Callable[[Hashable, object], Member] = new_member
        self._random: Callable[[], float] = random
        self._state: int = POOL_OPEN
        # decided in the present call and not yet returned
        self._actions: list[Action] = []

        # Members: one list for each state but CLOSED, and how many in all
        self._lists: list[MemberList] = [MemberList(), MemberList(), MemberList(), MemberList(), MemberList()]
        self._size: int = 0
        # the keys that have members, waiters, or min_idle to keep
        self._pools: dict[Hashable, KeyPool] = {}

        # Tickets: those that want a fresh member, whatever their key
        self._fresh: Queue = Queue()
        # the queues in which somebody waits (a set that keeps its order)
        self._queues: dict[Queue, None] = {}
        self._waiting: int = 0
        # a heap of (deadline, order, ticket); an entry is void when the ticket no longer waits with that order
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self._order: int = 0
        # when `_settle` last ran
        self._settled_at: float = -NEVER

        # Failure to open: the upper limit of the present back-off (0: the last opening succeeded), its end, the last error
        self._delay: float = 0.0
        self._retry_at: float = -NEVER
        self._error: object = None
        # since when nothing could be opened, NEVER when the endpoint answers
        self._failing_since: float = NEVER

    # Tickets

    def acquire(self, ticket: Ticket, now: float) -> list[Action]:
        """Ask for a member. Afterwards either `ticket.member` is set (granted), or `ticket.error` (refused), or it waits and a
        Wake will follow."""
        if not ticket.is_done:
            raise PoolStateError("acquire with a ticket that waits or holds a lease")
        if self._state == POOL_OPEN and not ticket.wants_fresh and ticket.parked is None:
            pool = self._pools.get(ticket.key)
            if pool is not None:
                member = pool.top
                if member is not None:
                    ticket.error = None
                    self._lease(member, ticket, now)
                    return NO_ACTIONS
        return self._acquire_later(ticket, now)

    def claim(self, owner: object, member: Member, ticket: Ticket, now: float) -> bool:
        """Lease to `ticket` the member that `owner` parked, with its residue as it was left.

        False when it is no longer parked for that owner (captured, being captured, closed), and while the pool is paused: then
        `acquire` with the same ticket, which prefers that member if it is still parked when the pool resumes.
        """
        if not ticket.is_done:
            raise PoolStateError("claim with a ticket that waits or holds a lease")
        if member.state != PARKED or member.claim is not owner:
            return False
        if self._state == POOL_PAUSED:
            ticket.parked = member
            ticket.owner = owner
            return False
        ticket.error = None
        self._lease(member, ticket, now)
        return True

    def cancel(self, ticket: Ticket, now: float) -> list[Action]:
        """The ticket is not wanted any more: it leaves the queue, or gives back a grant of which no use was made (residue that
        was claimed with it is parked again). Nothing if it is done."""
        if ticket.is_done:
            return NO_ACTIONS
        member = ticket.member
        if member is not None:
            return self.release(member, now, parked_by=member.claim)
        self._leave(ticket)
        return NO_ACTIONS

    # Reports about members

    def opened(self, member: Member, now: float) -> list[Action]:
        """The login succeeded."""
        if member.state == CLOSED:
            return NO_ACTIONS
        self._expect(member, OPENING)
        self._answered()
        member.opened_at = now
        member.expires_at = now + self.max_age * (1.0 - self.age_jitter * self._random())
        pool = member.pool
        pool.is_proven = True
        pool.payload = member.payload
        pool.credential = member.credential
        member.payload = member.credential = None
        ticket = member.ticket
        if ticket is None:
            self._rest(member, now)
            return self._settled(now)
        ticket.opening = None
        member.ticket = None
        if self._state == POOL_PAUSED:
            self._rest(member, now)
        else:
            self._grant(member, ticket, now)
        return self._settled(now)

    def open_failed(
        self,
        member: Member,
        now: float,
        error: object,
        *,
        is_credential: bool = False,
        is_limit: bool = False,
    ) -> list[Action]:
        """Connecting or the login failed; there is no Close. `is_credential`: the server refused this credential, another may
        be right. `is_limit`: the server takes no more connections (1040, 1203, 1226)."""
        if member.state == CLOSED:
            return NO_ACTIONS
        self._expect(member, OPENING)
        pool = member.pool
        credential = member.credential
        self._drop(member)
        if is_credential:
            self._answered()
            self._refuse_credential(pool, credential, OpenFailed(error))
        else:
            self._back_off(now, error, is_limit)
        return self._settled(now)

    def release(
        self,
        member: Member,
        now: float,
        key: Hashable = None,
        parked_by: object = None,
        needs_reset: bool = False,
    ) -> list[Action]:
        """End a lease. `key`: what the session has made of the member's key. `parked_by`: residue of this owner is on it, who
        may `claim` it; if it is needed now, the answer is a Capture. `needs_reset`: nobody may have it before a Reset."""
        if member.state == CLOSED:
            return NO_ACTIONS
        self._expect(member, LEASED)
        if needs_reset and parked_by is not None:
            raise PoolStateError("release with needs_reset would destroy the residue of parked_by")
        ticket = member.ticket
        if ticket is not None:
            member.ticket = None
            ticket.member = None
            ticket.is_done = True
        member.claim = parked_by
        if key is not None and key is not member.key and key != member.key:
            self._rekey(member, key, now)
        if self._state >= POOL_DRAINING:
            self._close(member, CloseReason.DRAINED)
        elif parked_by is not None:
            self._park(member, now)
        elif needs_reset and now < member.expires_at:
            self._reset(member)
        else:
            self._rest(member, now)
        if self._waiting:
            return self._settled(now)
        return self._taken() if self._actions else NO_ACTIONS

    def unpark(
        self, member: Member, now: float, *, needs_reset: bool = False, owner: object = None
    ) -> list[Action]:
        """Nobody will ask for the residue: anybody may have the member. Nothing if it is not parked, or if `owner` is given and
        it is parked by another."""
        if member.state != PARKED or (owner is not None and member.claim is not owner):
            return NO_ACTIONS
        member.claim = None
        if needs_reset:
            self._reset(member)
        else:
            self._rest(member, now)
        return self._settled(now)

    def was_reset(self, member: Member, now: float) -> list[Action]:
        """A Reset is done."""
        return self._refreshed(member, now)

    def captured(self, member: Member, now: float) -> list[Action]:
        """A Capture is done: the residue is saved, and none is left on the member."""
        return self._refreshed(member, now)

    def discard(self, member: Member, now: float, reason: CloseReason) -> list[Action]:
        """Give a member back by closing it, from any state; a lease on it ends. While OPENING this counts as a failure to open."""
        if member.state == CLOSED:
            return NO_ACTIONS
        is_opening = member.state == OPENING
        self._close(member, reason)
        if is_opening:
            self._back_off(now, reason, False)
        return self._settled(now)

    def lost(self, member: Member, now: float, reason: CloseReason) -> list[Action]:
        """The connection has ended by itself. As `discard`, Close included: that is where closes are counted."""
        return self.discard(member, now, reason)

    # Time

    def tick(self, now: float) -> list[Action]:
        """Let time pass: expire tickets, close and capture what has been free for too long, keep min_idle, open what back-off
        held up. To be called at every `next_deadline`, and about once a second besides."""
        self._expire(now)
        self._retire(now)
        if self._waiting:
            self._settle(now)
        if self._state == POOL_OPEN:
            self._capture_old(now)
            if self.min_idle:
                self._top_up(now)
        return self._taken()

    def next_deadline(self) -> float:
        """When somebody who waits needs the next `tick`; infinity when nobody does. What is idle needs only the coarse tick."""
        deadlines = self._deadlines
        while deadlines and not self._is_due(deadlines[0]):
            heappop(deadlines)
        at = deadlines[0][0] if deadlines else NEVER
        if self._waiting and self._state == POOL_OPEN and self._settled_at < self._retry_at < at:
            return self._retry_at
        return at

    # The pool's own states

    def pause(self, now: float) -> list[Action]:
        """Grant, open and capture nothing until `resume`; tickets queue up to their deadlines."""
        if self._state == POOL_OPEN:
            self._state = POOL_PAUSED
        return NO_ACTIONS

    def resume(self, now: float) -> list[Action]:
        """Go on after `pause`."""
        if self._state != POOL_PAUSED:
            return NO_ACTIONS
        self._state = POOL_OPEN
        for queue in list(self._queues):
            for ticket in queue.tickets():
                member = self._claimed(ticket)
                if member is not None:
                    self._grant(member, ticket, now)
        return self._settled(now)

    def drain(self, now: float) -> list[Action]:
        """Refuse all who wait or come, close what is not leased now and the rest at its release."""
        if self._state < POOL_DRAINING:
            self._state = POOL_DRAINING
            self._refuse_all(PoolDraining())
            for state in (OPENING, IDLE, PARKED, RESETTING):
                for member in self._lists[state].members():
                    self._close(member, CloseReason.DRAINED)
        return self._taken()

    def close(self, now: float) -> list[Action]:
        """Close everything, leased or not; leases end."""
        self._state = POOL_CLOSED
        self._refuse_all(PoolClosed())
        for members in self._lists:
            for member in members.members():
                self._close(member, CloseReason.SHUTDOWN)
        return self._taken()

    # Questions

    @property
    def state(self) -> str:
        """ "open", "paused", "draining" or "closed"."""
        return POOL_STATE_NAMES[self._state]

    @property
    def size(self) -> int:
        """Members in all states; 0 when a drain is complete."""
        return self._size

    @property
    def opening_count(self) -> int:
        return self._lists[OPENING].count

    @property
    def idle_count(self) -> int:
        return self._lists[IDLE].count

    @property
    def parked_count(self) -> int:
        return self._lists[PARKED].count

    @property
    def leased_count(self) -> int:
        return self._lists[LEASED].count

    @property
    def resetting_count(self) -> int:
        return self._lists[RESETTING].count

    @property
    def waiting_count(self) -> int:
        return self._waiting

    def leased_members(self) -> list[Member]:
        """A copy, the oldest lease first."""
        return self._lists[LEASED].members()

    def members(self) -> list[Member]:
        """A copy, by state."""
        found: list[Member] = []
        for members in self._lists:
            found += members.members()
        return found

    def oldest_waiter(self) -> Ticket | None:
        """Who has been waiting for longest."""
        oldest: Ticket | None = None
        for queue in self._queues:
            first = queue.first
            if first is not None and (oldest is None or first.order < oldest.order):
                oldest = first
        return oldest

    def snapshot(self) -> PoolSnapshot:
        """The counts of this moment."""
        return PoolSnapshot(
            self.state,
            self.max_size,
            self.opening_count,
            self.idle_count,
            self.parked_count,
            self.leased_count,
            self.resetting_count,
            self._waiting,
            self._lists[LEASED].oldest,
            self._error,
        )

    def __repr__(self) -> str:
        return f"<PoolCore {self.snapshot()!r}>"

    # The mutator

    def _move(self, member: Member, state: int) -> None:
        """Change a member's state: the only place that does."""
        old = member.state
        if not (_LEGAL[old] >> state) & 1:
            raise PoolStateError(f"a member cannot go from {STATE_NAMES[old]} to {STATE_NAMES[state]}")
        pool = member.pool
        self._lists[old].remove(member)
        pool.counts[old] -= 1
        if old == IDLE:
            pool.pull(member)
        serves = member.serves
        if serves is not None:
            serves.coming -= 1
            member.serves = None
        member.state = state
        if state == CLOSED:
            self._size -= 1
            pool.size -= 1
            return
        self._lists[state].append(member)
        pool.counts[state] += 1
        if state == IDLE:
            pool.push(member)

    def _serve(self, member: Member, queue: Queue) -> None:
        """Count a member that is on its way for the waiters of a queue."""
        member.serves = queue
        queue.coming += 1

    def _rekey(self, member: Member, key: Hashable, now: float) -> None:
        old = member.pool
        new = self._pool_of(key, now)
        old.size -= 1
        old.counts[member.state] -= 1
        new.size += 1
        new.counts[member.state] += 1
        member.key = key
        member.pool = new
        self._prune(old)

    def _pool_of(self, key: Hashable, now: float) -> KeyPool:
        pool = self._pools.get(key)
        if pool is None:
            pool = KeyPool(key, now)
            self._pools[key] = pool
        return pool

    def _prune(self, pool: KeyPool) -> None:
        """Forget a key of which nothing is left."""
        if pool.size == 0 and pool.count == 0 and not (self.min_idle and pool.is_proven):
            self._pools.pop(pool.key, None)

    # Steps of a member

    def _open(
        self,
        queue: Queue,
        key: Hashable,
        payload: object,
        credential: object,
        replaces: Member | None,
        now: float,
    ) -> Member:
        member = self._new_member(key, payload)
        pool = self._pool_of(key, now)
        member.key = key
        member.pool = pool
        member.payload = payload
        member.credential = credential
        member.opened_at = now
        pool.size += 1
        pool.counts[OPENING] += 1
        self._size += 1
        self._lists[OPENING].append(member)
        self._serve(member, queue)
        self._actions.append(open_member(member, payload, replaces))
        return member

    def _lease(self, member: Member, ticket: Ticket, now: float) -> None:
        self._move(member, LEASED)
        member.leased_since = now
        member.ticket = ticket
        member.pool.used_at = now
        ticket.member = member
        ticket.is_done = False

    def _rest(self, member: Member, now: float) -> None:
        """A member that is free of residue becomes idle, if it may live on."""
        if now >= member.expires_at:
            self._close(member, CloseReason.MAX_AGE)
        else:
            member.idle_since = now
            self._move(member, IDLE)

    def _park(self, member: Member, now: float) -> None:
        """A member with residue is parked, or captured at once if it is needed or too old."""
        queue = self._claimant(member, now)
        if queue is not None:
            self._capture(member, queue)
        else:
            member.idle_since = now
            self._move(member, PARKED)

    def _claimant(self, member: Member, now: float) -> Queue | None:
        """The queue for which a member with residue is to be captured now."""
        if self._state != POOL_OPEN:
            return None
        pool = member.pool
        if now >= member.expires_at or pool.count > pool.counts[RESETTING]:
            return pool
        if self._waiting and self._size >= self.max_size and self._may_open(now):
            return self._neediest()
        return None

    def _capture(self, member: Member, queue: Queue) -> None:
        self._move(member, RESETTING)
        self._serve(member, queue)
        self._actions.append(capture_member(member))

    def _reset(self, member: Member) -> None:
        self._move(member, RESETTING)
        self._serve(member, member.pool)
        self._actions.append(Action(RESET, member))

    def _refreshed(self, member: Member, now: float) -> list[Action]:
        if member.state == CLOSED:
            return NO_ACTIONS
        self._expect(member, RESETTING)
        member.claim = None
        self._rest(member, now)
        return self._settled(now)

    def _close(self, member: Member, reason: CloseReason) -> None:
        self._drop(member)
        self._actions.append(close_member(member, reason))

    def _drop(self, member: Member) -> None:
        """Out of all lists, and away from its ticket."""
        ticket = member.ticket
        if ticket is not None:
            member.ticket = None
            if member.state == OPENING:
                ticket.opening = None
            else:
                ticket.member = None
                ticket.is_done = True
        self._move(member, CLOSED)
        self._prune(member.pool)

    def _expect(self, member: Member, state: int) -> None:
        if member.state != state:
            raise PoolStateError(f"expected a member that is {STATE_NAMES[state]}, got {member!r}")

    # Steps of a ticket

    def _acquire_later(self, ticket: Ticket, now: float) -> list[Action]:
        ticket.error = self._refusal(ticket, now)
        if ticket.error is not None:
            return NO_ACTIONS
        if self._state == POOL_OPEN:
            member = self._claimed(ticket)
            if member is not None:
                self._lease(member, ticket, now)
                return NO_ACTIONS
        self._enqueue(ticket, now)
        return self._settled(now)

    def _refusal(self, ticket: Ticket, now: float) -> object:
        """The error of a ticket that may not even wait."""
        if self._state == POOL_DRAINING:
            return PoolDraining()
        if self._state == POOL_CLOSED:
            return PoolClosed()
        if self._state == POOL_PAUSED or now - self._failing_since <= self.acquire_timeout:
            return None
        if now >= self._retry_at and not self._lists[OPENING].count:
            return None
        pool = self._pools.get(ticket.key)
        if pool is not None and not ticket.wants_fresh and pool.size > pool.counts[OPENING]:
            return None
        return OpenFailed(self._error)

    def _claimed(self, ticket: Ticket) -> Member | None:
        """The member that was claimed with this ticket during a pause, if it is still parked."""
        member = ticket.parked
        if member is None:
            return None
        owner = ticket.owner
        ticket.parked = ticket.owner = None
        return member if member.state == PARKED and member.claim is owner else None

    def _enqueue(self, ticket: Ticket, now: float) -> None:
        self._order += 1
        ticket.order = self._order
        ticket.enqueued_at = now
        ticket.is_done = False
        queue = self._fresh if ticket.wants_fresh else self._pool_of(ticket.key, now)
        queue.append(ticket)
        self._queues[queue] = None
        self._waiting += 1
        deadlines = self._deadlines
        heappush(deadlines, (min(ticket.deadline, now + self.acquire_timeout), ticket.order, ticket))
        # void entries go when they are most of the heap: waiting costs no more for it on average
        if len(deadlines) > 2 * self._waiting + 64:
            self._deadlines = [entry for entry in deadlines if self._is_due(entry)]
            heapify(self._deadlines)

    def _is_due(self, entry: tuple[float, int, Ticket]) -> bool:
        ticket = entry[2]
        return ticket.queue is not None and ticket.order == entry[1]

    def _leave(self, ticket: Ticket) -> None:
        """Out of the queue."""
        queue = ticket.queue
        assert queue is not None
        queue.remove(ticket)
        ticket.is_done = True
        ticket.parked = ticket.owner = None
        self._waiting -= 1
        if queue.count == 0:
            del self._queues[queue]
        member = ticket.opening
        if member is not None:
            # opened for this ticket alone; now for whoever waits with its key
            ticket.opening = None
            member.ticket = None
            queue.coming -= 1
            self._serve(member, member.pool)
        if isinstance(queue, KeyPool):
            self._prune(queue)

    def _grant(self, member: Member, ticket: Ticket, now: float) -> None:
        self._leave(ticket)
        self._lease(member, ticket, now)
        self._actions.append(wake_ticket(ticket))

    def _refuse(self, ticket: Ticket, error: object) -> None:
        self._leave(ticket)
        ticket.error = error
        self._actions.append(wake_ticket(ticket))

    def _refuse_all(self, error: object) -> None:
        for queue in list(self._queues):
            for ticket in queue.tickets():
                self._refuse(ticket, error)

    def _refuse_credential(self, pool: KeyPool, credential: object, error: OpenFailed) -> None:
        if pool.credential is credential:
            pool.is_proven = False
            pool.payload = pool.credential = None
        for ticket in pool.tickets():
            if ticket.credential is credential:
                self._refuse(ticket, error)
        for ticket in self._fresh.tickets():
            if ticket.credential is credential and ticket.key == pool.key:
                self._refuse(ticket, error)
        self._prune(pool)

    # Settling

    def _settled(self, now: float) -> list[Action]:
        """How every call ends."""
        if self._waiting:
            self._settle(now)
        return self._taken()

    def _taken(self) -> list[Action]:
        if not self._actions:
            return NO_ACTIONS
        actions = self._actions
        self._actions = []
        return actions

    def _settle(self, now: float) -> None:
        """See the numbers in the theory above."""
        self._settled_at = now
        if self._state != POOL_OPEN:
            return
        for queue in list(self._queues):
            if isinstance(queue, KeyPool) and queue.top is not None:
                self._grant_idle(queue, now)
        while self._may_open(now):
            needy = self._neediest()
            if needy is None or not self._add_member(needy, now):
                break
        if self._lists[PARKED].count:
            for queue in self._queues:
                while isinstance(queue, KeyPool) and queue.count > queue.coming and queue.counts[PARKED]:
                    self._capture_own(queue)

    def _grant_idle(self, pool: KeyPool, now: float) -> None:
        while True:
            member = pool.top
            ticket = pool.first
            if member is None or ticket is None:
                return
            needy = self._neediest() if len(self._queues) > 1 and self._size >= self.max_size else None
            if needy is not None and self._goes_first(needy, ticket) and self._may_open(now):
                self._add_member(needy, now)
            else:
                self._grant(member, ticket, now)

    def _goes_first(self, needy: Queue, ticket: Ticket) -> bool:
        """Whether that queue's oldest waiter is so much older that a member of this ticket's key is closed for it."""
        first = needy.first
        return first is not None and first.enqueued_at + self.switch_delay < ticket.enqueued_at

    def _neediest(self) -> Queue | None:
        """Of the queues that have more waiters than members coming, the one whose first waiter is the oldest."""
        neediest: Queue | None = None
        order = 0
        for queue in self._queues:
            first = queue.first
            if queue.count > queue.coming and first is not None and (neediest is None or first.order < order):
                neediest = queue
                order = first.order
        return neediest

    def _may_open(self, now: float) -> bool:
        """While openings fail there is one at a time."""
        limit = 1 if self._delay else self.max_opening
        return self._state == POOL_OPEN and self._lists[OPENING].count < limit and now >= self._retry_at

    def _add_member(self, queue: Queue, now: float) -> bool:
        """Get another member for a queue that is short; False if there is no way at present."""
        replaces: Member | None = None
        if self._size >= self.max_size:
            if isinstance(queue, KeyPool) and queue.counts[PARKED]:
                self._capture_own(queue)
                return True
            replaces = self._lists[IDLE].oldest
            if replaces is None:
                parked = self._lists[PARKED].oldest
                if parked is None:
                    return False
                self._capture(parked, queue)
                return True
            self._close(replaces, CloseReason.EVICTED)
        ticket = self._uncovered(queue)
        member = self._open(queue, ticket.key, ticket.payload, ticket.credential, replaces, now)
        if ticket.wants_fresh:
            member.ticket = ticket
            ticket.opening = member
        return True

    def _uncovered(self, queue: Queue) -> Ticket:
        """The first waiter of a short queue for whom no member is coming: the next one is opened with its payload."""
        ticket = queue.first
        assert ticket is not None
        if queue is self._fresh:
            while ticket.opening is not None:
                ticket = ticket.behind
                assert ticket is not None
            return ticket
        for _ in range(queue.coming):
            ticket = ticket.behind
            assert ticket is not None
        return ticket

    def _capture_own(self, pool: KeyPool) -> None:
        """Capture the member of this key that has been parked for longest (there is one)."""
        member = self._lists[PARKED].oldest
        while member is not None and member.pool is not pool:
            member = member.newer
        assert member is not None
        self._capture(member, pool)

    # Openings that fail

    def _answered(self) -> None:
        """The endpoint works."""
        self._delay = 0.0
        self._retry_at = -NEVER
        self._error = None
        self._failing_since = NEVER

    def _back_off(self, now: float, error: object, is_limit: bool) -> None:
        self._error = error
        if is_limit and self._size > self._lists[OPENING].count:
            # it is full, partly with ours: those that live are what the waiters wait for
            self._failing_since = NEVER
        elif self._failing_since == NEVER:
            self._failing_since = now
        # attempts that began before the first failure fail with it: they do not prolong the back-off
        if self._delay == 0.0 or now >= self._retry_at:
            self._delay = min(self.backoff_cap, self._delay * 2.0 or self.backoff_base)
            self._retry_at = now + self._delay * self._random()

    # What the tick does

    def _expire(self, now: float) -> None:
        snapshot: PoolSnapshot | None = None
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            entry = heappop(deadlines)
            if self._is_due(entry):
                if snapshot is None:
                    snapshot = self.snapshot()
                ticket = entry[2]
                self._refuse(ticket, AcquireTimeout(now - ticket.enqueued_at, snapshot))

    def _retire(self, now: float) -> None:
        """Close idle members that are too old, and those at the cold end that nobody needed."""
        member = self._lists[IDLE].oldest
        while member is not None:
            newer = member.newer
            pool = member.pool
            if now >= member.expires_at:
                self._close(member, CloseReason.MAX_AGE)
            elif now - member.idle_since >= self.idle_timeout:
                kept = self.min_idle if pool.is_proven else 0
                if pool.counts[IDLE] > kept:
                    self._close(member, CloseReason.IDLE_TIMEOUT)
            member = newer

    def _capture_old(self, now: float) -> None:
        """Residue does not keep a member alive: what was parked for long is captured and then as idle as any other."""
        member = self._lists[PARKED].oldest
        while member is not None:
            newer = member.newer
            if now >= member.expires_at or now - member.idle_since >= self.idle_timeout:
                self._capture(member, member.pool)
            member = newer

    def _top_up(self, now: float) -> None:
        for pool in list(self._pools.values()):
            if now - pool.used_at >= self.max_age:
                # nobody uses this key any more
                pool.is_proven = False
                pool.payload = pool.credential = None
                self._prune(pool)
            while (
                pool.is_proven
                and pool.counts[IDLE] + pool.coming < self.min_idle + pool.count
                and self._size < self.max_size
                and self._may_open(now)
            ):
                self._open(pool, pool.key, pool.payload, pool.credential, None, now)
