"""What is wrong with settings, said to the person who wrote them: where, what was expected, what was found.

ConfigError          the settings cannot be used; carries every Problem that was found, not only the first

A value is shown only when it cannot hold a secret: whatever stands in a list of users, in a key with a secret's name, or
under a key that does not exist (which may be a misspelt `password`) is masked, and so is what precedes an "@".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from config.catalog import suggestion
from config.keylines import Path
from config.sections import TABLE_RULE
from config.settings import NO_UPSTREAM

MASK = "****"
SECRET_KEYS = frozenset({"password", "native_hash", "password_env"})

_LONGEST_SHOWN = 60
_PLAINER = {
    "a valid dictionary": "a table",
    "a valid tuple": "a list",
    "a valid boolean": "true or false",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    source: str  # "fanin.toml:12", "FANIN_POOL__SIZE", "--pool-size"; "" if it is written nowhere
    path: str  # "pool.size", "upstream[1].port"; "" if no setting is concerned
    message: str
    is_no_upstream: bool = False  # is it that nothing says where the server is?

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.message) if part)


class ConfigError(Exception):
    """The settings cannot be used. `str()` is one line for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def spelled(path: Path) -> str:
    """A path as people write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def path_of(error: ErrorDetails) -> Path:
    """The path that an error of pydantic is about."""
    path = error["loc"]
    return path[:-1] if error["type"] == TABLE_RULE else path


def problem_of(error: ErrorDetails, source: str) -> Problem:
    """Put an error of pydantic into our words; `source` is where its value was written."""
    path = path_of(error)
    return Problem(source, spelled(path), _message(error, path), is_no_upstream=error["type"] == NO_UPSTREAM)


def _message(error: ErrorDetails, path: Path) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(path)}"
    if kind == "missing":
        return "is needed and not there"
    if kind in (TABLE_RULE, NO_UPSTREAM):
        return error["msg"]
    text = str(error["ctx"]["error"]) if kind == "value_error" else _expected(error["msg"])
    return f"{text}; found {shown(error['input'], path)}" if text.startswith("expected") else text


def _expected(message: str) -> str:
    """pydantic's sentences start with "Input should be", "String should have" and the like."""
    _, should, wanted = message.partition(" should ")
    if not should:
        return "expected a path" if "valid path" in message else f"expected something else ({message})"
    wanted = wanted.removeprefix("be ").removeprefix("have ").partition(", unable")[0]
    return f"expected {_PLAINER.get(wanted.partition(' or ')[0], wanted)}"


def shown(value: object, path: Path) -> str:
    """A value for a message, masked if it may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if SECRET_KEYS.intersection(path) or (path[0] == "users" and path[-1] != "name"):
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and "@" in value:
        value = f"{MASK}@{value.rpartition('@')[2]}"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
