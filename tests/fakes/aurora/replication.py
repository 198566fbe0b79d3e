"""Replication of one real server, as its kind spells it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import pymysql

from bench.cluster import REPLICATION
from bench.servers import Server, ServerError

SECONDS: Final = 30.0
WORD: Final = {"mysql": "REPLICA", "mariadb": "SLAVE"}
READ_ONLY: Final = {"mysql": ("super_read_only", "read_only"), "mariadb": ("read_only",)}
APPLIED: Final = {"mysql": "SELECT @@gtid_executed", "mariadb": "SELECT @@gtid_slave_pos"}
"""What a reader has, and shows to everybody. MariaDB's gtid_binlog_pos would be a moment early."""
COMMITTED: Final = {kind: replication.position for kind, replication in REPLICATION.items()}
"""What a writer has committed."""


class Replication:
    """Acts as root on a connection that it keeps. Blocks; for one thread at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._word = WORD[server.kind]
        self._spelling = REPLICATION[server.kind]
        self._connection: Any = None

    def set_up(self) -> None:
        """After each start. MariaDB's cached threads go on counting prepared statements where their last client ended."""
        if self.server.kind == "mariadb":
            self._run("SET GLOBAL thread_cache_size = 0")

    def demote(self) -> None:
        """Let it refuse writes with 1290, on connections that are open, too. What is being committed is waited for."""
        self._run(f"SET GLOBAL {READ_ONLY[self.server.kind][0]} = 1")

    def promote(self) -> None:
        """Let it follow nobody and take writes."""
        self._run(f"STOP {self._word}", f"RESET {self._word} ALL")
        self.open_up()

    def open_up(self) -> None:
        """Let it take writes."""
        self._run(*(f"SET GLOBAL {name} = 0" for name in READ_ONLY[self.server.kind]))

    def follow(self, port: int, *, was_writer: bool = False) -> None:
        """Let it replicate from what listens at this port of loopback, from where it is."""
        self._run(f"STOP {self._word}")
        if was_writer and self.server.kind == "mariadb":
            # where a writer is it knows from its own log only
            self._run("SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos")
        self._run(self._spelling.follow.format(port=port), f"START {self._word}")

    def committed(self) -> str:
        """Where a writer is."""
        return str(self._value(COMMITTED[self.server.kind]))

    def wait_for(self, position: str) -> None:
        """Wait until a reader has everything up to a position. Raises ServerError."""
        if position and self._value(self._spelling.wait, [position, SECONDS]) != 0:
            raise ServerError(f"{self.server.kind} on port {self.server.port} does not reach {position}")

    def greet(self) -> None:
        """Be connected, so that what comes next takes no longer than it must."""
        self._run("DO 1")

    def close(self) -> None:
        """Forget the connection; the server may be gone."""
        with contextlib.suppress(pymysql.err.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self._rows(statement)

    def _value(self, statement: str, arguments: Sequence[object] | None = None) -> Any:
        ((value,),) = self._rows(statement, arguments)
        return value

    def _rows(self, statement: str, arguments: Sequence[object] | None = None) -> Sequence[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = self.server.connect()
        with self._connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows
