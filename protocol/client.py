"""We are the client in one backend's connection phase.

`ClientLogin` is fed the server's bytes, gives events, and says what has to be sent. It speaks every plugin of `auth`
and agrees on the capabilities that are both wanted and offered.

::

    GREETING --HandshakeV10--+--------------------------> ANSWERED
                             `--TlsWanted--> TLS --tls_started()--> ANSWERED
    ANSWERED: OK -> Connected; ERR -> Refused; AuthSwitchRequest -> another plugin, once more ANSWERED;
              AuthMoreData 0x03 (fast path worked) -> wait for OK; 0x04 (full authentication) -> the password in clear
              (secure transport), else the public key is asked for -> KEY_WANTED -> the password encrypted -> ANSWERED
    After Connected or Refused, and after any exception: CLOSED.

An ERR may come at any time, in place of the greeting, too (too many connections, blocked host), then without SQLSTATE.
The password never travels readable over an insecure transport, whatever the server asks for; over RSA it does
travel to a server whose identity nobody has proven, as with every client that fetches the key by itself: use TLS with
verification where the network is not trusted.

Pages of the MySQL source documentation: "Connection Phase", "Caching_sha2_password information", "sha256_password".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocol.auth import (
    CACHING_SHA2_PASSWORD,
    CLEAR_PASSWORD,
    FAST_AUTH_SUCCESS,
    FULL_AUTH_NEEDED,
    NATIVE_PASSWORD,
    NONCE_LENGTH,
    PUBLIC_KEY_REQUEST,
    SHA256_KEY_REQUEST,
    SHA256_PASSWORD,
    native_scramble,
    native_scramble_stage1,
    sha2_scramble,
    xor_password,
)
from protocol.constants import Capability, ErrorCode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import PacketReader, frame
from protocol.handshake import (
    LOGIN_LIMIT,
    AuthMoreData,
    AuthSwitchRequest,
    HandshakeResponse41,
    HandshakeV10,
    SSLRequest,
    bad_handshake,
)
from protocol.packets import SessionChanges, parse_err, parse_ok

# What Fanin wants of servers at any rate. A session's own wishes (FOUND_ROWS, LOCAL_FILES, IGNORE_SPACE, INTERACTIVE)
# are added by whoever opens the backend; SSL and CONNECT_WITH_DB are added here when they apply. Bit 0 stays set, so
# that MariaDB takes us for an old client and keeps its extended metadata to itself. COM_SET_OPTION changes
# MULTI_STATEMENTS later.
WANTED_CAPABILITIES: Final = int(
    Capability.LONG_PASSWORD
    | Capability.LONG_FLAG
    | Capability.PROTOCOL_41
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_STATEMENTS
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
    | Capability.CONNECT_ATTRS
    | Capability.PLUGIN_AUTH_LENENC_CLIENT_DATA
    | Capability.SESSION_TRACK
    | Capability.DEPRECATE_EOF
)

# What we tell the server about the longest packet we take: its own limit counts, so the protocol's maximum.
MAX_PACKET: Final = 1 << 30

_CLIENT_MYSQL: Final = int(Capability.LONG_PASSWORD)
_SSL: Final = int(Capability.SSL)
_CONNECT_WITH_DB: Final = int(Capability.CONNECT_WITH_DB)
_PROTOCOL_41: Final = int(Capability.PROTOCOL_41)
_SECURE_CONNECTION: Final = int(Capability.SECURE_CONNECTION)
_PLUGIN_AUTH: Final = int(Capability.PLUGIN_AUTH)
_SESSION_TRACK: Final = int(Capability.SESSION_TRACK)
# Bits that we keep out of an agreement however often they are wanted: nothing here could speak them.
_NEVER: Final = int(
    Capability.COMPRESS | Capability.ZSTD_COMPRESSION_ALGORITHM | Capability.MULTI_FACTOR_AUTHENTICATION
)

_GREETING: Final = 0
_TLS: Final = 1
_ANSWERED: Final = 2
_KEY_WANTED: Final = 3
_CLOSED: Final = 4


class BackendEvent:
    """What `ClientLogin` reports."""

    __slots__ = ()


class TlsWanted(BackendEvent):
    """Send the output, upgrade the connection to TLS, then call `tls_started()`."""

    __slots__ = ()


class Connected(BackendEvent):
    """We are in: the command phase begins."""

    __slots__ = (
        "capabilities",
        "changes",
        "collation",
        "connection_id",
        "is_tls",
        "server_version",
        "status",
        "warnings",
    )

    def __init__(
        self,
        server_version: bytes,
        connection_id: int,
        capabilities: int,
        collation: int,
        status: int,
        warnings: int,
        changes: SessionChanges | None,
        is_tls: bool,
    ) -> None:
        # As in the greeting, MariaDB's "5.5.5-" included.
        self.server_version: bytes = server_version
        # Low 32 bits of the server's id of this connection.
        self.connection_id: int = connection_id
        # Agreed: wanted and offered.
        self.capabilities: int = capabilities
        # The server's default collation (lower 8 bits), not the connection's.
        self.collation: int = collation
        # Status flags and warnings of the OK.
        self.status: int = status
        self.warnings: int = warnings
        # What trackers in the OK said (MariaDB reports character sets here); None without.
        self.changes: SessionChanges | None = changes
        self.is_tls: bool = is_tls


class Refused(BackendEvent):
    """The server does not let us in, or we cannot meet its terms (codes of the 2000s). Close the connection."""

    __slots__ = ("code", "message", "sqlstate")

    def __init__(self, code: int, sqlstate: bytes, message: bytes) -> None:
        self.code: int = code
        # Empty when the ERR came before the handshake.
        self.sqlstate: bytes = sqlstate
        self.message: bytes = message


class ClientLogin:
    """One login to one server: feed `receive`, send `take_output`, do what the events say."""

    __slots__ = (
        "_attributes",
        "_collation",
        "_database",
        "_encrypt",
        "_max_packet",
        "_native_stage1",
        "_nonce",
        "_out",
        "_password",
        "_plugin",
        "_reader",
        "_state",
        "_tls",
        "_user",
        "_wanted",
        "capabilities",
        "greeting",
        "is_secure",
        "is_tls",
    )

    def __init__(
        self,
        *,
        user: bytes,
        password: bytes | None,
        native_stage1: bytes | None,
        database: bytes | None,
        collation: int,
        capabilities: int,
        attributes: dict[bytes, bytes],
        tls: str,
        is_secure: bool,
        encrypt: Callable[[bytes, bytes], bytes],
        max_packet: int = MAX_PACKET,
    ) -> None:
        """`password` may be None when only SHA1(password) is known (`native_stage1`), which is enough for
        mysql_native_password; with neither, the password is the empty one. `tls` is "disabled", "preferred" or "required"; "preferred" does without on a Unix
        socket (`is_secure`), like MySQL's clients. `encrypt(pem, plain)` is RSA-OAEP and raises ValueError for an
        unusable key or too long a password.
        """
        if tls not in ("disabled", "preferred", "required"):
            raise LocalProtocolError("tls is disabled, preferred or required")
        self._user: bytes = user
        self._password: bytes | None = b"" if password is None and native_stage1 is None else password
        self._native_stage1: bytes | None = native_stage1
        self._database: bytes | None = database
        self._collation: int = collation
        self._wanted: int = (capabilities | _PROTOCOL_41 | _SECURE_CONNECTION) & ~_NEVER
        self._attributes: dict[bytes, bytes] = attributes
        self._tls: str = tls
        self._encrypt: Callable[[bytes, bytes], bytes] = encrypt
        self._max_packet: int = max_packet
        # Whether nobody can listen in: a Unix socket, or TLS.
        self.is_secure: bool = is_secure
        self.is_tls: bool = False
        # As soon as it has been parsed.
        self.greeting: HandshakeV10 | None = None
        # Agreed with the server, once there is a greeting.
        self.capabilities: int = 0
        self._reader: PacketReader = PacketReader(LOGIN_LIMIT)
        self._out: bytes = b""
        self._state: int = _GREETING
        # The plugin in use, and the nonce that came with it.
        self._plugin: bytes = b""
        self._nonce: bytes = b""

    def receive(self, chunk: bytes) -> BackendEvent | None:
        """Takes what came from the server; the next event, None if there is none yet. Raises like `next_event`."""
        self._reader.feed(chunk)
        return self.next_event()

    def next_event(self) -> BackendEvent | None:
        """The next event out of what was received.

        Raises RemoteProtocolError for anything the protocol does not allow, bytes before TLS that belong behind it and
        bytes after the end of the connection phase included; LocalProtocolError after the end, or while `tls_started()`
        is due.
        """
        state = self._state
        if state in (_CLOSED, _TLS):
            raise LocalProtocolError("the login waits for nothing from the server")
        # For the case that the next lines raise.
        self._state = _CLOSED
        payload = self._reader.next_payload()
        while payload is not None:
            event = self._receive_payload(payload, state)
            if event is not None:
                return event
            state = self._state
            self._state = _CLOSED
            payload = self._reader.next_payload()
        self._state = state
        return None

    def take_output(self) -> bytes:
        """What has to be sent to the server now, in wire form; empty if nothing."""
        out = self._out
        self._out = b""
        return out

    def tls_started(self) -> None:
        """The caller has upgraded the connection. There is output to send."""
        greeting = self.greeting
        if self._state != _TLS or greeting is None:
            raise LocalProtocolError("TLS is not due")
        self.is_tls = True
        self.is_secure = True
        self._answer(greeting)

    def _receive_payload(self, payload: bytes, state: int) -> BackendEvent | None:
        """One payload of the server. Sets the state, unless the login ends."""
        first = payload[0] if payload else -1
        if first == 0xFF:
            error = parse_err(payload)
            return Refused(error.code, error.sqlstate, error.message)
        if state == _GREETING:
            return self._receive_greeting(HandshakeV10.parse(payload))
        if first == 0x00:
            return self._connected(payload)
        if first == 0xFE and state == _ANSWERED:
            return self._switch(AuthSwitchRequest.parse(payload))
        if first == 0x01:
            return self._receive_more(AuthMoreData.parse(payload).content, state)
        raise bad_handshake("the server sent what does not belong into a login")

    def _receive_greeting(self, greeting: HandshakeV10) -> BackendEvent | None:
        if not greeting.capabilities & _PROTOCOL_41 or not greeting.capabilities & _SECURE_CONNECTION:
            raise bad_handshake("the server speaks the protocol from before MySQL 4.1")
        self.greeting = greeting
        # MariaDB's greeting lacks bit 0; a client that sets it is none of MariaDB's own.
        offered = greeting.capabilities | _CLIENT_MYSQL
        self.capabilities = self._wanted & offered & ~(_SSL | _CONNECT_WITH_DB)
        if self._database is not None:
            self.capabilities |= greeting.capabilities & _CONNECT_WITH_DB
        offers_tls = greeting.capabilities & _SSL != 0
        if self._tls == "required" and not offers_tls:
            return _refused(
                int(ErrorCode.CR_SSL_CONNECTION_ERROR), b"SSL connection error: the server does not offer TLS"
            )
        if self._tls == "required" or (self._tls == "preferred" and offers_tls and not self.is_secure):
            return self._request_tls()
        self._answer(greeting)
        return None

    def _request_tls(self) -> TlsWanted:
        if self._reader.buffered:
            # Whatever is not encrypted must not be taken for the server's later (as with STARTTLS, CVE-2011-0411).
            raise bad_handshake("bytes after the greeting, before TLS")
        self.capabilities |= _SSL
        self._send(SSLRequest(self.capabilities, self._max_packet, self._collation).build())
        self._state = _TLS
        return TlsWanted()

    def _answer(self, greeting: HandshakeV10) -> None:
        """Send the response to the greeting, for its plugin or for the one that we would rather use."""
        self._plugin = self._first_plugin(greeting.plugin)
        self._nonce = greeting.nonce[:NONCE_LENGTH]
        response = HandshakeResponse41(
            self.capabilities,
            self._max_packet,
            self._collation,
            self._user,
            self._response(),
            self._database,
            self._plugin,
            self._attributes,
        )
        self._send(response.build())
        self._state = _ANSWERED

    def _first_plugin(self, offered: bytes) -> bytes:
        """The plugin of the greeting if we can use it, else mysql_native_password: the server switches us if need be."""
        if self._password is None or not self.capabilities & _PLUGIN_AUTH:
            return NATIVE_PASSWORD
        if offered == CACHING_SHA2_PASSWORD or (offered == CLEAR_PASSWORD and self.is_secure):
            return offered
        return NATIVE_PASSWORD

    def _response(self) -> bytes:
        """Our response for the plugin and nonce in use."""
        password = self._password
        if password is None:
            assert self._native_stage1 is not None
            return native_scramble_stage1(self._native_stage1, self._nonce)
        if self._plugin == CACHING_SHA2_PASSWORD:
            return sha2_scramble(password, self._nonce)
        if self._plugin == CLEAR_PASSWORD:
            return password + b"\x00"
        return native_scramble(password, self._nonce)

    def _switch(self, request: AuthSwitchRequest) -> Refused | None:
        plugin = request.plugin
        if plugin not in (NATIVE_PASSWORD, CACHING_SHA2_PASSWORD, CLEAR_PASSWORD, SHA256_PASSWORD):
            return _refused(
                int(ErrorCode.CR_AUTH_PLUGIN_CANNOT_LOAD),
                b"Authentication plugin '%b' cannot be loaded: not supported" % plugin,
            )
        if plugin == CLEAR_PASSWORD and not self.is_secure:
            return _plugin_failed(plugin, b"Authentication requires secure connection.")
        if plugin != NATIVE_PASSWORD and self._password is None:
            return _plugin_failed(plugin, b"only a mysql_native_password hash is known of the password")
        if plugin != CLEAR_PASSWORD and len(request.nonce) < NONCE_LENGTH:
            raise bad_handshake("the nonce is too short")
        self._plugin = plugin
        self._nonce = request.nonce[:NONCE_LENGTH]
        if plugin == SHA256_PASSWORD:
            self._answer_sha256()
            return None
        response = self._response()
        if plugin == CACHING_SHA2_PASSWORD and not response:
            # The server's plugin reads a packet with one NUL as the empty password, as MySQL's clients send it.
            response = b"\x00"
        self._send(response)
        self._state = _ANSWERED
        return None

    def _answer_sha256(self) -> None:
        """The forerunner of caching_sha2_password: always what that one calls full authentication.

        MySQL also asks clients for it that name a user which does not exist, so that they cannot tell.
        """
        password = self._password or b""
        if self.is_secure or not password:
            self._send(password + b"\x00")
            self._state = _ANSWERED
        else:
            self._send(SHA256_KEY_REQUEST)
            self._state = _KEY_WANTED

    def _receive_more(self, content: bytes, state: int) -> Refused | None:
        password = self._password or b""
        if state == _KEY_WANTED:
            return self._send_encrypted(content, password)
        if self._plugin != CACHING_SHA2_PASSWORD:
            raise bad_handshake("a message for a plugin that has none")
        if content == FULL_AUTH_NEEDED and self.is_secure:
            self._send(password + b"\x00")
            self._state = _ANSWERED
        elif content == FULL_AUTH_NEEDED:
            self._send(PUBLIC_KEY_REQUEST)
            self._state = _KEY_WANTED
        elif content == FAST_AUTH_SUCCESS:
            self._state = _ANSWERED
        else:
            raise bad_handshake("an unknown message of caching_sha2_password")
        return None

    def _send_encrypted(self, public_key_pem: bytes, password: bytes) -> Refused | None:
        try:
            secret = self._encrypt(public_key_pem, xor_password(password, self._nonce))
        except ValueError:
            # The cause may quote the password: it ends here.
            secret = b""
        if not secret:
            return _plugin_failed(self._plugin, b"the server's public key cannot be used")
        self._send(secret)
        self._state = _ANSWERED
        return None

    def _connected(self, payload: bytes) -> Connected:
        ok = parse_ok(payload, self.capabilities & _SESSION_TRACK != 0)
        greeting = self.greeting
        if self._reader.buffered or greeting is None:
            raise RemoteProtocolError("bytes after the end of the connection phase")
        return Connected(
            greeting.server_version,
            greeting.connection_id,
            self.capabilities,
            greeting.collation,
            ok.status,
            ok.warnings,
            ok.changes,
            self.is_tls,
        )

    def _send(self, payload: bytes) -> None:
        self._out += frame(payload, self._reader.sequence_id)
        self._reader.sequence_id = (self._reader.sequence_id + 1) & 0xFF


def _refused(code: int, message: bytes) -> Refused:
    return Refused(code, b"HY000", message)


def _plugin_failed(plugin: bytes, why: bytes) -> Refused:
    return _refused(
        int(ErrorCode.CR_AUTH_PLUGIN_ERR), b"Authentication plugin '%b' reported error: %b" % (plugin, why)
    )
