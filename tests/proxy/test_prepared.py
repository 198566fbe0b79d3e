from __future__ import annotations

import pytest

from protocol.framing import frame
from protocol.packets import Column, text_resultset
from proxy.classify import NOTHING
from proxy.prepared import (
    KEPT_LONG_DATA,
    LAST_PREPARED,
    BackendStatements,
    LongData,
    OnBackend,
    Prepared,
    SessionStatements,
    binary_answer,
    execution,
    forget_types,
    kept_long_data,
    renamed,
    sent_nulls,
    sent_types,
    shown_id,
)
from proxy.replies import Failure
from proxy.results import packets
from proxy.sources import LONG, Source, Sources
from proxy.vector import Vector
from tests.fakes.wire import close_statement, execute, long_data, params

SHOP = Vector.fresh(b"shop", {})
TEST = Vector.fresh(b"test", {})
STRING = b"\xfd\x00"
NUMBER = b"\x08\x00"
NULL = b"\x06\x00"
MANY = 100


def source_of(
    text: bytes = b"SELECT ?", num_params: int = 1, *, sources: Sources | None = None, vector: Vector = SHOP
) -> Source:
    return (Sources() if sources is None else sources).find(vector, text, NOTHING, num_params)


def make(num_params: int = 1) -> tuple[Prepared, OnBackend]:
    return Prepared(source_of(num_params=num_params)), OnBackend(41)


# The statements of a session


def test_ids_count_up_and_are_not_used_again() -> None:
    statements = SessionStatements()
    first = statements.add(source_of())
    assert (statements.last_id, statements.id_of(first)) == (1, 1)
    statements.close(1, False)
    second = statements.add(source_of())
    assert (statements.last_id, statements.id_of(second), len(statements)) == (2, 2, 1)
    assert statements.id_of(first) == 0
    assert (statements.find(1, False), statements.find(2, False)) == (None, second)


def test_ids_are_not_used_again_after_a_reset() -> None:
    statements = SessionStatements()
    statements.add(source_of())
    statements.forget()
    assert (len(statements), statements.find(1, True), statements.find(LAST_PREPARED, True)) == (
        0,
        None,
        None,
    )
    statements.add(source_of())
    assert statements.last_id == 2


def test_the_last_one_has_another_id_on_mariadb() -> None:
    statements = SessionStatements()
    assert statements.find(LAST_PREPARED, True) is None
    last = statements.add(source_of())
    assert statements.find(LAST_PREPARED, True) is last
    assert statements.find(LAST_PREPARED, False) is None
    statements.close(LAST_PREPARED, True)
    assert statements.find(LAST_PREPARED, True) is None


def test_after_one_that_failed_there_is_no_last_one() -> None:
    statements = SessionStatements()
    first = statements.add(source_of())
    statements.failed()
    assert statements.find(LAST_PREPARED, True) is None
    assert statements.find(1, True) is first
    statements.add(source_of())
    assert statements.last_id == 3


def test_statements_of_one_text_get_numbers_where_they_need_them() -> None:
    sources, statements = Sources(), SessionStatements()
    source, other = source_of(sources=sources), source_of(b"other", sources=sources)
    first, second, third = (statements.add(each) for each in (source, source, other))
    first.becomes(sources, source.text, statements.free_number(first), b"")
    second.becomes(sources, source.text, statements.free_number(second), b"")
    assert [statements.free_number(each) for each in (first, second, third)] == [1, 2, 1]
    first.becomes(sources, source.text, 0, b"")
    assert statements.free_number(statements.add(source)) == 1


# One statement


def test_a_statement_can_be_executed_with_another_text() -> None:
    sources = Sources()
    prepared = Prepared(source_of(sources=sources))
    prepared.becomes(sources, b"SELECT 3", 0, b"")
    assert (prepared.source.text, prepared.own.text) == (b"SELECT 3", b"SELECT ?")
    prepared.becomes(sources, b"SELECT ?", 0, b"")
    assert prepared.source is prepared.own


def test_types_decide_about_the_shape_where_there_are_shapes() -> None:
    sources = Sources()
    prepared = Prepared(source_of(sources=sources))
    prepared.see_types(NUMBER, b"", sources, has_shapes=False)
    assert (prepared.types, prepared.source.shape) == (NUMBER, b"")
    prepared = Prepared(source_of(sources=sources))
    prepared.see_types(NUMBER, b"", sources, has_shapes=True)
    numbers = prepared.source
    assert numbers.shape == b"i"
    prepared.see_types(NUMBER, b"", sources, has_shapes=True)
    prepared.see_types(STRING, b"", sources, has_shapes=True)
    assert (prepared.types, prepared.source) == (STRING, numbers)
    # a backend that knows nothing of the numbers will go by the strings
    prepared.prepare_anew(sources)
    assert prepared.source is prepared.own


def test_a_statement_with_long_data_has_a_shape_while_it_needs_one() -> None:
    sources = Sources()
    prepared = Prepared(source_of(sources=sources))
    prepared.see_types(NUMBER, b"", sources, has_shapes=True)
    numbers = prepared.source
    prepared.rests(sources, has_shapes=True)
    assert prepared.source is numbers
    prepared.becomes(sources, prepared.own.text, 1, LONG + STRING)
    prepared.prepare_anew(sources)
    assert (prepared.source.number, prepared.source.shape) == (1, LONG + STRING)
    prepared.rests(sources, has_shapes=True)
    assert prepared.source is numbers
    prepared.becomes(sources, prepared.own.text, 0, LONG)
    prepared.rests(sources, has_shapes=False)
    assert prepared.source is prepared.own


# The statements of a backend


def test_a_backend_finds_what_it_has() -> None:
    statements, sources = BackendStatements(), Sources()
    source = source_of(sources=sources)
    added = statements.add(source, 41, MANY)
    assert statements.use(source) is added
    assert statements.use(source_of(sources=sources, vector=TEST)) is None
    statements.clear()
    assert (statements.use(source), len(statements)) == (None, 0)


def test_preparing_a_text_again_closes_the_older_statement() -> None:
    statements, source = BackendStatements(), source_of()
    statements.add(source, 41, MANY)
    statements.add(source, 42, MANY)
    assert statements.take_closes() == close_statement(41)
    assert statements.take_closes() == b""


def test_over_the_limit_the_one_not_used_for_longest_is_closed() -> None:
    statements, sources = BackendStatements(), Sources()
    kept = [source_of(b"%d" % number, sources=sources) for number in range(3)]
    for number, source in enumerate(kept):
        statements.add(source, number, 3)
    statements.use(kept[0])
    statements.add(source_of(b"new", sources=sources), 1000, 3)
    assert statements.take_closes() == close_statement(1)
    # the limit has become smaller
    statements.add(source_of(b"newer", sources=sources), 1001, 2)
    assert statements.take_closes() == close_statement(2) + close_statement(0)


def test_a_dropped_statement_is_closed_at_the_next_opportunity() -> None:
    statements, source = BackendStatements(), source_of()
    statements.add(source, 41, MANY)
    statements.drop(source)
    statements.drop(source)
    assert statements.closes_due == 1
    assert statements.take_closes() == close_statement(41)


def test_those_not_used_for_longest_make_room() -> None:
    statements, sources = BackendStatements(), Sources()
    kept = [source_of(b"%d" % number, sources=sources) for number in range(3)]
    assert not statements.evict(1)
    for number, source in enumerate(kept):
        statements.add(source, number, MANY)
    assert statements.evict(2)
    assert statements.take_closes() == close_statement(0) + close_statement(1)
    assert statements.evict(2)
    assert len(statements) == 0


def test_a_reset_leaves_nothing_to_close() -> None:
    statements, source = BackendStatements(), source_of()
    statements.add(source, 41, MANY)
    statements.drop(source)
    statements.clear()
    assert statements.take_closes() == b""


def test_another_epoch_leaves_nothing() -> None:
    statements, source = BackendStatements(), source_of()
    statements.add(source, 41, MANY)
    statements.keep_up(0)
    assert statements.use(source) is not None
    statements.keep_up(1)
    assert (statements.use(source), statements.take_closes(), statements.epoch) == (None, b"", 1)


def variants() -> tuple[Source, Source]:
    sources = Sources()
    fresh = source_of(sources=sources)
    return fresh, sources.variant(fresh, fresh.text, 0, b"i")


def test_one_that_was_never_executed_becomes_a_variant() -> None:
    statements = BackendStatements()
    fresh, variant = variants()
    assert statements.use_variant(variant, fresh) is None
    added = statements.add(fresh, 41, MANY)
    assert statements.use_variant(variant, fresh) is added
    assert statements.use(fresh) is None
    assert statements.use_variant(variant, fresh) is added


def test_one_that_was_never_executed_goes_when_there_is_a_variant() -> None:
    statements = BackendStatements()
    fresh, variant = variants()
    added = statements.add(variant, 41, MANY)
    statements.add(fresh, 42, MANY)
    assert statements.use_variant(variant, fresh) is added
    assert statements.take_closes() == close_statement(42)


def test_one_that_was_executed_stays_what_it_is() -> None:
    statements = BackendStatements()
    fresh, variant = variants()
    statements.add(fresh, 41, MANY).is_executed = True
    assert statements.use_variant(variant, fresh) is None
    assert statements.use(fresh) is not None


# Executions


def test_an_execution_gets_the_id_of_the_backend() -> None:
    prepared, on_backend = make(0)
    assert execution(execute(1), prepared, on_backend) == execute(41) == renamed(execute(1), 41)
    assert on_backend.is_executed


@pytest.mark.parametrize(
    ("wire", "num_params", "types"),
    [
        (execute(1), 0, b""),
        (execute(1, params=params(b"a", types=STRING)), 1, STRING),
        # MySQL takes any flag but 0 for yes
        (execute(1, params=b"\0\x02" + NUMBER), 1, NUMBER),
        (execute(1, params=params(b"a")), 1, b""),
        (execute(1, params=b"\0\x01" + NUMBER), 2, b""),
        (execute(1), 1, b""),
    ],
)
def test_types_are_found_in_an_execution(wire: bytes, num_params: int, types: bytes) -> None:
    assert sent_types(wire, num_params) == types


def see(prepared: Prepared, types: bytes) -> None:
    prepared.see_types(types, b"", Sources(), has_shapes=False)


def test_types_that_the_client_sends_go_as_they_are() -> None:
    prepared, on_backend = make()
    see(prepared, STRING)
    wire = execute(1, params=params(b"a", types=STRING))
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"a", types=STRING))
    assert on_backend.types == STRING
    wire = execute(1, params=params(b"b"))
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"b"))


def test_types_go_again_to_a_backend_that_has_seen_none_or_others() -> None:
    prepared, on_backend = make()
    see(prepared, STRING)
    wire = execute(1, params=params(b"b"))
    for seen in (b"", NUMBER):
        on_backend.types = seen
        assert execution(wire, prepared, on_backend) == execute(41, params=params(b"b", types=STRING))
        assert on_backend.types == STRING


def test_types_go_again_after_an_execution_that_was_refused() -> None:
    prepared, on_backend = make()
    see(prepared, STRING)
    on_backend.types = STRING
    forget_types(on_backend)
    wire = execute(1, params=params(b"b"))
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"b", types=STRING))


def test_a_client_that_sent_no_types_does_not_get_those_of_others() -> None:
    prepared, on_backend = make()
    wire = execute(1, params=params(b"b"))
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"b"))
    on_backend.types = STRING
    assert execution(wire, prepared, on_backend) == execute(41, params=params(b"b", types=NULL))


@pytest.mark.parametrize("cut", [b"", b"\0", b"\0\x01\xfd"])
def test_a_cut_off_execution_goes_as_it_is(cut: bytes) -> None:
    prepared, on_backend = make()
    assert execution(execute(1, params=cut), prepared, on_backend) == execute(41, params=cut)
    assert on_backend.types != STRING


# Long data


def test_long_data_is_kept_up_to_a_limit() -> None:
    prepared, _ = make()
    assert kept_long_data(prepared, 41) == b""
    kept = prepared.long_data = LongData()
    assert not prepared.is_streaming
    first, second = long_data(1, 0, b"ab"), long_data(1, 0, b"cd")
    assert kept.keep(first[4:]) and kept.keep(second[4:])
    assert not kept.keep(b"x" * KEPT_LONG_DATA)
    assert kept_long_data(prepared, 41) == long_data(41, 0, b"ab") + long_data(41, 0, b"cd")


def test_the_first_thing_that_goes_wrong_is_what_is_told() -> None:
    kept = LongData()
    kept.keep(b"x")
    first = Failure(1210, "first")
    kept.fail(first)
    kept.fail(Failure(1210, "second"))
    assert (kept.failure, kept.payloads) == (first, [])


# Answers of our own


def test_a_text_answer_becomes_a_binary_one() -> None:
    columns = [Column(b"Level"), Column(b"Code", 3), Column(b"Count", 8)]
    for deprecate_eof in (True, False):
        text = text_resultset(columns, [[b"Warning", b"1292", b"-1"]], status=2, deprecate_eof=deprecate_eof)
        answer = packets(binary_answer(text, deprecate_eof))
        before = packets(text)
        row = 4 if deprecate_eof else 5
        assert answer[row] == b"\0\0\x07Warning" + (1292).to_bytes(4, "little") + b"\xff" * 8
        assert answer[:row] + answer[row + 1 :] == before[:row] + before[row + 1 :]


def test_a_null_changes_nothing_of_what_a_statement_was_executed_with() -> None:
    sources = Sources()
    prepared = Prepared(source_of(sources=sources))
    prepared.see_types(NUMBER, b"\1", sources, has_shapes=True)
    assert prepared.source.shape == b""
    # the same types, which were sent before
    prepared.see_types(b"", b"\0", sources, has_shapes=True)
    assert prepared.source.shape == b"i"
    prepared.see_types(NUMBER, b"\1", sources, has_shapes=True)
    assert prepared.source.shape == b"i"
    prepared.prepare_anew(sources)
    assert prepared.source.shape == b""


def test_an_execution_without_any_types_has_no_shape() -> None:
    sources = Sources()
    prepared = Prepared(source_of(sources=sources))
    prepared.see_types(b"", b"\1", sources, has_shapes=True)
    assert (prepared.types, prepared.source.shape) == (b"", b"")


def test_the_nulls_of_an_execution_are_read_as_far_as_they_go() -> None:
    wire = frame(b"\x17\1\0\0\0\0\1\0\0\0" + b"\x81\1\0")
    assert sent_nulls(wire, 9) == b"\x81\1"
    assert sent_nulls(wire[:15], 9) == b"\x81"


def test_what_was_refused_has_the_types_of_before() -> None:
    sources, statements = Sources(), SessionStatements()
    prepared = statements.add(source_of(sources=sources))
    statements.was_refused(prepared)
    assert prepared.types == b""
    own = prepared.source
    statements.begins(prepared)
    prepared.see_types(b"\x08\0", b"\0", sources, True)
    assert prepared.source is not own
    statements.was_refused(prepared)
    assert (prepared.types, prepared.nulls, prepared.source) == (b"", b"", own)


@pytest.mark.parametrize("name", [b"\x01\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x07\x01", b""])
@pytest.mark.parametrize("rest", [b"", b"\0\x01\0\0\0"])
def test_a_command_says_which_statement_it_means(name: bytes, rest: bytes) -> None:
    wire = frame(b"\x17" + name + (rest if len(name) == 4 else b""))
    assert shown_id(wire) == int.from_bytes(name, "little")
