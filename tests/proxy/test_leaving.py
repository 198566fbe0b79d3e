"""What leaves a reader: the client sees what the writer alone would answer."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.packets import Column, text_resultset
from protocol.session_track import SessionChanges, TrackFilter
from proxy.leaving import MOST_SETS
from proxy.pins import PinReason
from tests.fakes.client import FakeClient
from tests.fakes.placing import place_among, reader_end, runs
from tests.fakes.responses import changed
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, error, execute, ok, packets, prepare, prepared, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

READ_ONLY = "The MySQL server is running with the --read-only option so it cannot execute this statement"
PROBE = b"\x03\0\0\0\x1b\0\0"
COMMIT = query("COMMIT AND NO CHAIN NO RELEASE")
MORE = 8
RO = IN_TRANS | 0x2000
INSERT = "INSERT INTO t VALUES (1)"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(readers=1, pool_size=2)
    place_among(made)
    return made


def client_of(world: World, **login: object) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT | Capability.MULTI_STATEMENTS, **login)


def is_captured(server: ServerEnd) -> None:
    """It is asked what the session has left there."""
    server.gets(query("SELECT FOUND_ROWS(), LAST_INSERT_ID(), LAST_INSERT_ID(0) LIMIT 1"))
    columns = [Column(name) for name in (b"a", b"b", b"c")]
    server.answers(text_resultset(columns, [[b"1", b"0", b"0"]], status=2, deprecate_eof=True))


def refused(world: World, client: FakeClient, answer: bytes, wire: bytes) -> ServerEnd:
    """A reader answers so."""
    client.sends(wire)
    server = reader_end(world)
    server.gets(wire)
    server.answers(answer)
    return server


def begun_read_only(world: World, client: FakeClient) -> ServerEnd:
    begin = query("START TRANSACTION READ ONLY")
    client.sends(begin)
    server = reader_end(world)
    server.gets(begin)
    server.answers(ok(IN_TRANS | 0x2000))
    client.gets(ok(IN_TRANS | 0x2000))
    return server


def is_run_by_the_writer(world: World, client: FakeClient, server: ServerEnd, wire: bytes) -> None:
    server.gets(COMMIT)
    server.answers(ok())
    runs(world.server.last, wire)
    world.server.last.answers(ok())
    client.gets(ok())


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE n (a INT)",
        "/* x */ TRUNCATE t",
        "GRANT SELECT ON t TO a",
        "FLUSH TABLES",
        "LOCK TABLES t READ",
    ],
)
def test_what_commits_on_its_own_account_ends_the_transaction_on_the_reader_first(
    world: World, text: str
) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(text))
    is_run_by_the_writer(world, client, server, query(text))


@pytest.mark.parametrize("text", ["CREATE TEMPORARY TABLE n (a INT)", "UPDATE t SET a = 1"])
def test_other_refusals_leave_a_read_only_transaction_where_it_is(world: World, text: str) -> None:
    client = client_of(world)
    begun_read_only(world, client)
    refused(world, client, error(1290, READ_ONLY), query(text))
    client.gets_error(1792, "Cannot execute statement in a READ ONLY transaction.")


def test_begin_in_a_read_only_transaction_is_read_only_on_mysql_but_not_on_mariadb(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("BEGIN"))
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS | 0x2000))
    client.gets(ok(IN_TRANS | 0x2000))
    world.shared.facts.meet(b"10.11.0-MariaDB")
    client.sends(query("BEGIN"))
    is_run_by_the_writer(world, client, server, query("BEGIN"))


def test_a_reader_that_dies_instead_of_ending_the_transaction_is_not_missed(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("FLUSH TABLES"))
    server.gets(COMMIT)
    server.closes()
    # there is nothing to end
    is_run_by_the_writer(world, client, world.server.last, query("FLUSH TABLES"))


def test_what_waits_is_lost_with_more_than_the_transaction(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("SELECT 1; FLUSH TABLES"))
    runs(server, query("SELECT 1; COMMIT AND NO CHAIN NO RELEASE"))
    server.closes()
    client.gets_error(2013)
    assert client.is_closed and world.server.ends == []


def test_an_execution_ends_a_read_only_transaction_as_its_text_does(world: World) -> None:
    for text in ("CREATE TABLE n (a INT)", "FLUSH TABLES"):
        client = client_of(world)
        server = begun_read_only(world, client)
        client.sends(prepare(text))
        server.gets(prepare(text))
        server.answers(prepared(5))
        client.gets(prepared(1))
        client.sends(execute(1))
        server.gets(COMMIT)
        server.answers(ok())
        writer = world.server.last
        writer.gets(prepare(text))
        writer.answers(prepared(9))
        writer.gets(execute(9))
        writer.answers(ok())
        client.gets(ok())


def test_an_error_of_ours_is_the_clients_and_what_waited_does_not_run(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("FLUSH TABLES"))
    server.gets(COMMIT)
    server.answers(error(1317, "Query execution was interrupted"))
    client.gets_error(1317)
    server.gets(PROBE)
    server.answers(ok(RO))
    client.gets_nothing()
    assert world.server.ends == []


def test_what_waits_goes_before_what_the_client_has_sent_meanwhile(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("FLUSH TABLES") + query("DO 1"))
    is_run_by_the_writer(world, client, server, query("FLUSH TABLES"))
    world.server.last.gets(query("DO 1"))
    world.server.last.answers(ok())
    client.gets(ok())


def test_a_client_that_leaves_takes_along_what_waits(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("FLUSH TABLES"))
    server.gets(COMMIT)
    client.leaves()
    assert world.server.ends == []


@pytest.mark.parametrize("text", ["FLUSH TABLES", "SELECT 1; FLUSH TABLES", "EXECUTE p"])
def test_a_session_that_is_pinned_to_a_reader_puts_nothing_in_its_log_in_a_transaction_either(
    world: World, text: str
) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    told = query("PREPARE p FROM 'FLUSH TABLES'")
    client.sends(told)
    server.gets(told)
    server.answers(ok(RO))
    client.gets(ok(RO))
    client.sends(query(text))
    server.gets()
    client.gets_error(2013)
    assert client.is_closed


def test_what_else_it_does_is_the_readers_business(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    world.frontend(client).session.pin(PinReason.USER_LOCK)
    client.sends(query("EXECUTE q"))
    runs(server, query("EXECUTE q"))
    server.answers(error(1243))
    client.gets_error(1243)


# Several statements


def test_what_comes_after_the_end_of_the_transaction_runs_on_the_writer_and_its_answer_counts_on(
    world: World,
) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(f"SELECT a FROM t; COMMIT; {INSERT}"))
    runs(server, query("SELECT a FROM t; COMMIT; COMMIT"))
    front = rows(b"1", status=RO | MORE) + ok(2 | MORE, sequence_id=5)
    server.answers(front + ok(sequence_id=6))
    client.gets(front)
    is_captured(server)
    runs(world.server.last, query(f" {INSERT}"))
    world.server.last.answers(ok())
    client.gets(ok(sequence_id=6))


def test_so_does_what_ends_it_on_its_own_account(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("SELECT a FROM t; FLUSH TABLES; SELECT 1"))
    runs(server, query("SELECT a FROM t; COMMIT AND NO CHAIN NO RELEASE"))
    front = rows(b"1", status=RO | MORE)
    server.answers(front + ok(sequence_id=5))
    client.gets(front)
    is_captured(server)
    runs(world.server.last, query(" FLUSH TABLES; SELECT 1"))
    world.server.last.answers(error(1227))
    client.gets_error(1227, sequence_id=5)


@pytest.mark.parametrize(
    "text", ["FLUSH TABLES; DO 1", "LOCK TABLES t READ; DO 1", "CREATE TABLE n (a INT); DO 1"]
)
def test_a_whole_text_waits_that_begins_with_it(world: World, text: str) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(text))
    is_run_by_the_writer(world, client, server, query(text))


def test_a_reader_that_stays_in_its_transaction_is_not_told_for_ever(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    wire = query("FLUSH TABLES; DO 1")
    client.sends(wire)
    server.gets(COMMIT)
    server.answers(ok(RO))
    while (got := server.got()) != [wire[4:]]:
        # what the session has is put there
        assert got and got != [COMMIT[4:]]
        server.answers(ok(RO))


def test_when_the_front_fails_nothing_follows(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(f"SELECT nope; COMMIT; {INSERT}"))
    runs(server, query("SELECT nope; COMMIT; COMMIT"))
    server.answers(error(1054))
    client.gets_error(1054)
    server.gets(PROBE)
    server.answers(ok(RO))
    assert world.server.ends == []


def test_the_rest_may_go_on_where_the_transaction_was_chained(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(f"COMMIT; {INSERT}"))
    runs(server, query("COMMIT; COMMIT"))
    # completion_type
    server.answers(ok(RO | MORE) + ok(RO, sequence_id=2))
    client.gets(ok(RO | MORE))
    server.gets(query(f" {INSERT}"))
    server.answers(error(1290, READ_ONLY))
    client.gets_error(1792, sequence_id=2)


def test_a_question_behind_the_end_is_answered_with_ids_that_count_on(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("COMMIT; SELECT ROW_COUNT()"))
    runs(server, query("COMMIT; COMMIT"))
    server.answers(ok(MORE | 2) + ok(sequence_id=2))
    is_captured(server)
    got = packets(client.got())
    assert [number for number, _ in got] == list(range(1, 6))
    assert got[3][1] == b"\x010" and world.server.ends == []


def test_where_the_end_is_not_understood_nothing_runs(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(f"/*!50000 COMMIT */; {INSERT}"))
    client.gets_error(1235, "send them one by one")
    server.gets()


@pytest.mark.parametrize("text", ["SELECT 1; SELECT 2", "SELECT 1; COMMIT", "SET time_zone = '+00:00'; DO 1"])
def test_other_texts_run_where_the_transaction_is(world: World, text: str) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query(text))
    runs(server, query(text))
    server.answers(ok(RO))
    client.gets(ok(RO))


def test_the_server_refuses_a_client_that_may_not_send_several(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT & ~int(Capability.MULTI_STATEMENTS))
    server = begun_read_only(world, client)
    client.sends(query(f"COMMIT; {INSERT}"))
    while (got := server.got()) != [query(f"COMMIT; {INSERT}")[4:]]:
        assert got
        server.answers(ok(RO))


def test_the_server_closes_the_connection_itself_where_completion_type_says_so(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    setting = query("SET completion_type = 'RELEASE'")
    client.sends(setting)
    server.gets(setting)
    server.answers(ok(RO, changes=changed(("completion_type", "RELEASE"))))
    client.gets(ok(RO))
    client.sends(query(f"COMMIT; {INSERT}"))
    runs(server, query(f"COMMIT; {INSERT}"))
    server.answers(ok())
    client.gets(ok())


# SET TRANSACTION


def set_there(world: World, client: FakeClient, *texts: str) -> ServerEnd:
    """SETs for the next transaction, which run on a reader."""
    for text in texts:
        client.sends(query(text))
        server = reader_end(world)
        server.gets(query(text))
        server.answers(ok())
        client.gets(ok())
    return server


def is_moved(world: World, server: ServerEnd, *texts: str) -> ServerEnd:
    """The transaction that was to be is begun and ended; these SETs run on the writer."""
    for text in ("BEGIN", COMMIT[5:].decode()):
        server.gets(query(text))
        server.answers(ok(RO if text == "BEGIN" else 2))
    for text in texts:
        world.server.last.gets(query(text))
        world.server.last.answers(ok())
    return world.server.last


SET = "SET TRANSACTION READ ONLY"
LEVEL = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"


@pytest.mark.parametrize(
    "text",
    [
        INSERT,
        "CREATE TABLE n (a INT)",
        "START TRANSACTION READ WRITE",
        "SET TRANSACTION READ WRITE",
        "SET @@transaction_read_only = 0",
        "SET @@transaction_isolation = @level",
    ],
)
def test_what_may_write_follows_the_sets_to_the_writer(world: World, text: str) -> None:
    client = client_of(world)
    server = set_there(world, client, SET, LEVEL)
    client.sends(query(text))
    writer = is_moved(world, server, SET, LEVEL)
    client.gets_nothing()
    writer.gets(query(text))
    writer.answers(error(1792, "Cannot execute statement in a READ ONLY transaction."))
    client.gets_error(1792)
    assert reader_end(world).got() == []


def test_a_client_that_tracks_is_told_the_end_with_what_ends_it(world: World) -> None:
    client = client_of(world)
    world.frontend(client).track = TrackFilter(frozenset(), False, False, True, False, characteristics=False)
    server = begun_read_only(world, client)
    client.sends(query("FLUSH TABLES"))
    server.gets(COMMIT)
    server.answers(ok())
    world.server.last.gets(query("FLUSH TABLES"))
    world.server.last.answers(ok())
    client.gets(ok(2 | 0x4000, changes=SessionChanges(transaction_state=b"________")))


@pytest.mark.parametrize("text", ["SELECT a FROM t", "BEGIN", "START TRANSACTION READ ONLY", "COMMIT"])
def test_what_does_not_stays(world: World, text: str) -> None:
    client = client_of(world)
    server = set_there(world, client, SET)
    client.sends(query(text))
    server.gets(query(text))
    server.answers(ok())
    client.gets(ok())


def test_no_more_sets_are_remembered_than_there_is_room_for(world: World) -> None:
    client = client_of(world)
    server = set_there(world, client, *[SET] * MOST_SETS)
    client.sends(query(LEVEL))
    writer = is_moved(world, server, *[SET] * MOST_SETS)
    writer.gets(query(LEVEL))
    writer.answers(ok())
    client.gets(ok())


def test_sets_of_a_transaction_before_are_not_said_again(world: World) -> None:
    client = client_of(world)
    server = set_there(world, client, SET)
    client.sends(query("BEGIN"))
    server.got()
    server.answers(ok(RO))
    client.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    client.got()
    server = set_there(world, client, SET)
    client.sends(query(INSERT))
    is_moved(world, server, SET).gets(query(INSERT))


def test_what_is_left_of_a_transaction_by_autocommit_follows_to_the_writer(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(query("SET autocommit = 1"))
    server.got()
    server.answers(ok(changes=changed(("autocommit", "ON"))))
    client.got()
    client.sends(query(INSERT))
    is_moved(world, server)
    # autocommit is restored
    runs(world.server.last, query(SET))
    world.server.last.answers(ok())
    world.server.last.gets(query(INSERT))


@pytest.mark.parametrize(
    "text",
    [
        "SET SESSION TRANSACTION READ WRITE",
        "SET SESSION transaction_read_only = 0",
        "SET @@session.tx_read_only = 0",
    ],
)
@pytest.mark.parametrize("is_left", [True, False])
def test_what_is_said_of_the_session_after_it_follows_too(world: World, text: str, is_left: bool) -> None:
    client = client_of(world)
    if is_left:
        server = begun_read_only(world, client)
        client.sends(query("SET autocommit = 1"))
        server.got()
        server.answers(ok(changes=changed(("autocommit", "ON"))))
        client.got()
    else:
        server = set_there(world, client, SET)
    client.sends(query(text))
    if server.got() == [query(text)[4:]]:
        server.answers(ok(changes=changed(("transaction_read_only", "OFF"))))
        client.got()
        client.sends(query(INSERT))
        assert server.got() == [b"\x03BEGIN"]
        server.answers(ok(RO))
        [commit] = server.got()
        assert commit.startswith(b"\x03COMMIT")
        server.answers(ok())
        others = [text, INSERT]
    else:
        server.answers(ok(RO))
        server.got()
        server.answers(ok())
        others = [text]
    got: list[bytes] = []
    # its state is restored first, and asked for after each SET
    while not got or got[-1] != query(others[-1])[4:]:
        got += [each for each in world.server.last.got() if not each.startswith(b"\x03SHOW")]
        world.server.last.answers(ok())
    assert got[-1 - len(others) :] == [query(each)[4:] for each in (SET, *others)]


def test_a_session_that_is_pinned_otherwise_does_not_move(world: World) -> None:
    client = client_of(world)
    server = set_there(world, client, SET)
    world.frontend(client).session.pin(PinReason.USER_LOCK)
    client.sends(query(INSERT))
    server.gets(query(INSERT))


# Causal keys

KEYED = query("/* fanin: causal=k */ SELECT a FROM t")
BEGIN_BY_KEY = query("/* fanin: causal=k */ START TRANSACTION READ ONLY")


def written_with_key(world: World) -> None:
    """What the reader does not show yet."""
    client = client_of(world)
    world.tick(1)
    wire = query("/* fanin: causal=k */ INSERT INTO t VALUES (1)")
    client.sends(wire)
    runs(world.server.last, wire)
    world.server.last.answers(ok())
    client.gets(ok())


def test_a_transaction_begins_anew_where_its_first_read_sees_what_its_key_asks_for(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    written_with_key(world)
    client.sends(KEYED)
    server.gets(COMMIT)
    server.answers(ok())
    writer = world.server.last
    for wire, answer in ((BEGIN_BY_KEY, ok(RO)), (KEYED, rows(b"1", status=RO))):
        runs(writer, wire)
        writer.answers(answer)
    client.gets(rows(b"1", status=RO))
    client.sends(KEYED)
    writer.gets(KEYED)


def test_it_stays_where_the_reader_shows_that(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    client.sends(KEYED)
    server.gets(KEYED)


def test_and_where_it_has_read_already(world: World) -> None:
    client = client_of(world)
    server = begun_read_only(world, client)
    written_with_key(world)
    client.sends(query("SELECT a FROM t"))
    server.gets(query("SELECT a FROM t"))
    server.answers(rows(b"1", status=RO))
    client.gets(rows(b"1", status=RO))
    client.sends(KEYED)
    server.gets(KEYED)


def test_and_where_its_begin_has_a_key(world: World) -> None:
    client = client_of(world)
    begin = query("/* fanin: causal=other */ START TRANSACTION READ ONLY")
    client.sends(begin)
    server = reader_end(world)
    server.gets(begin)
    server.answers(ok(RO))
    client.gets(ok(RO))
    written_with_key(world)
    client.sends(KEYED)
    server.gets(KEYED)
