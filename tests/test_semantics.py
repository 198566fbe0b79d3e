"""SEMANTICS.md, the tests that it names and the list of what both have to be about are the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.traps.names import NAMES

ROOT = Path(__file__).parent.parent
TRAPS = ROOT / "tests" / "traps"
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \| `(\w+)` \|$", re.MULTILINE)


def sections() -> dict[str, list[tuple[str, ...]]]:
    """The rows of the page by the test module that its section names."""
    parts = re.split(
        r"^Tests: `tests/traps/(\w+)\.py`$", (ROOT / "SEMANTICS.md").read_text(), flags=re.MULTILINE
    )
    return {module: ROW.findall(text) for module, text in zip(parts[1::2], parts[2::2], strict=True)}


def functions(module: str) -> list[str]:
    """The tests of a module."""
    tree = ast.parse((TRAPS / f"{module}.py").read_text())
    return [
        each.name for each in tree.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    ]


def test_every_module_has_its_section() -> None:
    assert list(sections()) == list(NAMES)
    assert {path.stem for path in TRAPS.glob("test_*.py")} == set(NAMES)


@pytest.mark.parametrize("module", NAMES)
def test_page_list_and_tests_are_about_the_same(module: str) -> None:
    found = sections()[module]
    assert [name for name, *_ in found] == list(NAMES[module])
    assert [test for *_, test in found] == [f"test_{name.replace('-', '_')}" for name, *_ in found]
    assert functions(module) == [test for *_, test in found]


def test_no_row_is_lost() -> None:
    names = [name for module in NAMES.values() for name in module]
    assert len(names) == len(set(names)) == 110


def test_pins_that_it_names_exist() -> None:
    from proxy.pins import PinReason

    reasons = {reason.value for reason in PinReason}
    text = (ROOT / "SEMANTICS.md").read_text()
    named = [
        name
        for group in re.findall(r"pin(?:s|ned) \(([^)]*)\)", text)
        for name in re.findall(r"`([^`]+)`", group)
    ]
    assert named
    assert set(named) <= reasons
