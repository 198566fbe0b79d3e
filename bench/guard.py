"""A process that cannot outlive us, with the folder it works in.

A real server in a temporary folder has to go away whatever happens to the program that started it: an exception, Ctrl-C, SIGTERM,
SIGKILL. `PR_SET_PDEATHSIG` is not enough, it fires when the *thread* that forked ends. So a watchdog, a shell of a few hundred
kilobytes, holds the reading end of a pipe whose writing end only we have: at its end of file it kills the process group and removes
the folder. The process itself writes its group into that pipe before it becomes the server, so there is no moment without a guard.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

# Lines: the process group to guard, as soon as it exists; `done` when we have ended it ourselves. End of file: we are gone.
WATCHDOG: Final = """
while read -r line; do
    [ "$line" != done ] || exit 0
    group=$line
done
[ -z "$group" ] || kill -9 "-$group"
rm -rf -- "$1"
sleep 0.2  # a process that was just being killed may have made one more file
rm -rf -- "$1"
"""
# Its standard output is the pipe: tell the watchdog our process group, then become the command without the pipe.
LAUNCHER: Final = 'echo $$; exec "$@" >&2'


class Startable(ABC):
    """What runs while its context is entered."""

    @abstractmethod
    def start(self) -> Self:
        """Start it and wait until it is of use."""

    @abstractmethod
    def stop(self) -> None:
        """End it. Harmless when that is done already."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class GuardedProcess:
    """A running command in a process group of its own; killed, and `folder` removed, at the latest when we die."""

    __slots__ = ("_pipe", "_process", "_watchdog", "folder")

    def __init__(self, command: Sequence[str], folder: Path, *, output: Path) -> None:
        """Start `command` with its output appended to the file `output`. Raises OSError if it cannot be started."""
        self.folder = folder
        reading, self._pipe = os.pipe()
        try:
            self._watchdog = subprocess.Popen(
                ["sh", "-c", WATCHDOG, "sh", str(folder)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(reading)
        with output.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", LAUNCHER, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=self._pipe,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the command, and of its group."""
        return self._process.pid

    def exit_status(self, seconds: float = 0) -> int | None:
        """How the command ended (negative: by that signal), waiting at most `seconds`; None while it runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal to the whole group, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self, grace: float = 20) -> None:
        """SIGTERM, after `grace` seconds SIGKILL. The folder stays: who made it removes it. Harmless when it is over already."""
        if self._pipe < 0:
            return
        self.send_signal(signal.SIGCONT)
        self._process.terminate()
        if self.exit_status(grace) is None:
            self.send_signal(signal.SIGKILL)
            self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, b"done\n")
        os.close(self._pipe)
        self._pipe = -1
        self._watchdog.wait()
