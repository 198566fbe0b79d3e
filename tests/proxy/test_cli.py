from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from config.settings import Settings
from proxy.cli import EXAMPLE, main

UPSTREAM = ["--upstream", "127.0.0.1:3306"]
ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.usefixtures("plain_logs")


class Proxy:
    """Stands in for the proxy: keeps the settings it was run with."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error
        self.settings: Settings | None = None

    def run(self, settings: Settings) -> int:
        self.settings = settings
        if self.error is not None:
            raise self.error
        return 0


def served(argv: list[str], environ: dict[str, str] | None = None) -> Settings:
    """The settings that `fanin serve` runs the proxy with."""
    proxy = Proxy()
    assert main(["serve", *argv], environ or {}, proxy.run) == 0
    assert proxy.settings is not None
    return proxy.settings


def test_an_upstream_is_enough_to_serve() -> None:
    settings = served(UPSTREAM)
    assert [upstream.name for upstream in settings.upstream] == ["127.0.0.1:3306"]
    assert [str(address) for address in settings.listen] == ["127.0.0.1:6033"]


def test_every_flag_reaches_its_setting(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    file = tmp_path / "fanin.toml"
    file.write_text('[[upstream]]\nhost = "w"\n[[upstream]]\nhost = "r"\nrole = "reader"\n')
    flags = (
        "--listen 127.0.0.1:1 --listen unix:/x --reader-listen 127.0.0.1:2 --passthrough false --drain-timeout 1m"
        " --pool-size 7 --pool-mode session --acquire-timeout 2.5 --max-clients 9 --server-tls verify-ca"
        f" --server-ca {ca} --http off --log-level debug --log-format console --config {file}"
    )
    settings = served(flags.split())
    assert [str(address) for address in settings.listen] == ["127.0.0.1:1", "unix:/x"]
    assert [str(address) for address in settings.reader_listen] == ["127.0.0.1:2"]
    assert (settings.passthrough, settings.drain_timeout, settings.http.listen) == (False, 60.0, None)
    assert (settings.pool.size, settings.pool.mode, settings.pool.acquire_timeout) == (7, "session", 2.5)
    assert (settings.limits.max_clients, settings.server_tls.mode, settings.server_tls.ca) == (
        9,
        "verify-ca",
        ca,
    )
    assert (settings.log.level, settings.log.format) == ("debug", "console")


def test_file_environment_and_flags_come_together(tmp_path: Path) -> None:
    file = tmp_path / "fanin.toml"
    file.write_text("[pool]\nsize = 1\nmin_idle = 1\n")
    environ = {"FANIN_CONFIG": str(file), "FANIN_UPSTREAM": "db", "FANIN_POOL__SIZE": "2"}
    settings = served(["--pool-size", "3"], environ)
    assert (settings.pool.size, settings.pool.min_idle, settings.upstream[0].host) == (3, 1, "db")
    assert served([], environ).pool.size == 2


def test_the_real_environment_is_used_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANIN_UPSTREAM", "db")
    proxy = Proxy()
    assert main(["serve"], run=proxy.run) == 0


def test_without_an_upstream_the_shortest_command_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"], {}) == 2
    assert capsys.readouterr().err == (
        f"fanin: no upstream: which server shall Fanin stand in front of? For example: {EXAMPLE}\n"
    )


def test_all_problems_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fanin.toml"
    file.write_text('[pool]\nsiz = 4\nmode = "tx"\n')
    assert main(["check", "--config", str(file), "--pool-size", "x"], {}) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "fanin: --pool-size: pool.size: expected a whole number; found 'x'",
        f"fanin: {file}:2: pool.siz: unknown key; did you mean `size`?",
        f"fanin: {file}:3: pool.mode: expected 'session', 'transaction' or 'statement'; found 'tx'",
        f"fanin: no upstream: which server shall Fanin stand in front of? For example: {EXAMPLE}",
    ]


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", "/nowhere/fanin.toml"], {}) == 2
    assert (
        capsys.readouterr().err == "fanin: /nowhere/fanin.toml: cannot be read: No such file or directory\n"
    )


def test_check_prints_the_settings_in_force_with_origins_and_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fanin.toml"
    file.write_text('[[upstream]]\nhost = "db"\n[[users]]\nname = "app"\npassword = "hunter2"\n')
    assert main(["check", "--config", str(file), "--listen", "0.0.0.0:6033"], {"FANIN_POOL__SIZE": "7"}) == 0
    captured = capsys.readouterr()
    assert tomllib.loads(captured.out)["users"] == [
        {"name": "app", "max_backends": 0, "priority": "interactive", "password": "****"}
    ]
    lines = captured.out.splitlines()
    assert 'listen = ["0.0.0.0:6033"]  # --listen' in lines
    assert "size = 7  # FANIN_POOL__SIZE" in lines
    assert f'host = "db"  # {file}:2' in lines
    assert 'mode = "transaction"  # default' in lines
    assert "0.0.0.0:6033" in captured.err
    assert "hunter2" not in captured.out + captured.err


def test_what_others_could_read_is_warned_about_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    served([*UPSTREAM, "--listen", "0.0.0.0:6033", "--log-format", "json"])
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], "0.0.0.0:6033" in line["event"]) == ("warning", True)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EADDRINUSE, "127.0.0.1:6033: address already in use"), "--listen"),
        (OSError(errno.EADDRNOTAVAIL, "cannot assign requested address"), "no network interface"),
        (PermissionError(errno.EACCES, "Permission denied"), "ports below 1024"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/x/fanin.sock"),
            "directory: /x/fanin.sock",
        ),
        (OSError("it is odd"), "it is odd"),
    ],
)
def test_what_stops_the_start_is_told_in_one_line(
    error: OSError, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *UPSTREAM], {}, Proxy(error).run) == 1
    message = capsys.readouterr().err
    assert message.startswith("fanin: ")
    assert (text in message, message.count("\n")) == (True, 1)


def test_flags_may_not_be_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", *UPSTREAM, "--pool-si", "3"], {})
    assert caught.value.code == 2
    assert "--pool-si" in capsys.readouterr().err


def test_the_help_names_every_flag_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--help"], {})
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "--pool-size N" in text
    assert "FANIN_POOL__SIZE" in text


@pytest.mark.parametrize("status", [["--version"], ["check", *UPSTREAM]])
def test_it_runs_as_a_module(status: list[str]) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FANIN_")}
    done = subprocess.run(
        [sys.executable, "-m", "proxy", *status],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(("fanin ", "listen = "))


def test_a_statement_is_explained_without_any_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "SELECT GET_LOCK('secret', 1)"], {"FANIN_NONSENSE": "1"}) == 0
    text = capsys.readouterr().out
    assert text.startswith("statement: SELECT GET_LOCK(?, ?)\nclass: read\n")
    assert "pinned: user-lock" in text
    assert "secret" not in text


def test_an_explanation_may_be_json_and_its_statement_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"SET @@sql_safe_updates = 1; FROBNICATE")))
    assert main(["explain", "--json", "--server", "mariadb", "-"], {}) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert "the server is asked for what it does not report: sql_safe_updates" in first["effects"]
    assert second["class"] == "unknown"


def test_the_sql_mode_decides_how_a_statement_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    text = r"SELECT 'a\', GET_LOCK('x', 1), 'b'"
    assert main(["explain", "--sql-mode", "NO_BACKSLASH_ESCAPES", text], {}) == 0
    assert "pinned: user-lock" in capsys.readouterr().out


def test_an_sql_mode_that_no_server_knows_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--sql-mode", "NO_BACKSLASH_ESCAPE", "SELECT 1"], {}) == 2
    assert capsys.readouterr() == ("", "fanin explain: no such sql_mode: NO_BACKSLASH_ESCAPE\n")
