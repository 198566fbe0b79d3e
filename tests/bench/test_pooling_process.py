from pathlib import Path

from bench.pooling_process import PoolingProcess
from bench.servers import SCHEMA


def test_settings_are_made_of_what_all_proxies_have_and_of_what_one_has(tmp_path: Path) -> None:
    proxy = PoolingProcess("127.0.0.1:3306", pool_size=7, max_clients=100)
    template = (
        "{folder} {host}:{port} {upstream} {server_host} {server_port} {pool_size} {most} {schema} {more}"
    )
    found = proxy.settings(template, tmp_path, more="x")
    assert found == (f"{tmp_path} 127.0.0.1:{proxy.port} 127.0.0.1:3306 127.0.0.1 3306 7 110 {SCHEMA} x")
