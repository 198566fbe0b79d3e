from __future__ import annotations

import pytest

from protocol import commands
from protocol.constants import Capability
from protocol.errors import RemoteProtocolError


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (commands.query(b"SELECT 1"), b"\x03SELECT 1"),
        (commands.init_db(b"shop"), b"\x02shop"),
        (commands.ping(), b"\x0e"),
        (commands.reset_connection(), b"\x1f"),
        (commands.stmt_prepare(b"DO ?"), b"\x16DO ?"),
        (commands.stmt_close(5), b"\x19\x05\0\0\0"),
        (commands.stmt_reset(5), b"\x1a\x05\0\0\0"),
    ],
)
def test_commands_are_laid_out_as_documented(built: bytes, expected: bytes) -> None:
    assert built == expected


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
