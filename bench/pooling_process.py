"""What the proxies that we compare with have in common: clients by the hundred on a pool, before one server."""

from __future__ import annotations

from pathlib import Path

from bench.fanin_process import ProxyProcess
from bench.servers import HOST, PASSWORD, SCHEMA, USER, free_port


class PoolingProcess(ProxyProcess):
    """A proxy with a pool in front of one server."""

    def __init__(self, upstream: str, *, pool_size: int, max_clients: int) -> None:
        """``upstream`` is HOST:PORT."""
        super().__init__([free_port()])
        self._upstream = upstream
        self._pool_size = pool_size
        self._max_clients = max_clients

    def settings(self, template: str, folder: Path, **others: object) -> str:
        """A configuration from one with {names}: of these, and of what only this proxy has."""
        server_host, _, server_port = self._upstream.rpartition(":")
        return template.format(
            folder=folder,
            host=HOST,
            port=self.port,
            upstream=self._upstream,
            server_host=server_host,
            server_port=server_port,
            pool_size=self._pool_size,
            most=self._max_clients + 10,  # those that look whether it is up
            user=USER,
            password=PASSWORD,
            schema=SCHEMA,
            **others,
        )
