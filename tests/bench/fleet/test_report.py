"""What came of simulations, for people."""

from __future__ import annotations

from rich.console import Console

from bench.fleet.bars import Verdict
from bench.fleet.report import by_scenario, by_way, page, print_verdicts, table, worst
from bench.fleet.scenarios import MINTED, Course, Sample


def course(
    scenario: str = "peace", policy: str = "fanin", refused: int = 0, seed: int = 1, p99: int = 2500
) -> Course:
    samples = tuple(Sample(float(at), 100, 0, 10 * at, refused, 0.987, 0, 10.0) for at in range(1, 11))
    return Course(scenario, policy, seed, samples, 5000, 2, refused, 0.5, 10, p99, 1_234_567)


def test_a_row_has_every_figure() -> None:
    row = ["fanin", "50.0%", "0", "2", "0.0", "2.5", "1,234.6", "10.0", "0.987"]
    assert worst([course()]) == row
    row[5] = "7.0"
    assert worst([course(), course(seed=2, p99=7000), course(seed=3)]) == row


def test_courses_stand_by_scenario_and_way() -> None:
    courses = [course("one"), course("two"), course("one", "split"), course("one", seed=2)]
    found = by_scenario(courses)
    assert {name: [each.policy for each in group] for name, group in found.items()} == {
        "one": ["fanin", "split", "fanin"],
        "two": ["fanin"],
    }
    assert {name: len(group) for name, group in by_way(found["one"]).items()} == {"fanin": 2, "split": 1}


def test_who_was_refused_is_red() -> None:
    styles = [row.style for row in table("peace", [course(), course(policy="split", refused=1)]).rows]
    assert styles == [None, "red"]


def test_the_page_escapes_names() -> None:
    made = page([course("<peace>", refused=3)], MINTED, b"png")
    assert "&lt;peace&gt;" in made and "class='red'" in made and "300 sidecars" in made


def test_verdicts_say_what_is_missed() -> None:
    out = Console(width=120, record=True, file=None, quiet=False)
    with out.capture() as captured:
        print_verdicts(out, [Verdict("peace", "peak", 0.95, 0.9, 1), Verdict("peace", "p99", 1.2, 1.3, 7)])
        print_verdicts(out, [])
    text = captured.get()
    assert text.count("met") == 1 and text.count("MISSED") == 1 and text.count("bars") == 1
