"""A blocking client that shows what travels: whole responses as payloads, with whatever capabilities a test wants.

It finds the end of a response by itself, by rules simpler than the proxy's, so that the two can disagree.
"""

from __future__ import annotations

import socket
from typing import Final, Self

from bench.servers import HOST, PASSWORD, SCHEMA, USER
from protocol.client import ClientLogin, Connected, Refused
from protocol.constants import Capability, ServerStatus
from protocol.packets import OkPacket, parse_eof, parse_err, parse_ok
from protocol.wire import read_lenenc_int
from proxy.results import text_row
from proxy.rsa import encrypt

PLAIN: Final = (
    Capability.LONG_PASSWORD
    | Capability.LONG_FLAG
    | Capability.PROTOCOL_41
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
)
"""What every client has in common."""
TRACKING: Final = PLAIN | Capability.SESSION_TRACK
NEWEST: Final = TRACKING | Capability.DEPRECATE_EOF

MAX_PAYLOAD: Final = 0xFFFFFF
LONGEST_EOF: Final = 8
BETWEEN: Final = b"\xfe\0\0\0\0"
"""Stands for the EOF between definitions and rows: a proxy cannot know the warnings and status flags of what is still to come, and
clients go by those of the last EOF."""


class Refusal(Exception):
    """A login was refused."""

    def __init__(self, code: int, sqlstate: str, message: str) -> None:
        super().__init__(f"{code} ({sqlstate}) {message}")
        self.code = code
        self.sqlstate = sqlstate
        self.message = message


class WireClient:
    """One connection. A context manager."""

    def __init__(
        self,
        port: int,
        *,
        capabilities: int = PLAIN,
        collation: int = 45,
        user: str = USER,
        password: str = PASSWORD,
        database: str | None = SCHEMA,
        host: str = HOST,
    ) -> None:
        """Connect and log in. Raises Refusal."""
        self.capabilities = int(capabilities)
        self.socket = socket.create_connection((host, port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.first_id = 1
        login = ClientLogin(
            user=user.encode(),
            password=password.encode(),
            native_stage1=None,
            database=None if database is None else database.encode(),
            collation=collation,
            capabilities=int(capabilities),
            attributes={},
            tls="disabled",
            is_secure=False,
            encrypt=encrypt,
        )
        try:
            self.connected = self._log_in(login)
        except BaseException:
            self.close()
            raise

    def _log_in(self, login: ClientLogin) -> Connected:
        while True:
            chunk = self.stream.read1()
            if not chunk:
                raise ConnectionError("the connection has ended during the login")
            event = login.receive(chunk)
            while event is not None:
                if isinstance(event, Refused):
                    raise Refusal(event.code, event.sqlstate.decode(), event.message.decode())
                if isinstance(event, Connected):
                    return event
                event = login.next_event()
            if output := login.take_output():
                self.socket.sendall(output)

    @property
    def thread_id(self) -> int:
        """The connection id of the greeting."""
        return self.connected.connection_id

    def close(self) -> None:
        """Close without a word."""
        self.stream.close()
        self.socket.close()

    def quit(self) -> None:
        """COM_QUIT, and wait for the end."""
        self.send(b"\x01")
        self.stream.read()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- sending

    def send(self, payload: bytes) -> None:
        """A command; read the answer with `response`."""
        # the answer counts on from the packets of the command
        self.first_id = 1 + len(payload) // MAX_PAYLOAD
        self.socket.sendall(framed(payload))

    def send_query(self, text: str) -> None:
        """COM_QUERY without waiting for the answer."""
        self.send(b"\x03" + text.encode())

    def command(self, payload: bytes) -> list[bytes]:
        """A command and the payloads of its response."""
        self.send(payload)
        return self.response(payload[0])

    def query(self, text: str) -> list[bytes]:
        """COM_QUERY and the payloads of its response."""
        return self.command(b"\x03" + text.encode())

    def ok(self, text: str) -> OkPacket:
        """The OK that a statement without rows is answered with. Fails on an ERR."""
        payload = self.query(text)[0]
        assert payload[0] != 0xFF, parse_err(payload).message
        return parse_ok(payload, bool(self.capabilities & Capability.SESSION_TRACK))

    def value(self, text: str) -> bytes | None:
        """The only value of a result set, as text."""
        return text_rows(self.query(text), self.is_deprecating_eof)[0][0]

    @property
    def is_deprecating_eof(self) -> bool:
        """Whether CLIENT_DEPRECATE_EOF was asked for."""
        return bool(self.capabilities & Capability.DEPRECATE_EOF)

    # --- reading

    def payload(self, expected_id: int) -> bytes:
        """The next payload; its packets must have the ids from `expected_id` on. `next_id` follows."""
        whole = b""
        while True:
            header = self.stream.read(4)
            if len(header) < 4:
                raise ConnectionError("the connection ended")
            length = int.from_bytes(header[:3], "little")
            assert header[3] == expected_id & 0xFF, f"packet {header[3]} where {expected_id} was due"
            expected_id += 1
            whole += self.stream.read(length)
            if length < MAX_PAYLOAD:
                self.next_id = expected_id
                return whole

    def response(self, command: int) -> list[bytes]:
        """All payloads of one response."""
        self.next_id = self.first_id
        if command == 0x16:
            return self._prepared()
        found: list[bytes] = []
        while True:
            first = self.payload(self.next_id)
            found.append(first)
            if first[0] == 0xFF or command == 0x09:
                return found
            if command in (0x04, 0x1C):
                self._rows(found, [first])
                return found
            if first[0] == 0x00 or (first[0] == 0xFE and len(first) <= LONGEST_EOF):
                if not self._has_more(first):
                    return found
                continue
            if first[0] == 0xFB:
                return found
            columns, _ = read_lenenc_int(first, 0)
            found += [self.payload(self.next_id) for _ in range(columns)]
            has_parameters = False
            if not self.is_deprecating_eof:
                found.append(self.payload(self.next_id))
                if found[-1][0] == 0xFF:
                    return found
                status = parse_eof(found[-1]).status
                if status & ServerStatus.CURSOR_EXISTS:
                    return found
                # MySQL leaves both bits out of the EOF behind OUT parameters, and more comes all the same
                has_parameters = bool(status & ServerStatus.PS_OUT_PARAMS)
                found[-1] = BETWEEN
            end = self._rows(found, [])
            if has_parameters and end[0] != 0xFF:
                found[-1] = BETWEEN
            elif end[0] == 0xFF or not self._has_more(end):
                return found

    def _rows(self, found: list[bytes], seen: list[bytes]) -> bytes:
        last = seen[-1] if seen else b""
        while not last or not self._ends_rows(last):
            last = self.payload(self.next_id)
            found.append(last)
        return last

    def _ends_rows(self, payload: bytes) -> bool:
        limit = MAX_PAYLOAD if self.is_deprecating_eof else LONGEST_EOF
        return payload[0] == 0xFF or (payload[0] == 0xFE and len(payload) <= limit)

    def _has_more(self, payload: bytes) -> bool:
        return bool(self._status(payload) & ServerStatus.MORE_RESULTS_EXISTS)

    def _status(self, payload: bytes) -> int:
        # of five bytes: MySQL, behind rows that a handler broke off
        if payload[0] == 0xFE and (len(payload) == 5 or not self.is_deprecating_eof):
            return parse_eof(payload).status
        return parse_ok(payload, bool(self.capabilities & Capability.SESSION_TRACK)).status

    def _prepared(self) -> list[bytes]:
        found = [self.payload(self.first_id)]
        if found[0][0] == 0xFF:
            return found
        columns = int.from_bytes(found[0][5:7], "little")
        parameters = int.from_bytes(found[0][7:9], "little")
        for count in (parameters, columns):
            if count:
                found += [self.payload(self.next_id) for _ in range(count)]
                if not self.is_deprecating_eof:
                    parse_eof(self.payload(self.next_id))
                    found.append(BETWEEN)
        return found


def framed(payload: bytes) -> bytes:
    """A payload as packets, split at 16 MiB."""
    parts = []
    for number, start in enumerate(range(0, len(payload) + 1, MAX_PAYLOAD)):
        part = payload[start : start + MAX_PAYLOAD]
        parts.append(len(part).to_bytes(3, "little") + bytes([number & 0xFF]) + part)
    return b"".join(parts)


def text_rows(payloads: list[bytes], is_deprecating_eof: bool) -> list[list[bytes | None]]:
    """The rows of a text result set."""
    assert payloads[0][0] != 0xFF, parse_err(payloads[0]).message
    columns, _ = read_lenenc_int(payloads[0], 0)
    return [text_row(payload, columns) for payload in payloads[1 + columns + (not is_deprecating_eof) : -1]]
