"""Initialised server directories, made once and kept in the user's cache folder.

Initialising takes a server 1 to 8 seconds, copying the result a fraction of one. A template's name holds a digest of everything that
went into it, so a new server version or a changed statement makes a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Where Fanin keeps what it can make again: `$XDG_CACHE_HOME/fanin`, by default below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fanin")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, among processes and threads; the folder is created."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def template(kind: str, ingredients: str, make: Callable[[Path], None]) -> Path:
    """Folder of the template of `kind` with these ingredients, calling `make` with an empty path to fill if there is none yet.

    Whatever `make` raises goes on to the caller and leaves no template behind.
    """
    folder = cache_folder() / "templates"
    digest = hashlib.sha256(ingredients.encode()).hexdigest()[:12]
    wanted = folder / f"{kind}-{digest}"
    if wanted.exists():
        return wanted
    with locked(folder):
        if not wanted.exists():
            for stale in folder.glob(f"{kind}.new.*"):
                shutil.rmtree(stale, ignore_errors=True)
            fresh = folder / f"{kind}.new.{digest}"
            try:
                make(fresh)
                fresh.rename(wanted)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return wanted


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder that holds large files of zeros; `target` must not exist. Raises CalledProcessError."""
    subprocess.run(
        ["cp", "-a", "--sparse=always", "--reflink=auto", "--", str(source), str(target)], check=True
    )
