from __future__ import annotations

from proxy.pin_records import OTHERS, PinBook, PinRow, SessionPins
from proxy.pins import PinReason

LOCK, TABLE = PinReason.USER_LOCK, PinReason.TEMPORARY_TABLE


def row(book: PinBook, digest: str) -> PinRow:
    return next(row for row in book.rows() if row.digest == digest)


def test_a_pin_lasts_from_its_answer_to_the_one_that_ends_it() -> None:
    book = PinBook(0.0)
    pins = SessionPins(book, "w", 7)
    pins.update([LOCK], "a", True, 10.0)
    assert [(pin.reason, pin.digest, pin.began) for pin in pins.pins] == [(LOCK, "a", 10.0)]
    assert (row(book, "a").live, row(book, "a").seconds(14.0)) == (1, 4.0)
    pins.update([], "", True, 15.0)
    assert pins.pins == []
    found = row(book, "a")
    assert (found.live, found.count, found.seconds(99.0), found.last_seen) == (0, 1, 5.0, 15.0)
    assert book.endpoints["w"].seconds(99.0) == 5.0
    assert book.seconds_by_reason(99.0) == {"user-lock": 5.0}


def test_the_time_of_a_transaction_is_not_charged() -> None:
    book = PinBook(0.0)
    pins = SessionPins(book, "w", 7)
    pins.update([LOCK], "a", False, 10.0)
    assert row(book, "a").seconds(20.0) == 0.0
    pins.update([LOCK], "", True, 20.0)
    pins.update([LOCK], "", False, 23.0)
    pins.end(50.0)
    assert (row(book, "a").seconds(60.0), row(book, "a").count) == (3.0, 1)


def test_two_pins_are_charged_in_full_each_and_their_session_once() -> None:
    book = PinBook(0.0)
    pins = SessionPins(book, "w", 7)
    pins.update([LOCK], "a", True, 0.0)
    pins.update([TABLE, LOCK], "b", True, 1.0)
    pins.update([TABLE], "", True, 3.0)
    pins.end(7.0)
    assert (row(book, "a").seconds(9.0), row(book, "b").seconds(9.0)) == (3.0, 6.0)
    assert book.endpoints["w"].seconds(9.0) == 7.0


def test_sessions_with_one_digest_share_a_row_and_endpoints_have_clocks_of_their_own() -> None:
    book = PinBook(0.0)
    first, second, third = (SessionPins(book, name, 1) for name in ("w", "w", "r"))
    for pins, since in ((first, 0.0), (second, 1.0), (third, 2.0)):
        pins.update([LOCK], "a", True, since)
    found = row(book, "a")
    assert (found.live, found.seconds(3.0)) == (3, 6.0)
    assert {name: clock.seconds(3.0) for name, clock in found.clocks.items()} == {"w": 5.0, "r": 1.0}
    second.end(4.0)
    assert (found.live, found.seconds(5.0)) == (2, 11.0)


def test_a_pin_that_no_statement_set_has_no_digest() -> None:
    book = PinBook(0.0)
    pins = SessionPins(book, "w", 7)
    pins.update([PinReason.SESSION_MODE, PinReason.UNSAFE_CHARSET, LOCK], "SELECT GET_LOCK(?, ?)", True, 0.0)
    assert [pin.digest for pin in pins.pins] == ["", "", "SELECT GET_LOCK(?, ?)"]
    other = SessionPins(book, "w", 7)
    other.update([PinReason.UNSAFE_CHARSET], "SET NAMES gbk", True, 0.0)
    assert [pin.digest for pin in other.pins] == ["SET NAMES gbk"]


def test_a_full_book_keeps_what_costs_most_and_adds_the_rest_up() -> None:
    book = PinBook(0.0, most_rows=2)
    costly, cheap, live = (SessionPins(book, "w", each) for each in range(3))
    costly.update([LOCK], "costly", True, 0.0)
    costly.end(9.0)
    cheap.update([LOCK], "cheap", True, 9.0)
    cheap.end(10.0)
    assert OTHERS not in [row.digest for row in book.rows()]
    live.update([LOCK], "live", True, 10.0)
    assert [(row.digest, row.count, row.seconds(11.0)) for row in book.rows()] == [
        ("costly", 1, 9.0),
        ("live", 1, 1.0),
        (OTHERS, 1, 1.0),
    ]


def test_what_finds_no_row_because_all_are_live_is_with_the_others() -> None:
    book = PinBook(0.0, most_rows=1)
    first, second = SessionPins(book, "w", 1), SessionPins(book, "w", 2)
    first.update([LOCK], "first", True, 0.0)
    second.update([TABLE], "second", True, 1.0)
    assert second.pins[0].digest == "second"
    assert [(row.digest, row.reason, row.live) for row in book.rows()] == [
        ("first", LOCK, 1),
        (OTHERS, None, 1),
    ]
    second.end(3.0)
    assert row(book, OTHERS).seconds(9.0) == 2.0
    first.end(3.0)
    second.update([TABLE], "second", True, 4.0)
    assert [row.digest for row in book.rows()] == ["second", OTHERS]
