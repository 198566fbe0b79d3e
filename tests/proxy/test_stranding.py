"""Sessions that are pinned to a reader, and write: what is learned of them."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy.pins import PinReason
from proxy.placing import Placing
from proxy.stranding import MOST_ACCOUNTS, StrandedAccounts
from tests.fakes.client import FakeClient
from tests.fakes.placing import place_among, reader_end
from tests.fakes.responses import changed
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, error, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

READ_ONLY = "The MySQL server is running with the --read-only option so it cannot execute this statement"
IN_READ = IN_TRANS | 0x2000
BEGIN_READ = query("START TRANSACTION READ ONLY")
LOCKED = query("SELECT GET_LOCK('a', 1)")
COMMIT = query("COMMIT")
WRITE = query("INSERT INTO t VALUES (1)")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(readers=1, pool_size=2)
    place_among(made)
    return made


def client_of(world: World, **login: Any) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT, **login)


def placing_of(world: World) -> Placing:
    assert world.shared.placing is not None
    return world.shared.placing


def runs(client: FakeClient, server: ServerEnd, wire: bytes, answer: bytes) -> None:
    server.gets(wire)
    server.answers(answer)
    client.gets(answer)


def pinned(world: World, client: FakeClient, begin: bytes = BEGIN_READ) -> ServerEnd:
    """A lock was taken in a transaction on the reader, which is over."""
    client.sends(begin)
    server = reader_end(world)
    runs(client, server, begin, ok(IN_READ))
    for wire, answer in ((LOCKED, rows(b"1", status=IN_READ)), (COMMIT, ok())):
        client.sends(wire)
        runs(client, server, wire, answer)
    assert [reason.value for reason in world.frontend(client).session.pin_reasons()] == ["user-lock"]
    return server


def stranded(world: World, client: FakeClient, begin: bytes = BEGIN_READ) -> None:
    server = pinned(world, client, begin)
    client.sends(WRITE)
    server.gets(WRITE)
    server.answers(error(1290, READ_ONLY))


def begins_on_writer(world: World, client: FakeClient, wire: bytes = BEGIN_READ) -> None:
    client.sends(wire)
    runs(client, world.server.last, wire, ok(IN_READ))


def test_who_was_stranded_once_is_not_stranded_again(world: World) -> None:
    client = client_of(world)
    stranded(world, client)
    client.gets_error(2013, "pinned to a reader (user-lock)")
    assert client.is_closed
    other = client_of(world)
    begins_on_writer(world, other)
    for wire, answer in ((LOCKED, rows(b"1", status=IN_READ)), (COMMIT, ok()), (WRITE, ok())):
        other.sends(wire)
        runs(other, world.server.last, wire, answer)
    found = placing_of(world).routes()
    assert found["events"] == {"pinned-to-reader": 1, "stranded-accounts": 1}
    assert found["writer"]["stranded-before"] == 1
    assert placing_of(world).stranded.names() == ["app/"]


def test_a_transaction_after_a_read_that_has_pinned_cannot_be_refused_for_ever(world: World) -> None:
    client = client_of(world)
    read = query("SELECT a FROM t")
    client.sends(read)
    server = reader_end(world)
    server.gets(read)
    # nothing explains that
    world.frontend(client).session.pin(PinReason.OPAQUE_STATE_CHANGE)
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))
    stranded_by(client, server)


def stranded_by(client: FakeClient, server: ServerEnd) -> None:
    client.sends(query("BEGIN"))
    runs(client, server, query("BEGIN"), ok(IN_TRANS))
    client.sends(WRITE)
    server.gets(WRITE)
    server.answers(error(1290, READ_ONLY))
    client.gets_error(2013)
    assert client.is_closed


def test_so_would_be_what_ends_the_transaction_that_has_pinned(world: World) -> None:
    client = client_of(world)
    client.sends(BEGIN_READ)
    server = reader_end(world)
    runs(client, server, BEGIN_READ, ok(IN_READ))
    client.sends(LOCKED)
    runs(client, server, LOCKED, rows(b"1", status=IN_READ))
    client.sends(query("CREATE TABLE n (a INT)"))
    client.gets_error(2013, "The statement was not executed")
    assert client.is_closed


def test_the_error_says_what_the_next_connection_will_find(world: World) -> None:
    client = client_of(world)
    stranded(world, client)
    client.gets_error(
        2013,
        "Lost connection to server before query (Fanin: the session is pinned to a reader (user-lock), and this may write; what pins it is"
        " lost. The next connection's read-only transactions run on the writer). The statement was not executed",
    )


def test_it_is_logged_once_for_an_account(world: World) -> None:
    clients = [client_of(world), client_of(world)]
    with capture_logs() as lines:
        for client in clients:
            pinned(world, client)
        for client in clients:
            client.sends(query("CALL p()"))
            client.gets_error(2013, "was not executed")
    (line,) = [line for line in lines if line["event"] == "stranded on a reader"]
    assert (line["user"], line["schema"], line["pins"]) == ("app", "", "user-lock")
    assert "routing.reader_users" in line["advice"]
    assert placing_of(world).routes()["events"] == {"pinned-to-reader": 2, "stranded-accounts": 1}


def test_a_hint_is_obeyed_and_nothing_is_learned_of_it(world: World) -> None:
    client = client_of(world)
    hinted = query("/* fanin: reader */ START TRANSACTION READ ONLY")
    stranded(world, client, hinted)
    client.gets_error(2013, "what pins it is lost). The statement was not executed")
    assert len(placing_of(world).stranded) == 0
    other = client_of(world)
    other.sends(BEGIN_READ)
    runs(other, reader_end(world), BEGIN_READ, ok(IN_READ))
    # nor is it, when it is learned
    stranded(world, client_of(world))
    other = client_of(world)
    other.sends(hinted)
    runs(other, reader_end(world), hinted, ok(IN_READ))


def test_other_schemas_and_users_are_not_concerned(world: World) -> None:
    stranded(world, client_of(world))
    other = client_of(world)
    use = query("USE other")
    other.sends(use)
    world.server.last.gets(use)
    world.server.last.answers(ok(changes=changed(schema="other")))
    other.got()
    other.sends(BEGIN_READ)
    server = reader_end(world)
    assert server.got() == [b"\x02other"]
    server.answers(ok(changes=changed(schema="other")))
    runs(other, server, BEGIN_READ, ok(IN_READ))
    assert placing_of(world).stranded.has(b"app", None)
    assert not placing_of(world).stranded.has(b"other", None)


def test_it_is_the_schema_in_which_the_transaction_began(world: World) -> None:
    client = client_of(world)
    client.sends(BEGIN_READ)
    server = reader_end(world)
    runs(client, server, BEGIN_READ, ok(IN_READ))
    use = query("USE other")
    client.sends(use)
    server.gets(use)
    server.answers(ok(IN_READ, changes=changed(schema="other")))
    client.got()
    for wire, answer in ((LOCKED, rows(b"1", status=IN_READ)), (COMMIT, ok())):
        client.sends(wire)
        runs(client, server, wire, answer)
    client.sends(query("CALL p()"))
    client.gets_error(2013)
    assert placing_of(world).stranded.names() == ["app/"]


@pytest.mark.parametrize("text", ["INSERT INTO t VALUES (1)", "CALL p()"])
def test_a_transaction_that_may_write_is_not_refused_there_for_ever(world: World, text: str) -> None:
    client = client_of(world)
    server = pinned(world, client)
    client.sends(query("BEGIN"))
    runs(client, server, query("BEGIN"), ok(IN_TRANS))
    client.sends(query(text))
    if text.startswith("INSERT"):
        server.gets(query(text))
        server.answers(error(1290, READ_ONLY))
    server.gets()
    client.gets_error(2013, "the writer")
    assert client.is_closed and len(placing_of(world).stranded) == 1


def test_reads_in_such_a_transaction_go_on(world: World) -> None:
    client = client_of(world)
    server = pinned(world, client)
    for wire, answer in (
        (query("BEGIN"), ok(IN_TRANS)),
        (query("SELECT a FROM t"), rows(b"1", status=IN_TRANS)),
        (COMMIT, ok()),
    ):
        client.sends(wire)
        runs(client, server, wire, answer)


def test_accounts_are_bounded() -> None:
    accounts = StrandedAccounts()
    assert not accounts.has(b"app", None)
    for number in range(MOST_ACCOUNTS + 1):
        assert accounts.learn(b"%d" % number, None)
    assert len(accounts) == MOST_ACCOUNTS
    assert not accounts.has(b"0", None) and accounts.has(b"1", None) and not accounts.has(b"1", b"")
    assert not accounts.learn(b"1", None)
    assert accounts.names()[0] == "1/"


# What is remembered of texts


def ran_on_reader(world: World, client: FakeClient, text: str, *pins: PinReason) -> None:
    wire = query(text)
    client.sends(wire)
    server = reader_end(world)
    server.gets(wire)
    for pin in pins:
        world.frontend(client).session.pin(pin)
    server.answers(rows(b"1"))
    client.gets(rows(b"1"))


@pytest.mark.parametrize(
    "pin",
    [
        PinReason.CURSOR,
        PinReason.LONG_DATA,
        PinReason.SAVEPOINT,
        PinReason.NEXT_TRANSACTION,
        PinReason.DIAGNOSTICS,
        PinReason.FOUND_ROWS,
    ],
)
def test_what_pins_for_a_while_goes_on_running_on_readers(world: World, pin: PinReason) -> None:
    ran_on_reader(world, client_of(world), "SELECT a FROM t", pin)
    assert placing_of(world).bounced == {}


def test_only_the_text_that_has_pinned_is_remembered(world: World) -> None:
    client = client_of(world)
    ran_on_reader(world, client, "SELECT a FROM t WHERE b = 1", PinReason.OPAQUE_STATE_CHANGE)
    ran_on_reader(world, client, "SELECT b FROM t")
    ran_on_reader(world, client, "SELECT c FROM t")
    assert list(placing_of(world).bounced) == ["SELECT a FROM t WHERE b = ?"]
