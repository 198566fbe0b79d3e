"""Tables, JSON and the page tell the same."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from bench.report import WIDTH, Peer
from bench.suite.bars import Verdict
from bench.suite.report import HEADS, page, peer_cells, print_row, print_verdicts, summary, write
from bench.suite.rows import rows
from bench.suite.stage import Played
from tests.bench.outcomes import outcome

ROW = next(row for row in rows() if row.key == "point")
FANIN = Peer("fanin", (outcome(user_us=10.0, system_us=20.0), outcome(user_us=30.0, system_us=20.0)))
HAPROXY = Peer("haproxy", (outcome(user_us=5.0, system_us=15.0), outcome(user_us=10.0, system_us=15.0)))
PLAYED = Played(ROW, [FANIN, HAPROXY], ["proxysql: ProxySQL is not on PATH"])
FAILED = Played(ROW, failure="no <server>")


def printed(*all_played: Played) -> str:
    out = Console(file=StringIO(), width=WIDTH, highlight=False)
    for each in all_played:
        print_row(out, each)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def test_summary_has_medians_and_ratios() -> None:
    told = summary(FANIN, [FANIN, HAPROXY])
    assert told["total_us"] == 40.0
    assert told["ratio_to_haproxy_rounds"] == [1.5, 2.0]
    assert told["user_ratio_to_haproxy_rounds"] == [2.0, 3.0]
    assert summary(FANIN, [FANIN])["ratio_to_haproxy_rounds"] == []


def test_row_is_printed_with_what_a_reader_must_know() -> None:
    text = printed(PLAYED)
    assert "point: point: 200 clients, 50 busy, pool of 50" in text
    assert "1.75 (1.50-2.00)" in text and "p95 ms" in text
    assert "proxysql: ProxySQL is not on PATH" in text
    assert "the load's own share of a core: fanin 50%, haproxy 50%" in text
    assert "not measured: no <server>" in printed(FAILED)


def test_figures_of_a_load_have_a_line_of_their_own() -> None:
    storm = Peer("fanin", (outcome(figures={"storm_served": 5.0}), outcome(figures={"storm_served": 7.0})))
    assert "fanin: storm served 6.0 (5.0-7.0)" in printed(Played(ROW, [storm]))


def test_verdicts_have_a_line_each() -> None:
    out = Console(file=StringIO(), width=WIDTH)
    print_verdicts(out, [Verdict("a", "b", "<= 1", "2", False), Verdict("c", "d", "<= 1", "-", None)])
    assert isinstance(out.file, StringIO)
    assert out.file.getvalue().count("MISSED") == 1


def test_files_hold_everything_and_need_no_other(tmp_path: Path) -> None:
    json_path, html_path = tmp_path / "new" / "x.json", tmp_path / "x.html"
    assert write([PLAYED, FAILED], "make bench", json_path, html_path) == [json_path, html_path]
    content = json.loads(json_path.read_text())
    first, second = content["rows"]
    assert first["verdicts"][0]["what"] == "CPU per query, x HAProxy's"
    assert (len(first["outcomes"]), second["failure"]) == (4, "no <server>")
    html = html_path.read_text()
    assert "src='data:image/png;base64," in html and "http" not in html
    assert "MISSED" in html and "no &lt;server&gt;" in html and "make bench" in html
    assert write([PLAYED], "x", None, None) == []


def test_page_without_any_figure_is_a_page() -> None:
    assert "not measured" in page([FAILED], "x")


def test_floor_has_no_ratio_to_itself() -> None:
    cells = dict(zip(HEADS, peer_cells(HAPROXY, HAPROXY), strict=True))
    assert cells["x HAProxy"] == "-" and cells["p95 ms"] == "3.00"
    assert dict(zip(HEADS, peer_cells(FANIN, HAPROXY), strict=True))["user x"] == "2.50 (2.00-3.00)"
