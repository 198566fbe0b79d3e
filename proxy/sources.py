"""What prepared statements are made of: a text in one state, kept once for all sessions and backends that have it. Pure.

What a statement means is fixed when it is prepared (default schema, sql_mode, character sets), so it is known by its text *and* the
state vector of that moment, without the variables of transactions (`Vector.of_preparation`). Two more things tell statements on one backend apart:

- A *number* other than 0: an open cursor, or long data on the server. That one belongs to one statement of one session, and MySQL 9.7
  answers every execution without a cursor that follows one with a cursor on the same statement in a way that no client can read.
- The *shape*: MySQL keeps the types with which a statement was executed first. `SELECT ?` that was executed with a number gives a
  number for the string of the next execution, 0 for 'abc'; a NULL changes nothing, whatever its type. MariaDB goes by the types of each
  execution, but takes long data for what the parameter was in the execution before, a number for instance: statements with long data have
  shapes of their own (`LONG`).

Sources are compared by identity: equal ones are the same object as long as somebody uses it.
"""

from __future__ import annotations

from typing import Final
from weakref import WeakValueDictionary

from proxy.statement import Statement
from proxy.vector import Vector

LONG: Final = b"L"
"""What the shape of a statement begins with that is executed with long data."""

NULL_TYPE: Final = b"\6\0"
"""The type of a parameter that is always NULL."""

_Key = tuple[Vector, bytes, int, bytes]

_NEUTRAL: Final = ord(".")
_INTEGERS: Final = frozenset({1, 2, 3, 8, 9, 13})
# types of parameters ("Binary Protocol Value") by what MySQL makes of them: decimal, floating point, date, time, moment
_KINDS: Final = {0: "d", 246: "d", 4: "f", 5: "f", 10: "a", 11: "t", 7: "m", 12: "m"}
# MySQL 9.7, Prepared_statement::check_parameter_types, tried for every pair: with which later types it stays as it is
_KEPT: Final = {
    _NEUTRAL: b"",
    ord("i"): b"i",
    ord("u"): b"u",
    ord("d"): b"iud",
    ord("f"): b"iudf",
    ord("a"): b"iuda",
    ord("t"): b"iudftm",
    ord("m"): b"iudfatm",
}


class Source:
    """One text as it was prepared in one state. Made by `Sources` only, and never changed."""

    __slots__ = ("__weakref__", "num_params", "number", "shape", "statement", "text", "types", "vector")

    def __init__(
        self,
        key: _Key,
        statement: Statement,
        num_params: int,
    ) -> None:
        self.vector, self.text, self.number, self.shape = key
        # what its text says; applied when it is executed
        self.statement: Statement = statement
        self.num_params: int = num_params
        # types of parameters that somebody sent last: most send the same ones, and keep the same object
        self.types: bytes = b""

    def interned(self, types: bytes) -> bytes:
        """The same types, as one object for all that use them."""
        if types != self.types:
            self.types = types
        return self.types


class Sources:
    """All sources that somebody uses. What nobody uses any more is forgotten."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: WeakValueDictionary[_Key, Source] = WeakValueDictionary()

    def find(self, vector: Vector, text: bytes, statement: Statement, num_params: int) -> Source:
        """The source of a statement that was just prepared."""
        return self._find((vector, text, 0, b""), statement, num_params)

    def variant(self, source: Source, text: bytes, number: int, shape: bytes) -> Source:
        """The same with another text (which means the same), number or shape."""
        if source.number == number and source.shape == shape and source.text == text:
            return source
        return self._find((source.vector, text, number, shape), source.statement, source.num_params)

    def _find(self, key: _Key, statement: Statement, num_params: int) -> Source:
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Source(key, statement, num_params)
        return found

    def __len__(self) -> int:
        return len(self._by_key)


def shape_after(shape: bytes, types: bytes) -> bytes:
    """What MySQL keeps of the types of parameters after an execution with ``types``, given what it kept before; b"" when it has seen
    nothing but strings and NULLs, which change nothing."""
    actual = bytes([_kind(types[at], types[at + 1]) for at in range(0, len(types), 2)])
    before = shape or b"." * len(actual)
    for kept, kind in zip(before, actual, strict=True):
        if kind not in (_NEUTRAL, kept) and kind not in _KEPT[kept]:
            return actual
    return shape


def is_any_text(types: bytes) -> bool:
    """Whether any of these parameters is text, or bytes."""
    return any(
        [
            _kind(types[at], types[at + 1]) == _NEUTRAL and types[at] != NULL_TYPE[0]
            for at in range(0, len(types), 2)
        ]
    )


def without_nulls(types: bytes, nulls: bytes) -> bytes:
    """The types that MySQL looks at: a NULL has none. ``nulls``: the bitmap of the execution, or less when that is cut off."""
    if not nulls.strip(b"\0") or 16 * len(nulls) < len(types):
        return types
    kinds: list[bytes] = []
    for at in range(0, len(types), 2):
        is_null = nulls[at // 16] >> (at // 2 % 8) & 1
        kinds.append(NULL_TYPE if is_null else types[at : at + 2])
    return b"".join(kinds)


def _kind(code: int, flags: int) -> int:
    if code in _INTEGERS:
        return ord("u" if flags & 0x80 else "i")
    return ord(_KINDS.get(code, "."))
