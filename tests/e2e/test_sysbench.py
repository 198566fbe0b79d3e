"""sysbench: 16 threads on a pool of 4, without an error and without a reconnect."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from bench.servers import HOST, PASSWORD, USER, Server
from tests.integration.fixtures import MakeFanin
from tests.integration.running import Fanin

THREADS = 16
SECONDS = 2


@pytest.fixture
def four(fanin: MakeFanin, server: Server) -> Fanin:
    if shutil.which("sysbench") is None:
        pytest.skip("sysbench is not installed")
    return fanin(server, pool_size=4)


def sysbench(port: int, schema: str, command: str, *options: str) -> str:
    done = subprocess.run(
        [
            "sysbench",
            "oltp_read_write",
            "--db-driver=mysql",
            f"--mysql-host={HOST}",
            f"--mysql-port={port}",
            f"--mysql-user={USER}",
            f"--mysql-password={PASSWORD}",
            f"--mysql-db={schema}",
            "--tables=4",
            "--table-size=1000",
            *options,
            command,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("prepared", ["disable", "auto"])
def test_read_write_load_has_no_errors(prepared: str, four: Fanin, server: Server) -> None:
    if not server.sql("SHOW DATABASES LIKE 'sbtest'"):
        server.sql("CREATE DATABASE sbtest")
        sysbench(four.port, "sbtest", "prepare")
    pinned = four.metric("fanin_pins_total")
    printed = sysbench(
        four.port,
        "sbtest",
        "run",
        f"--threads={THREADS}",
        f"--time={SECONDS}",
        f"--db-ps-mode={prepared}",
        "--skip-trx=off",
    )
    assert int(found(r"transactions: +(\d+)", printed)) > THREADS
    # deadlocks between its own transactions are the server's answers, and sysbench begins those anew
    assert int(found(r"reconnects: +(\d+)", printed)) == 0
    assert "FATAL" not in printed
    assert four.metric("fanin_pins_total") == pinned
    endpoint = four.endpoint()
    assert sum(endpoint[state] for state in ("opening", "idle", "parked", "leased", "resetting")) <= 4


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]
