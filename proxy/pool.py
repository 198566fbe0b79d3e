"""The pool core: who gets which backend of one endpoint, and when backends are opened, reset, captured and closed.

`PoolCore` decides and the shell acts: every call takes `now` (seconds, any monotonic clock) and returns actions
(`proxy.pool_actions`) that the shell must carry out in their order. It never blocks, reads no clock and does no I/O; the core
is consistent whenever a call returns, so the shell may call it again while it works through the list.
"""

from __future__ import annotations

from collections.abc import Hashable

from proxy.pool_actions import (
    Action,
    OpenFailed,
    PoolClosed,
    PoolDraining,
    PoolMoved,
)
from proxy.pool_settle import (
    NO_ACTIONS,
    POOL_CLOSED,
    POOL_DRAINING,
    POOL_OPEN,
    POOL_PAUSED,
)
from proxy.pool_shedding import forget_late
from proxy.pool_states import (
    CLOSED,
    LEASED,
    NEVER,
    OPENING,
    PARKED,
    RESETTING,
    STATE_NAMES,
    KeyPool,
    Member,
    PoolStateError,
    Tenant,
    Ticket,
)
from proxy.pool_upkeep import Upkeep
from proxy.reasons import CloseReason

__all__ = ["NO_ACTIONS", "Member", "PoolCore", "PoolStateError", "Ticket"]

# Theory
# ======
# One core has the backends (members) of one endpoint. `max_size` bounds all of them together; each has a key, and the
# members of one key are interchangeable: they are a KeyPool with its own queue. Keys exist while a member or a waiter has them.
#
# Members. A state is the list a member is in, `Members.move` is the one function that changes it, and these are all the ways:
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
#             --> RESETTING   settle, tick or steal (Capture), unpark with needs_reset (Reset)
#     RESETTING > IDLE        was_reset, captured
#             --> LEASED      declined: what is on it cannot be captured, so that its owner has it again
#     any ------> CLOSED      open_failed, discard, lost; or decided here: too old, idle for too long, evicted, over the bound, drained
#
# Limits. A user (`Tenant`) may have a bound of members of his own below `max_size`: at it a member of his makes room for another of his, and
# nobody else's. A `Quota` bounds leases instead, whatever their keys: whom it stops lets others of his key pass. What is on its way for those of one
# key is not opened for those of another again. Taking back what one has parked counts, but is never refused.
#
# The reserve. A client that holds a lease and waits for another deadlocks with others that do the same, as soon as they have all members. Nothing that
# is closed or refused for it helps; one member more does: whoever gets it goes on, and gives back two. It is kept free of ordinary use, within
# `max_size`, or it would be used up when it is needed; and it must go to somebody who holds a lease already, or it is one more to be waited for. The
# shell knows who that is (`proxy.deadlocks`); `stalls_since` tells when nothing goes on. Once it is free it is closed.
#
# Tickets. Done -> waiting (in exactly one queue) -> granted -> done, or waiting -> done with an error. A grant happens inside
# the core, so that cancelling gives it back: there is no moment at which a member belongs to nobody. A ticket that was granted
# or refused while it waited is woken, once; what is decided inside `acquire` is not.
#
# The pool: OPEN <-> PAUSED; both -> DRAINING; all -> CLOSED. Paused, everything goes on but nothing is granted, opened or
# captured. Draining, a member is leased or closed.
#
# Settle. Whatever a call did, it ends in `_settle` when somebody waits. In this order:
#   1. Idle members go to the waiters of their key, newest member to oldest waiter. (Here and in `acquire` a member of the ticket's
#      likeness goes before newer ones, if it is among the newest few: the state that its session needs is on it already.)
#   2. Queues that are short (more waiters than members coming for them) get another member, that of the user who has least first and
#      of those the queue with the oldest first waiter, while something may be opened:
#      a. below the bound: open one;
#      b. own key parked: capture the one parked longest (one round trip, where d. costs a connection), or rather one of the few parked
#         longest that has the waiter's likeness;
#      c. idle, of any key: close the one idle longest and open in its place;
#      d. parked, of any key: capture the one parked longest; once it is idle, c. applies.
#      In c. and d. what another user has just let go is passed over for a moment (KEEPS), unless he uses more than the one who waits, or that one
#      has nothing.
#      When that user cannot have one now, those follow who have something free themselves, for another key.
#   3. What may not be opened now (back-off, max_opening) can still be captured: b. for every short queue.
#
# What wins on conflict:
#   - Among waiters of one key: the order of arrival in each class, and interactive before batch but for every tenth turn; between users a
#     batch's member counts for nine, so that it keeps a tenth. Only a ticket that wants a fresh member is served apart, from a
#     queue of its own, by an opening that no one else can take (unless the ticket leaves: then it is anybody's of that key).
#   - Among users: who has less. A member can only serve its own user, so what is shared between users is the members, not the turns: who has as
#     many clients as he likes has no more members than another who wants more (max-min fairness), and who wants less than his part never waits
#     long. In balance nothing is closed for it: a member goes over only when that makes the two more equal. So a user with five busy clients keeps
#     his five members beside one with five hundred, and five hundred wait for the others.
#   - Among keys of one user: a released member goes to its own key's oldest waiter, unless another queue's has been waiting for longer by
#     more than switch_delay: then the member is closed for it. Strictly first come, first served (switch_delay 0) would close and
#     open a connection at nearly every release when two keys queue; no order at all would starve the one without members.
#   - Waiters before idleness, residue and age: a parked member is captured as soon as its absence would make somebody wait.
#   - Residue before age and bound: a parked member is captured before it is closed. Only drain and close drop residue.
#   - Leases before the bound: when that is lowered (`resize`) there are more members than it for a while, but nothing is opened, and what
#     becomes free is closed although somebody waits.
#   - Of the newest idle members that are alike the newest is leased first, so that the oldest become superfluous and time out.
#   - A report about a member that the core has closed is ignored: it crossed the Close. Any other report that does not fit the
#     state raises PoolStateError and changes nothing.
#
# Not all at once. Members are opened at most max_opening at a time and connects_per_second in a second, and so many after a pause. What has
# reached max_age is closed one by one, so that all of a pool takes SPREAD seconds, and no faster than half as many as may be opened: until it
# is its turn a member is leased on. `Member.expire` is for those that must not be: they go at once.
#
# Failure to open. A refused credential refuses the waiters who have that very credential, at once; the endpoint did answer, so it
# is no failure of the endpoint. Other failures start a back-off (exponential, full jitter) in which nothing is opened, and
# then one attempt per interval until one succeeds. Waiters wait on; what is leased may be released to them. When that has
# gone on for acquire_timeout, new tickets are refused while an attempt is under way or not yet due, if no living member of
# their key could be released to them; the first ticket after the interval is let in: it is the next attempt.
#
# Keep in sync: the table above with `pool_members._LEGAL`; `KeyPool.counts` and `.size` with the lists (only Members changes them);
# `Queue.coming` with `Member.serves` (only `serve` changes them); `Quota.promised` with the lines' (only `Line.promise` changes them).


class PoolCore(Upkeep):
    """The backends of one endpoint. Times in seconds; infinity switches a timeout off."""

    __slots__ = ()

    # Tickets

    def acquire(self, ticket: Ticket, now: float) -> list[Action]:
        """Ask for a member. Afterwards `ticket.member` is set (granted), or `ticket.error` (refused), or it waits and a Wake will
        follow."""
        if not ticket.is_done:
            raise PoolStateError("acquire with a ticket that waits or holds a lease")
        if self._state == POOL_OPEN and not ticket.wants_fresh and ticket.parked is None:
            pool = self._members.pools.get(ticket.key)
            quota = ticket.quota
            if pool is not None and (quota is None or quota.leased < quota.most):
                member = pool.best(ticket.likeness)
                if member is not None:
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
        self._lease(member, ticket, now)
        return True

    def newcomers(self) -> list[Ticket]:
        """The tickets that began to wait since this was asked last, and wait still."""
        return self._waiters.newcomers()

    def hasten(self, ticket: Ticket, deadline: float) -> None:
        """A ticket that waits does so until then, at most."""
        if ticket.queue is not None:
            self._waiters.deadlines.hasten(ticket, deadline)

    def cancel(self, ticket: Ticket, now: float) -> list[Action]:
        """The ticket is not wanted any more: it leaves the queue, or gives back a grant of which no use was made (residue that
        was claimed with it is parked again). Nothing if it is done."""
        if ticket.is_done:
            return NO_ACTIONS
        member = ticket.member
        if member is not None:
            return self.release(member, now, parked_by=member.claim)
        self._leave(ticket)
        # what was coming for it counts for others now, and not for its quota
        return self._settled(now)

    # Reports about members

    def opened(self, member: Member, now: float) -> list[Action]:
        """The login succeeded."""
        if member.state == CLOSED:
            return NO_ACTIONS
        _expect(member, OPENING)
        self._backoff.succeeded()
        member.ages_at = now + self.max_age * (1.0 - self.age_jitter * self._random())
        member.expires_at = NEVER
        member.pool.prove(member.payload, member.credential)
        member.pool.tenant.refusals.succeeded()
        member.payload = member.credential = None
        ticket = member.ticket
        member.ticket = None
        if ticket is not None:
            ticket.opening = None
        if (
            ticket is not None
            and self._state == POOL_OPEN
            and (ticket.quota is None or ticket.quota.has_room())
        ):
            self._grant(member, ticket, now)
        else:
            # paused, or its quota is used up by now: the ticket waits on for another; this one is anybody's
            self._rest(member, now)
        return self._settled(now)

    def open_failed(
        self,
        member: Member,
        now: float,
        error: object,
        *,
        is_credential: bool = False,
        is_limit: bool = False,
        most: int = 0,
    ) -> list[Action]:
        """Connecting or the login failed; there is no Close. `is_credential`: the server refused this credential, another may
        be right. `is_limit`: the server takes no more connections (1040); `most`: of this user, who may have so many from now on (`limit`)."""
        if member.state == CLOSED:
            return NO_ACTIONS
        _expect(member, OPENING)
        pool = member.pool
        credential = member.credential
        self._drop(member)
        if most:
            # nobody else is held up
            self._backoff.succeeded()
            return self._bar(pool, most, now, error)
        if is_credential:
            self._backoff.succeeded()
            pool.disprove(credential)
            refusal = OpenFailed(error)
            for ticket in self._waiters.with_credential(pool, credential):
                self._refuse(ticket, refusal)
            self._members.prune(pool)
        else:
            # a full server works for those connections of ours that it has
            self._backoff.failed(now, error, is_limit and self._members.size > self._members.opening.count)
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
        _expect(member, LEASED)
        if needs_reset and parked_by is not None:
            raise PoolStateError("release with needs_reset would destroy the residue of parked_by")
        ticket = member.ticket
        assert ticket is not None, "a lease has a ticket"
        member.ticket = None
        ticket.member = None
        ticket.is_done = True
        if ticket.quota is not None:
            ticket.quota.leased -= 1
        member.claim = parked_by
        if key is not None and key is not member.key and key != member.key:
            self._members.rekey(member, key, now)
        if self._state >= POOL_DRAINING:
            self._close(member, CloseReason.DRAINED)
        elif parked_by is not None:
            self._park(member, now)
        elif needs_reset:
            self._reset(member, now)
        else:
            self._rest(member, now)
        return self._settled(now)

    def unpark(
        self, member: Member, now: float, *, needs_reset: bool = False, owner: object = None
    ) -> list[Action]:
        """Nobody will ask for the residue: anybody may have the member. Nothing if it is not parked, or if `owner` is given and
        it is parked for another."""
        if member.state != PARKED or (owner is not None and member.claim is not owner):
            return NO_ACTIONS
        member.claim = None
        if needs_reset:
            self._reset(member, now)
        else:
            self._rest(member, now)
        return self._settled(now)

    def steal(
        self, member: Member, now: float, successor: object = None, owner: object = None
    ) -> list[Action]:
        """Capture a parked member although nobody needs it, for `successor` if its owner is gone. Nothing if it is not parked (for
        `owner`, if given), or the pool is not open."""
        if member.state != PARKED or self._state != POOL_OPEN:
            return NO_ACTIONS
        if owner is not None and member.claim is not owner:
            return NO_ACTIONS
        if successor is not None:
            member.claim = successor
        self._capture(member, member.pool)
        return self._settled(now)

    def was_reset(self, member: Member, now: float) -> list[Action]:
        """A Reset is done."""
        return self._refreshed(member, now)

    def captured(self, member: Member, now: float) -> list[Action]:
        """A Capture is done: the residue is saved, and none is left on the member."""
        return self._refreshed(member, now)

    def declined(self, member: Member, ticket: Ticket, now: float) -> list[Action]:
        """A Capture is not possible: the member's owner has it again, leased to `ticket`, its residue as it was left, even while the pool
        is paused. Who waits goes on waiting, for another."""
        if member.state == CLOSED:
            return NO_ACTIONS
        if not ticket.is_done:
            raise PoolStateError("declined with a ticket that waits or holds a lease")
        _expect(member, RESETTING)
        if member.claim is None:
            raise PoolStateError("declined a Reset")
        self._lease(member, ticket, now)
        return self._settled(now)

    def discard(self, member: Member, now: float, reason: CloseReason) -> list[Action]:
        """Give a member back by closing it, from any state; a lease on it ends. While OPENING this counts as a failure to open."""
        if member.state == CLOSED:
            return NO_ACTIONS
        if member.state == OPENING:
            self._backoff.failed(now, reason, False)
        self._close(member, reason)
        return self._settled(now)

    def lost(self, member: Member, now: float, reason: CloseReason) -> list[Action]:
        """The connection has ended by itself. As `discard`, Close included: that is where closes are counted."""
        return self.discard(member, now, reason)

    # The pool's own states

    def pause(self, now: float) -> list[Action]:
        """Grant, open and capture nothing until `resume`; tickets queue up, until their deadlines."""
        if self._state == POOL_OPEN:
            self._state = POOL_PAUSED
        return NO_ACTIONS

    def resume(self, now: float) -> list[Action]:
        """Go on after `pause`."""
        if self._state != POOL_PAUSED:
            return NO_ACTIONS
        self._state = POOL_OPEN
        forget_late(self._members)
        for ticket in self._waiters.all():
            member = _claimed(ticket)
            if member is not None:
                self._grant(member, ticket, now)
        return self._settled(now)

    def resize(self, max_size: int, now: float) -> list[Action]:
        """Another bound from now on; 0: nobody gets any. A lower one closes what is free; leases above it end as they would, and then their members are
        closed."""
        if max_size < 0:
            raise ValueError("expected max_size of at least 0")
        self.max_size = max_size
        self.bound = self._bound_of(max_size)
        return self._settled(now)

    def limit(self, tenant: Hashable, most: int, now: float) -> list[Action]:
        """So many members may this user have from now on, if it was not given fewer; 0: what it was given; NOTHING: none. What is too much is closed as it gets free."""
        user = self._members.limit(tenant, most)
        self._limit_logins()
        self._shrink_user(user)
        return self._settled(now)

    def give(self, tenant: Hashable, most: int, now: float) -> list[Action]:
        """From now on this user is given so many members, whatever it was given before; NOTHING: none."""
        self._members.give(tenant, most)
        return self.limit(tenant, 0, now)

    def spare(self, ticket: Ticket, now: float) -> list[Action]:
        """Open a member of the reserve for this ticket and nobody else. Nothing when it does not wait, has one coming, or there is none left; nor while
        of the others some are not leased."""
        pool = ticket.queue
        if not isinstance(pool, KeyPool) or ticket.opening is not None or not self._may_open(now):
            return NO_ACTIONS
        members = self._members
        if members.size >= self.max_size or members.leased.count < self.bound or pool.tenant.is_full():
            return NO_ACTIONS
        if ticket.quota is not None and not ticket.quota.has_room():
            return NO_ACTIONS
        member = self._open(pool, pool, ticket.payload, ticket.credential, now).member
        assert member is not None, "an opening is of a member"
        member.ticket = ticket
        ticket.opening = member
        self.spared_count += 1
        return self._taken()

    def send_away(self, goes_on: bool = False) -> list[Action]:
        """All who wait leave with PoolMoved, in the order in which they came. ``goes_on``: so does their time."""
        moved = PoolMoved(goes_on)
        for ticket in self.waiters():
            self._refuse(ticket, moved)
        return self._taken()

    def move(self, ticket: Ticket) -> list[Action]:
        """One that waits leaves with PoolMoved, and its time goes on. Nothing if it does not wait."""
        if ticket.queue is not None:
            self._refuse(ticket, PoolMoved(goes_on=True))
        return self._taken()

    def drain(self, now: float) -> list[Action]:
        """Refuse all who wait or come, close what is not leased now and the rest at its release: then `size` is 0."""
        if self._state < POOL_DRAINING:
            self._state = POOL_DRAINING
            self._refuse_all(PoolDraining())
            for member in self._members.all():
                if member.state != LEASED:
                    self._close(member, CloseReason.DRAINED)
        return self._taken()

    def close(self, now: float) -> list[Action]:
        """Refuse all who wait or come, and close everything; leases end."""
        self._state = POOL_CLOSED
        self._refuse_all(PoolClosed())
        for member in self._members.all():
            self._close(member, CloseReason.SHUTDOWN)
        return self._taken()

    def __repr__(self) -> str:
        return f"<PoolCore {self.snapshot()!r}>"

    # Below the calls

    def _limit_logins(self) -> None:
        """Limits of users have changed: those that want a fresh member wait in other lines, each in the order of arrival."""
        fresh = self._waiters.fresh
        for ticket in fresh.tickets():
            fresh.remove(ticket)
            fresh.append(ticket, self._limited(ticket))

    def _limited(self, ticket: Ticket) -> Tenant | None:
        """Whose limit holds for a ticket, if its user has one."""
        tenant = self._members.tenant(ticket.key)
        return tenant if tenant is not None and tenant.most else None

    def _acquire_later(self, ticket: Ticket, now: float) -> list[Action]:
        member = _claimed(ticket) if self._state == POOL_OPEN else None
        if member is not None:
            self._lease(member, ticket, now)
            return NO_ACTIONS
        began = ticket.enqueued_at if has_moved(ticket) else now
        pool = self._members.pools.get(ticket.key)
        ticket.error = self._refusal(ticket, pool, now)
        if ticket.error is not None:
            return NO_ACTIONS
        deadline = min(ticket.deadline, began + self.acquire_timeout)
        if ticket.wants_fresh:
            self._waiters.enter(ticket, self._waiters.fresh, began, deadline, self._limited(ticket))
        else:
            self._waiters.enter(ticket, pool or self._members.pool_of(ticket.key, now), began, deadline)
        return self._settled(now)

    def _refusal(self, ticket: Ticket, pool: KeyPool | None, now: float) -> object:
        """The error of a ticket that may not even wait."""
        if self._state == POOL_DRAINING:
            return PoolDraining()
        if self._state == POOL_CLOSED:
            return PoolClosed()
        tenant = self._members.tenant(ticket.key) if pool is None else pool.tenant
        if tenant is not None and tenant.is_barred(now, self.acquire_timeout) and self._state == POOL_OPEN:
            return OpenFailed(tenant.refusals.error)
        backoff = self._backoff
        if self._state == POOL_PAUSED or now - backoff.failing_since <= self.acquire_timeout:
            return None
        if now >= backoff.retry_at and not self._members.opening.count:
            # it is time for an attempt: this ticket's
            return None
        if pool is not None and not ticket.wants_fresh and pool.size > pool.counts[OPENING]:
            return None
        return OpenFailed(backoff.error)

    def _bar(self, pool: KeyPool, most: int, now: float, error: object) -> list[Action]:
        """The server does not let a user have more than this; when it has had nothing for long nobody of the user goes on waiting."""
        tenant = self._members.limit(pool.tenant.name, most)
        if not tenant.opened():
            tenant.refusals.failed(now, error)
        if tenant.is_barred(now, self.acquire_timeout):
            for ticket in self._waiters.all():
                if self._members.tenant(ticket.key) is tenant:
                    self._refuse(ticket, OpenFailed(error))
        return self.limit(tenant.name, most, now)

    def _refreshed(self, member: Member, now: float) -> list[Action]:
        if member.state == CLOSED:
            return NO_ACTIONS
        _expect(member, RESETTING)
        # what was parked for long is not idle for as long again
        since = now if member.claim is None else member.idle_since
        member.claim = None
        self._rest(member, now, since)
        return self._settled(now)


def _expect(member: Member, state: int) -> None:
    if member.state != state:
        raise PoolStateError(f"expected a member that is {STATE_NAMES[state]}, got {member!r}")


def has_moved(ticket: Ticket) -> bool:
    """Whether it was sent away from another pool, and its time goes on."""
    error = ticket.error
    return isinstance(error, PoolMoved) and error.goes_on


def _claimed(ticket: Ticket) -> Member | None:
    """The member that was claimed with this ticket during a pause, if it is still parked for that owner. Asks only once."""
    member = ticket.parked
    owner = ticket.owner
    ticket.parked = ticket.owner = None
    return member if member is not None and member.state == PARKED and member.claim is owner else None
