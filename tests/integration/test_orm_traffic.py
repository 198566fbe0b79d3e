"""What ORMs send, from 40 sessions on a pool of 4: nobody is pinned, nobody sees anything of another, hardly anything is restored.

The sessions are those of `python -m bench fanin --workload django` and the like: they check every row, insert id and warning.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bench.client import Target
from bench.load import Group, Load
from bench.servers import HOST, Server
from bench.workload import Workload
from bench.workloads import workload_of
from tests.integration.fixtures import MakeFanin
from tests.integration.running import PATIENCE, Fanin, run

SESSIONS = 40
POOL_SIZE = 4
TURNS = 600


async def played(load: Load, fanin: Fanin) -> dict[str, float]:
    """Let the sessions play some hundred turns; what Fanin has counted meanwhile."""
    await load.open()
    load.start()
    # a wave over all sessions first: what comes after it is the steady state
    await has_played(load, SESSIONS)
    before = counted(fanin)
    await has_played(load, SESSIONS + TURNS)
    after = counted(fanin)
    await load.stop()
    load.close()
    return {name: after[name] - before[name] for name in after}


async def has_played(load: Load, turns: int) -> None:
    async with asyncio.timeout(4 * PATIENCE):
        while load.turns < turns and not load.errors:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)


def counted(fanin: Fanin) -> dict[str, float]:
    names = ("queries", "pinned_commands", "leases", "restores", "pins")
    return {name: fanin.metric(f"fanin_{name}_total") for name in names}


def prepared(workload: Workload, root: Any) -> Workload:
    """The workload, its tables made."""
    run(root, "USE app")
    for statement in workload.schema(SESSIONS):
        run(root, statement)
    return workload


def traffic(fanin: Fanin, workload: Workload, active: int) -> dict[str, float]:
    """What came of it: nothing wrong, nothing pinned."""
    load = Load([Group(Target(HOST, fanin.port), workload, SESSIONS, active)])
    found = asyncio.run(played(load, fanin))
    assert dict(load.examples) == {}
    assert found["queries"] > TURNS
    assert (found["pins"], found["pinned_commands"]) == (0, 0)
    return found


@pytest.mark.parametrize("name", ["django", "sqlalchemy", "rails"])
def test_sessions_of_one_framework_are_hardly_ever_restored(
    name: str, fanin: MakeFanin, server: Server, root: Any
) -> None:
    workload = prepared(workload_of(name, f"one_{name}_"), root)
    found = traffic(fanin(server, pool_size=POOL_SIZE), workload, active=POOL_SIZE // 2)
    assert found["restores"] < found["leases"] / 100


def test_sessions_of_all_frameworks_that_queue_see_only_what_is_theirs(
    fanin: MakeFanin, server: Server, root: Any
) -> None:
    traffic(
        fanin(server, pool_size=POOL_SIZE), prepared(workload_of("orm", "all_"), root), active=4 * POOL_SIZE
    )
