from __future__ import annotations

from protocol.packets import Column, text_resultset
from proxy.classify import NOTHING
from proxy.prepared import (
    BACKEND_LIMIT,
    LAST_PREPARED,
    BackendStatements,
    OnBackend,
    Prepared,
    SessionStatements,
    binary_answer,
    execution,
    renamed,
)
from proxy.results import packets
from proxy.vector import Vector
from tests.fakes.wire import close_statement, execute, long_data, params

SHOP = Vector.fresh(b"shop", {})
TEST = Vector.fresh(b"test", {})
STRING = b"\xfd\x00"
NUMBER = b"\x08\x00"


def make(num_params: int = 1) -> tuple[Prepared, OnBackend]:
    return Prepared(1, (SHOP, b"SELECT ?", 0), NOTHING, num_params), OnBackend(41)


# The statements of a session


def test_ids_count_up_and_are_not_used_again() -> None:
    statements = SessionStatements()
    first = statements.add((SHOP, b"a", 0), NOTHING, 0)
    statements.close(first.virtual_id)
    second = statements.add((SHOP, b"a", 0), NOTHING, 0)
    assert (first.virtual_id, second.virtual_id, len(statements)) == (1, 2, 1)
    assert (statements.find(1), statements.find(2)) == (None, second)


def test_the_last_one_can_be_found_without_its_id() -> None:
    statements = SessionStatements()
    assert statements.find(LAST_PREPARED) is None
    last = statements.add((SHOP, b"a", 0), NOTHING, 0)
    assert statements.find(LAST_PREPARED) is last
    statements.close(last.virtual_id)
    assert statements.find(LAST_PREPARED) is None


def test_equal_statements_of_a_session_are_kept_apart() -> None:
    statements = SessionStatements()
    keys = []
    for vector in (SHOP, SHOP, TEST, SHOP):
        keys.append(statements.key(vector, b"a"))
        statements.add(keys[-1], NOTHING, 0)
    assert keys == [(SHOP, b"a", 0), (SHOP, b"a", 1), (TEST, b"a", 0), (SHOP, b"a", 2)]
    statements.close(1)
    assert statements.key(SHOP, b"a") == (SHOP, b"a", 0)


# The statements of a backend


def test_a_backend_finds_what_it_has() -> None:
    statements = BackendStatements()
    added = statements.add((SHOP, b"a", 0), 41)
    assert statements.use((SHOP, b"a", 0)) is added
    assert statements.use((TEST, b"a", 0)) is None
    statements.clear()
    assert statements.use((SHOP, b"a", 0)) is None


def test_preparing_a_text_again_closes_the_older_statement() -> None:
    statements = BackendStatements()
    statements.add((SHOP, b"a", 0), 41)
    statements.add((SHOP, b"a", 0), 42)
    assert statements.take_closes() == close_statement(41)
    assert statements.take_closes() == b""


def test_over_the_limit_the_one_not_used_for_longest_is_closed() -> None:
    statements = BackendStatements()
    for number in range(BACKEND_LIMIT):
        statements.add((SHOP, b"%d" % number, 0), number)
    statements.use((SHOP, b"0", 0))
    statements.add((SHOP, b"new", 0), 1000)
    assert statements.take_closes() == close_statement(1)


def test_a_dropped_statement_is_closed_at_the_next_opportunity() -> None:
    statements = BackendStatements()
    statements.add((SHOP, b"a", 0), 41)
    statements.drop((SHOP, b"a", 0))
    statements.drop((SHOP, b"a", 0))
    assert statements.take_closes() == close_statement(41)


def test_a_reset_leaves_nothing_to_close() -> None:
    statements = BackendStatements()
    statements.add((SHOP, b"a", 0), 41)
    statements.drop((SHOP, b"a", 0))
    statements.clear()
    assert statements.take_closes() == b""


# Executions


def test_an_execution_gets_the_id_of_the_backend() -> None:
    prepared, on_backend = make(0)
    assert execution(execute(1), prepared, on_backend) == execute(41) == renamed(execute(1), 41)


def test_types_are_remembered_on_both_sides() -> None:
    prepared, on_backend = make()
    wire = execute(1, params=params(b"a", types=STRING))
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"a", types=STRING))
    assert prepared.types == on_backend.types == STRING
    wire = execute(1, params=params(b"b"))
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"b"))


def test_types_go_again_to_a_backend_that_has_seen_none_or_others() -> None:
    prepared, _ = make()
    prepared.types = STRING
    for seen in (b"", NUMBER):
        on_backend = OnBackend(42)
        on_backend.types = seen
        wire = execution(execute(1, params=params(b"b")), prepared, on_backend)
        assert wire == execute(42, params=params(b"b", types=STRING))
        assert on_backend.types == STRING


def test_without_any_types_the_server_is_left_to_complain() -> None:
    prepared, on_backend = make()
    assert execution(execute(1, params=params(b"b")), prepared, on_backend) == execute(
        41, params=params(b"b")
    )


def test_a_cut_off_execution_goes_as_it_is() -> None:
    prepared, on_backend = make(20)
    assert execution(execute(1, params=b"\0"), prepared, on_backend) == execute(41, params=b"\0")


def test_long_data_goes_first_and_once() -> None:
    prepared, on_backend = make()
    prepared.add_long_data(long_data(1, 0, b"abc")[4:], 1000)
    wire = execute(1, params=params(types=STRING))
    assert execution(wire, prepared, on_backend) == long_data(41, 0, b"abc") + execute(
        41, params=params(types=STRING)
    )
    assert execution(wire, prepared, on_backend) == execute(41, params=params(types=STRING))


def test_long_data_over_the_limit_is_not_kept() -> None:
    prepared, _ = make()
    for _ in range(3):
        prepared.add_long_data(b"x" * 600, 1000)
    assert (prepared.is_overlong, prepared.long_data) == (True, [])
    prepared.drop_long_data()
    prepared.add_long_data(b"x" * 600, 1000)
    assert (prepared.is_overlong, len(prepared.long_data)) == (False, 1)


def test_a_text_answer_becomes_a_binary_one() -> None:
    columns = [Column(b"Level"), Column(b"Code", 3), Column(b"Count", 8)]
    for deprecate_eof in (True, False):
        text = text_resultset(columns, [[b"Warning", b"1292", b"-1"]], status=2, deprecate_eof=deprecate_eof)
        answer = packets(binary_answer(text, deprecate_eof))
        before = packets(text)
        row = 4 if deprecate_eof else 5
        assert answer[row] == b"\0\0\x07Warning" + (1292).to_bytes(4, "little") + b"\xff" * 8
        assert answer[:row] + answer[row + 1 :] == before[:row] + before[row + 1 :]


def test_a_statement_can_be_executed_with_another_text() -> None:
    statements = SessionStatements()
    key = statements.key(Vector.fresh(None, {}), b"SELECT 1")
    prepared = statements.add(key, NOTHING, 0)
    prepared.executes_text(b"SELECT 2")
    assert (prepared.key[1], prepared.own_key) == (b"SELECT 2", key)
    prepared.executes_text(b"SELECT 1")
    assert prepared.key == key
