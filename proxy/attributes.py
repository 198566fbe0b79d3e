"""How Fanin's connections announce themselves to servers: the connect attributes, by which performance_schema tells them apart. Pure.

A server keeps 512 bytes of them for each connection unless told otherwise (`performance_schema_session_connect_attrs_size`), hence few and
short ones.

References: MySQL Reference Manual, "Performance Schema Connection Attribute Tables".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROGRAM_NAME: Final = "program_name"
FANIN: Final = "fanin"
FANIN_ID: Final = "fanin_id"
VERSION: Final = "version"
APPLICATION: Final = "application"
PURPOSE: Final = "purpose"
MONITOR: Final = "monitor"
"""What PURPOSE is on connections that only look at the server; backends have none."""
LONGEST: Final = 64
"""Bytes of a value."""


def attributes(fanin_id: str, version: str, application: str, process_id: int) -> dict[str, str]:
    """Of each backend. ``fanin_id``: different in each process, and the same as long as it runs. ``application``: whom it serves."""
    return {
        PROGRAM_NAME: FANIN,
        FANIN_ID: fanin_id,
        VERSION: version,
        APPLICATION: application.encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore"),
        "_pid": str(process_id),
    }


def of_monitor(announced: Mapping[str, str]) -> dict[str, str]:
    """The same for a connection that only looks."""
    return {**announced, PURPOSE: MONITOR}


def encoded(announced: Mapping[str, str]) -> dict[bytes, bytes]:
    """As the handshake has them."""
    return {name.encode(): value.encode("utf-8", "replace") for name, value in announced.items()}
