"""Warnings and errors that were captured, and GET DIAGNOSTICS about them. Pure.

What GET DIAGNOSTICS can tell is known from the rows of SHOW WARNINGS: level, code and text. The SQLSTATE follows from the code, but for
an error, whose ERR packet has it; on MySQL the origins follow from the SQLSTATE. All other items are empty, unless a SIGNAL has
set them: its sessions keep their backend (`DIAGNOSTICS` pin) until another statement has cleared what it raised.

So the statement is written anew as a SET of the same user variables, with values of the types that the server gives them: BIGINT
UNSIGNED, BIGINT for ROW_COUNT, utf8mb3_general_ci strings. (As `CONCAT(LEFT(VERSION(), 0), ..)`, because MySQL warns of `_utf8mb3`.) An
OK answers both statements in the same way. SET leaves ROW_COUNT() and, on MySQL, the warnings of the backend in another state than
GET DIAGNOSTICS does, but those are known here, not there (`ResidueKeeper`).

References: MySQL documentation, "GET DIAGNOSTICS Statement", "Diagnostics Area Information Items".
"""

from __future__ import annotations

import re
from typing import Final

from protocol.response import ResponseTracker
from protocol.wire import lenenc_bytes, read_lenenc_bytes
from proxy.lexer import NUMBER, SYMBOL, VARIABLE, Token
from proxy.sqlstates import sqlstate_of
from proxy.statement import SIGNALS, Statement

INVALID_CONDITION: Final = 1758
NOT_IN_HANDLER: Final = 3004
"""What MySQL answers GET STACKED DIAGNOSTICS with outside of a handler; it leaves the diagnostics as they are."""
SIGNALLED: Final = frozenset([1642, 1643, 1644])
"""Codes of what SIGNAL raises when it names none."""

# Errors of parsing, name resolution, privileges and checking of values: nothing of a single statement was executed.
# fmt: off
NOT_RUN: Final = frozenset([
    1044, 1045, 1046, 1049, 1052, 1054, 1064, 1065, 1109, 1115, 1142, 1143, 1146, 1149, 1193, 1227, 1228, 1229, 1231,
    1232, 1235, 1238, 1243, 1253, 1273, 1295, 1298, 1305, 1370, 1621, 1792, 1820, 1836,
])
# fmt: on

# Errors of rows: some may have been read, or written, before. (Overflow, subquery and INTO of more than one row, duplicate keys, values that
# do not fit, waits that were too long, interruptions.)
OF_ROWS: Final = frozenset(
    [1048, 1062, 1172, 1205, 1213, 1242, 1264, 1292, 1317, 1365, 1366, 1406, 1451, 1452, 1690, 1969]
)

_STATEMENT_ITEMS: Final = frozenset([b"number", b"row_count"])
_ORIGINS: Final = frozenset([b"class_origin", b"subclass_origin"])
_ITEMS: Final = _ORIGINS | {
    b"returned_sqlstate",
    b"mysql_errno",
    b"message_text",
    b"constraint_catalog",
    b"constraint_schema",
    b"constraint_name",
    b"catalog_name",
    b"schema_name",
    b"table_name",
    b"column_name",
    b"cursor_name",
}
# MariaDB only
_ROW_NUMBER: Final = b"row_number"


class Captured:
    """Warnings and errors that were read off a parked backend."""

    __slots__ = ("charset", "error_code", "error_count", "rows", "size", "sqlstate", "warning_count")

    def __init__(
        self,
        rows: list[bytes],
        warning_count: int,
        charset: bytes = b"utf8mb4",
        error_code: int = 0,
        sqlstate: bytes = b"",
    ) -> None:
        # payloads of the rows of SHOW WARNINGS, their texts in this character set (b"": not converted)
        self.rows: list[bytes] = rows
        self.charset: bytes = charset
        # all there were: SHOW WARNINGS has max_error_count of them at most
        self.warning_count: int = max(warning_count, len(rows), min(error_code, 1))
        self.error_count: int = max(sum([1 for row in rows if is_error(row)]), min(error_code, 1))
        # bytes
        self.size: int = sum([len(row) for row in rows])
        # code and SQLSTATE of the ERR packet, if the statement failed
        self.error_code: int = error_code
        self.sqlstate: bytes = sqlstate

    def after(self, older: Captured, most: int) -> Captured:
        """What is there when this came on top, on MySQL, where at ``most`` so many are kept (max_error_count)."""
        count = older.warning_count + self.warning_count
        rows = [*older.rows, *[recoded(row, self.charset, older.charset, False) for row in self.rows]]
        # the SQLSTATE of the older error may be all that is not known by its code
        told = older if older.error_code else self
        return Captured(rows[:most], count, older.charset, told.error_code, told.sqlstate)

    def with_invalid_condition(self) -> Captured:
        """What is there after a GET DIAGNOSTICS about a condition that is not: one more."""
        added = _row(b"Error", INVALID_CONDITION, b"Invalid condition number")
        return Captured(
            [*self.rows, added], self.warning_count + 1, self.charset, self.error_code, self.sqlstate
        )


EMPTY: Final = Captured([], 0)


def _row(level: bytes, code: int, message: bytes) -> bytes:
    return lenenc_bytes(level) + lenenc_bytes(b"%d" % code) + lenenc_bytes(message)


def is_error(row: bytes) -> bool:
    """Whether a row of SHOW WARNINGS is an error."""
    return read_lenenc_bytes(row, 0)[0] == b"Error"


def raised(code: int, sqlstate: bytes, message: bytes, charset: bytes = b"utf8mb4") -> Captured:
    """What an error leaves."""
    return Captured([_row(b"Error", code, message)], 1, charset, code, sqlstate)


def deprecated(command: bytes, instead: bytes) -> Captured:
    """What MySQL warns of when a command is used that will be removed."""
    text = b"'%s' is deprecated and will be removed in a future release. Please use %s instead"
    return Captured([_row(b"Warning", 1287, text % (command, instead))], 1)


def deprecated_found_rows() -> Captured:
    """What MySQL (8.0.17 and later) warns of when FOUND_ROWS() is used."""
    text = b"FOUND_ROWS() is deprecated and will be removed in a future release. Consider using COUNT(*) instead."
    return Captured([_row(b"Warning", 1287, text)], 1)


def is_signalled(statement: Statement, response: ResponseTracker, is_mariadb: bool) -> bool:
    """Whether SIGNAL has raised what was answered, in the text or, as its SQLSTATE shows, in a trigger: GET DIAGNOSTICS may have more to
    say of it than can be captured."""
    if not response.is_error:
        return bool(response.warnings and statement.flags & SIGNALS)
    code = response.error_code
    is_own = code not in SIGNALLED and sqlstate_of(code, is_mariadb) == response.error_sqlstate
    return bool(statement.flags & SIGNALS) or not is_own


def recoded(row: bytes, actual: bytes, wanted: bytes, is_mariadb: bool) -> bytes:
    """A row of SHOW WARNINGS in another character set, if both are known here. What that does not have is shown as a question mark, and
    on MariaDB as four hexadecimal digits after a backslash."""
    if actual == wanted:
        return row
    source, target = _CODECS.get(actual), _CODECS.get(wanted)
    if source is None or target is None or source == target:
        return row
    level, pos = read_lenenc_bytes(row, 0)
    code, pos = read_lenenc_bytes(row, pos)
    message = read_lenenc_bytes(row, pos)[0].decode(source, "replace")
    if is_mariadb and source != _UTF8:
        message = _ESCAPED.sub(_character, message)
    return lenenc_bytes(level) + lenenc_bytes(code) + lenenc_bytes(_encoded(message, target, is_mariadb))


def _character(match: re.Match[str]) -> str:
    return chr(int(match.group(1), 16))


def _encoded(message: str, target: str, is_mariadb: bool) -> bytes:
    encoded = b""
    for char in message:
        try:
            encoded += char.encode(target)
        except UnicodeEncodeError:
            encoded += b"\\%04X" % ord(char) if is_mariadb else b"?"
    return encoded


_ESCAPED: Final = re.compile(r"\\([0-9A-F]{4})")
_UTF8: Final = "utf-8"
_CODECS: Final[dict[bytes, str]] = {
    b"": "utf-8",
    b"binary": "utf-8",
    b"utf8mb4": "utf-8",
    b"utf8mb3": "utf-8",
    b"utf8": "utf-8",
    b"ascii": "ascii",
    b"latin1": "cp1252",
    b"latin2": "iso8859-2",
    b"latin5": "iso8859-9",
    b"latin7": "iso8859-13",
    b"cp1250": "cp1250",
    b"cp1251": "cp1251",
    b"cp1256": "cp1256",
    b"cp1257": "cp1257",
    b"greek": "iso8859-7",
    b"hebrew": "iso8859-8",
    b"koi8r": "koi8-r",
    b"koi8u": "koi8-u",
}


# GET DIAGNOSTICS


class Asked:
    """A GET [CURRENT] DIAGNOSTICS statement that was understood."""

    __slots__ = ("condition", "targets")

    def __init__(self, condition: int, targets: list[tuple[bytes, bytes]]) -> None:
        # the number of the condition that it asks about; -1: it asks about the statement
        self.condition: int = condition
        # user variables as written, and the item that each is to get, in lower case
        self.targets: list[tuple[bytes, bytes]] = targets


def parse_get(tokens: list[Token], is_mariadb: bool) -> Asked | None:
    """The tokens of one GET statement. None when it is another, or the server has to say what is wrong with it."""
    words = [token.word for token in tokens]
    i = 2 if words[1:2] == [b"current"] else 1
    if words[i : i + 1] != [b"diagnostics"]:
        return None
    i += 1
    condition, items = -1, _STATEMENT_ITEMS
    if words[i : i + 1] == [b"condition"]:
        number = tokens[i + 1] if i + 1 < len(tokens) else None
        if number is None or number.kind != NUMBER or not number.text.isdigit():
            return None
        condition, items = int(number.text), _ITEMS | {_ROW_NUMBER} if is_mariadb else _ITEMS
        i += 2
    targets: list[tuple[bytes, bytes]] = []
    while i + 2 < len(tokens):
        variable, sign, item = tokens[i : i + 3]
        if variable.kind != VARIABLE or sign.text != b"=" or item.word not in items:
            return None
        targets.append((variable.text, item.word))
        i += 3
        if i == len(tokens):
            return Asked(condition, targets)
        if tokens[i].kind != SYMBOL or tokens[i].text != b",":
            return None
        i += 1
    return None


def assignments(asked: Asked, captured: Captured, row_count: int, is_mariadb: bool) -> bytes | None:
    """The SET statement that does the same; None when there is no such condition, which is a warning and changes no variable."""
    if asked.condition >= 0 and not 1 <= asked.condition <= len(captured.rows):
        return None
    written = [
        variable + b"=" + _value(item, asked.condition, captured, row_count, is_mariadb)
        for variable, item in asked.targets
    ]
    return b"SET " + b",".join(written)


def _value(item: bytes, condition: int, captured: Captured, row_count: int, is_mariadb: bool) -> bytes:
    if item == b"row_count":
        return b"%d" % row_count
    if item == b"number":
        return _unsigned(len(captured.rows))
    if item == _ROW_NUMBER:
        return _unsigned(0)
    row = recoded(captured.rows[condition - 1], captured.charset, b"utf8mb4", is_mariadb)
    _, pos = read_lenenc_bytes(row, 0)
    code, pos = read_lenenc_bytes(row, pos)
    if item == b"mysql_errno":
        return _unsigned(int(code))
    if item == b"message_text":
        return _string(read_lenenc_bytes(row, pos)[0])
    is_raised = int(code) == captured.error_code and is_error(row)
    state = captured.sqlstate if is_raised else sqlstate_of(int(code), is_mariadb)
    if item == b"returned_sqlstate":
        return _string(state)
    if item in _ORIGINS and not is_mariadb:
        return _string(_origin(state))
    return _string(b"")


def _unsigned(number: int) -> bytes:
    return b"CAST(%d AS UNSIGNED)" % number


def _string(text: bytes) -> bytes:
    """An expression of the type of these items. The server has no characters beyond the BMP in messages."""
    shown = "".join([char if char <= "\uffff" else "?" for char in text.decode("utf-8", "replace")])
    return b"CONCAT(LEFT(VERSION(),0),_utf8mb4 X'" + shown.encode().hex().encode() + b"')"


_ISO_CLASSES: Final = b"01234ABCDEFGH"


def _origin(state: bytes) -> bytes:
    """MySQL: classes that begin with one of these are the standard's (ISO 9075); its subclasses have the same origin."""
    return b"ISO 9075" if state[0] in _ISO_CLASSES else b"MySQL"
