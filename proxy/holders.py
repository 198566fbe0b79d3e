"""What ties a session to its backend, by reason and by name: its pins. Pure."""

from __future__ import annotations

from proxy.pins import BITS, REASONS, PinReason
from proxy.statement import ALL_NAMES, FIXED_NAME


class PinKeeper:
    """The part of a session that is its pins. The base of `VariablesKeeper`."""

    __slots__ = ("_holders", "pinned")

    def __init__(self) -> None:
        # bits of the reasons (in the order of pins.REASONS) that hold; 0 when the session is not pinned
        self.pinned: int = 0
        # what holds, where it is counted: reason -> name -> count
        self._holders: dict[PinReason, dict[bytes, int]] = {}

    def pin_reasons(self) -> list[PinReason]:
        """The reasons that hold now."""
        return [reason for reason in REASONS if self.pinned & BITS[reason]] if self.pinned else []

    def pin(self, reason: PinReason, name: bytes = b"") -> None:
        """Something holds the session to its backend."""
        self.pinned |= BITS[reason]
        names = self._holders.get(reason)
        if names is None:
            names = self._holders[reason] = {}
        names[name] = names.get(name, 0) + 1

    def lift(self, reason: PinReason, name: bytes = b"") -> None:
        """That does so no longer: one count of it (user locks) or all (anything else)."""
        names = self._holders.get(reason) if self._holders else None
        if names is None:
            return
        if name == ALL_NAMES:
            for held in list(names):
                if held != FIXED_NAME:
                    del names[held]
        elif reason is PinReason.USER_LOCK and names.get(name, 0) > 1:
            names[name] -= 1
        else:
            names.pop(name, None)
        if not names:
            del self._holders[reason]
            self.pinned &= ~BITS[reason]

    def unpin(self, lasting: int) -> list[PinReason]:
        """Nothing holds any more. Returns those of the reasons, of these bits, that did."""
        left = [reason for reason in self.pin_reasons() if BITS[reason] & lasting]
        self.pinned = 0
        self._holders.clear()
        return left
