"""Responses as the session's instruments see them: a real ResponseTracker that was fed what a server sent."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.framing import frame
from protocol.packets import Column, build_err, build_ok, text_row
from protocol.response import ResponseTracker
from protocol.session_track import SessionChanges
from protocol.wire import lenenc_int
from proxy.sqlstates import sqlstate_of

AUTOCOMMIT = 0x0002
IN_TRANS = 0x0001
MORE_RESULTS = 0x0008
COM_QUERY = 0x03
COM_PING = 0x0E


def changed(
    *variables: tuple[str, str],
    schema: str | None = None,
    state: str | None = None,
    characteristics: str | None = None,
    is_opaque: bool = True,
) -> SessionChanges:
    """What trackers report; `is_opaque`: with "something changed", as nearly always."""
    return SessionChanges(
        [(name.encode(), value.encode()) for name, value in variables],
        None if schema is None else schema.encode(),
        is_opaque,
        None if characteristics is None else characteristics.encode(),
        None if state is None else state.encode(),
    )


def ok(
    affected_rows: int = 0,
    *,
    insert_id: int = 0,
    status: int = AUTOCOMMIT,
    warnings: int = 0,
    changes: SessionChanges | None = None,
) -> list[bytes]:
    """An OK."""
    return [
        build_ok(
            affected_rows=affected_rows,
            insert_id=insert_id,
            status=status,
            warnings=warnings,
            changes=changes,
        )
    ]


def rows(
    *values: Sequence[bytes | None],
    status: int = AUTOCOMMIT,
    warnings: int = 0,
    changes: SessionChanges | None = None,
    columns: Sequence[Column] = (),
) -> list[bytes]:
    """A result set that ends as CLIENT_DEPRECATE_EOF says; by default its columns are of some string type."""
    width = len(values[0]) if values else 1
    columns = columns or [Column(b"c%d" % i) for i in range(width)]
    return [
        lenenc_int(len(columns)),
        *[column.build() for column in columns],
        *[text_row(list(row)) for row in values],
        build_ok(status=status, warnings=warnings, header=0xFE, changes=changes),
    ]


def err(code: int, sqlstate: bytes | None = None) -> list[bytes]:
    """An ERR; by default with the SQLSTATE that belongs to its code."""
    return [build_err(code, sqlstate_of(code, False) if sqlstate is None else sqlstate, b"no")]


def wire(payloads: list[bytes]) -> bytes:
    """The packets of one response."""
    return b"".join([frame(payload, i + 1) for i, payload in enumerate(payloads)])


def response(*results: list[bytes], command: int = COM_QUERY, status: int = AUTOCOMMIT) -> ResponseTracker:
    """A tracker that has seen these results, one after the other; `status`: what was known before."""
    tracker = ResponseTracker(deprecate_eof=True, session_track=True)
    tracker.begin(command, True, None, status)
    tracker.feed(wire([payload for result in results for payload in result]))
    assert tracker.is_complete
    return tracker
