import sys

import pytest

from bench.programs import begun, ended, kill, ran, replied


async def test_program_gets_what_it_is_given_and_is_heard_out() -> None:
    process = await begun(["cat"])
    assert await ended(process, 20, b"said\n") == "said\n"
    kill(process)
    kill(None)
    assert process.returncode == 0


async def test_program_is_asked_line_by_line() -> None:
    process = await begun(["cat"])
    assert await replied(process, 20, b"one\n") == "one\n"
    with pytest.raises(TimeoutError):
        await replied(process, 0.0)
    assert await ended(process, 20) == ""


async def test_status_and_errors_are_told() -> None:
    assert await ran(["sh", "-c", "echo out; echo err >&2; exit 3"], 20) == (3, "out\nerr\n")


async def test_program_that_takes_too_long_is_ended() -> None:
    process = await begun([sys.executable, "-c", "import signal; signal.pause()"])
    with pytest.raises(TimeoutError):
        await ended(process, 0.0)
    assert process.returncode is not None
