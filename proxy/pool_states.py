"""What the pool core keeps: members and tickets, and the linked lists they stand in.

The links are part of the objects, so that moving one allocates nothing and takes the same time in a list of any
length. Only `proxy.pool` changes a state or a link; others read the attributes listed first in each class.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from mypy_extensions import mypyc_attr

from proxy.pool_limits import NOTHING, Quota, Refusals
from proxy.pool_lines import Line

# The states of a member. A state is the list the member is in: there is one list for each of the first five.
OPENING: Final = 0  # the shell connects and logs in
IDLE: Final = 1  # free for anybody of its key
PARKED: Final = 2  # free, but with residue that `claim` may ask for
LEASED: Final = 3  # a ticket has it
RESETTING: Final = 4  # the shell resets it or captures its residue
CLOSED: Final = 5  # in no list; every later report about it is ignored

STATE_NAMES: Final = ("opening", "idle", "parked", "leased", "resetting", "closed")

NEVER: Final = float("inf")

MOST_LOOKS: Final = 8
"""Idle members that are looked at for one of the right likeness."""
BATCH_TURN: Final = 9
"""Turns of the interactive class between two of the batch class, when both wait; and how many members a user of the one has for each of the other."""


class PoolStateError(Exception):
    """A call that is illegal in the present state, such as a second release: a bug of the caller. Nothing changed."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Member:
    """One backend as the pool sees it; the shell's Backend is a subclass. All times are the caller's `now`, in seconds."""

    __slots__ = (
        "above",
        "ages_at",
        "below",
        "claim",
        "credential",
        "expires_at",
        "idle_since",
        "key",
        "leased_since",
        "likeness",
        "newer",
        "older",
        "payload",
        "pool",
        "serves",
        "state",
        "ticket",
    )

    # the core's own: the pool of its key, set before the shell sees the member
    pool: KeyPool

    def __init__(self) -> None:
        # set by the core, and again when a release names another
        self.key: Hashable = None
        self.state: int = OPENING
        # past this it is closed when it is free, as others are: a few at a time. Set when it was opened
        self.ages_at: float = NEVER
        # past this it is closed instead of becoming idle, in any case
        self.expires_at: float = NEVER
        # when it last became idle or parked
        self.idle_since: float = 0.0
        # when the present lease began
        self.leased_since: float = 0.0
        # LEASED: the holder of the lease. OPENING: the ticket that wants this member and no other, if any
        self.ticket: Ticket | None = None
        # whose residue is on it: from parking until captured, unparked or released anew; None: nobody's
        self.claim: object = None
        # the shell's, compared by identity: what state it is in. A ticket gets one of the same likeness if it may choose
        self.likeness: object = None
        # what it is opened with; dropped when opened
        self.payload: object = None
        self.credential: object = None

        # The core's own:
        # OPENING and RESETTING: the queue that counts on it
        self.serves: Queue | None = None
        # neighbours in the list of its state
        self.older: Member | None = None
        self.newer: Member | None = None
        # IDLE: neighbours in its key's stack
        self.below: Member | None = None
        self.above: Member | None = None

    def expire(self, now: float) -> None:
        """Nobody may have it any more who does not have it now. One that is still being opened is not concerned."""
        self.expires_at = now
        self.ages_at = min(self.ages_at, now)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {STATE_NAMES[self.state]} {self.key!r}>"


@mypyc_attr(allow_interpreted_subclasses=True)
class Ticket:
    """A place in the queue, later its grant. Its owner may use it again as soon as `is_done`.

    The owner sets the first eight attributes before `acquire` and leaves them alone until `is_done`; the core sets the others.
    """

    __slots__ = (
        "ahead",
        "behind",
        "credential",
        "deadline",
        "deadlines",
        "enqueued_at",
        "error",
        "is_batch",
        "is_done",
        "key",
        "later",
        "likeness",
        "line",
        "member",
        "opening",
        "order",
        "owner",
        "parked",
        "payload",
        "queue",
        "quota",
        "sooner",
        "until",
        "wants_fresh",
    )

    def __init__(
        self,
        key: Hashable = None,
        payload: object = None,
        credential: object = None,
        deadline: float = NEVER,
        wants_fresh: bool = False,
    ) -> None:
        self.key: Hashable = key
        # handed to new_member if a member has to be opened
        self.payload: object = payload
        # what a credential failure is about, compared by identity
        self.credential: object = credential
        # waiting ends at this time, or earlier by the pool's acquire_timeout
        self.deadline: float = deadline
        # only a member opened for this ticket will do: to prove a password by logging in
        self.wants_fresh: bool = wants_fresh

        # which of several idle members is the best
        self.likeness: object = None
        # of the class that gives way, and what limits leases like this one
        self.is_batch: bool = False
        self.quota: Quota | None = None

        # granted: the lease
        self.member: Member | None = None
        # refused: AcquireTimeout, OpenFailed, PoolDraining or PoolClosed
        self.error: object = None
        # neither waiting nor granted
        self.is_done: bool = True
        # when it began to wait; only set when it had to
        self.enqueued_at: float = 0.0

        # The core's own:
        # place in the order of arrival over all keys, new at each wait
        self.order: int = 0
        # waiting: it ends at this time, or before; where that is known, and the neighbours in the order of these times
        self.until: float = NEVER
        self.deadlines: object = None
        self.sooner: Ticket | None = None
        self.later: Ticket | None = None
        # waiting: the queue, the line of it, and the neighbours in that
        self.queue: Queue | None = None
        self.line: Line | None = None
        self.ahead: Ticket | None = None
        self.behind: Ticket | None = None
        # wants_fresh: the member being opened for it
        self.opening: Member | None = None
        # claimed while the pool was paused: the parked member, and by whom
        self.parked: Member | None = None
        self.owner: object = None

    def __repr__(self) -> str:
        state = "leased" if self.member is not None else "waiting" if self.queue is not None else "done"
        return f"<{type(self).__name__} {state} {self.key!r}>"


class MemberList:
    """The members of one state, oldest in that state first."""

    __slots__ = ("count", "newest", "oldest")

    def __init__(self) -> None:
        self.count: int = 0
        self.oldest: Member | None = None
        self.newest: Member | None = None

    def append(self, member: Member) -> None:
        newest = self.newest
        member.older = newest
        if newest is None:
            self.oldest = member
        else:
            newest.newer = member
        self.newest = member
        self.count += 1

    def remove(self, member: Member) -> None:
        older = member.older
        newer = member.newer
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
            member.older = None
        if newer is None:
            self.newest = older
        else:
            newer.older = older
            member.newer = None
        self.count -= 1

    def members(self) -> list[Member]:
        """A copy, for loops that change the list."""
        found: list[Member] = []
        member = self.oldest
        while member is not None:
            found.append(member)
            member = member.newer
        return found


class Tenant:
    """One user: all pools of keys that are theirs. A key's members serve nobody else, so what a user has is what the members have."""

    __slots__ = (
        "_counted",
        "_used",
        "configured",
        "given",
        "is_batch",
        "late_since",
        "most",
        "name",
        "pools",
        "refusals",
    )

    def __init__(self, name: Hashable = None, most: int = 0) -> None:
        self.name: Hashable = name
        # members that the user may have, without what the server allows, and by the settings alone, of which another worker may have a part; 0: as many as there are
        self.most: int = most
        self.given: int = most
        self.configured: int = most
        self.pools: list[KeyPool] = []
        # the class of the one who began to wait last: what the user's members count for
        self.is_batch: bool = False
        # while the server lets it have no member at all
        self.refusals: Refusals = Refusals()
        # since when those who wait have waited for too long (`proxy.pool_shedding`)
        self.late_since: float = NEVER
        # what `used_at` said last, and for which turn
        self._counted: int = 0
        self._used: int = 0

    def size(self) -> int:
        """Members."""
        return sum([pool.size for pool in self.pools])

    def opened(self) -> int:
        """Members that are connected."""
        return sum([pool.size - pool.counts[OPENING] for pool in self.pools])

    def waiting(self) -> int:
        """Tickets that wait for a member, but for those that want a fresh one."""
        return sum([pool.count for pool in self.pools])

    def used(self) -> int:
        """Members that are not free."""
        used = 0
        for pool in self.pools:
            used += pool.size - pool.counts[IDLE] - pool.counts[PARKED]
        return used

    def used_at(self, turn: int) -> int:
        """The same, counted once in a turn, however many keys they have: nothing may change within it."""
        if turn != self._counted:
            self._counted = turn
            self._used = self.used()
        return self._used

    def has_free(self) -> bool:
        """Whether some of them are."""
        return any([pool.counts[IDLE] or pool.counts[PARKED] for pool in self.pools])

    def is_barred(self, now: float, patience: float) -> bool:
        """Whether nobody of the user need wait: for so long there has been nothing to be had, and no attempt is due."""
        return self.refusals.last_for(now) > patience and (self.most == NOTHING or self.size() > 0)

    def is_full(self) -> bool:
        """Whether the user has as many members as allowed."""
        return self.most != 0 and self.size() >= self.most

    def is_over(self) -> bool:
        """Whether the user has more members than allowed."""
        return self.most != 0 and self.size() > max(0, self.most)

    def is_to_shrink(self) -> bool:
        """Whether, besides, that many are not being captured or reset, and closed then."""
        if not self.is_over():
            return False
        resetting = sum([pool.counts[RESETTING] for pool in self.pools])
        return self.size() - resetting > max(0, self.most)

    def is_stuck(self) -> bool:
        """Whether, besides, none of them is free, to be closed for another key's."""
        return self.most != 0 and self.is_full() and self.used() >= self.most


class Queue:
    """Those who wait for a member of one key, and how many members are on the way for them.

    Nearly always it is one line. Otherwise those of the interactive class come before those of the batch class, but for every BATCH_TURN-th turn; and those
    whose quota is used up let others pass.
    """

    __slots__ = ("coming", "count", "is_limited", "lines", "passed", "tenant")

    def __init__(self, tenant: Tenant | None = None) -> None:
        # whose tickets these are; all that want a fresh member count as one user more
        self.tenant: Tenant = tenant if tenant is not None else Tenant()
        # those in which somebody waits
        self.lines: list[Line] = []
        self.count: int = 0
        # whether some of the lines have a limit of their own
        self.is_limited: bool = False
        # members OPENING or RESETTING whose `serves` is this queue
        self.coming: int = 0
        # turns of the interactive class since the last of the batch class
        self.passed: int = 0

    @property
    def first(self) -> Ticket | None:
        """Whose turn it is; None when nobody may be served."""
        lines = self.lines
        if len(lines) == 1:
            return lines[0].first if not self.is_limited or lines[0].room() else None
        best: Ticket | None = None
        for line in lines:
            ticket = line.first
            if ticket is not None and line.room() and (best is None or self._rank(ticket) < self._rank(best)):
                best = ticket
        return best

    def _rank(self, ticket: Ticket) -> tuple[bool, int]:
        return ticket.is_batch is (self.passed < BATCH_TURN), ticket.order

    @property
    def is_short(self) -> bool:
        """Whether somebody waits, and may be served, for whom no member is coming."""
        if self.count <= self.coming:
            return False
        return not self.is_limited or sum(self._rooms()) > self.coming

    def _rooms(self) -> list[int]:
        """How many of each line may be served, those included for whom a member is coming. What is coming for other queues uses up quotas."""
        rooms: list[int] = []
        # what is left of each quota
        left: dict[Quota, int] = {}
        for line in self.lines:
            room = line.room()
            quota = line.quota
            if quota is not None:
                mine = sum([other.promised for other in self.lines if other.quota is quota])
                free = left.get(quota, quota.most - quota.leased - quota.promised + mine)
                room = max(0, min(room, free))
                left[quota] = free - room
            rooms.append(room)
        return rooms

    def promise(self) -> None:
        """Who waits, or what is coming, has changed: keep count of what is coming for those who have a quota. Of several lines it is the others'."""
        if self.is_limited:
            for line in self.lines:
                line.promise(self.coming - (self.count - line.count))

    def used(self) -> int:
        """Members that those who wait here have already: of two queues the one that has fewer is served."""
        return self.coming

    def append(self, ticket: Ticket, tenant: Tenant | None = None) -> None:
        """``tenant``: whose limit holds, where the queue is of all users."""
        self._line(ticket.is_batch, ticket.quota, tenant).append(ticket)
        ticket.queue = self
        self.count += 1
        self.promise()

    def _line(self, is_batch: bool, quota: Quota | None, tenant: Tenant | None) -> Line:
        for line in self.lines:
            if line.is_batch == is_batch and line.quota is quota and line.tenant is tenant:
                return line
        line = Line(is_batch, quota, tenant)
        self.lines.append(line)
        self.is_limited = self.is_limited or quota is not None or tenant is not None
        return line

    def remove(self, ticket: Ticket) -> None:
        line = ticket.line
        assert line is not None, "a ticket in a queue is in one of its lines"
        line.remove(ticket)
        self.count -= 1
        self.promise()
        if line.count == 0:
            self.lines.remove(line)
            self.is_limited = any(
                [other.quota is not None or other.tenant is not None for other in self.lines]
            )
        ticket.queue = None

    def served(self, ticket: Ticket) -> None:
        """It was this one's turn."""
        if ticket.is_batch:
            self.passed = 0
        elif len(self.lines) > 1 and any([line.is_batch for line in self.lines]):
            self.passed += 1

    def tickets(self) -> list[Ticket]:
        """A copy, in the order of arrival."""
        found: list[Ticket] = []
        for line in self.lines:
            found += line.tickets(line.count)
        return found if len(self.lines) < 2 else sorted(found, key=_order)

    def turns(self) -> list[Ticket]:
        """A copy of those who may be served, about in that order."""
        found: list[Ticket] = []
        rooms = self._rooms()
        for is_batch in (False, True):
            first: list[Ticket] = []
            for i in range(len(rooms)):
                if self.lines[i].is_batch == is_batch:
                    first += self.lines[i].tickets(rooms[i])
            found += sorted(first, key=_order)
        return found


class KeyPool(Queue):
    """One pool in the sense of the glossary: the members of one key, its queue, and the stack of its idle ones."""

    __slots__ = ("counts", "credential", "is_proven", "key", "payload", "size", "top", "used_at")

    def __init__(self, key: Hashable, now: float, tenant: Tenant | None = None) -> None:
        super().__init__(tenant)
        self.tenant.pools.append(self)
        self.key: Hashable = key
        # members of this key, all and by state
        self.size: int = 0
        self.counts: list[int] = [0, 0, 0, 0, 0]
        # the member that became idle last
        self.top: Member | None = None
        # when a member was last leased
        self.used_at: float = now
        # kept for min_idle: what the last successful login was made with
        self.is_proven: bool = False
        self.payload: object = None
        self.credential: object = None

    def used(self) -> int:
        return self.tenant.used()

    def prove(self, payload: object, credential: object) -> None:
        """A login succeeded with these."""
        self.is_proven = True
        self.payload = payload
        self.credential = credential

    def disprove(self, credential: object) -> None:
        """This credential is no good any more; nothing if the last successful login was made with another."""
        if self.credential is credential:
            self.is_proven = False
            self.payload = self.credential = None

    def best(self, likeness: object) -> Member | None:
        """The idle member for a ticket: of the newest few the newest of this likeness, else the newest."""
        member = self.top
        for _ in range(MOST_LOOKS):
            if member is None:
                break
            if member.likeness is likeness:
                return member
            member = member.below
        return self.top

    def push(self, member: Member) -> None:
        top = self.top
        member.below = top
        if top is not None:
            top.above = member
        self.top = member

    def pull(self, member: Member) -> None:
        above = member.above
        below = member.below
        if above is None:
            self.top = below
        else:
            above.below = below
            member.above = None
        if below is not None:
            below.above = above
            member.below = None


def serve(member: Member, queue: Queue | None) -> None:
    """Count a member that is on its way for the waiters of a queue, no longer for another's: the only place that does."""
    served = member.serves
    if served is not None:
        served.coming -= 1
        served.promise()
    member.serves = queue
    if queue is not None:
        queue.coming += 1
        queue.promise()


def _order(ticket: Ticket) -> int:
    return ticket.order
