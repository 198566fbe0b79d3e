from random import Random

import pytest

from bench.response import Response, Row
from bench.workload import (
    INSERT_BATCH,
    Catalogue,
    Shop,
    Step,
    Turn,
    Workload,
    chain_turn,
    inserts,
)
from bench.workloads import NAMES, workload_of


def steps_of(turn: Turn) -> list[Step]:
    """Play a turn, with an insert id of 5 as every response."""
    response = Response()
    response.insert_id = 5
    steps = [next(turn)]
    while True:
        try:
            steps.append(turn.send(response))
        except StopIteration:
            return steps


def turn_with(shop: Shop, number: int, begins: str) -> list[str]:
    """The statements of the first turn of this client that begins like this."""
    random = Random(3)
    while True:
        statements = [step.sql for step in steps_of(shop.turn(number, random))]
        if statements[0].startswith(begins):
            return statements


def test_step_is_a_framed_query() -> None:
    step = Step("SELECT 1")
    assert step.wire == b"\x09\x00\x00\x00\x03SELECT 1"
    assert step.sql == "SELECT 1"


@pytest.mark.parametrize(
    ("step", "rows", "affected", "error", "complaint"),
    [
        (Step("x"), None, 0, 0, None),
        (Step("x", rows=[(b"1",)]), [(b"1",)], 0, 0, None),
        (Step("x", rows=[(b"1",)]), [(b"2",)], 0, 0, "x: [(b'2',)] instead of [(b'1',)]"),
        (Step("x", rows=[(b"1",)]), None, 0, 0, "x: None instead of [(b'1',)]"),
        (Step("x", affected=1), None, 1, 0, None),
        (Step("x", affected=1), None, 2, 0, "x: 2 rows affected instead of 1"),
        (Step("x"), None, 0, 1205, "1205 text"),
    ],
)
def test_step_knows_a_wrong_response(
    step: Step, rows: list[Row] | None, affected: int, error: int, complaint: str | None
) -> None:
    response = Response()
    response.rows, response.affected_rows, response.error_code, response.error_message = (
        rows,
        affected,
        error,
        "text",
    )
    assert step.wrong(response) == complaint


@pytest.mark.parametrize("name", NAMES)
def test_each_workload_makes_the_tables_that_it_names(name: str) -> None:
    workload: Workload = workload_of(name, "p_")
    assert workload.name == name
    created = [sql.split()[2] for sql in workload.schema(10) if sql.startswith("CREATE TABLE")]
    assert created == workload.tables()
    assert all(table.startswith("p_") for table in created)
    assert len(steps_of(workload.turn(1, Random(1)))) >= 1


def test_each_client_reads_rows_of_its_own() -> None:
    workload = workload_of("point")
    first, second = (steps_of(workload.turn(number, Random(1))) for number in (0, 1))
    assert [step.sql.rpartition(" ")[2] for step in first + second] == [str(n) for n in range(8)]
    rows = second[0].rows
    assert rows is not None
    assert rows[0][:2] == (b"4", b"1")
    assert rows[0][2] is not None and len(rows[0][2]) == 100
    assert first[0] is steps_of(workload.turn(0, Random(1)))[0]  # so that what was verified once is known


def test_rows_in_the_table_are_the_rows_expected() -> None:
    workload = workload_of("rows100")
    statements = list(workload.schema(3))
    values = ",".join(sql.partition("VALUES ")[2] for sql in statements if sql.startswith("INSERT"))
    step = steps_of(workload.turn(2, Random(1)))[0]
    assert step.rows is not None and len(step.rows) == 100
    for id_, owner, body in step.rows:
        assert id_ is not None and owner == b"2" and body is not None
        assert f"({id_.decode()},2,'{body.decode()}')" in values


def test_clients_beyond_the_owners_share_a_block() -> None:
    workload = workload_of("rows100")
    assert steps_of(workload.turn(205, Random(1)))[0] is steps_of(workload.turn(5, Random(1)))[0]


def test_order_is_a_transaction_with_the_id_of_the_ok_packet() -> None:
    statements = turn_with(Shop(), 4, "BEGIN")
    assert statements[0] == "BEGIN"
    assert statements[1].startswith("INSERT INTO orders (customer_id, token) VALUES (4, 'client 4 order ")
    assert statements[2].startswith("INSERT INTO order_lines VALUES (5, ")
    assert statements[3].startswith("UPDATE stock SET amount = amount - ")
    assert statements[4].endswith(" WHERE o.id = 5")
    assert statements[5] == "COMMIT"


def test_client_without_autocommit_ends_each_turn_with_commit() -> None:
    shop = Shop()
    assert [step.sql for step in shop.greeting(3)] == ["SET NAMES utf8mb4", "SET autocommit=0"]
    assert [step.sql for step in shop.greeting(4)] == ["SET NAMES utf8mb4"]
    for begins in ("SELECT", "UPDATE", "INSERT INTO orders"):
        statements = turn_with(shop, 3, begins)
        assert statements[-1] == "COMMIT"
        assert "BEGIN" not in statements


def test_visits_count_up_for_each_client() -> None:
    shop = Shop()
    random = Random(1)
    seen = []
    for _ in range(60):
        for step in steps_of(shop.turn(4, random)):
            if step.sql.startswith("SELECT visits"):
                assert step.rows is not None
                seen.append(step.rows[0][0])
    assert seen == [b"%d" % count for count in range(1, len(seen) + 1)]
    assert len(seen) > 3


def test_new_tables_start_the_visits_anew() -> None:
    shop = Shop()
    turn_with(shop, 4, "UPDATE customers")
    list(shop.schema(10))
    statements = shop._visit(4)
    next(statements)
    assert statements.send(None).rows == [(b"1",)]


def test_catalogue_only_reads_products() -> None:
    catalogue, random = Catalogue(), Random(1)
    for number in range(20):
        assert [step.sql for step in catalogue.greeting(number)] == ["SET NAMES utf8mb4"]
        steps = steps_of(catalogue.turn(number, random))
        assert all(step.sql.startswith("SELECT id, category, name, price FROM products") for step in steps)
        assert steps[0].rows is not None and len(steps[0].rows) == Shop.PER_CATEGORY


def test_last_step_follows_a_turn() -> None:
    def turn() -> Turn:
        response = yield Step("a")
        assert response is not None
        yield Step(f"b{response.insert_id}")

    assert [step.sql for step in steps_of(chain_turn(turn(), Step("c")))] == ["a", "b5", "c"]


def test_inserts_are_cut_into_batches() -> None:
    values = (f"({n})" for n in range(2 * INSERT_BATCH + 1))
    statements = list(inserts("INSERT INTO t VALUES", values))
    assert [statement.count("(") for statement in statements] == [INSERT_BATCH, INSERT_BATCH, 1]
    assert statements[-1] == f"INSERT INTO t VALUES ({2 * INSERT_BATCH})"
