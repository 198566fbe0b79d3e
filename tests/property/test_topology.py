"""The topology core against servers that do what servers do: it never has two writers, and believes the one there is in the end.

The model is the shell: it knows roles, epochs and pauses only from the actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.observation import Observation, ReplicaRow, ReplicationStatus
from proxy.topology import Member, TopologyCore, TopologyState
from proxy.topology_actions import Action, ActionKind, Cause, ClusterKind, ServerRole, Signal

pytestmark = pytest.mark.timeout(240)

NAMES = ("a", "b", "c")
NAME = st.sampled_from(NAMES)
SECONDS = st.sampled_from([0.0, 0.05, 0.1, 1.0, 3.0, 30.0])


@dataclass
class Truth:
    """How a server really is."""

    is_writable: bool = False
    source: str = ""
    started_at: float = 0.0
    row_at: float = 0.0


class TopologyMachine(RuleBasedStateMachine):
    """The shell, and the servers."""

    @initialize(
        kind=st.sampled_from([ClusterKind.AURORA, ClusterKind.REPLICATION]),
        discovers=st.booleans(),
        writer=NAME,
    )
    def start(self, kind: ClusterKind, discovers: bool, writer: str) -> None:
        self.now = 100.0
        self.kind = kind
        self.servers = {
            name: Truth(is_writable=name == writer, source="" if name == writer else writer) for name in NAMES
        }
        self.roles: dict[str, ServerRole] = dict.fromkeys(NAMES, ServerRole.NONE)
        self.epochs: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.is_paused = False
        self.cluster_epoch = 0
        self.core = TopologyCore(kind, discovers=discovers)
        # with discovery the others are learned of by the table of the first
        self.known = NAMES[:1] if discovers and kind is ClusterKind.AURORA else NAMES
        for name in self.known:
            self.core.add(name)
        self.carry_out(self.core.begin(self.now))

    def carry_out(self, actions: list[Action]) -> None:
        """As the shell does, in the order of the list: there are never two writers in between either."""
        for action in actions:
            if action.kind is ActionKind.SET_ROLE:
                assert self.roles[action.name] is not action.role
                self.roles[action.name] = action.role
                assert list(self.roles.values()).count(ServerRole.WRITER) <= 1
            if action.kind in (ActionKind.SET_ROLE, ActionKind.RAISE_EPOCH):
                assert action.epoch >= self.epochs[action.name]
                assert action.kind is ActionKind.SET_ROLE or action.epoch > self.epochs[action.name]
                self.epochs[action.name] = action.epoch
            if action.kind is ActionKind.PAUSE:
                assert not self.is_paused
                self.is_paused = True
            if action.kind is ActionKind.RESUME:
                assert self.is_paused
                self.is_paused = False

    def seen(self, name: str, asked_at: float) -> Observation:
        truth = self.servers[name]
        rows = tuple(
            ReplicaRow(
                other,
                self.servers[other].is_writable,
                0.01,
                int(self.servers[other].row_at * 1e6),
                0.1,
                None,
            )
            for other in NAMES
        )
        following = ReplicationStatus(truth.source, "", 0, True, True, 0.0, "")
        return Observation(
            server_id=name,
            is_writer=truth.is_writable,
            clock=int(asked_at * 1e6),
            taken_at=self.now,
            round_trip=self.now - asked_at,
            uptime=int(self.now - truth.started_at),
            rows=rows if self.kind is ClusterKind.AURORA else None,
            replication=((following,) if truth.source else ())
            if self.kind is ClusterKind.REPLICATION
            else None,
        )

    # What happens to servers

    @rule(name=NAME)
    def promote(self, name: str) -> None:
        for other, truth in self.servers.items():
            truth.is_writable = other == name
            truth.source = "" if other == name else name
        self.servers[name].row_at = self.now

    @rule(name=NAME, is_writable=st.booleans())
    def change_alone(self, name: str, is_writable: bool) -> None:
        self.servers[name].is_writable = is_writable
        self.servers[name].row_at = self.now

    @rule(name=NAME)
    def restart(self, name: str) -> None:
        self.servers[name].started_at = self.now

    # What the shell hears

    @rule(name=NAME)
    def look(self, name: str) -> None:
        self.now += 0.01
        self.carry_out(self.core.observed(name, self.seen(name, self.now - 0.01), self.now))

    @rule(name=NAME, took=SECONDS)
    def look_that_takes_long(self, name: str, took: float) -> None:
        self.carry_out(self.core.observed(name, self.seen(name, self.now - took), self.now))

    @rule(name=NAME, cause=st.sampled_from(Cause))
    def fail(self, name: str, cause: Cause) -> None:
        self.carry_out(self.core.unreachable(name, cause, self.now, "so it is"))

    @rule(name=NAME, signal=st.sampled_from(Signal))
    def signal(self, name: str, signal: Signal) -> None:
        self.carry_out(self.core.suspected(name, signal, self.now))

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.core.tick(self.now))

    @rule(name=NAME)
    def come_to_rest(self, name: str) -> None:
        """One server is the writer, all can be reached: after a few looks that is known, and nobody is kept waiting."""
        self.promote(name)
        for _ in range(4):
            for other in NAMES:
                self.now += 0.1
                self.look(other)
        assert self.core.state is TopologyState.STABLE
        assert {other for other, role in self.roles.items() if role is ServerRole.WRITER} == {name}
        assert all(self.roles[other] is ServerRole.READER for other in NAMES if other != name)
        assert not self.is_paused and self.core.problem == ""

    # What always holds

    @invariant()
    def the_core_is_as_it_told(self) -> None:
        members: list[Member] = list(self.core.members.values())
        known = {member.name for member in members}
        assert set(self.known) <= known <= set(NAMES)
        assert {member.name: member.role for member in members} == {name: self.roles[name] for name in known}
        assert {member.name: member.epoch for member in members} == {
            name: self.epochs[name] for name in known
        }
        assert bool(self.core.paused) == self.is_paused

    @invariant()
    def the_writer_said_so_itself(self) -> None:
        for member in self.core.members.values():
            if member.role is ServerRole.WRITER:
                assert member is self.core.writer and member.seen is not None and member.seen.is_writer

    @invariant()
    def in_peace_there_is_a_writer_and_nobody_waits(self) -> None:
        if self.core.state is TopologyState.STABLE:
            assert ServerRole.WRITER in self.roles.values() and not self.is_paused
        if self.core.state in (TopologyState.UNKNOWN, TopologyState.SWITCHING):
            assert ServerRole.WRITER not in self.roles.values() and self.is_paused

    @invariant()
    def epochs_never_fall(self) -> None:
        assert self.core.epoch >= self.cluster_epoch
        self.cluster_epoch = self.core.epoch


TestTopology = TopologyMachine.TestCase
