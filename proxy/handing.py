"""How clients come to the workers: the parent accepts, and hands each over to the worker that has the fewest. A shell.

A socket travels over a pair of Unix sockets of each worker's (`SCM_RIGHTS`, unix(7)), with one byte that says which address it came in by. What a worker cannot take
at once waits here, in the order of arrival, and accepting pauses meanwhile.

`limits.max_clients` is of all workers together, and judged here. How many clients they have is known as of some moments ago, so that it is asked anew before one is refused. Who does
not answer has as many as it has told last, until it is dead.

SO_REUSEPORT, the other way, has the kernel choose by a hash of addresses. Tried 300 times with 16 connections, one of two processes got 11 or more of them in every fifth case (of 200
connections up to 115); applications keep theirs for hours, so that this is never made good. Nor are there Unix sockets for it, and who waits in the backlog of a worker that
dies is lost. Handing a client over costs some 5 us besides accepting it, a hundredth of a login.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from proxy.listeners import ACCEPTS_AT_ONCE, Acceptor, Entrance, refuse
from proxy.tasks import spawn

if TYPE_CHECKING:
    from config.values import Address

SLACK: Final = 32
"""So many more clients than one that is full now may another get, or a quarter more."""
BUSY: Final = 0.5
"""Seconds after which one that is still full is waited for no longer."""


class Way:
    """To one worker: its end of the pair, and how many clients it has."""

    def __init__(self, worker: int, end: socket.socket) -> None:
        self.worker: Final = worker
        self.end: Final = end
        # clients handed over, and as far as the worker has told: taken, and open
        self.handed = 0
        self.taken = 0
        self.open = 0
        # it cannot take more now
        self.is_full = False
        self.full_since = 0.0

    @property
    def clients(self) -> int:
        """That it has, or is about to have."""
        return self.open + self.handed - self.taken


class Gate:
    """All addresses, and the ways from there to the workers."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Any,
        limit: int,
        recount: Callable[[], Awaitable[None]],
    ) -> None:
        """``limit``: so many clients at a time. ``recount``: has all workers say how many they have, which their ways know when it returns."""
        self._loop: Final = loop
        self._log: Final = log
        self._limit: Final = limit
        self._recount: Final = recount
        self._is_counting = False
        # clients told 1040
        self.refused = 0
        self.acceptors: Final[list[AddressAcceptor]] = []
        self._ways: Final[list[Way]] = []
        # to those who cannot take any, and have some
        self._shut: Final[list[Way]] = []
        # nobody can take these yet: number of the address, and the client's socket
        self._waiting: Final[deque[tuple[int, socket.socket]]] = deque()

    def listen(self, address: Address) -> None:
        """One address more. Raises ListenError."""
        self.acceptors.append(AddressAcceptor(self, self._loop, self._log, address, len(self.acceptors)))

    def start(self) -> None:
        """Let clients in."""
        for acceptor in self.acceptors:
            acceptor.start()

    def close(self) -> None:
        """Take no more clients; who waits is sent away."""
        for acceptor in self.acceptors:
            acceptor.close()
        while self._waiting:
            self._waiting.popleft()[1].close()

    def open_way(self, way: Way) -> None:
        """A worker can take clients now, or again."""
        way.is_full = False
        if way in self._shut:
            self._shut.remove(way)
        self._ways.append(way)
        self._go_on()

    def shut_way(self, way: Way) -> None:
        """It cannot any more, or not for the moment; the clients that it has count as before."""
        if way in self._ways:
            self._ways.remove(way)
            self._shut.append(way)
            if way.is_full:
                self._loop.remove_writer(way.end)

    def close_way(self, way: Way) -> None:
        """It is dead, and has no clients any more."""
        self.shut_way(way)
        if way in self._shut:
            self._shut.remove(way)

    def let_in(self, number: int, client: socket.socket) -> None:
        """A client has come by this address."""
        self._waiting.append((number, client))
        self._hand_over()

    def _hand_over(self) -> None:
        while self._waiting:
            if self._is_at_limit():
                self._pause()
                if not self._is_counting:
                    self._is_counting = True
                    spawn(self._count(), name="count clients")
                return
            if not self._hand_over_first():
                return

    def _is_at_limit(self) -> bool:
        return sum(way.clients for way in (*self._ways, *self._shut)) >= self._limit

    async def _count(self) -> None:
        """Who waits now is refused if it is true that there are so many. Who comes meanwhile is not: for him it is counted again."""
        waiting = len(self._waiting)
        try:
            await self._recount()
        finally:
            self._is_counting = False
        while waiting and self._waiting:
            waiting -= 1
            if self._is_at_limit():
                self.refused += 1
                refuse(self._waiting.popleft()[1])
            elif not self._hand_over_first():
                break
        self._go_on()

    def _hand_over_first(self) -> bool:
        """False when there is nobody to take him now."""
        while (way := self._choose()) is not None:
            number, client = self._waiting[0]
            if self._send(way, number, client):
                self._waiting.popleft()
                client.close()
                return True
        self._pause()
        return False

    def _choose(self) -> Way | None:
        """The one with the fewest clients. If that is full for the moment another, as long as it does not get many more: that would last."""
        now = self._loop.time()
        ways = [way for way in self._ways if not way.is_full or now - way.full_since < BUSY]
        fewest = min(ways, key=lambda way: way.clients, default=None)
        if fewest is None or not fewest.is_full:
            return fewest
        most = fewest.clients + max(SLACK, fewest.clients // 4)
        free = [way for way in ways if not way.is_full and way.clients < most]
        return min(free, key=lambda way: way.clients, default=None)

    def _pause(self) -> None:
        for acceptor in self.acceptors:
            acceptor.pause()

    def _send(self, way: Way, number: int, client: socket.socket) -> bool:
        try:
            socket.send_fds(way.end, [bytes([number])], [client.fileno()])
        except BlockingIOError:
            way.is_full, way.full_since = True, self._loop.time()
            self._loop.call_later(BUSY, self._go_on)
            self._loop.add_writer(way.end, self._has_room, way)
            return False
        except OSError:
            # the worker has ended, which its channel will say, too
            self.shut_way(way)
            return False
        way.handed += 1
        return True

    def _has_room(self, way: Way) -> None:
        self._loop.remove_writer(way.end)
        way.is_full = False
        self._go_on()

    def _go_on(self) -> None:
        self._hand_over()
        if not self._waiting:
            for acceptor in self.acceptors:
                acceptor.resume()


class AddressAcceptor(Acceptor):
    """One address of a gate."""

    def __init__(
        self, gate: Gate, loop: asyncio.AbstractEventLoop, log: Any, address: Address, number: int
    ) -> None:
        super().__init__(loop, log, address)
        self._gate: Final = gate
        self._number: Final = number

    def _accepted(self, accepted: socket.socket, address: object) -> None:
        self._gate.let_in(self._number, accepted)


class Reception:
    """A worker's end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        log: Any,
        end: socket.socket,
        entrances: Sequence[Entrance],
    ) -> None:
        self._loop: Final = loop
        self._log: Final = log
        self._end: Final = end
        self._entrances: Final = entrances
        # clients that were taken
        self.taken = 0

    def start(self) -> None:
        """Take clients from now on."""
        self._end.setblocking(False)
        self._loop.add_reader(self._end, self._take)

    def close(self) -> None:
        """Take no more; who is on the way is sent away by the kernel."""
        self._loop.remove_reader(self._end)
        self._end.close()

    def _take(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                number, descriptors, _, _ = socket.recv_fds(self._end, 1, 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                number, descriptors = b"", []
            if not number:
                # the parent has ended
                self._loop.remove_reader(self._end)
                return
            self.taken += 1
            if not descriptors:
                self._log.warning("a client is lost: no file descriptor is free")
                continue
            self._admit(number[0], socket.socket(fileno=descriptors[0]))

    def _admit(self, number: int, client: socket.socket) -> None:
        try:
            address = client.getpeername()
        except OSError:
            # it has left already
            client.close()
            return
        self._entrances[number].admit(client, address)
