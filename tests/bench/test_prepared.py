from random import Random

import pytest

from bench.client import Target, control
from bench.commands import Execute, Prepare
from bench.load import Group, Load
from bench.prepared import PreparedRows
from bench.response import Response
from bench.servers import Server
from bench.workload import Step
from tests.bench.fakes import until


def prepared(statement_id: int) -> Response:
    response = Response()
    response.statement_id = statement_id
    return response


def steps_of(workload: PreparedRows, number: int, statement_id: int) -> list[Step]:
    turn = workload.turn(number, Random(1))
    steps = [next(turn)]
    try:
        while True:
            steps.append(turn.send(prepared(statement_id) if isinstance(steps[-1], Prepare) else None))
    except StopIteration:
        return steps


def test_statement_is_prepared_once_for_a_connection() -> None:
    workload = PreparedRows("mine", per_turn=2, owners=3)
    first = steps_of(workload, 4, 7)
    assert [type(step) for step in first] == [Prepare, Execute, Execute]
    assert [step.sql for step in first[1:]] == ["execute (2,)", "execute (3,)"]
    assert all(step.wire[5:9] == b"\x07\x00\x00\x00" and step.repeats for step in first[1:])
    assert steps_of(workload, 4, 0) == first[1:]
    # another connection of the same client
    assert workload.greeting(4) == []
    assert steps_of(workload, 4, 7)[1:] == first[1:]


@pytest.mark.mariadb
async def test_rows_of_a_real_server_are_right(mariadb: Server) -> None:
    workload, target = PreparedRows("ps", per_turn=3, owners=5), Target(mariadb.host, mariadb.port)
    async with control(target) as ask:
        for statement in workload.schema(5):
            await ask.run(Step(statement))
    load = Load([Group(target, workload, clients=8, active=3)])
    await load.open()
    load.start()
    await until(lambda: load.turns >= 50 or bool(load.errors))
    await load.stop()
    load.close()
    assert load.errors == {}
