"""What the tests of this folder have in common: a program of one client is played twice, on a direct connection and through Fanin in
front of the same server, with a pool of one and a thief who takes that backend and uses it whenever the session has given it back.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from bench.servers import Server
from protocol.packets import parse_err
from proxy.pins import PinReason
from tests.integration.answers import comparable, told
from tests.integration.running import PATIENCE, Fanin, eventually, run
from tests.integration.steps import Step, script
from tests.integration.wire import PLAIN, WireClient, text_rows

COM_QUERY: Final = 0x03
SCHEMA: Final = "traps"
INSERT: Final = "INSERT INTO t (v, s) VALUES (100, 'x')"
COUNT: Final = "SELECT COUNT(*) FROM t"

CONTENT: Final = (
    "CREATE DATABASE IF NOT EXISTS thief",
    "CREATE TABLE IF NOT EXISTS thief.r (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=1000000",
    "DROP DATABASE IF EXISTS traps",
    "DROP DATABASE IF EXISTS other",
    "CREATE DATABASE traps CHARACTER SET utf8mb4",
    "CREATE DATABASE other CHARACTER SET latin1",
    "CREATE TABLE traps.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE, s VARCHAR(20))",
    "CREATE TABLE traps.parent (id INT PRIMARY KEY)",
    "CREATE TABLE traps.child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id))",
    "CREATE TABLE other.t (id INT AUTO_INCREMENT PRIMARY KEY, w INT)",
)
CLEAN: Final = (
    "TRUNCATE other.t",
    "TRUNCATE traps.t",
    "INSERT INTO traps.t (id, v, s) VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, NULL)",
)
WRITES: Final = re.compile(
    r"INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|TRUNCATE|CALL|LOAD|Prepare|PREPARE|Meanwhile|writes"
)
THIEFS_STATE: Final = (
    "SET NAMES latin1 COLLATE latin1_german1_ci",
    "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT', time_zone = '-05:00', foreign_key_checks = 0",
    "SET group_concat_max_len = 77, lc_time_names = 'fr_FR', autocommit = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
THIEFS_QUESTION: Final = (
    "SELECT LAST_INSERT_ID() AS i,"
    " CONCAT_WS('|', @@sql_mode, @@group_concat_max_len, DATABASE(), @@collation_connection) AS s"
)

T = TypeVar("T")

dirty: set[int] = set()
"""Ports of servers whose tables may not be as CLEAN makes them."""


class Thief:
    """A client that leaves as much as it can on the backend, and looks whether its own is still there."""

    def __init__(self, fanin: Fanin) -> None:
        self.fanin = fanin
        self.client = WireClient(fanin.port, database="thief")
        for statement in THIEFS_STATE:
            self.client.ok(statement)
        self.insert_id = b"0"
        self.turns = 0
        self.is_waiting = False
        # its last turn went well
        self.is_fit = True

    def wait(self) -> None:
        """Ask for the backend while somebody has it: nothing comes before that one gives it back."""
        if not self.is_waiting:
            self.is_fit = False
            self.client.send_query(THIEFS_QUESTION)
            self.is_waiting = True
            eventually(lambda: self.fanin.endpoint()["waiting"] == 1, "the thief has to wait")

    def turn(self) -> None:
        """Take the backend and use it. Fails when it is not free in time."""
        client, self.is_fit = self.client, False
        if not self.is_waiting:
            client.send_query(THIEFS_QUESTION)
        self.is_waiting = False
        assert text_rows(client.response(COM_QUERY), False) == [
            [self.insert_id, b"PIPES_AS_CONCAT,ANSI_QUOTES|77|thief|latin1_german1_ci"]
        ]
        self.insert_id = str(client.ok("INSERT INTO r () VALUES ()").insert_id).encode()
        client.query("SELECT * FROM nothing")
        self.turns += 1
        self.is_fit = True


@dataclass(frozen=True)
class Meanwhile(Step):
    """Something that others do, on the server or elsewhere."""

    do: Callable[[], object]

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        self.do()
        return []


class Trap:
    """One server, Fanin in front of it, and the thief."""

    def __init__(self, server: Server, fanin: Fanin, root: Any, thief: Thief) -> None:
        self.server = server
        self.fanin = fanin
        self.root = root
        self.thief = thief

    @property
    def is_mariadb(self) -> bool:
        return self.server.kind == "mariadb"

    # --- clients

    @contextlib.contextmanager
    def direct(self, **arguments: Any) -> Iterator[WireClient]:
        """A client of the server."""
        with WireClient(self.server.port, **{"database": SCHEMA, **arguments}) as client:
            yield client

    @contextlib.contextmanager
    def through(self, **arguments: Any) -> Iterator[WireClient]:
        """A client of Fanin."""
        with WireClient(self.fanin.port, **{"database": SCHEMA, **arguments}) as client:
            yield client

    def clean(self, is_written: bool = True) -> None:
        """Every table as it was. `is_written`: it will not stay so."""
        if is_written or self.server.port in dirty:
            run(self.root, *CLEAN)
        if is_written:
            dirty.add(self.server.port)
        else:
            dirty.discard(self.server.port)

    # --- what keeps a session's backend

    def kept(self, client: WireClient) -> str:
        """What keeps the backend: `transaction`, reasons of pins, joined by `+`; nothing when the session has given it back."""
        session = self.fanin.settled(client.thread_id)
        if session["state"] != "holding":
            return ""
        found = ["transaction"] if session["condition"] == "in transaction" else []
        pins = {pin["reason"] for pin in session["pins"]}
        return "+".join([*found, *(reason.value for reason in PinReason if reason.value in pins)])

    def steal(self, client: WireClient) -> str:
        """Let the thief take the backend, or have to wait for it; what kept it from that."""
        kept = self.kept(client)
        if kept:
            self.thief.wait()
        else:
            self.thief.turn()
        return kept

    # --- programs

    def play(self, *steps: str | bytes | Step, capabilities: int = 0, **arguments: Any) -> list[str]:
        """Play these steps both ways and compare every byte of the answers. What kept the backend after each step.

        Whenever nothing does the thief has it before the next step; and when the client has gone.
        """
        played = script("", *steps).steps
        capabilities |= PLAIN
        is_written = WRITES.search(repr(played)) is not None
        self.clean(is_written)
        with self.direct(capabilities=capabilities, **arguments) as client:
            wanted, _ = self._play(played, client, lambda client: "")
            client.quit()
        self.clean(is_written)
        with self.through(capabilities=capabilities, **arguments) as client:
            got, kept = self._play(played, client, self.steal)
            client.quit()
        self.thief.turn()
        for step, expected, answer in zip(played, wanted, got, strict=True):
            differs = [comparable(each, capabilities) for each in answer] != [
                comparable(each, capabilities) for each in expected
            ]
            assert not differs, (
                f"{step}\n   direct: {[told(each, capabilities) for each in expected]}"
                f"\n  through: {[told(each, capabilities) for each in answer]}"
            )
        return kept

    @staticmethod
    def _play(
        steps: Sequence[Step], client: WireClient, between: Callable[[WireClient], str]
    ) -> tuple[list[list[bytes]], list[str]]:
        ids: dict[str, int] = {}
        answers, kept = [], []
        for step in steps:
            answers.append(step.run(client, ids))
            kept.append(between(client))
        return answers, kept

    def same(self, program: Callable[[WireClient], T], **arguments: Any) -> T:
        """What a program gives on a direct connection; it has to give the same through Fanin."""
        self.clean()
        with self.direct(**arguments) as client:
            wanted = program(client)
        self.clean()
        with self.through(**arguments) as client:
            got = program(client)
        self.thief.turn()
        assert got == wanted
        return wanted


def error_code(answer: list[bytes]) -> int:
    """The code of the error that an answer ends with; 0 when it ends well."""
    return parse_err(answer[-1]).code if answer[-1][0] == 0xFF else 0


def is_closed(client: WireClient) -> bool:
    """Whether the other end closes the connection, without another word."""
    client.socket.settimeout(PATIENCE)
    with contextlib.suppress(ConnectionResetError):
        return client.stream.read() == b""
    return True
