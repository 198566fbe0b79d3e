"""Residue: what a statement leaves behind for the next one to ask for. Capturing it, answering from it, restoring it.

- ROW_COUNT() is known from every OK: affected rows, -1 after a result set or an error.
- FOUND_ROWS() is the number of rows sent plus the offset of the LIMIT, except with SQL_CALC_FOUND_ROWS, with offsets that are no literals,
  with LIMIT beside UNION, with sql_select_limit, and with an offset when no row came: then only the backend knows. Most statements that are
  no SELECT leave it alone; `found_rows` has the others.
- LAST_INSERT_ID(): the id in an OK is not always it (an explicit value is not), so after an insert only the backend knows. Every backend
  comes to a session with 0, which no INSERT leaves: anything else is the session's own.
- Warnings and errors: when there are any, only the backend has their texts. On MariaDB every backend comes to a session without any
  (`clearing`).
- User variables: after any statement that may have assigned one, only the backend has their values (see `variables.py`).

What is captured is bounded (`pool.max_captured`). What is too much, or cannot be written back exactly, stays where it is: the capture
is declined, and the session pinned.

Questions are answered from what was captured (`answers`), counts are written into statements (`rewriting`), GET DIAGNOSTICS is run as a SET.

What remains inexact: GET DIAGNOSTICS about a condition whose number is no literal (refused); ROW_COUNT() and diagnostics
of the statement before, read inside stored routines and triggers (before a CALL the insert id and FOUND_ROWS() are restored);
on MariaDB FOUND_ROWS() after an aggregate without rows; on MySQL after an UPDATE that no value of a column's type can meet, if the backend is new.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.framing import frame, payload_of
from protocol.response import ResponseTracker
from proxy import diagnostics, rewriting
from proxy.answers import diagnostics_answer, diagnostics_rows, number_answer
from proxy.clearing import FORGETS
from proxy.conditions import (
    DIAGNOSTICS,
    FOUND_ROWS,
    INSERT_ID,
    OTHER_VARIABLES,
    ROW_COUNT,
    SOILED,
    USER_VARIABLES,
    ConditionsKeeper,
    probe_command,
)
from proxy.diagnostics import deprecated_found_rows
from proxy.executed import executed
from proxy.found_rows import MOST_FOUND_ROWS, MOST_WITHOUT_TABLE, found_rows_command, matched_rows
from proxy.lexer import ODD_BYTES, SYMBOL, tokenize
from proxy.pins import BITS, PinReason
from proxy.results import text_rows
from proxy.statement import (
    CALLS,
    COUNTS_ANEW,
    GETS_DIAGNOSTICS,
    HIDES_FOUND_ROWS,
    IS_CONDITIONAL,
    IS_SELECT,
    KEEPS_DIAGNOSTICS,
    KEPT_FOUND_ROWS,
    MULTI,
    NAMES_USER_VARIABLES,
    ONE_ON_MYSQL,
    READS_DIAGNOSTICS,
    READS_FOUND_ROWS,
    READS_INSERT_ID,
    SETS,
    SETS_INSERT_ID,
    SETS_USER_VARIABLES,
    UNKNOWN_FOUND_ROWS,
    UNKNOWN_ON_MARIADB,
    UNKNOWN_ON_MYSQL,
    UPDATES,
    USES_NO_TABLE,
    WANTS_FOUND_ROWS,
    Question,
    Statement,
)
from proxy.variables import CAPTURED, CAPTURING, KEEPS_WARNINGS, NAMES_COMMAND, capture_command
from proxy.vector import RESULTS_COLLATION, SELECT_LIMIT, Vector

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

_COM_PING: Final = b"\x0e"
_BEHIND: Final = HIDES_FOUND_ROWS | WANTS_FOUND_ROWS
# of what is executed by a name: an UPDATE, too, because a parameter that is NULL may rule out all its rows
_LOOKING_BACK: Final = READS_FOUND_ROWS | CALLS | _BEHIND | UPDATES
_FOUND_ROWS_BIT: Final = BITS[PinReason.FOUND_ROWS]
_LEFT_BY_QUERY: Final = (UNKNOWN_FOUND_ROWS, UNKNOWN_ON_MARIADB)
# What may ask for the diagnostics or counts that an earlier statement of the same text has left as they were.
_READS_MORE: Final = re.compile(rb"\bdiagnostics\b|\bwarnings\b|\berrors\b|_count|found_rows", re.IGNORECASE)


def capture_commands(residue: int) -> list[bytes]:
    """Payloads that read these bits of residue. Warnings first: SELECT clears them; SHOW WARNINGS leaves FOUND_ROWS() as it is."""
    commands: list[bytes] = []
    if residue & DIAGNOSTICS:
        commands.append(b"\x03SHOW WARNINGS")
    if residue & (FOUND_ROWS | INSERT_ID):
        # with LAST_INSERT_ID(0), which no INSERT leaves, so that the next session can tell its own insert id from ours
        commands.append(b"\x03SELECT FOUND_ROWS(), LAST_INSERT_ID(), LAST_INSERT_ID(0) LIMIT 1")
    if residue & SOILED:
        # most statements there leave what they find, so nobody must find it
        commands.append(FORGETS)
    return commands


def row_count_command(row_count: int, multi_statements: bool) -> bytes:
    """The payload of a command that leaves this ROW_COUNT(), -1 or 0, and diagnostics as they are."""
    return probe_command(multi_statements) if row_count < 0 else _COM_PING


def insert_id_command(insert_id: int, may_be_newer: bool) -> bytes:
    """The payload that makes LAST_INSERT_ID() this session's. A backend comes to a session with 0 (`capture_commands`), so what it has
    if it ``may_be_newer`` is the session's, and stays."""
    if not may_be_newer:
        return b"\x03SET last_insert_id=%d" % insert_id
    # CAST, because on MySQL IF of an unsigned and a signed number is a DECIMAL, which the variable does not take
    choice = b"IF(LAST_INSERT_ID()=0,%d,LAST_INSERT_ID())" % insert_id
    return b"\x03SET last_insert_id=CAST(%s AS UNSIGNED)" % choice


def _is_blind(statement: Statement) -> bool:
    """Whether it cannot read a user variable, not even through a trigger, a view or a routine."""
    return statement.is_plain and statement.flags & (USES_NO_TABLE | NAMES_USER_VARIABLES) == USES_NO_TABLE


class ResidueKeeper(ConditionsKeeper):
    """The part of a session that is residue: what is known of it, and where the rest is. The base of `SessionState`, which the shells
    talk to."""

    __slots__ = (
        "_texts",
        "found_rows",
        "insert_id",
        "lexing",
    )

    def __init__(self, vector: Vector, status: int, is_mariadb: bool) -> None:
        super().__init__(vector, status, is_mariadb)
        # how the lexer must read text: bits of lexer
        self.lexing: int = 0
        # text prepared statements by name; None: their text is not known
        self._texts: dict[bytes, Statement | None] = {}
        # the values, for the bits that are not in `residue`
        self.insert_id: int = 0
        self.found_rows: int = 0

    def see_residue(self, statement: Statement, response: ResponseTracker) -> None:
        """A statement was answered: what it left behind."""
        may_set = statement.flags & SETS_INSERT_ID  # what is behind USING, or set by SET STATEMENT
        statement = self.executed(statement)
        self.see_diagnostics(statement, response)
        self._see_counts(executed(statement, self._texts), response)
        if (
            response.any_insert_id
            or (may_set | statement.flags) & (SETS_INSERT_ID | CALLS)
            or statement.executes
            # an INSERT that fails at its second row has an insert id, too
            or (
                response.is_error
                and not statement.flags & (IS_SELECT | UPDATES | SETS | SETS_USER_VARIABLES)
                and response.error_code not in diagnostics.NOT_RUN
            )
        ):
            self.residue |= INSERT_ID

    def executed(self, statement: Statement) -> Statement:
        """What the text really runs: that of EXECUTE, where it is known and leaves what it would leave by itself."""
        return executed(statement, self._texts) if self.is_mariadb else statement

    def _see_counts(self, statement: Statement, response: ResponseTracker) -> None:
        if response.is_error:
            self.row_count = -1
            self.native |= ROW_COUNT
            # what had run before it failed may have left another value, which only the backend knows
            if self._has_counted_rows(statement, response):
                self._found_rows_unknown()
            self.residue |= FOUND_ROWS & self.native
            return
        if statement.flags & GETS_DIAGNOSTICS and not statement.flags & MULTI:
            return
        self.native |= ROW_COUNT
        # the last result of a CALL is an OK, that of several statements may be one
        self.row_count = -1 if response.ends_in_rows else response.affected_rows
        self._see_found_rows(statement, response)

    def _has_counted_rows(self, statement: Statement, response: ResponseTracker) -> bool:
        """Whether something was counted before the error. MariaDB: a query that fails at a row leaves how many it has sent."""
        if statement.flags & MULTI:
            is_here = response.has_result_set or self.native & FOUND_ROWS != 0
            return is_here and self._counts(statement)
        is_query = statement.flags & IS_SELECT or statement.found_rows in _LEFT_BY_QUERY
        return self.is_mariadb and response.error_code in diagnostics.OF_ROWS and bool(is_query)

    def _see_found_rows(self, statement: Statement, response: ResponseTracker) -> None:
        """What servers do, statement by statement, was measured: see `grammar` and `marks`."""
        offset = self._rows_after(statement)
        if offset == UNKNOWN_FOUND_ROWS or (response.cursor_open and not statement.flags & COUNTS_ANEW):
            # with a cursor no row was sent yet; COM_STMT_FETCH leaves what there is
            self._found_rows_unknown()
        elif offset == ONE_ON_MYSQL:
            if not self.is_mariadb:
                self._found_rows_are(1)
        elif statement.flags & IS_SELECT and offset != KEPT_FOUND_ROWS:
            if self.vector.is_limited or (offset and not response.rows):
                self._found_rows_unknown()
            elif not response.has_result_set:  # SELECT .. INTO
                is_empty = self.is_mariadb and statement.flags & USES_NO_TABLE
                self._found_rows_are(0 if is_empty else response.affected_rows)
            else:
                self._found_rows_are(offset + response.rows)
        elif statement.flags & UPDATES and not self.is_mariadb:
            self.see_update(response, offset == KEPT_FOUND_ROWS)
        elif statement.flags & CALLS and (response.has_result_set or self.native & FOUND_ROWS):
            self._found_rows_unknown()
        if not self.is_mariadb:
            self._see_hidden_rows(statement)

    def _see_hidden_rows(self, statement: Statement) -> None:
        """MySQL: the backend may have counted rows that FOUND_ROWS() does not show yet (`found_rows`). Until a query counts others, only the
        backend knows when it does."""
        if statement.flags & HIDES_FOUND_ROWS:
            if not self.pinned & _FOUND_ROWS_BIT:
                self.pin(PinReason.FOUND_ROWS)
        elif self.pinned & _FOUND_ROWS_BIT:
            is_query = statement.flags & (IS_SELECT | MULTI) == IS_SELECT
            if is_query and statement.found_rows != KEPT_FOUND_ROWS:
                self.lift(PinReason.FOUND_ROWS)
            elif self.native & FOUND_ROWS:
                self._found_rows_unknown()

    def _counts(self, statement: Statement) -> bool:
        return self._rows_after(statement) == UNKNOWN_FOUND_ROWS

    def _rows_after(self, statement: Statement) -> int:
        """`Statement.found_rows` on this kind of server."""
        rows = statement.found_rows
        if rows == UNKNOWN_ON_MARIADB:
            return UNKNOWN_FOUND_ROWS if self.is_mariadb else KEPT_FOUND_ROWS
        if rows == UNKNOWN_ON_MYSQL:
            return KEPT_FOUND_ROWS if self.is_mariadb else UNKNOWN_FOUND_ROWS
        return rows

    def see_update(self, response: ResponseTracker, rules_out: bool = False) -> None:
        """MySQL: FOUND_ROWS() after an UPDATE of one table is what it matched, and as before when a constant condition rules all out, as
        the text may show."""
        matched = matched_rows(response)
        if matched:
            self._found_rows_are(matched)
        elif rules_out:
            pass
        elif self.native & FOUND_ROWS:
            self._found_rows_unknown()
        else:
            # or what it was there for another session: so 0 is written into what asks for it
            self.found_rows = 0

    def _found_rows_unknown(self) -> None:
        self.residue |= FOUND_ROWS
        self.native |= FOUND_ROWS

    def _found_rows_are(self, number: int) -> None:
        self.found_rows = number
        self.residue &= ~FOUND_ROWS
        self.native |= FOUND_ROWS

    def answer(
        self, statement: Statement, executes: bool, connection_id: int, deprecate_eof: bool, is_mariadb: bool
    ) -> bytes | None:
        """The wire form of the answer to a bare question whose answer no backend of this session has; None: run the statement.

        May be asked of any statement, whatever the session leases or has parked. An execution does not warn: MySQL did at its PREPARE.
        """
        question = statement.question
        bit = BIT_OF.get(question, 0)
        if question == 0 or (self.native | self.residue) & bit:
            return None
        rows: list[bytes] = []
        number = 0
        if question in (Question.SHOW_WARNINGS, Question.SHOW_ERRORS):
            rows = diagnostics_rows(statement, self.captured, self.results_charset(), is_mariadb)
        else:
            number = connection_id if question == Question.CONNECTION_ID else self._number(question)
            rows = [] if self.vector.variables.get(SELECT_LIMIT) == b"0" else [b""]
        warnings = self._answered(statement, len(rows), warns=not executes)
        if question in (Question.SHOW_WARNINGS, Question.SHOW_ERRORS):
            return diagnostics_answer(
                rows,
                charset=self.results_charset(),
                collation=self.vector.variables.get(RESULTS_COLLATION, b""),
                status=self.status,
                deprecate_eof=deprecate_eof,
                is_mariadb=is_mariadb,
            )
        return number_answer(
            statement,
            number if rows else None,
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
        is_errors = question in (Question.COUNT_ERRORS, Question.ERROR_COUNT)
        if captured is None and self.residue & DIAGNOSTICS:
            # they are on the backend, and will not be when this is read
            return min(self.error_code, 1) if is_errors else max(self._warning_count, 1)
        if captured is None:
            return 0
        return captured.error_count if is_errors else captured.warning_count

    def _answered(self, statement: Statement, rows: int, warns: bool) -> int:
        """A bare question was answered without the backend: what it leaves behind itself. Returns its warnings."""
        self.row_count = -1
        self.native &= ~ROW_COUNT
        self._own_count = 0
        if self.lost:
            self.lost &= ~(self.native | self.residue)
        if statement.found_rows != KEPT_FOUND_ROWS:
            self.found_rows = rows
            self.residue &= ~FOUND_ROWS
            self.native &= ~FOUND_ROWS
            self.lost &= ~FOUND_ROWS
            self.lift(PinReason.FOUND_ROWS)
        if not (statement.flags & KEEPS_DIAGNOSTICS or self.is_mariadb):
            warns = warns and statement.question == Question.FOUND_ROWS and self.keeps_warnings()
            self.captured = deprecated_found_rows() if warns else None
            self.residue &= ~DIAGNOSTICS
            self.native &= ~DIAGNOSTICS
            self.lost &= ~DIAGNOSTICS
            self._own_count = 0 if self.captured is None else 1
            return self._own_count
        return 0

    def rewritten(self, statement: Statement, wire: bytes) -> bytes:
        """The COM_QUERY with the counts that no backend of this session has written in; mostly the same object.

        They are written so that the definition of the column stays what it is.
        """
        known = self.native | self.residue
        if self._needs_insert_id(statement):
            # restoring it is a SET: it leaves FOUND_ROWS() only, and on MariaDB the warnings
            known &= FOUND_ROWS | DIAGNOSTICS if self.is_mariadb else FOUND_ROWS
        if self._needs_found_rows(statement):
            known &= INSERT_ID | DIAGNOSTICS if self.is_mariadb else INSERT_ID
        places = [place for place in statement.places if not known & BIT_OF[place[0]]]
        if statement.flags & READS_FOUND_ROWS and not self.is_mariadb:
            # it warns of itself before @@warning_count is read
            places = [place for place in places if BIT_OF[place[0]] != DIAGNOSTICS]
        if not places:
            return wire
        text = payload_of(wire)[1:]
        edits = []
        for question, begin, end in places:
            number = self._number(question)
            if BIT_OF[question] == DIAGNOSTICS:
                written = b"NULLIF(%d|0,-1)" % number
            else:
                written = b"COALESCE(%d,%s)" % (number, text[begin:end])
            edits.append((begin, end, written))
        return frame(b"\x03" + rewriting.rewritten(text, statement, self.lexing, edits))

    def get_diagnostics(self, statement: Statement, wire: bytes) -> bytes | None:
        """For GET DIAGNOSTICS: the COM_QUERY that does the same where the backend does not know what is asked for, `wire` itself where
        it does. None when that cannot be said: a condition's number that is not written as one, or several statements."""
        if (self.native | self.residue) & DIAGNOSTICS:
            return wire
        text = payload_of(wire)[1:]
        tokens = tokenize(text, 0, len(text), self.lexing, bool(statement.flags & IS_CONDITIONAL))
        ends = [i for i, token in enumerate(tokens) if token.kind == SYMBOL and token.text == b";"]
        end = ends[0] if ends else len(tokens)
        rest = text[tokens[end].start :] if ends else b""
        tokens = tokens[:end]
        if statement.flags & MULTI and (not tokens or tokens[0].word != b"get"):
            return wire
        captured = self.captured or diagnostics.EMPTY
        asked = diagnostics.parse_get(tokens, self.is_mariadb)
        if asked is None:
            is_dynamic = b"condition" in [token.word for token in tokens] and b"stacked" not in [
                token.word for token in tokens
            ]
            return None if is_dynamic else wire
        written = diagnostics.assignments(asked, captured, self.row_count, self.is_mariadb)
        if statement.flags & MULTI and (written is None or _READS_MORE.search(rest) is not None):
            return None
        if written is None:
            self.captured = captured.with_invalid_condition()
            return b""
        # SET has a ROW_COUNT() of its own, GET DIAGNOSTICS leaves it
        self.native &= ~ROW_COUNT
        return frame(b"\x03" + written + rest)

    def restore_residue(self, statement: Statement) -> list[bytes]:
        """Payloads to be run before this statement so that it finds this session's LAST_INSERT_ID(); [] when it does so anyway.

        For statements with ``finds_residue``, on whatever backend they are about to run, held ones included. Assumes that they succeed.
        """
        commands: list[bytes] = []
        asks_itself = statement.flags & SETS_INSERT_ID and self._needs_insert_id(statement)
        statement = self.executed(statement)
        flags = statement.flags
        if flags & GETS_DIAGNOSTICS and not flags & MULTI:
            # it asks for the diagnostics, which the backend has, and maybe for ROW_COUNT(), which it may not have
            if (self.residue | self.native) & DIAGNOSTICS and not self.native & ROW_COUNT:
                commands.append(row_count_command(self.row_count, self.vector.multi_statements))
                self.native |= ROW_COUNT
            return commands
        is_counted = self.native & ROW_COUNT != 0
        if asks_itself or self._needs_insert_id(statement):
            commands.append(insert_id_command(self.insert_id, may_be_newer=self.residue & INSERT_ID != 0))
            self.residue |= INSERT_ID  # so that no session after this one finds it
            # on MySQL a SET leaves what was counted
            self.native = INSERT_ID if self.is_mariadb else INSERT_ID | (self.native & FOUND_ROWS)
            is_counted = self.row_count == 0  # which a SET leaves
        if self._needs_found_rows(statement):
            commands.append(found_rows_command(self.found_rows, self.is_mariadb))
            left = INSERT_ID | DIAGNOSTICS if self.is_mariadb else INSERT_ID
            self.native = (self.native & left) | FOUND_ROWS
            is_counted = self.row_count < 0  # which a query leaves
            if (statement.executes or flags & CALLS) and self.row_count <= 0:
                commands.append(row_count_command(self.row_count, self.vector.multi_statements))
                is_counted = True
        if self.lexing & ODD_BYTES and not is_counted and self.row_count <= 0:
            # what the text asks for may not be known, and nothing written into it
            commands.append(row_count_command(self.row_count, self.vector.multi_statements))
        return commands

    def _needs_found_rows(self, statement: Statement) -> bool:
        """Whether prepared text, in which nothing can be written, may ask for it on MySQL: there PREPARE leaves it. Or whether a routine
        does, or may leave it as it finds it, as several statements may that fail; or whether that may happen without a word (`found_rows`);
        or whether text may ask that is not understood. Most keep the backend from then on, so that little else is known here and not there."""
        known = self.native | self.residue
        if known & FOUND_ROWS or self.found_rows > MOST_FOUND_ROWS:
            return False
        if self._is_early(statement):
            return True
        if self.is_mariadb:
            is_possible = self.found_rows <= MOST_WITHOUT_TABLE or not known & DIAGNOSTICS
            return is_possible and self._may_leave_rows(statement)
        is_multi = bool(statement.flags & MULTI)
        if statement.flags & CALLS or (is_multi and (statement.executes or self._counts(statement))):
            return True
        if statement.flags & _BEHIND and (self.found_rows or statement.found_rows):
            return True
        if not (statement.prepares or statement.executes) or is_multi:
            return False
        texts = [text for _, text in statement.prepares]
        texts.extend([self._texts.get(name) for name in statement.executes])
        return any([text is None or text.flags & _LOOKING_BACK != 0 for text in texts])

    def _may_leave_rows(self, statement: Statement) -> bool:
        """MariaDB: whether FOUND_ROWS() after it may be what it was before, which only the backend knows."""
        flags = statement.flags
        return bool(flags & CALLS or (flags & (_BEHIND | MULTI) and self._counts(statement)))

    def spoils_diagnostics(self, statement: Statement) -> bool:
        """Whether restoring counts on the lease would clear warnings that are only there, and that the first of several statements
        may ask for."""
        if self.is_mariadb or not statement.flags & READS_DIAGNOSTICS:
            return False
        if not self.residue & DIAGNOSTICS:
            return False
        return self._needs_insert_id(statement) or self._needs_found_rows(statement)

    def _needs_insert_id(self, statement: Statement) -> bool:
        """Whether `restore_residue` will restore the insert id for it."""
        if self.native & INSERT_ID or not (statement.reads_insert_id or self._is_early(statement)):
            return False
        return not statement.flags & GETS_DIAGNOSTICS or statement.flags & MULTI != 0

    def _is_early(self, statement: Statement) -> bool:
        """Whether the session's text may not be understood when it asks for the statement before: what has to be restored for that is
        restored before the first statement that may leave something, so that nothing is between the two."""
        return bool(self.lexing & ODD_BYTES) and not statement.flags & (KEEPS_DIAGNOSTICS | READS_DIAGNOSTICS)

    def capture_commands(self, limit: int = MAX_CAPTURED) -> list[bytes]:
        """Payloads that read the residue off the parked backend, in an order that destroys nothing before it is read."""
        if self._zeros:
            return self.zeros_commands()
        if self._may_be_long(limit):
            return [b"\x03SHOW WARNINGS LIMIT %d" % (limit // _SHORTEST_WARNING + 1)]
        commands = capture_commands(self.residue)
        variables = self.variables
        if self.residue & USER_VARIABLES and variables is not None:
            if not variables.has_others:
                commands.append(capture_command(variables, limit))
            elif not commands:
                commands.append(NAMES_COMMAND)
        return commands

    def is_asking_names(self) -> bool:
        """Whether `capture_commands` is, or was, the question which user variables there are: if it is refused, the answers are none."""
        variables = self.variables
        return self.residue == USER_VARIABLES and variables is not None and variables.has_others

    def _may_be_long(self, limit: int) -> bool:
        """Whether there may be more warnings than are captured, so that nothing must destroy them before they are measured."""
        count = self._warning_count
        return bool(self.residue & DIAGNOSTICS and (count <= 0 or count * _LONGEST_WARNING > limit))

    def captured_residue(self, answers: list[bytes], limit: int = MAX_CAPTURED) -> int:
        """The answers to `capture_commands`, each in wire form as CLIENT_DEPRECATE_EOF says. The backend is no longer this session's if
        the result is CAPTURED."""
        if self._zeros:
            self.signs_known(answers[0])
        elif self._may_be_long(limit):
            if self.warnings_captured(answers[0]) > limit:
                self.captured = None
                return KEEPS_WARNINGS
            self.residue &= ~DIAGNOSTICS
            if self.residue:
                return CAPTURING
        elif self.is_asking_names():
            result = self.names_captured(answers[0] if answers else None)
            if result != CAPTURED:
                return result
        else:
            self._counts_captured(answers)
            if self.residue & USER_VARIABLES:
                # all else is known now, and no longer on the backend
                self.moved()
                self.residue = USER_VARIABLES
                if self.is_asking_names():
                    return CAPTURING
                size = 0 if self.captured is None else self.captured.size
                result = self.variables_captured(answers[-1], limit - size, self.is_mariadb)
                if result != CAPTURED:
                    return result
        self.moved()
        return CAPTURED

    def _counts_captured(self, answers: list[bytes]) -> None:
        if self.residue & DIAGNOSTICS:
            self.warnings_captured(answers[0])
        if self.residue & (FOUND_ROWS | INSERT_ID):
            answer = answers[1 if self.residue & DIAGNOSTICS else 0]
            found_rows, insert_id, _ = [int(value or 0) for value in text_rows(answer)[0]]
            if self.residue & FOUND_ROWS:
                self.found_rows = found_rows
            if self.residue & INSERT_ID and (self.native & INSERT_ID or insert_id):
                self.insert_id = insert_id

    def residue_lost(self) -> None:
        """The parked backend is gone, and what only it knew."""
        lost = self.residue & ~SOILED
        if lost & USER_VARIABLES:
            if self.variables is not None and not self.variables.names:
                lost = (lost & ~USER_VARIABLES) | OTHER_VARIABLES
            self.variables = None
        self.lost = (self.lost & ~self.native) | lost
        self.moved()

    def reads_lost(self, statement: Statement) -> bool:
        """Whether this statement asks for residue that was lost: the client gets error 2013 and is closed, as without the proxy.

        For statements that do not find a backend with newer residue; to be asked before `restore_residue` and `answer`.
        """
        lost = self.lost & ~(self.native | self.residue)
        if lost == 0:
            return False
        flags = statement.flags | self.executed(statement).flags
        return bool(
            (lost & INSERT_ID and flags & READS_INSERT_ID)
            or (lost & FOUND_ROWS and flags & READS_FOUND_ROWS)
            or (lost & DIAGNOSTICS and flags & READS_DIAGNOSTICS)
            or (lost & USER_VARIABLES and not _is_blind(statement))
            or (lost & OTHER_VARIABLES and flags & NAMES_USER_VARIABLES)
        )

    def moved(self) -> None:
        """The session has no backend any more that knows anything of it."""
        self.residue = 0
        self.native = 0
        self._zeros = []
