"""What those who read notice when a reader is killed, or stopped: `python -m tests.faults.killing mysql|mariadb [TIMES] [gently]`.

One of two readers is lost while 36 clients read, and started again: by single statements, prepared ones, results of many packets, and in read-only
transactions of one read and of three, with BEGIN and without autocommit.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from typing import Any, Final

import mysql.connector
import pymysql

from bench.cluster import Cluster
from bench.servers import HOST, PASSWORD, SCHEMA, USER
from tests.faults.consistency import has_readers, upstream_of
from tests.integration.running import Fanin, eventually, value

ROWS: Final = 1000
OF_EACH: Final = 6
ALL: Final = "SELECT id, text FROM t"
ONE: Final = "SELECT text FROM t WHERE id = 5"
BEGIN: Final = "START TRANSACTION READ ONLY"
TEXT: Final = "x" * 100


class Reading:
    """One client, which reads the same again and again; what it was told."""

    def __init__(self, name: str, *texts: str, is_autocommit: bool = True) -> None:
        self.name = name
        self.texts = texts
        self.is_autocommit = is_autocommit
        self.errors: Counter[int] = Counter()
        self.wrong = self.rounds = 0

    def work(self, port: int, is_over: threading.Event) -> None:
        """Until it is over."""
        client = pymysql.connect(
            host=HOST,
            port=port,
            user=USER,
            password=PASSWORD,
            database=SCHEMA,
            autocommit=self.is_autocommit,
            init_command=None if self.is_autocommit else "SET SESSION TRANSACTION READ ONLY",
        )
        with contextlib.closing(client), client.cursor() as cursor:
            while not is_over.wait(0.001):
                self.rounds += 1
                try:
                    self._read(cursor)
                except pymysql.err.MySQLError as error:
                    self.errors[error.args[0]] += 1
                    if not client.open:
                        client.connect()

    def _read(self, cursor: Any) -> None:
        for text in self.texts:
            cursor.execute(text)
            self.check(text, cursor.fetchall())

    def check(self, text: str, rows: Any) -> None:
        if text.startswith("SELECT"):
            self.wrong += len(rows) != (ROWS if text == ALL else 1) or any(row[-1] != TEXT for row in rows)


class Prepared(Reading):
    """By the binary protocol."""

    def work(self, port: int, is_over: threading.Event) -> None:
        while not is_over.is_set():
            client = mysql.connector.connect(
                host=HOST,
                port=port,
                user=USER,
                password=PASSWORD,
                database=SCHEMA,
                use_pure=True,
                autocommit=True,
            )
            with contextlib.closing(client):
                cursor = client.cursor(prepared=True)
                with contextlib.suppress(mysql.connector.errors.OperationalError):
                    self._execute(cursor, is_over)

    def _execute(self, cursor: Any, is_over: threading.Event) -> None:
        while not is_over.wait(0.001):
            self.rounds += 1
            try:
                cursor.execute("SELECT text FROM t WHERE id = %s", (5,))
                self.check(ONE, cursor.fetchall())
            except mysql.connector.errors.Error as error:
                self.errors[error.errno] += 1
                if error.errno == 2013:
                    raise


def clients() -> list[Reading]:
    found: list[Reading] = []
    for _ in range(OF_EACH):
        found += [
            Reading("single statements", ONE),
            Prepared("prepared statements"),
            Reading("long results", ALL),
            Reading("transactions of one read", BEGIN, ONE, "COMMIT"),
            Reading("transactions of three reads", BEGIN, ONE, ONE, ONE, "COMMIT"),
            Reading("the same without autocommit", ONE, ALL, ONE, "COMMIT", is_autocommit=False),
        ]
    return found


def fill(cluster: Cluster) -> None:
    cluster.writer.sql("CREATE TABLE app.t (id INT PRIMARY KEY, text VARCHAR(200))")
    cluster.writer.sql("INSERT INTO app.t VALUES " + ",".join(f"({id}, '{TEXT}')" for id in range(ROWS)))
    cluster.catch_up()


def play(cluster: Cluster, fanin: Fanin, times: int, by_force: bool) -> list[Reading]:
    """So many deaths, of one reader and the other in turns."""
    is_over = threading.Event()
    working = clients()
    threads = [threading.Thread(target=each.work, args=(fanin.port, is_over)) for each in working]
    for thread in threads:
        thread.start()
    pause = threading.Event()
    for turn in range(times):
        reader = cluster.readers[turn % 2]
        pause.wait(1.0)
        reader.halt(by_force=by_force)
        eventually(lambda: has_readers(fanin, 1))
        pause.wait(0.5)
        reader.start()
        eventually(lambda: has_readers(fanin, 2))
    is_over.set()
    for thread in threads:
        thread.join()
    return working


def main(kind: str, times: str = "10", how: str = "") -> int:
    """How many errors and wrong answers clients got."""
    with Cluster(kind) as cluster:
        fill(cluster)
        settings: dict[str, Any] = {
            "pool": {"size": 10},
            "routing": {"autocommit_reads": "reader"},
            "topology": {"monitor_user": "root"},
        }
        with Fanin(upstream=upstream_of(cluster), **settings) as fanin:
            with contextlib.closing(fanin.connect()) as client:
                value(client, "SELECT 1")
            eventually(lambda: has_readers(fanin, 2))
            working = play(cluster, fanin, int(times), how != "gently")
    for name in dict.fromkeys(each.name for each in working):
        group = [each for each in working if each.name == name]
        errors: Counter[int] = sum((each.errors for each in group), Counter())
        rounds, wrong = sum(each.rounds for each in group), sum(each.wrong for each in group)
        print(f"{name:28} {rounds:8} rounds, {wrong} wrong, errors {dict(errors)}", flush=True)
    return sum(each.errors.total() + each.wrong for each in working)


if __name__ == "__main__":
    sys.exit(min(1, main(*sys.argv[1:])))
