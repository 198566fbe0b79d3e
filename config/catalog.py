"""What settings there are: the model, read as a list.

The flags of the command line, the README's table and "did you mean" all come from here, and so never disagree with
the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.keylines import Path
from config.settings import Settings

ENV_PREFIX = "FANIN_"
ENV_DELIMITER = "__"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as its documentation shows it."""

    path: str  # "pool.size"; "upstream[].host" in a list of tables
    description: str
    default: object  # the value, or a text where the model says that in words
    flag: str | None  # "--pool-size"
    variable: str | None  # "FANIN_POOL__SIZE"; None in a list of tables
    is_list: bool  # takes several values


@cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the model."""
    return tuple(_settings_of(Settings, ""))


def _settings_of(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for key, field in model.model_fields.items():
        table, is_list = table_of(field)
        if table is None or field.description is not None:
            yield _setting(prefix + key, field, is_list)
        if table is not None:
            yield from _settings_of(table, f"{prefix}{key}[]." if is_list else f"{prefix}{key}.")


def _setting(path: str, field: FieldInfo, is_list: bool) -> Setting:
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    return Setting(
        path=path,
        description=field.description or "",
        default=extra.get("default", None if field.is_required() else field.default),
        flag=extra.get("flag"),
        variable=None if "[]" in path else variable_name(tuple(path.split("."))),
        is_list=is_list,
    )


def variable_name(path: Path) -> str:
    """The environment variable of a setting; of something in a list, that of the whole list."""
    keys: list[str] = []
    for part in path:
        if isinstance(part, int):
            break
        keys.append(part)
    return ENV_PREFIX + ENV_DELIMITER.join(keys).upper()


def table_of(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The table that a field holds, if it does, and whether the field is a list."""
    annotation: Any = field.annotation
    is_list = get_origin(annotation) is tuple
    if is_list:
        annotation = get_args(annotation)[0]
    is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return (annotation if is_table else None), is_list


def suggestion(path: Path) -> str:
    """What somebody may have meant by a path that is no setting: "; did you mean ...?" or ""."""
    *parents, key = path
    word = str(key).lower().replace("-", "_")
    if parents and word in _keys_of(()):
        return f"; `{word}` is no key of a table, and so belongs before the first [table]"
    for table in _tables():
        if parents != [table] and word in _keys_of((table,)):
            return f"; `{word}` is a key of [{table}]"
    near = get_close_matches(word, _keys_of(tuple(parents)), 1, 0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def _tables() -> list[str]:
    """The tables that are not in a list."""
    return [
        key for key, field in Settings.model_fields.items() if table_of(field)[0] and not table_of(field)[1]
    ]


def _keys_of(parents: Path) -> list[str]:
    """The keys of the table at a path, none if there is no such table."""
    model: type[BaseModel] | None = Settings
    for part in parents:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if model is not None else None
        model = None if field is None else table_of(field)[0]
    return [] if model is None else list(model.model_fields)


def near_variable(name: str) -> str | None:
    """The variable that was meant by one that starts with FANIN_ and sets nothing; None if none is near.

    Strangers are let be: in Kubernetes a service named "fanin" gives every process FANIN_PORT and the like.
    """
    known = {
        setting.variable: setting.variable.replace("__", "_")
        for setting in all_settings()
        if setting.variable
    }
    near = get_close_matches(name.upper().replace("__", "_"), known.values(), 1, 0.9)
    return next((variable for variable, plain in known.items() if near and plain == near[0]), None)
