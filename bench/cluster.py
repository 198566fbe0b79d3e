"""A writer and its readers with GTID replication, for both kinds of server.

    with Cluster("mariadb") as cluster:
        cluster.writer.sql("CREATE TABLE app.t (id INT PRIMARY KEY)")
        cluster.catch_up()

`python -m bench.cluster --kind mariadb` keeps one running until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import pymysql.cursors

from bench.guard import Startable
from bench.servers import HOST, KINDS, PASSWORD, REPLICATION_USER, SCHEMA, USER, Server, ServerError, started

REPLICATION_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Replication:
    """How one kind of server spells replication."""

    reader_options: Mapping[str, str | int]  # what makes a server a reader, for everybody but root
    follow: str  # statement with {port}: start to replicate from there
    position: str  # query on the writer: everything committed so far
    wait: str  # query on a reader with %s position and seconds
    status: str  # statement; the two threads' states are the columns below
    threads: tuple[str, str]


REPLICATION: Final[Mapping[str, Replication]] = {
    "mariadb": Replication(
        reader_options={"read-only": 1},
        follow=f"CHANGE MASTER TO MASTER_HOST='{HOST}', MASTER_PORT={{port}}, MASTER_USER='{REPLICATION_USER}',"
        f" MASTER_PASSWORD='{REPLICATION_USER}', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
        position="SELECT @@gtid_binlog_pos",
        wait="SELECT MASTER_GTID_WAIT(%s, %s)",
        status="SHOW SLAVE STATUS",
        threads=("Slave_IO_Running", "Slave_SQL_Running"),
    ),
    "mysql": Replication(
        reader_options={"super-read-only": 1},
        follow=f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{HOST}', SOURCE_PORT={{port}},"
        f" SOURCE_USER='{REPLICATION_USER}', SOURCE_PASSWORD='{REPLICATION_USER}', SOURCE_AUTO_POSITION=1,"
        " GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=0",
        position="SELECT @@gtid_executed",
        wait="SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)",
        status="SHOW REPLICA STATUS",
        threads=("Replica_IO_Running", "Replica_SQL_Running"),
    ),
}


class Cluster(Startable):
    """A writer with readers that follow it. A context manager; blocks like bench.servers."""

    def __init__(
        self,
        kind: str = "mariadb",
        *,
        readers: int = 2,
        max_connections: int = 2000,
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        """`options` as for a server, of them all. Raises ServerError where this kind of server is not installed."""
        self.kind = kind
        self.replication = REPLICATION[kind]
        make = KINDS[kind]
        self.writer: Server = make(max_connections=max_connections, options=options)
        self.readers: list[Server] = [
            make(
                max_connections=max_connections,
                options={**(options or {}), **self.replication.reader_options, "server-id": 2 + number},
            )
            for number in range(readers)
        ]
        self._exits = contextlib.ExitStack()

    @property
    def servers(self) -> list[Server]:
        """All of them, the writer first."""
        return [self.writer, *self.readers]

    def start(self) -> Self:
        """Start all servers at once, make the readers follow and wait until they do. Raises ServerError."""
        with contextlib.ExitStack() as exits:
            exits.enter_context(started(self.servers))
            for reader in self.readers:
                self.follow(reader)
            self.catch_up()
            self._exits = exits.pop_all()
        return self

    def stop(self) -> None:
        """Stop all servers; harmless when they are stopped."""
        self._exits.close()

    def follow(self, reader: Server) -> None:
        """Make a reader replicate from the writer."""
        reader.sql(self.replication.follow.format(port=self.writer.port))
        reader.sql("START SLAVE" if self.kind == "mariadb" else "START REPLICA")

    def catch_up(self, seconds: float = REPLICATION_SECONDS) -> None:
        """Wait until every reader has what the writer has committed by now. Raises ServerError after `seconds`."""
        position = self.writer.value(self.replication.position)
        for reader in self.readers:
            if reader.value(self.replication.wait, [position, seconds]) != 0:
                raise ServerError(
                    f"{reader.kind} reader on port {reader.port} does not catch up: {self.lag(reader)}"
                )
        deadline = time.monotonic() + seconds
        for reader in self.readers:
            while not self.is_replicating(reader):
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"{reader.kind} reader on port {reader.port} does not replicate: {self.lag(reader)}"
                    )
                reader.sql("SELECT SLEEP(0.02)")

    def is_replicating(self, reader: Server) -> bool:
        """Whether both of a reader's replication threads run."""
        state = self.lag(reader)
        return all(state.get(thread) == "Yes" for thread in self.replication.threads)

    def lag(self, reader: Server) -> dict[str, Any]:
        """What a reader says about its replication, column by column; empty if it follows nobody."""
        with (
            contextlib.closing(reader.connect(cursorclass=pymysql.cursors.DictCursor)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(self.replication.status)
            return dict(cursor.fetchone() or {})


def describe(cluster: Cluster) -> str:
    """What one needs to know to use it by hand."""
    lines = [
        f"{cluster.kind} cluster; user {USER}, password {PASSWORD}, schema {SCHEMA}; root without password"
    ]
    for server in cluster.servers:
        role = "writer" if server is cluster.writer else "reader"
        lines.append(f"  {role}  {server.host}:{server.port}  socket {server.socket}  log {server.log}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run a cluster until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=main.__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), default="mariadb")
    parser.add_argument("--readers", type=int, default=2, metavar="N")
    parser.add_argument("--max-connections", type=int, default=2000, metavar="N")
    options = parser.parse_args(arguments)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        with Cluster(
            options.kind, readers=options.readers, max_connections=options.max_connections
        ) as cluster:
            print(describe(cluster), "Ctrl-C ends it.", sep="\n", flush=True)
            signal.sigwait(ends)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
