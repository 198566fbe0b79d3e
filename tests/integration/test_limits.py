"""What happens at the limits: clients, logins that do not end, garbage, the pages."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from bench.servers import HOST, Server
from protocol.packets import parse_err
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, run, value
from tests.integration.wire import Refusal, WireClient


@contextlib.contextmanager
def opened(fanin: Fanin) -> Iterator[socket.socket]:
    """A connection that has read the greeting and nothing else."""
    with socket.create_connection((HOST, fanin.port), timeout=30) as connection:
        assert connection.recv(4096)[4] == 10
        yield connection


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            got += chunk
    return got


def test_client_over_the_limit_is_told_so(fanin: MakeFanin, server: Server, connect: Connect) -> None:
    small = fanin(server, limits={"max_clients": 3})
    eventually(lambda: small.state()["frontends"]["open"] == 0)
    clients = [WireClient(small.port) for _ in range(3)]
    with contextlib.ExitStack() as exits:
        for client in clients:
            exits.enter_context(client)
        with pytest.raises(Refusal, match="Too many connections") as caught:
            WireClient(small.port)
        assert caught.value.code == 1040
        assert clients[0].value("SELECT 1") == b"1"
        clients[0].quit()
        eventually(lambda: small.state()["frontends"]["open"] == 2)
        with WireClient(small.port) as late:
            assert late.value("SELECT 1") == b"1"
    assert small.metric("fanin_frontends_refused_total") >= 1


def test_login_that_does_not_end_is_ended(fanin: MakeFanin, server: Server, connect: Connect) -> None:
    hasty = fanin(server, limits={"login_timeout": 0.5})
    client = connect(hasty)
    with opened(hasty) as silent, opened(hasty) as half:
        half.sendall(b"\x40\x00\x00\x01\x85\xa6")
        assert everything(silent) == b""
        assert everything(half) == b""
    assert value(client, "SELECT 1") == 1
    assert hasty.metric("fanin_login_failures_total", reason="timeout") >= 2


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1156),
        (b"\x05\x00\x00\x01abcde", 1043),
        (b"\x05\x00\x00\x07abcde", 1156),
        (b"\xff\xff\xff\x01", 1153),
        (b"\x00\x00\x00\x01", 1043),
    ],
    ids=["HTTP", "garbage", "out of order", "oversized", "empty"],
)
def test_bad_login_packet_gets_an_error(sent: bytes, code: int, one: Fanin, connect: Connect) -> None:
    client = connect(one)
    with opened(one) as bad:
        bad.sendall(sent)
        answer = everything(bad)
    assert parse_err(answer[4:]).code == code
    assert value(client, "SELECT 1") == 1
    assert any(
        line["event"] == "bad packet before login" and line["peer"].startswith(HOST)
        for line in one.log_lines()
    )


def test_command_out_of_order_gets_an_error(one: Fanin, connect: Connect) -> None:
    other = connect(one)
    with WireClient(one.port) as client:
        client.socket.sendall(b"\x01\x00\x00\x05\x0e")
        assert parse_err(client.payload(1)).code == 1156
        assert client.stream.read() == b""
    assert value(other, "SELECT 1") == 1


def test_empty_command_is_unknown(one: Fanin, server: Server) -> None:
    with WireClient(one.port) as client:
        client.socket.sendall(b"\x00\x00\x00\x00")
        assert client.payload(1)[0] == 0xFF


def test_waiters_are_served_in_order(one: Fanin) -> None:
    with WireClient(one.port) as holder, contextlib.ExitStack() as exits:
        holder.ok("DO GET_LOCK('x', 1)")
        waiters = [exits.enter_context(WireClient(one.port)) for _ in range(5)]
        for number, waiter in enumerate(waiters, 1):
            waiter.send_query("SET @order := COALESCE(@order, 0) + 1")
            eventually(lambda number=number: one.endpoint()["waiting"] == number)  # type: ignore[misc]
        for waiter in waiters:
            waiter.socket.settimeout(10)
        holder.quit()
        for waiter in waiters:
            assert waiter.response(0x03)[0][0] == 0
            waiter.quit()


def test_pool_is_never_larger_than_it_may_be(server: Server) -> None:
    with Fanin(server, pool={"size": 2}) as pool, contextlib.ExitStack() as exits:
        before = server.status("Threads_connected")
        clients = [exits.enter_context(WireClient(pool.port)) for _ in range(20)]
        for client in clients:
            client.send_query("SELECT SLEEP(0.02)")
        # and one that looks at the server
        assert server.status("Threads_connected") - before <= 3
        for client in clients:
            client.response(0x03)
        endpoint = pool.endpoint()
        assert sum(endpoint[state] for state in ("opening", "idle", "parked", "leased", "resetting")) <= 2


def test_pages_tell_what_goes_on(one: Fanin, connect: Connect) -> None:
    client = connect(one, program_name="a test")
    run(client, "BEGIN", "SELECT 1")
    session = one.settled(client)
    assert session["user"] == "app"
    assert session["state"] == "holding"
    assert session["server_connection"] > 0
    assert session["peer"].startswith(HOST)
    assert json.loads(one.page("/state"))["frontends"]["open"] >= 1
    assert one.page("/healthz") and one.page("/readyz")
    assert one.metric("fanin_backends", state="leased") == 1
    assert one.metric("fanin_in_transaction") == 1
    assert one.metric("fanin_endpoint_up") == 1
    queries = one.metric("fanin_queries_total")
    run(client, "COMMIT")
    assert one.metric("fanin_queries_total") == queries + 1
    assert one.metric("fanin_backends", state="leased") == 0


def test_nothing_secret_is_logged_or_shown(fanin: MakeFanin, server: Server, connect: Connect) -> None:
    server.sql("CREATE USER IF NOT EXISTS 'secretive'@'%' IDENTIFIED BY 'hunter2hunter2'")
    quiet = fanin(server, log={"level": "debug", "format": "json"})
    client = connect(quiet, user="secretive", password="hunter2hunter2", database=None)
    run(client, "SELECT 'private text'", "BEGIN")
    for text in (quiet.log.read_text(), quiet.page("/state"), quiet.page("/metrics")):
        assert "hunter2" not in text
        assert "private text" not in text


def test_idle_proxy_uses_no_processor(fanin: MakeFanin, server: Server, connect: Connect) -> None:
    quiet = fanin(server, pool_size=2)
    clients = [connect(quiet, ssl_disabled=True) for _ in range(20)]
    used = quiet.cpu_seconds()
    server.sql("SELECT SLEEP(1)")
    assert quiet.cpu_seconds() - used <= 0.05
    assert value(clients[0], "SELECT 1") == 1
