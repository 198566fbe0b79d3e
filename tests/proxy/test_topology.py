"""Which server is the writer: what servers and sessions report, as dialogues with the core."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.observation import Observation, ReplicaRow, ReplicationStatus
from proxy.topology import CALM, TopologyCore, TopologyState
from proxy.topology_actions import (
    MOST_MOMENTS,
    MOST_TIMELINES,
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

AURORA, REPLICATION, STATIC = ClusterKind.AURORA, ClusterKind.REPLICATION, ClusterKind.STATIC
WRITER, READER, NONE = ServerRole.WRITER, ServerRole.READER, ServerRole.NONE
UNKNOWN, STABLE, SUSPECT, SWITCHING = TopologyState


def row(server_id: str, updated: float = 0.0, *, is_master: bool = False, age: float = 0.1) -> ReplicaRow:
    return ReplicaRow(server_id, is_master, 0.02, int(updated * 1e6), age, None)


def follows(
    source_id: str, *, host: str = "", port: int = 0, is_following: bool = True
) -> tuple[ReplicationStatus, ...]:
    return (ReplicationStatus(source_id, host, port, is_following, is_following, 0.0, ""),)


class Cluster:
    """A core and the clock, with what was done so far in words."""

    def __init__(self, kind: ClusterKind, *names: str, **options: Any) -> None:
        self.now = 100.0
        self.core = TopologyCore(kind, **options)
        for name in names:
            self.core.add(name, address=(f"{name}.example", 3306))
        self.actions = self.core.begin(self.now)
        self.done: list[str] = []
        self.note(self.actions)

    def note(self, actions: list[Action]) -> list[str]:
        said = [words(action) for action in actions if action.kind is not ActionKind.LOG]
        self.actions = actions
        self.done += said
        return said

    def later(self, seconds: float) -> None:
        self.now += seconds

    def look(self, name: str, is_writer: bool, **said: Any) -> list[str]:
        """The server was asked and answered within 10 ms; its uptime goes with the clock."""
        self.now += 0.01
        observation = Observation(
            **{
                "server_id": f"id-{name}",
                "is_writer": is_writer,
                "clock": int(self.now * 1e6),
                "taken_at": self.now,
                "round_trip": 0.01,
                "uptime": int(self.now),
                **said,
            }
        )
        return self.note(self.core.observed(name, observation, self.now))

    def fail(self, name: str, cause: Cause = Cause.REFUSED, trouble: str = "") -> list[str]:
        return self.note(self.core.unreachable(name, cause, self.now, trouble))

    def signal(self, name: str, signal: Signal = Signal.READ_ONLY_ERROR) -> list[str]:
        return self.note(self.core.suspected(name, signal, self.now))

    def tick(self) -> list[str]:
        return self.note(self.core.tick(self.now))

    def events(self) -> list[Event]:
        return [action.event for action in self.actions if action.event is not None]

    def roles(self) -> dict[str, ServerRole]:
        return {name: member.role for name, member in self.core.members.items()}


def words(action: Action) -> str:
    if action.kind is ActionKind.SET_ROLE:
        return f"{action.name}: {action.role.value}, epoch {action.epoch}"
    if action.kind is ActionKind.RAISE_EPOCH:
        return f"{action.name}: epoch {action.epoch}"
    if action.kind is ActionKind.SET_INTERVAL:
        return f"every {action.seconds} s"
    if action.kind in (ActionKind.PAUSE, ActionKind.RESUME):
        return f"{action.kind.value} {action.role.value}"
    return f"{action.kind.value} {action.name}"


def stable(kind: ClusterKind, **options: Any) -> Cluster:
    """w is the writer, r its reader."""
    cluster = Cluster(kind, "w", "r", **options)
    cluster.look("w", True)
    cluster.look("r", False, replication=follows("id-w"))
    cluster.later(1.0)
    assert cluster.core.state is STABLE
    return cluster


both = pytest.mark.parametrize("kind", [AURORA, REPLICATION])


# Who leads to the writer


@pytest.mark.parametrize(
    ("kind", "name", "source", "seconds"),
    [
        (REPLICATION, "r", "id-w", 0.0),
        (REPLICATION, "r", "id-other", None),
        (REPLICATION, "w", "id-other", 0.0),
        (AURORA, "r", "id-other", 0.0),
    ],
)
def test_what_a_replica_follows_may_not_lead_to_the_writer(
    kind: ClusterKind, name: str, source: str, seconds: float | None
) -> None:
    core = stable(kind).core
    seen = Observation(
        server_id=f"id-{name}",
        is_writer=False,
        clock=0,
        taken_at=0.0,
        round_trip=0.0,
        replication=follows(source),
    )
    assert core.detour(name, seen) == seconds


# A reader that has vanished


@both
def test_the_connections_of_a_reader_that_is_dead_for_long_enough_are_cut_once(kind: ClusterKind) -> None:
    cluster = stable(kind, patience=2.0)
    for _ in range(2):
        assert cluster.fail("r") == ["r: none, epoch 0"]
        cluster.later(1.9)
        assert cluster.fail("r", Cause.LOST) == []
        cluster.later(0.1)
        assert cluster.fail("r", Cause.LOST) == ["cut-off r"]
        cluster.later(5.0)
        assert cluster.fail("r", Cause.LOST) == []
        assert cluster.look("r", False) == ["r: reader, epoch 0"]


@both
@pytest.mark.parametrize("cause", [Cause.TIMEOUT, Cause.LIMIT, Cause.DENIED, Cause.UNRESOLVED])
def test_a_reader_that_is_slow_or_full_keeps_them(kind: ClusterKind, cause: Cause) -> None:
    cluster = stable(kind, patience=2.0)
    for _ in range(9):
        assert cluster.fail("r", cause) == []
        cluster.later(1.0)


@both
def test_those_of_a_writer_are_not_cut_for_that(kind: ClusterKind) -> None:
    cluster = stable(kind, patience=2.0)
    for _ in range(9):
        assert "cut-off w" not in cluster.fail("w")
        cluster.later(1.0)


# The beginning


@both
def test_the_writer_is_who_says_so(kind: ClusterKind) -> None:
    cluster = Cluster(kind, "w", "r")
    assert cluster.done == ["pause writer", "every 0.1 s"]
    assert cluster.look("r", False) == ["r: reader, epoch 0"]
    assert cluster.look("w", True) == ["w: writer, epoch 1", "resume writer", "every 1.0 s"]
    assert cluster.events() == [Event.WRITER_FOUND]
    assert (cluster.core.state, cluster.core.epoch, cluster.core.problem) == (STABLE, 1, "")


def test_nobody_is_believed_before_all_were_heard() -> None:
    cluster = Cluster(REPLICATION, "a", "b")
    assert cluster.look("a", True) == []
    cluster.later(1.0)
    assert cluster.tick() == []
    cluster.later(1.0)
    assert cluster.tick() == ["a: writer, epoch 1", "resume writer", "every 1.0 s"]


def test_one_that_cannot_be_reached_was_heard() -> None:
    cluster = Cluster(REPLICATION, "a", "b")
    cluster.look("a", True)
    assert "a: writer, epoch 1" in cluster.fail("b")


def test_without_a_writer_there_is_a_message_and_recovery() -> None:
    cluster = Cluster(REPLICATION, "a", "b", "c")
    cluster.look("a", False)
    cluster.fail("b", Cause.REFUSED, "nobody listens on b:3306")
    cluster.later(2.0)
    cluster.tick()
    expected = "a (read-only), b (refused: nobody listens on b:3306), c (not heard yet)"
    assert cluster.core.problem == f"no server says that it is the writer: {expected}"
    assert cluster.events() == [Event.PROBLEM]
    cluster.tick()
    assert cluster.events() == []
    cluster.look("b", True)
    assert (cluster.core.state, cluster.core.problem, cluster.core.paused) == (STABLE, "", set())


def test_of_two_the_one_that_the_other_replicates_from() -> None:
    cluster = Cluster(REPLICATION, "replica", "source")
    cluster.look("replica", True, replication=follows("id-source"))
    cluster.look("source", True, replication=follows("0", is_following=False))
    assert cluster.roles() == {"replica": READER, "source": WRITER}


def test_two_that_do_not_follow_each_other_are_an_error_until_one_is_read_only() -> None:
    cluster = Cluster(REPLICATION, "a", "b")
    cluster.look("a", True)
    cluster.look("b", True)
    assert cluster.core.problem == "a and b may be written, and neither follows the other: make one read-only"
    assert cluster.core.state is UNKNOWN and cluster.roles() == {"a": NONE, "b": NONE}
    cluster.look("b", False)
    assert cluster.roles() == {"a": WRITER, "b": READER}


def test_a_writable_replica_of_a_server_that_cannot_be_reached_is_not_the_writer() -> None:
    cluster = Cluster(REPLICATION, "w", "r")
    cluster.fail("w")
    cluster.look("r", True, replication=follows("7", host="w.example", port=3306))
    assert cluster.core.state is UNKNOWN
    cluster.look("r", True, replication=())
    assert cluster.roles() == {"w": NONE, "r": WRITER}


def test_a_writer_may_follow_a_server_of_another_cluster_or_its_own_standby() -> None:
    cluster = Cluster(REPLICATION, "w", "standby")
    cluster.look("standby", False, replication=follows("id-w"))
    cluster.look("w", True, replication=follows("elsewhere") + follows("id-standby"))
    assert cluster.roles() == {"w": WRITER, "standby": READER}


def test_a_server_with_two_names_is_the_writer_once() -> None:
    cluster = Cluster(AURORA, "cluster", "instance")
    cluster.look("cluster", True, server_id="db-1")
    cluster.look("instance", True, server_id="db-1")
    cluster.look("cluster", True, server_id="db-1")
    assert cluster.roles() == {"cluster": WRITER, "instance": NONE}
    assert cluster.core.state is STABLE


def test_of_two_masters_at_the_start_the_older_is_the_former() -> None:
    cluster = Cluster(AURORA, "old", "new")
    cluster.look("old", True)
    cluster.look("new", True, rows=(row("id-new", 9.0, is_master=True), row("id-old", 4.0, is_master=True)))
    assert cluster.roles() == {"old": NONE, "new": WRITER}


def test_a_writer_that_its_own_table_knows_need_not_be_waited_for() -> None:
    cluster = Cluster(AURORA, "w", "r")
    assert cluster.look("w", True, rows=(row("id-x", 3.0, is_master=True),)) == []
    assert "w: writer, epoch 1" in cluster.look("w", True, rows=(row("id-w", 4.0, is_master=True),))


def test_two_masters_that_no_table_tells_apart_are_an_error() -> None:
    cluster = Cluster(AURORA, "a", "b")
    cluster.look("a", True)
    cluster.look("b", True)
    assert cluster.core.problem.startswith("a and b may be written")


# A planned failover


@both
def test_a_writer_that_says_it_is_none_is_replaced_by_who_says_so(kind: ClusterKind) -> None:
    cluster = stable(kind)
    assert cluster.look("w", False) == ["every 0.1 s", "pause writer", "w: reader, epoch 2"]
    assert cluster.core.state is SWITCHING
    cluster.later(0.1)
    assert cluster.look("w", False) == []
    assert cluster.look("r", True) == ["r: writer, epoch 1", "resume writer", "every 1.0 s"]
    assert cluster.events() == [Event.SWITCHED]
    assert (cluster.core.state, cluster.core.epoch) == (STABLE, 2)
    switch = cluster.core.timelines.finished[-1]
    assert [moment.event for moment in switch] == [Event.WRITER_LOST, Event.PROBLEM, Event.SWITCHED]
    assert [moment.at for moment in switch] == sorted(moment.at for moment in switch)


def test_what_was_said_before_the_writer_was_lost_counts_for_nothing() -> None:
    cluster = stable(AURORA)
    cluster.core.observed(
        "w",
        Observation(server_id="id-w", is_writer=False, clock=0, taken_at=cluster.now, round_trip=0.01),
        cluster.now,
    )
    stale = Observation(server_id="id-r", is_writer=True, clock=0, taken_at=cluster.now, round_trip=0.01)
    assert cluster.note(cluster.core.observed("r", stale, cluster.now + 0.1)) == ["r: none, epoch 0"]
    assert cluster.core.state is SWITCHING


@both
def test_a_switch_that_is_taken_back_makes_the_same_server_the_writer(kind: ClusterKind) -> None:
    cluster = stable(kind)
    cluster.look("w", False)
    assert cluster.look("w", True) == ["w: writer, epoch 3", "resume writer", "every 1.0 s"]
    assert cluster.core.epoch == 2


@both
def test_a_session_that_is_told_read_only_pauses_the_role_until_the_writer_was_asked(
    kind: ClusterKind,
) -> None:
    cluster = stable(kind)
    assert cluster.signal("w") == ["every 0.1 s", "pause writer"]
    assert cluster.core.state is SUSPECT
    assert cluster.signal("w", Signal.SHUTDOWN) == []
    assert cluster.look("r", False) == []
    assert cluster.look("w", False) == ["w: reader, epoch 2"]
    assert cluster.core.state is SWITCHING
    assert "r: writer, epoch 1" in cluster.look("r", True)


@both
def test_a_false_alarm_ends_with_the_writers_word_and_is_not_raised_again_at_once(kind: ClusterKind) -> None:
    cluster = stable(kind)
    cluster.signal("w")
    assert cluster.look("w", True) == ["resume writer", "every 1.0 s"]
    assert cluster.events() == [Event.CONFIRMED]
    assert cluster.signal("w") == [] and cluster.core.state is STABLE
    cluster.later(1.0)
    assert cluster.signal("w") == ["every 0.1 s", "pause writer"]


def test_an_answer_to_a_question_from_before_the_signal_confirms_nothing() -> None:
    cluster = stable(AURORA)
    asked_before = Observation(
        server_id="id-w", is_writer=True, clock=0, taken_at=cluster.now + 0.2, round_trip=0.3
    )
    cluster.signal("w")
    assert cluster.note(cluster.core.observed("w", asked_before, cluster.now + 0.2)) == []
    assert cluster.core.state is SUSPECT


def test_a_signal_about_a_reader_only_makes_it_be_asked() -> None:
    cluster = stable(AURORA)
    assert cluster.signal("r", Signal.LOST_BACKENDS) == ["ask r"]
    assert cluster.core.state is STABLE


def test_a_signal_while_the_writer_is_being_replaced_is_no_news() -> None:
    cluster = stable(AURORA)
    cluster.look("w", False)
    assert cluster.signal("w") == []


# The writer dies


@both
def test_a_writer_that_is_gone_pauses_the_role_until_another_says_that_it_is_the_writer(
    kind: ClusterKind,
) -> None:
    cluster = stable(kind)
    assert cluster.fail("w", Cause.LOST) == ["every 0.1 s", "pause writer"]
    cluster.later(0.1)
    assert cluster.look("r", False) == []
    assert cluster.look("r", True) == [
        "w: none, epoch 2",
        "r: writer, epoch 1",
        "resume writer",
        "every 1.0 s",
    ]
    switch = cluster.core.timelines.finished[-1]
    assert [moment.event for moment in switch] == [
        Event.UNREACHABLE,
        Event.SUSPECTED,
        Event.PROBLEM,
        Event.SWITCHED,
    ][1:]


@both
def test_the_old_writer_comes_back_as_a_reader(kind: ClusterKind) -> None:
    cluster = stable(kind)
    cluster.fail("w")
    cluster.look("r", True)
    cluster.later(20.0)
    assert cluster.look("w", False, uptime=3) == ["w: epoch 3", "w: reader, epoch 3"]


@both
def test_the_old_writer_that_comes_back_as_a_writer_is_refused(kind: ClusterKind) -> None:
    cluster = stable(kind)
    cluster.fail("w")
    cluster.look("r", True)
    cluster.later(20.0)
    cluster.look("w", True, uptime=3)
    cluster.look("r", True)
    assert cluster.roles() == {"w": NONE, "r": WRITER}
    assert cluster.core.problem == "w may be written beside r: not used until read-only"
    cluster.look("w", False)
    cluster.look("r", True)
    assert cluster.roles() == {"w": READER, "r": WRITER} and cluster.core.problem == ""


@both
def test_a_writer_that_comes_back_itself_goes_on_with_a_new_epoch(kind: ClusterKind) -> None:
    cluster = stable(kind)
    cluster.fail("w")
    cluster.later(2.0)
    assert cluster.look("w", True, uptime=1) == ["w: epoch 2", "resume writer", "every 1.0 s"]
    assert cluster.core.epoch == 1


@both
def test_a_writer_that_only_does_not_answer_in_time_keeps_its_clients(kind: ClusterKind) -> None:
    cluster = stable(kind)
    assert cluster.fail("w", Cause.TIMEOUT) == ["every 0.1 s"]
    assert cluster.core.paused == set() and cluster.core.problem == ""
    cluster.later(5.0)
    assert cluster.fail("w", Cause.TIMEOUT) == []
    assert cluster.look("w", True) == ["every 1.0 s"]


@both
def test_one_that_does_not_answer_in_time_is_replaced_by_who_says_so(kind: ClusterKind) -> None:
    cluster = stable(kind)
    cluster.fail("w", Cause.TIMEOUT)
    assert "r: writer, epoch 1" in cluster.look("r", True)


def test_one_that_stops_answering_and_then_is_gone_pauses_the_role() -> None:
    cluster = stable(AURORA)
    cluster.fail("w", Cause.TIMEOUT)
    assert cluster.fail("w", Cause.REFUSED) == ["pause writer"]


def test_clients_do_not_wait_for_proof_that_nobody_can_give() -> None:
    cluster = stable(AURORA)
    cluster.signal("w")
    cluster.fail("w", Cause.TIMEOUT)
    cluster.later(2.0)
    assert cluster.tick() == ["resume writer"]
    assert cluster.events() == [Event.UNCONFIRMED]
    assert cluster.tick() == [] and cluster.core.state is SUSPECT


@pytest.mark.parametrize("cause", [Cause.DENIED, Cause.LIMIT])
def test_a_server_that_only_turns_the_monitor_away_is_not_suspected(cause: Cause) -> None:
    cluster = stable(AURORA)
    assert cluster.fail("w", cause, "wrong password") == []
    assert cluster.core.state is STABLE
    cluster.signal("w")
    assert cluster.look("r", True) == ["r: none, epoch 0"]
    cluster.later(2.0)
    assert cluster.tick() == ["resume writer", "every 1.0 s"]
    assert cluster.core.state is STABLE


def test_a_suspicion_before_the_writer_was_looked_at_again_goes_on() -> None:
    cluster = stable(AURORA)
    cluster.signal("w")
    cluster.later(60.0)
    assert cluster.tick() == []
    assert cluster.core.state is SUSPECT


# Two that may be written


def test_replication_keeps_the_present_writer_and_reports_the_other_once() -> None:
    cluster = stable(REPLICATION)
    cluster.look("r", True, replication=())
    cluster.look("w", True)
    assert cluster.roles() == {"w": WRITER, "r": NONE}
    assert cluster.core.problem == "r may be written beside w: not used until read-only"
    assert cluster.events() == []


def test_a_replica_that_is_not_read_only_is_a_reader_all_the_same() -> None:
    cluster = stable(REPLICATION)
    cluster.look("r", True, replication=follows("id-w"))
    cluster.look("w", True)
    assert cluster.roles() == {"w": WRITER, "r": READER}
    assert cluster.core.problem == ""


def test_it_does_not_become_the_writer_because_the_writer_is_gone() -> None:
    cluster = stable(REPLICATION)
    cluster.look("r", True, replication=follows("id-w"))
    cluster.fail("w")
    cluster.look("r", True, replication=follows("id-w"))
    assert cluster.core.state is SUSPECT and cluster.roles() == {"w": WRITER, "r": READER}
    assert "but was so beside the writer, too" in cluster.core.problem


def test_but_when_it_stops_to_follow_it_was_promoted() -> None:
    cluster = stable(REPLICATION)
    cluster.look("r", True, replication=follows("id-w"))
    cluster.fail("w")
    cluster.look("r", True, replication=follows("id-w", is_following=False))
    assert cluster.roles() == {"w": NONE, "r": WRITER}


def test_nor_does_it_when_the_writer_says_itself_that_it_is_none_unless_it_is_the_only_one() -> None:
    cluster = stable(REPLICATION)
    cluster.look("r", True, replication=())
    cluster.look("w", False)
    cluster.look("r", True, replication=())
    assert cluster.roles() == {"w": READER, "r": WRITER}


def test_aurora_asks_the_writer_again_and_believes_the_newer_row() -> None:
    cluster = stable(AURORA)
    newer = (row("id-r", 9.0, is_master=True), row("id-w", 4.0, is_master=True))
    assert cluster.look("r", True, rows=newer) == ["every 0.1 s", "r: none, epoch 0"]
    assert cluster.core.state is SUSPECT and cluster.core.paused == set()
    assert cluster.look("w", True, rows=(row("id-w", 4.0, is_master=True),)) == [
        "w: none, epoch 2",
        "r: writer, epoch 1",
        "every 1.0 s",
    ]


def test_the_former_that_renews_its_own_row_does_not_get_it_back() -> None:
    cluster = stable(AURORA)
    cluster.look("r", True, rows=(row("id-r", 9.0, is_master=True),))
    cluster.look("w", True, rows=(row("id-w", 4.0, is_master=True),))
    for renewed in range(10, 20):
        cluster.look("w", True, rows=(row("id-w", renewed, is_master=True),))
        cluster.look("r", True, rows=(row("id-r", 9.0, is_master=True),))
    assert cluster.roles() == {"w": NONE, "r": WRITER}
    assert cluster.core.epoch == 2


def test_where_the_tables_do_not_tell_the_present_writer_is_kept() -> None:
    cluster = stable(AURORA)
    cluster.look("r", True)
    assert cluster.look("w", True) == ["every 1.0 s"]
    assert cluster.roles() == {"w": WRITER, "r": NONE}
    assert cluster.core.problem == "r may be written beside w: not used until read-only"
    cluster.look("r", True)
    assert cluster.core.state is STABLE


def test_the_refused_one_is_the_writer_when_the_other_is_gone() -> None:
    cluster = stable(AURORA)
    cluster.look("r", True)
    cluster.look("w", True)
    cluster.fail("w")
    cluster.look("r", True)
    assert cluster.roles() == {"w": NONE, "r": WRITER}


# Restarts


def test_an_uptime_that_goes_backwards_is_a_restart() -> None:
    cluster = stable(AURORA)
    assert cluster.look("r", False, uptime=0) == ["r: epoch 1"]
    assert cluster.events() == [Event.RESTARTED]


def test_an_uptime_that_falls_behind_is_one_too() -> None:
    cluster = stable(AURORA)
    cluster.look("r", False, uptime=1)
    cluster.later(10.0)
    assert cluster.look("r", False, uptime=3) == ["r: epoch 2"]
    cluster.later(10.0)
    assert cluster.look("r", False, uptime=12) == []


def test_without_an_uptime_nothing_is_concluded() -> None:
    cluster = stable(AURORA)
    assert cluster.look("r", False, uptime=None) == []
    assert cluster.look("r", False, uptime=1) == []


def test_another_server_under_the_same_name_is_a_new_epoch() -> None:
    cluster = stable(AURORA)
    assert cluster.look("r", False, server_id="id-x", uptime=1) == ["r: epoch 1"]
    assert cluster.events() == [Event.REPLACED]


def test_statements_that_are_gone_are_a_new_epoch_without_a_suspicion() -> None:
    cluster = stable(AURORA)
    assert cluster.signal("w", Signal.STATEMENTS_GONE) == ["w: epoch 2"]
    assert cluster.core.state is STABLE


# Readers


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.LOST])
def test_a_reader_that_is_gone_has_no_role_until_it_answers(cause: Cause) -> None:
    cluster = stable(AURORA)
    assert cluster.fail("r", cause) == ["r: none, epoch 0"]
    assert cluster.fail("r", cause) == [] and cluster.events() == []
    assert cluster.look("r", False) == ["r: reader, epoch 0"]
    assert cluster.events() == [Event.REACHABLE]


def test_one_that_only_is_slow_keeps_its_role_while_its_lag_ages() -> None:
    cluster = stable(AURORA)
    assert cluster.fail("r", Cause.TIMEOUT) == []
    assert cluster.roles()["r"] is READER


# What tables say of the writer


def told(master: str) -> tuple[ReplicaRow, ...]:
    return (row("id-w", is_master=master == "w"), row("id-r", is_master=master == "r"))


def named_before() -> Cluster:
    """Everybody's table names w."""
    cluster = stable(AURORA)
    cluster.look("w", True, rows=told("w"))
    assert cluster.look("r", False, rows=told("w")) == []
    return cluster


def test_a_table_that_names_another_writer_is_a_reason_to_ask_and_no_more() -> None:
    cluster = named_before()
    assert cluster.look("r", False, rows=told("r")) == ["every 0.1 s"]
    assert cluster.core.state is TopologyState.SUSPECT and not cluster.core.paused
    assert "r is told that id-r is the writer" in [action.text for action in cluster.actions]
    assert cluster.look("w", True, rows=told("w")) == ["every 1.0 s"]
    assert cluster.core.state is STABLE and cluster.core.writer is cluster.core.members["w"]
    # and is not heeded for ever
    assert cluster.look("r", False, rows=told("r")) == []
    assert cluster.look("r", False, rows=told("w")) == cluster.look("r", False, rows=told("r")) == []
    cluster.later(CALM)
    cluster.look("r", False, rows=told("w"))
    assert cluster.look("r", False, rows=told("r")) == ["every 0.1 s"]


def test_then_the_writer_may_say_that_it_is_none() -> None:
    cluster = named_before()
    cluster.look("r", False, rows=told("r"))
    cluster.look("w", False, rows=told("w"))
    assert cluster.core.state is TopologyState.SWITCHING
    cluster.look("r", True, rows=told("r"))
    assert cluster.core.state is STABLE and cluster.core.writer is cluster.core.members["r"]
    # the former's copy is late
    assert cluster.look("w", False, rows=told("w")) == cluster.look("w", False, rows=told("r")) == []


def test_a_table_that_is_stale_from_the_beginning_says_nothing() -> None:
    cluster = stable(AURORA)
    assert cluster.look("r", False, rows=told("r")) == []
    assert cluster.look("r", False, rows=()) == cluster.look("r", False, rows=told("r")) == []


# Discovery


def discovering() -> Cluster:
    cluster = Cluster(AURORA, discovers=True)
    cluster.core.add("seed", is_seed=True)
    return cluster


def test_a_cluster_endpoint_only_tells_of_the_instances() -> None:
    cluster = discovering()
    rows = (row("db-1", is_master=True), row("db-2"), row("db-9", age=200.0))
    assert cluster.look("seed", True, server_id="db-1", rows=rows) == ["add db-1", "add db-2"]
    assert cluster.core.state is UNKNOWN
    assert cluster.look("seed", False, server_id="db-2") == []
    assert "db-1: writer, epoch 1" in cluster.look("db-1", True, server_id="db-1", rows=rows)
    cluster.look("db-2", False, server_id="db-2", rows=rows)
    assert cluster.roles() == {"seed": NONE, "db-1": WRITER, "db-2": READER}


def test_in_peace_only_the_writers_table_counts() -> None:
    cluster = discovering()
    cluster.look("seed", True, server_id="db-1", rows=(row("db-1", is_master=True),))
    cluster.look("db-1", True, server_id="db-1", rows=(row("db-1", is_master=True), row("db-2")))
    assert "db-2" in cluster.core.members
    cluster.look("db-2", False, server_id="db-2", rows=(row("db-7"),))
    cluster.look("seed", True, server_id="db-1", rows=(row("db-8"),))
    assert set(cluster.core.members) == {"seed", "db-1", "db-2"}
    assert cluster.look("db-1", True, server_id="db-1", rows=(row("db-1"), row("db-2"), row("db-3"))) == [
        "add db-3"
    ]


def test_an_instance_that_is_gone_from_the_writers_table_is_removed_unless_it_answers() -> None:
    cluster = discovering()
    rows = (row("db-1", is_master=True), row("db-2"))
    cluster.look("seed", True, server_id="db-1", rows=rows)
    cluster.look("db-1", True, server_id="db-1", rows=rows)
    cluster.look("db-2", False, server_id="db-2")
    assert cluster.look("db-1", True, server_id="db-1", rows=rows[:1]) == []
    assert cluster.look("db-1", True, server_id="db-1") == []
    cluster.fail("db-2")
    assert cluster.look("db-1", True, server_id="db-1", rows=rows[:1]) == ["cut-off db-2", "remove db-2"]
    assert cluster.look("db-2", False) == [] and cluster.fail("db-2") == [] and cluster.signal("db-2") == []


def test_nothing_is_cut_of_an_instance_that_nobody_has_heard() -> None:
    cluster = discovering()
    rows = (row("db-1", is_master=True), row("db-2"))
    cluster.look("seed", True, server_id="db-1", rows=rows)
    cluster.look("db-1", True, server_id="db-1", rows=rows)
    assert cluster.look("db-1", True, server_id="db-1", rows=rows[:1]) == ["remove db-2"]


def test_in_trouble_any_table_names_candidates() -> None:
    cluster = discovering()
    cluster.look("seed", True, server_id="db-1", rows=(row("db-1", is_master=True), row("db-2")))
    cluster.look("db-1", True, server_id="db-1")
    cluster.fail("db-1")
    assert cluster.look("db-2", False, server_id="db-2", rows=(row("db-3", is_master=True),)) == [
        "add db-3",
        "db-2: reader, epoch 0",
    ]
    assert cluster.roles()["db-3"] is NONE


def test_a_configured_server_that_a_table_named_first_is_one_server() -> None:
    cluster = Cluster(AURORA, "w", "r", discovers=True)
    cluster.look("w", True, rows=(row("id-w", is_master=True), row("id-r")))
    assert cluster.roles() == {"w": WRITER, "r": NONE, "id-r": NONE}
    assert cluster.look("r", False) == ["remove id-r", "r: reader, epoch 0"]


def test_configured_servers_are_never_removed() -> None:
    cluster = stable(AURORA, discovers=True)
    cluster.fail("r")
    assert cluster.look("w", True, rows=(row("id-w"),)) == []


# Static


def test_static_roles_are_not_argued_with() -> None:
    core = TopologyCore(STATIC)
    core.add("w", role=WRITER)
    core.add("r", role=READER)
    assert [words(action) for action in core.begin(0.0)] == ["w: writer, epoch 0", "r: reader, epoch 0"]
    look = Observation(server_id="1", is_writer=False, clock=0, taken_at=1.0, round_trip=0.1, uptime=50)
    assert core.observed("w", look, 1.0) == []
    assert [action.event for action in core.unreachable("w", Cause.REFUSED, 2.0)] == [Event.UNREACHABLE]
    assert [words(action) for action in core.suspected("w", Signal.READ_ONLY_ERROR, 2.0)] == ["ask w"]
    again = Observation(server_id="1", is_writer=False, clock=0, taken_at=3.0, round_trip=0.1, uptime=1)
    assert "w: epoch 1" in [words(action) for action in core.observed("w", again, 3.0)]
    assert core.tick(9.0) == [] and core.paused == set() and core.members["w"].role is WRITER


# Timelines


def test_timelines_are_bounded() -> None:
    timelines = Timelines()
    timelines.add(Moment(0.0, Event.RESTARTED, "r", "in peace"))
    assert timelines.current == []
    for switch in range(MOST_TIMELINES + 3):
        timelines.begin()
        for moment in range(MOST_MOMENTS + 3):
            timelines.add(Moment(float(switch), Event.PROBLEM, "", str(moment)))
        timelines.begin()
        assert len(timelines.current) == MOST_MOMENTS
        timelines.end()
    timelines.end()
    assert len(timelines.finished) == MOST_TIMELINES
    assert timelines.finished[-1][0].at == MOST_TIMELINES + 2.0


def test_servers_that_a_seed_has_told_of_are_waited_for_without_a_complaint() -> None:
    cluster = Cluster(AURORA, discovers=True)
    cluster.core.add("seed", is_seed=True)
    rows = (row("id-a", 1.0, is_master=True), row("id-b"))
    cluster.look("seed", True, server_id="id-a", rows=rows)
    assert cluster.core.problem == "" and cluster.core.state is UNKNOWN
    cluster.look("id-a", True, server_id="id-a", rows=rows)
    assert cluster.core.state is STABLE and cluster.core.problem == ""


def test_what_a_seed_says_is_told_when_nothing_else_is_known() -> None:
    cluster = Cluster(AURORA, discovers=True)
    cluster.core.add("seed", is_seed=True)
    cluster.fail("seed", Cause.UNRESOLVED, "no such name")
    assert cluster.core.problem == "no server says that it is the writer: seed (unresolved: no such name)"
