"""One connection to a server, without a pool: what its modes make of what comes."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.framing import frame
from proxy.backend import CLOSED, DYING, IDLE, MOST_REPEATS, OPENING, Backend, Inbox, LossListener, Owner
from proxy.tasks import spawn
from tests.fakes.loop import StepLoop
from tests.fakes.transport import MemoryTransport, Peer
from tests.fakes.wire import AUTOCOMMIT, PING, error, ok, packets, query, rows

SELECT = query("SELECT 1")
COM_QUERY = 3


class Server(Peer):
    """The other end: what it got."""

    def __init__(self) -> None:
        self.got = b""
        self.is_closed = False
        self.is_aborted = False

    def received(self, chunk: bytes) -> None:
        self.got += chunk

    def ended(self, is_aborted: bool) -> None:
        self.is_closed = True
        self.is_aborted = is_aborted


class Noting(Owner):
    """Notes what it is told, in order."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def relay(self, chunk: bytes) -> None:
        self.notes.append(chunk)

    def answered(self) -> None:
        self.notes.append("answered")

    def ran(self, is_failed: bool) -> None:
        self.notes.append("failed" if is_failed else "ran")

    def backend_lost(self, cause: str) -> None:
        self.notes.append(cause)

    def backend_write_paused(self, is_paused: bool) -> None:
        self.notes.append("paused" if is_paused else "resumed")


class NotingLosses(LossListener):
    """Notes the backends that were lost while nobody used them."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def idle_backend_lost(self, backend: Backend, cause: str) -> None:
        self.notes.append(f"idle: {cause}")


class Line:
    """A backend with both of its neighbours."""

    def __init__(self) -> None:
        self.loop = StepLoop()
        self.server = Server()
        self.owner = Noting()
        self.listener = NotingLosses()
        self.backend = Backend(self.listener, "writer:3306")
        self.transport = MemoryTransport(self.loop, self.backend, self.server)
        self.backend.connection_made(self.transport)

    def is_idle(self) -> Line:
        self.backend.inbox = None
        self.backend.mode = IDLE
        return self

    def relays(self) -> Line:
        self.is_idle()
        self.loop.call(self.backend.start_relay, self.owner, SELECT, COM_QUERY, True, None, AUTOCOMMIT)
        return self

    def runs(self, *payloads: bytes, keeps: bool = False) -> Line:
        self.is_idle()
        self.loop.call(self.backend.run, self.owner, list(payloads), keeps)
        return self

    def comes(self, *wires: bytes) -> None:
        self.loop.call(self.transport.deliver, b"".join(wires))


@pytest.fixture
def line() -> Any:
    made = Line()
    yield made
    made.loop.close()


# Relaying


def test_an_answer_goes_to_the_owner_and_its_end_is_told(line: Line) -> None:
    line.relays()
    assert line.server.got == SELECT
    line.comes(rows(b"1"))
    assert line.owner.notes == [rows(b"1"), "answered"]


def test_pieces_go_as_they_come(line: Line) -> None:
    line.relays()
    wire = rows(b"1", b"2")
    line.comes(wire[:30])
    line.comes(wire[30:])
    assert b"".join(line.owner.notes[:-1]) == wire
    assert line.owner.notes[-1] == "answered"


@pytest.mark.parametrize(
    "wire", [ok(sequence_id=5), ok() + ok(), b"HTTP/1.1 200 OK\r\n", b"\xff\xff\xff\x01"[:3] + b"\x07"]
)
def test_what_is_not_the_protocol_loses_the_backend(line: Line, wire: bytes) -> None:
    line.relays()
    line.comes(wire)
    assert line.owner.notes[-1].startswith("unexpected bytes from writer:3306: ")
    assert (line.backend.mode, line.server.is_aborted) == (CLOSED, True)
    # and nothing more is told
    count = len(line.owner.notes)
    line.loop.call(line.backend.connection_lost, None)
    assert len(line.owner.notes) == count


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("end", "writer:3306 closed the connection"),
        ("break", "lost the connection to writer:3306: reset"),
    ],
)
def test_the_owner_hears_how_the_connection_ended(line: Line, how: str, cause: str) -> None:
    line.relays()
    if how == "end":
        line.loop.call(line.transport.deliver_end)
    else:
        line.loop.call(line.transport.break_off, ConnectionResetError("reset"))
    assert line.owner.notes == [cause]


# Our own commands


def test_our_commands_run_one_after_the_other(line: Line) -> None:
    line.runs(b"\x02shop", b"\x0e")
    assert line.server.got == b"\x05\0\0\0\x02shop"
    line.server.got = b""
    line.comes(ok())
    assert (line.server.got, line.owner.notes) == (PING, [])
    line.comes(ok())
    assert line.owner.notes == ["ran"]


def test_the_first_refusal_ends_our_commands(line: Line) -> None:
    line.runs(b"\x02shop", b"\x0e")
    line.comes(error(1049))
    assert line.owner.notes == ["failed"]
    assert line.backend.tracker.error_code == 1049
    assert PING not in line.server.got


def test_answers_are_kept_on_demand(line: Line) -> None:
    line.runs(b"\x03SELECT 1", b"\x0e", keeps=True)
    wire = rows(b"1")
    line.comes(wire[:20])
    line.comes(wire[20:])
    line.comes(ok())
    assert line.backend.answers == [wire, ok()]


SHOW = b"\x03SHOW WARNINGS"


def interrupted(rows_before: int) -> bytes:
    """A result set that ends in 1317 after so many rows."""
    begun = [frame(payload, number) for number, payload in packets(rows(b"1"))[: 2 + rows_before]]
    return b"".join(begun) + error(1317, sequence_id=3 + rows_before)


@pytest.mark.parametrize(
    ("question", "rows_before"), [(SHOW, 0), (b"\x03SELECT @a", 1), (b"\x03SELECT FOUND_ROWS()", 0)]
)
def test_a_question_of_ours_that_was_interrupted_is_asked_again(
    question: bytes, rows_before: int, line: Line
) -> None:
    line.runs(question, b"\x0e", keeps=True)
    line.server.got = b""
    line.comes(interrupted(rows_before))
    assert (line.server.got, line.owner.notes) == (frame(question), [])
    line.comes(rows(b"2"))
    line.comes(ok())
    assert line.owner.notes == ["ran"]
    assert line.backend.answers == [rows(b"2"), ok()]


@pytest.mark.parametrize(
    ("command", "answer", "is_mariadb"),
    [
        (b"\x03SET @a=1", error(1317), False),
        (SHOW, error(1205), False),
        (b"\x03SELECT FOUND_ROWS()", interrupted(1), False),
        (SHOW, error(1317), True),
    ],
)
def test_what_may_have_changed_something_is_not_run_again(
    command: bytes, answer: bytes, is_mariadb: bool, line: Line
) -> None:
    line.backend.is_mariadb = is_mariadb
    line.runs(command)
    line.comes(answer)
    assert line.owner.notes == ["failed"]


def test_a_question_is_not_asked_for_ever(line: Line) -> None:
    line.runs(SHOW)
    for _ in range(MOST_REPEATS):
        line.comes(error(1317))
        assert line.owner.notes == []
    line.comes(error(1317))
    assert line.owner.notes == ["failed"]


def test_our_commands_are_read_although_a_client_had_paused(line: Line) -> None:
    line.relays()
    line.comes(ok())
    line.backend.pause_reading()
    assert not line.transport.reads
    line.loop.call(line.backend.run, line.owner, [b"\x0e"])
    assert line.transport.reads


# Idle, dying, opening


def test_any_byte_on_an_idle_backend_loses_it(line: Line) -> None:
    line.is_idle().comes(b"x")
    assert line.listener.notes == ["idle: writer:3306 sent something unasked"]
    assert line.server.is_aborted


def test_a_held_backend_tells_its_owner(line: Line) -> None:
    line.relays()
    line.comes(ok())
    line.backend.hold()
    line.loop.call(line.transport.deliver_end)
    assert line.owner.notes == [ok(), "answered", "writer:3306 closed the connection"]


def test_nobody_is_told_of_what_a_dying_backend_sends(line: Line) -> None:
    line.relays()
    line.backend.mode = DYING
    line.comes(rows(b"1"), b"garbage")
    assert line.owner.notes == []


def test_a_resting_backend_is_read_again(line: Line) -> None:
    line.relays()
    line.backend.pause_reading()
    line.backend.pause_reading()
    line.backend.rest()
    assert line.transport.reads
    line.loop.call(line.transport.deliver_end)
    assert line.listener.notes == ["idle: writer:3306 closed the connection"]


def test_an_opening_backend_puts_all_into_its_inbox(line: Line) -> None:
    got: list[object] = []

    async def read() -> None:
        inbox = line.backend.inbox
        assert inbox is not None
        try:
            while True:
                got.append(await inbox.get())
        except ConnectionError as end:
            got.append(str(end))

    line.loop.call(lambda: spawn(read(), name="read"))
    assert line.backend.mode == OPENING
    line.comes(b"a")
    line.loop.call_soon(line.transport.deliver, b"b")
    line.loop.call_soon(line.transport.deliver, b"c")
    line.loop.call_soon(line.transport.deliver_end)
    line.loop.settle()
    assert got == [b"a", b"bc", "writer:3306 closed the connection"]


def test_an_inbox_keeps_what_came_before_its_end() -> None:
    loop = StepLoop()
    inbox = Inbox()
    inbox.put(b"a")
    inbox.close("gone")
    assert loop.run_until_complete(inbox.get()) == b"a"
    with pytest.raises(ConnectionError, match="gone"):
        loop.run_until_complete(inbox.get())
    loop.close()


# Writing and closing


def test_the_owner_hears_that_the_server_does_not_read(line: Line) -> None:
    line.relays()
    line.transport.stop_taking()
    line.loop.call(line.transport.write, b"x" * 70_000)
    line.loop.call(line.transport.take_again)
    assert line.owner.notes == ["paused", "resumed"]


def test_a_polite_close_says_so(line: Line) -> None:
    line.is_idle().loop.call(line.backend.close, True)
    assert (line.server.got, line.server.is_closed, line.server.is_aborted) == (
        b"\x01\0\0\0\x01",
        True,
        False,
    )
    line.loop.call(line.backend.close, True)
    assert line.listener.notes == []


def test_an_impolite_close_breaks_off(line: Line) -> None:
    line.relays().loop.call(line.backend.close, False)
    assert (line.server.is_aborted, line.owner.notes) == (True, [])


def test_a_backend_that_was_closed_before_it_was_connected_breaks_off() -> None:
    line = Line()
    backend = Backend(line.listener, "writer:3306")
    backend.close(True)
    server = Server()
    transport = MemoryTransport(line.loop, backend, server)
    line.loop.call(backend.connection_made, transport)
    assert server.is_aborted
    line.loop.close()


def test_the_end_of_a_connection_can_be_waited_for(line: Line) -> None:
    line.is_idle()
    line.transport.stop_taking()
    line.loop.call(line.backend.close, True)
    task = line.loop.create_task(line.backend.wait_until_gone(5.0))
    line.loop.advance(4.9)
    assert not task.done()
    line.loop.advance(0.2)
    assert task.done() and line.server.is_aborted
    # it is gone by now
    line.loop.run_until_complete(line.backend.wait_until_gone(5.0))


def test_who_leaves_is_gone_when_the_server_has_closed_the_connection(line: Line) -> None:
    line.is_idle()
    assert not line.backend.is_gone()
    line.loop.call(line.backend.leave)
    assert (line.server.got[-5:], line.server.is_closed) == (b"\x01\x00\x00\x00\x01", False)
    assert (line.backend.mode, line.backend.is_gone()) == (CLOSED, False)
    line.loop.call(line.transport.deliver_end)
    assert line.backend.is_gone()
    # what was never connected is not there
    assert Backend(LossListener(), "db").is_gone()
