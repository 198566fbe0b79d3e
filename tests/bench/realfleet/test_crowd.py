"""Clients ask, are answered, and come back when their sidecar does."""

from __future__ import annotations

from bench.realfleet.crowd import Crowd
from protocol.packets import Column, text_resultset
from tests.bench.fakes import HANG_UP, FakeServer, error, until


def answer_to(number: int) -> bytes:
    return text_resultset(
        [Column(b"SLEEP(0)"), Column(b"n")], [[b"0", b"%d" % number]], status=2, deprecate_eof=False
    )


def question(number: int) -> str:
    return f"SELECT SLEEP(0), {number}"


async def crowd_of(fake: FakeServer, clients: int = 3, sidecars: int = 1) -> Crowd:
    for number in range(clients * sidecars):
        fake.answers[question(number)] = answer_to(number)
    crowd = Crowd([fake.target] * sidecars, clients, 0.0, 1)
    for sidecar in range(sidecars):
        crowd.ask_after(sidecar, 0.001)
    await crowd.connect(list(range(sidecars)))
    return crowd


async def test_everybody_is_served_and_rests_at_the_end(fake: FakeServer) -> None:
    crowd = await crowd_of(fake, sidecars=2)
    await until(lambda: not crowd.unserved() and crowd.answers > 20)
    assert fake.most_open == 6 and not crowd.errors and crowd.latencies.total > 0
    crowd.stop()
    await until(lambda: not any(caller.line and caller.line.is_asking for caller in crowd.everybody()))
    answers = crowd.answers
    assert all(caller.timer is None for caller in crowd.everybody()) and fake.open == 6
    crowd.close()
    await until(lambda: fake.open == 0)
    assert crowd.answers == answers


async def test_another_pause_holds_at_once(fake: FakeServer) -> None:
    for number in range(2):
        fake.answers[question(number)] = answer_to(number)
    crowd = Crowd([fake.target], 2, 0.0, 1)
    crowd.ask_after(0, 1e9)
    await crowd.connect([0])
    assert all(caller.timer is not None for caller in crowd.everybody())
    crowd.ask_after(0, 0.001)
    await until(lambda: not crowd.unserved())
    crowd.close()


async def test_a_wrong_answer_is_an_error_and_so_is_one_of_the_server(fake: FakeServer) -> None:
    crowd = await crowd_of(fake)
    fake.answers[question(0)] = answer_to(1)
    fake.answers[question(1)] = error(1040, b"Too many connections")
    await until(lambda: crowd.errors["wrong answer"] > 1 and crowd.errors["1040"] > 1)
    assert crowd.examples["1040"] == "1040 Too many connections" or "Too many" in crowd.examples["1040"]
    crowd.close()


async def test_who_loses_the_connection_with_the_sidecar_comes_back_with_it(fake: FakeServer) -> None:
    crowd = await crowd_of(fake)
    crowd.gone.add(0)
    for number in range(3):
        fake.answers[question(number)] = HANG_UP
    await until(lambda: crowd.cut_off == 3)
    assert not crowd.errors
    for number in range(3):
        fake.answers[question(number)] = answer_to(number)
    await crowd.revive(0)
    before = crowd.answers
    await until(lambda: crowd.answers > before)
    assert not crowd.errors and not crowd.gone
    crowd.close()


async def test_who_loses_it_otherwise_is_an_error(fake: FakeServer) -> None:
    crowd = await crowd_of(fake)
    fake.answers[question(0)] = HANG_UP
    await until(lambda: crowd.errors["lost"] == 1)
    crowd.close()


async def test_who_is_refused_is_counted(fake: FakeServer) -> None:
    fake.refusal = error(1040, b"Too many connections")[4:]
    crowd = await crowd_of(fake)
    assert crowd.errors == {"login 1040": 3}
    crowd.close()


async def test_who_comes_after_the_end_asks_nothing(fake: FakeServer) -> None:
    crowd = Crowd([fake.target], 1, 0.0, 1)
    crowd.stop()
    await crowd.connect([0])
    assert crowd.callers[0][0].timer is None and fake.open == 1
    crowd.close()


async def test_who_waits_for_long_or_is_away_starves(fake: FakeServer) -> None:
    crowd = await crowd_of(fake)
    crowd.begin()
    await until(lambda: crowd.latencies.total > 0)
    assert crowd.starved() == 0
    waiting, away, _ = crowd.everybody()
    assert waiting.line is not None and away.line is not None
    waiting.rest()
    waiting.line.is_asking = True
    waiting.asked_at = 0
    away.rest()
    away.line.close()
    away.line = None
    assert crowd.starved() == 2
    crowd.close()
