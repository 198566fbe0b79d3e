"""Commands that a reader did not run: the client sees the answer of the server that did."""

from __future__ import annotations

import pytest

from protocol.packets import build_err
from proxy.bouncing import MOST_TRIES
from proxy.pins import PinReason
from proxy.placing import MOST_BOUNCED
from tests.fakes.client import FakeClient
from tests.fakes.placing import place_among, reader_end, readers_show, runs
from tests.fakes.responses import changed
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    IN_TRANS,
    NEW_CLIENT,
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

READ_ONLY = "The MySQL server is running with the --read-only option so it cannot execute this statement"
HINTED = query("/* fanin: reader */ SELECT a FROM v")
"""A view, say, with a function that writes."""
BY_HINT = " (Fanin: the transaction runs on a reader because of its hint)"
READ = query("SELECT a FROM t")
ANSWER = rows(b"1")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(readers=1, pool_size=2)
    place_among(made)
    return made


def client_of(world: World) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT)


def refused(world: World, client: FakeClient, answer: bytes, wire: bytes = HINTED) -> ServerEnd:
    """A reader answers so."""
    client.sends(wire)
    server = reader_end(world)
    server.gets(wire)
    server.answers(answer)
    return server


def bounces(world: World) -> int:
    placing = world.shared.placing
    assert placing is not None
    return placing.bounces


@pytest.mark.parametrize(
    "answer",
    [
        error(1290, READ_ONLY),
        error(1836, "Running in read-only mode"),
        error(1792, "Cannot execute statement in a READ ONLY transaction."),
        error(3161, "Storage engine InnoDB is disabled (Table creation is disallowed)."),
    ],
)
def test_the_writer_runs_what_a_reader_refuses_to_write(world: World, answer: bytes) -> None:
    client = client_of(world)
    server = refused(world, client, answer)
    client.gets_nothing()
    world.server.last.gets(HINTED)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)
    assert server.got() == [b"\x1f"]
    assert bounces(world) == 1


def test_the_text_is_remembered_without_its_literals(world: World) -> None:
    client = client_of(world)
    wires = [query(f"/* fanin: reader */ SELECT a FROM v WHERE a = {number}") for number in (1, 2)]
    refused(world, client, error(1836), wires[0])
    for wire in wires:
        if wire is not wires[0]:
            client.sends(wire)
        world.server.last.gets(wire)
        world.server.last.answers(ANSWER)
        client.gets(ANSWER)
    placing = world.shared.placing
    assert placing is not None and placing.routes()["writer"] == {"bounced": 2}


def test_no_more_texts_are_remembered_than_there_is_room_for(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    placing.bounced = {str(number): None for number in range(MOST_BOUNCED)}
    client = client_of(world)
    refused(world, client, error(1836))
    world.server.last.gets(HINTED)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)
    assert len(placing.bounced) == MOST_BOUNCED and "0" not in placing.bounced


@pytest.mark.parametrize(
    "answer",
    [
        error(1290, "The MySQL server is running with the --secure-file-priv option"),
        error(1146, "Table 'shop.t' doesn't exist"),
    ],
)
def test_other_errors_are_the_clients(world: World, answer: bytes) -> None:
    client = client_of(world)
    refused(world, client, answer)
    client.gets(answer)
    assert bounces(world) == 0 and world.server.ends == []


def test_a_client_whose_session_is_read_only_is_told_so(world: World) -> None:
    client = client_of(world)
    setting = query("SET SESSION TRANSACTION READ ONLY")
    told = ok(changes=changed(("transaction_read_only", "ON")))
    client.sends(setting)
    world.server.last.gets(setting)
    world.server.last.answers(told)
    client.gets(ok())
    client.sends(HINTED)
    server = reader_end(world)
    server.got()
    server.answers(told)
    server.gets(HINTED)
    answer = error(1792, "Cannot execute statement in a READ ONLY transaction.")
    server.answers(answer)
    client.gets(answer)


def test_in_a_transaction_on_a_reader_the_error_is_the_clients(world: World) -> None:
    client = client_of(world)
    begin = query("/* fanin: reader */ BEGIN")
    client.sends(begin)
    server = reader_end(world)
    server.gets(begin)
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))
    wire = query("INSERT INTO t VALUES (1)")
    refused(world, client, error(1290, READ_ONLY), wire)
    client.gets(error(1290, READ_ONLY + BY_HINT))


def test_so_it_is_for_several_statements_of_which_the_first_have_run(world: World) -> None:
    client = client_of(world)
    server = begun(world, client, "/* fanin: reader */ BEGIN", IN_TRANS)
    wire = query("SELECT 1; INSERT INTO t VALUES (1)")
    answer = rows(b"1", status=2 | 8 | IN_TRANS)
    client.sends(wire)
    runs(server, wire)
    server.answers(answer + error(1290, READ_ONLY, sequence_id=5))
    client.gets(answer + error(1290, READ_ONLY + BY_HINT, sequence_id=5))


def test_in_a_read_only_transaction_it_is_the_transactions_error_whatever_the_reader_says(
    world: World,
) -> None:
    client = client_of(world)
    begin = query("START TRANSACTION READ ONLY")
    client.sends(begin)
    server = reader_end(world)
    server.gets(begin)
    status = IN_TRANS | 0x2000
    server.answers(ok(status))
    client.gets(ok(status))
    refused(world, client, error(1290, READ_ONLY), query("INSERT INTO t VALUES (1)"))
    client.gets_error(1792, "Cannot execute statement in a READ ONLY transaction.")


def begun(world: World, client: FakeClient, text: str, status: int) -> ServerEnd:
    client.sends(query(text))
    server = reader_end(world)
    server.gets(query(text))
    server.answers(ok(status))
    client.gets(ok(status))
    return server


@pytest.mark.parametrize("is_mariadb", [True, False])
def test_so_it_is_when_the_first_of_several_statements_have_run(world: World, is_mariadb: bool) -> None:
    if is_mariadb:
        world.facts.meet(b"10.11.0-MariaDB")
    client = client_of(world)
    status = IN_TRANS | 0x2000
    server = begun(world, client, "START TRANSACTION READ ONLY", status)
    wire = query("SELECT 1; INSERT INTO t VALUES (1)")
    client.sends(wire)
    runs(server, wire)
    server.answers(rows(b"1", status=2 | 8 | status))
    client.gets(rows(b"1", status=2 | 8 | status))
    server.answers(error(1290, READ_ONLY, sequence_id=5))
    told = "Cannot execute statement in a READ ONLY transaction" + ("" if is_mariadb else ".")
    client.gets_error(1792, told, sequence_id=5)


def pinned_to_a_reader(world: World, client: FakeClient) -> ServerEnd:
    """By what it has done in a read-only transaction."""
    server = begun(world, client, "START TRANSACTION READ ONLY", IN_TRANS | 0x2000)
    called = query("SELECT GET_LOCK('a', 1)")
    client.sends(called)
    server.gets(called)
    server.answers(rows(b"1", status=IN_TRANS | 0x2000))
    client.got()
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    client.gets(ok())
    return server


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SET TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE", 1792),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", 2013),
    ],
)
def test_a_write_there_is_refused_as_the_next_transaction_would_refuse_it(
    world: World, text: str, code: int
) -> None:
    client = client_of(world)
    server = pinned_to_a_reader(world, client)
    client.sends(query(text))
    server.gets(query(text))
    server.answers(ok())
    client.gets(ok())
    client.sends(query("UPDATE t SET a = 1"))
    server.gets(query("UPDATE t SET a = 1"))
    server.answers(error(1290, READ_ONLY))
    client.gets_error(code)


def test_so_does_a_session_that_is_read_only(world: World) -> None:
    client = client_of(world)
    server = pinned_to_a_reader(world, client)
    client.sends(query("SET SESSION TRANSACTION READ ONLY"))
    server.got()
    server.answers(ok(changes=changed(("transaction_read_only", "ON"))))
    client.got()
    client.sends(query("UPDATE t SET a = 1"))
    server.got()
    server.answers(error(1290, READ_ONLY))
    client.gets_error(1792)


@pytest.mark.parametrize("text", ["CALL p()", "FLUSH TABLES"])
def test_a_session_that_is_pinned_to_a_reader_calls_nothing_there_that_may_write(
    world: World, text: str
) -> None:
    client = client_of(world)
    server = pinned_to_a_reader(world, client)
    client.sends(query(text))
    server.gets()
    client.gets_error(2013)
    assert client.is_closed


def test_half_an_answer_is_not_taken_back(world: World) -> None:
    client = client_of(world)
    client.sends(HINTED)
    server = reader_end(world)
    server.gets(HINTED)
    server.answers(rows(b"1", status=2 | 8))
    client.gets(rows(b"1", status=2 | 8))
    answer = error(1290, READ_ONLY, sequence_id=5)
    server.answers(answer)
    client.gets(answer)


def test_a_session_that_is_pinned_to_a_reader_and_writes_loses_its_connection(world: World) -> None:
    client = client_of(world)
    client.sends(READ)
    server = reader_end(world)
    server.gets(READ)
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))
    frontend = world.frontend(client)
    # a view with a function that has set something
    lock = query("/* fanin: reader */ SELECT c FROM v")
    client.sends(lock)
    server.gets(lock)
    frontend.session.pin(PinReason.OPAQUE_STATE_CHANGE)
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))
    assert frontend.session.pinned
    wire = query("INSERT INTO t VALUES (1)")
    client.sends(wire)
    server.gets(wire)
    server.answers(error(1290, READ_ONLY))
    client.gets_error(2013, "pinned to a reader")
    assert client.is_closed
    placing = world.shared.placing
    assert placing is not None and placing.routes()["events"] == {"pinned-to-reader": 1}
    # and what has pinned it runs on the writer the next time
    other = client_of(world)
    other.sends(lock)
    world.server.last.gets(lock)
    world.server.last.answers(ANSWER)
    other.gets(ANSWER)


def test_a_session_that_only_has_warnings_on_a_reader_may_leave_it(world: World) -> None:
    client = client_of(world)
    refused_once = query("/* fanin: reader */ SELECT b FROM v")
    client.sends(refused_once)
    server = reader_end(world)
    server.gets(refused_once)
    world.frontend(client).session.pin(PinReason.DIAGNOSTICS)
    server.answers(error(1290, READ_ONLY))
    world.server.last.gets(refused_once)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)


def test_an_execution_is_prepared_on_the_writer_when_a_reader_refuses_it(world: World) -> None:
    client = client_of(world)
    text = "/* fanin: reader */ SELECT a FROM v"
    client.sends(prepare(text))
    reader = reader_end(world)
    reader.gets(prepare(text))
    reader.answers(prepared(5))
    client.gets(prepared(1))
    client.sends(execute(1))
    reader.gets(execute(5))
    reader.answers(error(1290, READ_ONLY))
    server = world.server.last
    server.gets(prepare(text))
    server.answers(prepared(9))
    server.gets(execute(9))
    server.answers(ANSWER)
    client.gets(ANSWER)


def test_a_kill_that_is_under_way_closes_the_refusing_connection(world: World) -> None:
    client, killer = client_of(world), client_of(world)
    client.sends(HINTED)
    server = reader_end(world)
    server.gets(HINTED)
    world.frontend(client).backend.kills += 1  # type: ignore[union-attr]
    server.answers(error(1290, READ_ONLY))
    assert server.is_closed
    world.server.last.gets(HINTED)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)
    killer.leaves()


# Readers that are lost


def test_a_read_whose_reader_is_lost_runs_again(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    place_among(world)
    client = client_of(world)
    client.sends(READ)
    reader_end(world).gets(READ)
    reader_end(world).breaks()
    server = reader_end(world)
    server.gets(READ)
    server.answers(ANSWER)
    client.gets(ANSWER)


def test_of_a_preparation_that_was_begun_twice_one_answer_is_told(world: World) -> None:
    client = client_of(world)
    wire = prepare("SELECT a FROM t")
    client.sends(wire)
    reader_end(world).gets(wire)
    reader_end(world).answers(prepared(41, num_columns=3)[:-1])
    reader_end(world).breaks()
    server = reader_end(world)
    server.gets(wire)
    server.answers(prepared(7, num_columns=3))
    client.gets(prepared(1, num_columns=3))


@pytest.mark.parametrize("text", ["BEGIN", "START TRANSACTION READ ONLY", "START TRANSACTION READ WRITE"])
def test_so_does_what_begins_a_transaction(world: World, text: str) -> None:
    client = client_of(world)
    wire = query(text)
    is_read = text.endswith("ONLY")
    client.sends(wire)
    first = reader_end(world) if is_read else world.backend()
    first.gets(wire)
    first.breaks()
    client.gets_nothing()
    server = reader_end(world) if is_read else world.backend()
    server.gets(wire)
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def test_but_not_with_others_in_the_same_text(world: World) -> None:
    client = client_of(world)
    wire = query("INSERT INTO t VALUES (1); BEGIN")
    client.sends(wire)
    while world.backend().got() != [wire[4:]]:
        # it is prepared
        world.backend().answers(ok())
    world.backend().breaks()
    client.gets_error(2013)


def test_it_does_not_run_again_for_ever(world: World) -> None:
    client = client_of(world)
    client.sends(READ)
    for _ in range(MOST_TRIES):
        reader_end(world).gets(READ)
        reader_end(world).breaks()
        client.gets_nothing()
    reader_end(world).gets(READ)
    reader_end(world).breaks()
    client.gets_error(2013)


def test_a_reader_that_cannot_be_reached_is_passed_over(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    placing = place_among(world)
    world.reader_servers[0].is_down = True
    client = client_of(world)
    client.sends(READ)
    world.tick(10)
    server = reader_end(world, 2) if world.reader_servers[1].ends else world.server.last
    server.gets(READ)
    server.answers(ANSWER)
    client.gets(ANSWER)
    assert not placing.table.readers["reader-1"].gate.is_eligible(world.loop.time())
    readers_show(world, 0.0)
    assert placing.table.readers["reader-1"].gate.is_eligible(world.loop.time())


def test_other_refusals_of_a_reader_are_the_clients(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world)
    one, other = client_of(world), client_of(world)
    begin = query("START TRANSACTION READ ONLY")
    one.sends(begin)
    reader_end(world).gets(begin)
    reader_end(world).answers(ok(IN_TRANS))
    one.gets(ok(IN_TRANS))
    other.sends(READ)
    world.loop.advance(5.1)
    readers_show(world, 0.0)
    world.tick()
    other.gets_error(1040, "no server connection became free")


# Readers that know less than the writer


def reads_in_test(world: World, client: FakeClient) -> ServerEnd:
    """A reader's connection is in a schema that the reader does not know."""
    client.sends(READ)
    server = reader_end(world)
    server.gets(init_db("test"))
    server.answers(error(1049, "Unknown database 'test'"))
    return server


@pytest.mark.parametrize("text", ["SELECT a FROM t", "START TRANSACTION READ ONLY"])
def test_a_schema_that_a_reader_does_not_know_yet_is_still_the_sessions(world: World, text: str) -> None:
    client = world.client(capabilities=NEW_CLIENT, schema=b"test")
    world.reader_servers[0].schemas.remove(b"test")
    client.sends(query(text))
    server = reader_end(world)
    server.gets(init_db("test"))
    server.answers(error(1049, "Unknown database 'test'"))
    writer = world.server.last
    assert writer.login is not None and writer.login.database == b"test"
    writer.gets(query(text))
    writer.answers(ok())
    client.gets(ok())
    assert world.frontend(client).session.vector.schema == b"test"
    # nor is it asked again before it has all that the writer had then
    client.sends(READ)
    writer.gets(READ)
    writer.answers(ANSWER)
    client.gets(ANSWER)
    assert server.got() == [b"\x1f"]


def test_the_writer_has_the_last_word_about_a_schema(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT, schema=b"test")
    for server in (world.server, *world.reader_servers):
        server.schemas.remove(b"test")
    reads_in_test(world, client)
    writer = world.server.last
    writer.gets(init_db("test"))
    writer.answers(error(1049, "Unknown database 'test'"))
    writer.gets(READ)
    writer.answers(error(1046, "No database selected"))
    client.gets_error(1046)


def test_a_client_of_the_reader_listener_has_no_other_server_for_what_may_write(world: World) -> None:
    client = client_of(world)
    frontend = world.frontend(client)
    frontend.is_reader_listener = True
    world.reader_servers[0].passwords.clear()
    client.sends(READ)
    world.server.last.gets(READ)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)
    client.sends(query("INSERT INTO t VALUES (1)"))
    client.gets_error(1045)
    world.server.last.gets_nothing()


def test_an_account_that_a_reader_does_not_know_yet_reads_on_the_writer(world: World) -> None:
    client = client_of(world)
    world.reader_servers[0].passwords.clear()
    client.sends(READ)
    world.server.last.gets(READ)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)


def test_what_the_writer_refuses_is_the_clients(world: World) -> None:
    client = client_of(world)
    for server in (world.server, *world.reader_servers):
        server.passwords.clear()
    client.sends(READ)
    client.gets_error(1045)


@pytest.mark.parametrize("code", [1040, 1203, 1129])
def test_a_reader_that_takes_no_connections_is_passed_over(world: World, code: int) -> None:
    client = client_of(world)
    world.reader_servers[0].refusal = build_err(code, b"08004", b"Too many", before_handshake=True)
    client.sends(READ)
    for _ in range(6):
        readers_show(world, 0.0)
        world.tick(1)
    world.server.last.gets(READ)
    world.server.last.answers(ANSWER)
    client.gets(ANSWER)
