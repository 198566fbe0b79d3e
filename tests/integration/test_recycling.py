"""Connections to real servers come and go as they are needed."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pymysql
import pytest

from bench.servers import Server
from tests.integration.fixtures import Connect
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.wire import WireClient

STATES = ("opening", "idle", "parked", "leased", "resetting")


def backends(fanin: Fanin) -> int:
    endpoint = fanin.endpoint()
    return sum(endpoint[state] for state in STATES)


@pytest.mark.parametrize("min_idle", [0, 2])
def test_after_a_load_the_servers_threads_go_as_its_backends_do(
    server: Server, table: str, min_idle: int
) -> None:
    pool = {"size": 12, "idle_timeout": 1.0, "min_idle": min_idle}
    with Fanin(server, pool=pool) as fanin, contextlib.ExitStack() as exits:
        before = server.status("Threads_connected")
        clients = [exits.enter_context(WireClient(fanin.port)) for _ in range(10)]
        for client in clients:
            client.send_query("SELECT SLEEP(0.3)")
        for client in clients:
            client.response(0x03)
        assert fanin.metric("fanin_backends_opened_total") >= 10
        # half of them leave something behind that has to be read before the backend can go
        for client in clients[::2]:
            client.ok(f"INSERT INTO {table} (s) VALUES ('x')")
        # the clients stay, and who looks at the server
        eventually(lambda: backends(fanin) == min_idle)
        eventually(lambda: server.status("Threads_connected") <= before + min_idle + 1)
        assert clients[0].value("SELECT LAST_INSERT_ID()") not in (b"0", None)
        assert fanin.metric("fanin_closes_total", side="backend", reason="lost") == 0


def test_backends_end_before_the_server_ends_them(server: Server) -> None:
    old = server.value("SELECT @@global.wait_timeout")
    server.sql("SET GLOBAL wait_timeout = 2")
    try:
        with Fanin(server, pool={"size": 2, "min_idle": 1}) as fanin, WireClient(fanin.port) as client:
            assert client.value("SELECT 1") == b"1"
            eventually(lambda: fanin.metric("fanin_closes_total", side="backend", reason="idle-timeout") >= 2)
            assert fanin.metric("fanin_closes_total", side="backend", reason="lost") == 0
            assert fanin.metric("fanin_backends_opened_total") >= 2, "min_idle goes on with another"
    finally:
        server.sql("SET GLOBAL wait_timeout = %s", [old])


def test_a_steady_load_opens_nothing(server: Server, table: str) -> None:
    with Fanin(server, pool={"size": 10}) as fanin:
        stop = threading.Event()

        def work(number: int) -> None:
            with contextlib.closing(fanin.connect()) as client:
                while not stop.is_set():
                    run(client, "SELECT 1", f"UPDATE {table} SET s = {number} WHERE id = {number}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: fanin.metric("fanin_leases_total") > 500)
            opened, leases = (fanin.metric(f"fanin_{name}_total") for name in ("backends_opened", "leases"))
            eventually(lambda: fanin.metric("fanin_leases_total") > leases + 3000)
            opened = fanin.metric("fanin_backends_opened_total") - opened
            assert opened < 0.01 * (fanin.metric("fanin_leases_total") - leases)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_limits_of_users_and_databases_hold_on_the_server(server: Server, root: Any) -> None:
    run(root, "CREATE DATABASE IF NOT EXISTS narrow", "GRANT ALL ON narrow.* TO app")
    settings: dict[str, Any] = {
        "users": [{"name": "app", "max_backends": 3}],
        "databases": [{"name": "narrow", "max_backends": 1}],
    }
    with Fanin(server, pool={"size": 10}, **settings) as fanin, contextlib.ExitStack() as exits:
        before = server.status("Threads_connected")
        clients = [exits.enter_context(WireClient(fanin.port)) for _ in range(8)]
        for client in clients:
            client.send_query("SELECT SLEEP(0.1)")
        # and who looks at the server
        assert server.status("Threads_connected") <= before + 4
        for client in clients:
            client.response(0x03)
        narrow = [exits.enter_context(contextlib.closing(fanin.connect(database="narrow"))) for _ in range(2)]
        run(narrow[0], "BEGIN")
        assert rows(narrow[0], "SELECT DATABASE()") == [("narrow",)]
        assert [each["leased"] for each in fanin.endpoint()["databases"]] == [1]
        # another database's go on
        assert clients[0].value("SELECT 1") == b"1"
        run(narrow[0], "COMMIT")
        assert value(narrow[1], "SELECT 2") == 2


def test_a_statement_that_may_not_take_long_does_not_wait_long(server: Server, connect: Connect) -> None:
    with Fanin(server, pool={"size": 1}) as fanin:
        client, holder = connect(fanin), connect(fanin, program_name="billing")
        run(holder, "BEGIN", "SELECT 1")
        with pytest.raises(pymysql.OperationalError, match="application billing, user app from") as caught:
            run(client, "/* fanin: acquire_timeout=100 */ DO 1")
        assert caught.value.args[0] == 1040
        run(holder, "COMMIT")


def test_threads_that_wait_for_their_own_process_go_on(server: Server, table: str) -> None:
    pool = {"size": 16, "acquire_timeout": 30}
    with Fanin(server, pool=pool) as fanin:
        meet, failed = threading.Barrier(15), list[BaseException]()

        def work() -> None:
            try:
                with (
                    contextlib.closing(fanin.connect()) as outer,
                    contextlib.closing(fanin.connect()) as inner,
                ):
                    run(outer, "BEGIN", f"SELECT COUNT(*) FROM {table}")
                    meet.wait()
                    run(inner, f"INSERT INTO {table} (s) VALUES ('inner')")
                    run(outer, "COMMIT")
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(15)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert fanin.metric("fanin_spared_total") >= 1
        assert server.value(f"SELECT COUNT(*) FROM {table}") == 15
