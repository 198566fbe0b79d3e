"""Where a statement runs, and why."""

from __future__ import annotations

from typing import Any

import pytest

from proxy import routing
from proxy.classify import classify
from proxy.hints import TO_READER, TO_WRITER
from proxy.routing import (
    HELD,
    NO_TEXT,
    READ_ONLY,
    READ_WRITE,
    READER,
    REASON_NAMES,
    SIDES,
    WRITER,
    SessionSide,
    TextFacts,
    in_words,
    route,
    text_facts,
)


def facts(text: str) -> TextFacts:
    written = text.encode()
    return text_facts(written, 0, classify(written, 0), False)


def routed(text: str, *, autocommit_reads: bool = True, is_bounced: bool = False, **session: Any) -> str:
    side = SessionSide(session.pop("is_reader", False), session.pop("setting", 0))
    for name, value in session.items():
        setattr(side, name, value)
    return REASON_NAMES[route(side, facts(text), autocommit_reads, is_bounced)]


def test_each_reason_has_a_side_and_a_name() -> None:
    assert len(SIDES) == len(REASON_NAMES) == routing.STRANDED_BEFORE + 1
    sides = dict(zip(REASON_NAMES, SIDES, strict=True))
    assert {name for name, side in sides.items() if side == READER} == {
        "reader-listener",
        "hint-reader",
        "setting-reader",
        "read-only-transaction",
        "read-only-session",
        "proved-read",
    }
    assert [name for name, side in sides.items() if side == HELD] == ["held"]
    assert sides["not-proved"] == WRITER


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT * FROM t", "proved-read"),
        ("INSERT INTO t VALUES (1)", "not-proved"),
        ("SELECT * FROM t FOR UPDATE", "not-proved"),
        ("SELECT f()", "not-proved"),
        ("SHOW TABLES", "not-proved"),
        ("SET @a = 1", "not-proved"),
        ("BEGIN", "read-write-transaction"),
        ("START TRANSACTION", "read-write-transaction"),
        ("START TRANSACTION READ WRITE", "read-write-transaction"),
        ("START TRANSACTION READ ONLY", "read-only-transaction"),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "read-only-transaction"),
        ("BEGIN; SELECT 1", "read-write-transaction"),
        ("START TRANSACTION READ ONLY; SELECT 1", "read-write-transaction"),
    ],
)
def test_by_the_text(text: str, reason: str) -> None:
    assert routed(text) == reason


def test_reads_outside_transactions_only_leave_the_writer_when_configured() -> None:
    assert routed("SELECT * FROM t", autocommit_reads=False) == "autocommit-reads-off"
    assert routed("START TRANSACTION READ ONLY", autocommit_reads=False) == "read-only-transaction"


@pytest.mark.parametrize("text", ["SELECT 1", "INSERT INTO t VALUES (1)", "/* fanin: writer */ SELECT 1"])
def test_a_session_that_is_held_stays_where_it_is(text: str) -> None:
    assert routed(text, is_held=True) == "held"


def test_the_reader_listener_is_for_readers() -> None:
    assert routed("INSERT INTO t VALUES (1)", is_reader=True, is_held=True) == "reader-listener"


def test_write_forwarding_keeps_a_session_together() -> None:
    assert routed("/* fanin: reader */ SELECT 1", is_undivided=True) == "write-forwarding"


# Read-only sessions


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT * FROM t", "read-only-session"),
        ("SELECT f()", "read-only-session"),
        ("SELECT GET_LOCK('a', 1)", "not-proved"),
        ("SELECT FOUND_ROWS()", "not-proved"),
        ("INSERT INTO t VALUES (1)", "not-proved"),
        ("BEGIN", "read-only-transaction"),
        ("START TRANSACTION READ WRITE", "read-write-transaction"),
    ],
)
@pytest.mark.parametrize("setting", ["access", "next_access"])
def test_in_a_read_only_session(text: str, reason: str, setting: str) -> None:
    session: dict[str, Any] = {setting: READ_ONLY}
    assert routed(text, autocommit_reads=False, **session) == reason


def test_the_next_transaction_may_be_another_than_the_sessions() -> None:
    assert routed("BEGIN", access=READ_ONLY, next_access=READ_WRITE) == "read-write-transaction"
    assert routed("SELECT f()", access=READ_ONLY, next_access=READ_WRITE) == "not-proved"


# Autocommit off


@pytest.mark.parametrize("text", ["SELECT * FROM t", "/* fanin: reader */ SELECT * FROM t", "SET @a = 1"])
def test_with_autocommit_off_a_read_may_be_followed_by_a_write(text: str) -> None:
    assert routed(text, is_autocommit=False) == "implicit-transaction"


def test_but_not_in_a_read_only_session() -> None:
    assert routed("SELECT * FROM t", is_autocommit=False, access=READ_ONLY) == "read-only-transaction"


# Hints and settings


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/* fanin: writer */ SELECT * FROM t", "hint-writer"),
        ("/* fanin: writer */ START TRANSACTION READ ONLY", "hint-writer"),
        ("/* fanin: reader */ SELECT * FROM t", "hint-reader"),
        ("/* fanin: reader */ SELECT f()", "hint-reader"),
        ("/* fanin: reader */ SHOW PROCESSLIST", "hint-reader"),
        ("/* fanin: reader */ SELECT @@hostname", "hint-reader"),
        ("/* fanin: reader */ SELECT * FROM information_schema.processlist", "hint-reader"),
        ("/* fanin: reader */ BEGIN", "hint-reader"),
        ("/* fanin: reader */ START TRANSACTION READ WRITE", "read-write-transaction"),
        ("/* fanin: reader */ SELECT * FROM t FOR UPDATE", "not-proved"),
        ("/* fanin: reader */ SELECT GET_LOCK('a', 1)", "not-proved"),
        ("/* fanin: reader */ SELECT FOUND_ROWS()", "not-proved"),
        ("/* fanin: reader */ INSERT INTO t VALUES (1)", "not-proved"),
        ("/* fanin: max_lag=5 */ SELECT * FROM t", "autocommit-reads-off"),
    ],
)
def test_hints(text: str, reason: str) -> None:
    assert routed(text, autocommit_reads=False) == reason


def test_settings_of_user_or_schema_count_after_hints() -> None:
    assert routed("SELECT 1", setting=TO_WRITER) == "setting-writer"
    assert routed("/* fanin: reader */ SELECT 1", setting=TO_WRITER) == "hint-reader"
    assert routed("SELECT 1", setting=TO_READER, autocommit_reads=False) == "setting-reader"
    assert routed("/* fanin: writer */ SELECT 1", setting=TO_READER) == "hint-writer"
    assert routed("SELECT f()", setting=TO_READER) == "not-proved"
    assert routed("START TRANSACTION READ ONLY", setting=TO_WRITER) == "setting-writer"
    assert routed("/* fanin: reader */ START TRANSACTION READ ONLY", setting=TO_WRITER) == "hint-reader"


def test_a_schema_that_each_server_has_its_own_of() -> None:
    assert routed("SELECT * FROM threads", is_in_local_schema=True) == "local-schema"
    assert routed("/* fanin: reader */ SELECT * FROM threads", is_in_local_schema=True) == "hint-reader"


def test_what_a_reader_has_refused_goes_to_the_writer() -> None:
    assert routed("SELECT * FROM v", is_bounced=True) == "bounced"
    assert routed("/* fanin: reader */ SELECT f()", is_bounced=True) == "bounced"


ON_ITS_OWN_ACCOUNT = [
    "FLUSH TABLES",
    "CREATE TABLE n (a INT)",
    "/* fanin: reader */ ANALYZE TABLE t",
    "/* fanin: writer */ DROP TABLE t",
    "SELECT 1; DROP TABLE t",
]


@pytest.mark.parametrize("text", ON_ITS_OWN_ACCOUNT)
@pytest.mark.parametrize(
    "session", [{}, {"access": READ_ONLY, "is_autocommit": False}, {"is_undivided": True}]
)
def test_what_commits_on_its_own_account_is_for_the_writer_whoever_asks(
    text: str, session: dict[str, Any]
) -> None:
    assert routed(text, **session) == "bounced"


@pytest.mark.parametrize("text", ON_ITS_OWN_ACCOUNT)
def test_but_where_a_session_is_kept_that_is_too(text: str) -> None:
    assert routed(text, is_reader=True) == "reader-listener"
    assert routed(text, is_held=True) == "held"


def test_what_begins_a_transaction_is_placed_by_that() -> None:
    assert routed("FLUSH TABLES; BEGIN") == "read-write-transaction"
    assert routed("START TRANSACTION READ ONLY", access=READ_ONLY) == "read-only-transaction"


# What the text says


def test_a_beginning_can_wait_for_the_first_statement_unless_it_takes_a_snapshot() -> None:
    assert facts("BEGIN").can_wait and facts("START TRANSACTION READ ONLY").can_wait
    assert not facts("START TRANSACTION WITH CONSISTENT SNAPSHOT").can_wait
    assert not facts("BEGIN; SELECT 1").can_wait and not facts("SELECT 1").can_wait


def test_a_beginning_with_a_long_comment_is_one_that_writes() -> None:
    assert routed("START TRANSACTION /* " + "x" * 300 + " */") == "read-write-transaction"
    assert routed("START TRANSACTION READ ONLY /* " + "x" * 300 + " */") == "read-write-transaction"


def test_a_command_without_text_goes_to_the_writer() -> None:
    assert SIDES[route(SessionSide(), NO_TEXT, True)] == WRITER


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SET TRANSACTION READ ONLY", "read-only-transaction"),
        ("set transaction isolation level repeatable read, read only", "read-only-transaction"),
        ("SET TRANSACTION READ WRITE", "not-proved"),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "not-proved"),
        ("SET @@transaction_read_only = 1", "not-proved"),
        ("SET TRANSACTION READ ONLY; SELECT 1", "not-proved"),
    ],
)
def test_what_makes_the_next_transaction_read_only_runs_where_that_will(text: str, reason: str) -> None:
    assert routed(text) == reason


@pytest.mark.parametrize(
    ("text", "session"),
    [
        ("START TRANSACTION READ ONLY", {}),
        ("SET TRANSACTION READ ONLY", {}),
        ("BEGIN", {"access": READ_ONLY}),
        ("SELECT a FROM t", {"access": READ_ONLY, "is_autocommit": False}),
        ("SELECT f()", {"access": READ_ONLY}),
    ],
)
def test_who_was_stranded_before_has_read_only_transactions_and_routines_on_the_writer(
    text: str, session: dict[str, Any]
) -> None:
    assert routed(text, **session) in ("read-only-transaction", "read-only-session")
    assert routed(text, is_stranded=True, **session) == "stranded-before"


@pytest.mark.parametrize(
    ("text", "session", "reason"),
    [
        ("/* fanin: reader */ START TRANSACTION READ ONLY", {}, "hint-reader"),
        ("/* fanin: reader */ SELECT f()", {"access": READ_ONLY}, "hint-reader"),
        ("START TRANSACTION READ ONLY", {"setting": TO_READER}, "read-only-transaction"),
        ("SELECT f()", {"setting": TO_READER, "access": READ_ONLY}, "setting-reader"),
        ("SELECT a FROM t", {"access": READ_ONLY}, "read-only-session"),
        ("SELECT a FROM t", {}, "proved-read"),
        ("START TRANSACTION READ ONLY", {"is_reader": True}, "reader-listener"),
    ],
)
def test_but_what_was_asked_for_and_reads_that_pin_nothing_stay_on_readers(
    text: str, session: dict[str, Any], reason: str
) -> None:
    assert routed(text, is_stranded=True, **session) == reason


READ_ONLY_IN_WORDS = (
    "a reader: read-only transaction (the writer, once one has stranded a session of the account)"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/* fanin: writer */ SELECT a FROM t", "the writer, by its hint"),
        ("/* fanin: reader */ SELECT @@port", "a reader, by its hint"),
        ("/* fanin: reader */ BEGIN", "a reader, by its hint"),
        ("/* fanin: reader */ DELETE FROM t", "the writer: not proved to be a read (no-query)"),
        ("START TRANSACTION READ ONLY", READ_ONLY_IN_WORDS),
        ("SET TRANSACTION READ ONLY", READ_ONLY_IN_WORDS),
        ("BEGIN", "the writer; a reader if the session is READ ONLY"),
        ("START TRANSACTION READ WRITE", "the writer: transaction that may write"),
        ("SELECT a FROM t FOR UPDATE", "the writer: not proved to be a read (locking-read)"),
    ],
)
def test_people_are_told_where_a_text_runs(text: str, words: str) -> None:
    assert in_words(facts(text)) == words


def test_people_are_told_what_a_proved_read_waits_for() -> None:
    assert "autocommit_reads" in in_words(facts("SELECT a FROM t"))
