"""A writer and two readers in memory, with commands placed among them. Lag is what the test says."""

from __future__ import annotations

from typing import Any

from proxy.observation import Observation, ReplicaRow, ReplicationStatus
from proxy.placing import Placing
from proxy.placing_rules import PlacingRules
from proxy.readers import ReaderTable
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, ok
from tests.fakes.world import World

READER_1, READER_2 = "reader-1", "reader-2"


def first() -> float:
    """In place of a random number."""
    return 0.0


def place_among(world: World, *, consistency: int = 1, max_lag: float = 1.0, **rules: Any) -> Placing:
    """From now on the world's readers get commands, and show everything that is committed before now."""
    table = ReaderTable(max_lag=max_lag, interval=1.0, consistency=consistency)
    placing = Placing(table, PlacingRules(**{"autocommit_reads": True, **rules}))
    placing.clock = world.loop.time
    placing.random = first
    placing.endpoints[world.writer.name] = world.writer
    table.add(world.writer.name)
    for endpoint in world.shared.readers:
        placing.endpoints[endpoint.name] = endpoint
        table.add(endpoint.name)
        table.set_role(endpoint.name, True, 0, world.loop.time())
        table.readers[endpoint.name].server_id = endpoint.name
    world.shared.placing = placing
    readers_show(world, 0.0)
    return placing


def readers_show(world: World, lag: float | None, **lags: float | None) -> None:
    """The writer's table says now how far the readers are behind (by the name with _ for -); those who wait are placed anew."""
    placing = world.shared.placing
    assert placing is not None
    now = world.loop.time()
    rows = tuple(
        ReplicaRow(endpoint.name, False, lags.get(endpoint.name.replace("-", "_"), lag), 0, 0.0, None)
        for endpoint in world.shared.readers
    )
    seen = Observation(
        server_id="writer", is_writer=True, clock=round(now * 1e6), taken_at=now, round_trip=0.0, rows=rows
    )
    placing.table.observed(world.writer.name, seen, True)
    world.loop.call(placing.look)


def readers_have(world: World, position: str, written: str, is_mariadb: bool = False) -> None:
    """The writer and then every reader are looked at, and say that they are at these GTIDs; no reader is behind in time."""
    placing = world.shared.placing
    assert placing is not None
    now = world.loop.time()
    status = (ReplicationStatus("1", "writer", 3306, True, True, 0.0, ""),)

    def look(name: str, is_writer: bool, position: str) -> None:
        seen = Observation(
            server_id=name,
            is_writer=is_writer,
            clock=round(now * 1e6),
            taken_at=now,
            round_trip=0.0,
            replication=() if is_writer else status,
            position=position,
            is_mariadb=is_mariadb,
        )
        placing.table.observed(name, seen, is_writer)

    look(world.writer.name, True, written)
    for endpoint in world.shared.readers:
        look(endpoint.name, False, position)
    world.loop.call(placing.look)


def reader_end(world: World, number: int = 1) -> ServerEnd:
    """The newest connection to a reader."""
    return world.reader_servers[number - 1].last


def runs(server: ServerEnd, wire: bytes) -> None:
    """A connection in a read-only transaction, or none, gets this, after what prepares it."""
    while (got := server.got()) != [wire[4:]]:
        assert got
        server.answers(ok(IN_TRANS | 0x2000))
