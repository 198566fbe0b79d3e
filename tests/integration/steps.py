"""Steps of the scripts that are run twice, on a direct connection and through Fanin, and what they send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.wire import lenenc_bytes
from tests.integration.wire import WireClient

LONGLONG: Final = 0x08
VAR_STRING: Final = 0xFD
READ_ONLY_CURSOR: Final = 1

Value = int | str | None


class Step:
    """One thing a client does."""

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        """Do it and give the response. `ids` holds the prepared statements by name."""
        raise NotImplementedError


@dataclass(frozen=True)
class Query(Step):
    """COM_QUERY."""

    text: str

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        return client.query(self.text)


@dataclass(frozen=True)
class Command(Step):
    """Any command that is answered."""

    payload: bytes

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        return client.command(self.payload)


@dataclass(frozen=True)
class Prepare(Step):
    """COM_STMT_PREPARE; the id in the answer is not compared."""

    name: str
    text: str
    encoding: str = "utf-8"

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        first, *others = client.command(b"\x16" + self.text.encode(self.encoding))
        if first[0] == 0xFF:
            return [first]
        ids[self.name] = int.from_bytes(first[1:5], "little")
        return [first[:1] + first[5:], *others]


@dataclass(frozen=True)
class Execute(Step):
    """COM_STMT_EXECUTE. Without `binds` the types of the last execution hold."""

    name: str
    values: tuple[Value, ...] = ()
    has_cursor: bool = False
    binds: bool = True

    def types(self) -> bytes:
        """The types of the values, as they are sent."""
        return b"".join(
            bytes([VAR_STRING if isinstance(value, str) else LONGLONG, 0]) for value in self.values
        )

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        nulls = bytearray((len(self.values) + 7) // 8)
        content = b""
        for number, value in enumerate(self.values):
            if value is None:
                nulls[number // 8] |= 1 << number % 8
            elif isinstance(value, str):
                content += lenenc_bytes(value.encode())
            else:
                content += value.to_bytes(8, "little", signed=True)
        payload = b"\x17" + ids[self.name].to_bytes(4, "little") + bytes([self.has_cursor]) + b"\1\0\0\0"
        if self.values:
            payload += bytes(nulls) + (b"\1" + self.types() if self.binds else b"\0") + content
        return client.command(payload)


@dataclass(frozen=True)
class LongData(Step):
    """COM_STMT_SEND_LONG_DATA, which is not answered."""

    name: str
    number: int
    content: bytes

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        where = ids[self.name].to_bytes(4, "little") + self.number.to_bytes(2, "little")
        client.send(b"\x18" + where + self.content)
        return []


@dataclass(frozen=True)
class ExecuteLong(Step):
    """COM_STMT_EXECUTE of a statement whose only parameter was sent as long data."""

    name: str

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        head = b"\x17" + ids[self.name].to_bytes(4, "little") + b"\0\1\0\0\0"
        return client.command(head + b"\0\1" + bytes([VAR_STRING, 0]))


@dataclass(frozen=True)
class Fetch(Step):
    """COM_STMT_FETCH."""

    name: str
    count: int

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        return client.command(
            b"\x1c" + ids[self.name].to_bytes(4, "little") + self.count.to_bytes(4, "little")
        )


@dataclass(frozen=True)
class ResetStatement(Step):
    """COM_STMT_RESET."""

    name: str

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        return client.command(b"\x1a" + ids[self.name].to_bytes(4, "little"))


@dataclass(frozen=True)
class Close(Step):
    """COM_STMT_CLOSE, which is not answered."""

    name: str

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        client.send(b"\x19" + ids[self.name].to_bytes(4, "little"))
        return []


@dataclass(frozen=True)
class Script:
    """A conversation. `kinds`: the servers that can hold it; `capabilities`: what the client asks for besides."""

    name: str
    steps: tuple[Step, ...]
    kinds: tuple[str, ...] = ("mariadb", "mysql")
    capabilities: int = 0
    database: str | None = "compared"
    collation: int = 45
    differs: str = ""  # why it is known not to be the same


def script(
    name: str,
    *steps: str | bytes | Step,
    only: str = "",
    capabilities: int = 0,
    database: str | None = "compared",
    collation: int = 45,
    differs: str = "",
) -> Script:
    """A script of statements (text), commands (bytes) and steps."""
    made = tuple(
        each if isinstance(each, Step) else Query(each) if isinstance(each, str) else Command(each)
        for each in steps
    )
    kinds = (only,) if only else ("mariadb", "mysql")
    return Script(name, made, kinds, int(capabilities), database, collation, differs)
