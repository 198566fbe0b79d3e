from __future__ import annotations

import tomllib
from pathlib import Path

from config.catalog import all_settings
from config.loading import load, read
from config.rendering import effective_toml, settings_table


def test_the_table_has_a_row_for_each_setting() -> None:
    rows = settings_table().splitlines()
    assert len(rows) == 2 + len(all_settings())
    assert (
        "| `pool.size` | `--pool-size` | `40` | Most backend connections to one server, whatever their users and states, and whatever "
        "room it has (`budget`). |" in rows
    )
    assert {row.count("|") for row in rows} == {5}


def test_defaults_are_spelled_as_in_the_file() -> None:
    cells = {row.split(" | ")[0]: row.split(" | ")[2] for row in settings_table().splitlines()[2:]}
    assert cells["| `listen`"] == '`["127.0.0.1:6033"]`'
    assert cells["| `pool.mode`"] == '`"transaction"`'
    assert cells["| `pool.age_jitter`"] == "`0.2`"
    assert cells["| `drain_timeout`"] == "`30`"
    assert cells["| `passthrough`"] == "`true`"
    assert cells["| `upstream`"] == ""
    assert cells["| `users[].name`"] == ""
    assert cells["| `client_tls.mode`"] == '`"optional"`'


def test_effective_settings_show_values_and_origins_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "fanin.toml"
    file.write_text(
        '[[upstream]]\nhost = "db"\n[pool]\nmax_age = "2h"\nage_jitter = 0.25\n'
        '[[users]]\nname = "a\\"\\u007f"\npassword = "hunter2"\n'
        '[[users]]\nname = "b"\npassword_env = "PW"\n'
    )
    loaded = read({"pool.size": "7"}, {"FANIN_HTTP__LISTEN": "off", "PW": "hunter3"}, file)
    text = effective_toml(loaded)
    assert "hunter" not in text
    lines = text.splitlines()
    assert "size = 7  # --pool-size" in lines
    assert f"max_age = 7200  # {file}:4" in lines
    assert 'listen = "off"  # FANIN_HTTP__LISTEN' in lines
    assert "min_idle = 0  # default" in lines
    assert "# certificate is not set" in lines
    tree = tomllib.loads(text)
    assert tree["listen"] == ["127.0.0.1:6033"]
    assert tree["upstream"] == [
        {"host": "db", "port": 3306, "role": "writer", "name": "db:3306", "weight": 1}
    ]
    rules = {"max_backends": 0, "priority": "interactive"}
    assert tree["users"] == [
        {"name": 'a"\x7f', **rules, "password": "****"},
        {"name": "b", **rules, "password_env": "PW"},
    ]
    assert (tree["pool"]["age_jitter"], tree["log"]["queries"]) == (0.25, False)


def test_effective_settings_are_settings_again(tmp_path: Path) -> None:
    loaded = read({"upstream": ["unix:/x"], "listen": ["[::1]:1"]}, {}, None)
    again = tmp_path / "again.toml"
    again.write_text(effective_toml(loaded))
    assert load({}, {}, again) == loaded.settings
