"""MySQL Router with one thread and connection sharing, which is its way of pooling."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.fanin_process import ProxyProcess
from bench.servers import HOST, as_root, first_program, free_port
from bench.templates import cache_folder

SETTINGS = """\
[DEFAULT]
logging_folder =
{plugins}runtime_folder = {folder}
data_folder = {folder}
unknown_config_option = warning
max_total_connections = {most}
[logger]
level = WARNING
[io]
threads = 1
[connection_pool]
max_idle_server_connections = {pool_size}
[routing:mysql]
bind_address = {host}
bind_port = {port}
destinations = {upstream}
routing_strategy = first-available
protocol = classic
max_connections = {most}
connection_sharing = 1
connection_sharing_delay = 0
client_ssl_mode = DISABLED
server_ssl_mode = DISABLED
"""
"""`connection_sharing_delay`: by default a connection stays its client's for a second after its last answer, and nothing would be shared here."""


def find_mysqlrouter() -> Path | None:
    """The program, None where it is not installed."""
    named, unpacked = os.environ.get("FANIN_MYSQLROUTER"), cache_folder() / "mysql-router-9.7/bin/mysqlrouter"
    return first_program(named, str(unpacked), shutil.which("mysqlrouter"))


def plugins_of(program: Path) -> str:
    """The setting that says where its plugins are, of one that is unpacked; installed ones know."""
    unpacked = program.resolve().parent.parent / "usr/lib/mysqlrouter/plugin"
    return f"plugin_folder = {unpacked}\n" if unpacked.is_dir() else ""


class MysqlRouterProcess(ProxyProcess):
    """MySQL Router in front of one server."""

    name = "mysqlrouter"

    def __init__(self, upstream: str, *, pool_size: int, max_clients: int) -> None:
        super().__init__([free_port()])
        self._upstream = upstream
        self._pool_size = pool_size
        self._max_clients = max_clients

    def command(self, folder: Path) -> list[str]:
        program = find_mysqlrouter()
        assert program is not None, "no MySQL Router here"
        config = folder / "router.conf"
        text = SETTINGS.format(
            plugins=plugins_of(program),
            folder=folder,
            most=self._max_clients + 10,  # those that look whether it is up
            pool_size=self._pool_size,
            host=HOST,
            port=self.port,
            upstream=self._upstream,
        )
        config.write_text(text)
        config.chmod(0o600)
        return [str(program), "--config", str(config), *as_root()]
