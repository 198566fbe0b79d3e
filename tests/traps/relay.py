"""A TCP relay in front of a server, which cuts the line at a word."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass
from typing import Final, Self

from bench.servers import HOST
from tests.integration.running import Fanin

PIECE: Final = 65536


class Relay:
    """Passes bytes on both ways until told otherwise. A context manager."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._word = b""
        self._before = False
        self._sent: list[bytes] = []
        self._open: list[socket.socket] = []
        self._servers: list[socket.socket] = []

    def start(self) -> Self:
        """Begin to accept."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self) -> None:
        """Close everything."""
        self._listener.close()
        for each in self._open:
            each.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def upstream(self, name: str = "primary", role: str = "writer") -> dict[str, object]:
        """It as an upstream of Fanin's."""
        return {"host": HOST, "port": self.port, "name": name, "role": role}

    def cut_after(self, word: bytes) -> None:
        """The next answer to what has this word never arrives: the line is cut instead."""
        self._word, self._before = word, False

    def cut_before(self, word: bytes) -> None:
        """What has this word never arrives: the line is cut instead."""
        self._word, self._before = word, True

    @property
    def pieces(self) -> list[bytes]:
        """What came from clients, as it came."""
        return list(self._sent)

    def inject(self, content: bytes) -> None:
        """Send the server something of our own on every connection: commands that have no answer, while nothing runs."""
        for server in self._servers:
            with contextlib.suppress(OSError):
                server.sendall(content)

    def forget(self) -> None:
        """What clients have sent so far does not count, and no line is to be cut."""
        self._sent.clear()
        self._word = b""

    def seen(self, word: bytes) -> int:
        """How often clients have sent it."""
        return sum(piece.count(word) for piece in self._sent)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._server_port))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open += [client, server]
                self._servers.append(server)
                threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), selectors.DefaultSelector() as ready, client, server:
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            is_cut = False
            while True:
                for key, _ in ready.select():
                    piece = key.fileobj.recv(PIECE)  # type: ignore[union-attr]
                    if not piece or (is_cut and key.fileobj is server):
                        return
                    if key.fileobj is client:
                        self._sent.append(piece)
                        if self._word and self._word in piece:
                            self._word, is_cut = b"", True
                            if self._before:
                                return
                        server.sendall(piece)
                    else:
                        client.sendall(piece)


@dataclass(frozen=True)
class Routed:
    """Fanin in front of a writer and two readers, which are one server by three ways."""

    fanin: Fanin
    relays: list[Relay]

    def seen(self, word: str) -> list[int]:
        """How often the writer, the first and the second reader got what has this word."""
        return [relay.seen(word.encode()) for relay in self.relays]
