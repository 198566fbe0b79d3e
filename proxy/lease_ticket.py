"""A session's place in a pool's queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import queueing
from proxy.identity import Identity
from proxy.patience import LOOKED_AT, patience
from proxy.tenants import Waiter

if TYPE_CHECKING:
    from proxy.lessee import Lessee
    from proxy.placing import Placing
    from proxy.readers import Reader

COM_QUERY: Final = 0x03


class LeaseTicket(Waiter):
    """It hears of its grant, and tells its session."""

    __slots__ = ("lessee",)

    def __init__(self, lessee: Lessee, identity: Identity) -> None:
        super().__init__(identity.key, identity, identity.credential)
        self.is_batch = identity.is_batch
        self.lessee: Lessee = lessee

    def woken(self) -> None:
        self.lessee.woken(self)

    def patience(self) -> float:
        lessee = self.lessee
        text = lessee.wire[5 : 5 + LOOKED_AT] if lessee.command == COM_QUERY else b""
        if lessee.executing is not None:
            text = lessee.executing.own.text
        session = lessee.session
        return patience(text, session.vector.variables, session.lexing, len(lessee.statement.temporary) > 0)

    def process(self) -> str:
        return self.lessee.identity.process

    def is_misplaced(self, placing: Placing, reader: Reader, now: float) -> bool:
        return queueing.is_misplaced(self.lessee, placing, reader, now)
