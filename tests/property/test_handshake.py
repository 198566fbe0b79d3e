"""Payloads of the connection phase are read as they were written, and broken ones raise nothing undocumented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from protocol.auth import Verifier, nonce_of
from protocol.client import WANTED_CAPABILITIES, ClientLogin
from protocol.constants import Capability
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import frame
from protocol.handshake import AuthMoreData, AuthSwitchRequest, HandshakeResponse41, HandshakeV10, SSLRequest
from protocol.server import OFFERED_CAPABILITIES, LoginRequested, ServerLogin

NAMES = st.binary(max_size=40).map(lambda name: name.replace(b"\0", b"x"))
NONCES = st.binary(min_size=20, max_size=20).map(nonce_of)
UINT8 = st.integers(0, 0xFF)
UINT16 = st.integers(0, 0xFFFF)
UINT32 = st.integers(0, 0xFFFFFFFF)
CAPABILITIES = UINT32 | st.integers(0, (1 << 64) - 1)

C = Capability


@st.composite
def greetings(draw: st.DrawFn) -> HandshakeV10:
    capabilities = draw(CAPABILITIES) | C.SECURE_CONNECTION
    if capabilities & C.LONG_PASSWORD:
        capabilities &= 0xFFFFFFFF
    plugin = draw(NAMES) if capabilities & C.PLUGIN_AUTH else b""
    return HandshakeV10(
        draw(NAMES), draw(UINT32), draw(NONCES), capabilities, draw(UINT8), draw(UINT16), plugin
    )


@st.composite
def responses(draw: st.DrawFn) -> HandshakeResponse41:
    capabilities = draw(CAPABILITIES)
    if capabilities & C.LONG_PASSWORD:
        capabilities &= 0xFFFFFFFF
    has_length = capabilities & (C.PLUGIN_AUTH_LENENC_CLIENT_DATA | C.SECURE_CONNECTION)
    return HandshakeResponse41(
        capabilities,
        draw(UINT32),
        draw(UINT8),
        draw(NAMES),
        draw(st.binary(max_size=255) if has_length else NAMES),
        draw(NAMES) if capabilities & C.CONNECT_WITH_DB else None,
        draw(NAMES) if capabilities & C.PLUGIN_AUTH else None,
        draw(st.dictionaries(NAMES, NAMES, max_size=3)) if capabilities & C.CONNECT_ATTRS else {},
        draw(UINT8) if capabilities & C.ZSTD_COMPRESSION_ALGORITHM else 0,
    )


def fields(thing: object, names: str) -> list[Any]:
    return [getattr(thing, name) for name in names.split()]


@given(greetings())
def test_greeting_is_read_as_it_was_written(greeting: HandshakeV10) -> None:
    names = "server_version connection_id nonce capabilities collation status plugin"
    assert fields(HandshakeV10.parse(greeting.build()), names) == fields(greeting, names)


@given(responses())
def test_response_is_read_as_it_was_written(response: HandshakeResponse41) -> None:
    names = "capabilities max_packet collation user auth_response database plugin attributes zstd_level"
    assert fields(HandshakeResponse41.parse(response.build()), names) == fields(response, names)


@given(NAMES, st.binary(max_size=30))
def test_switch_of_plugin_is_read_as_it_was_written(plugin: bytes, nonce: bytes) -> None:
    parsed = AuthSwitchRequest.parse(AuthSwitchRequest(plugin, nonce).build())
    assert (parsed.plugin, parsed.nonce) == (plugin, nonce)


@st.composite
def mutated(draw: st.DrawFn, payloads: st.SearchStrategy[bytes]) -> bytes:
    """A payload with some bytes replaced, cut, or inserted."""
    payload = bytearray(draw(payloads))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(payload)))
        payload[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload) if draw(st.booleans()) else bytes(payload[: draw(st.integers(0, len(payload)))])


PAYLOADS = st.one_of(
    greetings().map(HandshakeV10.build),
    responses().map(HandshakeResponse41.build),
    st.builds(AuthSwitchRequest, NAMES, NONCES).map(AuthSwitchRequest.build),
    st.sampled_from([b"\x01\x03", b"\x01\x04", b"\x00\x00\x00\x02\x00\x00\x00", b"\xff\x15\x04#28000no"]),
)
PARSERS: list[Callable[[bytes], object]] = [
    HandshakeV10.parse,
    SSLRequest.parse,
    HandshakeResponse41.parse,
    AuthSwitchRequest.parse,
    AuthMoreData.parse,
]


@given(st.sampled_from(PARSERS), mutated(PAYLOADS))
def test_mutated_payload_raises_nothing_but_what_is_documented(
    parse: Callable[[bytes], object], payload: bytes
) -> None:
    try:
        parse(payload)
    except RemoteProtocolError as error:
        assert error.code in (1043, 1251)


def not_to_be_had(*_: bytes) -> bytes:
    raise ValueError


@given(st.lists(mutated(PAYLOADS) | PAYLOADS, max_size=5), st.booleans(), st.sampled_from([b"", b"secret"]))
def test_server_role_survives_any_client(payloads: list[bytes], offers_tls: bool, password: bytes) -> None:
    """Every payload is answered, asked about, or refused with RemoteProtocolError; an ERR can be sent at any time."""
    login = ServerLogin(
        connection_id=1,
        server_version=b"8.4.3",
        charset=255,
        status=2,
        capabilities=OFFERED_CAPABILITIES,
        nonce=b"0123456789abcdefghij",
        is_secure=False,
        offers_tls=offers_tls,
        requires_tls=False,
        public_key_pem=b"key",
        decrypt=not_to_be_had,
    )
    login.greeting()
    try:
        for payload in payloads:
            event = login.receive(payload, login.sequence_id + 1)
            if isinstance(event, LoginRequested):
                event = login.verify(Verifier.of_password(password))
            if event is not None:
                break
    except RemoteProtocolError as error:
        assert error.code in (1043, 1153, 1251)
    try:
        out = login.reject(1045, None, b"no")
    except LocalProtocolError:  # TLS is due: nothing can be said in clear any more
        return
    assert out.endswith(b"\xff\x15\x04#28000no")


@given(
    st.lists(mutated(PAYLOADS) | PAYLOADS, max_size=5), st.sampled_from(["disabled", "preferred", "required"])
)
def test_client_role_survives_any_server(payloads: list[bytes], tls: str) -> None:
    login = ClientLogin(
        user=b"app",
        password=b"secret",
        native_stage1=None,
        database=None,
        collation=45,
        capabilities=WANTED_CAPABILITIES,
        attributes={},
        tls=tls,
        is_secure=False,
        encrypt=not_to_be_had,
    )
    sequence_id = 0
    try:
        for payload in payloads:
            if login.receive(frame(payload, sequence_id)) is not None:
                break
            sequence_id += 2
    except RemoteProtocolError:
        pass
    assert b"secret" not in login.take_output()
