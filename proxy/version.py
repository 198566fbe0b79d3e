"""Which Fanin this is."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from protocol.speed import COMPILED


def fanin_version() -> str:
    """The installed version; "unknown" in a source tree that was never installed."""
    try:
        return version("fanin")
    except PackageNotFoundError:
        return "unknown"


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
