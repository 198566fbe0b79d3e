"""A shell of the pool core that does nothing but write down what it was told: tests read as dialogues.

Tickets have the names that the test gives them, members are `m1`, `m2`, ... in the order of opening; the clock is `play.now`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from proxy.pool import Member, PoolCore, Ticket
from proxy.pool_actions import CAPTURE, CLOSE, OPEN, RESET, WAKE, AcquireTimeout, Action, OpenFailed
from proxy.pool_limits import Quota
from proxy.pool_states import NEVER, STATE_NAMES
from proxy.reasons import CloseReason


class Play:
    """`random` always gives the same, so that ages and back-offs are exact."""

    def __init__(
        self,
        *,
        random: float | Callable[[], float] = 0.5,
        max_size: int = 2,
        age_jitter: float = 0.0,
        **options: Any,
    ) -> None:
        self.now = 0.0
        self.members: dict[str, Member] = {}
        self.tickets: dict[str, Ticket] = {}
        self.core = PoolCore(
            new_member=self._new_member,
            random=random if callable(random) else lambda: random,
            max_size=max_size,
            age_jitter=age_jitter,
            **options,
        )

    def _new_member(self, key: object, payload: object) -> Member:
        member = Member()
        self.members[f"m{len(self.members) + 1}"] = member
        return member

    # What is said: each line returns the answer in words

    def acquire(
        self,
        name: str,
        key: str = "app",
        *,
        credential: object = None,
        deadline: float = NEVER,
        fresh: bool = False,
        likeness: object = None,
        batch: bool = False,
        quota: Quota | None = None,
    ) -> list[str]:
        ticket = self.tickets.setdefault(name, Ticket())
        ticket.key, ticket.payload, ticket.credential = key, f"payload of {name}", credential
        ticket.is_batch, ticket.quota = batch, quota
        ticket.deadline, ticket.wants_fresh, ticket.likeness = deadline, fresh, likeness
        return self.words(self.core.acquire(ticket, self.now))

    def claim(self, name: str, member: str, owner: str) -> bool:
        ticket = self.tickets.setdefault(name, Ticket("app"))
        return self.core.claim(owner, self.members[member], ticket, self.now)

    def spare(self, name: str) -> list[str]:
        return self.words(self.core.spare(self.tickets[name], self.now))

    def give(self, user: str, most: int) -> list[str]:
        return self.words(self.core.give(user, most, self.now))

    def cancel(self, name: str) -> list[str]:
        return self.words(self.core.cancel(self.tickets[name], self.now))

    def opened(self, member: str) -> list[str]:
        return self.words(self.core.opened(self.members[member], self.now))

    def open_failed(
        self,
        member: str,
        error: object = "refused",
        *,
        is_credential: bool = False,
        is_limit: bool = False,
        most: int = 0,
    ) -> list[str]:
        return self.words(
            self.core.open_failed(
                self.members[member],
                self.now,
                error,
                is_credential=is_credential,
                is_limit=is_limit,
                most=most,
            )
        )

    def release(
        self,
        member: str,
        *,
        key: str | None = None,
        parked_by: str | None = None,
        needs_reset: bool = False,
        likeness: object = None,
    ) -> list[str]:
        self.members[member].likeness = likeness
        return self.words(
            self.core.release(
                self.members[member], self.now, key=key, parked_by=parked_by, needs_reset=needs_reset
            )
        )

    def unpark(self, member: str, *, needs_reset: bool = False, owner: str | None = None) -> list[str]:
        return self.words(
            self.core.unpark(self.members[member], self.now, needs_reset=needs_reset, owner=owner)
        )

    def steal(self, member: str, *, successor: str | None = None, owner: str | None = None) -> list[str]:
        return self.words(self.core.steal(self.members[member], self.now, successor, owner))

    def was_reset(self, member: str) -> list[str]:
        return self.words(self.core.was_reset(self.members[member], self.now))

    def captured(self, member: str) -> list[str]:
        return self.words(self.core.captured(self.members[member], self.now))

    def declined(self, member: str, name: str) -> list[str]:
        ticket = self.tickets.setdefault(name, Ticket("app"))
        return self.words(self.core.declined(self.members[member], ticket, self.now))

    def discard(self, member: str, reason: CloseReason = CloseReason.DIRTY) -> list[str]:
        return self.words(self.core.discard(self.members[member], self.now, reason))

    def lost(self, member: str) -> list[str]:
        return self.words(self.core.lost(self.members[member], self.now, CloseReason.LOST))

    def tick(self, now: float) -> list[str]:
        self.now = now
        return self.words(self.core.tick(now))

    def limit(self, tenant: str, most: int) -> list[str]:
        return self.words(self.core.limit(tenant, most, self.now))

    def resize(self, max_size: int) -> list[str]:
        return self.words(self.core.resize(max_size, self.now))

    def pause(self) -> list[str]:
        return self.words(self.core.pause(self.now))

    def resume(self) -> list[str]:
        return self.words(self.core.resume(self.now))

    def send_away(self, *, goes_on: bool = False) -> list[str]:
        return self.words(self.core.send_away(goes_on))

    def move(self, name: str) -> list[str]:
        return self.words(self.core.move(self.tickets[name]))

    def drain(self) -> list[str]:
        return self.words(self.core.drain(self.now))

    def close(self) -> list[str]:
        return self.words(self.core.close(self.now))

    # What is true

    def states(self) -> dict[str, str]:
        """The state of every member that is not closed."""
        alive = {id(member): member for member in self.core.members()}
        return {
            name: STATE_NAMES[member.state] for name, member in self.members.items() if id(member) in alive
        }

    def lease_of(self, name: str) -> str | None:
        """The member that a ticket has."""
        member = self.tickets[name].member
        return None if member is None else self._name_of(member)

    def waiting(self) -> int:
        return self.core.waiting_count

    def leased(self, *names: str, key: str = "app") -> None:
        """The scene begins with these tickets holding new members of their own."""
        for name in names:
            self.acquire(name, key)
            self.opened(f"m{len(self.members)}")
            assert self.lease_of(name) == f"m{len(self.members)}"

    # Words

    def words(self, actions: Iterable[Action]) -> list[str]:
        return [self._word(action) for action in actions]

    def _word(self, action: Action) -> str:
        if action.kind == WAKE:
            assert action.ticket is not None
            return self._wake(action.ticket)
        assert action.member is not None
        name = self._name_of(action.member)
        if action.kind == OPEN:
            replaces = f" for {self._name_of(action.replaces)}" if action.replaces is not None else ""
            return f"open {name}{replaces} with {action.payload}"
        if action.kind == CAPTURE:
            return f"capture {name} of {action.claim}"
        if action.kind == CLOSE:
            assert action.reason is not None
            return f"close {name}: {action.reason.value}"
        assert action.kind == RESET
        return f"reset {name}"

    def _wake(self, ticket: Ticket) -> str:
        [name] = [name for name, other in self.tickets.items() if other is ticket]
        if ticket.member is not None:
            return f"{name} gets {self._name_of(ticket.member)}"
        error = ticket.error
        if isinstance(error, AcquireTimeout):
            return f"{name} waited {error.waited:g} s" + (f": {error.cause}" if error.cause else "")
        return f"{name} is refused: {error.error if isinstance(error, OpenFailed) else type(error).__name__}"

    def _name_of(self, member: Member) -> str:
        [name] = [name for name, other in self.members.items() if other is member]
        return name
