"""Where commands run when there are readers, what a session sees of its writes there, and what becomes of reads for which there is no reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from protocol.framing import frame
from protocol.packets import Column, text_resultset
from proxy.hints import LONGEST_KEY
from proxy.lexer import ANSI_QUOTES
from proxy.login import Doorway
from proxy.placement import Names
from proxy.placing import CAUSAL_ATTRIBUTE, PATIENCE, READ_AHEAD_WAIT, begin
from proxy.placing_rules import TO_FAIL, TO_WAIT
from proxy.readers import EVENTUAL
from proxy.states import STATE_NAMES
from tests.fakes.client import FakeClient
from tests.fakes.placing import READER_1, READER_2, place_among, reader_end, readers_show
from tests.fakes.responses import changed
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    AUTOCOMMIT,
    IN_TRANS,
    NEW_CLIENT,
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

READ = query("SELECT a FROM t")
WRITE = query("INSERT INTO t VALUES (1)")
BEGIN = query("BEGIN")
COMMIT = query("COMMIT")
BEGIN_READ = query("START TRANSACTION READ ONLY")
ANSWER = rows(b"1")
CHANGE_USER = frame(b"\x11other\0\x00\0\x2d\0mysql_native_password\0")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Readers that have everything that was committed before now."""
    made = make_world(readers=2, pool_size=2)
    place_among(made)
    return made


def client_of(world: World) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT)


def state(world: World, client: FakeClient) -> str:
    return STATE_NAMES[world.frontend(client).state]


def runs(client: FakeClient, wire: bytes, server: ServerEnd, answer: bytes) -> None:
    """The server has got this, and its answer is the client's."""
    server.gets(wire)
    server.answers(answer)
    client.gets(answer)


def on_writer(world: World, client: FakeClient, wire: bytes, answer: bytes = ANSWER) -> None:
    """The writer runs it."""
    client.sends(wire)
    runs(client, wire, world.server.last, answer)


def on_reader(world: World, client: FakeClient, wire: bytes, answer: bytes = ANSWER, number: int = 1) -> None:
    """A reader runs it."""
    client.sends(wire)
    runs(client, wire, reader_end(world, number), answer)


def captured(server: ServerEnd, insert_id: int) -> None:
    """The server is asked for what the session has left there, and answers."""
    (asked,) = server.got()
    items = asked.removeprefix(b"\x03SELECT ").split(b", ")
    values: list[bytes | None] = [
        b"%d" % insert_id if item == b"LAST_INSERT_ID()" else b"0" for item in items
    ]
    columns = [Column(b"a")] * len(items)
    server.answers(text_resultset(columns, [values], status=AUTOCOMMIT, deprecate_eof=True))


def routes(world: World) -> dict[str, dict[str, int]]:
    placing = world.shared.placing
    assert placing is not None
    return placing.routes()


# Which side


def test_without_placing_nothing_is_known_of_where_commands_run(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    client = client_of(world)
    on_writer(world, client, READ)
    assert world.frontend(client).placement is None


def test_a_proved_read_runs_on_a_reader_and_a_write_on_the_writer(world: World) -> None:
    client = client_of(world)
    on_reader(world, client, READ)
    on_writer(world, client, WRITE, ok())
    found = routes(world)
    assert (found["writer"], found["reader"]) == ({"not-proved": 1}, {"proved-read": 1})
    assert (found["without_reader"], found["events"]) == ({}, {})


def test_reads_outside_transactions_stay_on_the_writer_unless_configured(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, autocommit_reads=False)
    client = client_of(world)
    on_writer(world, client, READ)
    assert routes(world)["writer"] == {"autocommit-reads-off": 1}


def test_a_read_only_transaction_stays_on_its_reader(world: World) -> None:
    client = client_of(world)
    on_reader(world, client, BEGIN_READ, ok(IN_TRANS))
    on_reader(world, client, READ, rows(b"1", status=IN_TRANS))
    on_reader(world, client, WRITE, error(1792, "Cannot execute statement in a READ ONLY transaction."))
    server = reader_end(world)
    (probe,) = server.got()
    assert probe[:1] == b"\x1b"
    server.answers(ok(IN_TRANS))
    on_reader(world, client, COMMIT, ok())
    assert routes(world)["reader"] == {"held": 3, "read-only-transaction": 1}
    assert world.server.ends == []


def test_a_read_only_transaction_runs_on_the_writer_if_configured(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, read_only_transactions=False)
    client = client_of(world)
    on_writer(world, client, BEGIN_READ, ok(IN_TRANS))
    on_writer(world, client, COMMIT, ok())
    assert routes(world)["writer"] == {"held": 1, "read-only-transaction": 1}


def test_a_transaction_that_may_write_never_leaves_the_writer(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, BEGIN, ok(IN_TRANS))
    on_writer(world, client, READ, rows(b"1", status=IN_TRANS))
    on_writer(world, client, COMMIT, ok())
    assert all(server.ends == [] for server in world.reader_servers)


def test_set_transaction_read_only_makes_the_next_transaction_begin_on_a_reader(world: World) -> None:
    client = client_of(world)
    wire = query("SET TRANSACTION READ ONLY")
    on_reader(world, client, wire, ok())
    on_reader(world, client, BEGIN, ok(IN_TRANS))
    on_reader(world, client, COMMIT, ok())
    on_writer(world, client, BEGIN, ok(IN_TRANS))
    on_writer(world, client, COMMIT, ok())


def test_a_read_only_session_has_its_transactions_on_readers_and_its_settings_follow(world: World) -> None:
    client = client_of(world)
    told = ok(changes=changed(("transaction_read_only", "ON")))
    setting = query("SET SESSION TRANSACTION READ ONLY")
    client.sends(setting)
    world.server.last.gets(setting)
    world.server.last.answers(told)
    client.gets(ok())
    client.sends(BEGIN)
    server = reader_end(world)
    (restore,) = server.got()
    assert restore.startswith(b"\x03SET ") and b"transaction_read_only" in restore
    server.answers(ok(changes=changed(("transaction_read_only", "ON"))))
    runs(client, BEGIN, server, ok(IN_TRANS))
    on_reader(world, client, COMMIT, ok())
    assert routes(world)["reader"] == {"held": 1, "read-only-transaction": 1}


def test_a_hint_is_followed(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, query("/* fanin: writer */ SELECT 1 FROM t"))
    on_reader(world, client_of(world), query("SELECT /* fanin: reader */ @@hostname"))
    assert routes(world)["writer"] == {"hint-writer": 1}
    assert routes(world)["reader"] == {"hint-reader": 1}


def test_a_session_that_was_pinned_before_it_had_a_backend_goes_to_the_writer(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT)
    from proxy.pins import PinReason

    world.frontend(client).session.pin(PinReason.SESSION_MODE)
    on_writer(world, client, READ)
    assert routes(world)["writer"] == {"held": 1}
    client.leaves()


def test_prepared_reads_are_prepared_and_executed_on_readers(world: World) -> None:
    client = client_of(world)
    wire = prepare("SELECT a FROM t")
    client.sends(wire)
    server = reader_end(world)
    server.gets(wire)
    server.answers(prepared(9))
    client.gets(prepared(1))
    client.sends(execute(1))
    server.gets(execute(9))
    server.answers(ANSWER)
    client.gets(ANSWER)
    assert world.server.ends == []


def with_cursor(world: World, client: FakeClient, text: str = "SELECT a FROM t") -> ServerEnd:
    """It was prepared on a reader, and is executed with a cursor; the server that has got that."""
    client.sends(prepare(text))
    reader = reader_end(world)
    reader.gets(prepare(text))
    reader.answers(prepared(9))
    client.gets(prepared(1))
    client.sends(execute(1, flags=1))
    if not world.server.ends:
        reader.gets(execute(9, flags=1))
        return reader
    server = world.server.last
    server.gets(prepare(text))
    server.answers(prepared(4))
    server.gets(execute(4, flags=1))
    return server


def test_a_cursor_which_keeps_its_session_there_is_opened_on_the_writer(world: World) -> None:
    client = client_of(world)
    assert with_cursor(world, client) is world.server.last
    assert routes(world)["writer"] == {"not-proved": 1}


def test_unless_a_reader_is_asked_for(world: World) -> None:
    client = client_of(world)
    with_cursor(world, client, "SELECT /* fanin: reader */ a FROM t")
    assert world.server.ends == []


def test_a_prepared_text_is_read_as_it_was_when_it_was_prepared(world: World) -> None:
    client = client_of(world)
    set_mode = query("SET sql_mode = 'ANSI_QUOTES'")
    client.sends(set_mode)
    world.server.last.gets(set_mode)
    world.server.last.answers(ok(changes=changed(("sql_mode", "ANSI_QUOTES"))))
    client.gets(ok())
    wire = prepare("SELECT a FROM t")
    client.sends(wire)
    server = reader_end(world)
    (restore,) = server.got()
    assert b"ANSI_QUOTES" in restore
    server.answers(ok(changes=changed(("sql_mode", "ANSI_QUOTES"))))
    server.gets(wire)
    server.answers(prepared(9))
    client.gets(prepared(1))
    client.sends(execute(1))
    server.gets(execute(9))
    server.answers(ANSWER)
    client.gets(ANSWER)
    placement = world.frontend(client).placement
    assert placement is not None and placement.record.text == b"SELECT a FROM t"
    assert world.frontend(client).session.lexing & ANSI_QUOTES


def test_commands_without_a_text_go_to_the_writer(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, b"\x01\0\0\0\x09", b"\x04\0\0\x01Up: ")
    assert routes(world)["writer"] == {"not-proved": 1}


# What a session sees


def test_a_session_reads_on_the_writer_until_a_reader_shows_its_write(world: World) -> None:
    client = client_of(world)
    world.tick(1)
    on_writer(world, client, WRITE, ok())
    on_writer(world, client, READ)
    readers_show(world, 0.2)
    world.tick(1)
    on_writer(world, client, READ)
    world.tick(1)
    readers_show(world, 0.2)
    on_reader(world, client, READ)
    assert routes(world)["without_reader"] == {"not-safe": 2}


def test_what_another_session_writes_is_no_fence(world: World) -> None:
    client, other = client_of(world), client_of(world)
    world.tick(1)
    on_writer(world, other, WRITE, ok())
    on_reader(world, client, READ)


def test_a_transaction_is_a_fence_when_it_is_committed(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, BEGIN, ok(IN_TRANS))
    on_writer(world, client, WRITE, ok(IN_TRANS))
    world.tick(2)
    readers_show(world, 0.0)
    placement = world.frontend(client).placement
    assert placement is not None and not placement.view.is_fenced()
    world.tick(1)
    on_writer(world, client, COMMIT, ok())
    assert placement.view.is_fenced()
    on_writer(world, client, READ)


def test_readers_are_looked_at_more_often_while_a_session_waits_to_see_its_write(world: World) -> None:
    told: list[bool] = []
    placing = world.shared.placing
    assert placing is not None
    placing.hurry = told.append
    client = client_of(world)
    world.tick(1)
    on_writer(world, client, WRITE, ok())
    on_writer(world, client, WRITE, ok())
    readers_show(world, 0.5)
    assert told == [True]
    world.tick(1)
    readers_show(world, 0.5)
    assert told == [True, False]


def test_a_session_does_not_go_back_to_an_older_state_of_another_reader(world: World) -> None:
    client = client_of(world)
    world.tick(1)
    readers_show(world, None, reader_1=0.0)
    on_reader(world, client, READ)
    world.tick(0.1)
    readers_show(world, None, reader_2=0.5)
    on_writer(world, client, READ)
    assert routes(world)["without_reader"] == {"read-ahead": 1}


def test_a_session_that_reads_on_the_writer_waits_for_readers_to_catch_up(world: World) -> None:
    asked: list[float] = []
    placing = world.shared.placing
    assert placing is not None
    placing.ask = lambda: asked.append(world.loop.time())
    client = client_of(world)
    world.tick(1)
    on_writer(world, client, WRITE, ok())
    world.tick(PATIENCE * 0.1)
    on_writer(world, client, READ)
    for lag in (0.05, 0.06):
        world.tick(PATIENCE * 0.45)
        readers_show(world, lag)
        on_writer(world, client, READ)
    world.tick(PATIENCE * 0.45)
    readers_show(world, 0.06)
    client.sends(READ)
    assert state(world, client) == "placing" and asked == [world.loop.time()]
    world.tick(0.02)
    readers_show(world, 0.0)
    runs(client, READ, reader_end(world), ANSWER)
    assert routes(world)["without_reader"] == {"not-safe": 1, "read-ahead": 3}
    assert placing.patience == PATIENCE


def test_where_readers_do_not_catch_up_in_time_it_waits_less_often(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    client = client_of(world)
    world.tick(1)
    on_writer(world, client, WRITE, ok())
    on_writer(world, client, READ)
    world.tick(0.3)
    on_writer(world, client, READ)
    readers_show(world, 0.2)
    client.sends(READ)
    world.tick(READ_AHEAD_WAIT - 0.1)
    readers_show(world, 0.5)
    client.gets_nothing()
    world.tick(0.2)
    runs(client, READ, world.server.last, ANSWER)
    assert placing.patience == 2 * PATIENCE


def test_a_fence_is_shared_by_its_key(world: World) -> None:
    client, other = client_of(world), client_of(world)
    world.tick(1)
    on_writer(world, client, query("/* fanin: causal=user:7 */ INSERT INTO t VALUES (1)"), ok())
    on_writer(world, other, query("/* fanin: causal=user:7 */ SELECT a FROM t"))
    on_reader(world, client_of(world), query("/* fanin: causal=user:8 */ SELECT a FROM t"))
    world.tick(1)
    readers_show(world, 0.0)
    on_reader(world, client_of(world), query("/* fanin: causal=user:7 */ SELECT a FROM t"))


def test_a_connect_attribute_is_the_key_of_a_whole_session(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    one, other = client_of(world), client_of(world)
    for client in (one, other):
        begin(world.frontend(client), {CAUSAL_ATTRIBUTE: b"cart:7"})
    world.tick(1)
    on_writer(world, one, WRITE, ok())
    on_writer(world, other, READ)
    assert routes(world)["without_reader"] == {"not-safe": 1}
    begin(world.frontend(other), {CAUSAL_ATTRIBUTE: b"x" * (LONGEST_KEY + 1)})
    placement = world.frontend(other).placement
    assert placement is not None and placement.session_key == b"cart:7"


def test_a_write_whose_backend_was_lost_is_a_fence(world: World) -> None:
    client = client_of(world)
    world.tick(1)
    client.sends(WRITE)
    world.server.last.gets(WRITE)
    world.server.last.breaks()
    client.gets_error(2013)
    on_writer(world, client, READ)
    assert routes(world)["without_reader"] == {"not-safe": 1}


def test_a_read_whose_writer_was_lost_is_none_and_runs_again(world: World) -> None:
    client = client_of(world)
    world.tick(1)
    wire = query("/* fanin: writer */ SELECT a FROM t")
    client.sends(wire)
    world.server.last.gets(wire)
    world.server.last.breaks()
    client.gets_nothing()
    world.server.last.gets(wire)
    world.server.last.answers(ok())
    client.gets(ok())
    on_writer(world, client, READ)
    assert routes(world)["without_reader"] == {"read-ahead": 1}


# What is parked


def test_an_insert_id_is_captured_before_the_session_reads_elsewhere(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, WRITE, ok(insert_id=7))
    writer = world.server.last
    world.tick(1)
    readers_show(world, 0.0)
    client.sends(READ)
    assert state(world, client) == "awaiting-capture"
    captured(writer, 7)
    runs(client, READ, reader_end(world), ANSWER)
    client.sends(query("SELECT LAST_INSERT_ID()"))
    assert b"7" in client.got()


def test_a_backend_that_is_lost_while_it_is_captured_does_not_stop_the_read(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, WRITE, ok(insert_id=7))
    world.tick(1)
    readers_show(world, 0.0)
    client.sends(READ)
    world.server.last.got()
    world.server.last.breaks()
    runs(client, READ, reader_end(world), ANSWER)


def test_what_was_parked_on_a_paused_pool_is_lost(world: World) -> None:
    client = client_of(world)
    on_writer(world, client, WRITE, ok(insert_id=7))
    world.tick(1)
    readers_show(world, 0.0)
    world.loop.call(world.writer.core.pause, world.loop.time())
    client.sends(READ)
    runs(client, READ, reader_end(world), ANSWER)
    client.sends(query("SELECT LAST_INSERT_ID(), 1"))
    client.gets_error(2013)
    world.loop.call(world.writer.resume)


def test_a_parked_backend_without_residue_is_let_go(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=1)
    place_among(world)
    client = client_of(world)
    setting = query("SET time_zone = '+01:00'")
    told = ok(changes=changed(("time_zone", "+01:00")))
    client.sends(setting)
    world.server.last.gets(setting)
    world.server.last.answers(told)
    client.gets(ok())
    assert world.frontend(client).parked is not None
    client.sends(READ)
    server = reader_end(world)
    (restore,) = server.got()
    assert b"time_zone" in restore
    server.answers(told)
    runs(client, READ, server, ANSWER)
    assert world.frontend(client).parked_endpoint is None


def test_the_reader_where_something_is_parked_is_preferred(world: World) -> None:
    client = client_of(world)
    placing = world.shared.placing
    assert placing is not None
    on_reader(world, client, READ, ok(warnings=1))
    assert world.frontend(client).parked_endpoint is world.shared.readers[0]
    world.tick(0.5)
    readers_show(world, 0.0)
    placing.random = almost_one
    on_reader(world, client, READ)
    on_reader(world, client_of(world), READ, number=2)


def test_sessions_come_to_a_reader_that_joins_when_what_they_have_parked_ends_its_life(
    make_world: MakeWorld,
) -> None:
    """However often they read meanwhile, and with nothing that would make them leave."""
    world = make_world(readers=2, pool_size=8, pool={"max_age": 100.0})
    placing = place_among(world)
    placing.random = Random(1).random
    for endpoint in world.shared.readers:
        endpoint.core._random = Random(1).random
    placing.table.set_role(READER_2, False, 0, world.loop.time())
    for server in world.reader_servers:
        server.answers_itself = _leaves_a_warning
    clients = [client_of(world) for _ in range(6)]

    def where() -> Counter[str]:
        readers_show(world, 0.0)
        for client in clients:
            client.sends(READ)
            assert client.got() == ok(warnings=1)
        parked = [world.frontend(client).parked_endpoint for client in clients]
        return Counter([endpoint.name for endpoint in parked if endpoint is not None])

    assert where() == {READER_1: 6}
    placing.table.set_role(READER_2, True, 0, world.loop.time())
    # it is preferred as long as it lasts
    assert where() == {READER_1: 6}
    for _ in range(20):
        world.tick(10)
        found = where()
    assert found[READER_1] > 0 and found[READER_2] > 0
    assert found.total() == len(clients)


def _leaves_a_warning(payload: bytes) -> bytes | None:
    if payload == READ[4:]:
        return ok(warnings=1)
    if payload.startswith(b"\x03SHOW WARNINGS"):
        columns = [Column(b"Level"), Column(b"Code"), Column(b"Message")]
        return text_resultset(
            columns, [[b"Note", b"1051", b"Unknown"]], status=AUTOCOMMIT, deprecate_eof=True
        )
    return ok()


def almost_one() -> float:
    return 0.99


def test_a_read_that_waits_goes_on_where_its_session_turns_out_to_be_held(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=1)
    place_among(world, fallback=TO_WAIT, fallback_wait=9.0)
    client, other = client_of(world), client_of(world)
    on_writer(world, client, query("SET @a=1"), ok())
    readers_show(world, None)
    client.sends(READ)
    assert state(world, client) == "placing"
    other.sends(WRITE)
    server = world.server.last
    (asked,) = server.got()
    assert asked.startswith(b"\x03SELECT @`a`")
    # it is too much
    columns = [Column(b"@a", 8, collation=63), Column(b"collation"), Column(b"hex")]
    server.answers(text_resultset(columns, [], status=AUTOCOMMIT, deprecate_eof=True))
    runs(client, READ, server, ANSWER)
    assert world.shared.placing is not None and world.shared.placing.waiting == {}


# Without a reader


def test_a_reader_that_is_too_far_behind_gets_nothing(world: World) -> None:
    client = client_of(world)
    readers_show(world, 5.0)
    on_writer(world, client, READ)
    readers_show(world, 5.0, reader_2=0.1)
    on_reader(world, client_of(world), READ, number=2)
    assert routes(world)["without_reader"] == {"too-far-behind": 1}


def test_a_hint_says_how_far_behind_a_reader_may_be(world: World) -> None:
    client = client_of(world)
    readers_show(world, 0.4)
    on_writer(world, client, query("/* fanin: max_lag=100 */ SELECT a FROM t"))
    on_reader(world, client_of(world), READ)


def test_reads_that_fall_back_on_the_writer_are_limited(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=3)
    place_among(world, fallback_rate=1.0)
    readers_show(world, None)
    one, other = client_of(world), client_of(world)
    on_writer(world, one, READ)
    other.sends(READ)
    assert state(world, other) == "placing"
    world.tick(0.5)
    assert state(world, other) == "placing"
    world.tick(0.5)
    runs(other, READ, world.server.last, ANSWER)
    assert world.shared.placing is not None and world.shared.placing.waits == 1


def test_a_read_that_waits_for_its_turn_on_the_writer_goes_to_the_reader_that_comes_back(
    make_world: MakeWorld,
) -> None:
    world = make_world(readers=1, pool_size=3)
    place_among(world, fallback_rate=1.0)
    readers_show(world, None)
    one, other = client_of(world), client_of(world)
    on_writer(world, one, READ)
    other.sends(READ)
    readers_show(world, 0.0)
    runs(other, READ, reader_end(world), ANSWER)


def test_a_read_does_not_wait_for_ever(make_world: MakeWorld) -> None:
    world = make_world(readers=1, pool_size=3)
    placing = place_among(world, fallback_rate=0.01, acquire_timeout=2.0)
    readers_show(world, None)
    one, other = client_of(world), client_of(world)
    on_writer(world, one, READ)
    other.sends(READ)
    world.tick(1.9)
    other.gets_nothing()
    world.tick(0.2)
    other.gets_error(1040, "too-far-behind (reader-1: its lag is not known)")
    assert routes(world)["events"] == {"waited-for-reader": 1, "refused": 1}
    assert placing.waiting == {} and state(world, other) == "ready"


def test_a_read_may_wait_for_a_reader_before_it_goes_to_the_writer(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, fallback=TO_WAIT, fallback_wait=0.5)
    readers_show(world, None)
    client = client_of(world)
    client.sends(READ)
    world.tick(0.4)
    client.gets_nothing()
    world.tick(0.2)
    runs(client, READ, world.server.last, ANSWER)


def test_a_read_may_be_refused_at_once(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, fallback=TO_FAIL)
    readers_show(world, None)
    client = client_of(world)
    client.sends(READ, query("INSERT INTO t VALUES (2)"))
    client.gets_error(1040, "no reader for this read")
    runs(client, query("INSERT INTO t VALUES (2)"), world.server.last, ok())


def test_who_leaves_no_longer_waits(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    placing = place_among(world, fallback=TO_WAIT, fallback_wait=0.5)
    readers_show(world, None)
    client = client_of(world)
    client.sends(READ)
    client.leaves()
    assert placing.waiting == {}


def test_a_kill_ends_the_wait_for_a_reader(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    placing = place_among(world, fallback=TO_WAIT, fallback_wait=0.5)
    readers_show(world, None)
    client, killer = client_of(world), client_of(world)
    client.sends(READ)
    killer.sends(query(f"KILL QUERY {client.connection_id}"))
    killer.gets(ok())
    client.gets_error(1317)
    assert placing.waiting == {} and state(world, client) == "ready"


def test_the_writer_may_have_a_share_of_the_reads(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    readers_show(world, None)
    placing.table.writer.name = world.writer.name
    placing.table.writer.weight = 1.0
    on_writer(world, client_of(world), READ)
    assert routes(world)["writer"] == {"proved-read": 1}


def test_a_single_server_is_no_cluster_that_could_be_drowned(make_world: MakeWorld) -> None:
    world = make_world()
    place_among(world, fallback_rate=1.0)
    client = client_of(world)
    for _ in range(3):
        on_writer(world, client, READ)


def test_nobody_queues_at_a_reader_while_another_has_room(world: World) -> None:
    """Though by its weight the first should have nine times as many."""
    placing = world.shared.placing
    assert placing is not None
    placing.table.readers[READER_1].contender.weight = 9.0
    holders = [client_of(world) for _ in range(2)]
    for holder in holders:
        on_reader(world, holder, BEGIN_READ, ok(IN_TRANS))
    on_reader(world, client_of(world), READ, number=2)


def test_who_waits_counts_as_load(make_world: MakeWorld) -> None:
    world = make_world(readers=2, pool_size=1)
    place_among(world)
    clients = [client_of(world) for _ in range(6)]
    for client in clients:
        client.sends(READ)
    assert [endpoint.core.waiting_count for endpoint in world.shared.readers] == [2, 2]


# The reader listener


def listener_client(world: World) -> FakeClient:
    client = world.connects(Doorway(True, False, None, False))
    client.logs_in(capabilities=NEW_CLIENT)
    return client


def test_the_reader_listener_is_for_readers_that_are_near_enough(world: World) -> None:
    readers_show(world, 5.0, reader_2=0.1)
    on_reader(world, listener_client(world), READ, number=2)
    on_reader(world, listener_client(world), query("SET NAMES utf8mb4"), ok(), number=2)
    assert routes(world)["reader"] == {"reader-listener": 2}


def test_its_reads_and_transactions_fall_back_on_the_writer_and_nothing_else_does(world: World) -> None:
    readers_show(world, 5.0)
    on_writer(world, listener_client(world), READ)
    on_reader(world, listener_client(world), WRITE, error(1290, "--read-only"))
    for wire in (BEGIN, BEGIN_READ, query("START TRANSACTION READ WRITE")):
        client = listener_client(world)
        on_writer(world, client, wire, ok(IN_TRANS))
        on_writer(world, client, COMMIT, ok())
    client.sends(query("BEGIN; INSERT INTO t VALUES (1)"))
    client.gets_error(1040, "too-far-behind")


def test_without_any_reader_its_writes_are_refused(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    for name in ("reader-1", "reader-2"):
        placing.table.set_role(name, False, 0, 0.0)
    client = listener_client(world)
    client.sends(WRITE)
    client.gets_error(1040, "no-readers. See")


def test_until_the_servers_have_been_heard_it_has_the_readers_that_are_configured(world: World) -> None:
    placing = world.shared.placing
    assert placing is not None
    for name in ("reader-1", "reader-2"):
        placing.table.set_role(name, False, 0, 0.0)
    world.shared.cluster = Unheard()  # type: ignore[assignment]
    on_reader(world, listener_client(world), READ)


def test_until_then_reads_on_the_writer_are_not_limited(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, fallback_rate=1.0)
    readers_show(world, None)
    world.shared.cluster = Unheard()  # type: ignore[assignment]
    client = client_of(world)
    on_writer(world, client, READ)
    on_writer(world, client, READ)


class Unheard:
    """A cluster of which nothing is known yet."""

    is_known = False


# The rest


def test_texts_longer_than_a_packet_are_looked_at_whole(make_world: MakeWorld) -> None:
    world = make_world(readers=1, max_packet=1 << 26)
    place_among(world)
    text = "SELECT a FROM t WHERE a <> '" + "x" * (1 << 24) + "'"
    client = client_of(world)
    client.sends(query(text))
    server = world.server.last
    assert len(server.got()) == 1
    server.answers(ok(sequence_id=2))
    client.gets(ok(sequence_id=2))
    client.sends(prepare(text))
    assert len(server.got()) == 1
    server.answers(error(1146, sequence_id=2))
    client.gets(error(1146, sequence_id=2))
    server.answers(ok())
    assert routes(world)["writer"] == {"not-proved": 2}


def test_what_begins_a_session_is_not_counted(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world)
    world.server.init_connect = b"DO 0"
    world.shared.forget_baseline()
    client = client_of(world)
    server = world.server.last
    server.gets(query("DO 0"))
    server.answers(ok())
    placement = world.frontend(client).placement
    assert placement is not None and not placement.view.is_fenced()


def test_what_is_written_in_a_transaction_that_init_connect_began_is_noticed(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world)
    world.server.init_connect = b"START TRANSACTION"
    world.shared.forget_baseline()
    client = client_of(world)
    server = world.server.last
    server.gets(query("START TRANSACTION"))
    server.answers(ok(IN_TRANS))
    on_writer(world, client, WRITE, ok(IN_TRANS))
    placement = world.frontend(client).placement
    assert placement is not None and placement.is_dirty
    assert routes(world)["writer"] == {"held": 1, "not-proved": 1}
    on_writer(world, client, COMMIT, ok())
    assert placement.view.is_fenced()


def test_after_a_change_of_user_the_new_one_is_asked_for(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    place_among(world, names=Names(writer_users=("other",)))
    client = client_of(world)
    on_reader(world, client, READ)
    placement = world.frontend(client).placement
    assert placement is not None and placement.vector is not None
    client.sends(CHANGE_USER)
    assert placement.vector is None


def test_eventual_reads_do_not_make_readers_be_looked_at_more_often(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    placing = place_among(world, consistency=EVENTUAL)
    client = client_of(world)
    world.tick(1)
    on_writer(world, client, WRITE, ok())
    assert not placing.is_hurried
    on_reader(world, client, READ)


@pytest.mark.parametrize("text", ["FLUSH TABLES", "CREATE TABLE n (a INT)", "ANALYZE TABLE t"])
@pytest.mark.parametrize("command", [query, prepare])
def test_what_commits_on_its_own_account_is_never_for_readers(
    make_world: MakeWorld, text: str, command: Callable[[str], bytes]
) -> None:
    """No server refuses all of it to everybody, and it is written to the binary log. It is prepared where it runs."""
    world = make_world(readers=1)
    place_among(world)
    client = client_of(world)
    for setting, status, change in (
        ("SET SESSION TRANSACTION READ ONLY", AUTOCOMMIT, ("transaction_read_only", "ON")),
        ("SET autocommit = 0", 0, ("autocommit", "OFF")),
    ):
        client.sends(query(setting))
        world.backend().got()
        world.backend().answers(ok(status, changes=changed(change)))
        client.got()
    client.sends(command(text))
    world.backend().gets(command(text))
