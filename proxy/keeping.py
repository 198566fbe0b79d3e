"""A session's kept variables (`kept`) and what its lease has of them: functions on a `SessionState`. Pure.

The lease is *tidied* after a statement that assigned one, that was given them to read, or that assigned any variable whose value the
server did not report: what is not known is asked for, and the backend gets the proxy's own values back. Asking is for MariaDB's
``SET @@x = ..``, for the collation that SET CHARACTER SET brings, and for whatever a client does not let the server report.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.clearing import mark_answered
from proxy.conditions import (
    DIAGNOSTICS,
    FOUND_ROWS,
    INSERT_ID,
    ROW_COUNT,
    SOILED,
    USER_VARIABLES,
    probe_command,
)
from proxy.kept import (
    ASKING,
    KEPT,
    LIMITS,
    MARKED,
    TELLING,
    WAIT_TIMEOUT,
    hide_commands,
    is_unmovable,
    place_command,
    question_command,
    with_value,
)
from proxy.pins import PinReason
from proxy.results import text_rows
from proxy.statement import NOTHING, Statement
from proxy.vector import SELECT_LIMIT

if TYPE_CHECKING:
    from protocol.session_track import SessionChanges
    from proxy.session import SessionState

WARNINGS: Final = b"\x03SHOW WARNINGS"
"""The payload that asks for them, and on MySQL leaves all else."""
TELL: Final = b"\x03SET SESSION sql_warnings=@@SESSION.sql_warnings"
"""The payload of a command that changes nothing, and whose answer has what MariaDB has yet to tell."""
_NAME: Final = re.compile(rb"[a-z0-9_]+\Z")
# Servers know them by either name.
_NAMES: Final[dict[bytes, tuple[bytes, ...]]] = {
    b"transaction_isolation": (b"transaction_isolation", b"tx_isolation"),
    b"transaction_read_only": (b"transaction_read_only", b"tx_read_only"),
}


def ask(session: SessionState, name: bytes) -> None:
    """A variable was assigned, and its value was not reported."""
    session.placed |= KEPT.get(name, 0)
    if name not in session.questions and _NAME.match(name) is not None:
        session.placed |= ASKING
        session.questions = (*session.questions, *_NAMES.get(name, (name,)))


def keep(session: SessionState, name: bytes, value: bytes) -> None:
    """A kept variable has this value on the lease now."""
    session.kept = with_value(session.kept, name, value)
    session.placed |= KEPT[name]
    session.lift(PinReason.UNTRACKED_VARIABLE, name)
    session.lift(PinReason.UNSAFE_VARIABLE, name)
    if name == WAIT_TIMEOUT:
        session.idle_limit = int(value)
    elif is_unmovable(name, value, session.is_mariadb):
        session.pin(PinReason.UNSAFE_VARIABLE, name)


def reads_kept(session: SessionState, statement: Statement) -> int:
    """The bits of kept variables that have to be put on the lease for this statement (`place`)."""
    bits = statement.kept
    for name in statement.executes:
        bits |= (session.text_of(name) or NOTHING).kept
    if statement.inner is not None:
        bits |= statement.inner.kept
    if bits & LIMITS and not any([KEPT[name] == LIMITS for name in session.kept]):
        bits &= ~LIMITS
    return bits & ~session.placed


def place(session: SessionState, bits: int) -> bytes:
    """The payload that puts them there; assumes that it succeeds."""
    session.placed |= bits
    return place_command(session.kept, bits)


def bits_to_have(session: SessionState, default_limit: int) -> int:
    """What of the client's shall be on the lease between two commands: a backend that is held must not be closed before its client is.
    ``default_limit``: the server's wait_timeout."""
    if WAIT_TIMEOUT not in session.kept or not session.is_held():
        return 0
    return LIMITS if session.placed & LIMITS or session.idle_limit > default_limit else 0


def tidy_commands(session: SessionState, setup: bytes, default_limit: int) -> list[bytes]:
    """Payloads of the next step that tidies the lease: the question (then `answered`), `tell_command` (then `told`), or what puts the backend right
    (then `tidied`); [] when it is tidy. To be run when no residue is on the lease. ``setup``: the statement that sets the proxy's trackers."""
    if session.questions:
        is_limited = session.vector.is_limited or SELECT_LIMIT in session.questions
        return [question_command(session.questions, is_limited, session.is_mariadb)]
    if session.placed & TELLING:
        return [tell_command(session)]
    wanted = bits_to_have(session, default_limit)
    commands = hide_commands(session.kept, session.placed & ~wanted, setup, session.is_held())
    if wanted & ~session.placed:
        commands.append(place_command(session.kept, wanted))
    return commands


def tell_command(session: SessionState) -> bytes:
    """The payload that asks for what the server has yet to tell."""
    return TELL if session.is_mariadb else probe_command(session.vector.multi_statements)


def is_only_told(session: SessionState) -> bool:
    """Whether all that is to be done leaves what is on the lease as it is."""
    return session.placed == TELLING and not session.questions and not session.is_mariadb


def told(session: SessionState, changes: SessionChanges | None, tracks_schema: bool) -> None:
    """What `tell_command` has brought; None when it was refused. On MariaDB a schema was due, and now the client has yet to be told, if it
    ``tracks_schema``. On MySQL it is `NextOkDebt` that sees it; but ROW_COUNT() is the session's own now."""
    session.placed &= ~TELLING
    if not session.is_mariadb:
        session.native &= ~ROW_COUNT
    elif changes is not None and changes.schema is not None and session.debt is not None:
        session.debt.is_due = tracks_schema


def tidied(session: SessionState, default_limit: int) -> None:
    """What puts the backend right has run."""
    session.placed = bits_to_have(session, default_limit)


def is_untidy(session: SessionState, default_limit: int) -> bool:
    """Whether the lease has to be tidied now that a command is over."""
    return session.questions != () or session.placed != bits_to_have(session, default_limit)


def answered(session: SessionState, rows: list[list[bytes | None]]) -> None:
    """The question was answered with these rows, or refused: then there are none, and the pins stay."""
    session.questions = ()
    session.placed &= ~ASKING
    session.see_variables(NOTHING, [(row[0] or b"", row[1] or b"") for row in rows])


def lease_lost(session: SessionState) -> None:
    """The lease is gone, and what was put there with it."""
    session.placed = 0
    session.questions = ()


def commands_before_ours(session: SessionState) -> list[bytes]:
    """Payloads that read what commands of ours on the session's own lease would destroy; insert id and user variables they leave alone."""
    commands: list[bytes] = []
    if session.residue & DIAGNOSTICS or session.placed & MARKED:
        commands.append(WARNINGS)
    if session.residue & FOUND_ROWS:
        commands.append(b"\x03SELECT FOUND_ROWS() LIMIT 1")
    if session.placed & MARKED:
        # last, for a SELECT ends what it asks for
        commands.append(b"\x03SELECT @@warning_count LIMIT 1")
    return commands


def ours_may_run(session: SessionState, answers: list[bytes]) -> None:
    """The answers to `commands_before_ours`: it is all known now, and soon no longer on the backend."""
    if session.residue & FOUND_ROWS:
        session.found_rows = _number(
            answers[1 if session.residue & DIAGNOSTICS or session.placed & MARKED else 0]
        )
    if session.placed & MARKED:
        mark_answered(session, answers[0], _number(answers[-1]))
    elif session.residue & DIAGNOSTICS:
        session.warnings_captured(answers[0])
    session.residue &= INSERT_ID | USER_VARIABLES | SOILED
    session.native &= INSERT_ID


def warnings_read(session: SessionState, answer: bytes) -> None:
    """The answer to WARNINGS alone, on MySQL: what else the backend has stays there."""
    session.warnings_captured(answer)
    session.residue &= ~DIAGNOSTICS
    session.native &= ~(DIAGNOSTICS | ROW_COUNT)


def _number(answer: bytes) -> int:
    return int(text_rows(answer)[0][0] or 0)
