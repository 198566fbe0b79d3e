import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.client import ClientError, Target, control
from bench.meters import (
    TICKS,
    Cpu,
    FaninPages,
    ProcessMeter,
    ServerWatch,
    Sharing,
    machine,
    read_lines,
    stat_of,
    status,
    total,
)
from bench.servers import Server
from protocol.packets import Column, text_resultset
from tests.bench.fakes import FakeServer, error
from tests.processes import started

WORKER = """
import sys
for line in sys.stdin:
    block = bytearray(64 << 20)
    del block
    print("had 64 MB", flush=True)
"""
"""Takes a lot of memory for a moment, each time that it gets a line."""


def status_row(name: bytes, value: bytes) -> bytes:
    return text_resultset([Column(b"a"), Column(b"b")], [[name, value]], status=2, deprecate_eof=False)


def test_meter_sees_this_process_work() -> None:
    meter = ProcessMeter(os.getpid())
    used = time.process_time()
    before = meter.cpu()
    # user and system are whole ticks each
    assert before.total >= used - 2 / TICKS
    while (meter.cpu() - before).total <= 0:
        pass
    assert meter.memory() > 1 << 20


def test_meter_sees_threads_wait_and_memory_come_and_go() -> None:
    command = [sys.executable, "-c", WORKER]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        meter = ProcessMeter(worker.pid)

        def told() -> str:
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            return worker.stdout.readline()

        assert told() == "had 64 MB\n"
        high = meter.peak_memory()
        assert high > 64 << 20
        meter.forget_peak()
        low, switches = meter.peak_memory(), meter.switches()
        assert low < high - (60 << 20) and abs(low - meter.memory()) < 4 << 20
        assert told() == "had 64 MB\n"
        assert meter.peak_memory() - low > 60 << 20
        assert meter.switches() > switches


def test_meter_includes_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid, children in ((1, "2 3"), (2, ""), (3, "4"), (4, "")):
        task = tmp_path / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "children").write_text(children)
        fields = ["S", *"0" * 10, "100", "50", *"0" * 8, "7"]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}")
    monkeypatch.setattr("bench.meters.PROC", tmp_path)
    monkeypatch.setattr("bench.meters.TICKS", 100)
    monkeypatch.setattr("bench.meters.PAGE", 4096)
    meter = ProcessMeter(1)
    assert meter.cpu() == Cpu(4.0, 2.0)
    assert meter.memory() == 4 * 7 * 4096


def test_switches_of_a_thread_that_has_ended_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for thread in ("1", "2"):
        status_of = tmp_path / "1" / "task" / thread / "status"
        status_of.parent.mkdir(parents=True)
        status_of.write_text("voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n")
    monkeypatch.setattr("bench.meters.PROC", tmp_path)
    meter = ProcessMeter(1)
    assert meter.switches() == 14
    status_of.unlink()
    assert meter.switches() == 14


def test_process_that_has_ended_counts_as_nothing() -> None:
    meter = ProcessMeter(2**22 + 1)
    assert (meter.cpu(), meter.memory()) == (Cpu(0, 0), 0)
    assert stat_of(2**22 + 1) == []


async def test_status_is_a_number(fake: FakeServer) -> None:
    fake.answers["SHOW GLOBAL STATUS LIKE 'Uptime'"] = status_row(b"Uptime", b"17")
    async with control(fake.target) as ask:
        assert await status(ask, "Uptime") == 17


async def test_watch_leaves_out_the_connection_that_asks(fake: FakeServer) -> None:
    fake.answers["SHOW GLOBAL STATUS LIKE 'Threads_connected'"] = status_row(b"Threads_connected", b"41")
    fake.answers["SHOW GLOBAL STATUS LIKE 'Max_used_connections'"] = status_row(
        b"Max_used_connections", b"45"
    )
    async with control(fake.target) as first, control(fake.target) as second:
        watch = ServerWatch([first, second])
        assert watch.servers == 2
        assert await watch.connected() == (40, 40)
        assert await watch.peak() == (44, 44)


async def test_peak_cannot_be_forgotten_without_the_privilege(fake: FakeServer) -> None:
    fake.answers["FLUSH LOCAL STATUS"] = error(1227, b"you need RELOAD")
    async with control(fake.target) as ask:
        assert not await ServerWatch([ask]).forget_peak()


async def test_real_servers_count_their_peak_anew(server: Server) -> None:
    target = Target(server.host, server.port)
    async with control(target) as ask:
        watch = ServerWatch([ask])
        assert await watch.forget_peak()
        before = await watch.connected()
        async with control(target), control(target):
            pass
        (peak,) = await watch.peak()
        assert peak >= before[0] + 2


def test_machine_says_where_and_when() -> None:
    facts = machine()
    assert set(facts) == {"date", "cpu", "cores", "kernel", "python"}
    assert all(facts.values())


def test_file_that_cannot_be_read_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none") == []


PAGE = """# HELP fanin_pins_total Pins that were set.
fanin_pins_total{reason="get-lock"} 2.0
fanin_pins_total{reason="temporary-table"} 3.0
fanin_leases_total 1e+06
"""


def test_samples_of_a_metric_are_added_up() -> None:
    assert [total(PAGE, f"fanin_{name}_total") for name in ("pins", "leases", "lease")] == [5, 1_000_000, 0]


def test_sharing_of_a_window_is_a_difference() -> None:
    assert Sharing(9, 8, 7, 6, 5, 4) - Sharing(1, 2, 3, 4, 5, 4) == Sharing(8, 6, 4, 2, 0, 0)


async def test_pages_that_nobody_serves_are_an_error() -> None:
    with pytest.raises(ClientError, match="cannot read http"):
        await FaninPages("127.0.0.1:1").sharing()
