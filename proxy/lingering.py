"""Connections of clients that we have closed and that may be there still.

A transport that is closed waits until its client has read what is left for it, and under TLS until the client has closed its side, too. A client that does
neither would keep a descriptor, and what is left, for as long as it likes, although nobody counts it any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

GRACE: Final = 5.0
"""Seconds without progress that a client has for what is left for it. (One that never came in has none: its error is sent by then.)"""


class Lingering:
    """Closes transports, and aborts those that after `grace` seconds have not gone, nor got rid of anything meanwhile."""

    __slots__ = ("_closed", "_grace")

    def __init__(self, grace: float) -> None:
        self._grace = grace
        # when to look, at what, and how much it still had to send: in the order of the times
        self._closed: deque[tuple[float, asyncio.Transport, int]] = deque()

    def __len__(self) -> int:
        return len(self._closed)

    def close(self, transport: asyncio.Transport, now: float) -> None:
        """Close this one. Most are gone at once, and not remembered."""
        transport.close()
        size = transport.get_write_buffer_size()
        if size or transport.get_extra_info("sslcontext") is not None:
            self._closed.append((now + self._grace, transport, size))

    def look(self, now: float) -> None:
        """The tick. To abort one that has gone does nothing."""
        closed = self._closed
        while closed and closed[0][0] <= now:
            _, transport, size = closed.popleft()
            left = transport.get_write_buffer_size()
            if left < size:
                closed.append((now + self._grace, transport, left))
            else:
                transport.abort()
