"""The protocol: what clients ask for at login, commands other than statements, and what goes wrong on the wire."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from bench.servers import HOST
from protocol.constants import Capability
from protocol.handshake import HandshakeV10
from protocol.packets import parse_err
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.steps import Execute, Prepare, ResetStatement
from tests.integration.wire import NEWEST, PLAIN, TRACKING, Refusal, WireClient, framed
from tests.traps.relay import Routed
from tests.traps.trap import COUNT, INSERT, Trap, error_code, is_closed

MIB = 1 << 20
MULTI = Capability.MULTI_STATEMENTS
SLEEP = "SELECT SLEEP(30) FROM traps.parent"
COM_PING = b"\x0e"
COM_RESET = b"\x1f"


@pytest.fixture
def two(trap: Trap, fanin: MakeFanin) -> Fanin:
    """In front of the same server, with a pool of two."""
    return fanin(trap.server, pool_size=2)


def running(trap: Trap, text: str = "SLEEP(30)") -> list[int]:
    """The server's ids of connections that run such a statement."""
    asked = (
        f"SELECT id FROM information_schema.processlist WHERE info LIKE '%{text}%' AND id != CONNECTION_ID()"
    )
    return [row[0] for row in rows(trap.root, asked)]


# What clients ask for at login


def test_found_rows_flag(trap: Trap) -> None:
    update = "UPDATE t SET v = 10 WHERE id = 1"
    assert trap.play(update, "SELECT ROW_COUNT()", capabilities=Capability.FOUND_ROWS) == ["", ""]
    assert trap.play(update, "SELECT ROW_COUNT()") == ["", ""]
    with trap.through(capabilities=PLAIN | Capability.FOUND_ROWS) as found, trap.through() as changed:
        for _ in range(2):
            assert found.ok(update).affected_rows == 1
            assert changed.ok(update).affected_rows == 0


def test_multi_statements_flag(trap: Trap) -> None:
    both = "SELECT 1; SELECT 2"
    assert trap.play(both, "SELECT 3", capabilities=MULTI) == ["", ""]
    assert trap.play(b"\x1b\0\0", both, b"\x1b\1\0", both) == [""] * 4
    # on the one backend, those who asked have it and the others have not
    with trap.through(capabilities=PLAIN | MULTI) as wide, trap.through() as narrow:
        for _ in range(2):
            assert len(wide.query(both)) == 10
            assert error_code(narrow.query(both)) == 1064


def test_multi_results_flag(trap: Trap) -> None:
    run(trap.root, "DROP PROCEDURE IF EXISTS traps.shows", "CREATE PROCEDURE traps.shows() SELECT 1")
    old = PLAIN & ~Capability.MULTI_RESULTS & ~Capability.PS_MULTI_RESULTS

    def play(client: WireClient) -> list[int]:
        return [error_code(client.query(text)) for text in ("CALL shows()", "SELECT 1", "DO 1")]

    assert trap.same(play, capabilities=old) == [1312, 0, 0]
    assert trap.same(play) == [0, 0, 0]


def load(table: str = "t") -> str:
    return f"LOAD DATA LOCAL INFILE 'any' INTO TABLE {table} FIELDS TERMINATED BY ',' (v, s)"


def test_load_data_local(trap: Trap) -> None:
    content = b"101,a\n102,b\n10,again\n"

    def sends(client: WireClient) -> list[list[bytes]]:
        assert client.query(load())[0] == b"\xfbany"
        client.socket.sendall(len(content).to_bytes(3, "little") + b"\x02" + content + b"\0\0\0\x03")
        client.first_id = 4
        answers = [client.response(0x03)]
        return [*answers, client.query("SHOW WARNINGS"), client.query("SELECT v, s FROM t ORDER BY v")]

    allowed = PLAIN | Capability.LOCAL_FILES
    trap.same(sends, capabilities=allowed)

    def sends_nothing(client: WireClient) -> list[list[bytes]]:
        assert client.query(load())[0] == b"\xfbany"
        client.socket.sendall(b"\0\0\0\x02")
        client.first_id = 3
        return [client.response(0x03), client.query(COUNT)]

    trap.same(sends_nothing, capabilities=allowed)
    # held while the file travels
    with trap.through(capabilities=allowed) as client:
        client.query(load())
        trap.thief.wait()
        client.socket.sendall(b"\0\0\0\x02")
        client.first_id = 3
        client.response(0x03)
        trap.thief.turn()
    # a client that closes in the middle loads nothing, and nobody else notices
    trap.clean()
    with trap.through(capabilities=allowed) as client:
        client.query(load())
        client.socket.sendall(len(content).to_bytes(3, "little") + b"\x02" + content)
        trap.thief.wait()
    trap.thief.turn()
    eventually(lambda: not running(trap, "LOAD DATA LOCAL"))
    assert rows(trap.root, "SELECT COUNT(*) FROM traps.t") == [(3,)]
    # refused as the server does: without the capability, and where it forbids it
    assert trap.play(load(), COUNT) == ["", ""]
    run(trap.root, "SET GLOBAL local_infile = 0")
    try:
        assert trap.play(load(), COUNT, capabilities=Capability.LOCAL_FILES) == ["", ""]
    finally:
        run(trap.root, "SET GLOBAL local_infile = 1")


def test_ignore_space_flag(trap: Trap) -> None:
    steps = ("SELECT COUNT (*) FROM t", "SELECT @@sql_mode", COM_RESET, "SELECT @@sql_mode")
    assert trap.play(*steps, capabilities=Capability.IGNORE_SPACE) == [""] * 4
    assert trap.play(*steps) == [""] * 4


def test_interactive_flag(trap: Trap) -> None:
    interactive = PLAIN | Capability.INTERACTIVE
    with trap.through(user="root", password="") as root:
        root.ok("SET GLOBAL interactive_timeout = 7777")
        try:
            asked = ("SELECT @@wait_timeout", "SELECT @@interactive_timeout")
            assert trap.play(*asked, capabilities=interactive) == ["", ""]
            assert trap.play(*asked) == ["", ""]
        finally:
            root.ok("SET GLOBAL interactive_timeout = 28800")
    # it is the client's idle limit, so it does not divide the pool
    with trap.through(capabilities=interactive) as client, trap.through() as other:
        assert backend_id(trap, client) == backend_id(trap, other)


@pytest.mark.parametrize(
    "capabilities",
    [PLAIN, TRACKING, PLAIN | Capability.DEPRECATE_EOF, NEWEST],
    ids=["plain", "track", "eof", "both"],
)
def test_session_track_and_eof_flags(capabilities: int, trap: Trap) -> None:
    run(trap.root, "DROP PROCEDURE IF EXISTS traps.shows", "CREATE PROCEDURE traps.shows() SELECT 1")
    kept = trap.play(
        "SELECT * FROM t",
        "SET NAMES latin1",
        "USE other",
        "SET time_zone = '+01:00', lc_time_names = 'de_DE'",
        "SELECT * FROM missing",
        "SELECT v FROM traps.t WHERE v < 0",
        "SELECT 1; UPDATE traps.t SET s = 'z'; SELECT 2",
        Prepare("p", "SELECT id, ? FROM traps.t"),
        Execute("p", (5,)),
        "USE traps",
        "CALL shows()",
        capabilities=capabilities | MULTI,
    )
    assert kept == [""] * 10 + ["routine"]


def test_extensions_not_offered(trap: Trap) -> None:
    never = (
        Capability.COMPRESS
        | Capability.ZSTD_COMPRESSION_ALGORITHM
        | Capability.QUERY_ATTRIBUTES
        | Capability.OPTIONAL_RESULTSET_METADATA
        | Capability.MULTI_FACTOR_AUTHENTICATION
    )
    with socket.create_connection((HOST, trap.fanin.port), timeout=10) as client:
        greeting = HandshakeV10.parse(client.recv(4096)[4:])
    assert not greeting.capabilities & never
    # MariaDB's own would be in the upper half
    assert greeting.capabilities >> 32 == 0
    # not taken from clients that ask for them all the same
    with trap.through(capabilities=PLAIN | Capability.COMPRESS | Capability.QUERY_ATTRIBUTES) as client:
        assert client.value("SELECT 1") == b"1"


def test_connection_attributes(trap: Trap, connect: Connect) -> None:
    first = connect(trap.fanin, program_name="first")
    second = connect(trap.fanin, program_name="second")
    asked = "SELECT 0 + CONNECTION_ID()"
    # they do not divide the pool
    backend = value(first, asked)
    assert value(second, asked) == backend
    if not trap.is_mariadb:
        attributes = f"SELECT attr_value FROM performance_schema.session_connect_attrs WHERE processlist_id = {backend}"
        assert rows(trap.root, f"{attributes} AND attr_name = 'program_name'") == [("fanin",)]
    run(first, "BEGIN")
    assert (trap.fanin.session(first.thread_id()) or {})["program"] == "first"
    run(first, "ROLLBACK")


# Large things


@pytest.fixture
def wide(trap: Trap, fanin: MakeFanin) -> Iterator[Fanin]:
    """Takes commands of 64 MiB, as does the server."""
    before = value(trap.root, "SELECT @@global.max_allowed_packet")
    run(trap.root, "SET GLOBAL max_allowed_packet = 67108864")
    yield fanin(trap.server, pool_size=1, limits={"max_allowed_packet": "64M"}, pool={"acquire_timeout": 20})
    run(trap.root, f"SET GLOBAL max_allowed_packet = {before}")


def test_statements_over_16_mib(trap: Trap, wide: Fanin) -> None:
    filling = "x" * (17 * MIB)
    with WireClient(wide.port) as client, WireClient(trap.server.port) as direct:
        text = f"SELECT LENGTH('{filling}')"
        assert client.query(text) == direct.query(text)
        assert not wide.is_holding(client.thread_id)
        # read whole: what pins stands at its end
        assert client.value(f"SELECT /* {filling} */ GET_LOCK('traps', 0)") == b"1"
        assert wide.pins(client.thread_id) == ["user-lock"]
        assert client.value("SELECT RELEASE_ALL_LOCKS()") == b"1"
        assert wide.pins(client.thread_id) == []


def test_ambiguous_first_bytes(trap: Trap, wide: Fanin) -> None:
    small = "SELECT NULL, 1 UNION ALL SELECT REPEAT('a', 251), 2 UNION ALL SELECT REPEAT('b', 70000), 3 UNION ALL SELECT '', 4"
    for capabilities in (PLAIN, NEWEST):
        assert trap.play(small, "SELECT 1", capabilities=capabilities) == ["", ""]
        # a first column of 16 MiB begins with 0xFE, as does the end
        with WireClient(wide.port, capabilities=capabilities) as client:
            answer = client.query(f"SELECT REPEAT('c', {17 * MIB}), 1 UNION ALL SELECT 'd', 2")
            assert [row[:1] for row in answer[-3:]] == [b"\xfe", b"\x01", b"\xfe"]
            assert not wide.is_holding(client.thread_id)
    # an ERR amid rows
    assert trap.play("SELECT (SELECT v FROM t WHERE id >= a.id) FROM t a ORDER BY id DESC", "SELECT 1") == [
        "",
        "",
    ]


# Errors and ends that nobody asked for


def test_errors_before_the_greeting(trap: Trap, fanin: MakeFanin) -> None:
    impatient = fanin(trap.server, pool_size=1, pool={"acquire_timeout": 0.3})
    with contextlib.ExitStack() as exits, WireClient(impatient.port) as client:
        exits.callback(run, trap.root, "SET GLOBAL max_connections = 2000")
        backend = backend_id(trap, client)
        run(trap.root, "SET GLOBAL max_connections = 10")
        with pytest.raises(pymysql.err.OperationalError, match="Too many connections"):
            while True:
                exits.callback(trap.server.connect(user="app", password="app").close)
        run(trap.root, f"KILL {backend}")
        eventually(lambda: impatient.endpoint()["idle"] + impatient.endpoint()["parked"] == 0)
        # the place that has become free is taken again before Fanin asks for it
        with contextlib.suppress(pymysql.err.OperationalError):
            exits.callback(trap.server.connect(user="app", password="app").close)
        error = parse_err(client.query("SELECT 1")[0])
        assert error.code == 1040
        assert b"Too many connections" in error.message
        exits.close()
        eventually(lambda: error_code(client.query("SELECT 1")) == 0)


def backend_id(trap: Trap, client: WireClient) -> int:
    return int(client.value("SELECT 0 + CONNECTION_ID()") or 0)


def test_unsolicited_errors(trap: Trap) -> None:
    with trap.through() as client, trap.through() as held:
        client.ok("SET time_zone = '+02:00'")
        killed = backend_id(trap, client)
        run(trap.root, f"KILL {killed}")
        eventually(lambda: trap.fanin.endpoint()["idle"] + trap.fanin.endpoint()["parked"] == 0)
        assert client.value("SELECT @@time_zone") == b"+02:00"
        assert backend_id(trap, client) != killed
        # who holds it hears of it as on a direct connection
        held.ok("BEGIN")
        run(trap.root, f"KILL {backend_id(trap, held)}")
        assert is_closed_or_says_so(held)
        assert client.value("SELECT 1") == b"1"
        # and so does who asks for what was left there
        client.ok("SET @a = 1")
        run(trap.root, f"KILL {backend_id(trap, client)}")
        eventually(lambda: trap.fanin.endpoint()["idle"] + trap.fanin.endpoint()["parked"] == 0)
        assert b"The statement was not executed" in client.query("SELECT @a")[0]
    with trap.through() as client:
        client.ok("SET time_zone = '+02:00'")
        # the server's own limit for idle connections
        run(trap.root, "SET GLOBAL wait_timeout = 1")
        try:
            run(trap.root, f"KILL {backend_id(trap, client)}")
            eventually(lambda: trap.fanin.endpoint()["idle"] + trap.fanin.endpoint()["parked"] == 0)
            short = backend_id(trap, client)
        finally:
            run(trap.root, "SET GLOBAL wait_timeout = 28800")
        eventually(lambda: trap.fanin.endpoint()["idle"] + trap.fanin.endpoint()["parked"] == 0)
        assert backend_id(trap, client) != short
        assert client.value("SELECT @@time_zone") == b"+02:00"


def is_closed_or_says_so(client: WireClient) -> bool:
    client.socket.settimeout(10)
    with contextlib.suppress(ConnectionError):
        client.send_query("SELECT 1")
        return client.stream.read()[4:5] in (b"", b"\xff")
    return True


# Several at once


def test_multi_statements(trap: Trap) -> None:
    def play(*texts: str) -> list[str]:
        return trap.play(*texts, capabilities=MULTI)

    assert play(f"{INSERT}; SELECT LAST_INSERT_ID(); SELECT ROW_COUNT()", "SELECT LAST_INSERT_ID()") == [
        "",
        "",
    ]
    assert play("USE other; SELECT DATABASE()", "SELECT DATABASE()") == ["", ""]
    assert play(f"BEGIN; {INSERT}", "ROLLBACK; SELECT COUNT(*) FROM t") == ["transaction", ""]
    assert play(f"BEGIN; {INSERT}; COMMIT", COUNT) == ["", ""]
    assert (
        play(f"{INSERT}; SELECT * FROM missing; SELECT 2", "SELECT LAST_INSERT_ID()", "SHOW ERRORS")
        == [""] * 3
    )
    assert play(
        "SET time_zone = '+01:00'; SELECT 1; SET lc_time_names = 'de_DE'",
        "SELECT @@time_zone, @@lc_time_names",
    ) == ["", ""]
    assert (
        play("SELECT 1; SELECT GET_LOCK('traps', 0)", "SELECT 1; SELECT RELEASE_ALL_LOCKS()", COUNT)[0]
        == "user-lock"
    )
    assert play(
        "SELECT 1; CREATE TEMPORARY TABLE u (id INT); SELECT * FROM missing",
        "SELECT * FROM u",
        "DROP TABLE u",
    )[0] == ("temporary-table")
    assert play("SELECT ';' AS `;`; -- ;\nSELECT 2 /* ; */; # ;", COUNT) == ["", ""]
    # what the first of them sets decides how the next is read
    assert (
        play("SET sql_mode = 'ANSI_QUOTES'; SELECT \"v\" FROM t; SELECT '\\''", 'SELECT "v" FROM t')[0]
        == "unknown-statement"
    )


def test_pipelining(trap: Trap) -> None:
    texts = ["SELECT 1", "BEGIN", INSERT, "SELECT * FROM missing", COUNT, "ROLLBACK", COUNT, "DO 1"]

    def play(client: WireClient) -> list[list[bytes]]:
        ids: dict[str, int] = {}
        Prepare("p", "SELECT 'prepared'").run(client, ids)
        close = b"\x19" + ids["p"].to_bytes(4, "little")
        commands = [b"\x03" + text.encode() for text in texts]
        client.socket.sendall(b"".join(map(framed, [*commands, COM_PING, close, b"\x03SELECT 2"])))
        client.first_id = 1
        return [client.response(command) for command in (*[3] * len(texts), 0x0E, 0x03)]

    trap.same(play)


# Other commands


def test_change_user(trap: Trap) -> None:
    connector = pytest.importorskip("mysql.connector")
    run(
        trap.root,
        "CREATE USER IF NOT EXISTS 'changed'@'%' IDENTIFIED BY 'pw'",
        "GRANT ALL ON traps.* TO 'changed'@'%'",
    )
    trap.clean()
    options: dict[str, Any] = {
        "user": "app",
        "password": "app",
        "database": "app",
        "use_pure": True,
        "charset": "utf8mb4",
    }
    options["collation"] = "utf8mb4_general_ci"
    seen = []
    for port in (trap.server.port, trap.fanin.port):
        client = connector.connect(host=HOST, port=port, autocommit=True, **options)
        try:
            cursor = client.cursor()
            for statement in (
                "SET @a = 1",
                "SET time_zone = '+01:00'",
                "SELECT GET_LOCK('traps', 0) INTO @b",
                "BEGIN",
                "INSERT INTO traps.t (v) VALUES (77)",
            ):
                cursor.execute(statement)
            client.cmd_change_user("changed", "pw", "traps")
            cursor = client.cursor()
            cursor.execute(
                "SELECT CURRENT_USER(), DATABASE(), @a, @@time_zone, IS_FREE_LOCK('traps'), (SELECT COUNT(*) FROM t)"
            )
            seen.append(cursor.fetchall())
            with pytest.raises(connector.Error) as caught:
                client.cmd_change_user("changed", "wrong", "traps")
            seen.append([caught.value.errno])
        finally:
            client.close()
    assert seen[:2] == seen[2:]
    assert seen[2] == [("changed@%", "traps", None, "SYSTEM", 1, 3)]


def test_reset_connection(trap: Trap) -> None:
    for before in (
        ("SET time_zone = '+01:00', sql_mode = ''", "SET NAMES latin1"),
        ("BEGIN", INSERT),
        ("SET autocommit = 0", INSERT),
        ("CREATE TEMPORARY TABLE u (id INT)",),
        ("SELECT GET_LOCK('traps', 0)",),
        ("LOCK TABLES t WRITE",),
        ("HANDLER t OPEN",),
        ("SET @a = 1", "PREPARE p FROM 'SELECT 1'"),
        ("USE other", INSERT.replace("INTO t", "INTO traps.t")),
        ("INSERT IGNORE INTO t (v) VALUES (10)",),
        ("SET profiling = 1",),
    ):
        kept = trap.play(
            *before,
            COM_RESET,
            "SELECT LAST_INSERT_ID(), @a, @@time_zone, @@sql_mode, @@autocommit, DATABASE(), @@profiling, IS_FREE_LOCK('traps')",
            "SELECT ROW_COUNT()",
            "SHOW WARNINGS",
            "SELECT COUNT(*) FROM traps.t",
            "SELECT * FROM u",
            "EXECUTE p",
        )
        assert kept[len(before) :] == [""] * 7, before
    # nothing is asked of a server for a session that holds none
    with trap.through() as holder, trap.through() as client:
        holder.ok("BEGIN")
        assert client.command(COM_RESET)[0][0] == 0
        holder.ok("COMMIT")


def test_ping(trap: Trap) -> None:
    kept = trap.play(
        COM_PING,
        INSERT,
        COM_PING,
        "SELECT ROW_COUNT()",
        "SELECT LAST_INSERT_ID()",
        "BEGIN",
        COM_PING,
        "COMMIT",
    )
    assert kept == [""] * 5 + ["transaction"] * 2 + [""]
    with trap.through() as holder, trap.through() as client:
        holder.ok("BEGIN")
        assert client.command(COM_PING)[0][0] == 0
        holder.ok("COMMIT")


def test_quit(trap: Trap) -> None:
    with trap.through() as client:
        backend = backend_id(trap, client)
        client.send(b"\x01")
        assert is_closed(client)
    with trap.through() as other:
        assert backend_id(trap, other) == backend


def test_rare_commands(trap: Trap) -> None:
    # COM_FIELD_LIST and what both ends answer in the same way
    assert trap.play(b"\x04t\0", b"\x04missing\0", b"\x99", b"\x00", b"\x0b", b"\x05x", b"\x06x") == [""] * 7
    # COM_REFRESH, COM_PROCESS_INFO, COM_DEBUG and COM_PROCESS_KILL of a server's own id: not every server knows them
    for command in (b"\x07\x01", b"\x0a", b"\x0d", b"\x0c\x3f\x42\x0f\x00"):

        def play(client: WireClient, command: bytes = command) -> tuple[int, bytes | None]:
            return error_code(client.command(command)), client.value("SELECT 1")

        trap.same(play)
    with trap.through() as client:
        assert b"Uptime" in client.command(b"\x09")[0]
        # COM_CONNECT, COM_TIME, COM_DELAYED_INSERT, COM_DAEMON
        for number in (0x0B, 0x0F, 0x10, 0x1D):
            assert error_code(client.command(bytes([number, 1]))) == 1047, number
        assert client.value("SELECT 1") == b"1"


def test_replication_commands(trap: Trap) -> None:
    with trap.through() as client:
        # BINLOG_DUMP, TABLE_DUMP, REGISTER_SLAVE, BINLOG_DUMP_GTID, CLONE, SUBSCRIBE_GROUP_REPLICATION_STREAM
        for command in (0x12, 0x13, 0x15, 0x1E, 0x20, 0x21):
            assert client.command(bytes([command]) + bytes(20))[0][:9] == b"\xff\x17\x04#08S01", command
        assert client.value("SELECT 1") == b"1"


@pytest.mark.parametrize(
    "kill", ["KILL QUERY {id}", "CALL mysql.rds_kill_query({id})", "call `mysql`.RDS_KILL_QUERY( {id} )"]
)
def test_kill(kill: str, trap: Trap, two: Fanin) -> None:
    """A query, by statement; the rest below, once."""
    run(trap.root, "REPLACE INTO traps.parent VALUES (1), (2)")
    with WireClient(two.port) as victim, WireClient(two.port) as killer:
        victim.send_query(SLEEP)
        eventually(lambda: running(trap))
        killer.ok(kill.format(id=victim.thread_id))
        assert error_code(victim.response(0x03)) == 1317
        assert victim.value("SELECT 1") == b"1"
        # nothing runs: nothing happens, least of all to whoever has that backend now
        killer.ok(kill.format(id=victim.thread_id))
        assert victim.value("SELECT 1") == b"1"
        if not kill.startswith("KILL"):
            # the whole connection, by the procedure of a cloud that has no KILL for its users
            killer.ok(kill.lower().replace("_query", "").format(id=victim.thread_id))
            assert is_closed(victim)
            return
        # the whole connection, by statement
        with WireClient(two.port) as other:
            killer.ok(f"KILL CONNECTION {other.thread_id}")
            assert is_closed(other)
        # by command
        assert killer.command(b"\x0c" + victim.thread_id.to_bytes(4, "little"))[0][0] == 0
        assert is_closed(victim)
        assert error_code(killer.query(f"KILL {victim.thread_id}")) == 1094
        # a server's own id
        with WireClient(trap.server.port) as direct:
            killer.ok(f"KILL {direct.thread_id}")
            assert is_closed(direct)

    def own(client: WireClient) -> tuple[int, bool]:
        return error_code(client.query("KILL CONNECTION_ID()")), is_closed(client)

    assert trap.same(own) == (1927 if trap.is_mariadb else 1317, True)

    def own_query(client: WireClient) -> tuple[int, bytes | None]:
        return error_code(client.query("KILL QUERY CONNECTION_ID()")), client.value("SELECT 1")

    assert trap.same(own_query) == (1317, b"1")


def test_processlist(trap: Trap) -> None:
    with trap.through() as client:
        shown = str(client.thread_id).encode()
        assert shown not in b"".join(client.query("SHOW PROCESSLIST"))
        client.ok("BEGIN")
        session = trap.fanin.session(client.thread_id) or {}
        assert str(session["server_connection"]).encode() in b"".join(client.query("SHOW PROCESSLIST"))
        client.ok("COMMIT")


def test_client_gone_mid_query(trap: Trap) -> None:
    run(trap.root, "REPLACE INTO traps.parent VALUES (1), (2)")
    with trap.through() as client:
        backend = backend_id(trap, client)
        client.send_query(SLEEP)
        eventually(lambda: running(trap))
    eventually(lambda: not running(trap))
    trap.thief.turn()
    with trap.through() as other:
        assert backend_id(trap, other) != backend


def test_slow_reader(trap: Trap) -> None:
    trap.clean()
    with trap.through() as slow:
        slow.send_query("SELECT REPEAT('x', 1000000) FROM t a, t b, t c")
        trap.thief.wait()
        assert trap.fanin.memory() < 400 * MIB
        assert len(slow.response(0x03)) == 1 + 1 + 1 + 27 + 1
        assert trap.kept(slow) == ""
        trap.thief.turn()


def test_retry(trap: Trap, routed: Routed) -> None:
    writer, fanin = routed.relays[0], routed.fanin
    with WireClient(fanin.port, database="traps") as client:
        # a statement that was sent is never sent again
        client.ok("DO 1")
        writer.cut_before(b"once and for all")
        assert error_code(client.query("DO 'once and for all'")) == 2013
        assert client.value("SELECT 1") == b"1"
        assert writer.seen(b"once and for all") == 1
        # one that was not, is: another backend had to be prepared for it
        client.ok("SET lc_time_names = 'de_DE'")
        with WireClient(fanin.port, database="traps") as other:
            other.ok("SET lc_time_names = 'fr_FR'")
        writer.cut_before(b"de_DE")
        assert client.value("SELECT @@lc_time_names") == b"de_DE"
        # within a transaction the connection is lost, as it is without a proxy
        client.ok("BEGIN")
        writer.cut_before(b"in a transaction")
        assert error_code(client.query("DO 'in a transaction'")) == 2013
        assert is_closed(client)


def test_status_flags_of_own_replies(trap: Trap) -> None:
    for setting in (
        "SET autocommit = 0",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "SET sql_mode = 'ANSI_QUOTES'",
    ):
        kept = trap.play(
            setting,
            COM_PING,
            "INSERT IGNORE INTO other.t (id, w) VALUES (7, 7)",
            "DELETE FROM other.t",
            "COMMIT",
            COM_PING,
            "SELECT LAST_INSERT_ID()",
            "SELECT ROW_COUNT()",
            "SELECT 1 UNION SELECT 2",
            "SELECT FOUND_ROWS()",
            "SHOW WARNINGS",
            "SHOW COUNT(*) ERRORS",
            "SELECT @@error_count",
            Prepare("p", "SELECT 1"),
            ResetStatement("p"),
            b"\x1b\0\0",
            COM_RESET,
            COM_PING,
        )
        assert kept[4:] == [""] * 14, setting


# Accounts


def test_authentication(trap: Trap, connect: Connect) -> None:
    user = f"auth{trap.server.port}"
    run(trap.root, f"DROP USER IF EXISTS '{user}'@'%'", f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'")
    run(trap.root, f"GRANT ALL ON traps.* TO '{user}'@'%'")
    for options in ({"ssl_disabled": True}, {"ssl_disabled": True}, {}):
        client = connect(trap.fanin, user=user, password="pw", database="traps", **options)
        assert value(client, "SELECT CURRENT_USER()") == f"{user}@%"
    for name, password in ((user, "wrong"), (user, ""), ("nobody", "pw")):
        codes = []
        for target in (trap.server, trap.fanin):
            with pytest.raises(pymysql.err.OperationalError) as caught:
                connect(target, user=name, password=password, database="traps")
            codes.append((caught.value.args[0], re.sub(r"'@'[^']*'", "", caught.value.args[1])))
        assert codes[0] == codes[1]
    run(trap.root, f"DROP USER '{user}'@'%'")


def test_identity(trap: Trap) -> None:
    asked = "SELECT USER(), CURRENT_USER(), SESSION_USER()"
    assert trap.play(asked, asked) == ["", ""]
    with trap.through() as app, trap.through(user="root", password="") as root:
        for _ in range(2):
            assert (app.value("SELECT CURRENT_USER()") or b"").startswith(b"app@")
            assert (root.value("SELECT CURRENT_USER()") or b"").startswith(b"root@")


def test_account_limits(trap: Trap) -> None:
    run(trap.root, "DROP USER IF EXISTS 'limited'@'%'", "CREATE USER 'limited'@'%' IDENTIFIED BY 'pw'")
    run(trap.root, "GRANT ALL ON traps.* TO 'limited'@'%'")
    arguments: dict[str, Any] = {"user": "limited", "password": "pw"}
    try:
        # connections of the server are what it counts, and two sessions share one
        run(trap.root, "ALTER USER 'limited'@'%' WITH MAX_USER_CONNECTIONS 1")
        with trap.through(**arguments) as first, trap.through(**arguments) as second:
            assert first.value(COUNT) == second.value(COUNT)

        def ask(client: WireClient) -> set[int]:
            return {error_code(client.query(COUNT)) for _ in range(20)}

        run(trap.root, "CREATE USER 'counted'@'%' IDENTIFIED BY 'pw' WITH MAX_QUERIES_PER_HOUR 12")
        run(trap.root, "GRANT ALL ON traps.* TO 'counted'@'%'")
        with trap.through(user="counted", password="pw") as client:
            assert ask(client) == {0, 1226}
    finally:
        run(trap.root, "DROP USER 'limited'@'%'", "DROP USER IF EXISTS 'counted'@'%'")


def test_server_logs(trap: Trap, routed: Routed) -> None:
    text = "SELECT  /* as it  is */ 1 -- to the end"
    with WireClient(routed.fanin.port) as client:
        client.query(text)
    # no tag, no change: digests and logs are those of a direct connection
    (sent,) = [piece for piece in routed.relays[0].pieces if b"as it  is" in piece]
    assert sent.endswith(framed(b"\x03" + text.encode()))


def test_password_rotation(trap: Trap) -> None:
    run(trap.root, "DROP USER IF EXISTS 'rotated'@'%'", "CREATE USER 'rotated'@'%' IDENTIFIED BY 'old'")
    run(trap.root, "GRANT ALL ON traps.* TO 'rotated'@'%'")
    try:
        with trap.through(user="rotated", password="old") as early:
            assert early.value("SELECT 1") == b"1"
            run(trap.root, "ALTER USER 'rotated'@'%' IDENTIFIED BY 'new'")
            # open connections go on, new ones need the new one
            assert early.value("SELECT 2") == b"2"
            with trap.through(user="rotated", password="new") as late:
                assert late.value("SELECT 3") == b"3"
                trap.thief.turn()
                # a backend that has to be opened for the early one is opened with what is known now
                assert early.value("SELECT 4") == b"4"
            with pytest.raises(Refusal) as caught:
                trap.through(user="rotated", password="old").__enter__()
            assert caught.value.code == 1045
    finally:
        run(trap.root, "DROP USER 'rotated'@'%'")
