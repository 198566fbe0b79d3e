"""What happens when, and what each sidecar would get of a server that is divided well. Pure. Seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SETTLING: Final = 10.0
"""Until a share has followed a change of the demand."""
COLD: Final = 4.0
WARM: Final = 0.6
HOT: Final = 0.1
"""Mean pauses of a client between an answer and its next question."""


@dataclass(frozen=True, slots=True)
class Phase:
    """For so long the clients of the sidecars `busy` pause for `pause`, those of the others for COLD."""

    name: str
    seconds: float
    busy: range
    pause: float
    # so long after its beginning these are killed, to come back after `gone` seconds
    kills: range = field(default=range(0))
    kill_at: float = 0.0
    # strangers' connections come so long after its beginning, and leave
    strangers: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet and its course."""

    sidecars: int = 20
    clients: int = 60
    limit: int = 151
    strangers: int = 10
    pool_size: int = 60
    # how long the server takes for a question
    service: float = 0.1
    idle_timeout: float = 10.0
    # how long a killed one is away
    gone: float = 3.0
    pace: float = 1.0
    """All phases last so many times as long."""

    def phases(self) -> tuple[Phase, ...]:
        """In their order, without pauses between them."""
        fifth = max(1, self.sidecars // 4)
        some = [range(number * fifth, min((number + 1) * fifth, self.sidecars)) for number in range(4)]
        everybody = range(self.sidecars)
        first = range(0, min(2, self.sidecars))
        last = range(max(0, self.sidecars - 2), self.sidecars)
        phases = (
            Phase("quiet", 20.0, range(0), COLD),
            Phase("some want more", 20.0, some[0], WARM),
            Phase("others want all", 25.0, some[2], HOT, strangers=(15.0, 24.0)),
            Phase("again others, two are killed", 25.0, some[1], HOT, kills=first, kill_at=12.0),
            Phase(
                "everybody wants all, two are killed, strangers come",
                30.0,
                everybody,
                HOT,
                kills=last,
                kill_at=14.0,
                strangers=(8.0, 22.0),
            ),
            Phase("quiet again", 15.0, range(0), COLD),
        )
        return tuple([_paced(phase, self.pace) for phase in phases])

    def pause(self, phase: Phase, sidecar: int) -> float:
        """Of this sidecar's clients."""
        return phase.pause if sidecar in phase.busy else COLD

    def wanted(self, phase: Phase) -> list[float]:
        """Connections that each has a use for: as many as are busy at a time, were there enough of them (Little's law), and two standard deviations,
        without which clients wait although connections would do on average."""
        busy = [
            self.clients * self.service / (self.service + self.pause(phase, number))
            for number in range(self.sidecars)
        ]
        return [min(float(self.pool_size), mean + 2.0 * math.sqrt(mean)) for mean in busy]


def _paced(phase: Phase, pace: float) -> Phase:
    strangers = phase.strangers and (phase.strangers[0] * pace, phase.strangers[1] * pace)
    return Phase(
        phase.name,
        phase.seconds * pace,
        phase.busy,
        phase.pause,
        phase.kills,
        phase.kill_at * pace,
        strangers,
    )


def fair(wanted: Sequence[float], room: float) -> list[float]:
    """Who wants little gets it, the others share what is left alike (max-min)."""
    shares = [0.0] * len(wanted)
    left = room
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for served, number in enumerate(order):
        shares[number] = min(wanted[number], left / (len(order) - served))
        left -= shares[number]
    return shares
