"""ProxySQL with one thread, and its thread for those who are idle, as it is run before thousands of clients."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.pooling_process import PoolingProcess
from bench.servers import free_port

SETTINGS = """\
datadir="{folder}"
admin_variables={{ admin_credentials="admin:admin"; mysql_ifaces="{host}:{admin_port}" }}
mysql_variables=
{{
    threads=1
    interfaces="{host}:{port}"
    max_connections={most}
    default_schema="{schema}"
    monitor_enabled=false
    free_connections_pct=100
    connect_timeout_server=10000
    have_ssl=false
}}
mysql_servers=({{ address="{server_host}"; port={server_port}; hostgroup=0; max_connections={pool_size}; use_ssl=0 }})
mysql_users=({{ username="{user}"; password="{password}"; default_hostgroup=0; default_schema="{schema}"; max_connections={most}; active=1 }})
"""


def find_proxysql() -> str | None:
    """The program, None where it is not installed."""
    return shutil.which("proxysql")


class ProxysqlProcess(PoolingProcess):
    """ProxySQL in front of one server."""

    name = "proxysql"

    def command(self, folder: Path) -> list[str]:
        program = find_proxysql()
        assert program is not None, "no ProxySQL here"
        config = folder / "proxysql.cnf"
        config.write_text(self.settings(SETTINGS, folder, admin_port=free_port()))
        return [program, "--foreground", "--idle-threads", "--config", str(config), "--datadir", str(folder)]
