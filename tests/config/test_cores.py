from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.cores import cores


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("max 100000\n", 4),
        ("100000 100000\n", 1),
        ("250000 100000\n", 3),
        ("20000 100000\n", 1),
        ("900000 100000\n", 4),
        ("1 0\n", 4),
        ("nonsense\n", 4),
        (None, 4),
    ],
)
def test_a_container_may_use_its_part(
    text: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path / "cpu.max") == count
