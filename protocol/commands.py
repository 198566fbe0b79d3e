"""Payloads of commands: those that a proxy sends on its own account, reads, or rewrites.

A builder gives a payload (framing.frame() makes a packet of it); a parser takes one and raises RemoteProtocolError
when it is malformed. Layouts: "Text Protocol", "Prepared Statements" and "Utility Commands" of the MySQL
documentation, all without CLIENT_QUERY_ATTRIBUTES, which is not offered to clients.
"""

from __future__ import annotations

from typing import Final

from protocol.constants import Command, SetOption
from protocol.handshake import read_attributes
from protocol.wire import (
    malformed,
    nul_bytes,
    read_bytes,
    read_nul_bytes,
    read_uint8,
    read_uint16,
    read_uint32,
    uint16,
    uint32,
)

_SECURE_CONNECTION: Final = 1 << 15
_PLUGIN_AUTH: Final = 1 << 19
_CONNECT_ATTRS: Final = 1 << 20

_PING: Final = bytes([Command.COM_PING])
_QUIT: Final = bytes([Command.COM_QUIT])
_RESET_CONNECTION: Final = bytes([Command.COM_RESET_CONNECTION])
_STATISTICS: Final = bytes([Command.COM_STATISTICS])

# Statement id by which a MariaDB client means the statement prepared last.
LAST_STATEMENT: Final = 0xFFFFFFFF


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


def quit_() -> bytes:
    """COM_QUIT, which has no response."""
    return _QUIT


def reset_connection() -> bytes:
    """COM_RESET_CONNECTION."""
    return _RESET_CONNECTION


def statistics() -> bytes:
    """COM_STATISTICS, whose response is one packet of plain text."""
    return _STATISTICS


def set_option(multi_statements: bool) -> bytes:
    """COM_SET_OPTION: turns CLIENT_MULTI_STATEMENTS on or off."""
    option = SetOption.MULTI_STATEMENTS_ON if multi_statements else SetOption.MULTI_STATEMENTS_OFF
    return b"\x1b" + uint16(option)


def process_kill(connection_id: int) -> bytes:
    """COM_PROCESS_KILL. MySQL 9 no longer knows it: use KILL."""
    return b"\x0c" + uint32(connection_id)


def field_list(table: bytes, wildcard: bytes = b"") -> bytes:
    """COM_FIELD_LIST: definitions of those columns of a table whose names are like wildcard."""
    return b"\x04" + nul_bytes(table) + wildcard


def stmt_prepare(text: bytes) -> bytes:
    """COM_STMT_PREPARE."""
    return b"\x16" + text


def stmt_close(statement_id: int) -> bytes:
    """COM_STMT_CLOSE, which has no response."""
    return b"\x19" + uint32(statement_id)


def stmt_reset(statement_id: int) -> bytes:
    """COM_STMT_RESET."""
    return b"\x1a" + uint32(statement_id)


def stmt_fetch(statement_id: int, rows: int) -> bytes:
    """COM_STMT_FETCH: at most so many rows of the statement's open cursor."""
    return b"\x1c" + uint32(statement_id) + uint32(rows)


def with_statement_id(payload: bytes, statement_id: int) -> bytes:
    """The same COM_STMT_* command (all but COM_STMT_PREPARE begin alike) for another statement."""
    if len(payload) < 5:
        raise malformed("a statement id is cut off")
    return payload[:1] + uint32(statement_id) + payload[5:]


# ---------------------------------------------------------------------------------------------------------- parsers


def parse_statement_id(payload: bytes) -> int:
    """Statement id of any COM_STMT_* command but COM_STMT_PREPARE."""
    return read_uint32(payload, 1)[0]


def parse_set_option(payload: bytes) -> int:
    """COM_SET_OPTION: the option, a SetOption if it is a valid one."""
    return read_uint16(payload, 1)[0]


def parse_process_kill(payload: bytes) -> int:
    """COM_PROCESS_KILL: the connection id."""
    return read_uint32(payload, 1)[0]


def parse_stmt_fetch(payload: bytes) -> tuple[int, int]:
    """COM_STMT_FETCH: statement id and number of rows."""
    return read_uint32(payload, 1)[0], read_uint32(payload, 5)[0]


class StmtExecute:
    """COM_STMT_EXECUTE, as far as it can be read without the types of the parameters."""

    __slots__ = ("cursor_type", "iterations", "new_params_bound", "nulls", "statement_id", "types", "values")

    def __init__(
        self,
        statement_id: int,
        cursor_type: int,
        iterations: int,
        nulls: bytes,
        new_params_bound: bool,
        types: bytes,
        values: bytes,
    ) -> None:
        self.statement_id: int = statement_id
        # A CursorType.
        self.cursor_type: int = cursor_type
        # Always 1.
        self.iterations: int = iterations
        # NULL bitmap, bit 0 of byte 0 for the first parameter; empty without parameters.
        self.nulls: bytes = nulls
        # types are sent; otherwise those of the execution before hold.
        self.new_params_bound: bool = new_params_bound
        # Two bytes for each parameter: ColumnType, and 0x80 if unsigned.
        self.types: bytes = types
        # Values of the parameters that are neither NULL nor sent by COM_STMT_SEND_LONG_DATA.
        self.values: bytes = values

    def build(self) -> bytes:
        """The payload."""
        fixed = b"\x17" + uint32(self.statement_id) + bytes([self.cursor_type]) + uint32(self.iterations)
        if not self.nulls:
            return fixed
        return fixed + self.nulls + (b"\x01" + self.types if self.new_params_bound else b"\0") + self.values


def parse_stmt_execute(payload: bytes, num_params: int) -> StmtExecute:
    """COM_STMT_EXECUTE for a statement with so many parameters (COM_STMT_PREPARE's answer told how many)."""
    statement_id, pos = read_uint32(payload, 1)
    cursor_type, pos = read_uint8(payload, pos)
    iterations, pos = read_uint32(payload, pos)
    if num_params == 0:
        return StmtExecute(statement_id, cursor_type, iterations, b"", False, b"", b"")
    nulls, pos = read_bytes(payload, pos, (num_params + 7) // 8)
    bound, pos = read_uint8(payload, pos)
    types = b""
    if bound:
        types, pos = read_bytes(payload, pos, 2 * num_params)
    return StmtExecute(statement_id, cursor_type, iterations, nulls, bound != 0, types, payload[pos:])


class SendLongData:
    """COM_STMT_SEND_LONG_DATA, which has no response."""

    __slots__ = ("content", "parameter", "statement_id")

    def __init__(self, statement_id: int, parameter: int, content: bytes) -> None:
        self.statement_id: int = statement_id
        # Counts from 0.
        self.parameter: int = parameter
        self.content: bytes = content


def parse_send_long_data(payload: bytes) -> SendLongData:
    """COM_STMT_SEND_LONG_DATA."""
    statement_id, pos = read_uint32(payload, 1)
    parameter, pos = read_uint16(payload, pos)
    return SendLongData(statement_id, parameter, payload[pos:])


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
