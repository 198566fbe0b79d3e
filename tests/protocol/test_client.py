"""We as a client: dialogues with a server whose packets are written out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol.auth import native_scramble, native_stage1, sha2_scramble, xor_password
from protocol.client import WANTED_CAPABILITIES, BackendEvent, ClientLogin, Connected, Refused, TlsWanted
from protocol.constants import Capability
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import frame, payload_of
from protocol.handshake import AuthMoreData, AuthSwitchRequest, HandshakeResponse41, HandshakeV10, SSLRequest
from protocol.packets import SessionChanges, build_err, build_ok

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "handshake.json").read_text())

C = Capability
NATIVE = b"mysql_native_password"
SHA2 = b"caching_sha2_password"
CLEAR = b"mysql_clear_password"
SHA256 = b"sha256_password"
NONCE = b"0123456789abcdefghij"
OTHER_NONCE = b"ABCDEFGHIJ0123456789"
SERVER = 0xDFFFFFFF
OK = build_ok(status=2)


def encrypt(pem: bytes, plain: bytes) -> bytes:
    """Stands in for RSA: shows what was to be encrypted, and with which key."""
    if not pem.startswith(b"key"):
        raise ValueError
    return b"<" + pem + b":" + plain + b">"


def client(
    password: bytes | None = b"secret",
    *,
    native_stage1: bytes | None = None,
    database: bytes | None = None,
    capabilities: int = WANTED_CAPABILITIES,
    tls: str = "disabled",
    is_secure: bool = False,
) -> ClientLogin:
    return ClientLogin(
        user=b"app",
        password=password,
        native_stage1=native_stage1,
        database=database,
        collation=45,
        capabilities=capabilities,
        attributes={b"_client_name": b"fanin"},
        tls=tls,
        is_secure=is_secure,
        encrypt=encrypt,
    )


def greeting(plugin: bytes = SHA2, capabilities: int = SERVER) -> bytes:
    return frame(HandshakeV10(b"8.4.3", 77, NONCE, capabilities, 255, 2, plugin).build(), 0)


def sent(login: ClientLogin, sequence_id: int) -> bytes:
    """The payload of the one packet that the login wants to send, with the id that it must have."""
    wire = login.take_output()
    assert wire[3] == sequence_id
    return payload_of(wire)


def response_to(login: ClientLogin, wire: bytes) -> HandshakeResponse41:
    assert login.receive(wire) is None
    return HandshakeResponse41.parse(sent(login, 1))


def connected(event: BackendEvent | None) -> Connected:
    assert isinstance(event, Connected)
    return event


def refused(event: BackendEvent | None) -> tuple[int, bytes, bytes]:
    assert isinstance(event, Refused)
    return event.code, event.sqlstate, event.message


def test_native_login() -> None:
    login = client()
    response = response_to(login, greeting(NATIVE))
    assert (response.user, response.plugin) == (b"app", NATIVE)
    assert response.auth_response == native_scramble(b"secret", NONCE)
    assert response.collation == 45
    assert response.attributes == {b"_client_name": b"fanin"}
    event = connected(login.receive(frame(OK, 2)))
    assert (event.server_version, event.connection_id, event.collation) == (b"8.4.3", 77, 255)
    assert (event.status, event.warnings, event.changes, event.is_tls) == (2, 0, None, False)
    assert event.capabilities == WANTED_CAPABILITIES & SERVER
    assert login.greeting is not None and login.greeting.plugin == NATIVE


def test_native_login_with_a_hash_alone() -> None:
    """Even when the server would rather have something else: it switches us if it wants."""
    for plugin in (NATIVE, SHA2):
        login = client(None, native_stage1=native_stage1(b"secret"))
        response = response_to(login, greeting(plugin))
        assert response.plugin == NATIVE
        assert response.auth_response == native_scramble(b"secret", NONCE)


def test_sha2_login_by_the_fast_path() -> None:
    login = client()
    response = response_to(login, greeting())
    assert response.plugin == SHA2
    assert response.auth_response == sha2_scramble(b"secret", NONCE)
    assert login.receive(frame(AuthMoreData(b"\x03").build(), 2)) is None
    assert login.take_output() == b""
    connected(login.receive(frame(OK, 3)))


def test_sha2_login_by_the_fast_path_in_one_chunk() -> None:
    login = client()
    response_to(login, greeting())
    connected(login.receive(frame(AuthMoreData(b"\x03").build(), 2) + frame(OK, 3)))


def test_login_byte_by_byte() -> None:
    login = client()
    for at in range(len(greeting())):
        assert login.receive(greeting()[at : at + 1]) is None
    assert login.take_output() != b""
    wire = frame(AuthMoreData(b"\x03").build(), 2) + frame(OK, 3)
    for at in range(len(wire) - 1):
        assert login.receive(wire[at : at + 1]) is None
    connected(login.receive(wire[-1:]))


def test_sha2_login_by_public_key() -> None:
    login = client()
    response_to(login, greeting())
    assert login.receive(frame(AuthMoreData(b"\x04").build(), 2)) is None
    assert sent(login, 3) == b"\x02"
    assert login.receive(frame(AuthMoreData(b"key").build(), 4)) is None
    assert sent(login, 5) == b"<key:" + xor_password(b"secret", NONCE) + b">"
    connected(login.receive(frame(OK, 6)))


def test_sha2_login_over_a_unix_socket_sends_the_password() -> None:
    login = client(is_secure=True, tls="preferred")
    response_to(login, greeting())
    assert login.receive(frame(AuthMoreData(b"\x04").build(), 2)) is None
    assert sent(login, 3) == b"secret\0"
    connected(login.receive(frame(OK, 4)))


@pytest.mark.parametrize("tls", ["preferred", "required"])
def test_sha2_login_over_tls_sends_the_password(tls: str) -> None:
    login = client(tls=tls, database=b"shop")
    assert isinstance(login.receive(greeting()), TlsWanted)
    request = SSLRequest.parse(sent(login, 1))
    login.tls_started()
    response = HandshakeResponse41.parse(sent(login, 2))
    assert request.capabilities == response.capabilities == login.capabilities
    assert login.capabilities & C.SSL and login.capabilities & C.CONNECT_WITH_DB
    assert response.database == b"shop"
    assert login.receive(frame(AuthMoreData(b"\x04").build(), 3)) is None
    assert sent(login, 4) == b"secret\0"
    assert connected(login.receive(frame(OK, 5))).is_tls


def test_preferred_tls_does_without_where_it_is_not_offered() -> None:
    login = client(tls="preferred")
    response = response_to(login, greeting(capabilities=SERVER & ~C.SSL))
    assert not response.capabilities & C.SSL


def test_required_tls_that_is_not_offered_is_an_error_of_our_own() -> None:
    login = client(tls="required")
    event = login.receive(greeting(capabilities=SERVER & ~C.SSL))
    assert refused(event) == (2026, b"HY000", b"SSL connection error: the server does not offer TLS")
    assert login.take_output() == b""


def test_required_tls_is_used_on_a_unix_socket_too() -> None:
    assert isinstance(client(tls="required", is_secure=True).receive(greeting()), TlsWanted)


def test_bytes_in_clear_after_the_greeting_are_not_taken_for_encrypted_ones() -> None:
    login = client(tls="required")
    with pytest.raises(RemoteProtocolError, match="before TLS"):
        login.receive(greeting() + frame(OK, 2))


def test_unknown_mode_of_tls_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        client(tls="verify")


@pytest.mark.parametrize("plugin", [NATIVE, SHA2])
def test_empty_password_has_an_empty_response(plugin: bytes) -> None:
    login = client(b"")
    response = response_to(login, greeting(plugin))
    assert (response.plugin, response.auth_response) == (plugin, b"")
    connected(login.receive(frame(OK, 2)))


def test_no_password_at_all_is_the_empty_one() -> None:
    response = response_to(client(None), greeting())
    assert (response.plugin, response.auth_response) == (SHA2, b"")


@pytest.mark.parametrize(("plugin", "expected"), [(NATIVE, b""), (SHA2, b"\x00")])
def test_empty_password_after_a_switch(plugin: bytes, expected: bytes) -> None:
    login = client(b"")
    response_to(login, greeting(b"client_ed25519"))
    assert login.receive(frame(AuthSwitchRequest(plugin, OTHER_NONCE).build(), 2)) is None
    assert sent(login, 3) == expected


def test_greeting_of_an_unknown_plugin_is_answered_with_the_native_one() -> None:
    login = client()
    response = response_to(login, greeting(b"client_ed25519"))
    assert (response.plugin, response.auth_response) == (NATIVE, native_scramble(b"secret", NONCE))


def test_greeting_without_plugins_means_the_native_one() -> None:
    login = client()
    response = response_to(login, greeting(b"", SERVER & ~C.PLUGIN_AUTH))
    assert (response.plugin, response.auth_response) == (None, native_scramble(b"secret", NONCE))
    connected(login.receive(frame(OK, 2)))


def test_clear_password_of_the_greeting_is_only_sent_where_nobody_can_listen() -> None:
    assert response_to(client(is_secure=True), greeting(CLEAR)).auth_response == b"secret\0"
    response = response_to(client(), greeting(CLEAR))
    assert (response.plugin, response.auth_response) == (NATIVE, native_scramble(b"secret", NONCE))


@pytest.mark.parametrize(
    ("plugin", "expected"),
    [(NATIVE, native_scramble(b"secret", OTHER_NONCE)), (SHA2, sha2_scramble(b"secret", OTHER_NONCE))],
)
def test_switch_of_plugin_is_answered_with_the_new_nonce(plugin: bytes, expected: bytes) -> None:
    login = client()
    response_to(login, greeting())
    assert login.receive(frame(AuthSwitchRequest(plugin, OTHER_NONCE).build(), 2)) is None
    assert sent(login, 3) == expected
    connected(login.receive(frame(OK, 4)))


def test_full_authentication_after_a_switch_uses_its_nonce() -> None:
    login = client()
    response_to(login, greeting(NATIVE))
    login.receive(frame(AuthSwitchRequest(SHA2, OTHER_NONCE).build(), 2))
    login.take_output()
    login.receive(frame(AuthMoreData(b"\x04").build(), 4))
    assert sent(login, 5) == b"\x02"
    login.receive(frame(AuthMoreData(b"key").build(), 6))
    assert sent(login, 7) == b"<key:" + xor_password(b"secret", OTHER_NONCE) + b">"


def test_switch_to_clear_password_is_followed_over_a_secure_transport() -> None:
    login = client(is_secure=True)
    response_to(login, greeting())
    assert login.receive(frame(AuthSwitchRequest(CLEAR, b"").build(), 2)) is None
    assert sent(login, 3) == b"secret\0"


def test_switch_to_clear_password_is_refused_where_somebody_could_listen() -> None:
    login = client()
    response_to(login, greeting())
    event = login.receive(frame(AuthSwitchRequest(CLEAR, b"").build(), 2))
    assert refused(event) == (
        2061,
        b"HY000",
        b"Authentication plugin 'mysql_clear_password' reported error: Authentication requires secure connection.",
    )
    assert login.take_output() == b""


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (AuthSwitchRequest(b"client_ed25519", NONCE).build(), b"client_ed25519"),
        (b"\xfe", b"mysql_old_password"),
    ],
)
def test_switch_to_a_plugin_that_we_lack_is_refused(payload: bytes, name: bytes) -> None:
    login = client()
    response_to(login, greeting())
    code, sqlstate, message = refused(login.receive(frame(payload, 2)))
    assert (code, sqlstate) == (2059, b"HY000")
    assert message == b"Authentication plugin '" + name + b"' cannot be loaded: not supported"


def test_hash_alone_is_not_enough_for_a_switch_to_sha2() -> None:
    login = client(None, native_stage1=native_stage1(b"secret"))
    response_to(login, greeting(NATIVE))
    code, _, message = refused(login.receive(frame(AuthSwitchRequest(SHA2, NONCE).build(), 2)))
    assert code == 2061
    assert b"only a mysql_native_password hash is known" in message


def switched_to_sha256(login: ClientLogin) -> bytes:
    """What the login answers to a switch to sha256_password."""
    response_to(login, greeting())
    assert login.receive(frame(AuthSwitchRequest(SHA256, OTHER_NONCE).build(), 2)) is None
    return sent(login, 3)


def test_sha256_login_by_public_key() -> None:
    login = client()
    assert switched_to_sha256(login) == b"\x01"
    assert login.receive(frame(AuthMoreData(b"key").build(), 4)) is None
    assert sent(login, 5) == b"<key:" + xor_password(b"secret", OTHER_NONCE) + b">"
    connected(login.receive(frame(OK, 6)))


def test_sha256_login_with_a_bad_key_is_refused() -> None:
    login = client()
    switched_to_sha256(login)
    code, _, message = refused(login.receive(frame(AuthMoreData(b"garbage").build(), 4)))
    assert (code, message[:40]) == (2061, b"Authentication plugin 'sha256_password' ")


@pytest.mark.parametrize(("password", "is_secure"), [(b"secret", True), (b"", False)])
def test_sha256_login_without_a_key(password: bytes, is_secure: bool) -> None:
    login = client(password, is_secure=is_secure)
    assert switched_to_sha256(login) == password + b"\0"
    with pytest.raises(RemoteProtocolError, match="has none"):
        login.receive(frame(AuthMoreData(b"key").build(), 4))


def test_public_key_that_cannot_be_used_is_refused_without_the_password() -> None:
    login = client()
    response_to(login, greeting())
    login.receive(frame(AuthMoreData(b"\x04").build(), 2))
    login.take_output()
    code, _, message = refused(login.receive(frame(AuthMoreData(b"garbage").build(), 4)))
    assert code == 2061
    assert message.endswith(b"the server's public key cannot be used")
    assert login.take_output() == b""


def test_error_instead_of_the_greeting_has_no_sqlstate() -> None:
    event = client().receive(frame(build_err(1040, None, b"Too many connections", before_handshake=True), 0))
    assert refused(event) == (1040, b"", b"Too many connections")


def test_error_after_the_response() -> None:
    login = client()
    response_to(login, greeting())
    event = login.receive(frame(build_err(1045, None, b"Access denied"), 2))
    assert refused(event) == (1045, b"28000", b"Access denied")


def test_error_while_the_key_is_awaited() -> None:
    login = client()
    response_to(login, greeting())
    login.receive(frame(AuthMoreData(b"\x04").build(), 2))
    assert refused(login.receive(frame(build_err(1045, None, b"Access denied"), 4)))[0] == 1045


def test_trackers_in_the_first_ok_are_reported() -> None:
    login = client()
    response_to(login, greeting())
    changes = SessionChanges(variables=[(b"character_set_client", b"utf8mb4")], schema=b"shop")
    event = connected(login.receive(frame(build_ok(status=2, changes=changes), 2)))
    assert event.changes == changes


def test_only_what_is_wanted_and_offered_is_agreed() -> None:
    login = client(
        capabilities=WANTED_CAPABILITIES | C.FOUND_ROWS | C.COMPRESS | C.MULTI_FACTOR_AUTHENTICATION
    )
    response = response_to(login, greeting(capabilities=SERVER & ~C.DEPRECATE_EOF))
    assert response.capabilities == login.capabilities
    assert login.capabilities == WANTED_CAPABILITIES & ~C.DEPRECATE_EOF | C.FOUND_ROWS


def test_schema_is_only_named_to_a_server_that_knows_of_it() -> None:
    login = client(database=b"shop")
    assert response_to(login, greeting(capabilities=SERVER & ~C.CONNECT_WITH_DB)).database is None


@pytest.mark.parametrize("vector", VECTORS["greetings"], ids=lambda v: v["comment"])
def test_recorded_greeting_is_answered(vector: dict[str, str]) -> None:
    login = client()
    response = response_to(login, frame(bytes.fromhex(vector["payload"]), 0))
    assert response.plugin == vector["plugin"].encode()
    # bit 0 is set although MariaDB's greeting lacks it: its extended capabilities are out of the question
    assert response.capabilities == WANTED_CAPABILITIES


@pytest.mark.parametrize("missing", [C.PROTOCOL_41, C.SECURE_CONNECTION])
def test_server_from_before_mysql_41_is_a_bad_handshake(missing: int) -> None:
    head = (
        b"\x0a4.0\0"
        + bytes(4)
        + b"12345678\0"
        + ((C.PROTOCOL_41 | C.SECURE_CONNECTION) & ~missing).to_bytes(2, "little")
    )
    with pytest.raises(RemoteProtocolError, match=r"before MySQL 4\.1"):
        client().receive(frame(head, 0))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x02next factor",
        b"\x01\x05",
        b"\x01",
        AuthSwitchRequest(SHA2, b"short").build(),
        OK[:-1],
        b"\xff",
    ],
)
def test_what_does_not_belong_into_a_login_ends_it(payload: bytes) -> None:
    login = client()
    response_to(login, greeting())
    with pytest.raises(RemoteProtocolError):
        login.receive(frame(payload, 2))
    with pytest.raises(LocalProtocolError):
        login.next_event()


def test_message_for_a_plugin_without_messages_ends_the_login() -> None:
    login = client()
    response_to(login, greeting(NATIVE))
    with pytest.raises(RemoteProtocolError):
        login.receive(frame(AuthMoreData(b"\x04").build(), 2))


def test_switch_while_the_key_is_awaited_ends_the_login() -> None:
    login = client()
    response_to(login, greeting())
    login.receive(frame(AuthMoreData(b"\x04").build(), 2))
    with pytest.raises(RemoteProtocolError):
        login.receive(frame(AuthSwitchRequest(NATIVE, NONCE).build(), 4))


def test_wrong_sequence_id_ends_the_login() -> None:
    login = client()
    response_to(login, greeting())
    with pytest.raises(RemoteProtocolError) as caught:
        login.receive(frame(OK, 3))
    assert caught.value.code == 1156


def test_bytes_after_the_ok_end_the_login() -> None:
    login = client()
    response_to(login, greeting())
    with pytest.raises(RemoteProtocolError, match="after the end"):
        login.receive(frame(OK, 2) + b"x")


def test_calls_out_of_turn_are_our_mistake() -> None:
    login = client(tls="required")
    with pytest.raises(LocalProtocolError):
        login.tls_started()
    login.receive(greeting())
    with pytest.raises(LocalProtocolError):
        login.receive(frame(OK, 2))
    login.tls_started()
    with pytest.raises(LocalProtocolError):
        login.tls_started()


def test_login_shows_nothing() -> None:
    assert "secret" not in repr(client())
