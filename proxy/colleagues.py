"""What the sessions of one worker need of the other workers of the same proxy (`workers = n`). An interface; `proxy.worker` has the way to them."""

from __future__ import annotations

from typing import Final, Protocol

from proxy.credentials import Credential
from proxy.replies import Failure
from proxy.statement import ALTERS_SCHEMA, CHANGES_ACCOUNT, REDEFINES, SETS_GLOBAL

NEWS: Final = CHANGES_ACCOUNT | SETS_GLOBAL | REDEFINES | ALTERS_SCHEMA
"""Flags of statements after which all workers have to forget something (`special.heard`)."""


class Colleagues(Protocol):
    """The other workers."""

    async def kill(self, connection_id: int, credential: Credential, is_query: bool) -> Failure | None:
        """KILL of a client that is not this worker's, by a client with this credential (`special.kill_for_colleague`). What was wrong, or None. Raises
        nothing but a cancellation."""

    def tell(self, news: int) -> None:
        """A statement with these flags of NEWS has run here."""

    async def heard(self) -> None:
        """Wait until all have heard what they were told. Raises nothing but a cancellation."""
