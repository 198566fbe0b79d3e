"""The server, the sidecars and their clients do what they say."""

from __future__ import annotations

from bench.fleet.events import Events
from bench.fleet.model import Load, Sidecar, SimServer, Tally


class Scene:
    """One sidecar before one server."""

    def __init__(self, limit: int = 10, clients: int = 4, size: int = 4, service: float = 0.01) -> None:
        self.events = Events(1)
        self.server = SimServer(limit)
        self.tally = Tally()
        load = Load(0.01, ((1.0, service),))
        self.sidecar = Sidecar(self.events, self.server, load, self.tally, clients, size)


def test_clients_are_served_and_connections_counted() -> None:
    scene = Scene()
    scene.events.run(2.0)
    assert scene.tally.waits.total > 200 and scene.tally.errors == 0
    assert scene.server.connected == scene.server.opened == scene.sidecar.core.size <= 4
    # nobody waits where each may have his own, but for its opening
    assert scene.tally.waits.percentile(90) == 0


def test_who_finds_none_waits() -> None:
    scene = Scene(size=1)
    scene.events.run(2.0)
    assert scene.server.peak == 1
    assert scene.tally.waits.percentile(50) > 0


def test_a_server_that_is_full_refuses() -> None:
    scene = Scene(limit=2)
    refused: list[Sidecar] = []
    scene.sidecar.refused = refused.append
    scene.events.run(2.0)
    assert scene.server.peak == scene.server.connected == 2
    assert scene.server.refused == len(refused) > 0
    assert scene.tally.errors == 0


def test_a_crash_ends_connections_and_clients_come_back() -> None:
    scene = Scene()
    scene.events.run(1.0)
    scene.sidecar.stop()
    assert scene.server.connected == 0
    scene.events.run(2.0)
    errors, served = scene.tally.errors, scene.tally.waits.total
    assert errors > 0 and scene.server.connected == 0
    scene.sidecar.start()
    scene.events.run(4.0)
    assert scene.tally.waits.total > served and scene.server.connected > 0
