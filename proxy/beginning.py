"""A session's first statement: what init_connect says, run for each client as a server runs it at each login. Functions on a `Frontend`.

Facts (MySQL 9.7, MariaDB 10.11): the text may have several statements, is run after the OK of the login for users without CONNECTION_ADMIN
and SUPER, and leaves in the session what it would leave if the client had sent it: insert id and warnings, too. If it fails, the
client's first command is answered with 1184 and the connection ends. Neither COM_RESET_CONNECTION, which undoes what it has set, nor
COM_CHANGE_USER runs it again.

A server runs it at the login of each backend, too: that is undone by a reset there and then (`connector`).
Limits: a change of init_connect made past the proxy is noticed when the next backend is opened; what else the text does (a row in a table
of logins) is done for each backend, too, and CONNECTION_ID() in it is the backend's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.constants import Capability
from protocol.framing import frame
from proxy.backend import Backend
from proxy.blame import BEGINS_SESSION
from proxy.classify import NOTHING
from proxy.conditions import ROW_COUNT
from proxy.endpoint import COM_QUERY
from proxy.reasons import CloseReason
from proxy.replies import Failure, init_connect_failed
from proxy.session import RELEASE
from proxy.statement import MULTI
from proxy.states import BEGINNING

if TYPE_CHECKING:
    from proxy.frontend import Frontend

MULTI_ON: Final = b"\x1b\x00\x00"
MULTI_OFF: Final = b"\x1b\x01\x00"


def start(frontend: Frontend) -> None:
    """The client is in. Its commands wait until that statement has run, if there may be one."""
    shared = frontend.shared
    user = frontend.identity.credential.user
    endpoints = (shared.readers if frontend.is_reader_listener else []) or shared.writers
    if any([endpoint.may_begin(user) for endpoint in endpoints]):
        frontend.command = BEGINS_SESSION
        frontend.statement = NOTHING
        frontend.acquire()


def run(frontend: Frontend, backend: Backend) -> None:
    """The backend has the state of a new session."""
    endpoint, session = frontend.endpoint, frontend.session
    assert endpoint is not None
    text = endpoint.first_statement(frontend.identity.credential.user)
    if not text:
        frontend.settle(RELEASE)
        return
    frontend.wire = frame(COM_QUERY + text)
    frontend.statement = frontend.shared.statements.lookup(frontend.wire, session.lexing)
    commands = [COM_QUERY + text]
    if frontend.statement.flags & MULTI and not session.vector.multi_statements:
        session.vector = session.vector.with_multi_statements(True)
        commands.insert(0, MULTI_ON)
    frontend.state = BEGINNING
    backend.run(frontend, commands, repeats=False)


def ran(frontend: Frontend, backend: Backend, is_failed: bool) -> None:
    """It was answered; or, after several statements, the client has the option again that it logged in with."""
    session = frontend.session
    if is_failed:
        host = frontend.peer.rpartition(":")[0] or "localhost"
        schema, user = session.vector.schema, frontend.user_name()
        refuse(frontend, init_connect_failed(frontend.connection_id, schema, user, host))
        return
    if frontend.statement is not NOTHING:
        session.completed(frontend.statement, backend.tracker)
        backend.variables = session.variables
    backend.vector = session.vector
    if session.vector.multi_statements and not frontend.capabilities & Capability.MULTI_STATEMENTS:
        session.vector = session.vector.with_multi_statements(False)
        session.native &= ~ROW_COUNT
        frontend.statement = NOTHING
        backend.run(frontend, [MULTI_OFF])
        return
    frontend.settle(session.verdict())


def refuse(frontend: Frontend, failure: Failure) -> None:
    """The session cannot begin: this is the answer to whatever the client sends first."""
    frontend.send(failure.wire(1))
    frontend.close(CloseReason.LOGIN_FAILED)
