from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.keylines import Path
from config.problems import ConfigError, Problem, path_of, problem_of, shown, spelled
from config.settings import Settings


def problems_of(**table: Any) -> list[str]:
    """The problems of settings, as text, without their sources."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"upstream": "db", **table})
    return [str(problem_of(error, "")) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"pool": {"siz": 5}}, "pool.siz: unknown key; did you mean `size`?"),
        ({"pool": {"size": "x"}}, "pool.size: expected a whole number; found 'x'"),
        ({"pool": {"size": 1.5}}, "pool.size: expected a valid integer, got a number with a fractional part; found 1.5"),
        ({"pool": {"size": 0}}, "pool.size: expected greater than or equal to 1; found 0"),
        ({"pool": {"size": True}}, "pool.size: expected a number, not true or false; found true"),
        ({"pool": {"max_age": "x"}}, "pool.max_age: expected a number; found 'x'"),
        ({"pool": {"mode": "tx"}}, "pool.mode: expected 'session', 'transaction' or 'statement'; found 'tx'"),
        ({"pool": 5}, "pool: expected a table; found 5"),
        ({"pool": ["x"]}, "pool: expected a table; found a list"),
        ({"listen": 5}, "listen: expected a list; found 5"),
        ({"passthrough": 5}, "passthrough: expected true or false; found 5"),
        ({"passthrough": {}}, "passthrough: expected true or false; found a table"),
        ({"users": [{"name": 5, "password": ""}]}, "users[0].name: expected a text; found 5"),
        ({"users": [{"password": "x"}]}, "users[0].name: is needed and not there"),
        ({"users": [{"name": "x"}]}, "users[0]: expected exactly one of `password`, `native_hash` and `password_env`, or a rule: `max_backends`, or `priority` batch"),
        ({"users": [{"name": "x", "max_backends": 1, "password": "a", "native_hash": "*" + "0" * 40}]}, "users[0]: expected exactly one of `password`, `native_hash` and `password_env`"),
        ({"users": [{"name": "x", "password": "", "priority": "high"}]}, "users[0].priority: expected 'interactive' or 'batch'; found ****"),
        ({"users": ["app:hunter2"]}, "users[0]: expected a table; found ****"),
        ({"users": [{"name": "a", "native_hash": "hunter2"}]}, 'users[0].native_hash: expected "*" and 40 hexadecimal digits; found ****'),
        ({"client_tls": {"certificate": __file__}}, "client_tls.key: expected `certificate` and `key` together; found nothing"),
        ({"upstream": []}, "upstream: expected at least one server"),
        ({"upstream": "mysql://app:hunter2@db"}, "upstream[0]: expected \"HOST:PORT\", \"[IPv6]:PORT\" or \"unix:/PATH\", without scheme, user and password; found '****@db'"),
        ({"log": {"level": "x" * 100}}, f"log.level: expected 'debug', 'info', 'warning' or 'error'; found '{'x' * 59}..."),
    ],
)  # fmt: skip
def test_a_problem_says_what_was_expected_and_found(table: dict[str, Any], text: str) -> None:
    assert problems_of(**table) == [text]


def test_a_text_too_strange_for_our_words_is_passed_on() -> None:
    error: Any = {"type": "odd", "loc": ("pool", "size"), "msg": "It does not work", "input": 5}
    assert str(problem_of(error, "x.toml:3")) == (
        "x.toml:3: pool.size: expected something else (It does not work); found 5"
    )


def test_a_missing_upstream_can_be_told_from_other_problems() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"pool": {"size": 0}})
    assert [problem_of(error, "").is_no_upstream for error in caught.value.errors()] == [True, False]


def test_a_rule_of_a_table_is_about_the_table() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"upstream": [{}]})
    assert [path_of(error) for error in caught.value.errors()] == [("upstream", 0)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("pool",), "pool"),
        (("pool", "size"), "pool.size"),
        (("upstream", 1, "port"), "upstream[1].port"),
    ],
)
def test_paths_are_spelled_as_people_do(path: Path, text: str) -> None:
    assert spelled(path) == text


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        (None, ("pool", "size"), "nothing"),
        (False, ("log", "queries"), "false"),
        ("hunter2", ("users", 0, "password"), "****"),
        ("hunter2", ("users",), "****"),
        (12345, ("users", 0, "password_env"), "****"),
        ({"password": "hunter2"}, ("users",), "a table"),
        ("app", ("users", 0, "name"), "'app'"),
        ("a@b@c", ("listen",), "'****@c'"),
    ],
)
def test_values_that_may_be_secrets_are_masked(value: object, path: Path, text: str) -> None:
    assert shown(value, path) == text


def test_an_error_is_one_line_for_each_problem() -> None:
    error = ConfigError([Problem("f.toml:1", "pool.size", "bad"), Problem("", "", "worse")])
    assert str(error) == "f.toml:1: pool.size: bad\nworse"
    assert len(error.problems) == 2
