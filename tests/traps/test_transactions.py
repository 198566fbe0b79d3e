"""Transactions: what holds a backend, until when, and what never does."""

from __future__ import annotations

import pytest

from protocol.packets import parse_err
from tests.integration.fixtures import MakeFanin
from tests.integration.running import Fanin, eventually, rows, run
from tests.integration.wire import WireClient
from tests.traps.relay import Relay, Routed
from tests.traps.trap import COUNT, INSERT, Meanwhile, Trap, error_code, is_closed

OPEN = "transaction"


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN WORK", "START TRANSACTION", "begin /* one */;"])
def test_begin(begin: str, trap: Trap) -> None:
    assert trap.play(begin, INSERT, COUNT, "COMMIT", COUNT) == [OPEN, OPEN, OPEN, "", ""]


def test_start_transaction_read_only(trap: Trap) -> None:
    kept = trap.play("START TRANSACTION READ ONLY", COUNT, INSERT, "COMMIT", INSERT)
    assert kept == [OPEN, OPEN, OPEN, "", ""]


def test_consistent_snapshot(trap: Trap) -> None:
    def delete() -> None:
        run(trap.root, "DELETE FROM traps.t WHERE id = 2")

    kept = trap.play("START TRANSACTION WITH CONSISTENT SNAPSHOT", Meanwhile(delete), COUNT, "COMMIT", COUNT)
    assert kept == [OPEN, OPEN, OPEN, "", ""]


def test_autocommit_off(trap: Trap) -> None:
    kept = trap.play("SET autocommit = 0", "DO 1", INSERT, "ROLLBACK", "DELETE FROM t", "COMMIT", COUNT)
    assert kept == ["", "", OPEN, "", OPEN, "", OPEN]


def test_autocommit_on_in_transaction(trap: Trap) -> None:
    kept = trap.play("SET autocommit = 0", INSERT, "SET autocommit = 1", "ROLLBACK", COUNT)
    assert kept == ["", OPEN, "", "", ""]


def test_savepoint_under_autocommit_off(trap: Trap) -> None:
    kept = trap.play(
        "SET autocommit = 0", "SAVEPOINT a", INSERT, "SAVEPOINT b", "ROLLBACK TO a", COUNT, "COMMIT", "DO 1"
    )
    assert kept[:2] == ["", "savepoint"]
    assert kept[-2:] == ["", ""]
    assert trap.play("SAVEPOINT a", "ROLLBACK TO a") == ["", ""]
    assert trap.play("BEGIN", "SAVEPOINT a", INSERT, "ROLLBACK TO a", "COMMIT", COUNT)[-2:] == ["", ""]


def test_set_transaction_for_the_next(trap: Trap) -> None:
    variable = "tx_read_only" if trap.is_mariadb else "transaction_read_only"
    for setting in ("SET TRANSACTION READ ONLY", f"SET @@{variable} = 1"):
        kept = trap.play(setting, "BEGIN", INSERT, "COMMIT", INSERT)
        assert kept == [
            "next-transaction",
            "transaction+next-transaction",
            "transaction+next-transaction",
            "",
            "",
        ]
        kept = trap.play(setting, INSERT, INSERT)
        assert kept[0] == "next-transaction"
        kept = trap.play(setting, COUNT, INSERT)
        assert kept == ["next-transaction", "", ""]


def test_set_session_transaction(trap: Trap) -> None:
    variable = "@@tx_isolation" if trap.is_mariadb else "@@transaction_isolation"
    kept = trap.play(
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        f"SELECT {variable}",
        INSERT,
        "SET SESSION TRANSACTION READ WRITE",
        INSERT,
    )
    assert kept == [""] * 5


def test_commit_and_chain(trap: Trap) -> None:
    kept = trap.play(
        "BEGIN", INSERT, "COMMIT AND CHAIN", "DELETE FROM t", "ROLLBACK AND CHAIN", COUNT, "COMMIT"
    )
    assert kept == [OPEN] * 6 + [""]
    kept = trap.play("SET completion_type = 1", "BEGIN", INSERT, "COMMIT", "DELETE FROM t", "ROLLBACK", COUNT)
    assert kept == [""] + [OPEN] * 6
    kept = trap.play("SET completion_type = CHAIN", "BEGIN", INSERT, "COMMIT AND NO CHAIN", COUNT)
    assert kept == ["", OPEN, OPEN, "", ""]


@pytest.mark.parametrize(
    "program",
    [
        ("BEGIN", INSERT, "COMMIT RELEASE"),
        ("BEGIN", INSERT, "ROLLBACK WORK RELEASE"),
        ("SET completion_type = 2", "BEGIN", INSERT, "COMMIT"),
        ("SET completion_type = 'RELEASE'", INSERT, "ROLLBACK"),
    ],
    ids=["commit", "rollback", "completion type", "completion type without a transaction"],
)
def test_commit_release(program: tuple[str, ...], trap: Trap) -> None:
    def play(client: WireClient) -> tuple[list[list[bytes]], bool]:
        return [client.query(statement) for statement in program], is_closed(client)

    assert trap.same(play)[1]
    kept = trap.play("SET completion_type = 2", "BEGIN", INSERT, "COMMIT NO RELEASE", COUNT)
    assert kept == ["", OPEN, OPEN, "", ""]


def test_implicit_commit(trap: Trap) -> None:
    kept = trap.play("BEGIN", INSERT, "ALTER TABLE child COMMENT 'x'", "ROLLBACK", COUNT)
    assert kept == [OPEN, OPEN, "", "", ""]
    assert trap.play("BEGIN", INSERT, "ANALYZE TABLE t", "ROLLBACK", COUNT) == [OPEN, OPEN, "", "", ""]
    assert trap.play("BEGIN", INSERT, "BEGIN", "ROLLBACK", COUNT) == [OPEN, OPEN, OPEN, "", ""]
    kept = trap.play("BEGIN", INSERT, "LOCK TABLES t WRITE", "ROLLBACK", "UNLOCK TABLES", COUNT)
    assert kept == [OPEN, OPEN, "table-lock", "table-lock", "", ""]


def test_error_in_transaction(trap: Trap) -> None:
    kept = trap.play("BEGIN", INSERT, INSERT, COUNT, "SELECT * FROM missing", "ROLLBACK", COUNT)
    assert kept == [OPEN] * 5 + ["", ""]
    # outside of a transaction
    assert trap.play("SELECT * FROM missing", "INSERT INTO t (v) VALUES (10)", COUNT) == ["", "", ""]

    def is_victim(client: WireClient) -> tuple[int, bool, bytes | None]:
        with trap.direct() as survivor:
            for other, row in ((survivor, 2), (client, 1)):
                other.ok("BEGIN")
                other.ok(f"UPDATE t SET s = 'mine' WHERE id = {row}")
            # the server rolls back whoever has changed less
            survivor.ok("INSERT INTO t (v) VALUES (50), (51), (52), (53), (54), (55)")
            survivor.send_query("UPDATE t SET s = 'mine' WHERE id = 1")
            eventually(lambda: waiting_for_locks(trap))
            code = error_code(client.query("UPDATE t SET s = 'mine' WHERE id = 2"))
            held = client.thread_id > 0x80000000 and trap.fanin.is_holding(client.thread_id)
            assert survivor.response(0x03)[0][0] == 0
            survivor.ok("ROLLBACK")
        return code, held, client.value(COUNT)

    assert trap.same(is_victim) == (1213, False, b"3")


def waiting_for_locks(trap: Trap) -> bool:
    return bool(rows(trap.root, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")[0][1] != "0")


def test_xa(trap: Trap) -> None:
    kept = trap.play("XA START 'a'", INSERT, "XA END 'a'", "XA PREPARE 'a'", "XA COMMIT 'a'", COUNT)
    assert all("xa" in each for each in kept[:4])
    assert kept[4:] == ["", ""]
    kept = trap.play("XA START 'a'", INSERT, "XA END 'a'", "XA PREPARE 'a'", "XA ROLLBACK 'a'", COUNT)
    assert all("xa" in each for each in kept[:4])
    assert kept[4:] == ["", ""]
    kept = trap.play("XA START 'a'", INSERT, "XA END 'a'", "XA COMMIT 'a' ONE PHASE", COUNT, "XA RECOVER")
    assert all("xa" in each for each in kept[:3])
    assert kept[3:] == ["", "", ""]
    # what fails ends nothing
    kept = trap.play("XA START 'a'", "XA COMMIT 'b'", "XA END 'a'", "XA ROLLBACK 'b'", "XA ROLLBACK 'a'")
    assert all("xa" in each for each in kept[:4])
    assert kept[4] == ""
    if not trap.is_mariadb:
        kept = trap.play(
            "SET xa_detach_on_prepare = OFF",
            "XA START 'a'",
            INSERT,
            "XA END 'a'",
            "XA PREPARE 'a'",
            COUNT,
            "XA COMMIT 'a'",
        )
        assert all("xa" in each for each in kept[1:6])
        assert kept[6] == ""

    def prepares_and_goes(client: WireClient) -> bytes | None:
        for statement in ("XA START 'a'", INSERT, "XA END 'a'", "XA PREPARE 'a'"):
            client.ok(statement)
        client.quit()
        # the second phase is another session's
        with trap.through() as coordinator:
            assert len(coordinator.query("XA RECOVER")) == 1 + 4 + 1 + 1 + 1
            # unknown to others (XAER_NOTA) until the server has noticed that its session ended
            eventually(lambda: error_code(coordinator.query("XA COMMIT 'a'")) != 1397)
            assert trap.kept(coordinator) == ""
            return coordinator.value(COUNT)

    assert trap.same(prepares_and_goes) == b"4"


def test_commit_lost_on_the_wire(trap: Trap) -> None:
    trap.clean()
    with (
        Relay(trap.server.port) as relay,
        Fanin(upstream=[relay.upstream()], server_tls={"mode": "disabled"}) as fanin,
    ):
        relay.cut_after(b"COMMIT")
        with WireClient(fanin.port, database="traps") as client:
            client.ok("BEGIN")
            client.ok(INSERT)
            assert parse_err(client.query("COMMIT")[0]).code == 2013
            assert is_closed(client)
    # it was done, once, and nobody did it again
    assert relay.seen(b"COMMIT") == 1
    assert rows(trap.root, "SELECT COUNT(*) FROM traps.t") == [(4,)]


def test_client_gone_in_transaction(trap: Trap) -> None:
    trap.clean()
    with trap.through() as client:
        client.ok("BEGIN")
        client.ok(INSERT)
        assert trap.steal(client) == OPEN
    trap.thief.turn()
    assert rows(trap.root, "SELECT COUNT(*) FROM traps.t") == [(3,)]
    with trap.through() as client:
        assert client.ok(INSERT).status & 1 == 0


def test_idle_in_transaction(trap: Trap, fanin: MakeFanin) -> None:
    impatient = fanin(trap.server, pool_size=1, pool={"acquire_timeout": 0.3})
    with WireClient(impatient.port) as holder, WireClient(impatient.port) as other:
        holder.ok("BEGIN")
        error = parse_err(other.query("SELECT 1")[0])
        assert error.code == 1040
        assert b"1 in transaction" in error.message
        assert holder.ok("COMMIT").status & 1 == 0
        assert other.value("SELECT 1") == b"1"


def test_read_after_write_in_transaction(trap: Trap, routed: Routed) -> None:
    trap.clean()
    with WireClient(routed.fanin.port, database="traps") as client:
        client.ok("BEGIN")
        client.ok(INSERT)
        assert client.value("SELECT COUNT(*) FROM t -- after its own write") == b"4"
        assert routed.fanin.settled(client.thread_id)["endpoint"] == "writer"
        client.ok("ROLLBACK")
        assert client.value("SELECT COUNT(*) FROM t -- after its own write") == b"3"
    assert routed.seen("after its own write") == [2, 0, 0]


def test_monotonic_reads(trap: Trap, routed: Routed) -> None:
    with WireClient(routed.fanin.reader_port, database="traps") as client:
        # by themselves they go to the readers in turns, and each may have another lag
        for _ in range(4):
            client.value("SELECT COUNT(*) FROM t -- one by one")
        assert routed.seen("one by one") == [0, 2, 2]
        # a transaction stays where it began
        client.ok("START TRANSACTION READ ONLY")
        for _ in range(3):
            client.value("SELECT COUNT(*) FROM t -- in a transaction")
        client.ok("COMMIT")
    assert sorted(routed.seen("in a transaction")) == [0, 0, 3]
