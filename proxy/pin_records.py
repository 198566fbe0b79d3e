"""What pins cost: who is pinned now and by what, and how long all were, by statement. Pure.

A :class:`Pin` lasts from the answer after which its session is pinned for a reason until the one after which it is no longer, a reset, or
the end of the lease. Its digest is that of the statement that began it; more of the same kind (a second temporary table) belong to it.

Seconds are charged while no transaction is open, for in a transaction the lease would be held anyway: from an answer (its status flags
say whether a transaction is open) to the next answer that says otherwise. So the first statement of a transaction counts as outside, and
its COMMIT as inside; the statements of a pinned session count, because they are short and looking at the clock for each is not free. An
error has no status flags: a transaction that it ended counts as open until the next answer.

Two pins of a session at a time are charged in full, each to its row, since removing one of them frees nothing. An endpoint's own
seconds count a session once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.pins import PinReason, advice_for

MOST_ROWS: Final = 500
"""Pairs of digest and reason that are told apart; what has cost least goes to one row for all others."""
OTHERS: Final = "(others)"
"""Stands for the digest in the row for all others."""


class Clock:
    """Seconds that have been charged, and that are being charged: any number of holders at a time."""

    __slots__ = ("_closed", "_running", "_since")

    def __init__(self) -> None:
        self._closed = 0.0
        self._running = 0
        # the sum of the times at which those that run began
        self._since = 0.0

    def start(self, now: float) -> None:
        """One more is charged."""
        self._running += 1
        self._since += now

    def stop(self, since: float, now: float) -> None:
        """The one that started at `since` is not charged any more."""
        self._closed += now - since
        self._running -= 1
        self._since = self._since - since if self._running else 0.0

    def add(self, other: Clock) -> None:
        """Take over what another, at which nothing runs, has counted."""
        self._closed += other._closed

    def seconds(self, now: float) -> float:
        """All seconds until now."""
        return self._closed + self._running * now - self._since


class PinRow:
    """All pins with one digest and reason. No reason: the row for all others."""

    __slots__ = ("advice", "clocks", "count", "digest", "last_seen", "live", "reason")

    def __init__(self, digest: str, reason: PinReason | None, advice: str) -> None:
        self.digest = digest
        self.reason = reason
        self.advice = advice
        # pins that have begun, those that have not ended, and when the last one began or ended
        self.count = 0
        self.live = 0
        self.last_seen = 0.0
        # by endpoint
        self.clocks: dict[str, Clock] = {}

    def clock(self, endpoint: str) -> Clock:
        """The seconds on an endpoint."""
        found = self.clocks.get(endpoint)
        if found is None:
            found = self.clocks[endpoint] = Clock()
        return found

    def seconds(self, now: float) -> float:
        """On all endpoints."""
        return sum(clock.seconds(now) for clock in self.clocks.values())

    def absorb(self, other: PinRow) -> None:
        """Take over what another row, that has no live pins, has counted."""
        self.count += other.count
        self.last_seen = max(self.last_seen, other.last_seen)
        for endpoint, clock in other.clocks.items():
            self.clock(endpoint).add(clock)


class Pin:
    """One reason for which one session is pinned, while it lasts."""

    __slots__ = ("advice", "began", "digest", "reason", "row")

    def __init__(self, reason: PinReason, digest: str, advice: str, began: float, row: PinRow) -> None:
        self.reason = reason
        self.digest = digest
        self.advice = advice
        self.began = began
        self.row = row


class PinBook:
    """The pins of a process since its start."""

    def __init__(self, started: float, most_rows: int = MOST_ROWS) -> None:
        self.started = started
        self._most_rows = most_rows
        self._rows: dict[tuple[str, PinReason], PinRow] = {}
        self._others = PinRow(OTHERS, None, "")
        # seconds of sessions, each once, by endpoint; and of pins by reason
        self.endpoints: dict[str, Clock] = {}
        self.reasons: dict[PinReason, Clock] = {}

    def rows(self) -> Iterator[PinRow]:
        """Every row with something in it."""
        yield from self._rows.values()
        if self._others.count:
            yield self._others

    def seconds_by_reason(self, now: float) -> dict[str, float]:
        """Seconds charged, by reason."""
        return {reason.value: clock.seconds(now) for reason, clock in self.reasons.items()}

    def row(self, digest: str, reason: PinReason, advice: str, now: float) -> PinRow:
        """The row for a pin that begins now."""
        key = (digest, reason)
        found = self._rows.get(key)
        if found is None and len(self._rows) >= self._most_rows and not self._forget_one(now):
            return self._others
        if found is None:
            found = self._rows[key] = PinRow(digest, reason, advice)
        return found

    def _forget_one(self, now: float) -> bool:
        """Make room: of the rows without live pins, that with the fewest seconds is added to the others. False when there is none."""
        ended = [item for item in self._rows.items() if not item[1].live]
        if not ended:
            return False
        key, row = min(ended, key=lambda item: (item[1].seconds(now), item[1].last_seen))
        del self._rows[key]
        self._others.absorb(row)
        return True


class SessionPins:
    """The pins of one session on one lease."""

    __slots__ = ("_book", "_charged_since", "_clock", "endpoint", "pins", "server_connection")

    def __init__(self, book: PinBook, endpoint: str, server_connection: int) -> None:
        self._book = book
        self.endpoint = endpoint
        self.server_connection = server_connection
        self._clock = book.endpoints.setdefault(endpoint, Clock())
        # since when all pins are charged; None: they are not
        self._charged_since: float | None = None
        self.pins: list[Pin] = []

    def update(self, reasons: list[PinReason], digest: str, is_charged: bool, now: float) -> None:
        """What pins the session from now on, and whether it is charged: no transaction is open. `digest`: of the statement that the new
        ones, if there are any, come from."""
        self._charge(None, now)
        for pin in self.pins:
            if pin.reason not in reasons:
                pin.row.live -= 1
                pin.row.last_seen = now
        self.pins = [pin for pin in self.pins if pin.reason in reasons]
        held = {pin.reason for pin in self.pins}
        for reason in reasons:
            if reason not in held:
                self._begin(reason, digest if _is_by_statement(reason, digest) else "", now)
        if is_charged and self.pins:
            self._charge(now, now)

    def end(self, now: float) -> None:
        """The lease is over."""
        self.update([], "", False, now)

    def _begin(self, reason: PinReason, digest: str, now: float) -> None:
        advice = advice_for(reason, digest)
        row = self._book.row(digest, reason, advice, now)
        row.count += 1
        row.live += 1
        row.last_seen = now
        self.pins.append(Pin(reason, digest, advice, now, row))

    def _charge(self, since: float | None, now: float) -> None:
        """Close what is being charged, and begin anew at `since`."""
        clocks = [self._clock]
        for pin in self.pins:
            clocks.append(pin.row.clock(self.endpoint))
            clocks.append(self._book.reasons.setdefault(pin.reason, Clock()))
        for clock in clocks:
            if self._charged_since is not None:
                clock.stop(self._charged_since, now)
            if since is not None:
                clock.start(since)
        self._charged_since = since


def _is_by_statement(reason: PinReason, digest: str) -> bool:
    """Whether the statement has set the pin, and not the login."""
    if reason is PinReason.UNSAFE_CHARSET:
        return digest[:4].lower() == "set "
    return reason is not PinReason.SESSION_MODE
