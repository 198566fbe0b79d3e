"""An event loop in a thread of its own, for fakes that have to go on while a blocking test waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import uvloop

from proxy import tasks

T = TypeVar("T")
PATIENCE: Final = 60.0


class LoopThread:
    """A context manager. What belongs to the loop is made and changed by `run` and `call`."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="fakes", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Cancel its tasks and end it."""
        if self._thread.is_alive():
            self.run(tasks.cancel_all())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for what it returns or raises."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result(PATIENCE)

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Call a function there and wait for what it returns or raises."""

        async def calling() -> T:
            return function(*args)

        return self.run(calling())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()
