"""Processes and strangers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bench.realfleet.plan import Plan
from bench.realfleet.stage import Sidecar, Strangers, numbers_of, targets_of
from tests.bench.fakes import FakeServer, error, until


class At:
    """Where a server would be."""

    host = "127.0.0.1"
    port = 3306


def test_a_sidecar_has_the_settings_of_the_plan(tmp_path: Path) -> None:
    sidecar = Sidecar(At(), Plan(idle_timeout=7.0, pool_size=9), 3)  # type: ignore[arg-type]
    command = sidecar.command(tmp_path)
    assert command[command.index("--pool-size") + 1] == "9"
    config = Path(command[command.index("--config") + 1])
    assert tomllib.loads(config.read_text()) == {
        "application": "shop-3",
        "pool": {"idle_timeout": 7, "acquire_timeout": 20},
    }
    assert sidecar.process_id is None and numbers_of([sidecar]) == {}
    assert [target.port for target in targets_of([sidecar], At())] == [sidecar.port]  # type: ignore[arg-type]


async def test_strangers_come_and_leave(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = Strangers(fake.target, 3)
    await strangers.come()
    assert strangers.count == fake.open == 3 and not strangers.refused
    strangers.leave()
    assert strangers.count == 0
    await until(lambda: fake.open == 0)


async def test_strangers_that_are_refused_are_remembered(fake: FakeServer) -> None:
    fake.refusal = error(1040, b"Too many connections")[4:]
    strangers = Strangers(fake.target, 2)
    await strangers.come()
    assert strangers.refused == ["login 1040", "login 1040"] and strangers.count == 0
