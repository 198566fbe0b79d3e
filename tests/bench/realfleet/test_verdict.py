"""What a course says about what was wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.realfleet.plan import COLD, HOT, Phase, Plan
from bench.realfleet.verdict import Course, Played, rates, rows_of, shares_at
from bench.realfleet.watch import Look, Shares, Statements

PLAN = Plan(sidecars=4, clients=10, limit=40, strangers=2, idle_timeout=5.0)
PHASE = Phase("two want all", 20.0, range(2), HOT)


def course_of(**changes: Any) -> Course:
    """One in which everything is as it should be: 36 are usable, and 34 may be used."""
    looks = [Look(float(at), PHASE.name, 30, 7, 2 if at > 5 else 0) for at in range(35)]
    shares = [Shares(float(at), (0, 0, 0, 0) if at > 25 else (9, 9, 1, 1), (1, 1, 1, 1)) for at in range(35)]
    counts = [Statements(at, {1: int(at * 0.4) + 5, 2: int(at * 0.5) + 5}) for at in (0.0, 10.0, 20.0)]
    course = Course(
        plan=PLAN,
        played=[
            Played(Phase("quiet", 5.0, range(0), COLD), -5.0, 0.0, 10, 1, 2, 0),
            Played(PHASE, 0.0, 20.0, 900, 1, 2, 0),
        ],
        looks=looks,
        shares=shares,
        statements=counts,
        ended=20.0,
        peak=31,
        errors={},
        refused=[],
        unserved=0,
        cut_off=3,
    )
    return replace(course, **changes)


def row(course: Course, what: str) -> tuple[str, bool | None]:
    (found,) = [each for each in rows_of(course) if each.what.startswith(what)]
    return found.figure, found.is_met


def test_a_good_course_meets_everything() -> None:
    rows = rows_of(course_of())
    assert [each.what for each in rows if each.is_met is False] == []
    assert len(rows) == 8


def test_connections_are_counted_by_the_server_where_looks_missed_them() -> None:
    assert row(course_of(), "most connections") == ("31 of 36.0 = 86.1% (looks: 30)", True)
    assert row(course_of(peak=35), "most connections") == ("35 of 36.0 = 97.2% (looks: 30)", False)


def test_1040_counts_whoever_is_told() -> None:
    assert row(course_of(), "errors 1040") == ("0; counted by the server: 0", True)
    assert row(course_of(errors={"login 1040": 2, "1205": 1}), "errors 1040")[0].startswith("2;")
    assert row(course_of(refused=["login 1040"]), "errors 1040")[1] is False


def test_other_errors_count_but_for_those_of_the_killed() -> None:
    assert row(course_of(), "other errors") == ("0; 3 connections ended with their sidecars", True)
    figure, is_met = row(course_of(errors={"lost": 2, "1040": 1}), "other errors")
    assert figure.startswith("2 x lost;") and is_met is False


def test_everybody_has_to_be_served_in_every_phase() -> None:
    played = course_of().played
    assert row(course_of(), "clients that are served") == (
        "40 of 40; at the end of a phase 0 without connection, or waiting for 5 s",
        True,
    )
    starved = [played[0], replace(played[1], starved=4)]
    assert row(course_of(played=starved), "clients that are served")[1] is False
    assert row(course_of(unserved=1), "clients that are served") == (
        "39 of 40; at the end of a phase 0 without connection, or waiting for 5 s",
        False,
    )


def test_shares_are_compared_with_what_is_fair_when_they_had_time() -> None:
    course = course_of()
    assert shares_at(course, 10.0) == [9.0, 9.0, 1.0, 1.0]
    assert shares_at(course, 99.0) == [0.0, 0.0, 0.0, 0.0]
    # 10 clients that ask for half of their time are 5 on average, and 9.5 now and then; the others have 1, and want no more than 1.2
    assert row(course, "fair share")[0] == "103% of 8.8 the least, 103% on average, Jain 1.000"
    poor = [replace(each, backends=(5, 13, 1, 1)) for each in course.shares]
    assert row(course_of(shares=poor), "fair share") == (
        "57% of 8.8 the least, 103% on average, Jain 0.835",
        False,
    )


def test_who_is_killed_before_has_no_share() -> None:
    phase = replace(PHASE, kills=range(1), kill_at=5.0)
    played = [Played(phase, 0.0, 20.0, 900, 1, 2, 0)]
    shares = [replace(each, backends=(0, 9, 1, 1)) for each in course_of().shares]
    assert row(course_of(played=played, shares=shares), "fair share")[1] is True
    # unless nobody else was busy
    everybody = [replace(played[0], phase=replace(phase, kills=range(2)))]
    assert row(course_of(played=everybody, shares=shares), "fair share")[1] is False


def test_looks_are_counted_by_connection() -> None:
    assert rates(course_of().statements) == [pytest.approx(0.4), pytest.approx(0.5)]
    # a connection that was there for one look only says nothing
    assert rates([Statements(0.0, {1: 5})]) == []
    assert row(course_of(), "statements/s") == ("0.45 on average, 0.50 the most", True)
    busy = [Statements(0.0, {1: 0}), Statements(10.0, {1: 20})]
    assert row(course_of(statements=busy), "statements/s")[1] is False
    assert row(course_of(statements=[]), "statements/s") == ("nobody looks", False)


def test_backends_have_to_go() -> None:
    assert row(course_of(), "backends gone") == ("6 s; 30 connections are left", True)
    assert row(course_of(ended=10.0), "backends gone")[1] is False
    left = [replace(each, backends=(1, 0, 0, 0)) for each in course_of().shares]
    assert row(course_of(shares=left), "backends gone") == ("1 are left", False)


def test_how_much_is_used_is_told_where_there_is_not_enough() -> None:
    assert row(course_of(), "connections while") == ("never", None)
    tight = replace(PLAN, limit=20)
    assert row(course_of(plan=tight), "connections while") == ("166.7% of usable on average", None)
