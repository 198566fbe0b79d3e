"""Accepts clients: TCP and Unix sockets, `limits.max_clients`, and what happens when file descriptors run out.

An `Acceptor` accepts, an `Entrance` serves, and a `Listener` is both in one process; with several workers the parent has the acceptors (`handing`).

Sockets are accepted here and not by the event loop's server, because a full process must neither spin nor drop clients: when no
descriptor is free, accepting pauses, clients wait in the kernel's backlog, and it goes on when some are.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from proxy.login import Doorway, Login
from proxy.reasons import CloseReason
from proxy.replies import too_many_clients
from proxy.tasks import spawn

if TYPE_CHECKING:
    from config.values import Address
    from proxy.shared import Shared

BACKLOG: Final = 4096
"""Connections that the kernel keeps for us; it takes the smaller of this and net.core.somaxconn."""
ACCEPTS_AT_ONCE: Final = 8
"""Clients taken in one look of the event loop, each for about what ten queries cost, so that those who are in are not held up."""
PAUSE: Final = 0.1
"""Seconds without accepting after the descriptors have run out."""
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListenError(Exception):
    """An address cannot be listened on; the text says why."""


class Acceptor:
    """One address that clients connect to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Any, address: Address) -> None:
        """Bind and listen. Raises ListenError."""
        self._loop = loop
        self._log = log
        self.socket = _bound(address)
        self.is_paused = False
        self.is_closed = False
        if address.path is not None:
            self.name = f"unix:{address.path}"
        else:
            host, port = self.socket.getsockname()[:2]
            self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._path = address.path

    def start(self) -> None:
        """Take clients from now on."""
        self._loop.add_reader(self.socket, self._accept)

    def close(self) -> None:
        """Take no more clients; a Unix socket's file is removed."""
        if self.is_closed:
            return
        self.is_closed = True
        if not self.is_paused:
            self._loop.remove_reader(self.socket)
        self.socket.close()
        if self._path is not None and os.path.exists(self._path):
            os.unlink(self._path)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, address = self.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._accept_failed(error)
                return
            self._accepted(accepted, address)

    def _accept_failed(self, error: OSError) -> None:
        if error.errno not in EXHAUSTED:
            self._log.warning("accept failed", listener=self.name, reason=str(error))
            return
        self._log.warning(
            "no file descriptor is free; accepting pauses", listener=self.name, reason=str(error)
        )
        self.pause()
        self._loop.call_later(PAUSE, self.resume)

    def pause(self) -> None:
        """Leave clients in the kernel's backlog until `resume`."""
        if not self.is_paused and not self.is_closed:
            self.is_paused = True
            self._loop.remove_reader(self.socket)

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.is_paused and not self.is_closed:
            self.is_paused = False
            self.start()

    def _accepted(self, accepted: socket.socket, address: object) -> None:
        """A client."""
        raise NotImplementedError


class Entrance:
    """What is behind an address that clients connect to, whichever process has accepted them."""

    def __init__(self, shared: Shared, name: str, doorway: Doorway) -> None:
        self.shared = shared
        self.name = name
        self.doorway = doorway
        self.is_closed = False

    def start(self) -> None:
        """Clients may come: who has accepted them waits for that."""

    def close(self) -> None:
        """Nobody is sent here any more."""
        self.is_closed = True

    def admit(self, accepted: socket.socket, address: object) -> None:
        """Serve a client, or refuse it when there are too many."""
        shared = self.shared
        counters = shared.counters
        accepted.setblocking(False)
        if shared.counters.frontends_open >= shared.max_clients:
            counters.frontends_refused += 1
            counters.count_close("frontend", CloseReason.TOO_MANY_CLIENTS.value)
            refuse(accepted)
            return
        counters.frontends_total += 1
        counters.frontends_open += 1
        if accepted.family == socket.AF_UNIX:
            peer, host = self.name, "localhost"
        else:
            assert isinstance(address, tuple)
            host = address[0]
            peer = f"{host}:{address[1]}"
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        spawn(self._serve(accepted, Login(shared, self.doorway, peer, host)), name="accept")

    async def _serve(self, accepted: socket.socket, login: Login) -> None:
        try:
            await self.shared.loop.connect_accepted_socket(lambda: login, accepted)
        except OSError as error:
            accepted.close()
            self.shared.log.warning("a client could not be served", peer=login.peer, reason=str(error))
            login.end(CloseReason.CLIENT_LEFT)


class Listener(Acceptor):
    """One address whose clients this process serves."""

    def __init__(self, shared: Shared, address: Address, doorway: Doorway) -> None:
        """Bind and listen. Raises ListenError."""
        super().__init__(shared.loop, shared.log, address)
        self.shared = shared
        self.doorway = doorway
        self._entrance = Entrance(shared, self.name, doorway)

    def _accepted(self, accepted: socket.socket, address: object) -> None:
        self._entrance.admit(accepted, address)


def refuse(accepted: socket.socket) -> None:
    """1040 in MySQL's words, before the handshake and so without an SQLSTATE ("ERR_Packet")."""
    with suppress(OSError):
        accepted.send(too_many_clients().wire_before_greeting())
    accepted.close()


def _bound(address: Address) -> socket.socket:
    if address.path is not None:
        return _bound_unix(address.path)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        found = socket.getaddrinfo(
            address.host, address.port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE
        )
        listener = socket.socket(found[0][0], socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found[0][4])
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _bound_unix(path: str) -> socket.socket:
    """A Unix socket that everybody may connect to, as MySQL's; a dead one of an earlier process is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path):
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                raise ListenError(f"cannot listen on unix:{path}: the file exists and is no socket")
            if _is_served(path):
                raise ListenError(f"cannot listen on unix:{path}: another process serves it")
            os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o777)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on unix:{path}: {error.strerror or error}") from error
    except ListenError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
