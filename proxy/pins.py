"""Why a session keeps its backend: the closed list of pin reasons, what each one means and what lifts it.

The words are used as they are in metrics, logs, ``/state`` and the README's table. A pin is set when any instrument says so and
lifted only when every instrument that could see it agrees (see ``session.py``).
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class PinReason(Enum):
    """The reasons for which a session is pinned to its backend although no transaction is open."""

    USER_VARIABLE = "user-variable"
    TEMPORARY_TABLE = "temporary-table"
    TABLE_LOCK = "table-lock"
    GLOBAL_READ_LOCK = "global-read-lock"
    INSTANCE_LOCK = "instance-lock"
    USER_LOCK = "user-lock"
    HANDLER = "handler"
    PREPARED_TEXT = "prepared-text"
    CURSOR = "cursor"
    SAVEPOINT = "savepoint"
    XA = "xa"
    NEXT_TRANSACTION = "next-transaction"
    ROLE = "role"
    RESOURCE_GROUP = "resource-group"
    UNSAFE_VARIABLE = "unsafe-variable"
    UNTRACKED_VARIABLE = "untracked-variable"
    OPAQUE_STATE_CHANGE = "opaque-state-change"
    UNSAFE_CHARSET = "unsafe-charset"
    DIAGNOSTICS = "diagnostics"
    SEQUENCE_VALUE = "sequence-value"
    ROUTINE = "routine"
    SESSION_MODE = "session-mode"
    UNKNOWN_STATEMENT = "unknown-statement"


class PinMeaning(NamedTuple):
    """One row of the README's table of pins."""

    description: str  # what was seen
    lifted_by: str  # what ends the pin; "a reset" is COM_RESET_CONNECTION or COM_CHANGE_USER, and the end of the session


_RESET: Final = "a reset"

MEANINGS: Final[dict[PinReason, PinMeaning]] = {
    PinReason.USER_VARIABLE: PinMeaning("a user variable (@x) was assigned", _RESET),
    PinReason.TEMPORARY_TABLE: PinMeaning(
        "a temporary table exists", "DROP [TEMPORARY] TABLE of the last one, or a reset"
    ),
    PinReason.TABLE_LOCK: PinMeaning(
        "LOCK TABLES, or FLUSH TABLES .. WITH READ LOCK or FOR EXPORT, holds tables",
        "UNLOCK TABLES, or a reset",
    ),
    PinReason.GLOBAL_READ_LOCK: PinMeaning(
        "FLUSH TABLES WITH READ LOCK is in force", "UNLOCK TABLES, or a reset"
    ),
    PinReason.INSTANCE_LOCK: PinMeaning(
        "LOCK INSTANCE FOR BACKUP or BACKUP LOCK or STAGE is in force",
        "UNLOCK INSTANCE, BACKUP UNLOCK, BACKUP STAGE END, or a reset",
    ),
    PinReason.USER_LOCK: PinMeaning(
        "GET_LOCK() or a locking service may hold a lock",
        "RELEASE_ALL_LOCKS(), RELEASE_LOCK() of the same names, or a reset",
    ),
    PinReason.HANDLER: PinMeaning(
        "a table is open by HANDLER", "HANDLER .. CLOSE of the last one, or a reset"
    ),
    PinReason.PREPARED_TEXT: PinMeaning(
        "a statement is prepared by PREPARE .. FROM", "DEALLOCATE PREPARE of the last one, or a reset"
    ),
    PinReason.CURSOR: PinMeaning(
        "a server-side cursor is open", "fetching its last row, COM_STMT_RESET, COM_STMT_CLOSE, or a reset"
    ),
    PinReason.SAVEPOINT: PinMeaning(
        "SAVEPOINT under autocommit=0, which the server does not report as a transaction",
        "COMMIT, ROLLBACK, or a reset",
    ),
    PinReason.XA: PinMeaning(
        "an XA transaction is between START and its end", "XA COMMIT, XA ROLLBACK, or the end of the session"
    ),
    PinReason.NEXT_TRANSACTION: PinMeaning(
        "characteristics were set for the next transaction only",
        "the end of the next transaction, or a reset",
    ),
    PinReason.ROLE: PinMeaning(
        "SET ROLE changed the active roles, which a reset does not undo", "the end of the session"
    ),
    PinReason.RESOURCE_GROUP: PinMeaning(
        "SET RESOURCE GROUP moved the server's thread", "the end of the session"
    ),
    PinReason.UNSAFE_VARIABLE: PinMeaning(
        "a session variable was set whose value must not be replayed on another backend",
        "setting it back to its neutral value where it has one, or a reset",
    ),
    PinReason.UNTRACKED_VARIABLE: PinMeaning(
        "a session variable was set and the server did not report its value",
        "SET SESSION of the same variable in a form that the server reports, or a reset",
    ),
    PinReason.OPAQUE_STATE_CHANGE: PinMeaning(
        "the server reported a change of session state that the statement's text does not explain", _RESET
    ),
    PinReason.UNSAFE_CHARSET: PinMeaning(
        "the client's character set has characters whose second byte looks like a quote or a backslash",
        "SET NAMES to another character set",
    ),
    PinReason.DIAGNOSTICS: PinMeaning(
        "the session reads its warnings by GET DIAGNOSTICS, and has some",
        "the next statement that clears them",
    ),
    PinReason.SEQUENCE_VALUE: PinMeaning("NEXTVAL() left a value for LASTVAL() in the session", _RESET),
    PinReason.ROUTINE: PinMeaning(
        "CALL, or a function that is not the server's own, may have assigned variables or taken locks unseen",
        _RESET,
    ),
    PinReason.SESSION_MODE: PinMeaning("the pool's mode is session", "the end of the session"),
    PinReason.UNKNOWN_STATEMENT: PinMeaning("a statement was not understood", _RESET),
}


REASONS: Final[tuple[PinReason, ...]] = tuple(PinReason)
"""The reasons in the order of their bits in ``SessionState.pinned``."""

BITS: Final[dict[PinReason, int]] = {reason: 1 << i for i, reason in enumerate(REASONS)}
"""The bit of each reason in ``SessionState.pinned``."""
