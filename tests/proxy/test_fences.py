"""What a session must see, and what readers are known to have."""

from __future__ import annotations

import pytest

from proxy.fences import (
    MARGIN,
    MOST_GTIDS,
    MOST_POSITIONS,
    MOST_SHARED_GTIDS,
    NEVER,
    NO_FENCE,
    NOTHING_APPLIED,
    ClockEstimate,
    KeyedFences,
    SessionView,
    Watermark,
    WriterPositions,
    of_row,
)
from proxy.gtids import Gtids, parse_gtids

A = "97734610-e62a-11f1-8c87-02fc00000001"


def gtids(text: str) -> Gtids:
    return parse_gtids(text, False)


def mark(at: float, epoch: int = 0, position: str | None = None) -> Watermark:
    made = Watermark()
    made.raise_to(at, epoch, None if position is None else gtids(position))
    return made


# Watermarks


def test_a_row_tells_of_the_time_before_it_was_written_less_the_lag() -> None:
    assert of_row(10.0, 0.5, 0.25) == 9.25 - MARGIN
    assert of_row(10.0, 0.5, None) == NOTHING_APPLIED


def test_a_watermark_never_falls() -> None:
    watermark = mark(5.0)
    watermark.raise_to(4.0)
    assert watermark.at == 5.0
    watermark.raise_to(6.0)
    assert watermark.at == 6.0


def test_unless_the_reader_is_another() -> None:
    watermark = mark(5.0, position=f"{A}:1-9")
    watermark.raise_to(NOTHING_APPLIED, 1)
    assert (watermark.at, watermark.position, watermark.epoch) == (NOTHING_APPLIED, None, 1)


def test_the_writers_positions_make_watermarks() -> None:
    positions = WriterPositions()
    assert positions.watermark(gtids(f"{A}:1-9")) == NOTHING_APPLIED
    positions.observed(f"{A}:1-5", 1.0, False)
    positions.observed(f"{A}:1-7", 2.0, False)
    positions.observed(f"{A}:1-7", 3.0, False)
    assert positions.watermark(gtids(f"{A}:1-4")) == NOTHING_APPLIED
    assert positions.watermark(gtids(f"{A}:1-6")) == 1.0
    assert positions.watermark(gtids(f"{A}:1-9")) == 3.0


@pytest.mark.parametrize("text", ["", "no position"])
def test_without_gtids_nothing_is_concluded(text: str) -> None:
    positions = WriterPositions()
    positions.observed(f"{A}:1-5", 1.0, False)
    positions.observed(text, 2.0, False)
    assert positions.watermark(gtids(f"{A}:1-9")) == NOTHING_APPLIED


def test_only_the_last_positions_are_kept() -> None:
    positions = WriterPositions()
    for number in range(1, MOST_POSITIONS + 2):
        positions.observed(f"{A}:1-{number}", float(number), False)
    assert positions.watermark(gtids(f"{A}:1")) == NOTHING_APPLIED
    assert positions.watermark(gtids(f"{A}:1-2")) == 2.0


# One session


def test_a_session_that_has_done_nothing_may_read_anywhere() -> None:
    session = SessionView()
    assert session.is_safe("r", 0, Watermark()) and not session.is_fenced()


def test_a_write_is_seen_by_readers_that_are_past_it() -> None:
    session = SessionView()
    session.wrote(10.0)
    assert session.is_fenced()
    assert not session.is_safe("r", 0, mark(9.99)) and session.is_safe("r", 0, mark(10.0))
    assert not session.has_written("r", 0, mark(9.99)) and session.has_written("r", 0, mark(10.0))


def test_a_watermark_of_before_the_reader_was_replaced_says_nothing() -> None:
    session = SessionView()
    assert not session.is_safe("r", 1, mark(10.0, 0)) and session.is_safe("r", 1, mark(10.0, 1))
    assert not session.has_written("r", 1, mark(10.0, 0))


def test_its_transactions_are_exact_where_they_are_known() -> None:
    session = SessionView()
    session.wrote(10.0, gtids(f"{A}:7"))
    session.wrote(11.0, gtids(f"{A}:9"))
    assert session.is_safe("r", 0, mark(3.0, position=f"{A}:1-9"))
    assert not session.is_safe("r", 0, mark(3.0, position=f"{A}:1-6:8-9"))
    assert not session.is_safe("r", 0, mark(3.0))
    assert session.is_safe("r", 0, mark(11.0))


def test_what_was_read_before_a_write_comes_before_it_where_there_is_one_order() -> None:
    session = SessionView()
    session.read_on("r1", 0, 9.0)
    session.read_on_writer(10.0)
    session.wrote(10.0, gtids(f"{A}:7"))
    assert not session.is_safe("r", 0, mark(3.0, position=f"{A}:1-7"))
    assert session.is_safe("r", 0, mark(3.0, position=f"{A}:1-7"), is_ordered=True)
    assert not session.is_safe("r", 0, mark(3.0, position=f"{A}:1-6"), is_ordered=True)
    assert session.awaited("r", 0, True) == gtids(f"{A}:7")
    assert session.awaited("r", 0, False) is None


def test_what_is_read_afterwards_does_not() -> None:
    session = SessionView()
    session.wrote(10.0, gtids(f"{A}:7"))
    assert session.awaited("r", 0, False) == gtids(f"{A}:7")
    session.read_on("r1", 2, 11.0)
    assert session.awaited("r", 0, True) is None and session.awaited("r1", 1, True) is None
    assert session.awaited("r1", 2, True) == gtids(f"{A}:7")
    assert not session.is_safe("r", 0, mark(10.5, position=f"{A}:1-7"), is_ordered=True)


def test_a_transaction_that_may_have_been_told_late_says_nothing_of_reads() -> None:
    session = SessionView()
    session.read_on_writer(10.0)
    session.wrote(10.0, gtids(f"{A}:7"), is_late=True)
    assert session.awaited("r", 0, True) is None
    assert not session.is_safe("r", 0, mark(3.0, position=f"{A}:1-7"), is_ordered=True)


def test_nothing_is_awaited_by_who_has_written_nothing_that_is_known() -> None:
    session = SessionView()
    assert session.awaited("r", 0, True) is None
    session.wrote(10.0)
    assert session.awaited("r", 0, True) is None


def test_what_a_reader_says_that_it_has_is_added_to_its_position() -> None:
    one = mark(3.0, epoch=1)
    one.caught_up(gtids(f"{A}:7"), 0)
    assert one.position is None
    one.caught_up(gtids(f"{A}:7"), 1)
    one.caught_up(gtids(f"{A}:9"), 1)
    assert one.has(gtids(f"{A}:7")) and one.has(gtids(f"{A}:9")) and not one.has(gtids(f"{A}:8"))
    assert not one.has(None)


def test_on_mariadb_there_is_one_order_in_each_domain() -> None:
    positions = WriterPositions()
    assert not positions.has_one_order()
    positions.observed(f"{A}:1-5", 1.0, False)
    assert positions.has_one_order()
    positions.clear()
    positions.observed("0-1-5", 1.0, True)
    assert positions.has_one_order()
    positions.observed("0-1-5,1-1-7", 2.0, True)
    assert not positions.has_one_order()


@pytest.mark.parametrize("unknown", [None, ""])
def test_one_transaction_that_is_not_known_leaves_only_the_time(unknown: str | None) -> None:
    session = SessionView()
    session.wrote(10.0, None if unknown is None else gtids(unknown))
    session.wrote(11.0, gtids(f"{A}:9"))
    assert session.gtids is None
    assert not session.is_safe("r", 0, mark(3.0, position=f"{A}:1-9"))


def test_so_do_too_many() -> None:
    session = SessionView()
    for number in range(MOST_GTIDS + 1):
        session.wrote(float(number), gtids(f"{A}:{number * 2 + 1}"))
    assert session.gtids is None and session.is_fenced()


def test_a_session_that_reads_on_stays_with_its_reader() -> None:
    session = SessionView()
    session.read_on("r1", 0, 20.0)
    assert session.is_safe("r1", 0, mark(5.0))
    assert not session.is_safe("r2", 0, mark(19.9)) and session.is_safe("r2", 0, mark(20.0))
    session.read_on("r2", 0, 21.0)
    assert not session.is_safe("r1", 0, mark(20.5))


def test_a_reader_that_was_replaced_is_another() -> None:
    session = SessionView()
    session.read_on("r1", 0, 20.0)
    assert not session.is_safe("r1", 1, mark(5.0, 1))


def test_who_has_read_on_the_writer_has_seen_the_present() -> None:
    session = SessionView()
    session.read_on("r1", 0, 20.0)
    session.read_on_writer(21.0)
    assert not session.is_safe("r1", 0, mark(20.5)) and session.is_safe("r1", 0, mark(21.0))
    # for what it has written itself that would do
    assert session.has_written("r1", 0, mark(20.5))


def test_what_every_reader_is_past_is_forgotten() -> None:
    session = SessionView()
    session.wrote(10.0, gtids(f"{A}:7"))
    session.read_on_writer(12.0)
    session.passed(9.0)
    assert session.is_fenced()
    session.passed(11.0)
    assert not session.is_fenced() and session.gtids is None and session.read_at == 12.0
    session.passed(12.0)
    assert session.read_at == NEVER


# Keys


def test_a_session_is_at_home_where_it_has_read_last() -> None:
    view = SessionView()
    assert view.home() is None
    view.read_on("r1", 0, 1.0)
    assert view.home() == "r1"
    view.read_on_writer(2.0)
    assert view.home() is None


def test_a_key_carries_a_fence_from_one_session_to_another() -> None:
    fences = KeyedFences(8)
    fences.wrote(b"user:42", 10.0)
    assert fences.fence(b"user:42").at == 10.0 and fences.fence(b"user:7") is NO_FENCE
    fences.wrote(b"user:42", 12.0)
    assert fences.fence(b"user:42").at == 12.0 and len(fences) == 1


def test_fences_end_when_every_reader_is_past_them() -> None:
    fences = KeyedFences(8)
    for at in (1.0, 2.0, 3.0):
        fences.wrote(b"%d" % at, at)
    fences.passed(2.0)
    assert len(fences) == 1 and fences.fence(b"1") is NO_FENCE and fences.fence(b"3").at == 3.0
    fences.passed(5.0)
    assert len(fences) == 0


def test_of_too_many_the_oldest_counts_for_all() -> None:
    fences = KeyedFences(2)
    for at in (1.0, 2.0, 3.0):
        fences.wrote(b"%d" % at, at)
    assert len(fences) == 2
    assert [fences.fence(key).at for key in (b"1", b"2", b"3", b"other")] == [1.0, 2.0, 3.0, 1.0]


def test_a_key_carries_the_transactions_as_long_as_all_of_them_are_known() -> None:
    fences = KeyedFences(8)
    fences.wrote(b"k", 10.0, gtids(f"{A}:6"))
    assert fences.fence(b"k").gtids == gtids(f"{A}:6")
    fences.wrote(b"k", 11.0, gtids(f"{A}:8"))
    assert fences.fence(b"k").gtids == gtids(f"{A}:6:8")
    fences.wrote(b"k", 12.0)
    fences.wrote(b"k", 13.0, gtids(f"{A}:9"))
    assert fences.fence(b"k").gtids is None
    fences.passed(13.0)
    fences.wrote(b"k", 14.0, gtids(f"{A}:10"))
    assert fences.fence(b"k").gtids == gtids(f"{A}:10")
    fences.wrote(b"k", 15.0, gtids(""))
    assert fences.fence(b"k").gtids is None


def test_of_very_many_transactions_only_the_time_counts() -> None:
    fences = KeyedFences(8)
    for number in range(MOST_SHARED_GTIDS):
        fences.wrote(b"k", float(number), gtids(f"{A}:{2 * number + 1}"))
    assert fences.fence(b"k").gtids is not None
    fences.wrote(b"k", 100.0, gtids(f"{A}:1000"))
    assert fences.fence(b"k").gtids is None and fences.fence(b"k").at == 100.0


def test_what_was_forgotten_of_a_key_is_not_among_its_transactions() -> None:
    fences = KeyedFences(1)
    fences.wrote(b"1", 1.0, gtids(f"{A}:1"))
    fences.wrote(b"2", 2.0, gtids(f"{A}:2"))
    fences.wrote(b"1", 3.0, gtids(f"{A}:3"))
    assert (fences.fence(b"1").at, fences.fence(b"1").gtids, fences.fence(b"2").at) == (3.0, None, 2.0)
    fences.passed(1.5)
    assert fences.fence(b"2").at == 2.0
    fences.passed(2.5)
    assert fences.fence(b"2") is NO_FENCE
    fences.wrote(b"2", 4.0, gtids(f"{A}:4"))
    assert fences.fence(b"2").gtids == gtids(f"{A}:4") and fences.fence(b"1").at == 3.0


# Clocks


def test_the_shortest_round_trip_knows_the_clock_best() -> None:
    clock = ClockEstimate(drift=0.0)
    assert clock.error(0.0) == float("inf")
    assert clock.sampled(1000.0, 0.0, 1.0)
    assert clock.error(1.0) == 0.5
    assert clock.sampled(1010.05, 10.0, 10.1)
    assert clock.error(10.1) == pytest.approx(0.05)
    assert clock.latest(11.0) == pytest.approx(1011.05)
    assert clock.sampled(1020.4, 20.0, 20.8)
    assert clock.error(20.8) == pytest.approx(0.05)


def test_clocks_part_with_time() -> None:
    clock = ClockEstimate(drift=0.01)
    clock.sampled(1000.0, 0.0, 0.2)
    assert clock.error(10.2) == pytest.approx(0.2)
    assert clock.sampled(1010.5, 10.0, 10.4)
    assert clock.error(10.4) == pytest.approx(0.2)


def test_a_clock_that_is_set_is_noticed() -> None:
    clock = ClockEstimate(drift=0.0)
    clock.sampled(1000.0, 0.0, 0.1)
    assert not clock.sampled(995.0, 1.0, 1.5)
    assert clock.latest(2.0) == pytest.approx(996.0)
    assert clock.sampled(996.0, 2.0, 2.1)
