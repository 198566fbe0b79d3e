"""The binary protocol's commands (COM_STMT_*) on shared backends: functions on a `Frontend`.

COM_STMT_PREPARE runs on any backend, and its answer gets the session's own id. COM_STMT_EXECUTE runs on any backend, too: one that
does not know the statement prepares it first, in the state in which the client prepared it. What the statement does to the session
is in its text, classified when it was prepared and applied when it is executed. An open cursor holds the lease. COM_STMT_SEND_LONG_DATA
is `proxy.long_data`, and what a server says of a statement that it has lost is `proxy.repreparing`.

References: MySQL documentation, "Prepared Statements", "COM_STMT_FETCH", "COM_STMT_RESET".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.commands import ping, stmt_prepare, stmt_reset
from protocol.framing import answer_id, frame, payload_of
from protocol.response import ResponseTracker
from proxy import long_data, placing, replaying, repreparing, telling
from proxy.answers import counting
from proxy.backend import Backend
from proxy.classify import NOTHING
from proxy.clearing import wants_mark
from proxy.conditions import ADDING, COUNTING_ANEW, ROW_COUNT
from proxy.endpoint import COM_QUERY
from proxy.found_rows import has_null_condition
from proxy.keeping import WARNINGS
from proxy.pins import PinReason
from proxy.prepared import (
    FLAGS_AT,
    WANTS_CURSOR,
    OnBackend,
    Prepared,
    SessionStatements,
    binary_answer,
    execution,
    forget_types,
    kept_long_data,
    renamed,
    sent_nulls,
    sent_types,
    shown_id,
)
from proxy.replies import GONE, SCHEMA_CODES, Failure, not_movable, ok, refused_by_server
from proxy.sources import LONG, Source, is_any_text
from proxy.statement import (
    GETS_DIAGNOSTICS,
    NAMES_USER_VARIABLES,
    ORDINARY,
    UPDATES,
    USES_TABLE,
    WANTS_FOUND_ROWS,
    Statement,
)
from proxy.statement_errors import (
    MALFORMED,
    WRONG_ARGUMENTS,
    is_cut_off,
    malformed,
    no_cursor,
    too_many_statements,
    unknown_statement,
)
from proxy.states import CAPTURING, PREPARING, PREPARING_STATEMENT, UNSTARTED
from proxy.vector import OF_TRANSACTIONS, Vector, restore_commands

if TYPE_CHECKING:
    from proxy.frontend import Frontend

COM_STMT_PREPARE: Final = 0x16
COM_STMT_EXECUTE: Final = 0x17
COM_STMT_SEND_LONG_DATA: Final = 0x18
COM_STMT_CLOSE: Final = 0x19
COM_STMT_RESET: Final = 0x1A
COM_STMT_FETCH: Final = 0x1C
STATEMENT_COMMANDS: Final = frozenset({0x16, 0x17, 0x18, 0x19, 0x1A, 0x1C})
EXECUTING: Final = frozenset({COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA})
"""Run on the statement as the backend knows it, which may have to be prepared there first."""
COUNTING: Final = frozenset({0x02, 0x0D, 0x0E, 0x1B})
"""INIT_DB, DEBUG, PING, SET_OPTION: on MySQL their answers repeat the count of warnings of the statement before."""

HELD_BACK: Final = COUNTING | {COM_STMT_PREPARE, COM_STMT_EXECUTE}
"""`holds_back` looks at their answers."""
AGAIN: Final = -1
"""In place of a verdict: the command is not over, it runs again."""
_WITHOUT_PARAMETERS: Final = 14
"""Bytes of a COM_STMT_EXECUTE that has nothing behind the number of iterations."""
_UNANSWERED: Final = frozenset({COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE})


def start_statement_command(frontend: Frontend, wire: bytes) -> None:
    """Begin one COM_STMT_* command of the client."""
    command = frontend.command
    frontend.statement = NOTHING
    frontend.executing = None
    frontend.is_repeated = False
    if frontend.held_answer:
        frontend.held_answer = []
    if command == COM_STMT_PREPARE:
        _start_prepare(frontend, wire)
        return
    is_mariadb = frontend.shared.facts.is_mariadb
    if is_cut_off(command, len(wire) - 4, is_mariadb):
        refuse(frontend, wire, malformed(is_mariadb))
        return
    shown = shown_id(wire)
    statements = frontend.statements
    prepared = None if statements is None else statements.find(shown, is_mariadb)
    if prepared is None:
        if command not in _UNANSWERED:
            refuse(frontend, wire, unknown_statement(shown, command, is_mariadb))
    elif command == COM_STMT_EXECUTE:
        _start_execute(frontend, wire, prepared)
    elif command == COM_STMT_SEND_LONG_DATA:
        long_data.add(frontend, wire, prepared)
    elif command == COM_STMT_CLOSE:
        _close(frontend, prepared, shown)
    elif command == COM_STMT_RESET:
        _reset(frontend, prepared)
    else:
        _fetch(frontend, wire, prepared)


def refuse(frontend: Frontend, wire: bytes, failure: Failure) -> None:
    """An error in the server's place: SHOW WARNINGS shows it, and on MySQL what is there already."""
    session, backend = frontend.session, frontend.backend
    if backend is not None and session.has_unread_diagnostics():
        capture_first(frontend, backend, wire)
        return
    is_counted_anew = frontend.command in STATEMENT_COMMANDS and failure.code != MALFORMED
    session.refused(failure.code, failure.message, (COUNTING_ANEW if is_counted_anew else ADDING).flags)
    frontend.send(failure.wire(answer_id(wire)))


def capture_first(frontend: Frontend, backend: Backend, wire: bytes) -> None:
    """Read the warnings that the held backend has of the statement before; then the command begins anew."""
    frontend.wire = wire
    frontend.command = UNSTARTED
    frontend.state = CAPTURING
    backend.run(frontend, [WARNINGS], keeps_answers=True)


# Preparing


def _start_prepare(frontend: Frontend, wire: bytes) -> None:
    limit = frontend.shared.facts.max_prepared
    if frontend.statements is None:
        frontend.statements = SessionStatements()
    elif len(frontend.statements) >= limit:
        refuse(frontend, wire, too_many_statements(limit))
        return
    frontend.execute(wire)


def _prepare_answered(frontend: Frontend, backend: Backend) -> None:
    """The answer to the client's own COM_STMT_PREPARE is complete: it gets the session's id and goes out."""
    answer = b"".join(frontend.held_answer)
    frontend.held_answer = []
    tracker = backend.tracker
    statements = frontend.statements
    assert statements is not None
    shared, session = frontend.shared, frontend.session
    text = payload_of(frontend.wire)[1:]
    statement = shared.statements.lookup(frame(COM_QUERY + text), session.lexing)
    _see_variables(frontend, statement, text, not tracker.is_error)
    if tracker.is_error:
        statements.failed()
    else:
        vector = session.vector.of_preparation()
        if is_bound(frontend, statement, text):
            vector = vector.apart()
        source = shared.sources.find(vector, text, statement, tracker.num_params)
        statements.add(source)
        telling.was_prepared(frontend, text)
        repreparing.prepared(frontend, backend, source)
        if statement.flags & USES_TABLE and shared.facts.is_mariadb:
            # its tables were looked for
            frontend.statement = ORDINARY
        # "COM_STMT_PREPARE OK": header, [00], int<4> statement_id
        answer = answer[:5] + statements.last_id.to_bytes(4, "little") + answer[9:]
    frontend.send(answer)


def _see_variables(frontend: Frontend, statement: Statement, text: bytes, is_prepared: bool) -> None:
    """Preparing a text makes the user variables that it assigns, if they never were: NULLs. On MySQL even when it fails half-way."""
    session = frontend.session
    if statement.user_variables:
        session.may_have_assigned(statement.user_variables)
    if (is_prepared and is_bound(frontend, statement, text)) or PinReason.USER_VARIABLE in statement.pins:
        session.pin(PinReason.USER_VARIABLE)


def is_bound(frontend: Frontend, statement: Statement, text: bytes) -> bool:
    """Whether a text may read user variables. MySQL takes them, at each execution, for what they were when it was prepared: an @x that had
    no value then is text. Where that was cannot be prepared anew, and the same text prepared later is another statement."""
    if not statement.flags & NAMES_USER_VARIABLES or frontend.session.is_mariadb:
        return False
    return text.count(b"@") - 2 * text.count(b"@@") > len(statement.user_variables)


# Executing


def _start_execute(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    if prepared.own.num_params and len(wire) == _WITHOUT_PARAMETERS and not frontend.shared.facts.is_mariadb:
        # to prepare it, to be told that, would clear the warnings that the error comes on top of
        refuse(frontend, wire, malformed(False))
        return
    kept = prepared.long_data
    if kept is not None and kept.failure is not None:
        refuse(frontend, wire, long_data.failure_of(prepared, kept))
        return
    frontend.shared.counters.queries += 1
    own = prepared.own
    _choose_source(frontend, wire, prepared)
    frontend.statement = statement = _meaning(frontend, wire, own)
    frontend.executing = prepared
    if frontend.session.lost and frontend.refuse_lost(statement):
        return
    if frontend.placement is not None and placing.leaves(frontend, frontend.placement, wire):
        return
    if not (statement.is_special and frontend.start_special(wire, statement)):
        frontend.execute(wire)


def _meaning(frontend: Frontend, wire: bytes, own: Source) -> Statement:
    """What a statement means with these parameters: MySQL does not count the rows of an UPDATE that a NULL rules out."""
    statement = own.statement
    if not statement.flags & UPDATES or not own.num_params or frontend.shared.facts.is_mariadb:
        return statement
    if not has_null_condition(own.text, sent_nulls(wire, own.num_params), own.num_params):
        return statement
    return statement.with_flags(WANTS_FOUND_ROWS)


def _choose_source(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    """What this execution runs on a backend."""
    own, source, shared = prepared.own, prepared.source, frontend.shared
    is_mariadb = shared.facts.is_mariadb
    if own.num_params:
        statements = frontend.statements
        assert statements is not None
        statements.begins(prepared)
        types = sent_types(wire, own.num_params)
        nulls = b"" if is_mariadb else sent_nulls(wire, own.num_params)
        # where its long data is, it is what it is
        prepared.see_types(types, nulls, shared.sources, not (is_mariadb or prepared.is_streaming))
    if prepared.is_streaming:
        return
    number = 0
    if wire[FLAGS_AT] & WANTS_CURSOR:
        statements = frontend.statements
        assert statements is not None
        number = statements.free_number(prepared)
    elif source.number and frontend.backend is not None:
        # a cursor is open: an execution closes it
        frontend.backend.statements.drop(source)
    shape = prepared.source.shape
    if is_mariadb:
        shape = b"" if prepared.long_data is None else LONG + prepared.types
    if source.number != number or source.shape != shape or source.text != own.text:
        prepared.becomes(shared.sources, own.text, number, shape)


def answer_residue(frontend: Frontend, wire: bytes) -> bool:
    """The execution of a question about the statement before, whose backend has gone to somebody else: as for COM_QUERY it is answered
    from what is known, or what is known is written into the text. True when it was answered."""
    prepared, session = frontend.executing, frontend.session
    assert prepared is not None
    own = prepared.own
    backend = frontend.backend or frontend.parked
    if (backend is not None and _on_backend(prepared, backend) is None) or wants_mark(session, own.statement):
        # preparing it there, or a mark, would spoil the count, which is known here
        session.native &= ~ROW_COUNT
    as_query = frame(COM_QUERY + own.text)
    if own.statement.flags & GETS_DIAGNOSTICS:
        written = session.get_diagnostics(own.statement, as_query)
        if not written:
            frontend.send(not_movable(GONE).wire(1) if written is None else session.invalid_condition())
            return True
        if written is not as_query:
            source, text = prepared.source, payload_of(written)[1:]
            prepared.becomes(frontend.shared.sources, text, source.number, source.shape)
        return False
    if wire[FLAGS_AT] == 0:
        deprecate_eof = frontend.client_deprecate_eof
        is_mariadb = frontend.shared.facts.is_mariadb
        answer = session.answer(own.statement, True, frontend.connection_id, deprecate_eof, is_mariadb)
        if answer is not None:
            telling.send(frontend, binary_answer(answer, deprecate_eof))
            return True
    text = payload_of(session.rewritten(own.statement, as_query))[1:]
    if text != own.text:
        source = prepared.source
        prepared.becomes(frontend.shared.sources, text, source.number, source.shape)
    return False


def _on_backend(prepared: Prepared, backend: Backend) -> OnBackend | None:
    source = prepared.source
    if source is prepared.own or source.text != prepared.own.text:
        return backend.statements.use(source)
    return backend.statements.use_variant(source, prepared.own)


def run_on_backend(frontend: Frontend, backend: Backend, prepared: Prepared) -> bytes:
    """COM_STMT_EXECUTE, or the long data that goes to the server early, as `backend` must get it; b"" when the statement is being
    prepared there first."""
    endpoint = frontend.endpoint
    assert endpoint is not None
    backend.statements.keep_up(endpoint.epoch)
    on_backend = _on_backend(prepared, backend)
    if on_backend is None:
        if prepared.source.shape:
            prepared.prepare_anew(frontend.shared.sources)
            on_backend = _on_backend(prepared, backend)
        if on_backend is None:
            _prepare_on(frontend, backend, prepared)
            return b""
    before = backend.statements.take_closes()
    if prepared.long_data is not None:
        before += kept_long_data(prepared, on_backend.real_id)
    if before:
        backend.transport.write(before)
    if frontend.command == COM_STMT_EXECUTE:
        return execution(frontend.wire, prepared, on_backend)
    return renamed(frontend.wire, on_backend.real_id)


def _prepare_on(frontend: Frontend, backend: Backend, prepared: Prepared) -> None:
    assert backend.vector is not None
    commands = restore_commands(backend.vector, _vector_for(prepared, backend))
    assert commands is not None, "a schema need not be unset"
    commands.append(stmt_prepare(prepared.source.text))
    frontend.state = PREPARING_STATEMENT
    backend.run(frontend, commands)


def _vector_for(prepared: Prepared, backend: Backend) -> Vector:
    """The state in which a backend has to be to prepare a statement: that of its session at that time, but for what concerns the transaction
    that may be open now. What was prepared without a default schema means the same in any, and a schema cannot be unset."""
    vector, actual = prepared.own.vector, backend.vector
    assert actual is not None
    if vector.schema is None:
        vector = vector.with_schema(actual.schema)
    if OF_TRANSACTIONS.isdisjoint(actual.variables):
        return vector
    return vector.with_transactions_of(actual.variables)


def prepared_here(frontend: Frontend, backend: Backend, is_failed: bool) -> None:
    """The statement is prepared on the backend; now the session's own state again, then the execution. If it is refused the session goes on
    as after any error, but first with its own state, too, unless nothing was changed (COM_INIT_DB comes first)."""
    prepared, tracker = frontend.executing, backend.tracker
    assert prepared is not None
    if frontend.held_answer:
        _undone(frontend, backend, is_failed)
        return
    if not is_failed:
        repreparing.prepared(frontend, backend, prepared.source)
        if frontend.session.debt is not None:
            frontend.session.debt.is_doubtful = True
        backend.vector = _vector_for(prepared, backend)
        frontend.state = PREPARING
        frontend.prepare(backend)
        return
    is_schema_refused = bool(backend.queue) and tracker.error_code in SCHEMA_CODES
    if repreparing.makes_room(frontend, backend):
        backend.vector = _vector_for(prepared, backend)
        backend.run(frontend, [ping(), stmt_prepare(prepared.source.text)])
        return
    if replaying.is_given_up(frontend):
        return
    failure = refused_by_server(tracker)
    if backend.vector is _vector_for(prepared, backend) or is_schema_refused:
        frontend.send_failure(failure)
        frontend.settle(frontend.session.completed(NOTHING, tracker))
    elif backend.queue:
        frontend.failed_to_prepare(failure)
    else:
        _undo(frontend, backend, _vector_for(prepared, backend), failure)


def _undo(frontend: Frontend, backend: Backend, vector: Vector, failure: Failure) -> None:
    """The statement was refused in a state that is not its session's. Going back from there clears the error, which is known here."""
    session = frontend.session
    commands = restore_commands(vector, session.vector)
    if commands is None:
        frontend.failed_to_prepare(failure)
        return
    session.completed(NOTHING, backend.tracker)
    session.refused(failure.code, failure.message)
    telling.was_undone(session, vector.schema)
    if frontend.command == COM_STMT_SEND_LONG_DATA:
        long_data.keep_failure(frontend, failure)
        frontend.held_answer = [b""]
    else:
        frontend.held_answer = [failure.wire(answer_id(frontend.wire))]
    backend.run(frontend, commands)


def _undone(frontend: Frontend, backend: Backend, is_failed: bool) -> None:
    answer = b"".join(frontend.held_answer)
    frontend.held_answer = []
    long_data.use_up(frontend, frontend.wire)
    if is_failed:
        frontend.failed_to_prepare(refused_by_server(backend.tracker))
        return
    frontend.send(answer)
    backend.vector = frontend.session.vector
    frontend.settle(frontend.session.restored(backend.tracker))


# Answers


def holds_back(frontend: Frontend, chunk: bytes) -> bool:
    """Whether the client must not see this piece of an answer yet: it needs another id, or the command will run again."""
    if frontend.command in COUNTING:
        return _recounts(frontend, chunk)
    if frontend.command != COM_STMT_PREPARE:
        backend = frontend.backend
        assert backend is not None
        if frontend.is_relayed or not repreparing.is_curable(frontend, backend.tracker):
            return False
    frontend.held_answer.append(chunk)
    return True


def _recounts(frontend: Frontend, chunk: bytes) -> bool:
    """The warnings that the answer, which is one packet, is to count are not on this backend, but maybe some of ours, or another
    session's."""
    count = frontend.session.repeated_count()
    if count < 0:
        return False
    frontend.send(counting(chunk, count))
    return True


def answered(frontend: Frontend, backend: Backend) -> int:
    """A command on a statement is over: the verdict on the lease, or AGAIN. An open cursor holds it; what the server has lost is
    forgotten."""
    tracker = backend.tracker
    command, prepared = frontend.command, frontend.executing
    if frontend.held_answer and repreparing.runs_again(frontend, backend):
        return AGAIN
    if command == COM_STMT_PREPARE:
        _prepare_answered(frontend, backend)
        return frontend.session.completed_prepare(tracker, frontend.statement)
    elif command == COM_STMT_SEND_LONG_DATA:
        assert prepared is not None
        long_data.started(frontend, prepared)
        return frontend.session.verdict()
    elif prepared is not None:
        if frontend.held_answer:
            frontend.send(b"".join(frontend.held_answer))
            frontend.held_answer = []
        _executed(frontend, backend, prepared)
    return frontend.session.completed(_answered_statement(frontend, tracker), tracker)


def _answered_statement(frontend: Frontend, tracker: ResponseTracker) -> Statement:
    """What was executed. MySQL begins no statement when it cannot read the parameters: the error comes on top of what was there."""
    if not tracker.is_error or frontend.command != COM_STMT_EXECUTE or frontend.shared.facts.is_mariadb:
        return frontend.statement
    if tracker.error_code == MALFORMED:
        return ADDING
    is_refused = tracker.error_code == WRONG_ARGUMENTS and b"mysqld_stmt_execute" in tracker.error_message
    return COUNTING_ANEW if is_refused else frontend.statement


def _executed(frontend: Frontend, backend: Backend, prepared: Prepared) -> None:
    tracker = backend.tracker
    assigns = frontend.shared.facts.is_mariadb and bool(prepared.own.statement.user_variables)
    if assigns and is_any_text(prepared.types):
        # a NULL that it is given later is of this collation, in the user variable that it is assigned to
        frontend.session.pin(PinReason.USER_VARIABLE)
    if tracker.is_error:
        if tracker.error_code in (MALFORMED, WRONG_ARGUMENTS):
            on_backend = backend.statements.use(prepared.source)
            if on_backend is not None:
                forget_types(on_backend)
            statements = frontend.statements
            if tracker.error_code == MALFORMED and statements is not None and not prepared.is_streaming:
                statements.was_refused(prepared)
        elif repreparing.is_unknown(tracker):
            repreparing.lost_statements(frontend, backend)
    if prepared.long_data is not None and frontend.command == COM_STMT_EXECUTE:
        long_data.executed(frontend, backend, prepared)
    if tracker.cursor_open and frontend.command != COM_STMT_RESET:
        frontend.cursors[prepared] = None
        frontend.session.pin(PinReason.CURSOR)
    elif prepared in frontend.cursors:
        _cursor_ended(frontend, prepared)
    elif prepared.source.number and not prepared.is_streaming:
        # it wanted a cursor, and had nothing to open one on
        prepared.rests(frontend.shared.sources, not frontend.shared.facts.is_mariadb)


# The other commands


def _close(frontend: Frontend, prepared: Prepared, shown: int) -> None:
    """No answer ("COM_STMT_CLOSE"). Backends keep the statement for others, unless a cursor or long data of the session is on it."""
    if prepared in frontend.cursors:
        long_data.drop_now(frontend, prepared)
        _cursor_ended(frontend, prepared)
        frontend.reconsider_lease()
    elif is_bound(frontend, prepared.own.statement, prepared.own.text):
        # nobody else can use it
        long_data.drop_now(frontend, prepared)
    long_data.end(frontend, prepared)
    if frontend.statements is not None:
        frontend.statements.close(shown, frontend.shared.facts.is_mariadb)


def _reset(frontend: Frontend, prepared: Prepared) -> None:
    on_backend = _with_cursor(frontend, prepared)
    if on_backend is None:
        telling.send(frontend, ok(frontend.session.status))
        frontend.session.statement_was_reset()
        long_data.end(frontend, prepared)
    else:
        prepared.long_data = None
        frontend.executing = prepared
        frontend.statement = COUNTING_ANEW
        frontend.execute(frame(stmt_reset(on_backend.real_id)))


def _fetch(frontend: Frontend, wire: bytes, prepared: Prepared) -> None:
    on_backend = _with_cursor(frontend, prepared)
    if on_backend is None:
        shown = shown_id(wire)
        refuse(frontend, wire, no_cursor(shown, frontend.shared.facts.is_mariadb))
    else:
        frontend.executing = prepared
        frontend.statement = COUNTING_ANEW
        frontend.execute(renamed(wire, on_backend.real_id))


def _with_cursor(frontend: Frontend, prepared: Prepared) -> OnBackend | None:
    """The statement on the lease, if its cursor is open."""
    if prepared not in frontend.cursors or frontend.backend is None:
        return None
    return frontend.backend.statements.use(prepared.source)


def _cursor_ended(frontend: Frontend, prepared: Prepared) -> None:
    frontend.cursors.pop(prepared, None)
    if not prepared.is_streaming:
        prepared.rests(frontend.shared.sources, not frontend.shared.facts.is_mariadb)
    if not frontend.cursors:
        frontend.session.lift(PinReason.CURSOR)
