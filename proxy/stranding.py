"""Sessions that are stranded: pinned to a reader, where what they do next would write. Their connection is closed.

A read-only transaction begins on a reader before anybody knows that it will call a function, and a function may leave what cannot be moved. So it
would happen to the next connection of the same program again. It is learned instead: read-only transactions and reads that call routines of that
account, in the schema in which it began, go to the writer from then on. Only where routing had chosen the reader by itself: a hint is obeyed,
and of what a text outside of transactions has pinned the text is remembered (`note_pins`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.logs import get_logger
from proxy.pins import BITS, PinReason
from proxy.placement import Placement
from proxy.reasons import CloseReason
from proxy.replies import lost_before
from proxy.routing import IN_READ_ONLY, NO_TEXT

if TYPE_CHECKING:
    from proxy.lessee import Lessee
    from proxy.placing import Placing

MOST_ACCOUNTS: Final = 1000
_PASSING: Final = (
    BITS[PinReason.CURSOR]
    | BITS[PinReason.LONG_DATA]
    | BITS[PinReason.SAVEPOINT]
    | BITS[PinReason.NEXT_TRANSACTION]
    | BITS[PinReason.DIAGNOSTICS]
    | BITS[PinReason.FOUND_ROWS]
)
"""Pins that end with what the client does next anyway: its text would be kept from readers, for everybody, for nothing."""
_ADVICE: Final = (
    "its read-only transactions and reads that call routines run on the writer from now on; /* fanin: reader */, "
    "routing.reader_users and the reader listener still lead to readers: for connections that never write"
)
_log = get_logger("routing")


class StrandedAccounts:
    """Those that were, with the schema. Bounded: of too many the oldest is forgotten."""

    __slots__ = ("_accounts",)

    def __init__(self) -> None:
        self._accounts: dict[tuple[bytes, bytes | None], None] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def has(self, user: bytes, schema: bytes | None) -> bool:
        """Whether it was stranded before. ``schema``: in which the lease begins."""
        return len(self._accounts) > 0 and (user, schema) in self._accounts

    def learn(self, user: bytes, schema: bytes | None) -> bool:
        """It is stranded now: whether that is news."""
        account = (user, schema)
        if account in self._accounts:
            return False
        if len(self._accounts) >= MOST_ACCOUNTS:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[account] = None
        return True

    def names(self) -> list[str]:
        """For people: the newest last."""
        return [f"{_shown(user)}/{_shown(schema or b'')}" for user, schema in self._accounts]


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def note_pins(lessee: Lessee, placement: Placement, before: int) -> None:
    """A reader ran a text. ``before``: bits of the pins until then. If it has pinned the session there, the next time the writer runs it."""
    placing, session = lessee.shared.placing, lessee.session
    if placing is None or placement.reader is None or placement.side.is_reader:
        return
    if session.pinned & ~before & ~_PASSING and placement.record.facts is not NO_TEXT:
        placing.remember(placement.record)


def strand(lessee: Lessee, placing: Placing, placement: Placement) -> None:
    """It neither may write where it is nor can go elsewhere with what it is pinned by."""
    placing.stuck += 1
    pins = ", ".join([reason.value for reason in lessee.session.pin_reasons()])
    told = f"the session is pinned to a reader ({pins}), and this may write; what pins it is lost"
    if placement.reason in IN_READ_ONLY:
        _learn(lessee, placing, placement, pins)
        told += ". The next connection's read-only transactions run on the writer"
    lessee.discard(CloseReason.DIRTY)
    lessee.send_failure(lost_before(told))
    lessee.close(CloseReason.BACKEND_LOST)


def _learn(lessee: Lessee, placing: Placing, placement: Placement, pins: str) -> None:
    user = lessee.identity.credential.user
    if placing.stranded.learn(user, placement.schema):
        placing.learned += 1
        schema = _shown(placement.schema or b"")
        _log.warning("stranded on a reader", user=_shown(user), schema=schema, pins=pins, advice=_ADVICE)
