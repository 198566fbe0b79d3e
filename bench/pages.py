"""Files that subcommands write: JSON for programs, pictures and HTML pages for people. Folders are made."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE: Final = (
    "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
    ".red{color:#b00}.bold{font-weight:bold}.dim{color:#777}img{max-width:100%}"
)
NAMES_FIRST: Final = "td:first-child,th:first-child{text-align:left}"
"""As `style` of a page: the first column of its tables is none of numbers."""


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """What JSON does not know is written as a list."""
    write(path, f"{json.dumps(content, indent=indent, default=list)}\n".encode())


def fields(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A figure, in inches, with an array of axes, by row and column. `png` must follow."""
    import matplotlib  # slow to import, and not needed where nothing is drawn

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=size, squeeze=False, **options)


def png(figure: Figure, dpi: int) -> bytes:
    """What was drawn. The figure is gone afterwards."""
    from matplotlib import pyplot

    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, dpi=dpi)
    pyplot.close(figure)
    return content.getvalue()


def page(title: str, heading: str, picture: bytes, parts: Iterable[str], style: str = "") -> str:
    """HTML that needs no other file: `parts` are HTML below the picture."""
    head = [
        f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title>",
        f"<style>{_STYLE}{style}</style>",
        f"<h1>{escape(heading)}</h1>",
        f"<img src='data:image/png;base64,{base64.b64encode(picture).decode()}'>",
    ]
    return "\n".join([*head, *parts]) + "\n"


def table(heads: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> str:
    """Part of a page. Each row with its class: `red`, `bold`, `dim` or none of them."""
    lines = [f"<table><tr>{_cells('th', heads)}"]
    lines += [f"<tr class='{style}'>{_cells('td', cells)}" for cells, style in rows]
    return "\n".join([*lines, "</table>"])


def _cells(kind: str, texts: Sequence[str]) -> str:
    return "".join([f"<{kind}>{escape(text)}</{kind}>" for text in texts])
