from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from config.loading import load, read
from config.problems import ConfigError

DB = '[[upstream]]\nhost = "db"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fanin.toml"


def problems_of(
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    """What is wrong, with the file's name in place of its path."""
    with pytest.raises(ConfigError) as caught:
        load(flags or {}, environ or {}, file)
    return str(caught.value).replace(f"{file}", "FILE").split("\n")


def test_flags_win_over_environment_over_file_over_defaults(file: Path) -> None:
    file.write_text(f"[pool]\nsize = 1\nmin_idle = 1\nmax_opening = 1\n{DB}")
    environ = {"FANIN_POOL__SIZE": "2", "FANIN_POOL__MIN_IDLE": "0", "HOME": "/"}
    loaded = read({"pool.size": "3", "pool.mode": None}, environ, file)
    pool = loaded.settings.pool
    assert (pool.size, pool.min_idle, pool.max_opening, pool.idle_timeout) == (3, 0, 1, 60.0)
    assert loaded.origin(("pool", "size")) == "--pool-size"
    assert loaded.origin(("pool", "min_idle")) == "FANIN_POOL__MIN_IDLE"
    assert loaded.origin(("pool", "max_opening")) == f"{file}:4"
    assert loaded.origin(("pool", "idle_timeout")) == "default"
    assert loaded.origin(("upstream", 0, "host")) == f"{file}:6"
    assert loaded.origin(("upstream", 0, "port")) == "default"


def test_a_list_replaces_the_one_of_a_weaker_source(file: Path) -> None:
    file.write_text('upstream = ["a", {host = "b", role = "reader"}]')
    assert [each.host for each in load({}, {}, file).upstream] == ["a", "b"]
    assert [each.host for each in load({}, {"FANIN_UPSTREAM": "c"}, file).upstream] == ["c"]
    assert [each.host for each in load({"upstream": ["d"]}, {"FANIN_UPSTREAM": "c"}, file).upstream] == ["d"]


def test_flags_alone_are_enough() -> None:
    flags = {"upstream": ["db:1"], "http.listen": "off", "listen": ["127.0.0.1:1,unix:/x", "127.0.0.1:2"]}
    settings = load(flags, {}, None)
    assert settings.http.listen is None
    assert [str(each) for each in settings.listen] == ["127.0.0.1:1", "unix:/x", "127.0.0.1:2"]


def test_the_environment_alone_is_enough() -> None:
    environ = {
        "FANIN_UPSTREAM": "db:1",
        "fanin_http": "off",
        "FANIN_PASSTHROUGH": "no",
        "FANIN_DRAIN_TIMEOUT": "",
    }
    loaded = read({}, environ, None)
    assert (loaded.settings.http.listen, loaded.settings.passthrough) == (None, False)
    assert loaded.origin(("http", "listen")) == "FANIN_HTTP"
    assert loaded.origin(("drain_timeout",)) == "default"


def test_every_problem_of_a_file_is_named_with_its_line(file: Path) -> None:
    file.write_text(
        "passthrough = 3\n"
        'listne = "x"\n'
        "[pool]\n"
        "siz = 4\n"
        'mode = "tx"\n'
        "drain_timeout = 3\n"
        "[[upstream]]\n"
        'host = "db:33"\n'
        "[[upstream]]\n"
        'role = "reader"\n'
        "[[users]]\n"
        'name = "app"\n'
        'password = "hunter2"\n'
        'native_hash = "hunter3"\n'
        "[[users]]\n"
        'name = "b"\n'
        'pasword = "hunter4"\n'
    )
    assert problems_of(file) == [
        "FILE:1: passthrough: expected true or false; found 3",
        "FILE:2: listne: unknown key; did you mean `listen`?",
        "FILE:4: pool.siz: unknown key; did you mean `size`?",
        "FILE:5: pool.mode: expected 'session', 'transaction' or 'statement'; found 'tx'",
        "FILE:6: pool.drain_timeout: unknown key; `drain_timeout` is no key of a table, and so belongs before the "
        "first [table]",
        "FILE:8: upstream[0].host: expected a host name or an IP address alone; the port has a key of its own; "
        "found 'db:33'",
        "FILE:9: upstream[1]: expected either `host` or `socket`",
        'FILE:14: users[0].native_hash: expected "*" and 40 hexadecimal digits; found ****',
        "FILE:15: users[1]: expected exactly one of `password`, `native_hash` and `password_env`, or a rule: `max_backends`, or `priority` batch",
        "FILE:17: users[1].pasword: unknown key; did you mean `password`?",
    ]


def test_a_problem_is_told_where_it_was_written(file: Path) -> None:
    file.write_text(f"[pool]\nsize = 0\nmin_idle = -1\n[server_tls]\nkey = 5\n{DB}")
    environ = {"FANIN_POOL__SIZE": "x", "FANIN_LISTEN": "a:1,b", "FANIN_LIMITS": "y", "FANIN_POOL__SIZ": "5"}
    assert problems_of(file, {"pool.mode": "tx", "limits.login_timeout": "z"}, environ) == [
        'FANIN_LISTEN: listen[1]: expected "HOST:PORT", "[IPv6]:PORT" or "unix:/PATH", with a port from 0 to 65535; '
        "found 'b'",
        "FANIN_POOL__SIZE: pool.size: expected a whole number; found 'x'",
        "--pool-mode: pool.mode: expected 'session', 'transaction' or 'statement'; found 'tx'",
        "FANIN_POOL__SIZ: pool.siz: unknown key; did you mean `size`?",
        "command line: limits.login_timeout: expected a number; found 'z'",
        "FILE:3: pool.min_idle: expected greater than or equal to 0; found -1",
        "FILE:5: server_tls.key: expected a path; found 5",
    ]


def test_a_table_that_is_a_text_in_the_environment_is_refused() -> None:
    assert problems_of(environ={"FANIN_POOL": "40", "FANIN_UPSTREAM": "db"}) == [
        "FANIN_POOL: pool: expected a table; found '40'"
    ]


def test_what_is_missing_everywhere_has_no_place() -> None:
    assert problems_of() == ["upstream: expected at least one server"]
    assert problems_of(flags={"upstream": ["db"], "reader_listen": "x:1"}) == [
        '--reader-listen: reader_listen: needs an upstream with role = "reader"'
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "FILE: is not TOML: Invalid value (at end of document)"),
        (b"a = 1\na = 2", "FILE: is not TOML: Cannot overwrite a value (at end of document)"),
        (b"a = '\xff'", "FILE: is not UTF-8 text (byte 5)"),
        (b"a = " + b"[" * 100_000, "FILE: is not TOML that can be read: nested too deeply"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    assert problems_of(file) == [message]


def test_a_file_that_cannot_be_read_is_refused(file: Path) -> None:
    assert problems_of(file) == ["FILE: cannot be read: No such file or directory"]
    file.mkdir()
    assert problems_of(file) == ["FILE: cannot be read: Is a directory"]


def test_a_file_may_begin_with_a_byte_order_mark(file: Path) -> None:
    file.write_text(DB, "utf-8-sig")
    assert load({}, {}, file).upstream[0].host == "db"


def test_files_are_found_beside_the_configuration(file: Path) -> None:
    (file.parent / "ca.pem").touch()
    file.write_text(f'{DB}[server_tls]\nmode = "verify-ca"\nca = "ca.pem"\n[client_tls]\nmode = "disabled"\n')
    assert load({}, {}, file).server_tls.ca == file.parent / "ca.pem"
    file.write_text(f'{DB}[server_tls]\nmode = "verify-ca"\nca = "{file.parent}/ca.pem"\n')
    assert load({}, {}, file).server_tls.ca == file.parent / "ca.pem"


def test_a_password_may_come_from_a_variable(file: Path) -> None:
    file.write_text(
        f'{DB}[[users]]\nname = "app"\npassword_env = "APP_PW"\n[[users]]\nname = "b"\npassword = "hunter3"\n'
    )
    settings = load({}, {"APP_PW": "hunter2"}, file)
    assert [user.password.get_secret_value() for user in settings.users if user.password] == [
        "hunter2",
        "hunter3",
    ]
    assert "hunter" not in repr(settings)


def test_a_variable_with_a_password_may_look_like_a_setting(file: Path) -> None:
    file.write_text(f'{DB}[[users]]\nname = "app"\npassword_env = "FANIN_POOL_SIZE"\n')
    assert load({}, {"FANIN_POOL_SIZE": "hunter2"}, file).users[0].password is not None


@pytest.mark.parametrize("environ", [{}, {"hunter2": ""}])
def test_a_variable_that_is_not_set_is_a_problem_and_not_shown(file: Path, environ: dict[str, str]) -> None:
    file.write_text(f'{DB}[[users]]\nname = "app"\npassword_env = "hunter2"\n')
    assert problems_of(file, environ=environ) == [
        "FILE:5: users[0].password_env: expected the name of an environment variable that is set"
    ]


def test_users_of_a_wrong_kind_name_no_variable(file: Path) -> None:
    file.write_text(
        'users = ["x", {name = "y", password_env = 5}, {name = "z", password_env = ""}]\nupstream = "db"'
    )
    assert problems_of(file) == [
        "FILE:1: users[0]: expected a table; found ****",
        "FILE:1: users[1].password_env: expected a text; found ****",
        "FILE:1: users[2].password_env: expected at least 1 character; found ****",
    ]
    file.write_text('users = 5\nupstream = "db"')
    assert problems_of(file) == ["FILE:1: users: expected a list; found ****"]


def test_a_variable_with_one_underscore_is_a_problem() -> None:
    environ = {
        "FANIN_POOL_SIZE": "5",
        "FANIN_SERVICE_PORT": "6033",
        "FANIN_POOL__MODE": "session",
        "FANIN_CONFIG": "x",
    }
    assert problems_of(environ={"FANIN_UPSTREAM": "db", **environ}) == [
        "FANIN_POOL_SIZE: sets nothing; did you mean FANIN_POOL__SIZE?"
    ]
