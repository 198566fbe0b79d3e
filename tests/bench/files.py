"""Where subcommands write in tests."""

from __future__ import annotations

from pathlib import Path


def files_in(folder: Path, *kinds: str) -> list[str]:
    """Arguments that have each kind of file written there, under its kind's name."""
    return [f"--{kind}={folder / kind}" for kind in kinds]
