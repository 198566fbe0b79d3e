import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import own_coverage

PYPROJECT = """
[tool.pytest.ini_options]
pythonpath = ["."]

[tool.coverage.run]
branch = true

[[tool.importlinter.contracts]]
type = "pure"
modules = ["proxy.pool"]

[tool.fanin.own_coverage]
exceptions = [{exceptions}]
untested = [{untested}]

[tool.fanin.own_coverage.shared]
{shared}
"""
BRANCHING = "def sign(number):\n    if number < 0:\n        return -1\n    return 1\n"
BOTH_BRANCHES = "def test_sign():\n    assert sign(-5) == -1\n    assert sign(5) == 1\n"
ONE_BRANCH = "def test_sign():\n    assert sign(5) == 1\n"


class Checkout:
    """A small checkout to measure."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.configure()

    def configure(self, *, exceptions: str = "", untested: str = "", shared: str = "") -> None:
        text = PYPROJECT.format(exceptions=exceptions, untested=untested, shared=shared)
        self.write("pyproject.toml", text)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_tests(self) -> None:
        """Run its tests as tools/test-pure does."""
        options = ["--import-mode=importlib", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        coverage = ["--cov=protocol", "--cov=proxy", "--cov-branch", "--cov-context=test", "--cov-report="]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))
        }
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *coverage, "tests"],
            cwd=self.root,
            env=environment,
            check=True,
            capture_output=True,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path)
    made.write("protocol/__init__.py", "")
    made.write("protocol/sign.py", BRANCHING)
    made.write("proxy/__init__.py", "")
    made.write("tests/protocol/test_sign.py", "from protocol.sign import sign\n\n" + BOTH_BRANCHES)
    return made


def test_module_covered_by_its_own_tests_passes(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.run_tests()
    assert own_coverage.main(checkout.root) == 0
    assert "covered by it" in capsys.readouterr().out


def test_branch_that_only_other_tests_take_is_found(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.write("tests/protocol/test_sign.py", "from protocol.sign import sign\n\n" + ONE_BRANCH)
    checkout.write("tests/proxy/test_other.py", "from protocol.sign import sign\n\n" + BOTH_BRANCHES)
    checkout.run_tests()
    assert own_coverage.main(checkout.root) == 1
    assert "protocol.sign is not covered by tests/protocol/test_sign.py: 3, 2->3" in capsys.readouterr().out


def test_what_property_tests_happen_to_find_counts_for_no_module(checkout: Checkout) -> None:
    checkout.write("tests/protocol/test_sign.py", "from protocol.sign import sign\n\n" + ONE_BRANCH)
    checkout.write("tests/property/test_signs.py", "from protocol.sign import sign\n\n" + BOTH_BRANCHES)
    checkout.run_tests()
    assert own_coverage.main(checkout.root) == 1


def test_shell_needs_a_test_module_but_not_every_branch(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.write("proxy/shell.py", BRANCHING)
    checkout.write("proxy/pool.py", BRANCHING)
    checkout.write("tests/proxy/test_pool.py", "from proxy.pool import sign\n\n" + ONE_BRANCH)
    checkout.run_tests()
    assert own_coverage.main(checkout.root) == 1
    found = capsys.readouterr().out
    assert "proxy.shell has no test module tests/proxy/test_shell.py" in found
    assert "proxy.shell is not covered" not in found
    assert "proxy.pool is not covered" in found
    checkout.write("tests/proxy/test_shell.py", "def test_nothing():\n    pass\n")
    checkout.configure(exceptions='"proxy.pool"')
    assert own_coverage.main(checkout.root) == 0


def test_excuses_that_are_no_longer_needed_are_found(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.configure(exceptions='"protocol.sign"', untested='"protocol.sign", "protocol.gone"')
    checkout.run_tests()
    assert own_coverage.main(checkout.root) == 1
    found = capsys.readouterr().out
    assert "protocol.sign is covered: take it off the list `exceptions`" in found
    assert "protocol.sign has its test module: take it off the list `untested`" in found
    assert "protocol.gone is on the list `untested` but does not exist" in found


def test_module_that_is_one_thing_with_another_shares_its_tests(checkout: Checkout) -> None:
    checkout.write("protocol/part.py", BRANCHING.replace("sign", "part"))
    both = (BOTH_BRANCHES + BOTH_BRANCHES.replace("sign", "part")).replace("def test", "\ndef test")
    imports = "from protocol.part import part\nfrom protocol.sign import sign\n"
    checkout.write("tests/protocol/test_sign.py", imports + both)
    checkout.configure(shared='"protocol.part" = "protocol.sign"')
    checkout.run_tests()
    assert own_coverage.main(checkout.root) == 0


def test_neighbouring_lines_are_joined() -> None:
    assert own_coverage.ranges([1, 2, 3, 7, 9, 10]) == ["1-3", "7", "9-10"]
