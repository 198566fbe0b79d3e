"""Statements before which nothing has to be restored, because they do it: functions on a `Lessee`.

Seen on MySQL 9.7 and MariaDB 10.11: SET autocommit = 0 or 1, with which ORMs begin and end what they call a transaction, is answered with the same
bytes (flags and trackers included) whatever autocommit was before, as long as no transaction is open; and then the session has a
lease, whose state is its own. While sessions queue for backends, every such statement would be restored before it is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.backend import Backend
from proxy.reasons import CloseReason
from proxy.statement import SETS_AUTOCOMMIT
from proxy.vector import differ_only_in

if TYPE_CHECKING:
    from proxy.lessee import Lessee

AUTOCOMMIT: Final = b"autocommit"
_COM_QUERY: Final = 0x03


def overwrites(lessee: Lessee, backend: Backend) -> bool:
    """Whether the command makes the backend's state that of its session. Then the state is not known until it has succeeded."""
    statement, session, vector = lessee.statement, lessee.session, backend.vector
    if (
        not statement.flags & SETS_AUTOCOMMIT
        or statement.needs_prepare
        or lessee.command != _COM_QUERY
        or backend.variables is not session.variables
        or vector is None
        or vector is session.vector
        or not differ_only_in(vector, session.vector, AUTOCOMMIT)
    ):
        return False
    backend.vector = None
    return True


def failed(lessee: Lessee, backend: Backend) -> None:
    """It was refused, or killed. The session is as it was, and has been told; what the backend has is in doubt."""
    tracker = backend.tracker
    lessee.session.refused(tracker.error_code, tracker.error_message.decode("utf-8", "replace"))
    lessee.discard(CloseReason.RESTORE_FAILED)
    lessee.start_waiting_commands()
