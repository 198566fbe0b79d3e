"""Whom a replica follows, and how far that is behind the writer."""

from __future__ import annotations

import pytest

from proxy.following import detour, follows
from proxy.observation import Observation, ReplicationStatus
from proxy.topology import Member
from proxy.topology_actions import Cause


def status(
    source: str, lag: float | None = 0.0, *, host: str = "", is_following: bool = True
) -> ReplicationStatus:
    return ReplicationStatus(source, host, 3306, is_following, is_following, lag, "")


def look(name: str, *replication: ReplicationStatus) -> Observation:
    return Observation(
        server_id=name, is_writer=False, clock=0, taken_at=0.0, round_trip=0.0, replication=replication
    )


def member(name: str, *replication: ReplicationStatus) -> Member:
    return Member(name, (name, 3306), server_id=name, seen=look(name, *replication))


WRITER = member("w")
MIDDLE = member("m", status("w", 0.5))


@pytest.mark.parametrize(
    ("seen", "is_so"),
    [
        (None, False),
        (look("r"), False),
        (look("r", status("w")), True),
        (look("r", status("0", host="w")), True),
        (look("r", status("0", host="v")), False),
        (look("r", status("w", is_following=False)), False),
    ],
)
def test_a_source_is_known_by_its_id_or_its_address(seen: Observation | None, is_so: bool) -> None:
    assert follows(seen, WRITER) == is_so


def test_what_is_not_known_is_no_source() -> None:
    assert not follows(look("r", status("")), Member("x"))


def test_of_several_sources_one_has_to_lead_to_the_writer() -> None:
    assert detour(look("r", status("elsewhere"), status("w")), WRITER, [WRITER]) == 0.0
    assert detour(look("r", status("elsewhere")), WRITER, [WRITER]) is None
    assert detour(look("r"), WRITER, [WRITER]) is None


def test_on_the_way_each_adds_what_it_is_behind() -> None:
    assert detour(look("r", status("m", 0.1)), WRITER, [MIDDLE, WRITER]) == 0.5
    second = member("n", status("m", 0.25))
    assert detour(look("r", status("n")), WRITER, [second, MIDDLE, WRITER]) == 0.75


@pytest.mark.parametrize("what", ["stands still", "unreachable", "unseen"])
def test_nobody_knows_behind_one_that_is_not_known(what: str) -> None:
    middle = member("m", status("w", None if what == "stands still" else 0.0))
    middle.cause = Cause.REFUSED if what == "unreachable" else None
    if what == "unseen":
        middle.seen = None
    assert detour(look("r", status("m")), WRITER, [middle, WRITER]) is None


def test_a_ring_has_an_end() -> None:
    a, b = member("a", status("b")), member("b", status("a"))
    assert detour(look("r", status("a")), WRITER, [a, b, WRITER]) is None
