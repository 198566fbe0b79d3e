"""The vocabulary of dialogues: what clients and servers say, in wire form."""

from __future__ import annotations

from protocol.constants import Capability, ServerStatus
from protocol.framing import frame
from protocol.packets import Column, SessionChanges, build_eof, build_err, build_ok, text_resultset
from proxy.sqlstates import sqlstate_of

AUTOCOMMIT = int(ServerStatus.AUTOCOMMIT)
IN_TRANS = AUTOCOMMIT | int(ServerStatus.IN_TRANS)
CURSOR_EXISTS = AUTOCOMMIT | int(ServerStatus.CURSOR_EXISTS)
LAST_ROW_SENT = AUTOCOMMIT | int(ServerStatus.LAST_ROW_SENT)

OLD_CLIENT = int(
    Capability.LONG_PASSWORD
    | Capability.PROTOCOL_41
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH
    | Capability.PLUGIN_AUTH_LENENC_CLIENT_DATA
    | Capability.CONNECT_ATTRS
    | Capability.MULTI_RESULTS
)
"""What nearly all clients have: EOF packets and no trackers."""
NEW_CLIENT = OLD_CLIENT | int(Capability.DEPRECATE_EOF)
"""The answers of a backend pass untouched."""


def packets(wire: bytes) -> list[tuple[int, bytes]]:
    """Sequence id and payload of each packet; a cut one has the id -1."""
    found = []
    pos = 0
    while pos < len(wire):
        end = pos + 4 + int.from_bytes(wire[pos : pos + 3], "little")
        found.append((wire[pos + 3] if end <= len(wire) else -1, wire[pos + 4 : end]))
        pos = end
    return found


# Commands


def query(text: str) -> bytes:
    return frame(b"\x03" + text.encode())


def init_db(schema: str) -> bytes:
    return frame(b"\x02" + schema.encode())


PING = frame(b"\x0e")
PROBE = frame(b"\x1b\x01\x00")
"""COM_SET_OPTION that changes nothing."""
QUIT = frame(b"\x01")
RESET = frame(b"\x1f")


def prepare(text: str) -> bytes:
    return frame(b"\x16" + text.encode())


def execute(statement_id: int, *, params: bytes = b"", flags: int = 0) -> bytes:
    """COM_STMT_EXECUTE; `params`: everything behind the iteration count."""
    return frame(b"\x17" + statement_id.to_bytes(4, "little") + bytes([flags]) + b"\1\0\0\0" + params)


def params(*values: bytes, types: bytes | None = None) -> bytes:
    """The NULL bitmap, the types (None: "as the last time") and length-encoded values."""
    bitmap = bytes((len(values) + 7) // 8)
    bound = b"\x00" if types is None else b"\x01" + types
    return bitmap + bound + b"".join(bytes([len(value)]) + value for value in values)


def long_data(statement_id: int, parameter: int, content: bytes) -> bytes:
    return frame(b"\x18" + statement_id.to_bytes(4, "little") + parameter.to_bytes(2, "little") + content)


def close_statement(statement_id: int) -> bytes:
    return frame(b"\x19" + statement_id.to_bytes(4, "little"))


def reset_statement(statement_id: int) -> bytes:
    return frame(b"\x1a" + statement_id.to_bytes(4, "little"))


def fetch(statement_id: int, count: int) -> bytes:
    return frame(b"\x1c" + statement_id.to_bytes(4, "little") + count.to_bytes(4, "little"))


# Answers


def ok(
    status: int = AUTOCOMMIT,
    *,
    sequence_id: int = 1,
    insert_id: int = 0,
    warnings: int = 0,
    changes: SessionChanges | None = None,
) -> bytes:
    return frame(
        build_ok(status=status, insert_id=insert_id, warnings=warnings, changes=changes), sequence_id
    )


def error(code: int, text: str = "no", sqlstate: str | None = None, *, sequence_id: int = 1) -> bytes:
    return frame(
        build_err(code, sqlstate.encode() if sqlstate else sqlstate_of(code, False), text.encode()),
        sequence_id,
    )


def rows(*values: bytes, status: int = AUTOCOMMIT, deprecate_eof: bool = True) -> bytes:
    """A text result set with one column, as a backend sends it; an OLD_CLIENT gets it with `deprecate_eof=False`."""
    return text_resultset(
        [Column(b"x")], [[value] for value in values], status=status, deprecate_eof=deprecate_eof
    )


def prepared(
    statement_id: int, *, num_params: int = 0, num_columns: int = 0, deprecate_eof: bool = True
) -> bytes:
    """The answer to COM_STMT_PREPARE."""
    head = b"\0" + statement_id.to_bytes(4, "little") + num_columns.to_bytes(2, "little")
    payloads = [head + num_params.to_bytes(2, "little") + b"\0\0\0"]
    for count, name in ((num_params, b"?"), (num_columns, b"x")):
        payloads += [Column(name).build()] * count
        if count and not deprecate_eof:
            payloads.append(build_eof(AUTOCOMMIT))
    return b"".join(frame(payload, number) for number, payload in enumerate(payloads, 1))


def cursor() -> bytes:
    """The answer to an execution that opens a cursor, under DEPRECATE_EOF."""
    payloads = [b"\x01", Column(b"x").build(), build_ok(status=CURSOR_EXISTS, header=0xFE)]
    return b"".join(frame(payload, number) for number, payload in enumerate(payloads, 1))


def fetched(*values: bytes, status: int) -> bytes:
    """The answer to COM_STMT_FETCH, under DEPRECATE_EOF."""
    payloads = [b"\0\0" + bytes([len(value)]) + value for value in values]
    payloads.append(build_ok(status=status, header=0xFE))
    return b"".join(frame(payload, number) for number, payload in enumerate(payloads, 1))
