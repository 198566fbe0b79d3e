import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from tests.processes import IN_BACKGROUND, started

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("subcommand", ["demo", "fanin", "compare"])
def test_each_subcommand_explains_itself(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([subcommand, "--help"])
    assert ended.value.code == 0
    assert "--clients N" in capsys.readouterr().out


def test_what_cannot_be_run_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fanin", "--dsn", "postgres://x"]) == 2
    assert capsys.readouterr().err == "bench fanin: 'postgres://x' does not begin with mysql://\n"


@pytest.mark.mariadb
def test_termination_cleans_up() -> None:
    compare = [*IN_BACKGROUND, sys.executable, "-m", "bench", "compare"]
    options = ["--proxies", "direct", "--clients", "4", "--rounds", "100", "--seconds", "0.5"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with started([*compare, *options], cwd=ROOT, env=environment, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.readline().startswith("round 1/100")
        children = descendants(command.pid)
        command.terminate()
        assert command.wait(30) == 130
    assert children
    assert not [pid for pid in children if Path(f"/proc/{pid}/stat").exists()]


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for children in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found
