from collections.abc import Iterator
from random import Random

import pytest

from bench.load import Group, Load
from bench.workload import Step, Turn
from protocol.packets import build_err
from tests.bench.fakes import HANG_UP, OK, FakeServer, error, rows, until


class Script:
    """Every client plays the same statements, and they must be answered with the client's number, if at all."""

    name = "script"

    def __init__(self, *statements: str, greeting: str = "") -> None:
        self._statements = statements
        self._greeting = greeting
        self.played: list[int] = []

    def schema(self, clients: int) -> Iterator[str]:
        return iter(())

    def tables(self) -> list[str]:
        return []

    def greeting(self, number: int) -> list[Step]:
        return [Step(self._greeting)] if self._greeting else []

    def turn(self, number: int, random: Random) -> Turn:
        self.played.append(number)
        for statement in self._statements:
            expected: list[tuple[bytes | None, ...]] | None = (
                [(b"%d" % number,)] if statement.startswith("SELECT") else None
            )
            yield Step(statement.format(number=number), rows=expected)


async def play(load: Load, *, turns: int) -> None:
    """Open and start the load, stop it after so many turns or errors, and close it."""
    await load.open()
    load.start()
    await until(lambda: load.turns >= turns or bool(load.errors))
    await load.stop()
    load.close()


async def test_active_window_moves_over_all_clients(fake: FakeServer) -> None:
    script = Script("DO 0")
    load = Load([Group(fake.target, script, clients=10, active=2)])
    await play(load, turns=40)
    assert sorted(script.played[:10]) == list(range(10))
    assert sorted(script.played[10:20]) == list(range(10))
    assert load.errors == {}
    assert load.turns == load.queries == load.histogram.total == len(script.played)
    assert fake.most_open == 10


async def test_all_clients_are_connected_before_the_start(fake: FakeServer) -> None:
    load = Load([Group(fake.target, Script(greeting="SET NAMES utf8mb4"), clients=70, active=2)])
    seen: list[int] = []
    await load.open(seen.append)
    assert load.connected == 70
    assert seen == list(range(1, 71))
    assert fake.statements == ["SET NAMES utf8mb4"] * 70
    load.close()
    assert load.connected == 0


async def test_answer_meant_for_another_client_is_an_error(fake: FakeServer) -> None:
    fake.answers |= {"SELECT 0": rows(b"0"), "SELECT 1": rows(b"0")}
    load = Load([Group(fake.target, Script("SELECT {number}"), clients=2, active=1)])
    await play(load, turns=10)
    assert load.errors == {"wrong answer": 1}
    assert load.examples == {"wrong answer": "SELECT 1: [(b'0',)] instead of [(b'1',)]"}


async def test_failed_statement_ends_the_turn_with_a_rollback(fake: FakeServer) -> None:
    fake.answers["UPDATE"] = error(1213, b"Deadlock")
    load = Load([Group(fake.target, Script("BEGIN", "UPDATE", "COMMIT"), clients=1, active=1)])
    await play(load, turns=10)
    assert load.errors["1213"] == load.turns >= 1
    assert load.examples == {"1213": "1213 Deadlock"}
    assert fake.statements[:3] == ["BEGIN", "UPDATE", "ROLLBACK"]
    assert "COMMIT" not in fake.statements


async def test_rollback_that_fails_too_is_not_repeated(fake: FakeServer) -> None:
    fake.answers |= {"UPDATE": error(1213, b"Deadlock"), "ROLLBACK": error(2013, b"gone")}
    load = Load([Group(fake.target, Script("UPDATE"), clients=1, active=1)])
    await play(load, turns=10)
    assert fake.statements[:2] == ["UPDATE", "ROLLBACK"]
    assert load.errors["2013"] == load.errors["1213"]


async def test_lost_client_is_an_error_and_the_others_go_on(fake: FakeServer) -> None:
    fake.answers["SELECT 0"] = HANG_UP
    fake.answers["SELECT 1"] = rows(b"1")
    script = Script("SELECT {number}")
    load = Load([Group(fake.target, script, clients=2, active=1)])
    await load.open()
    load.start()
    await until(lambda: load.turns >= 5)
    await load.stop()
    assert load.errors == {"lost": 1}
    assert script.played[:4] == [0, 1, 1, 1]
    assert load.connected == 1
    load.close()


async def test_resting_client_that_is_lost_gets_no_turn(fake: FakeServer) -> None:
    script = Script("DO 0")
    load = Load([Group(fake.target, script, clients=2, active=1)])
    await load.open()
    (slots,) = load.slots
    load.start()
    resting = slots.resting[0]
    resting.broke("lost", "gone")
    assert resting not in slots.resting
    await load.stop()
    assert resting.number not in script.played
    load.close()


async def test_clients_that_cannot_connect_are_errors(fake: FakeServer) -> None:
    fake.refusal = build_err(1040, b"08004", b"Too many connections")
    load = Load([Group(fake.target, Script("DO 0"), clients=3, active=2)])
    await load.open()
    load.start()
    await load.stop()
    assert load.errors == {"login 1040": 3}
    assert load.connected == 0


async def test_greeting_that_is_refused_is_an_error(fake: FakeServer) -> None:
    fake.answers["SET x"] = error(1193, b"Unknown system variable")
    load = Load([Group(fake.target, Script("DO 0", greeting="SET x"), clients=1, active=1)])
    await load.open()
    assert load.errors == {"1193": 1}
    assert load.connected == 0


async def test_window_forgets_what_was_counted_before(fake: FakeServer) -> None:
    load = Load([Group(fake.target, Script("DO 0"), clients=1, active=1)])
    load.queries, load.turns = 5, 3
    load.histogram.record(7)
    load.begin_window()
    assert (load.queries, load.turns, load.histogram.total) == (0, 0, 0)


async def test_thinking_client_lets_time_pass_between_turns(fake: FakeServer) -> None:
    load = Load([Group(fake.target, Script("DO 0"), clients=2, active=1, think=0.001)])
    await play(load, turns=3)
    assert load.turns >= 3
    assert load.slots[0].playing == 0


async def test_client_that_thinks_does_not_play_after_the_close(fake: FakeServer) -> None:
    script = Script("DO 0")
    load = Load([Group(fake.target, script, clients=2, active=1, think=0.01)])
    await load.open()
    load.start()
    await until(lambda: load.turns == 1)
    load.close()
    await until(lambda: load.slots[0].playing == 0)
    assert script.played == [0]
    assert load.errors == {}


async def test_turn_that_never_ends_is_an_error(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.STOP_TIMEOUT", 0.05)
    fake.answers["SLEEP"] = OK[:3]  # the rest never comes
    load = Load([Group(fake.target, Script("SLEEP"), clients=1, active=1)])
    await load.open()
    load.start()
    await load.stop()
    assert load.errors == {"no answer": 1}
    load.close()
