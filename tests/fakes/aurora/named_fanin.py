"""Fanin in front of the emulator, in a world where the cluster's names exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.fakes.aurora.cluster import Aurora
from tests.fakes.aurora.names import CLUSTER
from tests.integration.running import Fanin


class NamedFanin(Fanin):
    """Knows nothing but the cluster's endpoint, unless it is told otherwise."""

    def __init__(
        self, aurora: Aurora, *, upstream: Mapping[str, object] | None = None, **settings: object
    ) -> None:
        """`upstream` is added to the only entry."""
        place = {"host": CLUSTER, "port": aurora.port, "name": "cluster"}
        super().__init__(upstream=[{**place, **(upstream or {})}], **settings)  # type: ignore[arg-type]
        self._names = aurora.names.path

    def command(self, folder: Path) -> list[str]:
        words = super().command(folder)
        module = words.index("proxy")
        return [*words[:module], "tests.fakes.aurora.named", str(self._names), *words[module + 1 :]]
