"""Kinds of commands: other users on the same connection, roles, accounts."""

from __future__ import annotations

from typing import Final

from bench.servers import PASSWORD, USER
from tests.twin.draft import Draft, kind
from tests.twin.exchanges import ChangeUser
from tests.twin.programs import SCHEMA

OTHER: Final = ("twin_other", "other")
IDENTITY: Final = "SELECT CURRENT_USER(), DATABASE(), @a, @@sql_mode, @@autocommit, LAST_INSERT_ID(), @@collation_connection"


@kind(6)
def change_user(d: Draft) -> None:
    user, password = d.one(((USER, PASSWORD), (USER, PASSWORD), OTHER, OTHER))
    schema = d.one((SCHEMA, SCHEMA, "twin2", ""))
    d.add(ChangeUser(user, password, schema, d.one((45, 45, 8, 63, 33))))
    d.was_reset()
    d.has_schema = schema == SCHEMA
    # the flag is the connection's, whoever uses it
    d.query(d.one((IDENTITY, IDENTITY, "SHOW WARNINGS", "SELECT ROW_COUNT()", "SELECT FOUND_ROWS()")))


@kind(1)
def change_user_refused(d: Draft) -> None:
    """The connection ends, or stays as it is."""
    d.add(
        d.one(
            (
                ChangeUser(USER, "wrong", SCHEMA),
                ChangeUser(OTHER[0], "", SCHEMA),
                ChangeUser("never_there", "wrong", SCHEMA),
                ChangeUser(USER, PASSWORD, "never_there"),
                ChangeUser(*OTHER, "mysql"),
            )
        )
    )
    d.query("SELECT CURRENT_USER(), DATABASE()")
    d.is_over = True


@kind(3)
def role(d: Draft) -> None:
    d.query(d.one(("SET ROLE twin_role", "SET ROLE 'twin_role'", "SET ROLE NONE", "SET ROLE never_there")))
    d.query("SELECT CURRENT_ROLE(), CURRENT_USER()")
    if d.chance(0.4):
        d.query(d.one(("SET ROLE NONE", "SET ROLE DEFAULT" if d.server == "mysql" else "SET ROLE NONE")))
        d.query("SELECT CURRENT_ROLE()")


@kind(2, server="mysql")
def resource_group(d: Draft) -> None:
    d.query(d.one(("SET RESOURCE GROUP USR_default", "SET RESOURCE GROUP never_there")))


@kind(2)
def account(d: Draft) -> None:
    """Statements about accounts, and what looks like a user variable in them."""
    d.query("CREATE USER IF NOT EXISTS 'twin_made'@'%'")
    d.query(
        d.one(
            (
                "GRANT SELECT ON twin.* TO 'twin_made'@'%'",
                "SHOW GRANTS FOR 'twin_made'@'%'",
                "ALTER USER 'twin_made'@'%' ACCOUNT LOCK",
                "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'twin_made'@'%'",
                "RENAME USER 'twin_made'@'%' TO 'twin_made'@'%'",
            )
        )
    )
    d.query("DROP USER 'twin_made'@'%'")
    d.committed()
