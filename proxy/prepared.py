"""Binary prepared statements of sessions that share backends. Pure.

A client's statement id is ours (virtual) and belongs to its session. A backend knows a statement by an id of its own, and only if it
was prepared there: that happens when a session executes it there for the first time. All sessions that prepared a text in the same
state share its statement on a backend (`proxy.sources` says what keeps statements apart).

The server keeps the types of parameters from one execution to the next ("COM_STMT_EXECUTE", new_params_bind_flag = 0), per
connection: they are remembered here and sent again where the backend has seen others. Long data is kept until the execution and
sent just before it.

References: MySQL documentation, "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_SEND_LONG_DATA", "COM_STMT_CLOSE".
"""

from __future__ import annotations

from typing import Final

from librt.strings import read_i32_le
from mypy_extensions import i64

from protocol.commands import stmt_close
from protocol.framing import frame, payload_of
from protocol.wire import lenenc_bytes, read_lenenc_bytes, read_lenenc_int
from proxy.replies import Failure
from proxy.results import packets, text_row
from proxy.sources import LONG, NULL_TYPE, Source, Sources, shape_after, without_nulls

LAST_PREPARED: Final = 0xFFFFFFFF
"""MariaDB's id -1: the statement that this connection prepared last."""
EXECUTE_HEADER: Final = 10
"""Bytes of COM_STMT_EXECUTE before the NULL bitmap: command, statement id, flags, iteration count."""
FLAGS_AT: Final = 9
"""Where COM_STMT_EXECUTE, in wire form, says whether it wants a cursor (CURSOR_TYPE_READ_ONLY)."""
WANTS_CURSOR: Final = 1
KEPT_LONG_DATA: Final = 65536
"""Bytes of long data that are kept for one statement; with more its session gets a backend to send them to."""

# no types are like that: the server has kept which ones is not known
_UNKNOWN_TYPES: Final = b"?"


class LongData:
    """What COM_STMT_SEND_LONG_DATA brought since the last execution of a statement."""

    __slots__ = ("failure", "is_streaming", "payloads", "size")

    def __init__(self) -> None:
        # the commands, with the client's id
        self.payloads: list[bytes] = []
        self.size: int = 0
        # they are on the server, and more go there
        self.is_streaming: bool = False
        # why the execution must fail: these commands have no answer
        self.failure: Failure | None = None

    def keep(self, payload: bytes) -> bool:
        """Keep a command for the execution; False when there are too many."""
        if self.size + len(payload) > KEPT_LONG_DATA:
            return False
        self.size += len(payload)
        self.payloads.append(payload)
        return True

    def fail(self, failure: Failure) -> None:
        """The execution will fail with this, the first one that happened."""
        if self.failure is None:
            self.failure = failure
        self.payloads = []


class Prepared:
    """One prepared statement of one session. There may be twenty for each client: what sessions have in common is in `Source`."""

    __slots__ = ("long_data", "nulls", "own", "source", "types")

    def __init__(self, source: Source) -> None:
        # as it was prepared, and as backends know what is executed
        self.own: Source = source
        self.source: Source = source
        # parameter types of the last execution that sent any
        self.types: bytes = b""
        # which parameters of the last execution were NULL, where that matters (`sources.without_nulls`)
        self.nulls: bytes = b""
        # None: there is none
        self.long_data: LongData | None = None

    @property
    def is_streaming(self) -> bool:
        """Whether it has long data on the server."""
        return self.long_data is not None and self.long_data.is_streaming

    def becomes(self, sources: Sources, text: bytes, number: int, shape: bytes) -> None:
        """What is executed next: this text, which has the parameters and columns of its own, with this number and shape."""
        self.source = sources.variant(self.own, text, number, shape)

    def rests(self, sources: Sources, has_shapes: bool) -> None:
        """What was executed last needs no statement of its own any more."""
        shape = self.source.shape
        if shape.startswith(LONG):
            shape = shape_after(b"", self._kinds()) if has_shapes else b""
        self.becomes(sources, self.own.text, 0, shape)

    def see_types(self, types: bytes, nulls: bytes, sources: Sources, has_shapes: bool) -> None:
        """The client has sent types of parameters, or none, b"", when they are those of before. ``nulls``: which of them are NULL, if this
        server has shapes."""
        if nulls == self.nulls and (types == self.types or not types):
            return
        self.nulls = nulls
        if types:
            self.types = self.own.interned(types)
        if has_shapes and self.types:
            self._reshape(sources, shape_after(self.source.shape, self._kinds()))

    def prepare_anew(self, sources: Sources) -> None:
        """It is about to be prepared on a backend that knows nothing of the executions before."""
        if not self.source.shape.startswith(LONG):
            self._reshape(sources, shape_after(b"", self._kinds()))

    def _kinds(self) -> bytes:
        """The types of the last execution that the server looks at."""
        return without_nulls(self.types, self.nulls)

    def _reshape(self, sources: Sources, shape: bytes) -> None:
        source = self.source
        self.source = sources.variant(source, source.text, source.number, shape)


class SessionStatements:
    """The prepared statements of one session."""

    __slots__ = ("_by_id", "_highest_id", "_last_id", "replaced_source", "replaced_types")

    def __init__(self) -> None:
        self._by_id: dict[int, Prepared] = {}
        self._highest_id: int = 0
        # what MariaDB's -1 means; 0 when it means nothing
        self._last_id: int = 0
        # what the statement that is being executed had before that
        self.replaced_types: bytes = b""
        self.replaced_source: Source | None = None

    def add(self, source: Source) -> Prepared:
        """A statement was prepared: it gets the session's next id."""
        self._highest_id += 1
        self._last_id = self._highest_id
        prepared = self._by_id[self._last_id] = Prepared(source)
        return prepared

    @property
    def last_id(self) -> int:
        """That of the statement that was prepared last; 0: there is none."""
        return self._last_id

    def id_of(self, prepared: Prepared) -> int:
        """The id of an open statement, 0 if it is none. Looks at them all."""
        for virtual_id, each in self._by_id.items():
            if each is prepared:
                return virtual_id
        return 0

    def forget(self) -> None:
        """A reset: there are none. Their ids stay used up, as on a server, for a client that has not noticed must get 1243."""
        self._by_id.clear()
        self._last_id = 0

    def failed(self) -> None:
        """One could not be prepared: an id is used up, as on a server, and there is no last one."""
        self._highest_id += 1
        self._last_id = 0

    def find(self, virtual_id: int, is_mariadb: bool) -> Prepared | None:
        """The statement with this id."""
        return self._by_id.get(self._meant(virtual_id, is_mariadb))

    def close(self, virtual_id: int, is_mariadb: bool) -> None:
        """COM_STMT_CLOSE: the id is free. Backends keep the statement for others, within their limit."""
        self._by_id.pop(self._meant(virtual_id, is_mariadb), None)

    def _meant(self, virtual_id: int, is_mariadb: bool) -> int:
        return self._last_id if virtual_id == LAST_PREPARED and is_mariadb else virtual_id

    def free_number(self, prepared: Prepared) -> int:
        """A number for a statement that needs one of its own on the backend: its own if it has one."""
        if prepared.source.number:
            return prepared.source.number
        taken = [each.source.number for each in self._by_id.values() if each.own is prepared.own]
        number = 1
        while number in taken:
            number += 1
        return number

    def begins(self, prepared: Prepared) -> None:
        """It is about to be executed."""
        self.replaced_types = prepared.types
        self.replaced_source = prepared.source

    def was_refused(self, prepared: Prepared) -> None:
        """The server has not taken the types that came with the execution: those of before hold."""
        prepared.types = self.replaced_types
        prepared.nulls = b""
        if self.replaced_source is not None:
            prepared.source = self.replaced_source

    def __len__(self) -> int:
        return len(self._by_id)


class OnBackend:
    """A statement as one backend has it."""

    __slots__ = ("is_executed", "real_id", "types")

    def __init__(self, real_id: int) -> None:
        self.real_id: int = real_id
        self.is_executed: bool = False
        # parameter types that the server remembers of its last execution
        self.types: bytes = b""


class BackendStatements:
    """What is prepared on one backend, least recently used first."""

    __slots__ = ("_by_source", "_to_close", "epoch")

    def __init__(self) -> None:
        self._by_source: dict[Source, OnBackend] = {}
        # ids that the server can forget; closed with the next execution, for they have no answer
        self._to_close: list[int] = []
        # the endpoint's epoch when they were known to exist
        self.epoch: int = 0

    def keep_up(self, epoch: int) -> None:
        """Forget everything if the endpoint's epoch is another one: the server has lost it, and its ids begin anew."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.clear()

    def use(self, source: Source) -> OnBackend | None:
        """The statement if it is prepared here; it counts as used."""
        found = self._by_source.pop(source, None)
        if found is not None:
            self._by_source[source] = found
        return found

    def use_variant(self, source: Source, fresh: Source) -> OnBackend | None:
        """The same for a variant of ``fresh``. If that is here and was never executed, it becomes the variant, or goes when there is
        one."""
        found = self.use(source)
        unused = self._by_source.get(fresh)
        if unused is None or unused.is_executed:
            return found
        if found is not None:
            self.drop(fresh)
            return found
        del self._by_source[fresh]
        self._by_source[source] = unused
        return unused

    def add(self, source: Source, real_id: int, limit: int) -> OnBackend:
        """It was prepared here just now. ``limit``: statements that are kept."""
        self.drop(source)
        added = self._by_source[source] = OnBackend(real_id)
        if len(self._by_source) > limit:
            self.evict(len(self._by_source) - limit)
        return added

    def drop(self, source: Source) -> None:
        """Close it at the next opportunity."""
        found = self._by_source.pop(source, None)
        if found is not None:
            self._to_close.append(found.real_id)

    def evict(self, count: int) -> bool:
        """Close so many of those not used for longest at the next opportunity. False when there were none."""
        oldest = list(self._by_source)[:count]
        for source in oldest:
            self.drop(source)
        return bool(oldest)

    @property
    def closes_due(self) -> int:
        """How many `take_closes` would close."""
        return len(self._to_close)

    def take_closes(self) -> bytes:
        """COM_STMT_CLOSE packets that are due, in wire form."""
        if not self._to_close:
            return b""
        closes = b"".join([frame(stmt_close(real_id)) for real_id in self._to_close])
        self._to_close = []
        return closes

    def clear(self) -> None:
        """The connection was reset: the server has dropped them all."""
        self._by_source = {}
        self._to_close = []

    def __len__(self) -> int:
        return len(self._by_source)


def shown_id(wire: bytes) -> int:
    """The statement's id in a command, in wire form; of one that is cut off what is there."""
    if len(wire) < 9:
        return int.from_bytes(wire[5:], "little")
    return i64(read_i32_le(wire, 5)) & 0xFFFFFFFF


def renamed(wire: bytes, real_id: int) -> bytes:
    """A command on a statement, in wire form, with the id that the backend knows."""
    return wire[:5] + real_id.to_bytes(4, "little") + wire[9:]


def sent_types(wire: bytes, num_params: int) -> bytes:
    """The types of parameters in a COM_STMT_EXECUTE; b"" when it has none, or is cut off within them."""
    flag_at = 4 + EXECUTE_HEADER + (num_params + 7) // 8
    end = flag_at + 1 + 2 * num_params
    if num_params and len(wire) >= end and wire[flag_at] != 0:
        return wire[flag_at + 1 : end]
    return b""


def sent_nulls(wire: bytes, num_params: int) -> bytes:
    """The bitmap that says which parameters of a COM_STMT_EXECUTE are NULL."""
    begin = 4 + EXECUTE_HEADER
    return wire[begin : begin + (num_params + 7) // 8]


def execution(wire: bytes, prepared: Prepared, on_backend: OnBackend) -> bytes:
    """COM_STMT_EXECUTE as this backend must get it, the types of parameters with it unless the server has the right ones.

    A packet that is too short to have what it announces goes as it is: the server says what is wrong with it.
    """
    on_backend.is_executed = True
    out = renamed(wire, on_backend.real_id)
    num_params = prepared.own.num_params
    flag_at = 4 + EXECUTE_HEADER + (num_params + 7) // 8
    if not num_params or len(wire) <= flag_at:
        return out
    if wire[flag_at] != 0:
        on_backend.types = sent_types(wire, num_params) or _UNKNOWN_TYPES
    elif on_backend.types != prepared.types:
        # without any, the server must not take those of others: NULL for all is refused like none at all
        types = prepared.types or NULL_TYPE * num_params
        payload = payload_of(out)
        at = flag_at - 4
        out = frame(payload[:at] + b"\x01" + types + payload[at + 1 :])
        on_backend.types = types
    return out


def kept_long_data(prepared: Prepared, real_id: int) -> bytes:
    """The long data that goes before the execution, in wire form."""
    long_data = prepared.long_data
    if long_data is None:
        return b""
    name = real_id.to_bytes(4, "little")
    return b"".join([frame(payload[:1] + name + payload[5:]) for payload in long_data.payloads])


def forget_types(on_backend: OnBackend) -> None:
    """An execution was refused, maybe before the server took its types."""
    on_backend.types = _UNKNOWN_TYPES


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
