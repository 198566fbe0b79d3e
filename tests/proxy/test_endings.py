"""Several statements in one text, cut where they end a transaction."""

from __future__ import annotations

import pytest

from proxy.endings import (
    COMMIT,
    UNCLEAR,
    UNCUT,
    commits,
    cut,
    flags_of_first,
    only_commits,
    only_ends,
    rolls_back,
)
from proxy.statement import BEGINS, BEGINS_READ_ONLY, COMMITS_ITSELF, ENDS, SETS_GLOBAL

INSERT = "INSERT INTO t VALUES (1)"
OURS = f"; {COMMIT.decode()}"


@pytest.mark.parametrize(
    ("text", "front", "rest"),
    [
        (f"COMMIT; {INSERT}", "COMMIT; COMMIT", f" {INSERT}"),
        (f"SELECT 1; ROLLBACK /* ; */ ; {INSERT}; COMMIT", "SELECT 1; ROLLBACK /* ; */ ; ROLLBACK /* ; */ ", None),
        ("COMMIT AND NO CHAIN; SELECT 1", "COMMIT AND NO CHAIN; COMMIT AND NO CHAIN", " SELECT 1"),
        ("COMMIT AND CHAIN; COMMIT; DO 1", "COMMIT AND CHAIN; COMMIT;  COMMIT", None),
        ("SELECT ';'; -- x;\n COMMIT;; DO 1", "SELECT ';'; -- x;\n COMMIT; COMMIT", "; DO 1"),
        ("SET autocommit = 1; DO 1", "SET autocommit = 1; SET autocommit = 1", " DO 1"),
        ("SELECT 1; /* a */ FLUSH TABLES; DO 1", f"SELECT 1{OURS}", " /* a */ FLUSH TABLES; DO 1"),
        ("SELECT 1; CREATE PROCEDURE p() BEGIN COMMIT; END", f"SELECT 1{OURS}", None),
        ("SELECT 1; START TRANSACTION READ WRITE", f"SELECT 1{OURS}", " START TRANSACTION READ WRITE"),
        ("CREATE TABLE n (a INT); DO 1", "", "CREATE TABLE n (a INT); DO 1"),
        ("FLUSH TABLES; DO 1", "", "FLUSH TABLES; DO 1"),
    ],
)  # fmt: skip
def test_it_is_cut_at_the_first_statement_that_ends_the_transaction(
    text: str, front: str, rest: str | None
) -> None:
    found = cut(text.encode(), 0, False)

    assert found.front.decode().replace(";  ", "; ") == front.replace(";  ", "; ")
    if rest is not None:
        assert found.rest.decode() == rest
    assert found.commits == (front.endswith(OURS) or not front)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; SELECT 2",
        "SELECT 1; COMMIT",
        "SELECT 1; COMMIT;",
        "SELECT 1; COMMIT; -- x",
        "SAVEPOINT a; ROLLBACK TO a; SELECT 1",
        "COMMIT AND CHAIN; SELECT 1",
        f"COMMIT RELEASE; {INSERT}",
        "SET autocommit = 0, time_zone = '+00:00'; DO 1",
        "BEGIN; SELECT 1",
        f"{INSERT}; SELECT 1",
    ],
)
def test_other_texts_are_not_cut(text: str) -> None:
    assert cut(text.encode(), 0, False) is UNCUT


@pytest.mark.parametrize(
    "text",
    [
        f"/*!50000 COMMIT */; {INSERT}",
        f"IF 1 THEN SELECT 1; END IF; COMMIT; {INSERT}",
        f"SELECT 'a; COMMIT; {INSERT}",
        f"EXECUTE IMMEDIATE 'SELECT 1; COMMIT'; {INSERT}",
    ],
)
def test_where_statements_are_not_understood_that_is_said(text: str) -> None:
    assert cut(text.encode(), 0, False) is UNCLEAR


def test_begin_ends_a_transaction_where_the_next_one_may_write() -> None:
    found = cut(b"SELECT 1; BEGIN; DO 1", 0, True)
    assert (found.front.decode(), found.rest) == (f"SELECT 1{OURS}", b" BEGIN; DO 1")
    assert cut(b"SELECT 1; START TRANSACTION READ ONLY; DO 1", 0, True) is UNCUT


@pytest.mark.parametrize(
    ("flags", "may_begin", "expected"),
    [
        (COMMITS_ITSELF, False, True),
        (ENDS, True, False),
        (BEGINS, True, True),
        (BEGINS, False, False),
        (BEGINS | BEGINS_READ_ONLY, True, False),
        (BEGINS | COMMITS_ITSELF, False, True),
    ],
)
def test_what_commits_on_its_own_account(flags: int, may_begin: bool, expected: bool) -> None:
    assert commits(flags, may_begin) == expected


@pytest.mark.parametrize(
    ("text", "ends", "is_commit"),
    [
        ("COMMIT", True, True),
        (" commit work and no chain no release ; ", True, True),
        ("rollback", True, False),
        ("ROLLBACK AND CHAIN", False, False),
        ("COMMIT AND CHAIN", False, False),
        ("COMMIT RELEASE", False, False),
        ("ROLLBACK TO a", False, False),
        ("COMMIT; DO 1", False, False),
        ("COMMIT" + " " * 64, False, False),
        ("", False, False),
    ],
)
def test_what_does_nothing_but_end_a_transaction(text: str, ends: bool, is_commit: bool) -> None:
    assert only_ends(text.encode()) == ends
    assert only_commits(text.encode()) == is_commit


@pytest.mark.parametrize(
    ("text", "expected"),
    [("rollback /* all */ and chain", True), ("ROLLBACK TO SAVEPOINT a", False), ("COMMIT", False)],
)
def test_what_gives_a_transaction_up(text: str, expected: bool) -> None:
    assert rolls_back(text.encode()) == expected


@pytest.mark.parametrize(
    ("text", "count", "may"),
    [
        ("SELECT 1; SET GLOBAL a = 1; SELECT 2", 1, False),
        ("SELECT 1; SET GLOBAL a = 1; SELECT 2", 2, True),
        ("SET GLOBAL a = 1; SELECT 2", 1, True),
        ("SELECT 1; SELECT ';'; SET GLOBAL a = 1", 2, False),
        # one CALL can have many results
        ("CALL p(); SET GLOBAL a = 1", 5, True),
        ("SELECT 1; SELECT 2 /*!99999 ; SELECT 3 */; SET GLOBAL a = 1", 1, True),
        ("SELECT 1; SELECT 2; SET GLOBAL a = 1; SELECT 'a", 1, True),
    ],
)
def test_what_has_run_of_a_text_that_failed(text: str, count: int, may: bool) -> None:
    assert bool(flags_of_first(text.encode(), count, 0) & SETS_GLOBAL) == may
