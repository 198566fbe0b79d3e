"""KILL of Fanin's own connection ids, and clients that go while something runs."""

from __future__ import annotations

import socket

import psutil
import pymysql
import pytest

from bench.servers import Server
from protocol.packets import parse_err
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, run, value
from tests.integration.wire import WireClient

SLEEP = "SELECT SLEEP(30) AS nap"


def running(server: Server, text: str = "SLEEP(30)") -> list[int]:
    """The server's ids of connections that run such a statement."""
    found = server.sql(
        "SELECT id FROM information_schema.processlist WHERE info LIKE %s AND id != CONNECTION_ID()",
        [f"%{text}%"],
    )
    return [row[0] for row in found]


def test_query_of_a_client_that_is_gone_ends_on_the_server(
    two: Fanin, server: Server, connect: Connect
) -> None:
    with WireClient(two.port) as client:
        client.send_query(SLEEP)
        eventually(lambda: running(server))
        (killed,) = running(server)
    eventually(lambda: not running(server))
    eventually(lambda: two.endpoint()["leased"] == 0)
    assert killed not in [row[0] for row in server.sql("SHOW PROCESSLIST")]
    assert two.metric("fanin_closes_total", side="backend", reason="client-left") >= 1
    assert value(connect(two), "SELECT 1") == 1


def test_write_of_a_client_that_is_gone_is_undone(
    two: Fanin, server: Server, connect: Connect, table: str
) -> None:
    with WireClient(two.port) as client:
        client.ok("BEGIN")
        client.ok(f"INSERT INTO {table} (v) VALUES (1)")
        client.send_query(SLEEP)
        eventually(lambda: running(server))
    eventually(lambda: not running(server))
    assert value(connect(two), f"SELECT COUNT(*) FROM {table}") == 0


def test_waiting_client_that_is_gone_frees_its_place(fanin: MakeFanin, server: Server) -> None:
    one = fanin(server, pool_size=1)
    with WireClient(one.port) as holder, WireClient(one.port) as last:
        holder.ok("DO GET_LOCK('x', 1)")
        with WireClient(one.port) as gone:
            gone.send_query("SELECT 1")
            eventually(lambda: one.endpoint()["waiting"] == 1)
            last.send_query("SELECT 2")
            eventually(lambda: one.endpoint()["waiting"] == 2)
        eventually(lambda: one.endpoint()["waiting"] == 1)
        holder.quit()
        assert last.response(0x03)[3] == b"\x012"


def test_who_wants_to_kill_what_has_the_whole_pool_comes_in(fanin: MakeFanin, server: Server) -> None:
    """As command lines do at Ctrl-C, on a connection of their own and with a character set that nobody has asked for."""
    one = fanin(server, pool_size=1)
    with WireClient(one.port) as victim:
        victim.send_query("SELECT SLEEP(30) FROM mysql.user")
        eventually(lambda: running(server))
        with WireClient(one.port, collation=8, database=None) as killer:
            killer.ok(f"KILL QUERY {victim.thread_id}")
        assert parse_err(victim.response(0x03)[-1]).code == 1317


@pytest.mark.parametrize("kill", ["KILL QUERY {id}", "kill /* it */ query {id}"])
def test_kill_query_interrupts_another_client(kill: str, two: Fanin, server: Server) -> None:
    with WireClient(two.port) as victim, WireClient(two.port) as killer:
        victim.send_query("SELECT SLEEP(30) FROM mysql.user")
        eventually(lambda: running(server))
        killer.ok(kill.format(id=victim.thread_id))
        assert parse_err(victim.response(0x03)[-1]).code == 1317
        assert victim.value("SELECT 1") == b"1"
    eventually(lambda: two.endpoint()["leased"] == 0)


@pytest.mark.parametrize("kill", ["KILL {id}", "KILL CONNECTION {id}", "KILL HARD {id}"])
def test_kill_closes_another_client(kill: str, two: Fanin, server: Server) -> None:
    if "HARD" in kill and server.kind == "mysql":
        pytest.skip("not a statement of this server")
    with WireClient(two.port) as victim, WireClient(two.port) as killer:
        victim.send_query(SLEEP)
        eventually(lambda: running(server))
        killer.ok(kill.format(id=victim.thread_id))
        # the server has said OK when it has told the other, which wakes by itself
        eventually(lambda: not running(server))
        with pytest.raises(ConnectionError):
            while True:
                victim.response(0x03)
        assert killer.value("SELECT 1") == b"1"


def test_killed_client_that_reads_nothing_is_not_kept(fanin: MakeFanin, server: Server) -> None:
    own = fanin(server, limits={"max_clients": 8})

    with WireClient(own.port) as killer:
        killer.ok("DO 1")
        with WireClient(own.port) as victim:
            its_port = victim.socket.getsockname()[1]

            def is_kept() -> bool:
                """Whether Fanin has its descriptor of that connection. (The system may keep the connection itself for longer.)"""
                return any(
                    each.raddr and each.raddr.port == its_port
                    for each in psutil.Process(own.pid).net_connections("tcp")
                )

            assert is_kept()
            # less than the system would buffer by itself
            victim.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            victim.send_query("SELECT REPEAT('x', 9000000)")
            assert victim.socket.recv(1, socket.MSG_PEEK)
            killer.ok(f"KILL {victim.thread_id}")
            eventually(lambda: not is_kept())
            assert own.state()["frontends"]["open"] == 1


def test_kill_of_an_idle_client_closes_it(two: Fanin) -> None:
    with WireClient(two.port) as victim, WireClient(two.port) as killer:
        killer.ok(f"KILL {victim.thread_id}")
        assert victim.stream.read() == b""
        assert parse_err(killer.query(f"KILL {victim.thread_id}")[0]).code == 1094


def test_kill_query_of_an_idle_client_does_nothing(two: Fanin) -> None:
    with WireClient(two.port) as victim, WireClient(two.port) as killer:
        killer.ok(f"KILL QUERY {victim.thread_id}")
        assert victim.value("SELECT 1") == b"1"


def test_process_kill_command_works_like_the_statement(two: Fanin, server: Server) -> None:
    with WireClient(two.port) as victim, WireClient(two.port) as killer:
        victim.send_query(SLEEP)
        eventually(lambda: running(server))
        assert killer.command(b"\x0c" + victim.thread_id.to_bytes(4, "little"))[0][0] == 0
        eventually(lambda: not running(server))


def test_kill_in_a_pool_that_is_full_gets_through(fanin: MakeFanin, server: Server) -> None:
    one = fanin(server, pool_size=1)
    with WireClient(one.port) as victim, WireClient(one.port) as killer:
        victim.send_query("SELECT SLEEP(30) FROM mysql.user")
        eventually(lambda: running(server))
        killer.ok(f"KILL QUERY {victim.thread_id}")
        assert parse_err(victim.response(0x03)[-1]).code == 1317


def test_own_connection_can_be_killed(two: Fanin, server: Server) -> None:
    with WireClient(two.port) as client, WireClient(server.port) as direct:
        code = 1927 if server.kind == "mariadb" else 1317
        assert parse_err(client.query("KILL CONNECTION_ID()")[0]).code == code
        assert client.stream.read() == b""
        direct.send_query("KILL CONNECTION_ID()")


def test_unknown_id_is_the_servers_own_error(two: Fanin) -> None:
    with WireClient(two.port) as client:
        assert parse_err(client.query("KILL 4000000000")[0]).code == 1094
        assert parse_err(client.query("KILL 999999")[0]).code == 1094
        assert client.value("SELECT 1") == b"1"


def test_session_of_another_user_cannot_be_killed(two: Fanin, server: Server, connect: Connect) -> None:
    server.sql("CREATE USER IF NOT EXISTS 'mortal'@'%' IDENTIFIED BY 'pw'")
    server.sql("GRANT SELECT ON app.* TO 'mortal'@'%'")
    with WireClient(two.port) as victim:
        mortal = connect(two, user="mortal", password="pw")
        for kill in ("KILL", "KILL QUERY"):
            with pytest.raises(pymysql.err.MySQLError, match="You are not owner of") as caught:
                run(mortal, f"{kill} {victim.thread_id}")
            assert caught.value.args[0] == 1095
        assert victim.value("SELECT 1") == b"1"


def test_backend_killed_by_somebody_is_replaced(one: Fanin, server: Server, connect: Connect) -> None:
    client = connect(one)
    # the number of its own: others on this server come and go
    backend = value(client, "SELECT 0 + CONNECTION_ID()")
    server.sql(f"KILL {backend}")
    eventually(lambda: one.endpoint()["idle"] + one.endpoint()["parked"] == 0)
    assert value(client, "SELECT 0 + CONNECTION_ID()") not in (None, backend)


def test_statement_whose_backend_is_killed_gets_an_error(two: Fanin, server: Server) -> None:
    with WireClient(two.port) as client:
        client.send_query(SLEEP)
        eventually(lambda: running(server))
        (backend,) = running(server)
        server.sql(f"KILL {backend}")
        assert client.response(0x03)[0][0] == 0xFF
        assert client.value("SELECT 1") == b"1"
