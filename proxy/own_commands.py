"""Commands of our own have run on a session's lease: whose they were, and who goes on. A function on a `Frontend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import (
    beginning,
    binary,
    bouncing,
    catching_up,
    losses,
    resets,
    special,
    tidying,
    unseen,
    verifying,
)
from proxy.backend import Backend
from proxy.clearing import soil
from proxy.keeping import lease_lost
from proxy.replies import SCHEMA_CODES
from proxy.states import (
    ABSORBING_KILL,
    BEGINNING,
    CAPTURING,
    CATCHING_UP,
    CLEANING,
    PREPARING,
    PREPARING_STATEMENT,
    PROBING,
    RESETTING,
    SURVEYING,
    TIDYING,
    VERIFYING,
)

if TYPE_CHECKING:
    from proxy.frontend import Frontend


def ran(frontend: Frontend, is_failed: bool) -> None:
    """``is_failed``: the last one that ran was refused."""
    backend = frontend.backend
    assert backend is not None
    state = frontend.state
    if is_failed and losses.ours_shut_down(frontend, backend):
        return
    if state == PREPARING:
        if not is_failed:
            frontend.was_prepared(backend)
        elif _is_schema_refused(frontend, backend):
            _schema_refused(frontend, backend)
        else:
            frontend.restore_refused(backend)
    elif state == PREPARING_STATEMENT:
        binary.prepared_here(frontend, backend, is_failed)
    elif state == CLEANING:
        frontend.was_cleaned(backend, is_failed)
    elif state == PROBING:
        frontend.settle(frontend.session.probed(backend.tracker))
    elif state == ABSORBING_KILL:
        special.kill_absorbed(frontend, is_failed)
    elif state == RESETTING:
        resets.was_reset(frontend, backend, is_failed)
    elif state == TIDYING:
        tidying.ran(frontend, backend, is_failed)
    elif state == CAPTURING:
        frontend.captured_here(backend, is_failed)
    elif state == BEGINNING:
        beginning.ran(frontend, backend, is_failed)
    elif state == SURVEYING:
        unseen.answered(frontend, backend, is_failed)
    elif state == CATCHING_UP:
        catching_up.answered(frontend, backend, is_failed)
    elif state == VERIFYING:
        verifying.answered(frontend, backend, is_failed)


def _is_schema_refused(frontend: Frontend, backend: Backend) -> bool:
    """COM_INIT_DB is the first command of a restore, so nothing else was changed."""
    return (
        backend.tracker.error_code in SCHEMA_CODES
        and frontend.session.vector.schema is not None
        and not frontend.is_held()
    )


def _schema_refused(frontend: Frontend, backend: Backend) -> None:
    """The server refuses the session's schema: somebody has dropped it, or it may not be used any more. On a direct connection only
    statements that need it would fail; so the session goes on without a schema, unless only a reader says so. The backend is as it was."""
    session, placement = frontend.session, frontend.placement
    if placement is not None and bouncing.knows_less(frontend, placement):
        bouncing.begin_anew(frontend, backend)
        return
    schema = session.vector.schema
    assert schema is not None and backend.vector is not None
    frontend.shared.proven_schemas.pop((frontend.identity.credential.user, schema), None)
    session.vector = session.vector.with_schema(None)
    lease_lost(session)
    if backend.vector.schema is None:
        soil(session)
        frontend.prepare(backend)
        return
    bouncing.begin_anew(frontend, backend)
