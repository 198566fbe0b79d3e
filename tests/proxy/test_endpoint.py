"""The shell of a pool: what becomes of the core's actions."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.packets import build_err
from proxy import tasks
from proxy.endpoint import Endpoint
from proxy.reasons import CloseReason
from tests.fakes.client import FakeClient
from tests.fakes.scenes import in_transaction
from tests.fakes.server import REFUSED_FULL, ServerEnd
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, OLD_CLIENT, PING, QUIT, RESET, ok, query, rows
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SELECT = query("SELECT 1")
BEGIN = query("BEGIN")


def ended(client: FakeClient, server: ServerEnd) -> None:
    client.sends(query("COMMIT"))
    server.got()
    server.answers(ok())
    client.gets(ok())


# Opening


def test_a_backend_is_opened_in_the_state_of_the_session_that_wants_it(world: World) -> None:
    client = world.client(schema=b"shop", capabilities=OLD_CLIENT | int(Capability.FOUND_ROWS))
    client.sends(SELECT)
    login = world.backend().login
    assert login is not None and login.database == b"shop"
    assert login.capabilities & Capability.FOUND_ROWS
    assert world.counters.backends_opened == 1


def test_never_more_backends_than_the_bound(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    clients = [world.client() for _ in range(10)]
    for client in clients:
        client.sends(BEGIN)
    assert (len(world.server.ends), world.pool()) == (3, "3 leased, 7 waiting")


def test_a_backend_of_another_user_makes_room_and_is_gone_before_the_new_one_comes(world: World) -> None:
    client, other = world.client(), world.client(user=b"other", password=b"other")
    client.sends(SELECT)
    old = world.backend()
    old.answers(ok())
    old.got()
    other.sends(SELECT)
    assert (old.is_closed, old.is_aborted) == (True, False)
    world.backend().gets(SELECT)
    assert world.counters.backend_closes[CloseReason.EVICTED.value] == 2


def test_a_connection_that_will_not_end_is_broken_off_before_another_takes_its_place(world: World) -> None:
    client, other = world.client(), world.client(user=b"other", password=b"other")
    client.sends(SELECT)
    old = world.backend()
    old.answers(ok())
    old.got()
    old.stops_reading()
    other.sends(SELECT)
    assert world.backend() is old
    world.loop.advance(4.9)
    assert world.backend() is old
    world.loop.advance(0.2)
    assert old.is_aborted
    world.backend().gets(SELECT)


def test_opening_is_tried_again_while_somebody_waits(world: World) -> None:
    world.server.is_down = True
    client = world.client()
    client.sends(SELECT)
    assert (world.pool(), world.writer.is_answering) == ("1 waiting", False)
    assert "Connection refused" in world.writer.last_failure
    world.server.is_down = False
    world.tick(1)
    world.backend().gets(SELECT)
    assert (world.writer.is_answering, world.writer.last_failure) == (True, "")
    assert world.counters.open_failures == 1


def test_who_waits_for_a_server_that_stays_down_is_told_the_cause(world: World) -> None:
    world.server.is_down = True
    client = world.client()
    client.sends(SELECT)
    for _ in range(49):
        world.tick(0.1)
    client.gets_nothing()
    world.tick(0.1)
    world.tick(0.1)
    client.gets_error(2003, "Connection refused")
    # one line for the cause, however often it was tried
    assert world.log.warnings() == ["cannot open a backend"]


def test_a_full_server_is_up(world: World) -> None:
    world.server.refusal = REFUSED_FULL
    client = world.client()
    client.sends(SELECT)
    assert world.writer.is_answering
    world.tick(5.1)
    client.gets_error(1040, "Too many connections")


class Told:
    """Hears of refusals; says why a pool is small."""

    def __init__(self) -> None:
        self.refused_of: list[tuple[str, int]] = []
        self.refused_users: list[tuple[str, bytes]] = []
        self.shortage = ""

    def refused(self, endpoint: Endpoint, code: int) -> None:
        self.refused_of.append((endpoint.name, code))

    def refused_user(self, endpoint: Endpoint, user: bytes) -> None:
        self.refused_users.append((endpoint.name, user))

    def in_words(self, endpoint: Endpoint) -> str:
        return self.shortage


@pytest.mark.parametrize(
    ("code", "text", "is_told", "is_told_of_user"),
    [
        (1040, "no", True, False),
        (1135, "no", True, False),
        (1203, "more than 'max_user_connections'", False, True),
        (1226, "the 'max_user_connections' resource", False, True),
        # another attempt would make that worse
        (1226, "the 'max_connections_per_hour' resource", False, False),
        (1045, "no", False, False),
        (2003, "no", False, False),
    ],
)
def test_of_a_server_that_has_too_many_connections_the_budget_hears(
    world: World, code: int, text: str, is_told: bool, is_told_of_user: bool
) -> None:
    told = world.writer.budget = Told()
    world.server.refusal = build_err(code, b"", text.encode(), before_handshake=True)
    world.client().sends(SELECT)
    assert told.refused_of == ([("writer", code)] if is_told else [])
    assert told.refused_users == ([("writer", b"app")] if is_told_of_user else [])


@pytest.mark.parametrize("code", [1203, 1226])
def test_a_user_whom_the_server_allows_no_more_has_fewer_and_others_as_many_as_ever(
    make_world: MakeWorld, code: int
) -> None:
    world = make_world(pool_size=6)
    clients = [world.client() for _ in range(4)]
    for client in clients:
        client.sends(BEGIN)
        world.backend().got()
        world.backend().answers(ok(IN_TRANS))
        client.gets(ok(IN_TRANS))
    late, other = world.client(), world.client(user=b"other", password=b"other")
    world.server.refusal = build_err(code, b"", b"no", before_handshake=True)
    late.sends(SELECT)
    assert [(tenant.name, tenant.most) for tenant in world.writer.core.users()] == [
        (b"app", 2),
        (b"other", 0),
    ]
    assert world.writer.core.max_size == 6
    world.server.refusal = None
    other.sends(SELECT)
    assert any(end.got() for end in world.server.open_ends)
    for _ in range(40):
        world.tick(1)
    assert {tenant.name: tenant.most for tenant in world.writer.core.users()} == {b"app": 4, b"other": 0}
    for _ in range(30):
        world.tick(1)
    assert {tenant.name: tenant.most for tenant in world.writer.core.users()} == {b"app": 5, b"other": 0}


def test_a_bound_that_is_lowered_and_raised(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    told = world.writer.budget = Told()
    assert (world.writer.size, world.writer.open_count()) == (3, 0)
    clients = [world.client() for _ in range(3)]
    for client in clients:
        client.sends(BEGIN)
        world.backend().got()
        world.backend().answers(ok(IN_TRANS))
        client.gets(ok(IN_TRANS))
    assert world.writer.open_count() == 3
    world.loop.call(world.writer.resize, 1)
    told.shortage = "server nearly full: bound 1 of 3"
    late = world.client()
    late.sends(SELECT)
    assert world.pool() == "3 leased, 1 waiting"
    world.tick(5.1)
    late.gets_error(1040, "server nearly full: bound 1 of 3")
    for number in (0, 1):
        ended(clients[number], world.server.ends[number])
    assert (world.pool(), world.writer.size) == ("1 leased", 3)
    world.loop.call(world.writer.resize, 2)
    late.sends(SELECT)
    assert world.pool() == "2 leased"


@pytest.mark.parametrize("is_silent", [False, True])
def test_opening_may_be_cancelled_at_any_point(make_world: MakeWorld, is_silent: bool) -> None:
    for turn in range(1000):
        world = make_world()
        client = world.client()
        world.server.is_silent = is_silent
        world.loop.call_soon(client.transport.deliver, SELECT)
        for _ in range(turn + 1):
            world.loop.step()
        opening = [task for task in tasks.running() if task.get_name() == "open writer"]
        if not opening and world.writer.core.leased_count:
            assert turn > 3
            return
        if is_silent and turn > 20:
            return
        for task in opening:
            task.cancel()
        world.loop.settle()
        # the waiter is still there, and gets another one
        assert world.pool() in ("1 waiting", "1 opening, 1 waiting", "1 leased"), turn
        world.server.is_silent = False
        world.tick(0.2)
        world.backend().gets(SELECT)
        world.backend().answers(ok())
        assert world.pool() == "1 idle"
    raise AssertionError("opening never ends")


# Killing what a client left behind


def test_killing_may_be_cancelled_at_any_point(make_world: MakeWorld) -> None:
    for turn in range(1000):
        world = make_world()
        client = world.client()
        client.sends(SELECT)
        world.server.answers_itself = lambda payload: ok()
        world.loop.call_soon(client.transport.deliver_end)
        for _ in range(turn + 2):
            world.loop.step()
        killing = [task for task in tasks.running() if task.get_name() == "kill writer"]
        if not killing:
            assert turn > 3
            return
        for task in killing:
            task.cancel()
        world.loop.settle()
        assert (world.pool(), world.server.open_ends) == ("", []), turn
        assert not world.writer.side_lock.locked()
    raise AssertionError("killing never ends")


def test_kills_go_one_after_the_other_on_one_side_connection(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    clients = [world.client() for _ in range(3)]
    for client in clients:
        client.sends(BEGIN)
    for client in clients:
        client.leaves()
    assert len(world.server.open_ends) == 4
    for _ in range(3):
        killer = world.backend()
        (asked,) = killer.got()
        assert asked.startswith(b"\x03KILL ")
        killer.answers(ok())
    assert (world.server.open_ends, world.pool()) == ([], "")


def test_the_next_begins_when_the_server_has_closed_the_one_before(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    clients = [world.client() for _ in range(2)]
    for client in clients:
        client.sends(BEGIN)
    for client in clients:
        client.leaves()
    killer = world.backend()
    killer.hangs_up = False
    killer.got()
    killer.answers(ok())
    killer.gets(QUIT)
    assert (world.backend(), killer.is_closed) == (killer, False)
    killer.closes()
    second = world.backend()
    assert second is not killer
    second.hangs_up = False
    second.got()
    second.answers(ok())
    assert world.writer.side_lock.locked()
    world.loop.advance(world.writer.target.connect_timeout + 1)
    assert second.is_aborted and not world.writer.side_lock.locked()


def test_of_side_connections_that_are_refused_the_budget_hears_too(world: World) -> None:
    client = world.client()
    client.sends(BEGIN)
    told = world.writer.budget = Told()
    world.server.refusal = REFUSED_FULL
    client.leaves()
    assert told.refused_of == [("writer", 1040)]


# Resetting


def test_a_reset_backend_is_in_the_baseline_but_for_its_schema(make_world: MakeWorld) -> None:
    world = make_world()
    client, other = world.client(schema=b"shop"), world.client(schema=b"shop", capabilities=NEW_CLIENT)
    server = in_transaction(world, client)
    client.leaves()
    server.gets(RESET)
    server.answers(ok())
    server.got()
    server.answers(ok())
    assert (world.pool(), world.counters.resets) == ("1 idle", 1)
    other.sends(SELECT)
    # it is the same, but character_set_database is not
    assert server.got() == [b"\x02shop"]
    server.answers(ok())
    server.gets(SELECT)
    server.answers(rows(b"1"))
    other.gets(rows(b"1"))


def test_a_backend_that_would_lose_ignore_space_is_closed_and_not_reset(world: World) -> None:
    client = world.client(capabilities=OLD_CLIENT | int(Capability.IGNORE_SPACE))
    server = in_transaction(world, client)
    client.leaves()
    assert (world.pool(), server.is_closed) == ("", True)


# Limits and classes


def test_a_user_has_no_more_backends_than_allowed(make_world: MakeWorld) -> None:
    tables = {"users": [{"name": "other", "max_backends": 1}]}
    world = make_world(pool_size=4, tables=tables)
    clients = [world.client(user=b"other", password=b"other") for _ in range(3)]
    for client in clients:
        client.sends(BEGIN)
    assert world.pool() == "1 leased, 2 waiting"
    app = world.client()
    app.sends(BEGIN)
    assert world.pool() == "2 leased, 2 waiting"


def test_a_database_has_no_more_leases_than_allowed(make_world: MakeWorld) -> None:
    tables = {"databases": [{"name": "shop", "max_backends": 1}]}
    world = make_world(pool_size=4, tables=tables)
    first, second = world.client(schema=b"shop"), world.client(schema=b"shop")
    server = in_transaction(world, first)
    second.sends(BEGIN)
    other = world.client()
    in_transaction(world, other)
    assert world.pool() == "2 leased, 1 waiting"
    ended(first, server)
    server.gets(BEGIN)
    assert world.pool() == "2 leased"


@pytest.mark.parametrize(
    ("attributes", "is_first"),
    [
        ({}, False),
        ({b"fanin_priority": b"interactive"}, True),
        ({b"fanin_priority": b"batch"}, False),
        ({b"fanin_priority": b"urgent"}, False),
    ],
)
def test_a_batch_gives_way(make_world: MakeWorld, attributes: dict[bytes, bytes], is_first: bool) -> None:
    tables = {"users": [{"name": "app", "password": "secret", "priority": "batch"}]}
    world = make_world(tables=tables)
    holder, batch = world.client(), world.client(attributes=attributes)
    interactive = world.client(attributes={b"fanin_priority": b"interactive"})
    server = in_transaction(world, holder)
    batch.sends(query("SELECT 'batch'"))
    interactive.sends(query("SELECT 'interactive'"))
    ended(holder, server)
    server.gets(query("SELECT 'batch'" if is_first else "SELECT 'interactive'"))


# Time


def test_idle_backends_are_closed_in_order(make_world: MakeWorld) -> None:
    world = make_world(pool={"idle_timeout": 60})
    client = world.client()
    client.sends(SELECT)
    server = world.backend()
    server.answers(ok())
    server.got()
    world.tick(59)
    assert world.pool() == "1 idle"
    world.tick(2)
    server.gets(b"\x01\0\0\0\x01")
    assert (world.pool(), server.is_closed, server.is_aborted) == ("", True, False)


def test_backends_end_before_the_server_ends_them(make_world: MakeWorld) -> None:
    world = make_world(pool={"idle_timeout": 60})
    world.server.globals = b"STRICT|SYSTEM|utf8mb4|utf8mb4_bin|1|20|20"
    client = world.client()
    client.sends(SELECT)
    server = world.backend()
    server.answers(ok())
    world.tick(14.9)
    assert world.pool() == "1 idle"
    world.tick(0.2)
    assert (world.pool(), server.is_aborted) == ("", False)


def test_what_was_needed_of_late_is_kept_a_little_longer(make_world: MakeWorld) -> None:
    world = make_world(pool={"idle_timeout": 60})
    world.writer.minute = 1000
    client = world.client()
    server = in_transaction(world, client)
    world.tick()
    ended(client, server)
    world.tick(61)
    assert world.pool() == "1 idle"
    world.tick(45)
    assert world.pool() == ""
    assert world.writer.expected.needed() == 1


def test_min_idle_is_kept_for_those_who_have_logged_in(make_world: MakeWorld) -> None:
    world = make_world(pool_size=5, pool={"min_idle": 2})
    client = world.client()
    world.tick()
    assert world.pool() == ""
    client.sends(SELECT)
    world.backend().answers(ok())
    world.tick()
    assert world.pool() == "2 idle"


def test_a_backend_of_great_age_is_replaced_when_it_is_free(make_world: MakeWorld) -> None:
    world = make_world(pool={"max_age": 100, "age_jitter": 0})
    client = world.client()
    server = in_transaction(world, client)
    world.tick(101)
    assert world.pool() == "1 leased"
    ended(client, server)
    assert (world.pool(), server.is_closed) == ("", True)
    assert world.counters.backend_closes == {"max-age": 1}


# Ending


def test_a_drain_closes_what_is_free_and_lets_the_rest_finish(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    client, other = world.client(), world.client()
    held = in_transaction(world, client)
    free = in_transaction(world, other)
    ended(other, free)
    world.loop.call(world.writer.drain)
    assert (world.pool(), free.is_closed, held.is_closed) == ("1 leased", True, False)
    other.sends(SELECT, PING)
    got = other.got()
    assert b"Server shutdown in progress" in got and got.endswith(ok())
    ended(client, held)
    assert (world.pool(), held.is_closed) == ("", True)


# What others ask


def test_the_holders_of_a_pool_are_told_by_what_they_do(make_world: MakeWorld) -> None:
    world = make_world(pool_size=4)
    transaction, pinned, both, running = (world.client() for _ in range(4))
    in_transaction(world, transaction)
    world.loop.advance(2)
    for client, text in ((pinned, "SELECT GET_LOCK('x', 1)"), (both, "SELECT GET_LOCK('y', 1)")):
        client.sends(query(text))
        world.backend().answers(rows(b"1"))
    both.sends(query("CREATE TEMPORARY TABLE t (a INT)"))
    world.backend().answers(ok())
    running.sends(SELECT)
    assert world.writer.holders() == (
        "pool of writer has 4 of 4 leased: 1 in transaction, 2 pinned (2 user-lock, 1 temporary-table), 1 running; "
        "the oldest lease is 2.0 s old (in transaction, application test, user app from 192.0.2.1:40000)"
    )
    assert world.writer.demand() == 4


def test_who_waited_in_vain_learns_who_has_the_pool_but_not_what_they_run(make_world: MakeWorld) -> None:
    world = make_world(pool_size=1)
    holder, other = world.client(), world.client()
    in_transaction(world, holder)
    other.sends(query("SELECT 'secret'"))
    world.tick(5.1)
    text = other.gets_error(1040).message.decode()
    assert len(text) < 512
    assert text == (
        "Fanin: no server connection became free within 5.1 s: pool of writer has 1 of 1 leased: 1 in transaction, "
        "0 pinned, 0 running; the oldest lease is 5.1 s old (in transaction, application test, user app from 192.0.2.1:40000)."
        " Shorten transactions, raise pool.size, or see /state for who pins"
    )


def test_a_killed_query_holds_its_backend_and_is_named(world: World) -> None:
    assert world.writer.holders() == "pool of writer has 0 of 1 leased: 0 in transaction, 0 pinned, 0 running"
    client = world.client()
    client.sends(SELECT)
    world.backend()
    world.server.is_silent = True
    client.leaves()
    assert world.writer.holders() == (
        "pool of writer has 1 of 1 leased: 0 in transaction, 0 pinned, 0 running, 1 being killed; "
        "the oldest lease is 0.0 s old"
    )
    world.tick(6)


def test_backends_that_began_with_other_global_variables_are_replaced(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    first, second = world.client(), world.client(schema=b"shop")
    first.sends(query("DO 0"))
    old = world.backend()
    old.answers(ok())
    world.server.globals = b"changed"
    second.sends(query("DO 0"))
    new = world.backend()
    assert new is not old and old.is_closed
    new.answers(ok())
    first.sends(query("DO 0"))
    world.backend().answers(ok())
    assert world.log.warnings() == ["global variables have changed: backends are replaced"]
    assert not new.is_closed


# Those that leave


def test_what_is_over_the_bound_leaves_when_the_server_has_closed_it(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    world.writer.leaving = []
    for client in [world.client(), world.client()]:
        client.sends(BEGIN)
        world.backend().answers(ok(IN_TRANS))
        client.got()
    first, second = world.server.ends
    for client, server in zip(world.clients, (first, second), strict=True):
        ended(client, server)
    first.hangs_up = False
    world.loop.call(world.writer.resize, 1)
    assert (world.pool(), first.is_closed) == ("1 idle", False)
    (leaving,) = world.writer.leaving
    assert not leaving.is_gone()
    first.closes()
    assert leaving.is_gone()
    # others are closed at once, and are known as well
    world.loop.call(world.writer.retire_all)
    assert second.is_closed and len(world.writer.leaving) == 2
