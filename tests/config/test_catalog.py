from __future__ import annotations

import pytest

from config.catalog import all_settings, near_variable, suggestion, variable_name
from config.keylines import Path


def test_every_setting_says_what_it_means() -> None:
    assert [setting.path for setting in all_settings() if not setting.description] == []


def test_no_two_settings_share_a_flag_or_a_variable() -> None:
    for names in (
        [setting.flag for setting in all_settings() if setting.flag],
        [setting.variable for setting in all_settings() if setting.variable],
    ):
        assert len(names) == len(set(names))


def test_a_setting_is_described_by_its_field() -> None:
    by_path = {setting.path: setting for setting in all_settings()}
    size = by_path["pool.size"]
    assert (size.default, size.flag, size.variable, size.is_list) == (
        40,
        "--pool-size",
        "FANIN_POOL__SIZE",
        False,
    )
    assert (by_path["upstream"].flag, by_path["upstream"].is_list) == ("--upstream", True)
    assert (by_path["upstream[].host"].flag, by_path["upstream[].host"].variable) == (None, None)
    assert by_path["users[].name"].default is None
    assert by_path["client_tls.mode"].default == "optional"
    assert "pool" not in by_path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("pool", "size"), "FANIN_POOL__SIZE"),
        (("listen", 1), "FANIN_LISTEN"),
        (("upstream", 0, "host"), "FANIN_UPSTREAM"),
    ],
)
def test_variables_are_named_after_their_setting(path: Path, name: str) -> None:
    assert variable_name(path) == name


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("pool", "siz"), "; did you mean `size`?"),
        (("pool", "Max-Age"), "; did you mean `max_age`?"),
        (("lisen",), "; did you mean `listen`?"),
        (("users", 3, "pasword"), "; did you mean `password`?"),
        (
            ("pool", "passthrough"),
            "; `passthrough` is no key of a table, and so belongs before the first [table]",
        ),
        (("acquire_timeout",), "; `acquire_timeout` is a key of [pool]"),
        (("limits", "idle_timeout"), "; `idle_timeout` is a key of [pool]"),
        (("pool", "xyzzy"), ""),
        (("xyzzy",), ""),
        (("nowhere", "deeper", "size2"), ""),
    ],
)
def test_what_was_meant_is_guessed(path: Path, text: str) -> None:
    assert suggestion(path) == text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FANIN_POOL_SIZE", "FANIN_POOL__SIZE"),
        ("fanin_pool_size", "FANIN_POOL__SIZE"),
        ("FANIN_UPSTREAMS", "FANIN_UPSTREAM"),
        ("FANIN_SERVICE_HOST", None),
        ("FANIN_PORT", None),
        ("FANIN_PORT_6033_TCP_ADDR", None),
        ("FANIN_CONFIG", None),
    ],
)
def test_strangers_in_the_environment_are_let_be(name: str, meant: str | None) -> None:
    assert near_variable(name) == meant
