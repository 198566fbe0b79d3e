"""What the monitor asks servers: the texts, each with the page that describes what it reads. `observation` parses the answers.

In peace it is one statement per look at a server, and a second one where there is replication or Aurora's table to be asked about: the first of
each kind (``*_SELF``) tells who the server is, whether it says itself that it may be written, its clock, how long it has been up, and how full it is.

Times are differences that the server computes itself, in microseconds, so that neither its time zone nor the session's matters.
None of the ``*_SELF`` texts needs a privilege (tried with an account that has none, and on MySQL without performance_schema).
"""

from __future__ import annotations

from typing import Final

CLOCK: Final = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
"""The server's clock (MySQL Reference Manual, "Date and Time Functions"): whole microseconds, and the same time wherever it stands in a statement."""

_STATUS: Final = (
    "(SELECT MAX(IF(VARIABLE_NAME = 'Uptime', VARIABLE_VALUE, NULL)) AS uptime,"
    " MAX(IF(VARIABLE_NAME = 'Threads_connected', VARIABLE_VALUE, NULL)) AS connected,"
    " MAX(IF(VARIABLE_NAME = 'Connection_errors_max_connections', VARIABLE_VALUE, NULL)) AS refusals"
    " FROM {}.session_status"
    " WHERE VARIABLE_NAME IN ('Uptime', 'Threads_connected', 'Connection_errors_max_connections')) AS s"
)
_FROM_MYSQL: Final = f" FROM {_STATUS.format('performance_schema')}"
_FROM_MARIADB: Final = f" FROM {_STATUS.format('information_schema')}"
"""("Server Status Variables".) One pass over the status variables, of which the server makes a table for each statement. Those of the session, for these
three are the server's in any case: for the global ones it adds up all connections, which takes it milliseconds for each thousand of them."""
_OCCUPANCY: Final = "@@global.max_connections, s.connected, s.refusals"

IS_AURORA: Final = "SHOW VARIABLES LIKE 'aurora_version'"
"""One row on Aurora, none elsewhere ("Checking Aurora MySQL versions using SQL"). Any account may ask."""

AURORA_SELF: Final = (
    f"SELECT @@aurora_server_id, @@innodb_read_only, {CLOCK}, s.uptime, {_OCCUPANCY}{_FROM_MYSQL}"
)
"""Of each instance itself ("Aurora MySQL configuration parameters"): after a failover ``SELECT 1`` is answered as before, and only
``innodb_read_only`` tells a reader from the writer."""

AURORA_TABLE: Final = (
    "SELECT SERVER_ID, SESSION_ID, REPLICA_LAG_IN_MILLISECONDS,"
    " TIMESTAMPDIFF(MICROSECOND, LAST_UPDATE_TIMESTAMP, NOW(6)),"
    f" CPU, {CLOCK} FROM information_schema.replica_host_status"
)
"""All instances of the cluster as one of them knows them ("information_schema.replica_host_status"). Instances that were deleted
linger, and after a failover a reader's copy may be stale: whose word it is and how old it is decide what a row is worth (`topology`)."""

MYSQL_SELF: Final = (
    "SELECT @@global.server_id, @@global.read_only, @@global.innodb_read_only,"
    f" {CLOCK}, s.uptime, IF(@@global.gtid_mode IN ('ON', 'ON_PERMISSIVE'), @@global.gtid_executed, ''),"
    f" {_OCCUPANCY}{_FROM_MYSQL}"
)
"""("Server System Variables", "Global Transaction ID System Variables"). ``read_only`` is on whenever ``super_read_only`` is. While GTIDs are not given
to all new transactions a position says nothing, hence the IF."""

MARIADB_SELF: Final = (
    "SELECT @@global.server_id, @@global.read_only, @@global.innodb_read_only,"
    f" {CLOCK}, s.uptime, @@global.gtid_current_pos, {_OCCUPANCY}{_FROM_MARIADB}"
)
"""("Server System Variables", "Global Transaction ID", MariaDB Knowledge Base)."""

MYSQL_OCCUPANCY: Final = f"SELECT {_OCCUPANCY}{_FROM_MYSQL}"
MARIADB_OCCUPANCY: Final = f"SELECT {_OCCUPANCY}{_FROM_MARIADB}"
"""Of a server that is asked nothing else. The answer to each ``*_SELF`` ends with the same columns."""

MYSQL_REPLICATION: Final = "SHOW REPLICA STATUS"
"""("SHOW REPLICA STATUS Statement", from 8.0.22.) Needs REPLICATION CLIENT."""
OLD_MYSQL_REPLICATION: Final = "SHOW SLAVE STATUS"
"""The same before 8.0.22, with other names of columns."""
MARIADB_REPLICATION: Final = "SHOW ALL SLAVES STATUS"
"""("SHOW REPLICA STATUS", MariaDB Knowledge Base.) One row per connection to a source. Needs SLAVE MONITOR."""


LOCK: Final = "fanin."
"""What the names of locks begin with ("Locking Functions")."""


def with_count(text: str, table: str, fanin_id: str) -> str:
    """One of the texts above that tell the occupancy, with a count: how many values of ``fanin_id`` there are, how many connections have this
    one and any, and how many have attributes at all. ``table``: one of `occupancy.TABLES`."""
    count = (
        "(SELECT COUNT(DISTINCT IF(ATTR_NAME = 'fanin_id', ATTR_VALUE, NULL)) AS processes,"
        f" SUM(ATTR_NAME = 'fanin_id' AND ATTR_VALUE = '{fanin_id}') AS own,"
        " SUM(ATTR_NAME = 'fanin_id') AS sessions, COUNT(DISTINCT PROCESSLIST_ID) AS visible"
        f" FROM performance_schema.{table}) AS c"
    )
    return _with(text, "c.processes, c.own, c.sessions, c.visible", count)


def with_locks(text: str, slot: int, is_held: bool, slots: int) -> str:
    """The same with a count of locks: of the others', and whether this one is ours, or has just become so; two more columns have no meaning."""
    name = f"'{LOCK}{slot}'"
    own = f"IS_USED_LOCK({name}) = CONNECTION_ID()" if is_held else f"GET_LOCK({name}, 0)"
    count = (
        f"(WITH RECURSIVE k AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM k WHERE n < {slots - 1})"
        f" SELECT COUNT(IS_USED_LOCK(CONCAT('{LOCK}', n))) AS processes FROM k WHERE n <> {slot}) AS c"
    )
    return _with(text, f"c.processes, {own}, 0, 0", count)


def _with(text: str, columns: str, table: str) -> str:
    before, _, tables = text.partition(" FROM (")
    return f"{before}, {columns} FROM ({tables}, {table}"


MOST_HOLDERS: Final = 1000
"""Groups of connections that are asked for, those with most first."""
_OF_THREADS: Final = (
    "(SELECT PROCESSLIST_ID AS id, PROCESSLIST_USER AS who, PROCESSLIST_HOST AS place, PROCESSLIST_COMMAND AS doing"
    " FROM performance_schema.threads WHERE PROCESSLIST_ID IS NOT NULL AND TYPE = 'FOREGROUND') AS p"
)
"""("The threads Table".) Without the mutex that the process list takes; needs SELECT for it."""
_OF_PROCESSES: Final = (
    "(SELECT ID AS id, USER AS who, COMMAND AS doing,"
    " IF(LOCATE(':', HOST), LEFT(HOST, CHAR_LENGTH(HOST) - LOCATE(':', REVERSE(HOST))), HOST) AS place"
    " FROM information_schema.PROCESSLIST) AS p"
)
"""("The INFORMATION_SCHEMA PROCESSLIST Table".) Needs PROCESS for the connections of other accounts."""
_ANNOUNCED: Final = ("fanin_id", "version", "application", "purpose", "program_name")


def holders(is_mariadb: bool) -> tuple[str, ...]:
    """Whose connections there are, in groups: what they announce (``_ANNOUNCED``), user, host, how many, how many of them do something. Of several
    texts the first counts that the account may ask and that has rows, as those of a performance_schema that is off have none."""
    everybody, own = "session_connect_attrs", "session_account_connect_attrs"
    first = _holders(_OF_PROCESSES if is_mariadb else _OF_THREADS, everybody)
    return first, _holders(_OF_PROCESSES, own), _holders(_OF_PROCESSES, "")


def _holders(connections: str, attributes: str) -> str:
    if attributes:
        values = ", ".join(
            f"MAX(IF(ATTR_NAME = '{name}', ATTR_VALUE, NULL)) AS {name}" for name in _ANNOUNCED
        )
        columns = ", ".join(f"a.{name}" for name in _ANNOUNCED)
        joined = (
            f" LEFT JOIN (SELECT PROCESSLIST_ID AS id, {values} FROM performance_schema.{attributes}"
            " GROUP BY PROCESSLIST_ID) AS a ON a.id = p.id"
        )
    else:
        columns, joined = ", ".join(["NULL"] * len(_ANNOUNCED)), ""
    return (
        f"SELECT {columns}, p.who, p.place, COUNT(*) AS connections, SUM(p.doing <> 'Sleep') FROM {connections}{joined}"
        " WHERE p.doing <> 'Daemon' AND p.who NOT IN ('event_scheduler', 'system user')"
        f" GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY connections DESC LIMIT {MOST_HOLDERS + 1}"
    )
