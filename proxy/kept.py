"""Kept variables: session variables that belong to the client's side, and are on a backend only while a statement runs that may read them.

- wait_timeout and interactive_timeout: how long a client may be idle is for its own socket to say (`idle`); a backend that had a short
  limit would be closed by the server in the pool.
- session_track_*: what a client is told is for its own filter to say (protocol.session_track); a backend tracks what the proxy needs.

The client's SET runs on the backend as it is, so the server evaluates and refuses as ever. Afterwards the proxy asks for what was not
reported, keeps the values in the session, and puts the backend back (`hide_commands`). A statement whose text may read them finds
them there (`place_command`): that is exact for expressions, SHOW VARIABLES and the tables that show variables. While the session_track_*
are the client's own, the trackers are blind: that is done for single statements only, which the lexer and the status flags understand.
Limit: a stored routine or a trigger that reads them without the statement naming them sees the proxy's values.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.session_track import DEFAULT_TRACK_FILTER, TrackFilter

# Bits: what a statement may read, and what a backend has of the client's.
LIMITS: Final = 1
TRACKING: Final = 2
ASKING: Final = 4  # no variables, but there is something to ask the backend for
MARKED: Final = 8  # no variables, but a warning of ours is on it (`clearing`)
TELLING: Final = 16  # no variables, but the server may have a schema to tell (`telling`)

WAIT_TIMEOUT: Final = b"wait_timeout"
TRACKED_VARIABLES: Final = b"session_track_system_variables"
TRACKED_GTIDS: Final = b"session_track_gtids"
TRACKS_GTIDS: Final = b", session_track_gtids=OWN_GTID"
"""The end of the statement that sets the proxy's trackers, where it wants them."""
_TRACKED_SCHEMA: Final = b"session_track_schema"
_TRACKED_CHANGE: Final = b"session_track_state_change"
_TRACKED_TRANSACTION: Final = b"session_track_transaction_info"

KEPT: Final[dict[bytes, int]] = {
    WAIT_TIMEOUT: LIMITS,
    b"interactive_timeout": LIMITS,
    _TRACKED_SCHEMA: TRACKING,
    _TRACKED_CHANGE: TRACKING,
    _TRACKED_TRANSACTION: TRACKING,
    TRACKED_GTIDS: TRACKING,
    # last, because what is assigned after it is reported by its rules
    TRACKED_VARIABLES: TRACKING,
}
"""Every kept variable and its bit, in the order in which they are assigned. session_track_gtids stays where the client has set it, and
pins: MySQL refuses to change it in a transaction, and it reports more than others would."""

NOTHING_KEPT: Final[dict[bytes, bytes]] = {}
"""What a session keeps that has set nothing. Never changed."""

TEXT: Final = b"_latin1'"
"""Begins a string of ours: without its character set it would be in that of the session's connection, and of UTF-16 and the like servers take the
bytes for the names of values."""
WIDE: Final = frozenset([b"ucs2", b"utf16", b"utf16le", b"utf32"])
"""Those character sets: text in one is not ASCII. No client can have them, so SET NAMES refuses them."""
_OTHER_TIMEOUT: Final = b"lock_wait_timeout"
# SHOW VARIABLES that names the variables it wants, so that others cannot be among them
_NARROW: Final = re.compile(
    rb"\s*show\s+(?:(?:session|local)\s+)?variables\s+"
    rb"(?:like\s*(['\"])(?!session|wait|interact)[a-z][^%_'\"\\]{2}[^%'\"\\]*\1|"
    rb"where\s+`?variable_name`?\s*(?:=|in\b)(?!.*(?:%|like|regexp|`?value))[^;]*)\s*;?\s*\Z",
    re.DOTALL,
)
_GLOBAL: Final = re.compile(rb"global[_\s]+variables")


def may_read(text: bytes) -> int:
    """The bits of kept variables that a single statement may read, by its text. More rather than less: that costs round trips only."""
    lowered = text.lower()
    bits = 0
    if b"session_track" in lowered:
        bits = TRACKING
    if b"_timeout" in lowered:
        rest = lowered.replace(_OTHER_TIMEOUT, b"")
        if b"wait_timeout" in rest or b"interactive_timeout" in rest:
            bits |= LIMITS
    if b"variables" in lowered.replace(TRACKED_VARIABLES, b"") and bits != LIMITS | TRACKING:
        rest = _GLOBAL.sub(b"", lowered)
        if b"variables" in rest and _NARROW.match(rest) is None:
            bits = LIMITS | TRACKING
    return bits


def with_value(kept: dict[bytes, bytes], name: bytes, value: bytes) -> dict[bytes, bytes]:
    """What the session keeps after it has set this one."""
    changed = dict(kept)
    changed[name] = value
    return changed


def place_command(kept: dict[bytes, bytes], bits: int) -> bytes:
    """The payload that puts a session's own values on a backend."""
    assignments = [
        b"SESSION " + name + b"=" + _written(name, kept.get(name))
        for name, bit in KEPT.items()
        if bit & bits and (bit == TRACKING or name in kept) and name != TRACKED_GTIDS
    ]
    return b"\x03SET " + b",".join(assignments)


def hide_commands(kept: dict[bytes, bytes], bits: int, setup: bytes, is_held: bool = False) -> list[bytes]:
    """The payloads that put a backend back. ``setup``: the statement that sets the proxy's trackers there. ``is_held``: its session has a transaction
    or a pin, so that GTIDs stay tracked as they are."""
    commands: list[bytes] = []
    if bits & LIMITS:
        commands.append(b"\x03SET SESSION wait_timeout=DEFAULT,SESSION interactive_timeout=DEFAULT")
    if bits & TRACKING:
        commands.append(b"\x03" + (setup.removesuffix(TRACKS_GTIDS) if is_held else setup))
        if kept.get(TRACKED_VARIABLES) == b"*":
            # on MySQL it reports more than any list of names
            commands.append(b"\x03SET SESSION session_track_system_variables=" + TEXT + b"*'")
    return commands


def question_command(names: tuple[bytes, ...], is_limited: bool, is_mariadb: bool) -> bytes:
    """The payload that asks for variables by name, in the form in which they are reported. It begins no transaction. ``is_limited``: the
    session may have set sql_select_limit, which SHOW obeys."""
    quoted = b"(" + b",".join([b"'" + name + b"'" for name in names]) + b")"
    if not is_limited:
        return b"\x03SHOW SESSION VARIABLES WHERE Variable_name IN " + quoted
    table = b"information_schema.SESSION_VARIABLES" if is_mariadb else b"performance_schema.session_variables"
    return b"\x03SELECT VARIABLE_NAME,VARIABLE_VALUE FROM %s WHERE VARIABLE_NAME IN %s LIMIT 1000" % (
        table,
        quoted,
    )


def is_unmovable(name: bytes, value: bytes, is_mariadb: bool) -> bool:
    """Whether a backend with this value of a kept variable does for its client what no other can: it is pinned."""
    if name == TRACKED_GTIDS:
        return value.upper() != b"OFF"
    return name == TRACKED_VARIABLES and value == b"*" and not is_mariadb


def filter_of(kept: dict[bytes, bytes]) -> TrackFilter:
    """What a client with CLIENT_SESSION_TRACK and these session_track_* is told."""
    if not any([bit == TRACKING and name in kept for name, bit in KEPT.items()]):
        return DEFAULT_TRACK_FILTER
    variables = DEFAULT_TRACK_FILTER.variables
    if TRACKED_VARIABLES in kept:
        names = [name.strip().lower() for name in kept[TRACKED_VARIABLES].split(b",")]
        variables = frozenset([name for name in names if name])
    transaction = kept.get(_TRACKED_TRANSACTION, b"OFF").upper()
    return TrackFilter(
        variables,
        schema=_is_on(kept.get(_TRACKED_SCHEMA, b"ON")),
        state_change=_is_on(kept.get(_TRACKED_CHANGE, b"OFF")),
        transaction=transaction != b"OFF",
        gtids=kept.get(TRACKED_GTIDS, b"OFF").upper() != b"OFF",
        characteristics=transaction == b"CHARACTERISTICS",
    )


def _is_on(value: bytes) -> bool:
    return value.upper() in (b"ON", b"1")


def _written(name: bytes, value: bytes | None) -> bytes:
    if value is None:
        return b"DEFAULT"
    if KEPT[name] == LIMITS:
        return value
    return TEXT + value.replace(b"'", b"''") + b"'"
