"""A row played: its contestants in turns on one server, round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import uvloop

from bench.client import ClientError, Target, control
from bench.contestants import Contestant, Settings, started, why_missing, why_unfit
from bench.fanin_process import ProxyError
from bench.meters import ProcessMeter, ServerWatch
from bench.report import Peer
from bench.servers import KINDS, Server, ServerError
from bench.suite.bars import Verdict
from bench.suite.rows import Act, Row, connections
from bench.trial import Outcome, Trial

SPARE_CONNECTIONS = 50  # of the server: monitors, and this program's own


@dataclass
class Played:
    """A row that is over. `remarks`: who did not take part and why; `failure`: what went wrong, so that there is nothing."""

    row: Row
    peers: list[Peer] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    failure: str | None = None

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for peer in self.peers for outcome in peer.rounds]

    @property
    def verdicts(self) -> list[Verdict]:
        peers = {peer.name: peer for peer in self.peers}
        there = {name.partition(",")[0] for name in peers}
        bars = [bar for bar in self.row.bars if not bar.only_with or bar.only_with in there]
        return [bar.verdict(self.row.key, peers) for bar in bars]


@dataclass(frozen=True)
class Length:
    """How long everything takes."""

    rounds: int
    seconds: float


class Servers:
    """Of each kind one, started when a row asks for it."""

    def __init__(self, stack: ExitStack, most: dict[str, int]) -> None:
        """`most`: connections that a kind must take, besides the spare ones."""
        self._stack = stack
        self._most = most
        self._started: dict[str, Server] = {}

    def of(self, kind: str) -> Server:
        """Raises ServerError where there is none."""
        if kind not in self._started:
            server = KINDS[kind](max_connections=self._most[kind] + SPARE_CONNECTIONS)
            self._started[kind] = self._stack.enter_context(server)
        return self._started[kind]


def fit(row: Row, proxies: Sequence[str], kind: str) -> tuple[list[Act], list[str]]:
    """The acts that can take place on a server of this kind, of these contestants; why others that were wanted cannot."""
    acts, remarks = list[Act](), dict.fromkeys(row.remarks)
    for act in row.acts:
        if act.proxy not in proxies:
            continue
        unfit = KINDS[kind].why_missing() or why_unfit(act.proxy, act.settings, kind)
        reason = why_missing(act.proxy) or unfit or act.play.why_not()
        if reason is None:
            acts.append(act)
        else:
            remarks[f"{act.name}: {reason}"] = None
    return acts, list(remarks)


def played(
    row: Row,
    proxies: Sequence[str],
    kind: str,
    server: Callable[[str], Server],
    length: Length,
    say: Callable[[str], None],
) -> Played:
    """All rounds of a row, on a server of this kind. What goes wrong is its failure, so that other rows can be played."""
    acts, remarks = fit(row, proxies, kind)
    result = Played(row, remarks=remarks)
    if not acts:
        remarks.append("nobody takes part")
        return result
    try:
        rounds = _all_rounds(row, acts, server(kind), length, result, say)
    except (ServerError, ProxyError, ClientError, OSError) as error:
        result.failure = str(error)
    except ExceptionGroup as group:
        result.failure = "; ".join(str(error) for error in group.exceptions)
    else:
        result.peers = [Peer(act.name, tuple(rounds[act.name])) for act in acts]
    return result


def _all_rounds(
    row: Row, acts: list[Act], server: Server, length: Length, result: Played, say: Callable[[str], None]
) -> dict[str, list[Outcome]]:
    """The order rotates, so that nobody always follows the same neighbour."""
    direct = Target(server.host, server.port)
    uvloop.run(_prepare(acts, direct))
    rounds: dict[str, list[Outcome]] = {act.name: [] for act in acts}
    with ExitStack() as stack:
        field = _together(row, acts, direct.address, stack)
        for number in range(length.rounds):
            turn = number % len(acts)
            for act in acts[turn:] + acts[:turn]:
                with _alone(act, direct.address) if row.is_fresh else _there(field, act) as contestant:
                    outcome = uvloop.run(_trial(act, contestant, direct, length.seconds))
                    if outcome.errors and contestant.proxy is not None:
                        result.log = contestant.proxy.last_words()
                rounds[act.name].append(outcome)
                say(round_line(number + 1, length.rounds, outcome))
    return rounds


async def _prepare(acts: Sequence[Act], direct: Target) -> None:
    async with control(direct) as ask:
        for play in dict.fromkeys(act.play for act in acts):
            await play.prepare(ask)


def _together(
    row: Row, acts: Sequence[Act], upstream: str, stack: ExitStack
) -> dict[tuple[str, Settings], Contestant]:
    if row.is_fresh:
        return {}
    wanted = [(act.proxy, act.settings) for act in acts]
    return stack.enter_context(started(wanted, upstream))


@contextmanager
def _alone(act: Act, upstream: str) -> Iterator[Contestant]:
    key = act.proxy, act.settings
    with started([key], upstream) as field:
        yield field[key]


@contextmanager
def _there(field: dict[tuple[str, Settings], Contestant], act: Act) -> Iterator[Contestant]:
    yield field[act.proxy, act.settings]


async def _trial(act: Act, contestant: Contestant, direct: Target, seconds: float) -> Outcome:
    target = Target(direct.host, contestant.port, tls=act.tls)
    proxy = ProcessMeter(contestant.proxy.pid) if contestant.proxy is not None else None
    load = act.play.load(target)
    async with control(direct) as ask:
        trial = Trial(act.name, load.groups, ServerWatch([ask]), seconds=seconds, proxy=proxy, load=load)
        return await trial.run()


def most_connections(rows: Sequence[Row], proxies: Sequence[str], kind: str) -> dict[str, int]:
    """Of the server of each kind: in rows that do not say which, of `kind`."""
    most: dict[str, int] = {}
    for row in rows:
        name = row.kind or kind
        most[name] = max(most.get(name, 0), connections(fit(row, proxies, name)[0]))
    return most


def round_line(number: int, rounds: int, outcome: Outcome) -> str:
    """What one trial has shown."""
    cpu = f"{outcome.total_us:6.1f} us CPU/query" if outcome.total_us is not None else " " * 19
    errors = f", {outcome.error_count} errors" if outcome.errors else ""
    rate = f"{outcome.queries_per_second:9,.0f} queries/s"
    return f"round {number}/{rounds}  {outcome.name:8} {rate}  {cpu}  p99 {outcome.p99:.1f} ms{errors}"
