"""Read the settings: flags over environment over file over defaults.

`load` is all that a process needs; `read` also says where each value came from, for `fanin check`. Both raise ConfigError
with everything that is wrong, wherever it is written.

A list (`upstream`, `listen`, `users`) replaces the one of a weaker source, a table is merged key by key. Paths of files
in the configuration file are relative to its folder, elsewhere to the working directory.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from config.catalog import ENV_DELIMITER, ENV_PREFIX, all_settings, near_variable, variable_name
from config.keylines import Path, key_lines
from config.problems import ConfigError, Problem, path_of, problem_of, spelled
from config.settings import Settings

_FILE_KEYS: Final = {
    "client_tls": ("certificate", "key", "client_ca"),
    "server_tls": ("ca", "certificate", "key"),
}
_OUTSIDE: Final = object()


class _FromEnvironment(Settings, BaseSettings):
    """The same model, with the names that its settings have in the environment."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER, enable_decoding=False
    )


@dataclass(frozen=True, slots=True)
class Source:
    """One place where settings are written."""

    kind: str  # "flag", "environment" or "file"
    tree: dict[str, Any]  # nested as in the file
    name: str = ""  # of the file
    lines: Mapping[Path, int] | None = None  # of the file

    def depth(self, path: Path) -> int:
        """How many steps of a path lead to something that is written here."""
        value: object = self.tree
        for depth, part in enumerate(path):
            if not isinstance(value, dict | list):
                # A text may stand for a table or a list, and is then the place of all that is in it.
                return len(path)
            value = _step(value, part)
            if value is _OUTSIDE:
                return depth
        return len(path)

    def place(self, path: Path) -> str:
        """Where a setting is written, for a message: as exactly as the source can say."""
        if self.kind == "flag":
            key = spelled(tuple(part for part in path if isinstance(part, str)))
            return next(
                (each.flag for each in all_settings() if each.flag and each.path == key), "command line"
            )
        if self.kind == "environment":
            return variable_name(self._written(path))
        lines = self.lines or {}
        line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 0)
        return f"{self.name}:{line}" if line else self.name

    def _written(self, path: Path) -> Path:
        """The part of a path that is a key here; the rest is inside of its text."""
        value: object = self.tree
        for depth, part in enumerate(path):
            if not isinstance(value, dict):
                return path[:depth]
            value = value.get(part)
        return path


def _step(value: dict[str, Any] | list[Any], part: str | int) -> object:
    if isinstance(value, dict):
        return value.get(str(part), _OUTSIDE)
    return value[part] if isinstance(part, int) and part < len(value) else _OUTSIDE


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that are in force, and the sources they came from, strongest first."""

    settings: Settings
    sources: tuple[Source, ...]

    def origin(self, path: Path) -> str:
        """Where the value of a setting was written; "default" if nowhere."""
        return next((each.place(path) for each in self.sources if each.depth(path) == len(path)), "default")


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: FilePath | None) -> Settings:
    """The settings in force. `flags` maps paths such as "pool.size" to values, None for flags that were not given.

    Raises ConfigError.
    """
    return read(flags, environ, file).settings


def read(flags: Mapping[str, object], environ: Mapping[str, str], file: FilePath | None) -> Loaded:
    """As `load`, with the origins."""
    sources = (_flag_source(flags), _environment_source(environ), *_file_sources(file))
    tree: dict[str, Any] = {}
    for source in reversed(sources):
        tree = _merged(tree, source.tree)
    passwords, problems = _passwords(tree, environ, sources)
    problems += _stray_variables(environ, set(passwords))
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems += [
            problem_of(each, _place(sources, path_of(each))) for each in error.errors(include_url=False)
        ]
    if problems:
        raise ConfigError(sorted(problems, key=_line))
    return Loaded(_with_passwords(settings, passwords), sources)


def _flag_source(flags: Mapping[str, object]) -> Source:
    tree: dict[str, Any] = {}
    for path, value in flags.items():
        if value is not None:
            *tables, key = path.split(".")
            table = tree
            for each in tables:
                table = table.setdefault(each, {})
            table[key] = value
    return Source("flag", tree)


def _environment_source(environ: Mapping[str, str]) -> Source:
    source = EnvSettingsSource(_FromEnvironment)
    source.env_vars = {name.lower(): value for name, value in environ.items() if value != ""}
    return Source("environment", source())


def _file_sources(file: FilePath | None) -> Iterable[Source]:
    if file is None:
        return ()
    try:
        text = file.read_bytes().decode("utf-8-sig")
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([Problem(str(file), "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(file), "", f"is not UTF-8 text (byte {error.start})")]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(str(file), "", f"is not TOML: {error}")]) from error
    except RecursionError as error:
        raise ConfigError(
            [Problem(str(file), "", "is not TOML that can be read: nested too deeply")]
        ) from error
    _anchor(tree, file.parent)
    return (Source("file", tree, str(file), key_lines(text)),)


def _anchor(tree: dict[str, Any], folder: FilePath) -> None:
    """Make the paths in a file relative to its folder."""
    for name, keys in _FILE_KEYS.items():
        table = tree.get(name)
        if isinstance(table, dict):
            written = {key: table[key] for key in keys if isinstance(table.get(key), str)}
            table.update({key: str(folder / path) for key, path in written.items()})


def _merged(weaker: dict[str, Any], stronger: dict[str, Any]) -> dict[str, Any]:
    tree = dict(weaker)
    for key, value in stronger.items():
        below = tree.get(key)
        tree[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return tree


def _place(sources: tuple[Source, ...], path: Path) -> str:
    """Where the strongest source that has a path, or most of it, wrote it; "" if none has any of it."""
    depths = [source.depth(path) for source in sources]
    deepest = max(depths)
    if deepest == 0:
        return ""
    return sources[depths.index(deepest)].place(path)


def _line(problem: Problem) -> int:
    """Sort key: what is in a file by line, all else before it in the order of its finding."""
    _, _, line = problem.source.rpartition(":")
    return int(line) if line.isdecimal() else 0


def _passwords(
    tree: dict[str, Any], environ: Mapping[str, str], sources: tuple[Source, ...]
) -> tuple[dict[str, str], list[Problem]]:
    """The passwords that users' `password_env` name, by name of the variable."""
    passwords: dict[str, str] = {}
    problems: list[Problem] = []
    users = tree.get("users")
    for index, user in enumerate(users if isinstance(users, list) else ()):
        variable = user.get("password_env") if isinstance(user, dict) else None
        if not isinstance(variable, str) or not variable:
            continue
        if environ.get(variable):
            passwords[variable] = environ[variable]
        else:
            # The name is not shown: a password may have been put here by mistake.
            path: Path = ("users", index, "password_env")
            message = "expected the name of an environment variable that is set"
            problems.append(Problem(_place(sources, path), spelled(path), message))
    return passwords, problems


def _with_passwords(settings: Settings, passwords: Mapping[str, str]) -> Settings:
    users = tuple(
        user.model_copy(update={"password": SecretStr(passwords[user.password_env])})
        if user.password_env
        else user
        for user in settings.users
    )
    return settings.model_copy(update={"users": users})


def _stray_variables(environ: Mapping[str, str], used: set[str]) -> list[Problem]:
    """Variables that look like a setting's, such as FANIN_POOL_SIZE with one underscore."""
    known = {setting.variable for setting in all_settings()}
    tables = tuple(
        name.rpartition(ENV_DELIMITER)[0] + ENV_DELIMITER for name in known if name and ENV_DELIMITER in name
    )
    problems: list[Problem] = []
    for name in environ:
        upper = name.upper()
        if not upper.startswith(ENV_PREFIX) or upper in known or upper.startswith(tables) or name in used:
            continue
        if (meant := near_variable(name)) is not None:
            problems.append(Problem(name, "", f"sets nothing; did you mean {meant}?"))
    return problems
