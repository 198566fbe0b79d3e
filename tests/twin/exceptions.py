"""What may differ between a direct connection and Fanin, each with its reason. As few as possible; README, "Limits" has them too."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.constants import Capability, ServerStatus
from protocol.errors import ProtocolError
from protocol.packets import build_err, build_ok, parse_err, parse_ok
from proxy.sources import shape_after
from tests.integration.steps import Execute, Prepare, Query, Step
from tests.twin.exchanges import ChangeUser
from tests.twin.programs import CLOSED, Program

Answers = list[list[bytes]]

_STATEMENT_ID: Final = re.compile(rb"\(\d+\)")
# The same in a row of SHOW WARNINGS, or by way of GET DIAGNOSTICS, with the length of the text before it.
_SHOWN_ID: Final = re.compile(
    rb".(The statement |Unknown prepared statement handler )\(\d+\)( has no open cursor| given to )",
    re.DOTALL,
)
NAMING_STATEMENTS: Final = frozenset([1243, 1421])


def neutral(payload: bytes) -> bytes:
    """A payload without what means nothing: the id of the prepared statement that an error names (rows with its text, too), which is the
    session's own; the bit of MariaDB's EOF packets that says the session has changed, since they cannot say in what; and the bit that
    says a prepared statement has other columns since DDL, which goes to whoever executes it first (README, Limits): the columns
    themselves are compared."""
    if payload[:1] == b"\xfe" and len(payload) >= 5:
        # an EOF, or an OK with two numbers of one byte each: the status flags end at the same place
        kept = 0xBB if len(payload) == 5 else 0xFB
        return payload[:4] + bytes([payload[4] & kept]) + payload[5:]
    if payload[:1] == b"\xff" and payload[1] | payload[2] << 8 in NAMING_STATEMENTS:
        error = parse_err(payload)
        return build_err(error.code, error.sqlstate, _STATEMENT_ID.sub(b"(id)", error.message))
    return _SHOWN_ID.sub(rb"\1(id)\2", payload)


def is_only_planned_otherwise(program: Program, position: int, wanted: list[bytes], got: list[bytes]) -> bool:
    """Whether all that differs is SERVER_QUERY_NO_INDEX_USED after rows that a condition has chosen. What the server estimates of an index,
    and so whether it takes it, depends on what purge has left there by then: on one direct connection and the next, too."""
    steps = [line.step for line in program.lines[: position + 1]]
    if not _CHOOSES_ROWS.search(run_text(steps, position)):
        return False
    return [_without_plan(each) for each in wanted] == [_without_plan(each) for each in got]


_CHOOSES_ROWS: Final = re.compile(r"\bSELECT\b.*\bWHERE\b", re.IGNORECASE | re.DOTALL)


def _without_plan(payload: bytes) -> bytes:
    if payload[:1] != b"\xfe" or len(payload) < 5 or len(payload) > 9:
        return payload
    # an EOF, or an OK with two numbers of one byte each and nothing more: the status flags begin at the same place
    return payload[:3] + bytes([payload[3] & ~_NO_INDEX_USED]) + payload[4:]


_NO_INDEX_USED: Final = 0x20


@dataclass(frozen=True)
class KnownDifference:
    """Answers may differ where `holds(program, position, answers through Fanin)`. What follows is compared only where nothing can depend
    on it."""

    reason: str
    holds: Callable[[Program, int, Answers], bool]
    is_by_itself: bool = False
    # so may what the statement has written
    is_in_content: bool = False
    # and where the two answers differ in nothing else, if that can be said
    is_all: Callable[[list[bytes], list[bytes]], bool] = lambda wanted, got: True


def text_of(step: Step) -> str:
    """The statement of a step, if it has one."""
    return step.text if isinstance(step, Query | Prepare) else ""


def _got_numbered_condition(program: Program, position: int, got: Answers) -> bool:
    texts = [text_of(line.step) for line in program.lines[: position + 1]]
    return any(_NUMBERED.search(text) and _is_refused(got[at]) for at, text in enumerate(texts))


def _is_refused(answer: list[bytes]) -> bool:
    """Whether Fanin has said that it cannot know."""
    return answer[-1:] != [] and answer[-1][:1] == b"\xff" and parse_err(answer[-1]).code == 1105


_NUMBERED: Final = re.compile(r"\bGET\s+(CURRENT\s+)?DIAGNOSTICS\s+CONDITION\s+[^\d\s]", re.IGNORECASE)


def _goes_on_after_refused_change(program: Program, position: int, got: Answers) -> bool:
    before = program.lines[position - 1].step if position else None
    return (
        isinstance(before, ChangeUser) and got[position] == [CLOSED] and got[position - 1][-1][:1] == b"\xff"
    )


def _names_row_of_parameter(program: Program, position: int, got: Answers) -> bool:
    del program
    return any(b"for column ``.``." in payload for payload in got[position])


def _has_loaded_routine(program: Program, position: int, got: Answers) -> bool:
    del got
    earlier = [line.step for line in program.lines[:position]]
    is_prepared = any(isinstance(step, Prepare) and _CALLING.search(step.text) for step in earlier)
    return program.server == "mysql" and bool(program.capabilities & Capability.SESSION_TRACK) and is_prepared


def _differ_in_told_schema(wanted: list[bytes], got: list[bytes]) -> bool:
    return [_without_schema(payload) for payload in wanted] == [_without_schema(payload) for payload in got]


def _without_schema(payload: bytes) -> bytes:
    """An OK (as `comparable` leaves it) that tells a schema and nothing else as one that tells nothing, anything else as it is."""
    plain, begin, told = payload.partition(b"[(")
    return untold(plain, (b"\0", b"\xfe")) if _ONLY_SCHEMA.match(begin + told) else payload


_ONLY_SCHEMA: Final = re.compile(rb"\[\(1, [^()]*\)\]\Z")


def _differ_in_what_is_told(wanted: list[bytes], got: list[bytes]) -> bool:
    return [untold(payload) for payload in wanted] == [untold(payload) for payload in got]


def untold(payload: bytes, headers: tuple[bytes, ...] = (b"\0",)) -> bytes:
    """An OK (as `comparable` leaves it) without its session trackers, anything else as it is."""
    if payload[:1] not in headers:
        return payload
    try:
        ok = parse_ok(payload.partition(b"[(")[0], False)
    except ProtocolError:
        return payload
    return build_ok(
        header=ok.header,
        affected_rows=ok.affected_rows,
        insert_id=ok.insert_id,
        status=ok.status & ~ServerStatus.SESSION_STATE_CHANGED,
        warnings=ok.warnings,
        message=ok.message,
    )


def _tells_of_set_statement_again(program: Program, position: int, got: Answers) -> bool:
    del got
    texts = [text_of(line.step) for line in program.lines[:position]]
    is_wanted = any("session_track_state_change" in text.lower() for text in texts)
    return program.server == "mariadb" and is_wanted and any(_SET_STATEMENT.match(text) for text in texts)


def _has_changed_in_front_of_eof(program: Program, position: int, got: Answers) -> bool:
    tracks = program.capabilities & (Capability.SESSION_TRACK | Capability.DEPRECATE_EOF)
    is_call = _CALL.search(run_text([line.step for line in program.lines], position)) is not None
    has_rows = len(got[position]) > 1
    return program.server == "mariadb" and tracks == Capability.SESSION_TRACK and is_call and has_rows


_CALL: Final = re.compile(r"\bCALL\b", re.IGNORECASE)
_SET_STATEMENT: Final = re.compile(r"\s*SET\s+STATEMENT\b", re.IGNORECASE)
_CALLING: Final = re.compile(r"\bCALL\b|\bSELECT\b.*\b(counter|note_of|last_id)\(", re.IGNORECASE)


def run_text(steps: Sequence[Step], at: int) -> str:
    """The statement that a step runs, be it prepared."""
    step = steps[at]
    if not isinstance(step, Execute):
        return "" if isinstance(step, Prepare) else text_of(step)
    prepared = [each.text for each in steps[:at] if isinstance(each, Prepare) and each.name == step.name]
    return prepared[-1] if prepared else ""


def _executes_with_other_kinds(program: Program, position: int, got: Answers) -> bool:
    del got
    executed = program.lines[position].step
    if not isinstance(executed, Execute) or program.server != "mysql":
        return False
    shape = types = seen = b""
    is_call = is_other_kind = is_altered = False
    kinds: set[tuple[type, ...]] = set()
    for line in program.lines[: position + 1]:
        step = line.step
        if isinstance(step, Prepare) and step.name == executed.name:
            shape = types = seen = b""
            is_call = step.text.upper().startswith("CALL")
            is_altered = False
            kinds.clear()
        elif isinstance(step, Execute) and step.name == executed.name and step.values:
            is_other_kind = any(
                any(each[at : at + 1] == (_BEFORE.get(type(value)),) for each in kinds)
                for at, value in enumerate(step.values)
            )
            types = step.types() if step.binds else types
            seen = _without_nulls(types, step)
            shape = shape_after(shape, seen)
            kinds.add(tuple(type(value) for value in step.values))
        elif _ALTERING.search(text_of(step)):
            is_altered = True
    # what has other tables since then is prepared once more, by the server, with the kinds of what it executes;
    # text that is no integer makes a number of the statement's own a double, which a NULL leaves it; a number whose place a NULL had takes
    # what the text around it asks for, and leaves a number another which is text now;
    # the definitions of OUT parameters tell even of NULLs
    is_text_for_others = is_altered and any(isinstance(value, str) for value in executed.values)
    return (
        shape != shape_after(b"", seen) or is_other_kind or is_text_for_others or (is_call and len(kinds) > 1)
    )


_ALTERING: Final = re.compile(
    r"\A\s*(CREATE|ALTER|DROP|RENAME|TRUNCATE)\b.*\b(TABLE|VIEW|INDEX)\b|\A\s*(FLUSH|OPTIMIZE|ANALYZE)\b",
    re.IGNORECASE | re.DOTALL,
)


def _without_nulls(types: bytes, step: Execute) -> bytes:
    """The types of an execution that the server looks at: a NULL has none."""
    kinds = [types[at : at + 2] for at in range(0, len(types), 2)]
    return b"".join(
        [_NULL if value is None else kind for kind, value in zip(kinds, step.values, strict=False)]
    )


_NULL: Final = b"\6\0"
_BEFORE: Final[dict[type, type]] = {type(None): str, str: int}


def _bound_under_another_charset(program: Program, position: int, got: Answers) -> bool:
    del got
    executed = program.lines[position].step
    if not isinstance(executed, Execute) or program.server != "mariadb" or executed.binds:
        return False
    since: list[str] = []
    for line in program.lines[:position]:
        since.append(text_of(line.step))
        if isinstance(line.step, Execute) and line.step.name == executed.name and line.step.binds:
            since.clear()
    return any(_CHOOSING.search(text) for text in since)


_CHOOSING: Final = re.compile(
    r"\bNAMES\b|\bCHAR(SET|ACTER\s+SET)\b|\bcharacter_set_\w+|\bcollation_connection\b", re.IGNORECASE
)


def _finds_inserted_row_elsewhere(program: Program, position: int, got: Answers) -> bool:
    steps = [line.step for line in program.lines[: position + 1]]
    texts = [run_text(steps, at) for at in range(len(steps))]
    if not re.search(r"\bid IS NULL\b", texts[-1]):
        return False
    begins = [at for at in range(position) if _IS_NULL_SET.search(texts[at])]
    if not begins:
        return False
    # an INSERT since then has run where the question does
    has_inserted = [
        bool(_INSERTING.search(text)) and got[at][-1][:1] != b"\xff"
        for at, text in enumerate(texts[:position])
    ]
    return any(has_inserted[: begins[-1]]) and not any(has_inserted[begins[-1] :])


_IS_NULL_SET: Final = re.compile(r"\bsql_auto_is_null\s*:?=\s*(1|ON|TRUE)\b", re.IGNORECASE)
_INSERTING: Final = re.compile(r"\b(INSERT|REPLACE|LOAD|CALL|LAST_INSERT_ID|COPY)\b", re.IGNORECASE)


def _asks_among_several(program: Program, position: int, got: Answers) -> bool:
    """What stands in front is answered as it is by itself, unless what follows needs more than to be run."""
    del got
    text = text_of(program.lines[position].step)
    if program.server != "mariadb" or ";" not in text:
        return False
    rest = _ASKING_FIRST.sub("", text)
    return _ASKING.search(text if _NEEDING.search(rest) else rest) is not None


_ASKING_FIRST: Final = re.compile(r"\A(\s*SHOW\s+(COUNT\(\*\)\s+)?(WARNINGS|ERRORS)\s*;)+", re.IGNORECASE)
_NEEDING: Final = re.compile(
    r"\b(EXECUTE|KILL|STATEMENT|DIAGNOSTICS)\b|_timeout|session_track|variables", re.IGNORECASE
)
_ASKING: Final = re.compile(
    r"\bSHOW\s+(COUNT\(\*\)\s+)?(WARNINGS|ERRORS)\b|\bDIAGNOSTICS\b|@@((session|local)\.)?(warning|error)_count",
    re.IGNORECASE,
)


KNOWN: Final = (
    KnownDifference(
        "MariaDB reports what SET STATEMENT has put back with a later write, where all variables are tracked: a client that sets"
        " session_track_state_change is told of that change (README, Limits)",
        _tells_of_set_statement_again,
        is_by_itself=True,
        is_all=_differ_in_what_is_told,
    ),
    KnownDifference(
        "MariaDB tells with the last OK of a CALL what has changed in front of the EOF of its rows; of that Fanin tells the schema (README, Limits)",
        _has_changed_in_front_of_eof,
        is_by_itself=True,
        is_all=_differ_in_what_is_told,
    ),
    KnownDifference(
        "GET DIAGNOSTICS CONDITION @n, after the backend has gone to another, is refused (README, Limits)",
        _got_numbered_condition,
    ),
    KnownDifference(
        "MySQL tells the schema, unchanged, with the first OK after a routine of another schema was loaded to be prepared; whether it has"
        " to be loaded is the backend's (README, Limits)",
        _has_loaded_routine,
        is_by_itself=True,
        is_all=_differ_in_told_schema,
    ),
    KnownDifference(
        "MySQL executes with the kinds of parameters of earlier executions; elsewhere those are not known (README, Limits)",
        _executes_with_other_kinds,
    ),
    KnownDifference(
        "MariaDB takes parameters in the character set in which their types were sent; elsewhere they are sent again (README, Limits)",
        _bound_under_another_charset,
        is_in_content=True,
    ),
    KnownDifference(
        "MariaDB lets a client whose COM_CHANGE_USER is refused go on as who it was; Fanin ends the connection, as MySQL does (README,"
        " Limits)",
        _goes_on_after_refused_change,
    ),
    KnownDifference(
        "WHERE id IS NULL under sql_auto_is_null finds the row of an INSERT that came before that was set only where it ran (README, Limits)",
        _finds_inserted_row_elsewhere,
    ),
    KnownDifference(
        "on MariaDB several statements in one text may miss, but for the first, the warnings of one whose backend has gone to another (README,"
        " Limits)",
        _asks_among_several,
    ),
    KnownDifference(
        "MariaDB names a row in errors about parameters of routines: that of whatever ran before",
        _names_row_of_parameter,
        is_by_itself=True,
    ),
)

NOT_GENERATED: Final = {
    "CONNECTION_ID() inside larger statements, SHOW PROCESSLIST": "names the server's connections",
    "SHOW STATUS, SHOW PROFILES, @@last_query_cost": "count what the server's connection did, whoever used it",
    "NOW(), UUID(), RAND()": "differ between any two runs",
    "SELECT ROW_COUNT() + 1 without a name": "the title of the column shows how the count was written in",
    "FLUSH TABLES WITH READ LOCK, SET GLOBAL, BACKUP STAGE": "stops or changes the neighbours",
    "an execution without a cursor after one with a cursor, on MySQL": "is answered in a way that no client can read",
    "EXPLAIN ANALYZE, ANALYZE SELECT": "tell how long it took",
    "SHOW MASTER STATUS, SHOW BINARY LOG STATUS, @@last_gtid, COM_STATISTICS": "tell of everybody's work",
    "COM_BINLOG_DUMP, COM_REGISTER_SLAVE": "refused, see SEMANTICS.md",
    "Deadlocks and lock waits, clients that vanish, slow readers, lost connections": "need a second client or a failure: tests/traps",
    "SET PASSWORD, ALTER USER of the client's own account": "everybody's; tests/traps",
    "MyISAM on MySQL": "after a write that failed, its next one to InnoDB warns of both (6414), whoever's it is",
}
"""Left out of the grammar, and why."""
