import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.client import Connection, Target
from bench.load import Group
from bench.servers import Server
from bench.storm import READY, Storm, storm
from protocol.packets import build_err
from tests.bench.fakes import FakeServer, until
from tests.bench.test_load import Script

ROOT = Path(__file__).parents[2]


async def test_all_log_in_at_once(fake: FakeServer) -> None:
    connections: list[Connection] = []
    seen = await storm(fake.target, 20, connections)
    assert seen["served"] == len(connections) == 20 and seen["errors"] == {}
    assert fake.open == 20
    for connection in connections:
        connection.close()


async def test_who_is_refused_is_counted(fake: FakeServer) -> None:
    fake.refusal = build_err(1040, b"08004", b"Too many connections")
    seen = await storm(fake.target, 5, [])
    assert seen["served"] == 0 and seen["errors"] == {"login 1040": 5}


@pytest.mark.mariadb
async def test_others_work_during_a_storm_on_a_real_server(mariadb: Server) -> None:
    target = Target(mariadb.host, mariadb.port)
    load = Storm([Group(target, Script("SELECT {number}"), clients=4, active=2)], target, 30)
    await load.open()
    load.start()
    load.begin_window()
    await load.window(0.0)
    await load.stop()
    load.close()
    assert load.errors == {} and load.queries > 0
    assert (load.figures["storm_served"], load.figures["storm_missing"]) == (30, 0)
    assert load.figures["storm_seconds"] > 0 and load.figures["storm_p99"] > 0


async def test_clients_of_a_storm_stay_until_it_is_over(fake: FakeServer) -> None:
    load = Storm([], fake.target, 3)
    await load.open()
    await load.window(0.0)
    assert fake.open == 3
    await load.stop()
    await until(lambda: fake.open == 0)
    load.close()
    assert load.errors == {}


async def test_failed_logins_are_errors_of_the_load(fake: FakeServer) -> None:
    load = Storm([], fake.target, 3)
    await load.open()
    fake.refusal = build_err(1040, b"08004", b"Too many connections")
    await load.window(0.0)
    await load.stop()
    load.close()
    assert load.errors == {"storm: login 1040": 3} and load.figures["storm_missing"] == 3


async def test_storm_that_was_not_wanted_goes_away(fake: FakeServer) -> None:
    load = Storm([], fake.target, 3)
    await load.open()
    load.close()
    assert load._process is not None
    assert await load._process.wait() != 0
    assert fake.most_open == 0


async def test_storm_that_does_not_end_is_an_error(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.storm.STORM_TIMEOUT", 0.0)
    load = Storm([], fake.target, 3)
    await load.open()
    await load.window(0.0)
    assert load.errors == {"no answer": 1}
    await load.stop()
    load.close()


def test_process_without_a_line_does_nothing() -> None:
    command = [sys.executable, "-m", "bench.storm", "127.0.0.1", "1", "2"]
    silent = subprocess.run(command, cwd=ROOT, input=b"", stdout=subprocess.PIPE, check=False)
    assert (silent.returncode, silent.stdout) == (1, READY.encode())
    asked = subprocess.run(command, cwd=ROOT, input=b"go\n", stdout=subprocess.PIPE, check=True)
    ready, printed = asked.stdout.splitlines(keepends=True)
    assert ready == READY.encode() and json.loads(printed)["errors"] == {"connect": 2}
