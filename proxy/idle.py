"""When an idle client's time is up: wait_timeout, kept at the client's socket. Pure.

No timer for a client and nothing for a query but a note of the time. A client is in one bucket, by the tick at which it is looked at next;
that is never after its time is up, mostly long before, and then it goes into a later one. So a busy client is looked at about as often as it
would have to be idle for its end.

Each bucket is a dict, whose order is that of arrival; a client that leaves is taken out at once. Who is far from its end waits in one of few,
coarse buckets.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

TICKS_PER_SECOND: Final = 10
_COARSE: Final = 640
"""Ticks. Nobody is looked at more often than this as long as the end is further off."""
_MIDDLE: Final = 20


class Watched(Protocol):
    """A client of the watch."""

    due_tick: int
    """the bucket that it is in; 0: none"""


Client = TypeVar("Client", bound=Watched)


class IdleWatch(Generic[Client]):
    """Clients by the tick at which they have to be looked at."""

    __slots__ = ("_buckets", "_tick", "count")

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, dict[Client, None]] = {}
        self._tick: int = int(now * TICKS_PER_SECOND)
        # clients that are watched
        self.count: int = 0

    def watch(self, client: Client, due: float) -> None:
        """Look at this client when its time may be up, at the clock's `due` at the latest; again from now on if it was watched before."""
        self.forget(client)
        tick = self._round(int(due * TICKS_PER_SECOND) + 1)
        client.due_tick = tick
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
        bucket[client] = None
        self.count += 1

    def forget(self, client: Client) -> None:
        """It has no limit, or is gone."""
        if not client.due_tick:
            return
        bucket = self._buckets[client.due_tick]
        del bucket[client]
        if not bucket:
            del self._buckets[client.due_tick]
        client.due_tick = 0
        self.count -= 1

    def take_due(self, now: float) -> list[Client]:
        """Those to look at now, oldest first; they are no longer watched."""
        tick = int(now * TICKS_PER_SECOND)
        found: list[Client] = []
        while self._tick < tick:
            self._tick += 1
            bucket = self._buckets.pop(self._tick, None)
            if bucket is not None:
                for client in bucket:
                    client.due_tick = 0
                    found.append(client)
        self.count -= len(found)
        return found

    def _round(self, tick: int) -> int:
        """The bucket for a client whose time is up at this tick: the earlier, the further off that is."""
        left = tick - self._tick
        if left > 2 * _COARSE:
            tick -= tick % _COARSE
        elif left > 2 * _MIDDLE:
            tick -= tick % _MIDDLE
        return max(tick, self._tick + 1)
