"""Staying below the limit of real servers: looks and what they cost, other people's connections, refusals, servers that cannot be looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pymysql
import pytest

from bench.cluster import Cluster
from bench.servers import KINDS, Server
from protocol.packets import parse_err
from tests.fakes.aurora.cluster import Aurora
from tests.fakes.aurora.named_fanin import NamedFanin
from tests.integration.running import Fanin, eventually, rows, run, value
from tests.integration.wire import WireClient

LIMIT = 60
KINDS_HERE = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
FAST = {"interval": 0.2}


@pytest.fixture(scope="module", params=KINDS_HERE)
def small(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of few connections, of these tests alone."""
    with KINDS[request.param](max_connections=LIMIT) as server:
        server.sql("CREATE USER plain@'%' IDENTIFIED BY 'plain'")
        server.sql("GRANT SELECT ON app.* TO plain@'%'")
        yield server


@pytest.fixture
def quiet(small: Server) -> Server:
    """Those of earlier tests have left."""
    eventually(lambda: small.status("Threads_connected") == 1, "others have left")
    return small


@contextlib.contextmanager
def foreign(server: Server, count: int) -> Iterator[None]:
    """So many connections that are not ours."""
    with ExitStack() as exits:
        for _ in range(count):
            exits.callback(server.connect(user="app", password="app").close)
        yield


def budget(fanin: Fanin) -> dict[str, Any]:
    return dict(fanin.endpoint()["budget"])


def looked(fanin: Fanin) -> dict[str, Any]:
    """After another look than the last."""
    before = budget(fanin)["looks"]
    eventually(lambda: budget(fanin)["looks"] > before, lambda: f"a look: {budget(fanin)}")
    return budget(fanin)


def warnings(fanin: Fanin) -> list[str]:
    return [
        line["event"] for line in fanin.log_lines() if line["room"] == "budget" and line["level"] == "warning"
    ]


def busy(clients: list[WireClient], seconds: float = 0.02) -> None:
    """Each has one statement answered; together they need as many backends as there are clients."""
    for client in clients:
        client.send_query(f"SELECT SLEEP({seconds})")
    for client in clients:
        columns, *_ = client.response(0x03)
        assert columns[0] != 0xFF, columns


def grown(fanin: Fanin, clients: list[WireClient], bound: int) -> None:
    """Until it may have so many: only who uses what there is gets more."""

    def is_grown() -> bool:
        busy(clients)
        return bool(fanin.endpoint()["bound"] == bound)

    eventually(is_grown, lambda: f"a bound of {bound}: {budget(fanin)}")


# Looks


def test_the_first_login_is_followed_by_a_look(quiet: Server) -> None:
    with Fanin(quiet, budget={"fleet": 1}) as fanin:
        assert budget(fanin)["why"] == "start"
        assert fanin.endpoint()["bound"] == 1
        with WireClient(fanin.port):
            eventually(lambda: budget(fanin)["looks"])
            seen = budget(fanin)
        assert (seen["limit"], seen["fleet"], seen["trouble"]) == (LIMIT, 1, "")
        # ours, the look's, and the one that asks
        assert seen["connected"] <= 3
        assert fanin.endpoint()["bound"] == seen["bound"] > 10
        assert fanin.metric("fanin_bound") == seen["bound"]
        assert fanin.metric("fanin_server_limit") == LIMIT


def test_a_look_is_one_statement_on_one_connection(quiet: Server) -> None:
    with Fanin(quiet, budget=FAST, pool={"size": 4}) as fanin, WireClient(fanin.port):
        looked(fanin)
        with contextlib.closing(quiet.connect()) as observer:
            connections, questions = status(observer, "Connections"), status(observer, "Questions")
            before = budget(fanin)["looks"]
            for _ in range(10):
                looked(fanin)
            looks = budget(fanin)["looks"] - before
            # one may come between two of ours
            assert looks <= status(observer, "Questions") - questions - 1 <= looks + 2
            assert status(observer, "Connections") == connections


def status(client: Any, name: str) -> int:
    """A number from SHOW GLOBAL STATUS, of one statement."""
    return int(rows(client, f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])


def test_every_process_is_counted_without_privileges(quiet: Server) -> None:
    plain = {"user": "plain", "password": "plain"}
    with ExitStack() as exits:
        made = [exits.enter_context(Fanin(quiet, pool={"size": 4})) for _ in range(3)]
        for number, fanin in enumerate(made, 1):
            exits.callback(fanin.connect(**plain).close)
            eventually(lambda fanin=fanin: budget(fanin)["looks"])  # type: ignore[misc]
            assert budget(fanin)["fleet"] >= number
        # on MySQL the other account's one connection counts as if it were one's that is not seen
        assert budget(made[-1])["fleet"] <= 5


def test_other_accounts_are_seen_by_who_may(quiet: Server) -> None:
    monitor = {"monitor_user": "root", "monitor_password": ""}
    with ExitStack() as exits:
        made = [exits.enter_context(Fanin(quiet, topology=monitor)) for _ in range(2)]
        for number, fanin in enumerate(made, 1):
            eventually(lambda fanin=fanin: budget(fanin)["looks"])  # type: ignore[misc]
            assert budget(fanin)["fleet"] >= number
        assert budget(made[-1])["fleet"] == 2


def test_connections_say_whose_they_are(mysql: Server) -> None:
    with Fanin(mysql, application="shop", pool={"size": 1}) as fanin, WireClient(fanin.port):
        eventually(lambda: budget(fanin)["looks"])
        found = mysql.sql(
            "SELECT processlist_id, MAX(IF(attr_name = 'fanin_id', attr_value, '')), MAX(IF(attr_name = 'version', attr_value, '')),"
            " MAX(IF(attr_name = 'purpose', attr_value, '')) FROM performance_schema.session_connect_attrs"
            " WHERE processlist_id IN (SELECT processlist_id FROM performance_schema.session_connect_attrs"
            " WHERE attr_name = 'application' AND attr_value = 'shop') GROUP BY processlist_id"
        )
        assert sorted(row[3] for row in found) == ["", "monitor"]
        assert len({row[1] for row in found}) == 1 and len(found[0][1]) == 16
        assert all(row[2] for row in found)


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_where_the_monitor_watches_its_looks_tell(kind: str) -> None:
    with Cluster(kind, readers=1) as cluster:
        servers = {"w": cluster.writer, "r": cluster.readers[0]}
        upstream = [
            {"host": server.host, "port": server.port, "name": name, "role": role}
            for (name, server), role in zip(servers.items(), ("writer", "reader"), strict=True)
        ]
        monitor = {"monitor_user": "root", "interval": 0.1}
        before = {name: server.status("Threads_connected") for name, server in servers.items()}
        with Fanin(upstream=upstream, topology=monitor, budget=FAST, pool={"size": 5}) as fanin:
            eventually(lambda: fanin.state()["topology"].get("state") == "stable")
            for name in servers:
                looks = fanin.endpoint(name)["budget"]["looks"]
                eventually(lambda: fanin.endpoint(name)["budget"]["looks"] > looks + 3)  # noqa: B023
                seen = fanin.endpoint(name)["budget"]
                assert (seen["why"], seen["limit"], seen["fleet"]) == ("pool.size", 2000, 1)
            # nobody's but the monitor's
            for name, server in servers.items():
                eventually(lambda: server.status("Threads_connected") == before[name] + 1)  # noqa: B023


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_every_instance_of_aurora_has_a_bound_of_its_own(kind: str) -> None:
    settings = {"kind": "aurora", "interval": "200ms", "panic_interval": "50ms"}
    with Aurora(kind) as aurora, NamedFanin(aurora, budget=FAST, topology=settings) as fanin, fanin.connect():

        def seen() -> dict[str, object]:
            budgets = {each["name"]: each["budget"] for each in fanin.state()["endpoints"]}
            return {name: budgets.get(name, {}).get("why") for name in aurora.instances}

        eventually(lambda: set(seen().values()) == {"pool.size"}, lambda: f"bounds {fanin.state()}")


# Room


def test_the_bound_follows_connections_of_others(quiet: Server) -> None:
    with Fanin(quiet, budget={**FAST, "fleet": 1}, pool={"size": 30}) as fanin, ExitStack() as exits:
        clients = [exits.enter_context(WireClient(fanin.port)) for _ in range(30)]
        grown(fanin, clients, 30)
        with foreign(quiet, 40):
            eventually(lambda: quiet.status("Threads_connected") <= 0.95 * 0.9 * LIMIT + 1)
            assert fanin.endpoint()["bound"] < 20
            busy(clients)
            assert quiet.status("Threads_connected") <= 0.95 * 0.9 * LIMIT + 1
            assert fanin.metric("fanin_server_connected") > 40
        grown(fanin, clients, 30)
        assert budget(fanin)["refusals"] == 0


def test_nobody_sees_a_refusal(quiet: Server) -> None:
    pool = {"size": 40, "acquire_timeout": 30}
    # which cannot be looked at, so that it does not see others
    settings: dict[str, Any] = {
        "budget": {"fleet": 1, "headroom": 0.0, "max_connections": 40},
        "topology": {"monitor_user": "nobody"},
    }
    with Fanin(quiet, pool=pool, **settings) as fanin, ExitStack() as exits:
        clients = [exits.enter_context(WireClient(fanin.port)) for _ in range(40)]
        eventually(lambda: fanin.endpoint()["bound"] == 40)
        busy(clients[:4])
        with foreign(quiet, LIMIT - 1 - quiet.status("Threads_connected")):
            busy(clients, 0.1)
            assert budget(fanin)["refusals"] >= 1
            assert fanin.endpoint()["bound"] < 10
            assert "server has refused a connection: fewer are used" in warnings(fanin)
            busy(clients)
        assert fanin.metric("fanin_login_failures_total") == 0
        assert fanin.metric("fanin_acquire_failures_total") == 0


def keep_busy(clients: list[WireClient], until: Callable[[], bool]) -> None:
    """With statements that take long enough for more backends to be opened."""

    def is_so() -> bool:
        busy(clients, 0.3)
        return until()

    eventually(is_so)


def limit_of(fanin: Fanin, user: str) -> int:
    """What the server lets it have, as far as is known; 0: nothing is."""
    return next((each["limit"] or 0 for each in fanin.endpoint()["users"] if each["name"] == user), 0)


@pytest.mark.mysql
def test_users_who_may_have_few_are_served_by_those() -> None:
    # MariaDB does not hold users to it who may do everything, as these may
    pool = {"size": 20, "acquire_timeout": 30}
    with (
        KINDS["mysql"](options={"max-user-connections": 8}) as server,
        Fanin(server, budget={**FAST, "fleet": 1}, pool=pool) as fanin,
        ExitStack() as exits,
    ):
        clients = [exits.enter_context(WireClient(fanin.port)) for _ in range(20)]
        # all, or a look came by when they were counted
        keep_busy(clients, lambda: limit_of(fanin, "app") in (7, 8))
        # not one with each look
        assert fanin.metric("fanin_open_failures_total") <= 16
        assert fanin.metric("fanin_acquire_failures_total") == 0


def test_a_users_limit_on_the_server_is_that_users_alone(quiet: Server) -> None:
    pool = {"size": 20, "acquire_timeout": 30}
    quiet.sql("CREATE USER IF NOT EXISTS few@'%' IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 4")
    quiet.sql("GRANT SELECT ON app.* TO few@'%'")
    with Fanin(quiet, budget={**FAST, "fleet": 1}, pool=pool) as fanin, ExitStack() as exits:
        many = [exits.enter_context(WireClient(fanin.port)) for _ in range(12)]
        few = [exits.enter_context(WireClient(fanin.port, user="few", password="few")) for _ in range(8)]
        keep_busy(few, lambda: limit_of(fanin, "few") == 4)
        keep_busy(many, lambda: fanin.endpoint()["idle"] >= 12)
        assert limit_of(fanin, "app") == 0 and budget(fanin)["refusals"] == 0
        assert fanin.metric("fanin_acquire_failures_total") == 0


def test_who_waits_in_vain_is_told_why(quiet: Server) -> None:
    pool = {"size": 8, "acquire_timeout": 0.3}
    with Fanin(quiet, budget={**FAST, "fleet": 1}, pool=pool) as fanin, ExitStack() as exits:
        holder, waiter = (exits.enter_context(WireClient(fanin.port)) for _ in range(2))
        holder.ok("BEGIN")
        looked(fanin)
        with foreign(quiet, 50):
            eventually(lambda: fanin.endpoint()["bound"] == 1)
            waiter.send_query("SELECT 1")
            text = parse_err(waiter.payload(1)).message.decode()
        assert "server nearly full: bound 1 of 8" in text


def test_without_a_budget_nobody_looks(quiet: Server) -> None:
    with Fanin(quiet, budget={"enabled": False}, pool={"size": 3}) as fanin, WireClient(fanin.port) as client:
        assert client.value("SELECT 1") == b"1"
        assert (fanin.endpoint()["bound"], fanin.endpoint()["budget"]) == (3, {})
        assert quiet.status("Threads_connected") == 2


def test_whom_the_server_allows_none_takes_nobody_down(quiet: Server) -> None:
    quiet.sql("CREATE USER scant@'%' IDENTIFIED BY 'scant' WITH MAX_USER_CONNECTIONS 2")
    scant = {"user": "scant", "password": "scant", "database": None}
    monitor = {"monitor_user": "root", "monitor_password": ""}
    try:
        pool = {"size": 4, "acquire_timeout": 1, "idle_timeout": 0.5}
        with Fanin(quiet, pool=pool, topology=monitor) as fanin, ExitStack() as exits:
            for each in ({}, scant):
                with fanin.connect(**each) as client:
                    run(client, "SELECT 1")
            eventually(lambda: fanin.endpoint()["idle"] == 0)
            for _ in range(2):
                exits.callback(quiet.connect(user="scant", password="scant").close)
            waiter = exits.enter_context(WireClient(fanin.port))
            for _ in range(3):
                # the server's own words
                with pytest.raises(pymysql.err.OperationalError, match="max_user_connections") as caught:
                    value(fanin.connect(**scant), "SELECT 1")
                assert caught.value.args[0] == 1226
                waiter.ok("DO 1")
    finally:
        quiet.sql("DROP USER scant@'%'")


def test_looks_leave_connections_to_clients_of_an_account_that_may_have_few(quiet: Server) -> None:
    quiet.sql("CREATE USER scant@'%' IDENTIFIED BY 'scant' WITH MAX_USER_CONNECTIONS 2")
    scant = {"user": "scant", "password": "scant", "database": None}
    try:
        with ExitStack() as exits:
            for _ in range(2):
                fanin = exits.enter_context(Fanin(quiet, budget=FAST, pool={"size": 4, "idle_timeout": 0.5}))
                with fanin.connect(**scant) as client:
                    run(client, "SELECT 1")
                eventually(lambda fanin=fanin: budget(fanin)["looks"] and not fanin.endpoint()["idle"])  # type: ignore[misc]
            # both are taken by looks
            with fanin.connect(**scant) as client:
                assert value(client, "SELECT 1") == 1
    finally:
        quiet.sql("DROP USER scant@'%'")


# Servers that cannot be looked at


def test_without_performance_schema_the_fleet_is_counted_by_locks() -> None:
    for kind in sorted(KINDS):
        with KINDS[kind](options={"performance-schema": "OFF"}) as server, ExitStack() as exits:
            server.sql("CREATE USER plain@'%' IDENTIFIED BY 'plain'")
            for number in range(1, 4):
                fanin = exits.enter_context(Fanin(server, budget=FAST, pool={"size": 2}))
                exits.callback(fanin.connect(user="plain", password="plain", database=None).close)
                eventually(lambda fanin=fanin, number=number: budget(fanin)["fleet"] == number)  # type: ignore[misc]
                assert (warnings(fanin), budget(fanin)["trouble"]) == ([], "")


def test_who_may_not_look_has_a_share_and_more_when_it_may(quiet: Server) -> None:
    monitor = {"monitor_user": "late", "monitor_password": "late"}
    with Fanin(quiet, topology=monitor, budget={"fleet": 6}) as fanin, ExitStack() as exits:
        clients = [exits.enter_context(WireClient(fanin.port)) for _ in range(22)]
        eventually(lambda: fanin.endpoint()["bound"] == 22)
        busy(clients)
        assert (budget(fanin)["why"], budget(fanin)["looks"]) == ("blind", 0)
        assert "denied" in budget(fanin)["trouble"]
        assert len(warnings(fanin)) == 1
        quiet.sql("CREATE USER late@'%' IDENTIFIED BY 'late'")
        try:
            eventually(lambda: budget(fanin)["looks"])
            assert (budget(fanin)["limit"], budget(fanin)["trouble"]) == (LIMIT, "")
        finally:
            quiet.sql("DROP USER late@'%'")


def test_a_server_that_comes_back_is_looked_at_again() -> None:
    for kind in sorted(KINDS):
        with KINDS[kind]() as server, Fanin(server, budget=FAST, pool={"size": 2}) as fanin:
            with WireClient(fanin.port):
                looked(fanin)
            server.halt(by_force=True)
            eventually(lambda fanin=fanin: budget(fanin)["trouble"])  # type: ignore[misc]
            server.start()
            eventually(lambda fanin=fanin: not budget(fanin)["trouble"])  # type: ignore[misc]
            with fanin.connect() as client:
                assert value(client, "SELECT 1") == 1


def test_a_limit_that_is_changed_is_seen(quiet: Server) -> None:
    with Fanin(quiet, budget={**FAST, "fleet": 1}, pool={"size": 40}) as fanin, fanin.connect() as client:
        run(client, "SELECT 1")
        looked(fanin)
        quiet.sql("SET GLOBAL max_connections = 10")
        try:
            eventually(lambda: budget(fanin)["limit"] == 10)
            assert fanin.endpoint()["bound"] < 9
        finally:
            quiet.sql(f"SET GLOBAL max_connections = {LIMIT}")
        eventually(lambda: budget(fanin)["limit"] == LIMIT)
        assert rows(client, "SELECT 1") == [(1,)]
