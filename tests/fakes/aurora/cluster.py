"""`Aurora`: the whole cluster and its controls. They block, and are for one thread at a time."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.cluster import Cluster
from bench.servers import KINDS, Server, free_port
from proxy.tasks import spawn
from tests.fakes.aurora import failover, login
from tests.fakes.aurora.failover import Drops as Drops
from tests.fakes.aurora.failover import Switch as Switch
from tests.fakes.aurora.failover import follow_writer
from tests.fakes.aurora.instance import Instance
from tests.fakes.aurora.names import CLUSTER, READERS, Names, instance_name
from tests.fakes.aurora.sampler import Sampler
from tests.fakes.aurora.status import Board
from tests.fakes.loop_thread import LoopThread
from tests.fakes.toxics import BlackHole, Latency, Toxic

VERSION: Final = "3.08.0"
FOREVER: Final = float("inf")


class Aurora:
    """A running cluster; a context manager. Instances are `db-1`, the first writer, `db-2`, ..."""

    def __init__(
        self, kind: str = "mysql", *, readers: int = 2, interval: float = 0.1, version: str = VERSION
    ) -> None:
        """`interval`: seconds between two reports of an instance to replica_host_status, 1 on Aurora."""
        self.kind = kind
        self.version = version
        self.board = Board()
        self.instances: dict[str, Instance] = {}
        self.writer: Instance
        self.names: Names
        # the same for all instances
        self.port = 0
        self.thread = LoopThread()
        self._network = f"127.{64 + free_port() % 64}.{free_port() % 250}"
        self._servers = Cluster(kind, readers=readers)
        self._sampler = Sampler(self.board, lambda: list(self.instances.values()), interval)
        self._exits = contextlib.ExitStack()

    # --- its life

    def start(self) -> Self:
        """Start servers and instances. Raises ServerError."""
        with contextlib.ExitStack() as exits:
            folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="fanin-aurora-"))
            self.names = Names(Path(folder, "names.json"))
            exits.enter_context(self._servers)
            exits.enter_context(self.thread)
            self.port = free_port()
            login.KEYS.public_key_pem()
            exits.callback(self._stop_instances)
            self.writer, *readers = [self._add(server) for server in self._servers.servers]
            for reader in readers:
                follow_writer(self, reader)
            self.appoint(self.writer)
            self._settle_dns()
            self.report()
            self.thread.call(lambda: spawn(self._sampler.run(), name="sampler"))
            self._exits = exits.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything."""
        self._exits.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- who is there

    @property
    def readers(self) -> list[Instance]:
        """All instances but the writer."""
        return [each for each in self.instances.values() if each is not self.writer]

    @property
    def following(self) -> list[Instance]:
        """Readers that get what the writer commits, however late: neither dead nor frozen."""
        return [
            each
            for each in self.readers
            if each.is_up and not any(isinstance(toxic, BlackHole) for toxic in each.link.to_client.toxics)
        ]

    def __getitem__(self, name: str) -> Instance:
        return self.instances[name]

    def catch_up(self) -> None:
        """Wait until every reader that is neither dead nor frozen has what the writer has committed. Raises ServerError."""
        position = self.writer.replication.committed()
        for reader in self.following:
            reader.replication.wait_for(position)

    def add_instance(self) -> str:
        """One more reader; its name, when it has caught up and takes connections."""
        number = max(int(name.removeprefix("db-")) for name in self.instances) + 1
        options = {**self._servers.replication.reader_options, "server-id": number}
        instance = self._add(self._exits.enter_context(KINDS[self.kind](options=options)), number)
        follow_writer(self, instance)
        self.catch_up()
        self._point_readers()
        return instance.name

    def remove_instance(self, name: str, *, lingers: bool = True) -> None:
        """Delete a reader. Its row lingers with its last time, as it does on Aurora for minutes. Raises ValueError for the writer."""
        instance = self.instances[name]
        if instance is self.writer:
            raise ValueError("the writer cannot be removed: fail over first")
        del self.instances[name]
        self.thread.run(instance.stop())
        self.forget(instance)
        if not lingers:
            self.thread.call(self.board.forget, name)
        self.names.point(instance_name(name))
        self._point_readers()
        instance.server.stop()

    # --- lag and replica_host_status

    def set_lag(self, name: str, seconds: float, jitter: float = 0.0) -> None:
        """Let a reader get everything so much later than the writer commits it, by up to `jitter` more."""
        self._afflict(name, *([Latency(seconds, jitter)] if seconds or jitter else []))

    def freeze(self, name: str) -> None:
        """Let a reader get nothing any more."""
        self._afflict(name, BlackHole())

    def thaw(self, name: str) -> None:
        """Let it get what it has missed, and all that follows as soon as it is committed."""
        self._afflict(name)

    def report(self) -> None:
        """Let all instances report to replica_host_status now."""
        self.thread.run(self._sampler.report())

    def report_lag(self, name: str, seconds: float | None) -> None:
        """Let replica_host_status tell this lag, whatever is true; None: the truth."""
        self.board.lags = changed(self.board.lags, name, seconds)

    def report_cpu(self, name: str, percent: float | None) -> None:
        """Let replica_host_status tell this load."""
        self.board.cpus = changed(self.board.cpus, name, percent)

    def silence(self, name: str, is_silent: bool = True) -> None:
        """Let its row in replica_host_status stay as it is, with its old time."""
        self.thread.call((self.board.silent.add if is_silent else self.board.silent.discard), name)

    # --- failover and faults

    def failover(
        self,
        to: str,
        *,
        gap: float = 0.0,
        stale: float = 0.0,
        dns: float = 0.0,
        drops: Drops = Drops.TRANSACTIONS,
    ) -> Switch:
        """Make another instance the writer; nothing that was committed is lost. It has no lag from then on.

        The old writer, if it is up, answers writes with 1290 and becomes a reader; for `gap` seconds and a little more there is no
        writer. For `stale` seconds every other instance shows replica_host_status as it was, and the new writer's has two masters; for
        `dns` seconds the cluster's name leads to the old writer. FOREVER: until `settle`.
        """
        old = self.writer
        if stale:
            self.thread.call(self._hold_copies, to)
        switch = failover.fail_over(self, self.instances[to], drops, gap)
        if not dns:
            self._settle_dns()
        for reader in self.readers:
            if reader.is_up:
                follow_writer(self, reader, was_writer=reader is old)
        self.report()
        for seconds, settle in ((stale, self._settle_copies), (dns, self._settle_dns)):
            if 0 < seconds < FOREVER:
                self.thread.call(self.thread.loop.call_later, seconds, settle)
        return switch

    def settle(self) -> None:
        """What is late is so no more: DNS, and copies of replica_host_status."""
        self.thread.call(self._settle_copies)
        self.thread.call(self._settle_dns)

    def crash(self, name: str) -> float:
        """Kill its server and reset its connections; when, on the monotonic clock. Readers get what it had committed: on Aurora storage
        is shared."""
        return failover.crash(self, self.instances[name])

    def revive(self, name: str) -> None:
        """Start it again after `crash`, in the role that it has now."""
        failover.revive(self, self.instances[name])

    def restart(self, name: str) -> None:
        """Restart it and keep the connections that rest: prepared statements are gone, their numbers begin anew, Uptime is 0.
        Connections that do not rest are closed, and transactions rolled back."""
        self.thread.run(self.instances[name].renew())

    def set_uptime(self, name: str, seconds: float | None) -> None:
        """Let Uptime say this and count on; None: the server's own."""
        self.instances[name].started_at = None if seconds is None else time.monotonic() - seconds

    def refuse_writes_with(self, name: str, code: int) -> None:
        """Let a reader answer writes with 1836 or 3161; 1290 is what they get otherwise."""
        self.instances[name].refusal = code

    def stall_pipelining(self, name: str, is_stalling: bool = True) -> None:
        """As Aurora 2: a connection on which a command comes before the answer to the one before it hangs."""
        self.instances[name].stalls_pipelining = is_stalling

    def drop(self, name: str, *, is_reset: bool = False) -> None:
        """End the connections of its clients."""
        self.thread.call(lambda: self.instances[name].drop(is_reset=is_reset))

    # --- for the controls

    def appoint(self, writer: Instance) -> None:
        """It is the writer from now on."""
        self.writer = self._sampler.writer = writer

    def forget(self, instance: Instance) -> None:
        """Its server goes: close our own connections to it."""
        self.thread.call(self._sampler.forget, instance.server)
        instance.replication.close()

    def _add(self, server: Server, number: int = 0) -> Instance:
        number = number or len(self.instances) + 1
        name, host = f"db-{number}", f"{self._network}.{number}"
        instance = Instance(name, server, self.board, host, self.port, self.version)
        instance.replication.set_up()
        self.thread.run(instance.link.accept())
        self.thread.run(instance.listen())
        self.instances[name] = instance
        self.names.point(instance_name(name), host)
        return instance

    def _stop_instances(self) -> None:
        for instance in self.instances.values():
            self.thread.run(instance.stop())
            self.forget(instance)

    def _afflict(self, name: str, *toxics: Toxic) -> None:
        self.thread.call(self.instances[name].link.to_client.replace, *toxics)

    def _hold_copies(self, new: str) -> None:
        self.board.former = self.board.rows.get(self.writer.name)
        for name in self.instances:
            if name != new:
                self.board.hold(name)

    def _settle_copies(self) -> None:
        self.board.former = None
        for name in self.instances:
            self.board.release(name)

    def _settle_dns(self) -> None:
        self.names.point(CLUSTER, self.writer.host)
        self._point_readers()

    def _point_readers(self) -> None:
        self.names.point(READERS, *(each.host for each in self.readers))


def changed(values: dict[str, float], name: str, value: float | None) -> dict[str, float]:
    """A copy with another value, or with none."""
    rest = {key: each for key, each in values.items() if key != name}
    return rest if value is None else {**rest, name: value}
