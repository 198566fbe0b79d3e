from __future__ import annotations

import pytest

from protocol import commands
from protocol.constants import Capability, CursorType
from protocol.errors import LocalProtocolError, RemoteProtocolError


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (commands.query(b"SELECT 1"), b"\x03SELECT 1"),
        (commands.init_db(b"shop"), b"\x02shop"),
        (commands.ping(), b"\x0e"),
        (commands.quit_(), b"\x01"),
        (commands.reset_connection(), b"\x1f"),
        (commands.statistics(), b"\x09"),
        (commands.set_option(True), b"\x1b\0\0"),
        (commands.set_option(False), b"\x1b\x01\0"),
        (commands.process_kill(0x01020304), b"\x0c\x04\x03\x02\x01"),
        (commands.field_list(b"t", b"a%"), b"\x04t\0a%"),
        (commands.stmt_prepare(b"DO ?"), b"\x16DO ?"),
        (commands.stmt_close(5), b"\x19\x05\0\0\0"),
        (commands.stmt_reset(5), b"\x1a\x05\0\0\0"),
        (commands.stmt_fetch(5, 258), b"\x1c\x05\0\0\0\x02\x01\0\0"),
    ],
)
def test_commands_are_laid_out_as_documented(built: bytes, expected: bytes) -> None:
    assert built == expected


def test_the_name_of_a_table_has_no_nul() -> None:
    with pytest.raises(LocalProtocolError):
        commands.field_list(b"a\0b")


def test_statement_ids_are_read_and_replaced() -> None:
    payload = commands.stmt_fetch(7, 10)
    assert commands.parse_statement_id(payload) == 7
    assert commands.parse_stmt_fetch(payload) == (7, 10)
    assert commands.with_statement_id(payload, 70000) == commands.stmt_fetch(70000, 10)
    assert commands.parse_statement_id(commands.stmt_close(commands.LAST_STATEMENT)) == 0xFFFFFFFF


def test_options_and_connection_ids_are_read() -> None:
    assert commands.parse_set_option(commands.set_option(False)) == 1
    assert commands.parse_process_kill(commands.process_kill(77)) == 77


def test_cut_commands_are_refused() -> None:
    for read in (
        commands.parse_statement_id,
        commands.parse_stmt_fetch,
        commands.parse_process_kill,
        commands.parse_set_option,
        commands.parse_send_long_data,
    ):
        with pytest.raises(RemoteProtocolError):
            read(b"\x1c\x01")
    with pytest.raises(RemoteProtocolError):
        commands.with_statement_id(b"\x19\x01\0\0", 1)


# ------------------------------------------------------------------------------------------------------------ execute


def test_an_execution_without_parameters_both_ways() -> None:
    payload = b"\x17\x05\0\0\0\x01\x01\0\0\0"
    execute = commands.parse_stmt_execute(payload, 0)
    assert (execute.statement_id, execute.iterations) == (5, 1)
    assert execute.cursor_type == CursorType.READ_ONLY
    assert execute.build() == payload


@pytest.mark.parametrize(("num_params", "nulls"), [(1, b"\0"), (8, b"\0"), (9, b"\0\x01")])
def test_an_execution_with_types_both_ways(num_params: int, nulls: bytes) -> None:
    types = b"\x03\x80" * num_params
    payload = b"\x17\x05\0\0\0\0\x01\0\0\0" + nulls + b"\x01" + types + b"values"
    execute = commands.parse_stmt_execute(payload, num_params)
    assert execute.new_params_bound
    assert (execute.nulls, execute.types, execute.values) == (nulls, types, b"values")
    assert execute.build() == payload


def test_a_repeated_execution_has_no_types() -> None:
    payload = b"\x17\x05\0\0\0\0\x01\0\0\0" + b"\0" + b"\0" + b"values"
    execute = commands.parse_stmt_execute(payload, 2)
    assert not execute.new_params_bound and execute.types == b"" and execute.values == b"values"
    assert execute.build() == payload


@pytest.mark.parametrize("size", [1, 4, 5, 9, 10, 11, 13])
def test_cut_executions_are_refused(size: int) -> None:
    payload = (b"\x17\x05\0\0\0\0\x01\0\0\0" + b"\0" + b"\x01" + b"\x03\x00\x03\x00")[:size]
    with pytest.raises(RemoteProtocolError):
        commands.parse_stmt_execute(payload, 2)


def test_long_data_is_read() -> None:
    long_data = commands.parse_send_long_data(b"\x18\x05\0\0\0\x02\0content")
    assert (long_data.statement_id, long_data.parameter, long_data.content) == (5, 2, b"content")


# -------------------------------------------------------------------------------------------------------- change user

MODERN = int(Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH | Capability.CONNECT_ATTRS)
USER = b"\x11ann\0"


def test_a_change_of_user_is_read_in_full() -> None:
    payload = USER + b"\x03abc" + b"shop\0" + b"\x2d\0" + b"caching_sha2_password\0" + b"\x08\x03_os\x03bsd"
    change = commands.parse_change_user(payload, MODERN)
    assert (change.user, change.auth_response, change.database) == (b"ann", b"abc", b"shop")
    assert (change.collation, change.plugin) == (45, b"caching_sha2_password")
    assert change.attributes == {b"_os": b"bsd"}


@pytest.mark.parametrize(
    ("rest", "collation", "plugin"),
    [(b"", 0, b""), (b"\x21\0", 33, b""), (b"\x21\0mysql_native_password\0", 33, b"mysql_native_password")],
)
def test_the_end_of_a_change_of_user_is_optional(rest: bytes, collation: int, plugin: bytes) -> None:
    change = commands.parse_change_user(USER + b"\0" + b"\0" + rest, MODERN)
    assert change.database is None and change.auth_response == b""
    assert (change.collation, change.plugin, change.attributes) == (collation, plugin, {})


def test_old_clients_end_their_response_in_a_nul() -> None:
    change = commands.parse_change_user(USER + b"scramble\0" + b"shop\0" + b"\x08\0??", 0)
    assert (change.auth_response, change.database, change.collation) == (b"scramble", b"shop", 8)
    assert (change.plugin, change.attributes) == (b"", {})


@pytest.mark.parametrize(
    "rest", [b"", b"\x05abc", b"\x00shop", b"\x00\0\x21", b"\x00\0\x21\0plugin", b"\x00\0\x21\0\0\x05\x01a"]
)
def test_cut_changes_of_user_are_refused(rest: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        commands.parse_change_user(USER + rest, MODERN)
