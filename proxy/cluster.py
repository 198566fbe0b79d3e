"""The servers of one cluster as the pools use them: joins the monitor and the topology core to the endpoints.

The core says who is what; `Cluster.arrange` brings `Shared.writers`, `Shared.readers` and the pools to that whenever it has said something. It looks
at the core's state and not at the single actions, so that it does not matter how often it is called.

- The *seat* is the endpoint that `Shared.writers` has: the present writer's, or the last one's while there is none. While the writer's role is paused
  its pool grants nothing, and clients wait there for `failover.hold`. When another takes the seat, whoever waits asks anew and is sent to it.
- An endpoint that has lost its role gives up its backends as they become free; what sessions had parked there is captured, so that it follows them.
- Until the servers have been heard, all is as configured: also for as long as nobody has logged in whose name and password could be borrowed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

from config import cluster as settings_of
from config.sections import Upstream
from config.settings import Settings
from proxy import verifying
from proxy.aurora_names import aurora_name, instance_host
from proxy.backend import Backend
from proxy.endpoint import Endpoint
from proxy.logs import get_logger
from proxy.looking import NO_ACCOUNT, account_of, place_of, way_of
from proxy.monitor import PATIENT, Account, LookFailed, Monitor, Place, Watch
from proxy.observation import Observation
from proxy.pool_states import LEASED, RESETTING
from proxy.readers import BOUNDED, EVENTUAL, SESSION, ReaderTable
from proxy.shared import Shared
from proxy.topology import TopologyCore, TopologyState
from proxy.topology_actions import SILENT, Action, ActionKind, ClusterKind, ServerRole, Signal
from proxy.topology_report import report

if TYPE_CHECKING:
    from proxy.placing import Placing

PROBE: Final = 0.25
"""Seconds between two attempts to learn what kind of cluster it is, or to find somebody whose credentials can be borrowed."""
CONSISTENCIES: Final = {
    settings_of.Consistency.EVENTUAL: EVENTUAL,
    settings_of.Consistency.SESSION: SESSION,
    settings_of.Consistency.BOUNDED: BOUNDED,
}


class Cluster:
    """All servers of one process, and what they are used for now."""

    def __init__(
        self,
        settings: Settings,
        shared: Shared,
        make_endpoint: Callable[[Upstream], Endpoint],
        now: Callable[[], float] = monotonic,
    ) -> None:
        """``make_endpoint``: makes one and starts what it needs."""
        routing = settings.routing
        self.settings: Final = settings
        self.now: Final = now
        self.table: Final = ReaderTable(
            max_lag=routing.max_lag,
            interval=settings.topology.interval,
            warm_up=routing.warm_up,
            consistency=CONSISTENCIES[routing.consistency],
            writer_weight=routing.writer_weight,
        )
        self.core: TopologyCore | None = None
        self.monitor: Monitor | None = None
        self.endpoints: Final[dict[str, Endpoint]] = {}
        # takes over from `Shared.choose` when it is known who is what
        self.placing: Placing | None = None
        # why it is not known yet what kind of cluster this is, in words
        self.trouble: str = ""
        self.delay: float = PROBE
        self.is_paused: bool = False
        # what a transaction gets that its server cannot finish: error 1213, or the end of its connection
        self.tells_deadlock: Final = settings.failover.in_transaction is settings_of.InTransaction.DEADLOCK
        # the endpoint that has raised its epoch by itself, while the core is told
        self._raising: str = ""
        # as it was logged last: who does not replicate from the writer; what servers could not be asked
        self._astray: Final[set[str]] = set()
        self._remarks: Final[dict[str, tuple[str, ...]]] = {}
        self._shared: Final = shared
        self._make_endpoint: Final = make_endpoint
        self._log: Final = get_logger("topology")
        for endpoint in shared.endpoints():
            self._adopt(endpoint)
        for upstream in settings.upstream:
            if not _is_seed(upstream):
                self.table.add(upstream.name, upstream.weight)

    # From start to end

    async def run(self) -> None:
        """Learn what kind of cluster it is, then watch it. Returns when the looks have begun."""
        kind = await self._learn_kind()
        core = self.know(kind)
        monitor = self.monitor = Monitor(
            core,
            way_of(self.settings, self._shared.announced),
            account=self.account,
            carry_out=self.carry_out,
            observe=self.observe,
            failed=self.failed,
            place_of=self._place_of_instance,
            lag_interval=self.settings.topology.lag_interval,
        )
        monitor.start([(upstream.name, place_of(upstream)) for upstream in self.settings.upstream])

    def know(self, kind: ClusterKind) -> TopologyCore:
        """What kind of cluster it is: it has a core now."""
        topology = self.settings.topology
        core = self.core = TopologyCore(
            kind,
            interval=topology.interval,
            panic_interval=topology.panic_interval,
            patience=2 * topology.timeout,
            discovers=self._template() is not None,
        )
        for upstream in self.settings.upstream:
            core.add(upstream.name, address=(upstream.host or "", upstream.port), is_seed=_is_seed(upstream))
        self._log.info("cluster", kind=kind.value, servers=list(core.members))
        return core

    async def stop(self) -> None:
        """End all looks."""
        if self.monitor is not None:
            await self.monitor.stop()

    async def _learn_kind(self) -> ClusterKind:
        while True:
            kind = await self.find_kind()
            if kind is not None:
                return kind
            await asyncio.sleep(self.delay)

    async def find_kind(self) -> ClusterKind | None:
        """What kind of cluster it is, as far as that can be told now; else it should be tried again after `delay`."""
        wanted = self.settings.topology.kind
        account = self.account()
        self.delay = PROBE
        if account is None:
            self._say_trouble(NO_ACCOUNT)
            return None
        if wanted is not settings_of.ClusterKind.AUTO:
            return ClusterKind(wanted.value)
        troubles: list[str] = []
        for upstream in self.settings.upstream:
            watch = Watch(upstream.name, place_of(upstream), way_of(self.settings, self._shared.announced))
            try:
                return await watch.find_kind(account)
            except LookFailed as failure:
                troubles.append(f"{upstream.name}: {failure}")
                if failure.is_hopeless:
                    self.delay = PATIENT
            finally:
                watch.close()
        self._say_trouble("; ".join(troubles))
        return None

    def _say_trouble(self, text: str) -> None:
        if text != self.trouble:
            self.trouble = text
            self._log.warning("kind of cluster not known yet: roles are as configured", reason=text)

    def account(self) -> Account | None:
        """Who looks."""
        return account_of(self.settings.topology, self._shared.credentials)

    # Where servers are

    def _template(self) -> str | None:
        """Host names of Aurora's instances."""
        template = self.settings.topology.host_template
        for upstream in self.settings.upstream:
            name = aurora_name(upstream.host or "")
            if template is None and name is not None:
                template = name.template
        return template

    def _instance(self, server_id: str) -> Upstream | None:
        template = self._template()
        host = None if template is None else instance_host(template, server_id)
        if host is None:
            return None
        return Upstream(name=server_id, host=host, port=self.settings.upstream[0].port)

    def _place_of_instance(self, server_id: str) -> Place | None:
        upstream = self._instance(server_id)
        return None if upstream is None else place_of(upstream)

    # What the monitor says

    def observe(self, name: str, seen: Observation) -> None:
        """A server was looked at."""
        core = self.core
        assert core is not None
        self._note_remarks(name, seen.remarks)
        is_writer = core.writer is not None and core.writer.name == name and seen.is_writer
        self.table.observed(name, seen, is_writer, core.detour(name, seen))
        self._note_way(name)
        budgets, occupancy = self._shared.budgets, seen.occupancy
        if budgets is not None and occupancy is not None and name in self.endpoints:
            budgets.saw(self.endpoints[name], occupancy, seen.round_trip)
        if self._shared.placing is not None:
            self._shared.placing.look()

    def failed(self, name: str, failure: LookFailed) -> None:
        """A server could not be looked at."""
        if self._shared.budgets is not None and name in self.endpoints:
            self._shared.budgets.failed(self.endpoints[name], failure)

    def watches(self, endpoint: Endpoint) -> bool:
        """Whether the monitor looks at it."""
        is_ours = self.endpoints.get(endpoint.name) is endpoint
        return is_ours and self.monitor is not None and endpoint.name in self.monitor.watches

    def watch_of(self, endpoint: Endpoint) -> Watch | None:
        """What looks at it; None when the monitor does not."""
        return self.monitor.watches[endpoint.name] if self.monitor and self.watches(endpoint) else None

    def _note_way(self, name: str) -> None:
        reader = self.table.readers.get(name)
        is_astray = reader is not None and reader.has_role and reader.is_astray
        if is_astray == (name in self._astray):
            return
        if is_astray:
            self._astray.add(name)
            self._log.warning(
                "reader is not seen to replicate from the writer, and gets no reads", server=name
            )
        else:
            self._astray.discard(name)
            self._log.info("reader replicates from the writer again, or is none any more", server=name)

    def _note_remarks(self, name: str, remarks: tuple[str, ...]) -> None:
        if remarks != self._remarks.get(name, ()):
            self._remarks[name] = remarks
            for remark in remarks:
                self._log.warning("server cannot be asked for all", server=name, reason=remark)

    def carry_out(self, action: Action) -> None:
        """The core has decided something."""
        kind, name = action.kind, action.name
        if kind is ActionKind.ADD:
            self._add(name, action.server_id)
        elif kind is ActionKind.REMOVE:
            self._remove(name)
        elif kind is ActionKind.CUT_OFF and name in self.endpoints:
            _cut_off(self.endpoints[name], f"{name} cannot be reached any more")
        elif kind is ActionKind.RAISE_EPOCH:
            self.table.raise_epoch(name, action.epoch)
            if name in self.endpoints and name != self._raising:
                self.endpoints[name].raise_epoch()
        self.arrange()

    def _add(self, name: str, server_id: str) -> None:
        upstream = self._instance(server_id)
        if upstream is not None and name not in self.endpoints:
            self._adopt(self._make_endpoint(upstream))
            self.table.add(name)

    def _adopt(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.name] = endpoint
        endpoint.sentinel = self

    def _remove(self, name: str) -> None:
        endpoint = self.endpoints.pop(name, None)
        self._remarks.pop(name, None)
        self._astray.discard(name)
        self.table.remove(name)
        if endpoint is not None:
            self._take_away(endpoint)

    def _take_away(self, endpoint: Endpoint) -> None:
        shared = self._shared
        shared.readers = [each for each in shared.readers if each is not endpoint]
        shared.others = [each for each in shared.others if each is not endpoint]
        endpoint.leave_role(goes_on=True)
        endpoint.drain()
        if shared.budgets is not None:
            shared.budgets.leave(endpoint)
        if endpoint.core.size:
            # it is looked after until the last lease is over
            shared.others.append(endpoint)

    # What is done about it

    def arrange(self) -> None:
        """Bring endpoints and pools to what the core says."""
        core = self.core
        if core is None:
            return
        if core.state is not TopologyState.UNKNOWN:
            self._seat_writer(core)
            self._place_readers(core)
            self._shared.placing = self.placing
        self._pause(self._must_wait(core))

    def _seat_writer(self, core: TopologyCore) -> None:
        shared = self._shared
        writer = None if core.writer is None else self.endpoints.get(core.writer.name)
        former = shared.writers[0] if shared.writers else None
        if writer is None or writer is former:
            return
        self.table.writer_changed()
        self.table.writer.name = writer.name
        shared.writers = [writer]
        shared.readers = [each for each in shared.readers if each is not writer]
        verifying.doubt(writer)
        if self.is_paused:
            self.is_paused = False
        if former is not None:
            former.leave_role()
            member = core.members.get(former.name)
            if member is None or member.cause is not None:
                _cut_off(former, f"another server has become the writer in place of {former.name}")

    def _place_readers(self, core: TopologyCore) -> None:
        shared = self._shared
        former = shared.readers
        readers: list[Endpoint] = []
        others = [each for each in shared.others if self._is_leaving(each)]
        for name, endpoint in self.endpoints.items():
            member = core.members.get(name)
            role = ServerRole.NONE if member is None else member.role
            endpoint.role = role.value
            is_reader = role is ServerRole.READER and endpoint not in shared.writers
            if member is not None:
                self.table.set_role(name, is_reader, member.epoch, self.now())
            if endpoint not in shared.writers:
                (readers if is_reader else others).append(endpoint)
        if readers != former or others != shared.others:
            shared.readers, shared.others = readers, others
            for endpoint in former:
                if endpoint in others:
                    endpoint.leave_role(goes_on=True)

    def _is_leaving(self, endpoint: Endpoint) -> bool:
        """Whether it was removed and has leases left."""
        return self.endpoints.get(endpoint.name) is not endpoint and endpoint.core.size > 0

    def _must_wait(self, core: TopologyCore) -> bool:
        """Whether clients of the writer wait. At the start the configured one is used until it, or all together, say otherwise; and as long as
        no server can be asked: then it is the monitor's trouble, and theirs will be told by the pools."""
        if ServerRole.WRITER not in core.paused:
            return False
        if core.state is not TopologyState.UNKNOWN:
            return True
        if all(member.seen is None for member in core.members.values()):
            return False
        writers = self._shared.writers
        member = core.members.get(writers[0].name) if writers else None
        is_none = member is not None and member.seen is not None and not member.seen.is_writer
        return bool(core.problem) or is_none

    def _pause(self, is_paused: bool) -> None:
        if is_paused == self.is_paused:
            return
        self.is_paused = is_paused
        for endpoint in self._shared.writers:
            if is_paused:
                endpoint.pause(self.settings.failover.hold)
            else:
                endpoint.resume()

    # What the data path says

    def suspected(self, endpoint: Endpoint, signal: Signal) -> None:
        """A session noticed something of a server."""
        if self.monitor is not None:
            self.monitor.suspected(endpoint.name, signal)

    def statements_gone(self, endpoint: Endpoint) -> None:
        """It does not know what it had prepared: the endpoint has raised its epoch for that."""
        self._raising = endpoint.name
        self.suspected(endpoint, Signal.STATEMENTS_GONE)
        self._raising = ""

    def lost_backends(self, endpoint: Endpoint) -> None:
        """Several of its backends were lost at about the same time."""
        self.suspected(endpoint, Signal.LOST_BACKENDS)

    def trouble_of(self, endpoint: Endpoint) -> str:
        """Why it cannot be looked at, in words, if it does not answer; "" if it does, or nobody has looked."""
        member = None if self.core is None else self.core.members.get(endpoint.name)
        if member is None or member.cause is None or member.cause not in SILENT:
            return ""
        return f"{member.cause.value}: {member.trouble}"

    def hurry(self, is_hurried: bool) -> None:
        """A session waits for readers to show what it has written, or none does any more."""
        if self.monitor is not None:
            self.monitor.hurry(is_hurried)

    def ask(self) -> None:
        """Somebody waits for what a look would show."""
        if self.monitor is not None:
            self.monitor.ask_all()

    # What the data path asks

    @property
    def is_known(self) -> bool:
        """Whether roles are what the servers say, and no longer as configured."""
        return self.core is not None and self.core.state is not TopologyState.UNKNOWN

    def for_reader_listener(self) -> Endpoint:
        """Where a login on the reader listener asks: a reader that is near enough, or else the writer. (Commands are placed: `placing`.)"""
        for reader in self.table.readers.values():
            endpoint = self.endpoints.get(reader.name)
            if endpoint is not None:
                reader.contender.counted(endpoint.demand(), endpoint.core.max_size)
        chosen = self.table.choose(None, self.now(), random.random)
        endpoint = None if chosen is None else self.endpoints.get(chosen.name)
        return endpoint or (self._shared.writers or self._shared.endpoints())[0]

    # What people see

    def state(self) -> Mapping[str, object]:
        """For /state."""
        if self.core is None:
            return {"kind": "not known yet", "reason": self.trouble}
        return report(self.core, self.table, self.is_paused, self.now())


def _cut_off(endpoint: Endpoint, why: str) -> None:
    """It cannot be reached, and is not the writer, or not any more: who waits for its answers, or holds something there, need not go on."""
    for member in endpoint.core.members():
        if isinstance(member, Backend) and member.state in (LEASED, RESETTING):
            member.give_up(why)


def _is_seed(upstream: Upstream) -> bool:
    name = aurora_name(upstream.host or "")
    return name is not None and name.is_seed
