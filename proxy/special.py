"""Commands and statements that are not simply passed on: KILL, questions about residue, COM_CHANGE_USER, LOAD DATA LOCAL, what is refused.

Functions on a `Frontend`, off the common path.

References: MySQL documentation, "KILL Statement", "COM_CHANGE_USER", "COM_PROCESS_KILL".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.constants import ErrorCode
from protocol.errors import ProtocolError
from protocol.framing import FileReader, frame, payload_of
from proxy import beginning, binary, placing, resets, telling, withholding
from proxy.binary import COM_STMT_EXECUTE
from proxy.blame import BEGINS_SESSION
from proxy.classify import Statement
from proxy.clearing import wants_mark
from proxy.conditions import FOUND_ROWS, INSERT_ID, ROW_COUNT, probe_command
from proxy.credentials import Credential
from proxy.endings import flags_of_first
from proxy.executed import asks, with_text
from proxy.identity import Identity
from proxy.keeping import reads_kept
from proxy.pins import PinReason
from proxy.reasons import CloseReason
from proxy.replies import GONE, PREFIX, Failure, lost_before, not_movable, ok, unknown_command
from proxy.several import answer_first
from proxy.shared import FIRST_CONNECTION_ID, STATEMENT_POOLING
from proxy.statement import (
    ALTERS_SCHEMA,
    BEGINS,
    CHANGES_ACCOUNT,
    GETS_DIAGNOSTICS,
    MAY_RELEASE,
    MULTI,
    NEWS,
    OWN_ID,
    REDEFINES,
    RELEASES,
    SETS_GLOBAL,
)
from proxy.statement_errors import malformed
from proxy.states import (
    ABSORBING_KILL,
    AWAITING_KILL,
    CHANGING,
    HOLDING,
    KILLING,
    KILLING_HELD,
    PLACING,
    PROBING,
    READY,
    TIDYING,
    WAITING,
)
from proxy.tasks import spawn

if TYPE_CHECKING:
    from protocol.outcome import Outcome
    from proxy.backend import Backend
    from proxy.colleagues import Colleagues
    from proxy.endpoint import Endpoint
    from proxy.frontend import Frontend
    from proxy.session import SessionState
    from proxy.shared import Shared

COM_PROCESS_KILL: Final = 0x0C
COM_CHANGE_USER: Final = 0x11
COM_SET_OPTION: Final = 0x1B
COM_RESET_CONNECTION: Final = 0x1F
OF_SESSION: Final = frozenset({BEGINS_SESSION, COM_CHANGE_USER, COM_RESET_CONNECTION})
"""What is not for the server although it may need a lease: `run_of_session`."""
INTERRUPTED: Final = 1317
CONNECTION_KILLED: Final = 1927
NO_SUCH_THREAD: Final = 1094
NOT_OWNER: Final = 1095
DENIED: Final = frozenset({1044, 1045, 1064, 1142, 1227, 1290, 1410})
"""Errors of statements on several accounts that have done nothing: whoever likes could have all passwords forgotten with them. After others (1396, 1133) MariaDB has
dropped, created and changed those that it could."""
NOT_SUPPORTED: Final = 1235
UNKNOWN_ERROR: Final = 1105
_BETWEEN_STATEMENTS: Final = frozenset({HOLDING, PROBING, TIDYING, AWAITING_KILL, ABSORBING_KILL})


def start_special(frontend: Frontend, wire: bytes, statement: Statement) -> bool:
    """A statement whose classification asks for more than passing it on; True when it has been dealt with."""
    if statement.kill is not None:
        is_query, connection_id = statement.kill
        return start_kill(
            frontend, is_query, frontend.connection_id if connection_id == OWN_ID else connection_id
        )
    if statement.flags & BEGINS and frontend.shared.pool_mode == STATEMENT_POOLING:
        text = "Fanin: transactions are refused because pool.mode is statement; use pool.mode = transaction"
        frontend.send(Failure(NOT_SUPPORTED, text, "42000").wire(1))
        return True
    if frontend.command == COM_STMT_EXECUTE:
        return binary.answer_residue(frontend, wire)
    return _answer_residue(frontend, wire, statement)


def closes_connection(session: SessionState, flags: int) -> bool:
    """Whether the server has closed the connection after the OK of a statement with these flags."""
    if flags & MAY_RELEASE and not flags & MULTI:
        return session.completes_with_release()
    return bool(flags & RELEASES)


def refuse_lost(frontend: Frontend, statement: Statement) -> bool:
    """A statement that asks for what only a lost connection knew, LAST_INSERT_ID() for instance, must not get 0 for an answer: the
    client meets the loss as it would without a proxy."""
    if not frontend.session.reads_lost(statement):
        return False
    frontend.send_failure(lost_before("the connection that knew what this statement asks for has ended"))
    frontend.close(CloseReason.BACKEND_LOST)
    return True


def _answer_residue(frontend: Frontend, wire: bytes, statement: Statement) -> bool:
    """A question about the previous statement whose backend has gone to somebody else: what was captured answers it, or is
    written into the statement that asks."""
    session = frontend.session
    if statement.kept and reads_kept(session, statement):
        # commands of ours come first, and after them nothing is on the lease (`tidying.rewritten`)
        return False
    may_be_spoilt = session.insert_id and not (session.native & INSERT_ID or statement.reads_insert_id)
    if wants_mark(session, statement) or may_be_spoilt:
        # a command of ours will spoil it, or may (`unseen`), which is known here
        session.native &= ~ROW_COUNT
    if statement.flags & GETS_DIAGNOSTICS and statement.inner is None:
        return _get_diagnostics(frontend, wire, statement)
    answer = session.answer(
        statement,
        False,
        frontend.connection_id,
        frontend.client_deprecate_eof,
        frontend.shared.facts.is_mariadb,
    )
    if answer is not None:
        telling.send(frontend, answer)
        return True
    if statement.flags & MULTI:
        if frontend.backend is not None and session.spoils_diagnostics(statement):
            binary.capture_first(frontend, frontend.backend, wire)
            return True
        if answer_first(frontend, statement, payload_of(wire)[1:]):
            return True
    inner = session.executed(statement)
    if asks(statement, inner):
        return _answer_executed(frontend, wire, statement, inner)
    rewritten = session.rewritten(statement, wire)
    if rewritten is wire:
        return False
    frontend.execute(rewritten)
    return True


def _answer_executed(frontend: Frontend, wire: bytes, statement: Statement, inner: Statement) -> bool:
    """The same for what a text asks that this one executes."""
    session = frontend.session
    as_query = frame(b"\x03" + inner.text)
    if inner.flags & GETS_DIAGNOSTICS:
        written = session.get_diagnostics(inner, as_query)
        if not written:
            frontend.send(not_movable(GONE).wire(1) if written is None else session.invalid_condition())
            return True
    else:
        deprecate_eof = frontend.client_deprecate_eof
        answer = session.answer(inner, True, frontend.connection_id, deprecate_eof, is_mariadb=True)
        if answer is not None:
            telling.send(frontend, answer)
            return True
        written = session.rewritten(inner, as_query)
    if written is as_query:
        return False
    frontend.execute(with_text(wire, statement, inner, payload_of(written)[1:], session.lexing))
    return True


def _get_diagnostics(frontend: Frontend, wire: bytes, statement: Statement) -> bool:
    """About what is on no backend any more: a SET does the same."""
    written = frontend.session.get_diagnostics(statement, wire)
    if written is wire:
        return False
    if written is None:
        frontend.send(not_movable(GONE).wire(1))
    elif not written:
        frontend.send(frontend.session.invalid_condition())
    else:
        frontend.execute(written)
    return True


def start_rare(frontend: Frontend, wire: bytes) -> None:
    """The commands that few clients send."""
    if frontend.command == COM_PROCESS_KILL and len(wire) >= 9:
        connection_id = int.from_bytes(wire[5:9], "little")
        if not start_kill(frontend, False, connection_id):
            # a server's own id, or nobody's
            frontend.execute(wire)
    elif frontend.command in (COM_CHANGE_USER, COM_RESET_CONNECTION):
        if frontend.session.residue & FOUND_ROWS:
            # the servers leave it to the next session: it is read first
            frontend.execute(wire)
        else:
            _begin_anew(frontend, wire)
    elif frontend.command == COM_SET_OPTION and len(wire) >= 7:
        frontend.execute(wire)
    elif frontend.command == COM_SET_OPTION:
        binary.refuse(frontend, wire, malformed(frontend.shared.facts.is_mariadb))
    else:
        binary.refuse(frontend, wire, unknown_command())


def run_of_session(frontend: Frontend, backend: Backend) -> None:
    """A command of OF_SESSION has the lease that it wanted."""
    if frontend.command == BEGINS_SESSION:
        beginning.run(frontend, backend)
    elif frontend.session.residue & FOUND_ROWS:
        # for what else it has left nobody can ask any more
        frontend.session.residue = FOUND_ROWS
        frontend.captures_first(backend)
    else:
        _begin_anew(frontend, frontend.wire)


def _begin_anew(frontend: Frontend, wire: bytes) -> None:
    if frontend.command == COM_RESET_CONNECTION:
        resets.start_reset(frontend)
        return
    from proxy.login import ChangeUser

    _leave_session(frontend)
    change = ChangeUser(frontend)
    frontend.login = change
    change.start(payload_of(wire))


def _leave_session(frontend: Frontend) -> None:
    """COM_CHANGE_USER: the old session is over, whatever it held."""
    frontend.unpark()
    if frontend.placement is not None:
        frontend.placement.begin_anew()
    frontend.state = CHANGING
    if frontend.backend is not None:
        frontend.abandon(frontend.backend, HOLDING)


def start_kill(frontend: Frontend, is_query: bool, connection_id: int) -> bool:
    """KILL of one of our own ids; False for any other, which is the server's business."""
    if connection_id < FIRST_CONNECTION_ID:
        return False
    shared = frontend.shared
    target = shared.frontends.get(connection_id)
    if target is None and shared.colleagues is not None and shared.is_colleagues(connection_id):
        frontend.state = KILLING if frontend.backend is None else KILLING_HELD
        spawn(_kill_colleagues(frontend, shared.colleagues, is_query, connection_id), name="KILL")
        return True
    if target is None:
        _refuse(frontend, no_such_thread(connection_id))
        return True
    if target is frontend:
        _kill_self(frontend, is_query)
        return True
    is_own = target.identity.credential.user == frontend.identity.credential.user
    if not is_own and target.backend is None:
        _refuse(frontend, _not_owner(connection_id))
        return True
    stop = _stop if is_own else _stop_if_allowed
    killing = stop(frontend.identity, target, is_query)
    if killing is None:
        telling.send(frontend, ok(frontend.session.status))
    else:
        frontend.state = KILLING if frontend.backend is None else KILLING_HELD
        spawn(_kill_query(frontend, killing), name="KILL")
    return True


class _Killing(NamedTuple):
    """A KILL that has to be sent to the server. What it is aimed at is settled beforehand, and that nobody else has the backend until the answer is here: when
    the task begins the statement may be over."""

    identity: Identity  # whose side connection it is sent on
    target: Frontend
    backend: Backend
    endpoint: Endpoint
    is_query: bool


def _stop(identity: Identity, target: Frontend, is_query: bool) -> _Killing | None:
    """KILL by somebody who may. What is left to do, on a side connection of that identity; None when this was all."""
    if not is_query:
        # what it runs is killed on the server as for any client that leaves
        target.close(CloseReason.KILLED)
    elif target.state == WAITING:
        target.stop_waiting(_interrupted())
    elif target.state == PLACING:
        placing.interrupt(target, _interrupted())
    elif target.backend is not None and target.state not in _BETWEEN_STATEMENTS:
        return _stop_if_allowed(identity, target, is_query=True)
    return None


def _stop_if_allowed(identity: Identity, target: Frontend, is_query: bool) -> _Killing:
    """KILL of a client that has a backend; the server decides about the privilege, on the connection id that it knows."""
    assert target.backend is not None and target.endpoint is not None
    target.backend.kills += 1
    return _Killing(identity, target, target.backend, target.endpoint, is_query)


async def _kill_running(killing: _Killing) -> Failure | None:
    identity, target, backend, endpoint, is_query = killing
    failure: Failure | None = None
    try:
        failure = await endpoint.kill(identity.credential, identity, backend.server_id, is_query)
        if failure is None and not is_query:
            target.close(CloseReason.KILLED)
        return failure
    finally:
        backend.kills -= 1
        if not backend.kills and target.backend is backend:
            _kill_was_sent(target, backend)


async def _kill_query(frontend: Frontend, killing: _Killing) -> None:
    """KILL QUERY on a side connection; the answer comes when the server has given its own."""
    failure: Failure | None = Failure(UNKNOWN_ERROR, "Fanin: internal error during KILL")
    try:
        failure = await _kill_running(killing)
    finally:
        _kill_answered(frontend, failure)


async def _kill_colleagues(
    frontend: Frontend, colleagues: Colleagues, is_query: bool, connection_id: int
) -> None:
    """KILL of another worker's client."""
    failure: Failure | None = Failure(UNKNOWN_ERROR, "Fanin: internal error during KILL")
    try:
        failure = await colleagues.kill(connection_id, frontend.identity.credential, is_query)
    finally:
        _kill_answered(frontend, failure)


async def kill_for_colleague(
    shared: Shared, connection_id: int, credential: Credential, is_query: bool
) -> Failure | None:
    """KILL of one of our clients by another worker's client with this credential. What was wrong, or None."""
    target = shared.frontends.get(connection_id)
    if target is None:
        return no_such_thread(connection_id)
    killing: _Killing | None
    if target.identity.credential.user == credential.user:
        killing = _stop(target.identity, target, is_query)
    elif target.backend is None:
        return _not_owner(connection_id)
    else:
        identity = Identity(credential, 0, target.identity.collation, shared.keys, None)
        killing = _stop_if_allowed(identity, target, is_query)
    return None if killing is None else await _kill_running(killing)


def _kill_answered(frontend: Frontend, failure: Failure | None) -> None:
    if frontend.state in (KILLING, KILLING_HELD):
        frontend.state = READY if frontend.state == KILLING else HOLDING
        if failure is None:
            telling.send(frontend, ok(frontend.session.status))
        else:
            _refuse(frontend, failure)
        frontend.start_waiting_commands()


def _kill_was_sent(target: Frontend, backend: Backend) -> None:
    """The last KILL QUERY that was under way has arrived. If the target's statement was over by then, the backend may carry it to its next
    user: close it. Not if it has residue, which must not get lost for that: a command of ours that changes nothing is next there."""
    if target.state != AWAITING_KILL:
        return
    if target.session.residue:
        target.state = ABSORBING_KILL
        backend.run(target, [probe_command(target.session.vector.multi_statements)])
        return
    target.discard(CloseReason.KILLED)
    target.start_waiting_commands()


def kill_absorbed(frontend: Frontend, is_failed: bool) -> None:
    """That command was answered."""
    frontend.session.native &= ~ROW_COUNT
    if is_failed:
        frontend.discard(CloseReason.KILLED)
        frontend.start_waiting_commands()
    else:
        frontend.settle(frontend.session.verdict())


def _refuse(frontend: Frontend, failure: Failure) -> None:
    frontend.session.refused(failure.code, failure.message)
    frontend.send(failure.wire(1))


def _kill_self(frontend: Frontend, is_query: bool) -> None:
    if is_query or not frontend.shared.facts.is_mariadb:
        _refuse(frontend, _interrupted())
    else:
        _refuse(frontend, Failure(CONNECTION_KILLED, "Connection was killed", "70100"))
    if not is_query:
        frontend.close(CloseReason.KILLED)


def _interrupted() -> Failure:
    return Failure(INTERRUPTED, "Query execution was interrupted")


def no_such_thread(connection_id: int) -> Failure:
    """Nobody has this id."""
    return Failure(NO_SUCH_THREAD, f"Unknown thread id: {connection_id}")


def no_answer(connection_id: int) -> Failure:
    """1105: the worker that has this client hangs."""
    return Failure(
        ErrorCode.UNKNOWN_ERROR, f"{PREFIX}the worker that has thread {connection_id} does not answer"
    )


def _not_owner(connection_id: int) -> Failure:
    return Failure(NOT_OWNER, f"You are not owner of thread {connection_id}")


def relay_file(frontend: Frontend, chunk: bytes) -> None:
    """LOAD DATA LOCAL: the client's packets go to the server until the empty one ("LOCAL INFILE Request")."""
    backend = frontend.backend
    assert backend is not None
    tracker = backend.tracker
    if frontend.file is None:
        frontend.file = FileReader(tracker.client_sequence_id, tracker.sequence_id)
    file = frontend.file
    try:
        out = file.feed(chunk)
    except ProtocolError as error:
        frontend.bad_input(error)
        return
    if out:
        backend.transport.write(out)
    if file.is_complete:
        frontend.file = None
        tracker.infile_sent(file.server_sequence_id)
        if file.rest:
            frontend.go_on(file.rest)


def aftermath(frontend: Frontend, outcome: Outcome) -> None:
    """What a statement means beyond its session."""
    flags, shared = frontend.statement.flags, frontend.shared
    if outcome.is_error:
        flags = _done_before(frontend, flags, outcome)
    if flags & NEWS:
        if flags & ALTERS_SCHEMA:
            resets.schema_altered(frontend)
        heard(shared, flags)
        if shared.colleagues is not None:
            withholding.tell(frontend, shared.colleagues, flags & NEWS)
    elif outcome.is_error:
        withholding.fail(frontend)
    if closes_connection(frontend.session, flags):
        # the server has closed the connection after its OK, so the client's is over, too ("COMMIT .. RELEASE")
        frontend.discard(CloseReason.DIRTY)
        frontend.close(CloseReason.CLIENT_QUIT)


def _done_before(frontend: Frontend, flags: int, outcome: Outcome) -> int:
    """What a text has done that has failed, for others: by statements before the one that failed, or to some of the accounts that it names."""
    if PinReason.UNKNOWN_STATEMENT in frontend.statement.pins:
        # a block: it has one result, or none, of all that is in it
        done = flags & NEWS
    elif flags & MULTI and outcome.results:
        done = flags_of_first(_text_of(frontend), outcome.results, frontend.session.lexing) & NEWS
    else:
        done = 0
    if outcome.error_code in DENIED or b"," not in _text_of(frontend):
        return done
    return done | flags & CHANGES_ACCOUNT


def _text_of(frontend: Frontend) -> bytes:
    """Of the statement that has run."""
    return payload_of(frontend.wire)[1:] if frontend.executing is None else frontend.executing.own.text


def heard(shared: Shared, news: int) -> None:
    """A statement with these flags has run, of whichever worker's client."""
    if news & CHANGES_ACCOUNT:
        shared.credentials.forget_all()
    if news & SETS_GLOBAL:
        shared.forget_baseline()
    if news & REDEFINES:
        shared.surveys.clear()
    if news & ALTERS_SCHEMA:
        for endpoint in shared.endpoints():
            endpoint.retire_all()
