"""Commands that the writer did not run because it is none any more: functions on a `Frontend`.

Its answer says so (1290 for the read-only option, 1836), and nothing was done. The monitor is told at once, which pauses the pool until it is known who the
writer is. As long as the client has seen nothing of an answer:

- Outside a transaction the command waits for the writer and runs there. What its session has left on the backend stays there, parked, and
  follows as always.
- A transaction is over: the backend is closed, so that nothing of it remains, and the client gets 1213, after which applications begin
  it again (`failover.in_transaction`).
- A session that is pinned gets the server's answer; in a transaction it loses its connection.

When another server has become the writer, a session that is pinned to the former would read there what it was, and be refused for ever: it loses its
connection at its next command outside a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.response import ResponseTracker
from proxy.backend import Backend
from proxy.pins import BITS, PinReason
from proxy.reasons import CloseReason
from proxy.replies import Failure, deadlock, lost, lost_before
from proxy.statement import CALLS
from proxy.topology_actions import Signal

if TYPE_CHECKING:
    from proxy.cluster import Cluster
    from proxy.frontend import Frontend
    from proxy.lessee import Lessee

# What becomes of an answer
TOLD: Final = 0  # the client gets it
RUN_AGAIN: Final = 1
ROLLED_BACK: Final = 2
ENDED: Final = 3  # the session ends

MOST_TRIES: Final = 3
"""Servers asked for one command."""
COM_QUERY: Final = 0x03
COM_STMT_EXECUTE: Final = 0x17
_OPTION_PREVENTS: Final = 1290
_READ_ONLY_MODE: Final = 1836
_SHUTDOWN: Final = (1053, 1927)
_READ_ONLY_OPTIONS: Final = (b"read-only", b"read_only")
_IN_TRANS: Final = 1
_DIAGNOSTICS_BIT: Final = BITS[PinReason.DIAGNOSTICS]
OF_TRANSACTION: Final = (
    BITS[PinReason.DIAGNOSTICS] | BITS[PinReason.SAVEPOINT] | BITS[PinReason.NEXT_TRANSACTION]
)


def says_read_only(tracker: ResponseTracker) -> bool:
    """Whether an answer says that the server takes no writes."""
    if not tracker.is_error:
        return False
    if tracker.error_code == _OPTION_PREVENTS:
        message = tracker.error_message
        return any([option in message for option in _READ_ONLY_OPTIONS])
    return tracker.error_code == _READ_ONLY_MODE


def fate(frontend: Frontend, backend: Backend) -> int:
    """What becomes of an answer of the writer's, of which the client has seen nothing."""
    cluster = frontend.shared.cluster
    if not says_read_only(backend.tracker) or cluster is None or not cluster.is_known:
        return TOLD
    if frontend.command != COM_QUERY and frontend.command != COM_STMT_EXECUTE:
        return TOLD
    session = frontend.session
    if session.status & _IN_TRANS:
        return ENDED if session.pinned & ~OF_TRANSACTION else ROLLED_BACK
    if session.pinned & ~_DIAGNOSTICS_BIT or frontend.statement.flags & CALLS:
        # a routine may have done something before
        return TOLD
    return RUN_AGAIN if frontend.tries < MOST_TRIES else TOLD


def answered(frontend: Frontend, backend: Backend) -> bool:
    """The writer has answered. True when its answer is not the client's."""
    if not says_read_only(backend.tracker):
        if backend.tracker.error_code in _SHUTDOWN:
            suspect(frontend, Signal.SHUTDOWN)
        return False
    # before anybody is told: it may change what follows
    found = TOLD if frontend.is_relayed else fate(frontend, backend)
    suspect(frontend, Signal.READ_ONLY_ERROR)
    if found == RUN_AGAIN:
        _run_again(frontend, backend)
    elif found == ROLLED_BACK:
        _roll_back(frontend)
    elif found == ENDED:
        end_stranded(frontend)
    return found != TOLD


def is_stranded(lessee: Lessee, cluster: Cluster) -> bool:
    """Whether a pinned session holds what it has on a server that has ceased to be the writer."""
    session, placement = lessee.session, lessee.placement
    if lessee.is_reader_listener or (placement is not None and placement.reader is not None):
        return False
    if lessee.endpoint in lessee.shared.writers or not cluster.is_known or session.status & _IN_TRANS:
        return False
    return session.pinned & ~_DIAGNOSTICS_BIT != 0


def end_stranded(lessee: Lessee) -> None:
    """What it holds is of no use any more, and cannot be had elsewhere."""
    lessee.discard(CloseReason.STALE_EPOCH)
    lessee.send_failure(_lost(lessee, "another server is the writer now"))
    lessee.close(CloseReason.BACKEND_LOST)


def _lost(lessee: Lessee, cause: str) -> Failure:
    """The command was refused, or not even sent. But a routine may have done something before it was refused the rest."""
    if lessee.statement.flags & CALLS:
        return lost(cause, was_held=True)
    return lost_before(f"{cause}; its transaction or pinned state is lost")


def suspect(frontend: Frontend, signal: Signal) -> None:
    """The writer shows that it may be none any more."""
    cluster, endpoint = frontend.shared.cluster, frontend.endpoint
    if cluster is not None and endpoint is not None:
        cluster.suspected(endpoint, signal)


def _run_again(frontend: Frontend, backend: Backend) -> None:
    session = frontend.session
    frontend.tries += 1
    session.lift(PinReason.DIAGNOSTICS)
    frontend.give_back(backend, is_parked=session.residue != 0)
    frontend.acquire()
    frontend.start_waiting_commands()


def _roll_back(frontend: Frontend) -> None:
    cluster = frontend.shared.cluster
    frontend.discard(CloseReason.STALE_EPOCH)
    if cluster is not None and not cluster.tells_deadlock:
        frontend.send_failure(_lost(frontend, "another server is becoming the writer"))
        frontend.close(CloseReason.BACKEND_LOST)
        return
    forget_transaction(frontend)
    frontend.send_failure(deadlock())
    frontend.start_waiting_commands()


def forget_transaction(frontend: Frontend) -> None:
    """It was rolled back with its backend: nobody has to see what it had written."""
    frontend.session.transaction_lost()
    if frontend.placement is not None:
        frontend.placement.is_dirty = False
