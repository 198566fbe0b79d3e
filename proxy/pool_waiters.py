"""All tickets that wait for a member of one endpoint: a queue for each key, one for those that want a fresh member, and the
deadlines of all (`pool_deadlines`)."""

from __future__ import annotations

from proxy.pool_deadlines import Deadlines
from proxy.pool_states import BATCH_TURN, KeyPool, Queue, Tenant, Ticket, serve


class Waiters:
    """A ticket is in exactly one queue while it waits, and in none before and after."""

    __slots__ = ("_order", "_seen", "_turn", "count", "deadlines", "fresh", "queues")

    def __init__(self) -> None:
        # the tickets that want a fresh member, whatever their key
        self.fresh: Queue = Queue()
        # the queues in which somebody waits (a set that keeps its order)
        self.queues: dict[Queue, None] = {}
        # tickets in all of them
        self.count: int = 0
        # arrivals so far
        self._order: int = 0
        # and when `newcomers` was asked last
        self._seen: int = 0
        # how often the neediest queue was looked for
        self._turn: int = 0
        self.deadlines: Deadlines = Deadlines()

    def enter(
        self, ticket: Ticket, queue: Queue, now: float, deadline: float, tenant: Tenant | None = None
    ) -> None:
        """Begin to wait, at the end of the queue. ``now``: earlier for who has waited elsewhere; ``tenant``: whose limit holds, in `fresh`."""
        self._order += 1
        ticket.order = self._order
        ticket.enqueued_at = now
        ticket.is_done = False
        queue.append(ticket, tenant)
        self.queues[queue] = None
        queue.tenant.is_batch = ticket.is_batch
        self.count += 1
        self.deadlines.expect(ticket, deadline)

    def leave(self, ticket: Ticket) -> None:
        """End to wait. A member that is being opened for this ticket alone is now opened for whoever waits with its key."""
        queue = ticket.queue
        assert queue is not None, "a ticket that waits is in a queue"
        queue.remove(ticket)
        self.deadlines.forget(ticket)
        ticket.is_done = True
        ticket.parked = ticket.owner = None
        self.count -= 1
        if queue.count == 0:
            del self.queues[queue]
        member = ticket.opening
        if member is not None:
            ticket.opening = None
            member.ticket = None
            serve(member, member.pool)

    def neediest(self, now: float, owning: bool = False) -> Queue | None:
        """Of the queues that are short and may have another member, that of the user who has least; of those the one whose first waiter
        `comes_first`. ``owning``: of users only who have a member that is free."""
        neediest: Queue | None = None
        best: Ticket | None = None
        used = 0
        self._turn = turn = self._turn + 1
        for queue in self.queues:
            tenant = queue.tenant
            if (
                not queue.is_short
                or (tenant.most and tenant.is_stuck())
                or (owning and not tenant.has_free())
            ):
                continue
            first = queue.first
            assert first is not None, "a short queue has somebody to serve"
            theirs = queue.coming if queue is self.fresh else tenant.used_at(turn)
            if first.is_batch:
                theirs *= BATCH_TURN
            if best is None or theirs < used or (theirs == used and comes_first(first, best, now)):
                neediest, best, used = queue, first, theirs
        return neediest

    def uncovered(self, queue: Queue) -> Ticket:
        """The first waiter of a short queue for whom no member is coming: the next one is opened with its payload."""
        if queue is self.fresh:
            return next(ticket for ticket in queue.turns() if ticket.opening is None)
        if len(queue.lines) > 1:
            return queue.turns()[queue.coming]
        ticket = queue.first
        for _ in range(queue.coming):
            assert ticket is not None, "a short queue has more waiters than members coming"
            ticket = ticket.behind
        assert ticket is not None, "a short queue has waiters"
        return ticket

    def newcomers(self) -> list[Ticket]:
        """Those who began to wait since this was asked last, and wait still."""
        seen, self._seen = self._seen, self._order
        return self.deadlines.entered_after(seen)

    def oldest(self) -> Ticket | None:
        """Who has been waiting for longest."""
        oldest: Ticket | None = None
        for queue in self.queues:
            for line in queue.lines:
                first = line.first
                if first is not None and (oldest is None or first.order < oldest.order):
                    oldest = first
        return oldest

    def all(self) -> list[Ticket]:
        """A copy, by queue."""
        found: list[Ticket] = []
        for queue in self.queues:
            found += queue.tickets()
        return found

    def with_credential(self, pool: KeyPool, credential: object) -> list[Ticket]:
        """Those who want a member of this key and bring this very credential."""
        found = [ticket for ticket in pool.tickets() if ticket.credential is credential]
        fresh = self.fresh.tickets()
        return found + [
            ticket for ticket in fresh if ticket.credential is credential and ticket.key == pool.key
        ]


def weight(is_batch: bool) -> int:
    """How much a member of this class counts beside one of the other's."""
    return BATCH_TURN if is_batch else 1


def comes_first(ticket: Ticket, other: Ticket, now: float, delay: float = 0.0) -> bool:
    """Whether it is a ticket's turn rather than another's, by their ages: in one class by arrival, else batch has to wait so many times as long.
    ``delay``: and by so much longer."""
    if ticket.is_batch == other.is_batch:
        if delay:
            return ticket.enqueued_at + delay < other.enqueued_at
        return ticket.order < other.order
    waited, other_waited = now - ticket.enqueued_at, now - other.enqueued_at + delay
    return waited * weight(other.is_batch) > other_waited * weight(ticket.is_batch)
