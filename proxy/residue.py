"""Residue: what a statement leaves behind for the next one to ask for. Capturing it, answering from it, restoring it.

- ROW_COUNT() is known from every OK: affected rows, -1 after a result set or an error.
- FOUND_ROWS() is the number of rows sent plus the offset of the LIMIT, except with SQL_CALC_FOUND_ROWS, with offsets that are no literals,
  with LIMIT beside UNION, and with an offset when no row came: then only the backend knows. SHOW WARNINGS leaves it alone. After
  statements without a result set it is not meant to be asked for (manual, "Information Functions"); the last known value is kept, which
  is what servers do after most of them (not: DO, UPDATE and DELETE on MySQL).
- LAST_INSERT_ID(): the id in an OK is not always it (an explicit value is not), so after an insert only the backend knows.
- Warnings and errors: when there are any, only the backend has their texts.
- User variables: after any statement that may have assigned one, only the backend has their values (see `variables.py`).

What is captured is bounded (`pool.max_captured`). What is too much, or cannot be written back exactly, stays where it is: the capture
is declined, and the session pinned.

What remains inexact: the insert id, when a session inserts an explicit id on a backend which has, by chance, the same insert id from a
session that ended while it had the backend parked; GET DIAGNOSTICS as the first such statement of a session after its backend was
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
    GETS_DIAGNOSTICS,
    IS_SELECT,
    KEEPS_DIAGNOSTICS,
    KEPT_FOUND_ROWS,
    MULTI,
    NAMES_USER_VARIABLES,
    READS_DIAGNOSTICS,
    READS_FOUND_ROWS,
    READS_INSERT_ID,
    SETS_INSERT_ID,
    UNKNOWN_FOUND_ROWS,
    USES_NO_TABLE,
    Question,
    Statement,
)
from proxy.variables import (
    CAPTURED,
    CAPTURING,
    KEEPS_WARNINGS,
    VariablesKeeper,
    capture_command,
)
from proxy.vector import RESULTS_COLLATION, Vector

# Bits of SessionState.residue and SessionState.native.
INSERT_ID: Final = 1
ROW_COUNT: Final = 2
FOUND_ROWS: Final = 4
DIAGNOSTICS: Final = 8
USER_VARIABLES: Final = 16  # never in `native`: that a backend has them says its own `variables`

MAX_CAPTURED: Final = 65536
"""Bytes of warnings and user variables that are captured of one session, unless the settings say otherwise."""

_LONGEST_WARNING: Final = 2100
_SHORTEST_WARNING: Final = 11
"""Bytes of a row of SHOW WARNINGS."""

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
    """Warnings and errors that were read off a parked backend."""

    __slots__ = ("error_count", "rows", "size", "warning_count")

    def __init__(self, rows: list[bytes], warning_count: int) -> None:
        # payloads of the rows of SHOW WARNINGS
        self.rows: list[bytes] = rows
        # all there were: SHOW WARNINGS has max_error_count of them at most
        self.warning_count: int = max(warning_count, len(rows))
        self.error_count: int = sum([1 for row in rows if _is_error(row)])
        # bytes
        self.size: int = sum([len(row) for row in rows])


def _is_error(row: bytes) -> bool:
    return read_lenenc_bytes(row, 0)[0] == b"Error"


def capture_commands(residue: int) -> list[bytes]:
    """Payloads that read these bits of residue. Warnings first: SELECT clears them; SHOW WARNINGS leaves FOUND_ROWS() as it is."""
    commands: list[bytes] = []
    if residue & DIAGNOSTICS:
        commands.append(b"\x03SHOW WARNINGS")
    if residue & (FOUND_ROWS | INSERT_ID):
        # LAST_INSERT_ID(0) leaves nothing behind that the next session could mistake for its own
        commands.append(b"\x03SELECT FOUND_ROWS(), LAST_INSERT_ID(), LAST_INSERT_ID(0)")
    return commands


def _rows(answer: bytes) -> list[bytes]:
    """The payloads of the rows of a result set in wire form that ends as CLIENT_DEPRECATE_EOF says."""
    payloads = packets(answer)
    count, _ = read_lenenc_int(payloads[0], 0)
    return payloads[1 + count : -1]


def insert_id_command(insert_id: int, seen: list[int]) -> bytes:
    """The payload that makes LAST_INSERT_ID() this session's.

    ``seen``: insert ids of its own OKs on this backend. If the backend has one of them it is the session's and stays.
    """
    if not seen:
        return b"\x03SET last_insert_id=%d" % insert_id
    listed = b",".join([b"%d" % number for number in seen])
    # CAST, because on MySQL IF of an unsigned and a signed number is a DECIMAL, which the variable does not take
    choice = b"IF(LAST_INSERT_ID() IN (%s),LAST_INSERT_ID(),%d)" % (listed, insert_id)
    return b"\x03SET last_insert_id=CAST(%s AS UNSIGNED)" % choice


# Answering


def deprecated_found_rows() -> Captured:
    """What MySQL (8.0.17 and later) warns of when FOUND_ROWS() is used."""
    text = b"FOUND_ROWS() is deprecated and will be removed in a future release. Consider using COUNT(*) instead."
    return Captured([lenenc_bytes(b"Warning") + lenenc_bytes(b"1287") + lenenc_bytes(text)], 1)


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
        rows = [row for row in rows if _is_error(row)]
    if statement.limit is not None:
        offset, count = statement.limit
        rows = rows[offset : offset + count]
    return rows


def diagnostics_answer(
    rows: list[bytes], *, charset: bytes, collation: bytes, status: int, deprecate_eof: bool, is_mariadb: bool
) -> bytes:
    """The wire form of the answer to SHOW WARNINGS or SHOW ERRORS.

    ``charset``, ``collation``: the session's character_set_results and the collation that came with it, if it is not its own.
    """
    own_id, width = _CHARSETS.get(charset.lower(), (8, 1))
    if charset == b"utf8mb4" and is_mariadb:
        own_id = 45
    collation_id = _COLLATIONS.get(collation, own_id)
    decimals = 39 if is_mariadb else 31
    columns = [
        Column(b"Level", length=7 * width, collation=collation_id, flags=1, decimals=decimals),
        Column(b"Code", _LONG, length=4 if is_mariadb else 5, collation=_BINARY, flags=0xA1),
        Column(b"Message", length=512 * width, collation=collation_id, flags=1, decimals=decimals),
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
# Ids of collations that clients ask for by name or by their handshake's id. Others are shown as the character set's own.
_COLLATIONS: Final[dict[bytes, int]] = {
    b"utf8mb4_general_ci": 45,
    b"utf8mb4_bin": 46,
    b"utf8mb4_unicode_ci": 224,
    b"utf8mb4_unicode_520_ci": 246,
    b"utf8mb4_0900_ai_ci": 255,
    b"utf8mb4_0900_as_cs": 278,
    b"utf8mb4_0900_as_ci": 305,
    b"utf8mb4_0900_bin": 309,
    b"utf8mb3_general_ci": 33,
    b"utf8_general_ci": 33,
    b"utf8mb3_bin": 83,
    b"utf8_bin": 83,
    b"utf8mb3_unicode_ci": 192,
    b"utf8_unicode_ci": 192,
    b"latin1_swedish_ci": 8,
    b"latin1_bin": 47,
    b"latin1_general_ci": 48,
    b"latin1_general_cs": 49,
    b"latin1_german1_ci": 5,
    b"latin1_german2_ci": 31,
    b"ascii_general_ci": 11,
    b"ascii_bin": 65,
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


def _is_blind(statement: Statement) -> bool:
    """Whether it cannot read a user variable, not even through a trigger, a view or a routine."""
    return statement.is_plain and statement.flags & (USES_NO_TABLE | NAMES_USER_VARIABLES) == USES_NO_TABLE


class ResidueKeeper(VariablesKeeper):
    """The part of a session that is residue: what is known of it, and where the rest is.

    The base of `SessionState`, which the shells talk to.
    """

    __slots__ = (
        "_insert_ids",
        "_warning_count",
        "captured",
        "found_rows",
        "insert_id",
        "is_mariadb",
        "lost",
        "native",
        "residue",
        "row_count",
        "status",
        "vector",
    )

    def __init__(self, vector: Vector, status: int, is_mariadb: bool) -> None:
        super().__init__()
        self.vector: Vector = vector
        # status flags for replies that we make ourselves: those that last from statement to statement
        self.status: int = status
        self.is_mariadb: bool = is_mariadb
        # bits of residue whose value only the backend has
        self.residue: int = 0
        # bits of residue that the backend in use, or parked, answers rightly by itself
        self.native: int = 0
        # bits of residue that died with the backend that had it; those that are in `native` or `residue` are over
        self.lost: int = 0
        # the values, for the bits that are not in `residue`
        self.insert_id: int = 0
        self.row_count: int = 0
        self.found_rows: int = 0
        # warnings and errors that were captured; None when there are none
        self.captured: Captured | None = None
        # how many they were, by the response; 0: it did not say
        self._warning_count: int = 0
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
        """MariaDB clears the warnings of the statement before only when a statement uses a table."""
        if response.is_error or response.warnings:
            self.captured = None
            self._warning_count = response.warnings
            self.residue |= DIAGNOSTICS
            self.native |= DIAGNOSTICS
        elif flags & KEEPS_DIAGNOSTICS or (self.is_mariadb and flags & USES_NO_TABLE):
            pass
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
            if offset == KEPT_FOUND_ROWS:
                pass
            elif offset == UNKNOWN_FOUND_ROWS or (offset and not response.rows):
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
                rows,
                charset=charset,
                collation=self.vector.variables.get(RESULTS_COLLATION, b""),
                status=self.status,
                deprecate_eof=deprecate_eof,
                is_mariadb=is_mariadb,
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
        self.native &= ~ROW_COUNT
        if self.lost:
            self.lost &= ~(self.native | self.residue)
        if statement.found_rows != KEPT_FOUND_ROWS:
            self.found_rows = rows
            self.residue &= ~FOUND_ROWS
            self.native &= ~FOUND_ROWS
            self.lost &= ~FOUND_ROWS
        if not (statement.flags & KEEPS_DIAGNOSTICS or self.is_mariadb):
            self.captured = deprecated_found_rows() if statement.question == Question.FOUND_ROWS else None
            self.residue &= ~DIAGNOSTICS
            self.native &= ~DIAGNOSTICS
            self.lost &= ~DIAGNOSTICS
            return 0 if self.captured is None else 1
        return 0

    def rewritten(self, statement: Statement, wire: bytes) -> bytes:
        """The COM_QUERY with the counts that no backend of this session has written in; mostly the same object.

        They are written so that the definition of the column stays what it is.
        """
        text = b""
        known = self.native | self.residue
        if statement.reads_insert_id and not self.native & INSERT_ID:
            # what restores the insert id has a ROW_COUNT() of its own
            known &= ~ROW_COUNT
        for question, begin, end, is_item in reversed(statement.places):
            if known & BIT_OF[question]:
                continue
            text = text or payload_of(wire)
            original = text[1 + begin : 1 + end]
            number = self._number(question)
            if BIT_OF[question] == DIAGNOSTICS:
                written = b"NULLIF(%d|0,-1)" % number
            else:
                written = b"COALESCE(%d,%s)" % (number, original)
            if is_item:
                written += b" AS `" + original.replace(b"`", b"``") + b"`"
            text = text[: 1 + begin] + written + text[1 + end :]
        return frame(text) if text else wire

    def restore_residue(self, statement: Statement) -> list[bytes]:
        """Payloads to be run before this statement so that it finds this session's LAST_INSERT_ID(); [] when it does so anyway.

        For statements with ``reads_insert_id``, on whatever backend they are about to run, held ones included. Assumes that they succeed.
        """
        if not statement.reads_insert_id or self.native & INSERT_ID:
            return []
        command = insert_id_command(self.insert_id, self._insert_ids if self.residue & INSERT_ID else [])
        self.residue |= INSERT_ID  # so that no session after this one finds it
        self.native = INSERT_ID
        self._insert_ids.clear()
        return [command]

    def refused(self, code: int, message: str) -> None:
        """The proxy has answered a command with an error in the server's place: it is what SHOW WARNINGS shows now."""
        row = [b"Error", b"%d" % code, message.encode()]
        self.captured = Captured([b"".join([lenenc_bytes(value) for value in row])], 1)
        self.row_count = -1
        self.residue &= ~DIAGNOSTICS
        self.native &= ~(DIAGNOSTICS | ROW_COUNT)

    def pinged(self) -> int:
        """The client's COM_PING was answered, by the server or without it: ROW_COUNT() is 0 after it. The warnings of its OK: on MySQL
        those of the statement before."""
        self.row_count = 0
        self.native &= ~ROW_COUNT
        if self.is_mariadb:
            return 0
        if self.captured is not None:
            return self.captured.warning_count
        return (self._warning_count or 1) if self.residue & DIAGNOSTICS else 0

    def capture_commands(self, limit: int = MAX_CAPTURED) -> list[bytes]:
        """Payloads that read the residue off the parked backend, in an order that destroys nothing before it is read."""
        if self._zeros:
            return self.zeros_commands()
        if self._may_be_long(limit):
            return [b"\x03SHOW WARNINGS LIMIT %d" % (limit // _SHORTEST_WARNING + 1)]
        commands = capture_commands(self.residue)
        if self.residue & USER_VARIABLES and self.variables is not None:
            commands.append(capture_command(self.variables, limit))
        return commands

    def _may_be_long(self, limit: int) -> bool:
        """Whether there may be more warnings than are captured, so that nothing must destroy them before they are measured."""
        count = self._warning_count
        return bool(self.residue & DIAGNOSTICS and (count == 0 or count * _LONGEST_WARNING > limit))

    def captured_residue(self, answers: list[bytes], limit: int = MAX_CAPTURED) -> int:
        """The answers to `capture_commands`, each in wire form as CLIENT_DEPRECATE_EOF says. The backend is no longer this session's if
        the result is CAPTURED."""
        if self._zeros:
            self.signs_known(answers[0])
        elif self._may_be_long(limit):
            captured = Captured(_rows(answers[0]), self._warning_count)
            if captured.size > limit:
                return KEEPS_WARNINGS
            self.captured = captured
            self.residue &= ~DIAGNOSTICS
            if self.residue:
                return CAPTURING
        else:
            self._counts_captured(answers)
            if self.residue & USER_VARIABLES:
                # all else is known now, and no longer on the backend
                self.moved()
                self.residue = USER_VARIABLES
                size = 0 if self.captured is None else self.captured.size
                result = self.variables_captured(answers[-1], limit - size, self.is_mariadb)
                if result != CAPTURED:
                    return result
        self.moved()
        return CAPTURED

    def warnings_captured(self, answer: bytes) -> None:
        """The answer to SHOW WARNINGS."""
        self.captured = Captured(_rows(answer), self._warning_count)

    def _counts_captured(self, answers: list[bytes]) -> None:
        if self.residue & DIAGNOSTICS:
            self.captured = Captured(_rows(answers[0]), self._warning_count)
        if self.residue & (FOUND_ROWS | INSERT_ID):
            answer = answers[1 if self.residue & DIAGNOSTICS else 0]
            found_rows, insert_id, _ = [int(value or 0) for value in text_rows(answer)[0]]
            if self.residue & FOUND_ROWS:
                self.found_rows = found_rows
            if self.residue & INSERT_ID and (self.native & INSERT_ID or insert_id in self._insert_ids):
                self.insert_id = insert_id

    def residue_lost(self) -> None:
        """The parked backend is gone, and what only it knew."""
        if self.residue & USER_VARIABLES:
            self.variables = None
        self.lost = (self.lost & ~self.native) | self.residue
        self.moved()

    def reads_lost(self, statement: Statement) -> bool:
        """Whether this statement asks for residue that was lost: the client gets error 2013 and is closed, as without the proxy.

        For statements that do not find a backend with newer residue; to be asked before `restore_residue` and `answer`.
        """
        lost = self.lost & ~(self.native | self.residue)
        if lost == 0:
            return False
        flags = statement.flags
        return bool(
            (lost & INSERT_ID and flags & READS_INSERT_ID)
            or (lost & FOUND_ROWS and flags & READS_FOUND_ROWS)
            or (lost & DIAGNOSTICS and flags & READS_DIAGNOSTICS)
            or (lost & USER_VARIABLES and not _is_blind(statement))
        )

    def lacks_diagnostics(self, statement: Statement) -> bool:
        """Whether this GET DIAGNOSTICS is about warnings that were captured, and are on no backend any more."""
        is_get = statement.flags & GETS_DIAGNOSTICS
        return bool(is_get and self.captured is not None and not (self.native | self.residue) & DIAGNOSTICS)

    def moved(self) -> None:
        """The session has no backend any more that knows anything of it."""
        self.residue = 0
        self.native = 0
        self._zeros = []
        self._insert_ids.clear()
