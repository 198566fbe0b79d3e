"""Transactions keep their backend, and only as long as they last."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from bench.servers import Server
from protocol.packets import parse_err
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.wire import WireClient


@pytest.mark.parametrize(("end", "left"), [("COMMIT", 1), ("ROLLBACK", 0)])
def test_transaction_holds_and_its_end_releases(
    end: str, left: int, one: Fanin, connect: Connect, table: str
) -> None:
    client, other = connect(one), connect(one)
    run(client, "BEGIN", f"INSERT INTO {table} (v) VALUES (1)")
    assert one.settled(client)["condition"] == "in transaction"
    assert one.endpoint()["in_transaction"] == 1
    run(client, end)
    assert not one.is_holding(client)
    assert value(other, f"SELECT COUNT(*) FROM {table}") == left


def test_transactions_of_two_clients_do_not_mix(two: Fanin, connect: Connect, table: str) -> None:
    first, second = connect(two), connect(two)
    run(first, "BEGIN", f"INSERT INTO {table} (v) VALUES (1)")
    run(second, "BEGIN", f"INSERT INTO {table} (v) VALUES (2)")
    assert rows(first, f"SELECT v FROM {table}") == [(1,)]
    assert rows(second, f"SELECT v FROM {table}") == [(2,)]
    run(first, "ROLLBACK")
    run(second, "COMMIT")
    assert rows(first, f"SELECT v FROM {table}") == [(2,)]


def test_client_waits_for_the_transaction_of_another(one: Fanin, table: str) -> None:
    with WireClient(one.port) as holder, WireClient(one.port) as waiter:
        holder.ok("BEGIN")
        holder.ok(f"INSERT INTO {table} (v) VALUES (1)")
        waiter.send_query(f"SELECT COUNT(*) FROM {table}")
        eventually(lambda: one.endpoint()["waiting"] == 1)
        holder.ok(f"INSERT INTO {table} (v) VALUES (2)")
        holder.ok("COMMIT")
        assert waiter.response(0x03)[3] == b"\x012"


def test_statement_error_leaves_the_transaction_open(one: Fanin, connect: Connect, table: str) -> None:
    client = connect(one)
    run(client, "BEGIN", f"INSERT INTO {table} (v) VALUES (1)")
    with pytest.raises(pymysql.err.IntegrityError):
        run(client, f"INSERT INTO {table} (v) VALUES (1)")
    with pytest.raises(pymysql.err.ProgrammingError):
        run(client, "SELECT nonsense nonsense nonsense")
    assert one.settled(client)["condition"] == "in transaction"
    run(client, f"INSERT INTO {table} (v) VALUES (2)", "COMMIT")
    assert rows(client, f"SELECT v FROM {table} ORDER BY v") == [(1,), (2,)]


def test_error_outside_a_transaction_holds_nothing(one: Fanin, connect: Connect) -> None:
    client = connect(one)
    with pytest.raises(pymysql.err.ProgrammingError):
        run(client, "SELECT * FROM app.missing")
    assert not one.is_holding(client)
    assert one.endpoint()["leased"] == 0


def test_deadlock_victim_is_free_again(two: Fanin, connect: Connect, table: str) -> None:
    run(connect(two), f"INSERT INTO {table} (id, v) VALUES (1, 1), (2, 2)")
    with WireClient(two.port) as first, WireClient(two.port) as second:
        for client, number in ((first, 1), (second, 2)):
            client.ok("BEGIN")
            client.ok(f"UPDATE {table} SET s = 'mine' WHERE id = {number}")
        first.send_query(f"UPDATE {table} SET s = 'mine' WHERE id = 2")
        second.send_query(f"UPDATE {table} SET s = 'mine' WHERE id = 1")
        answers = [client.response(0x03)[0] for client in (first, second)]
        (victim,) = [
            client for client, answer in zip((first, second), answers, strict=True) if answer[0] == 0xFF
        ]
        assert answers[0 if victim is first else 1][1:3] == b"\xbd\x04"  # 1213
        assert not two.is_holding(victim.thread_id)
        survivor = second if victim is first else first
        assert two.is_holding(survivor.thread_id)
        survivor.ok("ROLLBACK")


def test_client_that_goes_in_a_transaction_is_rolled_back(one: Fanin, connect: Connect, table: str) -> None:
    with WireClient(one.port) as client:
        client.ok("BEGIN")
        client.ok(f"INSERT INTO {table} (v) VALUES (1)")
    assert value(connect(one), f"SELECT COUNT(*) FROM {table}") == 0


def test_autocommit_off_is_shared_between_transactions(one: Fanin, connect: Connect, table: str) -> None:
    first, second = connect(one, autocommit=False), connect(one, autocommit=False)
    for number in range(3):
        for client in (first, second):
            run(client, f"INSERT INTO {table} (v) VALUES ({client.thread_id() * 10 % 1000003 + number})")
            assert one.settled(client)["condition"] == "in transaction"
            client.commit()
            assert not one.is_holding(client)
    first.rollback()
    assert value(second, f"SELECT COUNT(*) FROM {table}") == 6
    second.rollback()
    assert one.pins(first) == one.pins(second) == []


def test_statement_of_a_client_with_autocommit_off_does_not_commit_by_itself(
    one: Fanin, connect: Connect, table: str
) -> None:
    careful, other = connect(one, autocommit=False), connect(one)
    run(other, f"INSERT INTO {table} (v) VALUES (1)")
    run(careful, f"INSERT INTO {table} (v) VALUES (2)")
    careful.rollback()
    assert rows(other, f"SELECT v FROM {table}") == [(1,)]


def test_isolation_of_the_next_transaction_is_for_one_only(
    one: Fanin, connect: Connect, server: Server, table: str
) -> None:
    client, other = connect(one), connect(one)
    run(client, "SET TRANSACTION READ ONLY", "BEGIN")
    with pytest.raises(pymysql.err.MySQLError, match="READ ONLY"):
        run(client, f"INSERT INTO {table} (v) VALUES (1)")
    run(client, "ROLLBACK")
    run(other, f"INSERT INTO {table} (v) VALUES (1)")
    run(client, f"INSERT INTO {table} (v) VALUES (2)")


def test_begin_is_refused_in_statement_mode(
    fanin: MakeFanin, server: Server, connect: Connect, table: str
) -> None:
    strict = fanin(server, pool_size=1, pool={"mode": "statement"})
    client: Any = connect(strict)
    with pytest.raises(pymysql.err.MySQLError, match=r"pool\.mode"):
        run(client, "BEGIN")
    run(client, f"INSERT INTO {table} (v) VALUES (1)")
    assert value(connect(strict), f"SELECT COUNT(*) FROM {table}") == 1


def test_session_mode_keeps_the_backend_until_the_client_goes(
    fanin: MakeFanin, server: Server, connect: Connect
) -> None:
    generous = fanin(server, pool_size=2, pool={"mode": "session"})
    client, other = connect(generous), connect(generous)
    run(client, "SELECT 1")
    assert generous.pins(client) == ["session-mode"]
    run(other, "SELECT 1")
    assert generous.endpoint()["leased"] == 2
    client.close()
    other.close()
    eventually(lambda: generous.endpoint()["leased"] == 0)


def test_an_idle_transaction_is_rolled_back_and_its_client_told(
    fanin: MakeFanin, server: Server, connect: Connect, table: str
) -> None:
    strict = fanin(server, pool_size=1, pool={"idle_transaction_timeout": 0.5})
    with WireClient(strict.port) as idle:
        idle.ok("BEGIN")
        idle.ok(f"INSERT INTO {table} (v) VALUES (1)")
        # it waits for the only backend
        assert value(connect(strict), f"SELECT COUNT(*) FROM {table}") == 0
        # a client that only speaks when it is spoken to finds it with its next command
        told = parse_err(idle.stream.read1()[4:])
    assert told.code == 4031 and b"idle in a transaction" in told.message
    assert "idle in a transaction" in strict.log.read_text()
