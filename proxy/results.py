"""Reads the small text result sets that our own statements get (clients' rows are never parsed). Pure."""

from __future__ import annotations

from protocol.framing import payload_of
from protocol.wire import read_lenenc_bytes, read_lenenc_int


def packets(raw: bytes) -> list[bytes]:
    """The payloads in a whole response in wire form."""
    payloads = []
    pos = 0
    while pos < len(raw):
        end = pos + 4 + int.from_bytes(raw[pos : pos + 3], "little")
        payloads.append(payload_of(raw[pos:end]))
        pos = end
    return payloads


def text_rows(raw: bytes) -> list[list[bytes | None]]:
    """The rows of one text result set in wire form that ends as CLIENT_DEPRECATE_EOF says ("Text Resultset"); [] for an OK."""
    payloads = packets(raw)
    if payloads[0][0] == 0:
        return []
    columns, _ = read_lenenc_int(payloads[0], 0)
    return [text_row(payload, columns) for payload in payloads[1 + columns : -1]]


def text_row(payload: bytes, columns: int) -> list[bytes | None]:
    """The values of one row ("Text Resultset Row")."""
    row: list[bytes | None] = []
    pos = 0
    for _ in range(columns):
        if payload[pos] == 0xFB:
            row.append(None)
            pos += 1
        else:
            value, pos = read_lenenc_bytes(payload, pos)
            row.append(value)
    return row


def row_payloads(answer: bytes) -> list[bytes]:
    """The payloads of the rows of a result set in wire form that ends as CLIENT_DEPRECATE_EOF says."""
    payloads = packets(answer)
    count, _ = read_lenenc_int(payloads[0], 0)
    return payloads[1 + count : -1]
