"""The pool core against a model of its shell: whatever the order of calls, the invariants of the design hold after each.

The model believes only what it is told: by the actions, by `ticket.member` and `ticket.error`. From that it knows the state each
member must be in, and compares.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.pool import NO_ACTIONS, Member, PoolCore, Ticket
from proxy.pool_actions import (
    CAPTURE,
    CLOSE,
    OPEN,
    RESET,
    WAKE,
    AcquireTimeout,
    Action,
    OpenFailed,
    PoolClosed,
    PoolDraining,
    PoolMoved,
)
from proxy.pool_limits import Quota
from proxy.pool_settle import KEEPS
from proxy.pool_states import CLOSED, IDLE, LEASED, MOST_LOOKS, NEVER, OPENING, PARKED, RESETTING, Queue
from proxy.pool_waiters import weight
from proxy.reasons import CloseReason

# some 20,000 steps, each followed by all invariants: half a minute in the interpreter when the machine is busy
pytestmark = pytest.mark.timeout(240)

KEYS = ("app", "app with schema", "other")
CREDENTIALS = ("good", "bad")
OWNERS = ("alice", "bob", "carol")
LIKENESSES = (None, "on", "off")
DECIDED = (CloseReason.EVICTED, CloseReason.IDLE_TIMEOUT, CloseReason.MAX_AGE, CloseReason.OVER_BOUND)
MAX_AGE, YOUNGEST = 20.0, 16.0
Wish = tuple[str, str, bool, float, int, bool, str | None]
INDEX = st.integers(min_value=0, max_value=63)
WISH = st.tuples(
    st.sampled_from(KEYS),
    st.sampled_from(CREDENTIALS),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([0.5, NEVER, NEVER]),
    INDEX,
    st.sampled_from([False, False, True]),
    st.sampled_from([None, None, None, "shop"]),
)
CLAIM = st.tuples(INDEX, st.sampled_from([True, True, False]), st.sampled_from([False, False, True]))
ENDING = st.tuples(
    INDEX,
    st.sampled_from([None, None, None, *KEYS]),
    st.sampled_from([None, *OWNERS]),
    st.sampled_from([False, False, True]),
)


def user_of(key: Hashable) -> Hashable:
    """Whose a key is."""
    return "other" if key == "other" else "app"


class Payload:
    """What one acquire would open a member with."""

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket


class PoolMachine(RuleBasedStateMachine):
    """The shell, and what it knows."""

    @initialize(
        max_size=st.sampled_from([1, 2, 3, 4, 4]),
        max_opening=st.integers(1, 3),
        min_idle=st.sampled_from([0, 0, 1, 2]),
        max_age=st.sampled_from([NEVER, MAX_AGE]),
        switch_delay=st.sampled_from([0.0, 0.5, NEVER]),
        pace=st.sampled_from([0.0, 0.0, 2.0, 5.0]),
        tenant_of=st.sampled_from([None, user_of, str]),
        limit=st.sampled_from([0, 0, 1, 2]),
        reserve=st.sampled_from([0, 0, 1]),
        quota=st.sampled_from([1, 2]),
        seed=st.integers(0, 3),
        share=st.sampled_from([1, 2]),
        epilogue=st.sampled_from([None, None, PoolDraining, PoolClosed]),
    )
    def start(
        self,
        max_size: int,
        max_opening: int,
        min_idle: int,
        max_age: float,
        switch_delay: float,
        pace: float,
        tenant_of: Callable[[Hashable], Hashable] | None,
        limit: int,
        reserve: int,
        quota: int,
        seed: int,
        share: int,
        epilogue: type[object] | None,
    ) -> None:
        self.epilogue = epilogue
        self.now = 0.0
        self.states: dict[Member, int] = {}
        self.idle_order: list[Member] = []
        self.residue: dict[Member, str] = {}
        self.waiting: list[Ticket] = []
        self.done: list[Ticket] = []
        self.leases: dict[Ticket, Member] = {}
        self.fresh: set[Ticket] = set()
        self.claims: dict[Ticket, Member] = {}
        self.newborn: set[Member] = set()
        self.spared: set[Ticket] = set()
        self.payloads: dict[Member, Payload] = {}
        self.deadlines: dict[Ticket, float] = {}
        self.failing_since = NEVER
        self.releases = 0
        self.is_paused = False
        self.is_sending_away = False
        self.ending: type[object] | None = None
        self.core = PoolCore(
            new_member=self.new_member,
            random=random.Random(seed).random,
            max_size=max_size,
            max_opening=max_opening,
            min_idle=min_idle,
            max_age=max_age,
            idle_timeout=5.0,
            acquire_timeout=3.0,
            switch_delay=switch_delay,
            connects_per_second=pace,
            reserve=reserve,
            reserve_share=2,
            tenant_of=tenant_of,
            tenant_limits={"app": limit} if limit and tenant_of is user_of else None,
        )
        self.has_limits = tenant_of is user_of
        self.limit = self.given = limit if self.has_limits else 0
        self.pace = pace
        self.openings: list[float] = []
        self.retirements = 0
        self.options = (max_size, max_opening, min_idle)
        self.bound = self.most = max_size
        self.over_quota = self.over_limit = 0
        self.quota = Quota("shop", quota)
        for number in range(self.core.bound // share):
            self.acquire(
                [
                    (
                        "app" if number < (self.limit or max_size) else "other",
                        "good",
                        False,
                        NEVER,
                        0,
                        False,
                        None,
                    )
                ]
            )
            while not self.has(OPENING):
                self.tick_when_due()
            self.opened(self.pick(0, OPENING))

    def new_member(self, key: object, payload: object) -> Member:
        assert isinstance(payload, Payload), "a member is opened with what some ticket brought"
        assert payload.ticket.key == key or self.options[2], "of that key"
        member = Member()
        self.payloads[member] = payload
        return member

    # What the shell does with an answer

    def perform(self, actions: list[Action]) -> None:
        assert not NO_ACTIONS
        assert actions or actions is NO_ACTIONS
        for action in actions:
            member = action.member
            if member is None:
                assert action.kind == WAKE and action.ticket is not None
                self.woken(action.ticket)
            elif action.kind == OPEN:
                assert member not in self.states
                assert action.payload is self.payloads[member]
                assert action.replaces is None or self.states[action.replaces] == CLOSED
                self.states[member] = OPENING
                self.openings.append(self.now)
            elif action.kind == RESET:
                assert self.states[member] in (LEASED, PARKED)
                assert member not in self.residue
                self.states[member] = RESETTING
            elif action.kind == CAPTURE:
                assert self.states[member] in (LEASED, PARKED)
                assert action.claim is not None and action.claim == self.residue[member]
                self.states[member] = RESETTING
            elif action.kind == CLOSE:
                assert self.states[member] != CLOSED
                assert action.reason is not None
                if action.reason is CloseReason.MAX_AGE:
                    self.retirements += 1
                if action.reason in DECIDED:
                    assert member not in self.residue, "captured first"
                self.has_closed(member)
            else:
                raise AssertionError(f"an action of an unknown kind: {action}")

    def woken(self, ticket: Ticket) -> None:
        assert ticket in self.waiting, "woken once, while it waits"
        ahead = [other for other in self.waiting[: self.waiting.index(ticket)] if other.key == ticket.key]
        self.waiting.remove(ticket)
        assert (ticket.member is None) != (ticket.error is None)
        if ticket.member is None:
            self.refused(ticket)
            return
        assert self.ending is None and not self.is_paused
        if ticket not in self.fresh and ticket not in self.spared:
            unfair = [other for other in ahead if self.is_like(other, ticket) and not self.had_claim(other)]
            assert not unfair or self.had_claim(ticket), "first come, first served within a key"
        self.granted(ticket)

    def is_like(self, other: Ticket, ticket: Ticket) -> bool:
        """Whether the one that came first goes first."""
        is_same_class = other.is_batch == ticket.is_batch and other.quota is ticket.quota
        return is_same_class and other not in self.fresh

    def had_claim(self, ticket: Ticket) -> bool:
        return ticket in self.claims

    def granted(self, ticket: Ticket) -> None:
        member = ticket.member
        assert member is not None and not ticket.is_done and member.ticket is ticket
        assert member not in self.leases.values()
        claimed = self.claims.pop(ticket, None)
        if claimed is not None and self.states[claimed] == PARKED:
            assert member is claimed, "its own residue first"
        if ticket in self.spared:
            assert self.payloads[member].ticket is ticket and self.states[member] == IDLE
        elif ticket in self.fresh:
            assert self.payloads[member].ticket is ticket and self.states[member] == IDLE
            assert member in self.newborn, "only a member opened for it"
        elif member is not claimed or self.states[member] != PARKED:
            assert member not in self.residue, "nobody meets the residue of another"
            mates = [other for other in self.idle_order if other.key == member.key]
            newest = mates[: -MOST_LOOKS - 1 : -1]
            alike = [other for other in newest if other.likeness is ticket.likeness]
            assert (alike or newest)[0] is member, (
                "the newest idle member that is alike first, else the newest"
            )
            assert member.key == ticket.key
        self.leave_idle(member)
        self.states[member] = LEASED
        self.leases[ticket] = member

    def refused(self, ticket: Ticket) -> None:
        assert ticket.is_done and ticket.member is None
        self.claims.pop(ticket, None)
        if self.ending is not None:
            assert type(ticket.error) is self.ending
        elif type(ticket.error) is AcquireTimeout:
            assert self.deadlines[ticket] <= self.now
            assert ticket.error.waited == self.now - ticket.enqueued_at
        elif self.is_sending_away:
            assert type(ticket.error) is PoolMoved
        else:
            assert type(ticket.error) is OpenFailed and ticket.error.error is not None
        self.done.append(ticket)

    def become_idle(self, member: Member) -> None:
        """Unless the answer says otherwise."""
        self.states[member] = IDLE
        self.residue.pop(member, None)
        self.idle_order.append(member)

    def leave_idle(self, member: Member) -> None:
        if member in self.idle_order:
            self.idle_order.remove(member)

    def has_closed(self, member: Member) -> None:
        self.leave_idle(member)
        self.states[member] = CLOSED
        self.residue.pop(member, None)
        for ticket, leased in list(self.leases.items()):
            if leased is member:
                del self.leases[ticket]
                self.done.append(ticket)

    def pick(self, index: int, *states: int) -> Member:
        candidates = [member for member, state in self.states.items() if state in states]
        return candidates[index % len(candidates)]

    def has(self, *states: int) -> bool:
        return any(state in states for state in self.states.values())

    # Tickets

    def new_ticket(self, index: int) -> Ticket:
        return self.done[index % len(self.done)] if self.done and index % 3 else Ticket()

    @rule(
        wishes=st.lists(WISH, max_size=4),
        endings=st.lists(ENDING, max_size=3),
        claims=st.lists(CLAIM, max_size=2),
    )
    def traffic(
        self,
        wishes: list[Wish],
        endings: list[tuple[int, str | None, str | None, bool]],
        claims: list[tuple[int, bool, bool]],
    ) -> None:
        self.end_leases(endings)
        for claim in claims:
            self.claim(*claim)
        self.acquire(wishes)

    # the same again: Hypothesis leaves some rules out of each run, and without traffic nothing happens
    @rule(endings=st.lists(ENDING, max_size=3), wishes=st.lists(WISH, max_size=4))
    def more_traffic(
        self,
        wishes: list[Wish],
        endings: list[tuple[int, str | None, str | None, bool]],
    ) -> None:
        self.acquire(wishes)
        self.end_leases(endings)

    def acquire(self, wishes: list[Wish]) -> None:
        for key, credential, wants_fresh, patience, index, is_batch, quota in wishes:
            ticket = self.new_ticket(index)
            if ticket in self.done:
                self.done.remove(ticket)
            ticket.key, ticket.credential, ticket.wants_fresh = key, credential, wants_fresh
            ticket.deadline = self.now + patience
            ticket.likeness = LIKENESSES[index % 3]
            ticket.is_batch = is_batch
            ticket.quota = self.quota if quota is not None and not wants_fresh else None
            ticket.payload = Payload(ticket)
            self.ask(ticket)

    def ask(self, ticket: Ticket) -> None:
        self.deadlines[ticket] = min(ticket.deadline, self.now + 3.0)
        self.fresh.discard(ticket)
        if ticket.wants_fresh:
            self.fresh.add(ticket)
        actions = self.core.acquire(ticket, self.now)
        if ticket.member is not None:
            assert actions is NO_ACTIONS and not self.is_paused and self.ending is None
            assert ticket not in self.fresh
            self.granted(ticket)
        elif ticket.error is not None:
            self.refused(ticket)
            assert self.ending is not None or self.now - self.failing_since > 3.0, (
                "only when all hope is gone"
            )
        else:
            self.waiting.append(ticket)
        self.perform(actions)

    @precondition(lambda self: self.waiting or self.leases)
    @rule(index=INDEX)
    def cancel(self, index: int) -> None:
        tickets = [*self.waiting, *self.leases, *self.done[:1]]
        ticket = tickets[index % len(tickets)]
        member = self.leases.pop(ticket, None)
        if ticket in self.waiting:
            self.waiting.remove(ticket)
        self.claims.pop(ticket, None)
        if ticket not in self.done:
            self.done.append(ticket)
        if member is not None:
            self.released(member, self.residue.get(member), False)
        self.perform(self.core.cancel(ticket, self.now))
        assert ticket.is_done and ticket.member is None
        if member is not None:
            self.check_released(member)

    # Leases

    def released(self, member: Member, owner: str | None, needs_reset: bool) -> None:
        if owner is not None:
            self.states[member] = PARKED
            self.residue[member] = owner
        elif needs_reset:
            self.residue.pop(member, None)
        else:
            self.become_idle(member)

    def check_released(self, member: Member) -> None:
        if self.ending is not None:
            assert self.states[member] == CLOSED

    def end_leases(self, endings: list[tuple[int, str | None, str | None, bool]]) -> None:
        for ending in endings:
            if self.leases:
                self.release(*ending)

    def release(self, index: int, key: str | None, owner: str | None, needs_reset: bool) -> None:
        self.releases += 1
        ticket = list(self.leases)[index % len(self.leases)]
        member = self.leases.pop(ticket)
        self.done.append(ticket)
        needs_reset = needs_reset and owner is None
        member.likeness = LIKENESSES[(index + self.releases) % 3]
        self.released(member, owner, needs_reset)
        self.over_limit = max(self.limit, self.over_limit) + (key is not None)
        actions = self.core.release(member, self.now, key=key, parked_by=owner, needs_reset=needs_reset)
        assert key is None or member.key == key
        waiting = [t for t in self.waiting if t.key == member.key and t not in self.fresh]
        coming = [m for m, state in self.states.items() if state == RESETTING and m.key == member.key]
        self.perform(actions)
        self.check_released(member)
        if any([ticket.quota is not None or ticket.is_batch for ticket in waiting]):
            return
        if owner is not None and len(waiting) > len(coming) and not self.is_paused:
            assert self.states[member] == RESETTING, "waiters could use it now"

    def claim(self, index: int, is_owner: bool, pauses: bool) -> None:
        if not self.residue:
            return
        if pauses:
            self.pause()
        member = list(self.residue)[index % len(self.residue)]
        owner = self.residue[member] if is_owner else "mallory"
        ticket = Ticket(member.key, None, "good", NEVER)
        ticket.payload = Payload(ticket)
        may = is_owner and self.states[member] == PARKED
        granted = self.core.claim(owner, member, ticket, self.now)
        assert granted == (may and not self.is_paused)
        if granted:
            self.claims[ticket] = member
            self.granted(ticket)
        elif may:
            self.claims[ticket] = member
            self.ask(ticket)
        else:
            assert ticket.is_done and ticket.member is None

    @precondition(lambda self: self.has(PARKED))
    @rule(index=INDEX, needs_reset=st.booleans(), owner=st.sampled_from([None, "mallory"]))
    def unpark(self, index: int, needs_reset: bool, owner: str | None) -> None:
        member = self.pick(index, PARKED)
        if owner is not None:
            assert self.core.unpark(member, self.now, owner=owner) is NO_ACTIONS
            return
        owner = self.residue.pop(member)
        if not needs_reset:
            self.become_idle(member)
        self.perform(self.core.unpark(member, self.now, needs_reset=needs_reset, owner=owner))

    @precondition(lambda self: self.has(PARKED))
    @rule(index=INDEX)
    def steal(self, index: int) -> None:
        member = self.pick(index, PARKED)
        actions = self.core.steal(member, self.now)
        may = not self.is_paused and self.ending is None
        assert (actions is NO_ACTIONS) != may
        self.perform(actions)
        assert self.states[member] == (RESETTING if may else PARKED)

    # Reports

    @precondition(lambda self: self.has(OPENING))
    @rule(index=INDEX, outcome=st.sampled_from(["opened"] * 6 + ["refused", "limit", "credential"]))
    def opening_ends(self, index: int, outcome: str) -> None:
        member = self.pick(index, OPENING)
        if outcome == "opened":
            self.opened(member)
        else:
            self.open_failed(member, outcome)

    def opened(self, member: Member) -> None:
        ticket = self.payloads[member].ticket
        is_awaited = (
            ticket in self.fresh and ticket in self.waiting and ticket.payload is self.payloads[member]
        )
        self.become_idle(member)
        self.failing_since = NEVER
        self.newborn = {member}
        self.spared = {ticket} if ticket.opening is member else set()
        self.perform(self.core.opened(member, self.now))
        self.newborn, self.spared = set(), set()
        if is_awaited and not self.is_paused:
            assert ticket.member is member, "nobody takes the fresh member of another"

    def open_failed(self, member: Member, kind: str) -> None:
        credential, key = member.credential, member.key
        self.has_closed(member)
        if kind == "credential" or (kind == "limit" and self.has(IDLE, PARKED, LEASED, RESETTING)):
            self.failing_since = NEVER
        else:
            self.failing_since = min(self.failing_since, self.now)
        actions = self.core.open_failed(
            member, self.now, kind, is_credential=kind == "credential", is_limit=kind == "limit"
        )
        self.perform(actions)
        if kind == "credential":
            assert not [t for t in self.waiting if t.key == key and t.credential is credential]

    @precondition(lambda self: self.has(RESETTING))
    @rule(index=INDEX)
    def refreshed(self, index: int) -> None:
        member = self.pick(index, RESETTING)
        report = self.core.captured if member in self.residue else self.core.was_reset
        self.become_idle(member)
        self.perform(report(member, self.now))

    @precondition(lambda self: any(self.states[member] == RESETTING for member in self.residue))
    @rule(index=INDEX)
    def declined(self, index: int) -> None:
        captured = [member for member in self.residue if self.states[member] == RESETTING]
        member = captured[index % len(captured)]
        owner = self.residue[member]
        ticket = Ticket(member.key, None, "good", NEVER)
        ticket.payload = Payload(ticket)
        self.states[member] = LEASED
        self.leases[ticket] = member
        actions = self.core.declined(member, ticket, self.now)
        assert ticket.member is member and member.claim == owner, "its owner has it again"
        self.perform(actions)

    def discard(self, index: int, is_lost: bool) -> None:
        member = self.pick(index, OPENING, IDLE, PARKED, LEASED, RESETTING, CLOSED)
        call = self.core.lost if is_lost else self.core.discard
        was_closed = self.states[member] == CLOSED
        if self.states[member] == OPENING:
            self.failing_since = min(self.failing_since, self.now)
        actions = call(member, self.now, CloseReason.LOST)
        assert (actions is NO_ACTIONS) == was_closed
        self.perform(actions)
        assert self.states[member] == CLOSED

    @precondition(lambda self: self.has(CLOSED))
    @rule(
        index=INDEX, call=st.sampled_from(["opened", "release", "was_reset", "captured", "unpark", "steal"])
    )
    def late_report(self, index: int, call: str) -> None:
        report: Callable[..., Any] = getattr(self.core, call)
        assert report(self.pick(index, CLOSED), self.now) is NO_ACTIONS
        assert self.core.open_failed(self.pick(index, CLOSED), self.now, "late") is NO_ACTIONS
        ticket = Ticket("app")
        assert self.core.declined(self.pick(index, CLOSED), ticket, self.now) is NO_ACTIONS
        assert ticket.is_done and ticket.member is None

    # Time, and the pool's own states

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.6, 3.5, 6.0]), ticks=st.booleans())
    def time_passes(self, seconds: float, ticks: bool) -> None:
        self.now += seconds
        if ticks:
            self.tick()

    def tick(self) -> None:
        self.perform(self.core.tick(self.now))
        assert not [ticket for ticket in self.waiting if self.deadlines[ticket] <= self.now]
        assert self.core.next_deadline(self.now) > self.now, "nothing is left to do"

    @rule()
    def tick_when_due(self) -> None:
        at = self.core.next_deadline(self.now)
        if at < NEVER:
            self.now = at
            self.tick()

    @precondition(lambda self: self.states)
    @rule(
        what=st.sampled_from(
            ["discard"] * 4 + ["lost"] * 4 + ["pause"] * 4 + ["send_away"] + ["drain"] * 2 + ["close"]
        ),
        index=INDEX,
    )
    def seldom(self, what: str, index: int) -> None:
        if what in ("discard", "lost"):
            self.discard(index, what == "lost")
        elif what == "pause":
            self.pause()
        elif what == "send_away":
            self.send_away()
        elif self.releases > 4:
            self.end(PoolDraining if what == "drain" else PoolClosed)

    @rule(bound=st.sampled_from([0, 1, 1, 2, 3, 4]))
    def resize(self, bound: int) -> None:
        self.bound = bound
        self.most = max(bound, self.core.size)
        self.perform(self.core.resize(bound, self.now))
        if not self.is_paused:
            assert self.core.size - self.core.resetting_count - self.core.leased_count <= max(
                bound, self.core.opening_count
            )

    @precondition(lambda self: self.has_limits)
    @rule(most=st.sampled_from([0, 1, 1, 2, 3]))
    def limit_a_user(self, most: int) -> None:
        """The server has refused him, or does so no more."""
        self.limit = min(most or self.given, self.given or most)
        self.over_limit = len(self.members_of("app"))
        self.perform(self.core.limit("app", most, self.now))

    @precondition(lambda self: self.waiting)
    @rule(index=INDEX)
    def spare(self, index: int) -> None:
        ticket = self.waiting[index % len(self.waiting)]
        size = self.core.size
        actions = self.core.spare(ticket, self.now)
        assert not actions or size < self.core.max_size
        if actions:
            assert ticket.opening is actions[0].member and ticket not in self.fresh
            assert self.spare(index) is None and self.core.size == size + 1, "one is enough"
        self.perform(actions)

    def end(self, error: type[object]) -> None:
        if self.ending is not PoolClosed:
            self.ending = error
        self.is_paused = False
        self.perform((self.core.drain if error is PoolDraining else self.core.close)(self.now))
        assert error is PoolDraining or not self.core.size

    def send_away(self) -> None:
        actions = self.core.send_away()
        waiting = sorted(self.waiting, key=lambda ticket: ticket.order)
        assert [action.ticket for action in actions] == waiting, "in the order in which they came"
        self.is_sending_away = True
        self.perform(actions)
        self.is_sending_away = False
        assert not self.waiting

    def pause(self) -> None:
        assert self.core.pause(self.now) is NO_ACTIONS
        self.is_paused = self.ending is None

    @precondition(lambda self: self.is_paused)
    @rule()
    def resume(self) -> None:
        self.is_paused = False
        self.perform(self.core.resume(self.now))
        for ticket, member in self.claims.items():
            assert self.states[member] != PARKED or ticket not in self.waiting, "its own residue first"
        self.claims.clear()

    # The invariants

    @invariant()
    def members_are_where_they_should_be(self) -> None:
        alive = {member: state for member, state in self.states.items() if state != CLOSED}
        listed = self.core.members()
        assert len(listed) == len(set(listed)) == self.core.size
        assert {member: member.state for member in listed} == alive
        assert all(member.state == CLOSED for member in self.states if member not in alive)
        for state, members in enumerate(self.core._members.lists):
            forward = members.members()
            assert [member.state for member in forward] == [state] * members.count
            backward = []
            member = members.newest
            while member is not None:
                backward.append(member)
                member = member.older
            assert backward == forward[::-1]
        assert [member for member in self.core._members.idle.members()] == self.idle_order

    @invariant()
    def the_bounds_hold(self) -> None:
        assert self.core.size <= self.most
        self.most = max(self.bound, self.core.size)
        if self.core.size > self.core.bound and self.ending is None:
            assert not self.core.idle_count, "what is free goes"
            assert not self.core.parked_count or self.is_paused or self.core.resetting_count
        assert self.core.opening_count <= self.options[1]

    @invariant()
    def the_paces_hold(self) -> None:
        for within, burst in ((0.0, 0.0), (1.0, 1.0)):
            since = [at for at in self.openings if self.now - at <= within]
            assert not self.pace or len(since) <= self.pace * (1.0 + burst) + 1e-6, "never more in a second"
        # four members of one age are replaced in ten seconds, fewer more slowly
        assert self.retirements <= 1 + max(0.0, self.now - YOUNGEST) / 2.5

    @invariant()
    def in_the_end_there_are_only_leases(self) -> None:
        if self.ending is not None:
            assert self.core.size == self.core.leased_count and not self.waiting

    @invariant()
    def each_lease_has_one_ticket(self) -> None:
        assert set(self.leases.values()) == {m for m, state in self.states.items() if state == LEASED}
        for ticket, member in self.leases.items():
            assert ticket.member is member and member.ticket is ticket and not ticket.is_done
        assert all(ticket.is_done for ticket in self.done)

    @invariant()
    def tickets_wait_in_the_order_of_arrival(self) -> None:
        assert self.core.waiting_count == len(self.waiting)
        assert all(ticket.member is None and not ticket.is_done for ticket in self.waiting)
        assert sorted(self.core._waiters.all(), key=lambda ticket: ticket.order) == self.waiting
        for queue in self.core._waiters.queues:
            tickets = queue.tickets()
            assert tickets == sorted(tickets, key=lambda ticket: ticket.order) and len(tickets) == queue.count
        assert self.core.oldest_waiter() is (self.waiting[0] if self.waiting else None)
        deadlines = [self.deadlines[ticket] for ticket in self.waiting]
        assert self.core.next_deadline(-NEVER) <= min(deadlines, default=NEVER)

    @invariant()
    def nobody_idles_while_somebody_waits(self) -> None:
        if not self.is_paused:
            wanted = {ticket.key for ticket in self.waiting if self.may_be_served(ticket)}
            assert not [member for member in self.idle_order if member.key in wanted]

    def may_be_served(self, ticket: Ticket) -> bool:
        return ticket not in self.fresh and (ticket.quota is None or self.quota.leased < self.quota.most)

    @invariant()
    def the_limits_hold(self) -> None:
        leased = [ticket for ticket in self.leases if ticket.quota is not None]
        assert self.quota.leased == len(leased)
        assert len(leased) <= max(self.quota.most, self.over_quota), "but for residue that was taken back"
        self.over_quota = max(self.quota.most, len(leased))
        if self.limit:
            members = self.members_of("app")
            assert len(members) <= max(self.limit, self.over_limit), "but for members that changed hands"
            self.over_limit = len(members)

    def members_of(self, user: str) -> list[Member]:
        """Those that are not closed."""
        return [m for m, state in self.states.items() if state != CLOSED and user_of(m.key) == user]

    @invariant()
    def who_waits_can_hope(self) -> None:
        if self.waiting and self.bound and not self.is_paused:
            opens_at = self.core._opens_at()
            is_held_up = opens_at > self.core._settled_at
            assert self.has(OPENING, LEASED, RESETTING) or is_held_up
            if is_held_up:
                assert self.core.next_deadline(self.now) <= max(self.now, opens_at)

    @invariant()
    def nothing_that_could_be_done_is_left_undone(self) -> None:
        core = self.core
        if self.is_paused or not self.waiting:
            return
        if core._settled_at < core._opens_at() <= self.now:
            # the interval may have ended with nobody calling
            return
        queues = list(core._waiters.queues)
        needy = core._waiters.neediest(self.now)
        if core._may_open(self.now) and needy is not None:
            free = [member for member in self.states if self.states[member] in (IDLE, PARKED)]
            assert core.size >= core.bound and not [
                member for member in free if not self.is_kept(member, needy)
            ]
        for queue in queues:
            parked = [member for member in self.states if self.is_parked_for(member, queue)]
            assert not (queue.is_short and parked)

    def is_kept(self, member: Member, queue: Queue) -> bool:
        """Another user has just let it go who has no more in use, and the one who waits is not without any."""
        is_recent = self.core._settled_at < member.idle_since + KEEPS * self.core.switch_delay
        owner = member.pool.tenant
        # a queue has lines of both classes: of those that nobody is coming for, who is next
        first = self.core._waiters.uncovered(queue)
        # what was leased at once since then has settled nothing
        newer = [
            m
            for m in self.leases.values()
            if m.pool.tenant is owner and m.leased_since >= self.core._settled_at
        ]
        theirs = (owner.used() - len(newer)) * weight(owner.is_batch)
        return is_recent and owner is not queue.tenant and 0 < queue.used() * weight(first.is_batch) >= theirs

    def is_parked_for(self, member: Member, queue: object) -> bool:
        return self.states[member] == PARKED and member.pool is queue

    @invariant()
    def the_books_balance(self) -> None:
        alive = self.core.members()
        for queue in {
            *self.core._waiters.queues,
            self.core._waiters.fresh,
            *self.core._members.pools.values(),
        }:
            assert queue.coming == sum(member.serves is queue for member in alive)
        lines = [line for queue in self.core._waiters.queues for line in queue.lines]
        assert self.quota.promised == sum(line.promised for line in lines)
        for member in alive:
            assert (member.serves is None) == (member.state not in (OPENING, RESETTING))
            if member.state == OPENING:
                ticket = member.ticket
                is_fresh = ticket is not None and ticket.wants_fresh
                assert member.serves is (self.core._waiters.fresh if is_fresh else member.pool)
                assert ticket is None or (ticket.opening is member and ticket in self.waiting)
        for key, pool in self.core._members.pools.items():
            mine = [member for member in alive if member.pool is pool]
            assert all(member.key == key for member in mine) and pool.size == len(mine)
            assert pool.counts == [sum(member.state == state for member in mine) for state in range(5)]
            stack = []
            top = pool.top
            while top is not None:
                stack.append(top)
                top = top.below
            assert stack == [member for member in self.idle_order if member.pool is pool][::-1]
            assert pool.size or pool.count or (self.options[2] and pool.is_proven), "no key outlives its use"
        assert all(self.core._members.pools[member.key] is member.pool for member in alive)
        tenants = self.core._members.tenants
        assert {pool for tenant in tenants.values() for pool in tenant.pools} == set(
            self.core._members.pools.values()
        )
        for name, tenant in tenants.items():
            assert (
                (tenant.pools or tenant.most)
                and all(pool.tenant is tenant for pool in tenant.pools)
                and tenant.name == name
            )
            busy = [member for member in alive if member.pool.tenant is tenant and self.is_busy(member)]
            assert tenant.used() == len(busy)

    def is_busy(self, member: Member) -> bool:
        return self.states[member] not in (IDLE, PARKED)

    # The end

    def teardown(self) -> None:
        if hasattr(self, "core"):
            if self.epilogue is not None:
                self.end_leases([(0, None, "alice", False)])
                self.end(self.epilogue)
                self.in_the_end_there_are_only_leases()
            self.everything_goes_well_from_now_on()
            assert not self.waiting, "whatever happened, those who still wait are served"
            while self.leases:
                self.release(0, None, "alice", False)
            assert self.epilogue is None or not self.core.size

    def everything_goes_well_from_now_on(self) -> None:
        if self.is_paused:
            self.resume()
        for _ in range(8 * (len(self.waiting) + len(self.states) + 1)):
            if not self.waiting:
                break
            if self.has(OPENING):
                self.opened(self.pick(0, OPENING))
            elif self.has(RESETTING):
                self.refreshed(0)
            elif self.leases:
                self.release(0, None, None, False)
            else:
                self.tick_when_due()
            self.the_bounds_hold()
            self.members_are_where_they_should_be()


PoolMachine.TestCase.settings = settings(
    max_examples=max(350, settings().max_examples), stateful_step_count=60, deadline=None
)
test_invariants_of_the_pool = PoolMachine.TestCase
