import contextlib
from configparser import ConfigParser
from pathlib import Path

import pytest

from bench.maxscale_process import MaxscaleProcess, find_maxscale
from bench.servers import Server


def test_settings_are_for_one_thread_and_one_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.maxscale_process.find_maxscale", lambda: "/bin/maxscale")
    maxscale = MaxscaleProcess("127.0.0.1:3306", pool_size=7, max_clients=100)
    program, *options = maxscale.command(tmp_path)
    settings = ConfigParser()
    settings.read(options[options.index("--config") + 1])
    assert program == "/bin/maxscale"
    assert settings["maxscale"]["threads"] == "1"
    assert settings["listener"]["port"] == str(maxscale.port)
    assert settings["server"]["port"] == "3306" and settings["server"]["persistpoolmax"] == "7"


@pytest.mark.mariadb
@pytest.mark.skipif(find_maxscale() is None, reason="no MaxScale on PATH")
def test_maxscale_passes_clients_on(mariadb: Server) -> None:
    user = {"user": mariadb.user, "password": mariadb.password}
    upstream = f"{mariadb.host}:{mariadb.port}"
    with (
        MaxscaleProcess(upstream, pool_size=2, max_clients=10) as maxscale,
        contextlib.closing(mariadb.connect(port=maxscale.port, **user)) as connection,
    ):
        cursor = connection.cursor()
        cursor.execute("SELECT @@port")
        assert cursor.fetchall() == ((mariadb.port,),)
