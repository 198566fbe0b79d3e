"""The toxic proxy does what it says: else tests of faults would test nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.fakes.loop_thread import LoopThread
from tests.fakes.toxics import (
    HOST,
    Bandwidth,
    BlackHole,
    Cut,
    Latency,
    Reset,
    Slicer,
    ToxicProxy,
    sliced,
)


class Echo:
    """A server that sends back what it gets, and keeps the segments that it saw."""

    def __init__(self) -> None:
        self.segments: list[bytes] = []
        self.endings: list[str] = []
        self._listener: asyncio.Server | None = None

    async def start(self) -> int:
        self._listener = await asyncio.start_server(self._serve, HOST, 0)
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        assert self._listener is not None
        self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                self.segments.append(chunk)
                writer.write(chunk)
                await writer.drain()
            self.endings.append("end")
        except ConnectionError:
            self.endings.append("reset")
        writer.close()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, chunk: bytes) -> None:
        self.writer.write(chunk)

    async def gets(self, size: int) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readexactly(size)

    async def says(self, chunk: bytes) -> bytes:
        """Send it and wait for its echo."""
        self.send(chunk)
        return await self.gets(len(chunk))

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.read()


class Scene:
    """An echo behind a toxic proxy."""

    def __init__(self, echo: Echo, proxy: ToxicProxy) -> None:
        self.echo = echo
        self.proxy = proxy
        self.clients: list[Client] = []

    async def client(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection(HOST, self.proxy.port)))
        return self.clients[-1]


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    echo = Echo()
    proxy = ToxicProxy(HOST, await echo.start(), luck=lambda: 0.5)
    made = Scene(echo, proxy)
    async with proxy:
        yield made
        for client in made.clients:
            client.writer.close()
    echo.stop()


def now() -> float:
    return asyncio.get_running_loop().time()


async def eventually(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (nothing tells when it comes true)
            await asyncio.sleep(0.005)


async def test_without_toxics_everything_passes_in_both_directions() -> None:
    async with scene() as it:
        client = await it.client()
        large = bytes(range(256)) * 4000
        assert await client.says(large) == large
        assert it.proxy.to_server.passed == it.proxy.to_client.passed == len(large)
        assert it.proxy.connections == 1


async def test_end_of_one_direction_leaves_the_other() -> None:
    async with scene() as it:
        client = await it.client()
        client.send(b"last words")
        client.writer.write_eof()
        assert await client.rest() == b"last words"
        assert it.echo.endings == ["end"]
        await eventually(lambda: it.proxy.connections == 0)


async def test_latency_delays_and_jitter_adds_to_it() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_server.add(Latency(0.05))
        it.proxy.to_client.add(Latency(0.05, jitter=0.1))
        began = now()
        assert await client.says(b"ping") == b"ping"
        assert now() - began >= 0.15


async def test_latency_keeps_order_and_rate() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_server.add(Latency(0.2))
        began = now()
        for number in range(20):
            client.send(b"%03d," % number)
            await asyncio.sleep(0.005)
        assert await client.gets(80) == b"".join(b"%03d," % number for number in range(20))
        # one latency for all, where twenty one after the other would take four seconds
        assert now() - began < 4


async def test_bytes_that_wait_go_on_when_the_latency_is_removed() -> None:
    async with scene() as it:
        client = await it.client()
        slow = it.proxy.to_server.add(Latency(3600))
        client.send(b"ping")
        await asyncio.sleep(0.02)
        assert it.echo.segments == []
        it.proxy.to_server.remove(slow)
        assert await client.gets(4) == b"ping"


async def test_bandwidth_limits_the_rate() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_server.add(Bandwidth(10_000))
        began = now()
        assert await client.says(bytes(4000)) == bytes(4000)
        # the pause behind the last piece comes when the echo is here already
        assert now() - began >= 0.25


async def test_slicer_cuts_segments() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_server.add(Slicer(3, 0.01))
        assert await client.says(b"abcdefgh") == b"abcdefgh"
        assert it.echo.segments == [b"abc", b"def", b"gh"]


async def test_toxics_add_up() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_server.replace(Latency(0.05), Latency(0.05), Slicer(2, 0.01), Cut(5))
        began = now()
        client.send(b"abcdefgh")
        await client.rest()
        assert now() - began >= 0.1
        await eventually(lambda: len(it.echo.endings) == 1)
        assert it.echo.segments == [b"ab", b"cd", b"e"]


async def test_cut_closes_after_so_many_bytes_of_each_connection() -> None:
    async with scene() as it:
        old, new = await it.client(), await it.client()
        assert await old.says(b"before") == b"before"
        it.proxy.to_client.add(Cut(5))
        new.send(b"abcdefgh")
        assert await new.rest() == b"abcde"
        # for a connection that was there before it counts from now on
        old.send(b"ABCDEFGH")
        assert await old.rest() == b"ABCDE"
        await eventually(lambda: it.proxy.connections == 0)


async def test_reset_after_bytes_is_a_reset_for_both() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_server.add(Reset(3))
        client.send(b"abcdef")
        with pytest.raises(ConnectionResetError):
            await client.rest()
        await eventually(lambda: it.echo.endings == ["reset"])


async def test_black_hole_swallows_bytes_and_ends_until_it_is_removed() -> None:
    async with scene() as it:
        client = await it.client()
        hole = it.proxy.to_server.add(BlackHole())
        client.send(b"ping")
        client.writer.write_eof()
        await asyncio.sleep(0.03)
        assert (it.echo.segments, it.echo.endings, it.proxy.connections) == ([], [], 1)
        it.proxy.to_server.remove(hole)
        assert await client.rest() == b"ping"


async def test_black_hole_after_bytes_lets_these_through() -> None:
    async with scene() as it:
        client = await it.client()
        it.proxy.to_client.add(BlackHole(2))
        client.send(b"abcd")
        assert await client.gets(2) == b"ab"
        await eventually(lambda: it.echo.segments == [b"abcd"])
        assert it.proxy.to_client.passed == 2
        it.proxy.to_client.replace()
        assert await client.gets(2) == b"cd"


async def test_refusing_leaves_open_connections_and_ends() -> None:
    async with scene() as it:
        client = await it.client()
        assert await client.says(b"one") == b"one"
        it.proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await it.client()
        assert await client.says(b"two") == b"two"
        await it.proxy.accept()
        assert await (await it.client()).says(b"three") == b"three"


async def test_cut_and_reset_end_all_connections_at_once() -> None:
    async with scene() as it:
        polite, rude = await it.client(), await it.client()
        assert await polite.says(b"one") == await rude.says(b"one") == b"one"
        it.proxy.cut()
        assert await polite.rest() == await rude.rest() == b""
        third = await it.client()
        assert await third.says(b"two") == b"two"
        it.proxy.reset()
        with pytest.raises(ConnectionResetError):
            await third.rest()
        await eventually(lambda: it.echo.endings.count("reset") == 1)
        assert it.proxy.connections == 0


async def test_target_that_refuses_is_a_reset_and_another_may_be_set() -> None:
    async with scene() as it:
        right = it.proxy.target
        unused = await asyncio.start_server(lambda *_: None, HOST, 0)
        it.proxy.target = unused.sockets[0].getsockname()
        unused.close()
        with pytest.raises(ConnectionResetError):
            await (await it.client()).rest()
        it.proxy.target = right
        assert await (await it.client()).says(b"one") == b"one"


def test_slices_are_all_of_it() -> None:
    assert sliced(b"abcdefg", 3) == [b"abc", b"def", b"g"]


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    with LoopThread() as started:
        yield started


def test_loop_thread_runs_while_the_test_blocks(thread: LoopThread) -> None:
    async def echo_once() -> bytes:
        async with scene() as it:
            return await (await it.client()).says(b"hello")

    assert thread.run(echo_once()) == b"hello"
    assert thread.call(asyncio.get_running_loop) is thread.loop
    with pytest.raises(ZeroDivisionError):
        thread.call(divmod, 1, 0)
