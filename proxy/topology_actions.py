"""The words between the topology core and its shells: kinds of clusters, roles, causes and signals in, actions and events out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final


class ClusterKind(Enum):
    """How the servers are related, and so what they are asked."""

    AURORA = "aurora"
    REPLICATION = "replication"  # MySQL or MariaDB: a writer and its replicas
    STATIC = "static"  # roles are as configured, whatever the servers say


class ServerRole(Enum):
    """What a server is used for now."""

    WRITER = "writer"
    READER = "reader"
    NONE = "none"  # not known yet, not reachable, or refused


class Cause(Enum):
    """Why a server could not be looked at."""

    REFUSED = "refused"  # nobody listens there
    LOST = "lost"  # the connection ended, and so did the next attempt
    TIMEOUT = "timeout"  # no answer in time: it may be busy
    UNRESOLVED = "unresolved"  # the name has no address
    DENIED = "denied"  # the monitor's account
    LIMIT = "limit"  # too many connections
    NOT_UNDERSTOOD = "not-understood"  # no MySQL, or an answer that makes no sense


DEAD: Final = frozenset([Cause.REFUSED, Cause.LOST])
"""The server does not run, or what is in front of it has cut it off: clients need not try."""
SILENT: Final = DEAD | {Cause.TIMEOUT}
"""Nothing is heard of it."""
ALIVE: Final = frozenset([Cause.DENIED, Cause.LIMIT])
"""It answered, if not to the monitor: no reason to suspect it."""


class Signal(Enum):
    """What sessions notice before the monitor does."""

    READ_ONLY_ERROR = "read-only-error"  # 1290 with the read-only option, 1836
    SHUTDOWN = "shutdown"  # 1053, 1927 on a backend
    LOST_BACKENDS = "lost-backends"  # several backends ended at once
    STATEMENTS_GONE = "statements-gone"  # 1243 for a statement that was prepared: the server was replaced under its connections


class Event(Enum):
    """What happened, for logs, metrics and timelines."""

    WRITER_FOUND = "writer-found"
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"  # the suspicion was wrong
    UNCONFIRMED = "unconfirmed"  # it could be neither proved nor refuted
    WRITER_LOST = "writer-lost"  # it says itself that it may not be written
    SWITCHED = "switched"
    PROBLEM = "problem"  # no writer can be named, and why; or a server is refused
    RESTARTED = "restarted"
    REPLACED = "replaced"  # another server answers under this name
    UNREACHABLE = "unreachable"
    REACHABLE = "reachable"
    ADDED = "added"
    REMOVED = "removed"


class ActionKind(Enum):
    """What the shell does."""

    ADD = "add"  # make an endpoint for `server_id`, look at it
    REMOVE = "remove"  # drain it and forget it
    SET_ROLE = "set-role"  # use `name` for `role`; backends of an older epoch are verified first
    PAUSE = "pause"  # grant nothing in pools of `role`: clients wait
    RESUME = "resume"
    CUT_OFF = "cut-off"  # close the connections of sessions to `name`: it has vanished
    RAISE_EPOCH = "raise-epoch"  # backends of `name` opened before are verified or retired
    SET_INTERVAL = "set-interval"  # between looks, from now on; the next one at once when it becomes shorter
    ASK = "ask"  # look at `name` at once
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing for the shell to do, in the order of the list."""

    kind: ActionKind
    name: str = ""
    role: ServerRole = ServerRole.NONE  # SET_ROLE, PAUSE, RESUME
    epoch: int = 0  # SET_ROLE, RAISE_EPOCH
    server_id: str = ""  # ADD
    seconds: float = 0.0  # SET_INTERVAL
    event: Event | None = None  # LOG
    text: str = ""  # LOG: for people


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of a timeline."""

    at: float
    event: Event
    name: str
    text: str


MOST_MOMENTS: Final = 64
MOST_TIMELINES: Final = 16


class Timelines:
    """What happened in each switch, from the first suspicion to the writer that came of it. Bounded."""

    __slots__ = ("_open", "finished")

    def __init__(self) -> None:
        self.finished: deque[list[Moment]] = deque(maxlen=MOST_TIMELINES)
        self._open: list[Moment] | None = None

    @property
    def current(self) -> list[Moment]:
        """The switch that is going on; empty in peace."""
        return self._open or []

    def begin(self) -> None:
        """Something begins. Harmless when it has."""
        if self._open is None:
            self._open = []

    def add(self, moment: Moment) -> None:
        """Something happened; in peace it is not kept. Of very many the first are."""
        if self._open is not None and len(self._open) < MOST_MOMENTS:
            self._open.append(moment)

    def end(self) -> None:
        """It is over."""
        if self._open:
            self.finished.append(self._open)
        self._open = None
