"""What the process has counted since it started: plain integers on one object.

The data path adds to them; the Prometheus collector (`proxy.metrics`) and /state read them when somebody asks.
Nothing here knows of either.
"""

from __future__ import annotations

from typing import Final

# Upper bounds in seconds of the buckets of the waiting time. Below 1 ms a wait does not show in a query's time; at
# 5 s `pool.acquire_timeout` ends it by default.
WAIT_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counters:
    """Counts of one process. Reasons are the texts of CloseReason, PinReason and of login failures."""

    __slots__ = (
        "acquire_timeouts",
        "backend_closes",
        "backends_opened",
        "bytes_from_clients",
        "bytes_to_clients",
        "captures",
        "frontend_closes",
        "frontends_open",
        "frontends_refused",
        "frontends_total",
        "leases",
        "login_failures",
        "open_failures",
        "pins",
        "queries",
        "resets",
        "restores",
        "wait_buckets",
        "wait_seconds",
        "waits",
    )

    def __init__(self) -> None:
        self.frontends_total: int = 0  # clients ever accepted
        self.frontends_open: int = 0  # clients connected now, the ones in the connection phase included
        self.frontends_refused: int = 0  # clients told 1040, for want of `limits.max_clients`
        self.queries: int = 0  # commands of clients that were answered, by a server or by us
        self.bytes_from_clients: int = 0
        self.bytes_to_clients: int = 0
        self.leases: int = 0  # leases begun, those without a wait included
        self.waits: int = 0  # leases begun after a wait in the queue
        self.wait_seconds: float = 0.0  # the time of those waits
        self.wait_buckets: list[int] = [0] * (
            len(WAIT_BOUNDS) + 1
        )  # those waits by time; the last: above all bounds
        self.acquire_timeouts: int = 0  # tickets that ended without a lease at their deadline
        self.backends_opened: int = 0  # logins to servers that succeeded
        self.open_failures: int = 0  # and that did not
        self.resets: int = 0  # COM_RESET_CONNECTION sent on our own account
        self.captures: int = 0  # residue read from a parked backend
        self.restores: int = 0  # leases that began with a state vector, or residue, being put back
        self.pins: dict[str, int] = {}  # pins set, by reason
        self.login_failures: dict[str, int] = {}  # logins of clients refused, by reason
        self.frontend_closes: dict[str, int] = {}  # clients' connections closed, by reason
        self.backend_closes: dict[str, int] = {}  # servers' connections closed, by reason

    def observe_wait(self, seconds: float) -> None:
        """A lease began after so long in the queue (count the lease itself in `leases` as well)."""
        index = 0
        while index < len(WAIT_BOUNDS) and seconds > WAIT_BOUNDS[index]:
            index += 1
        self.wait_buckets[index] += 1
        self.wait_seconds += seconds
        self.waits += 1

    def count_pin(self, reason: str) -> None:
        """A session was pinned."""
        self.pins[reason] = self.pins.get(reason, 0) + 1

    def count_login_failure(self, reason: str) -> None:
        """A client's login was refused."""
        self.login_failures[reason] = self.login_failures.get(reason, 0) + 1

    def count_frontend_close(self, reason: str) -> None:
        """A client's connection was closed, by whomever."""
        self.frontend_closes[reason] = self.frontend_closes.get(reason, 0) + 1

    def count_backend_close(self, reason: str) -> None:
        """A server's connection was closed, by whomever."""
        self.backend_closes[reason] = self.backend_closes.get(reason, 0) + 1
