"""The subcommand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.fleet.bars import BARS
from tests.bench.files import files_in


def test_the_command_writes_a_table_a_picture_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_in(tmp_path, "json", "png", "html")
    size = (
        "--sidecars 5 --clients 10 --max-connections 60 --pool-size 10 --scenarios peace --ways fanin,split"
    )
    assert main(["fleet", *size.split(), *files]) == 0
    assert "peace" in capsys.readouterr().out
    content = json.loads((tmp_path / "json").read_text())
    assert [each["policy"] for each in content["courses"]] == ["fanin", "split"]
    assert (tmp_path / "png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "html").read_text()
    assert "data:image/png;base64," in page and "<td>split</td>" in page and "http" not in page


def test_a_check_compares_with_the_ideal_and_fails_when_a_bar_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, "json", "png", "html")
    size = "--sidecars 3 --clients 40 --max-connections 151 --foreign 10 --fleet unknown"
    check = [*size.split(), "--check", "--scenarios=peace", *files]
    assert main(["fleet", *check, "--seeds=3", "--ideal-seeds=2"]) == 0
    out = capsys.readouterr().out
    assert "MISSED" not in out and "peak, of usable" in out
    courses = json.loads((tmp_path / "json").read_text())["courses"]
    assert [(each["policy"], each["seed"]) for each in courses] == [
        *[("fanin", seed) for seed in (1, 2, 3)],
        *[("ideal", seed) for seed in (1, 2)],
    ]
    monkeypatch.setattr("bench.fleet.bars.BARS", (replace(BARS[0], at_most=0.01),))
    assert main(["fleet", *check]) == 1
    assert "MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ways", "fanin,luck"], "unknown ways luck"),
        (["--scenarios", "war"], "unknown scenarios war"),
        (["--sidecars", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_simulated_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fleet", *arguments]) == 2
    assert message in capsys.readouterr().err
