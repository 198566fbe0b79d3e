"""Our connection to the real server, on which one client's commands are run."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, Self, cast

from protocol.client import BackendEvent, ClientLogin, Connected, Refused
from protocol.constants import Capability
from protocol.framing import PacketReader, frame
from protocol.handshake import LOGIN_LIMIT, HandshakeV10
from protocol.response import ResponseTracker
from protocol.server import LoginRequested
from protocol.session_track import EVERYTHING
from protocol.wire import read_lenenc_int
from proxy.results import text_row
from proxy.rsa import encrypt

HOST: Final = "127.0.0.1"
COM_QUERY: Final = b"\x03"


class Owner(Protocol):
    """Who gets what the server sends."""

    def came(self, chunk: bytes) -> None:
        """Bytes of the command phase."""

    def backend_lost(self) -> None:
        """The connection has ended."""


class Unreachable(Exception):
    """The real server does not let anybody in; `greeting` is what it said instead, empty when it said nothing."""

    def __init__(self, greeting: bytes) -> None:
        super().__init__(greeting)
        self.greeting = greeting


class Backend(asyncio.Protocol):
    """Greeted, then logged in, then its owner's."""

    def __init__(self) -> None:
        self.greeting: HandshakeV10
        self.capabilities = 0
        self.owner: Owner | None = None
        self.is_lost = False
        self._transport: asyncio.Transport
        # what came while nobody owned it, and who waits for that
        self._unread = bytearray()
        self._came = asyncio.Event()

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect and read the greeting. Raises Unreachable."""
        try:
            _, made = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        except OSError:
            raise Unreachable(b"") from None
        reader = PacketReader(LOGIN_LIMIT)
        first = b""
        while (payload := reader.next_payload()) is None:
            first += (chunk := await made._next())
            if not chunk:
                raise Unreachable(first)
            reader.feed(chunk)
        if payload[0] == 0xFF:
            raise Unreachable(first)
        made.greeting = HandshakeV10.parse(payload)
        made._unread += first
        return made

    async def log_in(self, request: LoginRequested, password: bytes) -> Connected | Refused:
        """As this client, with the capabilities that were agreed with it. Raises Unreachable."""
        login = ClientLogin(
            user=request.user,
            password=password,
            native_stage1=None,
            database=request.database,
            collation=request.collation & 0xFF,
            capabilities=request.capabilities,
            attributes=request.attributes,
            tls="disabled",
            is_secure=False,
            encrypt=encrypt,
        )
        event: BackendEvent | None = None
        while not isinstance(event, Connected | Refused):
            chunk = await self._next()
            if not chunk:
                raise Unreachable(b"")
            event = login.receive(chunk)
            self.write(login.take_output())
        self.capabilities = login.capabilities
        return event

    def tracker(self) -> ResponseTracker:
        """One that follows this connection's responses."""
        return ResponseTracker(
            deprecate_eof=bool(self.capabilities & Capability.DEPRECATE_EOF),
            session_track=bool(self.capabilities & Capability.SESSION_TRACK),
        )

    def begin(self, tracker: ResponseTracker, command: int) -> None:
        """A command is sent."""
        tracker.begin(command, bool(self.capabilities & Capability.DEPRECATE_EOF), EVERYTHING, tracker.status)

    async def rows(self, text: str) -> list[list[bytes | None]]:
        """The rows that a statement of ours gives, while nobody owns the connection; none for an error. Raises Unreachable."""
        owner, self.owner = self.owner, None
        tracker = self.tracker()
        self.begin(tracker, COM_QUERY[0])
        self.write(frame(COM_QUERY + text.encode()))
        reader = PacketReader(1 << 30, 1)
        while not tracker.is_complete:
            chunk = await self._next()
            if not chunk:
                raise Unreachable(b"")
            reader.feed(chunk)
            tracker.feed(chunk)
        self.owner = owner
        if tracker.is_error or not tracker.has_result_set:
            return []
        return rows_of(reader, bool(self.capabilities & Capability.DEPRECATE_EOF))

    def write(self, wire: bytes) -> None:
        if wire:
            self._transport.write(wire)

    def close(self) -> None:
        """End it. Nobody is told."""
        self.owner = None
        self._transport.abort()

    def stop_reading(self, is_stopped: bool) -> None:
        """Backpressure of the client's."""
        if is_stopped:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def _next(self) -> bytes:
        """What has come; empty at the end."""
        if not self._unread and not self.is_lost:
            self._came.clear()
            await self._came.wait()
        chunk = bytes(self._unread)
        self._unread.clear()
        return chunk

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, chunk: bytes) -> None:
        if self.owner is not None:
            self.owner.came(chunk)
            return
        self._unread += chunk
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._came.set()
        if self.owner is not None:
            self.owner.backend_lost()


def rows_of(reader: PacketReader, is_deprecating_eof: bool) -> list[list[bytes | None]]:
    """The rows of a text result set whose packets the reader has."""
    payloads = []
    while (payload := reader.next_payload()) is not None:
        payloads.append(payload)
    columns, _ = read_lenenc_int(payloads[0], 0)
    return [text_row(payload, columns) for payload in payloads[1 + columns + (not is_deprecating_eof) : -1]]
