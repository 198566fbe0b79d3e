"""Payloads of commands: those that a proxy sends on its own account, reads, or rewrites.

A builder gives a payload (framing.frame() makes a packet of it); a parser takes one and raises RemoteProtocolError
when it is malformed. Layouts: "Text Protocol", "Prepared Statements" and "Utility Commands" of the MySQL
documentation, all without CLIENT_QUERY_ATTRIBUTES, which is not offered to clients.
"""

from __future__ import annotations

from typing import Final

from protocol.constants import Command
from protocol.handshake import read_attributes
from protocol.wire import (
    read_bytes,
    read_nul_bytes,
    read_uint8,
    read_uint16,
    uint32,
)

_SECURE_CONNECTION: Final = 1 << 15
_PLUGIN_AUTH: Final = 1 << 19
_CONNECT_ATTRS: Final = 1 << 20

_PING: Final = bytes([Command.COM_PING])
_RESET_CONNECTION: Final = bytes([Command.COM_RESET_CONNECTION])

# --------------------------------------------------------------------------------------------------------- builders


def query(text: bytes) -> bytes:
    """COM_QUERY."""
    return b"\x03" + text


def init_db(schema: bytes) -> bytes:
    """COM_INIT_DB: makes schema the default."""
    return b"\x02" + schema


def ping() -> bytes:
    """COM_PING."""
    return _PING


def reset_connection() -> bytes:
    """COM_RESET_CONNECTION."""
    return _RESET_CONNECTION


def stmt_prepare(text: bytes) -> bytes:
    """COM_STMT_PREPARE."""
    return b"\x16" + text


def stmt_close(statement_id: int) -> bytes:
    """COM_STMT_CLOSE, which has no response."""
    return b"\x19" + uint32(statement_id)


def stmt_reset(statement_id: int) -> bytes:
    """COM_STMT_RESET."""
    return b"\x1a" + uint32(statement_id)


# ---------------------------------------------------------------------------------------------------------- parsers


class ChangeUser:
    """COM_CHANGE_USER. What the client left out is None or empty."""

    __slots__ = ("attributes", "auth_response", "collation", "database", "plugin", "user")

    def __init__(
        self,
        user: bytes,
        auth_response: bytes,
        database: bytes | None,
        collation: int,
        plugin: bytes,
        attributes: dict[bytes, bytes],
    ) -> None:
        self.user: bytes = user
        self.auth_response: bytes = auth_response
        # None when empty: the session then has no default schema.
        self.database: bytes | None = database
        # 0 when left out.
        self.collation: int = collation
        self.plugin: bytes = plugin
        self.attributes: dict[bytes, bytes] = attributes


def parse_change_user(payload: bytes, capabilities: int) -> ChangeUser:
    """COM_CHANGE_USER of a client with these capabilities.

    Everything behind the schema is optional, as servers take it to be: old clients stop there.
    """
    user, pos = read_nul_bytes(payload, 1)
    if capabilities & _SECURE_CONNECTION:
        length, pos = read_uint8(payload, pos)
        auth_response, pos = read_bytes(payload, pos, length)
    else:
        auth_response, pos = read_nul_bytes(payload, pos)
    database, pos = read_nul_bytes(payload, pos)
    collation = 0
    plugin = b""
    attributes: dict[bytes, bytes] = {}
    if pos < len(payload):
        collation, pos = read_uint16(payload, pos)
    if capabilities & _PLUGIN_AUTH and pos < len(payload):
        plugin, pos = read_nul_bytes(payload, pos)
    if capabilities & _CONNECT_ATTRS and pos < len(payload):
        attributes, pos = read_attributes(payload, pos)
    return ChangeUser(user, auth_response, database or None, collation, plugin, attributes)
