"""A read that waits, on a reader, for what its session has written: functions on a `Lessee`.

Where servers have GTIDs, a session's transactions are told with the answers that commit them, and a replica can be asked to wait for them. So a read
need not go to the writer because the monitor has not looked again yet: when no reader is known to be safe, one that is near enough gets the question
before the command (`Gtids.wait_command`), for `routing.gtid_wait` at most. Never where it is known that the reader has them.

The lease has begun, but nothing of the session is on the backend: the question destroys nothing, and the backend is prepared after it. Where the
session has parked something on that reader it does not wait there. When the answer is no, the backend goes back as it came and the command is placed
anew. Half of a reader's backends at most may be leased for somebody to wait there: those who wait must not keep out those who need not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.backend import Backend
from proxy.fences import Fence
from proxy.placement import Placement
from proxy.reasons import CloseReason
from proxy.replies import refused_by_server
from proxy.results import text_rows
from proxy.states import CATCHING_UP, READY

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.lessee import Lessee
    from proxy.placing import Placing

COM_STMT_PREPARE: Final = 0x16
_HAS_THEM: Final = b"0"
_LATE: Final = b"1"
_LATE_ON_MARIADB: Final = b"-1"
_KILLED: Final = 1317
_INTERRUPTIONS: Final = (_KILLED, 1969, 3024)
"""KILL QUERY, max_statement_time, max_execution_time."""


def chosen(
    lessee: Lessee, placing: Placing, placement: Placement, now: float, fence: Fence
) -> Endpoint | None:
    """Where the read that is being placed may wait; None: nowhere."""
    table, wait = placing.table, placing.rules.gtid_wait
    if placement.is_late:
        placement.is_late = False
        return None
    if wait <= 0 or lessee.command == COM_STMT_PREPARE:
        return None
    if placement.view.gtids is None and fence.gtids is None:
        return None
    max_lag = placement.record.facts.hints.max_lag
    reader = table.choose_to_wait(placement.view, now, placing.random, max_lag, fence)
    endpoint = None if reader is None else placing.endpoints.get(reader.name)
    if reader is None or endpoint is None or 2 * endpoint.core.leased_count >= endpoint.core.max_size:
        return None
    if endpoint is lessee.parked_endpoint and lessee.session.residue:
        return None
    placement.leads_to(reader)
    placement.awaited = table.awaited(reader, placement.view, fence)
    placement.until = 0.0
    return endpoint


def asks(lessee: Lessee, placement: Placement) -> bool:
    """The lease has begun: the reader waits now, if this is the one. True: the command waits for that."""
    placing, backend, endpoint, reader = (
        lessee.shared.placing,
        lessee.backend,
        lessee.endpoint,
        placement.reader,
    )
    awaited = placement.awaited
    if (
        placing is None
        or backend is None
        or endpoint is None
        or reader is None
        or awaited is None
        or endpoint is not placing.endpoints.get(reader.name)
        or lessee.is_held()
    ):
        placement.awaited = None
        return False
    lessee.state = CATCHING_UP
    wait = placing.rules.gtid_wait
    backend.run(lessee, [awaited.wait_command(max(wait, 0.001))], keeps_answers=True, repeats=False)
    return True


def answered(lessee: Lessee, backend: Backend, is_failed: bool) -> None:
    """The reader has them, or has waited in vain."""
    placing, placement = lessee.shared.placing, lessee.placement
    assert placing is not None and placement is not None
    reader, awaited = placement.reader, placement.awaited
    assert reader is not None and awaited is not None
    answer = b"" if is_failed else _only_value(backend.answers or [])
    backend.answers = None
    placement.awaited = None
    if answer == _HAS_THEM:
        placing.caught_up += 1
        reader.caught_up(awaited, placement.epoch)
        lessee.prepare(backend)
        return
    placing.missed += 1
    is_only_late = answer in (_LATE, _LATE_ON_MARIADB)
    is_interrupted = is_failed and backend.tracker.error_code in _INTERRUPTIONS
    reader.is_late(placing.clock(), is_only_late or is_interrupted)
    placement.is_late = True
    failure = refused_by_server(backend.tracker) if is_failed else None
    _give_up(lessee, backend, is_failed)
    if failure is not None and failure.code == _KILLED:
        # it was meant for the client's command
        placement.is_late = False
        lessee.send_failure(failure)
    else:
        lessee.acquire()
    lessee.start_waiting_commands()


def _only_value(answers: list[bytes]) -> bytes:
    rows = text_rows(answers[0]) if answers else []
    # in whatever character set the session before has left
    return (rows[0][0] or b"").replace(b"\0", b"") if rows else b""


def _give_up(lessee: Lessee, backend: Backend, is_failed: bool) -> None:
    endpoint, vector = lessee.endpoint, backend.vector
    assert endpoint is not None and vector is not None
    lessee.backend = lessee.endpoint = None
    lessee.state = READY
    key = lessee.identity.key_for(vector.schema)
    if backend.kills:
        endpoint.discard(backend, CloseReason.KILLED)
    elif is_failed:
        # the error is still there
        endpoint.release_dirty(backend, key)
    else:
        endpoint.release(backend, key)
