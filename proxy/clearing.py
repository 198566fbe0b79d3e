"""Warnings that MariaDB keeps, when they were captured: functions on a session. Pure.

MariaDB clears the warnings of the statement before when a statement uses a table (`tables`), and they are replaced when one raises its
own. All others keep them: so they may be of long ago, and on a backend that is somebody else's by now. Two things follow.

- A backend is *soiled* while it may have warnings or errors on it. It changes hands only after they were cleared (`FORGETS`).
- What stored routines do, several statements in one text, and text that is not known, is seen by their count of warnings alone. When the
  session's warnings are on the backend, that answers for itself. When they were captured, it is given a warning of ours first (`MARK`):
  if that is there afterwards, so would the captured ones be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.conditions import DIAGNOSTICS, ROW_COUNT, SOILED, ConditionsKeeper, probe_command
from proxy.kept import MARKED, TEXT, WIDE
from proxy.lexer import ODD_BYTES
from proxy.results import text_rows
from proxy.statement import GETS_DIAGNOSTICS, READS_DIAGNOSTICS, Statement
from proxy.tables import is_certain

if TYPE_CHECKING:
    from proxy.residue import ResidueKeeper
    from proxy.session import SessionState

FORGETS: Final = b"\x03DO (SELECT 1 FROM (SELECT 1) AS t)"
"""The payload of a command that clears warnings and errors, on MariaDB because it uses a table. FOUND_ROWS() is 1 after it there."""

_MARK_TEXT: Final = b"fanin: as before"
MARK: Final = b"\x03SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT='" + _MARK_TEXT + b"'"
"""The payload of a command that leaves a warning, and ROW_COUNT() 0."""


WIDE_MARK: Final = b"\x03DO CAST(" + TEXT + _MARK_TEXT + b"' AS SIGNED)"
"""The same where SIGNAL takes no SQLSTATE, because strings are in UTF-16 or the like."""


def wants_mark(session: ResidueKeeper, statement: Statement) -> bool:
    """Whether `MARK` has to run before the statement. Not where the client would see it."""
    return (
        session.captured is not None
        and session.is_mariadb
        and not (session.native | session.residue) & DIAGNOSTICS
        and not statement.flags & (READS_DIAGNOSTICS | GETS_DIAGNOSTICS)
        and not is_certain(session.executed(statement))
    )


def mark_commands(session: SessionState, statement: Statement) -> list[bytes]:
    """Payloads to be run on the session's lease just before the statement. Assumes that they succeed."""
    if not wants_mark(session, statement):
        return []
    mark = WIDE_MARK if session.vector.variables.get(b"character_set_connection") in WIDE else MARK
    session.placed |= MARKED
    session.residue |= SOILED
    session.native &= ~ROW_COUNT
    if session.lexing & ODD_BYTES and session.row_count < 0:
        # what the text asks for may not be known, and nothing written into it
        return [mark, probe_command(session.vector.multi_statements)]
    return [mark]


def mark_answered(session: SessionState, answer: bytes, count: int) -> None:
    """The statement after `MARK` is over, and has raised nothing that was counted: the answer to SHOW WARNINGS, and how many there are."""
    session.placed &= ~MARKED
    # whatever the character set of the answer is; under max_error_count = 0 the mark is only counted
    is_counted = count == 1 and not text_rows(answer)
    if not is_counted and _MARK_TEXT not in answer.replace(b"\0", b""):
        session.diagnostics_unseen()
        session.warnings_captured(answer)


def soil(session: ConditionsKeeper) -> None:
    """A command of ours has failed on the session's lease."""
    if session.is_mariadb:
        session.residue |= SOILED


def try_failed(session: ConditionsKeeper) -> None:
    """A command of the session's, which runs once more, has failed on its lease: that error is there now, in place of what was."""
    if session.is_mariadb:
        session.residue = (session.residue & ~DIAGNOSTICS) | SOILED
        session.native &= ~DIAGNOSTICS
