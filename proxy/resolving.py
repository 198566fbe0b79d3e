"""What the names of hosts lead to: when one leads elsewhere than before, something may have happened to the servers.

DNS is not believed, and usually late: a name that has moved is only a reason to look. A literal address is not asked about, nor are names that lead now
here, now there by design (`cluster-ro-` of Aurora). One that moves all the time counts once in a while.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

from proxy.aurora_names import is_of_readers

RESPITE: Final = 30.0
"""Seconds for which a name that has moved does not count again."""
PATIENCE: Final = 5.0
"""Seconds for an answer."""


class HostNames:
    """Those of the configured servers, with what they lead to."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now: Final = now
        self._places: Final[dict[str, tuple[str, int]]] = {}
        self._addresses: Final[dict[str, frozenset[str]]] = {}
        self._heeded_at: Final[dict[str, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, name: str, host: str, port: int) -> None:
        """A server, which is asked about if that makes sense."""
        if not _is_address(host) and not is_of_readers(host):
            self._places[name] = (host, port)

    def host(self, name: str) -> str:
        """Of a server."""
        return self._places[name][0]

    async def moved(self) -> list[str]:
        """Ask for all of them: the servers whose names lead to none of the addresses of before. What is not answered is no news."""
        return [name for name in self._places if await self._has_moved(name)]

    async def _has_moved(self, name: str) -> bool:
        host, port = self._places[name]
        try:
            async with asyncio.timeout(PATIENCE):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError):
            return False
        return self._is_news(name, frozenset(str(each[4][0]) for each in found))

    def _is_news(self, name: str, addresses: frozenset[str]) -> bool:
        before, now = self._addresses.get(name), self._now()
        self._addresses[name] = addresses
        if before is None or not before.isdisjoint(addresses):
            return False
        if now < self._heeded_at.get(name, -RESPITE) + RESPITE:
            return False
        self._heeded_at[name] = now
        return True


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
