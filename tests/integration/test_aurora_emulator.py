"""The Aurora emulator: answers of the real server byte for byte, and every control does what it says."""

from __future__ import annotations

import contextlib
import datetime
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest

from bench.servers import HOST
from protocol.auth import sha2_scramble
from protocol.commands import query, reset_connection
from protocol.framing import frame
from protocol.handshake import AuthSwitchRequest
from protocol.packets import parse_ok
from proxy import monitor_queries
from tests.fakes.aurora.cluster import FOREVER, Aurora, Drops
from tests.fakes.aurora.instance import Instance
from tests.fakes.aurora.named_fanin import NamedFanin
from tests.fakes.aurora.names import CLUSTER, READERS, instance_name, resolved_by
from tests.fakes.aurora.status import MASTER
from tests.integration.running import eventually, rows, run, value
from tests.integration.scripts import CLEAN, CONTENT, SCRIPTS
from tests.integration.setting_scripts import SETTING_SCRIPTS
from tests.integration.steps import Query, Script
from tests.integration.wire import NEWEST, PLAIN, Refusal, WireClient

STATUS = "SELECT SERVER_ID, SESSION_ID, REPLICA_LAG_IN_MILLISECONDS, LAST_UPDATE_TIMESTAMP, CPU FROM information_schema.replica_host_status"
WRITES = re.compile(r"INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|inserts|XA|Prepare")
Connect = Callable[..., Any]


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("mariadb", "mysql")],
)
def running(request: pytest.FixtureRequest) -> Iterator[Aurora]:
    with Aurora(request.param, interval=0.05) as started:
        run_all(started, "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
        yield started


@pytest.fixture
def aurora(running: Aurora) -> Iterator[Aurora]:
    """With an empty table app.t, and as it should be again afterwards."""
    run_all(running, "TRUNCATE app.t")
    running.catch_up()
    yield running
    running.settle()
    for name, instance in running.instances.items():
        if not instance.is_up:
            running.revive(name)
        running.thaw(name)
        running.report_lag(name, None)
        running.report_cpu(name, None)
        running.silence(name, False)
        running.set_uptime(name, None)
        running.stall_pipelining(name, False)
        running.refuse_writes_with(name, 1290)
    running.catch_up()


@pytest.fixture
def connect() -> Iterator[Connect]:
    with contextlib.ExitStack() as exits:

        def make(instance: Instance, **arguments: Any) -> Any:
            place = {"host": instance.host, "port": instance.port, "user": "app", "password": "app"}
            defaults = {**place, "database": "app", "autocommit": True, "read_timeout": 30}
            client = pymysql.connect(**{**defaults, **arguments})
            exits.callback(lambda: client.open and client.close())
            return client

        yield make


def run_all(aurora: Aurora, *statements: str) -> None:
    for statement in statements:
        aurora.writer.server.sql(statement)


def count(client: Any) -> int:
    return int(value(client, "SELECT COUNT(*) FROM t"))


def status(client: Any) -> dict[str, dict[str, Any]]:
    """replica_host_status by server."""
    names = ("session", "lag", "updated", "cpu")
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows(client, STATUS)}


def masters(client: Any) -> list[str]:
    return [name for name, row in status(client).items() if row["session"] == MASTER]


def wire(instance: Instance, **arguments: Any) -> WireClient:
    return WireClient(instance.port, host=instance.host, **arguments)


def error_of(client: Any, statement: str) -> int:
    with pytest.raises(pymysql.err.MySQLError) as caught:
        run(client, statement)
    return int(caught.value.args[0])


# --- the real server's answers


@pytest.mark.parametrize("wanted", [PLAIN, NEWEST], ids=["plain", "newest"])
def test_login_is_the_real_servers(running: Aurora, wanted: int) -> None:
    server, instance = running.writer.server, running.writer
    direct = WireClient(server.port, capabilities=wanted)
    through = wire(instance, capabilities=wanted)
    for attribute in ("server_version", "capabilities", "collation", "status", "warnings"):
        assert getattr(through.connected, attribute) == getattr(direct.connected, attribute)
    # the id is that of the connection to the real server
    assert through.value("SELECT CONNECTION_ID()") == str(through.thread_id).encode()
    direct.close()
    through.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"user": "nobody", "password": "x"},
        {"password": "wrong"},
        {"password": ""},
        {"database": "missing"},
        {"user": "repl", "password": "repl", "database": "mysql"},
    ],
    ids=str,
)
def test_refusals_are_the_real_servers(running: Aurora, arguments: dict[str, str]) -> None:
    told = []
    for host, port in ((HOST, running.writer.server.port), (running.writer.host, running.port)):
        with pytest.raises(Refusal) as caught:
            WireClient(port, host=host, **arguments)  # type: ignore[arg-type]
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_password_that_nobody_knows_is_asked_for(running: Aurora, connect: Connect) -> None:
    run_all(running, "CREATE USER 'secret'@'%' IDENTIFIED BY 'word'", "GRANT ALL ON app.* TO 'secret'@'%'")
    client = connect(running.writer, user="secret", password="word")
    assert value(client, "SELECT CURRENT_USER()") == "secret@%"


def test_large_packets_and_files_pass(aurora: Aurora, connect: Connect, tmp_path: Any) -> None:
    client = connect(aurora.writer, local_infile=True)
    size = 17 * (1 << 20)
    run(connect(aurora.writer, user="root", password=""), "SET GLOBAL max_allowed_packet = 67108864")
    client = connect(aurora.writer, local_infile=True, max_allowed_packet=1 << 26)
    assert value(client, "SELECT LENGTH(%s)", "x" * size) == size
    assert len(value(client, f"SELECT REPEAT('x', {size})")) == size
    (tmp_path / "file").write_text("".join(f"{number}\t{number}\n" for number in range(1, 1001)))
    run(client, f"LOAD DATA LOCAL INFILE '{tmp_path / 'file'}' INTO TABLE t")
    assert count(client) == 1000


def test_reset_connection_forgets_auroras_variables(aurora: Aurora) -> None:
    with wire(aurora.writer) as client:
        client.ok("SET @a = 1, aurora_replica_read_consistency = 'session'")
        assert client.value("SELECT CONCAT(@a, @@aurora_replica_read_consistency)") == b"1SESSION"
        client.command(reset_connection())
        assert client.value("SELECT CONCAT(@a IS NULL, @@aurora_replica_read_consistency = '')") == b"11"


@pytest.mark.parametrize(("user", "password"), [("app", "app"), ("root", ""), ("app", "wrong")])
def test_change_of_user_begins_anew(aurora: Aurora, user: str, password: str) -> None:
    with wire(aurora.writer) as client:
        client.ok("SET @a = 1, aurora_replica_read_consistency = 'session'")
        # the answer to a nonce that is not in use is ignored, and asked for again
        client.send(b"\x11" + user.encode() + b"\0\0app\0\x2d\0caching_sha2_password\0")
        switch = AuthSwitchRequest.parse(client.payload(1))
        reply = sha2_scramble(password.encode(), switch.nonce) or b"\0"
        client.socket.sendall(frame(reply, 2))
        answer = client.payload(3)
        if password == "wrong":
            assert answer == b"\x01\x04"
            return
        if user == "app":
            assert answer == b"\x01\x03"
            answer = client.payload(4)
        assert parse_ok(answer, False).status == 2
        asked = "SELECT CONCAT_WS('|', SUBSTRING_INDEX(USER(), '@', 1), @a IS NULL, @@aurora_replica_read_consistency = '')"
        assert client.value(asked) == f"{user}|1|1".encode()


def test_pipelined_commands_are_answered_in_their_order(aurora: Aurora) -> None:
    with wire(aurora.writer) as client:
        client.socket.sendall(b"".join(frame(query(b"SELECT %d" % number)) for number in range(5)))
        for number in range(5):
            answer = client.response(0x03)
            assert answer[-2] == b"\x01%d" % number


def test_kill_reaches_the_connection(aurora: Aurora, connect: Connect) -> None:
    victim, other = connect(aurora.writer), connect(aurora.writer)
    aurora.restart(aurora.writer.name)
    # it has another connection to the real server now, and still answers to the id that it was told
    run(other, f"KILL {victim.thread_id()}")
    assert error_of(victim, "SELECT 1") in (2006, 2013, 1927)


# --- what only Aurora answers


def test_every_instance_says_who_and_what_it_is(aurora: Aurora, connect: Connect) -> None:
    for name, instance in aurora.instances.items():
        client = connect(instance)
        is_reader = int(instance is not aurora.writer)
        with client.cursor() as cursor:
            cursor.execute("SELECT @@aurora_server_id, @@innodb_read_only, AURORA_VERSION()")
            assert cursor.fetchall() == ((name, is_reader, "3.08.0"),)
            assert [column[0] for column in cursor.description] == [
                "@@aurora_server_id",
                "@@innodb_read_only",
                "AURORA_VERSION()",
            ]
        assert rows(client, "SHOW VARIABLES LIKE 'aurora_version'") == [("aurora_version", "3.08.0")]
        shown = dict(rows(client, "SHOW VARIABLES WHERE Variable_name IN ('innodb_read_only', 'port')"))
        assert shown == {"innodb_read_only": ("OFF", "ON")[is_reader], "port": str(instance.server.port)}
        assert rows(client, monitor_queries.IS_AURORA) == [("aurora_version", "3.08.0")]
        server_id, read_only, _, uptime, *_ = rows(client, monitor_queries.AURORA_SELF)[0]
        assert (server_id, read_only) == (name, is_reader)
        assert int(uptime) < 600


PROXYSQL = (
    "SELECT SERVER_ID, IF(SESSION_ID='MASTER_SESSION_ID' AND SERVER_ID <> (SELECT SERVER_ID FROM"
    " INFORMATION_SCHEMA.REPLICA_HOST_STATUS WHERE SESSION_ID='MASTER_SESSION_ID' ORDER BY LAST_UPDATE_TIMESTAMP DESC LIMIT 1),"
    " 'probably_former_MASTER_SESSION_ID', SESSION_ID) SESSION_ID, LAST_UPDATE_TIMESTAMP, IF(SESSION_ID='MASTER_SESSION_ID', 0,"
    " REPLICA_LAG_IN_MILLISECONDS) REPLICA_LAG_IN_MILLISECONDS, CPU FROM INFORMATION_SCHEMA.REPLICA_HOST_STATUS WHERE"
    " ((REPLICA_LAG_IN_MILLISECONDS>=0 AND REPLICA_LAG_IN_MILLISECONDS<=600000) OR SESSION_ID='MASTER_SESSION_ID')"
    " AND LAST_UPDATE_TIMESTAMP > NOW()-INTERVAL 180 SECOND ORDER BY SERVER_ID"
)
WRAPPER = (
    "SELECT SERVER_ID, CASE WHEN SESSION_ID='MASTER_SESSION_ID' THEN TRUE ELSE FALSE END, CPU, REPLICA_LAG_IN_MILLISECONDS,"
    " LAST_UPDATE_TIMESTAMP FROM information_schema.replica_host_status WHERE time_to_sec(timediff(now(),"
    " LAST_UPDATE_TIMESTAMP)) <= 300 OR SESSION_ID='MASTER_SESSION_ID'"
)
AM_I_WRITER = (
    "SELECT SERVER_ID FROM information_schema.replica_host_status WHERE SESSION_ID='MASTER_SESSION_ID'"
    " AND SERVER_ID=@@aurora_server_id"
)


def test_questions_of_other_proxies_and_drivers_are_answered(aurora: Aurora, connect: Connect) -> None:
    writer, reader = connect(aurora.writer), connect(aurora.readers[0])
    names = sorted(aurora.instances)
    for client in (writer, reader):
        found = rows(client, PROXYSQL)
        assert [row[0] for row in found] == names
        assert [row[0] for row in found if row[1] == MASTER] == [aurora.writer.name]
        assert sorted(row[0] for row in rows(client, WRAPPER)) == names
        assert [row[0] for row in rows(client, WRAPPER) if row[1]] == [aurora.writer.name]
        ages = [row[3] for row in rows(client, monitor_queries.AURORA_TABLE)]
        assert len(ages) == 3 and all(0 <= int(age) < 30_000_000 for age in ages)
    assert rows(writer, AM_I_WRITER) == [(aurora.writer.name,)]
    assert rows(reader, AM_I_WRITER) == []


def test_binary_statements_ask_the_same(aurora: Aurora) -> None:
    with wire(aurora.writer) as client:
        prepared = client.command(b"\x16SELECT @@aurora_server_id")
        answer = client.command(b"\x17" + prepared[0][1:5] + b"\0\1\0\0\0")
        assert answer[-2].endswith(aurora.writer.name.encode())


def test_session_variables_are_the_sessions_own(aurora: Aurora, connect: Connect) -> None:
    one, other = connect(aurora.readers[0]), connect(aurora.readers[0])
    run(
        one,
        "SET SESSION aurora_replica_read_consistency = 'session', @@aurora_read_replica_read_committed = 1",
    )
    asked = "SELECT @@aurora_replica_read_consistency, @@aurora_read_replica_read_committed"
    assert rows(one, asked) == [("SESSION", 1)]
    assert rows(other, asked) == [("", 0)]
    assert error_of(one, "SET aurora_replica_read_consistency = 'perhaps'") == 1193


# --- lag


def test_lagging_reader_has_old_rows(aurora: Aurora, connect: Connect) -> None:
    slow, quick = aurora.readers
    writer, from_slow, from_quick = connect(aurora.writer), connect(slow), connect(quick)
    aurora.set_lag(slow.name, 3600)
    run(writer, "INSERT INTO t (v) VALUES (1)")
    eventually(lambda: count(from_quick) == 1)
    assert count(from_slow) == 0
    # as soon as the lag is less, the row is there, and what follows comes as late as is said
    aurora.set_lag(slow.name, 0.3)
    eventually(lambda: count(from_slow) == 1)
    began = datetime.datetime.now()
    run(writer, "INSERT INTO t (v) VALUES (2)")
    eventually(lambda: count(from_slow) == 2)
    assert datetime.datetime.now() - began >= datetime.timedelta(seconds=0.3)


def test_status_table_tells_the_lag_that_is_there(aurora: Aurora, connect: Connect) -> None:
    slow, _ = aurora.readers
    writer, from_slow = connect(aurora.writer), connect(slow)
    aurora.set_lag(slow.name, 3600)
    run(writer, "INSERT INTO t (v) VALUES (1)")
    eventually(lambda: status(writer)[slow.name]["lag"] > 300)
    assert count(from_slow) == 0
    aurora.thaw(slow.name)
    eventually(lambda: status(writer)[slow.name]["lag"] < 300)
    assert count(from_slow) == 1


def test_row_that_is_older_than_the_watermark_is_there(aurora: Aurora, connect: Connect) -> None:
    slow, _ = aurora.readers
    writer, from_slow = connect(aurora.writer), connect(slow)
    aurora.set_lag(slow.name, 0.05, jitter=0.1)
    for number in range(1, 21):
        run(writer, f"INSERT INTO t (v) VALUES ({number})")
        committed = datetime.datetime.now()

        def is_past_the_fence(committed: datetime.datetime = committed) -> bool:
            row = status(writer)[slow.name]
            return bool(row["updated"] - datetime.timedelta(milliseconds=row["lag"]) > committed)

        eventually(is_past_the_fence)
        assert count(from_slow) == number


def test_frozen_reader_gets_nothing_until_it_thaws(aurora: Aurora, connect: Connect) -> None:
    cold, _ = aurora.readers
    writer, from_cold = connect(aurora.writer), connect(cold)
    aurora.freeze(cold.name)
    for number in range(3):
        run(writer, f"INSERT INTO t (v) VALUES ({number})")
    eventually(lambda: status(writer)[cold.name]["lag"] > 500)
    assert count(from_cold) == 0
    assert cold not in aurora.following
    aurora.catch_up()
    assert count(from_cold) == 0
    aurora.thaw(cold.name)
    aurora.catch_up()
    assert count(from_cold) == 3


def test_scripted_lag_and_load_are_told_whatever_is_true(aurora: Aurora, connect: Connect) -> None:
    client, name = connect(aurora.writer), aurora.readers[0].name
    aurora.report_lag(name, 12.5)
    aurora.report_cpu(name, 88.0)
    eventually(lambda: (status(client)[name]["lag"], status(client)[name]["cpu"]) == (12500.0, 88.0))
    aurora.report_lag(name, None)
    eventually(lambda: status(client)[name]["lag"] < 1000)


def test_silent_instance_keeps_its_old_time(aurora: Aurora, connect: Connect) -> None:
    client, (silent, other) = connect(aurora.writer), aurora.readers
    aurora.silence(silent.name)
    before = status(client)
    eventually(lambda: status(client)[other.name]["updated"] > before[other.name]["updated"])
    assert status(client)[silent.name] == before[silent.name]
    aurora.silence(silent.name, False)
    eventually(lambda: status(client)[silent.name]["updated"] > before[silent.name]["updated"])


# --- failover


def test_old_writer_answers_1290_on_live_sockets(aurora: Aurora, connect: Connect) -> None:
    old, new = aurora.writer, aurora.readers[0]
    before, at_new = connect(old), connect(new)
    run(before, "INSERT INTO t (v) VALUES (1)")
    aurora.failover(new.name)
    assert error_of(before, "INSERT INTO t (v) VALUES (2)") == 1290
    assert rows(before, "SELECT @@innodb_read_only, @@aurora_server_id") == [(1, old.name)]
    assert (value(at_new, "SELECT @@innodb_read_only"), count(at_new)) == (0, 1)
    run(at_new, "INSERT INTO t (v) VALUES (2)")
    aurora.catch_up()
    assert [count(connect(each)) for each in aurora.instances.values()] == [2, 2, 2]
    assert [masters(connect(each)) for each in aurora.instances.values()] == [[new.name]] * 3


def test_readers_refuse_writes_with_the_error_that_is_wanted(aurora: Aurora, connect: Connect) -> None:
    client, other = (connect(each) for each in aurora.readers)
    for code, text in (
        (1836, "Running in read-only mode"),
        (3161, "InnoDB is disabled"),
        (1290, "read-only"),
    ):
        aurora.refuse_writes_with(aurora.readers[0].name, code)
        with pytest.raises(pymysql.err.MySQLError, match=text) as caught:
            run(client, "INSERT INTO t (v) VALUES (1)")
        assert caught.value.args[0] == code
        assert value(client, "SELECT 1") == 1
        assert error_of(other, "INSERT INTO t (v) VALUES (1)") == 1290


def test_nobody_takes_writes_in_the_gap(aurora: Aurora, connect: Connect) -> None:
    old, new = connect(aurora.writer), connect(aurora.readers[0])
    name = aurora.readers[0].name
    with ThreadPoolExecutor(1) as threads:
        moving = threads.submit(aurora.failover, name, gap=2.0)
        eventually(lambda: value(old, "SELECT @@innodb_read_only") == 1)
        codes = {error_of(client, "INSERT INTO t (v) VALUES (1)") for client in (old, new)}
        switch = moving.result()
    assert codes == {1290}
    assert switch.gap >= 2.0
    run(new, "INSERT INTO t (v) VALUES (1)")


def test_transactions_at_the_old_writer_end_as_asked(aurora: Aurora, connect: Connect) -> None:
    for drops, in_transaction, idle in (
        (Drops.NONE, 1290, True),
        (Drops.TRANSACTIONS, 2013, True),
        (Drops.ALL, 2013, False),
    ):
        resting, busy = connect(aurora.writer), connect(aurora.writer, autocommit=False)
        run(busy, "INSERT INTO t (v) VALUES (1)")
        aurora.failover(aurora.readers[0].name, drops=drops)
        assert error_of(busy, "COMMIT") == in_transaction
        busy.close()
        if idle:
            assert value(resting, "SELECT @@innodb_read_only") == 1
        else:
            assert error_of(resting, "SELECT 1") in (2006, 2013)
        assert count(connect(aurora.writer)) == 0
    # a restart shows in Uptime
    uptimes = [int(rows(connect(each), "SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]) for each in aurora.readers]
    assert min(uptimes) < 60 and max(uptimes) > min(uptimes)


def test_nothing_committed_is_lost_by_a_failover_to_a_reader_that_lags(
    aurora: Aurora, connect: Connect
) -> None:
    slow = aurora.readers[1]
    writer = connect(aurora.writer)
    aurora.set_lag(slow.name, 3600)
    for number in range(10):
        run(writer, f"INSERT INTO t (v) VALUES ({number})")
    aurora.failover(slow.name)
    assert count(connect(slow)) == 10


def test_copies_of_the_table_are_stale_after_a_failover(aurora: Aurora, connect: Connect) -> None:
    old, new, other = aurora.writer, *aurora.readers
    clients = {each: connect(each) for each in (old, new, other)}
    aurora.failover(new.name, stale=FOREVER)
    # those who are not the writer show what was, and the writer two masters, of which the older one is the former
    assert masters(clients[old]) == masters(clients[other]) == [old.name]
    assert sorted(masters(clients[new])) == sorted([old.name, new.name])
    eventually(lambda: status(clients[new])[new.name]["updated"] > status(clients[new])[old.name]["updated"])
    assert [row[0] for row in rows(clients[new], PROXYSQL) if row[1] == MASTER] == [new.name]
    stale = status(clients[other])
    aurora.report()
    assert status(clients[other]) == stale
    aurora.settle()
    assert [masters(client) for client in clients.values()] == [[new.name]] * 3


def test_staleness_ends_by_itself(aurora: Aurora, connect: Connect) -> None:
    old, new = aurora.writer, aurora.readers[0]
    client = connect(old)
    aurora.failover(new.name, stale=0.05, dns=0.05)
    eventually(lambda: masters(client) == [new.name])
    eventually(lambda: aurora.names.resolve(CLUSTER) == [new.host])


def test_name_of_the_cluster_is_late(aurora: Aurora) -> None:
    old, new = aurora.writer, aurora.readers[0]
    assert aurora.names.resolve(CLUSTER) == [old.host]
    aurora.failover(new.name, dns=FOREVER)
    assert aurora.names.resolve(CLUSTER) == [old.host]
    aurora.settle()
    assert resolved_by(aurora.names.path, CLUSTER) == [new.host]
    assert old.host in resolved_by(aurora.names.path, READERS)
    assert resolved_by(aurora.names.path, instance_name(new.name)) == [new.host]
    assert resolved_by(aurora.names.path, "127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(socket.gaierror):
        resolved_by(aurora.names.path, instance_name("db-99"))


def test_fanin_follows_the_name_when_it_connects_again(aurora: Aurora) -> None:
    old, new = aurora.writer, aurora.readers[0]
    with NamedFanin(aurora, pool={"size": 2}) as fanin:
        client = fanin.connect()
        assert value(client, "SELECT @@aurora_server_id") == old.name
        aurora.failover(new.name, dns=FOREVER)
        # the name is late, and so is whoever believes it
        aurora.drop(old.name)
        eventually(lambda: fanin.endpoint("cluster")["idle"] == 0)
        assert rows(client, "SELECT @@aurora_server_id, @@innodb_read_only") == [(old.name, 1)]
        aurora.settle()
        aurora.drop(old.name)
        eventually(lambda: fanin.endpoint("cluster")["idle"] == 0)
        assert rows(client, "SELECT @@aurora_server_id, @@innodb_read_only") == [(new.name, 0)]
        client.close()


def test_crash_resets_connections_and_loses_nothing(aurora: Aurora, connect: Connect) -> None:
    old, new = aurora.writer, aurora.readers[0]
    client, slow = connect(old), aurora.readers[1]
    aurora.set_lag(slow.name, 3600)
    run(client, "INSERT INTO t (v) VALUES (1)")
    aurora.crash(old.name)
    assert error_of(client, "SELECT 1") in (2006, 2013)
    with pytest.raises(pymysql.err.OperationalError, match="refused"):
        connect(old)
    # nobody is the writer for now: the table still says who was
    assert masters(connect(new)) == [old.name]
    aurora.failover(new.name)
    at_new = connect(new)
    assert count(at_new) == 1
    run(at_new, "INSERT INTO t (v) VALUES (2)")
    # its row has its old time while it is down
    assert sorted(masters(at_new)) == sorted([old.name, new.name])
    aurora.revive(old.name)
    eventually(lambda: masters(at_new) == [new.name])
    aurora.thaw(slow.name)
    aurora.catch_up()
    back = connect(old)
    assert (count(back), value(back, "SELECT @@innodb_read_only")) == (2, 1)
    assert error_of(back, "INSERT INTO t (v) VALUES (3)") == 1290


def test_writer_that_crashes_and_comes_back_is_the_writer(aurora: Aurora, connect: Connect) -> None:
    name = aurora.writer.name
    run(connect(aurora.writer), "INSERT INTO t (v) VALUES (1)")
    aurora.crash(name)
    aurora.revive(name)
    client = connect(aurora[name])
    run(client, "INSERT INTO t (v) VALUES (2)")
    assert count(client) == 2
    aurora.catch_up()
    assert count(connect(aurora.readers[0])) == 2


def test_reader_that_crashes_leaves_the_others(aurora: Aurora, connect: Connect) -> None:
    dead, alive = aurora.readers
    at_dead, at_alive = connect(dead), connect(alive)
    aurora.crash(dead.name)
    assert error_of(at_dead, "SELECT 1") in (2006, 2013)
    run(connect(aurora.writer), "INSERT INTO t (v) VALUES (1)")
    aurora.catch_up()
    assert count(at_alive) == 1


# --- restarts


def test_restart_keeps_sockets_and_loses_statements(aurora: Aurora) -> None:
    with wire(aurora.writer, capabilities=NEWEST) as client:
        client.ok("SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES'")
        client.ok("SET @mine = 1")
        client.ok("INSERT INTO t (v) VALUES (1)")
        client.ok("USE information_schema")
        old = client.command(b"\x16SELECT 'old'")[0][1:5]
        aurora.restart(aurora.writer.name)
        execute = b"\x17" + old + b"\0\1\0\0\0"
        assert client.command(execute)[0][1:3] == (1243).to_bytes(2, "little")
        # numbers begin anew, so the old one may name another statement
        new = client.command(b"\x16SELECT 'new'")[0][1:5]
        assert new == old
        assert b"new" in client.command(execute)[-2]
        asked = "SELECT CONCAT_WS('|', @@time_zone, @@sql_mode, DATABASE(), LAST_INSERT_ID(), @mine IS NULL)"
        assert client.value(asked) == b"+03:00|ANSI_QUOTES|information_schema|0|1"


def test_restart_shows_in_uptime(aurora: Aurora, connect: Connect) -> None:
    name = aurora.readers[0].name
    client = connect(aurora[name])
    aurora.set_uptime(name, 5000)
    in_table = "SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime'"
    before = int(value(client, in_table))
    assert 5000 <= before < 5600
    aurora.restart(name)
    assert int(value(client, in_table)) < 60
    assert int(rows(client, "SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]) < 60
    assert int(rows(client, monitor_queries.AURORA_SELF)[0][3]) < 60


def test_restart_ends_those_who_do_not_rest(aurora: Aurora, connect: Connect) -> None:
    busy = connect(aurora.writer, autocommit=False)
    run(busy, "INSERT INTO t (v) VALUES (1)")
    running = wire(aurora.writer)
    running.send_query("SELECT SLEEP(30)")
    eventually(
        lambda: any(
            not each.is_resting and not each.is_in_transaction for each in list(aurora.writer.sessions)
        )
    )
    aurora.restart(aurora.writer.name)
    assert error_of(busy, "COMMIT") in (2006, 2013)
    with pytest.raises((ConnectionError, OSError)):
        running.response(0x03)
    running.close()
    client = connect(aurora.writer)
    eventually(lambda: rows(client, "SELECT id FROM t FOR UPDATE") == [])


# --- pipelining, names, instances


def test_stalled_pipelining_hangs_as_aurora_2_does(aurora: Aurora) -> None:
    aurora.stall_pipelining(aurora.writer.name)
    with wire(aurora.writer) as one_by_one, wire(aurora.writer) as pipelining:
        assert [one_by_one.value("SELECT 1") for _ in range(3)] == [b"1"] * 3
        pipelining.socket.sendall(frame(query(b"SELECT 1")) + frame(query(b"SELECT 2")))
        assert pipelining.response(0x03)[-2] == b"\x011"
        pipelining.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            pipelining.response(0x03)
        # another connection is none the worse
        assert one_by_one.value("SELECT 1") == b"1"
    aurora.stall_pipelining(aurora.writer.name, False)
    with wire(aurora.writer) as pipelining:
        pipelining.socket.sendall(frame(query(b"SELECT 1")) + frame(query(b"SELECT 2")) + frame(b"\x01"))
        assert [pipelining.response(0x03)[-2] for _ in range(2)] == [b"\x011", b"\x012"]


def test_commands_without_an_answer_stall_what_follows_in_their_segment(aurora: Aurora) -> None:
    aurora.stall_pipelining(aurora.writer.name)
    with wire(aurora.writer) as client:
        number = client.command(b"\x16SELECT 1")[0][1:5]
        client.socket.sendall(frame(b"\x19" + number) + frame(query(b"SELECT 1")))
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.response(0x03)


def test_connections_are_ended_or_reset(aurora: Aurora, connect: Connect) -> None:
    with wire(aurora.writer) as ended:
        aurora.drop(aurora.writer.name)
        assert ended.stream.read() == b""
    with wire(aurora.writer) as was_reset:
        aurora.drop(aurora.writer.name, is_reset=True)
        with pytest.raises(ConnectionResetError):
            was_reset.stream.read()
    assert value(connect(aurora.writer), "SELECT 1") == 1


def test_instances_come_and_go(aurora: Aurora, connect: Connect) -> None:
    writer = connect(aurora.writer)
    run(writer, "INSERT INTO t (v) VALUES (1)")
    name = aurora.add_instance()
    added = connect(aurora[name])
    assert rows(added, "SELECT @@aurora_server_id, @@innodb_read_only") == [(name, 1)]
    assert count(added) == 1
    eventually(lambda: name in status(writer))
    assert aurora[name].host in aurora.names.resolve(READERS)
    with pytest.raises(ValueError, match="fail over first"):
        aurora.remove_instance(aurora.writer.name)
    aurora.remove_instance(name)
    assert error_of(added, "SELECT 1") in (2006, 2013)
    with pytest.raises(socket.gaierror):
        aurora.names.resolve(instance_name(name))
    # its row stays, with its last time
    aurora.report()
    lingering = status(writer)[name]
    aurora.report()
    assert status(writer)[name] == lingering
    aurora.board.forget(name)
    assert sorted(status(writer)) == sorted(aurora.instances)


def test_addresses_differ_and_the_port_is_the_same(running: Aurora) -> None:
    addresses = {(each.host, each.port) for each in running.instances.values()}
    assert len(addresses) == 3
    assert {port for _, port in addresses} == {running.port}


def test_no_word_of_the_emulator_is_left_behind(aurora: Aurora, connect: Connect) -> None:
    client = connect(aurora.writer)
    rows(client, STATUS)
    rows(client, PROXYSQL)
    assert rows(client, "SHOW WARNINGS") == []
    schemas = {row[0] for row in rows(client, "SHOW DATABASES")}
    assert schemas <= {"app", "compared", "other", "information_schema", "mysql", "performance_schema", "sys"}


# --- whole conversations; last, because an instance that is added replays all that they write


class Recorder(WireClient):
    """Keeps every byte that comes after the login."""

    def record(self) -> None:
        self.seen = bytearray()
        plain = self.stream

        class Stream:
            def read(this, *size: int) -> bytes:
                chunk = plain.read(*size)
                self.seen.extend(chunk)
                return chunk

            def close(this) -> None:
                plain.close()

        self.stream = Stream()  # type: ignore[assignment]


def played(script: Script, host: str, port: int, capabilities: int) -> bytes:
    """What a server says in a conversation, from the login's OK to the end."""
    ids: dict[str, int] = {}
    with Recorder(
        port, host=host, capabilities=capabilities, database=script.database, collation=script.collation
    ) as client:
        client.record()
        for step in script.steps:
            step.run(client, ids)
        client.quit()
        return bytes(client.seen)


EVERY = 8
"""Of the many scripts that only send statements, every eighth: they are relayed alike. All that send other commands are played."""


def chosen(first: int, kind: str) -> list[Script]:
    found = [each for each in (*SCRIPTS, *SETTING_SCRIPTS) if kind in each.kinds]
    others = [each for each in found if not all(isinstance(step, Query) for step in each.steps)]
    return others + [each for each in found if each not in others][first::EVERY]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("first", "wanted"), [(0, PLAIN), (1, NEWEST)], ids=["plain", "newest"])
def test_conversations_are_those_with_the_real_server(running: Aurora, first: int, wanted: int) -> None:
    server = running.writer.server
    is_clean, differing = False, []
    with contextlib.closing(server.connect()) as root:
        run(root, *CONTENT)
        for script in chosen(first, server.kind):
            answers = []
            for host, port in ((HOST, server.port), (running.writer.host, running.port)):
                if not is_clean:
                    run(root, *CLEAN)
                answers.append(played(script, host, port, wanted | script.capabilities))
                is_clean = WRITES.search(str(script)) is None
            if answers[0] != answers[1]:
                differing.append(script.name)
    assert differing == []
