import pytest

from bench.client import Target
from bench.load import Group
from bench.servers import Server
from bench.visits import Visits
from bench.workload import Idle, Rows
from protocol.packets import build_err
from tests.bench.fakes import FakeServer, error, until
from tests.bench.test_load import Script


async def played(visits: Visits, turns: int) -> Visits:
    await visits.open()
    visits.start()
    await until(lambda: visits.turns >= turns)
    await visits.stop()
    visits.close()
    return visits


async def test_visitors_come_play_a_turn_and_leave(fake: FakeServer) -> None:
    visits = await played(Visits(Group(fake.target, Script("DO 0", "DO 1"), 3, 3)), 10)
    assert visits.errors == {} and visits.connected == 3 and not visits.connects_first
    assert fake.most_open <= 6  # who leaves may be gone a little later than the next one comes
    assert visits.queries == visits.histogram.total == fake.statements.count("DO 1") >= 10
    await until(lambda: fake.open == 0)


async def test_visit_of_an_idle_workload_is_a_login(fake: FakeServer) -> None:
    visits = await played(Visits(Group(fake.target, Idle(), 2, 2)), 5)
    assert visits.queries >= 5 and not fake.statements


async def test_visits_that_fail_are_errors(fake: FakeServer) -> None:
    fake.answers["DO 0"] = error(1213, b"Deadlock")
    visits = await played(Visits(Group(fake.target, Script("DO 0"), 1, 1)), 2)
    assert visits.queries == 0 and visits.errors["1213"] == visits.turns
    fake.refusal = build_err(1040, b"08004", b"Too many connections")
    refused = await played(Visits(Group(fake.target, Script("DO 0"), 1, 1)), 2)
    assert set(refused.errors) == {"login 1040"}


async def test_visits_end_when_they_are_closed(fake: FakeServer) -> None:
    visits = Visits(Group(fake.target, Script("DO 0"), 2, 2))
    visits.start()
    await until(lambda: visits.turns > 2)
    visits.close()
    await until(lambda: fake.open == 0)


@pytest.mark.mariadb
async def test_visits_of_a_real_server(mariadb: Server) -> None:
    mariadb.sql("DROP TABLE IF EXISTS app.rows_visits")
    workload = Rows("visits", per_query=1, per_turn=1, owners=2)
    for statement in workload.schema(2):
        with mariadb.connect(database="app") as connection, connection.cursor() as cursor:
            cursor.execute(statement)
    target = Target(mariadb.host, mariadb.port)
    visits = await played(Visits(Group(target, workload, 2, 2)), 10)
    assert visits.errors == {} and visits.queries >= 10
