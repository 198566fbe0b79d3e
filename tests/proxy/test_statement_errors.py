from __future__ import annotations

import pytest

from proxy.statement_errors import (
    COM_STMT_CLOSE,
    COM_STMT_EXECUTE,
    COM_STMT_FETCH,
    COM_STMT_RESET,
    COM_STMT_SEND_LONG_DATA,
    is_cut_off,
    malformed,
    no_cursor,
    too_many_statements,
    unknown_statement,
    wrong_parameter,
)


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (COM_STMT_EXECUTE, 10),
        (COM_STMT_SEND_LONG_DATA, 7),
        (COM_STMT_CLOSE, 5),
        (COM_STMT_RESET, 5),
        (COM_STMT_FETCH, 9),
    ],
)
def test_each_command_has_its_shortest_size(command: int, size: int) -> None:
    assert [is_cut_off(command, each, is_mariadb=False) for each in (size - 1, size)] == [True, False]
    assert is_cut_off(command, size - 1, is_mariadb=True) == (command == COM_STMT_EXECUTE)


def test_each_server_has_its_words() -> None:
    assert malformed(True).message == "Malformed communication packet"
    assert malformed(False).message == "Malformed communication packet."
    assert no_cursor(3, True).message == "The statement (3) has no open cursor"
    assert no_cursor(3, False).message == "The statement (3) has no open cursor."
    assert wrong_parameter(True).message == "Incorrect arguments to mysqld_stmt_send_long_data"
    assert wrong_parameter(False).message == "Incorrect arguments to mysql_stmt_precheck"
    text = "Unknown prepared statement handler (7) given to "
    assert unknown_statement(7, COM_STMT_RESET, True).message == text + "mysqld_stmt_reset"
    assert unknown_statement(7, COM_STMT_RESET, False).message == text + "mysql_stmt_precheck"
    assert too_many_statements(5).wire(1)[4:13] == b"\xff\xb5\x05#42000"
