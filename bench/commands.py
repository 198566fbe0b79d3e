"""Steps that are no plain statements: COM_PING, COM_RESET_CONNECTION, binary prepared statements, SHOW WARNINGS.

("COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_CLOSE" in the MySQL documentation.)
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.response import BINARY, PREPARED, Response, Row
from bench.workload import Step, command

LONGLONG, VAR_STRING = b"\x08\x00", b"\xfd\x00"

Parameter = int | str


class Command(Step):
    """A command without text; ``title`` stands for it in messages."""

    __slots__ = ("title",)

    def __init__(
        self,
        title: str,
        payload: bytes,
        *,
        rows: list[Row] | None = None,
        affected: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__("", rows=rows, affected=affected, status=status)
        self.title = title
        self.wire = command(payload)

    @property
    def sql(self) -> str:
        return self.title


def ping() -> Command:
    """COM_PING, as the pools of applications send it before they use a connection again."""
    return Command("COM_PING", b"\x0e")


def reset_connection() -> Command:
    """COM_RESET_CONNECTION."""
    return Command("COM_RESET_CONNECTION", b"\x1f")


class Prepare(Command):
    """COM_STMT_PREPARE."""

    __slots__ = ()

    form = PREPARED

    def __init__(self, text: str) -> None:
        super().__init__(f"prepare {text}", b"\x16" + text.encode())


class Execute(Command):
    """COM_STMT_EXECUTE. The types of the parameters go along when ``binds``; the server remembers them."""

    __slots__ = ()

    form = BINARY

    def __init__(
        self,
        statement_id: int,
        parameters: Sequence[Parameter],
        *,
        title: str,
        binds: bool = True,
        rows: list[Row] | None = None,
        affected: int | None = None,
        status: int | None = None,
    ) -> None:
        payload = (
            b"\x17" + statement_id.to_bytes(4, "little") + b"\x00\x01\x00\x00\x00" + bound(parameters, binds)
        )
        super().__init__(f"{title} {tuple(parameters)}", payload, rows=rows, affected=affected, status=status)


def bound(parameters: Sequence[Parameter], binds: bool) -> bytes:
    """The part of COM_STMT_EXECUTE that is there when a statement has parameters: no NULLs, types if asked for, values."""
    if not parameters:
        return b""
    types = b"".join(LONGLONG if isinstance(value, int) else VAR_STRING for value in parameters)
    head = bytes((len(parameters) + 7) // 8) + (b"\x01" + types if binds else b"\x00")
    return head + b"".join(map(written, parameters))


def written(value: Parameter) -> bytes:
    """A parameter's value, strings of less than 251 bytes."""
    if isinstance(value, int):
        return value.to_bytes(8, "little", signed=True)
    text = value.encode()
    return bytes([len(text)]) + text


def close_and_ping(statement_id: int) -> Command:
    """COM_STMT_CLOSE, which has no answer, and COM_PING behind it without a wait."""
    step = Command("COM_STMT_CLOSE, COM_PING", b"\x0e")
    step.wire = command(b"\x19" + statement_id.to_bytes(4, "little")) + step.wire
    return step


class ShowWarnings(Step):
    """SHOW WARNINGS after an INSERT IGNORE of something that is there: one warning, about ``value`` and nobody else's."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        super().__init__("SHOW WARNINGS")
        self.value = value

    def wrong(self, response: Response) -> str | None:
        rows = response.rows or []
        is_mine = (
            len(rows) == 1
            and rows[0][:2] == (b"Warning", b"1062")
            and f"'{self.value}'".encode() in (rows[0][2] or b"")
        )
        return None if is_mine else f"{self.sql}: {rows!r:.100} instead of a duplicate {self.value}"
