"""Statements before which nothing has to be restored."""

from __future__ import annotations

import pytest

from protocol.packets import SessionChanges
from proxy.classify import classify
from proxy.statement import SETS_AUTOCOMMIT
from proxy.vector import CHARSET_VARIABLES, Vector, differ_only_in
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, error, init_db, ok, query, rows
from tests.fakes.world import World

OFF = query("SET autocommit=0")
ON = query("SET autocommit=1")
SELECT = query("SELECT 1")


def reported(value: str) -> bytes:
    """The answer to a SET autocommit."""
    status = AUTOCOMMIT if value == "ON" else 0
    return ok(status, changes=SessionChanges(variables=[(b"autocommit", value.encode())]))


def switches(world: World, client: FakeClient, text: bytes, value: str) -> ServerEnd:
    """The client switches autocommit, and nothing else happens."""
    client.sends(text)
    server = world.backend()
    server.gets(text)
    server.answers(reported(value))
    client.got()
    return server


def test_switches_of_several_sessions_need_no_restore(world: World) -> None:
    one, other = world.client(), world.client()
    for _ in range(3):
        switches(world, one, OFF, "OFF")
        switches(world, other, ON, "ON")
        switches(world, one, ON, "ON")
        switches(world, other, OFF, "OFF")
    assert world.counters.restores == 0
    # what each has is its own
    one.sends(SELECT)
    server = world.backend()
    server.gets(query("SET SESSION autocommit='ON'"))
    server.answers(ok())
    server.gets(SELECT)
    server.answers(rows(b"1"))
    one.got()


def test_another_difference_is_restored_first(world: World) -> None:
    one, other = world.client(schema=b"shop"), world.client(schema=b"test")
    switches(world, one, OFF, "OFF")
    other.sends(ON)
    server = world.backend()
    server.gets(init_db("test"))
    server.answers(ok())
    server.gets(query("SET SESSION autocommit=DEFAULT"))
    server.answers(ok())
    server.gets(ON)
    server.answers(reported("ON"))


def test_a_switch_that_fails_leaves_a_backend_that_was_the_sessions(world: World) -> None:
    client = world.client()
    client.sends(query("SET NAMES sjis"))
    server = world.backend()
    names = [(name, b"sjis") for name in CHARSET_VARIABLES[:3]]
    server.answers(ok(changes=SessionChanges([*names, (CHARSET_VARIABLES[3], b"sjis_japanese_ci")])))
    assert world.pool() == "1 leased"
    client.got()
    client.sends(ON)
    while server.got()[-1] != ON[4:]:
        server.answers(ok())
    server.answers(error(1399, "in the ACTIVE state"))
    client.gets_error(1399)
    assert world.pool() == "1 leased"


def test_a_switch_that_fails_closes_the_backend_and_leaves_the_session_as_it_was(world: World) -> None:
    one, other = world.client(), world.client()
    switches(world, one, OFF, "OFF")
    other.sends(ON)
    server = world.backend()
    server.gets(ON)
    server.answers(error(1317, "Query execution was interrupted"))
    other.gets_error(1317)
    assert world.pool() == ""
    other.sends(query("SHOW WARNINGS"))
    assert b"Query execution was interrupted" in other.got()
    other.sends(SELECT)
    world.backend().gets(SELECT)
    world.backend().answers(rows(b"1"))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("SET autocommit=0", True),
        ("set SESSION autocommit := on;", True),
        ("SET LOCAL AUTOCOMMIT = OFF", True),
        ("SET autocommit=@@autocommit", False),
        ("SET autocommit=1-1", False),
        ("SET autocommit=0, sql_mode=''", False),
        ("SET autocommit=DEFAULT", False),
        ("SET @@autocommit=1", False),
        ("SET GLOBAL autocommit=1", False),
        ("SET autocommit=0; SELECT 1", False),
        ("SET unique_checks=0", False),
    ],
)
def test_what_is_a_bare_switch(text: str, is_one: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & SETS_AUTOCOMMIT) == is_one


def test_a_difference_in_one_variable() -> None:
    bare = Vector.fresh(b"s", {b"a": b"1"})
    off = bare.with_variables([(b"autocommit", b"OFF")])
    assert differ_only_in(bare, off, b"autocommit") and differ_only_in(off, bare, b"autocommit")
    assert differ_only_in(off, bare.with_variables([(b"autocommit", b"ON")]), b"autocommit")
    assert not differ_only_in(bare, off, b"a")
    assert not differ_only_in(off, bare.with_variables([(b"a", b"2")]), b"autocommit")
    assert not differ_only_in(off, bare.with_variables([(b"b", b"2")]), b"autocommit")
    assert not differ_only_in(off, off.with_variables([(b"b", b"2")]), b"autocommit")
    assert not differ_only_in(off, bare.with_schema(None), b"autocommit")
    assert not differ_only_in(off, bare.with_multi_statements(True), b"autocommit")
