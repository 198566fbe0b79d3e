"""Several processes that share the work (`workers = n`), on a real server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pymysql
import pytest

from bench.fanin_process import ProxyError
from bench.servers import HOST, Server
from bench.whatif.recorded import parse
from protocol.constants import Capability
from protocol.packets import parse_err
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import PATIENCE, Fanin, eventually, run, value
from tests.integration.wire import PLAIN, Refusal, WireClient

SLEEP = "SELECT SLEEP(30) FROM mysql.user"
SEVERAL = PLAIN | Capability.MULTI_STATEMENTS | Capability.MULTI_RESULTS
CONNECTIONS = "SELECT COUNT(*) FROM information_schema.processlist WHERE user LIKE 'counted%'"
KILLED = "connections of a dead worker are killed"
CANNOT = "connections of a dead worker cannot be ended yet"
QUIET: dict[str, Any] = {"budget": {"enabled": False}}
"""Nobody but the pools has connections to the server."""


def workers(fanin: Fanin) -> list[dict[str, Any]]:
    return list(fanin.state()["workers"])


def worker_of(client: Any) -> int:
    """By the connection id, of two workers."""
    return (
        int(
            client.thread_id()
            if hasattr(client, "thread_id") and callable(client.thread_id)
            else client.thread_id
        )
        % 2
    )


@pytest.fixture
def pair(fanin: MakeFanin, server: Server) -> Fanin:
    """Two workers, and a pool of four."""
    return fanin(server, pool_size=4, workers=2)


def on_each(
    fanin: Fanin, exits: contextlib.ExitStack, count: int = 1, **arguments: Any
) -> list[list[WireClient]]:
    """So many clients of each of two workers."""
    eventually(lambda: not any(each["clients"] for each in workers(fanin)))
    found: list[list[WireClient]] = [[], []]
    for _ in range(2 * count):
        client = exits.enter_context(WireClient(fanin.port, **arguments))
        found[client.thread_id % 2].append(client)
    assert [len(each) for each in found] == [count, count]
    return found


def test_clients_come_to_the_worker_that_has_the_fewest(pair: Fanin) -> None:
    with contextlib.ExitStack() as exits:
        clients = on_each(pair, exits, 5)
        assert [each["clients"] for each in workers(pair)] == [5, 5]
        for client in clients[0]:
            client.quit()
        eventually(lambda: sorted(each["clients"] for each in workers(pair)) == [0, 5])
        late = [exits.enter_context(WireClient(pair.port)) for _ in range(5)]
        assert {client.thread_id % 2 for client in late} == {0}
        assert [client.value("SELECT 1") for client in (*clients[1], *late)] == [b"1"] * 10


def test_all_workers_together_have_max_clients(fanin: MakeFanin, server: Server) -> None:
    few = fanin(server, pool_size=2, workers=2, limits={"max_clients": 4})
    with contextlib.ExitStack() as exits:
        clients = [client for each in on_each(few, exits, 2) for client in each]
        with pytest.raises(Refusal, match="1040"):
            WireClient(few.port)
        assert few.metric("fanin_frontends_refused_total") == 1
        assert few.state()["frontends"]["limit"] == 4
        for client in clients:
            client.quit()
            # there is room at once, although the parent has not heard of it yet
            exits.enter_context(WireClient(few.port))


def test_clients_of_a_worker_that_hangs_count(fanin: MakeFanin, server: Server) -> None:
    few = fanin(server, pool_size=2, workers=2, limits={"max_clients": 4})
    with contextlib.ExitStack() as exits:
        on_each(few, exits, 2)
        stopped = workers(few)[0]["pid"]
        os.kill(stopped, signal.SIGSTOP)
        try:
            eventually(lambda: [each["is_ready"] for each in workers(few)] == [False, True])
            with pytest.raises(Refusal, match="1040"):
                WireClient(few.port)
        finally:
            os.kill(stopped, signal.SIGCONT)
        eventually(lambda: all(each["is_ready"] for each in workers(few)))


@pytest.fixture
def chief(server: Server) -> Iterator[dict[str, Any]]:
    """An account that may change others."""
    server.sql("CREATE USER 'chief'@'%' IDENTIFIED BY 'p'")
    server.sql("GRANT ALL ON *.* TO 'chief'@'%' WITH GRANT OPTION")
    yield {"user": "chief", "password": "p"}
    server.sql("DROP USER 'chief'@'%'")


def is_met_everywhere(pair: Fanin, exits: contextlib.ExitStack, length: int) -> None:
    """Whoever comes to either worker finds this global group_concat_max_len."""
    late = [exits.enter_context(WireClient(pair.port)) for _ in range(2)]
    assert {each.thread_id % 2 for each in late} == {0, 1}
    assert [each.value("SELECT @@group_concat_max_len") for each in late] == [b"%d" % length] * 2


def test_who_has_the_ok_of_set_global_meets_the_new_value_everywhere(
    pair: Fanin, server: Server, chief: dict[str, Any]
) -> None:
    before = server.value("SELECT @@global.group_concat_max_len")
    with contextlib.ExitStack() as exits:
        exits.callback(server.sql, f"SET GLOBAL group_concat_max_len = {before}")
        clients = [each[0] for each in on_each(pair, exits, **chief)]
        for number in range(2000, 2010):
            clients[number % 2].ok(f"SET GLOBAL group_concat_max_len = {number}")
            is_met_everywhere(pair, exits, number)


def test_what_has_run_before_an_error_is_met_everywhere_too(
    pair: Fanin, server: Server, chief: dict[str, Any]
) -> None:
    before = server.value("SELECT @@global.group_concat_max_len")
    with contextlib.ExitStack() as exits:
        exits.callback(server.sql, f"SET GLOBAL group_concat_max_len = {before}")
        clients = [each[0] for each in on_each(pair, exits, **chief, capabilities=SEVERAL)]
        for number in range(2000, 2004):
            text = f"SET GLOBAL group_concat_max_len = {number}; SELECT nobody"
            assert parse_err(clients[number % 2].query(text)[-1]).code == 1054
            is_met_everywhere(pair, exits, number)


def test_who_has_the_ok_of_a_new_password_meets_the_old_one_nowhere(
    pair: Fanin, server: Server, chief: dict[str, Any]
) -> None:
    server.sql("CREATE USER 'fickle'@'%' IDENTIFIED BY 'p0'")
    with contextlib.ExitStack() as exits:
        exits.callback(server.sql, "DROP USER 'fickle'@'%'")
        clients = [each[0] for each in on_each(pair, exits, **chief)]
        for number in range(3):
            old: dict[str, Any] = {"user": "fickle", "password": f"p{number}", "database": None}
            # both workers know it
            found: set[int] = set()
            while found != {0, 1}:
                found.add(exits.enter_context(WireClient(pair.port, **old)).thread_id % 2)
            clients[number % 2].ok(f"ALTER USER 'fickle'@'%' IDENTIFIED BY 'p{number + 1}'")
            for _ in range(2):
                with pytest.raises(Refusal, match="1045"):
                    WireClient(pair.port, **old)


def test_the_pages_are_of_all_workers(pair: Fanin) -> None:
    before = pair.metric("fanin_queries_total")
    with contextlib.ExitStack() as exits:
        clients = [each[0] for each in on_each(pair, exits)]
        for client in clients:
            client.ok("DO GET_LOCK('of the pages', 0)") if client is clients[0] else client.ok("BEGIN")
        # both have looked at the server
        eventually(lambda: pair.state()["endpoints"][0]["bound"] == 4)
        state = pair.state()
        assert (state["frontends"]["open"], state["frontends"]["with_lease_or_waiting"]) == (2, 2)
        assert [session["id"] for session in state["sessions"]] == sorted(each.thread_id for each in clients)
        assert {session["worker"] for session in state["sessions"]} == {1, 2}
        (endpoint,) = state["endpoints"]
        assert (endpoint["leased"], endpoint["in_transaction"], endpoint["size"], endpoint["bound"]) == (
            2,
            1,
            4,
            4,
        )
        assert pair.metric("fanin_queries_total") >= before + 2
        assert pair.metric("fanin_backends", state="leased") == 2
        assert pair.metric("fanin_workers") == 2
        assert len(pair.metrics("process_resident_memory_bytes")) == 3
        (pin,) = json.loads(pair.page("/pins"))["pins"]
        assert (pin["reason"], pin["live"]) == ("user-lock", 1)
        (shown,) = json.loads(pair.page("/fleet"))["endpoints"]
        assert sum(each["is_this"] for each in shown["sidecars"]) == 2
        assert json.loads(pair.page("/readyz")) == {"status": "ready"}


def test_a_recording_has_the_sessions_of_all_workers(pair: Fanin) -> None:
    with contextlib.ExitStack() as exits:
        clients = [client for each in on_each(pair, exits, 2) for client in each]
        taken: list[bytes] = []

        def take() -> None:
            # a connection of its own: the other is for the state
            with urlopen(f"http://{HOST}:{pair.http_port}/recording?seconds=1.5", timeout=PATIENCE) as answer:
                taken.append(answer.read())

        recording = threading.Thread(target=take)
        recording.start()
        while recording.is_alive():
            for client in clients:
                client.value("SELECT SLEEP(0.01)")
        recording.join()
    found = parse(taken[0])
    assert (len(found.sessions), found.sample) == (4, 1.0)
    (pool,) = found.pools
    assert pool.name == "primary" and pool.size <= 4
    # who was not at its first lease yet has it at the end
    assert abs(pool.leases - sum(len(session) for session in found.sessions)) <= 4
    # all have the same kind of backend, whichever worker's
    assert {lease.key for session in found.sessions for lease in session} == {0}


def test_the_bound_is_kept_while_all_of_the_load_moves(fanin: MakeFanin, server: Server) -> None:
    """First one worker has all of the work, then the other, and then both: the server never has more connections than `pool.size`."""
    few = fanin(server, pool_size=4, workers=2, pool={"acquire_timeout": 30}, **QUIET)
    with contextlib.ExitStack() as exits:
        first, second = on_each(few, exits, 8)
        first[0].value("SELECT 1")
        server.sql("FLUSH STATUS")
        (before,) = [int(row[1]) for row in server.sql("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")]
        others = before - few.endpoint()["idle"]
        for busy in (first, second, first + second, second, first):
            peak = busy_at_once(few, busy)
            assert peak <= 4
            if len(busy) == 8:
                held = [each["slots"]["primary"] for each in workers(few)]
                assert held[busy[0].thread_id % 2] == 3 and sum(held) == 4
        (most,) = [int(row[1]) for row in server.sql("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")]
        assert most <= others + 4


@contextlib.contextmanager
def working(clients: list[WireClient]) -> Iterator[list[int]]:
    """All of them work: the numbers of those that have had an answer."""
    answered: list[int] = []
    stop = threading.Event()
    failed: list[BaseException] = []

    def work(client: WireClient) -> None:
        try:
            while not stop.is_set():
                client.value("SELECT SLEEP(0.01)")
                if client.thread_id not in answered:
                    answered.append(client.thread_id)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed


def busy_at_once(fanin: Fanin, clients: list[WireClient]) -> int:
    """Have all of them work until the slots are where the load is; the most leases that were seen at a time."""
    peak = 0
    with working(clients):
        workers_wanted = {client.thread_id % 2 for client in clients}

        def has_moved() -> bool:
            nonlocal peak
            endpoint = fanin.endpoint()
            peak = max(peak, endpoint["leased"] + endpoint["opening"])
            held = [each["slots"]["primary"] for each in workers(fanin)]
            is_there = sum(held) == 4 and (
                held == [2, 2] if len(workers_wanted) == 2 else 3 in held and held[min(workers_wanted)] == 3
            )
            return is_there and endpoint["leased"] >= (4 if len(workers_wanted) == 2 else 3)

        eventually(has_moved, lambda: json.dumps(fanin.state()["workers"]))
    return peak


def test_limits_of_users_and_databases_are_of_all_workers(server: Server, fanin: MakeFanin) -> None:
    one = fanin(
        server,
        pool_size=4,
        workers=2,
        users=[{"name": "app", "max_backends": 1}],
        **QUIET,
    )
    with contextlib.ExitStack() as exits:
        clients = [each[0] for each in on_each(one, exits)]
        for _ in range(3):
            # there is one slot, which goes where it is wanted
            for client in clients:
                assert client.value("SELECT 1") == b"1"
        (user,) = one.endpoint()["users"]
        assert (user["name"], user["backends"] <= 1, user["limit"]) == ("app", True, 1)


def test_a_worker_that_dies_is_replaced_and_its_clients_only_are_lost(
    fanin: MakeFanin, server: Server
) -> None:
    with Fanin(server, pool={"size": 4}, workers=2) as both, contextlib.ExitStack() as exits:
        clients = on_each(both, exits, 2)
        clients[1][0].ok("BEGIN")
        before = workers(both)
        dead = next(each for each in before if each["worker"] == clients[0][0].thread_id % 2 + 1)
        alive = next(each for each in before if each is not dead)
        os.kill(dead["pid"], signal.SIGKILL)
        for client in clients[0]:
            assert client.stream.read() == b""
        # until the parent has noticed the death both are ready
        eventually(lambda: all(each["is_ready"] and each["pid"] != dead["pid"] for each in workers(both)))
        assert alive["pid"] in {each["pid"] for each in workers(both)}
        assert [client.value("SELECT 1") for client in clients[1]] == [b"1", b"1"]
        ids = {client.thread_id for client in clients[0] + clients[1]}
        for _ in range(4):
            late = exits.enter_context(WireClient(both.port))
            assert late.value("SELECT 1") == b"1"
            assert late.thread_id not in ids
        assert both.metric("fanin_workers_replaced_total") == 1
        eventually(lambda: sum(each["slots"]["primary"] for each in workers(both)) == 4)
        (line,) = [line for line in both.log_lines() if line["event"] == "a worker has died, and is replaced"]
        assert (line["worker"], line["status"]) == (dead["worker"], -9)


def uses_all(fanin: Fanin, size: int) -> bool:
    """Whether so many connections are there, and none of them is of a worker that has died."""
    endpoint, found = fanin.endpoint(), workers(fanin)
    open_now = endpoint["leased"] + endpoint["idle"] + endpoint["parked"] + endpoint["resetting"]
    return open_now == size and not any(each["orphans"] for each in found)


class Peak:
    """The most connections of our accounts that are seen at a server at a time."""

    def __init__(self, server: Server) -> None:
        self.most = 0
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        with contextlib.closing(self._server.connect()) as root:
            while not self._stop.is_set():
                self.most = max(self.most, value(root, CONNECTIONS))


@pytest.fixture
def counted(server: Server) -> Iterator[list[dict[str, Any]]]:
    """Accounts that nobody else uses."""
    accounts = [{"user": f"counted{number}", "password": "pw"} for number in range(2)]
    for account in accounts:
        server.sql(f"CREATE USER '{account['user']}'@'%' IDENTIFIED BY 'pw'")
        server.sql(f"GRANT ALL ON app.* TO '{account['user']}'@'%'")
    yield accounts
    for account in accounts:
        server.sql(f"DROP USER '{account['user']}'@'%'")


@pytest.mark.parametrize("limits", [{}, {"users": [{"name": "counted0", "max_backends": 4}]}])
def test_what_a_dead_worker_ran_is_ended_and_counts_until_then(
    server: Server, counted: list[dict[str, Any]], limits: dict[str, Any]
) -> None:
    size = 6 if limits else 4
    with (
        Fanin(server, pool={"size": size, "acquire_timeout": 30}, workers=2, **QUIET, **limits) as both,
        contextlib.ExitStack() as exits,
    ):
        first, second = on_each(both, exits, 6, **counted[0])
        for client in first[:3]:
            client.send_query("SELECT SLEEP(30)")
        # the other keeps one in any case
        eventually(lambda: len(running(server)) == 3)
        with Peak(server) as peak:
            with working(second):
                os.kill(workers(both)[first[0].thread_id % 2]["pid"], signal.SIGKILL)
                eventually(lambda: not running(server))
                eventually(lambda: both.metric("fanin_workers_replaced_total") == 1)
                eventually(lambda: all(each["is_ready"] for each in workers(both)))
            late = [exits.enter_context(WireClient(both.port, **counted[0])) for _ in range(6)]
            assert {client.thread_id % 2 for client in late} == {first[0].thread_id % 2}
            with working(second + late):
                eventually(lambda: uses_all(both, 4), lambda: json.dumps(both.state()))
        # and the side connection that has ended them
        assert peak.most <= 4 + 1
        assert [each["orphans"] for each in workers(both)] == [0, 0]
        killed = [line for line in both.log_lines() if line["event"] == KILLED]
        assert sum(line["connections"] for line in killed) >= 3
        if limits:
            (user,) = both.endpoint()["users"]
            assert user["limit"] == 4


def test_what_a_dead_worker_ran_counts_where_nobody_can_end_it(
    server: Server, counted: list[dict[str, Any]]
) -> None:
    with (
        Fanin(server, pool={"size": 4, "acquire_timeout": 30}, workers=2, **QUIET) as both,
        contextlib.ExitStack() as exits,
    ):
        first, second = on_each(both, exits, 3, **counted[1])
        alive = [exits.enter_context(WireClient(both.port, **counted[0])) for _ in range(6)]
        alive = [each for each in alive if each.thread_id % 2 == second[0].thread_id % 2]
        for client in first:
            client.send_query("SELECT SLEEP(30)")
        eventually(lambda: len(running(server)) == 3)
        server.sql("ALTER USER 'counted1'@'%' ACCOUNT LOCK")
        with Peak(server) as peak:
            with working(alive):
                os.kill(workers(both)[first[0].thread_id % 2]["pid"], signal.SIGKILL)
                eventually(lambda: both.metric("fanin_workers_replaced_total") == 1)
                eventually(lambda: all(each["is_ready"] for each in workers(both)))
            late = [exits.enter_context(WireClient(both.port, **counted[0])) for _ in range(4)]
            late = [each for each in late if each.thread_id % 2 == first[0].thread_id % 2]
            assert late
            with working(alive + late) as answered:
                # there is one left, which they have by turns
                eventually(lambda: len(answered) == len(alive + late))
                found = workers(both)
                assert sum(each["orphans"] for each in found) == 3
                assert sum(each["slots"]["primary"] for each in found) <= 1
                (line,) = [line for line in both.log_lines() if line["event"] == CANNOT]
                assert line["endpoint"] == "primary" and "lock" in line["reason"]
                server.sql("ALTER USER 'counted1'@'%' ACCOUNT UNLOCK")
                eventually(lambda: not running(server))
                eventually(lambda: uses_all(both, 4), lambda: json.dumps(both.state()))
        assert peak.most <= 4 + 1
        # its password is nowhere to be seen
        assert "pw" not in json.dumps(both.state()["workers"])


def test_what_a_dead_worker_ran_by_a_unix_socket_is_ended(
    server: Server, counted: list[dict[str, Any]]
) -> None:
    upstream = [{"socket": server.socket, "name": "primary"}]
    with (
        Fanin(upstream=upstream, pool={"size": 4}, workers=2, **QUIET) as both,
        contextlib.ExitStack() as exits,
    ):
        first, second = on_each(both, exits, 1, **counted[0])
        for client in (first[0], second[0]):
            client.send_query("SELECT SLEEP(30)")
        eventually(lambda: len(running(server)) == 2)
        os.kill(workers(both)[first[0].thread_id % 2]["pid"], signal.SIGKILL)
        eventually(lambda: len(running(server)) == 1)
        eventually(lambda: any(line["event"] == KILLED for line in both.log_lines()))
        eventually(lambda: not any(each["orphans"] for each in workers(both)))
        # somebody else's goes on
        assert len(running(server)) == 1


def test_what_cannot_be_ended_does_not_hold_up_the_end(server: Server, counted: list[dict[str, Any]]) -> None:
    with (
        Fanin(server, pool={"size": 4}, workers=2, **QUIET) as both,
        contextlib.ExitStack() as exits,
    ):
        first, _ = on_each(both, exits, 1, **counted[1])
        first[0].send_query("SELECT SLEEP(30)")
        eventually(lambda: running(server))
        server.sql("ALTER USER 'counted1'@'%' ACCOUNT LOCK")
        os.kill(workers(both)[first[0].thread_id % 2]["pid"], signal.SIGKILL)
        eventually(lambda: sum(each["orphans"] for each in workers(both)) == 1)
        eventually(lambda: any(line["event"] == CANNOT for line in both.log_lines()))
        both.terminate()
        assert both.exit_status() == 0
        assert "task failed" not in both.log.read_text()
        for thread in running(server):
            server.sql(f"KILL {thread}")


def test_whoever_is_of_another_worker_is_killed_as_any(pair: Fanin, server: Server) -> None:
    with contextlib.ExitStack() as exits:
        (victim,), (killer,) = on_each(pair, exits)
        victim.send_query(SLEEP)
        eventually(lambda: running(server))
        killer.ok(f"KILL QUERY {victim.thread_id}")
        assert parse_err(victim.response(0x03)[-1]).code == 1317
        assert victim.value("SELECT 1") == b"1"
        killer.ok(f"KILL QUERY {victim.thread_id}")
        assert victim.value("SELECT 2") == b"2"
        killer.ok(f"KILL {victim.thread_id}")
        assert victim.stream.read() == b""
        assert parse_err(killer.query(f"KILL {victim.thread_id}")[0]).code == 1094
        assert killer.value("SELECT 1") == b"1"


def running(server: Server) -> list[int]:
    found = server.sql(
        "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(30)%' AND id != CONNECTION_ID()"
    )
    return [row[0] for row in found]


def test_of_another_worker_and_user_the_server_decides(pair: Fanin, server: Server) -> None:
    server.sql("CREATE USER IF NOT EXISTS 'mortal'@'%' IDENTIFIED BY 'pw'")
    server.sql("GRANT SELECT ON app.* TO 'mortal'@'%'")
    with contextlib.ExitStack() as exits:
        (victim,), _ = on_each(pair, exits)
        mortals = [pair.connect(user="mortal", password="pw") for _ in range(2)]
        for mortal in mortals:
            exits.callback(mortal.close)
        mortal = next(each for each in mortals if each.thread_id() % 2 != victim.thread_id % 2)
        for begin in ("SELECT 1", "BEGIN"):
            victim.query(begin)
            for kill in ("KILL", "KILL QUERY"):
                with pytest.raises(pymysql.err.MySQLError, match="You are not owner of") as caught:
                    run(mortal, f"{kill} {victim.thread_id}")
                assert caught.value.args[0] == 1095
        assert victim.value("SELECT 1") == b"1"


def test_a_worker_that_hangs_gets_no_clients_until_it_answers(pair: Fanin) -> None:
    with contextlib.ExitStack() as exits:
        (mine,), (theirs,) = on_each(pair, exits)
        stopped = workers(pair)[1]["pid"]
        os.kill(stopped, signal.SIGSTOP)
        try:
            eventually(lambda: [each["is_ready"] for each in workers(pair)] == [True, False])
            assert pair.metric("fanin_workers") == 1
            late = [exits.enter_context(WireClient(pair.port)) for _ in range(4)]
            assert {client.thread_id % 2 for client in late} == {mine.thread_id % 2}
            refusal = parse_err(mine.query(f"KILL {theirs.thread_id}")[-1])
            assert (refusal.code, b"does not answer" in refusal.message) == (1105, True)
        finally:
            os.kill(stopped, signal.SIGCONT)
        eventually(lambda: all(each["is_ready"] for each in workers(pair)))
        assert theirs.value("SELECT 1") == b"1"


def test_a_changed_password_is_forgotten_by_all_workers(
    fanin: MakeFanin, server: Server, connect: Connect
) -> None:
    both = fanin(server, pool_size=4, workers=2)
    server.sql(
        "CREATE OR REPLACE USER 'fickle'@'%' IDENTIFIED BY 'old'"
        if server.kind == "mariadb"
        else "CREATE USER IF NOT EXISTS 'fickle'@'%' IDENTIFIED BY 'old'"
    )
    with contextlib.ExitStack() as exits:
        clients = [
            exits.enter_context(
                contextlib.closing(both.connect(user="fickle", password="old", database=None))
            )
            for _ in range(2)
        ]
        assert {client.thread_id() % 2 for client in clients} == {0, 1}
        assert [value(client, "SELECT 1") for client in clients] == [1, 1]
        run(
            clients[0],
            "SET PASSWORD = PASSWORD('new')" if server.kind == "mariadb" else "SET PASSWORD = 'new'",
        )

        def is_refused() -> bool:
            try:
                with contextlib.closing(both.connect(user="fickle", password="old", database=None)):
                    return False
            except pymysql.err.OperationalError:
                return True

        for _ in range(4):
            eventually(is_refused)


def test_a_unix_socket_and_tls_are_those_of_all_workers(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Fanin(server, pool={"size": 2}, workers=2, unix=path) as both, contextlib.ExitStack() as exits:
        local = [
            exits.enter_context(contextlib.closing(both.connect(unix_socket=str(path)))) for _ in range(4)
        ]
        assert {client.thread_id() % 2 for client in local} == {0, 1}
        assert [value(client, "SELECT 1") for client in local] == [1] * 4
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        secure = [exits.enter_context(contextlib.closing(both.connect(ssl=context))) for _ in range(2)]
        assert {client.thread_id() % 2 for client in secure} == {0, 1}
        shown = {client._sock.getpeercert(binary_form=True) for client in secure}
        assert len(shown) == 1
    assert not path.exists()


def test_workers_drain_together(server: Server) -> None:
    with (
        Fanin(server, pool={"size": 4}, workers=2, drain_timeout=20) as both,
        contextlib.ExitStack() as exits,
    ):
        clients = on_each(both, exits, 2)
        for busy, _ in clients:
            busy.ok("BEGIN")
        pids = [each["pid"] for each in workers(both)]
        both.terminate()
        for _, idle in clients:
            assert b"draining" in idle.stream.read()
        assert json.loads(both.page("/readyz"))["reasons"] == ["draining"]
        for busy, _ in clients:
            assert busy.value("SELECT 1") == b"1"
            busy.ok("COMMIT")
        assert both.exit_status() == 0
        assert not any(is_alive(pid) for pid in pids)


def test_workers_end_when_the_parent_has_ended(server: Server) -> None:
    with Fanin(server, pool={"size": 4}, workers=2) as both:
        pids = [each["pid"] for each in workers(both)]
        os.kill(both.pid, signal.SIGKILL)
        eventually(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_port_that_is_taken_is_said_once(server: Server) -> None:
    with Fanin(server, pool={"size": 2}, workers=2) as first:
        second = Fanin(server, pool={"size": 2}, workers=2, listen=[f"{HOST}:{first.port}"])
        with pytest.raises(ProxyError, match="ended with status 1") as caught, second:
            pass
        text = f"cannot listen on {HOST}:{first.port}: Address already in use"
        assert str(caught.value).count(text) == 1
