"""The writer's role moves, and instances die and come back. `cluster` has the contracts."""

from __future__ import annotations

import enum
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fakes.aurora.instance import Instance

if TYPE_CHECKING:
    from tests.fakes.aurora.cluster import Aurora


class Drops(enum.Enum):
    """Which connections to the old writer end in a failover."""

    ALL = "all"  # as when it restarts
    TRANSACTIONS = "transactions"  # only those in a transaction
    NONE = "none"  # a COMMIT gets 1290, and row locks stay until the client gives up


@dataclass(frozen=True, slots=True)
class Switch:
    """When it happened, on the monotonic clock."""

    # the old writer refuses writes from here on, and ends the connections that it ends
    refused_at: float
    # the new writer takes writes
    accepted_at: float

    @property
    def gap(self) -> float:
        """Seconds for which nobody took writes, through no fault of a proxy's."""
        return self.accepted_at - self.refused_at


def fail_over(aurora: Aurora, new: Instance, drops: Drops, gap: float) -> Switch:
    """From the present writer, which may be dead, to another instance that has all it had committed; nobody is the writer for `gap`
    seconds at least."""
    old = aurora.writer
    new.replication.greet()
    aurora.thread.call(new.link.to_client.replace)
    if old.is_up:
        # most of what it lacks it gets while the old writer still is one
        new.replication.wait_for(old.replication.committed())
    refused_at = time.monotonic()
    if old.is_up:
        old.replication.demote()
        if drops is not Drops.NONE:
            aurora.thread.call(old.drop, lambda each: drops is Drops.ALL or each.is_in_transaction)
        new.replication.wait_for(old.replication.committed())
    threading.Event().wait(gap)
    new.replication.promote()
    accepted_at = time.monotonic()
    if drops is Drops.ALL:
        old.started_at = accepted_at
    aurora.appoint(new)
    return Switch(refused_at, accepted_at)


def follow_writer(aurora: Aurora, instance: Instance, *, was_writer: bool = False) -> None:
    """Let a reader replicate from the present writer, through its link."""
    instance.link.target = (aurora.writer.server.host, aurora.writer.server.port)
    aurora.thread.call(instance.link.cut)
    instance.replication.follow(instance.link.port, was_writer=was_writer)


def crash(aurora: Aurora, instance: Instance) -> float:
    """SIGKILL. What a writer had committed is saved first: on Aurora storage is shared. When its clients noticed, on the monotonic clock."""
    is_writer = instance is aurora.writer
    if is_writer:
        save(aurora)
    crashed_at = time.monotonic()
    aurora.thread.call(instance.refuse)
    aurora.thread.call(lambda: instance.drop(is_reset=True))
    if is_writer:
        # a statement that runs may commit still, so until this is done nobody knows what was committed
        instance.replication.demote()
        save(aurora)
    aurora.forget(instance)
    instance.server.halt(by_force=True)
    return crashed_at


def save(aurora: Aurora) -> None:
    """Let readers have all that the writer has committed, whatever their lag; frozen ones get it when they thaw."""
    position = aurora.writer.replication.committed()
    for reader in aurora.following:
        toxics = reader.link.to_client.toxics
        aurora.thread.call(reader.link.to_client.replace)
        reader.replication.wait_for(position)
        aurora.thread.call(reader.link.to_client.replace, *toxics)


def revive(aurora: Aurora, instance: Instance) -> None:
    """Start it again, in the role that it has now."""
    instance.server.start()
    instance.started_at = None
    instance.replication.set_up()
    if instance is aurora.writer:
        instance.replication.open_up()
    else:
        instance.replication.demote()
        follow_writer(aurora, instance, was_writer=True)
    aurora.thread.run(instance.listen())
