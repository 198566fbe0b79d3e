import contextlib
import socket
import weakref
from pathlib import Path

import pymysql
import pytest

from bench import servers
from bench.servers import KINDS, MariaDB, Server, ServerError


def test_server_answers_root_and_app(server: Server) -> None:
    assert server.value("SELECT 1") == 1
    assert server.value("SELECT %s", ["x"]) == "x"
    assert server.status("Threads_connected") >= 1
    with contextlib.closing(
        server.connect(user=server.user, password=server.password, database=server.schema)
    ) as connection:
        assert ("MariaDB" in connection.get_server_info()) == (server.kind == "mariadb")


def test_server_listens_on_its_unix_socket(server: Server) -> None:
    with contextlib.closing(server.connect(unix_socket=server.socket)) as connection:
        assert connection.open


def test_app_cannot_write_to_a_reader_but_may_load_files(server: Server) -> None:
    grants = server.sql(f"SHOW GRANTS FOR '{server.user}'@'%%'", [])
    text = " ".join(row[0] for row in grants)
    assert "SUPER" not in text and "READ ONLY ADMIN" not in text
    assert server.value("SELECT @@local_infile") == 1


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
)
def test_restart_keeps_port_and_content(kind: str) -> None:
    with KINDS[kind](max_connections=50) as server:
        server.sql("CREATE TABLE app.t (id INT PRIMARY KEY)")
        server.sql("INSERT INTO app.t VALUES (1)")
        port, folder = server.port, server.folder
        server.restart(by_force=True)
        assert server.port == port
        assert server.sql("SELECT id FROM app.t") == [(1,)]
        assert server.value("SELECT @@max_connections") == 50
    assert folder is not None and not folder.exists()
    with pytest.raises(pymysql.OperationalError):
        server.sql("SELECT 1")


@pytest.mark.mariadb
def test_frozen_server_goes_on_after_thaw() -> None:
    with MariaDB() as server:
        server.freeze()
        with pytest.raises(pymysql.OperationalError):
            server.connect(connect_timeout=0.1, read_timeout=0.1)
        server.thaw()
        assert server.value("SELECT 1") == 1


@pytest.mark.mariadb
def test_error_shows_the_tail_of_the_log() -> None:
    with pytest.raises(ServerError, match="no-such-option"), MariaDB(options={"no-such-option": 1}):
        pass


@pytest.mark.mariadb
def test_port_that_was_taken_meanwhile_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((servers.HOST, 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], servers.free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        with MariaDB() as server:
            assert server.port != taken.getsockname()[1]


@pytest.mark.mariadb
def test_port_that_was_asked_for_is_an_error_when_taken() -> None:
    with socket.socket() as taken:
        taken.bind((servers.HOST, 0))
        taken.listen()
        with pytest.raises(ServerError, match="in use"), MariaDB(port=taken.getsockname()[1]):
            pass


@pytest.mark.mariadb
def test_servers_start_together_and_stop_together() -> None:
    pair = [MariaDB(), MariaDB()]
    with servers.started(pair):
        assert [server.value("SELECT 1") for server in pair] == [1, 1]
        assert pair[0].port != pair[1].port
    assert [server.folder for server in pair] == [None, None]


@pytest.mark.mariadb
def test_what_still_runs_at_the_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    # the run's own servers go on
    monkeypatch.setattr(servers, "_running", weakref.WeakSet())
    server = MariaDB().start()
    folder = server.folder
    servers.stop_all()
    assert folder is not None and not folder.exists()


def test_missing_server_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MariaDB, "binary", classmethod(lambda cls: None))
    with pytest.raises(ServerError, match="apt-get install mariadb-server"):
        MariaDB()


def test_tail_of_a_missing_log_says_so(tmp_path: Path) -> None:
    assert "no log" in servers.tail(tmp_path / "nothing")
