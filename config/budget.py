"""The table that is about the fleet: how many connections one Fanin of several may have to a server. As `config.sections`."""

from __future__ import annotations

from pydantic import Field

from config.sections import Section
from config.values import Count, Fraction, Seconds


class Budget(Section):
    """How Fanin stays below the server's limit, together with others that it knows nothing of."""

    enabled: bool = Field(
        default=True,
        description="Whether Fanin looks at how full a server is, and uses fewer connections than `pool.size` when it has to. With `false` it uses "
        "up to `pool.size`, whatever there is.",
    )
    headroom: Fraction = Field(
        default=0.1,
        le=0.9,
        description="Share of the server's `max_connections` that is left to others: administrators, migrations, surprises.",
    )
    fleet: Count = Field(
        default=0,
        ge=0,
        le=100_000,
        description="How many Fanins share each server. 0: counted on the server, by their connect attributes; where that is not possible, many are "
        "assumed.",
    )
    max_connections: Count = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Most connections that all together may have to a server. 0: what its `max_connections` says; where that cannot be read, 151.",
    )
    interval: Seconds = Field(
        default=2.0,
        ge=0.1,
        le=5.0,
        description="Between two looks at how full a server is, give or take a half: one statement each. The monitor of `topology` asks it along "
        "with its own.",
    )
