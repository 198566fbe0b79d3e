"""What failovers cost clients that write: `python -m tests.faults.failovers mysql|mariadb planned|crash [TIMES]`.

Six clients write one row after the other, four in transactions, twenty rest. `planned`: the emulator moves the writer's role, with half a second in which
nobody has it, its table stale and its name late. `crash`: a real writer is killed, and its replica promoted; what that had not got yet is
lost by the servers' doing.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any, Final

import pymysql

from tests.fakes.aurora.cluster import Aurora
from tests.fakes.aurora.named_fanin import NamedFanin
from tests.integration.running import Fanin, eventually, run, value
from tests.integration.test_aurora_failover import roles, wanted
from tests.integration.test_failover import Work, goes_on, is_writer, keys, switching
from tests.integration.test_monitor import promote

RESTING: Final = 20
GAP: Final = 0.5


class Losses:
    """What went wrong for whom."""

    def __init__(self) -> None:
        self.plain: Counter[int] = Counter()
        self.transactions: Counter[int] = Counter()
        self.resting = 0
        self.written = self.lost = self.unexpected = 0
        self.longest: list[float] = []

    def look(self, works: list[Work], found: set[int]) -> None:
        """The writers have stopped; ``found`` is there in the end."""
        for work in works:
            (self.transactions if work.in_transactions else self.plain).update(work.errors)
        written = {key for work in works for key in work.written}
        self.written += len(written)
        self.lost += len(written - found)
        self.unexpected += len(found - written - {key for work in works for key in work.unclear})

    def ask(self, resting: list[Any]) -> None:
        """Have those who rested noticed anything?"""
        for client in resting:
            try:
                self.resting += value(client, "SELECT @@time_zone") != "+03:00"
            except pymysql.err.MySQLError:
                self.resting += 1

    def show(self) -> None:
        print(f"rows written: {self.written}, lost: {self.lost}, unexpected: {self.unexpected}")
        print(f"errors: of single statements {dict(self.plain)}, in transactions {dict(self.transactions)}")
        print(f"clients that rested and noticed: {self.resting}")
        print(f"longest command, each time: {[round(seconds, 2) for seconds in self.longest]}", flush=True)


def resting_clients(fanin: Fanin) -> list[Any]:
    found = [fanin.connect() for _ in range(RESTING)]
    for client in found:
        run(client, "SET time_zone = '+03:00'")
    return found


def working_clients(fanin: Fanin) -> list[Work]:
    return [Work(fanin, number, in_transactions=number >= 6) for number in range(10)]


def fails_over(aurora: Aurora, fanin: Fanin, works: list[Work], turn: int) -> float:
    """The longest that anybody has waited."""
    goes_on(works)
    for work in works:
        work.slowest = 0.0
    to = aurora.readers[turn % len(aurora.readers)].name
    aurora.failover(to, gap=GAP, stale=1.0, dns=2.0)
    eventually(lambda: roles(fanin) == wanted(aurora))
    goes_on(works)
    return max(work.slowest for work in works)


def planned(kind: str, times: int, losses: Losses) -> None:
    """One cluster, so many failovers."""
    with Aurora(kind) as aurora, NamedFanin(aurora, pool={"size": 8}, topology={"kind": "aurora"}) as fanin:
        resting = resting_clients(fanin)
        run(resting[0], "CREATE TABLE t (id BIGINT PRIMARY KEY)")
        eventually(lambda: roles(fanin) == wanted(aurora))
        works = working_clients(fanin)
        for turn in range(times):
            losses.longest.append(fails_over(aurora, fanin, works, turn))
            losses.ask(resting)
        for work in works:
            work.stop()
        losses.look(works, keys(aurora.writer.server))


def crashes(kind: str, losses: Losses) -> None:
    """One cluster, which loses its writer."""
    with switching(kind, pool={"size": 8}, topology={"monitor_user": "root"}) as (cluster, fanin):
        new_writer = cluster.readers[0]
        resting = resting_clients(fanin)
        eventually(lambda: is_writer(fanin, "w"))
        works = working_clients(fanin)
        goes_on(works)
        killed = time.monotonic()
        cluster.writer.halt(by_force=True)
        promote(new_writer)
        print(f"promoted {time.monotonic() - killed:.2f} s after the kill", flush=True)
        eventually(lambda: is_writer(fanin, "r"))
        goes_on(works)
        for work in works:
            work.stop()
        losses.longest.append(max(work.slowest for work in works))
        losses.look(works, keys(new_writer))
        losses.ask(resting)


def main(kind: str, what: str, times: str = "20") -> int:
    """Whether anybody lost what they should not: a planned failover loses nothing."""
    losses = Losses()
    if what == "planned":
        planned(kind, int(times), losses)
    else:
        for _ in range(int(times)):
            crashes(kind, losses)
    losses.show()
    is_wrong = losses.unexpected or losses.resting or (what == "planned" and (losses.lost or losses.plain))
    return 1 if is_wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
