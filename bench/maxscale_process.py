"""MaxScale with one thread and a pool that sessions share."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.pooling_process import PoolingProcess
from bench.servers import as_root

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


class MaxscaleProcess(PoolingProcess):
    """MaxScale in front of one server."""

    name = "maxscale"

    def command(self, folder: Path) -> list[str]:
        program = find_maxscale()
        assert program is not None, "no MaxScale here"
        config = folder / "maxscale.cnf"
        config.write_text(self.settings(SETTINGS, folder))
        return [program, "--nodaemon", "--config", str(config), "--log=stdout", *as_root()]
