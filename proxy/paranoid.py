"""Paranoid mode (`pool.paranoid`): between any two commands a backend is taken away from its session and made dirty by another one.

A debug setting. Whatever a session needs then has to be captured, remembered and restored all the time: what is forgotten shows at
once, and not only when a pool happens to be short. The endpoint steals whatever is parked, and starts a `Dirtying` on every backend
that nobody holds before anybody gets it. Held backends (transactions, pins) stay with their sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.backend import Backend, Owner
from proxy.identity import PoolKey
from proxy.reasons import CloseReason
from proxy.variables import assigned
from proxy.vector import RESULTS_COLLATION, Vector, is_restorable, restore_commands

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint

_COM_QUERY: Final = b"\x03"
STRANGE_SCHEMA: Final = b"information_schema"
"""Every user may choose it."""


def _names(charset: bytes, collation: bytes) -> list[tuple[bytes, bytes]]:
    """What SET NAMES .. COLLATE makes of a session."""
    return [
        (b"character_set_client", charset),
        (b"character_set_results", charset),
        (b"character_set_connection", charset),
        (b"collation_connection", collation),
        (RESULTS_COLLATION, collation),
    ]


STRANGERS: Final[list[list[tuple[bytes, bytes]]]] = [
    [
        *_names(b"latin1", b"latin1_german1_ci"),
        (b"autocommit", b"OFF"),
        (b"foreign_key_checks", b"OFF"),
        (b"group_concat_max_len", b"77"),
        (b"lc_time_names", b"fr_FR"),
        (b"sql_mode", b"PIPES_AS_CONCAT,ANSI_QUOTES"),
        (b"time_zone", b"-05:00"),
    ],
    [
        *_names(b"ascii", b"ascii_bin"),
        (b"character_set_results", b""),
        (b"autocommit", b"ON"),
        (b"div_precision_increment", b"9"),
        (b"sql_mode", b"NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES"),
        (b"sql_safe_updates", b"ON"),
        (b"sql_select_limit", b"2"),
        (b"time_zone", b"+05:45"),
    ],
    [
        *_names(b"utf8mb4", b"utf8mb4_bin"),
        (b"autocommit", b"OFF"),
        (b"default_week_format", b"3"),
        (b"lc_time_names", b"ja_JP"),
        (b"max_error_count", b"3"),
        (b"sql_mode", b""),
        (b"unique_checks", b"OFF"),
    ],
]
"""Session variables of other sessions, in the order in which those come: (name, value) as servers report them."""

USER_VARIABLES: Final = (b"a", b"note", b"stranger")
SETS_VARIABLES: Final = _COM_QUERY + b"SET @a=-7.5,@note='strange',@stranger=0x00"
"""What every fourth of them leaves besides. Not all, because a reset is what removes them, and everything else with them."""

ISOLATION_LEVELS: Final = (b"READ COMMITTED", b"SERIALIZABLE", b"READ UNCOMMITTED")

TRACES: Final = (
    _COM_QUERY + b"SET last_insert_id=987654321",
    # no session leaves its insert id behind (`residue.capture_commands`)
    _COM_QUERY + b"SELECT LAST_INSERT_ID(0)",
    _COM_QUERY + b"PREPARE fanin_stranger FROM 'SELECT 2'",
)
WARNING: Final = _COM_QUERY + b"SELECT CAST('x' AS SIGNED) UNION SELECT 2 UNION SELECT 3"
ERROR: Final = _COM_QUERY + b"SELECT fanin_stranger"
ROWS: Final = _COM_QUERY + b"SELECT 1 FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3) AS t"
"""What they leave: an insert id, a prepared statement, FOUND_ROWS() of 3, and in turn a warning and an error; on MariaDB no session leaves
those (`residue.capture_commands`)."""


class Strangers:
    """Whose turn it is: one for each endpoint, so that a run can be repeated."""

    __slots__ = ("turns",)

    def __init__(self) -> None:
        self.turns: int = 0

    def visit(self, endpoint: Endpoint, backend: Backend) -> None:
        """Let the next one have the backend. `endpoint.was_dirtied` follows."""
        self.turns += 1
        Dirtying(endpoint, backend, self.turns).start()


class Dirtying(Owner):
    """Leaves the traces of another session on a backend, and its state vector as it has become."""

    __slots__ = ("backend", "endpoint", "turn", "vector")

    def __init__(self, endpoint: Endpoint, backend: Backend, turn: int) -> None:
        self.endpoint: Endpoint = endpoint
        self.backend: Backend = backend
        self.turn: int = turn
        # what the backend will have when the first commands have run; None when they have
        self.vector: Vector | None = None

    def start(self) -> None:
        """Send the commands."""
        backend = self.backend
        actual, key = backend.vector, backend.key
        assert actual is not None and isinstance(key, PoolKey)
        self.endpoint.watch(backend)
        # a schema cannot be unset, so sessions without one must not get a backend that has
        schema = STRANGE_SCHEMA if key.has_schema else None
        self.vector = actual.with_schema(schema).with_variables(STRANGERS[self.turn % len(STRANGERS)])
        self.vector = self.vector.with_multi_statements(self.turn % 2 == 0)
        commands = restore_commands(actual, self.vector)
        assert commands is not None
        level = ISOLATION_LEVELS[self.turn % len(ISOLATION_LEVELS)]
        # last, because its report has the name that the variable has on this server
        commands.append(_COM_QUERY + b"SET SESSION TRANSACTION ISOLATION LEVEL " + level)
        backend.run(self, commands)

    def ran(self, is_failed: bool) -> None:
        if self.vector is not None:
            self._were_set(self.vector, is_failed)
        elif is_failed and self.backend.queue:
            self.endpoint.discard(self.backend, CloseReason.RESET_FAILED)
        else:
            # the last one may be meant to fail
            self.endpoint.was_dirtied(self.backend)

    def _were_set(self, vector: Vector, is_failed: bool) -> None:
        backend = self.backend
        if is_failed:
            self.endpoint.discard(backend, CloseReason.RESET_FAILED)
            return
        changes = backend.tracker.changes
        reported = [] if changes is None else changes.variables
        backend.vector = vector.with_variables(
            [(name.lower(), value) for name, value in reported if is_restorable(name.lower(), value)]
        )
        self.vector = None
        left = WARNING if self.turn % 2 else ERROR
        commands = [*TRACES, ROWS if self.endpoint.facts.is_mariadb else left]
        if self.turn % 4 == 0:
            backend.variables = assigned(backend.variables, USER_VARIABLES)
            commands.insert(0, SETS_VARIABLES)
        backend.run(self, commands)

    def backend_lost(self, cause: str) -> None:
        self.endpoint.discard(self.backend, CloseReason.LOST)
