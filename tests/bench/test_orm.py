from random import Random

import pytest

from bench.commands import Prepare
from bench.orm import DUPLICATE, Django, Mixture, Owned, OwnedExecute, Rails, SqlAlchemy
from bench.response import Response, Row
from bench.workload import Step, Turn, Workload


def turns_of(workload: Workload, number: int, count: int) -> list[list[Step]]:
    """The first turns of a session, with 5 as every insert id and every statement id."""
    list(workload.schema(number + 1))
    workload.greeting(number)
    random = Random(7)
    return [played(workload.turn(number, random)) for _ in range(count)]


def played(turn: Turn) -> list[Step]:
    response = Response()
    response.insert_id = response.statement_id = 5
    steps = [next(turn)]
    while True:
        try:
            steps.append(turn.send(response))
        except StopIteration:
            return steps


def answer(*rows: Row, error: int = 0) -> Response:
    response = Response()
    response.rows, response.error_code = list(rows), error
    return response


def texts(turn: list[Step]) -> list[str]:
    return [step.sql for step in turn]


def test_django_switches_autocommit_off_and_on_around_each_atomic_block() -> None:
    for turn in turns_of(Django(), 3, 200):
        depth = 0
        for text in texts(turn):
            depth += {"SET autocommit=0": 1, "SET autocommit=1": -1}.get(text, 0)
            assert depth in (0, 1) and ("INSERT" not in text or depth == 1)
        assert depth == 0 and turn[0].sql == "COM_PING"


def test_a_nested_block_that_fails_is_rolled_back_to_its_savepoint() -> None:
    turn = next(turn for turn in turns_of(Django(), 3, 200) if any(step.error for step in turn))
    (failed,) = (index for index, step in enumerate(turn) if step.error == DUPLICATE)
    assert turn[failed].sql == turn[failed - 2].sql
    assert turn[failed - 1].sql.startswith("SAVEPOINT") and turn[failed + 1].sql.startswith("ROLLBACK TO")
    assert turn[failed].wrong(answer(error=DUPLICATE)) is None
    assert "no error instead of 1062" in str(turn[failed].wrong(answer()))


@pytest.mark.parametrize("workload", [Django(), SqlAlchemy(), Rails()])
def test_what_was_inserted_is_read_back_by_its_insert_id(workload: Workload) -> None:
    inserts = back = 0
    for turn in turns_of(workload, 3, 100):
        inserts += sum("INSERT INTO" in text and not text.startswith("prepare") for text in texts(turn))
        back += sum(
            step.rows is not None and step.rows[:1] != [] and step.rows[0][0] == b"5" for step in turn
        )
    assert inserts > back > 20


def test_sqlalchemy_ends_each_turn_with_a_rollback() -> None:
    assert all(turn[-1].sql == "ROLLBACK" for turn in turns_of(SqlAlchemy(), 3, 50))


def test_rails_prepares_a_statement_once_and_binds_its_types_then() -> None:
    first, second, *_ = (
        turn for turn in turns_of(Rails(), 3, 50) if any("ORDER BY" in text for text in texts(turn))
    )
    assert any(isinstance(step, Prepare) for step in first)
    listed = [step for turn in (first, second) for step in turn if isinstance(step, OwnedExecute)]
    assert len(listed[0].wire) == len(listed[1].wire) + 4  # two types of two bytes


def test_rails_prepares_again_what_it_has_closed_or_lost_by_a_reset() -> None:
    turns = turns_of(Rails(), 3, 400)
    for title in ("COM_RESET_CONNECTION", "COM_STMT_CLOSE, COM_PING"):
        turn = next(turn for turn in turns if title in texts(turn))
        assert any(isinstance(step, Prepare) for step in turn[texts(turn).index(title) :])


@pytest.mark.parametrize("make", [lambda: Owned("x", 3), lambda: OwnedExecute(1, 3, title="x", binds=True)])
def test_a_list_with_a_row_of_somebody_else_is_wrong(make: type[Owned]) -> None:
    step = make()  # type: ignore[call-arg]
    mine, theirs = (b"1", b"3", b"t", b"of user 3"), (b"2", b"4", b"t", b"of user 4")
    assert step.wrong(answer(mine)) is None
    assert "of somebody else" in str(step.wrong(answer(mine, theirs)))
    assert "no list" in str(step.wrong(Response()))
    assert step.wrong(answer(error=1205)) == "1205 "


def test_mixture_has_sessions_of_each_application() -> None:
    workload = Mixture()
    greetings = [workload.greeting(number)[1].sql for number in range(4)]
    assert greetings == ["SET autocommit=0", "SET AUTOCOMMIT = 0", "SELECT VERSION()", "SET autocommit=0"]
