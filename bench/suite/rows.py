"""The rows: what is played, by whom, and what must come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.contestants import DIRECT, FANIN, HAPROXY, MAXSCALE, PROXYSQL, ROUTER, Settings
from bench.idle import Waiting
from bench.plays import CHURN, LOGINS, SYSBENCH, Big, Closed, Play, Storming, play_of
from bench.suite.bars import (
    AGAINST_PROXYSQL,
    MB,
    Bar,
    added,
    cpu,
    errors,
    new_connections,
    ratio,
    values,
)
from bench.workloads import workload_of

OTHERS: Final = (HAPROXY, ROUTER, PROXYSQL, MAXSCALE)
ALL: Final = (FANIN, *OTHERS, DIRECT)


@dataclass(frozen=True, eq=False)
class Act:
    """What one contestant does in each round. `note` tells several acts of the same contestant apart."""

    proxy: str
    play: Play
    settings: Settings
    note: str = ""
    tls: bool = False  # clients insist on it

    @property
    def name(self) -> str:
        return f"{self.proxy}, {self.note}" if self.note else self.proxy


@dataclass(frozen=True, eq=False)
class Row:
    """`is_fresh`: each act has a process of its own, which matters where memory is measured. `is_short`: part of the short form. `remarks`: what a reader must
    know, and why somebody does not take part."""

    key: str
    title: str
    acts: Sequence[Act]
    bars: Sequence[Bar] = ()
    kind: str | None = None  # of server, where any other cannot do it
    is_fresh: bool = False
    is_short: bool = True
    remarks: Sequence[str] = ()


def connections(acts: Sequence[Act]) -> int:
    """The server's, at most: of a contestant that does not pool, and of all that pool at once."""
    most = max((act.play.most for act in acts if act.proxy in (HAPROXY, DIRECT)), default=0)
    return most + sum(act.settings.pool_size for act in acts)


def simple(
    key: str,
    play: str,
    clients: int,
    busy: int,
    pool_size: int = 50,
    *,
    bars: Sequence[Bar] = (AGAINST_PROXYSQL,),
    proxies: Sequence[str] = ALL,
    is_short: bool = True,
    kind: str | None = None,
) -> Row:
    """The same for all of them."""
    played = play_of(play, clients, busy)
    settings = Settings(pool_size, played.most)
    where = f" on {kind}" if kind else ""
    title = f"{play}{where}: {played.clients:,} clients, {busy:,} busy, pool of {pool_size:,}"
    acts = [Act(name, played, settings) for name in proxies]
    return Row(key, title, acts, bars, kind=kind, is_short=is_short)


def prepared(clients: int = 200, busy: int = 50) -> Row:
    text, binary = Settings(50, clients), Settings(50, clients)
    texts, statements = play_of("point", clients, busy), play_of("prepared", clients, busy)
    acts = [
        *[Act(name, texts, text) for name in (FANIN, HAPROXY)],
        *[Act(name, statements, binary, "prepared") for name in (FANIN, HAPROXY, PROXYSQL)],
    ]
    bars = [
        Bar("CPU per query, x that of texts", 1.15, ratio("fanin, prepared", FANIN, "total_us")),
        replace(AGAINST_PROXYSQL, measure=ratio("fanin, prepared", "proxysql, prepared", "total_us")),
    ]
    return Row("prepared", f"prepared statements and texts: {clients} clients, {busy} busy", acts, bars)


def idle(count: int = 10_000) -> Row:
    settings = Settings(50, count + 100)
    acts = [
        Act(FANIN, play_of("point", 50, 50), settings),
        Act(FANIN, Closed(workload_of("point"), 50, 50, count), settings, "idle"),
    ]
    bars = [
        Bar(
            "memory of a client",
            4.0,
            values("fanin, idle", "proxy_memory_per_client", 1024.0),
            is_worst=True,
            unit=" KB",
        ),
        Bar("CPU per query, x that without them", 1.10, ratio("fanin, idle", FANIN, "total_us")),
    ]
    return Row("idle", f"{count:,} idle clients beside 50 busy ones", acts, bars, is_fresh=True)


def many(count: int = 18_000) -> Row:
    settings = Settings(100, count)
    acts = [
        Act(FANIN, play_of("point", 200, 200), settings),
        Act(FANIN, play_of("point", count, 200), settings, "many"),
        Act(HAPROXY, play_of("point", count, 200), settings, "many"),
    ]
    bars = [
        Bar("errors", 0, errors("fanin, many"), is_worst=True, digits=0),
        Bar(
            "memory of the process",
            200,
            values("fanin, many", "peak_memory", MB),
            is_worst=True,
            unit=" MB",
            digits=0,
        ),
        Bar("p99, x that of 200 clients", 2.0, ratio("fanin, many", FANIN, "p99")),
    ]
    return Row("many", f"{count:,} clients, 200 busy, pool of 100", acts, bars, is_fresh=True)


def few(busy: int, pool_size: int = 50, *, is_short: bool = True) -> Row:
    key = f"point-{busy}" if pool_size == 50 else f"point-{busy}-on-{pool_size}"
    bars = cpu(1.20) if busy < pool_size == 50 else (AGAINST_PROXYSQL,)
    if busy == 1 and pool_size == 50:
        bars += (Bar("latency added at p50, x what HAProxy adds", 1.1, added("p50")),)
    return simple(key, "point", busy, busy, pool_size, bars=bars, is_short=is_short)


def logins() -> Row:
    row = simple(LOGINS, LOGINS, 32, 32)
    bars = [Bar("logins/s, x HAProxy's", 0.8, ratio(FANIN, HAPROXY, "queries_per_second"), is_least=True)]
    return Row(row.key, "logins: 32 at a time, connect and leave", row.acts, bars)


def storm(count: int = 5_000) -> Row:
    play = Storming(workload_of("point"), 200, 50, count)
    settings = Settings(50, play.clients)
    bars = [
        Bar("logins that failed", 0, values(FANIN, "storm_missing"), is_worst=True, digits=0),
        Bar("p99 of the others", 50, values(FANIN, "p99"), is_worst=True, unit=" ms", digits=1),
    ]
    title = f"{count:,} logins in one go beside 200 clients, 50 busy"
    remarks = [
        "proxy, server, storm and the others share the machine: with less than four cores they wait for these too"
    ]
    return Row(
        "storm", title, [Act(name, play, settings) for name in (FANIN, HAPROXY)], bars, remarks=remarks
    )


def big(megabytes: int = 1_000) -> Row:
    play = Big(megabytes)
    bars = [
        Bar("throughput, x HAProxy's", 0.8, ratio(FANIN, HAPROXY, "mb_per_second"), is_least=True),
        Bar("growth of the process", 2, values(FANIN, "growth", MB), is_worst=True, unit=" MB"),
    ]
    acts = [Act(name, play, Settings(5, 10)) for name in ALL]
    return Row(
        "big",
        f"a result of {megabytes:,} MB in rows of 1,000 bytes to one client (a query: 1 MB of it)",
        acts,
        bars,
        is_fresh=True,
    )


def waiting() -> Row:
    # each waits for 2.5 s: less than the time after which Fanin gives up
    play = Closed(Waiting(0.25), 500, 500)
    bars = [Bar("CPU while all wait", 5, values(FANIN, "cpu_share", 0.01), unit=" % of a core", digits=1)]
    acts = [Act(name, play, Settings(50, 500)) for name in (FANIN, PROXYSQL, MAXSCALE)]
    return Row("waiting", "500 clients wait for a pool of 50, whose queries take 0.25 s", acts, bars)


def tls() -> Row:
    play = play_of("point", 200, 50)
    plain, behind = Settings(50, 200), Settings(50, 200, server_tls=True)
    acts = [
        Act(FANIN, play, plain),
        Act(FANIN, play, plain, "to clients", tls=True),
        Act(FANIN, play, behind, "to the server"),
        Act(FANIN, play, behind, "both", tls=True),
        Act(HAPROXY, play, plain),
        Act(HAPROXY, play, plain, "through", tls=True),
    ]
    remarks = [
        "HAProxy in TCP mode cannot end TLS of MySQL's protocol, which begins behind the greeting: it passes the server's own through"
    ]
    title = "TLS on either side: 200 clients, 50 busy"
    return Row("tls", title, acts, kind="mysql", is_short=False, remarks=remarks)


def workers() -> Row:
    play = play_of("point", 200, 100)
    two = Settings(50, 200, workers=2)
    acts = [Act(FANIN, play, Settings(50, 200)), Act(FANIN, play, two, "2 workers")]
    bars = [
        Bar(
            "server connections, with one that looks for each worker",
            52,
            new_connections("fanin, 2 workers"),
            is_worst=True,
            digits=0,
        ),
        Bar(
            "queries/s, x one worker's",
            1.6,
            ratio("fanin, 2 workers", FANIN, "queries_per_second"),
            is_least=True,
        ),
    ]
    remarks = ["the load and the server need cores of their own: with two in all nobody can be faster"]
    return Row("workers", "2 workers: 200 clients, 100 busy", acts, bars, is_fresh=True, remarks=remarks)


def rows() -> list[Row]:
    """All of them, in the order in which they are played."""
    return [
        simple("point", "point", 200, 50, bars=cpu(1.20, 3.0)),
        simple("rows100", "rows100", 200, 50, bars=cpu(1.15, 2.0)),
        simple("point-500", "point", 1_000, 500, bars=cpu(1.15)),
        waiting(),
        few(1),
        few(16),
        few(64, is_short=False),
        *[few(busy, 16, is_short=False) for busy in (1, 16, 64)],
        simple("point-1000", "point", 1_000, 1_000, is_short=False),
        simple("rows10000", "rows10000", 20, 10, is_short=False),
        idle(),
        many(),
        logins(),
        simple(CHURN, CHURN, 32, 32, is_short=False),
        storm(),
        big(),
        prepared(),
        workers(),
        tls(),
        simple("read-write", f"{SYSBENCH}oltp_read_write", 16, 16, is_short=False),
        simple("point-select", f"{SYSBENCH}oltp_point_select", 64, 64, 50, is_short=False),
    ]
