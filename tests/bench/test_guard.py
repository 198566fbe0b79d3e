import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from bench.guard import GuardedProcess
from tests.processes import started


def has_ended(pid: int, seconds: float = 20) -> bool:
    """Waits until a process that need not be our child has ended."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)


def test_stop_ends_the_process_and_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    guarded = GuardedProcess(["sleep", "1000"], folder, output=tmp_path / "log")
    assert guarded.exit_status() is None
    guarded.stop()
    assert guarded.exit_status() == -signal.SIGTERM
    assert folder.exists()
    guarded.stop()


def test_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1000; done"]
    guarded = GuardedProcess(command, tmp_path / "folder", output=tmp_path / "log")
    while "deaf" not in (tmp_path / "log").read_text():
        assert guarded.exit_status(0.01) is None
    guarded.stop(grace=0.05)
    assert guarded.exit_status() == -signal.SIGKILL


def test_frozen_process_can_be_stopped(tmp_path: Path) -> None:
    guarded = GuardedProcess(["sleep", "1000"], tmp_path / "folder", output=tmp_path / "log")
    guarded.send_signal(signal.SIGSTOP)
    guarded.stop()
    assert guarded.exit_status() == -signal.SIGTERM


def test_end_of_the_process_is_seen_and_its_output_kept(tmp_path: Path) -> None:
    guarded = GuardedProcess(["sh", "-c", "echo said; exit 3"], tmp_path / "folder", output=tmp_path / "log")
    assert guarded.exit_status(20) == 3
    assert (tmp_path / "log").read_text() == "said\n"
    guarded.stop()


def test_killed_parent_takes_process_and_folder_along(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("content")
    program = textwrap.dedent(
        """
        import pathlib, sys
        from bench.guard import GuardedProcess
        folder = pathlib.Path(sys.argv[1])
        guarded = GuardedProcess(["sleep", "1000"], folder, output=folder.parent / "log")
        print(guarded.pid, guarded._watchdog.pid, flush=True)
        sys.stdin.read()
        """
    )
    root = Path(__file__).parents[2]
    with started(
        [sys.executable, "-c", program, str(folder)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        command, watchdog = map(int, parent.stdout.readline().split())
        parent.kill()
        parent.wait()
        assert has_ended(command)
        assert has_ended(watchdog)
    assert not folder.exists()
