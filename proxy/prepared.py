"""Binary prepared statements of sessions that share backends. Pure.

A client's statement id is ours (virtual) and belongs to its session. A backend knows a statement by an id of its own, and only if it
was prepared there: that happens when a session executes it there for the first time. What a statement means is fixed when it is
prepared (default schema, sql_mode, character sets), so a backend's statements are found by text *and* the state vector of that
moment, and another backend is brought into that state to prepare it.

The server keeps the types of parameters from one execution to the next ("COM_STMT_EXECUTE", new_params_bind_flag = 0), per
connection: they are remembered here and sent again where the backend has seen others. Long data is kept until the execution and
sent just before it.

References: MySQL documentation, "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_SEND_LONG_DATA", "COM_STMT_CLOSE".
"""

from __future__ import annotations

from typing import Final

from protocol.commands import stmt_close
from protocol.framing import frame, payload_of
from protocol.wire import lenenc_bytes, read_lenenc_bytes, read_lenenc_int
from proxy.classify import Statement
from proxy.results import packets, text_row
from proxy.vector import Vector

BACKEND_LIMIT: Final = 256
"""Statements kept on one backend; the one not used for longest is closed. MySQL's max_prepared_stmt_count is 16,382 for all."""
LAST_PREPARED: Final = 0xFFFFFFFF
"""MariaDB's id -1: the statement that this connection prepared last."""
EXECUTE_HEADER: Final = 10
"""Bytes of COM_STMT_EXECUTE before the NULL bitmap: command, statement id, flags, iteration count."""

StatementKey = tuple[Vector, bytes, int]
"""The state vector that it was prepared in, its text, and which of the session's statements with both alike it is: each has a cursor
and long data of its own."""


class Prepared:
    """One prepared statement of one session."""

    __slots__ = (
        "is_overlong",
        "key",
        "long_data",
        "long_size",
        "num_params",
        "own_key",
        "statement",
        "types",
        "virtual_id",
    )

    def __init__(self, virtual_id: int, key: StatementKey, statement: Statement, num_params: int) -> None:
        self.virtual_id: int = virtual_id
        self.own_key: StatementKey = key
        # how backends know what was executed last: the text can have counts written in (`executes_text`)
        self.key: StatementKey = key
        # what its text says; applied when it is executed
        self.statement: Statement = statement
        self.num_params: int = num_params
        # parameter types of the last execution that sent any
        self.types: bytes = b""
        # payloads of COM_STMT_SEND_LONG_DATA that wait for the execution
        self.long_data: list[bytes] = []
        self.long_size: int = 0
        # more long data came than the limit: the execution fails, as on a server
        self.is_overlong: bool = False

    def executes_text(self, text: bytes) -> None:
        """The next execution is one of this text, which has the parameters and columns of its own."""
        vector, own_text, copy = self.own_key
        self.key = self.own_key if text == own_text else (vector, text, copy)

    def add_long_data(self, payload: bytes, limit: int) -> None:
        """Keep a payload for the execution, up to `limit` bytes in all."""
        if self.is_overlong:
            return
        self.long_size += len(payload)
        if self.long_size > limit:
            self.drop_long_data()
            self.is_overlong = True
        else:
            self.long_data.append(payload)

    def drop_long_data(self) -> None:
        """It was executed or reset."""
        if self.long_data:
            self.long_data = []
        self.long_size = 0
        self.is_overlong = False


class SessionStatements:
    """The prepared statements of one session."""

    __slots__ = ("_by_id", "_last_id")

    def __init__(self) -> None:
        self._by_id: dict[int, Prepared] = {}
        self._last_id: int = 0

    def key(self, vector: Vector, text: bytes) -> StatementKey:
        """A key for a text that is being prepared now, other than those of the statements that are open."""
        copy = 0
        taken = {prepared.own_key for prepared in self._by_id.values() if prepared.own_key[1] == text}
        while (vector, text, copy) in taken:
            copy += 1
        return (vector, text, copy)

    def add(self, key: StatementKey, statement: Statement, num_params: int) -> Prepared:
        """A statement was prepared: it gets the session's next id."""
        self._last_id += 1
        prepared = self._by_id[self._last_id] = Prepared(self._last_id, key, statement, num_params)
        return prepared

    def find(self, virtual_id: int) -> Prepared | None:
        """The statement with this id."""
        return self._by_id.get(self._last_id if virtual_id == LAST_PREPARED else virtual_id)

    def close(self, virtual_id: int) -> None:
        """COM_STMT_CLOSE: the id is free. Backends keep the statement for others, within their limit."""
        self._by_id.pop(virtual_id, None)

    def __len__(self) -> int:
        return len(self._by_id)


class OnBackend:
    """A statement as one backend has it."""

    __slots__ = ("real_id", "types")

    def __init__(self, real_id: int) -> None:
        self.real_id: int = real_id
        # parameter types that the server remembers of its last execution
        self.types: bytes = b""


class BackendStatements:
    """What is prepared on one backend, least recently used first."""

    __slots__ = ("_by_key", "_to_close")

    def __init__(self) -> None:
        self._by_key: dict[StatementKey, OnBackend] = {}
        # ids that the server can forget; closed with the next execution, for they have no answer
        self._to_close: list[int] = []

    def use(self, key: StatementKey) -> OnBackend | None:
        """The statement if it is prepared here; it counts as used."""
        found = self._by_key.pop(key, None)
        if found is not None:
            self._by_key[key] = found
        return found

    def add(self, key: StatementKey, real_id: int) -> OnBackend:
        """It was prepared here just now."""
        older = self._by_key.pop(key, None)
        if older is not None:
            self._to_close.append(older.real_id)
        added = self._by_key[key] = OnBackend(real_id)
        if len(self._by_key) > BACKEND_LIMIT:
            self._to_close.append(self._by_key.pop(next(iter(self._by_key))).real_id)
        return added

    def drop(self, key: StatementKey) -> None:
        """Close it at the next opportunity."""
        found = self._by_key.pop(key, None)
        if found is not None:
            self._to_close.append(found.real_id)

    def take_closes(self) -> bytes:
        """COM_STMT_CLOSE packets that are due, in wire form."""
        if not self._to_close:
            return b""
        closes = b"".join([frame(stmt_close(real_id)) for real_id in self._to_close])
        self._to_close = []
        return closes

    def clear(self) -> None:
        """The connection was reset: the server has dropped them all."""
        self._by_key = {}
        self._to_close = []


def renamed(wire: bytes, real_id: int) -> bytes:
    """A command on a statement, in wire form, with the id that the backend knows."""
    return wire[:5] + real_id.to_bytes(4, "little") + wire[9:]


def execution(wire: bytes, prepared: Prepared, on_backend: OnBackend) -> bytes:
    """COM_STMT_EXECUTE as this backend must get it, with the long data that comes before it. Both remember the types.

    A packet that is too short to have what it announces goes as it is: the server says what is wrong with it.
    """
    real_id = on_backend.real_id
    out = renamed(wire, real_id)
    if prepared.num_params:
        flag_at = 4 + EXECUTE_HEADER + (prepared.num_params + 7) // 8
        types_end = flag_at + 1 + 2 * prepared.num_params
        if len(wire) > flag_at:
            if wire[flag_at] == 1:
                prepared.types = on_backend.types = wire[flag_at + 1 : types_end]
            elif prepared.types and on_backend.types != prepared.types:
                payload = payload_of(out)
                at = flag_at - 4
                out = frame(payload[:at] + b"\x01" + prepared.types + payload[at + 1 :])
                on_backend.types = prepared.types
    if prepared.long_data:
        long_data = [
            frame(payload[:1] + real_id.to_bytes(4, "little") + payload[5:]) for payload in prepared.long_data
        ]
        prepared.drop_long_data()
        return b"".join(long_data) + out
    return out


def binary_answer(text_answer: bytes, deprecate_eof: bool) -> bytes:
    """A text result set of our own, in wire form, as the answer to COM_STMT_EXECUTE: only its rows differ ("Binary Protocol Resultset
    Row"). Its columns are INT, BIGINT and strings, and none is NULL."""
    payloads = packets(text_answer)
    columns, _ = read_lenenc_int(payloads[0], 0)
    kinds = [_kind(definition) for definition in payloads[1 : 1 + columns]]
    first = 1 + columns if deprecate_eof else 2 + columns
    head = b"\0" * (1 + (columns + 9) // 8)
    for number in range(first, len(payloads) - 1):
        row = [
            _binary(kind, value)
            for kind, value in zip(kinds, text_row(payloads[number], columns), strict=True)
        ]
        payloads[number] = head + b"".join(row)
    return b"".join([frame(payload, number) for number, payload in enumerate(payloads, 1)])


def _kind(definition: bytes) -> int:
    """The type in a "Protocol::ColumnDefinition41": after six strings, the length of the rest, charset and column length."""
    pos = 0
    for _ in range(6):
        _, pos = read_lenenc_bytes(definition, pos)
    return definition[pos + 7]


def _binary(kind: int, value: bytes | None) -> bytes:
    assert value is not None
    size = _SIZES.get(kind, 0)
    return (int(value) & (1 << 8 * size) - 1).to_bytes(size, "little") if size else lenenc_bytes(value)


_SIZES: Final = {3: 4, 8: 8}
"""Bytes of a LONG and of a LONGLONG."""
