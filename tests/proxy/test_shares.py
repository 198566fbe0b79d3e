"""What one worker may have: connections that go, and those that may come."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.endpoint_rules import EndpointRules
from proxy.shares import LOOKS, PATIENCE, SETTLES, Shares, bound_of, bounds_of, name_of
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SELECT = query("SELECT 1")
BEGIN = query("BEGIN")
USERS = {"users": [{"name": "app", "password": "secret", "max_backends": 3}]}
DATABASES = {"databases": [{"name": "shop", "max_backends": 3}]}


class Scene:
    """The first of two workers."""

    def __init__(self, world: World, *, is_known: bool = True, **begun: int) -> None:
        self.world = world
        self.told: list[Any] = []
        world.shared.workers = 2
        self.shares = Shares(world.shared, world.settings, begun, lambda *told: self.told.append(told))
        if is_known:
            self.finds()

    def finds(self) -> None:
        """The endpoint."""
        self.world.loop.call(self.shares.adopt, self.world.writer)

    def moved(self, **moves: int) -> None:
        self.world.loop.call(self.shares.moved, moves)

    def passes(self, seconds: float) -> None:
        self.world.loop.advance(seconds)

    def clients(self, count: int, **login: Any) -> list[FakeClient]:
        """So many, each with a transaction or waiting for a backend."""
        found = [self.world.client(**login) for _ in range(count)]
        for client in found:
            before = len(self.world.server.ends)
            client.sends(BEGIN)
            if len(self.world.server.ends) > before:
                self.world.backend().answers(ok(IN_TRANS))
                client.got()
        return found

    def ends(self, client: FakeClient, server: ServerEnd) -> None:
        client.sends(query("COMMIT"))
        server.got()
        server.answers(ok())
        client.gets(ok())


def test_a_worker_begins_with_its_part(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=5))
    scene.clients(4)
    assert scene.world.pool() == "3 leased, 1 waiting"
    assert scene.world.writer.size == 5


def test_or_with_what_the_parent_says(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=5), writer=1)
    scene.clients(4)
    assert scene.world.pool() == "1 leased, 3 waiting"


def test_demands_are_told_when_they_change_and_last_for_a_moment(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=5))
    assert scene.shares.demands() == {"writer": 0}
    assert scene.shares.demands() == {}
    first = scene.clients(4)[0]
    assert scene.shares.demands() == {"writer": 4}
    scene.ends(first, scene.world.server.ends[0])
    told = [scene.shares.demands() for _ in range(11)]
    assert told == [{}] * 9 + [{"writer": 3}, {}]


def test_what_is_given_is_used_at_once(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6))
    clients = scene.clients(5)
    assert scene.world.pool() == "3 leased, 2 waiting"
    scene.moved(writer=1)
    scene.world.backend().answers(ok(IN_TRANS))
    clients[3].got()
    assert (scene.world.pool(), scene.told) == ("4 leased, 1 waiting", [])


def test_what_is_idle_is_given_back_when_the_server_has_closed_it(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6))
    clients = scene.clients(3)
    first, second, _ = scene.world.server.ends
    for client, server in zip(clients, (first, second), strict=False):
        scene.ends(client, server)
        server.hangs_up = False
    scene.moved(writer=-2)
    assert (scene.world.pool(), scene.told) == ("1 leased", [])
    first.closes()
    scene.passes(LOOKS)
    # the server may count it yet
    assert scene.told == []
    scene.passes(SETTLES + 2 * LOOKS)
    assert scene.told == [("gave", {"writer": 1})]
    second.closes()
    scene.passes(1)
    assert scene.told == [("gave", {"writer": 1})] * 2
    scene.clients(1)
    assert scene.world.pool() == "1 leased, 1 waiting"


def test_what_no_connection_has_is_given_back_at_once(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6))
    scene.moved(writer=-2)
    assert scene.told == [("gave", {"writer": 2})]


def test_what_is_given_before_its_endpoint_is_known_adds_to_what_it_begins_with(
    make_world: MakeWorld,
) -> None:
    scene = Scene(make_world(pool_size=6), is_known=False)
    scene.moved(writer=2)
    assert scene.shares.demands() == {"writer": 0}
    scene.finds()
    scene.clients(6)
    assert scene.world.pool() == "5 leased, 1 waiting"


def test_what_is_asked_for_before_its_endpoint_is_known_is_given_back_at_once(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6, tables=USERS), is_known=False)
    scene.moved(**{"writer": -2, name_of("writer", "user", "app"): -1})
    assert scene.told == [("gave", {"writer": 2, name_of("writer", "user", "app"): 1})]
    scene.finds()
    scene.clients(2)
    assert scene.world.pool() == "1 leased, 1 waiting"


def test_a_replacement_is_given_more_of_what_it_does_not_know_yet(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6), is_known=False, writer=1)
    scene.moved(writer=1)
    scene.finds()
    scene.clients(3)
    assert scene.world.pool() == "2 leased, 1 waiting"


def test_a_worker_may_have_nothing_for_a_while(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=2), writer=0)
    scene.clients(1)
    assert (scene.world.pool(), scene.shares.demands()) == ("1 waiting", {"writer": 1})
    scene.moved(writer=1)
    scene.world.backend().answers(ok(IN_TRANS))
    assert scene.world.pool() == "1 leased"
    scene.moved(writer=-1)
    client, server = scene.world.clients[0], scene.world.backend()
    client.got()
    scene.ends(client, server)
    server.closes()
    scene.passes(1)
    assert (scene.world.pool(), scene.told) == ("", [("gave", {"writer": 1})])


def test_a_connection_counts_for_its_endpoint_its_user_and_all_databases(make_world: MakeWorld) -> None:
    rules = EndpointRules(make_world(pool_size=8, tables={**USERS, **DATABASES}).settings)
    names = [name_of("db"), name_of("db", "user", "app"), name_of("db", "database", "shop")]
    assert bounds_of(rules, "db", "app") == names
    assert bounds_of(rules, "db", "\udcff") == [names[0], names[2]]


def test_a_workers_part_of_the_reserve_does_not_depend_on_its_part_of_the_pool(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=20, pool={"reserve": 1}))
    core = scene.world.writer.core
    assert (core.max_size, core.bound) == (10, 9)
    scene.moved(writer=-9)
    # the last one is for whoever comes
    assert (core.max_size, core.bound) == (1, 1)
    clients = scene.clients(2)
    assert (scene.world.pool(), scene.shares.demands()["writer"]) == ("1 leased, 1 waiting", 2)
    scene.moved(writer=7)
    scene.world.backend().answers(ok(IN_TRANS))
    scene.clients(6)
    # a reserve is none of what it waits for
    assert (core.bound, scene.world.pool()) == (7, "7 leased, 1 waiting")
    assert scene.shares.demands()["writer"] == 9
    clients[1].got()


def test_what_is_leased_is_given_back_later(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6))
    clients = scene.clients(3)
    scene.moved(writer=-1)
    scene.passes(10)
    assert (scene.world.pool(), scene.told) == ("3 leased", [])
    server = scene.world.server.ends[0]
    scene.ends(clients[0], server)
    server.closes()
    scene.passes(1)
    assert (scene.world.pool(), scene.told) == ("2 leased", [("gave", {"writer": 1})])


def test_a_server_that_does_not_close_is_left(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=4))
    clients = scene.clients(2)
    server = scene.world.server.ends[0]
    scene.ends(clients[0], server)
    server.hangs_up = False
    scene.moved(writer=-1)
    scene.passes(PATIENCE / 2)
    assert not server.is_aborted
    scene.passes(PATIENCE)
    assert server.is_aborted
    scene.passes(1)
    assert scene.told == [("gave", {"writer": 1})]


def test_where_the_server_has_no_room_more_is_not_asked_for(make_world: MakeWorld) -> None:
    scene = Scene(make_world(pool_size=6))
    scene.world.loop.call(scene.world.writer.resize, 1)
    scene.clients(5)
    assert scene.shares.demands() == {"writer": 3}


def test_a_budget_is_told_what_there_may_be(make_world: MakeWorld) -> None:
    allowed: list[int] = []

    class Budgets:
        def allow(self, endpoint: object, most: int) -> None:
            allowed.append(most)

    world = make_world(pool_size=6)
    world.shared.budgets = Budgets()  # type: ignore[assignment]
    scene = Scene(world)
    scene.moved(writer=2)
    assert allowed == [3, 5]
    world.shared.budgets = None


def test_a_users_limit_is_shared(make_world: MakeWorld) -> None:
    world = make_world(pool_size=8, tables=USERS)
    name = name_of("writer", "user", "app")
    scene = Scene(world)
    clients = scene.clients(3)
    assert (world.pool(), scene.shares.demands()[name]) == ("2 leased, 1 waiting", 3)
    scene.moved(**{name: 1})
    assert world.pool() == "3 leased"
    world.backend().answers(ok(IN_TRANS))
    clients[2].got()
    scene.moved(**{name: -3})
    assert scene.told == []
    for client, server in zip(clients, world.server.ends, strict=True):
        scene.ends(client, server)
        server.closes()
    scene.passes(1)
    assert scene.told == [("gave", {name: 3})]
    client = world.client()
    client.sends(SELECT)
    assert world.pool() == "1 waiting"
    # it has nothing, and says so once in a second
    told = [scene.shares.demands().get(name) for _ in range(25)]
    assert told.count(1) == 2 + (told[0] == 1) and told.count(None) >= 22
    scene.moved(**{name: 1})
    world.backend().answers(ok())
    client.gets(ok())


def test_a_databases_limit_is_shared(make_world: MakeWorld) -> None:
    world = make_world(pool_size=8, tables=DATABASES)
    name = name_of("writer", "database", "shop")
    scene = Scene(world)
    clients = scene.clients(3, schema=b"shop")
    assert (world.pool(), scene.shares.demands()[name]) == ("2 leased, 1 waiting", 3)
    scene.moved(**{name: 1})
    assert world.pool() == "3 leased"
    world.backend().answers(ok(IN_TRANS))
    clients[2].got()
    scene.moved(**{name: -2})
    assert scene.told == []
    scene.ends(clients[0], world.server.ends[0])
    scene.passes(1)
    assert scene.told == [("gave", {name: 1})]


def test_what_is_left_of_a_server_that_comes_again_counts(make_world: MakeWorld) -> None:
    scene = Scene(world := make_world(pool_size=6))
    (client,) = scene.clients(1)
    former = world.writer
    world.loop.call(former.drain)
    world.shared.others.append(former)
    again = world._endpoint(world.server, "writer")
    world.writer = world.shared.writers[0] = again
    world.loop.call(scene.shares.adopt, again)
    assert again.core.max_size == 2
    scene.ends(client, world.server.ends[0])
    world.server.ends[0].closes()
    scene.passes(1)
    for _ in range(2):
        world.loop.call(scene.shares.demands)
        scene.passes(1)
    assert again.core.max_size == 3


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        (name_of("db:3306"), (8, 1)),
        (name_of("db:3306", "user", "app"), (3, 0)),
        (name_of("db:3306", "database", "a\tb"), (2, 0)),
    ],
)
def test_a_bound_is_told_by_its_name(name: str, bound: tuple[int, int], make_world: MakeWorld) -> None:
    tables = {**USERS, "databases": [{"name": "a\tb", "max_backends": 2}]}
    assert bound_of(make_world(pool_size=8, tables=tables).settings, name) == bound
