"""MySQL Router with one thread and connection sharing, which is its way of pooling."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.pooling_process import PoolingProcess
from bench.servers import as_root, first_program
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


class MysqlRouterProcess(PoolingProcess):
    """MySQL Router in front of one server."""

    name = "mysqlrouter"

    def command(self, folder: Path) -> list[str]:
        program = find_mysqlrouter()
        assert program is not None, "no MySQL Router here"
        config = folder / "router.conf"
        config.write_text(self.settings(SETTINGS, folder, plugins=plugins_of(program)))
        config.chmod(0o600)
        return [str(program), "--config", str(config), *as_root()]
