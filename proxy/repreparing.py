"""Prepared statements that a server has lost, or has no room for: functions on a `Frontend`.

- 1461 at COM_STMT_PREPARE: the server is full (max_prepared_stmt_count). Statements not used for long are closed, first on this backend,
  if it has none on idle ones, and it is tried once more.
- 1243 at an execution, of an id that we believe in: the server began anew behind the connection (Aurora's zero-downtime restart, a
  TCP proxy in between). All its ids mean nothing now, or something else, so the endpoint's epoch is raised. A session that holds nothing
  runs its statement on a new connection, once: it did not run. One that holds something has lost it, and is told, as without a proxy.
- 1615 at an execution: the server could not prepare it again by itself. It is prepared again here and run once.

The client sees nothing of the first try. What the server says of the second is its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.commands import ping
from protocol.response import ResponseTracker
from proxy.backend import Backend
from proxy.clearing import soil, try_failed
from proxy.reasons import CloseReason
from proxy.sources import Source
from proxy.statement import CALLS
from proxy.statement_errors import COM_STMT_EXECUTE, TOO_MANY_STATEMENTS, UNKNOWN_STATEMENT
from proxy.states import PREPARING

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.frontend import Frontend

NEED_REPREPARE: Final = 1615
MOST_CLOSES_DUE: Final = 8
"""Statements of a backend that wait to be closed with the next execution."""
EVICTED_SHARE: Final = 4
"""One in so many statements of a backend makes room for others."""


def prepared(frontend: Frontend, backend: Backend, source: Source) -> None:
    """The lease has just prepared this."""
    endpoint = frontend.endpoint
    assert endpoint is not None
    backend.statements.keep_up(endpoint.epoch)
    statements = backend.statements
    statements.add(source, backend.tracker.statement_id, statement_limit(endpoint))
    if statements.closes_due >= MOST_CLOSES_DUE:
        # many sessions prepare, and nobody executes yet
        backend.transport.write(statements.take_closes())


def statement_limit(endpoint: Endpoint) -> int:
    """Statements prepared on one backend: all backends of its pool together leave half of the server's room to others."""
    share = endpoint.facts.max_prepared // (2 * endpoint.size)
    return max(1, min(endpoint.max_prepared, share))


def is_curable(frontend: Frontend, tracker: ResponseTracker) -> bool:
    """Whether an answer to COM_STMT_EXECUTE says that the statement did not run, and can run after all."""
    if not tracker.is_error or frontend.is_repeated or frontend.command != COM_STMT_EXECUTE:
        return False
    if tracker.error_code == NEED_REPREPARE:
        return not frontend.statement.flags & CALLS
    return is_unknown(tracker) and not frontend.session.is_held()


def is_unknown(tracker: ResponseTracker) -> bool:
    """Whether it is the id that the server does not know. EXECUTE of an unknown name, in a routine, has the same code."""
    return tracker.error_code == UNKNOWN_STATEMENT and (
        b"mysql_stmt_" in tracker.error_message or b"mysqld_stmt_" in tracker.error_message
    )


def runs_again(frontend: Frontend, backend: Backend) -> bool:
    """The answer was held back: False when it is what the client must get."""
    tracker = backend.tracker
    if frontend.command != COM_STMT_EXECUTE:
        if not makes_room(frontend, backend):
            return False
        frontend.held_answer = []
        frontend.state = PREPARING
        backend.run(frontend, [ping()])
        return True
    frontend.held_answer = []
    frontend.is_repeated = True
    executing = frontend.executing
    assert executing is not None
    if tracker.error_code == NEED_REPREPARE:
        backend.statements.drop(executing.source)
        try_failed(frontend.session)
        frontend.run_command(backend)
        return True
    lost_statements(frontend, backend)
    frontend.discard(CloseReason.STALE_EPOCH)
    frontend.run_elsewhere()
    return True


def lost_statements(frontend: Frontend, backend: Backend) -> None:
    """The server does not know a statement that it must know."""
    endpoint = frontend.endpoint
    assert endpoint is not None
    if backend.statements.epoch == endpoint.epoch:
        endpoint.raise_epoch()
        if endpoint.sentinel is not None:
            endpoint.sentinel.statements_gone(endpoint)


def makes_room(frontend: Frontend, backend: Backend) -> bool:
    """A statement could not be prepared on the lease: whether that may be tried once more."""
    tracker, endpoint = backend.tracker, frontend.endpoint
    assert endpoint is not None
    if not tracker.is_error or tracker.error_code != TOO_MANY_STATEMENTS or frontend.is_repeated:
        return False
    frontend.is_repeated = True
    soil(frontend.session)
    statements = backend.statements
    statements.evict(len(statements) // EVICTED_SHARE or 1)
    closes = statements.take_closes()
    if not closes:
        return endpoint.evict_idle()
    backend.transport.write(closes)
    return True
