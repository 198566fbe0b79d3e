"""Servers for tests that compare the answers of two connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.cluster import Cluster
from bench.servers import KINDS, Server

STEADY: Final[Mapping[str, str | int]] = {
    # a thread counts rows in the background
    "innodb-stats-auto-recalc": "OFF",
    # each caches handles of tables with the counts of when they were opened; the connection's id says which one it uses
    "table-open-cache-instances": 1,
    # a program may wait for its own prepared XA transaction: it shall be told so before its client gives up
    "innodb-lock-wait-timeout": 5,
}
"""What one connection and the next would plan a statement differently by: MySQL tells in the status flags (NO_INDEX_USED)."""


def steady(kind: str) -> Server:
    """A server of a kind, whose plans do not depend on the moment or on the connection."""
    return KINDS[kind](options=STEADY)


def steady_cluster(kind: str) -> Cluster:
    """The same with two readers that follow it."""
    return Cluster(kind, options=STEADY)
