"""What the sessions of one worker need of the other workers of the same proxy (`workers = n`). An interface; `proxy.worker` has the way to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from proxy.replies import Failure
from proxy.statement import ALTERS_SCHEMA, CHANGES_ACCOUNT, REDEFINES, SETS_GLOBAL

NEWS: Final = CHANGES_ACCOUNT | SETS_GLOBAL | REDEFINES | ALTERS_SCHEMA
"""Flags of statements after which all workers have to forget something (`special.heard`)."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of a KILL of another worker's client: done, a refusal, or it is the server that decides, by its own id of the connection."""

    failure: Failure | None = None
    server_id: int | None = None


class Colleagues(Protocol):
    """The other workers."""

    async def kill(self, connection_id: int, user: bytes, is_query: bool) -> Killed:
        """KILL of a client that is not this worker's, by a client of this user (`special.kill_for_colleague`). Raises nothing but a cancellation."""

    def tell(self, news: int) -> None:
        """A statement with these flags of NEWS has run here."""
