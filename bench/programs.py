"""Programs that a load runs besides itself, for as long as it measures."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Sequence


async def begun(command: Sequence[str]) -> Process:
    """Start it. It reads from us, and we what it writes; errors go where ours go."""
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)


async def replied(process: Process, seconds: float, given: bytes = b"") -> str:
    """Give it this, and take the line that it writes then. Raises TimeoutError."""
    assert process.stdin is not None and process.stdout is not None
    async with asyncio.timeout(seconds):
        process.stdin.write(given)
        return (await process.stdout.readline()).decode(errors="replace")


async def ended(process: Process, seconds: float, given: bytes = b"") -> str:
    """Give it this, and take what it writes until its end. It has ended afterwards, whatever happened. Raises TimeoutError."""
    try:
        async with asyncio.timeout(seconds):
            printed, _ = await process.communicate(given)
            return printed.decode(errors="replace")
    finally:
        kill(process)
        await process.wait()


async def ran(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Its exit status and all that it has written, errors too. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    printed = await ended(process, seconds)
    return process.returncode or 0, printed


def kill(process: Process | None) -> None:
    """Harmless when it is over already."""
    if process is not None and process.returncode is None:
        process.kill()
