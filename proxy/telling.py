"""What servers tell late, or unasked (protocol.session_track.Debt): functions on a `Frontend`.

On MariaDB a statement that chooses another schema inside, and back (a trigger, view or function of another schema), leaves the schema to be
told, unchanged, with the next OK that tells anything (`SchemaDebt`). A backend tells more than a client has asked for, and to whoever has
it by then: so what is due is known here, by what the backend said, and after a COM_STMT_PREPARE or an error by what it says then (`TELL`).

MySQL tells such a schema, and transactions that nobody has asked for, with the next OK of any kind (`NextOkDebt`): with one of the proxy's
own, too (`send`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from protocol.framing import frame
from protocol.packets import STATE_CHANGED, parse_ok
from protocol.session_track import NextOkDebt, SchemaDebt, TrackFilter
from proxy.backend import Backend
from proxy.kept import TELLING
from proxy.lexer import ODD_BYTES
from proxy.pins import BITS, PinReason
from proxy.statement import (
    CALLS,
    DROPS_SCHEMA,
    GETS_DIAGNOSTICS,
    IS_SELECT,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MULTI,
    NOTHING,
    USES,
    Statement,
)

if TYPE_CHECKING:
    from proxy.frontend import Frontend
    from proxy.session import SessionState

COM_INIT_DB: Final = 0x02
# What calls no routine and fires no trigger by itself, unless it says so: these have no schema of their own to tell.
_TELLS_NO_SCHEMA: Final = re.compile(
    rb"\s*(?:begin|start|commit|rollback|savepoint|release|xa|set|lock|unlock|drop|deallocate|create\s+temporary|select|do)\b",
    re.IGNORECASE,
)
# Nor do these change anything else in the session, but for a temporary table.
_QUERIES: Final = re.compile(rb"\s*(?:select|do|create\b.*?\bselect)\b", re.IGNORECASE | re.DOTALL)
COM_QUERY: Final = 0x03
IN_TRANS: Final = 1
COM_STMT_EXECUTE: Final = 0x17
# a packet with 0x00 or 0xFE, two numbers of one byte, flags and warnings
_PLAIN_OK: Final = 11
_PLAIN_OK_SIZE: Final = b"\7\0\0"
_OF_DIAGNOSTICS: Final = GETS_DIAGNOSTICS | MULTI
_MAY_CHANGE_SCHEMA: Final = USES | DROPS_SCHEMA | CALLS | MAY_CALL | MAY_CALL_ON_MARIADB | MULTI


def track_of(frontend: Frontend, backend: Backend, track: TrackFilter) -> TrackFilter:
    """The filter for this command, where the server may tell a schema late. What the client has yet to be told is given to the tracker."""
    session = frontend.session
    if (
        track.state_change
        and session.executed(frontend.statement).flags & _OF_DIAGNOSTICS == GETS_DIAGNOSTICS
    ):
        # no server tells what it sets, but of the SET that may run in its place
        track = track.without_state_change()
    if not session.is_mariadb:
        next_ok = session.next_ok
        if next_ok is None:
            next_ok = session.next_ok = NextOkDebt()
            frontend.shared.has_trackers = True
        next_ok.is_due = next_ok.is_due or (_leaves_no_schema(frontend) and next_ok.tracks_schema)
        next_ok.begin(session.status & IN_TRANS != 0, track, session.vector.schema)
        if next_ok.is_unseen:
            next_ok.is_ending = _concerns_temporary_table(session, frontend.statement)
        backend.tracker.debt = next_ok
        return track
    debt = session.debt
    if debt is None:
        debt = session.debt = SchemaDebt()
        frontend.shared.has_trackers = True
    debt.schema = session.vector.schema or b""
    leaves_schema = _may_leave_schema(frontend)
    debt.may_grow = leaves_schema or frontend.command == COM_QUERY
    debt.is_single = not frontend.statement.flags & MULTI
    debt.is_late = debt.ended != ()
    if leaves_schema:
        debt.is_doubtful = False
    if _leaves_no_schema(frontend):
        debt.is_due = track.schema
        debt.is_late = debt.is_late or track.schema
    backend.tracker.debt = debt
    return _without_stray(frontend, track) if session.has_stray_schema else track


def send(frontend: Frontend, answer: bytes) -> None:
    """Send an answer of the proxy's own, in wire form. If it ends in an OK that has nothing but its flags and the number of warnings, that
    tells what is due."""
    next_ok, track, last = frontend.session.next_ok, frontend.track, answer[-_PLAIN_OK:]
    if next_ok is not None and track is not None and last[:3] == _PLAIN_OK_SIZE and answer[4] != 0xFF:
        ok = parse_ok(last[4:], True)
        next_ok.begin(ok.status & IN_TRANS != 0, track, frontend.session.vector.schema)
        ok.block, is_told = next_ok.with_end(*next_ok.told(b"", ok.status, b"", False, track))
        if is_told:
            ok.status |= STATE_CHANGED
            answer = answer[:-_PLAIN_OK] + frame(ok.build(), last[3])
    frontend.send(answer)


def transaction_ended(frontend: Frontend) -> None:
    """The client's transaction was ended by a command of ours."""
    debt = frontend.session.debt if frontend.session.is_mariadb else frontend.session.next_ok
    if debt is not None and frontend.track is not None:
        debt.transaction_ended(frontend.track)


def _concerns_temporary_table(session: SessionState, statement: Statement) -> bool:
    """Whether a single statement creates one or drops it."""
    for name in statement.executes:
        statement = session.text_of(name) or NOTHING
    reason = PinReason.TEMPORARY_TABLE
    drops = reason in statement.lifts and session.pinned & BITS[reason] != 0
    return (drops or reason in statement.pins) and not statement.flags & MULTI


def _may_leave_schema(frontend: Frontend) -> bool:
    """Whether the execution of a binary statement chooses another schema: by itself, or by a trigger or function. Views do so only when they
    are prepared, which may have been for somebody else."""
    statement, executing, session = frontend.statement, frontend.executing, frontend.session
    if frontend.command != COM_STMT_EXECUTE or executing is None:
        return False
    if executing.own.vector.schema != session.vector.schema:
        return True
    return not statement.flags & IS_SELECT or statement.flags & (MAY_CALL | MAY_CALL_ON_MARIADB) != 0


def _leaves_no_schema(frontend: Frontend) -> bool:
    """Whether a binary statement is executed that was prepared where there was no schema: servers tell of the way back from that, but elsewhere
    it is prepared in the session's."""
    executing = frontend.executing
    return (
        frontend.command == COM_STMT_EXECUTE
        and executing is not None
        and executing.own.vector.schema is None
        and frontend.session.vector.schema is not None
    )


def was_prepared(frontend: Frontend, text: bytes) -> None:
    """The client has prepared this: its functions, procedures and views were looked at. What the server has to tell of that is asked for, as
    the backend may be another's by the time that it is told."""
    frontend.session.has_stray_schema = True
    if frontend.shared.has_trackers and b"." in text:
        _ask(frontend.session)


def failed(frontend: Frontend) -> None:
    """What has failed may have chosen another schema inside, and an error tells nothing: it is asked for, too. (MySQL's answer to the probe
    has it.)"""
    if not frontend.session.is_mariadb:
        return
    if b"." in frontend.wire or frontend.statement.executes or frontend.command == COM_STMT_EXECUTE:
        _ask(frontend.session)


def was_undone(session: SessionState, schema: bytes | None) -> None:
    """A statement was refused where it was prepared, in this schema: MySQL tells of the way back, which was ours."""
    next_ok = session.next_ok
    if next_ok is not None and schema != session.vector.schema:
        next_ok.is_due = next_ok.is_due or next_ok.tracks_schema


def _ask(session: SessionState) -> None:
    """On MariaDB not for the sake of others where text is not believed: such sessions keep their backends, and the question may cost them a
    ROW_COUNT() that no text can be given."""
    if session.debt is not None or not session.lexing & ODD_BYTES or not session.is_mariadb:
        session.placed |= TELLING


def _without_stray(frontend: Frontend, track: TrackFilter) -> TrackFilter:
    """Without a schema that only comes along with what the client does not track."""
    statement, executing = frontend.statement, frontend.executing
    text = frontend.wire[5:]
    if frontend.command != COM_QUERY and executing is not None:
        text = executing.own.text
    if track.is_everything or _TELLS_NO_SCHEMA.match(text) is None:
        return track
    if executing is not None and executing.own.vector.schema != frontend.session.vector.schema:
        # it runs in the schema in which it was prepared, and the server tells of the way back
        return track
    may_change = statement.flags & _MAY_CHANGE_SCHEMA or statement.executes or statement.inner is not None
    if may_change or frontend.command == COM_INIT_DB:
        return track
    if _QUERIES.match(text) is not None and not statement.user_variables:
        # a view may be of another schema
        return track.without_stray_schema()
    return track.without_lone_schema()
