"""User variables (@x): the names a session may have assigned, reading their values off a backend, writing them on another.

Facts that decide the form (MySQL 9.7, MariaDB 10.11; the integration tests compare every type, metadata included):

- A variable has one of few types: BIGINT, signed or unsigned, DECIMAL, DOUBLE, string with a collation. Temporal values and JSON are
  strings. The definition of the column of ``SELECT @x`` has the type, also for NULL, and tells a NULL from a variable that never was.
  MariaDB keeps spatial types: those are not movable.
- ``SET @x=NULL`` leaves the type as it is; ``SET @x=0, @x=NULL`` is how a NULL of a type is written.
- No statement makes a variable as if it had never been assigned: only COM_RESET_CONNECTION does.
- Numbers come as the shortest text that stands for them, but MariaDB shows -0e0 as 0. ATAN2 tells, but refuses spatial values, so it
  is asked only about what is known to be a DOUBLE.
- INSERT and the like assign NULL to a variable that they only read. SELECT does not.
- Names are compared without case; on MySQL trailing spaces do not count, either.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.wire import read_lenenc_bytes, read_lenenc_int
from proxy.holders import PinKeeper
from proxy.lexer import unquoted
from proxy.results import packets, text_row, text_rows

MOST_NAMES: Final = 64
"""Variables of a session that is shared. More pin."""

_LONGEST_NAME: Final = 64
_MOST_DIGITS: Final = 65
_BARE_NAME: Final = re.compile(rb"@[A-Za-z0-9_$.\x80-\xff]*")
_MOVABLE_NAME: Final = re.compile(rb"[!-~](?:[ -~]*[!-~])?\Z")
_COLLATION: Final = re.compile(rb"([a-z0-9]+)(?:_[a-z0-9_]+)?\Z")

# Types and flags of columns ("Protocol::ColumnDefinition41")
_DOUBLE: Final = 5
_LONGLONG: Final = 8
_VAR_STRING: Final = 253
_NEWDECIMAL: Final = 246
_STRINGS: Final = frozenset([249, 250, 251, 252, _VAR_STRING])
_UNSIGNED: Final = 0x20
_BINARY: Final = 63
_NEVER_ASSIGNED_LENGTH: Final = 1 << 24
"""MariaDB's length of a variable that never was; any that was assigned has less, or a multiple of less."""

# Which character sets have byte sequences that are no characters, which a literal would refuse: the codec that knows them. All bytes are
# characters in those of _SINGLE; of others only ASCII is taken for granted.
_CODECS: Final[dict[bytes, str]] = {
    b"ascii": "ascii",
    b"utf8mb4": "utf-8",
    b"utf8mb3": "utf-8",
    b"utf8": "utf-8",
    b"utf16": "utf-16-be",
    b"utf16le": "utf-16-le",
    b"utf32": "utf-32-be",
    b"ucs2": "utf-16-be",
}
# fmt: off
_SINGLE: Final = frozenset([
    b"armscii8", b"binary", b"cp1250", b"cp1251", b"cp1256", b"cp1257", b"cp850", b"cp852", b"cp866", b"dec8", b"geostd8",
    b"greek", b"hebrew", b"hp8", b"keybcs2", b"koi8r", b"koi8u", b"latin1", b"latin2", b"latin5", b"latin7", b"macce",
    b"macroman", b"swe7", b"tis620",
])
# fmt: on


# What came of a capture.
CAPTURED: Final = 0  # the backend is free
CAPTURING: Final = 1  # there is more to ask: `capture_commands` again
KEEPS_WARNINGS: Final = 2  # the session must keep its backend, because of its warnings
KEEPS_VARIABLES: Final = 3  # because of its user variables


class UserVariables:
    """The user variables of a session, or of a backend. Never changed once made: a session and a backend that have the same object have
    the same variables."""

    __slots__ = ("has_others", "names", "values")

    def __init__(
        self, names: tuple[bytes, ...], values: dict[bytes, bytes] | None, has_others: bool = False
    ) -> None:
        # all that may exist, but for others
        self.names: tuple[bytes, ...] = names
        # for each that does exist the items of a SET that make it so; None: only the backend knows
        self.values: dict[bytes, bytes] | None = values
        # MariaDB: there may be others, of names that only the backend knows (`unexplained`)
        self.has_others: bool = has_others


def name_of(written: bytes, is_escaping: bool) -> bytes | None:
    """The name in lower case of a variable as it is written, @ included; b"" for what cannot be assigned; None if it cannot be moved."""
    if written[1:2] in (b"'", b'"', b"`"):
        name = unquoted(written[1:], is_escaping)
    else:
        bare = _BARE_NAME.match(written)
        name = written[1:] if bare is None else bare.group()[1:]
    if not name:
        return b""
    if len(name) > _LONGEST_NAME or _MOVABLE_NAME.match(name) is None or b"`" in name or b"\\" in name:
        return None
    return name.lower()


def assigned(before: UserVariables | None, names: tuple[bytes, ...]) -> UserVariables:
    """The variables after these may have been assigned."""
    known = () if before is None else before.names
    has_others = before is not None and before.has_others
    return UserVariables(tuple(dict.fromkeys(known + names)), None, has_others)


def with_others(before: UserVariables | None) -> UserVariables:
    """The same when there is no telling which."""
    return UserVariables(() if before is None else before.names, None, has_others=True)


def overwrites(wanted: UserVariables | None, actual: UserVariables | None) -> bool:
    """Whether `restore_command` makes a backend with ``actual`` have what is ``wanted``, and nothing else."""
    if actual is None:
        return True
    if wanted is None or wanted.values is None or actual.has_others:
        return False
    return all([name in wanted.values for name in actual.names])


def restore_command(variables: UserVariables) -> bytes:
    """The payload that assigns the known values: ASCII, the same under every sql_mode and character set."""
    assert variables.values is not None, "values that only a backend knows"
    return b"\x03SET " + b",".join(variables.values.values())


# Reading them


NAMES_COMMAND: Final = b"\x03SELECT HEX(VARIABLE_NAME) FROM information_schema.USER_VARIABLES LIMIT %d" % (
    MOST_NAMES + 1
)
"""The payload that asks MariaDB which there are. It needs no privilege; it is refused if that plugin is off, or max_join_size is small. (Not with
SET STATEMENT, whose end the server reports with the next statement.)"""


def capture_command(variables: UserVariables, limit: int) -> bytes:
    """The payload that asks for all of them, with their types. There is no row in the answer if the values have more than ``limit`` bytes."""
    items: list[bytes] = []
    lengths: list[bytes] = []
    for name in variables.names:
        v = b"@`" + name + b"`"
        items.append(b"%s,COLLATION(%s),HEX(CONCAT(_binary'',%s))" % (v, v, v))
        lengths.append(b"COALESCE(LENGTH(%s),0)" % v)
    return b"\x03SELECT %s HAVING %s<=%d LIMIT 1" % (b",".join(items), b"+".join(lengths), limit)


_COLUMNS: Final = 3
"""Columns of the answer for each name."""


def read_values(variables: UserVariables, answer: bytes) -> dict[bytes, bytes] | None:
    """What the answer says, as the items of a SET by name, without those that do not exist. None when something is not movable."""
    payloads = packets(answer)
    count, _ = read_lenenc_int(payloads[0], 0)
    if len(payloads) != count + 3:
        return None
    row = text_row(payloads[count + 1], count)
    values: dict[bytes, bytes] = {}
    i = 0
    for name in variables.names:
        literal = _literal(payloads[1 + i], row[i], row[i + 1], row[i + 2])
        i += _COLUMNS
        if literal is None:
            return None
        if literal:
            item = b"@`" + name + b"`="
            is_null = row[i - _COLUMNS] is None
            values[name] = item + literal + b"," + item + b"NULL" if is_null else item + literal
    return values


def size_of(values: dict[bytes, bytes]) -> int:
    """Bytes that they take."""
    return sum([len(item) for item in values.values()])


def zeros(values: dict[bytes, bytes]) -> list[bytes]:
    """The names of those whose sign MariaDB does not show."""
    return [name for name, item in values.items() if item.endswith(_ZERO)]


def sign_command(names: list[bytes]) -> bytes:
    """The payload that asks for the signs of `zeros`."""
    return b"\x03SELECT %s LIMIT 1" % b",".join([b"ATAN2(@`%s`,-1)<0" % name for name in names])


def with_signs(values: dict[bytes, bytes], names: list[bytes], answer: bytes) -> dict[bytes, bytes]:
    """The values with what `sign_command` was answered."""
    signs = text_rows(answer)[0]
    signed = dict(values)
    for i in range(len(names)):
        if _ascii(signs[i]) == b"1":
            signed[names[i]] = b"@`" + names[i] + b"`=-0e0"
    return signed


_ZERO: Final = b"`=0e0"


def _literal(
    definition: bytes, value: bytes | None, collation: bytes | None, hexed: bytes | None
) -> bytes | None:
    """The expression for a value, or for any of its type when it is NULL; b"" when there is no such variable; None if there is none."""
    kind, flags, collation_id, length = _type_of(definition)
    if kind in _STRINGS:
        if (
            value is None
            and collation_id == _BINARY
            and (kind == _VAR_STRING or length == _NEVER_ASSIGNED_LENGTH)
        ):
            return b""
        if value is not None and hexed is None:
            return None
        return _string(_ascii(collation), _ascii(hexed))
    number = b"0" if value is None else _ascii(value)
    if kind == _LONGLONG:
        return b"CAST(%s AS UNSIGNED)" % number if flags & _UNSIGNED else number
    if kind == _NEWDECIMAL:
        if len(number.strip(b"-").replace(b".", b"")) > _MOST_DIGITS:
            return None
        return number if b"." in number else number + b"."
    if kind == _DOUBLE:
        return number if b"e" in number else number + b"e0"
    return None


def _ascii(value: bytes | None) -> bytes:
    """ASCII that may have come in UTF-16 or UTF-32, as character_set_results says."""
    return b"" if value is None else value.replace(b"\0", b"")


def _type_of(definition: bytes) -> tuple[int, int, int, int]:
    """Type, flags, collation id and length of a column ("Protocol::ColumnDefinition41")."""
    pos = 0
    for _ in range(6):
        _, pos = read_lenenc_bytes(definition, pos)
    pos += 1
    collation = int.from_bytes(definition[pos : pos + 2], "little")
    length = int.from_bytes(definition[pos + 2 : pos + 6], "little")
    flags = int.from_bytes(definition[pos + 7 : pos + 9], "little")
    return definition[pos + 6], flags, collation, length


def _string(collation: bytes, hexed: bytes) -> bytes | None:
    """A string of exactly these bytes; None if they are no characters."""
    found = _COLLATION.match(collation)
    if found is None:
        return None
    charset = found.group(1)
    if not _is_well_formed(charset, bytes.fromhex(hexed.decode("ascii"))):
        return None
    if charset == b"binary":
        return b"_binary x'%s'" % hexed
    return b"_%s x'%s' COLLATE %s" % (charset, hexed, collation)


def _is_well_formed(charset: bytes, text: bytes) -> bool:
    if charset in _SINGLE:
        return True
    codec = _CODECS.get(charset)
    if codec is None:
        return text.isascii()
    try:
        text.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


class VariablesKeeper(PinKeeper):
    """The part of a session that is its user variables. The base of `ResidueKeeper`."""

    __slots__ = ("_zeros", "variables")

    def __init__(self) -> None:
        super().__init__()
        # None when there are none. The values are known unless USER_VARIABLES is in `residue`
        self.variables: UserVariables | None = None
        # during a capture: those whose sign has still to be asked for
        self._zeros: list[bytes] = []

    def variables_captured(self, answer: bytes, limit: int, is_mariadb: bool) -> int:
        """The answer to `capture_command`: CAPTURED, CAPTURING (`zeros_commands` are next) or KEEPS_VARIABLES."""
        variables = self.variables
        assert variables is not None
        values = read_values(variables, answer)
        if values is None or size_of(values) > limit:
            return KEEPS_VARIABLES
        self.variables = UserVariables(tuple(values), values) if values else None
        self._zeros = zeros(values) if is_mariadb else []
        return CAPTURING if self._zeros else CAPTURED

    def names_captured(self, answer: bytes | None) -> int:
        """The answer to `NAMES_COMMAND`, None when it was refused: CAPTURED if there are none, CAPTURING or KEEPS_VARIABLES."""
        if answer is None:
            return KEEPS_VARIABLES
        found = [bytes.fromhex(_ascii(row[0]).decode("ascii")) for row in text_rows(answer)]
        names = [name_of(b"@`" + name.replace(b"`", b"``") + b"`", False) for name in found]
        movable = tuple([name for name in names if name])
        if len(movable) < len(found) or len(found) > MOST_NAMES:
            return KEEPS_VARIABLES
        self.variables = UserVariables(movable, None) if movable else None
        return CAPTURING if movable else CAPTURED

    def zeros_commands(self) -> list[bytes]:
        """Payloads that are next when the result was CAPTURING; [] otherwise."""
        return [sign_command(self._zeros)] if self._zeros else []

    def signs_known(self, answer: bytes) -> None:
        """Their answer."""
        variables = self.variables
        assert variables is not None and variables.values is not None
        self.variables = UserVariables(variables.names, with_signs(variables.values, self._zeros, answer))
        self._zeros = []
