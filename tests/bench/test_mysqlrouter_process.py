import contextlib
from pathlib import Path

import pytest

from bench.mysqlrouter_process import MysqlRouterProcess, find_mysqlrouter
from bench.servers import Server

needs_router = pytest.mark.skipif(
    find_mysqlrouter() is None, reason="no MySQL Router here: tools/install-servers router"
)


def test_settings_are_for_one_thread_and_sharing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.mysqlrouter_process.find_mysqlrouter", lambda: Path("/bin/mysqlrouter"))
    router = MysqlRouterProcess("127.0.0.1:3306", pool_size=7, max_clients=100)
    program, _, config, *_ = router.command(tmp_path)
    assert program == "/bin/mysqlrouter"
    text = Path(config).read_text()
    assert "threads = 1\n" in text and "connection_sharing = 1\n" in text
    assert f"bind_port = {router.port}\n" in text and "destinations = 127.0.0.1:3306\n" in text
    assert "max_idle_server_connections = 7\n" in text


def test_program_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mysqlrouter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("FANIN_MYSQLROUTER", str(program))
    assert find_mysqlrouter() == program


@needs_router
@pytest.mark.mysql
def test_router_shares_connections_of_a_real_server(mysql: Server) -> None:
    user = {"user": mysql.user, "password": mysql.password}
    with MysqlRouterProcess(f"{mysql.host}:{mysql.port}", pool_size=2, max_clients=10) as router:
        for _ in range(2):
            with contextlib.closing(mysql.connect(port=router.port, **user)) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT @@port")
                assert cursor.fetchall() == ((mysql.port,),)
