"""How texts are read, and where statements go."""

from __future__ import annotations

import pytest

from protocol.packets import parse_err
from proxy.vector import is_restorable
from tests.integration.fixtures import MakeFanin
from tests.integration.running import eventually, rows, run
from tests.integration.steps import Execute, Prepare
from tests.integration.wire import Refusal, WireClient, framed
from tests.traps.relay import Routed
from tests.traps.trap import COUNT, INSERT, Trap, error_code

LOCK = "user-lock"
RELEASE = "SELECT RELEASE_ALL_LOCKS()"


def test_version_comments(trap: Trap) -> None:
    # executed, so they count as if there were no comment
    for text in (
        "SELECT /*!50000 GET_LOCK('traps', 0) */",
        "/*! SELECT GET_LOCK('traps', 0) */",
        "SELECT 1 /*!, GET_LOCK('traps', 0) */",
        "SELECT/*! GET_LOCK*/('traps', 0)",
    ):
        kept = trap.play(text, RELEASE, COUNT, b"\x1f")
        assert LOCK in kept[0], text
        assert kept[-1] == "", text
    maria = trap.play("SELECT 1 /*M!100000 , GET_LOCK('traps', 0) */", RELEASE, b"\x1f")
    assert LOCK in maria[0]
    # not executed: hints and comments
    for text in (
        "SELECT /* GET_LOCK('traps', 0) */ 1",
        "SELECT 1 -- GET_LOCK('traps', 0)",
        "SELECT 1 # GET_LOCK('traps', 0)",
        "SELECT 1 /* /* */ -- GET_LOCK()",
        "SELECT /*+ SET_VAR(sort_buffer_size = 65536) */ v FROM t",
        "SELECT /*+ MAX_EXECUTION_TIME(1000) */ v FROM t",
    ):
        assert trap.play(text, "SELECT @@sort_buffer_size") == ["", ""], text
    # two minus signs and no space are no comment
    assert LOCK in trap.play("SELECT 1--GET_LOCK('traps', 0)", RELEASE, b"\x1f")[0]


@pytest.mark.parametrize("charset", ["gbk", "big5", "sjis", "cp932", "gb18030"])
def test_charsets_with_odd_bytes(charset: str, trap: Trap) -> None:
    if not rows(trap.root, f"SHOW CHARACTER SET LIKE '{charset}'"):
        # MariaDB has no gb18030: it says so itself
        assert trap.play(f"SET NAMES {charset}", "SELECT 1") == ["", ""]
        return
    # the second byte of the character is a backslash to whoever does not know the character set
    odd = {"gbk": b"\xbf\x5c", "big5": b"\xa5\x5c", "gb18030": b"\xbf\x5c"}.get(charset, b"\x83\x5c")
    kept = trap.play(
        f"SET NAMES {charset}",
        b"\x03SELECT HEX('" + odd + b"'), GET_LOCK('traps', 0), '" + odd + b"'",
        RELEASE,
        b"\x03SELECT '" + odd + b"' AS `" + odd + b"`",
        "SET NAMES utf8mb4",
        COUNT,
    )
    assert all("unsafe-charset" in each for each in kept[:4])
    # what such a text has done is not known, not even when the character set has gone
    assert "unknown-statement" in kept[5]
    kept = trap.play(f"SET NAMES {charset}", b"\x03SELECT HEX('\xb0\xa1')", "SET NAMES utf8mb4", COUNT)
    assert kept == ["unsafe-charset", "unsafe-charset", "", ""]


WRITES = (
    "EXPLAIN DELETE FROM t",
    "DO 1 + 1",
    "CHECKSUM TABLE t",
    "ANALYZE TABLE t",
    "(SELECT v FROM t WHERE id = 1) UNION (SELECT 7)",
    "SELECT v FROM t INTO OUTFILE '/nowhere/at/all'",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
    "SHOW REPLICA STATUS",
)
OF_MYSQL = (
    "WITH x AS (SELECT 1 AS id) UPDATE t JOIN x USING (id) SET s = 'w'",
    "TABLE parent",
    "VALUES ROW(1, 2), ROW(3, 4)",
)
OF_MARIADB = (
    "VALUES (1, 2), (3, 4)",
    "INSERT INTO t (v) VALUES (55) RETURNING v",
    "ANALYZE UPDATE t SET s = 'w' WHERE id = 1",
)


def test_statements_that_write(trap: Trap, routed: Routed) -> None:
    for text in (*WRITES, *(OF_MARIADB if trap.is_mariadb else OF_MYSQL)):
        if text.startswith("ANALYZE UPDATE"):
            with trap.through() as client:
                assert error_code(client.query(text)) == 0
                assert trap.kept(client) == ""
        else:
            assert trap.play(text, "SELECT s FROM t ORDER BY id", COUNT) == ["", "", ""], text
    # whatever a statement does, it goes where the listener's clients go
    with WireClient(routed.fanin.port, database="traps") as client:
        for text in ("SELECT 1", "UPDATE t SET s = 'w' WHERE id = 1", "TABLE t"):
            client.query(f"{text} /* of the writer's */")
    with WireClient(routed.fanin.reader_port, database="traps") as client:
        for text in ("SELECT 1", "SELECT 2"):
            client.query(f"{text} /* of the readers' */")
    assert routed.seen("of the writer's") == [3, 0, 0]
    assert routed.seen("of the readers'") == [0, 1, 1]


def test_functions_that_write(trap: Trap) -> None:
    run(
        trap.root,
        "SET GLOBAL log_bin_trust_function_creators = 1",
        "DROP FUNCTION IF EXISTS traps.writes",
        "CREATE FUNCTION traps.writes(n INT) RETURNS INT MODIFIES SQL DATA"
        " BEGIN INSERT INTO traps.t (v) VALUES (n); RETURN LAST_INSERT_ID(); END",
    )
    kept = trap.play("SELECT writes(77)", COUNT, "SELECT LAST_INSERT_ID()", b"\x1f", COUNT)
    assert kept[0] == "routine"
    assert kept[3:] == ["", ""]
    if trap.is_mariadb:
        run(trap.root, "CREATE OR REPLACE SEQUENCE traps.numbers")
        kept = trap.play("SELECT NEXTVAL(numbers) > 0", "SELECT LASTVAL(numbers) > 0", b"\x1f")
        assert kept == ["sequence-value"] * 2 + [""]
    # what a server says of itself is said by the server of the listener
    asked = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'traps'"
    assert trap.play(asked, "SELECT @@port, @@server_id, @@version") == ["", ""]


def test_temporary_table_in_read_only_transaction(trap: Trap) -> None:
    kept = trap.play(
        "CREATE TEMPORARY TABLE u (id INT)",
        "START TRANSACTION READ ONLY",
        "INSERT INTO u VALUES (1)",
        INSERT,
        "SELECT * FROM u",
        "COMMIT",
        "DROP TEMPORARY TABLE u",
        COUNT,
    )
    assert kept == ["temporary-table", *["transaction+temporary-table"] * 4, "temporary-table", "", ""]


def test_replica_read_consistency(trap: Trap) -> None:
    # only Aurora knows it: elsewhere the answer is the server's
    assert trap.play("SET aurora_replica_read_consistency = 'session'", "SELECT 1") == ["", ""]
    # where it is reported it is restored like any other
    assert is_restorable(b"aurora_replica_read_consistency", b"SESSION")


def test_reader_isolation(trap: Trap, routed: Routed) -> None:
    variable = "@@tx_isolation" if trap.is_mariadb else "@@transaction_isolation"
    with WireClient(routed.fanin.reader_port, database="traps") as client:
        client.ok("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED /* for good */")
        for _ in range(4):
            assert client.value(f"SELECT {variable} /* isolation */") == b"READ-COMMITTED"
        client.ok("START TRANSACTION")
        assert client.value(f"SELECT {variable}") == b"READ-COMMITTED"
        client.ok("COMMIT")
    assert sum(routed.seen("for good")) == 1
    assert routed.seen("/* isolation */") == [0, 2, 2]


def test_ddl_interrupts_readers(trap: Trap, routed: Routed) -> None:
    run(trap.root, "REPLACE INTO traps.parent VALUES (1), (2)")
    running = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%interrupted%'"
    with WireClient(routed.fanin.reader_port, database="traps") as client:
        client.send_query("SELECT SLEEP(30) FROM parent /* interrupted */")
        eventually(lambda: rows(trap.root, running))
        run(trap.root, f"KILL QUERY {rows(trap.root, running)[0][0]}")
        # the client's to repeat: part of the answer may have been sent
        assert error_code(client.response(0x03)) == 1317
        assert client.value("SELECT 1") == b"1"
    assert sum(routed.seen("interrupted")) == 1


def test_zero_downtime_restart(trap: Trap, routed: Routed) -> None:
    """The connections stay, and what was prepared on them is gone without notice."""
    trap.clean()
    everything = b"".join(framed(b"\x19" + number.to_bytes(4, "little")) for number in range(1, 3000))
    with WireClient(routed.fanin.port, database="traps") as client:
        ids: dict[str, int] = {}
        Prepare("p", "SELECT 'prepared', ?").run(client, ids)
        Prepare("q", "INSERT INTO t (v) VALUES (?)").run(client, ids)
        expected = Execute("p", (5,)).run(client, ids)
        assert error_code(Execute("q", (5,)).run(client, ids)) == 0
        routed.relays[0].inject(everything)
        # prepared anew, and run once
        assert Execute("p", (5,)).run(client, ids) == expected
        routed.relays[0].inject(everything)
        assert error_code(Execute("q", (6,)).run(client, ids)) == 0
        assert client.value(COUNT) == b"5"
        # with a transaction more than that is lost, and the client has to hear of it
        client.ok("BEGIN")
        routed.relays[0].inject(everything)
        assert error_code(Execute("p", (5,)).run(client, ids)) == 1243


def test_failover(trap: Trap) -> None:
    # a writer that has become a reader says so itself, and the connection stays as it is
    def play(client: WireClient) -> list[int]:
        codes = [error_code(client.query("DO 1"))]
        run(trap.root, "SET GLOBAL read_only = 1")
        try:
            codes += [
                error_code(client.query(text))
                for text in (INSERT, COUNT, "BEGIN", INSERT, "COMMIT", "SELECT 1")
            ]
        finally:
            run(trap.root, "SET GLOBAL read_only = 0")
        return [*codes, error_code(client.query(INSERT))]

    assert trap.same(play) == [0, 1290, 0, 0, 1290, 0, 0, 0]


def test_pool_self_deadlock(trap: Trap, fanin: MakeFanin) -> None:
    impatient = fanin(trap.server, pool_size=1, pool={"acquire_timeout": 0.3})
    trap.clean()
    with (
        WireClient(impatient.port, database="traps") as first,
        WireClient(impatient.port, database="traps") as second,
    ):
        first.ok("BEGIN")
        first.ok(INSERT)
        error = parse_err(second.query(COUNT)[0])
        assert error.code == 1040
        assert b"1 of 1 leased: 1 in transaction" in error.message
        # nothing is lost: whoever waited may ask again, and whoever holds goes on
        first.ok("COMMIT")
        assert second.value(COUNT) == b"4"


def test_long_statements(trap: Trap) -> None:
    for size in (5_000, 20_000, 300_000):
        filling = "x" * size
        assert (
            trap.play(f"SELECT LENGTH('{filling}')", f"INSERT INTO t (v) VALUES (LENGTH('{filling}'))", COUNT)
            == [""] * 3
        )
        kept = trap.play(f"SELECT /* {filling} */ GET_LOCK('traps', 0)", RELEASE, COUNT)
        assert kept == [LOCK, "", ""], size


def test_dropped_accounts(trap: Trap) -> None:
    def refused(password: str) -> int:
        try:
            with trap.through(user="dropped", password=password):
                return 0
        except Refusal as refusal:
            return refusal.code

    for gone in ("DROP USER 'dropped'@'%'", "RENAME USER 'dropped'@'%' TO 'renamed'@'%'"):
        run(trap.root, "DROP USER IF EXISTS 'dropped'@'%'", "DROP USER IF EXISTS 'renamed'@'%'")
        run(
            trap.root, "CREATE USER 'dropped'@'%' IDENTIFIED BY 'pw'", "GRANT ALL ON traps.* TO 'dropped'@'%'"
        )
        run(trap.root, "FLUSH PRIVILEGES")
        with (
            trap.through(user="dropped", password="pw") as client,
            trap.through(user="root", password="") as admin,
        ):
            assert client.value(COUNT) is not None
            admin.ok(gone)
            admin.ok("FLUSH PRIVILEGES")
            assert refused("pw") == 1045
    run(trap.root, "DROP USER 'renamed'@'%'")


def test_administrative_statements(trap: Trap) -> None:
    run(trap.root, "DROP USER IF EXISTS 'modest'@'%'", "CREATE USER 'modest'@'%' IDENTIFIED BY 'pw'")
    run(trap.root, "GRANT SELECT ON traps.* TO 'modest'@'%'")
    try:
        # the server decides, by the user's privileges
        for text in (
            "SHUTDOWN",
            "RESET MASTER",
            "PURGE BINARY LOGS TO 'x'",
            "INSTALL PLUGIN x SONAME 'x.so'",
            "FLUSH LOGS",
        ):
            assert trap.play(text, "SELECT 1", user="modest", password="pw") == ["", ""], text
        # COM_SHUTDOWN
        assert trap.play(b"\x08", "SELECT 1", user="modest", password="pw") == ["", ""]
    finally:
        run(trap.root, "DROP USER 'modest'@'%'")
