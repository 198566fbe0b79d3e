"""The README tells the truth: its tables are generated, its commands run.

`python tests/test_readme.py` writes the tables anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.fanin_process import FaninProcess
from bench.servers import Server, free_port
from config.rendering import settings_table
from proxy.counters import Counters
from proxy.explain import as_text, explain
from proxy.metrics import render
from proxy.pins import MEANINGS, PinReason

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


class Nothing:
    """A source of metrics without any activity."""

    counters = Counters()

    def endpoint_snapshots(self) -> list[dict[str, object]]:
        return []

    def pinned_sessions(self) -> dict[str, int]:
        return {}

    def pinned_seconds(self) -> dict[str, float]:
        return {}

    def topology(self) -> dict[str, object]:
        return {}

    def routes(self) -> dict[str, dict[str, int]]:
        return {}

    def workers(self) -> tuple[int, int]:
        return 1, 0

    def processes(self) -> list[tuple[str, int]]:
        return []


def pins_table() -> str:
    rows = [f"| `{reason.value}` | {' | '.join(MEANINGS[reason])} |" for reason in PinReason]
    return "\n".join(["| pinned | because | lifted by | advice |", "|---|---|---|---|", *rows])


def metrics_table() -> str:
    page = render(Nothing()).decode()
    found = re.findall(r"^# HELP (fanin_\S+) (.*)$", page, re.MULTILINE)
    rows = [f"| `{name}` | {text} |" for name, text in found]
    return "\n".join(["| metric | |", "|---|---|", *rows])


def explanation() -> str:
    statement = b"SELECT GET_LOCK('invoices', 10)"
    return f"```text\n{as_text(explain(statement))}```"


TABLES = {"pins": pins_table, "explain": explanation, "settings": settings_table, "metrics": metrics_table}


def written(readme: str) -> str:
    """The README with its tables as they should be."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: written by tests/test_readme.py -->\n", f"<!-- end of {name} -->"
        before, _, rest = readme.partition(begin)
        _, _, after = rest.partition(end)
        readme = f"{before}{begin}{table().strip()}\n{end}{after}"
    return readme


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_what_the_code_says(name: str) -> None:
    assert TABLES[name]().strip() in README.read_text(), "run `python tests/test_readme.py`"


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = re.findall(r"\bmake ([a-z-]+)", README.read_text())
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def runnable_commands() -> list[str]:
    """The lines of its shell blocks, but for `make`, whose targets are what runs this test or needs minutes."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("make ")]


def test_its_commands_and_its_program_work_on_a_real_server(mariadb: Server, tmp_path: Path) -> None:
    mariadb.sql("CREATE DATABASE IF NOT EXISTS shop")
    http = free_port()
    (tmp_path / "fanin.toml").write_text(
        f'http = "off"\n[[upstream]]\nhost = "127.0.0.1"\nport = {mariadb.port}\n'
    )
    options = ["--http", f"127.0.0.1:{http}"]
    with FaninProcess(f"127.0.0.1:{mariadb.port}", pool_size=2, options=options) as proxy:
        for command in runnable_commands():
            if " serve " in command:
                # serving is what the process above does; the flags are checked without listening
                command = command.replace(" serve ", " check ")
            command = (
                command.replace(".venv/bin/fanin", f"{sys.executable} -m proxy")
                .replace("127.0.0.1:3306", f"127.0.0.1:{mariadb.port}")
                .replace("-P 6033", f"-P {proxy.port} --protocol=tcp")
                .replace("127.0.0.1:6070", f"127.0.0.1:{http}")
                .replace("--config fanin.toml", f"--config {tmp_path}/fanin.toml")
                .replace("-o leases.rec", f"-o {tmp_path}/leases.rec")
                .replace("seconds=60", "seconds=1")
            )
            done = subprocess.run(
                command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        program = blocks("python")[0].replace(":6033/", f":{proxy.port}/")
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.stdout == "1\n", done.stderr


def test_its_configuration_is_valid(tmp_path: Path) -> None:
    first, second = blocks("toml")
    (tmp_path / "global-bundle.pem").touch()
    config = tmp_path / "fanin.toml"
    config.write_text(first + second)
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "check", "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"LEGACY_PASSWORD": "secret-of-the-test", "PATH": "/usr/bin:/bin"},
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "secret-of-the-test" not in done.stdout + done.stderr


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
