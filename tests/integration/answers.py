"""Answers of a server, for comparing and for people."""

from __future__ import annotations

from protocol.constants import Capability
from protocol.errors import ProtocolError
from protocol.packets import build_ok, parse_err, parse_ok
from protocol.session_track import split_changes


def told(payload: bytes, capabilities: int) -> str:
    """A payload for people."""
    try:
        if payload[:1] == b"\xff":
            error = parse_err(payload)
            return f"ERR {error.code} {error.sqlstate!r} {error.message!r}"
        if payload[:1] == b"\0" or (payload[:1] == b"\xfe" and len(payload) > 5):
            ok = parse_ok(payload, bool(capabilities & (1 << 23)))
            return (
                f"OK({payload[0]}) rows={ok.affected_rows} id={ok.insert_id} status={ok.status:#x}"
                f" warnings={ok.warnings} message={ok.message!r} block={ok.block!r}"
            )
    except ProtocolError:
        pass
    return payload[:200].hex() if payload[:1] == b"\xfe" else repr(payload[:200])


def comparable(payload: bytes, capabilities: int) -> bytes:
    """A payload without what differs for reasons that are the servers' own.

    MariaDB sets the status bit SESSION_STATE_CHANGED for clients that do not track, too. The order of reported variables depends on
    how many are reported.
    """
    if not capabilities & Capability.SESSION_TRACK:
        is_eof = payload[:1] == b"\xfe" and len(payload) == 5
        return payload[:4] + bytes([payload[4] & 0xBF]) if is_eof else payload
    if payload[:1] not in (b"\0", b"\xfe"):
        return payload
    try:
        ok = parse_ok(payload, True)
        entries = split_changes(ok.block or b"")
    except ProtocolError:
        return payload
    if ok.block is None:
        return payload
    told = sorted(entries)
    plain = build_ok(
        affected_rows=ok.affected_rows,
        insert_id=ok.insert_id,
        status=ok.status,
        warnings=ok.warnings,
        message=ok.message,
        header=ok.header,
    )
    return plain + repr(told).encode() if told else plain
