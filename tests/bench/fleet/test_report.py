"""What came of simulations, for people."""

from __future__ import annotations

from bench.fleet.report import by_scenario, cells, page, table
from bench.fleet.scenarios import MINTED, Course, Sample


def course(scenario: str = "peace", policy: str = "fanin", refused: int = 0) -> Course:
    samples = tuple(Sample(float(at), 100, 0, 10 * at, refused, 0.987) for at in range(1, 11))
    return Course(scenario, policy, samples, 5000, 2, refused, 0.5, 10, 2500, 1_234_567)


def test_a_row_has_every_figure() -> None:
    assert cells(course()) == ["fanin", "50.0%", "0", "2", "0.0", "2.5", "1,234.6", "10.0", "0.987"]


def test_courses_stand_by_scenario() -> None:
    courses = [course("one"), course("two"), course("one", "split")]
    assert {name: [each.policy for each in group] for name, group in by_scenario(courses).items()} == {
        "one": ["fanin", "split"],
        "two": ["fanin"],
    }


def test_who_was_refused_is_red() -> None:
    styles = [row.style for row in table("peace", [course(), course(refused=1)]).rows]
    assert styles == [None, "red"]


def test_the_page_escapes_names() -> None:
    made = page([course("<peace>", refused=3)], MINTED, b"png")
    assert "&lt;peace&gt;" in made and "class='red'" in made and "300 sidecars" in made
