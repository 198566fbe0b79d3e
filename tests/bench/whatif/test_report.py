"""What came of a replay, for people and for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from bench.whatif.replay import traffic_of
from bench.whatif.report import page, picture, print_answer, remark, write_json
from bench.whatif.search import Answer, answer
from proxy.recording import FREE
from tests.bench.whatif.samples import recorded, steady

RECORDED = recorded(steady(20), size=4, open=4)


def found() -> Answer:
    return answer(traffic_of(RECORDED, RECORDED.pools[0], 1), wait=0.005)


def test_the_table_has_what_was_measured_and_what_is_recommended() -> None:
    out = Console(width=200, record=True, file=io.StringIO())
    print_answer(out, RECORDED, found())
    text = out.export_text()
    assert "writer: 191 leases in 10 s, 100.0% of the sessions recorded, room for 4 connections" in " ".join(
        text.split()
    )
    assert "pool.size = 11" in text and "wait p50 ms" in text


def test_the_page_needs_no_other_file() -> None:
    png = picture([found()])
    assert png.startswith(b"\x89PNG")
    text = page(RECORDED, [found()], png)
    assert "data:image/png;base64," in text and "class='bold'" in text and "class='red'" in text
    assert "http" not in text


def test_the_json_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "whatif.json"
    write_json(path, RECORDED, [found()], 1)
    content = json.loads(path.read_text())
    (pool,) = content["pools"]
    assert (pool["enough"], pool["recommended"]) == (9, 11)
    assert pool["measured"]["leases"] == pool["pool"]["leases"] == 191
    assert {"size", "wait_p99", "timeouts", "connections"} <= set(pool["results"][0])


def test_waits_that_were_not_for_the_pool_are_told() -> None:
    assert remark(RECORDED, found()) == ""
    # nobody has the backend, and yet the session waits
    stalled = recorded([(1, 1.0, 1.5, 2.0, FREE)], size=4, open=4)
    traffic = traffic_of(stalled, stalled.pools[0], 1)
    text = remark(stalled, answer(traffic, wait=0.005))
    assert text.startswith("The replay with 4 connections has waits of 0.0 ms (p99) and not 500.0 ms")
