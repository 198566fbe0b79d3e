"""Session programs: what one client does, as steps that can be written down and played again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from protocol.constants import Capability
from tests.integration import steps
from tests.integration.steps import Step
from tests.integration.wire import NEWEST, PLAIN, TRACKING
from tests.twin import exchanges

SCHEMA: Final = "twin"
CLOSED: Final = b"the connection was closed"
"""Stands for the answer of a server that gave none."""
UNKNOWN_STATEMENT: Final = 4242
"""Stands for the id of a statement that was not prepared."""
LAST_STATEMENT: Final = 0xFFFFFFFF
"""MariaDB: the one that was prepared last, whatever its id. Called "last"."""

CLIENTS: Final[dict[str, int]] = {
    "plain": int(PLAIN),
    "tracking": int(TRACKING),
    "newest": int(NEWEST),
    "eofless": int(PLAIN | Capability.DEPRECATE_EOF),
    "multi": int(PLAIN | Capability.MULTI_STATEMENTS),
    "orm": int(PLAIN | Capability.MULTI_STATEMENTS | Capability.FOUND_ROWS),
    "newest-multi": int(NEWEST | Capability.MULTI_STATEMENTS | Capability.FOUND_ROWS),
    "local": int(PLAIN | Capability.LOCAL_FILES),
    "local-multi": int(NEWEST | Capability.MULTI_STATEMENTS | Capability.LOCAL_FILES),
    "one-result": int(PLAIN & ~(Capability.MULTI_RESULTS | Capability.PS_MULTI_RESULTS)),
    "spacious": int(PLAIN | Capability.IGNORE_SPACE),
    "interactive": int(TRACKING | Capability.INTERACTIVE),
    "latin1": int(PLAIN),
    "gbk": int(PLAIN | Capability.MULTI_STATEMENTS),
    "sjis": int(TRACKING),
    "tracking-multi": int(TRACKING | Capability.MULTI_STATEMENTS | Capability.LOCAL_FILES),
}
"""Combinations of capabilities that clients log in with."""
LOGIN_CHARSETS: Final = {"latin1": "latin1", "gbk": "gbk", "sjis": "sjis"}
"""Character sets of clients that log in with another one than utf8mb4."""
_COLLATIONS: Final = {"latin1": 8, "gbk": 28, "sjis": 13}

STEP_CLASSES: Final[dict[str, type[Step]]] = {
    each.__name__: each
    for each in (
        steps.Query,
        steps.Command,
        steps.Prepare,
        steps.Execute,
        steps.LongData,
        steps.ExecuteLong,
        steps.Fetch,
        steps.ResetStatement,
        steps.Close,
        exchanges.LoadLocal,
        exchanges.ChangeUser,
        exchanges.Pipelined,
        exchanges.LongQuery,
    )
}


@dataclass(frozen=True)
class Line:
    """A step and the kind of the grammar that made it."""

    kind: str
    step: Step


@dataclass(frozen=True)
class Program:
    """What a client does. `server`: the kind of server it is for, or "both". `readers`: what Fanin does with those that it has (a key of
    `readers.VARIANTS`), if any."""

    name: str
    server: str
    client: str
    schema: str | None
    lines: tuple[Line, ...]
    readers: str = ""

    @property
    def capabilities(self) -> int:
        """What the client asks for at its login."""
        return CLIENTS[self.client]

    @property
    def collation(self) -> int:
        """The collation that the client asks for at its login."""
        return _COLLATIONS.get(LOGIN_CHARSETS.get(self.client, ""), 45)

    def is_for(self, server_kind: str) -> bool:
        """Whether this kind of server can hold it."""
        return self.server in ("both", server_kind)

    def with_lines(self, lines: Iterable[Line]) -> Program:
        """The same client with other steps."""
        return dataclasses.replace(self, lines=tuple(lines))


def written(program: Program) -> str:
    """A program as JSON, one step a line."""
    head = {
        "name": program.name,
        "server": program.server,
        "client": program.client,
        "schema": program.schema,
        **({"readers": program.readers} if program.readers else {}),
    }
    lines = ",\n  ".join(json.dumps(_plain_line(line), ensure_ascii=False) for line in program.lines)
    return json.dumps(head)[:-1] + ', "lines": [\n  ' + lines + "\n]}"


def _plain_line(line: Line) -> list[Any]:
    fields = [getattr(line.step, field.name) for field in dataclasses.fields(line.step)]  # type: ignore[arg-type]
    if isinstance(line.step, steps.Prepare) and line.step.encoding == "utf-8":
        fields.pop()
    return [line.kind, type(line.step).__name__, *[_plain(value) for value in fields]]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def read(text: str) -> list[Program]:
    """The programs of a JSON list."""
    return [_program(each) for each in json.loads(text)]


def _program(found: dict[str, Any]) -> Program:
    lines = tuple(
        Line(kind, STEP_CLASSES[name](*[_value(field) for field in fields]))
        for kind, name, *fields in found["lines"]
    )
    return Program(
        found["name"], found["server"], found["client"], found["schema"], lines, found.get("readers", "")
    )


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return tuple(_value(each) for each in value) if isinstance(value, list) else value


FOLDER: Final = Path(__file__).parent
CORPUS: Final = FOLDER / "corpus.json"
REGRESSIONS: Final = FOLDER / "regressions"


def corpus() -> list[Program]:
    """The fixed programs."""
    return read(CORPUS.read_text())


def regressions() -> list[Program]:
    """What was found to differ once, each shrunk."""
    return [program for path in sorted(REGRESSIONS.glob("*.json")) for program in read(path.read_text())]


def playable(server_kind: str, has_readers: bool = False) -> list[Program]:
    """All that this kind of server can hold, by itself or with readers."""
    return [
        program
        for program in [*regressions(), *corpus()]
        if program.is_for(server_kind) and bool(program.readers) is has_readers
    ]


def write(path: Path, programs: Iterable[Program]) -> None:
    """A file for `read`."""
    path.write_text("[\n" + ",\n".join(written(program) for program in programs) + "\n]\n")
