from __future__ import annotations

from random import Random

from bench.idle import IdleWithStatements, Waiting
from bench.workloads import workload_of


def test_each_text_is_prepared_and_executed_once() -> None:
    workload = workload_of("idle", statements=2)
    assert isinstance(workload, IdleWithStatements)
    assert [step.sql for step in workload.greeting(7)] == [
        "prepare SELECT ? + 0",
        "prepare SELECT ? + 1",
        "execute (1,)",
        "execute (2,)",
    ]
    assert workload_of("idle").greeting(7) == []


def test_who_waits_asks_one_long_question() -> None:
    workload = Waiting(0.5)
    (step,) = workload.turn(1, Random(1))
    assert step.sql == "SELECT SLEEP(0.5)" and step.rows == [(b"0",)]
    assert list(workload.schema(5)) == []
