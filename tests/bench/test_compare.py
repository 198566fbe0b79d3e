import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from bench import compare
from bench.haproxy_process import find_haproxy
from bench.report import Peer
from tests.bench.outcomes import outcome

pytestmark = pytest.mark.usefixtures("quick")


def parsed(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    compare.add_arguments(parser)
    return parser.parse_args(arguments)


def test_defaults_are_those_of_the_bar() -> None:
    options = parsed()
    assert (options.workload, options.clients, options.active, options.pool_size) == ("point", 200, 50, 50)


def test_unknown_proxy_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown proxies squid; there are fanin, haproxy, direct"):
        compare.run(parsed("--proxies", "haproxy,squid"))


def test_summary_has_medians_and_ratios() -> None:
    fanin = Peer("fanin", (outcome(user_us=10.0, system_us=20.0), outcome(user_us=30.0, system_us=20.0)))
    haproxy = Peer("haproxy", (outcome(user_us=5.0, system_us=15.0), outcome(user_us=10.0, system_us=15.0)))
    summary = compare.summary(fanin, [fanin, haproxy])
    assert summary["total_us"] == 40.0
    assert summary["ratio_to_haproxy_rounds"] == [1.5, 2.0]
    assert summary["user_ratio_to_haproxy_rounds"] == [2.0, 3.0]
    assert compare.summary(fanin, [fanin])["ratio_to_haproxy_rounds"] == []


def test_line_of_a_round() -> None:
    assert compare.round_line(1, 5, outcome(errors={"lost": 2})) == (
        "round 1/5  fanin       12,345 queries/s    22.2 us CPU/query  p99 123.4 ms, 2 errors"
    )
    direct = outcome(name="direct", user_us=None, system_us=None)
    assert compare.round_line(1, 5, direct).endswith("queries/s                       p99 123.4 ms")


@pytest.mark.mariadb
@pytest.mark.skipif(find_haproxy() is None, reason="no HAProxy here: apt-get install haproxy")
def test_peers_take_turns_on_a_real_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "compare.json"
    options = parsed(
        *[
            "--proxies",
            "haproxy,direct",
            "--clients",
            "10",
            "--active",
            "4",
            "--rounds",
            "2",
            "--seconds",
            "0.3",
            "--json",
        ],
        str(path),
    )
    assert compare.run(options) == 0
    printed = capsys.readouterr().out
    order = [line.split()[2] for line in printed.splitlines() if line.startswith("round")]
    assert order == ["haproxy", "direct", "direct", "haproxy"]
    assert "point on mariadb: 10 clients, 4 busy" in printed
    content = json.loads(path.read_text())
    assert [each["name"] for each in content["summary"]] == ["haproxy", "direct"]
    assert len(content["outcomes"]) == 4


@pytest.mark.mariadb
def test_comparison_without_haproxy_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "find_haproxy", lambda: None)
    assert (
        compare.run(
            parsed(
                *[
                    "--proxies",
                    "haproxy,direct",
                    "--clients",
                    "4",
                    "--active",
                    "2",
                    "--rounds",
                    "1",
                    "--seconds",
                    "0.2",
                ]
            )
        )
        == 0
    )
    assert "HAProxy is not installed" in capsys.readouterr().out
