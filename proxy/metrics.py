"""The Prometheus page: reads plain integers when it is asked, and costs nothing in between.

prometheus_client is used here and nowhere else. The names are the glossary's words; README lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from protocol.speed import COMPILED
from proxy.counters import WAIT_BOUNDS, Counters
from proxy.version import fanin_version

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
BACKEND_STATES: Final = ("opening", "idle", "parked", "leased", "resetting")


class MetricsSource(Protocol):
    """What the metrics are read from, all of it at the moment of the scrape."""

    @property
    def counters(self) -> Counters:
        """What has been counted since the start."""

    def endpoint_snapshots(self) -> Sequence[Mapping[str, object]]:
        """A snapshot of each endpoint: `name`, `role`, `size` (pool.size), `bound` (what of that it may have now) and `budget` (why: as
        `Cap.report`; empty without one), the number of backends that are `opening`,
        `idle`, `parked`, `leased`, `resetting`, and of leases `in_transaction`; `waiting` (tickets), `oldest_wait`
        (seconds) and `is_up` (does it answer?). What is missing counts as 0."""

    def pinned_sessions(self) -> Mapping[str, int]:
        """How many sessions are pinned now, by reason."""

    def pinned_seconds(self) -> Mapping[str, float]:
        """Seconds that sessions were pinned outside of transactions, by reason."""

    def topology(self) -> Mapping[str, object]:
        """As `topology_report.report`; without `state` where nothing is watched."""

    def routes(self) -> Mapping[str, Mapping[str, int]]:
        """Commands by the role of the server that they went to, and by the reason for that."""

    def workers(self) -> tuple[int, int]:
        """How many processes serve clients, and how many have died and were replaced."""

    def processes(self) -> Sequence[tuple[str, int]]:
        """Where it is not this process alone: label and process id of each; 0 for this one."""


def render(source: MetricsSource) -> bytes:
    """The page, in the text format of Prometheus (`CONTENT_TYPE`)."""
    registry = CollectorRegistry()
    registry.register(FaninCollector(source))
    processes = source.processes()
    if processes:
        registry.register(ProcessesCollector(processes))
    else:
        ProcessCollector(registry=registry)
    return generate_latest(registry)


class ProcessesCollector(Collector):
    """CPU, memory and the like of each process, with a label: sums would be wrong when one begins anew."""

    def __init__(self, processes: Sequence[tuple[str, int]]) -> None:
        self._processes = processes

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not read anything."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics of `ProcessCollector`, for each process."""
        found: dict[str, Metric] = {}
        for label, pid in self._processes:
            for metric in ProcessCollector(pid=_returns(pid or "self"), registry=None).collect():
                merged = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    merged.add_sample(sample.name, {**sample.labels, "worker": label}, sample.value)
        yield from found.values()


def _returns(value: int | str) -> Callable[[], int | str]:
    return lambda: value


class FaninCollector(Collector):
    """One scrape's view of a source."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not read the source."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric of Fanin's own."""
        counters = self._source.counters
        labels = {"version": fanin_version(), "compiled": "true" if COMPILED else "false"}
        yield _gauge("fanin_info", "Which Fanin this is.", tuple(labels), [(tuple(labels.values()), 1)])
        ready, replaced = self._source.workers()
        yield _gauge("fanin_workers", "Processes that serve clients.", (), [((), ready)])
        text = "Processes that died while they served clients, and were replaced."
        yield _count("fanin_workers_replaced_total", text, replaced)
        yield from _frontends(counters)
        yield from _leases(counters)
        yield from _closes(counters)
        endpoints = self._source.endpoint_snapshots()
        yield from _endpoints(endpoints)
        yield from _budgets(endpoints)
        pinned = _by_reason(self._source.pinned_sessions())
        yield _gauge("fanin_pinned", "Sessions that are pinned now, by reason.", ("reason",), pinned)
        seconds = _by_reason(self._source.pinned_seconds())
        text = "Time in which sessions were pinned and had no transaction open."
        yield _counter("fanin_pinned_seconds_total", text, ("reason",), seconds)
        yield from _topology(self._source.topology())
        routes = [
            ((role, reason), count)
            for role, counts in self._source.routes().items()
            for reason, count in counts.items()
        ]
        text = "Commands that were placed on the writer or a reader, and why; and reads for which there was no reader."
        yield _counter("fanin_routed_total", text, ("role", "reason"), routes)


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _count(name: str, text: str, value: float) -> Metric:
    return _counter(name, text, (), [((), value)])


def _by_reason(counts: Mapping[str, float]) -> Samples:
    return [((reason,), count) for reason, count in sorted(counts.items())]


def _frontends(counters: Counters) -> Iterator[Metric]:
    open_now = counters.frontends_open
    yield _gauge("fanin_frontends", "Client connections that are open now.", (), [((), open_now)])
    yield _count(
        "fanin_frontends_opened_total", "Client connections that were accepted.", counters.frontends_total
    )
    yield _count(
        "fanin_frontends_refused_total",
        "Client connections that were told 1040, for want of limits.max_clients.",
        counters.frontends_refused,
    )
    failures = _by_reason(counters.login_failures)
    yield _counter(
        "fanin_login_failures_total", "Logins of clients that were refused.", ("reason",), failures
    )
    yield _count("fanin_queries_total", "Commands of clients.", counters.queries)
    directions = [(("in",), counters.bytes_in), (("out",), counters.bytes_out)]
    yield _counter("fanin_bytes_total", "Bytes from (in) and to (out) clients.", ("direction",), directions)


def _leases(counters: Counters) -> Iterator[Metric]:
    yield _count("fanin_leases_total", "Leases that have begun.", counters.leases)
    yield _count(
        "fanin_acquire_failures_total",
        "Tickets that left the queue without a lease.",
        counters.acquire_failures,
    )
    yield _wait_histogram(counters)
    yield _count("fanin_restores_total", "Leases that began with state being put back.", counters.restores)
    yield _count("fanin_captures_total", "Parked backends whose residue was read.", counters.captures)
    yield _count("fanin_resets_total", "COM_RESET_CONNECTION sent on our own account.", counters.resets)
    yield _count(
        "fanin_pinned_commands_total",
        "Commands that ran outside a transaction on a backend kept by a pin.",
        counters.pinned_commands,
    )
    yield _counter("fanin_pins_total", "Pins that were set.", ("reason",), _by_reason(counters.pins))


def _wait_histogram(counters: Counters) -> Metric:
    # Most leases begin without a ticket in the queue; the data path does not observe those, so they are added here.
    below = max(0, counters.leases - (counters.waits - counters.acquire_failures))
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, WAIT_BOUNDS), "+Inf"), counters.wait_buckets, strict=True):
        below += count
        buckets.append((bound, below))
    family = HistogramMetricFamily(
        "fanin_acquire_wait_seconds", "Time from asking for a lease to getting it, or giving up."
    )
    family.add_metric((), buckets, counters.wait_seconds)
    return family


def _closes(counters: Counters) -> Iterator[Metric]:
    sides = {"frontend": counters.frontend_closes, "backend": counters.backend_closes}
    samples = [
        ((side, *labels), value) for side, counts in sides.items() for labels, value in _by_reason(counts)
    ]
    yield _counter("fanin_closes_total", "Connections that were closed.", ("side", "reason"), samples)
    yield _count("fanin_backends_opened_total", "Logins to servers that succeeded.", counters.backends_opened)
    yield _count("fanin_open_failures_total", "Logins to servers that did not.", counters.open_failures)


def _endpoints(snapshots: Sequence[Mapping[str, object]]) -> Iterator[Metric]:
    by_name = [(str(snapshot["name"]), snapshot) for snapshot in snapshots]
    yield _gauge(
        "fanin_backends",
        "Backend connections, by state.",
        ("endpoint", "state"),
        [((name, state), _number(each, state)) for name, each in by_name for state in BACKEND_STATES],
    )
    for metric, key, text in (
        ("fanin_pool_size", "size", "Most backend connections that the endpoint may have (pool.size)."),
        ("fanin_bound", "bound", "Backend connections that it may have now, for what room the server has."),
        (
            "fanin_reserve",
            "reserve",
            "Of these, how many are kept for clients that deadlock with themselves.",
        ),
        (
            "fanin_expected",
            "expected",
            "Backends that the last minutes, or this time of the week before, needed at once.",
        ),
        ("fanin_waiting", "waiting", "Sessions in the queue for a backend."),
        ("fanin_oldest_wait_seconds", "oldest_wait", "How long the first in the queue has waited."),
        ("fanin_in_transaction", "in_transaction", "Leases with an open transaction."),
    ):
        yield _gauge(metric, text, ("endpoint",), [((name,), _number(each, key)) for name, each in by_name])
    for metric, key, text in (
        ("fanin_shed_total", "shed", "Clients refused for want of a shorter queue (pool.shed_target)."),
        ("fanin_spared_total", "spared", "Backends opened of the reserve."),
    ):
        yield _counter(metric, text, ("endpoint",), [((name,), _number(each, key)) for name, each in by_name])
    yield _gauge(
        "fanin_endpoint_up",
        "Whether the endpoint answers.",
        ("endpoint", "role"),
        [((name, str(each.get("role", ""))), _number(each, "is_up")) for name, each in by_name],
    )


def _budgets(snapshots: Sequence[Mapping[str, object]]) -> Iterator[Metric]:
    """What the servers said when they were looked at last, of those that were."""
    budgets = [
        (str(each["name"]), cast(Mapping[str, object], each["budget"]))
        for each in snapshots
        if each.get("budget")
    ]
    for make, metric, key, text in (
        (
            _gauge,
            "fanin_server_connected",
            "connected",
            "Connections that the server has, whosever they are.",
        ),
        (_gauge, "fanin_server_limit", "limit", "Connections that it allows (max_connections)."),
        (_gauge, "fanin_fleet", "fleet", "Fanins that share the server, where that is known."),
        (_gauge, "fanin_look_age_seconds", "looked_ago", "How long ago the server was looked at."),
        (_counter, "fanin_looks_total", "looks", "Looks at how full the server is."),
        (_counter, "fanin_refusals_total", "refusals", "Times that it had no connection left for us (1040)."),
    ):
        known = [(name, budget) for name, budget in budgets if budget.get(key) is not None]
        yield make(metric, text, ("endpoint",), [((name,), _number(budget, key)) for name, budget in known])
    reasons = [((name, str(budget["why"])), 1.0) for name, budget in budgets]
    yield _gauge("fanin_bound_reason", "What the bound is due to.", ("endpoint", "reason"), reasons)


def _topology(report: Mapping[str, object]) -> Iterator[Metric]:
    members = cast(Sequence[Mapping[str, object]], report.get("members", ()))
    states = [((str(report["state"]),), 1.0)] if "state" in report else []
    yield _gauge("fanin_topology_state", "What is known of the writer.", ("state",), states)
    yield _gauge("fanin_topology_epoch", "Writers so far.", (), [((), _number(report, "epoch"))])
    yield _gauge(
        "fanin_writer_paused", "Whether clients wait for a writer.", (), [((), _number(report, "is_paused"))]
    )
    roles = [((str(each["name"]), str(each["role"])), 1.0) for each in members]
    yield _gauge("fanin_role", "What each server is used for now.", ("endpoint", "role"), roles)
    for metric, key, text in (
        ("fanin_lag_seconds", "lag", "How far a reader was behind when it was last measured."),
        ("fanin_lag_age_seconds", "lag_age", "How long ago that was."),
        ("fanin_reader_eligible", "is_eligible", "Whether the reader is near enough to get reads."),
    ):
        known = [each for each in members if each.get(key) is not None]
        samples = [((str(each["name"]),), _number(each, key)) for each in known]
        yield _gauge(metric, text, ("endpoint",), samples)


def _number(snapshot: Mapping[str, object], key: str) -> float:
    return float(cast(float, snapshot.get(key, 0)))
