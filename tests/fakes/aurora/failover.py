"""The writer's role moves, and instances die and come back. `cluster` has the contracts."""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING

from tests.fakes.aurora.instance import Instance

if TYPE_CHECKING:
    from tests.fakes.aurora.cluster import Aurora


class Drops(enum.Enum):
    """Which connections to the old writer end in a failover."""

    ALL = "all"  # as when it restarts
    TRANSACTIONS = "transactions"  # only those in a transaction
    NONE = "none"  # a COMMIT gets 1290, and row locks stay until the client gives up


def fail_over(aurora: Aurora, new: Instance, drops: Drops) -> None:
    """From the present writer, which may be dead, to another instance that has all it had committed."""
    old = aurora.writer
    new.replication.greet()
    if old.is_up:
        old.replication.demote()
        if drops is not Drops.NONE:
            aurora.thread.call(old.drop, lambda each: drops is Drops.ALL or each.is_in_transaction)
        aurora.thread.call(new.link.to_client.replace)
        new.replication.wait_for(old.replication.committed())
    else:
        aurora.thread.call(new.link.to_client.replace)
    new.replication.promote()
    if drops is Drops.ALL:
        old.started_at = time.monotonic()
    aurora.appoint(new)


def follow_writer(aurora: Aurora, instance: Instance, *, was_writer: bool = False) -> None:
    """Let a reader replicate from the present writer, through its link."""
    instance.link.target = (aurora.writer.server.host, aurora.writer.server.port)
    aurora.thread.call(instance.link.cut)
    instance.replication.follow(instance.link.port, was_writer=was_writer)


def crash(aurora: Aurora, instance: Instance) -> None:
    """SIGKILL. What a writer had committed is saved first: on Aurora storage is shared."""
    aurora.thread.call(instance.refuse)
    aurora.thread.call(lambda: instance.drop(is_reset=True))
    if instance is aurora.writer:
        # a statement that runs may commit still, so until this is done nobody knows what was committed
        instance.replication.demote()
        position = instance.replication.committed()
        for reader in aurora.following:
            toxics = reader.link.to_client.toxics
            aurora.thread.call(reader.link.to_client.replace)
            reader.replication.wait_for(position)
            aurora.thread.call(reader.link.to_client.replace, *toxics)
    aurora.forget(instance)
    instance.server.halt(by_force=True)


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
