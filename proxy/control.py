"""Messages between the parent and one worker, over a pair of sockets that nobody else has. A shell.

A frame is a length of four bytes and so much JSON: a list of kind, number, and value. With a number other than 0 it is a question, and the other side answers with
the kind ANSWER and the same number; CANCEL says that nobody waits for that any more. Both sides may ask; messages come in the order in which they were sent. When the other side has ended, questions that
are open fail with `ChannelClosed`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from proxy.tasks import spawn

LENGTH_SIZE: Final = 4
ANSWER: Final = "answer"
CANCEL: Final = "cancel"
BUFFER: Final = 1 << 18


class ChannelClosed(Exception):
    """The other side has ended."""


class Channel:
    """One end. `open` it, then `run` it: that ends when the other side has."""

    def __init__(
        self,
        end: socket.socket,
        heard: Callable[[str, Any], None],
        asked: Callable[[str, Any], Awaitable[object]],
    ) -> None:
        """``heard``: takes messages (kind, value). ``asked``: answers questions; each has a task of its own."""
        self._end: Final = end
        self._heard: Final = heard
        self._asked: Final = asked
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._questions: Final[dict[int, asyncio.Future[Any]]] = {}
        self._answers: Final[dict[int, asyncio.Task[None]]] = {}
        self._number = 0
        self._is_closed = False

    async def open(self) -> None:
        """Take the socket over from whoever has made it."""
        self._end.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._end, limit=BUFFER)

    def begin(self, value: object) -> None:
        """Send a frame that is no message, for `read_frame`."""
        assert self._writer is not None
        self._writer.write(framed(value))

    async def run(self) -> None:
        """Take messages until the other side has ended."""
        reader, writer = self._reader, self._writer
        assert reader is not None and writer is not None
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(LENGTH_SIZE), "big")
                kind, number, value = json.loads(await reader.readexactly(length))
                self._received(kind, number, value)
        except (asyncio.IncompleteReadError, OSError):
            # the other side has ended
            pass
        finally:
            self._is_closed = True
            for question in self._questions.values():
                if not question.done():
                    question.set_exception(ChannelClosed())
            writer.close()

    def tell(self, kind: str, value: object = None) -> None:
        """Send a message. Nothing when the other side has ended."""
        self._send(kind, 0, value)

    async def ask(self, kind: str, value: object = None) -> Any:
        """Ask, and wait for the answer. Raises ChannelClosed."""
        if self._is_closed:
            raise ChannelClosed
        self._number += 1
        number = self._number
        question = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(kind, number, value)
            return await question
        except asyncio.CancelledError:
            self._send(CANCEL, number, None)
            raise
        finally:
            del self._questions[number]

    def _send(self, kind: str, number: int, value: object) -> None:
        writer = self._writer
        if writer is None or self._is_closed:
            return
        content = framed([kind, number, value])
        if not writer.transport.get_write_buffer_size():
            # at once, and not at the end of the turn: what was told before something is done is heard although this process dies over that
            content = content[self._sent(content) :]
        if content:
            writer.write(content)

    def _sent(self, content: bytes) -> int:
        try:
            return self._end.send(content)
        except OSError:
            # it is full, or the other side has ended, which `run` finds out
            return 0

    def _received(self, kind: str, number: int, value: Any) -> None:
        if kind == ANSWER:
            question = self._questions.get(number)
            if question is not None and not question.done():
                question.set_result(value)
        elif kind == CANCEL:
            if number in self._answers:
                self._answers[number].cancel()
        elif number:
            self._answers[number] = spawn(self._answer(kind, number, value), name=f"answer to {kind}")
        else:
            self._heard(kind, value)

    async def _answer(self, kind: str, number: int, value: Any) -> None:
        answer: object = None
        try:
            answer = await self._asked(kind, value)
        finally:
            del self._answers[number]
            self._send(ANSWER, number, answer)


def framed(value: object) -> bytes:
    """A frame. What JSON does not know becomes a text."""
    content = json.dumps(value, default=str).encode()
    return len(content).to_bytes(LENGTH_SIZE, "big") + content


def read_frame(end: socket.socket) -> Any:
    """The next frame of a blocking socket. Raises ChannelClosed."""
    length = int.from_bytes(_read(end, LENGTH_SIZE), "big")
    return json.loads(_read(end, length))


def _read(end: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        chunk = end.recv(count - len(content))
        if not chunk:
            raise ChannelClosed
        content += chunk
    return content
