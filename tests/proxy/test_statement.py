from __future__ import annotations

import pytest

from proxy import statement as flags
from proxy.classify import classify
from proxy.pins import PinReason
from proxy.statement import (
    BEGINS,
    CHANGES_ACCOUNT,
    IS_SELECT,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MAY_CALL_ON_MYSQL,
    MULTI,
    NOTHING,
    READS_INSERT_ID,
    SETS,
    Question,
    Statement,
)


def test_text_without_a_statement_is_plain() -> None:
    assert NOTHING.is_plain
    assert not NOTHING.is_special
    assert not NOTHING.has_aftermath


def test_what_leaves_only_counts_behind_is_plain() -> None:
    assert Statement(IS_SELECT).is_plain
    assert not Statement(SETS).is_plain
    assert not Statement(pins=(PinReason.XA,), pin_names=(b"",)).is_plain
    assert not Statement(IS_SELECT, found_rows=5).is_plain


def test_questions_kills_and_beginnings_are_special() -> None:
    assert Statement(question=Question.ROW_COUNT).is_special
    assert Statement(kill=(False, 0)).is_special
    assert Statement(BEGINS).is_special
    assert Statement(BEGINS).begins


def test_several_statements_may_read_the_insert_id() -> None:
    assert Statement(READS_INSERT_ID).reads_insert_id
    assert Statement(MULTI).reads_insert_id
    for may_call in (MAY_CALL, MAY_CALL_ON_MARIADB, MAY_CALL_ON_MYSQL):
        assert Statement(may_call).reads_insert_id
    assert not Statement(IS_SELECT).reads_insert_id


def test_changed_accounts_have_an_aftermath() -> None:
    assert Statement(CHANGES_ACCOUNT).has_aftermath and Statement(CHANGES_ACCOUNT).has_news
    assert Statement(flags.RELEASES).has_aftermath and not Statement(flags.RELEASES).has_news
    assert Statement(flags.MAY_RELEASE).may_release and not Statement(flags.MAY_RELEASE).has_aftermath


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("BEGIN", True),
        ("start transaction read only, with consistent snapshot", True),
        ("START TRANSACTION READ WRITE", True),
        ("COMMIT AND CHAIN", False),
        ("BEGIN; SELECT 1", False),
        ("EXECUTE IMMEDIATE 'BEGIN'", False),
        ("SET STATEMENT max_statement_time=1 FOR BEGIN", False),
    ],
)
def test_what_begins_a_transaction_and_does_nothing_else(text: str, only: bool) -> None:
    assert classify(text.encode(), 0).only_begins == only


def test_every_flag_has_a_bit_of_its_own() -> None:
    masks = ("NOT_PLAIN", "SPECIAL", "ASKS", "NEWS")
    values = [
        value
        for name, value in vars(flags).items()
        if name.isupper()
        and not name.startswith("_")
        and name not in masks
        and isinstance(value, int)
        and value > 0
    ]
    assert len(set(values)) == len(values)
    assert all(value.bit_count() == 1 for value in values)


def test_a_statement_with_more_flags_is_the_same_otherwise() -> None:
    statement = Statement(
        IS_SELECT,
        pins=(PinReason.XA,),
        pin_names=(b"x",),
        question=Question.ROW_COUNT,
        kept=3,
        text=b"SELECT 1",
    )
    more = statement.with_flags(SETS)
    assert more.flags == IS_SELECT | SETS
    # compiled classes have no list of their slots
    names = {name for name in dir(more) if not name.startswith("_") and not callable(getattr(more, name))} - {
        "flags"
    }
    assert len(names) > 20
    assert {name: getattr(more, name) for name in names} == {name: getattr(statement, name) for name in names}
