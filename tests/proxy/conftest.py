"""Fixtures of this folder's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy import logs
from tests.fakes.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    """Makes worlds and looks, when the test has passed, whether each was left clean."""
    worlds: list[World] = []

    def make(**parts: Any) -> World:
        worlds.append(World(**parts))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A pool of one, in front of one server."""
    return make_world()


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """Logging is as it was when the test has ended."""
    yield
    logs.restore_defaults()
