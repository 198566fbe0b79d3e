from __future__ import annotations

from bench.idle import IdleWithStatements
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
