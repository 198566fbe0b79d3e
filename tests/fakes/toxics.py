"""A TCP proxy that misbehaves as it is told: for tests of what happens when the network does.

    async with ToxicProxy("127.0.0.1", 3306) as proxy:
        slow = proxy.to_client.add(Latency(0.05))
        ...
        proxy.to_client.remove(slow)

Each direction has its own toxics. They add up, and they hold for connections that are open already: bytes that wait for a toxic go on
as soon as it is removed. `refuse`, `cut` and `reset` are about connections as a whole. Everything belongs to the loop that it was started in;
`tests.fakes.loop_thread` gives one to blocking tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from proxy.tasks import spawn

HOST: Final = "127.0.0.1"
NEVER: Final = float("inf")
CHUNK_SIZE: Final = 1 << 16
# Chunks that wait in one direction of one connection; then the sender has to wait, too.
MOST_CHUNKS: Final = 256
RESETTING: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time at all


class End(enum.Enum):
    """What happens when a connection has passed as many bytes as a toxic lets it."""

    HOLD = "hold"
    CLOSE = "close"
    RESET = "reset"


class Toxic:
    """One way to misbehave. What a kind does not override it leaves alone."""

    # bytes that a connection may pass from the moment when it meets this toxic; None: any number
    after: int | None = None
    end: End = End.HOLD

    def delay(self, luck: float) -> float:
        """Seconds between a chunk's arrival and its departure; `luck` is the chunk's own number from 0 to 1."""
        return 0.0

    def pieces(self, chunk: bytes) -> list[bytes]:
        """What is written instead of a chunk, one after the other."""
        return [chunk]

    def pause(self, size: int) -> float:
        """Seconds to wait behind a piece of so many bytes."""
        return 0.0


class Latency(Toxic):
    """Every byte comes later by `seconds`, and by up to `jitter` more. The rate stays what it is, and so does the order."""

    def __init__(self, seconds: float, jitter: float = 0.0) -> None:
        self.seconds = seconds
        self.jitter = jitter

    def delay(self, luck: float) -> float:
        return self.seconds + self.jitter * luck


class Bandwidth(Toxic):
    """So many bytes a second."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def pieces(self, chunk: bytes) -> list[bytes]:
        # some ten pieces a second, or the first one would come too early and a change too late
        return sliced(chunk, max(1, int(self.rate / 10)))

    def pause(self, size: int) -> float:
        return size / self.rate


class Slicer(Toxic):
    """Pieces of at most `size` bytes, each a segment of its own, `seconds` apart."""

    def __init__(self, size: int, seconds: float = 0.0) -> None:
        self.size = size
        self.seconds = seconds

    def pieces(self, chunk: bytes) -> list[bytes]:
        return sliced(chunk, self.size)

    def pause(self, size: int) -> float:
        return self.seconds


class Cut(Toxic):
    """The connection is closed as soon as it has passed `after` more bytes; the next segment is the first that counts."""

    end = End.CLOSE

    def __init__(self, after: int) -> None:
        self.after = after


class Reset(Cut):
    """The same, with a reset: bytes on their way are lost and the peers get ECONNRESET."""

    end = End.RESET


class BlackHole(Toxic):
    """Nothing passes any more, not even the end of the connection, once `after` more bytes have."""

    def __init__(self, after: int = 0) -> None:
        self.after = after


AnyToxic = TypeVar("AnyToxic", bound=Toxic)


class Direction:
    """One direction of all connections: its toxics, and how many bytes have passed."""

    def __init__(self) -> None:
        self.toxics: list[Toxic] = []
        self.passed = 0
        self._change = asyncio.Event()

    def add(self, toxic: AnyToxic) -> AnyToxic:
        """From now on."""
        self.replace(*self.toxics, toxic)
        return toxic

    def remove(self, toxic: Toxic) -> None:
        """Not any longer. Harmless when it is not there."""
        self.replace(*(each for each in self.toxics if each is not toxic))

    def replace(self, *toxics: Toxic) -> None:
        """These and no others; none: as a good network."""
        self.toxics = list(toxics)
        self._change.set()
        self._change = asyncio.Event()

    async def changed(self, seconds: float = NEVER) -> None:
        """Until other toxics hold, or so many seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == NEVER else seconds):
                await self._change.wait()


class Pipe:
    """One direction of one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
        luck: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._direction = direction
        self._luck = luck
        # when it came, its luck, and what it is: b"" is the end, None a reset
        self._chunks: asyncio.Queue[tuple[float, float, bytes | None]] = asyncio.Queue(MOST_CHUNKS)
        self._passed = 0
        # how many bytes had passed when this toxic was met
        self._met: dict[Toxic, int] = {}

    async def read(self) -> None:
        """Take what comes until the end."""
        time = asyncio.get_running_loop().time
        chunk: bytes | None = b"-"
        while chunk:
            try:
                chunk = await self._reader.read(CHUNK_SIZE)
            except OSError:
                chunk = None
            await self._chunks.put((time(), self._luck(), chunk))

    async def deliver(self) -> End:
        """Give it on, and say what becomes of the connection; HOLD: this direction has ended, the other has not."""
        while True:
            arrived, luck, chunk = await self._chunks.get()
            await self._wait_until_due(arrived, luck)
            if not chunk:
                return await self._finish(is_reset=chunk is None)
            for piece in self._cut_up(chunk):
                end = await self._pass(piece)
                if end is not End.HOLD:
                    return end

    async def _finish(self, is_reset: bool) -> End:
        while any(each.after is not None and each.end is End.HOLD for each in self._direction.toxics):
            await self._direction.changed()
        if is_reset:
            return End.RESET
        self._writer.write_eof()
        return End.HOLD

    async def _wait_until_due(self, arrived: float, luck: float) -> None:
        time = asyncio.get_running_loop().time
        while (left := arrived + sum(each.delay(luck) for each in self._direction.toxics) - time()) > 0:
            await self._direction.changed(left)

    def _cut_up(self, chunk: bytes) -> list[bytes]:
        pieces = [chunk]
        for toxic in self._direction.toxics:
            pieces = [part for piece in pieces for part in toxic.pieces(piece)]
        return pieces

    async def _pass(self, piece: bytes) -> End:
        """HOLD when the connection goes on."""
        while True:
            limit = self._nearest_limit()
            room = len(piece) if limit is None else min(self._room(limit), len(piece))
            if room:
                await self._write(piece[:room])
            piece = piece[room:]
            if limit is not None and limit.end is not End.HOLD and not self._room(limit):
                return limit.end
            if not piece:
                return End.HOLD
            await self._direction.changed()

    async def _write(self, part: bytes) -> None:
        self._writer.write(part)
        await self._writer.drain()
        self._passed += len(part)
        self._direction.passed += len(part)
        seconds = sum(each.pause(len(part)) for each in self._direction.toxics)
        # also without a pause: one turn of the loop makes a segment of each piece
        await asyncio.sleep(seconds)

    def _nearest_limit(self) -> Toxic | None:
        limits = [each for each in self._direction.toxics if each.after is not None]
        return min(limits, key=self._room, default=None)

    def _room(self, limit: Toxic) -> int:
        assert limit.after is not None
        return max(0, limit.after - self._passed + self._met.setdefault(limit, self._passed))


class Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)

    async def run(self, *pipes: Pipe) -> None:
        """Until both directions have ended, or one has ended the connection."""
        reading = [spawn(pipe.read(), name="toxic pipe, reading") for pipe in pipes]
        delivering = [spawn(delivered(pipe), name="toxic pipe, delivering") for pipe in pipes]
        try:
            for finished in asyncio.as_completed(delivering):
                end = await finished
                if end is not End.HOLD:
                    self.end(end)
                    break
        finally:
            self.end(End.CLOSE)
            for task in (*reading, *delivering):
                task.cancel()
            await asyncio.gather(*reading, *delivering, return_exceptions=True)

    def end(self, end: End) -> None:
        """Close both sides, or reset them."""
        for writer in self._writers:
            if end is End.RESET and not writer.transport.is_closing():
                resetting(writer)
            writer.close()


class ToxicProxy:
    """Listens on a port of its own and passes connections on to `target`, which may be set anew for connections to come."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        listen: str = HOST,
        listen_port: int = 0,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self.target = (host, port)
        self.host = listen
        # of ours; 0 before the start means any
        self.port = listen_port
        self.to_client = Direction()
        self.to_server = Direction()
        self._luck = luck
        self._links: dict[Link, asyncio.Task[None] | None] = {}
        self._listener: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._links)

    async def accept(self) -> None:
        """Listen, again if need be on the same port."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Do not listen: the system refuses new connections. Those that are open stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def cut(self) -> None:
        """Close all connections."""
        self._end_all(End.CLOSE)

    def reset(self) -> None:
        """Reset all connections."""
        self._end_all(End.RESET)

    async def stop(self) -> None:
        """Close everything."""
        self.refuse()
        self.reset()
        tasks = [task for task in self._links.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _end_all(self, end: End) -> None:
        for link, task in self._links.items():
            link.end(end)
            if task is not None:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.target)
        except OSError:
            resetting(writer)
            writer.close()
            return
        link = Link(writer, server_writer)
        for each in (writer, server_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links[link] = asyncio.current_task()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await link.run(
                    Pipe(reader, server_writer, self.to_server, self._luck),
                    Pipe(server_reader, writer, self.to_client, self._luck),
                )
        finally:
            del self._links[link]


async def delivered(pipe: Pipe) -> End:
    """`deliver`, where a peer that does not take it any more is a reset."""
    try:
        return await pipe.deliver()
    except OSError:
        return End.RESET


def resetting(writer: asyncio.StreamWriter) -> None:
    """Make its end a reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETTING)
    writer.transport.abort()


def sliced(chunk: bytes, size: int) -> list[bytes]:
    """A chunk in pieces of at most so many bytes."""
    return [chunk[start : start + size] for start in range(0, len(chunk), size)]
