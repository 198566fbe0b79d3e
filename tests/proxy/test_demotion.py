"""What becomes of commands that the writer refuses because it is none any more."""

from __future__ import annotations

import pytest

from config.cluster import InTransaction
from protocol.constants import Capability, ServerStatus
from protocol.framing import frame, payload_of
from proxy.topology_actions import Signal
from tests.fakes.client import FakeClient
from tests.fakes.cluster import NOBODY, Lab
from tests.fakes.scenes import in_transaction, prepared_by
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, NEW_CLIENT, error, execute, ok, prepare, prepared, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

INSERT = query("INSERT INTO t VALUES (1)")
MYSQL = error(
    1290, "The MySQL server is running with the --super-read-only option so it cannot execute this statement"
)
MARIADB = error(
    1290, "The MariaDB server is running with the --read-only option so it cannot execute this statement"
)
MORE_RESULTS = int(ServerStatus.MORE_RESULTS_EXISTS)
MODE = error(1836, "Running in read-only mode")
SIGNAL = ("writer", Signal.READ_ONLY_ERROR)


def promoted(lab: Lab) -> ServerEnd:
    """The other server is the writer now: its newest connection."""
    lab.look("writer")
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    return lab.world.reader_servers[0].last


def refused(world: World, client: FakeClient, wire: bytes = INSERT, answer: bytes = MYSQL) -> ServerEnd:
    """The writer does not run this."""
    client.sends(wire)
    server = world.backend()
    server.got()
    server.answers(answer)
    return server


@pytest.mark.parametrize("answer", [MYSQL, MARIADB, MODE])
def test_a_statement_that_the_former_writer_refuses_runs_on_the_next(
    make_world: MakeWorld, answer: bytes
) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    client = world.client()
    refused(world, client, answer=answer)
    client.gets_nothing()
    assert (monitor.signals, lab.cluster.is_paused) == ([SIGNAL], True)
    server = promoted(lab)
    server.gets(INSERT)
    server.answers(ok())
    client.gets(ok())


def test_so_does_a_prepared_one(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    lab.monitored()
    client = world.client()
    text = "INSERT INTO t VALUES (1)"
    prepared_by(world, client, text)
    refused(world, client, execute(1))
    client.gets_nothing()
    server = promoted(lab)
    server.gets(prepare(text))
    server.answers(prepared(7))
    server.gets(execute(7))
    server.answers(ok())
    client.gets(ok())


def test_after_a_false_alarm_it_runs_where_it_was(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    lab.monitored()
    client = world.client()
    server = refused(world, client)
    world.tick(0.1)
    lab.look("writer", is_writer=True)
    server.gets(INSERT)
    server.answers(ok())
    client.gets(ok())


def test_a_server_that_says_one_thing_and_does_another_is_believed_in_the_end(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    client = world.client()
    server = refused(world, client)
    world.tick(0.1)
    lab.look("writer", is_writer=True)
    # no other alarm for a while
    for _ in range(3):
        client.gets_nothing()
        server.gets(INSERT)
        server.answers(MYSQL)
    client.gets(MYSQL)
    assert len(monitor.signals) == 4 and not lab.cluster.is_paused


def test_of_several_statements_none_runs_twice(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    client = world.client(capabilities=NEW_CLIENT | int(Capability.MULTI_STATEMENTS))
    answer = ok(AUTOCOMMIT | MORE_RESULTS) + frame(payload_of(MYSQL), 2)
    client.sends(query("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"))
    world.backend().got()
    # to let it have several
    world.backend().answers(ok())
    world.backend().got()
    world.backend().answers(answer)
    client.gets(answer)
    assert monitor.signals == [SIGNAL]


def test_what_the_session_has_left_there_follows_it(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    lab.monitored()
    client = world.client()
    client.sends(INSERT)
    world.backend().got()
    world.backend().answers(ok(insert_id=5))
    client.got()
    server = refused(world, client)
    assert world.pool() == "1 parked, 1 waiting"
    lab.look("writer")
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    client.gets_nothing()
    assert server.got()


def test_a_transaction_is_over_and_may_begin_again(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    client = world.client()
    server = in_transaction(world, client)
    refused(world, client)
    client.gets_error(1213, "try restarting transaction")
    assert (server.is_closed, monitor.signals) == (True, [SIGNAL])
    client.sends(query("BEGIN"))
    server = promoted(lab)
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def test_or_its_connection_is_closed(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world, in_transaction=InTransaction.LOST).stable()
    lab.monitored()
    client = world.client()
    in_transaction(world, client)
    refused(world, client)
    assert b"was not executed" in client.gets_error(2013, "another server is becoming the writer").message
    assert client.is_closed


@pytest.mark.parametrize("text", ["CALL p()", "SELECT GET_LOCK('a', 1)"])
def test_what_may_have_been_done_in_part_or_is_tied_to_its_backend_is_told(
    make_world: MakeWorld, text: str
) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    monitor = lab.monitored()
    client = world.client()
    if "LOCK" in text:
        client.sends(query(text))
        world.backend().got()
        world.backend().answers(ok())
        client.got()
        refused(world, client)
    else:
        # what it may ask for is restored first
        world.server.answers_itself = lambda payload: MYSQL if payload == query(text)[4:] else ok()
        client.sends(query(text))
    client.gets(MYSQL)
    assert monitor.signals == [SIGNAL]


def locking(world: World) -> FakeClient:
    """A client that is pinned to the writer."""
    client = world.client()
    client.sends(query("SELECT GET_LOCK('a', 1)"))
    world.backend().got()
    world.backend().answers(ok())
    client.got()
    return client


def test_a_pinned_transaction_ends_with_its_session(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    Lab(world).stable().monitored()
    client = locking(world)
    server = in_transaction(world, client)
    refused(world, client)
    assert b"was not executed" in client.gets_error(2013, "another server is the writer now").message
    assert (client.is_closed, server.is_closed) == (True, True)


def test_a_procedure_may_have_done_something_before_it_was_refused(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    Lab(world).stable().monitored()
    client = locking(world)
    server = in_transaction(world, client)
    client.sends(query("CALL p()"))
    (prepares,) = server.got()
    assert b"CALL" not in prepares
    server.answers(ok(IN_TRANS))
    server.gets(query("CALL p()"))
    server.answers(MYSQL)
    assert b"may or may not" in client.gets_error(2013, "another server is the writer now").message


def test_a_session_that_is_pinned_to_the_former_writer_ends_at_its_next_command(
    make_world: MakeWorld,
) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    client = locking(world)
    server = world.backend()
    lab.look("writer")
    client.sends(query("SELECT 1"))
    assert server.got(), "nobody else is the writer yet"
    server.answers(ok())
    client.gets(ok())
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    client.gets_nothing()
    client.sends(query("SELECT 1"))
    client.gets_error(2013, "another server is the writer now")
    assert (client.is_closed, server.is_closed) == (True, True)


def test_its_transaction_may_end_before(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    lab = Lab(world).stable()
    client = locking(world)
    server = in_transaction(world, client)
    lab.look("writer")
    lab.look("reader-1", is_writer=True, replication=NOBODY)
    client.sends(query("ROLLBACK"))
    server.gets(query("ROLLBACK"))
    server.answers(ok())
    client.gets(ok())
    client.sends(query("SELECT 1"))
    client.gets_error(2013, "another server is the writer now")


@pytest.mark.parametrize(
    "answer", [error(1062, "Duplicate"), error(1290, "running with the --secure-file-priv option")]
)
def test_other_errors_are_the_clients(make_world: MakeWorld, answer: bytes) -> None:
    world = make_world(readers=1)
    monitor = Lab(world).stable().monitored()
    client = world.client()
    refused(world, client, answer=answer)
    client.gets(answer)
    assert monitor.signals == []


def test_a_server_that_shuts_down_is_asked(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    monitor = Lab(world).stable().monitored()
    client = world.client()
    answer = error(1053, "Server shutdown in progress")
    refused(world, client, answer=answer)
    client.gets(answer)
    assert monitor.signals == [("writer", Signal.SHUTDOWN)]


def test_other_commands_are_told(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    monitor = Lab(world).stable().monitored()
    client = world.client()
    refused(world, client, prepare("INSERT INTO t VALUES (1)"), MODE)
    client.gets(MODE)
    assert monitor.signals == [SIGNAL]
