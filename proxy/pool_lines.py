"""Lines of waiting tickets, as the pool core's queues are made of.

The links are part of the tickets (`pool_states`), and only `proxy.pool` changes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.pool_limits import Quota
    from proxy.pool_states import Tenant, Ticket


class Line:
    """Waiting tickets that are served in the order of arrival: of one queue, class and quota."""

    __slots__ = ("count", "first", "is_batch", "last", "promised", "quota", "tenant")

    def __init__(
        self, is_batch: bool = False, quota: Quota | None = None, tenant: Tenant | None = None
    ) -> None:
        self.is_batch: bool = is_batch
        self.quota: Quota | None = quota
        # whose limit holds for these; None where the queue is of one user
        self.tenant: Tenant | None = tenant
        self.first: Ticket | None = None
        self.last: Ticket | None = None
        self.count: int = 0
        # with a quota: for how many of these a member is coming
        self.promised: int = 0

    def promise(self, coming: int) -> None:
        """So many members are coming for these, or for nobody."""
        if self.quota is not None:
            promised = max(0, min(self.count, coming))
            self.quota.promised += promised - self.promised
            self.promised = promised

    def room(self) -> int:
        """How many of these may be served now."""
        if self.tenant is not None and self.tenant.is_stuck():
            return 0
        quota = self.quota
        return self.count if quota is None else max(0, min(self.count, quota.most - quota.leased))

    def append(self, ticket: Ticket) -> None:
        last = self.last
        ticket.ahead = last
        if last is None:
            self.first = ticket
        else:
            last.behind = ticket
        self.last = ticket
        ticket.line = self
        self.count += 1

    def remove(self, ticket: Ticket) -> None:
        ahead = ticket.ahead
        behind = ticket.behind
        if ahead is None:
            self.first = behind
        else:
            ahead.behind = behind
        if behind is None:
            self.last = ahead
        else:
            behind.ahead = ahead
        ticket.ahead = ticket.behind = None
        ticket.line = None
        self.count -= 1

    def tickets(self, most: int) -> list[Ticket]:
        """The first of them."""
        found: list[Ticket] = []
        ticket = self.first
        while ticket is not None and len(found) < most:
            found.append(ticket)
            ticket = ticket.behind
        return found
