"""Ends what dead workers have left at servers, on behalf of the parent, which holds its slots until then (`orphans`). A shell.

On a side connection (`aside`) of their user: KILL, and a look whether they are gone, again and again. Where that is not possible (the server does not answer, or does not let the
user in any more) it is tried again for as long as it takes: nobody else knows whether they are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

from proxy.aside import asked, talk_aside
from proxy.backend import Backend
from proxy.credentials import Credential
from proxy.endpoint import Endpoint
from proxy.identity import Identity
from proxy.orphans import (
    GONE,
    OURS,
    UNCLEAR,
    UPTIME,
    Connection,
    Key,
    Look,
    credential_of,
    judge,
    look_of,
    port_of,
    question,
)
from proxy.replies import Failure
from proxy.shared import Shared
from proxy.shares import SETTLES, Tell
from proxy.special import NO_SUCH_THREAD
from proxy.tasks import spawn

COM_QUERY: Final = b"\x03"
PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
"""Seconds between two looks: doubled up to the limit."""
UNCLEAR_WHOSE: Final = "ports are changed on the way to the server, so that nobody knows whose they are"


class Reaper:
    """One worker's."""

    def __init__(self, shared: Shared, log: Any, tell: Tell, now: Callable[[], float] = monotonic) -> None:
        self._shared: Final = shared
        self._log: Final = log
        self._tell: Final = tell
        self._now: Final = now
        self._orphans: Final[dict[Key, Connection]] = {}
        self._credentials: Final[dict[str, Credential]] = {}
        # by endpoint and user
        self._tasks: Final[dict[tuple[str, str], asyncio.Task[None]]] = {}

    def take(self, told: Mapping[str, Any]) -> None:
        """The parent tells orphans, those among them that it has told before (`Orphans.as_json`)."""
        for each in told["connections"]:
            connection = Connection(*each)
            self._orphans.setdefault(connection.key, connection)
            whose = (connection.endpoint, connection.user)
            if whose not in self._tasks:
                self._tasks[whose] = spawn(self._reap(*whose), name=f"orphans at {connection.endpoint}")
        for user, credential in told["credentials"].items():
            self._credentials[user] = credential_of(credential)

    async def stop(self) -> None:
        """What is left is nobody's concern any more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _reap(self, name: str, user: str) -> None:
        pause, is_told = PAUSE, False
        try:
            while orphans := self._of(name, user):
                found: dict[Connection, int] = {}
                trouble = await self._look_at(name, user, orphans, found)
                if trouble and not is_told:
                    is_told = True
                    self._log.warning(
                        "connections of a dead worker cannot be ended yet", endpoint=name, reason=trouble
                    )
                gone = [each for each, verdict in found.items() if verdict == GONE]
                await self._are_gone(gone)
                if len(gone) < len(orphans):
                    await asyncio.sleep(pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
        finally:
            del self._tasks[name, user]

    def _of(self, name: str, user: str) -> list[Connection]:
        return [each for each in self._orphans.values() if (each.endpoint, each.user) == (name, user)]

    async def _are_gone(self, gone: Sequence[Connection]) -> None:
        if gone:
            # a server counts them for a moment longer than it shows them
            await asyncio.sleep(SETTLES)
            for each in gone:
                del self._orphans[each.key]
            self._tell("reaped", [each.key for each in gone])

    async def _look_at(
        self, name: str, user: str, orphans: Sequence[Connection], found: dict[Connection, int]
    ) -> str:
        """Kill those that are there, and say in ``found`` how it is. What is wrong, or ""."""
        endpoint = next((each for each in self._shared.endpoints() if each.name == name), None)
        if endpoint is None:
            return "nobody knows the server any more"
        shared = self._shared
        await endpoint.facts_known.wait()
        credential = self._credential_of(user)
        identity = Identity(credential, 0, shared.facts.charset, shared.keys, None)
        async with endpoint.side_lock:
            talk = partial(self._talk, endpoint, orphans, found)
            failure = await talk_aside(endpoint, credential, identity, talk)
        if failure is not None:
            return failure.message
        return UNCLEAR_WHOSE if UNCLEAR in found.values() else ""

    def _credential_of(self, user: str) -> Credential:
        """That of a later login is the better one, if it has what servers want."""
        told = self._credentials[user]
        known = self._shared.credentials.find(told.user)
        if known is None or (known.password is None and known.native_stage1 is None):
            return told
        return known

    async def _talk(
        self,
        endpoint: Endpoint,
        orphans: Sequence[Connection],
        found: dict[Connection, int],
        backend: Backend,
    ) -> Failure | None:
        await self._judge(endpoint, orphans, found, backend)
        ours = [each for each in orphans if found[each] == OURS]
        for each in ours:
            await _kill(endpoint, each.server_id, backend)
        if ours:
            self._log.info(
                "connections of a dead worker are killed", endpoint=endpoint.name, connections=len(ours)
            )
            await self._judge(endpoint, ours, found, backend)
        return None

    async def _judge(
        self,
        endpoint: Endpoint,
        orphans: Sequence[Connection],
        found: dict[Connection, int],
        backend: Backend,
    ) -> None:
        look = await _look(endpoint, orphans, backend)
        now = self._now()
        for each in orphans:
            found[each] = judge(each, look, now)


async def _look(endpoint: Endpoint, orphans: Sequence[Connection], backend: Backend) -> Look:
    ids = question(each.server_id for each in orphans)
    rows = await asked(endpoint, COM_QUERY + ids, backend)
    ((_, uptime),) = await asked(endpoint, COM_QUERY + UPTIME, backend)
    return look_of(rows, uptime, port_of(backend.transport.get_extra_info("sockname")))


async def _kill(endpoint: Endpoint, server_id: int, backend: Backend) -> None:
    try:
        await asked(endpoint, COM_QUERY + b"KILL %d" % server_id, backend)
    except Failure as failure:
        # it may have ended meanwhile
        if failure.code != NO_SUCH_THREAD:
            raise
