"""What a response has said: the part of ResponseTracker that is left when it has ended."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from protocol.errors import RemoteProtocolError
from protocol.packets import OK_HEADER, OkPacket, parse_eof, parse_err, parse_ok
from protocol.session_track import Debt, SessionChanges, parse_changes

_STATE_CHANGED: Final = 0x4000
# Code of the progress reports that MariaDB sends in the shape of an ERR to clients that negotiated them.
_PROGRESS_REPORT: Final = 0xFFFF


class Outcome:
    """Collected over all results of a response. ``status`` outlasts it."""

    __slots__ = (
        "affected_rows",
        "any_insert_id",
        "changes",
        "cursor_open",
        "debt",
        "drops_last",
        "ends_in_rows",
        "error_code",
        "error_message",
        "error_sqlstate",
        "has_result_set",
        "insert_id",
        "is_error",
        "message",
        "num_columns",
        "num_params",
        "results",
        "rows",
        "statement_id",
        "status",
        "warnings",
    )

    def __init__(self) -> None:
        # Last status flags seen, in whichever response; an ERR has none. SESSION_STATE_CHANGED is always cleared:
        # changes tells.
        self.status: int = 0
        # OKs and result sets that have ended; an ERR is none.
        self.results: int = 0
        # Any of the results has columns.
        self.has_result_set: bool = False
        # The last of them has.
        self.ends_in_rows: bool = False
        # In the last result set, so far.
        self.rows: int = 0
        # The response ended in an ERR; the next three are then set. The SQLSTATE has five characters.
        self.is_error: bool = False
        self.error_code: int = 0
        self.error_sqlstate: bytes = b""
        self.error_message: bytes = b""
        # Of the last OK or EOF.
        self.warnings: int = 0
        # Of the last OK, those at the end of rows included.
        self.affected_rows: int = 0
        self.insert_id: int = 0
        # Its text for people, if it has one.
        self.message: bytes = b""
        # Any OK of the response had an insert id.
        self.any_insert_id: bool = False
        # All session-track blocks of the response, merged; None when there was none. The bit alone, which is
        # what MariaDB puts into an EOF, counts as state_changed.
        self.changes: SessionChanges | None = None
        # By COM_STMT_PREPARE.
        self.statement_id: int = 0
        self.num_columns: int = 0
        self.num_params: int = 0
        # COM_STMT_EXECUTE or COM_STMT_FETCH: a cursor is open and has more to fetch.
        self.cursor_open: bool = False
        # Not of the response: what the client that gets it has yet to be told. Looked at only where that tracks.
        self.debt: Debt | None = None
        # Not of the response, either: its last OK, which tells that nothing follows, is not for the client. To be set after begin.
        self.drops_last: bool = False

    def _clear(self, status: int) -> None:
        """A new response begins."""
        self.status = status
        self.results = 0
        self.has_result_set = False
        self.ends_in_rows = False
        self.rows = 0
        if self.is_error:
            self.is_error = False
            self.error_code = 0
            self.error_sqlstate = b""
            self.error_message = b""
        self.warnings = 0
        self.affected_rows = 0
        self.insert_id = 0
        self.message = b""
        self.any_insert_id = False
        self.changes = None
        self.statement_id = 0
        self.num_columns = 0
        self.num_params = 0
        self.cursor_open = False
        self.drops_last = False

    def _read_error(self, payload: bytes) -> None:
        err = parse_err(payload)
        if err.code == _PROGRESS_REPORT:
            raise RemoteProtocolError("a progress report, which was not negotiated")
        self.is_error = True
        self.error_code = err.code
        self.error_sqlstate = err.sqlstate
        self.error_message = err.message

    def _read_ok(self, chunk: bytes, pos: i64, end: i64, session_track: bool) -> OkPacket | None:
        """An OK that stands in chunk from the header at pos to end. Returned only if it has SESSION_STATE_CHANGED, or is
        to get it for what is due."""
        is_late = self.debt is not None and self.debt.is_late
        is_short = end - pos == 11 and chunk[pos + 5] < 0xFB and chunk[pos + 6] < 0xFB
        if is_short and chunk[pos + 8] & 0x40 == 0 and not is_late:
            # Two short numbers, status and warnings: by far the most frequent form.
            self.affected_rows = chunk[pos + 5]
            self.insert_id = chunk[pos + 6]
            self.message = b""
            self.status = chunk[pos + 7] | chunk[pos + 8] << 8
            self.warnings = chunk[pos + 9] | chunk[pos + 10] << 8
            if self.insert_id:
                self.any_insert_id = True
            return None
        ok = parse_ok(chunk[pos + 4 : end], session_track)
        self.affected_rows = ok.affected_rows
        self.insert_id = ok.insert_id
        self.message = ok.message
        self.status = ok.status & ~_STATE_CHANGED
        self.warnings = ok.warnings
        if ok.insert_id:
            self.any_insert_id = True
        if ok.block is not None:
            changes = parse_changes(ok.block)
            if ok.header != OK_HEADER:
                changes.chosen = None
            self._absorb(changes)
        elif is_late:
            ok.block = b""
            ok.status |= _STATE_CHANGED
        return ok if ok.status & _STATE_CHANGED else None

    def _read_eof(self, payload: bytes, sticky: int, session_track: bool) -> None:
        """An EOF; sticky are flags that hold although it does not have them."""
        eof = parse_eof(payload)
        self.status = (eof.status | sticky) & ~_STATE_CHANGED
        self.warnings = eof.warnings
        if session_track and eof.status & _STATE_CHANGED:
            self._absorb(SessionChanges(state_changed=True))

    def _absorb(self, changes: SessionChanges) -> None:
        if self.changes is None:
            self.changes = changes
        else:
            self.changes.absorb(changes)
