import pytest

from bench.bulk import ROW, Bulk, Drain, question, schema
from bench.client import ClientError, Target, control, opened
from bench.servers import Server
from bench.workload import Step
from tests.bench.fakes import HANG_UP, FakeServer, error, rows

LINE = b"x" * 1000


@pytest.mark.mariadb
async def test_all_megabytes_of_a_real_server_come_through(mariadb: Server) -> None:
    target = Target(mariadb.host, mariadb.port)
    async with control(target) as ask:
        for statement in schema():
            await ask.run(Step(statement))
    load = Bulk(target, 20)
    await load.open()
    assert load.connected == 1
    load.start()
    await load.window(0.0)
    load.close()
    assert load.errors == {} and load.queries == 20
    assert load.figures["mb_per_second"] > 0
    assert load._drain is not None
    assert 0 < load._drain.count - 20_000 * ROW < 200


async def drained(fake: FakeServer, answer: bytes, least: int) -> int:
    fake.answers["big"] = answer
    drain = await opened(Drain(fake.target))
    try:
        await drain.drain(Step("big"), least)
        return drain.count
    finally:
        drain.close()


async def test_end_is_where_it_must_be(fake: FakeServer) -> None:
    answer = rows(*[LINE] * 5)
    assert await drained(fake, answer, 5 * ROW) == len(answer)
    with pytest.raises(ClientError, match="bytes instead of 1,007 and a few"):
        await drained(fake, answer, ROW)


async def test_error_in_place_of_the_result_is_one(fake: FakeServer) -> None:
    with pytest.raises(ClientError, match="too large") as refused:
        await drained(fake, error(1105, b"too large"), ROW)
    assert refused.value.label == "refused"
    with pytest.raises(ClientError) as lost:
        await drained(fake, HANG_UP, ROW)
    assert lost.value.label == "lost"


async def test_result_that_does_not_end_is_an_error(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.bulk.TRANSFER_TIMEOUT", 0.05)
    with pytest.raises(ClientError, match="bytes in 0 s"):
        await drained(fake, rows(LINE)[:-9], ROW)


async def test_failures_are_counted(fake: FakeServer) -> None:
    for megabytes in (1, 2):
        fake.answers[question(megabytes).sql] = error(1146, b"no such table")
    load = Bulk(fake.target, 2)
    await load.open()
    assert load.errors == {"refused": 1}
    await load.window(0.0)
    load.close()
    assert load.errors == {"refused": 2} and not load.figures


async def test_nobody_there_is_an_error() -> None:
    load = Bulk(Target("127.0.0.1", 1), 2)
    await load.open()
    await load.window(0.0)
    load.close()
    assert load.errors == {"connect": 1} and load.queries == 0 and load.connected == 0
