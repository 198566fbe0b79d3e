import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_hot_modules_exist_and_tables_of_names_are_not_among_them() -> None:
    listed = subprocess.run(
        [sys.executable, "setup.py", "--list"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"protocol/framing.py", "protocol/response.py", "protocol/speed.py"} <= set(listed)
    assert not {"protocol/constants.py", "protocol/__init__.py"} & set(listed)
    assert all((ROOT / path).exists() for path in listed)


def test_build_without_compiler_is_pure_python_and_says_why(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            sys.executable,
            "setup.py",
            "--quiet",
            "build_ext",
            f"--build-lib={tmp_path}",
            f"--build-temp={tmp_path}",
        ],
        cwd=ROOT,
        env={**os.environ, "CC": "no-such-compiler"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pure Python, because: no C compiler (no-such-compiler)" in built.stderr
    assert not list(tmp_path.rglob("*.so"))
