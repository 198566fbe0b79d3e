"""Kept variables and unreported ones on a lease, from the client's side and the server's."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import Column, text_resultset
from protocol.session_track import SessionChanges
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, NEW_CLIENT, error, ok, query, rows
from tests.fakes.world import World

TRACKING_CLIENT = NEW_CLIENT | int(Capability.SESSION_TRACK)
HIDE = query("SET SESSION wait_timeout=DEFAULT,SESSION interactive_timeout=DEFAULT")
PLACE = query("SET SESSION wait_timeout=600")
ASK = query("SHOW SESSION VARIABLES WHERE Variable_name IN ('sql_mode')")
TRACK = query("SET session_track_schema=0")
PLACE_TRACKS = query(
    "SET SESSION session_track_schema=DEFAULT,SESSION session_track_state_change=DEFAULT,"
    "SESSION session_track_transaction_info=DEFAULT,SESSION session_track_system_variables=DEFAULT"
)


def reported(name: str, value: str, status: int = AUTOCOMMIT) -> bytes:
    return ok(status, changes=SessionChanges(variables=[(name.encode(), value.encode())], state_changed=True))


def shown(name: bytes, value: bytes) -> bytes:
    columns = [Column(b"Variable_name"), Column(b"Value")]
    return text_resultset(columns, [[name, value]], status=AUTOCOMMIT, deprecate_eof=True)


def with_limit(world: World, client: FakeClient) -> ServerEnd:
    """The client has set its wait_timeout; the backend that it was set on."""
    text = query("SET SESSION wait_timeout=600")
    client.sends(text)
    server = world.backend()
    server.gets(text)
    server.answers(reported("wait_timeout", "600"))
    client.gets(ok())
    server.gets(HIDE)
    server.answers(ok())
    assert world.pool() == "1 idle"
    return server


def test_the_backend_loses_the_limit_before_anybody_gets_it(world: World) -> None:
    client, other = world.client(capabilities=NEW_CLIENT), world.client(capabilities=NEW_CLIENT)
    server = with_limit(world, client)
    assert world.frontend(client).session.idle_limit == 600
    other.sends(query("SELECT 1"))
    server.gets(query("SELECT 1"))
    server.answers(rows(b"1"))
    other.gets(rows(b"1"))


def test_a_command_that_comes_meanwhile_waits(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    client.sends(query("SET SESSION wait_timeout=600"))
    server = world.backend()
    server.got()
    server.answers(reported("wait_timeout", "600"))
    client.gets(ok())
    client.sends(query("SELECT 1"))
    server.gets(HIDE)
    server.answers(ok())
    server.gets(query("SELECT 1"))
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))


def test_who_reads_the_limit_finds_it(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    server = with_limit(world, client)
    client.sends(query("SELECT @@wait_timeout"))
    server.gets(PLACE)
    server.answers(ok())
    server.gets(query("SELECT @@wait_timeout"))
    server.answers(rows(b"600"))
    client.gets(rows(b"600"))
    server.gets(HIDE)
    server.answers(ok())
    assert world.pool() == "1 idle"


SELECT_PART = "SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1"


def with_found_rows(world: World) -> tuple[FakeClient, ServerEnd]:
    """The client has a limit of its own, and a count that only the parked backend knows."""
    client = world.client(capabilities=NEW_CLIENT)
    server = with_limit(world, client)
    client.sends(query(SELECT_PART))
    server.gets(query(SELECT_PART))
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))
    assert world.pool() == "1 parked"
    return client, server


def test_what_the_last_statement_left_is_read_first_and_written_in(world: World) -> None:
    client, server = with_found_rows(world)
    client.sends(query("SELECT FOUND_ROWS() AS n, @@wait_timeout AS w"))
    server.gets(query("SELECT FOUND_ROWS() LIMIT 1"))
    server.answers(rows(b"12"))
    server.gets(PLACE)
    server.answers(ok())
    server.gets(query("SELECT COALESCE(12,FOUND_ROWS()) AS n, @@wait_timeout AS w"))
    server.answers(rows(b"12"))
    client.gets(rows(b"12"))
    server.gets(HIDE)
    server.answers(ok())
    assert world.pool() == "1 idle"


def test_an_insert_id_is_left_where_it_is(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    server = with_limit(world, client)
    client.sends(query("INSERT INTO t VALUES (1)"))
    server.got()
    server.answers(ok(insert_id=7))
    client.gets(ok(insert_id=7))
    client.sends(query("SELECT LAST_INSERT_ID() + @@wait_timeout"))
    restore = b"SET last_insert_id=CAST(IF(LAST_INSERT_ID()=0,0,LAST_INSERT_ID()) AS UNSIGNED)"
    server.gets(query(restore.decode()))
    server.answers(ok())
    server.gets(PLACE)
    server.answers(ok())
    server.gets(query("SELECT LAST_INSERT_ID() + @@wait_timeout"))
    server.answers(rows(b"607"))
    client.gets(rows(b"607"))
    server.answers(ok())
    assert world.pool() == "1 parked"


def test_a_refused_capture_ends_the_backend(world: World) -> None:
    client, server = with_found_rows(world)
    client.sends(query("SELECT @@wait_timeout"))
    server.answers(error(1205))
    client.gets_error(1105, "could not be read")
    assert (server.is_closed, client.is_closed) == (True, False)


def test_a_backend_that_is_lost_during_the_capture_is_replaced(world: World) -> None:
    client, server = with_found_rows(world)
    client.sends(query("SELECT @@wait_timeout"))
    server.breaks()
    other = world.backend()
    assert other is not server
    other.gets(PLACE)
    other.answers(ok())
    other.gets(query("SELECT @@wait_timeout"))
    other.answers(rows(b"600"))
    client.gets(rows(b"600"))
    other.answers(ok())


def test_what_was_not_reported_is_asked_for(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    client.sends(query("SET @@sql_mode='ANSI_QUOTES'"))
    server = world.backend()
    server.got()
    server.answers(ok())
    client.gets(ok())
    server.gets(ASK)
    server.answers(shown(b"sql_mode", b"ANSI_QUOTES"))
    session = world.frontend(client).session
    assert session.vector.variables[b"sql_mode"] == b"ANSI_QUOTES"
    assert world.writer.core.leased_count == 0
    assert server.is_closed is False


def test_a_limit_that_was_not_reported_either_cuts_no_answer(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    client.sends(query("SET @@sql_select_limit=1, @@time_zone='+01:00'"))
    server = world.backend()
    server.got()
    server.answers(ok())
    client.gets(ok())
    assert server.got()[0].endswith(b"IN ('sql_select_limit','time_zone') LIMIT 1000")
    columns = [Column(b"Variable_name"), Column(b"Value")]
    shown: list[list[bytes | None]] = [[b"sql_select_limit", b"1"], [b"time_zone", b"+01:00"]]
    server.answers(text_resultset(columns, shown, status=AUTOCOMMIT, deprecate_eof=True))
    vector = world.frontend(client).session.vector
    assert vector.is_limited and vector.variables[b"time_zone"] == b"+01:00"


def test_a_question_that_is_refused_leaves_the_session_pinned(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    client.sends(query("SET @@sql_mode='ANSI_QUOTES'"))
    server = world.backend()
    server.answers(ok())
    client.gets(ok())
    server.answers(error(1399))
    assert [reason.value for reason in world.frontend(client).session.pin_reasons()] == ["untracked-variable"]
    assert world.pool() == "1 leased"


@pytest.mark.parametrize("is_held", [False, True])
def test_a_backend_that_cannot_be_put_back_is_closed(world: World, is_held: bool) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    status = IN_TRANS if is_held else AUTOCOMMIT
    client.sends(query("SET session_track_schema=0"))
    server = world.backend()
    server.answers(ok())
    server.answers(reported("session_track_schema", "OFF", status))
    client.gets(ok(status))
    server.got()
    server.answers(error(1317))
    assert server.is_closed
    assert client.is_closed is is_held


def test_a_client_is_told_what_it_has_asked_for(world: World) -> None:
    client = world.client(capabilities=TRACKING_CLIENT)
    client.sends(TRACK)
    server = world.backend()
    server.gets(PLACE_TRACKS)
    server.answers(ok())
    server.gets(TRACK)
    answer = reported("session_track_schema", "OFF")
    server.answers(answer)
    client.gets(answer)
    server.gets(frame(b"\x03" + world.setup))
    server.answers(ok())
    client.sends(query("USE test"))
    server.answers(ok(changes=SessionChanges(schema=b"test", state_changed=True)))
    client.gets(ok())


def test_a_client_that_leaves_meanwhile_costs_the_backend(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    client.sends(query("SET SESSION wait_timeout=600"))
    server = world.backend()
    server.answers(reported("wait_timeout", "600"))
    client.gets(ok())
    client.leaves()
    assert server.is_closed


def test_a_backend_that_is_lost_meanwhile_is_no_loss(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    client.sends(query("SET SESSION wait_timeout=600"))
    server = world.backend()
    server.answers(reported("wait_timeout", "600"))
    client.gets(ok())
    server.breaks()
    assert not client.is_closed
    client.gets_nothing()
    client.sends(query("SELECT 1"))
    world.backend().answers(rows(b"1"))
    client.gets(rows(b"1"))
