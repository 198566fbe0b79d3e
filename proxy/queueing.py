"""Reads that wait in a reader's queue, and are placed anew: functions on a `Lessee`.

A ticket waits at one server. At each look at the readers those are sent away that need not wait there (`is_misplaced`), in the order in which they came:

- all whose reads it may not have any more: it is lost, frozen, or too far behind for them;
- who has waited for LONG because all its backends are leased, or it takes no more connections, while another reader that may have the read has one left.

Where they go is for `placing` to say, as for any read: the rules for what falls back on the writer hold, and that readers are full is no reason for it.
There they stand at the end of the queue, so that they overtake nobody. Their time goes on: `acquire_timeout` counts from when they began to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.fences import NO_FENCE, Fence
from proxy.placement import Placement
from proxy.pool import has_moved
from proxy.readers import Reader
from proxy.states import WAITING
from proxy.tenants import Waiter

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.lessee import Lessee
    from proxy.placing import Placing
    from proxy.shared import Shared

LONG: Final = 0.1
"""Seconds in the queue of a reader whose backends are all leased, after which another one is asked for."""
MOST_LOOKED_AT: Final = 1000
"""Waiters of one reader, the oldest first, for whom at one look another one is sought that has room."""


def count(placing: Placing, shared: Shared) -> None:
    """Tell the balance what is in use now, and who waits."""
    table = placing.table
    for name, endpoint in placing.endpoints.items():
        known = table.readers.get(name)
        if known is not None:
            known.contender.counted(endpoint.demand(), max(1, endpoint.core.capacity))
    if table.writer.weight > 0:
        writer = shared.choose(False)
        table.writer.counted(writer.demand(), max(1, writer.core.capacity))


def fence_of(placing: Placing, placement: Placement) -> Fence:
    """What others have written with the causal key of the command."""
    key = placement.read_key()
    return placing.fences.fence(key) if key else NO_FENCE


def look(placing: Placing) -> None:
    """There may be news of the readers, or time has passed."""
    for name, endpoint in list(placing.endpoints.items()):
        reader = placing.table.readers.get(name)
        if endpoint.core.waiting_count and reader is not None and reader.has_role:
            _look_at(placing, endpoint, reader)


def _look_at(placing: Placing, endpoint: Endpoint, reader: Reader) -> None:
    now = placing.clock()
    waiters = endpoint.core.waiters()
    if placing.table.may_have(reader.name, None, now):
        waiters = waiters[:MOST_LOOKED_AT]
    for ticket in waiters:
        if (
            ticket.queue is not None
            and isinstance(ticket, Waiter)
            and ticket.is_misplaced(placing, reader, now)
        ):
            placing.moved += 1
            endpoint.move(ticket)


def is_misplaced(lessee: Lessee, placing: Placing, reader: Reader, now: float) -> bool:
    """Whether a session need not wait in this reader's queue, and will be sent elsewhere if it asks anew."""
    placement, endpoint, ticket = lessee.placement, lessee.endpoint, lessee.ticket
    if placement is None or endpoint is None or ticket is None:
        return False
    if lessee.state != WAITING or placement.reader is not reader:
        return False
    if not _may_stay(placing, placement, reader, now):
        # what is no read stays with any reader, on the reader listener
        is_free = placement.record.is_read() or not placement.side.is_reader
        return is_free or _is_room_elsewhere(lessee, placing, placement, now)
    is_late = lessee.shared.loop.time() - ticket.enqueued_at >= LONG
    is_full = endpoint.demand() > endpoint.core.capacity
    return is_late and is_full and _is_room_elsewhere(lessee, placing, placement, now)


def _may_stay(placing: Placing, placement: Placement, reader: Reader, now: float) -> bool:
    table, max_lag = placing.table, placement.record.facts.hints.max_lag
    if placement.awaited is not None:
        # it is to wait there, for what it must see
        return table.is_near(reader, now, max_lag)
    return table.may_have(reader.name, placement.view, now, max_lag, fence_of(placing, placement))


def _is_room_elsewhere(lessee: Lessee, placing: Placing, placement: Placement, now: float) -> bool:
    count(placing, lessee.shared)
    assert placement.reader is not None
    max_lag = placement.record.facts.hints.max_lag
    fence = fence_of(placing, placement)
    return placing.table.has_room_beside(placement.reader.name, placement.view, now, max_lag, fence)


def is_over(lessee: Lessee, placing: Placing, placement: Placement, now: float) -> bool:
    """Whether a read that waits for a reader, or its turn on the writer, has waited for `acquire_timeout`, in queues and here."""
    ticket, limit = lessee.ticket, placing.rules.acquire_timeout
    if ticket is not None and has_moved(ticket):
        return lessee.shared.loop.time() - ticket.enqueued_at >= limit
    return now >= placement.until + limit


def forget(lessee: Lessee) -> None:
    """The command was answered while it waited for a reader: the next one has its own time."""
    if lessee.ticket is not None and has_moved(lessee.ticket):
        lessee.ticket.error = None
