"""The state of one client's session, and the one predicate: may its lease end?

Theory of operation
===================

Three instruments watch a session. Each is blind to something, so a pin is set when any of them says so and lifted only when every one
that could see it agrees.

- *Status flags* of OK and EOF packets: in transaction, autocommit, cursor, how strings are read. ERR has none, hence
  the verdict PROBE: the shell sends COM_PING, whose OK has them ("SERVER_STATUS_flags_enum").
- *Session trackers* in OK packets: variables with their values, schema, transaction state, and "something changed"
  ("Server Tracking of Client Session State"). They see into stored routines.
- *The lexer* (`classify`): what the text says. It sees what no tracker reports: GET_LOCK, HANDLER, roles, FLUSH TABLES WITH READ LOCK,
  `SELECT @a:=1`.

A change of state that the text does not explain pins: "something changed" may be a user variable or a temporary table next to the
variables that were reported, so only SET, USE and the like explain it.

Nobody sees SELECT .. INTO @x and GET_LOCK() in a stored routine, nor MariaDB's ``SET @@x = ..`` there, so CALL and every function that
is not the server's own pin, whether they succeed or fail. A variable that the text assigns and the server does not report is asked for
(`keeping`). Limit: triggers, and views that use stored functions, are not recognized. What
they leave in the session without the trackers' knowledge (user variables by INTO, user locks) stays on the backend until its reset.

What a statement leaves behind for the next one to ask for is residue: the insert id, warnings, FOUND_ROWS() and ROW_COUNT(), and user
variables by the names in the texts that may have assigned them. Its bits are in two sets:

- ``residue``: the value is only on the backend. Then the verdict is PARK: the backend stays claimed until the pool needs it.
- ``native``: the backend would give this session the right answer by itself. Not so on a backend that others have used since.

A value that is not in ``residue`` is known here, so any other backend, or none, will do (see `residue.py`).
"""

from __future__ import annotations

from typing import Final

from protocol.response import ResponseTracker
from protocol.session_track import SessionChanges, is_for_next
from proxy.conditions import DIAGNOSTICS, FOUND_ROWS, INSERT_ID, ROW_COUNT, SOILED, USER_VARIABLES
from proxy.diagnostics import NOT_RUN, is_signalled
from proxy.executed import freed_names
from proxy.grammar import canonical
from proxy.keeping import ask, keep, lease_lost
from proxy.kept import KEPT, MARKED, NOTHING_KEPT
from proxy.lexer import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, ODD_BYTES, lexing_after, lexing_of
from proxy.pins import BITS, PinReason
from proxy.residue import ResidueKeeper
from proxy.statement import (
    ADDS_DIAGNOSTICS,
    CALLS,
    ENDS,
    FIXED_NAME,
    IS_SELECT,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MAY_CALL_ON_MYSQL,
    MULTI,
    NOTHING,
    RENAMED,
    SETS,
    UNREMARKABLE,
    UPDATES,
    USES,
    USES_TABLE,
    Statement,
)
from proxy.unexplained import see_failed, see_state_changed
from proxy.variables import MOST_NAMES, assigned
from proxy.vector import CHARSET_VARIABLES, DENIED, NEUTRAL, RESULTS_COLLATION, Vector, is_restorable

# Verdicts.
RELEASE: Final = 0  # any session may have the backend
PARK: Final = 1  # so may others, but only after the residue was captured
HOLD: Final = 2  # the lease goes on
PROBE: Final = 3  # send `probe_command` and call `probed`

_IN_TRANS: Final = 0x0001
_AUTOCOMMIT: Final = 0x0002
_IN_TRANS_READONLY: Final = 0x2000
_NO_BACKSLASH_ESCAPES: Final = 0x0200
_ANSI_QUOTES: Final = 0x8000  # MariaDB only
# What holds from statement to statement: IN_TRANS, AUTOCOMMIT, NO_BACKSLASH_ESCAPES, IN_TRANS_READONLY, ANSI_QUOTES
_LASTING: Final = 0x0001 | 0x0002 | 0x0200 | 0x2000 | 0x8000

_COM_INIT_DB: Final = 0x02
_COM_PING: Final = 0x0E
_COM_FIELD_LIST: Final = 0x04
_COM_SET_OPTION: Final = 0x1B

# What a single statement may have done although it failed. All else it either did or did not do.
_IN_PASSING: Final = frozenset(
    [PinReason.USER_VARIABLE, PinReason.USER_LOCK, PinReason.SEQUENCE_VALUE, PinReason.UNKNOWN_STATEMENT]
)
# MariaDB with a binlog reports last_gtid, read-only, after every transaction that wrote something; MySQL the other to who tracks '*'
_REPORTED_UNASKED: Final = frozenset([b"last_gtid", b"statement_id"])
UNSAFE_CHARSETS: Final = frozenset([b"gbk", b"big5", b"sjis", b"cp932", b"gb18030", b"gb2312"])
_OF_CONNECTION: Final = (b"character_set_connection", b"collation_connection")
_SIGNALLED: Final = b"signal"
# A member of an enum is looked up for as long as a pool takes to grant a lease.
_SAVEPOINT: Final = PinReason.SAVEPOINT
_NEXT_TRANSACTION: Final = PinReason.NEXT_TRANSACTION
_TABLE_LOCK: Final = PinReason.TABLE_LOCK
_TEMPORARY_TABLE: Final = PinReason.TEMPORARY_TABLE
_PREPARED_TEXT: Final = PinReason.PREPARED_TEXT
_DIAGNOSTICS_BIT: Final = BITS[PinReason.DIAGNOSTICS]
_ROUTINE_BIT: Final = BITS[PinReason.ROUTINE]
_TEMPORARY_TABLE_BIT: Final = BITS[PinReason.TEMPORARY_TABLE]
_TABLE_LOCK_BIT: Final = BITS[PinReason.TABLE_LOCK]
# COM_RESET_CONNECTION undoes none of them: the first two on either server; after XA PREPARE and a reset MariaDB refuses writes
_UNRESETTABLE: Final = BITS[PinReason.RESOURCE_GROUP] | BITS[PinReason.ROLE] | BITS[PinReason.XA]
_USER_VARIABLE_BIT: Final = BITS[PinReason.USER_VARIABLE]
_UNSAFE_CHARSET_BIT: Final = BITS[PinReason.UNSAFE_CHARSET]
_NEXT_TRANSACTION_BIT: Final = BITS[PinReason.NEXT_TRANSACTION]


class SessionState(ResidueKeeper):
    """What is known of one session. The shell tells it of every response, and asks it what to do with the lease."""

    __slots__ = (
        "_failed",
        "_fresh_sql_mode",
        "_is_locked",
        "idle_limit",
        "kept",
        "placed",
        "questions",
        "routine_flags",
    )

    def __init__(self, vector: Vector, status: int, sql_mode: bytes, is_mariadb: bool = False) -> None:
        """``vector``, ``status`` and ``sql_mode``: those of a fresh connection of this client."""
        super().__init__(vector, status & _LASTING, is_mariadb)
        self.lexing = lexing_of(sql_mode)
        # the tracker of transaction state says LOCK TABLES is in force
        self._is_locked: bool = False
        # flags of statements that may run stored routines on this kind of server
        self.routine_flags: int = (
            CALLS | MAY_CALL | (MAY_CALL_ON_MARIADB if is_mariadb else MAY_CALL_ON_MYSQL)
        )
        # the statement that ended in the last ERR
        self._failed: Statement = NOTHING
        self._fresh_sql_mode: bytes = sql_mode
        # the values of kept variables that the session has set; never changed, but replaced
        self.kept: dict[bytes, bytes] = NOTHING_KEPT
        # seconds that the client may be idle; 0: for ever
        self.idle_limit: int = 0
        # bits of kept variables that the lease has from this session, and ASKING: it has to be tidied (`keeping`)
        self.placed: int = 0
        # variables that were assigned and not reported
        self.questions: tuple[bytes, ...] = ()
        self._watch_charset()

    # What the shell asks

    def is_held(self) -> bool:
        """Whether something ties the session to its backend: a transaction or a pin."""
        return self.pinned != 0 or (self.status & _IN_TRANS) != 0

    @property
    def needs_close(self) -> bool:
        """Whether no reset can undo what this session did to its backend: close it when the session ends."""
        return bool(self.pinned & _UNRESETTABLE)

    def text_of(self, name: bytes) -> Statement | None:
        """What the text statement prepared by this name means, if that is known."""
        return self._texts.get(name)

    # The predicate

    def completed(self, statement: Statement, response: ResponseTracker) -> int:
        """A COM_QUERY was answered: the verdict on the lease."""
        status = response.status
        if (
            statement.is_plain
            and response.changes is None
            and self.pinned == 0
            and not response.is_error
            and not response.any_insert_id
            and response.warnings == 0
            and (status & _IN_TRANS) == 0
            and ((status ^ self.status) & _LASTING) == 0
            and self.captured is None
            and self.residue & (DIAGNOSTICS | SOILED) == 0
            and self.lost == 0
            and not self.vector.is_limited
        ):
            # the ordinary statement: only its counts are new
            if not self.is_mariadb or statement.flags & USES_TABLE:
                self.native |= DIAGNOSTICS
            if response.has_result_set:
                self.row_count = -1
                self.native |= ROW_COUNT
                if statement.flags & IS_SELECT:
                    self.found_rows = response.rows
                    self.native |= FOUND_ROWS
                    self.residue &= INSERT_ID | USER_VARIABLES
            else:
                self.row_count = response.affected_rows
                self.native |= ROW_COUNT
                if statement.flags & UPDATES and not self.is_mariadb:
                    self.see_update(response)
            if self.residue:
                return PARK
            self.native = 0
            return RELEASE
        return self._completed(statement, response)

    def probed(self, response: ResponseTracker) -> int:
        """The probe after an ERR was answered. It leaves the warnings of the statement before, and ROW_COUNT() is -1 as after an error."""
        if response.is_error:
            self.pin(PinReason.OPAQUE_STATE_CHANGE)
            return HOLD
        if not self._failed.flags & ADDS_DIAGNOSTICS:
            if response.warnings:
                self._warning_count = response.warnings
            self._own_count = response.warnings
        self._see_status(response.status, self._failed)
        if response.changes is not None:
            # MySQL reports what the statement did before it failed
            self._see_changes(self._failed, response.changes)
        return self.verdict()

    def restored(self, response: ResponseTracker) -> int:
        """What had been set for a statement that was refused is undone: the verdict. An error may have ended the transaction."""
        self._see_status(response.status, NOTHING)
        return self.verdict()

    def verdict(self) -> int:
        """What is to become of the lease as things are."""
        if self.is_held():
            return HOLD
        if self.lost:
            self.lost &= ~(self.native | self.residue)
        if self.residue:
            return PARK
        self.native = 0
        return RELEASE

    # A response

    def _completed(self, statement: Statement, response: ResponseTracker) -> int:
        was_pinned = self.pinned & _DIAGNOSTICS_BIT != 0
        if was_pinned:
            # too many of them to be captured: so they may be again
            self.lift(PinReason.DIAGNOSTICS)
        self.see_residue(statement, response)
        if self.captured is None:
            self.placed &= ~MARKED
        if self.lost:
            self.lost &= ~(self.native | self.residue)
        if was_pinned and not (
            self.residue & DIAGNOSTICS and self.keeps_diagnostics(self.executed(statement), response)
        ):
            self.lift(PinReason.DIAGNOSTICS, _SIGNALLED)
        if is_signalled(self.executed(statement), response, self.is_mariadb):
            self.pin(PinReason.DIAGNOSTICS, _SIGNALLED)
        if statement.user_variables:
            self.may_have_assigned(statement.user_variables)
        if not self.pinned & _ROUTINE_BIT and self._runs_routine(statement):
            self.pin(PinReason.ROUTINE)
        changes = response.changes
        if changes is not None:
            self._see_changes(statement, changes)
        if response.is_error:
            self._see_failure(statement, response, changes)
            see_failed(self, statement, response.error_code)
            self._failed = statement
            # it may have ended a transaction, or have begun one before it failed; and who tracks may have to be told with an answer of ours
            may_begin = bool(statement.flags & (MULTI | CALLS) or statement.executes)
            is_known = self.status & (_IN_TRANS | _AUTOCOMMIT) == _AUTOCOMMIT and not may_begin
            return HOLD if self.pinned and is_known and self.next_ok is None else PROBE
        self._see_status(response.status, statement)
        self._see_text(statement, changes)
        return self.verdict()

    def may_have_assigned(self, names: tuple[bytes, ...]) -> None:
        """A statement has run, or failed half-way, that assigns these user variables. Its preparation makes them NULL."""
        if not self.pinned & _USER_VARIABLE_BIT:
            self.variables = assigned(self.variables, names)
            self.residue |= USER_VARIABLES
            if len(self.variables.names) > MOST_NAMES:
                self.pin(PinReason.USER_VARIABLE)

    def _runs_routine(self, statement: Statement) -> bool:
        """Whether it may run stored routines, by itself or by the texts that it executes."""
        if statement.flags & self.routine_flags:
            return True
        for name in statement.executes:
            text = self._texts.get(name)
            if text is not None and self._runs_routine(text):
                return True
        return statement.inner is not None and self._runs_routine(statement.inner)

    def _see_text(self, statement: Statement, changes: SessionChanges | None) -> None:
        """What the lexer says of a statement that succeeded."""
        # by index: a strict zip() costs as much as a third of a query, and every statement comes here
        if statement.lifts and (self._holders or self._texts):
            for i in range(len(statement.lifts)):
                self._lift_by_text(statement.lifts[i], statement.lift_names[i])
        for i in range(len(statement.pins)):
            self._pin_by_text(statement.pins[i], statement.pin_names[i])
        if statement.variables:
            self._confirm(statement, changes)
        if statement.prepares:
            for name, inner in statement.prepares:
                self._texts[name] = inner
        if statement.executes:
            for name in statement.executes:
                text = self._texts.get(name)
                if text is None:
                    self.pin(PinReason.OPAQUE_STATE_CHANGE)
                else:
                    self._see_text(text, changes)
        if statement.inner is not None:
            self._see_text(statement.inner, changes)

    def _lift_by_text(self, reason: PinReason, name: bytes) -> None:
        if reason is _TABLE_LOCK and self._is_locked:
            return
        if reason is _TEMPORARY_TABLE:
            name = self._full_name(name)
        self.lift(reason, name)
        if reason is _PREPARED_TEXT:
            self._texts.pop(name, None)

    def _pin_by_text(self, reason: PinReason, name: bytes) -> None:
        if reason is _SAVEPOINT and self.status & (_IN_TRANS | _AUTOCOMMIT):
            # within a transaction it ends with that; without one and under autocommit it is nothing. But under autocommit=0 it
            # begins what the server does not call a transaction (MySQL bug 107875).
            return
        if reason is _TEMPORARY_TABLE:
            if name == RENAMED:
                if not self.pinned & _TEMPORARY_TABLE_BIT:
                    return
                name = FIXED_NAME
            name = self._full_name(name)
        self.pin(reason, name)

    def _full_name(self, name: bytes) -> bytes:
        """The name of a table with its schema."""
        if b"." in name or name == FIXED_NAME:
            return name
        return (self.vector.schema or b"") + b"." + name

    def _confirm(self, statement: Statement, changes: SessionChanges | None) -> None:
        """Every variable that the text assigns must have been reported."""
        reported = set() if changes is None else {canonical(name) for name, _ in changes.variables}
        if statement.collation is not None:
            reported.discard(b"collation_connection")
        for name in statement.variables:
            if name == b"timestamp" and name in statement.defaults:
                self.lift(PinReason.UNSAFE_VARIABLE, name)
            elif name == b"last_insert_id" and name not in reported:
                # residue like any other
                self.residue |= INSERT_ID
                self.native |= INSERT_ID
            elif name not in reported:
                self.pin(PinReason.UNTRACKED_VARIABLE, name)
                ask(self, name)

    def _see_failure(
        self, statement: Statement, response: ResponseTracker, changes: SessionChanges | None
    ) -> None:
        """What the lexer says of a statement that failed: what it may have done before."""
        is_multi, code = statement.flags & MULTI, response.error_code
        for name in freed_names(statement, code, response.error_message):
            self._texts.pop(name, None)
            self.lift(PinReason.PREPARED_TEXT, name)
        if not is_multi and code in NOT_RUN:
            return
        for reason, name in zip(statement.pins, statement.pin_names, strict=True):
            if is_multi or reason in _IN_PASSING:
                self._pin_by_text(reason, name)
        if is_multi or len(statement.variables) + len(statement.user_variables) > 1:
            self._confirm(statement, changes)
        for name in statement.executes:
            if self._texts.get(name, NOTHING) not in UNREMARKABLE or name not in self._texts:
                self.pin(PinReason.OPAQUE_STATE_CHANGE)
        if statement.inner is not None:
            self._see_failure(statement.inner, response, changes)

    def _see_status(self, status: int, statement: Statement) -> None:
        """The flags of an OK or EOF."""
        changed = (status ^ self.status) & _LASTING
        if self.status & ~status & _IN_TRANS:
            self._transaction_ended(statement)
        if changed:
            if changed & _AUTOCOMMIT and status & _AUTOCOMMIT:
                self.lift(_SAVEPOINT)
            if changed & _NO_BACKSLASH_ESCAPES:
                self._set_lexing(NO_BACKSLASH_ESCAPES, bool(status & _NO_BACKSLASH_ESCAPES))
            if changed & _ANSI_QUOTES:
                self._set_lexing(ANSI_QUOTES, bool(status & _ANSI_QUOTES))
            self.status = status & _LASTING

    def _transaction_ended(self, statement: Statement) -> None:
        """SET autocommit=1 commits, but leaves the characteristics of the transaction in force for the next one, on both servers; COMMIT and ROLLBACK
        in the same text do not."""
        is_left_over = self.pinned & _NEXT_TRANSACTION_BIT or self.status & _IN_TRANS_READONLY
        if not statement.flags & SETS or statement.flags & ENDS:
            self.lift(_NEXT_TRANSACTION)
        elif is_left_over:
            self.pin(_NEXT_TRANSACTION)
        self.lift(_SAVEPOINT)

    def completes_with_release(self) -> bool:
        """Whether COMMIT and ROLLBACK end the connection where they do not say otherwise."""
        return self.vector.variables.get(b"completion_type") == b"RELEASE"

    def transaction_lost(self) -> None:
        """The transaction was rolled back with the backend that it was on."""
        self._transaction_ended(NOTHING)
        self.status &= ~(_IN_TRANS | _IN_TRANS_READONLY)

    def _set_lexing(self, bit: int, is_on: bool) -> None:
        self.lexing = self.lexing | bit if is_on else self.lexing & ~bit

    # Trackers

    def _see_changes(self, statement: Statement, changes: SessionChanges) -> None:
        if changes.state_changed:
            see_state_changed(self, statement, changes)
        if changes.variables:
            self.see_variables(statement, changes.variables)
        if changes.chosen is not None:
            self.vector = self.vector.with_schema(changes.chosen or None)
        state = changes.transaction_state
        if state is not None:
            self._is_locked = state[-1:] == b"L"
            if self._is_locked and not self.pinned & _TABLE_LOCK_BIT:
                self.pin(PinReason.TABLE_LOCK)
        characteristics = changes.transaction_characteristics
        if characteristics is not None:
            if not characteristics:
                # a statement outside of transactions was the next one
                self.lift(PinReason.NEXT_TRANSACTION)
            elif is_for_next(characteristics) and not self.pinned & _NEXT_TRANSACTION_BIT:
                self.pin(PinReason.NEXT_TRANSACTION)

    def see_variables(self, statement: Statement, reported: list[tuple[bytes, bytes]]) -> None:
        """The server says that these variables have these values now."""
        kept: list[tuple[bytes, bytes]] = []
        for name, value in reported:
            name = name.lower()
            if name in _REPORTED_UNASKED or canonical(name) in statement.temporary:
                continue
            if name == b"sql_mode" and self._is_put_back(statement, value):
                continue
            if name in KEPT:
                keep(self, name, value)
                continue
            if name in (b"last_insert_id", b"identity"):
                self.insert_id = int(value)
                self.residue |= INSERT_ID
                self.native |= INSERT_ID
            elif is_restorable(name, value):
                kept.append((name, value))
                if self.pinned:
                    self._confirmed(name)
            elif name in DENIED and NEUTRAL.get(name) == value:
                self.lift(PinReason.UNSAFE_VARIABLE, name)
                self.lift(PinReason.UNTRACKED_VARIABLE, name)
            else:
                self.pin(PinReason.UNSAFE_VARIABLE, name)
        if not kept:
            return
        if statement.collation and any([name == b"character_set_results" for name, _ in kept]):
            kept.append((b"collation_connection", statement.collation))
            kept.append((RESULTS_COLLATION, statement.collation))
        before = self.vector.variables
        self.vector = self.vector.with_variables(kept)
        if self.variables is not None and not self.is_mariadb and self._connects_otherwise(before):
            self.pin(PinReason.USER_VARIABLE)
        self.lexing = lexing_after(self.lexing, kept)
        self._watch_charset()

    def _connects_otherwise(self, before: dict[bytes, bytes]) -> bool:
        """Whether the session's texts are of another character set or collation than then. MySQL's user variables that are numbers remember
        those of their assignment, for CONCAT(@number, ..), and no statement says so."""
        now = self.vector.variables
        return any([now.get(name) != before.get(name) for name in _OF_CONNECTION])

    def _is_put_back(self, statement: Statement, sql_mode: bytes) -> bool:
        """A routine runs in its own sql_mode, and then that of before is reported. To set it as well would be seen: on MariaDB a routine that
        has set ANSI_QUOTES leaves the status flag."""
        is_fresh = b"sql_mode" not in self.vector.variables and sql_mode == self._fresh_sql_mode
        return is_fresh and self._runs_routine(statement)

    def _confirmed(self, name: bytes) -> None:
        """The server has reported a value that can be restored: what was wrong with the variable is over."""
        self.lift(PinReason.UNTRACKED_VARIABLE, canonical(name))
        self.lift(PinReason.UNSAFE_VARIABLE, name)
        if name == b"character_set_connection":
            # it brings a collation along, the one of SET NAMES or its own
            self.lift(PinReason.UNTRACKED_VARIABLE, b"collation_connection")

    def _watch_charset(self) -> None:
        charset = self.vector.variables.get(b"character_set_client", b"").lower()
        bit = _UNSAFE_CHARSET_BIT
        self._set_lexing(ODD_BYTES, charset in UNSAFE_CHARSETS)
        if charset in UNSAFE_CHARSETS:
            if not self.pinned & bit:
                self.pin(PinReason.UNSAFE_CHARSET)
        elif self.pinned & bit:
            self.lift(PinReason.UNSAFE_CHARSET)

    # Commands other than COM_QUERY

    def completed_command(self, command: int, payload: bytes, response: ResponseTracker) -> int:
        """The same as `completed` for commands without text; ``payload`` is the command's.

        Not for COM_STMT_EXECUTE: `completed`, with what its text says.
        """
        statement = self.see_command(command)
        if response.is_error:
            return self._completed(statement, response)
        self._see_status(response.status, NOTHING)
        if command == _COM_INIT_DB:
            self.vector = self.vector.with_schema(payload[1:])
            self.row_count = 0
            self.native |= ROW_COUNT
        elif command == _COM_PING:
            self.row_count = 0
            self.native |= ROW_COUNT
        elif command == _COM_SET_OPTION:
            self.vector = self.vector.with_multi_statements(payload[1] == 0)
        if command == _COM_SET_OPTION or command == _COM_FIELD_LIST:
            # their answers end in EOF packets, as those of queries do
            self.row_count = -1
            self.native |= ROW_COUNT
        if response.changes is not None:
            self._see_changes(_NAMES_SCHEMA if command == _COM_INIT_DB else NOTHING, response.changes)
        return self.verdict()

    def completed_prepare(self, response: ResponseTracker, statement: Statement = NOTHING) -> int:
        """The same for COM_STMT_PREPARE: a success leaves ROW_COUNT() and FOUND_ROWS() as they were, and the diagnostics as ``statement``
        does."""
        if response.is_error:
            return self._completed(NOTHING, response)
        counts = (self.row_count, self.native & ROW_COUNT)
        verdict = self._completed(statement, response)
        self.row_count = counts[0]
        if not counts[1]:
            self.native &= ~ROW_COUNT
        return verdict

    def was_reset(self, charsets: tuple[bytes, ...], status: int) -> None:
        """COM_RESET_CONNECTION or COM_CHANGE_USER: the session is as fresh, with these values of CHARSET_VARIABLES."""
        old = self.vector
        fresh = Vector.fresh(old.schema, dict(zip(CHARSET_VARIABLES, charsets, strict=True)))
        kept = self.unpin(_UNRESETTABLE)
        self.vector = fresh.with_multi_statements(old.multi_statements)
        self.status = status & _LASTING
        self.lexing = lexing_of(self._fresh_sql_mode)
        self._texts.clear()
        self._is_locked = False
        self.insert_id = self.row_count = 0
        self.captured = self.debt = self.next_ok = None
        self._own_count = 0
        self.variables = None
        self.moved()
        self.lost = 0
        self.kept = NOTHING_KEPT
        lease_lost(self)
        self._watch_charset()
        for reason in kept:
            self.pin(reason)


_NAMES_SCHEMA: Final = Statement(USES)
