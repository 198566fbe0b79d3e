"""MaxScale with one thread and a pool that sessions share."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.fanin_process import ProxyProcess
from bench.servers import HOST, PASSWORD, USER, as_root, free_port

SETTINGS = """\
[maxscale]
threads=1
admin_enabled=false
logdir={folder}
datadir={folder}
cachedir={folder}
piddir={folder}
persistdir={folder}
log_warning=false
[server]
type=server
address={server_host}
port={server_port}
persistpoolmax={pool_size}
persistmaxtime=1h
max_routing_connections={pool_size}
[monitor]
type=monitor
module=mariadbmon
servers=server
user={user}
password={password}
[service]
type=service
router=readconnroute
servers=server
user={user}
password={password}
enable_root_user=false
max_connections={most}
idle_session_pool_time=0s
multiplex_timeout=60s
[listener]
type=listener
service=service
address={host}
port={port}
"""


def find_maxscale() -> str | None:
    """The program, None where it is not installed."""
    return shutil.which("maxscale")


class MaxscaleProcess(ProxyProcess):
    """MaxScale in front of one server."""

    name = "maxscale"

    def __init__(self, upstream: str, *, pool_size: int, max_clients: int) -> None:
        super().__init__([free_port()])
        self._upstream = upstream
        self._pool_size = pool_size
        self._max_clients = max_clients

    def command(self, folder: Path) -> list[str]:
        program = find_maxscale()
        assert program is not None, "no MaxScale here"
        server_host, _, server_port = self._upstream.rpartition(":")
        config = folder / "maxscale.cnf"
        text = SETTINGS.format(
            folder=folder,
            host=HOST,
            port=self.port,
            most=self._max_clients + 10,  # those that look whether it is up
            server_host=server_host,
            server_port=server_port,
            pool_size=self._pool_size,
            user=USER,
            password=PASSWORD,
        )
        config.write_text(text)
        return [program, "--nodaemon", "--config", str(config), "--log=stdout", *as_root()]
