"""The cluster's names, and a DNS that is as late as a test wants it.

Names are kept in a file, so that other processes see them change: `python -m tests.fakes.aurora.named FILE serve ...` is Fanin where
names of the file are resolved by it, whoever asks in the event loop (uvloop asks the C library, past `socket.getaddrinfo`).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

SUFFIX: Final = "c0ffee.eu-central-1.rds.amazonaws.com"
CLUSTER: Final = f"fanin.cluster-{SUFFIX}"
READERS: Final = f"fanin.cluster-ro-{SUFFIX}"


def instance_name(server_id: str) -> str:
    """The endpoint of an instance."""
    return f"{server_id}.{SUFFIX}"


class Names:
    """The names that exist, with their addresses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._addresses: dict[str, list[str]] = {}
        self._write()

    def point(self, name: str, *addresses: str) -> None:
        """From now on; without addresses the name does not exist."""
        self._addresses[name] = list(addresses)
        self._write()

    def resolve(self, name: str) -> list[str]:
        """What a name leads to now. Raises socket.gaierror."""
        return resolved(name, self._addresses)

    def _write(self) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self._addresses))
        os.replace(fresh, self.path)


def resolved(name: str, addresses: Mapping[str, Sequence[str]]) -> list[str]:
    """What a name leads to; one that is not ours leads to itself. Raises socket.gaierror for one that is not there."""
    if not name.endswith(SUFFIX):
        return [name]
    if not addresses.get(name):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return list(addresses[name])


def resolved_by(path: Path, name: str) -> list[str]:
    """The same by a file that another process keeps."""
    return resolved(name, json.loads(path.read_text()))
