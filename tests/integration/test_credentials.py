"""Credentials: learnt at the login, proven with the server, never listed; and those of the configuration."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from bench.servers import Server
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, run, value
from tests.integration.wire import Refusal, WireClient

_numbers = itertools.count(1)
QUICK = {"max_login_delay": 0.2}


@pytest.fixture
def quick(fanin: MakeFanin, server: Server) -> Fanin:
    """Does not hold back its refusals for long."""
    return fanin(server, pool_size=2, limits=QUICK)


@pytest.fixture
def user(server: Server) -> Iterator[str]:
    """A new user with password `first`."""
    name = f"user{next(_numbers)}"
    server.sql(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'first'")
    server.sql(f"GRANT ALL ON app.* TO '{name}'@'%'")
    yield name
    server.sql(f"DROP USER IF EXISTS '{name}'@'%'")


def backends_opened(fanin: Fanin) -> float:
    return fanin.metric("fanin_backends_opened_total")


def test_first_login_learns_and_the_next_ones_are_fast(quick: Fanin, user: str) -> None:
    with WireClient(quick.port, user=user, password="first") as client:
        assert client.value("SELECT CURRENT_USER()") == f"{user}@%".encode()
    opened = backends_opened(quick)
    for _ in range(5):
        with WireClient(quick.port, user=user, password="first"):
            pass
    assert backends_opened(quick) == opened


def test_password_is_learnt_over_rsa_tls_and_socket(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "fanin.sock"
    ways: dict[str, dict[str, object]] = {
        "rsa": {"ssl_disabled": True},
        "tls": {"ssl": {"check_hostname": False, "verify_mode": "none"}},
        "socket": {"unix_socket": str(path), "host": None, "port": 0},
    }
    with Fanin(server, unix=path, pool={"size": 1}) as fresh:
        for name, way in ways.items():
            server.sql(f"CREATE USER IF NOT EXISTS 'by_{name}'@'%' IDENTIFIED BY 'pw'")
            for _ in range(2):
                client = fresh.connect(user=f"by_{name}", password="pw", database=None, **way)
                assert value(client, "SELECT CURRENT_USER()") == f"by_{name}@%"
                client.close()


@pytest.mark.parametrize("password", ["wrong", "", "firs"])
def test_wrong_password_is_refused_as_the_server_does(
    password: str, quick: Fanin, server: Server, user: str
) -> None:
    refusals = []
    for port in (server.port, quick.port):
        with pytest.raises(Refusal) as caught:
            WireClient(port, user=user, password=password)
        refusals.append(
            (caught.value.code, caught.value.sqlstate, caught.value.message.replace("localhost", "127.0.0.1"))
        )
    assert refusals[0] == refusals[1]
    assert refusals[1][0] == 1045


def test_wrong_password_is_refused_when_the_right_one_is_known(quick: Fanin, user: str) -> None:
    with WireClient(quick.port, user=user, password="first"):
        pass
    failures = quick.metric("fanin_login_failures_total", reason="1045")
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            WireClient(quick.port, user=user, password="wrong")
        assert caught.value.code == 1045
    with WireClient(quick.port, user=user, password="first") as client:
        assert client.value("SELECT 1") == b"1"
    assert quick.metric("fanin_login_failures_total", reason="1045") == failures + 2
    assert '"wrong"' not in quick.log.read_text()


def test_unknown_user_is_refused_as_the_server_does(quick: Fanin, server: Server) -> None:
    with pytest.raises(Refusal, match="Access denied for user 'nobody'@") as caught:
        WireClient(quick.port, user="nobody", password="x")
    assert (caught.value.code, caught.value.sqlstate) == (1045, "28000")


def test_user_of_another_plugin_comes_in(mysql: Server, fanin: MakeFanin) -> None:
    mysql.sql("CREATE USER IF NOT EXISTS 'older'@'%' IDENTIFIED WITH sha256_password BY 'pw'")
    for fast in (
        fanin(mysql, pool_size=2, limits=QUICK),
        fanin(mysql, pool_size=1, server_tls={"mode": "disabled"}),
    ):
        for _ in range(2):
            with WireClient(fast.port, user="older", password="pw", database=None) as client:
                assert client.value("SELECT CURRENT_USER()") == b"older@%"


def test_unknown_schema_is_refused_as_the_server_does(quick: Fanin, server: Server, user: str) -> None:
    for database in ("missing", "mysql"):
        codes = []
        for port in (server.port, quick.port):
            with pytest.raises(Refusal) as caught:
                WireClient(port, user=user, password="first", database=database)
            codes.append((caught.value.code, caught.value.sqlstate))
        assert codes[0] == codes[1]
    with WireClient(quick.port, user=user, password="first") as client:
        assert client.value("SELECT 1") == b"1"


def test_password_changed_on_the_server_is_forgotten(quick: Fanin, server: Server, user: str) -> None:
    with WireClient(quick.port, user=user, password="first") as client:
        assert client.value("SELECT 1") == b"1"
        server.sql(f"ALTER USER '{user}'@'%' IDENTIFIED BY 'second'")
        with WireClient(quick.port, user=user, password="second") as other:
            assert other.value("SELECT 1") == b"1"
        with pytest.raises(Refusal):
            WireClient(quick.port, user=user, password="first")
        assert client.value("SELECT 2") == b"2"


def test_backend_that_is_refused_with_an_old_password_makes_it_forgotten(server: Server, user: str) -> None:
    with (
        Fanin(server, pool={"size": 2}, limits=QUICK) as fresh,
        WireClient(fresh.port, user=user, password="first") as client,
    ):
        client.ok("BEGIN")
        server.sql(f"ALTER USER '{user}'@'%' IDENTIFIED BY 'second'")
        # still known, and so let in; but a new backend is needed
        with WireClient(fresh.port, user=user, password="first", database="app") as late:
            assert late.query("SELECT 1")[0][1:3] == (1045).to_bytes(2, "little")
        with pytest.raises(Refusal) as caught:
            WireClient(fresh.port, user=user, password="first")
        assert caught.value.code == 1045
        client.ok("COMMIT")


def test_password_changed_through_fanin_is_known_at_once(quick: Fanin, connect: Connect, user: str) -> None:
    root = connect(quick)
    with WireClient(quick.port, user=user, password="first"):
        pass
    run(root, f"ALTER USER '{user}'@'%' IDENTIFIED BY 'second'")
    with pytest.raises(Refusal):
        WireClient(quick.port, user=user, password="first")
    with WireClient(quick.port, user=user, password="second") as client:
        assert client.value("SELECT 1") == b"1"


def test_user_made_through_fanin_can_log_in_at_once(quick: Fanin, connect: Connect, server: Server) -> None:
    root = connect(quick)
    name = f"made{next(_numbers)}"
    with pytest.raises(Refusal):
        WireClient(quick.port, user=name, password="new", database=None)
    run(root, f"CREATE USER '{name}'@'%' IDENTIFIED BY 'new'")
    with WireClient(quick.port, user=name, password="new", database=None) as client:
        assert client.value("SELECT CURRENT_USER()") == f"{name}@%".encode()
    run(root, f"DROP USER '{name}'@'%'")
    with pytest.raises(Refusal):
        WireClient(quick.port, user=name, password="new", database=None)


def test_user_without_a_password_comes_in(quick: Fanin, server: Server) -> None:
    for _ in range(2):
        with WireClient(quick.port, user="root", password="", database=None) as client:
            assert client.value("SELECT CURRENT_USER()") == b"root@127.0.0.1"


@pytest.mark.parametrize("password", ["pass word", "Ünïcödé'\"\\", "x" * 200])
def test_odd_passwords_work(password: str, quick: Fanin, server: Server) -> None:
    server.sql("DROP USER IF EXISTS 'odd'@'%'")
    server.sql("CREATE USER 'odd'@'%%' IDENTIFIED BY %s", [password])
    for _ in range(2):
        with WireClient(quick.port, user="odd", password=password, database=None) as client:
            assert client.value("SELECT 1") == b"1"


def native_hash(password: str) -> str:
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


class NativeOnly(pymysql.connections.Connection):  # type: ignore[misc]
    """PyMySQL as old clients are: it answers with mysql_native_password whatever the greeting says, and to nothing else."""

    def _get_server_information(self) -> None:
        super()._get_server_information()
        self._auth_plugin_name = "mysql_native_password"

    def _process_auth(self, plugin_name: bytes, *others: object) -> object:
        if plugin_name != b"mysql_native_password":
            raise pymysql.err.OperationalError(2059, f"unknown plugin {plugin_name!r}")
        return super()._process_auth(plugin_name, *others)


@pytest.mark.parametrize(
    "entry",
    [
        {"password": "app"},
        {"password_env": "APP_PASSWORD"},
        {"native_hash": native_hash("app")},
    ],
    ids=lambda entry: next(iter(entry)),
)
def test_client_that_only_knows_native_passwords_is_served_when_it_is_listed(
    entry: dict[str, str], server: Server
) -> None:
    environment = {"APP_PASSWORD": "app"}
    if "native_hash" in entry and server.kind == "mysql":
        pytest.skip("this server wants the password itself")
    with Fanin(
        server, pool={"size": 1}, users=[{"name": "app", **entry}], environment=environment, limits=QUICK
    ) as fanin:
        client = NativeOnly(**fanin.address(ssl_disabled=True))
        assert value(client, "SELECT CURRENT_USER()") == "app@%"
        client.close()
        with pytest.raises(pymysql.err.OperationalError) as caught:
            NativeOnly(**fanin.address(ssl_disabled=True, password="wrong"))
        assert caught.value.args[0] == 1045


@pytest.mark.parametrize(
    "entry", [{"password": "app"}, {"password_env": "APP_PASSWORD"}], ids=["password", "env"]
)
def test_listed_user_logs_in_as_any_client_does(entry: dict[str, str], server: Server) -> None:
    with (
        Fanin(
            server,
            pool={"size": 1},
            users=[{"name": "app", **entry}],
            environment={"APP_PASSWORD": "app"},
            passthrough=False,
            limits=QUICK,
        ) as fanin,
        WireClient(fanin.port) as client,
    ):
        assert client.value("SELECT 1") == b"1"
        with pytest.raises(Refusal) as caught:
            WireClient(fanin.port, password="wrong")
        assert caught.value.code == 1045
        with pytest.raises(Refusal, match="passthrough") as caught:
            WireClient(fanin.port, user="root", password="", database=None)
        assert caught.value.code == 1045


def test_client_that_only_knows_native_passwords_is_told_what_to_configure(quick: Fanin) -> None:
    with pytest.raises(pymysql.err.OperationalError) as caught:
        NativeOnly(**quick.address(ssl_disabled=True))
    assert caught.value.args[0] in (1045, 2059)


def test_native_hash_is_not_enough_for_a_server_that_wants_the_password(mysql: Server) -> None:
    with Fanin(
        mysql, pool={"size": 1}, users=[{"name": "app", "native_hash": native_hash("app")}], limits=QUICK
    ) as fanin:
        with pytest.raises(
            pymysql.err.OperationalError, match="only a mysql_native_password hash is known"
        ) as caught:
            NativeOnly(**fanin.address(ssl_disabled=True))
        assert caught.value.args[0] == 2061


def test_change_user_begins_a_new_session(quick: Fanin, user: str, connect: Connect, server: Server) -> None:
    import MySQLdb

    client = MySQLdb.connect(
        host="127.0.0.1", port=quick.port, user="app", passwd="app", db="app", ssl_mode="DISABLED"
    )
    try:
        client.query("SET @a = 1, time_zone = '+01:00'")
        client.change_user(user, "first", "app")
        client.query("SELECT CURRENT_USER(), @a, @@time_zone")
        assert client.store_result().fetch_row() == ((f"{user}@%", None, "SYSTEM"),)
        with pytest.raises(MySQLdb.OperationalError) as caught:
            client.change_user(user, "wrong", "app")
        assert caught.value.args[0] == 1045
    finally:
        client.close()
