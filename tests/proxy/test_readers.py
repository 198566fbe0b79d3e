"""The readers: what is learned of them, and which one a read may have."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.fences import MARGIN, NEVER, NOTHING_APPLIED, Fence, SessionView
from proxy.gtids import parse_gtids
from proxy.observation import Observation, ReplicaRow, ReplicationStatus
from proxy.readers import (
    BOUNDED,
    EVENTUAL,
    NO_READERS,
    NOT_SAFE,
    REFUSAL_NAMES,
    RESPITE,
    TOO_FAR_BEHIND,
    ReaderTable,
)

A = "97734610-e62a-11f1-8c87-02fc00000001"


def zero() -> float:
    return 0.0


def table(**options: Any) -> ReaderTable:
    """With two readers."""
    made = ReaderTable(**{"max_lag": 1.0, "interval": 1.0, **options})
    for name in ("r1", "r2"):
        made.add(name)
        made.set_role(name, True, 0, 0.0)
    return made


def look(server_id: str, asked_at: float, **said: Any) -> Observation:
    """Asked then, and answered 0.01 s later; its clock is 1000 s before ours."""
    return Observation(
        **{
            "server_id": server_id,
            "is_writer": False,
            "clock": round((asked_at + 1000.005) * 1e6),
            "taken_at": asked_at + 0.01,
            "round_trip": 0.01,
            **said,
        }
    )


def row(
    server_id: str, lag: float | None, age: float = 0.1, cpu: float | None = None, updated: int = 0
) -> ReplicaRow:
    return ReplicaRow(server_id, False, lag, updated, age, cpu)


def replicates(lag: float | None) -> tuple[ReplicationStatus, ...]:
    return (ReplicationStatus("1", "w", 3306, lag is not None, True, lag, ""),)


def aurora(readers: ReaderTable, now: float, *rows: ReplicaRow) -> None:
    """Both readers are looked at, then the writer."""
    readers.observed("r1", look("db-1", now), False)
    readers.observed("r2", look("db-2", now), False)
    readers.observed("w", look("db-0", now, is_writer=True, rows=rows), True)


def chosen(readers: ReaderTable, view: SessionView | None = None, now: float = 10.0, **wishes: Any) -> str:
    found = readers.choose(view, now, zero, **wishes)
    return REFUSAL_NAMES[readers.refusal] if found is None else found.name


# What is learned


def test_auroras_lags_are_those_of_the_writers_table() -> None:
    readers = table()
    aurora(readers, 10.0, row("db-1", 0.02, cpu=40.0), row("db-2", 5.0))
    one, other = readers.readers["r1"], readers.readers["r2"]
    assert one.gate.is_eligible(10.0) and not other.gate.is_eligible(10.0)
    assert one.watermark.at == pytest.approx(10.0 - 0.1 - 0.02 - MARGIN)
    assert (one.contender.cpu, other.contender.cpu) == (40.0, -1.0)
    assert chosen(readers) == "r1"


def test_an_instance_that_is_not_in_the_table_is_not_known() -> None:
    readers = table()
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 0.02))
    aurora(readers, 10.5, row("db-1", 0.02))
    assert readers.readers["r2"].why(10.5) == "its lag is not known"


def test_the_table_of_a_reader_tells_nothing() -> None:
    readers = table()
    readers.observed("r1", look("db-1", 10.0, rows=(row("db-1", 0.0),)), False)
    assert not readers.readers["r1"].gate.is_eligible(10.0)


def test_replicas_speak_for_themselves() -> None:
    readers = table()
    readers.observed("r1", look("2", 10.0, replication=replicates(0.0)), False)
    readers.observed("r2", look("3", 10.0, replication=replicates(None)), False)
    assert chosen(readers) == "r1"
    assert readers.readers["r1"].watermark.at == NOTHING_APPLIED


def test_what_they_follow_may_be_behind_itself() -> None:
    readers = table()
    readers.observed("r1", look("2", 10.0, replication=replicates(0.5)), False, 0.75)
    assert not readers.readers["r1"].gate.is_eligible(10.0)
    readers.observed("r1", look("2", 11.0, replication=replicates(0.0)), False, 0.5)
    assert chosen(readers, now=11.0) == "r1"
    readers.observed("r1", look("2", 12.0, replication=replicates(0.0)), False, None)
    assert readers.readers["r1"].why(12.0) == "it is not seen to replicate from the writer"
    readers.observed("r1", look("2", 13.0, replication=replicates(9.0), heartbeat=0.5), False, None)
    assert readers.readers["r1"].gate.is_eligible(13.0)


def test_a_replica_that_has_what_the_writer_had_is_past_that_time() -> None:
    readers = table()
    readers.observed("w", look("1", 10.0, is_writer=True, position=f"{A}:1-5"), True)
    readers.observed("r1", look("2", 10.5, replication=replicates(0.0), position=f"{A}:1-5"), False)
    readers.observed("r2", look("3", 10.5, replication=replicates(0.0), position=f"{A}:1-4"), False)
    assert readers.readers["r1"].watermark.at == 10.0
    assert readers.readers["r2"].watermark.at == NOTHING_APPLIED
    assert readers.passed() == NOTHING_APPLIED
    readers.observed("r2", look("3", 11.0, replication=replicates(0.0), position=f"{A}:1-9"), False)
    assert readers.passed() == 10.0


def test_what_the_former_writer_had_does_not_count() -> None:
    readers = table()
    readers.observed("w", look("1", 10.0, is_writer=True, position=f"{A}:1-5"), True)
    readers.writer_changed()
    readers.observed("r1", look("2", 10.5, replication=replicates(0.0), position=f"{A}:1-5"), False)
    assert readers.readers["r1"].watermark.at == NOTHING_APPLIED


def test_a_position_that_makes_no_sense_tells_nothing() -> None:
    readers = table()
    readers.observed("r1", look("2", 10.5, replication=replicates(0.0), position="nowhere"), False)
    assert readers.readers["r1"].watermark.position is None and chosen(readers, now=10.5) == "r1"


def test_a_heartbeat_is_measured_between_two_clocks() -> None:
    readers = table()
    readers.observed("r1", look("2", 9.0, heartbeat=0.05), False)
    assert readers.readers["r1"].watermark.at == NOTHING_APPLIED
    readers.observed("w", look("1", 9.5, is_writer=True), True)
    # both clocks were read in the middle of 10 ms, so they may be 10 ms apart
    readers.observed("r1", look("2", 10.0, heartbeat=0.05), False)
    assert readers.readers["r1"].watermark.at == pytest.approx(10.0 - 0.05 - 0.01 - MARGIN)
    # a reader whose clock is 2 s ahead of the writer's reads a lag that is 2 s too large
    ahead = look("3", 10.0, heartbeat=2.05, clock=round(1012.005 * 1e6))
    readers.observed("r2", ahead, False)
    assert readers.readers["r2"].watermark.at == pytest.approx(10.0 - 0.05 - 0.01 - MARGIN)


def test_round_trips_are_smoothed() -> None:
    readers = table()
    for trip in (0.010, 0.020):
        readers.observed("r1", look("2", 10.0, round_trip=trip), False)
    assert readers.readers["r1"].contender.round_trip == pytest.approx(0.012)


def test_after_a_restart_nothing_is_known() -> None:
    readers = table()
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 0.02))
    readers.raise_epoch("r1", 1)
    assert chosen(readers) == "r2"
    assert readers.readers["r1"].watermark.at == NOTHING_APPLIED
    readers.raise_epoch("r2", 0)
    readers.raise_epoch("gone", 1)
    assert chosen(readers) == "r2"


def test_roles_come_and_go() -> None:
    readers = table(warm_up=10.0)
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 0.02))
    readers.set_role("r1", False, 0, 10.0)
    assert readers.readers["r1"].why(10.0) == "it is no reader now"
    aurora(readers, 10.2, row("db-1", 0.02), row("db-2", 0.02))
    assert chosen(readers, now=10.2) == "r2"
    readers.set_role("r1", True, 0, 20.0)
    assert readers.readers["r1"].contender.warmth(20.0) == pytest.approx(0.1)
    readers.set_role("r1", True, 0, 25.0)
    assert readers.readers["r1"].contender.warmth(25.0) == pytest.approx(0.55)
    readers.set_role("gone", True, 0, 25.0)
    readers.add("r1")
    readers.remove("r2")
    readers.remove("r2")
    assert set(readers.readers) == {"r1"}


# The choice


def test_there_is_none_without_readers() -> None:
    readers = ReaderTable(max_lag=1.0, interval=1.0)
    assert chosen(readers) == REFUSAL_NAMES[NO_READERS] and readers.passed() == NOTHING_APPLIED
    readers.add("off", weight=0.0)
    readers.set_role("off", True, 0, 0.0)
    assert chosen(readers) == "no-readers" and readers.readers["off"].why(0.0) == "its weight is 0"


def test_why_there_is_none_is_counted() -> None:
    readers = table()
    assert chosen(readers) == "too-far-behind"
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 5.0))
    session = SessionView()
    session.wrote(10.0)
    assert chosen(readers, session) == chosen(readers, session) == "not-safe"
    assert readers.refusals == [0, 0, 1, 2, 0]
    assert (readers.refusals[TOO_FAR_BEHIND], readers.refusals[NOT_SAFE]) == (1, 2)


def test_a_session_reads_what_it_has_written() -> None:
    readers = table()
    session = SessionView()
    session.wrote(9.95)
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 0.02))
    assert chosen(readers, session) == "not-safe" and chosen(readers) == "r1"
    aurora(readers, 10.2, row("db-1", 0.5), row("db-2", 0.02))
    assert chosen(readers, session, 10.2) == "r2"


def test_a_session_that_has_read_on_the_writer_is_ahead_of_readers_until_the_next_look() -> None:
    readers = table()
    session = SessionView()
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 5.0))
    session.read_on_writer(10.1)
    assert chosen(readers, session) == "read-ahead"
    assert chosen(readers, session, fence=Fence(9.99)) == "not-safe"
    aurora(readers, 10.3, row("db-1", 0.02), row("db-2", 5.0))
    assert chosen(readers, session, 10.3) == "r1"


@pytest.mark.parametrize("consistency", [EVENTUAL, BOUNDED])
def test_only_when_that_is_asked_for(consistency: int) -> None:
    readers = table(consistency=consistency)
    session = SessionView()
    session.wrote(10.0)
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 5.0))
    assert chosen(readers, session) == "r1"


def test_bounded_is_certain() -> None:
    readers = table(consistency=BOUNDED)
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 5.0))
    assert chosen(readers, now=10.8) == "r1" and chosen(readers, now=10.9) == "too-far-behind"


def test_a_hint_may_ask_for_less_lag_or_allow_more() -> None:
    readers = table()
    aurora(readers, 10.0, row("db-1", 0.4), row("db-2", 5.0))
    assert chosen(readers, max_lag=0.4) == "too-far-behind"
    assert chosen(readers, max_lag=0.6) == "r1"
    readers.set_role("r1", False, 0, 10.0)
    assert chosen(readers) == "too-far-behind" and chosen(readers, max_lag=6.0) == "r2"


def test_a_key_carries_a_fence_whatever_the_consistency() -> None:
    readers = table(consistency=EVENTUAL)
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 5.0))
    assert chosen(readers, fence=Fence(9.9)) == "not-safe"
    assert chosen(readers, fence=Fence(9.8)) == "r1" and chosen(readers, fence=Fence(NEVER)) == "r1"


def test_the_writer_is_among_them_when_it_has_a_weight() -> None:
    readers = table(writer_weight=1.0)
    readers.writer.name = "w"
    assert chosen(readers) == "w"
    assert readers.choose(None, 10.0, lambda: 0.0, with_writer=False) is None
    aurora(readers, 10.0, row("db-1", 0.02), row("db-2", 5.0))
    readers.writer.leases = 4
    assert chosen(readers) == "r1"


def with_positions(applied: str, written: str, is_mariadb: bool = False, **options: Any) -> ReaderTable:
    """Both readers were looked at, and the writer, at 10."""
    made = table(**options)
    made.observed("w", look("w", 10.0, is_writer=True, position=written, is_mariadb=is_mariadb), True)
    for name in ("r1", "r2"):
        seen = look(name, 10.0, replication=replicates(0.0), position=applied, is_mariadb=is_mariadb)
        made.observed(name, seen, False)
    return made


def writing(gtid: str, at: float, is_mariadb: bool = False) -> SessionView:
    """A session that has just written."""
    view = SessionView()
    view.read_on_writer(at)
    view.wrote(at, parse_gtids(gtid, is_mariadb))
    return view


def waits_on(made: ReaderTable, view: SessionView, now: float = 10.3, **wishes: Any) -> str | None:
    assert made.choose(view, now, zero, **wishes) is None
    found = made.choose_to_wait(view, now, zero, **wishes)
    return None if found is None else found.name


def test_a_reader_is_to_wait_for_what_a_session_has_written() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    view = writing(f"{A}:6", 10.2)
    assert waits_on(made, view) == "r1"
    reader = made.readers["r1"]
    assert made.awaited(reader, view) == parse_gtids(f"{A}:6", False)
    reader.caught_up(parse_gtids(f"{A}:6", False), 0)
    # now it is known, of this one
    assert chosen(made, view, 10.3) == "r1" and made.may_have("r1", view, 10.3)
    assert not made.may_have("r2", view, 10.3)


def test_who_has_waited_in_vain_waits_somewhere_else_for_a_while() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    view = writing(f"{A}:6", 10.2)
    made.readers["r1"].is_late(10.3, can_wait=True)
    assert waits_on(made, view) == "r2"
    made.readers["r2"].is_late(10.3, can_wait=False)
    assert waits_on(made, view) is None
    assert waits_on(made, view, 10.3 + RESPITE) == "r1"
    made.readers["r1"].contender.weight = 0.0
    # until it is another one
    assert waits_on(made, view, 11.9) is None
    made.set_role("r2", True, 1, 11.0)
    made.observed("r2", look("r2", 11.0, replication=replicates(0.0), position=f"{A}:1-5"), False)
    assert waits_on(made, view, 11.9) == "r2"
    made.set_role("r2", False, 1, 11.9)
    assert waits_on(made, view, 11.9) is None


def test_a_reader_without_gtids_or_too_far_behind_is_not_waited_for() -> None:
    view = writing(f"{A}:6", 10.2)
    assert waits_on(with_positions("", f"{A}:1-5"), view) is None
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    for name in ("r1", "r2"):
        made.observed(name, look(name, 10.1, replication=replicates(5.0)), False)
    assert waits_on(made, view) is None


def test_what_a_reader_was_says_nothing() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    view = writing(f"{A}:6", 10.2)
    reader = made.readers["r1"]
    reader.caught_up(parse_gtids(f"{A}:6", False), 1)
    assert not reader.is_ordered
    reader.epoch = 1
    assert made.awaited(reader, view) is None


def test_other_consistencies_wait_for_nobody() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5", consistency=EVENTUAL)
    assert made.choose_to_wait(writing(f"{A}:6", 10.2), 10.3, zero) is None


def test_the_write_of_somebody_else_is_waited_for_where_it_is_known() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    view = writing(f"{A}:6", 10.2)
    assert waits_on(made, view, fence=Fence(10.1)) is None
    assert waits_on(made, view, fence=Fence(10.0)) == "r1"
    assert waits_on(made, view, fence=Fence(10.2)) is None
    own, both = parse_gtids(f"{A}:6", False), parse_gtids(f"{A}:6-7", False)
    for name, fence, needed in (("r1", Fence(10.2, own), own), ("r2", Fence(10.2, both), both)):
        assert waits_on(made, view, fence=fence) == "r1"
        assert made.awaited(made.readers[name], view, fence) == needed
    # of a session that has written nothing itself
    assert waits_on(made, SessionView(), fence=Fence(10.2, own)) == "r1"
    assert made.awaited(made.readers["r1"], SessionView(), Fence(10.2, own)) == own
    # and one that has read something newer since
    reading = SessionView()
    reading.read_on_writer(10.2)
    assert waits_on(made, reading, fence=Fence(10.2, own)) is None


def test_a_reader_that_has_what_was_written_with_a_key_is_safe_for_it_at_once() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    fence = Fence(10.2, parse_gtids(f"{A}:6", False))
    assert made.choose(None, 10.3, zero, fence=fence) is None
    made.readers["r2"].caught_up(parse_gtids(f"{A}:6", False), 0)
    assert chosen(made, SessionView(), 10.3, fence=fence) == "r2"
    assert made.may_have("r2", None, 10.3, fence=fence) and not made.may_have("r1", None, 10.3, fence=fence)


def test_in_several_domains_nothing_is_said_of_what_was_read() -> None:
    view = writing("0-1-6", 10.2, is_mariadb=True)
    assert waits_on(with_positions("0-1-5", "0-1-5", is_mariadb=True), view) == "r1"
    made = with_positions("0-1-5,1-1-1", "0-1-5,1-1-1", is_mariadb=True)
    assert waits_on(made, view) is None
    view.read_on("r2", 0, 10.3)
    assert waits_on(made, view) == "r2"


def test_a_reader_that_stops_may_come_back_with_another_order() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    reader = made.readers["r1"]
    reader.caught_up(parse_gtids(f"{A}:6", False), 0)
    assert reader.is_ordered
    made.observed("r1", look("r1", 10.1, replication=replicates(None)), False)
    assert not reader.is_ordered


def test_one_that_is_asked_for_may_have_a_read_on_the_same_conditions() -> None:
    made = table()
    made.observed("r1", look("1", 10.0, replication=replicates(0.1)), False)
    made.observed("r2", look("2", 10.0, replication=replicates(5.0)), False)
    assert made.may_have("r1", None, 10.1)
    assert not made.may_have("r2", None, 10.1)
    assert not made.may_have("r1", None, 10.1, fence=Fence(11.0))
    assert not made.may_have("r1", None, 10.1, max_lag=0.01)
    assert not made.may_have("r3", None, 10.1)
    made.readers["r1"].contender.weight = 0.0
    assert not made.may_have("r1", None, 10.1)
    made.set_role("r1", False, 0, 10.0)
    assert not made.may_have("r1", None, 10.1)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_reader_that_joins_must_have_what_every_other_was_known_to_have(is_restarted: bool) -> None:
    made = table()
    made.set_role("r2", is_restarted, 0, 9.0)
    aurora(made, 10.0, row("db-1", 0.0, age=0.0), row("db-2", 0.0, age=0.0))
    view = SessionView()
    view.wrote(9.9)
    view.passed(made.passed())
    assert not view.is_fenced()
    # behind, if not too far: what the session has written, which is forgotten, is not there
    made.set_role("r2", True, int(is_restarted), 10.1)
    rows = (row("db-1", 0.0, age=0.0), row("db-2", 0.5, age=0.0))
    made.observed("w", look("db-0", 10.2, is_writer=True, rows=rows), True)
    assert made.readers["r2"].gate.is_eligible(10.3)
    assert chosen(made, view, 10.3) == "r1"
    made.set_role("r1", False, 0, 10.4)
    assert chosen(made, view, 10.4) == "not-safe"
    assert chosen(made, None, 10.4) == "r2"
    aurora(made, 11.0, row("db-2", 0.1))
    assert chosen(made, view, 11.1) == "r2"


def test_nor_is_one_waited_for_that_lacks_what_is_forgotten() -> None:
    made = with_positions(f"{A}:1-5", f"{A}:1-5")
    view = writing(f"{A}:6", 10.2)
    assert waits_on(made, view) == "r1"
    assert made.passed() > NEVER
    made.raise_epoch("r1", 1)
    made.observed("r1", look("r1", 10.3, replication=replicates(0.0), position=f"{A}:1-4"), False)
    assert waits_on(made, view) == "r2"
    assert made.awaited(made.readers["r1"], view) is None


def test_another_reader_has_room_when_it_may_have_the_read_and_backends_are_left() -> None:
    readers = table()
    for name in ("r1", "r2"):
        readers.observed(name, look(name, 10.0, replication=replicates(0.0)), False)
    assert readers.has_room_beside("r1", None, 10.0)
    readers.readers["r2"].contender.counted(4, 4)
    assert not readers.has_room_beside("r1", None, 10.0)
    readers.readers["r2"].contender.counted(3, 4)
    assert readers.has_room_beside("r1", None, 10.0)
    assert not readers.has_room_beside("r1", None, 10.0, 0.0001, Fence(10.0))
    readers.set_role("r2", False, 0, 10.0)
    assert not readers.has_room_beside("r1", None, 10.0)
    readers.writer.weight = 1.0
    assert readers.has_room_beside("r1", None, 10.0)
    readers.writer.counted(2, 2)
    assert not readers.has_room_beside("r1", None, 10.0)


def test_a_reader_is_near_that_has_the_role_a_weight_and_little_lag() -> None:
    readers = table()
    reader = readers.readers["r1"]
    assert not readers.is_near(reader, 10.0)
    readers.observed("r1", look("r1", 10.0, replication=replicates(0.5)), False)
    assert readers.is_near(reader, 10.0) and not readers.is_near(reader, 10.0, 0.1)
    reader.contender.weight = 0.0
    assert not readers.is_near(reader, 10.0)
