"""Payloads of the connection phase: greeting, TLS request, the client's response, and what plugins exchange.

Only layouts, in both directions; who may send what and when is decided in `server` and `client`. The pages of the
MySQL source documentation are named at each class. MariaDB differs in one thing: a server or client that clears
capability bit 0 (LONG_PASSWORD, which MariaDB calls CLIENT_MYSQL) puts its *extended capabilities* into four
bytes that MySQL leaves zero. Here they are the bits from 32 up of `capabilities`.

``parse`` raises RemoteProtocolError 1043 (bad handshake) for anything cut off or contradictory, and 1251 for a
client from before MySQL 4.1. Lengths and names are the peer's claims; nothing here trusts them. ``build`` raises
LocalProtocolError for values that the chosen layout cannot carry. No class shows its contents in a repr: responses
and nonces are material for guessing passwords.
"""

from __future__ import annotations

from typing import Final

from protocol.constants import Capability, ErrorCode
from protocol.errors import HANDSHAKE_ERROR, LocalProtocolError, RemoteProtocolError
from protocol.wire import (
    lenenc_bytes,
    nul_bytes,
    read_bytes,
    read_lenenc_bytes,
    read_nul_bytes,
    read_uint8,
    read_uint16,
    read_uint32,
    uint16,
    uint32,
)

_CLIENT_MYSQL: Final = int(Capability.LONG_PASSWORD)
_CONNECT_WITH_DB: Final = int(Capability.CONNECT_WITH_DB)
_PROTOCOL_41: Final = int(Capability.PROTOCOL_41)
_SSL: Final = int(Capability.SSL)
_SECURE_CONNECTION: Final = int(Capability.SECURE_CONNECTION)
_PLUGIN_AUTH: Final = int(Capability.PLUGIN_AUTH)
_CONNECT_ATTRS: Final = int(Capability.CONNECT_ATTRS)
_LENENC_RESPONSE: Final = int(Capability.PLUGIN_AUTH_LENENC_CLIENT_DATA)
_ZSTD: Final = int(Capability.ZSTD_COMPRESSION_ALGORITHM)

_LOWER: Final = 0xFFFFFFFF
# Bytes of SSLRequest, and of the part of HandshakeResponse41 that is the same: flags, max packet, collation, filler.
FIXED_PART: Final = 32
# The server's limit on all connection attributes together (read_client_connect_attrs: "impose an artificial length
# limit of 64k").
ATTRIBUTES_LIMIT: Final = 65535

# Longest payload accepted in the connection phase, from either side, in bytes. A judgement: responses carry at most
# 64 KiB of attributes besides names and a password, a public key has 800 bytes, an OK with trackers some KiB.
LOGIN_LIMIT: Final = 1 << 20

OLD_PASSWORD: Final = b"mysql_old_password"


def bad_handshake(what: str) -> RemoteProtocolError:
    """The error for a payload of the connection phase that is not what it should be."""
    return RemoteProtocolError(f"bad handshake: {what}", HANDSHAKE_ERROR)


class HandshakeV10:
    """The server's greeting ("Protocol::HandshakeV10")."""

    __slots__ = ("capabilities", "collation", "connection_id", "nonce", "plugin", "server_version", "status")

    def __init__(
        self,
        server_version: bytes,
        connection_id: int,
        nonce: bytes,
        capabilities: int,
        collation: int,
        status: int,
        plugin: bytes,
    ) -> None:
        # As sent: MariaDB's begins with "5.5.5-" up to 10.x, and clients tell MariaDB by that.
        self.server_version: bytes = server_version
        self.connection_id: int = connection_id
        # Without the NUL at its end: 20 bytes, or 8 from a server without SECURE_CONNECTION.
        self.nonce: bytes = nonce
        # What the server offers; the bits from 32 up are MariaDB's.
        self.capabilities: int = capabilities
        # The server's default collation, lower 8 bits only.
        self.collation: int = collation
        self.status: int = status
        # The plugin that the nonce is for; empty when the server lacks PLUGIN_AUTH.
        self.plugin: bytes = plugin

    @staticmethod
    def parse(payload: bytes) -> HandshakeV10:
        """Read a greeting."""
        try:
            return _parse_greeting(payload)
        except RemoteProtocolError as error:
            raise bad_handshake(str(error)) from None

    def build(self) -> bytes:
        """The payload. The nonce must have 20 bytes, and SECURE_CONNECTION must be among the capabilities."""
        capabilities = self.capabilities
        if len(self.nonce) != 20 or not capabilities & _SECURE_CONNECTION:
            raise LocalProtocolError("a greeting needs a nonce of 20 bytes and SECURE_CONNECTION")
        has_plugin = capabilities & _PLUGIN_AUTH != 0
        parts = [
            b"\x0a",
            nul_bytes(self.server_version),
            uint32(self.connection_id & _LOWER),
            self.nonce[:8],
            b"\x00",
            uint16(capabilities & 0xFFFF),
            bytes((self.collation & 0xFF,)),
            uint16(self.status),
            uint16(capabilities >> 16 & 0xFFFF),
            bytes((21 if has_plugin else 0,)),  # with the NUL
            bytes(6),
            _extended(capabilities),
            self.nonce[8:],
            b"\x00",
        ]
        if has_plugin:
            parts.append(nul_bytes(self.plugin))
        return b"".join(parts)


def _parse_greeting(payload: bytes) -> HandshakeV10:
    version, pos = read_uint8(payload, 0)
    if version != 10:
        raise RemoteProtocolError(f"protocol version {version} instead of 10")
    server_version, pos = read_nul_bytes(payload, pos)
    connection_id, pos = read_uint32(payload, pos)
    nonce, pos = read_bytes(payload, pos, 8)
    capabilities, pos = read_uint16(payload, pos + 1)
    if pos == len(payload):  # "if more data in the packet": servers before 4.1 stop here
        return HandshakeV10(server_version, connection_id, nonce, capabilities, 0, 0, b"")
    collation, pos = read_uint8(payload, pos)
    status, pos = read_uint16(payload, pos)
    upper, pos = read_uint16(payload, pos)
    capabilities |= upper << 16
    nonce_length, pos = read_uint8(payload, pos)
    extended, pos = read_uint32(payload, pos + 6)
    if not capabilities & _CLIENT_MYSQL:
        capabilities |= extended << 32
    if capabilities & (_SECURE_CONNECTION | _PLUGIN_AUTH):
        # "$length = MAX(13, length of auth-plugin-data - 8)"; the last byte is the NUL.
        rest, pos = read_bytes(payload, pos, max(13, nonce_length - 8))
        nonce += rest.removesuffix(b"\x00")
    plugin = b""
    if capabilities & _PLUGIN_AUTH:
        # Servers before 5.5.10 forgot the NUL (bug 59453), so the end of the packet ends the name, too.
        plugin = payload[pos:].partition(b"\x00")[0]
    return HandshakeV10(server_version, connection_id, nonce, capabilities, collation, status, plugin)


def _extended(capabilities: int) -> bytes:
    """The four bytes for MariaDB's extended capabilities: zero unless bit 0 is cleared."""
    return uint32(0 if capabilities & _CLIENT_MYSQL else capabilities >> 32 & _LOWER)


def is_ssl_request(payload: bytes) -> bool:
    """Whether a client's first payload asks for TLS.

    By the flag and not by the length of 32 bytes, as MySQL decides: a client may send its whole response in clear.
    """
    flags = int.from_bytes(payload[:2], "little")
    return flags & _SSL != 0 and flags & _PROTOCOL_41 != 0


class SSLRequest:
    """The client wants TLS ("Protocol::SSLRequest"): the first 32 bytes of its response, which it sends again later."""

    __slots__ = ("capabilities", "collation", "max_packet")

    def __init__(self, capabilities: int, max_packet: int, collation: int) -> None:
        self.capabilities: int = capabilities
        self.max_packet: int = max_packet
        self.collation: int = collation

    @staticmethod
    def parse(payload: bytes) -> SSLRequest:
        """Read it; what follows the first 32 bytes is ignored."""
        if len(payload) < FIXED_PART or not is_ssl_request(payload):
            raise bad_handshake("not a request for TLS")
        capabilities, max_packet, collation = _parse_fixed_part(payload)
        return SSLRequest(capabilities, max_packet, collation)

    def build(self) -> bytes:
        """The payload; PROTOCOL_41 and SSL are added to the capabilities."""
        return _fixed_part(self.capabilities | _SSL, self.max_packet, self.collation)


def _parse_fixed_part(payload: bytes) -> tuple[int, int, int]:
    """Capabilities, max packet and collation of a payload of at least 32 bytes."""
    capabilities = int.from_bytes(payload[:4], "little")
    if not capabilities & _CLIENT_MYSQL:
        capabilities |= int.from_bytes(payload[28:32], "little") << 32
    return capabilities, int.from_bytes(payload[4:8], "little"), payload[8]


def _fixed_part(capabilities: int, max_packet: int, collation: int) -> bytes:
    flags = uint32(capabilities & _LOWER | _PROTOCOL_41)
    return flags + uint32(max_packet) + bytes((collation & 0xFF,)) + bytes(19) + _extended(capabilities)


class HandshakeResponse41:
    """The client's answer to the greeting ("Protocol::HandshakeResponse41").

    The layout follows `capabilities`, as claimed by the client: PLUGIN_AUTH_LENENC_CLIENT_DATA,
    SECURE_CONNECTION or neither decide how the authentication response is delimited; CONNECT_WITH_DB, PLUGIN_AUTH,
    CONNECT_ATTRS and ZSTD_COMPRESSION_ALGORITHM, which fields there are.
    """

    __slots__ = (
        "attributes",
        "auth_response",
        "capabilities",
        "collation",
        "database",
        "max_packet",
        "plugin",
        "user",
        "zstd_level",
    )

    def __init__(
        self,
        capabilities: int,
        max_packet: int,
        collation: int,
        user: bytes,
        auth_response: bytes,
        database: bytes | None = None,
        plugin: bytes | None = None,
        attributes: dict[bytes, bytes] | None = None,
        zstd_level: int = 0,
    ) -> None:
        # PROTOCOL_41 is always among them; the bits from 32 up are MariaDB's.
        self.capabilities: int = capabilities | _PROTOCOL_41
        self.max_packet: int = max_packet
        # Lower 8 bits of the collation id.
        self.collation: int = collation
        self.user: bytes = user
        self.auth_response: bytes = auth_response
        # None without CONNECT_WITH_DB; may be empty with it.
        self.database: bytes | None = database
        # None without PLUGIN_AUTH: then the response is for mysql_native_password.
        self.plugin: bytes | None = plugin
        self.attributes: dict[bytes, bytes] = {} if attributes is None else attributes
        # Only meaningful with ZSTD_COMPRESSION_ALGORITHM.
        self.zstd_level: int = zstd_level

    @staticmethod
    def parse(payload: bytes) -> HandshakeResponse41:
        """Read a response. 1251 for a client without PROTOCOL_41 ("Protocol::HandshakeResponse320")."""
        if len(payload) >= 2 and not int.from_bytes(payload[:2], "little") & _PROTOCOL_41:
            raise RemoteProtocolError(
                "the client uses the protocol from before MySQL 4.1", int(ErrorCode.NOT_SUPPORTED_AUTH_MODE)
            )
        if len(payload) < FIXED_PART:
            raise bad_handshake("the response is cut off")
        try:
            return _parse_response(payload)
        except RemoteProtocolError as error:
            raise bad_handshake(str(error)) from None

    def build(self) -> bytes:
        """The payload in the layout that the capabilities demand."""
        capabilities = self.capabilities
        parts = [_fixed_part(capabilities, self.max_packet, self.collation), nul_bytes(self.user)]
        if capabilities & _LENENC_RESPONSE:
            parts.append(lenenc_bytes(self.auth_response))
        elif capabilities & _SECURE_CONNECTION:
            if len(self.auth_response) > 255:
                raise LocalProtocolError("the authentication response is too long for its one-byte length")
            parts.append(bytes((len(self.auth_response),)) + self.auth_response)
        else:
            parts.append(nul_bytes(self.auth_response))
        if capabilities & _CONNECT_WITH_DB:
            parts.append(nul_bytes(self.database or b""))
        if capabilities & _PLUGIN_AUTH:
            parts.append(nul_bytes(self.plugin or b""))
        if capabilities & _CONNECT_ATTRS:
            parts.append(build_attributes(self.attributes))
        if capabilities & _ZSTD:
            parts.append(bytes((self.zstd_level,)))
        return b"".join(parts)


def _parse_response(payload: bytes) -> HandshakeResponse41:
    capabilities, max_packet, collation = _parse_fixed_part(payload)
    user, pos = read_nul_bytes(payload, FIXED_PART)
    if capabilities & _LENENC_RESPONSE:
        auth_response, pos = read_lenenc_bytes(payload, pos)
    elif capabilities & _SECURE_CONNECTION:
        length, pos = read_uint8(payload, pos)
        auth_response, pos = read_bytes(payload, pos, length)
    else:
        auth_response, pos = read_nul_bytes(payload, pos)
    response = HandshakeResponse41(capabilities, max_packet, collation, user, auth_response)
    if capabilities & _CONNECT_WITH_DB:
        response.database, pos = read_nul_bytes(payload, pos)
    if capabilities & _PLUGIN_AUTH:
        response.plugin, pos = _read_plugin(payload, pos)
    if capabilities & _CONNECT_ATTRS:
        response.attributes, pos = read_attributes(payload, pos)
    if capabilities & _ZSTD:
        response.zstd_level, pos = read_uint8(payload, pos)
    return response


def _read_plugin(payload: bytes, pos: int) -> tuple[bytes, int]:
    """The plugin's name at pos. As in MySQL, one without an end counts as empty: the server then names a plugin."""
    end = payload.find(b"\x00", pos)
    if end < 0:
        return b"", len(payload)
    return payload[pos:end], end + 1


def read_attributes(payload: bytes, pos: int) -> tuple[dict[bytes, bytes], int]:
    """Connection attributes at pos: the length of all, then keys and values; and the position after them.

    As with a real server, only the length of all is binding: pairs that do not add up are dropped, with all that
    follow them. They are labels for people, and no reason to refuse a login.
    """
    block, end = read_lenenc_bytes(payload, pos)
    if len(block) > ATTRIBUTES_LIMIT:
        raise RemoteProtocolError(f"more than {ATTRIBUTES_LIMIT} bytes of connection attributes")
    attributes: dict[bytes, bytes] = {}
    at = 0
    while at < len(block):
        try:
            key, at = read_lenenc_bytes(block, at)
            value, at = read_lenenc_bytes(block, at)
        except RemoteProtocolError:
            break
        attributes[key] = value
    return attributes, end


def build_attributes(attributes: dict[bytes, bytes]) -> bytes:
    """Connection attributes with the length of all in front."""
    return lenenc_bytes(
        b"".join([lenenc_bytes(key) + lenenc_bytes(value) for key, value in attributes.items()])
    )


class AuthSwitchRequest:
    """The server wants another plugin ("Protocol::AuthSwitchRequest"); a new nonce comes with it."""

    __slots__ = ("nonce", "plugin")

    def __init__(self, plugin: bytes, nonce: bytes) -> None:
        self.plugin: bytes = plugin
        # Without the NUL at its end.
        self.nonce: bytes = nonce

    @staticmethod
    def parse(payload: bytes) -> AuthSwitchRequest:
        """Read it. A payload of 0xFE alone ("Protocol::OldAuthSwitchRequest") means mysql_old_password."""
        if payload[:1] != b"\xfe":
            raise bad_handshake("not a request to switch the authentication plugin")
        if len(payload) == 1:
            return AuthSwitchRequest(OLD_PASSWORD, b"")
        plugin, separator, nonce = payload[1:].partition(b"\x00")
        if not separator:
            raise bad_handshake("the name of the authentication plugin has no end")
        return AuthSwitchRequest(plugin, nonce.removesuffix(b"\x00"))

    def build(self) -> bytes:
        """The payload."""
        return b"\xfe" + nul_bytes(self.plugin) + self.nonce + b"\x00"


class AuthMoreData:
    """What a plugin of the server has to say in between ("Protocol::AuthMoreData")."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content: bytes = content

    @staticmethod
    def parse(payload: bytes) -> AuthMoreData:
        """Read it."""
        if payload[:1] != b"\x01":
            raise bad_handshake("not a message of an authentication plugin")
        return AuthMoreData(payload[1:])

    def build(self) -> bytes:
        """The payload."""
        return b"\x01" + self.content
