"""Servers that go and come back, and Fanin's own end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pymysql
import pytest

from bench.servers import KINDS, Server
from protocol.packets import parse_err
from tests.integration.running import Fanin, eventually, run, value
from tests.integration.wire import Refusal, WireClient


@pytest.fixture(scope="module")
def own_servers() -> Iterator[dict[str, Server]]:
    started: dict[str, Server] = {}
    yield started
    for each in started.values():
        each.stop()


@pytest.fixture
def own(server: Server, own_servers: dict[str, Server]) -> Iterator[Server]:
    """A server that this module's tests may stop and start, with an empty table app.t."""
    kind = server.kind
    if kind not in own_servers:
        own_servers[kind] = KINDS[kind]().start()
        own_servers[kind].sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    own_servers[kind].sql("TRUNCATE app.t")
    yield own_servers[kind]
    try:
        own_servers[kind].sql("DO 1")
    except pymysql.err.OperationalError:
        # a test that failed has left it stopped
        own_servers.pop(kind).stop()


def test_restart_is_survived_by_those_who_are_idle(own: Server) -> None:
    with Fanin(own, pool={"size": 3, "acquire_timeout": 20}) as fanin:
        idle = [WireClient(fanin.port) for _ in range(5)]
        busy, in_transaction, parked = WireClient(fanin.port), WireClient(fanin.port), WireClient(fanin.port)
        for client in idle:
            client.ok("SET time_zone = '+01:00'")
        parked.ok("INSERT INTO t (v) VALUES (1)")
        in_transaction.ok("BEGIN")
        in_transaction.ok("INSERT INTO t (v) VALUES (2)")
        busy.send_query("SELECT SLEEP(30)")
        eventually(lambda: fanin.endpoint()["leased"] == 2)
        own.restart(by_force=True)
        # what ran gets an error; what was held is gone, and its client with it, as on a direct connection
        assert busy.response(0x03)[0][0] == 0xFF
        assert busy.value("SELECT 1") == b"1"
        with pytest.raises(ConnectionError):
            in_transaction.ok("COMMIT")
        for client in idle:
            assert client.value("SELECT @@time_zone") == b"+01:00"
        assert parked.value("SELECT COUNT(*) FROM t") == b"1"
        for client in (*idle, busy, in_transaction, parked):
            client.close()


def test_load_goes_on_after_a_restart(own: Server) -> None:
    with Fanin(own, pool={"size": 4, "acquire_timeout": 30}) as fanin:
        clients = [WireClient(fanin.port) for _ in range(20)]
        for number, client in enumerate(clients):
            client.send_query(
                f"INSERT INTO t (v) VALUES ({number}) RETURNING v"
                if own.kind == "mariadb"
                else "SELECT SLEEP(0.01)"
            )
        for client in clients:
            client.response(0x03)
        for client in clients:
            client.send_query("SELECT SLEEP(0.5)")
        # a lease may begin with what makes the backend fit for it: that would not be lost with it
        running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(0.5)'"
        eventually(lambda: own.value(running) == 4)
        own.restart(by_force=True)
        answers = [client.response(0x03) for client in clients]
        errors = [parse_err(answer[0]) for answer in answers if answer[0][0] == 0xFF]
        # only what ran; those who waited have been served by new backends
        assert 1 <= len(errors) <= 4
        assert {error.code for error in errors} <= {2013, 1053, 1927, 1317, 4031}
        for client in clients:
            assert client.value("SELECT 1") == b"1"
            client.close()
        assert fanin.metric("fanin_closes_total", side="frontend", reason="backend-lost") == 0


def test_server_that_is_down_gives_its_reason(own: Server) -> None:
    with Fanin(own, pool={"size": 2, "acquire_timeout": 0.6}) as fanin, WireClient(fanin.port) as client:
        assert client.value("SELECT 1") == b"1"
        own.halt(by_force=True)
        eventually(lambda: fanin.endpoint()["idle"] + fanin.endpoint()["parked"] == 0)
        error = parse_err(client.query("SELECT 1")[0])
        assert error.code == 2003
        assert b"primary" in error.message and b"refused" in error.message.lower()
        assert client.command(b"\x0e")[0][0] == 0
        eventually(lambda: "answers" in fanin.page("/readyz"))
        own.start()

        def is_back() -> bool:
            return client.query("SELECT 1")[0][0] != 0xFF

        eventually(is_back)


def test_server_that_is_down_at_the_start_is_waited_for(own: Server) -> None:
    own.halt()
    patient = Fanin(own, pool={"size": 1, "acquire_timeout": 0.5})
    # it listens at once, but has no greeting to give
    patient._await_greetings = lambda process: None  # type: ignore[method-assign]
    with patient as fanin:
        eventually(lambda: listens(fanin))
        with pytest.raises(Refusal, match="refused") as caught:
            WireClient(fanin.port)
        assert caught.value.code == 2003
        assert "primary" in fanin.page("/readyz")
        own.start()
        eventually(lambda: is_served(fanin))


def listens(fanin: Fanin) -> bool:
    try:
        fanin.page("/healthz")
    except OSError:
        return False
    return True


def is_served(fanin: Fanin) -> bool:
    try:
        with WireClient(fanin.port) as client:
            return client.value("SELECT 1") == b"1"
    except Refusal:
        return False


def test_frozen_server_is_given_up_at_login(own: Server) -> None:
    with Fanin(own, pool={"size": 1, "connect_timeout": 0.5, "acquire_timeout": 1}) as fanin:
        own.freeze()
        try:
            with pytest.raises(Refusal, match=r"no answer within 0\.5 s") as caught:
                WireClient(fanin.port)
            assert caught.value.code == 2003
        finally:
            own.thaw()
        eventually(lambda: is_served(fanin))


def test_full_server_is_named_as_the_reason(own: Server) -> None:
    with Fanin(own, pool={"size": 2, "acquire_timeout": 0.5}) as fanin, ExitStack() as exits:
        own.sql("SET GLOBAL max_connections = 10")
        with pytest.raises(pymysql.err.OperationalError, match="Too many connections"):
            while True:
                exits.callback(own.connect(user="app", password="app").close)
        with pytest.raises(Refusal, match="Too many connections") as caught:
            WireClient(fanin.port)
        assert caught.value.code == 1040
        exits.close()
        eventually(lambda: is_served(fanin))
        own.sql("SET GLOBAL max_connections = 2000")


# --- Fanin's own end


def test_drain_lets_transactions_finish(server: Server, table: str) -> None:
    with Fanin(server, pool={"size": 2}, drain_timeout=20) as fanin:
        idle, busy, holder = WireClient(fanin.port), WireClient(fanin.port), WireClient(fanin.port)
        holder.ok("BEGIN")
        holder.ok(f"INSERT INTO {table} (v) VALUES (1)")
        busy.send_query("SELECT SLEEP(0.5)")
        eventually(lambda: fanin.endpoint()["leased"] == 2)
        fanin.terminate()
        assert parse_err(idle.payload(0)).code == 1053
        assert idle.stream.read() == b""
        assert busy.response(0x03)[3] == b"\x010"
        assert busy.stream.read() == b""
        with pytest.raises(OSError, match=r"refused"):
            WireClient(fanin.port)
        holder.ok(f"INSERT INTO {table} (v) VALUES (2)")
        holder.ok("COMMIT")
        assert holder.stream.read() == b""
        assert fanin.exit_status() == 0
        for client in (idle, busy, holder):
            client.close()
    assert server.value(f"SELECT COUNT(*) FROM {table}") == 2


def test_drain_ends_at_its_deadline(server: Server, table: str) -> None:
    with Fanin(server, pool={"size": 1}, drain_timeout=0.3) as fanin, WireClient(fanin.port) as holder:
        holder.ok("BEGIN")
        holder.ok(f"INSERT INTO {table} (v) VALUES (1)")
        fanin.terminate()
        assert fanin.exit_status() == 0
        holder.stream.read()
    eventually(lambda: server.value(f"SELECT COUNT(*) FROM {table}") == 0)


def test_second_signal_ends_at_once(server: Server) -> None:
    with Fanin(server, pool={"size": 1}, drain_timeout=60) as fanin, WireClient(fanin.port) as holder:
        holder.ok("BEGIN")
        fanin.terminate()
        eventually(lambda: any(line["event"] == "draining" for line in fanin.log_lines()))
        fanin.terminate()
        assert fanin.exit_status(5) == 1


def test_idle_fanin_ends_at_once(server: Server) -> None:
    with Fanin(server, pool={"size": 1}) as fanin:
        client = fanin.connect()
        run(client, "SELECT 1")
        client.close()
        fanin.terminate()
        assert fanin.exit_status(5) == 0


def test_backends_are_renewed_when_they_are_old(server: Server) -> None:
    with (
        Fanin(server, pool={"size": 1, "max_age": 0.5, "age_jitter": 0}) as fanin,
        WireClient(fanin.port) as client,
    ):
        first = client.value("SELECT 0 + CONNECTION_ID()")
        eventually(lambda: client.value("SELECT 0 + CONNECTION_ID()") != first)


def test_idle_backends_are_closed_in_the_end(server: Server) -> None:
    with Fanin(server, pool={"size": 3, "idle_timeout": 0.5}) as fanin, WireClient(fanin.port) as client:
        assert client.value("SELECT 1") == b"1"
        eventually(lambda: fanin.endpoint()["idle"] == 0)
        assert client.value("SELECT 1") == b"1"


def test_client_in_a_transaction_hears_of_a_lost_server(own: Server) -> None:
    with Fanin(own, pool={"size": 1}) as fanin:
        client = fanin.connect()
        run(client, "BEGIN", "SELECT 1")
        own.restart(by_force=True)
        with pytest.raises(pymysql.err.OperationalError) as caught:
            run(client, "SELECT 1")
        assert caught.value.args[0] in (2006, 2013, 1053)
        client.close()
        client = fanin.connect()
        assert value(client, "SELECT 1") == 1
        client.close()
