"""Large and unusual answers and commands: packets over 16 MiB, slow readers, files, several results."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pymysql
import pytest

from bench.servers import Server
from protocol.constants import Capability
from protocol.packets import parse_err
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.wire import NEWEST, PLAIN, WireClient

MIB = 1 << 20
LARGEST_PAYLOAD = 0xFFFFFF


@pytest.fixture
def wide(fanin: MakeFanin, server: Server) -> Fanin:
    """Takes commands of 64 MiB, as does the server."""
    server.sql("SET GLOBAL max_allowed_packet = 67108864")
    return fanin(server, pool_size=2, limits={"max_allowed_packet": "64M"})


@pytest.mark.parametrize("size", [LARGEST_PAYLOAD - 40, LARGEST_PAYLOAD - 8, 17 * MIB, 2 * LARGEST_PAYLOAD])
def test_statement_of_several_packets_arrives_whole(size: int, wide: Fanin) -> None:
    with WireClient(wide.port) as client:
        text = b"\x03SELECT LENGTH('" + b"a" * (size - 18) + b"')"
        assert len(text) == size
        assert client.command(text)[-2] == bytes([len(str(size - 18))]) + str(size - 18).encode()
        assert client.value("SELECT 1") == b"1"


@pytest.mark.parametrize("capabilities", [PLAIN, NEWEST], ids=["plain", "newest"])
@pytest.mark.parametrize("size", [LARGEST_PAYLOAD - 4, LARGEST_PAYLOAD - 5, 17 * MIB, 40 * MIB])
def test_row_of_several_packets_arrives_whole(size: int, capabilities: int, wide: Fanin) -> None:
    with WireClient(wide.port, capabilities=capabilities) as client:
        row = client.query(f"SELECT REPEAT('b', {size})")[-2]
        assert row[-size:] == b"b" * size
        assert len(row) - size == (4 if size <= LARGEST_PAYLOAD else 9) or size > LARGEST_PAYLOAD
        assert client.value("SELECT 1") == b"1"


def test_result_that_begins_like_an_end_is_told_apart(wide: Fanin) -> None:
    # a first column of 16 MiB makes a row begin with 0xFE
    with WireClient(wide.port) as client:
        answer = client.query(f"SELECT REPEAT('c', {17 * MIB}), 1 UNION ALL SELECT 'd', 2")
        assert [row[:1] for row in answer[-3:]] == [b"\xfe", b"\x01", b"\xfe"]


def test_command_over_the_limit_is_refused(fanin: MakeFanin, server: Server) -> None:
    narrow = fanin(server, pool_size=2, limits={"max_allowed_packet": "1M"})
    with WireClient(narrow.port) as client, WireClient(narrow.port) as other:
        # its header is enough
        client.socket.sendall((2 * MIB).to_bytes(3, "little") + b"\0\x03SELECT 'aaa")
        assert parse_err(client.payload(1)).code == 1153
        assert client.stream.read() == b""
        assert other.value("SELECT 1") == b"1"
    assert any(line["event"] == "bad packet" and "127.0.0.1" in line["peer"] for line in narrow.log_lines())


def test_slow_reader_does_not_grow_the_proxy(wide: Fanin, server: Server) -> None:
    size = 200 * MIB
    line = "REPEAT('x', 1000)"
    numbers = (
        "SELECT a.n FROM (WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 460) SELECT n FROM s) a,"
        " (WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 460) SELECT n FROM s) b"
    )
    statement = f"SELECT {line} FROM ({numbers}) many"
    with WireClient(wide.port) as other:
        for attempt in range(2):
            with WireClient(wide.port) as client:
                client.send_query(statement)
                got = client.stream.read(8 * MIB)
                if attempt == 1:
                    # the kernel's buffers fill up, and everything stops
                    before = wide.memory()
                    sizes = []
                    for _ in range(5):
                        assert other.value("SELECT 1") == b"1"
                        got += client.stream.read(64 * 1024)
                        sizes.append(wide.memory())
                    assert max(sizes) - before < MIB
                    received = len(got)
                    while received < size:
                        chunk = client.socket.recv(4 * MIB)
                        received += len(chunk)
                        if received % (32 * MIB) < len(chunk):
                            sizes.append(wide.memory())
                    assert max(sizes) - before < MIB
    eventually(lambda: wide.endpoint()["leased"] == 0)


def test_fast_sender_is_held_back(wide: Fanin, server: Server, connect: Connect, table: str) -> None:
    """A client that pipelines more than the server takes is left in the kernel's buffers."""
    blocker = connect(server)
    run(blocker, f"LOCK TABLES {table} WRITE")
    with WireClient(wide.port) as client:
        client.send_query(f"SELECT COUNT(*) FROM {table}")
        eventually(lambda: wide.endpoint()["leased"] == 1)
        before = wide.memory()
        client.socket.setblocking(False)
        command = b"\x03SELECT '" + b"z" * 60_000 + b"'"
        packet = len(command).to_bytes(3, "little") + b"\0" + command
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 64 * MIB:
                sent += client.socket.send(packet)
        assert sent < 64 * MIB
        assert wide.memory() - before < MIB
        run(blocker, "UNLOCK TABLES")


def test_multi_statements_bring_every_result(one: Fanin, connect: Connect, table: str) -> None:
    client = connect(one, client_flag=int(Capability.MULTI_STATEMENTS))
    with client.cursor() as cursor:
        cursor.execute(f"SELECT 1; INSERT INTO {table} (v) VALUES (1), (2); SELECT v FROM {table} ORDER BY v")
        assert cursor.fetchall() == ((1,),)
        assert cursor.nextset()
        assert cursor.rowcount == 2
        assert cursor.nextset()
        assert cursor.fetchall() == ((1,), (2,))
        assert not cursor.nextset()
    assert not one.is_holding(client)


def test_procedure_with_results_and_out_parameters(
    one: Fanin, connect: Connect, server: Server, table: str
) -> None:
    name = table.replace("app.", "p")
    server.sql(
        f"CREATE PROCEDURE app.{name}(IN a INT, OUT b INT) BEGIN SELECT a AS first; SELECT a + 1 AS second; SET b = a * 2; END"
    )
    client: Any = connect(one)
    with client.cursor() as cursor:
        cursor.callproc(name, (20, 0))
        assert cursor.fetchall() == ((20,),)
        assert cursor.nextset()
        assert cursor.fetchall() == ((21,),)
        assert cursor.nextset() and not cursor.nextset()
        cursor.execute(f"SELECT @_{name}_1")
        assert cursor.fetchall() == ((40,),)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A file of 20,000 lines."""
    path = tmp_path / "lines.csv"
    path.write_text("".join(f"{n},line {n} of the file\n" for n in range(1, 20_001)))
    return path


def load(path: Path, table: str) -> str:
    return f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} FIELDS TERMINATED BY ',' (v, s)"


def test_local_file_is_loaded(one: Fanin, connect: Connect, table: str, lines: Path) -> None:
    client, other = connect(one, local_infile=True), connect(one)
    with client.cursor() as cursor:
        assert cursor.execute(load(lines, table)) == 20_000
    assert rows(other, f"SELECT COUNT(*), SUM(v) FROM {table}") == [(20_000, 200_010_000)]
    assert rows(other, f"SELECT s FROM {table} WHERE v = 20000") == [("line 20000 of the file",)]
    assert not one.is_holding(client)


def test_large_local_file_with_a_transaction_around_it(
    wide: Fanin, connect: Connect, table: str, tmp_path: Path
) -> None:
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        for n in range(1, 100_001):
            file.write(f"{n},{'x' * 80}\n")
    client = connect(wide, local_infile=True, autocommit=False)
    with client.cursor() as cursor:
        assert cursor.execute(load(path, table)) == 100_000
    client.rollback()
    assert value(client, f"SELECT COUNT(*) FROM {table}") == 0


def test_missing_local_file_is_the_clients_own_error(
    one: Fanin, connect: Connect, table: str, tmp_path: Path
) -> None:
    client = connect(one, local_infile=True)
    with pytest.raises(pymysql.err.MySQLError, match=r"Can't find file|2"):
        run(client, load(tmp_path / "missing", table))
    assert value(connect(one), "SELECT 1") == 1


def test_local_file_is_refused_to_a_client_that_did_not_ask(
    one: Fanin, server: Server, table: str, lines: Path
) -> None:
    with WireClient(server.port) as direct, WireClient(one.port) as client:
        wanted = direct.query(load(lines, table))[0]
        assert wanted[0] == 0xFF
        assert client.query(load(lines, table))[0] == wanted
        assert client.value(f"SELECT COUNT(*) FROM {table}") == b"0"


def test_local_file_is_refused_where_the_server_forbids_it(
    connect: Connect, server: Server, one: Fanin, table: str, lines: Path
) -> None:
    server.sql("SET GLOBAL local_infile = 0")
    try:
        client = connect(one, local_infile=True)
        with pytest.raises(pymysql.err.MySQLError):
            run(client, load(lines, table))
        assert value(client, "SELECT 1") == 1
    finally:
        server.sql("SET GLOBAL local_infile = 1")


def test_client_that_breaks_off_a_local_file_loads_nothing(wide: Fanin, connect: Connect, table: str) -> None:
    with WireClient(wide.port, capabilities=PLAIN | Capability.LOCAL_FILES) as client:
        assert client.query(load(Path("anything"), table))[0] == b"\xfbanything"
        content = b"1,one\n2,two\n"
        client.socket.sendall(len(content).to_bytes(3, "little") + b"\x02" + content)
    eventually(lambda: wide.endpoint()["leased"] == 0)
    assert value(connect(wide), f"SELECT COUNT(*) FROM {table}") == 0


def test_pipelined_commands_are_answered_in_order(one: Fanin) -> None:
    with WireClient(one.port) as client, WireClient(one.port) as other:
        packets = b"".join(
            len(text).to_bytes(3, "little") + b"\0" + text
            for text in (b"\x03SELECT %d" % n for n in range(50))
        )
        client.socket.sendall(packets + b"\1\0\0\0\x0e")
        other.send_query("SELECT 'between'")
        for n in range(50):
            assert client.response(0x03)[3] == bytes([len(str(n))]) + str(n).encode()
        assert client.response(0x0E)[0][0] == 0
        assert other.response(0x03)[3] == b"\x07between"


@pytest.mark.parametrize("command", [0x12, 0x13, 0x15, 0x1E, 0x20, 0x21, 0x99])
def test_commands_of_replicas_are_unknown(command: int, one: Fanin) -> None:
    with WireClient(one.port) as client:
        assert client.command(bytes([command]) + bytes(20))[0][:9] == b"\xff\x17\x04#08S01"
        assert client.value("SELECT 1") == b"1"


def test_statistics_come_from_the_server(one: Fanin) -> None:
    with WireClient(one.port) as client:
        assert b"Uptime" in client.command(b"\x09")[0]
        assert client.value("SELECT 1") == b"1"


@pytest.mark.parametrize("new", [False, True], ids=["plain", "deprecate-eof"])
def test_rows_that_a_handler_broke_off_are_followed_by_others(
    new: bool, fanin: MakeFanin, server: Server
) -> None:
    """MySQL ends them in its own way."""
    one = fanin(server, pool_size=1)
    several = PLAIN | Capability.MULTI_RESULTS
    capabilities = int(several | Capability.DEPRECATE_EOF if new else several)
    server.sql("CREATE TABLE IF NOT EXISTS app.broken_off (id INT PRIMARY KEY)")
    server.sql("REPLACE INTO app.broken_off VALUES (1), (2), (3)")
    server.sql("DROP PROCEDURE IF EXISTS app.breaks_off")
    server.sql(
        "CREATE PROCEDURE app.breaks_off() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
        " SELECT id, (SELECT 1 FROM app.broken_off WHERE id < 3) FROM app.broken_off; SELECT 'behind'; END"
    )
    answers = []
    for port in (server.port, one.port):
        with WireClient(port, capabilities=capabilities) as client:
            answers.append(client.query("CALL breaks_off()"))
            assert b"\x06behind" in answers[-1]
            assert client.value("SELECT 1") == b"1"
    assert answers[0] == answers[1]
