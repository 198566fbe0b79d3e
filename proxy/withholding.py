"""Answers that wait until other workers know what has happened (`workers = n`): who reads the OK of a SET PASSWORD must not meet the old one, wherever it logs in next.

While such a statement runs its session has a `Withheld` in place of its transport: nothing of this is on the way of other answers. It keeps back what would complete the
answer, and what comes after that, until the others have said that they have heard the news. The session itself goes on at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from proxy.statement import NEWS
from proxy.states import RELAYING
from proxy.tasks import spawn

if TYPE_CHECKING:
    from proxy.colleagues import Colleagues
    from proxy.frontend import Frontend

PATIENCE: Final = 1.0
"""Seconds that others have to say that they have heard."""
HELD_LIMIT: Final = 65536
"""Bytes that are kept back; of more only the end is."""


class Withheld:
    """Stands in for the transport of one client."""

    __slots__ = ("_frontend", "_pieces", "_size", "_timer", "_transport", "_waits")

    def __init__(self, frontend: Frontend) -> None:
        self._frontend: Frontend = frontend
        self._transport: Any = frontend.transport
        self._pieces: list[bytes] = []
        self._size: int = 0
        # statements that have run, of which others have yet to hear
        self._waits: int = 0
        # an answer that makes a pause (several statements, of which one takes long) goes on meanwhile
        self._timer: asyncio.TimerHandle | None = None

    def write(self, chunk: bytes) -> None:
        """Of an answer: kept back. One of ours, in place of the server's, ends this."""
        if not self._waits and not self._is_answer():
            self.end()
            self._transport.write(chunk)
            return
        if self._size + len(chunk) > HELD_LIMIT:
            self._let_go()
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._timer is None:
            self._timer = self._frontend.shared.loop.call_later(PATIENCE, self._let_go)

    def _is_answer(self) -> bool:
        frontend = self._frontend
        return frontend.state == RELAYING and frontend.statement.flags & NEWS != 0

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pieces, self._pieces, self._size = self._pieces, [], 0
        if pieces:
            self._transport.write(b"".join(pieces))

    def end(self) -> None:
        """Nothing is kept back any more."""
        self._let_go()
        if self._frontend.transport is self:
            self._frontend.transport = self._transport

    def failed(self) -> None:
        """The statement has not done what others would have to hear of."""
        if not self._waits:
            self.end()

    def wait(self, colleagues: Colleagues) -> None:
        """The statement has run: the rest waits for the others."""
        self._waits += 1
        spawn(self._wait(colleagues), name="news")

    async def _wait(self, colleagues: Colleagues) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await colleagues.heard()
        except TimeoutError:
            # one hangs: it hears when it goes on, or is replaced by one that has nothing to forget
            pass
        finally:
            self._waits -= 1
            if not self._waits:
                self.end()

    # What else a session asks of its transport

    def close(self) -> None:
        """The session is over."""
        self.end()
        self._transport.close()

    def pause_reading(self) -> None:
        """As a transport's."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As a transport's."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """As a transport's."""
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """As a transport's."""
        size: int = self._transport.get_write_buffer_size()
        return size

    def get_extra_info(self, name: str) -> Any:
        """As a transport's."""
        return self._transport.get_extra_info(name)


def begin(frontend: Frontend) -> None:
    """A statement with news is about to run."""
    if frontend.shared.colleagues is not None and not isinstance(frontend.transport, Withheld):
        frontend.transport = Withheld(frontend)


def tell(frontend: Frontend, colleagues: Colleagues, news: int) -> None:
    """It has run, with these flags of NEWS."""
    colleagues.tell(news)
    if isinstance(frontend.transport, Withheld):
        frontend.transport.wait(colleagues)


def fail(frontend: Frontend) -> None:
    """It has not."""
    held = frontend.transport
    if isinstance(held, Withheld):
        held.failed()
