"""Which server is the writer: the topology core.

Theory of operation
===================

Nothing is elected here. A server is the writer because it says so itself, on a connection of its own; everything else (a table on
another server, a DNS name, an error that a session got) only tells whom to ask, and how soon.

    UNKNOWN --> STABLE --> SUSPECT --> SWITCHING --> STABLE (another writer, epoch + 1)
                  ^           |            |
                  +-----------+------------+   the same writer says again that it is

- UNKNOWN: nobody has been believed yet. The writer's role is paused.
- STABLE: there is a writer. Looks are taken at the normal interval.
- SUSPECT: something speaks against it. All servers are looked at in the panic interval. What is known of them from before the suspicion
  counts for nothing: the writer must say anew that it is one. Whether the role is paused depends on what was seen: after an error that says
  "read-only" or when nobody listens there it is; when the monitor merely got no answer in time, it is not: the server may be busy.
- SWITCHING: the writer said that it may not be written any more. The role is paused until one says that it may.

Each call updates what is known of one server and ends in the same private step, `_settle`, which looks at all of it.

Two that say they may be written:

- Aurora: for a while after a failover. The present writer is asked again. If it insists, then of the two masters in their tables the one with
  the older LAST_UPDATE_TIMESTAMP is the former (ProxySQL does the same); where the tables do not tell, the present writer is kept. The other is
  refused, once: each may renew its own row.
  A table in which another is the master than before is a reason to ask everybody, and no more: copies are stale for a while, and masters two.
- Replication: the present writer is kept, the other refused and reported, until it says that it is read-only, or stops to follow a source (that
  is how replicas are promoted), or the writer itself says that it is none. At the start the one that the other replicates from is the writer;
  if neither does, there is none.

Epochs: each server has one, raised when its uptime falls behind, another server answers under its name, its statements are gone, or it becomes
or ceases to be the writer. The topology has one of its own that counts writers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from proxy.absence import Absence
from proxy.following import detour, follows
from proxy.observation import Observation, ReplicaRow, has_restarted
from proxy.topology_actions import (
    ALIVE,
    DEAD,
    Action,
    ActionKind,
    Cause,
    ClusterKind,
    Event,
    Moment,
    ServerRole,
    Signal,
    Timelines,
)

CALM: Final = 1.0
"""Seconds after a false alarm in which sessions' signals raise no other."""

WRITER: Final = ServerRole.WRITER
READER: Final = ServerRole.READER
NONE: Final = ServerRole.NONE


class TopologyState(Enum):
    """What is known of the writer."""

    UNKNOWN = "unknown"
    STABLE = "stable"
    SUSPECT = "suspect"
    SWITCHING = "switching"


_LEGAL: Final = {
    TopologyState.UNKNOWN: {TopologyState.STABLE},
    TopologyState.STABLE: {TopologyState.SUSPECT, TopologyState.SWITCHING, TopologyState.STABLE},
    TopologyState.SUSPECT: {TopologyState.SWITCHING, TopologyState.STABLE},
    TopologyState.SWITCHING: {TopologyState.STABLE},
}


@dataclass(slots=True, eq=False)
class Member:
    """One server as the topology knows it."""

    name: str
    address: tuple[str, int] = ("", 0)
    is_seed: bool = (
        False  # a name that leads to some server of the cluster: only a way to learn of the others
    )
    is_discovered: bool = False  # not configured, so it may be removed
    server_id: str = ""  # as it said last, or as a table calls it
    role: ServerRole = NONE
    epoch: int = 0
    seen: Observation | None = None  # the last look
    cause: Cause | None = None  # why the last attempt failed
    trouble: str = ""  # that in words
    heard_at: float = -1.0  # when there was an answer, or none, last
    absence: Absence = field(default_factory=Absence)
    is_refused: bool = False  # it said that it may be written while another was the writer
    named: str = ""  # whom its table has named as the writer last

    @property
    def claims(self) -> bool:
        """Whether it can be reached and says that it may be written."""
        return self.cause is None and self.seen is not None and self.seen.is_writer

    @property
    def is_following(self) -> bool:
        """Whether it is known to replicate from somewhere, or to want to."""
        return any(status.is_following for status in (self.seen and self.seen.replication) or ())


class TopologyCore:
    """Members with their roles. Every call but `add` takes `now` and returns what to do."""

    def __init__(
        self,
        kind: ClusterKind,
        *,
        interval: float = 1.0,
        panic_interval: float = 0.1,
        patience: float = 2.0,
        discovers: bool = False,
    ) -> None:
        """``patience``: seconds for which at the start servers are waited for that do not answer, and after which a suspicion ends for which
        there is neither proof nor refutation, and a reader that is dead is given up. ``discovers``: the shell can find a server by its id."""
        self.kind: Final = kind
        self.interval: Final = interval
        self.panic_interval: Final = panic_interval
        self.patience: Final = patience
        self.discovers: Final = discovers
        self.members: dict[str, Member] = {}
        self.state: TopologyState = TopologyState.UNKNOWN
        self.epoch: int = 0  # counts writers
        self.writer: Member | None = None  # the present one, or in SUSPECT and SWITCHING the last one
        self.problem: str = ""  # why there is no writer, or which server is refused; for people
        self.paused: set[ServerRole] = set()
        self.timelines: Final = Timelines()
        self._since: float = 0.0  # when the state began
        self._calm_until: float = -1.0
        self._actions: list[Action] = []

    # The shell's calls

    def add(
        self, name: str, *, address: tuple[str, int] = ("", 0), is_seed: bool = False, role: ServerRole = NONE
    ) -> None:
        """A configured server, before `begin`. ``role`` counts with STATIC only."""
        self.members[name] = Member(name, address, is_seed, role=role)

    def begin(self, now: float) -> list[Action]:
        """The looks begin."""
        self._since = now
        if self.kind is ClusterKind.STATIC:
            self.state = TopologyState.STABLE
            for member in self.members.values():
                self._emit(ActionKind.SET_ROLE, member)
            return self._done()
        self.timelines.begin()
        self._pause()
        self._act(Action(ActionKind.SET_INTERVAL, seconds=self.panic_interval))
        return self._done()

    def observed(self, name: str, observation: Observation, now: float) -> list[Action]:
        """A server was looked at."""
        member = self.members.get(name)
        if member is None:
            return []
        self._identify(member, observation, now)
        if member.cause is not None:
            self._log(now, Event.REACHABLE, member, "answers again")
        member.cause, member.trouble, member.heard_at = None, "", now
        member.absence.ends()
        was_following = member.is_following
        member.seen = observation
        if self.kind is ClusterKind.STATIC:
            return self._done()
        if not observation.is_writer or (was_following and not member.is_following):
            member.is_refused = False
        self._learn(member, observation, now)
        self._heed(member, now)
        return self._settle(now)

    def unreachable(self, name: str, cause: Cause, now: float, trouble: str = "") -> list[Action]:
        """A server could not be looked at."""
        member = self.members.get(name)
        if member is None:
            return []
        if member.cause is not cause:
            self._log(now, Event.UNREACHABLE, member, f"{cause.value}: {trouble}".removesuffix(": "))
        member.cause, member.trouble, member.heard_at = cause, trouble, now
        if self.kind is ClusterKind.STATIC:
            return self._done()
        if member.absence.is_over(cause, now, self.patience) and member is not self.writer:
            self._emit(ActionKind.CUT_OFF, member)
        return self._settle(now)

    def suspected(self, name: str, signal: Signal, now: float) -> list[Action]:
        """A session noticed something of a server."""
        member = self.members.get(name)
        if member is None:
            return []
        if signal is Signal.STATEMENTS_GONE:
            self._raise_epoch(member)
            self._log(now, Event.RESTARTED, member, "its prepared statements are gone")
        elif self.kind is ClusterKind.STATIC or member is not self.writer:
            self._act(Action(ActionKind.ASK, name))
        elif self.state is TopologyState.STABLE:
            if now >= self._calm_until:
                self._suspect(now, signal.value, pauses=True)
        elif self.state is TopologyState.SUSPECT:
            self._pause()
        return self._done()

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        return self._done() if self.kind is ClusterKind.STATIC else self._settle(now)

    def detour(self, name: str, seen: Observation) -> float | None:
        """Seconds by which what a replica follows, that was looked at, is behind the writer; None: that does not lead to the writer."""
        writer = self.writer
        if self.kind is not ClusterKind.REPLICATION or writer is None or writer.name == name:
            return 0.0
        return detour(seen, writer, self.members.values())

    # What is learned of one server

    def _identify(self, member: Member, observation: Observation, now: float) -> None:
        """Is it the server it was, and has it been up all the time?"""
        seen = member.seen
        if member.is_seed:
            pass  # it leads now here, now there
        elif member.server_id and member.server_id != observation.server_id:
            self._log(now, Event.REPLACED, member, f"{observation.server_id} instead of {member.server_id}")
            self._raise_epoch(member)
        elif seen is not None and has_restarted(seen, observation):
            self._raise_epoch(member)
            self._log(now, Event.RESTARTED, member, f"up for {observation.uptime} s")
        member.server_id = observation.server_id
        self._merge(member, now)

    def _merge(self, member: Member, now: float) -> None:
        """A configured server that a table had named before it was heard is one server."""
        for twin in list(self.members.values()):
            is_twin = twin is not member and twin.server_id == member.server_id and twin is not self.writer
            if is_twin and twin.is_discovered and not member.is_seed:
                self._remove(twin, now, f"is {member.name}")

    def _learn(self, member: Member, observation: Observation, now: float) -> None:
        """Other servers by its table. In peace that of the writer alone; it also tells who is gone."""
        if not self.discovers or self.kind is not ClusterKind.AURORA:
            return
        is_verified = member is self.writer and observation.is_writer
        if self.state is TopologyState.STABLE and not is_verified:
            return
        fresh = {row.server_id for row in observation.rows or () if row.is_fresh} | {observation.server_id}
        known = {other.server_id for other in self.members.values() if not other.is_seed} | set(self.members)
        for server_id in sorted(fresh - known):
            self.members[server_id] = Member(server_id, server_id=server_id, is_discovered=True)
            self._act(Action(ActionKind.ADD, server_id, server_id=server_id))
            self._log(now, Event.ADDED, self.members[server_id], f"known by {member.name}")
        if is_verified and observation.rows is not None:
            self._forget(fresh, now)

    def _heed(self, member: Member, now: float) -> None:
        """Its table may name another writer than before: no proof, but a reason to ask."""
        before, member.named = member.named, _newest_master([member]) or member.named
        is_news = before not in ("", member.named) and self.state is TopologyState.STABLE
        if is_news and member.named != self._present().server_id and now >= self._calm_until:
            self._suspect(now, f"{member.name} is told that {member.named} is the writer", pauses=False)

    def _forget(self, fresh: set[str], now: float) -> None:
        for member in list(self.members.values()):
            is_gone = member.is_discovered and member.server_id not in fresh
            # a server that answers is there, whatever the table says
            if is_gone and (member.cause is not None or member.seen is None):
                if member.cause in DEAD:
                    self._emit(ActionKind.CUT_OFF, member)
                self._remove(member, now, "no longer in the table")

    def _remove(self, member: Member, now: float, text: str) -> None:
        del self.members[member.name]
        self._emit(ActionKind.REMOVE, member)
        self._log(now, Event.REMOVED, member, text)

    # The one step

    def _settle(self, now: float) -> list[Action]:
        """What follows from all that is known."""
        if self.state is TopologyState.STABLE:
            self._watch(now)
        elif self.state is TopologyState.SUSPECT:
            self._verify(now)
        if self.state is TopologyState.SWITCHING or self._is_lost() or self._may_begin(now):
            self._accept(now)
        self._assign()
        return self._done()

    def _watch(self, now: float) -> None:
        """STABLE: does anything speak against the writer?"""
        writer = self._present()
        if writer.cause is not None:
            if writer.cause not in ALIVE:
                self._suspect(now, writer.cause.value, pauses=writer.cause in DEAD)
        elif not writer.claims:
            self._lose(now)
        else:
            self._compare(now)

    def _compare(self, now: float) -> None:
        """The writer says that it is one; so may others."""
        writer = self._present()
        rivals = self._rivals()
        if not rivals:
            self._report(now, "")
        elif self.kind is ClusterKind.REPLICATION:
            self._refuse(now, rivals)
        elif all(rival.is_refused for rival in rivals):
            pass  # decided, until one of them says that it is read-only
        elif self.state is TopologyState.STABLE:
            self._suspect(now, f"{rivals[0].name} may be written, too", pauses=False)
        else:
            newest = _newest_master([writer, *rivals])
            successor = next((rival for rival in rivals if rival.server_id == newest), None)
            if successor is None:
                self._refuse(now, rivals)
            else:
                self._switch(now, successor)

    def _verify(self, now: float) -> None:
        """SUSPECT: what does the writer itself say, asked since?"""
        writer = self._present()
        if writer.cause is None:
            if not writer.claims:
                self._lose(now)
                return
            if writer.seen is None or writer.seen.asked_at < self._since:
                return
            self._compare(now)
            if self.writer is writer:
                self._calm_until = now + CALM
                self._keep(now, Event.CONFIRMED, "says that it may be written")
        elif writer.cause in DEAD:
            self._pause()
        elif now >= self._since + self.patience:
            self._give_up(now, writer.cause)

    def _give_up(self, now: float, cause: Cause) -> None:
        """SUSPECT, and there is neither proof nor refutation: clients are not kept waiting for it."""
        if cause in ALIVE:
            self._keep(now, Event.UNCONFIRMED, f"cannot be asked ({cause.value})")
        elif self.paused:
            self._log(now, Event.UNCONFIRMED, self._present(), f"cannot be asked ({cause.value})")
            self._resume()

    def _is_lost(self) -> bool:
        """SUSPECT, and the writer could not be asked since: another one may say that it is the writer."""
        writer = self.writer
        return (
            self.state is TopologyState.SUSPECT
            and writer is not None
            and writer.cause is not None
            and writer.cause not in ALIVE
            and writer.heard_at >= self._since
        )

    def _may_begin(self, now: float) -> bool:
        """UNKNOWN, and everybody was heard or had the time."""
        if self.state is not TopologyState.UNKNOWN:
            return False
        if any(
            _newest_master([member]) == member.server_id
            for member in self.members.values()
            if member.claims and not member.is_seed
        ):
            return True  # the others could not say more
        members = [member for member in self.members.values() if not member.is_seed]
        return now >= self._since + self.patience or all(member.heard_at >= 0 for member in members)

    def _accept(self, now: float) -> None:
        """There is no writer: does one say that it is?"""
        claimants = self._claimants()
        if self.kind is ClusterKind.AURORA and len(claimants) > 1:
            newest = _newest_master(claimants)
            claimants = [member for member in claimants if member.server_id == newest] or claimants
        if self.kind is ClusterKind.REPLICATION:
            claimants = self._leaders(claimants)
        if len(claimants) == 1:
            self._switch(now, claimants[0])
        elif not self.paused:
            pass  # the writer may yet answer
        elif claimants:
            names = " and ".join(member.name for member in claimants)
            self._report(now, f"{names} may be written, and neither follows the other: make one read-only")
        else:
            self._report(now, f"no server says that it is the writer: {self._who_is_what()}")

    def _leaders(self, claimants: list[Member]) -> list[Member]:
        """Those that do not replicate from another of them, nor, at the start, from a server that cannot be reached."""
        sources = list(claimants)
        if self.state is TopologyState.UNKNOWN:
            sources += [member for member in self.members.values() if member.cause is not None]
        return [
            member
            for member in claimants
            if not any(follows(member.seen, source) for source in sources if source is not member)
        ]

    def _claimants(self) -> list[Member]:
        """Who says, since the writer is in doubt, that it is the writer: each server once."""
        found: dict[str, Member] = {}
        for member in self.members.values():
            seen = member.seen
            if seen is None or not member.claims or member.is_seed:
                continue
            if self.state is TopologyState.UNKNOWN or (
                seen.asked_at >= self._since and not self._is_barred(member)
            ):
                found.setdefault(member.server_id, member)
        return list(found.values())

    def _is_barred(self, member: Member) -> bool:
        """While nothing is heard of the writer a server that always said that it may be written, too, proves nothing by saying so again:
        its content may be another. On Aurora there is one storage, and when the writer itself says that it is none, somebody has to be."""
        return (
            member.is_refused and self.kind is ClusterKind.REPLICATION and self.state is TopologyState.SUSPECT
        )

    def _rivals(self) -> list[Member]:
        """Other servers than the writer that say that they may be written."""
        writer = self._present()
        return [
            member
            for member in self.members.values()
            if member.claims and not member.is_seed and member.server_id != writer.server_id
        ]

    # What becomes of it

    def _suspect(self, now: float, reason: str, *, pauses: bool) -> None:
        self._move(TopologyState.SUSPECT, now)
        self.timelines.begin()
        self._log(now, Event.SUSPECTED, self._present(), reason)
        self._act(Action(ActionKind.SET_INTERVAL, seconds=self.panic_interval))
        if pauses:
            self._pause()

    def _lose(self, now: float) -> None:
        """The writer said that it is none."""
        was_stable = self.state is TopologyState.STABLE
        self._move(TopologyState.SWITCHING, now)
        self.timelines.begin()
        self._log(now, Event.WRITER_LOST, self._present(), "says that it may not be written")
        if was_stable:
            self._act(Action(ActionKind.SET_INTERVAL, seconds=self.panic_interval))
        self._pause()

    def _keep(self, now: float, event: Event, text: str) -> None:
        """SUSPECT ends with the same writer."""
        self._move(TopologyState.STABLE, now)
        self._log(now, event, self._present(), text)
        self._calm_down()

    def _switch(self, now: float, successor: Member) -> None:
        former, self.writer = self.writer, successor
        self._move(TopologyState.STABLE, now)
        self.epoch += 1
        if former is not None and former.role is WRITER:
            self._set_role(former, NONE)
        successor.is_refused = False
        self._set_role(successor, WRITER)
        event = Event.WRITER_FOUND if former is None else Event.SWITCHED
        self._report(now, "")
        text = f"is the writer, epoch {self.epoch}"
        self._log(now, event, successor, text if former is None else f"{text}, after {former.name}")
        self._refuse(now, self._rivals())
        self._calm_down()

    def _calm_down(self) -> None:
        self._resume()
        self._act(Action(ActionKind.SET_INTERVAL, seconds=self.interval))
        self.timelines.end()

    def _refuse(self, now: float, rivals: list[Member]) -> None:
        """They say that they may be written beside the writer. Replicas that simply are not read-only are readers all the same."""
        for rival in rivals:
            rival.is_refused = True
        strangers = [rival.name for rival in rivals if not rival.is_following]
        if strangers:
            names = " and ".join(strangers)
            self._report(
                now, f"{names} may be written beside {self._present().name}: not used until read-only"
            )

    def _assign(self) -> None:
        """The roles of all but the writer."""
        for member in self.members.values():
            if member.is_seed or (member is self.writer and self.state is not TopologyState.SWITCHING):
                continue
            seen = member.seen
            if seen is None or member.cause in DEAD:
                self._set_role(member, NONE)
            elif member.cause is None:
                is_reader = not seen.is_writer or (member.is_refused and member.is_following)
                self._set_role(member, READER if is_reader else NONE)
            # else it is there but not heard: its lag ages, and with that it is out

    def _set_role(self, member: Member, role: ServerRole) -> None:
        if member.role is role:
            return
        if WRITER in (member.role, role):
            member.epoch += 1
        member.role = role
        self._emit(ActionKind.SET_ROLE, member)

    def _raise_epoch(self, member: Member) -> None:
        member.epoch += 1
        self._emit(ActionKind.RAISE_EPOCH, member)

    def _pause(self) -> None:
        if WRITER not in self.paused:
            self.paused.add(WRITER)
            self._act(Action(ActionKind.PAUSE, role=WRITER))

    def _resume(self) -> None:
        if WRITER in self.paused:
            self.paused.discard(WRITER)
            self._act(Action(ActionKind.RESUME, role=WRITER))

    # Words

    def _report(self, now: float, problem: str) -> None:
        """Say what is wrong, once."""
        if problem and problem != self.problem:
            self._act(Action(ActionKind.LOG, event=Event.PROBLEM, text=problem))
            self.timelines.add(Moment(now, Event.PROBLEM, "", problem))
        self.problem = problem

    def _who_is_what(self) -> str:
        members = [each for each in self.members.values() if not each.is_seed] or self.members.values()
        return ", ".join(f"{member.name} ({_condition(member)})" for member in members)

    def _log(self, now: float, event: Event, member: Member, text: str) -> None:
        self._act(Action(ActionKind.LOG, member.name, event=event, text=text))
        self.timelines.add(Moment(now, event, member.name, text))

    # Inside

    def _present(self) -> Member:
        assert self.writer is not None
        return self.writer

    def _move(self, state: TopologyState, now: float) -> None:
        assert state in _LEGAL[self.state], f"{self.state} -> {state}"
        self.state = state
        self._since = now

    def _emit(self, kind: ActionKind, member: Member) -> None:
        self._act(
            Action(kind, member.name, member.role, epoch=member.epoch, server_id=member.server_id),
        )

    def _act(self, action: Action) -> None:
        self._actions.append(action)

    def _done(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


def _newest_master(members: list[Member]) -> str:
    """The writer by the tables of these servers, of which the newest row counts; "" if they have none."""
    rows: list[ReplicaRow] = []
    for member in members:
        row = member.seen.master() if member.seen is not None else None
        if row is not None:
            rows.append(row)
    return max(rows, key=_updated).server_id if rows else ""


def _updated(row: ReplicaRow) -> int:
    return row.updated


def _condition(member: Member) -> str:
    if member.cause is not None:
        return f"{member.cause.value}: {member.trouble}".removesuffix(": ")
    if member.seen is None:
        return "not heard yet"
    if member.is_refused:
        return "may be written, but was so beside the writer, too: make it read-only and then the writer"
    return "may be written" if member.seen.is_writer else "read-only"
