"""Who waits for a backend and who has one, as an endpoint sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from proxy.backend import Backend, Owner
from proxy.conditions import INSERT_ID, SOILED
from proxy.pool import Member, PoolCore, Ticket
from proxy.residue import capture_commands
from proxy.variables import CAPTURED

if TYPE_CHECKING:
    from proxy.placing import Placing
    from proxy.readers import Reader

IN_TRANSACTION: Final = "in transaction"
PINNED: Final = "pinned"
RUNNING: Final = "running"


@mypyc_attr(allow_interpreted_subclasses=True)
class Waiter(Ticket):
    """A ticket that hears of its grant."""

    __slots__ = ()

    def woken(self) -> None:
        """`member` or `error` is set now. Called once, from a callback; must not raise."""

    def is_misplaced(self, placing: Placing, reader: Reader, now: float) -> bool:
        """It waits for a backend of this reader's: whether it should ask anew (PoolMoved), and will be sent elsewhere."""
        return False


@mypyc_attr(allow_interpreted_subclasses=True)
class Holder(Owner):
    """An owner that leases: what the error texts and /state say about it."""

    __slots__ = ()

    def condition(self) -> str:
        """IN_TRANSACTION, PINNED or RUNNING."""
        return RUNNING

    def capture_commands(self) -> list[bytes]:
        """Payloads that read the residue which this session left on a parked backend, in an order that destroys none."""
        return []

    def may_be_refused(self) -> bool:
        """Whether the server may refuse them, and there are no answers then."""
        return False

    def captured(self, backend: Backend, answers: list[bytes]) -> int:
        """Their answers. CAPTURED: the session's claim ends. CAPTURING: there are more `capture_commands`. Anything else: it must not be
        parted from the backend; `keeping_ticket` and `keeps` follow."""
        return CAPTURED

    def keeping_ticket(self) -> Ticket:
        """The ticket for the lease that it gets instead."""
        raise NotImplementedError

    def keeps(self, backend: Backend) -> None:
        """It has the lease."""

    def capture_failed(self, backend: Backend) -> None:
        """The backend was lost with the residue on it. The session's claim ends."""


class Leaver(Holder):
    """In place of a session that has left an insert id behind and will never ask for it."""

    __slots__ = ()

    def capture_commands(self) -> list[bytes]:
        return capture_commands(INSERT_ID)


class LeaverOfWarnings(Leaver):
    """The same on MariaDB, where nobody else may find its warnings either."""

    __slots__ = ()

    def capture_commands(self) -> list[bytes]:
        return capture_commands(INSERT_ID | SOILED)


def in_words(core: PoolCore, name: str, now: float) -> str:
    """Who has the pool of this endpoint, for error texts."""
    counts = {IN_TRANSACTION: 0, PINNED: 0, RUNNING: 0}
    oldest: Member | None = None
    for member in core.leased_members():
        if isinstance(member, Backend) and isinstance(member.owner, Holder):
            counts[member.owner.condition()] += 1
        if oldest is None or member.leased_since < oldest.leased_since:
            oldest = member
    parts = ", ".join(f"{count} {word}" for word, count in counts.items())
    text = f"pool of {name} has {core.leased_count} of {core.max_size} leased: {parts}"
    others = ((core.opening_count, "opening"), (core.resetting_count, "being reset"))
    text += "".join([f"; {count} {word}" for count, word in others if count])
    if oldest is not None:
        owner = oldest.owner if isinstance(oldest, Backend) else None
        what = f" ({owner.condition()})" if isinstance(owner, Holder) else ""
        text += f"; the oldest lease is {now - oldest.leased_since:.1f} s old{what}"
    return text
