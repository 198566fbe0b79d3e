"""Why a session keeps its backend: the closed list of pin reasons, what each one means and what lifts it.

The words are used as they are in metrics, logs, ``/state`` and the README's table. A pin is set when any instrument says so and
lifted only when every instrument that could see it agrees (see ``session.py``).
"""

from __future__ import annotations

import re
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
    LONG_DATA = "long-data"
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
    FOUND_ROWS = "found-rows"
    SEQUENCE_VALUE = "sequence-value"
    ROUTINE = "routine"
    SESSION_MODE = "session-mode"
    UNKNOWN_STATEMENT = "unknown-statement"


class PinMeaning(NamedTuple):
    """One row of the README's table of pins."""

    description: str  # what was seen
    lifted_by: str  # what ends the pin; "a reset" is COM_RESET_CONNECTION or COM_CHANGE_USER, and the end of the session
    advice: str  # what to change in the program, or around it, so that it is not needed


_RESET: Final = "a reset"

MEANINGS: Final[dict[PinReason, PinMeaning]] = {
    PinReason.USER_VARIABLE: PinMeaning(
        "user variables (@x) were assigned that cannot be moved exactly: too large or too many, with unusual names, or spatial;"
        " or on MySQL a binary prepared statement reads some, or SET NAMES follows; or on MariaDB one assigns text that is a parameter to one",
        _RESET,
        "keep large values in the program and send them as parameters",
    ),
    PinReason.TEMPORARY_TABLE: PinMeaning(
        "a temporary table exists",
        "DROP [TEMPORARY] TABLE of the last one, or a reset",
        "DROP TEMPORARY TABLE as soon as it was read; a derived table or WITH .. AS (..) needs none",
    ),
    PinReason.TABLE_LOCK: PinMeaning(
        "LOCK TABLES, or FLUSH TABLES .. WITH READ LOCK or FOR EXPORT, holds tables",
        "UNLOCK TABLES, or a reset",
        "use a transaction with SELECT .. FOR UPDATE, or UNLOCK TABLES as soon as possible",
    ),
    PinReason.GLOBAL_READ_LOCK: PinMeaning(
        "FLUSH TABLES WITH READ LOCK is in force",
        "UNLOCK TABLES, or a reset",
        "take backups on a connection of their own, past Fanin: mysqldump --single-transaction needs no lock",
    ),
    PinReason.INSTANCE_LOCK: PinMeaning(
        "LOCK INSTANCE FOR BACKUP or BACKUP LOCK or STAGE is in force",
        "UNLOCK INSTANCE, BACKUP UNLOCK, BACKUP STAGE END, or a reset",
        "take backups on a connection of their own, past Fanin",
    ),
    PinReason.USER_LOCK: PinMeaning(
        "GET_LOCK() or a locking service may hold a lock",
        "RELEASE_ALL_LOCKS(), RELEASE_LOCK() of the same names, or a reset",
        "RELEASE_LOCK() with the same literal name, in a statement of its own, as soon as the work is done; a row locked by SELECT .. FOR UPDATE needs no pin",
    ),
    PinReason.HANDLER: PinMeaning(
        "a table is open by HANDLER",
        "HANDLER .. CLOSE of the last one, or a reset",
        "HANDLER .. CLOSE after the last row, or SELECT .. LIMIT in its place",
    ),
    PinReason.PREPARED_TEXT: PinMeaning(
        "a statement is prepared by PREPARE .. FROM",
        "DEALLOCATE PREPARE of the last one, or a reset",
        "DEALLOCATE PREPARE after its last use, or the driver's binary protocol or client-side interpolation, which do not pin",
    ),
    PinReason.CURSOR: PinMeaning(
        "a server-side cursor is open",
        "fetching its last row, COM_STMT_RESET, COM_STMT_CLOSE, or a reset",
        "fetch to the end, or close the statement; an ordinary result set (no cursor type) needs none",
    ),
    PinReason.LONG_DATA: PinMeaning(
        "more than 64 KiB of a prepared statement's long data are on the server",
        "its execution, COM_STMT_RESET, COM_STMT_CLOSE, or a reset",
        "send large values as ordinary parameters, or execute as soon as the last piece is sent",
    ),
    PinReason.SAVEPOINT: PinMeaning(
        "SAVEPOINT under autocommit=0, which the server does not report as a transaction",
        "COMMIT, ROLLBACK, or a reset",
        "begin the transaction (START TRANSACTION) before the SAVEPOINT, and end it",
    ),
    PinReason.XA: PinMeaning(
        "an XA transaction is between START and its end",
        "XA COMMIT, XA ROLLBACK, or the end of the session",
        "XA COMMIT or XA ROLLBACK soon; keep XA for work that really spans several servers",
    ),
    PinReason.NEXT_TRANSACTION: PinMeaning(
        "characteristics were set for the next transaction only",
        "the end of the next transaction, or a reset",
        "begin the transaction at once; START TRANSACTION READ ONLY, or SET SESSION TRANSACTION, which is restored",
    ),
    PinReason.ROLE: PinMeaning(
        "SET ROLE changed the active roles, which a reset does not undo",
        "the end of the session",
        "SET DEFAULT ROLE .. TO the user, or use a user of its own",
    ),
    PinReason.RESOURCE_GROUP: PinMeaning(
        "SET RESOURCE GROUP moved the server's thread",
        "the end of the session",
        "use the hint /*+ RESOURCE_GROUP(name) */ in the statement",
    ),
    PinReason.UNSAFE_VARIABLE: PinMeaning(
        "a session variable was set whose value must not be replayed on another backend",
        "setting it back to its neutral value where it has one, or a reset",
        "set it in the server's parameter group (the baseline of all connections), or not at all",
    ),
    PinReason.UNTRACKED_VARIABLE: PinMeaning(
        "a session variable was set whose value the server neither reported nor told when it was asked",
        "SET SESSION of the same variable in a form that the server reports, or a reset",
        "write SET SESSION name = value (SET NAMES for character sets), or set it in the server's parameter group",
    ),
    PinReason.OPAQUE_STATE_CHANGE: PinMeaning(
        "the server reported a change of session state that the statement's text does not explain",
        _RESET,
        "let routines, functions and triggers restore the session variables that they set, and assign no @variables",
    ),
    PinReason.UNSAFE_CHARSET: PinMeaning(
        "the client's character set has characters whose second byte looks like a quote or a backslash",
        "SET NAMES to another character set",
        "SET NAMES utf8mb4, or utf8mb4 as the driver's charset",
    ),
    PinReason.DIAGNOSTICS: PinMeaning(
        "SIGNAL raised what GET DIAGNOSTICS may have more to say of than can be captured, or there is more than that",
        "the next statement that clears the diagnostics",
        "nothing, as it lasts for one statement",
    ),
    PinReason.FOUND_ROWS: PinMeaning(
        "on MySQL CREATE TABLE .. SELECT and SET of a subquery leave a count that FOUND_ROWS() only shows after another statement",
        "the next query, or a reset",
        "nothing, as it lasts until the next query",
    ),
    PinReason.SEQUENCE_VALUE: PinMeaning(
        "NEXTVAL() left a value for LASTVAL() in the session",
        _RESET,
        "keep the value that NEXTVAL() returns and do not ask LASTVAL(); or AUTO_INCREMENT",
    ),
    PinReason.ROUTINE: PinMeaning(
        "CALL, or a function that is not the server's own, may have assigned variables or taken locks unseen",
        _RESET,
        "send the routine's statements from the program; a routine that leaves nothing behind cannot be told from others, so COM_RESET_CONNECTION after it frees the connection",
    ),
    PinReason.SESSION_MODE: PinMeaning(
        "the pool's mode is session", "the end of the session", 'pool.mode = "transaction"'
    ),
    PinReason.UNKNOWN_STATEMENT: PinMeaning(
        "a statement was not understood",
        _RESET,
        "write it in a form that `fanin explain` understands, or COM_RESET_CONNECTION after it",
    ),
}


REASONS: Final[tuple[PinReason, ...]] = tuple(PinReason)
"""The reasons in the order of their bits in ``SessionState.pinned``."""

BITS: Final[dict[PinReason, int]] = {reason: 1 << i for i, reason in enumerate(REASONS)}
"""The bit of each reason in ``SessionState.pinned``."""


_ADVICE: Final[tuple[tuple[PinReason, re.Pattern[str], str], ...]] = tuple(
    [
        (reason, re.compile(pattern, re.IGNORECASE), advice)
        for reason, pattern, advice in (
            (
                PinReason.USER_VARIABLE,
                r"select\b.* @\S+ := @",
                "number rows by ROW_NUMBER() OVER (ORDER BY ..), sum them up by SUM(..) OVER (ORDER BY ..)",
            ),
            (
                PinReason.USER_VARIABLE,
                r"call\b",
                "let the procedure SELECT its results at its end in place of OUT parameters",
            ),
            (
                PinReason.USER_VARIABLE,
                r"get\b.* diagnostics\b",
                "SHOW WARNINGS in its place, which is answered from what is known",
            ),
            (
                PinReason.USER_VARIABLE,
                r"(select|with)\b.* into @",
                "read the value as a result set, and send it as a parameter",
            ),
            (
                PinReason.USER_VARIABLE,
                r"load\b",
                "load into the columns of a staging table and compute there",
            ),
            (
                PinReason.UNSAFE_VARIABLE,
                r"set .*\bsession_track_\w+",
                "name the variables that the program reads instead of '*'; leave GTIDs to connections of their own",
            ),
            (
                PinReason.UNSAFE_VARIABLE,
                r"set .*\b(timestamp|insert_id|rand_seed\w|pseudo_\w+|gtid_next)\b",
                "replay binary logs on a connection of their own, past Fanin; in tests SET timestamp = DEFAULT at the end",
            ),
            (
                PinReason.UNSAFE_VARIABLE,
                r"set .*\bprofiling\b",
                "EXPLAIN ANALYZE or the performance schema in its place",
            ),
            (
                PinReason.USER_LOCK,
                r".*\bservice_get_",
                "the locking service's locks are released by a reset only: use rows and FOR UPDATE",
            ),
        )
    ]
)


def advice_for(reason: PinReason, digest: str) -> str:
    """What to change so that this statement does not pin for this reason."""
    for each, pattern, advice in _ADVICE:
        if each is reason and pattern.match(digest) is not None:
            return advice
    return MEANINGS[reason].advice
