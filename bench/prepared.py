"""Rows read with binary prepared statements, to be set against the same reads as texts."""

from __future__ import annotations

from random import Random

from bench.commands import Execute, Prepare
from bench.workload import Rows, Step, Turn


class PreparedRows(Rows):
    """What `Rows` reads one by one. Each client prepares its statement once and executes it from then on, with its parameter's type each time as most
    drivers do."""

    def __init__(self, name: str, *, per_turn: int, owners: int, prefix: str = "") -> None:
        super().__init__(name, per_query=1, per_turn=per_turn, owners=owners, prefix=prefix)
        self._text = f"SELECT id, owner, body FROM {self._table} WHERE id = ?"
        self._prepared: dict[int, int] = {}  # a client's number and the id of its statement
        self._executes: dict[
            tuple[int, int], list[Step]
        ] = {}  # of an owner, with the id that the statement has

    def greeting(self, number: int) -> list[Step]:
        self._prepared.pop(number, None)  # whatever it was, it was another connection's
        return []

    def turn(self, number: int, random: Random) -> Turn:
        statement = self._prepared.get(number)
        if statement is None:
            response = yield Prepare(self._text)
            assert response is not None  # a step that does not repeat is always parsed
            statement = self._prepared[number] = response.statement_id
        key = number % self._owners, statement
        steps = self._executes.get(key)
        if steps is None:
            steps = self._executes[key] = self._executes_of(*key)
        for step in steps:  # noqa: UP028 (`yield from` a list cannot be sent a response)
            yield step

    def _executes_of(self, owner: int, statement: int) -> list[Step]:
        first = owner * self._block
        return [self._execute(statement, id_) for id_ in range(first, first + self._block)]

    def _execute(self, statement: int, id_: int) -> Step:
        step = Execute(statement, [id_], title="execute", rows=[self._row(id_)])
        step.repeats = True
        return step
