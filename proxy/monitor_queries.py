"""What the monitor asks servers: the texts, each with the page that describes what it reads. `observation` parses the answers.

In peace it is one statement per look at a server, and a second one where there is replication or Aurora's table to be asked about: the first of
each kind (``*_SELF``) tells who the server is, whether it says itself that it may be written, its clock and how long it has been up.

Times are differences that the server computes itself, in microseconds, so that neither its time zone nor the session's matters.
None of the ``*_SELF`` texts needs a privilege (tried with an account that has none, and on MySQL without performance_schema).
"""

from __future__ import annotations

from typing import Final

CLOCK: Final = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
"""The server's clock (MySQL Reference Manual, "Date and Time Functions"): whole microseconds, and the same time wherever it stands in a statement."""

_MYSQL_UPTIME: Final = (
    "(SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime')"
)
_MARIADB_UPTIME: Final = (
    "(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Uptime')"
)

IS_AURORA: Final = "SHOW VARIABLES LIKE 'aurora_version'"
"""One row on Aurora, none elsewhere ("Checking Aurora MySQL versions using SQL"). Any account may ask."""

AURORA_SELF: Final = f"SELECT @@aurora_server_id, @@innodb_read_only, {CLOCK}, {_MYSQL_UPTIME}"
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
    f" {CLOCK}, {_MYSQL_UPTIME}, IF(@@global.gtid_mode IN ('ON', 'ON_PERMISSIVE'), @@global.gtid_executed, '')"
)
"""("Server System Variables", "Global Transaction ID System Variables"). ``read_only`` is on whenever ``super_read_only`` is. While GTIDs are not given
to all new transactions a position says nothing, hence the IF."""

MARIADB_SELF: Final = (
    "SELECT @@global.server_id, @@global.read_only, @@global.innodb_read_only,"
    f" {CLOCK}, {_MARIADB_UPTIME}, @@global.gtid_current_pos"
)
"""("Server System Variables", "Global Transaction ID", MariaDB Knowledge Base)."""

MYSQL_REPLICATION: Final = "SHOW REPLICA STATUS"
"""("SHOW REPLICA STATUS Statement", from 8.0.22.) Needs REPLICATION CLIENT."""
OLD_MYSQL_REPLICATION: Final = "SHOW SLAVE STATUS"
"""The same before 8.0.22, with other names of columns."""
MARIADB_REPLICATION: Final = "SHOW ALL SLAVES STATUS"
"""("SHOW REPLICA STATUS", MariaDB Knowledge Base.) One row per connection to a source. Needs SLAVE MONITOR."""
