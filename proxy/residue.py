"""Residue: what a statement leaves behind for the next one to ask for. Capturing it, answering from it, restoring it.

- ROW_COUNT() is known from every OK: affected rows, -1 after a result set or an error.
- FOUND_ROWS() is the number of rows sent plus the offset of the LIMIT, except with SQL_CALC_FOUND_ROWS, with LIMITs that are no literals,
  with LIMIT beside UNION, and with an offset when no row came: then only the backend knows. After statements without a result set it is
  not meant to be asked for (manual, "Information Functions"); the last known value is kept, which is what servers mostly do.
- LAST_INSERT_ID(): the id in an OK is not always it (an explicit value is not), so after an insert only the backend knows.
- Warnings and errors: when there are any, only the backend has their texts.

What remains inexact: the insert id, when a session without an insert id of its own on a backend inserts an explicit id that happens to be
the insert id which another session left there; GET DIAGNOSTICS as the first such statement of a session after its backend was
taken away (from then on it is pinned while it has warnings); ROW_COUNT(), FOUND_ROWS() and LAST_INSERT_ID() read inside stored
functions and triggers (before a CALL the insert id is restored).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.wire import read_lenenc_int
from proxy.results import packets, text_rows

if TYPE_CHECKING:
    pass

# Bits of SessionState.residue and SessionState.native.
INSERT_ID: Final = 1
ROW_COUNT: Final = 2
FOUND_ROWS: Final = 4
DIAGNOSTICS: Final = 8

_EOF_HEADER: Final = 0xFE


class Captured:
    """What was read off a parked backend."""

    __slots__ = ("columns", "error_count", "found_rows", "insert_id", "rows", "warning_count")

    def __init__(self) -> None:
        # payloads of the answer to SHOW WARNINGS: definitions and rows
        self.columns: list[bytes] = []
        self.rows: list[bytes] = []
        self.warning_count: int = 0
        self.error_count: int = 0
        self.found_rows: int = 0
        self.insert_id: int = 0


def capture_commands(residue: int) -> list[bytes]:
    """Payloads that read these bits of residue: warnings first, for SELECT clears them; SHOW WARNINGS changes FOUND_ROWS()."""
    commands: list[bytes] = []
    if residue & DIAGNOSTICS:
        commands.extend([b"\x03SHOW COUNT(*) WARNINGS", b"\x03SHOW COUNT(*) ERRORS", b"\x03SHOW WARNINGS"])
    if residue & (FOUND_ROWS | INSERT_ID):
        commands.append(b"\x03SELECT FOUND_ROWS(), LAST_INSERT_ID()")
    return commands


def read_capture(residue: int, answers: list[bytes]) -> Captured:
    """The answers to `capture_commands`, each in wire form as CLIENT_DEPRECATE_EOF says."""
    captured = Captured()
    if residue & DIAGNOSTICS:
        captured.warning_count = _number(answers[0])
        captured.error_count = _number(answers[1])
        payloads = packets(answers[2])
        count, _ = read_lenenc_int(payloads[0], 0)
        captured.columns = payloads[1 : 1 + count]
        captured.rows = payloads[1 + count : -1]
    if residue & (FOUND_ROWS | INSERT_ID):
        row = text_rows(answers[-1])[0]
        captured.found_rows = int(row[0] or 0)
        captured.insert_id = int(row[1] or 0)
    return captured


def _number(answer: bytes) -> int:
    return int(text_rows(answer)[0][0] or 0)


def insert_id_command(insert_id: int, seen: list[int]) -> bytes:
    """The payload that makes LAST_INSERT_ID() this session's.

    ``seen``: insert ids of its own OKs on this backend. If the backend has one of them it is the session's and stays.
    """
    if not seen:
        return b"\x03SET last_insert_id=%d" % insert_id
    listed = b",".join([b"%d" % number for number in seen])
    return b"\x03SET last_insert_id=IF(LAST_INSERT_ID() IN (%s),LAST_INSERT_ID(),%d)" % (listed, insert_id)
