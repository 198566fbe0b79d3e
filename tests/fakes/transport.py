"""A transport in memory: what one end of a connection writes, the peer gets, in order and a turn of the loop later.

It behaves as the transports of asyncio and uvloop where the difference matters: `pause_reading` stops deliveries at once, the end of
the stream included; `pause_writing` of the protocol is called from within `write`; a `BufferedProtocol` is filled again and again
as long as bytes are there, as uvloop does; `connection_lost` comes in a later turn; what is written after the end goes nowhere.
"""

from __future__ import annotations

import asyncio
from typing import Any

HIGH_WATER = 65536
LOW_WATER = 16384


class Peer:
    """The other end."""

    def received(self, chunk: bytes) -> None:
        """The protocol under test has written this."""

    def ended(self, is_aborted: bool) -> None:
        """The protocol under test has closed the connection."""


class MemoryTransport(asyncio.Transport):
    """The end of the connection that the code under test has."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Any,
        peer: Peer,
        host: Any = None,
        address: Any = None,
    ) -> None:
        super().__init__()
        # of this end
        self.address = address
        self.loop = loop
        self.peer = peer
        self.host = host
        self.is_aborted = False
        self.reads = True
        # the peer takes what is written
        self.is_taken = True
        self._protocol = protocol
        self._incoming: list[bytes] = []
        self._is_at_end = False
        self._unsent = bytearray()
        self._is_write_paused = False
        self._is_closing = False
        self._is_lost = False

    # What the code under test calls

    def write(self, data: Any) -> None:
        assert isinstance(data, (bytes, bytearray)), data
        if self._is_closing or not data:
            return
        self._unsent += data
        if self.is_taken:
            self._flush()
        elif len(self._unsent) > HIGH_WATER and not self._is_write_paused:
            self._is_write_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self._unsent:
                self._lose(None, False)

    def abort(self) -> None:
        self._is_closing = True
        self.is_aborted = True
        self._unsent.clear()
        self._lose(None, True)

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        assert not self._is_closing, "uvloop raises, once the handle is closed"
        self.reads = False

    def resume_reading(self) -> None:
        assert not self._is_closing, "uvloop would read again"
        if not self.reads:
            self.reads = True
            self.loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return self.reads

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.address if name == "sockname" else default

    # What the peer does

    def deliver(self, chunk: bytes) -> None:
        """Bytes arrive, as one segment."""
        self._incoming.append(chunk)
        self._deliver()

    def deliver_end(self) -> None:
        """The peer has closed its end in order."""
        self._is_at_end = True
        self._deliver()

    def break_off(self, error: Exception) -> None:
        """The connection breaks."""
        self._is_closing = True
        self._unsent.clear()
        self._lose(error, True)

    def stop_taking(self) -> None:
        """The peer reads no more: what is written stays here."""
        self.is_taken = False

    def take_again(self) -> None:
        """The peer reads again."""
        self.is_taken = True
        self._flush()

    # Inside

    def _flush(self) -> None:
        chunk = bytes(self._unsent)
        self._unsent.clear()
        if chunk:
            self.loop.call_soon(self.peer.received, chunk)
        if self._is_write_paused:
            self._is_write_paused = False
            self._protocol.resume_writing()
        if self._is_closing:
            self._lose(None, False)

    def _deliver(self) -> None:
        while self._incoming and self.reads and not self._is_closing:
            chunk = self._incoming.pop(0)
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                rest = self._fill(chunk)
                if rest:
                    self._incoming.insert(0, rest)
            else:
                self._protocol.data_received(chunk)
        if self._is_at_end and not self._incoming and self.reads and not self._is_closing:
            self._is_at_end = False
            if not self._protocol.eof_received():
                self.close()

    def _fill(self, chunk: bytes) -> bytes:
        """One read into the protocol's buffer; what did not fit."""
        buffer = self._protocol.get_buffer(-1)
        count = min(len(buffer), len(chunk))
        assert count, "an empty buffer"
        buffer[:count] = chunk[:count]
        self._protocol.buffer_updated(count)
        return chunk[count:]

    def _lose(self, error: Exception | None, is_aborted: bool) -> None:
        if not self._is_lost:
            self._is_lost = True
            self.loop.call_soon(self._protocol_lost, error)
            self.loop.call_soon(self.peer.ended, is_aborted)

    def _protocol_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
