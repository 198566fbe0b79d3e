"""What a reader that lags gets, and what being watched costs servers: `python -m tests.faults.lagging mysql|mariadb`.

A reader of the emulator is frozen and thawed under reads and writes, then tells for 20 s a lag around `routing.max_lag`. At last it is counted on the
servers of a replication what the monitor asks in peace.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from random import Random
from typing import Final

from bench.cluster import Cluster
from tests.fakes.aurora.cluster import Aurora
from tests.faults.consistency import has_readers, prepare, proxy, upstream_of
from tests.integration.running import Fanin, eventually, run, value

READING: Final = 8
MAX_LAG: Final = 1.0
AT_BORDER: Final = 20.0
"""Seconds."""
LAGGARD: Final = "db-2"


class Readers:
    """Clients that read all the time; when the last read began that ran on each server."""

    def __init__(self, fanin: Fanin) -> None:
        self.last: dict[str, float] = {}
        self.errors: list[BaseException] = []
        self._fanin = fanin
        self._is_over = threading.Event()
        targets = [self._read] * READING + [self._write]
        self._threads = [threading.Thread(target=target) for target in targets]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        try:
            with contextlib.closing(self._fanin.connect()) as client:
                while not self._is_over.wait(0.02):
                    began = time.monotonic()
                    self.last[value(client, "SELECT name FROM place")] = began
        except Exception as error:
            self.errors.append(error)

    def _write(self) -> None:
        with contextlib.closing(self._fanin.connect()) as client:
            while not self._is_over.wait(0.05):
                run(client, "UPDATE counters SET n = n + 1 WHERE id = 1")

    def wait(self, seconds: float) -> None:
        self._is_over.wait(seconds)

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def is_eligible(fanin: Fanin) -> bool:
    members = fanin.state()["topology"]["members"]
    return any(each["name"] == LAGGARD and each.get("is_eligible") for each in members)


def freeze(aurora: Aurora, readers: Readers) -> None:
    frozen_at = time.monotonic()
    aurora.freeze(LAGGARD)
    readers.wait(6.0)
    print(f"frozen: the last read there began {readers.last[LAGGARD] - frozen_at:.2f} s later")
    thawed_at = time.monotonic()
    aurora.thaw(LAGGARD)
    eventually(lambda: readers.last[LAGGARD] > thawed_at)
    print(f"thawed: the first read there began {readers.last[LAGGARD] - thawed_at:.2f} s later")


def changes_at_border(aurora: Aurora, fanin: Fanin, readers: Readers) -> int:
    """How often its eligibility changes."""
    random, changes, was_eligible = Random(1), 0, is_eligible(fanin)
    until = time.monotonic() + AT_BORDER
    while time.monotonic() < until:
        aurora.report_lag(LAGGARD, MAX_LAG + random.uniform(-0.1, 0.1))
        readers.wait(0.1)
        changes += is_eligible(fanin) != was_eligible
        was_eligible = is_eligible(fanin)
    return changes


def watch(kind: str) -> None:
    """What a monitor asks of a writer and two readers."""
    topology = {"monitor_user": "root"}
    with Cluster(kind) as cluster, Fanin(upstream=upstream_of(cluster), topology=topology) as fanin:
        eventually(lambda: has_readers(fanin, 2))
        pause = threading.Event()
        pause.wait(3.0)
        began, before = time.monotonic(), [each.status("Questions") for each in cluster.servers]
        pause.wait(20.0)
        seconds, after = time.monotonic() - began, [each.status("Questions") for each in cluster.servers]
        # what it takes to ask
        own = [each.status("Questions") - count for each, count in zip(cluster.servers, after, strict=True)]
    counts = [last - first - ours for last, first, ours in zip(after, before, own, strict=True)]
    print(f"statements a second of the monitor: {[round(count / seconds, 2) for count in counts]}")


def main(kind: str) -> int:
    """Whether a client got an error."""
    with Aurora(kind, interval=0.1) as aurora:
        prepare(aurora)
        with proxy(aurora, "aurora") as fanin:
            with contextlib.closing(fanin.connect()) as client:
                value(client, "SELECT 1")
            eventually(lambda: has_readers(fanin, len(aurora.readers)))
            readers = Readers(fanin)
            try:
                eventually(lambda: LAGGARD in readers.last)
                freeze(aurora, readers)
                print(f"changes of eligibility at the border: {changes_at_border(aurora, fanin, readers)}")
            finally:
                readers.stop()
    print(f"errors: {readers.errors}", flush=True)
    watch(kind)
    return len(readers.errors)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
