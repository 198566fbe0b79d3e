import json
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.meters import Sharing
from bench.report import (
    WIDTH,
    Peer,
    brief,
    comparison_table,
    console,
    counts,
    cpu,
    draw,
    further_table,
    milliseconds,
    number,
    outcome_table,
    percent,
    print_remarks,
    ranged,
    remarks,
    share,
    size,
    write_json,
)
from tests.bench.outcomes import OUTCOME, outcome

DIRECT = outcome(
    name="direct",
    user_us=None,
    system_us=None,
    cpu_share=None,
    proxy_memory=None,
    proxy_memory_per_client=None,
)


def printed(table: Table) -> list[list[str]]:
    """The cells of a table as it is printed, line by line."""
    out = Console(file=StringIO(), width=WIDTH, highlight=False)
    out.print(table)
    assert isinstance(out.file, StringIO)
    lines = out.file.getvalue().splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    assert "…" not in out.file.getvalue()
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_numbers_are_easy_to_read() -> None:
    assert [number(1234.5), number(1234.56, 1), number(None)] == ["1,234", "1,234.6", "-"]
    assert [milliseconds(1.26), milliseconds(123.4)] == ["1.3 ms", "123 ms"]
    assert [size(1433.6), size(3 << 20), size(None)] == ["1.4 KB", "3.0 MB", "-"]
    assert [counts([40]), counts([15, 13, 13])] == ["40", "15 + 13 + 13 = 41"]
    assert [cpu(OUTCOME), cpu(DIRECT)] == ["4.2 user + 18.0 system", "-"]
    assert [share(0.283), share(None)] == ["28.3% of a core", "-"]
    assert [ranged([3, 1, 2], 1), ranged([], 1)] == ["2.0 (1.0-3.0)", "-"]
    assert [brief(999.94, 1), brief(1000.5, 1), brief(None, 1)] == ["999.9", "1,000", "-"]
    assert ranged([900.5, 1000.5, 7042.25], 1) == "1000 (900-7042)"


def test_outcomes_stand_side_by_side() -> None:
    rows = {cells[0]: cells[1:] for cells in printed(outcome_table([OUTCOME, DIRECT])) if cells}
    assert rows["clients connected"] == ["2,000", "2,000"]
    assert rows["server connections, peak"] == ["15 + 13 + 13 = 41", "15 + 13 + 13 = 41"]
    assert rows["queries/s"] == ["12,345", "12,345"]
    assert rows["latency p99"] == ["123 ms", "123 ms"]
    assert rows["errors"] == ["0", "0"]
    assert rows["CPU us per query, proxy"] == ["4.2 user + 18.0 system", "-"]
    assert rows["memory per client, proxy"] == ["2.0 KB", "-"]


def test_rows_without_any_figure_are_left_out() -> None:
    labels = [
        cells[0]
        for cells in printed(outcome_table([outcome(queries=0, user_us=None, system_us=None)]))
        if cells
    ]
    assert "queries/s" not in labels
    assert "CPU us per query, proxy" not in labels
    assert "memory per client, proxy" in labels


def test_sampled_peak_is_called_so() -> None:
    labels = [cells[0] for cells in printed(outcome_table([outcome(peak_is_exact=False)])) if cells]
    assert "server connections, peak (sampled)" in labels


def test_peers_are_compared_within_each_round() -> None:
    fanin = Peer("fanin", (outcome(user_us=10.0, system_us=10.0), outcome(user_us=20.0, system_us=20.0)))
    haproxy = Peer("haproxy", (outcome(user_us=5.0, system_us=5.0), outcome(user_us=10.0, system_us=30.0)))
    direct = Peer("direct", (DIRECT, outcome(user_us=None, system_us=None, errors={"lost": 2})))
    assert fanin.ratios(haproxy) == [2.0, 1.0]
    assert fanin.ratios(haproxy, "user_us") == [2.0, 2.0]
    assert direct.ratios(haproxy) == []
    assert direct.median("total_us") is None
    rows = {cells[0]: cells[1:] for cells in printed(comparison_table([fanin, haproxy, direct])) if cells}
    assert " ".join(rows["fanin"]) == "12,345 123.40 30.0 (20.0-40.0) 15.0 15.0 1.50 (1.00-2.00) 2.00 0"
    assert " ".join(rows["haproxy"]) == "12,345 123.40 25.0 (10.0-40.0) 7.5 17.5 - - 0"
    assert " ".join(rows["direct"]) == "12,345 123.40 - - - - - 2"


def test_what_the_comparison_has_no_room_for_has_a_table_of_its_own() -> None:
    fanin = Peer("fanin", (outcome(switches=0.5, peak_memory=3 << 20), outcome(switches=0.7)))
    rows = {
        cells[0]: cells[1:] for cells in printed(further_table([fanin, Peer("direct", (DIRECT,))])) if cells
    }
    assert rows["fanin"] == ["1.50", "3.00", "200.0", "4,000", "0.60", "3.0 MB", "2.0 KB", "41"]
    assert rows["direct"] == ["1.50", "3.00", "200.0", "4,000", "-", "-", "-", "41"]


def test_comparison_without_haproxy_has_no_ratios() -> None:
    rows = {cells[0]: cells[1:] for cells in printed(comparison_table([Peer("fanin", (OUTCOME,))])) if cells}
    assert " ".join(rows["fanin"]).endswith("4.2 18.0 - - 0")


def test_remarks_name_what_went_wrong() -> None:
    bad = outcome(
        errors={"1040": 3}, examples={"1040": "Too many connections"}, connected=1997, load_share=0.97
    )
    assert [line.plain for line in remarks([OUTCOME, bad])] == [
        "fanin: 3 x 1040: Too many connections",
        "fanin: 3 clients could not connect",
        "the load itself used 97% of a core: it may be the bottleneck",
    ]
    assert remarks([OUTCOME]) == []


def test_end_of_the_log_is_shown_behind_errors_only() -> None:
    for errors, expected in (({}, ""), ({"lost": 1}, "fanin: 1 x lost: \nlog: oops [x]\n")):
        out = Console(file=StringIO(), width=WIDTH)
        print_remarks(out, [outcome(errors=errors)], ["oops [x]"])
        assert isinstance(out.file, StringIO)
        assert out.file.getvalue() == expected


def test_json_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.json"
    write_json(path, "demo", [OUTCOME], pool_size=40)
    content = json.loads(path.read_text())
    assert (content["command"], content["pool_size"]) == ("demo", 40)
    assert content["outcomes"][0]["peak"] == [15, 13, 13]
    assert content["outcomes"][0]["samples"][1]["at"] == 0.25
    assert content["machine"]["cores"] >= 1


def test_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.png"
    draw(path, [OUTCOME, DIRECT], "title")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_output_that_is_no_terminal_has_the_full_width() -> None:
    assert console().width == WIDTH


def test_shares_of_a_fanin_are_shown() -> None:
    shared = outcome(sharing=Sharing(1000, 5, 400, 3, 40, 1))
    rows = {line[0]: line[1:] for line in printed(outcome_table([shared, DIRECT])) if line}
    assert rows["commands pinned outside transactions"] == ["0.50 %", "-"]
    assert rows["restores, of leases"] == ["0.75 %", "-"]
    assert rows["captures, of leases"] == ["10.00 %", "-"]
    assert outcome(sharing=Sharing(0, 0, 0, 0, 0, 0)).restore_share == 0
    assert [percent(0.0123), percent(None)] == ["1.23 %", "-"]
