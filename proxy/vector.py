"""The state vector: what of a session can be moved from one backend to another by commands, and the commands that do it.

A vector says how a session differs from a fresh connection: its schema, session variables with the values that the server reported
for them, and whether MULTI_STATEMENTS is on. Vectors are immutable and interned, so "this backend is as the session left it" is
`backend.vector is session.vector`.

Values come from the server's trackers and go back to it unchanged. Whether that works was tried for every session variable of MySQL
9.7 and MariaDB 10.11: `SHOW VARIABLES`, `SET SESSION x = its value`, look at the report, `SET` what was reported. :data:`DENIED` has
those for which it does not work or must not be done, with the reasons.

Facts about reports (both servers): a SET to the same value is reported, too. SET NAMES reports three variables but no collation,
whatever its COLLATE says: `with_variables` forgets the old ones then, and the session adds the one that the lexer saw. MySQL's `'*'`
adds statement_id to every OK; naming the variables instead avoids that, without warnings, for 6 KB of names and 0.3 ms per reset.
MariaDB reports nothing for ``SET @@x = ..`` without a scope, so we never write that; when a client does, it is asked for (`keeping`).
"""

from __future__ import annotations

import re
from typing import Final

from proxy.kept import KEPT, TEXT, TRACKED_GTIDS, TRACKS_GTIDS, WIDE

CHARSET_VARIABLES: Final = (
    b"character_set_client",
    b"character_set_results",
    b"character_set_connection",
    b"collation_connection",
)
"""The variables that every vector has, once known, in the order in which they must be restored."""

_CLIENT: Final = b"character_set_client"
_RESULTS: Final = b"character_set_results"
_CONNECTION: Final = b"character_set_connection"
_COLLATION: Final = b"collation_connection"

RESULTS_COLLATION: Final = b"collation_results"
"""Not a variable of the server's, but it has one: the collation that came with character_set_results, by the handshake or by SET NAMES
.. COLLATE. Definitions of columns name it. Only SET NAMES can set it."""
SELECT_LIMIT: Final = b"sql_select_limit"
"""Every SELECT of ours that runs in a session's state has a LIMIT, because without one this holds; with 0 there is not even one row."""

SPOILT_SCHEMA: Final = b""
"""The schema of a backend after a reset. It stays the same, but character_set_database, by which LOAD DATA reads, is then that of the server:
it has to be chosen again."""

_OF_SCHEMA: Final = b"collation_database"
"""It follows the schema, until a reset: then it is that of the server, until a schema is chosen again, or this one altered. Its value in a
vector says only that it is so."""
_OF_SERVER: Final = b"@@GLOBAL.collation_database"

OF_TRANSACTIONS: Final = frozenset(
    [
        b"autocommit",
        b"transaction_isolation",
        b"transaction_read_only",
        b"tx_isolation",
        b"tx_read_only",
        b"binlog_format",
        b"binlog_direct_non_transactional_updates",
    ]
)
"""Setting one may end the transaction that is open (autocommit), replace what was said of the next one, or be refused in a transaction."""

# Must precede the character sets: they decide which collation a character set brings.
_FIRST: Final = (b"default_collation_for_utf8mb4", b"character_set_collations")

DENIED: Final[dict[bytes, str]] = {
    b"insert_id": "holds for the next INSERT only, and is consumed by it",
    b"timestamp": "stands still once set; DEFAULT is reported as the old value",
    b"sql_auto_is_null": "makes ordinary statements read the insert id",
    b"rand_seed1": "write-only: MySQL reports 0",
    b"rand_seed2": "write-only: MySQL reports 0",
    b"pseudo_thread_id": "names a connection",
    b"pseudo_slave_mode": "for replication appliers",
    b"pseudo_replica_mode": "for replication appliers",
    b"gtid_next": "belongs to one transaction",
    b"gtid_seq_no": "belongs to one transaction",
    b"gtid_domain_id": "decides in which binlog stream a write goes",
    b"server_id": "decides as whose a write is logged",
    b"sql_log_bin": "decides whether writes are logged at all, and needs a privilege",
    b"skip_replication": "marks what is logged",
    b"skip_parallel_replication": "marks what is logged",
    b"original_commit_timestamp": "belongs to one transaction",
    b"original_server_version": "for replication appliers",
    b"immediate_server_version": "for replication appliers",
    b"require_row_format": "cannot be switched off again",
    b"sql_slave_skip_counter": "an action, not a setting",
    b"profiling": "collects profiles on one connection",
    b"profiling_history_size": "collects profiles on one connection",
    b"debug": "traces one connection",
    b"debug_dbug": "traces one connection",
    b"debug_sync": "an action, not a setting",
    b"resultset_metadata": "changes the protocol of one connection",
    b"character_set_database": "follows the schema",
    b"collation_database": "follows the schema",
    b"proxy_user": "read-only",
    b"external_user": "read-only",
    b"system_versioning_asof": "its default cannot be set by its value",
    b"wsrep_on": "decides whether writes are replicated",
    b"wsrep_gtid_seq_no": "belongs to one transaction",
    b"max_relay_log_size": "an alias of a global variable",
    b"use_secondary_engine": "for the server's own use",
    b"transaction_allow_batching": "for the server's own use",
}
"""Session variables that are not restored on another backend, and why. Setting one pins (`unsafe-variable`). Nor are those of `kept`."""

NEUTRAL: Final[dict[bytes, bytes]] = {
    b"sql_log_bin": b"ON",
    b"sql_auto_is_null": b"OFF",
    b"gtid_next": b"AUTOMATIC",
    b"pseudo_slave_mode": b"OFF",
    b"pseudo_replica_mode": b"OFF",
    b"skip_replication": b"OFF",
    b"skip_parallel_replication": b"OFF",
}
"""Values of denied variables with which a session is like any other."""

# Reported as empty when they are NULL.
_NULLABLE: Final = frozenset(
    [
        b"character_set_results",
        b"innodb_tmpdir",
        b"innodb_ft_user_stopword_table",
        b"default_tmp_storage_engine",
        b"enforce_storage_engine",
        b"external_table_storage_engine",
        b"external_table_secondary_storage_engine",
    ]
)
# MySQL 9.7 takes DEFAULT for these and changes nothing.
_WITHOUT_DEFAULT: Final = frozenset([b"foreign_key_checks", b"unique_checks"])
# Aurora's readers run READ COMMITTED as REPEATABLE READ unless it is on: a session is to find there what it finds on the writer.
_READ_COMMITTED_ON_READERS: Final = b"aurora_read_replica_read_committed"
# Free text: a value that looks like a number would be restored as one and refused.
_FREE_TEXT: Final = frozenset([b"default_master_connection"])

_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?\Z")
_SAFE: Final = re.compile(rb"[\x20-\x5b\x5d-\x7e]*\Z")
_NAME: Final = re.compile(rb"[a-z0-9_.]+\Z")


def is_restorable(name: bytes, value: bytes) -> bool:
    """Whether a backend can be given this reported value by `restore_commands`."""
    if name in DENIED or name in KEPT or _NAME.match(name) is None or _SAFE.match(value) is None:
        return False
    return not (name in _FREE_TEXT and _NUMBER.match(value) is not None)


class Vector:
    """How a session differs from a fresh connection. Made by `fresh` and the with_ methods only; equal ones are the same object
    (but for `apart`)."""

    __slots__ = ("_successors", "is_limited", "multi_statements", "schema", "variables")

    def __init__(self, schema: bytes | None, variables: dict[bytes, bytes], multi_statements: bool) -> None:
        # None: no default schema
        self.schema: bytes | None = schema
        # name in lower case -> value as the server reports it; never changed
        self.variables: dict[bytes, bytes] = variables
        self.multi_statements: bool = multi_statements
        self.is_limited: bool = SELECT_LIMIT in variables
        # what with_variables has made of it before
        self._successors: dict[tuple[tuple[bytes, bytes], ...], Vector] = {}

    @staticmethod
    def fresh(schema: bytes | None, charsets: dict[bytes, bytes]) -> Vector:
        """A connection on which nothing was set. ``charsets``: values of CHARSET_VARIABLES, as far as they are known."""
        variables = dict(charsets)
        if variables.get(_RESULTS) and _COLLATION in variables:
            variables[RESULTS_COLLATION] = variables[_COLLATION]
        return _interned(schema, variables, False)

    def with_ignore_space(self, sql_mode: bytes) -> Vector:
        """The same on a connection that was opened with CLIENT_IGNORE_SPACE, which adds to the server's sql_mode what no DEFAULT does."""
        modes = sql_mode.split(b",") if sql_mode else []
        if _SPACE_IGNORED in modes:
            return self
        # in the order in which servers report them
        at = len([mode for mode in modes if mode in _BEFORE_SPACE])
        modes.insert(at, _SPACE_IGNORED)
        return _interned(
            self.schema, {**self.variables, b"sql_mode": b",".join(modes)}, self.multi_statements
        )

    def with_schema(self, schema: bytes | None) -> Vector:
        """The same session after it has chosen this schema, the one that it had or another."""
        if _OF_SCHEMA in self.variables:
            variables = {name: value for name, value in self.variables.items() if name != _OF_SCHEMA}
            return _interned(schema, variables, self.multi_statements)
        return self if schema == self.schema else _interned(schema, self.variables, self.multi_statements)

    def without_collation_of_schema(self) -> Vector:
        """The same session after a reset, which leaves it its schema, but forgets the schema's collation."""
        variables = {**self.variables, _OF_SCHEMA: _OF_SERVER}
        return self if self.schema is None else _interned(self.schema, variables, self.multi_statements)

    def with_multi_statements(self, multi_statements: bool) -> Vector:
        """The same session with MULTI_STATEMENTS on or off."""
        if multi_statements == self.multi_statements:
            return self
        return _interned(self.schema, self.variables, multi_statements)

    def with_variables(self, reported: list[tuple[bytes, bytes]]) -> Vector:
        """The same session after these reports (names in lower case, restorable values), in their order."""
        key = tuple(reported)
        successor = self._successors.get(key)
        if successor is None:
            variables = dict(self.variables)
            names = {name for name, _ in reported}
            if _CONNECTION in names and _COLLATION not in names:
                # the character set brought its own collation
                variables.pop(_COLLATION, None)
            if _RESULTS in names:
                variables.pop(RESULTS_COLLATION, None)
            variables.update(reported)
            if _COLLATION in names:
                variables[_CONNECTION] = variables[_COLLATION].partition(b"_")[0]
            successor = _interned(self.schema, variables, self.multi_statements)
            if len(self._successors) < _MAX_SUCCESSORS:
                self._successors[key] = successor
        return successor

    def of_preparation(self) -> Vector:
        """What of it the meaning of a prepared statement depends on: not the variables of transactions."""
        if OF_TRANSACTIONS.isdisjoint(self.variables):
            return self
        found = self._successors.get(())
        if found is None:
            found = self._successors[()] = self.with_transactions_of({})
        return found

    def apart(self) -> Vector:
        """An equal one that is another object: what is known by it is nobody else's."""
        return Vector(self.schema, self.variables, self.multi_statements)

    def with_transactions_of(self, others: dict[bytes, bytes]) -> Vector:
        """The same with the variables of transactions among these variables of another vector."""
        variables = {name: value for name, value in self.variables.items() if name not in OF_TRANSACTIONS}
        variables.update([(name, others[name]) for name in OF_TRANSACTIONS if name in others])
        return _interned(self.schema, variables, self.multi_statements)

    def __repr__(self) -> str:
        return f"Vector({self.schema!r}, {self.variables!r}, multi_statements={self.multi_statements})"


_SPACE_IGNORED: Final = b"IGNORE_SPACE"
_BEFORE_SPACE: Final = frozenset([b"REAL_AS_FLOAT", b"PIPES_AS_CONCAT", b"ANSI_QUOTES"])
_MAX_VECTORS: Final = 4096
_MAX_SUCCESSORS: Final = 64
_VECTORS: Final[dict[tuple[bytes | None, bool, tuple[tuple[bytes, bytes], ...]], Vector]] = {}


def _interned(schema: bytes | None, variables: dict[bytes, bytes], multi_statements: bool) -> Vector:
    key = (schema, multi_statements, tuple(sorted(variables.items())))
    vector = _VECTORS.get(key)
    if vector is None:
        if len(_VECTORS) >= _MAX_VECTORS:
            # Forgotten ones may be made again: two equal objects then differ by nothing, which costs a comparison, not correctness.
            _VECTORS.clear()
        vector = _VECTORS[key] = Vector(schema, variables, multi_statements)
    return vector


def restore_commands(actual: Vector, wanted: Vector) -> list[bytes] | None:
    """Payloads that bring a backend whose state is ``actual`` to ``wanted``, in order; [] when there is nothing to do.

    None when no commands can do it: a schema cannot be unset. All are ASCII without backslashes (but for the schema's name), so that
    they mean the same under every sql_mode and character set. Whoever runs them discards the backend if one fails.
    """
    commands: list[bytes] = []
    is_forgotten, was_forgotten = _OF_SCHEMA in wanted.variables, _OF_SCHEMA in actual.variables
    if wanted.schema != actual.schema or (was_forgotten and not is_forgotten):
        if wanted.schema is None:
            return None
        commands.append(b"\x02" + wanted.schema)
        was_forgotten = False
    if wanted.multi_statements != actual.multi_statements:
        commands.append(b"\x1b\x00\x00" if wanted.multi_statements else b"\x1b\x01\x00")
    if wanted.variables is not actual.variables:
        settings = _settings(actual, wanted)
        if settings:
            commands.append(settings)
    if is_forgotten and not was_forgotten:
        commands.append(b"\x03SET SESSION " + _OF_SCHEMA + b"=" + _OF_SERVER)
    return commands


_MAX_SETTINGS: Final = 4096
_SETTINGS: Final[dict[tuple[Vector, Vector], bytes]] = {}


def _settings(actual: Vector, wanted: Vector) -> bytes:
    """The command that sets the variables; empty if they are the same. It is written once: clients of a few kinds take turns on a backend."""
    key = (actual, wanted)
    settings = _SETTINGS.get(key)
    if settings is None:
        if len(_SETTINGS) >= _MAX_SETTINGS:
            _SETTINGS.clear()
        assignments = _assignments(actual.variables, wanted.variables)
        settings = _SETTINGS[key] = b"\x03SET " + b",".join(assignments) if assignments else b""
    return settings


def differ_only_in(one: Vector, other: Vector, name: bytes) -> bool:
    """Whether they are the same but for this variable."""
    mine, others = one.variables, other.variables
    if one.schema != other.schema or one.multi_statements != other.multi_statements:
        return False
    if len(mine) - (name in mine) != len(others) - (name in others):
        return False
    return all([key == name or others.get(key) == mine[key] for key in mine])


def _assignments(actual: dict[bytes, bytes], wanted: dict[bytes, bytes]) -> list[bytes]:
    changed = {name for name in wanted if actual.get(name) != wanted[name]}
    changed.update([name for name in actual if name not in wanted])
    # the whole statement is read before anything in it is set
    quote = TEXT if actual.get(_CONNECTION) in WIDE else b"'"
    written: list[bytes] = []
    for name in _FIRST:
        if name in changed:
            written.append(_assignment(name, wanted.get(name), quote))
    if not changed.isdisjoint(_CHARSETS):
        written.extend(_charsets(wanted, quote))
    changed.difference_update(_CHARSETS, _FIRST, (_OF_SCHEMA,))
    written.extend([_assignment(name, wanted.get(name), quote) for name in sorted(changed)])
    return written


def _charsets(wanted: dict[bytes, bytes], quote: bytes) -> list[bytes]:
    """Everything about character sets: SET NAMES for that of the results, and after it what differs from it."""
    results = wanted.get(_RESULTS)
    collation = wanted.get(RESULTS_COLLATION)
    written: list[bytes] = []
    if results is None or not results or results in WIDE:
        written.append(_assignment(_RESULTS, results, quote))
        results = collation = None
    else:
        names = b"NAMES '" + results + b"'"
        written.append(names + b" COLLATE '" + collation + b"'" if collation else names)
    if results is None or wanted.get(_CLIENT) != results:
        written.append(_assignment(_CLIENT, wanted.get(_CLIENT), quote))
    if results is None or wanted.get(_CONNECTION) != results or wanted.get(_COLLATION) != collation:
        written.append(_assignment(_CONNECTION, wanted.get(_CONNECTION), quote))
        if _COLLATION in wanted:
            written.append(_assignment(_COLLATION, wanted[_COLLATION], quote))
    return written


_CHARSETS: Final = frozenset((*CHARSET_VARIABLES, RESULTS_COLLATION))


def _assignment(name: bytes, value: bytes | None, quote: bytes = b"'") -> bytes:
    if value is None:
        written = _default(name)
    elif _NUMBER.match(value) is not None:
        written = value
    elif not value and name in _NULLABLE:
        written = b"NULL"
    else:
        written = quote + value.replace(b"'", b"''") + b"'"
    return b"SESSION " + name + b"=" + written


def _default(name: bytes) -> bytes:
    return b"@@GLOBAL." + name if name in _WITHOUT_DEFAULT else b"DEFAULT"


NAMES_QUERY: Final = b"SHOW SESSION VARIABLES"
"""Its first column has the names that `setup_statement` wants (MySQL only). To be run once for each endpoint, on any connection."""

# Families of variables that exist globally only: leaving them out makes the list of names, which every reset sends, a third as long.
_GLOBAL_ONLY: Final = re.compile(
    rb"(?:admin_|authentication_|binlog_cache|binlog_encryption|binlog_group|binlog_gtid|binlog_max|binlog_order|binlog_stmt|"
    rb"binlog_transaction_dependency|caching_sha2_|clone_|component_|connection_control|ft_|general_log|group_replication_(?!consistency)|"
    rb"gtid_(?!next\b)|have_|host_cache|innodb_(?!(?:ddl_|ft_enable|ft_user|lock_wait|parallel_read|strict|table_locks|tmpdir))|"
    rb"log_|master_|mysqlx_|myisam_(?:data|max|mmap|recover)|ngram|performance_schema|persist|plugin|protocol_|relay_|replica_|report_|"
    rb"rpl_|secure_|server_|sha256_|slave_|slow_|source_|ssl_|statement_id\Z|stored_|sync_|system_time|table_|tablespace_|temptable_|"
    rb"thread_|tls_|tmpdir|validate_|version)"
)


def setup_statement(
    kind: str, names: list[bytes], is_watched: bool = False, tracks_gtids: bool = False
) -> bytes:
    """The text that switches all trackers on, for a new connection and after every reset. ``kind``: "mysql" or "mariadb".

    ``names``: what NAMES_QUERY gave; none are needed for MariaDB, which tells GTIDs as a variable. ``is_watched``: sessions may read on
    readers. ``tracks_gtids``: where MySQL knows how to.
    """
    variables = b"*"
    last = b""
    if kind == "mysql":
        variables = b",".join([name.lower() for name in names if _GLOBAL_ONLY.match(name.lower()) is None])
        for name, value in set_by_setup(names, is_watched):
            last += b", SESSION " + name + b"=" + value
        if tracks_gtids and TRACKED_GTIDS in names:
            last += TRACKS_GTIDS
    return (
        b"SET session_track_schema=1, session_track_state_change=1, session_track_transaction_info=_latin1'CHARACTERISTICS', "
        b"session_track_system_variables=" + TEXT + variables + b"'" + last
    )


def set_by_setup(names: list[bytes], is_watched: bool) -> list[tuple[bytes, bytes]]:
    """Variables of sessions that `setup_statement` sets on MySQL: they are part of what a fresh connection has."""
    is_aurora = _READ_COMMITTED_ON_READERS in names
    return [(_READ_COMMITTED_ON_READERS, b"ON")] if is_watched and is_aurora else []


def ignoring_space(vector: Vector, capabilities: int, sql_mode: bytes) -> Vector:
    """The vector of a fresh connection of a client with these capabilities, where the server's own mode is ``sql_mode``: CLIENT_IGNORE_SPACE
    becomes part of the session's, and DEFAULT is without it."""
    if not capabilities & _IGNORE_SPACE:
        return vector
    modes = [mode for mode in sql_mode.split(b",") if mode and mode != _SPACE_MODE]
    return vector.with_variables([(b"sql_mode", b",".join([_SPACE_MODE, *modes]))])


_IGNORE_SPACE: Final = 0x100
_SPACE_MODE: Final = b"IGNORE_SPACE"
