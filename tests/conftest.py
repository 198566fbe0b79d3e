"""What every test may use: one real server of each kind for the whole run, and Hypothesis profiles.

`mariadb` and `mysql` start when the first test asks for them; `server` runs a test on both. Where a kind is not installed its tests are
skipped and the summary says so; with CI=true they fail. A test that changes a server for others (global variables, restarts) starts
its own: `with MariaDB() as server`.

FANIN_HYPOTHESIS=deep makes the property tests search for long.
"""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import hypothesis
import pytest

from bench.servers import KINDS, Server
from protocol.speed import COMPILED
from tests.servers import steady

# a machine that is busy with something else makes no example worse
TIMED = (hypothesis.HealthCheck.too_slow,)
hypothesis.settings.register_profile(
    "fast", deadline=None, max_examples=60, print_blob=True, suppress_health_check=TIMED
)
hypothesis.settings.register_profile(
    "deep", deadline=None, max_examples=5000, print_blob=True, suppress_health_check=TIMED
)
hypothesis.settings.load_profile(os.environ.get("FANIN_HYPOTHESIS", "fast"))

IS_CI = os.environ.get("CI") == "true"
MISSING = {kind: reason for kind, make in KINDS.items() if (reason := make.why_missing())}

missed_tests = pytest.StashKey[dict[str, int]]()


def stale_extensions(root: Path) -> list[Path]:
    """Compiled modules that are older than their source, or have none."""
    return [
        extension
        for room in ("protocol", "proxy")
        for extension in sorted((root / room).glob(f"*{EXTENSION_SUFFIXES[0]}"))
        if not (source := extension.with_name(extension.name.split(".")[0] + ".py")).exists()
        or source.stat().st_mtime > extension.stat().st_mtime
    ]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[missed_tests] = {}
    if stale := stale_extensions(config.rootpath):
        names = ", ".join(str(path.relative_to(config.rootpath)) for path in stale)
        raise pytest.UsageError(f"compiled modules are older than their sources, run `make setup`: {names}")
    # 2,000 clients and their backends need more than the customary 1,024 descriptors
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def pytest_report_header() -> str:
    return f"fanin: {'compiled' if COMPILED else 'interpreted'} modules"


def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = set(getattr(item, "fixturenames", ())) & set(KINDS) | {
        kind for kind in KINDS if item.get_closest_marker(kind)
    }
    if "server" in getattr(item, "fixturenames", ()):
        wanted.add(item.callspec.params["server"])  # type: ignore[attr-defined]
    for kind in sorted(wanted & set(MISSING)):
        missed = item.config.stash[missed_tests]
        missed[kind] = missed.get(kind, 0) + 1
        if IS_CI:
            pytest.fail(MISSING[kind], pytrace=False)
        pytest.skip(MISSING[kind])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for kind, count in sorted(config.stash[missed_tests].items()):
        outcome = "failed" if IS_CI else "skipped"
        terminalreporter.section(f"{kind}: {count} tests {outcome}", yellow=True)
        terminalreporter.line(MISSING[kind])


@pytest.fixture(scope="module", autouse=True)
def no_leaks() -> Iterator[None]:
    """What a file's tests left open is found, as an error, at the file's end and not in whatever test runs when it is collected."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """The run's MariaDB server."""
    with steady("mariadb") as started:
        yield started


@pytest.fixture(scope="session")
def mysql() -> Iterator[Server]:
    """The run's MySQL server."""
    with steady("mysql") as started:
        yield started


@pytest.fixture(params=sorted(KINDS))
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the run's servers in turn."""
    started: Server = request.getfixturevalue(request.param)
    return started
