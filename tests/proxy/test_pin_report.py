from __future__ import annotations

import pytest

from proxy.pin_records import PinBook, SessionPins
from proxy.pin_report import as_text, live_pins, report
from proxy.pins import MEANINGS, PinReason

LOCK, TABLE = PinReason.USER_LOCK, PinReason.TEMPORARY_TABLE


def pinned_book() -> PinBook:
    """100 s of two endpoints: a lock for 50 s on one, and still on the other; a temporary table for 5 s."""
    book = PinBook(1000.0)
    lock, table, live = SessionPins(book, "w", 1), SessionPins(book, "w", 2), SessionPins(book, "r", 3)
    lock.update([LOCK], "SELECT GET_LOCK(?, ?)", True, 1000.0)
    lock.end(1050.0)
    table.update([TABLE], "CREATE TEMPORARY TABLE t", True, 1000.0)
    table.end(1005.0)
    live.update([LOCK], "SELECT GET_LOCK(?, ?)", True, 1090.0)
    return book


def test_live_pins_say_what_would_lift_them() -> None:
    assert live_pins(None, 0.0) == []
    pins = SessionPins(PinBook(0.0), "w", 7)
    pins.update([LOCK], "SELECT GET_LOCK(?, ?)", True, 1.0)
    assert live_pins(pins, 3.5) == [
        {
            "reason": "user-lock",
            "digest": "SELECT GET_LOCK(?, ?)",
            "age": 2.5,
            "endpoint": "w",
            "server_connection": 7,
            "cleared_by": MEANINGS[LOCK].lifted_by,
            "advice": MEANINGS[LOCK].advice,
        }
    ]


def test_rows_are_sorted_by_what_they_cost() -> None:
    found = report(pinned_book(), {"w": 2, "r": 4}, 1100.0)
    assert found["uptime"] == 100.0
    assert found["endpoints"] == [
        {"name": "w", "pool_size": 2, "pinned_seconds": 55.0, "share": 0.275, "backends": 0.55},
        {"name": "r", "pool_size": 4, "pinned_seconds": 10.0, "share": 0.025, "backends": 0.1},
    ]
    first, second = found["pins"]
    assert first == {
        "reason": "user-lock",
        "digest": "SELECT GET_LOCK(?, ?)",
        "count": 2,
        "live": 1,
        "pinned_seconds": 60.0,
        "share": 0.1,
        "backends": 0.6,
        "endpoints": [
            {"name": "w", "pinned_seconds": 50.0, "share": 0.25, "backends": 0.5},
            {"name": "r", "pinned_seconds": 10.0, "share": 0.025, "backends": 0.1},
        ],
        "last_seen_ago": 0.0,
        "cleared_by": MEANINGS[LOCK].lifted_by,
        "advice": MEANINGS[LOCK].advice,
    }
    assert (second["digest"], second["pinned_seconds"], second["live"]) == (
        "CREATE TEMPORARY TABLE t",
        5.0,
        0,
    )


def test_an_endpoint_that_is_gone_has_no_share_and_the_others_no_reason() -> None:
    book = PinBook(0.0, most_rows=0)
    pins = SessionPins(book, "gone", 1)
    pins.update([LOCK], "a", True, 0.0)
    found = report(book, {"w": 2}, 10.0)
    assert found["endpoints"][0]["pinned_seconds"] == 0.0
    (row,) = found["pins"]
    assert (row["reason"], row["share"], row["cleared_by"], row["advice"]) == (None, 0.0, "", "")
    assert "(others)" in as_text(found)


def test_a_report_at_the_very_start_has_no_division_by_zero() -> None:
    assert report(PinBook(5.0), {"w": 2}, 5.0)["endpoints"][0]["backends"] == 0.0


def test_the_text_is_a_table() -> None:
    book = pinned_book()
    mode = SessionPins(book, "w", 9)
    mode.update([PinReason.SESSION_MODE], "", True, 1099.0)
    mode.end(1100.0)
    lock, table = MEANINGS[LOCK], MEANINGS[TABLE]
    assert as_text(report(book, {"w": 2, "r": 4}, 1100.0)).splitlines() == [
        "since the start, 100 s ago",
        "",
        "  pinned s   share backends  pool  endpoint",
        "      56.0  28.00%     0.56     2  w",
        "      10.0   2.50%     0.10     4  r",
        "",
        "  pinned s   share backends  live   count    last seen  reason",
        "      60.0  10.00%     0.60     1       2          now  user-lock",
        "            SELECT GET_LOCK(?, ?)",
        f"            cleared by  {lock.lifted_by}",
        f"            advice      {lock.advice}",
        "       5.0   2.50%     0.05     0       1     95 s ago  temporary-table",
        "            CREATE TEMPORARY TABLE t",
        f"            cleared by  {table.lifted_by}",
        f"            advice      {table.advice}",
        "       1.0   0.50%     0.01     0       1      0 s ago  session-mode",
        "            (no statement: from the start of the session)",
        "            cleared by  the end of the session",
        '            advice      pool.mode = "transaction"',
    ]


def test_the_text_of_an_empty_book_says_so() -> None:
    assert as_text(report(PinBook(0.0), {}, 9.0)).splitlines()[-1] == "no session was pinned"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(119.0, "119 s"), (120.0, "2 min"), (7200.0, "2 h"), (900000.0, "10 d")]
)
def test_times_are_told_in_units_that_fit(seconds: float, expected: str) -> None:
    assert as_text(report(PinBook(0.0), {}, seconds)).startswith(f"since the start, {expected} ago")
