"""Who waits for a backend and who has one, as an endpoint sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from proxy.backend import Backend, Owner
from proxy.conditions import INSERT_ID, SOILED
from proxy.pool import PoolCore, Ticket
from proxy.pool_states import NEVER
from proxy.residue import capture_commands
from proxy.variables import CAPTURED

if TYPE_CHECKING:
    from proxy.placing import Placing
    from proxy.readers import Reader

IN_TRANSACTION: Final = "in transaction"
PINNED: Final = "pinned"
RUNNING: Final = "running"
MOST_REASONS: Final = 3
"""Reasons of pins that an error text names, the most frequent first: clients cut off what is longer than 512 bytes."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Waiter(Ticket):
    """A ticket that hears of its grant."""

    __slots__ = ()

    def woken(self) -> None:
        """`member` or `error` is set now. Called once, from a callback; must not raise."""

    def process(self) -> str:
        """The client's process, as far as it can be told from others."""
        return ""

    def patience(self) -> float:
        """It waits: for how many seconds it wants to, at most."""
        return NEVER

    def is_misplaced(self, placing: Placing, reader: Reader, now: float) -> bool:
        """It waits for a backend of this reader's: whether it should ask anew (PoolMoved), and will be sent elsewhere."""
        return False


def ask_patience(core: PoolCore) -> None:
    """Those who wait since this was done last wait no longer than they want to. (They are not asked when they begin to wait: nearly all have been served long
    before, and would have said nothing.)"""
    if core.waiting_count:
        for ticket in core.newcomers():
            if isinstance(ticket, Waiter):
                core.hasten(ticket, ticket.enqueued_at + ticket.patience())


@mypyc_attr(allow_interpreted_subclasses=True)
class Holder(Owner):
    """An owner that leases: what the error texts and /state say about it."""

    __slots__ = ()

    def condition(self) -> str:
        """IN_TRANSACTION, PINNED or RUNNING."""
        return RUNNING

    def pin_words(self) -> list[str]:
        """What pins it."""
        return []

    def who(self) -> str:
        """Whose session it is: application, user and address."""
        return ""

    def process(self) -> str:
        """The client's process, as far as it can be told from others."""
        return ""

    def answered_at(self) -> float:
        """When the client got the last answer, about; infinity while something runs."""
        return NEVER

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
    """Who has the pool of this endpoint, for error texts. Never what they run."""
    members = core.leased_members()
    owners = [member.owner if isinstance(member, Backend) else None for member in members]
    reserved = f" ({core.max_size - core.bound} in reserve)" if core.bound < core.max_size else ""
    text = (
        f"pool of {name} has {core.leased_count} of {core.max_size} leased{reserved}: {_conditions(owners)}"
    )
    others = ((core.opening_count, "opening"), (core.resetting_count, "being reset"))
    text += "".join([f"; {count} {word}" for count, word in others if count])
    if not members:
        return text
    owner = owners[0]
    who = [word for word in (owner.condition(), owner.who()) if word] if isinstance(owner, Holder) else []
    what = f" ({', '.join(who)})" if who else ""
    return f"{text}; the oldest lease is {now - members[0].leased_since:.1f} s old{what}"


def _conditions(owners: list[Owner | None]) -> str:
    """How many do what."""
    counts = {IN_TRANSACTION: 0, PINNED: 0, RUNNING: 0}
    reasons: dict[str, int] = {}
    for owner in owners:
        if isinstance(owner, Holder):
            condition = owner.condition()
            counts[condition] += 1
            for reason in owner.pin_words() if condition == PINNED else ():
                reasons[reason] = reasons.get(reason, 0) + 1
    common = sorted(reasons, key=lambda reason: -reasons[reason])[:MOST_REASONS]
    words = (
        {PINNED: f" ({', '.join([f'{reasons[reason]} {reason}' for reason in common])})"} if common else {}
    )
    parts = [f"{count} {word}{words.get(word, '')}" for word, count in counts.items()]
    rest = len(owners) - sum(counts.values())
    return ", ".join([*parts, f"{rest} being killed"] if rest else parts)
