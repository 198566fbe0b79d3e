"""Leases: how they begin and end, what becomes of residue, and who loses whom in which state."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import Column, build_ok, text_resultset
from protocol.session_track import SessionChanges
from proxy.pin_report import live_pins
from proxy.states import STATE_NAMES
from proxy.variables import NAMES_COMMAND
from tests.fakes.client import FakeClient
from tests.fakes.responses import changed, wire
from tests.fakes.responses import rows as result_rows
from tests.fakes.scenes import in_transaction
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    AUTOCOMMIT,
    IN_TRANS,
    OLD_CLIENT,
    PING,
    PROBE,
    RESET,
    error,
    execute,
    init_db,
    ok,
    prepare,
    prepared,
    query,
    rows,
)
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SELECT = query("SELECT 1")
INSERT = query("INSERT INTO t VALUES (NULL)")
READ_ID = query("SELECT LAST_INSERT_ID(), 1")
BEGIN = query("BEGIN")
FROM_VIEW = query("SELECT SQL_CALC_FOUND_ROWS * FROM other.v")
MARIADB = b"5.5.5-10.11.6-MariaDB"


def state(world: World, client: FakeClient) -> str:
    return STATE_NAMES[world.frontend(client).state]


KEEP_OWN_ID = query("SET last_insert_id=CAST(IF(LAST_INSERT_ID()=0,0,LAST_INSERT_ID()) AS UNSIGNED)")


def inserted(world: World, client: FakeClient, insert_id: int = 7) -> ServerEnd:
    """The client has left an insert id on a backend."""
    client.sends(INSERT)
    server = world.backend()
    server.gets(INSERT)
    server.answers(ok(insert_id=insert_id))
    client.gets(ok(insert_id=insert_id))
    return server


def captured(server: ServerEnd, insert_id: int) -> None:
    """The server is asked for the residue, and answers."""
    (asked,) = server.got()
    items = asked.removeprefix(b"\x03SELECT ").removesuffix(b" LIMIT 1").split(b", ")
    assert b"LAST_INSERT_ID()" in items
    values: list[bytes | None] = [
        b"%d" % insert_id if item == b"LAST_INSERT_ID()" else b"0" for item in items
    ]
    server.answers(
        text_resultset([Column(b"a")] * len(items), [values], status=AUTOCOMMIT, deprecate_eof=True)
    )


# Residue


def test_a_backend_with_residue_is_parked_and_claimed_by_its_session(world: World) -> None:
    client = world.client()
    server = inserted(world, client)
    assert world.pool() == "1 parked"
    client.sends(READ_ID)
    # OK's insert id may have been an explicit one: then what the backend would say is another session's
    server.gets(KEEP_OWN_ID)
    server.answers(ok())
    server.gets(READ_ID)
    assert world.pool() == "1 leased"


def test_residue_is_captured_when_another_session_needs_the_backend(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    assert world.pool() == "1 resetting, 1 waiting"
    captured(server, 7)
    server.gets(SELECT)
    server.answers(rows(b"1"))
    other.gets(rows(b"1", deprecate_eof=False))
    # and put back when its session asks
    client.sends(READ_ID)
    server.gets(query("SET last_insert_id=7"))
    server.answers(ok())
    server.gets(READ_ID)
    server.answers(rows(b"7"))
    client.gets(rows(b"7", deprecate_eof=False))


def test_a_session_whose_residue_is_being_captured_waits_for_that(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    client.sends(SELECT)
    assert state(world, client) == "awaiting-capture"
    captured(server, 7)
    server.gets(SELECT)
    assert state(world, client) == "waiting"
    server.answers(ok())
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.gets(rows(b"1", deprecate_eof=False))
    assert world.counters.queries == 3


SET_MANUAL = query("SET autocommit=0")
MANUAL_NOW = ok(0, changes=SessionChanges(variables=[(b"autocommit", b"OFF")]))


def set_manual(world: World, client: FakeClient) -> ServerEnd:
    """The client has switched autocommit off, on the one backend that there may be."""
    client.sends(SET_MANUAL)
    server = world.backend()
    server.gets(SET_MANUAL)
    server.answers(MANUAL_NOW)
    client.got()
    return server


def test_a_session_that_has_set_something_finds_its_backend_again(world: World) -> None:
    client = world.client()
    server = set_manual(world, client)
    assert world.pool() == "1 parked"
    client.sends(SELECT)
    server.gets(SELECT)
    server.answers(rows(b"1", status=0))
    assert client.got()
    assert world.counters.leases == 2
    assert (world.counters.restores, world.counters.captures, world.pool()) == (0, 0, "1 idle")


def test_a_backend_parked_without_residue_is_anybodys_at_once(world: World) -> None:
    client, other = world.client(), world.client()
    server = set_manual(world, client)
    other.sends(SELECT)
    (restored,) = server.got()
    assert b"autocommit" in restored
    assert world.counters.captures == 0


def test_a_session_that_has_set_something_does_not_make_the_pool_grow(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client = world.client()
    set_manual(world, client)
    assert world.pool() == "1 idle"


def test_of_two_idle_backends_a_session_gets_the_one_that_is_in_its_state(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    plain, manual = world.client(), world.client()
    plain.sends(BEGIN)
    first = world.backend()
    first.gets(BEGIN)
    first.answers(ok(IN_TRANS))
    second = set_manual(world, manual)
    plain.sends(query("COMMIT"))
    first.gets(query("COMMIT"))
    first.answers(ok())
    assert world.pool() == "2 idle"
    manual.sends(SELECT)
    second.gets(SELECT)
    assert world.counters.restores == 0


def test_commands_on_a_lease_that_a_pin_keeps_are_counted(world: World) -> None:
    client = world.client()
    client.sends(query("CREATE TEMPORARY TABLE t (a INT)"))
    server = world.backend()
    server.answers(ok())
    assert world.counters.pinned_commands == 0
    for text, answer in (("SELECT 1", rows(b"1")), ("BEGIN", ok(IN_TRANS)), ("SELECT 2", rows(b"2"))):
        client.sends(query(text))
        server.answers(answer)
    assert world.counters.pinned_commands == 2


def test_commands_of_a_transaction_do_not_count_as_pinned(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(SELECT)
    server.answers(rows(b"1", status=IN_TRANS))
    assert (world.counters.pinned_commands, world.counters.leases) == (0, 1)


def test_a_count_is_written_once_into_a_statement_that_waits_for_a_capture(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    client.sends(PING)
    client.gets(ok())
    other.sends(SELECT)
    client.sends(query("SELECT ROW_COUNT() + 1, LAST_INSERT_ID() + 1 FROM t"))
    captured(server, 7)
    server.gets(SELECT)
    server.answers(ok())
    assert server.got() == [b"\x03SET last_insert_id=7"]
    server.answers(ok())
    server.gets(query("SELECT COALESCE(0,ROW_COUNT()) + 1 AS `ROW_COUNT() + 1`, LAST_INSERT_ID() + 1 FROM t"))


@pytest.mark.parametrize(
    "asked", [query("SHOW WARNINGS"), query("SELECT FOUND_ROWS()"), PING, frame(b"\x7f")]
)
def test_nothing_is_answered_from_what_is_being_captured(world: World, asked: bytes) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    client.sends(asked)
    assert state(world, client) == "awaiting-capture"
    client.gets_nothing()
    captured(server, 7)
    assert client.got() != b""
    assert state(world, client) == "ready"
    assert world.frontend(client).session.insert_id == 7


def test_a_session_that_waits_for_a_capture_may_leave(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    client.sends(SELECT)
    client.leaves()
    captured(server, 7)
    server.gets(SELECT)


def test_a_session_whose_backend_dies_during_the_capture_goes_on_without_residue(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    client.sends(SELECT)
    server.breaks()
    new = world.backend()
    assert new is not server
    new.gets(SELECT)
    new.answers(ok())
    new.gets(SELECT)


def test_a_refused_capture_closes_the_backend(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    # interrupted, it is tried again
    server.answers(error(1317))
    assert not server.is_closed
    server.answers(error(1205))
    assert server.is_closed
    world.backend().gets(SELECT)
    world.backend().answers(ok())
    client.sends(SELECT)
    world.backend().gets(SELECT)


def test_a_parked_backend_that_dies_takes_the_residue_along(world: World) -> None:
    client = world.client()
    server = inserted(world, client)
    server.closes()
    assert world.pool() == ""
    client.sends(SELECT)
    world.backend().gets(SELECT)


def test_a_session_that_ends_leaves_its_parked_backend_to_all(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    client.leaves()
    # whoever gets it next must not take its insert id for one of his own
    other.sends(SELECT)
    server.gets(query("SELECT FOUND_ROWS(), LAST_INSERT_ID(), LAST_INSERT_ID(0) LIMIT 1"))
    server.answers(rows(b"1", b"7", b"7"))
    server.gets(SELECT)


def test_a_reset_gives_up_the_parked_backend(world: World) -> None:
    client = world.client()
    server = inserted(world, client)
    client.sends(RESET)
    client.gets(ok())
    server.got()
    server.answers(rows(b"1", b"7", b"7"))
    assert world.pool() == "1 idle"


def test_a_held_session_finds_its_own_insert_id_on_a_backend_that_is_new_to_it(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    captured(server, 7)
    server.got()
    server.answers(ok())
    in_transaction(world, client)
    client.sends(READ_ID)
    server.gets(query("SET last_insert_id=7"))
    server.answers(ok(IN_TRANS))
    server.gets(READ_ID)
    server.answers(rows(b"7", status=IN_TRANS))
    client.gets(rows(b"7", status=IN_TRANS, deprecate_eof=False))


def test_a_session_whose_pool_is_paused_takes_its_parked_backend_afterwards(world: World) -> None:
    client = world.client()
    server = inserted(world, client)
    world.writer.core.pause(world.loop.now)
    client.sends(READ_ID)
    server.gets_nothing()
    world.loop.call(lambda: world.writer._execute(world.writer.core.resume(world.loop.now)))
    server.gets(KEEP_OWN_ID)
    server.answers(ok())
    server.gets(READ_ID)
    server.answers(rows(b"7"))
    client.got()
    client.sends(READ_ID)
    server.gets(READ_ID)


# The backend is lost


def idle_backends(world: World, count: int, schema: bytes = b"shop") -> list[ServerEnd]:
    """So many idle backends whose state is that of sessions in `schema`."""
    clients = [world.client(schema=schema) for _ in range(count)]
    servers = [in_transaction(world, client) for client in clients]
    for client, server in zip(clients, servers, strict=True):
        client.sends(query("COMMIT"))
        server.got()
        server.answers(ok())
        client.got()
    assert world.pool() == f"{count} idle"
    return servers


def test_a_backend_lost_while_it_is_prepared_is_replaced(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    idle_backends(world, 2)
    client = world.client(schema=b"test")
    client.sends(SELECT)
    (first,) = [end for end in world.server.ends if end.got() == [b"\x02test"]]
    first.breaks()
    (second,) = [end for end in world.server.ends if end.got() == [b"\x02test"]]
    second.answers(ok())
    second.gets(SELECT)
    second.answers(ok())
    client.gets(ok())


def test_so_is_one_that_says_so_before(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    idle_backends(world, 2)
    client = world.client(schema=b"test")
    client.sends(SELECT)
    (first,) = [end for end in world.server.ends if end.got() == [b"\x02test"]]
    first.answers(error(1053, "Server shutdown in progress"))
    assert first.is_closed
    (second,) = [end for end in world.server.ends if end.got() == [b"\x02test"]]
    second.answers(ok())
    second.gets(SELECT)
    second.answers(ok())
    client.gets(ok())


def test_backends_that_are_lost_one_after_the_other_end_in_an_error(make_world: MakeWorld) -> None:
    world = make_world(pool_size=6)
    idle_backends(world, 5)
    client, holder = world.client(schema=b"test"), world.client(schema=b"test")
    # an answer was relayed before, on a backend that somebody else has now
    client.sends(SELECT)
    (end,) = [end for end in world.server.ends if end.got()]
    end.answers(ok())
    end.got()
    end.answers(ok())
    client.gets(ok())
    holder.sends(BEGIN)
    end.gets(BEGIN)
    client.sends(SELECT, PING)
    for _ in range(4):
        client.gets_nothing()
        (end,) = [end for end in world.server.open_ends if end.got() == [b"\x02test"]]
        end.breaks()
    got = client.got()
    assert b"Lost connection to server" in got and got.endswith(ok())
    assert not client.is_closed


def test_a_backend_lost_before_any_answer_is_an_error_for_the_client(world: World) -> None:
    client = world.client()
    client.sends(SELECT, PING)
    server = world.backend()
    server.gets(SELECT)
    server.breaks()
    got = client.got()
    error_packet, pong = got[: -len(ok())], got[-len(ok()) :]
    assert b"Lost connection to server during query" in error_packet
    assert pong == ok()
    assert world.pool() == ""
    assert world.counters.backend_closes == {"lost": 1}


def test_a_backend_lost_in_the_middle_of_an_answer_ends_the_connection(world: World) -> None:
    client = world.client()
    client.sends(SELECT)
    world.backend().answers(rows(*[b"x" * 200] * 200)[:30000])
    assert client.got()
    world.backend().breaks()
    client.gets_nothing()
    assert client.is_closed
    assert world.counters.frontend_closes == {"backend-lost": 1}


def test_a_backend_lost_between_the_commands_of_a_transaction_ends_the_connection(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    server.closes()
    client.gets_nothing()
    assert client.is_closed


def test_a_backend_lost_during_a_statement_of_a_transaction_is_an_error_and_the_end(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(SELECT)
    server.breaks()
    client.gets_error(2013, "its transaction or pinned state is lost")
    assert client.is_closed


def test_a_backend_lost_during_the_probe_does_not_matter_to_a_session_that_holds_nothing(
    world: World,
) -> None:
    client = world.client()
    client.sends(query("SELEKT"), SELECT)
    server = world.backend()
    server.answers(error(1064))
    client.gets(error(1064))
    server.breaks()
    client.gets_nothing()
    world.backend().gets(SELECT)


def test_a_backend_lost_during_the_probe_of_a_transaction_ends_the_connection(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(query("SELEKT"))
    server.answers(error(1064))
    server.breaks()
    client.gets(error(1064))
    assert client.is_closed


def test_a_backend_lost_during_a_reset_of_the_session_is_an_error_and_the_end(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(RESET)
    server.breaks()
    client.gets_error(2013)
    assert client.is_closed


def test_an_idle_backend_that_the_server_closes_is_forgotten(world: World) -> None:
    client = world.client()
    client.sends(SELECT)
    server = world.backend()
    server.answers(ok())
    server.closes()
    assert (world.pool(), server.is_closed) == ("", True)
    client.got()
    client.sends(SELECT)
    world.backend().gets(SELECT)


def test_a_server_that_says_something_unasked_is_discarded(world: World) -> None:
    client = world.client()
    client.sends(SELECT)
    world.backend().answers(ok())
    world.backend().answers(error(1927, "Connection was killed"))
    assert world.pool() == ""
    assert world.writer.last_failure == "writer:3306 sent something unasked"


def test_a_server_that_says_nonsense_is_discarded(world: World) -> None:
    client = world.client()
    client.sends(SELECT)
    world.backend().answers(ok(sequence_id=9))
    client.gets_error(2013, "unexpected bytes from writer:3306")
    assert world.pool() == ""


# The client is lost


def test_a_client_that_leaves_the_queue_leaves_nothing(world: World) -> None:
    holder, waiter, third = world.client(), world.client(), world.client()
    server = in_transaction(world, holder)
    waiter.sends(SELECT)
    third.sends(query("SELECT 3"))
    waiter.leaves()
    assert world.pool() == "1 leased, 1 waiting"
    holder.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    server.gets(query("SELECT 3"))


def test_a_client_that_leaves_while_its_backend_is_opened_leaves_the_backend(world: World) -> None:
    world.server.is_silent = True
    client = world.client()
    client.sends(SELECT)
    assert world.pool() == "1 opening, 1 waiting"
    client.leaves()
    assert world.pool() == "1 opening"
    world.tick(6)
    assert world.pool() == ""


def test_the_query_of_a_client_that_leaves_is_killed(world: World) -> None:
    client = world.client()
    client.sends(query("SELECT SLEEP(1000)"))
    server = world.backend()
    client.leaves()
    assert world.pool() == "1 leased"
    killer = world.backend()
    assert killer is not server
    killer.gets(query(f"KILL {server.server_id}"))
    killer.answers(ok())
    assert (world.pool(), server.is_closed, killer.is_closed) == ("", True, True)


def test_a_kill_that_the_server_does_not_answer_is_given_up(world: World) -> None:
    client, other = world.client(), world.client()
    client.sends(query("SELECT SLEEP(1000)"))
    server = world.backend()
    client.breaks()
    other.sends(SELECT)
    assert world.pool() == "1 leased, 1 waiting"
    world.tick(4.9)
    assert world.pool() == "1 leased, 1 waiting"
    world.loop.advance(0.2)
    assert server.is_closed
    world.backend().gets(SELECT)


def test_a_transaction_of_a_client_that_leaves_is_rolled_back_by_a_reset(world: World) -> None:
    client, other = world.client(), world.client()
    server = in_transaction(world, client)
    client.leaves()
    other.sends(SELECT)
    assert world.pool() == "1 resetting, 1 waiting"
    server.gets(RESET)
    server.answers(ok())
    server.gets(frame(b"\x03" + world.setup))
    server.answers(ok())
    server.gets(SELECT)


def test_a_backend_that_cannot_be_reset_is_closed(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.leaves()
    server.answers(error(1047))
    assert (world.pool(), server.is_closed) == ("", True)
    assert world.counters.backend_closes == {"reset-failed": 1}


def test_a_backend_that_is_lost_during_its_reset_is_forgotten(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.leaves()
    server.breaks()
    assert world.pool() == ""


@pytest.mark.parametrize("phase", ["preparing", "probing", "resetting"])
def test_a_client_that_leaves_while_our_own_commands_run_costs_the_backend(world: World, phase: str) -> None:
    client = world.client(schema=b"shop")
    server = in_transaction(world, client)
    if phase == "resetting":
        client.sends(RESET)
    elif phase == "probing":
        client.sends(query("SELEKT"))
        server.answers(error(1064))
    else:
        client.sends(query("COMMIT"))
        server.answers(ok())
        client = world.client(schema=b"test")
        client.sends(SELECT)
    assert state(world, client) == phase
    client.leaves()
    assert (world.pool(), server.is_closed, server.is_aborted) == ("", True, True)


def test_a_client_that_leaves_while_a_statement_is_prepared_for_it_costs_the_backend(world: World) -> None:
    client, other = world.client(), world.client()
    client.sends(prepare("SELECT 1"))
    server = world.backend()
    server.answers(prepared(1))
    client.got()
    other.sends(query("SELECT 2"))
    other.leaves()
    world.server.last.answers(ok())
    assert world.pool() == ""


def test_a_statement_is_not_run_elsewhere_that_asks_for_what_only_the_lost_backend_knew(world: World) -> None:
    client = world.client()
    server = inserted(world, client)
    client.sends(READ_ID)
    server.gets(KEEP_OWN_ID)
    server.breaks()
    client.gets_error(2013)
    assert client.is_closed


def test_residue_is_forgotten_with_the_backend_that_it_was_on(world: World) -> None:
    client = world.client()
    server = inserted(world, client)
    client.sends(SELECT)
    server.breaks()
    client.gets_error(2013)
    client.sends(SELECT)
    world.backend().answers(rows(b"1"))
    # nothing of this session is on the new one
    assert world.pool() == "1 idle"


def test_commands_behind_one_that_no_backend_can_be_had_for_are_answered(make_world: MakeWorld) -> None:
    world = make_world()
    (server,) = idle_backends(world, 1)
    client = world.client(schema=b"test")
    client.sends(SELECT, PING)
    server.gets(init_db("test"))
    world.loop.call(world.writer.drain)
    server.breaks()
    got = client.got()
    assert b"Server shutdown in progress" in got and got.endswith(ok())


def test_a_server_that_does_not_answer_a_capture_loses_the_backend(world: World) -> None:
    client, other = world.client(), world.client()
    inserted(world, client)
    other.sends(SELECT)
    assert world.pool() == "1 resetting, 1 waiting"
    world.tick(world.settings.pool.connect_timeout + 0.1)
    assert "resetting" not in world.pool()


def test_a_job_that_ended_in_time_is_not_looked_at_again(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    captured(server, 7)
    server.gets(SELECT)
    world.tick()
    assert not world.writer.jobs
    server.answers(rows(b"1"))
    other.gets(rows(b"1", deprecate_eof=False))


def test_a_count_that_no_backend_has_is_written_into_the_statement_that_asks(world: World) -> None:
    client = world.client()
    client.sends(query("UPDATE t SET a=1"))
    server = world.backend()
    server.got()
    server.answers(frame(build_ok(status=2, affected_rows=3), 1))
    client.got()
    client.sends(query("SELECT ROW_COUNT()+1"))
    server.gets(query("SELECT COALESCE(3,ROW_COUNT())+1 AS `ROW_COUNT()+1`"))


# Pins and their records

LOCK = query("SELECT GET_LOCK('secret', 1)")
UNLOCK = query("SELECT RELEASE_LOCK('secret')")


def pinned(world: World, client: FakeClient) -> ServerEnd:
    """The client has taken a user lock."""
    client.sends(LOCK)
    server = world.backend()
    server.answers(rows(b"1"))
    client.got()
    return server


def records(world: World) -> list[tuple[str, str, int, float]]:
    """Digest, reason, live pins and seconds of each row."""
    now = world.loop.time()
    found = world.shared.pins.rows()
    return [(row.digest, row.reason.value if row.reason else "", row.live, row.seconds(now)) for row in found]


def test_a_pin_is_recorded_with_the_digest_of_its_statement_until_it_is_lifted(world: World) -> None:
    client = world.client()
    server = pinned(world, client)
    world.loop.advance(5)
    assert records(world) == [("SELECT GET_LOCK(?, ?)", "user-lock", 1, 5.0)]
    held = world.frontend(client).pins
    assert held is not None
    assert (held.endpoint, held.server_connection) == ("writer", 1)
    client.sends(UNLOCK)
    server.answers(rows(b"1"))
    world.loop.advance(5)
    assert records(world) == [("SELECT GET_LOCK(?, ?)", "user-lock", 0, 5.0)]
    assert world.frontend(client).pins is None


def test_a_statement_of_a_pinned_session_changes_no_record_unless_it_pins_too(world: World) -> None:
    client = world.client()
    server = pinned(world, client)
    client.sends(SELECT)
    server.answers(rows(b"1"))
    world.loop.advance(1)
    client.sends(query("CREATE TEMPORARY TABLE t (a INT DEFAULT 5)"))
    server.answers(ok())
    world.loop.advance(1)
    assert records(world) == [
        ("SELECT GET_LOCK(?, ?)", "user-lock", 1, 2.0),
        ("CREATE TEMPORARY TABLE t(a INT DEFAULT ?)", "temporary-table", 1, 1.0),
    ]
    assert world.counters.pins == {"user-lock": 1, "temporary-table": 1}


def test_time_in_a_transaction_is_not_charged_to_a_pin(world: World) -> None:
    client = world.client()
    server = pinned(world, client)
    world.loop.advance(1)
    client.sends(BEGIN)
    server.answers(ok(IN_TRANS))
    world.loop.advance(10)
    client.sends(SELECT)
    server.answers(rows(b"1", status=IN_TRANS))
    world.loop.advance(10)
    client.sends(query("COMMIT"))
    server.answers(ok())
    world.loop.advance(2)
    assert records(world) == [("SELECT GET_LOCK(?, ?)", "user-lock", 1, 3.0)]


def test_what_a_probe_finds_is_of_the_statement_that_failed(world: World) -> None:
    client = world.client()
    client.sends(query("UPDATE t SET a = 5"))
    server = world.backend()
    server.answers(error(1205))
    server.gets(query("UPDATE t SET a = 5"), PROBE)
    server.answers(error(1317))
    assert records(world) == [("UPDATE t SET a = ?", "opaque-state-change", 1, 0.0)]


def test_a_pin_by_a_binary_statement_has_the_digest_of_its_text(world: World) -> None:
    client = world.client()
    client.sends(prepare("SELECT GET_LOCK(?, 1)"))
    server = world.backend()
    server.answers(prepared(41))
    client.sends(execute(1))
    server.answers(rows(b"1"))
    assert records(world) == [("SELECT GET_LOCK(?, ?)", "user-lock", 1, 0.0)]


@pytest.mark.parametrize(
    ("command", "digest"), [(init_db("shop"), "COM_INIT_DB"), (frame(b"\x0a"), "COM_PROCESS_INFO")]
)
def test_a_pin_by_a_command_without_text_has_its_name(world: World, command: bytes, digest: str) -> None:
    client = world.client()
    client.sends(command)
    world.backend().answers(ok(changes=SessionChanges([(b"timestamp", b"5")])))
    assert [row[:2] for row in records(world)] == [(digest, "unsafe-variable")]


@pytest.mark.parametrize("ending", ["reset", "leaves", "lost"])
def test_the_end_of_the_lease_ends_its_pins(world: World, ending: str) -> None:
    client = world.client()
    server = pinned(world, client)
    world.loop.advance(4)
    if ending == "reset":
        client.sends(RESET)
        server.answers(ok())
        server.answers(ok())
    elif ending == "leaves":
        client.leaves()
    else:
        server.breaks()
    world.loop.advance(4)
    assert records(world) == [("SELECT GET_LOCK(?, ?)", "user-lock", 0, 4.0)]


# User variables

SET_A = query("SET @a=1")
READ_A = query("SELECT @a FROM t")
RESTORED = query("SET @`a`=1")


def assigns(world: World, client: FakeClient, text: bytes = SET_A) -> ServerEnd:
    """The client assigns a user variable on a backend that has its state already."""
    client.sends(text)
    server = world.backend()
    server.gets(text)
    server.answers(ok())
    client.gets(ok())
    return server


def pinned_by(world: World, client: FakeClient) -> list[tuple[object, object]]:
    """The reasons for which the client's session is pinned, and the statements that they are due to."""
    return [
        (pin["reason"], pin["digest"]) for pin in live_pins(world.frontend(client).pins, world.loop.time())
    ]


def variables_read(server: ServerEnd, *values: bytes | None) -> None:
    """The server is asked for the user variables, and tells of integers; without values that they are too much."""
    (asked,) = server.got()
    assert asked.startswith(b"\x03SELECT @`") and b"HAVING" in asked
    columns: list[Column] = []
    row: list[bytes | None] = []
    for value in values or (None,):
        columns += [Column(b"@a", 8, collation=63), Column(b"collation"), Column(b"hex")]
        row += [value, b"binary", None]
    server.answers(text_resultset(columns, [row] if values else [], status=AUTOCOMMIT, deprecate_eof=True))


def cleaned(world: World, server: ServerEnd) -> None:
    """The backend is made as new."""
    server.gets(RESET)
    server.answers(ok())
    server.gets(frame(b"\x03" + world.setup))
    server.answers(ok())


def test_a_session_finds_its_user_variables_on_the_backend_that_it_parked(world: World) -> None:
    client = world.client()
    server = assigns(world, client)
    assert world.pool() == "1 parked"
    client.sends(READ_A)
    server.gets(READ_A)


def test_user_variables_of_one_session_are_gone_before_another_gets_the_backend(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    assert state(world, other) == "cleaning"
    cleaned(world, server)
    server.gets(SELECT)
    server.answers(rows(b"1"))
    # the first one's come back for whatever it does: triggers and views may read them
    client.sends(SELECT)
    server.gets(RESTORED)
    server.answers(ok())
    server.gets(SELECT)
    server.answers(rows(b"1"))
    assert world.pool() == "1 idle"
    # and are still there
    client.sends(READ_A)
    server.gets(READ_A)


def test_user_variables_that_all_get_another_value_need_no_reset(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    cleaned(world, server)
    server.gets(SELECT)
    server.answers(ok())
    other.got()
    assigns(world, other)
    client.sends(READ_A)
    variables_read(server, b"2")
    server.gets(RESTORED)
    server.answers(ok())
    server.gets(READ_A)


def test_a_stale_copy_of_the_user_variables_is_not_taken_for_the_present_one(make_world: MakeWorld) -> None:
    world = make_world(pool_size=1)
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    cleaned(world, server)
    server.gets(SELECT)
    server.answers(ok())
    client.sends(SET_A)
    server.gets(RESTORED)
    server.answers(ok())
    server.gets(SET_A)
    server.answers(ok())
    other.sends(SELECT)
    variables_read(server, b"7")
    cleaned(world, server)
    server.gets(SELECT)
    server.answers(ok())
    client.sends(READ_A)
    server.gets(query("SET @`a`=7"))


def test_a_backend_that_cannot_be_cleaned_is_closed_and_the_client_told(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    server.gets(RESET)
    server.answers(error(1317))
    other.gets_error(1317)
    assert server.is_closed
    assert state(world, other) == "ready"


def test_a_backend_that_dies_while_it_is_cleaned_is_replaced(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    server.breaks()
    world.backend().gets(SELECT)


def test_a_client_that_leaves_while_its_backend_is_cleaned_closes_it(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    other.leaves()
    assert server.is_closed


def test_where_a_reset_would_end_ignore_space_the_backend_is_replaced(world: World) -> None:
    spaced = OLD_CLIENT | int(Capability.IGNORE_SPACE)
    client, other = world.client(capabilities=spaced), world.client(capabilities=spaced)
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server, b"1")
    assert server.is_closed
    world.backend().gets(SELECT)


def test_a_session_that_ends_leaves_no_user_variables(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    client.leaves()
    assert world.pool() == "1 resetting"
    other.sends(SELECT)
    cleaned(world, server)
    server.gets(SELECT)


def test_a_reset_leaves_no_user_variables(world: World) -> None:
    client = world.client()
    server = assigns(world, client)
    client.sends(RESET)
    client.gets(ok())
    client.sends(READ_A)
    cleaned(world, server)
    server.gets(READ_A)


def test_with_ignore_space_a_session_that_ends_leaves_no_backend(world: World) -> None:
    client = world.client(capabilities=OLD_CLIENT | int(Capability.IGNORE_SPACE))
    server = assigns(world, client)
    client.leaves()
    assert server.is_closed
    assert world.pool() == ""


def test_a_session_that_resets_while_it_is_captured_leaves_no_user_variables(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    client.sends(RESET)
    assert state(world, client) == "awaiting-capture"
    variables_read(server, b"1")
    assert state(world, client) == "ready"
    cleaned(world, server)
    server.gets(SELECT)
    server.answers(ok())
    client.sends(READ_A)
    server.gets(READ_A)


def test_with_ignore_space_a_session_may_end_while_it_is_captured(world: World) -> None:
    spaced = OLD_CLIENT | int(Capability.IGNORE_SPACE)
    client, other = world.client(capabilities=spaced), world.client(capabilities=spaced)
    server = assigns(world, client)
    other.sends(SELECT)
    client.leaves()
    variables_read(server, b"1")
    assert server.is_closed
    world.backend().gets(SELECT)


def test_a_session_that_ended_does_not_hear_of_the_loss_of_what_it_parked(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    client.sends(RESET)
    server.breaks()
    world.backend().gets(SELECT)
    assert world.frontend(client).session.lost == 0


def test_user_variables_that_died_with_their_backend_end_the_session(world: World) -> None:
    client = world.client()
    assigns(world, client).closes()
    client.sends(SELECT)
    world.backend().gets(SELECT)
    world.backend().answers(ok())
    client.got()
    client.sends(READ_A)
    client.gets_error(2013)
    assert client.is_closed


# Captures that are declined


def test_what_cannot_be_captured_keeps_its_backend(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    variables_read(server)
    assert state(world, client) == "holding"
    assert world.pool() == "1 leased, 1 waiting"
    assert world.counters.pins == {"user-variable": 1}
    assert pinned_by(world, client) == [("user-variable", "SET @a = ?")]
    client.sends(READ_A)
    server.gets(READ_A)
    server.answers(rows(b"1"))
    client.got()
    # until a reset
    client.sends(RESET)
    server.gets(RESET)
    server.answers(ok())
    server.gets(frame(b"\x03" + world.setup))
    server.answers(ok())
    client.gets(ok())
    server.gets(SELECT)


def on_mariadb(world: World) -> None:
    """What follows happens on MariaDB."""
    world.facts.setups[MARIADB] = world.setup
    world.facts.meet(MARIADB)


def reads_elsewhere(world: World, client: FakeClient) -> ServerEnd:
    """The client reads a view of another schema, on MariaDB: there may be user variables of any name."""
    client.sends(FROM_VIEW)
    server = world.backend()
    server.gets(FROM_VIEW)
    server.answers(wire(result_rows([b"1"], changes=changed(schema=""))))
    client.got()
    assert world.pool() == "1 parked"
    return server


def names_asked(world: World) -> tuple[FakeClient, ServerEnd]:
    """Another client needs the backend of one that has read elsewhere, and the server is asked for its user variables."""
    on_mariadb(world)
    client, other = world.client(), world.client()
    server = reads_elsewhere(world, client)
    other.sends(SELECT)
    assert b"LAST_INSERT_ID(0)" in server.got()[0]
    server.answers(wire(result_rows([b"1", b"0", b"0"])))
    assert server.got() == [NAMES_COMMAND]
    return client, server


def test_user_variables_that_no_text_has_named_are_asked_for_by_name(world: World) -> None:
    client, server = names_asked(world)
    server.answers(rows(b"61"))
    variables_read(server, b"5")
    cleaned(world, server)
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.sends(READ_A)
    server.gets(query("SET @`a`=5"))


def test_a_session_keeps_its_backend_when_the_server_does_not_tell_the_names(world: World) -> None:
    client, server = names_asked(world)
    server.answers(error(1109))
    assert state(world, client) == "holding"
    assert pinned_by(world, client) == [("user-variable", "SELECT SQL_CALC_FOUND_ROWS * FROM other.v")]
    client.sends(READ_A)
    server.gets(READ_A)
    server.answers(rows(b"1"))
    client.got()
    client.leaves()
    cleaned(world, server)
    server.gets(SELECT)


def test_a_session_keeps_its_backend_when_what_has_got_a_name_cannot_be_captured(world: World) -> None:
    client, server = names_asked(world)
    server.answers(rows(b"61"))
    variables_read(server)
    assert state(world, client) == "holding"
    reading = query("SELECT LAST_INSERT_ID() + @a")
    client.sends(reading)
    server.gets(query("SET last_insert_id=0"))
    server.answers(ok())
    server.gets(reading)


def test_a_session_that_waits_for_a_capture_goes_on_when_it_is_declined(world: World) -> None:
    client, other = world.client(), world.client()
    server = assigns(world, client)
    other.sends(SELECT)
    client.sends(READ_A)
    assert state(world, client) == "awaiting-capture"
    variables_read(server)
    server.gets(READ_A)
    server.answers(rows(b"1"))
    assert state(world, client) == "holding"
    assert world.pool() == "1 leased, 1 waiting"
    # not the one that waited
    assert pinned_by(world, client) == [("user-variable", "SET @a = ?")]


def test_what_may_have_to_stay_is_remembered_as_long_as_it_is_there(world: World) -> None:
    client, other = world.client(), world.client()
    session = world.frontend(client)
    server = assigns(world, client)
    client.sends(READ_A)
    server.answers(rows(b"1"))
    assert session.residue_text == b"SET @a=1"
    client.sends(query("DO 1/0"))
    server.answers(ok(warnings=1))
    assert session.residue_text == b"DO 1/0"
    client.sends(query("SELECT wrong"))
    server.answers(error(1054))
    server.answers(ok())
    assert session.residue_text == b"SELECT wrong"
    server.got()
    client.sends(RESET)
    client.sends(SELECT)
    server.gets(query("SELECT FOUND_ROWS() LIMIT 1"))
    server.answers(rows(b"1"))
    server.answers(ok())
    server.answers(ok())
    server.answers(rows(b"1"))
    assert session.residue_text == b""
    other.sends(SELECT)


def test_who_waits_gets_another_backend_when_a_capture_is_declined(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    first, second, other = world.client(), world.client(), world.client()
    one = assigns(world, first)
    second.sends(INSERT)
    two = world.backend()
    two.gets(INSERT)
    two.answers(ok(insert_id=7))
    assert one is not two
    other.sends(SELECT)
    variables_read(one)
    captured(two, 7)
    two.gets(SELECT)


def test_warnings_that_are_too_many_keep_their_backend_until_the_next_statement(
    make_world: MakeWorld,
) -> None:
    world = make_world(pool_size=1)
    world.shared.max_captured = 1024
    client, other = world.client(), world.client()
    client.sends(INSERT)
    server = world.backend()
    server.gets(INSERT)
    server.answers(ok(warnings=9))
    other.sends(SELECT)
    server.gets(query("SHOW WARNINGS LIMIT 94"))
    warning: list[bytes | None] = [b"Warning", b"1265", b"x" * 500]
    columns = [Column(b"Level"), Column(b"Code"), Column(b"Message")]
    server.answers(text_resultset(columns, [warning] * 9, status=AUTOCOMMIT, deprecate_eof=True))
    assert state(world, client) == "holding"
    assert world.counters.pins == {"diagnostics": 1}
    client.sends(SELECT)
    server.gets(SELECT)
    server.answers(rows(b"1"))
    server.gets(SELECT)


def test_a_capture_may_need_several_questions(make_world: MakeWorld) -> None:
    world = make_world(pool_size=1)
    client, other = world.client(), world.client()
    client.sends(query("SELECT nosuch"))
    server = world.backend()
    server.got()
    server.answers(error(1054))
    server.gets(PROBE)
    server.answers(ok())
    assigns_later = query("SELECT @a := (SELECT 1 UNION SELECT 2)")
    client.sends(assigns_later)
    server.gets(assigns_later)
    server.answers(error(1242))
    server.gets(PROBE)
    server.answers(ok())
    other.sends(SELECT)
    server.gets(query("SHOW WARNINGS LIMIT 5958"))
    columns = [Column(b"Level"), Column(b"Code"), Column(b"Message")]
    server.answers(
        text_resultset(columns, [[b"Error", b"1242", b"no"]], status=AUTOCOMMIT, deprecate_eof=True)
    )
    variables_read(server, b"1")
    cleaned(world, server)
    server.gets(SELECT)


def test_a_capture_can_be_declined_while_the_session_wants_to_kill_another(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, victim, other = world.client(), world.client(), world.client()
    server = assigns(world, client)
    victim.sends(query("SELECT SLEEP(9)"))
    busy = world.backend()
    busy.got()
    other.sends(SELECT)
    client.sends(query(f"KILL QUERY {victim.connection_id}"))
    assert state(world, client) == "awaiting-capture"
    variables_read(server)
    assert state(world, client) == "killing"
    killer = world.backend()
    killer.gets(query(f"KILL QUERY {busy.server_id}"))
    killer.answers(ok())
    client.gets(ok())
    assert state(world, client) == "holding"
    busy.answers(error(1317))
