"""One trial: connect everybody, let them play for a while, measure, and say goodbye."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.load import Group, Load
from bench.meters import Cpu, FaninPages, ProcessMeter, ServerWatch, Sharing

SAMPLE_EVERY = 0.25
WARM_UP = 1.0
SETTLE = 0.3
CLOSE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a trial; ``at`` in seconds since its beginning, ``rate`` in queries/s since the last sample."""

    phase: str
    at: float
    clients: int
    server_connections: tuple[int, ...]
    rate: float
    queries: int
    errors: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial measured. Latencies in milliseconds, memory in bytes, CPU in microseconds per query."""

    name: str
    workload: str
    clients: int
    connected: int
    active: int
    seconds: float
    login_seconds: float
    queries: int
    p50: float
    p95: float
    p99: float
    slowest: float
    errors: dict[str, int]
    examples: dict[str, str]
    before: tuple[int, ...]
    peak: tuple[int, ...]
    peak_is_exact: bool
    after: tuple[int, ...]
    user_us: float | None  # of the proxy; None without one, or without queries
    system_us: float | None
    cpu_share: float | None  # of one core
    proxy_memory: int | None  # after all clients connected
    proxy_memory_per_client: float | None
    server_memory_per_client: float | None
    load_share: float  # of one core: the load's own process, and those that it has started
    switches: float | None = None  # of the proxy, per query
    peak_memory: int | None = None  # of the proxy, the most within the window
    growth: int | None = None  # of that, what was not there when the window began
    figures: Mapping[str, float] = field(default_factory=dict)  # what only this load has to tell
    sharing: Sharing | None = None  # of the window, when the proxy is a Fanin whose metrics can be read
    samples: tuple[Sample, ...] = field(repr=False, default=())

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    @property
    def queries_per_second(self) -> float:
        return self.queries / self.seconds

    @property
    def logins_per_second(self) -> float | None:
        """While everybody connected; None where nobody did, or not all at first."""
        return self.connected / self.login_seconds if self.connected and self.login_seconds else None

    @property
    def pinned_share(self) -> float | None:
        """Of all commands, those that ran pinned outside a transaction."""
        return share_of(self.sharing.pinned_commands, self.sharing.commands) if self.sharing else None

    @property
    def restore_share(self) -> float | None:
        """Of all leases, those that began with a restore."""
        return share_of(self.sharing.restores, self.sharing.leases) if self.sharing else None

    @property
    def capture_share(self) -> float | None:
        """Captures by the number of leases."""
        return share_of(self.sharing.captures, self.sharing.leases) if self.sharing else None

    @property
    def total_us(self) -> float | None:
        """CPU of the proxy per query."""
        return None if self.user_us is None or self.system_us is None else self.user_us + self.system_us


def share_of(part: int, whole: int) -> float:
    """The part of the whole, 0 of nothing."""
    return part / whole if whole else 0.0


def own_cpu() -> float:
    """CPU time of this process and of its children that have ended, in seconds."""
    return sum(os.times()[:4])


class Trial:
    """Runs one load against its targets and watches the proxy and the servers meanwhile."""

    def __init__(
        self,
        name: str,
        groups: Sequence[Group],
        watch: ServerWatch,
        *,
        seconds: float,
        proxy: ProcessMeter | None = None,
        servers: ProcessMeter | None = None,
        pages: FaninPages | None = None,
        warm_up: float | None = None,
        on_sample: Callable[[Sample], None] | None = None,
        load: Load | None = None,
    ) -> None:
        """``load``: another than the closed loop of the groups' clients."""
        self.name = name
        self.groups = groups
        self.seconds = seconds
        self._watch = watch
        self._proxy = proxy
        self._servers = servers
        self._pages = pages
        self._warm_up = WARM_UP if warm_up is None else warm_up
        self._on_sample = on_sample
        self._load = load or Load(groups)
        self._phase = "connecting"
        self._samples: list[Sample] = []
        self._crashes: list[str] = []
        self._over = asyncio.Event()

    async def run(self) -> Outcome:
        """The whole trial. Raises ClientError when the servers cannot be asked."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._crashed)
        before = await self._watch.connected()
        is_exact = await self._watch.forget_peak()
        self._samples.append(Sample(self._phase, 0.0, 0, before, 0.0, 0, 0))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._sample())
                try:
                    measured = await self._measure()
                finally:
                    self._load.close()
                    self._over.set()  # and not cancelled: the sampler may be in the middle of a question
            peak = await self._watch.peak() if is_exact else self._sampled_peak(before)
            after = await self._connections_after(before)
        finally:
            loop.set_exception_handler(None)
        return self._outcome(measured, before, peak, is_exact, after)

    async def _measure(self) -> _Measured:
        load, result = self._load, _Measured()
        proxy_memory, server_memory = self._memory()
        started = time.perf_counter()
        await load.open()
        result.login_seconds = time.perf_counter() - started if load.connects_first else 0.0
        result.connected = load.connected
        await asyncio.sleep(SETTLE)
        result.proxy_memory, server_memory_after = self._memory()
        result.proxy_growth = result.proxy_memory - proxy_memory
        result.server_growth = server_memory_after - server_memory
        gc.collect()
        gc.freeze()  # thousands of clients that live for the whole trial are not worth walking
        try:
            await self._play(result)
        finally:
            gc.unfreeze()
        return result

    async def _play(self, result: _Measured) -> None:
        load = self._load
        self._phase = "running"
        load.start()
        await asyncio.sleep(self._warm_up)
        sharing = await self._pages.sharing() if self._pages else None
        load.begin_window()
        memory, switches = self._begin_memory(), self._proxy_switches()
        cpu, own, started = self._proxy_cpu(), own_cpu(), time.perf_counter()
        await load.window(self.seconds)
        result.cpu = self._proxy_cpu() - cpu
        result.seconds = time.perf_counter() - started
        result.load_share = (own_cpu() - own) / result.seconds
        result.switches = self._proxy_switches() - switches
        result.peak_memory = self._proxy.peak_memory() if self._proxy else 0
        result.growth = result.peak_memory - memory
        result.queries = load.queries
        histogram = load.histogram
        result.latencies = tuple(histogram.percentile(percent) / 1000 for percent in (50, 95, 99, 100))
        if self._pages and sharing:
            result.sharing = await self._pages.sharing() - sharing
        self._phase = "stopping"
        await load.stop()

    async def _sample(self) -> None:
        started = last_at = time.perf_counter()
        last_queries = 0
        while not await self._is_over_after(SAMPLE_EVERY):
            connections = await self._watch.connected()
            load, now = self._load, time.perf_counter()
            new_queries = load.queries - last_queries
            # the load counts anew from the beginning of its window
            rate = (new_queries if new_queries >= 0 else load.queries) / (now - last_at)
            last_at, last_queries = now, load.queries
            errors = sum(load.errors.values()) + len(self._crashes)
            sample = Sample(
                self._phase, now - started, load.connected, connections, rate, load.queries, errors
            )
            self._samples.append(sample)
            if self._on_sample is not None:
                self._on_sample(sample)

    async def _is_over_after(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._over.wait()
        except TimeoutError:
            return False

    async def _connections_after(self, before: tuple[int, ...]) -> tuple[int, ...]:
        """Connections of the servers once our clients' goodbyes have come through."""
        after = await self._watch.connected()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while True:
                    await asyncio.sleep(SETTLE)
                    earlier, after = after, await self._watch.connected()
                    if after in (before, earlier):
                        return after
        except TimeoutError:
            return after

    def _sampled_peak(self, before: tuple[int, ...]) -> tuple[int, ...]:
        seen = [before, *(sample.server_connections for sample in self._samples)]
        return tuple(max(counts) for counts in zip(*seen, strict=True))

    def _memory(self) -> tuple[int, int]:
        return (
            self._proxy.memory() if self._proxy else 0,
            self._servers.memory() if self._servers else 0,
        )

    def _proxy_cpu(self) -> Cpu:
        return self._proxy.cpu() if self._proxy else Cpu(0, 0)

    def _proxy_switches(self) -> int:
        return self._proxy.switches() if self._proxy else 0

    def _begin_memory(self) -> int:
        """What the proxy has resident as the window begins."""
        if self._proxy is None:
            return 0
        self._proxy.forget_peak()
        return self._proxy.memory()

    def _crashed(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        # An exception in a callback of ours must not pass for a good result.
        self._crashes.append(repr(context.get("exception") or context.get("message")))

    def _outcome(
        self,
        measured: _Measured,
        before: tuple[int, ...],
        peak: tuple[int, ...],
        is_exact: bool,
        after: tuple[int, ...],
    ) -> Outcome:
        load = self._load
        if self._crashes:
            load.errors["crash of the load"] += len(self._crashes)
            load.examples["crash of the load"] = self._crashes[0]
        clients = sum(group.clients for group in self.groups)
        has_proxy, queries = self._proxy is not None, measured.queries
        p50, p95, p99, slowest = measured.latencies
        return Outcome(
            name=self.name,
            workload=" + ".join(group.workload.name for group in self.groups),
            clients=clients,
            connected=measured.connected,
            active=sum(group.active for group in self.groups),
            seconds=measured.seconds,
            login_seconds=measured.login_seconds,
            queries=queries,
            p50=p50,
            p95=p95,
            p99=p99,
            slowest=slowest,
            errors=dict(load.errors),
            examples=dict(load.examples),
            before=before,
            peak=peak,
            peak_is_exact=is_exact,
            after=after,
            user_us=measured.cpu.user / queries * 1e6 if has_proxy and queries else None,
            system_us=measured.cpu.system / queries * 1e6 if has_proxy and queries else None,
            cpu_share=measured.cpu.total / measured.seconds if has_proxy else None,
            proxy_memory=measured.proxy_memory if has_proxy else None,
            proxy_memory_per_client=measured.proxy_growth / clients if has_proxy else None,
            server_memory_per_client=measured.server_growth / clients if self._servers else None,
            load_share=measured.load_share,
            switches=measured.switches / queries if has_proxy and queries else None,
            peak_memory=measured.peak_memory if has_proxy else None,
            growth=measured.growth if has_proxy else None,
            figures=dict(load.figures),
            sharing=measured.sharing,
            samples=tuple(self._samples),
        )


class _Measured:
    """What one trial fills in as it goes."""

    __slots__ = (
        "connected",
        "cpu",
        "growth",
        "latencies",
        "load_share",
        "login_seconds",
        "peak_memory",
        "proxy_growth",
        "proxy_memory",
        "queries",
        "seconds",
        "server_growth",
        "sharing",
        "switches",
    )

    def __init__(self) -> None:
        self.cpu = Cpu(0, 0)
        self.connected = self.queries = self.proxy_memory = self.proxy_growth = self.server_growth = 0
        self.switches = self.peak_memory = self.growth = 0
        self.latencies: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
        self.login_seconds = self.load_share = 0.0
        self.sharing: Sharing | None = None
        self.seconds = 1.0
