"""We as a server: dialogues with clients, our own client role among them, and what each may do wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from protocol.auth import (
    Verifier,
    native_scramble,
    native_stage1,
    native_stage2,
    sha2_double_digest,
    sha2_scramble,
    xor_password,
)
from protocol.client import WANTED_CAPABILITIES, ClientLogin, Connected, Refused, TlsWanted
from protocol.constants import Capability
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import PacketReader, frame, payload_of
from protocol.handshake import (
    LOGIN_LIMIT,
    AuthSwitchRequest,
    HandshakeResponse41,
    HandshakeV10,
    SSLRequest,
)
from protocol.packets import parse_err, parse_ok
from protocol.server import (
    OFFERED_CAPABILITIES,
    LoginEvent,
    LoginRequested,
    PasswordReceived,
    Rejected,
    RejectReason,
    ServerLogin,
    TlsRequested,
    Verified,
)
from protocol.session_track import SessionChanges, parse_changes
from protocol.wire import lenenc_bytes, uint16

C = Capability
NATIVE = b"mysql_native_password"
SHA2 = b"caching_sha2_password"
CLEAR = b"mysql_clear_password"
NONCE = b"0123456789abcdefghij"
KNOWN = Verifier.of_password(b"secret")
NATIVE_ONLY = Verifier(None, native_stage2(b"secret"))
SHA2_ONLY = Verifier(sha2_double_digest(b"secret"), None)
PLAIN = int(WANTED_CAPABILITIES)


def encrypt(pem: bytes, plain: bytes) -> bytes:
    return b"<" + pem + b":" + plain + b">"


def decrypt(secret: bytes) -> bytes:
    """Undoes `encrypt`, which stands in for RSA."""
    if not secret.startswith(b"<key:"):
        raise ValueError
    return secret[5:-1]


def server(
    *,
    capabilities: int = OFFERED_CAPABILITIES,
    nonce: bytes = NONCE,
    is_secure: bool = False,
    offers_tls: bool = False,
    requires_tls: bool = False,
    has_key: bool = True,
    limit: int = LOGIN_LIMIT,
    takes_clear_password: bool = False,
) -> ServerLogin:
    return ServerLogin(
        connection_id=0x80000001,
        server_version=b"8.4.3",
        charset=255,
        status=2,
        capabilities=capabilities,
        nonce=nonce,
        is_secure=is_secure,
        offers_tls=offers_tls,
        requires_tls=requires_tls,
        public_key_pem=b"key" if has_key else None,
        decrypt=decrypt if has_key else None,
        limit=limit,
        takes_clear_password=takes_clear_password,
    )


def response(
    plugin: bytes | None = SHA2,
    auth_response: bytes = b"",
    *,
    capabilities: int = PLAIN,
    database: bytes | None = None,
    user: bytes = b"app",
) -> bytes:
    if plugin is None:
        capabilities &= ~C.PLUGIN_AUTH
    if database is not None:
        capabilities |= C.CONNECT_WITH_DB
    attributes = {b"program_name": b"shop"}
    return HandshakeResponse41(
        capabilities, 1 << 24, 45, user, auth_response, database, plugin, attributes
    ).build()


def greeted(**kwargs: object) -> ServerLogin:
    login = server(**kwargs)  # type: ignore[arg-type]
    login.greeting()
    return login


def asked(login: ServerLogin, payload: bytes, sequence_id: int = 2) -> LoginRequested:
    event = login.receive(payload, sequence_id)
    assert isinstance(event, LoginRequested)
    assert login.request is event
    return event


def sent(login: ServerLogin, sequence_id: int) -> bytes:
    """The payload of the one packet that has to be sent, with the id that it must have."""
    wire = login.take_output()
    assert wire[3] == sequence_id
    assert login.sequence_id == sequence_id + 1
    return payload_of(wire)


def switched_to(login: ServerLogin, sequence_id: int = 2) -> bytes:
    request = AuthSwitchRequest.parse(sent(login, sequence_id))
    assert request.nonce == NONCE
    return request.plugin


def password_of(event: LoginEvent | None) -> bytes:
    assert isinstance(event, PasswordReceived)
    return event.password


def reason_of(event: LoginEvent | None) -> RejectReason:
    assert isinstance(event, Rejected)
    assert b"secret" not in event.message
    return event.reason


# ------------------------------------------------------------------------------------------------ both of our roles


class Dialogue:
    """A client and a server of ours, and in between the shell's part of the work."""

    def __init__(
        self, client: ClientLogin, server: ServerLogin, verifier: Verifier | None, password: bytes
    ) -> None:
        self.client = client
        self.server = server
        self.verifier = verifier
        self.password = password
        # What the server learnt: the password itself, a stage1, or nothing but that the fast path worked.
        self.learnt: object = None
        self.outcome: Connected | Refused | None = None
        self.reader = PacketReader(LOGIN_LIMIT, 1)

    def run(self) -> None:
        to_client = self.server.greeting()
        while self.outcome is None:
            event = self.client.receive(to_client)
            to_client = b""
            while event is None or isinstance(event, TlsWanted):
                to_client = self.answer(self.client.take_output())
                if isinstance(event, TlsWanted):
                    self.client.tls_started()
                    self.server.tls_started()
                    event = None
                else:
                    break
            if isinstance(event, (Connected, Refused)):
                self.outcome = event

    def answer(self, chunk: bytes) -> bytes:
        """What the server sends for this chunk."""
        self.reader.feed(chunk)
        payload = self.reader.next_payload()
        assert payload is not None and self.reader.next_payload() is None
        event = self.server.receive(payload, self.reader.sequence_id)
        if isinstance(event, LoginRequested):
            event = self.server.verify(self.verifier)
        out = self.server.take_output()
        if isinstance(event, Verified):
            self.learnt = event.native_stage1 or "fast"
            out += self.server.accept(2)
        elif isinstance(event, PasswordReceived):
            self.learnt = event.password
            is_right = event.password == self.password
            out += self.server.accept(2) if is_right else self.server.reject(1045, None, b"Access denied")
        elif isinstance(event, Rejected):
            out += self.server.reject(event.code, None, event.message)
        self.reader.sequence_id = self.server.sequence_id
        return out


TRANSPORTS = ["plain", "tls", "socket"]
VERIFIERS: dict[str, Callable[[bytes], Verifier | None]] = {
    "nothing known": lambda password: None,
    "both known": Verifier.of_password,
    "native known": lambda password: Verifier(None, native_stage2(password)),
    "sha2 known": lambda password: Verifier(sha2_double_digest(password), None),
}


@pytest.mark.parametrize(
    ("transport", "known", "right", "given", "knows"),
    [*product(TRANSPORTS, VERIFIERS, [b"secret", b""], [b"secret", b"wrong", b""], ["password", "hash"])],
)
def test_our_client_and_our_server_agree(
    transport: str, known: str, right: bytes, given: bytes, knows: str
) -> None:
    verifier = VERIFIERS[known](right)
    client = ClientLogin(
        user=b"app",
        password=given if knows == "password" else None,
        native_stage1=native_stage1(given) if knows == "hash" and given else None,
        database=b"shop",
        collation=45,
        capabilities=WANTED_CAPABILITIES,
        attributes={b"a": b"b"},
        tls="required" if transport == "tls" else "disabled",
        is_secure=transport == "socket",
        encrypt=encrypt,
    )
    login = server(is_secure=transport == "socket", offers_tls=transport == "tls")
    dialogue = Dialogue(client, login, verifier, right)
    dialogue.run()
    if knows == "hash" and given and not (verifier and verifier.native and right == given):
        # The hash is of no use for caching_sha2_password, to which a login goes that native cannot settle.
        assert isinstance(dialogue.outcome, Refused)
        assert dialogue.outcome.code in (1045, 2061)
        return
    assert isinstance(dialogue.outcome, Connected if right == given else Refused)
    assert login.request is not None
    assert (login.request.database, login.request.attributes) == (b"shop", {b"a": b"b"})
    assert login.is_tls == (transport == "tls")
    if isinstance(dialogue.outcome, Connected):
        assert dialogue.outcome.capabilities == login.request.capabilities
        assert dialogue.outcome.connection_id == 0x80000001
    else:
        assert dialogue.outcome.code == 1045


# ------------------------------------------------------------------------------------------------------ the greeting


def test_greeting_says_what_the_caller_decided() -> None:
    login = server(offers_tls=True)
    wire = login.greeting()
    assert (wire[3], login.sequence_id) == (0, 1)
    greeting = HandshakeV10.parse(payload_of(wire))
    assert (greeting.server_version, greeting.connection_id) == (b"8.4.3", 0x80000001)
    assert (greeting.nonce, greeting.plugin) == (NONCE, SHA2)
    assert (greeting.collation, greeting.status) == (255, 2)
    assert greeting.capabilities == OFFERED_CAPABILITIES | C.SSL


def test_tls_is_not_offered_where_it_is_not_to_be_had() -> None:
    login = server(capabilities=OFFERED_CAPABILITIES | C.SSL)
    assert HandshakeV10.parse(payload_of(login.greeting())).capabilities == OFFERED_CAPABILITIES


def test_what_we_cannot_do_is_not_offered() -> None:
    offered = Capability(OFFERED_CAPABILITIES)
    assert offered & C.LONG_PASSWORD  # "not MariaDB": no extended capabilities
    for capability in (
        C.COMPRESS,
        C.ZSTD_COMPRESSION_ALGORITHM,
        C.QUERY_ATTRIBUTES,
        C.OPTIONAL_RESULTSET_METADATA,
        C.MULTI_FACTOR_AUTHENTICATION,
    ):
        assert not offered & capability
    assert offered < 1 << 32


@pytest.mark.parametrize("nonce", [b"short", NONCE + b"x", NONCE[:-1] + b"\0"])
def test_nonce_that_clients_would_misread_is_our_mistake(nonce: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        server(nonce=nonce)


def test_greeting_without_plugins_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        server(capabilities=OFFERED_CAPABILITIES & ~C.PLUGIN_AUTH)


def test_refusal_instead_of_a_greeting_has_no_sqlstate() -> None:
    wire = server().reject(1040, None, b"Too many connections")
    error = parse_err(payload_of(wire))
    assert (wire[3], error.code, error.sqlstate, error.message) == (0, 1040, b"", b"Too many connections")


# --------------------------------------------------------------------------------------------------- who wants in


def test_request_tells_who_wants_in() -> None:
    login = greeted()
    event = asked(login, response(capabilities=PLAIN | C.COMPRESS | C.FOUND_ROWS, database=b"shop"))
    assert (event.user, event.database, event.collation) == (b"app", b"shop", 45)
    assert event.capabilities == PLAIN | C.FOUND_ROWS | C.CONNECT_WITH_DB
    assert (event.max_packet, event.attributes, event.plugin) == (1 << 24, {b"program_name": b"shop"}, SHA2)
    assert not event.uses_password


def test_empty_database_is_none() -> None:
    assert asked(greeted(), response(database=b"")).database is None


def test_tls_is_started_before_anything_is_said() -> None:
    login = greeted(offers_tls=True, requires_tls=True)
    assert isinstance(login.receive(SSLRequest(PLAIN, 1, 45).build(), 2), TlsRequested)
    assert not login.is_secure
    login.tls_started()
    assert login.is_secure and login.is_tls
    event = asked(login, response(auth_response=b"\x00", capabilities=PLAIN | C.SSL), 3)
    assert event.capabilities & C.SSL
    assert password_of(login.verify(None)) == b""
    assert login.accept(2)[3] == 3


def test_client_that_shows_all_before_tls_is_asked_again() -> None:
    login = greeted(offers_tls=True)
    assert isinstance(login.receive(response(capabilities=PLAIN | C.SSL), 2), TlsRequested)


def test_tls_that_was_not_offered_is_a_bad_handshake() -> None:
    login = greeted()
    with pytest.raises(RemoteProtocolError, match="not offered") as caught:
        login.receive(SSLRequest(PLAIN, 1, 45).build(), 2)
    assert caught.value.code == 1043


def test_login_without_tls_is_rejected_where_it_is_required() -> None:
    login = greeted(offers_tls=True, requires_tls=True)
    event = login.receive(response(), 2)
    assert isinstance(event, Rejected)
    assert (event.code, event.reason) == (3159, RejectReason.TLS_REQUIRED)
    assert parse_err(payload_of(login.reject(event.code, None, event.message))).code == 3159


def test_unix_socket_is_as_good_as_required_tls() -> None:
    asked(greeted(offers_tls=True, requires_tls=True, is_secure=True), response())


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"", 1043), (b"\x00\x02\x00\x00", 1043), (bytes.fromhex("85240000006f6c6400474453"), 1251)],
)
def test_bad_response_can_be_answered(payload: bytes, code: int) -> None:
    login = greeted()
    with pytest.raises(RemoteProtocolError) as caught:
        login.receive(payload, 2)
    assert caught.value.code == code
    wire = login.reject(caught.value.code, None, b"Bad handshake")
    assert (wire[3], parse_err(payload_of(wire)).code) == (2, code)
    with pytest.raises(LocalProtocolError):
        login.receive(response(), 3)


def test_too_large_a_response_is_refused() -> None:
    login = greeted(limit=100)
    with pytest.raises(RemoteProtocolError) as caught:
        login.receive(bytes(101), 2)
    assert caught.value.code == 1153


# ------------------------------------------------------------------------------------------- caching_sha2_password


def test_known_password_takes_the_fast_path() -> None:
    login = greeted()
    assert asked(login, response(SHA2, sha2_scramble(b"secret", NONCE))).uses_password
    event = login.verify(SHA2_ONLY)
    assert isinstance(event, Verified)
    assert event.native_stage1 is None
    wire = login.accept(2, b"welcome")
    assert wire[:6] == b"\x02\x00\x00\x02\x01\x03"
    assert wire[9] == 3
    assert parse_ok(payload_of(wire[6:]), False).message == b"welcome"


def test_the_ok_may_tell_of_changes() -> None:
    login = greeted()
    asked(login, response(SHA2, sha2_scramble(b"secret", NONCE)))
    login.verify(SHA2_ONLY)
    wire = login.accept(2, changes=SessionChanges(schema=b"shop"))
    found = parse_ok(payload_of(wire[6:]), True)
    assert found.block is not None and parse_changes(found.block).schema == b"shop"


@pytest.mark.parametrize("verifier", [None, Verifier.of_password(b"older"), Verifier()])
def test_password_that_is_not_known_is_asked_for(verifier: Verifier | None) -> None:
    login = greeted(is_secure=True)
    asked(login, response(SHA2, sha2_scramble(b"secret", NONCE)))
    assert login.verify(verifier) is None
    assert sent(login, 2) == b"\x01\x04"
    assert password_of(login.receive(b"secret\0", 4)) == b"secret"
    assert login.accept(2)[3] == 4


def test_password_in_clear_may_lack_its_nul() -> None:
    login = greeted(is_secure=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert password_of(login.receive(b"secret", 4)) == b"secret"


def test_password_is_encrypted_with_our_key() -> None:
    login = greeted()
    asked(login, response(SHA2, sha2_scramble(b"secret", NONCE)))
    login.verify(None)
    assert sent(login, 2) == b"\x01\x04"
    assert login.receive(b"\x02", 4) is None
    assert sent(login, 4) == b"\x01key"
    assert password_of(login.receive(encrypt(b"key", xor_password(b"secret", NONCE)), 6)) == b"secret"


def test_client_that_has_our_key_need_not_ask_for_it() -> None:
    login = greeted()
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert password_of(login.receive(encrypt(b"key", xor_password(b"secret", NONCE)), 4)) == b"secret"


def test_client_on_a_unix_socket_may_ask_for_the_key_all_the_same() -> None:
    login = greeted(is_secure=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert login.receive(b"\x02", 4) is None
    assert password_of(login.receive(encrypt(b"key", xor_password(b"secret", NONCE)), 6)) == b"secret"


@pytest.mark.parametrize(
    "secret", [b"", b"garbage", b"\x02", encrypt(b"key", xor_password(b"secret", NONCE)[:-1])]
)
def test_secret_that_cannot_be_decrypted_is_a_wrong_password(secret: bytes) -> None:
    login = greeted()
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    login.receive(b"\x02", 4)
    event = login.receive(secret, 6)
    assert reason_of(event) is RejectReason.WRONG_PASSWORD
    assert isinstance(event, Rejected)
    assert (event.code, event.message) == (1045, b"Access denied for user 'app' (using password: YES)")


def test_password_in_clear_over_an_insecure_transport_is_a_wrong_one() -> None:
    login = greeted()
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert reason_of(login.receive(b"secret\0", 4)) is RejectReason.WRONG_PASSWORD


def test_careless_client_is_let_in_where_the_caller_says_so() -> None:
    """mysql-connector-python and libmariadb send the password like that, unasked."""
    login = greeted(takes_clear_password=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert password_of(login.receive(b"secret\0", 4)) == b"secret"
    login = greeted(takes_clear_password=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert password_of(login.receive(encrypt(b"key", xor_password(b"secret", NONCE)), 4)) == b"secret"


@pytest.mark.parametrize("secret", [b"", b"no nul"])
def test_garbage_is_not_taken_for_a_password_in_clear(secret: bytes) -> None:
    login = greeted(takes_clear_password=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert reason_of(login.receive(secret, 4)) is RejectReason.WRONG_PASSWORD


def test_password_in_clear_after_the_key_is_a_wrong_one() -> None:
    login = greeted(takes_clear_password=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    login.receive(b"\x02", 4)
    assert reason_of(login.receive(b"secret\0", 6)) is RejectReason.WRONG_PASSWORD


def test_password_is_not_asked_for_where_it_would_be_readable() -> None:
    login = greeted(has_key=False)
    asked(login, response(SHA2, bytes(32)))
    assert reason_of(login.verify(None)) is RejectReason.NO_SECRECY
    assert login.take_output() == b""


@pytest.mark.parametrize(("pem", "function"), [(b"key", None), (None, decrypt)])
def test_half_a_key_pair_is_none(pem: bytes | None, function: Callable[[bytes], bytes] | None) -> None:
    login = ServerLogin(
        connection_id=1,
        server_version=b"8.4.3",
        charset=255,
        status=2,
        capabilities=OFFERED_CAPABILITIES,
        nonce=NONCE,
        is_secure=False,
        offers_tls=False,
        requires_tls=False,
        public_key_pem=pem,
        decrypt=function,
    )
    login.greeting()
    asked(login, response(SHA2, bytes(32)))
    assert reason_of(login.verify(None)) is RejectReason.NO_SECRECY


def test_key_that_we_lack_is_not_given_even_on_a_unix_socket() -> None:
    login = greeted(has_key=False, is_secure=True)
    asked(login, response(SHA2, bytes(32)))
    login.verify(None)
    assert password_of(login.receive(b"\x02", 4)) == b"\x02"


@pytest.mark.parametrize("auth_response", [b"", b"\x00"])
@pytest.mark.parametrize("verifier", [None, KNOWN])
def test_empty_password_is_received_at_once(auth_response: bytes, verifier: Verifier | None) -> None:
    login = greeted()
    asked(login, response(SHA2, auth_response))
    assert password_of(login.verify(verifier)) == b""
    assert login.accept(2)[3] == 2


# ------------------------------------------------------------------------------------------- mysql_native_password


@pytest.mark.parametrize("plugin", [NATIVE, None])
@pytest.mark.parametrize("verifier", [KNOWN, NATIVE_ONLY])
@pytest.mark.parametrize("is_configured", [True, False])
def test_native_login_gives_stage1(plugin: bytes | None, verifier: Verifier, is_configured: bool) -> None:
    login = greeted()
    asked(login, response(plugin, native_scramble(b"secret", NONCE)))
    event = login.verify(verifier, is_configured=is_configured)
    assert isinstance(event, Verified)
    assert event.native_stage1 == native_stage1(b"secret")
    assert login.take_output() == b""


def test_native_login_with_another_password_than_the_one_learnt_goes_on_with_sha2() -> None:
    """It may have been changed on the server since."""
    login = greeted(is_secure=True)
    asked(login, response(NATIVE, native_scramble(b"changed", NONCE)))
    assert login.verify(KNOWN) is None
    assert switched_to(login) == SHA2
    assert login.receive(sha2_scramble(b"changed", NONCE), 4) is None
    assert sent(login, 4) == b"\x01\x04"
    assert password_of(login.receive(b"changed\0", 6)) == b"changed"


@pytest.mark.parametrize(
    ("verifier", "native_only", "is_configured"),
    [(NATIVE_ONLY, False, False), (KNOWN, True, False), (KNOWN, False, True)],
)
def test_native_login_with_another_password_than_the_only_one_is_rejected(
    verifier: Verifier, native_only: bool, is_configured: bool
) -> None:
    login = greeted()
    asked(login, response(NATIVE, native_scramble(b"wrong", NONCE)))
    assert reason_of(login.verify(verifier, native_only, is_configured)) is RejectReason.WRONG_PASSWORD


@pytest.mark.parametrize("verifier", [None, SHA2_ONLY])
def test_native_login_without_a_native_hash_switches_to_sha2(verifier: Verifier | None) -> None:
    login = greeted()
    asked(login, response(NATIVE, native_scramble(b"secret", NONCE)))
    assert login.verify(verifier) is None
    assert switched_to(login) == SHA2
    event = login.receive(sha2_scramble(b"secret", NONCE), 4)
    if verifier is None:
        assert event is None
        assert sent(login, 4) == b"\x01\x04"
    else:
        assert isinstance(event, Verified)
        assert login.accept(2)[:6] == b"\x02\x00\x00\x04\x01\x03"


def test_empty_response_of_another_plugin_is_not_an_empty_password() -> None:
    """libmariadb names its default plugin and sends nothing when the nonce is for another one."""
    login = greeted(is_secure=True)
    assert not asked(login, response(NATIVE, b"")).uses_password
    assert login.verify(None) is None
    assert switched_to(login) == SHA2
    assert password_of(login.receive(b"\x00", 4)) == b""


def test_empty_response_of_another_plugin_switches_to_sha2_for_a_learnt_password() -> None:
    login = greeted()
    asked(login, response(NATIVE, b""))
    assert login.verify(KNOWN) is None
    assert switched_to(login) == SHA2


@pytest.mark.parametrize(("verifier", "is_configured"), [(KNOWN, True), (NATIVE_ONLY, False)])
def test_empty_response_of_the_native_plugin_is_asked_for_again(
    verifier: Verifier, is_configured: bool
) -> None:
    login = greeted()
    asked(login, response(NATIVE, b""))
    assert login.verify(verifier, is_configured=is_configured) is None
    assert switched_to(login) == NATIVE
    event = login.receive(native_scramble(b"secret", NONCE), 4)
    assert isinstance(event, Verified)
    assert event.native_stage1 == native_stage1(b"secret")


def test_client_is_asked_to_switch_only_once() -> None:
    """After a second AuthSwitchRequest libmysqlclient gives up."""
    login = greeted()
    asked(login, response(NATIVE, b""))
    login.verify(KNOWN, is_configured=True)
    assert switched_to(login) == NATIVE
    assert reason_of(login.receive(native_scramble(b"wrong", NONCE), 4)) is RejectReason.WRONG_PASSWORD


def test_native_hash_alone_switches_to_the_native_plugin() -> None:
    login = greeted()
    asked(login, response(SHA2, sha2_scramble(b"secret", NONCE)))
    assert login.verify(NATIVE_ONLY) is None
    assert switched_to(login) == NATIVE
    assert isinstance(login.receive(native_scramble(b"secret", NONCE), 4), Verified)


def test_switch_to_the_native_plugin_may_bring_the_empty_password() -> None:
    login = greeted()
    asked(login, response(SHA2, b""))
    login.verify(NATIVE_ONLY)
    assert switched_to(login) == NATIVE
    assert password_of(login.receive(b"", 4)) == b""


def test_native_only_without_a_hash_is_rejected() -> None:
    login = greeted()
    asked(login, response(NATIVE, native_scramble(b"secret", NONCE)))
    assert reason_of(login.verify(SHA2_ONLY, native_only=True)) is RejectReason.NO_NATIVE_HASH


@pytest.mark.parametrize("verifier", [None, SHA2_ONLY])
def test_client_without_plugins_is_told_that_nothing_can_be_done(verifier: Verifier | None) -> None:
    login = greeted()
    asked(login, response(None, native_scramble(b"secret", NONCE)))
    event = login.verify(verifier)
    assert reason_of(event) is RejectReason.NO_NATIVE_HASH
    assert isinstance(event, Rejected)
    assert event.code == 1045
    assert b"can only use mysql_native_password" in event.message


def test_wrong_password_of_a_client_without_plugins_is_rejected() -> None:
    login = greeted()
    asked(login, response(None, native_scramble(b"wrong", NONCE)))
    assert reason_of(login.verify(KNOWN)) is RejectReason.WRONG_PASSWORD


@pytest.mark.parametrize("verifier", [None, KNOWN, NATIVE_ONLY])
def test_empty_password_of_a_client_without_plugins_is_received(verifier: Verifier | None) -> None:
    login = greeted()
    asked(login, response(None, b""))
    assert password_of(login.verify(verifier)) == b""


# --------------------------------------------------------------------------------- clear passwords, unknown plugins


@pytest.mark.parametrize("verifier", [None, KNOWN, NATIVE_ONLY])
@pytest.mark.parametrize(
    ("auth_response", "password"), [(b"secret\0", b"secret"), (b"\0", b""), (b"no nul", b"no nul")]
)
def test_clear_password_is_taken_where_nobody_can_listen(
    verifier: Verifier | None, auth_response: bytes, password: bytes
) -> None:
    login = greeted(is_secure=True)
    asked(login, response(CLEAR, auth_response))
    assert password_of(login.verify(verifier)) == password


def test_clear_password_that_did_not_come_along_is_asked_for() -> None:
    login = greeted(is_secure=True)
    asked(login, response(CLEAR, b""))
    assert login.verify(None) is None
    assert switched_to(login) == CLEAR
    assert password_of(login.receive(b"secret\0", 4)) == b"secret"


@pytest.mark.parametrize("plugin", [CLEAR, b"client_ed25519", b""])
def test_any_other_plugin_is_switched_to_sha2(plugin: bytes) -> None:
    login = greeted()
    asked(login, response(plugin, b"whatever\0"))
    assert login.verify(None) is None
    assert switched_to(login) == SHA2


# ----------------------------------------------------------------------------------------------- COM_CHANGE_USER


def change_user(
    plugin: bytes | None = SHA2,
    auth_response: bytes = b"",
    capabilities: int = PLAIN,
    database: bytes = b"shop",
) -> bytes:
    parts = [b"\x11app\0", bytes([len(auth_response)]), auth_response, database + b"\0", uint16(0x1FF)]
    if plugin is not None:
        parts.append(plugin + b"\0" + lenenc_bytes(b"\x01a\x01b"))
    return b"".join(parts)


def changing(
    payload: bytes, capabilities: int = PLAIN, is_secure: bool = False, greeting_nonce: bytes | None = None
) -> ServerLogin:
    return ServerLogin.for_change_user(
        payload,
        capabilities=capabilities,
        nonce=NONCE,
        is_secure=is_secure,
        public_key_pem=b"key",
        decrypt=decrypt,
        greeting_nonce=greeting_nonce,
    )


@pytest.mark.parametrize("auth_response", [b"", bytes(32), sha2_scramble(b"secret", NONCE)])
def test_change_of_user_is_always_asked_for_with_a_new_nonce(auth_response: bytes) -> None:
    login = changing(change_user(SHA2, auth_response))
    event = login.request
    assert event is not None
    assert (event.user, event.database, event.collation) == (b"app", b"shop", 0x1FF)
    assert (event.capabilities, event.plugin, event.attributes) == (PLAIN, SHA2, {b"a": b"b"})
    assert login.verify(KNOWN) is None
    assert switched_to(login, 1) == SHA2
    assert isinstance(login.receive(sha2_scramble(b"secret", NONCE), 3), Verified)
    wire = login.accept(2)
    assert wire[:6] == b"\x02\x00\x00\x03\x01\x03"
    assert wire[9] == 4


def test_change_of_user_without_a_database() -> None:
    request = changing(change_user(database=b"")).request
    assert request is not None and request.database is None


@pytest.mark.parametrize(
    ("plugin", "verifier", "is_configured", "is_secure", "expected"),
    [
        (SHA2, None, False, False, SHA2),
        (SHA2, NATIVE_ONLY, False, False, NATIVE),
        (NATIVE, KNOWN, True, False, SHA2),
        (NATIVE, KNOWN, False, False, SHA2),
        (NATIVE, None, False, False, SHA2),
        (CLEAR, None, False, True, CLEAR),
        (CLEAR, None, False, False, SHA2),
    ],
)
def test_change_of_user_uses_the_plugin_that_a_login_would_use(
    plugin: bytes, verifier: Verifier | None, is_configured: bool, is_secure: bool, expected: bytes
) -> None:
    login = changing(change_user(plugin), is_secure=is_secure)
    assert login.verify(verifier, is_configured=is_configured) is None
    assert switched_to(login, 1) == expected


@pytest.mark.parametrize(("plugin", "verifier"), [(NATIVE, KNOWN), (SHA2, NATIVE_ONLY)])
def test_change_of_user_repeats_the_nonce_of_the_greeting_for_the_native_plugin(
    plugin: bytes, verifier: Verifier
) -> None:
    """libmariadb answers it whatever the switch says."""
    old = NONCE[::-1]
    login = changing(change_user(plugin, bytes(20)), greeting_nonce=old)
    assert login.verify(verifier, is_configured=True) is None
    request = AuthSwitchRequest.parse(sent(login, 1))
    assert (request.plugin, request.nonce) == (NATIVE, old)
    assert isinstance(login.receive(native_scramble(b"secret", old), 3), Verified)


def test_change_of_user_uses_sha2_for_a_learnt_password() -> None:
    login = changing(change_user(NATIVE, bytes(20)), greeting_nonce=NONCE[::-1])
    assert login.verify(KNOWN) is None
    assert switched_to(login, 1) == SHA2


def test_change_of_user_can_be_rejected() -> None:
    login = changing(change_user())
    wire = login.reject(1045, None, b"Access denied")
    assert (wire[3], parse_err(payload_of(wire)).sqlstate) == (1, b"28000")


def test_change_of_user_by_a_client_without_plugins_needs_an_empty_password() -> None:
    """Its response was made with a nonce that is long gone, and it cannot be asked again."""
    capabilities = PLAIN & ~(C.PLUGIN_AUTH | C.CONNECT_ATTRS)
    login = changing(change_user(None, bytes(20)), capabilities)
    assert reason_of(login.verify(KNOWN)) is RejectReason.NO_NATIVE_HASH
    login = changing(change_user(None), capabilities)
    assert password_of(login.verify(KNOWN)) == b""


def test_malformed_change_of_user_is_their_mistake() -> None:
    with pytest.raises(RemoteProtocolError):
        changing(b"\x11app")


# ------------------------------------------------------------------------------------------------ calls out of turn


def test_calls_out_of_turn_are_our_mistake() -> None:
    login = server()
    for call in (
        lambda: login.receive(b"", 2),
        lambda: login.verify(None),
        lambda: login.tls_started(),
        lambda: login.accept(2),
    ):
        with pytest.raises(LocalProtocolError):
            call()
    login.greeting()
    with pytest.raises(LocalProtocolError):
        login.greeting()
    asked(login, response(SHA2, b""))
    with pytest.raises(LocalProtocolError):
        login.receive(b"", 2)
    login.verify(None)
    login.accept(2)
    with pytest.raises(LocalProtocolError):
        login.reject(1045, None, b"")


def test_nothing_is_rejected_in_clear_while_tls_starts() -> None:
    login = greeted(offers_tls=True)
    login.receive(SSLRequest(PLAIN, 1, 45).build(), 2)
    with pytest.raises(LocalProtocolError):
        login.reject(1045, None, b"")


def test_ids_wrap_around() -> None:
    login = greeted()
    asked(login, response(SHA2, sha2_scramble(b"secret", NONCE)), 255)
    login.verify(KNOWN)
    wire = login.accept(2)
    assert (wire[3], wire[9], login.sequence_id) == (255, 0, 1)


def test_our_framing_is_the_one_of_everybody() -> None:
    login = server()
    wire = login.greeting()
    assert wire == frame(payload_of(wire), 0)


def test_login_shows_nothing() -> None:
    login = greeted()
    asked(login, response(SHA2, b""))
    for thing in (
        login,
        login.request,
        PasswordReceived(b"secret"),
        Verified(b"secret"),
        Rejected(1, b"", RejectReason.WRONG_PASSWORD),
    ):
        assert "secret" not in repr(thing)
