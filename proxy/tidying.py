"""Tidying a lease after a statement that concerned kept variables, or that left some unreported: functions on a `Frontend`.

The client has its answer. Before anything else runs on the backend, the residue is read off it, the server is asked for what it did
not report, and the backend gets the proxy's own values back (`keeping`). Also what the client's socket knows of them: the filter of
what it is told, and how long it may be idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.session_track import EVERYTHING, EVERYTHING_BUT_GTIDS, TrackFilter
from proxy import idling
from proxy.backend import Backend
from proxy.clearing import soil
from proxy.keeping import (
    answered,
    commands_before_ours,
    is_only_told,
    is_untidy,
    ours_may_run,
    tell_command,
    tidied,
    tidy_commands,
    told,
)
from proxy.kept import TELLING, TRACKING, filter_of
from proxy.reasons import CloseReason
from proxy.results import text_rows
from proxy.states import TIDYING

if TYPE_CHECKING:
    from proxy.frontend import Frontend

COM_QUERY: Final = 0x03


def starts(frontend: Frontend, backend: Backend) -> bool:
    """Begin the next step, if there is one: True. The verdict on the lease is carried out after the last one."""
    session, default_limit = frontend.session, frontend.shared.facts.wait_timeout
    if not is_untidy(session, default_limit):
        return False
    commands = [tell_command(session)] if is_only_told(session) else commands_before_ours(session)
    if not commands:
        ours_may_run(session, [])
        commands = tidy_commands(session, backend.setup, default_limit)
    frontend.state = TIDYING
    backend.run(frontend, commands, keeps_answers=True)
    return True


def ran(frontend: Frontend, backend: Backend, is_failed: bool) -> None:
    """A step is over."""
    session = frontend.session
    answers = backend.answers or []
    backend.answers = None
    is_capture = not is_only_told(session) and commands_before_ours(session) != []
    if session.questions and not is_capture:
        # refused: the pins stay (MySQL refuses it while an XA transaction is idle)
        if is_failed:
            soil(session)
        answered(session, [] if is_failed else text_rows(answers[0]))
    elif session.placed & TELLING and not is_capture:
        if is_failed:
            soil(session)
        track = frontend.track
        changes = None if is_failed else backend.tracker.changes
        told(session, changes, track is not None and track.schema)
    elif is_failed:
        _give_up(frontend)
        return
    elif is_capture:
        ours_may_run(session, answers)
    else:
        tidied(session, frontend.shared.facts.wait_timeout)
    if starts(frontend, backend):
        return
    know(frontend)
    verdict = session.verdict()
    if backend.vector is not session.vector:
        verdict = frontend.vector_changed(backend, verdict)
    frontend.settle(verdict)


def rewritten(frontend: Frontend, wire: bytes) -> bytes:
    """The command to send after commands of ours: with the counts of the statement before written in that it asks for."""
    if frontend.command == COM_QUERY and frontend.statement.kept and frontend.statement.places:
        return frontend.session.rewritten(frontend.statement, wire)
    return wire


def track_of(frontend: Frontend) -> TrackFilter | None:
    """What the client is told while the lease has something of its own: all, where that tracks as the client wants it."""
    if frontend.track is not None and frontend.session.placed & TRACKING:
        return EVERYTHING if frontend.track.gtids else EVERYTHING_BUT_GTIDS
    return frontend.track


def know(frontend: Frontend) -> None:
    """What the session keeps may have changed: the client's socket acts on it."""
    if frontend.track is not None:
        frontend.track = filter_of(frontend.session.kept)
    idling.watch(frontend)


def _give_up(frontend: Frontend) -> None:
    """What the backend has is not known."""
    was_held = frontend.is_held()
    frontend.discard(CloseReason.DIRTY)
    if was_held:
        frontend.close(CloseReason.BACKEND_LOST)
    else:
        frontend.start_waiting_commands()
