from __future__ import annotations

import pytest

from protocol.errors import RemoteProtocolError
from protocol.framing import frame
from protocol.outcome import Outcome
from protocol.packets import SessionChanges, build_eof, build_err, build_ok
from protocol.session_track import SchemaDebt


def read_ok(outcome: Outcome, payload: bytes, session_track: bool = True) -> bool:
    """Whether there are trackers in it."""
    chunk = b"??" + frame(payload)
    return outcome._read_ok(chunk, 2, len(chunk), session_track) is not None


def numbers(outcome: Outcome) -> tuple[int, int, int, int, bool]:
    return (
        outcome.affected_rows,
        outcome.insert_id,
        outcome.status,
        outcome.warnings,
        outcome.any_insert_id,
    )


@pytest.mark.parametrize("affected_rows", [3, 1000])
@pytest.mark.parametrize("insert_id", [0, 5, 70000])
def test_an_ok_is_read(affected_rows: int, insert_id: int) -> None:
    outcome = Outcome()
    payload = build_ok(affected_rows=affected_rows, insert_id=insert_id, status=0x0203, warnings=258)
    assert not read_ok(outcome, payload)
    assert numbers(outcome) == (affected_rows, insert_id, 0x0203, 258, insert_id > 0)


def test_blocks_of_several_oks_are_merged() -> None:
    outcome = Outcome()
    assert read_ok(outcome, build_ok(status=2, changes=SessionChanges([(b"a", b"1")])))
    assert read_ok(outcome, build_ok(status=2, changes=SessionChanges(schema=b"s")))
    assert outcome.changes == SessionChanges([(b"a", b"1")], b"s")
    assert outcome.status == 2


def test_a_schema_that_is_told_at_the_end_of_rows_is_not_one_that_was_chosen() -> None:
    outcome = Outcome()
    assert read_ok(outcome, build_ok(status=2, changes=SessionChanges(schema=b"chosen")))
    assert read_ok(outcome, build_ok(status=2, header=0xFE, changes=SessionChanges(schema=b"inside")))
    assert outcome.changes is not None
    assert (outcome.changes.schema, outcome.changes.chosen) == (b"inside", b"chosen")


def test_the_flag_alone_is_reported_but_says_nothing() -> None:
    outcome = Outcome()
    assert read_ok(outcome, b"\0\0\0\x02\x40\0\0", session_track=False)
    assert outcome.changes is None and outcome.status == 2


@pytest.mark.parametrize(("is_late", "has_trackers"), [(False, False), (True, True)])
def test_an_ok_that_is_to_tell_what_is_due_has_trackers(is_late: bool, has_trackers: bool) -> None:
    outcome = Outcome()
    outcome.debt = SchemaDebt()
    outcome.debt.is_late = is_late
    assert read_ok(outcome, build_ok(affected_rows=3, status=2)) is has_trackers
    assert (outcome.affected_rows, outcome.status, outcome.changes) == (3, 2, None)


def test_an_eof_is_read() -> None:
    outcome = Outcome()
    outcome._read_eof(build_eof(2, 7), 0, True)
    assert (outcome.status, outcome.warnings, outcome.changes) == (2, 7, None)
    outcome._read_eof(b"\xfe\0\0\x02\x40", 0x1008, True)
    assert (outcome.status, outcome.changes) == (0x100A, SessionChanges(state_changed=True))


def test_an_error_is_read_and_forgotten_with_the_response() -> None:
    outcome = Outcome()
    outcome.status = 3
    outcome._read_error(build_err(1213, None, b"Deadlock"))
    assert (outcome.is_error, outcome.error_code, outcome.error_sqlstate) == (True, 1213, b"40001")
    assert outcome.error_message == b"Deadlock"
    assert outcome.status == 3
    outcome._clear(2)
    assert (outcome.is_error, outcome.error_code, outcome.error_message) == (False, 0, b"")
    outcome._clear(2)
    assert outcome.status == 2


def test_progress_reports_are_not_negotiated() -> None:
    with pytest.raises(RemoteProtocolError, match="progress"):
        Outcome()._read_error(b"\xff\xff\xff\x01\x01\0\0\0\0")
