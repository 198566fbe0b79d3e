"""Files that subcommands write."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from bench.pages import NAMES_FIRST, fields, page, png, table, write, write_json


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "file"
    write(path, b"1")
    write(path, b"2")
    assert path.read_bytes() == b"2"


def test_what_json_does_not_know_is_a_list(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "short.json", {"some": range(3), "é": None})
    write_json(tmp_path / "long.json", [1], indent=1)
    short = (tmp_path / "new" / "short.json").read_text()
    assert json.loads(short) == {"some": [0, 1, 2], "é": None} and short.count("\n") == 1
    assert (tmp_path / "long.json").read_text() == "[\n 1\n]\n"


def test_a_picture_has_fields_by_row_and_column() -> None:
    from matplotlib import pyplot

    figure, axes = fields(2, 3, (6, 4), sharex=True)
    assert axes.shape == (2, 3)
    axes[1][2].plot([1, 2], [3, 4])
    assert png(figure, 40).startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []
    figure, axes = fields(1, 1, (2, 2))
    assert axes.shape == (1, 1) and png(figure, 40)


class Reader(HTMLParser):
    """Tags with their classes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"{tag}.{dict(attrs).get('class') or ''}".rstrip("."))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(f"'{data.strip()}'")


def test_a_table_has_a_class_for_each_row() -> None:
    made = Reader(table(["name", "<p50>"], [(["a & b", "1"], "red"), (["c", "2"], "")])).found
    assert " ".join(made) == "table tr th 'name' th '<p50>' tr.red td 'a & b' td '1' tr td 'c' td '2'"


def test_a_page_needs_no_other_file() -> None:
    made = page("A <title>", "1 < 2", b"png", ["<h2>two</h2>", "<p>three</p>"], NAMES_FIRST)
    assert "<title>A &lt;title&gt;</title>" in made and "<h1>1 &lt; 2</h1>" in made
    assert "src='data:image/png;base64,cG5n'" in made and "http" not in made
    assert NAMES_FIRST in made and NAMES_FIRST not in page("", "", b"", [])
    assert made.endswith("<h2>two</h2>\n<p>three</p>\n")
