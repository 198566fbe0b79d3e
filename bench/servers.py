"""Real servers for tests, load and demo: each in a temporary folder, on a free loopback port, gone afterwards whatever happens.

    with MariaDB() as server:
        server.sql("SELECT 1")

Everything here blocks; from a coroutine call it with `asyncio.to_thread`. A server starts from a cached template (templates.py) in
about a second. Users: `app` with password `app` may do everything but write to a read-only server; `root` has no password and may
only come from this machine. Both own the empty schema `app`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import pymysql

from bench.guard import GuardedProcess, Startable
from bench.templates import cache_folder, copy_tree, template

HOST: Final = "127.0.0.1"
USER: Final = "app"
PASSWORD: Final = "app"
SCHEMA: Final = "app"
REPLICATION_USER: Final = "repl"

START_SECONDS: Final = 60.0
# Below the ports that the system hands out to outgoing connections, which would come and go under our feet.
PORTS: Final = range(20_000, 32_000)
PORT_TRIES: Final = 5

# Small, because several run at once; not durable, because nothing outlives the test.
COMMON_OPTIONS: Final[Mapping[str, str | int]] = {
    "bind-address": HOST,
    "innodb-buffer-pool-size": "64M",
    "innodb-flush-log-at-trx-commit": 2,
    "local-infile": 1,
    "log-bin": "binlog",
    "report-host": HOST,
    "server-id": 1,
    "skip-name-resolve": "ON",
    "sync-binlog": 0,
}

_running: weakref.WeakSet[Server] = weakref.WeakSet()


class ServerError(Exception):
    """A server could not be installed, initialised or started; the text ends with the tail of its log."""


# not the common generator: Hypothesis seeds that, and processes of the same tests would choose the same ports
_random: Final = random.SystemRandom()
_CLAIMS: Final[list[socket.socket]] = []
"""What `free_port` has given: who got one may not listen yet, or no longer for a moment."""


def free_port() -> int:
    """A loopback port that nothing listens on, for the moment. Never the same twice, nor one that another process was given."""
    while True:
        port = _random.choice(PORTS)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket() as probe, contextlib.suppress(OSError):
            # the same number of the other protocol, which nobody wants, is ours as long as this process lives
            claim.bind((HOST, port))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            _CLAIMS.append(claim)
            return port
        claim.close()


def tail(path: Path, lines: int = 25) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"(no log: {error})"


def run(command: Sequence[str], *, log: Path, stdin: str = "") -> None:
    """Run a command to its end; its output goes to `log`. Raises ServerError with the log's tail."""
    with log.open("ab") as output:
        ended = subprocess.run(command, input=stdin.encode(), stdout=output, stderr=output, check=False)
    if ended.returncode != 0:
        raise ServerError(f"{Path(command[0]).name} ended with status {ended.returncode}:\n{tail(log)}")


class Server(Startable):
    """One server process. Use as a context manager, or `start` and `stop`; it can be started again on the same port and directory."""

    kind: ClassVar[str]
    first_args: ClassVar[Sequence[str]] = ()
    host: ClassVar[str] = HOST
    user: ClassVar[str] = USER
    password: ClassVar[str] = PASSWORD
    schema: ClassVar[str] = SCHEMA

    def __init__(
        self,
        *,
        max_connections: int = 2000,
        options: Mapping[str, str | int] | None = None,
        extra_args: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        """`options` are long options without dashes, `extra_args` come last as they are; a port of 0 is a free one.

        Raises ServerError where this kind of server is not installed.
        """
        if reason := self.why_missing():
            raise ServerError(reason)
        self.port = port
        self._wants_port = port
        self._options = {**COMMON_OPTIONS, "max-connections": max_connections, **(options or {})}
        self._extra_args = tuple(extra_args)
        self.folder: Path | None = None  # our temporary folder, while it exists
        self._process: GuardedProcess | None = None

    # --- what differs between the kinds

    @classmethod
    @abstractmethod
    def binary(cls) -> Path | None:
        """The server's program, None where it is not installed."""

    @classmethod
    @abstractmethod
    def why_missing(cls) -> str | None:
        """What to do to get this kind of server; None if it is there."""

    @classmethod
    @abstractmethod
    def kind_options(cls) -> Mapping[str, str | int]:
        """Options only this kind knows."""

    @classmethod
    @abstractmethod
    def initial_sql(cls) -> Sequence[str]:
        """Statements that make users and schema, one line each."""

    @classmethod
    @abstractmethod
    def initialise(cls, directory: Path, log: Path) -> None:
        """Make a new server directory at this path. Raises ServerError."""

    # --- where it is

    @property
    def directory(self) -> Path:
        """The server's directory, while the server exists."""
        assert self.folder is not None, "the server was not started"
        return self.folder / "datadir"

    @property
    def socket(self) -> str:
        """Path of the Unix socket."""
        return str(self.directory.parent / "server.sock")

    @property
    def log(self) -> Path:
        """The error log; outlives restarts, not `stop`."""
        return self.directory.parent / "server.log"

    @property
    def pid(self) -> int:
        """Process id, while it runs."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    # --- its life

    def start(self) -> Self:
        """Start it and wait until it answers. Raises ServerError."""
        if self.folder is None:
            self._make_folder()
        for tries_left in reversed(range(PORT_TRIES)):
            self.port = self._wants_port or self.port or free_port()
            try:
                self._launch()
                break
            except ServerError as error:
                is_taken = "in use" in str(error) and not self._wants_port
                if not (is_taken and tries_left):
                    self.stop()
                    raise
                self.port = 0
        return self

    def stop(self) -> None:
        """End it at once and remove its folder with all it held. Harmless when that is done already."""
        self.halt(by_force=True)
        _running.discard(self)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def halt(self, *, by_force: bool = False) -> None:
        """End the process but keep directory and port, for a later `start`. By force: as a crash would."""
        if self._process is not None:
            if by_force:
                self._process.send_signal(signal.SIGKILL)
            self._process.stop()
            self._process = None

    def restart(self, *, by_force: bool = False) -> None:
        """Halt and start again, on the same port and with the same content."""
        self.halt(by_force=by_force)
        self.start()

    def freeze(self) -> None:
        """Stop the process where it is: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    # --- talking to it

    def connect(self, **arguments: Any) -> Any:
        """A new PyMySQL connection over TCP, by default as root with autocommit; `arguments` as for pymysql.connect."""
        defaults = {
            "host": HOST,
            "port": self.port,
            "user": "root",
            "autocommit": True,
            "connect_timeout": 10,
        }
        return pymysql.connect(**{**defaults, **arguments})

    def sql(self, statement: str, arguments: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as root on a connection of its own and return the rows. Raises pymysql.Error."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            return list(cursor.fetchall())

    def value(self, statement: str, arguments: Sequence[object] | None = None) -> Any:
        """First column of the only row of a statement."""
        ((first, *_),) = self.sql(statement, arguments)
        return first

    def status(self, name: str) -> int:
        """A number from SHOW GLOBAL STATUS, like Threads_connected."""
        ((_, number),) = self.sql("SHOW GLOBAL STATUS LIKE %s", [name])
        return int(number)

    # --- inside

    def _make_folder(self) -> None:
        source = template(self.kind, self._ingredients(), self._make_template)
        self.folder = Path(tempfile.mkdtemp(prefix=f"fanin-{self.kind}-"))
        # the server may run as another user than root
        self.folder.chmod(0o755)
        _running.add(self)
        copy_tree(source, self.folder / "datadir")

    @classmethod
    def _make_template(cls, directory: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="fanin-template-") as scratch:
            cls.initialise(directory, Path(scratch, "log"))

    @classmethod
    def _ingredients(cls) -> str:
        program = cls.binary()
        assert program is not None
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        return "\n".join([version, *cls.initial_sql(), *option_list(cls.kind_options())])

    def _launch(self) -> None:
        command = [
            str(self.binary()),
            *self.first_args,
            *as_root(),
            f"--datadir={self.directory}",
            f"--port={self.port}",
            f"--report-port={self.port}",
            f"--socket={self.socket}",
            f"--pid-file={self.directory.parent}/server.pid",
            f"--tmpdir={self.directory.parent}",
            *option_list({**self.kind_options(), **self._options}),
            *self._extra_args,
        ]
        log = self.log
        log.unlink(missing_ok=True)
        assert self.folder is not None
        self._process = GuardedProcess(command, self.folder, output=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            status = self._process.exit_status(0.02)
            if status is not None or time.monotonic() > deadline:
                self.halt(by_force=True)
                how = "does not answer" if status is None else f"ended with status {status}"
                raise ServerError(f"{self.kind} on port {self.port} {how}:\n{tail(log)}")

    def _answers(self) -> bool:
        # Another server on our port could answer too, hence the comparison; before the socket exists there is no need to try.
        if not os.path.exists(self.socket):
            return False
        try:
            return bool(self.value("SELECT @@socket") == self.socket)
        except pymysql.Error:
            return False


class MariaDB(Server):
    """MariaDB as Debian has it: mysql_native_password, no TLS."""

    kind = "mariadb"
    first_args = ("--no-defaults",)

    @classmethod
    def binary(cls) -> Path | None:
        return first_program(os.environ.get("FANIN_MARIADBD"), "/usr/sbin/mariadbd", shutil.which("mariadbd"))

    @classmethod
    def why_missing(cls) -> str | None:
        return (
            None
            if cls.binary()
            else "no MariaDB server here: make setup as root, or apt-get install mariadb-server"
        )

    @classmethod
    def kind_options(cls) -> Mapping[str, str | int]:
        return {
            "innodb-log-file-size": "48M",
            "binlog-format": "ROW",
            "gtid-domain-id": 0,
            "gtid-strict-mode": 1,
            "log-slave-updates": 1,
            "slave-parallel-threads": 2,
        }

    @classmethod
    def initial_sql(cls) -> Sequence[str]:
        native = "IDENTIFIED VIA mysql_native_password USING"
        return (
            "FLUSH PRIVILEGES;",
            f"CREATE OR REPLACE USER 'root'@'{HOST}' {native} '';",
            f"GRANT ALL PRIVILEGES ON *.* TO 'root'@'{HOST}' WITH GRANT OPTION;",
            f"CREATE OR REPLACE USER '{USER}'@'%' {native} PASSWORD('{PASSWORD}');",
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;",
            # ALL PRIVILEGES holds what writes through read_only
            f"REVOKE READ ONLY ADMIN, SUPER ON *.* FROM '{USER}'@'%';",
            f"CREATE OR REPLACE USER '{REPLICATION_USER}'@'%' {native} PASSWORD('{REPLICATION_USER}');",
            f"GRANT REPLICATION SLAVE ON *.* TO '{REPLICATION_USER}'@'%';",
            f"CREATE DATABASE IF NOT EXISTS {SCHEMA};",
        )

    @classmethod
    def initialise(cls, directory: Path, log: Path) -> None:
        install = shutil.which("mariadb-install-db")
        if install is None:
            raise ServerError("mariadb-install-db is missing beside the MariaDB server")
        arguments = [
            f"--datadir={directory}",
            *as_root(),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        run([install, "--no-defaults", "--skip-name-resolve", *arguments], log=log)
        program = [str(cls.binary()), *cls.first_args, "--bootstrap", *as_root(), f"--datadir={directory}"]
        run([*program, *option_list(cls.kind_options())], log=log, stdin="\n".join(cls.initial_sql()))


class MySQL(Server):
    """MySQL 9.7: caching_sha2_password, TLS with a certificate of its own."""

    kind = "mysql"  # its launcher in the cache folder says --no-defaults itself

    @classmethod
    def binary(cls) -> Path | None:
        return first_program(
            os.environ.get("FANIN_MYSQLD"), str(cache_folder() / "mysql-9.7" / "bin" / "mysqld")
        )

    @classmethod
    def why_missing(cls) -> str | None:
        return (
            None if cls.binary() else "no MySQL 9.7 here: make setup fetches it where apt has a Debian mirror"
        )

    @classmethod
    def kind_options(cls) -> Mapping[str, str | int]:
        return {
            "innodb-redo-log-capacity": "64M",
            "gtid-mode": "ON",
            "enforce-gtid-consistency": "ON",
            "mysqlx": "OFF",
            "secure-file-priv": "NULL",
        }

    @classmethod
    def initial_sql(cls) -> Sequence[str]:
        sha2 = "IDENTIFIED WITH caching_sha2_password BY"
        return (
            f"CREATE USER 'root'@'{HOST}' {sha2} '';",
            f"GRANT ALL PRIVILEGES ON *.* TO 'root'@'{HOST}' WITH GRANT OPTION;",
            f"CREATE USER '{USER}'@'%' {sha2} '{PASSWORD}';",
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;",
            # ALL PRIVILEGES holds what writes through super_read_only off, and what max_connections does not stop
            f"REVOKE SUPER, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN ON *.* FROM '{USER}'@'%';",
            f"CREATE USER '{REPLICATION_USER}'@'%' {sha2} '{REPLICATION_USER}';",
            f"GRANT REPLICATION SLAVE ON *.* TO '{REPLICATION_USER}'@'%';",
            f"CREATE DATABASE IF NOT EXISTS {SCHEMA};",
        )

    @classmethod
    def initialise(cls, directory: Path, log: Path) -> None:
        statements = log.with_name("init.sql")
        statements.write_text("\n".join(cls.initial_sql()))
        log.parent.chmod(0o755)
        arguments = [
            "--initialize-insecure",
            *as_root(),
            f"--datadir={directory}",
            f"--init-file={statements}",
        ]
        run([str(cls.binary()), *arguments, *option_list(cls.kind_options())], log=log)
        # the server's uuid, which each copy has to make for itself
        (directory / "auto.cnf").unlink(missing_ok=True)


KINDS: Final[Mapping[str, type[Server]]] = {kind.kind: kind for kind in (MariaDB, MySQL)}


def first_program(*candidates: str | None) -> Path | None:
    """The first of the paths that is a program."""
    return next((Path(path) for path in candidates if path and os.access(path, os.X_OK)), None)


def option_list(options: Mapping[str, str | int]) -> list[str]:
    """Options as the command line has them."""
    return [f"--{name}={value}" for name, value in options.items()]


def as_root() -> list[str]:
    """Both servers refuse to run as root unless they are told to, and so do proxies of the same makers."""
    return ["--user=root"] if os.geteuid() == 0 else []


@contextlib.contextmanager
def started(servers: Sequence[Server]) -> Iterator[None]:
    """All of them, started at once; stopped together, whatever happens."""
    with ThreadPoolExecutor(max(1, len(servers))) as threads:
        try:
            list(threads.map(Server.start, servers))
            yield
        finally:
            list(threads.map(Server.stop, servers))


@atexit.register
def stop_all() -> None:
    """End what still runs when the program ends."""
    for server in list(_running):
        server.stop()
