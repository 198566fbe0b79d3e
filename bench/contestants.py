"""The ways to a server that are compared: a process of each proxy, and none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final

from bench.client import raise_file_limit
from bench.fanin_process import FaninProcess, ProxyProcess
from bench.haproxy_process import HaproxyProcess, find_haproxy
from bench.maxscale_process import MaxscaleProcess, find_maxscale
from bench.mysqlrouter_process import MysqlRouterProcess, find_mysqlrouter
from bench.proxysql_process import ProxysqlProcess, find_proxysql
from bench.servers import MySQL

FANIN, HAPROXY, ROUTER, PROXYSQL, MAXSCALE, DIRECT = (
    "fanin",
    "haproxy",
    "mysqlrouter",
    "proxysql",
    "maxscale",
    "direct",
)
PROXIES: Final = (FANIN, HAPROXY, ROUTER, PROXYSQL, MAXSCALE, DIRECT)
FINDERS: Final[Mapping[str, Callable[[], object]]] = {
    HAPROXY: lambda: find_haproxy(),
    ROUTER: lambda: find_mysqlrouter(),
    PROXYSQL: lambda: find_proxysql(),
    MAXSCALE: lambda: find_maxscale(),
}
WHY_MISSING: Final[Mapping[str, str]] = {
    HAPROXY: "HAProxy is not installed (Debian: apt-get install haproxy), so there is no floor to compare with",
    ROUTER: "MySQL Router is neither unpacked (tools/install-servers router) nor on PATH",
    PROXYSQL: "ProxySQL is not on PATH",
    MAXSCALE: "MaxScale is not on PATH",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a contestant is started with."""

    pool_size: int = 50
    clients: int = 200
    server_tls: bool = False  # Fanin's connections to the server
    workers: int = 1  # Fanin's


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to the server: through a proxy, or directly."""

    name: str
    port: int
    proxy: ProxyProcess | None


def why_missing(name: str) -> str | None:
    """Why a contestant cannot take part on this machine, None when it can."""
    finder = FINDERS.get(name)
    return None if finder is None or finder() is not None else WHY_MISSING[name]


def why_unfit(name: str, settings: Settings, kind: str) -> str | None:
    """Why it cannot be started with these settings before a server of this kind, None when it can."""
    most = raise_file_limit()
    if name == ROUTER and kind != MySQL.kind:
        return "MySQL Router shares connections of MySQL only"
    if name == HAPROXY and 2 * settings.clients > most:
        return f"HAProxy needs two file descriptors a client: {most // 2:,} clients at most"
    if settings.clients > most:
        return f"{settings.clients:,} clients need more files than one process may open: {most:,} at most"
    if settings.workers > 1 and not has_workers():
        return "this Fanin has no workers"
    return None


@cache
def has_workers() -> bool:
    """Whether `fanin serve` has them yet."""
    command = [sys.executable, "-m", "proxy", "serve", "--help"]
    return "--workers" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


@contextmanager
def started(
    wanted: Sequence[tuple[str, Settings]], upstream: str
) -> Iterator[dict[tuple[str, Settings], Contestant]]:
    """All of them in front of the server at the same time: one that is not its turn does nothing."""
    with ExitStack() as stack:
        field: dict[tuple[str, Settings], Contestant] = {}
        for name, settings in dict.fromkeys(wanted):
            proxy = process_of(name, upstream, settings)
            if proxy is not None:
                stack.enter_context(proxy)
            port = proxy.port if proxy is not None else int(upstream.rpartition(":")[2])
            field[name, settings] = Contestant(name, port, proxy)
        yield field


def process_of(name: str, upstream: str, settings: Settings) -> ProxyProcess | None:
    """A proxy that is not started yet; None for the bare server."""
    match name:
        case "fanin":
            return fanin_of(upstream, settings)
        case "haproxy":
            return HaproxyProcess(upstream, max_clients=settings.clients)
        case "direct":
            return None
    make = {ROUTER: MysqlRouterProcess, PROXYSQL: ProxysqlProcess, MAXSCALE: MaxscaleProcess}[name]
    return make(upstream, pool_size=settings.pool_size, max_clients=settings.clients)


def fanin_of(upstream: str, settings: Settings) -> FaninProcess:
    """Fanin with one worker unless more are wanted."""
    options = ["--server-tls", "required"] if settings.server_tls else []
    if settings.workers > 1:
        options += ["--workers", str(settings.workers)]
    return FaninProcess(
        upstream, pool_size=settings.pool_size, max_clients=settings.clients + 10, options=options
    )
