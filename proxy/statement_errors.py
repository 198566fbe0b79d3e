"""Errors about prepared statements in the words of the server that they stand for. Pure.

Answered here is only what no server can be asked, because the statement, or the command, does not exist there. MySQL means 8.0 and
later; 5.7 words most of it as MariaDB does.
"""

from __future__ import annotations

from typing import Final

from proxy.replies import Failure

COM_STMT_EXECUTE: Final = 0x17
COM_STMT_SEND_LONG_DATA: Final = 0x18
COM_STMT_CLOSE: Final = 0x19
COM_STMT_RESET: Final = 0x1A
COM_STMT_FETCH: Final = 0x1C

WRONG_ARGUMENTS: Final = 1210
UNKNOWN_STATEMENT: Final = 1243
NO_CURSOR: Final = 1421
TOO_MANY_STATEMENTS: Final = 1461
MALFORMED: Final = 1835

_NAMES: Final = {
    COM_STMT_EXECUTE: "mysqld_stmt_execute",
    COM_STMT_RESET: "mysqld_stmt_reset",
    COM_STMT_FETCH: "mysqld_stmt_fetch",
}
_SHORTEST: Final = {
    COM_STMT_EXECUTE: 10,
    COM_STMT_SEND_LONG_DATA: 7,
    COM_STMT_CLOSE: 5,
    COM_STMT_RESET: 5,
    COM_STMT_FETCH: 9,
}


def is_cut_off(command: int, size: int, is_mariadb: bool) -> bool:
    """Whether the server calls a command of this size, its first byte included, malformed. MySQL does so even where a command has no
    answer; MariaDB only for COM_STMT_EXECUTE."""
    return size < _SHORTEST[command] and (command == COM_STMT_EXECUTE or not is_mariadb)


def malformed(is_mariadb: bool) -> Failure:
    """1835: too short for what it should have."""
    return Failure(MALFORMED, "Malformed communication packet" + ("" if is_mariadb else "."), "HY000")


def unknown_statement(shown: int, command: int, is_mariadb: bool) -> Failure:
    """1243: no statement has this id."""
    name = _NAMES[command] if is_mariadb else "mysql_stmt_precheck"
    return Failure(
        UNKNOWN_STATEMENT, f"Unknown prepared statement handler ({shown}) given to {name}", "HY000"
    )


def no_cursor(shown: int, is_mariadb: bool) -> Failure:
    """1421: COM_STMT_FETCH of a statement without a cursor."""
    return Failure(
        NO_CURSOR, f"The statement ({shown}) has no open cursor" + ("" if is_mariadb else "."), "HY000"
    )


def wrong_parameter(is_mariadb: bool) -> Failure:
    """1210, at the execution: COM_STMT_SEND_LONG_DATA named a parameter that the statement does not have."""
    name = "mysqld_stmt_send_long_data" if is_mariadb else "mysql_stmt_precheck"
    return Failure(WRONG_ARGUMENTS, f"Incorrect arguments to {name}", "HY000")


def too_many_statements(limit: int) -> Failure:
    """1461: a session has as many statements as the server has room for."""
    text = f"Can't create more than max_prepared_stmt_count statements (current value: {limit})"
    return Failure(TOO_MANY_STATEMENTS, text, "42000")
