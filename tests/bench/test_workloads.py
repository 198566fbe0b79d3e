from random import Random

import pytest

from bench.idle import IdleWithStatements
from bench.workload import Idle
from bench.workloads import NAMES, workload_of


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_its_workload(name: str) -> None:
    assert workload_of(name).name == name


@pytest.mark.parametrize("name", [name for name in NAMES if name != "idle"])
def test_the_tables_of_a_workload_have_its_prefix(name: str) -> None:
    workload = workload_of(name, "mine_")
    tables = workload.tables()
    assert tables
    assert all(table.startswith("mine_") for table in tables)
    created = [text for text in workload.schema(1) if text.startswith("CREATE TABLE")]
    assert len(created) == len(tables)
    assert all(any(text.startswith(f"CREATE TABLE {table} ") for text in created) for table in tables)


def test_clients_that_are_idle_have_as_many_statements_as_was_asked_for() -> None:
    with_statements = workload_of("idle", statements=3)
    assert isinstance(with_statements, IdleWithStatements)
    assert [step.sql.split()[0] for step in with_statements.greeting(0)] == ["prepare"] * 3 + ["execute"] * 3
    assert isinstance(workload_of("idle"), Idle)
    assert workload_of("idle").greeting(0) == []


def test_rows_are_read_a_hundred_at_a_time_or_one_by_one() -> None:
    for name, queries, rows in (("point", 4, 1), ("rows100", 1, 100), ("rows10000", 1, 10_000)):
        turn = workload_of(name).turn(0, Random(1))
        steps = list(turn)
        assert len(steps) == queries
        assert all(step.rows is not None and len(step.rows) == rows for step in steps)


def test_a_name_that_no_workload_has_is_an_error() -> None:
    with pytest.raises(KeyError):
        workload_of("bank")
