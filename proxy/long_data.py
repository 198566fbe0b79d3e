"""COM_STMT_SEND_LONG_DATA on shared backends: functions on a `Frontend`.

It has no answer, and what it brings matters to the next execution only. So it is kept here, up to `KEPT_LONG_DATA` bytes, and sent just
before that. With more the session gets a backend, prepares the statement there for itself alone and sends on whatever comes: it is
pinned until the execution, COM_STMT_RESET or COM_STMT_CLOSE. The limit (max_allowed_packet for each parameter) is the server's affair
then. Whatever goes wrong on the way is the answer to the execution.

References: MySQL documentation, "COM_STMT_SEND_LONG_DATA".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import payload_of
from proxy.backend import Backend
from proxy.pins import PinReason
from proxy.prepared import LongData, Prepared, renamed, shown_id
from proxy.replies import Failure
from proxy.sources import LONG
from proxy.statement_errors import MALFORMED, WRONG_ARGUMENTS, wrong_parameter

if TYPE_CHECKING:
    from proxy.frontend import Frontend

_COM_STMT_EXECUTE: Final = b"\x17"
LONG_DATA_HEADER: Final = 7
UNKNOWN_ERROR: Final = 1105
# errors after which the server still has the long data, or what is wrong with it
_KEPT_BY_SERVER: Final = frozenset({MALFORMED, WRONG_ARGUMENTS, UNKNOWN_ERROR})


def add(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    """One command of the client, without an answer whatever happens."""
    payload = payload_of(wire)
    if len(payload) < LONG_DATA_HEADER:
        return
    long_data = prepared.long_data
    if long_data is None:
        long_data = prepared.long_data = LongData()
    if long_data.failure is not None:
        return
    if int.from_bytes(payload[5:7], "little") >= prepared.own.num_params:
        long_data.fail(wrong_parameter(frontend.shared.facts.is_mariadb))
    elif long_data.is_streaming:
        _send_on(frontend, wire, prepared)
    elif not long_data.keep(payload):
        _start_streaming(frontend, wire, prepared)


def _send_on(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    backend = frontend.backend
    assert backend is not None
    on_backend = backend.statements.use(prepared.source)
    if on_backend is not None:
        backend.transport.write(renamed(wire, on_backend.real_id))


def _start_streaming(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    statements = frontend.statements
    assert statements is not None
    number = statements.free_number(prepared)
    prepared.becomes(frontend.shared.sources, prepared.own.text, number, LONG)
    frontend.executing = prepared
    frontend.execute(wire)


def started(frontend: Frontend, prepared: Prepared) -> None:
    """What was kept is on the lease, and the command that did not fit as well."""
    long_data = prepared.long_data
    assert long_data is not None
    long_data.payloads = []
    long_data.is_streaming = True
    frontend.session.pin(PinReason.LONG_DATA, _name(frontend, prepared))


def executed(frontend: Frontend, backend: Backend, prepared: Prepared) -> None:
    """The execution was answered: the long data is used up, unless it was refused before the server looked at it."""
    tracker, long_data = backend.tracker, prepared.long_data
    assert long_data is not None
    is_kept = tracker.is_error and tracker.error_code in _KEPT_BY_SERVER
    if is_kept and long_data.is_streaming:
        return
    if is_kept or (long_data.is_streaming and not tracker.cursor_open):
        # nobody else may execute a statement that the server has long data for
        backend.statements.drop(prepared.source)
    if not (is_kept and tracker.error_code == MALFORMED):
        _forget(frontend, prepared)


def use_up(frontend: Frontend, wire: bytes) -> None:
    """An error of ours is the answer to this: an execution has had its long data then, as on a server. The client sends it again."""
    statements = frontend.statements
    if statements is None or wire[4:5] != _COM_STMT_EXECUTE:
        return
    prepared = statements.find(shown_id(wire), frontend.shared.facts.is_mariadb)
    if prepared is not None and not prepared.is_streaming:
        prepared.long_data = None


def end(frontend: Frontend, prepared: Prepared) -> None:
    """COM_STMT_RESET or COM_STMT_CLOSE, which have been dealt with: the long data is gone, and what held the lease for it."""
    if prepared.is_streaming:
        drop_now(frontend, prepared)
        _forget(frontend, prepared)
        prepared.rests(frontend.shared.sources, not frontend.shared.facts.is_mariadb)
        frontend.reconsider_lease()
    prepared.long_data = None


def _name(frontend: Frontend, prepared: Prepared) -> bytes:
    """What the pin is known by: the client's id of the statement."""
    statements = frontend.statements
    assert statements is not None
    return b"%d" % statements.id_of(prepared)


def _forget(frontend: Frontend, prepared: Prepared) -> None:
    if prepared.is_streaming:
        frontend.session.lift(PinReason.LONG_DATA, _name(frontend, prepared))
    prepared.long_data = None


def drop_now(frontend: Frontend, prepared: Prepared) -> None:
    """Close a statement with a number of its own on the lease."""
    backend = frontend.backend
    if backend is not None:
        backend.statements.drop(prepared.source)
        backend.transport.write(backend.statements.take_closes())


def failure_of(prepared: Prepared, long_data: LongData) -> Failure:
    """What the execution is answered with because of long data that went wrong. A parameter that does not exist stays wrong until
    COM_STMT_RESET, as on a server; any other trouble was ours, and is told once."""
    failure = long_data.failure
    assert failure is not None
    if failure.code != WRONG_ARGUMENTS:
        prepared.long_data = None
    return failure


def keep_failure(frontend: Frontend, failure: Failure) -> None:
    """No backend could be had for the long data: the execution will say so."""
    prepared = frontend.executing
    if prepared is not None and prepared.long_data is not None:
        prepared.long_data.fail(failure)
