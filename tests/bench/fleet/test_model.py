"""The server, the sidecars and their clients do what they say."""

from __future__ import annotations

import pytest

from bench.fleet.direct import RECYCLE, Direct
from bench.fleet.model import Sidecar, Simulation


class Scene(Simulation):
    """One sidecar before one server."""

    def __init__(
        self, limit: int = 10, clients: int = 4, size: int = 4, kind: type[Sidecar] = Sidecar
    ) -> None:
        super().__init__(1, limit, 0.01, ((1.0, 0.01),))
        self.sidecar = kind(self, clients, size)


def test_clients_are_served_and_connections_counted() -> None:
    scene = Scene()
    scene.events.run(2.0)
    assert scene.tally.served > 200 and scene.tally.errors == 0
    assert scene.server.connected == scene.server.opened == scene.sidecar.core.size <= 4
    # nobody waits where each may have his own, but for its opening
    assert scene.tally.all_waits().percentile(90) == 0


def test_as_many_ask_as_think() -> None:
    scene = Scene(limit=1000, clients=50, size=50)
    scene.events.run(2.0)
    served = scene.tally.served
    scene.events.run(4.0)
    # each of 50 asks once in twenty milliseconds
    assert scene.tally.served - served == pytest.approx(5000, rel=0.05)
    assert scene.sidecar.leased_seconds == pytest.approx(4.0 * 25, rel=0.1)


def test_who_wants_less_asks_less_often() -> None:
    scene = Scene(limit=1000, clients=100, size=100)
    scene.load.think = 1.0
    scene.thinking.changed()
    scene.sidecar.demand = 0.1
    scene.events.run(100.0)
    assert scene.tally.served == pytest.approx(1000, rel=0.2)


def test_a_change_is_felt_at_once() -> None:
    scene = Scene(limit=1000, clients=100, size=100)
    scene.load.think = 1000.0
    scene.thinking.changed()
    scene.events.run(1.0)
    served = scene.tally.served
    scene.load.factor = 1000.0
    scene.thinking.changed()
    scene.events.run(2.0)
    assert scene.tally.served - served > 50


def test_who_finds_none_waits() -> None:
    scene = Scene(size=1)
    scene.events.run(2.0)
    assert scene.server.peak == 1
    assert scene.tally.all_waits().percentile(50) > 0
    assert scene.sidecar.waiting > 0


def test_a_server_that_is_full_refuses() -> None:
    scene = Scene(limit=2)
    refused: list[Sidecar] = []
    scene.sidecar.refused = refused.append
    scene.events.run(2.0)
    assert scene.server.peak == scene.server.connected == 2
    assert scene.server.refused == len(refused) > 0
    assert scene.tally.errors == 0


def test_others_have_what_there_is_room_for() -> None:
    scene = Scene()
    scene.events.run(1.0)
    scene.server.occupy(100)
    assert scene.server.connected == scene.server.peak == 10


@pytest.mark.parametrize("kind", [Sidecar, Direct])
def test_a_crash_ends_connections_and_clients_come_back(kind: type[Sidecar]) -> None:
    scene = Scene(kind=kind, size=2)
    scene.sidecar.watch()
    scene.events.run(1.0)
    leased = scene.sidecar.leased_seconds
    scene.sidecar.stop()
    assert scene.server.connected == 0
    scene.events.run(2.0)
    errors, served = scene.tally.errors, scene.tally.served
    assert errors > 0 and scene.server.connected == 0
    assert scene.sidecar.leased_seconds == leased
    scene.sidecar.start()
    scene.events.run(4.0)
    assert scene.tally.served > served and scene.server.connected > 1
    # who waited at the crash as well
    scene.load.factor = 0.001
    scene.thinking.changed()
    scene.events.run(4.5)
    assert scene.sidecar.waiting == 0 and scene.thinking.count == 4


def test_without_a_proxy_everybody_has_a_connection() -> None:
    scene = Scene(kind=Direct)
    scene.events.run(2.0)
    assert scene.server.connected == scene.server.opened == 4
    assert scene.tally.errors == 0 and scene.sidecar.waiting == 0
    assert scene.sidecar.leased_seconds > 1.0


def test_or_an_error_when_it_is_refused() -> None:
    scene = Scene(kind=Direct, limit=3)
    scene.events.run(2.0)
    assert scene.server.connected == 3
    assert scene.server.refused == pytest.approx(scene.tally.errors, abs=1) and scene.tally.errors > 10


def test_and_a_new_one_when_that_is_old() -> None:
    scene = Scene(kind=Direct, clients=40, limit=100)
    scene.load.think = 1.0
    scene.thinking.changed()
    scene.events.run(5.0)
    opened = scene.server.opened
    scene.events.run(5.0 + RECYCLE)
    # once each, spread over the time
    assert scene.server.opened - opened == pytest.approx(40, abs=6)
