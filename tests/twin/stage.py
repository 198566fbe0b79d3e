"""Plays a program twice: on a direct connection, and through a paranoid Fanin among noisy neighbours.

Both times the schema is as new, has the same name, and what the program has made of it is read afterwards.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pymysql

from bench.servers import PASSWORD, USER, Server
from tests.integration.running import Fanin, eventually, rows, run
from tests.integration.steps import Step
from tests.integration.test_compare import Rival
from tests.integration.wire import TRACKING, WireClient
from tests.twin.content import Content, Dump
from tests.twin.programs import CLOSED, LAST_STATEMENT, UNKNOWN_STATEMENT, Program
from tests.twin.readers import Replicas, await_readers, has_learned

POOL: Final = {"size": 2, "paranoid": True}
NEIGHBOURS: Final = 2
TURNS_FOR_A_READ: Final = 4
OTHER_USER: Final = "twin_other"
MADE_USER: Final = "twin_made"
ACCOUNTS: Final = (
    f"CREATE USER IF NOT EXISTS {OTHER_USER}@'%' IDENTIFIED BY 'other'",
    *[f"GRANT ALL ON {schema}.* TO {OTHER_USER}@'%'" for schema in ("twin", "twin2", "twin3")],
    "CREATE ROLE IF NOT EXISTS twin_role",
    "GRANT SELECT ON twin.* TO twin_role",
    f"GRANT twin_role TO {USER}@'%'",
)

Answers = list[list[bytes]]


@dataclass(frozen=True)
class Played:
    """What came back, a list of payloads for each step, and the content afterwards."""

    answers: Answers
    dump: Dump


class Neighbour:
    """A client of the same user that does stateful work of its own, a turn for each of ours, and looks whether all is right."""

    def __init__(self, fanin: Fanin, server: Server, has_readers: bool) -> None:
        self._rival = Rival(fanin, server)
        self._has_readers = has_readers
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
                if self._has_readers and self.turns % TURNS_FOR_A_READ == 0:
                    self._rival.read()
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
    """A server, what of Fanin stands in front of it and everybody else who is there. A context manager."""

    def __init__(self, server: Server, fanins: Mapping[str, Fanin], replicas: Replicas | None = None) -> None:
        """`fanins` by what they do with readers, "" where there are none; `replicas` are those, and follow the server."""
        self.server = server
        self.fanins = fanins
        self.root: Any = server.connect()
        run(
            self.root,
            # what has just ended may still be rolled back
            "SET SESSION lock_wait_timeout = 20, SESSION innodb_lock_wait_timeout = 20, SESSION sql_mode = '', SESSION foreign_key_checks = 0",
        )
        if server.kind == "mariadb":
            # FOUND_ROWS() of a new connection is what the last one has left in its thread
            run(self.root, "SET GLOBAL thread_cache_size = 0")
        run(self.root, *ACCOUNTS)
        for fanin in fanins.values():
            self._begin(fanin)
        self._content = Content(self.root, server.kind)
        self._replicas = replicas
        self._neighbours: dict[str, list[Neighbour]] = {}

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *error: object) -> None:
        for variant in list(self._neighbours):
            self._dismiss(variant)
        self.root.close()

    def _begin(self, fanin: Fanin) -> None:
        with WireClient(fanin.port, capabilities=TRACKING) as tracking:
            # once somebody tracks, others leave nothing to be told
            tracking.query("DO 1")

    def _dismiss(self, variant: str) -> None:
        for neighbour in self._neighbours.pop(variant):
            neighbour.leave()

    def play(self, program: Program) -> tuple[Played, Played]:
        """What a direct connection answers, and what Fanin does."""
        direct = self.play_directly(program)
        fanin = self.fanins[program.readers]
        if program.readers not in self._neighbours:
            self._neighbours[program.readers] = [
                Neighbour(fanin, self.server, bool(program.readers)) for _ in range(NEIGHBOURS)
            ]
        neighbours = self._neighbours[program.readers]
        proxied = self._played(program, fanin.port, neighbours)
        for neighbour in neighbours:
            if neighbour.failure is not None:
                failure = neighbour.failure
                self._dismiss(program.readers)
                raise NeighbourError(f"a neighbour of {program.name} was served wrongly") from failure
        if program.readers and has_learned(fanin):
            self._dismiss(program.readers)
            fanin.stop()
            self._begin(fanin.start())
            await_readers(fanin)
        return direct, proxied

    def play_directly(self, program: Program) -> Played:
        """What a direct connection answers."""
        return self._played(program, self.server.port, [])

    def _played(self, program: Program, port: int, neighbours: list[Neighbour]) -> Played:
        self._content.renew()
        if self._replicas is not None:
            self._replicas.catch_up()
        client = WireClient(
            port,
            capabilities=program.capabilities,
            collation=program.collation,
            user=USER,
            password=PASSWORD,
            database=program.schema,
        )
        answers: Answers = []
        ids = defaultdict(lambda: UNKNOWN_STATEMENT, {"last": LAST_STATEMENT})
        with client:
            for line in program.lines:
                for neighbour in neighbours:
                    neighbour.nudge()
                answers.append(_answer(line.step, client, ids))
                if answers[-1] == [CLOSED]:
                    break
            with contextlib.suppress(OSError):
                client.quit()
        if any("XA PREPARE" in str(line.step) for line in program.lines):
            # a connection that has just ended may still own its transaction
            eventually(self._ends_xa, "no XA transaction is left")
        if any(MADE_USER in str(line.step) for line in program.lines):
            # the program may have been cut off in front of its DROP USER
            run(self.root, f"DROP USER IF EXISTS {MADE_USER}@'%'")
        if self._replicas is not None:
            self._replicas.catch_up()
        return Played(answers, self._content.dump())

    def _ends_xa(self) -> bool:
        left = rows(self.root, "XA RECOVER CONVERT XID" if self.server.kind == "mysql" else "XA RECOVER")
        for _, length, _, xid in left:
            found = bytes.fromhex(xid[2:]) if isinstance(xid, str) else xid
            named = ", ".join(f"X'{part.hex()}'" for part in (found[:length], found[length:]))
            with contextlib.suppress(pymysql.MySQLError):
                run(self.root, f"XA ROLLBACK {named}")
        return not left


class NeighbourError(AssertionError):
    """Somebody else's session has suffered."""


def _answer(step: Step, client: WireClient, ids: dict[str, int]) -> list[bytes]:
    try:
        return step.run(client, ids)
    except TimeoutError:
        raise
    except OSError:
        return [CLOSED]
