"""The subcommand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from tests.bench.files import files_in
from tests.bench.whatif.samples import content_of, steady


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "recording").write_bytes(content_of(steady(20), open=10))
    return [str(tmp_path / "recording"), *files_in(tmp_path, "json", "png", "html")]


def test_the_command_writes_a_table_a_picture_and_a_page(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["whatif", *files, "--sizes", "3,7", "--idle-timeouts", "2"]) == 0
    shown = capsys.readouterr().out
    assert "pool.size = 11" in shown and "waits as measured" in shown
    content = json.loads((tmp_path / "json").read_text())
    assert {3, 7} <= {each["size"] for each in content["pools"][0]["results"]}
    assert (tmp_path / "png").read_bytes().startswith(b"\x89PNG")
    assert "pool.size = 11" in (tmp_path / "html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "many"], "expected numbers from 1 on behind --sizes, got 'many'"),
        (["--idle-timeouts", "0"], "expected numbers from 1 on behind --idle-timeouts"),
        (["--wait", "0"], "expected --wait above 0"),
        (["--endpoint", "other"], "nothing was recorded of other; there are writer"),
    ],
)
def test_what_cannot_be_asked_is_said(
    files: list[str], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["whatif", *files, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_recording_is_nothing_to_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recording").write_bytes(content_of([]))
    assert main(["whatif", str(tmp_path / "recording")]) == 2
    assert "no session asked for anything" in capsys.readouterr().err
