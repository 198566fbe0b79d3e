"""Which Fanin this is."""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from protocol.speed import COMPILED


def fanin_version() -> str:
    """The installed version; in a source tree that was never installed, the one that it would have."""
    try:
        return version("fanin")
    except PackageNotFoundError:
        project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))
        return str(project["project"]["version"])


def version_line() -> str:
    """What `fanin --version` prints: it says which of the two speeds this is, too."""
    speed = "compiled" if COMPILED else "interpreted"
    return (
        f"fanin {fanin_version()} ({speed}, Python {platform.python_version()}, uvloop {_uvloop_version()})"
    )


def _uvloop_version() -> str:
    try:
        return version("uvloop")
    except PackageNotFoundError:
        return "not installed"
