"""Fanin as a process in front of a real server, and what tests ask of it over HTTP.

    with Fanin(server, pool={"size": 1}) as fanin, fanin.connect() as client: ...

`Shared` keeps the processes that tests have in common for the whole run: each costs a second to start.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pymysql
import pymysql.cursors

from bench.fanin_process import ProxyProcess
from bench.servers import HOST, PASSWORD, SCHEMA, USER, Server, free_port

PATIENCE: Final = 40.0
"""Seconds that a test waits for something that happens by itself."""

Table = Mapping[str, object]
Settings = Mapping[str, object]


class Fanin(ProxyProcess):
    """`fanin serve` with a configuration file of its own, its pages on a free port."""

    name = "fanin"

    def __init__(
        self,
        server: Server | None = None,
        *,
        upstream: Sequence[Table] = (),
        environment: Mapping[str, str] | None = None,
        has_readers: bool = False,
        unix: Path | None = None,
        **settings: object,
    ) -> None:
        """`settings` are the tables and keys of the file; `upstream` is made of `server` unless it is given."""
        super().__init__([free_port()])
        self.http_port = free_port()
        self.reader_port = free_port() if has_readers else 0
        self.unix = unix
        self._environment = dict(environment or {})
        # kept open, for tests ask often
        self._pages: http.client.HTTPConnection | None = None
        if server is not None and not upstream:
            upstream = [{"host": HOST, "port": server.port, "name": "primary"}]
        listen = [f"{HOST}:{self.port}", *([f"unix:{unix}"] if unix else [])]
        pages = {"http": {"listen": f"{HOST}:{self.http_port}"}, "log": {"level": "info", "format": "json"}}
        self._settings: dict[str, object] = {
            "upstream": list(upstream),
            "listen": listen,
            **pages,
            **settings,
        }
        if has_readers:
            self._settings["reader_listen"] = [f"{HOST}:{self.reader_port}"]

    def command(self, folder: Path) -> list[str]:
        config = folder / "fanin.toml"
        config.write_text(toml(self._settings))
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        return ["env", *variables, sys.executable, "-m", "proxy", "serve", "--config", str(config)]

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def exit_status(self, seconds: float = PATIENCE) -> int | None:
        """How it ended, None if it still runs after so long."""
        assert self._process is not None
        return self._process.exit_status(seconds)

    # --- clients

    def address(self, **arguments: Any) -> dict[str, Any]:
        """Arguments of pymysql.connect: by default user app, its schema, autocommit."""
        defaults = {
            "host": HOST,
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "database": SCHEMA,
            "autocommit": True,
            "connect_timeout": 10,
            "read_timeout": 30,
        }
        return {**defaults, **arguments}

    def connect(self, **arguments: Any) -> Any:
        """A PyMySQL client."""
        return pymysql.connect(**self.address(**arguments))

    # --- its pages

    def page(self, path: str) -> str:
        """What a page says, whatever its status. Raises OSError while nothing listens."""
        if self._pages is None:
            self._pages = http.client.HTTPConnection(HOST, self.http_port, timeout=10)
        try:
            self._pages.request("GET", path)
            return self._pages.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            self._close_pages()
            raise

    def _close_pages(self) -> None:
        if self._pages is not None:
            self._pages.close()
            self._pages = None

    def stop(self) -> None:
        self._close_pages()
        super().stop()

    def state(self) -> dict[str, Any]:
        """/state"""
        found: dict[str, Any] = json.loads(self.page("/state"))
        return found

    def endpoint(self, name: str = "primary") -> dict[str, Any]:
        """One endpoint's part of /state."""
        return next(dict(each) for each in self.state()["endpoints"] if each["name"] == name)

    def session(self, connection_id: int) -> dict[str, Any] | None:
        """A session's part of /state: there while it has a lease, or waits for one."""
        return next((dict(each) for each in self.state()["sessions"] if each["id"] == connection_id), None)

    def pins(self, client: Any) -> list[str]:
        """Why a client's session is pinned, once it has come to rest; [] when it is not."""
        return [pin["reason"] for pin in self.settled(client)["pins"]]

    def is_holding(self, client: Any) -> bool:
        """Whether a client's session keeps its lease, once it has come to rest."""
        return bool(self.settled(client)["state"] == "holding")

    def settled(self, client: Any) -> dict[str, Any]:
        """A client's session when nothing is under way for it any more; without a lease it is `ready` and has no pins."""
        connection_id = client if isinstance(client, int) else client.thread_id()
        seen: dict[str, Any] = {}

        def is_settled() -> bool:
            seen.clear()
            seen.update(self.session(connection_id) or {"state": "ready", "pins": []})
            return seen["state"] in ("ready", "holding")

        eventually(is_settled, lambda: f"session still {seen}")
        return seen

    def metrics(self, name: str) -> dict[str, float]:
        """The samples of one metric, by their labels as they are written."""
        found = {}
        for line in self.page("/metrics").splitlines():
            key, _, value = line.rpartition(" ")
            if key.partition("{")[0] == name:
                found[key[len(name) :]] = float(value)
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of one metric that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(value for key, value in self.metrics(name).items() if all(each in key for each in wanted))

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def memory(self) -> int:
        """Bytes of memory that the process has in use."""
        status = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("Rss:"))

    def cpu_seconds(self) -> float:
        """User and system time that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


class Shared:
    """Processes that are started when the first test wants one with those settings, and kept."""

    def __init__(self) -> None:
        self._exits = contextlib.ExitStack()
        self._running: dict[str, Fanin] = {}

    def fanin(self, server: Server, **settings: Any) -> Fanin:
        """The one in front of this server with these settings."""
        key = json.dumps([server.port, settings], sort_keys=True, default=str)
        if key not in self._running:
            self._running[key] = self._exits.enter_context(Fanin(server, **settings))
        return self._running[key]

    def close(self) -> None:
        """End them all, at the same time."""
        for each in self._running.values():
            each.terminate()
        self._exits.close()


def eventually(condition: Callable[[], object], what: Callable[[], str] | str = "it") -> None:
    """Wait until the condition holds; fails after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true: {what if isinstance(what, str) else what()}")
        threading.Event().wait(0.01)


def toml(settings: Settings) -> str:
    """The file with these settings. Tables come last, as TOML wants it."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if not is_table(value)]
    for key, value in settings.items():
        if isinstance(value, Mapping):
            lines += [f"[{key}]", *pairs(value)]
        elif is_table(value):
            assert isinstance(value, Sequence)
            for each in value:
                lines += [f"[[{key}]]", *pairs(each)]
    return "\n".join(lines) + "\n"


def is_table(value: object) -> bool:
    """Whether a value is a table, or a list of some."""
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)
    )


def pairs(table: Table) -> Iterator[str]:
    """The keys of a table, one a line."""
    for key, value in table.items():
        yield f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}"


def rows(client: Any, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Run a statement on a PyMySQL client; its rows."""
    with client.cursor() as cursor:
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())


def run(client: Any, *statements: str) -> None:
    """Run statements on a PyMySQL client, one after the other."""
    for statement in statements:
        rows(client, statement)


def value(client: Any, statement: str, *arguments: object) -> Any:
    """The only value that a statement gives."""
    ((only,),) = rows(client, statement, *arguments)
    return only
