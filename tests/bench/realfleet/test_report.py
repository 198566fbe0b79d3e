"""What came of a real fleet, for people and for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from bench.realfleet.report import draw, print_course, write_json
from bench.realfleet.verdict import rows_of
from tests.bench.realfleet.test_verdict import course_of


def test_the_tables_have_phases_and_what_was_wanted() -> None:
    out = Console(width=160, record=True, file=io.StringIO())
    course = course_of(peak=36)
    print_course(out, course, rows_of(course))
    text = out.export_text()
    assert "two want all" in text and "45" in text
    assert "36 of 36.0 = 100.0%" in text and "errors 1040" in text


def test_there_is_a_picture(tmp_path: Path) -> None:
    draw(tmp_path / "new" / "f.png", course_of())
    assert (tmp_path / "new" / "f.png").read_bytes().startswith(b"\x89PNG")


def test_the_json_has_everything(tmp_path: Path) -> None:
    course = course_of(errors={"lost": 2})
    write_json(tmp_path / "f.json", course, rows_of(course))
    content = json.loads((tmp_path / "f.json").read_text())
    assert content["errors"] == {"lost": 2} and len(content["looks"]) == 35 and content["plan"]["limit"] == 40
    assert [row["what"] for row in content["rows"] if row["is_met"] is False] == ["other errors"]
