import contextlib
from pathlib import Path

import pytest

from bench.haproxy_process import HaproxyProcess, find_haproxy
from bench.servers import Server

needs_haproxy = pytest.mark.skipif(find_haproxy() is None, reason="no HAProxy here: apt-get install haproxy")


@needs_haproxy
def test_settings_are_for_one_thread_and_plain_tcp(tmp_path: Path) -> None:
    haproxy = HaproxyProcess("127.0.0.1:3306", max_clients=100)
    *_, config = haproxy.command(tmp_path)
    text = Path(config).read_text()
    assert "nbthread 1\n" in text
    assert "mode tcp\n" in text
    assert f"bind 127.0.0.1:{haproxy.port}\n" in text
    assert "server upstream 127.0.0.1:3306\n" in text


def test_more_clients_than_files_are_refused() -> None:
    with pytest.raises(ValueError, match="two file descriptors a client"):
        HaproxyProcess("127.0.0.1:3306", max_clients=1 << 30)


@needs_haproxy
def test_haproxy_passes_clients_on(mariadb: Server) -> None:
    with (
        HaproxyProcess(f"{mariadb.host}:{mariadb.port}", max_clients=10) as haproxy,
        contextlib.closing(mariadb.connect(port=haproxy.port)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT @@port")
        assert cursor.fetchall() == ((mariadb.port,),)
