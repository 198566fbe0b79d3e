"""wait_timeout at the client's socket: functions on a `Frontend`. The watch itself is `idle`.

What a server does (seen on MySQL 9.7 and MariaDB 10.11, in and out of transactions): MySQL since 8.0.24 sends error 4031 unasked and closes;
MariaDB resets the connection. Of a client that is idle on a backend of its own the server often knows first; what it sends is passed on.
"""

from __future__ import annotations

import re
import socket
import struct
from typing import TYPE_CHECKING, Final

from protocol.constants import Capability
from proxy.kept import NOTHING_KEPT, WAIT_TIMEOUT
from proxy.reasons import CloseReason
from proxy.replies import inactive
from proxy.states import HOLDING

if TYPE_CHECKING:
    from proxy.connector import Facts
    from proxy.frontend import Frontend
    from proxy.session import SessionState
    from proxy.shared import Shared

SLACK: Final = 0.1
"""Seconds. Times are noted by the tick, so a client may have been active so much later."""
_VERSION: Final = re.compile(rb"(\d+)\.(\d+)\.(\d+)")
_TELLS_SINCE: Final = (8, 0, 24)
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


def begin(session: SessionState, facts: Facts, capabilities: int, is_reset: bool) -> None:
    """A session is as new: how long its client may be idle. "On thread startup, the session wait_timeout value is initialized from the
    global wait_timeout value or from the global interactive_timeout value, depending on the type of client (as defined by the
    CLIENT_INTERACTIVE connect option)". After COM_RESET_CONNECTION MariaDB takes the former for all."""
    session.idle_limit = facts.wait_timeout
    session.kept = NOTHING_KEPT
    if capabilities & Capability.INTERACTIVE and not (is_reset and facts.is_mariadb):
        session.idle_limit = facts.interactive_timeout
        if facts.interactive_timeout != facts.wait_timeout:
            session.kept = {WAIT_TIMEOUT: b"%d" % facts.interactive_timeout}


def watch(frontend: Frontend) -> None:
    """The client's time begins, or has another length."""
    limit, shared = frontend.session.idle_limit, frontend.shared
    if limit:
        shared.idle.watch(frontend, frontend.idle_since + limit + SLACK)
    else:
        shared.idle.forget(frontend)


def look(shared: Shared, now: float) -> None:
    """The tick: end those whose time is up, and let those look again who wait for a reader."""
    if shared.placing is not None:
        shared.placing.look()
    for frontend in shared.idle.take_due(now):
        if frontend.state > HOLDING:
            # a command runs; it will note the time when it ends
            shared.idle.watch(frontend, now + frontend.session.idle_limit)
        elif frontend.idle_since + frontend.session.idle_limit + SLACK > now:
            watch(frontend)
        else:
            expire(frontend)


def expire(frontend: Frontend) -> None:
    """The client was idle for too long. A transaction is rolled back, as everything that is left on its backend is undone."""
    facts = frontend.shared.facts
    if facts.is_mariadb:
        reset_at_close(frontend)
    else:
        found = _VERSION.match(facts.server_version)
        if found is None or tuple(int(part) for part in found.groups()) >= _TELLS_SINCE:
            frontend.send(inactive().wire(0))
    frontend.close(CloseReason.WAIT_TIMEOUT)


def reset_at_close(frontend: Frontend) -> None:
    """The client's next command fails at once instead of being answered by silence."""
    connected = frontend.transport.get_extra_info("socket")
    if connected is not None and connected.family != socket.AF_UNIX:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
