"""When those who wait for a member of one endpoint have waited for long enough.

Nearly all wait for equally long, so that they end in the order of arrival: these are a linked list, which costs next to nothing. The others are a heap."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from proxy.pool_states import NEVER, Ticket


class Deadlines:
    """Of each ticket that waits there is one."""

    __slots__ = ("_count", "_first", "_heap", "_last")

    def __init__(self) -> None:
        # in the order of their deadlines
        self._first: Ticket | None = None
        self._last: Ticket | None = None
        # the others: (deadline, order, ticket); an entry is void when its ticket no longer waits here with that order until then
        self._heap: list[tuple[float, int, Ticket]] = []
        # tickets that have a valid one
        self._count: int = 0

    def expect(self, ticket: Ticket, deadline: float) -> None:
        """It waits until then. Not for one that waits already."""
        ticket.until = deadline
        ticket.deadlines = self
        last = self._last
        if last is None:
            self._first = self._last = ticket
        elif last.until <= deadline:
            last.later = ticket
            ticket.sooner = last
            self._last = ticket
        else:
            self._push(ticket)

    def hasten(self, ticket: Ticket, deadline: float) -> None:
        """It waits until then, at most."""
        if deadline < ticket.until:
            self.forget(ticket)
            ticket.until = deadline
            ticket.deadlines = self
            self._push(ticket)

    def forget(self, ticket: Ticket) -> None:
        """It does not wait any more."""
        sooner = ticket.sooner
        later = ticket.later
        ticket.deadlines = None
        if sooner is None and later is None and self._first is not ticket:
            self._count -= 1
            return
        if sooner is None:
            self._first = later
        else:
            sooner.later = later
        if later is None:
            self._last = sooner
        else:
            later.sooner = sooner
        ticket.sooner = ticket.later = None

    def entered_after(self, order: int) -> list[Ticket]:
        """Who waits and came later than the ticket with this order."""
        found = [entry[2] for entry in self._heap if entry[1] > order and self._is_valid(entry)]
        ticket = self._last
        # in the list arrivals are in order, too
        while ticket is not None and ticket.order > order:
            found.append(ticket)
            ticket = ticket.sooner
        return found

    def next(self) -> float:
        """The earliest; infinity when nobody waits."""
        heap = self._heap
        while heap and not self._is_valid(heap[0]):
            heappop(heap)
        first = self._first
        at = NEVER if first is None else first.until
        return min(at, heap[0][0]) if heap else at

    def expired(self, now: float) -> Ticket | None:
        """A ticket whose time has come, the earliest first; it still waits. None when there is none."""
        at = self.next()
        if at > now:
            return None
        first = self._first
        return first if first is not None and first.until == at else self._heap[0][2]

    def _push(self, ticket: Ticket) -> None:
        heap = self._heap
        self._count += 1
        heappush(heap, (ticket.until, ticket.order, ticket))
        # void entries go when they are most of the heap: on average that costs each ticket no more than its own entry
        if len(heap) > 2 * self._count + 64:
            self._heap = [entry for entry in heap if self._is_valid(entry)]
            heapify(self._heap)

    def _is_valid(self, entry: tuple[float, int, Ticket]) -> bool:
        ticket = entry[2]
        return ticket.deadlines is self and ticket.order == entry[1] and ticket.until == entry[0]
