"""What a session's statements are placed by, what may write, and when that is a fence."""

from __future__ import annotations

import pytest

from proxy.classify import classify
from proxy.hints import ANY, TO_READER, TO_WRITER
from proxy.past_reads import Copy, Past, PastRead
from proxy.placement import (
    ENTRY_OVERHEAD,
    LONGEST_KEPT,
    LONGEST_PROVED,
    NO_RECORD,
    Names,
    Placement,
    TextRecord,
    Texts,
    gtids_of,
    is_autocommit,
    is_fenced,
    record_of,
)
from proxy.readers import Reader, ReaderTable
from proxy.reads import NO_QUERY, NOT_UNDERSTOOD, PROVED
from proxy.routing import READ_ONLY, READ_WRITE
from proxy.statement import Statement
from proxy.vector import Vector
from tests.fakes.responses import AUTOCOMMIT, IN_TRANS, changed, err, ok, response, rows

GTID = b"97734610-e62a-11f1-8c87-02fc00000001:7"


def record(text: str) -> TextRecord:
    written = text.encode()
    return record_of(written, 0, classify(written, 0), False)


def reader() -> Reader:
    table = ReaderTable(max_lag=1.0, interval=1.0)
    table.add("r1")
    table.set_role("r1", True, 3, 0.0)
    return table.readers["r1"]


# Texts


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (1)",
        "SELECT f(1)",
        "CALL p()",
        "SELECT 1; SELECT 2",
        "SET GLOBAL max_connections = 1",
        "SET @a = NEXT VALUE FOR s",
        "SELECT * FROM t INTO OUTFILE 'x'",
        "EXPLAIN ANALYZE UPDATE t SET a = 1",
        "ANALYZE DELETE FROM t",
        "WITH c AS (SELECT 1) DELETE FROM t",
        "DROP TABLE t",
        "SET STATEMENT max_statement_time = 1 FOR INSERT INTO t VALUES (1)",
        "something new",
        "SELECT ROW_COUNT(), f()",
        "SELECT LAST_INSERT_ID(), NEXTVAL(s)",
    ],
)
def test_what_is_not_known_to_be_harmless_may_write(text: str) -> None:
    assert record(text).writes and record(text).reads


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("SELECT a FROM t", True),
        ("SELECT 1", False),
        ("TABLE t", True),
        ("SELECT 1 UNION TABLE t", True),
        ("SELECT @@hostname", False),
        ("SELECT LAST_INSERT_ID(), ROW_COUNT(), FOUND_ROWS()", False),
        ("SHOW TABLES", True),
        ("BEGIN", False),
        ("COMMIT", False),
        ("SET NAMES utf8mb4", False),
        ("SET @a = (SELECT MAX(a) FROM t)", True),
        ("USE shop", False),
        ("", False),
    ],
)
def test_what_is_harmless_may_read(text: str, reads: bool) -> None:
    found = record(text)
    assert (found.writes, found.reads) == (False, reads)


def test_long_texts_are_not_looked_at_whole() -> None:
    rows_of = ", ".join(["(1)"] * LONGEST_KEPT)
    assert record(f"INSERT INTO t VALUES {rows_of}").facts.proof == NO_QUERY
    long = record(f"SELECT a FROM t WHERE a <> '{'x' * LONGEST_KEPT}'")
    assert long.facts.proof == PROVED
    longer = record(f"/* fanin: reader */ SELECT a FROM t WHERE a <> '{'x' * LONGEST_PROVED}'")
    assert (longer.facts.proof, longer.facts.hints.side, longer.writes) == (NOT_UNDERSTOOD, TO_READER, True)


@pytest.mark.parametrize("length", [1, LONGEST_KEPT, LONGEST_PROVED])
def test_whatever_its_length_a_text_is_known_to_commit_on_its_own_account(length: int) -> None:
    comment = "x" * length
    assert record(f"CREATE TABLE n (a INT) COMMENT '{comment}'").facts.commits_itself
    assert record(f"CREATE TABLE n SELECT '{comment}'").facts.commits_itself
    assert not record(f"INSERT INTO t VALUES ('{comment}')").facts.commits_itself
    assert not record(f"SELECT '{comment}'").facts.commits_itself


def test_reads_are_what_may_fall_back_on_the_writer() -> None:
    assert record("SELECT a FROM t").is_read()
    assert record("START TRANSACTION READ ONLY").is_read()
    assert not record("BEGIN").is_read()
    assert not NO_RECORD.is_read()


def test_the_digest_is_without_literals_and_made_once() -> None:
    found = record("SELECT a FROM t WHERE b = 7")
    assert found.digest() == "SELECT a FROM t WHERE b = ?"
    assert found.digest() is found.digest()


def test_texts_are_looked_at_once_and_the_older_half_is_forgotten() -> None:
    texts = Texts(4 * (ENTRY_OVERHEAD + 2 * len(b".....SELECT 1")))

    def find(text: str) -> TextRecord:
        wire = b"....." + text.encode()
        return texts.find(wire, 5, 0, classify(wire[5:], 0), False)

    one = find("SELECT 1")
    assert one.text == b"SELECT 1" and find("SELECT 1") is one
    find("SELECT 2")
    assert find("SELECT 1") is one
    find("SELECT 3")
    assert find("SELECT 1") is one
    find("SELECT 4")
    find("SELECT 5")
    assert find("SELECT 2").text == b"SELECT 2"
    assert len(texts) <= 4
    long = "SELECT '" + "x" * LONGEST_KEPT + "'"
    assert find(long) is not find(long)


# Sides by configuration


def test_users_and_schemas_have_sides() -> None:
    names = Names(("r",), ("w",), ("reports",), ("bank",))
    assert names.side(b"r", b"bank") == TO_READER
    assert names.side(b"w", b"reports") == TO_WRITER
    assert names.side(b"u", b"reports") == TO_READER
    assert names.side(b"u", b"bank") == TO_WRITER
    assert names.side(b"u", b"shop") == names.side(b"u", None) == Names().side(b"r", b"reports") == ANY


def test_the_state_of_the_session_is_seen() -> None:
    placement = Placement(False)
    fresh = Vector.fresh(b"mysql", {})
    placement.see(fresh, b"u", Names())
    assert placement.vector is fresh
    assert placement.side.access == READ_WRITE and placement.side.is_in_local_schema
    variables = [(b"tx_read_only", b"ON"), (b"aurora_replica_read_consistency", b"session")]
    placement.see(Vector.fresh(None, {}).with_variables(variables), b"u", Names(("u",)))
    side = placement.side
    assert (side.access, side.is_undivided, side.is_in_local_schema) == (READ_ONLY, True, False)
    assert side.setting == TO_READER
    assert is_autocommit(2) and not is_autocommit(1)


def test_another_user_has_other_sides_and_nothing_to_commit() -> None:
    placement = Placement(False)
    vector = Vector.fresh(None, {})
    placement.see(vector, b"u", Names(("u",)))
    placement.is_dirty, placement.keys = True, (b"k",)
    placement.begin_anew()
    assert (placement.vector, placement.is_dirty, len(placement.keys)) == (None, False, 0)


# Fences


def answered(placement: Placement, text: str, answer: list[bytes], before: int = AUTOCOMMIT) -> bool:
    statement: Statement = classify(text.encode(), 0)
    placement.record = record(text)
    return placement.answered(statement, response(answer), before, 10.0)


def keys(placement: Placement) -> list[bytes]:
    return list(placement.keys)


def test_a_write_outside_transactions_is_a_fence() -> None:
    placement = Placement(False)
    assert not is_fenced(placement.view)
    assert answered(placement, "INSERT INTO t VALUES (1)", ok())
    assert placement.view.written_at == 10.0 and not placement.is_dirty


def test_so_is_one_that_failed_as_it_may_have_written_some_rows() -> None:
    placement = Placement(False)
    assert answered(placement, "INSERT INTO t VALUES (1)", err(1062))
    assert not placement.is_dirty


def test_a_transaction_is_a_fence_when_it_ends() -> None:
    placement = Placement(False)
    assert not answered(placement, "BEGIN", ok(status=IN_TRANS))
    assert not answered(placement, "INSERT INTO t VALUES (1)", ok(status=IN_TRANS), IN_TRANS)
    assert placement.is_dirty and not placement.view.is_fenced()
    assert not answered(placement, "SELECT a FROM t", rows([b"1"], status=IN_TRANS), IN_TRANS)
    assert not answered(placement, "INSERT INTO t VALUES (1)", err(1062), IN_TRANS)
    assert answered(placement, "COMMIT", ok(), IN_TRANS)
    assert not placement.is_dirty


def test_a_transaction_that_wrote_nothing_is_none() -> None:
    placement = Placement(False)
    answered(placement, "BEGIN", ok(status=IN_TRANS))
    answered(placement, "SELECT a FROM t", rows([b"1"], status=IN_TRANS), IN_TRANS)
    assert not answered(placement, "COMMIT", ok(), IN_TRANS)
    assert placement.view.read_at == 10.0


def test_a_transaction_that_is_ended_by_the_next_one_is_a_fence() -> None:
    placement = Placement(False)
    answered(placement, "INSERT INTO t VALUES (1)", ok(status=IN_TRANS), IN_TRANS)
    assert answered(placement, "BEGIN", ok(status=IN_TRANS), IN_TRANS)
    assert not placement.is_dirty


def test_several_statements_may_commit_unseen_and_the_transaction_go_on() -> None:
    placement = Placement(False)
    text = "INSERT INTO t VALUES (1); SELECT 1"
    assert answered(placement, text, ok(status=IN_TRANS), IN_TRANS)
    assert placement.is_dirty
    assert answered(placement, text, err(1062), IN_TRANS)
    assert placement.is_dirty


def test_without_autocommit_a_write_begins_a_transaction_and_is_no_commit() -> None:
    placement = Placement(False)
    hinted = "/* fanin: causal=k */ INSERT INTO t VALUES (1)"
    assert not answered(placement, hinted, ok(status=IN_TRANS), before=0)
    assert placement.is_dirty and not placement.view.is_fenced()
    assert answered(placement, "COMMIT", ok(status=0), IN_TRANS)
    assert placement.keys == (b"k",) and not placement.is_dirty


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("CALL p()", 0),
        ("CALL p()", AUTOCOMMIT),
        ("INSERT INTO t VALUES (1)", 0),
        ("BEGIN; INSERT INTO t VALUES (1); nonsense", AUTOCOMMIT),
    ],
)
def test_what_fails_half_way_may_have_left_a_transaction_open(text: str, before: int) -> None:
    placement = Placement(False)
    assert answered(placement, text, err(1062), before)
    assert answered(placement, "COMMIT", ok(), IN_TRANS)
    assert not placement.is_dirty


def test_what_is_begun_and_written_by_one_text_is_committed_later() -> None:
    placement = Placement(False)
    text = "BEGIN; /* fanin: causal=k */ INSERT INTO t VALUES (1)"
    assert answered(placement, text, ok(status=IN_TRANS))
    assert placement.is_dirty
    assert answered(placement, "COMMIT", ok(), IN_TRANS)


def test_what_prepared_text_does_in_a_transaction_is_not_known() -> None:
    placement = Placement(False)
    assert answered(placement, "EXECUTE p", ok(status=IN_TRANS), IN_TRANS)
    assert placement.is_dirty


@pytest.mark.parametrize("hinted", ["BEGIN", "SELECT a FROM t", "COMMIT"])
@pytest.mark.parametrize("before", [AUTOCOMMIT, 0])
def test_a_hint_in_any_text_of_a_transaction_is_of_all_that_it_writes(hinted: str, before: int) -> None:
    placement = Placement(False)
    texts = ["BEGIN", "SELECT a FROM t", "INSERT INTO t VALUES (1)", "COMMIT"]
    for text in texts:
        shown = f"/* fanin: causal=k */ {text}" if text == hinted else text
        is_over = text == "COMMIT"
        assert answered(placement, shown, ok() if is_over else ok(status=IN_TRANS), before) == is_over
        before = IN_TRANS
    assert placement.keys == (b"k",)


def test_without_a_begin_it_counts_from_the_read_that_opens_the_transaction() -> None:
    placement = Placement(False)
    answered(placement, "/* fanin: causal=k */ SELECT a FROM t", rows([b"1"], status=IN_TRANS), 0)
    answered(placement, "INSERT INTO t VALUES (1)", ok(status=IN_TRANS), IN_TRANS)
    assert answered(placement, "COMMIT", ok(status=0), IN_TRANS)
    assert placement.keys == (b"k",)


def test_hints_of_a_transaction_that_wrote_nothing_are_forgotten() -> None:
    placement = Placement(False)
    answered(placement, "BEGIN", ok(status=IN_TRANS))
    answered(placement, "/* fanin: causal=k */ SELECT a FROM t", rows([b"1"], status=IN_TRANS), IN_TRANS)
    answered(placement, "COMMIT AND CHAIN", ok(status=IN_TRANS), IN_TRANS)
    assert keys(placement) == []
    answered(placement, "/* fanin: causal=k */ SELECT a FROM t", rows([b"1"], status=IN_TRANS), IN_TRANS)
    answered(placement, "COMMIT", ok(), IN_TRANS)
    assert answered(placement, "/* fanin: causal=l */ INSERT INTO t VALUES (1)", ok())
    assert keys(placement) == [b"l"]


def test_keys_are_kept_until_what_was_written_is_committed() -> None:
    placement = Placement(False)
    text = "/* fanin: causal=k */ INSERT INTO t VALUES (1); SELECT 1"
    assert answered(placement, text, ok(status=IN_TRANS), IN_TRANS)
    placement.fenced()
    assert keys(placement) == [b"k"]
    assert answered(placement, "/* fanin: causal=l */ BEGIN", ok(status=IN_TRANS), IN_TRANS)
    assert keys(placement) == [b"k", b"l"]
    placement.fenced()
    assert keys(placement) == [b"l"]
    answered(placement, "INSERT INTO t VALUES (1)", ok(status=IN_TRANS), IN_TRANS)
    assert answered(placement, "COMMIT", ok(), IN_TRANS)
    placement.fenced()
    assert keys(placement) == []


def test_a_transaction_may_write_under_several_keys() -> None:
    placement = Placement(False, b"session")
    for text in (
        "/* fanin: causal=k */ INSERT INTO t VALUES (1)",
        "/* fanin: causal=l */ INSERT INTO t VALUES (2)",
        "/* fanin: causal=k */ INSERT INTO t VALUES (3)",
        "INSERT INTO t VALUES (4)",
    ):
        assert not answered(placement, text, ok(status=IN_TRANS), IN_TRANS)
    assert answered(placement, "COMMIT", ok(), IN_TRANS)
    assert placement.keys == (b"k", b"l", b"session")


def test_a_session_may_have_a_key_which_hints_replace() -> None:
    placement = Placement(False, b"session")
    assert placement.read_key() == b"session"
    answered(placement, "INSERT INTO t VALUES (1)", ok())
    assert placement.keys == (b"session",)
    answered(placement, "/* fanin: causal=k */ SELECT a FROM t", rows([b"1"]))
    assert placement.read_key() == b"k"


def test_what_a_reader_runs_is_no_fence_unless_it_has_become_the_writer() -> None:
    placement = Placement(False)
    placement.leads_to(reader())
    assert placement.epoch == 3
    assert not answered(placement, "SELECT a FROM t", rows([b"1"]))
    assert not answered(placement, "SELECT 1", rows([b"1"]))
    assert not answered(placement, "INSERT INTO t VALUES (1)", err(1290))
    assert placement.view.read_at == 10.0 and not placement.is_dirty
    assert answered(placement, "INSERT INTO t VALUES (1)", ok())
    placement.leads_to(None)
    assert placement.reader is None


def test_a_loss_may_have_committed() -> None:
    placement = Placement(False)
    assert not placement.lost(5.0)
    placement.record = record("INSERT INTO t VALUES (1)")
    assert placement.lost(5.0) and placement.view.written_at == 5.0
    placement.record = record("/* fanin: causal=k */ INSERT INTO t VALUES (1)")
    assert placement.lost(5.0) and placement.keys == (b"k",)
    placement.record, placement.is_dirty = NO_RECORD, True
    assert placement.lost(6.0) and not placement.is_dirty


def test_transactions_that_the_server_tells_are_part_of_the_fence() -> None:
    changes = changed(is_opaque=False)
    changes.gtids = GTID
    found = gtids_of(response(ok(changes=changes)))
    assert str(found) == GTID.decode()
    assert str(gtids_of(response(ok(changes=changed(("last_gtid", "0-1-7")))))) == "0-1-7"
    assert gtids_of(response(ok(changes=changed(("last_gtid", ""), ("x", "1"))))) is None
    assert gtids_of(response(ok(changes=changed(("last_gtid", "what?"))))) is None
    assert gtids_of(response(ok())) is None
    both = gtids_of(response(ok(changes=changed(("last_gtid", "0-1-7"), ("x", "1"), ("last_gtid", "1-1-2")))))
    assert str(both) == "0-1-7,1-1-2"


def test_a_transaction_in_which_nothing_was_seen_is_known_by_its_begin() -> None:
    placement, begin = Placement(False), b"BEGIN, in wire form"
    assert placement.begun_with() == b""
    placement.past = past = Past()
    assert placement.begun_with() == b""
    past.begins(PastRead(begin, None, None))
    assert placement.begun_with() == begin
    past.goes_on(PastRead(b"a read", None, Copy()))
    assert placement.begun_with() == b""
