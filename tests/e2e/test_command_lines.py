"""The command lines of MariaDB and MySQL, unmodified."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from bench.servers import HOST, PASSWORD, SCHEMA, USER, MySQL
from tests.integration.running import Fanin

Ask = Callable[..., str]
COMMANDS = {"mariadb": (), "mysql": ("--commands",)}
"""What it takes to understand commands of its own, such as `status`."""


def program(name: str) -> str:
    """Its path; skips the test where it is missing."""
    if name == "mysql":
        server = MySQL.binary()
        if server is None or not (server.parent / "mysql").exists():
            pytest.skip("no command line of MySQL here")
        return str(server.parent / "mysql")
    found = shutil.which("mariadb")
    if found is None:
        pytest.skip("no command line of MariaDB here")
    return found


@pytest.fixture(params=sorted(COMMANDS))
def ask_kind(request: pytest.FixtureRequest) -> str:
    """Whose command line."""
    return str(request.param)


@pytest.fixture
def ask(ask_kind: str, one: Fanin) -> Ask:
    """`ask(statements, *options)`: what the command line prints."""
    path = program(ask_kind)

    def run(statements: str, *options: str, password: str = PASSWORD) -> str:
        command = [path, f"-h{HOST}", f"-P{one.port}", f"-u{USER}", f"-p{password}", *options, SCHEMA]
        done = subprocess.run(
            command, input=statements, capture_output=True, text=True, check=False, timeout=30
        )
        warning = "mysql: [Warning] Using a password on the command line interface can be insecure.\n"
        return done.stdout + done.stderr.replace(warning, "")

    return run


def test_statements_of_a_script(ask: Ask, table: str) -> None:
    script = f"""
        INSERT INTO {table} (v, s) VALUES (1, 'one'), (2, 'zwölf');
        SELECT LAST_INSERT_ID() > 0;
        SELECT v, s FROM {table} ORDER BY v;
        SET @x = 5; SELECT @x + 1;
        BEGIN; DELETE FROM {table}; ROLLBACK;
        SELECT COUNT(*) FROM {table};
    """
    assert (
        ask(script, "--batch", "--skip-column-names", "--default-character-set=utf8mb4")
        == "1\n1\tone\n2\tzwölf\n6\n2\n"
    )


def test_table_and_status_are_shown(ask: Ask, ask_kind: str) -> None:
    assert "| 1 |" in ask("SELECT 1", "--table")
    status = ask("", "-e", "status", *COMMANDS[ask_kind])
    assert "Uptime" in status
    assert "Current user" in status


def test_warnings_are_shown(ask: Ask, table: str) -> None:
    printed = ask(
        f"INSERT INTO {table} (v) VALUES (1); INSERT IGNORE INTO {table} (v) VALUES (1);",
        "-vv",
        "--show-warnings",
    )
    assert "Duplicate entry '1'" in printed
    assert "1 warning" in printed


def test_errors_end_the_script(ask: Ask) -> None:
    printed = ask("SELECT 1; SELECT * FROM missing; SELECT 2;", "--batch", "--skip-column-names")
    assert "ERROR 1146 (42S02)" in printed
    assert "\n2\n" not in printed


def test_wrong_password_is_refused(ask: Ask) -> None:
    assert "ERROR 1045 (28000)" in ask("SELECT 1", password="wrong")
    assert ask("SELECT 1", "--batch", "--skip-column-names") == "1\n"


def test_delimiters_and_procedures(ask: Ask, table: str) -> None:
    name = table.replace("app.", "cli")
    script = f"""
        DROP PROCEDURE IF EXISTS {name};
        DELIMITER //
        CREATE PROCEDURE {name}() BEGIN SELECT 1; SELECT 2; END//
        DELIMITER ;
        CALL {name}();
        DROP PROCEDURE {name};
    """
    assert ask(script, "--batch", "--skip-column-names") == "1\n2\n"
