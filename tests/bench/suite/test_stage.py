"""Rows are played on real servers, and what cannot be played says why."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from bench.client import ClientError
from bench.contestants import DIRECT, FANIN, HAPROXY, Settings
from bench.haproxy_process import find_haproxy
from bench.idle import Waiting
from bench.plays import Closed
from bench.servers import MySQL, Server, ServerError
from bench.suite import rows
from bench.suite.rows import Act, Row, simple
from bench.suite.stage import Length, Played, Servers, fit, most_connections, played, round_line
from tests.bench.outcomes import outcome

pytestmark = pytest.mark.usefixtures("quick")

QUICK, ONCE = Length(2, 0.2), Length(1, 0.2)
needs_haproxy = pytest.mark.skipif(find_haproxy() is None, reason="no HAProxy here: apt-get install haproxy")


def play(row: Row, server: Server, *proxies: str, length: Length = QUICK) -> Played:
    return played(row, proxies, server.kind, lambda kind: server, length, print)


def good(result: Played, *names: str) -> Played:
    """Everybody has played without an error."""
    assert result.failure is None
    assert [peer.name for peer in result.peers] == list(names)
    assert [outcome.errors for outcome in result.outcomes] == [{}] * len(result.outcomes)
    assert all(outcome.queries > 0 for outcome in result.outcomes)
    return result


@pytest.mark.mariadb
def test_contestants_take_turns(mariadb: Server, capsys: pytest.CaptureFixture[str]) -> None:
    result = good(play(simple("small", "point", 6, 3, 2), mariadb, FANIN, DIRECT), "fanin", "direct")
    order = [line.split()[2] for line in capsys.readouterr().out.splitlines()]
    assert order == ["fanin", "direct", "direct", "fanin"]
    assert result.verdicts == []  # ProxySQL need not be there


@pytest.mark.mariadb
@pytest.mark.parametrize("name", ["rows10000", "prepared", "churn", "logins"])
def test_workloads_are_without_errors(name: str, mariadb: Server) -> None:
    good(play(simple(name, name, 4, 2, 2), mariadb, FANIN, length=Length(1, 0.3)), "fanin")


@needs_haproxy
@pytest.mark.mariadb
def test_prepared_statements_stand_beside_texts(mariadb: Server) -> None:
    result = play(rows.prepared(6, 3), mariadb, FANIN, HAPROXY, length=ONCE)
    good(result, "fanin", "haproxy", "fanin, prepared", "haproxy, prepared")
    (verdict,) = result.verdicts
    assert verdict.is_met is not None


@pytest.mark.mariadb
def test_idle_clients_are_measured_in_a_process_of_their_own(mariadb: Server) -> None:
    result = good(play(rows.idle(60), mariadb, FANIN, length=ONCE), "fanin", "fanin, idle")
    assert {outcome.connected for outcome in result.peers[1].rounds} == {110}
    assert all(verdict.is_met is not None for verdict in result.verdicts)


@pytest.mark.mariadb
def test_many_clients_and_who_cannot_have_so_many(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.contestants.raise_file_limit", lambda: 500)
    result = good(play(rows.many(300), mariadb, FANIN, HAPROXY, length=ONCE), "fanin", "fanin, many")
    if find_haproxy():
        assert result.remarks == [
            "haproxy, many: HAProxy needs two file descriptors a client: 250 clients at most"
        ]
    errors, memory, _ = result.verdicts
    assert errors.is_met and memory.is_met


@needs_haproxy
@pytest.mark.mariadb
def test_storm_and_big_result(mariadb: Server) -> None:
    storm = good(play(rows.storm(40), mariadb, FANIN, HAPROXY, length=ONCE), "fanin", "haproxy")
    missing, _ = storm.verdicts
    assert missing.is_met
    big = good(play(rows.big(20), mariadb, FANIN, HAPROXY, length=ONCE), "fanin", "haproxy")
    assert all(verdict.is_met is not None for verdict in big.verdicts)


@pytest.mark.mariadb
def test_waiting_clients(mariadb: Server) -> None:
    row = replace(rows.waiting(), acts=[Act(FANIN, Closed(Waiting(0.2), 8, 8), Settings(2, 8))])
    result = good(play(row, mariadb, FANIN, length=Length(1, 0.6)), "fanin")
    assert result.verdicts[0].is_met is not None


@needs_haproxy
@pytest.mark.mysql
def test_tls_on_either_side(mysql: Server) -> None:
    names = (
        "fanin",
        "fanin, to clients",
        "fanin, to the server",
        "fanin, both",
        "haproxy",
        "haproxy, through",
    )
    result = good(play(rows.tls(), mysql, FANIN, HAPROXY, length=Length(1, 0.3)), *names)
    assert len(result.remarks) == 1


@pytest.mark.mariadb
def test_what_goes_wrong_is_the_rows_failure(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    row = simple("small", "point", 6, 3, 2)
    assert play(row, mariadb, "nobody").remarks == ["nobody takes part"]

    def no_server(kind: str) -> Server:
        raise ServerError("no server")

    assert played(row, [DIRECT], "mariadb", no_server, QUICK, print).failure == "no server"

    async def breaks(*_: object) -> None:
        raise ExceptionGroup("tasks", [ClientError("lost", "the server is gone")])

    monkeypatch.setattr("bench.suite.stage._trial", breaks)
    assert play(row, mariadb, DIRECT).failure == "the server is gone"


@pytest.mark.mariadb
def test_servers_are_started_when_they_are_needed() -> None:
    row = simple("small", "point", 6, 3, 2, proxies=[DIRECT])
    most = most_connections([row, rows.tls()], [DIRECT], "mariadb")
    assert most == {"mariadb": 8, "mysql": 0}
    with ExitStack() as stack:
        servers = Servers(stack, most)
        server = servers.of("mariadb")
        assert servers.of("mariadb") is server
        assert server.value("SELECT @@max_connections") == 58


def test_row_on_a_server_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MySQL, "why_missing", lambda: "no MySQL 9.7 here")
    acts, remarks = fit(rows.tls(), [FANIN], "mysql")
    assert not acts and "fanin, both: no MySQL 9.7 here" in remarks


def test_sysbench_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.plays.find_sysbench", lambda: None)
    row = simple("read-write", "sysbench-oltp_read_write", 4, 4, proxies=[DIRECT])
    acts, remarks = fit(row, [DIRECT], "mariadb")
    assert not acts and remarks[0].startswith("direct: sysbench is not installed")


def test_line_of_a_round() -> None:
    assert round_line(1, 5, outcome(errors={"lost": 2})) == (
        "round 1/5  fanin       12,345 queries/s    22.2 us CPU/query  p99 123.4 ms, 2 errors"
    )
    direct = outcome(name="direct", user_us=None, system_us=None)
    assert round_line(1, 5, direct).endswith("queries/s                       p99 123.4 ms")
