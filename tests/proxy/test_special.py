"""KILL, questions that need no server, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from protocol.auth import Verifier
from protocol.constants import Capability
from protocol.framing import frame
from proxy.credentials import Credential
from proxy.replies import Failure
from proxy.shared import FIRST_CONNECTION_ID, STATEMENT_POOLING
from proxy.special import heard, kill_for_colleague, no_such_thread
from proxy.statement import ALTERS_SCHEMA, CHANGES_ACCOUNT, REDEFINES, SETS_GLOBAL
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    IN_TRANS,
    NEW_CLIENT,
    PING,
    PROBE,
    error,
    execute,
    ok,
    prepare,
    prepared,
    query,
    rows,
)
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SLEEP = query("SELECT SLEEP(1000)")
SELECT = query("SELECT 1")
UNKNOWN = FIRST_CONNECTION_ID + 1000

MORE_RESULTS = 0x0002 | 0x0008


def sleeping(world: World, client: FakeClient) -> ServerEnd:
    client.sends(SLEEP)
    server = world.backend()
    server.gets(SLEEP)
    return server


def kill(target: FakeClient, how: str = "QUERY ") -> bytes:
    return query(f"KILL {how}{target.connection_id}")


def killing(world: World, server: ServerEnd, how: str = "QUERY ") -> ServerEnd:
    """The side connection on which the statement of `server` is killed."""
    killer = world.backend()
    assert killer is not server
    killer.gets(query(f"KILL {how}{server.server_id}"))
    return killer


# KILL QUERY of one's own


def test_a_statement_is_killed_on_a_side_connection(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client), PING)
    killer = killing(world, server)
    other.gets_nothing()
    server.answers(error(1317))
    client.gets(error(1317))
    killer.answers(ok())
    other.gets(ok(), ok())
    assert (killer.is_closed, client.is_closed) == (True, False)
    # its status is asked for as after any error
    server.gets(PROBE)


def test_the_id_may_be_killed_by_its_command(world: World) -> None:
    client, other = world.client(), world.client()
    sleeping(world, client)
    other.sends(frame(b"\x0c" + client.connection_id.to_bytes(4, "little")))
    other.gets(ok())
    assert client.is_closed


def test_a_statement_that_waits_leaves_the_queue(world: World) -> None:
    holder, client, other = world.client(), world.client(), world.client()
    sleeping(world, holder)
    client.sends(SELECT, PING)
    other.sends(kill(client))
    other.gets(ok())
    got = client.got()
    assert b"Query execution was interrupted" in got and got.endswith(ok())
    assert world.pool() == "1 leased"


@pytest.mark.parametrize("is_held", [False, True])
def test_a_session_that_runs_nothing_is_left_alone(world: World, is_held: bool) -> None:
    client, other = world.client(), world.client()
    if is_held:
        client.sends(query("BEGIN"))
        world.backend().answers(ok(IN_TRANS))
        client.got()
    other.sends(kill(client))
    other.gets(ok())
    assert not client.is_closed
    assert len(world.server.ends) == is_held


def test_a_statement_that_is_over_before_the_kill_arrives_does_not_pass_it_on(world: World) -> None:
    client, other, third = world.client(), world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client))
    killer = killing(world, server)
    server.answers(rows(b"0"))
    client.gets(rows(b"0", deprecate_eof=False))
    client.sends(SELECT)
    third.sends(SELECT)
    assert world.pool() == "1 leased, 1 waiting"
    killer.answers(ok())
    other.gets(ok())
    # nobody gets that backend
    assert server.is_closed
    new = world.backend()
    for each in (third, client):
        new.gets(SELECT)
        new.answers(ok())
        each.gets(ok())


@pytest.mark.parametrize("is_refused", [False, True])
def test_residue_is_not_lost_for_a_kill_that_comes_late(world: World, is_refused: bool) -> None:
    client, other = world.client(), world.client()
    client.sends(query("SET @a=1"))
    server = world.backend()
    server.got()
    server.answers(ok())
    client.got()
    sleeping(world, client)
    other.sends(kill(client))
    killer = killing(world, server)
    server.answers(error(1317))
    server.gets(PROBE)
    server.answers(ok())
    client.gets(error(1317))
    client.sends(query("SELECT @a"))
    killer.answers(ok())
    # whoever is next there might be interrupted: that is we
    server.gets(PROBE)
    if is_refused:
        server.answers(error(1317))
        assert server.is_closed
        client.gets_error(2013)
    else:
        server.answers(ok())
        server.gets(query("SELECT @a"))


def test_a_kill_meets_nothing_while_the_lease_is_looked_after(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    server.answers(error(1064))
    server.gets(PROBE)
    other.sends(kill(client))
    other.gets(ok())
    assert len(world.server.ends) == 1


def test_a_transaction_that_is_left_while_a_kill_is_under_way_leaves_its_backend_to_nobody(
    world: World,
) -> None:
    client, other = world.client(), world.client()
    client.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    client.got()
    world.backend().got()
    server = sleeping(world, client)
    other.sends(kill(client))
    killing(world, server)
    server.answers(rows(b"0", status=IN_TRANS))
    client.leaves()
    assert server.is_closed


def test_a_statement_that_ends_before_the_kill_has_begun_does_not_hang_the_killer(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    # both in one turn of the event loop
    world.loop.call_soon(other.transport.deliver, kill(client) + PING)
    world.loop.call_soon(server.transport.deliver, ok())
    world.loop.settle()
    client.gets(ok())
    killing(world, server).answers(ok())
    other.gets(ok(), ok())
    assert server.is_closed


def test_whatever_goes_wrong_with_a_kill_is_answered(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client))
    killer = killing(world, server)
    killer.answers(b"\x01\x00\x00\x07\x00")
    other.gets_error(2003)
    server.answers(ok())
    client.gets(ok())


def test_a_transaction_survives_a_kill_that_comes_late(world: World) -> None:
    client, other = world.client(), world.client()
    client.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    client.got()
    world.backend().got()
    server = sleeping(world, client)
    other.sends(kill(client))
    killer = killing(world, server)
    server.answers(rows(b"0", status=IN_TRANS))
    client.got()
    client.sends(SELECT)
    server.gets(SELECT)
    killer.answers(ok())
    server.answers(rows(b"1", status=IN_TRANS))
    client.got()
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"


def test_of_two_kills_the_last_one_counts(world: World) -> None:
    client, one, two = world.client(), world.client(), world.client()
    server = sleeping(world, client)
    one.sends(kill(client))
    two.sends(kill(client))
    first = killing(world, server)
    server.answers(rows(b"0"))
    first.answers(ok())
    one.gets(ok())
    assert (world.pool(), server.is_closed) == ("1 leased", False)
    second = killing(world, server)
    second.answers(ok())
    two.gets(ok())
    assert (world.pool(), server.is_closed) == ("", True)


def test_a_backend_that_is_lost_while_its_kill_is_under_way(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client))
    killer = killing(world, server)
    server.breaks()
    client.gets_error(2013)
    killer.answers(ok())
    other.gets(ok())


def test_a_kill_that_the_server_refuses_is_reported(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client))
    killing(world, server).answers(error(1095, "You are not owner of thread"))
    other.gets_error(1095, "You are not owner of thread")


def test_a_kill_with_no_way_to_the_server_is_reported(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    world.server.is_down = True
    other.sends(kill(client))
    other.gets_error(2003, "Connection refused")
    server.answers(ok())
    client.gets(ok())
    assert world.pool() == "1 idle"


def test_the_one_who_kills_may_leave(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client))
    killer = killing(world, server)
    other.leaves()
    server.answers(error(1317))
    killer.answers(ok())
    client.gets(error(1317))


def test_a_kill_from_within_a_transaction_keeps_the_transaction(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, other = world.client(), world.client()
    other.sends(query("BEGIN"))
    own = world.backend()
    own.answers(ok(IN_TRANS))
    own.got()
    other.got()
    server = sleeping(world, client)
    other.sends(kill(client), SELECT)
    killing(world, server).answers(ok())
    other.gets(ok(IN_TRANS))
    own.gets(SELECT)
    own.answers(ok(IN_TRANS))
    server.answers(error(1317))


# KILL of a connection


def test_killing_a_session_ends_its_query_and_its_connection(world: World) -> None:
    client, other = world.client(), world.client()
    server = sleeping(world, client)
    other.sends(kill(client, ""))
    other.gets(ok())
    assert client.is_closed
    killer = world.backend()
    killer.gets(query(f"KILL {server.server_id}"))
    killer.answers(ok())
    assert (world.pool(), server.is_closed) == ("", True)
    assert world.counters.frontend_closes == {"killed": 1}


def test_killing_a_session_that_holds_resets_its_backend(world: World) -> None:
    client, other = world.client(), world.client()
    client.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    other.sends(kill(client, "CONNECTION "))
    other.gets(ok())
    assert (client.is_closed, world.pool()) == (True, "1 resetting")


def test_a_session_may_kill_itself(world: World) -> None:
    client = world.client()
    client.sends(kill(client))
    client.gets_error(1317, "Query execution was interrupted")
    client.sends(query("KILL QUERY CONNECTION_ID()"))
    client.gets_error(1317)
    client.sends(kill(client, ""))
    client.gets_error(1317)
    assert client.is_closed


def test_a_session_that_kills_itself_is_told_in_the_servers_words(world: World) -> None:
    world.facts.meet(b"10.11.8-MariaDB")
    client = world.client()
    client.sends(query("KILL CONNECTION_ID()"))
    client.gets_error(1927, "Connection was killed")
    assert client.is_closed


def test_an_id_of_ours_that_nobody_has_is_unknown(world: World) -> None:
    client = world.client()
    client.sends(query(f"KILL {UNKNOWN}"))
    client.gets_error(1094, f"Unknown thread id: {UNKNOWN}")


def test_the_id_of_a_server_is_the_servers_business(world: World) -> None:
    client = world.client()
    client.sends(query("KILL 99"))
    world.backend().gets(query("KILL 99"))
    world.backend().answers(error(1094))
    client.gets(error(1094))
    world.backend().got()
    world.backend().answers(ok())
    client.sends(frame(b"\x0c" + (98).to_bytes(4, "little")))
    world.backend().gets(frame(b"\x0c" + (98).to_bytes(4, "little")))
    world.backend().answers(error(1047))
    client.gets(error(1047))


@pytest.mark.parametrize("refused", [query(f"KILL {UNKNOWN}"), frame(b"\x7f"), frame(b"\x1b")])
def test_what_the_proxy_refuses_is_in_the_warnings(world: World, refused: bytes) -> None:
    client = world.client()
    client.sends(refused)
    client.got()
    client.sends(query("SELECT @@error_count"))
    assert b"\x011" in client.got()
    client.sends(query("SELECT ROW_COUNT()"))
    assert b"\x02-1" in client.got()


def test_nobody_has_the_id_0(world: World) -> None:
    client = world.client()
    client.sends(query("KILL 0"))
    world.backend().gets(query("KILL 0"))


def test_the_session_of_another_user_is_killed_if_the_server_allows_it(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, other = world.client(), world.client(user=b"other", password=b"other")
    server = sleeping(world, client)
    other.sends(kill(client))
    killing(world, server).answers(error(1095, "You are not owner of thread"))
    other.gets_error(1095, "You are not owner of thread")
    other.sends(kill(client, ""))
    killer = killing(world, server, "")
    assert killer.login is not None and killer.login.user == b"other"
    killer.answers(ok())
    other.gets(ok())
    assert client.is_closed


@pytest.mark.parametrize("how", ["QUERY ", ""])
def test_meanwhile_nobody_else_gets_its_backend(make_world: MakeWorld, how: str) -> None:
    world = make_world(pool_size=1)
    client, third = world.client(), world.client()
    other = world.client(user=b"other", password=b"other")
    server = sleeping(world, client)
    third.sends(SELECT)
    other.sends(kill(client, how))
    killer = killing(world, server, how)
    server.answers(ok())
    client.gets(ok())
    server.gets_nothing()
    killer.answers(ok())
    other.gets(ok())
    fresh = world.backend()
    assert fresh is not server and client.is_closed is (how == "")
    fresh.gets(SELECT)


def test_the_idle_session_of_another_user_cannot_be_killed(world: World) -> None:
    client, other = world.client(), world.client(user=b"other", password=b"other")
    other.sends(kill(client, ""))
    other.gets_error(1095, "You are not owner of thread")


# What was lost


def inserted(world: World, client: FakeClient) -> ServerEnd:
    client.sends(query("INSERT INTO t VALUES (1)"))
    server = world.backend()
    server.got()
    server.answers(ok(insert_id=7))
    client.got()
    assert world.pool() == "1 parked"
    return server


def test_an_insert_id_that_was_lost_with_its_backend_is_not_0(world: World) -> None:
    client = world.client()
    inserted(world, client).breaks()
    # this one does not ask for it
    client.sends(SELECT)
    world.backend().gets(SELECT)
    world.backend().answers(rows(b"1"))
    client.got()
    client.sends(query("INSERT INTO t VALUES (LAST_INSERT_ID())"))
    world.backend().gets_nothing()
    client.gets_error(2013, "has ended). The statement was not executed")
    assert client.is_closed
    assert world.counters.frontend_closes == {"backend-lost": 1}


def test_neither_is_it_for_a_prepared_statement(world: World) -> None:
    client = world.client()
    client.sends(prepare("SELECT LAST_INSERT_ID()"))
    world.backend().answers(prepared(41))
    client.got()
    inserted(world, client).breaks()
    client.sends(execute(1))
    client.gets_error(2013)
    assert client.is_closed


def test_a_new_insert_id_replaces_the_lost_one(world: World) -> None:
    client = world.client()
    inserted(world, client).breaks()
    inserted(world, client)
    client.sends(query("SELECT LAST_INSERT_ID()"))
    # it goes on where it is known
    assert world.backend().got()
    assert not client.is_closed


def test_an_insert_id_that_is_lost_while_it_is_captured(world: World) -> None:
    client, other = world.client(), world.client()
    server = inserted(world, client)
    other.sends(SELECT)
    assert world.pool() == "1 resetting, 1 waiting"
    client.sends(query("SELECT LAST_INSERT_ID()"))
    server.breaks()
    client.gets_error(2013)
    assert client.is_closed


# What is refused


def test_statement_pooling_refuses_transactions(make_world: MakeWorld) -> None:
    world = make_world(pool_mode=STATEMENT_POOLING)
    client = world.client()
    for text in ("BEGIN", "START TRANSACTION READ ONLY"):
        client.sends(query(text))
        client.gets_error(1235, "pool.mode is statement")
    client.sends(SELECT)
    world.backend().gets(SELECT)


# Other workers


class Others:
    """Notes what it is asked and told, and answers as a test says."""

    def __init__(self, failure: Failure | Exception | None) -> None:
        self.failure = failure
        self.asked: list[tuple[int, bytes, bytes | None, bool]] = []
        self.told: list[int] = []
        self.answer = asyncio.Event()

    async def kill(self, connection_id: int, credential: Credential, is_query: bool) -> Failure | None:
        self.asked.append((connection_id, credential.user, credential.password, is_query))
        await self.answer.wait()
        if isinstance(self.failure, RuntimeError):
            raise self.failure
        assert self.failure is None or isinstance(self.failure, Failure)
        return self.failure

    def tell(self, news: int) -> None:
        self.told.append(news)

    async def heard(self) -> None:
        raise NotImplementedError


def of_two(world: World, failure: Failure | Exception | None = None) -> Others:
    """This is the first of two workers."""
    others = Others(failure)
    world.shared.workers, world.shared.colleagues = 2, others
    return others


ELSEWHERE = FIRST_CONNECTION_ID + 7


@pytest.mark.parametrize("how", ["", "QUERY "])
def test_an_id_of_another_workers_is_killed_there(world: World, how: str) -> None:
    others = of_two(world)
    client = world.client()
    client.sends(query(f"KILL {how}{ELSEWHERE}"), PING)
    assert (others.asked, client.got()) == ([(ELSEWHERE, b"app", b"secret", bool(how))], b"")
    world.loop.call(others.answer.set)
    client.gets(ok(), ok())


def test_who_kills_elsewhere_from_a_transaction_stays_in_it(world: World) -> None:
    others = of_two(world)
    client = world.client()
    client.sends(query("BEGIN"))
    server = world.backend()
    server.answers(ok(IN_TRANS))
    client.got()
    client.sends(query(f"KILL {ELSEWHERE}"), SELECT)
    world.loop.call(others.answer.set)
    client.gets(ok(IN_TRANS))
    server.got()
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS))


def test_what_cannot_be_killed_there_is_refused(world: World) -> None:
    others = of_two(world, no_such_thread(ELSEWHERE))
    client = world.client()
    client.sends(query(f"KILL {ELSEWHERE}"))
    world.loop.call(others.answer.set)
    client.gets_error(1094, f"Unknown thread id: {ELSEWHERE}")


def test_who_kills_elsewhere_may_leave(world: World) -> None:
    for failure in (None, no_such_thread(ELSEWHERE)):
        others = of_two(world, failure)
        client = world.client()
        client.sends(query(f"KILL {ELSEWHERE}"))
        client.leaves()
        world.loop.call(others.answer.set)
        assert client.got() == b"" and not world.server.ends


def test_a_bug_on_the_way_to_another_worker_is_answered(world: World) -> None:
    others = of_two(world, RuntimeError("a bug"))
    client = world.client()
    client.sends(query(f"KILL {ELSEWHERE}"))
    world.loop.call(others.answer.set)
    client.gets_error(1105, "internal error during KILL")


def test_an_own_id_that_nobody_has_is_unknown_here(world: World) -> None:
    others = of_two(world)
    client = world.client()
    client.sends(query(f"KILL {FIRST_CONNECTION_ID + 8}"))
    client.gets_error(1094)
    assert others.asked == []


def killed_here(
    world: World, client: FakeClient, user: bytes, is_query: bool
) -> asyncio.Task[Failure | None]:
    """Another worker's client of this user, whose password is its name or "secret", kills one of ours."""
    password = b"secret" if user == b"app" else user
    credential = Credential(user, password, Verifier.of_password(password))
    killing = kill_for_colleague(world.shared, client.connection_id, credential, is_query)
    task = world.loop.create_task(killing)
    world.loop.settle()
    return task


def test_another_workers_client_kills_one_of_ours(world: World) -> None:
    client = world.client()
    assert killed_here(world, client, b"app", True).result() is None
    server = sleeping(world, client)
    task = killed_here(world, client, b"app", True)
    killing(world, server).answers(error(1094, "Unknown thread id: 5"))
    failure = task.result()
    assert failure is not None and failure.code == 1094
    task = killed_here(world, client, b"app", True)
    killing(world, server).answers(ok())
    assert task.result() is None
    server.answers(error(1317))
    client.gets(error(1317))
    assert killed_here(world, client, b"app", False).result() is None
    assert client.is_closed
    failure = killed_here(world, client, b"app", False).result()
    assert failure is not None and (failure.code, failure.message) == (
        1094,
        f"Unknown thread id: {client.connection_id}",
    )


def test_another_workers_client_of_another_user_asks_the_server(world: World) -> None:
    client = world.client()
    failure = killed_here(world, client, b"other", False).result()
    assert failure is not None and failure.code == 1095
    server = sleeping(world, client)
    task = killed_here(world, client, b"other", False)
    killer = killing(world, server, "")
    assert killer.login is not None and killer.login.user == b"other"
    killer.answers(error(1095, "You are not owner of thread"))
    failure = task.result()
    assert failure is not None and failure.code == 1095
    server.answers(ok())
    client.gets(ok())


def test_what_all_workers_have_to_forget_is_told(world: World) -> None:
    others = of_two(world)
    client = world.client()
    for statement, news in (
        ("SET GLOBAL sort_buffer_size = 1", SETS_GLOBAL),
        ("ALTER USER app IDENTIFIED BY 'x'", CHANGES_ACCOUNT),
        ("ALTER DATABASE shop CHARACTER SET latin1", ALTERS_SCHEMA),
        ("SELECT 1", 0),
    ):
        others.told.clear()
        client.sends(query(statement))
        world.backend().got()
        world.backend().answers(ok())
        client.got()
        assert sum(others.told) & news == news and len(others.told) == bool(news)


@pytest.mark.parametrize(
    ("statement", "results", "code", "news"),
    [
        ("SET GLOBAL sort_buffer_size = 1", 0, 1227, 0),
        ("SET GLOBAL sort_buffer_size = 1; SELECT nobody", 1, 1054, SETS_GLOBAL),
        ("SELECT 1; SELECT nobody; SET GLOBAL sort_buffer_size = 1", 1, 1054, 0),
        ("ALTER USER app IDENTIFIED BY 'x'", 0, 1227, 0),
        ("DROP USER one, missing", 0, 1396, CHANGES_ACCOUNT),
        ("DROP USER missing", 0, 1396, 0),
        ("GRANT USAGE ON *.* TO one IDENTIFIED BY 'new', missing", 0, 1133, CHANGES_ACCOUNT),
        ("BEGIN NOT ATOMIC SET @a = 1; SET GLOBAL b = 1; SELECT nobody; END", 0, 1054, SETS_GLOBAL),
        ("IF 1 THEN SET @a = 1; SET GLOBAL b = 1; END IF; SELECT nobody", 1, 1054, SETS_GLOBAL),
        ("DROP TABLE missing", 0, 1051, 0),
    ],
)
def test_what_has_failed_may_have_done_something_before(
    world: World, statement: str, results: int, code: int, news: int
) -> None:
    others = of_two(world)
    client = world.client(capabilities=NEW_CLIENT | Capability.MULTI_STATEMENTS)
    client.sends(query(statement))
    server = world.backend()
    while server.got() != [b"\x03" + statement.encode()]:
        # of several nobody knows what they ask for
        server.answers(ok())
    wire = b"".join([ok(MORE_RESULTS, sequence_id=1 + number) for number in range(results)])
    server.answers(wire + error(code, sequence_id=1 + results))
    client.gets(wire + error(code, sequence_id=1 + results))
    assert sum(others.told) & (SETS_GLOBAL | CHANGES_ACCOUNT) == news
    assert len(others.told) == bool(news)


def test_what_another_worker_tells_is_forgotten_here(world: World) -> None:
    client = world.client()
    client.sends(SELECT)
    server = world.backend()
    server.answers(ok())
    client.got()
    world.shared.surveys["writer", b"app"] = None  # type: ignore[assignment]
    world.loop.call(heard, world.shared, REDEFINES)
    assert (world.shared.surveys, server.is_closed) == ({}, False)
    world.loop.call(heard, world.shared, ALTERS_SCHEMA)
    assert server.is_closed
