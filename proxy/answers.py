"""Answers of our own to bare questions about residue, in the exact form of the servers. Pure."""

from __future__ import annotations

from typing import Final

from protocol.framing import frame
from protocol.packets import Column, build_eof, build_ok
from protocol.wire import lenenc_bytes, lenenc_int, read_lenenc_int
from proxy.diagnostics import Captured, is_error, recoded
from proxy.statement import Question, Statement

_EOF_HEADER: Final = 0xFE
_ERR_HEADER: Final = 0xFF
_EOF_SIZE: Final = 9


def number_answer(
    statement: Statement,
    number: int | None,
    *,
    status: int,
    warnings: int,
    deprecate_eof: bool,
    is_mariadb: bool,
) -> bytes:
    """The wire form of the one-row answer to a bare question about a number, as the server would give it; None: without the row."""
    title, flags, kind, length = statement.title, 0xA1, _LONGLONG, 21
    question = statement.question
    if question in (Question.ROW_COUNT, Question.FOUND_ROWS):
        flags = 0x81
    elif question == Question.CONNECTION_ID:
        if is_mariadb:
            kind, length = _LONG, 10
    elif question != Question.LAST_INSERT_ID:
        flags = 0xA0
        title = _COUNT_TITLES.get(question, title)
    column = Column(title, kind, length=length, collation=_BINARY, flags=flags)
    rows = [] if number is None else [lenenc_bytes(b"%d" % number)]
    return _result_set([column], rows, status, warnings, deprecate_eof)


def diagnostics_rows(
    statement: Statement, captured: Captured | None, charset: bytes, is_mariadb: bool
) -> list[bytes]:
    """The rows of SHOW WARNINGS or SHOW ERRORS in a character set (``character_set_results``), its LIMIT applied."""
    if captured is None:
        return []
    rows = captured.rows
    if charset != captured.charset:
        rows = [recoded(row, captured.charset, charset, is_mariadb) for row in rows]
    if statement.question == Question.SHOW_ERRORS:
        rows = [row for row in rows if is_error(row)]
    if statement.limit is not None:
        offset, count = statement.limit
        rows = rows[offset : offset + count]
    return rows


def diagnostics_answer(
    rows: list[bytes], *, charset: bytes, collation: bytes, status: int, deprecate_eof: bool, is_mariadb: bool
) -> bytes:
    """The wire form of the answer to SHOW WARNINGS or SHOW ERRORS.

    ``charset``, ``collation``: the session's character_set_results and the collation that came with it, if it is not its own.
    """
    own_id, width = _CHARSETS.get(charset.lower(), (8, 1))
    if charset == b"utf8mb4" and is_mariadb:
        own_id = 45
    collation_id = _COLLATIONS.get(collation, own_id)
    decimals = 39 if is_mariadb else 31
    columns = [
        Column(b"Level", length=7 * width, collation=collation_id, flags=1, decimals=decimals),
        Column(b"Code", _LONG, length=4 if is_mariadb else 5, collation=_BINARY, flags=0xA1),
        Column(b"Message", length=512 * width, collation=collation_id, flags=1, decimals=decimals),
    ]
    return _result_set(columns, rows, status, 0, deprecate_eof)


def _result_set(
    columns: list[Column], rows: list[bytes], status: int, warnings: int, deprecate_eof: bool
) -> bytes:
    payloads = [lenenc_int(len(columns))]
    payloads.extend([column.build() for column in columns])
    if not deprecate_eof:
        payloads.append(build_eof(status, warnings))
    payloads.extend(rows)
    if deprecate_eof:
        payloads.append(build_ok(status=status, warnings=warnings, header=_EOF_HEADER))
    else:
        payloads.append(build_eof(status, warnings))
    return b"".join([frame(payload, (i + 1) & 0xFF) for i, payload in enumerate(payloads)])


_LONG: Final = 3
_LONGLONG: Final = 8
_BINARY: Final = 63
_COUNT_TITLES: Final[dict[int, bytes]] = {
    Question.COUNT_WARNINGS: b"@@session.warning_count",
    Question.COUNT_ERRORS: b"@@session.error_count",
}
# Ids of collations that clients ask for by name or by their handshake's id. Others are shown as the character set's own.
_COLLATIONS: Final[dict[bytes, int]] = {
    b"utf8mb4_general_ci": 45,
    b"utf8mb4_bin": 46,
    b"utf8mb4_unicode_ci": 224,
    b"utf8mb4_unicode_520_ci": 246,
    b"utf8mb4_0900_ai_ci": 255,
    b"utf8mb4_0900_as_cs": 278,
    b"utf8mb4_0900_as_ci": 305,
    b"utf8mb4_0900_bin": 309,
    b"utf8mb3_general_ci": 33,
    b"utf8_general_ci": 33,
    b"utf8mb3_bin": 83,
    b"utf8_bin": 83,
    b"utf8mb3_unicode_ci": 192,
    b"utf8_unicode_ci": 192,
    b"latin1_swedish_ci": 8,
    b"latin1_bin": 47,
    b"latin1_general_ci": 48,
    b"latin1_general_cs": 49,
    b"latin1_german1_ci": 5,
    b"latin1_german2_ci": 31,
    b"ascii_general_ci": 11,
    b"ascii_bin": 65,
}
# Character set -> (id of the collation that definitions of columns name, bytes of its longest character). b"": NULL.
_CHARSETS: Final[dict[bytes, tuple[int, int]]] = {
    b"": (33, 3),
    b"utf8mb4": (255, 4),
    b"utf8mb3": (33, 3),
    b"utf8": (33, 3),
    b"latin1": (8, 1),
    b"ascii": (11, 1),
    b"binary": (63, 1),
    b"latin2": (9, 1),
    b"latin5": (30, 1),
    b"latin7": (41, 1),
    b"cp1250": (26, 1),
    b"cp1251": (51, 1),
    b"cp1256": (57, 1),
    b"cp1257": (59, 1),
    b"cp850": (4, 1),
    b"cp852": (40, 1),
    b"cp866": (36, 1),
    b"greek": (25, 1),
    b"hebrew": (16, 1),
    b"koi8r": (7, 1),
    b"koi8u": (22, 1),
    b"tis620": (18, 1),
    b"gbk": (28, 2),
    b"gb2312": (24, 2),
    b"gb18030": (248, 4),
    b"big5": (1, 2),
    b"sjis": (13, 2),
    b"cp932": (95, 2),
    b"ujis": (12, 3),
    b"eucjpms": (97, 3),
    b"euckr": (19, 2),
    b"utf16": (54, 4),
    b"utf16le": (56, 4),
    b"utf32": (60, 4),
    b"ucs2": (35, 2),
}


def counting(wire: bytes, warnings: int) -> bytes:
    """An answer of one packet with this many warnings in its OK or EOF; an error as it is."""
    header, pos = wire[4], 5
    if header == _ERR_HEADER:
        return wire
    if header != _EOF_HEADER or len(wire) > _EOF_SIZE:
        # affected rows, insert id, status flags
        _, pos = read_lenenc_int(wire, pos)
        _, pos = read_lenenc_int(wire, pos)
        pos += 2
    return wire[:pos] + warnings.to_bytes(2, "little") + wire[pos + 2 :]


def warned_ok(status: int, warnings: int) -> bytes:
    """The wire form of an OK that only has warnings."""
    return frame(build_ok(status=status, warnings=warnings), 1)
