"""What pins a session is told in /state while it lasts and in /pins ever after, without anything that the client put into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bench.servers import Server
from tests.integration.running import Fanin
from tests.integration.wire import WireClient

LOCK = "SELECT GET_LOCK('very secret', 1)"
TABLE = "CREATE TEMPORARY TABLE app.basket (id INT DEFAULT 4711)"


def report(fanin: Fanin) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fanin.page("/pins"))
    return found


def rows(fanin: Fanin) -> dict[str, dict[str, Any]]:
    """The report by reason."""
    return {each["reason"]: each for each in report(fanin)["pins"]}


def row(fanin: Fanin, reason: str) -> dict[str, Any]:
    return rows(fanin)[reason]


@pytest.fixture
def fanin(server: Server) -> Iterator[Fanin]:
    """A process of the test's own: what others pinned is in its report, too."""
    with Fanin(server, pool={"size": 2}) as fanin:
        yield fanin


def test_a_pinned_session_is_explained_while_it_lasts_and_counted_afterwards(fanin: Fanin) -> None:
    with WireClient(fanin.port) as client:
        for statement in (LOCK, TABLE, "SELECT 1"):
            assert client.query(statement)[0][0] != 0xFF, statement
        pins = {pin["reason"]: pin for pin in fanin.settled(client.thread_id)["pins"]}
        assert {reason: pin["digest"] for reason, pin in pins.items()} == {
            "user-lock": "SELECT GET_LOCK(?, ?)",
            "temporary-table": "CREATE TEMPORARY TABLE app.basket(id INT DEFAULT ?)",
        }
        server_connection = fanin.settled(client.thread_id)["server_connection"]
        for pin in pins.values():
            assert pin["age"] >= 0
            assert (pin["endpoint"], pin["server_connection"]) == ("primary", server_connection)
        assert "RELEASE_LOCK()" in pins["user-lock"]["advice"]
        assert "DROP" in pins["temporary-table"]["cleared_by"]
        found = rows(fanin)
        lock, table = found["user-lock"], found["temporary-table"]
        assert (lock["count"], lock["live"], table["live"]) == (1, 1, 1)
        assert lock["pinned_seconds"] >= table["pinned_seconds"] >= 0

        assert client.query("SELECT RELEASE_LOCK('very secret')")[0][0] == 1
        assert fanin.pins(client.thread_id) == ["temporary-table"]
        seconds = row(fanin, "user-lock")["pinned_seconds"]
        assert seconds >= lock["pinned_seconds"]
        assert client.query("DROP TEMPORARY TABLE app.basket")[0][0] == 0
        assert fanin.pins(client.thread_id) == []

        found = rows(fanin)
        lock, table = found["user-lock"], found["temporary-table"]
        assert (lock["count"], lock["live"], table["live"]) == (1, 0, 0)
        assert lock["pinned_seconds"] == seconds
        assert table["pinned_seconds"] >= 0
        assert fanin.metric("fanin_pinned_seconds_total", reason="user-lock") == pytest.approx(
            seconds, abs=1e-3
        )
        told = fanin.page("/state") + fanin.page("/pins") + fanin.page("/pins?format=text")
        assert "secret" not in told and "4711" not in told
        assert "SELECT GET_LOCK(?, ?)" in told
        client.quit()
    assert "secret" not in fanin.log.read_text() and "4711" not in fanin.log.read_text()


def test_the_time_of_a_transaction_is_no_cost_of_a_pin(fanin: Fanin) -> None:
    with WireClient(fanin.port) as client:
        client.query("BEGIN")
        client.query("SELECT GET_LOCK('x', 1)")
        assert fanin.pins(client.thread_id) == ["user-lock"]
        assert (row(fanin, "user-lock")["live"], row(fanin, "user-lock")["pinned_seconds"]) == (1, 0)
        client.query("SELECT SLEEP(0.05)")
        client.query("SELECT RELEASE_LOCK('x')")
        client.query("COMMIT")
        assert fanin.pins(client.thread_id) == []
        assert (row(fanin, "user-lock")["live"], row(fanin, "user-lock")["pinned_seconds"]) == (0, 0)
        client.quit()


def test_a_reset_ends_a_pin(fanin: Fanin) -> None:
    with WireClient(fanin.port) as client:
        client.query("SET profiling = 1")
        assert fanin.pins(client.thread_id) == ["unsafe-variable"]
        assert client.command(b"\x1f")[0][0] == 0
        assert fanin.pins(client.thread_id) == []
        found = row(fanin, "unsafe-variable")
        assert (found["digest"], found["live"]) == ("SET profiling = ?", 0)
        client.quit()
