"""What options of several subcommands have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Final

RESULTS: Final = Path("bench-results")


def add_files(parser: ArgumentParser, name: str, *kinds: str) -> None:
    """An option for each kind of file that the subcommand writes: `--json`, and `name`.json where nobody says another."""
    for kind in kinds:
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE", default=RESULTS / f"{name}.{kind}")


def words(text: str) -> list[str]:
    """Those between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def names_of(what: str, text: str, known: Iterable[str]) -> list[str]:
    """The names between commas. Raises ValueError when there are others than those that are known."""
    found, there = words(text), list(known)
    if strange := [name for name in found if name not in there]:
        raise unknown(what, strange, there)
    return found


def unknown(what: str, names: Iterable[str], known: Iterable[str]) -> ValueError:
    """The error that says so."""
    return ValueError(f"unknown {what} {', '.join(names)}; there are {', '.join(known)}")
