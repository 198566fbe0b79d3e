"""Payloads of OK, ERR and EOF, session-track blocks, and result sets that we make ourselves.

"Generic Response Packets" describes them. Two facts the page does not tell, seen on MySQL 9.7 and MariaDB 10.11:
the message of an OK is length-encoded with *and* without CLIENT_SESSION_TRACK, and it is left out altogether when
it is empty and no block follows. So an OK without a block is the same in both forms.
"""

from __future__ import annotations

from typing import Final

from protocol.constants import SQLSTATE, ColumnType
from protocol.framing import frame
from protocol.session_track import SessionChanges as SessionChanges
from protocol.session_track import build_changes as build_changes
from protocol.session_track import parse_changes as parse_changes
from protocol.wire import (
    lenenc_bytes,
    lenenc_int,
    malformed,
    read_bytes,
    read_lenenc_bytes,
    read_lenenc_int,
    read_uint8,
    read_uint16,
    uint16,
    uint32,
)

OK_HEADER: Final = 0x00
EOF_HEADER: Final = 0xFE
ERR_HEADER: Final = 0xFF

# Status flag SERVER_SESSION_STATE_CHANGED: a session-track block follows the message.
STATE_CHANGED: Final = 0x4000


class OkPacket:
    """An OK packet, or the OK with header 0xFE that ends a result set under CLIENT_DEPRECATE_EOF."""

    __slots__ = ("affected_rows", "block", "header", "insert_id", "message", "status", "warnings")

    def __init__(
        self,
        header: int,
        affected_rows: int,
        insert_id: int,
        status: int,
        warnings: int,
        message: bytes,
        block: bytes | None,
    ) -> None:
        self.header: int = header
        self.affected_rows: int = affected_rows
        self.insert_id: int = insert_id
        self.status: int = status
        self.warnings: int = warnings
        self.message: bytes = message
        # The session-track block as it came, None when there is none. parse_changes reads it.
        self.block: bytes | None = block

    @property
    def changes(self) -> SessionChanges | None:
        """What the session-track block says, None when there is none."""
        return None if self.block is None else parse_changes(self.block)

    def build(self) -> bytes:
        """The payload. The block is left out, whatever it holds, unless status says that it is there."""
        fixed = (
            bytes([self.header])
            + lenenc_int(self.affected_rows)
            + lenenc_int(self.insert_id)
            + uint16(self.status)
            + uint16(self.warnings)
        )
        if self.block is not None and self.status & STATE_CHANGED:
            return fixed + lenenc_bytes(self.message) + lenenc_bytes(self.block)
        return fixed + lenenc_bytes(self.message) if self.message else fixed


def parse_ok(payload: bytes, session_track: bool) -> OkPacket:
    """An OK packet; session_track as negotiated on this connection.

    Accepts the header 0xFE as well. Raises RemoteProtocolError for anything that is not exactly an OK packet.
    """
    header, pos = read_uint8(payload, 0)
    if header not in (OK_HEADER, EOF_HEADER):
        raise malformed(f"0x{header:02X} does not begin an OK packet")
    affected_rows, pos = read_lenenc_int(payload, pos)
    insert_id, pos = read_lenenc_int(payload, pos)
    status, pos = read_uint16(payload, pos)
    warnings, pos = read_uint16(payload, pos)
    message, block = b"", None
    if pos < len(payload):
        message, pos = _read_message(payload, pos, session_track)
        if session_track and status & STATE_CHANGED:
            block, pos = read_lenenc_bytes(payload, pos)
    if pos != len(payload):
        raise malformed("an OK packet goes on after its end")
    return OkPacket(header, affected_rows, insert_id, status, warnings, message, block)


def _read_message(payload: bytes, pos: int, session_track: bool) -> tuple[bytes, int]:
    """The message of an OK packet.

    The documentation says string<EOF> without CLIENT_SESSION_TRACK, servers send string<lenenc>: take what fits.
    """
    if not session_track:
        rest = len(payload) - pos
        if rest < 0xFB and payload[pos] == rest - 1:
            return payload[pos + 1 :], len(payload)
        if payload[pos] != 0xFC:
            return payload[pos:], len(payload)
    return read_lenenc_bytes(payload, pos)


def build_ok(
    *,
    affected_rows: int = 0,
    insert_id: int = 0,
    status: int,
    warnings: int = 0,
    message: bytes = b"",
    header: int = OK_HEADER,
    changes: SessionChanges | None = None,
) -> bytes:
    """An OK packet. With changes, which only a client with CLIENT_SESSION_TRACK may be sent, status gets 0x4000."""
    block = None if changes is None else build_changes(changes)
    status = status & ~STATE_CHANGED | (STATE_CHANGED if block else 0)
    return OkPacket(header, affected_rows, insert_id, status, warnings, message, block or None).build()


class ErrPacket:
    """An ERR packet."""

    __slots__ = ("code", "message", "sqlstate")

    def __init__(self, code: int, sqlstate: bytes, message: bytes) -> None:
        self.code: int = code
        # Five characters; empty in the ERR that comes in place of a greeting.
        self.sqlstate: bytes = sqlstate
        # In the connection's character set; before the handshake in the server's.
        self.message: bytes = message


def parse_err(payload: bytes) -> ErrPacket:
    """An ERR packet, with an SQLSTATE or without (before the handshake, when capabilities are not known yet)."""
    header, pos = read_uint8(payload, 0)
    if header != ERR_HEADER:
        raise malformed(f"0x{header:02X} does not begin an ERR packet")
    code, pos = read_uint16(payload, pos)
    sqlstate = b""
    if payload[pos : pos + 1] == b"#":
        sqlstate, pos = read_bytes(payload, pos + 1, 5)
    return ErrPacket(code, sqlstate, payload[pos:])


def build_err(code: int, sqlstate: bytes | None, message: bytes, *, before_handshake: bool = False) -> bytes:
    """An ERR packet. None takes the SQLSTATE that MySQL uses for the code; before the handshake there is none."""
    if before_handshake:
        return b"\xff" + uint16(code) + message
    if sqlstate is None:
        sqlstate = SQLSTATE.get(code, "HY000").encode()
    return b"\xff" + uint16(code) + b"#" + sqlstate + message


class EofPacket:
    """An EOF packet, which CLIENT_DEPRECATE_EOF replaces by nothing or by an OK."""

    __slots__ = ("status", "warnings")

    def __init__(self, status: int, warnings: int) -> None:
        self.status: int = status
        self.warnings: int = warnings


def parse_eof(payload: bytes) -> EofPacket:
    """An EOF packet."""
    if len(payload) != 5 or payload[0] != EOF_HEADER:
        raise malformed("not an EOF packet")
    warnings, pos = read_uint16(payload, 1)
    return EofPacket(read_uint16(payload, pos)[0], warnings)


def build_eof(status: int, warnings: int = 0) -> bytes:
    """An EOF packet. It cannot carry a session-track block, so 0x4000 is cleared."""
    return b"\xfe" + uint16(warnings) + uint16(status & ~STATE_CHANGED)


class Column:
    """A column of a result set that we make ourselves ("Protocol::ColumnDefinition41")."""

    __slots__ = (
        "collation",
        "decimals",
        "flags",
        "kind",
        "length",
        "name",
        "original_name",
        "schema",
        "table",
    )

    def __init__(
        self,
        name: bytes,
        kind: int = int(ColumnType.VAR_STRING),
        *,
        length: int = 1024,
        collation: int = 45,
        flags: int = 0,
        decimals: int = 0,
        schema: bytes = b"",
        table: bytes = b"",
        original_name: bytes = b"",
    ) -> None:
        self.name: bytes = name
        self.kind: int = kind
        # Most bytes that a value has.
        self.length: int = length
        self.collation: int = collation
        self.flags: int = flags
        self.decimals: int = decimals
        self.schema: bytes = schema
        self.table: bytes = table
        self.original_name: bytes = original_name

    def build(self) -> bytes:
        """The payload."""
        return (
            b"\x03def"
            + lenenc_bytes(self.schema)
            + lenenc_bytes(self.table)
            + lenenc_bytes(self.table)
            + lenenc_bytes(self.name)
            + lenenc_bytes(self.original_name)
            + b"\x0c"  # length of the rest
            + uint16(self.collation)
            + uint32(self.length)
            + bytes([self.kind])
            + uint16(self.flags)
            + bytes([self.decimals])
            + b"\0\0"
        )


def text_row(values: list[bytes | None]) -> bytes:
    """The payload of a row of the text protocol; None is NULL."""
    return b"".join([b"\xfb" if value is None else lenenc_bytes(value) for value in values])


def text_resultset(
    columns: list[Column],
    rows: list[list[bytes | None]],
    *,
    status: int,
    warnings: int = 0,
    deprecate_eof: bool,
    first_sequence_id: int = 1,
) -> bytes:
    """The wire form of a whole result set, for answers that we make ourselves."""
    payloads = [lenenc_int(len(columns))]
    payloads.extend([column.build() for column in columns])
    if not deprecate_eof:
        payloads.append(build_eof(status))
    payloads.extend([text_row(row) for row in rows])
    if deprecate_eof:
        payloads.append(build_ok(status=status, warnings=warnings, header=EOF_HEADER))
    else:
        payloads.append(build_eof(status, warnings))
    parts = []
    sequence_id = first_sequence_id
    for payload in payloads:
        parts.append(frame(payload, sequence_id))
        sequence_id += len(payload) // 0xFFFFFF + 1
    return b"".join(parts)
