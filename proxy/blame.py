"""Which statement a pin is due to: functions on a `Lessee`, for its records.

Mostly that is the one that has just run. A session that has to keep its backend because what is on it cannot be captured gets its pin when
another session needs that backend: so the text that left it there is remembered as long as it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.constants import Command
from proxy.conditions import DIAGNOSTICS, USER_VARIABLES
from proxy.digest import READ, digest
from proxy.pin_records import SessionPins
from proxy.pins import BITS, PinReason
from proxy.statement import CALLS, MULTI, SETS

if TYPE_CHECKING:
    from proxy.lessee import Lessee

BEGINS_SESSION: Final = -2
"""In place of a client's command: the first statement of its session (`beginning`)."""
DECLINABLE: Final = DIAGNOSTICS | USER_VARIABLES
"""Residue that may not be captured."""
_WITH_TEXT: Final = frozenset({BEGINS_SESSION, 0x03, 0x16})
_ON_STATEMENT: Final = frozenset({0x17, 0x1A, 0x1C})
_IN_TRANS: Final = 1
_COMMANDS: Final = frozenset([int(command) for command in Command])
_MAY_SET_CHARSET: Final = SETS | CALLS | MULTI


def note_residue(lessee: Lessee, was_error: bool) -> None:
    """A command is over, and there is such residue, or was: whether it is of this one. ``was_error``: it had failed."""
    backend, residue = lessee.backend, lessee.session.residue
    assert backend is not None
    if not residue & DECLINABLE:
        lessee.residue_text = b""
    elif (residue & DIAGNOSTICS and (was_error or backend.tracker.warnings)) or (
        residue & USER_VARIABLES and (lessee.statement.user_variables or not lessee.residue_text)
    ):
        lessee.residue_text = _text(lessee)


def digest_of_command(lessee: Lessee) -> str:
    """What ran, without literals; the name of a command without text."""
    command = lessee.command
    text = _text(lessee)
    if not text and command not in _WITH_TEXT:
        return Command(command).name if command in _COMMANDS else ""
    return _digest(lessee, text, lessee.statement.flags & _MAY_SET_CHARSET != 0)


def digest_of_residue(lessee: Lessee) -> str:
    """The same of what left the residue."""
    return _digest(lessee, lessee.residue_text, False)


def _text(lessee: Lessee) -> bytes:
    if lessee.command in _WITH_TEXT:
        return lessee.wire[5 : 6 + READ]
    if lessee.command in _ON_STATEMENT and lessee.executing is not None:
        return lessee.executing.own.text[: 1 + READ]
    return b""


def _digest(lessee: Lessee, text: bytes, may_set_charset: bool) -> str:
    # the charset may be another one since this statement
    is_unsafe = (lessee.counted_pins | lessee.session.pinned) & BITS[PinReason.UNSAFE_CHARSET] != 0
    return digest(text, is_unsafe or may_set_charset)


def count_pins(lessee: Lessee, by_residue: bool) -> None:
    """Record what is new, what has ended, and whether time is charged."""
    session = lessee.session
    pinned = session.pinned
    counts_time = session.status & _IN_TRANS == 0
    if pinned == lessee.counted_pins and counts_time == lessee.counts_time:
        return
    now, reasons = lessee.shared.loop.time(), session.pin_reasons()
    new = pinned & ~lessee.counted_pins
    for reason in reasons:
        if new & BITS[reason]:
            lessee.shared.counters.count_pin(reason.value)
    pins = lessee.pins
    if pins is None:
        endpoint, backend = lessee.endpoint, lessee.backend
        assert endpoint is not None and backend is not None
        pins = lessee.pins = SessionPins(lessee.shared.pins, endpoint.name, backend.server_id)
    text = ""
    if new:
        text = digest_of_residue(lessee) if by_residue else digest_of_command(lessee)
    pins.update(reasons, text, counts_time, now)
    lessee.counted_pins = pinned
    lessee.counts_time = counts_time
