"""The subcommand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main


def test_the_command_writes_a_table_a_picture_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"--{kind}={tmp_path / kind}" for kind in ("json", "png", "html")]
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
