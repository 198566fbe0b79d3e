import asyncio
import os
from collections.abc import Iterator
from random import Random

import pytest

from bench.client import Target, control
from bench.load import Group, Load
from bench.meters import ProcessMeter, ServerWatch
from bench.servers import KINDS, Server
from bench.trial import Outcome, Sample, Trial
from bench.workload import Idle, Shop, Step, Turn
from tests.bench.fakes import FakeServer, error
from tests.bench.test_load import Script
from tests.bench.test_meters import status_row

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.trial.SAMPLE_EVERY", 0.02)
    monkeypatch.setattr("bench.trial.SETTLE", 0.02)


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)])
def quiet(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server to which nobody else is connected, for its connections are counted."""
    with KINDS[request.param]() as started:
        yield started


async def test_shop_on_a_real_server_is_without_errors(quiet: Server) -> None:
    shop, target = Shop("trial_"), Target(quiet.host, quiet.port)
    samples: list[Sample] = []
    async with control(target) as ask:
        for statement in shop.schema(40):
            await ask.run(Step(statement))
        outcome = await Trial(
            "direct",
            [Group(target, shop, clients=40, active=8)],
            ServerWatch([ask]),
            seconds=0.5,
            servers=ProcessMeter(quiet.pid),
            warm_up=0.1,
            on_sample=samples.append,
        ).run()
        for table in shop.tables():
            await ask.rows(f"DROP TABLE {table}")
    assert outcome.errors == {}, outcome.examples
    assert (outcome.connected, outcome.clients, outcome.active) == (40, 40, 8)
    assert outcome.queries > 0
    assert 0 < outcome.p50 <= outcome.p95 <= outcome.p99 <= outcome.slowest
    (before,), (peak,), (after,) = outcome.before, outcome.peak, outcome.after
    assert before + 40 == peak
    # how soon a server lets go is its own affair
    assert before <= after <= peak
    assert (outcome.user_us, outcome.proxy_memory_per_client) == (None, None)
    assert outcome.server_memory_per_client is not None
    assert {sample.phase for sample in samples} >= {"running"}
    assert tuple(samples) == outcome.samples[1:]  # the first one is how it was before


def answer_status(fake: FakeServer) -> None:
    for name in ("Threads_connected", "Max_used_connections"):
        fake.answers[f"SHOW GLOBAL STATUS LIKE '{name}'"] = status_row(name.encode(), b"3")


async def run_on(fake: FakeServer, group: Group, *, seconds: float = 0.1) -> Outcome:
    async with control(fake.target) as ask:
        proxy = ProcessMeter(os.getpid())
        return await Trial("x", [group], ServerWatch([ask]), seconds=seconds, proxy=proxy, warm_up=0.02).run()


async def test_idle_clients_have_no_cost_per_query(fake: FakeServer) -> None:
    answer_status(fake)
    outcome = await run_on(fake, Group(fake.target, Idle(), clients=5, active=0))
    assert (outcome.queries, outcome.user_us, outcome.total_us, outcome.p99) == (0, None, None, 0)
    assert (outcome.connected, outcome.error_count) == (5, 0)
    assert outcome.cpu_share is not None and outcome.proxy_memory is not None


async def test_proxy_has_a_cost_per_query(fake: FakeServer) -> None:
    answer_status(fake)
    outcome = await run_on(fake, Group(fake.target, Script("DO 0"), clients=5, active=2))
    assert outcome.queries > 0
    assert outcome.queries_per_second == outcome.queries / outcome.seconds
    assert outcome.total_us is not None and outcome.total_us >= 0


class Told(Load):
    """A load that has something to tell, and for which nobody connects at first."""

    connects_first = False

    async def window(self, seconds: float) -> None:
        await super().window(seconds)
        self.figures["told"] = 7.0


async def test_load_of_another_kind_has_its_figures(fake: FakeServer) -> None:
    answer_status(fake)
    load = Told([Group(fake.target, Script("DO 0"), clients=3, active=1)])
    async with control(fake.target) as ask:
        meter = ProcessMeter(os.getpid())
        trial = Trial("x", load.groups, ServerWatch([ask]), seconds=0.05, proxy=meter, warm_up=0.0, load=load)
        outcome = await trial.run()
    assert outcome.figures == {"told": 7.0}
    assert outcome.logins_per_second is None
    assert outcome.switches is not None and outcome.switches >= 0
    assert outcome.peak_memory is not None and outcome.growth is not None
    assert outcome.peak_memory > outcome.growth


async def test_peak_is_sampled_where_it_cannot_be_counted(fake: FakeServer) -> None:
    answer_status(fake)
    fake.answers["FLUSH LOCAL STATUS"] = error(1227, b"you need RELOAD")
    outcome = await run_on(fake, Group(fake.target, Script("DO 0"), clients=2, active=1))
    assert not outcome.peak_is_exact
    assert outcome.peak == (2,)


async def test_exception_in_a_callback_is_an_error(fake: FakeServer) -> None:
    answer_status(fake)

    def crash() -> None:
        raise RuntimeError("oops")

    class Crashing(Script):
        def turn(self, number: int, random: Random) -> Turn:
            if not self.played:
                asyncio.get_running_loop().call_soon(crash)
            return super().turn(number, random)

    outcome = await run_on(fake, Group(fake.target, Crashing("DO 0"), clients=2, active=1))
    assert outcome.errors == {"crash of the load": 1}
    assert "oops" in outcome.examples["crash of the load"]


class Leaving(ServerWatch):
    """Of which connections go away one after the other, look by look, and then no more."""

    def __init__(self, *seen: int) -> None:
        super().__init__([])
        self._seen = list(seen)

    async def connected(self) -> tuple[int, ...]:
        return (self._seen.pop(0) if len(self._seen) > 1 else self._seen[0],)


@pytest.mark.parametrize(("seen", "left"), [((5, 4, 3, 2), 2), ((5, 4, 4, 2), 4), ((2, 2), 2)])
async def test_goodbyes_are_waited_for_until_nothing_changes(
    seen: tuple[int, ...], left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.trial.SETTLE", 0.0)
    assert await Trial("x", [], Leaving(*seen), seconds=0.0)._connections_after((2,)) == (left,)


async def test_connections_that_stay_open_are_reported(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_status(fake)
    monkeypatch.setattr("bench.trial.CLOSE_TIMEOUT", 0.05)
    outcome = await run_on(fake, Group(fake.target, Script("DO 0"), clients=2, active=1))
    assert outcome.after == (2,)
