"""Dialogues: client sends, server gets, server answers, client gets."""

from __future__ import annotations

import pytest

from protocol.framing import frame
from protocol.session_track import SessionChanges
from proxy.frontend import BACKLOG_LIMIT
from proxy.reasons import CloseReason
from tests.fakes.client import FakeClient
from tests.fakes.scenes import in_transaction
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    IN_TRANS,
    NEW_CLIENT,
    PING,
    PROBE,
    QUIT,
    error,
    init_db,
    ok,
    packets,
    query,
    rows,
)
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SELECT = query("SELECT 1")


def running(world: World, client: FakeClient, text: str = "SELECT 1") -> ServerEnd:
    """The client's statement runs; its backend."""
    client.sends(query(text))
    server = world.backend()
    server.gets(query(text))
    return server


# The path of a query


def test_a_query_goes_to_a_backend_and_its_answer_to_the_client(world: World) -> None:
    client = world.client()
    client.sends(SELECT)
    server = world.backend()
    server.gets(SELECT)
    assert world.pool() == "1 leased"
    server.answers(rows(b"1"))
    client.gets(rows(b"1", deprecate_eof=False))
    assert world.pool() == "1 idle"
    # the next one needs no connection of its own
    client.sends(SELECT)
    server.gets(SELECT)
    server.answers(rows(b"2"))
    client.gets(rows(b"2", deprecate_eof=False))
    assert len(world.server.ends) == 1


def test_a_client_that_needs_no_translation_gets_the_bytes_as_they_are(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    server = running(world, client)
    server.answers(rows(b"1", b"2"))
    client.gets(rows(b"1", b"2"))


def test_an_answer_in_pieces_arrives_whole(world: World) -> None:
    client = world.client()
    server = running(world, client)
    for byte in rows(b"1", b"22"):
        assert world.pool() == "1 leased"
        server.answers(bytes([byte]))
    client.gets(rows(b"1", b"22", deprecate_eof=False))
    assert world.pool() == "1 idle"


def test_sessions_share_one_backend_in_order_of_arrival(world: World) -> None:
    first, second, third = world.client(), world.client(), world.client()
    first.sends(query("SELECT 'first'"))
    second.sends(query("SELECT 'second'"))
    third.sends(query("SELECT 'third'"))
    assert world.pool() == "1 leased, 2 waiting"
    server = world.backend()
    for client, name in ((first, "first"), (second, "second"), (third, "third")):
        server.gets(query(f"SELECT '{name}'"))
        server.answers(rows(name.encode()))
        client.gets(rows(name.encode(), deprecate_eof=False))
    assert (world.pool(), len(world.server.ends)) == ("1 idle", 1)
    assert world.counters.waits == 3


def test_a_wait_that_is_too_long_ends_in_an_error_that_names_the_holders(world: World) -> None:
    holder, waiter = world.client(), world.client()
    server = in_transaction(world, holder)
    waiter.sends(SELECT, SELECT)
    world.tick(4.9)
    waiter.gets_nothing()
    world.tick(0.2)
    assert world.pool() == "1 leased, 1 waiting"
    error_packet = waiter.gets_error(1040, "pool of writer has 1 of 1 leased: 1 in transaction")
    assert "the oldest lease is 5.1 s old (in transaction, application test" in error_packet.message.decode()
    world.tick(5.1)
    waiter.gets_error(1040, "pool of writer")
    server.gets_nothing()
    assert world.counters.acquire_failures == 2


@pytest.mark.parametrize(
    "text",
    [
        "SELECT /*+ MAX_EXECUTION_TIME(1000) */ 1",
        "/* fanin: acquire_timeout=1000 */ UPDATE t SET a = 1",
        "SELECT 1",
    ],
)
def test_a_statement_that_may_not_take_long_does_not_wait_long(world: World, text: str) -> None:
    holder, waiter = world.client(), world.client()
    in_transaction(world, holder)
    session = world.frontend(waiter).session
    if text == "SELECT 1":
        session.vector = session.vector.with_variables([(b"max_execution_time", b"1000")])
    waiter.sends(query(text))
    world.tick(0.9)
    waiter.gets_nothing()
    world.tick(0.2)
    waiter.gets_error(1040, "no server connection became free within 1.1 s")
    waiter.sends(query("UPDATE t SET a = 1"))
    world.tick(4.9)
    waiter.gets_nothing()
    world.tick(0.2)
    waiter.gets_error(1040, "within 5.1 s")


def test_whoever_waits_in_a_queue_that_stands_is_refused(make_world: MakeWorld) -> None:
    world = make_world(pool={"shed_target": 0.5, "shed_interval": 1.0})
    holder, waiter = world.client(), world.client()
    in_transaction(world, holder)
    waiter.sends(SELECT)
    world.tick(0.6)
    world.tick(1.0)
    waiter.gets_nothing()
    world.tick(1.0)
    waiter.gets_error(1040, "as this one after 2.6 s: pool of writer has 1 of 1 leased")
    assert world.writer.core.shed_count == 1


def test_a_transaction_keeps_its_backend_until_it_ends(world: World) -> None:
    holder, waiter = world.client(), world.client()
    server = in_transaction(world, holder)
    waiter.sends(SELECT)
    holder.sends(query("UPDATE t SET a = 1"))
    server.gets(query("UPDATE t SET a = 1"))
    server.answers(ok(IN_TRANS))
    holder.gets(ok(IN_TRANS))
    assert world.pool() == "1 leased, 1 waiting"
    holder.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    holder.gets(ok())
    server.gets(SELECT)


# Restoring the session's state


def test_the_state_of_a_session_is_restored_before_its_statement(make_world: MakeWorld) -> None:
    world = make_world()
    one, two = world.client(schema=b"shop"), world.client(schema=b"test")
    server = running(world, one)
    server.answers(ok())
    two.sends(SELECT)
    server.gets(init_db("test"))
    two.gets_nothing()
    server.answers(ok())
    server.gets(SELECT)
    server.answers(rows(b"1"))
    two.gets(rows(b"1", deprecate_eof=False))
    assert world.pool() == "1 idle"


def test_a_statement_is_not_sent_when_its_session_cannot_be_restored(make_world: MakeWorld) -> None:
    world = make_world()
    one, two = world.client(), world.client()
    server = running(world, one, "SET time_zone = '+01:00'")
    server.answers(ok(changes=SessionChanges([(b"time_zone", b"+01:00")])))
    two.sends(SELECT, SELECT)
    server.gets(query("SET SESSION time_zone=DEFAULT"))
    server.answers(error(1298, "Unknown or incorrect time zone"))
    server.gets_nothing()
    two.gets_error(1298, "Unknown or incorrect time zone")
    assert server.is_closed
    # the state of the old backend is in doubt; the next statement gets a new one
    world.backend().gets(SELECT)


def test_a_session_whose_schema_was_dropped_goes_on_without_one(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    one, two = world.client(schema=b"shop"), world.client(schema=b"test")
    server = running(world, one)
    server.answers(ok())
    world.server.schemas.remove(b"test")
    two.sends(SELECT, PING)
    server.gets(init_db("test"))
    server.answers(error(1049, "Unknown database 'test'"))
    # that backend is in order, in another schema
    assert not server.is_closed
    new = world.backend()
    assert new is not server and new.login is not None and new.login.database is None
    new.gets(SELECT)
    new.answers(rows(b"1"))
    two.gets(rows(b"1", deprecate_eof=False), ok())
    # and so do later statements
    two.sends(init_db("shop"))
    new.gets(init_db("shop"))
    assert (b"app", b"test") not in world.shared.proven_schemas


def test_a_backend_is_opened_without_the_schema_that_was_dropped(make_world: MakeWorld) -> None:
    world = make_world()
    client = world.client(schema=b"test")
    world.server.schemas.remove(b"test")
    client.sends(SELECT)
    server = world.backend()
    server.gets(init_db("test"))
    server.answers(error(1049))
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.gets(rows(b"1", deprecate_eof=False))
    assert (world.pool(), len(world.server.open_ends)) == ("1 idle", 1)


# After an error


def test_after_an_error_the_server_is_asked_for_its_status(world: World) -> None:
    client = world.client()
    server = running(world, client, "SELEKT")
    server.answers(error(1064, "You have an error"))
    client.gets(error(1064, "You have an error"))
    server.gets(PROBE)
    assert world.pool() == "1 leased"
    server.answers(ok())
    client.gets_nothing()
    # the warnings of the failed statement are residue
    assert world.pool() == "1 parked"


def test_an_error_in_a_transaction_leaves_the_transaction(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(query("SELEKT"))
    server.gets(query("SELEKT"))
    server.answers(error(1064))
    server.gets(PROBE)
    server.answers(ok(IN_TRANS))
    assert world.pool() == "1 leased"
    client.got()
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"


def test_a_command_that_comes_during_the_probe_waits_for_it(world: World) -> None:
    client = world.client()
    server = running(world, client, "SELEKT")
    server.answers(error(1064))
    client.got()
    server.gets(PROBE)
    client.sends(SELECT)
    server.gets_nothing()
    server.answers(ok())
    server.gets(SELECT)


# Pipelining


def test_commands_in_one_segment_are_answered_in_order(world: World) -> None:
    client = world.client()
    client.sends(query("SELECT 1"), query("SELECT 2"), PING)
    server = world.backend()
    for number in (b"1", b"2"):
        server.gets(query(f"SELECT {number.decode()}"))
        server.answers(rows(number))
    expected = [rows(number, deprecate_eof=False) for number in (b"1", b"2")]
    client.gets(*expected, ok())


@pytest.mark.parametrize("command", [frame(b"\x1b\x01\x00"), frame(b"\x0d")])
def test_an_answer_counts_no_warnings_that_others_left_on_the_backend(world: World, command: bytes) -> None:
    client = world.client()
    client.sends(command)
    server = world.backend()
    server.gets(command)
    server.answers(ok(warnings=3))
    client.gets(ok())


@pytest.mark.parametrize("cut", range(len(SELECT + PING + SELECT)))
def test_commands_may_be_cut_anywhere(world: World, cut: int) -> None:
    client = world.client()
    wire = SELECT + PING + SELECT
    client.sends(wire[:cut])
    client.sends(wire[cut:])
    for _ in range(2):
        server = world.backend()
        server.gets(SELECT)
        server.answers(rows(b"1"))
    answer = rows(b"1", deprecate_eof=False)
    client.gets(answer, ok(), answer)


def test_commands_come_byte_by_byte(world: World) -> None:
    client = world.client()
    for byte in SELECT + PING:
        client.sends(bytes([byte]))
    world.backend().gets(SELECT)
    world.backend().answers(ok())
    client.gets(ok(), ok())


def test_reading_pauses_while_much_is_waiting_and_goes_on_afterwards(world: World) -> None:
    client = world.client()
    server = running(world, client)
    filler = query("SELECT '" + "x" * 30000 + "'")
    client.sends(filler, filler)
    assert client.transport.reads
    client.sends(filler)
    assert not client.transport.reads
    reader = world.frontend(client).reader
    assert reader is not None and reader.buffered > BACKLOG_LIMIT
    # what comes now stays in the kernel
    client.sends(PING)
    for _ in range(3):
        server.answers(ok())
        server.gets(filler)
    server.answers(ok())
    assert client.transport.reads
    client.gets(*[ok()] * 5)


def test_a_long_command_in_pieces_is_read_to_its_end(world: World) -> None:
    client = world.client()
    long = query("SELECT '" + "x" * 300_000 + "'")
    for pos in range(0, len(long), 65536):
        client.sends(long[pos : pos + 65536])
        assert client.transport.reads
    world.backend().gets(long)
    world.backend().answers(ok())


# Bad input


def test_a_command_over_the_limit_is_refused(make_world: MakeWorld) -> None:
    world = make_world(max_packet=1024)
    client, other = world.client(), world.client()
    client.sends(query("SELECT '" + "x" * 1024 + "'"))
    client.gets_error(1153)
    assert client.is_closed
    assert world.log.warnings() == ["bad packet"]
    assert world.log.lines[-1][2]["peer"] == "192.0.2.1:40000"
    other.sends(PING)
    other.gets(ok())


def test_a_long_command_is_refused_as_soon_as_it_is_announced(make_world: MakeWorld) -> None:
    world = make_world(max_packet=1024)
    client = world.client()
    client.sends(b"\x00\x10\x00\x00\x03")
    client.gets_error(1153)
    assert client.is_closed


def test_the_refusal_of_a_split_command_follows_its_packets(make_world: MakeWorld) -> None:
    world = make_world(max_packet=1 << 24)
    client = world.client()
    client.sends(b"\xff\xff\xff\x00\x03" + bytes(0xFFFFFE) + b"\x02\x00\x00\x01")
    client.gets_error(1153, sequence_id=2)
    assert client.is_closed


def test_an_option_is_set_on_a_backend(world: World) -> None:
    client = world.client()
    client.sends(frame(b"\x1b\x00\x00"))
    world.backend().gets(frame(b"\x1b\x00\x00"))


@pytest.mark.parametrize("size", [0, 1])
def test_an_option_that_is_cut_off_is_malformed(world: World, size: int) -> None:
    client = world.client()
    client.sends(frame(b"\x1b" + bytes(size)), PING)
    assert b"Malformed communication packet" in client.got()
    assert not client.is_closed and world.server.ends == []


def test_a_wrong_sequence_id_is_refused(world: World) -> None:
    client = world.client()
    client.sends(frame(b"\x03SELECT 1", 7))
    client.gets_error(1156)
    assert client.is_closed


def test_an_empty_packet_is_an_unknown_command(world: World) -> None:
    client = world.client()
    client.sends(b"\0\0\0\0")
    client.gets_error(1047)
    assert not client.is_closed


@pytest.mark.parametrize("command", [0x05, 0x0F, 0x12, 0x13, 0x14, 0x15, 0x1D, 0x1E, 0xFE])
def test_commands_that_are_not_served_are_refused(world: World, command: int) -> None:
    client = world.client()
    client.sends(frame(bytes([command])))
    client.gets_error(1047, "Unknown command")


# Commands without a backend


def test_a_ping_needs_no_backend(world: World) -> None:
    client = world.client()
    client.sends(PING)
    client.gets(ok())
    assert world.server.ends == []


def test_a_ping_on_a_lease_goes_to_the_server(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(PING)
    server.gets(PING)
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def test_a_quit_ends_the_session(world: World) -> None:
    client = world.client()
    client.sends(QUIT)
    assert client.is_closed
    assert world.counters.frontend_closes == {"client-quit": 1}


# Backpressure


BIG = rows(*[b"x" * 200] * 2000)
BIG_OLD = rows(*[b"x" * 200] * 2000, deprecate_eof=False)


def test_a_client_that_does_not_read_pauses_its_backend(world: World) -> None:
    client = world.client()
    server = running(world, client)
    client.stops_reading()
    server.answers(BIG[:100_000])
    assert not server.transport.reads
    # the rest stays in the server
    server.answers(BIG[100_000:])
    assert client.transport.get_write_buffer_size() < 101_000
    client.reads_again()
    assert server.transport.reads
    client.gets(BIG_OLD)
    assert world.pool() == "1 idle"


def test_an_answer_may_end_while_the_client_does_not_read(world: World) -> None:
    client, other = world.client(), world.client()
    server = running(world, client)
    client.stops_reading()
    server.answers(BIG)
    # the backend is free for others, who are not held up by this client
    assert world.pool() == "1 idle"
    other.sends(SELECT)
    server.gets(SELECT)
    server.answers(rows(b"1"))
    other.gets(rows(b"1", deprecate_eof=False))
    client.reads_again()
    client.gets(BIG_OLD)


def test_an_error_at_the_end_is_probed_although_the_client_does_not_read(world: World) -> None:
    client = world.client()
    server = running(world, client)
    client.stops_reading()
    partial = BIG[:100_000]
    number = packets(partial)[-2][0]
    whole = b"".join(frame(payload, each) for each, payload in packets(partial)[:-1])
    server.answers(whole, error(1317, sequence_id=number + 1 & 0xFF))
    server.gets(PROBE)
    server.answers(ok())
    assert world.pool() == "1 parked"


def test_a_client_that_leaves_a_paused_answer_leaves_no_lease(world: World) -> None:
    client = world.client()
    server = running(world, client)
    client.stops_reading()
    server.answers(BIG[:100_000])
    client.breaks()
    world.backend().gets(query(f"KILL {server.server_id}"))
    world.backend().answers(ok())
    assert world.pool() == ""


def test_a_client_that_sends_without_reading_is_not_read(world: World) -> None:
    client = world.client()
    client.stops_reading()
    for _ in range(20):
        client.sends(PING * 1000)
    assert not client.transport.reads
    assert client.transport.get_write_buffer_size() < 70_000
    client.reads_again()
    client.gets(*[ok()] * 20_000)


def test_a_client_that_is_closed_while_it_does_not_read_still_gets_what_was_written(world: World) -> None:
    client = world.client()
    server = running(world, client)
    client.stops_reading()
    server.answers(BIG[:100_000])
    world.loop.call(world.frontend(client).close, CloseReason.KILLED)
    world.backend().answers(ok())
    client.reads_again()
    assert client.is_closed
    assert len(client.got()) > 90_000


def test_a_statement_of_a_client_that_does_not_read_waits(world: World) -> None:
    client = world.client()
    client.stops_reading()
    client.sends(PING * 6000 + SELECT)
    assert world.server.ends == []
    client.reads_again()
    world.backend().gets(SELECT)


def test_a_server_that_does_not_read_pauses_the_client(world: World) -> None:
    client = world.client()
    server = running(world, client, "LOAD DATA LOCAL INFILE 'x' INTO TABLE t")
    server.answers(frame(b"\xfbx", 1))
    client.gets(frame(b"\xfbx", 1))
    server.takes_raw = True
    server.stops_reading()
    part = frame(b"x" * 70_000, 2)
    client.sends(part)
    assert not client.transport.reads
    client.sends(frame(b"", 3), SELECT)
    server.reads_again()
    assert client.transport.reads
    server.gets_raw(part + frame(b"", 3))
    server.takes_raw = False
    server.answers(ok(sequence_id=4))
    client.gets(ok(sequence_id=4))
    # what followed the file is the next command
    server.gets(SELECT)


def test_a_file_may_come_with_the_statement_that_asks_for_it(world: World) -> None:
    client = world.client()
    file = frame(b"x" * 70_000, 2) + frame(b"", 3)
    client.sends(query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t") + file, SELECT)
    client.sends(SELECT)
    # too much to be read ahead
    assert not client.transport.reads
    server = world.backend()
    server.got()
    server.takes_raw = True
    server.answers(frame(b"\xfbx", 1))
    client.gets(frame(b"\xfbx", 1))
    server.gets_raw(file)
    assert client.transport.reads
    server.takes_raw = False
    server.answers(ok(sequence_id=4))
    client.gets(ok(sequence_id=4))
    server.gets(SELECT)


def test_a_file_that_breaks_the_rules_ends_the_connection(world: World) -> None:
    client = world.client()
    server = running(world, client, "LOAD DATA LOCAL INFILE 'x' INTO TABLE t")
    server.answers(frame(b"\xfbx", 1))
    client.got()
    client.sends(frame(b"x", 7))
    client.gets_error(1156, sequence_id=2)
    assert client.is_closed
    assert world.log.warnings() == ["bad packet"]


def test_reading_goes_on_when_the_paused_server_is_lost(world: World) -> None:
    client = world.client()
    server = running(world, client, "LOAD DATA LOCAL INFILE 'x' INTO TABLE t")
    server.answers(frame(b"\xfbx", 1))
    client.got()
    server.stops_reading()
    client.sends(frame(b"x" * 70_000, 2))
    server.breaks()
    assert client.is_closed


# What a statement means beyond its session


def test_a_release_ends_the_connection_as_on_the_server(world: World) -> None:
    client = world.client()
    server = in_transaction(world, client)
    client.sends(query("COMMIT RELEASE"), PING)
    server.gets(query("COMMIT RELEASE"))
    server.answers(ok())
    client.gets(ok())
    assert (client.is_closed, server.is_closed, world.pool()) == (True, True, "")


def test_changed_accounts_are_proven_anew(world: World) -> None:
    client = world.client(user=b"other", password=b"other")
    server = running(world, client, "SET PASSWORD = 'x'")
    server.answers(error(1045))
    assert world.shared.credentials.find(b"other") is not None
    server.got()
    server.answers(ok())
    client.sends(query("SET PASSWORD = 'x'"))
    server.answers(ok())
    assert world.shared.credentials.find(b"other") is None


def test_a_global_variable_changes_what_new_connections_are(world: World) -> None:
    client = world.client()
    server = running(world, client, "SET GLOBAL sql_mode = ''")
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == ""


def test_nothing_is_read_of_a_client_that_is_closed(world: World) -> None:
    client = world.client()
    frontend = world.frontend(client)
    client.sends(QUIT)
    world.loop.call(frontend.data_received, SELECT)
    assert world.server.ends == []
