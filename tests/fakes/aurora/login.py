"""Who a client is. It is the real server that lets it in, or does not: with the client's own password, which we make it tell us."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.servers import PASSWORD, REPLICATION_USER, USER
from protocol.auth import Verifier, nonce_of
from protocol.constants import Capability
from protocol.framing import PacketReader
from protocol.handshake import LOGIN_LIMIT, HandshakeV10
from protocol.server import (
    OFFERED_CAPABILITIES,
    LoginEvent,
    LoginRequested,
    PasswordReceived,
    Rejected,
    ServerLogin,
    Verified,
)
from proxy.rsa import KeyPair

KEYS: Final = KeyPair()

ACCOUNTS: Final[Mapping[bytes, bytes]] = {
    USER.encode(): PASSWORD.encode(),
    REPLICATION_USER.encode(): REPLICATION_USER.encode(),
}
"""Passwords that need not be told, which saves the client a round trip. All others are asked for."""


@dataclass(slots=True)
class Known:
    """A client that has said who it is. Whether that is so the real server decides."""

    request: LoginRequested
    password: bytes


class Greeter:
    """One login of a client, fed with what it sends; `output` has to be sent to it after each call."""

    def __init__(self, login: ServerLogin, wanted: LoginRequested | None = None) -> None:
        self.login = login
        self._reader = PacketReader(LOGIN_LIMIT, login.sequence_id)
        self._event: LoginEvent | None = wanted
        self._unsent = b""

    @classmethod
    def of_connection(cls, greeting: HandshakeV10) -> Greeter:
        """A new client, greeted as the real server has greeted us; with a nonce of our own."""
        login = ServerLogin(
            connection_id=greeting.connection_id,
            server_version=greeting.server_version,
            charset=greeting.collation,
            status=greeting.status,
            # MariaDB has bit 0 cleared and extended capabilities instead
            capabilities=OFFERED_CAPABILITIES & (greeting.capabilities | Capability.LONG_PASSWORD),
            nonce=nonce_of(os.urandom(20)),
            is_secure=False,
            offers_tls=False,
            requires_tls=False,
            public_key_pem=KEYS.public_key_pem(),
            decrypt=KEYS.decrypt,
        )
        wire = login.greeting()
        greeter = cls(login)
        greeter._unsent = wire
        return greeter

    @classmethod
    def of_change(cls, payload: bytes, capabilities: int) -> Greeter:
        """A COM_CHANGE_USER."""
        login = ServerLogin.for_change_user(
            payload,
            capabilities=capabilities,
            nonce=nonce_of(os.urandom(20)),
            is_secure=False,
            public_key_pem=KEYS.public_key_pem(),
            decrypt=KEYS.decrypt,
        )
        return cls(login, login.request)

    def output(self) -> bytes:
        """What has to be sent."""
        unsent, self._unsent = self._unsent, b""
        return unsent + self.login.take_output()

    def rest(self) -> bytes:
        """What the client has sent that is no part of the login."""
        return self._reader.rest()

    def receive(self, chunk: bytes) -> Known | Rejected | None:
        """What came; who it is, once that is known. Raises RemoteProtocolError."""
        self._reader.feed(chunk)
        while True:
            if self._event is None:
                payload = self._reader.next_payload()
                if payload is None:
                    return None
                self._event = self.login.receive(payload, self._reader.sequence_id)
            event, self._event = self._event, None
            if isinstance(event, LoginRequested):
                self._event = self.login.verify(self._verifier(event.user))
                self._reader.sequence_id = self.login.sequence_id
                continue
            self._reader.sequence_id = self.login.sequence_id
            if event is not None:
                return self._known(event)

    def _verifier(self, user: bytes) -> Verifier | None:
        return Verifier.of_password(ACCOUNTS[user]) if user in ACCOUNTS else None

    def _known(self, event: LoginEvent) -> Known | Rejected:
        request = self.login.request
        assert request is not None
        if isinstance(event, Verified):
            return Known(request, ACCOUNTS[request.user])
        if isinstance(event, PasswordReceived):
            return Known(request, event.password)
        assert isinstance(event, Rejected)
        return event
