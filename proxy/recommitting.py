"""A reader refuses to end a read-only transaction: functions on a `Frontend`.

MariaDB writes SAVEPOINT to its binary log where START TRANSACTION WITH CONSISTENT SNAPSHOT has begun the transaction, and so takes it for a write when it
is to be committed on a server that is read-only (1290). It has rolled back then, of which nobody can tell, for nothing was written: the reader is told
ROLLBACK, unseen, and what it answers to that is the answer to COMMIT; or it is told to begin the transaction that AND CHAIN asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import payload_of
from proxy.backend import Backend
from proxy.demotion import COM_QUERY, says_read_only
from proxy.effects import asks_for, words_of
from proxy.lexer import tokenize
from proxy.placement import Placement
from proxy.statement import ENDS, MULTI

if TYPE_CHECKING:
    from proxy.frontend import Frontend

_IN_TRANS_READONLY: Final = 0x2000
_BEGIN: Final = b"START TRANSACTION READ ONLY"
_END: Final = b"ROLLBACK"
_RELEASE: Final = b"ROLLBACK RELEASE"


def is_refused(frontend: Frontend, placement: Placement, backend: Backend) -> bool:
    """Whether the answer, of which the client has seen nothing, refuses to end a read-only transaction on a reader."""
    return (
        placement.reader is not None
        and not frontend.is_relayed
        and frontend.command == COM_QUERY
        and frontend.session.status & _IN_TRANS_READONLY != 0
        and frontend.statement.flags & (ENDS | MULTI) == ENDS
        and says_read_only(backend.tracker)
        # not once more
        and payload_of(frontend.wire)[1 : 1 + len(_END)] != _END
    )


def end(frontend: Frontend) -> None:
    """End it otherwise."""
    text = payload_of(frontend.wire)[1:]
    words = words_of(tokenize(text, 0, len(text), frontend.session.lexing, True))
    if asks_for(words, b"chain"):
        frontend.run_text(_BEGIN)
    else:
        frontend.run_text(_RELEASE if asks_for(words, b"release") else _END)
