"""What a statement is made into before the real server sees it, so that it answers as an Aurora instance would.

The real server evaluates everything: an Aurora variable becomes a value with the variable's name, `information_schema.replica_host_status`
a common table expression with the rows of the moment. A statement that names nothing of Aurora's stays as it is, byte for byte.

Not covered: these names in statements that are no SELECT (SHOW VARIABLES, SHOW STATUS and SET apart), SHOW GLOBAL VARIABLES without a condition
(it does not list Aurora's variables), and prepared statements, which keep the rows that they were prepared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

TOKEN: Final = re.compile(
    r"""(?P<space>\s+|/\*(?!!).*?\*/|(?:--(?=\s)|\#)[^\n]*)
      | (?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
      | (?P<variable>@@[\w.$`]+)
      | (?P<word>[\w$]+|`(?:[^`]|``)*`)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
# A statement without any of these stays as it is, and need not be looked at.
NAMES: Final = re.compile(
    rb"aurora|innodb_read_only|replica_host_status|uptime|(?:global|session)_status|kill|show\s+(?:(?:session|local)\s+)?variables\s*;?\s*\Z",
    re.I,
)
SHOW: Final = re.compile(
    r"\s*SHOW\s+(?:(?:GLOBAL|SESSION|LOCAL)\s+)?(VARIABLES|STATUS)\s+(LIKE|WHERE)\b(.*)", re.I | re.DOTALL
)
ALL_VARIABLES: Final = re.compile(r"\s*SHOW\s+(?:(?:SESSION|LOCAL)\s+)?VARIABLES\s*;?\s*", re.I)
ASSIGNMENT: Final = re.compile(
    r"""(?:@@)?(?:(?:SESSION|LOCAL)(?:\s+|\.))?
        (?P<name>aurora_replica_read_consistency|aurora_read_replica_read_committed)
        \s*:?=\s*(?P<value>'[^']*'|"[^"]*"|\w+)""",
    re.I | re.VERBOSE,
)
SET: Final = re.compile(r"\s*SET\s+(.*?)[\s;]*$", re.I | re.DOTALL)
KILL: Final = re.compile(
    r"(\s*KILL\s+(?:(?:HARD|SOFT)\s+)?(?:(?:QUERY|CONNECTION)\s+)?)(\d+)(.*)", re.I | re.DOTALL
)
# What an assignment that was taken out leaves between the others.
EMPTY_PLACE: Final = re.compile(r"^[\s,]+|,\s*(?=,)|[\s,]+$")
SCOPES: Final = ("global.", "session.", "local.")
# Words that end a list of columns.
AFTER_COLUMNS: Final = frozenset(
    {"from", "limit", "where", "into", "union", "order", "having", "group", "for", ")", ";", ""}
)

STATUS_TABLES: Final = ("global_status", "session_status")

CONSISTENCY: Final = "aurora_replica_read_consistency"
READ_COMMITTED: Final = "aurora_read_replica_read_committed"
ALLOWED: Final[Mapping[str, Mapping[str, str]]] = {
    CONSISTENCY: {each: each.upper() for each in ("", "eventual", "session", "global")} | {"default": ""},
    READ_COMMITTED: {"on": "1", "1": "1", "true": "1", "off": "0", "0": "0", "false": "0", "default": "0"},
}
"""Session variables of Aurora's: what may be assigned, and the value that it means."""


@dataclass(slots=True)
class Face:
    """What an instance shows of itself to one session."""

    server_id: str
    aurora_version: str
    # where this kind of server keeps its status counters
    status_schema: str
    # a SELECT that gives the rows of replica_host_status
    rows: str
    # what Uptime says instead of the server's own; None: that
    uptime: int | None = None
    # the session's own variables
    settings: dict[str, str] = field(default_factory=lambda: {CONSISTENCY: "", READ_COMMITTED: "0"})

    def variable(self, name: str) -> str | None:
        """An expression with the value of a system variable, None for one that Aurora does not add."""
        return {
            "aurora_version": f"'{self.aurora_version}'",
            "aurora_server_id": f"'{self.server_id}'",
            "innodb_read_only": "@@global.read_only",
            CONSISTENCY: f"'{self.settings[CONSISTENCY]}'",
            READ_COMMITTED: self.settings[READ_COMMITTED],
        }.get(name)

    def shown_variables(self) -> str:
        """The server's variables and Aurora's, as SHOW VARIABLES has them."""
        shown = {
            "aurora_version": f"'{self.aurora_version}'",
            "aurora_server_id": f"'{self.server_id}'",
            "innodb_read_only": "IF(@@global.read_only, 'ON', 'OFF')",
            CONSISTENCY: f"'{self.settings[CONSISTENCY]}'",
            READ_COMMITTED: "'ON'" if self.settings[READ_COMMITTED] == "1" else "'OFF'",
        }
        names = ", ".join(f"'{name}'" for name in shown)
        selects = [f"SELECT '{name}' AS Variable_name, {value} AS Value" for name, value in shown.items()]
        own = f"SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM {self.status_schema}.session_variables"
        return " UNION ALL ".join([*selects, f"{own} WHERE LOWER(VARIABLE_NAME) NOT IN ({names})"])

    def shown_status(self, table: str = "global_status") -> str:
        """The server's status counters, of all or of the session, named as MySQL names them, with our own Uptime."""
        value = "VARIABLE_VALUE"
        if self.uptime is not None:
            value = f"IF(VARIABLE_NAME = 'Uptime', '{self.uptime}', VARIABLE_VALUE)"
        name = "CONCAT(UPPER(LEFT(VARIABLE_NAME, 1)), LOWER(SUBSTRING(VARIABLE_NAME, 2)))"
        return f"SELECT {name} AS VARIABLE_NAME, {value} AS VARIABLE_VALUE FROM {self.status_schema}.{table}"

    @property
    def status_schemas(self) -> frozenset[str]:
        """Schemas whose tables of status have to be replaced: Aurora has MySQL's, and it may have to show another Uptime."""
        if self.uptime is not None:
            return frozenset({"performance_schema", self.status_schema})
        return frozenset({"performance_schema"} - {self.status_schema})


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement; `word` is how it is compared, without quotes and in lower case."""

    kind: str
    text: str

    @property
    def word(self) -> str:
        return self.text.strip("`").lower()


def rewritten(text: str, face: Face) -> str:
    """What the real server is sent instead of this statement. Remembers what SET assigns in `face.settings`."""
    if ALL_VARIABLES.fullmatch(text):
        return f"SELECT * FROM ({face.shown_variables()}) AS shown"
    if not NAMES.search(text.encode("latin-1", "replace")):
        return text
    if shown := SHOW.fullmatch(text):
        return _shown(text, face, shown)
    if assigned := SET.fullmatch(text):
        return _assigned(text, face, assigned[1])
    return _selected(text, face)


def _shown(text: str, face: Face, match: re.Match[str]) -> str:
    what, how, condition = match[1].upper(), match[2].upper(), match[3]
    where = f"WHERE Variable_name LIKE{condition}" if how == "LIKE" else f"WHERE{condition}"
    if what == "VARIABLES" and "uptime" not in condition.lower():
        return f"SELECT * FROM ({face.shown_variables()}) AS shown {where}"
    if what == "STATUS" and face.uptime is not None and "uptime" in condition.lower():
        columns = "VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value"
        return f"SELECT * FROM (SELECT {columns} FROM ({face.shown_status()}) AS s) AS shown {where}"
    return text


def _assigned(text: str, face: Face, assignments: str) -> str:
    found = list(ASSIGNMENT.finditer(assignments))
    meant = {}
    for each in found:
        name, value = each["name"].lower(), each["value"].strip("'\"").lower()
        if value not in ALLOWED[name]:
            # the real server will complain of an unknown variable
            return text
        meant[name] = ALLOWED[name][value]
    face.settings.update(meant)
    if not found:
        return text
    rest = EMPTY_PLACE.sub("", ASSIGNMENT.sub("", assignments)).strip()
    return f"SET {rest}" if rest else "DO 0"


def killed(text: str, ids: Mapping[int, int]) -> str:
    """A KILL with the connection's present id, where that is not the one that the client was told."""
    match = KILL.fullmatch(text)
    if match is None or int(match[2]) not in ids:
        return text
    return f"{match[1]}{ids[int(match[2])]}{match[3]}"


# --- SELECT


def tokens_of(text: str) -> list[Token]:
    """The whole text in pieces."""
    return [Token(str(match.lastgroup), match.group()) for match in TOKEN.finditer(text)]


def _selected(text: str, face: Face) -> str:
    tokens = tokens_of(text)
    select = _Select(tokens, face)
    body = "".join(select.pieces())
    if not select.tables:
        return body
    named = ", ".join(f"{name} AS ({rows})" for name, rows in select.tables.items())
    first = next((token.word for token in tokens if token.kind != "space" and token.text != "("), "")
    if first == "with":
        return re.sub(r"\bWITH\b", lambda _: f"WITH {named},", body, count=1, flags=re.I)
    return f"WITH {named} {body}" if first == "select" else text


class _Select:
    """One walk over a statement."""

    def __init__(self, tokens: list[Token], face: Face) -> None:
        self._tokens = tokens
        self._face = face
        # common table expressions that the statement needs
        self.tables: dict[str, str] = {}
        # for each open parenthesis whether we are among the columns of a SELECT
        self._is_in_columns = [False]
        self._last = ""

    def pieces(self) -> Iterator[str]:
        """The statement's new text."""
        position = 0
        while position < len(self._tokens):
            token = self._tokens[position]
            size, piece = self._replaced(position)
            if token.kind != "space":
                self._step(token.word)
            yield piece
            position += size

    def _step(self, word: str) -> None:
        if word == "(":
            self._is_in_columns.append(False)
        elif word == ")" and len(self._is_in_columns) > 1:
            self._is_in_columns.pop()
        elif word == "select":
            self._is_in_columns[-1] = True
        elif word in AFTER_COLUMNS:
            self._is_in_columns[-1] = False
        self._last = word

    def _replaced(self, position: int) -> tuple[int, str]:
        """How many tokens something else stands for, and that."""
        token = self._tokens[position]
        if token.kind == "variable":
            name = token.text[2:].replace("`", "").lower()
            value = self._face.variable(next((name[len(s) :] for s in SCOPES if name.startswith(s)), name))
            return 1, token.text if value is None else self._named(value, token.text, position + 1)
        if token.word == "aurora_version" and self._words(position, 3) == ["aurora_version", "(", ")"]:
            return 3, self._named(f"'{self._face.aurora_version}'", "AURORA_VERSION()", position + 3)
        if token.kind == "word":
            return self._table(position)
        return 1, token.text

    def _table(self, position: int) -> tuple[int, str]:
        schema, *table = [*self._words(position, 3), ""]
        if schema == "replica_host_status" and self._last != ".":
            table = [".", schema, ""]
        if schema in ("information_schema", "replica_host_status") and table[1:2] == ["replica_host_status"]:
            self.tables["replica_host_status"] = self._face.rows
            return 3 if schema == "information_schema" else 1, "replica_host_status"
        if schema in self._face.status_schemas and table[0] == "." and table[1] in STATUS_TABLES:
            self.tables[table[1]] = self._face.shown_status(table[1])
            return 3, table[1]
        return 1, self._tokens[position].text

    def _words(self, position: int, count: int) -> list[str]:
        return [token.word for token in self._tokens[position : position + count]]

    def _named(self, value: str, name: str, position: int) -> str:
        """A value; where it is a column by itself it gets the name that it would have."""
        follows = (token.word for token in self._tokens[position:] if token.kind != "space")
        is_alone = self._last in ("select", ",") and next(follows, "") in AFTER_COLUMNS | {","}
        return f"{value} AS `{name}`" if is_alone and self._is_in_columns[-1] else value
