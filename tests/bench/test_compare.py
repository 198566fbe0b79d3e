import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from bench import compare
from bench.contestants import PROXIES
from bench.haproxy_process import find_haproxy
from bench.report import console
from bench.suite.bars import Bar, values
from bench.suite.rows import Act, Row, rows, simple
from tests.bench.files import files_in

pytestmark = pytest.mark.usefixtures("quick")

SMALL = ["--clients", "4", "--active", "2", "--rounds", "1", "--seconds", "0.2"]


def parsed(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    compare.add_arguments(parser)
    return parser.parse_args(arguments)


def test_defaults_are_those_of_the_bar() -> None:
    options = parsed()
    assert (options.workload, options.clients, options.active, options.pool_size) == ("point", 200, 50, 50)
    (row,) = compare.chosen_rows(options)
    assert row.title == "point on mariadb: 200 clients, 50 busy, pool of 50"
    assert compare.files_of(options) == (None, None)


def test_unknown_proxy_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown proxies squid; there are fanin, haproxy, mysqlrouter"):
        compare.run(parsed("--proxies", "haproxy,squid"))


def test_rows_of_the_suite_are_chosen_by_name_or_length() -> None:
    everything = [row.key for row in rows()]
    assert [row.key for row in compare.chosen_rows(parsed("--suite"))] == everything
    short = [row.key for row in compare.chosen_rows(parsed("--suite", "--short"))]
    assert "point" in short and len(short) < len(everything)
    assert [row.key for row in compare.chosen_rows(parsed("--suite", "--rows", "idle,big"))] == [
        "idle",
        "big",
    ]
    with pytest.raises(ValueError, match="unknown rows red; there are point, "):
        compare.chosen_rows(parsed("--suite", "--rows", "red"))


def test_suite_writes_files_and_says_how_to_do_it_again() -> None:
    options = parsed("--suite", "--short", "--rows", "big", "--seconds", "2")
    assert [str(path) for path in compare.files_of(options)] == [
        "bench-results/compare.json",
        "bench-results/compare.html",
    ]
    assert compare.command_of(options) == (
        "python -m bench compare --suite --short --rows big --kind mariadb --seconds 2.0"
    )


@pytest.mark.mariadb
@pytest.mark.skipif(find_haproxy() is None, reason="no HAProxy here: apt-get install haproxy")
def test_peers_take_turns_on_a_real_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--clients", "10", "--active", "4", "--rounds", "2", "--seconds", "0.3"]
    assert compare.run(parsed("--proxies", "haproxy,direct", *size, *files_in(tmp_path, "json", "html"))) == 0
    printed = capsys.readouterr().out
    order = [line.split()[2] for line in printed.splitlines() if line.startswith("round")]
    assert order == ["haproxy", "direct", "direct", "haproxy"]
    assert "point on mariadb: 10 clients, 4 busy" in printed
    (row,) = json.loads((tmp_path / "json").read_text())["rows"]
    assert [each["name"] for each in row["summary"]] == ["haproxy", "direct"]
    haproxy, *_ = row["outcomes"]
    assert len(row["outcomes"]) == 4 and haproxy["switches"] > 0 and haproxy["peak_memory"] > 1 << 20
    assert (tmp_path / "html").read_text().startswith("<!doctype html>")


@pytest.mark.mariadb
def test_comparison_without_haproxy_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.contestants.find_haproxy", lambda: None)
    assert compare.run(parsed("--proxies", "haproxy,direct", *SMALL)) == 0
    assert "HAProxy is not installed" in capsys.readouterr().out
    assert set(compare.contestants(parsed("--suite"), console())) <= set(PROXIES) - {"haproxy"}


@pytest.mark.mariadb
def test_missed_bar_fails_a_check_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    impossible = Bar("queries/s", 0, values("direct", "queries_per_second"))
    row = simple("small", "point", 4, 2, bars=[impossible])
    broken = Row(
        "broken", "somebody whom nobody can start", [Act("squid", row.acts[0].play, row.acts[0].settings)]
    )
    monkeypatch.setattr(compare, "rows", lambda: [row, broken])
    arguments = ["--suite", "--proxies", "direct", *SMALL[4:], *files_in(tmp_path, "json", "html")]
    assert compare.run(parsed(*arguments, "--rows", "small")) == 0
    assert compare.run(parsed(*arguments, "--rows", "small", "--check")) == 1
    assert "MISSED" in capsys.readouterr().out
    assert compare.run(parsed(*arguments, "--rows", "broken")) == 1
    assert "nobody takes part" in capsys.readouterr().out
