"""Bars judge the figures of a row's peers."""

from __future__ import annotations

from bench.report import Peer
from bench.suite.bars import MB, Bar, Verdict, added, cpu, errors, new_connections, ratio, values
from tests.bench.outcomes import outcome

FANIN = Peer(
    "fanin",
    (
        outcome(user_us=6.0, system_us=6.0, p50=1.25),
        outcome(user_us=9.0, system_us=3.0, p50=1.5, errors={"x": 2}),
    ),
)
HAPROXY = Peer(
    "haproxy", (outcome(user_us=2.0, system_us=8.0, p50=1.5), outcome(user_us=2.0, system_us=6.0, p50=1.5))
)
DIRECT = Peer("direct", (outcome(user_us=None, system_us=None, p50=1.0), outcome(p50=1.0)))
PEERS = {peer.name: peer for peer in (FANIN, HAPROXY, DIRECT)}


def test_median_of_the_rounds_is_held_against_the_limit() -> None:
    bar = Bar("CPU", 1.35, ratio("fanin", "haproxy", "total_us"))
    assert bar.verdict("point", PEERS) == Verdict("point", "CPU", "<= 1.35", "1.35 (1.20 to 1.50)", True)
    assert Bar("CPU", 1.34, bar.measure).verdict("point", PEERS).word == "MISSED"


def test_the_worst_round_counts_where_it_must() -> None:
    bar = Bar("CPU", 1.4, ratio("fanin", "haproxy", "total_us"), is_worst=True, unit=" times", digits=1)
    assert bar.verdict("point", PEERS).figure == "1.5 times (1.2 to 1.5)"
    assert bar.verdict("point", PEERS).is_met is False
    least = Bar("CPU", 1.2, bar.measure, is_worst=True, is_least=True)
    assert least.verdict("point", PEERS) == Verdict("point", "CPU", ">= 1.20", "1.20 (1.20 to 1.50)", True)


def test_what_nobody_measured_is_neither_met_nor_missed() -> None:
    for bar in (
        *cpu(1.2, 3.0),
        Bar("p99", 1, values("fanin", "p99")),
        Bar("errors", 0, errors("fanin")),
        Bar("latency", 1, added("p50")),
        Bar("connections", 1, new_connections("fanin")),
    ):
        verdict = bar.verdict("point", {})
        assert (verdict.figure, verdict.is_met, verdict.word) == ("not measured", None, "-")
    assert Bar("x", 0, values("fanin", "storm_p99")).verdict("point", PEERS).is_met is None


def test_figures_are_those_of_an_outcome_or_of_its_load() -> None:
    assert values("fanin", "peak_memory", MB)({"fanin": Peer("fanin", (outcome(peak_memory=3 << 20),))}) == [
        3.0
    ]
    fast = Peer("fanin", (outcome(figures={"mb_per_second": 500.0}),))
    slow = Peer("haproxy", (outcome(figures={"mb_per_second": 1000.0}),))
    assert ratio("fanin", "haproxy", "mb_per_second")({"fanin": fast, "haproxy": slow}) == [0.5]


def test_errors_are_counted_with_those_who_could_not_connect() -> None:
    lost = Peer("fanin", (outcome(connected=1990), outcome(errors={"x": 2})))
    assert errors("fanin")({"fanin": lost}) == [10.0, 2.0]


def test_added_latency_is_what_is_above_the_bare_servers() -> None:
    assert added("p50")(PEERS) == [0.5, 1.0]
    # where HAProxy was no slower than nothing, there is nothing to compare with
    assert added("p50")({**PEERS, "haproxy": Peer("haproxy", (outcome(p50=1.0), outcome(p50=1.5)))}) == [1.0]


def test_connections_that_were_there_before_do_not_count() -> None:
    assert new_connections("fanin")({"fanin": Peer("fanin", (outcome(before=(2,), peak=(52,)),))}) == [50.0]
