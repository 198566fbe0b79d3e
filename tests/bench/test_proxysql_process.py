import contextlib
from pathlib import Path

import pytest

from bench.proxysql_process import ProxysqlProcess, find_proxysql
from bench.servers import Server


def test_settings_are_for_one_thread_and_one_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.proxysql_process.find_proxysql", lambda: "/bin/proxysql")
    proxysql = ProxysqlProcess("127.0.0.1:3306", pool_size=7, max_clients=100)
    program, *options = proxysql.command(tmp_path)
    assert program == "/bin/proxysql" and "--idle-threads" in options
    text = Path(options[options.index("--config") + 1]).read_text()
    assert "    threads=1\n" in text
    assert f'interfaces="127.0.0.1:{proxysql.port}"' in text
    assert 'address="127.0.0.1"; port=3306; hostgroup=0; max_connections=7;' in text
    assert text.count("{") == text.count("}")


@pytest.mark.mariadb
@pytest.mark.skipif(find_proxysql() is None, reason="no ProxySQL on PATH")
def test_proxysql_passes_clients_on(mariadb: Server) -> None:
    user = {"user": mariadb.user, "password": mariadb.password}
    upstream = f"{mariadb.host}:{mariadb.port}"
    with (
        ProxysqlProcess(upstream, pool_size=2, max_clients=10) as proxysql,
        contextlib.closing(mariadb.connect(port=proxysql.port, **user)) as connection,
    ):
        cursor = connection.cursor()
        cursor.execute("SELECT @@port")
        assert cursor.fetchall() == ((mariadb.port,),)
