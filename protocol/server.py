"""We are the server in one client's connection phase, and in its COM_CHANGE_USER.

`ServerLogin` is fed payloads and gives events; what has to be sent is taken from it. It decides everything that the
protocol decides (which plugin, which message next) and nothing else: who may log in is the caller's business, who
answers the event `LoginRequested` with `verify()`, and `Verified`, `PasswordReceived` or `Rejected` with `accept()`
or `reject()`.

::

    NEW --greeting()--> RESPONSE --SSLRequest--> TLS --tls_started()--> RESPONSE
                           | HandshakeResponse41: LoginRequested
                           v
                         LOGIN --verify()--+--> SWITCHED   another plugin was asked for; its response comes next
                                           +--> FULL       the password itself comes next (caching_sha2_password)
                                           |      `--> KEY_SENT   ... encrypted with the key that was asked for
                                           `--> VERDICT    Verified, PasswordReceived or Rejected was given
    VERDICT --accept() or reject()--> CLOSED      after any RemoteProtocolError, too, reject() can still be sent

Which plugin ("Connection Phase: Authentication Method Mismatch"; our greeting always names caching_sha2_password):

1. mysql_clear_password, when the client named it and the transport is secure;
2. mysql_native_password, when nothing but a native hash is known, or when the client named it and a native hash is
   known that is either final (configured) or can be checked without asking again;
3. caching_sha2_password otherwise: the only one that lets us learn a password.

If the client's response was made for another plugin it is asked to switch: once, since clients follow only one switch.
An *empty* response is the empty password only from a client that names the plugin of our greeting (or no plugin at
all): libmysqlclient and libmariadb name their default plugin and send nothing when they cannot use our nonce.

As with MySQL 9.7, a switch during a login repeats the nonce of the greeting, and a change of user brings a new one. More lenient than MySQL, on purpose: on a
secure transport a public key may still be asked for (some clients do not know that a Unix socket is secure), and the
NUL after a password sent in clear may be missing. And where the caller says so (`takes_clear_password`), a password
that comes in clear over an insecure transport is taken, though never asked for: mysql-connector-python and libmariadb
(unless told not to use TLS) send it like that to every server without TLS, which MySQL answers with 1045.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from protocol.auth import (
    CACHING_SHA2_PASSWORD,
    CLEAR_PASSWORD,
    FAST_AUTH_SUCCESS,
    FULL_AUTH_NEEDED,
    NATIVE_PASSWORD,
    NONCE_LENGTH,
    PUBLIC_KEY_REQUEST,
    Verifier,
    unxor_password,
    verify_native,
    verify_sha2,
)
from protocol.commands import parse_change_user
from protocol.constants import Capability, ErrorCode
from protocol.errors import PACKET_TOO_LARGE, LocalProtocolError, RemoteProtocolError
from protocol.framing import frame
from protocol.handshake import (
    LOGIN_LIMIT,
    AuthMoreData,
    AuthSwitchRequest,
    HandshakeResponse41,
    HandshakeV10,
    SSLRequest,
    bad_handshake,
    is_ssl_request,
)
from protocol.packets import build_err, build_ok
from protocol.session_track import SessionChanges

# What Fanin offers to its clients (design.md, "Capabilities"); SSL is added where TLS is to be had. Bit 0 is set: we
# are no MariaDB, whatever the server version says, and have no extended capabilities. Not offered because not handled in
# full: COMPRESS and ZSTD_COMPRESSION_ALGORITHM, QUERY_ATTRIBUTES, OPTIONAL_RESULTSET_METADATA,
# MULTI_FACTOR_AUTHENTICATION, CAN_HANDLE_EXPIRED_PASSWORDS (sandbox mode), NO_SCHEMA. IGNORE_SPACE and INTERACTIVE
# mean something for the session (sql_mode, wait_timeout) and have to be honoured by whoever opens backends.
OFFERED_CAPABILITIES: Final = int(
    Capability.LONG_PASSWORD
    | Capability.FOUND_ROWS
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.ODBC
    | Capability.LOCAL_FILES
    | Capability.IGNORE_SPACE
    | Capability.PROTOCOL_41
    | Capability.INTERACTIVE
    | Capability.IGNORE_SIGPIPE
    | Capability.TRANSACTIONS
    | Capability.RESERVED
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

_SSL: Final = int(Capability.SSL)
_PLUGIN_AUTH: Final = int(Capability.PLUGIN_AUTH)

_NEW: Final = 0
_RESPONSE: Final = 1
_TLS: Final = 2
_LOGIN: Final = 3
_SWITCHED: Final = 4
_FULL: Final = 5
_KEY_SENT: Final = 6
_VERDICT: Final = 7
_CLOSED: Final = 8


class RejectReason(Enum):
    """Why a login was rejected without asking the caller."""

    WRONG_PASSWORD = "wrong password"
    # The client only knows mysql_native_password, and no native hash is known: configure one, or the password.
    NO_NATIVE_HASH = "no native hash"
    # The password would have to travel readable: no TLS, no Unix socket, and no RSA key pair.
    NO_SECRECY = "no secrecy"
    # requires_tls, and the client did not ask for TLS.
    TLS_REQUIRED = "tls required"


class LoginEvent:
    """What `ServerLogin` reports."""

    __slots__ = ()


class TlsRequested(LoginEvent):
    """The client wants TLS: take over the bytes that its reader has left (`rest()`), upgrade, call `tls_started()`."""

    __slots__ = ()


class LoginRequested(LoginEvent):
    """Who wants in, and how. Call `verify()` next (or `reject()`)."""

    __slots__ = (
        "attributes",
        "capabilities",
        "collation",
        "database",
        "max_packet",
        "plugin",
        "user",
        "uses_password",
    )

    def __init__(
        self,
        user: bytes,
        database: bytes | None,
        collation: int,
        capabilities: int,
        max_packet: int,
        attributes: dict[bytes, bytes],
        plugin: bytes | None,
        uses_password: bool,
    ) -> None:
        self.user: bytes = user
        # None when none was named.
        self.database: bytes | None = database
        # Lower 8 bits of the collation id from the handshake; all 16 after COM_CHANGE_USER; 0: the server's default.
        self.collation: int = collation
        # Agreed: what the client has and what we offered.
        self.capabilities: int = capabilities
        self.max_packet: int = max_packet
        self.attributes: dict[bytes, bytes] = attributes
        # The plugin that the client named; None when it does not know of plugins.
        self.plugin: bytes | None = plugin
        # For MySQL's "(using password: YES)", as far as can be told at this point.
        self.uses_password: bool = uses_password


class PasswordReceived(LoginEvent):
    """The client sent its password itself (a secret; possibly empty). Check it, then `accept()` or `reject()`."""

    __slots__ = ("password",)

    def __init__(self, password: bytes) -> None:
        self.password: bytes = password


class Verified(LoginEvent):
    """The response matches the verifier. `accept()`, or `reject()` for another reason."""

    __slots__ = ("native_stage1",)

    def __init__(self, native_stage1: bytes | None) -> None:
        # SHA1(password), a secret: known after mysql_native_password, enough to log in to a server with the same plugin.
        self.native_stage1: bytes | None = native_stage1


class Rejected(LoginEvent):
    """The login cannot succeed. Call `reject()` with this code, or with a better text."""

    __slots__ = ("code", "message", "reason")

    def __init__(self, code: int, message: bytes, reason: RejectReason) -> None:
        self.code: int = code
        self.message: bytes = message
        self.reason: RejectReason = reason


class ServerLogin:
    """One login of one client. After an event that asks for nothing (None) feed the client's next payload.

    Sequence ids: `receive` is told the id of our next packet, which is `PacketReader.sequence_id` after
    `next_payload`; after each call set that back from `sequence_id` here, which has moved by what was sent. The reader checks
    the client's ids; it should have the limit `LOGIN_LIMIT`, which is checked here, too.
    """

    __slots__ = (
        "_auth_response",
        "_can_switch",
        "_capabilities",
        "_charset",
        "_connection_id",
        "_decrypt",
        "_greeting_nonce",
        "_is_change_of_user",
        "_is_configured",
        "_is_native_only",
        "_nonce",
        "_offers_tls",
        "_out",
        "_plugin",
        "_public_key_pem",
        "_requires_tls",
        "_server_version",
        "_state",
        "_status",
        "_takes_clear_password",
        "_user",
        "_verifier",
        "is_secure",
        "is_tls",
        "limit",
        "request",
        "sequence_id",
    )

    def __init__(
        self,
        *,
        connection_id: int,
        server_version: bytes,
        charset: int,
        status: int,
        capabilities: int,
        nonce: bytes,
        is_secure: bool,
        offers_tls: bool,
        requires_tls: bool,
        public_key_pem: bytes | None,
        decrypt: Callable[[bytes], bytes] | None,
        limit: int = LOGIN_LIMIT,
        takes_clear_password: bool = False,
    ) -> None:
        """`nonce`: see `auth.nonce_of`. `is_secure`: the client is connected by a Unix socket; TLS is added by
        `tls_started()`. `requires_tls` is satisfied by a Unix socket, as MySQL's require_secure_transport is.
        `decrypt` undoes RSA-OAEP with our private key and raises ValueError for what was not made with it.
        `takes_clear_password`: for connections over loopback, where a client that is that careless harms nobody.
        """
        if len(nonce) != NONCE_LENGTH or 0 in nonce:
            raise LocalProtocolError("a nonce has 20 bytes, none of them NUL")
        if not capabilities & _PLUGIN_AUTH:
            raise LocalProtocolError("PLUGIN_AUTH must be offered")
        self._connection_id: int = connection_id
        self._server_version: bytes = server_version
        self._charset: int = charset
        self._status: int = status
        self._capabilities: int = capabilities | _SSL if offers_tls else capabilities & ~_SSL
        self._nonce: bytes = nonce
        self._offers_tls: bool = offers_tls
        self._requires_tls: bool = requires_tls
        # Half a key pair is none.
        self._public_key_pem: bytes | None = None if decrypt is None else public_key_pem
        self._decrypt: Callable[[bytes], bytes] | None = None if public_key_pem is None else decrypt
        self._takes_clear_password: bool = takes_clear_password
        # Longest payload accepted from the client, in bytes.
        self.limit: int = limit
        # Whether nobody can listen in: a Unix socket, or TLS.
        self.is_secure: bool = is_secure
        self.is_tls: bool = False
        # Id of our next packet, and after that of the client's.
        self.sequence_id: int = 0
        # Set when the client has said who it is.
        self.request: LoginRequested | None = None
        self._user: bytes = b""
        self._state: int = _NEW
        self._out: bytes = b""
        # The client's response, until `verify`, and the plugin it was made for.
        self._auth_response: bytes = b""
        self._plugin: bytes = NATIVE_PASSWORD
        # The client knows AuthSwitchRequest (PLUGIN_AUTH), and has not been sent one.
        self._can_switch: bool = False
        self._is_change_of_user: bool = False
        # Only for a change of user, and only if the caller kept it.
        self._greeting_nonce: bytes | None = None
        self._verifier: Verifier | None = None
        self._is_native_only: bool = False
        self._is_configured: bool = False

    @staticmethod
    def for_change_user(
        payload: bytes,
        *,
        capabilities: int,
        nonce: bytes,
        is_secure: bool,
        public_key_pem: bytes | None,
        decrypt: Callable[[bytes], bytes] | None,
        limit: int = LOGIN_LIMIT,
        takes_clear_password: bool = False,
        greeting_nonce: bytes | None = None,
    ) -> ServerLogin:
        """A login for a COM_CHANGE_USER, whose payload this is; `capabilities` as agreed at login, `nonce` a fresh one.

        `request` is set already: call `verify()` next. It always asks to switch the plugin, to bring the new nonce into
        play, like MySQL; the response in the payload was made with an old nonce, or is a dummy, and is ignored. Raises
        RemoteProtocolError 1835 for a malformed payload. Our first packet has the id 1: the PacketReader for what the
        client sends must start with `sequence_id`, as always.

        `greeting_nonce`: the nonce of the greeting, if the caller has kept it. With mysql_native_password libmariadb and
        libmysqlclient answer that one here, whatever the switch says (MariaDB repeats it, too); so without it that plugin
        is only used where nothing else is possible.
        """
        change = parse_change_user(payload, capabilities)
        login = ServerLogin(
            connection_id=0,
            server_version=b"",
            charset=0,
            status=0,
            capabilities=capabilities | _PLUGIN_AUTH,
            nonce=nonce,
            is_secure=is_secure,
            offers_tls=False,
            requires_tls=False,
            public_key_pem=public_key_pem,
            decrypt=decrypt,
            limit=limit,
            takes_clear_password=takes_clear_password,
        )
        login.sequence_id = 1
        login._is_change_of_user = True
        login._greeting_nonce = greeting_nonce
        login._ask(
            LoginRequested(
                change.user,
                change.database,
                change.collation,
                capabilities,
                0,
                change.attributes,
                change.plugin or None,
                change.auth_response != b"",
            ),
            change.auth_response,
            capabilities & _PLUGIN_AUTH != 0,
        )
        return login

    def greeting(self) -> bytes:
        """The first packet, in wire form."""
        self._expect(_NEW)
        self._state = _RESPONSE
        greeting = HandshakeV10(
            self._server_version,
            self._connection_id,
            self._nonce,
            self._capabilities,
            self._charset,
            self._status,
            CACHING_SHA2_PASSWORD,
        )
        self.sequence_id = 1
        return frame(greeting.build(), 0)

    def take_output(self) -> bytes:
        """What has to be sent to the client now, in wire form; empty if nothing."""
        out = self._out
        self._out = b""
        return out

    def receive(self, payload: bytes, sequence_id: int) -> LoginEvent | None:
        """The client's next payload; `sequence_id`: see the class. None: it was answered, wait for the next.

        Raises RemoteProtocolError for what the protocol does not allow here (`reject` with its code and close), and
        LocalProtocolError when it is the caller's turn.
        """
        state = self._state
        if state not in (_RESPONSE, _SWITCHED, _FULL, _KEY_SENT):
            raise LocalProtocolError("the login does not wait for a payload")
        self.sequence_id = sequence_id & 0xFF
        # For the case that the next lines raise: nothing but a rejection is possible then.
        self._state = _VERDICT
        if len(payload) > self.limit:
            raise RemoteProtocolError("packet too large for a login", PACKET_TOO_LARGE)
        if state == _RESPONSE:
            return self._receive_response(payload)
        if state == _SWITCHED:
            return self._check(payload)
        return self._receive_secret(payload, state)

    def _receive_response(self, payload: bytes) -> LoginEvent:
        if not self.is_tls and is_ssl_request(payload):
            SSLRequest.parse(payload)
            if not self._offers_tls:
                raise bad_handshake("the client asks for TLS, which was not offered")
            self._state = _TLS
            return TlsRequested()
        response = HandshakeResponse41.parse(payload)
        if self._requires_tls and not self.is_secure:
            # MySQL, too, first lets the client say who it is.
            return Rejected(
                int(ErrorCode.SECURE_TRANSPORT_REQUIRED),
                b"Connections using insecure transport are prohibited while --require_secure_transport=ON.",
                RejectReason.TLS_REQUIRED,
            )
        request = LoginRequested(
            response.user,
            response.database or None,
            response.collation,
            response.capabilities & self._capabilities,
            response.max_packet,
            response.attributes,
            response.plugin,
            response.auth_response != b"",
        )
        self._ask(request, response.auth_response, response.plugin is not None)
        return request

    def _ask(self, request: LoginRequested, auth_response: bytes, knows_plugins: bool) -> None:
        self.request = request
        self._user = request.user
        self._auth_response = auth_response
        self._can_switch = knows_plugins
        # "If the client does not have PLUGIN_AUTH, the method is mysql_native_password."
        self._plugin = request.plugin if request.plugin is not None and knows_plugins else NATIVE_PASSWORD
        self._state = _LOGIN

    def tls_started(self) -> None:
        """The caller has upgraded the connection; the client sends its response again, encrypted."""
        self._expect(_TLS)
        self._state = _RESPONSE
        self.is_tls = True
        self.is_secure = True

    def verify(
        self, verifier: Verifier | None, native_only: bool = False, is_configured: bool = False
    ) -> LoginEvent | None:
        """What is known of the user's password: None when nothing is, and the client has to tell it.

        `native_only`: do not use caching_sha2_password even though the verifier could (a verifier without `sha2` implies
        it). `is_configured`: the verifier is final, and a mismatch is a wrong password; otherwise it was learnt, the
        password may have changed since, and after a mismatch the client is asked for its password wherever that is
        possible. None: something has to be sent to the client, and its answer to be received.
        """
        self._expect(_LOGIN)
        self._verifier = verifier
        self._is_native_only = native_only or (verifier is not None and verifier.is_native_only)
        self._is_configured = is_configured
        self._state = _VERDICT
        wanted = self._choose_plugin()
        if self._is_change_of_user or wanted != self._plugin or self._is_dummy():
            return self._switch(wanted)
        return self._check(self._auth_response)

    def _is_dummy(self) -> bool:
        """Whether an empty response only says that the client could not use the greeting's nonce."""
        return self._auth_response == b"" and self._plugin != CACHING_SHA2_PASSWORD and self._can_switch

    def _choose_plugin(self) -> bytes:
        if self._plugin == CLEAR_PASSWORD and self.is_secure:
            return CLEAR_PASSWORD
        if self._is_native_only:
            return NATIVE_PASSWORD
        if (
            self._plugin == NATIVE_PASSWORD
            and self._verifier is not None
            and self._verifier.native is not None
            and (self._is_configured or (self._auth_response != b"" and not self._is_change_of_user))
            and (self._greeting_nonce is not None or not self._is_change_of_user)
        ):
            return NATIVE_PASSWORD
        return CACHING_SHA2_PASSWORD

    def _switch(self, plugin: bytes) -> LoginEvent | None:
        if not self._can_switch:
            # No PLUGIN_AUTH. Nothing can be asked for, but the empty password needs no plugin.
            if self._auth_response == b"":
                return PasswordReceived(b"")
            return self._denied(RejectReason.NO_NATIVE_HASH)
        self._can_switch = False
        self._plugin = plugin
        if plugin == NATIVE_PASSWORD and self._greeting_nonce is not None:
            self._nonce = self._greeting_nonce
        self._send(AuthSwitchRequest(plugin, self._nonce).build())
        self._state = _SWITCHED
        return None

    def _check(self, response: bytes) -> LoginEvent | None:
        """The client's response for the plugin in use."""
        if self._plugin == CLEAR_PASSWORD:
            return PasswordReceived(response.removesuffix(b"\x00"))
        # caching_sha2_password says "empty" with a NUL, mysql_native_password with nothing.
        if response in (b"", b"\x00"):
            return PasswordReceived(b"")
        if self._plugin == NATIVE_PASSWORD:
            return self._check_native(response)
        verifier = self._verifier
        if (
            verifier is not None
            and verifier.sha2 is not None
            and verify_sha2(response, self._nonce, verifier.sha2)
        ):
            self._send(AuthMoreData(FAST_AUTH_SUCCESS).build())
            return Verified(None)
        if not self.is_secure and self._public_key_pem is None:
            return self._denied(RejectReason.NO_SECRECY)
        self._send(AuthMoreData(FULL_AUTH_NEEDED).build())
        self._state = _FULL
        return None

    def _check_native(self, response: bytes) -> LoginEvent | None:
        verifier = self._verifier
        if verifier is None or verifier.native is None:
            return self._denied(RejectReason.NO_NATIVE_HASH)
        stage1 = verify_native(response, self._nonce, verifier.native)
        if stage1 is not None:
            return Verified(stage1)
        if self._can_switch and not self._is_configured and not self._is_native_only:
            return self._switch(CACHING_SHA2_PASSWORD)
        return self._denied(RejectReason.WRONG_PASSWORD)

    def _receive_secret(self, payload: bytes, state: int) -> LoginEvent | None:
        """Full authentication: a request for the public key, the password in clear, or the password encrypted."""
        if state == _FULL and payload == PUBLIC_KEY_REQUEST and self._public_key_pem is not None:
            self._send(AuthMoreData(self._public_key_pem).build())
            self._state = _KEY_SENT
            return None
        if state == _FULL and self.is_secure:
            return PasswordReceived(payload.removesuffix(b"\x00"))
        password = self._decrypted(payload)
        if password is None and state == _FULL and self._takes_clear_password and payload.endswith(b"\x00"):
            password = payload[:-1]
        if password is None:
            return self._denied(RejectReason.WRONG_PASSWORD)
        return PasswordReceived(password)

    def _decrypted(self, secret: bytes) -> bytes | None:
        """The password; None, whatever was wrong: a difference that shows would be an oracle."""
        decrypt = self._decrypt
        assert decrypt is not None  # else nobody was asked to encrypt
        try:
            return unxor_password(decrypt(secret), self._nonce)
        except ValueError:
            return None

    def accept(self, status: int, message: bytes = b"", changes: SessionChanges | None = None) -> bytes:
        """The client is in: what has to be sent, the OK included, in wire form. `changes` as for `build_ok`."""
        self._expect(_VERDICT)
        self._send(build_ok(status=status, message=message, changes=changes))
        self._state = _CLOSED
        return self.take_output()

    def reject(self, code: int, sqlstate: bytes | None, message: bytes) -> bytes:
        """The client is not in: what has to be sent, the ERR included, in wire form. Close afterwards.

        An `sqlstate` of None is the one that MySQL uses for the code. Possible at any time before `accept()`; instead of the greeting it is an ERR without SQLSTATE.
        """
        if self._state in (_CLOSED, _TLS):
            raise LocalProtocolError("nothing can be rejected here")
        self._send(build_err(code, sqlstate, message, before_handshake=self._state == _NEW))
        self._state = _CLOSED
        return self.take_output()

    def _denied(self, reason: RejectReason) -> Rejected:
        text = b"Access denied for user '%b' (using password: YES)" % self._user
        if reason is RejectReason.NO_NATIVE_HASH:
            text += b": the client can only use mysql_native_password, for which no hash is known"
        elif reason is RejectReason.NO_SECRECY:
            text += b": Authentication requires secure connection."
        return Rejected(int(ErrorCode.ACCESS_DENIED_ERROR), text, reason)

    def _send(self, payload: bytes) -> None:
        self._out += frame(payload, self.sequence_id)
        self.sequence_id = (self.sequence_id + 1) & 0xFF

    def _expect(self, state: int) -> None:
        if self._state != state:
            raise LocalProtocolError("the login is not in a state for this call")
