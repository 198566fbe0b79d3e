"""`fanin` in a world where the names of a file exist: python -m tests.fakes.aurora.named FILE serve ...

Also for a test's own process: `install(path)`. It concerns uvloop's loops and asyncio's, and Python's `socket.getaddrinfo`.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from proxy.cli import main
from tests.fakes.aurora.names import resolved_by


def install(path: Path) -> None:
    """Resolve names by this file from now on."""

    def chosen(host: Any) -> Any:
        return random.choice(resolved_by(path, host)) if isinstance(host, str) else host

    for kind in (uvloop.Loop, asyncio.BaseEventLoop):
        for method in ("create_connection", "getaddrinfo"):
            setattr(
                kind, method, resolving(getattr(kind, method), chosen, 1 if method == "getaddrinfo" else 2)
            )
    plain = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **rest: Any) -> Any:
        return plain(chosen(host), *arguments, **rest)

    socket.getaddrinfo = getaddrinfo


def resolving(method: Callable[..., Any], chosen: Callable[[Any], Any], place: int) -> Callable[..., Any]:
    """A method of a loop with the host, which stands at `place` among its arguments, replaced by an address."""

    async def wrapped(*arguments: Any, **rest: Any) -> Any:
        given = list(arguments)
        if len(given) > place:
            given[place] = chosen(given[place])
        elif "host" in rest:
            rest["host"] = chosen(rest["host"])
        return await method(*given, **rest)

    return wrapped


if __name__ == "__main__":
    file, *arguments = sys.argv[1:]
    install(Path(file))
    sys.exit(main(arguments))
