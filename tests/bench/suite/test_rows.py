"""The rows are those of the table of what Fanin has to show."""

from __future__ import annotations

from bench.contestants import PROXIES
from bench.report import Peer
from bench.suite.rows import Act, Row, connections, rows
from tests.bench.outcomes import outcome

ROWS = {row.key: row for row in rows()}


def limits(key: str) -> list[tuple[str, float]]:
    return [(bar.what, bar.limit) for bar in ROWS[key].bars if "ProxySQL" not in bar.what]


def test_every_row_has_a_name_of_its_own_and_known_contestants() -> None:
    assert len(ROWS) == len(rows())
    for row in ROWS.values():
        names = [act.name for act in row.acts]
        assert len(set(names)) == len(names) > 0
        assert {act.proxy for act in row.acts} <= set(PROXIES)


def test_bars_are_those_that_were_set() -> None:
    total, user = "CPU per query, x HAProxy's", "user CPU per query, x HAProxy's"
    assert limits("point") == [(total, 1.20), (user, 3.0)]
    assert limits("rows100") == [(total, 1.15), (user, 2.0)]
    assert limits("point-500") == [(total, 1.15)]
    assert limits("point-16") == [(total, 1.20)]
    assert limits("point-1") == [(total, 1.20), ("latency added at p50, x what HAProxy adds", 1.1)]
    assert [limit for _, limit in limits("idle")] == [4.0, 1.10]
    assert [limit for _, limit in limits("many")] == [0, 200, 2.0]
    assert [limit for _, limit in limits("logins")] == [0.8]
    assert [limit for _, limit in limits("storm")] == [0, 50]
    assert [limit for _, limit in limits("big")] == [0.8, 2]
    assert [limit for _, limit in limits("prepared")] == [1.15]
    assert [limit for _, limit in limits("workers")] == [52, 1.6]


def test_bars_name_acts_that_there_are() -> None:
    """What is measured of nobody would never be missed."""
    figures = dict.fromkeys(("mb_per_second", "storm_missing"), 1.0)
    told = outcome(switches=1.0, peak_memory=1, growth=1, figures=figures)
    direct = outcome(p50=1.0)
    for row in ROWS.values():
        peers = {act.name: Peer(act.name, (direct if act.proxy == "direct" else told,)) for act in row.acts}
        for bar in row.bars:
            assert bar.verdict(row.key, peers).is_met is not None, (row.key, bar.what)


def test_server_takes_those_who_do_not_pool_and_all_pools() -> None:
    row = ROWS["point-500"]
    assert connections(row.acts) == 1000 + 50 * len(row.acts)
    assert connections([act for act in row.acts if act.proxy == "fanin"]) == 50


def test_short_form_leaves_out_no_row_with_a_bar_of_its_own() -> None:
    for row in ROWS.values():
        assert row.is_short or not limits(row.key), row.key


def test_acts_are_told_apart_by_their_notes() -> None:
    row: Row = ROWS["prepared"]
    act: Act = next(act for act in row.acts if act.note)
    assert act.name == "fanin, prepared"
