"""What a query costs in counts, which are the same on any machine and however busy it is: system calls, and instructions of the path without sockets.

Bounds are one system call, and half as many instructions again as there were when they were set. A bound that is missed says that something is done on the path of each query that was not done
before: find it, or, where it is worth that, say so in the commit that raises the bound.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.client import Connection, Target
from bench.fanin_process import FaninProcess
from bench.servers import Server
from bench.workload import Step
from protocol.speed import COMPILED
from tests.bench import system_calls
from tests.bench.query_path import NAMES
from tests.bench.system_calls import Calls, counted

ROOT: Final = Path(__file__).parents[2]
FEW, MANY = 200, 1000
COUNT: Final = 500
GENEROUS: Final = 1.5

CALLS: Final = 6.0
"""Read the query, write it to the server, read the answer, write it to the client, and two looks at what is ready."""
INSTRUCTIONS: Final = (
    {"point": 12_200, "rows100": 54_000, "transaction": 22_100, "prepared": 18_600, "queue": 16_500}
    if COMPILED
    else {
        "point": 138_000,
        "rows100": 1_128_000,
        "transaction": 262_000,
        "prepared": 136_000,
        "queue": 190_000,
    }
)


@pytest.fixture
def fanin(mariadb: Server) -> Iterator[FaninProcess]:
    with FaninProcess(f"{mariadb.host}:{mariadb.port}", pool_size=4, max_clients=50) as process:
        yield process


async def calls_of(count: int, fanin: FaninProcess, step: Step, folder: Path) -> Calls:
    """System calls of so many queries of one client, one after the other."""
    client = await Connection.open(Target("127.0.0.1", fanin.port))
    try:
        await client.run(step)
        try:
            with counted(fanin.pid, folder) as calls:
                for _ in range(count):
                    await client.run(step)
        except OSError as error:
            pytest.skip(f"nobody may look at a process here: {error}")
    finally:
        client.close()
    return calls


@pytest.mark.mariadb
@pytest.mark.skipif(
    system_calls.tool() is None, reason="neither strace nor perf here: apt-get install strace"
)
@pytest.mark.parametrize("text", ["SELECT 1", "SELECT seq FROM seq_1_to_100"])
async def test_system_calls_of_a_query(text: str, fanin: FaninProcess, tmp_path: Path) -> None:
    few = await calls_of(FEW, fanin, Step(text), tmp_path)
    many = await calls_of(MANY, fanin, Step(text), tmp_path)
    # what happens now and then happens in both
    per_query = (many.total() - few.total()) / (MANY - FEW)
    assert 4 <= per_query < CALLS + 1, (per_query, many)


def test_tables_of_both_tools_are_read() -> None:
    strace = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 55.61    0.002300           5       402           sendto
 44.39    0.001836           2       806         2 epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.004136           3      1208         2 total
"""
    perf = """
 Summary of events:

 python (123), 58 events, 90.6%

   syscall            calls  errors  total       min       avg       max       stddev
                                     (msec)    (msec)    (msec)    (msec)        (%)
   --------------- --------  ------ -------- --------- --------- ---------     ------
   sendto               402      0     1.234     0.001     0.002     0.010      1.00%
 worker (124), 2 events, 1.0%
   sendto                 2      0     0.234     0.001     0.002     0.010      1.00%
"""
    assert system_calls.read(strace) == {"sendto": 402, "epoll_wait": 806}
    assert system_calls.read(perf) == {"sendto": 404}


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Of one query or transaction on each path."""
    if shutil.which("valgrind") is None or shutil.which("vgdb") is None:
        pytest.skip("valgrind is not here: apt-get install valgrind")
    folder = tmp_path_factory.mktemp("callgrind")
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out"]
    subprocess.run(
        [
            *command,
            f"--vgdb-prefix={folder}/vgdb",
            sys.executable,
            "-m",
            "tests.bench.query_path",
            str(COUNT),
        ],
        cwd=ROOT,
        env={**os.environ, "VGDB_PREFIX": f"{folder}/vgdb"},
        check=True,
        capture_output=True,
        timeout=170,
    )
    found = {}
    for dump in folder.glob("out.*"):
        text = dump.read_text()
        if (name := re.search(r"^desc: Trigger: dump (\w+)$", text, re.MULTILINE)) and (
            total := re.search(r"^totals: (\d+)$", text, re.MULTILINE)
        ):
            found[name[1]] = int(total[1]) / COUNT
    if not any(found.values()):
        pytest.skip("callgrind cannot be told when to count here: vgdb does not reach it")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_instructions_of_a_query_without_sockets(name: str, instructions: dict[str, float]) -> None:
    assert 1000 < instructions[name] <= INSTRUCTIONS[name] * GENEROUS
