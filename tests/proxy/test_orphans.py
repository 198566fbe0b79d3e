"""Connections that outlive their worker: what the parent keeps of them, and what a look at a server says."""

from __future__ import annotations

import json

import pytest

from protocol.auth import Verifier
from proxy.credentials import Credential
from proxy.orphans import (
    GONE,
    OURS,
    SLACK,
    UNCLEAR,
    Connection,
    Known,
    Look,
    Orphans,
    Seen,
    counts,
    credential_of,
    judge,
    look_of,
    name_of_user,
    port_of,
    question,
    told_of,
)

NOW = 1000.0
CONNECTION = Connection("db", 7, "app", 40000, 500.0)
LOCAL = CONNECTION._replace(port=0)
APP = Seen(b"app", 50000)


def known_of(*connections: Connection) -> Known:
    known = Known()
    for each in connections:
        known.may_log_in(each.user, [each.user])
        known.opened(json.loads(json.dumps(each)))
    return known


# What is known


def test_a_connection_is_known_until_it_is_closed() -> None:
    known = known_of(CONNECTION, CONNECTION._replace(server_id=8))
    known.closed([["db", 7], ["other", 8], ["db", 9]])
    assert list(known.connections.values()) == [CONNECTION._replace(server_id=8)]


def test_what_the_dead_had_are_orphans_until_they_end() -> None:
    orphans = Orphans()
    orphans.left(0, known_of(CONNECTION, CONNECTION._replace(server_id=8, user="other")))
    orphans.left(1, known_of(CONNECTION._replace(endpoint="reader")))
    assert (len(orphans), orphans.count_of(0), orphans.count_of(1)) == (3, 2, 1)
    assert orphans.ended([["db", 7], ["db", 99]])
    assert not orphans.ended([["db", 7]])
    assert [each.key for each in orphans.connections()] == [("db", 8), ("reader", 7)]
    assert json.loads(json.dumps(orphans.as_json())) == {
        "connections": [["db", 8, "other", 40000, 500.0], ["reader", 7, "app", 40000, 500.0]],
        "credentials": {"app": ["app"], "other": ["other"]},
    }


def test_passwords_are_kept_as_long_as_they_are_needed() -> None:
    orphans = Orphans()
    orphans.left(0, known_of(CONNECTION, CONNECTION._replace(server_id=8, user="other")))
    orphans.ended([["db", 8]])
    assert orphans.as_json()["credentials"] == {"app": ["app"]}


def test_who_has_an_id_now_has_it_instead_of_who_had_it() -> None:
    orphans = Orphans()
    orphans.left(0, known_of(CONNECTION))
    orphans.left(1, known_of(CONNECTION))
    assert (orphans.count_of(0), orphans.count_of(1)) == (0, 1)


def test_each_counts_for_its_bounds() -> None:
    connections = [CONNECTION, CONNECTION._replace(user="other"), CONNECTION._replace(endpoint="reader")]
    assert counts(connections, lambda endpoint, user: [endpoint, f"{endpoint} {user}"]) == {
        "db": 2,
        "db app": 1,
        "db other": 1,
        "reader": 1,
        "reader app": 1,
    }


@pytest.mark.parametrize(
    "credential",
    [
        Credential(b"app", b"secret\xff", Verifier(None, None)),
        Credential(b"app", None, Verifier(None, None), native_stage1=b"stage 1"),
    ],
)
def test_a_credential_survives_its_way(credential: Credential) -> None:
    found = credential_of(json.loads(json.dumps(told_of(credential))))
    assert (found.user, found.password, found.native_stage1) == (
        credential.user,
        credential.password,
        credential.native_stage1,
    )


def test_users_and_ports_are_told_in_words_that_json_knows() -> None:
    names = [name_of_user(user) for user in (b"app", b"\xff", b"\xc3\xbf")]
    assert len(set(json.loads(json.dumps(names)))) == 3
    assert [port_of(address) for address in (("127.0.0.1", 5), ("::1", 6, 0, 0), "", None)] == [5, 6, 0, 0]


# What a server says


def look(seen: Seen | None, *, own: Seen = APP, own_port: int = 50000, uptime: float = 900.0) -> Look:
    return Look(own, own_port, uptime, {} if seen is None else {7: seen})


def test_answers_are_understood() -> None:
    assert question([7, 8]).endswith(
        b" WHERE ID IN (7,8) OR ID = CONNECTION_ID() ORDER BY ID != CONNECTION_ID() LIMIT 4294967296"
    )
    rows = [[b"9", b"app", b"localhost:50000"], [b"7", b"app", b"::1:40000"], [b"8", b"app", b"localhost"]]
    found = look_of(rows, b"900", 50000)
    assert found == Look(APP, 50000, 900.0, {7: Seen(b"app", 40000), 8: Seen(b"app", 0)})
    assert look_of([[b"9", None, None]], None, 0) == Look(Seen(b"", 0), 0, 0.0, {})


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (None, GONE),
        (Seen(b"app", 40000), OURS),
        # the id has been given to somebody else
        (Seen(b"app", 40001), GONE),
        (Seen(b"app", 0), GONE),
        (Seen(b"other", 40000), GONE),
    ],
)
def test_ours_has_the_port_of_our_end(seen: Seen | None, verdict: int) -> None:
    assert judge(CONNECTION, look(seen), NOW) == verdict


def test_where_ports_are_changed_on_the_way_nobody_knows() -> None:
    assert judge(CONNECTION, look(Seen(b"app", 40000), own_port=50001), NOW) == UNCLEAR
    assert judge(CONNECTION, look(Seen(b"other", 40000), own_port=50001), NOW) == GONE
    assert judge(CONNECTION, look(None, own_port=50001), NOW) == GONE


@pytest.mark.parametrize(
    ("uptime", "seen", "verdict"),
    [
        (501.0, Seen(b"app", 0), OURS),
        (500.0 - SLACK + 0.5, Seen(b"app", 0), OURS),
        # it has begun anew
        (500.0 - SLACK, Seen(b"app", 0), GONE),
        (501.0, Seen(b"app", 40000), GONE),
    ],
)
def test_by_a_unix_socket_ours_is_as_old_as_the_server_at_most(
    uptime: float, seen: Seen, verdict: int
) -> None:
    found = look(seen, own=Seen(b"app", 0), own_port=0, uptime=uptime)
    assert judge(LOCAL, found, NOW) == verdict
