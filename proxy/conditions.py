"""Warnings and errors (conditions) of a session: what is known of them, and where the rest is. Pure.

A statement clears what the one before has left, but for a few: those about the diagnostics, and on MariaDB those that use no table. On MySQL
a command that is no statement adds to what is there: COM_FIELD_LIST warns of itself, COM_INIT_DB and others fail.

MySQL's answers to COM_INIT_DB, COM_DEBUG, COM_PING and COM_SET_OPTION repeat how many conditions the command before has raised, which need not be
all that SHOW WARNINGS shows: a statement about the diagnostics raises none, COM_STMT_FETCH counts its own error only.

References: MySQL documentation, "The MySQL Diagnostics Area", "COM_FIELD_LIST".
"""

from __future__ import annotations

from typing import Final

from protocol.response import ResponseTracker
from protocol.session_track import NextOkDebt, SchemaDebt
from proxy import diagnostics
from proxy.answers import warned_ok
from proxy.diagnostics import Captured
from proxy.results import row_payloads
from proxy.sqlstates import sqlstate_of
from proxy.statement import (
    ADDS_DIAGNOSTICS,
    COUNTS_ANEW,
    GETS_DIAGNOSTICS,
    KEEPS_DIAGNOSTICS,
    MULTI,
    READS_DIAGNOSTICS,
    USES_NO_TABLE,
    USES_TABLE,
    Statement,
)
from proxy.tables import leaves_unseen
from proxy.variables import VariablesKeeper
from proxy.vector import Vector

# Bits of SessionState.residue and SessionState.native.
INSERT_ID: Final = 1
ROW_COUNT: Final = 2
FOUND_ROWS: Final = 4
DIAGNOSTICS: Final = 8
USER_VARIABLES: Final = 16  # never in `native`: that a backend has them says its own `variables`
SOILED: Final = 32  # MariaDB: the backend may have warnings or errors on it, whoever's; never in `native`
OTHER_VARIABLES: Final = 64  # user variables that no text has named, if there were any; only in `lost`

UNKNOWN_COUNT: Final = -1
"""As the number of warnings that a backend has: there may be none."""

ADDING: Final = Statement(ADDS_DIAGNOSTICS | USES_NO_TABLE)
"""The statement of a command that begins none."""
COUNTING_ANEW: Final = Statement(ADDS_DIAGNOSTICS | COUNTS_ANEW | USES_NO_TABLE)
"""The same for COM_STMT_FETCH, COM_STMT_RESET and COM_FIELD_LIST."""
_COM_FIELD_LIST: Final = 0x04
_MOST_SHOWN: Final = b"1024"


def probe_command(multi_statements: bool) -> bytes:
    """The payload of a COM_SET_OPTION that changes nothing. Its answer has status flags and trackers, and it leaves everything that
    a failed statement has left: ROW_COUNT() is -1 after it. (COM_PING makes that 0.)"""
    return b"\x1b\x00\x00" if multi_statements else b"\x1b\x01\x00"


class ConditionsKeeper(VariablesKeeper):
    """The part of a session that is warnings and errors; `ResidueKeeper` has the rest of the residue."""

    __slots__ = (
        "_own_count",
        "_warning_count",
        "captured",
        "debt",
        "error_code",
        "error_sqlstate",
        "has_stray_schema",
        "is_mariadb",
        "lost",
        "native",
        "next_ok",
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
        # the value, if its bit is not in `residue`
        self.row_count: int = 0
        # warnings and errors that were captured; None when there are none
        self.captured: Captured | None = None
        # how many there are, by the response; 0: it did not say; UNKNOWN_COUNT
        self._warning_count: int = 0
        # how many of them the last command has raised; -1: all, whatever they are
        self._own_count: int = 0
        # code and SQLSTATE of the error among them, if there is one
        self.error_code: int = 0
        self.error_sqlstate: bytes = b""
        # MariaDB may tell the schema, unchanged, with the next thing that it has to tell: the answer that it belongs to could not
        self.has_stray_schema: bool = False
        # or with the next thing that the client is told; made for clients that track, at their first command
        self.debt: SchemaDebt | None = None
        # the same on MySQL
        self.next_ok: NextOkDebt | None = None

    # What was answered

    def see_diagnostics(self, statement: Statement, response: ResponseTracker) -> None:
        """A statement, or what stands for a command that begins none, was answered."""
        flags = statement.flags
        # it is told with the next answer that tells anything
        self.has_stray_schema = response.is_error or (self.has_stray_schema and response.changes is None)
        if flags & ADDS_DIAGNOSTICS and not self.is_mariadb:
            self._see_added(flags, response)
            return
        self._own_count = -1 if response.is_error else response.warnings
        if flags & GETS_DIAGNOSTICS and not flags & MULTI and self._gets_diagnostics(response):
            return
        if response.is_error or response.warnings:
            self.captured = None
            self._warning_count = response.warnings
            self.error_code = response.error_code if response.is_error else 0
            self.error_sqlstate = response.error_sqlstate if response.is_error else b""
            self._are_on_backend()
        elif flags & KEEPS_DIAGNOSTICS or (self.is_mariadb and not self._are_replaced(statement)):
            pass
        elif flags & (MULTI | READS_DIAGNOSTICS) == MULTI | READS_DIAGNOSTICS and not self.is_mariadb:
            # the last of several statements may be about those of another
            self.diagnostics_unseen()
            self.captured = None
            self._are_on_backend()
        elif self.is_mariadb and leaves_unseen(statement):
            self.diagnostics_unseen()
            self.captured = None
            self._are_on_backend()
        else:
            self.captured = None
            self.residue &= ~(DIAGNOSTICS | SOILED)
            self.native |= DIAGNOSTICS

    def _are_on_backend(self) -> None:
        self.residue |= DIAGNOSTICS | SOILED if self.is_mariadb else DIAGNOSTICS
        self.native |= DIAGNOSTICS

    def _are_replaced(self, statement: Statement) -> bool:
        """MariaDB: whether what the backend has after a statement, were it nothing, is the session's. Not when captured warnings are kept."""
        if statement.flags & USES_TABLE:
            return True
        return leaves_unseen(statement) and self.captured is None and not self.lost & DIAGNOSTICS

    def diagnostics_unseen(self) -> None:
        """Only the backend can tell what is there."""
        if not self.residue & DIAGNOSTICS:
            self.error_code = 0
        self._warning_count = UNKNOWN_COUNT

    def _gets_diagnostics(self, response: ResponseTracker) -> bool:
        """GET DIAGNOSTICS ran: whether the diagnostics are as before, but for a condition more, and where they were."""
        if response.is_error:
            return response.error_code == diagnostics.NOT_IN_HANDLER
        if response.warnings:
            self._warning_count = max(self._warning_count, 0) + response.warnings
            self._are_on_backend()
        return True

    def keeps_diagnostics(self, statement: Statement, response: ResponseTracker) -> bool:
        """Whether the statement has left, or may have left, the diagnostics as they were, or added to them."""
        if statement.flags & ADDS_DIAGNOSTICS and not self.is_mariadb:
            return True
        if statement.flags & GETS_DIAGNOSTICS:
            return not response.is_error or response.error_code == diagnostics.NOT_IN_HANDLER
        if response.is_error or response.warnings:
            return False
        if statement.flags & KEEPS_DIAGNOSTICS:
            return True
        return self.is_mariadb and (leaves_unseen(statement) or not statement.flags & USES_TABLE)

    def _see_added(self, flags: int, response: ResponseTracker) -> None:
        raised = 1 if response.is_error else 0
        if flags & COUNTS_ANEW:
            self._own_count = raised
        elif self._own_count >= 0:
            self._own_count += raised
        if raised:
            if not (self.residue & DIAGNOSTICS and self.error_code):
                # else the SQLSTATE of the older one may be all that is not known by its code
                self.error_code = response.error_code
                self.error_sqlstate = response.error_sqlstate
            charset = self.results_charset()
            self._add(
                diagnostics.raised(
                    response.error_code, response.error_sqlstate, response.error_message, charset
                )
            )

    def see_command(self, command: int) -> Statement:
        """A command that begins no statement was answered: what stands for it. What MySQL warns of is on top, and not counted."""
        if command != _COM_FIELD_LIST:
            return ADDING
        self._own_count = 0
        if not self.is_mariadb:
            self._add(diagnostics.deprecated(b"COM_FIELD_LIST", b"SHOW COLUMNS FROM statement"))
        return COUNTING_ANEW

    def _add(self, added: Captured) -> None:
        """The backend that the command ran on has it, too; so it is only of interest whether that has the others."""
        if not (self.native | self.residue) & DIAGNOSTICS:
            self._add_here(added)
            return
        known = max(self._warning_count, 0) if self.residue & DIAGNOSTICS else 0
        is_known = known or not self.residue & DIAGNOSTICS
        self._warning_count = known + added.warning_count if is_known else 0
        self._are_on_backend()

    def _add_here(self, added: Captured) -> None:
        self.captured = added.after(self.captured or Captured([], 0, added.charset), self._most_shown())

    def _most_shown(self) -> int:
        return int(self.vector.variables.get(b"max_error_count", _MOST_SHOWN))

    def keeps_warnings(self) -> bool:
        """Whether what MySQL warns of while it reads a text is counted: not with max_error_count = 0."""
        return self._most_shown() > 0

    # What the proxy has answered in the server's place

    def refused(self, code: int, message: str, flags: int = 0) -> None:
        """An error: it is what SHOW WARNINGS shows now. ``flags``: those of the statement, ADDS_DIAGNOSTICS if the command began none; then
        what the backend may have has to be captured first (`has_unread_diagnostics`)."""
        error = diagnostics.raised(code, sqlstate_of(code, self.is_mariadb), message.encode())
        self.row_count = -1
        if flags & ADDS_DIAGNOSTICS and not self.is_mariadb:
            if flags & COUNTS_ANEW or self._own_count >= 0:
                self._own_count = 1 if flags & COUNTS_ANEW else self._own_count + 1
            self._add_here(error)
        else:
            self._own_count = 1
            self.captured = error
        self.residue &= ~DIAGNOSTICS
        self.native &= ~(DIAGNOSTICS | ROW_COUNT)

    def has_unread_diagnostics(self) -> bool:
        """Whether an error of ours on top of what is there would hide what only the backend has."""
        return self.residue & DIAGNOSTICS != 0 and not self.is_mariadb

    def invalid_condition(self) -> bytes:
        """The answer to a GET DIAGNOSTICS about a condition that there is not."""
        self._own_count = 1
        return warned_ok(self.status, 1)

    def pinged(self) -> int:
        """The client's COM_PING was answered, by the server or without it: ROW_COUNT() is 0 after it. The warnings of its OK: on MySQL
        those of the command before."""
        self.row_count = 0
        self.native &= ~ROW_COUNT
        return 0 if self.is_mariadb else self._count()

    def statement_was_reset(self) -> None:
        """COM_STMT_RESET was answered without a backend."""
        self._own_count = 0
        self.row_count = 0
        self.native &= ~ROW_COUNT

    # What is asked

    def repeated_count(self) -> int:
        """The warnings in the answer to a command without a statement: on MySQL those of the command before. -1: as the backend says."""
        if self.is_mariadb:
            return -1
        if (self.native | self.residue) & DIAGNOSTICS:
            # a COM_STMT_RESET that was answered without the backend has raised none
            return 0 if self._own_count == 0 else -1
        return self._count()

    def _count(self) -> int:
        if self._own_count >= 0:
            return self._own_count
        if self.captured is not None:
            return self.captured.warning_count
        return max(self._warning_count, 1) if self.residue & DIAGNOSTICS else 0

    def warnings_captured(self, answer: bytes) -> int:
        """The answer to SHOW WARNINGS, with what is known besides. Returns the bytes that were captured."""
        rows, count, code = row_payloads(answer), self._warning_count, self.error_code
        if count == UNKNOWN_COUNT and not any([diagnostics.is_error(row) for row in rows]):
            code = 0
        captured = Captured(rows, count, self.results_charset(), code, self.error_sqlstate)
        self.captured = captured if captured.warning_count else None
        return captured.size

    def results_charset(self) -> bytes:
        """In which the session is told texts."""
        return self.vector.variables.get(b"character_set_results", b"utf8mb4")
