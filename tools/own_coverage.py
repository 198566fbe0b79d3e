"""Every module has its test module, and the pure ones owe 100 % of their branches to it.

Run after the fast layers have run with `--cov-branch --cov-context=test`. A module's own coverage counts what was executed by the tests
of its own test module (and at import), never what other tests happened to touch, nor what property tests found by chance: they may
miss it the next time. What is owed, and to which modules, stands in pyproject.toml: protocol/ as a whole, and the list of the import
contract "pure". Exceptions may only shrink: one that is no longer needed is an error too.

Exit status 1 with one line for each finding.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
from coverage.exceptions import NoDataError

ROOMS = ("protocol", "config", "proxy", "bench", "tools")
FULLY_COVERED_ROOM = "protocol"
SHOWN = 12  # gaps of one module in a finding


@dataclass(frozen=True, slots=True)
class Duties:
    """What pyproject.toml asks for."""

    pure: frozenset[str]  # modules of proxy that owe full coverage, as dotted names
    exceptions: frozenset[str]  # modules excused from full coverage, for now
    untested: frozenset[str]  # modules excused from having a test module, for now
    shared: dict[
        str, str
    ]  # modules that are one thing with another, by dotted name: whose test module is theirs too


def duties(pyproject: Path) -> Duties:
    """Read the duties from pyproject.toml."""
    tools: dict[str, Any] = tomllib.loads(pyproject.read_text())["tool"]
    contracts = tools.get("importlinter", {}).get("contracts", [])
    pure = [name for contract in contracts if contract["type"] == "pure" for name in contract["modules"]]
    own = tools.get("fanin", {}).get("own_coverage", {})
    exceptions, untested = (frozenset(own.get(name, ())) for name in ("exceptions", "untested"))
    return Duties(frozenset(pure), exceptions, untested, dict(own.get("shared", {})))


def modules(root: Path) -> list[str]:
    """Dotted names of all modules of the rooms but `__init__` and `__main__`."""
    found = (path for room in ROOMS for path in sorted((root / room).rglob("*.py")))
    return [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in found
        if not path.name.startswith("__")
    ]


def own_test(module: str, duties: Duties) -> str:
    """`proxy.pool` -> `tests/proxy/test_pool.py`."""
    *rooms, name = duties.shared.get(module, module).split(".")
    return "/".join(["tests", *rooms, f"test_{name}.py"])


def owes(module: str, duties: Duties) -> bool:
    """Whether the module owes full coverage."""
    return module.split(".")[0] == FULLY_COVERED_ROOM or module in duties.pure


def untested(root: Path, duties: Duties) -> Iterable[str]:
    """Findings: modules without a test module, and excuses that are no longer needed."""
    names = modules(root)
    for module in names:
        has_test = (root / own_test(module, duties)).exists()
        if not has_test and module not in duties.untested:
            yield f"{module} has no test module {own_test(module, duties)}"
        if has_test and module in duties.untested:
            yield f"{module} has its test module: take it off the list `untested` in pyproject.toml"
    yield from (
        f"{name} is on the list `untested` but does not exist"
        for name in sorted(duties.untested - set(names))
    )


def ranges(lines: Iterable[int]) -> list[str]:
    """Line numbers in ascending order, neighbours joined: 1, 2, 3, 7 -> 1-3, 7."""
    joined: list[tuple[int, int]] = []
    for line in lines:
        if joined and joined[-1][1] == line - 1:
            joined[-1] = (joined[-1][0], line)
        else:
            joined.append((line, line))
    return [str(first) if first == last else f"{first}-{last}" for first, last in joined]


def missing(measured: coverage.Coverage, path: Path, contexts: list[str]) -> str | None:
    """What of a file these contexts did not execute, in words; None if nothing."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as report:
        try:
            measured.json_report(morfs=[str(path)], outfile=report.name, contexts=contexts)
        except NoDataError:
            return "nothing of it was executed"
        (found,) = json.load(report)["files"].values()
    lines = ranges(found["missing_lines"])
    branches = [
        f"{start}->{'exit' if end < 0 else end}"
        for start, end in found["missing_branches"]
        if start not in found["missing_lines"]
    ]
    gaps = [*lines, *branches]
    more = f" and {len(gaps) - SHOWN} more" if len(gaps) > SHOWN else ""
    return ", ".join(gaps[:SHOWN]) + more or None


def uncovered(root: Path, duties: Duties, measured: coverage.Coverage) -> Iterable[str]:
    """Findings: modules whose own tests miss lines or branches, and excuses that are no longer needed."""
    for module in modules(root):
        if not owes(module, duties):
            continue
        path = root / Path(*module.split(".")).with_suffix(".py")
        gaps = missing(measured, path, ["^$", f"^{own_test(module, duties)}::"])
        if gaps and module not in duties.exceptions:
            yield f"{module} is not covered by {own_test(module, duties)}: {gaps}"
        if not gaps and module in duties.exceptions:
            yield f"{module} is covered: take it off the list `exceptions` in pyproject.toml"


def main(root: Path) -> int:
    """Check the checkout or copy at `root`, where the coverage file lies."""
    asked = duties(root / "pyproject.toml")
    measured = coverage.Coverage(data_file=str(root / ".coverage"), config_file=str(root / "pyproject.toml"))
    measured.load()
    findings = [*untested(root, asked), *uncovered(root, asked, measured)]
    for finding in findings:
        print(f"own coverage: {finding}")
    if not findings:
        print("own coverage: every module has its test module, and the pure ones are covered by it")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
