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

from typing import Final

from protocol.framing import frame, payload_of
from protocol.packets import Column, build_eof, build_ok
from protocol.response import ResponseTracker
from protocol.wire import lenenc_bytes, lenenc_int, read_lenenc_bytes, read_lenenc_int
from proxy.results import packets, text_rows
from proxy.statement import (
    CALLS,
    IS_SELECT,
    KEEPS_DIAGNOSTICS,
    MULTI,
    SETS_INSERT_ID,
    UNKNOWN_FOUND_ROWS,
    USES_NO_TABLE,
    Question,
    Statement,
)
from proxy.vector import Vector

# Bits of SessionState.residue and SessionState.native.
INSERT_ID: Final = 1
ROW_COUNT: Final = 2
FOUND_ROWS: Final = 4
DIAGNOSTICS: Final = 8

BIT_OF: Final[dict[int, int]] = {
    Question.LAST_INSERT_ID: INSERT_ID,
    Question.ROW_COUNT: ROW_COUNT,
    Question.FOUND_ROWS: FOUND_ROWS,
    Question.SHOW_WARNINGS: DIAGNOSTICS,
    Question.SHOW_ERRORS: DIAGNOSTICS,
    Question.COUNT_WARNINGS: DIAGNOSTICS,
    Question.COUNT_ERRORS: DIAGNOSTICS,
    Question.WARNING_COUNT: DIAGNOSTICS,
    Question.ERROR_COUNT: DIAGNOSTICS,
    Question.CONNECTION_ID: 0,
}
"""Which residue a question is about; 0: none, only the proxy knows."""

_EOF_HEADER: Final = 0xFE


class Captured:
    """What was read off a parked backend."""

    __slots__ = ("error_count", "found_rows", "insert_id", "rows", "warning_count")

    def __init__(self) -> None:
        # payloads of the rows of SHOW WARNINGS
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


# Answering


def deprecated_found_rows() -> Captured:
    """What MySQL (8.0.17 and later) warns of when FOUND_ROWS() is used."""
    captured = Captured()
    captured.warning_count = 1
    text = b"FOUND_ROWS() is deprecated and will be removed in a future release. Consider using COUNT(*) instead."
    captured.rows.append(lenenc_bytes(b"Warning") + lenenc_bytes(b"1287") + lenenc_bytes(text))
    return captured


def number_answer(
    statement: Statement, number: int, *, status: int, warnings: int, deprecate_eof: bool, is_mariadb: bool
) -> bytes:
    """The wire form of the one-row answer to a bare question about a number, as the server would give it."""
    title, flags, kind, length = statement.title, 0xA1, _LONGLONG, 21
    question = statement.question
    if question in (Question.ROW_COUNT, Question.FOUND_ROWS):
        flags = 0x81
    elif question == Question.CONNECTION_ID:
        if is_mariadb:
            kind, length = _LONG, 10
    elif question != Question.LAST_INSERT_ID:
        flags = 0xA0
        title = _COUNT_TITLES.get(question, title)
    column = Column(title, kind, length=length, collation=_BINARY, flags=flags)
    row = lenenc_bytes(b"%d" % number)
    return _result_set([column], [row], status, warnings, deprecate_eof)


def diagnostics_rows(statement: Statement, captured: Captured | None) -> list[bytes]:
    """The rows of SHOW WARNINGS or SHOW ERRORS, its LIMIT applied."""
    rows = [] if captured is None else captured.rows
    if statement.question == Question.SHOW_ERRORS:
        rows = [row for row in rows if read_lenenc_bytes(row, 0)[0] == b"Error"]
    if statement.limit is not None:
        offset, count = statement.limit
        rows = rows[offset : offset + count]
    return rows


def diagnostics_answer(
    rows: list[bytes], *, charset: bytes, status: int, deprecate_eof: bool, is_mariadb: bool
) -> bytes:
    """The wire form of the answer to SHOW WARNINGS or SHOW ERRORS. ``charset``: the session's character_set_results."""
    collation, width = _CHARSETS.get(charset.lower(), (8, 1))
    if charset == b"utf8mb4" and is_mariadb:
        collation = 45
    decimals = 39 if is_mariadb else 31
    columns = [
        Column(b"Level", length=7 * width, collation=collation, flags=1, decimals=decimals),
        Column(b"Code", _LONG, length=4 if is_mariadb else 5, collation=_BINARY, flags=0xA1),
        Column(b"Message", length=512 * width, collation=collation, flags=1, decimals=decimals),
    ]
    return _result_set(columns, rows, status, 0, deprecate_eof)


def _result_set(
    columns: list[Column], rows: list[bytes], status: int, warnings: int, deprecate_eof: bool
) -> bytes:
    payloads = [lenenc_int(len(columns))]
    payloads.extend([column.build() for column in columns])
    if not deprecate_eof:
        payloads.append(build_eof(status, warnings))
    payloads.extend(rows)
    if deprecate_eof:
        payloads.append(build_ok(status=status, warnings=warnings, header=_EOF_HEADER))
    else:
        payloads.append(build_eof(status, warnings))
    return b"".join([frame(payload, (i + 1) & 0xFF) for i, payload in enumerate(payloads)])


_LONG: Final = 3
_LONGLONG: Final = 8
_BINARY: Final = 63
_COUNT_TITLES: Final[dict[int, bytes]] = {
    Question.COUNT_WARNINGS: b"@@session.warning_count",
    Question.COUNT_ERRORS: b"@@session.error_count",
}
# Character set -> (id of the collation that definitions of columns name, bytes of its longest character). b"": NULL.
_CHARSETS: Final[dict[bytes, tuple[int, int]]] = {
    b"": (33, 3),
    b"utf8mb4": (255, 4),
    b"utf8mb3": (33, 3),
    b"utf8": (33, 3),
    b"latin1": (8, 1),
    b"ascii": (11, 1),
    b"binary": (63, 1),
    b"latin2": (9, 1),
    b"latin5": (30, 1),
    b"latin7": (41, 1),
    b"cp1250": (26, 1),
    b"cp1251": (51, 1),
    b"cp1256": (57, 1),
    b"cp1257": (59, 1),
    b"cp850": (4, 1),
    b"cp852": (40, 1),
    b"cp866": (36, 1),
    b"greek": (25, 1),
    b"hebrew": (16, 1),
    b"koi8r": (7, 1),
    b"koi8u": (22, 1),
    b"tis620": (18, 1),
    b"gbk": (28, 2),
    b"gb2312": (24, 2),
    b"gb18030": (248, 4),
    b"big5": (1, 2),
    b"sjis": (13, 2),
    b"cp932": (95, 2),
    b"ujis": (12, 3),
    b"eucjpms": (97, 3),
    b"euckr": (19, 2),
    b"utf16": (54, 4),
    b"utf16le": (56, 4),
    b"utf32": (60, 4),
    b"ucs2": (35, 2),
}


_MAX_INSERT_IDS: Final = 64


class ResidueKeeper:
    """The part of a session that is residue: what is known of it, and where the rest is.

    The base of `SessionState`, which the shells talk to.
    """

    __slots__ = (
        "_insert_ids",
        "captured",
        "found_rows",
        "insert_id",
        "is_mariadb",
        "native",
        "residue",
        "row_count",
        "status",
        "vector",
    )

    def __init__(self, vector: Vector, status: int, is_mariadb: bool) -> None:
        self.vector: Vector = vector
        # status flags for replies that we make ourselves: those that last from statement to statement
        self.status: int = status
        self.is_mariadb: bool = is_mariadb
        # bits of residue whose value only the backend has
        self.residue: int = 0
        # bits of residue that the backend in use, or parked, answers rightly by itself
        self.native: int = 0
        # the values, for the bits that are not in `residue`
        self.insert_id: int = 0
        self.row_count: int = 0
        self.found_rows: int = 0
        # warnings and errors that were captured; None when there are none
        self.captured: Captured | None = None
        # insert ids that OKs had on a backend whose insert id was not restored before: they tell ours from another session's
        self._insert_ids: list[int] = []

    def see_residue(self, statement: Statement, response: ResponseTracker) -> None:
        """A statement was answered: what it left behind."""
        self._see_diagnostics(statement.flags, response)
        self._see_counts(statement, response)
        if response.any_insert_id or statement.flags & (SETS_INSERT_ID | CALLS) or statement.executes:
            self.residue |= INSERT_ID
            if not self.native & INSERT_ID and response.insert_id:
                self._insert_ids.append(response.insert_id)
                del self._insert_ids[:-_MAX_INSERT_IDS]

    def _see_diagnostics(self, flags: int, response: ResponseTracker) -> None:
        """MariaDB clears the warnings of the statement before only when a statement uses a table, which a SELECT may not do."""
        if response.is_error or response.warnings:
            self.captured = None
            self.residue |= DIAGNOSTICS
            self.native |= DIAGNOSTICS
        elif flags & KEEPS_DIAGNOSTICS or (self.is_mariadb and flags & USES_NO_TABLE):
            pass
        elif self.is_mariadb and flags & IS_SELECT:
            self.captured = None
        else:
            self.captured = None
            self.residue &= ~DIAGNOSTICS
            self.native |= DIAGNOSTICS

    def _see_counts(self, statement: Statement, response: ResponseTracker) -> None:
        self.native |= ROW_COUNT
        if response.is_error:
            self.row_count = -1
        elif not response.has_result_set:
            self.row_count = response.affected_rows
            if statement.flags & IS_SELECT:  # SELECT .. INTO
                self.found_rows = response.affected_rows
                self._found_rows_known()
        else:
            # the last result of a CALL is an OK; that of several statements may be one
            is_last_ok = statement.flags & CALLS or (statement.flags & MULTI and response.affected_rows)
            self.row_count = response.affected_rows if is_last_ok else -1
            offset = statement.found_rows
            if offset == UNKNOWN_FOUND_ROWS or (offset and not response.rows):
                self.residue |= FOUND_ROWS
                self.native |= FOUND_ROWS
            else:
                self.found_rows = offset + response.rows
                self._found_rows_known()

    def _found_rows_known(self) -> None:
        self.residue &= ~FOUND_ROWS
        self.native |= FOUND_ROWS

    def answer(
        self, statement: Statement, wire: bytes, connection_id: int, deprecate_eof: bool, is_mariadb: bool
    ) -> bytes | None:
        """The wire form of the answer to a bare question whose answer no backend of this session has; None: run the statement.

        May be asked of any statement, whatever the session leases or has parked: None when the backend answers rightly.
        """
        del wire
        question = statement.question
        bit = BIT_OF.get(question, 0)
        if question == 0 or (self.native | self.residue) & bit:
            return None
        rows: list[bytes] = []
        number = 0
        if question in (Question.SHOW_WARNINGS, Question.SHOW_ERRORS):
            rows = diagnostics_rows(statement, self.captured)
        else:
            number = connection_id if question == Question.CONNECTION_ID else self._number(question)
            rows = [b""]
        warnings = self._answered(statement, len(rows))
        if question in (Question.SHOW_WARNINGS, Question.SHOW_ERRORS):
            charset = self.vector.variables.get(b"character_set_results", b"utf8mb4")
            return diagnostics_answer(
                rows, charset=charset, status=self.status, deprecate_eof=deprecate_eof, is_mariadb=is_mariadb
            )
        return number_answer(
            statement,
            number,
            status=self.status,
            warnings=warnings,
            deprecate_eof=deprecate_eof,
            is_mariadb=is_mariadb,
        )

    def _number(self, question: int) -> int:
        if question == Question.LAST_INSERT_ID:
            return self.insert_id
        if question == Question.ROW_COUNT:
            return self.row_count
        if question == Question.FOUND_ROWS:
            return self.found_rows
        captured = self.captured
        if captured is None:
            return 0
        is_errors = question in (Question.COUNT_ERRORS, Question.ERROR_COUNT)
        return captured.error_count if is_errors else captured.warning_count

    def _answered(self, statement: Statement, rows: int) -> int:
        """A bare question was answered without the backend: what it leaves behind itself. Returns its warnings."""
        self.row_count = -1
        self.found_rows = rows
        self.residue &= ~FOUND_ROWS
        self.native &= INSERT_ID | DIAGNOSTICS
        if not (statement.flags & KEEPS_DIAGNOSTICS or self.is_mariadb):
            self.captured = deprecated_found_rows() if statement.question == Question.FOUND_ROWS else None
            self.residue &= ~DIAGNOSTICS
            self.native &= ~DIAGNOSTICS
            return 0 if self.captured is None else 1
        return 0

    def rewritten(self, statement: Statement, wire: bytes) -> bytes:
        """The COM_QUERY with the counts that no backend of this session has written in as numbers; mostly the same object."""
        text = b""
        for question, begin, end, is_item in reversed(statement.places):
            if (self.native | self.residue) & BIT_OF[question]:
                continue
            text = text or payload_of(wire)
            written = b"%d" % self._number(question)
            title = text[1 + begin : 1 + end]
            if is_item and b"`" not in title:
                written += b" AS `" + title + b"`"
            text = text[: 1 + begin] + written + text[1 + end :]
        return frame(text) if text else wire

    def restore_residue(self, statement: Statement) -> list[bytes]:
        """Payloads to be run before this statement so that it finds this session's LAST_INSERT_ID(); [] when it does so anyway.

        For statements with ``reads_insert_id``, on whatever backend they are about to run, held ones included. Assumes that they succeed.
        """
        if not statement.reads_insert_id or self.native & INSERT_ID:
            return []
        command = insert_id_command(self.insert_id, self._insert_ids if self.residue & INSERT_ID else [])
        self.native = INSERT_ID
        self._insert_ids.clear()
        return [command]

    def capture_commands(self) -> list[bytes]:
        """Payloads that read the residue off the parked backend, in an order that destroys nothing before it is read."""
        return capture_commands(self.residue)

    def captured_residue(self, answers: list[bytes]) -> None:
        """The answers to `capture_commands`, each in wire form as CLIENT_DEPRECATE_EOF says. The backend is no longer this session's."""
        values = read_capture(self.residue, answers)
        if self.residue & DIAGNOSTICS:
            self.captured = values
        if self.residue & FOUND_ROWS:
            self.found_rows = values.found_rows
        if self.residue & INSERT_ID and (self.native & INSERT_ID or values.insert_id in self._insert_ids):
            self.insert_id = values.insert_id
        self.moved()

    def residue_lost(self) -> None:
        """The parked backend is gone, and what only it knew."""
        self.moved()

    def moved(self) -> None:
        """The session has no backend any more that knows anything of it."""
        self.residue = 0
        self.native = 0
        self._insert_ids.clear()
