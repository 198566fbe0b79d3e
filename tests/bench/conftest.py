"""Fixtures of this folder's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.bench.fakes import FakeServer


@pytest.fixture
async def fake() -> AsyncIterator[FakeServer]:
    server = FakeServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials warm up for a moment only."""
    monkeypatch.setattr("bench.trial.WARM_UP", 0.1)
    monkeypatch.setattr("bench.trial.SETTLE", 0.1)
