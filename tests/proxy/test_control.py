"""Messages and questions over a pair of sockets."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from proxy import tasks
from proxy.control import Channel, ChannelClosed, framed, read_frame


class Side:
    """One end, and what it heard."""

    def __init__(self, end: socket.socket) -> None:
        self.heard: list[Any] = []
        self.asked: list[Any] = []
        self.may_answer = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.end = end
        self.channel = Channel(end, self._hear, self._answer)
        self.came = asyncio.Event()

    def _hear(self, kind: str, value: Any) -> None:
        self.heard.append((kind, value))
        self.came.set()

    async def _answer(self, kind: str, value: Any) -> object:
        self.asked.append((kind, value))
        self.came.set()
        if kind == "bug":
            raise RuntimeError("a bug")
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return {"answer to": value}

    async def begin(self) -> None:
        await self.channel.open()
        self.running = tasks.spawn(self.channel.run(), name="channel")


async def sides() -> tuple[Side, Side]:
    one, other = (Side(end) for end in socket.socketpair())
    await one.begin()
    await other.begin()
    return one, other


async def closed(*both: Side) -> None:
    for side in both:
        side.running.cancel()
    await tasks.cancel_all()


async def test_messages_come_in_order() -> None:
    one, other = await sides()
    for number in range(3):
        one.channel.tell("count", number)
    while len(other.heard) < 3:
        other.came.clear()
        await other.came.wait()
    assert other.heard == [("count", 0), ("count", 1), ("count", 2)]
    await closed(one, other)


async def test_a_message_is_sent_at_once_as_far_as_there_is_room() -> None:
    one, other = socket.socketpair()
    side = Side(one)
    await side.begin()
    side.channel.tell("first", 1)
    # nothing of the loop has run since
    assert read_frame(other) == ["first", 0, 1]
    for number in range(200):
        side.channel.tell("many", "x" * 10_000 + str(number))
    found = await asyncio.to_thread(lambda: [read_frame(other)[2][10_000:] for _ in range(200)])
    assert found == [str(number) for number in range(200)]
    other.close()
    side.channel.tell("too late")
    await side.running


async def test_each_question_has_its_answer() -> None:
    one, other = await sides()
    questions = [tasks.spawn(one.channel.ask("what", number), name="question") for number in range(2)]
    back = tasks.spawn(other.channel.ask("what", "back"), name="question")
    one.may_answer.set()
    other.may_answer.set()
    assert [await question for question in questions] == [{"answer to": 0}, {"answer to": 1}]
    assert await back == {"answer to": "back"}
    await closed(one, other)


async def test_who_does_not_wait_any_more_says_so() -> None:
    one, other = await sides()
    question = tasks.spawn(one.channel.ask("what"), name="question")
    await other.came.wait()
    question.cancel()
    await other.cancelled.wait()
    # it was answered at the same time
    one.channel._send("cancel", 1, None)
    other.may_answer.set()
    assert await one.channel.ask("what", 5) == {"answer to": 5}
    await closed(one, other)


async def test_a_bug_is_answered_too() -> None:
    one, other = await sides()
    assert await one.channel.ask("bug") is None
    await closed(one, other)


async def test_questions_fail_when_the_other_side_has_ended() -> None:
    one, other = await sides()
    question = tasks.spawn(one.channel.ask("what"), name="question")
    await other.came.wait()
    other.running.cancel()
    await asyncio.wait([other.running])
    with pytest.raises(ChannelClosed):
        await question
    await one.running
    with pytest.raises(ChannelClosed):
        await one.channel.ask("what")
    one.channel.tell("nobody")
    await closed(one, other)


def test_a_frame_may_be_read_without_a_loop() -> None:
    one, other = socket.socketpair()
    with one:
        with other:
            other.sendall(framed({"a": [1, "x"]}) + framed(b"bytes") + b"\0\0")
            assert read_frame(one) == {"a": [1, "x"]}
            # what JSON does not know is a text
            assert read_frame(one) == "b'bytes'"
        with pytest.raises(ChannelClosed):
            read_frame(one)


async def test_the_first_frame_is_no_message() -> None:
    one, other = socket.socketpair()
    side = Side(one)
    await side.begin()
    side.channel.begin("start")
    await asyncio.to_thread(lambda: None)
    other.setblocking(True)
    assert await asyncio.to_thread(read_frame, other) == "start"
    other.close()
    await side.running
