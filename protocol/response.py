"""ResponseTracker: the one authority on where a response ends, what its status was, and what the client gets.

Theory of operation
===================

The tracker follows one backend, response after response. What a packet is depends on the command and on where in
the response we are, never on the first byte alone: 0x00 is an OK, a prepared statement's id or a binary row, 0xFE an
EOF, an OK or a row with a 16 MiB value, 0xFB a NULL or a request for a file. Hence states:

=================  ================================================  ========================================
state              what comes next                                   then
=================  ================================================  ========================================
_FIRST             OK, ERR, a request for a file, a column count     end, _INFILE, _DEFINITIONS
_SIMPLE            OK, ERR, EOF (commands without result sets)       end
_PREPARED          OK of COM_STMT_PREPARE, ERR                       _DEFINITIONS, end
_DEFINITIONS       so many column definitions                        _BORDER
_BORDER            the EOF behind them, or the place where it is     _ROWS, end; COM_STMT_PREPARE:
                   missing; needs no packet under DEPRECATE_EOF      _DEFINITIONS of the columns, end
_ROWS              rows, then EOF or OK(0xFE) or ERR                 end
_FIELDS            COM_FIELD_LIST: definitions, then as _ROWS        end
_STRING            COM_STATISTICS: one packet of text                end
_INFILE            nothing: the client is sending a file             _FIRST by infile_sent()
_DONE              nothing: any byte is an error
=================  ================================================  ========================================

"end" is the end of one result: with SERVER_MORE_RESULTS_EXISTS it is _FIRST again, otherwise _DONE. ERR is always
_DONE, whatever was announced before ("COM_QUERY Response", "Multi-Resultset").

What a direct connection shows, and so what a client must get ("OK_Packet", "EOF_Packet", "Text Resultset"):

* Without CLIENT_DEPRECATE_EOF there is an EOF behind the definitions and another behind the rows; with it only an
  OK with header 0xFE behind the rows. A result set that becomes a cursor ends behind its definitions: with one EOF,
  or one OK(0xFE), that has SERVER_STATUS_CURSOR_EXISTS.
* The status of an EOF that we insert behind definitions is known only when the rows end, and EOF clients look there
  for PS_OUT_PARAMS and CURSOR_EXISTS. So the rows are held back up to _HOLD_LIMIT bytes: if they end within, the
  status is exact, otherwise it is the last status known, reduced to its lasting flags. That delays nothing, since the
  server collects as much before it sends; and the outcome does not depend on where chunks are cut.
* MySQL, not MariaDB, lacks PS_OUT_PARAMS and MORE_RESULTS_EXISTS in the EOF behind a row of OUT parameters although
  it has them in the one in front, and another result does follow: they hold for both.
* An OK whose trackers the client did not ask for loses them, and 0x4000 with them. An EOF client cannot be given those at
  the end of a result set: they are dropped, but for the schema (SchemaDebt).
* Inserting or removing a packet shifts all sequence ids behind it, up to the end of the whole response.

How bytes go through: the steps of the machine only walk, with positions in the current chunk, and tell the Rewriter
where something changes. Held back are: a header cut off, control packets until they are whole (all are bounded),
and what the second rule above asks for.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import out_of_order
from protocol.outcome import Outcome
from protocol.packets import OkPacket, parse_eof, parse_ok
from protocol.rewrite import Rewriter
from protocol.scan import is_empty_at, length_at
from protocol.session_track import DEFAULT_TRACK_FILTER as DEFAULT_TRACK_FILTER
from protocol.session_track import TrackFilter as TrackFilter
from protocol.session_track import translated_changes
from protocol.wire import malformed, read_lenenc_int

# States.
_FIRST: Final = 0
_SIMPLE: Final = 1
_PREPARED: Final = 2
_DEFINITIONS: Final = 3
_BORDER: Final = 4
_ROWS: Final = 5
_FIELDS: Final = 6
_STRING: Final = 7
_INFILE: Final = 8
_DONE: Final = 9

# Commands (constants.Command as plain integers, as are the flags below).
_COM_QUIT: Final = 0x01
_COM_QUERY: Final = 0x03
_COM_FIELD_LIST: Final = 0x04
_COM_STATISTICS: Final = 0x09
_COM_PROCESS_INFO: Final = 0x0A
_COM_CHANGE_USER: Final = 0x11
_COM_BINLOG_DUMP: Final = 0x12
_COM_TABLE_DUMP: Final = 0x13
_COM_STMT_PREPARE: Final = 0x16
_COM_STMT_EXECUTE: Final = 0x17
_COM_STMT_SEND_LONG_DATA: Final = 0x18
_COM_STMT_CLOSE: Final = 0x19
_COM_STMT_FETCH: Final = 0x1C
_COM_BINLOG_DUMP_GTID: Final = 0x1E
_COM_STMT_BULK_EXECUTE: Final = 0xFA

# Status flags.
_MORE_RESULTS: Final = 0x0008
_CURSOR_EXISTS: Final = 0x0040
_PS_OUT_PARAMS: Final = 0x1000
_STATE_CHANGED: Final = 0x4000
# IN_TRANS, AUTOCOMMIT, NO_BACKSLASH_ESCAPES, IN_TRANS_READONLY, ANSI_QUOTES: what holds from statement to statement.
_LASTING: Final = 0x0001 | 0x0002 | 0x0200 | 0x2000 | 0x8000
# What the EOF behind the definitions does not have though the one behind the rows does: LAST_ROW_SENT,
# QUERY_WAS_SLOW and SESSION_STATE_CHANGED.
_NOT_BEFORE_ROWS: Final = 0x0080 | 0x0800 | 0x4000

_MAX_PAYLOAD: Final = 0xFFFFFF
_NO_LIMIT: Final = 1 << 62
# Longest control packet (OK, ERR, file name ...) that is waited for. Servers cut messages at some 512 bytes; values
# of system variables and sets of GTIDs may be longer.
_CONTROL_LIMIT: Final = 1 << 20
# Of an EOF, with its header.
_EOF_SIZE: Final = 9
# Longest stretch of rows that is held back to see whether they end: the default of net_buffer_length, which is what
# the server's own buffer holds.
_HOLD_LIMIT: Final = 1 << 14


class ResponseTracker(Outcome):
    """Follows the responses of one server connection and translates them for whichever client they are for.

    Call begin() for each command sent, feed() for each chunk received until is_complete; the attributes of Outcome
    tell what the response said. Exactly one command is under way at a time. After a RemoteProtocolError the server
    connection is of no further use, nor is the tracker.
    """

    __slots__ = (
        "_client_track",
        "_command",
        "_held",
        "_inserts_eof",
        "_is_split",
        "_left",
        "_needed",
        "_removes_eof",
        "_rewriter",
        "_sequence_id",
        "_server_deprecate_eof",
        "_server_track",
        "_skip",
        "_state",
        "_sticky",
        "_then_columns",
        "is_complete",
        "is_infile",
    )

    def __init__(self, *, deprecate_eof: bool, session_track: bool) -> None:
        """The capabilities are those negotiated with the server."""
        super().__init__()
        self._server_deprecate_eof: bool = deprecate_eof
        self._server_track: bool = session_track
        # The response has ended, nothing more may come.
        self.is_complete: bool = True
        # The server waits for a file of the client's; see infile_sent().
        self.is_infile: bool = False
        # --- the machine
        self._state: int = _DONE
        self._command: int = 0
        self._sequence_id: i64 = 0  # of the next packet from the server
        self._left: i64 = 0  # definitions still to come
        # COM_STMT_PREPARE: definitions of columns that follow those of parameters
        self._then_columns: int = 0
        self._is_split: bool = False  # the last packet of a row was full: the next one belongs to it
        self._sticky: int = 0  # flags of the EOF behind the definitions that hold for the one behind the rows
        # --- the translation
        self._client_track: TrackFilter | None = None
        self._inserts_eof: bool = False
        self._removes_eof: bool = False
        self._rewriter: Rewriter = Rewriter()
        # --- the chunk
        self._skip: i64 = 0  # bytes of the last packet that are still to come and are passed on unseen
        self._held: bytes = b""  # held back, beginning with a header
        self._needed: i64 = 0  # so many bytes from there on it takes to get any further

    def begin(
        self, command: int, client_deprecate_eof: bool, client_track: TrackFilter | None, status: int
    ) -> None:
        """A command is being sent to the server: what comes next is its response.

        The capabilities are those of the client that is to get it; client_track is None without
        CLIENT_SESSION_TRACK. status is the last known status of the session, for EOF packets that have to be made.
        Raises LocalProtocolError when another response is under way or the one to the command cannot be followed (COM_CHANGE_USER ..).
        """
        if not self.is_complete:
            raise LocalProtocolError("a response is under way")
        self._state = _state_after(command)
        self._command = command
        self.is_complete = self._state == _DONE
        self._clear(status)
        # the rows of a cursor come without their definitions
        self.has_result_set = command == _COM_STMT_FETCH
        self.ends_in_rows = self.has_result_set
        self._sequence_id = 1
        self._inserts_eof = self._server_deprecate_eof and not client_deprecate_eof
        self._removes_eof = client_deprecate_eof and not self._server_deprecate_eof
        self._client_track = client_track
        self._rewriter.reset()

    def count_on(self, sequence_id: int, client_sequence_id: int) -> None:
        """The command took several packets (framing.answer_id): the server's answer begins with sequence_id, and the client,
        whose command may have been split elsewhere, expects client_sequence_id. To be called right after begin."""
        self._sequence_id = sequence_id
        self._rewriter.shift = (client_sequence_id - sequence_id) & 0xFF

    def feed(self, chunk: bytes) -> bytes:
        """Takes what came from the server; returns what the client must be sent for it.

        That is the same object when nothing needs translation, and empty when everything is held back. Raises
        RemoteProtocolError for whatever a server may not send here, bytes after the end of the response included.
        """
        if self._held:
            chunk = self._held + chunk
            if len(chunk) < self._needed:
                self._held = chunk
                return b""
            self._held = b""
        size: i64 = len(chunk)
        pos: i64 = self._skip
        self._skip = 0
        self._rewriter.enter(pos)
        while pos <= size:
            if self.is_complete:
                if pos < size:
                    raise RemoteProtocolError(f"{size - pos} bytes after the end of the response")
                break
            after = self._step(chunk, pos)
            if after < 0:
                if pos < size:
                    self._held = chunk[pos:]
                    self._needed = -after
                break
            pos = after
        if pos > size:
            self._skip = pos - size
            pos = size
        return self._rewriter.leave(chunk, pos)

    def infile_sent(self, next_sequence_id: int) -> None:
        """The empty packet that ends the client's file was sent to the server, whose OK or ERR comes next.

        next_sequence_id is the id that it will have (framing.FileReader.server_sequence_id).
        """
        if not self.is_infile:
            raise LocalProtocolError("the server has not asked for a file")
        self.is_infile = False
        self._state = _FIRST
        self._sequence_id = next_sequence_id

    @property
    def sequence_id(self) -> int:
        """The id of the server's next packet; while is_infile, that of the next packet which the server expects."""
        return self._sequence_id

    @property
    def client_sequence_id(self) -> int:
        """The same as the client counts."""
        return (self._sequence_id + self._rewriter.shift) & 0xFF

    # ----------------------------------------------------------------------------------------------- the machine
    #
    # A step looks at the chunk from pos on and returns the position behind what it has dealt with, or, when it takes
    # n bytes from pos on to get any further, -n.

    def _step(self, chunk: bytes, pos: i64) -> i64:
        state = self._state
        if state == _ROWS:
            return self._step_rows(chunk, pos)
        if state == _DEFINITIONS:
            return self._step_definitions(chunk, pos)
        if state == _BORDER:
            return self._step_border(chunk, pos)
        if state == _FIELDS:
            return self._step_fields(chunk, pos)
        if state == _INFILE:
            if pos < len(chunk):
                raise RemoteProtocolError("the server sends although it waits for a file")
            return -1
        end = self._control_packet(chunk, pos)
        if end < 0:
            return end
        if chunk[pos + 4] == 0xFF:
            self._error(chunk, pos, end)
        elif state == _FIRST:
            self._first(chunk, pos, end)
        elif state == _PREPARED:
            self._prepared(chunk, pos, end)
        elif state == _STRING:
            self.results += 1
            self._finish()
        else:
            self._simple(chunk, pos, end)
        return end

    def _control_packet(self, chunk: bytes, pos: i64) -> i64:
        """The end of the packet at pos, which must be whole and not empty, as a step returns it."""
        size: i64 = len(chunk)
        if pos + 4 > size:
            return -4
        got: i64 = chunk[pos + 3]
        length = length_at(chunk, pos)
        if got != self._sequence_id:
            raise out_of_order(self._sequence_id, got)
        if length == 0 or length > _CONTROL_LIMIT:
            raise malformed(f"{length} bytes where an OK, ERR, EOF or the like is expected")
        end: i64 = pos + 4 + length
        if end > size:
            return pos - end
        self._sequence_id = (got + 1) & 0xFF
        return end

    def _first(self, chunk: bytes, pos: i64, end: i64) -> None:
        """The first packet of a result of COM_QUERY or COM_STMT_EXECUTE, ERR excepted."""
        first = chunk[pos + 4]
        if first == 0x00:
            self._ok(chunk, pos, end)
            self.ends_in_rows = False
            self._end_result()
        elif first == 0xFB:
            # Also for COM_STMT_EXECUTE: MariaDB prepares LOAD DATA.
            self.is_infile = True
            self._state = _INFILE
        else:
            count: int = first
            if first >= 0xFB or end - pos != 5:
                count, length = read_lenenc_int(chunk[pos + 4 : end], 0)
                if length != end - pos - 4 or count == 0 or count > 0xFFFF:
                    raise malformed("a column count is expected")
            self.has_result_set = True
            self.ends_in_rows = True
            self.rows = 0
            self._left = count
            self._state = _DEFINITIONS

    def _simple(self, chunk: bytes, pos: i64, end: i64) -> None:
        """The answer to a command that has no result set, ERR excepted."""
        first = chunk[pos + 4]
        if first == 0x00:
            self._ok(chunk, pos, end)
        elif first == 0xFE:
            self._end_packet(chunk, pos, end)
        else:
            raise malformed(f"0x{first:02X} where an OK, ERR or EOF is expected")
        self.results += 1
        self._finish()

    def _prepared(self, chunk: bytes, pos: i64, end: i64) -> None:
        """COM_STMT_PREPARE_OK."""
        if chunk[pos + 4] != 0x00 or end - pos != 16:
            raise malformed("not an OK of COM_STMT_PREPARE")
        self.statement_id = int.from_bytes(chunk[pos + 5 : pos + 9], "little")
        self.num_columns = chunk[pos + 9] | chunk[pos + 10] << 8
        self.num_params = chunk[pos + 11] | chunk[pos + 12] << 8
        self.warnings = chunk[pos + 14] | chunk[pos + 15] << 8
        self._then_columns = self.num_columns
        self._left = self.num_params
        self._state = _DEFINITIONS
        if self._left == 0:
            self._next_definitions()

    def _next_definitions(self) -> None:
        """COM_STMT_PREPARE: the definitions of the parameters are through, or those of the columns."""
        self._left = self._then_columns
        self._then_columns = 0
        self._state = _DEFINITIONS
        if self._left == 0:
            self.results += 1
            self._finish()

    def _step_definitions(self, chunk: bytes, pos: i64) -> i64:
        after, count = self._rewriter.walk(chunk, pos, self._sequence_id, self._left, len(chunk))
        self._sequence_id = (self._sequence_id + count) & 0xFF
        self._left -= count
        if self._left == 0:
            if self._server_deprecate_eof and not self._inserts_eof and self._command != _COM_STMT_PREPARE:
                self._state = _ROWS
            else:
                self._state = _BORDER
            return after
        return self._step_unusual(chunk, after) if after == pos else after

    def _step_unusual(self, chunk: bytes, pos: i64) -> i64:
        """A packet among definitions that walk() does not pass: cut, or an ERR, or wrong."""
        size: i64 = len(chunk)
        if pos + 5 > size and not is_empty_at(chunk, pos):
            return -5
        end = self._control_packet(chunk, pos)
        if end < 0:
            return end
        if chunk[pos + 4] != 0xFF:
            raise malformed("a column definition is expected")
        self._error(chunk, pos, end)
        return end

    def _step_border(self, chunk: bytes, pos: i64) -> i64:
        """Behind the definitions, where EOF clients expect an EOF."""
        if self._server_deprecate_eof:
            if self._command == _COM_STMT_PREPARE:
                if self._inserts_eof:
                    self._rewriter.insert_eof(chunk, pos, self._sequence_id, self.status & _LASTING)
                self._next_definitions()
                return pos
            return self._step_missing_border(chunk, pos)
        end = self._control_packet(chunk, pos)
        if end < 0:
            return end
        if chunk[pos + 4] == 0xFF:
            self._error(chunk, pos, end)
            return end
        self._read_eof(chunk[pos + 4 : end], 0, self._server_track)
        if self.status & _PS_OUT_PARAMS:
            self._sticky = self.status & (_PS_OUT_PARAMS | _MORE_RESULTS)
        if self.status & _CURSOR_EXISTS and self._command == _COM_STMT_EXECUTE:
            self._translate_end(chunk, pos, end)
            self.cursor_open = True
            self._end_result()
            return end
        if self._removes_eof:
            self._rewriter.remove(chunk, pos, end)
        if self._command == _COM_STMT_PREPARE:
            self._next_definitions()
        else:
            self._state = _ROWS
        return end

    def _step_missing_border(self, chunk: bytes, pos: i64) -> i64:
        """Behind the definitions of a result set, where we have to put an EOF: with which status? (See above.)"""
        rewriter = self._rewriter
        limit = pos + _HOLD_LIMIT
        end: i64 = limit if limit < len(chunk) else len(chunk)
        # first of all, so that the rows, which are walked over once, get the ids that they have behind it
        rewriter.insert_eof(chunk, pos, self._sequence_id, self.status & _LASTING)
        after, count = rewriter.walk(chunk, pos, self._sequence_id, _NO_LIMIT, end)
        if after + 5 <= limit:
            status = self._status_before_rows(chunk, pos, after)
            is_cursor = status & _CURSOR_EXISTS and after == pos and self._command == _COM_STMT_EXECUTE
            if status < 0 or is_cursor:
                rewriter.take_eof_back(pos)
            if status < 0:
                return status
            if is_cursor:
                self._state = _ROWS  # the end is at hand and becomes the one EOF
                return pos
            rewriter.correct_eof(status)
        self._state = _ROWS
        self._sequence_id = (self._sequence_id + count) & 0xFF
        self.rows += count
        return after

    def _status_before_rows(self, chunk: bytes, pos: i64, after: i64) -> i64:
        """What the EOF in front of rows, from pos on, has for what comes after them; as a step -n when that is not there yet."""
        size: i64 = len(chunk)
        is_empty = is_empty_at(chunk, after)
        if after + 5 > size and not is_empty:
            return pos - after - 5
        length = length_at(chunk, after)
        if is_empty or chunk[after + 4] != 0xFE or length > _CONTROL_LIMIT:
            return self.status & _LASTING
        end = after + 4 + length
        return pos - end if end > size else self._peek_status(chunk, after, end) & ~_NOT_BEFORE_ROWS

    def _peek_status(self, chunk: bytes, pos: i64, end: i64) -> int:
        """Status of an OK(0xFE) that is whole but not its turn yet."""
        if end - pos >= 11 and chunk[pos + 5] < 0xFB and chunk[pos + 6] < 0xFB:
            return chunk[pos + 7] | chunk[pos + 8] << 8
        if end - pos == _EOF_SIZE:
            return parse_eof(chunk[pos + 4 : end]).status
        return parse_ok(chunk[pos + 4 : end], self._server_track).status

    def _step_rows(self, chunk: bytes, pos: i64) -> i64:
        if self._is_split:
            return self._step_split_row(chunk, pos)
        after, count = self._rewriter.walk(chunk, pos, self._sequence_id, _NO_LIMIT, len(chunk))
        self._sequence_id = (self._sequence_id + count) & 0xFF
        self.rows += count
        size: i64 = len(chunk)
        if after + 5 > size and not is_empty_at(chunk, after):
            return after if after > pos else -5
        if length_at(chunk, after) == _MAX_PAYLOAD and chunk[after + 4] != 0xFF:
            # "If the first byte is 0xFE": an OK or EOF is never that long, so this is a row.
            self.rows += 1
            return self._step_split_row(chunk, after)
        end = self._control_packet(chunk, after)
        if end < 0:
            return after if after > pos else end
        if chunk[after + 4] == 0xFF:
            self._error(chunk, after, end)
        else:
            self._end_packet(chunk, after, end)
            if self._command == _COM_STMT_EXECUTE or self._command == _COM_STMT_FETCH:
                self.cursor_open = self.status & _CURSOR_EXISTS != 0
            self._end_result()
        return end

    def _step_split_row(self, chunk: bytes, pos: i64) -> i64:
        """A packet that is full, or belongs to one before it that was; such a one may be empty."""
        size: i64 = len(chunk)
        if pos + 4 > size:
            return -4
        got: i64 = chunk[pos + 3]
        if got != self._sequence_id:
            raise out_of_order(self._sequence_id, got)
        length = length_at(chunk, pos)
        self._is_split = length == _MAX_PAYLOAD
        self._sequence_id = (got + 1) & 0xFF
        return pos + 4 + length

    def _step_fields(self, chunk: bytes, pos: i64) -> i64:
        """COM_FIELD_LIST: definitions up to an EOF or OK(0xFE)."""
        after, count = self._rewriter.walk(chunk, pos, self._sequence_id, _NO_LIMIT, len(chunk))
        self._sequence_id = (self._sequence_id + count) & 0xFF
        size: i64 = len(chunk)
        if after > pos:
            return after
        if after + 5 > size or chunk[after + 4] != 0xFE:
            return self._step_unusual(chunk, after)
        end = self._control_packet(chunk, after)
        if end > 0:
            self._end_packet(chunk, after, end)
            self.results += 1
            self._finish()
        return end

    # ------------------------------------------------------------------------------------------- control packets

    def _error(self, chunk: bytes, pos: i64, end: i64) -> None:
        self._read_error(chunk[pos + 4 : end])
        self._finish()

    def _ok(self, chunk: bytes, pos: i64, end: i64) -> None:
        """An OK packet that the client gets as an OK packet."""
        ok = self._read_ok(chunk, pos, end, self._server_track)
        if self.drops_last and not self.status & _MORE_RESULTS:
            self._rewriter.remove(chunk, pos, end)
        elif ok is not None:
            self._translate_ok(ok, chunk, pos, end)

    def _translate_ok(self, ok: OkPacket, chunk: bytes, pos: i64, end: i64) -> None:
        """An OK with 0x4000: the client gets of its session-track block what it asked for."""
        block, is_told = b"", False
        if ok.block is not None and self._client_track is not None:
            block, is_told = translated_changes(ok.block, ok.status, self._client_track, self.debt)
            if block == ok.block and (block or self._client_track.is_everything):
                return
        ok.block = block
        if not is_told:
            ok.status &= ~_STATE_CHANGED
        self._rewriter.replace(chunk, pos, end, ok.build())

    def _end_packet(self, chunk: bytes, pos: i64, end: i64) -> None:
        """What ends rows or fields: an EOF, or an OK with header 0xFE, as negotiated with the server."""
        if not self._server_deprecate_eof or end - pos == _EOF_SIZE:
            # (MySQL ends rows in whose middle a handler took an error over with an EOF in any case; no OK is that short)
            self._read_eof(chunk[pos + 4 : end], self._sticky, self._server_track)
            self._translate_end(chunk, pos, end)
        elif self._inserts_eof:
            ok = self._read_ok(chunk, pos, end, self._server_track)
            if ok is not None and self.debt is not None:
                self.debt.note(ok.block or b"", self._client_track)
            self._translate_end(chunk, pos, end)
        else:
            self._ok(chunk, pos, end)

    def _translate_end(self, chunk: bytes, pos: i64, end: i64) -> None:
        """An end packet just read, for a client that negotiated the other kind."""
        if self._inserts_eof:
            self._rewriter.replace_by_eof(chunk, pos, end, self.warnings, self.status)
        elif self._removes_eof:
            status = (self.status | self.warnings << 16).to_bytes(4, "little")
            self._rewriter.replace(chunk, pos, end, b"\xfe\0\0" + status)

    def _end_result(self) -> None:
        self.results += 1
        self._sticky = 0
        if self.status & _MORE_RESULTS and self._command != _COM_STMT_FETCH:
            self._state = _FIRST
        else:
            self._finish()

    def _finish(self) -> None:
        self._state = _DONE
        self.is_complete = True


def _state_after(command: int) -> int:
    """The state in which the response to a command begins."""
    if command in (_COM_QUERY, _COM_STMT_EXECUTE, _COM_STMT_BULK_EXECUTE, _COM_PROCESS_INFO):
        return _FIRST
    if command == _COM_STMT_PREPARE:
        return _PREPARED
    if command == _COM_STMT_FETCH:
        return _ROWS
    if command == _COM_FIELD_LIST:
        return _FIELDS
    if command == _COM_STATISTICS:
        return _STRING
    if command in (_COM_STMT_CLOSE, _COM_STMT_SEND_LONG_DATA, _COM_QUIT):
        return _DONE
    if command in (_COM_CHANGE_USER, _COM_BINLOG_DUMP, _COM_BINLOG_DUMP_GTID, _COM_TABLE_DUMP):
        raise LocalProtocolError(f"the response to command 0x{command:02X} cannot be followed")
    return _SIMPLE
