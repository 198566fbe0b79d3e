"""How a statement would be treated, in words: what `fanin explain` prints. Pure.

From the text alone, as far as it goes: what a server reports (that a variable was set, that something else changed) is what decides in
the end. Where it runs is said for sessions of the writer's listener, outside of transactions, when there are readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from proxy import statement as flags
from proxy.classify import classify
from proxy.digest import digest
from proxy.effects import at, is_assignment
from proxy.grammar import ROUTINES
from proxy.hints import hints_of
from proxy.kept import KEPT, is_unmovable
from proxy.lexer import (
    ANSI_QUOTES,
    HEAD_SIZE,
    NAME,
    NO_BACKSLASH_ESCAPES,
    NUMBER,
    STRING,
    SYSTEM,
    VARIABLE,
    Token,
    survey,
    tokenize,
    unquoted,
)
from proxy.pins import MEANINGS, PinReason, advice_for
from proxy.routing import in_words, text_facts
from proxy.session import UNSAFE_CHARSETS
from proxy.statement import FIXED_NAME, RENAMED, UNKNOWN_FOUND_ROWS, Statement
from proxy.variables import MOST_NAMES
from proxy.vector import DENIED, is_restorable

READ: Final = "read"
WRITE: Final = "write"
TRANSACTION: Final = "transaction control"
SESSION: Final = "session"
ADMINISTRATIVE: Final = "administrative"
UNKNOWN: Final = "unknown"

_CLASSES: Final[dict[str, str]] = {
    READ: "select with table values show describe desc explain help do checksum",
    WRITE: "insert replace update delete truncate load import call create drop alter rename execute",
    TRANSACTION: "begin start commit rollback savepoint release xa",
    SESSION: "set use prepare deallocate handler lock unlock get signal resignal",
    ADMINISTRATIVE: "kill flush grant revoke install uninstall cache check analyze optimize repair purge reset change stop clone shutdown"
    " restart backup",
}
_CLASS_OF: Final = {word.encode(): kind for kind, words in _CLASSES.items() for word in words.split()}
_WRITERS: Final = frozenset([b"insert", b"replace", b"update", b"delete"])
_ACCOUNTS: Final = frozenset([b"user", b"role", b"server", b"instance"])
_MODES: Final = frozenset(
    [
        "ALLOW_INVALID_DATES",
        "ANSI",
        "ANSI_QUOTES",
        "DB2",
        "EMPTY_STRING_IS_NULL",
        "ERROR_FOR_DIVISION_BY_ZERO",
        "HIGH_NOT_PRECEDENCE",
        "IGNORE_BAD_TABLE_OPTIONS",
        "IGNORE_SPACE",
        "MAXDB",
        "MSSQL",
        "MYSQL323",
        "MYSQL40",
        "NO_AUTO_CREATE_USER",
        "NO_AUTO_VALUE_ON_ZERO",
        "NO_BACKSLASH_ESCAPES",
        "NO_DIR_IN_CREATE",
        "NO_ENGINE_SUBSTITUTION",
        "NO_FIELD_OPTIONS",
        "NO_KEY_OPTIONS",
        "NO_TABLE_OPTIONS",
        "NO_UNSIGNED_SUBTRACTION",
        "NO_ZERO_DATE",
        "NO_ZERO_IN_DATE",
        "ONLY_FULL_GROUP_BY",
        "ORACLE",
        "PAD_CHAR_TO_FULL_LENGTH",
        "PIPES_AS_CONCAT",
        "POSTGRESQL",
        "REAL_AS_FLOAT",
        "SIMULTANEOUS_ASSIGNMENT",
        "STRICT_ALL_TABLES",
        "STRICT_TRANS_TABLES",
        "TIME_ROUND_FRACTIONAL",
        "TIME_TRUNCATE_FRACTIONAL",
        "TRADITIONAL",
    ]
)
"""Of MySQL 5.7 and later and of MariaDB."""
_ANSI_MODES: Final = frozenset(
    [b"ANSI_QUOTES", b"ANSI", b"DB2", b"MAXDB", b"MSSQL", b"ORACLE", b"POSTGRESQL"]
)

_FLAGS: Final[tuple[tuple[int, str], ...]] = (
    (flags.BEGINS, "begins a transaction: the backend is held until its end"),
    (flags.BEGINS_READ_ONLY, "the transaction is read-only"),
    (flags.CONSISTENT_SNAPSHOT, "the transaction has its snapshot from here on"),
    (flags.ENDS, "ends the transaction: the backend is free afterwards, unless the session is pinned"),
    (flags.RELEASES, "the server closes the connection, and Fanin the client's"),
    (flags.SETS_GLOBAL, "changes global variables: all backends are replaced when they are free"),
    (flags.USES, "changes the default schema: restored on the next backend"),
    (flags.DROPS_SCHEMA, "may drop the default schema"),
    (flags.ALTERS_SCHEMA, "may alter the default schema: backends are replaced when they are free"),
    (flags.CALLS, "runs text that is not in the statement: the server's reports decide"),
    (flags.LOCAL_INFILE, "holds the backend while the client sends its file"),
    (flags.SETS_INSERT_ID, "sets LAST_INSERT_ID(): parked"),
    (flags.READS_ROW_COUNT, "asks for ROW_COUNT(): known, or on the parked backend"),
    (flags.READS_FOUND_ROWS, "asks for FOUND_ROWS(): known, or on the parked backend"),
    (flags.READS_DIAGNOSTICS, "asks for warnings: on the parked backend, or from what was read off it"),
    (
        flags.READS_CONNECTION_ID,
        "the connection id is that of the server's connection, unless it is asked for alone",
    ),
    (flags.CHANGES_ACCOUNT, "may change passwords: those that were learnt are forgotten"),
    (flags.SHUTS_DOWN, "ends the server"),
    (flags.IS_CONDITIONAL, "has /*! .. */: what is in it counts where it pins and not where it lifts"),
    (flags.SETS_FOR_ITSELF, "a hint sets variables while it runs: nothing is left"),
)


_UNKNOWN_HINT: Final = "a word behind `fanin:` is no hint, and ignored (hints are writer, reader, max_lag=MILLISECONDS, acquire_timeout=MILLISECONDS and causal=KEY)"


class ExplainedPin(NamedTuple):
    """One reason for which the session would be pinned."""

    reason: str
    names: list[str]  # of what, where the text tells and no literal would be shown
    description: str
    cleared_by: str
    advice: str


class Explanation(NamedTuple):
    """How one statement would be treated."""

    digest: str
    kind: str
    route: str
    effects: list[str]
    pins: list[ExplainedPin]
    lifts: list[str]
    advice: list[str]  # beyond that of the pins

    def as_json(self) -> dict[str, object]:
        """For machines: the names are kept."""
        return {
            "digest": self.digest,
            "class": self.kind,
            "route": self.route,
            "effects": self.effects,
            "pins": [pin._asdict() for pin in self.pins],
            "lifts": self.lifts,
            "advice": self.advice,
        }


def unknown_modes(sql_mode: str) -> list[str]:
    """The names in it that no server knows."""
    return [mode for each in sql_mode.split(",") if (mode := each.strip()) and mode.upper() not in _MODES]


def lexing_of(sql_mode: str) -> int:
    """How text is read under this sql_mode, combinations of modes included."""
    modes = {mode.strip().upper().encode() for mode in sql_mode.split(",")}
    lexing = ANSI_QUOTES if modes & _ANSI_MODES else 0
    return lexing | NO_BACKSLASH_ESCAPES if b"NO_BACKSLASH_ESCAPES" in modes else lexing


def explain(text: bytes, lexing: int = 0, is_mariadb: bool = False) -> list[Explanation]:
    """How the statements of a text would be treated, one by one."""
    return [_Explaining(each, lexing, is_mariadb).explanation() for each in statements_of(text, lexing)]


def statements_of(text: bytes, lexing: int) -> list[bytes]:
    """The statements of a text. What cannot be taken apart for sure (`/*! .. */`, bodies of routines) is one."""
    found = survey(text, lexing)
    starts = found.heads[0::HEAD_SIZE]
    if not starts:
        return []
    if found.is_conditional or found.is_broken:
        return [text]
    kept = [0]
    for start, following in pairwise(starts):
        words = [token.word for token in tokenize(text, start, following, lexing, False, 40)]
        is_routine = words[:1] == [b"create"] and not ROUTINES.isdisjoint(words[: _end_of_first(words)])
        if is_routine or words[:2] == [b"begin", b"not"]:
            break
        kept.append(following)
    return [text[start:end] for start, end in zip(kept, [*kept[1:], len(text)], strict=True)]


def _end_of_first(words: list[bytes]) -> int:
    """Where the part of a CREATE that says what is created ends."""
    for i, word in enumerate(words):
        if word in (b"table", b"view", b"index", b"select"):
            return i
    return len(words)


class _Explaining:
    """One statement on its way to an explanation."""

    def __init__(self, text: bytes, lexing: int, is_mariadb: bool) -> None:
        self.statement = classify(text, lexing)
        self.digest = digest(text)
        self.text = text
        self.is_mariadb = is_mariadb
        self.lexing = lexing
        is_conditional = self.statement.flags & flags.IS_CONDITIONAL != 0
        self.tokens = tokenize(text, 0, len(text), lexing, is_conditional, 10000)
        self.words = [token.word for token in self.tokens if token.word]
        self.pins: dict[PinReason, list[str]] = {}
        # variables that the server does not report
        self.asked: list[str] = []

    def explanation(self) -> Explanation:
        self._pin(self.statement)
        return Explanation(
            self.digest,
            self._kind(),
            in_words(text_facts(self.text, self.lexing, self.statement, self.is_mariadb)),
            self._effects(),
            self._explained(),
            self._lifts(),
            self._advice(),
        )

    # Class

    def _kind(self) -> str:
        words = self.words
        first = words[0] if words else b""
        if PinReason.UNKNOWN_STATEMENT in self.pins:
            return UNKNOWN
        if first == b"set" and b"transaction" in words[1:3]:
            return TRANSACTION
        if first in (b"create", b"drop", b"alter", b"rename") and not _ACCOUNTS.isdisjoint(words[1:4]):
            return ADMINISTRATIVE
        if first == b"explain" and b"analyze" not in words[1:2]:
            return READ
        if first in (b"with", b"explain") and not _WRITERS.isdisjoint(words):
            return WRITE
        if first in (b"select", b"with", b"table", b"values") and self._locks_or_writes():
            return WRITE
        if first == b"start" and words[1:2] != [b"transaction"]:
            return ADMINISTRATIVE
        return _CLASS_OF.get(first, UNKNOWN)

    def _locks_or_writes(self) -> bool:
        pairs = set(pairwise(self.words))
        wanted = (
            (b"for", b"update"),
            (b"for", b"share"),
            (b"in", b"share"),
            (b"into", b"outfile"),
            (b"into", b"dumpfile"),
        )
        return not pairs.isdisjoint(wanted)

    # Pins

    def _pin(self, statement: Statement) -> None:
        for reason, name in zip(statement.pins, statement.pin_names, strict=True):
            names = self.pins.setdefault(reason, [])
            if name and not name.startswith((FIXED_NAME, b"=")):
                names.append(_shown(name))
        if len(set(statement.user_variables)) > MOST_NAMES:
            self.pins.setdefault(PinReason.USER_VARIABLE, [])
        own = flags.MAY_CALL_ON_MARIADB if self.is_mariadb else flags.MAY_CALL_ON_MYSQL
        if statement.flags & (flags.CALLS | flags.MAY_CALL | own):
            self.pins.setdefault(PinReason.ROUTINE, [])
        denied = [name for name in statement.variables if name in DENIED and name not in statement.defaults]
        denied += [name for name in self._out_of_range() if name in statement.variables]
        denied += [name for name in statement.variables if name in KEPT and self._is_unmovable(name)]
        if denied:
            self.pins.setdefault(PinReason.UNSAFE_VARIABLE, []).extend(_shown(name) for name in denied)
        if statement.variables:
            self._pin_variables(statement)
        if statement.inner is not None:
            self._pin(statement.inner)

    def _out_of_range(self) -> list[bytes]:
        """Variables that could be restored, but not with the number that they get."""
        return [
            token.word
            for i, token in enumerate(self.tokens)
            if is_assignment(at(self.tokens, i + 1))
            and at(self.tokens, i + 2).kind == NUMBER
            and token.word not in DENIED
            and token.word not in KEPT
            and not is_restorable(token.word, self.tokens[i + 2].text)
        ]

    def _is_unmovable(self, name: bytes) -> bool:
        """Whether a kept variable gets a value that pins."""
        return any(
            token.text.lower().removeprefix(b"@@").rpartition(b".")[2] == name
            and is_assignment(at(self.tokens, i + 1))
            and is_unmovable(name, self._value(at(self.tokens, i + 2)), self.is_mariadb)
            for i, token in enumerate(self.tokens)
        )

    def _pin_variables(self, statement: Statement) -> None:
        """What of SET the server does not report and is asked for, and character sets with odd bytes."""
        tokens, unreported = self.tokens, self.asked
        for i, token in enumerate(tokens):
            following = at(tokens, i + 1)
            if token.word == b"charset" or (
                token.word in (b"character", b"char") and following.word == b"set"
            ):
                unreported.append("collation_connection")
            elif (
                self.is_mariadb
                and token.kind == SYSTEM
                and is_assignment(following)
                and b"." not in token.text
            ):
                unreported.append(_shown(token.text[2:].lower()))
        if b"character_set_client" in statement.variables:
            charsets = [name for name in map(self._value, tokens) if name in UNSAFE_CHARSETS]
            if charsets:
                self.pins.setdefault(PinReason.UNSAFE_CHARSET, []).extend(_shown(name) for name in charsets)

    def _value(self, token: Token) -> bytes:
        return (unquoted(token.text, False) if token.kind in (STRING, NAME) else token.word).lower()

    def _explained(self) -> list[ExplainedPin]:
        return [
            ExplainedPin(
                reason.value,
                list(dict.fromkeys(names)),
                MEANINGS[reason].description,
                MEANINGS[reason].lifted_by,
                advice_for(reason, self.digest),
            )
            for reason, names in self.pins.items()
        ]

    def _lifts(self) -> list[str]:
        return list(dict.fromkeys(reason.value for reason in self.statement.lifts))

    # Effects

    def _effects(self) -> list[str]:
        statement = self.statement
        found = [text for flag, text in _FLAGS if statement.flags & flag]
        if hints_of(self.text).unknown:
            found.append(_UNKNOWN_HINT)
        if statement.question:
            found.append("answered without a backend when the answer is known")
        if statement.flags & flags.READS_INSERT_ID:
            found.append("may read LAST_INSERT_ID(): restored first on a backend that does not have it")
        lost = {*self.pins.get(PinReason.UNSAFE_VARIABLE, [])}
        settable = [
            name
            for name in statement.variables
            if name not in DENIED and name not in KEPT and _shown(name) not in lost
        ]
        if settable:
            found.append(f"sets session variables, restored on the next backend: {_list(settable)}")
        if self.asked:
            found.append(f"the server is asked for what it does not report: {', '.join(self.asked)}")
        kept = [name for name in statement.variables if name in KEPT and _shown(name) not in lost]
        if kept:
            found.append(f"kept for the client, and never left on a backend: {_list(kept)}")
        if statement.temporary:
            found.append(f"sets for itself only: {_list(statement.temporary)}")
        variables = [token.text for token in self.tokens if token.kind == VARIABLE]
        if variables:
            found.append(f"user variables: {_list(variables)}")
        for name, inner in statement.prepares:
            what = (
                "text that is not known from here" if inner is None else f"a statement that {_would(inner)}"
            )
            found.append(f"prepares {_shown(name)}: {what}")
        if statement.executes:
            found.append(f"runs what was prepared as {_list(statement.executes)}, with its effects")
        if statement.kill is not None:
            found.append(
                "ends another session or its statement: Fanin's id is mapped to the server's connection"
            )
        if PinReason.SAVEPOINT in self.pins:
            found.append(
                "a savepoint: pins outside of a transaction under autocommit=0, else it is of the transaction"
            )
        if RENAMED in statement.pin_names:
            found.append("renames: pins only a session that has temporary tables")
        if statement.flags & flags.SIGNALS:
            found.append("what it raises pins until another statement has cleared it")
        if statement.flags & flags.HIDES_FOUND_ROWS:
            found.append("pins on MySQL until the next query: FOUND_ROWS() may show what it counts later")
        return [*found, *self._leaves()]

    def _leaves(self) -> list[str]:
        """Residue."""
        statement, first = self.statement, self.words[0] if self.words else b""
        found = []
        if statement.found_rows == UNKNOWN_FOUND_ROWS and first != b"create":
            found.append(
                "leaves FOUND_ROWS() on the backend: parked, read off it when another session needs it"
            )
        if first in (b"insert", b"replace", b"load"):
            found.append("leaves LAST_INSERT_ID() on the backend if it makes one: parked")
        return found

    def _advice(self) -> list[str]:
        found = []
        if b"sql_calc_found_rows" in self.words:
            found.append(
                "ask SELECT COUNT(*) with the same conditions in place of SQL_CALC_FOUND_ROWS and FOUND_ROWS()"
            )
        if b"found_rows" in self.words:
            found.append("ask SELECT COUNT(*) in place of FOUND_ROWS(), which MySQL has deprecated")
        return found


def _would(inner: Statement) -> str:
    reasons = list(dict.fromkeys(reason.value for reason in inner.pins))
    return (
        f"pins when it is executed: {', '.join(reasons)}" if reasons else "does not pin when it is executed"
    )


def _list(names: Sequence[bytes]) -> str:
    return ", ".join(dict.fromkeys(map(_shown, names)))


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def as_text(explanations: Sequence[Explanation]) -> str:
    """For people."""
    if not explanations:
        return "no statement\n"
    return "\n".join("".join(f"{line}\n" for line in _lines(each)) for each in explanations)


def _lines(each: Explanation) -> list[str]:
    lines = [f"statement: {each.digest}", f"class: {each.kind}", f"route: {each.route}"]
    lines += [f"effect: {effect}" for effect in each.effects]
    if not each.pins:
        lines.append("pinned: no")
    for pin in each.pins:
        names = f" ({', '.join(pin.names)})" if pin.names else ""
        lines += [
            f"pinned: {pin.reason}{names}: {pin.description}",
            f"  until: {pin.cleared_by}",
            f"  advice: {pin.advice}",
        ]
    lines += [f"lifts: {reason}" for reason in each.lifts]
    return [*lines, *(f"advice: {advice}" for advice in each.advice)]
