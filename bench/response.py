"""Responses parsed in full, on the client's side of the wire: of the text protocol, and of binary prepared statements.

Independent of ``protocol.response`` on purpose: what Fanin relays is judged by code that Fanin does not use. One
result per command, which is all that the workloads ask for; sequence ids are checked.
("Text Resultset", "Binary Protocol Resultset", "COM_STMT_PREPARE Response", "OK_Packet", "ERR_Packet" in the MySQL
documentation.)
"""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[bytes | None, ...]

MORE_RESULTS_EXISTS = 0x0008

FIRST, COLUMNS, COLUMNS_END, ROWS, PARAMETERS, PARAMETERS_END = range(6)

# What a response looks like depends on the command.
TEXT, PREPARED, BINARY = range(3)

INTEGER_SIZES = {0x01: 1, 0x02: 2, 0x0D: 2, 0x03: 4, 0x09: 4, 0x08: 8}
"""Bytes of TINY, SHORT, YEAR, LONG, INT24, LONGLONG in a binary row."""
STRINGS = frozenset([0x00, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0x0F, 0x10])
"""Types that a binary row has as length-encoded strings; dates and floating point numbers are not among them."""
UNSIGNED = 0x20


class BadResponse(Exception):
    """The server, or the proxy in front of it, sent what is no response to our command."""


class Response:
    """One complete response. ``rows`` is None when there was no result set; ``error_code`` is 0 unless it was ERR.

    Numbers in binary rows are as the text protocol writes them.
    """

    __slots__ = (
        "affected_rows",
        "error_code",
        "error_message",
        "insert_id",
        "rows",
        "statement_id",
        "status",
        "warnings",
    )

    def __init__(self) -> None:
        self.rows: list[Row] | None = None
        self.affected_rows = 0
        self.insert_id = 0
        self.status = 0
        self.warnings = 0
        self.statement_id = 0
        self.error_code = 0
        self.error_message = ""


class ResponseReader:
    """Collects the chunks of one response at a time; ``feed`` returns it when it is complete, and starts over."""

    __slots__ = (
        "_buffered",
        "_columns",
        "_deprecate_eof",
        "_form",
        "_parameters",
        "_phase",
        "_response",
        "_sequence_id",
        "_types",
        "_width",
    )

    def __init__(self, form: int = TEXT, *, deprecate_eof: bool = False) -> None:
        self._form = form
        self._deprecate_eof = deprecate_eof
        self._buffered = b""
        self._start()

    @property
    def has_partial(self) -> bool:
        """Whether a response has begun and is not complete."""
        return bool(self._buffered) or self._phase != FIRST

    def feed(self, chunk: bytes) -> Response | None:
        """The response, if ``chunk`` completes it. Raises BadResponse, after which the connection is of no use."""
        buffer = self._buffered + chunk if self._buffered else chunk
        position, size = 0, len(buffer)
        while size - position >= 4:
            end = position + 4 + int.from_bytes(buffer[position : position + 3], "little")
            if end > size:
                break
            if end - position == 4:
                raise BadResponse("an empty packet")
            if buffer[position + 3] != self._sequence_id & 0xFF:
                raise BadResponse(f"sequence id {buffer[position + 3]}, expected {self._sequence_id & 0xFF}")
            self._sequence_id += 1
            is_last = self._packet(buffer, position + 4, end)
            position = end
            if is_last:
                if position != size:
                    raise BadResponse(f"{size - position} bytes after the end of the response")
                response = self._response
                self._buffered = b""
                self._start()
                return response
        self._buffered = buffer[position:]
        return None

    def _start(self) -> None:
        self._phase = FIRST
        self._columns = 0  # column definitions still to come
        self._parameters = 0  # definitions of parameters still to come
        self._types: list[tuple[int, bool]] = []  # of a binary row's columns: type, whether unsigned
        self._width = 0
        self._sequence_id = 1
        self._response = Response()

    def _packet(self, buffer: bytes, start: int, end: int) -> bool:
        """Take in one packet; whether it was the last one of the response."""
        header = buffer[start]
        if self._phase == ROWS:
            if header == 0xFF:
                return self._error(buffer, start, end)
            if header == 0xFE and (end - start < 9 or self._deprecate_eof):
                return self._rows_end(buffer, start, end)
            rows = self._response.rows
            assert rows is not None
            if self._form == BINARY:
                rows.append(binary_row(self._types, buffer, start, end))
            else:
                rows.append(self._row(buffer, start, end))
            return False
        if self._phase == FIRST:
            return self._first(buffer, start, end)
        return self._definition(buffer, start, end)

    def _definition(self, buffer: bytes, start: int, end: int) -> bool:
        """A column's or a parameter's definition, or the EOF behind them."""
        if self._phase == PARAMETERS:
            self._parameters -= 1
            if not self._parameters:
                self._phase = PARAMETERS_END
                return self._deprecate_eof and self._parameters_end()
        elif self._phase == COLUMNS:
            # the type and the flags stand in front of decimals and a filler ("Column Definition")
            self._types.append((buffer[end - 6], bool(buffer[end - 5] & UNSIGNED)))
            self._columns -= 1
            if not self._columns:
                self._phase = COLUMNS_END
                return self._deprecate_eof and self._columns_end()
        elif buffer[start] != 0xFE or end - start != 5:
            raise BadResponse("no EOF packet after the column definitions")
        else:
            return self._parameters_end() if self._phase == PARAMETERS_END else self._columns_end()
        return False

    def _parameters_end(self) -> bool:
        self._phase = COLUMNS
        return self._columns == 0

    def _columns_end(self) -> bool:
        self._phase = ROWS
        return self._form == PREPARED

    def _first(self, buffer: bytes, start: int, end: int) -> bool:
        header = buffer[start]
        if header == 0xFF:
            return self._error(buffer, start, end)
        if header == 0x00:
            return (
                self._prepared(buffer, start, end)
                if self._form == PREPARED
                else self._ok(buffer, start + 1, end)
            )
        if header >= 0xFB or self._form == PREPARED:
            raise BadResponse(f"a response that begins with 0x{header:02X}")
        self._columns, position = lenenc_int(buffer, start)
        if position != end:
            raise BadResponse("a column count with something behind it")
        self._width = self._columns
        self._phase = COLUMNS
        self._response.rows = []
        return False

    def _prepared(self, buffer: bytes, start: int, end: int) -> bool:
        if end - start != 12:
            raise BadResponse("a COM_STMT_PREPARE OK of a wrong length")
        self._response.statement_id = int.from_bytes(buffer[start + 1 : start + 5], "little")
        self._columns = int.from_bytes(buffer[start + 5 : start + 7], "little")
        self._parameters = int.from_bytes(buffer[start + 7 : start + 9], "little")
        self._response.warnings = int.from_bytes(buffer[start + 10 : start + 12], "little")
        self._phase = PARAMETERS if self._parameters else COLUMNS
        return not self._parameters and not self._columns

    def _row(self, buffer: bytes, position: int, end: int) -> Row:
        values: list[bytes | None] = []
        while position < end:
            length = buffer[position]
            if length < 0xFB:
                position += 1
            elif length == 0xFB:
                values.append(None)
                position += 1
                continue
            else:
                length, position = lenenc_int(buffer, position)
            values.append(buffer[position : position + length])
            position += length
        if position != end or len(values) != self._width:
            raise BadResponse(f"a row of {len(values)} values where {self._width} columns were announced")
        return tuple(values)

    def _rows_end(self, buffer: bytes, start: int, end: int) -> bool:
        if self._deprecate_eof:
            return self._ok(buffer, start + 1, end)
        if end - start != 5:
            raise BadResponse("an EOF packet of a wrong length")
        self._response.warnings = int.from_bytes(buffer[start + 1 : start + 3], "little")
        return self._status(int.from_bytes(buffer[start + 3 : start + 5], "little"))

    def _ok(self, buffer: bytes, position: int, end: int) -> bool:
        affected_rows, position = lenenc_int(buffer, position)
        insert_id, position = lenenc_int(buffer, position)
        if position + 4 > end:
            raise BadResponse("a truncated OK packet")
        if self._response.rows is None:
            self._response.affected_rows, self._response.insert_id = affected_rows, insert_id
        self._response.warnings = int.from_bytes(buffer[position + 2 : position + 4], "little")
        return self._status(int.from_bytes(buffer[position : position + 2], "little"))

    def _status(self, status: int) -> bool:
        if status & MORE_RESULTS_EXISTS:
            raise BadResponse("more results than were asked for")
        self._response.status = status
        return True

    def _error(self, buffer: bytes, start: int, end: int) -> bool:
        if end - start < 3:
            raise BadResponse("a truncated ERR packet")
        text = buffer[start + 3 : end]
        self._response.error_code = int.from_bytes(buffer[start + 1 : start + 3], "little")
        self._response.error_message = (text[6:] if text[:1] == b"#" else text).decode("utf-8", "replace")
        return True


def binary_row(types: Sequence[tuple[int, bool]], buffer: bytes, start: int, end: int) -> Row:
    """The values of a binary row, as the text protocol writes them. Raises BadResponse."""
    width = len(types)
    position = start + 1 + (width + 9) // 8
    if buffer[start] != 0x00 or position > end:
        raise BadResponse("a binary row without its header")
    values: list[bytes | None] = []
    for index, (kind, is_unsigned) in enumerate(types):
        if buffer[start + 1 + (index + 2) // 8] >> (index + 2) % 8 & 1:
            values.append(None)
        elif kind in INTEGER_SIZES:
            last = position + INTEGER_SIZES[kind]
            values.append(b"%d" % int.from_bytes(buffer[position:last], "little", signed=not is_unsigned))
            position = last
        elif kind in STRINGS:
            length, position = lenenc_int(buffer, position)
            values.append(buffer[position : position + length])
            position += length
        else:
            raise BadResponse(f"a value of type 0x{kind:02X}, which no workload asks for")
    if position != end:
        raise BadResponse(f"a binary row that does not fit its {width} columns")
    return tuple(values)


def lenenc_int(buffer: bytes, position: int) -> tuple[int, int]:
    """The length-encoded integer at ``position`` and the position after it. Raises BadResponse."""
    first = buffer[position] if position < len(buffer) else 0xFF
    if first < 0xFB:
        return first, position + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    if not width or position + 1 + width > len(buffer):
        raise BadResponse("a broken length-encoded integer")
    return int.from_bytes(buffer[position + 1 : position + 1 + width], "little"), position + 1 + width
