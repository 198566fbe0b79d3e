"""Whom a replica follows, and whether that leads to the writer. Pure.

A server knows how far it is behind its source. When that source is not the writer, as after a switch until somebody points the replica elsewhere, or
in a chain, this says nothing of how far it is behind the writer: a source that gets nothing is caught up with at once.

References: MySQL documentation, "SHOW REPLICA STATUS" (Source_Server_Id, Seconds_Behind_Source).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from proxy.observation import Observation

if TYPE_CHECKING:
    from proxy.topology import Member


def follows(seen: Observation | None, source: Member) -> bool:
    """Whether a server that said this replicates, or wants to, from that one."""
    for status in (seen and seen.replication) or ():
        is_source = status.source_id == source.server_id if source.server_id else False
        is_there = bool(source.address[0]) and (status.source_host, status.source_port) == source.address
        if status.is_following and (is_source or is_there):
            return True
    return False


def detour(seen: Observation, writer: Member, members: Collection[Member]) -> float | None:
    """Seconds by which what a replica follows is behind the writer: 0 when that is the writer, else the sum on the shortest way there. None: no way leads
    there on which everybody is known to be near."""
    behind = {seen.server_id: 0.0}
    front = [seen]
    while front:
        farther: list[Observation] = []
        for each in front:
            for source in members:
                if source.server_id in behind or not follows(each, source):
                    continue
                if source.server_id == writer.server_id:
                    return behind[each.server_id]
                lag = None if source.cause is not None or source.seen is None else source.seen.lag
                if lag is not None and source.seen is not None:
                    behind[source.server_id] = behind[each.server_id] + lag
                    farther.append(source.seen)
        front = farther
    return None
