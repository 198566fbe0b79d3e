"""A session leaves its reader once in a while, so that one that has joined gets its share: functions on a `Lessee`.

Who goes on reading stays where it is: another reader is safe only when it is known to be past the session's last read (`fences`), which for a busy
session it never is; and what it has parked keeps it, too. So after as long as a backend may live the balance is asked again, whatever the session
has read. When it says another reader, one read waits until that has what was read, which takes a look at it, and not for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.fences import Fence
from proxy.placement import Placement
from proxy.readers import Reader

if TYPE_CHECKING:
    from proxy.lessee import Lessee
    from proxy.placing import Placing

LONGEST_WAIT: Final = 0.5
"""Seconds for which a read waits to move."""
JITTER: Final = 0.2
"""Share of the time by which it may be shorter, so that not all sessions leave at once."""


def chosen(lessee: Lessee, placing: Placing, placement: Placement, now: float, fence: Fence) -> Reader | None:
    """The other reader to which the session moves with this read. None: it does not, or not yet: the read waits (PLACING) for that."""
    home = placement.view.home()
    if home != placement.home:
        _settle(placing, placement, now)
        placement.home = home
    if home is None or now < placement.leaves_at:
        return None
    table, max_lag = placing.table, placement.record.facts.hints.max_lag
    if not placement.moves_to:
        contender = table.choose(None, now, placing.random, max_lag)
        if contender is None or contender is table.writer or contender.name == home:
            _settle(placing, placement, now)
            return None
        placement.moves_to = contender.name
        placement.moves_until = now + LONGEST_WAIT
    reader: Reader | None = None
    if table.may_have(placement.moves_to, placement.view, now, max_lag, fence):
        reader = table.readers[placement.moves_to]
    elif now < placement.moves_until:
        placing.wait(lessee)
        return None
    _settle(placing, placement, now)
    return reader


def _settle(placing: Placing, placement: Placement, now: float) -> None:
    """It stays where it is, or where it goes now, for the same time again."""
    placement.moves_to = ""
    placement.leaves_at = now + placing.rules.lifetime * (1.0 - JITTER * placing.random())
