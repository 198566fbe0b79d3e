"""Replicas behind Fanin, which nobody shall notice: they have what the writer has when a program begins, and nothing of their own afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from bench.cluster import REPLICATION, Cluster
from bench.servers import HOST
from tests.integration.running import Fanin, eventually, value

VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "transactions": {},
    "reads": {"autocommit_reads": "reader"},
    "late": {"late_begin": True},
}
"""What goes to readers -> settings of `routing`."""
PATIENT: Final = {"gtid_wait": 5, "max_lag": 60, "fallback": "wait", "fallback_wait": 5}
"""So that reads run there, and not on the writer, however slow the machine is, and shortly after a write."""
LAG_INTERVAL: Final = 0.02
CATCH_UP_SECONDS: Final = 20.0


class ReaderError(AssertionError):
    """A reader does not follow its writer any more, or has written something."""


class Replicas:
    """The readers of a cluster, by connections that are kept."""

    def __init__(self, cluster: Cluster) -> None:
        self._replication = REPLICATION[cluster.kind]
        self._cluster = cluster
        self._writer: Any = cluster.writer.connect()
        self._readers: list[Any] = [reader.connect() for reader in cluster.readers]

    def close(self) -> None:
        """Close the connections."""
        for each in (self._writer, *self._readers):
            each.close()

    def catch_up(self) -> None:
        """Wait until all have what the writer has committed, and look whether that is all. Raises ReaderError."""
        position = value(self._writer, self._replication.position)
        for number, reader in enumerate(self._readers):
            if value(reader, self._replication.wait, position, CATCH_UP_SECONDS) != 0:
                lag = self._cluster.lag(self._cluster.readers[number])
                raise ReaderError(f"reader {number + 1} does not follow: {_errors(lag)}")
            if own := self._written_by(reader):
                raise ReaderError(f"reader {number + 1} has written: {own}")

    def _written_by(self, reader: Any) -> str:
        """Transactions that are not the writer's."""
        has = value(reader, self._replication.position)
        if self._cluster.kind == "mysql":
            writer = value(self._writer, "SELECT @@server_uuid")
            # it may have one that the writer is about to count
            return ",".join(each for each in has.split(",") if not each.strip().startswith(writer))
        # the last one's domain-server-sequence; one that came before has stopped the replication (gtid_strict_mode)
        return "" if has.split("-")[1] == str(value(self._writer, "SELECT @@server_id")) else str(has)


def _errors(lag: dict[str, Any]) -> dict[str, Any]:
    return {name: said for name, said in lag.items() if name.endswith(("_Error", "_Running", "_State"))}


@contextlib.contextmanager
def with_readers(cluster: Cluster, variant: str, **settings: Any) -> Iterator[Fanin]:
    """A Fanin in front of a cluster that reads from each of its readers."""
    roles = ["writer", *("reader" for _ in cluster.readers)]
    upstream = [
        {"host": HOST, "port": server.port, "role": role, "name": f"{role}-{server.port}"}
        for server, role in zip(cluster.servers, roles, strict=True)
    ]
    with Fanin(
        upstream=upstream,
        topology={"kind": "replication", "monitor_user": "root", "lag_interval": LAG_INTERVAL},
        routing={**PATIENT, **VARIANTS[variant]},
        **settings,
    ) as fanin:
        await_readers(fanin)
        yield fanin


def await_readers(fanin: Fanin) -> None:
    """Wait until it reads from all of them."""

    def are_eligible() -> bool:
        members = fanin.state()["topology"].get("members", ())
        readers = [each for each in members if not each["name"].startswith("writer")]
        return readers != [] and all(each.get("is_eligible") for each in readers)

    eventually(are_eligible, "all readers are near enough")


def has_learned(fanin: Fanin) -> bool:
    """Whether it has accounts whose read-only transactions it begins on the writer (`stranding`), so that programs would meet no reader."""
    return bool(fanin.state()["routes"]["events"].get("stranded-accounts"))
