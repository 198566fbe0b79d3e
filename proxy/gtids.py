"""Positions in what a writer has committed, as GTIDs: what a server has, and whether that is everything another one had.

MySQL ("GTID Sets"): ``uuid:1-5:7,uuid:tag:1-3``, where a tag (from 8.3) stands for the intervals after it. MariaDB ("Global Transaction ID"):
``domain-server-sequence``, one for each domain; within a domain sequence numbers only grow, so that the last one stands for all before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from proxy.kept import TEXT

_INTERVAL: Final = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG: Final = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_MARIADB: Final = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})")


class Gtids:
    """A set of transactions. Never changed once made."""

    __slots__ = ("_servers", "is_mariadb", "parts")

    def __init__(
        self,
        parts: dict[str, list[tuple[int, int]]],
        is_mariadb: bool,
        servers: dict[str, str] | None = None,
    ) -> None:
        # source (and tag), or domain -> intervals: both ends count, in order, neither touching nor overlapping
        self.parts: dict[str, list[tuple[int, int]]] = parts
        self.is_mariadb: bool = is_mariadb
        # domain -> the server that wrote the last one
        self._servers: dict[str, str] = servers or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gtids) and self.parts == other.parts and self.is_mariadb == other.is_mariadb

    def __hash__(self) -> int:
        return hash(str(self))

    def __len__(self) -> int:
        """How many intervals it is written as."""
        return sum(len(intervals) for intervals in self.parts.values())

    def contains(self, other: Gtids) -> bool:
        """Whether all of the other's transactions are here. Nothing is contained in anything."""
        return all(
            any(first <= low and high <= last for first, last in self.parts.get(source, ()))
            for source, intervals in other.parts.items()
            for low, high in intervals
        )

    def union(self, other: Gtids) -> Gtids:
        """The transactions of both."""
        sources = self.parts | other.parts
        parts = {
            source: _merged([*self.parts.get(source, ()), *other.parts.get(source, ())]) for source in sources
        }
        servers = dict(self._servers)
        for domain, server in other._servers.items():
            if domain not in servers or other.parts[domain][-1][1] >= self.parts[domain][-1][1]:
                servers[domain] = server
        return Gtids(parts, self.is_mariadb, servers)

    def wait_command(self, seconds: float) -> bytes:
        """The payload that lets a replica wait until it has them: 0 is the answer when it has. MySQL's replicas that do not commit in the writer's
        order say 2. ``seconds``: more than 0, which to MySQL means for ever. Whatever character set the connection has."""
        if self.is_mariadb:
            return b"\x03SELECT MASTER_GTID_WAIT(%s%s',%.3f) LIMIT 1" % (TEXT, str(self).encode(), seconds)
        return (
            b"\x03SELECT IF(@@GLOBAL.replica_preserve_commit_order OR @@GLOBAL.replica_parallel_workers<2,"
            b"WAIT_FOR_EXECUTED_GTID_SET(%s%s',%.3f),2) LIMIT 1" % (TEXT, str(self).encode(), seconds)
        )

    def __str__(self) -> str:
        if self.is_mariadb:
            return ",".join(
                f"{domain}-{self._servers[domain]}-{intervals[-1][1]}"
                for domain, intervals in sorted(self.parts.items())
            )
        return ",".join(
            ":".join([source, *(_written(low, high) for low, high in intervals)])
            for source, intervals in sorted(self.parts.items())
        )


def parse_gtids(text: str, is_mariadb: bool) -> Gtids:
    """A position as a server writes it. Raises ValueError when it is none."""
    members = [member for member in "".join(text.split()).lower().split(",") if member]
    return _mariadb(members) if is_mariadb else _mysql(members)


def _mariadb(members: list[str]) -> Gtids:
    parts: dict[str, list[tuple[int, int]]] = {}
    servers: dict[str, str] = {}
    for member in members:
        found = _MARIADB.fullmatch(member)
        if found is None:
            raise ValueError(f"no GTID of MariaDB: {member!r}")
        domain, server, sequence = found[1], found[2], int(found[3])
        if domain not in parts or parts[domain][0][1] <= sequence:
            parts[domain] = [(0, sequence)]
            servers[domain] = server
    return Gtids(parts, True, servers)


def _mysql(members: list[str]) -> Gtids:
    parts: dict[str, list[tuple[int, int]]] = {}
    for member in members:
        uuid, *rest = member.split(":")
        if _UUID.fullmatch(uuid) is None or not rest:
            raise ValueError(f"no GTID of MySQL: {member!r}")
        source = uuid
        for part in rest:
            interval = _INTERVAL.fullmatch(part)
            if interval is not None:
                low, high = int(interval[1]), int(interval[2] or interval[1])
                # "an interval whose end is before its start is empty"
                if low <= high:
                    parts.setdefault(source, []).append((low, high))
            elif _TAG.fullmatch(part) is not None:
                source = f"{uuid}:{part}"
            else:
                raise ValueError(f"no GTID of MySQL: {member!r}")
    return Gtids({source: _merged(intervals) for source, intervals in parts.items()}, False)


def _merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _written(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"
