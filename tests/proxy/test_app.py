"""The process: start, readiness, deadlines, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.sections import Upstream
from config.settings import Settings
from protocol.framing import frame
from protocol.handshake import AuthSwitchRequest
from protocol.packets import build_err
from proxy import logs, tasks
from proxy.app import Process, credential_of
from proxy.listeners import Listener
from proxy.login import Doorway, Login
from proxy.shared import Shared
from proxy.snapshot import Snapshot
from tests.fakes.client import FakeClient
from tests.fakes.loop import StepLoop
from tests.fakes.server import KEY_PAIR, FakeServer, ServerEnd
from tests.fakes.wire import IN_TRANS, OLD_CLIENT, PING, error, ok, query
from tests.fakes.world import Log
from tests.processes import started

SELECT = query("SELECT 1")


class QuickProcess(Process):
    """Does not make a key pair of its own."""

    def _make_shared(self, loop: asyncio.AbstractEventLoop) -> Shared:
        shared = super()._make_shared(loop)
        shared.key_pair = KEY_PAIR
        return shared


class Running:
    """A process in a loop that runs in steps, in front of fake servers."""

    def __init__(self, **settings: Any) -> None:
        self.loop = StepLoop()
        self.log = Log()
        self.server = FakeServer(self.loop, "writer", 3306)
        table: dict[str, Any] = {
            "upstream": [{"host": "writer", "name": "writer"}],
            "listen": ["127.0.0.1:0"],
            "http": {"listen": "off"},
            "users": [{"name": "app", "password": "secret"}],
            "client_tls": {"mode": "disabled"},
            **settings,
        }
        self.process = QuickProcess(Settings.model_validate(table), self.log)  # type: ignore[arg-type]
        self.status: int | None = None
        self.clients: list[FakeClient] = []

    def starts(self) -> Running:
        self.task = self.loop.create_task(self._serve())
        self.until(lambda: bool(self.process.listeners) or self.task.done())
        self.loop.settle()
        return self

    async def _serve(self) -> None:
        self.status = await self.process.serve()

    def until(self, holds: Callable[[], bool]) -> None:
        """Run the loop until this holds; something in a thread may be waited for."""
        for _ in range(1_000_000):
            if holds():
                return
            self.loop.step()
        raise AssertionError("it never holds")

    @property
    def shared(self) -> Shared:
        assert self.process.shared is not None
        return self.process.shared

    def port(self) -> int:
        (listener,) = self.process.listeners
        assert isinstance(listener, Listener)
        return int(listener.socket.getsockname()[1])

    def obstacles(self) -> list[str]:
        return list(Snapshot(self.shared, self.process.listeners).obstacles())

    def connects(self) -> FakeClient:
        login = Login(self.shared, Doorway(False, False, None, False), "192.0.2.1:40000", "192.0.2.1")
        self.shared.counters.frontends_open += 1
        client = FakeClient(self, login)  # type: ignore[arg-type]
        self.clients.append(client)
        self.loop.call(login.connection_made, client.transport)
        return client

    def client(self) -> FakeClient:
        client = self.connects()
        client.logs_in(capabilities=OLD_CLIENT)
        assert client.connected is not None
        return client

    def in_transaction(self, client: FakeClient) -> ServerEnd:
        client.sends(query("BEGIN"))
        server = self.server.last
        server.gets(query("BEGIN"))
        server.answers(ok(IN_TRANS))
        client.gets(ok(IN_TRANS))
        return server

    def signals(self) -> None:
        self.loop.call(self.process._signalled)

    def close(self) -> None:
        if not self.task.done():
            self.server.answers_itself = lambda payload: ok()
            if not self.process.signals:
                self.signals()
            self.loop.advance(60)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.remove_signal_handler(number)
        self.loop.run_until_complete(tasks.cancel_all())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        assert self.task.done()


@pytest.fixture
def make() -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def start(**settings: Any) -> Running:
        made.append(Running(**settings))
        return made[-1]

    yield start
    for each in made:
        each.close()


Make = Callable[..., Running]


# The start


def test_a_process_serves_when_its_server_answers(make: Make) -> None:
    running = make().starts()
    assert running.obstacles() == []
    assert running.process.facts.server_version == running.server.version
    client = running.client()
    client.sends(PING)
    client.gets(ok())


def test_a_process_is_not_ready_before_its_server_answers(make: Make) -> None:
    running = make()
    running.server.is_down = True
    running.starts()
    assert running.obstacles() == ["no writer answers (writer: Connection refused)"]
    running.loop.advance(3)
    assert running.log.warnings() == ["server does not answer"]
    running.server.is_down = False
    running.loop.advance(1)
    assert running.obstacles() == []


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (
            frame(build_err(1040, b"", b"Too many connections", before_handshake=True)),
            "1040 Too many connections",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "packet"),
        (frame(b""), "bad handshake"),
    ],
)
def test_a_server_that_greets_with_something_else_is_named_and_tried_again(
    make: Make, wire: bytes, text: str
) -> None:
    running = make()
    running.server.is_silent = True
    running.starts()
    running.server.last.answers(wire)
    (obstacle,) = running.obstacles()
    assert text in obstacle
    running.server.is_silent = False
    running.loop.advance(1)
    assert running.obstacles() == []


def test_a_server_that_says_nothing_is_given_up_and_tried_again(make: Make) -> None:
    running = make()
    running.server.is_silent = True
    running.starts()
    running.loop.advance(5)
    assert running.obstacles() == ["no writer answers (writer: no greeting within 5 s)"]
    running.server.is_silent = False
    running.loop.advance(1)
    assert running.obstacles() == []


def test_a_server_that_closes_at_once_is_named(make: Make) -> None:
    running = make()
    running.server.is_silent = True
    running.starts()
    running.server.last.closes()
    assert running.obstacles() == ["no writer answers (writer: it closed the connection before its greeting)"]


def test_a_process_that_lost_its_server_is_ready_again_although_nobody_asks(make: Make) -> None:
    running = make().starts()
    client = running.client()
    running.server.last.closes()
    running.server.is_down = True
    client.sends(SELECT)
    client.leaves()
    running.loop.advance(1.5)
    assert running.obstacles() == ["no writer answers (writer: Connection refused)"]
    running.server.is_down = False
    running.loop.advance(2)
    assert running.obstacles() == []


def test_an_address_in_use_ends_the_start_and_closes_the_rest(make: Make) -> None:
    first = make().starts()
    port = first.port()
    second = make(listen=["127.0.0.1:0", f"127.0.0.1:{port}"])
    second.task = second.loop.create_task(second._serve())
    second.until(second.task.done)
    assert "Address already in use" in str(second.task.exception())
    assert [listener.is_closed for listener in second.process.listeners] == [True]


# Deadlines


def test_logins_that_take_too_long_are_ended_by_the_tick(make: Make) -> None:
    running = make().starts()
    first = running.connects()
    running.loop.advance(5)
    second = running.connects()
    running.loop.advance(5.2)
    assert (first.is_closed, second.is_closed) == (True, False)
    running.loop.advance(5)
    assert second.is_closed


def test_waiters_are_answered_by_the_tick(make: Make) -> None:
    running = make(pool={"size": 1}).starts()
    running.in_transaction(running.client())
    client = running.client()
    client.sends(SELECT)
    running.loop.advance(5.2)
    client.gets_error(1040, "no server connection became free within 5.")


def test_a_tick_that_fails_is_not_the_last(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    running = make(pool={"size": 1}).starts()
    running.in_transaction(running.client())
    client = running.client()
    client.sends(SELECT)

    def fails(shared: object, now: float) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr("proxy.app.idling.look", fails)
    with pytest.raises(ZeroDivisionError):
        running.loop.advance(1)
    running.loop.advance(5.2)
    client.gets_error(1040, "no server connection became free within 5.")


# The end


def test_without_clients_the_end_is_immediate(make: Make) -> None:
    running = make().starts()
    running.signals()
    assert running.obstacles()[0] == "draining"
    running.loop.advance(0.2)
    assert running.status == 0
    assert [listener.is_closed for listener in running.process.listeners] == [True]


def test_the_drain_closes_idle_clients_and_lets_transactions_finish(make: Make) -> None:
    running = make().starts()
    idle, login, busy = running.client(), running.connects(), running.client()
    server = running.in_transaction(busy)
    running.signals()
    assert (idle.is_closed, login.is_closed, busy.is_closed) == (True, True, False)
    idle.gets_error(1053, "Fanin is draining", sequence_id=0)
    running.loop.advance(10)
    busy.sends(SELECT)
    server.gets(SELECT)
    server.answers(ok(IN_TRANS))
    busy.gets(ok(IN_TRANS))
    busy.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    busy.gets(ok())
    assert busy.is_closed
    running.loop.advance(0.2)
    assert (running.status, server.is_closed) == (0, True)
    assert running.shared.counters.frontend_closes == {"drained": 3}


def test_the_drain_does_not_wait_for_a_pin(make: Make) -> None:
    running = make().starts()
    client = running.client()
    client.sends(query("SELECT GET_LOCK('a', 1)"))
    server = running.server.last
    server.answers(ok())
    client.gets(ok())
    assert running.shared.frontends[client.connection_id].session.pinned
    running.signals()
    client.gets_error(1053, "Fanin is draining", sequence_id=0)
    assert client.is_closed
    running.loop.advance(2)
    assert running.status == 0


def test_a_session_that_becomes_idle_in_any_other_way_is_closed_too(make: Make) -> None:
    running = make(pool={"size": 1}).starts()
    holder, waiter = running.client(), running.client()
    server = running.in_transaction(holder)
    waiter.sends(SELECT)
    running.signals()
    assert not waiter.is_closed
    # it is refused, and has no statement under way any more
    running.loop.advance(5.3)
    assert waiter.is_closed
    assert not holder.is_closed
    server.breaks()
    running.loop.advance(0.2)
    assert running.status == 0


def test_after_drain_timeout_the_rest_is_cut_off_and_killed(make: Make) -> None:
    running = make(drain_timeout=3).starts()
    client, holder = running.client(), running.client()
    client.sends(SELECT)
    server = running.server.last
    running.in_transaction(holder)
    running.signals()
    running.loop.advance(2.9)
    assert not client.is_closed
    running.loop.advance(0.2)
    assert (client.is_closed, holder.is_closed) == (True, True)
    killer = running.server.last
    killer.gets(query(f"KILL {server.server_id}"))
    assert running.status is None
    killer.answers(ok())
    running.loop.advance(1.2)
    assert running.status == 0
    assert running.shared.counters.frontend_closes == {"shutdown": 2}
    assert "drain_timeout passed" in running.log.warnings()


def test_a_second_signal_ends_at_once(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    pages = tmp_path / "pages.sock"
    running = make(http={"listen": f"unix:{pages}"}).starts()
    assert pages.exists()
    running.in_transaction(running.client())
    running.signals()
    assert ends == []
    running.signals()
    assert ends == [1] and not pages.exists()
    monkeypatch.undo()


def test_sigterm_ends_a_real_process_with_status_0() -> None:
    command = [sys.executable, "-m", "proxy", "serve", "--upstream", "127.0.0.1:1", "--listen", "127.0.0.1:0"]
    with started([*command, "--http", "off"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while not any("serving" in line for line in lines):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        process.send_signal(signal.SIGTERM)
        assert "stopped" in process.stderr.read()
        assert process.wait() == 0


# Small things


def test_max_clients_is_lowered_to_what_the_descriptors_allow(make: Make) -> None:
    running = make(limits={"max_clients": 1_000_000}).starts()
    assert running.shared.max_clients < 1_000_000
    assert running.log.warnings() == ["max_clients is lowered to what the file descriptors allow"]


def test_and_further_by_each_server_that_is_found(make: Make) -> None:
    running = make(limits={"max_clients": 1_000_000}, pool={"size": 7}).starts()
    allowed = running.shared.max_clients
    running.loop.call(running.process._start_endpoint, Upstream(host="found", name="found"))
    assert running.shared.max_clients == allowed - 9


def test_users_of_the_file_become_credentials() -> None:
    settings = Settings.model_validate(
        {
            "upstream": ["h:1"],
            "users": [{"name": "a", "password": "x"}, {"name": "b", "native_hash": "*" + "0" * 40}],
        }
    )
    with_password, with_hash = [credential_of(user) for user in settings.users]
    assert with_password.verifier.matches(b"x") and with_password.password == b"x"
    assert with_hash.password is None and with_hash.native_stage1 is None
    assert logs.get_logger("x") is not None


def change_user() -> bytes:
    return frame(b"\x11app\0\0\0\x2d\0caching_sha2_password\0")


def test_a_change_of_user_during_the_drain_ends_with_it(make: Make) -> None:
    running = make().starts()
    client = running.client()
    client.sends(change_user())
    switch = AuthSwitchRequest.parse(client.got()[4:])
    assert switch.nonce
    running.signals()
    client.gets_error(1053, sequence_id=2)
    assert client.is_closed
    running.loop.advance(0.2)
    assert running.status == 0
    assert running.shared.counters.frontend_closes == {"drained": 1}


def test_a_kill_during_the_drain_is_answered(make: Make) -> None:
    running = make().starts()
    client, other = running.client(), running.client()
    client.sends(SELECT)
    server = running.server.last
    other.sends(query(f"KILL QUERY {client.connection_id}"))
    killer = running.server.last
    assert killer is not server
    running.signals()
    assert not other.is_closed
    killer.answers(ok())
    other.got()
    server.answers(ok())
    running.loop.advance(0.2)
    assert (client.is_closed, other.is_closed) == (True, True)
    running.loop.advance(0.2)
    assert running.status == 0


def test_an_error_during_the_drain_is_probed_and_then_over(make: Make) -> None:
    running = make().starts()
    client = running.client()
    client.sends(SELECT)
    server = running.server.last
    running.signals()
    server.answers(error(1064))
    assert not client.is_closed
    server.got()
    server.answers(ok())
    client.gets(error(1064))
    assert client.is_closed
