from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

from proxy.counters import Counters
from proxy.metrics import CONTENT_TYPE, render
from proxy.version import fanin_version


class Source:
    """A source of numbers that a test sets."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.endpoints: list[Mapping[str, object]] = []
        self.pinned: dict[str, int] = {}
        self.cluster: dict[str, object] = {}
        self.routed: dict[str, dict[str, int]] = {}
        self.seconds: dict[str, float] = {}
        self.ready = 1
        self.replaced = 0
        self.pids: list[tuple[str, int]] = []

    def endpoint_snapshots(self) -> Sequence[Mapping[str, object]]:
        return self.endpoints

    def pinned_sessions(self) -> Mapping[str, int]:
        return self.pinned

    def pinned_seconds(self) -> Mapping[str, float]:
        return self.seconds

    def topology(self) -> Mapping[str, object]:
        return self.cluster

    def routes(self) -> Mapping[str, Mapping[str, int]]:
        return self.routed

    def workers(self) -> tuple[int, int]:
        return self.ready, self.replaced

    def processes(self) -> Sequence[tuple[str, int]]:
        return self.pids


def samples(source: Source) -> dict[str, float]:
    """Every sample of Fanin's own: name with labels, as it is written on the page."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(render(source).decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_the_page_of_a_process_that_has_done_nothing_shows_zeros() -> None:
    page = samples(Source())
    for name in (
        "fanin_frontends",
        "fanin_frontends_opened_total",
        "fanin_frontends_refused_total",
        "fanin_queries_total",
        "fanin_bytes_total{direction=in}",
        "fanin_bytes_total{direction=out}",
        "fanin_leases_total",
        "fanin_acquire_failures_total",
        "fanin_acquire_wait_seconds_count",
        "fanin_restores_total",
        "fanin_captures_total",
        "fanin_resets_total",
        "fanin_backends_opened_total",
        "fanin_open_failures_total",
    ):
        assert page[name] == 0, name
    assert (
        page[f"fanin_info{{compiled={'true' if is_compiled() else 'false'},version={fanin_version()}}}"] == 1
    )


def is_compiled() -> bool:
    from protocol.speed import COMPILED

    return COMPILED


def test_counts_are_read_at_each_scrape() -> None:
    source = Source()
    assert samples(source)["fanin_queries_total"] == 0
    source.counters.queries = 7
    source.counters.frontends_open = 3
    source.counters.bytes_in = 1 << 40
    assert samples(source)["fanin_queries_total"] == 7
    assert samples(source)["fanin_frontends"] == 3
    assert samples(source)["fanin_bytes_total{direction=in}"] == 1 << 40


def test_reasons_are_labels() -> None:
    source = Source()
    counters = source.counters
    counters.count_pin("get-lock")
    counters.count_login_failure("1045")
    counters.count_close("frontend", "client-quit")
    counters.count_close("backend", "max-age")
    source.pinned = {"temporary-table": 2}
    source.seconds = {"temporary-table": 1.5}
    page = samples(source)
    assert page["fanin_pins_total{reason=get-lock}"] == 1
    assert page["fanin_login_failures_total{reason=1045}"] == 1
    assert page["fanin_closes_total{reason=client-quit,side=frontend}"] == 1
    assert page["fanin_closes_total{reason=max-age,side=backend}"] == 1
    assert page["fanin_pinned{reason=temporary-table}"] == 2
    assert page["fanin_pinned_seconds_total{reason=temporary-table}"] == 1.5


def test_leases_without_a_wait_are_in_the_first_bucket() -> None:
    source = Source()
    counters = source.counters
    counters.leases = 10
    counters.observe_wait(0.003)
    counters.observe_wait(60.0)
    counters.acquire_failures = 1  # of the two that waited, one got a lease: nine leases began at once
    page = samples(source)
    assert page["fanin_acquire_wait_seconds_bucket{le=0.001}"] == 9
    assert page["fanin_acquire_wait_seconds_bucket{le=0.005}"] == 10
    assert page["fanin_acquire_wait_seconds_bucket{le=10.0}"] == 10
    assert page["fanin_acquire_wait_seconds_bucket{le=+Inf}"] == 11
    assert page["fanin_acquire_wait_seconds_count"] == 11
    assert page["fanin_acquire_wait_seconds_sum"] == 60.003


def test_an_endpoint_is_shown_with_what_it_tells() -> None:
    source = Source()
    source.endpoints = [
        {"name": "w", "role": "writer", "size": 5, "idle": 1, "leased": 2, "waiting": 3, "oldest_wait": 0.5, "is_up": True},
        {"name": "r", "in_transaction": 1},
    ]  # fmt: skip
    page = samples(source)
    assert page["fanin_backends{endpoint=w,state=idle}"] == 1
    assert page["fanin_backends{endpoint=w,state=leased}"] == 2
    assert page["fanin_backends{endpoint=w,state=parked}"] == 0
    assert page["fanin_pool_size{endpoint=w}"] == 5
    assert (page["fanin_shed_total{endpoint=w}"], page["fanin_spared_total{endpoint=r}"]) == (0, 0)
    assert (page["fanin_reserve{endpoint=w}"], page["fanin_expected{endpoint=w}"]) == (0, 0)
    assert page["fanin_waiting{endpoint=w}"] == 3
    assert page["fanin_oldest_wait_seconds{endpoint=w}"] == 0.5
    assert page["fanin_endpoint_up{endpoint=w,role=writer}"] == 1
    assert page["fanin_endpoint_up{endpoint=r,role=}"] == 0
    assert page["fanin_in_transaction{endpoint=r}"] == 1


def test_what_room_the_server_has_is_shown_where_it_was_looked_at() -> None:
    source = Source()
    seen = {
        "why": "room",
        "connected": 120,
        "limit": 151,
        "fleet": 20,
        "looked_ago": 1.5,
        "looks": 7,
        "refusals": 2,
    }
    blind = {
        "why": "start",
        "connected": None,
        "limit": None,
        "fleet": None,
        "looked_ago": None,
        "looks": 0,
        "refusals": 0,
    }
    source.endpoints = [
        {"name": "w", "size": 40, "bound": 7, "budget": seen},
        {"name": "r", "size": 40, "bound": 1, "budget": blind},
        {"name": "x", "size": 40, "bound": 40, "budget": {}},
    ]
    page = samples(source)
    assert (page["fanin_pool_size{endpoint=w}"], page["fanin_bound{endpoint=w}"]) == (40, 7)
    assert (page["fanin_server_connected{endpoint=w}"], page["fanin_server_limit{endpoint=w}"]) == (120, 151)
    assert (page["fanin_fleet{endpoint=w}"], page["fanin_look_age_seconds{endpoint=w}"]) == (20, 1.5)
    assert (page["fanin_looks_total{endpoint=w}"], page["fanin_refusals_total{endpoint=w}"]) == (7, 2)
    assert page["fanin_bound_reason{endpoint=w,reason=room}"] == 1
    assert page["fanin_looks_total{endpoint=r}"] == 0
    assert "fanin_server_limit{endpoint=r}" not in page
    assert not [name for name in page if "endpoint=x" in name and "look" in name]


def test_the_process_itself_is_measured() -> None:
    assert samples(Source())["process_open_fds"] > 0


def test_the_page_says_what_format_it_has() -> None:
    assert CONTENT_TYPE.startswith("text/plain")


def test_the_topology_is_shown_where_it_is_watched() -> None:
    source = Source()
    page = samples(source)
    assert page["fanin_topology_epoch"] == page["fanin_writer_paused"] == 0
    assert not [name for name in page if name.startswith(("fanin_role", "fanin_topology_state", "fanin_lag"))]
    source.cluster = {
        "state": "stable",
        "epoch": 2,
        "is_paused": True,
        "members": [
            {"name": "w", "role": "writer"},
            {"name": "r", "role": "reader", "lag": 0.5, "lag_age": 0.1, "is_eligible": True},
            {"name": "s", "role": "reader", "lag": None, "lag_age": None, "is_eligible": False},
        ],
    }
    page = samples(source)
    assert page["fanin_topology_state{state=stable}"] == page["fanin_writer_paused"] == 1
    assert page["fanin_topology_epoch"] == 2
    assert page["fanin_role{endpoint=w,role=writer}"] == page["fanin_role{endpoint=r,role=reader}"] == 1
    assert page["fanin_lag_seconds{endpoint=r}"] == 0.5 and page["fanin_lag_age_seconds{endpoint=r}"] == 0.1
    assert page["fanin_reader_eligible{endpoint=r}"] == 1 and page["fanin_reader_eligible{endpoint=s}"] == 0
    assert "fanin_lag_seconds{endpoint=s}" not in page


def test_commands_are_shown_by_where_they_went_and_why() -> None:
    source = Source()
    source.routed = {"writer": {"write": 3}, "reader": {"hint-reader": 2}}
    page = samples(source)
    assert page["fanin_routed_total{reason=write,role=writer}"] == 3
    assert page["fanin_routed_total{reason=hint-reader,role=reader}"] == 2


def test_several_processes_are_measured_apart() -> None:
    source = Source()
    source.ready, source.replaced = 2, 3
    source.pids = [("parent", 0), ("1", os.getpid()), ("2", 1 << 30)]
    page = samples(source)
    assert (page["fanin_workers"], page["fanin_workers_replaced_total"]) == (2.0, 3.0)
    text = render(source).decode()
    assert 'process_resident_memory_bytes{worker="parent"}' in text
    assert 'process_open_fds{worker="1"}' in text
    # it has just died
    assert 'worker="2"' not in text
    assert text.count("# HELP process_resident_memory_bytes ") == 1
