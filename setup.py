"""The part of the build that pyproject.toml cannot say: the hot modules are compiled by mypyc.

One source, two speeds. With a C compiler the modules below become extension modules; without one, or with FANIN_PURE=1, the same
sources run in the interpreter. `protocol.speed.COMPILED` tells which it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

ROOT = Path(__file__).parent

# All of protocol/ but tables of names; constants.py stays interpreted because hot code copies what it needs into Final ints.
COLD_PROTOCOL = {"__init__.py", "constants.py"}
# Modules of proxy/ on the path of a query, as patterns. One that matches nothing is passed over.
HOT_PROXY = (
    "pool*",
    "lexer",
    "effects",
    "marks",
    "grammar",
    "statement",
    "classify",
    "holders",
    "variables",
    "vector",
    "kept",
    "keeping",
    "session",
    "residue",
    "answers",
    "conditions",
    "diagnostics",
    "executed",
    "found_rows",
    "unexplained",
    "tables",
    "clearing",
    "rewriting",
    "sqlstates",
    "restore",
    "binary",
    "statement_errors",
    "prepared",
    "long_data",
    "recommitting",
    "renewing",
    "replaying",
    "past_reads",
    "repreparing",
    "resets",
    "lessee",
    "lease_ticket",
    "recording",
    "states",
    "losses",
    "late_begin",
    "placement",
    "placing",
    "catching_up",
    "own_commands",
    "verifying",
    "bouncing",
    "leaving",
    "endings",
    "demotion",
    "stranding",
    "reader_listener",
    "moving",
    "routing",
    "fences",
    "readers",
    "balance",
    "lag",
    "placing_rules",
    "results",
    "pin_records",
    "frontend",
    "shared",
    "counters",
    "identity",
    "idle",
    "backend",
    "beginning",
    "blame",
    "endpoint",
    "tenants",
    "deadlocks",
    "user_limits",
    "queueing",
    "patience",
    "overwriting",
    "telling",
    "unseen",
    "jobs",
)
# All in one shared library: calls between the modules stay native.
GROUP = "fanin"
# `make lint` checks the types; the build only uses them, also where libraries that cold modules import are missing.
MYPY_FLAGS = (
    "--config-file=",
    "--follow-imports=silent",
    "--ignore-missing-imports",
    "--python-version=3.11",
)


def hot_modules() -> list[str]:
    """Paths, relative to this file, of the modules to compile."""
    protocol = sorted(path for path in (ROOT / "protocol").glob("*.py") if path.name not in COLD_PROTOCOL)
    proxy = [path for pattern in HOT_PROXY for path in sorted((ROOT / "proxy").glob(f"{pattern}.py"))]
    return list(dict.fromkeys(str(path.relative_to(ROOT)) for path in (*protocol, *proxy)))


def why_pure() -> str | None:
    """Why nothing can or shall be compiled here; None if it can."""
    if os.environ.get("FANIN_PURE") == "1":
        return "FANIN_PURE=1"
    compiler = shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc"))[0]
    if shutil.which(compiler) is None:
        return f"no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no Python.h (python3-dev)"
    return None


def extensions() -> list[Extension]:
    """What setuptools is to build: nothing when only metadata is asked for."""
    reason = why_pure()
    if reason is not None:
        print(f"fanin: pure Python, because: {reason}", file=sys.stderr)
        return []
    if not {"build_ext", "bdist_wheel", "editable_wheel", "build", "install", "develop"} & set(sys.argv):
        return []
    from mypyc.build import mypycify

    built: list[Extension] = mypycify(
        [*MYPY_FLAGS, *hot_modules()], opt_level="3", debug_level="0", group_name=GROUP
    )
    return built


class AllOrNothingBuild(build_ext):
    """Falls back to pure Python as a whole: half of the modules compiled could not be imported."""

    def run(self) -> None:
        try:
            super().run()
        except (CCompilerError, ExecError, PlatformError) as error:
            if os.environ.get("FANIN_COMPILED") == "1":
                raise
            print(f"fanin: pure Python, because the build failed: {error}", file=sys.stderr)
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions: list[Any] = []


if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join(hot_modules()))
    else:
        setup(ext_modules=extensions(), cmdclass={"build_ext": AllOrNothingBuild})
