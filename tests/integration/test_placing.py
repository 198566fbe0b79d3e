"""A real writer with two real readers behind one listener: where statements run, and what sessions see of their writes."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pymysql
import pytest

from bench.cluster import Cluster
from bench.servers import HOST, Server
from tests.fakes.loop_thread import LoopThread
from tests.fakes.toxics import BlackHole, ToxicProxy
from tests.integration.running import Fanin, eventually, run, value

BOTH = [
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("mysql", marks=pytest.mark.mysql),
]
WHERE = "SELECT port FROM place"
"""Proved to be a read, and each server has its own answer."""


@pytest.fixture(scope="module", params=BOTH)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        writer = started.writer
        writer.sql("CREATE TABLE app.place (port INT)")
        writer.sql("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
        writer.sql("CREATE VIEW app.w AS SELECT 1 AS a")
        writer.sql(
            "CREATE FUNCTION app.writes() RETURNS INT DETERMINISTIC MODIFIES SQL DATA"
            " BEGIN INSERT INTO app.t (v) VALUES (99); RETURN 99; END"
        )
        writer.sql("CREATE FUNCTION app.says() RETURNS INT DETERMINISTIC NO SQL RETURN 1")
        writer.sql("GRANT EXECUTE ON app.* TO app@'%'")
        started.catch_up()
        for server in started.servers:
            put_up_a_sign(server)
        yield started


def put_up_a_sign(server: Server) -> None:
    """What nobody replicates."""
    is_mysql = server.kind == "mysql"
    with contextlib.closing(server.connect()) as root, root.cursor() as cursor:
        if is_mysql:
            cursor.execute("SELECT @@GLOBAL.super_read_only")
            is_reader = cursor.fetchone()[0]
            cursor.execute("SET GLOBAL super_read_only = 0")
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute(f"INSERT INTO app.place VALUES ({server.port})")
        cursor.execute("COMMIT")
        if is_mysql and is_reader:
            cursor.execute("SET GLOBAL super_read_only = 1")


@contextlib.contextmanager
def placing(
    cluster: Cluster,
    pool_size: int = 4,
    interval: float = 0.2,
    lag_interval: float = 0.05,
    acquire_timeout: float = 5.0,
    ways: dict[int, int] | None = None,
    **routing: Any,
) -> Iterator[Fanin]:
    """With reads outside transactions on readers, and the servers heard. ``ways``: the ports that lead to some servers."""
    ways = ways or {}
    roles = ["writer", *("reader" for _ in cluster.readers)]
    upstream = [
        {
            "host": HOST,
            "port": ways.get(server.port, server.port),
            "role": role,
            "name": f"{role}-{server.port}",
        }
        for server, role in zip(cluster.servers, roles, strict=True)
    ]
    with Fanin(
        upstream=upstream,
        has_readers=True,
        pool={"size": pool_size, "acquire_timeout": acquire_timeout},
        topology={
            "kind": "replication",
            "monitor_user": "root",
            "interval": interval,
            "lag_interval": lag_interval,
        },
        routing={"autocommit_reads": "reader", "warm_up": 0.0, "max_lag": 5.0, **routing},
    ) as started:
        with contextlib.closing(started.connect()) as client:
            eventually(lambda: value(client, WHERE) in ports(cluster))
        yield started
        print(started.log.read_text())


@pytest.fixture(scope="module")
def fanin(cluster: Cluster) -> Iterator[Fanin]:
    with placing(cluster) as started:
        yield started


@pytest.fixture
def client(fanin: Fanin) -> Iterator[Any]:
    with contextlib.closing(fanin.connect()) as connected:
        yield connected


def ports(cluster: Cluster) -> set[int]:
    return {server.port for server in cluster.readers}


def test_reads_run_on_readers_and_writes_on_the_writer(cluster: Cluster, client: Any) -> None:
    assert value(client, WHERE) in ports(cluster)
    assert value(client, "SELECT @@port") == cluster.writer.port
    assert value(client, "SELECT /* fanin: reader */ @@port") in ports(cluster)
    assert value(client, f"/* fanin: writer */ {WHERE}") == cluster.writer.port


def test_read_only_transactions_run_on_readers(cluster: Cluster, fanin: Fanin) -> None:
    begins = (
        ["START TRANSACTION READ ONLY"],
        ["SET TRANSACTION READ ONLY", "START TRANSACTION"],
        ["SET SESSION TRANSACTION READ ONLY", "BEGIN"],
    )
    for texts in begins:
        with contextlib.closing(fanin.connect()) as client:
            for text in texts:
                run(client, text)
            assert value(client, "SELECT @@port") in ports(cluster)
            with pytest.raises(pymysql.err.MySQLError) as refused:
                run(client, "INSERT INTO t (v) VALUES (1)")
            assert refused.value.args[0] == 1792
            assert value(client, "SELECT @@port") in ports(cluster)
            run(client, "COMMIT")
    with contextlib.closing(fanin.connect()) as client:
        run(client, "BEGIN")
        assert value(client, "SELECT @@port") == cluster.writer.port
        run(client, "COMMIT")


def test_a_late_begin_holds_no_backend_and_may_go_to_a_reader(cluster: Cluster) -> None:
    with placing(cluster, pool_size=1, late_begin=True) as fanin, contextlib.ExitStack() as clients:
        client, other, reading = [
            clients.enter_context(contextlib.closing(fanin.connect())) for _ in range(3)
        ]
        count = "/* fanin: writer */ SELECT COUNT(*) FROM t"
        before = value(client, count)
        run(client, "BEGIN")
        # there is only one backend
        run(other, "INSERT INTO t (v) VALUES (1)")
        run(client, "INSERT INTO t (v) VALUES (2)")
        assert value(client, "SELECT COUNT(*) FROM t") == before + 2
        run(client, "ROLLBACK")
        assert value(client, count) == before + 1
        run(reading, "BEGIN")
        assert value(reading, f"/* fanin: reader */ {WHERE}") in ports(cluster)
        assert value(reading, "SELECT @@port") in ports(cluster)
        run(reading, "COMMIT", "BEGIN", "COMMIT")
        run(client, "BEGIN", "INSERT INTO t (v) VALUES (3)", "COMMIT")
        assert value(other, count) == before + 2


def test_a_session_always_sees_its_own_writes(cluster: Cluster, client: Any) -> None:
    for number in range(60):
        run(client, f"INSERT INTO t (v) VALUES ({number})")
        written = value(client, "SELECT LAST_INSERT_ID()")
        assert value(client, f"SELECT v FROM t WHERE id = {written}") == number
        assert value(client, "SELECT MAX(id) FROM t") >= written
    eventually(lambda: value(client, WHERE) in ports(cluster))
    assert value(client, f"SELECT v FROM t WHERE id = {written}") == number


def test_a_reader_is_asked_to_wait_for_what_was_written(cluster: Cluster) -> None:
    """The monitor looks much too seldom to say that a reader has it."""
    with placing(cluster, interval=60.0, lag_interval=60.0, gtid_wait=5.0) as fanin:
        with contextlib.closing(fanin.connect()) as client:
            number = _wait_for_the_monitor(cluster, client)
            assert {_written_and_read(client, number + more) for more in range(30)} <= ports(cluster)
            run(client, "BEGIN", "UPDATE t SET v = 2000 WHERE id = 1", "UPDATE t SET v = v + 1 WHERE id = 1")
            run(client, "COMMIT", "START TRANSACTION READ ONLY")
            found, port = row(client, COUNTED)
            assert found == 2001 and port in ports(cluster)
            run(client, "COMMIT")
        assert fanin.state()["routes"]["events"]["reader-caught-up"] >= 31


def test_a_reader_is_asked_to_wait_for_what_another_session_has_written_with_the_same_key(
    cluster: Cluster,
) -> None:
    with (
        placing(cluster, interval=60.0, lag_interval=60.0, gtid_wait=5.0) as fanin,
        contextlib.closing(fanin.connect()) as client,
    ):
        number = _wait_for_the_monitor(cluster, client)
        for more in range(20):
            run(client, f"/* fanin: causal=one */ REPLACE INTO t VALUES (1, {number + more})")
            with contextlib.closing(fanin.connect()) as other:
                found, port = row(other, f"/* fanin: causal=one */ {COUNTED}")
            assert found == number + more and port in ports(cluster)


KEYED = [
    ("SET autocommit = 0", "/* fanin: causal=two */ UPDATE t SET v = {} WHERE id = 1", "COMMIT"),
    ("/* fanin: causal=two */ BEGIN", "UPDATE t SET v = {} WHERE id = 1", "COMMIT"),
    ("BEGIN", "/* fanin: causal=two */ SELECT v FROM t", "UPDATE t SET v = {} WHERE id = 1", "COMMIT"),
    ("BEGIN", "UPDATE t SET v = {} WHERE id = 1", "/* fanin: causal=two */ COMMIT"),
]
"""Transactions with a causal key."""


@pytest.mark.parametrize("texts", KEYED)
def test_a_key_counts_in_whatever_text_of_a_transaction_it_is(
    cluster: Cluster, fanin: Fanin, client: Any, texts: tuple[str, ...]
) -> None:
    with contextlib.ExitStack() as exits:
        writer, *others = (exits.enter_context(contextlib.closing(fanin.connect())) for _ in range(3))
        run(client, "REPLACE INTO t VALUES (1, 0)")
        run(writer, *(text.format(3000) for text in texts[:-1]))
        # readers have shown a later moment than that of the write, which is not committed yet
        run(client, "INSERT INTO t (v) VALUES (1)")
        eventually(lambda: value(client, WHERE) in ports(cluster))
        run(others[1], "START TRANSACTION READ ONLY")
        for reader in cluster.readers:
            holder = exits.enter_context(contextlib.closing(reader.connect(database="app")))
            run(holder, "LOCK TABLES t READ")
        run(writer, texts[-1])
        for other in others:
            assert value(other, "/* fanin: causal=two */ SELECT v FROM t WHERE id = 1") == 3000
    cluster.catch_up()


@pytest.mark.parametrize("charset", ["ucs2", "utf16", "utf16le", "utf32"])
def test_a_reader_is_asked_in_whatever_character_set_a_session_has_left(
    cluster: Cluster, charset: str
) -> None:
    with placing(cluster, pool_size=1, interval=60.0, lag_interval=60.0, gtid_wait=5.0) as fanin:
        with contextlib.closing(fanin.connect()) as client:
            number = _wait_for_the_monitor(cluster, client)
            run(client, f"SET collation_connection = {charset}_general_ci")
            assert {_written_and_read(client, number + more) for more in range(10)} <= ports(cluster)
        events = fanin.state()["routes"]["events"]
        assert events["reader-caught-up"] > 0 and "reader-late" not in events


@contextlib.contextmanager
def held_up(cluster: Cluster) -> Iterator[None]:
    """Readers replicate, as far as they can say, but nothing is committed there."""
    with contextlib.ExitStack() as stack:
        for reader in cluster.readers:
            root = stack.enter_context(contextlib.closing(reader.connect()))
            run(root, "FLUSH TABLES WITH READ LOCK")
        yield


def test_a_reader_that_does_not_catch_up_in_time_loses_the_read_to_the_writer(cluster: Cluster) -> None:
    with placing(cluster, interval=60.0, lag_interval=60.0, gtid_wait=0.2) as fanin:
        with contextlib.closing(fanin.connect()) as client:
            number = _wait_for_the_monitor(cluster, client)
            with held_up(cluster):
                assert {_written_and_read(client, number + more) for more in range(3)} == {
                    cluster.writer.port
                }
        # each of them once at most, and then not again for a while
        assert fanin.state()["routes"]["events"]["reader-late"] in (1, 2)
    cluster.catch_up()


def test_a_schema_and_an_account_of_just_now_are_not_missed_on_readers(
    cluster: Cluster, fanin: Fanin
) -> None:
    writer = cluster.writer
    with held_up(cluster):
        writer.sql("CREATE DATABASE newest")
        writer.sql("CREATE TABLE newest.place (port INT)")
        writer.sql(f"INSERT INTO newest.place VALUES ({writer.port})")
        writer.sql("CREATE USER newest@'%' IDENTIFIED BY 'newest'")
        writer.sql("GRANT ALL ON newest.* TO newest@'%', app@'%'")
        for address in ({}, {"user": "newest", "password": "newest"}):
            with contextlib.closing(fanin.connect(database="newest", **address)) as client:
                assert value(client, WHERE) == writer.port
                run(client, "START TRANSACTION READ ONLY")
                assert value(client, WHERE) == writer.port
                run(client, "COMMIT")
                assert value(client, "SELECT DATABASE()") == "newest"
    cluster.catch_up()
    writer.sql("DROP DATABASE newest")
    writer.sql("DROP USER newest@'%'")


COUNTED = "SELECT t.v, place.port FROM t, place WHERE id = 1"


def _wait_for_the_monitor(cluster: Cluster, client: Any) -> int:
    """Until it has looked at the writer once more since that is known to be the writer; the next number to write."""
    numbers = itertools.count(1000)
    eventually(lambda: _written_and_read(client, next(numbers)) in ports(cluster))
    return next(numbers)


def _written_and_read(client: Any, number: int) -> int:
    """Where it was read."""
    run(client, f"REPLACE INTO t VALUES (1, {number})")
    found, port = row(client, COUNTED)
    assert found == number
    return int(port)


def test_it_does_so_although_no_reader_applies_anything(cluster: Cluster, client: Any) -> None:
    stop, start = applier(cluster)
    for reader in cluster.readers:
        reader.sql(stop)
    try:
        for number in range(20):
            run(client, "BEGIN")
            run(client, f"UPDATE t SET v = {number} WHERE id = 1")
            run(client, "COMMIT")
            assert value(client, "SELECT v FROM t WHERE id = 1") == number
    finally:
        for reader in cluster.readers:
            reader.sql(start)
    cluster.catch_up()
    eventually(lambda: value(client, WHERE) in ports(cluster))


def test_a_client_of_the_reader_listener_reads_on_the_writer_and_writes_nothing(
    cluster: Cluster, fanin: Fanin
) -> None:
    stop, start = applier(cluster)
    for reader in cluster.readers:
        reader.sql(stop)
    try:
        with contextlib.closing(fanin.connect(port=fanin.reader_port)) as client:
            eventually(lambda: value(client, WHERE) == cluster.writer.port)
            for texts in (["SET autocommit = 0"], ["BEGIN"], ["START TRANSACTION READ ONLY"]):
                run(client, *texts)
                assert value(client, WHERE) == cluster.writer.port
                for write in ("INSERT INTO t (v) VALUES (4711)", "CREATE TABLE u AS SELECT 4711 AS v"):
                    with pytest.raises(pymysql.err.MySQLError, match=r"\((1290|1792)"):
                        run(client, write)
                assert value(client, WHERE) == cluster.writer.port
                run(client, "COMMIT", "SET autocommit = 1")
    finally:
        for reader in cluster.readers:
            reader.sql(start)
    cluster.catch_up()
    assert cluster.writer.value("SELECT COUNT(*) FROM app.t WHERE v = 4711") == 0
    assert cluster.writer.value("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'u'") == 0


def test_what_a_session_knows_follows_it_from_side_to_side(cluster: Cluster, client: Any) -> None:
    run(client, "SET time_zone = '+04:00'", "SET @a = 17")
    run(client, "INSERT INTO t (v) VALUES (5)")
    written = value(client, "SELECT MAX(id) FROM t")
    eventually(lambda: value(client, WHERE) in ports(cluster))
    assert value(client, "SELECT LAST_INSERT_ID()") == written
    assert value(client, "SELECT @a") == 17
    assert value(client, "SELECT /* fanin: reader */ @@time_zone") == "+04:00"


def test_what_a_reader_refuses_to_write_the_writer_runs(cluster: Cluster, client: Any) -> None:
    before = cluster.writer.value("SELECT COUNT(*) FROM app.t WHERE v = 99")
    for _ in range(3):
        assert value(client, "/* fanin: reader */ SELECT writes() FROM w") == 99
    assert cluster.writer.value("SELECT COUNT(*) FROM app.t WHERE v = 99") == before + 3


def test_binary_statements_are_placed_by_their_text(cluster: Cluster, fanin: Fanin) -> None:
    mysql_connector = pytest.importorskip("mysql.connector")
    with contextlib.closing(mysql_connector.connect(**_of_connector(fanin))) as connected:
        cursor = connected.cursor(prepared=True)
        for _ in range(3):
            cursor.execute(WHERE)
            assert cursor.fetchall()[0][0] in ports(cluster)
        cursor.execute("INSERT INTO t (v) VALUES (%s)", (1,))
        cursor.execute("SELECT MAX(v) >= 1 FROM t")
        assert cursor.fetchall()[0][0] == 1


def _of_connector(fanin: Fanin) -> dict[str, Any]:
    address = fanin.address()
    names = ("host", "port", "user", "password", "database", "autocommit")
    return {name: address[name] for name in names} | {"use_pure": True}


def test_sessions_see_their_writes_and_never_less_than_before_while_readers_come_and_go(
    cluster: Cluster, fanin: Fanin
) -> None:
    """Each of ten clients counts in a row of its own and reads it back, and reads everybody's. Readers apply by fits and starts."""
    run_ids = [200_000 + number for number in range(10)]
    for number in run_ids:
        cluster.writer.sql(f"INSERT INTO app.t VALUES ({number}, 0)")
    cluster.catch_up()
    is_over = threading.Event()
    faults: list[str] = []
    tallies: list[Counter[str]] = [Counter() for _ in run_ids]

    def count(number: int, tally: Counter[str]) -> None:
        seen: dict[int, int] = {}
        random = Random(number)
        with contextlib.closing(fanin.connect()) as client:
            while not is_over.is_set() and not faults:
                own = seen.get(number, 0)
                if random.random() < 0.1:
                    own += 1
                    run(client, f"UPDATE t SET v = {own} WHERE id = {number}")
                    seen[number] = own
                id_read = random.choice(run_ids) if random.random() < 0.3 else number
                found, port = row(client, f"SELECT t.v, place.port FROM t, place WHERE id = {id_read}")
                tally["reader" if port in ports(cluster) else "writer"] += 1
                if found < seen.get(id_read, 0) or (id_read == number and found != own):
                    faults.append(f"{number} reads {found} of {id_read} on {port}, and saw {seen}")
                seen[id_read] = found
                is_over.wait(0.02)

    counting = [
        threading.Thread(target=count, args=(number, tally))
        for number, tally in zip(run_ids, tallies, strict=True)
    ]
    for thread in counting:
        thread.start()
    stop, start = applier(cluster)
    for turn in range(8):
        reader = cluster.readers[turn % 2]
        reader.sql(stop)
        is_over.wait(0.3)
        reader.sql(start)
        is_over.wait(0.3)
    is_over.set()
    for thread in counting:
        thread.join()
    cluster.catch_up()
    assert faults == []
    total = sum(tallies, Counter())
    assert total["reader"] > 0
    print(f"{cluster.kind}: {total}")


def row(client: Any, text: str) -> tuple[Any, ...]:
    with client.cursor() as cursor:
        cursor.execute(text)
        return tuple(cursor.fetchone())


def applier(cluster: Cluster) -> tuple[str, str]:
    """What stops a reader, and what makes it go on."""
    word = "SLAVE" if cluster.kind == "mariadb" else "REPLICA"
    return f"STOP {word} SQL_THREAD", f"START {word} SQL_THREAD"


def test_when_a_reader_dies_no_client_sees_it(cluster: Cluster, fanin: Fanin) -> None:
    is_over = threading.Event()
    faults: list[BaseException] = []
    seen: list[int] = []

    def read() -> None:
        try:
            with contextlib.closing(fanin.connect()) as client:
                while not is_over.is_set():
                    seen.append(value(client, WHERE))
        except pymysql.err.MySQLError as error:
            faults.append(error)

    reading = [threading.Thread(target=read) for _ in range(6)]
    for thread in reading:
        thread.start()
    with contextlib.closing(fanin.connect()) as client:
        port = value(client, WHERE)
    (dying,) = [reader for reader in cluster.readers if reader.port == port]
    try:
        is_over.wait(0.5)
        dying.halt(by_force=True)
        is_over.wait(1.0)
    finally:
        is_over.set()
        for thread in reading:
            thread.join()
        dying.restart()
        cluster.catch_up()
    assert faults == []
    assert port in seen and len(set(seen)) > 1


def test_who_calls_functions_in_read_only_transactions_and_writes_is_stranded_once(cluster: Cluster) -> None:
    """Its connections begin such transactions on the writer from then on."""
    with placing(cluster) as fanin:
        with contextlib.closing(fanin.connect()) as client:
            assert _reads_with_a_function(client) in ports(cluster)
            with pytest.raises(pymysql.err.MySQLError) as stranded:
                run(client, "INSERT INTO t (v) VALUES (7)")
            assert stranded.value.args[0] == 2013
            assert "was not executed" in stranded.value.args[1] and "routine" in stranded.value.args[1]
        for _ in range(2):
            with contextlib.closing(fanin.connect()) as client:
                assert _reads_with_a_function(client) == cluster.writer.port
                run(client, "INSERT INTO t (v) VALUES (7)", "BEGIN", "INSERT INTO t (v) VALUES (8)", "COMMIT")
        state = fanin.state()
        assert state["stranded_accounts"] == ["app/app"]
        assert state["routes"]["writer"]["stranded-before"] == 2
        assert fanin.log.read_text().count("stranded on a reader") == 1


def test_a_transaction_that_may_write_ends_where_its_session_is_stranded(cluster: Cluster) -> None:
    with placing(cluster) as fanin, contextlib.closing(fanin.connect()) as client:
        assert _reads_with_a_function(client) in ports(cluster)
        run(client, "BEGIN")
        with pytest.raises(pymysql.err.MySQLError) as stranded:
            run(client, "INSERT INTO t (v) VALUES (9)")
        assert stranded.value.args[0] == 2013


@pytest.mark.parametrize("is_frozen", [True, False])
def test_nobody_stays_in_the_queue_of_a_reader_while_another_has_backends_left(
    cluster: Cluster, is_frozen: bool
) -> None:
    """Transactions have all backends of both readers; only one gives its back. With time enough to wait for the other."""
    with (
        placing(cluster, pool_size=1, acquire_timeout=100.0, max_lag=1.0) as fanin,
        contextlib.ExitStack() as exits,
    ):

        def connected() -> Any:
            return exits.enter_context(contextlib.closing(fanin.connect()))

        holders: dict[int, Any] = {}
        while set(holders) != ports(cluster):
            holder = connected()
            run(holder, "START TRANSACTION READ ONLY")
            holders[value(holder, WHERE)] = holder
        busy, free = cluster.readers
        clients = [connected() for _ in range(6)]
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda client=client: found.append(value(client, WHERE)))
            for client in clients
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: sum(each["waiting"] for each in fanin.state()["endpoints"]) == 6)
        if is_frozen:
            busy.freeze()
        try:
            run(holders[free.port], "COMMIT")
            eventually(lambda: len(found) == 6)
        finally:
            if is_frozen:
                busy.thaw()
        for thread in threads:
            thread.join()
        assert set(found) <= ({free.port, cluster.writer.port} if is_frozen else {free.port})
        assert fanin.state()["routes"]["events"]["left-queue"] > 0
        run(holders[busy.port], "COMMIT")


def test_nobody_waits_for_a_reader_that_has_vanished(cluster: Cluster) -> None:
    """For as long as its host would be, if nothing but TCP told."""
    gone, other = cluster.readers
    network = ToxicProxy(HOST, gone.port)
    with LoopThread() as loop, contextlib.ExitStack() as exits:
        loop.run(network.accept())
        exits.callback(lambda: loop.run(network.stop()))
        with placing(cluster, ways={gone.port: network.port}) as fanin:

            def begun_there() -> Any:
                while True:
                    client = exits.enter_context(contextlib.closing(fanin.connect()))
                    run(client, "START TRANSACTION READ ONLY")
                    # those on the other one stay, so that the next is here
                    if value(client, WHERE) == gone.port:
                        return client

            holder, reader = begun_there(), begun_there()
            run(reader, "COMMIT")
            loop.call(network.refuse)
            for direction in (network.to_client, network.to_server):
                loop.call(direction.add, BlackHole())
            with pytest.raises(pymysql.err.OperationalError) as ended:
                value(holder, WHERE)
            assert ended.value.args[0] == 1213
            assert value(reader, WHERE) in (other.port, cluster.writer.port)


def _reads_with_a_function(client: Any) -> int:
    """Where it was."""
    run(client, "START TRANSACTION READ ONLY")
    port = value(client, "SELECT @@port + 0 * says()")
    run(client, "COMMIT")
    return int(port)
