"""Packets: 4-byte header, sequence id, 16 MiB split and join, limits on everything that is kept.

"Protocol Basics: Packets": a header is int<3> payload length and int<1> sequence id. "If the payload is larger
than or equal to 2^24-1 bytes the length is set to 2^24-1 and additional packets are sent with the rest of the
payload until the payload of a packet is less than 2^24-1 bytes": hence the empty follower of a payload that is an
exact multiple. The id "is incremented with each packet and may wrap around. It starts at 0 and is reset to 0 when
a new command begins".

Three readers, because three things are wanted of packets: PacketReader gives payloads (connection phase, answers
to our own commands), CommandReader gives a client's commands in their wire form, to be passed on untouched, and
FileReader follows the file that a client sends for LOAD DATA LOCAL without keeping any of it. Responses on the
data path are followed by response.ResponseTracker instead.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from protocol.errors import OUT_OF_ORDER, PACKET_TOO_LARGE, LocalProtocolError, RemoteProtocolError

MAX_PAYLOAD: Final = 0xFFFFFF
HEADER_SIZE: Final = 4

_NOTHING: Final = b""


def packet_too_large(length: int, limit: int) -> RemoteProtocolError:
    """The error for a payload (of so many bytes so far) beyond the limit."""
    return RemoteProtocolError(
        f"packet of {length} bytes or more exceeds the limit of {limit}", PACKET_TOO_LARGE
    )


def out_of_order(expected: int, got: int) -> RemoteProtocolError:
    """The error for a sequence id that is not the next one."""
    return RemoteProtocolError(f"packet out of order: sequence id {got} instead of {expected}", OUT_OF_ORDER)


def frame(payload: bytes, sequence_id: int = 0) -> bytes:
    """The wire form of a payload: one packet, or several from 0xFFFFFF bytes on. Ids count from sequence_id, mod 256."""
    length = len(payload)
    if length < MAX_PAYLOAD:
        return (length | (sequence_id & 0xFF) << 24).to_bytes(4, "little") + payload
    parts = []
    pos = 0
    while pos <= length:  # "<=": an exact multiple is followed by an empty packet
        part = payload[pos : pos + MAX_PAYLOAD]
        parts.append((len(part) | (sequence_id & 0xFF) << 24).to_bytes(4, "little"))
        parts.append(part)
        sequence_id += 1
        pos += MAX_PAYLOAD
    return b"".join(parts)


def payload_of(wire: bytes) -> bytes:
    """The payload in the wire form of exactly one command (or other logical packet), split packets joined.

    Raises LocalProtocolError when wire is anything else: it is meant for what a reader of this module returned.
    """
    size = len(wire)
    if size >= HEADER_SIZE and size - HEADER_SIZE == wire[0] | wire[1] << 8 | wire[2] << 16 < MAX_PAYLOAD:
        return wire[HEADER_SIZE:]
    parts = []
    pos = 0
    length = MAX_PAYLOAD
    while length == MAX_PAYLOAD:
        if pos + HEADER_SIZE > size:
            raise LocalProtocolError("not the wire form of one whole packet: a header is cut off")
        length = wire[pos] | wire[pos + 1] << 8 | wire[pos + 2] << 16
        pos += HEADER_SIZE
        parts.append(wire[pos : pos + length])
        pos += length
    if pos != size:
        raise LocalProtocolError(f"not the wire form of one whole packet: {size} bytes instead of {pos}")
    return b"".join(parts)


def answer_id(wire: bytes) -> int:
    """The id that the answer begins with, given one or more commands in wire form: it counts on from the last command's packets."""
    pos: i64 = 0
    size: i64 = len(wire)
    found = 0
    while pos + HEADER_SIZE <= size:
        found = wire[pos + 3] + 1
        pos += HEADER_SIZE + (wire[pos] | wire[pos + 1] << 8 | wire[pos + 2] << 16)
    return found & 0xFF


class PacketReader:
    """Gives whole payloads; checks sequence ids (1156) and the length of payloads (1153).

    For both sides of the connection phase, and for answers to our own commands. After a RemoteProtocolError the
    reader is of no further use.
    """

    __slots__ = ("_buffer", "_joined", "limit", "sequence_id")

    def __init__(self, limit: int, sequence_id: int = 0) -> None:
        # Longest payload accepted, in bytes. May be set at any time; judges headers that are read afterwards.
        self.limit: int = limit
        # Id expected of the next packet. Since both sides count in turns it is also the id of our next packet:
        # whoever sends n packets adds n (mod 256).
        self.sequence_id: int = sequence_id
        self._buffer: bytearray = bytearray()
        # The full packets of a split payload whose end has not come yet.
        self._joined: bytearray = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Takes what came from the peer, in whatever pieces. Raises nothing; what is wrong shows in next_payload."""
        self._buffer += chunk

    def next_payload(self) -> bytes | None:
        """The next payload, None when more bytes are needed.

        Raises RemoteProtocolError 1156 for a wrong sequence id and 1153 as soon as a header announces too much.
        """
        while len(self._buffer) >= HEADER_SIZE:
            length = self._check_header()
            end = HEADER_SIZE + length
            if len(self._buffer) < end:
                return None
            payload = bytes(memoryview(self._buffer)[HEADER_SIZE:end])
            del self._buffer[:end]
            self.sequence_id = (self.sequence_id + 1) & 0xFF
            if length == MAX_PAYLOAD:
                self._joined += payload
            elif self._joined:
                payload = bytes(self._joined) + payload
                self._joined = bytearray()
                return payload
            else:
                return payload
        return None

    def _check_header(self) -> int:
        """Payload length in the header at the start of the buffer."""
        header = int.from_bytes(self._buffer[:HEADER_SIZE], "little")
        length = header & MAX_PAYLOAD
        if header >> 24 != self.sequence_id:
            raise out_of_order(self.sequence_id, header >> 24)
        if len(self._joined) + length > self.limit:
            raise packet_too_large(len(self._joined) + length, self.limit)
        return length

    def rest(self) -> bytes:
        """All bytes that were fed and not returned; forgets them.

        At the switch to TLS these are the beginning of the peer's TLS records; at the end of the connection phase
        the beginning of the next phase.
        """
        rest = bytes(self._buffer)
        self._buffer = bytearray()
        return rest

    @property
    def buffered(self) -> int:
        """Bytes kept: fed, and neither returned nor forgotten."""
        return len(self._joined) + len(self._buffer)


class CommandReader:
    """Cuts a client's byte stream into commands, in their wire form, so that they can be passed on untouched.

    The common case, one chunk that is exactly one command, costs no copy. After a RemoteProtocolError the reader
    is of no further use.
    """

    __slots__ = ("_chunk", "_needed", "_partial", "_pos", "limit")

    def __init__(self, limit: int) -> None:
        # Longest payload of a command accepted, in bytes (max_allowed_packet). May be set at any time.
        self.limit: int = limit
        # Unread are _chunk from _pos on and then _partial. At most one of the two holds anything: bytes as they
        # came while whole commands can be cut from them, then a bytearray that collects an incomplete command.
        self._chunk: bytes = _NOTHING
        self._pos: int = 0
        self._partial: bytearray = bytearray()
        # So many bytes of _partial it takes to get any further.
        self._needed: int = 0

    def feed(self, chunk: bytes) -> None:
        """Takes what came from the client, in whatever pieces. Raises nothing; what is wrong shows in next_command."""
        if self._partial:
            self._partial += chunk
        elif not self._chunk:
            self._chunk = chunk
        else:
            self._partial += memoryview(self._chunk)[self._pos :]
            self._partial += chunk
            self._chunk = _NOTHING
            self._pos = 0
            self._needed = 0

    def next_command(self) -> bytes | None:
        """The next whole command with its header (or headers, if it is split), None when more bytes are needed.

        A command may be empty (four bytes); MySQL answers that with 1047. Raises RemoteProtocolError 1156 when the
        sequence ids are not 0, 1, 2 ... and 1153 as soon as a header announces more than the limit.
        """
        if self._partial:
            if len(self._partial) < self._needed:
                return None
            self._chunk = bytes(self._partial)
            self._partial = bytearray()
        chunk = self._chunk
        if not chunk:
            return None
        start: i64 = self._pos
        end = self._end_of_command(chunk, start)
        if end < 0:
            self._keep_partial(chunk, start, -end)
            return None
        size: i64 = len(chunk)
        if end == size:
            self._chunk = _NOTHING
            self._pos = 0
            return chunk if start == 0 else chunk[start:]
        self._pos = end
        return chunk[start:end]

    def _end_of_command(self, chunk: bytes, start: i64) -> i64:
        """Where the command at start ends; minus the number of bytes that it takes to tell, if it is incomplete."""
        size: i64 = len(chunk)
        pos: i64 = start
        sequence_id: i64 = 0
        payload: i64 = 0
        length: i64 = MAX_PAYLOAD
        limit: i64 = self.limit
        while length == MAX_PAYLOAD:
            if pos + HEADER_SIZE > size:
                return start - pos - HEADER_SIZE
            length = chunk[pos] | chunk[pos + 1] << 8 | chunk[pos + 2] << 16
            if chunk[pos + 3] != sequence_id:
                raise out_of_order(sequence_id, chunk[pos + 3])
            payload += length
            if payload > limit:
                raise packet_too_large(payload, limit)
            pos += HEADER_SIZE + length
            sequence_id = (sequence_id + 1) & 0xFF
        return pos if pos <= size else start - pos

    def _keep_partial(self, chunk: bytes, start: int, needed: int) -> None:
        self._partial += memoryview(chunk)[start:]
        self._needed = needed
        self._chunk = _NOTHING
        self._pos = 0

    @property
    def has_partial(self) -> bool:
        """Whether anything is left: an incomplete command, or commands that were not asked for yet."""
        return self.buffered > 0

    @property
    def buffered(self) -> int:
        """Bytes kept: fed, and neither returned nor taken."""
        return len(self._chunk) - self._pos + len(self._partial)

    def take_raw(self) -> bytes:
        """All bytes that were fed and not returned, as they are; forgets them.

        For the time in which the client does not send commands: a file for LOAD DATA LOCAL, authentication after
        COM_CHANGE_USER.
        """
        raw = bytes(self._partial) if self._partial else self._chunk[self._pos :]
        self._partial = bytearray()
        self._chunk = _NOTHING
        self._pos = 0
        return raw


class FileReader:
    """Follows the file that a client sends for LOAD DATA LOCAL, up to the empty packet that ends it.

    "Protocol::LOCAL_INFILE_Request": the client sends packets with the file's content and then an empty packet;
    ids go on counting from the request. Nothing is kept but a cut header. Since the ids that a client saw can
    differ from those that the server sent (see response), they are renumbered where necessary.
    """

    __slots__ = ("_header", "_is_split", "_left", "_shift", "is_complete", "rest", "sequence_id")

    def __init__(self, sequence_id: int, server_sequence_id: int) -> None:
        # Id expected of the client's next packet.
        self.sequence_id: int = sequence_id
        self._shift: int = server_sequence_id - sequence_id
        # Bytes of a header that was cut by the end of a chunk.
        self._header: bytes = _NOTHING
        # Bytes of the current packet that are still to come.
        self._left: int = 0
        # The last packet was full, so that the next one belongs to it: if that is empty, it does not end the file.
        self._is_split: bool = False
        # The empty packet was seen; what followed it in the same chunk is in rest: the next command.
        self.is_complete: bool = False
        self.rest: bytes = _NOTHING

    @property
    def server_sequence_id(self) -> int:
        """The id with which the server goes on: after the end of the file that of its answer."""
        return (self.sequence_id + self._shift) & 0xFF

    def feed(self, chunk: bytes) -> bytes:
        """What the server must be sent for this chunk: the same object when no id needs to change.

        Raises RemoteProtocolError 1156 for a wrong sequence id and LocalProtocolError after the end of the file.
        """
        if self.is_complete:
            raise LocalProtocolError("the file has ended")
        if self._header:
            chunk = self._header + chunk
            self._header = _NOTHING
        headers = self._walk(chunk)
        if self._header:
            chunk = chunk[: len(chunk) - len(self._header)]
        elif self.rest:
            chunk = chunk[: len(chunk) - len(self.rest)]
        if self._shift & 0xFF == 0 or not headers:
            return chunk
        renumbered = bytearray(chunk)
        for pos in headers:
            renumbered[pos + 3] = (renumbered[pos + 3] + self._shift) & 0xFF
        return bytes(renumbered)

    def _walk(self, chunk: bytes) -> list[int]:
        """Positions of the headers in chunk, up to the end of the file or a cut header."""
        headers = []
        size = len(chunk)
        pos = self._left
        while pos + HEADER_SIZE <= size:
            if chunk[pos + 3] != self.sequence_id:
                raise out_of_order(self.sequence_id, chunk[pos + 3])
            headers.append(pos)
            self.sequence_id = (self.sequence_id + 1) & 0xFF
            length = chunk[pos] | chunk[pos + 1] << 8 | chunk[pos + 2] << 16
            pos += HEADER_SIZE + length
            if length == 0 and not self._is_split:
                self.is_complete = True
                self._left = 0
                self.rest = chunk[pos:]
                return headers
            self._is_split = length == MAX_PAYLOAD
        if pos <= size:
            self._header = chunk[pos:]
            self._left = 0
        else:
            self._left = pos - size
        return headers
