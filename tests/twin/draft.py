"""A program while it is being written, and what its author knows of the session, so that most commands succeed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from protocol.constants import Capability
from tests.integration.steps import Command, Query, Step, Value
from tests.twin.programs import CLIENTS, LOGIN_CHARSETS, Line

ENCODINGS: Final = {
    "latin1": "latin-1",
    "gbk": "gbk",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp932": "cp932",
    "gb18030": "gb18030",
    "utf8mb4": "utf-8",
}
"""Character set of the server -> its name in Python."""

Chosen = TypeVar("Chosen")

BASE_TABLES: Final = {"t": "tvs", "u": "u", "w": "w", "old": "old"}
"""Tables that exist at the beginning, and their shapes."""
SHAPES: Final = {"tvs": ("v", "s"), "u": ("n", "s"), "w": ("v", "v"), "old": ("v", "v"), "x": ("a", "c")}
"""Shape -> a numeric column and one that can be shown."""
NUMBERS: Final = (0, 1, 2, 3, 7, 10, 20, 30, 41, 255, -1, -128, 100000, 2147483647)
TEXTS: Final = ("", "a", "one", "two words", "it''s", "%_", "grün", "日本", "x", "NULL", "0", "12abc")

LEVELS: Final = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
"""Of isolation."""


@dataclass
class Draft:
    """The steps so far, and the session's state as far as the grammar cares."""

    random: random.Random
    server: str
    client: str
    schema: str | None
    lines: list[Line] = field(default_factory=list)
    kind: str = ""

    # name -> shape, of the schema twin
    tables: dict[str, str] = field(default_factory=lambda: dict(BASE_TABLES))
    temporary: dict[str, str] = field(default_factory=dict)
    new_names: int = 0
    is_multi: bool = False
    in_transaction: bool = False
    in_xa: str = ""
    savepoints: list[str] = field(default_factory=list)
    is_locked: bool = False
    is_ansi: bool = False
    is_raw: bool = False  # NO_BACKSLASH_ESCAPES
    encoding: str = "utf8mb4"  # the character set that the client sends
    variables: list[str] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    statements: dict[str, tuple[str, int]] = field(default_factory=dict)
    executed: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    cursors: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    user_locks: list[str] = field(default_factory=list)
    has_schema: bool = True
    is_over: bool = False

    def __post_init__(self) -> None:
        self.is_multi = bool(self.capabilities & Capability.MULTI_STATEMENTS)
        self.has_schema = self.schema is not None
        self.encoding = LOGIN_CHARSETS.get(self.client, "utf8mb4")

    @property
    def capabilities(self) -> int:
        """Those of the client."""
        return CLIENTS[self.client]

    # Writing

    def add(self, step: Step) -> None:
        """One more step, of the kind that is being written."""
        self.lines.append(Line(self.kind, step))

    def query(self, text: str) -> None:
        """A statement."""
        if self.encoding != "utf8mb4" and not text.isascii():
            self.add(Command(b"\x03" + text.encode(ENCODINGS[self.encoding], "replace")))
        else:
            self.add(Query(text))

    # Choosing

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.random.random() < share

    def one(self, of: Sequence[Chosen]) -> Chosen:
        """One of them."""
        return self.random.choice(of)

    def some(self, of: Sequence[Chosen], most: int = 3) -> list[Chosen]:
        """A few of them, at least one, in any order."""
        return self.random.sample(of, self.random.randint(1, min(most, len(of))))

    def number(self) -> int:
        """A number that fits an INT."""
        return self.one(NUMBERS) if self.chance(0.4) else self.random.randint(1, 60)

    def text(self) -> str:
        """A literal text, short enough for every column most of the time."""
        if self.chance(0.1) and not self.is_raw:
            return self.one((r"'a\'b'", r"'\\'", r"'tab\t'", r"'\"'"))
        return f"'{self.one(TEXTS)}'"

    def literal(self) -> str:
        """A literal of any type."""
        makers: tuple[Callable[[], str], ...] = (
            lambda: str(self.number()),
            self.text,
            lambda: "NULL",
            lambda: self.one(("1.5", "-0.001", "12345678901234567890.123", "0.0")),
            lambda: self.one(("1e10", "-2.5e-3", "1e308")),
            lambda: self.one(("x'00FF41'", "b'101'", "0x7F", "18446744073709551615", "TRUE")),
            lambda: self.one(
                (
                    "DATE '2020-02-29'",
                    "TIME '10:11:12'",
                    "TIMESTAMP '2021-03-04 05:06:07'",
                    "CAST('12:00:00.5' AS TIME(3))",
                )
            ),
        )
        return self.one(makers)()

    def table(self) -> str:
        """A table that exists, qualified when there is no schema to find it in."""
        return self.qualified(self.one(list({**self.tables, **self.temporary})))

    def shape(self, table: str) -> tuple[str, str]:
        """Its columns to write and to show."""
        name = table.rpartition(".")[2]
        return SHAPES[self.temporary.get(name) or self.tables.get(name) or "tvs"]

    def qualified(self, name: str) -> str:
        """A name in the schema twin, from wherever the session is."""
        return name if self.has_schema and self.chance(0.9) else f"twin.{name}"

    def new_name(self) -> str:
        """A name that no table has."""
        self.new_names += 1
        return f"n{self.new_names}"

    def place(self) -> str:
        """ "twin." where there is no schema."""
        return "" if self.has_schema else "twin."

    # What statements do to the session

    def committed(self) -> None:
        """The transaction has ended, by whatever."""
        self.in_transaction = False
        self.savepoints.clear()

    def was_reset(self) -> None:
        """The session is as fresh."""
        self.committed()
        for names in (self.temporary, self.texts, self.statements):
            names.clear()
        for list_of_names in (self.variables, self.cursors, self.handlers, self.user_locks):
            list_of_names.clear()
        self.executed.clear()
        self.is_locked = self.is_ansi = self.is_raw = False
        self.encoding = "utf8mb4"


Kind = Callable[[Draft], bool | None]
"""Writes one or more steps; False when it makes no sense now."""


@dataclass(frozen=True)
class Rule:
    """A kind of command, how often it is chosen, and for which server it is."""

    name: str
    write: Kind
    weight: int
    server: str
    is_for_readers: bool


RULES: Final[dict[str, Rule]] = {}
"""All kinds by name."""


def kind(weight: int = 10, server: str = "both", is_for_readers: bool = False) -> Callable[[Kind], Kind]:
    """Make a function a kind of the grammar, maybe only of that for a Fanin with readers."""

    def register(write: Kind) -> Kind:
        name = write.__name__
        assert name not in RULES
        RULES[name] = Rule(name, write, weight, server, is_for_readers)
        return write

    return register
