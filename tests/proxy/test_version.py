from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError

import pytest

from proxy import version


def not_installed(name: str) -> str:
    raise PackageNotFoundError(name)


def test_the_line_says_version_speed_python_and_uvloop() -> None:
    assert re.fullmatch(
        r"fanin \d+\.\d+\.\d+\S* \((compiled|interpreted), Python 3\.\d+\.\d+\S*, uvloop \S+\)",
        version.version_line(),
    )


def test_a_source_tree_without_uvloop_has_a_version_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "version", not_installed)
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", version.fanin_version())
    assert version.version_line().endswith("uvloop not installed)")


@pytest.mark.parametrize(("compiled", "word"), [(True, "compiled"), (False, "interpreted")])
def test_the_line_tells_the_two_speeds_apart(
    monkeypatch: pytest.MonkeyPatch, compiled: bool, word: str
) -> None:
    monkeypatch.setattr(version, "COMPILED", compiled)
    assert f"({word}, " in version.version_line()
