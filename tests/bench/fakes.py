"""A MySQL server that lets everybody in and answers from a table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench.client import Target
from protocol.constants import Capability
from protocol.framing import frame
from protocol.handshake import HandshakeV10
from protocol.packets import Column, build_err, build_ok, text_resultset

NONCE = b"n" * 20
CAPABILITIES = int(
    Capability.PROTOCOL_41
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH
    | Capability.CONNECT_WITH_DB
    | Capability.LONG_PASSWORD
    | Capability.TRANSACTIONS
)
OK = frame(build_ok(status=2), 1)
HANG_UP = b""  # as an answer: close the connection


def rows(*values: bytes) -> bytes:
    """The response with one column and a row for each value."""
    return text_resultset([Column(b"x")], [[value] for value in values], status=2, deprecate_eof=False)


def error(code: int, message: bytes) -> bytes:
    return frame(build_err(code, b"HY000", message), 1)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until this holds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


class FakeServer:
    """``answers`` maps a statement to its whole response; everything else gets OK."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.refusal: bytes | None = None  # payload sent instead of the OK of a login
        self.statements: list[str] = []
        self.open = 0
        self.most_open = 0
        self.port = 0

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = HandshakeV10(
            server_version=b"8.0.0-fake",
            connection_id=1,
            nonce=NONCE,
            capabilities=CAPABILITIES,
            collation=45,
            status=2,
            plugin=b"mysql_native_password",
        )
        writer.write(frame(greeting.build(), 0))
        await self.payload(reader)
        writer.write(frame(self.refusal if self.refusal is not None else build_ok(status=2), 2))
        while self.refusal is None:
            command = await self.payload(reader)
            if command[:1] != b"\x03":
                return
            statement = command[1:].decode()
            self.statements.append(statement)
            answer = self.answers.get(statement, OK)
            if answer == HANG_UP:
                return
            writer.write(answer)

    async def payload(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))
