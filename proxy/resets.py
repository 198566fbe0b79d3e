"""COM_RESET_CONNECTION of a client: functions on a `Frontend`.

Without a lease it costs no round trip: the session's state becomes that of a fresh connection, and the next backend is brought to it.
With one it runs there, because what held the lease is on that backend.

References: MySQL documentation, "COM_RESET_CONNECTION".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from protocol.commands import reset_connection
from proxy import idling, tidying
from proxy.backend import Backend
from proxy.endpoint import COM_QUERY
from proxy.identity import IGNORE_SPACE
from proxy.pins import PinReason
from proxy.replies import ok
from proxy.shared import SESSION_POOLING
from proxy.states import RESETTING
from proxy.vector import Vector, ignoring_space, restore_commands

if TYPE_CHECKING:
    from proxy.frontend import Frontend


def start_reset(frontend: Frontend) -> None:
    """The client wants its session as new."""
    frontend.unpark()
    backend = frontend.backend
    if backend is None:
        _become_fresh(frontend)
        frontend.send(ok(frontend.session.status))
        return
    frontend.state = RESETTING
    facts = frontend.shared.facts
    schema = frontend.session.vector.schema
    # the backend may have logged in with another collation than this client
    restore = restore_commands(
        Vector.fresh(schema, facts.charsets_after_reset(backend.collation)),
        Vector.fresh(schema, facts.charsets_after_reset(frontend.identity.collation)),
    )
    backend.run(frontend, [reset_connection(), COM_QUERY + backend.setup, *(restore or [])])


def was_reset(frontend: Frontend, backend: Backend, is_failed: bool) -> None:
    """The backend has answered."""
    if is_failed:
        frontend.restore_refused(backend)
        return
    _become_fresh(frontend)
    backend.vector = frontend.session.vector
    backend.variables = None
    backend.statements.clear()
    frontend.send(ok(frontend.session.status))
    frontend.settle(frontend.session.verdict())


def schema_altered(frontend: Frontend) -> None:
    """An ALTER DATABASE has run: the session has the schema's new collation if it is its own. Other backends have that of before
    (`special.heard`)."""
    session, backend = frontend.session, frontend.backend
    schema, text = session.vector.schema, frontend.wire
    if schema is not None and (schema in text or _ALTERS_OWN.search(text) is not None):
        session.vector = session.vector.with_schema(schema)
        if backend is not None:
            backend.vector = session.vector


_ALTERS_OWN: Final = re.compile(
    rb"\b(?:database|schema)\s+(?:default|character|charset|collate|encryption|read)\b", re.IGNORECASE
)


def _become_fresh(frontend: Frontend) -> None:
    facts, shared = frontend.shared.facts, frontend.shared
    charsets = facts.charsets_after_reset(frontend.identity.collation)
    frontend.session.was_reset(tuple(charsets.values()), facts.status)
    vector = facts.fresh(frontend.session.vector).without_collation_of_schema()
    if not facts.is_mariadb:
        vector = ignoring_space(vector, frontend.identity.key.capabilities, facts.sql_mode)
    frontend.session.vector = vector
    frontend.forget_statements()
    if frontend.placement is not None:
        frontend.placement.owes_deadlock = False
        frontend.placement.begin = b""
    idling.begin(frontend.session, facts, frontend.capabilities, is_reset=True)
    tidying.know(frontend)
    if frontend.identity.key.capabilities & IGNORE_SPACE:
        if facts.is_mariadb:
            frontend.identity.lose_ignore_space(shared.keys)
        else:
            frontend.session.vector = frontend.session.vector.with_ignore_space(facts.sql_mode)
    if shared.pool_mode == SESSION_POOLING:
        frontend.session.pin(PinReason.SESSION_MODE)
