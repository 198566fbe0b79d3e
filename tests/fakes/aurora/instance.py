"""One instance: an address that clients connect to, a real server behind it, and what it shows of itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from bench.servers import Server
from tests.fakes.aurora.replication import Replication
from tests.fakes.aurora.session import Session
from tests.fakes.aurora.status import Board, select_of
from tests.fakes.aurora.texts import Face
from tests.fakes.toxics import HOST, ToxicProxy

STATUS_SCHEMA: Final = {"mysql": "performance_schema", "mariadb": "information_schema"}


class Instance:
    """Its sessions, its link and `listen`, `refuse`, `drop`, `renew`, `stop` belong to the emulator's loop."""

    def __init__(
        self, name: str, server: Server, board: Board, host: str, port: int, aurora_version: str
    ) -> None:
        self.name = name
        self.server = server
        self.replication = Replication(server)
        self.host = host
        self.port = port
        # through here it replicates; its target is the writer's server
        self.link = ToxicProxy(HOST, server.port)
        self.sessions: set[Session] = set()
        # the id that a client was told, and the one that its backend has now
        self.ids: dict[int, int] = {}
        self.stalls_pipelining = False
        # a code of REFUSALS that a write gets instead of 1290
        self.refusal = 1290
        # on the monotonic clock, None: the server's own Uptime shows
        self.started_at: float | None = None
        self._board = board
        self._aurora_version = aurora_version
        self._listener: asyncio.Server | None = None

    @property
    def is_up(self) -> bool:
        """Whether it takes connections."""
        return self._listener is not None

    def face(self, settings: Mapping[str, str] | None = None) -> Face:
        """What it shows now, to a session with these settings."""
        face = Face(
            server_id=self.name,
            aurora_version=self._aurora_version,
            status_schema=STATUS_SCHEMA[self.server.kind],
            rows=select_of(self._board.shown_by(self.name)),
            uptime=None if self.started_at is None else int(time.monotonic() - self.started_at),
        )
        face.settings.update(settings or {})
        return face

    async def listen(self) -> None:
        """Take connections."""
        if self._listener is None:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(lambda: Session(self), self.host, self.port)

    def refuse(self) -> None:
        """Take none: the system refuses them."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def drop(self, which: Callable[[Session], bool] = lambda _: True, *, is_reset: bool = False) -> None:
        """End clients' connections."""
        for session in list(self.sessions):
            if which(session):
                session.end(is_reset=is_reset)

    async def renew(self) -> None:
        """A restart that keeps the connections of those who rest."""
        self.started_at = time.monotonic()
        await asyncio.gather(*(session.renew() for session in list(self.sessions)))

    async def stop(self) -> None:
        """Close everything."""
        self.refuse()
        self.drop()
        await self.link.stop()
