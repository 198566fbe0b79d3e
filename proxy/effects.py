"""What is being found out about one text: the record under construction, and helpers over tokens, for `grammar` and `classify`."""

from __future__ import annotations

from typing import Final

from proxy import lexer
from proxy.lexer import NAME, NUMBER, STRING, SYMBOL, WORD, Token, tokenize, unquoted
from proxy.pins import PinReason
from proxy.statement import ASKS, CALLS, Statement


class Effects:
    """What the statements of one text do, while it is being found out."""

    __slots__ = (
        "collation",
        "defaults",
        "executes",
        "flags",
        "found_rows",
        "inner",
        "is_conditional",
        "kept",
        "kill",
        "lexing",
        "lift_names",
        "lifts",
        "limit",
        "pin_names",
        "pins",
        "places",
        "prepares",
        "question",
        "temporary",
        "text",
        "title",
        "user_variables",
        "variables",
    )

    def __init__(self, text: bytes, lexing: int, is_conditional: bool) -> None:
        self.text: bytes = text
        self.lexing: int = lexing
        self.is_conditional: bool = is_conditional
        self.flags: int = 0
        self.pins: list[PinReason] = []
        self.pin_names: list[bytes] = []
        self.lifts: list[PinReason] = []
        self.lift_names: list[bytes] = []
        self.variables: list[bytes] = []
        self.defaults: list[bytes] = []
        self.temporary: list[bytes] = []
        self.collation: bytes | None = None
        self.found_rows: int = 0
        self.kept: int = 0
        self.question: int = 0
        self.title: bytes = b""
        self.limit: tuple[int, int] | None = None
        self.kill: tuple[bool, int] | None = None
        self.prepares: list[tuple[bytes, Statement | None]] = []
        self.executes: list[bytes] = []
        self.inner: Statement | None = None
        self.places: list[tuple[int, int, int]] = []
        self.user_variables: list[bytes] = []

    def pin(self, reason: PinReason, name: bytes = b"") -> None:
        """One thing more that pins."""
        self.pins.append(reason)
        self.pin_names.append(name)

    def lift(self, reason: PinReason, name: bytes = b"") -> None:
        """One thing that no longer pins, if this has run and every other instrument agrees."""
        self.lifts.append(reason)
        self.lift_names.append(name)

    def unknown(self) -> None:
        """Something was not understood."""
        self.pin(PinReason.UNKNOWN_STATEMENT)

    def unknown_run(self) -> None:
        """It runs what is not understood, which may do what a routine may."""
        self.unknown()
        self.flags |= CALLS

    def plain(self, token: Token) -> bytes:
        """The string or name that a token stands for."""
        if token.kind == WORD or token.kind == NUMBER:
            return token.text
        is_escaping = token.kind == STRING and not self.lexing & lexer.NO_BACKSLASH_ESCAPES
        return unquoted(token.text, is_escaping)

    def statement(self) -> Statement:
        """The finished record."""
        if self.is_conditional:
            # what may not be executed lifts nothing and answers nothing
            self.lifts, self.lift_names, self.question = [], [], 0
        return Statement(
            self.flags,
            pins=tuple(self.pins),
            pin_names=tuple(self.pin_names),
            lifts=tuple(self.lifts),
            lift_names=tuple(self.lift_names),
            variables=tuple(self.variables),
            defaults=tuple(self.defaults),
            temporary=tuple(self.temporary),
            collation=self.collation,
            found_rows=self.found_rows,
            question=self.question,
            title=self.title,
            limit=self.limit,
            kill=self.kill,
            prepares=tuple(self.prepares),
            executes=tuple(self.executes),
            inner=self.inner,
            places=tuple(self.places),
            user_variables=tuple(dict.fromkeys(self.user_variables)),
            kept=self.kept,
            text=self.text if self.flags & ASKS else b"",
        )


# Helpers over tokens. An index beyond the end yields the empty token, so that the grammars need not count.

_END: Final = Token(0, b"", 0, 0)


def at(tokens: list[Token], i: int) -> Token:
    return tokens[i] if i < len(tokens) else _END


def is_symbol(token: Token, text: bytes) -> bool:
    return token.kind == SYMBOL and token.text == text


def is_assignment(token: Token) -> bool:
    return is_symbol(token, b"=") or is_symbol(token, b":=")


def words_of(tokens: list[Token]) -> list[bytes]:
    return [token.word for token in tokens]


def asks_for(words: list[bytes], word: bytes) -> bool:
    """Whether the end of a transaction has this word, CHAIN or RELEASE, without a NO in front of it."""
    return word in words and words[words.index(word) - 1] != b"no"


def dotted(effects: Effects, tokens: list[Token], i: int) -> tuple[bytes, int]:
    """The name (its parts joined by dots) at ``i`` and the index after it; the name is empty when there is none."""
    parts: list[bytes] = []
    while at(tokens, i).kind in (WORD, NAME):
        parts.append(effects.plain(tokens[i]))
        i += 1
        if not is_symbol(at(tokens, i), b"."):
            break
        i += 1
    return b".".join(parts), i


def end_of_expression(tokens: list[Token], i: int) -> int:
    """The index of the comma (outside of parentheses) or end that ends the expression at ``i``."""
    depth = 0
    while i < len(tokens):
        token = tokens[i]
        if token.kind == SYMBOL:
            if token.text == b"(":
                depth += 1
            elif token.text == b")":
                depth -= 1
            elif token.text == b"," and depth <= 0:
                break
        i += 1
    return i


def tokens_of(effects: Effects, begin: int, end: int) -> list[Token]:
    """The tokens of one statement."""
    tokens = tokenize(effects.text, begin, end, effects.lexing, effects.is_conditional)
    while tokens and is_symbol(tokens[-1], b";"):
        tokens.pop()
    return tokens


VERBS: Final = frozenset([b"select", b"table", b"values", b"insert", b"replace", b"update", b"delete"])
"""What follows common table expressions."""


def next_verb(tokens: list[Token], i: int) -> int:
    """The index of the first verb of a statement outside of parentheses, from ``i`` on: what follows common table expressions. The number of
    tokens when there is none."""
    depth = 0
    while i < len(tokens):
        token = tokens[i]
        if is_symbol(token, b"("):
            depth += 1
        elif is_symbol(token, b")"):
            depth -= 1
        elif depth == 0 and token.word in VERBS:
            return i
        i += 1
    return i
