"""Clients that have prepared statements and do nothing, and such that wait nearly all the time."""

from __future__ import annotations

from random import Random

from bench.commands import Execute, Prepare
from bench.workload import Idle, Step, Turn


class IdleWithStatements(Idle):
    """Each client prepares the same texts, executes each of them once and rests. Statements must be numbered from 1 up for each client, as
    Fanin and MySQL do; MariaDB itself does not.
    """

    def __init__(self, statements: int) -> None:
        self._prepares = [Prepare(f"SELECT ? + {number}") for number in range(statements)]
        self._executes = [Execute(number, [number], title="execute") for number in range(1, statements + 1)]

    def greeting(self, number: int) -> list[Step]:
        return [*self._prepares, *self._executes]


class Waiting(Idle):
    """Each question takes a known time on the server: with more clients than backends the others wait, and nobody has anything to do."""

    name = "waiting"

    def __init__(self, seconds: float) -> None:
        self._step = Step(f"SELECT SLEEP({seconds})", rows=[(b"0",)], repeats=True)

    def turn(self, number: int, random: Random) -> Turn:
        yield self._step
