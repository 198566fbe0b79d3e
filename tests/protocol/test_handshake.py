"""Payloads of the connection phase: recorded ones both ways, every layout, and what is wrong with a cut one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol.constants import Capability
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.handshake import (
    OLD_PASSWORD,
    AuthMoreData,
    AuthSwitchRequest,
    HandshakeResponse41,
    HandshakeV10,
    SSLRequest,
    is_ssl_request,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "handshake.json").read_text())

C = Capability
MYSQL = C.LONG_PASSWORD | C.PROTOCOL_41 | C.SECURE_CONNECTION | C.PLUGIN_AUTH
NONCE = b"0123456789abcdefghij"


def greeting(capabilities: int = MYSQL, plugin: bytes = b"caching_sha2_password") -> HandshakeV10:
    return HandshakeV10(b"8.4.3", 77, NONCE, capabilities, 255, 2, plugin)


def greeting_fields(g: HandshakeV10) -> tuple[object, ...]:
    return (g.server_version, g.connection_id, g.nonce, g.capabilities, g.collation, g.status, g.plugin)


def response_fields(r: HandshakeResponse41) -> tuple[object, ...]:
    return (
        r.capabilities,
        r.max_packet,
        r.collation,
        r.user,
        r.auth_response,
        r.database,
        r.plugin,
        r.attributes,
        r.zstd_level,
    )


@pytest.mark.parametrize("vector", VECTORS["greetings"], ids=lambda v: v["comment"])
def test_recorded_greeting_is_read_and_written_again(vector: dict[str, str]) -> None:
    payload = bytes.fromhex(vector["payload"])
    parsed = HandshakeV10.parse(payload)
    assert parsed.server_version.decode() == vector["server_version"]
    assert parsed.plugin.decode() == vector["plugin"]
    assert f"{parsed.capabilities:#x}" == vector["capabilities"]
    assert len(parsed.nonce) == 20
    assert parsed.build() == payload


@pytest.mark.parametrize("vector", VECTORS["responses"], ids=lambda v: v["comment"])
def test_recorded_response_is_read_and_written_again(vector: dict[str, str]) -> None:
    payload = bytes.fromhex(vector["payload"])
    parsed = HandshakeResponse41.parse(payload)
    assert parsed.user.decode() == vector["user"]
    assert (parsed.plugin or b"").decode() == vector["plugin"]
    assert (parsed.database or b"").decode() == vector["database"]
    assert parsed.build() == payload


@pytest.mark.parametrize("vector", VECTORS["ssl_requests"], ids=lambda v: v["comment"])
def test_recorded_request_for_tls_is_read_and_written_again(vector: dict[str, str]) -> None:
    payload = bytes.fromhex(vector["payload"])
    assert is_ssl_request(payload)
    assert SSLRequest.parse(payload).build() == payload


@pytest.mark.parametrize("vector", VECTORS["switches"], ids=lambda v: v["comment"])
def test_recorded_switch_of_plugin_is_read_and_written_again(vector: dict[str, str]) -> None:
    payload = bytes.fromhex(vector["payload"])
    parsed = AuthSwitchRequest.parse(payload)
    assert parsed.plugin.decode() == vector["plugin"]
    assert len(parsed.nonce) == 20
    assert parsed.build() == payload


def test_greeting_of_mariadb_keeps_its_extended_capabilities() -> None:
    capabilities = MYSQL & ~C.LONG_PASSWORD | C.MARIADB_STMT_BULK_OPERATIONS | C.MARIADB_CACHE_METADATA
    assert HandshakeV10.parse(greeting(capabilities).build()).capabilities == capabilities


def test_extended_capabilities_are_mariadbs_alone() -> None:
    """With bit 0 set the four bytes are reserved, in a greeting as in a response."""
    assert HandshakeV10.parse(greeting(MYSQL | C.MARIADB_PROGRESS).build()).capabilities == MYSQL
    response = HandshakeResponse41(MYSQL | C.MARIADB_PROGRESS, 1, 8, b"u", b"")
    assert HandshakeResponse41.parse(response.build()).capabilities == MYSQL


def test_greeting_without_plugins_has_a_nonce_of_twenty_bytes_all_the_same() -> None:
    parsed = HandshakeV10.parse(greeting(MYSQL & ~C.PLUGIN_AUTH, b"").build())
    assert (parsed.nonce, parsed.plugin) == (NONCE, b"")


def test_greeting_whose_plugin_lacks_its_nul_is_read() -> None:
    assert HandshakeV10.parse(greeting().build()[:-1]).plugin == b"caching_sha2_password"


def test_greeting_from_before_secure_connection_has_eight_bytes_of_nonce() -> None:
    head = b"\x0a4.0\0" + bytes(4) + b"12345678\0" + (0x0200).to_bytes(2, "little")
    assert greeting_fields(HandshakeV10.parse(head)) == (b"4.0", 0, b"12345678", 0x0200, 0, 0, b"")
    longer = head + b"\x08\x02\x00\x00\x00\x00" + bytes(10)
    assert greeting_fields(HandshakeV10.parse(longer)) == (b"4.0", 0, b"12345678", 0x0200, 8, 2, b"")


def test_greeting_that_is_cut_off_is_a_bad_handshake() -> None:
    payload = greeting().build()
    end_of_nonce = payload.index(NONCE[8:]) + 13
    short_form = payload.index(NONCE[:8]) + 8 + 1 + 2
    for end in range(end_of_nonce):
        if end != short_form:
            with pytest.raises(RemoteProtocolError) as caught:
                HandshakeV10.parse(payload[:end])
            assert caught.value.code == 1043


def test_greeting_of_another_protocol_version_is_a_bad_handshake() -> None:
    with pytest.raises(RemoteProtocolError, match="protocol version 9 instead of 10"):
        HandshakeV10.parse(b"\x09" + greeting().build()[1:])


@pytest.mark.parametrize(
    "wrong",
    [
        HandshakeV10(b"8", 1, b"short", MYSQL, 8, 2, b"x"),
        HandshakeV10(b"8", 1, NONCE, MYSQL & ~C.SECURE_CONNECTION, 8, 2, b"x"),
        HandshakeV10(b"8\0", 1, NONCE, MYSQL, 8, 2, b"x"),
    ],
)
def test_greeting_that_nobody_could_read_is_not_written(wrong: HandshakeV10) -> None:
    with pytest.raises(LocalProtocolError):
        wrong.build()


RESPONSES = [
    HandshakeResponse41(
        MYSQL | C.PLUGIN_AUTH_LENENC_CLIENT_DATA | C.CONNECT_WITH_DB | C.CONNECT_ATTRS,
        1 << 24,
        45,
        b"app",
        bytes(range(20)),
        b"shop",
        b"mysql_native_password",
        {b"_client_name": b"fanin", b"empty": b""},
    ),
    HandshakeResponse41(MYSQL, 1, 8, b"app", bytes(range(32)), None, b"caching_sha2_password"),
    HandshakeResponse41(C.LONG_PASSWORD | C.SECURE_CONNECTION, 1, 8, b"app", b"\0" * 20),
    HandshakeResponse41(C.LONG_PASSWORD, 1, 8, b"app", b"response"),
    HandshakeResponse41(C.LONG_PASSWORD | C.CONNECT_WITH_DB, 1, 8, b"", b"", b""),
    HandshakeResponse41(MYSQL | C.ZSTD_COMPRESSION_ALGORITHM, 1, 8, b"app", b"x", None, b"p", zstd_level=3),
    HandshakeResponse41(
        MYSQL & ~C.LONG_PASSWORD | C.MARIADB_STMT_BULK_OPERATIONS, 1, 8, b"app", b"x", None, b"client_ed25519"
    ),
    HandshakeResponse41(
        MYSQL | C.PLUGIN_AUTH_LENENC_CLIENT_DATA, 1, 8, b"app", b"long " * 100, None, b"mysql_clear_password"
    ),
]


@pytest.mark.parametrize("response", RESPONSES)
def test_response_is_read_as_it_was_written_in_every_layout(response: HandshakeResponse41) -> None:
    assert response_fields(HandshakeResponse41.parse(response.build())) == response_fields(response)


@pytest.mark.parametrize("response", RESPONSES)
def test_response_that_is_cut_off_is_a_bad_handshake(response: HandshakeResponse41) -> None:
    payload = response.build()
    # An unfinished name of a plugin at the very end counts as empty: see the next test.
    has_open_end = response.capabilities & C.PLUGIN_AUTH and not response.capabilities & (
        C.CONNECT_ATTRS | C.ZSTD_COMPRESSION_ALGORITHM
    )
    end = len(payload) - len(response.plugin or b"") - 1 if has_open_end else len(payload)
    for cut in range(end):
        with pytest.raises(RemoteProtocolError) as caught:
            HandshakeResponse41.parse(payload[:cut])
        assert caught.value.code == 1043


def test_response_whose_plugin_has_no_end_names_none() -> None:
    payload = RESPONSES[1].build()
    assert HandshakeResponse41.parse(payload[:-1]).plugin == b""
    assert HandshakeResponse41.parse(payload[: -len(b"caching_sha2_password") - 1]).plugin == b""


def test_response_from_before_mysql_41_gets_an_error_of_its_own() -> None:
    old = bytes.fromhex("85240000006f6c6400475344435159525f")  # example in Protocol::HandshakeResponse320
    with pytest.raises(RemoteProtocolError) as caught:
        HandshakeResponse41.parse(old)
    assert caught.value.code == 1251


def test_attributes_that_do_not_add_up_are_dropped() -> None:
    response = HandshakeResponse41(C.CONNECT_ATTRS, 1, 8, b"u", b"", attributes={b"a": b"b"})
    payload = response.build()
    broken = payload[:-5] + b"\x05\x01a\x01b\x09"
    assert HandshakeResponse41.parse(broken).attributes == {b"a": b"b"}


def test_too_many_attributes_are_a_bad_handshake() -> None:
    response = HandshakeResponse41(C.CONNECT_ATTRS, 1, 8, b"u", b"", attributes={b"a": bytes(65536)})
    with pytest.raises(RemoteProtocolError, match="65535 bytes of connection attributes") as caught:
        HandshakeResponse41.parse(response.build())
    assert caught.value.code == 1043


@pytest.mark.parametrize(
    "wrong",
    [
        HandshakeResponse41(C.LONG_PASSWORD, 1, 8, b"app", b"with a NUL\0"),
        HandshakeResponse41(C.SECURE_CONNECTION, 1, 8, b"app", bytes(256)),
        HandshakeResponse41(C.SECURE_CONNECTION, 1, 8, b"app\0", b""),
    ],
)
def test_response_that_its_layout_cannot_carry_is_not_written(wrong: HandshakeResponse41) -> None:
    with pytest.raises(LocalProtocolError):
        wrong.build()


def test_request_for_tls_is_the_head_of_a_response() -> None:
    request = SSLRequest(MYSQL | C.SSL, 1 << 24, 45)
    payload = request.build()
    assert len(payload) == 32
    parsed = SSLRequest.parse(payload + b"app\0...")
    assert (parsed.capabilities, parsed.max_packet, parsed.collation) == (MYSQL | C.SSL, 1 << 24, 45)


def test_request_for_tls_carries_mariadbs_capabilities() -> None:
    capabilities = C.SSL | C.PROTOCOL_41 | C.MARIADB_CACHE_METADATA
    assert SSLRequest.parse(SSLRequest(capabilities, 1, 8).build()).capabilities == capabilities


@pytest.mark.parametrize(
    "payload", [b"", b"\x00", SSLRequest(C.SSL, 1, 8).build()[:31], RESPONSES[0].build()]
)
def test_what_does_not_ask_for_tls_is_a_bad_handshake(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SSLRequest.parse(payload)
    assert caught.value.code == 1043


def test_switch_of_plugin_is_read_as_it_was_written() -> None:
    parsed = AuthSwitchRequest.parse(AuthSwitchRequest(b"mysql_native_password", NONCE).build())
    assert (parsed.plugin, parsed.nonce) == (b"mysql_native_password", NONCE)


def test_old_switch_of_plugin_means_old_passwords() -> None:
    parsed = AuthSwitchRequest.parse(b"\xfe")
    assert (parsed.plugin, parsed.nonce) == (OLD_PASSWORD, b"")


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xfeno end"])
def test_what_is_no_switch_of_plugin_is_a_bad_handshake(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        AuthSwitchRequest.parse(payload)
    assert caught.value.code == 1043


def test_message_of_a_plugin_is_read_as_it_was_written() -> None:
    assert AuthMoreData.parse(AuthMoreData(b"\x04").build()).content == b"\x04"


@pytest.mark.parametrize("payload", [b"", b"\x04"])
def test_what_is_no_message_of_a_plugin_is_a_bad_handshake(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        AuthMoreData.parse(payload)
    assert caught.value.code == 1043


def test_nothing_secret_shows() -> None:
    for thing in (RESPONSES[0], greeting(), AuthSwitchRequest(b"p", NONCE), AuthMoreData(b"secret")):
        assert "0123" not in repr(thing) and "secret" not in repr(thing) and "x01" not in repr(thing)
