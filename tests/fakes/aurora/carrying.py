"""What survives a restart that keeps connections.

"Zero-downtime restart (ZDR) for Amazon Aurora MySQL": session variables are restored, user variables and temporary tables are not
mentioned, LAST_INSERT_ID and the status variables are lost; field reports add prepared statements.
"""

from __future__ import annotations

from typing import Final

from tests.fakes.aurora.backend import Backend

VARIABLES: Final = "SHOW SESSION VARIABLES"
# What is no setting of the session's but a look at something, or belongs to a statement.
NOT_CARRIED: Final = frozenset(
    b"""timestamp identity insert_id last_insert_id rand_seed1 rand_seed2 error_count warning_count pseudo_thread_id
    in_transaction statement_id last_gtid gtid_next gtid_owned gtid_executed gtid_binlog_pos gtid_binlog_state gtid_slave_pos
    gtid_current_pos hostname server_uuid transaction_read_only tx_read_only""".split()
)


async def carry_over(old: Backend, new: Backend) -> None:
    """Give a new session the variables and the schema of an old one. Raises Unreachable."""
    after = {name: value for name, value in await new.rows(VARIABLES)}
    for name, value in await old.rows(VARIABLES):
        if name is not None and name not in NOT_CARRIED and after.get(name) != value:
            await new.rows(f"SET SESSION {name.decode()} = {literal(value or b'')}")
    ((schema,),) = await old.rows("SELECT DATABASE()")
    if schema is not None:
        await new.rows(f"USE `{schema.decode()}`")


def literal(value: bytes) -> str:
    """A variable's value as SHOW VARIABLES has it, for SET."""
    text = value.decode()
    if text.lstrip("-").replace(".", "", 1).isdigit() or text in ("ON", "OFF"):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
