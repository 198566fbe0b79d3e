"""What the settings say about where commands run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.placement import Names

if TYPE_CHECKING:
    from config.settings import Settings

# What becomes of a read for which there is no reader
TO_WRITER: Final = 0
TO_WAIT: Final = 1
TO_FAIL: Final = 2
FALLBACKS: Final = {"writer": TO_WRITER, "wait": TO_WAIT, "error": TO_FAIL}


class PlacingRules:
    """The settings. Seconds."""

    __slots__ = (
        "acquire_timeout",
        "autocommit_reads",
        "causal_keys",
        "fallback",
        "fallback_rate",
        "fallback_wait",
        "gtid_wait",
        "late_begin",
        "lifetime",
        "names",
        "read_only_transactions",
    )

    def __init__(
        self,
        *,
        read_only_transactions: bool = True,
        autocommit_reads: bool = False,
        late_begin: bool = False,
        fallback: int = TO_WRITER,
        fallback_wait: float = 0.5,
        fallback_rate: float = 1000.0,
        gtid_wait: float = 0.1,
        acquire_timeout: float = 5.0,
        causal_keys: int = 10_000,
        lifetime: float = 3600.0,
        names: Names | None = None,
    ) -> None:
        # whether they go to readers
        self.read_only_transactions: bool = read_only_transactions
        self.autocommit_reads: bool = autocommit_reads
        # whether BEGIN waits for the first statement
        self.late_begin: bool = late_begin
        # TO_WRITER, TO_WAIT or TO_FAIL
        self.fallback: int = fallback
        self.fallback_wait: float = fallback_wait
        # for what the session has written, by GTIDs; 0: not at all
        self.gtid_wait: float = gtid_wait
        # a second
        self.fallback_rate: float = fallback_rate
        self.acquire_timeout: float = acquire_timeout
        self.causal_keys: int = causal_keys
        # of backends: after that a session may have to leave its reader (`moving`)
        self.lifetime: float = lifetime
        self.names: Names = names or Names()


def placing_rules(settings: Settings) -> PlacingRules:
    """Those of a process."""
    routing = settings.routing
    return PlacingRules(
        read_only_transactions=routing.read_only_transactions.value == "reader",
        autocommit_reads=routing.autocommit_reads.value == "reader",
        late_begin=routing.late_begin,
        fallback=FALLBACKS[routing.fallback.value],
        fallback_wait=routing.fallback_wait,
        fallback_rate=routing.fallback_rate,
        gtid_wait=routing.gtid_wait,
        acquire_timeout=settings.pool.acquire_timeout,
        causal_keys=routing.causal_keys,
        lifetime=settings.pool.max_age,
        names=Names(
            routing.reader_users, routing.writer_users, routing.reader_schemas, routing.writer_schemas
        ),
    )
