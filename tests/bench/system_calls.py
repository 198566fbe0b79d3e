"""How many system calls a process makes, as strace counts them, or where that is not there `perf trace`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tests.processes import started

STRACE: Final = ("strace", "-c", "-f", "-o", "{output}", "-p", "{pid}")
PERF: Final = ("perf", "trace", "-s", "-o", "{output}", "-p", "{pid}")
STRACE_LINE: Final = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(?!total$)(\w+)$", re.MULTILINE)
"""% time, seconds, usecs/call, calls, errors (or nothing), name."""
PERF_LINE: Final = re.compile(r"^ +([a-z_]\w+) +(\d+) +\d+ +[\d.]+", re.MULTILINE)
"""Of each thread: name, calls, errors, milliseconds ..."""


def tool() -> Sequence[str] | None:
    """What counts on this machine, None where nothing does."""
    return next((command for command in (STRACE, PERF) if shutil.which(command[0])), None)


class Calls(Counter[str]):
    """By name; filled when the block ends."""


@contextmanager
def counted(pid: int, folder: Path) -> Iterator[Calls]:
    """Count what the process does within the block. Raises OSError with what the tool says where it may not look."""
    command, output, calls = tool(), folder / "calls", Calls()
    assert command is not None
    arguments = [part.format(output=output, pid=pid) for part in command]
    with started(arguments, stderr=subprocess.PIPE) as looking:
        assert looking.stderr is not None
        is_ready = looks(looking.pid, looking.poll) if command is PERF else is_attached(looking.stderr)
        if not is_ready:
            looking.kill()
            raise PermissionError(looking.communicate()[1].strip())
        yield calls
        looking.send_signal(signal.SIGINT)
        looking.communicate(timeout=60)
    calls.update(read(output.read_text()))


def is_attached(said: IO[str]) -> bool:
    """Waits until strace says so, or that it may not."""
    return "attached" in said.readline()


def looks(pid: int, poll: Callable[[], int | None]) -> bool:
    """Waits until perf, which says nothing, has its events open; False when it ends without."""
    descriptors = Path(f"/proc/{pid}/fd")
    while poll() is None:
        with contextlib.suppress(OSError):
            if any("perf_event" in os.readlink(each) for each in descriptors.iterdir()):
                return True
    return False


def read(table: str) -> Counter[str]:
    """The numbers of either tool's table."""
    calls: Counter[str] = Counter()
    for number, name in STRACE_LINE.findall(table):
        calls[name] += int(number)
    for name, number in PERF_LINE.findall(table):
        calls[name] += int(number)
    return calls
