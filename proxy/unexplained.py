"""Changes of the session's state that trackers report without telling what changed: whether the text accounts for them. Pure.

"Something changed" may be a user variable or a temporary table next to the variables that were reported, so only SET, USE and the like
account for it. But a server says so, too, when it enters another schema than the session's, and with it the session's schema, unchanged:

- MySQL 9.7 when a stored program of that schema has run, a trigger, or a function by way of a view, whether it has changed anything or
  not; and when a statement is executed in another schema than that in which it was prepared.
- MariaDB 10.11 also when a view of that schema was merely read, by the statement or by information_schema. A statement that does not
  read only pins there, too. What one that reads has left can only be by way of a function: user variables, which that server lists.

MariaDB says nothing of what a failed statement did before it failed, and what SET STATEMENT .. FOR says of itself hides the rest. So there may
be such variables then, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.session_track import SessionChanges
from proxy.conditions import USER_VARIABLES
from proxy.diagnostics import NOT_RUN
from proxy.pins import BITS, PinReason
from proxy.statement import (
    IS_SELECT,
    MULTI,
    SETS,
    SETS_FOR_ITSELF,
    SETS_USER_VARIABLES,
    UNREMARKABLE,
    USES,
    USES_NO_TABLE,
    USES_TABLE,
    Statement,
)
from proxy.variables import with_others

if TYPE_CHECKING:
    from proxy.session import SessionState

EXPLAINED: Final = 0
VARIABLES_UNKNOWN: Final = 1  # there may be user variables that no text has named
UNEXPLAINED: Final = 2

_USER_VARIABLE_BIT: Final = BITS[PinReason.USER_VARIABLE]


def see_state_changed(session: SessionState, statement: Statement, changes: SessionChanges) -> None:
    """The server says that something changed."""
    found = _account(session, statement, changes)
    if found == UNEXPLAINED:
        session.pin(PinReason.OPAQUE_STATE_CHANGE)
    elif found == VARIABLES_UNKNOWN:
        _doubt_variables(session)


def see_failed(session: SessionState, statement: Statement, code: int) -> None:
    """It has ended in this error: a trigger, or a function in a view, may have run before."""
    may_have_run = _uses_table(statement) or statement.executes or statement.inner is not None
    if session.is_mariadb and may_have_run and code not in NOT_RUN:
        _doubt_variables(session)


def _uses_table(statement: Statement) -> bool:
    flags = statement.flags
    return flags & USES_TABLE != 0 or flags & (IS_SELECT | USES_NO_TABLE) == IS_SELECT


def _doubt_variables(session: SessionState) -> None:
    if not session.pinned & _USER_VARIABLE_BIT:
        session.variables = with_others(session.variables)
        session.residue |= USER_VARIABLES


def _account(session: SessionState, statement: Statement, changes: SessionChanges) -> int:
    flags = statement.flags
    if flags & session.routine_flags:
        return UNEXPLAINED
    if (
        flags & (SETS | USES | SETS_FOR_ITSELF | SETS_USER_VARIABLES)
        or statement.pins
        or statement.lifts
        or statement.temporary
    ):
        return EXPLAINED if statement.inner is None else _account_of_inner(statement.inner, changes)
    if statement.executes or statement.inner is not None:
        return _account_of_texts(session, statement, changes)
    if not session.is_mariadb or flags & (IS_SELECT | MULTI) != IS_SELECT or changes.variables:
        return UNEXPLAINED
    is_entry = changes.schema is not None and changes.schema == (session.vector.schema or b"")
    return VARIABLES_UNKNOWN if is_entry else UNEXPLAINED


def _account_of_inner(inner: Statement, changes: SessionChanges) -> int:
    """For SET STATEMENT .. FOR this, which reports something itself."""
    if not _uses_table(inner):
        return EXPLAINED
    return UNEXPLAINED if changes.schema is not None and not inner.flags & IS_SELECT else VARIABLES_UNKNOWN


def _account_of_texts(session: SessionState, statement: Statement, changes: SessionChanges) -> int:
    """For statements that execute others: EXECUTE itself changes nothing."""
    texts = [session.text_of(name) for name in statement.executes]
    if statement.inner is not None:
        texts.append(statement.inner)
    found = UNEXPLAINED
    for text in texts:
        if text is None:
            return UNEXPLAINED
        account = _account(session, text, changes)
        if account == UNEXPLAINED:
            if text not in UNREMARKABLE:
                return UNEXPLAINED
        elif found == UNEXPLAINED or found < account:
            found = account
    return found
