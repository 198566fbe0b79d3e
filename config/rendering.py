"""Settings as text: the README's table, and the effective settings with the origin of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretStr

from config.catalog import Setting, all_settings
from config.keylines import Path
from config.loading import Loaded
from config.problems import MASK


def settings_table() -> str:
    """Every setting with its flag, default and meaning: a table in Markdown."""
    rows = ["| Setting | Flag | Default | Meaning |", "|---|---|---|---|"]
    for setting in all_settings():
        cells = (f"`{setting.path}`", _code(setting.flag), _default(setting), setting.description)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _default(setting: Setting) -> str:
    if setting.default is None or setting.default == ():
        return ""
    if isinstance(setting.default, str) and not isinstance(setting.default, Enum):
        return setting.default
    return f"`{_literal(setting.default)}`"


def effective_toml(loaded: Loaded) -> str:
    """The settings in force as a TOML file: secrets masked, each line with the origin of its value."""
    return "\n".join(_table_lines(loaded, loaded.settings, ())) + "\n"


def _table_lines(loaded: Loaded, table: BaseModel, path: Path) -> Iterator[str]:
    """A table: its own keys first, as TOML wants it, then the tables in it."""
    inner: list[tuple[Path, BaseModel, str]] = []
    for key in type(table).model_fields:
        value = getattr(table, key)
        if key == "password" and getattr(table, "password_env", None) is not None:
            value = None  # `load` has put it there; it was written as `password_env`
        if isinstance(value, BaseModel):
            inner.append(((*path, key), value, f"[{key}]"))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            inner += [((*path, key, index), each, f"[[{key}]]") for index, each in enumerate(value)]
        else:
            # None is "off" where that is not the default, and else it is a setting without a value.
            shown = "off" if value is None and type(table).model_fields[key].default is not None else value
            yield _line(loaded, (*path, key), shown)
    for where, value, header in inner:
        yield f"\n{header}"
        yield from _table_lines(loaded, value, where)


def _line(loaded: Loaded, path: Path, value: object) -> str:
    if value is None:
        return f"# {path[-1]} is not set"
    return f"{path[-1]} = {_literal(value)}  # {loaded.origin(path)}"


def _literal(value: Any) -> str:
    """A value in TOML's spelling."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(each) for each in value)}]"
    if isinstance(value, int | float):
        return str(int(value) if value == int(value) else value)
    if isinstance(value, SecretStr):
        return f'"{MASK}"'
    # JSON's strings are TOML's basic strings, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
