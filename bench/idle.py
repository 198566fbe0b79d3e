"""Clients that have prepared statements and do nothing."""

from __future__ import annotations

from bench.commands import Execute, Prepare
from bench.workload import Idle, Step


class IdleWithStatements(Idle):
    """Each client prepares the same texts, executes each of them once and rests. Statements must be numbered from 1 up for each client, as
    Fanin and MySQL do; MariaDB itself does not.
    """

    def __init__(self, statements: int) -> None:
        self._prepares = [Prepare(f"SELECT ? + {number}") for number in range(statements)]
        self._executes = [Execute(number, [number], title="execute") for number in range(1, statements + 1)]

    def greeting(self, number: int) -> list[Step]:
        return [*self._prepares, *self._executes]
