"""An event loop for tests that are dialogues: it runs only while somebody waits for it, and its clock only moves when told.

A test is a plain function. Whatever it does goes through `StepLoop.call`, which runs the loop until nothing is left to do at the
present time; timers become due by `advance`. So there are no sleeps and no races: after each line of a test everything that follows
from it has happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from tests.fakes.transport import MemoryTransport


class Host(Protocol):
    """What listens at an address of the loop."""

    async def connect(self, protocol: Any) -> MemoryTransport:
        """A connection is made, or OSError raised."""

    async def start_tls(self, transport: MemoryTransport) -> MemoryTransport | None:
        """A connection becomes a TLS connection, or ssl.SSLError is raised."""


class StepLoop(asyncio.SelectorEventLoop):
    """Connections that are made in it go to `hosts`, through memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        # (host, port), or the path of a Unix socket
        self.hosts: dict[object, Host] = {}
        self.errors: list[BaseException] = []
        self.set_exception_handler(self._note_error)

    def _note_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.errors.append(context.get("exception") or RuntimeError(context["message"]))

    # Time

    def time(self) -> float:
        return self.now

    def step(self) -> bool:
        """One turn; False when nothing was to be done."""
        is_busy = bool(self._ready) or self._next_timer() <= self.now  # type: ignore[attr-defined]
        self.call_soon(self.stop)
        self.run_forever()
        return is_busy

    def settle(self) -> None:
        """Run until nothing is left to be done at the present time. Raises what a callback raised."""
        for _ in range(10_000):
            if not self.step():
                break
        else:
            raise AssertionError("the loop does not come to rest")
        if self.errors:
            raise self.errors.pop()

    def call(self, callback: Callable[..., object], *args: object) -> None:
        """Run a callback in the loop, and all that follows from it."""
        self.call_soon(callback, *args)
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass, from timer to timer."""
        self.settle()
        until = self.now + seconds
        while (when := self._next_timer()) <= until:
            self.now = max(self.now, when)
            self.settle()
        self.now = until
        self.settle()

    def _next_timer(self) -> float:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        return min(timers, default=float("inf"))

    # The network

    async def create_connection(self, *args: Any, **rest: Any) -> Any:
        factory, host, port = args
        return await self._connect(factory, (host, port))

    async def create_unix_connection(self, *args: Any, **rest: Any) -> Any:
        factory, path = args
        return await self._connect(factory, path)

    async def _connect(self, factory: Callable[[], Any], address: object) -> Any:
        if address not in self.hosts:
            raise ConnectionRefusedError(f"connection to {address} refused")
        protocol = factory()
        transport = await self.hosts[address].connect(protocol)
        return transport, protocol

    async def start_tls(self, *args: Any, **rest: Any) -> Any:
        transport, *_ = args
        return await transport.host.start_tls(transport)
