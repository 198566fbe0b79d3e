"""The emulator's replica_host_status never says that a reader is fresher than it is."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.fakes.aurora.status import MASTER, Board, History, has, position_of, select_of

NOW = datetime(2026, 11, 22, 12, 0, 0, 5000)


def test_positions_of_both_kinds_of_server() -> None:
    assert position_of("") == {}
    assert position_of("0-1-15,1-2-3") == {"0": 15, "1": 3}
    assert position_of("0-1-15,0-2-17") == {"0": 17}
    assert position_of("a:1-5,\nb:7") == {"a": 5, "b": 7}
    # what comes behind a gap does not count
    assert position_of("a:1-5:7-9") == {"a": 5}


@pytest.mark.parametrize(
    ("position", "other", "wanted"),
    [
        ({"a": 5}, {}, True),
        ({"a": 5}, {"a": 5}, True),
        ({"a": 4, "b": 9}, {"a": 5}, False),
        ({}, {"a": 1}, False),
    ],
)
def test_who_has_what(position: dict[str, int], other: dict[str, int], wanted: bool) -> None:
    assert has(position, other) == wanted


def test_lag_counts_from_the_last_time_that_the_writer_was_no_further() -> None:
    history = History()
    assert history.lag({"a": 1}, 99.0) == 0.0
    history.note({"a": 1}, 100.0)
    history.note({"a": 1}, 101.0)
    history.note({"a": 3}, 102.0)
    history.note({"a": 3}, 103.0)
    assert history.lag({"a": 3}, 103.5) == 0.5
    # the second transaction was committed at an unknown time after 101
    assert history.lag({"a": 2}, 103.5) == 2.5
    assert history.lag({"a": 9}, 103.0) == 0.0
    # it has less than was ever seen: it lags at least as long as we have looked
    assert history.lag({}, 110.0) == 10.0


def test_board_shows_who_reported_what() -> None:
    board = Board()
    board.write("db-1", is_writer=True, lag=9.0, updated=NOW)
    board.write("db-2", is_writer=False, lag=0.5, updated=NOW)
    writer, reader = board.shown_by("db-1")
    assert (writer.server_id, writer.session_id, writer.lag) == ("db-1", MASTER, 0.0)
    assert (reader.server_id, reader.lag, reader.updated) == ("db-2", 0.5, NOW)
    assert reader.session_id != MASTER
    board.lags["db-2"] = 3.0
    board.cpus["db-2"] = 90.0
    board.write("db-2", is_writer=False, lag=0.5, updated=NOW)
    assert (board.rows["db-2"].lag, board.rows["db-2"].cpu) == (3.0, 90.0)
    board.silent.add("db-2")
    board.write("db-2", is_writer=True, lag=0.0, updated=datetime(2027, 1, 1))
    assert board.rows["db-2"].updated == NOW
    board.forget("db-2")
    assert [row.server_id for row in board.shown_by("db-1")] == ["db-1"]


def test_copies_go_stale_one_by_one_and_the_former_writer_hides_the_present_reader() -> None:
    board = Board()
    board.write("db-1", is_writer=True, lag=0.0, updated=NOW)
    board.write("db-2", is_writer=False, lag=0.1, updated=NOW)
    board.hold("db-1")
    board.former = board.rows["db-1"]
    board.write("db-1", is_writer=False, lag=0.1, updated=NOW)
    board.write("db-2", is_writer=True, lag=0.0, updated=NOW)
    assert [row.session_id == MASTER for row in board.shown_by("db-1")] == [True, False]
    assert [row.session_id == MASTER for row in board.shown_by("db-2")] == [True, True]
    board.former = None
    board.release("db-1")
    assert [row.session_id == MASTER for row in board.shown_by("db-1")] == [False, True]


def test_rows_become_a_select() -> None:
    board = Board()
    assert select_of([]).endswith("FROM DUAL WHERE 1 = 0")
    board.write("db-1", is_writer=True, lag=0.0, updated=NOW)
    text = select_of(board.shown_by("db-1"))
    assert "CAST('2026-11-22 12:00:00.005000' AS DATETIME(6)) AS LAST_UPDATE_TIMESTAMP" in text
    assert "CAST('MASTER_SESSION_ID' AS CHAR(100)) AS SESSION_ID" in text
    board.write("db-2", is_writer=False, lag=0.0125, updated=NOW)
    assert "UNION ALL SELECT CAST('db-2'" in select_of(board.shown_by("db-1"))
    assert "CAST(12.500 AS DOUBLE)" in select_of(board.shown_by("db-1"))
