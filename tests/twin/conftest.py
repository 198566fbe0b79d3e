"""Fixtures of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.servers import Server
from tests.integration.fixtures import shared_fanins
from tests.integration.running import Shared
from tests.twin.hunt import among_readers
from tests.twin.stage import POOL, Stage

__all__ = ["reader_stage", "shared_fanins", "stage", "stages"]


@pytest.fixture(scope="module")
def stages() -> Iterator[dict[int, Stage]]:
    """Those that a module's tests have in common, by the server's port."""
    found: dict[int, Stage] = {}
    yield found
    for stage in found.values():
        stage.__exit__()


@pytest.fixture
def stage(server: Server, stages: dict[int, Stage], shared_fanins: Shared) -> Stage:
    """One for each of the run's servers."""
    if server.port not in stages:
        stages[server.port] = Stage(server, {"": shared_fanins.fanin(server, pool=POOL)})
    return stages[server.port]


@pytest.fixture(scope="module")
def reader_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A cluster of a kind, with a Fanin for each thing that it does with readers."""
    with among_readers(request.param) as stage:
        yield stage
