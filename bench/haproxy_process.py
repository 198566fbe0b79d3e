"""HAProxy in TCP mode with one thread: it only copies bytes, and so is the floor for every proxy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.client import raise_file_limit
from bench.fanin_process import ProxyProcess
from bench.servers import HOST, free_port

SETTINGS = """\
global
  nbthread 1
  maxconn {maxconn}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen mysql
  bind {host}:{port}
  server upstream {upstream}
"""


def find_haproxy() -> str | None:
    """The program, None where it is not installed."""
    return shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class HaproxyProcess(ProxyProcess):
    """HAProxy in front of one server."""

    name = "haproxy"

    def __init__(self, upstream: str, *, max_clients: int) -> None:
        """Raises ValueError for more clients than the limit of open files allows: it needs two a client."""
        super().__init__([free_port()])
        most = raise_file_limit() // 2
        if max_clients > most:
            raise ValueError(
                f"HAProxy needs two file descriptors a client: {most} clients at most, not {max_clients}"
            )
        self._upstream = upstream
        self._max_clients = max_clients + 10  # those that look whether it is up

    def command(self, folder: Path) -> list[str]:
        program = find_haproxy()
        assert program is not None, "no HAProxy here"
        config = folder / "haproxy.cfg"
        config.write_text(
            SETTINGS.format(maxconn=self._max_clients, host=HOST, port=self.port, upstream=self._upstream)
        )
        return [program, "-db", "-f", str(config)]
