"""What the sessions of one worker need of the other workers of the same proxy (`workers = n`). An interface; `proxy.worker` has the way to them."""

from __future__ import annotations

from typing import Protocol

from proxy.credentials import Credential
from proxy.replies import Failure


class Colleagues(Protocol):
    """The other workers."""

    async def kill(self, connection_id: int, credential: Credential, is_query: bool) -> Failure | None:
        """KILL of a client that is not this worker's, by a client with this credential (`special.kill_for_colleague`). What was wrong, or None. Raises
        nothing but a cancellation."""

    def tell(self, news: int) -> None:
        """A statement with these flags of `statement.NEWS` has run here."""

    async def heard(self) -> None:
        """Wait until all have heard what they were told. Raises nothing but a cancellation."""
