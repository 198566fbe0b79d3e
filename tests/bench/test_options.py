"""What options of several subcommands have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest

from bench.options import RESULTS, add_files, names_of, words


def test_each_kind_of_file_has_an_option() -> None:
    parser = ArgumentParser()
    add_files(parser, "load", "json", "png")
    options = parser.parse_args(["--png", "elsewhere/x.png"])
    assert vars(options) == {"json": RESULTS / "load.json", "png": Path("elsewhere/x.png")}


def test_names_stand_between_commas() -> None:
    assert words(" one, two,,three ,") == names_of("numbers", "one,two,three", ["three", "two", "one"])
    assert words("") == []


def test_names_that_nobody_knows_are_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"^unknown fruits soup, stone; there are apple, pear$"):
        names_of("fruits", "soup, apple, stone", iter(["apple", "pear"]))
