"""`fanin serve` as a process of its own, started and waited for; the same for any other proxy that listens on a port."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from bench.guard import GuardedProcess, Startable
from bench.servers import HOST, free_port, tail

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 40.0
DEFAULT_PORT: Final = 6033
LINE_WIDTH: Final = 160
GREETING: Final = 0x0A  # first byte of HandshakeV10; 0xFF is an error


class ProxyError(Exception):
    """A proxy could not be started; the text ends with the tail of its log."""


class ProxyProcess(Startable):
    """A process that listens for MySQL clients on ``ports``. A context manager; blocks, like bench.servers."""

    name = "proxy"

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = tuple(ports)
        self._folder: Path | None = None
        self._process: GuardedProcess | None = None

    def command(self, folder: Path) -> list[str]:
        """The command line; may write files into the folder, which goes away with the process."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The first port."""
        return self.ports[0]

    @property
    def pid(self) -> int:
        assert self._process is not None, "the proxy does not run"
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the process has written, while it runs."""
        assert self._folder is not None, "the proxy was not started"
        return self._folder / "log"

    def last_words(self, lines: int = 12) -> list[str]:
        """The end of its log, each line cut to a page's width: why clients may have seen errors."""
        return [line[:LINE_WIDTH] for line in tail(self.log, lines).splitlines()]

    def start(self) -> Self:
        """Start it and wait until every port greets. Raises ProxyError."""
        self._folder = Path(tempfile.mkdtemp(prefix=f"fanin-{self.name}-"))
        try:
            self._process = GuardedProcess(self.command(self._folder), self._folder, output=self.log)
            self._await_greetings(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Let it drain, then end it. Harmless when that is done already."""
        if self._process is not None:
            self._process.stop(STOP_SECONDS)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def crash(self) -> None:
        """End it as the kernel does when memory runs out; it can be started again, on the same ports."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
        self.stop()

    def _await_greetings(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + START_SECONDS
        for port in self.ports:
            while not greets(port):
                status = process.exit_status(0.05)
                if status is not None or time.monotonic() > deadline:
                    how = "does not greet clients" if status is None else f"ended with status {status}"
                    raise ProxyError(f"{self.name} on port {port} {how}:\n{tail(self.log)}")


class FaninProcess(ProxyProcess):
    """`fanin serve` of this checkout, in this interpreter's environment."""

    name = "fanin"

    def __init__(
        self,
        writer: str,
        *,
        readers: Sequence[str] = (),
        pool_size: int,
        max_clients: int = 10_000,
        port: int = 0,
        reader_port: int = 0,
        has_pages: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        """``writer`` and ``readers`` are HOST:PORT; the pool size is per server. Readers have a listener of their own,
        the second of ``ports``. ``has_pages``: /metrics and the like, at
        ``pages``. ``options`` are further flags of `fanin serve`."""
        ports = [port or free_port()]
        if readers:
            ports.append(reader_port or free_port())
        super().__init__(ports)
        self._writer = writer
        self._readers = tuple(readers)
        self._flags = ["--pool-size", str(pool_size), "--max-clients", str(max_clients)]
        self.pages = f"{HOST}:{free_port()}" if has_pages else "off"
        # MySQL offers TLS; the clients we compare with do without, on either side
        self._flags += [
            "--server-tls",
            "disabled",
            "--http",
            self.pages,
            "--log-level",
            "warning",
            "--log-format",
            "console",
            *options,
        ]

    def command(self, folder: Path) -> list[str]:
        serve = [sys.executable, "-m", "proxy", "serve"]
        listen = ["--listen", f"{HOST}:{self.port}"]
        if not self._readers:
            return [*serve, "--upstream", self._writer, *listen, *self._flags]
        config = folder / "fanin.toml"
        config.write_text(settings(self._writer, self._readers))
        return [
            *serve,
            "--config",
            str(config),
            *listen,
            "--reader-listen",
            f"{HOST}:{self.ports[1]}",
            *self._flags,
        ]


def settings(writer: str, readers: Sequence[str]) -> str:
    """A configuration file that names the servers and their roles."""
    tables = [(writer, "writer"), *((reader, "reader") for reader in readers)]
    return "\n".join(
        f'[[upstream]]\nhost = "{host}"\nport = {port}\nrole = "{role}"\n'
        for (host, _, port), role in ((address.rpartition(":"), role) for address, role in tables)
    )


def greets(port: int) -> bool:
    """Whether a MySQL server, or what poses as one, greets on this loopback port."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            packet = connection.recv(5)
    except OSError:
        return False
    return len(packet) == 5 and packet[4] == GREETING


def port_or_free(wanted: int) -> int:
    """The wanted loopback port if nothing listens there, else a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            return free_port()
    return wanted
