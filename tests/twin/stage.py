"""Plays a program twice: on a direct connection, and through a paranoid Fanin among noisy neighbours.

Both times the schema is as new, has the same name, and what the program has made of it is read afterwards.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pymysql

from bench.servers import PASSWORD, USER, Server
from tests.integration.running import Fanin, run
from tests.integration.scripts import CLEAN, CONTENT
from tests.integration.steps import Step
from tests.integration.test_compare import Rival
from tests.integration.wire import WireClient
from tests.twin.programs import UNKNOWN_STATEMENT, Program

POOL: Final = {"size": 2, "paranoid": True}
NEIGHBOURS: Final = 2
CLOSED: Final = b"the connection was closed"

_RENAMED: Final = {"compared": "twin", "other": "twin2"}


def _own(statement: str) -> str:
    return re.sub(r"\b(compared|other)\b", lambda match: _RENAMED[match[0]], statement)


SCHEMAS: Final = ("twin", "twin2", "twin3")
MADE: Final = (
    "DROP DATABASE IF EXISTS twin3",
    *[_own(each) for each in CONTENT],
    *[_own(each) for each in CLEAN if each.startswith("INSERT")],
    "CREATE TABLE twin.u (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 7, d DECIMAL(10,3), f DOUBLE,"
    " b VARBINARY(20), at DATETIME, s CHAR(5) CHARACTER SET latin1)",
    "INSERT INTO twin.u (n, d, f, b, at, s) VALUES (1, 1.5, 0.1, x'00FF', '2020-01-02 03:04:05', 'abc'),"
    " (2, NULL, 1e100, NULL, NULL, NULL)",
    "CREATE TABLE twin.w (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
    "CREATE TABLE twin.noted (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(100), counted BIGINT)",
    "CREATE TRIGGER twin.watches BEFORE INSERT ON twin.w FOR EACH ROW"
    " INSERT INTO twin.noted (note, counted) VALUES (CONCAT('v', NEW.v, '/', @@sql_mode), NEW.v)",
    "CREATE TRIGGER twin.reads AFTER UPDATE ON twin.w FOR EACH ROW"
    " INSERT INTO twin.noted (note, counted) VALUES (@note, @counted)",
    "CREATE PROCEDURE twin.locks(IN name VARCHAR(20)) SELECT GET_LOCK(name, 0) AS got",
    "CREATE PROCEDURE twin.warns() INSERT IGNORE INTO twin.t (v) VALUES (10), (41)",
    "CREATE PROCEDURE twin.signals() SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'told', MYSQL_ERRNO = 1644",
    "CREATE PROCEDURE twin.begins() BEGIN START TRANSACTION; INSERT INTO twin.t (v) VALUES (77); END",
    "CREATE PROCEDURE twin.keeps(IN value INT) BEGIN DECLARE x INT; SELECT value + 1 INTO x; SET @kept = x; END",
    "CREATE FUNCTION twin.last_id() RETURNS BIGINT NO SQL RETURN LAST_INSERT_ID()",
    "CREATE FUNCTION twin.note_of() RETURNS VARCHAR(100) NO SQL RETURN @note",
    "CREATE VIEW twin.both_rows AS SELECT id, v FROM twin.t UNION ALL SELECT id, v FROM twin.w",
)

Answers = list[list[bytes]]
Dump = dict[str, Any]


@dataclass(frozen=True)
class Played:
    """What came back, a list of payloads for each step, and the content afterwards."""

    answers: Answers
    dump: Dump


class Neighbour:
    """A client of the same user that does stateful work of its own, a turn for each of ours, and looks whether all is right."""

    def __init__(self, fanin: Fanin, server: Server) -> None:
        self._rival = Rival(fanin, server)
        self._wanted = threading.Semaphore(0)
        self._is_over = False
        self.failure: BaseException | None = None
        self.turns = 0
        self._thread = threading.Thread(target=self._live, name="neighbour", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        while True:
            self._wanted.acquire()
            if self._is_over or self.failure is not None:
                return
            try:
                self._rival.turn()
                self.turns += 1
            except BaseException as failure:
                self.failure = failure

    def nudge(self) -> None:
        """Take a turn, some time soon."""
        self._wanted.release()

    def leave(self) -> None:
        """End the thread and the client."""
        self._is_over = True
        self._wanted.release()
        self._thread.join()
        self._rival.client.close()


class Stage:
    """A server, the Fanin in front of it and everybody else who is there. A context manager."""

    def __init__(self, server: Server, fanin: Fanin) -> None:
        self.server = server
        self.fanin = fanin
        self.root: Any = server.connect()
        run(self.root, "SET SESSION lock_wait_timeout = 20, SESSION sql_mode = ''")
        if server.kind == "mariadb":
            # FOUND_ROWS() of a new connection is what the last one has left in its thread
            run(self.root, "SET GLOBAL thread_cache_size = 0")
        # MyISAM on MySQL: see exceptions.NOT_GENERATED
        engine = "InnoDB" if server.kind == "mysql" else "MyISAM"
        self._content = [statement.replace("ENGINE=MyISAM", f"ENGINE={engine}") for statement in MADE]
        self._pristine: Dump | None = None
        self._last: Dump = {}
        self._neighbours: list[Neighbour] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *error: object) -> None:
        for neighbour in self._neighbours:
            neighbour.leave()
        self.root.close()

    def play(self, program: Program) -> tuple[Played, Played]:
        """What a direct connection answers, and what Fanin does."""
        direct = self._played(program, self.server.port, [])
        if not self._neighbours:
            self._neighbours = [Neighbour(self.fanin, self.server) for _ in range(NEIGHBOURS)]
        proxied = self._played(program, self.fanin.port, self._neighbours)
        for neighbour in self._neighbours:
            if neighbour.failure is not None:
                failure = neighbour.failure
                self._neighbours = []
                raise NeighbourError(f"a neighbour of {program.name} was served wrongly") from failure
        return direct, proxied

    def _played(self, program: Program, port: int, neighbours: list[Neighbour]) -> Played:
        self._renew()
        client = WireClient(
            port,
            capabilities=program.capabilities,
            collation=45,
            user=USER,
            password=PASSWORD,
            database=program.schema,
        )
        answers: Answers = []
        ids: dict[str, int] = defaultdict(lambda: UNKNOWN_STATEMENT)
        with client:
            for line in program.lines:
                for neighbour in neighbours:
                    neighbour.nudge()
                answers.append(_answer(line.step, client, ids))
                if answers[-1] == [CLOSED]:
                    break
            with contextlib.suppress(OSError):
                client.quit()
        if any(line.kind.startswith("xa") for line in program.lines):
            self._end_xa()
        return Played(answers, self._dump())

    def _end_xa(self) -> None:
        with self.root.cursor() as cursor:
            cursor.execute("XA RECOVER")
            for *_, xid in cursor.fetchall():
                with contextlib.suppress(pymysql.MySQLError):
                    cursor.execute(f"XA ROLLBACK '{xid}'")

    # The content

    def _renew(self) -> None:
        """Make the content as new, if the last program has changed it."""
        if self._pristine is not None and self._last == self._pristine:
            return
        run(self.root, *self._content)
        self._pristine = self._pristine or self._dump()

    def _dump(self) -> Dump:
        """Everything that is in the schemas."""
        self._last = dict(self._contents())
        return self._last

    def _contents(self) -> Iterator[tuple[str, Any]]:
        with self.root.cursor() as cursor:

            def rows(statement: str) -> list[Any]:
                cursor.execute(statement)
                return list(cursor.fetchall())

            existing = [name for (name,) in rows("SHOW DATABASES LIKE 'twin%'")]
            yield "schemas", existing
            for schema in existing:
                for table, kind in rows(f"SHOW FULL TABLES FROM {schema}"):
                    full_name = f"{schema}.`{table}`"
                    yield full_name, kind
                    if kind == "BASE TABLE":
                        yield f"SHOW CREATE TABLE {full_name}", rows(f"SHOW CREATE TABLE {full_name}")
                        yield f"SELECT * FROM {full_name}", rows(f"SELECT * FROM {full_name}")
            names = "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA LIKE 'twin%' ORDER BY 1"
            yield "routines", rows(names)


class NeighbourError(AssertionError):
    """Somebody else's session has suffered."""


def _answer(step: Step, client: WireClient, ids: dict[str, int]) -> list[bytes]:
    try:
        return step.run(client, ids)
    except TimeoutError:
        raise
    except OSError:
        return [CLOSED]
