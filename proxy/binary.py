"""The binary protocol's commands (COM_STMT_*) on shared backends: functions on a `Frontend`.

COM_STMT_PREPARE runs on any backend, and its answer gets the session's own id. COM_STMT_EXECUTE runs on any backend, too: one that
does not know the statement prepares it first, in the state in which the client prepared it. What the statement does to the session
is in its text, classified when it was prepared and applied when it is executed. An open cursor holds the lease.

References: MySQL documentation, "Prepared Statements", "COM_STMT_FETCH", "COM_STMT_RESET".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.commands import stmt_prepare, stmt_reset
from protocol.framing import frame, payload_of
from proxy.backend import Backend
from proxy.classify import NOTHING, classify
from proxy.endpoint import COM_QUERY
from proxy.lessee import PREPARING, PREPARING_STATEMENT
from proxy.pins import PinReason
from proxy.prepared import OnBackend, Prepared, SessionStatements, binary_answer, execution, renamed
from proxy.replies import SCHEMA_CODES, Failure, ok, refused_by_server
from proxy.residue import ROW_COUNT
from proxy.statement import KEEPS_DIAGNOSTICS, USES_NO_TABLE, Statement
from proxy.vector import Vector, restore_commands

if TYPE_CHECKING:
    from proxy.frontend import Frontend

COM_STMT_PREPARE: Final = 0x16
COM_STMT_EXECUTE: Final = 0x17
COM_STMT_SEND_LONG_DATA: Final = 0x18
COM_STMT_CLOSE: Final = 0x19
COM_STMT_RESET: Final = 0x1A
COM_STMT_FETCH: Final = 0x1C
STATEMENT_COMMANDS: Final = frozenset({0x16, 0x17, 0x18, 0x19, 0x1A, 0x1C})
UNKNOWN_STATEMENT: Final = 1243
MALFORMED: Final = 1835
MOST_STATEMENTS: Final = 16382
"""Statements of one session: MySQL's default for a whole server (max_prepared_stmt_count)."""
TOO_MANY_STATEMENTS: Final = 1461
UNKNOWN_ERROR: Final = 1105
NO_CURSOR: Final = 1421
OVERLONG: Final = "Parameter of prepared statement which is set through mysql_send_long_data() is longer than 'max_allowed_packet' bytes"
CURSOR_FLAGS_AT: Final = 9
"""Where COM_STMT_EXECUTE, in wire form, says whether it wants a cursor."""
COMMAND_NAMES: Final = {
    COM_STMT_EXECUTE: "mysqld_stmt_execute",
    COM_STMT_RESET: "mysqld_stmt_reset",
    COM_STMT_FETCH: "mysqld_stmt_fetch",
}


# MariaDB leaves the warnings of the statement before when it prepares one like that
_KEEPING: Final = Statement(KEEPS_DIAGNOSTICS | USES_NO_TABLE)


def start_statement_command(frontend: Frontend, wire: bytes) -> None:
    """Begin one COM_STMT_* command of the client."""
    command = frontend.command
    frontend.statement = NOTHING
    frontend.executing = None
    if command == COM_STMT_PREPARE:
        _start_prepare(frontend, wire)
        return
    prepared = _find(frontend, wire)
    if prepared is None:
        if command in COMMAND_NAMES:
            shown = int.from_bytes(wire[5:9], "little")
            text = f"Unknown prepared statement handler ({shown}) given to {COMMAND_NAMES[command]}"
            frontend.send(Failure(UNKNOWN_STATEMENT, text).wire(1))
    elif command == COM_STMT_EXECUTE:
        _start_execute(frontend, wire, prepared)
    elif command == COM_STMT_SEND_LONG_DATA:
        _add_long_data(frontend, wire, prepared)
    elif command == COM_STMT_CLOSE:
        _close(frontend, prepared)
    elif command == COM_STMT_RESET:
        _reset(frontend, prepared)
    else:
        _fetch(frontend, wire, prepared)


def _find(frontend: Frontend, wire: bytes) -> Prepared | None:
    statements = frontend.statements
    if statements is None or len(wire) < 9:
        return None
    return statements.find(int.from_bytes(wire[5:9], "little"))


# Preparing


def _start_prepare(frontend: Frontend, wire: bytes) -> None:
    if frontend.statements is None:
        frontend.statements = SessionStatements()
    elif len(frontend.statements) >= MOST_STATEMENTS:
        text = f"Can't create more than max_prepared_stmt_count statements (current value: {MOST_STATEMENTS})"
        frontend.send(Failure(TOO_MANY_STATEMENTS, text, "42000").wire(1))
        return
    frontend.held_answer = []
    frontend.execute(wire)


def _prepare_answered(frontend: Frontend, backend: Backend) -> None:
    """The answer to the client's own COM_STMT_PREPARE is complete: it gets the session's id and goes out."""
    answer = b"".join(frontend.held_answer)
    frontend.held_answer = []
    tracker = backend.tracker
    if not tracker.is_error:
        text = payload_of(frontend.wire)[1:]
        statements = frontend.statements
        assert statements is not None
        key = statements.key(frontend.session.vector, text)
        statement = classify(text, frontend.session.lexing)
        prepared = statements.add(key, statement, tracker.num_params)
        backend.statements.add(key, tracker.statement_id)
        if statement.flags & (USES_NO_TABLE | KEEPS_DIAGNOSTICS) and frontend.shared.facts.is_mariadb:
            frontend.statement = _KEEPING
        # "COM_STMT_PREPARE OK": header, [00], int<4> statement_id
        answer = answer[:5] + prepared.virtual_id.to_bytes(4, "little") + answer[9:]
    frontend.send(answer)


# Executing


def _start_execute(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    if len(wire) < 14:
        frontend.send(Failure(MALFORMED, "Malformed communication packet").wire(1))
        return
    if prepared.is_overlong:
        prepared.drop_long_data()
        frontend.send(Failure(UNKNOWN_ERROR, OVERLONG).wire(1))
        return
    frontend.shared.counters.queries += 1
    frontend.statement = prepared.statement
    frontend.executing = prepared
    prepared.executes_text(prepared.own_key[1])
    if frontend.session.lost and frontend.refuse_lost(prepared.statement):
        return
    if not (prepared.statement.is_special and frontend.start_special(wire, prepared.statement)):
        frontend.execute(wire)


def answer_residue(frontend: Frontend, wire: bytes) -> bool:
    """The execution of a question about the statement before, whose backend has gone to somebody else: as for COM_QUERY it is answered
    from what is known, or what is known is written into the text. True when it was answered."""
    prepared, session = frontend.executing, frontend.session
    assert prepared is not None
    statement, text = prepared.statement, prepared.own_key[1]
    backend = frontend.backend or frontend.parked
    if backend is not None and backend.statements.use(prepared.own_key) is None:
        # preparing it there would spoil the count, which is known here
        session.native &= ~ROW_COUNT
    as_query = frame(COM_QUERY + text)
    if wire[CURSOR_FLAGS_AT] == 0:
        deprecate_eof = frontend.client_deprecate_eof
        is_mariadb = frontend.shared.facts.is_mariadb
        answer = session.answer(statement, as_query, frontend.connection_id, deprecate_eof, is_mariadb)
        if answer is not None:
            frontend.send(binary_answer(answer, deprecate_eof))
            return True
    prepared.executes_text(payload_of(session.rewritten(statement, as_query))[1:])
    return False


def run_execution(frontend: Frontend, backend: Backend, prepared: Prepared) -> bytes:
    """The command as `backend` must get it; b"" when the statement is being prepared there first."""
    on_backend = backend.statements.use(prepared.key)
    if on_backend is not None:
        return backend.statements.take_closes() + execution(frontend.wire, prepared, on_backend)
    assert backend.vector is not None
    commands = restore_commands(backend.vector, _vector_for(prepared, backend))
    assert commands is not None, "a schema need not be unset"
    commands.append(stmt_prepare(prepared.key[1]))
    frontend.state = PREPARING_STATEMENT
    backend.run(frontend, commands)
    return b""


def _vector_for(prepared: Prepared, backend: Backend) -> Vector:
    """The state in which a backend has to be to prepare a statement: that of its session at that time. What was prepared without a default
    schema means the same in any, and a schema cannot be unset."""
    vector = prepared.key[0]
    if vector.schema is None and backend.vector is not None:
        return vector.with_schema(backend.vector.schema)
    return vector


def prepared_here(frontend: Frontend, backend: Backend, is_failed: bool) -> None:
    """The statement is prepared on the backend; now the session's own state again, then the execution. If it is refused, and nothing was
    changed for it (COM_INIT_DB comes first), the session goes on as after any error."""
    prepared = frontend.executing
    assert prepared is not None
    tracker = backend.tracker
    if not is_failed:
        backend.statements.add(prepared.key, tracker.statement_id)
        backend.vector = _vector_for(prepared, backend)
        frontend.state = PREPARING
        frontend.prepare(backend)
        return
    failure = refused_by_server(tracker)
    is_schema_refused = bool(backend.queue) and tracker.error_code in SCHEMA_CODES
    if backend.vector is _vector_for(prepared, backend) or is_schema_refused:
        frontend.send_failure(failure)
        frontend.settle(frontend.session.completed(NOTHING, tracker))
    else:
        frontend.failed_to_prepare(failure)


def answered(frontend: Frontend, backend: Backend) -> None:
    """A command on a statement is over: an open cursor holds the lease; what the server has lost is forgotten."""
    tracker = backend.tracker
    command, prepared = frontend.command, frontend.executing
    if command == COM_STMT_PREPARE:
        _prepare_answered(frontend, backend)
    elif prepared is None:
        return
    elif tracker.is_error and tracker.error_code == UNKNOWN_STATEMENT:
        backend.statements.clear()
    elif tracker.cursor_open and command != COM_STMT_RESET:
        frontend.cursors[prepared] = None
        frontend.session.pin(PinReason.CURSOR)
    elif prepared in frontend.cursors:
        _cursor_ended(frontend, prepared)


# The other commands


def _add_long_data(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    """No answer to this one, ever ("COM_STMT_SEND_LONG_DATA")."""
    payload = payload_of(wire)
    if len(payload) >= 7:
        prepared.add_long_data(payload, frontend.shared.max_packet)


def _close(frontend: Frontend, prepared: Prepared) -> None:
    """No answer, either ("COM_STMT_CLOSE"). Backends keep the statement for others, unless a cursor is open on it."""
    statements = frontend.statements
    assert statements is not None
    statements.close(prepared.virtual_id)
    if prepared in frontend.cursors:
        backend = frontend.backend
        if backend is not None:
            backend.statements.drop(prepared.key)
            backend.transport.write(backend.statements.take_closes())
        _cursor_ended(frontend, prepared)
        frontend.reconsider_lease()


def _reset(frontend: Frontend, prepared: Prepared) -> None:
    prepared.drop_long_data()
    on_backend = _with_cursor(frontend, prepared)
    if on_backend is None:
        frontend.send(ok(frontend.session.status))
    else:
        frontend.executing = prepared
        frontend.execute(frame(stmt_reset(on_backend.real_id)))


def _fetch(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    on_backend = _with_cursor(frontend, prepared)
    if on_backend is None:
        text = f"The statement ({prepared.virtual_id}) has no open cursor."
        frontend.send(Failure(NO_CURSOR, text, "HY000").wire(1))
    else:
        frontend.executing = prepared
        frontend.execute(renamed(wire, on_backend.real_id))


def _with_cursor(frontend: Frontend, prepared: Prepared) -> OnBackend | None:
    """The statement on the lease, if its cursor is open."""
    if prepared not in frontend.cursors or frontend.backend is None:
        return None
    return frontend.backend.statements.use(prepared.key)


def _cursor_ended(frontend: Frontend, prepared: Prepared) -> None:
    frontend.cursors.pop(prepared, None)
    if not frontend.cursors:
        frontend.session.lift(PinReason.CURSOR)
