"""What the pool core tells its shell: actions to carry out, errors for tickets, and snapshots of its counts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from proxy.pool_states import Member, Ticket
from proxy.reasons import CloseReason

# Kinds of actions, and what the shell does with them
OPEN: Final = 0  # connect and log in, then report `opened` or `open_failed`
RESET: Final = 1  # bring it to the baseline, then report `was_reset`, or `discard` when that failed
CAPTURE: Final = (
    2  # save the residue for `claim` and leave none, then report `captured`, or `discard` when that failed
)
CLOSE: Final = 3  # close the connection if it is still open, and count `reason`; there is nothing to report
WAKE: Final = 4  # waiting has ended: the ticket's `member` or its `error` is set

KIND_NAMES: Final = ("open", "reset", "capture", "close", "wake")


class Action:
    """One thing for the shell to do, in the order of the list."""

    __slots__ = ("claim", "kind", "member", "payload", "reason", "replaces", "ticket")

    def __init__(self, kind: int, member: Member | None = None) -> None:
        self.kind: int = kind
        # all but WAKE: whom it is about
        self.member: Member | None = member
        # WAKE
        self.ticket: Ticket | None = None
        # OPEN: what to log in with
        self.payload: object = None
        # OPEN: a member closed earlier in the same list to make room. A shell that must not exceed the bound even for
        # a moment connects when that connection has ended.
        self.replaces: Member | None = None
        # CAPTURE: whose residue it is
        self.claim: object = None
        # CLOSE
        self.reason: CloseReason | None = None

    def __repr__(self) -> str:
        subject = self.ticket if self.member is None else self.member
        reason = "" if self.reason is None else f" {self.reason.value}"
        return f"<{KIND_NAMES[self.kind]} {subject!r}{reason}>"


def open_member(member: Member, payload: object) -> Action:
    action = Action(OPEN, member)
    action.payload = payload
    return action


def capture_member(member: Member) -> Action:
    action = Action(CAPTURE, member)
    action.claim = member.claim
    return action


def close_member(member: Member, reason: CloseReason) -> Action:
    action = Action(CLOSE, member)
    action.reason = reason
    return action


def wake_ticket(ticket: Ticket) -> Action:
    action = Action(WAKE)
    action.ticket = ticket
    return action


class PoolSnapshot:
    """The counts at one moment."""

    __slots__ = (
        "cause",
        "idle",
        "leased",
        "max_size",
        "opening",
        "parked",
        "resetting",
        "state",
        "waiting",
    )

    def __init__(
        self,
        state: str,
        max_size: int,
        opening: int,
        idle: int,
        parked: int,
        leased: int,
        resetting: int,
        waiting: int,
        cause: object,
    ) -> None:
        # "open", "paused", "draining" or "closed"
        self.state: str = state
        self.max_size: int = max_size
        self.opening: int = opening
        self.idle: int = idle
        self.parked: int = parked
        self.leased: int = leased
        self.resetting: int = resetting
        self.waiting: int = waiting
        # the last error if opening fails at present, else None
        self.cause: object = cause

    def is_held_back(self) -> bool:
        """Whether there is room for more, and nothing is under way that would fill it."""
        return not self.opening and not self.resetting and self.leased < self.max_size

    def __repr__(self) -> str:
        return (
            f"{self.state}, bound {self.max_size}: {self.opening} opening, {self.idle} idle, {self.parked} parked, "
            f"{self.leased} leased, {self.resetting} resetting, {self.waiting} waiting"
        )


OF_USER: Final = 0
OF_SERVER: Final = 1
OF_DATABASE: Final = 2


class Limit:
    """Of a user or a database: it has been reached."""

    __slots__ = ("configured", "kind", "most", "name")

    def __init__(self, kind: int, name: Hashable, most: int, configured: int = 0) -> None:
        # OF_USER; OF_SERVER: of a user, too, but the server's; or OF_DATABASE
        self.kind: int = kind
        # the user's or database's
        self.name: Hashable = name
        self.most: int = most
        # by the settings: of several workers each has a part of that
        self.configured: int = configured or most


class AcquireTimeout:
    """The ticket's deadline, or acquire_timeout, passed in the queue."""

    __slots__ = ("cause", "limit", "snapshot", "waited")

    def __init__(
        self, waited: float, snapshot: PoolSnapshot, limit: Limit | None = None, cause: object = None
    ) -> None:
        # seconds
        self.waited: float = waited
        # just before this ticket and those that expired with it left the queue
        self.snapshot: PoolSnapshot = snapshot
        # what it waited for, whatever room the pool had
        self.limit: Limit | None = limit
        # the last error if opening fails at present, for this user or for all, else None
        self.cause: object = cause or snapshot.cause


class Shed:
    """It has waited for longer than shed_target in a queue where that is so for long already."""

    __slots__ = ("is_batch", "waited")

    def __init__(self, waited: float, is_batch: bool) -> None:
        # seconds
        self.waited: float = waited
        # only tickets like this one are refused
        self.is_batch: bool = is_batch


class OpenFailed:
    """No member can be opened for it: its credential was refused, or the endpoint has been failing for too long."""

    __slots__ = ("error",)

    def __init__(self, error: object) -> None:
        # as given to `open_failed`
        self.error: object = error


class PoolDraining:
    """The pool finishes what runs and takes nothing new."""

    __slots__ = ()


class PoolClosed:
    """The pool is closed."""

    __slots__ = ()


class PoolMoved:
    """This is no longer the pool to wait for: who still wants a member asks anew, and may be sent to another."""

    __slots__ = ("goes_on",)

    def __init__(self, goes_on: bool = False) -> None:
        # the time for which it has waited counts for where it asks next, until it is granted or refused
        self.goes_on: bool = goes_on
