"""The subcommand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.realfleet import command, watch
from bench.realfleet.plan import Plan
from bench.realfleet.stage import Strangers
from bench.servers import MySQL
from tests.bench.files import files_in


@pytest.mark.parametrize(
    "arguments", [["--sidecars", "0"], ["--clients", "0"], ["--pace", "0"], ["--strangers", "-1"]]
)
def test_what_cannot_be_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["real-fleet", *arguments]) == 2
    assert "expected numbers of at least 1" in capsys.readouterr().err


def test_more_clients_than_files_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["real-fleet", "--clients", "1000000"]) == 2
    assert "more files than one process may open" in capsys.readouterr().err


@pytest.mark.mysql
def test_a_small_fleet_plays_a_short_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wanted of a fleet takes more time than a test has: here it is that everything happens, and is seen."""
    if reason := MySQL.why_missing():
        pytest.skip(reason)
    quick = replace(Plan(), idle_timeout=1.0, gone=0.1)
    monkeypatch.setattr(command, "Plan", lambda: quick)
    monkeypatch.setattr(command, "AFTER", 0.5)
    # however long a look takes, some see whose connections there are
    monkeypatch.setattr(watch, "WHOSE_EVERY", 1)
    came: list[int] = []
    leave = Strangers.leave

    def leaves(strangers: Strangers) -> None:
        came.append(strangers.count)
        leave(strangers)

    monkeypatch.setattr(Strangers, "leave", leaves)
    size = "--sidecars 3 --clients 4 --max-connections 60 --strangers 2 --pace 0.03"
    files = files_in(tmp_path, "json", "png")
    assert main(["real-fleet", *size.split(), *files]) in (0, 1)
    assert "errors 1040 that any client saw" in capsys.readouterr().out
    content = json.loads((tmp_path / "json").read_text())
    assert len(content["played"]) == len(Plan().phases())
    assert content["errors"] == {} and content["refused"] == []
    assert came == [2, 2, 0]
    assert {look["strangers"] for look in content["looks"]} <= {0, 1, 2}
    assert any(sum(each["backends"]) for each in content["shares"])
    assert content["peak"] >= max(look["connected"] for look in content["looks"]) - 1
