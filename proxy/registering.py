"""Tells the parent which connections this worker has to servers: it has to know that when this process dies (`orphans`). A shell."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.backend import Backend
from proxy.credentials import Credential
from proxy.endpoint import Endpoint
from proxy.orphans import Connection, Key, name_of_user, port_of, told_of
from proxy.shares import Tell


class Register:
    """Of one worker. A connection is told before anything runs on it, and forgotten a moment after it has ended, as seen from here."""

    def __init__(self, tell: Tell, now: Callable[[], float] = monotonic) -> None:
        self._tell: Final = tell
        self._now: Final = now
        self._told: Final[dict[Backend, Key]] = {}
        # what users log in with, as it was told
        self._credentials: Final[dict[str, Credential]] = {}

    def opened(self, endpoint: Endpoint, backend: Backend, credential: Credential) -> None:
        """It has logged in with this."""
        user = name_of_user(credential.user)
        if self._credentials.get(user) is not credential:
            self._credentials[user] = credential
            self._tell("credential", [user, told_of(credential)])
        port = port_of(backend.transport.get_extra_info("sockname"))
        connection = Connection(endpoint.name, backend.server_id, user, port, self._now())
        self._told[backend] = connection.key
        self._tell("opened", connection)

    def look(self) -> None:
        """The coarse tick: those that have ended."""
        closed = [backend for backend in self._told if backend.is_gone()]
        if closed:
            self._tell("closed", [self._told.pop(backend) for backend in closed])
