"""A cluster without a monitor: tests put its words into the core's ear."""

from __future__ import annotations

from typing import Any

from config import cluster as settings_of
from config.cluster import Failover, InTransaction, Topology
from config.sections import Role, Upstream
from config.settings import Settings
from proxy.cluster import Cluster
from proxy.endpoint import Endpoint
from proxy.observation import Observation, ReplicationStatus
from proxy.placing import Placing
from proxy.placing_rules import PlacingRules
from proxy.topology_actions import Action, Cause, ClusterKind, Signal
from tests.fakes.world import World

UPSTREAM = (
    Upstream(host="writer", name="writer"),
    Upstream(host="reader-1", port=3307, name="reader-1", role=Role.READER),
    Upstream(host="reader-2", port=3308, name="reader-2", role=Role.READER),
)
FOLLOWS = (ReplicationStatus("writer", "writer", 3306, True, True, 0.0, ""),)
NOBODY: tuple[ReplicationStatus, ...] = ()


class Monitor:
    """What sessions told it, and the core."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.signals: list[tuple[str, Signal]] = []

    def suspected(self, name: str, signal: Signal) -> None:
        self.signals.append((name, signal))
        core = self.lab.cluster.core
        assert core is not None
        for action in core.suspected(name, signal, self.lab.now):
            self.lab.cluster.carry_out(action)

    async def stop(self) -> None:
        self.signals.clear()


class Lab:
    """A world with a cluster, and a monitor's words put into its mouth."""

    def __init__(
        self,
        world: World,
        kind: ClusterKind = ClusterKind.REPLICATION,
        in_transaction: InTransaction = InTransaction.DEADLOCK,
        **topology: Any,
    ) -> None:
        self.world = world
        self.shared = world.shared
        self.made: list[str] = []
        settings = Settings(
            upstream=UPSTREAM[: 1 + len(world.reader_servers)],
            topology=Topology(kind=settings_of.ClusterKind(kind.value), **topology),
            failover=Failover(hold=30.0, in_transaction=in_transaction),
        )
        self.cluster = Cluster(settings, world.shared, self.make, world.loop.time)
        world.shared.cluster = self.cluster
        self.cluster.placing = Placing(self.cluster.table, PlacingRules())
        self.cluster.placing.endpoints = self.cluster.endpoints
        self.cluster.placing.clock = world.loop.time
        self.kind = kind

    def make(self, upstream: Upstream) -> Endpoint:
        self.made.append(f"{upstream.host}:{upstream.port}")
        endpoint = self.world._endpoint(self.world.reader_servers[0], "none")
        endpoint.name = upstream.name
        return endpoint

    def monitored(self) -> Monitor:
        """Somebody hears what sessions notice."""
        monitor = Monitor(self)
        self.cluster.monitor = monitor  # type: ignore[assignment]
        return monitor

    def begins(self) -> Lab:
        core = self.cluster.know(self.kind)
        self.carry_out(core.begin(self.now))
        return self

    @property
    def now(self) -> float:
        return self.world.loop.time()

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            self.world.loop.call(self.cluster.carry_out, action)

    def look(self, name: str, is_writer: bool = False, **said: Any) -> None:
        core = self.cluster.core
        assert core is not None
        seen = Observation(
            **{
                "server_id": name,
                "is_writer": is_writer,
                "clock": int(self.now * 1e6),
                "taken_at": self.now,
                "round_trip": 0.0,
                "uptime": int(self.now),
                "replication": NOBODY if is_writer else FOLLOWS,
                **said,
            }
        )
        self.cluster.observe(name, seen)
        self.carry_out(core.observed(name, seen, self.now))

    def fails(self, name: str, cause: Cause = Cause.REFUSED) -> None:
        core = self.cluster.core
        assert core is not None
        self.carry_out(core.unreachable(name, cause, self.now))

    def stable(self) -> Lab:
        """The configured roles are what the servers say."""
        self.begins()
        for upstream in self.cluster.settings.upstream[1:]:
            self.look(upstream.name)
        self.look("writer", is_writer=True)
        for upstream in self.cluster.settings.upstream[1:]:
            self.look(upstream.name)
        return self

    def roles(self) -> str:
        shared = self.shared
        parts = (shared.writers, shared.readers, shared.others)
        return " | ".join(" ".join(sorted(endpoint.name for endpoint in part)) for part in parts)
